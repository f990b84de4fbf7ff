//! An http or https URL, as people paste it and as servers send one in a redirect.
//!
//! Pure text: it resolves and opens nothing. Surprising: where two readers could see different hosts
//! in one URL (a backslash before the host, `0x7f.1`, control characters) there is none here, since a
//! host that is checked must be the one that is connected to.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{Error, Result};
use crate::text::base64;
use crate::text::secret::Secret;

/// Longest URL in bytes; servers take some 8,000.
const LONGEST: usize = 8_000;

/// Characters that are escaped in paths and queries, beside all that are not ASCII.
const ESCAPED: &str = " \"<>\\^`{|}";

/// A URL that can be asked for.
#[derive(Clone)]
pub struct Url {
    /// `https`.
    pub tls: bool,
    /// Lower case, IPv6 without brackets, no full stop at its end.
    pub host: String,
    pub port: u16,
    /// User and password as they were written, escapes included.
    login: Option<Secret>,
    path: String,
    /// What stands behind the `?`; it may hold a token.
    query: Option<String>,
}

/// The scheme of a text that begins as a URL does, such as `ftp` of `ftp://x`. A path with a colon in
/// it is none.
pub fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once("://")?;
    let rest = |it: u8| it.is_ascii_alphanumeric() || b"+.-".contains(&it);
    let fits = scheme.starts_with(|it: char| it.is_ascii_alphabetic()) && scheme.bytes().all(rest);
    fits.then_some(scheme)
}

impl Url {
    /// Reads `http://` or `https://`; an error repeats nothing but the host, since the rest may be
    /// secret.
    pub fn parse(text: &str) -> Result<Url> {
        let scheme =
            scheme(text).ok_or_else(|| wrong("it does not begin with http:// or https://"))?;
        let tls = scheme.eq_ignore_ascii_case("https");
        if !tls && !scheme.eq_ignore_ascii_case("http") {
            return Err(Error::usage(format!("`{scheme}://` cannot be fetched from")).hint(
                "Give an http or https URL, or the path of a file on this machine without a scheme",
            ));
        }
        let rest = text.get(scheme.len() + 3..).unwrap_or_default();
        if text.len() > LONGEST {
            return Err(wrong(&format!("it is longer than {LONGEST} bytes")));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("it holds a control character, such as the end of a line"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        if authority.contains('\\') {
            return Err(wrong("a backslash stands before or in its host"));
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let (path, query) = parts(behind);
        Ok(Url {
            tls,
            host,
            port: port.unwrap_or(if tls { 443 } else { 80 }),
            login: login.filter(|it| !it.is_empty()).map(|it| Secret::new(escaped(it, "/?#[]@"))),
            path: tidy(&escaped(path, "")),
            query: query.map(|it| escaped(it, "")),
        })
    }

    /// What a reference in this document means: a whole URL, or one that leaves parts out. User and
    /// password stay as long as scheme, host and port do. From https to http is refused.
    pub fn join(&self, reference: &str) -> Result<Url> {
        if reference.chars().any(char::is_control) || reference.len() > LONGEST {
            return Err(wrong("it is too long or holds a control character"));
        }
        let absolute = if scheme(reference).is_some() {
            Some(Url::parse(reference)?)
        } else if reference.starts_with("//") {
            Some(Url::parse(&format!("{}:{reference}", self.scheme()))?)
        } else {
            None
        };
        if let Some(mut to) = absolute {
            if self.tls && !to.tls {
                let said = format!("`{}` leads from https to plain http, at `{to}`", self.host);
                return Err(Error::usage(said).hint(
                    "Who is in between could change what comes; name that URL itself if it is meant",
                ));
            }
            if to.same_origin(self) && to.login.is_none() {
                to.login.clone_from(&self.login);
            }
            return Ok(to);
        }
        let (path, query) = parts(reference);
        let mut to = self.clone();
        if !path.is_empty() {
            let folder = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
            let path = escaped(path, "");
            to.path = match path.starts_with('/') {
                true => tidy(&path),
                false => tidy(&format!("{folder}{path}")),
            };
        }
        if !path.is_empty() || query.is_some() {
            to.query = query.map(|it| escaped(it, ""));
        }
        Ok(to)
    }

    /// Whether both are of one scheme, host and port.
    pub fn same_origin(&self, other: &Url) -> bool {
        (self.tls, &self.host, self.port) == (other.tls, &other.host, other.port)
    }

    /// Whether both ask for the same, user and password aside.
    pub fn is_same(&self, other: &Url) -> bool {
        self.same_origin(other) && (&self.path, &self.query) == (&other.path, &other.query)
    }

    /// The same without user and password.
    pub fn without_login(mut self) -> Url {
        self.login = None;
        self
    }

    /// Whether it has user or password.
    pub fn has_login(&self) -> bool {
        self.login.is_some()
    }

    /// What a request asks for: path and query.
    pub fn target(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// The path alone, escaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `Basic ...` for the `Authorization` header, where there are user and password.
    pub fn authorization(&self) -> Option<Secret> {
        let login = self.login.as_ref()?.reveal();
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let mut bytes = unescaped(user);
        bytes.push(b':');
        bytes.extend(unescaped(password));
        Some(Secret::new(format!("Basic {}", base64::encode(&bytes))))
    }

    /// All of it, with what is secret: only for who is to fetch it.
    pub fn whole(&self) -> Secret {
        let login = match &self.login {
            Some(login) => format!("{}@", login.reveal()),
            None => String::new(),
        };
        Secret::new(format!("{}://{login}{}{}", self.scheme(), self.authority(), self.target()))
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Host, and the port unless it goes without saying.
    fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{}", self.port),
        }
    }
}

/// For messages: user, password and query hidden.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { "***@" } else { "" };
        let query = if self.query.is_some() { "?***" } else { "" };
        write!(f, "{}://{login}{}{}{query}", self.scheme(), self.authority(), self.path)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn wrong(why: &str) -> Error {
    Error::usage(format!("this is no URL that can be fetched: {why}"))
        .hint("Write https://name/path, with `%20` for a blank")
}

/// A host of its own kind, and the port if there is one.
fn host_and_port(text: &str) -> Result<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) =
                rest.split_once(']').ok_or_else(|| wrong("a `[` wants its `]`"))?;
            let address = host.parse::<Ipv6Addr>();
            let address = address
                .map_err(|_| wrong("only an IPv6 address without zone stands in brackets"))?;
            let port = match behind {
                "" => None,
                behind => Some(
                    behind
                        .strip_prefix(':')
                        .ok_or_else(|| wrong("only a port follows brackets"))?,
                ),
            };
            (address.to_string(), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            (name(host)?, port)
        }
    };
    let port = match port.filter(|it| !it.is_empty()) {
        None => None,
        Some(digits) if digits.bytes().all(|it| it.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|it| *it > 0))
        }
        Some(_) => Some(None),
    };
    match port {
        Some(None) => Err(wrong("its port is no number from 1 to 65535")),
        port => Ok((host, port.flatten())),
    }
}

/// A name, or an IPv4 address in four parts; what resolvers alone take for an address is refused.
fn name(text: &str) -> Result<String> {
    let host = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let fits = |it: u8| it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
    let label = |it: &str| (1..=63).contains(&it.len()) && it.bytes().all(fits);
    if host.is_empty() {
        return Err(wrong("it names no host"));
    }
    if !host.is_ascii() {
        return Err(wrong("its host has letters beyond ASCII; write the name in its `xn--` form"));
    }
    if host.len() > 253 || !host.split('.').all(label) {
        return Err(wrong("its host is neither a name nor an address"));
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|it| it.is_ascii_digit()) || last.starts_with("0x");
    if number && host.parse::<Ipv4Addr>().is_err() {
        return Err(wrong("its host is an address in a form that is not unmistakable"));
    }
    Ok(host)
}

/// Path and query; what follows a `#` is for who shows a page.
fn parts(text: &str) -> (&str, Option<&str>) {
    let text = text.split('#').next().unwrap_or_default();
    match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    }
}

/// Escapes what may not stand there; what is escaped already stays, a lone `%` is one.
fn escaped(text: &str, besides: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
        let plain = match byte {
            b'%' => hex(at + 1) && hex(at + 2),
            byte if !byte.is_ascii_graphic() => false,
            byte => {
                let sign = char::from(*byte);
                !ESCAPED.contains(sign) && !besides.contains(sign)
            }
        };
        match plain {
            true => out.push(char::from(*byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|it| char::from(*it).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// The path with `.` and `..` taken out, as servers are sent it; always from the root.
fn tidy(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut pieces = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        match piece {
            "." => {}
            ".." => drop(kept.pop()),
            piece => {
                kept.push(piece);
                continue;
            }
        }
        if last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        Url::parse(text).map_or_else(|error| error.sentence(), |it| it.whole().reveal().to_owned())
    }

    #[test]
    fn urls_as_people_paste_them() {
        for (text, wanted) in [
            ("http://h", "http://h/"),
            ("HTTPS://Files.Example.COM.:443/A/b.ova", "https://files.example.com/A/b.ova"),
            ("http://h:/x", "http://h/x"),
            ("http://h:8080?x=1#top", "http://h:8080/?x=1"),
            ("http://[2001:DB8::0:1]:80/x", "http://[2001:db8::1]/x"),
            ("http://10.0.0.5:81/a b+c#d", "http://10.0.0.5:81/a%20b+c"),
            ("http://h/100% ready/%41%zz.ova", "http://h/100%25%20ready/%41%25zz.ova"),
            ("http://h/Büro/[1]{2}.iso?q=ü|", "http://h/B%C3%BCro/[1]%7B2%7D.iso?q=%C3%BC%7C"),
            ("http://h/a\\b", "http://h/a%5Cb"),
            ("http://h/a/./b/../c/..", "http://h/a/"),
            ("http://h/../../etc//passwd", "http://h/etc//passwd"),
            ("http://me:p%40ss@h/x", "http://me:p%40ss@h/x"),
            ("http://me:p@ss@h/x", "http://me:p%40ss@h/x"),
            ("http://@h/", "http://h/"),
        ] {
            assert_eq!(whole(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        for (text, said) in [
            ("http://", "names no host"),
            ("http:///x", "names no host"),
            ("http://good\\@evil/", "backslash"),
            ("http://h\\evil/", "backslash"),
            ("http://a b/", "neither a name"),
            ("http://h%2eevil/", "neither a name"),
            ("http://a..b/", "neither a name"),
            ("http://2130706433/", "unmistakable"),
            ("http://0x7f000001/", "unmistakable"),
            ("http://127.1/", "unmistakable"),
            ("http://0177.0.0.1/", "unmistakable"),
            ("http://1.2.3.4.5/", "unmistakable"),
            ("http://bücher.example/", "xn--"),
            ("http://[fe80::1%25eth0]/", "without zone"),
            ("http://[::1/", "wants its"),
            ("http://[::1]x/", "only a port"),
            ("http://::1/", "names no host"),
            ("http://h:0/", "port"),
            ("http://h:65536/", "port"),
            ("http://h:+1/", "port"),
            ("http://h/a\r\nHost: x", "control"),
            ("ftp://h/x", "`ftp://` cannot"),
            ("file:///etc/passwd", "`file://` cannot"),
            ("h/x", "does not begin"),
        ] {
            assert!(whole(text).contains(said), "{text}: {}", whole(text));
        }
        assert!(whole(&format!("http://h/{}", "x".repeat(9_000))).contains("longer"));
        assert_eq!(whole("http://h/\u{85}"), whole("http://h/\n"));
    }

    #[test]
    fn a_path_with_a_colon_is_none() {
        for (text, wanted) in [
            ("http://x", Some("http")),
            ("vi://x", Some("vi")),
            ("a:b.ova", None),
            ("C:\\x.ova", None),
            ("./odd://name", None),
            ("1a://x", None),
            ("://x", None),
        ] {
            assert_eq!(scheme(text), wanted, "{text}");
        }
    }

    #[test]
    fn references_lead_where_the_standard_says() {
        let base = Url::parse("http://me:pw@h:81/a/b/x.ovf?token=t").unwrap();
        for (text, wanted) in [
            ("disk-1.vmdk", "http://me:pw@h:81/a/b/disk-1.vmdk"),
            ("disk:1 ä.vmdk", "http://me:pw@h:81/a/b/disk:1%20%C3%A4.vmdk"),
            ("../c/d", "http://me:pw@h:81/a/c/d"),
            ("../../../../d", "http://me:pw@h:81/d"),
            ("/d?u=1", "http://me:pw@h:81/d?u=1"),
            ("?u=2", "http://me:pw@h:81/a/b/x.ovf?u=2"),
            ("", "http://me:pw@h:81/a/b/x.ovf?token=t"),
            ("#top", "http://me:pw@h:81/a/b/x.ovf?token=t"),
            (".", "http://me:pw@h:81/a/b/"),
            ("http://h:81/q", "http://me:pw@h:81/q"),
            ("http://h/q", "http://h/q"),
            ("https://h:81/q", "https://h:81/q"),
            ("//other/q", "http://other/q"),
            ("http://u@other/q", "http://u@other/q"),
            ("mailto:x", "http://me:pw@h:81/a/b/mailto:x"),
        ] {
            let to = base.join(text).unwrap();
            assert_eq!(to.whole().reveal(), wanted, "{text}");
        }
        for bad in ["ftp://h/x", "http://0x1/", "a\nb", "///x"] {
            assert!(base.join(bad).is_err(), "{bad}");
        }
        let safe = Url::parse("https://me:pw@h/x?token=t").unwrap();
        let error = safe.join("http://u:hunter2@h/y?hunter2").unwrap_err().to_string();
        assert!(error.contains("from https to plain http, at `http://***@h/y?***`"), "{error}");
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let url = Url::parse("https://me:hunter2@[::1]:8443/a.ova?sig=hunter2").unwrap();
        let wanted = "https://***@[::1]:8443/a.ova?***";
        assert_eq!((format!("{url}"), format!("{url:?}")), (wanted.to_owned(), wanted.to_owned()));
        assert_eq!((url.target().as_str(), url.path()), ("/a.ova?sig=hunter2", "/a.ova"));
        let basic =
            |text: &str| Url::parse(text).unwrap().authorization().map(|it| it.reveal().to_owned());
        assert_eq!(
            basic("http://Aladdin:open%20sesame@h/").unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(basic("http://u@h/").unwrap(), "Basic dTo=");
        assert_eq!(basic("http://h/"), None);
        assert!(
            !Url::parse("http://me:hunter2@a b/?hunter2")
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
    }
}
