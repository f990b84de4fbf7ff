//! A gate to two simulated servers, `esx` and `vc`, whose audit log can be read.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::auth::policy::{Claimant, Policy};
use jumpvisor::auth::principal::{How, Principal};
use jumpvisor::error::Error;
use jumpvisor::files::Files;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim;
use jumpvisor::sim::http::Local;
use jumpvisor::text::json::{self, Object, Value};
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::approval::Approval;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Vsphere};

/// The gate and its log.
pub struct Lab {
    pub gate: Arc<Gate>,
    log: PathBuf,
}

fn server(name: &str, vcenter: bool) -> Server {
    let settings = sim::Settings {
        vcenter,
        clock: Some("2026-01-15T08:00:00Z".to_owned()),
        ..sim::Settings::default()
    };
    let account = Account {
        user: "root".to_owned(),
        password: Secret::new("secret"),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(600),
    };
    let session = Session::new(Wire::new(Box::new(Local(sim::open(settings).unwrap()))), account);
    let address = Address {
        shown: "memory".to_owned(),
        host: "memory".to_owned(),
        port: 443,
        proxied: true,
        kind: if vcenter { "vcenter" } else { "esxi" },
    };
    let nowhere = jumpvisor::vsphere::nowhere();
    let host = Vsphere::new(session, Defaults::default(), address, Box::new(|| None), nowhere);
    Server { name: name.to_owned(), host: Box::new(host) }
}

impl Lab {
    /// With all tools, and this much of approval.
    pub fn new(approval: Approval) -> Lab {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("audit-{}-{count}", std::process::id());
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_file(&log);
        let gate = Gate {
            fleet: Fleet::new(vec![server("esx", false), server("vc", true)]),
            files: Files::anywhere(),
            offer: Offer::everything(),
            audit: Audit::new(Sink::File(log.clone()), false),
            metrics: Arc::new(Metrics::new()),
            consoles: jumpvisor::serial::hub::Hub::default(),
            approval,
            call_timeout: Duration::from_secs(30),
            cap: 60_000,
        };
        Lab { gate: Arc::new(gate), log }
    }

    /// A call's answer, or what it asks, or why it failed.
    pub fn call(&self, caller: &Caller, tool: &str, args: &str) -> Got {
        match self.gate.call(tool, object(args), caller.clone()) {
            Outcome::Answer(it) => Got::Answer(it.text, it.data),
            Outcome::Asks { question, state } => Got::Asks(question, state),
            Outcome::Failed { error, .. } => Got::Failed(error),
            Outcome::Unknown(error) => Got::Refused(error),
        }
    }

    /// The lines of the audit log since the last look.
    pub fn audited(&self) -> Vec<Object> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        // Emptied, and appended to by who has it open.
        std::fs::write(&self.log, "").unwrap();
        text.lines().map(object).collect()
    }

    /// The event and the result of each line since the last look.
    pub fn events(&self) -> Vec<String> {
        let word = |it: &Object, name| json::get_text(it, name).unwrap_or("-").to_owned();
        let line = |it: &Object| format!("{} {}", word(it, "event"), word(it, "result"));
        self.audited().iter().map(line).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.log);
    }
}

/// How a call went.
#[derive(Debug)]
pub enum Got {
    Answer(String, Object),
    Asks(String, String),
    Failed(Error),
    Refused(Error),
}

impl Got {
    /// The text of a good answer.
    pub fn text(self) -> String {
        match self {
            Got::Answer(text, _) => text,
            other => panic!("{other:?}"),
        }
    }

    /// The approval token of a plan.
    pub fn token(self) -> String {
        match self {
            Got::Answer(_, data) => json::get_text(&data, "approval_token").unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    /// The state that a question came with.
    pub fn state(self) -> String {
        match self {
            Got::Asks(_, state) => state,
            other => panic!("{other:?}"),
        }
    }

    /// Why it failed.
    pub fn error(self) -> Error {
        match self {
            Got::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// JSON text as an object.
pub fn object(text: &str) -> Object {
    match json::parse(text) {
        Ok(Value::Object(it)) => it,
        _ => panic!("{text}"),
    }
}

/// Somebody with these rights, such as `lab=vm@esx`, all of whose groups they are in.
pub fn somebody(name: &str, rights: &[&str]) -> Principal {
    let groups: Vec<String> =
        rights.iter().filter_map(|it| Some(it.split_once('=')?.0.to_owned())).collect();
    let policy = Policy::parse(rights.iter().copied()).unwrap();
    let who = Claimant { name, id: name, groups: &groups, how: How::Oauth, expires: None };
    policy.admit(&who).unwrap()
}
