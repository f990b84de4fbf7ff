//! The conversation as VMware's captures have it, byte by byte, and as nobody should lead it.

use super::*;
use crate::serial::moves::{Moved, Moves};
use crate::serial::telnet::{BINARY, DO, DONT, ECHO, IAC, SGA, VMWARE, WILL, WONT};

const AUTH: u8 = 37;
const COMPORT: u8 = 44;

/// What a captured host listed.
const HOST_KNOWS: [u8; 22] = [
    0x00, 0x01, 0x02, 0x03, 0x28, 0x29, 0x2b, 0x2c, 0x2d, 0x2e, 0x30, 0x46, 0x47, 0x49, 0x50, 0x51,
    0x54, 0x55, 0x56, 0x57, 0x52, 0x53,
];

const SPACED: &[u8] = b"01 23 45 67 89 ab cd ef-fe dc ba 98 00 00 00 00";
const PLAIN: &str = "0123456789abcdeffedcba9800000000";

fn commands(all: &[(u8, u8)]) -> Vec<u8> {
    all.iter().flat_map(|(verb, option)| [IAC, *verb, *option]).collect()
}

/// One side's turn: what the machine sends, what we answer, what is told of it.
type Turn = (Vec<u8>, Vec<u8>, Vec<Event>);

/// From dialling to the end of the negotiation, as captured.
fn opening() -> Vec<Turn> {
    vec![
        (commands(&[(WILL, AUTH)]), commands(&[(DONT, AUTH)]), vec![]),
        (
            [
                commands(&[(DO, BINARY), (DO, SGA), (DO, ECHO), (WILL, BINARY), (WILL, SGA)]),
                commands(&[(WILL, VMWARE)]),
            ]
            .concat(),
            Word::Known2(&KNOWN).frame(),
            vec![],
        ),
        (commands(&[(WILL, COMPORT)]), commands(&[(DONT, COMPORT)]), vec![]),
        (Word::Known1(&HOST_KNOWS).frame(), vec![], vec![]),
    ]
}

/// It asks to be served and says who it is.
fn serving(name: &[u8]) -> Vec<Turn> {
    let identity = Identity {
        vc_uuid: Some(PLAIN.to_owned()),
        bios_uuid: Some(PLAIN.to_owned()),
        location_uuid: None,
        name: Some(String::from_utf8_lossy(name).into_owned()),
    };
    vec![
        (
            Word::DoProxy { server: true, uri: b"vSPC.py?port=com2" }.frame(),
            [
                Word::Get(Fact::VcUuid).frame(),
                Word::Get(Fact::Name).frame(),
                Word::Get(Fact::BiosUuid).frame(),
                Word::Get(Fact::LocationUuid).frame(),
                Word::WillProxy.frame(),
            ]
            .concat(),
            vec![Event::Wanted { server: true, uri: "vSPC.py?port=com2".to_owned() }],
        ),
        (Word::Is(Fact::VcUuid, SPACED).frame(), vec![], vec![]),
        (Word::Is(Fact::Name, name).frame(), vec![], vec![]),
        (Word::Is(Fact::BiosUuid, SPACED).frame(), vec![], vec![]),
        // A host that has no such thing.
        (
            Word::Unknown1(code::GET_VM_LOCATION_UUID).frame(),
            vec![],
            vec![Event::Identified(identity)],
        ),
    ]
}

/// Plays the turns in pieces of every size; answers and events come at the same bytes.
fn play(turns: &[Turn]) -> Proxy {
    for size in [1, 2, 3, 7] {
        let mut proxy = Proxy::new();
        proxy.start();
        for (said, answer, told) in turns {
            let (mut wire, mut events) = (Vec::new(), Vec::new());
            for piece in said.chunks(size) {
                let got = proxy.feed(piece);
                assert_eq!(got.data, b"");
                wire.extend(got.wire);
                events.extend(got.events.into_iter().map(|it| it.1));
            }
            assert_eq!((&wire, &events), (answer, told), "{}", said.escape_ascii());
        }
        // All of it at once.
        let all: Vec<u8> = turns.iter().flat_map(|it| it.0.clone()).collect();
        let answers: Vec<u8> = turns.iter().flat_map(|it| it.1.clone()).collect();
        let mut whole = Proxy::new();
        whole.start();
        assert_eq!(whole.feed(&all).wire, answers);
    }
    let mut proxy = Proxy::new();
    proxy.start();
    turns.iter().for_each(|it| drop(proxy.feed(&it.0)));
    proxy
}

#[test]
fn the_order_of_a_captured_concentrator() {
    let expected =
        [(WILL, BINARY), (WILL, SGA), (WILL, ECHO), (DO, BINARY), (DO, SGA), (DO, VMWARE)];
    assert_eq!(Proxy::new().start(), commands(&expected));
    let mut proxy = play(&[opening(), serving("w\u{f6}b\u{ff}".as_bytes())].concat());
    assert_eq!(proxy.feed(b"login: \xff\xff\r\0").data, b"login: \xff\r\0");
    assert_eq!(proxy.send(b"\r\xff"), b"\r\xff\xff", "raw, once BINARY is agreed");
}

#[test]
fn odd_machines() {
    let mut proxy = play(&opening());
    // Nobody's codes, and words that are ours.
    assert_eq!(proxy.feed(&Word::Other(200).frame()).wire, Word::Unknown2(200).frame());
    for ours in [Word::WillProxy, Word::GoAhead(b"x"), Word::Get(Fact::Name), Word::Known2(b"x")] {
        assert_eq!(proxy.feed(&ours.frame()), Got::none(), "{ours:?}");
    }
    // A client with an empty label is served as well; a direction that is none is not.
    let got = proxy.feed(&Word::DoProxy { server: false, uri: b"" }.frame());
    assert_eq!(got.events, [(0, Event::Wanted { server: false, uri: String::new() })]);
    let broken = [IAC, 250, VMWARE, code::DO_PROXY, b'X', b'y', IAC, 240];
    assert_eq!(proxy.feed(&broken).wire, Word::WontProxy.frame());
    // A lone host has no UUID at vCenter; what it says twice is told once, what changes again.
    for fact in [Fact::VcUuid, Fact::LocationUuid, Fact::BiosUuid] {
        assert_eq!(proxy.feed(&Word::Is(fact, b"").frame()).events, []);
    }
    let named =
        |proxy: &mut Proxy, name: &[u8]| proxy.feed(&Word::Is(Fact::Name, name).frame()).events;
    let [(0, Event::Identified(who))] = &named(&mut proxy, b"a\xff")[..] else { panic!() };
    assert_eq!(
        (who.name.as_deref(), &who.vc_uuid, &who.bios_uuid),
        (Some("a\u{fffd}"), &None, &None)
    );
    assert_eq!(named(&mut proxy, b"a\xff"), []);
    assert_eq!(named(&mut proxy, b"renamed").len(), 1);
    assert_eq!(proxy.identity().name.as_deref(), Some("renamed"));
    // One that lists what it knows is asked for no more.
    let mut proxy = Proxy::new();
    proxy.feed(&Word::Known1(&[0, 1, 2, 3, 70, 71, 80, 81]).frame());
    let answer = proxy.feed(&Word::DoProxy { server: true, uri: b"x" }.frame()).wire;
    assert_eq!(answer, [Word::Get(Fact::VcUuid).frame(), Word::WillProxy.frame()].concat());
    assert_eq!(proxy.feed(&Word::Is(Fact::VcUuid, SPACED).frame()).events.len(), 1);
    // A peer that does not know the extension: something else dialled us.
    let mut proxy = Proxy::new();
    proxy.start();
    assert_eq!(proxy.feed(&commands(&[(WONT, VMWARE)])).events, [(0, Event::Plain)]);
}

/// Where what was typed may go while a machine moves.
struct Hub {
    moves: Moves,
    kept: Vec<u8>,
    to_new: Vec<u8>,
    to_old: Vec<u8>,
}

impl Hub {
    fn moved(&mut self, moved: Option<Moved>) -> bool {
        if let Some(it) = moved {
            assert_eq!(it, Moved { old: 1, new: 2 });
            self.to_new.append(&mut self.kept);
        }
        moved.is_some()
    }
}

/// A move, with COMPLETE on the old or the new connection, before or after the new host is there.
#[test]
fn a_move_in_every_order() {
    // Bytes that need doubling, in the sequence and in the secret.
    let (sequence, secret) = ([0, 1, IAC, 240], [IAC, 9, 8, 7, 6]);
    let token = [&sequence[..], &secret].concat();
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Step {
        Peer,
        CompleteOld,
        CompleteNew,
        OldCloses,
    }
    use Step::{CompleteNew, CompleteOld, OldCloses, Peer};
    for steps in [
        &[Peer, CompleteOld][..],
        &[Peer, CompleteNew],
        &[CompleteOld, Peer],
        &[Peer, CompleteOld, CompleteNew],
        &[Peer, CompleteNew, OldCloses],
        &[Peer, OldCloses],
        &[OldCloses, Peer],
        &[CompleteOld, OldCloses, Peer],
    ] {
        let mut old = play(&[opening(), serving(b"web")].concat());
        let mut new = play(&opening());
        let mut hub = Hub { moves: Moves::default(), kept: vec![], to_new: vec![], to_old: vec![] };

        let got = old.feed(&[Word::Begin(&sequence).frame(), b"last words".to_vec()].concat());
        assert_eq!(got.data, b"last words");
        assert_eq!(got.events, [(0, Event::MoveBegins { sequence: sequence.to_vec() })]);
        let (answer, ours) = Proxy::go_ahead(&sequence, &secret);
        assert_eq!(ours, token);
        #[rustfmt::skip]
        assert_eq!(answer, [
            IAC, 250, VMWARE, 41, 0, 1, IAC, IAC, 240, IAC, IAC, 9, 8, 7, 6, IAC, 240,
        ]);
        assert!(hub.moves.begin(1, ours, 0));
        hub.kept.extend(b"typed");

        let mut done = 0;
        for (at, step) in steps.iter().enumerate() {
            let over = match step {
                Peer => {
                    let got = new.feed(&Word::Peer(&token).frame());
                    assert_eq!(got.events, [(0, Event::Peer { token: token.clone() })]);
                    assert_eq!(got.wire, b"");
                    let (of, over) = hub.moves.peer(2, &token).unwrap();
                    assert_eq!(of, 1);
                    assert!(Proxy::peer_ok(&token).starts_with(&[IAC, 250, VMWARE, 45, 0, 1]));
                    over
                }
                CompleteOld | CompleteNew => {
                    let (line, on) =
                        if *step == CompleteOld { (&mut old, 1) } else { (&mut new, 2) };
                    let got = line.feed(&Word::Complete(&sequence).frame());
                    assert_eq!(got.events, [(0, Event::MoveDone { sequence: sequence.to_vec() })]);
                    hub.moves.complete(on, &sequence)
                }
                OldCloses => hub.moves.closed(1),
            };
            done += usize::from(hub.moved(over));
            if done == 0 {
                assert!(hub.moves.is_moving(1), "{steps:?} at {at}");
            }
        }
        assert_eq!((done, &hub.to_new[..]), (1, &b"typed"[..]), "{steps:?}");
        assert!(!hub.moves.is_moving(1));
        assert_eq!(new.feed(b"still here").data, b"still here");
    }
}

#[test]
fn a_move_that_comes_to_nothing() {
    let mut old = play(&[opening(), serving(b"web")].concat());
    let mut hub =
        Hub { moves: Moves::default(), kept: b"typed".to_vec(), to_new: vec![], to_old: vec![] };
    assert!(hub.moves.begin(1, b"seqsecret".to_vec(), 0));
    assert_eq!(old.feed(&Word::Abort.frame()).events, [(0, Event::MoveAborted)]);
    assert_eq!(hub.moves.abort(1), Some((1, None)));
    hub.to_old.append(&mut hub.kept);
    assert_eq!(old.send(&hub.to_old), b"typed");
    // The new host comes all the same, or a liar does.
    assert_eq!(hub.moves.peer(2, b"seqsecret"), None);
    assert_eq!(Proxy::refuse_peer(), [IAC, 250, VMWARE, 3, 44, IAC, 240]);
    assert_eq!(Proxy::not_now(b"seq"), Word::NotNow(b"seq").frame());
    assert_eq!(Proxy::refuse(), Word::WontProxy.frame());
}

#[test]
fn both_readings_of_what_sources_differ_on() {
    for answer in [&b"seq"[..], b"seqsecret"] {
        for code in [code::VMOTION_NOTNOW, code::VMOTION_PEER_OK] {
            let said = [&[code], answer].concat();
            match Word::parse(&said) {
                Some(Word::NotNow(it) | Word::PeerOk(it)) => assert!(it.starts_with(b"seq")),
                other => panic!("{other:?}"),
            }
        }
    }
}
