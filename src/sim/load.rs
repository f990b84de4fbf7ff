//! The load of an entity at any time, and what a counter makes of it.
//!
//! Machines have a load of their own; what is above them is the sum. It knows no questions.

use crate::sim::clock::Moment;
use crate::sim::disks;
use crate::sim::machine::{MHZ, Machine, Power};
use crate::sim::perf::Counter;
use crate::sim::world::World;
use crate::vim::value::{Ref, Value};

/// Machines that are summed up; more are reckoned from these.
const SUMMED: usize = 500;

/// What an entity does at a moment.
pub struct Load {
    at: Moment,
    /// Seconds between samples.
    step: i64,
    mhz: i64,
    mhz_used: i64,
    cpus: i64,
    kilobytes: i64,
    active: i64,
    consumed: i64,
    /// Seconds since it was started.
    uptime: i64,
    /// Kilobytes on datastores, and what they may grow to.
    stored: i64,
    space: i64,
    host: bool,
    seed: i64,
}

/// Whether there is anything to be told of it.
pub fn runs(world: &World, entity: &Ref) -> bool {
    world.machine(&entity.id).is_none_or(|it| it.power == Power::On)
}

/// The time of the first sample that there can be.
pub fn since(world: &World, entity: &Ref) -> Moment {
    let running = world.machine(&entity.id).filter(|it| it.power == Power::On);
    running.map_or(0, |it| it.booted)
}

/// The devices of a class that an entity has.
pub fn devices(world: &World, entity: &Ref, class: &str) -> Vec<String> {
    let machine = world.machine(&entity.id);
    let host = world.plain.get(&entity.id).filter(|it| it.kind == "HostSystem").map(|it| &it.props);
    let numbered = |count: i64| (0..count).map(|it| it.to_string()).collect();
    let keys = |machine: &Machine, kind: &str, field: &str, before: &str| {
        let all = machine.devices().filter(|it| it.is(kind)).filter_map(|it| it.int(field));
        all.map(|it| format!("{before}{it}")).collect()
    };
    match (class, machine, host) {
        ("c", Some(machine), _) => numbered(machine.config.int("hardware.numCPU").unwrap_or(1)),
        ("c", _, Some(host)) => numbered(host.int("summary.hardware.numCpuCores").unwrap_or(1)),
        ("n", Some(machine), _) => keys(machine, "VirtualEthernetCard", "key", ""),
        ("n", _, Some(host)) => {
            let count = host.int("summary.hardware.numNics").unwrap_or(0);
            (0..count).map(|it| format!("vmnic{it}")).collect()
        }
        ("v", Some(machine), _) => keys(machine, "VirtualDisk", "unitNumber", "scsi0:"),
        ("d", ..) if machine.is_some() || host.is_some() => {
            vec!["t10.NVMe____SAMSUNG_MZQL21T9HCJR".to_owned()]
        }
        ("t", ..) if machine.is_some() || host.is_some() => {
            let stores = world.property(entity, "datastore");
            let stores = stores.as_deref().map_or(&[][..], Value::items);
            let urls = stores.iter().filter_map(|it| {
                let store = world.plain.get(&it.as_reference()?.id)?;
                Some(store.props.text("summary.url")?.trim_end_matches('/').to_owned())
            });
            urls.filter_map(|it| Some(it.rsplit('/').next()?.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

impl Load {
    /// The load at the end of an interval.
    pub fn at(world: &World, entity: &Ref, at: Moment, step: i64) -> Load {
        let seed = entity.id.bytes().fold(0, |sum, it| (sum * 31 + i64::from(it)) % 9973);
        let mut load = Load {
            at,
            step,
            mhz: 0,
            mhz_used: 0,
            cpus: 0,
            kilobytes: 0,
            active: 0,
            consumed: 0,
            uptime: 0,
            stored: 0,
            space: 0,
            host: false,
            seed,
        };
        match (&*entity.kind, world.machine(&entity.id)) {
            (_, Some(machine)) => {
                load.add(machine, 1);
                load.mhz = load.cpus * MHZ;
                load.uptime = (at - machine.booted).max(0) / 1000;
                let (committed, uncommitted) = disks::storage(world, machine);
                load.stored = committed >> 10;
                load.space = (committed + uncommitted) >> 10;
            }
            ("Datastore", _) => {
                let whole = |name| {
                    let value = world.property(entity, "summary");
                    value.and_then(|it| it.int(name)).unwrap_or(0) >> 10
                };
                load.space = whole("capacity");
                load.stored = load.space - whole("freeSpace");
                load.sum(world, &|it| {
                    it.stores().iter().any(|it| world.name(&entity.id) == Some(it))
                });
            }
            ("ResourcePool", _) => load.sum(world, &|it| it.pool == entity.id),
            ("HostSystem", _) => {
                load.capacity(world, entity);
                load.sum(world, &|it| it.host == entity.id);
            }
            _ => {
                let hosts = world.children(&entity.id);
                let hosts: Vec<Ref> =
                    hosts.into_iter().filter(|it| it.kind == "HostSystem").collect();
                hosts.iter().for_each(|it| load.capacity(world, it));
                load.sum(world, &|machine| hosts.iter().any(|it| it.id == machine.host));
            }
        }
        load
    }

    /// MHz and kilobytes in use.
    pub fn used(&self) -> (i64, i64) {
        (self.mhz_used, self.consumed)
    }

    /// What a host can do.
    fn capacity(&mut self, world: &World, host: &Ref) {
        let Some(summary) = world.property(host, "summary") else { return };
        let of = |name: &str| summary.int(name).unwrap_or(0);
        let cores = of("hardware.numCpuCores");
        self.host = true;
        self.mhz += cores * of("hardware.cpuMhz");
        self.cpus += cores;
        self.kilobytes += of("hardware.memorySize") >> 10;
        self.uptime = of("quickStats.uptime") - (world.now - self.at) / 1000;
    }

    fn sum(&mut self, world: &World, of: &dyn Fn(&Machine) -> bool) {
        let (cpus, kilobytes) = (self.cpus, self.kilobytes);
        let mut times = 1;
        let running = |it: &&Machine| it.power == Power::On && of(it);
        let count = world.machines.values().filter(running).count();
        if count > SUMMED {
            times = i64::try_from(count.div_ceil(SUMMED)).unwrap_or(1);
        }
        world.machines.values().filter(running).take(SUMMED).for_each(|it| self.add(it, times));
        if self.host {
            // What machines have is not what the host has.
            (self.cpus, self.kilobytes) = (cpus, kilobytes);
            self.mhz_used = (self.mhz_used + self.mhz / 50).min(self.mhz);
            self.consumed = (self.consumed + (4 << 20)).min(self.kilobytes);
            self.active = self.active.min(self.kilobytes);
        } else {
            self.mhz = self.cpus * MHZ;
        }
    }

    fn add(&mut self, machine: &Machine, times: i64) {
        let cpus = machine.config.int("hardware.numCPU").unwrap_or(1);
        let kilobytes = machine.config.int("hardware.memoryMB").unwrap_or(0) << 10;
        // Before it was started, it did nothing.
        let load = if self.at < machine.booted { 0 } else { machine.load(self.at) };
        self.cpus += cpus * times;
        self.kilobytes += kilobytes * times;
        self.mhz_used += cpus * MHZ * load / 100 * times;
        self.active += kilobytes * load / 100 * times;
        self.consumed += if load > 0 { kilobytes * (50 + load) / 100 * times } else { 0 };
    }

    /// Work in hundredths of a percent.
    fn basis(&self) -> i64 {
        self.mhz_used * 10_000 / self.mhz.max(1)
    }

    /// A few more or less, always the same for the same thing.
    fn noise(&self, counter: &Counter, instance: &str) -> i64 {
        let text = counter.law.bytes().chain(instance.bytes());
        let mixed = text.fold(self.seed, |sum, it| (sum * 33 + i64::from(it)) % 99_991);
        (mixed + self.at / 20_000 * 7) % 5
    }

    /// What the counter shows, of the whole or of one of so many `parts`.
    pub fn value(&self, counter: &Counter, instance: &str, parts: usize) -> i64 {
        let (law, number) = counter.law.split_at(1.min(counter.law.len()));
        let number: i64 = number.parse().unwrap_or(100);
        let parts = i64::try_from(parts).unwrap_or(1).max(1);
        let (basis, noise) = (self.basis(), self.noise(counter, instance));
        // Cores of work, which a small machine has fewer of than a host.
        let work = self.mhz_used * 100 / MHZ;
        let watts = if self.host { 150 } else { 5 } + self.mhz_used / 200;
        match law {
            "p" => basis * number / 100,
            "f" => self.mhz_used / parts,
            "F" => self.mhz,
            "d" => (work * number / 100 / parts + noise) * self.step / REALTIME_STEP,
            "n" => work * number / 10 / parts + noise,
            "u" => self.step * 1000 * self.cpus * basis / 10_000 / parts,
            "w" => self.step * 1000 * self.cpus * (10_000 - basis).max(0) / 10_000 / parts,
            "a" => self.active * number / 100,
            "m" if number != 100 || counter.law == "m" => self.consumed,
            "m" => {
                let used = if self.host { self.consumed } else { self.active };
                used * 10_000 / self.kilobytes.max(1)
            }
            "M" => self.kilobytes,
            "T" => self.kilobytes >> 10,
            "S" => self.stored,
            "s" => self.space,
            "t" => self.uptime.max(0),
            "h" => self.uptime.max(0) / REALTIME_STEP,
            "e" => watts,
            "j" => watts * self.step,
            "=" => number,
            _ => 0,
        }
    }
}

/// Seconds that deltas are reckoned for.
const REALTIME_STEP: i64 = 20;
