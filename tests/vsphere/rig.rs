//! What the tests put around the peer: a session, a host, a gate, or the real binary.

use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::Error;
use jumpvisor::hv::call::{Call, Cancel, Rights};
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::text::json;
use jumpvisor::text::json::Object;
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Vsphere};
use jumpvisor::web::exchange::Exchange;

use crate::scripted::{PATIENCE, Peer};

pub const PASSWORD: &str = "p<&>\"w";

/// A host on this exchange, whose session is ended after `idle`.
pub fn host_on(exchange: impl Exchange + 'static, idle: Duration) -> Vsphere {
    host_with(exchange, idle, PASSWORD)
}

/// The same with another password.
pub fn host_with(exchange: impl Exchange + 'static, idle: Duration, password: &str) -> Vsphere {
    let account = Account {
        user: "root".into(),
        password: Secret::new(password),
        silence: Duration::from_secs(60),
        idle,
    };
    let session = Session::new(Wire::new(Box::new(exchange)), account);
    let address = Address {
        shown: "peer".into(),
        host: "localhost".into(),
        port: 443,
        proxied: true,
        kind: "esxi",
    };
    Vsphere::new(
        session,
        Defaults::default(),
        address,
        Box::new(|| None),
        jumpvisor::vsphere::nowhere(),
    )
}

/// A host that answers from memory.
pub fn host(peer: &Peer) -> Vsphere {
    host_on(peer.clone(), Duration::from_secs(600))
}

/// The gate of a process with this one host.
pub fn gate(peer: &Peer) -> Arc<Gate> {
    gate_of(vec![host(peer)])
}

/// The gate of a process with these hosts, called `esx0` and so on.
pub fn gate_of(hosts: Vec<Vsphere>) -> Arc<Gate> {
    let server = |(at, host)| Server { name: format!("esx{at}"), host: Box::new(host) };
    Arc::new(Gate {
        files: jumpvisor::files::Files::anywhere(),
        fleet: Fleet::new(hosts.into_iter().enumerate().map(server).collect()),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: jumpvisor::serial::hub::Hub::default(),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(60),
        cap: 60_000,
    })
}

pub fn reading() -> Call {
    Call::new(Rights::ReadOnly)
}

pub fn changing() -> Call {
    Call::new(Rights::Change)
}

/// `key=value` words as arguments; a value with commas is a list.
pub fn arguments(words: &[&str]) -> Object {
    let pair = |word: &&str| {
        let (key, value) = word.split_once('=').unwrap();
        let value = match value.contains(',') {
            true => json::texts(&value.split(',').collect::<Vec<_>>()),
            false => json::text(value),
        };
        (key.to_owned(), value)
    };
    words.iter().map(pair).collect()
}

/// What a caller gets.
#[derive(Debug)]
pub struct Told {
    pub text: String,
    /// The structured content as JSON.
    pub data: String,
    pub some_failed: bool,
}

/// Calls a tool.
pub fn tool(gate: &Gate, name: &str, words: &[&str]) -> Result<Told, Error> {
    tool_by(gate, name, words, Cancel::default())
}

/// Calls a tool that can be cancelled.
pub fn tool_by(gate: &Gate, name: &str, words: &[&str], cancel: Cancel) -> Result<Told, Error> {
    let caller = Caller::local("tester").cancelled_by(cancel);
    match gate.call(name, arguments(words), caller) {
        Outcome::Answer(it) => {
            let data = json::write_object(&it.data);
            Ok(Told { text: it.text, data, some_failed: it.some_failed })
        }
        Outcome::Asks { question, .. } => panic!("{question}"),
        Outcome::Failed { error, .. } | Outcome::Unknown(error) => Err(error),
    }
}

/// The binary with a clean environment and the peer as its server.
pub fn binary(address: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jumpvisor"));
    command
        .args(args)
        .env_clear()
        .envs([("ESXI_HOST", address), ("ESXI_USER", "root"), ("ESXI_PASS", PASSWORD)])
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary against a port of this machine; exit status, standard output and error.
pub fn run(port: u16, args: &[&str]) -> (i32, String, String) {
    told(binary(&format!("http://127.0.0.1:{port}"), args).output().unwrap())
}

pub fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Sends a signal to a child.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits for a child to end by itself.
#[track_caller]
pub fn ended(mut child: Child) -> (i32, String, String) {
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("the program did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    told(child.wait_with_output().unwrap())
}

/// Asserts that a text has all of these parts.
#[track_caller]
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}
