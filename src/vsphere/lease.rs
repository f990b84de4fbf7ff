//! An NFC lease: what holds a machine while its disks travel.
//!
//! Once it is ready it is kept alive by a thread of its own, which also tells the host how far the
//! work has come; transfers do not renew it. Whatever happens, it ends: completed by who is done, or
//! aborted when it is dropped, and with an import that is aborted the half machine goes too. It knows
//! no files. Surprising: the same call renews and tells, so the percentage is sent again and again,
//! and a lease that failed says why in a property, not in an answer.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::threads::begin_small;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::collector::Collector;
use crate::vsphere::session::Session;
use crate::vsphere::{decode, faults, props};

/// Between two words to the host; a lease without any ends after some minutes.
const RENEW: Duration = Duration::from_secs(5);

/// One long poll for its state; short, because a cancelled call must be seen.
const POLL_SECONDS: u64 = 2;

/// What a lease that has ended badly still may cost.
const PARTING: Duration = Duration::from_secs(30);

/// What is watched until it is ready.
const STATE: &str = "state";

/// A lease that is ready.
pub struct Lease {
    session: Arc<Session>,
    at: Ref,
    /// `HttpNfcLeaseInfo`.
    pub info: Object,
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
    ended: bool,
}

/// Between who transfers and who keeps the lease.
#[derive(Default)]
struct Shared {
    state: Mutex<Keeping>,
    wake: Condvar,
}

#[derive(Default)]
struct Keeping {
    percent: i64,
    stop: bool,
    /// Why the host does not keep it any more.
    lost: Option<Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Keeping> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Waits until the lease is ready, and keeps it from then on.
    pub fn hold(session: &Arc<Session>, call: &Call, at: Ref) -> Result<Lease> {
        session.wire.counts.leases.fetch_add(1, Ordering::Relaxed);
        // Aborted by its drop from here on, whatever fails.
        let mut lease = Lease {
            session: session.clone(),
            at,
            info: Object::new("HttpNfcLeaseInfo"),
            shared: Arc::default(),
            keeper: None,
            ended: false,
        };
        lease.wait(call)?;
        let row = props::one(session, call, &lease.at, "HttpNfcLease", &["info"])?;
        lease.info = row.object("info").cloned().ok_or_else(|| {
            Error::new(Kind::Remote, "the server opened a lease and does not say what for")
        })?;
        lease.keeper = Some(lease.keep()?);
        Ok(lease)
    }

    /// The lease itself.
    pub fn at(&self) -> &Ref {
        &self.at
    }

    /// The machine that the lease is about.
    pub fn machine(&self) -> Option<&Ref> {
        self.info.reference("entity")
    }

    /// Each file's `HttpNfcLeaseDeviceUrl`.
    pub fn files(&self) -> impl Iterator<Item = &Object> {
        self.info.objects("deviceUrl")
    }

    /// Tells how far the work has come; fails once the host has given the lease up.
    pub fn moved(&self, percent: i64) -> Result<()> {
        let mut state = self.shared.lock();
        state.percent = percent.clamp(state.percent, 99);
        match &state.lost {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// Ends it well: what was transferred counts.
    pub fn complete(mut self, call: &Call) -> Result<()> {
        self.stop_keeping();
        self.session.call(call, &self.at, "HttpNfcLeaseComplete", &Object::args())?;
        self.ended = true;
        Ok(())
    }

    /// Why the lease failed, where it says so; asked after a transfer that broke off.
    pub fn trouble(&self, call: &Call) -> Option<Error> {
        let row = props::one(&self.session, call, &self.at, "HttpNfcLease", &["error"]).ok()?;
        let vcenter = self.session.shown().vcenter == Some(true);
        row.object("error").map(|error| failed(error, vcenter))
    }

    fn wait(&self, call: &Call) -> Result<()> {
        let patient = call.clone().unbounded();
        self.session.with(&patient, |live| {
            let collector = Collector::new(&self.session, &patient, live)?;
            collector.filter(&[(&self.at, STATE), (&self.at, "error")])?;
            let (mut version, mut state, mut error) = (String::new(), String::new(), None);
            loop {
                call.check()?;
                let Some(updates) = collector.updates(&version, POLL_SECONDS)? else { continue };
                version = updates.text("version").unwrap_or_default().to_owned();
                let objects = updates.objects("filterSet").flat_map(|it| it.objects("objectSet"));
                for update in objects {
                    if update.text("kind") == Some("leave") {
                        return Err(gone());
                    }
                    for change in update.objects("changeSet") {
                        match (change.text("name"), change.get("val")) {
                            (Some(STATE), Some(value)) => {
                                state = value.as_text().unwrap_or_default().to_owned();
                            }
                            (Some("error"), Some(Value::Object(it))) => error = Some(it.clone()),
                            _ => {}
                        }
                    }
                }
                match state.as_str() {
                    "ready" => return Ok(()),
                    "error" => {
                        let unknown = || Object::new("LocalizedMethodFault");
                        let error = error.unwrap_or_else(unknown);
                        return Err(failed(&error, collector.is_vcenter()));
                    }
                    "done" => return Err(gone()),
                    _ => {}
                }
            }
        })
    }

    /// The thread that keeps it.
    fn keep(&self) -> Result<JoinHandle<()>> {
        let (session, at, shared) = (self.session.clone(), self.at.clone(), self.shared.clone());
        let timeout = self.info.int("leaseTimeout").and_then(|it| u64::try_from(it).ok());
        let third = Duration::from_secs(timeout.unwrap_or(300)) / 3;
        let pause = RENEW.min(third.max(Duration::from_millis(200)));
        let keep = move || {
            loop {
                let percent = {
                    let state = shared.lock();
                    let (state, _) = shared
                        .wake
                        .wait_timeout_while(state, pause, |it| !it.stop)
                        .unwrap_or_else(PoisonError::into_inner);
                    if state.stop {
                        return;
                    }
                    state.percent
                };
                let call = Call::new(Rights::Change).within(PARTING);
                let args = Object::args().with("percent", percent);
                if let Err(error) = session.call(&call, &at, "HttpNfcLeaseProgress", &args) {
                    // A broken line may heal before the lease's time is up; its end is for good.
                    if error.kind() != Kind::Network {
                        shared.lock().lost = Some(error.during("the host gave the lease up"));
                        return;
                    }
                    log::warn!("a lease could not be renewed: {error}");
                }
            }
        };
        begin_small("lease", 256 << 10, Box::new(keep)).map_err(|error| {
            Error::new(Kind::Busy, format!("no thread to keep the lease: {error}"))
        })
    }

    fn stop_keeping(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// Ends it badly, where nobody has ended it: the host undoes what was begun.
impl Drop for Lease {
    fn drop(&mut self) {
        self.stop_keeping();
        self.session.wire.counts.leases.fetch_sub(1, Ordering::Relaxed);
        if self.ended {
            return;
        }
        let call = Call::new(Rights::Change).within(PARTING);
        // A lease that has failed by itself is over, and its machine gone; hosts answer these.
        const OVER: [Option<&str>; 2] = [Some("Timedout"), Some("InvalidState")];
        if let Err(error) = self.session.call(&call, &self.at, "HttpNfcLeaseAbort", &Object::args())
            && error.kind() != Kind::NotFound
            && !OVER.contains(&error.fault_name())
        {
            log::warn!("a lease could not be aborted, it ends by itself: {error}");
        }
    }
}

fn gone() -> Error {
    Error::new(Kind::Conflict, "the lease has ended before anything was transferred")
        .hint("Somebody may have cancelled it; try again")
}

/// Why a lease failed, by its `error`.
fn failed(error: &Object, vcenter: bool) -> Error {
    faults::error("the lease", &decode::fault_of(error), vcenter)
}
