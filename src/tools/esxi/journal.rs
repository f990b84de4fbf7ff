//! Tasks and events: what a server is doing and what it did.

use crate::error::{Error, Kind, Result};
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply, Rows};
use crate::vsphere::events;
use crate::vsphere::events::{Event, Wanted};
use crate::vsphere::tasks_list;
use crate::vsphere::tasks_list::Task;

/// Tasks of one answer.
pub const MOST_TASKS: Arg = Arg::int("max_count", "rows at most", 1, 1000).or(Default::Int(20));
/// Whose tasks.
pub const TASKS_OF: Arg = Arg::text("entity_name", "only on this object: name, glob or id");
/// Events of one answer.
pub const MOST_EVENTS: Arg = Arg::int("max_count", "rows at most", 1, 1000).or(Default::Int(50));
/// Which events.
pub const TYPES: Arg =
    Arg::texts("event_types", "such as VmPoweredOnEvent, VmPowered*, esx.problem.*");
/// How long ago.
pub const HOURS: Arg = Arg::int("hours_back", "how far back", 1, 87_600).or(Default::Int(24));
/// Whose events.
pub const EVENTS_OF: Arg =
    Arg::text("entity_name", "only of this object and what is below it: name, id or path");
/// One task, required.
pub const TASK: Arg = Arg::text("task_id", "as list_recent_tasks shows it").required();

/// What runs or ended lately.
pub fn tasks(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let most = usize::try_from(args.int(MOST_TASKS)?).unwrap_or(0);
    let found = tasks_list::recent(client(ctx)?, &ctx.call, args.opt_text(TASKS_OF))?;
    let columns =
        &["id", "task", "entity", "state", "progress", "started", "seconds", "user", "error"];
    let rows = found.iter().take(most).map(task).collect();
    Ok(Reply::Rows(Rows { total: found.len(), ..Rows::whole("tasks", columns, rows) }))
}

fn task(it: &Task) -> Record {
    let state = if it.cancelled && it.state == "error" { "cancelled" } else { &it.state };
    Record::new()
        .text("id", &it.id)
        .text("task", &it.name)
        .maybe_text("entity", it.entity.clone())
        .maybe_text("entity_id", it.entity_id.clone())
        .text("state", state)
        .maybe_int("progress", it.progress)
        .maybe_text("queued", it.queued.clone())
        .maybe_text("started", it.started.clone())
        .maybe_text("completed", it.completed.clone())
        .maybe_int("seconds", it.seconds)
        .maybe_text("user", it.user.clone())
        .maybe_text("error", it.error.clone())
        .flag("cancelable", it.cancelable && !it.has_ended())
}

/// What happened lately.
pub fn events(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let types = args.texts(TYPES);
    let wanted = Wanted {
        count: args.int(MOST_EVENTS)?,
        types: &types,
        hours_back: args.int(HOURS)?,
        entity: args.opt_text(EVENTS_OF),
    };
    let (found, more) = events::recent(client(ctx)?, &ctx.call, &wanted)?;
    let columns = &["time", "type", "severity", "user", "vm", "host_name", "message"];
    let rows = found.iter().map(event).collect();
    Ok(Reply::Rows(Rows { more, ..Rows::whole("events", columns, rows) }))
}

fn event(it: &Event) -> Record {
    Record::new()
        .text("time", &it.time)
        .text("type", &it.kind)
        .maybe_text("severity", it.severity.clone())
        .maybe_text("user", it.user.clone())
        .maybe_text("vm", it.machine.clone())
        .maybe_text("host_name", it.host.clone())
        .text("message", &it.message)
        .int("id", it.id)
}

/// Looks whether there is something to cancel.
pub fn plan_cancel(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Task>> {
    let task = tasks_list::one(client(ctx)?, &ctx.call, args.text(TASK)?)?;
    let (told, user) = (task.told(), task.user.as_deref().unwrap_or("nobody known"));
    let seen = format!("{} {}", task.id, task.state);
    if task.has_ended() {
        let step = format!("{told} has ended already, {}: nothing is done", task.end());
        return Ok(Plan::new(vec![step], seen, task));
    }
    let done = task.progress.map_or_else(String::new, |it| format!(", {it} % done"));
    if !task.cancelable {
        return Err(Error::new(
            Kind::Conflict,
            format!("{told}, started by {user}{done}, cannot be cancelled"),
        )
        .hint("Wait for its end; list_recent_tasks shows how far it is"));
    }
    let step = format!("{told}, {}, started by {user}{done}, is cancelled", task.state);
    let loss = format!("what {told} has done so far, as far as the server undoes it");
    Ok(Plan::new(vec![step], seen, task).losing(vec![loss]))
}

/// Cancels it.
pub fn cancel(ctx: &Ctx<'_>, task: Task) -> Result<Reply> {
    let told = task.told();
    let (said, now) = match task.has_ended() {
        true => (format!("{told} had ended already: {}", task.end()), task),
        false => {
            let now = tasks_list::cancel(client(ctx)?, &ctx.call, &task.id)?;
            let said = match (now.has_ended(), now.cancelled) {
                (true, true) => format!("{told} is cancelled"),
                (true, false) => {
                    format!("{told} ended before it could be cancelled: {}", now.end())
                }
                (false, _) => format!("{told} was asked to end; undoing may take a while"),
            };
            (said, now)
        }
    };
    Ok(Reply::said(said, self::task(&now)))
}
