//! A change of serial ports, with what its host has to allow for it and gets back.
//!
//! It is one request to the machine, between opening the host's firewall before it and closing it
//! after it. Surprising: a line that the firewall stops is set up all the same, because who may
//! change a machine need not be allowed to change its host; what is left to do is said.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::hv::model::MachineRef;
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::devices::{label, of_kind};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::machines::reference;
use crate::vsphere::serial_host::{Gate, Mark, Neighbour, Station};
use crate::vsphere::serial_line::{DIRECT, Line, PORT, diagnosis};
use crate::vsphere::{Vsphere, props, reconfigure, task};

const EXTRA: &str = "config.extraConfig";

/// The first port of hosts that is given out.
const FIRST: i64 = 2001;

/// A change of ports with what goes with it at the host.
pub struct Draft<'a> {
    it: &'a Vsphere,
    pub hardware: Hardware<'a>,
    station: Option<Station>,
    neighbours: Vec<Neighbour>,
    marks: Vec<Mark>,
    pub changes: Vec<Object>,
    pub steps: Vec<String>,
    pub losses: Vec<String>,
    pub notes: Vec<String>,
    /// The marks to leave instead of those that there are.
    leaves: Option<Vec<Mark>>,
    open: Option<Gate>,
    close: Vec<Gate>,
    /// The port that is connected at once.
    pub opens: Option<i64>,
}

impl<'a> Draft<'a> {
    /// Reads the machine; its host too where `host` is to be changed or was changed for it.
    pub fn read(it: &'a Vsphere, call: &Call, wanted: &str, host: bool) -> Result<Draft<'a>> {
        let hardware = Hardware::read(it, call, wanted, &[EXTRA])?;
        hardware.must_be_changeable()?;
        let marks = Mark::all(hardware.row.items(EXTRA));
        let needed = host || !marks.is_empty();
        let host = hardware.row.reference("runtime.host").filter(|_| needed);
        let station = host.map(|at| Station::read(it, call, at)).transpose()?.flatten();
        let neighbours = match &station {
            Some(station) => station.neighbours(it, call, &hardware.at.id)?,
            None => Vec::new(),
        };
        Ok(Draft {
            it,
            hardware,
            station,
            neighbours,
            marks,
            changes: Vec::new(),
            steps: Vec::new(),
            losses: Vec::new(),
            notes: Vec::new(),
            leaves: None,
            open: None,
            close: Vec::new(),
            opens: None,
        })
    }

    /// The lines of the machine's other ports.
    fn own(&self, key: Option<i64>) -> Vec<Line> {
        of_kind(self.hardware.devices(), PORT)
            .filter(|it| key.is_none() || it.int("key") != key)
            .filter_map(Line::of)
            .collect()
    }

    /// Who listens on a port of the host.
    fn holder(&self, port: i64, key: Option<i64>) -> Option<String> {
        if self.own(key).iter().any(|it| it.listens_on() == Some(port)) {
            return Some(format!("another port of `{}`", self.hardware.at.name));
        }
        let holds = |it: &&Neighbour| it.lines.iter().any(|it| it.listens_on() == Some(port));
        self.neighbours.iter().find(holds).map(|it| format!("`{}`", it.name))
    }

    /// The port to listen on: as asked, as it was, or the first that nobody has.
    pub fn free(&self, asked: Option<i64>, old: Option<&Line>, key: Option<i64>) -> Result<i64> {
        if let Some(port) = asked {
            return match self.holder(port, key) {
                None => Ok(port),
                Some(who) => {
                    let said = format!("port {port} of the host is taken by {who}");
                    Err(Error::new(Kind::Conflict, said)
                        .hint("Leave `port` out to have a free one chosen"))
                }
            };
        }
        let usable = |port: &i64| self.passes(true, *port) && self.holder(*port, key).is_none();
        let kept = old.and_then(Line::listens_on).filter(usable);
        kept.or_else(|| (FIRST..=65_535).find(usable)).ok_or_else(|| {
            Error::new(Kind::Conflict, "every port of the host is taken").hint("Pass `port`")
        })
    }

    fn passes(&self, inbound: bool, port: i64) -> bool {
        match &self.station {
            Some(station) => station.allows(DIRECT, inbound, port),
            None => !inbound || port == 23 || port >= 1024,
        }
    }

    /// Refuses a port that no rule of the firewall is for.
    pub fn must_pass(&self, line: &Line) -> Result<()> {
        let port = line.port().filter(|_| line.proxy.is_none());
        match port.filter(|port| !self.passes(line.server, *port)) {
            None => Ok(()),
            Some(port) => {
                let (way, hint) = match line.server {
                    true => ("in to", "Choose 23 or a port from 1024 to 65535"),
                    false => ("out to", "Let the other end listen on a port from 1024 to 65535"),
                };
                Err(Error::usage(format!("the host's firewall lets no serial port {way} {port}"))
                    .hint(hint))
            }
        }
    }

    pub fn dial(&self, line: &Line) -> Option<String> {
        line.dial(&self.station.as_ref()?.address)
    }

    /// What the firewall needs for `line`, and gives back once the port of `key` is as it will be.
    pub fn settle(&mut self, call: &Call, key: Option<i64>, line: Option<&Line>) -> Result<()> {
        let own = self.own(key);
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for mark in &self.marks {
            let here = self.station.as_ref().is_none_or(|it| it.has_left(mark));
            let mut lines = own.iter().chain(line);
            let used = lines.any(|it| it.ruleset() == Some(mark.ruleset.as_str()));
            if here && used { kept.push(mark.clone()) } else { gone.push(mark.clone()) }
        }
        for mark in &gone {
            self.give_back(call, mark)?;
        }
        if let Some(ruleset) = line.and_then(Line::ruleset) {
            kept.extend(self.allow(ruleset));
        }
        if kept != self.marks {
            self.leaves = Some(kept);
        }
        Ok(())
    }

    /// What lets a rule set through; the mark to leave for it, if it was or is opened by us.
    fn allow(&mut self, ruleset: &'static str) -> Option<Mark> {
        let Some(station) = &self.station else {
            let said = "the host cannot be seen: its firewall must let rule set";
            self.notes.push(format!("{said} {ruleset} through"));
            return None;
        };
        let ours = station.mark(ruleset);
        match (station.is_open(ruleset), station.gate(ruleset)) {
            (Some(false), Some(gate)) => {
                self.steps.push(format!("{} is opened", gate.shown()));
                self.open = Some(gate);
                Some(ours).filter(|it| !self.marks.contains(it))
            }
            // The last to go closes what we opened for the first.
            (Some(true), _) => {
                let inherited = self.neighbours.iter().any(|it| it.marks.contains(&ours));
                Some(ours).filter(|it| inherited && !self.marks.contains(it))
            }
            _ => {
                let host = &station.name;
                self.notes.push(format!(
                    "the firewall of `{host}` cannot be seen: it must let rule set {ruleset} through"
                ));
                None
            }
        }
    }

    /// Closes what was opened for this machine, where nobody uses it any more.
    fn give_back(&mut self, call: &Call, mark: &Mark) -> Result<()> {
        let here = self.station.as_ref().is_some_and(|it| it.has_left(mark));
        let there = if here { None } else { Station::of_mark(self.it, call, mark)? };
        let own = self.hardware.at.id.as_str();
        let around = there.as_ref().map(|it| it.neighbours(self.it, call, own)).transpose()?;
        let around = around.as_ref().unwrap_or(&self.neighbours);
        let station = if here { self.station.as_ref() } else { there.as_ref() };
        let what = mark.shown();
        let user = around.iter().find(|it| it.uses(&mark.ruleset));
        let gate = station.and_then(|it| it.gate(&mark.ruleset));
        self.steps.push(match (station, user, gate) {
            (Some(station), None, _) if station.is_open(&mark.ruleset) == Some(false) => {
                format!("{what} is closed already")
            }
            (Some(_), None, Some(gate)) => {
                self.close.push(gate);
                format!("{what} is closed again")
            }
            (Some(_), Some(user), _) => format!("{what} stays open: `{}` uses it", user.name),
            _ => format!(
                "{what} stays open, because that cannot be seen here; close it if nobody needs it"
            ),
        });
        Ok(())
    }

    pub fn finish(self) -> Prepared<'a> {
        let Draft {
            it, hardware, changes, steps, losses, notes, leaves, open, close, opens, ..
        } = self;
        let gates: Vec<String> = open.iter().chain(&close).map(Gate::shown).collect();
        let seen = format!("{} {}", hardware.seen(), gates.join(" "));
        let version = hardware.row.string("config.changeVersion").filter(|it| !it.is_empty());
        let at = hardware.at;
        let done = steps.clone();
        let mut told = steps;
        told.extend(notes.iter().cloned());
        let deed = move |call: &Call| {
            let (mut done, mut leaves, mut left) = (done, leaves, Vec::new());
            let mut opened_gate = None;
            if let Some(gate) = open {
                match gate.turn(it, call, true) {
                    Ok(()) => opened_gate = Some(gate),
                    Err(error) if changes.is_empty() => {
                        return Err(error.during(format!("opening {}", gate.shown())));
                    }
                    Err(error) => {
                        let what = gate.shown();
                        done.retain(|it| !it.starts_with(&what));
                        left.push(format!("left to do: open {what} ({error})"));
                        // Not ours to close one day.
                        let other = |it: &Mark| it.shown() != what;
                        leaves = leaves.map(|all| all.into_iter().filter(other).collect());
                    }
                }
            }
            let mut spec =
                Object::new("VirtualMachineConfigSpec").with_some("changeVersion", version);
            let bare = changes.is_empty() && leaves.is_none();
            if !changes.is_empty() {
                spec.set("deviceChange", changes);
            }
            if let Some(marks) = leaves {
                spec.set("extraConfig", vec![Mark::option(&marks)]);
            }
            if !bare && let Err(error) = reconfigure::apply(it, call, &at, spec) {
                return Err(undo(it, opened_gate.as_ref(), licence(error)));
            }
            for gate in close {
                if let Err(error) = gate.turn(it, call, false) {
                    let what = gate.shown();
                    done.retain(|it| !it.starts_with(&what));
                    left.push(format!("left to do: close {what} ({error})"));
                }
            }
            if let Some(key) = opens {
                done.push(opened(it, call, &at, key)?);
            }
            done.extend(left);
            done.extend(notes);
            Ok(done)
        };
        Prepared::new(told, seen, deed).losing(losses)
    }
}

/// Closes again what was opened for a change that failed.
fn undo(it: &Vsphere, gate: Option<&Gate>, error: Error) -> Error {
    let Some(gate) = gate.filter(|_| !task::goes_on(&error)) else { return error };
    let call = Call::new(Rights::Change).within(Duration::from_secs(30));
    match gate.turn(it, &call, false) {
        Ok(()) => error,
        Err(second) => {
            log::error!("{} was left open: {second}", gate.shown());
            error.during(format!("{} was left open", gate.shown()))
        }
    }
}

/// Serial ports on the network are licensed apart, and the server only says that a licence lacks.
fn licence(error: Error) -> Error {
    match error.fault_name() {
        Some("RestrictedVersion" | "NotEnoughLicenses" | "FeatureRequirementsNotMet") => {
            error.during("the licence may not include network serial ports (Enterprise Plus does)")
        }
        _ => error,
    }
}

/// How the host fares with a port that was just connected.
pub fn opened(it: &Vsphere, call: &Call, at: &MachineRef, key: i64) -> Result<String> {
    let path = "config.hardware.device";
    let row = props::one(&it.session, call, &reference(at), "VirtualMachine", &[path])?;
    let device = of_kind(row.items(path), PORT).find(|it| it.int("key") == Some(key));
    let device = device.ok_or_else(|| Error::new(Kind::NotFound, "the serial port is gone"))?;
    let said = diagnosis(device, true);
    let failed = device.text("connectable.status") == Some("unrecoverableError");
    match failed || device.flag("connectable.connected") != Some(true) {
        true => Err(Error::new(Kind::Conflict, format!("{}: {said}", label(device)))
            .hint("get_serial_port shows its state; setup_serial_port changes the line")),
        false => Ok(said),
    }
}
