//! Decides on one server certificate, and says in words why it refuses.
//!
//! It knows certificates and rules, but not hosts, proxies or HTTP. Surprising: a certificate that
//! is accepted by its fingerprint, or because it stands in the CA file itself, still has to prove
//! that the peer holds its key; otherwise a copy of it, which anybody can get, would pass.

use std::fmt;
use std::sync::{Arc, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

use crate::error::quoted;
use crate::web::tls::{Digests, Seen, fingerprint_text};

/// What is accepted.
pub(crate) enum Rule {
    System(RootCertStore),
    CaFile {
        chain: Option<RootCertStore>,
        listed: Vec<CertificateDer<'static>>,
    },
    Fingerprint([u8; 32]),
    /// SHA-1.
    Thumbprint([u8; 20]),
    Insecure,
}

/// The rule at work in a TLS configuration.
pub(crate) struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
    seen: Seen,
}

/// Why a certificate was refused; travels inside rustls' own error.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Continues "the certificate of `host:port` …".
    pub text: String,
    /// What can be done about it.
    pub hint: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl Verifier {
    pub(crate) fn new(rule: Rule, provider: Arc<CryptoProvider>, seen: Seen) -> Verifier {
        Verifier { rule, provider, seen }
    }

    fn record(&self, leaf: &CertificateDer<'_>) -> [u8; 32] {
        let sha256 = sha256(leaf);
        let mut sha1 = [0; 20];
        let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
        sha1.copy_from_slice(digest.as_ref());
        let seen = Digests { sha256, sha1 };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        sha256
    }

    /// Whether a chain leads from one of these to the certificate, and it is for this name. The
    /// library's own verifier does the same and can read lists of revoked certificates, which weigh
    /// 20 KB and are not used here.
    fn chained(
        &self,
        roots: &RootCertStore,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let known = self.provider.signature_verification_algorithms.all;
        let leaf = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&leaf, roots, between, now, known)?;
        verify_server_name(&leaf, name)
    }

    fn proven(
        &self,
        leaf: &CertificateDer<'_>,
        check: impl FnOnce() -> Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Whoever is in between could show a certificate of his own with a good signature anyway.
        if matches!(self.rule, Rule::Insecure) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        check().map_err(|error| match &error {
            rustls::Error::InvalidCertificate(CertificateError::BadSignature) => refusal(
                "is not backed by its key: the server cannot prove that it is its own".to_owned(),
                "Somebody sits in between, or the server's certificate and key do not match",
            ),
            _ => refuse(&error, &sha256(leaf)),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let digest = self.record(leaf);
        let chain = match &self.rule {
            Rule::Insecure => None,
            Rule::Fingerprint(wanted) if *wanted == digest => None,
            Rule::Fingerprint(wanted) => return Err(other_fingerprint(wanted, &digest)),
            Rule::Thumbprint(wanted) => match sha1(leaf) {
                shown if shown == *wanted => None,
                shown => return Err(other_thumbprint(wanted, &shown)),
            },
            Rule::CaFile { listed, .. } if listed.contains(leaf) => None,
            Rule::CaFile { chain: Some(chain), .. } | Rule::System(chain) => Some(chain),
            Rule::CaFile { chain: None, .. } => return Err(unknown_issuer(&digest)),
        };
        if let Some(roots) = chain {
            self.chained(roots, leaf, between, name, now)
                .map_err(|error| refuse(&error, &digest))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        self.proven(leaf, || verify_tls12_signature(message, leaf, signed, known))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        self.proven(leaf, || verify_tls13_signature(message, leaf, signed, known))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn sha256(leaf: &CertificateDer<'_>) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

fn sha1(leaf: &CertificateDer<'_>) -> [u8; 20] {
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

fn refusal(text: String, hint: impl Into<String>) -> rustls::Error {
    let refusal = Refusal { text, hint: hint.into() };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

fn other_fingerprint(wanted: &[u8; 32], digest: &[u8; 32]) -> rustls::Error {
    refusal(
        format!(
            "is not the expected one: its SHA-256 fingerprint is {}, not {}",
            fingerprint_text(digest),
            fingerprint_text(wanted)
        ),
        "If the server was given a new certificate, set …_FINGERPRINT to the first of the two; \
         if not, somebody sits in between",
    )
}

fn other_thumbprint(wanted: &[u8; 20], shown: &[u8; 20]) -> rustls::Error {
    refusal(
        format!(
            "is not the one that was named: its SHA-1 thumbprint is {}, not {}",
            fingerprint_text(shown),
            fingerprint_text(wanted)
        ),
        "The host may have got a new certificate since; if not, somebody sits in between",
    )
}

fn unknown_issuer(digest: &[u8; 32]) -> rustls::Error {
    refusal(
        format!(
            "is signed by nobody who is trusted here; its SHA-256 fingerprint is {}",
            fingerprint_text(digest)
        ),
        "Compare the fingerprint with the server's own and set …_FINGERPRINT to it, or name the \
         file of its authority (…_CA_FILE), or accept any certificate (…_INSECURE)",
    )
}

/// The library's reason in words, with what can be done about it.
fn refuse(error: &rustls::Error, digest: &[u8; 32]) -> rustls::Error {
    let rustls::Error::InvalidCertificate(reason) = error else {
        return error.clone();
    };
    let print = fingerprint_text(digest);
    let pin = format!("or trust this one certificate: set …_FINGERPRINT to {print}");
    match reason {
        // A system authority of the same name makes a stranger's signature look wrong.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => unknown_issuer(digest),
        CertificateError::ExpiredContext { time, not_after } => refusal(
            format!("expired {} days ago", days(*not_after, *time)),
            format!("Renew it, or set this machine's clock, {pin}"),
        ),
        CertificateError::NotValidYetContext { time, not_before } => refusal(
            format!("becomes valid only in {} days", days(*time, *not_before)),
            format!("Set this machine's clock, {pin}"),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => refusal(
            format!("is not for `{}`, but for {}", expected.to_str(), names(presented)),
            format!("Use a name that it is for, {pin}"),
        ),
        CertificateError::Other(OtherError(inner)) => by_webpki(&inner.to_string(), &print),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => refusal(
            "is signed in a way that is too old to be trusted, such as with SHA-1 or with an RSA \
             key of less than 2048 bits"
                .to_owned(),
            format!("Give the server a new one, {pin}"),
        ),
        reason => {
            crate::logging::debug!("a certificate is refused: {reason:?}");
            refusal(
                "cannot be accepted: it is damaged, revoked, or made for something else".to_owned(),
                format!("Give the server another one, {pin}"),
            )
        }
    }
}

/// Reasons that rustls hands on from its library for certificates, known by their names.
fn by_webpki(reason: &str, print: &str) -> rustls::Error {
    match reason {
        "CaUsedAsEndEntity" => refusal(
            "is an authority's own, which no chain can vouch for".to_owned(),
            format!("Set …_FINGERPRINT to {print}, or put this very certificate into …_CA_FILE"),
        ),
        "UnsupportedCertVersion" => refusal(
            "is of X.509 version 1, which cannot be checked".to_owned(),
            "Give the server one of version 3, or accept any certificate (…_INSECURE)",
        ),
        reason => {
            // The name alone; what follows it are the library's own numbers.
            let name = reason.split(|c: char| !c.is_ascii_alphanumeric()).next();
            let name = quoted(name.unwrap_or_default());
            refusal(
                format!("cannot be accepted ({name}); its SHA-256 fingerprint is {print}"),
                format!("Give the server another one, or set …_FINGERPRINT to {print}"),
            )
        }
    }
}

fn days(from: UnixTime, to: UnixTime) -> u64 {
    to.as_secs().saturating_sub(from.as_secs()).div_ceil(86_400)
}

/// The names in a certificate as the library prints them, `DnsName("a.b")`, without its wrapping.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".to_owned();
    }
    let plain: Vec<String> = presented
        .iter()
        .take(5)
        .map(|name| name.split_once('(').map_or(name.as_str(), |(_, inner)| inner))
        .map(|name| format!("`{}`", quoted(name.trim_matches([')', '"']))))
        .collect();
    plain.join(", ")
}
