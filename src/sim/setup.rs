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
    let start =
        Start { vcenter: settings.vcenter, machines: settings.machines, version, now: clock.now() };
    let address = settings.address.unwrap_or_default();
    let parts = Mutex::new(Some((clock, rules)));
    Ok(Arc::new(Lazy { start, address, begun: OnceLock::new(), parts }))
}

/// A server whose world is made when it is first needed.
struct Lazy {
    start: Start,
    address: String,
    begun: OnceLock<Option<Simulator>>,
    parts: Mutex<Option<(Clock, Rules)>>,
}

impl Lazy {
    fn simulator(&self) -> Option<&Simulator> {
        let begin = || {
            let parts = self.parts.lock().unwrap_or_else(|broken| broken.into_inner()).take();
            let (clock, rules) = parts?;
            match inventory::world(&self.start) {
                Ok(mut world) => {
                    world.nfc.host.clone_from(&self.address);
                    Some(Simulator::new(world, clock, rules))
                }
                Err(error) => {
                    log::error!("the simulated inventory is wrong: {error}");
                    None
                }
            }
        };
        self.begun.get_or_init(begin).as_ref()
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
