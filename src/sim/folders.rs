//! Folders and datacenters: made, filled and destroyed; an ESXi host has only those that it has.

use crate::sim::fault::{Fault, Result};
use crate::sim::machine::Power;
use crate::sim::rows;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::task::Plan;
use crate::sim::world::{Plain, World};
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};

/// The longest name of an entity, as it is kept.
const LONGEST: usize = 80;

/// A new name as it is kept: slashes and the like are escaped.
pub fn name_of(text: &str) -> Result<String> {
    // A client may have escaped them already.
    let escape = |c: char| match c {
        '/' => "%2f".to_owned(),
        '\\' => "%5c".to_owned(),
        _ => c.to_string(),
    };
    let name: String = text.chars().map(escape).collect();
    match name.chars().count() {
        0 => Err(Fault::new("InvalidName", "The name '' is invalid.").with("name", text)),
        count if count > LONGEST => Err(Fault::invalid_argument("name")),
        _ => Ok(name),
    }
}

/// Refuses a name that something below this parent has already.
pub fn unused(world: &World, parent: &str, name: &str) -> Result<()> {
    let mut below = world.children(parent).into_iter();
    match below.find(|it| world.name(&it.id) == Some(name)) {
        Some(other) => Err(Fault::duplicate_name(name, &other)),
        None => Ok(()),
    }
}

/// Adds an object with an id that nothing has.
pub fn add(world: &mut World, kind: &'static str, before: &str, props: Object) -> Ref {
    let mut id = format!("{before}{}", world.number());
    while world.kind_of(&id).is_some() {
        id = format!("{before}{}", world.number());
    }
    world.touch();
    world.plain.insert(id.clone(), Plain { kind, props });
    Ref::new(kind, id)
}

/// The types that a folder takes.
fn types(world: &World, id: &str) -> Vec<String> {
    let folder = world.plain.get(id);
    folder.map_or(Vec::new(), |it| it.props.texts("childType").map(str::to_owned).collect())
}

fn folder(name: &str, parent: &Ref, types: &[String]) -> Object {
    Object::new("Folder")
        .with("name", name)
        .with("parent", parent)
        .with("childType", types.iter().collect::<Value>())
        .with("overallStatus", "green")
}

fn only_vcenter(world: &World) -> Result<()> {
    if world.vcenter { Ok(()) } else { Err(Fault::not_supported()) }
}

fn create(world: &mut World, call: &Call) -> Result<Value> {
    only_vcenter(world)?;
    let name = name_of(call.args.text("name").unwrap_or_default())?;
    unused(world, &call.this.id, &name)?;
    let props = folder(&name, call.this, &types(world, &call.this.id));
    let before = match call.this.id.get(..7) {
        Some(before) if before.starts_with("group-") => before.to_owned(),
        _ => "group-v".to_owned(),
    };
    Ok(add(world, "Folder", &before, props).into())
}

/// Whether a folder that takes these types may hold such an object.
fn takes(world: &World, types: &[String], object: &Ref) -> bool {
    let own = Type::find(&object.kind);
    let of = |it: &String| own.zip(Type::find(it)).is_some_and(|(own, base)| own.is_a(base));
    match &*object.kind {
        // Folders keep to their own tree.
        "Folder" => {
            let other = self::types(world, &object.id);
            other.iter().find(|it| *it != "Folder") == types.iter().find(|it| *it != "Folder")
        }
        _ => types.iter().any(of),
    }
}

fn move_into(world: &mut World, call: &Call) -> Result<Value> {
    only_vcenter(world)?;
    let target = call.this.clone();
    let types = types(world, &target.id);
    let mut list = Vec::new();
    for asked in call.args.references("list") {
        let object = world.reference(&asked.id).ok_or_else(|| Fault::gone(asked))?;
        if object.id == target.id || world.above(&target).contains(&object.id) {
            let text = "The operation is not supported on the object: it would contain itself.";
            return Err(Fault::new("InvalidFolder", text).with("target", target));
        }
        if !takes(world, &types, &object) || own_folder(world, &object.id) {
            return Err(Fault::not_supported());
        }
        list.push(object);
    }
    let plan = Plan { lasts: 200, cancelable: false };
    let work = move |world: &mut World| {
        for object in &list {
            let name = world.name(&object.id).unwrap_or_default().to_owned();
            let here = world.children(&target.id).contains(object);
            if !here {
                unused(world, &target.id, &name)?;
            }
            if let Ok(machine) = world.machine_mut(&object.id) {
                machine.parent = target.id.clone();
            } else if let Some(props) = world.plain_mut(&object.id) {
                props.set("parent", &target);
            }
        }
        Ok(Value::Null)
    };
    world.begin(call, plan, Box::new(work))
}

/// The folders of a datacenter and the root stay.
fn own_folder(world: &World, id: &str) -> bool {
    let parent = world.plain.get(id).and_then(|it| it.props.reference("parent"));
    world.plain.get(id).is_some_and(|it| it.kind == "Folder")
        && parent.is_none_or(|it| it.kind != "Folder")
}

/// Everything below, the lowest first.
fn below(world: &World, id: &str) -> Vec<Ref> {
    let mut all = world.children(id);
    let mut at = 0;
    while let Some(next) = all.get(at).map(|it| it.id.clone()) {
        at += 1;
        all.extend(world.children(&next));
    }
    all.reverse();
    all
}

/// Destroys a folder or a datacenter with all that it holds; `keep` leaves the machines' files.
fn destroy_all(world: &mut World, call: &Call, keep: bool) -> Result<Value> {
    only_vcenter(world)?;
    if own_folder(world, &call.this.id) {
        return Err(Fault::not_supported());
    }
    let inside = below(world, &call.this.id);
    let hosts = |it: &Ref| matches!(&*it.kind, "HostSystem" | "ClusterComputeResource");
    if inside.iter().any(hosts) {
        let text = "The resource is in use.";
        return Err(Fault::new("ResourceInUse", text));
    }
    let mut machines = inside.iter().filter_map(|it| world.machine(&it.id));
    if let Some(machine) = machines.find(|it| it.power != Power::Off) {
        return Err(Fault::power_state("poweredOff", machine.power.name()));
    }
    // Each machine is destroyed as if it were asked for: with its files and its event.
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let machines: Vec<Ref> =
        inside.iter().filter(|it| it.kind == "VirtualMachine").cloned().collect();
    let method = if keep { "UnregisterVM" } else { "Destroy_Task" };
    if let Some(row) = rows::method("VirtualMachine", method) {
        for this in &machines {
            (row.run)(world, &Call { this, method, args: &Object::args(), ..*call })?;
        }
    }
    let plan = Plan { lasts: 1500, cancelable: false };
    let work = move |world: &mut World| {
        for object in &inside {
            world.plain.remove(&object.id);
        }
        let gone = |it: &Ref| machines.contains(it);
        let left: Vec<Ref> =
            world.machines.values().map(|it| it.reference()).filter(gone).collect();
        for machine in left {
            let name = world.name(&machine.id).unwrap_or_default().to_owned();
            let text = format!("Removed {name}");
            world.event("VmRemovedEvent", &user, Some(&machine), &text);
            world.machines.retain(|_, it| it.id != machine.id);
        }
        world.plain.remove(&id);
        world.touch();
        Ok(Value::Null)
    };
    world.begin(call, plan, Box::new(work))
}

fn destroy(world: &mut World, call: &Call) -> Result<Value> {
    destroy_all(world, call, false)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "Folder", name: "CreateFolder", run: create },
        Method { on: "Folder", name: "MoveIntoFolder_Task", run: move_into },
        Method { on: "Folder", name: "Destroy_Task", run: destroy },
        Method { on: "Datacenter", name: "Destroy_Task", run: destroy },
        Method {
            on: "Folder",
            name: "UnregisterAndDestroy_Task",
            run: |world, call| destroy_all(world, call, true),
        },
    ],
    properties: &[],
};
