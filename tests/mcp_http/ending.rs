//! The end of the service: new calls are refused, open requests end well, running ones may finish.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use jumpvisor::web::serve::handler::Handler;

use crate::stage::*;

const SLOW: &str = r#""name":"power_on","arguments":{"name":"slow"}"#;

#[test]
fn open_requests_end_with_their_answer_and_running_calls_finish() {
    let mut it = plain();
    let mut open = it.connect();
    open.send(&modern("\"s\"", "subscriptions/listen", r#""notifications":{}"#));
    assert!(open.hear().is_stream());
    let mut running = it.connect();
    running.send(&modern("1", "tools/call", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    let server = it.server.take().unwrap();
    let ending = thread::spawn(move || server.stop(SOON));
    let rest = open.rest();
    assert_eq!(rest.len(), 2);
    let last = write(&rest[1]);
    assert!(last.contains(r#""id":"s""#) && last.contains(r#""resultType":"complete""#), "{last}");
    assert!(last.contains("subscriptionId"), "{last}");
    it.stage.release();
    assert_eq!(running.hear().code(), 0);
    assert_eq!(ending.join().unwrap(), 0);
    assert!(it.http.end(Duration::ZERO).is_empty());
}

#[test]
fn nothing_new_is_begun_while_it_ends() {
    let it = plain();
    it.http.stopping();
    for ask in [modern("1", "tools/list", ""), legacy("1", "ping", "")] {
        let heard = it.ask(&ask);
        assert_eq!((heard.status, heard.code()), (503, -32600));
        assert!(heard.header("Retry-After").is_some());
    }
    assert_eq!((it.ask(&get("/healthz")).status, it.ask(&get("/readyz")).status), (200, 503));
}

#[test]
fn what_does_not_end_in_time_is_cut_and_told_to_stop() {
    for modern_era in [true, false] {
        let mut it = plain();
        let mut running = it.connect();
        match modern_era {
            true => running.send(&modern("1", "tools/call", SLOW)),
            false => running.send(&legacy("1", "tools/call", SLOW)),
        }
        until("it runs", || it.stage.busy.load(SeqCst) == 1);
        assert_eq!(it.server.take().unwrap().stop(Duration::ZERO), 1);
        assert!(it.http.end(SOON).is_empty());
        assert_eq!(it.stage.cancelled.load(SeqCst), 1);
    }
    let mut it = plain();
    let mut stuck = it.connect();
    stuck.send(&legacy("1", "tools/call", &SLOW.replace("slow", "stuck")));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.server.take().unwrap().stop(Duration::ZERO);
    assert_eq!(it.http.end(Duration::ZERO), ["power_on"]);
}
