//! Deleting files and making folders on datastores, and whose files they are.
//!
//! A server takes away what nobody has open, also the files of a machine that is merely off; so
//! whoever owns a file is looked up here first. Surprising: a disk is two files or more, and only
//! the disk manager takes them away together.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::hv::stores::Entry;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::browse::{Look, all_below, look, sized, sum};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::store_path::{StorePath, disk_of_extent, is_disk, split, within};
use crate::vsphere::stores::{At, missing_file};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props, task};

/// What a machine owns on a datastore: files, and the folders that it writes into; last, by far the
/// largest, what its drives and ports use.
const OWNED: &[&str] = &[
    "name",
    "layoutEx.file",
    "config.files",
    "summary.config.vmPathName",
    "config.hardware.device",
];

/// What of a place belongs to machines of the inventory.
pub struct Owner {
    pub machine: String,
    pub file: String,
    /// It is in a drive or behind a port.
    pub lent: bool,
    /// How many other machines own something there.
    pub others: usize,
}

/// Who owns this file, or something in this folder; two queries whatever is on the datastore.
pub fn owner(it: &Vsphere, call: &Call, at: &At, folder: bool) -> Result<Option<Owner>> {
    let store = props::one(&it.session, call, &at.store.at, "Datastore", &["vm"])?;
    let machines: Vec<Ref> =
        store.items("vm").iter().filter_map(|it| it.as_reference().cloned()).collect();
    let disk = disk_of_extent(&at.path);
    // No drive and no port has a disk that is not in the layout too.
    let asked = OWNED.len() - usize::from(!folder && (disk.is_some() || is_disk(&at.path)));
    let select = Select { kind: "VirtualMachine", paths: &OWNED[..asked] };
    let rows = props::of(&it.session, call, &machines, &[select])?;
    let meant = |file: &str| {
        file == at.path || disk.as_deref() == Some(file) || (folder && within(file, &at.path))
    };
    let mut found: Option<Owner> = None;
    for row in &rows {
        let Some((file, lent)) = owned(row, at).into_iter().find(|it| meant(&it.0)) else {
            continue;
        };
        match &mut found {
            Some(owner) => owner.others += 1,
            None => {
                let machine = unescaped(row.text("name").unwrap_or(&row.at.id));
                found = Some(Owner { machine, file, lent, others: 0 });
            }
        }
    }
    Ok(found)
}

/// The paths on this datastore that a machine names, and whether only a drive or a port uses them.
fn owned(row: &Row, at: &At) -> Vec<(String, bool)> {
    let store = &at.store;
    let path = |text: &str| {
        let read = StorePath::read(text).ok()?;
        let here =
            read.store.as_deref().is_some_and(|it| it == store.name || unescaped(it) == store.name);
        (here && !read.path.is_empty()).then_some(read.path)
    };
    let mut found = Vec::new();
    let mut add = |text: Option<&str>, lent| found.extend(text.and_then(path).map(|it| (it, lent)));
    let objects = |name| row.items(name).iter().filter_map(Value::as_object);
    for file in objects("layoutEx.file") {
        add(file.text("name"), false);
    }
    for (_, value) in row.object("config.files").into_iter().flat_map(Object::fields) {
        add(value.as_text(), false);
    }
    let vmx = row.text("summary.config.vmPathName");
    add(vmx, false);
    for device in objects("config.hardware.device") {
        add(device.text("backing.fileName"), true);
    }
    // Of a machine that nobody can look into, all that lies beside its configuration.
    let home = vmx.filter(|_| row.get("layoutEx.file").is_none()).and_then(path);
    if home.is_some_and(|it| it.contains('/') && within(&at.path, split(&it).0)) {
        found.push((at.path.clone(), false));
    }
    found
}

/// Refuses what belongs to a machine of the inventory.
pub fn refuse_owned(
    it: &Vsphere,
    call: &Call,
    at: &At,
    folder: bool,
    next: impl Fn(&str) -> String,
) -> Result<()> {
    let Some(owner) = owner(it, call, at, folder)? else { return Ok(()) };
    let (path, name) = (quoted(&at.path), &owner.machine);
    let belongs = if owner.lent { "is used by a drive or port of" } else { "belongs to" };
    let said = match (owner.file == at.path || !folder, owner.others) {
        (true, 0) => format!("`{path}` {belongs} the VM `{name}`"),
        (false, 0) => format!("`{path}` holds {} of the VM `{name}`", quoted(&owner.file)),
        (_, others) => {
            format!("`{path}` holds files of the VM `{name}` and of {others} more")
        }
    };
    Err(Error::new(Kind::Conflict, said).hint(match owner.lent {
        true => format!("Take it out of `{name}` first; detach_iso does so with an ISO"),
        false => next(name),
    }))
}

/// What stands there, or the error that nothing does.
pub fn existing(it: &Vsphere, call: &Call, at: &At) -> Result<Entry> {
    match look(it, call, &at.store, &at.path)? {
        Look::There(entry) => Ok(entry),
        _ => Err(missing_file(at)),
    }
}

/// Refuses the data of a disk whose descriptor is there: alone it is of no use, and without it the
/// disk is lost.
pub fn refuse_extent(it: &Vsphere, call: &Call, at: &At, verb: &str) -> Result<()> {
    let Some(disk) = disk_of_extent(&at.path) else { return Ok(()) };
    if !matches!(look(it, call, &at.store, &disk)?, Look::There(_)) {
        return Ok(());
    }
    let said = format!("`{}` is a part of the disk `{}`", quoted(&at.path), quoted(&disk));
    Err(Error::new(Kind::Conflict, said)
        .hint(format!("{verb} `{}`; its other files go with it", quoted(&disk))))
}

/// Prepares to delete a file, a disk or a folder.
pub fn remove<'a>(it: &'a Vsphere, call: &Call, store: &str, path: &str) -> Result<Prepared<'a>> {
    let at = At::read(it, call, Some(store), path)?;
    if at.path.is_empty() {
        return Err(Error::usage(format!("the root of `{}` is not deleted", at.store.name))
            .hint("Name a file or a folder; browse_datastore shows them"));
    }
    let entry = existing(it, call, &at)?;
    refuse_owned(it, call, &at, entry.folder, |name| {
        format!("delete_vm deletes `{name}` with its files; or unregister_vm it first")
    })?;
    refuse_extent(it, call, &at, "Delete")?;
    let (shown, name) = (quoted(&at.path), &at.store.name);
    let seen = format!("{} {:?} {:?}", at.full(), entry.size_bytes, entry.modified);
    let disk = is_disk(&at.path) && !entry.folder;
    let (step, loss) = if entry.folder {
        let below = all_below(it, call, &at)?;
        let (files, bytes) = sum(&below);
        let all = format!("{}, {}", counted(files, "file"), sized(bytes));
        let step = format!("the folder `{shown}` on `{name}` is deleted with all in it: {all}");
        (step, (files > 0).then(|| format!("{all} in `{shown}`")))
    } else {
        let size = sized(entry.size_bytes.unwrap_or(0));
        let what = if disk { "the disk " } else { "" };
        let step = format!("{what}`{shown}` ({size}) on `{name}` is deleted");
        (step, Some(format!("{what}`{shown}`, {size}")))
    };
    let deed = move |call: &Call| {
        let said = delete(it, call, &at, disk)?;
        Ok(vec![said.to_owned()])
    };
    Ok(Prepared::new(vec![step], seen, deed).losing(loss.into_iter().collect()))
}

/// Deletes what stands there, a disk with its data.
pub fn delete(it: &Vsphere, call: &Call, at: &At, disk: bool) -> Result<&'static str> {
    let doing = format!("deleting {}", at.path);
    let args =
        Object::args().with("name", at.full()).with_some("datacenter", at.store.datacenter.clone());
    let run = |disk: bool| {
        let (manager, method) = match disk {
            true => ("virtualDiskManager", "DeleteVirtualDisk_Task"),
            false => ("fileManager", "DeleteDatastoreFile_Task"),
        };
        let manager = it.session.live(call)?.manager(manager)?;
        task::run(&it.session, call, &manager, method, &args, None, &doing)
    };
    let Err(error) = run(disk) else { return Ok("deleted") };
    // A file that merely ends like a disk, or one whose data is gone, is no disk to the manager.
    let broken =
        matches!(error.fault_name(), Some("FileNotFound" | "InvalidDiskFormat" | "NotADisk"));
    if !disk || !broken || !matches!(look(it, call, &at.store, &at.path)?, Look::There(_)) {
        return Err(error);
    }
    run(false).map(|_| "deleted as a plain file; the server knows no disk there")
}

/// Prepares to make a folder and those above it.
pub fn make_folder<'a>(
    it: &'a Vsphere,
    call: &Call,
    store: &str,
    path: &str,
) -> Result<Prepared<'a>> {
    let at = At::read(it, call, Some(store), path)?;
    make_folder_at(it, call, at)
}

/// The same at a place that is known.
pub fn make_folder_at<'a>(it: &'a Vsphere, call: &Call, at: At) -> Result<Prepared<'a>> {
    let (shown, name) = (quoted(&at.path), at.store.name.clone());
    match look(it, call, &at.store, &at.path)? {
        Look::There(entry) if entry.folder => {
            return Ok(Prepared::already("already there"));
        }
        Look::There(_) => {
            let said = format!("`{shown}` on `{name}` is a file");
            return Err(Error::new(Kind::Conflict, said).hint("Choose another name"));
        }
        Look::Missing | Look::NoFolder => {}
    }
    // Asked for only where it matters.
    let makes = at.store.makes_folders || {
        let top = at.path.split('/').next().unwrap_or_default();
        top != at.path && matches!(look(it, call, &at.store, top)?, Look::There(_))
    };
    if !makes {
        let said = format!("`{name}` makes no plain folders at its root, as on a vSAN");
        return Err(Error::new(Kind::Unsupported, said)
            .hint("Make the folder within one that is there, such as that of a VM"));
    }
    let step = format!("the folder `{shown}` is made on `{name}`, with those above it");
    let seen = at.full();
    Ok(Prepared::new(vec![step], seen, move |call| {
        let said = if made(it, call, &at)? { "folder made" } else { "already there" };
        Ok(vec![said.to_owned()])
    }))
}

/// Makes a folder and those above it; false if it is there already.
pub fn made(it: &Vsphere, call: &Call, at: &At) -> Result<bool> {
    let files = it.session.live(call)?.manager("fileManager")?;
    let args = Object::args()
        .with("name", at.full())
        .with_some("datacenter", at.store.datacenter.clone())
        .with("createParentDirectories", true);
    match it.session.call(call, &files, "MakeDirectory", &args) {
        Err(error) if error.fault_name() == Some("FileAlreadyExists") => Ok(false),
        result => result.map(|_| true),
    }
}

/// Names a task's place for its manager: `name`, or the two ends of a transfer.
pub fn ends(from: &At, to: &At, disk: bool) -> Object {
    let (name, center) = match disk {
        true => ("destName", "destDatacenter"),
        false => ("destinationName", "destinationDatacenter"),
    };
    let place = |at: &At| at.store.datacenter.clone().map(Value::from);
    Object::args()
        .with("sourceName", from.full())
        .with_some("sourceDatacenter", place(from))
        .with(name, to.full())
        .with_some(center, place(to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vsphere::stores::Store;

    fn at(path: &str) -> At {
        let store = Store {
            at: Ref::new("Datastore", "d-1"),
            name: "ds".into(),
            path: "ds".into(),
            datacenter: None,
            datacenter_path: None,
            browser: Ref::new("HostDatastoreBrowser", "b"),
            accessible: true,
            free_bytes: None,
            makes_folders: true,
        };
        At { store, path: path.into() }
    }

    #[test]
    fn what_a_machine_that_cannot_be_looked_into_may_own_is_its_own() {
        let row = |layout: bool| {
            let mut values = vec![("summary.config.vmPathName", Value::from("[ds] w/w.vmx"))];
            if layout {
                values.push(("layoutEx.file", Value::List(Vec::new())));
            }
            Row::made("VirtualMachine", "1", &values)
        };
        let is_owned = |layout, path: &str| {
            owned(&row(layout), &at(path)).iter().any(|(file, lent)| file == path && !lent)
        };
        assert!(is_owned(false, "w/w.vmdk") && is_owned(false, "w/w.vmx"));
        assert!(!is_owned(false, "x/w.vmdk") && !is_owned(false, "ww"));
        assert!(!is_owned(true, "w/w.vmdk") && is_owned(true, "w/w.vmx"));
    }

    #[test]
    fn what_is_in_a_drive_is_lent() {
        let file = Object::new("VirtualCdromIsoBackingInfo").with("fileName", "[ds] iso/x.iso");
        let drive = Object::new("VirtualCdrom").with("backing", file);
        let devices = Value::List(vec![drive.into()]);
        let row = Row::made("VirtualMachine", "1", &[("config.hardware.device", devices)]);
        assert_eq!(owned(&row, &at("iso/x.iso")), [("iso/x.iso".to_owned(), true)]);
    }
}
