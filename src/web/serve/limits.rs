//! What a client may cost: every bound of the edge, in one place.

use std::time::{Duration, Instant};

use crate::web::codec;

/// Every bound on connections, requests and answers.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of each head; the handler bounds each body.
    pub codec: codec::Limits,
    /// Connections at a time, of all listeners; 503 above.
    pub connections: usize,
    /// Connections at a time of one address, for IPv6 of one /64; 503 above.
    pub per_address: Option<usize>,
    /// Bytes of all bodies that are being received or answered; 503 above.
    pub bodies: usize,
    /// From a head's first byte to its last, and from connecting to the first byte. TLS has as much.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For the body of a request.
    pub receive: Pace,
    /// For an answer, or each piece of a stream.
    pub send: Pace,
    /// Bytes taken while a request is being answered, to notice that the client leaves.
    pub ahead: usize,
    /// Bytes of a refused body that are read to keep the connection, or to let the client hear why.
    pub discard: usize,
    /// For reading the last answer, before the socket closes.
    pub linger: Duration,
}

/// Heads of 32 KiB with 100 headers; 1,200 connections and 32 MiB of bodies; 10 s for a head, a
/// minute idle, 1 KiB a second after 20 s either way, 64 KiB ahead, 256 KiB and 2 s to end gently.
impl Default for Limits {
    fn default() -> Limits {
        let pace = Pace { grace: Duration::from_secs(20), floor: 1024 };
        Limits {
            codec: codec::Limits::default(),
            connections: 1200,
            per_address: None,
            bodies: 32 << 20,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            receive: pace,
            send: pace,
            ahead: 64 << 10,
            discard: 256 << 10,
            linger: Duration::from_secs(2),
        }
    }
}

/// How slow the other side may be in taking or sending many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before anything is counted, and without a single byte.
    pub grace: Duration,
    /// Bytes a second after that, on average.
    pub floor: u64,
}

impl Pace {
    /// When so many bytes must have been passed that `more` than that are late.
    pub(crate) fn until(self, since: Instant, last: Instant, bytes: u64) -> Instant {
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / self.floor.max(1));
        let on_average = since.checked_add(self.grace).and_then(|it| it.checked_add(earned));
        on_average.unwrap_or(last).min(last + self.grace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_counts_the_average_and_the_silence() {
        let pace = Pace { grace: Duration::from_secs(10), floor: 1000 };
        let start = Instant::now();
        let after =
            |last: u64, bytes| pace.until(start, start + Duration::from_secs(last), bytes) - start;
        assert_eq!(after(0, 0), Duration::from_secs(10));
        // Little came, though it still comes.
        assert_eq!(after(9, 9), Duration::from_millis(10_009));
        // Much came, and then nothing more.
        assert_eq!(after(1, 1 << 30), Duration::from_secs(11));
    }
}
