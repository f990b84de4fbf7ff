//! The host's side of serial ports: its address, its firewall, and who else uses it.
//!
//! A rule set that was opened for a machine is remembered in that machine's extra configuration, so
//! that the last machine to go closes it and one that somebody else opened stays open. Surprising:
//! an account may see a machine and not its host, so nothing here need be there.

use crate::error::Result;
use crate::hv::call::Call;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::devices::of_kind;
use crate::vsphere::props::{Row, Select};
use crate::vsphere::serial_line::{Line, PORT};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props};

/// The key of the mark in `extraConfig`.
const MARK: &str = "jumpvisor.serial.opened_ruleset";

const PATHS: &[&str] = &[
    "name",
    "vm",
    "configManager.firewallSystem",
    "config.firewall.ruleset",
    "config.network.vnic",
    "config.virtualNicManagerInfo.netConfig",
];

/// What says where a host is and what its firewall lets through.
pub const SEEN: &[&str] = &[
    "name",
    "config.firewall.ruleset",
    "config.network.vnic",
    "config.virtualNicManagerInfo.netConfig",
];

/// One host.
pub struct Station {
    pub name: String,
    /// Where its own network cards of management are reached.
    pub address: String,
    at: Ref,
    row: Row,
}

/// That we opened a rule set, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub ruleset: String,
    /// The host's id and, because ids repeat from server to server, its name.
    id: String,
    pub host: String,
}

/// A machine of the same host.
pub struct Neighbour {
    pub name: String,
    pub lines: Vec<Line>,
    pub marks: Vec<Mark>,
    /// Rule sets that its ports need which are connected, or will be at power-on.
    needs: Vec<&'static str>,
}

/// A rule set that can be turned.
#[derive(Clone)]
pub struct Gate {
    system: Ref,
    ruleset: String,
    host: String,
}

impl Mark {
    /// The marks of a machine whose `config.extraConfig` this is.
    pub fn all(extra: &[Value]) -> Vec<Mark> {
        let option = extra.iter().filter_map(Value::as_object);
        let value =
            option.filter(|it| it.text("key") == Some(MARK)).find_map(|it| it.text("value"));
        let mark = |text: &str| {
            let mut words = text.splitn(3, ' ');
            let mut word = || words.next().filter(|it| !it.is_empty()).map(str::to_owned);
            Some(Mark { ruleset: word()?, id: word()?, host: word()? })
        };
        value.unwrap_or_default().split(';').filter_map(mark).collect()
    }

    /// The `OptionValue` that leaves these marks; none takes it away.
    pub fn option(marks: &[Mark]) -> Object {
        let text = |it: &Mark| format!("{} {} {}", it.ruleset, it.id, it.host);
        let texts: Vec<String> = marks.iter().map(text).collect();
        Object::new("OptionValue").with("key", MARK).with("value", texts.join(";"))
    }

    /// What it speaks of, for a person.
    pub fn shown(&self) -> String {
        shown(&self.ruleset, &self.host)
    }
}

fn shown(ruleset: &str, host: &str) -> String {
    format!("rule set {ruleset} of the firewall of `{host}`")
}

impl Station {
    /// The host of this id; `None` where it is gone or may not be seen.
    pub fn read(it: &Vsphere, call: &Call, at: &Ref) -> Result<Option<Station>> {
        let select = Select { kind: "HostSystem", paths: PATHS };
        let rows = props::of(&it.session, call, std::slice::from_ref(at), &[select])?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        Ok(Station::of(it, row, it.session.live(call)?.is_vcenter()))
    }

    /// The host of a row with [`SEEN`].
    pub fn of(it: &Vsphere, row: Row, vcenter: bool) -> Option<Station> {
        let name = row.text("name").map(unescaped)?;
        // What led us to a host leads others there too; of a vCenter's hosts we know what they say.
        let address = match vcenter {
            true => management(&row).unwrap_or_else(|| name.clone()),
            false => it.address.host.clone(),
        };
        Some(Station { name, address, at: row.at.clone(), row })
    }

    /// The host that a mark speaks of.
    pub fn of_mark(it: &Vsphere, call: &Call, mark: &Mark) -> Result<Option<Station>> {
        let found = Station::read(it, call, &Ref::new("HostSystem", mark.id.clone()))?;
        Ok(found.filter(|it| it.has_left(mark)))
    }

    /// Whether a mark speaks of this host.
    pub fn has_left(&self, mark: &Mark) -> bool {
        self.at.id == mark.id && self.name == mark.host
    }

    /// The mark for a rule set of this host.
    pub fn mark(&self, ruleset: &str) -> Mark {
        Mark { ruleset: ruleset.to_owned(), id: self.at.id.clone(), host: self.name.clone() }
    }

    fn ruleset(&self, key: &str) -> Option<&Object> {
        let all = self.row.items("config.firewall.ruleset").iter().filter_map(Value::as_object);
        all.into_iter().find(|it| it.text("key") == Some(key))
    }

    /// Whether the firewall lets this rule set through; `None` where that cannot be seen.
    pub fn is_open(&self, ruleset: &str) -> Option<bool> {
        self.ruleset(ruleset)?.flag("enabled")
    }

    /// Words where the firewall is known to stop what needs this rule set.
    pub fn stops(&self, ruleset: &str) -> Option<String> {
        let said = || format!("{} is closed", shown(ruleset, &self.name));
        (self.is_open(ruleset) == Some(false)).then(said)
    }

    /// Whether a rule set is for this port, in or out.
    pub fn allows(&self, ruleset: &str, inbound: bool, port: i64) -> bool {
        allows(self.ruleset(ruleset), inbound, port)
    }

    /// The means to turn a rule set.
    pub fn gate(&self, ruleset: &str) -> Option<Gate> {
        let system = self.row.reference("configManager.firewallSystem")?.clone();
        Some(Gate { system, ruleset: ruleset.to_owned(), host: self.name.clone() })
    }

    /// The other machines of the host that have serial ports or a mark, in one query.
    pub fn neighbours(&self, it: &Vsphere, call: &Call, own: &str) -> Result<Vec<Neighbour>> {
        let others: Vec<Ref> = self
            .row
            .items("vm")
            .iter()
            .filter_map(Value::as_reference)
            .filter(|it| it.id != own)
            .cloned()
            .collect();
        let paths = ["name", "config.hardware.device", "config.extraConfig"];
        let select = Select { kind: "VirtualMachine", paths: &paths };
        let rows = props::of(&it.session, call, &others, &[select])?;
        let neighbour = |row: Row| {
            let ports: Vec<&Object> = of_kind(row.items(paths[1]), PORT).collect();
            let lines: Vec<Line> = ports.iter().filter_map(|it| Line::of(it)).collect();
            let needs = ports.into_iter().filter_map(needs).collect();
            let marks = Mark::all(row.items(paths[2]));
            let name = unescaped(row.text("name").unwrap_or(&row.at.id));
            (!lines.is_empty() || !marks.is_empty()).then_some(Neighbour {
                name,
                lines,
                marks,
                needs,
            })
        };
        Ok(rows.into_iter().filter_map(neighbour).collect())
    }
}

impl Neighbour {
    pub fn uses(&self, ruleset: &str) -> bool {
        self.needs.contains(&ruleset)
    }
}

impl Gate {
    /// Opens or closes it.
    pub fn turn(&self, it: &Vsphere, call: &Call, open: bool) -> Result<()> {
        let method = if open { "EnableRuleset" } else { "DisableRuleset" };
        let args = Object::args().with("id", self.ruleset.as_str());
        it.session.call(call, &self.system, method, &args).map(|_| ())
    }

    /// `rule set remoteSerialPort of the firewall of esx1`.
    pub fn shown(&self) -> String {
        shown(&self.ruleset, &self.host)
    }
}

/// The rule set that a port needs open; one that stays unplugged needs none.
fn needs(port: &Object) -> Option<&'static str> {
    let flag = |path: &str| port.flag(path) == Some(true);
    let plugged = flag("connectable.connected") || flag("connectable.startConnected");
    Line::of(port).filter(|_| plugged).and_then(|it| it.ruleset())
}

/// Without rules to look at: as hosts ship, 23 and everything from 1024 on may come in.
fn allows(ruleset: Option<&Object>, inbound: bool, port: i64) -> bool {
    let word = if inbound { "inbound" } else { "outbound" };
    let rules: Vec<&Object> = ruleset
        .into_iter()
        .flat_map(|it| it.objects("rule"))
        .filter(|it| it.text("direction") == Some(word))
        .collect();
    if rules.is_empty() {
        return !inbound || port == 23 || port >= 1024;
    }
    rules.iter().any(|rule| {
        let first = rule.int("port").unwrap_or(0);
        let last = rule.int("endPort").filter(|it| *it > 0).unwrap_or(first);
        (first == 0 && last == 0) || (first..=last).contains(&port)
    })
}

/// The address of the first card that is for management.
fn management(row: &Row) -> Option<String> {
    let kinds = row.items("config.virtualNicManagerInfo.netConfig").iter();
    let management =
        kinds.filter_map(Value::as_object).find(|it| it.text("nicType") == Some("management"))?;
    let cards = row.items("config.network.vnic");
    management.texts("selectedVnic").find_map(|selected| {
        let chosen = |it: &&Object| it.text("key").is_some_and(|key| selected.ends_with(key));
        let card = cards.iter().filter_map(Value::as_object).find(chosen)?;
        card.text("spec.ip.ipAddress").filter(|it| !it.is_empty()).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was_left() {
        let mark = Mark { ruleset: "vSPC".into(), id: "host-9".into(), host: "esx 1".into() };
        let two = vec![Mark { ruleset: "x".into(), ..mark.clone() }, mark];
        let option = |marks: &[Mark]| [Value::from(Mark::option(marks))];
        assert_eq!(Mark::all(&option(&two)), two);
        assert_eq!(Mark::all(&option(&[])), []);
        let odd = Object::new("OptionValue").with("key", MARK).with("value", "x");
        assert_eq!(Mark::all(&[odd.into()]), []);
    }

    #[test]
    fn a_port_that_stays_unplugged_needs_no_rule_set() {
        let port = |connected: bool, start: bool| {
            let line = Line { uri: "telnet://:2001".to_owned(), server: true, proxy: None };
            let way = Object::new("VirtualDeviceConnectInfo")
                .with("startConnected", start)
                .with("connected", connected);
            Object::new(PORT).with("backing", line.backing()).with("connectable", way)
        };
        assert_eq!(needs(&port(false, false)), None);
        assert_eq!(needs(&port(true, false)), Some("remoteSerialPort"));
        assert_eq!(needs(&port(false, true)), Some("remoteSerialPort"));
        assert_eq!(needs(&Object::new(PORT)), None);
    }

    #[test]
    fn a_rule_set_is_for_the_ports_that_its_rules_name() {
        let rule = |direction: &str, port: i64, end: Option<i64>| {
            Object::new("HostFirewallRule")
                .with("port", port)
                .with_some("endPort", end)
                .with("direction", direction)
        };
        let rules = vec![
            rule("inbound", 23, None),
            rule("inbound", 1024, Some(65_535)),
            rule("outbound", 0, Some(65_535)),
        ];
        let set = Object::new("HostFirewallRuleset").with("rule", rules);
        for (inbound, port, fits) in
            [(true, 23, true), (true, 80, false), (true, 2001, true), (false, 80, true)]
        {
            assert_eq!(allows(Some(&set), inbound, port), fits, "{inbound} {port}");
            assert_eq!(allows(None, inbound, port), fits, "{inbound} {port}");
        }
    }
}
