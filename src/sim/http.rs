//! What the simulated host's services take and give, without sockets in its shape.
//!
//! The same service answers over TLS (`serve`) and inside the process ([`Local`]). Bodies stream
//! both ways, because an upload of gigabytes is counted and hashed, not kept. Surprising: an answer
//! may ask to be cut off, which is how a host that dies in the middle is played.

use std::io;
use std::io::Read;
use std::sync::Arc;

use crate::error::Result;
use crate::web::exchange;
use crate::web::exchange::Exchange;

/// A request whose head has been read.
pub struct Request<'a> {
    /// `GET`, `POST`, `PUT` ...
    pub method: &'a str,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// Names and values in the order in which they came.
    pub headers: &'a [(String, String)],
    /// The body, already without its framing; an early end is an error of the reader.
    pub body: &'a mut dyn Read,
}

impl Request<'_> {
    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        exchange::bare(self.target)
    }

    /// The query, still escaped; empty without one.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

/// What comes back.
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers beside those of the framing (Content-Length, Transfer-Encoding, Connection).
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// Close the connection after so many bytes of the body, as a host that dies does; 0 closes
    /// before the status line.
    pub cut: Option<u64>,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// A stream; without a length it is sent in chunks.
    Stream(Box<dyn Read + Send>, Option<u64>),
}

impl Answer {
    /// An answer without a body.
    pub fn empty(status: u16) -> Answer {
        Answer::of(status, "", Vec::new())
    }

    /// An answer of bytes; no Content-Type where `kind` is empty.
    pub fn of(status: u16, kind: &str, body: Vec<u8>) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Whole(body), cut: None }
            .maybe("Content-Type", kind)
    }

    /// An answer that is sent as it is read.
    pub fn stream(status: u16, body: Box<dyn Read + Send>, length: Option<u64>) -> Answer {
        Answer { status, headers: Vec::new(), body: Body::Stream(body, length), cut: None }
    }

    /// The same with this header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    fn maybe(self, name: &'static str, value: &str) -> Answer {
        match value {
            "" => self,
            value => self.header(name, value),
        }
    }
}

/// Somebody who answers.
pub trait Service: Send + Sync {
    /// Answers one request; may block, as a long poll does. What it leaves unread of the body is
    /// discarded by whoever called, within a bound.
    fn answer(&self, request: &mut Request) -> Answer;

    /// Wakes everybody who waits; the service ends.
    fn shutdown(&self) {}
}

/// A service in the same process, as the client sees a peer.
pub struct Local(pub Arc<dyn Service>);

impl Exchange for Local {
    fn exchange(&self, request: &exchange::Request) -> Result<exchange::Response> {
        let headers: Vec<(String, String)> = request
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let (mut body, mut upload) = (request.body, request.upload.as_ref());
        let body: &mut dyn Read = match &mut upload {
            Some(upload) => upload,
            None => &mut body,
        };
        let mut body = Heard { body, failed: None };
        let answer = self.0.answer(&mut Request {
            method: request.method,
            target: &request.path,
            headers: &headers,
            body: &mut body,
        });
        if let Some(error) = body.failed {
            return Err(exchange::from_io(error));
        }
        let length = match &answer.body {
            Body::Whole(bytes) => u64::try_from(bytes.len()).ok(),
            Body::Stream(_, length) => *length,
        };
        let framing = length.map(|it| ("Content-Length", it.to_string()));
        let headers = answer.headers.into_iter().chain(framing);
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let body: Box<dyn Read + Send> = match answer.body {
            Body::Whole(bytes) => Box::new(io::Cursor::new(bytes)),
            Body::Stream(stream, _) => stream,
        };
        let body: Box<dyn Read + Send> = match answer.cut {
            None => body,
            Some(bytes) => Box::new(body.take(bytes).chain(Broken)),
        };
        Ok(exchange::Response::new(answer.status, headers.collect(), body))
    }

    fn shutdown(&self) {
        self.0.shutdown();
    }
}

/// A body whose failure is its sender's to tell, whatever the service makes of it.
struct Heard<'a> {
    body: &'a mut dyn Read,
    failed: Option<io::Error>,
}

impl Read for Heard<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.body.read(into).map_err(|error| {
            let kind = error.kind();
            self.failed.get_or_insert(error);
            io::Error::from(kind)
        })
    }
}

/// What a cut connection looks like to its reader.
pub struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }
}
