//! One request that is being worked on, and how its answer goes out: whole, or at the end of a stream.
//!
//! It begins as neither. The first report or question makes a stream of it, and so does time, since
//! proxies cut what is silent. Surprising: reports may be left out for a client that reads slowly, so
//! that nobody who works waits for it; the answer is never left out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::approval::LIFETIME;
use crate::error::{Error, Kind, Result};
use crate::hv::call::Cancel;
use crate::mcp::ask;
use crate::mcp::era::Era;
use crate::mcp::http::ladder;
use crate::mcp::http::sessions::{Session, Told};
use crate::mcp::link::Deed;
use crate::mcp::pool::{Leave, Ticket};
use crate::mcp::rpc;
use crate::mcp::rpc::Id;
use crate::mcp::tasks::Task;
use crate::mcp::turn::Open;
use crate::text::json::Object;
use crate::tools::run::Asks;
use crate::web::serve::handler::{Answer, Responder, Stream, Watch};

/// How long a person may think about a question.
const THOUGHT: Duration = Duration::from_secs(LIFETIME);

/// How soon one who waits for a person notices that nobody wants the call any more.
const LOOK: Duration = Duration::from_millis(100);

/// The way back, with headers that every answer of it carries.
pub struct Reply {
    pub respond: Responder,
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// Answers with all of it.
    pub fn answer(self, mut answer: Answer) {
        answer.headers.extend(self.headers);
        self.respond.answer(answer);
    }

    /// Begins a stream of events with this one, or with none.
    pub fn stream(self, first: &str) -> Stream {
        let mut answer = events(first);
        answer.headers.extend(self.headers);
        self.respond.stream(answer)
    }
}

fn events(first: &str) -> Answer {
    Answer::of(200, "text/event-stream", first)
        .with("Cache-Control", "no-cache")
        .with("X-Accel-Buffering", "no")
}

/// A message as an event; messages have no line breaks.
pub fn event(message: &str) -> String {
    format!("data: {message}\n\n")
}

/// A comment, for those on the way who cut what is silent.
pub const ALIVE: &[u8] = b": still here\n\n";

/// A request that was taken on.
pub struct Call {
    pub id: Id,
    pub era: Era,
    /// Whose request it is, for those who may take it back.
    pub owner: String,
    /// Ends the work.
    pub cancel: Cancel,
    /// Its place in the queue, once it has one.
    pub ticket: OnceLock<Ticket>,
    /// What its work is, once that has begun.
    deed: OnceLock<Deed>,
    /// What it becomes if it takes long.
    task: Option<Arc<Task>>,
    /// Where answers to questions come in.
    session: Option<Arc<Session>>,
    leave: Leave,
    watch: Watch,
    /// When a stream is made of it without anything to say.
    due: Instant,
    out: Mutex<(Out, Instant)>,
}

enum Out {
    Nothing(Reply),
    Stream(Stream),
    Over,
}

impl Out {
    /// Sends the answer.
    fn end(self, answer: Answer) {
        match self {
            Out::Nothing(reply) => reply.answer(answer),
            Out::Stream(stream) => {
                let sent = stream.send(event(&String::from_utf8_lossy(&answer.body)).as_bytes());
                if sent.is_ok() {
                    stream.finish();
                }
            }
            Out::Over => {}
        }
    }
}

impl Call {
    /// It becomes a stream after `patience`.
    pub fn new(
        (id, era, owner): (Id, Era, String),
        task: Option<Arc<Task>>,
        session: Option<Arc<Session>>,
        leave: Leave,
        reply: Reply,
        patience: Duration,
    ) -> Call {
        let now = Instant::now();
        Call {
            id,
            era,
            owner,
            cancel: task.as_ref().map_or_else(Cancel::default, |it| it.cancel.clone()),
            task,
            ticket: OnceLock::new(),
            deed: OnceLock::new(),
            session,
            leave,
            watch: reply.respond.watch(),
            due: now + patience,
            out: Mutex::new((Out::Nothing(reply), now)),
        }
    }

    fn out(&self) -> MutexGuard<'_, (Out, Instant)> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The means to notice that the client left.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Sends what belongs to this request and is no answer to it; false if that was left out.
    pub fn tell(&self, message: &str) -> bool {
        self.put(&event(message))
    }

    fn put(&self, text: &str) -> bool {
        let mut out = self.out();
        let (told, next) = match std::mem::replace(&mut out.0, Out::Over) {
            Out::Nothing(reply) => (true, Out::Stream(reply.stream(text))),
            Out::Stream(stream) => (stream.offer(text.as_bytes()) == Ok(true), Out::Stream(stream)),
            Out::Over => (false, Out::Over),
        };
        *out = (next, Instant::now());
        told
    }

    /// Answers, unless it was taken back; the answer of a task is kept for who asks for it.
    pub fn settle(&self, answer: &rpc::Answer) {
        let mut out = self.out();
        if self.task.as_ref().is_some_and(|it| it.end(answer)) {
            return;
        }
        let way = std::mem::replace(&mut out.0, Out::Over);
        // The lock is let go first: a slow client may make this wait, and nobody else should.
        drop(out);
        let status = ladder::status(self.era, answer);
        way.end(ladder::answer(status, Some(&self.id), answer));
    }

    /// Answers so, unless it was taken back; a stream has its status already, and gets the message alone.
    pub fn settle_as(&self, answer: Answer) {
        let way = std::mem::replace(&mut self.out().0, Out::Over);
        way.end(answer);
    }

    /// Makes a task of it, where that is still open: its request is answered by the handle, and its work
    /// goes on.
    pub fn publish(&self) -> bool {
        let mut out = self.out();
        let free = match &out.0 {
            Out::Nothing(_) => true,
            Out::Stream(stream) => stream.has_room(),
            Out::Over => false,
        };
        let Some(answer) = self.task.as_ref().filter(|_| free).and_then(Task::publish) else {
            return false;
        };
        // There is room, so nobody waits.
        let way = std::mem::replace(&mut out.0, Out::Over);
        way.end(ladder::answer(200, Some(&self.id), &answer));
        true
    }

    /// Takes it back: its work is told to stop, and its answer ends without a message.
    pub fn take_back(&self) {
        let out = std::mem::replace(&mut self.out().0, Out::Over);
        self.cancel.cancel();
        match out {
            Out::Nothing(reply) => reply.answer(events("")),
            Out::Stream(stream) => stream.finish(),
            Out::Over => {}
        }
    }

    /// Makes a task of it where it is time for that; true if it has become one.
    pub fn becomes_task(&self) -> bool {
        self.task.as_ref().is_some_and(|it| it.is_due()) && self.publish()
    }

    /// Keeps the connection alive, where it is time for that.
    pub fn tick(&self, now: Instant, pause: Duration) {
        let due = match &*self.out() {
            (Out::Nothing(_), _) => now >= self.due,
            (Out::Stream(_), spoke) => now.saturating_duration_since(*spoke) >= pause,
            (Out::Over, _) => false,
        };
        if due {
            self.put(&String::from_utf8_lossy(ALIVE));
        }
    }

    /// Asks the client, by a request of our own on the stream of this one, and waits for the result.
    /// Only in a session, which is where the answer comes in.
    pub fn ask(&self, method: &str, params: &str, cancel: &Cancel) -> Result<Object> {
        let Some(session) = &self.session else {
            return Err(Error::new(Kind::Unsupported, "this client cannot be asked")
                .hint("It needs a session, and must declare elicitation in `initialize`"));
        };
        let asked = session.ask()?;
        let _waiting = self.leave.take(&session.owner)?;
        let left = || Error::new(Kind::Network, "the client left without an answer");
        if !self.tell(&rpc::question(&asked.id, method, params)) {
            return Err(left());
        }
        let until = Instant::now() + THOUGHT;
        loop {
            let error = match asked.answer.next(Some(LOOK)) {
                Some(Told::Result(result)) => return Ok(result),
                Some(Told::Refused) => {
                    return Err(Error::new(Kind::Remote, "the client refused the question"));
                }
                Some(Told::Ended) => left(),
                None if cancel.is_cancelled() => {
                    Error::new(Kind::Cancelled, "cancelled while the question was open")
                }
                None if self.watch.is_gone() => left(),
                None if Instant::now() >= until => {
                    let said = format!("no answer within {} minutes", THOUGHT.as_secs() / 60);
                    Error::new(Kind::Network, said)
                }
                None => continue,
            };
            self.tell(&ask::withdrawn(&asked.id));
            return Err(error);
        }
    }

    /// The means to ask for consent; none where the client cannot be asked.
    pub fn asks(self: &Arc<Call>) -> Option<Asks> {
        self.session.as_ref()?;
        let call = self.clone();
        Some(Arc::new(move |question: &str, cancel: &Cancel| {
            let result = call.ask(ask::METHOD, &ask::form(question).json(), cancel)?;
            Ok(ask::answer(&result).unwrap_or(false))
        }))
    }
}

impl Open for Call {
    fn begins(&self, deed: Deed) {
        let _ = self.deed.set(deed);
    }

    fn report(&self, message: &str) {
        self.tell(message);
    }

    fn task(&self) -> Option<&Arc<Task>> {
        self.task.as_ref()
    }
}

/// Every request that is being worked on.
#[derive(Default)]
pub struct Calls {
    all: Mutex<Vec<Arc<Call>>>,
    count: AtomicUsize,
    /// Those who wait for an end; to wake costs something even where nobody does.
    waiting: AtomicUsize,
    changed: Condvar,
}

/// Counts as being worked on for as long as it lives.
pub struct Running(Arc<Calls>, Arc<Call>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.all().retain(|it| !Arc::ptr_eq(it, &self.1));
        self.0.count.fetch_sub(1, Ordering::SeqCst);
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.changed.notify_all();
        }
    }
}

impl Calls {
    fn all(&self) -> MutexGuard<'_, Vec<Arc<Call>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one on.
    pub fn begin(self: &Arc<Calls>, call: &Arc<Call>) -> Running {
        self.all().push(call.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        Running(self.clone(), call.clone())
    }

    /// True while there is none.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Those of an owner with this id that are not answered: an id may be used again as soon as its
    /// answer is read. Without a session there may be several, since two programs of
    /// one person at one address may use the same id.
    pub fn find(&self, owner: &str, id: &Id) -> Vec<Arc<Call>> {
        self.each(|it| it.owner == owner && it.id == *id && !matches!(it.out().0, Out::Over))
    }

    /// The names of what is under way, for the log.
    pub fn names(&self) -> Vec<&'static str> {
        self.each(|_| true).iter().filter_map(|it| Some(it.deed.get()?.name)).collect()
    }

    /// All, for one look or for the end.
    pub fn each(&self, of: impl Fn(&Call) -> bool) -> Vec<Arc<Call>> {
        self.all().iter().filter(|it| of(it)).cloned().collect()
    }

    /// Waits until none is left, or none that `changes` something; false if that took longer than
    /// `patience`.
    pub fn wait(&self, patience: Duration, changes: bool) -> bool {
        let counts = |it: &Call| !changes || it.deed.get().is_some_and(|deed| deed.changes);
        let busy = |all: &mut Vec<Arc<Call>>| all.iter().any(|it| counts(it));
        // Before the lock, so that whoever ends while this looks knows of it.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let waited = self.changed.wait_timeout_while(self.all(), patience, busy);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
