//! Licences: evaluation, a key of one's own, or the free one with which nothing can be changed.
//!
//! That changes are refused under the free licence is the service's work; here it is only told.

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
use crate::sim::host::{host_of, stored};
use crate::sim::rows::{Call, Family, Method, Property, Run};
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Object, Value};

/// The key that stands for the evaluation.
const EVALUATION: &str = "00000-00000-00000-00000-00000";
/// A key of the free licence.
const FREE: &str = "H0000-00000-00000-00000-00000";
/// Hours of the evaluation that are left.
const LEFT: i64 = 42 * 24;
/// Feature of a licence, its name, and whether the free one has it.
const FEATURES: &[(&str, &str, bool)] = &[
    ("vsmp:0", "Unlimited virtual SMP", false),
    ("h264remote", "H.264 for Remote Console Connections", false),
    ("vcenterLicense", "vCenter agent for VMware host", false),
    ("esxapi", "vSphere API", false),
    ("nas", "NFS datastores", true),
    ("sshserver", "SSH server", true),
];

fn pair(key: &str, value: impl Into<Value>) -> Object {
    Object::new("KeyAnyValue").with("key", key).with("value", value)
}

fn long(number: i64) -> Value {
    let number = Value::Int(number);
    Type::find("long").map_or(number.clone(), |ty| Value::Typed(ty, Box::new(number)))
}

fn info(key: &str, edition: &str, name: &str) -> Object {
    let properties = [
        pair("LicenseInfo", name),
        pair("ProductName", "VMware ESX Server"),
        pair("ProductVersion", "8.0"),
    ];
    let shown = Object::new("LicenseManagerLicenseInfo")
        .with("licenseKey", key)
        .with("editionKey", edition)
        .with("name", name)
        .with("total", 0)
        .with("used", 1)
        .with("costUnit", "cpuPackage");
    shown.with("properties", properties)
}

fn of_key(key: &str) -> Object {
    match key {
        EVALUATION => info(key, "eval", "Evaluation Mode"),
        FREE => info(key, "esxBasic", "VMware vSphere 8 Hypervisor"),
        _ => info(
            key,
            "esx.enterprisePlus.cpuPackageCoreLimited",
            "VMware vSphere 8 Enterprise Plus",
        ),
    }
}

fn licences(world: &World, id: &str) -> Option<Value> {
    if world.free_licence {
        return Some(Value::List(vec![of_key(FREE).into()]));
    }
    let kept = stored(world, id, "licenses").filter(|it| !it.items().is_empty());
    Some(kept.unwrap_or_else(|| Value::List(vec![of_key(EVALUATION).into()])))
}

/// Whether the first licence is the evaluation.
fn evaluates(world: &World, id: &str) -> bool {
    let all = licences(world, id).unwrap_or(Value::Null);
    all.items().iter().any(|it| it.text("editionKey") == Some("eval"))
}

fn evaluation(world: &World, id: &str) -> Option<Value> {
    let ends = stamp(world.now + LEFT * 3_600_000);
    let properties = match evaluates(world, id) {
        true => vec![
            pair("expirationHours", long(LEFT)),
            pair("expirationMinutes", long(LEFT * 60)),
            pair("expirationDate", Value::Text(ends)),
        ],
        false => Vec::new(),
    };
    Some(Object::new("LicenseManagerEvaluationInfo").with("properties", properties).into())
}

fn feature_list(world: &World) -> Value {
    let free = world.free_licence;
    let features = FEATURES.iter().map(|(key, name, always)| {
        Object::new("LicenseFeatureInfo")
            .with("key", *key)
            .with("featureName", *name)
            .with("state", if *always || !free { "enabled" } else { "disabled" })
            .with("costUnit", "cpuPackage")
            .with("edition", false)
    });
    features.collect()
}

fn edition(world: &World, id: &str) -> Option<Value> {
    let all = licences(world, id)?;
    all.items().first()?.text("editionKey").map(Value::from)
}

fn source(world: &World, id: &str) -> Option<Value> {
    let source = Object::new("EvaluationLicenseSource");
    Some(source.with_some("remainingHours", evaluates(world, id).then(|| long(LEFT))).into())
}

/// A key as people type it.
fn key_of<'a>(call: &'a Call) -> Result<&'a str> {
    let key = call.args.text("licenseKey").unwrap_or_default();
    let group = |it: &str| it.len() == 5 && it.bytes().all(|it| it.is_ascii_alphanumeric());
    match key.split('-').count() == 5 && key.split('-').all(group) {
        true => Ok(key),
        // unverified: what a host says to text that is no key.
        false => Err(Fault::invalid_argument("licenseKey")),
    }
}

/// Puts a key in the place of all others, which ends the free licence or begins it.
fn update(world: &mut World, call: &Call) -> Result<Value> {
    let added = of_key(key_of(call)?);
    world.free_licence = key_of(call)? == FREE;
    let props = world.plain_mut(&call.this.id).ok_or_else(|| Fault::gone(call.this))?;
    props.set("licenses", [&added]);
    Ok(added.into())
}

/// The licence manager whose assignments this manager tells.
fn licences_of_assignments(world: &World, id: &str) -> Option<String> {
    let own = |props: &crate::vim::value::Object| {
        props.reference("licenseAssignmentManager").is_some_and(|it| it.id == id)
    };
    world.all("LicenseManager").find(|(_, props)| own(props)).map(|(id, _)| id.to_owned())
}

fn assigned(world: &mut World, call: &Call) -> Result<Value> {
    let manager = licences_of_assignments(world, &call.this.id).ok_or_else(Fault::not_found)?;
    let all = licences(world, &manager).unwrap_or(Value::Null);
    // A vCenter's own manager tells of all its hosts.
    let hosts: Vec<String> = match host_of(world, &manager) {
        Some(host) => vec![host],
        None => world.all("HostSystem").map(|(id, _)| id.to_owned()).collect(),
    };
    let wanted = call.args.text("entityId");
    let hosts = hosts.iter().filter(|host| wanted.is_none_or(|it| it == host.as_str()));
    let licence = all.items().first();
    let assigned: Vec<Value> = hosts
        .filter_map(|host| {
            let assignment = Object::new("LicenseAssignmentManagerLicenseAssignment")
                .with("entityId", host.as_str())
                .with("entityDisplayName", world.name(host).unwrap_or_default())
                .with("assignedLicense", licence?);
            Some(assignment.into())
        })
        .collect();
    Ok(Value::List(assigned))
}

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "LicenseManager", name, run }
}

const fn told(name: &'static str, get: fn(&World, &str) -> Option<Value>) -> Property {
    Property { on: "LicenseManager", name, get }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("UpdateLicense", update),
        Method { on: "LicenseAssignmentManager", name: "QueryAssignedLicenses", run: assigned },
    ],
    properties: &[
        told("licenses", licences),
        told("evaluation", evaluation),
        told("featureInfo", |world, _| Some(feature_list(world))),
        told("licensedEdition", edition),
        told("source", source),
    ],
};
