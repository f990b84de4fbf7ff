//! Sessions of the older era: who gets one, whose it is, what is asked in it, how it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use jumpvisor::text::json;

use crate::stage::*;

const HELLO: &str = r#""protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"x","version":"1"}"#;

fn begin(it: &Service, user: &str) -> Heard {
    it.ask(&by(legacy("0", "initialize", HELLO), user))
}

fn by(ask: Ask, user: &str) -> Ask {
    if user.is_empty() {
        ask
    } else {
        ask.with("Authorization", &format!("Bearer {user}:vsphere-super-admins"))
    }
}

fn within(ask: Ask, session: &str) -> Ask {
    ask.with("Mcp-Session-Id", session).with("MCP-Protocol-Version", "2025-11-25")
}

#[test]
fn a_client_that_can_be_asked_gets_a_session_of_its_own() {
    let it = guarded(|_| ());
    let heard = begin(&it, "ann");
    let id = heard.session().unwrap();
    assert!(id.len() >= 40 && id.bytes().all(|it| (0x21..=0x7e).contains(&it)), "{id}");
    assert!(heard.body.contains(r#""resources":{"subscribe":true}"#), "{heard:?}");
    assert_ne!(begin(&it, "ann").session().unwrap(), id);
    let ping =
        |session: &str, user: &str| it.ask(&by(within(legacy("1", "ping", ""), session), user));
    assert_eq!(ping(&id, "ann").code(), 0);
    assert_eq!(ping(&id, "ann").session(), None);
    for (session, user) in [(id.as_str(), "eve"), (&id[1..], "ann"), ("", "ann"), ("x", "eve")] {
        let heard = ping(session, user);
        assert_eq!((heard.status, heard.code()), (404, -32600), "{session} {user}");
        assert!(heard.body.contains(r#""id":1"#), "{heard:?}");
    }
    let twice = by(within(within(legacy("1", "ping", ""), &id), &id), "ann")
        .but("MCP-Protocol-Version", "");
    assert_eq!(it.ask(&twice).status, 400);
    for (able, session) in
        [("{}", true), (r#"{"form":{},"url":{}}"#, true), (r#"{"url":{}}"#, false), ("null", false)]
    {
        let hello = HELLO.replace(r#""elicitation":{}"#, &format!(r#""elicitation":{able}"#));
        let heard = it.ask(&by(legacy("0", "initialize", &hello), "ann"));
        assert_eq!((heard.code(), heard.session().is_some()), (0, session), "{able}");
    }
    // To begin again needs no old session, not even one that there is.
    assert_eq!(
        it.ask(&by(legacy("0", "initialize", HELLO), "ann").with("Mcp-Session-Id", "gone")).status,
        200
    );
}

#[test]
fn a_session_ends_when_its_client_says_so_and_no_other() {
    let it = guarded(|_| ());
    let id = begin(&it, "ann").session().unwrap();
    let mut call = it.connect();
    call.send(&by(
        within(legacy("1", "tools/call", r#""name":"power_on","arguments":{"name":"slow"}"#), &id),
        "ann",
    ));
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    let end = |user: &str| it.ask(&by(within(get("/mcp"), &id), user).by("DELETE")).status;
    assert_eq!((end("eve"), it.http.sessions(), end("ann"), end("ann")), (404, 1, 204, 404));
    assert_eq!(it.http.sessions(), 0);
    // What it was busy with is taken back.
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    assert!(call.hear().body.is_empty());
}

#[test]
fn sessions_are_bounded_and_end_when_they_rest() {
    let it = guarded(|it| {
        it.sessions.all = 2;
        it.sessions.each = 1;
    });
    let first = begin(&it, "ann").session().unwrap();
    let second = begin(&it, "ann").session().unwrap();
    let ping = |id: &str| it.ask(&by(within(legacy("1", "ping", ""), id), "ann")).status;
    assert_eq!((ping(&first), ping(&second)), (404, 200));
    assert_eq!(begin(&it, "bob").status, 200);
    let heard = begin(&it, "eve");
    assert_eq!((heard.status, heard.session()), (503, None));
    assert!(heard.header("Retry-After").is_some());
    assert!(heard.body.contains("2 sessions in all, as many as there may be"), "{heard:?}");
    // Without a session she is served.
    assert_eq!(it.ask(&by(legacy("0", "initialize", crate::legacy::HELLO), "eve")).status, 200);

    let it = start(|it| it.sessions.idle = Duration::ZERO);
    let id = begin(&it, "").session().unwrap();
    assert_eq!(it.ask(&within(legacy("1", "ping", ""), &id)).status, 404);
}

#[test]
fn an_id_is_used_for_one_request_at_a_time() {
    let it = plain();
    let id = begin(&it, "").session().unwrap();
    let call =
        within(legacy("1", "tools/call", r#""name":"power_on","arguments":{"name":"slow"}"#), &id);
    let mut client = it.connect();
    client.send(&call);
    until("it runs", || it.stage.busy.load(SeqCst) == 1);
    assert_eq!(it.ask(&call).code(), -32600);
    // Another session may use it too, and takes back only its own.
    let other = begin(&it, "").session().unwrap();
    let cancel =
        raw(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert_eq!(it.ask(&within(cancel.clone(), &other)).status, 202);
    assert_eq!(it.ask(&cancel).status, 202);
    assert_eq!(it.stage.cancelled.load(SeqCst), 0);
    assert_eq!(it.ask(&within(cancel, &id)).status, 202);
    until("the host hears of it", || it.stage.cancelled.load(SeqCst) == 1);
    assert!(client.hear().body.is_empty());
}

fn asking() -> (Service, Arc<Trial>) {
    let trial = Arc::new(Trial::default());
    let extra = trial.clone();
    (start(move |it| it.extra = Some(extra)), trial)
}

/// The question that a stream brings, and its id.
fn question(client: &mut Client, asked: &str) -> String {
    let heard = client.hear();
    assert!(heard.is_stream(), "{heard:?}");
    let (before, it) = client.until(|it| method(it) == asked);
    assert!(before.is_empty());
    json::write(it.get("id").unwrap())
}

#[test]
fn consent_is_asked_on_the_stream_and_answered_by_a_post() {
    let (it, _) = asking();
    let id = begin(&it, "").session().unwrap();
    for (number, (result, said)) in [
        (r#""result":{"action":"accept","content":{"approve":true}}"#, "true"),
        (r#""result":{"action":"accept","content":{"approve":false}}"#, "false"),
        (r#""result":{"action":"accept"}"#, "false"),
        (r#""result":{"action":"decline"}"#, "false"),
        (r#""result":{"action":"cancel"}"#, "false"),
        (r#""error":{"code":-1,"message":"no"}"#, "the client refused the question"),
    ]
    .iter()
    .enumerate()
    {
        let mut client = it.connect();
        client.send(&within(legacy(&number.to_string(), "trial/consent", ""), &id));
        let asked = question(&mut client, "elicitation/create");
        // An answer to something else is accepted, and changes nothing.
        let answer = |id: &str| raw(&format!(r#"{{"jsonrpc":"2.0","id":{id},{result}}}"#));
        assert_eq!(it.ask(&within(answer("\"other\""), &id)).status, 202);
        assert_eq!(it.ask(&answer(&asked)).status, 400);
        let heard = it.ask(&within(answer(&asked), &id));
        assert_eq!((heard.status, heard.body.as_str()), (202, ""));
        let rest = client.rest();
        assert_eq!(rest.len(), 1);
        assert!(write(&rest[0]).contains(&format!(r#""said":"{said}""#)), "{}", write(&rest[0]));
    }
}

#[test]
fn anything_may_be_asked_of_a_client() {
    let (it, _) = asking();
    let id = begin(&it, "").session().unwrap();
    let mut client = it.connect();
    client.send(&within(legacy("1", "trial/ask", ""), &id));
    let asked = question(&mut client, "sampling/createMessage");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{asked},"result":{{"model":"m"}}}}"#);
    assert_eq!(it.ask(&within(raw(&answer), &id)).status, 202);
    assert!(write(&client.rest()[0]).contains(r#"{\"model\":\"m\"}"#));
}

#[test]
fn nobody_is_asked_without_a_session() {
    let (it, _) = asking();
    for ask in [legacy("1", "trial/consent", ""), modern("1", "trial/consent", "")] {
        assert!(it.ask(&ask).body.contains("nobody to ask"));
    }
    assert!(it.ask(&legacy("1", "trial/ask", "")).body.contains("this client cannot be asked"));
}

#[test]
fn a_question_ends_with_its_call_its_client_and_its_session() {
    let (it, trial) = asking();
    let id = begin(&it, "").session().unwrap();
    let ask = |it: &Service| {
        let mut client = it.connect();
        client.send(&within(legacy("1", "trial/consent", ""), &id));
        question(&mut client, "elicitation/create");
        client
    };
    let said = |count: usize, text: &str| {
        until(text, || trial.0.lock().unwrap().len() == count);
        let last = trial.0.lock().unwrap().last().unwrap().clone();
        assert!(last.contains(text), "{last}");
    };
    let cancel =
        raw(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    let mut client = ask(&it);
    assert_eq!(it.ask(&within(cancel, &id)).status, 202);
    said(1, "cancelled while the question was open");
    assert!(client.rest().is_empty());
    drop(ask(&it));
    said(2, "the client left without an answer");
    let mut client = ask(&it);
    assert_eq!(it.ask(&within(get("/mcp"), &id).by("DELETE")).status, 204);
    until("it ends", || trial.0.lock().unwrap().len() == 3);
    assert!(client.rest().iter().all(|it| !is_answer(it)));
}

#[test]
fn questions_find_the_client_of_their_session_only() {
    let trial = Arc::new(Trial::default());
    let extra = trial.clone();
    let it = guarded(move |it| it.extra = Some(extra));
    let (ann, eve) = (begin(&it, "ann").session().unwrap(), begin(&it, "eve").session().unwrap());
    let mut client = it.connect();
    client.send(&by(within(legacy("1", "trial/consent", ""), &ann), "ann"));
    let asked = question(&mut client, "elicitation/create");
    let yes = raw(&format!(
        r#"{{"jsonrpc":"2.0","id":{asked},"result":{{"action":"accept","content":{{"approve":true}}}}}}"#
    ));
    assert_eq!(it.ask(&by(within(yes.clone(), &eve), "eve")).status, 202);
    assert_eq!(it.ask(&by(within(yes.clone(), &ann), "eve")).status, 404);
    assert!(trial.0.lock().unwrap().is_empty());
    assert_eq!(it.ask(&by(within(yes, &ann), "ann")).status, 202);
    assert!(write(&client.rest()[0]).contains(r#""said":"true""#));
}

#[test]
fn people_who_think_keep_no_worker_from_others_and_one_caller_not_all_places() {
    let trial = Arc::new(Trial::default());
    let extra = trial.clone();
    let it = guarded(move |it| {
        it.extra = Some(extra);
        it.calls.threads = 1;
        it.calls.queue = 1;
    });
    // 8 questions of a session, 16 of a caller.
    let ann = [(); 3].map(|()| begin(&it, "ann").session().unwrap());
    let ask = |user: &str, session: &str, id: usize| {
        let mut client = it.connect();
        client.send(&by(within(legacy(&id.to_string(), "trial/consent", ""), session), user));
        client
    };
    let mut open = Vec::new();
    for number in 0..16 {
        let session = &ann[number / 8];
        let mut client = ask("ann", session, number);
        let asked = question(&mut client, "elicitation/create");
        open.push((session, client, asked));
        assert!(it.ask(&by(list(), "bob")).body.contains("web"), "{number}");
    }
    let heard = ask("ann", &ann[2], 99).hear();
    assert!(heard.body.contains("16 calls wait for people's answers already"), "{heard:?}");
    assert!(heard.body.contains("try again when some of them are answered"), "{heard:?}");
    let bob = begin(&it, "bob").session().unwrap();
    let mut client = ask("bob", &bob, 1);
    question(&mut client, "elicitation/create");
    // Every answer still finds its call.
    for (session, mut client, asked) in open {
        let yes = format!(
            r#"{{"jsonrpc":"2.0","id":{asked},"result":{{"action":"accept","content":{{"approve":true}}}}}}"#
        );
        assert_eq!(it.ask(&by(within(raw(&yes), session), "ann")).status, 202);
        assert!(write(&client.rest()[0]).contains(r#""said":"true""#));
    }
}

fn list() -> Ask {
    legacy("1", "tools/call", r#""name":"list_vms""#)
}
