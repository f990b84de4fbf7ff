//! What every entity has, and what follows from where things stand in the inventory.

use crate::sim::machine::networks;
use crate::sim::rows::{Family, Property};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

fn below(world: &World, id: &str) -> Option<Value> {
    Some(world.children(id).into_iter().collect())
}

/// Machines for which `of` is true.
fn machines(world: &World, of: &dyn Fn(&crate::sim::machine::Machine) -> bool) -> Option<Value> {
    Some(world.machines.values().filter(|it| of(it)).map(|it| it.reference()).collect())
}

/// The plain entities of a type whose parent is this.
fn owned(world: &World, kind: &str, id: &str) -> Option<Value> {
    let below = |props: &Object| props.reference("parent").is_some_and(|it| it.id == id);
    let found = world.all(kind).filter(|(_, props)| below(props));
    Some(found.filter_map(|(id, _)| world.reference(id)).collect())
}

fn on_store(world: &World, id: &str) -> Option<Value> {
    let name = world.name(id)?;
    machines(world, &|it| it.stores().iter().any(|it| it == name))
}

fn on_network(world: &World, id: &str) -> Option<Value> {
    machines(world, &|it| networks(it, world).iter().any(|it| it.id == id))
}

/// Everything of a type, wherever it stands: one datacenter has it all.
fn every(world: &World, kind: &str) -> Option<Value> {
    Some(world.all(kind).filter_map(|(id, _)| world.reference(id)).collect::<Vec<Ref>>().into())
}

/// Datastores or networks of a host, or of a compute resource's hosts; what names no hosts is
/// everywhere.
fn reached(world: &World, kind: &str, id: &str) -> Option<Value> {
    let here =
        |host: &Ref| host.id == id || world.above(host).first().is_some_and(|parent| parent == id);
    let on = |props: &Object| {
        let hosts = props.list("host");
        let named = |it: &Value| it.as_reference().or(it.reference("key")).is_some_and(here);
        hosts.is_empty() || hosts.iter().any(named)
    };
    let found = world.all(kind).filter(|(_, props)| on(props));
    Some(found.filter_map(|(id, _)| world.reference(id)).collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[],
    properties: &[
        Property { on: "Folder", name: "childEntity", get: below },
        Property {
            on: "HostSystem",
            name: "vm",
            get: |world, id| machines(world, &|it| it.host == id),
        },
        Property {
            on: "ResourcePool",
            name: "vm",
            get: |world, id| machines(world, &|it| it.pool == id),
        },
        Property {
            on: "ResourcePool",
            name: "resourcePool",
            get: |world, id| owned(world, "ResourcePool", id),
        },
        Property { on: "Datastore", name: "vm", get: on_store },
        Property { on: "Network", name: "vm", get: on_network },
        Property {
            on: "ComputeResource",
            name: "host",
            get: |world, id| owned(world, "HostSystem", id),
        },
        Property {
            on: "ComputeResource",
            name: "datastore",
            get: |world, id| reached(world, "Datastore", id),
        },
        Property {
            on: "ComputeResource",
            name: "network",
            get: |world, id| reached(world, "Network", id),
        },
        Property {
            on: "HostSystem",
            name: "datastore",
            get: |world, id| reached(world, "Datastore", id),
        },
        Property {
            on: "HostSystem",
            name: "network",
            get: |world, id| reached(world, "Network", id),
        },
        Property { on: "Datacenter", name: "datastore", get: |world, _| every(world, "Datastore") },
        Property { on: "Datacenter", name: "network", get: |world, _| every(world, "Network") },
    ],
};
