//! Appliances: a machine made of an OVF descriptor and its files, and the way back.
//!
//! The files flow through here and are stored nowhere. Surprising: whoever has them decides their
//! order, because an archive that comes through a pipe can only be read front to back.

use std::io::Read;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::disks::Image;
use crate::hv::prepared::Prepared;

/// How the disks of a new machine take their space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// Only what is written.
    Thin,
    /// All of it at once.
    Thick,
    /// All of it, filled with zeros.
    EagerZeroedThick,
}

/// A setting of an appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `class.key.instance`, with the parts that there are.
    pub key: String,
    pub value: String,
    /// The caller chose it; else it is the descriptor's default.
    pub given: bool,
}

/// What is to be made of an appliance.
#[derive(Clone, Debug)]
pub struct Import<'a> {
    /// The descriptor, as text.
    pub descriptor: &'a str,
    /// What the machine will be called.
    pub name: &'a str,
    pub datastore: Option<&'a str>,
    /// The networks that the descriptor names, in its order.
    pub wants: &'a [String],
    /// The server's network for all of them that `networks` does not name.
    pub network: Option<&'a str>,
    /// Network of the descriptor, network of the server.
    pub networks: &'a [(String, String)],
    pub provisioning: Provisioning,
    /// The deployment option's id.
    pub option: Option<&'a str>,
    /// All settings that the guest is to see, defaults included.
    pub settings: &'a [Setting],
    /// How the guest wants them: `com.vmware.guestInfo`, `iso`.
    pub transports: &'a [String],
    /// An image for its CD/DVD drive, from which it may start.
    pub iso: Option<Image>,
    pub boot_from_iso: bool,
    pub power_on: bool,
    /// Each file comes once, in an order of its own.
    pub one_pass: bool,
    /// The hypervisor fetches the files by itself.
    pub pull: Option<Pull>,
}

/// Where a hypervisor finds the files by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// The archive, or the folder of the files with `/` at its end.
    pub url: String,
    /// Files are members of an archive.
    pub archive: bool,
    /// SHA-1 of the certificate that the server of an https URL shows.
    pub thumbprint: Option<[u8; 20]>,
}

/// A file that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which of those that were wanted.
    pub at: usize,
    /// Bytes that will be read, where that is known.
    pub size: Option<u64>,
}

/// The files of an appliance, one after another; reading gives the bytes of the present one, already
/// unpacked where it was compressed.
pub trait Supply: Read + Send {
    /// Goes to the next file that is waited for. `wanted` has the descriptor's names in the
    /// hypervisor's order; who can only go on takes whichever comes, all others the first. `None` when
    /// nothing of that comes any more.
    fn next(&mut self, wanted: &[&str]) -> Result<Option<Piece>>;

    /// Reads what is left and compares with the manifest; what was checked, one sentence each.
    fn finish(&mut self) -> Result<Vec<String>>;
}

/// A machine on its way out, for who gathers its files.
pub trait Collect: Send {
    /// Before the first file: the call under which all of it runs, all names in order, the
    /// descriptor's first, and a descriptor like the one that will come.
    fn begin(&mut self, call: &Call, names: &[String], draft: &str) -> Result<()>;

    /// Takes a file whole; its bytes.
    fn file(&mut self, name: &str, body: &mut dyn Read) -> Result<u64>;

    /// The descriptor, when all files are here; what was written where, one sentence each. Without
    /// this nothing stays.
    fn finish(&mut self, descriptor: &str) -> Result<Vec<String>>;
}

/// What is exported.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// Name, id or path of the machine.
    pub machine: &'a str,
    /// Stem of the files' names.
    pub stem: &'a str,
    /// The guest of a running machine settles its file systems first.
    pub quiesce: bool,
}

/// Machines from appliances, and into them.
pub trait Appliances: Send + Sync {
    /// Understands the descriptor, chooses places and has the server check it all; nothing is made.
    /// The run makes the machine whole or leaves nothing of it.
    fn import<'a>(
        &'a self,
        call: &Call,
        what: &Import<'_>,
        files: Box<dyn Supply + 'a>,
    ) -> Result<Prepared<'a>>;

    /// Looks at the machine and says what would be written.
    fn export<'a>(
        &'a self,
        call: &Call,
        what: &Export<'_>,
        into: Box<dyn Collect + 'a>,
    ) -> Result<Prepared<'a>>;
}
