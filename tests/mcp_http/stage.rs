//! A service on a port of its own, callers with rights, and a client that sees every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jumpvisor::auth::challenge::{Resource, Why, challenge};
use jumpvisor::auth::policy::{Claimant, Policy};
use jumpvisor::auth::principal::{How, Principal};
use jumpvisor::auth::signin::Turned;
use jumpvisor::error::{Error, Kind};
use jumpvisor::mcp::http::call::Call;
use jumpvisor::mcp::http::door::Door;
use jumpvisor::mcp::http::{Extra, Http, Settings};
use jumpvisor::mcp::rpc;
use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};
use jumpvisor::tools::offer::Offer;
use jumpvisor::tools::run::{Caller, Gate};
use jumpvisor::web::serve::handler::{Answer as Given, Handler, Request, Responder};
use jumpvisor::web::serve::limits::Limits;
use jumpvisor::web::serve::listen::{Listener, Place, places};
use jumpvisor::web::serve::notify::Notifier;
use jumpvisor::web::serve::{Server, Setup};

use crate::fleet;
use crate::fleet::Stage;

pub const SOON: Duration = Duration::from_secs(20);

pub const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// The handler, to be had by the test as well.
struct Shared(Arc<Http>);

impl Handler for Shared {
    fn admit(&self, head: &Request) -> Result<u64, Given> {
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

pub struct Service {
    pub server: Option<Server>,
    pub http: Arc<Http>,
    pub stage: Arc<Stage>,
    pub gate: Arc<Gate>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stage.release();
    }
}

pub fn start(change: impl FnOnce(&mut Settings)) -> Service {
    start_with(Offer::everything(), &["127.0.0.1:0"], change, |_| ())
}

pub fn start_with(
    offer: Offer,
    at: &[&str],
    change: impl FnOnce(&mut Settings),
    limit: impl FnOnce(&mut Limits),
) -> Service {
    serve(fleet::gate(offer), at, change, limit)
}

/// A service of this gate.
pub fn serve(
    (gate, stage): (Arc<Gate>, Arc<Stage>),
    at: &[&str],
    change: impl FnOnce(&mut Settings),
    limit: impl FnOnce(&mut Limits),
) -> Service {
    let mut settings = Settings::default();
    change(&mut settings);
    let http = Arc::new(Http::new(gate.clone(), settings));
    let all = at.iter().flat_map(|at| places(at, 0).unwrap().into_iter().map(move |it| (at, it)));
    let listeners = all.map(|(at, it)| Listener::open(&it, at, 0o600).unwrap()).collect();
    let mut limits = Limits::default();
    limit(&mut limits);
    let handler = Arc::new(Shared(http.clone()));
    let notifier = Arc::new(Notifier::default());
    let setup = Setup { listeners, identity: None, limits, handler, notifier };
    Service { server: Some(Server::start(setup).unwrap()), http, stage, gate }
}

pub fn plain() -> Service {
    start(|_| ())
}

impl Service {
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let places = self.server.as_ref().unwrap().places();
        let tcp = places.iter().filter_map(|it| match it {
            Place::Tcp(address) => Some(*address),
            Place::Unix(_) => None,
        });
        tcp.collect()
    }

    pub fn connect(&self) -> Client {
        Client::to(self.addresses()[0])
    }

    /// One request on a connection of its own.
    pub fn ask(&self, ask: &Ask) -> Heard {
        let mut client = self.connect();
        client.send(ask);
        client.hear()
    }
}

/// A request in the making.
#[derive(Clone)]
pub struct Ask {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

fn post(body: String) -> Ask {
    let headers = [
        ("Host", "localhost"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
    ];
    let headers = headers.map(|it| (it.0.to_owned(), it.1.to_owned())).to_vec();
    Ask { method: "POST", path: "/mcp".to_owned(), headers, body }
}

/// A message as it is, by the headers of the older era.
pub fn raw(body: &str) -> Ask {
    post(body.to_owned())
}

pub fn legacy(id: &str, method: &str, params: &str) -> Ask {
    raw(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#))
}

pub fn modern(id: &str, method: &str, params: &str) -> Ask {
    let comma = if params.is_empty() { "" } else { "," };
    let params = match params.contains("protocolVersion") {
        true => params.to_owned(),
        false => format!("{params}{comma}{META}"),
    };
    let ask = legacy(id, method, &params);
    let ask = ask.with("MCP-Protocol-Version", "2026-07-28").with("Mcp-Method", method);
    let Ok(Value::Object(members)) = json::parse(&ask.body) else { return ask };
    let params = json::get_object(&members, "params").unwrap();
    match json::get_text(params, "name").or_else(|| json::get_text(params, "uri")) {
        Some(name) if method != "completion/complete" => ask.with("Mcp-Name", name),
        _ => ask,
    }
}

/// A modern request that wants to hear of progress.
pub fn with_token(id: &str, tool: &str, arguments: &str) -> Ask {
    let meta = META.replace(r#""_meta":{"#, r#""_meta":{"progressToken":"p","#);
    modern(id, "tools/call", &format!(r#""name":"{tool}","arguments":{{{arguments}}},{meta}"#))
}

pub fn get(path: &str) -> Ask {
    Ask { method: "GET", path: path.to_owned(), body: String::new(), ..post(String::new()) }
        .without("Content-Type")
}

impl Ask {
    pub fn with(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Ask {
        self.headers.retain(|it| !it.0.eq_ignore_ascii_case(name));
        self
    }

    /// With another value, or without that header where it is empty.
    pub fn but(self, name: &str, value: &str) -> Ask {
        let ask = self.without(name);
        if value.is_empty() { ask } else { ask.with(name, value) }
    }

    pub fn by(self, method: &'static str) -> Ask {
        Ask { method, ..self }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        text + "\r\n" + &self.body
    }
}

/// An answer, or the head of a stream.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Heard {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|it| it.split_once(": "));
        lines.find(|it| it.0.eq_ignore_ascii_case(name)).map(|it| it.1)
    }

    pub fn object(&self) -> Object {
        object(&self.body)
    }

    /// The code of its error; 0 for a result.
    pub fn code(&self) -> i64 {
        let object = self.object();
        assert_eq!(json::get_text(&object, "jsonrpc"), Some("2.0"), "{self:?}");
        match json::get_object(&object, "error") {
            Some(error) => error.get("code").and_then(json::as_int).unwrap(),
            None => {
                assert!(object.contains_key("result"), "{self:?}");
                0
            }
        }
    }

    pub fn is_stream(&self) -> bool {
        self.header("Content-Type") == Some("text/event-stream")
    }

    pub fn session(&self) -> Option<String> {
        self.header("Mcp-Session-Id").map(str::to_owned)
    }
}

pub fn object(text: &str) -> Object {
    match json::parse(text) {
        Ok(Value::Object(object)) => object,
        _ => panic!("not a message: {text:?}"),
    }
}

pub struct Client(pub BufReader<TcpStream>);

impl Client {
    pub fn to(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Client(BufReader::new(stream))
    }

    pub fn send(&mut self, ask: &Ask) {
        self.write(&ask.text());
    }

    pub fn write(&mut self, text: &str) {
        // A server that has heard enough may close while this is still writing.
        let _ = self.0.get_mut().write_all(text.as_bytes());
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended");
        line
    }

    /// The next answer; of a stream only its head.
    pub fn hear(&mut self) -> Heard {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.line();
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut heard = Heard { status, head, body: String::new() };
        if let Some(length) = heard.header("Content-Length") {
            let mut body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut body).unwrap();
            heard.body = String::from_utf8(body).unwrap();
        }
        heard
    }

    /// The next piece of a stream; none at its end. A piece may hold several events.
    pub fn piece(&mut self) -> Option<String> {
        let size = usize::from_str_radix(self.line().trim(), 16).unwrap();
        let mut data = vec![0; size + 2];
        self.0.read_exact(&mut data).unwrap();
        data.truncate(size);
        (size > 0).then(|| String::from_utf8(data).unwrap())
    }

    /// Messages of a stream until one fits; fails where the stream ends before.
    pub fn until(&mut self, fits: impl Fn(&Object) -> bool) -> (Vec<Object>, Object) {
        let mut before = Vec::new();
        loop {
            let piece = self.piece().unwrap_or_else(|| panic!("the stream ended: {before:?}"));
            let mut found = None;
            for it in messages(&piece) {
                match fits(&it) && found.is_none() {
                    true => found = Some(it),
                    false => before.push(it),
                }
            }
            if let Some(found) = found {
                return (before, found);
            }
        }
    }

    /// Everything up to the end of the stream.
    pub fn rest(&mut self) -> Vec<Object> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece() {
            all.extend(messages(&piece));
        }
        all
    }
}

/// The messages among events.
pub fn messages(text: &str) -> Vec<Object> {
    let events = text.split("\n\n").filter_map(|it| it.strip_prefix("data: "));
    events.map(object).collect()
}

pub fn method(it: &Object) -> &str {
    json::get_text(it, "method").unwrap_or_default()
}

pub fn is_answer(it: &Object) -> bool {
    it.contains_key("result") || it.contains_key("error")
}

pub fn write(it: &Object) -> String {
    json::write_object(it)
}

#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < SOON, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Knows `Bearer NAME:GROUP` as an access token, and waits for those called `slow`. The groups are
/// the built-in ones, and `far-ops`, who may read on `lab` and do more on `far`.
pub struct Porter {
    pub open: Arc<AtomicBool>,
    pub waiting: Arc<AtomicBool>,
    pub resource: Resource,
}

impl Default for Porter {
    fn default() -> Porter {
        Porter { open: Arc::default(), waiting: Arc::default(), resource: resource() }
    }
}

pub fn resource() -> Resource {
    let scopes = ["groups".to_owned()];
    Resource::new("https://jump.example", "https://id.example", &scopes).unwrap()
}

impl Porter {
    fn find(&self, request: &Request) -> Result<Principal, Turned> {
        let token = request.header("Authorization").and_then(|it| it.strip_prefix("Bearer "));
        let turned = |status, why, said: &str| Turned {
            status,
            challenge: Some(challenge(Some(&resource()), why, said)),
            retry_after: None,
            error: Error::new(Kind::Denied, said.to_owned()),
        };
        let Some(token) = token else {
            return Err(turned(401, Why::Nothing, "who asks?"));
        };
        let (name, group) = token.split_once(':').ok_or(turned(401, Why::Token, "no token"))?;
        let (groups, expires) = ([group.to_owned()], None);
        let claimant = Claimant { name, id: name, groups: &groups, how: How::Oauth, expires };
        let policy = match group {
            "far-ops" => Policy::parse(["far-ops=read@lab", "far-ops=power@far"]).unwrap(),
            _ => Policy::built_in(),
        };
        policy.admit(&claimant).map_err(|it| turned(403, Why::Scope, &it.sentence()))
    }
}

impl Door for Porter {
    fn known(&self, request: &Request) -> Option<Result<Principal, Turned>> {
        let slow = request.header("Authorization").is_some_and(|it| it.contains("slow"));
        (!slow).then(|| self.find(request))
    }

    fn admit(&self, request: &Request) -> Result<Principal, Turned> {
        self.waiting.store(true, Ordering::SeqCst);
        until("it is let in", || self.open.load(Ordering::SeqCst));
        self.find(request)
    }

    fn needs_more(&self, _: &Principal, error: Error) -> Option<Turned> {
        let challenge = Some(challenge(Some(&resource()), Why::Scope, &error.sentence()));
        Some(Turned { status: 403, challenge, retry_after: None, error })
    }

    fn resource(&self) -> Option<&Resource> {
        Some(&self.resource)
    }
}

pub fn guarded(change: impl FnOnce(&mut Settings)) -> Service {
    start(|it| {
        it.door = Some(Box::new(Porter::default()));
        change(it);
    })
}

/// Requests that ask back and talk much.
#[derive(Default)]
pub struct Trial(pub Mutex<Vec<String>>);

impl Extra for Trial {
    fn takes(&self, request: &rpc::Request) -> bool {
        let tool = json::get_text(&request.params, "name").unwrap_or_default();
        request.method.starts_with("trial/") || tool.starts_with("trial_")
    }

    fn answer(&self, request: &rpc::Request, call: &Arc<Call>, caller: Caller) -> rpc::Answer {
        let outcome = match request.method.as_str() {
            "trial/consent" | "tools/call" => match &caller.asks {
                None => Ok("nobody to ask".to_owned()),
                Some(asks) => asks("Delete web?", &caller.cancel).map(|it| it.to_string()),
            },
            "trial/ask" => call
                .ask("sampling/createMessage", r#"{"maxTokens":1}"#, &caller.cancel)
                .map(|it| write(&it)),
            _ => {
                let long = format!("\"{}\"", "x".repeat(10_000));
                let told = (0..500).filter(|_| call.tell(&format!("{{\"much\":{long}}}"))).count();
                Ok(told.to_string())
            }
        };
        let text = outcome.unwrap_or_else(|it| it.to_string());
        self.0.lock().unwrap().push(text.clone());
        let said = json::quote(&text);
        Ok(format!(r#"{{"said":{said},"content":[{{"type":"text","text":{said}}}]}}"#))
    }

    fn mirrored(&self, tool: &str) -> Vec<(String, String)> {
        match tool {
            "list_vms" => vec![("Host".to_owned(), "host".to_owned())],
            _ => Vec::new(),
        }
    }
}
