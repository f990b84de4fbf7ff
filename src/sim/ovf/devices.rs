//! Which device of the API is which item of OVF, and which settings OVF carries beside them.
//!
//! One table read both ways, so that what is exported is imported as the same thing. It knows no
//! descriptor. Surprising: settings are paths into the schema's own types, which is what
//! `vmw:Config` is on real hosts too; only those of the lists here are taken.

use crate::vim::table::Field;
use crate::vim::table::Type;
use crate::vim::table::TypeKind;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// CIM's number for a processor.
pub const CPU: u64 = 3;
/// CIM's number for memory.
pub const MEMORY: u64 = 4;
/// CIM's number for an IDE controller.
pub const IDE: u64 = 5;
/// CIM's number for a SCSI controller.
pub const SCSI: u64 = 6;
/// CIM's number for a network card.
pub const NIC: u64 = 10;
/// CIM's number for a CD drive.
pub const CD: u64 = 15;
/// CIM's number for a disk.
pub const DISK: u64 = 17;
/// CIM's number for other storage: SATA, NVMe.
pub const STORAGE: u64 = 20;

/// One kind of device.
pub struct Sort {
    /// `rasd:ResourceType`.
    pub cim: u64,
    /// `rasd:ResourceSubType`; compared without case.
    pub sub: &'static str,
    /// The class of the device.
    pub device: &'static str,
    /// The class of its backing, if it always has the same.
    pub backing: &'static str,
}

const fn sort(cim: u64, sub: &'static str, device: &'static str, backing: &'static str) -> Sort {
    Sort { cim, sub, device, backing }
}

/// Of one number, the first is taken where no subtype is named. unverified: which one hosts take.
const SORTS: &[Sort] = &[
    sort(IDE, "", "VirtualIDEController", ""),
    sort(IDE, "PIIX4", "VirtualIDEController", ""),
    sort(IDE, "PIIX3", "VirtualIDEController", ""),
    sort(SCSI, "lsilogic", "VirtualLsiLogicController", ""),
    sort(SCSI, "lsilogicsas", "VirtualLsiLogicSASController", ""),
    sort(SCSI, "VirtualSCSI", "ParaVirtualSCSIController", ""),
    sort(SCSI, "buslogic", "VirtualBusLogicController", ""),
    sort(STORAGE, "vmware.sata.ahci", "VirtualAHCIController", ""),
    // unverified: VirtualBox's name; old hosts knew no device of type 20 at all.
    sort(STORAGE, "AHCI", "VirtualAHCIController", ""),
    sort(STORAGE, "vmware.nvme.controller", "VirtualNVMEController", ""),
    sort(NIC, "E1000", "VirtualE1000", ""),
    sort(NIC, "E1000e", "VirtualE1000e", ""),
    sort(NIC, "VmxNet3", "VirtualVmxnet3", ""),
    sort(NIC, "VmxNet2", "VirtualVmxnet2", ""),
    sort(NIC, "PCNet32", "VirtualPCNet32", ""),
    sort(14, "vmware.floppy.remotedevice", "VirtualFloppy", "VirtualFloppyRemoteDeviceBackingInfo"),
    sort(14, "vmware.floppy.image", "VirtualFloppy", "VirtualFloppyImageBackingInfo"),
    sort(14, "vmware.floppy.device", "VirtualFloppy", "VirtualFloppyDeviceBackingInfo"),
    sort(
        CD,
        "vmware.cdrom.remotepassthrough",
        "VirtualCdrom",
        "VirtualCdromRemotePassthroughBackingInfo",
    ),
    sort(CD, "vmware.cdrom.iso", "VirtualCdrom", "VirtualCdromIsoBackingInfo"),
    sort(CD, "vmware.cdrom.atapi", "VirtualCdrom", "VirtualCdromAtapiBackingInfo"),
    sort(CD, "vmware.cdrom.passthrough", "VirtualCdrom", "VirtualCdromPassthroughBackingInfo"),
    sort(CD, "vmware.cdrom.remoteatapi", "VirtualCdrom", "VirtualCdromRemoteAtapiBackingInfo"),
    sort(DISK, "", "VirtualDisk", "VirtualDiskFlatVer2BackingInfo"),
    sort(21, "vmware.serialport.device", "VirtualSerialPort", "VirtualSerialPortDeviceBackingInfo"),
    sort(21, "vmware.serialport.uri", "VirtualSerialPort", "VirtualSerialPortURIBackingInfo"),
    sort(21, "vmware.serialport.file", "VirtualSerialPort", "VirtualSerialPortFileBackingInfo"),
    sort(21, "vmware.serialport.pipe", "VirtualSerialPort", "VirtualSerialPortPipeBackingInfo"),
    sort(
        22,
        "vmware.parallelport.device",
        "VirtualParallelPort",
        "VirtualParallelPortDeviceBackingInfo",
    ),
    sort(
        22,
        "vmware.parallelport.file",
        "VirtualParallelPort",
        "VirtualParallelPortFileBackingInfo",
    ),
    sort(23, "vmware.usb.ehci", "VirtualUSBController", ""),
    sort(23, "vmware.usb.xhci", "VirtualUSBXHCIController", ""),
    sort(24, "", "VirtualMachineVideoCard", ""),
    sort(1, "vmware.vmci", "VirtualMachineVMCIDevice", ""),
    sort(1, "vmware.soundcard.hdaudio", "VirtualHdAudioCard", "VirtualSoundCardDeviceBackingInfo"),
    sort(
        1,
        "vmware.soundcard.ensoniq1371",
        "VirtualEnsoniq1371",
        "VirtualSoundCardDeviceBackingInfo",
    ),
];

/// The device of this number and the first subtype of a list that is known; without a subtype the
/// usual one. An error says whether at least the number is known.
pub fn wanted(cim: u64, subtypes: &str) -> Result<&'static Sort, bool> {
    // A DVD drive is a CD drive.
    let cim = if cim == 16 { CD } else { cim };
    let mut own = SORTS.iter().filter(|it| it.cim == cim);
    let mut names = subtypes.split([' ', ',']).filter(|it| !it.is_empty()).peekable();
    if names.peek().is_none() && cim != 1 {
        return own.next().ok_or(false);
    }
    let named = |name: &str| own.clone().find(|it| it.sub.eq_ignore_ascii_case(name));
    names.find_map(named).ok_or(own.clone().next().is_some())
}

/// The item that a device becomes.
pub fn of_device(device: &Object) -> Option<&'static Sort> {
    let mut own = SORTS.iter().filter(|it| device.kind() == it.device);
    let backing = device.object("backing").map_or("", |it| it.kind());
    own.clone().find(|it| it.backing == backing).or_else(|| own.next())
}

/// How many units a controller has, and how many of its kind a machine.
pub fn room(sort: &Sort) -> (i64, i64) {
    match (sort.cim, sort.device) {
        (IDE, _) => (2, 2),
        (SCSI, _) => (16, 4),
        (_, "VirtualNVMEController") => (15, 4),
        _ => (30, 4),
    }
}

/// Where a device is, as leases and descriptors name it: `VirtualLsiLogicController0:0`.
///
/// unverified: CD drives and floppies; disks are seen so.
pub fn slot(devices: &[Value], device: &Object) -> Option<String> {
    let key = device.int("controllerKey")?;
    let all = devices.iter().filter_map(Value::as_object);
    let controller = all.into_iter().find(|it| it.int("key") == Some(key))?;
    let (bus, unit) = (controller.int("busNumber")?, device.int("unitNumber")?);
    Some(format!("{}{bus}:{unit}", controller.kind()))
}

/// Settings of the whole machine, as paths into its spec.
pub const MACHINE: &[&str] = &[
    "bootOptions.efiSecureBootEnabled",
    "cpuHotAddEnabled",
    "cpuHotRemoveEnabled",
    "firmware",
    "flags.vbsEnabled",
    "flags.vvtdEnabled",
    "memoryHotAddEnabled",
    "nestedHVEnabled",
    "powerOpInfo.powerOffType",
    "powerOpInfo.resetType",
    "powerOpInfo.standbyAction",
    "powerOpInfo.suspendType",
    "simultaneousThreads",
    "tools.afterPowerOn",
    "tools.afterResume",
    "tools.beforeGuestShutdown",
    "tools.beforeGuestStandby",
    "tools.syncTimeWithHost",
    "tools.toolsUpgradePolicy",
    "vPMCEnabled",
    "virtualICH7MPresent",
    "virtualSMCPresent",
];

/// Settings of a device, as paths into it.
pub const DEVICE: &[&str] = &[
    "allowUnrestrictedCommunication",
    "autoConnectDevices",
    "backing.writeThrough",
    "connectable.allowGuestControl",
    "ehciEnabled",
    "enable3DSupport",
    "graphicsMemorySizeInKB",
    "numDisplays",
    "slotInfo.pciSlotNumber",
    "uptCompatibilityEnabled",
    "use3dRenderer",
    "useAutoDetect",
    "videoRamSizeInKB",
    "wakeOnLanEnabled",
    "yieldOnPoll",
];

/// Sets what is at a path; false where the type has no such field or the field no such value.
pub fn apply(object: &mut Object, path: &str, text: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(field) = object.ty().and_then(|it| it.field(name)) else { return false };
    if rest.is_empty() {
        let value = scalar(field, text);
        let fits = value.is_some();
        if let Some(value) = value {
            object.set(field.name, value);
        }
        return fits;
    }
    if object.get(name).is_none() {
        let kind = match field.ty.name() {
            "VirtualDeviceBusSlotInfo" => "VirtualDevicePciBusSlotInfo",
            other => other,
        };
        object.set(field.name, Object::new(kind));
    }
    match object.field_mut(name) {
        Some(Value::Object(inner)) => apply(inner, rest, text),
        _ => false,
    }
}

fn scalar(field: Field, text: &str) -> Option<Value> {
    match (field.ty.kind(), field.ty.name()) {
        (TypeKind::Enum, _) => field.ty.values().find(|it| *it == text).map(Value::from),
        (_, "boolean") => text.parse().ok().map(Value::Bool),
        (_, "int") => text.parse().ok().map(|it: i32| it.into()),
        (_, "long") => text.parse().ok().map(Value::Int),
        (_, "string") => Some(text.into()),
        _ => None,
    }
}

/// An object with all that its type must have, empty.
pub fn blank(kind: &'static str) -> Object {
    let mut object = Object::new(kind);
    let fields = Type::find(kind).into_iter().flat_map(Type::fields);
    for field in fields.filter(|it| !it.optional && !it.array) {
        let first = field.ty.values().next();
        let value = match field.ty.name() {
            "boolean" => Value::Bool(false),
            "int" | "long" => Value::Int(0),
            _ => first.unwrap_or_default().into(),
        };
        object.set(field.name, value);
    }
    object
}

/// Operating systems: CIM's number, and the host's name for each.
const SYSTEMS: &[(u64, &str)] = &[
    (67, "winXPProGuest"),
    (69, "winNetStandardGuest"),
    (70, "winNetStandard64Guest"),
    (73, "winVistaGuest"),
    (74, "winVista64Guest"),
    (76, "winLonghornGuest"),
    (77, "winLonghorn64Guest"),
    (103, "windows7Server64Guest"),
    (105, "windows7_64Guest"),
    (113, "windows8Server64Guest"),
    (115, "windows8_64Guest"),
    (117, "windows9Server64Guest"),
    (120, "windows9Guest"),
    (121, "windows9_64Guest"),
    (42, "freebsdGuest"),
    (78, "freebsd64Guest"),
    (29, "solaris10_64Guest"),
    (36, "otherLinuxGuest"),
    (79, "rhel6Guest"),
    (80, "rhel7_64Guest"),
    (84, "slesGuest"),
    (85, "sles64Guest"),
    (93, "ubuntuGuest"),
    (94, "ubuntu64Guest"),
    (95, "debian6Guest"),
    (96, "debian10_64Guest"),
    (99, "other26xLinuxGuest"),
    (100, "other26xLinux64Guest"),
    (101, "otherLinux64Guest"),
    (106, "centosGuest"),
    (107, "centos64Guest"),
    (109, "oracleLinux64Guest"),
    (1, "otherGuest"),
    (102, "otherGuest64"),
];

/// The host's name for CIM's number.
pub fn guest_of(number: u64) -> Option<&'static str> {
    SYSTEMS.iter().find(|(it, _)| *it == number).map(|(_, name)| *name)
}

/// CIM's number for the host's name: of the same system, else of its family.
pub fn number_of(guest: &str) -> u64 {
    let wide = |it: &str| it.contains("64");
    let alike = |it: &str| family(it) == family(guest) && wide(it) == wide(guest);
    let found = SYSTEMS.iter().find(|(_, it)| *it == guest);
    let found = found.or_else(|| SYSTEMS.iter().find(|(_, it)| alike(it)));
    found.map_or(if wide(guest) { 102 } else { 1 }, |(number, _)| *number)
}

/// `debian12_64Guest` is numbered like `debian10_64Guest`.
fn family(guest: &str) -> &str {
    let end = guest.find(|c: char| c.is_ascii_digit()).or(guest.find("Guest"));
    &guest[..end.unwrap_or(guest.len())]
}

/// How many bytes a unit is: `byte * 2^30`, `MegaBytes`, `MB`; nothing for what is none.
pub fn unit(text: &str) -> Option<u64> {
    let small: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    let small = small.to_ascii_lowercase();
    let legacy = match small.as_str() {
        "" | "byte" | "bytes" => 0,
        "kilobytes" | "kb" => 10,
        "megabytes" | "mb" => 20,
        "gigabytes" | "gb" => 30,
        "terabytes" | "tb" => 40,
        _ => 64,
    };
    if legacy < 64 {
        return Some(1 << legacy);
    }
    small.split('*').try_fold(1u64, |product, factor| {
        let factor = match factor.split_once('^') {
            Some((base, power)) => base.parse::<u64>().ok()?.checked_pow(power.parse().ok()?)?,
            None if factor == "byte" => 1,
            None => factor.parse().ok()?,
        };
        product.checked_mul(factor)
    })
}
