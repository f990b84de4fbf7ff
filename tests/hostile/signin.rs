//! What is done to tokens and keys of strangers; `tests/fuzz` does it too.

use jumpvisor::auth::Clock;
use jumpvisor::auth::claims::Expected;
use jumpvisor::auth::issuer::{Answer, Fetch, Issuer};
use jumpvisor::auth::jwks::{KeySet, MAX_KEYS};
use jumpvisor::auth::jwt;
use jumpvisor::auth::jwt::Verdict;
use jumpvisor::auth::keys::Keys;
use jumpvisor::auth::policy::Policy;
use jumpvisor::error::Kind;
use jumpvisor::text::json;
use jumpvisor::text::json::Value;

/// The keys of RFC 7515 A.2 and A.3 and RFC 8037 A.4.
pub const KEYS: &str = r#"{"keys":[
{"kty":"RSA","kid":"r","use":"sig","alg":"RS256","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},
{"kty":"EC","kid":"e","key_ops":["verify"],"crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
{"kty":"OKP","kid":"o","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// Tokens that their examples sign, and others nearly so. No seed is fit to be accepted.
pub const TOKENS: &[&str] = &[
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.",
    "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLy4uL28ifQ.e30.AAAA",
    "opaque",
];

/// A token, against good keys; and its bytes as the claims of one whose signature was right.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let keys = KeySet::parse(KEYS).unwrap_or_default();
    assert_eq!(keys.keys().len(), 3);
    match jwt::open(text).and_then(|it| it.check(&keys)) {
        // Only the examples themselves, of which nobody but their authors has the keys.
        Ok(Verdict::Signed(_)) => assert!(TOKENS.contains(&text), "{text} is taken for signed"),
        Ok(_) => {}
        Err(error) => {
            assert_eq!(error.kind(), Kind::Denied);
            assert!(error.to_string().len() < 2_000, "{error}");
        }
    }
    if let Ok(Value::Object(claims)) = json::parse_once(text) {
        let expected = Expected {
            issuer: "joe".to_owned(),
            audiences: vec!["https://a/mcp".to_owned(), "b".to_owned()],
            groups_claim: "realm_access.roles".to_owned(),
        };
        if let Ok(who) = expected.check(&claims, &Clock::now(), false) {
            assert!(!who.id.is_empty() && !who.name.contains(char::is_control), "{who:?}");
        }
    }
}

/// The keys that an issuer publishes, the document that says where, a file of our own keys, and
/// groups; and the examples against what was read.
pub fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(keys) = KeySet::parse(text) {
        assert!((1..=MAX_KEYS).contains(&keys.keys().len()));
        for token in TOKENS {
            let _ = jwt::open(token).and_then(|it| it.check(&keys).map(drop));
        }
    }
    if let Ok(keys) = Keys::parse(text) {
        assert!(keys.find("").is_none() && keys.find("no key").is_none());
    }
    if let Ok(policy) = Policy::parse(text.split([',', '\n'])) {
        assert!(!policy.knows(""));
    }
    let document = text.to_owned();
    let fetch: Fetch = Box::new(move |ask| {
        assert!(ask.url.starts_with("https://"), "{} is asked for", ask.url);
        let well_known = ask.url.contains("/.well-known/");
        let body = if well_known { document.clone() } else { KEYS.to_owned() };
        Ok(Answer { status: 200, body: body.into_bytes() })
    });
    let (issuer, groups_claim) = ("https://id.example".to_owned(), String::new());
    let expected = Expected { issuer, audiences: Vec::new(), groups_claim };
    if let Ok(issuer) = Issuer::new(expected, fetch, None) {
        let _ = issuer.probe();
    }
}
