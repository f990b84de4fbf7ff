//! Files, folders and disks on datastores, over SOAP.

use crate::host::BROWSER;
use crate::host::DISKS;
use crate::host::FILES;
use crate::host::Host;
use crate::host::between;

#[test]
fn folders_and_files() {
    let host = Host::new();
    let make = |name: &str, parents: bool| {
        let args = format!(
            "<name>{name}</name><createParentDirectories>{parents}</createParentDirectories>"
        );
        host.call(FILES, "MakeDirectory", &args)
    };
    assert!(make("[datastore1] a/b", false).contains("FileNotFound"));
    assert!(make("[datastore1] a/b", true).contains("MakeDirectoryResponse"));
    assert!(make("[datastore1] a/b/", true).contains("FileAlreadyExists"));
    assert!(make("[nothing] a", true).contains("InvalidDatastore"));
    assert!(make("a/b", true).contains("InvalidDatastorePath"));
    assert!(make("[datastore1] ../b", true).contains("InvalidDatastorePath"));
    let copy = |method: &str, from: &str, to: &str, force: bool| {
        let args = format!(
            "<sourceName>{from}</sourceName><destinationName>{to}</destinationName>\
             <force>{force}</force>"
        );
        host.task(FILES, method, &args)
    };
    let (copying, moving) = ("CopyDatastoreFile_Task", "MoveDatastoreFile_Task");
    let iso = "[datastore1] iso/debian-12.iso";
    assert!(copy(copying, iso, "[datastore1] a/b/d.iso", false).contains("success"));
    assert!(copy(copying, iso, "[datastore1] a/b/d.iso", false).contains("FileAlreadyExists"));
    assert!(copy(copying, iso, "[datastore1] a/b/d.iso", true).contains("success"));
    assert!(copy(copying, iso, "[datastore1] no/d.iso", false).contains("FileNotFound"));
    assert!(copy(moving, "[datastore1] a", "[nas01] moved", false).contains("success"));
    assert!(
        copy(moving, "[nas01] moved", "[nas01] moved/deeper", false).contains("CannotAccessFile")
    );
    assert!(copy(copying, "[datastore1] a", "[nas01] again", false).contains("FileNotFound"));
    let delete =
        |name: &str| host.task(FILES, "DeleteDatastoreFile_Task", &format!("<name>{name}</name>"));
    assert!(delete("[nas01] moved").contains("success"));
    assert!(delete("[nas01] moved").contains("File [nas01] moved was not found"));
    assert!(delete("[datastore1] web01/web01.vmdk").contains("File"));
    host.simulator
        .world()
        .files
        .put("[datastore1] web01/web01.nvram", jumpvisor::sim::files::File::blank(8684, 0));
    assert!(delete("[datastore1] web01/web01.nvram").contains("FileLocked"));
    assert!(delete("[datastore1] web01").contains("CannotDeleteFile"));
}

#[test]
fn a_viewer_makes_nothing() {
    let mut host = Host::new();
    host.cookie.clear();
    host.cookie = host.login("<userName>viewer</userName><password>secret</password>");
    let reply = host.call(FILES, "MakeDirectory", "<name>[datastore1] a</name>");
    assert!(reply.contains("Datastore.FileManagement"), "{reply}");
    let found = "<datastorePath>[nas01] iso</datastorePath>";
    let browser = "HostDatastoreBrowser:ha-browser-2";
    assert!(host.task(browser, "SearchDatastore_Task", found).contains("windows-2025.iso"));
}

#[test]
fn disks_of_their_own() {
    let host = Host::new();
    let create = |name: &str, kind: &str| {
        let args = format!(
            "<name>{name}</name><spec xsi:type=\"FileBackedVirtualDiskSpec\"><diskType>{kind}\
             </diskType><adapterType>lsiLogic</adapterType><capacityKb>1048576</capacityKb></spec>"
        );
        host.task(DISKS, "CreateVirtualDisk_Task", &args)
    };
    let free = || {
        let text = host.property("Datastore", "66a1c0de-0001", "summary.freeSpace");
        between(&text, "xsi:type=\"xsd:long\">", "<").parse::<i64>().unwrap()
    };
    let before = free();
    assert!(create("[datastore1] data.vmdk", "eagerZeroedThick").contains("success"));
    assert!((before - free() - (1 << 30)).abs() < 4096);
    assert!(create("[datastore1] data.vmdk", "thin").contains("FileAlreadyExists"));
    assert!(create("[datastore1] thin.vmdk", "thin").contains("[datastore1] thin.vmdk</result>"));
    let named = "<name>[datastore1] thin.vmdk</name>";
    let extend = format!("{named}<newCapacityKb>2097152</newCapacityKb>");
    assert!(host.task(DISKS, "ExtendVirtualDisk_Task", &extend).contains("success"));
    assert!(host.task(DISKS, "ExtendVirtualDisk_Task", &extend).contains("newCapacityKb"));
    assert!(host.call(DISKS, "QueryVirtualDiskUuid", named).contains("<returnval>60 00 C2 9"));
    assert!(host.call(DISKS, "QueryVirtualDiskGeometry", named).contains("<head>255</head>"));
    let uuid = format!("{named}<uuid>60 00 c2 91 00</uuid>");
    assert!(host.call(DISKS, "SetVirtualDiskUuid", &uuid).contains("Response"));
    assert!(host.call(DISKS, "QueryVirtualDiskUuid", named).contains(">60 00 c2 91 00<"));
    assert!(host.call(DISKS, "QueryVirtualDiskFragmentation", named).contains(">0<"));
    assert!(host.task(DISKS, "ZeroFillVirtualDisk_Task", named).contains("success"));
    let copy = "<sourceName>[datastore1] thin.vmdk</sourceName>\
                <destName>[nas01] templates/copy.vmdk</destName>";
    assert!(
        host.task(DISKS, "CopyVirtualDisk_Task", copy).contains("templates/copy.vmdk</result>")
    );
    assert!(host.task(DISKS, "MoveVirtualDisk_Task", copy).contains("FileAlreadyExists"));
    let inflate = "<name>[nas01] templates/copy.vmdk</name>";
    assert!(host.task(DISKS, "InflateVirtualDisk_Task", inflate).contains("success"));
    let flat = host.simulator.world().files.size("[nas01] templates/copy-flat.vmdk");
    assert_eq!(flat, 2 << 30);
    let query = "<datastorePath>[datastore1]</datastorePath><searchSpec><query \
                 xsi:type=\"VmDiskFileQuery\"><filter><thin>true</thin></filter><details><diskType>\
                 true</diskType><capacityKb>true</capacityKb><hardwareVersion>false\
                 </hardwareVersion></details></query></searchSpec>";
    let found = host.task(BROWSER, "SearchDatastore_Task", query);
    assert_eq!(found.matches("<path>").count(), 1, "{found}");
    assert!(found.contains("<path>thin.vmdk</path>") && found.contains(">2097152<"), "{found}");
    assert!(host.task(DISKS, "DeleteVirtualDisk_Task", named).contains("success"));
    assert!(!host.simulator.world().files.exists("[datastore1] thin-flat.vmdk"));
    assert!(host.task(DISKS, "DeleteVirtualDisk_Task", named).contains("FileNotFound"));
}

#[test]
fn a_task_that_is_cancelled_has_done_nothing() {
    let host = Host::new();
    let args = "<sourceName>[nas01] backup</sourceName><destinationName>[nas01] other\
                </destinationName>";
    let reply = host.call(FILES, "CopyDatastoreFile_Task", args);
    let id = between(&reply, "<returnval type=\"Task\">", "<").to_owned();
    host.call(&format!("Task:{id}"), "CancelTask", "");
    assert!(host.property("Task", &id, "info").contains("RequestCanceled"));
    assert!(!host.simulator.world().files.exists("[nas01] other"));
}

#[test]
fn searches() {
    let host = Host::new();
    let search = |method: &str, path: &str, spec: &str| {
        let args = format!("<datastorePath>{path}</datastorePath><searchSpec>{spec}</searchSpec>");
        host.task("HostDatastoreBrowser:ha-host-datastorebrowser", method, &args)
    };
    let details = "<details><fileType>true</fileType><fileSize>true</fileSize><modification>true\
                   </modification><fileOwner>true</fileOwner></details>";
    let one = "SearchDatastore_Task";
    let found = search(one, "[nas01] iso", &format!("{details}<matchPattern>u*</matchPattern>"));
    assert!(found.contains("xsi:type=\"IsoImageFileInfo\"><path>ubuntu-24.04.iso"), "{found}");
    assert!(found.contains("<owner>root</owner>") && !found.contains("windows"), "{found}");
    let found =
        search(one, "[nas01]", &format!("{details}<sortFoldersFirst>true</sortFoldersFirst>"));
    assert!(found.contains("xsi:type=\"FolderFileInfo\"><path>backup"), "{found}");
    let found = search(one, "[nas01]", "<query xsi:type=\"IsoImageFileQuery\"/>");
    assert!(!found.contains("<file"), "{found}");
    let isos = "<query xsi:type=\"IsoImageFileQuery\"/>";
    let found = search("SearchDatastoreSubFolders_Task", "[nas01]", isos);
    assert!(found.contains("ArrayOfHostDatastoreBrowserSearchResults"), "{found}");
    assert_eq!(found.matches("<path>").count(), 2, "{found}");
    assert!(search(one, "[nas01] none", "").contains("File [nas01] none was not found"));
    let own = format!("<datastorePath>[nas01]</datastorePath><searchSpec>{isos}</searchSpec>");
    assert!(host.call(BROWSER, one, &own).contains("InvalidDatastore"));
    let types = host.property("HostDatastoreBrowser", "ha-browser-1", "supportedType");
    assert!(types.contains("VmDiskFileQuery"), "{types}");
}
