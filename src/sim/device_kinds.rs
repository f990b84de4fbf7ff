//! What the host knows of each kind of device: keys, labels, how many there may be, and on what.

use crate::sim::inventory::thousands;
use crate::vim::value::Object;

/// One kind of device.
pub struct Kind {
    /// The type, or one that it extends.
    pub base: &'static str,
    /// The first key; disks and drives have theirs by their controller.
    pub key: i64,
    /// `Hard disk`; a number follows where there may be several.
    pub label: &'static str,
    /// The number in the first label.
    pub first: usize,
    /// How many a machine may have.
    pub most: usize,
    /// The controller that it hangs on; 0 where the request names one.
    pub controller: i64,
    /// May come and go while the machine runs.
    pub hot: bool,
}

const fn kind(
    base: &'static str,
    keys: (i64, i64),
    label: &'static str,
    (first, most): (usize, usize),
    hot: bool,
) -> Kind {
    Kind { base, key: keys.0, label, first, most, controller: keys.1, hot }
}

/// The PCI bus.
pub const PCI: i64 = 100;
const SIO: i64 = 400;

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    kind("VirtualIDEController", (200, -1), "IDE", (0, 2), false),
    kind("VirtualSCSIController", (1000, PCI), "SCSI controller", (0, 4), true),
    kind("VirtualSATAController", (15000, PCI), "SATA controller", (0, 4), true),
    // unverified: the keys of NVMe controllers and of what hangs on them.
    kind("VirtualNVMEController", (31000, PCI), "NVME controller", (0, 4), true),
    kind("VirtualUSBXHCIController", (14000, PCI), "USB xHCI controller", (0, 1), true),
    kind("VirtualUSBController", (7000, PCI), "USB controller", (0, 1), true),
    kind("VirtualDisk", (2000, 0), "Hard disk", (1, 256), true),
    kind("VirtualCdrom", (3000, 0), "CD/DVD drive", (1, 128), false),
    kind("VirtualEthernetCard", (4000, PCI), "Network adapter", (1, 10), true),
    kind("VirtualSoundCard", (5000, PCI), "Sound card", (1, 1), false),
    kind("VirtualFloppy", (8000, SIO), "Floppy drive", (1, 2), false),
    kind("VirtualSerialPort", (9000, SIO), "Serial port", (1, 32), false),
    kind("VirtualParallelPort", (10000, SIO), "Parallel port", (1, 3), false),
    kind("VirtualTPM", (11000, PCI), "Virtual TPM", (1, 1), false),
    kind("VirtualPCIPassthrough", (13000, PCI), "PCI device", (0, 16), false),
    kind("VirtualWDT", (18000, PCI), "Watchdog timer", (1, 1), false),
    kind("VirtualPrecisionClock", (19000, PCI), "Precision clock", (1, 1), false),
    kind("VirtualUSB", (20000, -1), "USB", (1, 20), true),
    // Every machine has these; they can be edited and not be had twice.
    kind("VirtualMachineVideoCard", (500, PCI), "Video card ", (0, 1), false),
    kind("VirtualMachineVMCIDevice", (12000, PCI), "VMCI device", (0, 1), false),
    kind("VirtualKeyboard", (600, 300), "Keyboard", (0, 1), false),
    kind("VirtualPointingDevice", (700, 300), "Pointing device", (0, 1), false),
    kind("VirtualPS2Controller", (300, -1), "PS2 controller 0", (0, 1), false),
    kind("VirtualPCIController", (PCI, -1), "PCI controller 0", (0, 1), false),
    kind("VirtualSIOController", (SIO, -1), "SIO controller 0", (0, 1), false),
    kind("VirtualDevice", (21000, PCI), "Device", (1, 32), false),
];

/// The kind of a device.
pub fn of(device: &Object) -> &'static Kind {
    let found = KINDS.iter().find(|it| device.is(it.base));
    found.or(KINDS.last()).unwrap_or(&KINDS[0])
}

impl Kind {
    /// Every machine has one, which stays.
    pub fn fixed(&self) -> bool {
        matches!(self.key, 500 | 12000 | 600 | 700 | 300 | PCI | SIO)
    }
}

/// How a controller takes disks and drives: type, first key, keys of a bus, units.
pub struct Bus {
    base: &'static str,
    first: i64,
    step: i64,
    /// How many units there are.
    pub units: i64,
}

const BUSES: &[Bus] = &[
    Bus { base: "VirtualIDEController", first: 3000, step: 2, units: 2 },
    Bus { base: "ParaVirtualSCSIController", first: 2000, step: 16, units: 64 },
    Bus { base: "VirtualSCSIController", first: 2000, step: 16, units: 16 },
    Bus { base: "VirtualSATAController", first: 16000, step: 30, units: 30 },
    Bus { base: "VirtualNVMEController", first: 32000, step: 15, units: 15 },
];

/// How this controller takes disks; `None` where it takes none.
pub fn bus(controller: &Object) -> Option<&'static Bus> {
    BUSES.iter().find(|it| controller.is(it.base))
}

impl Bus {
    /// The unit of the controller itself.
    pub fn own_unit(&self) -> Option<i64> {
        (self.first == 2000).then_some(7)
    }

    /// The key of what is there.
    pub fn key(&self, bus: i64, unit: i64) -> i64 {
        match unit < self.step {
            true => self.first + bus * self.step + unit,
            // unverified: the keys of the units that only paravirtual controllers have.
            false => self.first + 64 + bus * 64 + unit,
        }
    }
}

/// What a device's summary says.
pub fn summary(device: &Object, label: &str) -> String {
    let backing = |field: &str| device.get("backing").and_then(|it| it.text(field));
    let names: &[(&str, &str)] = &[
        ("ParaVirtualSCSIController", "VMware paravirtual SCSI"),
        ("VirtualLsiLogicSASController", "LSI Logic SAS"),
        ("VirtualLsiLogicController", "LSI Logic"),
        ("VirtualBusLogicController", "BusLogic"),
        ("VirtualSATAController", "AHCI"),
    ];
    if let Some((_, name)) = names.iter().find(|(kind, _)| device.is(kind)) {
        return (*name).to_owned();
    }
    if device.is("VirtualDisk") {
        return thousands(device.int("capacityInKB").unwrap_or(0));
    }
    if let Some(switch) = device.text("backing.port.switchUuid") {
        return format!("DVSwitch: {switch}");
    }
    let prefix = match device.is("VirtualCdrom") {
        true => "ISO",
        false if device.is("VirtualFloppy") => "Image",
        false => "File",
    };
    if let Some(file) = backing("fileName") {
        return format!("{prefix} {file}");
    }
    if let Some(uri) = backing("serviceURI") {
        return format!("Remote {uri}");
    }
    if let Some(pipe) = backing("pipeName") {
        return format!("Pipe {pipe}");
    }
    match device.get("backing").and_then(|it| it.as_object()) {
        Some(it) if it.is("VirtualDeviceRemoteDeviceBackingInfo") => "Remote device".to_owned(),
        Some(it) => match it.text("deviceName") {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => label.to_owned(),
        },
        None => label.to_owned(),
    }
}
