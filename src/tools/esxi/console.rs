//! Tickets to the console, as only vSphere hands them out.

use crate::change;
use crate::error::Result;
use crate::hv::model::MachineRef;
use crate::tools::args::Args;
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Tool};
use crate::vsphere::console::Ticket;

pub static TOOLS: &[Tool] = &[Tool {
    name: "get_console_url",
    title: "Link to the console",
    about: "Links to the screen and keyboard of a running VM: WebMKS, good for one use, and VMRC.",
    level: Level::Power,
    effect: Effect::Changes,
    idempotent: false,
    args: &[VM],
    run: change!(plan_link, link),
}];

struct Link<'a> {
    at: MachineRef,
    ticket: Ticket<'a>,
}

fn plan_link<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Link<'a>>> {
    let (at, ticket) = client(ctx)?.console_ticket(&ctx.call, args.text(VM)?)?;
    let step = format!(
        "a ticket to the console of `{}` ({}) is made; who has it sees the screen and may type",
        at.name, at.id
    );
    let seen = format!("{} poweredOn", at.id);
    Ok(Plan::new(vec![step], seen, Link { at, ticket }))
}

fn link<'a>(ctx: &Ctx<'a>, it: Link<'a>) -> Result<Reply> {
    let links = it.ticket.acquire(&ctx.call)?;
    let note = "the WebMKS link works once, soon, and for whoever has it; VMRC asks for a password";
    let record = Record::new()
        .text("vm", &it.at.name)
        .text("id", &it.at.id)
        .text("webmks_url", links.web)
        .text("vmrc_url", links.vmrc)
        .maybe_text("certificate_sha1", links.thumbprint)
        .text("note", note);
    Ok(Reply::record(record))
}
