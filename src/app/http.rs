//! The HTTP side of the daemon: where it listens, who may come in, what is behind it.
//!
//! Nothing is served before all of the settings were found good. Surprising: without sign-in whoever
//! reaches it may do anything, so then it listens for this machine alone unless that is said plainly.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::app::signin;
use crate::auth::signin::SignIn;
use crate::config::Config;
use crate::config::daemon::Metrics;
use crate::error::{Error, Result};
use crate::mcp::http;
use crate::mcp::http::door::Door;
use crate::mcp::pool::Size;
use crate::threads::{Words, begin};
use crate::tools::run::Gate;
use crate::web::no_proxy::in_range;
use crate::web::serve::handler::{Answer, Handler, Request, Responder};
use crate::web::serve::identity::Identity;
use crate::web::serve::limits::Limits;
use crate::web::serve::listen;
use crate::web::serve::listen::{Listener, Place};
use crate::web::serve::notify::Notifier;
use crate::web::serve::{Server, Setup};

/// Names of sockets: of the endpoint, and (below) of `/metrics` where it has an address of its own.
const NAME: &str = "http";
const METRICS: &str = "metrics";

/// `MCP_HOST` for a daemon that only holds consoles.
pub const NONE: &str = "none";

/// A Unix socket is for whoever is in its group.
const MODE: u32 = 0o660;

/// How long requests that run may take when the daemon ends.
const LAST_CALLS: Duration = Duration::from_secs(10);

/// What still runs then is told to stop, and has so long to clean up and to say what became of it.
const LAST_DEEDS: Duration = Duration::from_secs(10);

/// The same for what changes something and has no client any more.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What was opened and found good, before anything is served.
pub struct Ready {
    listeners: Vec<Listener>,
    identity: Option<Arc<Identity>>,
    sign_in: Option<SignIn>,
}

/// The HTTP side as it runs.
pub struct Http {
    server: Server,
    service: Arc<http::Http>,
    identity: Option<Arc<Identity>>,
    /// The file of keys, and where they hold.
    keys: Option<(PathBuf, Arc<SignIn>)>,
    /// What it serves, in words.
    pub serves: String,
}

/// Whether a socket of systemd is one of ours. A unit that names none gives it its own name.
pub fn is_ours(name: &str) -> bool {
    matches!(name, NAME | METRICS | "unknown" | "socket") || name.ends_with(".socket")
}

/// Opens the sockets and reads what says who may come in; none where nothing is to be served.
/// `anyone` says plainly that whoever reaches it may do anything.
pub fn open(config: &Config, inherited: Vec<Listener>, anyone: bool) -> Result<Option<Ready>> {
    let daemon = &config.daemon;
    let passed = inherited.iter().any(|it| it.name() != METRICS);
    if daemon.host.eq_ignore_ascii_case(NONE) && !passed {
        return Ok(None);
    }
    let sign_in = signin::sign_in(config)?;
    let identity = match &daemon.tls {
        Some((chain, key)) => Some(Arc::new(Identity::open(chain, key)?)),
        None => None,
    };
    let mut listeners = inherited;
    if !passed {
        let during = |error: Error| error.during("MCP_HOST");
        let places = listen::places(&daemon.host, daemon.port).map_err(during)?;
        for place in &places {
            listeners.push(Listener::open(place, NAME, MODE).map_err(during)?);
        }
    }
    if let Metrics::At(address) = &daemon.metrics {
        let during = |error: Error| error.during("METRICS");
        for place in &listen::places(address, 0).map_err(during)? {
            listeners.push(Listener::open(place, METRICS, MODE).map_err(during)?);
        }
    }
    judge(&listeners, sign_in.is_some(), identity.is_some(), anyone)?;
    Ok(Some(Ready { listeners, identity, sign_in }))
}

/// Refuses to be open to all, and warns where what signs in can be read on its way.
fn judge(listeners: &[Listener], signed: bool, tls: bool, anyone: bool) -> Result<()> {
    let far = |it: &&Listener| it.name() != METRICS && !it.place().is_none_or(Place::is_local);
    let Some(place) = listeners.iter().find(far).and_then(Listener::place) else { return Ok(()) };
    if !signed && !anyone {
        return Err(open_to_all(place));
    }
    if !signed {
        log::warn!("at {place} whoever reaches it may do anything (--without-sign-in)");
    }
    if !tls {
        log::warn!(
            "at {place} no TLS is spoken, so keys and tokens can be read on their way; set \
             MCP_TLS_CERT and MCP_TLS_KEY, unless a proxy before it does"
        );
    }
    Ok(())
}

/// Where anybody who is not on this machine could do anything.
pub fn open_to_all(place: &Place) -> Error {
    Error::usage(format!("at {place} anybody who reaches it could do anything")).hint(
        "Set API_KEYS_FILE (`jumpvisor key` makes keys) or OAUTH_ENABLED, or MCP_HOST=127.0.0.1; \
         `serve --without-sign-in` does it all the same",
    )
}

impl Ready {
    /// Serves.
    pub fn start(
        self,
        config: &Config,
        gate: &Arc<Gate>,
        notifier: &Arc<Notifier>,
    ) -> Result<Http> {
        let (scheme, secured) = match &self.identity {
            Some(_) => ("https", "over TLS"),
            None => ("http", "without TLS"),
        };
        let signed = match &self.sign_in {
            Some(it) if it.issuer.is_some() => "sign-in by tokens",
            Some(_) => "sign-in by keys",
            None => "no sign-in",
        };
        // Whoever opened it: what is called so has nothing else, since it asks nobody who they are.
        let (measured, served): (Vec<&Listener>, Vec<&Listener>) =
            self.listeners.iter().partition(|it| it.name() == METRICS);
        let at = |all: &[&Listener], path: &str| {
            let shown = |it: &Place| match it {
                Place::Tcp(at) => format!("{scheme}://{at}{path}"),
                Place::Unix(_) => it.to_string(),
            };
            let all: Vec<String> = all.iter().filter_map(|it| it.place()).map(shown).collect();
            all.join(" and ")
        };
        let mut serves = format!("MCP at {} ({secured}, {signed})", at(&served, "/mcp"));
        if !measured.is_empty() {
            serves = format!("{serves}, metrics at {}", at(&measured, "/metrics"));
        }
        let sign_in = self.sign_in.map(Arc::new);
        let keys = config.daemon.keys.clone().zip(sign_in.clone());
        let count: Arc<OnceLock<Arc<AtomicUsize>>> = Arc::default();
        let mut settings = settings(config, gate, sign_in, Arc::clone(&count));
        settings.metrics_listener = (!measured.is_empty()).then(|| METRICS.to_owned());
        let service = Arc::new(http::Http::new(Arc::clone(gate), settings));
        let server = Server::start(Setup {
            listeners: self.listeners,
            identity: self.identity.clone(),
            limits: Limits::default(),
            handler: Arc::new(Shared(Arc::clone(&service))),
            notifier: Arc::clone(notifier),
        })?;
        let _ = count.set(server.counter());
        Ok(Http { server, service, identity: self.identity, keys, serves })
    }
}

/// The edge owns whoever answers, and the daemon has to tell it of the end.
struct Shared(Arc<http::Http>);

impl Handler for Shared {
    fn admit(&self, head: &Request) -> std::result::Result<u64, Answer> {
        self.0.admit(head)
    }

    fn handle(&self, request: Request, respond: Responder) {
        self.0.handle(request, respond);
    }

    fn answered(&self, status: u16) {
        self.0.answered(status);
    }

    fn stopping(&self) {
        self.0.stopping();
    }
}

fn settings(
    config: &Config,
    gate: &Arc<Gate>,
    sign_in: Option<Arc<SignIn>>,
    count: Arc<OnceLock<Arc<AtomicUsize>>>,
) -> http::Settings {
    let daemon = &config.daemon;
    let usual = http::Settings::default();
    let mut hosts = daemon.hosts.clone();
    // A name that is listened at, and the one that tokens are issued for, are obvious.
    if daemon.host.parse::<IpAddr>().is_err() {
        hosts.push(daemon.host.clone());
    }
    if let Some(base) = daemon.oauth.as_ref().and_then(|it| it.base.split_once("://")) {
        hosts.extend(base.1.split('/').next().map(str::to_owned));
    }
    let proxies = daemon.proxies.clone();
    let trusted = move |ip: Option<IpAddr>| match ip {
        Some(ip) => {
            let ip = ip.to_canonical().to_string();
            proxies.iter().any(|it| *it == ip || (it.contains('/') && in_range(it, &ip)))
        }
        // Who may connect to a Unix socket may as well be a proxy.
        None => !proxies.is_empty(),
    };
    let measured = Arc::downgrade(gate);
    let text = move || {
        let open = count.get().map(|it| it.load(Ordering::Relaxed) as u64);
        measured.upgrade().map_or_else(String::new, |it| it.prometheus(open))
    };
    http::Settings {
        origins: daemon.origins.clone(),
        hosts,
        door: sign_in.map(|it| Box::new(it) as Box<dyn Door>),
        user: crate::app::user(),
        trusted: Box::new(trusted),
        per_user: daemon.per_user,
        per_address: daemon.per_address,
        metrics: (daemon.metrics != Metrics::Nowhere).then(|| Box::new(text) as _),
        calls: Size { threads: config.max_concurrent_calls, ..usual.calls },
        ..usual
    }
}

impl Http {
    /// Reads the certificate and the keys again, whichever there are; what each was and how it went.
    /// What cannot be read leaves what was read before.
    pub fn reload(&self) -> Vec<(&'static str, Result<()>)> {
        let certificate = self.identity.as_ref().map(|it| ("the certificate", it.reload()));
        let keys = self.keys.as_ref().map(|(path, sign_in)| {
            let read = signin::keys(path).map(|keys| sign_in.renew(keys));
            (
                "the file of keys",
                read.map_err(|it| it.during("the keys that were read before hold")),
            )
        });
        certificate.into_iter().chain(keys).collect()
    }

    /// Accepts nothing more, lets what runs come to its end within a bound, and tells the rest to stop
    /// while its clients still hear what became of it.
    pub fn end(self) {
        let (over, service) = (Words::default(), Arc::clone(&self.service));
        let ended = over.clone();
        let hurry = move || {
            if ended.next(Some(LAST_CALLS)).is_none() {
                service.hurry();
            }
        };
        let told = begin("ending", Box::new(hurry));
        let more = told.map_or(Duration::ZERO, |_| LAST_DEEDS);
        let cut = self.server.stop(LAST_CALLS + more);
        over.say(());
        if cut > 0 {
            log::warn!("{cut} requests were cut off because they took too long to end");
        }
        let left = self.service.end(LAST_WORDS);
        if !left.is_empty() {
            log::warn!("was still at work when it ended: {}", left.join(", "));
        }
    }
}
