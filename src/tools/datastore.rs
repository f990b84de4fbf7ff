//! Files on datastores: look, delete, make folders, move and copy.
//!
//! What a datastore is and how its files are named to a server lives behind [`crate::hv::stores`];
//! this file must not know.

use crate::change;
use crate::error::Result;
use crate::hv::places::Fact;
use crate::hv::prepared::Prepared;
use crate::hv::stores::{Browse, Entry, Mount, StoreDetail, Transfer};
use crate::tools::args::{Arg, Args, Default, RESPONSE_FORMAT};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::{LIMIT, OFFSET, gigabytes, page};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "get_datastore_info",
        title: "Datastore details",
        about: "A datastore's type, size, free and promised space, state, the hosts that mount it and the VMs on it.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[NAME],
        run: Run::Read(info),
    },
    Tool {
        name: "browse_datastore",
        title: "Browse a datastore",
        about: "Files and folders on a datastore with size and time; folders end with `/`.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[DATASTORE, FOLDER, RECURSIVE, PATTERN, LIMIT, OFFSET],
        run: Run::Read(browse),
    },
    Tool {
        name: "delete_datastore_file",
        title: "Delete a file or folder",
        about: "Delete a file, a disk, or a folder with all in it from a datastore. Files of VMs are refused.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[DATASTORE, PATH],
        run: change!(plan_delete, act),
    },
    Tool {
        name: "create_datastore_folder",
        title: "Create a folder on a datastore",
        about: "Make a folder and those above it. Already there is a success.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[DATASTORE, PATH],
        run: change!(plan_folder, act),
    },
    Tool {
        name: "move_datastore_file",
        title: "Move or rename a file or folder",
        about: "Move or rename a file, disk or folder, also to another datastore. Files of VMs are refused.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[SOURCE, SOURCE_PATH, DEST, DEST_PATH, FORCE],
        run: change!(plan_move, act),
    },
    Tool {
        name: "copy_datastore_file",
        title: "Copy a file or folder",
        about: "Copy a file, disk or folder, also to another datastore.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[SOURCE, SOURCE_PATH, DEST, DEST_PATH, FORCE],
        run: change!(plan_copy, act),
    },
];

const NAME: Arg = Arg::text("name", "datastore name, id or path").required();
const DATASTORE: Arg = Arg::text("datastore", "name, id or path").required();
const FOLDER: Arg = Arg::text("path", "folder or file; default: the root");
const PATH: Arg = Arg::text("path", "such as iso/old.iso").required();
const RECURSIVE: Arg =
    Arg::flag("recursive", "also what is in the folders; slow where there is much")
        .or(Default::Flag(false));
const PATTERN: Arg = Arg::text("pattern", "glob for names, such as *.iso");
const SOURCE: Arg = Arg::text("source_datastore", "name, id or path").required();
const SOURCE_PATH: Arg = Arg::text("source_path", "file or folder").required();
const DEST: Arg = Arg::text("dest_datastore", "default: the same");
const DEST_PATH: Arg =
    Arg::text("dest_path", "default: the same; a folder, or `/` at the end, means into it");
const FORCE: Arg = Arg::flag("force", "replace a file that is there").or(Default::Flag(false));

fn is_detailed(args: &Args) -> bool {
    args.opt_text(RESPONSE_FORMAT) == Some("detailed")
}

fn info(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let detailed = is_detailed(args);
    let it = ctx.stores()?.detail(&ctx.call, args.text(NAME)?, detailed)?;
    Ok(Reply::record(detail(it, detailed)))
}

fn detail(it: StoreDetail, detailed: bool) -> Record {
    let mut record = Record::new().text("name", it.place.name);
    for (name, fact) in &it.place.facts {
        let size = match *name {
            "capacity_bytes" => Some("capacity_gb"),
            "free_bytes" => Some("free_gb"),
            "uncommitted_bytes" => Some("uncommitted_gb"),
            _ => None,
        };
        if let (Some(size), Fact::Number(bytes)) = (size, fact) {
            record = record.value(size, gigabytes(*bytes));
        }
    }
    for (name, fact) in it.place.facts {
        record = match fact {
            Fact::Flag(flag) => record.flag(name, flag),
            Fact::Number(number) => record.int(name, number),
            Fact::Text(text) => record.text(name, text),
        };
    }
    let count = i64::try_from(it.machines).unwrap_or(i64::MAX);
    record =
        record.records("hosts", it.mounts.into_iter().map(mount).collect()).int("vm_count", count);
    if detailed {
        record = record.texts("vms", &it.names);
    }
    record.text("path", it.place.path).text("id", it.place.id)
}

fn mount(it: Mount) -> Record {
    Record::new()
        .text("host", it.host)
        .maybe_text("access", it.access)
        .maybe_flag("mounted", it.mounted)
        .maybe_flag("accessible", it.accessible)
        .maybe_text("trouble", it.trouble)
}

fn browse(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let what = Browse {
        store: args.text(DATASTORE)?,
        path: args.opt_text(FOLDER).unwrap_or_default(),
        recursive: args.flag(RECURSIVE),
        pattern: args.opt_text(PATTERN),
        disks: is_detailed(args),
    };
    let found = ctx.stores()?.browse(&ctx.call, &what)?;
    let found = found.into_iter().map(|it| (None, it)).collect();
    let gathered = Gathered { found, unasked: Vec::new() };
    page("files", &["path", "type", "size_bytes", "modified"], gathered, row, args)
}

/// A file or folder as a list shows it.
pub fn row(it: &Entry) -> Record {
    Record::new()
        .text("path", &it.path)
        .text("type", it.kind)
        .maybe_int("size_bytes", it.size_bytes)
        .maybe_text("modified", it.modified.clone())
        .maybe_text("owner", it.owner.clone())
        .maybe_int("capacity_bytes", it.capacity_bytes)
        .maybe_flag("thin", it.thin)
        .maybe_text("adapter", it.adapter)
        .maybe_text("alias", it.alias.clone())
}

/// A change that waits, and the path that it is about.
struct Deed<'a> {
    path: String,
    prepared: Prepared<'a>,
}

fn planned<'a>(path: &str, mut prepared: Prepared<'a>) -> Plan<Deed<'a>> {
    let steps = std::mem::take(&mut prepared.steps);
    let losses = std::mem::take(&mut prepared.losses);
    let seen = std::mem::take(&mut prepared.seen);
    let path = if path.is_empty() { "/" } else { path };
    Plan::new(steps, seen, Deed { path: path.to_owned(), prepared }).losing(losses)
}

fn act(ctx: &Ctx<'_>, deed: Deed<'_>) -> Result<Reply> {
    let path = deed.path;
    let done = deed.prepared.run(&ctx.call).map_err(|error| error.during(format!("`{path}`")))?;
    let record = Record::new().text("path", &path).texts("done", &done);
    Ok(Reply::said(format!("{path}: {}", done.join("; ")), record))
}

fn plan_delete<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (store, path) = (args.text(DATASTORE)?, args.text(PATH)?);
    Ok(planned(path, ctx.stores()?.remove(&ctx.call, store, path)?))
}

fn plan_folder<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (store, path) = (args.text(DATASTORE)?, args.text(PATH)?);
    Ok(planned(path, ctx.stores()?.make_folder(&ctx.call, store, path)?))
}

fn plan_move<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    transfer(ctx, args, false)
}

fn plan_copy<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    transfer(ctx, args, true)
}

fn transfer<'a>(ctx: &Ctx<'a>, args: &Args, copy: bool) -> Result<Plan<Deed<'a>>> {
    let path = args.text(SOURCE_PATH)?;
    let what = Transfer {
        from_store: args.text(SOURCE)?,
        from_path: path,
        to_store: args.opt_text(DEST),
        to_path: args.opt_text(DEST_PATH),
        copy,
        force: args.flag(FORCE),
    };
    Ok(planned(path, ctx.stores()?.transfer(&ctx.call, &what)?))
}
