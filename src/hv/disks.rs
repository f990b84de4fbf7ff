//! Virtual disks and removable drives of machines.
//!
//! Each verb prepares, as in `lifecycle`. Disks are meant by their label, drives by their number.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::Disk;
use crate::hv::prepared::Prepared;

/// A disk as a list shows it: more than a machine's details tell.
#[derive(Clone, Debug, PartialEq)]
pub struct DiskDetail {
    pub disk: Disk,
    /// The hypervisor's number of the device.
    pub key: i64,
    /// `SCSI 0:1`
    pub place: Option<String>,
    /// Whether writes stay: the hypervisor's word.
    pub mode: Option<String>,
    pub uuid: Option<String>,
    pub datastore: Option<String>,
    /// What it is kept as, such as a raw device.
    pub format: String,
    /// Files below it that hold older states: snapshots, or the source of a linked clone.
    pub parents: i64,
}

/// A disk to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDisk {
    pub size_gb: i64,
    pub thin: bool,
    /// Where the machine itself is, if not given.
    pub datastore: Option<String>,
}

/// An image for a CD/DVD drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    pub path: String,
    pub datastore: Option<String>,
}

/// Virtual disks and removable drives of machines on one server.
pub trait Disks: Send + Sync {
    fn list(&self, call: &Call, machine: &str) -> Result<Vec<DiskDetail>>;

    fn add<'a>(&'a self, call: &Call, machine: &str, new: &NewDisk) -> Result<Prepared<'a>>;

    /// With its file, or leaving the file where it is.
    fn remove<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        disk: &str,
        with_file: bool,
    ) -> Result<Prepared<'a>>;

    fn extend<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        disk: &str,
        size_gb: i64,
    ) -> Result<Prepared<'a>>;

    /// Another CD/DVD drive, empty or with an image that the machine may start from.
    fn add_drive<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        image: Option<&Image>,
        boot: bool,
    ) -> Result<Prepared<'a>>;

    /// Puts an image into the drive of this number, counted from 0.
    fn insert<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        drive: usize,
        image: &Image,
    ) -> Result<Prepared<'a>>;

    /// Empties every drive that holds an image.
    fn eject<'a>(&'a self, call: &Call, machine: &str) -> Result<Prepared<'a>>;
}
