//! What a `VirtualMachineConfigSpec` does to a machine, new or not.
//!
//! It is applied to a draft: the draft becomes the machine only when all of it was right, so a
//! request is done as a whole or not at all. Most fields need no code: what the specification and
//! the configuration call by the same name, and is of the same type, is carried over by the schema.

use std::sync::Arc;

use crate::sim::clock::stamp;
use crate::sim::devices;
use crate::sim::disks;
use crate::sim::disks::NewDisk;
use crate::sim::fault::{Fault, Result};
use crate::sim::guest_names;
use crate::sim::inventory;
use crate::sim::machine::{Machine, Power, number_in};
use crate::sim::vapp;
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};

/// Where a new machine goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// Id of the folder.
    pub folder: String,
    /// Id of the resource pool; empty for a template.
    pub pool: String,
    /// Id of the host; empty for the first one.
    pub host: String,
}

/// A machine as it would be.
pub struct Draft<'w> {
    /// What is there.
    pub world: &'w World,
    /// The machine with what has been changed so far.
    pub machine: Machine,
    /// Disks to be made, or made larger.
    pub made: Vec<NewDisk>,
    /// Disk files to be taken away.
    pub gone: Vec<String>,
}

/// CPUs and MB that a machine may have.
const MOST_CPUS: i64 = 768;
const MOST_MEMORY: i64 = 24 << 20;
const LONGEST_NAME: usize = 80;

/// What cannot be changed while the machine runs.
const OFF_ONLY: &[&str] = &[
    "version",
    "uuid",
    "instanceUuid",
    "guestId",
    "firmware",
    "numCoresPerSocket",
    "memoryHotAddEnabled",
    "cpuHotAddEnabled",
    "cpuHotRemoveEnabled",
    "nestedHVEnabled",
    "vPMCEnabled",
    "virtualICH7MPresent",
    "virtualSMCPresent",
    "motherboardLayout",
    "sevEnabled",
];

impl Draft<'_> {
    /// A draft of this machine.
    pub fn new(world: &World, mut machine: Machine) -> Draft<'_> {
        machine.own();
        Draft { world, machine, made: Vec::new(), gone: Vec::new() }
    }

    /// Whether the machine runs or is suspended.
    pub fn on(&self) -> bool {
        self.machine.power != Power::Off
    }

    fn hardware(&mut self) -> Option<&mut Object> {
        match self.machine.own().field_mut("hardware") {
            Some(Value::Object(it)) => Some(it),
            _ => None,
        }
    }

    /// Puts another list of devices in.
    pub fn set_devices(&mut self, mut list: Vec<Object>) {
        devices::settle(&mut list);
        if let Some(hardware) = self.hardware() {
            hardware.set("device", list);
        }
    }

    /// The value that a field of the specification has now.
    fn current(&self, name: &str) -> Option<&Value> {
        let config = &self.machine.config;
        config.get(name).or_else(|| config.get("hardware")?.get(name))
    }

    /// Applies a specification.
    pub fn apply(&mut self, spec: &Object) -> Result<()> {
        if let Some(asked) = spec.text("changeVersion").filter(|it| !it.is_empty())
            && Some(asked) != self.machine.config.text("changeVersion")
        {
            let text =
                "Cannot complete operation due to concurrent modification by another operation.";
            return Err(Fault::new("ConcurrentAccess", text));
        }
        self.own(spec)?;
        self.size(spec)?;
        self.fields(spec)?;
        if let Some(id) = spec.text("guestId") {
            let full = guest_names::full_name(id).ok_or_else(|| wrong("guestId"))?;
            self.machine.own().set("guestId", id);
            let alternate = spec.text("alternateGuestName").filter(|it| !it.is_empty());
            self.machine.own().set("guestFullName", alternate.unwrap_or(full));
        }
        self.options(spec);
        devices::change(self, spec)?;
        self.boot_order()?;
        vapp::merge(self.machine.own(), spec);
        let now = stamp(self.world.now);
        // Counted, not timed: made again from a state file, a change must leave the same version.
        let old = self.machine.config.text("changeVersion").unwrap_or_default();
        let count = old.trim_end_matches('Z').rsplit_once('.').and_then(|it| it.1.parse().ok());
        let count = (count.unwrap_or(0_u64) + 1) % 1_000_000;
        self.machine.own().set("changeVersion", format!("2026-01-15T08:00:00.{count:06}Z"));
        self.machine.own().set("modified", now);
        Ok(())
    }

    /// Name and UUIDs.
    fn own(&mut self, spec: &Object) -> Result<()> {
        if let Some(name) = spec.text("name") {
            let name = checked_name(name)?;
            must_be_free(self.world, &self.machine.parent, &name, &self.machine.id)?;
            self.machine.name = name;
        }
        for field in ["uuid", "instanceUuid"] {
            let Some(asked) = spec.text(field).filter(|it| !it.is_empty()) else { continue };
            let plain = asked.replace([' ', '-'], "");
            if plain.len() != 32 || !plain.chars().all(|it| it.is_ascii_hexdigit()) {
                return Err(wrong(field));
            }
            let asked = asked.to_lowercase();
            let slot = match field {
                "uuid" => &mut self.machine.uuid,
                _ => &mut self.machine.instance,
            };
            if *slot != asked && self.machine.power != Power::Off {
                return Err(Fault::power_state("poweredOff", self.machine.power.name()));
            }
            *slot = asked;
        }
        Ok(())
    }

    /// CPUs and memory.
    fn size(&mut self, spec: &Object) -> Result<()> {
        let (cpus, memory) = (self.machine.cpus(), self.machine.memory());
        let new_cpus = spec.int("numCPUs").unwrap_or(cpus);
        let new_memory = spec.int("memoryMB").unwrap_or(memory);
        if !(1..=MOST_CPUS).contains(&new_cpus) {
            return Err(wrong("numCPUs"));
        }
        if !(4..=MOST_MEMORY).contains(&new_memory) || new_memory % 4 != 0 {
            return Err(wrong("memoryMB"));
        }
        let cores = self.machine.config.int("hardware.numCoresPerSocket").unwrap_or(1);
        let cores = spec.int("numCoresPerSocket").unwrap_or(cores);
        // 0 leaves it to the host.
        if cores < 0 || (cores > 0 && new_cpus % cores != 0) {
            return Err(wrong("numCoresPerSocket"));
        }
        if self.on() {
            let may = |field: &str| self.machine.config.flag(field) == Some(true);
            let running = self.machine.power == Power::On;
            let more = new_cpus > cpus && may("cpuHotAddEnabled") && running;
            let fewer = new_cpus < cpus && may("cpuHotRemoveEnabled") && running;
            if new_cpus != cpus && !more && !fewer {
                let text = "CPU hot plug is not supported for this virtual machine.";
                return Err(Fault::new("CpuHotPlugNotSupported", text));
            }
            if new_memory != memory
                && !(new_memory > memory && may("memoryHotAddEnabled") && running)
            {
                let text = "Memory hot plug is not supported for this virtual machine.";
                return Err(Fault::new("MemoryHotPlugNotSupported", text));
            }
        }
        if let Some(hardware) = self.hardware() {
            hardware.set("numCPU", new_cpus);
            hardware.set("memoryMB", new_memory);
        }
        Ok(())
    }

    /// Everything that specification and configuration call by the same name.
    fn fields(&mut self, spec: &Object) -> Result<()> {
        const BY_HAND: &[&str] = &[
            "changeVersion",
            "name",
            "uuid",
            "instanceUuid",
            "files",
            "extraConfig",
            "memoryMB",
            "guestId",
        ];
        let types = ["VirtualMachineConfigSpec", "VirtualMachineConfigInfo", "VirtualHardware"];
        let [Some(asks), Some(info), Some(hardware)] = types.map(Type::find) else {
            return Ok(());
        };
        for (name, value) in spec.fields().filter(|it| !BY_HAND.contains(&it.0)) {
            let known = if name == "powerOpInfo" { "defaultPowerOps" } else { name };
            let Some(asked) = asks.field(name) else { continue };
            if OFF_ONLY.contains(&name) && self.on() && self.current(known) != Some(value) {
                return Err(Fault::power_state("poweredOff", self.machine.power.name()));
            }
            let same = |it: &crate::vim::table::Field| it.ty == asked.ty && it.array == asked.array;
            if info.field(known).filter(same).is_some() {
                overlay(self.machine.own(), known, value);
            } else if hardware.field(known).filter(same).is_some()
                && let Some(hardware) = self.hardware()
            {
                hardware.set(known, value);
            }
        }
        Ok(())
    }

    /// `extraConfig`: an empty value takes an option out.
    fn options(&mut self, spec: &Object) {
        let mut all: Vec<Object> = self.machine.config.objects("extraConfig").cloned().collect();
        for option in spec.objects("extraConfig") {
            let key = option.text("key").unwrap_or_default();
            let place = all.iter().position(|it| it.text("key") == Some(key));
            let empty = option.get("value").is_none_or(|it| it.as_text() == Some(""));
            match (place, empty) {
                (Some(at), true) => drop(all.remove(at)),
                (Some(at), false) => all[at] = option.clone(),
                (None, true) => {}
                (None, false) => all.push(option.clone()),
            }
        }
        if !all.is_empty() || self.machine.config.get("extraConfig").is_some() {
            self.machine.own().set("extraConfig", all);
        }
    }

    /// What is booted from must be there; a single entry without a kind empties the order.
    fn boot_order(&mut self) -> Result<()> {
        let order: Vec<Object> =
            self.machine.config.objects("bootOptions.bootOrder").cloned().collect();
        let plain = |it: &Object| it.kind() == "VirtualMachineBootOptionsBootableDevice";
        let keys: Vec<i64> = self.machine.devices().filter_map(|it| it.int("key")).collect();
        let lost = |it: &Object| it.int("deviceKey").is_some_and(|it| !keys.contains(&it));
        if order.iter().any(lost) {
            return Err(wrong("bootOptions.bootOrder"));
        }
        if order.iter().any(plain)
            && let Some(Value::Object(boot)) = self.machine.own().field_mut("bootOptions")
        {
            boot.remove("bootOrder");
        }
        Ok(())
    }
}

/// Puts a value over another; of an object only what it says.
fn overlay(into: &mut Object, name: &'static str, value: &Value) {
    match (into.field_mut(name), value) {
        (Some(Value::Object(old)), Value::Object(new)) if old.kind() == new.kind() => {
            for (name, value) in new.fields() {
                overlay(old, name, value);
            }
        }
        _ => into.set(name, value),
    }
}

fn wrong(field: &str) -> Fault {
    Fault::invalid_argument(&format!("configSpec.{field}"))
}

/// A name as the inventory keeps it: `/`, `\` and `%` escaped.
pub fn checked_name(name: &str) -> Result<String> {
    let mut kept = String::new();
    for (at, it) in name.char_indices() {
        let escape =
            |it: &str| name.get(at..at + 3).is_some_and(|own| own.eq_ignore_ascii_case(it));
        match it {
            '/' => kept.push_str("%2f"),
            '\\' => kept.push_str("%5c"),
            '%' if !["%2f", "%5c", "%25"].iter().any(|it| escape(it)) => kept.push_str("%25"),
            other => kept.push(other),
        }
    }
    if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(
            Fault::new("InvalidName", format!("The name '{name}' is invalid.")).with("name", name)
        );
    }
    Ok(kept)
}

/// Refuses a name that something else in the folder has.
pub fn must_be_free(world: &World, folder: &str, name: &str, own: &str) -> Result<()> {
    let twin = world.machines.values().find(|it| it.parent == folder && it.name == name);
    let twin = twin.filter(|it| it.id != own).map(Machine::reference);
    let plain = || {
        let mut all = world.plain.iter().filter(|(id, _)| *id != own);
        let same = |props: &Object| {
            props.text("name") == Some(name)
                && props.reference("parent").is_some_and(|it| it.id == folder)
        };
        all.find(|(_, it)| same(&it.props)).map(|(id, it)| Ref::new(it.kind, id.as_str()))
    };
    match twin.or_else(plain) {
        Some(twin) => Err(Fault::duplicate_name(name, &twin)),
        None => Ok(()),
    }
}

/// The `.vmx` that a new machine gets, from what the request says of it.
fn path_for(world: &World, asked: &str, name: &str) -> Result<String> {
    // unverified: which letters of a name a host replaces in file names.
    let stem: String = ["%2f", "%5c", "%25", "/", "\\", ":", "*", "?", "\"", "<", ">", "|"]
        .iter()
        .fold(name.to_owned(), |stem, it| stem.replace(it, "_"));
    let (store, rest) = disks::checked(world, asked)?;
    if rest.ends_with(".vmx") {
        let path = format!("[{store}] {rest}");
        return match disks::exists(world, &path) {
            true => Err(disks::file_fault("FileAlreadyExists", &path, "already exists")),
            false => Ok(path),
        };
    }
    let rest = rest.trim_end_matches('/');
    if !rest.is_empty() {
        return Ok(format!("[{store}] {rest}/{stem}.vmx"));
    }
    let free = |number: usize| {
        let folder = if number == 0 { stem.clone() } else { format!("{stem}_{number}") };
        let path = format!("[{store}] {folder}");
        (!disks::exists(world, &path)).then(|| format!("{path}/{stem}.vmx"))
    };
    (0..1000).find_map(free).ok_or_else(|| wrong("files.vmPathName"))
}

/// A machine that has nothing but a name and a place.
pub fn blank(world: &mut World, name: &str, path: &str, place: Place) -> Result<Machine> {
    let path = path_for(world, path, &checked_name(name)?)?;
    let mut machine = unplaced(world, name, place)?;
    machine.path = path;
    Ok(machine)
}

/// The same without files.
pub fn unplaced(world: &mut World, name: &str, place: Place) -> Result<Machine> {
    let name = checked_name(name)?;
    must_be_free(world, &place.folder, &name, "")?;
    let base = inventory::base().map_err(|e| Fault::new("RuntimeFault", e.to_string()))?;
    let mut machine = inventory::blank(world, &name, "", Arc::new(base), &place);
    machine.tools = false;
    Ok(machine)
}

/// Makes a machine; answers its id.
pub fn create_machine(world: &mut World, spec: &Object, place: Place) -> Result<String> {
    let name = spec.text("name").filter(|it| !it.is_empty()).ok_or_else(|| wrong("name"))?;
    // unverified: which fault a specification without a place for its files gives.
    let path = spec.text("files.vmPathName").filter(|it| !it.is_empty());
    let path = path.ok_or_else(|| wrong("files.vmPathName"))?;
    let machine = blank(world, name, path, place)?;
    let id = machine.id.clone();
    let mut draft = Draft::new(world, machine);
    draft.apply(spec)?;
    let Draft { machine, made, gone, .. } = draft;
    commit(world, machine, made, gone);
    Ok(id)
}

/// Changes a machine.
pub fn apply(world: &mut World, id: &str, spec: &Object) -> Result<()> {
    let machine = world.machine_mut(id)?.clone();
    let mut draft = Draft::new(world, machine);
    draft.apply(spec)?;
    let Draft { machine, made, gone, .. } = draft;
    commit(world, machine, made, gone);
    Ok(())
}

/// Makes a draft true.
pub fn commit(world: &mut World, machine: Machine, made: Vec<NewDisk>, gone: Vec<String>) {
    for path in &gone {
        disks::remove_disk(world, path);
    }
    for disk in &made {
        disks::put_disk(world, disk);
    }
    let number = number_in(&machine.id);
    let before = world.machines.get(&number).cloned();
    disks::settle(world, before.as_ref(), &machine);
    world.machines.insert(number, machine);
    world.touch();
}

/// Takes a machine out of the inventory, with its files or without.
pub fn delete_machine(world: &mut World, id: &str, files: bool) {
    let Some(machine) = world.machine(id).cloned() else { return };
    if files {
        disks::clear(world, &machine);
    }
    world.machines.remove(&number_in(id));
    world.touch();
}
