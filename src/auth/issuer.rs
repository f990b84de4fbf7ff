//! Whoever issues access tokens: found by its address, asked for its keys, and asked again when
//! they change.
//!
//! It opens no connection; [`Fetch`] does. Its keys are asked for
//!
//! ```text
//!  at first need          waits for them; while that fails, tries again after 10 s
//!  after an hour          one caller asks, all others go on with the old keys
//!  for an unknown key     once in 30 s, so that tokens made up by strangers cost it nothing
//! ```
//!
//! and old ones are used for a day where it is down. Sources: RFC 8414, OpenID Connect Discovery,
//! `mcp.md` 14. Surprising: an issuer with a path has three places where its document may be, and
//! the wrong two may well answer 200 with a page for people.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth::Clock;
use crate::auth::claims::{Expected, Identity};
use crate::auth::introspection::Introspection;
use crate::auth::jwks::KeySet;
use crate::auth::jwt;
use crate::auth::jwt::{Verdict, looks_signed, refused};
use crate::error::{Error, Kind, Result, quoted};
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::text::secret::Secret;

/// Largest document that is taken from an issuer, in bytes; usual are 2 to 20 KB.
pub const MAX_DOCUMENT: usize = 512 * 1024;

/// Age at which keys are asked for again.
const FRESH: Duration = Duration::from_secs(3600);

/// Age up to which they are used where the issuer is down.
const USABLE: Duration = Duration::from_secs(24 * 3600);

/// Least time between two attempts while there are keys.
const PAUSE: Duration = Duration::from_secs(30);

/// The same while there are none.
const PAUSE_WITHOUT: Duration = Duration::from_secs(10);

/// Longest that a caller waits for keys which another caller asks for.
const PATIENCE: Duration = Duration::from_secs(15);

/// Callers that may wait so; strangers must not hold all workers.
const MAX_WAITING: u32 = 4;

/// What is wanted from the issuer's server.
pub struct Ask<'a> {
    pub url: &'a str,
    /// The value of the header `Authorization`, if one is to be sent.
    pub authorization: Option<&'a Secret>,
    /// A form to be posted; without one the document is got.
    pub form: Option<&'a Secret>,
}

/// What it answered, cut or refused above [`MAX_DOCUMENT`] bytes.
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// Asks for a document: over HTTPS with a trusted certificate, following no redirect, within a
/// bound of time shorter than 15 s. Any status is an answer; an error means that there was none.
pub type Fetch = Box<dyn Fn(&Ask<'_>) -> Result<Answer> + Send + Sync>;

/// Where an issuer has what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub keys: String,
    pub introspection: Option<String>,
}

/// One issuer and its keys.
pub struct Issuer {
    pub(in crate::auth) expected: Expected,
    pub(in crate::auth) fetch: Fetch,
    introspection: Option<Introspection>,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    found: Option<Found>,
    /// When the keys came.
    loaded: Option<Instant>,
    /// When they were last asked for.
    tried: Option<Instant>,
    /// Whether that failed.
    failed: bool,
    running: bool,
    waiting: u32,
}

/// Ends an attempt, also one that a defect ends.
struct Running<'a>(&'a Issuer);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.state().running = false;
        self.0.ended.notify_all();
    }
}

impl Issuer {
    /// Checks the address; nothing is asked yet.
    pub fn new(
        expected: Expected,
        fetch: Fetch,
        introspection: Option<Introspection>,
    ) -> Result<Issuer> {
        let address = &expected.issuer;
        let wrong = |said: &str| Err(Error::usage(format!("the issuer's address {said}")));
        let Some((scheme, rest)) = address.split_once("://") else {
            return wrong("does not begin with https://");
        };
        let (authority, _) = parts(rest);
        if rest.contains(['?', '#', '@', ' ']) || authority.is_empty() {
            return wrong("may have neither query nor fragment nor user, and needs a host");
        }
        if scheme != "https" && !(scheme == "http" && is_loopback(authority)) {
            return wrong("must begin with https://, or anyone on the way could let himself in");
        }
        let (state, ended) = (Mutex::default(), Condvar::new());
        Ok(Issuer { expected, fetch, introspection, state, ended })
    }

    /// The address, as tokens name it.
    pub fn address(&self) -> &str {
        &self.expected.issuer
    }

    /// Whose token this is. An error of kind [`Kind::Denied`] refuses the token; any other means
    /// that the issuer could not be asked.
    pub fn identify(&self, token: &str, clock: &Clock) -> Result<Identity> {
        if let Some(introspection) = self.introspection.as_ref().filter(|_| !looks_signed(token)) {
            return introspection.identify(self, token, clock);
        }
        let token = jwt::open(token)?;
        let mut keys = self.keys(clock, None)?;
        for last in [false, true] {
            match token.check(&keys)? {
                Verdict::Signed(claims) => return self.expected.check(&claims, clock, false),
                // A known key is not asked for again, or any forger could have that done.
                Verdict::Forged if last || token.key_id.is_some() => {
                    return Err(refused("the token's signature is wrong"));
                }
                Verdict::NoSuchKey if last => {
                    let said = "the token is signed with a key that the issuer does not publish";
                    return Err(refused(said).hint("Sign in again"));
                }
                _ => keys = self.keys(clock, Some(&keys))?,
            }
        }
        Err(refused("the token's signature is wrong"))
    }

    /// Asks for everything now, for `jumpvisor check`: how many keys there are.
    pub fn probe(&self) -> Result<usize> {
        self.load(None).map(|(_, keys)| keys.keys().len())
    }

    /// Where its introspection is, once it was found.
    pub(in crate::auth) fn introspection_at(&self, clock: &Clock) -> Result<Option<String>> {
        if self.state().found.is_none() {
            self.keys(clock, None)?;
        }
        Ok(self.state().found.as_ref().and_then(|it| it.introspection.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys, newer than `these` if it can be: the very same ones mean that there are no newer.
    fn keys(&self, clock: &Clock, these: Option<&Arc<KeySet>>) -> Result<Arc<KeySet>> {
        let mut state = self.state();
        loop {
            let age = state.loaded.map_or(USABLE, |it| clock.since(it));
            let usable = state.keys.clone().filter(|_| age < USABLE);
            let newer = match (&usable, these) {
                (None, _) => false,
                (Some(_), None) => age < FRESH,
                (Some(now), Some(these)) => !Arc::ptr_eq(now, these),
            };
            if let Some(keys) = usable.clone().filter(|_| newer) {
                return Ok(keys);
            }
            let pause = if usable.is_some() { PAUSE } else { PAUSE_WITHOUT };
            let just_now = state.tried.is_some_and(|it| clock.since(it) < pause);
            if just_now || state.running {
                match (usable, these) {
                    // Old, but good enough for keys that are among them.
                    (Some(keys), None) => return Ok(keys),
                    (Some(keys), Some(_)) if !state.running && !state.failed => return Ok(keys),
                    _ if !state.running => return Err(unreachable()),
                    _ => {}
                }
                state = self.waited(state)?;
                continue;
            }
            state.running = true;
            state.tried = Some(clock.steady);
            let known = state.found.clone().filter(|_| these.is_some());
            drop(state);
            let running = Running(self);
            let loaded = self.load(known);
            state = self.state();
            self.learn(&mut state, loaded, clock);
            drop(state);
            drop(running);
            state = self.state();
        }
    }

    /// Waits until the attempt of another caller ended.
    fn waited<'a>(&self, mut state: MutexGuard<'a, State>) -> Result<MutexGuard<'a, State>> {
        if state.waiting >= MAX_WAITING {
            return Err(Error::new(Kind::Busy, "the issuer of tokens is being asked for its keys")
                .hint("Try again in a moment"));
        }
        state.waiting += 1;
        let waited = self.ended.wait_timeout_while(state, PATIENCE, |it| it.running);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        if waited.timed_out() {
            return Err(unreachable());
        }
        Ok(state)
    }

    fn learn(&self, state: &mut State, loaded: Result<(Found, KeySet)>, clock: &Clock) {
        match loaded {
            Ok((found, keys)) => {
                if state.failed {
                    crate::logging::info!("the issuer {} answers again", self.expected.issuer);
                }
                (state.failed, state.found, state.loaded) =
                    (false, Some(found), Some(clock.steady));
                // The same keys stay the same set, by which callers see that there is no newer one.
                if state.keys.as_deref() != Some(&keys) {
                    state.keys = Some(Arc::new(keys));
                }
            }
            Err(error) => {
                state.failed = true;
                let minutes = state.loaded.map(|it| clock.since(it).as_secs() / 60);
                let meanwhile = match minutes {
                    Some(it) if it < USABLE.as_secs() / 60 => {
                        format!("its keys of {it} minutes ago are used, for a day at most")
                    }
                    _ => "nobody can sign in by it".to_owned(),
                };
                let issuer = &self.expected.issuer;
                log::warn!("the issuer {issuer} gives no keys, {meanwhile}: {error}");
            }
        }
    }

    /// Finds where the keys are, if that is not known, and gets them.
    fn load(&self, known: Option<Found>) -> Result<(Found, KeySet)> {
        if let Some(found) = known
            && let Ok(keys) = self.get(&found.keys).and_then(|it| KeySet::parse(&it))
        {
            return Ok((found, keys));
        }
        let found = self.discover()?;
        let keys = self.get(&found.keys).and_then(|it| KeySet::parse(&it));
        keys.map(|keys| (found, keys)).map_err(|error| error.during("the issuer's keys"))
    }

    /// The document that says where everything is, at one of the places where it may be.
    fn discover(&self) -> Result<Found> {
        let mut last = None;
        for place in places(&self.expected.issuer) {
            let found = self.get(&place).and_then(|text| self.read(&text));
            match found.map_err(|error| error.during(format!("`{place}`"))) {
                // All places are on the same server; one that is down is asked once.
                Err(error) if error.kind() == Kind::Network => return Err(error),
                // What is said of a document counts more than that a later place has none.
                Err(error) if error.kind() == Kind::Conflict => last = Some(error),
                Err(error) => last = last.or(Some(error)),
                Ok(found) => return Ok(found),
            }
        }
        Err(last.unwrap_or_else(|| Error::bug("an issuer without places")))
    }

    fn read(&self, text: &str) -> Result<Found> {
        let Ok(Value::Object(document)) = json::parse(text) else {
            return Err(Error::new(Kind::Remote, "there is no JSON object"));
        };
        let issuer = json::get_text(&document, "issuer").unwrap_or_default();
        if issuer != self.expected.issuer {
            let said = format!("the issuer there calls itself `{}`", quoted(issuer));
            return Err(Error::new(Kind::Conflict, said).hint(format!(
                "`{}` is configured; both must be the same to the last slash",
                self.expected.issuer
            )));
        }
        let keys = self.place(&document, "jwks_uri")?;
        let Some(keys) = keys else {
            return Err(Error::new(
                Kind::Conflict,
                "it does not say where its keys are (`jwks_uri`)",
            ));
        };
        Ok(Found { keys, introspection: self.place(&document, "introspection_endpoint")? })
    }

    /// An address out of the document, which must be as safe as the issuer's own.
    fn place(&self, document: &Object, name: &str) -> Result<Option<String>> {
        let Some(place) = json::get_text(document, name) else { return Ok(None) };
        let own = self.expected.issuer.split_once("://").map_or("", |it| it.0);
        let safe = match place.split_once("://") {
            Some(("https", rest)) => !parts(rest).0.is_empty(),
            Some(("http", rest)) => own == "http" && is_loopback(parts(rest).0),
            _ => false,
        };
        match safe && !place.contains(|it: char| it.is_control() || it.is_whitespace() || it == '@')
        {
            true => Ok(Some(place.to_owned())),
            false => {
                let said = format!("its `{name}` is not an https:// address");
                Err(Error::new(Kind::Conflict, said))
            }
        }
    }

    fn get(&self, url: &str) -> Result<String> {
        let answer = (self.fetch)(&Ask { url, authorization: None, form: None })?;
        document(answer)
    }
}

/// The text of an answer, if it is one that says something.
pub(in crate::auth) fn document(answer: Answer) -> Result<String> {
    if answer.status != 200 {
        return Err(Error::new(Kind::Remote, format!("it answered {}", answer.status)));
    }
    if answer.body.len() > MAX_DOCUMENT {
        let said = format!("it answered with more than {MAX_DOCUMENT} bytes");
        return Err(Error::new(Kind::Remote, said));
    }
    String::from_utf8(answer.body).map_err(|_| Error::new(Kind::Remote, "it did not answer UTF-8"))
}

/// What callers are told; the reason is in the log, since it may speak of proxies and networks.
pub(in crate::auth) fn unreachable() -> Error {
    Error::new(Kind::Network, "the issuer of tokens cannot be asked").hint("Try again in a moment")
}

/// Host with port, and path, of what follows `://`.
fn parts(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find('/').unwrap_or(rest.len()))
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|it: std::net::IpAddr| it.is_loopback())
}

/// Where the document of an issuer may be, the likeliest first.
fn places(issuer: &str) -> Vec<String> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("https", issuer));
    let (authority, path) = parts(rest);
    let (root, path) = (format!("{scheme}://{authority}"), path.trim_end_matches('/'));
    let mut all = vec![format!("{root}{OAUTH}{path}"), format!("{root}{OPENID}{path}")];
    if !path.is_empty() {
        all.push(format!("{root}{path}{OPENID}"));
    }
    all
}

#[cfg(test)]
#[path = "issuer_tests.rs"]
pub mod tests;
