//! Calls that become tasks: for clients that say that they know the extension.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jumpvisor::text::json;
use jumpvisor::text::json::Object;
use jumpvisor::tools::approval::{Approval, Mode};
use jumpvisor::tools::offer::Offer;
use jumpvisor::web::serve::handler::Handler;

use crate::fleet;
use crate::stage::*;

const EXTENSION: &str = r#""extensions":{"io.modelcontextprotocol/tasks":{}}"#;
const SLOW: &str = r#""name":"power_on","arguments":{"name":"slow"}"#;

/// A request of a client that knows tasks, and has these capabilities beside them.
fn knowing(id: &str, method: &str, params: &str, able: &str) -> Ask {
    let meta =
        META.replace(r#"Capabilities":{}"#, &format!(r#"Capabilities":{{{EXTENSION}{able}}}"#));
    let comma = if params.is_empty() { "" } else { "," };
    let ask = modern(id, method, &format!("{params}{comma}{meta}"));
    match params.strip_prefix(r#""taskId":""#) {
        Some(rest) => ask.but("Mcp-Name", rest.split('"').next().unwrap()),
        None => ask,
    }
}

fn call(id: &str, params: &str) -> Ask {
    knowing(id, "tools/call", params, "")
}

fn about(method: &str, task: &str) -> Ask {
    knowing("9", method, &format!(r#""taskId":"{task}""#), "")
}

fn result(heard: &Heard) -> Object {
    let found = json::get_object(&heard.object(), "result").cloned();
    found.unwrap_or_else(|| panic!("no result: {heard:?}"))
}

fn text<'a>(object: &'a Object, name: &str) -> &'a str {
    json::get_text(object, name).unwrap_or_else(|| panic!("no {name}: {}", write(object)))
}

/// Calls become tasks soon here.
fn soon() -> Service {
    start(|it| it.tasks_after = Duration::from_millis(1))
}

/// The id of the task that this call becomes.
fn begun(it: &Service, ask: &Ask) -> String {
    let heard = it.ask(ask);
    assert!(heard.status == 200 && !heard.is_stream(), "{heard:?}");
    let handle = result(&heard);
    assert_eq!((text(&handle, "resultType"), text(&handle, "status")), ("task", "working"));
    text(&handle, "taskId").to_owned()
}

fn got(it: &Service, task: &str) -> Object {
    let object = result(&it.ask(&about("tasks/get", task)));
    assert_eq!((text(&object, "resultType"), text(&object, "taskId")), ("complete", task));
    object
}

fn ended(it: &Service, task: &str) -> Object {
    let mut last = Object::new();
    until("it has ended", || {
        last = got(it, task);
        text(&last, "status") != "working"
    });
    last
}

#[test]
fn a_call_that_takes_long_becomes_a_task_with_the_very_result() {
    let it = soon();
    // The connection of the request ends with its answer, which is no leaving.
    let task = begun(&it, &call("1", SLOW));
    until("it is told how far it is", || {
        got(&it, &task).get("statusMessage").is_some_and(|it| json::write(it).contains("working"))
    });
    assert_eq!((it.stage.busy.load(SeqCst), it.stage.cancelled.load(SeqCst)), (1, 0));
    it.stage.release();
    let end = ended(&it, &task);
    assert_eq!(text(&end, "status"), "completed");
    let kept = json::get_object(&end, "result").unwrap();
    assert_eq!(text(kept, "resultType"), "complete");
    // As it would have been told at once.
    let plain = result(&it.ask(&modern("2", "tools/call", SLOW)));
    assert_eq!(write(kept), write(&plain));
    assert_eq!(write(&got(&it, &task)), write(&end), "it stays as it is");
}

#[test]
fn what_is_quick_and_who_knows_no_tasks_is_answered_by_results() {
    let it = start(|it| it.tasks_after = SOON);
    for (ask, error) in [
        (call("1", r#""name":"list_vms","arguments":{}"#), false),
        (call("1", r#""name":"power_on","arguments":{"name":"db"}"#), true),
        (call("1", r#""name":"list_servers","arguments":{}"#), false),
    ] {
        let object = result(&it.ask(&ask));
        assert_eq!(text(&object, "resultType"), "complete");
        assert_eq!(object.contains_key("isError"), error);
    }
    let it = soon();
    for ask in [
        modern("1", "tools/call", SLOW),
        legacy("1", "tools/call", SLOW),
        // What the older draft of the extension had.
        modern("1", "tools/call", &format!(r#"{SLOW},"task":{{"ttl":1000}}"#)),
    ] {
        let mut client = it.connect();
        client.send(&ask);
        until("it runs", || it.stage.busy.load(SeqCst) == 1);
        std::thread::sleep(Duration::from_millis(600)); // two looks at whether it is time
        it.stage.release();
        assert!(client.hear().body.contains("\"content\""));
        it.stage.again();
    }
}

#[test]
fn discovery_names_the_extension_and_the_older_era_has_none() {
    let it = plain();
    let heard = it.ask(&modern("1", "server/discover", ""));
    assert!(heard.body.contains(r#""extensions":{"io.modelcontextprotocol/tasks":{}}"#));
    let hello = r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}"#;
    assert!(!it.ask(&legacy("1", "initialize", hello)).body.contains("extensions"));
    for method in ["tasks/get", "tasks/cancel", "tasks/update", "tasks/list", "tasks/result"] {
        assert_eq!(it.ask(&legacy("1", method, r#""taskId":"x""#)).code(), -32601, "{method}");
    }
    for method in ["tasks/list", "tasks/result"] {
        let heard = it.ask(&about(method, "x").without("Mcp-Name"));
        assert_eq!((heard.status, heard.code()), (404, -32601), "{method}");
    }
}

#[test]
fn requests_about_tasks_are_checked() {
    let it = soon();
    let task = begun(&it, &call("1", SLOW));
    let named = format!(r#""taskId":"{task}""#);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        // By one that has not said that it knows tasks.
        let heard = it.ask(&modern("1", method, &named).with("Mcp-Name", &task));
        assert_eq!((heard.status, heard.code()), (400, -32021), "{heard:?}");
        assert!(heard.body.contains(r#""requiredCapabilities":{"extensions":{"io.model"#));
        let wrong = about(method, &task).but("Mcp-Name", "another");
        assert_eq!((it.ask(&wrong).status, it.ask(&wrong).code()), (400, -32020));
        for params in [r#""taskId":"none""#, r#""taskId":7"#, ""] {
            let heard = it.ask(&knowing("1", method, params, ""));
            assert_eq!((heard.status, heard.code()), (400, -32602), "{heard:?}");
        }
    }
    let odd = knowing("1", "tasks/update", &format!(r#"{named},"inputResponses":[1]"#), "");
    assert_eq!(it.ask(&odd).code(), -32602);
    // Answers to nothing that was asked are nobody's.
    let more = format!(r#"{named},"inputResponses":{{"x":{{"action":"accept"}}}}"#);
    let heard = it.ask(&knowing("1", "tasks/update", &more, ""));
    assert_eq!(text(&result(&heard), "resultType"), "complete");
    assert_eq!(text(&got(&it, &task), "status"), "working");
}

#[test]
fn a_task_is_cancelled_by_its_own_request_alone() {
    let it = soon();
    let task = begun(&it, &call("1", SLOW));
    let taken_back =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    assert_eq!(it.ask(&raw(taken_back)).status, 202);
    assert_eq!(text(&got(&it, &task), "status"), "working");
    let heard = it.ask(&about("tasks/cancel", &task));
    assert_eq!(text(&result(&heard), "resultType"), "complete");
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    let end = ended(&it, &task);
    assert_eq!(text(&end, "status"), "cancelled");
    assert!(text(&end, "statusMessage").contains("cancelled") && !end.contains_key("result"));
    // Again it is no error.
    assert_eq!(it.ask(&about("tasks/cancel", &task)).code(), 0);
}

#[test]
fn a_client_that_leaves_before_it_has_the_handle_has_cancelled() {
    let it = start(|it| it.tasks_after = SOON);
    let mut client = it.connect();
    client.send(&call("1", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    drop(client);
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
}

#[test]
fn reports_come_first_and_then_the_handle() {
    let it = start(|it| it.tasks_after = Duration::from_millis(400));
    let mut client = it.connect();
    let meta = META
        .replace(r#"Capabilities":{}"#, &format!(r#"Capabilities":{{{EXTENSION}}}"#))
        .replace(r#""_meta":{"#, r#""_meta":{"progressToken":"p","#);
    client.send(&modern("1", "tools/call", &format!("{SLOW},{meta}")));
    assert!(client.hear().is_stream());
    let mut all = client.rest();
    let handle = all.pop().unwrap();
    assert!(!all.is_empty() && all.iter().all(|it| method(it) == "notifications/progress"));
    let handle = json::get_object(&handle, "result").unwrap();
    assert_eq!(text(handle, "resultType"), "task");
    it.stage.release();
    assert_eq!(text(&ended(&it, text(handle, "taskId")), "status"), "completed");
}

#[test]
fn tasks_are_their_callers_and_only_while_they_may() {
    let it = guarded(|it| it.tasks_after = Duration::from_millis(1));
    let by = |ask: Ask, who: &str| ask.with("Authorization", &format!("Bearer {who}"));
    let task = begun(&it, &by(call("1", SLOW), "ann:vsphere-admins"));
    let none = it.ask(&by(about("tasks/get", "none"), "bob:vsphere-admins"));
    for who in ["bob:vsphere-admins", "ann:vsphere-readers"] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let heard = it.ask(&by(about(method, &task), who));
            assert_eq!((heard.status, &heard.body), (400, &none.body), "{who} {method}");
        }
        let listen = format!(r#""notifications":{{"taskIds":["{task}"]}}"#);
        let mut client = it.connect();
        client.send(&by(knowing("1", "subscriptions/listen", &listen, ""), who));
        assert!(client.hear().is_stream());
        let first = client.piece().unwrap();
        assert!(first.contains("acknowledged") && !first.contains(&task), "{first}");
    }
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
    assert_eq!(it.ask(&by(about("tasks/cancel", &task), "ann:vsphere-admins")).status, 200);
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
}

#[test]
fn news_of_tasks_come_to_who_listens_for_them() {
    let it = soon();
    let task = begun(&it, &call("1", SLOW));
    let listen = format!(r#""notifications":{{"taskIds":["none","{task}"]}}"#);
    let heard = it.ask(&modern("1", "subscriptions/listen", &listen));
    assert_eq!((heard.status, heard.code()), (400, -32021), "{heard:?}");
    let mut client = it.connect();
    client.send(&knowing("\"l\"", "subscriptions/listen", &listen, ""));
    assert!(client.hear().is_stream());
    let first = messages(&client.piece().unwrap()).remove(0);
    assert!(write(&first).contains(&format!(r#""taskIds":["{task}"]"#)), "{}", write(&first));
    let told = |it: &Object, word: &str| {
        let params = json::get_object(it, "params").unwrap();
        let meta = json::get_object(params, "_meta").unwrap();
        assert_eq!(text(meta, "io.modelcontextprotocol/subscriptionId"), "l");
        method(it) == "notifications/tasks" && text(params, "status") == word
    };
    client.until(|it| told(it, "working"));
    it.stage.release();
    let (_, last) = client.until(|it| told(it, "completed"));
    let params = json::get_object(&last, "params").unwrap();
    assert_eq!(
        write(json::get_object(params, "result").unwrap()),
        write(json::get_object(&got(&it, &task), "result").unwrap())
    );
    // Who comes late is told at once.
    let mut late = it.connect();
    late.send(&knowing("\"l\"", "subscriptions/listen", &listen, ""));
    assert!(late.hear().is_stream());
    late.until(|it| method(it) == "notifications/tasks" && told(it, "completed"));
}

#[test]
fn consent_is_asked_for_before_and_the_rest_becomes_a_task() {
    let (mut gate, stage) = fleet::gate(Offer::everything());
    Arc::get_mut(&mut gate).unwrap().approval = Approval::new(Mode::All, true, None).unwrap();
    let quick = |it: &mut jumpvisor::mcp::http::Settings| it.tasks_after = Duration::from_millis(1);
    let it = serve((gate, stage), &["127.0.0.1:0"], quick, |_| ());
    let able = r#","elicitation":{}"#;
    let asked = result(&it.ask(&knowing("1", "tools/call", SLOW, able)));
    assert_eq!(text(&asked, "resultType"), "input_required");
    let state = json::quote(text(&asked, "requestState"));
    let answer = |action: &str| {
        let answers = format!(
            r#"{SLOW},"requestState":{state},"inputResponses":{{"approve":{{"action":"{action}","content":{{"approve":true}}}}}}"#
        );
        knowing("1", "tools/call", &answers, able)
    };
    let task = begun(&it, &answer("accept"));
    it.stage.release();
    assert_eq!(text(&ended(&it, &task), "status"), "completed");
    // It worked once.
    let again = result(&it.ask(&answer("accept")));
    assert!(again.contains_key("isError"), "{}", write(&again));
}

#[test]
fn the_end_of_the_service_is_the_end_of_its_tasks() {
    let it = soon();
    begun(&it, &call("1", SLOW));
    assert_eq!(it.http.end(SOON), Vec::<&str>::new());
    assert_eq!(it.stage.cancelled.load(SeqCst), 1);
}

#[test]
fn a_service_that_ends_makes_no_more_tasks_since_nobody_could_ask_for_them() {
    let it = start(|it| it.tasks_after = Duration::from_millis(300));
    let mut client = it.connect();
    client.send(&call("1", SLOW));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    it.http.stopping();
    std::thread::sleep(Duration::from_millis(900)); // two looks at whether it is time
    it.stage.release();
    assert!(client.hear().body.contains("\"content\""));
}
