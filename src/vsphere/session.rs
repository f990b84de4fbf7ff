//! One session a server: opened when first needed, opened anew once when it expired, ended when
//! idle and at the end.
//!
//! Surprising: a refused password is remembered and never sent again, because hosts lock accounts
//! after five; and `NotAuthenticated` is raised before a call is carried out, so replaying that
//! call is safe, while replaying after a broken connection is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::text::base64;
use crate::text::secret::Secret;
use crate::text::xml;
use crate::threads::{begin_small, side_by_side};
use crate::vim::table::Method;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::live::Live;
use crate::vsphere::reads::{is_read, is_repeatable};
use crate::vsphere::rest::Rest;
use crate::vsphere::wire::{MAX_ANSWER, Wire};
use crate::vsphere::{decode, encode, faults, open};
use crate::web::exchange::{Response, read_capped};
use crate::web::failure::{was_not_sent, was_silent};

/// How long the end waits for a login under way, and for the answer to the logout: clients kill
/// us two seconds after they asked us to end.
const PARTING: Duration = Duration::from_millis(1_200);

/// Who logs in, and how long an unused session is kept.
pub struct Account {
    pub user: String,
    pub password: Secret,
    /// The longest silence of the server while a request is under way.
    pub silence: Duration,
    /// Ten minutes in the product; servers end idle sessions after thirty.
    pub idle: Duration,
}

/// A server's one session.
pub struct Session {
    pub wire: Wire,
    /// The other session that a vCenter wants for its REST interface.
    pub(super) rest: Rest,
    account: Account,
    state: Mutex<State>,
    /// When the last attempt to open it failed, and why.
    failed: Mutex<Option<(Instant, Error)>>,
    /// Copied out of `state`, so that asking for it never waits for a login.
    shown: Mutex<Shown>,
    pulse: Arc<Pulse>,
}

enum State {
    Closed,
    Open(Arc<Live>),
    /// The server said no to the account; asking again could lock it.
    Refused(Error),
}

/// What is known without asking the server.
#[derive(Clone, Default)]
pub struct Shown {
    pub live: Option<Arc<Live>>,
    /// Stays after the session has ended.
    pub product: Option<String>,
    pub version: Option<String>,
    pub vcenter: Option<bool>,
    pub trouble: Option<String>,
}

/// When the session was last used, and by how many it is now; the janitor waits on it.
#[derive(Default)]
struct Pulse {
    last: Mutex<Option<Instant>>,
    under_way: AtomicUsize,
    ended: Condvar,
}

/// Work that uses the session, which is not idle before this is dropped.
pub struct InUse(Arc<Pulse>);

impl Drop for InUse {
    fn drop(&mut self) {
        *lock(&self.0.last) = Some(Instant::now());
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What to do where the answer to a change was lost.
const PERHAPS_DONE: &str = "The request may have taken effect; look before repeating it";

impl Session {
    pub fn new(wire: Wire, account: Account) -> Arc<Session> {
        Arc::new(Session {
            wire,
            rest: Rest::default(),
            account,
            state: Mutex::new(State::Closed),
            failed: Mutex::default(),
            shown: Mutex::default(),
            pulse: Arc::default(),
        })
    }

    /// The user that logs in.
    pub fn user(&self) -> &str {
        &self.account.user
    }

    /// The account as an `Authorization` header, for the one request that opens a REST session.
    pub(super) fn basic(&self) -> Secret {
        let Account { user, password, .. } = &self.account;
        let pair = Secret::new(format!("{user}:{}", password.reveal()));
        let code = Secret::new(base64::encode(pair.reveal().as_bytes()));
        Secret::new(format!("Basic {}", code.reveal()))
    }

    /// The longest wait for the peer: a call that has less time left waits no longer than that.
    pub(super) fn patience(&self, call: &Call, silence: Option<Duration>) -> Duration {
        let silence = silence.unwrap_or(self.account.silence);
        silence.min(call.time_left().map_or(silence, |left| left.max(Duration::from_secs(1))))
    }

    /// What is known without asking the server.
    pub fn shown(&self) -> Shown {
        lock(&self.shown).clone()
    }

    /// The open session; opens one if need be. Callers that come meanwhile wait for that one.
    pub fn live(self: &Arc<Session>, call: &Call) -> Result<Arc<Live>> {
        self.renewed(call, None)
    }

    /// The open session, but not `dead`, which has expired.
    fn renewed(self: &Arc<Session>, call: &Call, dead: Option<&Arc<Live>>) -> Result<Arc<Live>> {
        let arrived = Instant::now();
        let mut state = lock(&self.state);
        // Who waited for an attempt shares its failure; each trying for itself would take hours.
        if let Some((at, error)) = &*lock(&self.failed)
            && *at >= arrived
        {
            return Err(error.clone());
        }
        call.check()?;
        *lock(&self.pulse.last) = Some(Instant::now());
        match &*state {
            State::Open(live) if !dead.is_some_and(|dead| Arc::ptr_eq(dead, live)) => {
                return Ok(live.clone());
            }
            State::Refused(error) => return Err(error.clone()),
            _ => {}
        }
        self.set(&mut state, State::Closed);
        self.wire.counts.logins.fetch_add(1, Ordering::Relaxed);
        match open::open(&self.wire, &self.account.user, &self.account.password) {
            Ok(live) => {
                let live = Arc::new(live);
                self.set(&mut state, State::Open(live.clone()));
                drop(state);
                self.watch_idleness();
                Ok(live)
            }
            Err(error) => {
                let refused = matches!(error.fault_name(), Some("InvalidLogin" | "NoPermission"));
                lock(&self.shown).trouble = Some(error.to_string());
                *lock(&self.failed) = Some((Instant::now(), error.clone()));
                if refused {
                    self.set(&mut state, State::Refused(error.clone()));
                }
                Err(error)
            }
        }
    }

    fn set(&self, state: &mut MutexGuard<'_, State>, to: State) {
        let mut shown = lock(&self.shown);
        shown.live = match &to {
            State::Open(live) => {
                shown.product = Some(live.product());
                shown.version = live.content.text("about.version").map(str::to_owned);
                shown.vcenter = Some(live.is_vcenter());
                shown.trouble = None;
                Some(live.clone())
            }
            _ => None,
        };
        **state = to;
    }

    /// Keeps the session from being idle until it is dropped, for work beside calls such as a transfer.
    pub fn in_use(&self) -> InUse {
        self.pulse.under_way.fetch_add(1, Ordering::SeqCst);
        InUse(self.pulse.clone())
    }

    /// Runs `work` on the open session, and once more on a new one if that one had expired. `work`
    /// makes one call that changes something at most, so that nothing is done twice.
    pub fn with<T>(
        self: &Arc<Session>,
        call: &Call,
        mut work: impl FnMut(&Live) -> Result<T>,
    ) -> Result<T> {
        let _in_use = self.in_use();
        let live = self.live(call)?;
        match work(&live) {
            Err(error) if faults::is_expired(&error) => {
                crate::logging::info!("the session has expired; logging in again");
                let live = self.renewed(call, Some(&live))?;
                work(&live)
            }
            result => result,
        }
    }

    /// One method of one object; its result, if it has one.
    pub fn call(
        self: &Arc<Session>,
        call: &Call,
        this: &Ref,
        method: &str,
        args: &Object,
    ) -> Result<Option<Value>> {
        self.with(call, |live| self.invoke(call, live, this, method, args))
    }

    /// As [`Session::call`], on a session that is at hand, without a second try.
    pub fn invoke(
        &self,
        call: &Call,
        live: &Live,
        this: &Ref,
        method: &str,
        args: &Object,
    ) -> Result<Option<Value>> {
        self.ask(call, live, this, method, args, None)
    }

    /// As [`Session::invoke`], with a longer wait for the peer. A reading call whose answer breaks
    /// off is made once more.
    pub fn ask(
        &self,
        call: &Call,
        live: &Live,
        this: &Ref,
        method: &str,
        args: &Object,
        silence: Option<Duration>,
    ) -> Result<Option<Value>> {
        let (known, response) = self.send(call, live, this, method, args, silence)?;
        match self.answer(live, known, response) {
            Err(error)
                if error.kind() == Kind::Network
                    && !was_silent(&error)
                    && is_repeatable(method) =>
            {
                crate::logging::info!("{error}; trying once more");
                let (known, response) = self.send(call, live, this, method, args, silence)?;
                self.answer(live, known, response)
            }
            result => result,
        }
    }

    /// Sends a call and gives the answer unread.
    pub fn send(
        &self,
        call: &Call,
        live: &Live,
        this: &Ref,
        method: &str,
        args: &Object,
        silence: Option<Duration>,
    ) -> Result<(Method, Response)> {
        call.check()?;
        if call.rights() == Rights::ReadOnly && !is_read(method) {
            return Err(Error::new(
                Kind::Denied,
                format!("{method} changes things, and this call may only read"),
            ));
        }
        let known = Method::find(&this.kind, method).ok_or_else(|| {
            Error::bug(format!("{} has no method {method} in the schema", this.kind))
        })?;
        let body = encode::call(known, this, args, live.version)?;
        let envelope = encode::envelope(&body);
        let silence = Some(self.patience(call, silence));
        let post = || self.wire.post(live.version, live.cookie.as_ref(), &envelope, silence);
        let response = match post() {
            // Nothing of it reached the server, or it only reads: a second try harms nobody.
            Err(error)
                if error.kind() == Kind::Network
                    && !was_silent(&error)
                    && (was_not_sent(&error) || is_repeatable(method)) =>
            {
                call.check()?;
                crate::logging::info!("{method}: {error}; trying once more");
                post()
            }
            result => result,
        };
        *lock(&self.pulse.last) = Some(Instant::now());
        Ok((known, response.map_err(|error| error.during(method.to_owned()))?))
    }

    /// Reads a whole answer: its result, if it has one.
    pub fn answer(
        &self,
        live: &Live,
        method: Method,
        mut response: Response,
    ) -> Result<Option<Value>> {
        let bytes = read_capped(&mut response.body, MAX_ANSWER).map_err(|error| {
            let lost = error.kind() == Kind::Network && !is_read(method.name());
            let error = error.during(method.name());
            if lost { error.hint(PERHAPS_DONE) } else { error }
        })?;
        open::read_answer(method, bytes, live.is_vcenter())
    }

    /// The error for a fault in a document that was read in pieces.
    pub fn fault_in(&self, live: &Live, method: Method, rest: &str) -> Result<()> {
        let document = xml::parse(rest).map_err(|error| error.during(method.name()))?;
        match decode::fault(&document) {
            Some(fault) => Err(faults::error(method.name(), &fault, live.is_vcenter())),
            None => Ok(()),
        }
    }

    /// Ends the session within two or three seconds, whatever the server does.
    pub fn close(&self) {
        if !self.rest.is_open() {
            return self.close_own();
        }
        // Each may wait for as long as a parting takes.
        side_by_side(2, &|at| match at {
            0 => self.rest.close(&self.wire, PARTING),
            _ => self.close_own(),
        });
    }

    fn close_own(&self) {
        let until = Instant::now() + PARTING;
        let mut state = loop {
            match self.state.try_lock() {
                Ok(state) => break state,
                Err(std::sync::TryLockError::Poisoned(it)) => break it.into_inner(),
                // A login is under way; it must be ended too, or it leaks.
                Err(_) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                Err(_) => return,
            }
        };
        if let State::Open(live) = &*state {
            let live = live.clone();
            self.set(&mut state, State::Closed);
            drop(state);
            self.log_out(&live);
        }
        self.pulse.ended.notify_all();
    }

    fn log_out(&self, live: &Live) {
        let done = live.manager("sessionManager").and_then(|manager| {
            let method = Method::find(&manager.kind, "Logout")
                .ok_or_else(|| Error::bug("no Logout in the schema"))?;
            let body = encode::call(method, &manager, &Object::args(), live.version)?;
            let envelope = encode::envelope(&body);
            let response =
                self.wire.post(live.version, live.cookie.as_ref(), &envelope, Some(PARTING))?;
            self.answer(live, method, response)
        });
        if let Err(error) = done {
            crate::logging::info!("logout: {error}");
        }
    }

    /// A thread that lives as long as the session and ends it when nobody used it for a while.
    fn watch_idleness(self: &Arc<Session>) {
        let (session, pulse) = (Arc::downgrade(self), self.pulse.clone());
        let idle = self.account.idle;
        let watch = move || {
            loop {
                let last = lock(&pulse.last);
                let in_use = pulse.under_way.load(Ordering::SeqCst) > 0;
                let since = last.filter(|_| !in_use).map_or(Duration::ZERO, |at| at.elapsed());
                let left = idle.saturating_sub(since);
                if !left.is_zero() {
                    drop(pulse.ended.wait_timeout(last, left));
                }
                let Some(session) = session.upgrade() else { return };
                if session.shown().live.is_none() {
                    return;
                }
                let unused = lock(&pulse.last).is_none_or(|at| at.elapsed() >= idle);
                if unused && pulse.under_way.load(Ordering::SeqCst) == 0 {
                    crate::logging::info!("the session was not used for {idle:?}; logging out");
                    session.close();
                    return;
                }
            }
        };
        if let Err(error) = begin_small("idle sessions", 128 << 10, Box::new(watch)) {
            log::warn!("no thread to end idle sessions: {error}");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
