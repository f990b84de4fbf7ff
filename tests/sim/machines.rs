//! Machines come and go, and are changed.

use crate::talk::{Host, count, inner};

const FOLDER: (&str, &str) = ("Folder", "ha-folder-vm");
const INDEX: (&str, &str) = ("SearchIndex", "ha-searchindex");
const POOL: &str = "<pool type=\"ResourcePool\">ha-root-pool</pool>";

/// A `CreateVM_Task` of a machine with this name and these elements.
fn create(host: &Host, name: &str, more: &str) -> String {
    let config = format!(
        "<config><name>{name}</name><guestId>debian12_64Guest</guestId><files><vmPathName>[datastore1]\
         </vmPathName></files><numCPUs>2</numCPUs><memoryMB>2048</memoryMB>{more}</config>{POOL}"
    );
    host.done("CreateVM_Task", FOLDER, &config)
}

#[test]
fn a_machine_is_made_found_renamed_and_destroyed() {
    let host = Host::new();
    let id = create(&host, "new01", "");
    let vm = ("VirtualMachine", id.as_str());
    assert_eq!(host.get(vm, "config.guestFullName"), "Debian GNU/Linux 12 (64-bit)");
    assert_eq!(host.get(vm, "config.hardware.memoryMB"), "2048");
    assert_eq!(host.get(vm, "summary.config.vmPathName"), "[datastore1] new01/new01.vmx");
    assert!(host.files("[datastore1] new01/").contains(&"[datastore1] new01/new01.vmx".to_owned()));
    let path = "<inventoryPath>ha-datacenter/vm/new01</inventoryPath>";
    let found = host.ask("FindByInventoryPath", INDEX, path);
    assert_eq!(inner(&found, "returnval"), Some(id.clone()));
    host.fails(
        "CreateVM_Task",
        FOLDER,
        &format!("<config><name>new01</name><files><vmPathName>[datastore1]</vmPathName></files></config>{POOL}"),
        "DuplicateName",
    );
    host.done("Rename_Task", vm, "<newName>a/b</newName>");
    assert_eq!(host.get(vm, "name"), "a%2fb");
    host.done("PowerOnVM_Task", vm, "");
    host.fails("Destroy_Task", vm, "", "InvalidPowerState");
    host.refused("UnregisterVM", vm, "", "InvalidPowerState");
    host.done("PowerOffVM_Task", vm, "");
    host.done("Destroy_Task", vm, "");
    assert_eq!(host.files("[datastore1] new01"), Vec::<String>::new());
    host.refused("Destroy_Task", vm, "", "ManagedObjectNotFound");
}

#[test]
fn what_cannot_be_is_refused_as_a_whole() {
    let host = Host::new();
    let of = |more: &str| format!("<config>{more}</config>{POOL}");
    let files = "<files><vmPathName>[datastore1]</vmPathName></files>";
    let wrong = [
        (of(files), "InvalidArgument"),
        (of("<name>x</name>"), "InvalidArgument"),
        (
            of("<name>x</name><files><vmPathName>[none]</vmPathName></files>"),
            "InvalidDatastorePath",
        ),
        (of(&format!("<name>x</name>{files}<memoryMB>1023</memoryMB>")), "InvalidArgument"),
        (of(&format!("<name>x</name>{files}<numCPUs>0</numCPUs>")), "InvalidArgument"),
        (of(&format!("<name>x</name><guestId>none</guestId>{files}")), "InvalidArgument"),
        (of(&format!("<name>{}</name>{files}", "x".repeat(81))), "InvalidName"),
    ];
    for (args, fault) in wrong {
        host.fails("CreateVM_Task", FOLDER, &args, fault);
    }
    host.refused(
        "CreateVM_Task",
        FOLDER,
        &of(files).replace("ha-root-pool", "none"),
        "ManagedObjectNotFound",
    );
    assert_eq!(host.files("[datastore1] x"), Vec::<String>::new());
}

#[test]
fn fields_of_the_same_name_are_carried_over() {
    let host = Host::new();
    let id = create(&host, "new01", "");
    let vm = ("VirtualMachine", id.as_str());
    let version = host.get(vm, "config.changeVersion");
    host.done(
        "ReconfigVM_Task",
        vm,
        &format!(
            "<spec><changeVersion>{version}</changeVersion><annotation>a &lt; b</annotation>\
             <tools><syncTimeWithHost>true</syncTimeWithHost></tools>\
             <flags><diskUuidEnabled>true</diskUuidEnabled></flags>\
             <numCPUs>4</numCPUs><numCoresPerSocket>2</numCoresPerSocket>\
             <cpuHotAddEnabled>true</cpuHotAddEnabled>\
             <cpuAllocation><reservation>500</reservation></cpuAllocation>\
             <extraConfig><key>guestinfo.a</key><value xsi:type=\"xsd:string\">1</value></extraConfig>\
             <extraConfig><key>guestinfo.b</key><value xsi:type=\"xsd:string\">2</value></extraConfig>\
             <bootOptions><bootDelay>5000</bootDelay></bootOptions>\
             <firmware>efi</firmware></spec>"
        ),
    );
    assert_eq!(host.get(vm, "config.annotation"), "a &lt; b");
    assert_eq!(host.get(vm, "config.tools.syncTimeWithHost"), "true");
    assert_eq!(host.get(vm, "config.tools.afterPowerOn"), "true");
    assert_eq!(host.get(vm, "config.hardware.numCoresPerSocket"), "2");
    assert_eq!(host.get(vm, "config.cpuAllocation.reservation"), "500");
    assert_eq!(host.get(vm, "config.cpuAllocation.limit"), "-1");
    assert_eq!(host.get(vm, "config.bootOptions.bootDelay"), "5000");
    assert_eq!(host.get(vm, "config.firmware"), "efi");
    host.done(
        "ReconfigVM_Task",
        vm,
        "<spec><extraConfig><key>guestinfo.a</key><value xsi:type=\"xsd:string\"></value></extraConfig></spec>",
    );
    let options = host.get(vm, "config.extraConfig");
    assert!(!options.contains("guestinfo.a") && options.contains("guestinfo.b"), "{options}");
    let old = format!("<spec><changeVersion>{version}</changeVersion></spec>");
    host.fails("ReconfigVM_Task", vm, &old, "ConcurrentAccess");
    host.done("PowerOnVM_Task", vm, "");
    let spec = |it: &str| format!("<spec>{it}</spec>");
    host.done("ReconfigVM_Task", vm, &spec("<numCPUs>6</numCPUs>"));
    host.fails("ReconfigVM_Task", vm, &spec("<numCPUs>2</numCPUs>"), "CpuHotPlugNotSupported");
    let more = spec("<memoryMB>4096</memoryMB>");
    host.fails("ReconfigVM_Task", vm, &more, "MemoryHotPlugNotSupported");
    host.fails("ReconfigVM_Task", vm, &spec("<firmware>bios</firmware>"), "InvalidPowerState");
    host.done("ReconfigVM_Task", vm, &spec("<firmware>efi</firmware>"));
}

#[test]
fn a_boot_order_names_what_is_there() {
    let host = Host::new();
    let id = host.vm("test01");
    let vm = ("VirtualMachine", id.as_str());
    let order = |it: &str| format!("<spec><bootOptions>{it}</bootOptions></spec>");
    let disk = |key: i64| {
        order(&format!(
            "<bootOrder xsi:type=\"VirtualMachineBootOptionsBootableDiskDevice\"><deviceKey>{key}</deviceKey></bootOrder>"
        ))
    };
    host.fails("ReconfigVM_Task", vm, &disk(2009), "InvalidArgument");
    host.done("ReconfigVM_Task", vm, &disk(2000));
    assert!(host.get(vm, "config.bootOptions").contains("<deviceKey>2000</deviceKey>"));
    host.done("ReconfigVM_Task", vm, &order("<bootOrder/>"));
    assert!(!host.get(vm, "config.bootOptions").contains("bootOrder"));
}

#[test]
fn what_was_unregistered_can_be_registered_again() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let before = host.get(vm, "config.hardware");
    let uuid = host.get(vm, "config.uuid");
    host.ask("UnregisterVM", vm, "");
    let path = "<path>[datastore1] fw-lab/fw-lab.vmx</path>";
    let args = format!("{path}<asTemplate>false</asTemplate>{POOL}");
    let again = host.done("RegisterVM_Task", FOLDER, &args);
    let vm = ("VirtualMachine", again.as_str());
    assert_eq!(host.get(vm, "name"), "fw-lab");
    assert_eq!(host.get(vm, "config.uuid"), uuid);
    let after = host.get(vm, "config.hardware");
    for part in ["VirtualVmxnet3\"", "VirtualDisk\"", "VirtualCdrom\"", "<capacityInKB>8388608<"] {
        assert_eq!(count(&before, part), count(&after, part), "{part}: {after}");
    }
    host.fails("RegisterVM_Task", FOLDER, &args, "AlreadyExists");
    let none = args.replace("fw-lab.vmx", "none.vmx");
    host.fails("RegisterVM_Task", FOLDER, &none, "FileNotFound");
    host.done("PowerOnVM_Task", vm, "");
}

#[test]
fn a_copied_machine_asks_before_it_starts() {
    let host = Host::new();
    let old = host.vm("fw-lab");
    {
        let mut world = host.service.world();
        let file = world.files.all.get("[datastore1] fw-lab/fw-lab.vmx").unwrap().clone();
        let text = String::from_utf8(file.content.as_ref().unwrap().to_vec()).unwrap();
        let text = text.replace("fw-lab.vmdk", "/vmfs/volumes/datastore1/fw-lab/fw-lab.vmdk");
        let copy = jumpvisor::sim::files::File { content: Some(text.into_bytes().into()), ..file };
        world.files.all.insert("[datastore1] copy/copy.vmx".to_owned(), copy);
    }
    let args = format!(
        "<path>[datastore1] copy/copy.vmx</path><name>copy</name><asTemplate>false</asTemplate>{POOL}"
    );
    let id = host.done("RegisterVM_Task", FOLDER, &args);
    let vm = ("VirtualMachine", id.as_str());
    let task = inner(&host.ask("PowerOnVM_Task", vm, ""), "returnval").unwrap();
    let question = host.get(vm, "runtime.question");
    assert!(question.contains("msg.uuid.altered"), "{question}");
    assert_eq!(inner(&host.get(("Task", &task), "info"), "state").unwrap(), "running");
    let answer = |id: &str, choice: &str| {
        format!("<questionId>{id}</questionId><answerChoice>{choice}</answerChoice>")
    };
    let asked = inner(&question, "id").unwrap();
    host.refused("AnswerVM", vm, &answer("other", "2"), "InvalidArgument");
    host.refused("AnswerVM", vm, &answer(&asked, "9"), "InvalidArgument");
    host.ask("AnswerVM", vm, &answer(&asked, "2"));
    for _ in 0..100 {
        host.get(("Task", &task), "info");
    }
    assert_eq!(host.get(vm, "runtime.powerState"), "poweredOn");
    assert_ne!(host.get(vm, "config.uuid"), host.get(("VirtualMachine", &old), "config.uuid"));
}

#[test]
fn the_index_finds_by_everything() {
    let host = Host::new();
    let id = host.vm("web01");
    let vm = ("VirtualMachine", id.as_str());
    let uuid = host.get(vm, "config.uuid");
    let ways = [
        ("FindByUuid", format!("<uuid>{}</uuid><vmSearch>true</vmSearch>", uuid.to_uppercase())),
        ("FindByIp", "<ip>10.20.0.11</ip><vmSearch>true</vmSearch>".to_owned()),
        ("FindByDnsName", "<dnsName>WEB01</dnsName><vmSearch>true</vmSearch>".to_owned()),
        ("FindAllByDnsName", "<dnsName>web01</dnsName><vmSearch>true</vmSearch>".to_owned()),
        (
            "FindByDatastorePath",
            "<datacenter type=\"Datacenter\">ha-datacenter</datacenter><path>[datastore1] web01/web01.vmx</path>".to_owned(),
        ),
        ("FindChild", "<entity type=\"Folder\">ha-folder-vm</entity><name>web01</name>".to_owned()),
        ("FindByInventoryPath", "<inventoryPath>/ha-datacenter/vm/web01</inventoryPath>".to_owned()),
    ];
    for (method, args) in ways {
        let found = host.ask(method, INDEX, &args);
        assert_eq!(inner(&found, "returnval"), Some(id.clone()), "{method}");
    }
    let none = host.ask("FindByIp", INDEX, "<ip>10.9.9.9</ip><vmSearch>true</vmSearch>");
    assert_eq!(inner(&none, "returnval"), None);
    let args = "<dnsName>esxi01.lab.example</dnsName><vmSearch>false</vmSearch>";
    assert_eq!(inner(&host.ask("FindByDnsName", INDEX, args), "returnval").unwrap(), "ha-host");
}

#[test]
fn everything_that_is_shown_can_be_written() {
    let host = Host::new();
    for name in ["web01", "db01", "test01", "build01", "kiosk01"] {
        let id = host.vm(name);
        let vm = ("VirtualMachine", id.as_str());
        for path in [
            "capability",
            "config",
            "layoutEx",
            "storage",
            "environmentBrowser",
            "resourceConfig",
            "runtime",
            "guest",
            "summary",
            "snapshot",
            "rootSnapshot",
            "disabledMethod",
            "effectiveRole",
            "permission",
            "declaredAlarmState",
            "value",
        ] {
            let text = host.get(vm, path);
            assert!(!text.contains("RuntimeFault"), "{path}: {text}");
        }
        assert!(host.get(vm, "layoutEx").contains("diskExtent"));
    }
    let browser = ("EnvironmentBrowser", "ha-vm-environment");
    let all = host.ask("QueryConfigOptionDescriptor", browser, "");
    assert!(all.contains("<key>vmx-21</key>"), "{all}");
}

#[test]
fn hardware_is_upgraded_and_the_tools_disc_mounted() {
    let host = Host::new();
    let id = host.vm("web01");
    let vm = ("VirtualMachine", id.as_str());
    host.fails("UpgradeVM_Task", vm, "", "InvalidPowerState");
    host.ask("MountToolsInstaller", vm, "");
    assert_eq!(host.get(vm, "runtime.toolsInstallerMounted"), "true");
    host.ask("UnmountToolsInstaller", vm, "");
    host.done("PowerOffVM_Task", vm, "");
    host.refused("MountToolsInstaller", vm, "", "InvalidPowerState");
    host.fails("UpgradeVM_Task", vm, "", "AlreadyUpgraded");
    host.ask("RefreshStorageInfo", vm, "");
    host.ask("Reload", vm, "");
}

#[test]
fn thousands_are_there_at_once() {
    let began = std::time::Instant::now();
    let host = Host::of(false, Some(10_000));
    let id = host.vm("vm00003");
    let vm = ("VirtualMachine", id.as_str());
    host.done(
        "CreateSnapshot_Task",
        vm,
        "<name>a</name><memory>false</memory><quiesce>false</quiesce>",
    );
    let files = host.files("[datastore1] vm00003/");
    assert!(files.contains(&"[datastore1] vm00003/vm00003-000001.vmdk".to_owned()), "{files:?}");
    assert!(host.files("[datastore1] vm00004/").is_empty());
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn a_datastore_takes_its_machines_along_to_another_name() {
    let host = Host::new();
    let id = host.vm("test01");
    let vm = ("VirtualMachine", id.as_str());
    let store = inner(&host.get(vm, "datastore"), "ManagedObjectReference").unwrap();
    host.done("Rename_Task", ("Datastore", &store), "<newName>ssd</newName>");
    assert_eq!(host.get(vm, "summary.config.vmPathName"), "[ssd] test01/test01.vmx");
    assert!(host.files("[datastore1]").is_empty());
    host.done("RevertToCurrentSnapshot_Task", vm, "");
    host.done("PowerOnVM_Task", vm, "");
    host.fails("Rename_Task", ("Folder", "ha-folder-vm"), "<newName>x</newName>", "NotSupported");
}

#[test]
fn a_disk_is_written_by_one_machine_at_a_time() {
    let host = Host::new();
    let (one, other) = (host.vm("fw-lab"), host.vm("test01"));
    let attach = "<spec><deviceChange><operation>add</operation><device xsi:type=\"VirtualDisk\"><key>-1</key>\
         <backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[datastore1] fw-lab/fw-lab.vmdk</fileName>\
         <diskMode>persistent</diskMode></backing><controllerKey>1000</controllerKey><unitNumber>5</unitNumber>\
         <capacityInKB>0</capacityInKB></device></deviceChange></spec>";
    host.done("ReconfigVM_Task", ("VirtualMachine", &other), attach);
    host.done("PowerOnVM_Task", ("VirtualMachine", &one), "");
    host.fails("PowerOnVM_Task", ("VirtualMachine", &other), "", "FileLocked");
    host.service.world().files.all.remove("[datastore1] web01/web01.vmdk");
    let lost = host.vm("web01");
    host.done("PowerOffVM_Task", ("VirtualMachine", &lost), "");
    host.fails("PowerOnVM_Task", ("VirtualMachine", &lost), "", "FileNotFound");
}

#[test]
fn products_and_properties_are_kept() {
    let host = Host::new();
    let property = |operation: &str, value: &str| {
        format!(
            "<property><operation>{operation}</operation><info><key>0</key><id>ip</id><type>string</type>\
             <value>{value}</value></info></property>"
        )
    };
    let id = create(
        &host,
        "appliance",
        &format!(
            "<vAppConfig xsi:type=\"VmConfigSpec\"><product><operation>add</operation><info><key>0</key>\
             <name>Thing</name></info></product>{}</vAppConfig>",
            property("add", "10.0.0.1")
        ),
    );
    let vm = ("VirtualMachine", id.as_str());
    assert!(host.get(vm, "config.vAppConfig.property").contains("<value>10.0.0.1</value>"));
    let edit = format!("<spec><vAppConfig>{}</vAppConfig></spec>", property("edit", "10.0.0.2"));
    host.done("ReconfigVM_Task", vm, &edit);
    let kept = host.get(vm, "config.vAppConfig");
    assert!(kept.contains("10.0.0.2") && kept.contains("Thing"), "{kept}");
}
