//! What is behind a device: the file of a disk or an image, the network of a card.

use crate::sim::devices::{Bench, bad};
use crate::sim::disks;
use crate::sim::disks::{NewDisk, file_fault};
use crate::sim::fault::{Fault, Result};
use crate::sim::machine::{mac, number_in};
use crate::vim::value::{Object, Value};

/// Checks and completes what is behind a device; `old` is what was there.
pub fn check(
    bench: &mut Bench,
    at: usize,
    device: &mut Object,
    old: Option<&Object>,
    file: Option<&str>,
) -> Result<()> {
    if device.is("VirtualDisk") {
        return match old {
            None => new_disk(bench, at, device, file),
            Some(old) => edit_disk(bench, at, device, old),
        };
    }
    if device.is("VirtualEthernetCard") {
        network(bench, at, device)?;
        address(bench, at, device, old)?;
    }
    if device.is("VirtualCdrom") || device.is("VirtualFloppy") {
        image(bench, device)?;
    }
    connect(bench, device, old);
    Ok(())
}

/// Marks the files of a disk for removal, but for those that a snapshot still needs.
pub fn destroy(bench: &mut Bench, device: &Object) {
    let Some(backing) = device.object("backing") else { return };
    let snapshots = &bench.draft.machine.snapshots;
    let kept = |path: &str| {
        snapshots
            .iter()
            .flat_map(|it| disks::disks(&it.config))
            .any(|disk| disk.object("backing").is_some_and(|it| disks::chain(it).contains(&path)))
    };
    let gone = disks::chain(backing).into_iter().filter(|it| !kept(it)).map(str::to_owned);
    let gone: Vec<String> = gone.collect();
    bench.draft.gone.extend(gone);
}

/// The next free name for a disk in a folder.
fn free_name(bench: &Bench, folder: &str) -> String {
    let stem = bench.draft.machine.stem().rsplit('/').next().unwrap_or("disk").to_owned();
    let taken = |path: &str| {
        disks::exists(bench.draft.world, path)
            || bench.draft.made.iter().any(|it| it.path == path)
            || bench.list.iter().any(|it| it.text("backing.fileName") == Some(path))
    };
    let named = |number: usize| match number {
        0 => format!("{folder}/{stem}.vmdk"),
        more => format!("{folder}/{stem}_{more}.vmdk"),
    };
    (0..1000).map(named).find(|it| !taken(it)).unwrap_or_default()
}

/// The path that a new disk gets, from what the request says of it.
fn place(bench: &Bench, asked: &str) -> Result<String> {
    let home = bench.draft.machine.folder();
    let asked = if asked.is_empty() { home } else { asked };
    let (store, rest) = disks::checked(bench.draft.world, asked)?;
    if rest.ends_with(".vmdk") {
        return Ok(format!("[{store}] {rest}"));
    }
    let folder = match disks::split(home) {
        _ if !rest.is_empty() => rest.trim_end_matches('/'),
        Some((_, own)) => own,
        None => "",
    };
    Ok(free_name(bench, &format!("[{store}] {folder}")))
}

fn new_disk(bench: &mut Bench, at: usize, device: &mut Object, file: Option<&str>) -> Result<()> {
    let world = bench.draft.world;
    let Some(mut backing) = device.object("backing").cloned() else {
        return Err(bad("InvalidDeviceBacking", at, "backing"));
    };
    if !backing.is("VirtualDeviceFileBackingInfo") {
        return Ok(());
    }
    if let Some(mode) = backing.text("diskMode")
        && !MODES.contains(&mode)
    {
        return Err(bad("InvalidDeviceSpec", at, "backing.diskMode"));
    }
    let asked = backing.text("fileName").unwrap_or_default();
    let bytes = device.int("capacityInBytes").filter(|it| *it > 0);
    let mut kilobytes = bytes.map_or(device.int("capacityInKB").unwrap_or(0), |it| it / 1024);
    let parent = backing.text("parent.fileName").map(str::to_owned);
    let path = match file {
        Some("create" | "replace") => {
            let path = place(bench, asked)?;
            if disks::exists(world, &path) || bench.draft.made.iter().any(|it| it.path == path) {
                return Err(file_fault("FileAlreadyExists", &path, "already exists"));
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            // unverified: which fault a folder that is not there gives.
            if !folder.is_empty()
                && folder != bench.draft.machine.folder()
                && rest_of(asked)
                && !disks::exists(world, folder)
            {
                return Err(file_fault("FileNotFound", &path, "was not found"));
            }
            if let Some(parent) = &parent {
                disks::must_exist(world, parent)?;
                kilobytes = disks::capacity(world, parent).unwrap_or(kilobytes);
            }
            if kilobytes <= 0 {
                return Err(bad("InvalidDeviceSpec", at, "capacityInKB"));
            }
            let thin = backing.flag("thinProvisioned") == Some(true);
            room(bench, &path, kilobytes, thin || parent.is_some())?;
            let written = Some(0);
            let path = path.clone();
            bench.draft.made.push(NewDisk { path: path.clone(), kilobytes, thin, parent, written });
            path
        }
        Some(_) => return Err(bad("InvalidDeviceSpec", at, "fileOperation")),
        None => {
            let made = bench.draft.made.iter().any(|it| it.path == asked);
            if !made {
                disks::must_exist(world, asked)?;
            }
            kilobytes = disks::capacity(world, asked).unwrap_or(kilobytes);
            asked.to_owned()
        }
    };
    let thin = disks::thin(world, &path);
    if backing.is("VirtualDiskFlatVer2BackingInfo") {
        backing.set(
            "thinProvisioned",
            file.is_some() && backing.flag("thinProvisioned") == Some(true) || thin,
        );
        let number = number_in(&bench.draft.machine.id);
        let key = device.int("key").unwrap_or(0);
        if backing.text("uuid").is_none_or(str::is_empty) {
            backing.set("uuid", format!("6000C29{:x}-{key:04x}-4f3a-9c1d-{number:012x}", key % 16));
        }
    }
    let store = disks::split(&path).and_then(|(name, _)| disks::store(world, name));
    backing.set("fileName", path);
    if let Some(store) = store {
        backing.set("datastore", store);
    }
    device.set("backing", backing);
    device.set("capacityInKB", kilobytes);
    device.set("capacityInBytes", kilobytes * 1024);
    Ok(())
}

const MODES: &[&str] = &[
    "persistent",
    "nonpersistent",
    "undoable",
    "independent_persistent",
    "independent_nonpersistent",
    "append",
];

/// Whether a path names a folder of its own choice.
fn rest_of(asked: &str) -> bool {
    disks::split(asked).is_some_and(|(_, rest)| rest.contains('/'))
}

/// Refuses a thick disk that is larger than what is free.
fn room(bench: &Bench, path: &str, kilobytes: i64, thin: bool) -> Result<()> {
    let world = bench.draft.world;
    let store = disks::split(path).and_then(|(name, _)| disks::store(world, name));
    let Some(store) = store.filter(|_| !thin) else { return Ok(()) };
    let props = world.plain.get(&store.id).map(|it| &it.props);
    let free = props.and_then(|it| it.int("summary.freeSpace")).unwrap_or(i64::MAX);
    match kilobytes.saturating_mul(1024) > free {
        true => Err(Fault::new("NoDiskSpace", "Insufficient disk space on datastore.")
            .with("file", path)
            .with("datastore", world.name(&store.id).unwrap_or_default())),
        false => Ok(()),
    }
}

fn edit_disk(bench: &mut Bench, at: usize, device: &mut Object, old: &Object) -> Result<()> {
    let field =
        |of: &Object, name: &str| of.get("backing").and_then(|it| it.text(name).map(str::to_owned));
    let refused = || {
        Fault::new("InvalidDeviceOperation", format!("Invalid operation for device '{at}'."))
            .with("property", format!("deviceChange[{at}].device.capacityInKB"))
            .with("deviceIndex", at)
            .with("badOp", "edit")
    };
    let was = old.int("capacityInKB").unwrap_or(0);
    let bytes = device.int("capacityInBytes");
    let changed = bytes != old.int("capacityInBytes");
    let asked = device.int("capacityInKB").unwrap_or(was);
    let kilobytes = match bytes {
        Some(bytes) if changed && asked == was => bytes / 1024,
        _ => asked,
    };
    // unverified: which fault refuses to shrink a disk, and to grow one that has snapshots.
    if kilobytes < was || (kilobytes > was && !bench.draft.machine.snapshots.is_empty()) {
        return Err(refused());
    }
    let mode = field(device, "diskMode");
    if mode.as_deref().is_some_and(|it| !MODES.contains(&it)) {
        return Err(bad("InvalidDeviceSpec", at, "backing.diskMode"));
    }
    if mode.is_some() && mode != field(old, "diskMode") && bench.draft.on() {
        return Err(Fault::power_state("poweredOff", "poweredOn"));
    }
    let path = field(device, "fileName").filter(|it| !it.is_empty());
    if path.is_some() && path != field(old, "fileName") {
        // unverified: a disk of another file in an edit.
        return Err(bad("InvalidDeviceBacking", at, "backing.fileName"));
    }
    if let Some(mut backing) = old.object("backing").cloned() {
        let given = device.object("backing").cloned();
        for (name, value) in given.iter().flat_map(Object::fields) {
            if matches!(name, "diskMode" | "writeThrough" | "sharing" | "eagerlyScrub") {
                backing.set(name, value);
            }
        }
        if kilobytes > was
            && let Some(path) = backing.text("fileName")
        {
            let thin = backing.flag("thinProvisioned") == Some(true);
            room(bench, path, kilobytes - was, thin)?;
            let parent = backing.text("parent.fileName").map(str::to_owned);
            let written = Some(disks::held(bench.draft.world, &backing, 1, was));
            let grown = NewDisk { path: path.to_owned(), kilobytes, thin, parent, written };
            bench.draft.made.push(grown);
        }
        device.set("backing", backing);
    }
    device.set("capacityInKB", kilobytes);
    device.set("capacityInBytes", kilobytes * 1024);
    Ok(())
}

/// The network that a card is on must be there.
fn network(bench: &Bench, at: usize, device: &mut Object) -> Result<()> {
    let world = bench.draft.world;
    let wrong = || bad("InvalidDeviceBacking", at, "backing");
    let Some(mut backing) = device.object("backing").cloned() else { return Err(wrong()) };
    if backing.is("VirtualEthernetCardNetworkBackingInfo") {
        let id = backing.reference("network").map(|it| it.id.clone());
        let name = backing.text("deviceName").unwrap_or_default().to_owned();
        let mut all = world.all("Network");
        let found = all.find(|(known, props)| match name.is_empty() {
            true => id.as_deref() == Some(*known),
            false => props.text("name") == Some(&name),
        });
        let (id, props) = found.ok_or_else(wrong)?;
        backing.set("deviceName", props.text("name").unwrap_or_default());
        backing.set("network", world.reference(id).ok_or_else(wrong)?);
    } else if let Some(port) = backing.object("port").cloned() {
        let key = port.text("portgroupKey").unwrap_or_default();
        let group = world.kind_of(key) == Some("DistributedVirtualPortgroup");
        if !group && port.text("portKey").is_none() {
            return Err(wrong());
        }
        let number = number_in(&bench.draft.machine.id);
        let known = port.text("portKey").map(str::to_owned);
        let known = known.unwrap_or_else(|| (number % 1000).to_string());
        backing.set("port", port.with("portKey", known).offer("connectionCookie", 1_000_000));
    }
    device.set("backing", backing);
    Ok(())
}

/// The hardware address: made up, or asked for and allowed.
fn address(bench: &Bench, at: usize, device: &mut Object, old: Option<&Object>) -> Result<()> {
    let asked = device.text("macAddress").unwrap_or_default().to_lowercase();
    let kind = device.text("addressType").unwrap_or_default().to_owned();
    let was = old.and_then(|it| it.text("macAddress")).unwrap_or_default();
    if asked == was && !was.is_empty() && kind != "manual" {
        return Ok(());
    }
    if bench.draft.on() && old.is_some() && asked != was {
        return Err(Fault::power_state("poweredOff", "poweredOn"));
    }
    let manual = kind.eq_ignore_ascii_case("manual") || (kind.is_empty() && !asked.is_empty());
    let vcenter = bench.draft.world.vcenter;
    let made = if vcenter { "assigned" } else { "generated" };
    let (kind, address) = match manual {
        true => {
            let wrong = || bad("InvalidDeviceSpec", at, "macAddress");
            ("manual", allowed(&asked).ok_or_else(wrong)?)
        }
        false if !was.is_empty() => (made, was.to_owned()),
        false => {
            let number = number_in(&bench.draft.machine.id);
            (made, mac(vcenter, number, device.int("key").unwrap_or(4000)))
        }
    };
    device.set("addressType", kind);
    device.set("macAddress", address);
    if device.get("wakeOnLanEnabled").is_none() {
        device.set("wakeOnLanEnabled", true);
    }
    Ok(())
}

/// An address that somebody may choose: no group address, and none of those that hosts give out.
fn allowed(asked: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = asked
        .split([':', '-'])
        .map(|it| {
            (it.len() == 2 && !it.starts_with('+'))
                .then(|| u8::from_str_radix(it, 16).ok())
                .flatten()
        })
        .collect();
    let bytes = bytes.filter(|it| it.len() == 6)?;
    let reserved = match bytes.get(..4)? {
        [0x00, 0x50, 0x56, fourth] => *fourth > 0x3f,
        // unverified: that these are refused for a manual address.
        [0x00, 0x0c, 0x29, _] | [0x00, 0x05, 0x69, _] => true,
        [first, ..] => first & 1 == 1,
        [] => true,
    };
    (!reserved).then(|| asked.replace('-', ":"))
}

/// The image in a drive must be there if it is to be connected.
fn image(bench: &Bench, device: &mut Object) -> Result<()> {
    let Some(mut backing) = device.object("backing").cloned() else { return Ok(()) };
    let Some(path) = backing.text("fileName").map(str::to_owned) else { return Ok(()) };
    let world = bench.draft.world;
    disks::checked(world, &path)?;
    let wanted = |field: &str| device.get("connectable").and_then(|it| it.flag(field));
    // unverified: that a host looks for the image only if it is to be connected.
    let used = wanted("startConnected") == Some(true) || wanted("connected") == Some(true);
    if used && !world.nfc.importing {
        disks::must_exist(world, &path)?;
    }
    if let Some(store) = disks::split(&path).and_then(|(name, _)| disks::store(world, name)) {
        backing.set("datastore", store);
    }
    device.set("backing", backing);
    Ok(())
}

/// Whether it is connected follows from whether the machine runs.
fn connect(bench: &Bench, device: &mut Object, old: Option<&Object>) {
    const HAVE: &[&str] = &[
        "VirtualEthernetCard",
        "VirtualCdrom",
        "VirtualFloppy",
        "VirtualSerialPort",
        "VirtualParallelPort",
    ];
    if !HAVE.iter().any(|it| device.is(it)) {
        return;
    }
    let given = device.object("connectable");
    let flag = |name: &str| given.and_then(|it| it.flag(name));
    let on = bench.draft.on();
    let start = flag("startConnected").unwrap_or(true);
    // One that is added to a running machine is plugged in at once.
    let wanted = match old {
        Some(_) => flag("connected").unwrap_or(false),
        None => flag("connected").unwrap_or(start) || start,
    };
    device.set(
        "connectable",
        connectable(start, flag("allowGuestControl").unwrap_or(true), on && wanted),
    );
}

/// Whether a device is connected, as a host writes it.
pub fn connectable(start: bool, guest: bool, on: bool) -> Value {
    Object::new("VirtualDeviceConnectInfo")
        .with("startConnected", start)
        .with("allowGuestControl", guest)
        .with("connected", on)
        .with("status", if on { "ok" } else { "untried" })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_free_addresses_may_be_chosen() {
        assert_eq!(allowed("00-50-56-3f-ff-ff"), Some("00:50:56:3f:ff:ff".to_owned()));
        assert_eq!(allowed("52:54:00:12:34:56"), Some("52:54:00:12:34:56".to_owned()));
        for bad in
            ["", "00:50:56:40:00:00", "00:0c:29:00:00:01", "00:50:56:00:00", "+0:50:56:00:00:00"]
        {
            assert_eq!(allowed(bad), None, "{bad}");
        }
    }
}
