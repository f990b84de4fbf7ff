//! Who asks, and what they may do: sign-in, rights, approval, limits.
//!
//! Pure: no sockets, no files, no clock of its own. A document that only the network has comes
//! through a function that is handed in ([`issuer::Fetch`]), and what time it is through [`Clock`].
//! It must not know tools, hypervisors or HTTP's server side. Surprising: the kind of an error is the
//! answer: [`Kind::Denied`](crate::error::Kind::Denied) is the caller's fault, and every other kind
//! means that this server could not find out.

pub mod approval;
pub mod challenge;
pub mod claims;
pub mod introspection;
pub mod issuer;
pub mod jwks;
pub mod jwt;
pub mod keys;
pub mod level;
pub mod policy;
pub mod principal;
pub mod rate;
pub mod signature;
pub mod signin;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

/// One moment, told by two clocks: a router without a battery wakes up in 1970 and is set right
/// later, and ages must survive that.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Seconds since 1970, for what tokens say.
    pub unix: u64,
    /// For ages and waits.
    pub steady: Instant,
}

impl Clock {
    /// This moment.
    pub fn now() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { unix: since.as_secs(), steady: Instant::now() }
    }

    /// How long ago a moment of the steady clock was; nothing if it is to come.
    pub fn since(&self, moment: Instant) -> Duration {
        self.steady.saturating_duration_since(moment)
    }
}

/// Random bytes of the system.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Error::bug("the system gives no random bytes")),
    }
}
