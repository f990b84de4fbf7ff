//! Subscriptions: who asked to be told when a console says something or a task goes on, on one
//! connection.
//!
//! Clients of the `initialize` era subscribe to one URI at a time; newer ones keep a request open,
//! whose end is the end of it. Surprising: what changed is not sent, only that it did, and not more
//! often than every [`PAUSE`], so a console that prints for ever costs a client little.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind};
use crate::hv::call::Cancel;
use crate::mcp::body::Body;
use crate::mcp::era::Era;
use crate::mcp::link::{Link, Owed, Running};
use crate::mcp::rpc;
use crate::mcp::rpc::{Answer, Id};
use crate::mcp::tasks::Task;
use crate::mcp::work::{reading, refused, refused_as};
use crate::serial::hub::{Console, State};
use crate::text::json;
use crate::threads;
use crate::tools::resources;
use crate::tools::run::{Caller, Gate};

/// Subscriptions of one connection, and URIs of one of them.
pub const MOST: usize = 32;
/// Between two looks at a console.
pub const PAUSE: Duration = Duration::from_millis(250);

/// Where a notification says which open request it belongs to.
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// What a client wants.
pub enum Watch {
    Subscribe(String),
    Unsubscribe(String),
    Listen { uris: Vec<String>, tasks: Vec<Arc<Task>> },
}

/// The subscriptions of one connection.
#[derive(Clone, Default)]
pub struct Watches(Arc<Open>);

#[derive(Default)]
struct Open {
    count: AtomicUsize,
    /// Those that an answered request has left behind.
    left: Mutex<Vec<(String, Cancel)>>,
}

/// Counts as a subscription as long as it lives.
struct Counted(Arc<Open>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is watched, and how it was when its watcher last looked.
pub enum Seen {
    Console {
        uri: String,
        console: Console,
        last: (u64, State),
    },
    Task {
        task: Arc<Task>,
        /// Of the state that was told; none yet.
        last: Option<u64>,
    },
}

impl Seen {
    /// The console of a URI, as the caller may see it, or the answer to one who may not; asks the
    /// hypervisor.
    pub fn of(gate: &Gate, caller: &Caller, uri: &str) -> Result<Seen, Answer> {
        Seen::noted(gate, caller, uri, "resources/subscribe")
            .map_err(|(error, correlation)| refused_as(Era::Legacy, uri, error, &correlation))
    }

    /// Whoever begins to look on has a line in the audit log; the end of it has none. An error comes with
    /// the correlation id of that line.
    fn noted(
        gate: &Gate,
        caller: &Caller,
        uri: &str,
        method: &'static str,
    ) -> Result<Seen, (Error, String)> {
        let mut noted = gate.noted(&caller.who, method, json::object([("uri", json::text(uri))]));
        let call = reading(gate, caller.cancel.clone());
        let console = resources::console(gate, &call, &caller.who, uri, &mut noted);
        noted.end(console.as_ref().err());
        let console = console.map_err(|error| (error, noted.correlation.clone()))?;
        let now = console.status();
        Ok(Seen::Console { uri: uri.to_owned(), console, last: (now.position, now.state) })
    }

    /// A task, whose state is told at once too: it may have ended before anybody listened.
    pub fn task(task: Arc<Task>) -> Seen {
        Seen::Task { task, last: None }
    }

    /// Whether it is the console of this URI.
    pub fn is_of(&self, wanted: &str) -> bool {
        matches!(self, Seen::Console { uri, .. } if uri == wanted)
    }

    /// Tells of a change since the last look, in a message that belongs to the open request `id` or to
    /// none; again at the next one where that could not be told. False where there will be no more to tell.
    pub fn look(&mut self, id: Option<&Id>, tell: &dyn Fn(&str) -> bool) -> bool {
        let belonging = |params: Body| match id {
            Some(id) => params.object("_meta", belongs(id)),
            None => params,
        };
        match self {
            Seen::Console { uri, console, last } => {
                let now = console.status();
                let now = (now.position, now.state);
                let news = || belonging(Body::new().text("uri", uri));
                if now != *last
                    && tell(&rpc::notification("notifications/resources/updated", news()))
                {
                    *last = now;
                }
                true
            }
            Seen::Task { task, last } => {
                // Looked at before the state is told, which may be a later one.
                let (over, now) = (task.is_over(), Some(task.revision()));
                let news = || belonging(task.detailed());
                if now != *last && tell(&rpc::notification("notifications/tasks", news())) {
                    *last = now;
                }
                !over || now != *last
            }
        }
    }
}

impl Watches {
    /// Begins or ends one; the request is answered in time.
    pub fn take(&self, link: &Arc<Link>, gate: &Arc<Gate>, id: &Id, caller: Caller, what: Watch) {
        let what = match what {
            Watch::Unsubscribe(uri) => {
                self.end(&uri);
                return link.answer(Some(id), &Ok(Body::new().json()));
            }
            Watch::Subscribe(uri) if self.has(&uri) => {
                return link.answer(Some(id), &Ok(Body::new().json()));
            }
            other => other,
        };
        let counted = Counted(self.0.clone());
        if self.0.count.fetch_add(1, Ordering::SeqCst) >= MOST {
            return link.answer(Some(id), &too_many());
        }
        let Some((owed, running)) = link.begin(id, None) else { return };
        let (watches, link, gate) = (self.clone(), link.clone(), gate.clone());
        let (id, ours, its) = (id.clone(), owed.clone(), link.clone());
        let work = move || {
            let _counted = counted;
            let caller = caller.cancelled_by(owed.cancel.clone());
            match what {
                Watch::Listen { uris, tasks } => {
                    let seen = seen_of(&gate, &caller, &uris, tasks);
                    listen(&link, &owed, &id, seen, running);
                }
                Watch::Subscribe(uri) => {
                    watches.subscribe(&gate, &link, &owed, caller, uri, running)
                }
                Watch::Unsubscribe(_) => {}
            }
        };
        if let Err(why) = threads::begin("subscription", Box::new(work)) {
            let error = Error::new(Kind::Busy, format!("no thread for a subscription: {why}"));
            its.settle(&ours, &refused(Era::Legacy, "subscription", error));
        }
    }

    fn has(&self, uri: &str) -> bool {
        self.left().iter().any(|it| it.0 == uri)
    }

    fn end(&self, uri: &str) {
        self.left().retain(|(known, cancel)| {
            if known == uri {
                cancel.cancel();
            }
            known != uri
        });
    }

    fn left(&self) -> std::sync::MutexGuard<'_, Vec<(String, Cancel)>> {
        self.0.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscribe(
        &self,
        gate: &Gate,
        link: &Arc<Link>,
        owed: &Arc<Owed>,
        caller: Caller,
        uri: String,
        running: Running,
    ) {
        let seen = match Seen::of(gate, &caller, &uri) {
            Ok(seen) => seen,
            Err(answer) => return link.settle(owed, &answer),
        };
        let cancel = Cancel::default();
        self.left().push((uri.clone(), cancel.clone()));
        link.settle(owed, &Ok(Body::new().json()));
        drop(running);
        watch(link, &mut vec![seen], &cancel, None, &|news| link.say(news));
        self.end(&uri);
    }
}

/// The tasks, and the consoles of these that the caller may see; all others only in the log.
pub fn seen_of(gate: &Gate, caller: &Caller, uris: &[String], tasks: Vec<Arc<Task>>) -> Vec<Seen> {
    let mut all: Vec<Seen> = tasks.into_iter().map(Seen::task).collect();
    for uri in uris {
        match Seen::noted(gate, caller, uri, "subscriptions/listen") {
            Ok(it) => all.push(it),
            Err((error, _)) => crate::logging::info!("`{uri}` is not subscribed to: {error}"),
        }
    }
    all
}

/// The first message of an open request: what of it is honoured.
pub fn acknowledged(id: &Id, all: &[Seen]) -> String {
    let (mut uris, mut ids) = (Vec::new(), Vec::new());
    for it in all {
        match it {
            Seen::Console { uri, .. } => uris.push(uri.as_str()),
            Seen::Task { task, .. } => ids.push(task.id()),
        }
    }
    let list = |all: &[&str]| json::write(&json::texts(all));
    let mut honoured = Body::new().raw("resourceSubscriptions", &list(&uris));
    if !ids.is_empty() {
        honoured = honoured.raw("taskIds", &list(&ids));
    }
    let params = Body::new().object("notifications", honoured).object("_meta", belongs(id));
    rpc::notification("notifications/subscriptions/acknowledged", params)
}

/// The last message of an open request.
pub fn over(id: &Id) -> Answer {
    Ok(Era::Modern.finish(Body::new(), belongs(id), None))
}

/// The answer to one subscription too many.
pub fn too_many() -> Answer {
    let error = Error::new(Kind::Busy, format!("more than {MOST} subscriptions"))
        .hint("End one of them first");
    refused(Era::Legacy, "subscription", error)
}

fn belongs(id: &Id) -> Body {
    Body::new().raw(SUBSCRIPTION_KEY, id.json())
}

/// An open request: acknowledged with what can be honoured, ended by whoever of the two ends it.
fn listen(link: &Arc<Link>, owed: &Arc<Owed>, id: &Id, mut all: Vec<Seen>, running: Running) {
    link.tell(owed, &acknowledged(id, &all));
    // Nobody waits for it when the input ends.
    drop(running);
    watch(link, &mut all, &owed.cancel, Some(id), &|news| link.tell(owed, news));
    link.settle(owed, &over(id));
}

/// Tells of changes until it is cancelled or the connection ends.
fn watch(link: &Link, all: &mut Vec<Seen>, cancel: &Cancel, id: Option<&Id>, tell: &dyn Fn(&str)) {
    loop {
        let phase = link.phase();
        if cancel.is_cancelled() || phase.closing() || phase.input_ended {
            return;
        }
        all.retain_mut(|it| {
            it.look(id, &|news| {
                tell(news);
                true
            })
        });
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::tasks::Tasks;

    #[test]
    fn a_task_is_kept_for_a_listener_until_its_end_is_told() {
        let task = Tasks::new(Duration::ZERO).prepare("ann", None).unwrap();
        assert!(task.publish().is_some());
        let mut seen = Seen::task(task.clone());
        let told = std::cell::RefCell::new(Vec::new());
        let mut look = |heard: bool| {
            seen.look(None, &|news| {
                told.borrow_mut().push(news.to_owned());
                heard
            })
        };
        assert!(look(true) && look(true));
        assert!(task.end(&Ok("{}".to_owned())));
        // A full stream is tried again, and then there is no more to tell.
        assert!(look(false) && !look(true));
        let told = told.borrow();
        assert_eq!(told.len(), 3);
        assert!(told[0].contains(r#""status":"working""#) && told[1] == told[2]);
        assert!(told[2].contains(r#""status":"completed""#));
    }
}
