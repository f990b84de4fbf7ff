//! Mutated messages, of a fixed seed: none may end the process, each gets at most one answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]
#![allow(dead_code, reason = "the pretend fleet and client serve other tests too")]

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/talk.rs"]
mod talk;

use std::io::Cursor;

use jumpvisor::mcp::rpc;
use jumpvisor::mcp::rpc::Message;
use jumpvisor::mcp::stdio;
use jumpvisor::mcp::stdio::{Ended, Settings};
use jumpvisor::text::json;
use jumpvisor::tools::offer::Offer;

use crate::talk::{META, Sheet};

const ROUNDS: usize = 20_000;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

fn seeds() -> Vec<String> {
    let request = |id: &str, method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
    };
    let mut seeds = vec![
        request("1", "initialize", r#""protocolVersion":"2025-11-25","capabilities":{}"#),
        request("\"x\"", "server/discover", META),
        request("2", "ping", ""),
        request("3", "logging/setLevel", r#""level":"info""#),
        request("4", "tools/list", r#""cursor":"dG9vbHMgNQ==""#),
        request(
            "5",
            "tools/call",
            &format!(r#""name":"list_vms","arguments":{{"limit":2,"name":"w*"}},{META}"#),
        ),
        request(
            "6",
            "tools/call",
            r#""name":"power_on","arguments":{"names":["web","db"]},"_meta":{"progressToken":1}"#,
        ),
        request("7", "resources/read", r#""uri":"esxi://lab/datastores""#),
        request(
            "8",
            "prompts/get",
            r#""name":"make_vm","arguments":{"purpose":"caf\u00e9 \ud83d\ude00"}"#,
        ),
        request(
            "9",
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"diagnose_vm"},"argument":{"name":"vm","value":""}"#,
        ),
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#
            .to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
    ];
    seeds.push(seeds.join(","));
    seeds
}

fn mutated(dice: &mut Dice, seed: &str, other: &str) -> Vec<u8> {
    const SPICE: [&[u8]; 12] =
        [b"\"", b"{", b"}", b"[", b"null", b"1e999", b"-0", b"\\ud800", b"\xff", b"\0", b",", b":"];
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let end = (at + dice.roll(12)).min(bytes.len());
        match dice.roll(6) {
            0 => bytes.truncate(at.max(1)),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, SPICE[dice.roll(SPICE.len())].iter().copied())),
            3 => drop(bytes.splice(at..at, other.bytes().skip(at).take(20))),
            4 if at < bytes.len() => bytes[at] = dice.roll(256) as u8,
            _ => {
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, part));
            }
        }
    }
    bytes
}

#[test]
fn mutated_messages_get_at_most_one_answer_each() {
    let (mut dice, seeds) = (Dice(0x9e37_79b9_7f4a_7c15), seeds());
    let mut input = Vec::new();
    for _ in 0..ROUNDS {
        let (seed, other) = (dice.roll(seeds.len()), dice.roll(seeds.len()));
        input.extend(mutated(&mut dice, &seeds[seed], &seeds[other]));
        input.push(b'\n');
    }
    let (mut wanted, mut cancelling) = (0, 0);
    for line in input.split(|byte| *byte == b'\n') {
        match rpc::parse(line) {
            Ok(Some(Message::Request(_))) | Err(_) => wanted += 1,
            Ok(Some(Message::Notification(it))) if it.method == "notifications/cancelled" => {
                cancelling += 1;
            }
            Ok(_) => {}
        }
    }
    let (gate, _) = fleet::gate(Offer::everything());
    let sheet = Sheet::default();
    let ended = stdio::serve(gate, Settings::default(), Cursor::new(input), sheet.clone());
    assert_eq!(ended, Ended::Input);
    let messages = sheet.messages();
    assert!(messages.iter().all(|it| json::get_text(it, "jsonrpc") == Some("2.0")));
    let answers = messages.iter().filter(|it| it.contains_key("id")).count();
    assert!(answers <= wanted && answers + cancelling >= wanted, "{answers} of {wanted}");
    let good = messages.iter().filter(|it| it.contains_key("result")).count();
    assert!(good > 100, "only {good} were still good: the mutations are too harsh to test much");
}
