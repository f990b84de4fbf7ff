//! What hosts are and how they do: tables of properties, and what has to be joined by hand.
//!
//! Two queries whatever the number of hosts: the names, then the facts; of a single host a third
//! one reads what it refers to. Surprising: `HostSystem.config` takes a megabyte a host, so it is
//! only ever asked for by the paths inside it, and lists are read of a single host only.

use std::collections::HashMap;

use crate::error::Result;
use crate::hv::call::Call;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::check::is_free;
use crate::vsphere::facts::{Facts, Field, Told, facts, name_of_key, number, rows, text};
use crate::vsphere::host_fields::{
    ADAPTER, HARDWARE, HARDWARE_MORE, INFO, INFO_MORE, KERNEL_NIC, NETWORKING, NETWORKING_MORE,
    NETWORKS, NIC, STATS, STATS_MORE, STORE,
};
use crate::vsphere::hosts::{HostAt, meant, references, running};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props};

/// The hosts that are meant, each with the properties of the tables; `single` ones are read only
/// where it is one.
fn read(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
    fields: &[&[Field]],
    more: &[&'static str],
    single: &[&'static str],
) -> Result<Vec<(HostAt, Option<Row>)>> {
    let hosts = meant(it, call, wanted, &[])?;
    let mut paths: Vec<&'static str> =
        fields.iter().flat_map(|it| it.iter()).map(|(_, path, _)| *path).collect();
    paths.extend(more);
    if hosts.len() == 1 {
        paths.extend(single);
    }
    let refs: Vec<Ref> = hosts.iter().map(|host| host.at.clone()).collect();
    let rows =
        props::of(&it.session, call, &refs, &[Select { kind: "HostSystem", paths: &paths }])?;
    let mut rows: HashMap<String, Row> =
        rows.into_iter().map(|row| (row.at.id.clone(), row)).collect();
    let with = |host: HostAt| {
        let row = rows.remove(&host.at.id);
        (host, row)
    };
    Ok(hosts.into_iter().map(with).collect())
}

/// Name, path and id, then the facts of a table.
fn told(host: &HostAt, row: Option<&Row>, fields: &[Field]) -> Facts {
    let mut all = vec![("name", text(&host.name))];
    if let Some(row) = row {
        all.extend(facts(fields, &|path| row.get(path)));
    }
    all.push(("path", text(&host.path)));
    all.push(("id", text(&host.at.id)));
    all
}

/// Version, state, times, place; of a single host also machines, addresses, licence and alarms.
pub fn info(it: &Vsphere, call: &Call, wanted: Option<&str>) -> Result<Vec<Facts>> {
    let hosts = read(it, call, wanted, &[INFO], &[], INFO_MORE)?;
    let alone = hosts.len() == 1;
    let mut all = Vec::new();
    for (host, row) in &hosts {
        let mut facts = told(host, row.as_ref(), INFO);
        if let (true, Some(row)) = (alone, row) {
            facts.extend(surroundings(it, call, host, row)?);
        }
        all.push(facts);
    }
    Ok(all)
}

/// What a single host refers to, in one query.
fn surroundings(it: &Vsphere, call: &Call, host: &HostAt, row: &Row) -> Result<Facts> {
    let alarms = row.items("triggeredAlarmState");
    let live = it.session.live(call)?;
    let mut refs = references(row, "vm");
    refs.extend(alarms.iter().filter_map(|it| it.reference("alarm")).cloned());
    let parent = row.reference("parent").filter(|it| &*it.kind == "ClusterComputeResource");
    refs.extend(parent.cloned());
    refs.extend(live.manager("licenseManager").ok());
    let selects = [
        Select { kind: "VirtualMachine", paths: &["name", "runtime.powerState"] },
        Select { kind: "Alarm", paths: &["info.name"] },
        Select { kind: "ClusterComputeResource", paths: &["name"] },
        Select { kind: "LicenseManager", paths: &["licenses", "licenseAssignmentManager"] },
    ];
    let used: Vec<Select<'_>> = selects
        .into_iter()
        .filter(|select| refs.iter().any(|it| *it.kind == *select.kind))
        .collect();
    let found = props::of(&it.session, call, &refs, &used)?;
    let named = |at: Option<&Ref>, path: &str| {
        let row = found.iter().find(|row| at.is_some_and(|at| at.id == row.at.id))?;
        row.text(path).map(unescaped)
    };
    let mut more: Facts = Vec::new();
    let on = i64::try_from(running(&found).len()).unwrap_or(i64::MAX);
    more.push(("vms_running", number(on)));
    more.extend(named(parent, "name").map(|name| ("cluster", text(name))));
    let management =
        kernel_nics(row).into_iter().filter(|it| it.1.iter().any(|s| s == "management"));
    let address = |it: &Object| it.text("spec.ip.ipAddress").map(str::to_owned);
    let addresses = management.filter_map(|it| address(it.0)).collect();
    more.push(("management_ips", Told::Texts(addresses)));
    let licences = found.iter().find(|row| &*row.at.kind == "LicenseManager");
    let licence = licences.and_then(|row| licence(it, call, live.is_vcenter(), host, row));
    more.extend(licence.map(|name| ("license", text(name))));
    let alarm = |state: &Value| {
        let name = named(state.reference("alarm"), "info.name");
        let status = state.text("overallStatus").unwrap_or("unknown");
        let seen = if state.flag("acknowledged") == Some(true) { ", acknowledged" } else { "" };
        format!("{} ({status}{seen})", name.unwrap_or_else(|| "unknown alarm".to_owned()))
    };
    more.push(("alarms", Told::Texts(alarms.iter().map(alarm).collect())));
    let issues = row.items("configIssue").iter().filter_map(Value::as_object);
    let issue = |it: &Object| it.text("fullFormattedMessage").unwrap_or(it.kind()).to_owned();
    more.push(("config_issues", Told::Texts(issues.map(issue).collect())));
    Ok(more)
}

/// The name of the host's licence, never its key; none where the account may not see it.
fn licence(it: &Vsphere, call: &Call, vcenter: bool, host: &HostAt, row: &Row) -> Option<String> {
    if !vcenter {
        let first = row.items("licenses").first()?;
        let name = first.text("name")?;
        let says = if is_free(first) { ": free, which makes the API read-only" } else { "" };
        return Some(format!("{name}{says}"));
    }
    let manager = row.reference("licenseAssignmentManager")?;
    let args = Object::args().with("entityId", host.at.id.as_str());
    match it.session.call(call, manager, "QueryAssignedLicenses", &args) {
        Ok(found) => found?.items().first()?.text("assignedLicense.name").map(str::to_owned),
        Err(error) => {
            crate::logging::debug!("the licence of {} stays unknown: {error}", host.name);
            None
        }
    }
}

/// Vendor, model, processors, memory; of a single host also adapters and sensors.
pub fn hardware(it: &Vsphere, call: &Call, wanted: Option<&str>) -> Result<Vec<Facts>> {
    let hosts = read(it, call, wanted, &[HARDWARE], &[], HARDWARE_MORE)?;
    let alone = hosts.len() == 1;
    let each = |(host, row): &(HostAt, Option<Row>)| {
        let mut all = told(host, row.as_ref(), HARDWARE);
        if let (true, Some(row)) = (alone, row) {
            add_parts(&mut all, row);
        }
        all
    };
    Ok(hosts.iter().map(each).collect())
}

fn add_parts(all: &mut Facts, row: &Row) {
    if !all.iter().any(|(name, _)| *name == "serial_number") {
        // Before 6.7 the number is one of several marks.
        let marks = row.items("summary.hardware.otherIdentifyingInfo");
        let tags = ["ServiceTag", "SerialNumberTag", "EnclosureSerialNumberTag"];
        let tag = tags
            .iter()
            .find_map(|tag| marks.iter().find(|it| it.text("identifierType.key") == Some(tag)));
        all.extend(
            tag.and_then(|it| it.text("identifierValue")).map(|it| ("serial_number", text(it))),
        );
    }
    let devices = row.items("hardware.pciDevice");
    let model = |nic: &Object| {
        let device = devices.iter().find(|it| it.text("id") == nic.text("pci"))?;
        let names = [device.text("vendorName"), device.text("deviceName")];
        Some(names.into_iter().flatten().collect::<Vec<_>>().join(" "))
    };
    all.push(("nics", Told::Rows(nics(row, &model))));
    let adapters = rows(ADAPTER, row.items("config.storageDevice.hostBusAdapter"));
    all.push(("storage_adapters", Told::Rows(adapters)));
    add_health(all, row);
}

/// Physical cards, with their model where it is known.
fn nics(row: &Row, model: &dyn Fn(&Object) -> Option<String>) -> Vec<Facts> {
    let nic = |it: &Object| {
        let mut all = facts(NIC, &|path| it.get(path));
        all.extend(model(it).map(|name| ("model", text(name))));
        let up = it.get("linkSpeed").is_some();
        all.push(("link", text(if up { "up" } else { "down" })));
        all
    };
    row.items("config.network.pnic").iter().filter_map(Value::as_object).map(nic).collect()
}

/// Every sensor's verdict as counts, and each that is not well by name.
fn add_health(all: &mut Facts, row: &Row) {
    let Some(health) = row.object("runtime.healthSystemRuntime") else { return };
    let mut seen: Vec<(&str, &str, String)> = Vec::new();
    for it in health.objects("systemHealthInfo.numericSensorInfo") {
        let state = it.text("healthState.key").unwrap_or("unknown");
        seen.push((it.text("name").unwrap_or("?"), state, reading(it)));
    }
    for list in ["memoryStatusInfo", "cpuStatusInfo", "storageStatusInfo"] {
        for it in health.objects(&format!("hardwareStatusInfo.{list}")) {
            let state = it.text("status.key").unwrap_or("unknown");
            seen.push((it.text("name").unwrap_or("?"), state, String::new()));
        }
    }
    let is = |state: &str, word: &str| state.eq_ignore_ascii_case(word);
    let count =
        |words: &[&str]| seen.iter().filter(|it| words.iter().any(|word| is(it.1, word))).count();
    let summary = format!(
        "{} sensors: {} green, {} yellow, {} red, {} unknown",
        seen.len(),
        count(&["green"]),
        count(&["yellow"]),
        count(&["red"]),
        count(&["unknown"])
    );
    all.push(("health", text(summary)));
    let bad = seen.iter().filter(|it| !is(it.1, "green") && !is(it.1, "unknown")).map(|it| {
        vec![("name", text(it.0)), ("state", text(it.1)), ("reading", text(it.2.as_str()))]
    });
    all.push(("not_well", Told::Rows(bad.collect())));
}

/// `24 Degrees C`: the number of a sensor with its power of ten and its unit.
fn reading(sensor: &Object) -> String {
    let number = sensor.int("currentReading").unwrap_or(0);
    let places = sensor.int("unitModifier").unwrap_or(0).clamp(-9, 9);
    let unit = sensor.text("baseUnits").unwrap_or_default();
    let ten = |power: i64| 10i64.pow(u32::try_from(power).unwrap_or(0));
    let shown = match places {
        0.. => number.saturating_mul(ten(places)).to_string(),
        _ => {
            let by = ten(-places);
            let sign = if number < 0 { "-" } else { "" };
            let (whole, rest) = (
                number.unsigned_abs() / by.unsigned_abs(),
                number.unsigned_abs() % by.unsigned_abs(),
            );
            let width = usize::try_from(-places).unwrap_or(0);
            let text = format!("{sign}{whole}.{rest:0width$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    };
    format!("{shown} {unit}").trim_end().to_owned()
}

/// Names, DNS, gateway; of a single host also cards, switches, port groups and kernel ports.
pub fn networking(it: &Vsphere, call: &Call, wanted: Option<&str>) -> Result<Vec<Facts>> {
    let lists: Vec<&'static str> =
        NETWORKS.iter().map(|it| it.1).chain(NETWORKING_MORE.iter().copied()).collect();
    let hosts = read(it, call, wanted, &[NETWORKING], &[], &lists)?;
    let alone = hosts.len() == 1;
    let each = |(host, row): &(HostAt, Option<Row>)| {
        let mut all = told(host, row.as_ref(), NETWORKING);
        if let (true, Some(row)) = (alone, row) {
            all.push(("physical_nics", Told::Rows(nics(row, &|_| None))));
            all.extend(facts(NETWORKS, &|path| row.get(path)));
            let ports = kernel_nics(row).into_iter().map(|(nic, services)| {
                let mut all = facts(KERNEL_NIC, &|path| nic.get(path));
                all.push(("services", Told::Texts(services)));
                let six = nic.objects("spec.ip.ipV6Config.ipV6Address");
                let six: Vec<String> =
                    six.filter_map(|it| it.text("ipAddress")).map(str::to_owned).collect();
                if !six.is_empty() {
                    all.push(("ipv6_addresses", Told::Texts(six)));
                }
                all
            });
            all.push(("vmkernel_nics", Told::Rows(ports.collect())));
        }
        all
    };
    Ok(hosts.iter().map(each).collect())
}

/// Ports of the kernel, each with the services that are switched on for it.
fn kernel_nics(row: &Row) -> Vec<(&Object, Vec<String>)> {
    let configs = row.items("config.virtualNicManagerInfo.netConfig");
    let services = |device: &str| {
        let on = configs
            .iter()
            .filter(|it| it.texts("selectedVnic").any(|key| name_of_key(key) == device));
        on.filter_map(|it| it.text("nicType")).map(str::to_owned).collect()
    };
    let nics = row.items("config.network.vnic").iter().filter_map(Value::as_object);
    nics.map(|nic| (nic, services(nic.text("device").unwrap_or_default()))).collect()
}

/// Use of processors, memory and, of a single host, datastores, as the server has it at hand.
pub fn stats(it: &Vsphere, call: &Call, wanted: Option<&str>) -> Result<Vec<Facts>> {
    let hosts = read(it, call, wanted, &[STATS], STATS_MORE, &["datastore"])?;
    let alone = hosts.len() == 1;
    let mut all = Vec::new();
    for (host, row) in &hosts {
        let mut facts = told(host, row.as_ref(), STATS);
        if let Some(row) = row {
            // Unknown of a host that is gone, and then no zero is said.
            let number_at = |path: &str| row.int(path);
            let cores = number_at("summary.hardware.numCpuCores").unwrap_or(0);
            let most = number_at("summary.hardware.cpuMhz").map(|it| it.saturating_mul(cores));
            facts.extend(most.map(|it| ("cpu_capacity_mhz", number(it))));
            let used = number_at("summary.quickStats.overallCpuUsage");
            facts.extend(percent(used, most).map(|it| ("cpu_usage_percent", it)));
            let used = number_at("summary.quickStats.overallMemoryUsage");
            let most = number_at("summary.hardware.memorySize").map(|it| it >> 20);
            facts.extend(percent(used, most).map(|it| ("memory_usage_percent", it)));
            if alone {
                facts.push(("datastores", Told::Rows(stores(it, call, row)?)));
            }
        }
        all.push(facts);
    }
    Ok(all)
}

fn percent(used: Option<i64>, most: Option<i64>) -> Option<Told> {
    let (used, most) = (used?, most.filter(|it| *it > 0)?);
    Some(number(used.saturating_mul(100).saturating_add(most / 2) / most))
}

fn stores(it: &Vsphere, call: &Call, row: &Row) -> Result<Vec<Facts>> {
    let paths: Vec<&'static str> =
        std::iter::once("name").chain(STORE.iter().map(|it| it.1)).collect();
    let select = Select { kind: "Datastore", paths: &paths };
    let rows = props::of(&it.session, call, &references(row, "datastore"), &[select])?;
    let store = |row: &Row| {
        let mut all = vec![("name", text(unescaped(row.text("name").unwrap_or(&row.at.id))))];
        all.extend(facts(STORE, &|path| row.get(path)));
        let most = row.int("summary.capacity");
        let used = most.zip(row.int("summary.freeSpace")).map(|(most, free)| most - free);
        all.extend(percent(used, most).map(|it| ("used_percent", it)));
        all
    };
    Ok(rows.iter().map(store).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_are_read_with_their_power_of_ten() {
        let sensor = |number: i64, places: i64| {
            let it = Object::new("HostNumericSensorInfo").with("currentReading", number);
            reading(&it.with("unitModifier", places).with("baseUnits", "V"))
        };
        assert_eq!(sensor(2400, -2), "24 V");
        assert_eq!(sensor(-1205, -3), "-1.205 V");
        assert_eq!(sensor(12, 2), "1200 V");
        assert_eq!(sensor(0, -2), "0 V");
        assert_eq!(sensor(i64::MIN, -30), "-9223372036.854775808 V");
    }
}
