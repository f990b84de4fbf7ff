//! Moving machines and their disks between hosts and datastores.

use crate::change;
use crate::error::{Error, Result};
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::disk::{LABEL, VM};
use crate::tools::esxi::client;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "migrate_vm",
        title: "Migrate a VM",
        about: "Move a VM to another host, datastore or both, while it runs (vMotion); needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, HOST, MAYBE_STORE],
        run: change!(plan_migrate, plan::act),
    },
    Tool {
        name: "storage_vmotion",
        title: "Move a VM's files",
        about: "Move all files of a VM to another datastore, while it runs; needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, STORE, THIN],
        run: change!(plan_storage, plan::act),
    },
    Tool {
        name: "move_vm_disk",
        title: "Move a disk",
        about: "Move one disk of a VM to another datastore, while it runs; needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, LABEL, STORE],
        run: change!(plan_disk, plan::act),
    },
];

const HOST: Arg = Arg::text("target_host", "in the same datacenter");
const MAYBE_STORE: Arg = Arg::text("target_datastore", "default: the files stay");
const STORE: Arg = Arg::text("target_datastore", "").required();
const THIN: Arg = Arg::flag("thin_provision", "true thin, false thick; default: as they are");

fn plan_migrate<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, host, store) = (args.text(VM)?, args.opt_text(HOST), args.opt_text(MAYBE_STORE));
    if host.is_none() && store.is_none() {
        return Err(
            Error::usage("nowhere to move to").hint("Pass target_host, target_datastore or both")
        );
    }
    Ok(plan::prepared(name, client(ctx)?.migrate(&ctx.call, name, host, store)?))
}

fn plan_storage<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, store) = (args.text(VM)?, args.text(STORE)?);
    let prepared = client(ctx)?.move_storage(&ctx.call, name, store, args.opt_flag(THIN))?;
    Ok(plan::prepared(name, prepared))
}

fn plan_disk<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, disk, store) = (args.text(VM)?, args.text(LABEL)?, args.text(STORE)?);
    Ok(plan::prepared(name, client(ctx)?.move_disk(&ctx.call, name, disk, store)?))
}
