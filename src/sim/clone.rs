//! What only a vCenter does with machines: clone, template, relocate, migrate.
//!
//! A host alone refuses all of it. Surprising: a full copy and a linked one differ in one thing
//! only, whether the new disks have the old ones as parents.

use std::sync::Arc;

use crate::sim::disks;
use crate::sim::disks::NewDisk;
use crate::sim::fault::{Fault, Result};
use crate::sim::lifecycle::{holds_machines, known, must_be_off, plan, told, vcenter_only};
use crate::sim::machine::{Machine, Power, mac, number_in};
use crate::sim::power;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::snapshots;
use crate::sim::spec;
use crate::sim::spec::{Draft, Place};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// The datastore that a disk is to go to: that of its locator, else the one for all.
fn store_for(location: &Object, key: i64) -> Option<&Ref> {
    let mut own = location.objects("disk").filter(|it| it.int("diskId") == Some(key));
    own.find_map(|it| it.reference("datastore")).or_else(|| location.reference("datastore"))
}

/// The name of the datastore of a reference.
fn named(world: &World, store: &Ref) -> Result<String> {
    let name = world.name(&store.id).filter(|_| world.kind_of(&store.id) == Some("Datastore"));
    name.map(str::to_owned).ok_or_else(|| Fault::gone(store))
}

/// Every reference in a location is there.
fn checked(world: &World, location: &Object) -> Result<()> {
    for field in ["folder", "datastore", "pool", "host"] {
        known(world, location.reference(field))?;
    }
    for disk in location.objects("disk") {
        known(world, disk.reference("datastore"))?;
    }
    Ok(())
}

/// Gives the disks of a copied configuration files of their own.
fn copy_disks(draft: &mut Draft, location: &Object, linked: bool) -> Result<()> {
    let world = draft.world;
    let (home, stem) = (draft.machine.folder().to_owned(), draft.machine.stem().to_owned());
    let stem = stem.rsplit('/').next().unwrap_or_default().to_owned();
    let (own, folder) = disks::split(&home).unwrap_or(("", ""));
    let number = number_in(&draft.machine.id);
    let mut list: Vec<Object> = draft.machine.devices().cloned().collect();
    let mut count = 0;
    for device in &mut list {
        let key = device.int("key").unwrap_or(0);
        if device.is("VirtualEthernetCard") && device.text("addressType") != Some("manual") {
            device.set("macAddress", mac(world.vcenter, number, key));
        }
        let Some(mut backing) = device.object("backing").cloned() else { continue };
        let Some(old) = backing.text("fileName").map(str::to_owned) else { continue };
        if !device.is("VirtualDisk") {
            continue;
        }
        let store = match store_for(location, key) {
            Some(store) => named(world, store)?,
            None => own.to_owned(),
        };
        let suffix = if count == 0 { String::new() } else { format!("_{count}") };
        count += 1;
        let path = format!("[{store}] {folder}/{stem}{suffix}.vmdk");
        let thin = backing.flag("thinProvisioned") == Some(true);
        let kilobytes = device.int("capacityInKB").unwrap_or(0);
        let written = disks::held(world, &backing, usize::MAX, kilobytes);
        let parent = backing.clone();
        backing.remove("parent");
        backing.remove("deltaDiskFormat");
        backing.set("fileName", path.as_str());
        if let Some(store) = disks::store(world, &store) {
            backing.set("datastore", store);
        }
        if linked {
            backing.set("parent", parent);
            backing.set("deltaDiskFormat", "seSparseFormat");
        } else {
            backing.set("uuid", format!("6000C29{:x}-{key:04x}-4f3a-9c1d-{number:012x}", key % 16));
        }
        let parent = linked.then_some(old);
        draft.made.push(NewDisk { path, kilobytes, thin, parent, written: Some(written) });
        device.set("backing", backing);
    }
    draft.set_devices(list);
    Ok(())
}

fn clone(world: &mut World, call: &Call) -> Result<Value> {
    vcenter_only(world)?;
    let source = call.this.id.clone();
    let folder = call.args.reference("folder").cloned();
    let folder = folder.ok_or_else(|| Fault::invalid_argument("folder"))?;
    known(world, Some(&folder))?;
    holds_machines(world, &folder.id)?;
    let order = call.args.object("spec").cloned().unwrap_or_else(Object::args);
    let location = order.object("location").cloned().unwrap_or_else(Object::args);
    checked(world, &location)?;
    let name = call.args.text("name").unwrap_or_default().to_owned();
    let user = call.user.to_owned();
    world.begin(
        call,
        plan(2500),
        Box::new(move |world| {
            let from = world.machine_mut(&source)?.clone();
            let template = order.flag("template") == Some(true);
            let linked = location.text("diskMoveType") == Some("createNewChildDiskBacking");
            let kept = order.reference("snapshot").map(|it| it.id.clone());
            let config = match &kept {
                None => Arc::new(from.info()),
                Some(id) => {
                    let own = from.snapshots.iter().find(|it| it.id == *id);
                    let own = own.ok_or_else(|| Fault::invalid_argument("spec.snapshot"))?;
                    own.config.clone()
                }
            };
            if linked && kept.is_none() && from.power != Power::Off {
                return Err(Fault::invalid_argument("spec.location.diskMoveType"));
            }
            let pool = location.reference("pool").map(|it| it.id.clone());
            let pool = pool.unwrap_or_else(|| from.pool.clone());
            if pool.is_empty() && !template {
                // A template has no pool to inherit.
                return Err(Fault::invalid_argument("spec.location.pool"));
            }
            let place = Place {
                folder: location.reference("folder").unwrap_or(&folder).id.clone(),
                pool: if template { String::new() } else { pool },
                host: location.reference("host").map_or(from.host.clone(), |it| it.id.clone()),
            };
            let store = match location.reference("datastore") {
                Some(store) => named(world, store)?,
                None => disks::split(&from.path).map_or("", |it| it.0).to_owned(),
            };
            let mut machine = spec::blank(world, &name, &format!("[{store}]"), place)?;
            machine.config = config;
            machine.tools = from.tools;
            let id = machine.id.clone();
            let mut draft = Draft::new(world, machine);
            crate::sim::lifecycle::plug(&mut draft.machine, false);
            draft.machine.own().set("template", template);
            draft.machine.own().remove("changeVersion");
            copy_disks(&mut draft, &location, linked)?;
            if let Some(change) = order.object("config") {
                draft.apply(change)?;
            }
            draft.apply(&Object::new("VirtualMachineConfigSpec"))?;
            let Draft { machine, made, gone, .. } = draft;
            spec::commit(world, machine, made, gone);
            let result = told(world, &id, "VmClonedEvent", &user, "Cloned to");
            if order.flag("powerOn") == Some(true) && !template {
                power::enter(world, &id, Power::On, &user);
            }
            Ok(result)
        }),
    )
}

fn to_template(world: &mut World, call: &Call) -> Result<Value> {
    vcenter_only(world)?;
    let machine = world.machine_mut(&call.this.id)?;
    must_be_off(machine)?;
    machine.own().set("template", true);
    machine.pool = String::new();
    Ok(Value::Null)
}

fn to_machine(world: &mut World, call: &Call) -> Result<Value> {
    vcenter_only(world)?;
    let pool = known(world, call.args.reference("pool"))?;
    let host = known(world, call.args.reference("host"))?;
    let machine = world.machine_mut(&call.this.id)?;
    if machine.config.flag("template") != Some(true) {
        return Err(Fault::new("InvalidState", "The virtual machine is not a template."));
    }
    machine.own().set("template", false);
    machine.pool = pool.unwrap_or_default();
    machine.host = host.unwrap_or_else(|| machine.host.clone());
    Ok(Value::Null)
}

/// Moves the files of a machine to other datastores.
fn move_files(world: &mut World, id: &str, location: &Object) -> Result<()> {
    let machine = world.machine_mut(id)?;
    machine.own();
    let before = machine.clone();
    let home = match location.reference("datastore") {
        Some(store) => Some(named(world, store)?),
        None => None,
    };
    let mut stores: Vec<(String, String)> = Vec::new();
    for disk in disks::disks(&before.config) {
        if let (Some(to), Some(backing)) =
            (store_for(location, disk.int("key").unwrap_or(0)), disk.object("backing"))
        {
            let to = named(world, to)?;
            let names = disks::chain(backing).into_iter().map(|it| (it.to_owned(), to.clone()));
            stores.extend(names);
        }
    }
    let fresh = |path: &str| {
        let own = stores.iter().find(|it| it.0 == path).map(|it| &it.1);
        let (_, rest) = disks::split(path)?;
        own.or(home.as_ref()).map(|store| format!("[{store}] {rest}"))
    };
    disks::clear(world, &before);
    let machine = world.machine_mut(id)?;
    if let Some(home) = &home
        && let Some((_, rest)) = disks::split(&machine.path)
    {
        machine.path = format!("[{home}] {rest}");
    }
    snapshots::each_path(machine, &fresh);
    // A disk that the request describes anew becomes so on its way.
    snapshots::each_backing(machine.own(), &mut |disk, mut backing| {
        let mut own = location.objects("disk").filter(|it| it.int("diskId") == disk.int("key"));
        if let Some(thin) = own.find_map(|it| it.flag("diskBackingInfo.thinProvisioned")) {
            backing.set("thinProvisioned", thin);
        }
        backing
    });
    let after: Machine = machine.clone();
    let made = disks::disk_files(&after).into_values().collect();
    spec::commit(world, after, made, Vec::new());
    Ok(())
}

fn relocate(world: &mut World, call: &Call) -> Result<Value> {
    vcenter_only(world)?;
    let order = call.args.object("spec").cloned().unwrap_or_else(Object::args);
    checked(world, &order)?;
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    world.begin(
        call,
        plan(2500),
        Box::new(move |world| {
            let moves = order.reference("datastore").is_some() || !order.list("disk").is_empty();
            if moves {
                move_files(world, &id, &order)?;
            }
            if let Some(changes) = order.get("deviceChange") {
                let change = Object::new("VirtualMachineConfigSpec").with("deviceChange", changes);
                spec::apply(world, &id, &change)?;
            }
            put(world, &id, &order)?;
            if let Some(folder) = order.reference("folder") {
                world.machine_mut(&id)?.parent = folder.id.clone();
            }
            told(world, &id, "VmRelocatedEvent", &user, "Relocated");
            Ok(Value::Null)
        }),
    )
}

/// Puts a machine into the pool and on the host that a request names.
fn put(world: &mut World, id: &str, order: &Object) -> Result<()> {
    let machine = world.machine_mut(id)?;
    if let Some(host) = order.reference("host") {
        machine.host = host.id.clone();
    }
    if let Some(pool) = order.reference("pool") {
        machine.pool = pool.id.clone();
    }
    Ok(())
}

fn migrate(world: &mut World, call: &Call) -> Result<Value> {
    vcenter_only(world)?;
    checked(world, call.args)?;
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let order = call.args.clone();
    world.begin(
        call,
        plan(2000),
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            if let Some(state) = order.text("state")
                && state != machine.power.name()
            {
                return Err(Fault::power_state(state, machine.power.name()));
            }
            put(world, &id, &order)?;
            told(world, &id, "VmMigratedEvent", &user, "Migrated");
            Ok(Value::Null)
        }),
    )
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "VirtualMachine", name: "CloneVM_Task", run: clone },
        Method { on: "VirtualMachine", name: "MarkAsTemplate", run: to_template },
        Method { on: "VirtualMachine", name: "MarkAsVirtualMachine", run: to_machine },
        Method { on: "VirtualMachine", name: "RelocateVM_Task", run: relocate },
        Method { on: "VirtualMachine", name: "MigrateVM_Task", run: migrate },
    ],
    properties: &[],
};
