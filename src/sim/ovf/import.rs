//! CreateImportSpec: from a descriptor and what the caller maps to the spec of a machine and the
//! list of files to send.
//!
//! It makes no machine; it is told what the host has. Surprising: an unknown device is an error
//! unless the descriptor says `required="false"`, so most refusals are lists and not faults.

use std::borrow::Cow;

use crate::sim::ovf::attach::Controller;
use crate::sim::ovf::devices;
use crate::sim::ovf::devices::CPU;
use crate::sim::ovf::devices::MEMORY;
use crate::sim::ovf::devices::Sort;
use crate::sim::ovf::inspect;
use crate::sim::ovf::notes::Notes;
use crate::sim::ovf::parse::Package;
use crate::sim::ovf::parse::Row;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vim::value::Ref;

/// What the host is and has.
pub struct HostFacts<'a> {
    /// The newest virtual hardware that it runs, such as 21.
    pub newest_hardware: u64,
    /// No vCenter: properties of vApps are ignored.
    pub standalone: bool,
    /// Where files go, such as `[datastore1]`; of an ISO file the name is behind it, and it is
    /// meant beside the machine.
    pub datastore: &'a str,
    /// The backing of a network card in this network.
    pub network: &'a dyn Fn(&Ref) -> Option<Object>,
    /// The same for a network that nobody mapped, by the descriptor's name for it.
    pub network_named: &'a dyn Fn(&str) -> Option<Object>,
}

/// An `OvfCreateImportSpecResult` for a descriptor and an `OvfCreateImportSpecParams`.
pub fn import_spec(descriptor: &str, cisp: &Object, host: &HostFacts) -> Object {
    let mut notes = Notes::default();
    let package = Package::read(descriptor, &mut notes);
    let result = Object::new("OvfCreateImportSpecResult");
    if package.collection {
        // unverified: a real vCenter makes a vApp of it.
        let name = "VirtualSystemCollection";
        let named = [("name", name.into())];
        let text = format!("Unsupported element '{name}'.");
        notes.add(true, package.machine.line, "OvfUnsupportedElement", &text, named);
    }
    if notes.failed() {
        return notes.onto(result);
    }
    let option = package.option(cisp.text("deploymentOption"), &mut notes).to_owned();
    let name = cisp.text("entityName").filter(|it| !it.is_empty()).unwrap_or(package.name());
    let mut import = Import {
        package: &package,
        cisp,
        host,
        name,
        option: &option,
        notes,
        spec: Object::new("VirtualMachineConfigSpec"),
        changes: Vec::new(),
        controllers: Vec::new(),
        files: Vec::new(),
    };
    import.machine();
    import.hardware();
    import.settings();
    let Import { mut spec, changes, files, notes, .. } = import;
    spec.set("deviceChange", changes);
    if !host.standalone {
        spec.set("vAppConfig", inspect::app_config(&package, &option, cisp));
    }
    if notes.failed() {
        return notes.onto(result);
    }
    let spec = Object::new("VirtualMachineImportSpec").with("configSpec", spec);
    let files = Some(files).filter(|it| !it.is_empty());
    notes.onto(result.with("importSpec", spec).with_some("fileItem", files))
}

/// A spec in the making.
pub struct Import<'a> {
    pub package: &'a Package,
    pub cisp: &'a Object,
    pub host: &'a HostFacts<'a>,
    pub name: &'a str,
    pub option: &'a str,
    pub notes: Notes,
    pub spec: Object,
    pub changes: Vec<Object>,
    pub controllers: Vec<Controller<'a>>,
    pub files: Vec<Object>,
}

impl<'a> Import<'a> {
    fn machine(&mut self) {
        let (package, name) = (self.package, self.name);
        if name.is_empty() || name.chars().count() > 80 {
            let text = format!("Invalid virtual machine name '{name}'.");
            self.notes.add(true, 0, "OvfInvalidVmName", &text, [("name", name.into())]);
        }
        self.spec.set("name", name);
        if !package.annotation.is_empty() {
            self.spec.set("annotation", package.annotation.as_str());
        }
        let guest = self.guest();
        self.spec.set("guestId", guest);
        let families = package.family.text("VirtualSystemType");
        let known = |it: &str| {
            let number: u64 = it.strip_prefix("vmx-")?.parse().ok()?;
            // unverified: real hosts end at 3 or 4.
            (3..=self.host.newest_hardware).contains(&number).then(|| (number, it.to_owned()))
        };
        let newest = families.split([' ', ',']).filter_map(known).max();
        match newest {
            Some((_, version)) => self.spec.set("version", version),
            // unverified: a hardware section that names no family.
            None if families.is_empty() => {}
            None => {
                let text = format!("Unsupported hardware family '{families}'.");
                let named = [("version", families.into())];
                let line = package.family.line;
                self.notes.add(true, line, "OvfNoSupportedHardwareFamily", &text, named);
            }
        }
    }

    fn guest(&mut self) -> String {
        let system = &self.package.system;
        let known = |it: &str| {
            let all = Type::find("VirtualMachineGuestOsIdentifier");
            all.is_some_and(|all| all.values().any(|known| known == it))
        };
        let number = system.number("id").unwrap_or(0);
        if let Some(name) = system.get("osType").filter(|it| known(it)) {
            return name.to_owned();
        }
        if let Some(name) = devices::guest_of(number) {
            return name.to_owned();
        }
        let described = system.text("Description");
        let text = format!(
            "The specified operating system identifier '{described}' (id: {number}) is not \
             supported on the selected host. It will be mapped to the following OS identifier: \
             'Other (32-bit)'."
        );
        let named = [
            ("ovfId", number.min(i32::MAX as u64).into()),
            ("ovfDescription", described.into()),
            ("targetDescription", "Other (32-bit)".into()),
        ];
        self.notes.add(false, system.line, "OvfMappedOsId", &text, named);
        "otherGuest".to_owned()
    }

    fn hardware(&mut self) {
        let items = self.package.items_of(self.option);
        let controller = |it: &Row| matches!(it.number("ResourceType"), Some(5 | 6 | 20));
        // What stands on a controller may stand before it in the text.
        let (first, second): (Vec<&Row>, Vec<&Row>) =
            items.into_iter().partition(|it| controller(it));
        for item in first.into_iter().chain(second) {
            let Some(number) = item.number("ResourceType") else {
                match item.get("ResourceType") {
                    Some(bad) => self.notes.element(true, item.line, "ResourceType", bad),
                    None => self.notes.lacks_element(item.line, "ResourceType", &item.tag),
                }
                continue;
            };
            match number {
                CPU => self.cpu(item),
                MEMORY => self.memory(item),
                _ => match devices::wanted(number, item.text("ResourceSubType")) {
                    Ok(sort) => self.device(item, sort),
                    Err(known) => self.unknown(item, number, known),
                },
            }
        }
    }

    fn unknown(&mut self, item: &Row, number: u64, known: bool) {
        let (id, sub) = (item.text("InstanceID"), item.text("ResourceSubType"));
        let element = if known { "ResourceSubType" } else { "ResourceType" };
        let shown = if known { Cow::Borrowed(sub) } else { number.to_string().into() };
        let text = format!(
            "OVF hardware element '{element}' with instance ID '{id}': No support for the virtual \
             hardware device type '{shown}'."
        );
        let number = ("deviceType", number.min(i32::MAX as u64).into());
        let (required, line, id) = (item.required(), item.line, ("instanceId", id.into()));
        if known {
            let named =
                [("elementName", element.into()), id, number, ("deviceSubType", sub.into())];
            self.notes.add(required, line, "OvfUnsupportedSubType", &text, named);
        } else {
            let named = [("name", element.into()), id, number];
            self.notes.add(required, line, "OvfUnsupportedType", &text, named);
        }
    }

    /// A whole number above 0, of units where there are any; else an error and nothing.
    fn quantity(&mut self, item: &Row, scale: u64) -> Option<u64> {
        let number = item.number("VirtualQuantity");
        match number.and_then(|it| it.checked_mul(scale)).filter(|it| *it > 0) {
            None => {
                let bad = item.text("VirtualQuantity");
                self.notes.element(true, item.line, "VirtualQuantity", bad);
                None
            }
            found => found,
        }
    }

    /// Guaranteed and at most, in units of the item that are counted in `per`.
    fn allocation(&mut self, field: &'static str, item: &Row, scale: u64, per: u64) {
        let amount = |name| Some(item.number(name)?.checked_mul(scale)? / per);
        let (floor, limit) = (amount("Reservation"), amount("Limit"));
        if floor.is_some() || limit.is_some() {
            let allocation = Object::new("ResourceAllocationInfo")
                .with_some("reservation", floor)
                .with_some("limit", limit);
            self.spec.set(field, allocation);
        }
    }

    fn cpu(&mut self, item: &Row) {
        let Some(count) = self.quantity(item, 1) else { return };
        // More than any host has; the spec's field is 32 bits wide.
        let Some(count) = u16::try_from(count).ok() else {
            return self.notes.element(true, item.line, "VirtualQuantity", &count.to_string());
        };
        self.spec.set("numCPUs", count);
        if let Some(cores) = item.number("CoresPerSocket").and_then(|it| u16::try_from(it).ok()) {
            self.spec.set("numCoresPerSocket", cores);
        }
        self.allocation("cpuAllocation", item, 1, 1);
    }

    fn memory(&mut self, item: &Row) {
        let units = item.text("AllocationUnits");
        let Some(scale) = devices::unit(units).filter(|it| *it > 0) else {
            return self.notes.element(true, item.line, "AllocationUnits", units);
        };
        let Some(bytes) = self.quantity(item, scale) else { return };
        // unverified: hosts want a multiple of 4 MB and round up.
        self.spec.set("memoryMB", bytes.div_ceil(1 << 20));
        self.allocation("memoryAllocation", item, scale, 1 << 20);
    }

    /// A `vmw:Config`, for a device or for the machine.
    pub fn config(&mut self, config: &Row, known: &[&str], device: Option<&mut Object>) {
        let (key, value) = (config.text("key"), config.text("value"));
        let onto = device.unwrap_or(&mut self.spec);
        if !known.contains(&key) || !devices::apply(onto, key, value) {
            let what = ["Config", "key", key];
            let required = config.required();
            self.notes.value(required, config.line, "OvfUnsupportedAttributeValue", what);
        }
    }

    fn settings(&mut self) {
        let package = self.package;
        let mut extra = Vec::new();
        for config in package.configs.iter().filter(|it| it.applies(self.option)) {
            let (key, value) = (config.text("key"), config.text("value"));
            if config.tag == "Config" {
                self.config(config, devices::MACHINE, None);
            } else if let Some(id) = value.strip_prefix("ovf:/file/") {
                // How exports carry the firmware's memory. unverified: the name of its place.
                let found = package.files.iter().find(|it| it.text("id") == id);
                match found {
                    Some(file) => {
                        let sort = Sort { cim: 0, sub: "", device: "", backing: "" };
                        self.file(file, key, &sort);
                    }
                    None => {
                        self.notes.element(config.required(), config.line, "ExtraConfig", value)
                    }
                }
            } else {
                extra.push(Object::new("OptionValue").with("key", key).with("value", value));
            }
        }
        if !extra.is_empty() {
            self.spec.set("extraConfig", extra);
        }
    }
}
