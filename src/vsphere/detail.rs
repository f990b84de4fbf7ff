//! Everything about one machine: its own properties, and the names of what it refers to.
//!
//! Three round trips whatever the machine: the names to find it, its properties, and the names of
//! its host, pool, networks and datastores in one.

use std::collections::HashMap;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::{Machine, MachineDetail};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::machines::{machine, reference};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, boot, devices, props};

const PATHS: &[&str] = &[
    "name",
    "parent",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.question",
    "runtime.host",
    "runtime.bootTime",
    "summary.config.numCpu",
    "summary.config.memorySizeMB",
    "summary.config.guestFullName",
    "summary.config.template",
    "summary.config.uuid",
    "summary.config.instanceUuid",
    "summary.config.annotation",
    "summary.config.vmPathName",
    "summary.quickStats.overallCpuUsage",
    "summary.quickStats.guestMemoryUsage",
    "summary.quickStats.uptimeSeconds",
    "summary.storage.committed",
    "config.version",
    "config.firmware",
    "config.hardware.numCoresPerSocket",
    "config.hardware.device",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.nestedHVEnabled",
    "config.bootOptions",
    "guest.ipAddress",
    "guest.hostName",
    "guest.net",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.toolsVersion",
    "resourcePool",
    "datastore",
    "network",
    "snapshot",
];

/// Reads it all.
pub fn read(it: &Vsphere, call: &Call, wanted: &str) -> Result<MachineDetail> {
    let at = it.locate(call, wanted)?;
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", PATHS)?;
    let names = names(it, call, &row)?;
    let known = |reference: Option<&Ref>| reference.and_then(|it| names.get(&it.id).cloned());
    let folder = at.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let hardware = row.items("config.hardware.device");
    let network = |card: &Object| network_of(card, &names);
    let boot = row.object("config.bootOptions");
    Ok(MachineDetail {
        machine: Machine { at, ..machine(&row) },
        uuid: row.string("summary.config.uuid"),
        instance_uuid: row.string("summary.config.instanceUuid"),
        hardware_version: row.string("config.version"),
        firmware: row.string("config.firmware"),
        cores_per_socket: row.int("config.hardware.numCoresPerSocket"),
        cpu_hot_add: row.flag("config.cpuHotAddEnabled"),
        memory_hot_add: row.flag("config.memoryHotAddEnabled"),
        nested_virtualization: row.flag("config.nestedHVEnabled"),
        secure_boot: boot.and_then(|it| it.flag("efiSecureBootEnabled")),
        disks: devices::disks(hardware),
        nics: devices::nics(hardware, network, |mac| addresses(&row, mac)),
        media: devices::media(hardware),
        snapshots: row.object("snapshot").map_or(0, |it| count(it.list("rootSnapshotList"), 0)),
        agent_version: row.text("guest.toolsVersionStatus2").map(|status| {
            match row.text("guest.toolsVersion") {
                Some(version) => format!("{version} ({status})"),
                None => status.to_owned(),
            }
        }),
        guest_hostname: row.string("guest.hostName"),
        uptime_seconds: row.int("summary.quickStats.uptimeSeconds"),
        booted_at: row.string("runtime.bootTime"),
        annotation: row.string("summary.config.annotation").filter(|it| !it.is_empty()),
        boot_order: boot.map(|it| boot::words(it, hardware)).unwrap_or_default(),
        host: known(row.reference("runtime.host")),
        folder,
        resource_pool: known(row.reference("resourcePool")),
        datastores: row
            .items("datastore")
            .iter()
            .filter_map(|it| known(it.as_reference()))
            .collect(),
        config_path: row.string("summary.config.vmPathName"),
    })
}

/// The names of everything that the machine refers to, in one query.
pub(super) fn names(it: &Vsphere, call: &Call, row: &Row) -> Result<HashMap<String, String>> {
    let mut refs: Vec<Ref> = Vec::new();
    refs.extend(row.reference("runtime.host").cloned());
    refs.extend(row.reference("resourcePool").cloned());
    for path in ["datastore", "network"] {
        refs.extend(row.items(path).iter().filter_map(Value::as_reference).cloned());
    }
    let name: &[&'static str] = &["name"];
    // A port group is a network too; the one of the fuller list counts for it.
    let selects = [
        Select { kind: "HostSystem", paths: name },
        Select { kind: "ResourcePool", paths: name },
        Select { kind: "Datastore", paths: name },
        Select { kind: "Network", paths: name },
        Select { kind: "DistributedVirtualPortgroup", paths: &["name", "key"] },
        Select { kind: "OpaqueNetwork", paths: &["name", "summary"] },
    ];
    let needed: Vec<Select<'_>> = selects
        .into_iter()
        .filter(|select| refs.iter().any(|it| *it.kind == *select.kind || is_a(it, select.kind)))
        .collect();
    let rows = props::of(&it.session, call, &refs, &needed)?;
    let mut names = HashMap::new();
    for row in rows {
        let name = unescaped(row.text("name").unwrap_or(&row.at.id));
        let opaque = row.object("summary").and_then(|it| it.text("opaqueNetworkId"));
        if let Some(key) = row.text("key").or(opaque) {
            names.insert(format!("key {key}"), name.clone());
        }
        names.insert(row.at.id.clone(), name);
    }
    Ok(names)
}

fn is_a(reference: &Ref, kind: &str) -> bool {
    let types =
        (crate::vim::table::Type::find(&reference.kind), crate::vim::table::Type::find(kind));
    matches!(types, (Some(it), Some(base)) if it.is_a(base))
}

/// The network of a card: by reference, by the key of a port group or opaque network, or by the
/// name in its backing.
pub(super) fn network_of(card: &Object, names: &HashMap<String, String>) -> Option<String> {
    let by_ref = card.reference("backing.network").and_then(|it| names.get(&it.id));
    let key =
        card.text("backing.port.portgroupKey").or_else(|| card.text("backing.opaqueNetworkId"));
    let by_key = key.and_then(|key| names.get(&format!("key {key}")).or_else(|| names.get(key)));
    let plain = card.text("backing.deviceName").or(key);
    by_ref.or(by_key).cloned().or_else(|| plain.map(str::to_owned))
}

/// What the guest says are the addresses of a card.
pub(super) fn addresses(row: &Row, mac: &str) -> Vec<String> {
    let of =
        |card: &&Object| card.text("macAddress").is_some_and(|it| it.eq_ignore_ascii_case(mac));
    let mut cards = row.items("guest.net").iter().filter_map(Value::as_object);
    cards
        .find(of)
        .map(|card| card.texts("ipAddress").map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Snapshots of a tree, to a depth that no server exceeds.
fn count(nodes: &[Value], depth: usize) -> i64 {
    if depth > 64 {
        return 0;
    }
    nodes.iter().map(|node| 1 + count(node.list("childSnapshotList"), depth + 1)).sum()
}
