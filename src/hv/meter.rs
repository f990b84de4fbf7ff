//! How far a transfer has come: bytes, rate and time left, told now and then.
//!
//! Whoever moves bytes adds them here; the call's end is seen at the same place. Surprising: the rate
//! is that of the last seconds, because one since the beginning hides that a line has slowed down.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::hv::call::Call;

/// Between two words of progress.
const TELL: Duration = Duration::from_millis(500);

/// What the rate is taken of.
const WINDOW: Duration = Duration::from_secs(4);

/// One transfer.
pub struct Meter {
    call: Call,
    what: String,
    total: Option<u64>,
    /// The total is an estimate.
    about: bool,
    done: u64,
    told: Instant,
    /// When the present window began, and with how many bytes.
    since: (Instant, u64),
    /// Bytes a second of the window before.
    rate: Option<f64>,
}

impl Meter {
    /// A transfer of `what`, of so many bytes if that is known.
    pub fn new(call: &Call, what: impl Into<String>, total: Option<u64>) -> Meter {
        let now = Instant::now();
        let (call, what) = (call.clone(), what.into());
        Meter { call, what, total, about: false, done: 0, told: now, since: (now, 0), rate: None }
    }

    /// The same transfer, of about so many bytes: nobody knows before it is done.
    pub fn of_about(mut self, total: u64) -> Meter {
        (self.total, self.about) = (Some(total), true);
        self
    }

    /// So many bytes more have gone by; fails when the call is to end.
    pub fn add(&mut self, bytes: usize) -> Result<()> {
        self.call.check()?;
        self.done = self.done.saturating_add(bytes as u64);
        let now = Instant::now();
        if now.duration_since(self.told) >= TELL {
            self.told = now;
            let note = self.note(now);
            self.call.progress(self.percent(), note);
        }
        Ok(())
    }

    /// Names what is moved now.
    pub fn name(&mut self, what: impl Into<String>) {
        self.what = what.into();
    }

    /// Corrects how many bytes it will be.
    pub fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Bytes so far.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// 0 to 100; 0 while the whole is unknown.
    pub fn percent(&self) -> f64 {
        match self.total {
            Some(total) if total > 0 => (self.done as f64 / total as f64 * 100.0).min(100.0),
            _ => 0.0,
        }
    }

    fn note(&mut self, now: Instant) -> String {
        let (began, had) = self.since;
        let took = now.duration_since(began);
        let present = (self.done - had) as f64 / took.as_secs_f64().max(0.001);
        let rate = self.rate.map_or(present, |before| (before + present) / 2.0);
        if took >= WINDOW {
            (self.since, self.rate) = ((now, self.done), Some(present));
        }
        let done = amount(self.done);
        // An estimate that was too low says nothing any more.
        let total = self.total.filter(|it| !self.about || *it > self.done);
        let mut note = match total {
            Some(total) => {
                let about = if self.about { "about " } else { "" };
                format!("{}: {done} of {about}{}", self.what, amount(total))
            }
            None => format!("{}: {done}", self.what),
        };
        if rate >= 1.0 {
            note.push_str(&format!(", {}/s", amount(rate as u64)));
            if let Some(total) = total {
                let left = total.saturating_sub(self.done) as f64 / rate;
                note.push_str(&format!(", {} left", time(left as u64)));
            }
        }
        note
    }
}

/// Bytes for a person, in units of 1000.
pub fn amount(bytes: u64) -> String {
    let mut figure = bytes as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if figure < 999.5 {
            break;
        }
        (figure, unit) = (figure / 1000.0, next);
    }
    match unit {
        "B" => format!("{bytes} B"),
        _ if figure < 99.95 => format!("{figure:.1} {unit}"),
        _ => format!("{figure:.0} {unit}"),
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hv::call::Rights;

    #[test]
    fn amounts_and_times_as_people_say_them() {
        let said: Vec<String> =
            [0, 999, 1000, 99_940, 99_960, 1_500_000, 40_000_000_000, 999_900].map(amount).to_vec();
        let wanted = ["0 B", "999 B", "1.0 kB", "99.9 kB", "100 kB", "1.5 MB", "40.0 GB", "1.0 MB"];
        assert_eq!(said, wanted);
        assert_eq!([time(5), time(125), time(7300)], ["5 s", "2 min", "2 h 1 min"]);
    }

    #[test]
    fn it_tells_how_far_it_has_come_and_sees_the_end() {
        let call = Call::new(Rights::ReadOnly);
        let mut meter = Meter::new(&call, "disk-0.vmdk", Some(4_000_000));
        meter.add(1_000_000).unwrap();
        assert_eq!((meter.percent(), meter.done()), (25.0, 1_000_000));
        let (start, _) = meter.since;
        let note = meter.note(start + Duration::from_secs(2));
        assert_eq!(note, "disk-0.vmdk: 1.0 MB of 4.0 MB, 500 kB/s, 6 s left");
        let mut guessed = Meter::new(&call, "x", None).of_about(2_000_000);
        guessed.add(1_000_000).unwrap();
        let note = |it: &mut Meter| it.note(it.since.0 + Duration::from_secs(2));
        assert_eq!(note(&mut guessed), "x: 1.0 MB of about 2.0 MB, 500 kB/s, 2 s left");
        guessed.add(2_000_000).unwrap();
        assert!(note(&mut guessed).starts_with("x: 3.0 MB, "));
        call.cancel().cancel();
        assert!(meter.add(1).is_err());
    }
}
