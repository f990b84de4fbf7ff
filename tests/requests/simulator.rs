//! The public simulator as a process, a server of ours connected to it, and the ear in between.
//!
//! The simulator is govmomi's; `tests/peers/install` puts it where this looks. Surprising: the ear
//! lets the server claim any version, which the simulator itself cannot.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::Result;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim::http::Local;
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::Gate;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Elsewhere, Vsphere};
use jumpvisor::web::client::{Client, Settings};
use jumpvisor::web::exchange::{Exchange, Request, Response};
use jumpvisor::web::tls::Trust;

const PASSWORD: &str = "se<cr&et>'1\"";

/// A simulated server; it ends when this is dropped.
pub struct Simulator {
    child: Child,
    port: u16,
}

impl Simulator {
    /// `model` is esx or vpx.
    pub fn start(model: &str) -> Simulator {
        let program = folder().join("vcsim");
        assert!(
            program.is_file(),
            "{} is missing: run tests/peers/install, or say where it is with JUMPVISOR_PEERS",
            program.display()
        );
        let mut child = Command::new(&program)
            .args(["-until-eof", "-no-tls", "-model", model, "-guests", "2"])
            .args(["-user", "root", "-password", PASSWORD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().trim_end_matches("/sdk").rsplit(':').next().unwrap().parse();
        Simulator { child, port: port.unwrap_or_else(|_| panic!("the simulator said `{line}`")) }
    }

    /// The gate to it, through an ear; the server claims to be of this version.
    pub fn gate(&self, claimed: &'static str) -> (Gate, Arc<Ear>) {
        let settings = Settings {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            tls: false,
            trust: Trust::System,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            proxy: None,
            no_proxy: String::new(),
        };
        gate(Box::new(Client::new(settings).unwrap()), PLAYED, PASSWORD, claimed)
    }
}

/// The simulated server of the program itself, as an ESXi host or a vCenter of this version, with
/// the machines of the demo or so many plain ones.
pub fn own(vcenter: bool, version: &'static str, machines: Option<u32>) -> (Gate, Arc<Ear>) {
    let settings = jumpvisor::sim::Settings {
        vcenter,
        machines,
        version: Some(version.to_owned()),
        clock: Some("2026-01-15T08:00:00Z".to_owned()),
        ..jumpvisor::sim::Settings::default()
    };
    let service = jumpvisor::sim::open(settings).unwrap();
    gate(Box::new(Local(service)), &[], "secret", version)
}

fn gate(
    behind: Box<dyn Exchange>,
    played: &'static [&'static str],
    password: &str,
    claimed: &'static str,
) -> (Gate, Arc<Ear>) {
    let ear = Arc::new(Ear {
        behind,
        played,
        claimed,
        heard: Mutex::default(),
        asking: AtomicBool::new(false),
    });
    let account = Account {
        user: "root".to_owned(),
        password: Secret::new(password),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(600),
    };
    let session = Session::new(Wire::new(Box::new(ear.clone())), account);
    let address = Address {
        shown: "simulator".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: 443,
        proxied: true,
        kind: "esxi",
    };
    // The simulated vCenter plays its hosts too.
    let elsewhere = ear.clone();
    let reach =
        move |_: &Elsewhere| -> Result<Box<dyn Exchange>> { Ok(Box::new(elsewhere.clone())) };
    let host =
        Vsphere::new(session, Defaults::default(), address, Box::new(|| None), Box::new(reach))
            .with_lines_at("127.0.0.1");
    let server = Server { name: "sim".to_owned(), host: Box::new(host) };
    let gate = Gate {
        files: jumpvisor::files::Files::anywhere(),
        fleet: Fleet::new(vec![server]),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: jumpvisor::serial::hub::Hub::default(),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(60),
        cap: 60_000,
    };
    (gate, ear)
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let mut rest = Vec::new();
        if let Some(out) = self.child.stdout.as_mut() {
            let _ = out.read_to_end(&mut rest);
        }
        let _ = self.child.wait();
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("JUMPVISOR_PEERS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peers/.build"),
    }
}

/// Methods without a result that the public simulator does not know; the ear answers them.
const PLAYED: &[&str] = &["AnswerVM", "RebootGuest", "RenameSnapshot", "StandbyGuest"];

/// What machines ask when they are told to.
const QUESTION: &str = "<propSet><name>runtime.question</name>\
    <val xsi:type=\"VirtualMachineQuestionInfo\"><id>7</id><text>Moved or copied?</text><choice>\
    <choiceInfo><label>I moved it</label><summary/><key>1</key></choiceInfo>\
    <choiceInfo><label>I copied it</label><summary/><key>2</key></choiceInfo>\
    </choice></val></propSet>";

/// One request: of SOAP with its body, of REST its path alone.
pub struct Heard {
    pub action: String,
    pub body: String,
}

/// Hears every request and lets the server claim a version.
pub struct Ear {
    behind: Box<dyn Exchange>,
    /// Methods that the server does not know.
    played: &'static [&'static str],
    claimed: &'static str,
    heard: Mutex<Vec<Heard>>,
    asking: AtomicBool,
}

impl Ear {
    /// What was heard since the last time.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    /// Whether machines have a question from now on.
    pub fn ask(&self, asking: bool) {
        self.asking.store(asking, Ordering::SeqCst);
    }
}

impl Exchange for Ear {
    fn exchange(&self, request: &Request) -> Result<Response> {
        if request.path == "/sdk/vimServiceVersions.xml" {
            let answer = format!(
                "<namespaces><namespace><name>urn:vim25</name><version>{}</version>\
                 </namespace></namespaces>",
                self.claimed
            );
            return Ok(answered(answer));
        }
        if request.path != "/sdk" {
            let (action, body) = (request.path.clone(), String::new());
            self.heard.lock().unwrap().push(Heard { action, body });
        } else if request.method == "POST" {
            let action = request.headers.iter().find(|(name, _)| *name == "SOAPAction");
            let action = action.map(|(_, value)| value.clone()).unwrap_or_default();
            let body = String::from_utf8(request.body.to_vec()).unwrap();
            let played = self.played.iter().find(|it| body.contains(&format!("<{it} ")));
            let questions = body.contains("runtime.question") && !body.contains("<CreateFilter");
            self.heard.lock().unwrap().push(Heard { action, body });
            if let Some(method) = played {
                return Ok(answered(format!(
                    "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body>\
                     <{method}Response xmlns=\"urn:vim25\"/></s:Body></s:Envelope>"
                )));
            }
            if questions && self.asking.load(Ordering::SeqCst) {
                let mut answer = String::new();
                let mut response = self.behind.exchange(request)?;
                response.body.read_to_string(&mut answer).unwrap();
                return Ok(answered(answer.replace("</obj>", &format!("</obj>{QUESTION}"))));
            }
        }
        self.behind.exchange(request)
    }

    fn shutdown(&self) {
        self.behind.shutdown();
    }
}

fn answered(text: String) -> Response {
    Response::new(200, Vec::new(), Box::new(std::io::Cursor::new(text.into_bytes())))
}
