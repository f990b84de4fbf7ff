//! What other servers get wrong though they pass every conformance test, one by one; and what nobody
//! sends on purpose.

use crate::legacy::HELLO;
use crate::stage::*;

fn ends(ask: Ask) -> (u16, i64) {
    let heard = plain().ask(&ask);
    (heard.status, heard.code())
}

fn bare(body: &str) -> Ask {
    raw(body).with("MCP-Protocol-Version", "2026-07-28")
}

#[test]
fn a_foreign_origin_is_forbidden() {
    assert_eq!(ends(modern("1", "tools/list", "").with("Origin", "https://evil.example")).0, 403);
}

#[test]
fn a_foreign_host_is_forbidden() {
    assert_eq!(ends(modern("1", "tools/list", "").but("Host", "evil.example:80")).0, 403);
}

#[test]
fn bad_json_is_a_parse_error() {
    assert_eq!(ends(bare("{\"jsonrpc\":")), (400, -32700));
    assert_eq!(ends(raw("{\"jsonrpc\":")), (400, -32700));
}

#[test]
fn an_empty_body_is_a_parse_error() {
    assert_eq!(ends(bare("").with("Content-Length", "0")), (400, -32700));
}

#[test]
fn a_batch_is_an_invalid_request() {
    assert_eq!(ends(bare(r#"[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]"#)), (400, -32600));
}

#[test]
fn a_posted_response_is_an_invalid_request() {
    assert_eq!(ends(bare(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#)), (400, -32600));
}

#[test]
fn an_id_of_null_is_an_invalid_request() {
    assert_eq!(ends(bare(r#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#)), (400, -32600));
}

#[test]
fn whoever_accepts_anything_is_served() {
    assert_eq!(ends(modern("1", "tools/list", "").but("Accept", "*/*")), (200, 0));
}

#[test]
fn initialize_never_grants_the_stateless_version_nor_one_that_there_is_not() {
    for version in ["2026-07-28", "1999-01-01"] {
        let heard = plain().ask(&legacy("1", "initialize", &HELLO.replace("2025-11-25", version)));
        assert!(heard.body.contains(r#""protocolVersion":"2025-11-25""#), "{heard:?}");
    }
}

#[test]
fn an_unknown_tool_is_invalid_params_and_no_result() {
    let call = r#""name":"no_such_tool","arguments":{}"#;
    assert_eq!(ends(modern("1", "tools/call", call)), (400, -32602));
    assert_eq!(ends(legacy("1", "tools/call", call)), (200, -32602));
}

#[test]
fn a_modern_body_without_its_header_is_a_mismatch() {
    let ask = modern("1", "tools/list", "").without("MCP-Protocol-Version");
    assert_eq!(ends(ask), (400, -32020));
}

#[test]
fn discover_and_then_initialize_is_no_trouble() {
    let it = plain();
    let mut client = it.connect();
    for ask in [
        modern("0", "server/discover", ""),
        legacy("1", "initialize", HELLO),
        raw(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        legacy("2", "tools/list", ""),
    ] {
        client.send(&ask);
        let heard = client.hear();
        assert!(heard.status == 202 || heard.code() == 0, "{heard:?}");
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

#[test]
fn whatever_comes_gets_one_answer() {
    const ROUNDS: usize = 3_000;
    const SPICE: [&str; 10] = ["\"", "{", "}", "[", "null", "1e999", "\\ud800", "\u{0}", ",", "ü"];
    let it = start(|it| (it.per_user, it.per_address) = (0, 0));
    let seeds = [
        modern("1", "server/discover", ""),
        modern("\"x\"", "tools/call", r#""name":"list_vms","arguments":{"limit":2}"#),
        modern("2", "resources/read", r#""uri":"esxi://vms""#),
        legacy("3", "initialize", HELLO),
        legacy("4", "tools/call", r#""name":"list_vms","_meta":{"progressToken":1}"#),
        raw(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#),
        raw(r#"{"jsonrpc":"2.0","id":"ask-1","result":{"action":"accept"}}"#),
    ];
    let mut dice = Dice(0x5eed);
    let mut client = it.connect();
    for round in 0..ROUNDS {
        let mut ask = seeds[dice.roll(seeds.len())].clone();
        for _ in 0..dice.roll(3) {
            let whole: Vec<usize> = ask.body.char_indices().map(|it| it.0).collect();
            let from = whole[dice.roll(whole.len())];
            let until = *whole.iter().find(|it| **it >= from + dice.roll(9)).unwrap_or(&from);
            ask.body.replace_range(from..until.max(from), SPICE[dice.roll(SPICE.len())]);
        }
        let at = dice.roll(ask.headers.len());
        match dice.roll(6) {
            0 if ask.headers[at].0 != "Host" => _ = ask.headers.remove(at),
            1 => ask.headers.push(ask.headers[(at + 1) % ask.headers.len()].clone()),
            2 => ask.headers[at].1 += SPICE[dice.roll(5)],
            _ => {}
        }
        client.send(&ask);
        let heard = client.hear();
        assert!(
            matches!(heard.status, 200 | 202 | 400 | 403 | 404 | 406 | 415),
            "{round}: {heard:?} to {}",
            ask.text()
        );
        assert!(
            heard.status == 202
                || heard.is_stream()
                || heard.body.starts_with('{')
                || heard.header("Connection") == Some("close"),
            "{heard:?}"
        );
        if heard.header("Connection") == Some("close") {
            client = it.connect();
        } else if heard.is_stream() {
            assert!(client.rest().iter().filter(|it| is_answer(it)).count() == 1);
        }
    }
    assert_eq!(it.ask(&legacy("1", "ping", "")).code(), 0);
}
