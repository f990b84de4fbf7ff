//! Subscriptions: who asked to be told when a console says something, on one connection.
//!
//! Clients of the `initialize` era subscribe to one URI at a time; newer ones keep a request open,
//! whose end is the end of it. Surprising: what changed is not sent, only that it did, and not more
//! often than every [`PAUSE`], so a console that prints for ever costs a client little.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Cancel;
use crate::mcp::body::Body;
use crate::mcp::era::Era;
use crate::mcp::link::{Link, Owed, Running};
use crate::mcp::rpc;
use crate::mcp::rpc::{Answer, Id};
use crate::mcp::work::{reading, refused};
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
    Listen(Vec<String>),
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

/// A console that is watched, and how it was when its watcher last looked.
pub struct Seen {
    pub uri: String,
    console: Console,
    last: (u64, State),
}

impl Seen {
    /// The console of a URI, as the caller may see it; asks the hypervisor.
    pub fn of(gate: &Gate, caller: &Caller, uri: &str) -> Result<Seen> {
        let call = reading(gate, caller.cancel.clone());
        let console = resources::console(gate, &call, &caller.who, uri)?;
        let now = console.status();
        Ok(Seen { uri: uri.to_owned(), console, last: (now.position, now.state) })
    }

    /// Tells of a change since the last look; again at the next one where that could not be told.
    pub fn look(&mut self, tell: &dyn Fn(&str) -> bool) {
        let now = self.console.status();
        let now = (now.position, now.state);
        if now != self.last && tell(&self.uri) {
            self.last = now;
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
        let Some((owed, running)) = link.begin(id) else { return };
        let (watches, link, gate) = (self.clone(), link.clone(), gate.clone());
        let (id, ours, its) = (id.clone(), owed.clone(), link.clone());
        let work = move || {
            let _counted = counted;
            let caller = caller.cancelled_by(owed.cancel.clone());
            match what {
                Watch::Listen(uris) => listen(&gate, &link, &owed, &id, caller, &uris, running),
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
            Err(error) => return link.settle(owed, &refused(Era::Legacy, &uri, error)),
        };
        let cancel = Cancel::default();
        self.left().push((uri.clone(), cancel.clone()));
        link.settle(owed, &Ok(Body::new().json()));
        drop(running);
        watch(link, &mut [seen], &cancel, &|uri| {
            link.say(&updated(uri, None));
        });
        self.end(&uri);
    }
}

/// The consoles of these that the caller may see, and all others only in the log.
pub fn seen_of(gate: &Gate, caller: &Caller, uris: &[String]) -> Vec<Seen> {
    let mut all = Vec::new();
    for uri in uris {
        match Seen::of(gate, caller, uri) {
            Ok(it) => all.push(it),
            Err(error) => crate::logging::info!("`{uri}` is not subscribed to: {error}"),
        }
    }
    all
}

/// The first message of an open request: what of it is honoured.
pub fn acknowledged(id: &Id, all: &[Seen]) -> String {
    let honoured: Vec<&str> = all.iter().map(|it| it.uri.as_str()).collect();
    let honoured = json::write(&json::texts(&honoured));
    let params = Body::new()
        .object("notifications", Body::new().raw("resourceSubscriptions", &honoured))
        .object("_meta", belongs(id));
    rpc::notification("notifications/subscriptions/acknowledged", params)
}

/// That a resource has changed; to an open request, or to nobody's.
pub fn updated(uri: &str, id: Option<&Id>) -> String {
    let mut params = Body::new().text("uri", uri);
    if let Some(id) = id {
        params = params.object("_meta", belongs(id));
    }
    rpc::notification("notifications/resources/updated", params)
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
fn listen(
    gate: &Gate,
    link: &Arc<Link>,
    owed: &Arc<Owed>,
    id: &Id,
    caller: Caller,
    uris: &[String],
    running: Running,
) {
    let mut all = seen_of(gate, &caller, uris);
    link.tell(owed, &acknowledged(id, &all));
    // Nobody waits for it when the input ends.
    drop(running);
    watch(link, &mut all, &owed.cancel, &|uri| link.tell(owed, &updated(uri, Some(id))));
    link.settle(owed, &over(id));
}

/// Tells of changes until it is cancelled or the connection ends.
fn watch(link: &Link, all: &mut [Seen], cancel: &Cancel, tell: &dyn Fn(&str)) {
    loop {
        let phase = link.phase();
        if cancel.is_cancelled() || phase.closing() || phase.input_ended {
            return;
        }
        all.iter_mut().for_each(|it| {
            it.look(&|uri| {
                tell(uri);
                true
            })
        });
        std::thread::sleep(PAUSE);
    }
}
