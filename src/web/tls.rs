//! Whom we trust: the system's authorities, those of a file, one certificate, or anybody.
//!
//! Builds the one TLS configuration that the client and uploads share; what is accepted is decided
//! in `verify`. It must not know hosts or settings. Surprising: the fingerprint of the last
//! certificate is kept even when it was refused, because that is what a user has to copy.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, Result};
use crate::web::provider::provider;
use crate::web::verify::{Rule, Verifier};

/// Which server certificates are accepted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Those that an authority known to the system has signed.
    System,
    /// Those that an authority in this PEM file has signed, and those that stand in it themselves.
    CaFile(PathBuf),
    /// The one whose SHA-256 this is, whatever its names and dates.
    Fingerprint([u8; 32]),
    /// The one whose SHA-1 this is, whatever its names and dates: hypervisors name no other digest of
    /// the hosts that they send a client to, and a second certificate of a given SHA-1 is out of
    /// anybody's reach yet.
    Thumbprint([u8; 20]),
    /// Any; whoever sits in between can read and change everything.
    Insecure,
}

/// The TLS side of connections to one peer.
pub struct Tls {
    config: Arc<ClientConfig>,
    seen: Seen,
}

/// Sessions kept for shorter handshakes; the library's 256 are for a browser.
const SESSIONS: usize = 4;

/// What identifies a certificate.
#[derive(Clone, Copy, Debug)]
pub struct Digests {
    pub sha256: [u8; 32],
    /// Only to be told to hypervisors that ask for it.
    pub sha1: [u8; 20],
}

/// Where the digests of the last certificate are kept.
pub(crate) type Seen = Arc<Mutex<Option<Digests>>>;

impl Tls {
    /// Reads whatever the trust needs; a file or bundle that is of no use is an error.
    pub fn new(trust: &Trust) -> Result<Tls> {
        let provider = provider();
        let seen = Seen::default();
        let rule = rule(trust)?;
        let verifier = Verifier::new(rule, Arc::clone(&provider), Arc::clone(&seen));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::bug(format!("TLS cannot be set up: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Tls { config: Arc::new(config), seen })
    }

    /// The configuration, for one more connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// Digests of the certificate that the peer showed last, accepted or not.
    pub fn seen(&self) -> Option<Digests> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `AB:CD:…`, as browsers, `openssl x509 -fingerprint -sha256` and the hypervisors print it.
pub fn fingerprint_text(digest: &[u8]) -> String {
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Reads 64 hexadecimal digits, with or without colons or spaces between them.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    digest(text)?.try_into().ok()
}

/// What a digest of either length, as a server writes it, makes us trust.
pub fn trust_of(text: &str) -> Option<Trust> {
    let digest = digest(text)?;
    match digest.len() {
        20 => digest.try_into().ok().map(Trust::Thumbprint),
        _ => digest.try_into().ok().map(Trust::Fingerprint),
    }
}

fn digest(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' '))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    digits.len().is_multiple_of(2).then_some(bytes)
}

fn rule(trust: &Trust) -> Result<Rule> {
    Ok(match trust {
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                crate::logging::debug!("a part of the system's certificates is left out: {error}");
            }
            Rule::System(system(found.certs)?)
        }
        Trust::CaFile(path) => {
            let listed = read_pem(path)?;
            Rule::CaFile { chain: chain(listed.clone()), listed }
        }
        Trust::Fingerprint(digest) => Rule::Fingerprint(*digest),
        Trust::Thumbprint(digest) => Rule::Thumbprint(*digest),
        Trust::Insecure => Rule::Insecure,
    })
}

/// The system's authorities; a small box may have none at all.
fn system(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore> {
    chain(certificates).ok_or_else(|| {
        Error::usage("this machine has no list of trusted certificate authorities").hint(
            "Install it (often the package `ca-certificates`), or name a file of authorities \
             (…_CA_FILE), or the server's own fingerprint (…_FINGERPRINT)",
        )
    })
}

/// Those of them that can end a chain; `None` if none can.
fn chain(certificates: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (used, left_out) = roots.add_parsable_certificates(certificates);
    crate::logging::debug!(
        "{used} certificate authorities are trusted, {left_out} could not be read"
    );
    (used > 0).then_some(roots)
}

fn read_pem(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let name = path.display();
    let text = std::fs::read(path)
        .map_err(|error| Error::usage(format!("cannot read the CA file `{name}`: {error}")))?;
    let listed: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::usage(format!("the CA file `{name}` is damaged")).hint(PEM))?;
    if listed.is_empty() {
        return Err(Error::usage(format!("the CA file `{name}` holds no certificate")).hint(PEM));
    }
    Ok(listed)
}

const PEM: &str = "It must be PEM text, with `-----BEGIN CERTIFICATE-----` before each certificate";

/// SHA-256 of the first certificate in a PEM text; none where it holds none.
pub fn fingerprint_of_pem(pem: &[u8]) -> Option<[u8; 32]> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    ring::digest::digest(&ring::digest::SHA256, &der).as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_go_both_ways() {
        let digest: [u8; 32] = std::array::from_fn(|i| (i * 7) as u8);
        let text = fingerprint_text(&digest);
        assert!(text.starts_with("00:07:0E:15:") && text.len() == 95, "{text}");
        assert_eq!(parse_fingerprint(&text), Some(digest));
        assert_eq!(parse_fingerprint(&text.replace(':', "").to_lowercase()), Some(digest));
        assert_eq!(parse_fingerprint(&text.replace(':', " ")), Some(digest));
        assert_eq!(parse_fingerprint(&text[3..]), None);
        assert_eq!(parse_fingerprint(&format!("{text}:00")), None);
        assert_eq!(parse_fingerprint(&text.replace("00", "+0")), None);
        assert_eq!(parse_fingerprint(""), None);
        assert_eq!(parse_fingerprint("é"), None);
        let short = fingerprint_text(&digest[..20]);
        assert!(matches!(trust_of(&text), Some(Trust::Fingerprint(it)) if it == digest));
        assert!(matches!(trust_of(&short), Some(Trust::Thumbprint(it)) if it == digest[..20]));
        for bad in ["", "AB", &short[1..], "no digest"] {
            assert!(trust_of(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_box_without_authorities_is_told_what_to_do() {
        let error = system(Vec::new()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("ca-certificates"), "{error}");
        assert!(error.to_string().contains("…_FINGERPRINT"), "{error}");
    }

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let refuse =
            |path: &Path| Tls::new(&Trust::CaFile(path.to_owned())).map(|_| ()).unwrap_err();
        let missing = refuse(Path::new("/nowhere/ca.pem"));
        assert!(missing.to_string().contains("cannot read the CA file `/nowhere/ca.pem`"));
        let empty = refuse(Path::new("/dev/null"));
        assert!(empty.to_string().contains("holds no certificate. It must be PEM"), "{empty}");
    }
}
