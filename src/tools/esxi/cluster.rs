//! Clusters: what they are made of, and what DRS recommends.
//!
//! Surprising: the API counts a cluster's total memory in bytes and its effective memory in MB.

use crate::error::Result;
use crate::text::order;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::inventory::{GLOB, count, fits, none};
use crate::tools::esxi::{client, facts, of};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::facts::{Field, Read};
use crate::vsphere::inventory::{Inventory, choose, deep, name, references};
use crate::vsphere::props;
use crate::vsphere::props::{Row, Select};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_clusters",
        title: "List clusters",
        about: "Clusters with hosts, size, DRS and HA. None on a standalone ESXi.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "get_cluster_info",
        title: "Cluster details",
        about: "A cluster: DRS and HA settings, hosts with state and load, datastores, networks.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[NAME],
        run: Run::Read(info),
    },
    Tool {
        name: "get_drs_recommendations",
        title: "DRS recommendations",
        about: "The moves that DRS recommends in a cluster, with reason and rating. migrate_vm carries one out.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[CLUSTER],
        run: Run::Read(recommendations),
    },
];

const NAME: Arg = Arg::text("name", "cluster name, id or path").required();
const CLUSTER: Arg = Arg::text("cluster_name", "name, id or path").required();

const PLACES: [Select<'static>; 2] = [
    Select { kind: "Folder", paths: &["name", "parent"] },
    Select { kind: "Datacenter", paths: &["name", "parent"] },
];

/// What a list shows of a cluster, and what it is read from.
const LISTED: &[&str] =
    &["name", "parent", "summary", "configuration.drsConfig", "configuration.dasConfig"];
const FACTS: &[Field] = &[
    ("hosts", "summary.numHosts", Read::Number),
    ("effective_hosts", "summary.numEffectiveHosts", Read::Number),
    ("drs_enabled", "configuration.drsConfig.enabled", Read::Flag),
    ("drs_level", "configuration.drsConfig.defaultVmBehavior", Read::Text),
    ("ha_enabled", "configuration.dasConfig.enabled", Read::Flag),
    ("cpu_cores", "summary.numCpuCores", Read::Number),
    ("cpu_mhz", "summary.totalCpu", Read::Number),
    ("memory_mb", "summary.totalMemory", Read::Megabytes),
    ("overall_status", "summary.overallStatus", Read::Text),
];
const MORE_FACTS: &[Field] = &[
    ("drs_migration_threshold", "configuration.drsConfig.vmotionRate", Read::Number),
    ("drs_score", "summary.drsScore", Read::Number),
    ("ha_admission_control", "configuration.dasConfig.admissionControlEnabled", Read::Flag),
    ("ha_failover_level", "configuration.dasConfig.failoverLevel", Read::Number),
    ("ha_host_monitoring", "configuration.dasConfig.hostMonitoring", Read::Text),
    ("ha_vm_monitoring", "configuration.dasConfig.vmMonitoring", Read::Text),
    ("cpu_threads", "summary.numCpuThreads", Read::Number),
    ("cpu_effective_mhz", "summary.effectiveCpu", Read::Number),
    ("memory_effective_mb", "summary.effectiveMemory", Read::Number),
    ("vmotions", "summary.numVmotions", Read::Number),
];
const HOST_FACTS: &[Field] = &[
    ("cpu_usage_mhz", "summary.quickStats.overallCpuUsage", Read::Number),
    ("memory_usage_mb", "summary.quickStats.overallMemoryUsage", Read::Number),
    ("memory_mb", "summary.hardware.memorySize", Read::Megabytes),
];

const LACKS: &str = "has no clusters";
const INSTEAD: &str = "get_host_info shows the one host that it is";

/// A cluster with its path.
fn row(it: &(Record, String)) -> Record {
    it.0.clone()
}

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const KINDS: &[&str] = &["ClusterComputeResource", "Folder", "Datacenter"];
    const COLUMNS: &[&str] =
        &["name", "hosts", "drs_enabled", "ha_enabled", "cpu_mhz", "memory_mb", "path", "id"];
    if !ctx.all_servers() && !client(ctx)?.session.live(&ctx.call)?.is_vcenter() {
        return Ok(none("a standalone ESXi has no clusters, those need vCenter", "clusters"));
    }
    let gathered = ctx.gather(&|host, call| {
        let cluster = Select { kind: "ClusterComputeResource", paths: LISTED };
        let [folder, center] = PLACES;
        let all = Inventory::read(of(host)?, call, KINDS, &[cluster, folder, center])?;
        let clusters = all.of("ClusterComputeResource").filter(|row| fits(args, &name(row)));
        let found: Vec<(Record, String)> = clusters
            .map(|row| {
                let path = all.path(row);
                let record = facts::add(Record::new().text("name", name(row)), row, FACTS);
                (record.text("path", &path).text("id", &row.at.id), path)
            })
            .collect();
        Ok(order::by_key(found, |it| it.1.clone()))
    })?;
    vm::page("clusters", COLUMNS, gathered, row, args)
}

fn info(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const KINDS: &[&str] =
        &["ClusterComputeResource", "HostSystem", "Datastore", "Network", "Folder", "Datacenter"];
    let it = client(ctx)?;
    it.needs_vcenter(&ctx.call, LACKS, INSTEAD)?;
    let paths = [LISTED, &["host", "datastore", "network", "resourcePool"]].concat();
    let host = [
        "name",
        "parent",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "runtime.powerState",
        "summary.quickStats.overallCpuUsage",
        "summary.quickStats.overallMemoryUsage",
        "summary.hardware.memorySize",
        "summary.hardware.cpuMhz",
        "summary.hardware.numCpuCores",
        "vm",
    ];
    let named = |kind| Select { kind, paths: &["name"] };
    let [folder, center] = PLACES;
    let selects = [
        Select { kind: "ClusterComputeResource", paths: &paths },
        Select { kind: "HostSystem", paths: &host },
        named("Datastore"),
        named("Network"),
        folder,
        center,
    ];
    let all = Inventory::read(it, &ctx.call, KINDS, &selects)?;
    let known = all.candidates("ClusterComputeResource");
    let chosen = choose(&known, "cluster", "list_clusters", args.text(NAME)?)?;
    let row = chosen.row;
    let record =
        Record::new().text("name", name(row)).text("path", &chosen.path).text("id", &row.at.id);
    let record = facts::add(facts::add(record, row, FACTS), row, MORE_FACTS);
    let hosts: Vec<&Row> =
        references(row.items("host")).iter().filter_map(|it| all.get(&it.id)).collect();
    let sum = |path: &str| hosts.iter().filter_map(|it| it.int(path)).sum::<i64>();
    let record = record
        .int("cpu_usage_mhz", sum("summary.quickStats.overallCpuUsage"))
        .int("memory_usage_mb", sum("summary.quickStats.overallMemoryUsage"))
        .int("vms", hosts.iter().map(|it| count(it.items("vm"))).sum());
    let hosts = order::by_key(hosts, |it| name(it));
    let record = record
        .records("host_list", hosts.into_iter().map(host_row).collect())
        .texts("datastores", &names(&all, row, "datastore"))
        .texts("networks", &names(&all, row, "network"));
    Ok(Reply::record(
        record.maybe_text("root_pool_id", row.reference("resourcePool").map(|it| &it.id)),
    ))
}

/// The names of what a cluster refers to, in order.
fn names(all: &Inventory, row: &Row, path: &str) -> Vec<String> {
    order::unique(references(row.items(path)).iter().map(|it| all.name(it)).collect())
}

fn host_row(row: &Row) -> Record {
    let state = match (row.text("runtime.connectionState"), row.text("runtime.powerState")) {
        (Some("connected"), Some("standBy")) => "standby",
        (Some("connected"), _) if row.flag("runtime.inMaintenanceMode") == Some(true) => {
            "maintenance"
        }
        (Some("notResponding"), _) => "not responding",
        (state, _) => state.unwrap_or("unknown"),
    };
    let of = |path: &str| row.int(&format!("summary.hardware.{path}"));
    let mhz = of("cpuMhz").zip(of("numCpuCores")).map(|(mhz, cores)| mhz * cores);
    let record = Record::new().text("name", name(row)).text("state", state);
    facts::add(record.int("vms", count(row.items("vm"))).maybe_int("cpu_mhz", mhz), row, HOST_FACTS)
        .text("id", &row.at.id)
}

fn recommendations(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const KINDS: &[&str] = &["ClusterComputeResource", "HostSystem", "Folder", "Datacenter"];
    const KEY: &str = "recommendations";
    let it = client(ctx)?;
    it.needs_vcenter(&ctx.call, "has no DRS", INSTEAD)?;
    let paths = ["name", "parent", "configuration.drsConfig", "recommendation"];
    let [folder, center] = PLACES;
    let selects = [
        Select { kind: "ClusterComputeResource", paths: &paths },
        Select { kind: "HostSystem", paths: &["name"] },
        folder,
        center,
    ];
    let all = Inventory::read(it, &ctx.call, KINDS, &selects)?;
    let known = all.candidates("ClusterComputeResource");
    let cluster = choose(&known, "cluster", "list_clusters", args.text(CLUSTER)?)?.row;
    let drs = |name: &str| deep(cluster, &format!("configuration.drsConfig.{name}"));
    let own = name(cluster);
    if drs("enabled").and_then(Value::as_bool) == Some(false) {
        return Ok(none(&format!("DRS is off in `{own}`, so it recommends nothing"), KEY));
    }
    let advice: Vec<&Object> =
        cluster.items("recommendation").iter().filter_map(Value::as_object).collect();
    if advice.is_empty() {
        let level = drs("defaultVmBehavior").and_then(Value::as_text).unwrap_or("unknown");
        let acts = match level {
            "fullyAutomated" => ", and carries out by itself what it finds",
            _ => "",
        };
        return Ok(none(&format!("DRS ({level}) in `{own}` recommends nothing now{acts}"), KEY));
    }
    let moved: Vec<Ref> = advice
        .iter()
        .flat_map(|it| it.objects("action"))
        .filter_map(|it| it.reference("drsMigration.vm").or(it.reference("target")))
        .filter(|it| &*it.kind == "VirtualMachine")
        .take(1_000)
        .cloned()
        .collect();
    let select = Select { kind: "VirtualMachine", paths: &["name"] };
    let machines = props::of(&it.session, &ctx.call, &moved, &[select])?;
    let called = |at: &Ref| match machines.iter().find(|it| it.at.id == at.id) {
        Some(row) => name(row),
        None => all.name(at),
    };
    let mut rows = Vec::new();
    for it in advice {
        let of = |action: Option<&Object>| advised(it, action, &called);
        rows.extend(it.objects("action").map(|action| of(Some(action))));
        if it.objects("action").next().is_none() {
            rows.push(of(None));
        }
    }
    Ok(Reply::Rows(Rows::whole(KEY, &["reason", "vm", "from", "to", "rating", "key"], rows)))
}

/// One action of a recommendation; the rating goes from 1 to 5, the best.
fn advised(it: &Object, action: Option<&Object>, called: &dyn Fn(&Ref) -> String) -> Record {
    let of = |path: &str| action.and_then(|action| action.reference(path)).map(called);
    Record::new()
        .maybe_text("reason", it.text("reasonText").or(it.text("reason")))
        .maybe_text("vm", of("drsMigration.vm").or_else(|| of("target")))
        .maybe_text("from", of("drsMigration.source"))
        .maybe_text("to", of("drsMigration.destination").or_else(|| of("targetHost")))
        .maybe_int("rating", it.int("rating"))
        .maybe_text("key", it.text("key"))
        .maybe_text("action", action.and_then(|it| it.text("type")))
        .maybe_text("power", action.and_then(|it| it.text("operationType")))
        .maybe_text("warning", it.text("warningText"))
        .maybe_text("time", it.text("time"))
}
