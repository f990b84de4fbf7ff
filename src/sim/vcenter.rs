//! The vCenter kind: its inventory, where the machines go in it, and what DRS advises.
//!
//! Surprising: the hosts are those of the ESXi kind, read from the same file once for each.

use std::sync::Arc;

use crate::error::Result;
use crate::sim::clock::stamp;
use crate::sim::custom;
use crate::sim::fault;
use crate::sim::fault::Fault;
use crate::sim::inventory;
use crate::sim::machine::{Machine, Power};
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::tags;
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

const CLUSTER: &str = "domain-c7";
const SWITCH: &str = "50 2b 8e 11 7a 3c 4d 5e-9a 61 0c 2f 33 44 55 66";

/// Number, short name, what it belongs to, address.
const HOSTS: &[(&str, &str, (&str, &str), &str)] = &[
    ("9", "esxi01", ("ClusterComputeResource", CLUSTER), "10.20.0.10"),
    ("10", "esxi02", ("ClusterComputeResource", CLUSTER), "10.20.0.20"),
    ("23", "esxi03", ("ComputeResource", "domain-s21"), "10.20.0.30"),
];

/// Machine, folder, pool, host.
#[rustfmt::skip]
const PLACES: &[(&str, &str, &str, &str)] = &[
    ("web01", "group-v30", "resgroup-40", "host-9"),
    ("web02", "group-v30", "resgroup-40", "host-9"),
    ("db01", "group-v30", "resgroup-40", "host-9"),
    ("mail01", "group-v30", "resgroup-40", "host-9"),
    ("dc01", "group-v30", "resgroup-40", "host-10"),
    ("files01", "group-v30", "resgroup-40", "host-10"),
    ("edge01", "group-v3", "resgroup-8", "host-9"),
    ("fw-lab", "group-v31", "resgroup-41", "host-10"),
    ("build01", "group-v31", "resgroup-41", "host-10"),
    ("test01", "group-v31", "resgroup-41", "host-10"),
    ("legacy-erp", "group-v3", "resgroup-22", "host-23"),
    ("kiosk01", "group-v31", "resgroup-22", "host-23"),
];

/// Everything but the machines.
pub fn base(world: &mut World) -> Result<()> {
    let (now, alarmed) = (stamp(world.now), stamp(world.now - 5 * 3_600_000));
    inventory::add(world, "vcenter.xml", &[("{now}", &now), ("{alarmed}", &alarmed)])?;
    for (number, short, (kind, owner), ip) in HOSTS {
        let (id, mark) = (format!("host-{number}"), format!("-{number}"));
        let words = [
            ("{host}", &*id),
            ("{mark}", &*mark),
            ("{name}", &*format!("{short}.lab.example")),
            ("{short}", short),
            ("{domain}", "lab.example"),
            ("{ip}", ip),
            ("{managed}", "true"),
            ("{manager}", "<managementServerIp>10.20.0.9</managementServerIp>"),
            ("{compute-type}", kind),
            ("{compute}", owner),
        ];
        inventory::add(world, "host.xml", &words)?;
    }
    Ok(())
}

/// Puts the machines where they belong, and adds a template.
pub fn place(world: &mut World) {
    let networks: Sorted<String, String> = world
        .all("Network")
        .filter_map(|(id, props)| Some((props.text("name")?.to_owned(), id.to_owned())))
        .collect();
    // Machines of a bulk share a configuration, and go on sharing it.
    let mut shared: Option<(Arc<Object>, Arc<Object>)> = None;
    for (at, machine) in world.machines.values_mut().enumerate() {
        let other = ("", "group-v3", "resgroup-8", if at % 2 == 0 { "host-9" } else { "host-10" });
        let found = PLACES.iter().find(|it| it.0 == machine.name);
        let (_, folder, pool, host) = *found.unwrap_or(&other);
        machine.parent = folder.to_owned();
        machine.pool = pool.to_owned();
        machine.host = host.to_owned();
        match &shared {
            Some((old, new)) if Arc::ptr_eq(old, &machine.config) => machine.config = new.clone(),
            _ => {
                let old = machine.config.clone();
                connect(Arc::make_mut(&mut machine.config), &networks);
                shared = Some((old, machine.config.clone()));
            }
        }
    }
    template(world);
    custom::seed(world);
    tags::seed(world);
    advise(world);
}

/// Connects the cards to the networks of this inventory, some of which are port groups.
fn connect(config: &mut Object, networks: &Sorted<String, String>) {
    let Some(Value::Object(hardware)) = config.field_mut("hardware") else { return };
    let Some(Value::List(devices)) = hardware.field_mut("device") else { return };
    for device in devices {
        let Value::Object(device) = device else { continue };
        let Some(name) = device.text("backing.deviceName").map(str::to_owned) else { continue };
        let Some(id) = networks.get(&name).filter(|_| device.is("VirtualEthernetCard")) else {
            continue;
        };
        if id.starts_with("dvportgroup") {
            let port = Object::new("DistributedVirtualSwitchPortConnection")
                .with("switchUuid", SWITCH)
                .with("portgroupKey", id.as_str())
                .with("portKey", "8");
            let kind = "VirtualEthernetCardDistributedVirtualPortBackingInfo";
            device.set("backing", Object::new(kind).with("port", port));
        } else if let Some(Value::Object(backing)) = device.field_mut("backing") {
            backing.set("network", Ref::new("Network", id.as_str()));
        }
    }
}

/// A template made of the first machine, where there is a dozen of them.
fn template(world: &mut World) {
    const NAME: &str = "ubuntu-24.04-template";
    let Some(like) = world.machines.values().find(|it| it.name == "web01").cloned() else { return };
    let number = world.number();
    let mut machine = Machine {
        id: format!("vm-{number}"),
        name: NAME.to_owned(),
        uuid: inventory::uuid(number),
        instance: inventory::uuid(number + 500_000).replace("564d", "52d1"),
        path: format!("[datastore1] {NAME}/{NAME}.vmtx"),
        parent: "group-v3".to_owned(),
        pool: String::new(),
        power: Power::Off,
        hostname: String::new(),
        ip: String::new(),
        ..like
    };
    let config = machine.own();
    config.set("template", true);
    config.set("annotation", "Clone this; cloud-init is inside");
    if let Some(Value::Object(hardware)) = config.field_mut("hardware")
        && let Some(Value::List(devices)) = hardware.field_mut("device")
    {
        for device in devices {
            let Value::Object(device) = device else { continue };
            if device.is("VirtualDisk")
                && let Some(Value::Object(backing)) = device.field_mut("backing")
            {
                backing.set("fileName", format!("[datastore1] {NAME}/{NAME}.vmdk"));
            }
            if device.is("VirtualEthernetCard") {
                device.set("macAddress", "00:50:56:9a:24:04");
            }
        }
    }
    world.machines.insert(number, machine);
}

/// Running machines of a host.
fn running(world: &World, host: &str) -> usize {
    world.machines.values().filter(|it| it.host == host && it.power == Power::On).count()
}

/// Advises a migration where one host of the cluster has much more to do.
fn advise(world: &mut World) {
    let (from, to) = ("host-9", "host-10");
    if running(world, from) < running(world, to) + 2 {
        return;
    }
    let movable = |it: &&Machine| it.host == from && it.power == Power::On && it.name != "edge01";
    let Some(machine) = world.machines.values().rev().find(movable) else { return };
    let (vm, name) = (machine.reference(), machine.name.clone());
    let (now, number) = (stamp(world.now), world.number());
    let (source, destination) = (Ref::new("HostSystem", from), Ref::new("HostSystem", to));
    let migration = Object::new("ClusterDrsMigration")
        .with("key", number.to_string())
        .with("time", now.as_str())
        .with("vm", &vm)
        .with("source", source)
        .with("destination", destination.clone());
    let action = Object::new("ClusterMigrationAction")
        .with("type", "MigrationV1")
        .with("target", &vm)
        .with("drsMigration", migration);
    let text = format!("Balance average CPU loads: migrate {name} to another host");
    let advice = Object::new("ClusterRecommendation")
        .with("key", number.to_string())
        .with("type", "V1")
        .with("time", now)
        .with("rating", 2)
        .with("reason", "fairnessCpuAvg")
        .with("reasonText", text)
        .with("action", vec![action])
        .with("target", Ref::new("ClusterComputeResource", CLUSTER));
    if let Some(cluster) = world.plain_mut(CLUSTER) {
        cluster.set("recommendation", vec![advice]);
    }
}

/// Takes the recommendation of a call out of its cluster.
fn taken(world: &mut World, call: &Call) -> fault::Result<Object> {
    let key = call.args.text("key").unwrap_or_default();
    let cluster = world.plain_mut(&call.this.id).ok_or_else(|| Fault::gone(call.this))?;
    let mut all: Vec<Object> = cluster.objects("recommendation").cloned().collect();
    let found = all.iter().position(|it| it.text("key") == Some(key));
    let advice = all.remove(found.ok_or_else(|| Fault::invalid_argument("key"))?);
    cluster.set("recommendation", all);
    Ok(advice)
}

fn apply(world: &mut World, call: &Call) -> fault::Result<Value> {
    let advice = taken(world, call)?;
    for action in advice.objects("action") {
        let (Some(vm), Some(to)) =
            (action.reference("target"), action.reference("drsMigration.destination"))
        else {
            continue;
        };
        let (vm, to) = (vm.clone(), to.id.clone());
        // unverified: how long the migration takes, and that no task of it is to be seen.
        world.later(1500, Box::new(move |world| migrated(world, &vm, &to)));
    }
    Ok(Value::Null)
}

fn migrated(world: &mut World, vm: &Ref, to: &str) {
    let target = world.name(to).unwrap_or_default().to_owned();
    let Ok(machine) = world.machine_mut(&vm.id) else { return };
    machine.host = to.to_owned();
    let text = format!("DRS migrated {} to {target} in cluster Cluster1", machine.name);
    world.event("DrsVmMigratedEvent", "", Some(vm), &text);
}

fn cancel(world: &mut World, call: &Call) -> fault::Result<Value> {
    taken(world, call).map(|_| Value::Null)
}

fn refresh(world: &mut World, call: &Call) -> fault::Result<Value> {
    let cluster = world.plain.get(&call.this.id);
    if cluster.is_some_and(|it| it.props.list("recommendation").is_empty()) {
        advise(world);
    }
    Ok(Value::Null)
}

fn summary(world: &World, id: &str) -> Option<Value> {
    world.plain.get(id)?.props.get("summary").cloned()
}

fn switch_by_uuid(world: &mut World, call: &Call) -> fault::Result<Value> {
    let uuid = call.args.text("uuid");
    let mut all = world.all("DistributedVirtualSwitch");
    let found = all.find(|(_, props)| props.text("uuid") == uuid).map(|(id, _)| id);
    Ok(found.and_then(|it| world.reference(it)).map_or(Value::Null, Value::from))
}

fn port_group(world: &mut World, call: &Call) -> fault::Result<Value> {
    let key = call.args.text("portgroupKey").unwrap_or_default();
    let known = world.reference(key).filter(|it| it.kind == "DistributedVirtualPortgroup");
    Ok(known.map_or(Value::Null, Value::from))
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "ClusterComputeResource", name: "ApplyRecommendation", run: apply },
        Method { on: "ClusterComputeResource", name: "CancelRecommendation", run: cancel },
        Method { on: "ClusterComputeResource", name: "RefreshRecommendation", run: refresh },
        Method {
            on: "DistributedVirtualSwitchManager",
            name: "QueryDvsByUuid",
            run: switch_by_uuid,
        },
        Method {
            on: "DistributedVirtualSwitchManager",
            name: "DVSManagerLookupDvPortGroup",
            run: port_group,
        },
        Method { on: "DistributedVirtualSwitch", name: "LookupDvPortGroup", run: port_group },
    ],
    properties: &[Property { on: "ClusterComputeResource", name: "summaryEx", get: summary }],
};
