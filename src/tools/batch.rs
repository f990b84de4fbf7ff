//! One verb on several machines: side by side with a bound, a row of result each.
//!
//! A failure stops no other machine, and failures come first in the answer, which may be cut. With `name` instead of `names` the one failure is the call's
//! own error.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::model::Machine;
use crate::threads;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::reply::{Record, Reply, Rows};

/// Machines worked on at once; hypervisors queue more than that anyway.
const AT_ONCE: usize = 8;

/// One machine, by name or id.
pub const NAME: Arg = Arg::text("name", "VM name, id or path");
/// Several machines.
pub const NAMES: Arg = Arg::texts("names", "several VMs instead; globs allowed");

/// The machines that a call means, and whether it was by `names`.
pub struct Targets {
    pub machines: Vec<Machine>,
    /// Words that mean no machine, or several; in a batch they stop no other.
    pub unknown: Vec<(String, Error)>,
    pub many: bool,
}

/// Reads `name` or `names`; exactly one of them must be given.
pub fn targets(ctx: &Ctx<'_>, args: &Args) -> Result<Targets> {
    let names = args.texts(NAMES);
    match (args.opt_text(NAME), names.is_empty()) {
        (Some(_), false) => {
            Err(Error::usage("both `name` and `names` are given").hint("Pass one of them"))
        }
        (None, true) => {
            Err(Error::usage("`name` is missing").hint("Pass `name`, or `names` for several"))
        }
        (Some(name), true) => {
            let machines = vec![ctx.machines()?.find(&ctx.call, name)?];
            Ok(Targets { machines, unknown: Vec::new(), many: false })
        }
        (None, false) => {
            let (machines, unknown) = ctx.machines()?.find_all(&ctx.call, &names)?;
            Ok(Targets { machines, unknown, many: true })
        }
    }
}

impl Targets {
    /// What a plan says of the words that mean no machine.
    pub fn unknown_steps(&self) -> impl Iterator<Item = String> + '_ {
        self.unknown.iter().map(|(word, error)| format!("`{word}` is left out: {error}"))
    }
}

type Work<'a> = dyn Fn(&Call, &Machine) -> Result<String> + Sync + 'a;

/// Does `work` to each machine; it returns what was done in a few words.
pub fn each(ctx: &Ctx<'_>, targets: &Targets, work: &Work<'_>) -> Result<Reply> {
    let row =
        |machine: &Machine| Record::new().text("vm", &machine.at.name).text("id", &machine.at.id);
    if let ([machine], false) = (&targets.machines[..], targets.many) {
        let done = work(&ctx.call, machine)
            .map_err(|error| error.during(format!("`{}`", machine.at.name)))?;
        let said = format!("{}: {done}", machine.at.name);
        return Ok(Reply::said(said, row(machine).text("result", done)));
    }
    let failure = |row: Record, error: &Error| {
        row.text("result", format!("failed: {error}")).text("error_kind", error.kind().word())
    };
    let unknown = targets
        .unknown
        .iter()
        .map(|(word, error)| failure(Record::new().text("vm", word).text("id", ""), error));
    let (mut failed, mut done): (Vec<Record>, Vec<Record>) = (unknown.collect(), Vec::new());
    let results = side_by_side(ctx, &targets.machines, work);
    for (machine, result) in targets.machines.iter().zip(results) {
        match result {
            Ok(what) => done.push(row(machine).text("result", what)),
            Err(error) => failed.push(failure(row(machine), &error)),
        }
    }
    let count = failed.len();
    failed.append(&mut done);
    let rows = Rows::whole("results", &["vm", "id", "result"], failed);
    Ok(Reply::Rows(Rows { failed: count, ..rows }))
}

fn side_by_side(ctx: &Ctx<'_>, machines: &[Machine], work: &Work<'_>) -> Vec<Result<String>> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<Option<Result<String>>>> = Mutex::new(vec![None; machines.len()]);
    let quiet = ctx.call.unwatched();
    threads::side_by_side(AT_ONCE.min(machines.len()), &|_| {
        loop {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some(machine) = machines.get(at) else { return };
            let result = quiet.check().and_then(|()| work(&quiet, machine));
            let finished = done.fetch_add(1, Ordering::SeqCst) + 1;
            let percent = 100.0 * finished as f64 / machines.len() as f64;
            ctx.call.progress(percent, format!("{finished} of {} VMs", machines.len()));
            let mut all = results.lock().unwrap_or_else(|it| it.into_inner());
            if let Some(slot) = all.get_mut(at) {
                *slot = Some(result);
            }
        }
    });
    let all = results.into_inner().unwrap_or_else(|it| it.into_inner());
    let lost = || Err(Error::new(Kind::Cancelled, "not started"));
    all.into_iter().map(|it| it.unwrap_or_else(lost)).collect()
}
