//! A pretend hypervisor that has serial ports and nothing else; the test says which.

use jumpvisor::error::{Error, Result};
use jumpvisor::hv::Host;
use jumpvisor::hv::appliances::Appliances;
use jumpvisor::hv::call::Call;
use jumpvisor::hv::console::Console;
use jumpvisor::hv::disks::Disks;
use jumpvisor::hv::guest::Guest;
use jumpvisor::hv::lifecycle::Lifecycle;
use jumpvisor::hv::machines::Machines;
use jumpvisor::hv::model::{About, Check, Status};
use jumpvisor::hv::nics::Nics;
use jumpvisor::hv::places::Places;
use jumpvisor::hv::power::Power;
use jumpvisor::hv::serials::Serials;
use jumpvisor::hv::snapshots::Snapshots;
use jumpvisor::hv::stores::Stores;

/// A host of these ports.
pub struct OnlyPorts<T>(pub T);

#[rustfmt::skip]
impl<T: Serials + 'static> Host for OnlyPorts<T> {
    fn status(&self) -> Status { panic!() }
    fn about(&self, _: &Call) -> Result<About> { Err(Error::bug("not played")) }
    fn check(&self, _: &Call) -> Vec<Check> { Vec::new() }
    fn machines(&self) -> &dyn Machines { panic!() }
    fn places(&self) -> &dyn Places { panic!() }
    fn power(&self) -> Option<&dyn Power> { None }
    fn snapshots(&self) -> Option<&dyn Snapshots> { None }
    fn lifecycle(&self) -> Option<&dyn Lifecycle> { None }
    fn disks(&self) -> Option<&dyn Disks> { None }
    fn nics(&self) -> Option<&dyn Nics> { None }
    fn guest(&self) -> Option<&dyn Guest> { None }
    fn console(&self) -> Option<&dyn Console> { None }
    fn stores(&self) -> Option<&dyn Stores> { None }
    fn serials(&self) -> Option<&dyn Serials> { Some(&self.0) }
    fn appliances(&self) -> Option<&dyn Appliances> { None }
    fn as_any(&self) -> &dyn std::any::Any { self }
    fn close(&self) {}
}
