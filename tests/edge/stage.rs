//! A handler that echoes, waits and breaks by path, and small clients.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jumpvisor::web::serve::handler::{Answer, BODY, Handler, Peer, Request, Responder};
use jumpvisor::web::serve::identity::Identity;
use jumpvisor::web::serve::limits::Limits;
use jumpvisor::web::serve::listen::{Listener, Place, places};
use jumpvisor::web::serve::notify::Notifier;
use jumpvisor::web::serve::{Server, Setup};

pub const SOON: Duration = Duration::from_secs(20);

/// What tests see and steer of the handler.
#[derive(Default)]
pub struct Stage {
    released: Mutex<bool>,
    changed: Condvar,
    pub handled: AtomicUsize,
    pub gone: AtomicUsize,
    pub stopping: AtomicUsize,
}

impl Stage {
    pub fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait(&self) {
        let released = self.released.lock().unwrap();
        drop(self.changed.wait_while(released, |it| !*it).unwrap());
    }
}

#[derive(Default)]
pub struct Tiny(Arc<Stage>);

impl Handler for Tiny {
    fn admit(&self, head: &Request) -> Result<u64, Answer> {
        assert!(head.body.is_empty());
        match head.target.as_str() {
            "/refused" => Err(Answer::line(401, "who are you?").with("WWW-Authenticate", "Bearer")),
            "/small" => Ok(16),
            "/admit-panic" => panic!("as the test wants"),
            _ => Ok(BODY),
        }
    }

    fn handle(&self, request: Request, respond: Responder) {
        self.0.handled.fetch_add(1, Ordering::SeqCst);
        let stage = Arc::clone(&self.0);
        let watched = Arc::clone(&self.0);
        respond.watch().on_gone(move || _ = watched.gone.fetch_add(1, Ordering::SeqCst));
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/echo" | "/small" => respond.answer(Answer::of(200, "text/plain", request.body)),
            "/large" => respond.answer(Answer::of(200, "text/plain", vec![b'a'; 1 << 20])),
            "/huge" => respond.answer(Answer::of(200, "text/plain", vec![b'a'; 32 << 20])),
            "/who" => {
                let peer = match request.peer {
                    Peer::Net(from) => from.ip().to_string(),
                    Peer::Local(process) => format!("pid {}", process.unwrap().pid),
                };
                let text =
                    format!("{} {peer} {} {}", request.method, request.tls, request.listener);
                respond.answer(Answer::of(200, "text/plain", text));
            }
            "/empty" => respond.answer(Answer { status: 204, ..Answer::default() }),
            "/broken" => respond.answer(Answer::line(200, "").with("A", "b\r\nC: d")),
            "/dropped" => drop(respond),
            "/panic" => panic!("as the test wants"),
            "/wait" => drop(thread::spawn(move || {
                stage.wait();
                respond.answer(Answer::of(200, "text/plain", "released"));
            })),
            "/stream" => drop(thread::spawn(move || {
                let stream = respond.stream(Answer::of(200, "text/event-stream", "data: 0\n\n"));
                for number in 1..5 {
                    stream.send(format!("data: {number}\n\n").as_bytes()).unwrap();
                }
                stream.finish();
            })),
            "/cut" => drop(thread::spawn(move || {
                let stream = respond.stream(Answer::of(200, "text/plain", "so far"));
                let _ = stream.send(b" and no further");
            })),
            "/endless" => drop(thread::spawn(move || {
                let stream = respond.stream(Answer::of(200, "text/event-stream", ""));
                while stream.send(b": still here\n\n").is_ok() {
                    thread::sleep(Duration::from_millis(5));
                }
            })),
            "/silent" => drop(thread::spawn(move || {
                let stream = respond.stream(Answer::of(200, "text/event-stream", ": begun\n\n"));
                stage.wait();
                stream.finish();
            })),
            path => respond.answer(Answer::line(404, path)),
        }
    }

    fn stopping(&self) {
        self.0.stopping.fetch_add(1, Ordering::SeqCst);
    }
}

pub struct Edge {
    pub server: Option<Server>,
    pub stage: Arc<Stage>,
}

impl Edge {
    pub fn address(&self) -> SocketAddr {
        let places = self.server.as_ref().unwrap().places();
        let tcp = places.iter().find_map(|it| match it {
            Place::Tcp(address) => Some(*address),
            Place::Unix(_) => None,
        });
        tcp.unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Sends these bytes and reads to the end of the connection.
    pub fn talk(&self, text: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // A server that has heard enough may close while this is still writing.
        let _ = stream.write_all(text.as_ref());
        rest(&mut stream)
    }

    pub fn connections(&self) -> usize {
        self.server.as_ref().unwrap().connections()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stage.release();
    }
}

/// Everything to the end; a reset is none.
pub fn rest(stream: &mut impl Read) -> String {
    let mut heard = Vec::new();
    let ended = stream.read_to_end(&mut heard);
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(ended.is_ok(), "{ended:?} after {heard:?}");
    heard
}

/// The same of a connection that may have been cut.
pub fn whatever(stream: &mut impl Read) -> Vec<u8> {
    let mut heard = Vec::new();
    if let Err(error) = stream.read_to_end(&mut heard) {
        let kind = error.kind();
        assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    }
    heard
}

pub fn listen(place: &str) -> Vec<Listener> {
    let all = places(place, 0).unwrap();
    all.iter().map(|it| Listener::open(it, place, 0o600).unwrap()).collect()
}

pub fn start_at(
    listeners: Vec<Listener>,
    identity: Option<Arc<Identity>>,
    change: impl FnOnce(&mut Limits),
) -> Edge {
    let mut limits = Limits::default();
    change(&mut limits);
    let stage = Arc::new(Stage::default());
    let handler = Arc::new(Tiny(Arc::clone(&stage)));
    let notifier = Arc::new(Notifier::default());
    let server = Server::start(Setup { listeners, identity, limits, handler, notifier }).unwrap();
    Edge { server: Some(server), stage }
}

pub fn start(change: impl FnOnce(&mut Limits)) -> Edge {
    start_at(listen("127.0.0.1:0"), None, change)
}

pub fn plain() -> Edge {
    start(|_| ())
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

pub fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

pub fn status(answer: &str) -> u16 {
    let of = answer.strip_prefix("HTTP/1.1 ").and_then(|it| it.get(..3)?.parse().ok());
    of.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, so: impl Fn() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < SOON, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// One answer with a length, on a connection that stays open.
pub fn answer(stream: &mut impl Read) -> String {
    let mut heard = Vec::new();
    let mut byte = [0];
    while !heard.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{:?}", String::from_utf8_lossy(&heard));
        heard.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&heard).into_owned();
    let length = head.lines().find_map(|it| it.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |it| it.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8_lossy(&body)
}
