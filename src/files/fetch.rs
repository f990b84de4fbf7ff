//! Files from http and https servers: opened behind the gate, gone on with where they broke off.
//!
//! Each redirect passes the gate anew, and the address that was checked is the one that is connected
//! to. Only the system's authorities are trusted (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others), never
//! what is set for hypervisors. Behind a proxy, which is asked for a tunnel for plain http too, it is the
//! proxy that looks up the name and connects: the name is judged here, and its address where it is
//! known here. Surprising: whether a file can be gone
//! on with is asked for with the very first request, as a range of all of it, because many servers that
//! can do it do not say so.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result, quoted};
use crate::files::gate::Hosts;
use crate::files::source::Source;
use crate::files::stop::Stop;
use crate::files::url::Url;
use crate::text::secret::Secret;
use crate::web::client::{Client, Settings};
use crate::web::exchange::{Exchange, Request, Response};
use crate::web::failure::{was_not_sent, was_refused_certificate};
use crate::web::line::resolve;
use crate::web::no_proxy::bypasses;
use crate::web::tls::Trust;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;

/// How long a name is looked up that a proxy will look up again.
const GLANCE_AT_NAME: Duration = Duration::from_secs(2);

/// Longest mark of a file's version; others are not sent back.
const LONGEST_MARK: usize = 300;

/// How URLs are opened.
#[derive(Clone, Debug)]
pub struct Web {
    pub hosts: Hosts,
    pub connect_timeout: Duration,
    /// The longest silence of a server.
    pub idle_timeout: Duration,
    /// `http://[user:password@]name:port`.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without it.
    pub no_proxy: String,
}

/// What is known of a URL without reading it, for a hypervisor that is to fetch it by itself.
#[derive(Debug)]
pub struct Look {
    /// Where it was found after redirects.
    pub url: Url,
    /// Bytes, where the server says.
    pub size: Option<u64>,
    /// It can be had from any byte on.
    pub ranges: bool,
    /// SHA-1 of the certificate that the server of [`Look::url`] showed, or a proxy that breaks TLS
    /// open in its place; none for plain http.
    pub thumbprint: Option<[u8; 20]>,
}

impl Web {
    /// Opens what is there.
    pub(crate) fn open(self: &Arc<Web>, url: &Url, stop: &Stop) -> Result<Source<'static>> {
        let mut fetch = Fetch::new(self.clone(), url, stop);
        let shown = url.to_string();
        let first = fetch.begin().map_err(|error| error.during(format!("`{shown}`")))?;
        let (size, ranges) = (fetch.facts.size, fetch.facts.ranges);
        let open = Box::new(move |from| fetch.again(from));
        let source = Source::fetched(shown, size, Some(first.body), open).stopped_by(stop.clone());
        Ok(if ranges { source } else { source.one_pass() })
    }

    /// Asks as [`Web::open`] does, and hangs up.
    pub(crate) fn look(self: &Arc<Web>, url: &Url, stop: &Stop) -> Result<Look> {
        let mut fetch = Fetch::new(self.clone(), url, stop);
        fetch.begin().map_err(|error| error.during(format!("`{url}`")))?;
        Ok(Look {
            thumbprint: fetch.client.as_ref().and_then(|it| it.seen_sha1()),
            url: fetch.at,
            size: fetch.facts.size,
            ranges: fetch.facts.ranges,
        })
    }

    /// A client of the URL's host, if that passes the gate.
    fn client(&self, url: &Url) -> Result<Client> {
        let proxy = self.proxy.as_ref().filter(|it| !it.is_empty());
        let proxy = proxy.filter(|_| !bypasses(&self.no_proxy, &url.host, url.port));
        self.hosts.may_ask(&url.host)?;
        let patience = match proxy {
            Some(_) => self.connect_timeout.min(GLANCE_AT_NAME),
            None => self.connect_timeout,
        };
        let found = resolve(&url.host, url.port, patience);
        let addresses = match proxy {
            Some(_) => {
                self.hosts.admit_proxied(&url.host, &found.unwrap_or_default())?;
                Vec::new()
            }
            None => {
                let found = found.map_err(|error| {
                    self.hosts.refusal(&url.host).unwrap_or_else(|| no_address(url, &error))
                })?;
                self.hosts.admit(&url.host, &found)?
            }
        };
        let settings = Settings {
            host: url.host.clone(),
            port: url.port,
            tls: url.tls,
            trust: Trust::System,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            proxy: proxy.map(|it| it.reveal().to_owned()),
            no_proxy: String::new(),
        };
        Client::at(settings, addresses).map_err(|error| error.hint_instead(AUTHORITIES))
    }
}

const AUTHORITIES: &str = "For URLs the authorities that this system knows are trusted, and no others; \
                           SSL_CERT_FILE may name a file of them";

fn no_address(url: &Url, error: &std::io::Error) -> Error {
    let said = quoted(&error.to_string());
    let said = said.trim_start_matches("failed to lookup address information: ");
    Error::new(Kind::Network, format!("`{}` has no address: {said}", url.host))
        .hint("Check the spelling and DNS, or use the IP address")
}

/// What the first answer told.
#[derive(Default, PartialEq)]
struct Facts {
    size: Option<u64>,
    ranges: bool,
    /// What tells this version of the file from others, as `If-Range` takes it.
    mark: Option<String>,
}

/// A file on its way.
struct Fetch {
    web: Arc<Web>,
    stop: Stop,
    /// What was named.
    first: Url,
    /// Where it was found last.
    at: Url,
    /// Of the host of `at`.
    client: Option<Arc<Client>>,
    facts: Facts,
}

impl Fetch {
    fn new(web: Arc<Web>, url: &Url, stop: &Stop) -> Fetch {
        let (stop, first, at) = (stop.clone(), url.clone(), url.clone());
        Fetch { web, stop, first, at, client: None, facts: Facts::default() }
    }

    /// Asks for all of it, and learns what there is to know.
    fn begin(&mut self) -> Result<Response> {
        let mut response = self.follow(Some(0))?;
        // Of an empty file there is no part.
        if response.status == 416 {
            response = self.follow(None)?;
        }
        self.facts = self.understand(&response)?;
        Ok(response)
    }

    /// Asks for what is left from a byte on, and makes sure that it is that.
    fn again(&mut self, from: u64) -> Result<Box<dyn Read + Send>> {
        let mut response = self.follow(Some(from))?;
        let gone = matches!(response.status, 400 | 401 | 403 | 404 | 410);
        if gone && !self.at.is_same(&self.first) {
            // Many redirects lead to a place for a few minutes only.
            self.restart();
            response = self.follow(Some(from))?;
        }
        match response.status {
            206 => {
                let known = self.understand_part(&response, from)?;
                if matches!((&known.mark, &self.facts.mark), (Some(now), Some(then)) if now != then)
                {
                    return Err(self.changed());
                }
                Ok(response.body)
            }
            200 if from == 0 => {
                let now = self.understand(&response)?;
                let same = (now.size, &now.mark) == (self.facts.size, &self.facts.mark);
                if same { Ok(response.body) } else { Err(self.changed()) }
            }
            // Also what a server answers whose file is another now (If-Range).
            200 | 416 => Err(self.changed()),
            _ => Err(self.refused(&response)),
        }
    }

    fn restart(&mut self) {
        (self.at, self.client) = (self.first.clone(), None);
    }

    /// The answer to a request, behind all redirects.
    fn follow(&mut self, from: Option<u64>) -> Result<Response> {
        for _ in 0..=MOST_REDIRECTS {
            let response = self.ask(from)?;
            let redirect = matches!(response.status, 301 | 302 | 303 | 307 | 308);
            let Some(to) = response.header("Location").filter(|_| redirect) else {
                return Ok(response);
            };
            let joined = self.at.join(to);
            let mut to = joined.map_err(|error| error.during("its server redirects elsewhere"))?;
            if !to.same_origin(&self.at) {
                (to, self.client) = (to.without_login(), None);
            }
            crate::logging::debug!("`{}` leads to `{to}`", self.at);
            self.at = to;
        }
        let said = format!("its server redirects more than {MOST_REDIRECTS} times");
        Err(Error::new(Kind::Remote, said).hint("Look where it leads in a browser"))
    }

    fn ask(&mut self, from: Option<u64>) -> Result<Response> {
        let redirected = !self.at.is_same(&self.first);
        let said = |error: Error| match redirected {
            true => error.during(format!("redirected to `{}`", self.at)),
            false => error,
        };
        self.stop.check()?;
        let client = match &self.client {
            Some(client) => client.clone(),
            None => Arc::new(self.web.client(&self.at).map_err(said)?),
        };
        self.stop.watch(client.clone())?;
        let mut request = Request::new("GET", self.at.target(), b"")
            .header("Accept", "*/*")
            // Archives are wanted as they lie there.
            .header("Accept-Encoding", "identity");
        if let Some(login) = self.at.authorization() {
            request = request.header("Authorization", login.reveal());
        }
        if let Some(from) = from {
            request = request.header("Range", format!("bytes={from}-"));
            if let Some(mark) = &self.facts.mark {
                request = request.header("If-Range", mark);
            }
        }
        let answer = client.exchange(&request);
        let answer = answer.map_err(|error| said(self.advised(error)));
        self.client = Some(client);
        answer
    }

    /// The same failure with advice that fits a URL.
    fn advised(&self, error: Error) -> Error {
        if self.stop.is_stopped() {
            return Error::new(Kind::Cancelled, "reading was cancelled");
        }
        match (was_refused_certificate(&error), was_not_sent(&error)) {
            (true, _) => error.hint_instead(AUTHORITIES),
            (false, true) => error,
            (false, false) => error.hint_instead("Look at the server, and try again"),
        }
    }

    /// What an answer with the whole file tells of it.
    fn understand(&self, response: &Response) -> Result<Facts> {
        match response.status {
            200 => {
                self.uncoded(response)?;
                let chunked = response.header("Transfer-Encoding").is_some();
                let size = response.header("Content-Length").filter(|_| !chunked).and_then(number);
                let says = |it: &str| it.trim().eq_ignore_ascii_case("bytes");
                let ranges = response.header("Accept-Ranges").is_some_and(says) && size.is_some();
                Ok(Facts { size, ranges, mark: mark(response) })
            }
            206 => self.understand_part(response, 0),
            _ => Err(self.refused(response)),
        }
    }

    /// What an answer with all from a byte on tells; it has to begin with that byte.
    fn understand_part(&self, response: &Response, from: u64) -> Result<Facts> {
        self.uncoded(response)?;
        let told = response.header("Content-Range");
        let part = told.and_then(content_range);
        let part = part.filter(|it| it.first == from && it.of.is_none_or(|of| it.last < of));
        let Some(part) = part else {
            let told = quoted(told.unwrap_or("nothing"));
            let said = format!("asked for what follows byte {from}, its server sent `{told}`");
            return Err(Error::new(Kind::Remote, said).hint(
                "That server is broken, or a cache before it; fetch the file and pass its path",
            ));
        };
        if self.facts.size.is_some() && part.of != self.facts.size {
            return Err(self.changed());
        }
        Ok(Facts { size: part.of, ranges: part.of.is_some(), mark: mark(response) })
    }

    /// Refuses what was packed on its way; what is called `.gz` may say that it is packed.
    fn uncoded(&self, response: &Response) -> Result<()> {
        let coding = response.header("Content-Encoding").unwrap_or("identity");
        let path = self.at.path().to_ascii_lowercase();
        if coding.eq_ignore_ascii_case("identity") || path.ends_with("gz") {
            return Ok(());
        }
        let said = format!("its server packs it on its way (`{}`), unasked", quoted(coding));
        Err(Error::new(Kind::Remote, said)
            .hint("Switch compression off for such files on the server"))
    }

    fn changed(&self) -> Error {
        Error::new(Kind::Conflict, "it is another file now than the one that was begun").hint(
            "Try again; if it happens again, several servers behind that name have different files",
        )
    }

    /// What a status means to who wants a file.
    fn refused(&self, response: &Response) -> Error {
        let status = response.status;
        let (kind, said, hint) = match status {
            401 if self.at.has_login() => {
                (Kind::Denied, "refuses user and password", "Check them, escapes such as %40 too")
            }
            401 => (
                Kind::Denied,
                "wants a login",
                "Write it into the URL, https://user:password@host/..., where it accepts that",
            ),
            403 => (
                Kind::Denied,
                "does not let it be read",
                "Look at its rights there; a link for a short time may have ended",
            ),
            404 | 410 => {
                (Kind::NotFound, "has no such file", "Check the URL, upper and lower case too")
            }
            429 | 502..=504 => (Kind::Busy, "is too busy or not ready", "Try again later"),
            300..=399 => (Kind::Remote, "leads nowhere", "Look where it leads in a browser"),
            _ => (Kind::Remote, "does not give the file", "Look at the server's own log"),
        };
        let place = match self.at.is_same(&self.first) {
            true => String::new(),
            false => format!(" at `{}`", self.at),
        };
        Error::new(kind, format!("its server{place} {said} (HTTP {status})")).hint(hint)
    }
}

/// What is sent of a file: the first and last byte, and how many there are.
#[derive(Debug, PartialEq)]
struct Part {
    first: u64,
    last: u64,
    of: Option<u64>,
}

/// Reads `bytes 0-99/200` and `bytes 0-99/*`.
fn content_range(text: &str) -> Option<Part> {
    let (unit, rest) = text.trim().split_once(' ')?;
    let (part, of) = rest.trim().split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let of = match of.trim() {
        "*" => None,
        digits => Some(number(digits)?),
    };
    let part = Part { first: number(first)?, last: number(last)?, of };
    (unit.eq_ignore_ascii_case("bytes") && part.first <= part.last).then_some(part)
}

fn number(digits: &str) -> Option<u64> {
    let digits = digits.trim();
    digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The mark of this version: one that stands for every byte of it, or else the time of its change.
fn mark(response: &Response) -> Option<String> {
    let strong = response.header("ETag").filter(|it| it.starts_with('"'));
    let mark = strong.or(response.header("Last-Modified"))?;
    (mark.len() <= LONGEST_MARK).then(|| mark.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_as_servers_tell_them() {
        let part = |first, last, of| Some(Part { first, last, of });
        for (text, wanted) in [
            ("bytes 0-99/200", part(0, 99, Some(200))),
            (" Bytes 5-5/6 ", part(5, 5, Some(6))),
            ("bytes 0-99/*", part(0, 99, None)),
            ("bytes */200", None),
            ("bytes 9-5/200", None),
            ("bytes -5/200", None),
            ("bytes 0-99", None),
            ("lines 0-99/200", None),
            ("bytes 0-99999999999999999999/200", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), wanted, "{text}");
        }
    }
}
