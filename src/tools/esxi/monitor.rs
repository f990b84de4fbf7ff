//! Counters, tasks, events and alarms.

use crate::change;
use crate::error::{Error, Result};
use crate::text::json;
use crate::text::json::{Number, Value};
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::esxi::journal;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::alarms;
use crate::vsphere::counters;
use crate::vsphere::counters::{Interval, Series, Stats};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "get_vm_stats",
        title: "Statistics of a VM",
        about: "What a VM uses, by performance counters with units: latest, average, least, most.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, INTERVAL, COUNTERS],
        run: Run::Read(stats),
    },
    Tool {
        name: "list_recent_tasks",
        title: "Recent tasks",
        about: "Tasks that run or ended lately, the newest first, with state, user, error and id.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[journal::MOST_TASKS, journal::TASKS_OF],
        run: Run::Read(journal::tasks),
    },
    Tool {
        name: "list_recent_events",
        title: "Recent events",
        about: "What happened lately, the newest first: power changes, logins, migrations, problems.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[journal::MOST_EVENTS, journal::TYPES, journal::HOURS, journal::EVENTS_OF],
        run: Run::Read(journal::events),
    },
    Tool {
        name: "get_alarms",
        title: "Alarms",
        about: "Triggered alarms of a vCenter; on a standalone ESXi the problems that its objects report.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[],
        run: Run::Read(alarms),
    },
    Tool {
        name: "cancel_task",
        title: "Cancel a task",
        about: "Ask the server to end a running task and undo it; list_recent_tasks shows the ids.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[journal::TASK],
        run: change!(journal::plan_cancel, journal::cancel),
    },
];

const INTERVAL: Arg = Arg::choice(
    "interval",
    "realtime: the last hour; 5m: the last day; 1d: the last year",
    &["realtime", "5m", "1d"],
)
.or(Default::None);
const COUNTERS: Arg =
    Arg::texts("counters", "such as cpu.ready.summation; default: the usual ones");

/// The most counters of one call; servers bound what one query may ask.
const MOST_COUNTERS: usize = 50;

fn stats(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let word = args.opt_text(INTERVAL).unwrap_or("realtime");
    let interval = match word {
        "5m" => Interval::Past(300),
        "1d" => Interval::Past(86_400),
        _ => Interval::Realtime,
    };
    let names = args.texts(COUNTERS);
    if names.len() > MOST_COUNTERS {
        return Err(Error::usage(format!("{} counters are too many", names.len()))
            .hint(format!("Ask for {MOST_COUNTERS} at most at once")));
    }
    let found = counters::stats(client(ctx)?, &ctx.call, args.text(VM)?, interval, &names)?;
    if found.series.is_empty() {
        return Ok(nothing(&found, interval));
    }
    let row = |it: &Series| series(it, &found);
    let columns = &[
        "counter",
        "instance",
        "unit",
        "latest",
        "average",
        "min",
        "max",
        "samples",
        "sample_seconds",
    ];
    Ok(Reply::Rows(Rows::whole("counters", columns, found.series.iter().map(row).collect())))
}

/// Why there are no numbers.
fn nothing(found: &Stats, interval: Interval) -> Reply {
    let (name, state) = (&found.machine.name, found.power.word());
    let said = match interval {
        Interval::Realtime if state != "on" => format!(
            "{name} is {state}, and nothing is sampled of a VM that does not run; its past may show with interval=5m"
        ),
        Interval::Realtime => {
            format!("{name} has no samples yet; the first comes within {} s", found.sample_seconds)
        }
        Interval::Past(seconds) => format!(
            "{name} has no samples of {seconds} s: it may be new, or was not running, or the server keeps none"
        ),
    };
    let record = Record::new()
        .text("vm", name)
        .text("power_state", state)
        .int("sample_seconds", found.sample_seconds)
        .value("counters", Value::Array(json::Array::new()));
    Reply::said(said, record)
}

fn series(it: &Series, of: &Stats) -> Record {
    let record = Record::new()
        .text("counter", &it.counter)
        .text("instance", if it.instance.is_empty() { "whole VM" } else { &it.instance })
        .text("unit", &it.unit);
    let Some(numbers) = &it.numbers else { return record.int("samples", 0) };
    record
        .value("latest", number(numbers.latest))
        .value("average", number(numbers.average))
        .value("min", number(numbers.min))
        .value("max", number(numbers.max))
        .int("samples", i64::try_from(numbers.samples).unwrap_or(i64::MAX))
        .int("sample_seconds", of.sample_seconds)
        .maybe_text("from", of.from.clone())
        .maybe_text("to", of.to.clone())
}

/// Whole where it is whole.
fn number(it: f64) -> Value {
    match it.fract() == 0.0 && it.abs() < 9.0e15 {
        true => json::int(it as i64),
        false => Value::Number(Number::F64(it)),
    }
}

fn alarms(ctx: &Ctx<'_>, _: &Args) -> Result<Reply> {
    let found = alarms::read(client(ctx)?, &ctx.call)?;
    if found.alarms.is_empty() {
        let said = match found.has_alarms {
            true => "no alarm is triggered",
            false => "nothing reports a problem (alarms themselves need vCenter)",
        };
        let none = Value::Array(json::Array::new());
        let record = Record::new().int("total", 0).value("alarms", none);
        return Ok(Reply::said(said, record));
    }
    let row = |it: &alarms::Alarm| {
        Record::new()
            .text("status", &it.status)
            .text("alarm", &it.name)
            .text("entity", &it.entity)
            .text("entity_type", &it.entity_type)
            .text("entity_id", &it.entity_id)
            .maybe_text("time", it.time.clone())
            .maybe_flag("acknowledged", it.acknowledged)
            .maybe_text("acknowledged_by", it.acknowledged_by.clone())
    };
    let columns = &["status", "alarm", "entity", "entity_type", "time", "acknowledged"];
    Ok(Reply::Rows(Rows::whole("alarms", columns, found.alarms.iter().map(row).collect())))
}
