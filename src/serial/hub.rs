//! Every console of this process, by its place: a stand-in that moves bytes with a thread each.
//!
//! It must not know which hypervisor a machine is on. Surprising: a console outlives its line; when
//! the line is lost it is dialled again and the transcript goes on.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Kind, Result};
use crate::serial::place::socket_path;
pub use crate::serial::place::{About, Place};
use crate::serial::ring::Ring;
use crate::serial::telnet::{BREAK, Role, Telnet};

/// How long one dial may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The rests between two dials.
const FIRST_REST: Duration = Duration::from_secs(1);
const LAST_REST: Duration = Duration::from_secs(60);
/// How long the writer keeps a line that it does not write to.
const HELD: Duration = Duration::from_secs(30);
/// Longest turn of a wait, so that who asks to stop is heard.
const TURN: Duration = Duration::from_millis(100);
/// Bytes of the last screenful at most.
const SCREEN: usize = 8 << 10;

/// What holds for all consoles.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that are kept of each console.
    pub ring_bytes: usize,
    /// Folder of the consoles' logs.
    pub log_dir: Option<PathBuf>,
    /// Folder of a Unix socket for each console.
    pub sockets: Option<PathBuf>,
}

/// How a console is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The host listens.
    Dial { host: String, port: u16, telnet: bool, tls: bool },
    /// The machine dials the concentrator.
    Dialled,
    /// Another process holds the console and has this socket for people.
    Socket(PathBuf),
}

/// How a console's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Dialling,
    Connected,
    /// For the machine to dial in.
    Waiting,
    /// The next dial comes by itself.
    Lost,
}

impl State {
    /// For a person.
    pub fn word(self) -> &'static str {
        match self {
            State::Dialling => "dialling",
            State::Connected => "connected",
            State::Waiting => "waiting",
            State::Lost => "lost",
        }
    }
}

/// A console as it stands.
#[derive(Clone, Debug)]
pub struct Status {
    pub about: About,
    pub state: State,
    /// Why it is lost.
    pub why: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub readers: usize,
    pub writer: Option<String>,
    /// Position behind the last byte.
    pub position: u64,
    /// Position of the oldest byte that is kept.
    pub start: u64,
    /// Where people attach: a socket, an address of this machine.
    pub socket: Option<PathBuf>,
    pub tcp: Option<std::net::SocketAddr>,
}

/// A piece of a transcript.
pub use crate::serial::ring::Piece as Read;

/// All consoles; cheap to clone.
#[derive(Clone)]
pub struct Hub(Arc<Consoles>);

struct Consoles {
    settings: Settings,
    all: Mutex<HashMap<Place, Console>>,
}

/// One console; cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    now: Mutex<Now>,
    changed: Condvar,
}

struct Now {
    about: About,
    way: Way,
    /// Counts the ways, so that the thread of an older one ends.
    turn: u64,
    ring: Ring,
    line: Option<Line>,
    telnet: Option<Telnet>,
    state: State,
    why: Option<String>,
    since: i64,
    bytes_out: u64,
    writer: Option<(String, Instant)>,
    closed: bool,
}

enum Line {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Line {
    fn dial(way: &Way) -> std::io::Result<Line> {
        let line = match way {
            Way::Dial { host, port, tls: false, .. } => {
                let mut last = std::io::Error::other("the name has no address");
                let mut found = None;
                for address in (host.trim_matches(['[', ']']), *port).to_socket_addrs()? {
                    match TcpStream::connect_timeout(&address, CONNECT) {
                        Ok(it) => {
                            found = Some(it);
                            break;
                        }
                        Err(error) => last = error,
                    }
                }
                let stream = found.ok_or(last)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(TURN))?;
                stream.set_write_timeout(Some(CONNECT))?;
                Line::Tcp(stream)
            }
            Way::Socket(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(TURN))?;
                stream.set_write_timeout(Some(CONNECT))?;
                Line::Unix(stream)
            }
            Way::Dial { .. } => return Err(std::io::Error::other("lines over TLS are not built")),
            Way::Dialled => return Err(std::io::Error::other("nobody has dialled in")),
        };
        Ok(line)
    }

    fn copy(&self) -> std::io::Result<Line> {
        Ok(match self {
            Line::Tcp(it) => Line::Tcp(it.try_clone()?),
            Line::Unix(it) => Line::Unix(it.try_clone()?),
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Line::Tcp(it) => it.read(buffer),
            Line::Unix(it) => it.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Line::Tcp(it) => it.write_all(bytes),
            Line::Unix(it) => it.write_all(bytes),
        }
    }

    fn close(&self) {
        let _ = match self {
            Line::Tcp(it) => it.shutdown(Shutdown::Both),
            Line::Unix(it) => it.shutdown(Shutdown::Both),
        };
    }
}

fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { ring_bytes: crate::serial::ring::BYTES, log_dir: None, sockets: None }
    }
}

impl Default for Hub {
    fn default() -> Hub {
        Hub::new(Settings::default())
    }
}

impl Hub {
    /// No thread, no socket before the first console.
    pub fn new(settings: Settings) -> Hub {
        Hub(Arc::new(Consoles { settings, all: Mutex::default() }))
    }

    /// The socket of another process that holds this console; none where nobody answers there.
    pub fn holder(&self, about: &About) -> Option<PathBuf> {
        let path = socket_path(self.0.settings.sockets.as_deref()?, about);
        let ours =
            self.find(&about.place).is_some_and(|it| !matches!(it.now().way, Way::Socket(_)));
        if ours {
            return None;
        }
        UnixStream::connect(&path).is_ok().then_some(path)
    }

    /// Finds a console or begins it. Another way replaces the line and keeps the transcript.
    pub fn open(&self, about: &About, way: Way) -> Result<Console> {
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(console) = all.get(&about.place) {
            console.follow(about, way)?;
            return Ok(console.clone());
        }
        let now = Now {
            about: about.clone(),
            way: way.clone(),
            turn: 0,
            ring: Ring::new(self.0.settings.ring_bytes),
            line: None,
            telnet: None,
            state: State::Dialling,
            why: None,
            since: millis(),
            bytes_out: 0,
            writer: None,
            closed: false,
        };
        let console = Console(Arc::new(Inner { now: Mutex::new(now), changed: Condvar::new() }));
        console.begin(way, 0)?;
        all.insert(about.place.clone(), console.clone());
        Ok(console)
    }

    pub fn find(&self, place: &Place) -> Option<Console> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    pub fn all(&self) -> Vec<Status> {
        let all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().map(Console::status).collect()
    }

    /// Ends every console.
    pub fn close(&self) {
        let all = std::mem::take(&mut *self.0.all.lock().unwrap_or_else(PoisonError::into_inner));
        for console in all.values() {
            let mut now = console.now();
            now.closed = true;
            if let Some(line) = now.line.take() {
                line.close();
            }
            console.0.changed.notify_all();
        }
    }
}

impl Console {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, way: Way, turn: u64) -> Result<()> {
        let it = self.clone();
        let thread = std::thread::Builder::new().name("console".to_owned());
        thread.spawn(move || it.serve(&way, turn)).map(drop).map_err(|error| {
            Error::new(Kind::Busy, format!("no thread for a console: {error}"))
                .hint("Close other consoles")
        })
    }

    fn follow(&self, about: &About, way: Way) -> Result<()> {
        let mut now = self.now();
        now.about = about.clone();
        if now.way == way {
            return Ok(());
        }
        now.way = way.clone();
        now.turn += 1;
        if let Some(line) = now.line.take() {
            line.close();
        }
        (now.state, now.why, now.since) = (State::Dialling, None, millis());
        let turn = now.turn;
        drop(now);
        self.0.changed.notify_all();
        self.begin(way, turn)
    }

    fn serve(&self, way: &Way, turn: u64) {
        let mut rest = FIRST_REST;
        loop {
            let outcome = Line::dial(way).and_then(|line| {
                rest = FIRST_REST;
                self.carry(line, way, turn)
            });
            let mut now = self.now();
            if now.closed || now.turn != turn {
                return;
            }
            (now.line, now.telnet, now.writer) = (None, None, None);
            now.state = if *way == Way::Dialled { State::Waiting } else { State::Lost };
            now.why = outcome.err().map(|error| error.to_string());
            now.since = millis();
            self.0.changed.notify_all();
            let until = Instant::now() + rest;
            while Instant::now() < until {
                now = self
                    .0
                    .changed
                    .wait_timeout(now, TURN)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                if now.closed || now.turn != turn {
                    return;
                }
            }
            rest = (rest * 2).min(LAST_REST);
        }
    }

    fn carry(&self, mut line: Line, way: &Way, turn: u64) -> std::io::Result<()> {
        {
            let mut now = self.now();
            if now.closed || now.turn != turn {
                return Ok(());
            }
            if matches!(way, Way::Dial { telnet: true, .. }) {
                let mut telnet = Telnet::new(Role::Client);
                line.write(&telnet.start())?;
                now.telnet = Some(telnet);
            }
            now.line = Some(line.copy()?);
            (now.state, now.why, now.since) = (State::Connected, None, millis());
            self.0.changed.notify_all();
        }
        let mut buffer = [0; 4096];
        loop {
            let count = match line.read(&mut buffer) {
                Ok(0) => return Err(std::io::Error::other("the other end has closed the line")),
                Ok(count) => count,
                Err(error) => match error.kind() {
                    std::io::ErrorKind::WouldBlock
                    | std::io::ErrorKind::TimedOut
                    | std::io::ErrorKind::Interrupted => {
                        let now = self.now();
                        if now.closed || now.turn != turn {
                            return Ok(());
                        }
                        continue;
                    }
                    _ => return Err(error),
                },
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            let mut now = self.now();
            let answer = match &mut now.telnet {
                Some(telnet) => {
                    let got = telnet.feed(bytes);
                    now.ring.push(&got.data, millis());
                    got.wire
                }
                None => {
                    now.ring.push(bytes, millis());
                    Vec::new()
                }
            };
            drop(now);
            self.0.changed.notify_all();
            if !answer.is_empty() {
                line.write(&answer)?;
            }
        }
    }

    pub fn status(&self) -> Status {
        let now = self.now();
        Status {
            about: now.about.clone(),
            state: now.state,
            why: now.why.clone(),
            since: now.since,
            bytes_in: now.ring.end(),
            bytes_out: now.bytes_out,
            readers: 0,
            writer: now.held().map(str::to_owned),
            position: now.ring.end(),
            start: now.ring.start(),
            socket: match &now.way {
                Way::Socket(path) => Some(path.clone()),
                _ => None,
            },
            tcp: None,
        }
    }

    /// What was said from a position on, at most so much; waits until something is there.
    pub fn read(
        &self,
        since: Option<u64>,
        max: usize,
        wait: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Read {
        let until = Instant::now() + wait;
        let mut now = self.now();
        let since = since.unwrap_or(now.ring.start());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if now.ring.end() != since || left.is_zero() || now.closed || stop() {
                return now.ring.read(since, max);
            }
            let turn = left.min(TURN);
            now = self.0.changed.wait_timeout(now, turn).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Types for somebody. One at a time types; others are told who.
    pub fn write(&self, who: &str, bytes: &[u8], _patience: Duration) -> Result<()> {
        self.put(who, bytes, false)
    }

    pub fn send_break(&self, who: &str) -> Result<()> {
        self.put(who, &BREAK, true)
    }

    fn put(&self, who: &str, bytes: &[u8], command: bool) -> Result<()> {
        let mut now = self.now();
        if let Some(other) = now.held().filter(|it| *it != who) {
            return Err(Error::new(Kind::Busy, format!("`{other}` is writing to this console"))
                .hint("Try again once it is quiet for half a minute"));
        }
        let wire = match (&mut now.telnet, command) {
            (Some(_), true) => bytes.to_vec(),
            (None, true) => {
                return Err(Error::new(Kind::Unsupported, "this line carries no break")
                    .hint("A break needs a telnet line; setup_serial_port sets one up"));
            }
            (Some(telnet), false) => telnet.send(bytes),
            (None, false) => bytes.to_vec(),
        };
        let why = now.why.clone().unwrap_or_else(|| now.state.word().to_owned());
        let line = now.line.as_mut().ok_or_else(|| {
            Error::new(Kind::Network, format!("the console is not connected: {why}"))
                .hint("list_serial_consoles shows its state")
        })?;
        line.write(&wire).map_err(|error| {
            Error::new(Kind::Network, format!("the line does not take what is typed: {error}"))
                .hint("Read before you write again: part of it may have been typed")
        })?;
        now.bytes_out += bytes.len() as u64;
        now.writer = Some((who.to_owned(), Instant::now()));
        Ok(())
    }

    /// The last lines.
    pub fn screen(&self, lines: usize) -> Vec<u8> {
        self.now().ring.screen(lines, SCREEN).bytes
    }
}

impl Now {
    fn held(&self) -> Option<&str> {
        let (who, when) = self.writer.as_ref()?;
        (self.line.is_some() && when.elapsed() < HELD).then_some(who)
    }
}
