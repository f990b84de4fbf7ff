//! Files of a guest as `GuestFileManager` asks for them.
//!
//! Paths are those of the guest's own system. Surprising: a listing begins with `.` and `..`.

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::guest::Guest;
use crate::sim::guest::pattern;
use crate::sim::guest::seed::User;
use crate::sim::guest::stamp;
use crate::sim::guest::tree::Act;
use crate::sim::guest::tree::Body;
use crate::sim::guest::tree::Change;
use crate::sim::guest::tree::MOST_FILE;
use crate::sim::guest::tree::Node;
use crate::sim::guest::tree::Trouble;
use crate::vim::value::Object;

/// How many files a listing has if nobody says.
const PAGE: usize = 50;

impl Guest {
    fn change(&mut self, user: &User, act: Act, path: &str, data: &[u8]) -> Result<()> {
        if path.is_empty() {
            return Err(Trouble::Invalid.fault(path));
        }
        let inner = self.tree.inner("", path);
        let change = Change { at: self.now, user: user.id, act, path: inner, data: data.to_vec() };
        self.tree.apply(&change).map_err(|it| it.fault(path))
    }

    fn node(&self, user: &User, path: &str, follow: bool) -> Result<&Node> {
        let wrong = if path.is_empty() { Err(Trouble::Invalid) } else { Ok(()) };
        let found =
            wrong.and_then(|()| self.tree.find(user.id, &self.tree.inner("", path), follow));
        found.map_err(|it| it.fault(path))
    }

    fn directory(&self, user: &User, path: &str) -> Result<()> {
        let found = self.node(user, path, false)?;
        if found.is_directory() { Ok(()) } else { Err(Trouble::NotDirectory.fault(path)) }
    }

    fn no_directory(&self, user: &User, path: &str) -> Result<()> {
        let found = self.node(user, path, false)?;
        if found.is_directory() { Err(Trouble::NotFile.fault(path)) } else { Ok(()) }
    }

    /// `MakeDirectoryInGuest`.
    pub fn make_directory(&mut self, user: &User, path: &str, parents: bool) -> Result<()> {
        if parents {
            let inner = self.tree.inner("", path.trim_end_matches(['/', '\\']));
            let ends = inner.match_indices('/').map(|it| it.0).filter(|it| *it > 0);
            for end in ends {
                let above = inner.get(..end).unwrap_or_default();
                if self.tree.find(user.id, above, true) == Err(Trouble::NotFound) {
                    let shown = self.tree.shown(above);
                    self.change(user, Act::MakeDirectory, &shown, b"")?;
                }
            }
        }
        self.change(user, Act::MakeDirectory, path, b"")
    }

    /// `DeleteFileInGuest`.
    pub fn delete_file(&mut self, user: &User, path: &str) -> Result<()> {
        self.no_directory(user, path)?;
        self.change(user, Act::Remove, path, b"")
    }

    /// `DeleteDirectoryInGuest`.
    pub fn delete_directory(&mut self, user: &User, path: &str, recursive: bool) -> Result<()> {
        self.directory(user, path)?;
        let act = if recursive { Act::RemoveAll } else { Act::Remove };
        self.change(user, act, path, b"")
    }

    /// `MoveFileInGuest`.
    pub fn move_file(&mut self, user: &User, from: &str, to: &str, over: bool) -> Result<()> {
        self.no_directory(user, from)?;
        self.rename(user, from, to, over)
    }

    /// `MoveDirectoryInGuest`.
    pub fn move_directory(&mut self, user: &User, from: &str, to: &str) -> Result<()> {
        self.directory(user, from)?;
        self.rename(user, from, to, false)
    }

    fn rename(&mut self, user: &User, from: &str, to: &str, over: bool) -> Result<()> {
        let target = self.tree.inner("", to);
        let act = if over { Act::MoveOver } else { Act::Move };
        let told = self.change(user, act, from, target.as_bytes());
        // Of two paths, the one that is there already is the new one.
        told.map_err(
            |it| if it.kind() == "FileAlreadyExists" { Trouble::Exists.fault(to) } else { it },
        )
    }

    /// `CreateTemporaryFileInGuest`, or the directory: its path.
    pub fn make_temporary(
        &mut self,
        user: &User,
        prefix: &str,
        suffix: &str,
        folder: Option<&str>,
        directory: bool,
    ) -> Result<String> {
        let own = match self.is_windows() {
            true => self.tree.shown(&format!("{}/AppData/Local/Temp", user.home)),
            false => "/tmp".to_owned(),
        };
        let folder =
            folder.filter(|it| !it.is_empty()).unwrap_or(&own).trim_end_matches(['/', '\\']);
        if !folder.is_empty() && !self.node(user, folder, true)?.is_directory() {
            return Err(Trouble::NotDirectory.fault(folder));
        }
        let separator = if self.is_windows() { '\\' } else { '/' };
        let (act, mode) = match directory {
            true => (Act::MakeDirectory, "448"),
            false => (Act::Create, "384"),
        };
        loop {
            let number = self.serial();
            // unverified: what stands between the prefix and the suffix.
            let path = format!("{folder}{separator}{prefix}vmware{number}{suffix}");
            match self.change(user, act, &path, b"") {
                Err(fault) if fault.kind() == "FileAlreadyExists" => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    self.change(user, Act::Mode, &path, mode.as_bytes())?;
                    return Ok(path);
                }
            }
        }
    }

    /// `ListFilesInGuest`: a `GuestListFileInfo`. The pattern is the simple part of a regular
    /// expression, see `pattern`.
    pub fn list_files(
        &self,
        user: &User,
        path: &str,
        index: Option<i64>,
        most: Option<i64>,
        wanted: Option<&str>,
    ) -> Result<Object> {
        let number = |value: Option<i64>, field: &str, other: usize| match value {
            None => Ok(other),
            Some(given) => usize::try_from(given).map_err(|_| Fault::invalid_argument(field)),
        };
        let (index, most) = (number(index, "index", 0)?, number(most, "maxResults", PAGE)?);
        let node = self.node(user, path, true)?;
        let mut all = Vec::new();
        if node.is_directory() {
            let inside = self.tree.children(user.id, &node.path).map_err(|it| it.fault(path))?;
            let above = self.tree.find(0, &format!("{}/..", node.path), true).unwrap_or(node);
            all.extend([(".", node), ("..", above)]);
            all.extend(inside.into_iter().map(|it| (it.name(), it)));
            if let Some(wanted) = wanted.filter(|it| !it.is_empty()) {
                all.retain(|it| pattern::found(wanted, it.0));
            }
        } else {
            // unverified: that a single file comes with its whole path.
            all.push((path, node));
        }
        let remaining = all.len().saturating_sub(index).saturating_sub(most);
        let shown = all.iter().skip(index).take(most);
        let files: Vec<Object> = shown.map(|(name, node)| self.info(name, node)).collect();
        let list = Object::new("GuestListFileInfo");
        let list = if files.is_empty() { list } else { list.with("files", files) };
        Ok(list.with("remaining", remaining))
    }

    fn info(&self, name: &str, node: &Node) -> Object {
        let kind = match node.body {
            Body::Directory => "directory",
            Body::File(_) => "file",
            Body::Link(_) => "symlink",
        };
        Object::new("GuestFileInfo")
            .with("path", name)
            .with("type", kind)
            .with("size", node.size())
            .with("attributes", self.attributes(node))
    }

    fn attributes(&self, node: &Node) -> Object {
        let windows = self.is_windows();
        let kind = if windows { "GuestWindowsFileAttributes" } else { "GuestPosixFileAttributes" };
        let time = stamp(node.changed);
        let shared = Object::new(kind)
            .with("modificationTime", time.as_str())
            .with("accessTime", time.as_str());
        if windows {
            return shared
                .with("hidden", node.name().eq_ignore_ascii_case("AppData"))
                .with("readOnly", node.mode & 0o222 == 0)
                .with("createTime", time);
        }
        let target = if let Body::Link(target) = &node.body { target.as_str() } else { "" };
        shared
            .with("symlinkTarget", target)
            .with("ownerId", node.owner)
            .with("groupId", node.owner)
            .with("permissions", node.mode)
    }

    /// `ChangeFileAttributesInGuest`, with `GuestPosixFileAttributes` or those of Windows. Times
    /// are read to the second; a group and an access time are not kept.
    pub fn change_attributes(&mut self, user: &User, path: &str, new: &Object) -> Result<()> {
        let other = if self.is_windows() {
            "GuestPosixFileAttributes"
        } else {
            "GuestWindowsFileAttributes"
        };
        if new.is(other) {
            return Err(Fault::invalid_argument("fileAttributes"));
        }
        let node = self.node(user, path, true)?;
        let read_only = new.flag("readOnly").map(|it| match it {
            true => node.mode & !0o222,
            false => node.mode | 0o200,
        });
        let time = match new.text("modificationTime") {
            None => None,
            Some(text) => {
                let wrong = || Fault::invalid_argument("fileAttributes.modificationTime");
                Some(seconds(text).ok_or_else(wrong)?.to_string())
            }
        };
        let mode = new.int("permissions").or(read_only.map(i64::from)).map(|it| it.to_string());
        let owner = new.int("ownerId").filter(|it| i64::from(node.owner) != *it);
        let owner = owner.map(|it| it.to_string());
        for (act, value) in [(Act::Mode, mode), (Act::Time, time), (Act::Owner, owner)] {
            if let Some(value) = value {
                self.change(user, act, path, value.as_bytes())?;
            }
        }
        Ok(())
    }

    /// `InitiateFileTransferFromGuest`: the `FileTransferInformation` with the caller's URL.
    pub fn transfer_from(&self, user: &User, path: &str, url: &str) -> Result<Object> {
        let size = self.read_file(user, path)?.len();
        let node = self.node(user, path, false)?;
        Ok(Object::new("FileTransferInformation")
            .with("attributes", self.attributes(node))
            .with("size", size)
            .with("url", url))
    }

    /// What is sent for that URL.
    pub fn read_file(&self, user: &User, path: &str) -> Result<&[u8]> {
        // Tools transfer neither directories nor links.
        if !matches!(self.node(user, path, false)?.body, Body::File(_)) {
            return Err(Trouble::NotFile.fault(path));
        }
        self.tree.read(user.id, &self.tree.inner("", path)).map_err(|it| it.fault(path))
    }

    /// Whether `InitiateFileTransferToGuest` may give a URL for this file.
    pub fn transfer_to(&self, user: &User, path: &str, size: i64, over: bool) -> Result<()> {
        let size = usize::try_from(size).map_err(|_| Fault::invalid_argument("fileSize"))?;
        match self.node(user, path, false) {
            Ok(Node { body: Body::Directory | Body::Link(_), .. }) => {
                return Err(Trouble::NotFile.fault(path));
            }
            Ok(_) if !over => return Err(Trouble::Exists.fault(path)),
            Err(fault) if fault.kind() != "FileNotFound" => return Err(fault),
            _ => {}
        }
        if size > MOST_FILE {
            return Err(Trouble::Full.fault(path));
        }
        // What writing would say, said by a copy: it is small, and this is rare.
        self.clone().change(user, Act::Write, path, b"")
    }

    /// Takes what was sent to that URL, with the attributes that came with the request.
    pub fn write_file(&mut self, user: &User, path: &str, data: &[u8], new: &Object) -> Result<()> {
        self.change(user, Act::Write, path, data)?;
        // It is root's own, also where it was another's before, unless the attributes say whose.
        if user.id == 0 && !self.is_windows() && new.get("ownerId").is_none() {
            self.change(user, Act::Owner, path, b"0")?;
        }
        self.change_attributes(user, path, new)
    }
}

/// Seconds since 1970 of an `xsd:dateTime`; without a zone it counts as UTC.
fn seconds(text: &str) -> Option<u64> {
    let number = |from: usize, until: usize| text.get(from..until)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March here, so that the leap day is the last one.
    let (y, m) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1;
    let utc = (days - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let sign = zone.get(..1).unwrap_or_default();
    match (sign, zone.get(1..3), zone.get(4..6)) {
        ("" | "Z", ..) => Some(utc),
        ("+" | "-", Some(hours), Some(minutes)) => {
            let shift = hours.parse::<u64>().ok()? * 3_600 + minutes.parse::<u64>().ok()? * 60;
            if sign == "+" { utc.checked_sub(shift) } else { utc.checked_add(shift) }
        }
        _ => None,
    }
}
