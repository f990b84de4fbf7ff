//! The HTTP edge: many connections on one thread, each bounded in time and memory.
//!
//! A [`handler::Handler`] gets whole requests and answers from any thread; the edge knows nothing of
//! what is asked. One thread waits for all sockets, because what is done between two waits is short
//! (one core fills a network; handshakes are the longest, a fifth of a millisecond) and nothing needs
//! a lock then. Long work is the handler's, on threads of its own. Surprising: the watchdog is told
//! that the service is alive by that same thread, so that it really is.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::channel;
use smol::{LocalExecutor, Timer};

use crate::error::Error;
use crate::error::Kind;
use crate::error::Result;
use crate::threads::Words;
use crate::threads::begin;
use crate::web::serve::core::Core;
use crate::web::serve::core::spawn;
use crate::web::serve::handler::Handler;
use crate::web::serve::identity::Identity;
use crate::web::serve::limits::Limits;
use crate::web::serve::listen::Listener;
use crate::web::serve::listen::Place;
use crate::web::serve::notify::Notifier;

mod connection;
pub(crate) mod core;
pub mod handler;
pub mod identity;
pub mod limits;
pub mod listen;
pub mod notify;
pub(crate) mod wire;

/// Files that the rest of the program may have open beside connections.
const OTHER_FILES: u64 = 256;

/// How much longer than promised the end may take before it is not waited for.
const MARGIN: Duration = Duration::from_secs(5);

/// What a server is made of.
pub struct Setup {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// TLS for connections by TCP; those by Unix sockets are always plain.
    pub identity: Option<Arc<Identity>>,
    /// What clients may cost.
    pub limits: Limits,
    /// Who answers.
    pub handler: Arc<dyn Handler>,
    /// Who is told that the service is alive.
    pub notifier: Arc<Notifier>,
}

/// A server that runs; dropping it cuts everything.
pub struct Server {
    stop: channel::Sender<Stop>,
    count: Arc<AtomicUsize>,
    places: Vec<Place>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Stop {
    until: Instant,
    told: Words<usize>,
}

impl Server {
    /// Begins to serve, on a thread of its own.
    pub fn start(mut setup: Setup) -> Result<Server> {
        setup.limits.connections = files_for(setup.limits.connections);
        let count = Arc::new(AtomicUsize::new(0));
        let places = setup.listeners.iter().filter_map(Listener::place).cloned().collect();
        let (stop, stopped) = channel::bounded(1);
        let theirs = Arc::clone(&count);
        let thread = begin("http", Box::new(move || serve(setup, theirs, &stopped)))
            .map_err(|why| Error::new(Kind::Busy, format!("no thread for the server: {why}")))?;
        Ok(Server { stop, count, places, thread: Some(thread) })
    }

    /// Where it listens, with the ports that the system chose.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Connections that are open, idle ones too.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The same number, for who has no server at hand.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.count)
    }

    /// Stops accepting, closes what is idle, waits at most that long for requests that run, and cuts
    /// the rest; how many those were. Returns when everything is closed.
    pub fn stop(mut self, within: Duration) -> usize {
        self.end(within)
    }

    fn end(&mut self, within: Duration) -> usize {
        let Some(thread) = self.thread.take() else { return 0 };
        let cut = Words::default();
        let stop = Stop { until: Instant::now() + within, told: cut.clone() };
        let told = self.stop.try_send(stop).ok();
        match told.and_then(|()| cut.next(Some(within + MARGIN))) {
            Some(cut) => {
                let _ = thread.join();
                cut
            }
            None => {
                log::error!("the server does not end");
                self.connections()
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// The server's thread.
fn serve(setup: Setup, count: Arc<AtomicUsize>, stopped: &channel::Receiver<Stop>) {
    let executor = Rc::new(LocalExecutor::new());
    let core = Rc::new(Core::new(setup.handler, setup.limits, setup.identity, count));
    let notifier = setup.notifier;
    let work = async {
        let mut tasks = Vec::new();
        for listener in setup.listeners {
            let accepting = Rc::clone(&core).accept(Rc::clone(&executor), listener);
            tasks.push(spawn(&executor, accepting));
        }
        if let Some(beat) = notifier.beat() {
            let notifier = Arc::clone(&notifier);
            tasks.push(spawn(&executor, async move {
                loop {
                    notifier.alive();
                    Timer::after(beat).await;
                }
            }));
        }
        let stop = stopped.recv().await.ok();
        // The watchdog is told until the end, which is the last of these.
        let beating = notifier.beat().and_then(|_| tasks.pop());
        for task in tasks {
            // To wait for its end is what closes the listener.
            task.cancel().await;
        }
        let until = stop.as_ref().map_or_else(Instant::now, |it| it.until);
        let cut = core.drain(until).await;
        if let Some(beating) = beating {
            beating.cancel().await;
        }
        (stop, cut)
    };
    let (stop, cut) = smol::block_on(executor.run(work));
    // What is left is closed before anybody is told.
    drop(executor);
    if let Some(stop) = stop {
        stop.told.say(cut);
    }
}

/// Sees to it that so many connections can be open; fewer if the system allows no more.
fn files_for(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    let now = getrlimit(Resource::Nofile);
    let have = now.current.unwrap_or(u64::MAX);
    if have >= wanted {
        return connections;
    }
    let most = now.maximum.unwrap_or(u64::MAX).min(wanted);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum });
    let have = if raised.is_ok() { most } else { have };
    if have >= wanted {
        return connections;
    }
    let rest = usize::try_from(have.saturating_sub(OTHER_FILES).max(have / 2)).unwrap_or(1);
    log::warn!("the system allows {have} open files, so at most {rest} connections are served");
    rest
}
