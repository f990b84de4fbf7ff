//! Places: hosts, datastores, networks, clusters and resource pools, each in one query.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::places::{Fact, Place, PlaceKind, Places};
use crate::text::order;
use crate::vsphere::facts::{Field, Read, Told, facts};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::site::is_uplink;
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props, tree};

/// One kind of place: its type, what lies above it, and its facts by property.
struct Kind {
    wanted: &'static str,
    view: &'static [&'static str],
    above: &'static [&'static str],
    facts: &'static [Field],
}

static HOST: Kind = Kind {
    wanted: "HostSystem",
    view: &["HostSystem", "ComputeResource", "Folder", "Datacenter"],
    above: &["ComputeResource"],
    facts: &[
        ("connection_state", "runtime.connectionState", Read::Text),
        ("power_state", "runtime.powerState", Read::Text),
        ("maintenance_mode", "runtime.inMaintenanceMode", Read::Flag),
        ("overall_status", "summary.overallStatus", Read::Text),
        ("product", "summary.config.product.fullName", Read::Text),
        ("model", "summary.hardware.model", Read::Text),
        ("cpu_model", "summary.hardware.cpuModel", Read::Text),
        ("cpu_cores", "summary.hardware.numCpuCores", Read::Number),
        ("cpu_mhz", "summary.hardware.cpuMhz", Read::Number),
        ("cpu_usage_mhz", "summary.quickStats.overallCpuUsage", Read::Number),
        ("memory_mb", "summary.hardware.memorySize", Read::Megabytes),
        ("memory_usage_mb", "summary.quickStats.overallMemoryUsage", Read::Number),
        ("uptime_seconds", "summary.quickStats.uptime", Read::Number),
    ],
};

static DATASTORE: Kind = Kind {
    wanted: "Datastore",
    view: &["Datastore", "Folder", "Datacenter"],
    above: &[],
    facts: &[
        ("type", "summary.type", Read::Text),
        ("capacity_bytes", "summary.capacity", Read::Number),
        ("free_bytes", "summary.freeSpace", Read::Number),
        ("accessible", "summary.accessible", Read::Flag),
        ("maintenance_mode", "summary.maintenanceMode", Read::Text),
        ("url", "summary.url", Read::Text),
    ],
};

static NETWORK: Kind = Kind {
    wanted: "Network",
    view: &["Network", "Folder", "Datacenter"],
    above: &[],
    facts: &[("accessible", "summary.accessible", Read::Flag)],
};

static CLUSTER: Kind = Kind {
    wanted: "ClusterComputeResource",
    view: &["ClusterComputeResource", "Folder", "Datacenter"],
    above: &[],
    facts: &[
        ("hosts", "summary.numHosts", Read::Number),
        ("effective_hosts", "summary.numEffectiveHosts", Read::Number),
        ("cpu_mhz", "summary.totalCpu", Read::Number),
        ("cpu_cores", "summary.numCpuCores", Read::Number),
        ("memory_mb", "summary.totalMemory", Read::Megabytes),
        ("drs_enabled", "configuration.drsConfig.enabled", Read::Flag),
        ("ha_enabled", "configuration.dasConfig.enabled", Read::Flag),
        ("overall_status", "summary.overallStatus", Read::Text),
    ],
};

static RESOURCE_POOL: Kind = Kind {
    wanted: "ResourcePool",
    view: &["ResourcePool", "ComputeResource", "Folder", "Datacenter"],
    above: &["ComputeResource"],
    facts: &[
        ("cpu_reservation_mhz", "config.cpuAllocation.reservation", Read::Number),
        ("cpu_limit_mhz", "config.cpuAllocation.limit", Read::Number),
        ("memory_reservation_mb", "config.memoryAllocation.reservation", Read::Number),
        ("memory_limit_mb", "config.memoryAllocation.limit", Read::Number),
    ],
};

impl Places for Vsphere {
    fn list(&self, call: &Call, kind: PlaceKind) -> Result<Vec<Place>> {
        let kind = match kind {
            PlaceKind::Cluster => &CLUSTER,
            PlaceKind::Datastore => &DATASTORE,
            PlaceKind::Host => &HOST,
            PlaceKind::Network => &NETWORK,
            PlaceKind::ResourcePool => &RESOURCE_POOL,
        };
        let mut paths = vec!["name", "parent"];
        paths.extend(kind.facts.iter().map(|(_, path, _)| *path));
        if kind.wanted == "Network" {
            paths.push("tag");
        }
        let mut selects = vec![Select { kind: kind.wanted, paths: &paths }];
        selects.extend(tree::PLACES);
        selects.extend(kind.above.iter().map(|kind| Select { kind, paths: &["name", "parent"] }));
        let (mut tree, mut found) = (Tree::default(), Vec::new());
        props::all(&self.session, call, kind.view, &selects, |row| {
            tree.add(&row);
            if is_wanted(&row, kind) && !is_uplink(&row) {
                found.push(row);
            }
        })?;
        let places = found.iter().map(|row| place(row, kind, &tree)).collect();
        Ok(order::by_key(places, |place| format!("{}\0{}", place.name, place.path)))
    }
}

/// Of the kind itself or of a more special one, such as a port group among networks.
fn is_wanted(row: &Row, kind: &Kind) -> bool {
    let (it, base) =
        (crate::vim::table::Type::find(&row.at.kind), crate::vim::table::Type::find(kind.wanted));
    matches!((it, base), (Some(it), Some(base)) if it.is_a(base))
}

fn place(row: &Row, kind: &Kind, tree: &Tree) -> Place {
    let name = row.text("name").unwrap_or(&row.at.id);
    let plain = |(name, told)| match told {
        Told::Plain(fact) => Some((name, fact)),
        _ => None,
    };
    let told = facts(kind.facts, &|path| row.get(path));
    let mut facts: Vec<(&'static str, Fact)> = told.into_iter().filter_map(plain).collect();
    if kind.wanted == "Network" {
        facts.insert(0, ("type", Fact::Text(network_type(&row.at.kind).to_owned())));
    }
    Place {
        id: row.at.id.clone(),
        name: unescaped(name),
        path: tree.path(name, row.reference("parent")),
        facts,
    }
}

fn network_type(kind: &str) -> &str {
    match kind {
        "Network" => "standard",
        "DistributedVirtualPortgroup" => "distributed",
        "OpaqueNetwork" => "opaque",
        other => other,
    }
}
