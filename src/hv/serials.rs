//! Serial ports as they are dialled: which machine has which, and how its line is reached.
//!
//! How a port is set up is each product's own. Surprising: that a port can be dialled says nothing
//! of whether anybody in the guest listens there.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::MachineRef;

/// How a port's line is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its host listens.
    Dial { host: String, port: u16, telnet: bool, tls: bool },
    /// The host dials a concentrator, which may be this program.
    Concentrator {
        proxy: String,
        /// What the concentrator is told, which may tell two ports of a machine apart.
        word: String,
    },
    /// Not from here; why, and which tool helps.
    Nowhere(String),
}

/// A serial port of a machine.
#[derive(Clone, Debug)]
pub struct Port {
    pub machine: MachineRef,
    /// As [`plain`](crate::text::uuid::plain) spells them: of the BIOS, of the instance.
    pub uuids: Vec<String>,
    /// Its name within the machine, such as `Serial port 1`.
    pub label: String,
    /// Its line is one of the network.
    pub network: bool,
    pub way: Way,
    /// Where it leads, for a person.
    pub address: String,
    /// Nobody can be at the other end just now: the machine is off, the port disconnected.
    pub closed: bool,
    /// What is wrong, and which tool helps.
    pub trouble: Option<String>,
    /// The machine runs.
    pub powered: bool,
}

/// A host that serial ports are on.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its name and its addresses, as far as the server tells: from these it dials.
    pub addresses: Vec<String>,
    /// Digest of its certificate in hex digits, where the server vouches for it.
    pub certificate: Option<String>,
}

/// Serial ports of the machines of one server.
pub trait Serials: Send + Sync {
    /// The ports of one machine, or in one round trip those of all. By machine, then as the machine
    /// has them.
    fn ports(&self, call: &Call, machine: Option<&str>) -> Result<Vec<Port>>;

    /// The hosts that the machines may be on, in one round trip.
    fn hosts(&self, call: &Call) -> Result<Vec<Home>>;
}
