//! The head of a request, line by line as it arrives.
//!
//! It keeps to RFC 9112 where that leaves a choice by refusing: lines end with CR LF only, a header
//! is never folded, `Content-Length` stands once. Surprising: the first bytes are judged at once, so
//! that a TLS hello on a plain port is answered and not waited for.

use crate::web::codec::Framing;
use crate::web::codec::Limits;
use crate::web::codec::Refused;
use crate::web::codec::is_text;
use crate::web::codec::is_token;

/// The longest method; WebDAV's `BASELINE-CONTROL` has 16 letters.
const METHOD: usize = 20;

/// What the request line may have beside its target.
const AROUND: usize = METHOD + " HTTP/1.1 \r\n".len();

/// The head of a request. No `Debug`: cookies and tickets stand in it.
#[derive(PartialEq)]
pub struct Head {
    /// `GET`, `POST` and so on, as it was sent.
    pub method: String,
    /// Path and query, still escaped; `*` for an OPTIONS of the whole server.
    pub target: String,
    /// The 1 of HTTP/1.1.
    pub minor: u8,
    /// Names and values in their order; values are UTF-8.
    pub headers: Vec<(String, String)>,
    /// Bytes of the buffer that were the head.
    pub consumed: usize,
    /// What follows it.
    pub body: Framing,
    /// False if the connection ends with the answer, as always for HTTP/1.0.
    pub keep_alive: bool,
    /// The client would like to hear `100 Continue` before it sends the body.
    pub expect_continue: bool,
}

/// Reads one head; make another for the next.
#[derive(Default)]
pub struct Parser {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// Bytes of that line in which there is no line feed.
    scanned: usize,
    /// An empty line before the request has been passed over; some clients send one.
    passed: bool,
    request: Option<(String, String, u8)>,
    headers: Vec<(String, String)>,
}

impl Parser {
    /// Goes on with all bytes since the head began; `None` while it is not complete.
    pub fn feed(&mut self, so_far: &[u8], limits: &Limits) -> Result<Option<Head>, Refused> {
        loop {
            let rest = so_far.get(self.line..).unwrap_or_default();
            let (room, over) = match &self.request {
                None => {
                    self.judge_start(rest)?;
                    (limits.target + AROUND, Refused::new(414, "the request line is too long"))
                }
                Some(_) => (
                    limits.head.saturating_sub(self.line),
                    Refused::new(431, "the head of the request is too large"),
                ),
            };
            let fresh = rest.get(self.scanned..).unwrap_or_default();
            let Some(end) = fresh.iter().position(|it| *it == b'\n').map(|at| at + self.scanned)
            else {
                self.scanned = rest.len();
                return if rest.len() > room { Err(over) } else { Ok(None) };
            };
            if end > room {
                return Err(over);
            }
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(Refused::bad("a line ends without CR"))?;
            self.line += end + 1;
            self.scanned = 0;
            if self.request.is_none() {
                match line {
                    b"" => self.passed = true,
                    line => self.request = Some(request_line(line, limits)?),
                }
            } else if line.is_empty() {
                return self.finish(limits).map(Some);
            } else if self.headers.len() >= limits.headers {
                return Err(Refused::new(431, "too many headers"));
            } else {
                self.headers.push(header(line)?);
            }
        }
    }

    /// True once something of a request is here; an idle connection may be closed without a word.
    pub fn begun(&self) -> bool {
        self.request.is_some() || self.scanned > 0
    }

    /// Refuses what cannot be the start of a request, however little of it is there.
    fn judge_start(&self, rest: &[u8]) -> Result<(), Refused> {
        if !self.passed && matches!(rest, [b'\r'] | [b'\r', b'\n', ..]) {
            return Ok(());
        }
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                b' ' if at > 0 => break,
                _ if !is_token(*byte) => return Err(Refused::bad("this is not an HTTP request")),
                _ if at >= METHOD => return Err(Refused::new(501, "no such method")),
                _ => {}
            }
        }
        Ok(())
    }

    fn finish(&mut self, limits: &Limits) -> Result<Head, Refused> {
        let (method, target, minor) =
            self.request.take().ok_or(Refused::bad("there is no request line"))?;
        let headers = std::mem::take(&mut self.headers);
        let all = |name: &'static str| {
            let of = move |it: &&(String, String)| it.0.eq_ignore_ascii_case(name);
            headers.iter().filter(of).map(|(_, value)| value.as_str())
        };
        let hosts: Vec<&str> = all("host").collect();
        if hosts.len() > 1 || (minor > 0 && hosts.is_empty()) {
            return Err(Refused::bad("there must be one Host header"));
        }
        let host = hosts.first().copied();
        if !host.is_none_or(is_host) {
            return Err(Refused::bad("the Host header is damaged"));
        }
        let target = origin(&method, &target, host)?;
        let body = framing(minor, all("content-length"), all("transfer-encoding"))?;
        if let (Framing::Length(length), Some(limit)) = (body, limits.body)
            && length > limit
        {
            return Err(Refused::new(413, "the body is too large"));
        }
        let close = all("connection").any(|it| has_token(it, "close"));
        let expect = all("expect").any(|it| it.eq_ignore_ascii_case("100-continue"));
        Ok(Head {
            consumed: self.line,
            keep_alive: minor > 0 && !close,
            expect_continue: minor > 0 && expect,
            method,
            target,
            minor,
            body,
            headers,
        })
    }
}

/// True if a list in a header, such as that of `Connection`, holds this word.
pub fn has_token(list: &str, word: &str) -> bool {
    list.split(',').any(|it| it.trim().eq_ignore_ascii_case(word))
}

fn request_line(line: &[u8], limits: &Limits) -> Result<(String, String, u8), Refused> {
    let mut parts = line.split(|it| *it == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refused::bad("the request line is not method, target and version"));
    };
    if target.len() > limits.target {
        return Err(Refused::new(414, "the target is too long"));
    }
    if target.is_empty() || !target.iter().all(|it| it.is_ascii_graphic() && *it != b'#') {
        return Err(Refused::bad("the target has characters that must be escaped"));
    }
    let minor = match version {
        b"HTTP/1.0" => 0,
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => 1,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Refused::new(505, "only HTTP/1.1 is spoken here"));
        }
        _ => return Err(Refused::bad("the request line ends without a version")),
    };
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    Ok((text(method), text(target), minor))
}

fn header(line: &[u8]) -> Result<(String, String), Refused> {
    let colon = line.iter().position(|it| *it == b':').unwrap_or(line.len());
    let (name, value) = line.split_at(colon);
    // A folded line begins with a space and so has no name.
    if name.is_empty() || value.is_empty() || !name.iter().all(|it| is_token(*it)) {
        return Err(Refused::bad("a header's name is damaged, or the header is folded"));
    }
    let value = value.get(1..).unwrap_or_default();
    if !value.iter().all(|it| is_text(*it)) {
        return Err(Refused::bad("a header has control characters"));
    }
    let value = std::str::from_utf8(value).map_err(|_| Refused::bad("a header is not UTF-8"))?;
    let name = name.iter().copied().map(char::from).collect();
    Ok((name, value.trim_matches([' ', '\t']).to_owned()))
}

fn is_host(host: &str) -> bool {
    host.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._~%:[]".contains(&it))
}

/// Path and query; a target with scheme and host, as for a proxy, must be for the host that is
/// named in the header too.
fn origin(method: &str, target: &str, host: Option<&str>) -> Result<String, Refused> {
    if method == "CONNECT" {
        return Err(Refused::new(501, "this is no proxy"));
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok(target.to_owned());
    }
    let bad = Refused::bad("the target is not a path");
    let (scheme, rest) = target.split_once("://").ok_or(bad)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(bad);
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.is_empty() || host.is_some_and(|it| !it.eq_ignore_ascii_case(authority)) {
        return Err(Refused::bad("the target is for another host than the Host header"));
    }
    match path {
        path if path.starts_with('/') => Ok(path.to_owned()),
        path => Ok(format!("/{path}")),
    }
}

/// Whatever two readers could measure differently is how one request is smuggled inside another.
fn framing<'a>(
    minor: u8,
    mut lengths: impl Iterator<Item = &'a str>,
    codings: impl Iterator<Item = &'a str>,
) -> Result<Framing, Refused> {
    let codings: Vec<&str> = codings.flat_map(|it| it.split(',')).map(str::trim).collect();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Refused::bad("there is more than one Content-Length"));
    }
    if codings.is_empty() {
        let Some(length) = length else { return Ok(Framing::None) };
        if length.is_empty() || !length.bytes().all(|it| it.is_ascii_digit()) {
            return Err(Refused::bad("the Content-Length is not a number"));
        }
        let length = length.parse().map_err(|_| Refused::new(413, "the body is too large"))?;
        return Ok(Framing::Length(length));
    }
    if length.is_some() {
        return Err(Refused::bad("there are both Content-Length and Transfer-Encoding"));
    }
    if minor == 0 {
        return Err(Refused::bad("HTTP/1.0 has no Transfer-Encoding"));
    }
    match codings.as_slice() {
        [one] if one.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        all if all.iter().all(|it| it.is_empty() || it.eq_ignore_ascii_case("chunked")) => {
            Err(Refused::bad("the Transfer-Encoding is damaged"))
        }
        _ => Err(Refused::new(501, "no Transfer-Encoding but chunked is known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Head>, Refused> {
        Parser::default().feed(text.as_bytes(), &Limits::default())
    }

    #[track_caller]
    fn head(text: &str) -> Head {
        match parse(text) {
            Ok(Some(head)) => head,
            Ok(None) => panic!("more is wanted after {text:?}"),
            Err(refused) => panic!("{refused:?} for {text:?}"),
        }
    }

    #[track_caller]
    fn status(text: &str) -> u16 {
        match parse(text) {
            Ok(_) => panic!("taken: {text:?}"),
            Err(refused) => refused.status,
        }
    }

    /// A GET with these header lines beside Host.
    fn with(lines: &str) -> String {
        format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
    }

    #[test]
    fn a_request() {
        let head = head("POST /sdk?a=%20b HTTP/1.1\r\nHost: esx:443\r\nX:  é \t\r\nY:\r\n\r\nbody");
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/sdk?a=%20b"));
        let headers: Vec<_> = head.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, [("Host", "esx:443"), ("X", "é"), ("Y", "")]);
        assert_eq!((head.minor, head.consumed), (1, 58));
        assert!(head.keep_alive && !head.expect_continue && head.body == Framing::None);
    }

    #[test]
    fn the_connection_goes_on_or_not() {
        assert!(!head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
        assert!(!head(&with("Connection: TE, Close\r\n")).keep_alive);
        assert!(head(&with("Connection: closed\r\n")).keep_alive);
        assert!(head("GET / HTTP/1.9\r\nHost:\r\n\r\n").keep_alive);
        assert!(head(&with("Expect: 100-Continue\r\n")).expect_continue);
        assert_eq!(head(&format!("\r\n{}", with(""))).consumed, with("").len() + 2);
    }

    #[test]
    fn bodies_are_measured_in_one_way() {
        assert_eq!(head(&with("Content-Length: 007\r\n")).body, Framing::Length(7));
        assert_eq!(head(&with("transfer-encoding: Chunked\r\n")).body, Framing::Chunked);
        for (lines, expected) in [
            ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
            ("Content-Length: 5, 5\r\n", 400),
            ("Content-Length: +5\r\n", 400),
            ("Content-Length: -1\r\n", 400),
            ("Content-Length: 0x5\r\n", 400),
            ("Content-Length:\r\n", 400),
            ("Content-Length: 18446744073709551616\r\n", 413),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
            ("Transfer-Encoding:\r\n", 400),
            ("Transfer-Encoding: gzip, chunked\r\n", 501),
            ("Transfer-Encoding: identity\r\n", 501),
            ("Transfer-Encoding: \u{b}chunked\r\n", 400),
        ] {
            assert_eq!(status(&with(lines)), expected, "{lines}");
        }
        assert_eq!(status("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
        let small = Limits { body: Some(4), ..Limits::default() };
        let post = |length: u8| with(&format!("Content-Length: {length}\r\n"));
        let taken = |length| Parser::default().feed(post(length).as_bytes(), &small);
        assert!(taken(4).is_ok_and(|it| it.is_some()));
        assert!(taken(5).is_err_and(|it| it.status == 413));
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for text in [
            "\u{16}\u{3}\u{1}",
            " GET / HTTP/1.1\r\n",
            "\r\n\r\n",
            "\rG",
            "\n",
            "GET / HTTP/1.1\n",
            "GET /\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            "GET / http/1.1\r\n",
            "GET /é HTTP/1.1\r\n",
            "GET /#a HTTP/1.1\r\n",
            "G(T",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            assert_eq!(status(text), 400, "{text:?}");
        }
        for line in
            ["A : b", " folded", "\tfolded", ": b", "A", "A: \0", "A: b\rc", "é: b", "A: \u{7f}"]
        {
            assert_eq!(status(&with(&format!("{line}\r\n"))), 400, "{line:?}");
        }
        let mut latin = with("").into_bytes();
        latin.splice(16..16, *b"X: \xe9\r\n");
        assert!(Parser::default().feed(&latin, &Limits::default()).is_err());
    }

    #[test]
    fn what_is_not_spoken_here() {
        assert_eq!(status("PRI * HTTP/2.0\r\n"), 505);
        assert_eq!(status("GET / HTTP/0.9\r\n"), 505);
        assert_eq!(status("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 501);
        assert_eq!(status("ABCDEFGHIJKLMNOPQRSTU"), 501);
    }

    #[test]
    fn targets_of_other_forms() {
        for (sent, target) in [
            ("GET http://A:1/b?c", "/b?c"),
            ("GET HTTPS://a:1", "/"),
            ("GET http://a:1?c", "/?c"),
            ("OPTIONS *", "*"),
            ("GET //x/..", "//x/.."),
        ] {
            assert_eq!(head(&format!("{sent} HTTP/1.1\r\nHost: a:1\r\n\r\n")).target, target);
        }
    }

    #[test]
    fn there_is_an_end_to_everything() {
        let get =
            |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(length));
        assert_eq!(head(&get(8191)).target.len(), 8192);
        assert_eq!(status(&get(8192)), 414);
        assert_eq!(status(&format!("GET /{}", "a".repeat(9000))), 414);
        let most = "a: b\r\n".repeat(99);
        assert_eq!(head(&with(&most)).headers.len(), 100);
        assert_eq!(status(&with(&format!("{most}a: b\r\n"))), 431);
        assert_eq!(status(&with(&format!("a: {}\r\n", "b".repeat(32 << 10)))), 431);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\na: {}", "b".repeat(33 << 10))), 431);
    }
}
