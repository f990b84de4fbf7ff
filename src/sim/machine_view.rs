//! The properties of a machine that follow from what is kept of it.
//!
//! Nothing here is stored, so nothing can contradict: `summary`, `runtime`, `guest`, `layoutEx` and
//! their like are worked out when they are read. It must not change anything.

use crate::sim::clock::{Moment, stamp};
use crate::sim::disks;
use crate::sim::machine::{MHZ, Machine, Power, Question, networks};
use crate::sim::rows::{Family, Property};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

impl Machine {
    /// Where it runs, whether it runs, and what it waits on.
    fn runtime(&self) -> Object {
        let on = self.power == Power::On;
        Object::new("VirtualMachineRuntimeInfo")
            .with("host", Ref::new("HostSystem", self.host.as_str()))
            .with("connectionState", "connected")
            .with("powerState", self.power.name())
            .with("faultToleranceState", "notConfigured")
            .with("toolsInstallerMounted", self.mounted)
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
                let card = self.device(card);
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

    fn summary(&self, world: &World) -> Object {
        let now = world.now;
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
        let (committed, uncommitted) = disks::storage(world, self);
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
}

impl Question {
    fn info(&self) -> Object {
        let choices = self.choices.iter().map(|[key, label, sentence]| {
            Object::new("ElementDescription")
                .with("label", *label)
                .with("summary", *sentence)
                .with("key", *key)
        });
        let (id, text) = self.text.split_once(':').unwrap_or(("", &self.text));
        let message = Object::new("VirtualMachineMessage").with("id", id).with("text", text);
        let choices: Value = choices.collect();
        let choice = Object::new("ChoiceOption")
            .with("choiceInfo", choices)
            .with("defaultIndex", self.default);
        Object::new("VirtualMachineQuestionInfo")
            .with("id", self.id.as_str())
            .with("text", self.text.as_str())
            .with("choice", choice)
            .with("message", vec![message])
    }
}

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

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[],
    properties: &[
        property!("name", |it, _world| Some(it.name.as_str().into())),
        property!("parent", |it, _world| Some(Ref::new("Folder", it.parent.as_str()).into())),
        property!("config", |it, _world| Some(it.info().into())),
        property!("summary", |it, world| Some(it.summary(world).into())),
        property!("runtime", |it, _world| Some(it.runtime().into())),
        property!("guest", |it, world| Some(it.guest(world.now).into())),
        property!("guestHeartbeatStatus", |it, world| Some(it.heartbeat(world.now).into())),
        property!("layoutEx", |it, world| Some(disks::layout(world, it).into())),
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
