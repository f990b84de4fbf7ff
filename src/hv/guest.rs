//! Inside the guest system: programs, processes and files, through its agent.
//!
//! Everything here is done as a user of the guest. Surprising: an agent knows neither a program's
//! output nor the end of its children, only the process that it started itself.

use std::io::Read;
use std::time::Duration;

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::text::secret::Secret;

/// A user of a guest and the password.
#[derive(Clone, Debug)]
pub struct Login {
    pub user: String,
    pub password: Secret,
}

/// A guest that can be asked, and as whom.
#[derive(Clone, Debug)]
pub struct Inside {
    pub machine: MachineRef,
    /// Paths are `C:\...` and the shell is `cmd.exe`; else paths are `/...` and it is `/bin/sh`.
    pub windows: bool,
    pub login: Login,
    /// Where the machine runs, in the hypervisor's own words.
    pub place: Option<String>,
}

/// A program to start.
pub struct Program {
    /// A line for the guest's shell; a program where there are arguments.
    pub command: String,
    /// As the shell reads them.
    pub arguments: Option<String>,
    pub folder: Option<String>,
    /// How long its end is awaited; `None` for not at all.
    pub wait: Option<Duration>,
    /// Keep so many bytes of each of its outputs; `None` for throwing them away.
    pub capture: Option<usize>,
}

/// The beginning of one output of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub bytes: Vec<u8>,
    /// Of all of it.
    pub total: u64,
}

/// What became of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    pub pid: i64,
    /// It outlived the wait, or nobody waited.
    pub running: bool,
    pub exit_code: Option<i64>,
    /// Standard output and error, where they were captured.
    pub outputs: Option<[Output; 2]>,
    /// A folder in the guest with `out` and `err`, to which a program that still runs writes on, or
    /// which could not be removed.
    pub left: Option<String>,
}

/// A process of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub pid: i64,
    pub name: String,
    pub owner: String,
    pub command: String,
    /// RFC 3339.
    pub started: String,
    /// Only of a program that the agent started, for some minutes.
    pub ended: Option<String>,
    pub exit_code: Option<i64>,
}

/// What a path in a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Directory,
    Link,
}

impl FileKind {
    /// The word for a user.
    pub fn word(self) -> &'static str {
        match self {
            FileKind::File => "file",
            FileKind::Directory => "directory",
            FileKind::Link => "symlink",
        }
    }
}

/// A file or directory in a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFile {
    pub name: String,
    pub kind: FileKind,
    pub size: i64,
    /// RFC 3339.
    pub modified: Option<String>,
    /// Where a link leads.
    pub target: Option<String>,
    /// Numeric ids and mode bits, where the system has such.
    pub owner: Option<i64>,
    pub group: Option<i64>,
    pub permissions: Option<i64>,
    pub hidden: Option<bool>,
    pub read_only: Option<bool>,
}

/// A part of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub files: Vec<GuestFile>,
    /// Entries of the whole directory that fit.
    pub total: usize,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    One(GuestFile),
    /// A directory with so many entries.
    Directory(usize),
}

/// Takes a file piece by piece; false for enough of it.
pub type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<bool>;

/// A file that goes into a guest.
pub struct Outgoing {
    pub size: u64,
    pub body: Box<dyn Read + Send>,
    pub overwrite: bool,
    /// Mode bits; `None` for what the guest gives by itself.
    pub permissions: Option<i64>,
    /// Numeric ids of user and group; `None` for those who write it.
    pub owner: (Option<i64>, Option<i64>),
}

/// Inside the guest system: programs, processes and files, through its agent on one server.
pub trait Guest: Send + Sync {
    /// The guest of the machine that `wanted` means; refuses one that cannot be asked now.
    fn enter(&self, call: &Call, wanted: &str, login: Login) -> Result<Inside>;

    /// Refuses a command line that this guest cannot be given.
    fn check(&self, at: &Inside, program: &Program) -> Result<()>;

    /// Starts a program and, if asked, waits for its end. Cancelled, it is ended.
    fn run(&self, call: &Call, at: &Inside, program: &Program) -> Result<Ran>;

    /// All processes, or those of these pids.
    fn processes(&self, call: &Call, at: &Inside, pids: &[i64]) -> Result<Vec<Process>>;

    /// Ends a process.
    fn kill(&self, call: &Call, at: &Inside, pid: i64) -> Result<()>;

    /// A part of a directory, whose names fit the glob; or the one file that `path` is.
    fn list(
        &self,
        call: &Call,
        at: &Inside,
        path: &str,
        glob: Option<&str>,
        page: (usize, usize),
    ) -> Result<Listing>;

    /// What is at a path; a link counts as what it leads to only where that is a directory.
    fn look(&self, call: &Call, at: &Inside, path: &str) -> Result<Found>;

    /// Makes a directory; false if it is there already.
    fn make_directory(&self, call: &Call, at: &Inside, path: &str, parents: bool) -> Result<bool>;

    /// Deletes a file or a link; of a directory, all that is in it too where `recursive`.
    fn delete(
        &self,
        call: &Call,
        at: &Inside,
        path: &str,
        directory: bool,
        recursive: bool,
    ) -> Result<()>;

    /// Reads a file; its size as the guest told it before.
    fn fetch(&self, call: &Call, at: &Inside, path: &str, take: Take<'_>) -> Result<u64>;

    /// Writes a file.
    fn store(&self, call: &Call, at: &Inside, path: &str, file: Outgoing) -> Result<()>;
}
