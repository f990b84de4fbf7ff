//! A virtual machine: what is kept of it, and the properties that follow from that.
//!
//! Kept are its configuration, its power and its snapshots; `summary`, `runtime`, `guest` and the
//! rest are worked out when they are read, so that they cannot contradict each other. Surprising:
//! machines that were made in bulk share one configuration until one of them is changed.

use std::sync::Arc;

use crate::sim::clock::{Moment, stamp};
use crate::sim::rows::{Family, Property};
use crate::sim::world::World;
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
    /// Key and label of each answer.
    pub choices: Vec<(String, String)>,
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
}

impl Machine {
    /// A reference to it.
    pub fn reference(&self) -> Ref {
        Ref::new("VirtualMachine", self.id.as_str())
    }

    /// A device of its configuration, with the disk's file if it is shared.
    fn device(&self, device: &Object) -> Object {
        let mut device = device.clone();
        if self.shared && device.is("VirtualDisk") {
            let path = self.path.trim_end_matches(".vmx");
            if let Some(Value::Object(backing)) = device.field_mut("backing") {
                backing.set("fileName", format!("{path}.vmdk"));
            }
        }
        device
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

    fn count(&self, kind: &str) -> usize {
        self.devices().filter(|it| it.is(kind)).count()
    }

    /// Where it runs, whether it runs, and what it waits on.
    fn runtime(&self) -> Object {
        let on = self.power == Power::On;
        Object::new("VirtualMachineRuntimeInfo")
            .with("host", Ref::new("HostSystem", self.host.as_str()))
            .with("connectionState", "connected")
            .with("powerState", self.power.name())
            .with("faultToleranceState", "notConfigured")
            .with("toolsInstallerMounted", false)
            .with_some("bootTime", on.then(|| stamp(self.booted)))
            .with_some("question", self.question.as_ref().map(Question::info))
            .with_some("maxCpuUsage", on.then(|| self.cpus() * MHZ))
            .with_some("maxMemoryUsage", on.then(|| self.memory()))
            .with("numMksConnections", 0)
            .with("recordReplayState", "inactive")
            .with("cleanPowerOff", !on)
            .with("onlineStandby", false)
            .with("consolidationNeeded", false)
    }

    fn cpus(&self) -> i64 {
        self.config.int("hardware.numCPU").unwrap_or(1)
    }

    fn memory(&self) -> i64 {
        self.config.int("hardware.memoryMB").unwrap_or(0)
    }

    /// True when the tools answer.
    pub fn tools_run(&self, now: Moment) -> bool {
        self.tools && self.power == Power::On && now >= self.booted + TOOLS_START
    }

    /// `toolsStatus`, `toolsRunningStatus`, `toolsVersionStatus2`.
    fn tools_state(&self, now: Moment) -> (&'static str, &'static str, &'static str) {
        match (self.tools, self.tools_run(now)) {
            (false, _) => ("toolsNotInstalled", "guestToolsNotRunning", "guestToolsNotInstalled"),
            (true, false) => ("toolsNotRunning", "guestToolsNotRunning", "guestToolsCurrent"),
            (true, true) => ("toolsOk", "guestToolsRunning", "guestToolsCurrent"),
        }
    }

    fn guest(&self, now: Moment) -> Object {
        let (status, running, version) = self.tools_state(now);
        let runs = self.tools_run(now);
        let guest = Object::new("GuestInfo")
            .with("toolsStatus", status)
            .with("toolsVersionStatus", version)
            .with("toolsVersionStatus2", version)
            .with("toolsRunningStatus", running)
            .with("toolsVersion", if self.tools { "12389" } else { "0" })
            .with("guestState", if self.power == Power::On { "running" } else { "notRunning" })
            .with("appHeartbeatStatus", "appStatusGray")
            .with("guestOperationsReady", runs)
            .with("interactiveGuestOperationsReady", false)
            .with("guestStateChangeSupported", runs);
        if !runs {
            return guest;
        }
        let id = self.config.text("guestId").unwrap_or_default();
        guest
            .with("guestId", id)
            .with("guestFamily", if id.starts_with("win") { "windowsGuest" } else { "linuxGuest" })
            .with("guestFullName", self.config.text("guestFullName").unwrap_or_default())
            .with("hostName", self.hostname.as_str())
            .with("ipAddress", self.ip.as_str())
            .with("net", self.nics())
            .with("disk", self.guest_disks())
    }

    fn nics(&self) -> Vec<Object> {
        let cards = self.devices().filter(|it| it.is("VirtualEthernetCard"));
        cards
            .enumerate()
            .map(|(at, card)| {
                let connected = card.flag("connectable.connected").unwrap_or(true);
                let nic = Object::new("GuestNicInfo")
                    .with_some("network", card.text("backing.deviceName"))
                    .with_some("macAddress", card.text("macAddress"))
                    .with("connected", connected)
                    .with("deviceConfigId", card.int("key").unwrap_or(4000));
                match at == 0 && !self.ip.is_empty() {
                    true => nic.with("ipAddress", vec![self.ip.as_str()]).with(
                        "ipConfig",
                        Object::new("NetIpConfigInfo").with(
                            "ipAddress",
                            vec![
                                Object::new("NetIpConfigInfoIpAddress")
                                    .with("ipAddress", self.ip.as_str())
                                    .with("prefixLength", 24)
                                    .with("state", "preferred"),
                            ],
                        ),
                    ),
                    false => nic,
                }
            })
            .collect()
    }

    fn guest_disks(&self) -> Vec<Object> {
        let windows = self.config.text("guestId").is_some_and(|it| it.starts_with("win"));
        let disks = self.devices().filter(|it| it.is("VirtualDisk"));
        let names: &[&str] = if windows { &["C:\\", "D:\\"] } else { &["/", "/srv"] };
        disks
            .zip(names)
            .map(|(disk, name)| {
                let bytes = disk.int("capacityInKB").unwrap_or(0) * 1024;
                Object::new("GuestDiskInfo")
                    .with("diskPath", *name)
                    .with("capacity", bytes)
                    .with("freeSpace", bytes / 5 * 3)
            })
            .collect()
    }

    /// Bytes in use and bytes that thin disks may still take.
    pub fn storage(&self) -> (i64, i64) {
        let (mut committed, mut uncommitted) = (4 << 20, 0);
        for disk in self.devices().filter(|it| it.is("VirtualDisk")) {
            let bytes = disk.int("capacityInKB").unwrap_or(0) * 1024;
            let used = if disk.flag("backing.thinProvisioned") == Some(true) {
                bytes / 5 * 2
            } else {
                bytes
            };
            committed += used;
            uncommitted += bytes - used;
        }
        if self.power == Power::On {
            committed += self.memory() << 20;
        }
        (committed, uncommitted)
    }

    fn summary(&self, now: Moment) -> Object {
        let config = Object::new("VirtualMachineConfigSummary")
            .with("name", self.name.as_str())
            .with("template", self.config.flag("template").unwrap_or(false))
            .with("vmPathName", self.path.as_str())
            .with("memorySizeMB", self.memory())
            .with("numCpu", self.cpus())
            .with("numEthernetCards", self.count("VirtualEthernetCard"))
            .with("numVirtualDisks", self.count("VirtualDisk"))
            .with("uuid", self.uuid.as_str())
            .with("instanceUuid", self.instance.as_str())
            .with_some("guestId", self.config.get("guestId"))
            .with_some("guestFullName", self.config.get("guestFullName"))
            .with_some("annotation", self.config.get("annotation"));
        let (status, running, version) = self.tools_state(now);
        let runs = self.tools_run(now);
        let guest = Object::new("VirtualMachineGuestSummary")
            .with_some("guestId", runs.then(|| self.config.text("guestId")).flatten())
            .with_some("guestFullName", runs.then(|| self.config.text("guestFullName")).flatten())
            .with("toolsStatus", status)
            .with("toolsVersionStatus", version)
            .with("toolsVersionStatus2", version)
            .with("toolsRunningStatus", running)
            .with_some("hostName", runs.then_some(&self.hostname))
            .with_some("ipAddress", runs.then_some(&self.ip).filter(|it| !it.is_empty()));
        let (committed, uncommitted) = self.storage();
        Object::new("VirtualMachineSummary")
            .with("vm", self.reference())
            .with("runtime", self.runtime())
            .with("guest", guest)
            .with("config", config)
            .with(
                "storage",
                Object::new("VirtualMachineStorageSummary")
                    .with("committed", committed)
                    .with("uncommitted", uncommitted)
                    .with("unshared", committed)
                    .with("timestamp", stamp(now)),
            )
            .with("quickStats", self.quick(now))
            .with("overallStatus", "green")
    }

    /// Load that moves with time and differs from machine to machine.
    pub fn load(&self, now: Moment) -> i64 {
        let seed = self.uuid.bytes().fold(0i64, |sum, it| sum * 7 % 1009 + i64::from(it));
        match self.power {
            Power::On => 5 + (seed + now / 20_000 * 13) % 40,
            _ => 0,
        }
    }

    fn quick(&self, now: Moment) -> Object {
        let (on, load) = (self.power == Power::On, self.load(now));
        let uptime = if on { (now - self.booted) / 1000 } else { 0 };
        Object::new("VirtualMachineQuickStats")
            .with("overallCpuUsage", self.cpus() * MHZ * load / 100)
            .with("guestMemoryUsage", self.memory() * load / 100)
            .with("hostMemoryUsage", if on { self.memory() * (50 + load) / 100 } else { 0 })
            .with("guestHeartbeatStatus", self.heartbeat(now))
            .with("uptimeSeconds", uptime)
    }

    fn heartbeat(&self, now: Moment) -> &'static str {
        if self.tools_run(now) { "green" } else { "gray" }
    }

    /// The files that belong to it: name, type and bytes.
    pub fn files(&self) -> Vec<(String, &'static str, i64)> {
        let stem = self.path.trim_end_matches(".vmx");
        let mut all = vec![
            (self.path.clone(), "config", 3000),
            (format!("{stem}.nvram"), "nvram", 8684),
            (format!("{stem}.vmsd"), "snapshotList", 43),
        ];
        for disk in self.info().objects("hardware.device").filter(|it| it.is("VirtualDisk")) {
            let name = disk.text("backing.fileName").unwrap_or_default();
            let bytes = disk.int("capacityInKB").unwrap_or(0) * 1024;
            let thin = disk.flag("backing.thinProvisioned") == Some(true);
            all.push((name.to_owned(), "diskDescriptor", 500));
            let extent = name.trim_end_matches(".vmdk").to_owned() + "-flat.vmdk";
            all.push((extent, "diskExtent", if thin { bytes / 5 * 2 } else { bytes }));
        }
        all
    }

    fn layout(&self, now: Moment) -> Object {
        let files = self.files().into_iter().enumerate().map(|(key, (name, kind, size))| {
            Object::new("VirtualMachineFileLayoutExFileInfo")
                .with("key", key)
                .with("name", name)
                .with("type", kind)
                .with("size", size)
                .with("uniqueSize", size)
                .with("accessible", true)
        });
        let files: Value = files.collect();
        Object::new("VirtualMachineFileLayoutEx").with("file", files).with("timestamp", stamp(now))
    }

    fn tree(&self, parent: Option<&str>) -> Vec<Object> {
        let own = self.snapshots.iter().filter(|it| it.parent.as_deref() == parent);
        own.map(|it| {
            let below = self.tree(Some(&it.id));
            Object::new("VirtualMachineSnapshotTree")
                .with("snapshot", Ref::new("VirtualMachineSnapshot", it.id.as_str()))
                .with("vm", self.reference())
                .with("name", it.name.as_str())
                .with("description", it.description.as_str())
                .with("id", it.number)
                .with("createTime", stamp(it.created))
                .with("state", it.power.name())
                .with("quiesced", it.quiesced)
                .with_some("childSnapshotList", (!below.is_empty()).then_some(below))
                .with("replaySupported", false)
        })
        .collect()
    }

    fn snapshot_info(&self) -> Option<Object> {
        let current = self.current.as_deref().map(|it| Ref::new("VirtualMachineSnapshot", it));
        (!self.snapshots.is_empty()).then(|| {
            Object::new("VirtualMachineSnapshotInfo")
                .with_some("currentSnapshot", current)
                .with("rootSnapshotList", self.tree(None))
        })
    }

    /// The names of the datastores that hold its files.
    pub fn stores(&self) -> Vec<String> {
        let disks = self.devices().filter_map(|it| it.text("backing.fileName"));
        let mut names: Vec<String> = std::iter::once(self.path.as_str())
            .chain(disks)
            .filter_map(|it| Some(it.strip_prefix('[')?.split_once(']')?.0.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Question {
    fn info(&self) -> Object {
        let choices = self.choices.iter().map(|(key, label)| {
            Object::new("ElementDescription")
                .with("label", label)
                .with("summary", label)
                .with("key", key)
        });
        let choices: Value = choices.collect();
        let choice =
            Object::new("ChoiceOption").with("choiceInfo", choices).with("defaultIndex", 0);
        Object::new("VirtualMachineQuestionInfo")
            .with("id", self.id.as_str())
            .with("text", self.text.as_str())
            .with("choice", choice)
    }
}

/// MHz of a core.
pub const MHZ: i64 = 2600;
/// How long after power-on the tools answer.
pub const TOOLS_START: Moment = 3000;

/// A row for a property of machines.
macro_rules! property {
    ($name:literal, |$machine:ident, $world:ident| $value:expr) => {
        Property {
            on: "VirtualMachine",
            name: $name,
            get: |$world, id| {
                let $machine = $world.machine(id)?;
                $value
            },
        }
    };
}

fn stores(machine: &Machine, world: &World) -> Value {
    let named = machine.stores();
    let all = world.all("Datastore").filter(|(_, props)| {
        props.text("name").is_some_and(|name| named.iter().any(|it| it == name))
    });
    all.map(|(id, _)| Ref::new("Datastore", id.to_owned())).collect()
}

/// The networks that its cards are on.
pub fn networks(machine: &Machine, world: &World) -> Vec<Ref> {
    let cards = machine.devices().filter(|it| it.is("VirtualEthernetCard"));
    let mut found: Vec<Ref> = cards
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
    found.sort();
    found.dedup();
    found
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[],
    properties: &[
        property!("name", |it, _world| Some(it.name.as_str().into())),
        property!("parent", |it, _world| Some(Ref::new("Folder", it.parent.as_str()).into())),
        property!("config", |it, _world| Some(it.info().into())),
        property!("summary", |it, world| Some(it.summary(world.now).into())),
        property!("runtime", |it, _world| Some(it.runtime().into())),
        property!("guest", |it, world| Some(it.guest(world.now).into())),
        property!("guestHeartbeatStatus", |it, world| Some(it.heartbeat(world.now).into())),
        property!("layoutEx", |it, world| Some(it.layout(world.now).into())),
        property!("snapshot", |it, _world| it.snapshot_info().map(Value::from)),
        property!("resourcePool", |it, _world| (!it.pool.is_empty()).then(|| Ref::new(
            "ResourcePool",
            it.pool.as_str()
        )
        .into())),
        property!("datastore", |it, world| Some(stores(it, world))),
        property!("network", |it, world| Some(networks(it, world).into())),
        property!("overallStatus", |_it, _world| Some("green".into())),
        property!("configStatus", |_it, _world| Some("green".into())),
    ],
};
