//! Names, pages, paths, and what an edge sees of a request before anybody reads it.

use crate::stage::*;

#[test]
fn a_foreign_host_is_refused_and_our_own_names_are_not() {
    let it = start(|it| it.hosts = vec!["jump.example".to_owned()]);
    let list = modern("1", "tools/list", "");
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:1", "Jump.Example:8443"] {
        assert_eq!(it.ask(&list.clone().but("Host", host)).status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "jump.example.evil", "10.0.0.1"] {
        for ask in [list.clone(), legacy("1", "ping", ""), get("/mcp"), get("/metrics")] {
            let metrics = ask.path == "/metrics";
            let heard = it.ask(&ask.but("Host", host));
            assert_eq!(heard.status, if metrics { 404 } else { 403 }, "{host}");
        }
    }
    let heard = it.ask(&list.but("Host", "evil.example"));
    assert_eq!(heard.code(), -32600);
    assert!(heard.body.contains("MCP_ALLOWED_HOSTS"), "{heard:?}");
}

#[test]
fn a_foreign_origin_is_refused_whatever_is_asked() {
    let it = start(|it| it.origins = vec!["https://app.example".to_owned()]);
    for origin in ["https://evil.example", "null", "http://localhost:9", "https://app.example.evil"]
    {
        for ask in [
            modern("1", "tools/list", ""),
            legacy("1", "initialize", crate::legacy::HELLO),
            raw("{"),
            get("/mcp"),
            get("/mcp").by("OPTIONS"),
        ] {
            let heard = it.ask(&ask.with("Origin", origin));
            assert_eq!(heard.status, 403, "{origin}");
            assert_eq!(heard.header("Access-Control-Allow-Origin"), None);
        }
    }
    for (host, origin) in
        [("localhost:8080", "http://localhost:8080"), ("localhost", "https://app.example")]
    {
        let ask = modern("1", "tools/list", "").but("Host", host).with("Origin", origin);
        let heard = it.ask(&ask);
        assert_eq!(
            (heard.status, heard.header("Access-Control-Allow-Origin")),
            (200, Some(origin))
        );
        let before = get("/mcp").but("Host", host).with("Origin", origin).by("OPTIONS");
        let heard = it.ask(&before.with("Access-Control-Request-Headers", "mcp-method,x-api-key"));
        assert_eq!(heard.status, 204);
        assert_eq!(heard.header("Access-Control-Allow-Headers"), Some("mcp-method,x-api-key"));
    }
}

#[test]
fn types_that_are_not_taken_or_not_sent() {
    let it = plain();
    for ask in [modern("1", "tools/list", ""), legacy("1", "ping", "")] {
        for accept in
            ["application/json", "text/event-stream", "text/html", "application/json;q=0, */*;q=0"]
        {
            assert_eq!(it.ask(&ask.clone().but("Accept", accept)).status, 406, "{accept}");
        }
        for accept in ["", "*/*", "text/event-stream;q=0.1,application/json"] {
            assert_eq!(it.ask(&ask.clone().but("Accept", accept)).status, 200, "{accept}");
        }
        for kind in ["", "text/plain", "application/xml", "multipart/form-data"] {
            assert_eq!(it.ask(&ask.clone().but("Content-Type", kind)).status, 415, "{kind}");
        }
        let kind = "application/json; charset=utf-8";
        assert_eq!(it.ask(&ask.clone().but("Content-Type", kind)).status, 200);
    }
}

#[test]
fn a_huge_body_is_refused_and_one_at_the_limit_is_read() {
    let it = start(|it| it.longest = 10_000);
    let long = |size: usize| {
        let ask = legacy("1", "ping", "");
        let room = size - ask.body.len();
        Ask { body: ask.body.clone() + &" ".repeat(room), ..ask }
    };
    assert_eq!(it.ask(&long(10_000)).status, 200);
    assert_eq!(it.ask(&long(10_001)).status, 413);
    let head = raw("").with("Content-Length", "99999999999").text();
    let mut client = it.connect();
    client.write(&head);
    assert_eq!(client.hear().status, 413);
    // One that does not say how long it is.
    let mut client = it.connect();
    client.write(&raw("").with("Transfer-Encoding", "chunked").text());
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    (0..10).for_each(|_| client.write(&chunk));
    assert_eq!(client.hear().status, 413);
}

#[test]
fn a_body_that_is_asked_for_first() {
    let it = plain();
    let ask = modern("1", "tools/list", "").with("Expect", "100-continue");
    let text = ask.text();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut client = it.connect();
    client.write(&format!("{head}\r\n\r\n"));
    assert_eq!(client.hear().status, 100);
    client.write(body);
    assert_eq!(client.hear().status, 200);
    // And one that is not even wanted.
    let text = ask.but("Host", "evil.example").text();
    let mut client = it.connect();
    client.write(&format!("{}\r\n\r\n", text.split_once("\r\n\r\n").unwrap().0));
    assert_eq!(client.hear().status, 403);
}

#[test]
fn requests_that_come_ahead_are_answered_in_their_order() {
    let it = plain();
    let mut client = it.connect();
    let call = modern("\"slow\"", "tools/call", r#""name":"power_on","arguments":{"name":"slow"}"#);
    let all = [call, modern("2", "tools/list", ""), legacy("3", "ping", ""), raw("{")];
    client.write(&all.iter().map(Ask::text).collect::<String>());
    until("the first runs", || it.stage.busy.load(std::sync::atomic::Ordering::SeqCst) == 1);
    it.stage.release();
    let heard: Vec<String> = (0..4).map(|_| client.hear().body).collect();
    for (body, id) in heard.iter().zip(["\"slow\"", "2", "3", "null"]) {
        assert!(body.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{body}");
    }
}

#[test]
fn head_and_body_come_in_one_piece() {
    use std::io::Read;
    let it = plain();
    let listen = modern("1", "subscriptions/listen", r#""notifications":{}"#);
    let call = modern("1", "tools/call", r#""name":"list_vms","arguments":{}"#);
    for (ask, end) in
        [(legacy("1", "ping", ""), "\"result\":{}}"), (call, "}}"), (listen, "\n\n\r\n")]
    {
        let mut client = it.connect();
        client.send(&ask);
        let mut bytes = vec![0; 64 << 10];
        let count = client.0.get_mut().read(&mut bytes).unwrap();
        let heard = String::from_utf8_lossy(&bytes[..count]);
        assert!(heard.starts_with("HTTP/1.1 200 ") && heard.ends_with(end), "{heard}");
    }
}

#[test]
fn paths_beside_the_endpoint() {
    let it = start(|it| it.metrics = Some(Box::new(|| "jumpvisor_up 1\n".to_owned())));
    let body = |path: &str| {
        let heard = it.ask(&get(path));
        (heard.status, heard.body)
    };
    assert_eq!(body("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(body("/readyz?verbose"), (200, "ready\n".to_owned()));
    assert_eq!(body("/metrics"), (200, "jumpvisor_up 1\n".to_owned()));
    assert_eq!(it.ask(&get("/metrics").but("Host", "evil.example")).status, 403);
    assert_eq!(it.ask(&get("/healthz").but("Host", "10.1.2.3")).status, 200);
    for path in
        ["/", "/mcp/", "/MCP", "/mcpx", "/healthz/", "/.well-known/oauth-protected-resource"]
    {
        assert_eq!(body(path).0, 404, "{path}");
        assert_eq!(it.ask(&Ask { path: path.to_owned(), ..legacy("1", "ping", "") }).status, 404);
    }
    let heard = it.ask(&get("/healthz").by("POST"));
    assert_eq!((heard.status, heard.header("Allow")), (405, Some("GET, HEAD")));
    let query = Ask { path: "/mcp?access_token=x".to_owned(), ..legacy("1", "ping", "") };
    assert_eq!(it.ask(&query).status, 200);
    assert_eq!(plain().ask(&get("/metrics")).status, 404);
}

#[test]
fn a_listener_for_metrics_has_nothing_else() {
    let offer = jumpvisor::tools::offer::Offer::everything();
    let at = ["127.0.0.1:0", "localhost:0"];
    let it = start_with(
        offer,
        &at,
        |it| {
            it.door = Some(Box::new(Porter::default()));
            it.metrics = Some(Box::new(|| "jumpvisor_up 1\n".to_owned()));
            it.metrics_listener = Some("localhost:0".to_owned());
        },
        |_| (),
    );
    let [main, own, ..] = it.addresses()[..] else { panic!() };
    let ask = |at, ask: &Ask| {
        let mut client = Client::to(at);
        client.send(ask);
        client.hear().status
    };
    assert_eq!(ask(main, &get("/metrics")), 401);
    assert_eq!(ask(main, &get("/metrics").with("Authorization", "Bearer a:vsphere-readers")), 200);
    assert_eq!(ask(main, &get("/metrics").with("Authorization", "Bearer a:nobody")), 403);
    assert_eq!(ask(own, &get("/metrics").but("Host", "prometheus.example")), 200);
    assert_eq!((ask(own, &get("/healthz")), ask(main, &get("/healthz"))), (200, 200));
    assert_eq!(
        (ask(own, &legacy("1", "ping", "")), ask(main, &legacy("1", "ping", ""))),
        (404, 401)
    );
}
