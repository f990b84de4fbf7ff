//! The certificate that the simulated host makes for itself, as a fresh ESXi host does.
//!
//! It lives as long as the process and is trusted by its fingerprint. Surprising: it is no
//! authority, and still some clients take it as a file of authorities, since it stands in that file
//! itself.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyUsagePurpose;
use rcgen::PublicKeyData;
use rcgen::SanType;
use rcgen::SignatureAlgorithm;
use rcgen::SigningKey;
use rcgen::date_time_ymd;
use ring::rand::SystemRandom;
use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING;
use ring::signature::EcdsaKeyPair;
use ring::signature::KeyPair;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::error::Error;
use crate::error::Result;
use crate::text::base64;
use crate::web::provider::provider;

/// A certificate and what serves with it; the key is inside and never leaves.
#[derive(Clone)]
pub struct Identity {
    certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// Makes a key (P-256) and a certificate for `localhost`, both loopback addresses and the
    /// address that is listened on.
    pub fn generate(listen: IpAddr) -> Result<Identity> {
        let broken = |error: rcgen::Error| Error::bug(format!("no certificate: {error}"));
        let (key, pkcs8) = Key::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()]).map_err(broken)?;
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        params.subject_alt_names.extend(loopback.map(SanType::IpAddress));
        if !loopback.contains(&listen) && !listen.is_unspecified() {
            params.subject_alt_names.push(SanType::IpAddress(listen));
        }
        params.distinguished_name.push(DnType::OrganizationName, "jumpvisor simulated host");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Fixed, so that a machine with a wrong clock can be tried on as well.
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2049, 12, 31);
        let certificate = params.self_signed(&key).map_err(broken)?.der().clone();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(pkcs8));
        let config = config(certificate.clone(), key)
            .map_err(|error| Error::bug(format!("TLS cannot be set up: {error}")))?;
        Ok(Identity { certificate, config: Arc::new(config) })
    }

    /// SHA-256 of the certificate; [`fingerprint_text`](crate::web::tls::fingerprint_text) prints
    /// it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.der());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        bytes
    }

    /// The certificate.
    pub fn der(&self) -> &[u8] {
        self.certificate.as_ref()
    }

    /// The certificate as a file holds it.
    pub fn pem(&self) -> String {
        let mut text = "-----BEGIN CERTIFICATE-----\n".to_owned();
        for (at, letter) in base64::encode(self.der()).char_indices() {
            if at > 0 && at % 64 == 0 {
                text.push('\n');
            }
            text.push(letter);
        }
        text.push_str("\n-----END CERTIFICATE-----\n");
        text
    }

    /// The TLS side of connections.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

/// The key while the certificate is made. rcgen has such a type, which can do all that RSA and
/// Ed25519 need as well.
struct Key {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Key {
    /// A new key, and the same as PKCS #8.
    fn generate() -> Result<(Key, Vec<u8>)> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let broken = || Error::bug("no key can be made");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| broken())?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random);
        Ok((Key { pair: pair.map_err(|_| broken())?, random }, pkcs8.as_ref().to_vec()))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, text: &[u8]) -> std::result::Result<Vec<u8>, rcgen::Error> {
        let signed =
            self.pair.sign(&self.random, text).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signed.as_ref().to_vec())
    }
}

fn config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> std::result::Result<ServerConfig, rustls::Error> {
    let provider = provider();
    ServerConfig::builder_with_provider(provider)
        // 1.2 and 1.3.
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_certificate_of_its_own() {
        let one = Identity::generate(IpAddr::from([10, 1, 2, 3])).unwrap();
        let other = Identity::generate(IpAddr::from([0, 0, 0, 0])).unwrap();
        assert_ne!(one.fingerprint(), other.fingerprint());
        let read = CertificateDer::from_pem_slice(one.pem().as_bytes()).unwrap();
        assert_eq!(read.as_ref(), one.der());
        assert!(one.pem().lines().all(|line| line.len() <= 64));
        let holds = |it: &Identity, bytes: &[u8]| it.der().windows(bytes.len()).any(|w| w == bytes);
        for address in [&[0x87, 4, 127, 0, 0, 1][..], &[0x87, 4, 10, 1, 2, 3]] {
            assert!(holds(&one, address), "{address:?} is not in the certificate");
        }
        assert!(!holds(&other, &[0x87, 4, 0, 0, 0, 0]));
    }
}
