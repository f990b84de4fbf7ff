//! A simulated ESXi behind the gate, and a listener between that sees the disks which it sends.

use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::error::Result;
use jumpvisor::files::Files;
use jumpvisor::hv::call::Cancel;
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::sim::clock::Clock;
use jumpvisor::sim::http::Local;
use jumpvisor::sim::inventory::{Start, world};
use jumpvisor::sim::nfc::State;
use jumpvisor::sim::rules::Rules;
use jumpvisor::sim::service::Simulator;
use jumpvisor::text::json;
use jumpvisor::text::secret::Secret;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vim::version::Version;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Elsewhere, Vsphere};
use jumpvisor::web::exchange::{Exchange, Request, Response, Upload};

/// 2026-01-15T08:00:00Z
const NOW: i64 = 1_768_464_000_000;

/// Numbers folders of tests that run side by side.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes))
}

fn hex(digest: ring::digest::Digest) -> String {
    digest.as_ref().iter().map(|it| format!("{it:02x}")).collect()
}

pub fn json_text(text: &str) -> String {
    json::quote(text)
}

/// What was sent, in order: bytes and digest of each disk that came to its end.
#[derive(Clone, Default)]
struct Sent {
    whole: Arc<Mutex<Vec<(u64, String)>>>,
    /// The same of what came to the host.
    taken: Arc<Mutex<Vec<(u64, String)>>>,
    /// Whom a vCenter said to ask, and by what he is known.
    reached: Arc<Mutex<Vec<String>>>,
    /// Who is cancelled after so many bytes.
    cancel: Cancel,
    after: Arc<AtomicU64>,
}

struct Tap {
    inner: Local,
    sent: Sent,
    /// What is put in the place of what else in answers.
    swap: Option<(&'static str, &'static str)>,
}

/// An upload that is digested on its way.
struct Taken<'a> {
    body: &'a mut dyn Read,
    size: u64,
    digest: ring::digest::Context,
}

impl Read for Taken<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.body.read(into)?;
        self.size += got as u64;
        self.digest.update(&into[..got]);
        Ok(got)
    }
}

impl Exchange for Tap {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let digest = ring::digest::Context::new(&ring::digest::SHA256);
        let disk = request.path.contains("nfc/");
        if let Some(mut upload) = request.upload.as_ref().filter(|_| disk) {
            let length = upload.length;
            let mut taken = Taken { body: &mut upload, size: 0, digest };
            let mut own = Request::new(request.method, request.path.clone(), b"");
            own.headers.clone_from(&request.headers);
            let answer = self.inner.exchange(&own.sending(Upload::new(&mut taken, length)));
            self.sent.taken.lock().unwrap().push((taken.size, hex(taken.digest.finish())));
            return answer;
        }
        let mut response = self.inner.exchange(request)?;
        if let Some((old, new)) = self.swap.filter(|_| request.path == "/sdk") {
            let mut text = String::new();
            response.body.read_to_string(&mut text).unwrap();
            response.body = Box::new(io::Cursor::new(text.replace(old, new).into_bytes()));
        }
        if disk {
            let sent = self.sent.clone();
            let body = Heard { body: response.body, size: 0, digest: Some(digest), sent };
            response.body = Box::new(body);
        }
        Ok(response)
    }
}

struct Heard {
    body: Box<dyn Read + Send>,
    size: u64,
    digest: Option<ring::digest::Context>,
    sent: Sent,
}

impl Read for Heard {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.body.read(into)?;
        self.size += got as u64;
        if self.size >= self.sent.after.load(Ordering::SeqCst) {
            self.sent.cancel.cancel();
        }
        match (got, self.digest.take()) {
            (0, Some(digest)) => {
                self.sent.whole.lock().unwrap().push((self.size, hex(digest.finish())));
            }
            (_, Some(mut digest)) => {
                digest.update(&into[..got]);
                self.digest = Some(digest);
            }
            (_, None) => {}
        }
        Ok(got)
    }
}

/// One host, one folder.
pub struct Lab {
    gate: Gate,
    pub simulator: Arc<Simulator>,
    pub folder: PathBuf,
    sent: Sent,
}

impl Lab {
    /// A host on which these things go wrong.
    pub fn new(rules: &str) -> Lab {
        Lab::of(false, rules, None)
    }

    /// The same of a vCenter, or with answers that are changed on their way.
    pub fn of(vcenter: bool, rules: &str, swap: Option<(&'static str, &'static str)>) -> Lab {
        let version = Version::parse("8.0.3.0").unwrap();
        let start = Start { vcenter, machines: None, version, now: NOW };
        let rules = Rules::parse(rules).unwrap();
        let simulator = Simulator::new(world(&start).unwrap(), Clock::jumping(NOW), rules);
        let simulator = Arc::new(simulator);
        let sent = Sent::default();
        sent.after.store(u64::MAX, Ordering::SeqCst);
        let (inner, heard) = (simulator.clone(), sent.clone());
        let tap = move || Tap { inner: Local(inner.clone()), sent: heard.clone(), swap };
        let account = Account {
            user: "root".to_owned(),
            password: Secret::new("secret"),
            silence: Duration::from_secs(60),
            idle: Duration::from_secs(600),
        };
        let session = Session::new(Wire::new(Box::new(tap())), account);
        let reached = sent.reached.clone();
        let reach = move |it: &Elsewhere| -> Result<Box<dyn Exchange>> {
            reached.lock().unwrap().push(format!("{}:{} {:?}", it.host, it.port, it.trust));
            Ok(Box::new(tap()))
        };
        let address = Address {
            shown: "lab".to_owned(),
            host: "lab".to_owned(),
            port: 443,
            proxied: true,
            kind: "esxi",
        };
        let host =
            Vsphere::new(session, Defaults::default(), address, Box::new(|| None), Box::new(reach));
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = format!("export-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let gate = Gate {
            files: Files::anywhere(),
            fleet: Fleet::new(vec![Server { name: "lab".to_owned(), host: Box::new(host) }]),
            offer: Offer::everything(),
            audit: Audit::new(Sink::Nowhere, false),
            metrics: Arc::new(Metrics::new()),
            consoles: jumpvisor::serial::hub::Hub::default(),
            approval: jumpvisor::tools::approval::Approval::off(),
            call_timeout: Duration::from_secs(30),
            cap: 60_000,
        };
        Lab { gate, simulator, folder, sent }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Cancels the next export once a disk has sent so many bytes.
    pub fn cancel_after(&self, bytes: u64) {
        self.sent.after.store(bytes, Ordering::SeqCst);
    }

    /// Exports a machine; `more` are members of the arguments.
    pub fn export(&self, name: &str, more: &str) -> Result<String> {
        self.sent.whole.lock().unwrap().clear();
        let arguments = format!(r#"{{"vm_name":{},{more}}}"#, json_text(name));
        self.call("export_vm_ovf", &arguments, self.sent.cancel.clone())
    }

    /// Calls a tool that nobody cancels.
    pub fn ask(&self, tool: &str, arguments: &str) -> Result<String> {
        self.call(tool, arguments, Cancel::default())
    }

    fn call(&self, tool: &str, arguments: &str, cancel: Cancel) -> Result<String> {
        let Ok(json::Value::Object(arguments)) = json::parse(arguments) else {
            panic!("{arguments}");
        };
        let caller = Caller::local("test").cancelled_by(cancel);
        match self.gate.call(tool, arguments, caller) {
            Outcome::Answer(shown) => Ok(shown.text),
            Outcome::Asks { question, .. } => panic!("{question}"),
            Outcome::Failed { error, .. } | Outcome::Unknown(error) => Err(error),
        }
    }

    /// Bytes and digest of each disk that the host has sent whole.
    pub fn sent(&self) -> Vec<(u64, String)> {
        self.sent.whole.lock().unwrap().clone()
    }

    /// Bytes and digest of each disk that the host has taken.
    pub fn taken(&self) -> Vec<(u64, String)> {
        std::mem::take(&mut *self.sent.taken.lock().unwrap())
    }

    /// Whom a vCenter said to ask since the last time.
    pub fn reached(&self) -> Vec<String> {
        std::mem::take(&mut *self.sent.reached.lock().unwrap())
    }

    /// Every file below the folder, and every folder that holds none.
    pub fn files(&self) -> Vec<String> {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let before = found.len();
                if path.is_dir() {
                    walk(&path, root, found);
                }
                if found.len() == before {
                    found.push(path.strip_prefix(root).unwrap().display().to_string());
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.folder, &self.folder, &mut found);
        found.sort();
        found
    }

    pub fn snapshots(&self, name: &str) -> String {
        let arguments = format!(r#"{{"name":{}}}"#, json_text(name));
        self.call("list_snapshots", &arguments, Cancel::default()).unwrap()
    }

    /// Leases that have not ended; one that timed out can still be asked why.
    fn leases(&self) -> usize {
        let world = self.simulator.world();
        world.nfc.leases.values().filter(|it| !matches!(it.state, State::Error(_))).count()
    }

    /// No lease and no snapshot of ours is left; what was begun has a moment to end.
    pub fn must_be_untouched(&self, name: &str) {
        for _ in 0..200 {
            if self.leases() == 0 && !self.snapshots(name).contains("jumpvisor-export") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let leases = self.leases();
        panic!("{name}: {leases} leases, snapshots: {}", self.snapshots(name));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
