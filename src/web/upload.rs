//! Sends what is larger than memory: a body that is read while it goes out, on a connection of its
//! own.
//!
//! The HTTP library would lose the answer of a peer that refuses in the middle, or send all of it
//! first. Here the peer is listened to before each piece. It must not know what is sent or to whom.
//! Surprising: no `Expect` is sent, because hypervisors do not answer it; and pieces are of 64 KiB,
//! because larger ones make the allocator map and unmap memory for each.

use std::io;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::error::{Error, Result};
use crate::text::base64;
use crate::web::codec::Framing;
use crate::web::codec::body::Decoder;
use crate::web::connect::{Stage, Unreached};
use crate::web::exchange::{Request, Response, bare, from_io, into_io};
use crate::web::failure::{Part, Peer};
use crate::web::line::{Wire, dial, left, resolve};

/// Bytes that are read and sent at once.
const PIECE: usize = 64 * 1024;

/// Longest head of an answer, or of a proxy's.
const MAX_HEAD: usize = 32 * 1024;

/// A proxy that tunnels.
pub(crate) struct Tunnel {
    pub host: String,
    pub port: u16,
    /// `user:password`.
    pub login: Option<String>,
}

/// Where the peer is, for connections of our own.
pub(crate) struct Way {
    pub peer: Arc<Peer>,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// All that it may be reached at; none for what the name resolves to.
    pub addresses: Vec<SocketAddr>,
    /// What the Host header says.
    pub authority: String,
    pub tls: Option<Arc<ClientConfig>>,
    pub tunnel: Option<Tunnel>,
}

impl Way {
    /// Sends the request with this body, of this many bytes or else in chunks, and returns as soon as
    /// the answer's head is here. An answer that comes before the end ends the sending.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        length: Option<u64>,
        body: &mut dyn Read,
        silence: Duration,
    ) -> Result<Response> {
        if !request.path.starts_with('/') || !request.path.bytes().all(|it| it.is_ascii_graphic()) {
            let path = bare(&request.path);
            return Err(Error::usage(format!(
                "`{path}` cannot be sent to: a character is not escaped"
            )));
        }
        let mut wire = self.connect(silence)?;
        let lost = |error| self.explain(error, Part::Request, silence);
        wire.write_all(self.head(request, length).as_bytes()).map_err(lost)?;
        let mut piece = vec![0; PIECE];
        let mut broken = None;
        loop {
            let read = match body.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result.map_err(from_io)?,
            };
            if read == 0 || wire.spoke().map_err(lost)? {
                break;
            }
            if let Err(error) = wire.piece(&piece[..read], length.is_none()) {
                // Who went away in the middle may have said why.
                broken = Some(error);
                break;
            }
        }
        let end: &[u8] = if length.is_none() { b"0\r\n\r\n" } else { b"" };
        if broken.is_none() {
            broken = wire.write_all(end).and_then(|()| wire.flush()).err();
        }
        // Who has taken nothing for so long is not waited for once more, unless it has answered.
        if let Some(error) = broken.take_if(|it| is_silence(it))
            && !wire.spoke().map_err(lost)?
        {
            return Err(lost(error));
        }
        match answer(wire) {
            Ok((status, headers, rest)) => {
                let (peer, silence) = (self.peer.clone(), silence);
                Ok(Response::new(status, headers, Box::new(Explained { rest, peer, silence })))
            }
            Err(error) => Err(lost(broken.unwrap_or(error))),
        }
    }

    fn head(&self, request: &Request<'_>, length: Option<u64>) -> String {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.path, self.authority);
        for (name, value) in &request.headers {
            // A line break in a value would begin a header of somebody else's.
            let value: String = value.chars().filter(|it| !it.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match length {
            Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
            None => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head.push_str("connection: close\r\n\r\n");
        head
    }

    fn connect(&self, silence: Duration) -> Result<Wire> {
        let until = Instant::now() + self.peer.connect_timeout;
        let (host, port) = match &self.tunnel {
            Some(proxy) => (proxy.host.as_str(), proxy.port),
            None => (self.host.as_str(), self.port),
        };
        let target = format!("{host}:{port}");
        let failed = |stage| {
            let target = target.clone();
            move |cause: io::Error| self.unreached(stage, target.clone(), ureq::Error::Io(cause))
        };
        let addresses = match &self.tunnel {
            None if !self.addresses.is_empty() => self.addresses.clone(),
            _ => resolve(host, port, left(until)).map_err(failed(Stage::Resolve))?,
        };
        let tcp = dial(&addresses, until).map_err(failed(Stage::Dial))?;
        let mut wire = Wire { tcp, tls: None };
        wire.patience(left(until)).map_err(failed(Stage::Dial))?;
        if let Some(proxy) = &self.tunnel {
            self.tunnel(&mut wire, proxy)?;
        }
        if let Some(config) = &self.tls {
            let at = format!("{}:{}", self.host, self.port);
            let failed = |cause: io::Error| {
                let cause = match is_silence(&cause) {
                    true => ureq::Error::Timeout(ureq::Timeout::Connect),
                    false => ureq::Error::Io(cause),
                };
                self.unreached(Stage::Handshake, at.clone(), cause)
            };
            let name = ServerName::try_from(self.host.clone()).map_err(|_| {
                Error::usage(format!("`{}` cannot stand in a certificate", self.host))
            })?;
            let mut tls = ClientConnection::new(config.clone(), name)
                .map_err(|error| failed(io::Error::other(error)))?;
            while tls.is_handshaking() {
                tls.complete_io(&mut wire.tcp).map_err(failed)?;
            }
            wire.tls = Some(tls);
        }
        wire.patience(silence).map_err(failed(Stage::Dial))?;
        Ok(wire)
    }

    /// Asks a proxy for a way through.
    fn tunnel(&self, wire: &mut Wire, proxy: &Tunnel) -> Result<()> {
        let to = format!("{}:{}", self.authority_host(), self.port);
        let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(login) = &proxy.login {
            let login = base64::encode(login.as_bytes());
            head.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
        }
        head.push_str("\r\n");
        let at = format!("{}:{}", proxy.host, proxy.port);
        let answered = wire.write_all(head.as_bytes()).and_then(|()| read_head(wire));
        let (status, ..) = answered
            .map_err(|error| self.unreached(Stage::Dial, at.clone(), ureq::Error::Io(error)))?;
        match status {
            200..=299 => Ok(()),
            status => {
                let cause = ureq::Error::ConnectProxyFailed(format!("answered/{status}"));
                Err(self.unreached(Stage::Dial, at, cause))
            }
        }
    }

    fn authority_host(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        }
    }

    fn unreached(&self, stage: Stage, target: String, cause: ureq::Error) -> Error {
        let unreached = Unreached { stage, target, cause };
        self.explain_ureq(ureq::Error::Other(Box::new(unreached)), Part::Request, Duration::ZERO)
    }

    fn explain_ureq(&self, error: ureq::Error, part: Part, silence: Duration) -> Error {
        self.peer.explain(error, part, silence)
    }

    fn explain(&self, error: io::Error, part: Part, silence: Duration) -> Error {
        explain(&self.peer, error, part, silence)
    }
}

/// A failure of the connection in our words; our own error if it carries one.
fn explain(peer: &Peer, error: io::Error, part: Part, silence: Duration) -> Error {
    if crate::web::exchange::is_carried(&error) {
        return from_io(error);
    }
    let cause = match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => ureq::Error::Timeout(ureq::Timeout::PerCall),
        _ => ureq::Error::Io(error),
    };
    peer.explain(cause, part, silence)
}

type Headers = Vec<(String, String)>;

type Head = (u16, Headers, Vec<u8>);

/// Status, headers, and what was read beyond them; interim answers are passed over.
fn read_head(wire: &mut Wire) -> io::Result<Head> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let rest = bytes.split_off(end + 4);
            let (status, headers) = parse_head(&text).ok_or(ErrorKind::InvalidData)?;
            if status >= 200 {
                return Ok((status, headers, rest));
            }
            bytes = rest;
        }
        if bytes.len() > MAX_HEAD {
            return Err(ErrorKind::InvalidData.into());
        }
        match wire.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            got => bytes.extend_from_slice(&piece[..got]),
        }
    }
}

fn parse_head(text: &str) -> Option<(u16, Headers)> {
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let status = first.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_owned(), value.trim().to_owned()))
    };
    Some((status, lines.filter_map(pair).collect()))
}

fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Status and headers of the answer, and its body as far as it goes.
fn answer(mut wire: Wire) -> io::Result<(u16, Headers, Rest)> {
    let (status, headers, early) = read_head(&mut wire)?;
    let value = |name: &str| {
        headers
            .iter()
            .find(|(it, _)| it.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    };
    let chunked = value("Transfer-Encoding").is_some_and(|it| it.eq_ignore_ascii_case("chunked"));
    let length = value("Content-Length").and_then(|it| it.parse().ok());
    let framing = match (status, chunked, length) {
        (204 | 304, ..) => Some(Framing::None),
        (_, true, _) => Some(Framing::Chunked),
        (_, _, Some(length)) => Some(Framing::Length(length)),
        // Until the connection ends.
        _ => None,
    };
    let decoder = framing.map(|framing| Decoder::new(framing, None));
    Ok((status, headers, Rest { wire, early, at: 0, decoder }))
}

/// The body of an answer, without its framing.
struct Rest {
    wire: Wire,
    /// Read and not handed out yet, from `at` on.
    early: Vec<u8>,
    at: usize,
    decoder: Option<Decoder>,
}

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.as_ref().is_some_and(Decoder::done) || into.is_empty() {
                return Ok(0);
            }
            if self.at == self.early.len() {
                self.early.resize(4096, 0);
                let got = self.wire.read(&mut self.early)?;
                self.early.truncate(got);
                self.at = 0;
                if got == 0 {
                    return match &self.decoder {
                        Some(_) => Err(ErrorKind::UnexpectedEof.into()),
                        None => Ok(0),
                    };
                }
            }
            let input = &self.early[self.at..];
            let (skip, data) = match &mut self.decoder {
                None => (0, input.len().min(into.len())),
                Some(decoder) => {
                    // Never more than fits, since what was looked at counts as taken.
                    let most = input.len().min(into.len().max(1));
                    let step =
                        decoder.step(&input[..most]).map_err(|it| io::Error::other(it.why))?;
                    (step.skip, step.data)
                }
            };
            let from = self.at + skip;
            into[..data].copy_from_slice(&self.early[from..from + data]);
            self.at = from + data;
            if data > 0 {
                return Ok(data);
            }
        }
    }

    crate::text::reading::shared!();
}

/// The same, with its failures in our words.
struct Explained {
    rest: Rest,
    peer: Arc<Peer>,
    silence: Duration,
}

impl Read for Explained {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let failed = |error| into_io(explain(&self.peer, error, Part::Body, self.silence));
        self.rest.read(into).map_err(failed)
    }

    crate::text::reading::shared!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A peer that reads so many bytes, or a chunked body's end, answers and closes.
    fn peer(take: usize, answer: &'static str) -> (u16, std::thread::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut tcp, _) = listener.accept().unwrap();
            let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
            while seen.len() < take && !seen.ends_with(b"\r\n0\r\n\r\n") {
                match tcp.read(&mut piece) {
                    Ok(got) if got > 0 => seen.extend_from_slice(&piece[..got]),
                    _ => break,
                }
            }
            tcp.write_all(answer.as_bytes()).unwrap();
            seen
        });
        (port, thread)
    }

    fn way(port: u16) -> Way {
        let name = format!("127.0.0.1:{port}");
        let connect_timeout = Duration::from_secs(5);
        Way {
            peer: Arc::new(Peer { name: name.clone(), proxy: None, connect_timeout }),
            host: "127.0.0.1".to_owned(),
            port,
            addresses: Vec::new(),
            authority: name,
            tls: None,
            tunnel: None,
        }
    }

    fn put(port: u16, body: &mut dyn Read, length: Option<u64>) -> Result<(u16, String)> {
        let request = Request::new("PUT", "/file", b"").header("Cookie", "a\r\nb");
        let mut response = way(port).send(&request, length, body, Duration::from_secs(2))?;
        let mut text = String::new();
        response.body.read_to_string(&mut text).map_err(from_io)?;
        Ok((response.status, text))
    }

    #[test]
    fn a_body_goes_out_whole_and_the_answer_comes_back() {
        let head = "PUT /file HTTP/1.1\r\nhost: 127.0.0.1:0\r\nCookie: ab\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n";
        let (port, thread) = peer(head.len() + 9, answer);
        let found = put(port, &mut &b"12345"[..], Some(5)).unwrap();
        assert_eq!(found, (201, "yes".to_owned()));
        let seen = String::from_utf8(thread.join().unwrap()).unwrap();
        assert_eq!(seen.replace(&format!(":{port}"), ":0"), format!("{head}12345"));
        let (port, thread) = peer(usize::MAX, "HTTP/1.1 200 OK\r\n\r\nuntil the end");
        let mut body = io::repeat(b'x').take(1 << 20);
        assert_eq!(put(port, &mut body, None).unwrap(), (200, "until the end".to_owned()));
        let seen = thread.join().unwrap();
        assert!(seen.windows(11).any(|it| it == b"\r\n10000\r\nxx"), "{}", seen.len());
    }

    #[test]
    fn who_refuses_in_the_middle_is_heard() {
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nfull";
        let (port, thread) = peer(200_000, answer);
        let mut body = io::repeat(b'x').take(8 << 30);
        assert_eq!(put(port, &mut body, Some(8 << 30)).unwrap(), (403, "full".to_owned()));
        thread.join().unwrap();
        assert!(body.limit() > 7 << 30, "all of it was read");
    }

    #[test]
    fn what_fails_is_told_in_our_words() {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for (port, said) in [
            (gone, "refused the connection"),
            (peer(10, "").0, "closed the connection before it answered"),
            (peer(10, "SSH-2.0-x\r\n\r\n").0, "could not be spoken to"),
            (
                peer(1 << 20, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").0,
                "was silent for 2 s",
            ),
        ] {
            let error = put(port, &mut &b"12345"[..], Some(5)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let (port, _thread) = peer(100, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        let error = put(port, &mut &b"12345"[..], Some(5)).unwrap_err().to_string();
        assert!(error.contains("closed the connection in the middle of the answer"), "{error}");
        // What the source says goes through.
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(into_io(Error::usage("the OVA ends too early")))
            }
        }
        let (port, _thread) = peer(1, "");
        let error = put(port, &mut Bad, Some(5)).unwrap_err().to_string();
        assert!(error.contains("the OVA ends too early"), "{error}");
    }
}
