//! What a simulated server holds when it starts: the inventory files, a dozen machines, or many.
//!
//! Properties that do not move are data in `inventory/*.xml`, checked by the strict reader; machines
//! are rows here. Surprising: machines made in bulk share one configuration, so ten thousand cost
//! little more than their names.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::sim::backings::connectable;
use crate::sim::clock::Moment;
use crate::sim::datastore;
use crate::sim::devices::settle;
use crate::sim::disks;
use crate::sim::events;
use crate::sim::guest_names;
use crate::sim::guests;
use crate::sim::history::History;
use crate::sim::machine::{Machine, Power, Question, mac, number_in};
use crate::sim::machine_more;
use crate::sim::packed;
use crate::sim::reader;
use crate::sim::snapshots;
use crate::sim::spec;
use crate::sim::spec::Place;
use crate::sim::vcenter;
use crate::sim::world::{Plain, World};
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;

/// What to begin with.
#[derive(Clone, Debug)]
pub struct Start {
    /// A vCenter, else an ESXi host.
    pub vcenter: bool,
    /// So many plain machines, instead of the believable dozen.
    pub machines: Option<u32>,
    /// The newest API version.
    pub version: Version,
    /// The time at the start.
    pub now: Moment,
}

/// One machine of the dozen.
struct Made {
    name: &'static str,
    guest: &'static str,
    cpus: i64,
    memory_mb: i64,
    /// Datastore and gigabytes.
    disks: &'static [(&'static str, i64)],
    networks: &'static [&'static str],
    power: Power,
    ip: &'static str,
    note: &'static str,
}

const UBUNTU: &str = "ubuntu64Guest";
const DEBIAN: &str = "debian12_64Guest";
const RHEL: &str = "rhel9_64Guest";
const WINDOWS: &str = "windows2022srvNext_64Guest";
const APPLIANCE: &str = "other5xLinux64Guest";

/// Name, guest, CPUs, memory, disks, networks, power, address, note.
#[allow(clippy::too_many_arguments, reason = "a table's row")]
const fn made(
    name: &'static str,
    guest: &'static str,
    size: (i64, i64),
    disks: &'static [(&'static str, i64)],
    networks: &'static [&'static str],
    power: Power,
    ip: &'static str,
    note: &'static str,
) -> Made {
    Made { name, guest, cpus: size.0, memory_mb: size.1, disks, networks, power, ip, note }
}

#[rustfmt::skip]
const DOZEN: &[Made] = &[
    made("web01", UBUNTU, (2, 4096), &[("datastore1", 40)], &["VM Network"], Power::On, "10.20.0.11", "Front end; nginx"),
    made("web02", UBUNTU, (2, 4096), &[("datastore1", 40)], &["VM Network"], Power::On, "10.20.0.12", "Front end; nginx"),
    made("db01", RHEL, (4, 16384), &[("datastore1", 60), ("nas01", 500)], &["VM Network"], Power::On, "10.20.0.21", "PostgreSQL 16; ask dba@lab.example before a restart"),
    made("mail01", DEBIAN, (2, 2048), &[("datastore1", 80)], &["DMZ"], Power::On, "10.30.0.25", ""),
    made("dc01", WINDOWS, (2, 8192), &[("datastore1", 90)], &["VM Network"], Power::On, "10.20.0.2", "Domain controller"),
    made("files01", WINDOWS, (2, 8192), &[("datastore1", 90), ("nas01", 2000)], &["VM Network"], Power::Off, "", ""),
    made("edge01", APPLIANCE, (2, 4096), &[("datastore1", 8)], &["VM Network", "DMZ", "Lab"], Power::On, "10.20.0.1", "Edge router; serial console: admin"),
    made("fw-lab", APPLIANCE, (1, 2048), &[("datastore1", 8)], &["Lab", "DMZ"], Power::Off, "", "Firewall under test"),
    made("build01", UBUNTU, (8, 16384), &[("nas01", 200)], &["Lab"], Power::Suspended, "", "Nightly builds"),
    made("test01", DEBIAN, (1, 1024), &[("datastore1", 20)], &["Lab"], Power::Off, "", ""),
    made("legacy-erp", "sles12_64Guest", (4, 8192), &[("nas01", 300)], &["VM Network"], Power::Off, "", "Retired 2024; keep the disks until 2034"),
    made("kiosk01", UBUNTU, (1, 2048), &[("datastore1", 16)], &["Lab"], Power::On, "10.40.0.50", ""),
];

/// The world of a server that has just been started.
pub fn world(start: &Start) -> Result<World> {
    let mut world = World::empty(start.vcenter, start.version, start.now);
    if start.vcenter {
        vcenter::base(&mut world)?;
    } else {
        add(&mut world, "esxi.xml", &[])?;
        let names = [
            ("{host}", "ha-host"),
            ("{name}", "esxi01.lab.example"),
            ("{compute-type}", "ComputeResource"),
            ("{compute}", "ha-compute-res"),
            ("{mark}", ""),
            ("{short}", "esxi01"),
            ("{domain}", "lab.example"),
            ("{ip}", "10.20.0.10"),
            ("{managed}", "false"),
            ("{manager}", ""),
        ];
        add(&mut world, "host.xml", &names)?;
    }
    let browser = Object::new("EnvironmentBrowser");
    let browser = Plain { kind: "EnvironmentBrowser", props: browser };
    world.plain.insert(machine_more::BROWSER.to_owned(), browser);
    let base = base()?;
    match start.machines {
        Some(count) => bulk(&mut world, &base, count),
        None => dozen(&mut world, &base),
    }
    managers(&mut world);
    if start.vcenter {
        vcenter::place(&mut world);
    }
    datastore::seed(&mut world);
    guests::start(&mut world);
    events::seed(&mut world);
    Ok(world)
}

/// The managers that the service content names and no file describes.
fn managers(world: &mut World) {
    let content = world.plain.get("ServiceInstance").and_then(|it| it.props.object("content"));
    let named = content.into_iter().flat_map(Object::fields);
    let named: Vec<Ref> = named.filter_map(|(_, it)| it.as_reference().cloned()).collect();
    for object in named {
        let kind = Type::find(&object.kind).map_or("", Type::name);
        let plain = Plain { kind, props: Object::new(kind) };
        world.plain.get_or(object.id, || plain);
    }
}

/// Reads an inventory file into the world, with words put in.
pub fn add(world: &mut World, name: &str, words: &[(&str, &str)]) -> Result<()> {
    let text = packed::file(name).to_owned();
    let text = words.iter().fold(text, |text, (from, to)| text.replace(from, to));
    for (object, props) in reader::template(&text)? {
        let kind = Type::find(&object.kind).map_or("", Type::name);
        world.plain.insert(object.id, Plain { kind, props });
    }
    Ok(())
}

/// The configuration that every machine begins with.
pub fn base() -> Result<Object> {
    let read = reader::template(packed::file("machine.xml"))?.into_iter().next();
    let config =
        read.and_then(|(_, mut props)| props.remove("config")).and_then(|it| it.into_object());
    config.ok_or_else(|| Error::bug("no configuration in machine.xml"))
}

/// A UUID that is the same each time.
pub fn uuid(number: u64) -> String {
    format!(
        "564d{:04x}-{:04x}-4a6d-8b21-{number:012x}",
        number * 40503 % 65536,
        number * 7919 % 65536
    )
}

/// Where machines stand if nobody says otherwise.
fn place(world: &World) -> Place {
    let first = |kind: &str| world.first(kind).map_or_else(String::new, |it| it.id);
    let folder = world.all("Datacenter").find_map(|(_, props)| props.reference("vmFolder"));
    Place {
        folder: folder.map_or_else(String::new, |it| it.id.clone()),
        pool: first("ResourcePool"),
        host: first("HostSystem"),
    }
}

/// The plain machine, without devices of its own.
pub fn blank(
    world: &mut World,
    name: &str,
    store: &str,
    config: Arc<Object>,
    place: &Place,
) -> Machine {
    let number = world.number();
    Machine {
        id: if world.vcenter { format!("vm-{number}") } else { number.to_string() },
        name: name.to_owned(),
        uuid: uuid(number),
        instance: uuid(number + 500_000).replace("564d", "52d1"),
        path: format!("[{store}] {name}/{name}.vmx"),
        parent: place.folder.clone(),
        pool: place.pool.clone(),
        host: place.host.clone(),
        config,
        shared: false,
        power: Power::Off,
        booted: world.now,
        snapshots: Vec::new(),
        current: None,
        tools: true,
        hostname: name.to_owned(),
        ip: String::new(),
        question: None,
        answer: None,
        moved: false,
        mounted: false,
    }
}

fn info(label: &str, summary: &str) -> Object {
    Object::new("Description").with("label", label).with("summary", summary)
}

/// The devices that differ from machine to machine.
fn devices(world: &World, it: &Made, number: u64) -> Vec<Object> {
    let mut all = vec![
        Object::new("ParaVirtualSCSIController")
            .with("key", 1000)
            .with("deviceInfo", info("SCSI controller 0", "VMware paravirtual SCSI"))
            .with("controllerKey", 100)
            .with("unitNumber", 3)
            .with("busNumber", 0)
            .with("hotAddRemove", true)
            .with("sharedBus", "noSharing")
            .with("scsiCtlrUnitNumber", 7),
        Object::new("VirtualAHCIController")
            .with("key", 15000)
            .with("deviceInfo", info("SATA controller 0", "AHCI"))
            .with("controllerKey", 100)
            .with("unitNumber", 24)
            .with("busNumber", 0),
        Object::new("VirtualCdrom")
            .with("key", 16000)
            .with("deviceInfo", info("CD/DVD drive 1", "Remote device"))
            .with(
                "backing",
                Object::new("VirtualCdromRemotePassthroughBackingInfo")
                    .with("deviceName", "")
                    .with("useAutoDetect", false)
                    .with("exclusive", false),
            )
            .with("connectable", connectable(true, true, false))
            .with("controllerKey", 15000)
            .with("unitNumber", 0),
    ];
    for (at, (store, gigabytes)) in it.disks.iter().enumerate() {
        let suffix = if at == 0 { String::new() } else { format!("_{at}") };
        let kilobytes = gigabytes << 20;
        let backing = Object::new("VirtualDiskFlatVer2BackingInfo")
            .with("fileName", format!("[{store}] {0}/{0}{suffix}.vmdk", it.name))
            .with_some("datastore", disks::store(world, store))
            .with("diskMode", "persistent")
            .with("thinProvisioned", true)
            .with("uuid", format!("6000C29{at}-{number:04x}-4f3a-9c1d-0123456789ab"));
        all.push(
            Object::new("VirtualDisk")
                .with("key", 2000 + at)
                .with("deviceInfo", info(&format!("Hard disk {}", at + 1), &thousands(kilobytes)))
                .with("backing", backing)
                .with("controllerKey", 1000)
                .with("unitNumber", at)
                .with("capacityInKB", kilobytes)
                .with("capacityInBytes", kilobytes << 10),
        );
    }
    for (at, network) in (0i64..).zip(it.networks) {
        let backing = Object::new("VirtualEthernetCardNetworkBackingInfo")
            .with("deviceName", *network)
            .with("useAutoDetect", false)
            .with("network", Ref::new("Network", format!("HaNetwork-{network}")));
        all.push(
            Object::new("VirtualVmxnet3")
                .with("key", 4000 + at)
                .with("deviceInfo", info(&format!("Network adapter {}", at + 1), network))
                .with("backing", backing)
                .with("connectable", connectable(true, true, it.power == Power::On))
                .with("controllerKey", 100)
                .with("unitNumber", 7 + at)
                .with("addressType", if world.vcenter { "assigned" } else { "generated" })
                .with("macAddress", mac(world.vcenter, number, 4000 + at))
                .with("wakeOnLanEnabled", true),
        );
    }
    all
}

/// `41,943,040 KB`, as a disk's summary says.
pub fn thousands(kilobytes: i64) -> String {
    let digits = kilobytes.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + " KB"
}

/// A configuration of this hardware.
fn configured(world: &World, base: &Object, it: &Made, number: u64) -> Object {
    let mut config = base.clone();
    config.set("guestId", it.guest);
    config.set("guestFullName", guest_names::full_name(it.guest).unwrap_or_default());
    if !it.note.is_empty() {
        config.set("annotation", it.note);
    }
    if let Some(Value::Object(hardware)) = config.field_mut("hardware") {
        hardware.set("numCPU", it.cpus);
        hardware.set("memoryMB", it.memory_mb);
        let standard = hardware.objects("device").cloned();
        let mut all: Vec<Object> = standard.chain(devices(world, it, number)).collect();
        settle(&mut all);
        hardware.set("device", all);
    }
    config
}

fn dozen(world: &mut World, base: &Object) {
    let place = place(world);
    for it in DOZEN {
        let store = it.disks.first().map_or("datastore1", |(store, _)| store);
        let mut machine = blank(world, it.name, store, Arc::new(Object::args()), &place);
        let number = number_in(&machine.id);
        machine.config = Arc::new(configured(world, base, it, number));
        machine.power = it.power;
        machine.ip = it.ip.to_owned();
        machine.tools = !matches!(it.name, "edge01" | "fw-lab" | "legacy-erp");
        machine.booted = world.now - 14 * DAY;
        if it.name == "kiosk01" {
            machine.question = Some(locked_cdrom());
        }
        let made = disks::disk_files(&machine).into_values().collect();
        spec::commit(world, machine, made, Vec::new());
    }
    histories(world);
}

const DAY: Moment = 24 * 3_600_000;

/// Snapshots as people take them: machine, name, description, days ago, the one to stand on.
#[rustfmt::skip]
const SNAPSHOTS: &[(&str, &str, &str, Moment, &str)] = &[
    ("db01", "before 16.4 update", "Take out after the weekend", 9, ""),
    ("test01", "clean install", "Debian 12, ssh keys, nothing else", 60, ""),
    ("test01", "with tools", "build-essential, docker", 41, "clean install"),
    ("test01", "kernel 6.12", "Backports kernel; panics at boot, see ticket 481", 12, "with tools"),
    ("test01", "try nftables", "", 5, "clean install"),
];

/// Gives some machines the snapshots that they have had for a while.
fn histories(world: &mut World) {
    let now = world.now;
    for (name, title, text, days, on) in SNAPSHOTS {
        let Some(machine) = world.machines.values_mut().find(|it| it.name == *name) else {
            continue;
        };
        let id = machine.id.clone();
        if let Some(parent) = machine.snapshots.iter().find(|it| it.name == *on) {
            let to = parent.id.clone();
            if machine.current.as_ref() != Some(&to) {
                // It was there a line ago.
                let _ = snapshots::revert(world, &id, &to, "", true);
            }
        }
        world.now = now - days * DAY;
        let _ = snapshots::take(world, &id, (title, text), false, *name == "db01");
        world.now = now;
    }
    world.history = History::default();
}

/// What a host asks when a guest holds the CD-ROM that is to be taken out.
fn locked_cdrom() -> Question {
    Question {
        // unverified: the id of this question.
        id: "_vmx1".to_owned(),
        text: "msg.cdromdisconnect.locked:The guest operating system has locked the CD-ROM door and is \
               probably using the CD-ROM, which can prevent the guest from recognizing media changes. \
               Disconnect anyway and override the lock?"
            .to_owned(),
        choices: vec![["0", "Yes", "Yes"], ["1", "No", "No"]],
        default: 0,
    }
}

fn bulk(world: &mut World, base: &Object, count: u32) {
    let it =
        made("", UBUNTU, (2, 4096), &[("datastore1", 40)], &["VM Network"], Power::Off, "", "");
    let config = Arc::new(configured(world, base, &it, 1));
    let place = place(world);
    for at in 0..count {
        let name = format!("vm{:05}", at + 1);
        let mut machine = blank(world, &name, "datastore1", config.clone(), &place);
        machine.shared = true;
        if at % 3 != 2 {
            machine.power = Power::On;
            machine.booted = world.now - 3_600_000;
            machine.ip = format!("10.{}.{}.{}", 64 + at / 65025, at / 255 % 255, at % 255 + 1);
        }
        world.machines.insert(number_in(&machine.id), machine);
    }
}

/// Lets the servers say that they are of the version that they speak.
pub fn claim(world: &mut World) {
    let version = world.version.name();
    let mut numbers: Vec<&str> = version.split('.').take(3).collect();
    numbers.resize(3, "0");
    let product = numbers.join(".");
    let say = |about: Option<&mut Value>| {
        let Some(Value::Object(about)) = about else { return };
        let full = about.text("fullName").unwrap_or_default().to_owned();
        let old = about.text("version").unwrap_or_default();
        about.set("fullName", full.replace(old, &product));
        about.set("version", product.as_str());
        about.set("apiVersion", version);
    };
    for plain in world.plain.values_mut() {
        let path: &[&str] = match plain.kind {
            "ServiceInstance" => &["content", "about"],
            "HostSystem" => &["summary", "config", "product"],
            _ => continue,
        };
        let mut names = path.iter();
        let first = names.next().and_then(|it| plain.props.field_mut(it));
        say(names.fold(first, |value, name| match value {
            Some(Value::Object(inner)) => inner.field_mut(name),
            _ => None,
        }));
    }
}
