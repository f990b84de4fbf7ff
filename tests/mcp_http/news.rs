//! News of serial consoles: requests that stay open, and subscriptions in sessions.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};

use jumpvisor::hv::model::MachineRef;
use jumpvisor::hv::serials::{Port, Way};
use jumpvisor::text::json;

use crate::stage::*;

const HELLO: &str = r#""protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"x","version":"1"}"#;

/// The machine `web` has a console that says what is sent here.
fn console(it: &Service) -> Sender<&'static str> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (says, said) = channel::<&str>();
    std::thread::spawn(move || {
        let mut line: TcpStream = listener.accept().unwrap().0;
        while let Ok(text) = said.recv() {
            line.write_all(text.as_bytes()).unwrap();
        }
    });
    let at = MachineRef { id: "id-web".into(), name: "web".into(), path: "/dc/vm/web".into() };
    it.stage.ports.lock().unwrap().push(Port {
        machine: at,
        uuids: Vec::new(),
        label: "Serial port 1".to_owned(),
        network: true,
        way: Way::Dial { host: "127.0.0.1".to_owned(), port, telnet: false, tls: false },
        address: format!("tcp://127.0.0.1:{port}"),
        closed: false,
        trouble: None,
        powered: true,
    });
    says
}

fn listen(id: &str, uris: &str) -> Ask {
    let wanted =
        format!(r#""notifications":{{"resourceSubscriptions":[{uris}],"toolsListChanged":true}}"#);
    modern(id, "subscriptions/listen", &wanted)
}

#[test]
fn an_open_request_is_acknowledged_and_hears_of_its_console() {
    let it = plain();
    let says = console(&it);
    let mut client = it.connect();
    client.send(&listen("\"s1\"", r#""serial://web","serial://none","esxi://vms""#));
    assert!(client.hear().is_stream());
    let first = messages(&client.piece().unwrap()).remove(0);
    assert_eq!(
        write(&first),
        r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s1"},"notifications":{"resourceSubscriptions":["serial://web"]}}}"#
    );
    says.send("login: ").unwrap();
    let (_, told) = client.until(|it| method(it) == "notifications/resources/updated");
    assert_eq!(
        write(&told),
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"s1"},"uri":"serial://web"}}"#
    );
    let heard = it.ask(&modern("2", "resources/read", r#""uri":"serial://web""#));
    assert!(heard.body.contains("login: "), "{heard:?}");
}

#[test]
fn open_requests_are_bounded_and_a_client_that_leaves_makes_room() {
    let it = start(|it| it.listens = 2);
    let mut clients = [it.connect(), it.connect()];
    for client in &mut clients {
        client.send(&listen("1", ""));
        assert!(client.hear().is_stream());
    }
    let heard = it.ask(&listen("1", ""));
    assert!(heard.status == 503 && heard.header("Retry-After").is_some(), "{heard:?}");
    drop(clients);
    until("there is room", || {
        let mut client = it.connect();
        client.send(&listen("1", ""));
        client.hear().is_stream()
    });
    // One caller leaves room for the others.
    let it = guarded(|it| it.listens_each = 1);
    let by = |name: &str| {
        listen("1", "").with("Authorization", &format!("Bearer {name}:vsphere-readers"))
    };
    let mut all = [it.connect(), it.connect()];
    for (client, name) in all.iter_mut().zip(["ann", "eve"]) {
        client.send(&by(name));
        assert!(client.hear().is_stream());
        assert_eq!(it.ask(&by(name)).status, 503);
    }
}

#[test]
fn what_cannot_be_listened_to() {
    let offer = jumpvisor::tools::offer::Offer::parse(None, "list_vms", "").unwrap();
    let it = start_with(offer, &["127.0.0.1:0"], |_| (), |_| ());
    let console = r#""uri":"serial://web""#;
    assert_eq!(it.ask(&legacy("1", "resources/subscribe", console)).code(), -32601);
    // Of tasks there may be news, of consoles there are none.
    let mut client = it.connect();
    client.send(&listen("1", r#""serial://web""#));
    assert!(client.hear().is_stream());
    assert!(client.piece().unwrap().contains(r#""resourceSubscriptions":[]"#));
    let many = vec![r#""serial://web""#; 33].join(",");
    let heard = plain().ask(&listen("1", &many));
    assert_eq!((heard.status, heard.code()), (400, -32602));
}

#[test]
fn who_listens_comes_in_again_when_others_may() {
    let it = plain();
    let id = it.ask(&legacy("0", "initialize", HELLO)).session().unwrap();
    let within = get("/mcp").but("Accept", "text/event-stream").with("Mcp-Session-Id", &id);
    for _ in 0..2 {
        let mut clients = [listen("1", ""), within.clone()].map(|ask| {
            let mut client = it.connect();
            client.send(&ask);
            assert!(client.hear().is_stream());
            client
        });
        assert!(clients[0].piece().unwrap().contains("acknowledged"));
        it.http.renew();
        let [open, own] = &mut clients;
        let last = open.rest();
        assert!(last.len() == 1 && is_answer(&last[0]), "{last:?}");
        assert!(own.rest().is_empty());
    }
}

#[test]
fn subscriptions_of_a_session_come_on_its_own_stream() {
    let it = plain();
    let says = console(&it);
    let id = it.ask(&legacy("0", "initialize", HELLO)).session().unwrap();
    let within = |ask: Ask| ask.with("Mcp-Session-Id", &id);
    let ask = |method: &str, uri: &str| {
        it.ask(&within(legacy("1", method, &format!(r#""uri":"{uri}""#)))).code()
    };
    let mut stale = it.connect();
    stale.send(&within(get("/mcp").but("Accept", "text/event-stream")));
    assert!(stale.hear().is_stream());
    let mut client = it.connect();
    client.send(&within(get("/mcp").but("Accept", "text/event-stream")));
    assert!(client.hear().is_stream());
    // There is one stream; the newer one takes its place.
    assert!(stale.rest().is_empty());
    assert_eq!(ask("resources/subscribe", "serial://none"), -32002);
    assert_eq!(ask("resources/subscribe", "serial://web"), 0);
    assert_eq!(ask("resources/subscribe", "serial://web"), 0);
    says.send("login: ").unwrap();
    let (_, told) = client.until(|it| method(it) == "notifications/resources/updated");
    assert_eq!(write(json::get_object(&told, "params").unwrap()), r#"{"uri":"serial://web"}"#);
    assert_eq!(ask("resources/unsubscribe", "serial://web"), 0);
    assert_eq!(ask("resources/unsubscribe", "serial://web"), 0);
    assert_eq!(it.ask(&within(get("/mcp").but("Accept", "application/json"))).status, 406);
    let modern = within(get("/mcp")).with("MCP-Protocol-Version", "2026-07-28");
    assert_eq!(it.ask(&modern).status, 405);
    // Its end is the end of its stream.
    assert_eq!(it.ask(&within(get("/mcp")).by("DELETE")).status, 204);
    assert!(client.rest().is_empty());
}
