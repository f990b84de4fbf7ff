//! Simulated servers in the process: `--demo`.

use std::sync::Arc;

use crate::config::Config;
use crate::error::Result;
use crate::hv::fleet::Server;
use crate::sim::clock::Clock;
use crate::sim::inventory::{Start, world};
use crate::sim::rules::Rules;
use crate::sim::service::Simulator;
use crate::vim::version::Version;

/// The simulated servers.
pub fn servers(config: &Config) -> Result<Vec<Server>> {
    let clock = Clock::real();
    let version = Version::parse("8.0.3.0").unwrap_or(Version::newest());
    let start = Start { vcenter: false, machines: None, version, now: clock.now() };
    let service = Arc::new(Simulator::new(world(&start)?, clock, Rules::default()));
    Ok(vec![crate::app::simulated("esxi01", "esxi", service, config)])
}
