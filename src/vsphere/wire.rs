//! One SOAP request and its answer over an [`Exchange`]: headers, status codes, sizes.
//!
//! It knows HTTP's part of SOAP and nothing of sessions. Surprising: a SOAP answer comes with 200
//! or with 500; everything else carries no envelope and must not reach the XML parser.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::text::secret::Secret;
use crate::vim::version::Version;
use crate::web::exchange::{Exchange, Request, Response};

/// Largest answer that is held as a whole; lists are read object by object and may be larger.
pub const MAX_ANSWER: usize = 32 << 20;

/// What went over the wire.
#[derive(Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub logins: AtomicU64,
    pub sent: std::sync::Arc<AtomicU64>,
    pub received: AtomicU64,
    /// Leases that are open now.
    pub leases: AtomicU64,
}

/// A server's endpoint.
pub struct Wire {
    pub exchange: Box<dyn Exchange>,
    pub counts: std::sync::Arc<Counts>,
}

impl Wire {
    pub fn new(exchange: Box<dyn Exchange>) -> Wire {
        Wire { exchange, counts: std::sync::Arc::default() }
    }

    /// Posts an envelope; the answer's status is 200 or 500.
    pub fn post(
        &self,
        version: Version,
        cookie: Option<&Secret>,
        envelope: &str,
        silence: Option<Duration>,
    ) -> Result<Response> {
        let mut request = Request::new("POST", "/sdk", envelope.as_bytes())
            .header("Content-Type", "text/xml; charset=utf-8")
            .header("SOAPAction", format!("\"urn:vim25/{}\"", version.name()));
        if let Some(cookie) = cookie {
            request = request.header("Cookie", cookie.reveal());
        }
        request.silence = silence;
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.counts.sent.fetch_add(envelope.len() as u64, Ordering::Relaxed);
        let response = self.exchange.exchange(&request)?;
        match response.status {
            200 | 500 => Ok(self.counted(response)),
            status => Err(not_soap(status, &response)),
        }
    }

    /// Gets a small file that needs no session; `None` where the server has none.
    pub fn get(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let response = self.exchange.exchange(&Request::new("GET", path, b""))?;
        match response.status {
            200 => {
                let mut response = self.counted(response);
                crate::web::exchange::read_capped(&mut response.body, limit).map(Some)
            }
            404 | 500 => Ok(None),
            status => Err(not_soap(status, &response)),
        }
    }

    /// Sends any other request; whatever status comes back is the caller's to judge.
    pub fn send(&self, request: &Request) -> Result<Response> {
        self.pass(&*self.exchange, request)
    }

    /// The same to a host that the server names, counted as the server's.
    pub fn pass(&self, to: &dyn Exchange, request: &Request) -> Result<Response> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.counts.sent.fetch_add(request.body.len() as u64, Ordering::Relaxed);
        if let Some(upload) = &request.upload {
            upload.count_into(&self.counts.sent);
        }
        Ok(self.counted(to.exchange(request)?))
    }

    /// Gets something beside SOAP with the session's cookie, whatever its status.
    pub fn fetch(
        &self,
        path: &str,
        cookie: Option<&Secret>,
        silence: Option<Duration>,
    ) -> Result<Response> {
        let mut request = Request::new("GET", path, b"");
        if let Some(cookie) = cookie {
            request = request.header("Cookie", cookie.reveal());
        }
        request.silence = silence;
        self.send(&request)
    }

    fn counted(&self, mut response: Response) -> Response {
        let (body, counts) = (response.body, self.counts.clone());
        response.body = Box::new(Counted { body, counts });
        response
    }
}

struct Counted {
    body: Box<dyn Read + Send>,
    counts: std::sync::Arc<Counts>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(into)?;
        self.counts.received.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    crate::text::reading::shared!();
}

fn not_soap(status: u16, response: &Response) -> Error {
    let network = |text: String| Error::new(Kind::Network, text);
    match status {
        503 => Error::new(Kind::Busy, "the server answered HTTP 503")
            .fault("ServiceUnavailable")
            .hint("It is starting, or its session table is full; try again in a minute, and look for programs that leak sessions"),
        301 | 302 | 307 | 308 => {
            let to = crate::error::quoted(response.header("Location").unwrap_or("elsewhere"));
            network(format!("the server answered HTTP {status}: it redirects to {to}"))
                .hint("Put the address of the ESXi host or vCenter itself into the configuration")
        }
        502 | 504 => network(format!("a proxy answered HTTP {status} for the server"))
            .hint("Look at the proxy, or set NO_PROXY for this host"),
        401 | 403 | 407 => network(format!("something on the way answered HTTP {status}"))
            .hint("Look at the proxy, or set NO_PROXY for this host"),
        404 => network("the server answered HTTP 404: no vSphere API at /sdk".to_owned())
            .hint("Is this address an ESXi host or a vCenter?"),
        status => network(format!("the server answered HTTP {status} instead of SOAP"))
            .hint("Is this address an ESXi host or a vCenter?"),
    }
}
