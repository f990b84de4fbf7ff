//! Whole connections of damaged, pipelined requests by a fixed seed: no panic, no wait without end.

use std::io::Write;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::stage::*;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

const SEEDS: [&str; 6] = [
    "GET /who HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /stream HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
    "POST /refused HTTP/1.0\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
];

#[test]
fn damaged_connections_end_and_harm_nobody() {
    let edge = start(|limits| {
        limits.head = Duration::from_millis(500);
        limits.receive.grace = Duration::from_millis(500);
        limits.linger = Duration::from_millis(200);
    });
    let mut dice = Dice(0x5eed_5eed_5eed);
    for _ in 0..2000 {
        let mut text: Vec<u8> = Vec::new();
        for _ in 0..=dice.below(4) {
            text.extend_from_slice(SEEDS[dice.below(SEEDS.len())].as_bytes());
        }
        for _ in 0..dice.below(4) {
            let at = dice.below(text.len());
            match dice.below(5) {
                0 => text[at] = dice.below(256) as u8,
                1 => text.truncate(at + 1),
                2 => text.insert(at, b"\r\n :,\0\x80"[dice.below(7)]),
                3 => _ = text.remove(at),
                _ => {
                    let until = at + dice.below(text.len() - at);
                    let part = text[at..until].to_vec();
                    text.splice(at..at, part);
                }
            }
            if text.is_empty() {
                text.push(b'\r');
            }
        }
        let mut stream = edge.connect();
        let (first, second) = text.split_at(dice.below(text.len()));
        for part in [first, second] {
            let _ = stream.write_all(part);
        }
        if dice.below(8) > 0 {
            let _ = stream.shutdown(Shutdown::Write);
            let heard = whatever(&mut stream);
            assert!(heard.is_empty() || heard.starts_with(b"HTTP/1.1 "), "{text:?}");
        }
    }
    until("nobody stays", || edge.connections() == 0);
    assert!(edge.stage.handled.load(Ordering::SeqCst) > 1000);
    assert_eq!(status(&edge.talk(last("/who"))), 200);
}
