//! The files of machines: disks and their chains, the `.vmx` and what lies beside it.
//!
//! A disk is two files, a descriptor that says how large it is and an extent. A disk with a parent
//! holds what changed since a snapshot. It must not decide what a machine may do.

use std::sync::Arc;

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
use crate::sim::files::File;
use crate::sim::machine::{Machine, Power};
use crate::sim::vmx;
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// A disk that is to be made.
pub struct NewDisk {
    /// `[datastore1] web01/web01.vmdk`
    pub path: String,
    /// How large the guest sees it.
    pub kilobytes: i64,
    /// Takes room only as it is written.
    pub thin: bool,
    /// The disk that it is based on.
    pub parent: Option<String>,
    /// Bytes that are on it; where nobody knows, a believable part.
    pub written: Option<i64>,
}

/// Datastore and path of `[datastore1] web01/web01.vmx`.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let (store, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((store, rest.trim_start()))
}

/// The same, refused where it is no path or no such datastore.
pub fn checked<'p>(world: &World, path: &'p str) -> Result<(&'p str, &'p str)> {
    let wrong = |kind: &'static str| {
        Fault::new(kind, format!("Invalid datastore path '{path}'.")).with("datastorePath", path)
    };
    let found = split(path).ok_or_else(|| wrong("InvalidDatastorePath"))?;
    let escapes = found.1.starts_with('/') || found.1.split('/').any(|it| it == "..");
    match store(world, found.0) {
        Some(_) if !escapes => Ok(found),
        _ => Err(wrong("InvalidDatastorePath").with("name", found.0)),
    }
}

/// The datastore of this name.
pub fn store(world: &World, name: &str) -> Option<Ref> {
    let found = world.all("Datastore").find(|(_, props)| props.text("name") == Some(name));
    found.map(|(id, _)| Ref::new("Datastore", id))
}

/// Whether there is such a file or folder.
pub fn exists(world: &World, path: &str) -> bool {
    world.files.all.contains_key(path)
}

/// Refuses a path where there is no file.
pub fn must_exist(world: &World, path: &str) -> Result<()> {
    checked(world, path)?;
    match world.files.all.get(path) {
        Some(file) if !file.folder => Ok(()),
        _ => Err(file_fault("FileNotFound", path, "was not found")),
    }
}

/// A fault about one file.
pub fn file_fault(kind: &'static str, path: &str, what: &str) -> Fault {
    Fault::new(kind, format!("File {path} {what}")).with("file", path)
}

/// Writes a file, and the folders that it stands in.
pub fn put(world: &mut World, path: &str, size: i64, content: Option<String>) {
    let mut upto = path;
    while let Some((folder, _)) = upto.rsplit_once('/') {
        upto = folder;
        let modified = world.now;
        let fresh = || File { size: 0, modified, folder: true, content: None };
        world.files.all.get_or(folder.to_owned(), fresh);
    }
    let file = File {
        size: u64::try_from(size).unwrap_or(0),
        modified: world.now,
        folder: false,
        content: content.map(|it| Arc::new(it.into_bytes())),
    };
    world.files.all.insert(path.to_owned(), file);
}

/// The file that holds the data of a disk.
fn extent(path: &str, child: bool) -> String {
    let stem = path.strip_suffix(".vmdk").unwrap_or(path);
    format!("{stem}{}.vmdk", if child { "-sesparse" } else { "-flat" })
}

/// The bytes that a disk takes: of a thin one a part, of a child little.
fn taken(kilobytes: i64, thin: bool, child: bool) -> i64 {
    match (child, thin) {
        (true, _) => 16 << 20,
        (_, true) => kilobytes * 1024 / 5 * 2,
        _ => kilobytes * 1024,
    }
}

/// Makes the files of a disk.
pub fn put_disk(world: &mut World, disk: &NewDisk) {
    let extent = extent(&disk.path, disk.parent.is_some());
    let name = extent.rsplit('/').next().unwrap_or_default().to_owned();
    let sectors = disk.kilobytes * 2;
    let (kind, access, parent) = match &disk.parent {
        Some(it) => ("seSparse", "SESPARSE", format!("parentFileNameHint=\"{it}\"\n")),
        None => ("vmfs", "VMFS", String::new()),
    };
    let thin = if disk.thin { "ddb.thinProvisioned = \"1\"\n" } else { "" };
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=fffffffe\nparentCID=ffffffff\n\
         createType=\"{kind}\"\n{parent}\n# Extent description\nRW {sectors} {access} \"{name}\"\n\n\
         # The Disk Data Base\n#DDB\n\nddb.adapterType = \"lsilogic\"\n{thin}"
    );
    put(world, &disk.path, i64::try_from(text.len()).unwrap_or(0), Some(text));
    let child = disk.parent.is_some();
    let bytes = match disk.written {
        Some(written) if disk.thin && !child => written.max(1 << 20),
        _ => taken(disk.kilobytes, disk.thin, child),
    };
    put(world, &extent, bytes, None);
}

/// The bytes that the first so many files of a disk take, from the newest child on.
pub fn held(world: &World, backing: &Object, files: usize, kilobytes: i64) -> i64 {
    let thin = backing.flag("thinProvisioned") == Some(true);
    let names = chain(backing);
    let sizes = names.iter().enumerate().take(files).map(|(at, path)| {
        let child = at + 1 < names.len();
        let file = world.files.all.get(&extent(path, child));
        let known = file.and_then(|it| i64::try_from(it.size).ok());
        known.unwrap_or_else(|| taken(kilobytes, thin, child))
    });
    sizes.sum()
}

/// Bytes that a machine takes on datastores, and those that it may take beyond them.
pub fn storage(world: &World, machine: &Machine) -> (i64, i64) {
    let (mut committed, mut uncommitted) = (4 << 20, 0);
    for disk in machine.devices().filter(|it| it.is("VirtualDisk")) {
        let Some(backing) = disk.object("backing") else { continue };
        let kilobytes = disk.int("capacityInKB").unwrap_or(0);
        // The base of a linked clone belongs to another machine.
        let names = chain(backing);
        let own = names.iter().skip(1).take_while(|it| is_own(machine, it)).count() + 1;
        let used = held(world, backing, own, kilobytes);
        committed += used;
        uncommitted += (kilobytes * 1024 - used).max(0);
    }
    if machine.power == Power::On {
        committed += machine.memory() << 20;
    }
    (committed, uncommitted)
}

/// Takes the files of a disk away.
pub fn remove_disk(world: &mut World, path: &str) {
    world.files.all.remove(path);
    world.files.all.remove(&extent(path, false));
    world.files.all.remove(&extent(path, true));
}

/// How large the guest sees the disk at a path, in KB.
pub fn capacity(world: &World, path: &str) -> Option<i64> {
    let content = world.files.all.get(path)?.content.as_ref();
    let text = content.and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
    let line = text.lines().find_map(|it| it.strip_prefix("RW "));
    let sectors = line.and_then(|it| it.split(' ').next()?.parse::<i64>().ok());
    sectors.map(|it| it / 2).or_else(|| {
        let size = world.files.all.get(&extent(path, false))?.size;
        i64::try_from(size / 1024).ok()
    })
}

/// The files of a disk from the newest child to the base.
pub fn chain(backing: &Object) -> Vec<&str> {
    std::iter::successors(Some(backing), |it| it.object("parent"))
        .take(64)
        .filter_map(|it| it.text("fileName"))
        .collect()
}

/// The disks of a configuration that are files.
pub fn disks(config: &Object) -> impl Iterator<Item = &Object> {
    config
        .objects("hardware.device")
        .filter(|it| it.is("VirtualDisk") && it.text("backing.fileName").is_some())
}

/// Every disk file of a machine, those of its snapshots too, with its size in KB, whether it is
/// thin, and its parent.
pub fn disk_files(machine: &Machine) -> Sorted<String, NewDisk> {
    let info = machine.info();
    let mut all = Sorted::new();
    for config in std::iter::once(&info).chain(machine.snapshots.iter().map(|it| &*it.config)) {
        for disk in disks(config) {
            let Some(backing) = disk.object("backing") else { continue };
            let names = chain(backing);
            let kilobytes = disk.int("capacityInKB").unwrap_or(0);
            let thin = backing.flag("thinProvisioned") == Some(true);
            for (at, path) in names.iter().enumerate() {
                // The base of a linked clone belongs to another machine.
                if at > 0 && !is_own(machine, path) {
                    continue;
                }
                let parent = names.get(at + 1).map(|it| (*it).to_owned());
                let path = (*path).to_owned();
                let fresh = NewDisk { path: path.clone(), kilobytes, thin, parent, written: None };
                all.get_or(path, || fresh);
            }
        }
    }
    all
}

/// Whether a file stands in a folder of the machine, on whatever datastore.
pub fn is_own(machine: &Machine, path: &str) -> bool {
    let folder =
        |it: &str| split(it).and_then(|(_, rest)| Some(rest.rsplit_once('/')?.0.to_owned()));
    folder(path) == folder(&machine.path)
}

/// What belongs to a machine beside its disks: path, type and bytes.
fn beside(machine: &Machine) -> Vec<(String, &'static str, i64)> {
    let (stem, memory) = (machine.stem(), machine.memory() << 20);
    let mut all = vec![
        (machine.path.clone(), "config", 3000),
        (format!("{stem}.nvram"), "nvram", 8684),
        (format!("{stem}.vmsd"), "snapshotList", 43),
        (format!("{}/vmware.log", machine.folder()), "log", 241_331),
    ];
    match machine.power {
        Power::On => all.push((format!("{stem}.vswp"), "swap", memory)),
        Power::Suspended => all.push((format!("{stem}.vmss"), "suspend", memory)),
        Power::Off => {}
    }
    for it in &machine.snapshots {
        let name = format!("{stem}-Snapshot{}", it.number);
        all.push((format!("{name}.vmsn"), "snapshotData", 28_000));
        if it.power == Power::On {
            all.push((format!("{name}.vmem"), "snapshotMemory", memory));
        }
    }
    all
}

/// Brings what lies beside the disks up to date with the machine.
pub fn settle(world: &mut World, before: Option<&Machine>, machine: &Machine) {
    let now = beside(machine);
    for (path, ..) in before.map(beside).unwrap_or_default() {
        if !now.iter().any(|it| it.0 == path) {
            world.files.all.remove(&path);
        }
    }
    for (path, kind, size) in now {
        match kind {
            "config" => {
                let text = vmx::write(machine);
                put(world, &path, i64::try_from(text.len()).unwrap_or(0), Some(text));
            }
            _ if exists(world, &path) => {}
            _ => put(world, &path, size, None),
        }
    }
}

/// Takes away every file of a machine, and its folder where nothing is left in it.
pub fn clear(world: &mut World, machine: &Machine) {
    for (path, ..) in beside(machine) {
        world.files.all.remove(&path);
    }
    for path in disk_files(machine).keys() {
        remove_disk(world, path);
    }
    let folder = machine.folder();
    let inside = format!("{folder}/");
    if !world.files.all.from_key(&*inside).next().is_some_and(|it| it.0.starts_with(&inside)) {
        world.files.all.remove(folder);
    }
}

/// `layoutEx`.
pub fn layout(world: &World, machine: &Machine) -> Object {
    let mut files: Vec<Object> = Vec::new();
    let mut add = |name: String, kind: &str, size: i64| {
        let known = world.files.all.get(&name).and_then(|it| i64::try_from(it.size).ok());
        let (key, size) = (files.len(), known.unwrap_or(size));
        files.push(
            Object::new("VirtualMachineFileLayoutExFileInfo")
                .with("key", key)
                .with("name", name)
                .with("type", kind)
                .with("size", size)
                .with("uniqueSize", size)
                .with("accessible", true),
        );
        key
    };
    let mut data: Sorted<String, usize> = Sorted::new();
    for (name, kind, size) in beside(machine) {
        data.insert(name.clone(), add(name, kind, size));
    }
    let mut units: Sorted<String, Value> = Sorted::new();
    for (path, it) in disk_files(machine) {
        let child = it.parent.is_some();
        let own = add(path.clone(), "diskDescriptor", 500);
        let bytes = taken(it.kilobytes, it.thin, child);
        let keys = vec![own, add(extent(&path, child), "diskExtent", bytes)];
        let unit = Object::new("VirtualMachineFileLayoutExDiskUnit").with("fileKey", keys);
        units.insert(path, unit.into());
    }
    let chains = |config: &Object| -> Vec<Object> {
        let each = disks(config).map(|disk| {
            let names = disk.object("backing").map(chain).unwrap_or_default();
            let chain = names.iter().rev().filter_map(|it| units.get(*it)).collect::<Value>();
            Object::new("VirtualMachineFileLayoutExDiskLayout")
                .with("key", disk.int("key").unwrap_or(0))
                .with("chain", chain)
        });
        each.collect()
    };
    let snapshots = machine.snapshots.iter().map(|it| {
        let name = format!("{}-Snapshot{}", machine.stem(), it.number);
        let key = |end: &str| {
            data.get(&format!("{name}.{end}")).map_or(-1, |it| i64::try_from(*it).unwrap_or(-1))
        };
        Object::new("VirtualMachineFileLayoutExSnapshotLayout")
            .with("key", Ref::new("VirtualMachineSnapshot", it.id.as_str()))
            .with("dataKey", key("vmsn"))
            .with("memoryKey", key("vmem"))
            .with("disk", chains(&it.config))
    });
    let snapshots: Vec<Object> = snapshots.collect();
    let disk = chains(&machine.info());
    Object::new("VirtualMachineFileLayoutEx")
        .with("file", files)
        .with("disk", disk)
        .with("snapshot", snapshots)
        .with("timestamp", stamp(world.now))
}

/// Whether a disk takes room only as it is written.
pub fn thin(world: &World, path: &str) -> bool {
    let content = world.files.all.get(path).and_then(|it| it.content.as_ref());
    let text = content.and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default();
    text.contains("ddb.thinProvisioned = \"1\"")
}
