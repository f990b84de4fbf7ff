//! The machine room behind the peer: objects and their properties as the XML of their values.
//!
//! By default a standalone ESXi with three machines, with the ids that a real one has. Surprising:
//! a property is kept under the very path that a client asks for, so `config` and
//! `config.hardware.device` are two entries; a path that is not kept reads as unset.

use std::collections::BTreeMap;

use crate::scripted::answer::escaped;

/// One managed object.
#[derive(Clone)]
pub struct Thing {
    pub kind: &'static str,
    pub id: String,
    /// `<val …>…</val>` by path.
    pub props: BTreeMap<String, String>,
}

impl Thing {
    pub fn new(kind: &'static str, id: &str, name: &str) -> Thing {
        let thing = Thing { kind, id: id.to_owned(), props: BTreeMap::new() };
        thing.with("name", text(name))
    }

    /// The same with a property.
    pub fn with(mut self, path: &str, val: String) -> Thing {
        self.set(path, val);
        self
    }

    pub fn set(&mut self, path: &str, val: String) {
        self.props.insert(path.to_owned(), val);
    }
}

/// `<val>` of a string.
pub fn text(value: &str) -> String {
    typed("xsd:string", &escaped(value))
}

/// `<val>` of an int.
pub fn int(value: i64) -> String {
    typed("xsd:int", &value.to_string())
}

/// `<val>` of a long.
pub fn long(value: i64) -> String {
    typed("xsd:long", &value.to_string())
}

/// `<val>` of a boolean.
pub fn flag(value: bool) -> String {
    typed("xsd:boolean", &value.to_string())
}

/// `<val>` of any type.
pub fn typed(kind: &str, inside: &str) -> String {
    format!("<val xsi:type=\"{kind}\">{inside}</val>")
}

/// `<val>` of a reference.
pub fn refers(kind: &str, id: &str) -> String {
    format!("<val type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{}</val>", escaped(id))
}

/// `<val>` of several references.
pub fn refers_all(all: &[(&str, &str)]) -> String {
    let item = |(kind, id): &(&str, &str)| {
        format!(
            "<ManagedObjectReference type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</ManagedObjectReference>"
        )
    };
    let items: String = all.iter().map(item).collect();
    typed("ArrayOfManagedObjectReference", &items)
}

/// Whether an object of class `kind` is found by the name of class `wanted`.
pub fn is_a(kind: &str, wanted: &str) -> bool {
    kind == wanted
        || matches!(
            (kind, wanted),
            ("ClusterComputeResource", "ComputeResource")
                | ("DistributedVirtualPortgroup" | "OpaqueNetwork", "Network")
                | (_, "ManagedEntity")
        )
}

/// The places of a standalone ESXi.
pub fn places() -> Vec<Thing> {
    let folder = |id: &str, name: &str, parent: &str, kind: &str| {
        Thing::new("Folder", id, name).with("parent", refers(kind, parent))
    };
    let (root, center) = ("ha-folder-root", "ha-datacenter");
    let on_host = [("HostSystem", "ha-host")];
    vec![
        Thing::new("Folder", root, "ha-folder-root"),
        Thing::new("Datacenter", center, center)
            .with("parent", refers("Folder", root))
            .with("vmFolder", refers("Folder", "ha-folder-vm")),
        folder("ha-folder-vm", "vm", center, "Datacenter"),
        folder("ha-folder-host", "host", center, "Datacenter"),
        Thing::new("ComputeResource", "ha-compute-res", "esx1.lab")
            .with("parent", refers("Folder", "ha-folder-host"))
            .with("resourcePool", refers("ResourcePool", "ha-root-pool"))
            .with("datastore", refers_all(&[("Datastore", "ds-1")]))
            .with("network", refers_all(&[("Network", "HaNetwork-VM Network")]))
            .with("host", refers_all(&on_host)),
        Thing::new("HostSystem", "ha-host", "esx1.lab")
            .with("parent", refers("ComputeResource", "ha-compute-res")),
        Thing::new("ResourcePool", "ha-root-pool", "Resources")
            .with("parent", refers("ComputeResource", "ha-compute-res")),
        Thing::new("Datastore", "ds-1", "datastore1")
            .with("summary.freeSpace", long(100 << 30))
            .with("summary.capacity", long(200 << 30))
            .with("summary.accessible", flag(true))
            .with("summary.maintenanceMode", text("normal")),
        Thing::new("Network", "HaNetwork-VM Network", "VM Network"),
        licences("eval", "Evaluation Mode"),
    ]
}

/// The licence manager with one licence.
pub fn licences(edition: &str, name: &str) -> Thing {
    let info = format!(
        "<LicenseManagerLicenseInfo xsi:type=\"LicenseManagerLicenseInfo\">\
         <licenseKey>00000-00000-00000-00000-00000</licenseKey><editionKey>{edition}</editionKey>\
         <name>{name}</name><total>0</total><costUnit></costUnit></LicenseManagerLicenseInfo>"
    );
    let licences = typed("ArrayOfLicenseManagerLicenseInfo", &info);
    Thing { kind: "LicenseManager", id: "ha-license-manager".into(), props: BTreeMap::new() }
        .with("licenses", licences)
}

/// A machine with a disk of 16 GB, a card, a CD drive and one snapshot if `saved`.
pub fn machine(id: &str, name: &str, state: &str, saved: bool) -> Thing {
    let devices = devices(name);
    let mut it = Thing::new("VirtualMachine", id, name)
        .with("parent", refers("Folder", "ha-folder-vm"))
        .with("runtime.powerState", typed("VirtualMachinePowerState", state))
        .with("runtime.connectionState", typed("VirtualMachineConnectionState", "connected"))
        .with("runtime.host", refers("HostSystem", "ha-host"))
        .with("summary.config.numCpu", int(2))
        .with("summary.config.memorySizeMB", int(4096))
        .with("summary.config.guestFullName", text("Debian GNU/Linux 12 (64-bit)"))
        .with("summary.config.template", flag(false))
        .with("summary.config.uuid", text(&format!("4210e6f5-1b5c-a7c4-0c0f-{:0>12}", id)))
        .with("guest.toolsRunningStatus", text("guestToolsRunning"))
        .with("config.changeVersion", text("2024-01-01T00:00:00.0Z"))
        .with("config.hardware.numCPU", int(2))
        .with("config.hardware.numCoresPerSocket", int(1))
        .with("config.hardware.memoryMB", int(4096))
        .with("config.hardware.device", typed("ArrayOfVirtualDevice", &named(&devices)))
        .with("config.bootOptions", typed("VirtualMachineBootOptions", ""))
        .with("datastore", refers_all(&[("Datastore", "ds-1")]))
        .with("network", refers_all(&[("Network", "HaNetwork-VM Network")]))
        .with("resourcePool", refers("ResourcePool", "ha-root-pool"))
        .with("config", config(name, &devices));
    if saved {
        it.set("snapshot", snapshot(id));
    }
    it
}

fn devices(name: &str) -> Vec<(&'static str, String)> {
    let label = |label: &str| {
        format!("<deviceInfo><label>{label}</label><summary>{label}</summary></deviceInfo>")
    };
    vec![
        (
            "VirtualIDEController",
            format!("<key>200</key>{}<busNumber>0</busNumber>", label("IDE 0")),
        ),
        (
            "ParaVirtualSCSIController",
            format!(
                "<key>1000</key>{}<controllerKey>100</controllerKey><unitNumber>3</unitNumber>\
                 <busNumber>0</busNumber><device>2000</device><hotAddRemove>true</hotAddRemove>\
                 <sharedBus>noSharing</sharedBus><scsiCtlrUnitNumber>7</scsiCtlrUnitNumber>",
                label("SCSI controller 0")
            ),
        ),
        (
            "VirtualDisk",
            format!(
                "<key>2000</key>{}<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">\
                 <fileName>[datastore1] {name}/{name}.vmdk</fileName><diskMode>persistent</diskMode>\
                 <thinProvisioned>true</thinProvisioned></backing><controllerKey>1000</controllerKey>\
                 <unitNumber>0</unitNumber><capacityInKB>16777216</capacityInKB>",
                label("Hard disk 1")
            ),
        ),
        (
            "VirtualCdrom",
            format!(
                "<key>3000</key>{}<backing xsi:type=\"VirtualCdromRemotePassthroughBackingInfo\">\
                 <deviceName></deviceName><exclusive>false</exclusive></backing>\
                 <controllerKey>200</controllerKey><unitNumber>0</unitNumber>",
                label("CD/DVD drive 1")
            ),
        ),
        (
            "VirtualVmxnet3",
            format!(
                "<key>4000</key>{}<backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\">\
                 <deviceName>VM Network</deviceName><network type=\"Network\">HaNetwork-VM Network\
                 </network></backing><controllerKey>100</controllerKey><unitNumber>7</unitNumber>\
                 <addressType>generated</addressType><macAddress>00:0c:29:01:02:03</macAddress>",
                label("Network adapter 1")
            ),
        ),
    ]
}

/// `config.hardware.device` with a card on a network of the past and a serial port.
pub fn plugged() -> String {
    typed(
        "ArrayOfVirtualDevice",
        "<VirtualDevice xsi:type=\"VirtualVmxnet3\"><key>4000</key><deviceInfo>\
         <label>Network adapter 1</label><summary>Old</summary></deviceInfo>\
         <backing xsi:type=\"VirtualEthernetCardNetworkBackingInfo\"><deviceName>Old</deviceName>\
         </backing><controllerKey>100</controllerKey><unitNumber>7</unitNumber>\
         <addressType>generated</addressType><macAddress>00:0c:29:01:02:03</macAddress>\
         </VirtualDevice><VirtualDevice xsi:type=\"VirtualSerialPort\"><key>9000</key>\
         <deviceInfo><label>Serial port 1</label><summary>Remote</summary></deviceInfo>\
         <backing xsi:type=\"VirtualSerialPortURIBackingInfo\">\
         <serviceURI>telnet://:2001</serviceURI><direction>server</direction></backing>\
         <controllerKey>400</controllerKey><unitNumber>0</unitNumber>\
         <yieldOnPoll>true</yieldOnPoll></VirtualDevice>",
    )
}

fn named(devices: &[(&str, String)]) -> String {
    let item = |(kind, inside): &(&str, String)| {
        format!("<VirtualDevice xsi:type=\"{kind}\">{inside}</VirtualDevice>")
    };
    devices.iter().map(item).collect()
}

fn config(name: &str, devices: &[(&'static str, String)]) -> String {
    let item =
        |(kind, inside): &(&str, String)| format!("<device xsi:type=\"{kind}\">{inside}</device>");
    let devices: String = devices.iter().map(item).collect();
    typed(
        "VirtualMachineConfigInfo",
        &format!(
            "<changeVersion>1</changeVersion><modified>2024-01-01T00:00:00Z</modified>\
             <name>{name}</name><guestFullName>Debian</guestFullName><version>vmx-19</version>\
             <uuid>4210e6f5-1b5c-a7c4-0c0f-2b0f3c1f0a9e</uuid><guestId>debian12_64Guest</guestId>\
             <hardware><numCPU>2</numCPU><numCoresPerSocket>1</numCoresPerSocket>\
             <memoryMB>4096</memoryMB>{devices}</hardware><firmware>bios</firmware>"
        ),
    )
}

fn snapshot(vm: &str) -> String {
    typed(
        "VirtualMachineSnapshotInfo",
        &format!(
            "<currentSnapshot type=\"VirtualMachineSnapshot\">{vm}-snapshot-1</currentSnapshot>\
             <rootSnapshotList><snapshot type=\"VirtualMachineSnapshot\">{vm}-snapshot-1</snapshot>\
             <vm type=\"VirtualMachine\">{vm}</vm><name>before</name><description></description>\
             <id>1</id><createTime>2024-01-31T10:20:30.123456Z</createTime>\
             <state>poweredOff</state><quiesced>false</quiesced></rootSnapshotList>"
        ),
    )
}

/// `runtime.question` of a machine that has been copied.
pub fn question() -> String {
    typed(
        "VirtualMachineQuestionInfo",
        "<id>msg.uuid.altered:1</id>\
         <text>This virtual machine might have been moved or copied.</text>\
         <choice><choiceInfo><label>button.uuid.movedTheVM</label>\
         <summary>I Moved It</summary><key>1</key></choiceInfo>\
         <choiceInfo><label>I Copied It</label><summary>I Copied It</summary><key>2</key>\
         </choiceInfo><defaultIndex>1</defaultIndex></choice>\
         <message><id>msg.uuid.altered</id><text>moved or copied</text></message>",
    )
}
