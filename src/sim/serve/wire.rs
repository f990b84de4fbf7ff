//! A connection's bytes, with or without TLS, where every wait has an end.
//!
//! Surprising: the time limit is a moment, not a duration for each read, because a client that sends
//! a byte now and then would otherwise hold a thread for ever, also within TLS.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;

/// The socket; reading fails once the moment has come.
struct Timed {
    stream: TcpStream,
    until: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection.
pub struct Wire(Inner);

enum Inner {
    Plain(Timed),
    Tls(Box<StreamOwned<ServerConnection, Timed>>),
}

impl Wire {
    /// Over this socket; a peer that takes nothing for as long as `stall` is given up.
    pub fn new(
        stream: TcpStream,
        tls: Option<&Arc<ServerConfig>>,
        stall: Duration,
    ) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(stall))?;
        let timed = Timed { stream, until: Instant::now() };
        Ok(Wire(match tls {
            None => Inner::Plain(timed),
            Some(config) => {
                let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                Inner::Tls(Box::new(StreamOwned::new(tls, timed)))
            }
        }))
    }

    /// From now on reading ends at this moment.
    pub fn until(&mut self, moment: Instant) {
        self.timed().until = moment;
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream: &mut dyn Write = match &mut self.0 {
            Inner::Plain(timed) => timed,
            Inner::Tls(stream) => stream,
        };
        stream.write_all(bytes)?;
        stream.flush()
    }

    /// Reads some of what has come; 0 once the client has ended.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stream: &mut dyn Read = match &mut self.0 {
            Inner::Plain(timed) => timed,
            Inner::Tls(stream) => stream,
        };
        loop {
            match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // How a time limit of a socket shows depends on the system.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                // TLS without a goodbye; whether something is missing shows in HTTP.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
        }
    }

    /// Ends our side and lets the client read what was sent: to close while it still sends would
    /// make its system throw our answer away.
    pub fn linger(mut self, patience: Duration, mut most: u64) {
        if let Inner::Tls(stream) = &mut self.0 {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let timed = self.timed();
        let _ = timed.stream.shutdown(Shutdown::Write);
        timed.until = Instant::now() + patience;
        let mut bin = [0; 16 << 10];
        while most > 0 {
            match timed.read(&mut bin) {
                Ok(count @ 1..) => most = most.saturating_sub(u64::try_from(count).unwrap_or(most)),
                _ => return,
            }
        }
    }

    fn timed(&mut self) -> &mut Timed {
        match &mut self.0 {
            Inner::Plain(timed) => timed,
            Inner::Tls(stream) => &mut stream.sock,
        }
    }
}
