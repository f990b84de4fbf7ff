//! Ends reading from another thread: what hangs is cut off, what is read next fails.
//!
//! Whoever opens a source for a call gives it one of these beforehand, since opening can hang too:
//!
//! ```ignore
//! let stop = Stop::default();
//! let hook = stop.clone();
//! let hooked = call.cancel().on_cancel(move || hook.stop());
//! let source = files.source_until(text, &stop)?.keeping(hooked);
//! ```
//!
//! `Ctx::source` does just that. It must not know who calls, or what is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::web::exchange::Exchange;

/// How often it is looked at by who has to wait without being woken.
pub(crate) const GLANCE: Duration = Duration::from_millis(100);

/// A request to stop reading, which can be given once and seen by many.
#[derive(Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Default)]
struct State {
    stopped: AtomicBool,
    /// Whom to hang up on.
    peer: Mutex<Option<Arc<dyn Exchange>>>,
}

impl Stop {
    /// Ends reading. May be called from any thread, and more than once.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        let peer = self.0.peer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(peer) = peer {
            peer.shutdown();
        }
    }

    /// Whether reading was to end.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Fails once it was.
    pub(crate) fn check(&self) -> Result<()> {
        match self.is_stopped() {
            true => Err(Error::new(Kind::Cancelled, "reading was cancelled")),
            false => Ok(()),
        }
    }

    /// From now on this peer is hung up on, and no other.
    pub(crate) fn watch(&self, peer: Arc<dyn Exchange>) -> Result<()> {
        *self.0.peer.lock().unwrap_or_else(PoisonError::into_inner) = Some(peer);
        // Who stopped before saw no peer.
        self.check().inspect_err(|_| self.stop())
    }

    /// Waits so long, unless it is stopped.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.is_stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(GLANCE));
        }
    }
}
