//! Calls that become tasks over stdio, for clients that say that they know the extension.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![allow(dead_code, reason = "shared")]

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/talk.rs"]
mod talk;

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jumpvisor::mcp::stdio::{Ended, Settings};
use jumpvisor::text::json;
use jumpvisor::text::json::Object;
use jumpvisor::tools::offer::Offer;

use crate::talk::{Client, META, client, result, until};

const SLOW: &str = r#""name":"power_on","arguments":{"name":"slow"}"#;

fn soon() -> Client {
    let settings = Settings { tasks_after: Duration::from_millis(1), ..Settings::default() };
    client(Offer::default(), settings)
}

fn knowing() -> String {
    let able = r#"Capabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    META.replace(r#"Capabilities":{}"#, able)
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    json::get_text(object, name)
        .unwrap_or_else(|| panic!("no {name}: {}", json::write_object(object)))
}

/// The id of the task that the call of this id becomes.
fn begun(it: &Client, id: &str) -> String {
    let handle = it.ask(id, "tools/call", &format!("{SLOW},{}", knowing()));
    assert_eq!((text(&handle, "resultType"), text(&handle, "status")), ("task", "working"));
    text(&handle, "taskId").to_owned()
}

fn about(it: &Client, id: &str, method: &str, task: &str) -> Object {
    it.ask(id, method, &format!(r#""taskId":"{task}",{}"#, knowing()))
}

#[test]
fn a_call_that_takes_long_becomes_a_task() {
    let it = soon();
    assert!(json::write_object(&it.ask("0", "server/discover", META)).contains("/tasks"));
    let task = begun(&it, "1");
    // Its request is over: the id may be used again, and taking it back takes nothing back.
    it.cancel("1");
    it.ask("1", "ping", "");
    it.request(
        "2",
        "subscriptions/listen",
        &format!(r#""notifications":{{"taskIds":["{task}"]}},{}"#, knowing()),
    );
    it.stage.release();
    let told = |it: &Object| {
        let params = json::get_object(it, "params");
        text(it, "method") == "notifications/tasks"
            && params.is_some_and(|it| text(it, "status") == "completed")
    };
    until("it is told of the end", || {
        it.sheet.messages().iter().any(|it| it.contains_key("method") && told(it))
    });
    let end = about(&it, "3", "tasks/get", &task);
    assert_eq!(text(&end, "status"), "completed");
    let kept = json::get_object(&end, "result").unwrap();
    let plain = it.ask("4", "tools/call", &format!("{SLOW},{META}"));
    assert_eq!(json::write_object(kept), json::write_object(&plain));
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
    // Who has not said that it knows tasks is told what it must say.
    assert_eq!(it.code("5", "tasks/get", &format!(r#""taskId":"{task}",{META}"#)), -32021);
}

#[test]
fn a_task_is_cancelled_by_its_own_request() {
    let it = soon();
    let task = begun(&it, "1");
    about(&it, "2", "tasks/cancel", &task);
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    let mut round = 3;
    until_ended(&it, &task, &mut round, "cancelled");
}

fn until_ended(it: &Client, task: &str, round: &mut usize, wanted: &str) {
    loop {
        *round += 1;
        let now = about(it, &round.to_string(), "tasks/get", task);
        match text(&now, "status") {
            "working" => assert!(*round < 5000, "it does not end"),
            status => return assert_eq!(status, wanted),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn who_knows_no_tasks_gets_none() {
    let it = soon();
    it.request("1", "tools/call", &format!("{SLOW},{META}"));
    it.request("2", "tools/call", SLOW);
    until("they run", || it.stage.busy.load(SeqCst) == 2);
    std::thread::sleep(Duration::from_millis(600)); // two looks at whether it is time
    assert!(it.silent("1") && it.silent("2"));
    it.stage.release();
    assert!(["1", "2"].iter().all(|id| result(&it.answer(id)).contains_key("content")));
    assert_eq!(it.code("3", "tasks/get", r#""taskId":"x""#), -32601);
}

#[test]
fn a_task_ends_with_the_input_since_nobody_can_ask_for_it_then() {
    let mut it = soon();
    begun(&it, "1");
    it.close_input();
    assert_eq!(it.ended(), Ended::Input);
    assert_eq!(it.stage.cancelled.load(SeqCst), 1);
}

#[test]
fn what_the_input_has_ended_for_is_answered_by_its_result() {
    let settings = Settings { tasks_after: Duration::from_millis(300), ..Settings::default() };
    let mut it = client(Offer::default(), settings);
    it.request("1", "tools/call", &format!("{SLOW},{}", knowing()));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.close_input();
    std::thread::sleep(Duration::from_millis(900)); // two looks at whether it is time
    it.stage.release();
    assert!(result(&it.answer("1")).contains_key("content"));
    assert_eq!((it.ended(), it.stage.cancelled.load(SeqCst)), (Ended::Input, 0));
}
