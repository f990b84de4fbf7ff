//! The boot order: which devices a machine tries, first to last.

use crate::error::{Error, Kind, Result};
use crate::hv::lifecycle::BootDevice;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices;

/// The order in words that name the devices.
pub fn words(options: &Object, hardware: &[Value]) -> Vec<String> {
    let word = |it: &Object| {
        let device = it.int("deviceKey").and_then(|key| devices::by_key(hardware, key));
        let named = |word: &str| match device {
            Some(device) => format!("{word} ({})", devices::label(device)),
            None => word.to_owned(),
        };
        match it.kind() {
            "VirtualMachineBootOptionsBootableCdromDevice" => "cdrom".to_owned(),
            "VirtualMachineBootOptionsBootableFloppyDevice" => "floppy".to_owned(),
            "VirtualMachineBootOptionsBootableDiskDevice" => named("disk"),
            "VirtualMachineBootOptionsBootableEthernetDevice" => named("network"),
            other => other.to_owned(),
        }
    };
    options.objects("bootOrder").map(word).collect()
}

/// The list that the server takes: every disk and card of a kind, in the order of their keys.
pub fn list(order: &[BootDevice], hardware: &[Value]) -> Result<Vec<Object>> {
    let mut list = Vec::new();
    for device in order {
        let (kind, has, what) = match device {
            BootDevice::Cdrom => ("Cdrom", "VirtualCdrom", "CD/DVD drive"),
            BootDevice::Disk => ("Disk", "VirtualDisk", "disk"),
            BootDevice::Network => ("Ethernet", "VirtualEthernetCard", "network card"),
            BootDevice::Floppy => ("Floppy", "VirtualFloppy", "floppy drive"),
        };
        let keys: Vec<i64> =
            devices::of_kind(hardware, has).filter_map(|device| device.int("key")).collect();
        if keys.is_empty() {
            return Err(Error::new(Kind::Conflict, format!("it has no {what} to boot from"))
                .hint("get_vm_info shows its devices"));
        }
        match kind {
            "Cdrom" => list.push(Object::new("VirtualMachineBootOptionsBootableCdromDevice")),
            "Floppy" => list.push(Object::new("VirtualMachineBootOptionsBootableFloppyDevice")),
            "Disk" => list.extend(keys.into_iter().map(|key| {
                Object::new("VirtualMachineBootOptionsBootableDiskDevice").with("deviceKey", key)
            })),
            _ => list.extend(keys.into_iter().map(|key| {
                Object::new("VirtualMachineBootOptionsBootableEthernetDevice")
                    .with("deviceKey", key)
            })),
        }
    }
    Ok(list)
}
