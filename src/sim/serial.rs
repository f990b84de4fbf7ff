//! Serial ports of machines: which are to be open, their lines, and what is written to files.
//!
//! Lines stand beside the world: a machine says what it wants, [`tend`] opens and closes after each
//! call, without the world's lock, and notes in the devices what became of it. Surprising: a lock
//! of the lines may be held while the world's is taken, never the other way round.

use std::sync::{Arc, Mutex};

use crate::sim::files::File;
use crate::sim::guests;
use crate::sim::guests::Shared;
use crate::sim::journal::Journal;
use crate::sim::line::{Guest, Line, Settings};
use crate::sim::machine::{Machine, Power};
use crate::sim::replay;
use crate::sim::service::Simulator;
use crate::sim::telnet::Identity;
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::threads::begin;
use crate::vim::value::{Object, Value};

/// The key of a machine's first port.
pub const FIRST_KEY: i64 = 9000;
/// Lines that may be open.
const MOST: usize = 64;
/// Bytes of a file that a port writes to.
const MOST_FILE: usize = 1 << 20;

/// Number of the machine and key of the device.
type Place = (u64, i64);

/// All lines.
#[derive(Default)]
pub struct Lines(Mutex<Open>);

#[derive(Default)]
struct Open {
    all: Sorted<Place, Port>,
    /// The world's generation at which everything was looked at.
    seen: u64,
}

struct Port {
    machine: String,
    backing: Object,
    end: Arc<End>,
    line: Option<Line>,
    status: &'static str,
}

/// The machine's end of a line.
struct End {
    inside: Shared,
    machine: u64,
    key: i64,
    journal: Option<Arc<Journal>>,
}

impl Guest for End {
    fn typed(&self, bytes: &[u8]) -> Vec<u8> {
        if let Some(journal) = &self.journal {
            replay::keep_typed(journal, self.machine, self.key, bytes);
        }
        guests::locked(&self.inside).typed(self.key, bytes)
    }

    fn waiting(&self) -> Vec<u8> {
        guests::locked(&self.inside).unsaid(self.key)
    }
}

/// The appliance's port: of use once somebody connects it.
pub fn device() -> Object {
    let backing = Object::new("VirtualSerialPortURIBackingInfo")
        .with("serviceURI", "telnet://:2001")
        .with("direction", "server");
    Object::new("VirtualSerialPort")
        .with("key", FIRST_KEY)
        .with(
            "deviceInfo",
            Object::new("Description")
                .with("label", "Serial port 1")
                .with("summary", "Remote telnet://:2001"),
        )
        .with("backing", backing)
        .with(
            "connectable",
            Object::new("VirtualDeviceConnectInfo")
                .with("startConnected", false)
                .with("allowGuestControl", true)
                .with("connected", false)
                .with("status", "untried"),
        )
        .with("controllerKey", 400)
        .with("unitNumber", 0)
        .with("yieldOnPoll", true)
}

/// The serial ports of a machine; one of a bulk has none.
fn ports(machine: &Machine) -> impl Iterator<Item = &Object> {
    let own = (!machine.shared).then(|| machine.devices());
    own.into_iter().flatten().filter(|it| it.kind() == "VirtualSerialPort")
}

/// Changes how a port of a machine is connected.
fn connect(world: &mut World, id: &str, key: i64, change: &dyn Fn(&mut Object)) {
    let Ok(machine) = world.machine_mut(id) else { return };
    let Some(Value::Object(hardware)) = machine.own().field_mut("hardware") else { return };
    let Some(Value::List(devices)) = hardware.field_mut("device") else { return };
    for device in devices {
        if let Value::Object(device) = device
            && device.int("key") == Some(key)
            && let Some(Value::Object(connectable)) = device.field_mut("connectable")
        {
            change(connectable);
        }
    }
}

/// Connects the ports of a machine that is powered on and disconnects those of one that ends; of a
/// machine that runs, the ports that are connected, with the file of those that have one.
pub fn power(world: &mut World, id: &str, from: Power, to: Power) -> Vec<(i64, Option<String>)> {
    let Some(machine) = world.machine(id) else { return Vec::new() };
    let keys: Vec<i64> = ports(machine).filter_map(|it| it.int("key")).collect();
    for key in keys {
        connect(world, id, key, &|it| {
            let starts = it.flag("startConnected") == Some(true);
            let connected = match (from, to) {
                (_, Power::Off) => false,
                (Power::Off, Power::On) => starts,
                _ => return,
            };
            it.set("connected", connected);
            it.set("status", if connected { "ok" } else { "untried" });
        });
    }
    let Some(machine) = world.machine(id) else { return Vec::new() };
    let connected = ports(machine).filter(|it| it.flag("connectable.connected") == Some(true));
    let told = connected.filter_map(|it| {
        let file = it.text("backing.fileName").map(str::to_owned);
        Some((it.int("key")?, file))
    });
    told.collect()
}

/// Writes a port's output behind what the file has; beyond the bound it is lost.
pub fn append(world: &mut World, path: &str, output: &[u8]) {
    let now = world.now;
    let empty = File { size: 0, modified: now, folder: false, content: Some(Arc::default()) };
    let file = world.files.all.get_or(path.to_owned(), || empty);
    let Some(content) = &mut file.content else { return };
    let room = MOST_FILE.saturating_sub(content.len());
    Arc::make_mut(content).extend(output.iter().take(room));
    file.size = u64::try_from(content.len()).unwrap_or(0);
    file.modified = now;
}

/// The ports that are to have a line: of machines that run, with an address.
fn wanted(world: &mut World) -> Sorted<Place, (String, Object)> {
    let mut all = Sorted::new();
    for (number, machine) in &world.machines {
        if machine.power != Power::On || world.guests.listen.is_none() {
            continue;
        }
        for port in ports(machine) {
            let backing = port.object("backing").filter(|it| it.get("serviceURI").is_some());
            let on = port.flag("connectable.connected") == Some(true);
            if let (Some(key), Some(backing), true) = (port.int("key"), backing, on) {
                all.insert((*number, key), (machine.id.clone(), backing.clone()));
            }
        }
    }
    all
}

impl Port {
    /// The machine's end and what the line is to be like.
    fn new(
        world: &mut World,
        (number, key): (u64, i64),
        machine: String,
        backing: Object,
        journal: Option<&Arc<Journal>>,
    ) -> Option<(Port, Settings)> {
        let inside = guests::inside(world, &machine).ok()?;
        let it = world.machine(&machine)?;
        let text = |name: &str| backing.text(name).filter(|it| !it.is_empty());
        let identity = Identity {
            name: it.name.clone(),
            vc_uuid: it.instance.clone(),
            bios_uuid: it.uuid.clone(),
            location_uuid: it.uuid.clone(),
        };
        let settings = Settings {
            uri: text("serviceURI")?.to_owned(),
            server: text("direction") == Some("server"),
            proxy: text("proxyURI").map(str::to_owned),
            identity,
            listen: world.guests.listen?,
        };
        let end = Arc::new(End { inside, machine: number, key, journal: journal.cloned() });
        Some((Port { machine, backing, end, line: None, status: "" }, settings))
    }

    /// Says what the machine printed by itself; who still dials says it when he is through.
    fn say(&self) {
        let Some(line) = &self.line else { return };
        if line.connected() || line.address().is_some() {
            line.print(&self.end.waiting());
        }
    }

    fn close(self) {
        let Some(line) = self.line else { return };
        // Who listens gives his port back at once; who dials may take a while, and nobody waits.
        if line.address().is_none() {
            let _ = begin("sim close", Box::new(move || drop(line)));
        }
    }
}

/// Opens and closes lines as the machines want it, and notes their status.
pub fn tend(simulator: &Simulator) {
    let mut open = guests::locked(&simulator.lines.0);
    let (mut gone, mut fresh) = (Vec::new(), Vec::new());
    {
        let mut world = simulator.world();
        if open.seen == world.generation && open.all.is_empty() {
            return;
        }
        if open.seen != world.generation {
            open.seen = world.generation;
            let mut wanted = wanted(&mut world);
            let is = |place: &Place, port: &Port| {
                wanted.get(place).is_some_and(|it| it.1 == port.backing)
            };
            let over: Vec<Place> =
                open.all.iter().filter(|it| !is(it.0, it.1)).map(|it| *it.0).collect();
            gone.extend(over.iter().filter_map(|it| open.all.remove(it)));
            wanted.retain(|place, _| !open.all.contains_key(place));
            for (place, (machine, backing)) in wanted {
                let made = Port::new(&mut world, place, machine, backing, simulator.journal());
                fresh.extend(made.map(|(port, settings)| (place, port, settings)));
            }
        }
    }
    // Closed before others are opened, which may want the same address.
    let mut changed: Vec<(String, i64, &str)> = Vec::new();
    for port in gone {
        changed.push((port.machine.clone(), port.end.key, "untried"));
        port.close();
    }
    for (place, mut port, settings) in fresh {
        let opened = match open.all.len() < MOST {
            true => Line::open(settings, port.end.clone()),
            false => Err("too many serial ports are open".to_owned()),
        };
        port.line = opened.map_err(|why| log::warn!("{}: {why}", port.machine)).ok();
        open.all.insert(place, port);
    }
    for (place, port) in &mut open.all {
        port.say();
        // unverified: what a host shows of a port that is taken.
        let status = port.line.as_ref().map_or("unrecoverableError", Line::status);
        if status != port.status {
            port.status = status;
            changed.push((port.machine.clone(), place.1, status));
        }
    }
    let mut world = simulator.world();
    for (machine, key, status) in changed {
        connect(&mut world, &machine, key, &|it| it.set("status", status));
    }
}

/// Closes every line.
pub fn close(simulator: &Simulator) {
    let all = std::mem::take(&mut guests::locked(&simulator.lines.0).all);
    all.into_values().for_each(Port::close);
}
