//! Keeps the consoles of all servers open while nobody looks, and what is known of their hosts fresh.
//!
//! It must not know how a line is carried, nor a console's socket. Surprising: nothing is forgotten
//! that is missing for the first time, since a port may have been made after the server was asked.

use std::sync::Arc;
use std::thread;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::consoles::Consoles;
use crate::error::{Error, Kind, Result};
use crate::hv;
use crate::hv::call::{Call, Cancel, Rights};
use crate::hv::serials::Port;
use crate::serial::hub::{Hub, Place, Way};
use crate::threads::begin;
use crate::tools::serial_line::about;
use crate::web::serve::listen::who_listens;

/// How often a server is asked for its ports; while it does not answer, twice as long each time.
const ROUND: Duration = Duration::from_secs(30);
const LAST_REST: Duration = Duration::from_secs(300);

/// How soon after a change that was made here, and not again before.
const SOON: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(3);

/// How often for its hosts.
const HOSTS: Duration = Duration::from_secs(300);

/// Threads that ask; each has its share of the servers.
const THREADS: usize = 8;

/// How long the end waits for them.
const END: Duration = Duration::from_secs(2);

/// What is to be kept.
#[derive(Clone, Copy)]
pub struct Keeps {
    /// Every port's console is open.
    pub open: bool,
    /// Machines dial in here.
    pub listens: bool,
}

/// The threads.
pub struct Keeper {
    cancel: Cancel,
    threads: Vec<JoinHandle<()>>,
}

/// One server's.
struct Turn {
    at: usize,
    name: String,
    next: Instant,
    /// When it was asked last.
    asked: Option<Instant>,
    rest: Duration,
    /// When its hosts were asked for.
    hosts: Option<Instant>,
    /// Consoles whose ports were not there the last time.
    missing: Vec<Place>,
    /// Consoles of others, which was told.
    foreign: Vec<Place>,
    troubled: bool,
}

impl Keeper {
    /// Begins at once.
    pub fn start(consoles: &Arc<Consoles>, keeps: Keeps) -> Result<Keeper> {
        let cancel = Cancel::default();
        let gate = consoles.gate()?;
        let mut shares: Vec<Vec<Turn>> = (0..THREADS).map(|_| Vec::new()).collect();
        for (at, server) in gate.fleet.servers().iter().enumerate() {
            let turn = Turn {
                at,
                name: server.name.clone(),
                next: Instant::now(),
                asked: None,
                rest: ROUND,
                hosts: None,
                missing: Vec::new(),
                foreign: Vec::new(),
                troubled: false,
            };
            if let Some(share) = shares.get_mut(at % THREADS) {
                share.push(turn);
            }
        }
        let mut threads = Vec::new();
        for mut share in shares.into_iter().filter(|it| !it.is_empty()) {
            let (consoles, cancel, hub) =
                (Arc::clone(consoles), cancel.clone(), gate.consoles.clone());
            let work = Box::new(move || {
                while !cancel.is_cancelled() {
                    for turn in share.iter_mut().filter(|it| keeps.open && it.may_be_soon()) {
                        if hub.was_touched(&turn.name) {
                            turn.next = Instant::now();
                        }
                    }
                    for turn in share.iter_mut().filter(|it| it.next <= Instant::now()) {
                        turn.asked = Some(Instant::now());
                        turn.take(&consoles, &hub, keeps, &cancel);
                    }
                    let next = share.iter().map(|it| it.next).min();
                    let rest = next.map(|it| it.saturating_duration_since(Instant::now()));
                    thread::park_timeout(rest.unwrap_or(ROUND).min(SOON));
                }
            });
            threads.push(begin("consoles", work).map_err(|why| {
                Error::new(Kind::Busy, format!("no thread for the consoles: {why}"))
            })?);
        }
        Ok(Keeper { cancel, threads })
    }

    /// Ends it; who does not come back in time is left behind and opens nothing any more.
    pub fn end(&self) {
        self.cancel.cancel();
        self.threads.iter().for_each(|it| it.thread().unpark());
        let until = Instant::now() + END;
        while self.threads.iter().any(|it| !it.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Turn {
    /// One that does not answer is left alone, and nobody is asked at each of many changes.
    fn may_be_soon(&self) -> bool {
        !self.troubled && self.asked.is_some_and(|it| it.elapsed() >= PAUSE)
    }

    fn take(&mut self, consoles: &Consoles, hub: &Hub, keeps: Keeps, cancel: &Cancel) {
        let call = Call::new(Rights::ReadOnly).cancelled_by(cancel.clone());
        let mut told = Ok(());
        if keeps.listens && self.hosts.is_none_or(|it| it.elapsed() >= HOSTS) {
            told = consoles.hosts(self.at, &call);
            if told.is_ok() {
                self.hosts = Some(Instant::now());
            }
        }
        let mut usual = HOSTS;
        if keeps.open {
            usual = ROUND;
            told = consoles
                .ports(self.at, &call)
                .and_then(|ports| self.look(&ports, hub, keeps, cancel));
        }
        if cancel.is_cancelled() {
            return;
        }
        match told {
            Ok(()) => {
                if std::mem::take(&mut self.troubled) {
                    crate::logging::info!("server `{}` answers again", self.name);
                }
                self.rest = ROUND;
                self.next = Instant::now() + usual;
            }
            Err(error) if error.kind() == Kind::Unsupported => {
                crate::logging::info!("server `{}`: {error}", self.name);
                self.next = Instant::now() + LAST_REST;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.troubled, true) {
                    log::warn!("serial ports of `{}` are not known now: {error}", self.name);
                }
                self.rest = (self.rest * 2).min(LAST_REST);
                self.next = Instant::now() + self.rest;
            }
        }
    }

    /// Opens what is there and forgets what is no more. What fails for one port is told and does not
    /// stop the others.
    fn look(&mut self, ports: &[Port], hub: &Hub, keeps: Keeps, cancel: &Cancel) -> Result<()> {
        let mut there = Vec::new();
        let mut failed = None;
        for port in ports {
            if cancel.is_cancelled() {
                return Ok(());
            }
            there.push(about(&self.name, port).place);
            failed = self.tend(port, hub, keeps).err().or(failed);
        }
        let all = hub.all().into_iter().map(|it| it.about.place);
        let gone = all.filter(|it| it.server == self.name && !there.contains(it));
        let gone: Vec<Place> = gone.collect();
        for place in gone.iter().filter(|it| self.missing.contains(it)) {
            hub.forget(place);
        }
        self.missing = gone;
        self.foreign.retain(|it| there.contains(it));
        failed.map_or(Ok(()), Err)
    }

    fn tend(&mut self, port: &Port, hub: &Hub, keeps: Keeps) -> Result<()> {
        let about = about(&self.name, port);
        let now = hub.way(&about.place);
        let known = hub.find(&about.place).is_some();
        if matches!(now, Some(Way::Socket(_))) {
            // Somebody here attached to who holds it.
            return Ok(());
        }
        if !known && let Some(path) = hub.holder(&about) {
            if !self.foreign.contains(&about.place) {
                let who = who_listens(&path).unwrap_or_default();
                log::warn!("{who} holds the console at {}", path.display());
                self.foreign.push(about.place);
            }
            return Ok(());
        }
        let why = || port.trouble.clone().unwrap_or_else(|| "nobody is there".to_owned());
        match &port.way {
            hv::serials::Way::Dial { host, port: number, telnet, tls } if !port.closed => {
                let (host, port, telnet, tls) = (host.clone(), *number, *telnet, *tls);
                hub.keep(&about, Way::Dial { host, port, telnet, tls })?;
            }
            hv::serials::Way::Dial { .. } => drop(hub.rest(&about, &why())?),
            hv::serials::Way::Concentrator { proxy, .. } => {
                let place = |it: &str| it.split('#').next().map(str::to_ascii_lowercase);
                let ours = hub.advertised().is_none_or(|it| place(it) == place(proxy));
                if keeps.listens && ours {
                    hub.keep(&about, Way::Dialled)?;
                }
            }
            hv::serials::Way::Nowhere(_) if known => drop(hub.rest(&about, &why())?),
            hv::serials::Way::Nowhere(_) => {}
        }
        Ok(())
    }
}
