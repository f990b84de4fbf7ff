//! Statistics of a machine out of performance counters.
//!
//! Counters are looked up by name, because their numbers differ between servers; the catalogue is
//! read once a session. Surprising: percents travel as hundredths, -1 stands for a sample that is
//! missing, and a counter that exists need not be kept: that depends on the interval.

use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, PowerState};
use crate::text::nearest::nearest;
use crate::text::order;
use crate::vim::value::{Object, Value};
use crate::vsphere::machines::{power, reference};
use crate::vsphere::props::Select;
use crate::vsphere::{Vsphere, props};

/// Counters of a catalogue; a vCenter has some six hundred.
const MOST_COUNTERS: usize = 5_000;
/// Samples of one series in real time: an hour.
const MOST_SAMPLES: i64 = 180;
/// Series of one answer.
const MOST_SERIES: usize = 1_000;

/// What tells most of a machine; those that a server lacks are left out.
#[rustfmt::skip]
static USUAL: &[&str] = &[
    "cpu.usage.average", "cpu.usagemhz.average", "cpu.ready.summation", "cpu.costop.summation",
    "mem.usage.average", "mem.active.average", "mem.consumed.average", "mem.swapped.average",
    "mem.vmmemctl.average", "disk.usage.average", "disk.maxTotalLatency.latest",
    "net.usage.average", "net.received.average", "net.transmitted.average",
];

/// One counter of a server's catalogue.
pub struct Counter {
    id: i64,
    /// Such as `cpu.usage.average`.
    name: String,
    unit: String,
}

/// How long ago, and how close.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    Realtime,
    /// Samples of this many seconds, as far back as the server keeps them.
    Past(i64),
}

/// One series in a few numbers; they are missing where the server keeps none of it.
pub struct Series {
    pub counter: String,
    /// Empty for the whole machine.
    pub instance: String,
    pub unit: String,
    pub numbers: Option<Numbers>,
}

/// In the counter's unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    pub latest: f64,
    pub average: f64,
    pub min: f64,
    pub max: f64,
    pub samples: usize,
}

/// What a machine did.
pub struct Stats {
    pub machine: MachineRef,
    pub power: PowerState,
    pub series: Vec<Series>,
    pub from: Option<String>,
    pub to: Option<String>,
    pub sample_seconds: i64,
}

/// Reads the counters of these names, or the usual ones.
pub fn stats(
    it: &Vsphere,
    call: &Call,
    wanted: &str,
    interval: Interval,
    names: &[String],
) -> Result<Stats> {
    let at = it.locate(call, wanted)?;
    let vm = reference(&at);
    let live = it.session.live(call)?;
    let manager = live.manager("perfManager")?;
    let known = live.catalogue();
    let paths: &[&'static str] = match known {
        Some(_) => &["historicalInterval"],
        None => &["historicalInterval", "perfCounter"],
    };
    let selects = [
        Select { kind: "VirtualMachine", paths: &["runtime.powerState"] },
        Select { kind: "PerformanceManager", paths },
    ];
    let rows = props::of(&it.session, call, &[vm.clone(), manager.clone()], &selects)?;
    let row = |kind: &str| rows.iter().find(|row| *row.at.kind == *kind);
    let state = row("VirtualMachine").and_then(|row| row.text("runtime.powerState"));
    let state = power(state.unwrap_or_default());
    let kept = row("PerformanceManager").map_or(&[][..], |row| row.items("historicalInterval"));
    let catalogue = known.unwrap_or_else(|| {
        let all = row("PerformanceManager").map_or(&[][..], |row| row.items("perfCounter"));
        let all = all.iter().take(MOST_COUNTERS).filter_map(Value::as_object).filter_map(counter);
        live.keep_catalogue(Arc::new(all.collect()))
    });
    let (chosen, instance) = chosen(&catalogue, names)?;
    let mut stats = Stats {
        machine: at,
        power: state,
        series: Vec::new(),
        from: None,
        to: None,
        sample_seconds: 20,
    };
    let mut spec = Object::new("PerfQuerySpec").with("entity", &vm);
    match interval {
        Interval::Past(seconds) => {
            is_kept(kept, seconds, live.is_vcenter())?;
            stats.sample_seconds = seconds;
        }
        // Nothing is sampled of a machine that does not run.
        Interval::Realtime if state != PowerState::On => return Ok(stats),
        Interval::Realtime => {
            let args = Object::args().with("entity", &vm);
            let method = "QueryPerfProviderSummary";
            let about = it.session.call(call, &manager, method, &args)?;
            let rate = about.as_ref().and_then(|it| it.int("refreshRate"));
            stats.sample_seconds = rate.filter(|it| *it > 0).unwrap_or(20);
            spec.set("maxSample", MOST_SAMPLES);
        }
    }
    let metric = |it: &&Counter| {
        Object::new("PerfMetricId").with("counterId", it.id).with("instance", instance)
    };
    let metrics: Vec<Object> = chosen.iter().map(metric).collect();
    spec.set("metricId", metrics);
    spec.set("intervalId", stats.sample_seconds);
    spec.set("format", "normal");
    let args = Object::args().with("querySpec", vec![spec]);
    let answer = it.session.call(call, &manager, "QueryPerf", &args)?;
    let empty = Object::args();
    let found = answer.as_ref().and_then(|it| it.items().first()).and_then(Value::as_object);
    let found = found.unwrap_or(&empty);
    let mut times = found.objects("sampleInfo").filter_map(|it| it.text("timestamp"));
    stats.from = times.next().map(str::to_owned);
    stats.to = times.last().map(str::to_owned).or(stats.from.clone());
    if stats.from.is_some() {
        stats.series = series(&chosen, found);
    }
    Ok(stats)
}

fn counter(info: &Object) -> Option<Counter> {
    let part = |path: &str| info.text(path);
    let (group, own) = (part("groupInfo.key")?, part("nameInfo.key")?);
    Some(Counter {
        id: info.int("key")?,
        name: format!("{group}.{own}.{}", part("rollupType")?),
        unit: part("unitInfo.key").unwrap_or("number").to_owned(),
    })
}

/// The counters that are meant, and of which part of the machine: of the whole for the usual ones,
/// of everything for those that were named.
fn chosen<'a>(all: &'a [Counter], names: &[String]) -> Result<(Vec<&'a Counter>, &'static str)> {
    let find = |name: &str| all.iter().find(|it| it.name.eq_ignore_ascii_case(name));
    if names.is_empty() {
        return Ok((USUAL.iter().filter_map(|name| find(name)).collect(), ""));
    }
    let mut chosen: Vec<&Counter> = Vec::new();
    for name in names {
        let counter = find(name.trim()).ok_or_else(|| unknown(all, name.trim()))?;
        if !chosen.iter().any(|it| it.id == counter.id) {
            chosen.push(counter);
        }
    }
    Ok((chosen, "*"))
}

fn unknown(all: &[Counter], name: &str) -> Error {
    let shown = crate::error::quoted(name);
    let error = Error::new(Kind::NotFound, format!("this server has no counter `{shown}`"));
    let group = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    // `cpu.usage` lacks how it is rolled up.
    let names = || all.iter().map(|it| it.name.as_str());
    let longer = |it: &&str| it.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
    let whole = names().filter(|_| name.contains('.')).find(longer);
    let near = whole.or(nearest(name, names()));
    let alike: Vec<&str> = all
        .iter()
        .filter(|it| it.name.split('.').next() == Some(group.as_str()))
        .map(|it| it.name.as_str())
        .take(40)
        .collect();
    match (near, alike.is_empty()) {
        (Some(near), _) => error.hint(format!("Did you mean `{near}`?")),
        (None, false) => error.hint(format!("Of {group} there are: {}", alike.join(", "))),
        (None, true) => {
            let groups = all.iter().filter_map(|it| it.name.split('.').next());
            let groups = order::unique(groups.map(str::to_owned).collect());
            error
                .hint(format!("Names are like cpu.usage.average; groups are {}", groups.join(", ")))
        }
    }
}

/// Refuses an interval that the server keeps no samples of.
fn is_kept(kept: &[Value], seconds: i64, vcenter: bool) -> Result<()> {
    let on = |it: &&Value| it.flag("enabled") != Some(false);
    let periods: Vec<i64> =
        kept.iter().filter(on).filter_map(|it| it.int("samplingPeriod")).collect();
    if periods.contains(&seconds) {
        return Ok(());
    }
    let periods: Vec<String> = periods.iter().map(i64::to_string).collect();
    let said = match periods.is_empty() {
        true => "this server keeps no samples of the past".to_owned(),
        false => format!(
            "this server keeps no samples of {seconds} seconds, only of {}",
            periods.join(", ")
        ),
    };
    Err(Error::new(Kind::Unsupported, said).hint(match vcenter {
        true => "Pass another interval; statistics levels are set in vCenter",
        false => "Pass interval=realtime or 5m; longer times are kept by vCenter",
    }))
}

/// A row for each series, and for each counter without any; the order is that of the counters.
fn series(chosen: &[&Counter], found: &Object) -> Vec<Series> {
    let mut rows = Vec::new();
    for counter in chosen {
        let own = |it: &&Object| it.int("id.counterId") == Some(counter.id);
        let row = |instance: &str, numbers| Series {
            counter: counter.name.clone(),
            instance: instance.to_owned(),
            unit: counter.unit.clone(),
            numbers,
        };
        let before = rows.len();
        for it in found.objects("value").filter(own).take(MOST_SERIES) {
            let values: Vec<i64> = it.list("value").iter().filter_map(Value::as_int).collect();
            let instance = it.text("id.instance").unwrap_or_default();
            rows.push(row(instance, numbers(&values, counter.unit == "percent")));
        }
        if rows.len() == before {
            rows.push(row("", None));
        }
        rows.truncate(MOST_SERIES);
    }
    rows
}

/// The numbers of a series; none where every sample is missing.
fn numbers(values: &[i64], percent: bool) -> Option<Numbers> {
    let scale = if percent { 100.0 } else { 1.0 };
    let present: Vec<f64> =
        values.iter().filter(|it| **it != -1).map(|it| *it as f64 / scale).collect();
    let rounded = |number: f64| (number * 100.0).round() / 100.0;
    let average = present.iter().sum::<f64>() / present.len() as f64;
    Some(Numbers {
        latest: *present.last()?,
        average: rounded(average),
        min: present.iter().copied().fold(f64::INFINITY, f64::min),
        max: present.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        samples: present.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_hundredths_and_what_is_missing_counts_nowhere() {
        let it = numbers(&[-1, 1250, 250, -1, 600], true).unwrap();
        assert_eq!((it.latest, it.min, it.max, it.average, it.samples), (6.0, 2.5, 12.5, 7.0, 3));
        assert_eq!(numbers(&[10, 11, 11], false).unwrap().average, 10.67);
        assert_eq!((numbers(&[-1, -1], false), numbers(&[], true)), (None, None));
    }

    #[test]
    fn a_wrong_name_leads_to_the_right_one() {
        let counter = |name: &str| Counter { id: 1, name: name.to_owned(), unit: String::new() };
        let all = [counter("cpu.usage.average"), counter("mem.usage.average")];
        let said = |name: &str| chosen(&all, &[name.to_owned()]).err().unwrap().to_string();
        assert!(said("cpu.usage.averge").ends_with("Did you mean `cpu.usage.average`?"));
        assert!(said("mem.usage").ends_with("Did you mean `mem.usage.average`?"));
        assert!(said("mem.foo").ends_with("Of mem there are: mem.usage.average"));
        assert!(said("load").ends_with("groups are cpu, mem"));
        assert_eq!(chosen(&all, &["CPU.usage.average".to_owned()]).unwrap().0.len(), 1);
        assert_eq!(chosen(&all, &[]).unwrap().0.len(), 2);
    }
}
