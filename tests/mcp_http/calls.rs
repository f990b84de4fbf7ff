//! Calls: whole answers and streams, progress, clients that leave, that take back, that do not read.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jumpvisor::mcp::pool::Size;
use jumpvisor::text::json;

use crate::stage::*;

const SLOW: &str = r#""name":"power_on","arguments":{"name":"slow"}"#;

#[test]
fn progress_makes_a_stream_and_rises() {
    let it = plain();
    let mut client = it.connect();
    client.send(&with_token("7", "power_on", r#""name":"slow""#));
    let heard = client.hear();
    assert!(heard.status == 200 && heard.is_stream(), "{heard:?}");
    assert_eq!(heard.header("X-Accel-Buffering"), Some("no"));
    let (mut all, last) = client.until(|it| {
        let progress = json::get_object(it, "params").and_then(|it| it.get("progress"));
        progress.is_some_and(|it| json::write(it).parse::<f64>().unwrap() > 0.0)
    });
    all.push(last);
    it.stage.release();
    let mut rest = client.rest();
    let answer = rest.pop().unwrap();
    assert!(is_answer(&answer) && write(&answer).contains(r#""id":7"#), "{}", write(&answer));
    all.extend(rest);
    let figures: Vec<f64> = all
        .iter()
        .map(|it| {
            assert_eq!(method(it), "notifications/progress");
            let params = json::get_object(it, "params").unwrap();
            assert_eq!(json::get_text(params, "progressToken"), Some("p"));
            json::write(params.get("progress").unwrap()).parse().unwrap()
        })
        .collect();
    assert!(figures.windows(2).all(|it| it[0] < it[1]), "{figures:?}");
    // The connection goes on after a stream.
    client.send(&legacy("8", "ping", ""));
    assert_eq!(client.hear().code(), 0);
}

#[test]
fn what_is_there_at_once_is_no_stream() {
    let it = plain();
    for ask in [
        with_token("1", "list_servers", ""),
        modern("1", "tools/call", r#""name":"list_vms","arguments":{}"#),
    ] {
        let heard = it.ask(&ask);
        assert!(heard.code() == 0 && !heard.is_stream(), "{heard:?}");
    }
    // And who does not want progress gets none, however long it takes.
    let mut client = it.connect();
    client.send(&modern("1", "tools/call", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.stage.release();
    let heard = client.hear();
    assert!(heard.code() == 0 && !heard.is_stream(), "{heard:?}");
}

#[test]
fn what_is_silent_for_long_says_that_it_is_alive() {
    // `stuck` of this tool reports nothing; who wants to hear of progress is told sooner.
    let wants = with_token("1", "get_vm_info", r#""name":"stuck""#);
    let plain = legacy("1", "tools/call", r#""name":"get_vm_info","arguments":{"name":"stuck"}"#);
    for (ask, patience) in [(wants, 0), (plain, 3_600_000)] {
        let it = start(|it| {
            it.patience = Duration::from_millis(patience);
            it.alive = Duration::from_millis(10);
        });
        let mut client = it.connect();
        client.send(&ask);
        let heard = client.hear();
        assert!(heard.is_stream(), "{heard:?}");
        for _ in 0..2 {
            assert_eq!(client.piece().unwrap(), ": still here\n\n");
        }
        it.stage.release();
        let rest = client.rest();
        assert!(rest.len() == 1 && is_answer(&rest[0]));
    }
}

#[test]
fn a_modern_client_that_leaves_has_cancelled() {
    for token in [false, true] {
        let it = plain();
        let mut client = it.connect();
        match token {
            true => client.send(&with_token("1", "power_on", r#""name":"slow""#)),
            false => client.send(&modern("1", "tools/call", SLOW)),
        }
        until("it runs", || it.stage.busy.load(SeqCst) == 1);
        if token {
            assert!(client.hear().is_stream());
        }
        assert_eq!(it.stage.cancelled.load(SeqCst), 0);
        drop(client);
        until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    }
}

#[test]
fn a_queued_call_whose_client_leaves_is_never_begun() {
    let it = start(|it| it.calls = Size { threads: 1, queue: 1, idle: Duration::from_secs(1) });
    let mut first = it.connect();
    first.send(&modern("1", "tools/call", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    let mut second = it.connect();
    second.send(&modern("2", "tools/call", SLOW));
    // The queue is full once the third is refused.
    let busy = || it.ask(&modern("3", "resources/read", r#""uri":"esxi://vms""#)).code() == -32603;
    until("there is no more room", busy);
    drop(second);
    // Its place is free, so this one waits in it.
    let mut third = it.connect();
    until("there is room again", || {
        third = it.connect();
        third.send(&modern("4", "tools/call", r#""name":"list_vms","arguments":{}"#));
        let wait = Some(Duration::from_millis(50));
        third.0.get_mut().set_read_timeout(wait).unwrap();
        third.0.get_mut().peek(&mut [0]).is_err()
    });
    third.0.get_mut().set_read_timeout(Some(SOON)).unwrap();
    it.stage.release();
    assert_eq!((first.hear().code(), third.hear().code()), (0, 0));
    // By the first and the last.
    assert_eq!(it.stage.asked.load(SeqCst), 2);
}

#[test]
fn one_call_too_many_is_told_to_come_later() {
    let it = start(|it| it.calls = Size { threads: 1, queue: 0, idle: Duration::from_secs(1) });
    let mut first = it.connect();
    first.send(&modern("1", "tools/call", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    let heard = it.ask(&modern("2", "tools/call", r#""name":"list_vms","arguments":{}"#));
    assert!(heard.status == 200 && heard.body.contains("too many calls at once"), "{heard:?}");
    // What needs no work is answered all the same.
    assert_eq!(it.ask(&modern("3", "tools/list", "")).status, 200);
    let own = r#""name":"list_servers","arguments":{}"#;
    assert!(!it.ask(&modern("4", "tools/call", own)).body.contains("isError"));
    it.stage.release();
    assert_eq!(first.hear().code(), 0);
}

#[test]
fn a_legacy_client_that_leaves_has_not_cancelled() {
    // The edge keeps a connection that is owed an answer; it gives it up with the first word.
    let it = start(|it| it.alive = Duration::from_millis(10));
    let mut client = it.connect();
    client.send(&legacy("1", "tools/call", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    drop(client);
    until("its connection ended", || it.server.as_ref().unwrap().connections() == 0);
    it.stage.release();
    until("it ends", || it.stage.busy.load(SeqCst) == 0);
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
}

fn cancel(id: &str) -> Ask {
    raw(&format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
    ))
}

#[test]
fn a_legacy_request_is_taken_back_by_its_own_caller() {
    let it = guarded(|_| ());
    let by = |ask: Ask, name: &str| {
        ask.with("Authorization", &format!("Bearer {name}:vsphere-super-admins"))
    };
    let mut client = it.connect();
    client.send(&by(legacy("1", "tools/call", SLOW), "ann"));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    // Another caller, another id, and the era that leaves instead.
    let modern = cancel("1").with("MCP-Protocol-Version", "2026-07-28");
    for (ask, name) in
        [(cancel("1"), "eve"), (cancel("2"), "ann"), (cancel("\"1\""), "ann"), (modern, "ann")]
    {
        assert_eq!(it.ask(&by(ask, name)).status, 202);
    }
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
    assert_eq!(it.ask(&by(cancel("1"), "ann")).status, 202);
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    let heard = client.hear();
    assert!(heard.status == 200 && heard.is_stream() && heard.body.is_empty(), "{heard:?}");
    client.send(&by(legacy("2", "ping", ""), "ann"));
    assert_eq!(client.hear().code(), 0);
}

#[test]
fn where_two_requests_could_be_meant_neither_ends() {
    let it = plain();
    let mut clients = [it.connect(), it.connect()];
    for (count, client) in clients.iter_mut().enumerate() {
        client.send(&legacy("1", "tools/call", SLOW));
        until("it runs", || it.stage.busy.load(SeqCst) == count + 1);
    }
    assert_eq!(it.ask(&cancel("1")).status, 202);
    it.stage.release();
    for client in &mut clients {
        assert_eq!(client.hear().code(), 0);
    }
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
}

#[test]
fn a_slow_reader_holds_nobody_up_and_misses_no_answer() {
    let trial = Arc::new(Trial::default());
    let extra = trial.clone();
    let it = start(move |it| it.extra = Some(extra));
    let mut client = it.connect();
    client.send(&modern("1", "trial/talk", ""));
    // It has ended, though nothing of it was read: what was too much was left out.
    until("the talk ends", || !trial.0.lock().unwrap().is_empty());
    let told: usize = trial.0.lock().unwrap()[0].parse().unwrap();
    assert!((20..500).contains(&told), "{told}");
    assert!(client.hear().is_stream());
    let rest = client.rest();
    assert_eq!(rest.len(), told + 1);
    assert!(is_answer(rest.last().unwrap()));
}
