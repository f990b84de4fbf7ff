//! Snapshots: save a machine's state, go back to it, throw it away.
//!
//! What a snapshot *is* on a given hypervisor lives behind [`crate::hv::snapshots`]; this file must not
//! know.

use crate::change;
use crate::error::{Error, Kind, Result};
use crate::hv::model::{Machine, MachineRef, PowerState, Snapshot};
use crate::hv::snapshots::NewSnapshot;
use crate::text::words::counted;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::batch;
use crate::tools::batch::{NAME, NAMES, Targets};
use crate::tools::ctx::Ctx;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_snapshots",
        title: "List snapshots",
        about: "A VM's snapshot tree with path, id, time, state and which is current.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM],
        run: Run::Read(list),
    },
    Tool {
        name: "create_snapshot",
        title: "Create a snapshot",
        about: "Save the state of VMs. Good before risky work; not a backup.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: false,
        args: &[NAME, NAMES, NEW, DESCRIPTION, MEMORY, QUIESCE],
        run: change!(plan_create, create),
    },
    Tool {
        name: "revert_to_snapshot",
        title: "Revert to a snapshot",
        about: "Put a VM back to a saved state; all later changes are lost.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, SNAPSHOT],
        run: change!(plan_revert, revert),
    },
    Tool {
        name: "revert_to_current_snapshot",
        title: "Revert to the current snapshot",
        about: "Put a VM back to its current snapshot; all later changes are lost.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM],
        run: change!(plan_revert_current, revert),
    },
    Tool {
        name: "delete_snapshot",
        title: "Delete a snapshot",
        about: "Delete one snapshot; the VM's present state stays.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM, SNAPSHOT, CHILDREN],
        run: change!(plan_delete, delete),
    },
    Tool {
        name: "delete_all_snapshots",
        title: "Delete all snapshots",
        about: "Delete every snapshot of a VM; its present state stays.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM],
        run: change!(plan_delete_all, delete_all),
    },
    Tool {
        name: "rename_snapshot",
        title: "Rename a snapshot",
        about: "Change a snapshot's name or description.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, SNAPSHOT, NEW_NAME, NEW_DESCRIPTION],
        run: change!(plan_rename, rename),
    },
];

const NEW: Arg = Arg::text("snapshot_name", "").required();
const SNAPSHOT: Arg = Arg::text("snapshot_name", "name, path or id").required();
const DESCRIPTION: Arg = Arg::text("description", "");
const MEMORY: Arg = Arg::flag("memory", "also save memory, so that a revert resumes the VM")
    .or(Default::Flag(true));
const QUIESCE: Arg = Arg::flag(
    "quiesce",
    "let VMware Tools settle the file systems first; memory is not saved then",
)
.or(Default::Flag(false));
const CHILDREN: Arg = Arg::flag("remove_children", "").or(Default::Flag(false));
const NEW_NAME: Arg = Arg::text("new_name", "");
const NEW_DESCRIPTION: Arg = Arg::text("new_description", "");

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let machine = find(ctx, args)?;
    let rows: Vec<Record> =
        ctx.snapshots()?.list(&ctx.call, &machine.at)?.iter().map(row).collect();
    Ok(Reply::Rows(Rows::whole(
        "snapshots",
        &["name", "path", "id", "created", "state", "current", "size_bytes"],
        rows,
    )))
}

fn row(it: &Snapshot) -> Record {
    Record::new()
        .text("path", &it.path)
        .text("id", &it.id)
        .maybe_text("created", it.created.clone())
        .text("state", it.state.word())
        .flag("current", it.current)
        .maybe_int("size_bytes", it.size_bytes)
        .text("name", &it.name)
        .text("description", &it.description)
        .int("children", it.children as i64)
}

fn find(ctx: &Ctx<'_>, args: &Args) -> Result<Machine> {
    ctx.snapshots()?;
    ctx.machines()?.find(&ctx.call, args.text(VM)?)
}

/// Finds one snapshot by id, path or name; an ambiguous name is refused, not guessed.
fn pick(all: &[Snapshot], wanted: &str) -> Result<Snapshot> {
    let exact: Vec<&Snapshot> =
        all.iter().filter(|it| it.id == wanted || it.path == wanted || it.name == wanted).collect();
    match exact[..] {
        [one] => Ok(one.clone()),
        [] => Err(Error::new(Kind::NotFound, format!("no snapshot `{wanted}`")).hint(
            match all.len() {
                0 => "The VM has no snapshots".to_owned(),
                _ => format!("There are: {}", paths(all.iter())),
            },
        )),
        _ => Err(Error::new(Kind::Conflict, format!("`{wanted}` means more than one snapshot"))
            .hint(format!("Pass one of these: {}", paths(exact.into_iter())))),
    }
}

/// Twenty of them with their ids, and how many more there are.
fn paths<'a>(all: impl ExactSizeIterator<Item = &'a Snapshot>) -> String {
    let more = all.len().saturating_sub(20);
    let mut shown: Vec<String> =
        all.take(20).map(|it| format!("`{}` (id {})", it.path, it.id)).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

fn state(machine: &Machine) -> String {
    format!("{} {}", machine.at.id, machine.native_state)
}

struct Create {
    targets: Targets,
    new: NewSnapshot,
}

fn plan_create(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Create>> {
    ctx.snapshots()?;
    let new = NewSnapshot {
        name: args.text(NEW)?.trim().to_owned(),
        description: args.opt_text(DESCRIPTION).unwrap_or_default().to_owned(),
        memory: args.flag(MEMORY),
        quiesce: args.flag(QUIESCE),
    };
    if new.name.is_empty() {
        return Err(Error::usage("a snapshot needs a name"));
    }
    let targets = batch::targets(ctx, args)?;
    let mut steps: Vec<String> = targets.unknown_steps().collect();
    for machine in &targets.machines {
        let (name, word) = (&machine.at.name, machine.power.word());
        steps.push(match suited(machine, &new) {
            Ok(new) => format!("`{name}` ({word}) gets a snapshot `{}` {}", new.name, how(&new)),
            Err(error) => format!("`{name}` ({word}) would be refused: {error}"),
        });
    }
    let seen: Vec<String> = targets.machines.iter().map(state).collect();
    Ok(Plan::new(steps, seen.join(";"), Create { targets, new }))
}

/// What is saved of this machine: memory only of a running one, and not of a settled one, since
/// with memory nothing is settled.
fn suited(machine: &Machine, new: &NewSnapshot) -> Result<NewSnapshot> {
    let running = machine.power == PowerState::On;
    let quiesce = new.quiesce && running;
    if quiesce && machine.agent.as_deref().is_some_and(|agent| agent != "running") {
        let agent = machine.agent.as_deref().unwrap_or_default();
        let said = format!("VMware Tools are {agent}, so the file systems cannot be settled");
        return Err(Error::new(Kind::Conflict, said).hint("Pass quiesce=false"));
    }
    Ok(NewSnapshot { memory: new.memory && running && !quiesce, quiesce, ..new.clone() })
}

fn how(new: &NewSnapshot) -> &'static str {
    match (new.memory, new.quiesce) {
        (_, true) => "with settled file systems, without memory",
        (true, false) => "with memory",
        (false, false) => "without memory",
    }
}

fn create(ctx: &Ctx<'_>, it: Create) -> Result<Reply> {
    let snapshots = ctx.snapshots()?;
    batch::each(ctx, &it.targets, &|call, machine| {
        let new = suited(machine, &it.new)?;
        let id = snapshots.create(call, &machine.at, &new)?;
        Ok(format!("snapshot `{}` created {}, id {id}", new.name, how(&new)))
    })
}

struct One {
    machine: MachineRef,
    snapshot: Snapshot,
    children: bool,
}

fn plan_one(
    ctx: &Ctx<'_>,
    args: &Args,
    pick: impl FnOnce(&[Snapshot]) -> Result<Snapshot>,
) -> Result<(Machine, One)> {
    let machine = find(ctx, args)?;
    let all = ctx.snapshots()?.list(&ctx.call, &machine.at)?;
    let snapshot = pick(&all).map_err(|error| error.during(format!("`{}`", machine.at.name)))?;
    let one = One { machine: machine.at.clone(), snapshot, children: false };
    Ok((machine, one))
}

fn plan_revert(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<One>> {
    let wanted = args.text(SNAPSHOT)?;
    let (machine, one) = plan_one(ctx, args, |all| pick(all, wanted))?;
    Ok(reverting(&machine, one))
}

fn plan_revert_current(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<One>> {
    let (machine, one) = plan_one(ctx, args, |all| {
        all.iter().find(|it| it.current).cloned().ok_or_else(|| {
            Error::new(Kind::NotFound, "the VM has no current snapshot")
                .hint("list_snapshots shows what there is; create_snapshot makes one")
        })
    })?;
    Ok(reverting(&machine, one))
}

fn reverting(machine: &Machine, one: One) -> Plan<One> {
    let (name, word) = (&machine.at.name, machine.power.word());
    let step = format!(
        "`{name}` ({word}) goes back to snapshot `{}` and will be {}",
        one.snapshot.path,
        one.snapshot.state.word()
    );
    let loss = match &one.snapshot.created {
        Some(created) => format!("all that changed on `{name}` since {created}"),
        None => format!("all that changed on `{name}` since the snapshot"),
    };
    let seen = format!("{} {}", state(machine), one.snapshot.id);
    Plan::new(vec![step], seen, one).losing(vec![loss])
}

fn revert(ctx: &Ctx<'_>, it: One) -> Result<Reply> {
    ctx.snapshots()?
        .revert(&ctx.call, &it.machine, &it.snapshot)
        .map_err(|error| error.during(format!("`{}`", it.machine.name)))?;
    Ok(said(&it.machine, &format!("reverted to `{}`", it.snapshot.path)))
}

fn said(machine: &MachineRef, what: &str) -> Reply {
    let record =
        Record::new().text("vm", &machine.name).text("id", &machine.id).text("result", what);
    Reply::said(format!("{}: {what}", machine.name), record)
}

fn plan_delete(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<One>> {
    let wanted = args.text(SNAPSHOT)?;
    let mut below: Vec<Snapshot> = Vec::new();
    let (machine, mut one) = plan_one(ctx, args, |all| {
        let chosen = pick(all, wanted)?;
        let start = format!("{}/", chosen.path);
        below = all.iter().filter(|it| it.path.starts_with(&start)).cloned().collect();
        Ok(chosen)
    })?;
    one.children = args.flag(CHILDREN);
    let (name, path) = (&machine.at.name, &one.snapshot.path);
    let mut steps = vec![format!("snapshot `{path}` of `{name}` is deleted")];
    let mut losses = vec![format!("the way back to `{path}`")];
    let count = counted(below.len(), "snapshot");
    match (below.is_empty(), one.children) {
        (true, _) => {}
        (false, true) => {
            steps.push(format!("{count} below it deleted too: {}", paths(below.iter())));
            losses.extend(below.iter().map(|it| format!("the way back to `{}`", it.path)));
        }
        (false, false) => {
            let stay = if below.len() == 1 { "stays" } else { "stay" };
            steps.push(format!("{count} below it {stay}"));
        }
    }
    let seen = format!("{} {}", state(&machine), one.snapshot.id);
    Ok(Plan::new(steps, seen, one).losing(losses))
}

fn delete(ctx: &Ctx<'_>, it: One) -> Result<Reply> {
    ctx.snapshots()?
        .remove(&ctx.call, &it.machine, &it.snapshot, it.children)
        .map_err(|error| error.during(format!("`{}`", it.machine.name)))?;
    Ok(said(&it.machine, &format!("deleted snapshot `{}`", it.snapshot.path)))
}

struct DeleteAll {
    machine: MachineRef,
    count: usize,
}

fn plan_delete_all(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<DeleteAll>> {
    let machine = find(ctx, args)?;
    let all = ctx.snapshots()?.list(&ctx.call, &machine.at)?;
    let it = DeleteAll { machine: machine.at.clone(), count: all.len() };
    let step = match all.len() {
        0 => format!("`{}` has no snapshots: nothing is done", machine.at.name),
        count => {
            let count = counted(count, "snapshot");
            format!("{count} of `{}` deleted: {}", machine.at.name, paths(all.iter()))
        }
    };
    let losses = all.iter().map(|it| format!("the way back to `{}`", it.path)).collect();
    Ok(Plan::new(vec![step], format!("{} {}", state(&machine), all.len()), it).losing(losses))
}

fn delete_all(ctx: &Ctx<'_>, it: DeleteAll) -> Result<Reply> {
    if it.count == 0 {
        return Ok(said(&it.machine, "already without snapshots"));
    }
    ctx.snapshots()?
        .remove_all(&ctx.call, &it.machine)
        .map_err(|error| error.during(format!("`{}`", it.machine.name)))?;
    Ok(said(&it.machine, &format!("deleted {}", counted(it.count, "snapshot"))))
}

struct Rename {
    one: One,
    name: Option<String>,
    description: Option<String>,
}

fn plan_rename(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Rename>> {
    let wanted = args.text(SNAPSHOT)?;
    let (name, description) = (args.opt_text(NEW_NAME), args.opt_text(NEW_DESCRIPTION));
    if name.is_none() && description.is_none() {
        return Err(
            Error::usage("nothing to change").hint("Pass new_name, new_description or both")
        );
    }
    let (machine, one) = plan_one(ctx, args, |all| pick(all, wanted))?;
    let name = name.filter(|it| **it != *one.snapshot.name);
    let description = description.filter(|it| **it != *one.snapshot.description);
    let mut steps = Vec::new();
    if name.is_none() && description.is_none() {
        steps.push(as_asked(&one.snapshot));
    }
    if let Some(name) = name {
        steps.push(format!(
            "snapshot `{}` of `{}`: name -> `{name}`",
            one.snapshot.path, machine.at.name
        ));
    }
    if let Some(text) = description {
        steps.push(format!("description `{}` -> `{text}`", one.snapshot.description));
    }
    let seen = format!("{} {}", machine.at.id, one.snapshot.id);
    let (name, description) = (name.map(str::to_owned), description.map(str::to_owned));
    Ok(Plan::new(steps, seen, Rename { one, name, description }))
}

fn rename(ctx: &Ctx<'_>, it: Rename) -> Result<Reply> {
    let (machine, snapshot) = (&it.one.machine, &it.one.snapshot);
    if it.name.is_none() && it.description.is_none() {
        return Ok(said(machine, &as_asked(snapshot)));
    }
    ctx.snapshots()?
        .rename(&ctx.call, machine, snapshot, it.name.as_deref(), it.description.as_deref())
        .map_err(|error| error.during(format!("`{}`", machine.name)))?;
    let path = &snapshot.path;
    let done = match (&it.name, &it.description) {
        (Some(name), None) => format!("snapshot `{path}` is now `{name}`"),
        (Some(name), Some(_)) => format!("snapshot `{path}` is now `{name}`, newly described"),
        (None, _) => format!("snapshot `{path}` is newly described"),
    };
    Ok(said(machine, &done))
}

fn as_asked(snapshot: &Snapshot) -> String {
    format!("snapshot `{}` is already as asked", snapshot.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: &str, path: &str) -> Snapshot {
        Snapshot {
            id: id.to_owned(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            path: path.to_owned(),
            description: String::new(),
            created: None,
            state: PowerState::Off,
            size_bytes: None,
            current: false,
            children: 0,
        }
    }

    #[test]
    fn a_snapshot_is_picked_by_name_path_or_id_and_never_guessed() {
        let all = [snapshot("s1", "base"), snapshot("s2", "base/a"), snapshot("s3", "base/b/a")];
        assert_eq!(pick(&all, "base").unwrap().id, "s1");
        assert_eq!(pick(&all, "base/a").unwrap().id, "s2");
        assert_eq!(pick(&all, "s3").unwrap().id, "s3");
        let said = pick(&all, "a").unwrap_err().to_string();
        assert_eq!(
            said,
            "`a` means more than one snapshot. Pass one of these: `base/a` (id s2), `base/b/a` (id s3)"
        );
        assert!(pick(&all, "nope").unwrap_err().to_string().contains("There are: `base` (id s1)"));
        assert!(pick(&[], "nope").unwrap_err().to_string().contains("no snapshots"));
    }
}
