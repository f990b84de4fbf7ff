//! A file or folder that is made: whole in the end, or gone.
//!
//! It must not know where it may lie; who opened it has seen to that. Surprising: what is being
//! written bears a temporary name, and several files may get theirs before any of them is kept.

use std::fs::File;
use std::io;
use std::io::{Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::files::exists;
use crate::files::source::Source;

/// A file that is being written; what is not [`commit`](Target::commit)ted is removed.
pub struct Target {
    pub(super) file: File,
    pub(super) folder: OwnedFd,
    pub(super) name: PathBuf,
    /// What it is called at present.
    pub(super) part: PathBuf,
    pub(super) overwrite: bool,
    pub(super) shown: String,
    pub(super) done: bool,
}

/// A folder that was made; unless it is [kept](Folder::keep) it is removed again, if it is empty.
pub struct Folder {
    pub(super) above: OwnedFd,
    pub(super) name: PathBuf,
    pub(super) kept: bool,
}

impl Folder {
    /// It stays.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.kept {
            let _ = rustix::fs::unlinkat(&self.above, &self.name, AtFlags::REMOVEDIR);
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Target {
    /// Gives the file its name, once all of it is on the disk.
    pub fn commit(mut self) -> Result<()> {
        self.rename()?;
        self.keep();
        Ok(())
    }

    /// The same for one of several files: it is still removed unless it is [kept](Target::keep).
    pub fn rename(&mut self) -> Result<()> {
        self.file.sync_all().map_err(|error| self.failed(&error))?;
        let flags = match self.overwrite {
            true => RenameFlags::empty(),
            false => RenameFlags::NOREPLACE,
        };
        match rustix::fs::renameat_with(&self.folder, &self.part, &self.folder, &self.name, flags) {
            Ok(()) => {
                self.part.clone_from(&self.name);
                Ok(())
            }
            Err(Errno::EXIST) => Err(exists(&self.shown)),
            Err(error) => Err(self.failed(&error.into())),
        }
    }

    /// It stays.
    pub fn keep(mut self) {
        self.done = true;
    }

    /// Goes on writing at another byte; what is between holds zeros.
    pub fn seek(&mut self, to: u64) -> Result<()> {
        self.file.seek(SeekFrom::Start(to)).map(drop).map_err(|error| self.failed(&error))
    }

    /// Writes in another place, and does not go there.
    pub fn write_at(&mut self, bytes: &[u8], at: u64) -> Result<()> {
        self.file.write_all_at(bytes, at).map_err(|error| self.failed(&error))
    }

    /// Reads what was written so far, from the disk and not from memory where the system lets us.
    pub fn read_back(&mut self) -> Result<Source<'static>> {
        let unread = |it: &Target, error: &io::Error| {
            Error::new(Kind::Conflict, format!("`{}` cannot be read back: {error}", it.shown))
        };
        self.file.sync_all().map_err(|error| self.failed(&error))?;
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        let mut file = self.file.try_clone().map_err(|error| unread(self, &error))?;
        file.rewind().map_err(|error| unread(self, &error))?;
        let about = file.metadata().map_err(|error| unread(self, &error))?;
        Ok(Source::file(self.shown.clone(), file, about.len()))
    }

    /// The error for a write that failed.
    pub fn failed(&self, error: &io::Error) -> Error {
        Error::new(Kind::Conflict, format!("`{}` cannot be written: {error}", self.shown))
            .hint("Look at the space and the rights there")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !self.done {
            let _ = rustix::fs::unlinkat(&self.folder, &self.part, AtFlags::empty());
        }
    }
}
