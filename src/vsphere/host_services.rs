//! Services of a host: starting, stopping, and whether they start with it.
//!
//! A service is meant by its key (`TSM-SSH`) or by the label that the vendor shows (`SSH`).
//! Surprising: some services carry the very connection that would stop them, and then nobody
//! hears how it ended.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::facts::{Facts, Field, Read, facts};
use crate::vsphere::host_firewall::RULESETS;
use crate::vsphere::hosts::{HostAt, Manager, find, keyed, managers, managers_of, meant};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::{Vsphere, host_firewall};

/// Where a host keeps its services.
pub const SERVICES: Manager =
    ("configManager.serviceSystem", Select { kind: "HostServiceSystem", paths: &["serviceInfo"] });

const SERVICE: &[Field] = &[
    ("service_key", "key", Read::Text),
    ("label", "label", Read::Text),
    ("running", "running", Read::Flag),
    ("policy", "policy", Read::Text),
    ("required", "required", Read::Flag),
    ("rulesets", "ruleset", Read::Texts),
];

/// What is lost while a service stands.
const LOSSES: &[(&str, &str)] = &[
    (CARRIERS[0], CUT),
    (CARRIERS[1], CUT),
    (CARRIERS[2], CUT),
    ("DCUI", "the menus on the screen of the host itself"),
    ("TSM", "new logins to the ESXi Shell"),
    ("TSM-SSH", "new SSH logins to the host; sessions that are open may end"),
    ("lwsmd", "logins by Active Directory"),
    ("ntpd", "the host's time, which drifts from now on"),
    ("ptpd", "the host's time, which drifts from now on"),
    ("sfcbd-watchdog", "hardware monitoring by CIM"),
    ("snmpd", "monitoring by SNMP"),
    ("vmsyslogd", "what the host would log meanwhile"),
    ("vpxa", "vCenter's connection to the host, which then shows as not responding"),
];

const CUT: &str = "connections to the host, this one among them";

/// Services that carry connections to the host itself.
const CARRIERS: &[&str] = &["envoy", "hostd", "rhttpproxy"];

/// What to do with a service.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Start,
    Stop,
    Restart,
}

/// The services of the host that is meant, or of all.
pub fn list(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
) -> Result<Vec<(HostAt, Result<Vec<Facts>>)>> {
    let hosts = meant(it, call, wanted, &[SERVICES.0])?;
    let rows = managers(it, call, hosts, SERVICES, None)?;
    let told = |(row, _): (Row, _)| services(&row).map(told).collect();
    Ok(rows.into_iter().map(|(host, row)| (host, row.map(told))).collect())
}

/// One service of the host that is meant, or of all.
pub fn status(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
    key: &str,
) -> Result<Vec<(HostAt, Result<Facts>)>> {
    let hosts = meant(it, call, wanted, &[SERVICES.0])?;
    let rows = managers(it, call, hosts, SERVICES, None)?;
    let one = |(row, _): (Row, _)| service(&row, key).map(told);
    Ok(rows.into_iter().map(|(host, row)| (host, row.and_then(one))).collect())
}

fn told(service: &Object) -> Facts {
    facts(SERVICE, &|path| service.get(path))
}

fn services(row: &Row) -> impl Iterator<Item = &Object> + Clone {
    let all: &[_] = row.object("serviceInfo").map_or(&[], |it| it.list("service"));
    all.iter().filter_map(Value::as_object)
}

/// The service of this key or label.
pub fn service<'a>(row: &'a Row, wanted: &str) -> Result<&'a Object> {
    keyed(services(row), "service", wanted, "list_services")
}

/// A service that is to change.
struct Target {
    host: String,
    system: Ref,
    key: String,
    /// `TSM-SSH` with its label.
    named: String,
    /// The same with its host.
    shown: String,
    running: bool,
    policy: String,
    required: bool,
    /// Its rule sets that are closed.
    closed: Vec<String>,
    seen: String,
}

fn target(it: &Vsphere, call: &Call, host: Option<&str>, wanted: &str) -> Result<Target> {
    let host = find(it, call, host, &[SERVICES.0, RULESETS.0])?;
    let (host, row, firewall) = managers_of(it, call, host, SERVICES, Some(RULESETS))?;
    let service = service(&row, wanted)?;
    let key = service.text("key").unwrap_or_default().to_owned();
    let label = service.text("label").filter(|it| *it != key);
    let named = label.map_or(format!("`{key}`"), |label| format!("`{key}` ({label})"));
    let rulesets: Vec<&str> = service.texts("ruleset").collect();
    let closed = firewall.as_ref().map(|row| host_firewall::closed(row, &rulesets));
    let (running, policy) =
        (service.flag("running") == Some(true), service.text("policy").unwrap_or("unknown"));
    Ok(Target {
        shown: format!("{named} on `{}`", host.name),
        named,
        system: row.at.clone(),
        seen: format!("{} {key} {running} {policy}", host.at.id),
        running,
        policy: policy.to_owned(),
        required: service.flag("required") == Some(true),
        closed: closed.unwrap_or_default(),
        key,
        host: host.name,
    })
}

/// Prepares to start, stop or restart a service; with the host's name.
pub fn switch<'a>(
    it: &'a Vsphere,
    call: &Call,
    host: Option<&str>,
    wanted: &str,
    verb: Verb,
) -> Result<(String, Prepared<'a>)> {
    let target = target(it, call, host, wanted)?;
    let shown = target.shown.clone();
    match verb {
        Verb::Start if target.running => {
            return Ok((target.host, Prepared::already(format!("{} runs already", target.named))));
        }
        Verb::Stop if !target.running => {
            return Ok((target.host, Prepared::already(format!("{} does not run", target.named))));
        }
        Verb::Stop => may_stop(it, call, &target)?,
        _ => {}
    }
    let (method, step, done) = match verb {
        Verb::Start => ("StartService", format!("{shown} is started"), "started"),
        Verb::Stop => ("StopService", format!("{shown} is stopped"), "stopped"),
        Verb::Restart if target.running => {
            ("RestartService", format!("{shown} is stopped and started again"), "restarted")
        }
        Verb::Restart => (
            "StartService",
            format!("{shown} does not run and is started"),
            "started; it did not run before",
        ),
    };
    let mut steps = vec![step];
    if verb != Verb::Stop && !target.closed.is_empty() {
        steps.push(format!(
            "the firewall keeps its rule set {} closed; set_firewall_rule opens it",
            target.closed.join(", ")
        ));
    }
    match (verb, target.policy.as_str()) {
        (Verb::Start, "off") => {
            steps.push("it does not start with the host (policy off)".to_owned());
        }
        (Verb::Stop, "on") => {
            steps.push("it starts again with the host (policy on)".to_owned());
        }
        _ => {}
    }
    let loss = LOSSES.iter().find(|(key, _)| target.running && *key == target.key);
    let losses = loss.map(|(_, loss)| match verb {
        Verb::Restart => format!("for a moment: {loss}"),
        _ => (*loss).to_owned(),
    });
    let (system, key, named) = (target.system, target.key, target.named);
    let prepared = Prepared::new(steps, target.seen, move |call| {
        let args = Object::args().with("id", key.as_str());
        match it.session.call(call, &system, method, &args) {
            // Somebody was faster; what was asked for holds.
            Err(error)
                if error.fault_name() == Some("InvalidState") && method != "RestartService" =>
            {
                Ok(vec![format!("{named} {done} by somebody else meanwhile")])
            }
            // The agent of the vCenter answers no more while it restarts, nor does what carries
            // this connection. Unverified.
            Err(error)
                if method == "RestartService"
                    && error.kind() == Kind::Network
                    && (error.fault_name().is_some() || CARRIERS.contains(&key.as_str())) =>
            {
                Ok(vec![format!("{named}: restart begun; the host does not answer meanwhile")])
            }
            result => result.map(|_| vec![format!("{named} {done}")]),
        }
    });
    Ok((target.host, prepared.losing(losses.into_iter().collect())))
}

/// Refuses to stop what must run, and what carries this very connection.
fn may_stop(it: &Vsphere, call: &Call, target: &Target) -> Result<()> {
    let shown = &target.shown;
    let through_vcenter = it.session.live(call)?.is_vcenter();
    if CARRIERS.contains(&target.key.as_str()) || (target.key == "vpxa" && through_vcenter) {
        let said = format!("{shown} carries this very connection, which could not start it again");
        return Err(Error::new(Kind::Conflict, said)
            .hint("Use restart_service, or stop it at the host itself"));
    }
    if target.required {
        return Err(Error::new(Kind::Conflict, format!("{shown} is required by the host"))
            .hint("Use restart_service if it hangs"));
    }
    Ok(())
}

/// Prepares to set whether a service starts with the host; with the host's name.
pub fn set_policy<'a>(
    it: &'a Vsphere,
    call: &Call,
    host: Option<&str>,
    wanted: &str,
    policy: &str,
) -> Result<(String, Prepared<'a>)> {
    let policy = policy_of(policy)?;
    let target = target(it, call, host, wanted)?;
    let shown = &target.shown;
    if target.policy == policy {
        let meaning = meaning(policy);
        let said = format!("{} has the policy {policy} already ({meaning})", target.named);
        return Ok((target.host, Prepared::already(said)));
    }
    if target.required && policy == "off" {
        return Err(Error::new(Kind::Conflict, format!("{shown} is required by the host"))
            .hint("Leave its policy on"));
    }
    let change = format!("policy {} -> {policy} ({})", target.policy, meaning(policy));
    let mut steps = vec![format!("{shown}: {change}")];
    let done = format!("{}: {change}", target.named);
    match (target.running, policy) {
        (true, "off") => steps.push("it goes on running until it is stopped".to_owned()),
        (false, "on") => {
            steps.push("it does not run; start_service starts it before that".to_owned());
        }
        _ => {}
    }
    let (system, key) = (target.system, target.key);
    let prepared = Prepared::new(steps, target.seen, move |call| {
        let args = Object::args().with("id", key.as_str()).with("policy", policy);
        it.session.call(call, &system, "UpdateServicePolicy", &args)?;
        Ok(vec![done])
    });
    Ok((target.host, prepared))
}

const POLICIES: &[(&str, &str)] = &[
    ("on", "start and stop with host"),
    ("off", "start and stop manually"),
    ("automatic", "start and stop with port usage"),
];

fn meaning(policy: &str) -> &'static str {
    POLICIES.iter().find(|(word, _)| *word == policy).map_or("", |(_, meaning)| meaning)
}

/// A policy by its word or by the vendor's label, whatever the case.
fn policy_of(wanted: &str) -> Result<&'static str> {
    let word = wanted.trim();
    let is = |text: &str| text.eq_ignore_ascii_case(word);
    let found = POLICIES.iter().find(|(policy, label)| is(policy) || is(label));
    found.map(|(policy, _)| *policy).ok_or_else(|| {
        let said = format!("`policy` must be on, off or automatic, not `{}`", quoted(word));
        Error::usage(said).hint(
            "on: it starts with the host; off: only by hand; automatic: with its firewall ports",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_meant_by_word_or_label() {
        assert_eq!(policy_of(" ON ").unwrap(), "on");
        assert_eq!(policy_of("Start and Stop with Host").unwrap(), "on");
        assert_eq!(policy_of("automatic").unwrap(), "automatic");
        assert!(policy_of("always").unwrap_err().to_string().contains("not `always`"));
    }
}
