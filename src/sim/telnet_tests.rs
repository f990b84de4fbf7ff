//! The telnet machine against hand-made clients and concentrators.

use super::*;

fn who() -> Identity {
    Identity {
        name: "web\u{ff}01".to_owned(),
        vc_uuid: "01234567-89ab-CDEF-fedc-ba9800000000".to_owned(),
        ..Identity::default()
    }
}

fn wire(telnet: &mut Telnet, bytes: &[u8]) -> Vec<u8> {
    let got = telnet.receive(bytes);
    assert!(got.data.is_empty());
    got.wire
}

#[test]
fn options_are_answered_once() {
    let mut telnet = Telnet::direct(who());
    let offers = telnet.start();
    assert!(offers.starts_with(&[IAC, WILL, ECHO]));
    // The client agrees to what was offered: nothing to say.
    assert!(wire(&mut telnet, &[IAC, DO, ECHO, IAC, DO, SGA, IAC, WILL, SGA]).is_empty());
    assert!(wire(&mut telnet, &[IAC, DO, ECHO]).is_empty(), "no change");
    // Refused what was offered, then wanted after all.
    assert!(wire(&mut telnet, &[IAC, DONT, BINARY]).is_empty());
    assert_eq!(wire(&mut telnet, &[IAC, DO, BINARY]), [IAC, WILL, BINARY]);
    assert_eq!(wire(&mut telnet, &[IAC, DONT, BINARY]), [IAC, WONT, BINARY]);
    assert!(wire(&mut telnet, &[IAC, DONT, BINARY]).is_empty());
    // Window size, terminal type, and a client that claims the extension.
    assert_eq!(wire(&mut telnet, &[IAC, WILL, 31, IAC, DO, 24]), [IAC, DONT, 31, IAC, WONT, 24]);
    assert_eq!(wire(&mut telnet, &[IAC, WILL, VMWARE]), [IAC, DONT, VMWARE]);
    assert!(wire(&mut telnet, &[IAC, WONT, 31, IAC, DONT, 24]).is_empty());
}

#[test]
fn data_is_clean_both_ways() {
    let mut telnet = Telnet::direct(who());
    // In pieces, a command in the middle.
    let mut data = Vec::new();
    for byte in [b'a', IAC, IAC, b'\r', 0, b'b', IAC, 241, b'\r', b'\n', IAC, DONT, 99, 0] {
        data.extend(telnet.receive(&[byte]).data);
    }
    assert_eq!(data, [b'a', IAC, b'\r', b'b', b'\r', b'\n', 0]);
    assert_eq!(telnet.send(b"x\ry\r\n\xff\r"), b"x\r\0y\r\n\xff\xff\r");
    assert_eq!(telnet.send(b"z"), b"\0z");
    // Binary: as it is.
    telnet.receive(&[IAC, DO, BINARY, IAC, WILL, BINARY]);
    assert_eq!(telnet.receive(b"\r\0").data, b"\r\0");
    assert_eq!(telnet.send(b"\rz\xff"), b"\rz\xff\xff");
}

#[test]
fn the_order_of_a_captured_concentrator() {
    let mut telnet = Telnet::proxied(who(), true, "vSPC.py");
    assert_eq!(telnet.start(), [IAC, WILL, AUTH]);
    let first = [WILL, BINARY, WILL, SGA, WILL, ECHO, DO, BINARY, DO, SGA, DO, VMWARE, DONT, AUTH];
    let first: Vec<u8> = first.chunks(2).flat_map(|it| [IAC, it[0], it[1]]).collect();
    let answers = [DO, BINARY, DO, SGA, DO, ECHO, WILL, BINARY, WILL, SGA, WILL, VMWARE];
    let answers: Vec<u8> = answers.chunks(2).flat_map(|it| [IAC, it[0], it[1]]).collect();
    assert_eq!(wire(&mut telnet, &first), answers);
    let list = wire(&mut telnet, &framed(KNOWN_2, &KNOWN));
    let mut expected = framed(KNOWN_1, &KNOWN);
    expected.extend(framed(DO_PROXY, b"SvSPC.py"));
    assert_eq!(list, expected);
    assert_eq!(
        wire(&mut telnet, &framed(81, b"")),
        framed(80, b"01 23 45 67 89 ab cd ef-fe dc ba 98 00 00 00 00")
    );
    assert_eq!(wire(&mut telnet, &framed(83, b"")), framed(82, "web\u{ff}01".as_bytes()));
    assert_eq!(wire(&mut telnet, &framed(85, b"")), framed(84, b""));
    assert_eq!(wire(&mut telnet, &framed(200, b"?")), framed(UNKNOWN_1, &[200]));
    assert!(!telnet.open());
    assert!(wire(&mut telnet, &framed(WILL_PROXY, b"")).is_empty());
    assert!(telnet.open());
    assert_eq!(telnet.receive(b"hi").data, b"hi");
}

#[test]
fn a_concentrator_may_refuse() {
    for refusal in [framed(WONT_PROXY, b""), framed(UNKNOWN_2, &[DO_PROXY])] {
        let mut telnet = Telnet::proxied(who(), false, "x");
        telnet.receive(&framed(WILL_PROXY, b""));
        assert_eq!(telnet.proxy(), Proxy::Asking, "nothing was asked yet");
        telnet.receive(&framed(KNOWN_2, &KNOWN));
        telnet.receive(&refusal);
        assert_eq!(telnet.proxy(), Proxy::Refused);
    }
    let mut telnet = Telnet::proxied(who(), false, "x");
    assert_eq!(telnet.receive(&framed(KNOWN_2, &[0, 1])).wire, framed(KNOWN_1, &KNOWN));
    assert_eq!(telnet.proxy(), Proxy::Refused);
}

#[test]
fn a_move_to_another_host() {
    let sequence = [1, IAC, 3];
    let mut old = Telnet::proxied(who(), true, "x");
    assert_eq!(old.begin_vmotion(&sequence), framed(VMOTION_BEGIN, &sequence));
    old.receive(&framed(VMOTION_GOAHEAD, &[1, IAC, 3, 7, 8, 9, 10]));
    assert_eq!(*old.vmotion(), Vmotion::GoAhead(vec![7, 8, 9, 10]));
    let mut new = Telnet::arriving(who(), &sequence, &[7, 8, 9, 10]);
    let greeting = new.receive(&framed(KNOWN_2, &KNOWN)).wire;
    assert!(greeting.ends_with(&framed(VMOTION_PEER, &[1, IAC, 3, 7, 8, 9, 10])));
    new.receive(&framed(VMOTION_PEER_OK, &[1, IAC, 3, 7, 8, 9, 10]));
    assert!(new.open() && *new.vmotion() == Vmotion::PeerOk);
    assert_eq!(new.complete_vmotion(), framed(VMOTION_COMPLETE, &sequence));
    old.begin_vmotion(&[2]);
    old.receive(&framed(VMOTION_NOTNOW, &[2]));
    assert_eq!(*old.vmotion(), Vmotion::NotNow);
    assert_eq!(old.abort_vmotion(), framed(VMOTION_ABORT, &[]));
}

#[test]
fn a_suboption_without_an_end_is_bounded() {
    let mut telnet = Telnet::direct(who());
    telnet.receive(&[IAC, SB, VMWARE, 83]);
    assert!(wire(&mut telnet, &[b'x'; 100_000]).is_empty());
    assert!(telnet.sub.len() <= LONGEST + 1);
    assert!(wire(&mut telnet, &[IAC, SE]).is_empty(), "too long: passed over");
    assert_eq!(telnet.receive(b"ok").data, b"ok");
}
