//! Performance: counters, the intervals at which they are kept, and samples of them.
//!
//! Nothing is recorded. A sample follows from the entity, the counter and its time, by the same load
//! that `quickStats` tells, so all of them agree and a question asked twice has one answer. The
//! counters are data in `inventory/counters.txt`: name, unit, kind, level, number on a vCenter and on
//! a host, entities, devices, law, label.

use crate::sim::clock::{Moment, stamp};
use crate::sim::collectors::{element, moment};
use crate::sim::fault::{Fault, Result};
use crate::sim::load;
use crate::sim::load::Load;
use crate::sim::packed;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// Seconds between samples of the last hour.
const REALTIME: i64 = 20;
const HOUR: i64 = 3600;
/// Numbers that one question may be answered with.
const MOST: usize = 1_000_000;

/// Number, name, seconds between samples, seconds that they are kept.
const INTERVALS: &[(i64, &str, i64, i64)] = &[
    (1, "Past day", 300, 86_400),
    (2, "Past week", 1800, 604_800),
    (3, "Past month", 7200, 2_592_000),
    (4, "Past year", 86_400, 31_536_000),
];

/// The intervals of this kind of server.
fn intervals(world: &World) -> &'static [(i64, &'static str, i64, i64)] {
    if world.vcenter { INTERVALS } else { INTERVALS.get(..1).unwrap_or_default() }
}

/// One counter.
pub struct Counter {
    key: i64,
    group: &'static str,
    name: &'static str,
    rollup: &'static str,
    unit: &'static str,
    stats: &'static str,
    level: i64,
    /// Letters of [`letter`].
    entities: &'static str,
    /// `c`pus, `d`isks of the host, `n`ics, da`t`astores, `v`irtual disks.
    pub devices: &'static str,
    /// See [`Load::value`].
    pub law: &'static str,
    label: &'static str,
}

impl Counter {
    fn read(line: &'static str, vcenter: bool) -> Option<Counter> {
        let mut words = line.splitn(10, ' ');
        let mut word = || words.next();
        let mut path = word()?.splitn(3, '.');
        let (unit, stats, level) = (word()?, word()?, word()?.parse().ok()?);
        let (center, host) = (word()?, word()?);
        Some(Counter {
            key: if vcenter { center } else { host }.parse().ok()?,
            group: path.next()?,
            name: path.next()?,
            rollup: path.next()?,
            unit,
            stats,
            level,
            entities: word()?,
            devices: word()?,
            law: word()?,
            label: word()?,
        })
    }

    fn info(&self) -> Object {
        let group = match self.group {
            "cpu" | "mem" | "net" | "sys" | "vmop" => self.group.to_uppercase(),
            other => other.to_owned(),
        };
        Object::new("PerfCounterInfo")
            .with("key", self.key)
            .with("nameInfo", element(self.name, self.label))
            .with("groupInfo", element(self.group, &group))
            .with("unitInfo", element(self.unit, self.unit))
            .with("rollupType", self.rollup)
            .with("statsType", self.stats)
            .with("level", self.level)
            .with("perDeviceLevel", self.level.max(3))
    }

    /// Whether it has a value for the whole, beside those of devices.
    fn whole(&self, entity: &Ref) -> bool {
        !matches!(self.devices, "t" | "v") || letter(&entity.kind) == 's'
    }
}

/// How the counters file calls a type.
fn letter(kind: &str) -> char {
    match kind {
        "HostSystem" => 'h',
        "VirtualMachine" => 'v',
        "ClusterComputeResource" => 'c',
        "ResourcePool" => 'p',
        "Datastore" => 's',
        _ => '-',
    }
}

fn counters(world: &World) -> impl Iterator<Item = Counter> {
    let vcenter = world.vcenter;
    packed::file("counters.txt").lines().filter_map(move |line| Counter::read(line, vcenter))
}

/// What is asked about an entity: whether the last hour or a longer time.
struct Scope {
    entity: Ref,
    interval: i64,
    /// Seconds for which there are samples.
    kept: i64,
}

impl Scope {
    fn new(world: &World, entity: Option<&Ref>, interval: Option<i64>) -> Result<Scope> {
        let asked = entity.ok_or_else(|| Fault::invalid_argument("entity"))?;
        let entity = world.reference(&asked.id).ok_or_else(|| Fault::gone(asked))?;
        let current = matches!(letter(&entity.kind), 'h' | 'v');
        // unverified: what is meant where no interval is named.
        let interval = interval.unwrap_or(if current { REALTIME } else { 300 });
        let kept = match interval {
            REALTIME if current => Some(HOUR),
            _ => intervals(world).iter().find(|it| it.2 == interval).map(|it| it.3),
        };
        let kept = kept.ok_or_else(|| Fault::invalid_argument("querySpec.interval"))?;
        Ok(Scope { entity, interval, kept })
    }

    /// The counters that have samples, with the devices for which they have them.
    fn available(&self, world: &World) -> Vec<(Counter, Vec<String>)> {
        let letter = letter(&self.entity.kind);
        let past = self.interval != REALTIME;
        let runs = load::runs(world, &self.entity);
        let kept = |it: &Counter| {
            it.entities.contains(letter)
                && (runs || matches!(it.law, "s" | "S"))
                && (!past || !world.vcenter || it.level <= 1)
        };
        let all = counters(world).filter(kept).map(|counter| {
            let whole = counter.whole(&self.entity).then(String::new);
            let single = past && world.vcenter;
            let devices = match single && whole.is_some() {
                true => Vec::new(),
                false => load::devices(world, &self.entity, counter.devices),
            };
            let instances = whole.into_iter().chain(devices).collect();
            (counter, instances)
        });
        all.collect()
    }

    /// The times of the samples that are asked for, the oldest first.
    fn times(&self, world: &World, spec: &Object) -> Vec<Moment> {
        let of = |name| spec.text(name).and_then(moment);
        let end = of("endTime").unwrap_or(world.now).min(world.now);
        let step = self.interval * 1000;
        let oldest = (world.now - self.kept * 1000).max(load::since(world, &self.entity));
        let start = of("startTime").unwrap_or(oldest).max(oldest);
        let last = end.div_euclid(step) * step;
        let mut times: Vec<Moment> =
            (0..).map(|at| last - at * step).take_while(|it| *it > start).take(2000).collect();
        if let (Some(most), REALTIME) = (spec.int("maxSample"), self.interval) {
            times.truncate(usize::try_from(most).unwrap_or(0));
        }
        times.reverse();
        times
    }
}

fn provider(world: &mut World, call: &Call) -> Result<Value> {
    let asked = call.args.reference("entity").ok_or_else(|| Fault::invalid_argument("entity"))?;
    let entity = world.reference(&asked.id).ok_or_else(|| Fault::gone(asked))?;
    let letter = letter(&entity.kind);
    if letter == '-' {
        return Err(Fault::invalid_argument("entity"));
    }
    let current = matches!(letter, 'h' | 'v');
    let summary = Object::new("PerfProviderSummary")
        .with("entity", entity)
        .with("currentSupported", current)
        .with("summarySupported", true)
        .with_some("refreshRate", current.then_some(REALTIME));
    Ok(summary.into())
}

fn metric(key: i64, instance: &str) -> Object {
    Object::new("PerfMetricId").with("counterId", key).with("instance", instance)
}

fn available(world: &mut World, call: &Call) -> Result<Value> {
    let scope = Scope::new(world, call.args.reference("entity"), call.args.int("intervalId"))?;
    let all = scope.available(world).into_iter();
    let ids = all.flat_map(|(counter, instances)| {
        instances.into_iter().map(move |it| metric(counter.key, &it)).collect::<Vec<_>>()
    });
    Ok(ids.collect())
}

fn described(world: &mut World, call: &Call) -> Result<Value> {
    let mut found = Vec::new();
    for key in call.args.list("counterId").iter().filter_map(Value::as_int) {
        let counter = counters(world).find(|it| it.key == key);
        found.push(counter.ok_or_else(|| Fault::invalid_argument("counterId"))?.info());
    }
    Ok(found.into())
}

fn by_level(world: &mut World, call: &Call) -> Result<Value> {
    let level = call.args.int("level").unwrap_or(0);
    if !(1..=4).contains(&level) {
        return Err(Fault::invalid_argument("level"));
    }
    Ok(counters(world).filter(|it| it.level <= level).map(|it| it.info()).collect())
}

/// Counter and device of every series that a question wants; unknown devices have none.
fn wanted(world: &World, scope: &Scope, spec: &Object) -> Result<Vec<(Counter, String)>> {
    let asked: Vec<(i64, &str)> = spec
        .objects("metricId")
        .map(|it| (it.int("counterId").unwrap_or(0), it.text("instance").unwrap_or_default()))
        .collect();
    if asked.iter().any(|(key, _)| counters(world).all(|it| it.key != *key)) {
        // unverified: how a server names the metric that it does not know.
        return Err(Fault::invalid_argument("querySpec.metricId.counterId"));
    }
    let mut all = Vec::new();
    for (counter, instances) in scope.available(world) {
        for instance in instances {
            let fits = |(key, own): &(i64, &str)| {
                *key == counter.key && (*own == "*" || *own == instance.as_str())
            };
            if asked.is_empty() || asked.iter().any(fits) {
                all.push((Counter { ..counter }, instance));
            }
        }
    }
    Ok(all)
}

fn query(world: &mut World, call: &Call) -> Result<Value> {
    let (mut found, mut numbers) = (Vec::new(), 0);
    for spec in call.args.objects("querySpec") {
        let csv = match spec.text("format") {
            None | Some("normal") => false,
            Some("csv") => true,
            Some(_) => return Err(Fault::invalid_argument("querySpec.format")),
        };
        let scope = Scope::new(world, spec.reference("entity"), spec.int("intervalId"))?;
        let series = wanted(world, &scope, spec)?;
        let times = scope.times(world, spec);
        numbers += series.len() * times.len();
        if numbers > MOST {
            return Err(Fault::invalid_argument("querySpec.size"));
        }
        // unverified: an entity without samples is left out.
        if series.is_empty() || times.is_empty() {
            continue;
        }
        let loads: Vec<Load> =
            times.iter().map(|it| Load::at(world, &scope.entity, *it, scope.interval)).collect();
        found.push(answer(&scope, &series, &times, &loads, csv));
    }
    Ok(found.into())
}

fn answer(
    scope: &Scope,
    series: &[(Counter, String)],
    times: &[Moment],
    loads: &[Load],
    csv: bool,
) -> Object {
    let count = |counter: &Counter| series.iter().filter(|it| it.0.key == counter.key).count();
    let rows = series.iter().map(|(counter, instance)| {
        let parts = if instance.is_empty() { 1 } else { count(counter).max(2) - 1 };
        let values = loads.iter().map(|it| it.value(counter, instance, parts));
        let id = metric(counter.key, instance);
        match csv {
            false => {
                let values: Value = values.collect();
                Object::new("PerfMetricIntSeries").with("id", id).with("value", values)
            }
            true => {
                let values: Vec<String> = values.map(|it| it.to_string()).collect();
                Object::new("PerfMetricSeriesCSV").with("id", id).with("value", values.join(","))
            }
        }
    });
    let rows: Value = rows.collect();
    if csv {
        let infos: Vec<String> =
            times.iter().map(|it| format!("{},{}", scope.interval, stamp(*it))).collect();
        return Object::new("PerfEntityMetricCSV")
            .with("entity", &scope.entity)
            .with("sampleInfoCSV", infos.join(","))
            .with("value", rows);
    }
    let infos = times.iter().map(|it| {
        Object::new("PerfSampleInfo").with("timestamp", stamp(*it)).with("interval", scope.interval)
    });
    let infos: Value = infos.collect();
    Object::new("PerfEntityMetric")
        .with("entity", &scope.entity)
        .with("sampleInfo", infos)
        .with("value", rows)
}

fn historical(world: &World, _: &str) -> Option<Value> {
    let all = intervals(world).iter().map(|(key, name, seconds, length)| {
        Object::new("PerfInterval")
            .with("key", *key)
            .with("samplingPeriod", *seconds)
            // unverified: a host keeps a day and a half.
            .with("length", if world.vcenter { *length } else { 129_600 })
            .with("name", if world.vcenter { *name } else { "PastDay" })
            .with_some("level", world.vcenter.then_some(1))
            .with("enabled", true)
    });
    Some(all.collect())
}

fn description(_: &World, _: &str) -> Option<Value> {
    let words = |all: &[&str]| -> Value { all.iter().map(|it| element(it, it)).collect() };
    let rollups = words(&["average", "maximum", "minimum", "latest", "summation", "none"]);
    let kinds = words(&["absolute", "delta", "rate"]);
    let both = Object::new("PerformanceDescription").with("counterType", rollups);
    Some(both.with("statsType", kinds).into())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "PerformanceManager", name: "QueryPerfProviderSummary", run: provider },
        Method { on: "PerformanceManager", name: "QueryAvailablePerfMetric", run: available },
        Method { on: "PerformanceManager", name: "QueryPerfCounter", run: described },
        Method { on: "PerformanceManager", name: "QueryPerfCounterByLevel", run: by_level },
        Method { on: "PerformanceManager", name: "QueryPerf", run: query },
    ],
    properties: &[
        Property { on: "PerformanceManager", name: "description", get: description },
        Property { on: "PerformanceManager", name: "historicalInterval", get: historical },
        Property {
            on: "PerformanceManager",
            name: "perfCounter",
            get: |world, _| Some(counters(world).map(|it| it.info()).collect()),
        },
    ],
};
