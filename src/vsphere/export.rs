//! An export over an NFC lease: the disks of a machine that is off, or of a snapshot of one that is
//! not.
//!
//! It must not know where the files go. Whatever happens the lease ends and the snapshot goes.
//! Surprising: nobody knows how large a disk becomes on its way, since the host compresses it while
//! it sends; and a broken transfer cannot be resumed.

use std::io;
use std::io::Read;
use std::time::Duration;

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::appliances::{Collect, Export};
use crate::hv::call::{Call, Cancel};
use crate::hv::meter::{Meter, amount};
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::hv::snapshots::{NewSnapshot, Snapshots};
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::descriptor::{Described, describe};
use crate::vsphere::devices::{disk_bytes, gigabytes, label, of_kind};
use crate::vsphere::hardware::Hardware;
use crate::vsphere::lease::Lease;
use crate::vsphere::machines::reference;
use crate::vsphere::{Vsphere, lease_door, task};
use crate::web::exchange::{Request, into_io};

/// The snapshot under a machine that is not off.
const SNAPSHOT: &str = "jumpvisor-export";
const NOTE: &str = "For the time of an export by jumpvisor. It may be deleted.";

/// What a snapshot still may cost when the call has ended.
const PARTING: Duration = Duration::from_secs(30);

/// What is asked beside the devices.
const MORE: &[&str] = &["summary.storage.committed", "config.firmware", "config.keyId"];

/// The first bytes of a disk on its way.
const MAGIC: &[u8] = b"KDMV";

/// A disk on its way ends with an empty sector.
const LAST_SECTOR: usize = 512;

/// Looks at the machine and says what would be exported.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    what: &Export<'_>,
    into: Box<dyn Collect + 'a>,
) -> Result<Prepared<'a>> {
    let hardware = Hardware::read(it, call, what.machine, MORE)?;
    let at = hardware.at.clone();
    let off = hardware.is_off();
    // unverified: whether a host describes a machine that runs without being told the snapshot.
    let draft = match describe(it, call, &at, Vec::new(), None) {
        Err(error) if !off && error.kind() == Kind::Conflict => None,
        draft => Some(draft?),
    };
    let quiesce = what.quiesce && hardware.is_on();
    let (mut steps, estimate) = told(&hardware, what.stem, quiesce);
    steps.extend(draft.iter().flat_map(|it| it.warnings.clone()));
    let seen = hardware.seen();
    let work = Work {
        it,
        off,
        quiesce,
        encrypted: hardware.row.get("config.keyId").is_some(),
        stem: what.stem.to_owned(),
        disks: of_kind(hardware.devices(), "VirtualDisk").count(),
        estimate,
        draft: draft.filter(|_| off),
        at,
    };
    Ok(Prepared::new(steps, seen, move |call| work.run(call, into)))
}

/// What will happen, and about how many bytes come.
fn told(hardware: &Hardware<'_>, stem: &str, quiesce: bool) -> (Vec<String>, u64) {
    let (name, power) = (&hardware.at.name, hardware.power());
    let template = hardware.row.flag("summary.config.template") == Some(true);
    let mut steps = vec![match (power, template) {
        (_, true) => format!("the template `{name}` is held meanwhile: nobody can change it"),
        (PowerState::Off, _) => {
            format!("`{name}` (off) is held meanwhile: it can be neither powered on nor changed")
        }
        _ => {
            let how = if quiesce { "with settled file systems" } else { "as after a power cut" };
            format!(
                "`{name}` ({}) gets a snapshot `{SNAPSHOT}`, which is removed afterwards; that \
                 moment is exported, {how}",
                power.word()
            )
        }
    }];
    let disks: Vec<&Object> = of_kind(hardware.devices(), "VirtualDisk").collect();
    let bytes = |it: &&Object| u64::try_from(disk_bytes(it)).unwrap_or(0);
    let capacity: u64 = disks.iter().map(bytes).sum();
    let committed = hardware.row.int("summary.storage.committed");
    let committed = committed.and_then(|it| u64::try_from(it).ok()).filter(|it| *it > 0);
    let estimate = committed.map_or(capacity, |it| it.min(capacity));
    steps.push(match disks.len() {
        0 => "it has no disks: only what describes it is written".to_owned(),
        count => {
            let one = |it: &&Object| format!("{} of {}", label(it), gigabytes(disk_bytes(it)));
            let all: Vec<String> = disks.iter().map(one).collect();
            let (all, last) = (all.join(", "), disk_name(stem, count));
            let names = match count {
                1 => format!("`{last}`"),
                _ => format!("`{}` to `{last}`", disk_name(stem, 1)),
            };
            let size = amount(estimate);
            format!("{all}: fetched as {names}, compressed, together about {size} or less")
        }
    });
    let independent = |it: &&&Object| {
        let mode = it.text("backing.diskMode").unwrap_or_default();
        mode.starts_with("independent")
    };
    if power != PowerState::Off
        && let Some(disk) = disks.iter().find(independent)
    {
        let word = label(disk);
        steps.push(format!(
            "{word} is independent and in no snapshot, so the server may refuse while `{name}` is not off"
        ));
    }
    if hardware.row.text("config.firmware") == Some("efi") {
        steps.push("its EFI settings (nvram) are not exported".to_owned());
    }
    if hardware.row.get("config.keyId").is_some() {
        steps.push(format!("`{name}` is encrypted, so the server may refuse"));
    }
    (steps, estimate)
}

fn disk_name(stem: &str, number: usize) -> String {
    format!("{stem}-disk{number}.vmdk")
}

/// An export that is understood.
struct Work<'a> {
    it: &'a Vsphere,
    at: MachineRef,
    off: bool,
    quiesce: bool,
    encrypted: bool,
    stem: String,
    disks: usize,
    /// Bytes.
    estimate: u64,
    draft: Option<Described>,
}

impl Work<'_> {
    fn run(self, call: &Call, mut into: Box<dyn Collect + '_>) -> Result<Vec<String>> {
        let snapshot = match self.off {
            true => None,
            false => Some(self.save(call)?),
        };
        let came = self.transfer(call, snapshot.as_ref(), &mut *into);
        // What came of it need not wait until the snapshot is gone.
        let into = came.is_ok().then_some(into);
        let removed = snapshot.as_ref().map_or(Ok(false), |it| self.forget(call, it));
        let left = |why: &Error| {
            format!("the temporary snapshot `{SNAPSHOT}` was not removed ({})", why.sentence())
        };
        let (described, mut notes) = match (came, &removed) {
            (Ok((described, mut notes)), Ok(_)) => {
                if !self.off {
                    notes.insert(0, format!("the snapshot `{SNAPSHOT}` is gone again"));
                }
                (described, notes)
            }
            (Ok((described, mut notes)), Err(why)) => {
                notes.push(format!("{}; delete_snapshot removes it", left(why)));
                (described, notes)
            }
            (Err(error), Err(why)) => {
                return Err(error.during(left(why)).hint_instead("delete_snapshot removes it"));
            }
            (Err(error), Ok(true)) => {
                let said = format!("The temporary snapshot `{SNAPSHOT}` is being removed");
                return Err(error.hint_instead(said));
            }
            (Err(error), Ok(false)) => return Err(error),
        };
        let mut done = match into {
            Some(mut into) => into.finish(&described.text)?,
            None => Vec::new(),
        };
        done.append(&mut notes);
        done.extend(described.warnings);
        Ok(done)
    }

    /// A snapshot for the time of the export.
    fn save(&self, call: &Call) -> Result<Ref> {
        let new = NewSnapshot {
            name: SNAPSHOT.to_owned(),
            description: NOTE.to_owned(),
            memory: false,
            quiesce: self.quiesce,
        };
        let during = |error: Error| error.during(format!("the temporary snapshot `{SNAPSHOT}`"));
        let id = Snapshots::create(self.it, call, &self.at, &new).map_err(during)?;
        Ok(Ref::new("VirtualMachineSnapshot", id))
    }

    /// Removes it, also when the call has ended; true where that only was begun.
    fn forget(&self, call: &Call, snapshot: &Ref) -> Result<bool> {
        let ended = call.check().is_err();
        // Who cancels now would keep the snapshot.
        let own = call.clone().cancelled_by(Cancel::default()).unbounded();
        let (session, method) = (&self.it.session, "RemoveSnapshot_Task");
        let args = Object::args().with("removeChildren", false).with("consolidate", true);
        if ended {
            return session.call(&own.within(PARTING), snapshot, method, &args).map(|_| true);
        }
        let vm = reference(&self.at);
        let doing = format!("removing `{SNAPSHOT}`");
        task::run(session, &own, snapshot, method, &args, Some(&vm), &doing).map(|_| false)
    }

    /// The disks, and the descriptor that goes with them.
    fn transfer(
        &self,
        call: &Call,
        snapshot: Option<&Ref>,
        into: &mut dyn Collect,
    ) -> Result<(Described, Vec<String>)> {
        let lease = self.lease(call, snapshot)?;
        let is_disk = |it: &&Object| match it.flag("disk") {
            Some(disk) => disk,
            None => it.text("url").is_some_and(|it| it.ends_with(".vmdk")),
        };
        let disks: Vec<&Object> = lease.files().filter(is_disk).collect();
        if disks.len() < self.disks {
            let all = counted(self.disks, "disk");
            let said = format!("the server gives out {} of {all}", disks.len());
            return Err(Error::new(Kind::Unsupported, said).hint(
                "Raw devices and disks that VMs share cannot be exported, independent ones only of \
                 a VM that is off",
            ));
        }
        let mut notes: Vec<String> = Vec::new();
        for other in lease.files().filter(|it| !is_disk(it)) {
            let key = other.text("key").unwrap_or_default();
            let what = quoted(key.rsplit('/').next().unwrap_or_default());
            notes.push(format!("not exported: {what}"));
        }
        let mut names = vec![format!("{}.ovf", self.stem)];
        names.extend((1..=disks.len()).map(|number| disk_name(&self.stem, number)));
        let draft = match &self.draft {
            Some(draft) => &draft.text,
            None => &describe(self.it, call, &self.at, Vec::new(), snapshot)?.text,
        };
        into.begin(call, &names, draft)?;
        let mut meter = Meter::new(call, "", None);
        if self.estimate > 0 {
            meter = meter.of_about(self.estimate);
        }
        let mut files = Vec::new();
        for (disk, name) in disks.into_iter().zip(&names[1..]) {
            meter.name(name);
            let size = self.fetch(call, &lease, &mut meter, disk, name, into)?;
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let key = disk.text("key").unwrap_or_default();
            let file = Object::new("OvfFile").with("deviceId", key);
            files.push(file.with("path", name.as_str()).with("size", size));
        }
        // unverified: the reference describes first and completes then, others do it the other way.
        let described = describe(self.it, call, &self.at, files, snapshot)?;
        // All is here: how the lease ends changes nothing of it.
        if let Err(error) = lease.complete(call) {
            log::warn!("the lease of an export did not end well: {error}");
        }
        Ok((described, notes))
    }

    fn lease(&self, call: &Call, snapshot: Option<&Ref>) -> Result<Lease> {
        let session = &self.it.session;
        let hinted = |error: Error| match (error.fault_name(), self.encrypted) {
            (None, _) => error,
            (_, true) => error.hint("An encrypted VM cannot be exported; decrypt it first"),
            _ => error.hint("Another task or transfer may hold it; list_recent_tasks shows it"),
        };
        let opened = match snapshot {
            Some(at) => session.call(call, at, "ExportSnapshot", &Object::args()),
            None => session.call(call, &reference(&self.at), "ExportVm", &Object::args()),
        };
        let opened = opened.map_err(hinted)?;
        let at =
            opened.as_ref().and_then(Value::as_reference).cloned().ok_or_else(|| {
                Error::new(Kind::Remote, "the server opened no lease for the export")
            })?;
        Lease::hold(session, call, at).map_err(hinted)
    }

    /// One disk; its bytes.
    fn fetch(
        &self,
        call: &Call,
        lease: &Lease,
        meter: &mut Meter,
        disk: &Object,
        name: &str,
        into: &mut dyn Collect,
    ) -> Result<u64> {
        let mut get = || {
            let door = lease_door::open(self.it, call, lease, disk)?;
            // It is compressed already.
            let request = Request::new("GET", door.path.clone(), b"");
            let response = door.exchange(&request.header("Accept-Encoding", "identity"))?;
            if response.status != 200 {
                let said = format!("the host answered with HTTP {}", response.status);
                return Err(Error::new(Kind::Network, said)
                    .hint("Its log (hostd.log) may say why; try again"));
            }
            let length = ["content-length", "transfer-encoding"];
            let framed = length.iter().any(|it| response.header(it).is_some());
            let shape = Shape::default();
            let mut body = Incoming { body: response.body, lease, meter, shape };
            // A download leaves nothing behind, whatever the connection says of requests.
            let again = |error: Error| match error.kind() {
                Kind::Network => error.hint_instead("Nothing of it is kept; try again"),
                _ => error,
            };
            let size = into.file(name, &mut body).map_err(again)?;
            match body.shape.is_whole(framed) {
                true => Ok(size),
                false => Err(Error::new(Kind::Network, format!("it broke off after {size} bytes"))
                    .hint("Try again")),
            }
        };
        get().map_err(|error| {
            // A lease that failed says more than the transfer that it ended.
            let why = match error.kind() {
                Kind::Network | Kind::Remote => lease.trouble(call),
                _ => None,
            };
            let why = why.map(|it| it.during("the host gave the lease up"));
            why.unwrap_or(error).during(format!("`{name}`"))
        })
    }
}

/// A disk that comes: told, and looked at whether it is one.
struct Incoming<'a> {
    body: Box<dyn Read + Send>,
    lease: &'a Lease,
    meter: &'a mut Meter,
    shape: Shape,
}

impl Read for Incoming<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.body.read(into)?;
        self.meter.add(got).map_err(into_io)?;
        self.lease.moved(self.meter.percent() as i64).map_err(into_io)?;
        match self.shape.sees(&into[..got]) {
            true => Ok(got),
            false => Err(into_io(Error::new(Kind::Remote, "what the host sends is no disk"))),
        }
    }

    crate::text::reading::shared!();
}

/// How a disk on its way begins and ends.
#[derive(Default)]
struct Shape {
    head: Vec<u8>,
    /// How many bytes at its end so far are zero.
    zeros: usize,
}

impl Shape {
    /// Looks at the next piece; false where this is no disk.
    fn sees(&mut self, piece: &[u8]) -> bool {
        let wanted = MAGIC.len().saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(&piece[..wanted]);
        let zeros = piece.iter().rev().take_while(|it| **it == 0).count();
        self.zeros = if zeros == piece.len() { self.zeros.saturating_add(zeros) } else { zeros };
        MAGIC.starts_with(&self.head)
    }

    /// Whether a disk came, to its end where the transfer itself does not tell.
    fn is_whole(&self, framed: bool) -> bool {
        self.head == MAGIC && (framed || self.zeros >= LAST_SECTOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these pieces are a disk, and whole where the transfer tells its end and where not.
    fn judged(pieces: &[&[u8]]) -> (bool, bool, bool) {
        let mut shape = Shape::default();
        let disk = pieces.iter().all(|it| shape.sees(it));
        (disk, shape.is_whole(true), shape.is_whole(false))
    }

    #[test]
    fn a_disk_that_is_none_or_ends_early_is_seen() {
        let zeros = [0; 300];
        assert_eq!(judged(&[b"KD", b"MV...", &zeros, &zeros]), (true, true, true));
        assert_eq!(judged(&[b"KDMV...", &zeros]), (true, true, false));
        assert_eq!(judged(&[b"KDMV", &[0; 512], b"x"]), (true, true, false));
        assert_eq!(judged(&[b"<html>"]), (false, false, false));
        assert_eq!(judged(&[]), (true, false, false));
    }
}
