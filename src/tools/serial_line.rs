//! From a machine's name to its console, for tools, resources and the command line.
//!
//! It must not know what is typed or read. Surprising: where another process holds a console, such as
//! the daemon, its socket is used, because a host's port takes one who dials; and a console that is
//! open here stays readable when its machine is off.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv;
use crate::hv::call::Call;
use crate::hv::fleet::Server;
use crate::hv::serials::Port;
use crate::serial::hub::{About, Console, Hub, Place, State, Status, Way};
use crate::serial::text;

/// Lines of a screenful.
pub const SCREEN: usize = 24;
/// How long a line may take to be there.
pub const DIAL: Duration = Duration::from_secs(10);
/// A line that was lost is given so long to come back before that is told.
const LOST: Duration = Duration::from_secs(2);
/// How long a fresh line has for its first words.
const FIRST_WORDS: Duration = Duration::from_millis(500);
/// Between two looks at a line.
const LOOK: Duration = Duration::from_millis(20);

/// Where consoles of one server are asked for.
pub struct Desk<'a> {
    pub server: &'a Server,
    pub consoles: &'a Hub,
    pub call: &'a Call,
}

/// A port and the console that is, or will be, at its other end.
pub struct Found {
    pub port: Port,
    pub about: About,
}

/// The console of a port, by the name of its server.
pub fn about(server: &str, port: &Port) -> About {
    let (machine, port_label) = (port.machine.id.clone(), port.label.clone());
    About {
        place: Place { server: server.to_owned(), machine, port: port_label },
        name: port.machine.name.clone(),
        uuids: port.uuids.clone(),
    }
}

impl Desk<'_> {
    /// The port of this label, or the only one of the network.
    pub fn find(&self, machine: &str, label: Option<&str>) -> Result<Found> {
        let server = self.server;
        let serials = server.host.serials().ok_or_else(|| {
            let said = format!("`{}` has no serial ports", server.name);
            Error::new(Kind::Unsupported, said).hint("list_servers shows the kind of each")
        })?;
        let ports = serials.ports(self.call, Some(machine))?;
        let labels: Vec<String> = ports.iter().map(|it| it.label.clone()).collect();
        let name = ports.first().map_or(machine, |it| &it.machine.name).to_owned();
        let several = ports.iter().filter(|it| it.network).count() > 1 && label.is_none();
        let of_network = ports.iter().any(|it| it.network);
        let meant = |it: &Port| match label {
            Some(label) => it.label.eq_ignore_ascii_case(label.trim()),
            None => it.network || !of_network,
        };
        let port = ports.into_iter().find(meant).filter(|_| !several);
        port.map(|port| Found { about: about(&server.name, &port), port }).ok_or_else(|| {
            let all = labels.join(", ");
            match label {
                _ if labels.is_empty() => {
                    Error::new(Kind::NotFound, format!("`{}` has no serial port", quoted(&name)))
                        .hint("setup_serial_port adds one")
                }
                Some(label) => {
                    let said = format!("`{name}` has no serial port `{}`", quoted(label));
                    Error::new(Kind::NotFound, said).hint(format!("There are: {all}"))
                }
                None => {
                    let said = format!("`{name}` has {} serial ports", labels.len());
                    Error::new(Kind::Conflict, said).hint(format!("Name one of: {all}"))
                }
            }
        })
    }

    /// The console, begun where there is none. It need not be connected.
    pub fn open(&self, found: &Found) -> Result<Console> {
        let (about, port) = (&found.about, &found.port);
        let here = self.consoles.find(&about.place);
        if let Some(console) = &here
            && (port.closed || console.status().state == State::Connected)
        {
            return Ok(console.clone());
        }
        if port.closed {
            return Err(found.refused());
        }
        let way = match (self.consoles.holder(about), &port.way) {
            (Some(socket), _) => Way::Socket(socket),
            (None, hv::serials::Way::Dial { host, port, telnet, tls }) => {
                let (host, port, telnet, tls) = (host.clone(), *port, *telnet, *tls);
                Way::Dial { host, port, telnet, tls }
            }
            (None, hv::serials::Way::Concentrator { .. }) if here.is_some() => Way::Dialled,
            (None, hv::serials::Way::Concentrator { proxy, .. }) => {
                let said = format!("{} goes to the concentrator {proxy}", found.shown());
                return Err(Error::new(Kind::Unsupported, said).hint(
                    "Attach there, or set SERIAL_SOCKETS to the folder of the one who listens \
                     there; setup_serial_port with via=direct lets the host listen",
                ));
            }
            (None, hv::serials::Way::Nowhere(_)) => return Err(found.refused()),
        };
        self.consoles.open(about, way)
    }

    /// The console once it is no longer dialled, and has had time for its first words.
    pub fn readable(&self, found: &Found) -> Result<Console> {
        let console = self.open(found)?;
        let begun = Instant::now();
        while console.status().state == State::Dialling && begun.elapsed() < DIAL {
            self.rest()?;
        }
        let now = console.status();
        if now.state == State::Connected && now.position == 0 {
            console.read(Some(0), 1, FIRST_WORDS, &|| self.stopped());
        }
        self.call.check()?;
        Ok(console)
    }

    /// The console, connected.
    pub fn connected(&self, found: &Found) -> Result<Console> {
        let console = self.open(found)?;
        let begun = Instant::now();
        loop {
            let now = console.status();
            let patience = if now.state == State::Lost { LOST } else { DIAL };
            if now.state == State::Connected {
                return Ok(console);
            }
            if begun.elapsed() > patience || found.port.closed {
                return Err(found.unconnected(&now));
            }
            self.rest()?;
        }
    }

    fn rest(&self) -> Result<()> {
        std::thread::sleep(LOOK);
        self.call.check()
    }

    /// True once the caller does not want it any more.
    pub fn stopped(&self) -> bool {
        self.call.check().is_err()
    }
}

impl Found {
    /// `Serial port 1 of edge01`, for a person.
    pub fn shown(&self) -> String {
        format!("{} of `{}`", quoted(&self.port.label), quoted(&self.port.machine.name))
    }

    /// Refuses a port that nobody can be behind just now.
    pub fn must_be_open(&self) -> Result<()> {
        if self.port.closed { Err(self.refused()) } else { Ok(()) }
    }

    fn refused(&self) -> Error {
        let why = self.port.trouble.as_deref().unwrap_or("nobody is at the other end");
        Error::new(Kind::Conflict, format!("{} cannot be reached: {why}", self.shown()))
            .hint("get_serial_port shows how it is set up")
    }

    fn unconnected(&self, now: &Status) -> Error {
        let why = now.why.as_deref().unwrap_or("no answer yet");
        let said = format!("{} at {} is not connected: {why}", self.shown(), self.port.address);
        Error::new(Kind::Network, said).hint(match &self.port.trouble {
            Some(trouble) => trouble.clone(),
            None => "A host's port takes one who dials: whoever else is there must leave first; a \
                     firewall may be between"
                .to_owned(),
        })
    }
}

/// The state in words, with what is wrong.
pub fn state(now: &Status) -> String {
    match &now.why {
        Some(why) => format!("{}: {why}", now.state.word()),
        None => now.state.word().to_owned(),
    }
}

/// The position at which the last lines begin.
pub fn screenful(console: &Console, lines: usize) -> u64 {
    // In this order: what comes between only adds to what is shown.
    let end = console.status().position;
    end.saturating_sub(console.screen(lines).len() as u64)
}

/// What was said, for who reads text.
pub struct Said {
    pub text: String,
    pub from: u64,
    /// Where to go on.
    pub next: u64,
    pub dropped: u64,
}

/// The text of raw bytes from a position on, of at most so many bytes.
pub fn cleaned(mut bytes: &[u8], from: u64, dropped: u64, most: usize) -> Said {
    loop {
        let (text, next) = text::clean(bytes, from);
        // Of raw bytes one may become three, so what is too long is cut there and cleaned anew.
        if text.len() <= most || bytes.len() <= 1 {
            return Said { text, from, next, dropped };
        }
        bytes = bytes.get(..bytes.len() / 2).unwrap_or_default();
    }
}
