//! What wants attention: the triggered alarms of a vCenter; the reported problems of a host.
//!
//! Surprising: a standalone host has no alarms at all, but every object of it has a status and a
//! list of configuration issues, and the host has sensors; those are what its own page shows.

use std::collections::HashMap;

use crate::error::Result;
use crate::hv::call::Call;
use crate::text::order;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props};

/// Alarms of one answer.
const MOST: usize = 5_000;

const KINDS: &[&str] = &["VirtualMachine", "HostSystem", "Datastore"];
const SENSORS: &str = "runtime.healthSystemRuntime.systemHealthInfo.numericSensorInfo";

/// Something that wants attention.
pub struct Alarm {
    /// Red before yellow.
    pub status: String,
    pub name: String,
    pub entity: String,
    pub entity_type: String,
    pub entity_id: String,
    pub time: Option<String>,
    pub acknowledged: Option<bool>,
    pub acknowledged_by: Option<String>,
}

/// What was found, and whether the server has alarms at all.
pub struct Found {
    pub alarms: Vec<Alarm>,
    pub has_alarms: bool,
}

/// Everything that wants attention, the worst first.
pub fn read(it: &Vsphere, call: &Call) -> Result<Found> {
    let has_alarms = it.session.live(call)?.is_vcenter();
    let found = if has_alarms { triggered(it, call)? } else { problems(it, call)? };
    let rank = |it: &Alarm| i64::from(it.status != "red") * 2 + i64::from(it.status != "yellow");
    let alarms = order::by(found, &|a, b| rank(a).cmp(&rank(b)).then(b.time.cmp(&a.time)));
    Ok(Found { alarms, has_alarms })
}

fn triggered(it: &Vsphere, call: &Call) -> Result<Vec<Alarm>> {
    let root = it.session.live(call)?.manager("rootFolder")?;
    let row = props::one(&it.session, call, &root, "Folder", &["triggeredAlarmState"])?;
    let states: Vec<&Object> =
        row.items("triggeredAlarmState").iter().filter_map(Value::as_object).take(MOST).collect();
    let mut refs: Vec<Ref> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for state in &states {
        let both = [state.reference("entity"), state.reference("alarm")];
        refs.extend(both.into_iter().flatten().filter(|it| known.insert(it.id.clone())).cloned());
    }
    let names = names(it, call, &refs)?;
    let name = |at: Option<&Ref>| {
        let id = at.map(|it| it.id.as_str()).unwrap_or_default();
        names.get(id).cloned().unwrap_or_else(|| id.to_owned())
    };
    let alarm = |state: &&Object| {
        let entity = state.reference("entity");
        Alarm {
            status: state.text("overallStatus").unwrap_or("gray").to_owned(),
            name: name(state.reference("alarm")),
            entity: name(entity),
            entity_type: entity.map(|it| it.kind.to_string()).unwrap_or_default(),
            entity_id: entity.map(|it| it.id.clone()).unwrap_or_default(),
            time: state.text("time").map(str::to_owned),
            acknowledged: state.flag("acknowledged"),
            acknowledged_by: state.text("acknowledgedByUser").map(str::to_owned),
        }
    };
    Ok(states.iter().map(alarm).collect())
}

/// The names of entities and alarms of any type, in one query.
fn names(it: &Vsphere, call: &Call, refs: &[Ref]) -> Result<HashMap<String, String>> {
    let selects = [
        Select { kind: "ManagedEntity", paths: &["name"] },
        Select { kind: "Alarm", paths: &["info.name"] },
    ];
    // A type without an object among them would be no mistake, but one without any name is.
    let of = |select: &Select<'_>| {
        refs.iter().any(|it| (it.kind == "Alarm") == (select.kind == "Alarm"))
    };
    let selects: Vec<Select<'_>> = selects.into_iter().filter(|it| of(it)).collect();
    let rows = props::of(&it.session, call, refs, &selects)?;
    let name = |row: &Row| {
        let name = row.text("info.name").or(row.text("name"))?;
        Some((row.at.id.clone(), unescaped(name)))
    };
    Ok(rows.iter().filter_map(name).collect())
}

/// Objects of a host that are not as they should be.
fn problems(it: &Vsphere, call: &Call) -> Result<Vec<Alarm>> {
    const OWN: &[&str] = &["name", "overallStatus", "configIssue"];
    const HOST: &[&str] = &["name", "overallStatus", "configIssue", SENSORS];
    let selects = [
        Select { kind: "VirtualMachine", paths: OWN },
        Select { kind: "HostSystem", paths: HOST },
        Select { kind: "Datastore", paths: OWN },
    ];
    let mut found = Vec::new();
    props::all(&it.session, call, KINDS, &selects, |row| {
        if found.len() < MOST {
            found.extend(of_one(&row));
        }
    })?;
    Ok(found)
}

fn of_one(row: &Row) -> Vec<Alarm> {
    let status = row.text("overallStatus").unwrap_or("gray");
    let alarm = |status: &str, name: String, time: Option<&str>| Alarm {
        status: status.to_owned(),
        name,
        entity: unescaped(row.text("name").unwrap_or(&row.at.id)),
        entity_type: row.at.kind.to_string(),
        entity_id: row.at.id.clone(),
        time: time.map(str::to_owned),
        acknowledged: None,
        acknowledged_by: None,
    };
    let mut found = Vec::new();
    let bad = |it: &str| matches!(it, "red" | "yellow");
    for issue in row.items("configIssue").iter().filter_map(Value::as_object) {
        let text = issue.text("fullFormattedMessage").filter(|it| !it.is_empty());
        let text = text.map_or_else(|| issue.kind().to_owned(), crate::error::quoted);
        let worst = if bad(status) { status } else { "yellow" };
        found.push(alarm(worst, format!("issue: {text}"), issue.text("createdTime")));
    }
    for sensor in row.items(SENSORS).iter().filter_map(Value::as_object) {
        let state = sensor.text("healthState.key").unwrap_or_default().to_ascii_lowercase();
        if bad(&state) {
            let name = crate::error::quoted(sensor.text("name").unwrap_or("unnamed"));
            found.push(alarm(&state, format!("sensor: {name}"), None));
        }
    }
    if found.is_empty() && bad(status) {
        found.push(alarm(status, format!("status is {status}"), None));
    }
    found
}
