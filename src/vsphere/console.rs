//! A machine's screen and keyboard, and the state of its guest agent, VMware Tools.
//!
//! Surprising: the server tells of the agent in three words that contradict each other now and
//! then; whether it runs is only in `toolsRunningStatus`, and the version's number packs three.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::console::{Agent, Console, Screen, Typing};
use crate::hv::model::{Machine, MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Ref};
use crate::vsphere::collector::Collector;
use crate::vsphere::machines::{machine, power, reference};
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, keyboard, props, screen};

const PATHS: &[&str] = &[
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "summary.config.template",
    "summary.config.guestFullName",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.toolsVersion",
    "guest.toolsInstallType",
    "guest.guestFamily",
    "guest.guestFullName",
    "guest.hostName",
    "guest.ipAddress",
];

/// The longest that one question to the server waits.
const POLL: Duration = Duration::from_secs(20);

/// What the server says of the version, in our words; whether an upgrade is advised, if we know.
#[rustfmt::skip]
static STANDING: &[(&str, &str, Option<bool>)] = &[
    ("guestToolsNotInstalled", "not installed", None),
    ("guestToolsNeedUpgrade", "older than the host's", Some(true)),
    ("guestToolsCurrent", "current", Some(false)),
    ("guestToolsUnmanaged", "kept by the guest itself (open-vm-tools)", Some(false)),
    ("guestToolsTooOld", "too old to work here", Some(true)),
    ("guestToolsSupportedOld", "supported; the host has a newer one", Some(true)),
    ("guestToolsSupportedNew", "supported; newer than the host's", Some(false)),
    ("guestToolsTooNew", "too new to work here", Some(false)),
    ("guestToolsBlacklisted", "known to be harmful; upgrade at once", Some(true)),
];

static INSTALLED: &[(&str, &str)] = &[
    ("guestToolsTypeMSI", "Windows installer"),
    ("guestToolsTypeOSP", "operating system packages of VMware"),
    ("guestToolsTypeOpenVMTools", "open-vm-tools"),
    ("guestToolsTypeTar", "tar installer"),
];

impl Console for Vsphere {
    fn screen(
        &self,
        call: &Call,
        wanted: &str,
        width: Option<i64>,
        height: Option<i64>,
    ) -> Result<Screen> {
        screen::read(self, call, wanted, width, height)
    }

    fn keys<'a>(&'a self, call: &Call, wanted: &str, typing: Typing) -> Result<Prepared<'a>> {
        keyboard::prepare(self, call, wanted, typing)
    }

    fn agent(&self, call: &Call, wanted: &str) -> Result<Agent> {
        let at = self.locate(call, wanted)?;
        agent(self, call, at)
    }

    fn await_agent(&self, call: &Call, wanted: &str, look_every: Duration) -> Result<Agent> {
        let now = self.agent(call, wanted)?;
        if now.running {
            return Ok(now);
        }
        runs(&now.machine.at, now.machine.power, now.machine.template)?;
        // The collector must be destroyed also when the call's time is up.
        let patient = Call::new(call.rights());
        let vm = reference(&now.machine.at);
        self.session.with(&patient, |live| {
            let collector = Collector::new(&self.session, &patient, live)?;
            collector.filter(&[(&vm, "guest.toolsRunningStatus"), (&vm, "runtime.powerState")])?;
            let (session, waits_on) = (self.session.clone(), collector.at.clone());
            let end = move || Collector::end_wait(&session, &waits_on);
            let _hook = call.cancel().on_cancel(end);
            wait(call, &collector, &now, look_every.min(POLL))
        })?;
        agent(self, call, now.machine.at)
    }
}

impl Vsphere {
    /// A link to the screen and keyboard for somebody who has no account: works once.
    pub fn console_ticket<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
    ) -> Result<(MachineRef, Ticket<'a>)> {
        let at = self.locate(call, wanted)?;
        let (vm, paths) = (reference(&at), keyboard::STATE);
        let row = props::one(&self.session, call, &vm, "VirtualMachine", paths)?;
        keyboard::runs(&row, &at, "it has no console to open")?;
        let ticket = Ticket { from: self, vm };
        Ok((at, ticket))
    }
}

/// A ticket that can be asked for.
pub struct Ticket<'a> {
    from: &'a Vsphere,
    vm: Ref,
}

/// What opens a console.
pub struct Links {
    pub web: String,
    pub vmrc: String,
    /// Digest of the certificate that the web link's server shows.
    pub thumbprint: Option<String>,
}

impl Ticket<'_> {
    /// Asks for it.
    pub fn acquire(&self, call: &Call) -> Result<Links> {
        let (method, args) = ("AcquireTicket", Object::args().with("ticketType", "webmks"));
        let answer = self.from.session.call(call, &self.vm, method, &args)?;
        let ticket = answer.as_ref().and_then(|it| it.as_object());
        let (address, user) = (&self.from.address, self.from.session.user());
        let web = ticket.and_then(|it| screen::url(it, &address.host, address.port));
        let web =
            web.ok_or_else(|| Error::new(Kind::Remote, format!("{method}: the server gave none")))?;
        Ok(Links {
            web,
            vmrc: screen::vmrc(user, &address.host, address.port, &self.vm.id),
            thumbprint: ticket.and_then(|it| it.text("sslThumbprint")).map(str::to_owned),
        })
    }
}

/// Refuses a machine whose agent cannot start by itself.
fn runs(at: &MachineRef, power: PowerState, template: bool) -> Result<()> {
    if power == PowerState::On {
        return Ok(());
    }
    let state = if template { "a template" } else { power.word() };
    let said = format!("`{}` is {state}, so its VMware Tools cannot start", at.name);
    Err(Error::new(Kind::Conflict, said).hint(match template {
        true => "Make a VM of it first",
        false => "power_on it first",
    }))
}

/// Waits until the agent runs.
fn wait(call: &Call, collector: &Collector<'_>, now: &Agent, longest: Duration) -> Result<()> {
    let at = &now.machine.at;
    let (mut version, mut state) = (String::new(), "not running".to_owned());
    let (started, whole) = (Instant::now(), call.time_left());
    loop {
        if call.cancel().is_cancelled() {
            return Err(Error::new(Kind::Cancelled, "cancelled by the caller"));
        }
        let left = call.time_left().unwrap_or(POLL);
        if left.is_zero() {
            return Err(late(now, &state));
        }
        // The server counts whole seconds; the last of ours may be shorter.
        let seconds = longest.min(left).as_secs().max(1);
        let updates = match collector.updates(&version, seconds) {
            // That is how the wait ends then.
            Err(_) if call.cancel().is_cancelled() => continue,
            updates => updates?,
        };
        if let Some(updates) = updates {
            version = updates.text("version").unwrap_or_default().to_owned();
            let objects = updates.objects("filterSet").flat_map(|it| it.objects("objectSet"));
            for object in objects {
                if object.text("kind") == Some("leave") {
                    return Err(Error::new(Kind::NotFound, format!("`{}` was deleted", at.name)));
                }
                for change in object.objects("changeSet") {
                    let word = change.text("val").unwrap_or_default();
                    match change.text("name") {
                        Some("guest.toolsRunningStatus") if word == "guestToolsRunning" => {
                            return Ok(());
                        }
                        Some("guest.toolsRunningStatus") => {
                            state = crate::vsphere::machines::agent(word).to_owned();
                        }
                        Some("runtime.powerState") => runs(at, power(word), false)?,
                        _ => {}
                    }
                }
            }
        }
        let part = whole.map_or(0.0, |all| started.elapsed().as_secs_f64() / all.as_secs_f64());
        call.progress(part * 100.0, format!("VMware Tools of {} are {state}", at.name));
    }
}

fn late(now: &Agent, state: &str) -> Error {
    let name = &now.machine.at.name;
    let error =
        Error::new(Kind::Busy, format!("VMware Tools of `{name}` are still {state}, time is up"));
    match now.standing.as_deref() {
        Some("not installed") => {
            error.hint("As far as known they are not installed; install open-vm-tools in the guest")
        }
        _ => error.hint("Wait longer with timeout, or look at the guest with vm_screenshot"),
    }
}

fn agent(it: &Vsphere, call: &Call, at: MachineRef) -> Result<Agent> {
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", PATHS)?;
    let native = row.text("guest.toolsVersionStatus2").unwrap_or_default();
    let known = STANDING.iter().find(|known| known.0 == native);
    let machine = Machine { at, ..machine(&row) };
    // What a server last heard of a guest that is off now may linger.
    let running = machine.power == PowerState::On
        && row.text("guest.toolsRunningStatus") == Some("guestToolsRunning");
    let installed = row.text("guest.toolsInstallType");
    let install_type = installed.and_then(|it| INSTALLED.iter().find(|known| known.0 == it));
    let text = |path: &str| row.string(path).filter(|it| !it.is_empty());
    let next = next(&machine, running, native, known.and_then(|it| it.2));
    Ok(Agent {
        running,
        version: version(&row),
        standing: known.map(|it| it.1.to_owned()).or(text("guest.toolsVersionStatus2")),
        upgrade_advised: known.and_then(|it| it.2),
        install_type: install_type.map(|it| it.1.to_owned()),
        guest_family: text("guest.guestFamily").map(|it| it.trim_end_matches("Guest").to_owned()),
        guest_name: text("guest.guestFullName"),
        hostname: text("guest.hostName"),
        next: next.to_owned(),
        machine,
    })
}

fn next(machine: &Machine, running: bool, native: &str, upgrade: Option<bool>) -> &'static str {
    match (machine.power, native) {
        _ if machine.template => "It is a template and never runs; clone_vm makes a VM of it",
        (PowerState::On, "guestToolsNotInstalled") if !running => {
            "Install open-vm-tools or VMware Tools in the guest"
        }
        (PowerState::On, _) if !running => {
            "wait_for_vm_tools if it just started; else start the service in the guest"
        }
        (PowerState::On, _) if upgrade == Some(true) => "They work; upgrade them when it suits",
        (PowerState::On, _) => "Nothing: guest operations and clean shutdowns work",
        _ => "power_on, then wait_for_vm_tools; what is said of the version may be old",
    }
}

/// `12.3.5 (12389)`: ten bits, five bits, five bits.
fn version(row: &Row) -> Option<String> {
    let text =
        row.text("guest.toolsVersion").filter(|it| !matches!(*it, "" | "0" | "2147483647"))?;
    Some(match text.parse::<u32>() {
        // A guest's own packages may claim the largest number there is.
        Ok(number) if number < 1 << 16 => {
            format!("{}.{}.{} ({number})", number >> 10, (number >> 5) & 31, number & 31)
        }
        _ => text.to_owned(),
    })
}
