//! Serial ports: what a machine has, and every change of one with what its host has to allow.
//!
//! What goes with a change at the host is `serial_draft`'s. Surprising: to set up a line is for a
//! machine that is off, to connect, disconnect or clear one is not.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::Vsphere;
use crate::vsphere::devices::{add, connectable, edit, label, of_kind, remove};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::serial_draft::{Draft, opened};
use crate::vsphere::serial_host::Station;
use crate::vsphere::serial_line::{Line, PORT, Target, behind, diagnosis, shown};

/// Ports that a machine can have.
const MOST: usize = 32;

/// What `port_label` says for a port more.
pub const NEW: &str = "new";

/// One port as a person sees it.
pub struct SerialPort {
    pub label: String,
    pub key: i64,
    /// network, file, pipe or device; and its address or name.
    pub backing: &'static str,
    pub target: Option<String>,
    pub line: Option<Line>,
    /// Where to dial.
    pub dial: Option<String>,
    pub connected: bool,
    pub start_connected: bool,
    pub yield_on_poll: bool,
    pub status: Option<String>,
    pub diagnosis: String,
}

/// A line to be set up.
pub struct NewLine<'a> {
    pub label: Option<&'a str>,
    pub protocol: &'a str,
    pub target: Target,
    pub yield_on_poll: bool,
}

/// The ports of a machine, with the state of its host's firewall.
pub fn list(it: &Vsphere, call: &Call, wanted: &str) -> Result<(MachineRef, Vec<SerialPort>)> {
    let hardware = Hardware::read(it, call, wanted, &[])?;
    let ports: Vec<&Object> = of_kind(hardware.devices(), PORT).collect();
    let host = hardware.row.reference("runtime.host").filter(|_| !ports.is_empty());
    let station = host.map(|at| Station::read(it, call, at)).transpose()?.flatten();
    let on = hardware.is_on();
    let port = |device: &&Object| {
        let line = Line::of(device).filter(|it| !it.is_cleared());
        let mut diagnosis = diagnosis(device, on);
        let ruleset = line.as_ref().and_then(Line::ruleset);
        if let Some(stopped) = ruleset.zip(station.as_ref()).and_then(|(it, at)| at.stops(it)) {
            diagnosis.push_str(&format!("; {stopped}"));
        }
        let (backing, target) = behind(device);
        SerialPort {
            label: label(device).to_owned(),
            key: device.int("key").unwrap_or(0),
            backing,
            target: target.map(str::to_owned),
            dial: line.as_ref().zip(station.as_ref()).and_then(|(it, at)| it.dial(&at.address)),
            line,
            connected: device.flag("connectable.connected") == Some(true),
            start_connected: device.flag("connectable.startConnected") == Some(true),
            yield_on_poll: device.flag("yieldOnPoll") == Some(true),
            status: device.text("connectable.status").map(str::to_owned),
            diagnosis,
        }
    };
    let ports = ports.iter().map(port).collect();
    Ok((hardware.at, ports))
}

/// Adds a port with this line, or gives the line to the one that is there.
pub fn setup<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    new: &NewLine<'_>,
) -> Result<Prepared<'a>> {
    let mut draft = Draft::read(it, call, wanted, true)?;
    let hardware = &draft.hardware;
    let (name, off) = (hardware.at.name.clone(), hardware.is_off());
    let device = match new.label {
        Some(NEW) => None,
        label => chosen(hardware, label)?.cloned(),
    };
    let key = device.as_ref().and_then(|it| it.int("key"));
    let old = device.as_ref().and_then(Line::of);
    let port = match new.target {
        Target::Listen(asked) => draft.free(asked, old.as_ref(), key)?,
        _ => 0,
    };
    let line = Line::to(new.protocol, &new.target, port);
    draft.must_pass(&line)?;
    let state = device.as_ref().filter(|_| !off).map(|it| diagnosis(it, true));
    match device {
        None => {
            if of_kind(draft.hardware.devices(), PORT).count() >= MOST {
                let said = format!("`{name}` has {MOST} serial ports, and a VM has no more");
                return Err(Error::new(Kind::Conflict, said)
                    .hint("remove_serial_port makes room, or name one with port_label"));
            }
            draft.hardware.must_be_off("get a serial port")?;
            draft.steps.push(format!("`{name}` gets a serial port: {}", line.shown()));
            let device = Object::new(PORT)
                .with("key", -1)
                .with("backing", line.backing())
                .with("connectable", connectable(true))
                .with("yieldOnPoll", new.yield_on_poll);
            draft.changes.push(add(device));
        }
        Some(mut device) => {
            let what = label(&device).to_owned();
            let polls = device.flag("yieldOnPoll") != Some(new.yield_on_poll);
            let other = !old.as_ref().is_some_and(|it| it.is(&line));
            if other || polls {
                draft.hardware.must_be_off("have its serial port set up")?;
            }
            if other {
                let before = shown(&device);
                if behind(&device).0 != "network" {
                    draft.losses.push(format!("{what} no longer leads to {before}"));
                }
                draft.steps.push(format!("{what} of `{name}`: {before} -> {}", line.shown()));
                device.set("backing", line.backing());
            }
            if polls {
                draft.steps.push(format!("{what}: yield_on_poll -> {}", new.yield_on_poll));
                device.set("yieldOnPoll", new.yield_on_poll);
            }
            let flag = |path: &str| device.flag(path) == Some(true);
            let start = flag("connectable.startConnected");
            if !start || !(off || flag("connectable.connected")) {
                let when = if off { "at power-on" } else { "now and at power-on" };
                draft.steps.push(format!("{what} is connected {when}"));
                plug(&mut device, true, !off);
                draft.opens = key.filter(|_| !off);
            }
            if !draft.steps.is_empty() {
                draft.changes.push(edit(device));
            }
        }
    }
    draft.settle(call, key, Some(&line))?;
    if draft.steps.is_empty() {
        let dial = draft.dial(&line).map_or(String::new(), |it| format!("; dial {it}"));
        let notes = state.iter().chain(&draft.notes).map(|it| format!("; {it}"));
        let said = format!("already {}{dial}{}", line.shown(), notes.collect::<String>());
        return Ok(Prepared::already(said));
    }
    if let Some(dial) = draft.dial(&line) {
        let when = if off { ", once the VM is powered on" } else { "" };
        draft.notes.push(format!("dial {dial}{when}"));
    }
    if it.session.live(call)?.is_vcenter() && line.proxy.is_none() {
        draft.notes.push(
            "while it is connected the VM cannot be moved to another host; started on another one \
             it has that one's address"
                .to_owned(),
        );
    }
    Ok(draft.finish())
}

/// Plugs a port in or out.
pub fn connect<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    port: Option<&str>,
    connected: bool,
) -> Result<Prepared<'a>> {
    let hardware = Hardware::read(it, call, wanted, &[])?;
    hardware.must_be_changeable()?;
    let device = must_have(&hardware, port)?.clone();
    if connected && Line::of(&device).is_some_and(|it| it.is_cleared()) {
        let said = format!("{} of `{}` leads nowhere", label(&device), hardware.at.name);
        return Err(Error::new(Kind::Conflict, said).hint("setup_serial_port gives it a line"));
    }
    let opens = connected && hardware.is_on() && device.flag("connectable.connected") != Some(true);
    let (at, key) = (hardware.at.clone(), device.int("key").unwrap_or(0));
    let host = hardware.row.reference("runtime.host").filter(|_| connected).cloned();
    let mut prepared = hardware.connect(&device, connected);
    let ruleset = Line::of(&device).and_then(|it| it.ruleset());
    if let (Some(host), Some(ruleset)) = (host, ruleset)
        && let Some(stopped) = Station::read(it, call, &host)?.and_then(|it| it.stops(ruleset))
    {
        let stopped = format!("{stopped}; setup_serial_port opens it");
        prepared.steps.push(stopped.clone());
        prepared = prepared.then(move |_, done| {
            let mut done = done?;
            done.push(stopped);
            Ok(done)
        });
    }
    if !opens {
        return Ok(prepared);
    }
    Ok(prepared.then(move |call, done| {
        let mut done = done?;
        done.push(opened(it, call, &at, key)?);
        Ok(done)
    }))
}

/// Lets a port lead nowhere.
pub fn clear<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    port: Option<&str>,
) -> Result<Prepared<'a>> {
    let mut draft = Draft::read(it, call, wanted, false)?;
    let mut device = must_have(&draft.hardware, port)?.clone();
    let what = label(&device).to_owned();
    let flag = |path: &str| device.flag(path) == Some(true);
    let plugged = flag("connectable.startConnected") || flag("connectable.connected");
    let before = shown(&device);
    let cleared = Line::of(&device).is_some_and(|it| it.is_cleared());
    if !cleared || plugged {
        let name = &draft.hardware.at.name;
        draft.steps.push(format!("{what} of `{name}`: {before} -> nothing, disconnected"));
        if behind(&device).0 != "network" {
            draft.losses.push(format!("{what} no longer leads to {before}"));
        }
        device.set("backing", Line::cleared().backing());
        plug(&mut device, false, false);
        draft.changes.push(edit(device.clone()));
    }
    draft.settle(call, device.int("key"), None)?;
    if draft.steps.is_empty() {
        return Ok(Prepared::already(format!("{what} already leads nowhere")));
    }
    Ok(draft.finish())
}

/// Takes a port away.
pub fn take_away<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    port: Option<&str>,
) -> Result<Prepared<'a>> {
    let mut draft = Draft::read(it, call, wanted, false)?;
    let device = chosen(&draft.hardware, port)?.cloned();
    if let Some(device) = device {
        draft.hardware.must_be_off("lose a serial port")?;
        let (what, before) = (label(&device), shown(&device));
        let name = &draft.hardware.at.name;
        draft.steps.push(format!("{what} of `{name}` is removed; it leads to {before}"));
        draft.losses.push(format!("{what} and that it leads to {before}"));
        draft.settle(call, device.int("key"), None)?;
        draft.changes.push(remove(device));
    } else {
        draft.settle(call, None, None)?;
    }
    if draft.steps.is_empty() {
        return Ok(Prepared::already("already without serial ports"));
    }
    Ok(draft.finish())
}

/// The port of this label, or the only one; `None` where there is none and none is named.
fn chosen<'h>(hardware: &'h Hardware<'_>, port: Option<&'h str>) -> Result<Option<&'h Object>> {
    if let Some(port) = port {
        return hardware.device(PORT, "serial port", port).map(Some);
    }
    let all: Vec<&Object> = of_kind(hardware.devices(), PORT).collect();
    match all[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => {
            let labels: Vec<&str> = all.iter().map(|it| label(it)).collect();
            let said = format!("`{}` has {} serial ports", hardware.at.name, all.len());
            Err(Error::new(Kind::Conflict, said)
                .hint(format!("Pass port_label, one of: {}", labels.join(", "))))
        }
    }
}

fn must_have<'h>(hardware: &'h Hardware<'_>, port: Option<&'h str>) -> Result<&'h Object> {
    chosen(hardware, port)?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("`{}` has no serial port", hardware.at.name))
            .hint("setup_serial_port adds one")
    })
}

fn plug(device: &mut Object, start: bool, now: bool) {
    let mut way = device.object("connectable").cloned().unwrap_or_else(|| connectable(start));
    way.set("startConnected", start);
    way.set("connected", now);
    device.set("connectable", way);
}
