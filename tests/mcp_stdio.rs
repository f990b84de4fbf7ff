//! The protocol over stdio, driven from memory against a pretend hypervisor.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/talk.rs"]
mod talk;

use std::io::Cursor;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use jumpvisor::mcp::stdio;
use jumpvisor::mcp::stdio::{Ended, Settings};
use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};
use jumpvisor::tools::approval::{Approval, Mode};
use jumpvisor::tools::offer::Offer;

use crate::talk::{META, Sheet, client, client_with, code, plain, result, until};

fn write(object: &Object) -> String {
    json::write_object(object)
}

fn has_error(result: &Object, kind: &str) {
    let text = write(result);
    assert!(text.contains("\"isError\":true"), "{text}");
    assert!(text.contains(&format!("\"kind\":\"{kind}\"")), "{text}");
}

#[test]
fn both_eras_on_one_process_in_any_order() {
    let it = plain();
    let found = it.ask("1", "server/discover", META);
    assert!(write(&found).contains(r#""resultType":"complete""#));
    let hello = r#""protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}"#;
    let begun = it.ask("2", "initialize", hello);
    assert_eq!(json::get_text(&begun, "protocolVersion"), Some("2025-06-18"));
    it.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    for (id, method) in [
        ("3", "tools/list"),
        ("4", "resources/list"),
        ("5", "resources/templates/list"),
        ("6", "prompts/list"),
    ] {
        let legacy = it.ask(id, method, "");
        assert_eq!(legacy.len(), 1, "{}", write(&legacy));
        let modern = it.ask(&format!("\"m{id}\""), method, META);
        for key in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert!(modern.contains_key(key), "{method} lacks {key}");
        }
    }
    assert_eq!(it.ask("7", "ping", "").len(), 0);
    assert_eq!(it.code("8", "ping", META), -32601);
    assert_eq!(it.code("9", "initialize", META), -32601);
    let called = it.ask("10", "tools/call", r#""name":"list_vms""#);
    let modern =
        it.ask("11", "tools/call", &format!(r#""name":"list_vms","arguments":{{}},{META}"#));
    assert!(!called.contains_key("resultType") && modern.contains_key("resultType"));
    assert_eq!(
        called.get("structuredContent").map(json::write),
        modern.get("structuredContent").map(json::write)
    );
    assert!(write(&called).contains(r#""text":"name | power_state"#), "{}", write(&called));
}

#[test]
fn an_envelope_is_checked() {
    let it = plain();
    let version = |version: &str| {
        format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":{version}}}"#)
    };
    assert_eq!(it.code("1", "tools/list", &version("\"2026-07-28\"")), -32602);
    assert_eq!(it.code("2", "tools/list", &version("5")), -32602);
    assert_eq!(it.code("3", "tools/list", &version("\"2030-01-01\"")), -32022);
    let told = write(&it.answer("3"));
    assert!(
        told.contains(r#""requested":"2030-01-01","supported":["2026-07-28","2025-11-25""#),
        "{told}"
    );
    assert_eq!(it.code("4", "server/discover", ""), -32602);
    let told = write(&it.answer("4"));
    assert!(
        told.contains("/protocolVersion and io") && told.contains("/clientCapabilities"),
        "{told}"
    );
}

#[test]
fn nothing_is_asked_of_a_host_before_a_call() {
    let it = plain();
    it.ask("1", "server/discover", META);
    it.ask("2", "initialize", r#""protocolVersion":"2025-11-25""#);
    it.ask("3", "tools/list", "");
    it.ask("4", "prompts/get", r#""name":"diagnose_vm","arguments":{"vm":"web"}"#);
    it.ask("5", "tools/call", r#""name":"list_servers""#);
    assert_eq!(it.stage.asked.load(SeqCst), 0);
    it.ask("6", "tools/call", r#""name":"list_vms""#);
    assert_eq!(it.stage.asked.load(SeqCst), 1);
}

#[test]
fn no_malformed_message_ends_the_process() {
    let mut it = plain();
    let bad: [(&[u8], i64); 12] = [
        (b"{", -32700),
        (b"hello", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}", -32700),
        (b"\xef\xbb\xbf{}", -32700),
        (b"[]", -32600),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600),
        (b"\"ping\"", -32600),
        (b"{}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":[1],\"method\":\"ping\"}", -32600),
        (b"{\"method\":\"notifications/initialized\"}", -32600),
    ];
    for (line, _) in bad {
        it.send(line);
    }
    for quiet in [
        "",
        " \r",
        r#"{"jsonrpc":"2.0","method":"notifications/whatever","params":7}"#,
        r#"{"jsonrpc":"2.0","id":3,"result":{}}"#,
    ] {
        it.send(quiet);
    }
    for id in ["99", "null", "{}", "[\"a\"]"] {
        it.cancel(id);
    }
    it.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    assert_eq!(it.ask("5", "ping", "").len(), 0);
    assert_eq!(it.code("6", "tools/list", r#""cursor":7"#), -32602);
    it.send(r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#);
    assert_eq!(code(&it.answer("7")), -32602);
    let codes: Vec<i64> = it.sheet.messages().iter().take(bad.len()).map(code).collect();
    assert_eq!(codes, bad.map(|(_, code)| code));
    assert_eq!(it.sheet.messages().len(), bad.len() + 3);
    it.close_input();
    assert_eq!(it.ended(), Ended::Input);
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    let it = client(Offer::default(), Settings { longest: 1000, ..Settings::default() });
    it.send(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":"{}"}}"#, "y".repeat(200_000)));
    it.request("2", "ping", "");
    it.answer("2");
    let [first, _] = &it.sheet.messages()[..] else { panic!("two answers") };
    assert!(code(first) == -32600 && write(first).contains("message too large"));
}

#[test]
fn an_unknown_tool_is_a_protocol_error_with_the_near_name() {
    let it = plain();
    assert_eq!(it.code("1", "tools/call", r#""name":"list_vm""#), -32602);
    assert!(write(&it.answer("1")).contains("Did you mean `list_vms`?"));
}

#[test]
fn errors_have_their_kind_fault_and_id() {
    let it = plain();
    it.power_on("1", "db", "");
    let refused = result(&it.answer("1"));
    has_error(&refused, "remote");
    let text = write(&refused);
    assert!(
        text.contains(r#""fault":"InvalidState""#) && text.contains("correlation_id"),
        "{text}"
    );
    it.power_on("2", "nope", "");
    has_error(&result(&it.answer("2")), "not_found");
    has_error(
        &it.ask("3", "tools/call", r#""name":"list_vms","arguments":{"limit":"x"}"#),
        "usage",
    );
    it.power_on("4", "boom", "");
    assert_eq!(code(&it.answer("4")), -32603);
    let told = write(&it.answer("4"));
    assert!(told.contains("correlation_id") && told.contains("log lines around"), "{told}");
    let many = it.ask("5", "tools/call", r#""name":"power_on","arguments":{"names":["db"]}"#);
    assert!(
        write(&many).contains(r#""failed":1"#) && many.contains_key("isError"),
        "{}",
        write(&many)
    );
    let some = it.ask("6", "tools/call", r#""name":"power_on","arguments":{"names":["db","web"]}"#);
    assert!(
        write(&some).contains(r#""failed":1"#) && !many.is_empty() && !some.contains_key("isError")
    );
    assert_eq!(it.ask("7", "ping", "").len(), 0);
}

#[test]
fn resources_are_read_or_the_failure_says_why() {
    let it = plain();
    let read = it.ask("1", "resources/read", &format!(r#""uri":"esxi://vms",{META}"#));
    assert!(write(&read).contains("application/json") && write(&read).contains("\"ttlMs\":0"));
    let named = it.ask("2", "resources/read", r#""uri":"esxi://lab/vms""#);
    assert_eq!(named.len(), 1);
    for uri in ["esxi://nope", "esxi://elsewhere/vms", "file:///etc/passwd"] {
        let (old, new) = (format!("\"o{uri}\""), format!("\"n{uri}\""));
        assert_eq!(it.code(&old, "resources/read", &format!(r#""uri":"{uri}""#)), -32002);
        assert_eq!(it.code(&new, "resources/read", &format!(r#""uri":"{uri}",{META}"#)), -32602);
        assert!(write(&it.answer(&new)).contains(&format!(r#""data":{{"uri":"{uri}"}}"#)));
    }
    assert_eq!(it.code("3", "resources/read", r#""uri":"esxi://networks""#), -32603);
    assert!(write(&it.answer("3")).contains(r#""kind":"network""#));
    assert_eq!(it.code("4", "resources/read", r#""uri":"esxi://clusters""#), -32603);
    assert!(write(&it.answer("4")).contains("correlation id"));
}

#[test]
fn completions_come_from_the_fleet() {
    let it = plain();
    let prompt = |argument: &str, value: &str| {
        format!(
            r#""ref":{{"type":"ref/prompt","name":"diagnose_vm"}},"argument":{{"name":"{argument}","value":"{value}"}}"#
        )
    };
    let found = it.ask("1", "completion/complete", &prompt("vm", "s"));
    assert!(write(&found).contains(r#""total":2,"values":["slow","stuck"]"#), "{}", write(&found));
    let none = it.ask("2", "completion/complete", &format!("{},{META}", prompt("symptom", "x")));
    assert!(write(&none).contains(r#""values":[]"#) && none.contains_key("resultType"));
    assert_eq!(it.code("3", "completion/complete", &prompt("colour", "")), -32602);
}

#[test]
fn lists_come_in_pages() {
    let it = client(Offer::default(), Settings { page: 5, ..Settings::default() });
    let (mut names, mut params) = (Vec::new(), r#""cursor":"""#.to_owned());
    for at in 0..100 {
        let page = it.ask(&format!("{at}"), "tools/list", &params);
        let Some(Value::Array(tools)) = page.get("tools") else { panic!("no tools") };
        assert!((1..=5).contains(&tools.len()));
        for tool in tools {
            let Value::Object(tool) = tool else { panic!("no tool") };
            names.push(json::get_text(tool, "name").unwrap().to_owned());
        }
        match json::get_text(&page, "nextCursor") {
            Some(next) => params = format!(r#""cursor":"{next}""#),
            None => break,
        }
    }
    let all: Vec<&str> = Offer::default().list().map(|tool| tool.name).collect();
    assert_eq!(names, all);
    assert_eq!(it.code("\"bad\"", "tools/list", r#""cursor":"AAAA""#), -32602);
}

#[test]
fn prompts_are_hidden_where_their_tools_are() {
    let it = client(Offer::parse(None, "list_vms", "").unwrap(), Settings::default());
    let begun = write(&it.ask("1", "initialize", r#""protocolVersion":"2025-11-25""#));
    assert!(
        begun.contains("\"tools\":{}")
            && !begun.contains("\"prompts\"")
            && !begun.contains("\"completions\"")
    );
    assert_eq!(it.code("2", "prompts/list", ""), -32601);
    assert_eq!(
        it.code("3", "tools/call", r#""name":"power_on","arguments":{"name":"web"}"#),
        -32602
    );
    assert!(write(&it.answer("3")).contains("not offered"));
}

#[test]
fn a_slow_call_holds_up_nobody() {
    let it = plain();
    it.power_on("1", "slow", "");
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    assert_eq!(it.ask("2", "ping", "").len(), 0);
    it.ask("3", "tools/call", r#""name":"list_vms""#);
    assert!(it.silent("1"));
    it.stage.release();
    assert!(!result(&it.answer("1")).contains_key("isError"));
}

#[test]
fn a_cancelled_call_is_never_answered() {
    let it = plain();
    it.power_on("1", "slow", r#","_meta":{"progressToken":"p"}"#);
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.cancel("1");
    until("it stops", || it.stage.cancelled.load(SeqCst) == 1);
    assert!(it.silent("1"));
    let count = it.sheet.messages().len();
    it.power_on("1", "web", "");
    assert!(!result(&it.answer("1")).contains_key("isError"), "the id may be used again");
    assert_eq!(it.sheet.messages().len(), count + 1);
}

#[test]
fn a_request_with_an_id_that_is_in_use_is_refused() {
    let it = plain();
    it.power_on("\"a\"", "slow", "");
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    assert_eq!(it.code("\"a\"", "ping", ""), -32600);
    it.stage.release();
    until("both are answered", || it.sheet.messages().len() == 2);
    assert!(!result(&it.sheet.messages()[1]).contains_key("isError"));
}

#[test]
fn progress_rises_and_ends_with_the_answer() {
    let it = plain();
    it.power_on("1", "slow", r#","_meta":{"progressToken":7}"#);
    std::thread::sleep(Duration::from_millis(1300));
    it.stage.release();
    it.answer("1");
    it.ask("2", "ping", "");
    let messages = it.sheet.messages();
    let mut last = -1.0;
    let reports = &messages[..messages.len() - 2];
    assert!((5..=9).contains(&reports.len()), "{} reports", reports.len());
    for report in reports {
        assert_eq!(json::get_text(report, "method"), Some("notifications/progress"));
        let params = json::get_object(report, "params").unwrap();
        assert_eq!(params.get("progressToken").and_then(json::as_int), Some(7));
        let progress: f64 = params.get("progress").map(json::write).unwrap().parse().unwrap();
        assert!(progress > last, "{progress} after {last}");
        last = progress;
    }
}

#[test]
fn so_many_wait_and_the_next_is_told_that_it_is_busy() {
    let it = client(Offer::default(), Settings { threads: 2, queue: 2, ..Settings::default() });
    for id in ["1", "2", "3", "4"] {
        it.power_on(id, "slow", "");
    }
    until("two run", || it.stage.busy.load(SeqCst) == 2);
    it.power_on("5", "web", "");
    has_error(&result(&it.answer("5")), "busy");
    assert_eq!(it.code("6", "resources/read", r#""uri":"esxi://vms""#), -32603);
    assert!(write(&it.answer("6")).contains(r#""kind":"busy""#));
    it.cancel("3");
    it.power_on("7", "web", "");
    assert!(it.silent("7") && it.silent("3"), "it waits in the place that was freed");
    it.stage.release();
    for id in ["1", "2", "4", "7"] {
        assert!(!result(&it.answer(id)).contains_key("isError"));
    }
    assert!(it.silent("3"));
}

#[test]
fn calls_may_finish_when_the_input_ends() {
    let mut it = plain();
    it.power_on("1", "slow", "");
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.close_input();
    std::thread::sleep(Duration::from_millis(50));
    it.stage.release();
    assert_eq!(it.ended(), Ended::Input);
    assert!(!result(&it.answer("1")).contains_key("isError"));
}

#[test]
fn after_the_grace_calls_are_cancelled_and_told_so() {
    let mut it = client(
        Offer::default(),
        Settings { grace: Duration::from_millis(50), ..Settings::default() },
    );
    it.power_on("1", "slow", "");
    it.close_input();
    assert_eq!(it.ended(), Ended::Input);
    has_error(&result(&it.answer("1")), "cancelled");
}

#[test]
fn what_reads_is_not_waited_for_once_it_is_stopped() {
    for by_client in [true, false] {
        let mut it = plain();
        it.request("1", "tools/call", r#""name":"get_vm_info","arguments":{"name":"stuck"}"#);
        until("it runs", || it.stage.busy.load(SeqCst) == 1);
        let start = Instant::now();
        match by_client {
            true => {
                it.cancel("1");
                it.close_input();
            }
            false => it.stop.stop(),
        }
        it.ended();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        it.stage.release();
    }
}

#[test]
fn what_is_owed_is_waited_for_beside_what_was_cancelled() {
    let mut it = plain();
    it.power_on("1", "slow", "");
    it.request("2", "tools/call", r#""name":"get_vm_info","arguments":{"name":"stuck"}"#);
    until("both run", || it.stage.busy.load(SeqCst) == 2);
    it.cancel("2");
    it.close_input();
    std::thread::sleep(Duration::from_millis(600));
    it.stage.release();
    assert_eq!(it.ended(), Ended::Input);
    assert!(!result(&it.answer("1")).contains_key("isError"));
}

#[test]
fn a_pipe_gets_its_answers() {
    let (gate, _) = fleet::gate(Offer::default());
    let sheet = Sheet::default();
    let input = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"list_vms\"}}";
    let ended = stdio::serve(gate, Settings::default(), Cursor::new(input), sheet.clone());
    assert_eq!(ended, Ended::Input);
    let [answer] = &sheet.messages()[..] else { panic!("one answer") };
    assert!(write(&result(answer)).contains("web"));
}

#[test]
fn stopping_ends_it_soon_even_with_work_that_does_not_listen() {
    let grace = Duration::from_secs(1);
    let mut it = client(Offer::default(), Settings { threads: 2, grace, ..Settings::default() });
    it.power_on("1", "slow", "");
    it.power_on("2", "stuck", "");
    it.power_on("3", "web", "");
    until("both run", || it.stage.busy.load(SeqCst) == 2);
    let start = Instant::now();
    it.stop.stop();
    assert_eq!(it.ended(), Ended::Stopped);
    let took = start.elapsed();
    assert!(took >= grace && took < 3 * grace, "{took:?}: what changes things may clean up");
    for id in ["1", "3"] {
        has_error(&result(&it.answer(id)), "cancelled");
    }
    let count = it.sheet.messages().len();
    it.stage.release();
    until("the last one ends", || it.stage.busy.load(SeqCst) == 0);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(it.sheet.messages().len(), count, "nothing is written after the end");
}

#[test]
fn a_client_that_does_not_read_any_more_ends_it() {
    let mut it = plain();
    it.power_on("1", "slow", "");
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.break_output();
    it.request("2", "ping", "");
    assert_eq!(it.ended(), Ended::Output);
    assert_eq!(it.stage.cancelled.load(SeqCst), 1);
}

#[test]
fn a_person_who_thinks_keeps_no_worker_from_the_next_call() {
    let settings = Settings { threads: 1, queue: 0, ..Settings::default() };
    let it = client_with(Offer::default(), settings, |gate| {
        gate.approval = Approval::new(Mode::All, true, None).unwrap();
    });
    let able = r#""protocolVersion":"2025-11-25","capabilities":{"elicitation":{}}"#;
    it.ask("1", "initialize", able);
    it.power_on("2", "web", "");
    let asked = it.answer("\"ask-1\"");
    assert_eq!(json::get_text(&asked, "method"), Some("elicitation/create"));
    // The call leaves its place a moment before its question is sent.
    assert!(write(&it.ask("3", "tools/call", r#""name":"list_vms""#)).contains("web"));
    let yes = r#""result":{"action":"accept","content":{"approve":true}}"#;
    it.send(format!(r#"{{"jsonrpc":"2.0","id":"ask-1",{yes}}}"#));
    let done = write(&result(&it.answer("2")));
    assert!(!done.contains("isError"), "{done}");
}
