//! The host's side of a telnet serial port: options, escapes, and VMware's extension for a
//! concentrator, in which the virtual machine tells who it is and asks to be served.
//!
//! Bytes in, bytes out; no socket. Surprising: the extension's texts carry a UUID as pairs with
//! spaces and one dash in the middle.

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;

const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SGA: u8 = 3;
const AUTH: u8 = 37;
/// VMware's extension.
const VMWARE: u8 = 232;
/// What is agreed to; everything else is refused.
const OPTIONS: [u8; 4] = [BINARY, ECHO, SGA, VMWARE];

const KNOWN_1: u8 = 0;
const KNOWN_2: u8 = 1;
const UNKNOWN_1: u8 = 2;
const UNKNOWN_2: u8 = 3;
const VMOTION_BEGIN: u8 = 40;
const VMOTION_GOAHEAD: u8 = 41;
const VMOTION_NOTNOW: u8 = 43;
const VMOTION_PEER: u8 = 44;
const VMOTION_PEER_OK: u8 = 45;
const VMOTION_COMPLETE: u8 = 46;
const VMOTION_ABORT: u8 = 48;
const DO_PROXY: u8 = 70;
const WILL_PROXY: u8 = 71;
const WONT_PROXY: u8 = 73;

/// All suboptions, in the order in which a captured host listed them.
const KNOWN: [u8; 22] =
    [0, 1, 2, 3, 40, 41, 43, 44, 45, 46, 48, 70, 71, 73, 80, 81, 84, 85, 86, 87, 82, 83];

/// Longer suboptions are passed over.
const LONGEST: usize = 2048;

/// Who the machine is, for a concentrator.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Identity {
    pub name: String,
    /// `config.instanceUuid`; a lone host may have none.
    pub vc_uuid: String,
    pub bios_uuid: String,
    pub location_uuid: String,
}

/// How far the concentrator is with us.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proxy {
    /// A direct connection.
    Unused,
    /// Not answered yet.
    Asking,
    /// It serves; data flows.
    Granted,
    /// It will not, or cannot.
    Refused,
}

/// How far a move to another host is.
#[derive(Clone, Debug, PartialEq)]
pub enum Vmotion {
    /// None goes on.
    None,
    /// `begin_vmotion` was sent.
    Asked,
    /// Granted, with the secret by which the new host is known.
    GoAhead(Vec<u8>),
    /// Refused for now.
    NotNow,
    /// The new host was recognized.
    PeerOk,
}

/// What came of received bytes.
#[derive(Debug, Default, PartialEq)]
pub struct Got {
    /// For the guest.
    pub data: Vec<u8>,
    /// For the other end.
    pub wire: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Side {
    on: bool,
    asked: bool,
}

impl Side {
    /// The other end wants it so; whether that needs an answer.
    fn change(&mut self, on: bool) -> bool {
        let answer = self.on != on && !self.asked;
        self.on = on;
        self.asked = false;
        answer
    }
}

enum State {
    Data,
    /// Behind IAC.
    Command,
    /// Behind WILL, WONT, DO, DONT.
    Option(u8),
    Sub,
    /// Behind IAC in a suboption.
    SubCommand,
}

/// One connection.
pub struct Telnet {
    identity: Identity,
    /// Ours and theirs, in the order of `OPTIONS`.
    us: [Side; 4],
    them: [Side; 4],
    state: State,
    sub: Vec<u8>,
    /// The last data was a CR, in and out.
    return_in: bool,
    return_out: bool,
    /// Sent once the concentrator told what it knows: `DO-PROXY`, or the newcomer's greeting.
    request: Option<(u8, Vec<u8>)>,
    proxy: Proxy,
    sequence: Vec<u8>,
    vmotion: Vmotion,
}

impl Telnet {
    /// A client of the port, or a peer that the port dialled.
    pub fn direct(identity: Identity) -> Telnet {
        Telnet {
            identity,
            us: [Side::default(); 4],
            them: [Side::default(); 4],
            state: State::Data,
            sub: Vec::new(),
            return_in: false,
            return_out: false,
            request: None,
            proxy: Proxy::Unused,
            sequence: Vec::new(),
            vmotion: Vmotion::None,
        }
    }

    /// A concentrator, which is asked to serve this URI.
    pub fn proxied(identity: Identity, server: bool, uri: &str) -> Telnet {
        let mut request = vec![if server { b'S' } else { b'C' }];
        request.extend(uri.bytes());
        let request = Some((DO_PROXY, request));
        Telnet { request, proxy: Proxy::Asking, ..Telnet::direct(identity) }
    }

    /// A concentrator, from the host to which the machine moved.
    pub fn arriving(identity: Identity, sequence: &[u8], secret: &[u8]) -> Telnet {
        let request = Some((VMOTION_PEER, [sequence, secret].concat()));
        let sequence = sequence.to_vec();
        Telnet { request, sequence, proxy: Proxy::Asking, ..Telnet::direct(identity) }
    }

    /// The first bytes on a new connection.
    pub fn start(&mut self) -> Vec<u8> {
        if self.proxy != Proxy::Unused {
            // TLS inside of telnet is offered, as hosts do, and not played.
            return vec![IAC, WILL, AUTH];
        }
        // unverified: which options a listening port offers on its own.
        let mut wire = Vec::new();
        for (verb, option) in [(WILL, ECHO), (WILL, SGA), (DO, SGA), (WILL, BINARY), (DO, BINARY)] {
            let sides = if verb == WILL { &mut self.us } else { &mut self.them };
            if let Some(at) = known(option) {
                sides[at].asked = true;
            }
            wire.extend([IAC, verb, option]);
        }
        wire
    }

    /// Whether the guest's output may go out.
    pub fn open(&self) -> bool {
        matches!(self.proxy, Proxy::Unused | Proxy::Granted)
    }

    /// What the concentrator said.
    pub fn proxy(&self) -> Proxy {
        self.proxy
    }

    /// How far a move is.
    pub fn vmotion(&self) -> &Vmotion {
        &self.vmotion
    }

    /// Asks the concentrator to keep the line for a move.
    pub fn begin_vmotion(&mut self, sequence: &[u8]) -> Vec<u8> {
        self.sequence = sequence.to_vec();
        self.vmotion = Vmotion::Asked;
        framed(VMOTION_BEGIN, sequence)
    }

    /// The machine runs on the new host.
    pub fn complete_vmotion(&mut self) -> Vec<u8> {
        self.vmotion = Vmotion::None;
        framed(VMOTION_COMPLETE, &self.sequence)
    }

    /// The machine stays.
    pub fn abort_vmotion(&mut self) -> Vec<u8> {
        self.vmotion = Vmotion::None;
        framed(VMOTION_ABORT, &[])
    }

    /// The guest's output, as it travels.
    pub fn send(&mut self, data: &[u8]) -> Vec<u8> {
        let binary = self.us[0].on;
        let mut wire = Vec::with_capacity(data.len() + data.len() / 8);
        for byte in data {
            if std::mem::take(&mut self.return_out) && *byte != b'\n' && !binary {
                wire.push(0);
            }
            self.return_out = *byte == b'\r';
            wire.push(*byte);
            if *byte == IAC {
                wire.push(IAC);
            }
        }
        wire
    }

    /// Bytes from the other end.
    pub fn receive(&mut self, bytes: &[u8]) -> Got {
        let mut got = Got::default();
        for byte in bytes {
            self.take(*byte, &mut got);
        }
        got
    }

    fn take(&mut self, byte: u8, got: &mut Got) {
        match (&self.state, byte) {
            (State::Data, IAC) => self.state = State::Command,
            (State::Data, _) => self.data(byte, got),
            (State::Command, WILL | WONT | DO | DONT) => self.state = State::Option(byte),
            (State::Command, SB) => {
                self.sub.clear();
                self.state = State::Sub;
            }
            (State::Command, _) => {
                self.state = State::Data;
                if byte == IAC {
                    self.data(byte, got);
                }
            }
            (State::Option(verb), _) => {
                let verb = *verb;
                self.state = State::Data;
                self.negotiate(verb, byte, got);
            }
            (State::Sub, IAC) => self.state = State::SubCommand,
            (State::SubCommand, SE) => {
                self.state = State::Data;
                let sub = std::mem::take(&mut self.sub);
                if let [VMWARE, code, payload @ ..] = sub.as_slice()
                    && sub.len() <= LONGEST
                {
                    self.extension(*code, payload, got);
                }
            }
            (State::Sub | State::SubCommand, _) => {
                self.state = State::Sub;
                if self.sub.len() <= LONGEST {
                    self.sub.push(byte);
                }
            }
        }
    }

    fn data(&mut self, byte: u8, got: &mut Got) {
        let padding = self.return_in && byte == 0 && !self.them[0].on;
        self.return_in = byte == b'\r';
        if !padding {
            got.data.push(byte);
        }
    }

    /// Each change is answered once, so that two polite ends do not talk for ever.
    fn negotiate(&mut self, verb: u8, option: u8, got: &mut Got) {
        let (sides, yes, no) = match verb {
            DO | DONT => (&mut self.us, WILL, WONT),
            _ => (&mut self.them, DO, DONT),
        };
        let on = matches!(verb, DO | WILL);
        // The extension is the machine's to offer.
        let known = known(option).filter(|_| option != VMWARE || yes == WILL);
        let answer = match known {
            Some(at) => sides[at].change(on),
            None => on,
        };
        if answer {
            got.wire.extend([IAC, if on && known.is_some() { yes } else { no }, option]);
        }
    }

    fn extension(&mut self, code: u8, payload: &[u8], got: &mut Got) {
        let who = &self.identity;
        let (code, answer) = match code {
            KNOWN_2 => {
                got.wire.extend(framed(KNOWN_1, &KNOWN));
                match self.request.take() {
                    // unverified: that a host asks nothing of one that does not know the word.
                    Some((code, _)) if !payload.contains(&code) => {
                        self.proxy = Proxy::Refused;
                        return;
                    }
                    Some(request) => request,
                    None => return,
                }
            }
            UNKNOWN_2 => {
                if matches!(payload, [DO_PROXY | VMOTION_PEER, ..]) {
                    self.proxy = Proxy::Refused;
                } else if payload.first() == Some(&VMOTION_BEGIN) {
                    self.vmotion = Vmotion::NotNow;
                }
                return;
            }
            WILL_PROXY | WONT_PROXY => {
                // Nothing was asked: an answer to nothing changes nothing.
                if self.proxy == Proxy::Asking && self.request.is_none() {
                    let granted = code == WILL_PROXY;
                    self.proxy = if granted { Proxy::Granted } else { Proxy::Refused };
                }
                return;
            }
            VMOTION_GOAHEAD | VMOTION_NOTNOW => {
                if self.vmotion == Vmotion::Asked {
                    let secret = payload.strip_prefix(self.sequence.as_slice());
                    self.vmotion = match secret.filter(|_| code == VMOTION_GOAHEAD) {
                        Some(secret) => Vmotion::GoAhead(secret.to_vec()),
                        None => Vmotion::NotNow,
                    };
                }
                return;
            }
            VMOTION_PEER_OK => {
                if self.proxy == Proxy::Asking && payload.starts_with(&self.sequence) {
                    self.proxy = Proxy::Granted;
                    self.vmotion = Vmotion::PeerOk;
                }
                return;
            }
            81 => (80, spaced(&who.vc_uuid)),
            83 => (82, who.name.clone().into_bytes()),
            85 => (84, spaced(&who.bios_uuid)),
            87 => (86, spaced(&who.location_uuid)),
            unknown => (UNKNOWN_1, vec![unknown]),
        };
        got.wire.extend(framed(code, &answer));
    }
}

fn known(option: u8) -> Option<usize> {
    OPTIONS.iter().position(|it| *it == option)
}

fn framed(code: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![IAC, SB, VMWARE, code];
    for byte in payload {
        wire.push(*byte);
        if *byte == IAC {
            wire.push(IAC);
        }
    }
    wire.extend([IAC, SE]);
    wire
}

/// `01 23 45 67 89 ab cd ef-fe dc ba 98 76 54 32 10`; what is no UUID stays as it is.
fn spaced(uuid: &str) -> Vec<u8> {
    let digits: Vec<u8> = uuid.bytes().filter(u8::is_ascii_hexdigit).collect();
    if digits.len() != 32 {
        return uuid.bytes().collect();
    }
    let mut text = Vec::new();
    for (at, digit) in digits.iter().enumerate() {
        match at {
            16 => text.push(b'-'),
            0 => {}
            _ if at % 2 == 0 => text.push(b' '),
            _ => {}
        }
        text.push(digit.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
#[path = "telnet_tests.rs"]
mod tests;
