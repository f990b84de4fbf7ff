//! Serves the simulated host on a port, with or without TLS: one thread a connection, so many of
//! them.
//!
//! It knows HTTP through the codec of `web` and nothing of what is asked; a service answers.
//! Surprising: to wake the thread that accepts, the server connects to itself, since a listener of
//! the standard library cannot be woken in another way.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use rustls::ServerConfig;

use crate::error::Error;
use crate::error::Kind;
use crate::error::Result;
use crate::sim::http::Service;
use crate::sim::identity::Identity;
use crate::sim::serve::wire::Wire;
use crate::threads::begin;
use crate::web::codec;

mod connection;
mod wire;

/// Connections above the limit that are told so; more than these are closed without a word.
const REFUSED_AT_ONCE: usize = 16;

/// How long the end of a server waits for its connections.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long accepting rests when the system has no more sockets.
const REST: Duration = Duration::from_millis(50);

/// What a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of each request.
    pub codec: codec::Limits,
    /// Connections at a time; 503 above.
    pub connections: usize,
    /// From the first byte of a head to its last; from connecting to the first head's first byte,
    /// TLS included.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// Without a byte of a body that is being sent, either way.
    pub silence: Duration,
    /// Bytes of a body that are read though nobody wants them, to keep the connection.
    pub discard: u64,
    /// For reading the last answer, before the socket closes.
    pub linger: Duration,
}

/// 256 connections; 10 s for a head, a minute idle or silent, 64 MiB discarded, 2 s of lingering.
impl Default for Limits {
    fn default() -> Limits {
        Limits {
            codec: codec::Limits::default(),
            connections: 256,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            discard: 64 << 20,
            linger: Duration::from_secs(2),
        }
    }
}

/// A server that listens; dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

struct Shared {
    service: Arc<dyn Service>,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
    state: Mutex<State>,
    /// Somebody has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Sockets of the connections that are being served, to end them from outside.
    open: Vec<(u64, TcpStream)>,
    stopping: bool,
    accepting: bool,
}

impl Server {
    /// Listens, over TLS if there is an identity.
    pub fn start(
        listener: TcpListener,
        identity: Option<&Identity>,
        service: Arc<dyn Service>,
        limits: Limits,
    ) -> Result<Server> {
        let cannot =
            |error| Error::new(Kind::Network, format!("the simulated host cannot listen: {error}"));
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            service,
            tls: identity.map(Identity::config),
            limits,
            state: Mutex::new(State { accepting: true, ..State::default() }),
            ended: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        begin("sim accept", Box::new(move || theirs.accept(listener))).map_err(cannot)?;
        Ok(Server { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that are being served.
    pub fn connections(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Stops listening, ends the service and every connection, and waits a while for their threads.
    pub fn stop(&self) {
        let mut state = self.shared.lock();
        let first = !state.stopping;
        state.stopping = true;
        for (_, stream) in &state.open {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        if first {
            self.shared.service.shutdown();
            let _ = TcpStream::connect_timeout(&reachable(self.address), Duration::from_secs(1));
        }
        let ends = Instant::now() + GOODBYE;
        let mut state = self.shared.lock();
        while state.accepting || !state.open.is_empty() {
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!("{} connections of the simulated host do not end", state.open.len());
                return;
            }
            let woken = self.shared.ended.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The address under which this machine reaches its own listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Shared>, listener: TcpListener) {
        while !self.lock().stopping {
            match listener.accept() {
                Ok((stream, _)) => Shared::admit(&self, stream),
                Err(why) => {
                    crate::logging::debug!("the simulated host cannot accept: {why}");
                    thread::sleep(REST);
                }
            }
        }
        drop(listener);
        self.lock().accepting = false;
        self.ended.notify_all();
    }

    /// Gives a connection its thread; closes it where that is not possible.
    fn admit(this: &Arc<Shared>, stream: TcpStream) {
        let Ok(handle) = stream.try_clone() else { return };
        let mut state = this.lock();
        let count = state.open.len();
        if state.stopping || count >= this.limits.connections + REFUSED_AT_ONCE {
            return;
        }
        let id = state.next;
        state.next += 1;
        state.open.push((id, handle));
        drop(state);
        let welcome = count < this.limits.connections;
        let place = Place { shared: Arc::clone(this), id };
        let serves = move || place.shared.serve(stream, welcome);
        let spawned = begin("sim serve", Box::new(serves));
        if let Err(why) = spawned {
            log::warn!("no thread for another connection: {why}");
        }
    }

    fn serve(&self, stream: TcpStream, welcome: bool) {
        let wire = match Wire::new(stream, self.tls.as_ref(), self.limits.silence) {
            Ok(wire) => wire,
            Err(why) => return crate::logging::debug!("a connection is of no use: {why}"),
        };
        let mut limits = self.limits;
        if !welcome {
            limits.idle = limits.idle.min(limits.linger);
        }
        let service = welcome.then_some(&*self.service);
        connection::run(wire, service, &limits, &|| !self.lock().stopping);
    }
}

/// One place among the connections, given back however its thread ends.
struct Place {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().open.retain(|(id, _)| *id != self.id);
        self.shared.ended.notify_all();
    }
}
