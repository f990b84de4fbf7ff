//! Callers: who is let in, who must be asked elsewhere, who asks too often.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jumpvisor::auth::keys;
use jumpvisor::auth::keys::Keys;
use jumpvisor::auth::policy::Policy;
use jumpvisor::auth::signin::SignIn;
use jumpvisor::mcp::pool::Size;

use crate::stage::*;

fn by(ask: Ask, token: &str) -> Ask {
    ask.with("Authorization", &format!("Bearer {token}"))
}

#[test]
fn keys_in_either_header_and_no_key() {
    let (key, line) = keys::new("backup", &["vsphere-readers"]).unwrap();
    let keys = std::sync::Mutex::new(std::sync::Arc::new(Keys::parse(&line).unwrap()));
    let signin = SignIn { policy: Policy::built_in(), keys, issuer: None };
    let it = start(|it| it.door = Some(Box::new(signin)));
    let list = modern("1", "tools/list", "");
    assert_eq!(it.ask(&by(list.clone(), key.reveal())).status, 200);
    assert_eq!(it.ask(&list.clone().with("X-API-Key", key.reveal())).status, 200);
    for (ask, status) in [
        (list.clone(), 401),
        (by(list.clone(), "wrong"), 401),
        (by(list.clone(), key.reveal()).with("X-API-Key", key.reveal()), 400),
        (get("/mcp"), 401),
    ] {
        let heard = it.ask(&ask);
        assert_eq!(heard.status, status);
        assert!(
            heard.header("WWW-Authenticate").unwrap().starts_with("Bearer realm="),
            "{heard:?}"
        );
        assert!(!heard.body.contains("wrong") && heard.code() == -32600, "{heard:?}");
    }
    // A key's rights are told by the tool's answer: nobody could give it more.
    let call = modern("1", "tools/call", r#""name":"power_on","arguments":{"name":"web"}"#);
    let heard = it.ask(&by(call, key.reveal()));
    assert_eq!((heard.status, heard.code()), (200, 0));
    assert!(heard.body.contains("\"isError\":true") && heard.body.contains("denied"), "{heard:?}");
    // Health needs none.
    assert_eq!((it.ask(&get("/healthz")).status, it.ask(&get("/readyz")).status), (200, 200));
    assert_eq!(it.ask(&get("/.well-known/oauth-protected-resource")).status, 404);
}

#[test]
fn where_to_sign_in_is_told_in_every_way() {
    let it = guarded(|_| ());
    let heard = it.ask(&modern("1", "tools/list", ""));
    let challenge = heard.header("WWW-Authenticate").unwrap();
    let at = "https://jump.example/.well-known/oauth-protected-resource/mcp";
    assert_eq!(heard.status, 401);
    assert!(challenge.contains(&format!("resource_metadata=\"{at}\"")), "{challenge}");
    assert!(challenge.contains("scope=\"groups\""), "{challenge}");
    for path in ["", "/mcp", "/"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let heard = it.ask(&get(&path).but("Host", "proxy.internal"));
        assert_eq!((heard.status, heard.header("Access-Control-Allow-Origin")), (200, Some("*")));
        assert!(heard.body.contains(r#""resource":"https://jump.example/mcp""#), "{heard:?}");
    }
    assert_eq!(it.ask(&get("/.well-known/oauth-protected-resource/x")).status, 404);
    // A page of another origin may read why it was refused.
    let ask = modern("1", "tools/list", "")
        .but("Host", "localhost:8")
        .with("Origin", "http://localhost:8");
    let heard = it.ask(&ask);
    assert_eq!(heard.status, 401);
    assert!(heard.header("Access-Control-Expose-Headers").unwrap().contains("WWW-Authenticate"));
}

#[test]
fn who_needs_more_rights_is_sent_for_them() {
    let it = guarded(|_| ());
    let call = modern("1", "tools/call", r#""name":"power_on","arguments":{"name":"web"}"#);
    let heard = it.ask(&by(call.clone(), "eve:vsphere-readers"));
    assert_eq!(heard.status, 403);
    let challenge = heard.header("WWW-Authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("power_on") && challenge.contains("power_ops"), "{challenge}");
    assert_eq!(it.stage.asked.load(Ordering::SeqCst), 0);
    for user in ["op:vsphere-operators", "admin:vsphere-super-admins"] {
        let heard = it.ask(&by(call.clone(), user));
        assert!(heard.status == 200 && !heard.body.contains("isError"), "{heard:?}");
    }
    assert_eq!(it.ask(&by(call, "eve:nobody")).status, 403);
}

#[test]
fn rights_are_lacking_on_the_server_that_is_meant() {
    let (mut gate, stage) = crate::fleet::gate(jumpvisor::tools::offer::Offer::everything());
    crate::fleet::second(Arc::get_mut(&mut gate).unwrap(), &stage);
    let at = ["127.0.0.1:0"];
    let it = serve((gate, stage), &at, |it| it.door = Some(Box::new(Porter::default())), |_| ());
    let call = |tool: &str, arguments: &str| {
        let params = format!(r#""name":"{tool}","arguments":{{{arguments}}}"#);
        it.ask(&by(modern("1", "tools/call", &params), "eve:far-ops"))
    };
    for (tool, arguments, status, error) in [
        ("power_on", r#""name":"web","host":"far""#, 200, false),
        ("power_on", r#""name":"web""#, 403, true),
        ("power_on", r#""name":"web","host":"lab""#, 403, true),
        ("delete_vm", r#""name":"web","host":"far""#, 403, true),
        ("list_vms", r#""host":"all""#, 200, false),
        // More rights would not help.
        ("power_on", r#""name":"web","host":"nowhere""#, 200, true),
        ("power_on", r#""nonsense":1"#, 200, true),
        ("power_on", r#""name":"nobody","host":"far""#, 200, true),
    ] {
        let heard = call(tool, arguments);
        let failed = heard.status != 200 || heard.body.contains("\"isError\":true");
        assert_eq!((heard.status, failed), (status, error), "{tool} {arguments}: {heard:?}");
        let challenge = heard.header("WWW-Authenticate").unwrap_or_default();
        assert_eq!(challenge.contains("error=\"insufficient_scope\""), status == 403);
        assert_eq!(challenge.contains(tool), status == 403, "{challenge}");
    }
}

#[test]
fn answers_are_counted_and_those_who_ask_too_often() {
    let it = guarded(|it| it.per_user = 2);
    let ask = |user: &str| it.ask(&by(legacy("1", "ping", ""), user)).status;
    let eve = "eve:vsphere-readers";
    assert_eq!([ask(eve), ask(eve), ask(eve), ask("words")], [200, 200, 429, 401]);
    assert_eq!(it.ask(&get("/nothing")).status, 404);
    // What the edge refuses by itself counts too.
    let mut client = it.connect();
    client.write("no request\r\n\r\n");
    assert_eq!(client.hear().status, 400);
    let text = it.gate.prometheus(Some(0));
    for line in [
        r#"jumpvisor_http_responses_total{class="2xx"} 2"#,
        r#"jumpvisor_http_responses_total{class="4xx"} 4"#,
        r#"jumpvisor_http_responses_total{class="5xx"} 0"#,
        "jumpvisor_rate_limited_total 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    let metrics = modern("1", "tools/call", r#""name":"get_metrics","arguments":{}"#);
    let heard = it.ask(&by(metrics, "ann:vsphere-readers"));
    for part in [r#""http_2xx":2"#, r#""http_4xx":4"#, r#""rate_limited":1"#] {
        assert!(heard.body.contains(part), "{part} in {heard:?}");
    }
}

#[test]
fn a_token_that_must_be_looked_up_keeps_nobody_waiting() {
    let porter = Porter::default();
    let (open, waiting) = (Arc::clone(&porter.open), Arc::clone(&porter.waiting));
    let it = start(|it| it.door = Some(Box::new(porter)));
    let mut slow = it.connect();
    slow.send(&by(modern("1", "tools/list", ""), "slow:vsphere-readers"));
    until("it waits", || waiting.load(Ordering::SeqCst));
    assert_eq!(it.ask(&by(modern("1", "tools/list", ""), "eve:vsphere-readers")).status, 200);
    open.store(true, Ordering::SeqCst);
    assert_eq!(slow.hear().status, 200);
}

#[test]
fn who_asks_too_often_waits_and_others_do_not() {
    let it = guarded(|it| it.per_user = 3);
    let ask = |user: &str| it.ask(&by(legacy("1", "ping", ""), user));
    let eve = "eve:vsphere-readers";
    assert_eq!([ask(eve).status, ask(eve).status, ask(eve).status], [200; 3]);
    let heard = ask(eve);
    assert_eq!((heard.status, heard.code()), (429, -32600));
    let seconds: u64 = heard.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(ask("ann:vsphere-readers").status, 200);

    let it = guarded(|it| {
        it.per_address = 3;
        it.trusted = Box::new(|ip| ip.is_some_and(|it| it.is_loopback()));
    });
    let from = |told: &str| it.ask(&legacy("1", "ping", "").with("X-Forwarded-For", told)).status;
    // Also who is not let in, and what he writes himself does not help.
    assert_eq!([from("192.0.2.1"), from("6.6.6.6, 192.0.2.1"), from("192.0.2.1")], [401; 3]);
    assert_eq!((from("192.0.2.1"), from("7.7.7.7, 192.0.2.1")), (429, 429));
    assert_eq!(from("192.0.2.2"), 401);
    // Nobody is believed who is not trusted.
    let it = start(|it| it.per_address = 2);
    let from = |told: &str| it.ask(&legacy("1", "ping", "").with("X-Forwarded-For", told)).status;
    assert_eq!([from("1.1.1.1"), from("2.2.2.2"), from("3.3.3.3")], [200, 200, 429]);
    assert_eq!(it.ask(&get("/healthz")).status, 200);
}

#[test]
fn one_caller_leaves_room_for_others() {
    let it = guarded(|it| it.calls = Size { threads: 4, queue: 4, idle: Duration::from_secs(1) });
    let slow = r#""name":"power_on","arguments":{"name":"slow"}"#;
    let begin = |who: &str| {
        let mut client = it.connect();
        client.send(&by(modern("1", "tools/call", slow), who));
        client
    };
    // Until one is refused, whether that is heard at once or later.
    let refused = |client: &mut Client| {
        let stream = client.0.get_ref();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let heard = client.0.fill_buf().is_ok();
        client.0.get_ref().set_read_timeout(Some(SOON)).unwrap();
        heard
    };
    let mut hers = vec![begin("ann:vsphere-admins")];
    while !refused(hers.last_mut().unwrap()) {
        assert!(hers.len() < 50, "she takes all there is");
        hers.push(begin("ann:vsphere-admins"));
    }
    assert_eq!(it.stage.busy.load(Ordering::SeqCst), 3);
    let _his = begin("bob:vsphere-admins");
    until("his runs beside hers", || it.stage.busy.load(Ordering::SeqCst) == 4);
    it.stage.release();
    let answers: Vec<Heard> = hers.iter_mut().map(Client::hear).collect();
    let done = answers.iter().filter(|it| !it.body.contains("too many calls at once"));
    assert_eq!(done.map(Heard::code).collect::<Vec<_>>(), [0; 6]);
}
