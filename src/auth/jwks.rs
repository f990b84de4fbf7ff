//! The keys that an issuer publishes: a JSON Web Key Set.
//!
//! Keys that are not understood are skipped, since an issuer may publish any; what is wrong with
//! all of them is told. Secret keys (`oct`) are never taken, whoever publishes them. Sources: RFC
//! 7517, RFC 7518 section 6, RFC 8037 section 2. Surprising: an issuer may give two keys one id.

use crate::auth::signature::{Algorithm, Key, Sort};
use crate::error::{Error, Kind, Result};
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Object, Value};

/// Most keys that are kept of a set; issuers publish two or three, large ones a dozen.
pub const MAX_KEYS: usize = 64;

/// Longest id of a key, in bytes.
pub const MAX_ID: usize = 512;

/// Keys that may be tried for a token that does not say by which of them it is signed.
const MAX_TRIED: usize = 8;

/// The keys of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a set; one without a single usable key is an error, so that keys that worked are not
    /// given up for it.
    pub fn parse(text: &str) -> Result<KeySet> {
        let Ok(Value::Object(set)) = json::parse_once(text) else {
            return Err(remote("the issuer's keys are no JSON object"));
        };
        let Some(Value::Array(all)) = set.get("keys") else {
            return Err(remote("the issuer's keys have no list `keys`"));
        };
        let read = |it: &Value| match it {
            Value::Object(it) => key(it),
            _ => None,
        };
        let keys: Vec<Key> = all.iter().filter_map(read).take(MAX_KEYS).collect();
        if keys.is_empty() {
            let said = format!("none of the issuer's {} keys can be used", all.len());
            return Err(remote(&said).hint(format!(
                "It must sign with one of {}, RSA with 2048 bits or more",
                Algorithm::words()
            )));
        }
        if keys.len() == MAX_KEYS && all.len() > MAX_KEYS {
            log::warn!("the issuer publishes {} keys, {MAX_KEYS} of them are used", all.len());
        }
        Ok(KeySet { keys })
    }

    /// All of them.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The keys that a signature may be of: those with the id and of the algorithm's own sort. A
    /// token without an id may be any key's, up to a bound.
    pub fn candidates(
        &self,
        id: Option<&str>,
        algorithm: &Algorithm,
    ) -> impl Iterator<Item = &Key> {
        let named = move |key: &&Key| id.is_none() || key.id.as_deref() == id;
        self.keys.iter().filter(named).filter(|key| key.fits(algorithm)).take(MAX_TRIED)
    }
}

fn remote(text: &str) -> Error {
    Error::new(Kind::Remote, text)
}

/// One key, if it is public, meant for signatures and strong enough.
fn key(given: &Object) -> Option<Key> {
    if json::get_text(given, "use").is_some_and(|it| it != "sig") {
        return None;
    }
    if let Some(Value::Array(operations)) = given.get("key_ops") {
        let verify = |it: &Value| matches!(it, Value::String(it) if it == "verify");
        if !operations.iter().any(verify) {
            return None;
        }
    }
    let curve = json::get_text(given, "crv");
    let (sort, body, exponent) = match (json::get_text(given, "kty")?, curve) {
        ("RSA", _) => {
            let (n, e) = (number(given, "n")?, number(given, "e")?);
            // ring asks for 2048 to 8192 bits as well, but only when a token comes.
            let long_enough = n.len() > 256 || n.len() == 256 && n.first()? >= &0x80;
            let sound = long_enough && n.len() <= 1024 && (1..=5).contains(&e.len());
            (Sort::Rsa, sound.then_some(n)?, e)
        }
        ("EC", Some("P-256")) => (Sort::P256, point(given, 32)?, Vec::new()),
        ("EC", Some("P-384")) => (Sort::P384, point(given, 48)?, Vec::new()),
        ("OKP", Some("Ed25519")) => (Sort::Ed25519, coordinate(given, "x", 32)?, Vec::new()),
        _ => return None,
    };
    let only = match json::get_text(given, "alg") {
        Some(word) => Some(Algorithm::find(word)?.word()),
        None => None,
    };
    let id = json::get_text(given, "kid").map(str::to_owned);
    if id.as_ref().is_some_and(|it| it.len() > MAX_ID) {
        return None;
    }
    Some(Key { id, only, sort, body, exponent })
}

/// Bytes of a member; some issuers pad.
fn bytes(given: &Object, name: &str) -> Option<Vec<u8>> {
    base64::decode_url(json::get_text(given, name)?.trim_end_matches('='))
}

/// A number without leading zeros, which some issuers write.
fn number(given: &Object, name: &str) -> Option<Vec<u8>> {
    let bytes = bytes(given, name)?;
    let zeros = bytes.iter().take_while(|it| **it == 0).count();
    bytes.get(zeros..).map(<[u8]>::to_vec)
}

fn coordinate(given: &Object, name: &str, length: usize) -> Option<Vec<u8>> {
    bytes(given, name).filter(|it| it.len() == length)
}

/// A point as both its coordinates; whether it lies on the curve is checked when it is used.
fn point(given: &Object, length: usize) -> Option<Vec<u8>> {
    let (x, y) = (coordinate(given, "x", length)?, coordinate(given, "y", length)?);
    Some([&[4], &x[..], &y[..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn ed(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}"{more}}}"#)
    }

    fn rsa(bits: usize, e: &str) -> String {
        let n = base64::encode_url(&[&[0, 0x80][..], &vec![1; bits / 8 - 1]].concat());
        format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)
    }

    fn count(keys: &[String]) -> usize {
        let text = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        KeySet::parse(&text).map_or(0, |it| it.keys.len())
    }

    #[test]
    fn what_is_not_for_signatures_or_too_weak_is_skipped() {
        let good = [
            ed(""),
            ed(r#","use":"sig","alg":"EdDSA","key_ops":["verify"],"kid":"a","x5c":[],"new":{}"#),
            ed(r#","alg":"Ed25519""#),
            rsa(2048, "AQAB"),
            rsa(4096, "AAAD"),
        ];
        assert_eq!(count(&good), good.len());
        for bad in [
            ed(r#","use":"enc""#),
            ed(r#","key_ops":["sign"]"#),
            ed(r#","alg":"HS256""#),
            ed(r#","alg":"none""#),
            ed(&format!(r#","kid":"{}""#, "k".repeat(MAX_ID + 1))),
            rsa(2040, "AQAB"),
            rsa(1024, "AQAB"),
            rsa(16384, "AQAB"),
            rsa(2048, ""),
            rsa(2048, "AAAA"),
            rsa(2048, "AQABAQABAQAB"),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#.to_owned(),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}"}}"#),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"AA"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed448","x":"{X}"}}"#),
            r#"{"kty":["RSA"]}"#.to_owned(),
            "{}".to_owned(),
            "7".to_owned(),
        ] {
            assert_eq!(count(std::slice::from_ref(&bad)), 0, "{bad}");
            assert_eq!(count(&[bad.clone(), ed("")]), 1, "{bad}");
        }
    }

    #[test]
    fn sets_are_bounded_and_what_is_none_is_said() {
        let many: Vec<String> = (0..10_000).map(|it| ed(&format!(r#","kid":"{it}""#))).collect();
        assert_eq!(count(&many), MAX_KEYS);
        for (text, said) in [
            ("", "no JSON object"),
            ("[]", "no JSON object"),
            ("{}", "no list `keys`"),
            (r#"{"keys":{}}"#, "no list `keys`"),
            (r#"{"keys":[]}"#, "none of the issuer's 0 keys"),
            (r#"{"keys":[1,2]}"#, "none of the issuer's 2 keys can be used. It must sign with"),
            (r#"{"keys":[],"keys":[]}"#, "no JSON object"),
        ] {
            let error = KeySet::parse(text).unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
            assert_eq!(error.kind(), Kind::Remote);
        }
    }

    #[test]
    fn the_id_chooses_and_the_sort_decides() {
        let keys = [
            ed(r#","kid":"a""#),
            ed(r#","kid":"b""#),
            rsa(2048, "AQAB").replace("{", r#"{"kid":"a","#),
            rsa(2048, "AQAB").replace("{", r#"{"kid":"c","alg":"RS512","#),
        ];
        let set = KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
        let found = |id, word| set.candidates(id, Algorithm::find(word).unwrap()).count();
        assert_eq!((found(Some("a"), "EdDSA"), found(Some("a"), "RS256")), (1, 1));
        assert_eq!((found(Some("a"), "ES256"), found(Some("../a"), "EdDSA")), (0, 0));
        assert_eq!((found(None, "EdDSA"), found(None, "RS256"), found(None, "RS512")), (2, 1, 2));
        let many: Vec<String> = (0..50).map(|it| ed(&format!(r#","kid":"{it}""#))).collect();
        let set = KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, many.join(","))).unwrap();
        assert_eq!(set.candidates(None, Algorithm::find("EdDSA").unwrap()).count(), MAX_TRIED);
    }
}
