//! Configuration: flags, environment, credentials and one env file become one checked [`Config`].
//!
//! It reads; it never writes, connects or logs, and other layers see only what is here. All
//! mistakes are told at once. Surprising: a value that a stronger source overrides is checked too.

pub mod concentrator;
pub mod daemon;
pub mod endpoint;
mod envfile;
mod environment;
mod guests;
mod key_file;
mod names;
pub mod options;
mod problem;
mod servers;
mod sources;
#[cfg(test)]
mod tests;
mod value;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use crate::text::order;
use crate::text::secret::Secret;

pub use crate::config::concentrator::Concentrator;
pub use crate::config::endpoint::Endpoint;
pub use crate::config::environment::Environment;
pub use crate::config::guests::GuestLogin;
pub use crate::config::problem::{Problem, refusal};
pub use crate::config::servers::{Family, ServerConfig, Trust};

use crate::config::names::Way;
use crate::config::options::{OPTIONS, Opt};
use crate::config::problem::Problems;
use crate::config::sources::{Entry, Settings};
use crate::config::values::Values;

/// What the command line says about configuration.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config FILE`: the env file; `.env` and `/etc/jumpvisor/env` are then not looked at.
    pub config: Option<PathBuf>,
    /// Options set by a flag, by their name in [`OPTIONS`] (`READ_ONLY`, not `--read-only`).
    pub set: Vec<(&'static str, String)>,
    /// True for `serve`, which never reads `.env` in the working directory.
    pub serve: bool,
    /// What is wrong with a TOOLSETS, if anything; who knows the tools says so.
    pub wrong_toolsets: Option<fn(&str) -> Option<String>>,
}

/// Where audit lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audit {
    /// Standard error.
    Stderr,
    /// The journal of systemd.
    Journal,
    /// Appended to this file.
    File(PathBuf),
}

/// One setting as `jumpvisor check` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `ESXI_PASS_1`; never an alias.
    pub name: String,
    /// The value; `***` for secrets, and a proxy without its user and password.
    pub value_shown: String,
    /// `flag --read-only`, `environment`, `.env line 3`, `credential esxi_pass`, `default`.
    pub from: String,
}

/// A whole configuration without mistakes.
#[derive(Clone, Debug)]
pub struct Config {
    /// The servers, the default first; may be empty.
    pub servers: Vec<ServerConfig>,
    /// Named credentials for guests.
    pub guest_logins: Vec<GuestLogin>,
    /// Folders of this machine that tools may use; none means wherever our user may.
    pub files_root: Option<Vec<PathBuf>>,
    /// Hosts that tools may fetch from, as written; none where it is not set.
    pub url_hosts: Option<Vec<String>>,
    /// TOOLSETS as written; none means the default set.
    pub toolsets: Option<String>,
    /// Only tools that change nothing.
    pub read_only: bool,
    /// No tools that can lose data or stop a service.
    pub no_destructive: bool,
    /// APPROVAL as written: off, destructive or all; none where nobody has set it.
    pub approval: Option<String>,
    /// Who cannot be asked for approval gets a token; by default.
    pub approval_by_token: bool,
    /// The key of approval tokens, in hex.
    pub approval_key: Option<Secret>,
    /// Where audit lines go, all of these; standard error by default.
    pub audit: Vec<Audit>,
    /// Refuse changes when the audit log cannot be written.
    pub audit_required: bool,
    /// How much is logged; Info by default.
    pub log_level: log::LevelFilter,
    /// The log's lines are JSON objects.
    pub log_json: bool,
    /// Calls that run at once, 1 to 256; 16 by default.
    pub max_concurrent_calls: usize,
    /// Longest wait for a connection; 10 s by default.
    pub connect_timeout: Duration,
    /// Longest silence of a peer; 60 s by default.
    pub idle_timeout: Duration,
    /// Longest call that is no task and no transfer; 300 s by default.
    pub call_timeout: Duration,
    /// Cap of one answer in bytes; 60,000 by default.
    pub max_answer_bytes: usize,
    /// `http://[user:password@]name:port`, perhaps without the scheme.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, as written.
    pub no_proxy: Vec<String>,
    /// True for the daemon.
    pub serve: bool,
    /// What the daemon would refuse, and all others need not mind.
    pub amiss: Vec<Problem>,
    /// Where machines dial in.
    pub concentrator: Concentrator,
    /// Folder of a Unix socket for each serial console.
    pub serial_sockets: Option<PathBuf>,
    /// Folder of the serial consoles' logs.
    pub serial_log_dir: Option<PathBuf>,
    /// Bytes that are kept of each serial console; 256 KiB by default.
    pub serial_ring_bytes: usize,
    /// `MCP_TRANSPORT` wants HTTP where no command is given.
    pub over_http: bool,
    /// What `serve` alone obeys.
    pub daemon: daemon::Daemon,
    /// Everything that was set, then the defaults of what was not, in the order of [`OPTIONS`].
    pub found: Vec<Found>,
    /// What was skipped, and why: a `.env` that others may write, for instance.
    pub notes: Vec<Problem>,
}

/// Reads the whole configuration, or tells everything that is wrong with it ([`refusal`] makes
/// an error of that).
pub fn load(flags: &Flags, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut notes = Vec::new();
    let settings = sources::gather(flags, environment, &mut problems, &mut notes);
    check_values(&settings, flags, &mut problems);
    let servers = servers::servers(&settings, environment, &mut problems);
    let guest_logins = guests::logins(&settings, environment, &mut problems);
    let values = Values(&settings);
    let concentrator = concentrator::read(&values, &mut problems);
    let mut amiss = Problems::default();
    daemon::check(&settings, &values, &mut amiss);
    let mut amiss = amiss.into_vec();
    if flags.serve {
        amiss.drain(..).for_each(|it| problems.add(it));
    }
    let approval_key = key_file::read(&settings, environment, &mut problems);
    let problems = problems.into_vec();
    if !problems.is_empty() {
        return Err(problems);
    }
    let found = found(&settings, &servers.used);
    Ok(Config {
        serve: flags.serve,
        amiss,
        concentrator,
        servers: servers.all,
        guest_logins,
        files_root: values.text("FILES_ROOT").map(|it| value::folders(&it).collect()),
        url_hosts: values.text("URL_HOSTS").map(|it| value::list(&it)),
        toolsets: values.text("TOOLSETS"),
        read_only: values.flag("READ_ONLY"),
        no_destructive: values.flag("NO_DESTRUCTIVE"),
        approval: settings.winner("APPROVAL").and_then(|_| values.text("APPROVAL")),
        approval_by_token: values.text("APPROVAL_FALLBACK").as_deref() != Some("deny"),
        approval_key,
        audit: values.audit(),
        audit_required: values.flag("AUDIT_REQUIRED"),
        log_level: values.log_level(),
        log_json: values.text("LOG_FORMAT").as_deref() == Some("json"),
        max_concurrent_calls: values.count("MAX_CONCURRENT_CALLS"),
        connect_timeout: values.time("CONNECT_TIMEOUT"),
        idle_timeout: values.time("IDLE_TIMEOUT"),
        call_timeout: values.time("CALL_TIMEOUT"),
        max_answer_bytes: values.count("MAX_ANSWER_BYTES"),
        proxy: values.hidden("HTTPS_PROXY"),
        no_proxy: value::list(&values.text("NO_PROXY").unwrap_or_default()),
        serial_sockets: values.text("SERIAL_SOCKETS").map(PathBuf::from),
        serial_log_dir: values.text("SERIAL_LOG_DIR").map(PathBuf::from),
        serial_ring_bytes: values.count("SERIAL_RING_KB") << 10,
        over_http: values.text("MCP_TRANSPORT").is_some_and(|it| it != "stdio"),
        daemon: daemon::daemon(&values),
        found,
        notes,
    })
}

/// Checks every value that was set, also those that a stronger source overrides.
fn check_values(settings: &Settings, flags: &Flags, problems: &mut Problems) {
    for entry in settings.all().filter(|entry| is_value(entry)) {
        let (option, raw) = (entry.named.option, entry.value.reveal());
        if let Err(fault) = value::check(option.kind, raw) {
            problems.add(settings.problem(entry, fault));
        }
        let wrong = flags.wrong_toolsets.filter(|_| option.name == "TOOLSETS");
        if let Some(fault) = wrong.and_then(|wrong| wrong(raw)) {
            problems.add(settings.problem(entry, fault));
        }
    }
}

/// True if the entry holds its value, and not the path of a file with it.
fn is_value(entry: &Entry) -> bool {
    matches!(entry.named.way, Way::Value | Way::Credential)
}

/// What was set, in the order of the table, and the defaults of what was not.
fn found(settings: &Settings, servers: &[&Entry]) -> Vec<Found> {
    let mut all = Vec::new();
    for option in OPTIONS {
        let mut set: Vec<&Entry> = if names::is_server(option.name) {
            servers.iter().filter(|entry| entry.named.option.name == option.name).copied().collect()
        } else {
            let all = settings.all().filter(|entry| entry.named.option.name == option.name);
            all.filter(|entry| {
                let winner = settings.winner(&entry.named.canonical);
                winner.is_some_and(|it| std::ptr::eq(it, *entry))
            })
            .collect()
        };
        set = order::by_number(set, &|entry| i64::from(entry.named.number));
        all.extend(set.iter().map(|entry| shown(settings, entry)));
        if set.is_empty() && !names::is_server(option.name) {
            all.extend(option.default.map(|default| default_of(option, default)));
        }
    }
    all
}

fn shown(settings: &Settings, entry: &Entry) -> Found {
    Found {
        name: entry.named.canonical.clone(),
        value_shown: value::shown(entry.named.option.kind, entry.value.reveal()),
        from: settings.origin(entry),
    }
}

fn default_of(option: &Opt, default: &str) -> Found {
    let (name, value_shown) = (option.name.to_owned(), default.to_owned());
    Found { name, value_shown, from: "default".to_owned() }
}
