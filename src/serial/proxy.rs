//! A concentrator's side of the conversation with one machine, in VMware's telnet extension.
//!
//! Who may dial in, which console it is and what becomes of a move is for who hears the events.
//! Surprising: a concentrator agrees to serve before it knows whom, as the captured ones do, because
//! the machine tells who it is only on being asked; until [`Event::Identified`] nothing of what it
//! sends may be shown to anybody.

use crate::serial::suboption::{Fact, KNOWN, Word, code};
use crate::serial::telnet::{self, Role, Telnet};
use crate::text::uuid;

/// Answers are at most so many times as long as what was fed: an offer of the extension is answered
/// with all codes.
pub const GROWTH: usize = 12;

/// What is asked of a machine, in the order of a captured concentrator.
// unverified: that a lone host answers for BIOS and location.
const ASKED: [Fact; 4] = [Fact::VcUuid, Fact::Name, Fact::BiosUuid, Fact::LocationUuid];

/// Who a machine says that it is; UUIDs as [`uuid::plain`] spells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Identity {
    pub vc_uuid: Option<String>,
    pub bios_uuid: Option<String>,
    pub location_uuid: Option<String>,
    pub name: Option<String>,
}

/// What the machine said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It does not speak the extension: nobody knows who it is.
    Plain,
    /// It wants to be served under this URI, and was told that it is.
    Wanted { server: bool, uri: String },
    /// All that it tells about itself is known, or has changed.
    Identified(Identity),
    /// It is about to move to another host: answer with [`Proxy::go_ahead`] or [`Proxy::not_now`]
    /// within 5 s, and keep what people type from then on.
    MoveBegins { sequence: Vec<u8> },
    /// The host to which a machine moved, by sequence and secret: answer with [`Proxy::peer_ok`] or
    /// [`Proxy::refuse_peer`].
    Peer { token: Vec<u8> },
    /// The move is over; told on the old connection or on the new one.
    MoveDone { sequence: Vec<u8> },
    /// The machine stays where it is.
    MoveAborted,
}

/// What came of received bytes.
pub type Got = telnet::Got<Event>;

/// One connection of a machine.
pub struct Proxy {
    telnet: Telnet,
    identity: Identity,
    /// Which of [`ASKED`] are not answered yet.
    open: [bool; ASKED.len()],
    identified: bool,
    /// What the machine knows; empty until it says so.
    knows: Vec<u8>,
}

impl Default for Proxy {
    fn default() -> Proxy {
        Proxy::new()
    }
}

impl Proxy {
    /// A connection on which nothing was said.
    pub fn new() -> Proxy {
        Proxy {
            telnet: Telnet::new(Role::Concentrator),
            identity: Identity::default(),
            open: [false; ASKED.len()],
            identified: false,
            knows: Vec::new(),
        }
    }

    /// The first bytes; once, before anything is fed.
    pub fn start(&mut self) -> Vec<u8> {
        self.telnet.start()
    }

    /// What is known of the machine so far, for one that leaves questions unanswered.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Data for the guest, as it travels.
    pub fn send(&self, data: &[u8]) -> Vec<u8> {
        self.telnet.send(data)
    }

    /// Allows a move; `secret` are 4 to 8 random bytes by which the new host will be known. What to
    /// send, and the token that it will show.
    pub fn go_ahead(sequence: &[u8], secret: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let token = [sequence, secret].concat();
        (Word::GoAhead(&token).frame(), token)
    }

    /// Puts a move off.
    pub fn not_now(sequence: &[u8]) -> Vec<u8> {
        Word::NotNow(sequence).frame()
    }

    /// Greets the new host.
    // unverified: with the secret, as the concentrators do that real hosts were seen with; VMware's
    // paper has the sequence alone, which is how it begins.
    pub fn peer_ok(token: &[u8]) -> Vec<u8> {
        Word::PeerOk(token).frame()
    }

    /// Refuses one that knows no secret of ours; close the connection behind it.
    // unverified: no word for this is known; others say that they do not understand.
    pub fn refuse_peer() -> Vec<u8> {
        Word::Unknown2(code::VMOTION_PEER).frame()
    }

    /// Refuses to serve after all; close the connection behind it.
    pub fn refuse() -> Vec<u8> {
        Word::WontProxy.frame()
    }

    /// Bytes from the machine.
    pub fn feed(&mut self, bytes: &[u8]) -> Got {
        let mut got = Got::none();
        let mut heard = telnet::Got::none();
        for byte in bytes {
            self.telnet.take(*byte, &mut heard);
            got.data.append(&mut heard.data);
            got.wire.append(&mut heard.wire);
            if let Some((_, event)) = heard.events.pop() {
                self.hear(event, &mut got);
            }
        }
        got
    }

    fn hear(&mut self, event: telnet::Event, got: &mut Got) {
        match event {
            telnet::Event::Extension(true) => got.wire.extend(Word::Known2(&KNOWN).frame()),
            telnet::Event::Extension(false) => got.events.push((got.data.len(), Event::Plain)),
            telnet::Event::Suboption(bytes) => {
                if let Some(word) = Word::parse(&bytes)
                    && let Some(event) = self.word(word, &mut got.wire)
                {
                    got.events.push((got.data.len(), event));
                }
            }
            // A port has no way to break a line towards us.
            _ => {}
        }
    }

    fn word(&mut self, word: Word<'_>, wire: &mut Vec<u8>) -> Option<Event> {
        match word {
            Word::Known1(all) => {
                // A longer list than there are codes says nothing more.
                self.knows = all.iter().copied().take(256).collect();
                None
            }
            Word::Unknown1(code) => {
                let at = ASKED.iter().position(|it| it.code() + 1 == code)?;
                self.answered(at)
            }
            Word::DoProxy { server, uri } => {
                for (open, fact) in self.open.iter_mut().zip(ASKED) {
                    *open = self.knows.is_empty() || self.knows.contains(&(fact.code() + 1));
                    if *open {
                        wire.extend(Word::Get(fact).frame());
                    }
                }
                wire.extend(Word::WillProxy.frame());
                Some(Event::Wanted { server, uri: String::from_utf8_lossy(uri).into_owned() })
            }
            Word::Is(fact, text) => {
                let text = String::from_utf8_lossy(text);
                let value = match fact {
                    Fact::Name => (!text.is_empty()).then(|| text.into_owned()),
                    _ => uuid::plain(&text),
                };
                let place = match fact {
                    Fact::VcUuid => &mut self.identity.vc_uuid,
                    Fact::Name => &mut self.identity.name,
                    Fact::BiosUuid => &mut self.identity.bios_uuid,
                    Fact::LocationUuid => &mut self.identity.location_uuid,
                };
                let changed = *place != value;
                *place = value;
                let at = ASKED.iter().position(|it| *it == fact)?;
                match self.identified {
                    true => {
                        self.open[at] = false;
                        changed.then(|| Event::Identified(self.identity.clone()))
                    }
                    false => self.answered(at),
                }
            }
            Word::Begin(sequence) => Some(Event::MoveBegins { sequence: sequence.to_vec() }),
            Word::Peer(token) => Some(Event::Peer { token: token.to_vec() }),
            Word::Complete(sequence) => Some(Event::MoveDone { sequence: sequence.to_vec() }),
            Word::Abort => Some(Event::MoveAborted),
            Word::Other(code::DO_PROXY) => {
                wire.extend(Word::WontProxy.frame());
                None
            }
            Word::Other(code) => {
                wire.extend(Word::Unknown2(code).frame());
                None
            }
            // Answered with our list already; the others are ours to say.
            _ => None,
        }
    }

    /// Notes one answer; the last one tells who it is.
    fn answered(&mut self, at: usize) -> Option<Event> {
        let was = std::mem::replace(self.open.get_mut(at)?, false);
        let last = was && !self.identified && !self.open.contains(&true);
        last.then(|| {
            self.identified = true;
            Event::Identified(self.identity.clone())
        })
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
