//! What runs inside the machines: an operating system or an appliance, with its consoles.
//!
//! A machine has an inside from the moment somebody asks for it, and the one that nobody asked for
//! longest is put to sleep as text. Each has a lock of its own, which is taken after that of the
//! world and never the other way round, so that a serial line can type without the world.
//! Surprising: nothing here is lost by a power-off but what ran; files stay.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::sim::console::Program;
use crate::sim::console::appliance::Appliance;
use crate::sim::console::linux::{Linux, Shell};
use crate::sim::console::scancodes::{Keyboard, Modifiers, Typed};
use crate::sim::console::screen::Screen;
use crate::sim::console::windows;
use crate::sim::console::windows::Windows;
use crate::sim::fault::{Fault, Result};
use crate::sim::guest::{Guest, Session};
use crate::sim::guest_ops::Transfers;
use crate::sim::machine::{Machine, Power};
use crate::sim::serial;
use crate::sim::world::{Plain, World, number_of};
use crate::text::json;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// Insides that are awake.
const AWAKE: usize = 64;
/// Bytes and number of those that sleep.
const ASLEEP: usize = 16 << 20;
const SLEEPERS: usize = 1024;

const LOGO: &[u8] = b"\x1b[10;30HE D G E   R O U T E R\x1b[13;27HConsole is on the serial port.";

/// An inside, which a serial line shares.
pub type Shared = Arc<Mutex<Inside>>;

/// All that runs inside machines.
pub struct Guests {
    /// By number of the machine; the one asked for last is the last.
    awake: Vec<(u64, Shared)>,
    asleep: Vec<(u64, String)>,
    /// Files on their way.
    pub transfers: Transfers,
    /// Where serial ports listen; nothing if they may open no sockets.
    pub listen: Option<IpAddr>,
}

impl Default for Guests {
    fn default() -> Guests {
        let listen = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        Guests { awake: Vec::new(), asleep: Vec::new(), transfers: Transfers::default(), listen }
    }
}

/// What runs inside one machine.
pub struct Inside {
    /// None in an appliance.
    guest: Option<Arc<Mutex<Guest>>>,
    /// At the screen; that of an appliance at its serial ports.
    console: Box<dyn Program>,
    screen: Screen,
    keyboard: Keyboard,
    /// A login at each serial port, by the device's key.
    ports: Sorted<i64, Box<dyn Program>>,
    /// What serial ports have still to say.
    unsaid: Sorted<i64, Vec<u8>>,
    told: u64,
    told_at: Instant,
}

/// A login at a console of a guest.
struct Login {
    guest: Arc<Mutex<Guest>>,
    session: Option<Session>,
}

/// Locks what whoever panicked before left consistent enough.
pub fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The world's time as guests count it.
pub fn seconds(world: &World) -> u64 {
    u64::try_from(world.now / 1000).unwrap_or(0)
}

impl Shell for Login {
    fn login(&mut self, user: &str, password: &str) -> bool {
        let guest = locked(&self.guest);
        self.session = guest.user(user).map(Session::new);
        guest.login(user, password)
    }

    fn run(&mut self, _: &str, line: &str) -> String {
        let ran = self.session.as_mut().map(|it| locked(&self.guest).run_line(it, line));
        ran.unwrap_or_default()
    }

    fn hostname(&self) -> String {
        locked(&self.guest).hostname().to_owned()
    }

    fn prompt(&self, _: &str) -> String {
        let shown = self.session.as_ref().map(|it| locked(&self.guest).prompt(it));
        shown.unwrap_or_default()
    }
}

impl Inside {
    /// What such a machine has in it, freshly booted; with what was kept of it.
    fn new(machine: &Machine, kept: Option<&json::Object>, now: u64) -> Inside {
        let id = machine.config.text("guestId").unwrap_or_default();
        let name = machine.hostname.as_str();
        let guest = (machine.tools || id != "other5xLinux64Guest").then(|| {
            let kept = kept.and_then(|it| Guest::load(json::get_object(it, "guest")?));
            let mut guest = kept.unwrap_or_else(|| match id.starts_with("win") {
                true => Guest::windows(name),
                false => Guest::linux(name),
            });
            if !machine.ip.is_empty() {
                guest.set_address(&machine.ip);
            }
            Arc::new(Mutex::new(guest))
        });
        let login = |guest| Box::new(Login { guest, session: None });
        let mut console: Box<dyn Program> = match &guest {
            None => Box::new(Appliance::new(name)),
            Some(it) if locked(it).is_windows() => Box::new(Windows::new(login(it.clone()))),
            Some(it) => Box::new(Linux::new(login(it.clone()), "tty1")),
        };
        if let Some(text) = kept.and_then(|it| json::get_text(it, "console")) {
            console.load(text);
        }
        let (screen, keyboard) = (Screen::new(), Keyboard::default());
        let (ports, unsaid) = (Sorted::new(), Sorted::new());
        let told_at = Instant::now();
        Inside { guest, console, screen, keyboard, ports, unsaid, told: now, told_at }
    }

    /// Says what time it is.
    fn at(&mut self, now: u64) {
        (self.told, self.told_at) = (now, Instant::now());
        self.tick();
    }

    /// Between two of these times the clock of this computer counts.
    fn tick(&mut self) -> u64 {
        let now = self.told + self.told_at.elapsed().as_secs();
        if let Some(guest) = &self.guest {
            locked(guest).at(now);
        }
        now
    }

    /// The operating system; an appliance has none that could be asked.
    pub fn guest(&self) -> Option<MutexGuard<'_, Guest>> {
        self.guest.as_deref().map(locked)
    }

    /// The login at a serial port; Windows has none there.
    fn port(&mut self, port: i64, now: u64) -> Option<&mut Box<dyn Program>> {
        let guest = self.guest.as_ref().filter(|it| !locked(it).is_windows())?;
        Some(self.ports.get_or(port, || {
            let tty = if port == serial::FIRST_KEY { "ttyS0" } else { "ttyS1" };
            let shell = Box::new(Login { guest: guest.clone(), session: None });
            let mut program: Box<dyn Program> = Box::new(Linux::new(shell, tty));
            program.boot(now);
            program
        }))
    }

    /// Starts anew; what these serial ports print, in their order.
    pub fn boot(&mut self, now: u64, ports: &[i64]) -> Vec<Vec<u8>> {
        if let Some(guest) = &self.guest {
            locked(guest).boot(now);
        }
        self.at(now);
        self.screen = Screen::new();
        self.ports.clear();
        self.unsaid.clear();
        let out = self.console.boot(now);
        let appliance = self.guest.is_none();
        self.screen.feed(if appliance { LOGO } else { &out });
        let said = ports.iter().map(|port| match appliance {
            true => out.clone(),
            false => self.port(*port, now).map(|it| it.boot(now)).unwrap_or_default(),
        });
        said.collect()
    }

    /// Keeps the output of a serial port until its line takes it.
    pub fn keep(&mut self, port: i64, output: Vec<u8>) {
        self.unsaid.insert(port, output);
    }

    /// What a serial port has still to say.
    pub fn unsaid(&mut self, port: i64) -> Vec<u8> {
        self.unsaid.remove(&port).unwrap_or_default()
    }

    /// Characters that came in at a serial port; what it answers.
    pub fn typed(&mut self, port: i64, bytes: &[u8]) -> Vec<u8> {
        let now = self.tick();
        if self.guest.is_none() {
            return self.console.feed(bytes, now);
        }
        self.port(port, now).map(|it| it.feed(bytes, now)).unwrap_or_default()
    }

    /// A key at the machine's own keyboard; true if the machine is to be reset for it.
    pub fn press(&mut self, usage: u8, held: Modifiers) -> bool {
        let bytes = match (self.keyboard.press(usage, held), self.guest()) {
            (_, None) => return false,
            (Typed::Bytes(bytes), _) => bytes,
            (Typed::Reset, Some(guest)) if guest.is_windows() => windows::ATTENTION.to_vec(),
            (Typed::Reset, _) => return true,
        };
        let now = self.tick();
        let out = self.console.feed(&bytes, now);
        self.screen.feed(&out);
        false
    }

    /// What stands on the screen.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    fn save(&self) -> json::Object {
        let mut kept = json::object([("console", json::text(self.console.save()))]);
        if let Some(guest) = self.guest() {
            kept.insert("guest".to_owned(), json::Value::Object(guest.save()));
        }
        kept
    }
}

/// The inside of a machine, at the world's time; wakes or makes it.
pub fn inside(world: &mut World, id: &str) -> Result<Shared> {
    let now = seconds(world);
    let gone = || Fault::gone(&Ref::new("VirtualMachine", id));
    let number = number_of(id).ok_or_else(gone)?;
    let World { machines, guests, .. } = world;
    let machine = machines.get(&number).filter(|it| it.id == id).ok_or_else(gone)?;
    // Nobody says that a machine was destroyed.
    let there = |number: &u64| machines.contains_key(number);
    guests.awake.retain(|it| there(&it.0));
    guests.asleep.retain(|it| there(&it.0));
    let found = guests.awake.iter().position(|it| it.0 == number);
    let shared = match found {
        Some(at) => guests.awake.remove(at).1,
        None => {
            let slept = guests.asleep.iter().position(|it| it.0 == number);
            let kept = slept.map(|at| guests.asleep.remove(at).1);
            let kept = kept.and_then(|it| json::parse(&it).ok());
            let kept = match &kept {
                Some(json::Value::Object(it)) => Some(it),
                _ => None,
            };
            let mut fresh = Inside::new(machine, kept, now);
            let booted = u64::try_from(machine.booted / 1000).unwrap_or(0);
            match kept {
                None => drop(fresh.boot(booted, &[])),
                // It ran on while it slept, so its screen alone is new.
                Some(_) => fresh.awake(booted),
            }
            Arc::new(Mutex::new(fresh))
        }
    };
    locked(&shared).at(now);
    guests.awake.push((number, shared.clone()));
    guests.rest();
    Ok(shared)
}

impl Guests {
    /// Lets sleep who was not asked for longest and has no serial line.
    fn rest(&mut self) {
        while self.awake.len() > AWAKE {
            let idle = self.awake.iter().position(|it| Arc::strong_count(&it.1) == 1);
            let Some(at) = idle else { return };
            let (number, inside) = self.awake.remove(at);
            self.asleep.push((number, json::write_object(&locked(&inside).save())));
        }
        let mut size: usize = self.asleep.iter().map(|it| it.1.len()).sum();
        while size > ASLEEP || self.asleep.len() > SLEEPERS {
            // What changed in it is lost: it starts as it was installed.
            size -= self.asleep.remove(0).1.len();
        }
    }
}

impl Inside {
    /// Shows what it shows after booting, without booting.
    fn awake(&mut self, booted: u64) {
        let saved = self.console.save();
        let out = self.console.boot(booted);
        self.console.load(&saved);
        self.screen.feed(if self.guest.is_none() { LOGO } else { &out });
    }
}

/// Follows a machine's power, see `power::enter`.
pub fn power(world: &mut World, id: &str, from: Power, to: Power) {
    let ports = serial::power(world, id, from, to);
    // A machine that was suspended goes on where it was.
    if to != Power::On || from == Power::Suspended {
        return;
    }
    let known = number_of(id).is_some_and(|number| {
        let guests = &world.guests;
        guests.awake.iter().any(|it| it.0 == number)
            || guests.asleep.iter().any(|it| it.0 == number)
    });
    if !known && ports.is_empty() {
        return;
    }
    let now = seconds(world);
    let Ok(shared) = inside(world, id) else { return };
    let keys: Vec<i64> = ports.iter().map(|it| it.0).collect();
    let said = locked(&shared).boot(now, &keys);
    for ((port, file), said) in ports.into_iter().zip(said) {
        match file {
            None => locked(&shared).keep(port, said),
            Some(path) => serial::append(world, &path, &said),
        }
    }
}

/// Gives a fresh world what belongs to its guests: the managers, and the appliance's serial port.
pub fn start(world: &mut World) {
    const MANAGERS: [(&str, &str, &str, &str); 3] = [
        ("authManager", "GuestAuthManager", "auth-manager", "AuthManager"),
        ("fileManager", "GuestFileManager", "file-manager", "FileManager"),
        ("processManager", "GuestProcessManager", "process-manager", "ProcessManager"),
    ];
    let content = world.plain.get("ServiceInstance").map(|it| &it.props);
    let main = content.and_then(|it| it.reference("content.guestOperationsManager"));
    let Some(main) = main.map(|it| it.id.clone()) else { return };
    let mut props = Object::args();
    for (field, kind, name, vcenter_name) in MANAGERS {
        let id = match world.vcenter {
            true => format!("guestOperations{vcenter_name}"),
            false => format!("ha-guest-operations-{name}"),
        };
        props.set(field, Ref::new(kind, id.as_str()));
        world.plain.insert(id, Plain { kind, props: Object::args() });
    }
    world.plain.insert(main, Plain { kind: "GuestOperationsManager", props });
    let edge = world.machines.values_mut().find(|it| it.name == "edge01");
    if let Some(machine) = edge
        && let Some(Value::Object(hardware)) = machine.own().field_mut("hardware")
    {
        let mut devices: Vec<Object> = hardware.objects("device").cloned().collect();
        devices.push(serial::device());
        hardware.set("device", devices);
    }
}
