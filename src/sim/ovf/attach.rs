//! The devices of an imported machine: from an item to a change of the spec, and the files to send.
//!
//! It knows no sections of a descriptor, only items and what they refer to. Surprising: a device
//! that cannot be made is left out and noted, and the rest goes on, so that all faults come at once.

use crate::sim::fault::Fault;
use crate::sim::ovf::devices;
use crate::sim::ovf::devices::CD;
use crate::sim::ovf::devices::Sort;
use crate::sim::ovf::import::Import;
use crate::sim::ovf::inspect;
use crate::sim::ovf::parse::Row;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// A controller that disks and drives may hang on.
pub struct Controller<'a> {
    /// `rasd:InstanceID`.
    pub id: &'a str,
    pub sort: &'static Sort,
    pub key: i64,
    pub bus: i64,
    pub used: Vec<i64>,
}

impl<'a> Import<'a> {
    /// Adds the device of an item.
    pub fn device(&mut self, item: &'a Row, sort: &'static Sort) {
        let key = -1 - i64::try_from(self.changes.len()).unwrap_or(0);
        let mut device = devices::blank(sort.device).with("key", key);
        if !sort.backing.is_empty() {
            let mut backing = devices::blank(sort.backing);
            if backing.text("fileName").is_some() {
                backing.set("fileName", self.host.datastore);
            }
            // What a backing of this class names: a host device, a pipe, an address.
            let names = ["deviceName", "serviceURI", "pipeName"];
            if let (Some(place), Some(resource)) =
                (names.iter().find(|it| backing.get(it).is_some()), item.get("HostResource"))
            {
                backing.set(place, resource);
            }
            if backing.text("direction").is_some() {
                backing.set("direction", "server");
            }
            device.set("backing", backing);
        }
        if device.flag("yieldOnPoll").is_some() {
            device.set("yieldOnPoll", true);
        }
        if matches!(sort.cim, 5 | 6 | 20) {
            if !self.controller(item, sort, key, &mut device) {
                return;
            }
        } else if matches!(sort.cim, 10 | 14 | 15 | 21 | 22) {
            let connect = item.text("AutomaticAllocation") != "false";
            let connectable = devices::blank("VirtualDeviceConnectInfo")
                .with("startConnected", connect)
                .with("allowGuestControl", true);
            device.set("connectable", connectable);
        }
        let mut file = None;
        let fits = match sort.cim {
            devices::NIC => self.nic(item, &mut device),
            devices::DISK => self.disk(item, &mut device, &mut file),
            CD | 14 => self.image(item, &mut device, &mut file),
            _ => true,
        };
        if !fits {
            return;
        }
        if matches!(sort.cim, devices::DISK | CD) {
            let Some(place) = self.place(item, sort, &mut device) else { return };
            if let Some(file) = file {
                self.file(file, &place, sort);
            }
        } else if let Some(file) = file {
            self.file(file, &format!("{}{}", sort.device, item.text("AddressOnParent")), sort);
        }
        for config in item.inner.iter().filter(|it| it.tag == "Config") {
            self.config(config, devices::DEVICE, Some(&mut device));
        }
        let made = matches!(sort.cim, devices::DISK).then_some("create");
        self.changes.push(
            Object::new("VirtualDeviceConfigSpec")
                .with("operation", "add")
                .with_some("fileOperation", made)
                .with("device", device),
        );
    }

    fn controller(
        &mut self,
        item: &'a Row,
        sort: &'static Sort,
        key: i64,
        device: &mut Object,
    ) -> bool {
        let (_, most) = devices::room(sort);
        let same = |it: &&Controller| {
            it.sort.cim == sort.cim && devices::room(it.sort) == devices::room(sort)
        };
        let taken: Vec<i64> = self.controllers.iter().filter(same).map(|it| it.bus).collect();
        let asked = item.number("Address").and_then(|it| i64::try_from(it).ok());
        let free = |it: &i64| (0..most).contains(it) && !taken.contains(it);
        let Some(bus) = asked.filter(free).or_else(|| (0..most).find(free)) else {
            let text = format!("A machine has no more than {most} controllers of this kind.");
            let named = [("name", sort.device.into())];
            self.notes.add(item.required(), item.line, "OvfUnsupportedElement", &text, named);
            return false;
        };
        device.set("busNumber", bus);
        let id = item.text("InstanceID");
        self.controllers.push(Controller { id, sort, key, bus, used: Vec::new() });
        true
    }

    /// Finds a place on the controller; its name, such as `VirtualLsiLogicController0:0`.
    fn place(&mut self, item: &Row, sort: &Sort, device: &mut Object) -> Option<String> {
        let Some(parent) = item.get("Parent") else {
            self.notes.lacks_element(item.line, "Parent", &item.tag);
            return None;
        };
        let Some(at) = self.controllers.iter_mut().find(|it| it.id == parent) else {
            self.notes.element(true, item.line, "Parent", parent);
            return None;
        };
        let (units, _) = devices::room(at.sort);
        let reserved = if at.sort.cim == devices::SCSI { 7 } else { -1 };
        let free = |it: &i64| (0..units).contains(it) && *it != reserved && !at.used.contains(it);
        let asked = item.number("AddressOnParent").and_then(|it| i64::try_from(it).ok());
        let Some(unit) = asked.filter(free).or_else(|| (0..units).find(free)) else {
            let text = format!("There is no space for '{}' on '{parent}'.", sort.device);
            let named = [("name", sort.device.into()), ("parent", parent.into())];
            self.notes.add(true, item.line, "OvfNoSpaceOnController", &text, named);
            return None;
        };
        at.used.push(unit);
        device.set("controllerKey", at.key);
        device.set("unitNumber", unit);
        Some(format!("{}{}:{unit}", at.sort.device, at.bus))
    }

    fn nic(&mut self, item: &Row, device: &mut Object) -> bool {
        let name = item.text("Connection");
        if !self.package.networks.iter().any(|it| it.text("name") == name) {
            self.notes.element(item.required(), item.line, "Connection", name);
            return false;
        }
        let mut mapping = self.cisp.objects("networkMapping");
        let mapped = mapping.find(|it| it.text("name") == Some(name));
        let backing = match mapped.and_then(|it| it.reference("network")) {
            Some(network) => {
                let found = (self.host.network)(network);
                if found.is_none() {
                    self.notes.push(true, Fault::gone(network));
                    return false;
                }
                found
            }
            None => (self.host.network_named)(name),
        };
        let Some(backing) = backing else {
            // unverified: the sentence, and whether hosts take their first network instead.
            let text = format!("The host has no network '{name}', and it is not mapped to one.");
            self.notes.add(true, item.line, "OvfNoHostNic", &text, []);
            return false;
        };
        device.set("backing", backing);
        match item.get("Address") {
            Some(address) => {
                device.set("addressType", "manual");
                device.set("macAddress", address);
            }
            None => device.set("addressType", "generated"),
        }
        true
    }

    /// The row that a `HostResource` such as `ovf:/disk/vmdisk1` refers to.
    fn resource(&mut self, item: &Row) -> Option<&'a Row> {
        let text = item.get("HostResource")?;
        let path = text.strip_prefix("ovf:").unwrap_or(text);
        let package = self.package;
        let found = match (path.strip_prefix("/disk/"), path.strip_prefix("/file/")) {
            (Some(id), _) => package.disks.iter().find(|it| it.text("diskId") == id),
            (_, Some(id)) => package.files.iter().find(|it| it.text("id") == id),
            _ => None,
        };
        if found.is_none() {
            self.notes.element(true, item.line, "HostResource", text);
        }
        found
    }

    fn disk(&mut self, item: &Row, device: &mut Object, file: &mut Option<&'a Row>) -> bool {
        if item.get("HostResource").is_none() {
            self.notes.lacks_element(item.line, "HostResource", &item.tag);
            return false;
        }
        let Some(disk) = self.resource(item).filter(|it| it.tag == "Disk") else {
            return false;
        };
        let units = disk.text("capacityAllocationUnits");
        let number = disk.text("capacity").trim();
        let named = number.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
        let given = named.map(|id| inspect::value_of(self.package, id, self.option, self.cisp));
        let number = given.as_deref().unwrap_or(number).parse::<u64>().ok();
        let bytes = devices::unit(units).and_then(|unit| number?.checked_mul(unit));
        // 62 TB, the largest disk of a host.
        let Some(bytes) = bytes.filter(|it| (1..=62 << 40).contains(it)) else {
            let what = ["Disk", "capacity", disk.text("capacity")];
            self.notes.value(true, disk.line, "OvfInvalidValueFormatMalformed", what);
            return false;
        };
        device.set("capacityInKB", bytes.div_ceil(1024));
        device.set("capacityInBytes", bytes);
        if disk.get("parentRef").is_some() {
            // unverified: whether hosts take delta disks.
            let text = "Unsupported attribute 'parentRef' on element 'Disk'.";
            let named = [("elementName", "Disk".into()), ("attributeName", "parentRef".into())];
            self.notes.add(true, disk.line, "OvfUnsupportedAttribute", text, named);
        }
        if let Some(wanted) = disk.get("fileRef") {
            *file = self.package.files.iter().find(|it| it.text("id") == wanted);
            if file.is_none() {
                let what = ["Disk", "fileRef", wanted];
                self.notes.value(true, disk.line, "OvfInvalidValueReference", what);
            }
            let format = disk.text("format");
            if !format.contains("vmdk") {
                let what = ["Disk", "format", format];
                self.notes.value(true, disk.line, "OvfUnsupportedAttributeValue", what);
            }
        }
        // unverified: what hosts take where nothing is asked for.
        let (thin, scrub) = match self.cisp.text("diskProvisioning").unwrap_or_default() {
            "thin" => (true, false),
            "eagerZeroedThick" => (false, true),
            "" | "thick" | "flat" | "monolithicFlat" => (false, false),
            other => {
                let supported = "thin,thick,eagerZeroedThick,flat,monolithicFlat";
                let text = format!("Unsupported disk provisioning '{other}'.");
                let named = [
                    ("diskProvisioning", other.into()),
                    ("supportedDiskProvisioning", supported.into()),
                ];
                self.notes.add(true, 0, "OvfUnsupportedDiskProvisioning", &text, named);
                (false, false)
            }
        };
        if let Some(Value::Object(backing)) = device.field_mut("backing") {
            backing.set("diskMode", "persistent");
            backing.set("thinProvisioned", thin);
            backing.set("eagerlyScrub", scrub);
        }
        true
    }

    /// A CD or floppy with a file is sent along; without one it is a drive of the client.
    fn image(&mut self, item: &Row, device: &mut Object, file: &mut Option<&'a Row>) -> bool {
        let floppy = device.kind() == "VirtualFloppy";
        let resource = item.text("HostResource");
        if resource.starts_with("ovf:/file/") || resource.starts_with("/file/") {
            let Some(found) = self.resource(item) else { return false };
            let kind =
                if floppy { "VirtualFloppyImageBackingInfo" } else { "VirtualCdromIsoBackingInfo" };
            let href = found.text("href");
            let name = href.rsplit('/').next().unwrap_or(href);
            let path = format!("{} {name}", self.host.datastore);
            device.set("backing", devices::blank(kind).with("fileName", path));
            *file = Some(found);
        } else if device.get("backing.fileName").is_some() {
            let kind = match floppy {
                true => "VirtualFloppyRemoteDeviceBackingInfo",
                false => "VirtualCdromRemotePassthroughBackingInfo",
            };
            device.set("backing", devices::blank(kind));
        }
        true
    }

    /// A file to send for what is at this place.
    pub fn file(&mut self, file: &Row, place: &str, sort: &Sort) {
        let disk = sort.cim == devices::DISK;
        self.files.push(
            Object::new("OvfFileItem")
                .with("deviceId", format!("/{}/{place}", self.name))
                .with("path", file.text("href"))
                .with_some("compressionMethod", file.get("compression"))
                .with_some("chunkSize", file.number("chunkSize"))
                .with_some("size", file.number("size"))
                .with("cimType", sort.cim)
                .with("create", !disk),
        );
    }
}
