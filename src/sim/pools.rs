//! Resource pools: made, changed, moved and destroyed, and what is told of their use.
//!
//! Surprising: a pool that is destroyed gives its machines and pools to the one above it.

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
use crate::sim::folders;
use crate::sim::load::Load;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::task::Plan;
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// What a pool without limits has; `-1` is no limit.
fn allocation(shares: i64) -> Object {
    Object::new("ResourceAllocationInfo")
        .with("reservation", 0)
        .with("expandableReservation", true)
        .with("limit", -1)
        .with("shares", Object::new("SharesInfo").with("shares", shares).with("level", "normal"))
}

/// The configuration of a pool; the root's is that of its hosts.
fn config(world: &World, id: &str) -> Option<Object> {
    let pool = &world.plain.get(id)?.props;
    if let Some(config) = pool.object("config") {
        return Some(config.clone());
    }
    let (mut cpu, mut memory) = (allocation(4000), allocation(163_840));
    if root(world, id) {
        let (mhz, megabytes) = capacity(world, id);
        for (part, most) in [(&mut cpu, mhz), (&mut memory, megabytes)] {
            part.set("reservation", most);
            part.set("limit", most);
            part.set("expandableReservation", false);
        }
    }
    Some(
        Object::new("ResourceConfigSpec")
            .with("entity", Ref::new("ResourcePool", id))
            .with("changeVersion", "1")
            .with("cpuAllocation", cpu)
            .with("memoryAllocation", memory),
    )
}

/// The pool that a compute resource has itself.
fn root(world: &World, id: &str) -> bool {
    let parent = world.plain.get(id).and_then(|it| it.props.reference("parent"));
    parent.is_none_or(|it| it.kind != "ResourcePool")
}

/// MHz and megabytes of the hosts below a pool.
fn capacity(world: &World, id: &str) -> (i64, i64) {
    let owner = world.plain.get(id).and_then(|it| it.props.reference("owner"));
    let summary = owner.and_then(|it| world.property(it, "summary"));
    let of = |name: &str| summary.as_deref().and_then(|it| it.int(name)).unwrap_or(0);
    (of("effectiveCpu"), of("effectiveMemory"))
}

/// Takes over what a specification says; what it leaves out stays.
fn merge(into: &mut Object, from: &Object) {
    for part in ["cpuAllocation", "memoryAllocation"] {
        let Some(wanted) = from.object(part) else { continue };
        if let Some(Value::Object(own)) = into.field_mut(part) {
            wanted.fields().for_each(|(name, value)| own.set(name, value));
        }
    }
}

/// Refuses what cannot be: less than nothing, more than the limit, more than there is.
fn check(world: &World, parent: &str, config: &Object, own: Option<&str>) -> Result<()> {
    let (mhz, megabytes) = capacity(world, parent);
    let parts = [
        ("cpuAllocation", "InsufficientCpuResourcesFault", mhz),
        ("memoryAllocation", "InsufficientMemoryResourcesFault", megabytes),
    ];
    for (part, kind, most) in parts {
        let of = |name: &str| config.int(&format!("{part}.{name}"));
        let (reservation, limit) = (of("reservation").unwrap_or(0), of("limit").unwrap_or(-1));
        let wrong = |name: &str| Err(Fault::invalid_argument(&format!("spec.{part}.{name}")));
        if reservation < 0 {
            return wrong("reservation");
        }
        if limit < -1 || (limit >= 0 && limit < reservation) {
            return wrong("limit");
        }
        let others = world
            .children(parent)
            .into_iter()
            .filter(|it| it.kind == "ResourcePool" && own.is_none_or(|own| own != it.id));
        let taken = others.filter_map(|it| reserved(world, &it.id, part));
        let held = self::config(world, parent);
        let held = held.as_ref();
        let expandable = held.and_then(|it| it.flag(&format!("{part}.expandableReservation")));
        let have = match expandable {
            Some(true) => most,
            _ => held.and_then(|it| it.int(&format!("{part}.reservation"))).unwrap_or(most),
        };
        let unreserved = (have - taken.sum::<i64>()).max(0);
        if reservation > unreserved {
            let text = "The available resources in the parent resource pool are insufficient for the operation.";
            return Err(Fault::new(kind, text)
                .with("unreserved", unreserved)
                .with("requested", reservation));
        }
    }
    Ok(())
}

fn reserved(world: &World, id: &str, part: &str) -> Option<i64> {
    config(world, id)?.int(&format!("{part}.reservation"))
}

fn create(world: &mut World, call: &Call) -> Result<Value> {
    let name = folders::name_of(call.args.text("name").unwrap_or_default())?;
    folders::unused(world, &call.this.id, &name)?;
    let mut config = Object::new("ResourceConfigSpec")
        .with("cpuAllocation", allocation(4000))
        .with("memoryAllocation", allocation(163_840));
    if let Some(spec) = call.args.object("spec") {
        merge(&mut config, spec);
    }
    check(world, &call.this.id, &config, None)?;
    let owner = world.plain.get(&call.this.id).and_then(|it| it.props.reference("owner")).cloned();
    let props = Object::new("ResourcePool")
        .with("name", name.as_str())
        .with("parent", call.this)
        .with_some("owner", owner)
        .with("overallStatus", "green");
    let before = if world.vcenter { "resgroup-" } else { "pool" };
    let pool = folders::add(world, "ResourcePool", before, props);
    config.set("entity", &pool);
    config.set("changeVersion", stamp(world.now));
    if let Some(props) = world.plain_mut(&pool.id) {
        props.set("config", config);
    }
    let text = format!("Created resource pool {name}");
    world.event("ResourcePoolCreatedEvent", call.user, Some(&pool), &text);
    Ok(pool.into())
}

fn update(world: &mut World, call: &Call) -> Result<Value> {
    let id = &call.this.id;
    let parent = world.above(call.this).first().cloned().unwrap_or_default();
    let name = call.args.text("name").filter(|it| world.name(id) != Some(it));
    let name = name.map(folders::name_of).transpose()?;
    if let Some(name) = &name {
        folders::unused(world, &parent, name)?;
    }
    let spec = call.args.object("config");
    if root(world, id) && (spec.is_some() || name.is_some()) {
        return Err(Fault::not_supported());
    }
    let mut config = config(world, id).ok_or_else(|| Fault::gone(call.this))?;
    if let Some(spec) = spec {
        merge(&mut config, spec);
        check(world, &parent, &config, Some(id))?;
        config.set("changeVersion", stamp(world.now));
    }
    let Some(props) = world.plain_mut(id) else { return Err(Fault::gone(call.this)) };
    props.set("config", config);
    if let Some(name) = name {
        props.set("name", name);
    }
    Ok(Value::Null)
}

/// Gives everything of a pool to another, and takes the pool away.
fn dissolve(world: &mut World, pool: &Ref, into: &str, user: &str) {
    for machine in world.machines.values_mut().filter(|it| it.pool == pool.id) {
        machine.pool = into.to_owned();
    }
    for child in world.children(&pool.id) {
        if let Some(props) = world.plain_mut(&child.id) {
            props.set("parent", Ref::new("ResourcePool", into));
        }
    }
    let text = format!("Removed resource pool {}", world.name(&pool.id).unwrap_or_default());
    world.event("ResourcePoolDestroyedEvent", user, Some(pool), &text);
    world.plain.remove(&pool.id);
    world.touch();
}

fn destroy(world: &mut World, call: &Call) -> Result<Value> {
    if root(world, &call.this.id) {
        return Err(Fault::not_supported());
    }
    let (pool, user) = (call.this.clone(), call.user.to_owned());
    let plan = Plan { lasts: 200, cancelable: false };
    let work = move |world: &mut World| {
        let parent = world.above(&pool).first().cloned().ok_or_else(|| Fault::gone(&pool))?;
        dissolve(world, &pool, &parent, &user);
        Ok(Value::Null)
    };
    world.begin(call, plan, Box::new(work))
}

fn destroy_children(world: &mut World, call: &Call) -> Result<Value> {
    loop {
        let below = world.children(&call.this.id);
        let Some(pool) = below.into_iter().find(|it| it.kind == "ResourcePool") else { break };
        dissolve(world, &pool, &call.this.id, call.user);
    }
    Ok(Value::Null)
}

fn move_into(world: &mut World, call: &Call) -> Result<Value> {
    let owner =
        |world: &World, id: &str| Some(world.plain.get(id)?.props.reference("owner")?.id.clone());
    let mut list = Vec::new();
    for asked in call.args.references("list") {
        let object = world.reference(&asked.id).ok_or_else(|| Fault::gone(asked))?;
        let inside = object.id == call.this.id || world.above(call.this).contains(&object.id);
        let pool = match world.machine(&object.id) {
            Some(machine) => machine.pool.clone(),
            None => object.id.clone(),
        };
        let known = matches!(&*object.kind, "VirtualMachine" | "ResourcePool" | "VirtualApp");
        // unverified: which fault names a pool that would be inside itself.
        if inside || !known || owner(world, &pool) != owner(world, &call.this.id) {
            return Err(Fault::invalid_argument("list"));
        }
        if object.kind != "VirtualMachine" {
            if root(world, &object.id) {
                return Err(Fault::not_supported());
            }
            let name = world.name(&object.id).unwrap_or_default();
            if !world.children(&call.this.id).contains(&object) {
                folders::unused(world, &call.this.id, name)?;
            }
        }
        list.push(object);
    }
    for object in list {
        if let Ok(machine) = world.machine_mut(&object.id) {
            machine.pool = call.this.id.clone();
        } else if let Some(props) = world.plain_mut(&object.id) {
            props.set("parent", call.this);
        }
    }
    Ok(Value::Null)
}

/// What the pool's machines use: processors and memory.
fn runtime(world: &World, id: &str) -> Option<Object> {
    let (mhz, megabytes) = capacity(world, id);
    let config = config(world, id)?;
    let load = Load::at(world, &Ref::new("ResourcePool", id), world.now, 20);
    // The memory of this is in bytes, that of the configuration in megabytes.
    let usage = |part: &str, used: i64, most: i64, shift: u32| {
        let limit = config.int(&format!("{part}.limit")).filter(|it| *it >= 0).unwrap_or(most);
        let of = |name: &str| config.int(&format!("{part}.{name}")).unwrap_or(0);
        let pools = world.children(id).into_iter().filter(|it| it.kind == "ResourcePool");
        let taken = pools.filter_map(|it| reserved(world, &it.id, part)).sum::<i64>();
        let expandable = config.flag(&format!("{part}.expandableReservation")) == Some(true);
        let have = if expandable { most } else { of("reservation") };
        let left = (have - taken).max(0) << shift;
        Object::new("ResourcePoolResourceUsage")
            .with("reservationUsed", taken << shift)
            .with("reservationUsedForVm", 0)
            .with("unreservedForPool", left)
            .with("unreservedForVm", left)
            .with("overallUsage", used)
            .with("maxUsage", limit << shift)
    };
    let (cpu, memory) = load.used();
    Some(
        Object::new("ResourcePoolRuntimeInfo")
            .with("memory", usage("memoryAllocation", memory << 10, megabytes, 20))
            .with("cpu", usage("cpuAllocation", cpu, mhz, 0))
            .with("overallStatus", "green"),
    )
}

fn summary(world: &World, id: &str) -> Option<Value> {
    let (cpu, memory) = Load::at(world, &Ref::new("ResourcePool", id), world.now, 20).used();
    let quick = Object::new("ResourcePoolQuickStats")
        .with("overallCpuUsage", cpu)
        .with("hostMemoryUsage", memory >> 10);
    let own = world.machines.values().filter(|it| it.pool == id);
    let memory: i64 = own.filter_map(|it| it.config.int("hardware.memoryMB")).sum();
    let summary = Object::new("ResourcePoolSummary")
        .with("name", world.name(id)?)
        .with("config", config(world, id)?)
        .with("runtime", runtime(world, id)?)
        .with("quickStats", quick)
        .with("configuredMemoryMB", memory);
    Some(summary.into())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "ResourcePool", name: "CreateResourcePool", run: create },
        Method { on: "ResourcePool", name: "UpdateConfig", run: update },
        Method { on: "ResourcePool", name: "DestroyChildren", run: destroy_children },
        Method { on: "ResourcePool", name: "MoveIntoResourcePool", run: move_into },
        Method { on: "ResourcePool", name: "Destroy_Task", run: destroy },
        Method { on: "ResourcePool", name: "RefreshRuntime", run: |_, _| Ok(Value::Null) },
    ],
    properties: &[
        Property {
            on: "ResourcePool",
            name: "config",
            get: |world, id| config(world, id).map(Value::from),
        },
        Property {
            on: "ResourcePool",
            name: "runtime",
            get: |world, id| runtime(world, id).map(Value::from),
        },
        Property { on: "ResourcePool", name: "summary", get: summary },
    ],
};
