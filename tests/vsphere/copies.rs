//! Cloning on a standalone host: what is sent, and what is left when a step fails.

use jumpvisor::error::Kind;
use jumpvisor::hv::call::Cancel;

use crate::rig::{gate, has, tool, tool_by};
use crate::scripted::Peer;
use crate::scripted::answer::Answer;
use crate::scripted::tasks::{Round, Script};
use crate::scripted::world::typed;

const WORDS: &[&str] = &["template_name=a/b", "new_name=copy"];
const HOME: &str = "[datastore1] copy";

#[test]
fn a_copy_is_a_folder_its_disks_and_a_machine_around_them() {
    let peer = Peer::esxi();
    let told = tool(&gate(&peer), "clone_vm", WORDS).unwrap();
    has(&told.text, &["copied from `a/b`", HOME]);
    let folder = peer.last("MakeDirectory");
    assert_eq!(folder.arg("name").as_deref(), Some(HOME));
    assert_eq!(folder.arg("createParentDirectories").as_deref(), Some("false"));
    let disk = peer.last("CopyVirtualDisk_Task");
    assert_eq!(disk.arg("destName").as_deref(), Some("[datastore1] copy/copy.vmdk"));
    assert_eq!(disk.arg("destSpec.diskType").as_deref(), Some("thin"), "not thick by default");
    assert!(disk.arg("destSpec.adapterType").is_some());
    let made = peer.last("CreateVM_Task");
    assert_eq!(made.arg("config.name").as_deref(), Some("copy"));
    for left in ["config.uuid", "config.instanceUuid", "config.changeVersion"] {
        assert_eq!(made.arg(left), None, "{left} belongs to the source");
    }
    assert!(made.args("config.deviceChange.device.macAddress").is_empty());
    let keys = made.args("config.deviceChange.device.key");
    assert!(keys.iter().all(|key| key.starts_with('-')), "new devices: {keys:?}");
    assert_eq!(peer.count("DeleteDatastoreFile_Task"), 0);
}

#[test]
fn a_failure_on_the_way_takes_the_folder_and_nothing_else() {
    for method in ["CopyVirtualDisk_Task", "CreateVM_Task"] {
        let peer = Peer::esxi();
        let full =
            Round::Fail("NoDiskSpace", "<file>x</file><datastore>datastore1</datastore>", "full");
        peer.script(method, Script::new(&[full]));
        let error = tool(&gate(&peer), "clone_vm", WORDS).unwrap_err();
        assert_eq!(error.fault_name(), Some("NoDiskSpace"));
        has(&error.to_string(), &["nothing was kept", "NoDiskSpace"]);
        assert_eq!(peer.count("DeleteDatastoreFile_Task"), 1, "after {method}");
        assert_eq!(peer.last("DeleteDatastoreFile_Task").arg("name").as_deref(), Some(HOME));
    }
}

#[test]
fn a_folder_that_was_there_before_is_never_deleted() {
    let peer = Peer::esxi();
    peer.always("MakeDirectory", || {
        Answer::Fault("FileAlreadyExists".into(), "<file>copy</file>".into(), "exists".into())
    });
    let error = tool(&gate(&peer), "clone_vm", WORDS).unwrap_err();
    assert_eq!((error.kind(), error.fault_name()), (Kind::Conflict, Some("FileAlreadyExists")));
    assert_eq!(peer.count("DeleteDatastoreFile_Task"), 0);
    assert_eq!(peer.count("CopyVirtualDisk_Task"), 0);
}

#[test]
fn what_cannot_be_cleaned_up_is_named() {
    let peer = Peer::esxi();
    peer.script("CopyVirtualDisk_Task", Script::new(&[Round::Fail("SystemError", "", "oops")]));
    peer.script("DeleteDatastoreFile_Task", Script::new(&[Round::Fail("FileLocked", "", "")]));
    let error = tool(&gate(&peer), "clone_vm", WORDS).unwrap_err();
    has(&error.to_string(), &["[datastore1] copy was left behind", "SystemError"]);
}

#[test]
fn a_cancelled_copy_is_cleaned_up_all_the_same() {
    let peer = Peer::esxi();
    peer.script("CopyVirtualDisk_Task", Script::new(&[Round::Progress(Some(40)), Round::Hang]));
    let (cancel, twin) = (Cancel::default(), peer.clone());
    let stop = cancel.clone();
    let stopper = std::thread::spawn(move || {
        twin.wait_for("WaitForUpdatesEx", 2);
        stop.cancel();
    });
    let error = tool_by(&gate(&peer), "clone_vm", WORDS, cancel).unwrap_err();
    stopper.join().unwrap();
    assert_eq!(error.kind(), Kind::Cancelled);
    has(&error.to_string(), &["nothing was kept"]);
    assert_eq!((peer.count("CancelTask"), peer.count("DeleteDatastoreFile_Task")), (1, 1));
    assert_eq!(peer.count("CreateVM_Task"), 0);
}

#[test]
fn a_copy_that_goes_on_says_so() {
    let peer = Peer::esxi();
    peer.script(
        "CopyVirtualDisk_Task",
        Script::not_cancelable(&[Round::Progress(Some(40)), Round::Hang]),
    );
    let words = [WORDS, &["timeout_seconds=1"]].concat();
    let error = tool(&gate(&peer), "clone_vm", &words).unwrap_err();
    has(&error.to_string(), &["goes on on the server"]);
}

#[test]
fn what_cannot_be_copied_is_refused_before_anything_is_made() {
    let refused = |words: &[&str], prepare: fn(&Peer), parts: &[&str]| {
        let peer = Peer::esxi();
        prepare(&peer);
        let error = tool(&gate(&peer), "clone_vm", words).unwrap_err();
        has(&error.to_string(), parts);
        assert_eq!(peer.count("MakeDirectory"), 0);
    };
    let as_it_is = |_: &Peer| ();
    refused(&["template_name=web01", "new_name=c"], as_it_is, &["is on", "Shut it down"]);
    refused(&["template_name=db01", "new_name=c"], as_it_is, &["has snapshots"]);
    refused(&["template_name=a/b", "new_name=web01"], as_it_is, &["there is a VM `web01`"]);
    refused(&["template_name=a/b", "new_name=c", "linked=true"], as_it_is, &["no linked clones"]);
    let tpm = |peer: &Peer| {
        peer.change(|state| {
            let inside =
                "<hardware><device xsi:type=\"VirtualTPM\"><key>11000</key></device></hardware>";
            state.vm("3").set("config", typed("VirtualMachineConfigInfo", inside));
        });
    };
    refused(WORDS, tpm, &["virtual TPM"]);
}
