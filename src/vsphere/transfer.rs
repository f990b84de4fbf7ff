//! Files into guests and out of them: a URL by SOAP, then one GET or PUT to whoever holds the guest.
//!
//! It must not know what a file is for. Surprising: behind a vCenter the URL leads to the ESXi
//! itself, whose certificate is not one that anybody here trusts; it must be the one that vCenter
//! vouches for. No cookie goes there, since the URL's token is all the permission that it takes.

use std::io;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::guest::{Inside, Outgoing, Take};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::{Elsewhere, Vsphere, guest_ops, props};
use crate::web::exchange::{Request, Response, Upload, bare, from_io, into_io};
use crate::web::tls::fingerprint_of_pem;

/// The largest certificate that is looked at.
const MAX_CERTIFICATE: usize = 64 << 10;

/// Read at once.
const CHUNK: usize = 64 << 10;

/// Between two words of progress.
const TELL: Duration = Duration::from_millis(500);

/// A file of a guest that waits to be fetched, once and within ten minutes.
pub struct Offered {
    pub size: u64,
    url: String,
}

/// Asks for a file of a guest.
pub fn offered(it: &Vsphere, call: &Call, at: &Inside, path: &str) -> Result<Offered> {
    let args = Object::args().with("guestFilePath", path);
    let found = guest_ops::file(it, call, at, "InitiateFileTransferFromGuest", args)?;
    let size = found.as_ref().and_then(|it| it.int("size"));
    let url = found.as_ref().and_then(|it| it.text("url"));
    match (size.and_then(|it| u64::try_from(it).ok()), url) {
        (Some(size), Some(url)) => Ok(Offered { size, url: url.to_owned() }),
        _ => Err(Error::new(Kind::Remote, "the server gave no URL for the file")),
    }
}

/// Fetches it, until its end or until enough was taken; its size.
pub fn fetch(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    file: &Offered,
    take: Take<'_>,
) -> Result<u64> {
    let response = send(it, call, at.place.as_deref(), &file.url, Request::new("GET", "", b""))?;
    let mut body = Watched::new(call, response.body, file.size);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = body.read(&mut chunk).map_err(from_io)?;
        if read == 0 || !take(&chunk[..read])? {
            return Ok(file.size);
        }
    }
}

/// A body on its way: stops when the call is cancelled, and tells how far it has come.
struct Watched {
    body: Box<dyn Read + Send>,
    call: Call,
    done: u64,
    total: u64,
    told: Instant,
}

impl Watched {
    fn new(call: &Call, body: Box<dyn Read + Send>, total: u64) -> Watched {
        Watched { body, call: call.clone(), done: 0, total, told: Instant::now() }
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.call.check().map_err(into_io)?;
        let read = self.body.read(into)?;
        self.done += u64::try_from(read).unwrap_or(0);
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            let percent = self.done.saturating_mul(100).checked_div(self.total).unwrap_or(0);
            let note = format!("{} of {} KB", self.done >> 10, self.total >> 10);
            self.call.progress(f64::from(u32::try_from(percent).unwrap_or(100)), note);
        }
        Ok(read)
    }
}

/// Writes a file of a guest.
pub fn store(it: &Vsphere, call: &Call, at: &Inside, path: &str, file: Outgoing) -> Result<()> {
    let size = i64::try_from(file.size).map_err(|_| Error::usage("the file is too large"))?;
    let attributes = match at.windows {
        true => Object::new("GuestWindowsFileAttributes"),
        false => Object::new("GuestPosixFileAttributes")
            .with_some("ownerId", file.owner.0)
            .with_some("groupId", file.owner.1)
            .with_some("permissions", file.permissions),
    };
    let args = Object::args()
        .with("guestFilePath", path)
        .with("fileAttributes", attributes)
        .with("fileSize", size)
        .with("overwrite", file.overwrite);
    let url = guest_ops::file(it, call, at, "InitiateFileTransferToGuest", args)?;
    let url = url.as_ref().and_then(Value::as_text).unwrap_or_default();
    let request = Request::new("PUT", "", b"")
        .header("Content-Type", "application/octet-stream")
        .sending(Upload::new(Watched::new(call, file.body, file.size), Some(file.size)));
    send(it, call, at.place.as_deref(), url, request).map(drop)
}

/// Sends a request to where its URL leads; the answer's status is a good one.
fn send(
    it: &Vsphere,
    call: &Call,
    place: Option<&str>,
    url: &str,
    request: Request<'_>,
) -> Result<Response> {
    let response = sent(it, call, place, url, request)?;
    match response.status {
        200..=299 => Ok(response),
        status => Err(Error::new(
            Kind::Network,
            format!("the file transfer was answered with HTTP {status}"),
        )
        .hint("Its URL dies when the VM is switched off, suspended or moved; try again")),
    }
}

/// Sends a request to where its URL leads, behind a vCenter to the host whose id is `place`; the
/// answer, whatever its status.
pub fn sent(
    it: &Vsphere,
    call: &Call,
    place: Option<&str>,
    url: &str,
    mut request: Request<'_>,
) -> Result<Response> {
    call.check()?;
    let (host, port, path) = parts(url).ok_or_else(|| {
        let said = format!("the server gave `{}` as a file's URL", quoted(bare(url)));
        Error::new(Kind::Remote, said)
    })?;
    request.path = path.to_owned();
    // A standalone host is the only one there is, whatever it calls itself; a star is whoever gave
    // the URL.
    let own = host == "*"
        || host.eq_ignore_ascii_case(&it.address.host)
        || !it.session.live(call)?.is_vcenter();
    match own {
        true => it.session.wire.exchange.exchange(&request),
        false => {
            let elsewhere = vouched(it, call, place, host, port)?;
            // What is wrong with it is for no setting of ours to mend.
            let during = |error: Error| {
                error
                    .during(format!("the ESXi host `{}`, which holds the file", elsewhere.host))
                    .hint_instead(format!(
                        "Files go to the ESXi itself: it must be reachable at port {port}, with the \
                         certificate that vCenter knows"
                    ))
            };
            let exchange = (it.reach)(&elsewhere).map_err(during)?;
            exchange.exchange(&request).map_err(during)
        }
    }
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

/// The ESXi that runs the machine, by the name and with the certificate that vCenter knows.
fn vouched(
    it: &Vsphere,
    call: &Call,
    place: Option<&str>,
    named: &str,
    port: u16,
) -> Result<Elsewhere> {
    let place = place.ok_or_else(|| {
        Error::new(Kind::Unsupported, format!("vCenter does not tell where `{named}` is"))
            .hint("The account needs the right to read the host")
    })?;
    let host = Ref::new("HostSystem", place);
    let paths = ["name", "config.certificate"];
    let row = props::one(&it.session, call, &host, "HostSystem", &paths)?;
    let name = row.text("name").filter(|it| !it.is_empty()).unwrap_or(named);
    let fingerprint = row.get("config.certificate").and_then(fingerprint).ok_or_else(|| {
        let said = format!("vCenter does not show the certificate of the ESXi host `{name}`");
        Error::new(Kind::Unsupported, format!("{said}, so no file is sent to it"))
            .hint("The account needs the right to read the host; or configure the ESXi itself")
    })?;
    Ok(Elsewhere { host: name.to_owned(), port, fingerprint })
}

/// SHA-256 of a certificate as the server tells it.
fn fingerprint(value: &Value) -> Option<[u8; 32]> {
    // Bytes are signed on the wire.
    let byte = |it: &Value| it.as_int().and_then(|it| u8::try_from(it & 0xff).ok());
    let bytes: Vec<u8> = match value.as_bytes() {
        Some(bytes) => bytes.iter().copied().take(MAX_CERTIFICATE).collect(),
        None => value.items().iter().take(MAX_CERTIFICATE).filter_map(byte).collect(),
    };
    fingerprint_of_pem(&bytes)
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
    fn a_certificate_is_read_as_signed_bytes_and_as_binary() {
        let pem = b"-----BEGIN CERTIFICATE-----\r\nYWJj\r\n-----END CERTIFICATE-----\n";
        let list: Vec<Value> = pem.iter().map(|it| Value::from(i64::from(*it))).collect();
        let read = fingerprint(&Value::List(list));
        // SHA-256 of `abc`.
        assert_eq!(read.map(|it| it[..4].to_vec()), Some(vec![0xba, 0x78, 0x16, 0xbf]));
        assert_eq!(fingerprint(&Value::Binary(pem.to_vec())), read);
        assert_eq!(fingerprint(&Value::Binary(b"-----BEGIN CERTIFICATE-----".to_vec())), None);
        assert_eq!(fingerprint(&Value::Null), None);
    }
}
