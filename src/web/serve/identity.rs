//! The certificate that the edge serves TLS with: read from PEM files, and read again on demand.
//!
//! A file that is of no use is told with the reason; when it was read again, the certificate before
//! it stays. Surprising: a certificate that has expired is served all the same, with a warning,
//! since to serve nothing would not help the admin who must replace it from afar.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::ServerSessionMemoryCache;

use crate::error::Error;
use crate::error::Result;
use crate::text::time;
use crate::web::provider::provider;

/// Bytes of a PEM file; a chain has some 10 KB.
const FILE: u64 = 256 << 10;

/// Sessions kept for shorter handshakes, some hundred bytes each.
const SESSIONS: usize = 64;

/// A certificate that ends sooner than this is warned about.
const SOON: i64 = 14 * 86_400_000;

/// A certificate with its chain and key, and where they came from.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    config: Mutex<Arc<ServerConfig>>,
}

impl Identity {
    /// Reads a chain, the server's own certificate first, and its key.
    pub fn open(certificate: &Path, key: &Path) -> Result<Identity> {
        let config = Mutex::new(load(certificate, key)?);
        Ok(Identity { certificate: certificate.to_owned(), key: key.to_owned(), config })
    }

    /// Reads the files again for connections from now on. On an error nothing changes.
    pub fn reload(&self) -> Result<()> {
        let config = load(&self.certificate, &self.key).map_err(|error| {
            error.during("TLS goes on with the certificate that was read before")
        })?;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Until when the certificate is valid, for a person, and whether that is long enough.
    pub fn dates(&self) -> Option<(bool, String)> {
        let text = read(&self.certificate, "certificate").ok()?;
        let first = CertificateDer::pem_slice_iter(&text).next()?.ok()?;
        dates(&self.certificate, &first)
    }

    /// For one more connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let name = certificate.display();
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(certificate, "certificate")?)
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| damaged(certificate, "certificate"))?;
    let first = chain.first().ok_or_else(|| {
        Error::usage(format!("the certificate file `{name}` holds no certificate")).hint(
            "It must be PEM text with `-----BEGIN CERTIFICATE-----`, the server's own first, then \
             those between it and the authority",
        )
    })?;
    if let Some((false, said)) = dates(certificate, first) {
        log::warn!("{said}");
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key, "key")?).map_err(|why| match why {
        pem::Error::NoItemsFound => {
            Error::usage(format!("the key file `{}` holds no key", key.display()))
                .hint("It must be PEM text with `-----BEGIN PRIVATE KEY-----`, without a password")
        }
        _ => damaged(key, "key"),
    })?;
    let with = |error: rustls::Error| {
        match error {
        rustls::Error::InconsistentKeys(_) => Error::usage(format!(
            "the key in `{}` is not that of the certificate in `{name}`",
            key.display()
        ))
        .hint("Name the key that the certificate was requested with"),
        rustls::Error::InvalidCertificate(_) => damaged(certificate, "certificate"),
        _ => Error::usage(format!("the key in `{}` cannot be used", key.display()))
            .hint(
                "RSA keys are not taken here; have a certificate issued for an ECDSA key: openssl \
                 ecparam -name prime256v1 -genkey -noout. An authority with an RSA key does that too",
            ),
    }
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("TLS cannot be set up: {error}")))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(with)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let name = path.display();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE).read_to_end(&mut bytes))
        .map_err(|error| Error::usage(format!("cannot read the {what} file `{name}`: {error}")))?;
    Ok(bytes)
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::usage(format!("the {what} file `{}` is damaged", path.display()))
        .hint("Write it again as PEM text")
}

/// What a client will say about the certificate's dates, and whether it is content with them; none
/// where they cannot be read.
fn dates(path: &Path, certificate: &CertificateDer<'_>) -> Option<(bool, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let (from, until) = validity(certificate)?;
    let date = |millis| time::from_millis(millis).chars().take(10).collect::<String>();
    let (well, said) = match () {
        () if now < from => (false, format!("is not valid before {}", date(from))),
        () if now > until => (false, format!("has expired on {}; replace it", date(until))),
        () => (until - now >= SOON, format!("expires on {}", date(until))),
    };
    Some((well, format!("the certificate in `{}` {said}", path.display())))
}

/// From when until when a certificate is valid, in milliseconds since 1970.
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, signature and issuer come before it.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (SEQUENCE, dates, _) = element(fields)? else { return None };
    let (first, from, rest) = element(dates)?;
    let (second, until, _) = element(rest)?;
    Some((moment(first, from)?, moment(second, until)?))
}

/// One element of DER: its tag, what is in it and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |all, it| all << 8 | usize::from(*it)), rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((*tag, inside, rest))
}

fn moment(tag: u8, text: &[u8]) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok()?;
    let text = match (tag, text.get(..2)) {
        (UTC_TIME, Some(year)) => format!("{}{text}", if year < "50" { "20" } else { "19" }),
        _ => text.to_owned(),
    };
    let part = |from: usize, until: usize| text.get(from..until);
    let (date, clock) = ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?));
    let ((year, month, day), (hour, minute)) = (date, clock);
    time::unix_millis(&format!("{year}-{month}-{day}T{hour}:{minute}:{}Z", part(12, 14)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], &inside].concat()
    }

    #[test]
    fn dates_of_a_certificate() {
        let dates =
            der(0x30, &[&der(0x17, &[b"991231000000Z"]), &der(0x18, &[b"20500102030405Z"])]);
        let (version, other) = (der(0xa0, &[&[2, 1, 2]]), der(0x30, &[b"\x05\x00"]));
        for version in [&version[..], b""] {
            let fields = der(0x30, &[version, &[2, 1, 9], &other, &other, &dates, &other]);
            let made = der(0x30, &[&fields, &other]);
            let (from, until) = validity(&made).unwrap();
            assert!(time::from_millis(from).starts_with("1999-12-31T00:00:00"));
            assert!(time::from_millis(until).starts_with("2050-01-02T03:04:05"));
            for end in 0..made.len() {
                assert_eq!(validity(&made[..end]), None);
            }
        }
    }

    #[test]
    fn what_is_wrong_with_the_files_is_told() {
        let of = |certificate: &str, key: &str| {
            let opened = Identity::open(Path::new(certificate), Path::new(key));
            opened.map(|_| ()).unwrap_err().to_string()
        };
        let missing = of("/nowhere/cert.pem", "/dev/null");
        assert!(missing.contains("cannot read the certificate file `/nowhere/cert.pem`: No such"));
        let empty = of("/dev/null", "/dev/null");
        assert!(empty.contains("`/dev/null` holds no certificate. It must be PEM"), "{empty}");
    }
}
