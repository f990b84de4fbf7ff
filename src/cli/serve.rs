//! What runs until it is told to end: MCP on standard input and output, and the daemon.

use std::io::BufReader;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argh::FromArgs;

use crate::app::daemon;
use crate::app::daemon::Daemon;
use crate::app::signals;
use crate::audit::Sink;
use crate::config::Config;
use crate::error::Result;
use crate::hv::fleet::Server;
use crate::mcp::stdio::{Settings, Stdio};
use crate::threads::{Words, begin};
use crate::tools::offer::Offer;
use crate::tools::run::Gate;

/// What is left of the two seconds that a client waits between SIGTERM and SIGKILL.
const HURRY: Duration = Duration::from_millis(1_500);

/// A supervisor has more patience.
const PATIENCE: Duration = Duration::from_secs(5);

/// Run as a service: MCP over HTTP, serial consoles for people, and a concentrator for machines.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "serve",
    note = "Settings come from the environment and from /etc/jumpvisor/env or --config, never from .env here:\n  MCP_HOST, MCP_PORT              where HTTP is served: 127.0.0.1 and 8080, unix:/path, or none\n  MCP_TLS_CERT, MCP_TLS_KEY       to serve TLS\n  API_KEYS_FILE                   who may come in; jumpvisor key makes a line\n  OAUTH_ENABLED, OAUTH_ISSUER_URL, OAUTH_BASE_URL  sign-in by tokens\n  RBAC_GROUPS                     what which group may do\n  APPROVAL, AUDIT_LOG, METRICS    asking before changes, the trail, /metrics\n  SERIAL_SOCKETS    a folder: a Unix socket for each console, for socat and jumpvisor console\n  SERIAL_LOG_DIR    a folder: what each console says, at most 2 files of 10 MB; what a machine echoes is in there\n  SERIAL_LISTEN     where machines dial in (a concentrator), such as 0.0.0.0:13370\n  SERIAL_ADVERTISE  the same as hosts reach it; setup_serial_port via=concentrator writes it\n  SERIAL_TLS_CERT, SERIAL_TLS_KEY  make machines dial in over TLS\nWith a folder, the consoles of all serial ports of the network are open while nobody looks; a host's port takes one who dials, so other processes with the same SERIAL_SOCKETS attach there.\nTERM or INT ends it; HUP reads certificates and keys again and opens the audit log anew."
)]
#[derive(Default)]
pub struct ServeCommand {
    /// listen beyond this machine though whoever reaches it may then do anything
    #[argh(switch)]
    without_sign_in: bool,
}

/// Serves as a daemon; the exit status.
pub fn daemon(
    command: &ServeCommand,
    config: &Config,
    servers: Vec<Server>,
    offer: Offer,
    sink: Sink,
) -> Result<u8> {
    let inherited = daemon::inherited()?;
    let stopped = Words::default();
    let stop = stopped.clone();
    let running: Arc<OnceLock<Daemon>> = Arc::default();
    let theirs = Arc::clone(&running);
    let reload = move || {
        if let Some(daemon) = theirs.get() {
            daemon.reload();
        }
    };
    signals::on_signals(Some(Box::new(reload)), Box::new(move |_| stop.say(())))?;
    let started = Daemon::start(config, servers, offer, sink, inherited, command.without_sign_in)?;
    let daemon = running.get_or_init(|| started);
    stopped.next(None);
    end_within(daemon.end(), PATIENCE);
    Ok(0)
}

/// Serves; the exit status. Sessions are ended whichever way it ends.
pub fn stdio(gate: Arc<Gate>, config: &Config) -> Result<u8> {
    let settings = Settings {
        user: crate::app::user(),
        threads: config.max_concurrent_calls,
        ..Settings::default()
    };
    let server = Stdio::new(gate.clone(), settings, std::io::stdout());
    let stopper = server.stopper();
    signals::on_signal(move |_| stopper.stop())?;
    server.serve(BufReader::new(std::io::stdin()));
    end_sessions(gate);
    Ok(0)
}

/// Logs out of every server, but never hangs the exit over a dead one.
pub fn end_sessions(gate: Arc<Gate>) {
    end_within(gate, HURRY);
}

fn end_within(gate: Arc<Gate>, patience: Duration) {
    let ended = Words::default();
    let done = ended.clone();
    let work = move || {
        gate.consoles.close();
        gate.fleet.close();
        done.say(());
    };
    if begin("sessions", Box::new(work)).is_ok() {
        ended.next(Some(patience));
    }
}
