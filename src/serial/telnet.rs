//! One end of a telnet connection: options, escapes, commands.
//!
//! It must not know who is at the other end, beyond one of three roles. Each change of an option is
//! answered once, as RFC 1143 has it; nothing is ever asked to be turned off, so two of its states
//! do not occur. Surprising: how the bytes were cut never changes what comes out, and answers never
//! grow beyond [`GROWTH`] times what came in, whatever the other end does.

/// First byte of every command.
pub const IAC: u8 = 255;
pub(crate) const DONT: u8 = 254;
pub(crate) const DO: u8 = 253;
pub(crate) const WONT: u8 = 252;
pub(crate) const WILL: u8 = 251;
pub(crate) const SB: u8 = 250;
pub(crate) const SE: u8 = 240;
const AYT: u8 = 246;
const IP: u8 = 244;
const BRK: u8 = 243;

pub(crate) const BINARY: u8 = 0;
pub(crate) const ECHO: u8 = 1;
pub(crate) const SGA: u8 = 3;
/// No state but a question, which a client that throws output away waits to see answered.
const TIMING_MARK: u8 = 6;
const NAWS: u8 = 31;
/// VMware's extension.
pub(crate) const VMWARE: u8 = 232;

/// Bytes of one suboption, its option included; a longer one is passed over to its end.
pub const LONGEST: usize = 4096;

/// Answers are at most so many times as long as what was fed.
pub const GROWTH: usize = 5;

/// What shows a person that we are there.
const YES: &[u8] = b"\r\n[yes]\r\n";

/// What may be sent at any time to see whether the other end still takes bytes: it takes back what
/// was never offered. Not NOP, with which QEMU's port swallows the byte behind it.
pub const KEEPALIVE: [u8; 3] = [IAC, WONT, TIMING_MARK];

/// A break on the line.
pub const BREAK: [u8; 2] = [IAC, BRK];

/// Who we are on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We dialled a host's port, or it dialled us to be its only listener.
    Client,
    /// A machine dialled us to be served by VMware's extension.
    Concentrator,
    /// A person's telnet dialled us.
    Person,
}

/// What a role agrees to, and what it asks for first.
struct Terms {
    us: &'static [u8],
    them: &'static [u8],
    opening: &'static [(u8, u8)],
}

impl Role {
    fn terms(self) -> &'static Terms {
        // unverified: which of these a real host's listening port answers.
        static CLIENT: Terms = Terms {
            us: &[BINARY, SGA],
            them: &[BINARY, ECHO, SGA],
            opening: &[(WILL, BINARY), (DO, BINARY), (WILL, SGA), (DO, SGA)],
        };
        // The order of a captured concentrator.
        static CONCENTRATOR: Terms = Terms {
            us: &[BINARY, ECHO, SGA],
            them: &[BINARY, SGA, VMWARE],
            opening: &[
                (WILL, BINARY),
                (WILL, SGA),
                (WILL, ECHO),
                (DO, BINARY),
                (DO, SGA),
                (DO, VMWARE),
            ],
        };
        // The guest echoes; that we do puts the person's terminal into single characters.
        static PERSON: Terms = Terms {
            us: &[BINARY, ECHO, SGA],
            them: &[BINARY, SGA, NAWS],
            opening: &[
                (WILL, ECHO),
                (WILL, SGA),
                (DO, SGA),
                (WILL, BINARY),
                (DO, BINARY),
                (DO, NAWS),
            ],
        };
        match self {
            Role::Client => &CLIENT,
            Role::Concentrator => &CONCENTRATOR,
            Role::Person => &PERSON,
        }
    }
}

/// What the other end said that is no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Wants a break on the line.
    Break,
    /// Wants what runs to be interrupted.
    Interrupt,
    /// The window of a person's terminal.
    Size { columns: u16, rows: u16 },
    /// Speaks VMware's extension, or will not.
    Extension(bool),
    /// A suboption of the extension: its code and what follows.
    Suboption(Vec<u8>),
}

/// What came of received bytes; the bound of each list is linear in what was fed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Got<E = Event> {
    /// What was said, clean.
    pub data: Vec<u8>,
    /// For the other end, as it is.
    pub wire: Vec<u8>,
    /// Each with how much of `data` came before it; at most one for two bytes.
    pub events: Vec<(usize, E)>,
}

impl<E> Got<E> {
    /// Nothing yet.
    pub fn none() -> Got<E> {
        Got { data: Vec::new(), wire: Vec::new(), events: Vec::new() }
    }
}

/// An option at one end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Off,
    /// Off, and a wish for it was refused already.
    Refused,
    /// We asked for it.
    Asked,
    On,
}

enum State {
    Data,
    /// Behind IAC.
    Command,
    /// Behind WILL, WONT, DO or DONT.
    Option(u8),
    Sub,
    /// Behind IAC in a suboption.
    SubCommand,
}

/// One connection.
pub struct Telnet {
    role: Role,
    us: [Side; 256],
    them: [Side; 256],
    state: State,
    sub: Vec<u8>,
    /// The last data was a CR.
    returned: bool,
}

impl Telnet {
    /// A connection on which nothing was said.
    pub fn new(role: Role) -> Telnet {
        let sides = [Side::Off; 256];
        let state = State::Data;
        Telnet { role, us: sides, them: sides, state, sub: Vec::new(), returned: false }
    }

    /// The first bytes; once, before anything is fed.
    pub fn start(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        for (verb, option) in self.role.terms().opening {
            let sides = if *verb == WILL { &mut self.us } else { &mut self.them };
            sides[usize::from(*option)] = Side::Asked;
            wire.extend([IAC, *verb, *option]);
        }
        wire
    }

    /// Whether what we send arrives byte by byte as it is.
    pub fn is_binary(&self) -> bool {
        self.us[usize::from(BINARY)] == Side::On
    }

    /// Data as it travels. A CR at the end is closed at once: the other end may wait for what
    /// follows it, and Enter is the last key for a while.
    pub fn send(&self, data: &[u8]) -> Vec<u8> {
        let binary = self.is_binary();
        let mut wire = Vec::with_capacity(data.len() + data.len() / 8 + 1);
        for (at, byte) in data.iter().enumerate() {
            wire.push(*byte);
            match *byte {
                IAC => wire.push(IAC),
                b'\r' if !binary && data.get(at + 1) != Some(&b'\n') => wire.push(0),
                _ => {}
            }
        }
        wire
    }

    /// Bytes from the other end.
    pub fn feed(&mut self, bytes: &[u8]) -> Got {
        let mut got = Got::none();
        for byte in bytes {
            self.take(*byte, &mut got);
        }
        got
    }

    /// One byte from the other end.
    pub fn take(&mut self, byte: u8, got: &mut Got) {
        match (&self.state, byte) {
            (State::Data, IAC) => self.state = State::Command,
            (State::Data, _) => self.data(byte, got),
            (State::Command, _) => self.command(byte, got),
            (State::Option(verb), _) => {
                let verb = *verb;
                self.state = State::Data;
                self.negotiate(verb, byte, got);
            }
            (State::Sub, IAC) => self.state = State::SubCommand,
            (State::SubCommand, SE) => {
                self.state = State::Data;
                let sub = std::mem::take(&mut self.sub);
                self.suboption(sub, got);
            }
            (State::Sub | State::SubCommand, _) => {
                if matches!(self.state, State::SubCommand) && byte != IAC {
                    // Its end was lost: the command counts, the suboption does not.
                    self.sub = Vec::new();
                    self.command(byte, got);
                    return;
                }
                self.state = State::Sub;
                // One byte more than the longest says that it is longer.
                if self.sub.len() <= LONGEST {
                    self.sub.push(byte);
                }
            }
        }
    }

    fn command(&mut self, byte: u8, got: &mut Got) {
        self.state = match byte {
            WILL | WONT | DO | DONT => State::Option(byte),
            SB => State::Sub,
            _ => State::Data,
        };
        let at = got.data.len();
        match byte {
            IAC => self.data(byte, got),
            BRK => got.events.push((at, Event::Break)),
            IP => got.events.push((at, Event::Interrupt)),
            // To a host it must not be text: that would be typed into the guest.
            AYT if self.role == Role::Person => got.wire.extend(YES),
            AYT => got.wire.extend(KEEPALIVE),
            _ => {}
        }
    }

    /// Outside of BINARY a CR comes with NUL or LF; Enter of a person is one CR whichever it was.
    fn data(&mut self, byte: u8, got: &mut Got) {
        let returned = std::mem::take(&mut self.returned);
        if self.them[usize::from(BINARY)] != Side::On {
            if returned && (byte == 0 || (byte == b'\n' && self.role == Role::Person)) {
                return;
            }
            self.returned = byte == b'\r';
        }
        got.data.push(byte);
    }

    fn negotiate(&mut self, verb: u8, option: u8, got: &mut Got) {
        if (verb, option) == (DO, TIMING_MARK) {
            got.wire.extend([IAC, WILL, TIMING_MARK]);
            return;
        }
        let terms = self.role.terms();
        let (sides, agreed, yes, no) = match verb {
            DO | DONT => (&mut self.us, terms.us, WILL, WONT),
            _ => (&mut self.them, terms.them, DO, DONT),
        };
        let side = &mut sides[usize::from(option)];
        let before = *side;
        let (after, answer) = match (before, matches!(verb, DO | WILL)) {
            (Side::On | Side::Asked, true) => (Side::On, None),
            (Side::Off | Side::Refused, true) if agreed.contains(&option) => (Side::On, Some(yes)),
            (Side::Off, true) => (Side::Refused, Some(no)),
            (Side::Refused, true) => (Side::Refused, None),
            (Side::On, false) => (Side::Off, Some(no)),
            (_, false) => (Side::Off, None),
        };
        *side = after;
        if let Some(answer) = answer {
            got.wire.extend([IAC, answer, option]);
        }
        let theirs = matches!(verb, WILL | WONT);
        if option == VMWARE && theirs && agreed.contains(&VMWARE) && before != after {
            got.events.push((got.data.len(), Event::Extension(after == Side::On)));
        }
    }

    fn suboption(&mut self, sub: Vec<u8>, got: &mut Got) {
        if sub.len() > LONGEST {
            return;
        }
        let event = match (sub.as_slice(), self.role) {
            ([NAWS, a, b, c, d], Role::Person) => Event::Size {
                columns: u16::from_be_bytes([*a, *b]),
                rows: u16::from_be_bytes([*c, *d]),
            },
            ([VMWARE, rest @ ..], Role::Concentrator) if !rest.is_empty() => {
                Event::Suboption(rest.to_vec())
            }
            _ => return,
        };
        got.events.push((got.data.len(), event));
    }
}

#[cfg(test)]
#[path = "telnet_tests.rs"]
mod tests;
