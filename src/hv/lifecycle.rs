//! Making, copying, changing and deleting machines.
//!
//! Each verb prepares: it resolves names, reads states and checks what can be checked, and changes
//! nothing until the [`Prepared`] is run.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::hv::prepared::Prepared;

/// A machine to be made. What is `None` is chosen from the server's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMachine {
    pub name: String,
    pub cpus: i64,
    pub memory_mb: i64,
    pub disk_gb: i64,
    pub datastore: Option<String>,
    pub network: Option<String>,
    /// The hypervisor's word for the guest system.
    pub guest_id: String,
    /// An ISO image for the CD drive, and the store that it lies on.
    pub iso_path: Option<String>,
    pub iso_datastore: Option<String>,
    pub boot_from_iso: bool,
    pub firmware: Firmware,
    pub secure_boot: bool,
    pub tpm: bool,
}

/// What starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Efi,
}

/// A copy to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewClone {
    pub name: String,
    pub power_on: bool,
    pub datastore: Option<String>,
    pub folder: Option<String>,
    /// Share the source's disks instead of copying them.
    pub linked: bool,
}

/// Changes to a machine; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub cpus: Option<i64>,
    pub memory_mb: Option<i64>,
    pub annotation: Option<String>,
    pub nested_virtualization: Option<bool>,
    pub cpu_hot_add: Option<bool>,
    pub memory_hot_add: Option<bool>,
}

/// A kind of thing to boot from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootDevice {
    Cdrom,
    Disk,
    Network,
    Floppy,
}

/// The verbs that make and unmake machines.
pub trait Lifecycle: Send + Sync {
    fn create<'a>(&'a self, call: &Call, new: &NewMachine) -> Result<Prepared<'a>>;

    fn copy<'a>(&'a self, call: &Call, source: &str, new: &NewClone) -> Result<Prepared<'a>>;

    /// Powers off first if it runs.
    fn delete<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>>;

    /// Refuses what the power state forbids, with the reason.
    fn reconfigure<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        changes: &Changes,
    ) -> Result<Prepared<'a>>;

    fn rename<'a>(&'a self, call: &Call, machine: &MachineRef, name: &str) -> Result<Prepared<'a>>;

    /// The devices to try, first to last.
    fn set_boot_order<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        order: &[BootDevice],
    ) -> Result<Prepared<'a>>;
}
