//! The text of a setting, checked against its kind and made into a value.
//!
//! It knows kinds, not options. An error repeats the text only where no secret can stand in it.
//! Surprising: a proxy is a secret as soon as it is read, because it may hold a password.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::concentrator;
use crate::config::endpoint::{self, Endpoint};
use crate::config::options::Kind;
use crate::error::quoted;
use crate::text::secret::Secret;

/// A checked value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, path, list, choice (spelt as in the table) or sink.
    Text(String),
    /// A switch.
    Flag(bool),
    /// A duration.
    Time(Duration),
    /// A number.
    Count(u64),
    /// A server's address.
    Server(Endpoint),
    /// A SHA-256 fingerprint.
    Fingerprint([u8; 32]),
    /// What is never shown: secrets and proxies.
    Hidden(Secret),
}

/// Checks a text; the error says what would be right.
pub fn check(kind: Kind, raw: &str) -> Result<Value, String> {
    if kind == Kind::Secret {
        return secret(raw).map(Value::Hidden);
    }
    let text = raw.trim();
    if text.chars().any(char::is_control) {
        return Err("holds a control character, such as the end of a line".to_owned());
    }
    match kind {
        Kind::Text | Kind::List | Kind::Path | Kind::Secret => plain(text),
        Kind::Folders => match folders(text).find(|it| !it.is_absolute()) {
            Some(odd) => Err(wrong(&odd.to_string_lossy(), "an absolute path")),
            None => plain(text),
        },
        Kind::Hosts => match list(text).iter().find(|it| !is_host_entry(it)) {
            Some(odd) => Err(wrong(odd, "a host: write name, *.name, an address or 10.0.0.0/8")),
            None => plain(text),
        },
        Kind::Name => name(text),
        Kind::Bool => switch(text).map(Value::Flag).ok_or_else(|| wrong(text, "true or false")),
        Kind::Seconds(low, high) => seconds(text, low, high),
        Kind::Count(low, high) => count(text, low, high),
        Kind::Choice(words) => choice(text, words),
        Kind::Sink(words) => sink(text, words),
        Kind::Exposed => exposed(text),
        Kind::Place => concentrator::place(text).and_then(|_| plain(text)),
        Kind::Concentrator => concentrator::dialled(text).and_then(|_| plain(text)),
        Kind::Server => endpoint::parse(text).map(Value::Server),
        Kind::Url => url(text),
        Kind::Proxy => proxy(text),
        Kind::Fingerprint => fingerprint(text).map(Value::Fingerprint),
    }
}

/// What may be shown of a value.
pub fn shown(kind: Kind, raw: &str) -> String {
    match kind {
        Kind::Secret => "***".to_owned(),
        Kind::Proxy => masked(raw.trim()),
        _ => quoted(raw),
    }
}

/// Values of a list: split at commas and blanks, empty ones dropped.
pub fn list(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A name, all names below one, an address, a range, or `*` for any host.
fn is_host_entry(text: &str) -> bool {
    if let Some((address, length)) = text.split_once('/') {
        let bits = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        return number(length).is_some_and(|it| it <= bits);
    }
    let name = text.strip_prefix("*.").unwrap_or(text);
    text == "*" || matches!(endpoint::host_and_port(name), Ok((_, None)))
}

/// Folders with colons between them.
pub fn folders(text: &str) -> impl Iterator<Item = PathBuf> {
    text.split(':').filter(|part| !part.is_empty()).map(PathBuf::from)
}

fn wrong(text: &str, right: &str) -> String {
    let cut: String = quoted(text).chars().take(60).collect();
    format!("`{cut}` is not {right}")
}

fn plain(text: &str) -> Result<Value, String> {
    Ok(Value::Text(text.to_owned()))
}

/// A secret as it came. A line too many, or a NUL, is a mistake in every case that we know.
fn secret(raw: &str) -> Result<Secret, String> {
    if raw.chars().any(|c| c.is_control() && c != '\t') {
        return Err("holds a control character, such as the end of a line".to_owned());
    }
    Ok(Secret::new(raw))
}

fn name(text: &str) -> Result<Value, String> {
    let fits = |c: char| c.is_alphanumeric() || "._-:[]".contains(c);
    if text.chars().count() > 64 || !text.chars().all(fits) {
        return Err(wrong(text, "a name, use up to 64 letters, digits and `.` `_` `-`"));
    }
    plain(text)
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Digits only, so that neither `+5` nor ` 5` nor an overflow passes.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn count(text: &str, low: u64, high: u64) -> Result<Value, String> {
    match number(text) {
        Some(n) if (low..=high).contains(&n) => Ok(Value::Count(n)),
        _ => Err(wrong(text, &format!("a whole number from {low} to {high}"))),
    }
}

fn seconds(text: &str, low: u64, high: u64) -> Result<Value, String> {
    let (digits, unit) = match text.strip_suffix('m') {
        Some(minutes) => (minutes, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let total = number(digits).and_then(|n| n.checked_mul(unit));
    match total {
        Some(n) if (low..=high).contains(&n) => Ok(Value::Time(Duration::from_secs(n))),
        Some(_) => Err(wrong(text, &format!("from {low} to {high} seconds"))),
        None => Err(wrong(text, "a number of seconds, for instance 300 or 5m")),
    }
}

fn choice(text: &str, words: &[&str]) -> Result<Value, String> {
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => plain(word),
        None => Err(wrong(text, &format!("one of {}", words.join(", ")))),
    }
}

/// Sinks with commas between them.
pub fn sinks(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn sink(text: &str, words: &[&str]) -> Result<Value, String> {
    let mut all: Vec<&str> = Vec::new();
    for part in sinks(text) {
        let word = words.iter().find(|it| it.eq_ignore_ascii_case(part)).copied();
        let Some(sink) = word.or(part.contains('/').then_some(part)) else {
            let right = format!("{} or a path with a `/`", words.join(", "));
            return Err(wrong(part, &right));
        };
        if all.contains(&sink) {
            return Err(format!("`{}` is there twice", quoted(sink)));
        }
        all.push(sink);
    }
    plain(&all.join(","))
}

fn exposed(text: &str) -> Result<Value, String> {
    if let Some(on) = switch(text) {
        return Ok(Value::Flag(on));
    }
    match endpoint::host_and_port(text) {
        Ok((_, Some(_))) => plain(text),
        _ => Err(wrong(text, "true, false or an address such as 127.0.0.1:9090")),
    }
}

fn url(text: &str) -> Result<Value, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let authority = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    match authority.map(endpoint::host_and_port) {
        Some(Ok(_)) => plain(text),
        _ => Err("not a URL, write https://name/path without user and password".to_owned()),
    }
}

fn proxy(text: &str) -> Result<Value, String> {
    let right = "not a proxy that is spoken, write http://name:port";
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
        Some(_) => return Err(right.to_owned()),
        None => text,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let address = rest.rsplit_once('@').map_or(rest, |(_, address)| address);
    match endpoint::host_and_port(address) {
        Ok(_) => Ok(Value::Hidden(Secret::new(text))),
        Err(_) => Err(right.to_owned()),
    }
}

/// A proxy without its user and password.
fn masked(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, address)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let separator = if scheme.is_empty() { "" } else { "://" };
            quoted(&format!("{scheme}{separator}***@{address}"))
        }
        None => quoted(text),
    }
}

/// Reads 64 hex digits, colons and blanks between them allowed.
fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let bare = match text.get(..7) {
        Some(prefix) if prefix.eq_ignore_ascii_case("sha256:") => &text[7..],
        _ => text,
    };
    let digits: Vec<char> = bare.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let nibbles: Option<Vec<u32>> = digits.iter().map(|c| c.to_digit(16)).collect();
    let Some(nibbles) = nibbles.filter(|it| matches!(it.len(), 40 | 64)) else {
        return Err("not a SHA-256 fingerprint, which has 64 hex digits; `jumpvisor check` shows \
                    the one of the server"
            .to_owned());
    };
    if nibbles.len() == 40 {
        return Err("a SHA-1 fingerprint is not enough, SHA-256 is needed; `jumpvisor check` \
                    shows the one of the server"
            .to_owned());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks(2)) {
        *byte = u8::try_from(pair[0] * 16 + pair[1]).unwrap_or_default();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: Kind, text: &str) -> String {
        check(kind, text).map_or_else(|error| error, |value| format!("{value:?}"))
    }

    #[test]
    fn switches_and_numbers() {
        for text in ["true", "1", "YES", "On"] {
            assert_eq!(outcome(Kind::Bool, text), "Flag(true)");
        }
        for text in ["false", "0", "no", " OFF "] {
            assert_eq!(outcome(Kind::Bool, text), "Flag(false)");
        }
        assert_eq!(outcome(Kind::Bool, "maybe"), "`maybe` is not true or false");
        let time = Kind::Seconds(1, 600);
        assert_eq!(outcome(time, "10"), "Time(10s)");
        assert_eq!(outcome(time, "10s"), "Time(10s)");
        assert_eq!(outcome(time, "5m"), "Time(300s)");
        assert_eq!(outcome(time, "11m"), "`11m` is not from 1 to 600 seconds");
        for text in ["abc", "", "-1", "+1", "1.5", "99999999999999999999", "1h", "m"] {
            assert!(outcome(time, text).ends_with("for instance 300 or 5m"), "{text}");
        }
        assert_eq!(outcome(Kind::Count(1, 9), "9"), "Count(9)");
        assert_eq!(outcome(Kind::Count(1, 9), "10"), "`10` is not a whole number from 1 to 9");
    }

    #[test]
    fn words_paths_and_names() {
        let level = Kind::Choice(&["DEBUG", "WARNING"]);
        assert_eq!(outcome(level, "warning"), "Text(\"WARNING\")");
        assert_eq!(outcome(level, "loud"), "`loud` is not one of DEBUG, WARNING");
        let sink = Kind::Sink(&["stderr", "journal"]);
        assert_eq!(outcome(sink, "STDERR"), "Text(\"stderr\")");
        assert_eq!(outcome(sink, "./a.log"), "Text(\"./a.log\")");
        assert_eq!(outcome(sink, "journal, /a b,STDERR"), "Text(\"journal,/a b,stderr\")");
        assert_eq!(outcome(sink, "/a,/a"), "`/a` is there twice");
        assert_eq!(outcome(sink, "journal,"), "`` is not stderr, journal or a path with a `/`");
        assert_eq!(outcome(sink, "sterr"), "`sterr` is not stderr, journal or a path with a `/`");
        assert!(check(Kind::Name, "lab/esx1").is_err());
        assert!(check(Kind::Name, "lab-1.example").is_ok());
        assert!(check(Kind::Text, "a\nb").is_err());
        assert_eq!(list("a, b,,c d"), ["a", "b", "c", "d"]);
    }

    #[test]
    fn hosts_are_names_addresses_and_ranges() {
        for good in ["", "*", "files.lab, *.example.com", "10.0.0.0/8,::1,[::1],fd00::/8", "a-b"] {
            assert!(check(Kind::Hosts, good).is_ok(), "{good}");
        }
        for bad in [
            "http://h",
            "h:80",
            "a*b",
            "*a",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "name/8",
            "a/b",
            "0x7f.1",
        ] {
            assert!(outcome(Kind::Hosts, bad).contains("is not a host: write name"), "{bad}");
        }
    }

    #[test]
    fn fingerprints() {
        let hex = "0123456789abcdefABCDEF0123456789".repeat(2);
        let Ok(Value::Fingerprint(bytes)) = check(Kind::Fingerprint, &hex) else { panic!() };
        assert_eq!(bytes[..4], [0x01, 0x23, 0x45, 0x67]);
        let colons = format!(
            "SHA256:{}",
            hex.as_bytes()
                .chunks(2)
                .fold(String::new(), |all, it| { all + std::str::from_utf8(it).unwrap() + ":" })
        );
        let Ok(Value::Fingerprint(same)) = check(Kind::Fingerprint, &colons) else { panic!() };
        assert_eq!(bytes, same);
        assert!(outcome(Kind::Fingerprint, &"a".repeat(40)).contains("SHA-1"));
        for text in ["", "xyz", &"g".repeat(64), &"a".repeat(63), &"ß".repeat(32)] {
            assert!(outcome(Kind::Fingerprint, text).contains("64 hex digits"), "{text}");
        }
    }

    #[test]
    fn proxies_are_masked_wherever_they_show() {
        for (text, wanted) in [
            ("http://me:hunter2@proxy:3128", "http://***@proxy:3128"),
            ("me:hunter2@proxy", "***@proxy"),
            ("http://me:hun@ter2@proxy/", "http://***@proxy/"),
            ("http://proxy:3128", "http://proxy:3128"),
        ] {
            assert_eq!(shown(Kind::Proxy, text), wanted);
            assert_eq!(outcome(Kind::Proxy, text), "Hidden(***)");
        }
        let refused = outcome(Kind::Proxy, "socks5://me:hunter2@proxy");
        assert!(refused.contains("http://name:port") && !refused.contains("hunter2"));
    }

    #[test]
    fn urls_hold_no_password() {
        assert!(check(Kind::Url, "https://id.example/realm?x").is_ok());
        assert!(!outcome(Kind::Url, "https://a:hunter2@id.example").contains("hunter2"));
        assert!(check(Kind::Url, "https://a:hunter2@id.example").is_err());
        assert!(check(Kind::Url, "id.example").is_err());
    }
}
