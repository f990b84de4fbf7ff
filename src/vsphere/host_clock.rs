//! The clock of a host: where it gets its time from, how far it is off, and setting its servers.
//!
//! Servers are of use only once the NTP service has read them, so setting them starts or restarts
//! it. Surprising: a host's clock may be asked for, but through a vCenter only one host at a time.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::text::time::unix_millis;
use crate::vim::value::{Object, Value};
use crate::vsphere::facts::{Facts, Field, Read, Told, facts, number, text};
use crate::vsphere::host_services::SERVICES;
use crate::vsphere::hosts::{HostAt, Manager, find, managers, managers_of, meant};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::{Vsphere, host_services};

const CLOCK: Manager = (
    "configManager.dateTimeSystem",
    Select { kind: "HostDateTimeSystem", paths: &["dateTimeInfo"] },
);
const DAEMON: &str = "ntpd";
/// Servers of one host; more do no good.
const MOST: usize = 10;

const FACTS: &[Field] = &[
    ("ntp_servers", "ntpConfig.server", Read::Texts),
    ("time_zone", "timeZone.name", Read::Text),
    ("protocol", "systemClockProtocol", Read::Text),
    ("enabled", "enabled", Read::Flag),
    ("in_sync", "serviceSync", Read::Flag),
    ("last_sync", "lastSyncTime", Read::Text),
];

/// The clock of the host that is meant, or of all; of a single one also how far it is off.
pub fn read(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
) -> Result<Vec<(HostAt, Result<Facts>)>> {
    let hosts = meant(it, call, wanted, &[CLOCK.0, SERVICES.0])?;
    let alone = hosts.len() == 1;
    let mut all = Vec::new();
    for (host, rows) in managers(it, call, hosts, CLOCK, Some(SERVICES))? {
        let told = rows.map(|(row, services)| {
            let mut all = told(&row, services.as_ref());
            if alone {
                difference(it, call, &row, &mut all);
            }
            all
        });
        all.push((host, told));
    }
    Ok(all)
}

fn told(row: &Row, services: Option<&Row>) -> Facts {
    let info = row.object("dateTimeInfo");
    let mut all = facts(FACTS, &|path| info?.get(path));
    if !all.iter().any(|(name, _)| *name == "ntp_servers") {
        all.insert(0, ("ntp_servers", Told::Texts(Vec::new())));
    }
    let Some(daemon) = services.and_then(|row| host_services::service(row, DAEMON).ok()) else {
        return all;
    };
    let running = daemon.flag("running") == Some(true);
    all.push(("service", text(if running { "running" } else { "stopped" })));
    all.extend(daemon.text("policy").map(|policy| ("service_policy", text(policy))));
    all
}

/// The host's time beside ours, half of the way there and back allowed for.
fn difference(it: &Vsphere, call: &Call, row: &Row, all: &mut Facts) {
    let ours = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let before = ours();
    let told = match it.session.call(call, &row.at, "QueryDateTime", &Object::args()) {
        Ok(told) => told,
        // The servers are worth knowing even so.
        Err(error) => return all.push(("host_time_unread", text(error.to_string()))),
    };
    let middle = i64::try_from((before + ours()) / 2).unwrap_or(i64::MAX);
    let Some(time) = told.as_ref().and_then(Value::as_text) else { return };
    all.push(("host_time", text(time)));
    let ahead = unix_millis(time).map(|it| it.saturating_sub(middle).saturating_add(500));
    let ahead = ahead.map(|it| it.div_euclid(1000));
    all.extend(ahead.map(|it| ("ahead_of_ours_seconds", number(it))));
}

/// Prepares to set the servers and, if `start` says so, to have the service run and start with the
/// host; with the host's name.
pub fn configure<'a>(
    it: &'a Vsphere,
    call: &Call,
    host: Option<&str>,
    servers: &[String],
    start: bool,
) -> Result<(String, Prepared<'a>)> {
    let servers = checked(servers)?;
    let host = find(it, call, host, &[CLOCK.0, SERVICES.0])?;
    let (host, row, services) = managers_of(it, call, host, CLOCK, Some(SERVICES))?;
    let info = row.object("dateTimeInfo");
    let old: Vec<String> =
        info.map_or(Vec::new(), |it| it.texts("ntpConfig.server").map(str::to_owned).collect());
    let daemon = match &services {
        Some(row) => Some(host_services::service(row, DAEMON)?),
        None if start => {
            let said = format!("the services of `{}` cannot be read", host.name);
            return Err(
                Error::new(Kind::Denied, said).hint("start_service=false sets the servers only")
            );
        }
        None => None,
    };
    let running = daemon.and_then(|it| it.flag("running")) == Some(true);
    let policy = daemon.and_then(|it| it.text("policy")).unwrap_or("unknown").to_owned();
    let disabled = info.and_then(|it| it.flag("enabled")) == Some(false);
    let same = old == servers && !(start && disabled);
    let (mut steps, mut done, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    if !same {
        let none = "none".to_owned();
        let was = if old.is_empty() { none } else { old.join(", ") };
        let change = format!("{was} -> {}", servers.join(", "));
        steps.push(format!("NTP servers of `{}`: {change}", host.name));
        done.push(format!("NTP servers: {change}"));
        let ntp = Object::new("HostNtpConfig").with("server", texts(&servers));
        let mut config = Object::new("HostDateTimeConfig").with("ntpConfig", ntp);
        if start && disabled {
            steps.push("time synchronisation: off -> on".to_owned());
            config = config.offer("enabled", true);
        }
        let args = Object::args().with("config", config);
        calls.push((row.at.clone(), "UpdateDateTimeConfig", args));
    }
    let id = || Object::args().with("id", DAEMON);
    if let (true, Some(services)) = (start, &services) {
        let system = &services.at;
        if policy != "on" {
            steps.push(format!(
                "service `{DAEMON}`: policy {policy} -> on, so that it starts with the host"
            ));
            done.push(format!("{DAEMON}: policy {policy} -> on"));
            calls.push((system.clone(), "UpdateServicePolicy", id().with("policy", "on")));
        }
        match (running, same) {
            (true, true) => {}
            (true, false) => {
                steps.push(format!("service `{DAEMON}` is restarted, so that it reads them"));
                done.push(format!("{DAEMON} restarted"));
                calls.push((system.clone(), "RestartService", id()));
            }
            (false, _) => {
                steps.push(format!("service `{DAEMON}` is started"));
                done.push(format!("{DAEMON} started"));
                calls.push((system.clone(), "StartService", id()));
            }
        }
    }
    if calls.is_empty() {
        // Whether the service has read them, no host tells.
        let said = "set already; restart_service ntpd if it does not use them yet";
        return Ok((host.name, Prepared::already(said)));
    }
    if !start {
        steps.push(match running {
            true => format!("service `{DAEMON}` goes on with the old ones until restart_service"),
            false => format!("service `{DAEMON}` does not run; start_service starts it"),
        });
    }
    let seen = format!("{} {} {running} {policy}", host.at.id, old.join(" "));
    let prepared = Prepared::new(steps, seen, move |call| {
        for (at, (system, method, args)) in calls.iter().enumerate() {
            let result = it.session.call(call, system, method, args);
            result.map_err(|error| match at {
                0 => error,
                _ => error.during("part of it is done, then"),
            })?;
        }
        Ok(done)
    });
    Ok((host.name, prepared))
}

fn texts(texts: &[String]) -> Vec<Value> {
    texts.iter().map(|it| Value::from(it.as_str())).collect()
}

/// Names or addresses, one to ten, each once.
fn checked(servers: &[String]) -> Result<Vec<String>> {
    let servers: Vec<String> = servers.iter().map(|it| it.trim().to_owned()).collect();
    if servers.is_empty() || servers.len() > MOST {
        return Err(Error::usage(format!("`ntp_servers` must name 1 to {MOST} servers")));
    }
    for (at, server) in servers.iter().enumerate() {
        let shown = quoted(server);
        if !is_server(server) {
            return Err(Error::usage(format!("`{shown}` is no name or address of a server"))
                .hint("Such as pool.ntp.org or 192.0.2.1, without options"));
        }
        if servers[..at].iter().any(|it| it.eq_ignore_ascii_case(server)) {
            return Err(Error::usage(format!("`{shown}` is in `ntp_servers` twice")));
        }
    }
    Ok(servers)
}

fn is_server(text: &str) -> bool {
    if let Ok(address) = text.parse::<IpAddr>() {
        return !address.is_unspecified() && !address.is_multicast();
    }
    let label = |it: &str| {
        (1..=63).contains(&it.len())
            && it.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
            && !it.starts_with('-')
            && !it.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    // Four numbers that are no address are a mistyped one.
    let numeric =
        name.split('.').next_back().is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()));
    name.len() <= 253 && !numeric && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_names_or_addresses() {
        for good in ["0.pool.ntp.org", "ntp1", "192.0.2.1", "2001:db8::1", "ntp.example."] {
            assert!(is_server(good), "{good}");
        }
        let bad = [
            "",
            ".",
            "a b",
            "192.0.2.300",
            "0.0.0.0",
            "ntp_1",
            "-a.b",
            "server x",
            "a..b",
            "[::1]",
        ];
        for bad in bad {
            assert!(!is_server(bad), "{bad}");
        }
        let of =
            |texts: &[&str]| checked(&texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[" a.b "]).unwrap(), ["a.b"]);
        assert!(of(&[]).is_err() && of(&["a"; 11]).is_err());
        assert!(of(&["a.b", "A.B"]).unwrap_err().to_string().contains("twice"));
    }
}
