//! VirtualDiskManager: disks without a machine, each a descriptor and an extent beside it.
//!
//! What is known of a disk stands in its descriptor, as on a host, so that a machine's disks are
//! read the same way. Surprising: ZeroFill and its like change nothing here but the time.

use crate::sim::datastore::about;
use crate::sim::datastore::begin;
use crate::sim::datastore::copy::remove;
use crate::sim::datastore::copy::transfer;
use crate::sim::datastore::copy::vacant;
use crate::sim::datastore::copying;
use crate::sim::datastore::named;
use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::files::File;
use crate::sim::files::Files;
use crate::sim::rows::Call;
use crate::sim::rows::Family;
use crate::sim::rows::Method;
use crate::sim::task::Work;
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// 62 TB.
const LARGEST: i64 = 62 << 30;

/// What a descriptor says.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// How large the guest sees it.
    pub kilobytes: i64,
    /// Takes room only as it is written.
    pub thin: bool,
    /// `lsilogic`
    pub adapter: String,
    /// `60 00 C2 91 ...`
    pub uuid: String,
}

/// The file with the data of a disk.
pub fn extent(path: &str) -> String {
    format!("{}-flat.vmdk", path.trim_end_matches(".vmdk"))
}

/// What names of files with the data of a disk end with.
pub const EXTENTS: &[&str] = &["-flat.vmdk", "-delta.vmdk", "-sesparse.vmdk"];

/// True for a file with data of a disk, which is no disk by itself.
pub fn is_extent(path: &str) -> bool {
    EXTENTS.iter().any(|it| path.ends_with(it))
}

/// The disk whose descriptor stands at a path.
pub fn read(files: &Files, path: &str) -> Option<Disk> {
    let file = files.file(path).filter(|_| path.ends_with(".vmdk") && !is_extent(path))?;
    let content = file.content.as_ref().and_then(|it| std::str::from_utf8(it).ok());
    let lines = || content.unwrap_or_default().lines();
    let quoted = |key: &str| {
        let value = lines().find_map(|it| it.strip_prefix(key));
        value.map(|it| it.trim_matches([' ', '=', '"']).to_owned())
    };
    let sectors = lines().find_map(|it| it.strip_prefix("RW ")?.split(' ').next()?.parse().ok());
    let size = || files.file(&extent(path)).and_then(|it| i64::try_from(it.size / 512).ok());
    let sectors: i64 = sectors.or_else(size)?;
    Some(Disk {
        kilobytes: sectors / 2,
        thin: quoted("ddb.thinProvisioned").as_deref() == Some("1"),
        adapter: quoted("ddb.adapterType").unwrap_or_else(|| "lsilogic".to_owned()),
        uuid: quoted("ddb.uuid ").unwrap_or_else(|| uuid(path)),
    })
}

/// An identity that follows from the path.
fn uuid(path: &str) -> String {
    let seed = path.bytes().fold(17u64, |sum, it| sum.wrapping_mul(31).wrapping_add(it.into()));
    let bytes: Vec<String> = seed.to_be_bytes().iter().map(|it| format!("{it:02x}")).collect();
    format!("60 00 C2 9{} {}-{}", seed % 10, bytes[..4].join(" "), bytes.join(" "))
}

/// The files of a disk, with so many bytes of data.
fn write(world: &mut World, path: &str, disk: &Disk, bytes: u64) -> Result<()> {
    let (cylinders, heads, sectors) = geometry(disk.kilobytes);
    let thin = if disk.thin { "ddb.thinProvisioned = \"1\"\n" } else { "" };
    let (flat, total) = (extent(path), disk.kilobytes * 2);
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=fffffffe\nparentCID=ffffffff\n\
         createType=\"vmfs\"\n\n# Extent description\nRW {total} VMFS \"{}\"\n\n# The Disk Data \
         Base\n#DDB\n\nddb.adapterType = \"{}\"\nddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{heads}\"\nddb.geometry.sectors = \"{sectors}\"\n{thin}ddb.uuid = \
         \"{}\"\nddb.virtualHWVersion = \"21\"\n",
        files::name(&flat),
        disk.adapter,
        disk.uuid,
    );
    let now = world.now;
    world.store(path, File::text(text, now))?;
    world.store(&flat, File::blank(bytes, now))
}

fn geometry(kilobytes: i64) -> (i64, i64, i64) {
    let (heads, sectors) = if kilobytes < 1 << 20 { (64, 32) } else { (255, 63) };
    (kilobytes * 2 / (heads * sectors), heads, sectors)
}

/// Bytes of data that a disk needs at once.
fn needed(disk: &Disk) -> u64 {
    if disk.thin { 0 } else { u64::try_from(disk.kilobytes * 1024).unwrap_or(0) }
}

/// The path of a disk, in a call.
fn path(world: &World, call: &Call) -> Result<String> {
    let path = named(world, call, "name", "datacenter")?.path;
    match path.ends_with(".vmdk") {
        true => Ok(path),
        // unverified: which fault a name without the ending gives.
        false => Err(Fault::invalid_argument("name")),
    }
}

/// The disk at a path; a file that is none is not found.
fn disk(world: &World, path: &str) -> Result<Disk> {
    read(&world.files, path).ok_or_else(|| about("FileNotFound", path))
}

/// How a spec wants the disk to be.
fn wanted(spec: &Object, mut disk: Disk) -> Result<Disk> {
    match spec.text("diskType").unwrap_or_default() {
        "thin" | "sparse2Gb" | "sparseMonolithic" | "seSparse" => disk.thin = true,
        "thick" | "preallocated" | "eagerZeroedThick" | "flatMonolithic" | "thick2Gb" => {
            disk.thin = false;
        }
        // unverified: raw disks and deltas, which need a device or a parent.
        _ => return Err(Fault::invalid_argument("spec.diskType")),
    }
    if let Some(adapter) = spec.text("adapterType") {
        if !["ide", "busLogic", "lsiLogic"].contains(&adapter) {
            return Err(Fault::invalid_argument("spec.adapterType"));
        }
        disk.adapter = adapter.to_ascii_lowercase();
    }
    Ok(disk)
}

fn create(world: &mut World, call: &Call) -> Result<Value> {
    let path = path(world, call)?;
    let spec = call.args.object("spec").cloned().unwrap_or_else(Object::args);
    let kilobytes = spec.int("capacityKb").unwrap_or(0);
    if !(1..=LARGEST).contains(&kilobytes) {
        return Err(Fault::invalid_argument("spec.capacityKb"));
    }
    let blank = Disk { kilobytes, thin: false, adapter: String::new(), uuid: uuid(&path) };
    let disk = wanted(&spec, blank)?;
    let eager = spec.text("diskType") == Some("eagerZeroedThick");
    let lasts = copying(if eager { needed(&disk) } else { 0 });
    let work = move |world: &mut World| {
        vacant(world, &path, false)?;
        world.room(&path, needed(&disk))?;
        write(world, &path, &disk, needed(&disk))?;
        Ok(path.into())
    };
    begin(world, call, lasts, Box::new(work))
}

fn delete(world: &mut World, call: &Call) -> Result<Value> {
    let path = path(world, call)?;
    let work = move |world: &mut World| {
        disk(world, &path)?;
        remove(world, &path)?;
        world.files.remove(&extent(&path));
        Ok(Value::Null)
    };
    begin(world, call, 300, Box::new(work))
}

/// Copies a disk, or moves it unless `keep`.
fn relocate(world: &mut World, call: &Call, keep: bool) -> Result<Value> {
    let from = named(world, call, "sourceName", "sourceDatacenter")?;
    let other = call.args.reference("destDatacenter").is_some();
    let datacenter = if other { "destDatacenter" } else { "sourceDatacenter" };
    let to = named(world, call, "destName", datacenter)?;
    if !to.path.ends_with(".vmdk") {
        return Err(Fault::invalid_argument("destName"));
    }
    let spec = call.args.object("destSpec").cloned();
    if spec.is_some() && world.vcenter {
        return Err(Fault::new("NotImplemented", "The method is not implemented."));
    }
    let moved = !keep && from.store == to.store;
    let lasts = copying(if moved { 0 } else { world.files.size(&extent(&from.path)) });
    let work = move |world: &mut World| {
        let mut new = disk(world, &from.path)?;
        let mut bytes = world.files.size(&extent(&from.path));
        if let Some(spec) = &spec {
            new = wanted(spec, new)?;
            bytes = bytes.max(needed(&new));
        }
        if keep {
            new.uuid = uuid(&to.path);
        }
        // `force` counts for nothing here.
        transfer(world, &from.path, &to.path, keep, false)?;
        // The extent goes with it, and its name stands in the descriptor.
        if keep {
            world.room(&to.path, bytes).inspect_err(|_| world.files.remove(&to.path))?;
        } else {
            world.files.remove(&extent(&from.path));
        }
        write(world, &to.path, &new, bytes)?;
        Ok(to.path.into())
    };
    begin(world, call, lasts, Box::new(work))
}

/// What changes a disk, and the bytes that it takes.
type Alter = Box<dyn FnOnce(&mut Disk, &mut u64) -> Result<()> + Send>;

/// A task that changes a disk in place.
fn change(world: &mut World, call: &Call, lasts: u64, alter: Alter) -> Result<Value> {
    let path = path(world, call)?;
    let work: Work = Box::new(move |world| {
        let mut it = disk(world, &path)?;
        world.unheld(&path)?;
        let before = world.files.size(&extent(&path));
        let mut bytes = before;
        alter(&mut it, &mut bytes)?;
        world.room(&path, bytes.saturating_sub(before))?;
        write(world, &path, &it, bytes)?;
        Ok(Value::Null)
    });
    begin(world, call, copying(lasts), work)
}

fn extend(world: &mut World, call: &Call) -> Result<Value> {
    let wanted = call.args.int("newCapacityKb").unwrap_or(0);
    let alter: Alter = Box::new(move |disk, bytes| {
        if wanted <= disk.kilobytes || wanted > LARGEST {
            return Err(Fault::invalid_argument("newCapacityKb"));
        }
        disk.kilobytes = wanted;
        *bytes = needed(disk).max(*bytes);
        Ok(())
    });
    change(world, call, 0, alter)
}

fn inflate(world: &mut World, call: &Call) -> Result<Value> {
    let alter: Alter = Box::new(|disk, bytes| {
        disk.thin = false;
        *bytes = needed(disk);
        Ok(())
    });
    change(world, call, 1 << 30, alter)
}

fn nothing(world: &mut World, call: &Call) -> Result<Value> {
    change(world, call, 1 << 29, Box::new(|_, _| Ok(())))
}

fn set_uuid(world: &mut World, call: &Call) -> Result<Value> {
    let path = path(world, call)?;
    let mut it = disk(world, &path)?;
    world.unheld(&path)?;
    it.uuid = call.args.text("uuid").unwrap_or_default().to_owned();
    if it.uuid.len() > 64 || it.uuid.contains(['"', '\n']) {
        return Err(Fault::invalid_argument("uuid"));
    }
    let bytes = world.files.size(&extent(&path));
    write(world, &path, &it, bytes)?;
    Ok(Value::Null)
}

/// Something that is asked of a disk.
fn ask(world: &mut World, call: &Call, answer: fn(&Disk) -> Value) -> Result<Value> {
    Ok(answer(&disk(world, &path(world, call)?)?))
}

/// A `VmDiskFileInfo` without what every file has, as far as the flags ask for it.
pub fn info(path: &str, disk: &Disk, flags: Option<&Object>) -> Object {
    let on = |flag: &str| flags.is_some_and(|it| it.flag(flag) == Some(true));
    let controller = match &*disk.adapter {
        "ide" => "VirtualIDEController",
        "buslogic" => "VirtualBusLogicController",
        _ => "VirtualLsiLogicController",
    };
    Object::new("VmDiskFileInfo")
        .with_some("diskType", on("diskType").then_some("VirtualDiskFlatVer2BackingInfo"))
        .with_some("capacityKb", on("capacityKb").then_some(disk.kilobytes))
        .with_some("hardwareVersion", on("hardwareVersion").then_some(21))
        .with_some("controllerType", on("controllerType").then_some(controller))
        .with_some("diskExtents", on("diskExtents").then(|| vec![extent(path)]))
        .with_some("thin", on("thin").then_some(disk.thin))
}

/// True if the filter of a query takes this disk.
pub fn fits(path: &str, disk: &Disk, filter: &Object) -> bool {
    let flags = Object::new("VmDiskFileQueryFlags")
        .with("diskType", true)
        .with("hardwareVersion", true)
        .with("controllerType", true);
    let own = info(path, disk, Some(&flags));
    let among = |wanted: &str, own: Option<&Value>| {
        let wanted = filter.list(wanted);
        wanted.is_empty() || wanted.iter().any(|it| Some(it.plain()) == own.map(Value::plain))
    };
    among("diskType", own.get("diskType"))
        && among("controllerType", own.get("controllerType"))
        && among("matchHardwareVersion", own.get("hardwareVersion"))
        && filter.flag("thin").is_none_or(|it| it == disk.thin)
        && filter.flag("encrypted") != Some(true)
}

/// A `HostDiskDimensionsChs`.
fn dimensions(disk: &Disk) -> Value {
    let (cylinder, head, sector) = geometry(disk.kilobytes);
    let long = Type::find("long");
    let cylinder = match long {
        Some(long) => Value::Typed(long, Box::new(cylinder.into())),
        None => cylinder.into(),
    };
    Object::new("HostDiskDimensionsChs")
        .with("cylinder", cylinder)
        .with("head", head)
        .with("sector", sector)
        .into()
}

/// A row of the manager.
macro_rules! method {
    ($name:literal, $run:expr) => {
        Method { on: "VirtualDiskManager", name: $name, run: $run }
    };
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        method!("CreateVirtualDisk_Task", create),
        method!("DeleteVirtualDisk_Task", delete),
        method!("CopyVirtualDisk_Task", |world, call| relocate(world, call, true)),
        method!("MoveVirtualDisk_Task", |world, call| relocate(world, call, false)),
        method!("ExtendVirtualDisk_Task", extend),
        method!("InflateVirtualDisk_Task", inflate),
        method!("ZeroFillVirtualDisk_Task", nothing),
        method!("SetVirtualDiskUuid", set_uuid),
        method!("QueryVirtualDiskUuid", |world, call| ask(world, call, |it| it
            .uuid
            .as_str()
            .into())),
        method!("QueryVirtualDiskGeometry", |world, call| ask(world, call, dimensions)),
        method!("QueryVirtualDiskFragmentation", |world, call| ask(world, call, |_| 0.into())),
    ],
    properties: &[],
};
