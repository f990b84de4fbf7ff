//! Where a URL that the server gave leads: back to the server, or to an ESXi that it names.
//!
//! Files travel by such URLs, of guests and of leases. It must not know what travels. Surprising: a
//! standalone host writes a star, or a name that may mean nothing here, and means itself, by whatever
//! address and port it was reached; and no cookie goes along, since the URL is all the permission
//! that it takes. That is why no message shows more of a URL than its host.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::vim::value::Value;
use crate::vsphere::wire::Wire;
use crate::vsphere::{Elsewhere, Vsphere};
use crate::web::exchange::{Exchange, Request, Response};
use crate::web::tls::{Trust, fingerprint_of_pem};

/// The largest certificate that is looked at.
const MAX_CERTIFICATE: usize = 64 << 10;

/// Whom to ask, and for which path.
pub struct Door<'a> {
    way: Way,
    /// Of the server that named it, where bytes are counted.
    wire: &'a Wire,
    pub path: String,
}

enum Way {
    Own,
    Other(Box<dyn Exchange>, Elsewhere),
}

impl Door<'_> {
    /// Sends a request; whatever its status, the answer comes back.
    pub fn exchange(&self, request: &Request<'_>) -> Result<Response> {
        match &self.way {
            Way::Own => self.wire.send(request),
            Way::Other(exchange, at) => {
                self.wire.pass(&**exchange, request).map_err(|error| unreached(error, at))
            }
        }
    }
}

/// Opens the door of a URL; `vouch` says for another host how it is known to be the right one.
pub fn open<'a>(
    it: &'a Vsphere,
    call: &Call,
    url: &str,
    vouch: &mut dyn FnMut(&str, u16) -> Result<Elsewhere>,
) -> Result<Door<'a>> {
    call.check()?;
    let (host, port, path) = parts(url).ok_or_else(|| {
        let shown: Vec<&str> = url.splitn(4, '/').take(3).collect();
        let said = format!("the server gave `{}` as a file's URL", quoted(&shown.join("/")));
        Error::new(Kind::Remote, said)
    })?;
    // A standalone host is the only one there is, whatever it calls itself; a star is whoever gave
    // the URL.
    let own = host == "*"
        || host.eq_ignore_ascii_case(&it.address.host)
        || !it.session.live(call)?.is_vcenter();
    let way = match own {
        true => Way::Own,
        false => {
            let at = vouch(host, port)?;
            let exchange = (it.reach)(&at).map_err(|error| unreached(error, &at))?;
            Way::Other(exchange, at)
        }
    };
    Ok(Door { way, wire: &it.session.wire, path: path.to_owned() })
}

/// What is wrong with it is for no setting of ours to mend.
fn unreached(error: Error, at: &Elsewhere) -> Error {
    let trust = match at.trust {
        Trust::System => "a certificate that this machine trusts",
        _ => "the certificate that vCenter knows",
    };
    error
        .during(format!("the ESXi host `{}` at port {}, which holds the file", at.host, at.port))
        .hint_instead(format!(
            "Files go to the ESXi itself: `{}` must be known and reachable from here at port {}, \
             with {trust}",
            at.host, at.port
        ))
}

/// Host, port and path of an http(s) URL.
fn parts(url: &str) -> Option<(&str, u16, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let usual = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains('@')).then_some((host, port, path))
}

/// The trust in one certificate that the server tells as text or bytes.
pub fn certificate(value: &Value) -> Option<Trust> {
    // Bytes are signed on the wire.
    let byte = |it: &Value| it.as_int().and_then(|it| u8::try_from(it & 0xff).ok());
    let bytes: Vec<u8> = match (value.as_bytes(), value.as_text()) {
        (Some(bytes), _) => bytes.iter().copied().take(MAX_CERTIFICATE).collect(),
        (_, Some(text)) => text.bytes().take(MAX_CERTIFICATE).collect(),
        _ => value.items().iter().take(MAX_CERTIFICATE).filter_map(byte).collect(),
    };
    fingerprint_of_pem(&bytes).map(Trust::Fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_fall_into_their_parts() {
        for (url, wanted) in [
            ("https://*/guestFile?id=1&token=a/b", Some(("*", 443, "/guestFile?id=1&token=a/b"))),
            ("https://*:443/x", Some(("*", 443, "/x"))),
            ("https://esx:8443/x", Some(("esx", 8443, "/x"))),
            ("https://[fe80::1]:443/x", Some(("fe80::1", 443, "/x"))),
            ("https://[fe80::1]/x", Some(("fe80::1", 443, "/x"))),
            ("http://127.0.0.1:8989/x", Some(("127.0.0.1", 8989, "/x"))),
            ("ftp://h/x", None),
            ("https://u:p@h/x", None),
            ("https://h", None),
            ("https:///x", None),
            ("", None),
        ] {
            assert_eq!(parts(url), wanted, "{url}");
        }
    }

    #[test]
    fn a_certificate_is_read_as_signed_bytes_as_binary_and_as_text() {
        let pem = b"-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----\n";
        let read = |value: Value| match certificate(&value) {
            Some(Trust::Fingerprint(digest)) => Some(digest),
            _ => None,
        };
        let list: Vec<Value> = pem.iter().map(|it| Value::from(i64::from(*it))).collect();
        let first = read(Value::List(list));
        // SHA-256 of `abc`.
        assert_eq!(first.map(|it| it[..4].to_vec()), Some(vec![0xba, 0x78, 0x16, 0xbf]));
        assert_eq!(read(Value::Binary(pem.to_vec())), first);
        assert_eq!(read(Value::Text(String::from_utf8_lossy(pem).into_owned())), first);
        assert_eq!(read(Value::Binary(b"-----BEGIN CERTIFICATE-----".to_vec())), None);
        assert_eq!(read(Value::Null), None);
    }
}
