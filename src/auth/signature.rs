//! Signatures of tokens: the algorithms that are understood, and public keys to check them with.
//!
//! It knows no tokens and no claims. Key confusion is impossible by construction: an algorithm names
//! the one sort of key that it works with, and there is no algorithm with a shared secret and none
//! without a signature. Sources: RFC 7518 section 3, RFC 8037, RFC 9864. Surprising: elliptic
//! signatures in tokens are two numbers of fixed length, never DER as in certificates.

use ring::signature;
use ring::signature::VerificationAlgorithm;
use ring::signature::{RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey};

/// The sort of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Rsa,
    P256,
    P384,
    Ed25519,
}

/// One way to sign.
pub struct Algorithm {
    /// The words of `alg` that mean it, the first one being usual.
    words: &'static [&'static str],
    sort: Sort,
    how: How,
}

enum How {
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm),
}

const fn rsa(word: &'static [&'static str], how: &'static RsaParameters) -> Algorithm {
    Algorithm { words: word, sort: Sort::Rsa, how: How::Rsa(how) }
}

static ALGORITHMS: &[Algorithm] = &[
    rsa(&["RS256"], &signature::RSA_PKCS1_2048_8192_SHA256),
    rsa(&["RS384"], &signature::RSA_PKCS1_2048_8192_SHA384),
    rsa(&["RS512"], &signature::RSA_PKCS1_2048_8192_SHA512),
    rsa(&["PS256"], &signature::RSA_PSS_2048_8192_SHA256),
    Algorithm {
        words: &["ES256"],
        sort: Sort::P256,
        how: How::Other(&signature::ECDSA_P256_SHA256_FIXED),
    },
    Algorithm {
        words: &["ES384"],
        sort: Sort::P384,
        how: How::Other(&signature::ECDSA_P384_SHA384_FIXED),
    },
    Algorithm {
        words: &["EdDSA", "Ed25519"],
        sort: Sort::Ed25519,
        how: How::Other(&signature::ED25519),
    },
];

impl Algorithm {
    /// The algorithm that `alg` names, compared with case as the standard wants.
    pub fn find(word: &str) -> Option<&'static Algorithm> {
        ALGORITHMS.iter().find(|it| it.words.contains(&word))
    }

    /// All usual words, for errors.
    pub fn words() -> String {
        ALGORITHMS.iter().filter_map(|it| it.words.first().copied()).collect::<Vec<_>>().join(", ")
    }

    /// The usual word of `alg`.
    pub fn word(&self) -> &'static str {
        self.words.first().copied().unwrap_or_default()
    }
}

/// A public key, as its owner published it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What tokens call it.
    pub id: Option<String>,
    /// What it is for, as the usual word of the only algorithm, if the owner says so.
    pub only: Option<&'static str>,
    pub sort: Sort,
    /// The point; the modulus for RSA, big end first, without leading zeros.
    pub body: Vec<u8>,
    /// The exponent for RSA, empty for all else.
    pub exponent: Vec<u8>,
}

impl Key {
    /// Whether the key may be used with an algorithm.
    pub fn fits(&self, algorithm: &Algorithm) -> bool {
        self.sort == algorithm.sort && self.only.is_none_or(|only| only == algorithm.word())
    }

    /// Whether the signature of the message is this key's.
    pub fn signed(&self, algorithm: &Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match algorithm.how {
            How::Rsa(how) => {
                let key = RsaPublicKeyComponents { n: &self.body, e: &self.exponent };
                key.verify(how, message, signature)
            }
            How::Other(how) => UnparsedPublicKey::new(how, &self.body).verify(message, signature),
        }
        .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwks::KeySet;

    /// Key, `alg`, signed text, signature: RFC 7515 A.2 and A.3, RFC 8037 A.4.
    const VECTORS: [(&str, &str, &str, &str); 3] = [
        (
            r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
            "RS256",
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
            "ES256",
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            "EdDSA",
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];

    #[test]
    fn the_examples_of_the_standards() {
        let all: Vec<&str> = VECTORS.iter().map(|it| it.0).collect();
        let set = KeySet::parse(&format!("{{\"keys\":[{}]}}", all.join(","))).unwrap();
        for (at, (_, word, message, signature)) in VECTORS.iter().enumerate() {
            let algorithm = Algorithm::find(word).unwrap();
            let signature = crate::text::base64::decode_url(signature).unwrap();
            let key = &set.keys()[at];
            assert!(key.signed(algorithm, message.as_bytes(), &signature), "{word}");
            assert!(!key.signed(algorithm, message.replace('e', "f").as_bytes(), &signature));
            for at in [0, signature.len() - 1] {
                let mut other = signature.clone();
                other[at] ^= 1;
                assert!(!key.signed(algorithm, message.as_bytes(), &other), "{word}");
            }
            assert!(!key.signed(algorithm, message.as_bytes(), &[]));
            assert!(!key.signed(algorithm, message.as_bytes(), &vec![0; signature.len()]));
            for other in ALGORITHMS.iter().filter(|it| !std::ptr::eq(*it, algorithm)) {
                assert!(!key.signed(other, message.as_bytes(), &signature), "{}", other.word());
            }
        }
    }

    #[test]
    fn nothing_without_a_key_of_its_own() {
        for word in ["none", "None", "", "HS256", "HS384", "HS512", "rs256", "ES512", "RSA1_5"] {
            assert!(Algorithm::find(word).is_none(), "{word}");
        }
        assert_eq!(Algorithm::words(), "RS256, RS384, RS512, PS256, ES256, ES384, EdDSA");
    }
}
