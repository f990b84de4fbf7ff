//! The simulated server as a service: routes, SOAP in and out, the lock, and who waits.
//!
//! One lock holds the world; nobody keeps it while waiting. It must not know how bytes travel.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::sim::clock::{Clock, Moment};
use crate::sim::fault::{Fault, Result};
use crate::sim::http::{Answer, Request, Service};
use crate::sim::rows::Call;
use crate::sim::world::World;
use crate::sim::{reader, routes, rows, watch, writer};
use crate::vim::table;
use crate::vim::value::Value;
use crate::vim::version::Version;

/// The longest request: an OVF descriptor with room.
const MOST_BYTES: u64 = 32 << 20;
/// The longest wait for updates, whatever the client wants.
const LONGEST_WAIT: Moment = 30 * 60 * 1000;
/// How long a waiter sleeps where nothing is due; it is woken when something changes.
const NAP: Duration = Duration::from_secs(1);

const XML: &str = "text/xml; charset=utf-8";

/// A simulated server.
pub struct Simulator {
    world: Mutex<World>,
    clock: Mutex<Clock>,
    changed: Condvar,
    stopping: AtomicBool,
}

impl Simulator {
    /// A server with this world in it.
    pub fn new(world: World, clock: Clock) -> Simulator {
        Simulator {
            world: Mutex::new(world),
            clock: Mutex::new(clock),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// The world at this moment, with everything done that was due.
    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(|broken| broken.into_inner());
        world.now = self.clock().now();
        world.run_due();
        world
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    /// Wakes everybody who waits for a change.
    pub fn wake(&self) {
        self.changed.notify_all();
    }

    fn soap(&self, request: &mut Request) -> Answer {
        self.clock().tick();
        let cookie = cookie(request).unwrap_or_default();
        let agent = request.header("user-agent").unwrap_or_default().to_owned();
        let version = self.spoken(request);
        let mut body = Vec::new();
        let read = (&mut request.body).take(MOST_BYTES).read_to_end(&mut body);
        let Ok(text) = String::from_utf8(body) else { return refuse(400) };
        if read.is_err() {
            return refuse(400);
        }
        let (method, outcome, fresh) = self.call(&text, &cookie, &agent, version);
        let answer = match (method, outcome) {
            (Some(method), Ok(value)) => writer::response(method, version, Some(&value)),
            (_, Ok(_)) => return refuse(500),
            (_, Err(fault)) => {
                return with_cookie(soap(500, writer::fault(&fault, version)), fresh);
            }
        };
        match answer {
            Ok(text) => with_cookie(soap(200, text), fresh),
            // A mistake of this program, told where a test will see it.
            Err(why) => {
                soap(500, writer::fault(&Fault::new("RuntimeFault", why.to_string()), version))
            }
        }
    }

    fn call(
        &self,
        text: &str,
        cookie: &str,
        agent: &str,
        version: Version,
    ) -> (Option<table::Method>, Result<Value>, Option<String>) {
        let mut world = self.world();
        let now = world.now;
        let known = world.sessions.used(cookie, now, agent);
        let (user, viewer) = known.map_or(("", false), |it| (it.user, it.viewer));
        let cookie = if user.is_empty() { "" } else { cookie };
        let asked = match reader::request(text, version, &|id| world.kind_in(cookie, id)) {
            Ok(asked) => asked,
            Err(fault) => return (None, Err(fault), None),
        };
        let (declared, this) = (asked.declared, asked.this);
        let method = declared.name();
        let call = Call { this: &this, method, args: &asked.args, session: cookie, user, version };
        let refused = allowed(&world, &call, declared.privilege(), viewer);
        if let Err(fault) = refused {
            return (Some(declared), Err(fault), None);
        }
        let Some(row) = rows::method(&this.kind, method) else {
            return (Some(declared), Err(unknown(&world, method)), None);
        };
        if !watch::waits(method) {
            let outcome = (row.run)(&mut world, &call);
            let fresh = world.sessions.fresh.take();
            drop(world);
            self.wake();
            return (Some(declared), outcome, fresh);
        }
        (Some(declared), self.wait(world, &call), None)
    }

    /// Looks until there is something to tell or the client's patience is over.
    fn wait<'a>(&'a self, mut world: MutexGuard<'a, World>, call: &Call) -> Result<Value> {
        let patience = match call.args.int("options.maxWaitSeconds") {
            Some(seconds) if seconds < 0 => {
                return Err(Fault::invalid_argument("options.maxWaitSeconds"));
            }
            Some(seconds) => seconds.saturating_mul(1000).min(LONGEST_WAIT),
            None => LONGEST_WAIT,
        };
        let until = world.now + patience;
        loop {
            if let Some(value) = watch::poll(&mut world, call)? {
                return Ok(value);
            }
            if world.now >= until || self.stopping.load(Ordering::Relaxed) {
                return Ok(Value::Null);
            }
            // A jumping clock goes to what is due; where nothing is, somebody else must come.
            let nap = match world.tasks.next_due(world.now) {
                Some(due) => self.clock().until(due.min(until)),
                None if self.clock().jumps() => NAP,
                None => self.clock().until(until).min(NAP),
            };
            if !nap.is_zero() {
                let held = self.changed.wait_timeout(world, nap);
                world = held.unwrap_or_else(|broken| broken.into_inner()).0;
            }
            world.now = self.clock().now();
            world.run_due();
            if world.tasks.next_due(world.now).is_none() && self.clock().jumps() && !nap.is_zero() {
                // Nothing will happen by itself: the patience runs in real time.
                self.clock().until(world.now + Moment::try_from(nap.as_millis()).unwrap_or(0));
                world.now = self.clock().now();
            }
            // A running task shows its progress, which nobody announces.
            if world.tasks.next_due(world.now).is_some() {
                world.touch();
            }
            let now = world.now;
            world.sessions.stays(call.session, now);
        }
    }

    /// The version in the request's `SOAPAction`; without one the oldest, as hosts do.
    fn spoken(&self, request: &Request) -> Version {
        let own = self.world().version;
        let action = request.header("soapaction").unwrap_or_default();
        let name = action.trim_matches('"').rsplit('/').next().unwrap_or_default();
        match (Version::parse(name), action.contains("urn:vim25/")) {
            (Some(version), true) => version.min(own),
            // unverified: what a host does with a version that it does not know.
            (None, true) => own,
            _ => Version::all().next().unwrap_or(own),
        }
    }

    fn versions(&self) -> Answer {
        let own = self.world().version;
        let mut prior: Vec<Version> = Version::all().filter(|it| *it < own).collect();
        prior.reverse();
        let mut text = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<namespaces version=\"1.0\"><namespace>\
             <name>urn:vim25</name><version>",
        );
        text.push_str(own.name());
        text.push_str("</version><priorVersions>");
        for version in prior {
            text.push_str("<version>");
            text.push_str(version.name());
            text.push_str("</version>");
        }
        text.push_str("</priorVersions></namespace></namespaces>");
        Answer::of(200, XML, text.into_bytes())
    }
}

/// Whether this caller may call at all.
fn allowed(world: &World, call: &Call, privilege: &str, viewer: bool) -> Result<()> {
    let anonymous = privilege == "System.Anonymous" || (call.method == "Fetch" && open(call));
    if call.user.is_empty() && !anonymous {
        return Err(Fault::not_authenticated(call.this, "System.View"));
    }
    let system = privilege.is_empty() || privilege.starts_with("System.");
    if viewer && !(system && reads(call.method)) {
        let held = world.reference(&call.this.id).unwrap_or_else(|| call.this.clone());
        return Err(Fault::new("NoPermission", "Permission to perform this operation was denied.")
            .with("object", held)
            .with("privilegeId", if system { "System.Modify" } else { privilege }));
    }
    Ok(())
}

/// What everybody may fetch.
fn open(call: &Call) -> bool {
    matches!(&*call.this.kind, "ServiceInstance" | "SessionManager")
}

/// The schema marks some methods that change things as if everybody might call them.
fn reads(method: &str) -> bool {
    const CHANGES: &[&str] = &[
        "Delete",
        "Copy",
        "Move",
        "Destroy_Task",
        "DestroyChildren",
        "Set",
        "setCustomValue",
        "Update",
        "Extend",
        "ApplyRecommendation",
        "CancelRecommendation",
        "CreateAlarm",
        "AcknowledgeAlarm",
        "LogUserEvent",
    ];
    // A page's size is the caller's own affair.
    method == "SetCollectorPageSize" || !CHANGES.iter().any(|it| method.starts_with(it))
}

/// What is said of a method that has no row.
fn unknown(world: &World, method: &str) -> Fault {
    const VCENTER_ONLY: &[&str] = &[
        "CloneVM_Task",
        "MarkAsTemplate",
        "MarkAsVirtualMachine",
        "RelocateVM_Task",
        "MigrateVM_Task",
        "CreateFolder",
        "MoveIntoFolder_Task",
        "SessionIsActive",
    ];
    match !world.vcenter && VCENTER_ONLY.contains(&method) {
        true => Fault::not_supported(),
        false => Fault::not_played(method),
    }
}

/// The session cookie's value, without the quotes that belong to it.
pub fn cookie(request: &Request) -> Option<String> {
    let all = request.header("cookie")?;
    let mut pairs = all.split(';').filter_map(|it| it.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "vmware_soap_session")?;
    Some(value.trim_matches('"').to_owned())
}

fn with_cookie(answer: Answer, fresh: Option<String>) -> Answer {
    match fresh {
        Some(value) => {
            let cookie = format!("vmware_soap_session=\"{value}\"; Path=/; HttpOnly; Secure;");
            answer.header("Set-Cookie", cookie)
        }
        None => answer,
    }
}

fn soap(status: u16, text: String) -> Answer {
    Answer::of(status, XML, text.into_bytes()).header("Cache-Control", "no-cache")
}

/// A refusal without an envelope.
pub fn refuse(status: u16) -> Answer {
    Answer::empty(status)
}

impl Service for Simulator {
    fn answer(&self, request: &mut Request) -> Answer {
        match (request.method, request.path()) {
            ("POST", "/sdk" | "/sdk/" | "/sdk/vimService") => self.soap(request),
            ("GET", "/sdk/vimServiceVersions.xml") => self.versions(),
            (_, path) => match routes::find(path) {
                Some(handler) => handler(self, request),
                None => refuse(404),
            },
        }
    }

    fn shutdown(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wake();
    }
}
