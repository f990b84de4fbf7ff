//! Calls that outlive their request: the extension `io.modelcontextprotocol/tasks` (SEP-2663).
//!
//! A client that declares it gets a handle for a call that goes on for a while, looks after it by
//! that, and is told its very result. It knows no transport: whoever carries a call decides when its
//! request is answered by the handle ([`Task::publish`]) and hands the result in ([`Task::end`]).
//! Surprising: it is the call that becomes a task and no other work, so rights, approval, audit and
//! the bounds of the pool are those of calls; and tasks live in this process, as the hypervisor's
//! sessions do that work for them.
//!
//! Locks: what a request is answered by comes first, then that of all tasks, then that of one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::random;
use crate::error::{Error, Kind, Result};
use crate::hv::call::Cancel;
use crate::mcp::body::Body;
use crate::mcp::era;
use crate::mcp::rpc;
use crate::mcp::rpc::{Answer, Failure, MISSING_CAPABILITY};
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::text::time;
use crate::tools::Tool;

/// By what both sides say that they know tasks.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// A call that has ended by then is answered by its result.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end of a task can be asked for.
const KEPT: Duration = Duration::from_secs(3600);
/// Tasks in all, and of one caller; where there are more, the oldest that have ended are forgotten.
const MOST: usize = 512;
/// More than may run and wait at once by default, so that none of a batch is forgotten before it is asked for.
const MOST_EACH: usize = 128;
/// Bytes of results, likewise.
const BYTES: usize = 16 << 20;
const BYTES_EACH: usize = 2 << 20;
/// How often a client should look: a tenth of the time that it has taken so far, within these.
const LOOK: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// How soon one who waits for answers notices that nobody wants the task any more.
const NOTICE: Duration = Duration::from_millis(100);

/// All tasks of a process.
pub struct Tasks {
    patience: Duration,
    all: Mutex<Vec<Arc<Task>>>,
}

/// What a caller must still have the right to, to look at a task.
#[derive(Clone)]
pub struct Needs {
    pub tool: &'static Tool,
    /// The server that was named.
    pub host: Option<String>,
}

/// A call that may become a task, or has.
pub struct Task {
    id: String,
    owner: String,
    /// None where nothing but its owner counts.
    pub needs: Option<Needs>,
    /// Ends its work.
    pub cancel: Cancel,
    began: Instant,
    created: String,
    /// Nobody will be asked for consent any more.
    agreed: AtomicBool,
    all: Arc<Tasks>,
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Default)]
struct State {
    /// The client has its handle.
    published: bool,
    note: Option<String>,
    changed: String,
    revision: u64,
    /// Requests to the client without an answer, and the answers there were: each key is used once.
    open: BTreeMap<String, String>,
    answers: BTreeMap<String, Object>,
    end: Option<End>,
}

struct End {
    status: &'static str,
    /// What the state shows of it: its member and the JSON text.
    shows: Option<(&'static str, String)>,
    at: Instant,
}

/// Whether a client has said with this request that it knows tasks.
pub fn declared(params: &Object) -> bool {
    let meta = json::get_object(params, "_meta");
    let capabilities = meta.and_then(|it| json::get_object(it, era::CAPABILITIES_KEY));
    let extensions = capabilities.and_then(|it| json::get_object(it, "extensions"));
    extensions.and_then(|it| json::get_object(it, EXTENSION)).is_some()
}

/// For a client that asks for tasks, and has not said so.
pub fn undeclared() -> Failure {
    let nothing = || Value::Object(Object::new());
    let extensions = Value::Object(json::object([(EXTENSION, nothing())]));
    let required = Value::Object(json::object([("extensions", extensions)]));
    Failure::new(MISSING_CAPABILITY, format!("the client must declare the extension {EXTENSION}"))
        .with(json::object([("requiredCapabilities", required)]))
}

/// What a server says of itself.
pub fn extensions() -> Body {
    Body::new().object(EXTENSION, Body::new())
}

impl Tasks {
    /// A call that takes longer than `patience` becomes a task.
    pub fn new(patience: Duration) -> Arc<Tasks> {
        Arc::new(Tasks { patience, all: Mutex::default() })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Task>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of `owner` that may become a task; nobody else can find it before that.
    pub fn prepare(self: &Arc<Tasks>, owner: &str, needs: Option<Needs>) -> Result<Arc<Task>> {
        let created = time::now();
        Ok(Arc::new(Task {
            id: base64::encode_url(&random::<18>()?),
            owner: owner.to_owned(),
            needs,
            cancel: Cancel::default(),
            began: Instant::now(),
            agreed: AtomicBool::new(false),
            all: self.clone(),
            state: Mutex::new(State { changed: created.clone(), ..State::default() }),
            created,
            answered: Condvar::new(),
        }))
    }

    /// The task of this id, if it is the caller's.
    pub fn find(&self, id: &str, owner: &str) -> Option<Arc<Task>> {
        let mut all = self.all();
        sweep(&mut all, Instant::now());
        all.iter().find(|it| it.id == id && it.owner == owner).cloned()
    }
}

/// Forgets what ended long ago.
fn sweep(all: &mut Vec<Arc<Task>>, now: Instant) {
    all.retain(|it| it.state().end.as_ref().is_none_or(|end| now < end.at + KEPT));
}

/// Forgets what ended longest ago, until all are within the bounds, those of this one's owner first; false if
/// they cannot be. This one stays, however long its result is.
fn make_room(all: &mut Vec<Arc<Task>>, for_one: &Task) -> bool {
    let bounds = [(Some(&for_one.owner), MOST_EACH, BYTES_EACH), (None::<&String>, MOST, BYTES)];
    bounds.into_iter().all(|(owner, most, bytes)| {
        loop {
            let those = || all.iter().filter(|it| owner.is_none_or(|owner| it.owner == *owner));
            let number = those().count();
            if number <= most && those().map(|it| it.size()).sum::<usize>() <= bytes {
                return true;
            }
            let others = those().filter(|it| !std::ptr::eq(&***it, for_one));
            let ended = others.filter_map(|it| Some((it.state().end.as_ref()?.at, it.id.clone())));
            let Some((_, oldest)) = ended.min() else { return number <= most };
            all.retain(|it| it.id != oldest);
        }
    })
}

impl Task {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self) -> usize {
        let state = self.state();
        let shown = state.end.as_ref().and_then(|it| it.shows.as_ref());
        shown.map_or(0, |(_, text)| text.len())
    }

    /// Its id, with which its owner finds it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Nobody will be asked for consent any more: questions before that are put by the call itself.
    pub fn agreed(&self) {
        self.agreed.store(true, Ordering::SeqCst);
    }

    /// Whether it is time to answer its request by the handle.
    pub fn is_due(&self) -> bool {
        self.agreed.load(Ordering::SeqCst) && self.began.elapsed() >= self.all.patience
    }

    /// Whether the client has been given the handle.
    pub fn is_published(&self) -> bool {
        self.state().published
    }

    /// Makes a task of it: the answer to its request, good from now on; None where there is no room for
    /// another one.
    pub fn publish(self: &Arc<Task>) -> Option<Answer> {
        let mut all = self.all.all();
        sweep(&mut all, Instant::now());
        all.push(self.clone());
        if !make_room(&mut all, self) {
            all.pop();
            return None;
        }
        let mut state = self.state();
        state.published = true;
        Some(Ok(era::unended(self.head(&state), "task")))
    }

    /// Notes how far it is.
    pub fn note(&self, percent: f64, note: &str) {
        let note = match note {
            "" => format!("{percent} %"),
            note => format!("{percent} %: {note}"),
        };
        self.change(|state| state.note = Some(note));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        if state.end.is_some() {
            return;
        }
        change(&mut state);
        state.changed = time::now();
        state.revision += 1;
    }

    /// Hands in what its request would have been answered by; false if it never became a task, and the
    /// request waits for that.
    pub fn end(&self, answer: &Answer) -> bool {
        if !self.is_published() {
            return false;
        }
        let (status, shows, note) = match answer {
            Err(failure) => {
                let said = failure.message.clone();
                ("failed", Some(("error", rpc::error(failure).json())), Some(said))
            }
            Ok(result) => match self.cancel.is_cancelled().then(|| why_failed(result)).flatten() {
                Some(why) => ("cancelled", None, Some(why)),
                None => ("completed", Some(("result", result.clone())), None),
            },
        };
        self.change(|state| {
            (state.note, state.end) = (note, Some(End { status, shows, at: Instant::now() }));
            state.open.clear();
        });
        make_room(&mut self.all.all(), self);
        true
    }

    /// Tells its work to stop; it ends when that has.
    pub fn cancel(&self) {
        if !self.is_over() {
            self.cancel.cancel();
        }
    }

    /// Asks the client, each request (the JSON text of `method` and `params`) under a key that is new to
    /// this task, and waits for all the answers.
    pub fn ask(&self, requests: &[(&str, String)], patience: Duration) -> Result<Vec<Object>> {
        let used = |state: &State, key: &str| {
            state.open.contains_key(key) || state.answers.contains_key(key)
        };
        if requests.iter().any(|(key, _)| used(&self.state(), key)) {
            return Err(Error::bug("a key of a task was used twice"));
        }
        self.change(|state| {
            let open = requests.iter().map(|(key, it)| ((*key).to_owned(), it.clone()));
            state.open.extend(open);
        });
        let until = Instant::now() + patience;
        let mut state = self.state();
        let error = loop {
            let answer = |(key, _): &(&str, String)| state.answers.get(*key).cloned();
            if let Some(all) = requests.iter().map(answer).collect() {
                return Ok(all);
            }
            if self.cancel.is_cancelled() {
                break Error::new(Kind::Cancelled, "cancelled while the question was open");
            }
            if Instant::now() >= until {
                break Error::new(Kind::Denied, "nobody has answered");
            }
            let waited = self.answered.wait_timeout(state, NOTICE);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        drop(state);
        self.change(|state| state.open.clear());
        Err(error)
    }

    /// Takes the client's answers; those to other keys than the open ones are nobody's.
    pub fn answer(&self, answers: &Object) {
        let is_open = |key: &String| self.state().open.contains_key(key);
        for (key, answer) in answers.iter().filter(|(key, _)| is_open(key)) {
            if let Value::Object(answer) = answer {
                self.change(|state| {
                    state.open.remove(key);
                    state.answers.insert(key.clone(), answer.clone());
                });
            }
        }
        self.answered.notify_all();
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.state().end.is_some()
    }

    /// Counts its changes.
    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    fn head(&self, state: &State) -> Body {
        let status = match &state.end {
            Some(end) => end.status,
            None if !state.open.is_empty() => "input_required",
            None => "working",
        };
        let ended = state.end.as_ref().map(|it| it.at);
        let took = ended.unwrap_or_else(Instant::now).saturating_duration_since(self.began);
        let ttl = ended.map(|_| (took + KEPT).as_millis().to_string());
        let [soonest, latest] = LOOK;
        Body::new()
            .text("taskId", &self.id)
            .text("status", status)
            .maybe_text("statusMessage", state.note.as_deref())
            .text("createdAt", &self.created)
            .text("lastUpdatedAt", &state.changed)
            // What runs is kept for as long as it runs.
            .raw("ttlMs", ttl.as_deref().unwrap_or("null"))
            .raw("pollIntervalMs", &(took / 10).clamp(soonest, latest).as_millis().to_string())
    }

    /// All of its state.
    pub fn detailed(&self) -> Body {
        let state = self.state();
        let head = self.head(&state);
        match state.end.as_ref().map(|it| &it.shows) {
            Some(Some((name, text))) => head.raw(name, text),
            Some(None) => head,
            None if state.open.is_empty() => head,
            None => {
                let open = state.open.iter();
                let open = open.map(|(key, it)| format!("{}:{it}", json::quote(key)));
                let open: Vec<String> = open.collect();
                head.raw("inputRequests", &format!("{{{}}}", open.join(",")))
            }
        }
    }
}

/// What the result of a tool says that failed.
fn why_failed(result: &str) -> Option<String> {
    let Ok(Value::Object(result)) = json::parse(result) else { return None };
    if !matches!(result.get("isError"), Some(Value::Bool(true))) {
        return None;
    }
    let Some(Value::Array(content)) = result.get("content") else { return Some(String::new()) };
    let words = content.iter().find_map(|it| match it {
        Value::Object(it) => json::get_text(it, "text").map(str::to_owned),
        _ => None,
    });
    Some(words.unwrap_or_default())
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
