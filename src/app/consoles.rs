//! What serial consoles ask of the program: whom to let in, whose a line is, whom to trust in TLS;
//! and their lines in the audit log.
//!
//! It must not know how lines are carried. Surprising: who dials in is looked for only on the servers
//! that his address belongs to, and a server is asked about somebody unknown once in a while and not
//! each time, so that strangers cannot have it asked for ever.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::audit::Entry;
use crate::config::{Config, Family};
use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::hv::fleet::Server;
use crate::hv::serials::{Home, Port, Serials, Way};
use crate::serial::hub::{About, Caller, Outside, Session, State};
use crate::text::json;
use crate::text::json::{Number, Value};
use crate::tools::run::{Gate, correlation_id};
use crate::tools::serial_line::about;
use crate::web::line::resolve;
use crate::web::tls::{Tls, Trust, trust_of};

/// A server is asked about somebody unknown no sooner after it was asked last.
const AGAIN: Duration = Duration::from_secs(5);

/// How long a server has for an answer about its ports or hosts.
const ASK: Duration = Duration::from_secs(15);

/// How long a name has to become addresses, and how many names of one server are looked up.
const RESOLVE: Duration = Duration::from_secs(5);
const NAMES: usize = 256;

/// What is known of the world around the consoles.
pub struct Consoles {
    /// Weak, since the gate holds the consoles and they hold this.
    gate: OnceLock<Weak<Gate>>,
    around: Vec<Around>,
    /// Begins the correlation ids of this process.
    run: String,
}

/// One server, in the order of the fleet.
struct Around {
    name: String,
    /// Where it is reached, and how its own certificate is checked; none for a simulated one.
    own: Option<Own>,
    tls: OnceLock<Arc<ClientConfig>>,
    homes: Mutex<Arc<Vec<Home>>>,
    /// From where its machines may dial in.
    allowed: Mutex<Vec<IpAddr>>,
    ports: Mutex<Arc<Vec<Port>>>,
    /// When its ports were asked for last; held while they are.
    asked: Mutex<Option<Instant>>,
}

struct Own {
    host: String,
    vcenter: bool,
    trust: Trust,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|it: IpAddr| it.to_canonical())
}

impl Consoles {
    /// Of these servers; nothing is asked yet.
    pub fn new(servers: &[Server], config: &Config) -> Consoles {
        let around = servers.iter().map(|server| {
            let own = config.servers.iter().find(|it| it.name == server.name).map(|it| Own {
                host: it.endpoint.host.clone(),
                vcenter: it.family == Family::Vcenter,
                trust: crate::app::trust(it),
            });
            Around {
                name: server.name.clone(),
                // Who is known by an address need not wait for the first look.
                allowed: Mutex::new(own.iter().filter_map(|it| address(&it.host)).collect()),
                own,
                tls: OnceLock::new(),
                homes: Mutex::default(),
                ports: Mutex::default(),
                asked: Mutex::default(),
            }
        });
        Consoles { gate: OnceLock::new(), around: around.collect(), run: correlation_id() }
    }

    /// The gate that holds the consoles; once.
    pub fn behind(&self, gate: &Arc<Gate>) {
        let _ = self.gate.set(Arc::downgrade(gate));
    }

    /// The gate, as long as the process is not at its end.
    pub fn gate(&self) -> Result<Arc<Gate>> {
        self.gate
            .get()
            .and_then(Weak::upgrade)
            .ok_or_else(|| Error::new(Kind::Cancelled, "the program ends"))
    }

    /// The server that comes so late in the fleet.
    fn at(&self, at: usize) -> Result<&Around> {
        self.around.get(at).ok_or_else(|| Error::bug("a server that is none"))
    }

    fn ask<T>(
        &self,
        at: usize,
        call: &Call,
        what: impl FnOnce(&dyn Serials, &Call) -> Result<T>,
    ) -> Result<T> {
        let gate = self.gate()?;
        let server = gate.fleet.servers().get(at);
        let serials = server.and_then(|it| it.host.serials());
        let serials = serials
            .ok_or_else(|| Error::new(Kind::Unsupported, "this server has no serial ports"))?;
        what(serials, &call.clone().within(ASK))
    }

    /// Asks a server for its serial ports.
    pub fn ports(&self, at: usize, call: &Call) -> Result<Arc<Vec<Port>>> {
        self.fresh(at, call, &mut locked(&self.at(at)?.asked))
    }

    /// The same by who holds the right to ask.
    fn fresh(&self, at: usize, call: &Call, asked: &mut Option<Instant>) -> Result<Arc<Vec<Port>>> {
        let found = self.ask(at, call, |serials, call| serials.ports(call, None));
        *asked = Some(Instant::now());
        let mut found = found?;
        found.retain(|it| it.network);
        let found = Arc::new(found);
        *locked(&self.at(at)?.ports) = Arc::clone(&found);
        Ok(found)
    }

    /// Finds out from where the machines of a server may dial in. What could be found counts even
    /// where the rest could not.
    pub fn hosts(&self, at: usize, call: &Call) -> Result<()> {
        let around = self.at(at)?;
        let asked = self.ask(at, call, |serials, call| serials.hosts(call));
        let homes = match &asked {
            Ok(it) => Arc::new(it.clone()),
            Err(_) => Arc::clone(&locked(&around.homes)),
        };
        let mut words: Vec<&str> = around.own.iter().map(|it| it.host.as_str()).collect();
        for home in homes.iter() {
            let is_address = |it: &&String| address(it).is_some();
            let known = home.addresses.iter().any(|it| is_address(&it));
            // One that says its addresses need not be looked up.
            let kept = home.addresses.iter().filter(|it| !known || is_address(it));
            words.extend(kept.map(String::as_str));
        }
        let (mut allowed, mut names) = (Vec::new(), 0);
        for word in words {
            match address(word) {
                Some(ip) => allowed.push(ip),
                None if names < NAMES && call.check().is_ok() => {
                    names += 1;
                    match resolve(word, 0, RESOLVE) {
                        Ok(found) => allowed.extend(found.iter().map(|it| it.ip().to_canonical())),
                        Err(why) => crate::logging::debug!("`{word}` has no address: {why}"),
                    }
                }
                None => {}
            }
        }
        *locked(&around.homes) = homes;
        *locked(&around.allowed) = allowed;
        asked.map(|_| ())
    }

    /// The port of a server that a caller is behind.
    fn find(&self, at: usize, caller: &Caller) -> Option<About> {
        let around = self.around.get(at)?;
        let ports = Arc::clone(&locked(&around.ports));
        let identity = &caller.identity;
        let said = |uuid: &Option<String>, port: &Port| {
            uuid.as_ref().is_some_and(|it| port.uuids.contains(it))
        };
        let consoles = self.gate().ok().map(|it| it.consoles.clone());
        let free = |port: &Port| {
            let place = about(&around.name, port).place;
            let found = consoles.as_ref().and_then(|it| it.find(&place));
            found.is_none_or(|it| it.status().state != State::Connected)
        };
        // Clones may share a UUID, and ports of a machine their word: what fits best.
        let rank = |port: &Port| {
            let Way::Concentrator { word, .. } = &port.way else { return None };
            let (vc, bios) = (said(&identity.vc_uuid, port), said(&identity.bios_uuid, port));
            let named = identity.name.as_ref() == Some(&port.machine.name);
            (vc || bios).then(|| (vc, bios, named, *word == caller.uri, free(port)))
        };
        // Of equals the first, which `max_by_key` would not give.
        let best = ports.iter().rev().filter_map(|it| Some((rank(it)?, it))).max_by_key(|it| it.0);
        best.map(|(_, port)| about(&around.name, port))
    }
}

impl Outside for Consoles {
    fn client_tls(&self, server: &str, host: &str) -> Result<Arc<ClientConfig>> {
        let at = self.around.iter().position(|it| it.name == server).unwrap_or(usize::MAX);
        let around = self.at(at)?;
        let Some(own) = &around.own else {
            return Err(Error::new(Kind::Unsupported, "a simulated line speaks no TLS"));
        };
        let authorities = match &own.trust {
            _ if !own.vcenter => own.trust.clone(),
            Trust::CaFile(path) => Trust::CaFile(path.clone()),
            // That a vCenter's own certificate is known, or not looked at, says nothing of its hosts.
            _ => Trust::System,
        };
        if own.vcenter {
            if locked(&around.homes).is_empty() {
                self.hosts(at, &Call::new(Rights::ReadOnly))?;
            }
            let homes = Arc::clone(&locked(&around.homes));
            let is = |it: &&Home| it.addresses.iter().any(|it| it.eq_ignore_ascii_case(host));
            let vouched = homes.iter().find(is).and_then(|it| trust_of(it.certificate.as_ref()?));
            if let Some(trust) = vouched {
                return Ok(Tls::new(&trust)?.config());
            }
        }
        if let Some(config) = around.tls.get() {
            return Ok(Arc::clone(config));
        }
        // Kept, because each would hold all authorities of the system.
        let config = Tls::new(&authorities)?.config();
        Ok(Arc::clone(around.tls.get_or_init(|| config)))
    }

    fn may_dial_in(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        self.around.iter().any(|it| locked(&it.allowed).contains(&from))
    }

    fn whose(&self, caller: &Caller) -> Result<Option<About>> {
        let (from, begun) = (caller.from.to_canonical(), Instant::now());
        let its =
            |at: &usize| self.around.get(*at).is_some_and(|it| locked(&it.allowed).contains(&from));
        let servers: Vec<usize> = (0..self.around.len()).filter(its).collect();
        if let Some(found) = servers.iter().find_map(|at| self.find(*at, caller)) {
            return Ok(Some(found));
        }
        let mut failed = None;
        for at in servers {
            let mut asked = locked(&self.at(at)?.asked);
            // Somebody else may have asked while we waited for our turn.
            if asked.is_none_or(|it| it < begun) {
                let rest = asked.map(|it| AGAIN.saturating_sub(it.elapsed()));
                std::thread::sleep(rest.unwrap_or_default());
                let told = self.fresh(at, &Call::new(Rights::ReadOnly), &mut asked);
                failed =
                    told.err().map(|it| it.during(format!("server `{}`", self.around[at].name)));
            }
            drop(asked);
            if let Some(found) = self.find(at, caller) {
                return Ok(Some(found));
            }
        }
        failed.map_or(Ok(None), Err)
    }

    fn refused(&self, from: IpAddr, why: &str) {
        let Ok(gate) = self.gate() else { return };
        let mut entry = Entry::new(&correlation_id(), &from.to_string(), "console");
        entry.add("event", json::text("SESSION_REFUSED"));
        gate.audit.write(entry.ended(Duration::ZERO, Some(why.to_owned())));
    }

    /// Written at once: a line in the audit log takes some microseconds, and there is none but at the
    /// beginning and the end of a session.
    fn session(&self, number: u64, about: &About, who: &str, what: Session<'_>) {
        let Ok(gate) = self.gate() else { return };
        let mut entry = Entry::new(&format!("{}-{number}", self.run), who, "console");
        let args = json::object([
            ("name", json::text(&about.name)),
            ("port_label", json::text(&about.place.port)),
        ]);
        entry.about(Some(&about.place.server), args);
        match what {
            Session::Begins => entry.add("event", json::text("SESSION_BEGIN")),
            Session::Ends { why, typed, lasted } => {
                entry.add("event", json::text("SESSION_END"));
                entry.add("bytes_typed", Value::Number(Number::U64(typed)));
                entry.add("reason", json::text(why));
                entry = entry.ended(lasted, None);
            }
        }
        gate.audit.write(entry);
    }
}
