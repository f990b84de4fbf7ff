//! The newest era, row by row.

use crate::stage::*;

fn outcome(service: &Service, ask: &Ask) -> (u16, i64) {
    let heard = service.ask(ask);
    (heard.status, heard.code())
}

#[test]
fn requests_are_answered_and_notifications_accepted() {
    let it = plain();
    for (method, params) in [
        ("server/discover", ""),
        ("tools/list", ""),
        ("resources/list", ""),
        ("resources/templates/list", ""),
        ("prompts/list", ""),
        ("tools/call", r#""name":"list_vms","arguments":{}"#),
        ("prompts/get", r#""name":"diagnose_vm","arguments":{"vm":"web"}"#),
        ("resources/read", r#""uri":"esxi://vms""#),
    ] {
        let heard = it.ask(&modern("\"a\"", method, params));
        assert_eq!((heard.status, heard.code()), (200, 0), "{method}: {heard:?}");
        assert_eq!(heard.header("Content-Type"), Some("application/json"));
        assert!(heard.session().is_none());
        let text = heard.body;
        assert!(text.starts_with(r#"{"jsonrpc":"2.0","id":"a","result":{"#), "{text}");
        assert!(text.contains(r#""resultType":"complete""#), "{text}");
        if !matches!(method, "tools/call" | "prompts/get") {
            assert!(text.contains(r#""cacheScope":"private""#), "{text}");
        }
    }
    let told = r#"{"jsonrpc":"2.0","method":"notifications/anything"}"#;
    let heard = it.ask(&raw(told).with("MCP-Protocol-Version", "2026-07-28"));
    assert_eq!((heard.status, heard.body.as_str()), (202, ""));
}

#[test]
fn other_methods_of_http_are_not_allowed() {
    let it = plain();
    for method in ["GET", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE"] {
        let heard = it.ask(&get("/mcp").with("MCP-Protocol-Version", "2026-07-28").by(method));
        assert_eq!((heard.status, heard.header("Allow")), (405, Some("POST")), "{method}");
    }
}

#[test]
fn sessions_and_resumption_are_ignored() {
    let it = plain();
    let ask = modern("1", "tools/list", "").with("Mcp-Session-Id", "x").with("Last-Event-ID", "7");
    let heard = it.ask(&ask);
    assert_eq!((heard.status, heard.code(), heard.session()), (200, 0, None));
}

#[test]
fn what_is_no_message_is_told_with_its_code() {
    let it = plain();
    let modern = |body: &str| raw(body).with("MCP-Protocol-Version", "2026-07-28");
    for (body, code) in [
        ("{", -32700),
        ("hello", -32700),
        (" ", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, -32600),
        (r#"{"id":1,"method":"x"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{}}}"#, -32602),
    ] {
        let heard = it.ask(&modern(body));
        assert_eq!((heard.status, heard.code()), (400, code), "{body}: {heard:?}");
        assert!(code != -32700 || heard.body.contains(r#""id":null"#), "{heard:?}");
    }
    let empty = it.ask(&modern("").with("Content-Length", "0"));
    assert_eq!((empty.status, empty.code()), (400, -32700));
}

#[test]
fn an_envelope_that_lacks_a_key_or_a_version_that_nobody_speaks() {
    let it = plain();
    let version = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    assert_eq!(outcome(&it, &modern("1", "tools/list", version)), (400, -32602));
    let other = META.replace("2026-07-28", "2027-01-01");
    let ask = modern("1", "tools/list", &other).but("MCP-Protocol-Version", "2027-01-01");
    let heard = it.ask(&ask);
    assert_eq!((heard.status, heard.code()), (400, -32022));
    assert!(heard.body.contains(r#""requested":"2027-01-01""#), "{heard:?}");
    assert!(heard.body.contains(r#""supported":["2026-07-28","#), "{heard:?}");
}

#[test]
fn headers_that_are_missing_or_differ() {
    let it = plain();
    let call = modern("1", "tools/call", r#""name":"list_vms","arguments":{}"#);
    assert_eq!(outcome(&it, &call), (200, 0));
    for (name, values) in [
        ("MCP-Protocol-Version", ["", "2025-11-25", "2026-07-28x"]),
        ("Mcp-Method", ["", "TOOLS/CALL", "tools/list"]),
        ("Mcp-Name", ["", "List_vms", "=?base64?AAAA?="]),
    ] {
        for value in values {
            let heard = outcome(&it, &call.clone().but(name, value));
            assert_eq!(heard, (400, -32020), "{name}: {value}");
        }
        let twice = call.clone().with(name, "list_vms");
        assert_eq!(outcome(&it, &twice), (400, -32020), "{name} twice");
    }
    let coded =
        call.clone().but("Mcp-Name", "=?base64?bGlzdF92bXM=?=").but("mcp-method", "tools/call");
    assert_eq!(outcome(&it, &coded), (200, 0));
    let read = modern("1", "resources/read", r#""uri":"esxi://vms""#);
    assert_eq!(outcome(&it, &read.but("Mcp-Name", "esxi://hosts")), (400, -32020));
    // The id of the request comes back with a refusal that could read it.
    let heard = it.ask(&call.but("Mcp-Method", "x"));
    assert!(heard.body.contains(r#""id":1,"#), "{heard:?}");
}

#[test]
fn arguments_that_stand_in_headers_too() {
    let it = start(|it| it.extra = Some(std::sync::Arc::new(Trial::default())));
    let call = |host: &str| {
        modern("1", "tools/call", &format!(r#""name":"list_vms","arguments":{{{host}}}"#))
    };
    assert_eq!(outcome(&it, &call("")), (200, 0));
    assert_eq!(outcome(&it, &call(r#""host":"lab""#)), (400, -32020));
    assert_eq!(outcome(&it, &call(r#""host":"lab""#).with("Mcp-Param-Host", "bal")), (400, -32020));
    for good in ["lab", "=?base64?bGFi?="] {
        assert_eq!(outcome(&it, &call(r#""host":"lab""#).with("mcp-param-host", good)), (200, 0));
    }
}

#[test]
fn what_there_is_not() {
    let it = plain();
    for method in
        ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such", "Tools/list"]
    {
        let params = r#""protocolVersion":"2025-11-25","level":"info","uri":"x""#;
        let ask = modern("1", method, params).but("Mcp-Name", "");
        let ask = Ask { body: ask.body.replace(params, &format!("{params},{META}")), ..ask };
        let ask = ask.but("MCP-Protocol-Version", "2026-07-28").but("Mcp-Method", method);
        assert_eq!(outcome(&it, &ask), (404, -32601), "{method}");
    }
    let tool = modern("1", "tools/call", r#""name":"no_such_tool","arguments":{}"#);
    assert_eq!(outcome(&it, &tool), (400, -32602));
    let resource = modern("1", "resources/read", r#""uri":"test://none""#);
    let heard = it.ask(&resource);
    assert_eq!((heard.status, heard.code()), (400, -32602));
    assert!(heard.body.contains(r#""data":{"uri":"test://none"}"#), "{heard:?}");
    let prompt = modern("1", "prompts/get", r#""name":"none""#);
    assert_eq!(outcome(&it, &prompt), (400, -32602));
    let cursor = modern("1", "tools/list", r#""cursor":"none""#);
    assert_eq!(outcome(&it, &cursor), (400, -32602));
}

#[test]
fn a_tool_that_fails_is_a_good_answer() {
    let it = plain();
    let call = |machine: &str| {
        let params = format!(r#""name":"power_on","arguments":{{"name":"{machine}"}}"#);
        it.ask(&modern("1", "tools/call", &params))
    };
    for (machine, status, code) in
        [("web", 200, 0), ("db", 200, 0), ("none", 200, 0), ("boom", 200, -32603)]
    {
        let heard = call(machine);
        assert_eq!((heard.status, heard.code()), (status, code), "{machine}: {heard:?}");
        assert_eq!(heard.body.contains("\"isError\":true"), matches!(machine, "db" | "none"));
    }
}
