//! How often a caller may call: so many a minute, by user and by address.
//!
//! It knows keys and moments only. Each caller may use a whole minute's calls at once, and gets them
//! back evenly. Surprising: of each caller one moment is kept, the one at which all his calls will
//! be back; where it has passed, forgetting him changes nothing, so those are forgotten first.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::text::sorted::Sorted;

/// Callers that are remembered.
const MAX_CALLERS: usize = 4_096;

const MINUTE: Duration = Duration::from_secs(60);

/// A limit and how far each caller has used it.
pub struct Limiter {
    /// Calls a minute; 0 is no limit.
    limit: u32,
    callers: Mutex<Sorted<String, Instant>>,
}

impl Limiter {
    /// So many calls a minute, 0 for no limit.
    pub fn new(limit: u32) -> Limiter {
        Limiter { limit, callers: Mutex::default() }
    }

    /// Counts a call; an error is the seconds after which it may be tried again, for `Retry-After`.
    pub fn count(&self, caller: &str, now: Instant) -> Result<(), u64> {
        let Some(each) = MINUTE.checked_div(self.limit) else { return Ok(()) };
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let back = callers.get(caller).copied().map_or(now, |it| it.max(now)) + each;
        let over = back.saturating_duration_since(now).saturating_sub(MINUTE);
        if !over.is_zero() {
            return Err(over.as_secs() + u64::from(over.subsec_nanos() > 0));
        }
        if callers.len() >= MAX_CALLERS && !callers.contains_key(caller) {
            callers.retain(|_, back| *back > now);
            if callers.len() >= MAX_CALLERS {
                // Full of callers who just called: the one who has used least.
                let least = callers.iter().min_by_key(|it| *it.1).map(|it| it.0.clone());
                least.and_then(|it| callers.remove(&it));
            }
        }
        callers.insert(caller.to_owned(), back);
        Ok(())
    }
}

/// An address as a limit counts it: of the newer sort the network, since everybody has 2^64 of them.
pub fn address(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(it) => it.to_string(),
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(limiter: &Limiter, caller: &str, times: u32, now: Instant) -> u32 {
        (0..times).map(|_| u32::from(limiter.count(caller, now).is_ok())).sum()
    }

    #[test]
    fn a_minutes_calls_at_once_and_then_evenly() {
        let (limiter, start) = (Limiter::new(60), Instant::now());
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        assert_eq!(count(&limiter, "ryan", 100, start), 60);
        assert_eq!(limiter.count("ryan", start), Err(1));
        assert_eq!(count(&limiter, "eve", 10, start), 10);
        assert_eq!(count(&limiter, "ryan", 5, after(1.0)), 1);
        assert_eq!(count(&limiter, "ryan", 50, after(31.0)), 30);
        assert_eq!(count(&limiter, "ryan", 1000, after(1000.0)), 60);
        let slow = Limiter::new(1);
        assert!(slow.count("ryan", start).is_ok());
        assert_eq!(slow.count("ryan", after(12.5)), Err(48));
        // A refused call costs nothing.
        assert!(slow.count("ryan", after(60.0)).is_ok());
    }

    #[test]
    fn odd_limits() {
        let start = Instant::now();
        assert_eq!(count(&Limiter::new(0), "ryan", 10_000, start), 10_000);
        assert_eq!(count(&Limiter::new(7), "ryan", 100, start), 7);
        assert_eq!(count(&Limiter::new(1_000_000), "ryan", 1_000_100, start), 1_000_000);
    }

    #[test]
    fn callers_are_forgotten_within_a_bound_and_the_harmless_first() {
        let (limiter, start) = (Limiter::new(10), Instant::now());
        assert_eq!(count(&limiter, "busy", 20, start), 10);
        for other in 0..2 * MAX_CALLERS {
            assert!(limiter.count(&format!("{other:05}"), start).is_ok());
        }
        assert_eq!(limiter.callers.lock().unwrap().len(), MAX_CALLERS);
        assert_eq!(count(&limiter, "busy", 1, start), 0);
        let later = start + MINUTE;
        assert!(limiter.count("new", later).is_ok());
        assert_eq!(limiter.callers.lock().unwrap().len(), 1);
    }

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let of = |text: &str| address(text.parse().unwrap());
        assert_eq!((of("10.0.0.1"), of("::ffff:10.0.0.1")), ("10.0.0.1".into(), "10.0.0.1".into()));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("::1"), "::/64");
    }
}
