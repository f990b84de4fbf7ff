//! A connection's bytes without waiting threads, plain or in TLS, where every wait has an end.
//!
//! rustls is driven by hand, since all that is needed of an adapter stands here. Surprising: who
//! reads lends a buffer that all connections share, because a buffer of its own is most of what an
//! idle connection would cost; and a timer is set only once something must be waited for, and left
//! as it is when the moment moves further away.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use smol::{Async, Timer};

use crate::web::serve::limits::Pace;

/// Bytes that are read at once.
pub(crate) const SCRATCH: usize = 16 << 10;

/// Bytes that TLS is given at once; they count as sent only together.
const RECORD: usize = 16 << 10;

/// Bytes that TLS reads at once; fewer were all that there was.
const TLS_READ: usize = 4 << 10;

/// Counts what has come or gone by a [`Pace`].
pub(crate) struct Paced {
    pace: Pace,
    since: Instant,
    last: Instant,
    bytes: u64,
}

impl Paced {
    pub fn new(pace: Pace) -> Paced {
        let now = Instant::now();
        Paced { pace, since: now, last: now, bytes: 0 }
    }

    pub fn passed(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.last = Instant::now();
    }

    pub fn until(&self) -> Instant {
        self.pace.until(self.since, self.last, self.bytes)
    }
}

/// The socket of a connection.
pub(crate) enum Socket {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

impl Socket {
    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(it) => it.poll_readable(context),
            Socket::Unix(it) => it.poll_readable(context),
        }
    }

    fn poll_writable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Tcp(it) => it.poll_writable(context),
            Socket::Unix(it) => it.poll_writable(context),
        }
    }

    fn end(&self, how: Shutdown) {
        let _ = match self {
            Socket::Tcp(it) => it.get_ref().shutdown(how),
            Socket::Unix(it) => it.get_ref().shutdown(how),
        };
    }
}

/// Without waiting: `WouldBlock` is passed on.
impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Socket::Tcp(it) => it.get_ref().read(buffer),
                Socket::Unix(it) => it.get_ref().read(buffer),
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let written = match self {
                Socket::Tcp(it) => it.get_ref().write(bytes),
                Socket::Unix(it) => it.get_ref().write(bytes),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One timer for all that a connection waits for.
struct Alarm {
    timer: Timer,
    /// When it will ring, if it is set.
    at: Option<Instant>,
}

impl Alarm {
    fn poll(&mut self, context: &mut Context<'_>, until: Instant) -> Poll<()> {
        use std::future::Future as _;
        loop {
            if Instant::now() >= until {
                return Poll::Ready(());
            }
            if self.at.is_none_or(|at| at > until) {
                self.timer.set_at(until);
                self.at = Some(until);
            }
            ready!(std::pin::Pin::new(&mut self.timer).poll(context));
            self.at = None;
        }
    }
}

/// A connection.
pub(crate) struct Wire {
    socket: Socket,
    /// The last read took all that there was.
    dry: bool,
    tls: Option<Box<Connection>>,
    alarm: Alarm,
}

impl Wire {
    /// Over this socket, so far without TLS.
    pub fn new(socket: Socket) -> Wire {
        Wire { socket, dry: false, tls: None, alarm: Alarm { timer: Timer::never(), at: None } }
    }

    /// It is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Who was at the other end of a Unix socket has closed it for both ways, and is not only done
    /// with writing; of TCP nobody can tell.
    pub fn is_gone(&self) -> bool {
        let Socket::Unix(it) = &self.socket else { return false };
        let mut asked = [PollFd::new(it, PollFlags::empty())];
        let told = poll(&mut asked, Some(&Timespec::default()));
        told.is_ok() && asked.iter().any(|it| it.revents().contains(PollFlags::HUP))
    }

    /// Waits for the first byte and agrees on TLS; false if the client speaks in plain text.
    pub async fn handshake(
        &mut self,
        config: Arc<ServerConfig>,
        until: Instant,
    ) -> io::Result<bool> {
        let Socket::Tcp(tcp) = &self.socket else { return Ok(true) };
        let alarm = &mut self.alarm;
        let mut first = [0];
        let seen = poll_fn(|context| {
            loop {
                match tcp.get_ref().peek(&mut first) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    other => return Poll::Ready(other),
                }
                match tcp.poll_readable(context) {
                    Poll::Ready(ready) => ready?,
                    Poll::Pending => return late(alarm, context, until),
                }
            }
        });
        // The type of every record that a client may begin with.
        const HANDSHAKE: u8 = 22;
        if seen.await? > 0 && first != [HANDSHAKE] {
            return Ok(false);
        }
        let tls = ServerConnection::new(config).map_err(io::Error::other)?;
        self.agree(tls.into(), until).await?;
        Ok(true)
    }

    /// Agrees on TLS with a server of this name, which the settings check.
    pub async fn hello(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        until: Instant,
    ) -> io::Result<()> {
        let tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        self.agree(tls.into(), until).await
    }

    async fn agree(&mut self, tls: Connection, until: Instant) -> io::Result<()> {
        let tls = self.tls.insert(Box::new(tls));
        let (socket, alarm, dry) = (&self.socket, &mut self.alarm, &mut self.dry);
        poll_fn(|context| {
            while tls.is_handshaking() {
                let step = match flush(tls, socket, context) {
                    Poll::Ready(Ok(())) if tls.is_handshaking() => {
                        receive(tls, socket, dry, context)
                    }
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(())),
                    other => other.map_ok(|()| 0),
                };
                match step {
                    Poll::Ready(step) => _ = step?,
                    Poll::Pending => return late(alarm, context, until),
                }
            }
            match flush(tls, socket, context) {
                Poll::Pending => late(alarm, context, until),
                ready => ready,
            }
        })
        .await
    }

    /// Sends some of it; of nothing, what TLS has still to send.
    pub fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (socket, Some(tls)) = (&self.socket, &mut self.tls) else {
            return match bytes.is_empty() {
                true => Poll::Ready(Ok(0)),
                false => plain(&self.socket, bytes, context),
            };
        };
        ready!(flush(tls, socket, context))?;
        let count = tls.writer().write(bytes.get(..RECORD).unwrap_or(bytes))?;
        match flush(tls, socket, context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(count)),
        }
    }

    /// Reads some of what has come; 0 once the client has ended.
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(tls) = &mut self.tls else {
            let mut socket = &self.socket;
            let full = buffer.len();
            return take(&self.socket, &mut self.dry, full, context, &mut || socket.read(buffer));
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Ended without a goodbye; whether something is missing shows in HTTP.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(0));
                }
                other => return Poll::Ready(other),
            }
            // Answers to what the client's TLS asked for itself, such as new keys.
            if let Poll::Ready(Err(error)) = flush(tls, &self.socket, context) {
                return Poll::Ready(Err(error));
            }
            ready!(receive(tls, &self.socket, &mut self.dry, context))?;
        }
    }

    /// Adds to `bytes` what has come; `TimedOut` if nothing has by then.
    pub async fn read(
        &mut self,
        bytes: &mut Vec<u8>,
        scratch: &RefCell<Vec<u8>>,
        until: Instant,
    ) -> io::Result<usize> {
        poll_fn(|context| match self.poll_read_into(context, bytes, scratch) {
            Poll::Pending => late(&mut self.alarm, context, until),
            ready => ready,
        })
        .await
    }

    /// The same without an end to the waiting.
    pub fn poll_read_into(
        &mut self,
        context: &mut Context<'_>,
        bytes: &mut Vec<u8>,
        scratch: &RefCell<Vec<u8>>,
    ) -> Poll<io::Result<usize>> {
        let mut scratch = scratch.borrow_mut();
        let count = ready!(self.poll_read(context, &mut scratch))?;
        bytes.extend_from_slice(scratch.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    /// Sends all of it, or fails when the client takes it too slowly.
    pub async fn send(&mut self, mut bytes: &[u8], pace: Pace) -> io::Result<()> {
        let mut paced: Option<Paced> = None;
        let (socket, alarm, tls) = (&self.socket, &mut self.alarm, &mut self.tls);
        poll_fn(|context| {
            loop {
                let step = match tls {
                    None if bytes.is_empty() => return Poll::Ready(Ok(())),
                    None => plain(socket, bytes, context),
                    Some(tls) => match flush(tls, socket, context) {
                        Poll::Ready(Ok(())) if bytes.is_empty() => return Poll::Ready(Ok(())),
                        Poll::Ready(Ok(())) => {
                            let part = bytes.get(..RECORD).unwrap_or(bytes);
                            Poll::Ready(tls.writer().write(part))
                        }
                        other => other.map_ok(|()| 0),
                    },
                };
                match step {
                    Poll::Ready(step) => {
                        let count = step?;
                        bytes = bytes.get(count..).unwrap_or_default();
                        if let Some(paced) = &mut paced {
                            paced.passed(count);
                        }
                    }
                    Poll::Pending => {
                        let paced = paced.get_or_insert_with(|| Paced::new(pace));
                        return late(alarm, context, paced.until());
                    }
                }
            }
        })
        .await
    }

    /// Ends our side and lets the client read what was sent: to close while it still sends would
    /// make its system throw our answer away.
    pub async fn linger(&mut self, scratch: &RefCell<Vec<u8>>, patience: Duration, most: usize) {
        let until = Instant::now() + patience;
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = self.send(&[], Pace { grace: patience, floor: u64::MAX }).await;
        }
        self.socket.end(Shutdown::Write);
        self.tls = None;
        let mut left = most;
        while left > 0 {
            let read = poll_fn(|context| {
                let mut scratch = scratch.borrow_mut();
                match self.poll_read(context, &mut scratch) {
                    Poll::Pending => late(&mut self.alarm, context, until),
                    ready => ready,
                }
            });
            match read.await {
                Ok(count @ 1..) => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}

/// Nothing to do but wait, if there is still time.
fn late<T>(alarm: &mut Alarm, context: &mut Context<'_>, until: Instant) -> Poll<io::Result<T>> {
    alarm.poll(context, until).map(|()| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads when there may be something. After a read that got less than it could, the socket is waited
/// for instead of asked again in vain; what came in between is told too, since the system tells of
/// what is there and not of what is new.
fn take(
    socket: &Socket,
    dry: &mut bool,
    full: usize,
    context: &mut Context<'_>,
    read: &mut dyn FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        if *dry {
            ready!(socket.poll_readable(context))?;
        }
        match read() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *dry = true,
            other => {
                *dry = other.as_ref().is_ok_and(|count| *count < full);
                return Poll::Ready(other);
            }
        }
    }
}

fn plain(socket: &Socket, bytes: &[u8], context: &mut Context<'_>) -> Poll<io::Result<usize>> {
    loop {
        let mut to = socket;
        match to.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => return Poll::Ready(other),
        }
        ready!(socket.poll_writable(context))?;
    }
}

/// Sends what TLS has to send.
fn flush(tls: &mut Connection, socket: &Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut to = socket;
    while tls.wants_write() {
        match tls.write_tls(&mut to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(socket.poll_writable(context))?;
            }
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => _ = other?,
        }
    }
    Poll::Ready(Ok(()))
}

/// Takes what has come for TLS; an end is for its reader to tell.
fn receive(
    tls: &mut Connection,
    socket: &Socket,
    dry: &mut bool,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut from = socket;
    let count = ready!(take(socket, dry, TLS_READ, context, &mut || tls.read_tls(&mut from)))?;
    if let Err(error) = tls.process_new_packets() {
        // The client is told why, as far as that goes without waiting.
        let _ = tls.write_tls(&mut { socket });
        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
    }
    if count == 0 && tls.is_handshaking() {
        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
    }
    Poll::Ready(Ok(count))
}
