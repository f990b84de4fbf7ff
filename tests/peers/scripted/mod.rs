//! A vSphere server that plays what the public simulator cannot, and misbehaves on demand.
//!
//! It keeps a small machine room, answers in the shapes of `vim25.schema` and counts every request
//! by method. It reads requests with a parser of its own and must not use the code under test
//! beyond [`Exchange`], through which it can answer from memory; [`tcp`] serves the same on
//! loopback. Surprising: a rule that a test adds is asked before anything else and may block, which
//! is how slow servers are played.
#![allow(dead_code, reason = "every test program uses a part of it")]

pub mod answer;
pub mod asked;
pub mod methods;
pub mod properties;
pub mod tasks;
pub mod tcp;
pub mod world;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use jumpvisor::error::{Error, Kind, Result};
use jumpvisor::web::exchange::{Exchange, Request, Response};

use crate::scripted::answer::{Answer, Sent, sent};
use crate::scripted::asked::Asked;
use crate::scripted::tasks::{Script, Task};
use crate::scripted::world::{Thing, machine, places};

/// The longest that a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// `nth` counts the requests for this method from 1.
type Rule = Arc<dyn Fn(&Asked, usize) -> Option<Answer> + Send + Sync>;

/// The peer; clones are the same one.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
    rules: Mutex<Vec<Rule>>,
    heard: Mutex<Vec<Arc<Asked>>>,
}

/// Everything that a method can see and change.
pub struct State {
    pub vcenter: bool,
    /// The list of versions; `None` answers 404.
    pub versions: Option<String>,
    pub user: String,
    pub password: String,
    pub things: Vec<Thing>,
    /// Objects of one page; 0 for all.
    pub page: usize,
    pub rest: BTreeMap<String, (String, Vec<String>)>,
    pub sessions: BTreeMap<String, Session>,
    /// An ended session answers property queries with 200 and `missingSet`.
    pub hides_expiry: bool,
    pub free_licence: bool,
    pub lacks: Vec<String>,
    pub scripts: BTreeMap<String, Script>,
    pub tasks: BTreeMap<String, Task>,
    pub next: u64,
}

/// What belongs to one login and dies with it.
#[derive(Default)]
pub struct Session {
    pub views: BTreeMap<String, Vec<String>>,
    pub collectors: BTreeMap<String, Collector>,
}

/// A property collector: what its filter watches, and whether its wait was called off.
#[derive(Default)]
pub struct Collector {
    pub watched: Vec<String>,
    pub version: u64,
    pub called_off: bool,
}

impl Peer {
    /// A standalone ESXi 8.0.3 with `web01` (on), `db01` (off, with a snapshot) and `a/b` (off).
    pub fn esxi() -> Peer {
        let mut things = places();
        things.push(machine("1", "web01", "poweredOn", false));
        things.push(machine("2", "db01", "poweredOff", true));
        things.push(machine("3", "a%2fb", "poweredOff", false));
        let state = State {
            vcenter: false,
            versions: Some(methods::versions("8.0.3.0", &["8.0.2.0", "7.0.3.0", "6.7", "6.5"])),
            user: "root".into(),
            password: "p<&>\"w".into(),
            things,
            page: 0,
            rest: BTreeMap::new(),
            sessions: BTreeMap::new(),
            hides_expiry: false,
            free_licence: false,
            lacks: Vec::new(),
            scripts: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next: 0,
        };
        Peer(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Condvar::new(),
            rules: Mutex::default(),
            heard: Mutex::default(),
        }))
    }

    /// Changes the world and wakes whoever waits for it.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.0.state.lock().unwrap());
        self.0.changed.notify_all();
        result
    }

    /// Asks `rule` first for every request from now on; the newest rule comes first.
    pub fn rule(&self, rule: impl Fn(&Asked, usize) -> Option<Answer> + Send + Sync + 'static) {
        self.0.rules.lock().unwrap().insert(0, Arc::new(rule));
    }

    /// Answers the `nth` request for a method with this.
    pub fn at(&self, method: &'static str, nth: usize, answer: fn() -> Answer) {
        self.rule(move |asked, now| (asked.method == method && now == nth).then(answer));
    }

    /// Answers every request for a method with this.
    pub fn always(&self, method: &'static str, answer: fn() -> Answer) {
        self.rule(move |asked, _| (asked.method == method).then(answer));
    }

    /// How the next tasks of a method run.
    pub fn script(&self, method: &str, script: Script) {
        self.change(|state| state.scripts.insert(method.to_owned(), script));
    }

    /// Ends every session, as an idle limit or a restart does.
    pub fn expire(&self) {
        self.change(|state| state.sessions.clear());
    }

    /// How often a method was asked for.
    pub fn count(&self, method: &str) -> usize {
        self.0.heard.lock().unwrap().iter().filter(|asked| asked.method == method).count()
    }

    /// Every request so far.
    pub fn heard(&self) -> Vec<Arc<Asked>> {
        self.0.heard.lock().unwrap().clone()
    }

    /// The methods asked for, in order.
    pub fn methods(&self) -> Vec<String> {
        self.heard().iter().map(|asked| asked.method.clone()).collect()
    }

    /// The last request for a method.
    #[track_caller]
    pub fn last(&self, method: &str) -> Arc<Asked> {
        let found = self.heard().into_iter().rev().find(|asked| asked.method == method);
        found.unwrap_or_else(|| panic!("no {method} in {:?}", self.methods()))
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.0.heard.lock().unwrap().clear();
    }

    /// Waits until a method was asked for this often.
    #[track_caller]
    pub fn wait_for(&self, method: &str, times: usize) {
        self.wait_until(&format!("{method} x {times}"), |peer| peer.count(method) >= times);
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Peer) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < until, "no {what}; seen: {:?}", self.methods());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sessions that are open at this moment.
    pub fn open_sessions(&self) -> usize {
        self.0.state.lock().unwrap().sessions.len()
    }

    /// What goes over the wire for a request; `None` where the connection just ends.
    pub fn serve(&self, asked: Asked) -> Option<Sent> {
        let asked = Arc::new(asked);
        let nth = {
            let mut heard = self.0.heard.lock().unwrap();
            heard.push(asked.clone());
            heard.iter().filter(|known| known.method == asked.method).count()
        };
        let rules = self.0.rules.lock().unwrap().clone();
        let scripted = rules.iter().find_map(|rule| rule(&asked, nth));
        let answer = scripted.unwrap_or_else(|| methods::answer(self, &asked));
        sent(&asked.method, answer)
    }

    /// The state, for methods that wait on it.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Waits for a change, or for `patience`.
    pub fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        patience: Duration,
    ) -> MutexGuard<'a, State> {
        self.0.changed.wait_timeout(state, patience).unwrap().0
    }

    /// Wakes whoever waits for a change.
    pub fn notify(&self) {
        self.0.changed.notify_all();
    }
}

impl State {
    /// A number that was not used yet.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The object of this id.
    pub fn thing(&mut self, id: &str) -> Option<&mut Thing> {
        self.things.iter_mut().find(|thing| thing.id == id)
    }

    /// The machine of this id, which must exist.
    pub fn vm(&mut self, id: &str) -> &mut Thing {
        self.thing(id).unwrap()
    }
}

impl Exchange for Peer {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let owned = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
        let headers = request.headers.iter().map(owned).collect();
        let gone = |place| Error::new(Kind::Network, format!("closed the connection {place}"));
        match self.serve(Asked::new(request.method, &request.path, headers, request.body)) {
            None => Err(gone("before it answered")),
            Some(sent) if sent.cut => {
                let body = Box::new(sent.body.chain(Broken));
                Ok(Response::new(sent.status, sent.headers, body))
            }
            Some(sent) => Ok(Response::new(sent.status, sent.headers, sent.body)),
        }
    }
}

/// A body that ends in a broken connection.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}
