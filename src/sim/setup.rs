//! How a simulated server is begun: what can be chosen, and the world that follows from it.
//!
//! The world is made when the first request comes, so that a server that nobody asks costs nothing.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use crate::error::{Error, Result};
use crate::sim::clock::{self, Clock};
use crate::sim::http::{Answer, Request, Service};
use crate::sim::inventory;
use crate::sim::inventory::Start;
use crate::sim::journal::{Change, Journal, Origin};
use crate::sim::replay::latest;
use crate::sim::rules::Rules;
use crate::sim::service::{Simulator, refuse};
use crate::vim::version::Version;

/// The version that is simulated unless another is asked for.
const VERSION: &str = "8.0.3.0";
/// Machines that can be made in bulk.
const MOST: u32 = 100_000;

/// What can be chosen.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A vCenter, else an ESXi host.
    pub vcenter: bool,
    /// So many plain machines instead of the dozen.
    pub machines: Option<u32>,
    /// The newest API version, such as `6.5`.
    pub version: Option<String>,
    /// Rules for what goes wrong, as JSON.
    pub rules: Option<String>,
    /// Where a jumping clock starts, as RFC 3339; without it the time is real.
    pub clock: Option<String>,
    /// A file that keeps the state.
    pub state: Option<PathBuf>,
    /// Where it listens, such as `127.0.0.1:8443`: a vCenter names it in the addresses of disks, where
    /// a real one names the host.
    pub address: Option<String>,
}

/// A simulated server; what was chosen wrongly is an error at once.
pub fn open(settings: Settings) -> Result<Arc<dyn Service>> {
    let rules = settings.rules.as_deref().map(Rules::parse).transpose()?.unwrap_or_default();
    let name = settings.version.as_deref().unwrap_or(VERSION);
    let oldest = Version::oldest_served();
    let version = Version::parse(name).filter(|it| *it >= oldest).ok_or_else(|| {
        let known: Vec<&str> =
            Version::all().filter(|it| *it >= oldest).map(Version::name).collect();
        Error::usage(format!("`{name}` is no version that can be simulated"))
            .hint(format!("Known: {}", known.join(", ")))
    })?;
    if settings.machines.is_some_and(|it| it > MOST) {
        return Err(Error::usage(format!("more than {MOST} VMs cannot be simulated")));
    }
    let clock = match settings.clock.as_deref() {
        None => Clock::real(),
        Some(text) => Clock::jumping(clock::parse(text).ok_or_else(|| {
            Error::usage(format!("`{text}` is no time")).hint("Write it like 2026-01-15T08:00:00Z")
        })?),
    };
    let mut start =
        Start { vcenter: settings.vcenter, machines: settings.machines, version, now: clock.now() };
    let origin = Origin { start: start.now, vcenter: start.vcenter, machines: start.machines };
    let kept = settings.state.as_deref().map(|path| Journal::open(path, origin)).transpose()?;
    let mut past = None;
    if let Some((journal, origin, changes)) = kept {
        if start.machines.is_some() && start.machines != origin.machines {
            return Err(Error::usage("the state file is of another number of VMs")
                .hint("Leave --vms out, or name another file"));
        }
        if origin.machines.is_some_and(|it| it > MOST) {
            return Err(Error::usage(format!("more than {MOST} VMs cannot be simulated")));
        }
        (start.now, start.machines) = (origin.start, origin.machines);
        past = Some((journal, changes));
    }
    let address = settings.address.unwrap_or_default();
    let parts = Mutex::new(Some(Parts { clock, rules, past }));
    Ok(Arc::new(Lazy { start, address, begun: OnceLock::new(), parts }))
}

/// What is used up when the world is made.
struct Parts {
    clock: Clock,
    rules: Rules,
    past: Option<(Journal, Vec<Change>)>,
}

/// A server whose world is made when it is first needed.
struct Lazy {
    start: Start,
    address: String,
    begun: OnceLock<Option<Simulator>>,
    parts: Mutex<Option<Parts>>,
}

impl Lazy {
    fn simulator(&self) -> Option<&Simulator> {
        let begin = || {
            let parts = self.parts.lock().unwrap_or_else(|broken| broken.into_inner()).take();
            match self.begin(parts?) {
                Ok(simulator) => Some(simulator),
                Err(error) => {
                    log::error!("the simulated inventory is wrong: {error}");
                    None
                }
            }
        };
        self.begun.get_or_init(begin).as_ref()
    }

    fn begin(&self, parts: Parts) -> Result<Simulator> {
        let mut world = inventory::world(&self.start)?;
        world.nfc.host.clone_from(&self.address);
        inventory::claim(&mut world);
        let Some((journal, changes)) = parts.past else {
            return Ok(Simulator::new(world, parts.clock, parts.rules));
        };
        let mut clock = parts.clock;
        clock.set(latest(&changes).max(clock.now()));
        let simulator = Simulator::new(world, Clock::jumping(self.start.now), Rules::default());
        simulator.replay(changes, clock, parts.rules, journal);
        Ok(simulator)
    }
}

impl Service for Lazy {
    fn answer(&self, request: &mut Request) -> Answer {
        match self.simulator() {
            Some(simulator) => simulator.answer(request),
            None => refuse(500),
        }
    }

    fn shutdown(&self) {
        if let Some(Some(simulator)) = self.begun.get() {
            simulator.shutdown();
        }
    }
}
