//! What a vCenter is and holds: counts, networks, templates.

use crate::error::Result;
use crate::hv::machines::Depth;
use crate::text::glob;
use crate::text::json;
use crate::text::order;
use crate::tools::args::{Arg, Args, RESPONSE_FORMAT};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::esxi::facts;
use crate::tools::reply::{Record, Reply};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::facts::{Field, Read};
use crate::vsphere::inventory::{Inventory, choose, is_a, name, references};
use crate::vsphere::props;
use crate::vsphere::props::{Row, Select};
use crate::vsphere::site::is_uplink;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "get_vcenter_info",
        title: "vCenter details",
        about: "A vCenter's product, version and uuid, and how many hosts, clusters, VMs and datastores it has.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[],
        run: Run::Read(vcenter),
    },
    Tool {
        name: "get_network_info",
        title: "Network details",
        about: "A network: switch, VLAN, ports, the hosts that have it and the VMs on it.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[NETWORK],
        run: Run::Read(network),
    },
    Tool {
        name: "list_templates",
        title: "List templates",
        about: "VM templates with size, guest OS and path. clone_vm and deploy_from_template take them.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, LIMIT, OFFSET],
        run: Run::Read(templates),
    },
];

const NETWORK: Arg = Arg::text("name", "network name, id or path").required();
/// A glob over names.
pub const GLOB: Arg = Arg::text("name", "glob, such as web*");

/// True when every field is asked for.
pub fn detailed(args: &Args) -> bool {
    args.opt_text(RESPONSE_FORMAT) == Some("detailed")
}

/// Whether the name suits the glob, if one is given.
pub fn fits(args: &Args, name: &str) -> bool {
    args.opt_text(GLOB).is_none_or(|wanted| glob::matches(wanted, name))
}

const COUNTED: &[&str] =
    &["Datacenter", "ClusterComputeResource", "HostSystem", "VirtualMachine", "Datastore"];

const COUNTED_BY: &[Select<'static>] = &[
    Select { kind: "Datacenter", paths: &["name"] },
    Select { kind: "ClusterComputeResource", paths: &["name"] },
    Select { kind: "HostSystem", paths: &["runtime.connectionState"] },
    Select { kind: "VirtualMachine", paths: &["runtime.powerState", "summary.config.template"] },
    Select { kind: "Datastore", paths: &["summary.accessible"] },
];

fn vcenter(ctx: &Ctx<'_>, _: &Args) -> Result<Reply> {
    let it = client(ctx)?;
    let instead = "list_servers shows what it is, get_host_info the host itself";
    it.needs_vcenter(&ctx.call, "is no vCenter", instead)?;
    const NAMES: [&str; 9] = [
        "datacenters",
        "clusters",
        "hosts",
        "hosts_connected",
        "vms",
        "vms_on",
        "templates",
        "datastores",
        "datastores_accessible",
    ];
    let (mut counts, mut centers) = ([0i64; NAMES.len()], Vec::new());
    let mut count = |name: &str| {
        let slot = NAMES.iter().position(|it| *it == name).and_then(|at| counts.get_mut(at));
        slot.into_iter().for_each(|it| *it += 1);
    };
    props::all(&it.session, &ctx.call, COUNTED, COUNTED_BY, |row| match &*row.at.kind {
        "Datacenter" => {
            count("datacenters");
            centers.push(name(&row));
        }
        "ClusterComputeResource" => count("clusters"),
        "HostSystem" => {
            count("hosts");
            if row.text("runtime.connectionState") == Some("connected") {
                count("hosts_connected");
            }
        }
        "VirtualMachine" if row.flag("summary.config.template") == Some(true) => count("templates"),
        "VirtualMachine" => {
            count("vms");
            if row.text("runtime.powerState") == Some("poweredOn") {
                count("vms_on");
            }
        }
        "Datastore" => {
            count("datastores");
            if row.flag("summary.accessible") != Some(false) {
                count("datastores_accessible");
            }
        }
        _ => {}
    })?;
    let live = it.session.live(&ctx.call)?;
    let about = |name: &str| live.content.text(&format!("about.{name}")).map(str::to_owned);
    let mut record = Record::new();
    for (field, from) in [
        ("product", "fullName"),
        ("version", "version"),
        ("build", "build"),
        ("uuid", "instanceUuid"),
        ("api_version", "apiVersion"),
        ("os_type", "osType"),
    ] {
        record = record.maybe_text(field, about(from));
    }
    record = NAMES.iter().zip(counts).fold(record, |record, (name, count)| record.int(name, count));
    let centers = order::unique(centers);
    Ok(Reply::record(record.texts("datacenter_names", centers.get(..50).unwrap_or(&centers))))
}

fn templates(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const COLUMNS: &[&str] = &["name", "guest_os", "cpu", "memory_mb", "path", "id"];
    let depth = if detailed(args) { Depth::Full } else { Depth::Rows };
    let gathered = ctx.gather(&|host, call| {
        let mut machines = host.machines().list(call, depth)?;
        machines.retain(|it| it.template && fits(args, &it.at.name));
        Ok(machines)
    })?;
    vm::page("templates", COLUMNS, gathered, vm::row, args)
}

const NETWORKS: &[&str] = &["Network", "DistributedVirtualSwitch", "Folder", "Datacenter"];

/// Hosts, and machines, of a network that are named.
const MOST_HOSTS: usize = 200;
const MOST_VMS: usize = 1_000;

fn network(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let it = client(ctx)?;
    let named = |kind| Select { kind, paths: &["name", "parent"] };
    let group = [
        "name",
        "parent",
        "host",
        "vm",
        "summary",
        "tag",
        "config.distributedVirtualSwitch",
        "config.defaultPortConfig",
        "config.description",
        "config.numPorts",
        "config.type",
        "config.uplink",
    ];
    let selects = [
        Select { kind: "Network", paths: &group[..5] },
        Select { kind: "DistributedVirtualPortgroup", paths: &group },
        Select { kind: "OpaqueNetwork", paths: &group[..5] },
        Select {
            kind: "DistributedVirtualSwitch",
            paths: &["name", "parent", "config.uplinkPortPolicy"],
        },
        named("Folder"),
        named("Datacenter"),
    ];
    let all = Inventory::read(it, &ctx.call, NETWORKS, &selects)?;
    let known = all.candidates("Network");
    let chosen = choose(&known, "network", "The resource esxi://networks", args.text(NETWORK)?)?;
    let row = chosen.row;
    let kind = match &*row.at.kind {
        "DistributedVirtualPortgroup" => "distributed",
        "OpaqueNetwork" => "opaque",
        _ => "standard",
    };
    let mut record = Record::new()
        .text("name", name(row))
        .text("type", kind)
        .text("path", &chosen.path)
        .text("id", &row.at.id);
    record = facts::add(record, row, NETWORK_FACTS);
    if kind == "distributed" {
        let switch = row.reference("config.distributedVirtualSwitch");
        let policy = switch.and_then(|it| all.get(&it.id)?.object("config.uplinkPortPolicy"));
        let uplinks: Vec<&str> =
            policy.map_or(Vec::new(), |it| it.texts("uplinkPortName").collect());
        record = record
            .maybe_text("switch", switch.map(|it| all.name(it)))
            .maybe_text("vlan", row.object("config.defaultPortConfig").and_then(vlan))
            .flag("uplink", is_uplink(row) || row.flag("config.uplink") == Some(true))
            .texts("switch_uplinks", &uplinks);
    }
    let (hosts, vms) = (references(row.items("host")), references(row.items("vm")));
    let asked =
        [bounded(&hosts, MOST_HOSTS), bounded(&vms, if detailed(args) { MOST_VMS } else { 0 })];
    let host: &[&str] = match kind {
        "standard" => &["name", "config.network.portgroup"],
        _ => &["name"],
    };
    let selects = [
        Select { kind: "HostSystem", paths: host },
        Select { kind: "VirtualMachine", paths: &["name"] },
    ];
    let rows = props::of(&it.session, &ctx.call, &asked.concat(), &selects)?;
    let wanted = row.text("name").unwrap_or_default();
    let of = |kind: &'static str| {
        order::by_key(rows.iter().filter(|it| is_a(it, kind)).collect(), |it: &&Row| name(it))
    };
    let shown: Vec<Record> = of("HostSystem").into_iter().map(|it| on_host(it, wanted)).collect();
    record = record.int("host_count", count(&hosts)).records("hosts", shown);
    record = record.int("vm_count", count(&vms));
    if detailed(args) {
        let names: Vec<String> = of("VirtualMachine").into_iter().map(name).collect();
        record = record.texts("vms", &names);
    }
    Ok(Reply::record(record))
}

const NETWORK_FACTS: &[Field] = &[
    ("accessible", "summary.accessible", Read::Flag),
    ("opaque_network_id", "summary.opaqueNetworkId", Read::Text),
    ("opaque_network_type", "summary.opaqueNetworkType", Read::Text),
    ("description", "config.description", Read::Text),
    ("ports", "config.numPorts", Read::Number),
    ("port_binding", "config.type", Read::Text),
];

fn bounded(all: &[Ref], most: usize) -> &[Ref] {
    all.get(..most).unwrap_or(all)
}

/// How many there are, as an answer holds it.
pub fn count<T>(all: &[T]) -> i64 {
    i64::try_from(all.len()).unwrap_or(i64::MAX)
}

/// A host, and where it has the standard network: each host has its own switch and VLAN for it.
fn on_host(row: &Row, network: &str) -> Record {
    let groups = row.items("config.network.portgroup").iter().filter_map(Value::as_object);
    let mut specs = groups.filter_map(|it| it.object("spec"));
    let record = Record::new().text("name", name(row));
    match specs.find(|it| it.text("name") == Some(network)) {
        None => record,
        Some(spec) => record
            .maybe_text("vswitch", spec.text("vswitchName"))
            .maybe_int("vlan_id", spec.int("vlanId")),
    }
}

/// The VLAN of a distributed port group: a number, ranges of a trunk, or a private one.
fn vlan(config: &Object) -> Option<String> {
    let vlan = config.object("vlan")?;
    if let Some(id) = vlan.int("pvlanId") {
        return Some(format!("private {id}"));
    }
    if let Some(id) = vlan.int("vlanId") {
        return Some(id.to_string());
    }
    let ranges = vlan.objects("vlanId").filter_map(|range| {
        let (from, to) = (range.int("start")?, range.int("end")?);
        Some(if from == to { from.to_string() } else { format!("{from}-{to}") })
    });
    let ranges: Vec<String> = ranges.take(50).collect();
    Some(format!("trunk {}", ranges.join(", ")))
}

/// A list that a standalone ESXi cannot have: none, and why.
pub fn none(said: &str, key: &'static str) -> Reply {
    let record = Record::new().int("total", 0).value(key, json::Value::Array(json::Array::new()));
    Reply::said(format!("none: {said}"), record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(vlan: Object) -> Option<String> {
        super::vlan(&Object::new("VMwareDVSPortSetting").with("vlan", vlan))
    }

    #[test]
    fn a_vlan_is_a_number_ranges_or_private() {
        let id = Object::new("VmwareDistributedVirtualSwitchVlanIdSpec").with("vlanId", 30);
        assert_eq!(port(id).as_deref(), Some("30"));
        let range = |start: i32, end: i32| {
            Object::new("NumericRange").with("start", start).with("end", end)
        };
        let trunk = Object::new("VmwareDistributedVirtualSwitchTrunkVlanSpec");
        let ranges = trunk.clone().with("vlanId", vec![range(0, 9), range(20, 20)]);
        assert_eq!(port(ranges).as_deref(), Some("trunk 0-9, 20"));
        assert_eq!(
            port(trunk.with("vlanId", vec![range(0, 4094)])).as_deref(),
            Some("trunk 0-4094")
        );
        let private = Object::new("VmwareDistributedVirtualSwitchPvlanSpec").with("pvlanId", 7);
        assert_eq!(port(private).as_deref(), Some("private 7"));
        assert_eq!(super::vlan(&Object::new("DVPortSetting")), None);
    }
}
