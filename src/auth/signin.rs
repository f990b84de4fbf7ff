//! The way in over HTTP: what a request brings, and who that is.
//!
//! It joins keys, issuer and policy, and says which status refuses; sockets and headers as such are
//! others' affair. Surprising: a key is looked for before a token is, since that costs nothing and a
//! key has no form by which it could be told from a token.

use std::sync::{Arc, Mutex, PoisonError};

use crate::auth::Clock;
use crate::auth::challenge::{Resource, Why, challenge};
use crate::auth::issuer::Issuer;
use crate::auth::keys::Keys;
use crate::auth::policy::{Claimant, Policy};
use crate::auth::principal::{How, Principal};
use crate::error::{Error, Kind};

/// Seconds after which a caller may try again where the issuer is down.
const RETRY: u64 = 10;

/// Everyone who may come in, and for what.
pub struct SignIn {
    pub policy: Policy,
    /// Others may take their place while callers come in.
    pub keys: Mutex<Arc<Keys>>,
    /// Whoever issues tokens, and this server as they name it.
    pub issuer: Option<(Issuer, Resource)>,
}

/// What a request brings: each value of the two headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    pub authorization: &'a [&'a str],
    pub api_key: &'a [&'a str],
}

/// A request that is turned away.
#[derive(Debug)]
pub struct Turned {
    pub status: u16,
    /// For `WWW-Authenticate`.
    pub challenge: Option<String>,
    /// Seconds, for `Retry-After`.
    pub retry_after: Option<u64>,
    /// For the body and the log; it holds nothing of what was presented.
    pub error: Error,
}

impl SignIn {
    /// The keys that hold now.
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets these keys hold from now on, and no others.
    pub fn renew(&self, keys: Keys) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Who asks.
    pub fn admit(
        &self,
        presented: Presented<'_>,
        clock: &Clock,
    ) -> std::result::Result<Principal, Turned> {
        let (bearer, key) = match (presented.authorization, presented.api_key) {
            ([], []) => return Err(self.nothing()),
            ([one], []) => match one.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    (true, token.trim())
                }
                _ if one.eq_ignore_ascii_case("bearer") => (true, ""),
                _ => return Err(self.nothing()),
            },
            ([], [key]) => (false, key.trim()),
            _ => {
                let said = "more than one token or key was sent";
                return Err(self.turned(Why::Request, Error::usage(said).hint("Send one of them")));
            }
        };
        if key.is_empty() || key.contains(|it: char| !it.is_ascii_graphic()) {
            let said = "the token or key is empty, or holds what none may hold";
            return Err(self.turned(Why::Request, Error::usage(said)));
        }
        let how = if bearer { How::StaticToken } else { How::ApiKey };
        let keys = self.keys();
        if let Some(it) = keys.find(key) {
            let claimant =
                Claimant { name: &it.name, id: &it.name, groups: &it.groups, how, expires: None };
            return self.policy.admit(&claimant).map_err(|error| self.turned(Why::Scope, error));
        }
        match &self.issuer {
            Some((issuer, _)) if bearer => self.by_token(issuer, key, clock),
            _ => {
                Err(self.turned(Why::Token, Error::new(Kind::Denied, "the key is not known here")))
            }
        }
    }

    /// What answers a caller who needs more rights than he has for what he asks.
    pub fn needs_more(&self, error: Error) -> Turned {
        self.turned(Why::Scope, error)
    }

    fn by_token(
        &self,
        issuer: &Issuer,
        token: &str,
        clock: &Clock,
    ) -> std::result::Result<Principal, Turned> {
        let who = match issuer.identify(token, clock) {
            Ok(who) => who,
            Err(error) if error.kind() == Kind::Denied => {
                return Err(self.turned(Why::Token, error));
            }
            Err(error) => {
                let (challenge, retry_after) = (None, Some(RETRY));
                return Err(Turned { status: 503, challenge, retry_after, error });
            }
        };
        let claimant = Claimant {
            name: &who.name,
            id: &who.id,
            groups: &who.groups,
            how: How::Oauth,
            expires: Some(who.expires),
        };
        self.policy.admit(&claimant).map_err(|error| self.turned(Why::Scope, error))
    }

    fn nothing(&self) -> Turned {
        let how = match &self.issuer {
            Some(_) => "Sign in, or send a key as `X-API-Key`",
            None => "Send a key, as `Authorization: Bearer KEY` or as `X-API-Key: KEY`",
        };
        self.turned(
            Why::Nothing,
            Error::new(Kind::Denied, "this server wants to know who asks").hint(how),
        )
    }

    fn turned(&self, why: Why, error: Error) -> Turned {
        let resource = self.issuer.as_ref().map(|it| &it.1);
        let challenge = Some(challenge(resource, why, &error.sentence()));
        Turned { status: why.status(), challenge, retry_after: None, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::issuer::tests::{NOW, World, claims};
    use crate::auth::jwt::tests::Signer;
    use crate::auth::keys;
    use crate::auth::level::Level;

    fn signin(world: Option<&World>) -> (SignIn, String, String) {
        let made = |name, group| {
            let (key, line) = keys::new(name, &[group]).unwrap();
            (key.reveal().to_owned(), line)
        };
        let ((good, one), (idle, two)) =
            (made("backup", "vsphere-readers"), made("idle", "nobody"));
        let keys = Keys::parse(&format!("{one}\n{two}")).unwrap();
        let resource = Resource::new("https://jump.example", "https://id.example", &[]).unwrap();
        let issuer = world.map(|it| (it.issuer("https://id.example"), resource));
        let keys = Mutex::new(Arc::new(keys));
        (SignIn { policy: Policy::built_in(), keys, issuer }, good, idle)
    }

    fn ends(signin: &SignIn, authorization: &[&str], api_key: &[&str]) -> String {
        match signin.admit(Presented { authorization, api_key }, &World::clock(0)) {
            Ok(who) => {
                format!("{} {:?} {}", who.id, who.highest().unwrap_or(Level::Read), who.how.word())
            }
            Err(turned) => {
                let word = turned.challenge.unwrap_or_default();
                let word = word.split("error=\"").nth(1).and_then(|it| it.split('"').next());
                format!("{} {}", turned.status, word.unwrap_or_default())
            }
        }
    }

    #[test]
    fn keys_in_either_header() {
        let (signin, good, idle) = signin(None);
        let bearer = format!("bEaRer  {good}");
        assert_eq!(ends(&signin, &[&bearer], &[]), "api_key:backup Read static_token");
        assert_eq!(ends(&signin, &[], &[&good]), "api_key:backup Read api_key");
        assert_eq!(ends(&signin, &[], &[&idle]), "403 insufficient_scope");
        assert_eq!(ends(&signin, &[], &[&good.to_uppercase()]), "401 invalid_token");
        for none in [&[][..], &["Basic dTpw"], &["Digest x"], &[""]] {
            assert_eq!(ends(&signin, none, &[]), "401 ", "{none:?}");
        }
        for (authorization, api_key) in [
            (&[bearer.as_str()][..], &[good.as_str()][..]),
            (&[&bearer, &bearer], &[]),
            (&[], &[&good, &idle]),
            (&["Bearer"], &[]),
            (&["Bearer "], &[]),
            (&["Bearer a b"], &[]),
            (&["Bearer ü"], &[]),
            (&[], &[""]),
        ] {
            assert_eq!(
                ends(&signin, authorization, api_key),
                "400 invalid_request",
                "{authorization:?}"
            );
        }
    }

    #[test]
    fn tokens_and_keys_side_by_side() {
        let world = World::new();
        let (signin, good, _) = signin(Some(&world));
        let bearer = |groups: &str, exp: u64| {
            let claims = claims(&format!(r#""groups":{groups},"exp":{exp}"#));
            format!("Bearer {}", Signer::new(1).sign(r#"{"alg":"EdDSA","kid":"k1"}"#, &claims))
        };
        let admin = bearer(r#"["vsphere-super-admins"]"#, NOW + 60);
        assert_eq!(ends(&signin, &[&admin], &[]), "oauth:u1 Admin oauth");
        assert_eq!(ends(&signin, &[], &[&good]), "api_key:backup Read api_key");
        assert_eq!(ends(&signin, &[&bearer("[]", NOW + 60)], &[]), "403 insufficient_scope");
        assert_eq!(ends(&signin, &[&bearer("[]", NOW - 60)], &[]), "401 invalid_token");
        assert_eq!(ends(&signin, &[], &[&admin[7..]]), "401 invalid_token");
        assert_eq!(ends(&signin, &["Bearer opaque"], &[]), "401 invalid_token");
        let turned = signin.admit(Presented::default(), &World::clock(0)).unwrap_err();
        let said = turned.challenge.unwrap_or_default();
        assert!(said.contains("resource_metadata=\"https://jump.example/.well-known/"), "{said}");
        world.down(true);
        let turned = signin
            .admit(Presented { authorization: &["Bearer ey.x.y"], api_key: &[] }, &World::clock(0));
        assert_eq!(turned.unwrap_err().status, 401);
        let fresh = World::new();
        fresh.down(true);
        let (signin, ..) = self::signin(Some(&fresh));
        let turned = signin
            .admit(Presented { authorization: &[&admin], api_key: &[] }, &World::clock(0))
            .unwrap_err();
        assert_eq!((turned.status, turned.retry_after, turned.challenge), (503, Some(RETRY), None));
    }
}
