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
