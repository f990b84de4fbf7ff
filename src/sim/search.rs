//! The search index: machines and hosts by UUID, address, name and place.
//!
//! What is not found is no fault but nothing. Names come escaped, as they stand in the inventory.

use crate::sim::fault::{Fault, Result};
use crate::sim::machine::Machine;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// Machines, or hosts, for which this is true, within the datacenter that the call names.
fn all(
    world: &World,
    call: &Call,
    machine: &dyn Fn(&Machine) -> bool,
    host: &dyn Fn(&Object) -> bool,
) -> Result<Vec<Ref>> {
    let within = call.args.reference("datacenter");
    if let Some(it) = within.filter(|it| world.kind_of(&it.id).is_none()) {
        return Err(Fault::gone(it));
    }
    let inside = |it: &Ref| within.is_none_or(|place| world.above(it).contains(&place.id));
    let found: Vec<Ref> = match call.args.flag("vmSearch") == Some(true) {
        true => world.machines.values().filter(|it| machine(it)).map(Machine::reference).collect(),
        false => {
            let hosts = world.all("HostSystem").filter(|(_, props)| host(props));
            hosts.map(|(id, _)| Ref::new("HostSystem", id)).collect()
        }
    };
    Ok(found.into_iter().filter(inside).collect())
}

fn one(found: Vec<Ref>) -> Value {
    found.into_iter().next().map_or(Value::Null, Value::from)
}

fn by_uuid(world: &World, call: &Call) -> Result<Vec<Ref>> {
    let plain = |it: &str| it.replace([' ', '-'], "").to_lowercase();
    let asked = plain(call.args.text("uuid").unwrap_or_default());
    let instance = call.args.flag("instanceUuid") == Some(true);
    all(world, call, &|it| plain(if instance { &it.instance } else { &it.uuid }) == asked, &|it| {
        it.text("summary.hardware.uuid").is_some_and(|it| plain(it) == asked)
    })
}

fn by_name(world: &World, call: &Call) -> Result<Vec<Ref>> {
    let asked = call.args.text("dnsName").unwrap_or_default().to_lowercase();
    let same = |it: &str| !it.is_empty() && it.to_lowercase() == asked;
    all(world, call, &|it| it.tools_run(world.now) && same(&it.hostname), &|it| {
        it.text("name").is_some_and(same)
    })
}

fn by_address(world: &World, call: &Call) -> Result<Vec<Ref>> {
    let asked = call.args.text("ip").unwrap_or_default();
    let own = |props: &Object| {
        let mut cards = props.objects("config.network.vnic");
        cards.any(|it| it.text("spec.ip.ipAddress") == Some(asked))
    };
    let same = |it: &Machine| !asked.is_empty() && it.ip == asked && it.tools_run(world.now);
    all(world, call, &same, &own)
}

/// The child of this name; names are the same whatever their case.
fn child(world: &World, of: &Ref, name: &str) -> Option<Ref> {
    let named = |it: &Ref| world.name(&it.id).is_some_and(|own| own.eq_ignore_ascii_case(name));
    // A machine stands in a pool as well as in a folder, and a host has machines below it.
    world.children(&of.id).into_iter().find(named).or_else(|| {
        let mut own = world.machines.values();
        let held = own.find(|it| (it.pool == of.id || it.host == of.id) && named(&it.reference()));
        held.map(Machine::reference)
    })
}

fn find_child(world: &mut World, call: &Call) -> Result<Value> {
    let Some(entity) = call.args.reference("entity") else {
        return Err(Fault::invalid_argument("entity"));
    };
    if world.kind_of(&entity.id).is_none() {
        return Err(Fault::gone(entity));
    }
    let name = call.args.text("name").unwrap_or_default();
    Ok(child(world, entity, name).map_or(Value::Null, Value::from))
}

/// `ha-datacenter/vm/web01`, from the root folder down.
fn by_path(world: &mut World, call: &Call) -> Result<Value> {
    let path = call.args.text("inventoryPath").unwrap_or_default();
    let root =
        world.plain.iter().find(|(_, it)| it.kind == "Folder" && it.props.get("parent").is_none());
    let mut at = root.map(|(id, it)| Ref::new(it.kind, id.as_str()));
    for name in path.split('/').filter(|it| !it.is_empty()).take(64) {
        at = at.and_then(|it| child(world, &it, name));
    }
    Ok(at.map_or(Value::Null, Value::from))
}

fn by_store(world: &mut World, call: &Call) -> Result<Value> {
    let path = call.args.text("path").unwrap_or_default();
    crate::sim::disks::checked(world, path)?;
    let found = world.machines.values().find(|it| it.path == path);
    Ok(found.map_or(Value::Null, |it| it.reference().into()))
}

const fn row(name: &'static str, run: crate::sim::rows::Run) -> Method {
    Method { on: "SearchIndex", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        row("FindByUuid", |world, call| by_uuid(world, call).map(one)),
        row("FindAllByUuid", |world, call| by_uuid(world, call).map(Value::from)),
        row("FindByDnsName", |world, call| by_name(world, call).map(one)),
        row("FindAllByDnsName", |world, call| by_name(world, call).map(Value::from)),
        row("FindByIp", |world, call| by_address(world, call).map(one)),
        row("FindAllByIp", |world, call| by_address(world, call).map(Value::from)),
        row("FindByInventoryPath", by_path),
        row("FindByDatastorePath", by_store),
        row("FindChild", find_child),
    ],
    properties: &[],
};
