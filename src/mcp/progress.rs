//! Progress on its way to a client: only upwards, and not too often.
//!
//! The protocol wants each report above the last, so one that is not is dropped with its note.
//! Surprising: the second report need not wait, so that short work, too, is seen to move.

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
}

/// A listener that passes those reports on that are due, each with its percentage and its note.
pub fn watcher(send: impl Fn(f64, &str) + Send + Sync + 'static) -> Watcher {
    let reported = Mutex::new(Reported::default());
    Arc::new(move |progress: &Progress| {
        // Sent under the lock: two workers of one call must not overtake each other.
        let mut reported = reported.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(percent) = reported.next(progress.percent, Instant::now()) {
            send(percent, &progress.note);
        }
    })
}

impl Reported {
    /// The figure to report, if one is due.
    fn next(&mut self, percent: f64, now: Instant) -> Option<f64> {
        let percent = (percent * 10.0).round() / 10.0;
        let due = match self.last {
            None => percent >= 0.0,
            Some((last, at)) => {
                let rested = self.count < 2 || now.saturating_duration_since(at) >= PAUSE;
                rested && percent > last
            }
        };
        due.then(|| {
            self.count += 1;
            self.last = Some((percent, now));
            percent
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
        let mut next =
            |percent, millis| reported.next(percent, start + Duration::from_millis(millis));
        assert_eq!((next(f64::NAN, 0), next(0.0, 0)), (None, Some(0.0)));
        assert_eq!((next(0.0, 1), next(f64::NAN, 1), next(0.04, 1)), (None, None, None));
        assert_eq!((next(1.0, 10), next(2.0, 20), next(3.0, 209)), (Some(1.0), None, None));
        assert_eq!((next(4.26, 210), next(50.0, 409), next(4.0, 900)), (Some(4.3), None, None));
        assert_eq!((next(100.0, 901), next(100.0, 5000)), (Some(100.0), None));
    }

    #[test]
    fn the_token_comes_back_as_it_was() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = sent.clone();
        let token = Id::of(&json::text("a\"b")).unwrap();
        let watch = watcher(move |percent, note| {
            kept.lock().unwrap().push(notification(&token, percent, note));
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
