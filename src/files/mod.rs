//! Files as far as tools may touch them: read one of this machine, of a web server or from standard
//! input; write one of this machine whole or not at all.
//!
//! The only layer that opens a local path, a URL or standard input. It must not know what a file holds
//! or who asks.
//! Surprising: where folders are set, the kernel itself resolves every path beneath them
//! (`openat2`), so that a link that leads out, or one that is swapped at the last moment, is refused
//! and not followed; and a file that is being written bears a temporary name until it is whole.

pub mod fetch;
pub mod flow;
pub mod gate;
pub mod source;
mod stdin;
pub mod stop;
pub mod target;
pub mod url;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Error, Kind, Result};
use crate::files::fetch::{Look, Web};
use crate::files::source::Source;
use crate::files::stop::Stop;
use crate::files::target::{Folder, Target};
use crate::files::url::Url;

/// Where tools may read and write.
#[derive(Clone, Debug)]
pub struct Files {
    /// `None` for wherever the user of this process may.
    roots: Option<Vec<PathBuf>>,
    /// Nothing may be written.
    read_only: bool,
    /// How URLs are opened; `None` for not at all.
    web: Option<Arc<Web>>,
    /// Standard input may be read, and was not yet.
    stdin: Arc<AtomicBool>,
}

/// Where a file would be made.
struct Spot {
    folder: OwnedFd,
    name: PathBuf,
    mode: Mode,
    /// Bytes of the file that is there.
    replaces: Option<u64>,
}

impl Files {
    /// Wherever the user of this process may.
    pub fn anywhere() -> Files {
        Files { roots: None, read_only: false, web: None, stdin: Arc::default() }
    }

    /// Below these folders only; with none, nowhere.
    pub fn below(roots: Vec<PathBuf>) -> Files {
        Files { roots: Some(roots), ..Files::anywhere() }
    }

    /// The same, without the right to write.
    pub fn read_only(mut self, read_only: bool) -> Files {
        self.read_only = read_only;
        self
    }

    /// The same, with URLs opened in this way.
    pub fn with_web(mut self, web: Web) -> Files {
        self.web = Some(Arc::new(web));
        self
    }

    /// From now on `-` means standard input, once: where that is not what messages come by.
    pub fn allow_stdin(&self) {
        self.stdin.store(true, Ordering::SeqCst);
    }

    /// Whether standard input is still there to be read.
    pub fn has_stdin(&self) -> bool {
        self.stdin.load(Ordering::SeqCst)
    }

    /// Opens what a user named: an http or https URL, `-` for standard input where it may be read, or
    /// else a file of this machine.
    pub fn source(&self, text: &str) -> Result<Source<'static>> {
        self.source_until(text, &Stop::default())
    }

    /// The same, ended by `stop`, which also ends opening it.
    pub fn source_until(&self, text: &str, stop: &Stop) -> Result<Source<'static>> {
        if text == "-" {
            if !self.stdin.swap(false, Ordering::SeqCst) {
                return Err(Error::usage(
                    "`-` is standard input, which `jumpvisor call` alone can read, and once",
                )
                .hint("Give the path of a file, or a URL; a file called so is `./-`"));
            }
            return stdin::open(stop);
        }
        match url::scheme(text) {
            Some(_) => self.fetch(&Url::parse(text)?, stop),
            None => Ok(self.open(text)?.stopped_by(stop.clone())),
        }
    }

    /// Opens a URL, such as one that [`Url::join`] made of a link in a descriptor. Links are joined to
    /// the URL that was named and not to where it led, because a link for a short time leads to one
    /// file only.
    pub fn fetch(&self, url: &Url, stop: &Stop) -> Result<Source<'static>> {
        self.web()?.open(url, stop)
    }

    /// Looks at a URL that somebody else is to fetch; it passes the same gate, and its server's
    /// certificate must be one that is trusted here.
    pub fn look(&self, url: &Url, stop: &Stop) -> Result<Look> {
        self.web()?.look(url, stop)
    }

    fn web(&self) -> Result<&Arc<Web>> {
        self.web.as_ref().ok_or_else(|| {
            Error::new(Kind::Denied, "nothing may be fetched from URLs here")
                .hint("URL_HOSTS names the hosts that tools may fetch from")
        })
    }

    /// Opens a file of this machine to read it.
    pub fn open(&self, path: &str) -> Result<Source<'static>> {
        let (folder, rest) = self.place(path)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(self.at(&folder, &rest, flags, path)?);
        let about = file.metadata().map_err(|error| unreadable(path, &error))?;
        if !about.is_file() {
            return Err(Error::usage(format!("`{path}` is no plain file")));
        }
        Ok(Source::file(path, file, about.len()))
    }

    /// Begins a file; one that is there is refused unless `overwrite`.
    pub fn create(&self, path: &str, overwrite: bool) -> Result<Target> {
        let Spot { folder, name, mode, .. } = self.spot(path, overwrite)?;
        // In a container every process has the same number, and one that was killed left its part.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let part = PathBuf::from(format!(".{}.{now}.part", name.display()));
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&folder, &part, flags, mode)
            .map_err(|error| unreadable(path, &error.into()))?;
        let (file, shown) = (File::from(file), path.to_owned());
        Ok(Target { file, folder, name, part, overwrite, shown, done: false })
    }

    /// Whether [`create`](Files::create) would begin a file there: bytes of the one that it would
    /// replace.
    pub fn may_create(&self, path: &str, overwrite: bool) -> Result<Option<u64>> {
        self.spot(path, overwrite).map(|it| it.replaces)
    }

    /// Whether a folder is there; something else in its place is refused.
    pub fn is_folder(&self, path: &str) -> Result<bool> {
        let (root, rest) = self.place(path)?;
        if rest.as_os_str().is_empty() {
            return Ok(true);
        }
        match self.at(&root, &rest, OFlags::PATH | OFlags::CLOEXEC, path) {
            Ok(found) => {
                let about =
                    rustix::fs::fstat(&found).map_err(|error| unreadable(path, &error.into()))?;
                Ok(rustix::fs::FileType::from_raw_mode(about.st_mode).is_dir())
            }
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a folder in one that is there.
    pub fn make_folder(&self, path: &str) -> Result<Folder> {
        let Spot { folder, name, .. } = self.spot(path.trim_end_matches('/'), false)?;
        let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
        match rustix::fs::mkdirat(&folder, &name, mode) {
            Ok(()) => Ok(Folder { above: folder, name, kept: false }),
            Err(error) => Err(unreadable(path, &error.into())),
        }
    }

    /// Where a file or folder would be made, if it may be.
    fn spot(&self, path: &str, overwrite: bool) -> Result<Spot> {
        if self.read_only {
            return Err(Error::new(Kind::Denied, "no file may be written by a read-only server")
                .hint("READ_ONLY is set"));
        }
        if path == "-" {
            return Err(Error::usage("nothing is written to standard output")
                .hint("Give the path of a file; one called so is `./-`"));
        }
        let (root, rest) = self.place(path)?;
        let name = rest
            .file_name()
            .map(PathBuf::from)
            .ok_or_else(|| Error::usage(format!("`{path}` names no file")))?;
        let folder = match rest.parent().filter(|it| !it.as_os_str().is_empty()) {
            Some(parent) => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let shown = parent.display().to_string();
                self.at(&root, parent, flags, &shown).map_err(|error| match error.kind() {
                    Kind::NotFound => {
                        let said = format!("there is no folder `{shown}`");
                        Error::new(Kind::NotFound, said).hint("Make it first, or name another one")
                    }
                    _ => error,
                })?
            }
            None => root,
        };
        let mut mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let mut replaces = None;
        match rustix::fs::statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) if !rustix::fs::FileType::from_raw_mode(about.st_mode).is_file() => {
                return Err(Error::usage(format!("`{path}` is there and no plain file"))
                    .hint("If it is a folder, name a file in it"));
            }
            Ok(_) if !overwrite => return Err(exists(path)),
            Ok(about) => {
                // What only the owner could read stays so.
                mode &= Mode::from_raw_mode(about.st_mode);
                replaces = Some(u64::try_from(about.st_size).unwrap_or(0));
            }
            Err(_) => {}
        }
        Ok(Spot { folder, name, mode, replaces })
    }

    /// The folder that a path is opened from, and the rest of it.
    fn place(&self, path: &str) -> Result<(OwnedFd, PathBuf)> {
        let wanted = Path::new(path);
        let (from, rest) = match &self.roots {
            None => (Path::new("."), wanted.to_path_buf()),
            Some(roots) => {
                let inside = |root: &PathBuf| {
                    let rest = match wanted.is_absolute() {
                        true => wanted.strip_prefix(root).ok()?,
                        false => wanted,
                    };
                    Some((root.clone(), rest.to_path_buf()))
                };
                let Some((root, rest)) = roots.iter().find_map(inside) else {
                    return Err(outside(path));
                };
                return Ok((self.root(&root)?, rest));
            }
        };
        Ok((self.root(from)?, rest))
    }

    fn root(&self, path: &Path) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| unreadable(&path.display().to_string(), &error.into()))
    }

    fn at(&self, folder: &OwnedFd, rest: &Path, flags: OFlags, shown: &str) -> Result<OwnedFd> {
        let opened = match &self.roots {
            None => rustix::fs::openat(folder, rest, flags, Mode::empty()),
            Some(_) => {
                let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
                rustix::fs::openat2(folder, rest, flags, Mode::empty(), inside)
            }
        };
        opened.map_err(|error| match error {
            Errno::XDEV => outside(shown),
            Errno::NOSYS => Error::new(
                Kind::Unsupported,
                "this system's kernel is too old to keep files below FILES_ROOT",
            )
            .hint("Linux 5.6 or later is needed"),
            error => unreadable(shown, &error.into()),
        })
    }
}

fn outside(path: &str) -> Error {
    Error::new(Kind::Denied, format!("`{path}` is not below a folder that may be used"))
        .hint("FILES_ROOT names those folders")
}

fn exists(path: &str) -> Error {
    Error::new(Kind::Conflict, format!("`{path}` is there already"))
        .hint("Choose another name, or pass overwrite=true")
}

fn unreadable(path: &str, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Usage,
    };
    Error::new(kind, format!("`{path}` cannot be opened: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("jv-files-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("in/sub")).unwrap();
        std::fs::write(folder.join("secret"), "s").unwrap();
        std::fs::write(folder.join("in/plain"), "text").unwrap();
        std::os::unix::fs::symlink("../secret", folder.join("in/out")).unwrap();
        std::os::unix::fs::symlink("plain", folder.join("in/same")).unwrap();
        folder
    }

    #[test]
    fn nothing_leads_out_of_the_folders() {
        let folder = folder("out");
        let files = Files::below(vec![folder.join("in")]);
        let path = |name: &str| folder.join(name).display().to_string();
        assert_eq!(files.open(&path("in/plain")).unwrap().size(), Some(4));
        assert_eq!(files.open("same").unwrap().size(), Some(4));
        for bad in ["secret", "in/out", "in/../secret", "in/sub/../../secret"] {
            assert_eq!(files.open(&path(bad)).err().unwrap().kind(), Kind::Denied, "{bad}");
        }
        assert_eq!(Files::anywhere().create("-", true).err().unwrap().kind(), Kind::Usage);
        for bad in ["../new", "../in/../new", "/etc/new"] {
            assert_eq!(files.create(bad, true).err().unwrap().kind(), Kind::Denied, "{bad}");
        }
        assert_eq!(files.open(&path("in/sub")).err().unwrap().kind(), Kind::Usage);
        assert_eq!(Files::below(Vec::new()).open("x").err().unwrap().kind(), Kind::Denied);
        let reader = Files::anywhere().read_only(true);
        assert_eq!(reader.create(&path("new"), false).err().unwrap().kind(), Kind::Denied);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = folder("whole");
        let files = Files::anywhere();
        let path = folder.join("in/new").display().to_string();
        let mut target = files.create(&path, false).unwrap();
        target.write_all(b"half").unwrap();
        assert!(!Path::new(&path).exists());
        drop(target);
        let mut target = files.create(&path, false).unwrap();
        target.write_all(b"whole").unwrap();
        target.commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(files.create(&path, false).err().unwrap().kind(), Kind::Conflict);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        files.create(&path, true).unwrap().commit().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // Another was faster: nothing is lost.
        let late = files.create(&format!("{path}2"), false).unwrap();
        std::fs::write(format!("{path}2"), "theirs").unwrap();
        assert_eq!(late.commit().err().unwrap().kind(), Kind::Conflict);
        assert_eq!(std::fs::read_dir(folder.join("in")).unwrap().count(), 6);
        // One of several that is not kept goes, also when it has its name.
        let mut target = files.create(&format!("{path}3"), false).unwrap();
        target.rename().unwrap();
        assert!(Path::new(&format!("{path}3")).exists());
        drop(target);
        assert_eq!(std::fs::read_dir(folder.join("in")).unwrap().count(), 6);
        assert_eq!(files.may_create(&format!("{path}2"), true).unwrap(), Some(6));
        assert!(files.may_create(&path, false).is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_is_written_in_any_order_and_read_back() {
        let folder = folder("order");
        let files = Files::below(vec![folder.join("in")]);
        let mut target = files.create("new", false).unwrap();
        target.seek(4).unwrap();
        target.write_all(b"tail").unwrap();
        target.write_at(b"he", 0).unwrap();
        target.write_all(b"!").unwrap();
        let mut back = Vec::new();
        io::Read::read_to_end(&mut target.read_back().unwrap(), &mut back).unwrap();
        assert_eq!(back, b"he\0\0tail!");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_is_made_for_nothing_goes_again() {
        let folder = folder("made");
        let files = Files::below(vec![folder.join("in")]);
        assert!(files.is_folder("sub").unwrap() && files.is_folder("sub/").unwrap());
        assert!(!files.is_folder("plain").unwrap() && !files.is_folder("none").unwrap());
        assert_eq!(files.is_folder("../in").unwrap_err().kind(), Kind::Denied);
        for (path, keep) in [("made", false), ("made/", true)] {
            let made = files.make_folder(path).unwrap();
            assert!(folder.join("in/made").is_dir());
            if keep {
                made.keep()
            } else {
                drop(made)
            }
            assert_eq!(folder.join("in/made").is_dir(), keep);
        }
        assert!(files.make_folder("made").is_err() && files.make_folder("no/new").is_err());
        assert!(files.make_folder("../out").is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
