//! Tags of machines, which only a vCenter has.

use crate::change;
use crate::error::Result;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::folder::VM;
use crate::tools::esxi::inventory::{GLOB, fits};
use crate::tools::esxi::{client, of};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::tags::Tag;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_tags",
        title: "List tags",
        about: "Tags with their categories. Needs vCenter.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, CATEGORY, LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "get_vm_tags",
        title: "Tags of a VM",
        about: "The tags that a VM has. Needs vCenter.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[vm::VM],
        run: Run::Read(of_vm),
    },
    Tool {
        name: "apply_tag_to_vm",
        title: "Put a tag on a VM",
        about: "Put a tag that exists on a VM; list_tags shows them. Needs vCenter.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, TAG, CATEGORY],
        run: change!(plan_apply, plan::act),
    },
    Tool {
        name: "remove_tag_from_vm",
        title: "Take a tag off a VM",
        about: "Take a tag off a VM; the tag itself stays. Needs vCenter.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM, TAG, CATEGORY],
        run: change!(plan_remove, plan::act),
    },
];

const TAG: Arg = Arg::text("tag", "name or id").required();
const CATEGORY: Arg = Arg::text("category", "name or id, where several have a tag of that name");
const COLUMNS: &[&str] = &["category", "name", "description", "id"];

fn row(it: &Tag) -> Record {
    let cardinality = if it.single { "single" } else { "multiple" };
    Record::new()
        .text("category", &it.category)
        .text("name", &it.name)
        .text("description", &it.description)
        .text("id", &it.id)
        .text("category_id", &it.category_id)
        .text("cardinality", cardinality)
        .texts("for_types", &it.types)
}

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let gathered = ctx.gather(&|host, call| {
        let mut tags = of(host)?.tags(call, args.opt_text(CATEGORY))?;
        tags.retain(|it| fits(args, &it.name));
        Ok(tags)
    })?;
    vm::page("tags", COLUMNS, gathered, row, args)
}

fn of_vm(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let it = client(ctx)?;
    it.needs_tags(&ctx.call)?;
    let at = it.locate(&ctx.call, args.text(vm::VM)?)?;
    let rows = it.tags_of(&ctx.call, &at)?.iter().map(row).collect();
    Ok(Reply::Rows(Rows::whole("tags", COLUMNS, rows)))
}

fn plan_apply<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (machine, tag) = (args.text(VM)?, args.text(TAG)?);
    let prepared = client(ctx)?.apply_tag(&ctx.call, machine, tag, args.opt_text(CATEGORY))?;
    Ok(plan::prepared(machine, prepared))
}

fn plan_remove<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (machine, tag) = (args.text(VM)?, args.text(TAG)?);
    let prepared = client(ctx)?.remove_tag(&ctx.call, machine, tag, args.opt_text(CATEGORY))?;
    Ok(plan::prepared(machine, prepared))
}
