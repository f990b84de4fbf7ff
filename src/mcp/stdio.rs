//! The protocol over standard input and output: one message a line, many calls at once.
//!
//! The reader answers at once what can be answered at once and gives the rest to the pool.
//! Surprising: it reads on a thread of its own that may be left behind blocked in a read, because
//! nothing else can interrupt that when the process is asked to end.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::auth::approval::LIFETIME;
use crate::auth::principal::Principal;
use crate::error::Result;
use crate::mcp::ask;
use crate::mcp::lines;
use crate::mcp::lines::Line;
use crate::mcp::link::{Deed, Link, Owed};
use crate::mcp::pool::{Pool, Size};
use crate::mcp::rpc;
use crate::mcp::rpc::{Failure, INVALID_REQUEST, Id, Message, Notification, Request};
use crate::mcp::server::{Server, Step};
use crate::mcp::tasks;
use crate::mcp::tasks::Task;
use crate::mcp::turn;
use crate::mcp::turn::Open;
use crate::mcp::watch::{PAUSE, Watches};
use crate::mcp::work::Work;
use crate::text::json;
use crate::threads;
use crate::tools::run::{Asks, Caller, Gate};

/// How long the end waits for work that was told to stop. Work that reads and does not listen sits
/// in a silent host; clients kill us two seconds after SIGTERM, and the logout needs most of those.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// What may differ between one process and another, and in tests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who calls, for the audit log.
    pub user: String,
    /// Calls that run at once.
    pub threads: usize,
    /// Calls that wait for their turn; one more is refused as busy.
    pub queue: usize,
    /// How long a thread is kept that has nothing to do.
    pub idle: Duration,
    /// Entries of a list that are shown at once.
    pub page: usize,
    /// The longest message, in bytes.
    pub longest: usize,
    /// How long calls may go on once the input has ended, and how long a cancelled one that changes
    /// something may take to clean up.
    pub grace: Duration,
    /// A call that takes longer than that becomes a task, for clients that know tasks.
    pub tasks_after: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            user: "local".to_owned(),
            threads: 16,
            queue: 64,
            idle: Duration::from_secs(20),
            page: 100,
            longest: 4 << 20,
            grace: Duration::from_secs(10),
            tasks_after: tasks::PATIENCE,
        }
    }
}

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client closed its end, the usual way.
    Input,
    /// The client does not read any more.
    Output,
    /// [`Stop::stop`] was called.
    Stopped,
}

/// One client on a pair of streams.
pub struct Stdio {
    desk: Desk,
    grace: Duration,
}

/// Ends the serving from another thread.
#[derive(Clone)]
pub struct Stop(Arc<Link>);

impl Stop {
    /// Takes no more messages on and cancels all work. Returns at once; [`Stdio::serve`] returns
    /// within half a second, or after the grace when work that changes something cleans up.
    pub fn stop(&self) {
        self.0.note(|phase| phase.stopping = true);
        self.0.cancel_all();
    }
}

/// Serves one client until its input ends; a shorthand for those who need no [`Stop`].
pub fn serve(
    gate: Arc<Gate>,
    settings: Settings,
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
) -> Ended {
    Stdio::new(gate, settings, output).serve(input)
}

impl Stdio {
    /// Nothing is read or written before [`Stdio::serve`].
    pub fn new(gate: Arc<Gate>, settings: Settings, output: impl Write + Send + 'static) -> Stdio {
        let size = Size { threads: settings.threads, queue: settings.queue, idle: settings.idle };
        let desk = Desk {
            link: Arc::new(Link::new(output)),
            server: Server::new(gate.clone(), settings.page)
                .watching()
                .patient(settings.tasks_after),
            gate,
            watches: Watches::default(),
            pool: Pool::new(size),
            who: Principal::local(&settings.user),
            can_ask: AtomicBool::new(false),
            looking: Arc::default(),
            longest: settings.longest,
        };
        Stdio { desk, grace: settings.grace }
    }

    /// The means to end it from elsewhere.
    pub fn stopper(&self) -> Stop {
        Stop(self.desk.link.clone())
    }

    /// Serves until the input ends, the output breaks or somebody stops it. Calls that are still
    /// wanted when the input ends have the grace to finish, so that a pipe gets its answers.
    pub fn serve(self, input: impl BufRead + Send + 'static) -> Ended {
        let (link, desk) = (self.desk.link.clone(), self.desk);
        let noted = InputEnd(link.clone());
        let reader = move || {
            let _noted = noted;
            desk.read(input);
        };
        if let Err(why) = threads::begin("input", Box::new(reader)) {
            log::error!("no thread to read the input with: {why}");
        }
        link.wait(None, |phase, _| phase.input_ended || phase.closing());
        link.wait(Some(self.grace), |phase, busy| busy.wanted == 0 || phase.closing());
        let phase = link.phase();
        link.note(|phase| phase.stopping = true);
        link.cancel_all();
        if !link.wait(Some(LAST_WORDS), |_, busy| busy.all == 0) {
            link.wait(Some(self.grace), |_, busy| busy.changing == 0);
            let left = link.unfinished();
            if !left.is_empty() {
                log::warn!("ending, though this is still under way: {}", left.join(", "));
            }
        }
        link.close();
        match phase {
            phase if phase.broken => Ended::Output,
            phase if phase.stopping => Ended::Stopped,
            _ => Ended::Input,
        }
    }
}

/// Notes the end of the input, also when a defect ends the reader.
struct InputEnd(Arc<Link>);

impl Drop for InputEnd {
    fn drop(&mut self) {
        self.0.note(|phase| phase.input_ended = true);
    }
}

/// Where messages come in and are seen to.
struct Desk {
    link: Arc<Link>,
    server: Server,
    gate: Arc<Gate>,
    watches: Watches,
    pool: Pool,
    /// Whoever speaks to a process of their own may do all that the process may.
    who: Principal,
    /// The client said at `initialize` that it can put a form to a person.
    can_ask: AtomicBool,
    longest: usize,
    /// There is a thread that makes tasks of calls.
    looking: Arc<AtomicBool>,
}

/// A request of this connection.
struct OnLink {
    link: Arc<Link>,
    owed: Arc<Owed>,
}

impl Open for OnLink {
    fn begins(&self, deed: Deed) {
        let _ = self.owed.deed.set(deed);
    }

    fn report(&self, message: &str) {
        self.link.tell(&self.owed, message);
    }

    fn task(&self) -> Option<&Arc<Task>> {
        self.owed.task.as_ref()
    }
}

impl Desk {
    fn read(&self, mut input: impl BufRead) {
        loop {
            let line = match lines::next(&mut input, self.longest) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(why) => return log::warn!("the input broke: {why}"),
            };
            if self.link.phase().closing() {
                return;
            }
            match line {
                Line::Whole(bytes) => self.take(&bytes),
                Line::TooLong => {
                    let said = format!("message too large: more than {} bytes", self.longest);
                    self.link.answer(None, &Err(Failure::new(INVALID_REQUEST, said)));
                }
            }
        }
    }

    fn take(&self, line: &[u8]) {
        match rpc::parse(line) {
            Ok(Some(Message::Request(request))) => self.request(&request),
            Ok(Some(Message::Notification(notification))) => self.notified(&notification),
            Ok(Some(Message::Response(response))) => self.link.answered(response),
            Ok(None) => {}
            Err(refusal) => self.link.answer(refusal.id.as_ref(), &Err(refusal.failure)),
        }
    }

    fn request(&self, request: &Request) {
        let id = &request.id;
        if self.link.owes(id) {
            let said = format!("the request with id {} is still being worked on", id.json());
            let failure = Failure::new(INVALID_REQUEST, crate::error::quoted(&said));
            return self.link.answer(Some(id), &Err(failure));
        }
        if request.method == "initialize" {
            let able = ask::can(json::get_object(&request.params, "capabilities"));
            self.can_ask.store(able, Ordering::SeqCst);
        }
        match self.server.handle(request, &self.who) {
            Step::Now(answer) => self.link.answer(Some(id), &answer),
            Step::Later(work) => self.begin(id, work),
            Step::Watch(what) => {
                let caller = Caller::new(self.who.clone());
                self.watches.take(&self.link, &self.gate, id, caller, what);
            }
        }
    }

    fn begin(&self, id: &Id, work: Work) {
        // Too late: we are ending, and nothing new is begun.
        let task = self.server.prepare(&work, &self.who);
        let Some((owed, running)) = self.link.begin(id, task) else { return };
        let (link, ours) = (self.link.clone(), owed.clone());
        let mut caller = Caller::new(self.who.clone());
        if work.is_legacy() && self.can_ask.load(Ordering::SeqCst) {
            let (link, owed, leave) = (link.clone(), owed.clone(), self.pool.leave());
            let asks: Asks = Arc::new(move |question, _| {
                let _waiting = leave.take("")?;
                put(&link, &owed, question)
            });
            caller = caller.asked_by(Some(asks));
        }
        if owed.task.is_some() {
            self.look();
        }
        let ticket = self.pool.submit("", move |fate| {
            let caller = caller.cancelled_by(ours.cancel.clone());
            let open = Arc::new(OnLink { link: link.clone(), owed: ours.clone() });
            let answer = turn::take(work, fate, caller, &open);
            link.settle(&ours, &answer);
            drop(running);
        });
        // Nobody else sets it, and only this thread, by a later message, asks for it.
        let _ = owed.ticket.set(ticket);
    }

    /// Sees to it that calls become tasks in time; nothing else here looks at the clock.
    fn look(&self) {
        if self.looking.swap(true, Ordering::SeqCst) {
            return;
        }
        let (link, looking) = (self.link.clone(), self.looking.clone());
        let looks = move || {
            loop {
                std::thread::sleep(PAUSE);
                if !link.publish() {
                    looking.store(false, Ordering::SeqCst);
                    // One may have begun just before that.
                    if !link.publish() || looking.swap(true, Ordering::SeqCst) {
                        return;
                    }
                }
            }
        };
        if let Err(why) = threads::begin("tasks", Box::new(looks)) {
            log::warn!("no thread to make tasks of calls with: {why}");
            self.looking.store(false, Ordering::SeqCst);
        }
    }

    fn notified(&self, notification: &Notification) {
        if notification.method != "notifications/cancelled" {
            return;
        }
        let id = notification.params.get("requestId").and_then(Id::of);
        let cancelled = id.and_then(|id| self.link.cancel(&id));
        if let Some(ticket) = cancelled.as_ref().and_then(|owed| owed.ticket.get()) {
            self.pool.forget(*ticket);
        }
    }
}

/// Puts a question to the person at the other end, and waits for their answer.
fn put(link: &Link, owed: &Owed, question: &str) -> Result<bool> {
    let patience = Duration::from_secs(LIFETIME);
    let asked = link.ask(owed, patience, &|id| ask::request(id, question), &ask::withdrawn);
    ask::heard(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let it = Settings::default();
        assert_eq!((it.threads, it.queue, it.page, it.longest), (16, 64, 100, 4_194_304));
    }
}
