//! Changes to a machine's devices: added, edited, removed, each checked as a host checks it.
//!
//! All changes of a request are made on a copy of the device list, so one that is refused leaves
//! nothing behind. Surprising: removals come first and controllers next, whatever their order, so
//! that a request may put a disk where another one was.

use crate::sim::backings;
use crate::sim::device_kinds::{Kind, bus, of, summary};
use crate::sim::fault::{Fault, Result};
use crate::sim::spec::Draft;
use crate::text::order;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Value};

/// What is worked on.
pub struct Bench<'d, 'w> {
    /// The machine as it will be.
    pub draft: &'d mut Draft<'w>,
    /// Its devices.
    pub list: Vec<Object>,
    /// Real keys by those that the request made up.
    keys: Sorted<i64, i64>,
}

/// One change.
struct Change<'s> {
    at: usize,
    operation: &'s str,
    file: Option<&'s str>,
    device: &'s Object,
}

/// A device that cannot be so; `field` such as `backing`.
pub fn bad(kind: &'static str, at: usize, field: &str) -> Fault {
    Fault::new(kind, format!("Invalid configuration for device '{at}'."))
        .with("property", format!("deviceChange[{at}].device.{field}"))
        .with("deviceIndex", at)
}

fn bad_operation(at: usize, operation: &str, file: Option<&str>) -> Fault {
    let fault =
        Fault::new("InvalidDeviceOperation", format!("Invalid operation for device '{at}'."))
            .with("property", format!("deviceChange[{at}].operation"))
            .with("deviceIndex", at)
            .with("badOp", operation);
    match file {
        Some(file) => fault.with("badFileOp", file),
        None => fault,
    }
}

/// Makes the changes of a `VirtualMachineConfigSpec`.
pub fn change(draft: &mut Draft, spec: &Object) -> Result<()> {
    let mut changes = Vec::new();
    for (at, it) in spec.objects("deviceChange").enumerate() {
        let wrong =
            |field: &str| Fault::invalid_argument(&format!("spec.deviceChange[{at}].{field}"));
        let device = it.object("device").ok_or_else(|| wrong("device"))?;
        let operation = it.text("operation").ok_or_else(|| wrong("operation"))?;
        let file = it.text("fileOperation");
        // unverified: which fault a file operation on something without files gives.
        if file.is_some() && !device.is("VirtualDisk") && !device.is("VirtualFloppy") {
            return Err(bad_operation(at, operation, file));
        }
        changes.push(Change { at, operation, file, device });
    }
    if changes.is_empty() {
        return Ok(());
    }
    let list = draft.machine.config.objects("hardware.device").cloned().collect();
    let mut bench = Bench { draft, list, keys: Sorted::new() };
    let turn = |it: &Change| match it.operation {
        "remove" => 0,
        "add" if it.device.is("VirtualController") => 1,
        "edit" => 2,
        _ => 3,
    };
    let changes = order::by_number(changes, &turn);
    for it in &changes {
        match it.operation {
            "remove" => bench.remove(it)?,
            "add" => bench.add(it)?,
            _ => bench.edit(it)?,
        }
    }
    for it in &changes {
        bench.must_hang(it)?;
    }
    let Bench { list, .. } = bench;
    draft.set_devices(list);
    Ok(())
}

/// Gives every controller the keys of what hangs on it.
pub fn settle(list: &mut [Object]) {
    let hung: Vec<(i64, i64)> =
        list.iter().filter_map(|it| Some((it.int("controllerKey")?, it.int("key")?))).collect();
    for controller in list.iter_mut().filter(|it| it.is("VirtualController")) {
        let key = controller.int("key");
        let own: Vec<i64> = hung.iter().filter(|it| Some(it.0) == key).map(|it| it.1).collect();
        match own.is_empty() {
            true => drop(controller.remove("device")),
            false => controller.set("device", own),
        }
    }
}

impl Bench<'_, '_> {
    /// The device of this key.
    pub fn find(&self, key: i64) -> Option<usize> {
        self.list.iter().position(|it| it.int("key") == Some(key))
    }

    /// Nobody may be left on a controller that went.
    fn must_hang(&self, change: &Change) -> Result<()> {
        let lost = |it: &&Object| it.int("controllerKey").is_some_and(|it| self.find(it).is_none());
        match self.list.iter().find(lost) {
            Some(it) => Err(bad("InvalidController", change.at, "key")
                .with("controllerKey", it.int("controllerKey").unwrap_or(0))),
            None => Ok(()),
        }
    }

    fn must_be_off(&self, kind: &Kind, device: &Object) -> Result<()> {
        // What hangs on IDE does not come and go either.
        let ide = device.int("controllerKey").is_some_and(|it| matches!(it, 200 | 201));
        match self.draft.on() && (!kind.hot || ide) {
            true => Err(Fault::power_state("poweredOff", self.draft.machine.power.name())),
            false => Ok(()),
        }
    }

    fn remove(&mut self, change: &Change) -> Result<()> {
        let found = change.device.int("key").and_then(|it| self.find(it));
        let Some(place) = found else {
            return Err(bad("InvalidDeviceSpec", change.at, "key"));
        };
        let device = self.list[place].clone();
        let kind = of(&device);
        if kind.fixed() {
            return Err(bad_operation(change.at, "remove", change.file));
        }
        self.must_be_off(kind, &device)?;
        if change.file == Some("destroy") {
            backings::destroy(self, &device);
        }
        self.list.remove(place);
        Ok(())
    }

    fn add(&mut self, change: &Change) -> Result<()> {
        let mut device = change.device.clone();
        let kind = of(&device);
        let same: Vec<i64> = self
            .list
            .iter()
            .filter(|it| of(it).base == kind.base)
            .filter_map(|it| it.int("key"))
            .collect();
        if kind.fixed() && !same.is_empty() {
            // Clients that copy a configuration add these again; a host takes it as an edit.
            if let Some(old) = change.device.int("key") {
                self.keys.insert(old, kind.key);
            }
            device.set("key", kind.key);
            return self.replace(change, device);
        }
        // Every machine has both IDE controllers; descriptors name them nevertheless.
        if kind.base == "VirtualIDEController" && same.len() >= kind.most {
            let bus = device.int("busNumber").unwrap_or(0).clamp(0, 1);
            if let Some(old) = change.device.int("key") {
                self.keys.insert(old, kind.key + bus);
            }
            return Ok(());
        }
        if same.len() >= kind.most {
            return Err(Fault::new(
                "TooManyDevices",
                "The virtual machine has too many devices of this type.",
            )
            .with("property", format!("deviceChange[{}].device", change.at)));
        }
        self.hang(change.at, kind, &mut device)?;
        self.must_be_off(kind, &device)?;
        let key = self.key_for(kind, &device);
        if let Some(old) = change.device.int("key") {
            self.keys.insert(old, key);
        }
        device.set("key", key);
        backings::check(self, change.at, &mut device, None, change.file)?;
        self.describe(kind, &mut device);
        self.list.push(device);
        Ok(())
    }

    fn edit(&mut self, change: &Change) -> Result<()> {
        if change.file.is_some_and(|it| it != "replace") {
            return Err(bad_operation(change.at, "edit", change.file));
        }
        self.replace(change, change.device.clone())
    }

    /// Puts what the request says of a device over what was there.
    fn replace(&mut self, change: &Change, device: Object) -> Result<()> {
        let found = device.int("key").and_then(|it| self.find(it));
        let place = found.ok_or_else(|| bad("InvalidDeviceSpec", change.at, "key"))?;
        let old = self.list[place].clone();
        if of(&old).base != of(&device).base {
            return Err(bad("InvalidDeviceSpec", change.at, "key"));
        }
        let kind = of(&old);
        let mut fresh = old.clone();
        for (name, value) in device.fields() {
            if !matches!(name, "deviceInfo" | "device" | "slotInfo") {
                fresh.set(name, value);
            }
        }
        let differs = |field: &str| fresh.int(field) != old.int(field);
        if !kind.fixed() && (differs("controllerKey") || differs("unitNumber")) {
            self.must_be_off(&Kind { hot: false, ..*kind }, &fresh)?;
            self.list.remove(place);
            self.hang(change.at, kind, &mut fresh)?;
            let key = self.key_for(kind, &fresh);
            fresh.set("key", key);
            self.list.insert(place, fresh.clone());
        }
        backings::check(self, change.at, &mut fresh, Some(&old), change.file)?;
        let label = old.text("deviceInfo.label").unwrap_or_default().to_owned();
        tell(&mut fresh, &label);
        self.list[place] = fresh;
        Ok(())
    }

    /// Finds its controller and its unit.
    fn hang(&mut self, at: usize, kind: &Kind, device: &mut Object) -> Result<()> {
        if device.is("VirtualController") {
            return self.number_bus(at, kind, device);
        }
        let named = device.int("controllerKey").filter(|it| *it != 0);
        let named = named.map(|it| self.keys.get(&it).copied().unwrap_or(it));
        let key = match (kind.controller, named) {
            (-1, _) => return Ok(()),
            // unverified: a disk or drive without a controller.
            (0, None) => return Err(bad("MissingController", at, "controllerKey")),
            (0, Some(key)) => key,
            (fixed, _) => fixed,
        };
        let Some(place) = self.find(key) else {
            return Err(bad("MissingController", at, "controllerKey"));
        };
        let controller = &self.list[place];
        let bus = bus(controller);
        if kind.controller == 0 && bus.is_none() {
            return Err(bad("InvalidController", at, "controllerKey").with("controllerKey", key));
        }
        let (first, most) = match (bus, kind.base) {
            (Some(bus), _) => (0, bus.units),
            (None, "VirtualEthernetCard") => (7, 64),
            (None, _) => (0, 128),
        };
        let own = bus.and_then(|it| it.own_unit());
        let units: Vec<i64> = self
            .list
            .iter()
            .filter(|it| it.int("controllerKey") == Some(key))
            .filter_map(|it| it.int("unitNumber"))
            .chain(own)
            .collect();
        let unit = match device.int("unitNumber").filter(|it| *it >= 0) {
            // On the buses that are not of disks the host counts by itself.
            Some(unit) if bus.is_some() => {
                if unit >= most || units.contains(&unit) {
                    return Err(bad("InvalidDeviceSpec", at, "unitNumber"));
                }
                unit
            }
            _ => {
                let free = (first..most).find(|it| !units.contains(it));
                free.ok_or_else(|| bad("InvalidDeviceSpec", at, "unitNumber"))?
            }
        };
        device.set("controllerKey", key);
        device.set("unitNumber", unit);
        Ok(())
    }

    fn number_bus(&mut self, at: usize, kind: &Kind, device: &mut Object) -> Result<()> {
        let same = self.list.iter().filter(|it| of(it).base == kind.base);
        let taken: Vec<i64> = same.filter_map(|it| it.int("busNumber")).collect();
        let most = i64::try_from(kind.most).unwrap_or(4);
        let asked = device.int("busNumber").unwrap_or(-1);
        let number = match (asked >= 0, taken.contains(&asked)) {
            (true, true) => return Err(bad("InvalidDeviceSpec", at, "busNumber")),
            (true, false) if asked < most => asked,
            (true, false) => return Err(bad("InvalidDeviceSpec", at, "busNumber")),
            (false, _) => (0..most).find(|it| !taken.contains(it)).unwrap_or(0),
        };
        device.set("busNumber", number);
        device.remove("device");
        if kind.controller > 0 {
            let units =
                self.list.iter().filter(|it| it.int("controllerKey") == Some(kind.controller));
            let units: Vec<i64> = units.filter_map(|it| it.int("unitNumber")).collect();
            let free = (3..64).find(|it| !units.contains(it)).unwrap_or(63);
            device.set("controllerKey", kind.controller);
            device.set("unitNumber", free);
        }
        if device.is("VirtualSCSIController") {
            device.set("hotAddRemove", true);
            device.set("scsiCtlrUnitNumber", 7);
        }
        Ok(())
    }

    fn key_for(&self, kind: &Kind, device: &Object) -> i64 {
        let hangs = device.int("controllerKey").and_then(|it| self.find(it));
        let controller = hangs.map(|it| &self.list[it]);
        let unit = device.int("unitNumber").unwrap_or(0);
        match controller.and_then(bus) {
            Some(bus) => {
                let number = controller.and_then(|it| it.int("busNumber"));
                bus.key(number.unwrap_or(0), unit)
            }
            None if device.is("VirtualController") => {
                kind.key + device.int("busNumber").unwrap_or(0)
            }
            None => (kind.key..).find(|it| self.find(*it).is_none()).unwrap_or(kind.key),
        }
    }

    fn describe(&self, kind: &Kind, device: &mut Object) {
        let taken =
            |label: &str| self.list.iter().any(|it| it.text("deviceInfo.label") == Some(label));
        let numbered = |number: usize| format!("{} {number}", kind.label);
        let label = match (kind.most, device.int("busNumber")) {
            (1, _) => kind.label.to_owned(),
            (_, Some(bus)) => format!("{} {bus}", kind.label),
            _ => (kind.first..).map(numbered).find(|it| !taken(it)).unwrap_or_default(),
        };
        tell(device, &label);
    }
}

/// Writes label and summary.
fn tell(device: &mut Object, label: &str) {
    let summary = summary(device, label);
    let info = Object::new("Description").with("label", label).with("summary", summary);
    device.set("deviceInfo", Value::from(info));
}
