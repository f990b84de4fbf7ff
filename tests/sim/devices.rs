//! Devices are added, edited and removed.

use crate::talk::{Host, count, inner};

fn spec(changes: &[&str]) -> String {
    let all: String =
        changes.iter().map(|it| format!("<deviceChange>{it}</deviceChange>")).collect();
    format!("<spec>{all}</spec>")
}

fn disk(file: &str, (controller, unit): (i64, i64), kilobytes: i64) -> String {
    format!(
        "<device xsi:type=\"VirtualDisk\"><key>-9</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">\
         <fileName>{file}</fileName><diskMode>persistent</diskMode><thinProvisioned>true</thinProvisioned></backing>\
         <controllerKey>{controller}</controllerKey><unitNumber>{unit}</unitNumber>\
         <capacityInKB>{kilobytes}</capacityInKB></device>"
    )
}

fn add_disk(file: &str, at: (i64, i64), kilobytes: i64) -> String {
    let device = disk(file, at, kilobytes);
    format!("<operation>add</operation><fileOperation>create</fileOperation>{device}")
}

const SCSI: &str = "<operation>add</operation><device xsi:type=\"VirtualLsiLogicController\"><key>-1</key>\
     <busNumber>1</busNumber><sharedBus>noSharing</sharedBus></device>";

#[test]
fn a_controller_and_disks_on_it_come_in_one_request() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let disks = [add_disk("[nas01]", (-1, 0), 1 << 20), add_disk("", (1000, 1), 2 << 20)];
    host.done("ReconfigVM_Task", vm, &spec(&[&disks[0], &disks[1], SCSI]));
    let far = host.get(vm, "config.hardware.device[2016]");
    assert!(
        far.contains("[nas01] fw-lab/fw-lab.vmdk") && far.contains("<controllerKey>1001<"),
        "{far}"
    );
    assert!(far.contains("<label>Hard disk 2</label><summary>1,048,576 KB</summary>"), "{far}");
    let near = host.get(vm, "config.hardware.device[2001]");
    assert!(near.contains("[datastore1] fw-lab/fw-lab_1.vmdk"), "{near}");
    let controller = host.get(vm, "config.hardware.device[1001]");
    assert!(controller.contains("<label>SCSI controller 1</label><summary>LSI Logic</summary>"));
    assert!(controller.contains("<device>2016</device>"), "{controller}");
    assert!(host.files("[nas01] fw-lab/").contains(&"[nas01] fw-lab/fw-lab-flat.vmdk".to_owned()));
    assert_eq!(count(&host.get(vm, "datastore"), "Datastore"), 2);

    // One goes and keeps its file, the other goes with it.
    let keep = "<operation>remove</operation><device xsi:type=\"VirtualDisk\"><key>2016</key><capacityInKB>0</capacityInKB></device>";
    let drop = "<operation>remove</operation><fileOperation>destroy</fileOperation>\
         <device xsi:type=\"VirtualDisk\"><key>2001</key><capacityInKB>0</capacityInKB></device>";
    host.done("ReconfigVM_Task", vm, &spec(&[keep, drop]));
    assert_eq!(host.files("[nas01] fw-lab/").len(), 2);
    assert_eq!(host.files("[datastore1] fw-lab/fw-lab_1").len(), 0);
    // It is attached again, with the size that it has.
    let attach =
        format!("<operation>add</operation>{}", disk("[nas01] fw-lab/fw-lab.vmdk", (1001, 3), 0));
    host.done("ReconfigVM_Task", vm, &spec(&[&attach]));
    assert!(host.get(vm, "config.hardware.device[2019]").contains("<capacityInKB>1048576<"));
}

#[test]
fn what_cannot_be_attached_is_refused() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let attach = |file: &str| format!("<operation>add</operation>{}", disk(file, (1000, 3), 0));
    let nic = |backing: &str, more: &str| {
        format!(
            "<operation>add</operation><device xsi:type=\"VirtualE1000e\"><key>-1</key>{backing}{more}</device>"
        )
    };
    let network = |name: &str| {
        format!(
            "<backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>{name}</deviceName></backing>"
        )
    };
    let manual = |it: &str| {
        nic(
            &network("Lab"),
            &format!("<addressType>manual</addressType><macAddress>{it}</macAddress>"),
        )
    };
    let iso = "<operation>edit</operation><device xsi:type=\"VirtualCdrom\"><key>16000</key>\
         <backing xsi:type=\"VirtualCdromIsoBackingInfo\"><fileName>[datastore1] none.iso</fileName></backing>\
         <connectable><startConnected>true</startConnected><allowGuestControl>true</allowGuestControl>\
         <connected>false</connected></connectable></device>";
    let thick = add_disk("", (1000, 3), 1 << 40).replace("ed>true<", "ed>false<");
    let wrong = [
        (thick, "NoDiskSpace"),
        (format!("<device {}", disk("", (1000, 3), 0).split_once(' ').unwrap().1), "InvalidArgument"),
        (SCSI.replace("<busNumber>1<", "<busNumber>0<"), "InvalidDeviceSpec"),
        (
            "<operation>remove</operation><device xsi:type=\"VirtualAHCIController\"><key>15000</key>\
             <busNumber>0</busNumber></device>"
                .to_owned(),
            "InvalidController",
        ),
        (
            "<operation>remove</operation><device xsi:type=\"VirtualMachineVideoCard\"><key>500</key></device>"
                .to_owned(),
            "InvalidDeviceOperation",
        ),
        (add_disk("", (1000, 0), 1024), "InvalidDeviceSpec"),
        (add_disk("", (1000, 7), 1024), "InvalidDeviceSpec"),
        (add_disk("", (1009, 0), 1024), "MissingController"),
        (add_disk("", (100, 0), 1024), "InvalidController"),
        (add_disk("", (1000, 3), 0), "InvalidDeviceSpec"),
        (add_disk("[datastore1] fw-lab/fw-lab.vmdk", (1000, 3), 1024), "FileAlreadyExists"),
        (add_disk("[none]", (1000, 3), 1024), "InvalidDatastorePath"),
        (attach("[datastore1] fw-lab/none.vmdk"), "FileNotFound"),
        (nic(&network("None"), ""), "InvalidDeviceBacking"),
        (manual("00:50:56:80:00:01"), "InvalidDeviceSpec"),
        (manual("01:00:5e:00:00:01"), "InvalidDeviceSpec"),
        (manual("nonsense"), "InvalidDeviceSpec"),
        (iso.to_owned(), "FileNotFound"),
    ];
    for (change, fault) in &wrong {
        let info = host.fails("ReconfigVM_Task", vm, &spec(&[change]), fault);
        assert!(!info.contains("=\"InvalidDevice") || info.contains("<deviceIndex>0<"), "{info}");
    }
    // The second is wrong, so the first is not done either.
    let info = host.fails(
        "ReconfigVM_Task",
        vm,
        &spec(&[&add_disk("", (1000, 4), 1024), &add_disk("", (1000, 0), 1024)]),
        "InvalidDeviceSpec",
    );
    assert!(info.contains("<deviceIndex>1<"), "{info}");
    assert_eq!(host.get(vm, "config.hardware.device[2004]"), "");
    assert_eq!(host.files("[datastore1] fw-lab/fw-lab_1").len(), 0);
    host.done("ReconfigVM_Task", vm, &spec(&[&manual("00:50:56:10:00:01")]));
    let card = host.get(vm, "config.hardware.device[4002]");
    assert!(card.contains("<label>Network adapter 3</label><summary>Lab</summary>"), "{card}");
    assert!(card.contains("<unitNumber>9</unitNumber>"), "{card}");
}

#[test]
fn disks_grow_but_do_not_shrink() {
    let host = Host::new();
    let resize = |kilobytes: i64| {
        let device = disk("", (1000, 0), kilobytes).replace("<key>-9<", "<key>2000<");
        spec(&[&format!("<operation>edit</operation>{device}")])
    };
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    host.done("ReconfigVM_Task", vm, &resize(16 << 20));
    let disk = host.get(vm, "config.hardware.device[2000]");
    assert!(disk.contains("<summary>16,777,216 KB<") && disk.contains("17179869184"), "{disk}");
    host.fails("ReconfigVM_Task", vm, &resize(8 << 20), "InvalidDeviceOperation");
    let test = host.vm("test01");
    host.fails(
        "ReconfigVM_Task",
        ("VirtualMachine", &test),
        &resize(40 << 20),
        "InvalidDeviceOperation",
    );
}

#[test]
fn a_running_machine_takes_some_devices_only() {
    let host = Host::new();
    let id = host.vm("web01");
    let vm = ("VirtualMachine", id.as_str());
    let serial = "<operation>add</operation><device xsi:type=\"VirtualSerialPort\"><key>-1</key>\
         <backing xsi:type=\"VirtualSerialPortURIBackingInfo\"><serviceURI>telnet://:2001</serviceURI>\
         <direction>server</direction><proxyURI>telnet://10.0.0.9:13370</proxyURI></backing>\
         <yieldOnPoll>true</yieldOnPoll></device>";
    host.fails("ReconfigVM_Task", vm, &spec(&[serial]), "InvalidPowerState");
    host.done("ReconfigVM_Task", vm, &spec(&[&add_disk("", (1000, 1), 1 << 20)]));
    let nic = "<operation>add</operation><device xsi:type=\"VirtualVmxnet3\"><key>-1</key>\
         <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName></deviceName>\
         <network type=\"Network\">HaNetwork-DMZ</network></backing></device>";
    host.done("ReconfigVM_Task", vm, &spec(&[nic]));
    let card = host.get(vm, "config.hardware.device[4001]");
    assert!(card.contains("<deviceName>DMZ<") && card.contains("<connected>true<"), "{card}");
    assert!(card.contains("<addressType>generated</addressType><macAddress>00:0c:29:"), "{card}");
    host.done("PowerOffVM_Task", vm, "");
    assert!(host.get(vm, "config.hardware.device[4001]").contains("<connected>false<"));
    host.done("ReconfigVM_Task", vm, &spec(&[serial]));
    let port = host.get(vm, "config.hardware.device[9000]");
    assert!(port.contains("<label>Serial port 1</label>"), "{port}");
    assert!(
        port.contains("<proxyURI>telnet://10.0.0.9:13370<") && port.contains("<controllerKey>400<")
    );
    let remove = "<operation>remove</operation><device xsi:type=\"VirtualSerialPort\"><key>9000</key><yieldOnPoll>true</yieldOnPoll></device>";
    host.done("ReconfigVM_Task", vm, &spec(&[remove]));
    assert_eq!(host.get(vm, "config.hardware.device[9000]"), "");
    let remove = remove.replace("9000", "9007");
    let info = host.fails("ReconfigVM_Task", vm, &spec(&[&remove]), "InvalidDeviceSpec");
    assert_eq!(inner(&info, "localizedMessage").unwrap(), "Invalid configuration for device '0'.");
}

#[test]
fn there_is_a_bound_to_devices_and_a_question_stops_changes() {
    let host = Host::new();
    let id = host.vm("fw-lab");
    let vm = ("VirtualMachine", id.as_str());
    let nic = "<operation>add</operation><device xsi:type=\"VirtualE1000\"><key>-1</key>\
         <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>Lab</deviceName></backing></device>";
    host.done("ReconfigVM_Task", vm, &spec(&[nic; 8]));
    host.fails("ReconfigVM_Task", vm, &spec(&[nic]), "TooManyDevices");
    let mut addresses: Vec<String> = (4000..4010)
        .map(|key| host.get(vm, &format!("config.hardware.device[{key}].macAddress")))
        .collect();
    addresses.dedup();
    assert!(addresses.len() == 10 && addresses.iter().all(|it| it.len() == 17), "{addresses:?}");
    let kiosk = host.vm("kiosk01");
    let kiosk = ("VirtualMachine", kiosk.as_str());
    host.fails("ReconfigVM_Task", kiosk, "<spec/>", "QuestionPending");
    host.ask("AnswerVM", kiosk, "<questionId>_vmx1</questionId><answerChoice>0</answerChoice>");
    host.done("ReconfigVM_Task", kiosk, "<spec/>");
}
