//! What `jumpvisor serve` runs: the concentrator and the consoles that are kept open.
//!
//! Everything that can be wrong with the settings is found before anything is opened. Surprising: the
//! supervisor is told that the service is alive by the thread that moves the consoles' bytes, so that
//! it really is.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::app::http;
use crate::app::http::Http;
use crate::app::keeper::{Keeper, Keeps};
use crate::audit::Sink;
use crate::config::Config;
use crate::config::concentrator;
use crate::error::{Error, Result};
use crate::hv::fleet::Server;
use crate::tools::offer::Offer;
use crate::tools::run::Gate;
use crate::web::serve::identity::Identity;
use crate::web::serve::listen;
use crate::web::serve::listen::{Listener, Place};
use crate::web::serve::notify::Notifier;

/// The name that systemd gives the concentrator's socket, and what it is called in the log.
const NAME: &str = "serial";

/// A daemon that runs.
pub struct Daemon {
    gate: Arc<Gate>,
    keeper: Keeper,
    certificate: Option<Arc<Identity>>,
    http: Mutex<Option<Http>>,
    notifier: Arc<Notifier>,
    /// What it serves, in words.
    serves: String,
}

impl Daemon {
    /// Begins to serve. `inherited` is what systemd listens on for us.
    pub fn start(
        config: &Config,
        servers: Vec<Server>,
        offer: Offer,
        sink: Sink,
        inherited: Vec<Listener>,
        anyone: bool,
    ) -> Result<Daemon> {
        let (inherited, web): (Vec<_>, Vec<_>) =
            inherited.into_iter().partition(|it| it.name() == NAME);
        let listens = !inherited.is_empty() || config.concentrator.listen.is_some();
        let open = config.serial_sockets.is_some() || config.serial_log_dir.is_some();
        let http = http::open(config, web, anyone)?;
        judge(config, servers.is_empty(), listens, open || http.is_some())?;
        for (name, path) in
            [("SERIAL_SOCKETS", &config.serial_sockets), ("SERIAL_LOG_DIR", &config.serial_log_dir)]
        {
            path.iter().try_for_each(|it| folder(name, it))?;
        }
        let files = config.concentrator.certificate.as_ref();
        let certificate = files.map(|(chain, key)| Identity::open(chain, key)).transpose()?;
        let certificate = certificate.map(Arc::new);
        let mut listeners = listeners(config)?;
        listeners.extend(inherited);
        let (gate, consoles) = crate::app::wired(config, servers, offer, sink)?;
        // Now, and not at the first call that nobody can follow any more.
        for (sink, why) in gate.audit.tried() {
            let Some(why) = why else { continue };
            let then = if config.audit_required { "; changes are refused meanwhile" } else { "" };
            log::error!("the audit log {sink} cannot be written: {why}{then}");
        }
        let mut serves = Vec::new();
        for listener in listeners {
            let at = gate.consoles.listen_at(listener, certificate.clone())?;
            let tls = if certificate.is_some() { "telnets" } else { "telnet" };
            serves.push(format!("the concentrator at {tls}://{at}"));
        }
        if let Some(uri) = gate.consoles.advertised().filter(|_| listens) {
            serves.push(format!("hosts dial {uri}"));
        }
        for (what, path) in [("sockets", &config.serial_sockets), ("logs", &config.serial_log_dir)]
        {
            serves.extend(path.iter().map(|it| format!("{what} of consoles in {}", it.display())));
        }
        let keeper = Keeper::start(&consoles, Keeps { open, listens })?;
        let notifier = Arc::new(Notifier::from_env());
        let http = http.map(|it| it.start(config, &gate, &notifier)).transpose()?;
        match (&http, notifier.beat()) {
            (Some(http), _) => serves.insert(0, http.serves.clone()),
            (None, Some(beat)) => {
                let notifier = Arc::clone(&notifier);
                gate.consoles.each(beat, move || notifier.alive());
            }
            (None, None) => {}
        }
        let serves = serves.join(", ");
        crate::logging::info!("serves {serves}");
        notifier.ready(&serves);
        Ok(Daemon { gate, keeper, certificate, http: Mutex::new(http), notifier, serves })
    }

    /// Reads again what may have changed.
    pub fn reload(&self) {
        self.notifier.reloading();
        let serial = self.certificate.as_ref().map(|it| ("the certificate", it.reload()));
        let mut all: Vec<_> = serial.into_iter().collect();
        all.extend(self.http().as_ref().map(Http::reload).into_iter().flatten());
        if all.is_empty() {
            crate::logging::info!("nothing to read again; the audit log is opened anew");
        }
        for (what, outcome) in all {
            match outcome {
                Ok(()) => crate::logging::info!("{what} was read again"),
                Err(error) => log::error!("{error}"),
            }
        }
        self.gate.audit.reopen();
        self.notifier.ready(&self.serves);
    }

    fn http(&self) -> MutexGuard<'_, Option<Http>> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nothing be opened any more; the gate, whose consoles and sessions are still to be ended.
    pub fn end(&self) -> Arc<Gate> {
        self.notifier.stopping();
        crate::logging::info!("ends");
        let http = self.http().take();
        if let Some(http) = http {
            http.end();
        }
        self.keeper.end();
        Arc::clone(&self.gate)
    }
}

/// Refuses settings that cannot have been meant.
fn judge(config: &Config, no_servers: bool, listens: bool, open: bool) -> Result<()> {
    if no_servers {
        return Err(Error::usage("there is no server to act on")
            .hint("Set ESXI_HOST, ESXI_USER and ESXI_PASS, or those of VCENTER_HOST"));
    }
    if !listens && !open {
        return Err(Error::usage("there is nothing to serve").hint(
            "MCP_HOST=none leaves HTTP out; set SERIAL_SOCKETS to a folder for a socket of each console, SERIAL_LOG_DIR to one for \
             their logs, or SERIAL_LISTEN to where machines dial in, such as 0.0.0.0:13370",
        ));
    }
    let named = |name: &str| config.found.iter().any(|it| it.name == name);
    match ["SERIAL_TLS_CERT", "SERIAL_ADVERTISE"].into_iter().find(|it| !listens && named(it)) {
        Some(name) => Err(Error::usage(format!("{name} is set, but nothing listens there"))
            .hint("Set SERIAL_LISTEN, or leave it out of what this service reads")),
        None => Ok(()),
    }
}

/// Sees to it that a folder is there and can be written to.
fn folder(name: &str, path: &Path) -> Result<()> {
    let wrong = |error: std::io::Error| {
        Error::usage(format!("{name}: the folder {} cannot be used: {error}", path.display())).hint(
            "Make it, and let this user alone write to it; systemd does with RuntimeDirectory=",
        )
    };
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        made => made.map_err(wrong)?,
    }
    // Who may put a socket of his own there would be typed to, passwords too.
    if fs::metadata(path).map_err(wrong)?.mode() & 0o002 != 0 {
        return Err(wrong(std::io::Error::other("everybody may write to it")));
    }
    let probe = path.join(format!(".{}", std::process::id()));
    fs::File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(wrong)
}

/// Listens where SERIAL_LISTEN says.
fn listeners(config: &Config) -> Result<Vec<Listener>> {
    let Some(text) = &config.concentrator.listen else { return Ok(Vec::new()) };
    let open = |it: &Place| Listener::open(it, NAME, 0).map_err(|it| it.during("SERIAL_LISTEN"));
    if let Ok((None, port)) = concentrator::place(text) {
        // Both families at once, or the older one where there is no other.
        let six = Place::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        let four = Place::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        return Ok(vec![Listener::open(&six, NAME, 0).or_else(|_| open(&four))?]);
    }
    let places = listen::places(text, concentrator::PORT).map_err(|it| it.during("SERIAL_LISTEN"));
    places?.iter().map(open).collect()
}

/// What systemd listens on for us, which must be for what is served here. To be called once, before
/// there are threads.
pub fn inherited() -> Result<Vec<Listener>> {
    let all = listen::inherited()?;
    match all.iter().find(|it| it.name() != NAME && !http::is_ours(it.name())) {
        Some(other) => Err(Error::usage(format!(
            "systemd passes a socket called `{}`, which nothing here serves",
            other.name()
        ))
        .hint("FileDescriptorName=serial in the socket unit makes it the concentrator's")),
        None => Ok(all),
    }
}
