//! The address of a server, as people write it: name, name and port, IPv6, or a URL.
//!
//! It resolves nothing and shows nothing of what it refuses, since a URL may hold a password.
//! Surprising: `127.1` and `0x7f000001` are refused, because resolvers read them as addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address; IPv6 without brackets, perhaps with `%zone`.
    pub host: String,
    /// 443 unless given (80 for `http://`).
    pub port: u16,
    /// False only for `http://` to this machine itself.
    pub tls: bool,
}

impl Endpoint {
    /// The host as a name for people: with the port only if it is not 443.
    pub fn label(&self) -> String {
        if self.port == 443 { self.host.clone() } else { self.to_string() }
    }
}

/// `host:port`, IPv6 in brackets.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `name`, `name:port`, `[v6]:port`, `v6` or `https://name[:port]`, each perhaps with `/sdk`
/// behind it; an error says what would be right and repeats nothing of the text.
pub fn parse(text: &str) -> Result<Endpoint, String> {
    if text.contains('@') {
        return Err("user and password do not belong in an address, they have options of \
                    their own"
            .to_owned());
    }
    let (tls, authority) = match text.split_once("://") {
        None => (true, without_path(text)?),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, without_path(rest)?),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, without_path(rest)?),
        Some(_) => return Err("only https:// is spoken to servers".to_owned()),
    };
    let (host, port) = host_and_port(authority)?;
    if !tls && !is_loopback(&host) {
        return Err("http:// would send the password in clear text, write https:// or leave it \
                    out"
        .to_owned());
    }
    Ok(Endpoint { host, port: port.unwrap_or(if tls { 443 } else { 80 }), tls })
}

/// Drops `/` and `/sdk` behind the authority; people copy them along without the scheme too.
fn without_path(rest: &str) -> Result<&str, String> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match path {
        "" | "/" | "/sdk" | "/sdk/" => Ok(authority),
        _ => Err("an address ends behind the port, or with /sdk".to_owned()),
    }
}

/// Splits `name:port`, `[v6]:port` or `v6` and checks both halves.
pub fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or("a `[` wants its `]`")?;
        if !is_v6(host) {
            return Err("only an IPv6 address stands in brackets".to_owned());
        }
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host.to_owned(), Some(port_number(port)?))),
            None if behind.is_empty() => Ok((host.to_owned(), None)),
            None => Err("only `:port` may follow the brackets".to_owned()),
        };
    }
    if is_v6(text) {
        return Ok((text.to_owned(), None));
    }
    if text.matches(':').count() > 1 {
        return Err("an IPv6 address with a port is written [address]:port".to_owned());
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port_number(port)?)),
        None => (text, None),
    };
    if is_name(host) {
        Ok((host.to_owned(), port))
    } else {
        Err("not an address, write name, name:port, [v6]:port or https://name".to_owned())
    }
}

fn port_number(text: &str) -> Result<u16, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

/// An IPv6 address, perhaps with a zone such as `%eth0`.
fn is_v6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let is_zone_byte = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    address.parse::<Ipv6Addr>().is_ok()
        && (1..=32).contains(&zone.len())
        && zone.bytes().all(is_zone_byte)
}

/// A host name or an IPv4 address in four parts.
fn is_name(text: &str) -> bool {
    if text.len() > 253 || !text.split('.').all(is_label) {
        return false;
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    let hex = last.get(..2).is_some_and(|it| it.eq_ignore_ascii_case("0x"));
    let number = last.bytes().all(|b| b.is_ascii_digit());
    if number || hex { text.parse::<Ipv4Addr>().is_ok() } else { true }
}

fn is_label(label: &str) -> bool {
    let is_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(is_byte)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// 127.0.0.0/8, ::1 and localhost: where nobody else listens in.
fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, shown, label, tls) in [
            ("esx1", "esx1:443", "esx1", true),
            ("esx1.lab.example:8443", "esx1.lab.example:8443", "esx1.lab.example:8443", true),
            ("10.0.0.11", "10.0.0.11:443", "10.0.0.11", true),
            ("fe80::1", "[fe80::1]:443", "fe80::1", true),
            ("[fe80::1%eth0]:8443", "[fe80::1%eth0]:8443", "[fe80::1%eth0]:8443", true),
            ("[::1]", "[::1]:443", "::1", true),
            ("https://esx1/sdk", "esx1:443", "esx1", true),
            ("esx1:8443/sdk", "esx1:8443", "esx1:8443", true),
            ("esx1/", "esx1:443", "esx1", true),
            ("[::1]:444/sdk/", "[::1]:444", "[::1]:444", true),
            ("HTTPS://esx1:444/", "esx1:444", "esx1:444", true),
            ("http://localhost:8989/sdk", "localhost:8989", "localhost:8989", false),
            ("http://127.9.9.9", "127.9.9.9:80", "127.9.9.9:80", false),
            ("http://[::1]:8989", "[::1]:8989", "[::1]:8989", false),
        ] {
            let endpoint = parse(text).unwrap();
            assert_eq!((endpoint.to_string(), endpoint.label()), (shown.into(), label.into()));
            assert_eq!(endpoint.tls, tls, "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason_and_repeats_nothing() {
        for (text, reason) in [
            ("http://esx1", "clear text"),
            ("http://localhost.evil", "clear text"),
            ("http://[::ffff:127.0.0.1]", "clear text"),
            ("https://root:hunter2@esx1", "user and password"),
            ("root:hunter2@esx1", "user and password"),
            ("ftp://esx1", "https://"),
            ("https://esx1/ui", "/sdk"),
            ("https://esx1?hunter2", "/sdk"),
            ("esx1:443/ui", "/sdk"),
            ("/sdk", "not an address"),
            ("esx1:x/sdk", "1 to 65535"),
            ("esx1:0", "1 to 65535"),
            ("esx1:+80", "1 to 65535"),
            ("esx1:65536", "1 to 65535"),
            ("esx1:", "1 to 65535"),
            ("fe80::1:443:x", "[address]:port"),
            ("[esx1]:443", "IPv6"),
            ("[::1", "`]`"),
            ("[::1]443", "brackets"),
            ("10.0.0.256", "not an address"),
            ("127.1", "not an address"),
            ("0x7f000001", "not an address"),
            ("2130706433", "not an address"),
            ("esx 1", "not an address"),
            ("esx1..lab", "not an address"),
            ("-esx1", "not an address"),
            ("hôst", "not an address"),
            ("", "not an address"),
            ("https://", "not an address"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
            assert!(!error.contains("hunter2"));
        }
        assert!(parse(&"x".repeat(1_000_000)).is_err());
    }
}
