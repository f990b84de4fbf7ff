//! What all connections of one server share: who is here, what they hold, whether it is over.
//!
//! All of it lives on one thread, so there is nothing to lock. Surprising: a connection that is idle
//! is ended from outside, by dropping its task, because to make each of them wait for the end would
//! cost every one of them some memory.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::net::sockopt;
use smol::future::FutureExt as _;
use smol::{Async, LocalExecutor, Task, Timer};

use crate::text::time;
use crate::web::serve::connection::Connection;
use crate::web::serve::handler::Handler;
use crate::web::serve::handler::Peer;
use crate::web::serve::handler::Process;
use crate::web::serve::identity::Identity;
use crate::web::serve::limits::Limits;
use crate::web::serve::listen::Listener;
use crate::web::serve::listen::Sockets;
use crate::web::serve::wire::SCRATCH;
use crate::web::serve::wire::Socket;
use crate::web::serve::wire::Wire;

/// Connections above the limit that are told so; more than these are closed without a word.
const REFUSED_AT_ONCE: usize = 16;

/// How long accepting rests when the system has no more sockets.
const REST: Duration = Duration::from_millis(50);

/// How long the end waits for clients to read what they have been sent.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// When the system begins to ask whether a silent client is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The state of a server.
pub(crate) struct Core {
    pub handler: Arc<dyn Handler>,
    pub limits: Limits,
    pub identity: Option<Arc<Identity>>,
    /// No request is begun any more.
    pub stopping: Cell<bool>,
    /// Connections, for others to see.
    pub count: Arc<AtomicUsize>,
    /// What all that read lend for a moment.
    pub scratch: RefCell<Vec<u8>>,
    /// Room for the next answer; empty while it is being sent.
    pub out: RefCell<Vec<u8>>,
    /// The second that it is, and how HTTP writes it.
    date: RefCell<(u64, String)>,
    bodies: Cell<usize>,
    refused: Cell<usize>,
    next: Cell<u64>,
    open: RefCell<HashMap<u64, Entry>>,
}

struct Entry {
    task: Option<Task<()>>,
    busy: Rc<Cell<bool>>,
    address: Option<u64>,
}

impl Core {
    pub fn new(
        handler: Arc<dyn Handler>,
        limits: Limits,
        identity: Option<Arc<Identity>>,
        count: Arc<AtomicUsize>,
    ) -> Core {
        Core {
            handler,
            limits,
            identity,
            count,
            stopping: Cell::default(),
            scratch: RefCell::new(vec![0; SCRATCH]),
            out: RefCell::default(),
            date: RefCell::default(),
            bodies: Cell::default(),
            refused: Cell::default(),
            next: Cell::default(),
            open: RefCell::default(),
        }
    }

    /// The date for an answer, written once a second.
    pub fn date(&self) -> String {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut date = self.date.borrow_mut();
        if date.0 != second {
            *date = (second, time::http(now));
        }
        date.1.clone()
    }

    /// Takes connections as long as it is polled.
    pub async fn accept(self: Rc<Core>, executor: Rc<LocalExecutor<'static>>, listener: Listener) {
        loop {
            let accepted = match &listener.sockets {
                Sockets::Tcp(it) => it.accept().await.and_then(tcp),
                Sockets::Unix(it) => it.accept().await.map(|(socket, _)| unix(socket)),
            };
            match accepted {
                Ok((socket, peer)) => self.admit(&executor, socket, peer, &listener.name),
                Err(why) => {
                    log::warn!("`{}` cannot accept a connection: {why}", listener.name);
                    Timer::after(REST).await;
                }
            }
            smol::future::yield_now().await;
        }
    }

    /// Gives a connection its task, or refuses it.
    fn admit(
        self: &Rc<Core>,
        executor: &LocalExecutor<'static>,
        socket: Socket,
        peer: Peer,
        listener: &Arc<str>,
    ) {
        let address = address_of(peer);
        let encrypted = self.identity.is_some() && matches!(socket, Socket::Tcp(_));
        let refusal = {
            let open = self.open.borrow();
            let same = |it: &&Entry| address.is_some() && it.address == address;
            let many = || open.values().filter(same).count();
            match () {
                () if open.len() >= self.limits.connections => Some(FULL),
                () if self.limits.per_address.is_some_and(|most| many() >= most) => Some(MANY),
                () => None,
            }
        };
        if let Some(refusal) = refusal {
            // A handshake would cost more than the connection that there is no place for.
            if !encrypted && self.refused.get() < REFUSED_AT_ONCE {
                self.refused.set(self.refused.get() + 1);
                self.handler.answered(503);
                let core = Rc::clone(self);
                let refusing = async move { core.refuse(Wire::new(socket), refusal).await };
                spawn(executor, refusing).detach();
            }
            return;
        }
        let id = self.next.get();
        self.next.set(id + 1);
        let busy = Rc::new(Cell::new(encrypted));
        let place = Place { core: Rc::clone(self), id };
        let mut connection = Connection {
            wire: Wire::new(socket),
            core: Rc::clone(self),
            peer,
            listener: Arc::clone(listener),
            busy: Rc::clone(&busy),
            bytes: Vec::new(),
            ended: false,
        };
        self.open.borrow_mut().insert(id, Entry { task: None, busy, address });
        self.count.store(self.open.borrow().len(), Ordering::Relaxed);
        let task = spawn(executor, async move {
            let _place = place;
            let served = async {
                if !encrypted || Box::pin(connection.encrypt()).await {
                    connection.run().await;
                }
            };
            // A defect ends one connection.
            if AssertUnwindSafe(served).catch_unwind().await.is_err() {
                log::error!("a defect ended a connection");
            }
        });
        if let Some(entry) = self.open.borrow_mut().get_mut(&id) {
            entry.task = Some(task);
        }
    }

    /// Tells a client that there is no place for it.
    async fn refuse(&self, mut wire: Wire, refusal: &'static [u8]) {
        if wire.send(refusal, self.limits.send).await.is_ok() {
            wire.linger(&self.scratch, self.limits.linger, self.limits.discard).await;
        }
        self.refused.set(self.refused.get().saturating_sub(1));
    }

    /// Ends the connections that are idle and waits for the others; how many were cut by then.
    pub async fn drain(&self, until: Instant) -> usize {
        self.stopping.set(true);
        self.handler.stopping();
        self.drop_tasks(|entry| !entry.busy.get());
        // There is no event for it, since the end comes once in a program's life.
        const LOOK: Duration = Duration::from_millis(10);
        let busy = || self.open.borrow().values().filter(|it| it.busy.get()).count();
        while busy() > 0 && Instant::now() < until {
            Timer::after(LOOK).await;
        }
        let cut = busy();
        // Clients that have their last answer are given a moment to take it.
        let until = until.min(Instant::now() + LAST_WORDS);
        while self.open.borrow().len() > cut && Instant::now() < until {
            Timer::after(LOOK).await;
        }
        self.drop_tasks(|_| true);
        cut
    }

    /// Tasks are dropped without the list being borrowed: they strike themselves off it.
    fn drop_tasks(&self, which: impl Fn(&Entry) -> bool) {
        let tasks: Vec<_> = {
            let mut open = self.open.borrow_mut();
            open.values_mut().filter(|it| which(it)).filter_map(|it| it.task.take()).collect()
        };
        drop(tasks);
    }
}

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 21\r\nRetry-After: 5\r\nConnection: close\r\n\r\ntoo many connections\n";

const MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\n\
    Content-Length: 38\r\nRetry-After: 5\r\nConnection: close\r\n\r\n\
    too many connections of this address.\n";

impl Connection {
    /// Agrees on TLS; false if the connection is of no use.
    async fn encrypt(&mut self) -> bool {
        let Some(identity) = &self.core.identity else { return true };
        let until = Instant::now() + self.core.limits.head;
        match self.wire.handshake(identity.config(), until).await {
            Ok(true) => {
                self.busy.set(false);
                return true;
            }
            Ok(false) => {
                let _ = self.wire.send(NOT_PLAIN, self.core.limits.send).await;
                let limits = &self.core.limits;
                self.wire.linger(&self.core.scratch, limits.linger, limits.discard).await;
            }
            Err(why) => {
                crate::logging::debug!("a connection from {:?} ended before HTTP: {why}", self.peer)
            }
        }
        false
    }
}

const NOT_PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 40\r\nConnection: close\r\n\r\nthis port speaks TLS: say https:// here\n";

/// Begins a task; in a box, since each sort of future would bring an executor's code of its own.
pub(crate) fn spawn(
    executor: &LocalExecutor<'static>,
    future: impl Future<Output = ()> + 'static,
) -> Task<()> {
    let boxed: Pin<Box<dyn Future<Output = ()>>> = Box::pin(future);
    executor.spawn(boxed)
}

/// One place among the connections, given back however its task ends.
struct Place {
    core: Rc<Core>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let entry = self.core.open.borrow_mut().remove(&self.id);
        self.core.count.store(self.core.open.borrow().len(), Ordering::Relaxed);
        if let Some(task) = entry.and_then(|it| it.task) {
            task.detach();
        }
    }
}

/// Bytes of bodies that one request holds.
pub(crate) struct Held<'a> {
    core: &'a Core,
    bytes: usize,
}

impl Held<'_> {
    pub fn new(core: &Core) -> Held<'_> {
        Held { core, bytes: 0 }
    }

    /// Takes room for more; false if there is none.
    pub fn more(&mut self, bytes: usize) -> bool {
        let all = self.core.bodies.get().saturating_add(bytes);
        if all > self.core.limits.bodies {
            return false;
        }
        self.core.bodies.set(all);
        self.bytes += bytes;
        true
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.core.bodies.set(self.core.bodies.get().saturating_sub(self.bytes));
    }
}

pub(crate) fn tcp(
    (socket, from): (Async<TcpStream>, std::net::SocketAddr),
) -> io::Result<(Socket, Peer)> {
    socket.get_ref().set_nodelay(true)?;
    // Not for the answer's sake: a client whose machine lost its power would stay for ever.
    let _ = sockopt::set_socket_keepalive(socket.get_ref(), true);
    let _ = sockopt::set_tcp_keepidle(socket.get_ref(), KEEPALIVE);
    let mut from = from;
    from.set_ip(from.ip().to_canonical());
    Ok((Socket::Tcp(socket), Peer::Net(from)))
}

pub(crate) fn unix(socket: Async<UnixStream>) -> (Socket, Peer) {
    let peer = sockopt::socket_peercred(socket.get_ref()).ok().map(|it| Process {
        pid: it.pid.as_raw_nonzero().get(),
        uid: it.uid.as_raw(),
        gid: it.gid.as_raw(),
    });
    (Socket::Unix(socket), Peer::Local(peer))
}

/// Whom connections are counted by: an address, or the network that one subscriber has of IPv6.
fn address_of(peer: Peer) -> Option<u64> {
    const HALF: u32 = 64;
    match peer {
        Peer::Net(from) => Some(match from.ip() {
            IpAddr::V4(ip) => u64::from(ip.to_bits()),
            IpAddr::V6(ip) => u64::try_from(ip.to_bits() >> HALF).unwrap_or(u64::MAX),
        }),
        Peer::Local(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_length_that_they_tell() {
        for text in [FULL, MANY, NOT_PLAIN] {
            let text = std::str::from_utf8(text).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{text}");
        }
    }

    #[test]
    fn no_small_packet_waits_for_the_one_before_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, from) = listener.accept().unwrap();
        let (socket, _) = tcp((Async::new(accepted).unwrap(), from)).unwrap();
        assert!(matches!(&socket, Socket::Tcp(it) if it.get_ref().nodelay().unwrap()));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let of = |text: &str| address_of(Peer::Net(text.parse().unwrap()));
        assert_eq!(of("[2001:db8:1:2::1]:9"), of("[2001:db8:1:2:ffff::2]:10"));
        assert_ne!(of("[2001:db8:1:2::1]:9"), of("[2001:db8:1:3::1]:9"));
        assert_ne!(of("10.0.0.1:1"), of("10.0.0.2:1"));
        assert_eq!(address_of(Peer::Local(None)), None);
    }
}
