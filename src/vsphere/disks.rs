//! Virtual disks: listed, added, grown, taken away.
//!
//! Where a new one goes is decided by `slots`. Surprising: a disk that has snapshots cannot grow,
//! because the snapshot's file has the old size; and its file cannot be deleted, because the
//! snapshot stands on it.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::disks::{DiskDetail, Disks, Image, NewDisk};
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::{
    add, add_new_disk, by_key, disk_bytes, disks, edit, gigabytes, label, of_kind, remove,
};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::iso::store_of;
use crate::vsphere::machines::reference;
use crate::vsphere::near::{Near, Use, free, name};
use crate::vsphere::{Vsphere, create, drives, props, slots};

impl Disks for Vsphere {
    fn list(&self, call: &Call, machine: &str) -> Result<Vec<DiskDetail>> {
        let hardware = Hardware::read(self, call, machine, &[])?;
        let devices = hardware.devices();
        let all = of_kind(devices, "VirtualDisk").zip(disks(devices));
        Ok(all.map(|(device, disk)| detail(devices, device, disk)).collect())
    }

    fn add<'a>(&'a self, call: &Call, machine: &str, new: &NewDisk) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, machine, &["config.guestId"])?;
        hardware.must_be_changeable()?;
        let guest = hardware.row.text("config.guestId").unwrap_or_default();
        let fallback = create::scsi_kind(guest);
        let slot = slots::for_disk(hardware.devices(), hardware.is_on(), fallback)
            .map_err(|error| error.during(format!("`{}`", hardware.at.name)))?;
        let store = new.datastore.as_deref().or(home(&hardware)).ok_or_else(|| {
            Error::usage("the datastore of the VM is not known").hint("Pass `datastore`")
        })?;
        let host = hardware.row.reference("runtime.host");
        let near = Near::stores(self, call, host)?;
        let store = near.store(store, host, Use::Write)?;
        let bytes = new.size_gb << 30;
        let room = room(&name(store), free(store), bytes, new.thin)?;
        let how = if new.thin { "thin" } else { "thick" };
        let step = format!(
            "`{}` ({}) gets a {how} disk of {} GB at {} on `{}` ({room})",
            hardware.at.name,
            hardware.power().word(),
            new.size_gb,
            slot.shown,
            name(store)
        );
        let backing = Object::new("VirtualDiskFlatVer2BackingInfo")
            .with("fileName", format!("[{}]", name(store)))
            .with("datastore", &store.at)
            .with("diskMode", "persistent")
            .with("thinProvisioned", new.thin);
        let disk = Object::new("VirtualDisk")
            .with("key", -1)
            .with("backing", backing)
            .with("controllerKey", slot.controller)
            .with("unitNumber", slot.unit)
            .with("capacityInKB", new.size_gb << 20);
        let mut changes: Vec<Object> = slot.added.into_iter().map(add).collect();
        changes.push(add_new_disk(disk));
        let before: Vec<i64> = keys(hardware.devices());
        let vm = reference(&hardware.at);
        let size = new.size_gb;
        Ok(hardware.change(vec![step], changes).then(move |call, done| {
            let done = done?;
            // Only the server knows what it called it.
            let path = "config.hardware.device";
            let row = props::one(&self.session, call, &vm, "VirtualMachine", &[path]);
            let devices = row.as_ref().map_or(&[][..], |row| row.items(path));
            let fresh = |it: &&Object| it.int("key").is_some_and(|key| !before.contains(&key));
            match of_kind(devices, "VirtualDisk").find(fresh) {
                Some(disk) => {
                    let file = disk.text("backing.fileName").unwrap_or("no file");
                    Ok(vec![format!("{} of {size} GB added, {how}, {file}", label(disk))])
                }
                None => Ok(done),
            }
        }))
    }

    fn remove<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        disk: &str,
        with_file: bool,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, machine, &[])?;
        hardware.must_be_changeable()?;
        let device = hardware.device("VirtualDisk", "disk", disk)?;
        if hardware.is_on() {
            slots::must_be_hot(hardware.devices(), device, "be removed")?;
        }
        let file = device.text("backing.fileName").unwrap_or("no file");
        let what = format!("{} of {}", label(device), gigabytes(disk_bytes(device)));
        let mut steps =
            vec![format!("{what} leaves `{}` ({})", hardware.at.name, hardware.power().word())];
        if of_kind(hardware.devices(), "VirtualDisk").count() == 1 {
            steps.push("the VM has no disk then".to_owned());
        }
        let change = remove(device.clone());
        if !with_file {
            steps.push(format!("its file stays: {file}"));
            return Ok(hardware.change(steps, vec![change]));
        }
        let refused = |why: String| {
            Err(Error::new(Kind::Conflict, why)
                .hint("Pass delete_file=false to take the disk away and keep its file"))
        };
        if hardware.has_snapshots() {
            return refused(format!(
                "`{}` has snapshots, and they need the file of {}",
                hardware.at.name,
                label(device)
            ));
        }
        if is_shared(&hardware, device) {
            return refused(format!("{} is shared with other VMs", label(device)));
        }
        steps.push(format!("its file is deleted: {file}"));
        if folder(file) != hardware.row.text("summary.config.vmPathName").and_then(folder) {
            steps.push("the file is not in the VM's own folder: another VM may use it".to_owned());
        }
        let loss = match is_raw(device) {
            true => format!("the mapping {file}; the data stay on the raw device"),
            false => format!("all that is on {what} ({file})"),
        };
        Ok(hardware.change(steps, vec![change.with("fileOperation", "destroy")]).losing(vec![loss]))
    }

    fn extend<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        disk: &str,
        size_gb: i64,
    ) -> Result<Prepared<'a>> {
        let hardware = Hardware::read(self, call, machine, &[])?;
        hardware.must_be_changeable()?;
        let device = hardware.device("VirtualDisk", "disk", disk)?;
        let (old, new) = (disk_bytes(device), size_gb << 30);
        let (word, vm) = (label(device), hardware.at.name.as_str());
        if old == new {
            return Ok(Prepared::already(format!("{word} already has {size_gb} GB")));
        }
        let refused = |why: String| Err(Error::new(Kind::Conflict, why));
        if new < old {
            let now = gigabytes(old);
            return refused(format!("{word} of `{vm}` has {now}, and a disk cannot shrink"))
                .map_err(|error| {
                    error.hint("Pass a larger new_size_gb, or copy what is on it to a smaller disk")
                });
        }
        if hardware.has_snapshots() {
            return refused(format!(
                "`{vm}` has snapshots, and {word} cannot grow while they stand on its old size"
            ))
            .map_err(|error| error.hint("Delete them first (delete_all_snapshots)"));
        }
        if device.object("backing.parent").is_some() {
            return refused(format!(
                "{word} of `{vm}` is a linked clone and has its source's size"
            ))
            .map_err(|error| error.hint("Add another disk with add_disk"));
        }
        if is_raw(device) {
            return refused(format!("{word} of `{vm}` is a raw device, which grows on its array"));
        }
        if hardware.is_on() {
            slots::must_be_hot(hardware.devices(), device, "grow")?;
            if is_shared(&hardware, device) {
                return refused(format!("{word} is shared with other VMs"))
                    .map_err(|error| error.hint("Power them all off first"));
            }
        }
        // By its id where there is one: of datastores, several may have one name.
        let on = match device.reference("backing.datastore") {
            Some(at) => at.id.as_str(),
            None => device.text("backing.fileName").and_then(store_of).unwrap_or_default(),
        };
        let host = hardware.row.reference("runtime.host");
        let near = Near::stores(self, call, host)?;
        let store = near.store(on, host, Use::Write)?;
        let thin = device.flag("backing.thinProvisioned") != Some(false);
        let room = room(&name(store), free(store), new - old, thin)?;
        let steps = vec![
            format!(
                "{word} of `{vm}`: {} -> {size_gb} GB on `{}` ({room})",
                gigabytes(old),
                name(store)
            ),
            "the guest still has to grow its partition and file system".to_owned(),
        ];
        let mut grown = device.clone();
        grown.set("capacityInKB", size_gb << 20);
        if grown.get("capacityInBytes").is_some() {
            grown.set("capacityInBytes", new);
        }
        Ok(hardware.change(steps, vec![edit(grown)]))
    }

    fn add_drive<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        image: Option<&Image>,
        boot: bool,
    ) -> Result<Prepared<'a>> {
        drives::add(self, call, machine, image, boot)
    }

    fn insert<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        drive: usize,
        image: &Image,
    ) -> Result<Prepared<'a>> {
        drives::insert(self, call, machine, drive, image)
    }

    fn eject<'a>(&'a self, call: &Call, machine: &str) -> Result<Prepared<'a>> {
        drives::eject(self, call, machine)
    }
}

fn detail(devices: &[Value], device: &Object, disk: crate::hv::model::Disk) -> DiskDetail {
    let backing = device.object("backing");
    let flag = |name: &str| backing.and_then(|it| it.flag(name)) == Some(true);
    let format = match backing.map_or("", Object::kind) {
        "VirtualDiskFlatVer2BackingInfo" if flag("thinProvisioned") => "thin",
        "VirtualDiskFlatVer2BackingInfo" if flag("eagerlyScrub") => "thick, zeroed",
        "VirtualDiskFlatVer2BackingInfo" => "thick",
        "VirtualDiskRawDiskMappingVer1BackingInfo" | "VirtualDiskRawDiskVer2BackingInfo" => {
            "raw device"
        }
        "VirtualDiskSeSparseBackingInfo" => "sparse",
        other => other,
    };
    let mut parents = 0;
    let mut below = backing.and_then(|it| it.object("parent"));
    while let Some(parent) = below {
        parents += 1;
        below = parent.object("parent");
    }
    DiskDetail {
        key: device.int("key").unwrap_or(0),
        place: slots::place(devices, device),
        mode: device.text("backing.diskMode").map(str::to_owned),
        uuid: device.text("backing.uuid").map(str::to_owned),
        datastore: disk.file.as_deref().and_then(store_of).map(str::to_owned),
        format: format.to_owned(),
        parents,
        disk,
    }
}

fn keys(devices: &[Value]) -> Vec<i64> {
    of_kind(devices, "VirtualDisk").filter_map(|it| it.int("key")).collect()
}

/// The datastore that the machine's own files are on.
pub fn home<'h>(hardware: &'h Hardware<'_>) -> Option<&'h str> {
    hardware.row.text("summary.config.vmPathName").and_then(store_of)
}

/// The folder of a file without its datastore.
fn folder(path: &str) -> Option<&str> {
    path.split_once("] ")?.1.rsplit_once('/').map(|(folder, _)| folder)
}

fn is_raw(disk: &Object) -> bool {
    disk.object("backing").is_some_and(|it| it.kind().contains("RawDisk"))
}

fn is_shared(hardware: &Hardware<'_>, disk: &Object) -> bool {
    let controller = disk.int("controllerKey").and_then(|key| by_key(hardware.devices(), key));
    let shares = controller.and_then(|it| it.text("sharedBus"));
    disk.text("backing.sharing") == Some("sharingMultiWriter")
        || shares.is_some_and(|it| it != "noSharing")
}

/// What the datastore has left, for a person; refuses a thick disk that does not fit.
fn room(store: &str, free: i64, bytes: i64, thin: bool) -> Result<String> {
    let left = format!("{} free", gigabytes(free));
    match (bytes > free, thin) {
        (false, _) => Ok(left),
        (true, true) => Ok(format!("{left}, so it cannot be filled")),
        (true, false) => {
            let said = format!(
                "`{store}` has {left}, too little for {} of a thick disk",
                gigabytes(bytes)
            );
            Err(Error::new(Kind::Conflict, said)
                .hint("Use another datastore or a thin disk, or make room"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thick_disk_must_fit_and_a_thin_one_is_warned_of() {
        let gb = |count: i64| count << 30;
        assert_eq!(room("ds", gb(5), gb(5), false).unwrap(), "5 GB free");
        assert_eq!(room("ds", gb(5), gb(6), true).unwrap(), "5 GB free, so it cannot be filled");
        let said = room("ds", gb(5), gb(6), false).unwrap_err().sentence();
        assert_eq!(said, "`ds` has 5 GB free, too little for 6 GB of a thick disk");
    }

    #[test]
    fn a_folder_is_told_without_its_datastore() {
        assert_eq!(folder("[a b] web 1/x.vmdk"), Some("web 1"));
        assert_eq!(folder("[a] x/y/z.vmdk"), Some("x/y"));
        assert_eq!((folder("[a] x.vmdk"), folder("no file")), (None, None));
    }

    #[test]
    fn the_format_and_what_lies_below_are_told() {
        let flat = || Object::new("VirtualDiskFlatVer2BackingInfo");
        let told = |backing: Object| {
            let device = Object::new("VirtualDisk").with("key", 2000).with("backing", backing);
            let disk = disks(&[device.clone().into()]).remove(0);
            let it = detail(&[], &device, disk);
            format!("{} {} {}", it.key, it.format, it.parents)
        };
        assert_eq!(told(flat().with("thinProvisioned", true)), "2000 thin 0");
        let parent = flat().with("parent", flat().with("parent", flat()));
        assert_eq!(told(parent.with("eagerlyScrub", true)), "2000 thick, zeroed 2");
        assert_eq!(
            told(Object::new("VirtualDiskRawDiskMappingVer1BackingInfo")),
            "2000 raw device 0"
        );
    }
}
