//! The simulated server as a service: routes, SOAP in and out, the lock, and who waits.
//!
//! One lock holds the world; nobody keeps it while waiting. It must not know how bytes travel.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use crate::sim::clock::{Clock, Moment};
use crate::sim::fault::{Fault, Result};
use crate::sim::http::{Answer, Body, Broken, Request, Service};
use crate::sim::journal::Journal;
use crate::sim::routes::Handler;
use crate::sim::rows::Call;
use crate::sim::rules::{Effect, Rules, Seen};
use crate::sim::serial;
use crate::sim::serial::Lines;
use crate::sim::world::World;
use crate::sim::{reader, replay, rights, routes, rows, watch, writer};
use crate::text::sorted::Sorted;
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
    trial: Mutex<Trial>,
    changed: Condvar,
    stopping: AtomicBool,
    /// Serial ports that are open.
    pub lines: Lines,
    journal: OnceLock<Arc<Journal>>,
}

/// What makes trouble on purpose, and what was asked.
struct Trial {
    rules: Rules,
    counts: Sorted<&'static str, u64>,
}

/// What is known of an answer beside its value.
#[derive(Default)]
struct Done {
    method: Option<table::Method>,
    fresh: Option<String>,
    cut: Option<u64>,
    pad: u64,
    status: Option<u16>,
}

impl Simulator {
    /// A server with this world in it.
    pub fn new(world: World, clock: Clock, rules: Rules) -> Simulator {
        Simulator {
            world: Mutex::new(world),
            clock: Mutex::new(clock),
            trial: Mutex::new(Trial { rules, counts: Sorted::new() }),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            lines: Lines::default(),
            journal: OnceLock::new(),
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

    /// Where changes are kept.
    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// Keeps changes from now on.
    pub fn keep_in(&self, journal: Arc<Journal>) {
        let _ = self.journal.set(journal);
    }

    /// Sets a clock that jumps; 0 leaves it.
    pub fn at(&self, moment: Moment) {
        self.clock().set(moment);
    }

    /// Goes on by another clock, with these rules, and with nothing counted yet.
    pub fn go_on(&self, clock: Clock, rules: Rules) {
        *self.clock() = clock;
        *self.trial() = Trial { rules, counts: Sorted::new() };
    }

    fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(|broken| broken.into_inner())
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
        let (Ok(text), Ok(_)) = (String::from_utf8(body), read) else { return refuse(400) };
        let mut done = Done::default();
        serial::tend(self);
        let outcome = self.call(&text, &cookie, &agent, version, &mut done);
        serial::tend(self);
        let written = outcome.and_then(|value| match done.method {
            // A mistake of this program, told where a test will see it.
            Some(method) => writer::response(method, version, Some(&value))
                .map_err(|why| Fault::new("RuntimeFault", why.to_string())),
            None => Err(Fault::new("RuntimeFault", "a call without a method")),
        });
        let (status, text) = match written {
            Ok(text) => (200, text),
            Err(fault) if fault.is_overload() => return refuse(503),
            Err(fault) => (500, writer::fault(&fault, version)),
        };
        let mut answer = Answer::of(done.status.unwrap_or(status), XML, text.into_bytes())
            .header("Cache-Control", "no-cache");
        if let Some(value) = done.fresh {
            let cookie = format!("vmware_soap_session=\"{value}\"; Path=/; HttpOnly; Secure;");
            answer = answer.header("Set-Cookie", cookie);
        }
        if done.status.is_some() {
            answer.body = Body::Whole(Vec::new());
        }
        answer.cut = done.cut;
        padded(answer, done.pad)
    }

    /// Reads one call and runs it; what a rule wants of the answer is left in `done`.
    fn call(
        &self,
        text: &str,
        cookie: &str,
        agent: &str,
        version: Version,
        done: &mut Done,
    ) -> Result<Value> {
        let mut world = self.world();
        let now = world.now;
        let known = world.sessions.used(cookie, now, agent);
        let (user, viewer) =
            known.map_or((String::new(), false), |it| (it.user.clone(), it.viewer));
        let session = if user.is_empty() { "" } else { cookie };
        let asked = reader::request(text, version, &|id| world.kind_in(session, id))?;
        let (declared, this) = (asked.declared, asked.this);
        let method = declared.name();
        done.method = Some(declared);
        let mut call =
            Call { this: &this, method, args: &asked.args, session, user: &user, version };
        let effects = self.ruled(&world, &call);
        let mut doom = None;
        for effect in effects {
            match effect {
                Effect::Fault(fault) => return Err(fault.completed(call.this)),
                Effect::InTask(fault) => doom = Some(fault.completed(call.this)),
                Effect::Expire => {
                    world.sessions.all.remove(cookie);
                    (call.session, call.user) = ("", "");
                }
                Effect::Delay(late) => {
                    drop(world);
                    self.pause(late);
                    world = self.world();
                }
                Effect::Drop(bytes) => done.cut = Some(bytes),
                Effect::Pad(bytes) => done.pad = bytes,
                Effect::Status(status) => done.status = Some(status),
                Effect::Truncate(_) => {}
            }
        }
        if done.status.is_some() {
            return Ok(Value::Null);
        }
        rights::allowed(&world, &call, declared.privilege(), viewer)?;
        let Some(row) = rows::method(&this.kind, method) else {
            return Err(rights::unknown(&world, method));
        };
        if watch::waits(method) {
            return self.wait(world, &call);
        }
        if doom.is_some() {
            world.doom = doom;
        }
        let doomed = world.doom.as_ref().map(|it| it.kind().to_owned());
        let outcome = (row.run)(&mut world, &call);
        if let (Some(journal), Ok(_)) = (self.journal(), &outcome)
            // A task that only reads takes an id, which the next one then does not have.
            && (this.kind == "HttpNfcLease"
                || method.ends_with("_Task")
                || rights::changes(&this.kind, method, declared.privilege()))
        {
            replay::keep_call(journal, &world, call.user, text, version.name(), doomed);
        }
        done.fresh = world.sessions.fresh.take();
        world.doom = None;
        drop(world);
        self.wake();
        outcome
    }

    /// Counts the call, and says what the rules do to it.
    fn ruled(&self, world: &World, call: &Call) -> Vec<Effect> {
        let name = world.name(&call.this.id).unwrap_or_default();
        let seen = Seen { path: "/sdk", method: call.method, object: (&call.this.id, name) };
        let mut trial = self.trial();
        *trial.counts.get_or(call.method, u64::default) += 1;
        trial.rules.effects(&seen)
    }

    /// A request beside `/sdk`, with what the rules do to it.
    fn routed(&self, handler: Handler, request: &mut Request) -> Answer {
        let path = request.path().to_owned();
        let seen = Seen { path: &path, method: "", object: ("", "") };
        let effects = self.trial().rules.effects(&seen);
        let (mut cut, mut room) = (None, None);
        for effect in effects {
            match effect {
                Effect::Delay(late) => self.pause(late),
                Effect::Drop(bytes) => cut = Some(bytes),
                Effect::Truncate(bytes) => (cut, room) = (Some(0), Some(bytes)),
                Effect::Status(status) => return refuse(status),
                _ => {}
            }
        }
        let mut answer = match room {
            None => replay::watched(self, handler, request),
            Some(bytes) => {
                let mut body = (&mut request.body).take(bytes).chain(Broken);
                let (method, target, headers) = (request.method, request.target, request.headers);
                handler(self, &mut Request { method, target, headers, body: &mut body })
            }
        };
        answer.cut = cut.or(answer.cut);
        answer
    }

    /// Waits as long as a rule says; a jumping clock does not.
    fn pause(&self, late: u64) {
        let now = self.clock().now();
        let mut nap = self.clock().until(now + Moment::try_from(late).unwrap_or_default());
        // In short naps, so that a server that ends is not held up.
        while !nap.is_zero() && !self.stopping.load(Ordering::Relaxed) {
            let short = nap.min(Duration::from_millis(100));
            std::thread::sleep(short);
            nap -= short;
        }
    }

    /// How often each method was called.
    pub fn counts(&self) -> Sorted<&'static str, u64> {
        self.trial().counts.clone()
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
        watch::waits_for(&mut world, call, true);
        let outcome = self.look(world, call, until);
        watch::waits_for(&mut self.world(), call, false);
        outcome
    }

    fn look<'a>(
        &'a self,
        mut world: MutexGuard<'a, World>,
        call: &Call,
        until: Moment,
    ) -> Result<Value> {
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

/// The session cookie's value, without the quotes that belong to it.
pub fn cookie(request: &Request) -> Option<String> {
    let all = request.header("cookie")?;
    let mut pairs = all.split(';').filter_map(|it| it.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "vmware_soap_session")?;
    Some(value.trim_matches('"').to_owned())
}

/// The answer with spaces behind it, where a parser does not mind them.
fn padded(answer: Answer, size: u64) -> Answer {
    let Answer { status, headers, body: Body::Whole(bytes), cut } = answer else { return answer };
    let have = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size <= have {
        return Answer { status, headers, body: Body::Whole(bytes), cut };
    }
    let rest = std::io::repeat(b' ').take(size - have);
    let body = Body::Stream(Box::new(std::io::Cursor::new(bytes).chain(rest)), Some(size));
    Answer { status, headers, body, cut }
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
                Some(handler) => self.routed(handler, request),
                None => refuse(404),
            },
        }
    }

    fn shutdown(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.wake();
        serial::close(self);
    }
}
