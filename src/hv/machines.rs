//! Finding machines and reading what they are.
//!
//! Surprising: a list costs one query whatever its length; asking machine by machine is the fault
//! that this program exists to avoid, so there is no way to do it here.

use crate::error::{Error, Result};
use crate::hv::call::Call;
use crate::hv::model::{Machine, MachineDetail};

/// How much a list shows of each machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Name, path and id: enough to find one.
    Names,
    /// What a list shows.
    Rows,
    /// With usage, all addresses and the guest agent.
    Full,
}

/// Words that mean no machine or several, each with its error.
pub type Unknown = Vec<(String, Error)>;

/// The machines of one server.
pub trait Machines: Send + Sync {
    /// Every machine that the account may see, in one query and its pages.
    fn list(&self, call: &Call, depth: Depth) -> Result<Vec<Machine>>;

    /// The one machine that `wanted` means: a name, an id, a UUID, an inventory path, or one of
    /// them forced by `moid:`, `uuid:` or `path:`. NotFound names near ones; several of one name
    /// are a Conflict that lists them.
    fn find(&self, call: &Call, wanted: &str) -> Result<Machine>;

    /// Several machines by names and globs, each once; and the words that mean none or several.
    fn find_all(&self, call: &Call, wanted: &[String]) -> Result<(Vec<Machine>, Unknown)>;

    /// Everything about one machine, found as by [`Machines::find`].
    fn detail(&self, call: &Call, wanted: &str) -> Result<MachineDetail>;
}
