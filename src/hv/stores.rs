//! Files on datastores: what a datastore is, what lies on it, and changing that.
//!
//! A path is the part behind the datastore, with `/` between folders. Every change prepares: it
//! looks at both ends and at who uses the files, and touches nothing until it is run.

use std::io::Read;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::places::Place;
use crate::hv::prepared::Prepared;

/// A datastore with who reaches it and who lives on it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreDetail {
    pub place: Place,
    pub mounts: Vec<Mount>,
    /// How many machines have files on it.
    pub machines: usize,
    /// Their names, where they were asked for.
    pub names: Vec<String>,
}

/// A host that mounts a datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub host: String,
    /// Such as `readWrite`.
    pub access: Option<String>,
    pub mounted: Option<bool>,
    pub accessible: Option<bool>,
    /// Why it is not accessible from there.
    pub trouble: Option<String>,
}

/// One file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// From the datastore's root; a folder's ends with `/`.
    pub path: String,
    /// A word for what it is, such as `iso`.
    pub kind: &'static str,
    pub folder: bool,
    pub size_bytes: Option<i64>,
    /// RFC 3339.
    pub modified: Option<String>,
    pub owner: Option<String>,
    /// How large a guest sees a disk.
    pub capacity_bytes: Option<i64>,
    pub thin: Option<bool>,
    /// The kind of controller that a disk was made for.
    pub adapter: Option<&'static str>,
    /// The name that people know a folder by, where it is not the path.
    pub alias: Option<String>,
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct Browse<'a> {
    pub store: &'a str,
    pub path: &'a str,
    /// Also what lies below the folders in it.
    pub recursive: bool,
    /// A glob for names.
    pub pattern: Option<&'a str>,
    /// With what must be read out of each disk.
    pub disks: bool,
}

/// A file or folder to be moved or copied.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    pub from_store: &'a str,
    pub from_path: &'a str,
    /// The same where it is left out.
    pub to_store: Option<&'a str>,
    pub to_path: Option<&'a str>,
    /// The source stays.
    pub copy: bool,
    /// A file that stands in the way is replaced.
    pub force: bool,
}

/// Gives what a file holds from a byte on, to its end.
pub type Reading<'a> = Box<dyn FnMut(u64) -> Result<Box<dyn Read + Send>> + Send + 'a>;

/// A file on a datastore that is read, from wherever is wanted.
pub struct Stored<'a> {
    /// As the hypervisor writes it.
    pub shown: String,
    pub size: u64,
    pub open: Reading<'a>,
}

/// A file on a datastore that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// As the hypervisor writes it.
    pub shown: String,
    /// What names the datastore and no other.
    pub store: String,
    pub path: String,
    /// Bytes of the file that is there and goes.
    pub replaces: Option<i64>,
    /// The folder that it goes into, where that is missing and made first.
    pub makes: Option<String>,
    /// What is free there, in bytes, as far as the hypervisor knows.
    pub free_bytes: Option<i64>,
    /// What to know before; a sentence. While it stands, [`Stores::write`] also refuses what would be
    /// of no use there.
    pub warning: Option<String>,
}

/// The datastores of one server.
pub trait Stores: Send + Sync {
    /// The one datastore that `wanted` means, by name, id or inventory path; with the machines'
    /// names if `names`.
    fn detail(&self, call: &Call, wanted: &str, names: bool) -> Result<StoreDetail>;

    /// What lies in a folder, by path; the path of a file gives that file.
    fn browse(&self, call: &Call, what: &Browse<'_>) -> Result<Vec<Entry>>;

    /// Deletes a file, a disk with its data, or a folder with all in it.
    fn remove<'a>(&'a self, call: &Call, store: &str, path: &str) -> Result<Prepared<'a>>;

    /// Makes a folder and those above it.
    fn make_folder<'a>(&'a self, call: &Call, store: &str, path: &str) -> Result<Prepared<'a>>;

    fn transfer<'a>(&'a self, call: &Call, what: &Transfer<'_>) -> Result<Prepared<'a>>;

    /// Whether a text names a file on a datastore by itself, datastore included.
    fn is_path(&self, text: &str) -> bool;

    /// The path of another file in the folder of this one; the datastore is named as there.
    fn beside(&self, path: &str, name: &str) -> Result<String>;

    /// A file to be read; `store` may be left out where the path names it.
    fn read<'a>(&'a self, call: &Call, store: Option<&str>, path: &str) -> Result<Stored<'a>>;

    /// Where a file would be written; one that is there is refused unless `overwrite`, and files that
    /// machines use always.
    fn slot(&self, call: &Call, store: Option<&str>, path: &str, overwrite: bool) -> Result<Slot>;

    /// Writes a file, of so many bytes where that is known; a word on what is left over, if anything
    /// is. `body` is read to its end before the file gets its name; when it fails, or anything else
    /// does, what was there before stays and nothing of the new file does.
    fn write(
        &self,
        call: &Call,
        to: &Slot,
        size: Option<u64>,
        body: &mut dyn Read,
    ) -> Result<Option<String>>;
}
