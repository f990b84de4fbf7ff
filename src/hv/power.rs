//! Switching machines on and off.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, PowerState};

/// A switch that every hypervisor has in some form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    On,
    /// Like pulling the plug.
    Off,
    /// The guest's own way down; needs its agent.
    ShutdownGuest,
    RebootGuest,
    StandbyGuest,
    /// Like the reset button.
    Reset,
    /// To disk, to be gone on with by `On`.
    Suspend,
}

impl Verb {
    /// The state that this verb leads to, when being there already makes it needless.
    pub fn goal(self) -> Option<PowerState> {
        match self {
            Verb::On => Some(PowerState::On),
            Verb::Off | Verb::ShutdownGuest => Some(PowerState::Off),
            Verb::Suspend | Verb::StandbyGuest => Some(PowerState::Suspended),
            Verb::Reset | Verb::RebootGuest => None,
        }
    }

    /// True where the guest's agent does the work and must be running.
    pub fn needs_agent(self) -> bool {
        matches!(self, Verb::ShutdownGuest | Verb::RebootGuest | Verb::StandbyGuest)
    }
}

/// How a switch was found and left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switched {
    Done,
    /// Somebody had done it before; nothing was changed.
    Already,
}

/// The power switches of one server.
pub trait Power: Send + Sync {
    /// Flips the switch and waits until the hypervisor says that it is done; the guest verbs only
    /// ask, and return once the guest was told.
    fn switch(&self, call: &Call, machine: &MachineRef, verb: Verb) -> Result<Switched>;
}
