//! A connection of our own: dialled, spoken over in TLS or plain, and listened to without waiting.
//!
//! It knows no HTTP but the frame of a chunk. Surprising: a name is resolved on a thread of its own,
//! because nothing else bounds that.

use std::io;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use crate::threads::{Words, begin};

/// A connection, in TLS or plain.
pub(crate) struct Wire {
    pub tcp: TcpStream,
    pub tls: Option<ClientConnection>,
}

/// Addresses of one name that are tried; the HTTP library takes no more.
pub(crate) const MOST_ADDRESSES: usize = 16;

/// The addresses of a name, asked for on a thread of its own because nothing else bounds it.
pub(crate) fn resolve(host: &str, port: u16, within: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let found = Words::default();
    let (name, done) = (host.to_owned(), found.clone());
    let work = move || {
        let found = (name.as_str(), port).to_socket_addrs();
        done.say(found.map(|it| it.take(MOST_ADDRESSES).collect::<Vec<_>>()));
    };
    begin("name", Box::new(work))?;
    found.next(Some(within)).unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))
}

/// The first of the addresses that answers.
pub(crate) fn dial(addresses: &[SocketAddr], until: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for (at, address) in addresses.iter().enumerate() {
        // Each gets its share, so that a dead one leaves time for the next.
        let share = left(until) / u32::try_from(addresses.len() - at).unwrap_or(1).max(1);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => return tcp.set_nodelay(true).map(|()| tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(crate) fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

impl Wire {
    /// The longest silence from now on.
    pub fn patience(&self, silence: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(silence))?;
        self.tcp.set_write_timeout(Some(silence))
    }

    /// One piece of the body, framed as a chunk where its length was not told.
    pub fn piece(&mut self, bytes: &[u8], chunked: bool) -> io::Result<()> {
        if !chunked {
            return self.write_all(bytes);
        }
        self.write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
        self.write_all(bytes)?;
        self.write_all(b"\r\n")
    }

    /// Whether the peer has said something, or left, without waiting for it.
    pub fn spoke(&mut self) -> io::Result<bool> {
        self.tcp.set_nonblocking(true)?;
        let spoke = self.has_input();
        self.tcp.set_nonblocking(false)?;
        match spoke {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            // Who reset the connection is told by the next write, or has answered before.
            Err(_) => Ok(true),
            Ok(spoke) => Ok(spoke),
        }
    }

    fn has_input(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return self.tcp.peek(&mut [0]).map(|_| true);
        };
        loop {
            if tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(true);
            }
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            // Tickets and key updates are no answer.
            if state.plaintext_bytes_to_read() > 0 || state.peer_has_closed() {
                return Ok(true);
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
            tls.read_tls(&mut self.tcp)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }

    crate::text::reading::shared!();
}

/// Not by rustls's own stream: that one keeps to itself that a write timed out, tries again with the
/// next and before each read, and so waits many times as long for a peer that is silent.
impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.tcp.write(bytes) };
        let taken = tls.writer().write(bytes)?;
        self.flush().map(|()| taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return self.tcp.flush() };
        while tls.wants_write() {
            match tls.write_tls(&mut self.tcp) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
