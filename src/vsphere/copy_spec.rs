//! The configuration of a copied machine: what a source's `VirtualMachineConfigInfo` becomes.
//!
//! Pure. What identifies the source (uuid, MAC addresses, file names) is left behind, and of the
//! extra configuration only what is known to be harmless comes along.

use crate::error::{Error, Kind, Result};
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::{add, by_key, disk_bytes, label, of_kind};

/// One disk on its way.
pub struct CopiedDisk {
    pub from: String,
    pub to: String,
    /// `VirtualDiskSpec.diskType`.
    pub kind: &'static str,
    /// `VirtualDiskSpec.adapterType`.
    pub adapter: &'static str,
    pub bytes: i64,
    /// Of the source's device.
    key: i64,
}

/// Beginnings of extra configuration that a copy may have; matched without regard to case.
const HARMLESS: &[&str] =
    &["guestinfo.", "disk.enableuuid", "isolation.", "answer.", "svga.", "tools."];

/// A name as a file or folder may have it: a name's `/` would open another folder.
pub fn file_stem(name: &str) -> String {
    name.replace(['/', '\\', '[', ']', '%'], "_")
}

/// The labels of devices that the copy will lack and the server does not make by itself.
pub fn not_copied(config: &Object) -> Vec<String> {
    const EVERYWHERE: [&str; 8] = [
        "VirtualIDEController",
        "VirtualPCIController",
        "VirtualPS2Controller",
        "VirtualSIOController",
        "VirtualKeyboard",
        "VirtualPointingDevice",
        "VirtualMachineVideoCard",
        "VirtualMachineVMCIDevice",
    ];
    let lost = |device: &&Object| {
        copied(device, &[]).is_none()
            && !device.is("VirtualDisk")
            && !EVERYWHERE.iter().any(|kind| device.is(kind))
    };
    config.objects("hardware.device").filter(lost).map(|it| label(it).to_owned()).collect()
}

/// Which disks go where; a disk that is no file of its own cannot be copied.
pub fn copied_disks(config: &Object, home: &str, name: &str) -> Result<Vec<CopiedDisk>> {
    let devices = config.list("hardware.device");
    let stem = file_stem(name);
    let copied = |(at, disk): (usize, &Object)| {
        let flat = disk.object("backing").filter(|it| it.is("VirtualDiskFlatVer2BackingInfo"));
        let from = flat.and_then(|it| it.text("fileName")).ok_or_else(|| {
            Error::new(
                Kind::Conflict,
                format!("{} is a raw device or of an old format and cannot be copied", label(disk)),
            )
            .hint("Clone the VM by vCenter")
        })?;
        let number = if at == 0 { String::new() } else { format!("_{at}") };
        Ok(CopiedDisk {
            from: from.to_owned(),
            to: format!("{home}/{stem}{number}.vmdk"),
            kind: disk_kind(flat),
            adapter: adapter(disk, devices),
            bytes: disk_bytes(disk),
            key: disk.int("key").unwrap_or(0),
        })
    };
    of_kind(devices, "VirtualDisk").enumerate().map(copied).collect()
}

fn disk_kind(backing: Option<&Object>) -> &'static str {
    let is = |field: &str| backing.and_then(|it| it.flag(field)) == Some(true);
    match () {
        () if is("thinProvisioned") => "thin",
        () if is("eagerlyScrub") => "eagerZeroedThick",
        () => "preallocated",
    }
}

fn adapter(disk: &Object, devices: &[Value]) -> &'static str {
    let controller = disk.int("controllerKey").and_then(|key| by_key(devices, key));
    match controller {
        Some(it) if it.is("VirtualIDEController") => "ide",
        Some(it) if it.is("VirtualBusLogicController") => "busLogic",
        _ => "lsiLogic",
    }
}

/// The `VirtualMachineConfigSpec` of the copy; its disks lie there already.
pub fn config_spec(config: &Object, name: &str, home: &str, disks: &[CopiedDisk]) -> Object {
    let text = |path: &str| config.text(path).map(str::to_owned);
    let secure = config.flag("bootOptions.efiSecureBootEnabled").filter(|it| *it);
    let boot = secure.map(|secure| {
        Object::new("VirtualMachineBootOptions").with("efiSecureBootEnabled", secure)
    });
    Object::new("VirtualMachineConfigSpec")
        .with("name", name)
        .with_some("version", text("version"))
        .with_some("guestId", text("guestId"))
        .with_some("annotation", text("annotation"))
        .with("files", Object::new("VirtualMachineFileInfo").with("vmPathName", format!("{home}/")))
        .with_some("numCPUs", config.int("hardware.numCPU"))
        .with_some("numCoresPerSocket", config.int("hardware.numCoresPerSocket"))
        .with_some("memoryMB", config.int("hardware.memoryMB"))
        .with_some("memoryHotAddEnabled", config.flag("memoryHotAddEnabled"))
        .with_some("cpuHotAddEnabled", config.flag("cpuHotAddEnabled"))
        .with_some("nestedHVEnabled", config.flag("nestedHVEnabled"))
        .with("deviceChange", device_changes(config.list("hardware.device"), disks))
        .with("extraConfig", extra_config(config))
        .with_some("bootOptions", boot)
        .with_some("firmware", text("firmware"))
}

fn extra_config(config: &Object) -> Vec<Object> {
    let harmless = |key: &str| {
        let key = key.to_lowercase();
        HARMLESS.iter().any(|start| key.starts_with(start)) && !key.starts_with("guestinfo.vmtools")
    };
    let option = |it: &Object| {
        let (key, value) = (it.text("key")?, it.text("value")?);
        harmless(key).then(|| Object::new("OptionValue").with("key", key).with("value", value))
    };
    config.objects("extraConfig").filter_map(option).collect()
}

/// Controllers, disks, cards, drives and ports; the rest the server makes by itself.
fn device_changes(devices: &[Value], disks: &[CopiedDisk]) -> Vec<Object> {
    let new_key = |key: i64| if is_made_by_server(devices, key) { key } else { -key.abs() - 1 };
    let mut changes = Vec::new();
    for device in devices.iter().filter_map(Value::as_object) {
        let Some(key) = device.int("key") else { continue };
        let Some(mut copy) = copied(device, disks) else { continue };
        copy.set("key", -key.abs() - 1);
        if let Some(controller) = copy.int("controllerKey") {
            copy.set("controllerKey", new_key(controller));
        }
        for leftover in ["deviceInfo", "slotInfo"] {
            copy.remove(leftover);
        }
        if let Some(connect) = device.object("connectable") {
            let at_start = connect.flag("startConnected").unwrap_or(true);
            copy.set("connectable", crate::vsphere::devices::connectable(at_start));
        }
        changes.push(add(copy));
    }
    changes
}

/// IDE, keyboard, video and their like exist in every new machine under the same keys.
fn is_made_by_server(devices: &[Value], key: i64) -> bool {
    by_key(devices, key).is_some_and(|it| {
        !it.is("VirtualSCSIController")
            && !it.is("VirtualSATAController")
            && !it.is("VirtualNVMEController")
    })
}

/// The device without what identifies the source; `None` for what is not copied.
fn copied(device: &Object, disks: &[CopiedDisk]) -> Option<Object> {
    let mut copy = device.clone();
    if device.is("VirtualDisk") {
        let disk = disks.iter().find(|disk| Some(disk.key) == device.int("key"))?;
        let mode = device.text("backing.diskMode").unwrap_or("persistent").to_owned();
        let backing = Object::new("VirtualDiskFlatVer2BackingInfo")
            .with("fileName", disk.to.as_str())
            .with("diskMode", mode);
        return Some(
            Object::new("VirtualDisk")
                .with("key", 0)
                .with("backing", backing)
                .with_some("controllerKey", device.int("controllerKey"))
                .with_some("unitNumber", device.int("unitNumber"))
                // Zero and no file operation: the file is there.
                .with("capacityInKB", 0),
        );
    }
    if device.is("VirtualEthernetCard") {
        copy.set("addressType", "generated");
        copy.remove("macAddress");
        copy.remove("externalId");
        return Some(copy);
    }
    if ["VirtualSCSIController", "VirtualSATAController", "VirtualNVMEController"]
        .iter()
        .any(|kind| device.is(kind))
    {
        copy.remove("device");
        // The controller stands at its own place on the bus; the server counts it by itself.
        copy.remove("scsiCtlrUnitNumber");
        return Some(copy);
    }
    (device.is("VirtualCdrom") || device.is("VirtualSerialPort")).then_some(copy)
}
