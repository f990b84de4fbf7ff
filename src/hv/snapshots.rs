//! Saving a machine's state, going back to it, throwing it away.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, Snapshot};

/// What to save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    pub name: String,
    pub description: String,
    /// Also save memory, so that a revert resumes the machine.
    pub memory: bool,
    /// Ask the guest to settle its file systems first.
    pub quiesce: bool,
}

/// The saved states of one server's machines.
pub trait Snapshots: Send + Sync {
    /// All of a machine's snapshots, parents before children.
    fn list(&self, call: &Call, machine: &MachineRef) -> Result<Vec<Snapshot>>;

    /// Saves the state; the new snapshot's id.
    fn create(&self, call: &Call, machine: &MachineRef, new: &NewSnapshot) -> Result<String>;

    /// Goes back to a saved state; what was not saved is lost.
    fn revert(&self, call: &Call, machine: &MachineRef, snapshot: &Snapshot) -> Result<()>;

    /// Deletes one, its changes merged into what follows; with its children if asked.
    fn remove(
        &self,
        call: &Call,
        machine: &MachineRef,
        snapshot: &Snapshot,
        with_children: bool,
    ) -> Result<()>;

    /// Deletes all.
    fn remove_all(&self, call: &Call, machine: &MachineRef) -> Result<()>;

    /// Changes name and description; what is `None` stays.
    fn rename(
        &self,
        call: &Call,
        machine: &MachineRef,
        snapshot: &Snapshot,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<()>;
}
