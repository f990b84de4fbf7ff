//! What hostile bytes are fed to: one function a parser, for `tests/hostile` and `tests/fuzz`.
//!
//! Each may find the bytes good or bad, but must come back, and what it takes for good must hold
//! together. A panic is the only failure.

use std::ffi::OsString;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jumpvisor::audit::{Audit, Sink};
use jumpvisor::config::{Environment, Flags, load};
use jumpvisor::error::{Kind, Result};
use jumpvisor::hv::call::{Call, Rights};
use jumpvisor::hv::fleet::{Fleet, Server};
use jumpvisor::metrics::Metrics;
use jumpvisor::text::json::{self, Value};
use jumpvisor::text::percent;
use jumpvisor::text::secret::Secret;
use jumpvisor::text::split::Splitter;
use jumpvisor::text::xml;
use jumpvisor::tools::args::Args;
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::resources::{self, RESOURCES};
use jumpvisor::tools::run::{Caller, Gate, Outcome};
use jumpvisor::vim::from_json;
use jumpvisor::vim::table::{Method, Type};
use jumpvisor::vim::to_json::Writer;
use jumpvisor::vim::value::{Object, Ref};
use jumpvisor::vim::version::Version;
use jumpvisor::vsphere::session::{Account, Session};
use jumpvisor::vsphere::wire::Wire;
use jumpvisor::vsphere::{Address, Defaults, Vsphere, decode, encode, open};
use jumpvisor::web::codec::body::Decoder;
use jumpvisor::web::codec::head::{Head, Parser};
use jumpvisor::web::codec::range::{Range, range};
use jumpvisor::web::codec::{Limits, Refused, reply};
use jumpvisor::web::exchange::{Exchange, Request, Response};

/// Methods whose answers are tried, beside the one that a document names.
const ANSWERED: &[(&str, &str)] = &[
    ("ServiceInstance", "RetrieveServiceContent"),
    ("PropertyCollector", "RetrievePropertiesEx"),
    ("PropertyCollector", "WaitForUpdatesEx"),
    ("SessionManager", "Login"),
    ("ManagedObject", "Fetch"),
    ("PerformanceManager", "QueryPerf"),
];

/// An answer to one of our calls, or its fault.
pub fn soap_answer(bytes: &[u8]) {
    for (owner, name) in ANSWERED {
        let Some(method) = Method::find(owner, name) else { continue };
        let response = format!("{name}Response");
        let named = bytes.windows(response.len()).any(|it| it == response.as_bytes());
        let fault = bytes.windows(5).any(|it| it == b"Fault") && *name == "Login";
        if named || fault {
            let _ = open::read_answer(method, bytes.to_vec(), true);
        }
    }
}

/// A request read by the schema and written again: what we accept we can send, or say why not.
pub fn soap_request(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(document) = xml::parse(text) else { return };
    let Ok(call) = decode::body(&document) else { return };
    let Some(this) = xml::child(call, "_this") else { return };
    let kind = this.attribute("type").unwrap_or_default().to_owned();
    let Some(method) = Method::find(&kind, call.tag_name().name()) else { return };
    let mut args = Object::args();
    for param in method.params() {
        let found = xml::elements(call).filter(|it| it.tag_name().name() == param.name);
        let Ok(mut values) =
            found.map(|it| decode::element(it, param.ty)).collect::<Result<Vec<_>>>()
        else {
            return;
        };
        if param.array {
            args.set(param.name, values);
        } else if let Some(value) = values.pop() {
            args.set(param.name, value);
        }
    }
    for version in [Version::oldest_served(), Version::newest()] {
        let this = Ref::new(kind.clone(), xml::text_of(this));
        if let Ok(body) = encode::call(method, &this, &args, version) {
            let envelope = encode::envelope(&body);
            let again = xml::parse(&envelope);
            assert!(again.is_ok(), "what we would send is not XML: {:?}", again.err());
        }
    }
}

/// Methods whose arguments are tried.
const TAKING: &[(&str, &str)] = &[
    ("VirtualMachine", "ReconfigVM_Task"),
    ("VirtualMachine", "CloneVM_Task"),
    ("AlarmManager", "CreateAlarm"),
    ("OptionManager", "UpdateOptions"),
    ("GuestProcessManager", "StartProgramInGuest"),
    ("PropertyCollector", "CreateFilter"),
];

/// Arguments of any method: what is taken can be sent, and shown again as JSON.
pub fn api_arguments(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Value::Object(given)) = json::parse(text) else { return };
    for (owner, name) in TAKING {
        let Some(method) = Method::find(owner, name) else { continue };
        let Ok(args) = from_json::arguments(method, &given) else { continue };
        for version in [Version::oldest_served(), Version::newest()] {
            if let Ok(body) = encode::call(method, &Ref::new(*owner, "x"), &args, version) {
                let envelope = encode::envelope(&body);
                let again = xml::parse(&envelope);
                assert!(again.is_ok(), "what we would send is not XML: {:?}", again.err());
            }
        }
        for all in [true, false] {
            let shown = json::write(&Writer::new(all).write(&args.clone().into()));
            assert!(json::parse(&shown).is_ok() || shown.len() > 1_000, "{shown}");
        }
    }
    let query: String = text.chars().take(300).collect();
    let _ = jumpvisor::vim::search::find(&query);
    let managed = Type::find("VirtualMachine");
    let _ = managed.map(|it| jumpvisor::vim::table::property_path(it, text));
}

/// Answers cut into objects while they arrive: pieces of any size give the same.
pub fn split(bytes: &[u8]) {
    let Some(content) = Type::find("ObjectContent") else { return };
    let run = |size: usize| {
        let mut splitter =
            Splitter::with_cap(&["Envelope", "Body", "*", "returnval", "objects"], 64 << 10);
        let mut seen = Vec::new();
        for piece in bytes.chunks(size) {
            let fed = splitter.feed(piece, &mut |text: &str| {
                let document = xml::parse(text)?;
                let named = |it: &roxmltree::Node| it.tag_name().name() == "objects";
                if let Some(node) = document.descendants().find(named) {
                    decode::element(node, content)?;
                }
                seen.push(text.to_owned());
                Ok(())
            });
            if let Err(error) = fed {
                return (seen, Err(error.to_string()));
            }
        }
        (seen, splitter.finish().map_err(|error| error.to_string()))
    };
    let size = 1 + bytes.first().map_or(0, |it| usize::from(*it) % 61);
    assert!(run(size) == run(bytes.len().max(1)), "pieces of {size} give something else");
}

/// What a server makes of a connection's bytes: requests with their bodies, and how it ended.
#[derive(Default, PartialEq)]
pub struct Heard {
    pub requests: Vec<(Head, Vec<u8>)>,
    pub refused: Option<Refused>,
    /// Bytes of a request that is not complete.
    pub rest: usize,
}

/// Reads requests, one behind the other, as the pieces come.
pub fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Heard {
    let limits = Limits { target: 200, head: 1000, headers: 20, body: Some(100_000) };
    let (mut heard, mut waiting) = (Heard::default(), Vec::new());
    let (mut parser, mut decoder): (Parser, Option<Decoder>) = (Parser::default(), None);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let taken = if let Some(body) = &mut decoder {
                match body.step(&waiting) {
                    Ok(step) => {
                        let (_, data) = heard.requests.last_mut().unwrap();
                        data.extend(&waiting[step.skip..step.skip + step.data]);
                        assert!(step.skip + step.data > 0 || waiting.is_empty() || body.done());
                        let taken = step.skip + step.data;
                        decoder = decoder.take().filter(|body| !body.done());
                        Ok((taken, taken > 0))
                    }
                    Err(refused) => Err(refused),
                }
            } else {
                match parser.feed(&waiting, &limits) {
                    Ok(None) => Ok((0, false)),
                    Ok(Some(head)) => {
                        let taken = head.consumed;
                        parser = Parser::default();
                        decoder = Some(Decoder::new(head.body, limits.body));
                        decoder = decoder.take().filter(|body| !body.done());
                        heard.requests.push((head, Vec::new()));
                        Ok((taken, true))
                    }
                    Err(refused) => Err(refused),
                }
            };
            match taken {
                Ok((taken, again)) => {
                    waiting.drain(..taken);
                    if !again {
                        break;
                    }
                }
                Err(refused) => {
                    heard.refused = Some(refused);
                    return heard;
                }
            }
        }
    }
    heard.rest = waiting.len();
    heard
}

/// Requests on a connection: pieces of any size give the same, and what was taken can be answered.
pub fn http_requests(bytes: &[u8]) {
    let whole = hear([bytes].into_iter());
    let size = 1 + bytes.first().map_or(0, |it| usize::from(*it) % 61);
    for size in [1, size] {
        assert!(hear(bytes.chunks(size)) == whole, "pieces of {size} give something else");
    }
    for (head, body) in &whole.requests {
        assert!(head.target.starts_with('/') || head.target == "*", "{}", head.target);
        assert!(body.len() <= 100_000);
        let _ = percent::decode(&head.target);
        let _ = percent::query(head.target.split_once('?').map_or("", |it| it.1));
        for (name, value) in &head.headers {
            if let Range::Part { start, length } = range(Some(value), 1000) {
                assert!(length > 0 && start + length <= 1000, "{value}");
            }
            let header = [(name.as_str(), value.clone())];
            let _ = reply::head(&mut Vec::new(), 200, &header, head.body, head.keep_alive);
        }
    }
}

/// JSON, and as the arguments of every tool.
pub fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(value) = json::parse(text) else { return };
    // The last digits of a fraction may change; that it is JSON may not.
    let written = json::write(&value);
    assert!(json::parse(&written).is_ok(), "{written} is not read again");
    if let Value::Object(given) = value {
        for (_, tool) in jumpvisor::tools::all() {
            if let Ok(args) = Args::check(tool.args, given.clone()) {
                json::write_object(&args.for_audit());
            }
        }
    }
}

/// An env file, as far as the configuration that it makes; mistakes are counted and bounded.
pub fn envfile(bytes: &[u8]) {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let folder = std::env::temp_dir().join(format!("jumpvisor-hostile-{}", std::process::id()));
    let file = format!("{}.env", FILES.fetch_add(1, Ordering::Relaxed));
    let path = folder.join(&file);
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
    assert!(written.is_ok(), "{written:?}");
    let nothing: [(OsString, OsString); 0] = [];
    let environment = Environment::new(nothing, &folder, folder.join("none"), None);
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let loaded = load(&flags, &environment);
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_dir(&folder);
    if let Err(problems) = loaded {
        assert!(!problems.is_empty() && problems.len() <= 101, "{} problems", problems.len());
        jumpvisor::config::refusal(&problems);
    }
}

/// Calls that read all there is to read, or say what they would do.
const CALLS: &[(&str, &str)] = &[
    ("list_vms", r#"{"response_format":"detailed"}"#),
    ("get_vm_info", r#"{"name":"web"}"#),
    ("list_snapshots", r#"{"name":"web"}"#),
    ("create_vm", r#"{"name":"new","network":"VM Network","dry_run":true}"#),
    ("clone_vm", r#"{"template_name":"web","new_name":"new","dry_run":true}"#),
    ("reconfigure_vm", r#"{"name":"web","cpu":4,"nested_virtualization":true,"dry_run":true}"#),
    ("set_boot_order", r#"{"name":"web","order":["disk","network"],"dry_run":true}"#),
    ("delete_vm", r#"{"name":"web","dry_run":true}"#),
    ("delete_all_snapshots", r#"{"name":"web","dry_run":true}"#),
    ("answer_vm_question", r#"{"name":"web"}"#),
    ("power_off", r#"{"name":"web","timeout_seconds":5}"#),
    ("get_object", r#"{"type":"VirtualMachine","id":"web","properties":["config","name"]}"#),
    (
        "call_api",
        r#"{"object":"PerformanceManager:p","method":"QueryPerfCounterByLevel","arguments":{"level":1}}"#,
    ),
];

/// An inventory, or the progress of a task, as a server's answer below every tool and resource.
pub fn inventory(bytes: &[u8]) {
    static PEER: OnceLock<(Gate, Arc<Peer>)> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    let _mine = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (gate, peer) = PEER.get_or_init(connected);
    peer.play(bytes);
    for (name, args) in CALLS {
        let Ok(Value::Object(args)) = json::parse(args) else { continue };
        let caller = Caller::local("");
        peer.waits.store(0, Ordering::Relaxed);
        let outcome = gate.call(name, args, caller);
        if let Outcome::Failed { error, .. } = outcome {
            assert!(error.kind() != Kind::Bug, "{name}: {error}");
        }
    }
    for resource in RESOURCES {
        let call = Call::new(Rights::ReadOnly);
        let who = jumpvisor::auth::principal::Principal::local("ryan");
        let mut noted = gate.noted(&who, "resources/read", json::Object::new());
        let _ = resources::read(gate, &call, &who, &resources::uri(resource), &mut noted);
    }
}

fn connected() -> (Gate, Arc<Peer>) {
    let peer = Arc::new(Peer { answer: Mutex::default(), waits: AtomicUsize::new(0) });
    let account = Account {
        user: "u".to_owned(),
        password: Secret::new("p"),
        silence: Duration::from_secs(60),
        idle: Duration::from_secs(3600),
    };
    let session = Session::new(Wire::new(Box::new(peer.clone())), account);
    let address = Address {
        shown: "memory".to_owned(),
        host: "memory".to_owned(),
        port: 443,
        proxied: true,
        kind: "esxi",
    };
    let host = Vsphere::new(
        session,
        Defaults::default(),
        address,
        Box::new(|| None),
        jumpvisor::vsphere::nowhere(),
    );
    let gate = Gate {
        files: jumpvisor::files::Files::anywhere(),
        fleet: Fleet::new(vec![Server { name: "memory".to_owned(), host: Box::new(host) }]),
        offer: Offer::everything(),
        audit: Audit::new(Sink::Nowhere, false),
        metrics: Arc::new(Metrics::new()),
        consoles: jumpvisor::serial::hub::Hub::default(),
        approval: jumpvisor::tools::approval::Approval::off(),
        call_timeout: Duration::from_secs(5),
        cap: 60_000,
    };
    (gate, peer)
}

/// A server in memory that is honest about its session and plays the bytes for all else.
struct Peer {
    answer: Mutex<Arc<[u8]>>,
    waits: AtomicUsize,
}

const CONTENT: &str = "<returnval><rootFolder type=\"Folder\">ha-folder-root</rootFolder>\
    <propertyCollector type=\"PropertyCollector\">ha-pc</propertyCollector>\
    <viewManager type=\"ViewManager\">ViewManager</viewManager>\
    <about><name>VMware ESXi</name><fullName>VMware ESXi 9.1.1</fullName><vendor>VMware</vendor>\
    <version>9.1.1</version><build>1</build><osType>vmnix-x86</osType>\
    <productLineId>embeddedEsx</productLineId><apiType>HostAgent</apiType>\
    <apiVersion>9.1.1.0</apiVersion></about>\
    <sessionManager type=\"SessionManager\">ha-sm</sessionManager>\
    <virtualDiskManager type=\"VirtualDiskManager\">ha-vdm</virtualDiskManager>\
    <fileManager type=\"FileManager\">ha-fm</fileManager></returnval>";

const DONE: &str = "<returnval><version>9</version><filterSet><filter type=\"PropertyFilter\">f\
    </filter><objectSet><kind>enter</kind><obj type=\"Task\">t1</obj><changeSet><name>info</name>\
    <op>assign</op><val xsi:type=\"TaskInfo\"><key>t1</key><state>success</state></val></changeSet>\
    </objectSet></filterSet></returnval>";

impl Peer {
    fn play(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = bytes.into();
    }

    fn body(&self, method: &str) -> Vec<u8> {
        let honest = match method {
            "RetrieveServiceContent" => CONTENT,
            "Login" => "<returnval><key>k</key><userName>u</userName></returnval>",
            "CreateContainerView" => "<returnval type=\"ContainerView\">v</returnval>",
            "CreatePropertyCollector" => "<returnval type=\"PropertyCollector\">c</returnval>",
            "CreateFilter" => "<returnval type=\"PropertyFilter\">f</returnval>",
            "PowerOffVM_Task" => "<returnval type=\"Task\">t1</returnval>",
            "DestroyPropertyCollector" | "CancelTask" | "Logout" => "",
            // Further pages and long polls end, or a test would wait for a liar's patience.
            "ContinueRetrievePropertiesEx" => "<returnval></returnval>",
            "WaitForUpdatesEx" if self.waits.fetch_add(1, Ordering::Relaxed) > 1 => DONE,
            _ => {
                let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Inventories and waits differ in the name of the answer only.
                return replaced(&answer, b"AnyResponse", format!("{method}Response").as_bytes());
            }
        };
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><e:Body>\
             <{method}Response xmlns=\"urn:vim25\">{honest}</{method}Response></e:Body></e:Envelope>"
        )
        .into_bytes()
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(from) {
            out.extend_from_slice(to);
            at += from.len();
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

impl Exchange for Peer {
    fn exchange(&self, request: &Request) -> Result<Response> {
        let text = String::from_utf8_lossy(request.body);
        let method = text.split("<soapenv:Body><").nth(1).unwrap_or_default();
        let method = method.split([' ', '>', '/']).next().unwrap_or_default();
        let cookie = ("Set-Cookie".to_owned(), "vmware_soap_session=\"1\"; Path=/".to_owned());
        let body: Box<dyn Read + Send> = match request.method {
            "POST" => Box::new(Cursor::new(self.body(method))),
            _ => Box::new(Cursor::new(
                b"<namespaces><namespace><name>urn:vim25</name><version>9.1.1.0</version>\
                  </namespace></namespaces>",
            )),
        };
        Ok(Response::new(200, vec![cookie], body))
    }
}
