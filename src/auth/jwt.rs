//! A signed token in its compact form, taken apart and checked against keys.
//!
//! It knows signatures, not what the claims mean ([`crate::auth::claims`]). Nothing that a token
//! says of itself is believed before its signature is right, and a key or a place of keys that it
//! names (`jwk`, `jku`, `x5u`, `x5c`) is never even read. Sources: RFC 7515, RFC 7519, RFC 8725,
//! RFC 9068. Surprising: the id of a key is only ever compared, so `../../etc/passwd` is a fine one.

use crate::auth::jwks::{KeySet, MAX_ID};
use crate::auth::signature::Algorithm;
use crate::error::{Error, Kind, Result, quoted};
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Object, Value};

/// Longest token, in bytes; a person in hundreds of groups has 8 KiB.
pub const MAX_TOKEN: usize = 16 * 1024;

/// A token whose signature nobody has checked yet.
pub struct Unchecked<'a> {
    algorithm: &'static Algorithm,
    /// The id of the key that it claims to be signed with.
    pub key_id: Option<String>,
    message: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
}

/// What keys say to a token.
pub enum Verdict {
    /// Signed by one of them; these are its claims.
    Signed(Object),
    /// None of them bears the id that the token names, or is of the right sort.
    NoSuchKey,
    /// There are such keys, and it is signed by none of them.
    Forged,
}

/// The token cannot be accepted, and it is the caller's affair.
pub fn refused(text: impl Into<String>) -> Error {
    Error::new(Kind::Denied, text)
}

/// Whether a text has the outer form of a signed token; opaque tokens have not.
pub fn looks_signed(token: &str) -> bool {
    token.starts_with("ey") && token.matches('.').take(3).count() == 2
}

/// Takes a token apart and looks whether its header is one that is understood.
pub fn open(token: &str) -> Result<Unchecked<'_>> {
    if token.len() > MAX_TOKEN {
        return Err(refused(format!("the token is longer than {MAX_TOKEN} bytes")));
    }
    let mut parts = token.split('.');
    let (Some(head), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(refused("the token is not of the form header.claims.signature"));
    };
    let message = token.as_bytes().get(..head.len() + 1 + payload.len()).unwrap_or_default();
    let header = object(head, "header")?;
    let algorithm = json::get_text(&header, "alg").unwrap_or_default();
    let Some(algorithm) = Algorithm::find(algorithm) else {
        let said = format!("tokens signed with `{}` are not accepted", quoted(algorithm));
        return Err(refused(said).hint(format!("Accepted are {}", Algorithm::words())));
    };
    if header.contains_key("crit") {
        return Err(refused("the token demands extensions (`crit`) that are not understood"));
    }
    if let Some(kind) = header.get("typ") {
        let Value::String(kind) = kind else {
            return Err(refused("the token's `typ` is no text"));
        };
        let lower = kind.to_ascii_lowercase();
        if !["at+jwt", "jwt"].contains(&lower.strip_prefix("application/").unwrap_or(&lower)) {
            let said = format!("a token of the type `{}` is no access token", quoted(kind));
            return Err(refused(said));
        }
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= MAX_ID => Some(id.clone()),
        Some(_) => return Err(refused("the token's `kid` is no short text")),
    };
    let Some(signature) = base64::decode_url(signature).filter(|it| !it.is_empty()) else {
        return Err(refused("the token's signature is missing or no base64url"));
    };
    Ok(Unchecked { algorithm, key_id, message, payload, signature })
}

impl Unchecked<'_> {
    /// Looks for the key that signed it, and only then reads the claims.
    pub fn check(&self, keys: &KeySet) -> Result<Verdict> {
        let mut tried = false;
        for key in keys.candidates(self.key_id.as_deref(), self.algorithm) {
            if key.signed(self.algorithm, self.message, &self.signature) {
                return Ok(Verdict::Signed(object(self.payload, "claims")?));
            }
            tried = true;
        }
        Ok(if tried { Verdict::Forged } else { Verdict::NoSuchKey })
    }
}

/// A part of a token; a member that stands twice makes it none.
fn object(part: &str, what: &str) -> Result<Object> {
    let bytes = base64::decode_url(part)
        .ok_or_else(|| refused(format!("the token's {what} part is no base64url")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| refused(format!("the token's {what} part is not UTF-8")))?;
    match json::parse_once(&text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(refused(format!("the token's {what} part is no JSON object"))),
        Err(why) => Err(refused(format!("the token's {what} part is no JSON: {why}"))),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    /// A key that tests sign with; the same seed is the same key.
    pub struct Signer(Ed25519KeyPair);

    impl Signer {
        pub fn new(seed: u8) -> Signer {
            Signer(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
        }

        /// What its owner publishes.
        pub fn public(&self, id: &str) -> String {
            let x = base64::encode_url(self.0.public_key().as_ref());
            format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{id}","x":"{x}"}}"#)
        }

        pub fn sign(&self, header: &str, claims: &str) -> String {
            let encode = |it: &str| base64::encode_url(it.as_bytes());
            let message = format!("{}.{}", encode(header), encode(claims));
            let signature = self.0.sign(message.as_bytes());
            format!("{message}.{}", base64::encode_url(signature.as_ref()))
        }

        pub fn set(&self, id: &str) -> KeySet {
            KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, self.public(id))).unwrap()
        }
    }

    fn ends(token: &str, keys: &KeySet) -> String {
        match open(token).and_then(|it| it.check(keys)) {
            Ok(Verdict::Signed(claims)) => json::write_object(&claims),
            Ok(Verdict::NoSuchKey) => "no such key".to_owned(),
            Ok(Verdict::Forged) => "forged".to_owned(),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Denied);
                error.to_string()
            }
        }
    }

    #[test]
    fn headers() {
        let (signer, keys) = (Signer::new(1), Signer::new(1).set("k1"));
        for header in [
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"EdDSA","kid":"k1","typ":"JWT"}"#,
            r#"{"alg":"Ed25519","typ":"at+jwt"}"#,
            r#"{"alg":"EdDSA","typ":"application/AT+JWT","jku":"https://evil/","x5u":7,"jwk":{}}"#,
        ] {
            assert_eq!(ends(&signer.sign(header, r#"{"a":1}"#), &keys), r#"{"a":1}"#, "{header}");
        }
        for (header, said) in [
            (r#"{"alg":"none"}"#, "signed with `none` are not accepted"),
            (r#"{"alg":"HS256","kid":"k1"}"#, "signed with `HS256` are not accepted"),
            (r#"{"kid":"k1"}"#, "signed with `` are not accepted. Accepted are RS256"),
            (r#"{"alg":["EdDSA"]}"#, "signed with `` are not"),
            (r#"{"alg":"RS256","kid":"k1"}"#, "no such key"),
            (r#"{"alg":"ES256"}"#, "no such key"),
            (r#"{"alg":"EdDSA","kid":"k2"}"#, "no such key"),
            (r#"{"alg":"EdDSA","kid":"../../../etc/passwd"}"#, "no such key"),
            (r#"{"alg":"EdDSA","kid":"k1' OR 1=1"}"#, "no such key"),
            (r#"{"alg":"EdDSA","kid":7}"#, "`kid` is no short text"),
            (r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#, "`crit`"),
            (r#"{"alg":"EdDSA","crit":[]}"#, "`crit`"),
            (r#"{"alg":"EdDSA","typ":"dpop+jwt"}"#, "`dpop+jwt` is no access token"),
            (r#"{"alg":"EdDSA","typ":7}"#, "`typ` is no text"),
            (r#"{"alg":"none","alg":"EdDSA"}"#, "stands twice"),
            (r#"["alg"]"#, "header part is no JSON object"),
            ("{", "header part is no JSON"),
        ] {
            let ended = ends(&signer.sign(header, r#"{"a":1}"#), &keys);
            assert!(ended.contains(said), "{header}: {ended}");
        }
    }

    #[test]
    fn a_wrong_signature_or_other_claims_are_forged() {
        let (signer, keys) = (Signer::new(1), Signer::new(1).set("k1"));
        let good = signer.sign(r#"{"alg":"EdDSA"}"#, r#"{"sub":"guest"}"#);
        let parts: Vec<&str> = good.split('.').collect();
        let claims = base64::encode_url(br#"{"sub":"admin"}"#);
        let other = Signer::new(2).sign(r#"{"alg":"EdDSA","kid":"k1"}"#, r#"{"sub":"guest"}"#);
        // The attacker's own key, handed over in the header.
        let own = format!(r#"{{"alg":"EdDSA","jwk":{}}}"#, Signer::new(2).public("k1"));
        for token in [
            format!("{}.{claims}.{}", parts[0], parts[2]),
            other,
            Signer::new(2).sign(&own, "{}"),
            format!("{}.{}.{}", parts[0], parts[1], base64::encode_url(&[0; 64])),
            format!("{}.{}.{}", parts[0], parts[1], &parts[2][..40]),
        ] {
            assert_eq!(ends(&token, &keys), "forged", "{token}");
        }
        for (token, said) in [
            (format!("{}.{}.", parts[0], parts[1]), "signature is missing"),
            (format!("{good}="), "no base64url"),
            (format!("{}.{}", parts[0], parts[1]), "not of the form"),
            (format!("{good}.x.y"), "not of the form"),
            (String::new(), "not of the form"),
            (format!(" {good}"), "header part is no base64url"),
            ("a".repeat(MAX_TOKEN + 1), "longer than 16384 bytes"),
            (".".repeat(MAX_TOKEN), "not of the form"),
        ] {
            assert!(ends(&token, &keys).contains(said), "{token}");
        }
    }

    #[test]
    fn claims_are_read_only_from_a_signed_token() {
        let (signer, keys) = (Signer::new(1), Signer::new(1).set("k1"));
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for (claims, said) in [
            (r#"{"sub":"a","sub":"b"}"#.to_owned(), "stands twice"),
            (r#"{"sub":"a","s\u0075b":"b"}"#.to_owned(), "stands twice"),
            (format!(r#"{{"a":{deep}}}"#), "deeper than 64 levels"),
            ("7".to_owned(), "claims part is no JSON object"),
        ] {
            let ended = ends(&signer.sign(r#"{"alg":"EdDSA"}"#, &claims), &keys);
            assert!(ended.contains(said), "{ended}");
            let forged = Signer::new(2).sign(r#"{"alg":"EdDSA"}"#, &claims);
            assert_eq!(ends(&forged, &keys), "forged");
        }
    }
}
