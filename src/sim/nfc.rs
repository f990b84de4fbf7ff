//! Leases: an import or export that holds a machine while its files travel over HTTP.
//!
//! It knows no HTTP. Of an upload only the numbers are kept. Surprising: a transfer does not renew
//! a lease, only `HttpNfcLeaseProgress` does; and an import whose lease ends badly leaves nothing.

mod methods;
mod pull;

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::sim::clock::Moment;
use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::files;
use crate::sim::machine::Machine;
use crate::sim::ovf;
use crate::sim::spec;
use crate::sim::sums::Slip;
use crate::sim::sums::Sums;
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::Ref;
use crate::vim::value::Value;

pub use methods::FAMILY;

/// Milliseconds until a lease is ready.
const BEGINS: Moment = 600;
/// How long a lease that failed can be asked why.
const KEPT: Moment = 10 * 60 * 1000;
/// Leases at a time, and uploads that are remembered.
const MOST: usize = 64;
const REMEMBERED: usize = 1000;

/// What was uploaded, and where to.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Of the datastore's file.
    pub path: String,
    /// Count and digests.
    pub sums: Sums,
}

/// All leases, and what came over them.
pub struct Nfc {
    /// A machine is being made whose images are uploaded afterwards.
    pub importing: bool,
    /// By id.
    pub leases: Sorted<String, Lease>,
    /// The newest last; those to `/folder` too.
    pub uploads: VecDeque<Upload>,
    /// Seconds without progress after which a lease ends.
    pub timeout: i64,
    /// Host and port in the URLs of a vCenter's leases; the first host's name where it is empty.
    pub host: String,
}

impl Default for Nfc {
    fn default() -> Nfc {
        let (leases, uploads) = (Sorted::new(), VecDeque::new());
        Nfc { importing: false, leases, uploads, timeout: 300, host: String::new() }
    }
}

impl Nfc {
    /// Remembers an upload.
    pub fn note(&mut self, upload: Upload) {
        if self.uploads.len() >= REMEMBERED {
            self.uploads.pop_front();
        }
        self.uploads.push_back(upload);
    }

    /// The file of a URL's last two parts, while its lease is ready.
    pub fn slot(&self, token: &str, name: &str) -> Option<(&Lease, usize)> {
        let ready = |it: &&Lease| it.token == token && matches!(it.state, State::Ready);
        let lease = self.leases.values().find(ready)?;
        lease.slots.iter().position(|it| it.name == name).map(|at| (lease, at))
    }

    /// The same, to be changed.
    pub fn slot_mut(&mut self, token: &str, name: &str) -> Option<&mut Slot> {
        let ready = |it: &&mut Lease| it.token == token && matches!(it.state, State::Ready);
        let lease = self.leases.values_mut().find(ready)?;
        lease.slots.iter_mut().find(|it| it.name == name)
    }
}

/// Where a lease stands.
pub enum State {
    /// The machine is being made, or looked at.
    Initializing,
    /// Files may travel.
    Ready,
    /// It ended by itself or never began.
    Error(Fault),
}

/// One lease.
pub struct Lease {
    /// What its URLs are known by.
    pub token: String,
    /// Where it stands.
    pub state: State,
    /// Files come in, else they go out.
    pub import: bool,
    /// The files.
    pub slots: Vec<Slot>,
    /// Id of the machine, once there is one.
    machine: String,
    /// Nothing else may be done to the machine.
    holds: bool,
    renewed: Moment,
    percent: i64,
}

/// One file of a lease.
pub struct Slot {
    /// The last part of its URL.
    pub name: String,
    /// On the datastore; of a disk its descriptor.
    pub path: String,
    /// A disk, else an image.
    pub disk: bool,
    /// Bytes as the guest sees them, or of the image.
    pub capacity: u64,
    /// What a made-up disk's content depends on.
    pub seed: u64,
    /// Somebody is sending it.
    pub busy: bool,
    /// What travelled, once all of it has.
    pub slip: Slip,
    /// `/12/VirtualLsiLogicController0:0`
    key: String,
    /// The same by the machine's name, as a descriptor's file item has it.
    import_key: String,
    sha1: bool,
}

impl Slot {
    /// What travelled.
    pub fn sums(&self) -> Option<Sums> {
        self.slip.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The files of a machine that travel: its disks, and images that are there (`out`) or are not.
fn slots(world: &World, machine: &Machine, out: bool) -> Vec<Slot> {
    let info = machine.info();
    let devices = info.list("hardware.device");
    let mut all: Vec<Slot> = Vec::new();
    for device in devices.iter().filter_map(Value::as_object) {
        let Some(path) = device.text("backing.fileName").and_then(files::path).map(|it| it.1)
        else {
            continue;
        };
        let disk = device.is("VirtualDisk");
        let place = match device.is("VirtualFloppy") {
            true => device.int("unitNumber").map(|it| format!("VirtualFloppy{it}")),
            false if disk || device.is("VirtualCdrom") => ovf::slot(devices, device),
            false => None,
        };
        let Some(place) = place else { continue };
        let image = world.files.file(&path);
        if !disk && image.is_some() != out {
            continue;
        }
        let at = all.len();
        // unverified: how the URL of an image ends.
        let name = match disk {
            true => format!("disk-{at}.vmdk"),
            false => format!("file-{at}.{}", path.rsplit('.').next().unwrap_or_default()),
        };
        let kilobytes = device.int("capacityInKB").unwrap_or(0);
        let bytes = u64::try_from(kilobytes.saturating_mul(1024)).unwrap_or(0);
        let seed = machine.uuid.bytes().chain(name.bytes());
        all.push(Slot {
            path,
            disk,
            capacity: image.filter(|_| !disk).map_or(bytes, |it| it.size),
            seed: seed.fold(1, |sum: u64, it| sum.wrapping_mul(131).wrapping_add(it.into())),
            busy: false,
            slip: Slip::default(),
            key: format!("/{}/{place}", machine.id),
            import_key: if out { String::new() } else { format!("/{}/{place}", machine.name) },
            sha1: true,
            name,
        });
    }
    all
}

impl World {
    /// Refuses what cannot be done to a machine while a lease holds it.
    pub fn leased(&self, machine: &str) -> Result<()> {
        let holds =
            |it: &Lease| it.holds && it.machine == machine && !matches!(it.state, State::Error(_));
        match self.nfc.leases.values().any(holds) {
            // unverified: InvalidState or TaskInProgress.
            true => Err(Fault::invalid_state()),
            false => Ok(()),
        }
    }

    /// A new lease that becomes ready when `begin` has named its machine.
    fn lease(&mut self, import: bool, holds: bool, machine: String, begin: Begin) -> Result<Value> {
        if self.nfc.leases.len() >= MOST {
            return Err(Fault::new("LimitExceeded", "There are too many leases."));
        }
        let number = self.number();
        // Of the world's own numbers, so that a kept import finds its lease again.
        let id = format!("haNfcLease-{number}");
        let token = format!("52{number:06x}-7ba4-4855-bbb3-{:012x}", number * 2_654_435_761);
        let lease = Lease {
            token,
            state: State::Initializing,
            import,
            slots: Vec::new(),
            machine,
            holds,
            renewed: self.now,
            percent: 0,
        };
        self.nfc.leases.insert(id.clone(), lease);
        self.touch();
        let own = id.clone();
        self.later(BEGINS, Box::new(move |world| started(world, &own, begin)));
        Ok(Ref::new("HttpNfcLease", id).into())
    }
}

/// What makes the machine of a lease, or finds it: its id.
type Begin = Box<dyn FnOnce(&mut World) -> Result<String> + Send>;

/// Makes a lease ready, or says why it is not.
fn started(world: &mut World, id: &str, begin: Begin) {
    if !world.nfc.leases.contains_key(id) {
        return;
    }
    let begun = begin(world);
    let found = begun.as_ref().ok().and_then(|it| world.machine(it));
    let out = world.nfc.leases.get(id).is_some_and(|it| !it.import);
    let slots = found.map(|it| slots(world, it, out)).unwrap_or_default();
    let (now, patience) = (world.now, world.nfc.timeout * 1000);
    let Some(lease) = world.nfc.leases.get_mut(id) else { return };
    let own = id.to_owned();
    match begun {
        Ok(machine) => {
            (lease.machine, lease.slots) = (machine, slots);
            (lease.state, lease.renewed) = (State::Ready, now);
            world.later(patience, Box::new(move |world| watched(world, &own)));
        }
        Err(fault) => {
            lease.state = State::Error(fault);
            world.later(KEPT, Box::new(move |world| drop(world.nfc.leases.remove(&own))));
        }
    }
}

/// Ends a lease that was not renewed in time, or looks again later.
fn watched(world: &mut World, id: &str) {
    let (now, patience) = (world.now, world.nfc.timeout * 1000);
    let Some(lease) = world.nfc.leases.get_mut(id) else { return };
    let (left, own) = (lease.renewed + patience - now, id.to_owned());
    if left > 0 {
        return world.later(left, Box::new(move |world| watched(world, &own)));
    }
    lease.state = State::Error(timed_out());
    let (import, machine) = (lease.import, lease.machine.clone());
    let paths = lease.slots.iter().map(|it| it.path.clone()).collect();
    if import {
        discard(world, &machine, paths);
    }
    world.later(KEPT, Box::new(move |world| drop(world.nfc.leases.remove(&own))));
}

/// Takes an unfinished machine away, with its files.
fn discard(world: &mut World, id: &str, images: Vec<String>) {
    let Some(machine) = world.machine(id).cloned() else { return };
    spec::delete_machine(world, id, true);
    for path in images {
        world.files.remove(&path);
    }
    let folder = files::parent(&machine.path);
    if world.files.below(folder).next().is_none() {
        world.files.remove(folder);
    }
    world.touch();
}

fn timed_out() -> Fault {
    Fault::new("Timedout", "Operation timed out.")
}
