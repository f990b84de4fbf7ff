//! The outside world as configuration sees it: variables, places of files, who we are.
//!
//! It knows no option's meaning. Tests make one of their own, so that none touches the process.
//! Surprising: it keeps only variables whose names are ours, each as a secret, so that printing
//! it tells nothing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::names;
use crate::text::order;
use crate::text::secret::Secret;

/// Largest env file, in bytes.
pub const LARGEST_ENV_FILE: usize = 1024 * 1024;

/// Largest file with a secret, in bytes.
pub const LARGEST_SECRET_FILE: usize = 64 * 1024;

/// Variables and places; where files are is replaced in tests.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Ours, and those that claim to be; none as value if it is not UTF-8.
    pub(in crate::config) variables: Vec<(String, Option<Secret>)>,
    /// `$CREDENTIALS_DIRECTORY`.
    pub(in crate::config) credentials: Option<PathBuf>,
    directory: PathBuf,
    system_file: PathBuf,
    user: Option<u32>,
}

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// There is none.
    Missing,
    /// We may not.
    Denied,
    /// Anything else, in words that follow "it".
    Other(&'static str),
}

impl Unread {
    /// Words that follow the name of the file.
    pub fn words(self) -> &'static str {
        match self {
            Unread::Missing => "does not exist",
            Unread::Denied => "may not be read by this user",
            Unread::Other(words) => words,
        }
    }
}

impl Environment {
    /// The variables, working directory and user of this process, and `/etc/jumpvisor/env`.
    pub fn process() -> Environment {
        let user = std::fs::metadata("/proc/self").ok().map(|it| it.uid());
        Environment::new(std::env::vars_os(), ".", "/etc/jumpvisor/env", user)
    }

    /// One of given parts: `directory` is where `.env` and relative paths are looked for, `user`
    /// the numeric id that must own `.env` (none: nobody is trusted).
    pub fn new(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        directory: impl Into<PathBuf>,
        system_file: impl Into<PathBuf>,
        user: Option<u32>,
    ) -> Environment {
        let mut kept = Vec::new();
        let mut credentials = None;
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if name == "CREDENTIALS_DIRECTORY" {
                credentials = Some(PathBuf::from(value)).filter(|path| path.is_absolute());
            } else if names::is_claimed(&name) || names::find(&name).is_some() {
                kept.push((name, value.into_string().ok().map(Secret::new)));
            }
        }
        Environment {
            variables: order::by_key(kept, |it| it.0.clone()),
            credentials,
            directory: directory.into(),
            system_file: system_file.into(),
            user,
        }
    }

    /// The env file of the system.
    pub fn system_file(&self) -> &Path {
        &self.system_file
    }

    /// Reads a file of at most `limit` bytes.
    pub fn read(&self, path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let file = File::open(self.directory.join(path)).map_err(unread)?;
        read_file(file, limit)
    }

    /// The same of a file that is ours or the system's, and that nobody else may read or write.
    pub fn read_private(&self, path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
        self.probe(path)?;
        let file = File::open(self.directory.join(path)).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if self.user != Some(metadata.uid()) && metadata.uid() != 0 {
            return Err(Unread::Other("belongs to another user"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Unread::Other("can be read by others (chmod 600 it)"));
        }
        read_file(file, limit)
    }

    /// Says why a path is no readable file, without reading it.
    pub fn probe(&self, path: &Path) -> Result<(), Unread> {
        let file = self.directory.join(path);
        if !std::fs::metadata(&file).map_err(unread)?.is_file() {
            return Err(Unread::Other("is not a plain file"));
        }
        File::open(&file).map(drop).map_err(unread)
    }

    /// Reads `.env` in the working directory if it is ours alone to write.
    pub fn read_local(&self) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let path = self.directory.join(".env");
        // Asked first, because opening a pipe would wait for its writer.
        if !std::fs::metadata(&path).map_err(unread)?.is_file() {
            return Err(Unread::Other("is not a plain file"));
        }
        let file = File::open(&path).map_err(unread)?;
        let metadata = file.metadata().map_err(unread)?;
        if !metadata.is_file() {
            return Err(Unread::Other("is not a plain file"));
        }
        if self.user != Some(metadata.uid()) {
            return Err(Unread::Other("belongs to another user"));
        }
        if metadata.permissions().mode() & 0o022 != 0 {
            return Err(Unread::Other("can be written by others (chmod go-w .env)"));
        }
        read_file(file, LARGEST_ENV_FILE)
    }

    /// The names of the systemd credentials, sorted; none if there is no such directory.
    pub fn credential_names(&self) -> Vec<String> {
        let Some(entries) = self.credentials.as_ref().and_then(|it| std::fs::read_dir(it).ok())
        else {
            return Vec::new();
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        order::by_key(names.collect(), String::clone)
    }
}

fn read_file(file: File, limit: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
    let length = file.metadata().map_or(0, |it| it.len());
    let room = usize::try_from(length).unwrap_or(limit).min(limit).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(unread)?;
    match bytes.len() > limit {
        true if limit == LARGEST_ENV_FILE => Err(Unread::Other("is larger than 1 MiB")),
        true => Err(Unread::Other("is larger than 64 KiB")),
        false => Ok(bytes),
    }
}

fn unread(error: std::io::Error) -> Unread {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unread::Missing,
        ErrorKind::PermissionDenied => Unread::Denied,
        ErrorKind::IsADirectory => Unread::Other("is a folder"),
        ErrorKind::InvalidInput => Unread::Other("has a name that cannot be one"),
        _ => Unread::Other("cannot be read"),
    }
}
