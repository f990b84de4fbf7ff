//! The wiring: configuration to servers, gate and log. The only place that knows every layer.
//!
//! Nothing connects here; a server is reached when a call first needs it. What the process lives by
//! is beside it: `signals`, what
//! serial consoles ask in `consoles`, and what a daemon does on its own in `daemon`.

pub mod consoles;
pub mod daemon;
mod http;
mod keeper;
pub mod signals;
mod signin;
pub mod trial;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::app::consoles::Consoles;
use crate::audit::{Audit, Sink};
use crate::config::{Config, Family, ServerConfig, Trust};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::files::fetch::Web;
use crate::files::gate::Hosts;
use crate::hv::fleet::{Fleet, Server};
use crate::hv::guest::Login;
use crate::metrics::Metrics;
use crate::serial::hub;
use crate::serial::hub::{Hub, Outside};
use crate::tools::approval::{Approval, Mode};
use crate::tools::offer::Offer;
use crate::tools::run::Gate;
use crate::vsphere::session::{Account, Session};
use crate::vsphere::wire::Wire;
use crate::vsphere::{Address, Defaults, Elsewhere, Vsphere};
use crate::web::client::{Client, Settings};
use crate::web::exchange::Exchange;
use crate::web::no_proxy::bypasses;

/// How long an unused session is kept; servers end idle ones after thirty minutes.
const IDLE_SESSION: Duration = Duration::from_secs(600);

/// Every configured server.
pub fn servers(config: &Config) -> Result<Vec<Server>> {
    config.servers.iter().map(|it| server(it, config)).collect()
}

/// The gate of a process, with these servers behind it.
pub fn gate(config: &Config, servers: Vec<Server>, offer: Offer, sink: Sink) -> Result<Arc<Gate>> {
    Ok(wired(config, servers, offer, sink)?.0)
}

/// The same, and what its consoles ask.
pub fn wired(
    config: &Config,
    servers: Vec<Server>,
    offer: Offer,
    sink: Sink,
) -> Result<(Arc<Gate>, Arc<Consoles>)> {
    let logins = config.guest_logins.iter().map(|it| {
        let (user, password) = (it.user.clone(), it.password.clone());
        (it.name.clone(), Login { user, password })
    });
    let consoles = Arc::new(Consoles::new(&servers, config));
    // Over HTTP there is a person who can be asked, or a machine that was told what it may do.
    let usual = if config.serve { Mode::Destructive } else { Mode::Off };
    let gate = Arc::new(Gate {
        consoles: Hub::with(hub_settings(config), Arc::clone(&consoles) as Arc<dyn Outside>),
        fleet: Fleet::new(servers).with_logins(logins.collect()),
        files: match &config.files_root {
            Some(roots) => Files::below(roots.clone()),
            // Who speaks to a daemon is not who may do so anyway.
            None if config.serve => Files::below(Vec::new()),
            None => Files::anywhere(),
        }
        .read_only(config.read_only)
        .with_web(web(config)),
        offer,
        audit: Audit::new(sink, config.audit_required),
        metrics: Arc::new(Metrics::new()),
        call_timeout: config.call_timeout,
        approval: approval(config, usual)?,
        cap: config.max_answer_bytes,
    });
    consoles.behind(&gate);
    Ok((gate, consoles))
}

fn hub_settings(config: &Config) -> hub::Settings {
    hub::Settings {
        ring_bytes: config.serial_ring_bytes,
        log_dir: config.serial_log_dir.clone(),
        sockets: config.serial_sockets.clone(),
        advertised: config.concentrator.advertised.clone(),
        mute: config.read_only,
    }
}

/// Which changes a person approves: what the configuration says, or else `usual`.
fn approval(config: &Config, usual: Mode) -> Result<Approval> {
    let mode = config.approval.as_deref().and_then(Mode::find).unwrap_or(usual);
    let key = config.approval_key.as_ref().map(|it| it.reveal().as_bytes());
    Approval::new(mode, config.approval_by_token, key)
}

/// How tools fetch from URLs: from anywhere unless hosts are listed, since who speaks to a process of
/// their own could do so anyway; in a daemon, from nowhere.
fn web(config: &Config) -> Web {
    Web {
        hosts: match &config.url_hosts {
            Some(list) => Hosts::listed(list),
            None if config.serve => Hosts::listed(&[]),
            None => Hosts::any(),
        },
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        proxy: config.proxy.clone(),
        no_proxy: config.no_proxy.join(","),
    }
}

/// Where the configuration wants audit lines.
pub fn sink(config: &Config) -> Sink {
    let sink = |it: &crate::config::Audit| match it {
        crate::config::Audit::Stderr => Sink::Stderr,
        crate::config::Audit::Journal => Sink::Journal(crate::audit::JOURNAL.into()),
        crate::config::Audit::File(path) => Sink::File(path.clone()),
    };
    Sink::Several(config.audit.iter().map(sink).collect())
}

/// How a server's own certificate is checked.
fn trust(it: &ServerConfig) -> crate::web::tls::Trust {
    match &it.trust {
        Trust::System => crate::web::tls::Trust::System,
        Trust::CaFile(path) => crate::web::tls::Trust::CaFile(path.clone()),
        Trust::Fingerprint(digest) => crate::web::tls::Trust::Fingerprint(*digest),
        Trust::Insecure => crate::web::tls::Trust::Insecure,
    }
}

fn server(it: &ServerConfig, config: &Config) -> Result<Server> {
    let during = |error: Error| error.during(format!("server `{}`", it.name));
    let endpoint = &it.endpoint;
    let no_proxy = config.no_proxy.join(",");
    let proxied = config.proxy.is_some() && !bypasses(&no_proxy, &endpoint.host, endpoint.port);
    let (connect_timeout, idle_timeout) = (config.connect_timeout, config.idle_timeout);
    let proxy = config.proxy.clone();
    let settings = move |host: String, port, tls, trust| Settings {
        host,
        port,
        tls,
        trust,
        connect_timeout,
        idle_timeout,
        proxy: proxy.as_ref().map(|it| it.reveal().to_owned()),
        no_proxy: no_proxy.clone(),
    };
    let trust = trust(it);
    let authorities = matches!(it.trust, Trust::CaFile(_)).then(|| trust.clone());
    let own = settings(endpoint.host.clone(), endpoint.port, endpoint.tls, trust);
    let client = Arc::new(Client::new(own).map_err(during)?);
    let account = Account {
        user: it.user.clone(),
        password: it.password.clone(),
        silence: config.idle_timeout,
        idle: IDLE_SESSION,
    };
    let session = Session::new(Wire::new(Box::new(client.clone())), account);
    let defaults = Defaults {
        datacenter: it.datacenter.clone(),
        cluster: it.cluster.clone(),
        datastore: it.datastore.clone(),
        network: it.network.clone(),
    };
    let address = Address {
        shown: endpoint.to_string(),
        host: endpoint.host.clone(),
        port: endpoint.port,
        proxied,
        kind: match it.family {
            Family::Esxi => "esxi",
            Family::Vcenter => "vcenter",
        },
    };
    let reach = move |it: &Elsewhere| -> Result<Box<dyn Exchange>> {
        // Where nobody vouches, authorities that were named for the server count for its hosts too;
        // that the server's own certificate is not looked at never does.
        let trust = match (&it.trust, &authorities) {
            (crate::web::tls::Trust::System, Some(authorities)) => authorities.clone(),
            (trust, _) => trust.clone(),
        };
        let settings = settings(it.host.clone(), it.port, true, trust);
        Ok(Box::new(Client::new(settings)?))
    };
    let seen = Box::new(move || client.seen());
    let host = Vsphere::new(session, defaults, address, seen, Box::new(reach));
    Ok(Server { name: it.name.clone(), host: Box::new(host) })
}

/// A simulated server in this process, reached on the way that a real one is.
#[cfg(feature = "demo")]
pub fn simulated(
    name: &str,
    kind: &'static str,
    service: Arc<dyn crate::sim::http::Service>,
    config: &Config,
) -> Server {
    let account = Account {
        user: "root".to_owned(),
        password: crate::text::secret::Secret::new("secret"),
        silence: config.idle_timeout,
        idle: IDLE_SESSION,
    };
    use crate::sim::http::Local;
    let session = Session::new(Wire::new(Box::new(Local(service.clone()))), account);
    let address = Address {
        shown: format!("{name} (simulated)"),
        host: name.to_owned(),
        port: 443,
        // Nothing listens under its name, so nobody may look that up.
        proxied: true,
        kind,
    };
    // A simulated vCenter plays its hosts too.
    let reach =
        move |_: &Elsewhere| -> Result<Box<dyn Exchange>> { Ok(Box::new(Local(service.clone()))) };
    let seen = Box::new(|| None);
    let host = Vsphere::new(session, Defaults::default(), address, seen, Box::new(reach))
        .with_lines_at("127.0.0.1");
    Server { name: name.to_owned(), host: Box::new(host) }
}

/// The operating system's name of who runs this process.
pub fn user() -> String {
    use std::os::unix::fs::MetadataExt;
    let id = std::fs::metadata("/proc/self").map(|it| it.uid()).ok();
    let passwd = std::fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let named = |id: u32| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
    };
    match id {
        Some(id) => named(id).unwrap_or_else(|| format!("uid {id}")),
        None => "unknown".to_owned(),
    }
}
