//! The world's time: that of this computer, or one that jumps to what happens next.
//!
//! A jumping clock makes a rehearsal instant and repeatable: it starts where it was told to, a
//! request moves it a little, and whoever waits for something that is due moves it there. It knows
//! nothing of what is due.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::text::time;

/// Milliseconds since 1970, UTC.
pub type Moment = i64;

/// How far a request moves a jumping clock.
const TICK: Moment = 10;

/// Where the time comes from.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    base: Moment,
    jumping: bool,
}

impl Clock {
    /// This computer's time.
    pub fn real() -> Clock {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base = Moment::try_from(since.as_millis()).unwrap_or_default();
        Clock { started: Instant::now(), base, jumping: false }
    }

    /// A clock that stands at `start` until somebody waits.
    pub fn jumping(start: Moment) -> Clock {
        Clock { started: Instant::now(), base: start, jumping: true }
    }

    /// The time at a request; it moves a jumping clock.
    pub fn tick(&mut self) -> Moment {
        if self.jumping {
            self.base += TICK;
        }
        self.now()
    }

    /// Puts a jumping clock to a time; 0 leaves it.
    pub fn set(&mut self, moment: Moment) {
        if self.jumping && moment > 0 {
            self.base = moment - TICK;
        }
    }

    /// The time.
    pub fn now(&self) -> Moment {
        match self.jumping {
            true => self.base,
            false => {
                let run = Moment::try_from(self.started.elapsed().as_millis()).unwrap_or_default();
                self.base + run
            }
        }
    }

    /// How long to wait for `due`: a jumping clock goes there at once.
    pub fn until(&mut self, due: Moment) -> Duration {
        if self.jumping {
            self.base = self.base.max(due);
        }
        Duration::from_millis(u64::try_from(due - self.now()).unwrap_or(0))
    }

    /// True if it jumps.
    pub fn jumps(&self) -> bool {
        self.jumping
    }
}

/// As `dateTime` is written.
pub fn stamp(moment: Moment) -> String {
    let since = Duration::from_millis(u64::try_from(moment).unwrap_or(0));
    time::rfc3339(UNIX_EPOCH + since).replace("+00:00", "Z")
}

/// A time as RFC 3339 writes it in UTC, to the second: `2026-01-15T08:00:00Z`.
pub fn parse(text: &str) -> Option<Moment> {
    let (date, clock) = text.trim().trim_end_matches('Z').split_once(['T', ' '])?;
    let numbers = |text: &str, mark: char| -> Option<[i64; 3]> {
        let all: Option<Vec<i64>> = text.split(mark).map(|it| it.parse().ok()).collect();
        all?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    // Days from 1970 on, counted from a March, so that the leap day is the last of its year.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days =
        year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    sound.then_some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in [
            "2026-01-15T08:00:00.000000Z",
            "1970-01-01T00:00:00.000000Z",
            "2024-02-29T23:59:59.000000Z",
        ] {
            assert_eq!(parse(&text.replace(".000000", "")).map(stamp).as_deref(), Some(text));
        }
        for text in ["", "2026-13-01T00:00:00Z", "2026-01-15", "2026-01-15T25:00:00Z", "x"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_jumping_clock_goes_where_it_is_told() {
        let mut clock = Clock::jumping(1_000);
        assert_eq!(clock.now(), 1_000);
        assert!(clock.until(9_000).is_zero());
        assert_eq!((clock.now(), clock.tick()), (9_000, 9_010));
    }
}
