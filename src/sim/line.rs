//! The socket of a serial port: it really listens, or really dials.
//!
//! One thread a line, which waits in short turns, so that closing takes less than a second whatever
//! the other end does. It knows no machine: characters go to a [`Guest`], and the guest's output
//! comes back from there or, unasked, by [`Line::print`]. Surprising: without somebody at the other
//! end output is lost, as it is on a real line.

use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::net::{
    IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _,
};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::sim::telnet::Identity;
use crate::sim::telnet::Proxy;
use crate::sim::telnet::Telnet;
use crate::threads::begin;

/// Unasked output that waits for its turn.
const QUEUED: usize = 64 << 10;
/// With so much unsent, nothing more is read: what is typed makes output.
const UNSENT: usize = 16 << 10;
/// How long one read or write waits.
const TURN: Duration = Duration::from_millis(50);
const CONNECT: Duration = Duration::from_millis(900);
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// unverified: how long a host waits between its attempts, how often it tries, and how long it
/// waits for a concentrator's answer.
const LAST_WAIT: Duration = Duration::from_secs(8);
const ATTEMPTS: u32 = 100;
const ANSWER: Duration = Duration::from_secs(30);

/// What is behind the port.
pub trait Guest: Send + Sync {
    /// Characters that came in; what the guest answers at once. Not more than 4 KB at a time.
    fn typed(&self, bytes: &[u8]) -> Vec<u8>;

    /// Somebody is at the other end, or nobody any more.
    fn carrier(&self, _up: bool) {}

    /// What it said before anybody was at the other end; asked when somebody is.
    fn waiting(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// A port, as the backing of the device describes it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `telnet://:2001`; with a concentrator whatever that one understands.
    pub uri: String,
    /// Direction `server`: it listens.
    pub server: bool,
    /// The concentrator.
    pub proxy: Option<String>,
    /// For a concentrator, and for a client that asks.
    pub identity: Identity,
    /// Where it listens: nowhere that the simulated host itself does not.
    pub listen: IpAddr,
}

impl Settings {
    /// A port without a concentrator that would listen on this machine alone.
    pub fn new(uri: &str, server: bool) -> Settings {
        let listen = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Settings { uri: uri.to_owned(), server, proxy: None, identity: Identity::default(), listen }
    }
}

struct State {
    closing: bool,
    ended: bool,
    connected: bool,
    status: &'static str,
    queue: Vec<u8>,
}

struct Shared {
    guest: Arc<dyn Guest>,
    settings: Settings,
    telnet: bool,
    state: Mutex<State>,
    changed: Condvar,
}

/// An open port; closed when it is dropped.
pub struct Line {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
}

enum Way {
    Listen(TcpListener),
    Dial(String, u16),
}

impl Line {
    /// Opens the port; a sentence where that cannot be.
    pub fn open(settings: Settings, guest: Arc<dyn Guest>) -> Result<Line, String> {
        let uri = settings.proxy.as_deref().unwrap_or(&settings.uri);
        let (telnet, host, port) = parse(uri)?;
        let mut address = None;
        let way = match settings.server && settings.proxy.is_none() {
            true => {
                // unverified: what a host does about an address that is not its own. Port 0, which
                // takes any free one, is for tests.
                let wanted = SocketAddr::new(settings.listen, port);
                let listener = TcpListener::bind(wanted)
                    .and_then(|it| it.set_nonblocking(true).map(|()| it))
                    .map_err(|error| format!("Serial port: cannot listen on {wanted}: {error}"))?;
                address = listener.local_addr().ok();
                Way::Listen(listener)
            }
            false if host.is_empty() || port == 0 => {
                return Err(format!("Serial port: `{uri}` does not say where to connect to"));
            }
            false if settings.proxy.is_some() && !telnet => {
                return Err(format!("Serial port: `{uri}`: a concentrator is reached by telnet"));
            }
            false => Way::Dial(host.to_owned(), port),
        };
        let status = if address.is_some() { "ok" } else { "untried" };
        let state =
            State { closing: false, ended: false, connected: false, status, queue: Vec::new() };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        let shared = Arc::new(Shared { guest, settings, telnet, state, changed });
        let worker = Arc::clone(&shared);
        let works = move || {
            match way {
                Way::Listen(listener) => worker.listen(&listener),
                Way::Dial(host, port) => worker.dial(&host, port),
            }
            worker.state().ended = true;
            worker.changed.notify_all();
        };
        begin("serial", Box::new(works)).map_err(|error| format!("Serial port: {error}"))?;
        Ok(Line { shared, address })
    }

    /// Output of the guest that nobody's typing brought; what does not fit is lost.
    pub fn print(&self, output: &[u8]) {
        let mut state = self.shared.state();
        if state.connected {
            let room = QUEUED - state.queue.len().min(QUEUED);
            state.queue.extend(output.iter().take(room));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether somebody is at the other end.
    pub fn connected(&self) -> bool {
        self.shared.state().connected
    }

    /// As `connectable.status` says it.
    pub fn status(&self) -> &'static str {
        self.shared.state().status
    }

    /// Ends it: the port is free when this returns. It waits a second at most, which it needs only
    /// if the guest does not come back, as one whose lock is held here.
    pub fn close(&self) {
        let mut state = self.shared.state();
        state.closing = true;
        self.shared.changed.notify_all();
        let until = Instant::now() + Duration::from_secs(1);
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.shared.wait(state, left);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether it is to end; waits for that.
    fn closing(&self, time: Duration) -> bool {
        let state = self.state();
        if state.closing { true } else { self.wait(state, time).closing }
    }

    fn listen(&self, listener: &TcpListener) {
        while !self.closing(TURN * 2) {
            if let Ok((stream, _)) = listener.accept() {
                self.session(stream, Some(listener));
            }
        }
    }

    fn dial(&self, host: &str, port: u16) {
        let (mut wait, mut failed) = (FIRST_WAIT, 0);
        while failed < ATTEMPTS {
            let found = (host, port).to_socket_addrs().map(|it| it.take(4).collect::<Vec<_>>());
            let mut served = false;
            // A real host dials wherever its network leads. A simulated one must be no way into
            // somebody's network, so it dials this machine only.
            let own = |it: &SocketAddr| it.ip().is_loopback();
            for address in found.unwrap_or_default().into_iter().filter(own) {
                if self.state().closing {
                    return;
                }
                let stream = TcpStream::connect_timeout(&address, CONNECT);
                // Who dials a free port of his own machine again and again reaches himself one day.
                let other = |it: &TcpStream| it.local_addr().ok() != it.peer_addr().ok();
                if let Some(stream) = stream.ok().filter(other) {
                    served = self.session(stream, None);
                    break;
                }
            }
            self.state().status = "recoverableError";
            (wait, failed) = match served {
                true => (FIRST_WAIT, 0),
                false => ((wait * 2).min(LAST_WAIT), failed + 1),
            };
            if self.closing(wait) {
                return;
            }
        }
        self.state().status = "unrecoverableError";
    }

    fn protocol(&self) -> Option<Telnet> {
        let settings = &self.settings;
        let identity = settings.identity.clone();
        match (self.telnet, &settings.proxy) {
            (false, _) => None,
            (true, None) => Some(Telnet::direct(identity)),
            (true, Some(_)) => Some(Telnet::proxied(identity, settings.server, &settings.uri)),
        }
    }

    /// One connection to its end; whether data could flow.
    fn session(&self, mut stream: TcpStream, listener: Option<&TcpListener>) -> bool {
        let mut protocol = self.protocol();
        let unsent = protocol.as_mut().map(Telnet::start).unwrap_or_default();
        let mut served = false;
        // What goes wrong here is the end of the connection, whatever it is.
        let _ = self.talk(&mut stream, listener, &mut protocol, unsent, &mut served);
        let _ = stream.shutdown(Shutdown::Both);
        if served {
            {
                let mut state = self.state();
                state.connected = false;
                state.queue.clear();
            }
            self.guest.carrier(false);
        }
        served
    }

    fn talk(
        &self,
        stream: &mut TcpStream,
        listener: Option<&TcpListener>,
        protocol: &mut Option<Telnet>,
        mut unsent: Vec<u8>,
        served: &mut bool,
    ) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TURN))?;
        stream.set_write_timeout(Some(TURN))?;
        let began = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            if !*served && protocol.as_ref().is_none_or(Telnet::open) {
                *served = true;
                {
                    let mut state = self.state();
                    state.connected = true;
                    state.status = "ok";
                }
                self.guest.carrier(true);
                let waiting = self.guest.waiting();
                self.state().queue.extend(waiting.into_iter().take(QUEUED));
            }
            let output = {
                let mut state = self.state();
                if state.closing {
                    return Ok(());
                }
                match unsent.len() < UNSENT {
                    true => std::mem::take(&mut state.queue),
                    false => Vec::new(),
                }
            };
            send(protocol, &output, &mut unsent);
            if !unsent.is_empty() {
                let sent = turn(stream.write(&unsent))?;
                unsent.drain(..sent.unwrap_or(0));
            }
            // unverified: a second client is let in and closed at once.
            if let Some(Ok((extra, _))) = listener.map(TcpListener::accept) {
                drop(extra);
            }
            if unsent.len() >= UNSENT {
                continue;
            }
            if let Some(count) = turn(stream.read(&mut buffer))? {
                let bytes = buffer.get(..count).unwrap_or_default();
                let data = match protocol.as_mut().map(|it| it.receive(bytes)) {
                    Some(got) => {
                        unsent.extend(got.wire);
                        got.data
                    }
                    None => bytes.to_vec(),
                };
                if *served && !data.is_empty() {
                    send(protocol, &self.guest.typed(&data), &mut unsent);
                }
            }
            let refused = protocol.as_ref().is_some_and(|it| it.proxy() == Proxy::Refused);
            if refused || (!*served && began.elapsed() > ANSWER) {
                return Ok(());
            }
        }
    }
}

fn send(protocol: &mut Option<Telnet>, output: &[u8], unsent: &mut Vec<u8>) {
    match protocol {
        Some(telnet) => unsent.extend(telnet.send(output)),
        None => unsent.extend(output),
    }
}

/// A turn that brought nothing is no error; the end is one.
fn turn(result: io::Result<usize>) -> io::Result<Option<usize>> {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    match result {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), Interrupted | TimedOut | WouldBlock) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether it is telnet, the host (without its brackets, or empty) and the port of a URI.
fn parse(uri: &str) -> Result<(bool, &str, u16), String> {
    let plain = uri.split(['#', '?']).next().unwrap_or_default();
    let (scheme, place) = plain.split_once("://").unwrap_or(("tcp", plain));
    let telnet = match scheme {
        "tcp" | "tcp4" | "tcp6" => false,
        "telnet" => true,
        "ssl" | "telnets" | "tcp+ssl" | "tcp4+ssl" | "tcp6+ssl" => {
            return Err(format!("Serial port: `{uri}`: the simulated host does not play TLS here"));
        }
        _ => return Err(format!("Serial port: `{uri}` is no URI of a serial port")),
    };
    let (host, port) = place
        .trim_end_matches('/')
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| format!("Serial port: `{uri}` has no port"))?;
    Ok((telnet, host.trim_start_matches('[').trim_end_matches(']'), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        assert_eq!(parse("telnet://:2001"), Ok((true, "", 2001)));
        assert_eq!(parse("10.0.0.5:13370"), Ok((false, "10.0.0.5", 13370)));
        assert_eq!(parse("tcp6://[fe80::1]:23/"), Ok((false, "fe80::1", 23)));
        assert_eq!(parse("telnet://con:5#verify=yes"), Ok((true, "con", 5)));
        for bad in
            ["tcp://5000", "telnet://h:70000", "http://h:80", "telnets://h:1", "ssl://h:1", ""]
        {
            let text = parse(bad).unwrap_err();
            assert!(text.starts_with(&format!("Serial port: `{bad}`")), "{text}");
        }
    }
}
