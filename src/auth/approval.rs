//! The one-time token of a plan: whoever got it may carry out that very plan, once and soon.
//!
//! It knows no tools: what is bound is texts. The token is a proof, not a store: anyone may read its
//! end, and nobody can make another. Instances that share a key accept each other's; that it works
//! once holds for each of them. Surprising: what the plan saw is bound too, so a machine that was
//! started in between makes the token worthless without anybody comparing states; a proof of its own
//! for who asks for what tells that from a token which was never ours.

use std::sync::{Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::auth::{Clock, random};
use crate::error::{Error, Kind, Result};
use crate::text::base64;
use crate::text::json;
use crate::text::json::Object;

/// Seconds that a plan may wait for its approval.
pub const LIFETIME: u64 = 600;

/// Used tokens that are remembered until they expire; more are not redeemed.
const MAX_USED: usize = 4_096;

/// Of these, those of one caller, so that nobody uses up what all others need.
const MAX_OF_ONE: usize = 256;

/// Shortest key that is accepted from a file, in bytes.
pub const MIN_KEY: usize = 32;

const EXPIRY: usize = 8;
const NONCE: usize = 16;
/// Bytes of each of the two proofs, half of what the digest has.
const TAG: usize = 16;

/// What a token is worth for a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is for this very plan, and now used up.
    Approved,
    /// It was given to this caller for these arguments, but time or the state of things have gone on;
    /// says which.
    Stale(&'static str),
}

/// What a token stands for. Each part is bound as it is; none is in the token.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// [`crate::auth::principal::Principal::id`].
    pub caller: &'a str,
    pub tool: &'a str,
    /// Without the approval token itself; the order of members does not matter.
    pub arguments: &'a Object,
    /// What would be changed, by ids, in the order of the plan.
    pub targets: &'a [String],
    /// The state that the plan saw and that its sentences speak of.
    pub state: &'a str,
}

/// Makes tokens and takes them back.
pub struct Approvals {
    key: hmac::Key,
    used: Mutex<Vec<Used>>,
}

/// A token that was used.
struct Used {
    nonce: [u8; NONCE],
    /// The seconds since 1970 at which it may be forgotten.
    expiry: u64,
    /// Digest of who used it; names may be of any length.
    caller: [u8; TAG],
}

impl Approvals {
    /// With the key of a file, or with one that ends with this process.
    pub fn new(key: Option<&[u8]>) -> Result<Approvals> {
        let fresh = random::<MIN_KEY>()?;
        let key = key.unwrap_or(&fresh);
        if key.len() < MIN_KEY {
            let said =
                format!("the key for approvals has {} bytes, {MIN_KEY} are needed", key.len());
            return Err(
                Error::usage(said).hint("Make one: head -c 32 /dev/urandom | base64 > FILE")
            );
        }
        Ok(Approvals { key: hmac::Key::new(hmac::HMAC_SHA256, key), used: Mutex::default() })
    }

    /// A token for a plan.
    pub fn issue(&self, plan: &Plan<'_>, clock: &Clock) -> Result<String> {
        let expiry = clock.unix.saturating_add(LIFETIME).to_be_bytes();
        let mut token = [&expiry[..], &random::<NONCE>()?].concat();
        for bound in [asked(&token, plan), seen(&token, plan)] {
            let tag = hmac::sign(&self.key, &bound);
            token.extend_from_slice(tag.as_ref().get(..TAG).unwrap_or_default());
        }
        Ok(base64::encode_url(&token))
    }

    /// Takes a token back for a plan that was made anew; it works once. An error of
    /// [`Kind::Usage`] is for what was never given to this caller for these arguments.
    pub fn redeem(&self, token: &str, plan: &Plan<'_>, clock: &Clock) -> Result<Worth> {
        self.judge(token, plan, clock, true)
    }

    /// Only looks at a token; it may still be redeemed.
    pub fn look(&self, token: &str, plan: &Plan<'_>, clock: &Clock) -> Result<Worth> {
        self.judge(token, plan, clock, false)
    }

    fn judge(&self, token: &str, plan: &Plan<'_>, clock: &Clock, take: bool) -> Result<Worth> {
        let bytes = Some(token).filter(|it| it.len() < 100).and_then(base64::decode_url);
        let Some(bytes) = bytes.filter(|it| it.len() == EXPIRY + NONCE + 2 * TAG) else {
            return Err(Error::usage("this is no approval token")
                .hint("Pass it as the plan gave it, or leave it out for a new plan"));
        };
        let (open, tags) = bytes.split_at(EXPIRY + NONCE);
        let (first, second) = tags.split_at(TAG);
        if !self.proves(&asked(open, plan), first) {
            return Err(Error::usage(
                "the approval is not for this: caller, tool or arguments are others",
            )
            .hint("Leave the token out for a new plan, and have that approved"));
        }
        let (mut expiry, mut nonce) = ([0; EXPIRY], [0; NONCE]);
        expiry.copy_from_slice(&open[..EXPIRY]);
        nonce.copy_from_slice(&open[EXPIRY..]);
        let expiry = u64::from_be_bytes(expiry);
        if expiry <= clock.unix {
            return Ok(Worth::Stale("the approval came too late"));
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.iter().any(|it| it.nonce == nonce) {
            return Err(Error::new(Kind::Conflict, "the approval was used already").hint(
                "Each change needs an approval of its own; look first what the last one did",
            ));
        }
        if !self.proves(&seen(open, plan), second) {
            return Ok(Worth::Stale("things have changed since the plan that was approved"));
        }
        used.retain(|it| it.expiry > clock.unix);
        let mut caller = [0; TAG];
        caller.copy_from_slice(&digest(&SHA256, plan.caller.as_bytes()).as_ref()[..TAG]);
        for (who, most) in [(Some(caller), MAX_OF_ONE), (None, MAX_USED)] {
            let theirs = || used.iter().filter(|it| who.is_none_or(|who| it.caller == who));
            if theirs().count() < most {
                continue;
            }
            let soonest = theirs().map(|it| it.expiry).min().unwrap_or_default();
            let whose = if who.is_some() { "one caller" } else { "all callers" };
            let minutes = LIFETIME / 60;
            let said = format!("{most} approvals in {minutes} minutes is the most for {whose}");
            return Err(Error::new(Kind::Busy, said).hint(format!(
                "Try again in {} s; a call that names several objects needs only one approval",
                soonest.saturating_sub(clock.unix)
            )));
        }
        if take {
            used.push(Used { nonce, expiry, caller });
        }
        Ok(Worth::Approved)
    }

    /// Compares without telling by the time how much of it was right.
    fn proves(&self, bound: &[u8], tag: &[u8]) -> bool {
        let ours = hmac::sign(&self.key, bound);
        let ours = ours.as_ref().get(..TAG).unwrap_or_default();
        let differs = ours.iter().zip(tag).fold(0, |differs, (a, b)| differs | (a ^ b));
        std::hint::black_box(differs) == 0 && ours.len() == tag.len()
    }
}

/// Who asks for what.
fn asked(open: &[u8], plan: &Plan<'_>) -> Vec<u8> {
    let arguments = digest(&SHA256, json::write_object(plan.arguments).as_bytes());
    let (caller, tool) = (plan.caller.as_bytes(), plan.tool.as_bytes());
    joined(&[b"jumpvisor approval 2: asked", open, caller, tool, arguments.as_ref()])
}

/// What the plan was made on.
fn seen(open: &[u8], plan: &Plan<'_>) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = vec![b"jumpvisor approval 2: seen", open, plan.state.as_bytes()];
    parts.extend(plan.targets.iter().map(|it| it.as_bytes()));
    joined(&parts)
}

/// Each part with its length, so that none can reach into the next.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn at(unix: u64) -> Clock {
        Clock { unix, steady: Instant::now() }
    }

    fn arguments(text: &str) -> Object {
        let Ok(json::Value::Object(it)) = json::parse(text) else { panic!("{text}") };
        it
    }

    #[test]
    fn it_works_once_for_the_same_plan_and_for_no_other() {
        let (args, other_args) = (
            arguments(r#"{"name":"web","force":true}"#),
            arguments(r#"{"name":"web","force":false}"#),
        );
        let targets = ["vm-1".to_owned(), "vm-2".to_owned()];
        let joined = ["vm-1vm-2".to_owned()];
        let plan = Plan {
            caller: "oauth:u1",
            tool: "delete_vm",
            arguments: &args,
            targets: &targets,
            state: "off",
        };
        let approvals = Approvals::new(None).unwrap();
        let token = approvals.issue(&plan, &at(1000)).unwrap();
        assert_eq!(token.len(), 75);
        for other in [
            Plan { caller: "oauth:u2", ..plan },
            Plan { tool: "delete_vms", ..plan },
            Plan { arguments: &other_args, ..plan },
        ] {
            let error = approvals.redeem(&token, &other, &at(1001)).unwrap_err();
            assert!(error.to_string().contains("not for this"), "{error}");
            assert_eq!(error.kind(), Kind::Usage);
        }
        let changed = Worth::Stale("things have changed since the plan that was approved");
        for other in [
            Plan { targets: &targets[..1], ..plan },
            Plan { targets: &joined, ..plan },
            Plan { targets: &[], ..plan },
            Plan { state: "on", ..plan },
        ] {
            assert_eq!(approvals.redeem(&token, &other, &at(1001)).unwrap(), changed);
        }
        let same = arguments(r#"{"force":true, "name":"w\u0065b"}"#);
        let same = Plan { arguments: &same, ..plan };
        assert_eq!(approvals.look(&token, &same, &at(1599)).unwrap(), Worth::Approved);
        assert_eq!(approvals.redeem(&token, &same, &at(1599)).unwrap(), Worth::Approved);
        let again = approvals.redeem(&token, &plan, &at(1599)).unwrap_err();
        assert!(again.to_string().contains("used already"), "{again}");
        let next = approvals.issue(&plan, &at(1000)).unwrap();
        assert_ne!(next, token);
        let late = approvals.redeem(&next, &plan, &at(1600)).unwrap();
        assert_eq!(late, Worth::Stale("the approval came too late"));
    }

    #[test]
    fn nobody_else_can_make_one() {
        let args = Object::new();
        let plan = Plan { caller: "a", tool: "b", arguments: &args, targets: &[], state: "" };
        let (key, other) = ([7; 32], Approvals::new(None).unwrap());
        let approvals = Approvals::new(Some(&key)).unwrap();
        let good = base64::decode_url(&approvals.issue(&plan, &at(1000)).unwrap()).unwrap();
        for position in 0..good.len() {
            let mut forged = good.clone();
            forged[position] ^= 1;
            let forged = base64::encode_url(&forged);
            let worth = approvals.redeem(&forged, &plan, &at(1000));
            assert!(!matches!(worth, Ok(Worth::Approved)), "{position}");
            assert_eq!(worth.is_err(), position < EXPIRY + NONCE + TAG, "{position}");
        }
        for text in ["", "x", "=", &"A".repeat(75), &"A".repeat(100_000), "ü"] {
            assert!(approvals.redeem(text, &plan, &at(0)).is_err(), "{text}");
        }
        let good = base64::encode_url(&good);
        assert!(other.redeem(&good, &plan, &at(1000)).is_err());
        assert!(approvals.redeem(&format!("{good}="), &plan, &at(1000)).is_err());
        // Another instance with the same key.
        let there = Approvals::new(Some(&key)).unwrap();
        assert_eq!(there.redeem(&good, &plan, &at(1000)).unwrap(), Worth::Approved);
        assert!(Approvals::new(Some(&[7; 31])).is_err());
    }

    #[test]
    fn what_was_used_is_remembered_within_bounds_and_one_caller_leaves_some_to_others() {
        let args = Object::new();
        let approvals = Approvals::new(None).unwrap();
        let redeem = |caller: &str, unix| {
            let plan = Plan { caller, tool: "b", arguments: &args, targets: &[], state: "" };
            let token = approvals.issue(&plan, &at(unix)).unwrap();
            approvals.redeem(&token, &plan, &at(unix)).map(drop)
        };
        (0..MAX_OF_ONE).for_each(|_| redeem("oauth:u1", 1000).unwrap());
        let mine = redeem("oauth:u1", 1001).unwrap_err();
        assert_eq!(mine.kind(), Kind::Busy);
        assert_eq!(
            mine.to_string(),
            "256 approvals in 10 minutes is the most for one caller. Try again in 599 s; a call that \
             names several objects needs only one approval"
        );
        // The same name by another way of signing in is another caller.
        for other in ["oauth:u2", "api_key:u1", "local:u1"] {
            redeem(other, 1001).unwrap();
        }
        let mut others = 0;
        while approvals.used.lock().unwrap().len() < MAX_USED {
            redeem(&format!("oauth:other{}", others / MAX_OF_ONE), 1001).unwrap();
            others += 1;
        }
        let all = redeem("oauth:new", 1001).unwrap_err();
        assert_eq!(all.kind(), Kind::Busy);
        assert!(all.to_string().contains("4096 approvals in 10 minutes is the most for all"));
        assert!(redeem("oauth:u1", 1600).is_ok());
        assert!(redeem("oauth:new", 1601).is_ok());
        assert_eq!(approvals.used.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_look_uses_nothing_up() {
        let args = Object::new();
        let plan = Plan { caller: "a", tool: "b", arguments: &args, targets: &[], state: "" };
        let approvals = Approvals::new(None).unwrap();
        let token = approvals.issue(&plan, &at(1000)).unwrap();
        for _ in 0..=MAX_OF_ONE {
            assert_eq!(approvals.look(&token, &plan, &at(1000)).unwrap(), Worth::Approved);
        }
        approvals.redeem(&token, &plan, &at(1000)).unwrap();
    }
}
