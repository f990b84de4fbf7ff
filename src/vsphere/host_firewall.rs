//! The firewall of a host: its rule sets, and opening or closing one.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Value};
use crate::vsphere::Vsphere;
use crate::vsphere::facts::{Facts, Field, Read, Told, facts};
use crate::vsphere::hosts::{HostAt, Manager, find, keyed, managers, managers_of, meant};
use crate::vsphere::props::{Row, Select};

/// Where a host keeps its rule sets.
pub const RULESETS: Manager = (
    "configManager.firewallSystem",
    Select { kind: "HostFirewallSystem", paths: &["firewallInfo"] },
);

const RULESET: &[Field] = &[
    ("ruleset", "key", Read::Text),
    ("label", "label", Read::Text),
    ("enabled", "enabled", Read::Flag),
    ("required", "required", Read::Flag),
    ("service", "service", Read::Text),
];

/// What closing a rule set cuts, where its ports alone do not say it.
const LOSSES: &[(&str, &str)] = &[
    ("NFC", "copying of VMs and disks to and from this host"),
    ("dns", "names, which the host can no longer resolve"),
    ("iSCSI", "datastores by software iSCSI"),
    ("nfsClient", "NFS datastores and the VMs on them"),
    ("nfs41Client", "NFS datastores and the VMs on them"),
    ("ntpClient", "the host's time, which drifts from now on"),
    ("remoteSerialPort", "serial consoles of VMs over the network"),
    ("sshServer", "new SSH logins to the host"),
    ("syslog", "logs that the host sends elsewhere"),
    ("vMotion", "moving running VMs to and from this host"),
    ("vpxHeartbeats", "vCenter's connection to the host, which shows as not responding"),
    ("vSPC", "serial consoles of VMs over the network"),
    ("webAccess", "the host's own web page on port 80"),
];

/// Closing it would cut this very connection.
const CARRIER: &str = "vSphereClient";

/// The rule sets of the host that is meant, or of all.
pub fn list(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
) -> Result<Vec<(HostAt, Result<Vec<Facts>>)>> {
    let hosts = meant(it, call, wanted, &[RULESETS.0])?;
    let rows = managers(it, call, hosts, RULESETS, None)?;
    let told = |(row, _): (Row, _)| rulesets(&row).map(told).collect();
    Ok(rows.into_iter().map(|(host, row)| (host, row.map(told))).collect())
}

fn told(ruleset: &Object) -> Facts {
    let mut all = facts(RULESET, &|path| ruleset.get(path));
    all.push(("ports", Told::Texts(ports(ruleset))));
    all.push(("allowed", Told::Texts(allowed(ruleset))));
    all
}

fn rulesets(row: &Row) -> impl Iterator<Item = &Object> + Clone {
    let all: &[_] = row.object("firewallInfo").map_or(&[], |it| it.list("ruleset"));
    all.iter().filter_map(Value::as_object)
}

/// Those of these rule sets that are closed.
pub fn closed(row: &Row, keys: &[&str]) -> Vec<String> {
    let off = |it: &&Object| it.flag("enabled") == Some(false);
    let named = rulesets(row).filter(off).filter_map(|it| it.text("key"));
    named.filter(|key| keys.contains(key)).map(|key| format!("`{key}`")).collect()
}

/// `tcp 22 in`, `udp 8000-8100 out`, `tcp any out`.
fn ports(ruleset: &Object) -> Vec<String> {
    let rule = |it: &Object| {
        let port = it.int("port").unwrap_or(0);
        let port = match it.int("endPort").filter(|end| *end > port) {
            Some(end) => format!("{port}-{end}"),
            None if port == 0 => "any".to_owned(),
            None => port.to_string(),
        };
        let way = if it.text("direction") == Some("outbound") { "out" } else { "in" };
        format!("{} {port} {way}", it.text("protocol").unwrap_or("any"))
    };
    ruleset.objects("rule").map(rule).collect()
}

/// `all`, or the addresses and networks that a rule set lets through.
fn allowed(ruleset: &Object) -> Vec<String> {
    let Some(hosts) = ruleset.object("allowedHosts") else { return vec!["all".to_owned()] };
    if hosts.flag("allIp") != Some(false) {
        return vec!["all".to_owned()];
    }
    let network = |it: &Object| {
        format!("{}/{}", it.text("network").unwrap_or("?"), it.int("prefixLength").unwrap_or(0))
    };
    let addresses = hosts.texts("ipAddress").map(str::to_owned);
    addresses.chain(hosts.objects("ipNetwork").map(network)).collect()
}

/// Prepares to open or close a rule set; with the host's name.
pub fn set<'a>(
    it: &'a Vsphere,
    call: &Call,
    host: Option<&str>,
    wanted: &str,
    on: bool,
) -> Result<(String, Prepared<'a>)> {
    let host = find(it, call, host, &[RULESETS.0])?;
    let (host, row, _) = managers_of(it, call, host, RULESETS, None)?;
    let system = row.at.clone();
    let ruleset = keyed(rulesets(&row), "rule set", wanted, "list_firewall_rules")?;
    let key = ruleset.text("key").unwrap_or_default().to_owned();
    let label = ruleset.text("label").unwrap_or(&key);
    let named = format!("rule set `{key}` ({label})");
    let shown = format!("{named} on `{}`", host.name);
    if ruleset.flag("enabled") == Some(on) {
        let word = if on { "open" } else { "closed" };
        return Ok((host.name, Prepared::already(format!("{named} is {word} already"))));
    }
    if !on && key == CARRIER {
        return Err(Error::new(Kind::Conflict, format!("{shown} carries this very connection"))
            .hint("Close it at the host itself, if at all"));
    }
    if !on && ruleset.flag("required") == Some(true) {
        return Err(Error::new(Kind::Conflict, format!("{shown} is required and stays open")));
    }
    if ruleset.flag("userControllable") == Some(false) {
        let said = format!("{shown} is opened and closed by the host itself");
        return Err(Error::new(Kind::Conflict, said)
            .hint("It follows its service; start_service or stop_service may be what you want"));
    }
    let (ports, sources) = (ports(ruleset).join(", "), allowed(ruleset).join(", "));
    let mut losses = Vec::new();
    let step =
        match on {
            true if sources.is_empty() => format!("{shown} is opened: {ports}, to no address yet"),
            true => format!("{shown} is opened: {ports}, for {sources}"),
            false => {
                let loss = LOSSES.iter().find(|(known, _)| *known == key);
                losses.push(loss.map_or_else(
                    || format!("connections on {ports}"),
                    |(_, loss)| (*loss).to_owned(),
                ));
                format!("{shown} is closed: {ports}")
            }
        };
    let method = if on { "EnableRuleset" } else { "DisableRuleset" };
    let seen = format!("{} {key} {on}", host.at.id);
    let done = format!("{named} {}", if on { "opened" } else { "closed" });
    let prepared = Prepared::new(vec![step], seen, move |call| {
        let args = Object::args().with("id", key.as_str());
        it.session.call(call, &system, method, &args)?;
        Ok(vec![done])
    });
    Ok((host.name, prepared.losing(losses)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_addresses_in_few_words() {
        let rule = |port: i64, end: Option<i64>, way: &str| {
            Object::new("HostFirewallRule")
                .with("port", port)
                .with_some("endPort", end)
                .with("direction", way)
                .with("protocol", "tcp")
        };
        let network = Object::new("HostFirewallRulesetIpNetwork")
            .with("network", "10.0.0.0")
            .with("prefixLength", 8);
        let hosts = Object::new("HostFirewallRulesetIpList")
            .with("ipAddress", vec![Value::from("192.0.2.1")])
            .with("ipNetwork", vec![network])
            .with("allIp", false);
        let rules = vec![
            rule(22, None, "inbound"),
            rule(1024, Some(65535), "inbound"),
            rule(0, None, "outbound"),
        ];
        let set = Object::new("HostFirewallRuleset").with("rule", rules);
        assert_eq!(allowed(&set), ["all"]);
        let set = set.with("allowedHosts", hosts);
        assert_eq!(ports(&set), ["tcp 22 in", "tcp 1024-65535 in", "tcp any out"]);
        assert_eq!(allowed(&set), ["192.0.2.1", "10.0.0.0/8"]);
    }
}
