//! CD/DVD drives and the images in them.
//!
//! Surprising: an image that the guest has locked comes out only after a question, which the task
//! shows; and `connected` may be asked for only while the machine runs.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::disks::Image;
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Ref};
use crate::vsphere::devices::{add as added, edit, label, media, of_kind};
use crate::vsphere::disks::home;
use crate::vsphere::hardware::Hardware;
use crate::vsphere::{Vsphere, iso, slots};

const CDROM: &str = "VirtualCdrom";

/// Another drive, empty or with an image.
pub fn add<'a>(
    it: &'a Vsphere,
    call: &Call,
    machine: &str,
    image: Option<&Image>,
    boot: bool,
) -> Result<Prepared<'a>> {
    let hardware = Hardware::read(it, call, machine, &["config.bootOptions"])?;
    hardware.must_be_changeable()?;
    hardware.must_be_off("get another CD/DVD drive")?;
    let slot = slots::for_drive(hardware.devices())
        .map_err(|error| error.during(format!("`{}`", hardware.at.name)))?;
    let image = image.map(|image| find(it, call, &hardware, image)).transpose()?;
    let inside = match &image {
        Some((path, _)) => format!("with {path}"),
        None => "that is empty".to_owned(),
    };
    let mut steps =
        vec![format!("`{}` gets a CD/DVD drive {inside} at {}", hardware.at.name, slot.shown)];
    let (path, unseen) = image.map_or((None, None), |(path, unseen)| (Some(path), unseen));
    steps.extend(unseen);
    let drive = Object::new(CDROM)
        .with("key", -1)
        .with("connectable", plug(path.is_some(), false))
        .with("backing", path.map_or_else(nothing, holding))
        .with("controllerKey", slot.controller)
        .with("unitNumber", slot.unit);
    let mut changes: Vec<Object> = slot.added.into_iter().map(added).collect();
    changes.push(added(drive));
    let mut spec = Object::new("VirtualMachineConfigSpec").with("deviceChange", changes);
    if boot && let Some(options) = first_in_order(hardware.row.object("config.bootOptions")) {
        steps.push("CD/DVD drives come first in the boot order".to_owned());
        spec.set("bootOptions", options);
    }
    Ok(hardware.reconfigure(steps, spec))
}

/// Boot options that try CD/DVD drives first, where these do not yet; what follows stays.
pub fn first_in_order(old: Option<&Object>) -> Option<Object> {
    const FIRST: &str = "VirtualMachineBootOptionsBootableCdromDevice";
    let old: Vec<&Object> = old.iter().flat_map(|it| it.objects("bootOrder")).collect();
    if old.first().is_some_and(|it| it.kind() == FIRST) {
        return None;
    }
    let rest = old.into_iter().filter(|it| it.kind() != FIRST).cloned();
    let order: Vec<Object> = std::iter::once(Object::new(FIRST)).chain(rest).collect();
    Some(Object::new("VirtualMachineBootOptions").with("bootOrder", order))
}

/// Puts an image into the drive of this number.
pub fn insert<'a>(
    it: &'a Vsphere,
    call: &Call,
    machine: &str,
    number: usize,
    image: &Image,
) -> Result<Prepared<'a>> {
    let hardware = Hardware::read(it, call, machine, &[])?;
    hardware.must_be_changeable()?;
    let vm = hardware.at.name.clone();
    let drives: Vec<&Object> = of_kind(hardware.devices(), CDROM).collect();
    let Some(drive) = drives.get(number) else {
        let said = format!("`{vm}` has no CD/DVD drive {number}");
        let labels: Vec<String> =
            drives.iter().enumerate().map(|(at, it)| format!("{at} ({})", label(it))).collect();
        return Err(Error::new(Kind::NotFound, said).hint(match labels.len() {
            0 => "add_cdrom gives it one, while it is off".to_owned(),
            _ => format!("cdrom_index may be {}", labels.join(", ")),
        }));
    };
    let (path, unseen) = find(it, call, &hardware, image)?;
    let (on, word) = (hardware.is_on(), label(drive));
    let flag = |name: &str| drive.get("connectable").and_then(|it| it.flag(name)) == Some(true);
    let old = drive.text("backing.fileName").filter(|it| !it.is_empty());
    if old == Some(&path) && flag("startConnected") && flag("connected") == on {
        return Ok(Prepared::already(format!("{word} already holds {path}")));
    }
    let mut step = match old.filter(|old| *old != path) {
        Some(old) => format!("{word} of `{vm}`: {old} -> {path}"),
        None => format!("{word} of `{vm}` gets {path}"),
    };
    step.push_str(if on { ", connected now" } else { ", connected when it is powered on" });
    let mut steps = vec![step];
    steps.extend(unseen);
    let change = filled(drive, holding(path), true, on);
    Ok(hardware.change(steps, vec![change]))
}

/// Empties every drive that holds an image.
pub fn eject<'a>(it: &'a Vsphere, call: &Call, machine: &str) -> Result<Prepared<'a>> {
    let hardware = Hardware::read(it, call, machine, &[])?;
    let (mut steps, mut changes) = (Vec::new(), Vec::new());
    for drive in of_kind(hardware.devices(), CDROM) {
        let Some(file) = drive.text("backing.fileName").filter(|it| !it.is_empty()) else {
            continue;
        };
        steps.push(format!("{file} comes out of {}", label(drive)));
        changes.push(filled(drive, nothing(), false, false));
    }
    if changes.is_empty() {
        let inside: Vec<String> = media(hardware.devices())
            .into_iter()
            .map(|(label, inside)| format!("{label}: {inside}"))
            .collect();
        let inside =
            if inside.is_empty() { "it has no drive".to_owned() } else { inside.join("; ") };
        return Ok(Prepared::already(format!("no drive holds an ISO ({inside})")));
    }
    hardware.must_be_changeable()?;
    let done = steps.clone();
    if hardware.is_on() {
        steps.push("a guest that has locked its drive is asked about first".to_owned());
    }
    Ok(hardware.change(steps, changes).then(move |_, it| it.map(|_| done)))
}

fn find(
    it: &Vsphere,
    call: &Call,
    hardware: &Hardware<'_>,
    image: &Image,
) -> Result<(String, Option<String>)> {
    let host: Option<&Ref> = hardware.row.reference("runtime.host");
    iso::find(it, call, image, host, home(hardware))
}

/// The change of a drive to what is in it; whether the guest may eject it stays as it is.
pub fn filled(drive: &Object, backing: Object, start: bool, now: bool) -> Object {
    let mut drive = drive.clone();
    let mut way = drive.object("connectable").cloned().unwrap_or_else(|| plug(start, now));
    way.set("startConnected", start);
    way.set("connected", now);
    drive.set("backing", backing);
    drive.set("connectable", way);
    edit(drive)
}

/// An image as what is in a drive.
pub fn holding(path: String) -> Object {
    Object::new("VirtualCdromIsoBackingInfo").with("fileName", path)
}

/// An empty drive is a remote one that nobody has.
fn nothing() -> Object {
    Object::new("VirtualCdromRemotePassthroughBackingInfo")
        .with("deviceName", "")
        .with("exclusive", false)
}

/// How a drive is connected: at power-on, and now.
pub fn plug(start: bool, now: bool) -> Object {
    Object::new("VirtualDeviceConnectInfo")
        .with("startConnected", start)
        .with("allowGuestControl", true)
        .with("connected", now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_that_is_filled_stays_what_it_was_otherwise() {
        let way = Object::new("VirtualDeviceConnectInfo")
            .with("migrateConnect", "disconnect")
            .with("startConnected", false)
            .with("allowGuestControl", false)
            .with("connected", false);
        let drive = Object::new(CDROM)
            .with("key", 16000)
            .with("backing", nothing())
            .with("connectable", way)
            .with("controllerKey", 15000)
            .with("unitNumber", 0);
        let change = filled(&drive, holding("[ds] x.iso".to_owned()), true, true);
        assert_eq!(change.text("operation"), Some("edit"));
        assert_eq!(change.int("device.key"), Some(16000));
        assert_eq!(change.int("device.unitNumber"), Some(0));
        assert_eq!(change.text("device.backing.fileName"), Some("[ds] x.iso"));
        assert_eq!(change.flag("device.connectable.connected"), Some(true));
        assert_eq!(change.flag("device.connectable.allowGuestControl"), Some(false));
        assert_eq!(change.text("device.connectable.migrateConnect"), Some("disconnect"));
        let bare = filled(&Object::new(CDROM).with("key", 1), nothing(), false, false);
        assert_eq!(bare.flag("device.connectable.allowGuestControl"), Some(true));
    }
}
