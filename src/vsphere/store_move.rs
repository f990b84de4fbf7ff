//! Moving and copying on datastores.
//!
//! What stands in the way is never overwritten: with `force` it is set aside, and deleted once the
//! new one is there, or put back if that fails. So nothing depends on what a server does with its
//! own `force`, which the disk manager ignores. Surprising: a copied disk becomes thick unless its
//! format is said, and a vCenter does not let it be said.

use std::time::Duration;

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::{Call, Rights};
use crate::hv::prepared::Prepared;
use crate::hv::stores::{Entry, Transfer};
use crate::text::words::counted;
use crate::vim::value::Object;
use crate::vsphere::browse::{Look, all_below, look, sized, sum};
use crate::vsphere::store_change::{delete, ends, existing, refuse_extent, refuse_owned};
use crate::vsphere::store_path::{StorePath, is_disk, join, split, within};
use crate::vsphere::stores::{At, all, usable};
use crate::vsphere::{Vsphere, task};

/// Checks both ends and says what will happen.
pub fn prepare<'a>(it: &'a Vsphere, call: &Call, what: &Transfer<'_>) -> Result<Prepared<'a>> {
    let stores = all(it, call)?;
    let read = StorePath::read(what.from_path)?;
    let from = At { store: usable(&stores, read.on(Some(what.from_store))?)?, path: read.path };
    if from.path.is_empty() {
        return Err(Error::usage("a whole datastore is neither moved nor copied")
            .hint("Name a file or a folder; browse_datastore shows them"));
    }
    let wanted = what.to_path.map(StorePath::read).transpose()?;
    let named = wanted.as_ref().is_some_and(|it| it.store.is_some());
    let store = match (&wanted, what.to_store) {
        (Some(path), beside) if named || beside.is_some() => usable(&stores, path.on(beside)?)?,
        (None, Some(other)) => usable(&stores, other)?,
        _ => from.store.clone(),
    };
    let source = existing(it, call, &from)?;
    let verb = if what.copy { "Copy" } else { "Move" };
    refuse_extent(it, call, &from, verb)?;
    if !what.copy {
        refuse_owned(it, call, &from, source.folder, |name| {
            format!(
                "storage_vmotion moves `{name}` by vCenter; else unregister_vm, move, register_vm"
            )
        })?;
    }
    let (to, old) = target(it, call, &from, &source, wanted, At { store, path: String::new() })?;
    let disk = is_disk(&from.path) && !source.folder;
    if disk && !is_disk(&to.path) {
        return Err(Error::usage(format!("a disk cannot be called `{}`", quoted(&to.path)))
            .hint("Its name must end in .vmdk"));
    }
    let mut draft = Draft { steps: Vec::new(), losses: Vec::new() };
    draft.transfer(it, call, (&from, &source), &to, what.copy)?;
    let spec = match disk && what.copy {
        true => draft.format(it, call, &source)?,
        false => None,
    };
    let aside = match &old {
        Some(old) => Some(draft.replace(it, call, &to, old, what.force)?),
        None => None,
    };
    let seen = format!(
        "{} {:?} {:?}; {} {:?}",
        from.full(),
        source.size_bytes,
        source.modified,
        to.full(),
        old.as_ref().map(|it| (&it.modified, it.size_bytes))
    );
    let (folder, copy) = (source.folder, what.copy);
    let work = Work { it, from, to, disk, folder, copy, spec, aside };
    Ok(Prepared::new(draft.steps, seen, move |call| work.run(call)).losing(draft.losses))
}

/// Where it goes, and the file that stands there already.
fn target(
    it: &Vsphere,
    call: &Call,
    from: &At,
    source: &Entry,
    wanted: Option<StorePath>,
    root: At,
) -> Result<(At, Option<Entry>)> {
    let (given, slash) = match wanted {
        Some(path) => (Some(path.path), path.folder),
        None => (None, false),
    };
    let explicit = given.is_some();
    let mut to = root.beside(given.unwrap_or_else(|| from.path.clone()));
    let there = |at: &At| {
        if at.store.at.id == from.store.at.id && at.path == from.path {
            return Ok(Look::There(source.clone()));
        }
        look(it, call, &at.store, &at.path)
    };
    let mut found = there(&to)?;
    let mut into = false;
    match &found {
        // Into the folder, unless it is the source itself that is named.
        Look::There(entry) if entry.folder && explicit && !same(&to, from) => {
            into = true;
            to = to.beside(join(&to.path, split(&from.path).1));
            found = there(&to)?;
        }
        Look::Missing | Look::NoFolder if slash => return Err(no_folder(&to)),
        _ => {}
    }
    let (shown, on) = (quoted(&to.path), &to.store.name);
    if same(&to, from) {
        return Err(Error::usage(format!("`{shown}` on `{on}` is the source itself"))
            .hint("Pass another dest_path or dest_datastore"));
    }
    if to.store.at.id == from.store.at.id && source.folder && within(&to.path, &from.path) {
        return Err(Error::usage(format!("`{}` cannot go into itself", quoted(&from.path))));
    }
    match found {
        Look::Missing => Ok((to, None)),
        Look::NoFolder => Err(no_folder(&to.beside(split(&to.path).0.to_owned()))),
        Look::There(entry) if entry.folder || source.folder => {
            let what = if entry.folder { "folder" } else { "file" };
            Err(Error::new(
                Kind::Conflict,
                format!("there is a {what} `{shown}` on `{on}` already"),
            )
            .hint("Choose another dest_path, or delete_datastore_file it first"))
        }
        Look::There(_) if slash && !into => {
            Err(Error::new(Kind::Conflict, format!("`{shown}` on `{on}` is a file, no folder"))
                .hint("Leave the slash at the end out"))
        }
        Look::There(entry) => Ok((to, Some(entry))),
    }
}

fn same(to: &At, from: &At) -> bool {
    to.store.at.id == from.store.at.id && to.path == from.path
}

fn no_folder(at: &At) -> Error {
    let said = format!("no folder `{}` on `{}`", quoted(&at.path), at.store.name);
    Error::new(Kind::NotFound, said).hint("create_datastore_folder makes it")
}

/// What is told before anything is done.
struct Draft {
    steps: Vec<String>,
    losses: Vec<String>,
}

impl Draft {
    fn transfer(
        &mut self,
        it: &Vsphere,
        call: &Call,
        (from, source): (&At, &Entry),
        to: &At,
        copy: bool,
    ) -> Result<()> {
        let verb = if copy { "copied" } else { "moved" };
        let (what, bytes) = if source.folder {
            let below = all_below(it, call, from)?;
            let (files, bytes) = sum(&below);
            let disks = below.iter().filter(|it| is_disk(&it.path)).count();
            if disks > 0 && copy {
                // Unverified: what a server makes of thin ones.
                let disks = counted(disks, "disk");
                self.steps.push(format!("{disks} in it, copied as plain files and perhaps thick"));
            }
            (format!("the folder with {}", counted(files, "file")), bytes)
        } else {
            let disk = if is_disk(&from.path) { "the disk" } else { "the file" };
            (disk.to_owned(), source.size_bytes.unwrap_or(0))
        };
        let needed = copy || to.store.at.id != from.store.at.id;
        if let Some(free) = to.store.free_bytes.filter(|free| needed && *free < bytes) {
            let (on, free, bytes) = (&to.store.name, sized(free), sized(bytes));
            let said = format!("`{on}` has {free} free, and {bytes} are to go there");
            return Err(Error::new(Kind::Conflict, said)
                .hint("Make room there, or choose another dest_datastore"));
        }
        let step = format!(
            "`{}` on `{}` ({what}, {}) is {verb} to `{}` on `{}`",
            quoted(&from.path),
            from.store.name,
            sized(bytes),
            quoted(&to.path),
            to.store.name
        );
        self.steps.insert(0, step);
        Ok(())
    }

    /// The format of a copied disk: as the source is, where the server lets it be said.
    fn format(&mut self, it: &Vsphere, call: &Call, source: &Entry) -> Result<Option<Object>> {
        if it.session.live(call)?.is_vcenter() {
            // Unverified: vCenter is said to keep the source's format.
            self.steps.push("vCenter chooses whether the copy is thin".to_owned());
            return Ok(None);
        }
        let (said, kind) = match source.thin {
            Some(true) => ("the copy is thin, as its source", "thin"),
            Some(false) => ("the copy is thick, as its source", "preallocated"),
            None => ("whether the source is thin is not known; the copy is", "thin"),
        };
        self.steps.push(said.to_owned());
        let adapter = source.adapter.unwrap_or("lsiLogic");
        Ok(Some(Object::new("VirtualDiskSpec").with("diskType", kind).with("adapterType", adapter)))
    }

    /// Where the old file waits until the new one is there.
    fn replace(
        &mut self,
        it: &Vsphere,
        call: &Call,
        to: &At,
        old: &Entry,
        force: bool,
    ) -> Result<At> {
        let (shown, on) = (quoted(&to.path), &to.store.name);
        let size = sized(old.size_bytes.unwrap_or(0));
        if !force {
            let said = format!("there is a file `{shown}` ({size}) on `{on}` already");
            return Err(Error::new(Kind::Conflict, said)
                .hint("Choose another dest_path, or pass force=true to replace it"));
        }
        refuse_extent(it, call, to, "Replace")?;
        refuse_owned(it, call, to, false, |_| "Choose another dest_path".to_owned())?;
        let aside = room_aside(it, call, to)?;
        let name = quoted(&aside.path);
        self.steps.push(format!("the old `{shown}` waits as `{name}`, and is deleted at the end"));
        let since = old.modified.as_deref().unwrap_or("an unknown time");
        self.losses.push(format!("`{shown}` on `{on}`, {size}, of {since}"));
        Ok(aside)
    }
}

/// Where what is replaced waits meanwhile; refused where something stands there.
pub fn room_aside(it: &Vsphere, call: &Call, to: &At) -> Result<At> {
    let aside = to.beside(aside(&to.path));
    if matches!(look(it, call, &aside.store, &aside.path)?, Look::Missing) {
        return Ok(aside);
    }
    let (name, on) = (quoted(&aside.path), &aside.store.name);
    let said = format!("`{name}` on `{on}` was left by an earlier replacement");
    Err(Error::new(Kind::Conflict, said)
        .hint("Look whether it is needed, then delete or rename it"))
}

/// The name of what is replaced, meanwhile.
fn aside(path: &str) -> String {
    let (folder, name) = split(path);
    let name = match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => format!("{stem}.replaced.{end}"),
        _ => format!("{name}.replaced"),
    };
    join(folder, &name)
}

/// A move or copy whose ends were checked.
pub struct Work<'a> {
    it: &'a Vsphere,
    from: At,
    to: At,
    disk: bool,
    folder: bool,
    copy: bool,
    spec: Option<Object>,
    aside: Option<At>,
}

impl<'a> Work<'a> {
    /// Gives a plain file that was just made its name; what bears it already waits at `aside`.
    pub fn naming(it: &'a Vsphere, from: At, to: At, aside: Option<At>) -> Work<'a> {
        Work { it, from, to, disk: false, folder: false, copy: false, spec: None, aside }
    }

    fn run(self, call: &Call) -> Result<Vec<String>> {
        let left = self.place(call)?;
        let verb = if self.copy { "copied" } else { "moved" };
        let mut done = vec![format!("{verb} to {}", self.to.full())];
        if self.aside.is_some() {
            done.push(left.unwrap_or_else(|| "the old one was replaced".to_owned()));
        }
        Ok(done)
    }

    /// Does it; a word on the old file where that could not be deleted.
    pub fn place(&self, call: &Call) -> Result<Option<String>> {
        if let Some(aside) = &self.aside {
            self.shift(call, &self.to, aside)
                .map_err(|error| error.during("setting the old file aside"))?;
        }
        if let Err(error) = self.transfer(call) {
            return Err(self.undo(error));
        }
        let Some(aside) = &self.aside else { return Ok(None) };
        let gone = delete(self.it, call, aside, is_disk(&aside.path));
        Ok(gone.err().map(|error| format!("the old one is left as {}: {error}", aside.full())))
    }

    fn transfer(&self, call: &Call) -> Result<()> {
        let (manager, method) = match (self.disk, self.copy) {
            (true, true) => ("virtualDiskManager", "CopyVirtualDisk_Task"),
            (true, false) => ("virtualDiskManager", "MoveVirtualDisk_Task"),
            (false, true) => ("fileManager", "CopyDatastoreFile_Task"),
            (false, false) => ("fileManager", "MoveDatastoreFile_Task"),
        };
        let verb = if self.copy { "copying" } else { "moving" };
        let args = ends(&self.from, &self.to, self.disk).with_some("destSpec", self.spec.clone());
        self.task(call, manager, method, &args, &format!("{verb} {}", self.from.path))
    }

    /// Renames a file beside itself.
    fn shift(&self, call: &Call, from: &At, to: &At) -> Result<()> {
        let disk = is_disk(&from.path);
        let (manager, method) = match disk {
            true => ("virtualDiskManager", "MoveVirtualDisk_Task"),
            false => ("fileManager", "MoveDatastoreFile_Task"),
        };
        self.task(call, manager, method, &ends(from, to, disk), "setting the old file aside")
    }

    fn task(
        &self,
        call: &Call,
        manager: &str,
        method: &str,
        args: &Object,
        doing: &str,
    ) -> Result<()> {
        let session = &self.it.session;
        let manager = session.live(call)?.manager(manager)?;
        task::run(session, call, &manager, method, args, None, doing).map(|_| ())
    }

    /// Takes away the part that was made and puts the old file back; says what is left.
    fn undo(&self, error: Error) -> Error {
        let kept = self.aside.as_ref().map(At::full);
        if task::goes_on(&error) || error.kind() == Kind::Network {
            let old = kept.map_or(String::new(), |it| format!("; the old file is kept as {it}"));
            return error.during(format!("{} may come to be yet{old}", self.to.full()));
        }
        // Also after a cancel, which ends the call that was made.
        let call = Call::new(Rights::Change).within(Duration::from_secs(120));
        let mut left = Vec::new();
        // What was there before us is not ours to delete.
        if error.fault_name() != Some("FileAlreadyExists")
            && let Err(second) = self.take_away(&call)
        {
            log::error!("{} was left behind: {second}", self.to.full());
            left.push(format!("a part may be left at {}: {second}", self.to.full()));
        }
        if let Some(aside) = &self.aside
            && let Err(second) = self.shift(&call, aside, &self.to)
        {
            log::error!("{} was left behind: {second}", aside.full());
            left.push(format!("the old file is left as {}", aside.full()));
        }
        match left.is_empty() {
            true => error.during("nothing was changed"),
            false => error.during(left.join("; ")),
        }
    }

    /// Deletes the half of a copy. Of a move only what is whole at its source still: a folder may
    /// have gone in part.
    fn take_away(&self, call: &Call) -> Result<()> {
        let it = self.it;
        if !matches!(look(it, call, &self.to.store, &self.to.path)?, Look::There(_)) {
            return Ok(());
        }
        let whole = || -> Result<bool> {
            Ok(matches!(look(it, call, &self.from.store, &self.from.path)?, Look::There(_)))
        };
        if !self.copy && (self.folder || !whole()?) {
            return Err(Error::new(Kind::Conflict, "files may be at either end; look at both"));
        }
        delete(it, call, &self.to, self.disk).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_keeps_its_ending() {
        for (path, kept) in [
            ("a/x.vmdk", "a/x.replaced.vmdk"),
            ("x", "x.replaced"),
            ("a.b/x", "a.b/x.replaced"),
            (".conf", ".conf.replaced"),
        ] {
            assert_eq!(aside(path), kept);
        }
    }
}
