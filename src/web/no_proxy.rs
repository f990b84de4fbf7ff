//! Which hosts are reached without the proxy: the `NO_PROXY` list, as people write it.
//!
//! Pure text and numbers; it resolves nothing, so a range of addresses matches only a host that was
//! given as an address. Surprising: the HTTP library has such a list too, but it does not know
//! ranges, so that `10.0.0.0/8` would still go to the proxy.

use std::net::IpAddr;

/// True if an entry of `list` (commas or spaces between them) names this host.
///
/// An entry is `*`, a domain with everything below it (`example.com`, `.example.com`,
/// `*.example.com`), an address, or a range (`10.0.0.0/8`); each but `*` and a range may end in a
/// port.
pub fn bypasses(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    list.split([',', ' ', '\t', ';'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .any(|entry| matches(entry, host, port))
}

fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(inside) = within(entry, host) {
        return inside;
    }
    let (name, only) = split_port(entry);
    if only.is_some_and(|only| only != port) {
        return false;
    }
    match (address(name), address(host)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => below(name, host),
        _ => false,
    }
}

/// Whether an address lies in a range such as `10.0.0.0/8`.
pub fn in_range(range: &str, address: &str) -> bool {
    within(range, address) == Some(true)
}

/// Whether the host lies in the range; `None` if the entry is not a range.
fn within(entry: &str, host: &str) -> Option<bool> {
    let (base, length) = entry.split_once('/')?;
    let (Some(base), Ok(length), Some(host)) = (address(base), length.parse(), address(host))
    else {
        return Some(false);
    };
    Some(match (base, host) {
        (IpAddr::V4(base), IpAddr::V4(host)) => {
            same_start(u128::from(base.to_bits()), u128::from(host.to_bits()), 32, length)
        }
        (IpAddr::V6(base), IpAddr::V6(host)) => {
            same_start(base.to_bits(), host.to_bits(), 128, length)
        }
        _ => false,
    })
}

/// Whether the first `length` of `width` bits are the same.
fn same_start(left: u128, right: u128, width: u32, length: u32) -> bool {
    match width.checked_sub(length) {
        Some(rest) => (left ^ right).checked_shr(rest).unwrap_or_default() == 0,
        None => false,
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim_matches(['[', ']']).parse().ok().map(|found: IpAddr| found.to_canonical())
}

/// Takes a trailing port off; a bare IPv6 address has colons but no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if address(entry).is_some() {
        return (entry, None);
    }
    match entry.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, Some(port)),
        _ => (entry, None),
    }
}

/// Whether the host is this domain or below it.
fn below(domain: &str, host: &str) -> bool {
    let domain = domain.trim_start_matches('*').trim_matches('.');
    let Some(start) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    let same = host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(domain));
    let whole = start == 0 || host.as_bytes().get(start - 1) == Some(&b'.');
    !domain.is_empty() && same && whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &str, host: &str, expected: bool) {
        assert_eq!(bypasses(list, host, 443), expected, "`{list}` and `{host}`");
    }

    #[test]
    fn names() {
        check("", "esx7", false);
        check("*", "esx7", true);
        check("esx7", "ESX7", true);
        check("esx7", "esx70", false);
        check("example.com", "example.com", true);
        check("example.com", "a.b.example.com", true);
        check(".example.com", "a.example.com", true);
        check(".example.com", "example.com", true);
        check("*.example.com", "a.example.com", true);
        check("example.com", "badexample.com", false);
        check("example.com", "example.com.evil.org", false);
        check("example.com", "example.com.", true);
        check("localhost, .lab;other", "esx7.lab", true);
        check(" , ,", "esx7", false);
        check(".", "esx7", false);
        check("é", "esx7", false);
    }

    #[test]
    fn addresses() {
        check("10.1.2.3", "10.1.2.3", true);
        check("10.1.2.3", "10.1.2.30", false);
        check("10.0.0.0/8", "10.200.1.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "ten.lab", false);
        check("10.1.2.128/25", "10.1.2.127", false);
        check("0.0.0.0/0", "8.8.8.8", true);
        check("0.0.0.0/0", "fe80::1", false);
        check("10.0.0.0/33", "10.0.0.1", false);
        check("10.0.0.0/x", "10.0.0.1", false);
        check("fd00::/8", "[fd12::5]", true);
        check("::/0", "::1", true);
        check("::1", "[::1]", true);
        check("[::1]", "::1", true);
        check("::ffff:10.1.2.3", "10.1.2.3", true);
        check("2.3", "10.1.2.3", false);
    }

    #[test]
    fn ports() {
        check("esx7:443", "esx7", true);
        check("esx7:8443", "esx7", false);
        check("10.1.2.3:443", "10.1.2.3", true);
        check("[::1]:443", "::1", true);
        check("[::1]:8443", "::1", false);
    }
}
