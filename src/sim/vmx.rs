//! The `.vmx` of a machine: written from its configuration, and read when it is registered.
//!
//! What is written here can be downloaded, edited, uploaded and registered again. It knows the
//! settings that hosts know and the simulator plays; what else stands in a file is `extraConfig`.

use std::fmt::Write;

use crate::sim::disks::split;
use crate::sim::machine::Machine;
use crate::text::sorted::Sorted;
use crate::vim::table::Type;
use crate::vim::value::{Object, Value};

/// Controllers: prefix, type, `virtualDev`, and the temporary key of the first.
const CONTROLLERS: &[(&str, &str, &str)] = &[
    ("scsi", "ParaVirtualSCSIController", "pvscsi"),
    ("scsi", "VirtualLsiLogicSASController", "lsisas1068"),
    ("scsi", "VirtualBusLogicController", "buslogic"),
    ("scsi", "VirtualLsiLogicController", "lsilogic"),
    ("sata", "VirtualAHCIController", ""),
    ("nvme", "VirtualNVMEController", ""),
    ("ide", "VirtualIDEController", ""),
];

const CARDS: &[(&str, &str)] = &[
    ("VirtualVmxnet3", "vmxnet3"),
    ("VirtualE1000e", "e1000e"),
    ("VirtualE1000", "e1000"),
    ("VirtualPCNet32", "vlance"),
];

/// `ubuntu64Guest` as a `.vmx` names it: `ubuntu-64`.
fn guest(id: &str) -> String {
    let stem = id.replace("Guest64", "64Guest").to_lowercase();
    let stem = stem.strip_suffix("guest").unwrap_or(&stem);
    match stem.strip_suffix("_64").or_else(|| stem.strip_suffix("64")) {
        Some(stem) => format!("{stem}-64"),
        None => stem.to_owned(),
    }
}

/// What a host remembers of where a machine stood, to notice that it was moved.
pub fn location(path: &str) -> String {
    let mix = |seed: u64| {
        path.bytes().fold(seed, |sum, it| (sum ^ u64::from(it)).wrapping_mul(0x0100_0000_01b3))
    };
    format!("564d{:012x}-{:016x}", mix(7) & 0xffff_ffff_ffff, mix(11))
}

/// The path of a file, as short as it can be from beside the `.vmx`.
fn near(path: &str, folder: &str) -> String {
    match path.strip_prefix(folder).and_then(|it| it.strip_prefix('/')) {
        Some(name) => name.to_owned(),
        None => split(path).map_or_else(
            || path.to_owned(),
            |(store, rest)| format!("/vmfs/volumes/{store}/{rest}"),
        ),
    }
}

fn far(path: &str, folder: &str) -> String {
    match path.strip_prefix("/vmfs/volumes/").and_then(|it| it.split_once('/')) {
        Some((store, rest)) => format!("[{store}] {rest}"),
        None if path.starts_with('[') => path.to_owned(),
        None => format!("{folder}/{path}"),
    }
}

/// `|22` stands for a quotation mark, and so on.
fn quoted(text: &str) -> String {
    text.replace('|', "|7C").replace('"', "|22").replace('\n', "|0A").replace('\r', "")
}

fn unquoted(text: &str) -> String {
    text.replace("|22", "\"").replace("|0A", "\n").replace("|7C", "|")
}

/// The file of a machine.
pub fn write(machine: &Machine) -> String {
    let config = machine.info();
    let mut text = String::from(".encoding = \"UTF-8\"\nconfig.version = \"8\"\n");
    let mut put = |key: &str, value: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{key} = \"{}\"", quoted(value));
    };
    let version = config.text("version").unwrap_or_default();
    put("virtualHW.version", version.trim_start_matches("vmx-"));
    put("displayName", &machine.name);
    put("guestOS", &guest(config.text("guestId").unwrap_or_default()));
    put("uuid.bios", &machine.uuid);
    put("uuid.location", &location(&machine.path));
    put("vc.uuid", &machine.instance);
    put("memSize", &machine.memory().to_string());
    put("numvcpus", &machine.cpus().to_string());
    if let Some(cores) = config.int("hardware.numCoresPerSocket") {
        put("cpuid.coresPerSocket", &cores.to_string());
    }
    put("firmware", config.text("firmware").unwrap_or("bios"));
    if let Some(note) = config.text("annotation").filter(|it| !it.is_empty()) {
        put("annotation", note);
    }
    let named = |key: i64| {
        let mut all = config.objects("hardware.device");
        let it = all.find(|it| it.int("key") == Some(key))?;
        let (prefix, ..) = CONTROLLERS.iter().find(|(_, kind, _)| it.is(kind))?;
        Some(format!("{prefix}{}", it.int("busNumber").unwrap_or(0)))
    };
    let mut counts: Sorted<&str, usize> = Sorted::new();
    let mut next = |prefix: &'static str| {
        let count = counts.get_or(prefix, usize::default);
        *count += 1;
        format!("{prefix}{}", *count - 1)
    };
    for it in config.objects("hardware.device") {
        let backing = |field: &str| it.get("backing").and_then(|it| it.text(field));
        let hung = it.int("controllerKey").and_then(named);
        let at = hung.map(|on| format!("{on}:{}", it.int("unitNumber").unwrap_or(0)));
        if let Some((prefix, _, dev)) = CONTROLLERS.iter().find(|(_, kind, _)| it.is(kind)) {
            if *prefix != "ide" {
                let name = format!("{prefix}{}", it.int("busNumber").unwrap_or(0));
                put(&format!("{name}.present"), "TRUE");
                if !dev.is_empty() {
                    put(&format!("{name}.virtualDev"), dev);
                }
            }
        } else if let Some(at) = at.filter(|_| it.is("VirtualDisk") || it.is("VirtualCdrom")) {
            put(&format!("{at}.present"), "TRUE");
            let kind = match (it.is("VirtualDisk"), backing("fileName")) {
                (true, _) => "disk",
                (_, Some(_)) => "cdrom-image",
                _ => "cdrom-raw",
            };
            put(&format!("{at}.deviceType"), kind);
            if let Some(file) = backing("fileName") {
                put(&format!("{at}.fileName"), &near(file, machine.folder()));
            }
        } else if let Some((_, dev)) = CARDS.iter().find(|(kind, _)| it.is(kind)) {
            let name = next("ethernet");
            put(&format!("{name}.present"), "TRUE");
            put(&format!("{name}.virtualDev"), dev);
            put(&format!("{name}.networkName"), backing("deviceName").unwrap_or_default());
            let address = it.text("macAddress").unwrap_or_default();
            let manual = it.text("addressType") == Some("manual");
            put(&format!("{name}.addressType"), if manual { "static" } else { "generated" });
            put(
                &format!("{name}.{}", if manual { "address" } else { "generatedAddress" }),
                address,
            );
        } else if it.is("VirtualSerialPort") {
            let name = next("serial");
            put(&format!("{name}.present"), "TRUE");
            let kinds = [
                ("serviceURI", "network"),
                ("fileName", "file"),
                ("pipeName", "pipe"),
                ("deviceName", "device"),
            ];
            let known = kinds.iter().find_map(|(field, kind)| Some((*kind, backing(field)?)));
            if let Some((kind, file)) = known {
                put(&format!("{name}.fileType"), kind);
                put(&format!("{name}.fileName"), file);
            }
            if let Some(end) = backing("direction") {
                put(&format!("{name}.network.endPoint"), end);
            }
            if let Some(proxy) = backing("proxyURI") {
                put(&format!("{name}.vspc"), proxy);
            }
        } else if it.is("VirtualTPM") {
            put("vtpm.present", "TRUE");
        }
    }
    if machine.tools {
        put("guestInfo.detailed.data", &format!("hostName='{}'", machine.hostname));
    }
    for option in config.objects("extraConfig") {
        put(option.text("key").unwrap_or_default(), option.text("value").unwrap_or_default());
    }
    text
}

/// A file that has been read.
pub struct Read {
    /// What to make of it.
    pub spec: Object,
    /// It was written for another place.
    pub moved: bool,
    /// What the guest with its tools called itself.
    pub hostname: Option<String>,
}

/// Reads the file that stands at `path`.
pub fn read(text: &str, path: &str) -> Read {
    let folder = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
    let mut all: Sorted<String, String> = Sorted::new();
    for line in text.lines().take(10_000) {
        if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().trim_matches('"');
            all.insert(key.trim().to_owned(), unquoted(value));
        }
    }
    let mut used: Vec<String> = vec![".encoding".to_owned(), "config.version".to_owned()];
    let mut take = |key: &str| {
        used.push(key.to_owned());
        all.iter().find(|it| it.0.eq_ignore_ascii_case(key)).map(|it| it.1.clone())
    };
    let mut spec = Object::new("VirtualMachineConfigSpec");
    for (key, field) in [
        ("displayName", "name"),
        ("uuid.bios", "uuid"),
        ("vc.uuid", "instanceUuid"),
        ("firmware", "firmware"),
        ("annotation", "annotation"),
    ] {
        if let Some(value) = take(key) {
            spec.set(field, value);
        }
    }
    for (key, field) in [
        ("memSize", "memoryMB"),
        ("numvcpus", "numCPUs"),
        ("cpuid.coresPerSocket", "numCoresPerSocket"),
    ] {
        if let Some(value) = take(key).and_then(|it| it.parse::<i64>().ok()) {
            spec.set(field, value);
        }
    }
    if let Some(version) = take("virtualHW.version") {
        spec.set("version", format!("vmx-{version:0>2}"));
    }
    if let Some(os) = take("guestOS") {
        let known = Type::find("VirtualMachineGuestOsIdentifier");
        let id = known.and_then(|it| it.values().find(|it| guest(it) == os.to_lowercase()));
        spec.set("guestId", id.unwrap_or("otherGuest"));
    }
    let moved = take("uuid.location").is_some_and(|it| it != location(path));
    let mut devices: Vec<Object> = Vec::new();
    for (prefix, kind, dev) in CONTROLLERS {
        for bus in 0..4 {
            let name = format!("{prefix}{bus}");
            let ide = *prefix == "ide";
            let present = take(&format!("{name}.present")).is_some_and(|it| it == "TRUE");
            let own = take(&format!("{name}.virtualDev")).unwrap_or_default();
            let fits = *dev == own || (own.is_empty() && *dev == "lsilogic");
            let there = if ide { bus < 2 } else { present && fits };
            if !there {
                continue;
            }
            let key = if ide { 200 + bus } else { -1 - i64::try_from(devices.len()).unwrap_or(0) };
            let known = Type::find(kind).map_or("", Type::name);
            if !ide {
                let it = Object::new(known).with("key", key).with("busNumber", bus);
                devices.push(match *prefix {
                    "scsi" => it.with("sharedBus", "noSharing"),
                    _ => it,
                });
            }
            for unit in 0..64 {
                let at = format!("{name}:{unit}");
                if take(&format!("{at}.present")).is_none_or(|it| it != "TRUE") {
                    continue;
                }
                let file = take(&format!("{at}.fileName")).map(|it| far(&it, folder));
                let cdrom =
                    take(&format!("{at}.deviceType")).is_some_and(|it| it.starts_with("cdrom"));
                let backing = match (cdrom, file) {
                    (true, Some(file)) => {
                        Object::new("VirtualCdromIsoBackingInfo").with("fileName", file)
                    }
                    (true, None) => Object::new("VirtualCdromRemotePassthroughBackingInfo")
                        .with("deviceName", "")
                        .with("useAutoDetect", false)
                        .with("exclusive", false),
                    (false, file) => Object::new("VirtualDiskFlatVer2BackingInfo")
                        .with("fileName", file.unwrap_or_default())
                        .with("diskMode", "persistent"),
                };
                let it = Object::new(if cdrom { "VirtualCdrom" } else { "VirtualDisk" })
                    .with("key", -1000 - i64::try_from(devices.len()).unwrap_or(0))
                    .with("backing", backing)
                    .with("controllerKey", key)
                    .with("unitNumber", unit);
                devices.push(if cdrom { it } else { it.with("capacityInKB", 0) });
            }
        }
    }
    for at in 0..10 {
        let name = format!("ethernet{at}");
        if take(&format!("{name}.present")).is_none_or(|it| it != "TRUE") {
            continue;
        }
        let dev = take(&format!("{name}.virtualDev")).unwrap_or_default();
        let kind = CARDS.iter().find(|it| it.1 == dev).map_or("VirtualE1000", |it| it.0);
        let kind = Type::find(kind).map_or("", Type::name);
        let network = take(&format!("{name}.networkName")).unwrap_or_default();
        let backing =
            Object::new("VirtualEthernetCardNetworkBackingInfo").with("deviceName", network);
        let fixed = take(&format!("{name}.addressType")).is_some_and(|it| it == "static");
        let address = take(&format!("{name}.address"));
        take(&format!("{name}.generatedAddress"));
        devices.push(
            Object::new(kind)
                .with("key", -4000 - at)
                .with("backing", backing)
                .with_some("addressType", fixed.then_some("manual"))
                .with_some("macAddress", address.filter(|_| fixed)),
        );
    }
    for at in 0..4 {
        let name = format!("serial{at}");
        if take(&format!("{name}.present")).is_none_or(|it| it != "TRUE") {
            continue;
        }
        let file = take(&format!("{name}.fileName")).unwrap_or_default();
        let end = take(&format!("{name}.network.endPoint")).unwrap_or_else(|| "server".to_owned());
        let proxy = take(&format!("{name}.vspc"));
        let backing = match take(&format!("{name}.fileType")).as_deref() {
            Some("network") => Object::new("VirtualSerialPortURIBackingInfo")
                .with("serviceURI", file)
                .with("direction", end)
                .with_some("proxyURI", proxy),
            Some("file") => {
                Object::new("VirtualSerialPortFileBackingInfo").with("fileName", far(&file, folder))
            }
            _ => Object::new("VirtualSerialPortDeviceBackingInfo").with("deviceName", file),
        };
        let it = Object::new("VirtualSerialPort").with("key", -9000 - at).with("backing", backing);
        devices.push(it.with("yieldOnPoll", true));
    }
    if take("vtpm.present").is_some() {
        devices.push(Object::new("VirtualTPM").with("key", -11000));
    }
    let changes = devices.into_iter().map(|it| {
        Object::new("VirtualDeviceConfigSpec").with("operation", "add").with("device", it)
    });
    spec.set("deviceChange", changes.collect::<Value>());
    let detail = take("guestInfo.detailed.data");
    let hostname = detail.and_then(|it| it.split('\'').nth(1).map(str::to_owned));
    let rest = all.iter().filter(|it| !used.iter().any(|key| key.eq_ignore_ascii_case(it.0)));
    let options =
        rest.map(|(key, value)| Object::new("OptionValue").with("key", key).with("value", value));
    spec.set("extraConfig", options.collect::<Value>());
    Read { spec, moved, hostname }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_has_its_own_name() {
        let all: Vec<&str> =
            Type::find("VirtualMachineGuestOsIdentifier").unwrap().values().collect();
        for id in &all {
            let twins = all.iter().filter(|it| guest(it) == guest(id)).count();
            assert_eq!(twins, 1, "{id}");
        }
        assert_eq!(guest("ubuntu64Guest"), "ubuntu-64");
        assert_eq!(guest("otherGuest64"), "other-64");
    }

    #[test]
    fn a_file_of_a_host_is_understood() {
        let text = "displayName = \"a |22b|22\"\nguestOS = \"debian12-64\"\nmemSize = \"2048\"\n\
            scsi0.present = \"TRUE\"\nscsi0:0.present = \"TRUE\"\nscsi0:0.fileName = \"a.vmdk\"\n\
            sata0.present = \"TRUE\"\nsata0:0.present = \"TRUE\"\nsata0:0.deviceType = \"cdrom-image\"\n\
            sata0:0.fileName = \"/vmfs/volumes/nas01/iso/x.iso\"\nguestinfo.x = \"1\"\nnonsense\n";
        let Read { spec, moved, hostname } = read(text, "[ds] dir/a.vmx");
        assert_eq!((spec.text("name"), moved, hostname), (Some("a \"b\""), false, None));
        assert_eq!(spec.text("guestId"), Some("debian12_64Guest"));
        let files: Vec<&str> = spec
            .objects("deviceChange")
            .filter_map(|it| it.text("device.backing.fileName"))
            .collect();
        assert_eq!(files, ["[ds] dir/a.vmdk", "[nas01] iso/x.iso"]);
        let options: Vec<&str> =
            spec.objects("extraConfig").filter_map(|it| it.text("key")).collect();
        assert_eq!(options, ["guestinfo.x"]);
        assert!(read("uuid.location = \"1\"", "[ds] a/a.vmx").moved);
    }
}
