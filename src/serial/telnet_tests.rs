//! The telnet machine against every kind of peer that can be made up.

use super::*;

const NOP: u8 = 241;

const ROLES: [Role; 3] = [Role::Client, Role::Concentrator, Role::Person];

fn begun(role: Role) -> Telnet {
    let mut telnet = Telnet::new(role);
    telnet.start();
    telnet
}

/// All that comes of bytes that arrive in these pieces.
fn heard<'a>(role: Role, pieces: impl Iterator<Item = &'a [u8]>) -> Got {
    let mut telnet = begun(role);
    let mut all = Got::none();
    for piece in pieces {
        let got = telnet.feed(piece);
        let before = all.data.len();
        all.events.extend(got.events.into_iter().map(|(at, event)| (before + at, event)));
        all.data.extend(got.data);
        all.wire.extend(got.wire);
    }
    all
}

/// A bit of everything, legal and not.
fn session() -> Vec<u8> {
    [
        &[b'a', IAC, IAC, b'\r', 0, b'b', b'\r', b'\n', 0][..],
        &[IAC, DO, ECHO, IAC, DO, SGA, IAC, WILL, SGA, IAC, WILL, 44, IAC, WILL, 37],
        &[IAC, DO, TIMING_MARK, IAC, AYT, IAC, NOP, IAC, 249, IAC, 242, IAC, SE, b'c'],
        &[IAC, WILL, VMWARE, IAC, SB, VMWARE, 82, b'n', IAC, IAC, b'\r', 0, IAC, SE],
        &[IAC, SB, NAWS, 0, 80, 0, IAC, IAC, IAC, SE, IAC, SB, 24, 0, b'v', IAC, SE],
        &[IAC, BRK, b'd', IAC, IP, IAC, DO, BINARY, b'\r', IAC, WILL, BINARY, 0, b'\r', 0, b'\n'],
        &[IAC, SB, VMWARE, 83, IAC, WILL, 200, b'e', IAC, SB, IAC, SE, IAC, DONT, BINARY],
        &[IAC, DO, BINARY, IAC, WONT, BINARY, b'\r', 0, b'\r', b'f', IAC],
    ]
    .concat()
}

#[test]
fn cut_anywhere_it_is_the_same() {
    let session = session();
    for role in ROLES {
        let whole = heard(role, std::iter::once(&session[..]));
        assert!(whole.wire.len() > 20 && whole.events.len() > 1, "{whole:?}");
        assert_eq!(heard(role, session.chunks(1)), whole);
        for at in 0..=session.len() {
            let (left, right) = session.split_at(at);
            assert_eq!(heard(role, [left, right].into_iter()), whole, "{role:?} cut at {at}");
        }
    }
}

#[test]
fn what_each_role_hears() {
    let data = |role| heard(role, session().chunks(1)).data;
    assert_eq!(data(Role::Client), b"a\xff\rb\r\n\0cd\r\0\r\0\ne\r\rf"[..]);
    // Enter of a person is one CR, whichever way it came.
    assert_eq!(data(Role::Person), b"a\xff\rb\r\0cd\r\0\r\0\ne\r\rf"[..]);
    let events = |role| heard(role, session().chunks(1)).events;
    assert_eq!(
        events(Role::Person),
        [(7, Event::Size { columns: 80, rows: 255 }), (7, Event::Break), (8, Event::Interrupt),]
    );
    let name = [82, b'n', IAC, b'\r', 0].to_vec();
    assert_eq!(
        events(Role::Concentrator)[..2],
        [(8, Event::Extension(true)), (8, Event::Suboption(name))]
    );
}

#[test]
fn options_are_answered_once() {
    for role in ROLES {
        let mut telnet = begun(role);
        // Agreed to what was asked: nothing to say, however often.
        for _ in 0..3 {
            assert_eq!(telnet.feed(&[IAC, DO, BINARY, IAC, WILL, BINARY, IAC, WILL, SGA]).wire, []);
        }
        assert!(telnet.is_binary());
        assert_eq!(telnet.feed(&[IAC, DONT, BINARY]).wire, [IAC, WONT, BINARY]);
        assert_eq!(telnet.feed(&[IAC, DONT, BINARY]).wire, []);
        assert!(!telnet.is_binary());
        assert_eq!(telnet.feed(&[IAC, DO, BINARY]).wire, [IAC, WILL, BINARY]);
        // What nobody knows is refused once, and once again after it was taken back.
        for option in [5, 24, 32, 35, 37, 39, 44, 99, 255] {
            for (ask, refuse, back) in [(DO, WONT, DONT), (WILL, DONT, WONT)] {
                for _ in 0..2 {
                    assert_eq!(telnet.feed(&[IAC, ask, option]).wire, [IAC, refuse, option]);
                    assert_eq!(telnet.feed(&[IAC, ask, option, IAC, ask, option]).wire, []);
                    assert_eq!(telnet.feed(&[IAC, back, option, IAC, back, option]).wire, []);
                }
            }
        }
        // No state but a question: each is answered, or a client stays silent for ever.
        let mark = [IAC, DO, TIMING_MARK];
        assert_eq!(telnet.feed(&[mark, mark].concat()).wire.len(), 6);
    }
    let mut telnet = begun(Role::Client);
    assert_eq!(telnet.feed(&[IAC, DO, VMWARE]).wire, [IAC, WONT, VMWARE]);
    assert_eq!(telnet.feed(&[IAC, WILL, VMWARE]).wire, [IAC, DONT, VMWARE], "no concentrator");
    assert_eq!(telnet.feed(&[IAC, AYT]).wire, KEEPALIVE, "nothing to type into a guest");
    // Our own ask refused, then wanted after all.
    let mut telnet = begun(Role::Person);
    assert_eq!(telnet.feed(&[IAC, DONT, ECHO]).wire, []);
    assert_eq!(telnet.feed(&[IAC, DO, ECHO]).wire, [IAC, WILL, ECHO]);
}

#[test]
fn two_of_us_come_to_rest() {
    for (left, right) in [(Role::Client, Role::Person), (Role::Person, Role::Person)] {
        let (mut a, mut b) = (Telnet::new(left), Telnet::new(right));
        let (mut to_b, mut to_a) = (a.start(), b.start());
        let mut rounds = 0;
        while !to_a.is_empty() || !to_b.is_empty() {
            let (answer, back) = (b.feed(&to_b), a.feed(&to_a));
            (to_a, to_b) = (answer.wire, back.wire);
            rounds += 1;
            assert!(rounds < 5, "{left:?} and {right:?} talk for ever");
        }
        assert!(a.is_binary() && b.is_binary());
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(b.feed(&a.send(&all)).data, all);
        assert_eq!(a.feed(&b.send(&all)).data, all);
    }
}

#[test]
fn what_is_sent_arrives_whichever_way_it_is_cut() {
    let said = b"a\rb\r\nc\xff\xf0\r\0\r\r\n\0\xff\r";
    for binary in [false, true] {
        let (mut one, mut other) = (Telnet::new(Role::Person), Telnet::new(Role::Client));
        if binary {
            one.feed(&[IAC, DO, BINARY]);
            other.feed(&[IAC, WILL, BINARY]);
        }
        assert_eq!(one.is_binary(), binary);
        for size in 1..=said.len() {
            let wire: Vec<u8> = said.chunks(size).flat_map(|it| one.send(it)).collect();
            assert_eq!(other.feed(&wire).data, said, "{size}, binary {binary}");
        }
        let whole: &[u8] = if binary {
            b"a\rb\r\nc\xff\xff\xf0\r\0\r\r\n\0\xff\xff\r"
        } else {
            b"a\r\0b\r\nc\xff\xff\xf0\r\0\0\r\0\r\n\0\xff\xff\r\0"
        };
        assert_eq!(one.send(said), whole);
    }
}

#[test]
fn suboptions_are_bounded_and_their_end_may_be_lost() {
    let mut telnet = begun(Role::Concentrator);
    telnet.feed(&[IAC, SB, VMWARE, 82]);
    for _ in 0..100 {
        assert_eq!(telnet.feed(&[b'x'; 10_000]), Got::none());
        assert!(telnet.sub.capacity() <= 2 * (LONGEST + 1));
    }
    let got = telnet.feed(&[IAC, SE, b'a']);
    assert_eq!((&got.data[..], got.events.len()), (&b"a"[..], 0));
    // The longest that fits.
    let frame = [&[IAC, SB, VMWARE], &[b'x'; LONGEST - 1][..], &[IAC, SE]].concat();
    assert_eq!(telnet.feed(&frame).events.len(), 1);
    let frame = [&[IAC, SB, VMWARE], &[b'x'; LONGEST][..], &[IAC, SE]].concat();
    assert_eq!(telnet.feed(&frame).events.len(), 0);
    // A command in the middle ends it, and counts itself.
    let got = telnet.feed(&[IAC, SB, VMWARE, 82, b'n', IAC, BRK, b'd', IAC, SE, b'e']);
    assert_eq!((&got.data[..], &got.events[..]), (&b"de"[..], &[(0, Event::Break)][..]));
    let got = telnet.feed(&[IAC, SB, VMWARE, 82, IAC, SB, VMWARE, 83, IAC, SE]);
    assert_eq!(got.events, [(0, Event::Suboption(vec![83]))]);
}

#[test]
fn answers_grow_no_faster_than_what_comes() {
    for role in ROLES {
        let mut telnet = begun(role);
        for verb in [AYT, BRK, IP, NOP] {
            let got = telnet.feed(&[IAC, verb].repeat(1000));
            assert!(got.wire.len() <= GROWTH * 2000 && got.events.len() <= 1000);
        }
        for option in 0..=255 {
            let flips = [[IAC, DO, option], [IAC, DONT, option]].concat();
            let other = [[IAC, WILL, option], [IAC, WONT, option]].concat();
            let flood = [flips.repeat(100), other.repeat(100)].concat();
            assert!(telnet.feed(&flood).wire.len() <= flood.len());
        }
    }
}
