//! Datastores: how full they are, what a path on them means, and who holds a file.
//!
//! Free space follows from the files. Surprising: what thin disks may still take counts as
//! uncommitted, and can exceed the datastore.

mod browser;
mod copy;
mod disks;
mod manager;

use crate::sim::clock::Moment;
use crate::sim::clock::stamp;
use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::files::File;
use crate::sim::machine::Machine;
use crate::sim::machine::Power;
use crate::sim::permissions;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::rows::Property;
use crate::sim::sessions;
use crate::sim::task::Plan;
use crate::sim::task::Work;
use crate::sim::world::Plain;
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;

pub use browser::FAMILY as BROWSER;
pub use disks::FAMILY as DISKS;
pub use manager::FAMILY as MANAGER;

/// Bytes that a datastore's own administration takes.
const OVERHEAD: u64 = 1_500 << 20;

// ---- paths ----

/// Where a caller's path leads.
pub struct Place {
    /// Its normal form.
    pub path: String,
    /// Id of the datastore.
    pub store: String,
}

impl World {
    /// The place of a path on a datastore that is there.
    pub fn place(&self, text: &str) -> Result<Place> {
        let wrong = |kind, name: &str| {
            Fault::new(kind, format!("Invalid datastore path '{text}'.")).with("name", name)
        };
        let Some((name, path)) = files::path(text) else {
            return Err(wrong("InvalidDatastorePath", "").with("datastorePath", text));
        };
        let store = self.all("Datastore").find(|(_, props)| props.text("name") == Some(name));
        // unverified: the sentence of an unknown datastore.
        let store = store.ok_or_else(|| wrong("InvalidDatastore", name))?.0.to_owned();
        Ok(Place { path, store })
    }

    /// Bytes that are free on the datastore of a path.
    pub fn free(&self, path: &str) -> u64 {
        let name = path.find(']').and_then(|at| path.get(..=at)).unwrap_or_default();
        let own = |props: &Object| {
            props
                .text("name")
                .is_some_and(|it| name.len() == it.len() + 2 && name[1..].starts_with(it))
        };
        let capacity = self.all("Datastore").find(|(_, props)| own(props));
        let capacity = capacity.and_then(|(_, props)| props.int("summary.capacity")).unwrap_or(0);
        let used = self.files.size(name).saturating_add(OVERHEAD);
        u64::try_from(capacity).unwrap_or(0).saturating_sub(used)
    }

    /// Refuses what has no room.
    pub fn room(&self, path: &str, bytes: u64) -> Result<()> {
        if bytes <= self.free(path) {
            return Ok(());
        }
        let store = path.find(']').and_then(|at| path.get(1..at)).unwrap_or_default();
        let text = format!("Insufficient disk space on datastore '{store}'.");
        Err(Fault::new("NoDiskSpace", text).with("file", path).with("datastore", store))
    }

    /// The running machine that holds this file, if one does.
    pub fn holder(&self, path: &str) -> Option<&Machine> {
        let disk = path.replace("-flat.vmdk", ".vmdk");
        let holds = |it: &&Machine| {
            let stem = it.path.trim_end_matches(".vmx");
            let own = path.strip_prefix(stem);
            it.power == Power::On
                && (matches!(own, Some(".vmx" | ".nvram" | ".vswp"))
                    || (own.is_some() && path.ends_with("-sesparse.vmdk"))
                    || (it.shared && disk.strip_prefix(stem) == Some(".vmdk"))
                    || (files::name(path) == "vmware.log"
                        && files::parent(path) == files::parent(&it.path))
                    || it.devices().any(|it| {
                        it.is("VirtualDisk") && it.text("backing.fileName") == Some(&disk)
                    }))
        };
        self.machines.values().find(holds)
    }

    /// Refuses a file that is not there.
    pub fn there(&self, path: &str) -> Result<()> {
        match self.files.exists(path) {
            true => Ok(()),
            false => Err(about("FileNotFound", path)),
        }
    }

    /// Refuses a file that a running machine holds.
    pub fn unheld(&self, path: &str) -> Result<()> {
        match self.holder(path) {
            None => Ok(()),
            Some(_) => Err(about("FileLocked", path)),
        }
    }

    /// Stores a file; refused where there are too many.
    pub fn store(&mut self, path: &str, file: File) -> Result<()> {
        self.touch();
        match self.files.put(path, file) {
            true => Ok(()),
            false => Err(about("CannotCreateFile", path)),
        }
    }
}

/// A fault about one file.
pub fn about(kind: &'static str, path: &str) -> Fault {
    // unverified: all but the first two sentences.
    let text = match kind {
        "FileNotFound" => format!("File {path} was not found"),
        "FileLocked" => format!("Unable to access file {path} since it is locked"),
        "FileAlreadyExists" => format!(
            "Cannot complete the operation because the file or folder {path} already exists"
        ),
        "CannotDeleteFile" => format!("Cannot delete file {path}"),
        "CannotCreateFile" => format!("Cannot create file {path}"),
        _ => format!("Cannot access file {path}"),
    };
    Fault::new(kind, text).with("file", path)
}

/// The place that an argument names; its datacenter has to be one.
fn named(world: &World, call: &Call, argument: &str, datacenter: &str) -> Result<Place> {
    let text = call.args.text(argument).unwrap_or_default();
    match call.args.reference(datacenter) {
        Some(it) if world.kind_of(&it.id) != Some("Datacenter") => return Err(Fault::gone(it)),
        // unverified: that a vCenter says it so.
        None if world.vcenter => {
            let text = format!("Invalid datastore path '{text}'.");
            return Err(Fault::new("InvalidDatastorePath", text)
                .with("name", "")
                .with("datastorePath", call.args.text(argument).unwrap_or_default()));
        }
        _ => {}
    }
    let place = world.place(text)?;
    // The schema names no privilege for these methods, because it is needed on the datastore.
    let files = "Datastore.FileManagement";
    let store = Ref::new("Datastore", place.store.as_str());
    if sessions::only_looks(world, call.user)
        && !call.method.starts_with("Query")
        && !permissions::granted(world, call.user, &store, files)
    {
        return Err(Fault::new("NoPermission", "Permission to perform this operation was denied.")
            .with("object", store)
            .with("privilegeId", files));
    }
    Ok(place)
}

/// A task on the datacenter: file managers are no entities.
fn begin(world: &mut World, call: &Call, lasts: Moment, work: Work) -> Result<Value> {
    let entity = world.first("Datacenter").unwrap_or_else(|| call.this.clone());
    world.begin_on(entity, call, Plan { lasts, cancelable: true }, work)
}

/// Milliseconds that copying so many bytes takes, told faster than it is.
fn copying(bytes: u64) -> Moment {
    200 + Moment::try_from(bytes >> 18).unwrap_or(Moment::MAX).min(4000)
}

// ---- how full ----

/// Bytes that the thin disks on a datastore may still take.
fn uncommitted(world: &World, name: &str) -> i64 {
    let store = format!("[{name}]");
    let disks = world.machines.values().flat_map(|it| it.devices().map(move |disk| (it, disk)));
    let open = disks.filter(|(_, disk)| {
        disk.is("VirtualDisk") && disk.flag("backing.thinProvisioned") == Some(true)
    });
    open.filter(|(machine, disk)| {
        let file = disk.text("backing.fileName").filter(|_| !machine.shared);
        file.unwrap_or(&machine.path).starts_with(&store)
    })
    // A thin disk has two fifths of itself in use (see `Machine::storage`).
    .map(|(_, disk)| disk.int("capacityInKB").unwrap_or(0) * 1024 / 5 * 3)
    .sum()
}

/// `summary` and `info` with the space of this moment.
fn filled(world: &World, id: &str, property: &str) -> Option<Value> {
    let props = &world.plain.get(id)?.props;
    let mut value = props.object(property)?.clone();
    let name = props.text("name").unwrap_or_default();
    let free = world.free(&format!("[{name}]"));
    value.set("freeSpace", i64::try_from(free).unwrap_or(i64::MAX));
    match property {
        "summary" => value.set("uncommitted", uncommitted(world, name)),
        _ => value.set("timestamp", stamp(world.now)),
    }
    Some(value.into())
}

/// Nothing to look up: the numbers are always those of the moment.
fn refresh(_: &mut World, _: &Call) -> Result<Value> {
    Ok(Value::Null)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "Datastore", name: "RefreshDatastore", run: refresh },
        Method { on: "Datastore", name: "RefreshDatastoreStorageInfo", run: refresh },
    ],
    properties: &[
        Property {
            on: "Datastore",
            name: "summary",
            get: |world, id| filled(world, id, "summary"),
        },
        Property { on: "Datastore", name: "info", get: |world, id| filled(world, id, "info") },
    ],
};

// ---- what is there at the start ----

/// What stands on the datastores beside machines: path and bytes; a folder has a slash at its end.
const SEED: &[(&str, u64)] = &[
    ("[datastore1] .sdd.sf/", 0),
    ("[datastore1] iso/debian-12.iso", 659_554_304),
    ("[datastore1] locker/vmtools/linux.iso", 73_400_320),
    ("[datastore1] scratch/log/", 0),
    ("[nas01] backup/db01/db01-2026-01-11.dump.zst", 38_412_093_440),
    ("[nas01] backup/edge01-config.txt", 9_216),
    ("[nas01] iso/ubuntu-24.04.iso", 2_773_874_688),
    ("[nas01] iso/windows-2025.iso", 6_014_152_704),
    ("[nas01] templates/", 0),
];

/// What a machine's log begins with, line by line.
const LOG: &[&str] = &[
    "In(05) vmx - Log for VMware ESX pid=2101234 version=8.0.3 build=build-24022510 option=Release",
    "In(05) vmx - The host is x86_64.",
    "In(05) vmx - Hostname=esxi01.lab.example",
    "In(05) vmx - /vmfs/volumes/{store}/{name}/{name}.vmx",
    "In(05) vmx - DICT             displayName = \"{name}\"",
    "In(05) vmx - DICT         virtualHW.version = \"21\"",
    "In(05) vmx - DICT              firmware = \"bios\"",
    "In(05) vmx - Monitor Mode: CPL0",
    "In(05) vmx - OvhdMem_PowerOn: initial admission: paged 10478 nonpaged 4133 anonymous 6382",
    "In(05) vmx - PowerOn",
    "In(05) vmx - DISK: OPEN scsi0:0 '/vmfs/volumes/{store}/{name}/{name}.vmdk' persistent R[]",
    "In(05) vmx - DISKUTIL: scsi0:0 : geometry=5221/255/63",
    "In(05) vmx - Vix: [mainDispatch.c:4163]: VMAutomation_ReportPowerOpFinished: success=1",
    "In(05) vcpu-0 - CPU reset: hard (mode Emulation)",
    "In(05) vcpu-0 - Guest: Firmware has transitioned to runtime.",
    "Wa(03) vcpu-0 - VMXNET3 user: Ethernet0 Driver Info: version = 17303296 gosBits = 2",
    "In(05) vmx - Guest: toolbox: Version: build-22544099",
    "In(05) vmx - TOOLS autoupgrade protocol version 2",
    "In(05) vmx - GuestRpcSendTimedOut: message to toolbox timed out.",
    "In(05) vmx - Tools: Tools heartbeat timeout; heartbeat restored after 11 s.",
];

fn log(store: &str, name: &str, from: Moment) -> String {
    let lines = LOG.iter().zip((from..).step_by(1357)).map(|(line, at)| {
        let line = line.replace("{store}", store).replace("{name}", name);
        format!("{} {line}\n", stamp(at))
    });
    lines.collect()
}

/// Puts files on the datastores, and the managers and browsers of files into the inventory.
pub fn seed(world: &mut World) {
    let mut managers: Vec<Ref> = Vec::new();
    for (_, props) in world.all("ServiceInstance") {
        let fields = ["fileManager", "virtualDiskManager", "ovfManager"];
        let content = props.object("content");
        managers.extend(fields.iter().filter_map(|it| content?.reference(it).cloned()));
    }
    for it in managers {
        plain(world, it);
    }
    let stores: Vec<Ref> = world.all("Datastore").map(|it| Ref::new("Datastore", it.0)).collect();
    for store in &stores {
        let own = world.plain.get(&store.id).and_then(|it| it.props.reference("browser")).cloned();
        let id = format!("datastoreBrowser-{}", store.id);
        let browser = own.unwrap_or_else(|| Ref::new("HostDatastoreBrowser", id));
        if let Some(props) = world.plain_mut(&store.id) {
            props.set("browser", browser.clone());
        }
        plain(world, browser);
    }
    let hosts: Vec<String> = world.all("HostSystem").map(|it| it.0.to_owned()).collect();
    for host in hosts {
        let browser = Ref::new("HostDatastoreBrowser", format!("{host}-datastorebrowser"));
        if let Some(props) = world.plain_mut(&host) {
            props.set("datastoreBrowser", browser.clone());
        }
        plain(world, browser);
    }
    let day = 24 * 3_600_000;
    for (path, size) in SEED {
        let at = world.now - 30 * day;
        let (path, file) = match path.strip_suffix('/') {
            Some(folder) => (folder, File::folder(at)),
            None => (*path, File::blank(*size, at)),
        };
        if world.place(path).is_ok() {
            world.files.put(path, file);
        }
    }
    let logs: Vec<(String, String)> = ["web01", "db01"]
        .iter()
        .filter_map(|name| world.machines.values().find(|it| it.name == *name))
        .filter_map(|it| {
            let (store, _) = files::path(&it.path)?;
            let text = log(store, &it.name, it.booted);
            Some((format!("{}/vmware.log", files::parent(&it.path)), text))
        })
        .collect();
    for (path, text) in logs {
        let file = File::text(text, world.now - day);
        world.files.put(&path, file);
    }
}

/// An object of the inventory, unless it is there.
fn plain(world: &mut World, object: Ref) {
    let props = Object::args();
    let kind = Type::find(&object.kind).map_or("", Type::name);
    world.plain.get_or(object.id, || Plain { kind, props });
}
