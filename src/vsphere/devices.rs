//! Virtual devices: reading what a machine has, and the changes that add one.
//!
//! New devices carry negative keys that are unique within one request; a device names its
//! controller by that key when both are new.

use crate::hv::model::{Disk, Nic};
use crate::vim::value::{Object, Value};

/// `VirtualDeviceConfigSpec` that adds a device as it is.
pub fn add(device: Object) -> Object {
    Object::new("VirtualDeviceConfigSpec").with("operation", "add").with("device", device)
}

/// The same for a disk whose file is made new.
pub fn add_new_disk(device: Object) -> Object {
    add(device).with("fileOperation", "create")
}

/// `VirtualDeviceConfigSpec` that puts this device in the place of the one of its key: all of it,
/// because what is left out would be reset.
pub fn edit(device: Object) -> Object {
    Object::new("VirtualDeviceConfigSpec").with("operation", "edit").with("device", device)
}

/// `VirtualDeviceConfigSpec` that takes a device away; a disk's file stays.
pub fn remove(device: Object) -> Object {
    Object::new("VirtualDeviceConfigSpec").with("operation", "remove").with("device", device)
}

/// `VirtualDeviceConnectInfo` of a device that is connected at power-on, or not.
pub fn connectable(connected: bool) -> Object {
    Object::new("VirtualDeviceConnectInfo")
        .with("startConnected", connected)
        .with("allowGuestControl", true)
        .with("connected", connected)
}

/// The label that a person knows a device by, such as `Hard disk 1`.
pub fn label(device: &Object) -> &str {
    device.text("deviceInfo.label").unwrap_or(device.kind())
}

/// The devices of one kind in `config.hardware.device`.
pub fn of_kind<'a>(devices: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Object> {
    devices.iter().filter_map(Value::as_object).filter(move |device| device.is(kind))
}

/// The device of this key.
pub fn by_key(devices: &[Value], key: i64) -> Option<&Object> {
    devices.iter().filter_map(Value::as_object).find(|device| device.int("key") == Some(key))
}

/// Bytes of a disk; older servers tell kilobytes only.
pub fn disk_bytes(disk: &Object) -> i64 {
    disk.int("capacityInBytes")
        .or_else(|| disk.int("capacityInKB").map(|kilobytes| kilobytes.saturating_mul(1024)))
        .unwrap_or(0)
}

/// Bytes as a person reads them: `20 GB`, `1.5 GB`, `300 MB`.
pub fn gigabytes(bytes: i64) -> String {
    match (bytes % (1 << 30), bytes >> 20) {
        (0, _) => format!("{} GB", bytes >> 30),
        (_, megabytes @ 0..1024) => format!("{megabytes} MB"),
        (_, megabytes) => format!("{}.{} GB", megabytes >> 10, ((megabytes & 1023) * 10) >> 10),
    }
}

/// The disks as a person sees them.
pub fn disks(devices: &[Value]) -> Vec<Disk> {
    let disk = |it: &Object| Disk {
        label: label(it).to_owned(),
        size_bytes: disk_bytes(it),
        file: it.text("backing.fileName").map(str::to_owned),
        thin: it.flag("backing.thinProvisioned"),
        controller: it
            .int("controllerKey")
            .and_then(|key| by_key(devices, key))
            .map(|controller| label(controller).to_owned()),
    };
    of_kind(devices, "VirtualDisk").map(disk).collect()
}

/// The network cards as a person sees them; `network` gives the name of a backing's network,
/// `addresses` what the guest reports for a MAC address.
pub fn nics(
    devices: &[Value],
    network: impl Fn(&Object) -> Option<String>,
    addresses: impl Fn(&str) -> Vec<String>,
) -> Vec<Nic> {
    let nic = |it: &Object| {
        let mac = it.text("macAddress").map(str::to_owned);
        Nic {
            label: label(it).to_owned(),
            key: it.int("key").unwrap_or(0),
            model: it.kind().trim_start_matches("Virtual").to_lowercase(),
            ip_addresses: mac.as_deref().map(&addresses).unwrap_or_default(),
            mac_address: mac,
            address_type: it.text("addressType").map(str::to_owned),
            network: network(it),
            network_kind: it.object("backing").and_then(network_kind),
            connected: it.flag("connectable.connected").unwrap_or(false),
            start_connected: it.flag("connectable.startConnected").unwrap_or(false),
        }
    };
    of_kind(devices, "VirtualEthernetCard").map(nic).collect()
}

/// The sort of network that a card's backing names.
fn network_kind(backing: &Object) -> Option<&'static str> {
    match backing {
        it if it.get("port").is_some() => Some("distributed"),
        it if it.get("opaqueNetworkId").is_some() => Some("opaque"),
        it if it.is("VirtualDeviceDeviceBackingInfo") => Some("standard"),
        _ => None,
    }
}

/// Removable drives and what is in them.
pub fn media(devices: &[Value]) -> Vec<(String, String)> {
    let medium = |it: &Object| {
        let inside = match it.text("backing.fileName") {
            Some(file) if !file.is_empty() => file.to_owned(),
            _ => match it.text("backing.deviceName") {
                Some(device) if !device.is_empty() => format!("device {device}"),
                _ => "empty".to_owned(),
            },
        };
        (label(it).to_owned(), inside)
    };
    of_kind(devices, "VirtualCdrom").chain(of_kind(devices, "VirtualFloppy")).map(medium).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_where_they_are_and_never_rounded_up() {
        for (bytes, said) in [
            (0, "0 GB"),
            (20 << 30, "20 GB"),
            ((20 << 30) + 1, "20.0 GB"),
            (3 << 29, "1.5 GB"),
            ((1 << 30) - 1, "1023 MB"),
            ((64 << 40) - 1, "65535.9 GB"),
        ] {
            assert_eq!(gigabytes(bytes), said);
        }
    }
}
