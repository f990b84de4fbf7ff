//! Views: what lies below a container, or a list of objects, for the collector to walk.
//!
//! A view is live: what it holds is found anew each time it is asked.

use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method, is};
use crate::sim::sessions::Scoped;
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Ref, Value};

/// A view of a session.
pub struct View {
    /// `ContainerView` or `ListView`.
    pub kind: &'static str,
    container: Option<Ref>,
    types: Vec<String>,
    recursive: bool,
    listed: Vec<Ref>,
}

impl View {
    /// What it shows now.
    pub fn members(&self, world: &World) -> Vec<Ref> {
        let Some(container) = &self.container else {
            let alive = self.listed.iter().filter(|it| world.kind_of(&it.id).is_some());
            return alive.cloned().collect();
        };
        let root =
            world.plain.get(&container.id).is_some_and(|it| it.props.get("parent").is_none());
        let wanted = |kind: &str| self.types.is_empty() || self.types.iter().any(|it| is(kind, it));
        let inside = |object: &Ref| match self.recursive {
            true => root || world.above(object).contains(&container.id),
            false => world.above(object).first() == Some(&container.id),
        };
        let entity = |it: &Ref| it.id != container.id && is(&it.kind, "ManagedEntity");
        let plain = world.plain.iter().filter(|(_, it)| wanted(it.kind));
        let plain = plain.map(|(id, it)| Ref::new(it.kind, id.clone())).filter(entity);
        let machines: Vec<Ref> = match wanted("VirtualMachine") {
            true => world.machines.values().map(|it| it.reference()).collect(),
            false => Vec::new(),
        };
        plain.chain(machines).filter(inside).collect()
    }

    /// A property of the view itself.
    pub fn property(&self, world: &World, name: &str) -> Option<Value> {
        match name {
            "view" => Some(self.members(world).into_iter().collect()),
            "container" => self.container.as_ref().map(Value::from),
            "type" => Some(self.types.iter().collect()),
            "recursive" => self.container.as_ref().map(|_| self.recursive.into()),
            _ => None,
        }
    }
}

fn container(world: &mut World, call: &Call) -> Result<Value> {
    let container = call.args.reference("container").cloned();
    let known = container.as_ref().and_then(|it| world.reference(&it.id));
    if let (None, Some(wanted)) = (&known, &container) {
        return Err(Fault::gone(wanted));
    }
    let types: Vec<String> = call.args.texts("type").map(str::to_owned).collect();
    let entity = Type::find("ManagedEntity");
    for name in &types {
        if !Type::find(name).zip(entity).is_some_and(|(own, base)| own.is_a(base)) {
            return Err(Fault::invalid_argument("type"));
        }
    }
    let recursive = call.args.flag("recursive").unwrap_or(false);
    let view =
        View { kind: "ContainerView", container: known, types, recursive, listed: Vec::new() };
    world.keep(call, Scoped::View(view))
}

fn list(world: &mut World, call: &Call) -> Result<Value> {
    let listed = call.args.references("obj").cloned().collect();
    let view =
        View { kind: "ListView", container: None, types: Vec::new(), recursive: false, listed };
    world.keep(call, Scoped::View(view))
}

fn destroy(world: &mut World, call: &Call) -> Result<Value> {
    world.session(call)?.scoped.remove(&call.this.id);
    Ok(Value::Null)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "ViewManager", name: "CreateContainerView", run: container },
        Method { on: "ViewManager", name: "CreateListView", run: list },
        Method { on: "View", name: "DestroyView", run: destroy },
    ],
    properties: &[],
};
