//! The words and traits that all hypervisors share.
//!
//! Tools speak to a machine room through [`Host`] and the traits beside it; what a verb *is* on a
//! given product lives behind them, in that product's own folder. This layer must not know any
//! product's types: ids are opaque strings, states are our words with the native one beside them.
//! A family that a product cannot honour is `None`, never a default body that fails. Surprising:
//! verbs that need reading before they can be explained return a [`prepared::Prepared`], which
//! says what would happen and changes nothing until it is run.

pub mod appliances;
pub mod call;
pub mod console;
pub mod disks;
pub mod fleet;
pub mod guest;
pub mod lifecycle;
pub mod mac;
pub mod machines;
pub mod meter;
pub mod model;
pub mod nics;
pub mod places;
pub mod power;
pub mod prepared;
pub mod serials;
pub mod snapshots;
pub mod stores;

use crate::error::Result;
use crate::hv::appliances::Appliances;
use crate::hv::call::Call;
use crate::hv::console::Console;
use crate::hv::disks::Disks;
use crate::hv::guest::Guest;
use crate::hv::lifecycle::Lifecycle;
use crate::hv::machines::Machines;
use crate::hv::model::{About, Check, Status};
use crate::hv::nics::Nics;
use crate::hv::places::Places;
use crate::hv::power::Power;
use crate::hv::serials::Serials;
use crate::hv::snapshots::Snapshots;
use crate::hv::stores::Stores;

/// One managed server: a hypervisor or the manager of several.
pub trait Host: Send + Sync {
    /// What is known without opening a connection.
    fn status(&self) -> Status;

    /// Connects if need be and tells what the server is.
    fn about(&self, call: &Call) -> Result<About>;

    /// Tries the configuration step by step, going as far as it can; for `check`.
    fn check(&self, call: &Call) -> Vec<Check>;

    /// Finding and reading machines; every product can.
    fn machines(&self) -> &dyn Machines;

    /// Hosts, datastores, networks and what else machines live on.
    fn places(&self) -> &dyn Places;

    /// Switching machines on and off.
    fn power(&self) -> Option<&dyn Power>;

    /// Saved states of machines.
    fn snapshots(&self) -> Option<&dyn Snapshots>;

    /// Making, changing and deleting machines.
    fn lifecycle(&self) -> Option<&dyn Lifecycle>;

    /// Virtual disks and removable drives of machines.
    fn disks(&self) -> Option<&dyn Disks>;

    /// Network cards of machines.
    fn nics(&self) -> Option<&dyn Nics>;

    /// Inside the guest system: programs, processes and files, through its agent.
    fn guest(&self) -> Option<&dyn Guest>;

    /// A machine's screen and keyboard, and the state of its guest agent.
    fn console(&self) -> Option<&dyn Console>;

    /// Files on datastores.
    fn stores(&self) -> Option<&dyn Stores>;

    /// Serial ports, as they are dialled.
    fn serials(&self) -> Option<&dyn Serials>;

    /// Machines from appliances, and into them.
    fn appliances(&self) -> Option<&dyn Appliances>;

    /// The way back to the product's own client, for tools of that product only.
    fn as_any(&self) -> &dyn std::any::Any;

    /// Ends the session, within a few seconds, whatever the server does. A later call opens anew.
    fn close(&self);
}
