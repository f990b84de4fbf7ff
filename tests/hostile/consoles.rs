//! What is done to what consoles and their peers send; `tests/fuzz` does it too.

use jumpvisor::serial::find::Finder;
use jumpvisor::serial::proxy::{self, Proxy};
use jumpvisor::serial::ring::Ring;
use jumpvisor::serial::telnet::{self, LONGEST, Role, Telnet};
use jumpvisor::serial::text::{self, Cleaner};

/// A session with a peer in each role, whole and in pieces alike; answers stay in proportion.
pub fn telnet(bytes: &[u8]) {
    for role in [Role::Client, Role::Concentrator, Role::Person] {
        let hear = |size: usize| {
            let mut telnet = Telnet::new(role);
            let opening = telnet.start().len();
            assert!(opening < 20);
            let mut all = telnet::Got::none();
            for piece in bytes.chunks(size) {
                let got = telnet.feed(piece);
                assert!(got.data.len() + 2 * got.events.len() <= piece.len() + 5, "out of nothing");
                assert!(got.wire.len() <= telnet::GROWTH * (piece.len() + 3), "answers grow");
                let kept: usize = got.events.iter().map(|it| kept(&it.1)).sum();
                assert!(kept <= piece.len() + LONGEST, "more than was said");
                let before = all.data.len();
                all.events.extend(got.events.into_iter().map(|(at, it)| (before + at, it)));
                all.data.extend(got.data);
                all.wire.extend(got.wire);
            }
            let sent = telnet.send(bytes);
            assert!(sent.len() <= 2 * bytes.len());
            (all, sent)
        };
        let whole = hear(bytes.len().max(1));
        assert!(whole == hear(1) && whole == hear(7), "in pieces it is another session");
    }
}

fn kept(event: &telnet::Event) -> usize {
    match event {
        telnet::Event::Suboption(bytes) => bytes.len(),
        _ => 0,
    }
}

/// A machine that dials in.
pub fn proxy(bytes: &[u8]) {
    let hear = |size: usize| {
        let mut proxy = Proxy::new();
        proxy.start();
        let mut all = proxy::Got::none();
        for piece in bytes.chunks(size) {
            let got = proxy.feed(piece);
            assert!(got.wire.len() <= proxy::GROWTH * (piece.len() + 6), "answers grow");
            all.data.extend(got.data);
            all.wire.extend(got.wire);
            all.events.extend(got.events.into_iter().map(|it| it.1).map(|it| (0, it)));
        }
        let who = proxy.identity();
        let uuids = [&who.vc_uuid, &who.bios_uuid, &who.location_uuid];
        assert!(uuids.iter().all(|it| it.as_ref().is_none_or(|it| it.len() == 32)));
        assert!(who.name.as_ref().is_none_or(|it| it.len() <= 3 * LONGEST));
        all
    };
    let whole = hear(bytes.len().max(1));
    assert!(whole == hear(1) && whole == hear(5), "in pieces it is another conversation");
}

/// What a console writes, as text and as what is waited for, through a transcript that is too small.
pub fn console(bytes: &[u8]) {
    let read = |size: usize| {
        let mut cleaner = Cleaner::new(9);
        let (mut text, mut last) = (String::new(), 9);
        for piece in bytes.chunks(size) {
            cleaner.feed(piece, &mut |line, end| {
                assert!(line.chars().count() <= text::LONGEST + 2, "no bound");
                assert!(end >= last, "backwards");
                (text, last) = (std::mem::take(&mut text) + line, end);
            });
        }
        (text + &cleaner.rest(), cleaner.position())
    };
    let whole = read(bytes.len().max(1));
    assert!(whole == read(1) && whole == read(3), "in pieces it is another text");
    let (text, position) = whole;
    assert!(position <= 9 + bytes.len() as u64);
    let shown = |it: char| !it.is_control() || matches!(it, '\n' | '\t');
    assert!(text.chars().all(shown), "a control character came through");
    // What stands in the text was found, at a place that there is.
    let last: String = text.lines().last().unwrap_or_default().chars().take(20).collect();
    if let Ok(mut finder) = Finder::new(&["login: ", &last, "\n"], 9) {
        let found = finder.feed(bytes);
        assert!(found.is_none_or(|it| it.end > 9 && it.end <= 9 + bytes.len() as u64));
        assert!(!text.contains('\n') || found.is_some(), "a line that nobody saw end");
    }
    let mut ring = Ring::new(100);
    for (at, piece) in bytes.chunks(33).enumerate() {
        ring.push(piece, at as i64 * 7 % 50);
        assert!(ring.allocated() < 20_000);
    }
    let piece = ring.read(3, 64);
    assert!(piece.from + piece.bytes.len() as u64 == piece.next && piece.next <= ring.end());
    assert!(bytes.len() < 3 || piece.from == 3 + piece.dropped);
    let screen = ring.screen(3, 64);
    assert!(screen.next == ring.end() && bytes.ends_with(&screen.bytes));
}
