//! Snapshots: a machine's state kept aside, and the chains of disk files that follow from it.
//!
//! Taking one puts a child on every disk; the snapshot keeps the names as they were. Removing one
//! works on names only: a file that nobody shows any more and that has one child takes the child's
//! place. Surprising: one rule serves removal of one, of a branch and of all.

use std::sync::Arc;

use crate::sim::devices;
use crate::sim::disks;
use crate::sim::fault::{Fault, Result};
use crate::sim::lifecycle::{plan, plug, told};
use crate::sim::machine::{Machine, Power, Snapshot};
use crate::sim::power;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// How deep snapshots may stand on each other, and how many there may be in all.
const DEEPEST: usize = 32;
const MOST: usize = 200;

// ---- chains ----

/// Changes the backing of every disk of a configuration.
pub fn each_backing(config: &mut Object, change: &mut dyn FnMut(&Object, Object) -> Object) {
    let Some(Value::Object(hardware)) = config.field_mut("hardware") else { return };
    let mut list: Vec<Object> = hardware.objects("device").cloned().collect();
    for disk in list.iter_mut().filter(|it| it.is("VirtualDisk")) {
        if let Some(backing) = disk.object("backing").cloned()
            && backing.text("fileName").is_some()
        {
            let fresh = change(disk, backing);
            disk.set("backing", fresh);
        }
    }
    devices::settle(&mut list);
    hardware.set("device", list);
}

/// Changes the paths in a machine's disks, wherever they stand.
pub fn each_path(machine: &mut Machine, fresh: &dyn Fn(&str) -> Option<String>) {
    let renamed = |_: &Object, backing: Object| {
        let names: Vec<String> = disks::chain(&backing)
            .into_iter()
            .map(|it| fresh(it).unwrap_or_else(|| it.to_owned()))
            .collect();
        chained(&backing, &names)
    };
    each_backing(machine.own(), &mut { renamed });
    for it in &mut machine.snapshots {
        each_backing(Arc::make_mut(&mut it.config), &mut { renamed });
    }
}

/// A backing whose files are these, the newest child first.
fn chained(like: &Object, names: &[String]) -> Object {
    let mut plain = like.clone();
    plain.remove("parent");
    plain.remove("deltaDiskFormat");
    let mut built: Option<Object> = None;
    for name in names.iter().rev() {
        let mut it = plain.clone();
        it.set("fileName", name.as_str());
        if let Some(parent) = built {
            it.set("parent", parent);
            it.set("deltaDiskFormat", "seSparseFormat");
        }
        built = Some(it);
    }
    built.unwrap_or(plain)
}

/// Puts a new child on every disk that takes part in snapshots.
pub fn branch(machine: &mut Machine) {
    let mut taken: Vec<String> = disks::disk_files(machine).keys().cloned().collect();
    each_backing(machine.own(), &mut |_, backing| {
        if backing.text("diskMode").is_some_and(|it| it.starts_with("independent")) {
            return backing;
        }
        let mut names: Vec<String> =
            disks::chain(&backing).into_iter().map(str::to_owned).collect();
        let base = names.last().cloned().unwrap_or_default();
        let stem = base.trim_end_matches(".vmdk");
        let free = (1..1_000_000).map(|it| format!("{stem}-{it:06}.vmdk"));
        let Some(fresh) = free.into_iter().find(|it| !taken.contains(it)) else { return backing };
        taken.push(fresh.clone());
        names.insert(0, fresh);
        chained(&backing, &names)
    });
}

/// Joins files that nobody shows any more with their only child.
fn join(machine: &mut Machine) {
    // Every chain, the base last; the first is what is shown.
    let mut chains: Vec<Vec<String>> = Vec::new();
    let info = machine.info();
    for config in std::iter::once(&info).chain(machine.snapshots.iter().map(|it| &*it.config)) {
        for disk in disks::disks(config) {
            let names = disk.object("backing").map(disks::chain).unwrap_or_default();
            chains.push(names.into_iter().map(str::to_owned).collect());
        }
    }
    let mut renamed: Sorted<String, String> = Sorted::new();
    loop {
        let shown: Vec<&String> = chains.iter().filter_map(|it| it.first()).collect();
        let mut children: Sorted<&String, Vec<&String>> = Sorted::new();
        for pair in chains.iter().flat_map(|it| it.windows(2)) {
            if let [child, parent] = pair {
                let own = children.get_or(parent, Vec::new);
                if !own.contains(&child) {
                    own.push(child);
                }
            }
        }
        // The base of a linked clone belongs to another machine and stays.
        let mine = |it: &str| disks::is_own(machine, it);
        let found = children.iter().find_map(|(parent, own)| {
            let one = own.first().filter(|_| own.len() == 1)?;
            (!shown.contains(parent) && mine(parent)).then(|| ((*one).clone(), (*parent).clone()))
        });
        let Some((child, parent)) = found else { break };
        for chain in &mut chains {
            chain.retain(|it| *it != parent);
            for it in chain.iter_mut().filter(|it| **it == child) {
                it.clone_from(&parent);
            }
        }
        for to in renamed.values_mut().filter(|it| **it == child) {
            to.clone_from(&parent);
        }
        renamed.insert(child, parent);
    }
    if renamed.is_empty() {
        return;
    }
    let mut fresh = |_: &Object, backing: Object| {
        let mut names: Vec<String> = disks::chain(&backing)
            .into_iter()
            .map(|it| renamed.get(it).cloned().unwrap_or_else(|| it.to_owned()))
            .collect();
        names.dedup();
        chained(&backing, &names)
    };
    each_backing(machine.own(), &mut fresh);
    for it in &mut machine.snapshots {
        each_backing(Arc::make_mut(&mut it.config), &mut fresh);
    }
}

/// Makes a change to a machine's snapshots, and brings its files up to date.
pub fn change(world: &mut World, id: &str, change: &mut dyn FnMut(&mut Machine)) -> Result<()> {
    let machine = world.machine_mut(id)?;
    let before = machine.clone();
    machine.own();
    change(machine);
    let after = machine.clone();
    let mut files = disks::disk_files(&after);
    for (path, old) in disks::disk_files(&before) {
        match files.get(&path).map(|it| &it.parent) {
            // A file that lost its parent holds all of the disk now.
            Some(parent) if *parent == old.parent => drop(files.remove(&path)),
            Some(_) => {}
            None => disks::remove_disk(world, &path),
        }
    }
    for disk in files.values() {
        if disk.parent.is_some() || !disks::exists(world, &disk.path) {
            disks::put_disk(world, disk);
        }
    }
    disks::settle(world, Some(&before), &after);
    Ok(())
}

// ---- the tree ----

/// How many snapshots stand above this one.
fn depth(machine: &Machine, id: Option<&str>) -> usize {
    let parent = |id: &str| {
        machine.snapshots.iter().find(|it| it.id == id).and_then(|it| it.parent.as_deref())
    };
    std::iter::successors(id, |it| parent(it)).take(DEEPEST + 1).count()
}

/// A snapshot and all that stand on it.
fn branch_of(machine: &Machine, id: &str) -> Vec<String> {
    let mut all = vec![id.to_owned()];
    loop {
        let on = |it: &&Snapshot| {
            !all.contains(&it.id) && it.parent.as_ref().is_some_and(|it| all.contains(it))
        };
        let Some(next) = machine.snapshots.iter().find(on).map(|it| it.id.clone()) else {
            return all;
        };
        all.push(next);
    }
}

/// Takes a snapshot of a machine as it is; answers its id.
pub fn take(
    world: &mut World,
    id: &str,
    (name, description): (&str, &str),
    memory: bool,
    quiesced: bool,
) -> Result<String> {
    let created = world.now;
    let machine = world.machine_mut(id)?;
    if machine.snapshots.len() >= MOST || depth(machine, machine.current.as_deref()) >= DEEPEST {
        let text = "Snapshot hierarchy is too deep.";
        return Err(Fault::new("TooManySnapshotLevels", text));
    }
    let number = machine.snapshots.iter().map(|it| it.number).max().unwrap_or(0) + 1;
    let fresh = format!("{id}-snapshot-{number}");
    change(world, id, &mut |machine| {
        machine.own();
        let power = match machine.power {
            Power::On if !memory => Power::Off,
            other => other,
        };
        machine.snapshots.push(Snapshot {
            id: fresh.clone(),
            number,
            parent: machine.current.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            created,
            power,
            quiesced,
            config: machine.config.clone(),
        });
        machine.current = Some(fresh.clone());
        branch(machine);
    })?;
    Ok(fresh)
}

/// Brings a machine back to a snapshot; `quiet` leaves one that ran powered off.
pub fn revert(world: &mut World, id: &str, to: &str, user: &str, quiet: bool) -> Result<()> {
    let machine = world.machine_mut(id)?;
    let Some(kept) = machine.snapshots.iter().find(|it| it.id == to).cloned() else {
        return Err(Fault::gone(&Ref::new("VirtualMachineSnapshot", to)));
    };
    let was = machine.power;
    change(world, id, &mut |machine| {
        machine.config = kept.config.clone();
        machine.shared = false;
        machine.current = Some(kept.id.clone());
        machine.question = None;
        plug(machine, false);
        branch(machine);
        // Names that were only those of the state that is left are free again.
        join(machine);
    })?;
    // unverified: that a machine whose memory was kept is suspended then.
    let to = match (kept.power, quiet) {
        (Power::On, true) => Power::Suspended,
        (other, _) => other,
    };
    if was != to || to == Power::On {
        power::enter(world, id, to, user);
    }
    told(world, id, "VmReconfiguredEvent", user, "Reverted to a snapshot:");
    Ok(())
}

fn remove(world: &mut World, id: &str, gone: &[String]) -> Result<()> {
    change(world, id, &mut |machine| {
        let parents: Sorted<String, Option<String>> =
            machine.snapshots.iter().map(|it| (it.id.clone(), it.parent.clone())).collect();
        let left = |mut at: Option<String>| {
            while let Some(id) = at.as_ref().filter(|it| gone.contains(it)) {
                at = parents.get(id).cloned().flatten();
            }
            at
        };
        machine.snapshots.retain(|it| !gone.contains(&it.id));
        for it in &mut machine.snapshots {
            it.parent = left(it.parent.take());
        }
        machine.current = left(machine.current.take());
        join(machine);
    })
}

// ---- methods ----

fn create(world: &mut World, call: &Call) -> Result<Value> {
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let text = |name: &str| call.args.text(name).unwrap_or_default().to_owned();
    let (name, description) = (text("name"), text("description"));
    let memory = call.args.flag("memory") == Some(true);
    let quiesce = call.args.flag("quiesce") == Some(true) || call.args.get("quiesceSpec").is_some();
    if name.is_empty() || name.chars().count() > 80 {
        return Err(
            Fault::new("InvalidName", format!("The name '{name}' is invalid.")).with("name", name)
        );
    }
    let plan = crate::sim::task::Plan { lasts: if memory { 2000 } else { 700 }, cancelable: true };
    world.begin(
        call,
        plan,
        Box::new(move |world| {
            let now = world.now;
            let machine = world.machine_mut(&id)?;
            let quiet = quiesce && machine.tools_run(now) && !memory;
            let fresh = take(world, &id, (&name, &description), memory, quiet)?;
            told(world, &id, "VmReconfiguredEvent", &user, "Created a snapshot of");
            Ok(Ref::new("VirtualMachineSnapshot", fresh).into())
        }),
    )
}

/// The machine and the snapshot of a call on either.
fn target(world: &World, call: &Call) -> Result<(String, String)> {
    if let Some((machine, _)) = world.snapshot(&call.this.id) {
        return Ok((machine.id.clone(), call.this.id.clone()));
    }
    let machine = world.machine(&call.this.id).ok_or_else(|| Fault::gone(call.this))?;
    match &machine.current {
        Some(it) => Ok((machine.id.clone(), it.clone())),
        None => Err(Fault::not_found()),
    }
}

fn go_back(world: &mut World, call: &Call) -> Result<Value> {
    let (id, to) = target(world, call)?;
    let user = call.user.to_owned();
    let quiet = call.args.flag("suppressPowerOn") == Some(true);
    let machine = Ref::new("VirtualMachine", id.as_str());
    world.begin_on(
        machine,
        call,
        plan(900),
        Box::new(move |world| revert(world, &id, &to, &user, quiet).map(|()| Value::Null)),
    )
}

fn remove_one(world: &mut World, call: &Call) -> Result<Value> {
    let (id, which) = target(world, call)?;
    let children = call.args.flag("removeChildren") == Some(true);
    let machine = Ref::new("VirtualMachine", id.as_str());
    world.begin_on(
        machine,
        call,
        plan(800),
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            if !machine.snapshots.iter().any(|it| it.id == which) {
                return Err(Fault::gone(&Ref::new("VirtualMachineSnapshot", which.as_str())));
            }
            let gone = match children {
                true => branch_of(machine, &which),
                false => vec![which],
            };
            remove(world, &id, &gone).map(|()| Value::Null)
        }),
    )
}

fn remove_all(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.this.id.clone();
    world.begin(
        call,
        plan(1000),
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            let gone: Vec<String> = machine.snapshots.iter().map(|it| it.id.clone()).collect();
            remove(world, &id, &gone).map(|()| Value::Null)
        }),
    )
}

fn consolidate(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.this.id.clone();
    let work = move |world: &mut World| change(world, &id, &mut join).map(|()| Value::Null);
    world.begin(call, plan(500), Box::new(work))
}

fn rename(world: &mut World, call: &Call) -> Result<Value> {
    let (id, which) = target(world, call)?;
    let name = call.args.text("name").filter(|it| !it.is_empty());
    if call.args.text("name").is_some_and(|it| it.is_empty() || it.chars().count() > 80) {
        return Err(Fault::new("InvalidName", "The name is invalid.").with("name", ""));
    }
    let machine = world.machine_mut(&id)?;
    if let Some(it) = machine.snapshots.iter_mut().find(|it| it.id == which) {
        if let Some(name) = name {
            it.name = name.to_owned();
        }
        if let Some(text) = call.args.text("description") {
            it.description = text.to_owned();
        }
    }
    Ok(Value::Null)
}

fn children(world: &World, id: &str) -> Option<Value> {
    let (machine, _) = world.snapshot(id)?;
    let own = machine.snapshots.iter().filter(|it| it.parent.as_deref() == Some(id));
    Some(own.map(|it| Ref::new("VirtualMachineSnapshot", it.id.as_str())).collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "VirtualMachine", name: "CreateSnapshot_Task", run: create },
        Method { on: "VirtualMachine", name: "CreateSnapshotEx_Task", run: create },
        Method { on: "VirtualMachine", name: "RevertToCurrentSnapshot_Task", run: go_back },
        Method { on: "VirtualMachine", name: "RemoveAllSnapshots_Task", run: remove_all },
        Method { on: "VirtualMachine", name: "ConsolidateVMDisks_Task", run: consolidate },
        Method { on: "VirtualMachineSnapshot", name: "RevertToSnapshot_Task", run: go_back },
        Method { on: "VirtualMachineSnapshot", name: "RemoveSnapshot_Task", run: remove_one },
        Method { on: "VirtualMachineSnapshot", name: "RenameSnapshot", run: rename },
    ],
    properties: &[
        Property {
            on: "VirtualMachineSnapshot",
            name: "config",
            get: |world, id| {
                let (machine, at) = world.snapshot(id)?;
                Some(machine.dressed(&machine.snapshots.get(at)?.config).into())
            },
        },
        Property { on: "VirtualMachineSnapshot", name: "childSnapshot", get: children },
        Property {
            on: "VirtualMachineSnapshot",
            name: "vm",
            get: |world, id| Some(world.snapshot(id)?.0.reference().into()),
        },
    ],
};
