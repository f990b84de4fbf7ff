//! A new machine: one request that makes it with its disk, card and CD/DVD drive.
//!
//! Controllers and cards are chosen so that the guest's installer finds them without extra
//! drivers. Surprising: only the CD is put into the boot order, because the default order follows
//! after the listed devices.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::lifecycle::{Firmware, NewMachine};
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::table::Type;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::{add, add_new_disk, connectable};
use crate::vsphere::site::{Site, Store};
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, iso, task};

const SCSI: i64 = -1;
const SATA: i64 = -2;

/// Chooses places and says what will be made.
pub fn prepare<'a>(it: &'a Vsphere, call: &Call, new: &NewMachine) -> Result<Prepared<'a>> {
    refuse_tpm(it, call, new)?;
    if new.memory_mb % 4 != 0 {
        return Err(Error::usage(format!("{} MB of memory is not a multiple of 4", new.memory_mb)));
    }
    let site = Site::read(it, call)?;
    let folder = site.folder(None)?;
    site.refuse_duplicate(&new.name, &folder)?;
    let store = site.datastore(new.datastore.as_deref(), it.defaults.datastore.as_deref())?;
    let (network, backing) =
        site.network(new.network.as_deref(), it.defaults.network.as_deref())?;
    let image = image(new, &site, &store)?;
    let steps = steps(new, &site, &store, &network, image.as_deref());
    let spec = spec(new, &store, backing, image);
    let args = Object::args().with("config", spec).with("pool", site.pool());
    let name = new.name.clone();
    let seen = format!("{} {} {}", folder.id, store.at.id, network);
    Ok(Prepared::new(steps, seen, move |call| {
        let doing = format!("making {name}");
        let made = task::run(&it.session, call, &folder, "CreateVM_Task", &args, None, &doing)?;
        let id = made.as_ref().and_then(Value::as_reference).map(|it| it.id.clone());
        Ok(vec![format!("created, id {}, powered off", id.as_deref().unwrap_or("unknown"))])
    }))
}

/// A virtual TPM came with 6.7.
fn refuse_tpm(it: &Vsphere, call: &Call, new: &NewMachine) -> Result<()> {
    let version = it.session.live(call)?.version;
    match Type::find("VirtualTPM") {
        Some(tpm) if new.tpm && tpm.since() > version => Err(Error::new(
            Kind::Unsupported,
            format!(
                "the server speaks {}, and a virtual TPM needs {}",
                version.name(),
                tpm.since().name()
            ),
        )
        .hint("Leave tpm out, or update the server")),
        _ => Ok(()),
    }
}

/// What will be made, for a person.
fn steps(
    new: &NewMachine,
    site: &Site,
    store: &Store,
    network: &str,
    iso: Option<&str>,
) -> Vec<String> {
    let mut firmware = if new.firmware == Firmware::Efi { "EFI" } else { "BIOS" }.to_owned();
    if new.secure_boot {
        firmware.push_str(" with secure boot");
    }
    if new.tpm {
        firmware.push_str(", a virtual TPM");
    }
    vec![
        format!(
            "`{}` is made on `{}`: {}, {} MB, guest {}, {firmware}",
            new.name,
            site.compute_name(),
            counted(usize::try_from(new.cpus).unwrap_or(0), "CPU"),
            new.memory_mb,
            new.guest_id
        ),
        format!(
            "a thin disk of {} GB on `{}` ({} GB free)",
            new.disk_gb,
            store.name,
            store.free_bytes >> 30
        ),
        format!("a network card on `{network}`"),
        match iso {
            Some(path) if new.boot_from_iso => {
                format!("a CD/DVD drive with {path}, first in the boot order")
            }
            Some(path) => format!("a CD/DVD drive with {path}"),
            None => "an empty CD/DVD drive".to_owned(),
        },
    ]
}

/// The ISO as `[datastore] path`, on a datastore that the new machine can reach.
fn image(new: &NewMachine, site: &Site, store: &Store) -> Result<Option<String>> {
    let Some(path) = new.iso_path.as_deref() else { return Ok(None) };
    let (on, file) = iso::parse(path, new.iso_datastore.as_deref())?;
    let on = match on {
        Some(name) => site.datastore(Some(name), None)?.name,
        None => store.name.clone(),
    };
    Ok(Some(format!("[{on}] {file}")))
}

fn spec(new: &NewMachine, store: &Store, network: Object, iso: Option<String>) -> Object {
    let boots_from_iso = iso.is_some() && new.boot_from_iso;
    let mut devices = vec![
        add(Object::new(scsi_kind(&new.guest_id))
            .with("key", SCSI)
            .with("busNumber", 0)
            .with("sharedBus", "noSharing")),
        add(Object::new("VirtualAHCIController").with("key", SATA).with("busNumber", 0)),
        add_new_disk(disk(new, store)),
        add(cdrom(iso)),
        add(Object::new(card_kind(&new.guest_id))
            .with("key", -5)
            .with("backing", network)
            .with("connectable", connectable(true))
            .with("addressType", "generated")),
    ];
    if new.tpm {
        devices.push(add(Object::new("VirtualTPM").with("key", -6)));
    }
    let mut boot = Object::new("VirtualMachineBootOptions");
    if new.firmware == Firmware::Efi {
        boot.set("efiSecureBootEnabled", new.secure_boot);
    }
    if boots_from_iso {
        boot.set("bootOrder", vec![Object::new("VirtualMachineBootOptionsBootableCdromDevice")]);
    }
    let firmware = if new.firmware == Firmware::Efi { "efi" } else { "bios" };
    Object::new("VirtualMachineConfigSpec")
        .with("name", escaped(&new.name))
        .with("guestId", new.guest_id.as_str())
        .with(
            "files",
            Object::new("VirtualMachineFileInfo").with("vmPathName", format!("[{}]", store.name)),
        )
        .with("numCPUs", new.cpus)
        .with("memoryMB", new.memory_mb)
        .with("deviceChange", devices)
        .with("bootOptions", boot)
        .with("firmware", firmware)
}

fn disk(new: &NewMachine, store: &Store) -> Object {
    let backing = Object::new("VirtualDiskFlatVer2BackingInfo")
        .with("fileName", format!("[{}]", store.name))
        .with("diskMode", "persistent")
        .with("thinProvisioned", true);
    Object::new("VirtualDisk")
        .with("key", -3)
        .with("backing", backing)
        .with("controllerKey", SCSI)
        .with("unitNumber", 0)
        .with("capacityInKB", new.disk_gb << 20)
}

fn cdrom(iso: Option<String>) -> Object {
    let connect = connectable(iso.is_some());
    let backing = match iso {
        Some(path) => Object::new("VirtualCdromIsoBackingInfo").with("fileName", path),
        None => Object::new("VirtualCdromRemotePassthroughBackingInfo")
            .with("deviceName", "")
            .with("exclusive", false),
    };
    Object::new("VirtualCdrom")
        .with("key", -4)
        .with("backing", backing)
        .with("connectable", connect)
        .with("controllerKey", SATA)
        .with("unitNumber", 0)
}

/// Guests whose installers bring drivers for paravirtual disks and cards.
const MODERN: &[&str] = &[
    "almalinux",
    "amazonlinux",
    "asianux7",
    "asianux8",
    "centos6",
    "centos7",
    "centos8",
    "centos9",
    "coreos",
    "crxpod",
    "debian",
    "fedora",
    "opensuse",
    "oracleLinux6",
    "oracleLinux7",
    "oracleLinux8",
    "oracleLinux9",
    "other3xLinux",
    "other4xLinux",
    "other5xLinux",
    "other6xLinux",
    "rhel6",
    "rhel7",
    "rhel8",
    "rhel9",
    "rockylinux",
    "sles",
    "ubuntu",
    "vmkernel",
    "vmwarePhoton",
];

/// Windows from before the drivers of newer ones.
const OLD_WINDOWS: &[&str] =
    &["win2000", "win31", "win95", "win98", "winMe", "winNT", "winNet", "winXP"];

fn begins(guest: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| guest.starts_with(start))
}

/// The disk controller that the guest's installer knows.
pub fn scsi_kind(guest: &str) -> &'static str {
    match guest {
        guest if begins(guest, MODERN) => "ParaVirtualSCSIController",
        guest if guest.starts_with("win") && !begins(guest, OLD_WINDOWS) => {
            "VirtualLsiLogicSASController"
        }
        _ => "VirtualLsiLogicController",
    }
}

/// The network card that the guest's installer knows.
fn card_kind(guest: &str) -> &'static str {
    match guest {
        guest if begins(guest, MODERN) => "VirtualVmxnet3",
        guest if guest.starts_with("win") && !begins(guest, OLD_WINDOWS) => "VirtualE1000e",
        _ => "VirtualE1000",
    }
}
