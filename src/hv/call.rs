//! What one call may do and how it is watched: rights, cancellation, progress, patience.
//!
//! It goes down through every layer by reference, so that nobody below needs to know who called.
//! Surprising: cancelling runs hooks on a thread of their own, because a hook talks to a
//! hypervisor and the one who cancels must not wait for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::threads::begin;

/// What the caller may do to a hypervisor; checked again by the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Only methods that read.
    ReadOnly,
    /// Everything.
    Change,
}

/// How far long work has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: f64,
    /// What is being done, for a person.
    pub note: String,
}

type Sink = Arc<dyn Fn(&Progress) + Send + Sync>;
type Hook = Arc<dyn Fn() + Send + Sync>;

/// A request to stop that can be given once and seen by many.
#[derive(Clone, Default)]
pub struct Cancel(Arc<Cancelled>);

#[derive(Default)]
struct Cancelled {
    flag: AtomicBool,
    next: AtomicU64,
    hooks: Mutex<Vec<(u64, Hook)>>,
}

/// Hooks may wait for others, so whoever cancels is not held up by them.
fn run(hooks: Box<dyn FnOnce() + Send>) {
    if let Err(why) = begin("cancelling", hooks) {
        log::error!("no thread to stop what is under way: {why}");
    }
}

/// Takes its hook back when it is dropped.
pub struct Hooked {
    cancel: Cancel,
    id: u64,
}

impl Cancel {
    /// Asks all that watch this to stop; their hooks run on a thread of their own.
    pub fn cancel(&self) {
        if self.0.flag.swap(true, Ordering::SeqCst) {
            return;
        }
        let hooks = std::mem::take(&mut *self.hooks());
        if !hooks.is_empty() {
            run(Box::new(move || hooks.iter().for_each(|(_, hook)| hook())));
        }
    }

    /// True once somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.flag.load(Ordering::SeqCst)
    }

    /// Runs `hook` when the call is cancelled, at once if it already is, until the guard drops.
    pub fn on_cancel(&self, hook: impl Fn() + Send + Sync + 'static) -> Hooked {
        let id = self.0.next.fetch_add(1, Ordering::SeqCst);
        let hook: Hook = Arc::new(hook);
        let mut hooks = self.hooks();
        if self.is_cancelled() {
            run(Box::new(move || hook()));
        } else {
            hooks.push((id, hook));
        }
        Hooked { cancel: self.clone(), id }
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Hook)>> {
        self.0.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hooked {
    fn drop(&mut self) {
        self.cancel.hooks().retain(|(id, _)| *id != self.id);
    }
}

/// One call on its way down: who may do what, how long, and who listens.
#[derive(Clone)]
pub struct Call {
    rights: Rights,
    cancel: Cancel,
    sink: Option<Sink>,
    deadline: Option<Instant>,
}

impl Call {
    /// A call with these rights that nobody listens to and nothing bounds.
    pub fn new(rights: Rights) -> Call {
        Call { rights, cancel: Cancel::default(), sink: None, deadline: None }
    }

    /// The same call, ended by `cancel`.
    pub fn cancelled_by(mut self, cancel: Cancel) -> Call {
        self.cancel = cancel;
        self
    }

    /// The same call, with somebody who wants to see progress.
    pub fn watched_by(mut self, sink: impl Fn(&Progress) + Send + Sync + 'static) -> Call {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// The same call, given up after `patience` from now.
    pub fn within(mut self, patience: Duration) -> Call {
        self.deadline = Instant::now().checked_add(patience);
        self
    }

    /// The same call for as long as it takes: a transfer, which only silence ends.
    pub fn unbounded(mut self) -> Call {
        self.deadline = None;
        self
    }

    /// The same call with other rights.
    pub fn with_rights(mut self, rights: Rights) -> Call {
        self.rights = rights;
        self
    }

    /// The same call without its listener, for one of several machines in a batch.
    pub fn unwatched(&self) -> Call {
        Call { sink: None, ..self.clone() }
    }

    /// What the caller may do.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The means to cancel this call, and to be told of it.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// How long is left; `None` for as long as it takes.
    pub fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Fails when the call was cancelled or its time is up; asked between steps.
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(Kind::Cancelled, "cancelled by the caller"));
        }
        match self.time_left() {
            Some(left) if left.is_zero() => {
                Err(Error::new(Kind::Busy, "the time for this call is up")
                    .hint("Pass a larger timeout_seconds, or look at the state again later"))
            }
            _ => Ok(()),
        }
    }

    /// Tells the listener, if there is one, how far the work has come.
    pub fn progress(&self, percent: f64, note: impl Into<String>) {
        if let Some(sink) = &self.sink {
            sink(&Progress { percent: percent.clamp(0.0, 100.0), note: note.into() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_run_once_and_not_after_their_guard() {
        let (cancel, seen) = (Cancel::default(), Arc::new(AtomicU64::new(0)));
        let count = |seen: &Arc<AtomicU64>| {
            let seen = seen.clone();
            move || {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        };
        drop(cancel.on_cancel(count(&seen)));
        let _kept = cancel.on_cancel(count(&seen));
        cancel.cancel();
        cancel.cancel();
        let _late = cancel.on_cancel(count(&seen));
        while seen.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        assert_eq!(seen.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_call_ends_by_cancel_or_by_time() {
        let call = Call::new(Rights::ReadOnly);
        assert!(call.check().is_ok());
        call.cancel().cancel();
        assert_eq!(call.check().unwrap_err().kind(), Kind::Cancelled);
        let late = Call::new(Rights::Change).within(Duration::ZERO);
        assert_eq!(late.check().unwrap_err().kind(), Kind::Busy);
    }
}
