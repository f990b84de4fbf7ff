//! Moving machines with vCenter: to another host, to another datastore, or one disk of them.
//!
//! All three are one request, `RelocateVM_Task`. What it would refuse after minutes is checked
//! first: whether the host sees the datastores, and whether there is room. Surprising: where one
//! disk is named, all are, since it is nowhere said what becomes of the others.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::text::order;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::devices::{disk_bytes, gigabytes, label, of_kind};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::iso::store_of;
use crate::vsphere::machines::reference;
use crate::vsphere::near::{Near, Use, free, name};
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, task};

/// Read beside what every change of hardware reads.
const PATHS: &[&str] = &["storage.perDatastoreUsage"];

/// The backing of a disk that can be thin or thick.
const FLAT: &str = "VirtualDiskFlatVer2BackingInfo";

const INSTEAD: &str = "Ask the vCenter that manages it, or power the VM off and copy it (clone_vm)";

/// A machine, and the places that it could go to.
struct Move<'a> {
    hardware: Hardware<'a>,
    near: Near,
    spec: Object,
    steps: Vec<String>,
}

impl Vsphere {
    /// Prepares to move a machine to another host, another datastore, or both at once.
    pub fn migrate<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        host: Option<&str>,
        store: Option<&str>,
    ) -> Result<Prepared<'a>> {
        let mut it = Move::read(self, call, wanted)?;
        let now = it.host().cloned();
        let host = host.map(|host| it.near.host(host, now.as_ref())).transpose()?;
        let host = host.map(|row| row.at.clone());
        if let Some(host) = host.as_ref().filter(|host| now.as_ref() != Some(*host)) {
            it.send_to_host(host, store.is_none())?;
        }
        if let Some(store) = store {
            it.send_to_store(store, host.as_ref().or(now.as_ref()), None)?;
        }
        it.prepared(self)
    }

    /// Prepares to move all files of a machine, thin or thick if that is said.
    pub fn move_storage<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        store: &str,
        thin: Option<bool>,
    ) -> Result<Prepared<'a>> {
        let mut it = Move::read(self, call, wanted)?;
        let host = it.host().cloned();
        it.send_to_store(store, host.as_ref(), thin)?;
        it.prepared(self)
    }

    /// Prepares to move one disk; all else stays where it is.
    pub fn move_disk<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        disk: &str,
        store: &str,
    ) -> Result<Prepared<'a>> {
        let mut it = Move::read(self, call, wanted)?;
        let device = it.hardware.device("VirtualDisk", "disk", disk)?;
        let store = it.near.store(store, it.host(), Use::Write)?;
        let (now, then) = (device.text("backing.fileName").and_then(store_of), name(store));
        let word = label(device);
        if now == Some(&then) {
            return Ok(Prepared::already(format!("{word} is already on `{then}`")));
        }
        let bytes = disk_bytes(device);
        let thin = device.flag("backing.thinProvisioned") != Some(false);
        must_fit(store, if thin { 0 } else { bytes })?;
        let step = format!(
            "{word} of `{}` ({} at most) moves from `{}` to `{then}` ({} free)",
            it.hardware.at.name,
            gigabytes(bytes),
            now.unwrap_or("nowhere"),
            gigabytes(free(store))
        );
        let key = device.int("key");
        let place = |disk: &Object| match disk.int("key") == key {
            true => Some(locator(disk, &store.at)),
            false => Some(locator(disk, disk.reference("backing.datastore")?)),
        };
        let all =
            of_kind(it.hardware.devices(), "VirtualDisk").filter_map(place).collect::<Vec<_>>();
        it.steps.push(step);
        it.spec.set("disk", all);
        it.prepared(self)
    }
}

impl<'a> Move<'a> {
    fn read(it: &'a Vsphere, call: &Call, wanted: &str) -> Result<Move<'a>> {
        it.must_be_vcenter(call, "moves no VM", INSTEAD)?;
        let hardware = Hardware::read(it, call, wanted, PATHS)?;
        let near = Near::all(it, call)?;
        let spec = Object::new("VirtualMachineRelocateSpec");
        Ok(Move { hardware, near, spec, steps: Vec::new() })
    }

    /// Where it is.
    fn host(&self) -> Option<&Ref> {
        self.hardware.row.reference("runtime.host")
    }

    fn shown(&self, at: Option<&Ref>) -> String {
        at.and_then(|at| self.near.row(at)).map_or("an unknown host".to_owned(), name)
    }

    fn send_to_host(&mut self, host: &Ref, keeps_files: bool) -> Result<()> {
        self.must_see(host, keeps_files)?;
        let (from, to) = (self.shown(self.host()), self.shown(Some(host)));
        let vm = &self.hardware.at.name;
        self.steps.push(format!("`{vm}` moves from host `{from}` to `{to}`"));
        self.spec.set("host", host);
        let old = self.host().and_then(|host| self.near.own_pool(host)).map(|it| it.1);
        if let Some((pool, compute)) = self.near.own_pool(host)
            && old != Some(compute)
        {
            // Pools end at their cluster. A template has none.
            if self.hardware.row.flag("summary.config.template") != Some(true) {
                self.spec.set("pool", pool);
                let path = self.near.row(pool).map(|row| self.near.path(row));
                self.steps.push(format!("its resource pool is {} then", path.unwrap_or_default()));
            }
        }
        Ok(())
    }

    /// Refuses a host that cannot reach the files that stay, or an image in a drive.
    fn must_see(&self, host: &Ref, keeps_files: bool) -> Result<()> {
        let devices = self.hardware.devices();
        let file = |it: &Object| it.text("backing.fileName").map(str::to_owned);
        let (mut stay, mut images) = (Vec::new(), Vec::new());
        if keeps_files {
            stay.extend(self.hardware.row.string("summary.config.vmPathName"));
            stay.extend(of_kind(devices, "VirtualDisk").filter_map(file));
        }
        let connected = |it: &&Object| it.flag("connectable.connected") == Some(true);
        images.extend(of_kind(devices, "VirtualCdrom").filter(connected).filter_map(file));
        let away = |file: &&String| {
            store_of(file).is_some_and(|store| {
                let here = self.near.store(store, self.host(), Use::Read);
                !here.is_ok_and(|row| self.near.reaches(host, &row.at))
            })
        };
        let (file, hint) = match (stay.iter().find(away), images.iter().find(away)) {
            (Some(file), _) => (file, "Pass target_datastore too, one that the new host can reach"),
            (None, Some(image)) => (image, "Take the ISO out first (detach_iso)"),
            (None, None) => return Ok(()),
        };
        let said = format!("host `{}` cannot reach {file}", self.shown(Some(host)));
        Err(Error::new(Kind::Conflict, said).hint(hint))
    }

    fn send_to_store(
        &mut self,
        wanted: &str,
        host: Option<&Ref>,
        thin: Option<bool>,
    ) -> Result<()> {
        let store = self.near.store(wanted, host, Use::Write)?;
        let then = name(store);
        let devices = self.hardware.devices();
        let files = of_kind(devices, "VirtualDisk")
            .filter_map(|it| it.text("backing.fileName"))
            .chain(self.hardware.row.text("summary.config.vmPathName"));
        let now: Vec<String> = files.filter_map(store_of).map(str::to_owned).collect();
        let now = order::unique(now);
        let other: Vec<&Object> = thin.map_or(Vec::new(), |thin| of_other_format(devices, thin));
        let kind = if thin == Some(true) { "thin" } else { "thick" };
        if now.iter().all(|it| *it == then) {
            if let Some(disk) = other.first() {
                let said = format!("{} is on `{then}` already and not {kind}", label(disk));
                return Err(Error::new(Kind::Conflict, said)
                    .hint("Its format changes on the way to another datastore only"));
            }
            return Ok(());
        }
        if !other.is_empty() && self.hardware.has_snapshots() {
            let said =
                format!("`{}` has snapshots, and disks keep their format", self.hardware.at.name);
            return Err(Error::new(Kind::Conflict, said)
                .hint("Delete them first, or leave thin_provision out"));
        }
        let needed = match thin {
            Some(false) => {
                let there = |it: &Object| {
                    it.text("backing.fileName").and_then(store_of) == Some(then.as_str())
                };
                let is_other =
                    |it: &Object| other.iter().any(|other| other.int("key") == it.int("key"));
                // What is thick and there already takes nothing more, nor does a raw device.
                let takes = |it: &&Object| {
                    let flat = it.object("backing").is_some_and(|it| it.is(FLAT));
                    flat && (!there(it) || is_other(it))
                };
                of_kind(devices, "VirtualDisk").filter(takes).map(disk_bytes).sum()
            }
            _ => self.held_elsewhere(&store.at),
        };
        must_fit(store, needed)?;
        let from: Vec<String> =
            now.iter().filter(|it| **it != then).map(|it| format!("`{it}`")).collect();
        let mut steps = vec![format!(
            "the files of `{}` move from {} to `{then}` ({} to copy, {} free)",
            self.hardware.at.name,
            from.join(", "),
            gigabytes(needed),
            gigabytes(free(store))
        )];
        steps.extend(other.iter().map(|disk| format!("{} becomes {kind}", label(disk))));
        let place = |disk: &Object| {
            let place = locator(disk, &store.at);
            if !other.iter().any(|it| it.int("key") == disk.int("key")) {
                return place;
            }
            // Unverified: that an empty name lets the server choose the file.
            let backing = Object::new(FLAT)
                .with("fileName", "")
                .with("diskMode", disk.text("backing.diskMode").unwrap_or("persistent"))
                .with("thinProvisioned", thin == Some(true));
            place.with("diskBackingInfo", backing)
        };
        let locators: Vec<Object> = match other.is_empty() {
            true => Vec::new(),
            false => of_kind(devices, "VirtualDisk").map(place).collect(),
        };
        let at = store.at.clone();
        self.spec.set("datastore", at);
        if !locators.is_empty() {
            self.spec.set("disk", locators);
        }
        self.steps.extend(steps);
        Ok(())
    }

    /// Bytes of the machine that are not on this datastore.
    fn held_elsewhere(&self, store: &Ref) -> i64 {
        let usage = self.hardware.row.items("storage.perDatastoreUsage").iter();
        usage
            .filter_map(Value::as_object)
            .filter(|it| it.reference("datastore").is_none_or(|at| at.id != store.id))
            .filter_map(|it| it.int("committed"))
            .sum()
    }

    fn prepared(self, it: &'a Vsphere) -> Result<Prepared<'a>> {
        let Move { hardware, mut steps, spec, near } = self;
        let at: MachineRef = hardware.at.clone();
        if steps.is_empty() {
            let host = hardware.row.reference("runtime.host").and_then(|host| near.row(host));
            let files = hardware.row.text("summary.config.vmPathName").and_then(store_of);
            return Ok(Prepared::already(format!(
                "`{}` is already there: on host `{}`, its files on `{}`",
                at.name,
                host.map_or("unknown".to_owned(), name),
                files.unwrap_or("unknown")
            )));
        }
        let done = steps.clone();
        steps.push(match hardware.power() {
            PowerState::On => format!("`{}` runs on meanwhile", at.name),
            state => format!("`{}` is {} and stays so", at.name, state.word()),
        });
        let seen = hardware.seen();
        Ok(Prepared::new(steps, seen, move |call| {
            let vm = reference(&at);
            let args = Object::args().with("spec", spec);
            let doing = format!("moving {}", at.name);
            let method = "RelocateVM_Task";
            task::run(&it.session, call, &vm, method, &args, Some(&vm), &doing)?;
            Ok(done)
        }))
    }
}

/// The disks that can be thin or thick and are the other.
fn of_other_format(devices: &[Value], thin: bool) -> Vec<&Object> {
    let is_other = |disk: &&Object| {
        let backing = disk.object("backing");
        backing.is_some_and(|it| it.is(FLAT))
            && (disk.flag("backing.thinProvisioned") == Some(true)) != thin
    };
    of_kind(devices, "VirtualDisk").filter(is_other).collect()
}

fn locator(disk: &Object, store: &Ref) -> Object {
    Object::new("VirtualMachineRelocateSpecDiskLocator")
        .with("diskId", disk.int("key").unwrap_or(0))
        .with("datastore", store)
}

fn must_fit(store: &Row, bytes: i64) -> Result<()> {
    if bytes <= free(store) {
        return Ok(());
    }
    let said = format!(
        "`{}` has {} free, too little for {}",
        name(store),
        gigabytes(free(store)),
        gigabytes(bytes)
    );
    Err(Error::new(Kind::Conflict, said).hint("Use another datastore, or make room"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_disks_of_the_other_format_change_theirs() {
        let disk = |key: i64, kind: &'static str, thin: bool| -> Value {
            let mut backing = Object::new(kind);
            if kind == FLAT {
                backing.set("thinProvisioned", thin);
            }
            Object::new("VirtualDisk").with("key", key).with("backing", backing).into()
        };
        let all = [
            disk(1, FLAT, true),
            disk(2, FLAT, false),
            disk(3, "VirtualDiskRawDiskMappingVer1BackingInfo", false),
        ];
        let keys = |thin: bool| -> Vec<Option<i64>> {
            of_other_format(&all, thin).iter().map(|it| it.int("key")).collect()
        };
        assert_eq!((keys(true), keys(false)), (vec![Some(2)], vec![Some(1)]));
    }
}
