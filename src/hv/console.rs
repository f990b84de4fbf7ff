//! A machine's screen and keyboard, and the state of its guest agent.
//!
//! Keys are positions on a USB keyboard, not characters: which character a position gives is up to
//! the guest's layout. Verbs that wait honour the call's time and its cancellation.

use std::time::Duration;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::{Machine, MachineRef};
use crate::hv::prepared::Prepared;

/// A key pressed and released, by its usage on the keyboard page of the USB tables, with others
/// held meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stroke {
    pub usage: u8,
    pub control: bool,
    pub shift: bool,
    pub alt: bool,
    /// The right Alt, which layouts beside the American one call AltGr.
    pub alt_graph: bool,
    pub gui: bool,
}

/// Keys for one machine.
pub struct Typing {
    pub strokes: Vec<Stroke>,
    /// Between any two keys; `None` for as fast as the hypervisor takes them safely.
    pub pause: Option<Duration>,
    /// What is typed, for a person: never the text itself, which may be a password.
    pub told: String,
}

/// A picture of a screen, as the hypervisor made it.
pub struct Screen {
    pub machine: MachineRef,
    pub bytes: Vec<u8>,
    /// The hypervisor could not make it as large or small as asked.
    pub unscaled: bool,
}

/// The guest agent of one machine, in our words.
pub struct Agent {
    pub machine: Machine,
    pub running: bool,
    pub version: Option<String>,
    /// How the version stands to what the hypervisor has.
    pub standing: Option<String>,
    pub upgrade_advised: Option<bool>,
    pub install_type: Option<String>,
    pub guest_family: Option<String>,
    pub guest_name: Option<String>,
    pub hostname: Option<String>,
    /// What to do next.
    pub next: String,
}

/// A machine's screen and keyboard, and the state of its guest agent on one server.
pub trait Console: Send + Sync {
    /// A PNG of the screen of a machine that runs, as wide and high as asked where that can be
    /// done. One of the two alone keeps the proportions; neither means a size that stays legible.
    fn screen(
        &self,
        call: &Call,
        wanted: &str,
        width: Option<i64>,
        height: Option<i64>,
    ) -> Result<Screen>;

    /// Types on the keyboard of a machine that runs.
    fn keys<'a>(&'a self, call: &Call, wanted: &str, typing: Typing) -> Result<Prepared<'a>>;

    /// The agent as it stands.
    fn agent(&self, call: &Call, wanted: &str) -> Result<Agent>;

    /// The agent once it runs; an error when it does not within the call's time, or never will.
    fn await_agent(&self, call: &Call, wanted: &str, look_every: Duration) -> Result<Agent>;
}
