//! The words of VMware's telnet extension: what a machine and a concentrator say in suboptions.
//!
//! It must not know in which order they are said. Surprising: UUIDs come as pairs of digits with
//! spaces and one dash in the middle, and where a move is told of by sequence and secret, nothing
//! says where the one ends and the other begins: a token is compared as a whole.

use crate::serial::telnet::{IAC, SB, SE, VMWARE};

/// The codes of all that can be said.
#[rustfmt::skip]
#[allow(missing_docs)]
pub mod code {
    pub const KNOWN_1: u8 = 0;
    pub const KNOWN_2: u8 = 1;
    pub const UNKNOWN_1: u8 = 2;
    pub const UNKNOWN_2: u8 = 3;
    pub const VMOTION_BEGIN: u8 = 40;
    pub const VMOTION_GOAHEAD: u8 = 41;
    pub const VMOTION_NOTNOW: u8 = 43;
    pub const VMOTION_PEER: u8 = 44;
    pub const VMOTION_PEER_OK: u8 = 45;
    pub const VMOTION_COMPLETE: u8 = 46;
    pub const VMOTION_ABORT: u8 = 48;
    pub const DO_PROXY: u8 = 70;
    pub const WILL_PROXY: u8 = 71;
    pub const WONT_PROXY: u8 = 73;
    pub const VM_VC_UUID: u8 = 80;
    pub const GET_VM_VC_UUID: u8 = 81;
    pub const VM_NAME: u8 = 82;
    pub const GET_VM_NAME: u8 = 83;
    pub const VM_BIOS_UUID: u8 = 84;
    pub const GET_VM_BIOS_UUID: u8 = 85;
    pub const VM_LOCATION_UUID: u8 = 86;
    pub const GET_VM_LOCATION_UUID: u8 = 87;
}

/// All that we know, as we tell a machine.
#[rustfmt::skip]
pub const KNOWN: [u8; 22] = [
    0, 1, 2, 3, 40, 41, 43, 44, 45, 46, 48, 70, 71, 73, 80, 81, 82, 83, 84, 85, 86, 87,
];

/// Something said. Sequences, and tokens of sequence and secret, are whatever bytes they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// The codes that the machine knows; asks for ours.
    Known1(&'a [u8]),
    /// Those that the concentrator knows.
    Known2(&'a [u8]),
    /// A code that the machine was sent and does not know.
    Unknown1(u8),
    /// One that the concentrator does not know, or what it refuses.
    Unknown2(u8),
    /// The machine is about to move: sequence.
    Begin(&'a [u8]),
    /// It may: sequence and secret.
    GoAhead(&'a [u8]),
    /// It may not yet: sequence; some add a secret.
    NotNow(&'a [u8]),
    /// The new host takes over: sequence and secret.
    Peer(&'a [u8]),
    /// It is the one that was meant: sequence, or sequence and secret.
    PeerOk(&'a [u8]),
    /// The move is over: sequence.
    Complete(&'a [u8]),
    /// The machine stays.
    Abort,
    /// Asks to be served: as a server (else a client) of this URI, which only names it.
    DoProxy {
        server: bool,
        uri: &'a [u8],
    },
    WillProxy,
    WontProxy,
    /// Asks for one of the four below.
    Get(Fact),
    /// One of them, as text.
    Is(Fact, &'a [u8]),
    /// No such code, or nothing that can follow it.
    Other(u8),
}

/// What a concentrator can ask about a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Its UUID at vCenter (`config.instanceUuid`); a lone host may have none.
    VcUuid,
    Name,
    /// `config.uuid`, which copies of a machine may share.
    BiosUuid,
    /// `config.locationId`.
    LocationUuid,
}

/// In the order of their codes, two apart.
const FACTS: [Fact; 4] = [Fact::VcUuid, Fact::Name, Fact::BiosUuid, Fact::LocationUuid];

impl Fact {
    /// The code of the answer; that of the question is one more.
    pub fn code(self) -> u8 {
        match self {
            Fact::VcUuid => code::VM_VC_UUID,
            Fact::Name => code::VM_NAME,
            Fact::BiosUuid => code::VM_BIOS_UUID,
            Fact::LocationUuid => code::VM_LOCATION_UUID,
        }
    }
}

impl<'a> Word<'a> {
    /// A suboption without its option: the code and what follows. `None` for an empty one.
    pub fn parse(suboption: &'a [u8]) -> Option<Word<'a>> {
        let (code, rest) = suboption.split_first()?;
        let known = match *code {
            code::KNOWN_1 => Word::Known1(rest),
            code::KNOWN_2 => Word::Known2(rest),
            code::UNKNOWN_1 => Word::Unknown1(*rest.first()?),
            code::UNKNOWN_2 => Word::Unknown2(*rest.first()?),
            code::VMOTION_BEGIN => Word::Begin(rest),
            code::VMOTION_GOAHEAD => Word::GoAhead(rest),
            code::VMOTION_NOTNOW => Word::NotNow(rest),
            code::VMOTION_PEER => Word::Peer(rest),
            code::VMOTION_PEER_OK => Word::PeerOk(rest),
            code::VMOTION_COMPLETE => Word::Complete(rest),
            code::VMOTION_ABORT => Word::Abort,
            code::DO_PROXY => match rest {
                [b'S' | b'C', uri @ ..] => {
                    Word::DoProxy { server: rest.first() == Some(&b'S'), uri }
                }
                _ => Word::Other(*code),
            },
            code::WILL_PROXY => Word::WillProxy,
            code::WONT_PROXY => Word::WontProxy,
            _ => match FACTS.iter().find(|it| it.code() == code & !1) {
                Some(fact) if code & 1 == 1 => Word::Get(*fact),
                Some(fact) => Word::Is(*fact, rest),
                None => Word::Other(*code),
            },
        };
        Some(known)
    }

    /// The whole frame, as it travels.
    pub fn frame(&self) -> Vec<u8> {
        let one: [u8; 1];
        let (code, first, rest): (u8, Option<u8>, &[u8]) = match self {
            Word::Known1(all) => (code::KNOWN_1, None, all),
            Word::Known2(all) => (code::KNOWN_2, None, all),
            Word::Unknown1(it) => {
                one = [*it];
                (code::UNKNOWN_1, None, &one)
            }
            Word::Unknown2(it) => {
                one = [*it];
                (code::UNKNOWN_2, None, &one)
            }
            Word::Begin(it) => (code::VMOTION_BEGIN, None, it),
            Word::GoAhead(it) => (code::VMOTION_GOAHEAD, None, it),
            Word::NotNow(it) => (code::VMOTION_NOTNOW, None, it),
            Word::Peer(it) => (code::VMOTION_PEER, None, it),
            Word::PeerOk(it) => (code::VMOTION_PEER_OK, None, it),
            Word::Complete(it) => (code::VMOTION_COMPLETE, None, it),
            Word::Abort => (code::VMOTION_ABORT, None, &[]),
            Word::DoProxy { server, uri } => {
                (code::DO_PROXY, Some(if *server { b'S' } else { b'C' }), uri)
            }
            Word::WillProxy => (code::WILL_PROXY, None, &[]),
            Word::WontProxy => (code::WONT_PROXY, None, &[]),
            Word::Get(fact) => (fact.code() + 1, None, &[]),
            Word::Is(fact, it) => (fact.code(), None, it),
            Word::Other(code) => (*code, None, &[]),
        };
        let mut wire = vec![IAC, SB, VMWARE];
        for byte in [code].iter().chain(first.iter()).chain(rest) {
            wire.push(*byte);
            if *byte == IAC {
                wire.push(IAC);
            }
        }
        wire.extend([IAC, SE]);
        wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::telnet::{Event, Role, Telnet};

    #[test]
    fn every_code_is_written_as_it_is_read() {
        // 0xFF where a sequence or a name may have it.
        let odd = [7, IAC, 240, 0];
        for code in 0..=u8::MAX {
            for rest in [&odd[..], b"S\xff", b"C", b""] {
                let suboption = [&[code], rest].concat();
                let Some(word) = Word::parse(&suboption) else {
                    assert!(matches!(code, code::UNKNOWN_1 | code::UNKNOWN_2) && rest.is_empty());
                    continue;
                };
                let known = !matches!(word, Word::Other(_));
                let bad_proxy = code == code::DO_PROXY && !rest.starts_with(b"S") && rest != b"C";
                assert_eq!(known, KNOWN.contains(&code) && !bad_proxy, "{word:?}");
                let mut telnet = Telnet::new(Role::Concentrator);
                let got = telnet.feed(&word.frame());
                let [(0, Event::Suboption(again))] = &got.events[..] else { panic!("{got:?}") };
                assert_eq!(Word::parse(again), Some(word));
            }
        }
        assert_eq!(Word::parse(b""), None);
    }
}
