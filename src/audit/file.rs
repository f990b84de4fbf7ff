//! A file of lines that is put aside when it is large, and found again when others have moved it.
//!
//! Several processes may write to one file: a line is one write at its end, made under a lock of the
//! file, and whoever holds the lock may put it aside. Surprising: a line that fits in part only is
//! taken back, so that no half of one is left; and who cannot get the lock writes all the same,
//! because a line without it is better than no line.

use std::fs;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// Bytes after which a file is put aside.
pub const LARGEST: u64 = 32 << 20;

/// Files that are kept beside the present one: `audit.jsonl.1` is the newest.
pub const KEPT: usize = 8;

/// How long another process's lock is waited for, and between two looks at it.
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(1);

/// How long a file grows on after it could not be put aside.
const REST: Duration = Duration::from_secs(60);

/// How often a file may be moved while one line is written.
const TURNS: usize = 20;

/// The file at one path.
pub(crate) struct Trail {
    path: PathBuf,
    largest: u64,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    open: Option<File>,
    /// The last line may have been left without its end.
    torn: bool,
    rests: Option<Instant>,
}

impl Trail {
    pub fn new(path: PathBuf, largest: u64) -> Trail {
        Trail { path, largest, now: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets go of the file.
    pub fn reopen(&self) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).open = None;
    }

    /// Whether a line could be written, as far as that shows without writing or making anything.
    pub fn tried(&self) -> io::Result<()> {
        match OpenOptions::new().append(true).custom_flags(NONBLOCK).open(&self.path) {
            Err(why) if why.kind() == ErrorKind::NotFound => {
                let folder = self.path.parent().filter(|it| !it.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
                Ok(rustix::fs::access(folder, access)?)
            }
            other => other.map(drop),
        }
    }

    /// Appends a whole line, with its end.
    pub fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Now { open, torn, rests } = &mut *now;
        for _ in 0..TURNS {
            let (mut file, named) = self.find(open)?;
            if !file.metadata()?.is_file() {
                // A device or a pipe has no size, no lock and no second name.
                written(&mut file, line, torn, false)?;
                *open = Some(file);
                return Ok(());
            }
            let locked = lock(&file);
            let about = file.metadata()?;
            // While the lock was waited for, whoever had it may have put the file aside. Dropped
            // here, it is unlocked.
            if named && !self.is_at_path(&about) {
                continue;
            }
            let full = about.len() > 0 && about.len() + line.len() as u64 > self.largest;
            if full && locked && named && rests.is_none_or(|it| it.elapsed() >= REST) {
                match self.put_aside() {
                    Ok(()) => continue,
                    Err(why) => {
                        *rests = Some(Instant::now());
                        let path = crate::audit::shown(&self.path);
                        log::warn!("the audit log {path} cannot be put aside and grows on: {why}");
                    }
                }
            }
            let result = written(&mut file, line, torn, locked);
            if locked {
                let _ = file.unlock();
            }
            // What was full may be well the next time, and another file.
            *open = result.is_ok().then_some(file);
            return result;
        }
        Err(io::Error::other("it is moved again and again"))
    }

    /// The file, and whether it bears the name. Where none can be opened, it is the one that bore the
    /// name before, as long as it has some name: a line there is not lost.
    fn find(&self, open: &mut Option<File>) -> io::Result<(File, bool)> {
        let before = open.take();
        if let Some(file) = before.as_ref().and_then(|it| it.metadata().ok())
            && self.is_at_path(&file)
            && let Some(file) = before
        {
            return Ok((file, true));
        }
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(NONBLOCK)
            .open(&self.path);
        match (opened, before) {
            (Err(_), Some(file)) if file.metadata()?.nlink() > 0 => Ok((file, false)),
            (opened, _) => Ok((opened?, true)),
        }
    }

    fn is_at_path(&self, about: &Metadata) -> bool {
        let named = fs::metadata(&self.path);
        named.is_ok_and(|it| (it.dev(), it.ino()) == (about.dev(), about.ino()))
    }

    /// Renames the file to `.1`, and those before it by one. Only names below the first free one
    /// move, so that a rotation that was broken off costs no file.
    fn put_aside(&self) -> io::Result<()> {
        let path = fs::canonicalize(&self.path)?;
        let aside = |number: usize| {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let free = (1..KEPT).find(|it| fs::symlink_metadata(aside(*it)).is_err()).unwrap_or(KEPT);
        for number in (1..free).rev() {
            fs::rename(aside(number), aside(number + 1))?;
        }
        fs::rename(&path, aside(1))?;
        if let Some(folder) = path.parent().and_then(|it| File::open(it).ok()) {
            // Not every file system can; the names are good without.
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// A pipe that nobody reads must not hold up calls.
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Whether this process may put the file aside: it holds the lock, or nobody can have one here.
fn lock(file: &File) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOOK),
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Error(_)) => return true,
        }
    }
}

/// Writes a line by one write. What is written in part is cut off again by who holds the lock, and
/// else begins the next line.
fn written(file: &mut File, line: &[u8], torn: &mut bool, locked: bool) -> io::Result<()> {
    let size = match locked {
        true => Some(file.metadata()?.len()),
        false => None,
    };
    let begun = if *torn { b"\n".as_slice() } else { b"" };
    let line = [begun, line].concat();
    let count = loop {
        match file.write(&line) {
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    if count == line.len() {
        *torn = false;
        return Ok(());
    }
    let cut = size.is_some_and(|it| file.set_len(it).is_ok());
    *torn |= count > 0 && !cut;
    Err(io::Error::new(ErrorKind::StorageFull, "there is no room for the whole line"))
}
