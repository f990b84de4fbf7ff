//! Templates and machines made of them.

use crate::change;
use crate::error::Result;
use crate::hv::lifecycle::NewClone;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::disk::VM;
use crate::tools::esxi::client;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::vm_change::new_name;
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "convert_to_template",
        title: "Convert to a template",
        about: "Make a template of a powered-off VM; needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM],
        run: change!(plan_template, plan::act),
    },
    Tool {
        name: "convert_to_vm",
        title: "Convert to a VM",
        about: "Make a VM of a template, which is then no template any more; needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[TEMPLATE, POOL],
        run: change!(plan_machine, plan::act),
    },
    Tool {
        name: "deploy_from_template",
        title: "Deploy from a template",
        about: "Make a new VM out of a template, customized if asked; needs vCenter. clone_vm copies VMs.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[TEMPLATE, NEW_NAME, DATASTORE, POWER_ON, CUSTOMIZATION, FOLDER],
        run: change!(plan_deploy, plan::act),
    },
];

const TEMPLATE: Arg = Arg::text("template_name", "template name, id or path").required();
const POOL: Arg = Arg::text("resource_pool", "default: that of its host or cluster");
const NEW_NAME: Arg = Arg::text("new_vm_name", "").required();
const DATASTORE: Arg = Arg::text("datastore", "default: the template's");
const POWER_ON: Arg = Arg::flag("power_on", "").or(Default::Flag(false));
const CUSTOMIZATION: Arg =
    Arg::text("customization", "name of a customization specification of the vCenter");
const FOLDER: Arg = Arg::text("folder", "default: where the template is");

fn plan_template<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    Ok(plan::prepared(name, client(ctx)?.to_template(&ctx.call, name)?))
}

fn plan_machine<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(TEMPLATE)?;
    let prepared = client(ctx)?.to_machine(&ctx.call, name, args.opt_text(POOL))?;
    Ok(plan::prepared(name, prepared))
}

fn plan_deploy<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let new = NewClone {
        name: new_name(args.text(NEW_NAME)?)?,
        power_on: args.flag(POWER_ON),
        datastore: args.opt_text(DATASTORE).map(str::to_owned),
        folder: args.opt_text(FOLDER).map(str::to_owned),
        linked: false,
    };
    let (template, spec) = (args.text(TEMPLATE)?, args.opt_text(CUSTOMIZATION));
    let prepared = client(ctx)?.deploy(&ctx.call, template, &new, spec)?;
    Ok(plan::prepared(&new.name, prepared))
}
