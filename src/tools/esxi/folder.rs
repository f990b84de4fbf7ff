//! Folders of the inventory: listed of every sort, made, deleted and filled with VMs.

use crate::change;
use crate::error::Result;
use crate::text::order;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::inventory::{GLOB, fits};
use crate::tools::esxi::{client, of};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vim::value::Value;
use crate::vsphere::folders;
use crate::vsphere::inventory::{name, references};
use crate::vsphere::props::Row;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_folders",
        title: "List folders",
        about: "Folders with path and how many VMs and folders each holds; of VMs unless `type` says otherwise.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, SORT, LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "create_folder",
        title: "Create a VM folder",
        about: "Make a folder for VMs in another one. Needs vCenter.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[NEW, PARENT],
        run: change!(plan_create, plan::act),
    },
    Tool {
        name: "delete_folder",
        title: "Delete an empty VM folder",
        about: "Delete a VM folder; refused while it holds anything, since its VMs would go with it.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[FOLDER],
        run: change!(plan_delete, plan::act),
    },
    Tool {
        name: "move_vm_to_folder",
        title: "Move a VM to a folder",
        about: "Put a VM or template into another folder of its datacenter; it keeps running.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, FOLDER],
        run: change!(plan_move, plan::act),
    },
];

const SORTS: &[&str] = &["vm", "host", "datastore", "network", "datacenter", "all"];
const SORT: Arg = Arg::choice("type", "what the folders are for", SORTS).or(Default::Text("vm"));
const NEW: Arg = Arg::text("folder_name", "one level; a slash becomes part of the name").required();
const PARENT: Arg = Arg::text(
    "parent_path",
    "such as DC0/vm/prod, or prod below vm; default: the datacenter's own",
);
const FOLDER: Arg = Arg::text("folder_path", "path such as DC0/vm/prod, name or id").required();
/// The machine that is meant, where `name` would be something else.
pub const VM: Arg = Arg::text("vm_name", "VM name, id or path").required();

/// What a folder is for, by the types that it takes.
fn sort(row: &Row) -> &'static str {
    let takes = |kind: &str| row.items("childType").iter().any(|it| it.as_text() == Some(kind));
    let sorts = [
        ("VirtualMachine", "vm"),
        ("ComputeResource", "host"),
        ("Datastore", "datastore"),
        ("Network", "network"),
        ("Datacenter", "datacenter"),
    ];
    sorts.iter().find(|(kind, _)| takes(kind)).map_or("other", |(_, sort)| sort)
}

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const COLUMNS: &[&str] = &["path", "type", "vms", "folders", "id"];
    let wanted = args.text(SORT)?;
    let gathered = ctx.gather(&|host, call| {
        let all = folders::read(of(host)?, call, &["childEntity"])?;
        let fitting = all
            .of("Folder")
            .filter(|row| fits(args, &name(row)) && (wanted == "all" || sort(row) == wanted));
        let found: Vec<(String, Record)> = fitting
            .map(|row| {
                let path = all.path(row);
                let record = record(row, &path);
                (path, record)
            })
            .collect();
        Ok(order::by_key(found, |it| it.0.clone()))
    })?;
    vm::page("folders", COLUMNS, gathered, |it| it.1.clone(), args)
}

fn record(row: &Row, path: &str) -> Record {
    let inside = references(row.items("childEntity"));
    let of = |kind: &str| inside.iter().filter(|it| &*it.kind == kind).count() as i64;
    let (vms, folders) = (of("VirtualMachine"), of("Folder"));
    let readable = row.get("childEntity").is_some_and(|it| !matches!(it, Value::Null));
    let record = Record::new().text("path", path).text("type", sort(row));
    let record = match readable {
        true => record.int("vms", vms).int("folders", folders),
        // A property that is empty may come as none.
        false => record.int("vms", 0).int("folders", 0),
    };
    record
        .text("id", &row.at.id)
        .text("name", name(row))
        .int("others", inside.len() as i64 - vms - folders)
}

fn plan_create<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(NEW)?;
    let prepared = client(ctx)?.create_folder(&ctx.call, name, args.opt_text(PARENT))?;
    Ok(plan::about("folder", name, prepared))
}

fn plan_delete<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let path = args.text(FOLDER)?;
    Ok(plan::about("folder", path, client(ctx)?.delete_folder(&ctx.call, path)?))
}

fn plan_move<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (machine, path) = (args.text(VM)?, args.text(FOLDER)?);
    Ok(plan::prepared(machine, client(ctx)?.move_to_folder(&ctx.call, machine, path)?))
}
