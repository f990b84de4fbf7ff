//! A virtual machine: what is kept of it.
//!
//! Kept are its configuration, its power and its snapshots; `summary`, `runtime`, `guest` and the
//! rest are worked out when they are read (`machine_view`), so that they cannot contradict each
//! other. Surprising:
//! machines that were made in bulk share one configuration until one of them is changed.

use std::sync::Arc;

use crate::sim::clock::Moment;
use crate::sim::world::{World, number_of};
use crate::text::order;
use crate::vim::value::{Object, Ref, Value};

/// Power state, in the API's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// `poweredOn`
    On,
    /// `poweredOff`
    Off,
    /// `suspended`
    Suspended,
}

impl Power {
    /// As the API writes it.
    pub fn name(self) -> &'static str {
        match self {
            Power::On => "poweredOn",
            Power::Off => "poweredOff",
            Power::Suspended => "suspended",
        }
    }
}

/// A machine's state, kept aside.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// `12-snapshot-3`.
    pub id: String,
    /// Counts within the machine.
    pub number: u64,
    /// The snapshot that it was taken on.
    pub parent: Option<String>,
    /// Its name; need not be unique.
    pub name: String,
    /// Free text.
    pub description: String,
    /// When it was taken.
    pub created: Moment,
    /// Whether the machine ran, with its memory kept.
    pub power: Power,
    /// Whether the guest's file systems were quiet.
    pub quiesced: bool,
    /// The configuration as it was.
    pub config: Arc<Object>,
}

/// A question that the machine waits on.
#[derive(Clone, Debug)]
pub struct Question {
    /// `msg.uuid.altered` and a number.
    pub id: String,
    /// What is asked.
    pub text: String,
    /// Key, label and sentence of each answer.
    pub choices: Vec<[&'static str; 3]>,
    /// The answer that is offered first.
    pub default: usize,
}

/// A virtual machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// `12`, `vm-12`.
    pub id: String,
    /// Unique within its folder.
    pub name: String,
    /// BIOS UUID.
    pub uuid: String,
    /// UUID of this instance.
    pub instance: String,
    /// `[datastore1] web01/web01.vmx`.
    pub path: String,
    /// Id of its folder.
    pub parent: String,
    /// Id of its resource pool; empty for a template.
    pub pool: String,
    /// Id of its host.
    pub host: String,
    /// `VirtualMachineConfigInfo`, but for what stands above.
    pub config: Arc<Object>,
    /// `config` is common to machines of a bulk: names of disks have to be put in.
    pub shared: bool,
    /// Whether it runs.
    pub power: Power,
    /// When it was last powered on.
    pub booted: Moment,
    /// Oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The snapshot that the present state is based on.
    pub current: Option<String>,
    /// VMware Tools are installed.
    pub tools: bool,
    /// The guest's name of itself.
    pub hostname: String,
    /// The guest's first address.
    pub ip: String,
    /// What it waits on.
    pub question: Option<Question>,
    /// The answer to a question that something else waits for.
    pub answer: Option<String>,
    /// Its files stand elsewhere than when it was made: it will ask whether it was moved.
    pub moved: bool,
    /// The tools' installer is in its CD drive.
    pub mounted: bool,
}

impl Machine {
    /// A reference to it.
    pub fn reference(&self) -> Ref {
        Ref::new("VirtualMachine", self.id.as_str())
    }

    /// A device of its configuration, with the disk's file if it is shared.
    pub fn device(&self, device: &Object) -> Object {
        let mut device = device.clone();
        if !self.shared {
            return device;
        }
        if device.is("VirtualDisk") {
            let path = self.stem();
            if let Some(Value::Object(backing)) = device.field_mut("backing") {
                backing.set("fileName", format!("{path}.vmdk"));
            }
        }
        if device.is("VirtualEthernetCard") {
            device.set(
                "macAddress",
                mac(
                    self.id.starts_with("vm-"),
                    number_in(&self.id),
                    device.int("key").unwrap_or(0),
                ),
            );
            let on = self.power == Power::On;
            if let Some(Value::Object(connectable)) = device.field_mut("connectable") {
                connectable.set("connected", on);
                connectable.set("status", if on { "ok" } else { "untried" });
            }
        }
        device
    }

    /// `[datastore1] web01/web01`, what the names of its files begin with.
    pub fn stem(&self) -> &str {
        self.path.strip_suffix(".vmx").unwrap_or(&self.path)
    }

    /// `[datastore1] web01`, where its files are.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or(&self.path, |(folder, _)| folder)
    }

    /// The whole configuration.
    pub fn info(&self) -> Object {
        self.dressed(&self.config)
    }

    /// A configuration, of a snapshot perhaps, with what is the machine's own.
    pub fn dressed(&self, config: &Object) -> Object {
        let mut info = config.clone();
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned() + "/";
        info.set("name", self.name.as_str());
        info.set("uuid", self.uuid.as_str());
        info.set("instanceUuid", self.instance.as_str());
        info.set(
            "files",
            Object::new("VirtualMachineFileInfo")
                .with("vmPathName", self.path.as_str())
                .with("snapshotDirectory", folder.as_str())
                .with("suspendDirectory", folder.as_str())
                .with("logDirectory", folder.as_str()),
        );
        if self.shared
            && let Some(Value::Object(hardware)) = info.field_mut("hardware")
        {
            let devices: Vec<Object> =
                hardware.objects("device").map(|it| self.device(it)).collect();
            hardware.set("device", devices);
        }
        info
    }

    /// Its own configuration, to be changed; no longer common to others.
    pub fn own(&mut self) -> &mut Object {
        if self.shared {
            self.config = Arc::new(self.info());
            self.shared = false;
        }
        Arc::make_mut(&mut self.config)
    }

    /// Its devices as they are kept (see [`Machine::info`] for those of a bulk).
    pub fn devices(&self) -> impl Iterator<Item = &Object> {
        self.config.objects("hardware.device")
    }

    /// How many devices of a type it has.
    pub fn count(&self, kind: &str) -> usize {
        self.devices().filter(|it| it.is(kind)).count()
    }

    /// Its CPUs.
    pub fn cpus(&self) -> i64 {
        self.config.int("hardware.numCPU").unwrap_or(1)
    }

    /// Its memory in MB.
    pub fn memory(&self) -> i64 {
        self.config.int("hardware.memoryMB").unwrap_or(0)
    }

    /// True when the tools answer.
    pub fn tools_run(&self, now: Moment) -> bool {
        self.tools && self.power == Power::On && now >= self.booted + TOOLS_START
    }

    /// The names of the datastores that hold its files.
    pub fn stores(&self) -> Vec<String> {
        let disks = self.devices().filter_map(|it| it.text("backing.fileName"));
        let names: Vec<String> = std::iter::once(self.path.as_str())
            .chain(disks)
            .filter_map(|it| Some(it.strip_prefix('[')?.split_once(']')?.0.to_owned()))
            .collect();
        order::unique(names)
    }
}

/// The number at the end of an id.
pub fn number_in(id: &str) -> u64 {
    number_of(id).unwrap_or(0)
}

/// The address that a host, or a vCenter, makes up for the card of this key.
pub fn mac(vcenter: bool, number: u64, key: i64) -> String {
    let (high, low, card) = (number / 256, number % 256, (key - 4000).rem_euclid(256));
    match vcenter {
        true => format!("00:50:56:{:02x}:{low:02x}:{card:02x}", 128 + high % 64),
        false => format!("00:0c:29:{:02x}:{low:02x}:{card:02x}", high % 256),
    }
}

/// MHz of a core.
pub const MHZ: i64 = 2600;
/// How long after power-on the tools answer.
pub const TOOLS_START: Moment = 3000;

/// The networks that its cards are on.
pub fn networks(machine: &Machine, world: &World) -> Vec<Ref> {
    let cards = machine.devices().filter(|it| it.is("VirtualEthernetCard"));
    let found: Vec<Ref> = cards
        .filter_map(|card| {
            let key = card.text("backing.port.portgroupKey");
            let name = card.text("backing.deviceName");
            let of = |(id, props): &(&str, &Object)| match key {
                Some(key) => *id == key,
                None => name.is_some() && props.text("name") == name,
            };
            let id = world.all("Network").find(of)?.0;
            world.reference(id)
        })
        .collect();
    let mut found = order::by(found, &Ref::cmp);
    found.dedup();
    found
}
