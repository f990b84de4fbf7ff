//! One HTTP request and its answer, without sockets in their shape.
//!
//! [`client`](crate::web::client) sends them; a test or the simulator may answer from memory
//! instead. It must not know TLS, proxies or any protocol above HTTP. Surprising: neither type ever
//! prints a header's value or a query, because cookies and tickets stand there.

use std::cell::OnceCell;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// What is asked of the peer.
pub struct Request<'a> {
    /// `GET`, `POST` and so on.
    pub method: &'static str,
    /// The absolute path on the peer, with its query.
    pub path: String,
    /// Headers beside those of the transport (Host, Content-Length, Accept-Encoding).
    pub headers: Vec<(&'static str, String)>,
    /// The body; none is sent when it is empty, unless the method always has one.
    pub body: &'a [u8],
    /// A body that is read while it is sent, instead of `body`.
    pub upload: Option<Upload<'a>>,
    /// The longest wait for the peer's next byte, where the client's own is too short (long polls).
    pub silence: Option<Duration>,
}

impl<'a> Request<'a> {
    /// A request without headers of its own.
    pub fn new(method: &'static str, path: impl Into<String>, body: &'a [u8]) -> Request<'a> {
        let (headers, upload, silence) = (Vec::new(), None, None);
        Request { method, path: path.into(), headers, body, upload, silence }
    }

    /// The same request with a body that is read while it is sent.
    pub fn sending(self, upload: Upload<'a>) -> Request<'a> {
        Request { upload: Some(upload), ..self }
    }

    /// Adds a header; the value is sent as it is.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Request<'a> {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &bare(&self.path))
            .field("headers", &names)
            .field("body", &self.body.len())
            .finish()
    }
}

/// A body that is read while it is sent. With a length, never more than so many bytes of it are sent,
/// and one that ends early is an error of its reader, since the peer would wait for the rest; without
/// one it is sent in chunks.
pub struct Upload<'a> {
    /// What Content-Length says.
    pub length: Option<u64>,
    body: RefCell<io::Take<Box<dyn Read + 'a>>>,
    count: OnceCell<Arc<AtomicU64>>,
}

impl<'a> Upload<'a> {
    /// The first `length` bytes of `body`, or all of it.
    pub fn new(body: impl Read + 'a, length: Option<u64>) -> Upload<'a> {
        let body: Box<dyn Read + 'a> = Box::new(body);
        let body = RefCell::new(body.take(length.unwrap_or(u64::MAX)));
        Upload { length, body, count: OnceCell::new() }
    }

    /// Adds there what is read from now on, to tell how much was moved while it still goes on.
    pub fn count_into(&self, count: &Arc<AtomicU64>) {
        let _ = self.count.set(count.clone());
    }
}

/// Reads what is left of it; an upload can be sent once.
impl Read for &Upload<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut body = self.body.try_borrow_mut().map_err(io::Error::other)?;
        let read = body.read(into)?;
        if let Some(count) = self.count.get() {
            count.fetch_add(read as u64, Ordering::Relaxed);
        }
        if read == 0 && !into.is_empty() && self.length.is_some() && body.limit() > 0 {
            let said = format!("what was to be sent ended {} bytes early", body.limit());
            return Err(into_io(
                Error::new(Kind::Conflict, said)
                    .hint("It was changed while it was read; try again"),
            ));
        }
        Ok(read)
    }

    crate::text::reading::shared!();
}

/// The path without its query, which may hold a ticket.
pub fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// What the peer answered; 4xx and 5xx are answers too.
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    /// The body, already inflated; a failure while reading it is told apart by [`from_io`].
    pub body: Box<dyn Read + Send>,
}

impl Response {
    /// An answer of these parts.
    pub fn new(
        status: u16,
        headers: Vec<(String, String)>,
        body: Box<dyn Read + Send>,
    ) -> Response {
        Response { status, headers, body }
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a header that may come more than once, such as `Set-Cookie`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Response").field("status", &self.status).field("headers", &names).finish()
    }
}

/// Somebody who answers requests: a real peer, a script, a pretend host.
pub trait Exchange: Send + Sync {
    /// Sends the request once and returns as soon as the answer's headers are here.
    fn exchange(&self, request: &Request) -> Result<Response>;

    /// Ends idle connections and hung requests; every request after this is refused.
    fn shutdown(&self) {}
}

impl<T: Exchange + ?Sized> Exchange for std::sync::Arc<T> {
    fn exchange(&self, request: &Request) -> Result<Response> {
        (**self).exchange(request)
    }

    fn shutdown(&self) {
        (**self).shutdown();
    }
}

/// Reads a body to its end, and refuses one of more than `limit` bytes.
pub fn read_capped(body: &mut dyn Read, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    body.take(one_more).read_to_end(&mut bytes).map_err(from_io)?;
    if bytes.len() > limit {
        let text = format!("the answer is larger than the {limit} bytes that are allowed here");
        return Err(Error::new(Kind::Remote, text).hint("Ask for less at once"));
    }
    Ok(bytes)
}

/// Our error on its way through [`Read`], which can only carry the standard library's.
#[derive(Debug)]
struct Carried(Error);

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Carried {}

/// Packs our error for a reader to return.
pub fn into_io(error: Error) -> io::Error {
    io::Error::other(Carried(error))
}

/// What a body's reader failed with: our own error if it carries one.
pub fn from_io(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Carried>()) {
        Some(Carried(own)) => own.clone(),
        None => Error::new(Kind::Network, format!("the answer could not be read: {error}")),
    }
}

/// True if `error` is one of ours on its way.
pub fn is_carried(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Carried>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_cookies_nor_tickets_are_printed() {
        let request =
            Request::new("GET", "/guestFile?id=1&token=hunter2", b"").header("cookie", "s=hunter2");
        let headers = vec![("set-cookie".to_owned(), "s=hunter2".to_owned())];
        let response = Response::new(200, headers, Box::new(io::empty()));
        let printed = format!("{request:?} {response:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("/guestFile") && printed.contains("set-cookie"), "{printed}");
    }

    #[test]
    fn an_upload_is_as_long_as_it_says_or_fails() {
        let mut sent = Vec::new();
        (&Upload::new(&b"12345"[..], Some(3))).read_to_end(&mut sent).unwrap();
        assert_eq!(sent, b"123");
        let short = Upload::new(&b"12"[..], Some(3));
        let error = from_io((&short).read_to_end(&mut sent).unwrap_err());
        assert!(error.to_string().contains("ended 1 bytes early"), "{error}");
        sent.clear();
        (&Upload::new(&b"12"[..], None)).read_to_end(&mut sent).unwrap();
        assert_eq!(sent, b"12");
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![pair("set-cookie", "a=1"), pair("Set-Cookie", "b=\"2\"")];
        let response = Response::new(200, headers, Box::new(io::empty()));
        assert_eq!(response.header("SET-COOKIE"), Some("a=1"));
        assert_eq!(response.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=\"2\""]);
        assert_eq!(response.header("location"), None);
    }

    #[test]
    fn a_body_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(read_capped(&mut &b"12345"[..], 5).unwrap(), b"12345");
        let error = read_capped(&mut &b"123456"[..], 5).unwrap_err();
        assert!(error.to_string().contains("larger than the 5 bytes"), "{error}");
        let error = read_capped(&mut io::repeat(0), 10).unwrap_err();
        assert_eq!(error.kind(), Kind::Remote);
    }

    #[test]
    fn an_error_survives_the_way_through_a_reader() {
        let packed = into_io(Error::new(Kind::Cancelled, "stopped").fault("Mine"));
        assert!(is_carried(&packed));
        let error = from_io(packed);
        assert_eq!((error.kind(), error.fault_name()), (Kind::Cancelled, Some("Mine")));
    }
}
