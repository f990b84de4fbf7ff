//! Maintenance mode, reboot and shutdown of ESXi hosts.

use crate::change;
use crate::error::Result;
use crate::tools::args::{Arg, Args, Default, TIMEOUT};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::esxi::host::{ONE_HOST, planned};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::maintenance;

pub static TOOLS: &[Tool] = &[
    row(
        "enter_maintenance_mode",
        "Enter maintenance mode",
        "Let no VM run on a host. It waits until the running ones are moved (DRS) or stopped, 300 s by default.",
        &[EVACUATE, ONE_HOST],
        change!(plan_enter, plan::act),
    ),
    row(
        "exit_maintenance_mode",
        "Leave maintenance mode",
        "Let VMs run on a host again.",
        &[ONE_HOST],
        change!(plan_exit, plan::act),
    ),
    row(
        "reboot_host",
        "Reboot a host",
        "Reboot an ESXi host that is in maintenance mode; returns once it has begun.",
        &[FORCE, ONE_HOST],
        change!(plan_reboot, plan::act),
    ),
    row(
        "shutdown_host",
        "Shut a host down",
        "Shut down an ESXi host that is in maintenance mode; somebody must switch it on again.",
        &[FORCE, ONE_HOST],
        change!(plan_shutdown, plan::act),
    ),
];

const EVACUATE: Arg =
    Arg::flag("evacuate_vms", "expect VMs to be moved away").or(Default::Flag(true));
const FORCE: Arg = Arg::flag("force", "even outside maintenance mode; cuts running VMs off")
    .or(Default::Flag(false));

/// How long a host tries, where the call does not say.
const SECONDS: i64 = 300;

const fn row(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    args: &'static [Arg],
    run: Run,
) -> Tool {
    Tool {
        name,
        title,
        about,
        level: Level::Host,
        effect: Effect::Destroys,
        idempotent: false,
        args,
        run,
    }
}

fn plan_enter<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (evacuate, seconds) = (args.flag(EVACUATE), args.opt_int(TIMEOUT).unwrap_or(SECONDS));
    let wanted = args.opt_text(ONE_HOST);
    planned(maintenance::enter(client(ctx)?, &ctx.call, wanted, evacuate, seconds)?)
}

fn plan_exit<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let seconds = args.opt_int(TIMEOUT).unwrap_or(SECONDS);
    planned(maintenance::exit(client(ctx)?, &ctx.call, args.opt_text(ONE_HOST), seconds)?)
}

fn plan_reboot<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    restart(ctx, args, false)
}

fn plan_shutdown<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    restart(ctx, args, true)
}

fn restart<'a>(ctx: &Ctx<'a>, args: &Args, down: bool) -> Result<Plan<Deed<'a>>> {
    let (force, wanted) = (args.flag(FORCE), args.opt_text(ONE_HOST));
    planned(maintenance::restart(client(ctx)?, &ctx.call, wanted, force, down)?)
}
