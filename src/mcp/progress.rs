//! Progress on its way to a client: only upwards, and not too often.
//!
//! The protocol wants each notification above the last, so a report that is not is none; the state of a
//! task may say something new at the same figure. Surprising: the second report need not wait, so that
//! short work, too, is seen to move.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::hv::call::Progress;
use crate::mcp::body::Body;
use crate::mcp::rpc;
use crate::mcp::rpc::Id;
use crate::text::json;
use crate::tools::run::Watcher;

/// Between one report and the next, from the second on.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Reported {
    count: usize,
    /// The last report: its figure and its time.
    last: Option<(f64, Instant)>,
    /// What it said.
    note: String,
}

/// A report that is due.
pub struct Report<'a> {
    /// Never below the one before.
    pub percent: f64,
    /// Whether it is above the one before.
    pub rises: bool,
    pub note: &'a str,
}

/// A listener that passes those reports on that are due: they rise, or say something new.
pub fn watcher(send: impl Fn(Report<'_>) + Send + Sync + 'static) -> Watcher {
    let reported = Mutex::new(Reported::default());
    Arc::new(move |progress: &Progress| {
        // Sent under the lock: two workers of one call must not overtake each other.
        let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        let note = &progress.note;
        if let Some((percent, rises)) = reported.next(progress.percent, note, Instant::now()) {
            send(Report { percent, rises, note });
        }
    })
}

impl Reported {
    /// The figure to report, if one is due, and whether it rises.
    fn next(&mut self, percent: f64, note: &str, now: Instant) -> Option<(f64, bool)> {
        let percent = (percent * 10.0).round() / 10.0;
        let (rises, rested, last) = match self.last {
            None => (percent >= 0.0, true, 0.0),
            Some((last, at)) => {
                let rested = self.count < 2 || now.saturating_duration_since(at) >= PAUSE;
                (percent > last, rested, last)
            }
        };
        let new = self.last.is_some() && note != self.note;
        (rested && (rises || new)).then(|| {
            let percent = if rises { percent } else { last };
            self.count += 1;
            self.last = Some((percent, now));
            note.clone_into(&mut self.note);
            (percent, rises)
        })
    }
}

/// A report as a notification of `token`, as text without newline.
pub fn notification(token: &Id, percent: f64, note: &str) -> String {
    let params = Body::new()
        .raw("progressToken", token.json())
        .raw("progress", &percent.to_string())
        .raw("total", "100")
        .raw("message", &json::quote(note));
    rpc::notification("notifications/progress", params)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_rise_and_keep_to_their_rate() {
        let mut reported = Reported::default();
        let start = Instant::now();
        let mut next = |percent, millis| {
            let next = reported.next(percent, "", start + Duration::from_millis(millis));
            next.map(|(percent, rises)| {
                assert!(rises);
                percent
            })
        };
        assert_eq!((next(f64::NAN, 0), next(0.0, 0)), (None, Some(0.0)));
        assert_eq!((next(0.0, 1), next(f64::NAN, 1), next(0.04, 1)), (None, None, None));
        assert_eq!((next(1.0, 10), next(2.0, 20), next(3.0, 209)), (Some(1.0), None, None));
        assert_eq!((next(4.26, 210), next(50.0, 409), next(4.0, 900)), (Some(4.3), None, None));
        assert_eq!((next(100.0, 901), next(100.0, 5000)), (Some(100.0), None));
    }

    #[test]
    fn what_is_new_is_told_at_the_same_figure() {
        let mut reported = Reported::default();
        let start = Instant::now();
        let mut next = |percent, note, millis| {
            reported.next(percent, note, start + Duration::from_millis(millis))
        };
        assert_eq!(next(90.0, "disk 1", 0), Some((90.0, true)));
        assert_eq!(next(0.0, "disk 2", 1), Some((90.0, false)));
        assert_eq!((next(1.0, "disk 2", 900), next(2.0, "disk 3", 100)), (None, None));
        assert_eq!(next(91.0, "disk 3", 900), Some((91.0, true)));
    }

    #[test]
    fn the_token_comes_back_as_it_was() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = sent.clone();
        let token = Id::of(&json::text("a\"b")).unwrap();
        let watch = watcher(move |it| {
            kept.lock().unwrap().push(notification(&token, it.percent, it.note));
        });
        watch(&Progress { percent: 33.333, note: "disk 1\nof 3".to_owned() });
        assert_eq!(
            sent.lock().unwrap()[..],
            [
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"a\"b","progress":33.3,"total":100,"message":"disk 1\nof 3"}}"#
            ]
        );
    }
}
