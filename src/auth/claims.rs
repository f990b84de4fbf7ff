//! What an issuer says of a caller: the claims of a token, checked for time, issuer and audience.
//!
//! It knows no signatures and no rights. Sources: RFC 7519 section 4, RFC 8707, RFC 9068.
//! Surprising: the name that is shown is one that some issuers let people choose, so whatever is
//! bound to a caller (approvals, limits, sessions) is bound to [`Identity::id`].

use crate::auth::Clock;
use crate::auth::jwt::refused;
use crate::error::{Result, quoted};
use crate::text::json;
use crate::text::json::{Number, Object, Value};

/// Seconds that the clocks of issuer and server may differ.
pub const SKEW: u64 = 60;

/// Longest subject, in bytes.
const MAX_SUBJECT: usize = 512;

/// What claims must agree with.
#[derive(Clone, Debug)]
pub struct Expected {
    /// As the issuer writes itself, to the last slash.
    pub issuer: String,
    /// One of them must be among the audiences: the address of this server, and what the
    /// configuration adds.
    pub audiences: Vec<String>,
    /// The claim that lists the groups, with dots between the names of what it is nested in.
    pub groups_claim: String,
}

/// A caller whom the issuer vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What is shown and logged: `preferred_username`, else `email`, else `sub`.
    pub name: String,
    /// `sub`, which the issuer gives to nobody else.
    pub id: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    /// The program that asked for the token, where it is told.
    pub client: Option<String>,
    /// Seconds since 1970.
    pub expires: u64,
}

impl Expected {
    /// Checks the claims and reads what matters of them. What an introspection answers may leave out
    /// the issuer, who is the one that was asked.
    pub fn check(&self, claims: &Object, clock: &Clock, introspected: bool) -> Result<Identity> {
        match claims.get("iss") {
            None if introspected => {}
            Some(Value::String(issuer)) if *issuer == self.issuer => {}
            Some(Value::String(issuer)) => {
                let said = format!("the token is from `{}`", quoted(issuer));
                return Err(refused(said).hint(format!("Tokens of `{}` are accepted", self.issuer)));
            }
            _ => return Err(refused("the token does not name its issuer (`iss`)")),
        }
        let audiences = texts(claims.get("aud"), false);
        if !audiences.iter().any(|it| self.audiences.iter().any(|ours| same(it, ours))) {
            let said = match &audiences[..] {
                [] => "the token names no audience (`aud`)".to_owned(),
                [first, ..] => format!("the token is meant for `{}`", quoted(first)),
            };
            let ours = self.audiences.join("` or `");
            return Err(
                refused(said).hint(format!("It must be asked for with the resource `{ours}`"))
            );
        }
        let expires = self.in_time(claims, clock)?;
        let id = json::get_text(claims, "sub").unwrap_or_default();
        if id.is_empty() || id.len() > MAX_SUBJECT {
            return Err(refused("the token does not say in few words whom it is for (`sub`)"));
        }
        let named = ["preferred_username", "email", "sub"].iter();
        let mut named = named.filter_map(|it| json::get_text(claims, it)).map(quoted);
        let client = ["azp", "client_id", "appid"].iter();
        let client = client.filter_map(|it| json::get_text(claims, it)).map(quoted).next();
        let scopes = claims.get("scope").or(claims.get("scp"));
        Ok(Identity {
            name: named.find(|it| !it.is_empty()).unwrap_or_default(),
            id: id.to_owned(),
            groups: texts(nested(claims, &self.groups_claim), true),
            scopes: texts(scopes, true),
            client,
            expires,
        })
    }

    /// When it expires, if that and the other moments are as they should be.
    fn in_time(&self, claims: &Object, clock: &Clock) -> Result<u64> {
        let moment = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(seconds(number))),
            Some(_) => Err(refused(format!("the token's `{name}` is no number"))),
        };
        let ahead = clock.unix.saturating_add(SKEW);
        let Some(expires) = moment("exp")? else {
            return Err(refused("the token never expires (`exp` is missing)"));
        };
        if expires.saturating_add(SKEW) <= clock.unix {
            return Err(refused("the token is expired").hint("Sign in again"));
        }
        for (name, said) in
            [("nbf", "the token is not valid yet"), ("iat", "the token was issued in the future")]
        {
            if moment(name)?.is_some_and(|it| it > ahead) {
                let hint = "Compare the clocks of this server and of the issuer";
                return Err(refused(said).hint(hint));
            }
        }
        Ok(expires)
    }
}

/// Seconds since 1970; before it is 0.
fn seconds(number: &Number) -> u64 {
    match number {
        Number::U64(it) => *it,
        Number::I64(it) => u64::try_from(*it).unwrap_or(0),
        // A fraction is cut; `as` ends at the bounds.
        Number::F64(it) => *it as u64,
    }
}

/// A list of texts, or one text: a single one, or several with spaces between.
fn texts(value: Option<&Value>, spaced: bool) -> Vec<String> {
    match value {
        Some(Value::String(text)) if spaced => {
            text.split_ascii_whitespace().map(str::to_owned).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(all)) => {
            let text = |it: &Value| match it {
                Value::String(it) => Some(it.clone()),
                _ => None,
            };
            all.iter().filter_map(text).collect()
        }
        _ => Vec::new(),
    }
}

/// The claim of this name, or of this path: `realm_access.roles`. A name may hold dots itself, as
/// in `https://example.com/groups`, and is tried before it is taken for a path.
fn nested<'a>(claims: &'a Object, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(at, _)| {
            nested(json::get_object(claims, path.get(..at)?)?, path.get(at + 1..)?)
        })
    })
}

/// The one way to write an address: scheme and host in lower case, no slash at the end. What is no
/// address stays as it is.
pub fn canonical(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    format!("{scheme}://{host}{}", path.trim_end_matches('/'))
}

fn same(a: &str, b: &str) -> bool {
    a == b || (a.contains("://") && canonical(a) == canonical(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const NOW: u64 = 1_800_000_000;

    fn check(claims: &str) -> Result<Identity> {
        let expected = Expected {
            issuer: "https://id.example/".to_owned(),
            audiences: vec!["https://jump.example/mcp".to_owned(), "jumpvisor".to_owned()],
            groups_claim: "realm_access.roles".to_owned(),
        };
        let clock = Clock { unix: NOW, steady: Instant::now() };
        let Ok(Value::Object(claims)) = json::parse(claims) else { panic!("{claims}") };
        expected.check(&claims, &clock, false)
    }

    const GOOD: &str =
        r#"{"iss":"https://id.example/","aud":"jumpvisor","exp":1800000300,"sub":"u1"}"#;

    /// The good claims with one of them replaced, added, or left out.
    fn with(name: &str, value: &str) -> String {
        let Ok(Value::Object(mut claims)) = json::parse(GOOD) else { panic!() };
        match value {
            "" => drop(claims.remove(name)),
            value => drop(claims.insert(name.to_owned(), json::parse(value).unwrap())),
        }
        json::write_object(&claims)
    }

    #[test]
    fn what_must_be_there_and_agree() {
        assert_eq!(check(GOOD).unwrap().id, "u1");
        for (name, value, said) in [
            ("iss", "", "does not name its issuer"),
            ("iss", "7", "does not name its issuer"),
            (
                "iss",
                r#""https://id.example""#,
                "is from `https://id.example`. Tokens of `https://id",
            ),
            ("iss", r#""https://evil/\u001b[31m""#, "is from `https://evil/[31m`"),
            ("aud", "", "names no audience"),
            ("aud", "[]", "names no audience"),
            ("aud", "{}", "names no audience"),
            ("aud", r#""jumpvisor other""#, "is meant for `jumpvisor other`"),
            ("aud", r#"["a","b"]"#, "is meant for `a`. It must be asked for with the resource"),
            ("aud", r#""https://jump.example/mcp2""#, "is meant for"),
            ("aud", r#""https://jump.example""#, "is meant for"),
            ("exp", "", "never expires"),
            ("exp", r#""1800000300""#, "`exp` is no number"),
            ("exp", "null", "`exp` is no number"),
            ("exp", "1799999940", "is expired. Sign in again"),
            ("exp", "-1", "is expired"),
            ("exp", "-1e300", "is expired"),
            ("nbf", "1800000061", "not valid yet. Compare the clocks"),
            ("nbf", "true", "`nbf` is no number"),
            ("iat", "1800000061", "issued in the future"),
            ("sub", "", "whom it is for"),
            ("sub", r#""""#, "whom it is for"),
            ("sub", "7", "whom it is for"),
        ] {
            let error = check(&with(name, value)).unwrap_err();
            assert!(error.to_string().contains(said), "{name} {value}: {error}");
            assert_eq!(error.kind(), crate::error::Kind::Denied);
        }
    }

    #[test]
    fn clocks_may_differ_by_a_minute_and_addresses_by_case() {
        for (name, value) in [
            ("exp", "1799999941"),
            ("exp", "1799999941.9"),
            ("exp", "1e300"),
            ("exp", "18446744073709551615"),
            ("nbf", "1800000060"),
            ("iat", "1800000060"),
            ("iat", "0"),
            ("aud", r#"["x","HTTPS://Jump.Example/mcp/"]"#),
        ] {
            assert!(check(&with(name, value)).is_ok(), "{name} {value}");
        }
        assert_eq!(canonical("HTTP://A.b:8080/Path/"), "http://a.b:8080/Path");
        assert_eq!((canonical("https://a"), canonical("A:b")), ("https://a".into(), "A:b".into()));
    }

    #[test]
    fn who_it_is() {
        let name = |more: &str| {
            let claims = with("email", more);
            check(&claims).unwrap().name
        };
        assert_eq!(
            (name(r#""a@b""#), name(""), name(r#""\u0007""#)),
            ("a@b".into(), "u1".into(), "u1".into())
        );
        let both = with("email", r#""a@b""#).replace('{', r#"{"preferred_username":"ryan\n","#);
        assert_eq!(check(&both).unwrap().name, "ryan");
        let more = GOOD.replace('{', r#"{"azp":"cli","scp":["a","b"],"#);
        let found = check(&more).unwrap();
        assert_eq!((found.client.as_deref(), found.scopes.len()), (Some("cli"), 2));
        assert_eq!(check(&with("scope", r#""a  b""#)).unwrap().scopes, ["a", "b"]);
    }

    #[test]
    fn groups_stand_where_the_configuration_says() {
        let groups =
            |more: &str| check(&GOOD.replacen('{', &format!("{{{more},"), 1)).unwrap().groups;
        assert_eq!(groups(r#""realm_access":{"roles":["a b",7,"c"]}"#), ["a b", "c"]);
        assert_eq!(groups(r#""realm_access":{"roles":"a b"}"#), ["a", "b"]);
        assert_eq!(groups(r#""realm_access.roles":["x"]"#), ["x"]);
        for none in [r#""roles":["x"]"#, r#""realm_access":"x""#, r#""realm_access":{"roles":{}}"#]
        {
            assert!(groups(none).is_empty(), "{none}");
        }
        let Ok(Value::Object(deep)) = json::parse(r#"{"a.b":{"c":{"d.e":1}}}"#) else { panic!() };
        assert!(nested(&deep, "a.b.c.d.e").is_some() && nested(&deep, "a.b.c.d").is_none());
    }
}
