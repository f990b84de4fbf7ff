//! Services, firewall, clock and sensors of the host.
//!
//! Each manager keeps its whole state in the one property that clients read. Surprising: to set the
//! host's clock is taken and changes nothing, since all times here come from the simulated world.

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
use crate::sim::host::{inside, item, list, nothing};
use crate::sim::rows::{Call, Family, Method, Run};
use crate::sim::world::World;
use crate::vim::value::{Object, Value};

/// Time zones that the host knows: name and minutes from UTC.
const ZONES: &[(&str, i64)] = &[
    ("UTC", 0),
    ("Europe/London", 0),
    ("Europe/Berlin", 60),
    ("America/New_York", -300),
    ("America/Los_Angeles", -480),
    ("Asia/Tokyo", 540),
];

// ---- services ----

/// The service that a call names.
fn service<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Object> {
    let all = list(inside(world, &call.this.id, &["serviceInfo"])?, "service")?;
    item(all, "key", call.args.text("id").unwrap_or_default()).ok_or_else(Fault::not_found)
}

/// Lets a service run or not; one that does so already refuses.
fn turn(world: &mut World, call: &Call, run: bool) -> Result<Value> {
    let service = service(world, call)?;
    // unverified: a host gives this to a service that runs, or stands, already.
    if service.flag("running") == Some(run) {
        return Err(Fault::invalid_state());
    }
    service.set("running", run);
    Ok(Value::Null)
}

fn restart(world: &mut World, call: &Call) -> Result<Value> {
    service(world, call)?.set("running", true);
    Ok(Value::Null)
}

fn policy(world: &mut World, call: &Call) -> Result<Value> {
    let policy = call.args.text("policy").unwrap_or_default();
    let service = service(world, call)?;
    if !matches!(policy, "on" | "off" | "automatic") {
        return Err(Fault::invalid_argument("policy"));
    }
    service.set("policy", policy);
    Ok(Value::Null)
}

// ---- firewall ----

fn ruleset<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Object> {
    let all = list(inside(world, &call.this.id, &["firewallInfo"])?, "ruleset")?;
    item(all, "key", call.args.text("id").unwrap_or_default()).ok_or_else(Fault::not_found)
}

fn open(world: &mut World, call: &Call, on: bool) -> Result<Value> {
    let ruleset = ruleset(world, call)?;
    // unverified: what a host says to the end of a rule that it needs.
    if !on && ruleset.flag("required") == Some(true) {
        return Err(Fault::invalid_state());
    }
    ruleset.set("enabled", on);
    Ok(Value::Null)
}

fn allow(world: &mut World, call: &Call) -> Result<Value> {
    let hosts = call.args.object("spec.allowedHosts").ok_or_else(Fault::not_found)?;
    let ruleset = ruleset(world, call)?;
    let address = |it: &str| it.parse::<std::net::IpAddr>().is_ok();
    let networks = hosts.objects("ipNetwork").all(|it| {
        let most = if it.text("network").is_some_and(|it| it.contains(':')) { 128 } else { 32 };
        it.text("network").is_some_and(address)
            && it.int("prefixLength").is_some_and(|bits| (0..=most).contains(&bits))
    });
    if !networks || !hosts.texts("ipAddress").all(address) {
        return Err(Fault::invalid_argument("spec.allowedHosts"));
    }
    ruleset.set("allowedHosts", hosts);
    Ok(Value::Null)
}

fn default_policy(world: &mut World, call: &Call) -> Result<Value> {
    let kept = inside(world, &call.this.id, &["firewallInfo", "defaultPolicy"])?;
    for (name, value) in call.args.object("defaultPolicy").iter().flat_map(|it| it.fields()) {
        kept.set(name, value);
    }
    Ok(Value::Null)
}

// ---- clock ----

fn zone(name: &str, minutes: i64) -> Object {
    Object::new("HostDateTimeSystemTimeZone")
        .with("key", name)
        .with("name", name)
        .with("description", name)
        .with("gmtOffset", minutes * 60)
}

fn zones(_: &mut World, _: &Call) -> Result<Value> {
    Ok(ZONES.iter().map(|(name, minutes)| zone(name, *minutes)).collect())
}

fn configure_clock(world: &mut World, call: &Call) -> Result<Value> {
    let Some(asked) = call.args.object("config") else { return Ok(Value::Null) };
    let wanted = asked.text("timeZone");
    let known = wanted.and_then(|it| ZONES.iter().find(|(name, _)| *name == it));
    if wanted.is_some() && known.is_none() {
        return Err(Fault::invalid_argument("config.timeZone"));
    }
    let protocol = asked.text("protocol");
    if protocol.is_some_and(|it| !matches!(it, "ntp" | "ptp")) {
        return Err(Fault::invalid_argument("config.protocol"));
    }
    if asked.texts("ntpConfig.server").any(|it| it.trim().is_empty() || it.contains(' ')) {
        return Err(Fault::invalid_argument("config.ntpConfig.server"));
    }
    let kept = inside(world, &call.this.id, &["dateTimeInfo"])?;
    if let Some((name, minutes)) = known {
        kept.set("timeZone", zone(name, *minutes));
    }
    if let Some(protocol) = protocol {
        kept.set("systemClockProtocol", protocol);
    }
    for name in ["enabled", "disableEvents", "disableFallback"] {
        if let Some(flag) = asked.flag(name) {
            kept.set(name, flag);
        }
    }
    if let Some(ntp) = asked.object("ntpConfig") {
        let mut lines: Vec<String> = ntp.texts("configFile").map(str::to_owned).collect();
        let mut servers: Vec<String> = ntp.texts("server").map(str::to_owned).collect();
        if lines.is_empty() {
            lines = servers.iter().map(|it| format!("server {it}")).collect();
        } else {
            let told = lines.iter().filter_map(|it| it.strip_prefix("server "));
            servers = told.map(|it| it.split(' ').next().unwrap_or(it).to_owned()).collect();
        }
        let ntp = Object::new("HostNtpConfig").with("server", servers).with("configFile", lines);
        kept.set("ntpConfig", ntp);
    }
    Ok(Value::Null)
}

fn test_clock(world: &mut World, call: &Call) -> Result<Value> {
    let served = world.plain.get(&call.this.id).is_some_and(|it| {
        it.props.texts("dateTimeInfo.ntpConfig.server").next().is_some()
            && it.props.flag("dateTimeInfo.enabled") != Some(false)
    });
    Ok(Object::new("HostDateTimeSystemServiceTestResult")
        .with("workingNormally", served)
        .with("report", [if served { "NTP is synchronized." } else { "No time service." }])
        .into())
}

const fn row(on: &'static str, name: &'static str, run: Run) -> Method {
    Method { on, name, run }
}

const SERVICES: &str = "HostServiceSystem";
const FIREWALL: &str = "HostFirewallSystem";
const CLOCK: &str = "HostDateTimeSystem";
const HEALTH: &str = "HostHealthStatusSystem";

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        row(SERVICES, "StartService", |world, call| turn(world, call, true)),
        row(SERVICES, "StopService", |world, call| turn(world, call, false)),
        row(SERVICES, "RestartService", restart),
        row(SERVICES, "UpdateServicePolicy", policy),
        row(SERVICES, "RefreshServices", nothing),
        row(FIREWALL, "EnableRuleset", |world, call| open(world, call, true)),
        row(FIREWALL, "DisableRuleset", |world, call| open(world, call, false)),
        row(FIREWALL, "UpdateRuleset", allow),
        row(FIREWALL, "UpdateDefaultPolicy", default_policy),
        row(FIREWALL, "RefreshFirewall", nothing),
        row(CLOCK, "UpdateDateTimeConfig", configure_clock),
        row(CLOCK, "QueryDateTime", |world, _| Ok(stamp(world.now).into())),
        row(CLOCK, "UpdateDateTime", nothing),
        row(CLOCK, "QueryAvailableTimeZones", zones),
        row(CLOCK, "RefreshDateTimeSystem", nothing),
        row(CLOCK, "TestTimeService", test_clock),
        row(HEALTH, "RefreshHealthStatusSystem", nothing),
        row(HEALTH, "ResetSystemHealthInfo", nothing),
        row(HEALTH, "ClearSystemEventLog", nothing),
        row(HEALTH, "FetchSystemEventLog", |_, _| Ok(Value::List(Vec::new()))),
    ],
    properties: &[],
};
