//! Opaque tokens: the issuer is asked whose they are.
//!
//! Answers are kept for half a minute, so a token that was taken back works for so long at most.
//! Source: RFC 7662. Surprising: the audience is demanded here too; an issuer that does not tell it
//! cannot be used with opaque tokens, since any of its tokens would open this server.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};

use crate::auth::Clock;
use crate::auth::claims::Identity;
use crate::auth::issuer::{Ask, Issuer, document, unreachable};
use crate::auth::jwt::{MAX_TOKEN, refused};
use crate::error::{Error, Kind, Result};
use crate::text::base64;
use crate::text::json;
use crate::text::json::Value;
use crate::text::percent::encode;
use crate::text::secret::Secret;
use crate::text::sorted::Sorted;

/// How long an answer is believed.
const KEPT: Duration = Duration::from_secs(30);

/// Answers that are kept; the oldest is forgotten.
const MAX_KEPT: usize = 500;

/// Questions at once; strangers must not hold all workers.
const MAX_ASKING: u32 = 4;

/// How this server asks, and what it was told.
pub struct Introspection {
    authorization: Secret,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// By the digest of the token: until when, and whose it is.
    answers: Sorted<[u8; 32], (Instant, Result<Identity>)>,
    asking: u32,
}

/// One question less, also where a defect ends it.
struct Asking<'a>(&'a Mutex<Seen>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).asking -= 1;
    }
}

impl Introspection {
    /// Asks as this client.
    pub fn new(client_id: &str, client_secret: &Secret) -> Introspection {
        let pair = Secret::new(format!(
            "{}:{}",
            encode(client_id, ""),
            encode(client_secret.reveal(), "")
        ));
        let header = format!("Basic {}", base64::encode(pair.reveal().as_bytes()));
        Introspection { authorization: Secret::new(header), seen: Mutex::default() }
    }

    /// Whose token it is.
    pub(in crate::auth) fn identify(
        &self,
        issuer: &Issuer,
        token: &str,
        clock: &Clock,
    ) -> Result<Identity> {
        if token.len() > MAX_TOKEN {
            return Err(refused(format!("the token is longer than {MAX_TOKEN} bytes")));
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = seen.answers.get(&name).filter(|it| it.0 > clock.steady) {
            return match known {
                Ok(it) if it.expires <= clock.unix => Err(refused("the token is expired")),
                known => known.clone(),
            };
        }
        if seen.asking >= MAX_ASKING {
            return Err(Error::new(Kind::Busy, "the issuer is asked for too many tokens at once")
                .hint("Try again in a moment"));
        }
        seen.asking += 1;
        drop(seen);
        let asking = Asking(&self.seen);
        let answer = self.ask(issuer, token, clock);
        drop(asking);
        // That it could not be asked is no answer.
        if answer.as_ref().err().is_none_or(|it| it.kind() == Kind::Denied) {
            self.keep(name, answer.clone(), clock);
        }
        answer
    }

    fn keep(&self, name: [u8; 32], answer: Result<Identity>, clock: &Clock) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.answers.len() >= MAX_KEPT {
            seen.answers.retain(|_, it| it.0 > clock.steady);
        }
        if seen.answers.len() >= MAX_KEPT {
            let oldest = seen.answers.iter().min_by_key(|(_, it)| it.0).map(|(name, _)| *name);
            oldest.and_then(|it| seen.answers.remove(&it));
        }
        seen.answers.insert(name, (clock.steady + KEPT, answer));
    }

    fn ask(&self, issuer: &Issuer, token: &str, clock: &Clock) -> Result<Identity> {
        let Some(url) = issuer.introspection_at(clock)? else {
            return Err(refused("the token is not of the form header.claims.signature"));
        };
        let form = format!("token={}&token_type_hint=access_token", encode(token, ""));
        let (form, authorization) = (Secret::new(form), Some(&self.authorization));
        let answer = (issuer.fetch)(&Ask { url: &url, authorization, form: Some(&form) });
        let text = answer.and_then(document).map_err(|error| {
            log::warn!("the issuer {} does not tell whose a token is: {error}", issuer.address());
            unreachable()
        })?;
        let Ok(Value::Object(claims)) = json::parse_once(&text) else {
            log::warn!("the issuer {} tells in no JSON whose a token is", issuer.address());
            return Err(unreachable());
        };
        match claims.get("active") {
            Some(Value::Bool(true)) => issuer.expected.check(&claims, clock, true),
            _ => Err(refused("the issuer does not know the token any more").hint("Sign in again")),
        }
    }
}
