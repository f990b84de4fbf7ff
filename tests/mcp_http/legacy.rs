//! The era of `initialize`, row by row, without a session.

use crate::stage::*;

pub const HELLO: &str =
    r#""protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}"#;

#[test]
fn a_client_that_cannot_be_asked_needs_no_session() {
    let it = plain();
    for (asked, given) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let heard = it.ask(&legacy("1", "initialize", &HELLO.replace("2025-11-25", asked)));
        assert_eq!((heard.status, heard.code(), heard.session()), (200, 0, None), "{heard:?}");
        assert!(heard.body.contains(&format!(r#""protocolVersion":"{given}""#)), "{heard:?}");
        assert!(!heard.body.contains("\"subscribe\""), "{heard:?}");
    }
    let begun = raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    for version in ["", "2025-11-25", "2024-11-05"] {
        let heard = it.ask(&begun.clone().but("MCP-Protocol-Version", version));
        assert_eq!((heard.status, heard.body.as_str()), (202, ""));
        for (method, params) in
            [("ping", ""), ("tools/list", ""), ("tools/call", r#""name":"list_vms""#)]
        {
            let ask = legacy("\"x\"", method, params).but("MCP-Protocol-Version", version);
            let heard = it.ask(&ask);
            assert_eq!((heard.status, heard.code()), (200, 0), "{method} {heard:?}");
            assert!(!heard.body.contains("resultType"), "{heard:?}");
        }
    }
    assert_eq!(it.http.sessions(), 0);
}

#[test]
fn errors_are_good_answers_of_http() {
    let it = plain();
    for (method, params, code) in [
        ("no/such", "", -32601),
        ("server/discover", "", -32602),
        ("resources/subscribe", r#""uri":"serial://web""#, -32601),
        ("tools/call", "", -32602),
        ("tools/call", r#""name":"no_such""#, -32602),
        ("resources/read", r#""uri":"test://x""#, -32002),
        ("tools/list", r#""_meta":5"#, -32602),
    ] {
        let heard = it.ask(&legacy("1", method, params));
        assert_eq!((heard.status, heard.code()), (200, code), "{method}");
    }
    for (body, code) in [("{", -32700), ("[]", -32600), ("", -32700)] {
        let heard = it.ask(&raw(body));
        assert_eq!((heard.status, heard.code()), (400, code), "{body}");
    }
}

#[test]
fn a_version_that_nobody_speaks_is_a_bad_request() {
    let it = plain();
    for version in ["1999-01-01", "2025-11-26", "x"] {
        let heard = it.ask(&legacy("1", "ping", "").with("MCP-Protocol-Version", version));
        assert_eq!((heard.status, heard.code()), (400, -32022), "{version}");
    }
}

#[test]
fn without_a_session_there_is_no_stream_and_nothing_to_end() {
    let it = plain();
    for method in ["GET", "DELETE"] {
        for version in ["", "2025-11-25"] {
            let heard = it.ask(&get("/mcp").but("MCP-Protocol-Version", version).by(method));
            assert_eq!((heard.status, heard.header("Allow")), (405, Some("POST")), "{method}");
        }
    }
    let answer = raw(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(it.ask(&answer).status, 400);
    for ask in [
        legacy("1", "ping", ""),
        raw(r#"{"jsonrpc":"2.0","method":"x"}"#),
        answer,
        get("/mcp"),
        get("/mcp").by("DELETE"),
    ] {
        assert_eq!(it.ask(&ask.with("Mcp-Session-Id", "0123")).status, 404);
    }
}

#[test]
fn both_eras_on_one_connection_in_any_order() {
    let it = plain();
    let mut client = it.connect();
    let mut ask = |ask: Ask| {
        client.send(&ask);
        let heard = client.hear();
        (heard.status, heard.code())
    };
    assert_eq!(ask(modern("1", "server/discover", "")), (200, 0));
    assert_eq!(ask(legacy("2", "initialize", HELLO)), (200, 0));
    assert_eq!(ask(legacy("3", "tools/list", "")), (200, 0));
    assert_eq!(ask(modern("4", "tools/list", "")), (200, 0));
    assert_eq!(ask(legacy("5", "ping", "")), (200, 0));
    assert_eq!(ask(modern("6", "ping", "")), (404, -32601));
}
