//! The managed servers, and this program itself.

use crate::error::Result;
use crate::tools::args::Args;
use crate::tools::ctx::Ctx;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_servers",
        title: "List servers",
        about: "The managed servers and the `host` value of each. Opens no connection.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[],
        run: Run::Read(list),
    },
    Tool {
        name: "get_metrics",
        title: "Own metrics",
        about: "Calls, errors and latencies by tool; sessions, bytes, uptime and memory of this program.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[],
        run: Run::Read(metrics),
    },
];

fn list(ctx: &Ctx<'_>, _: &Args) -> Result<Reply> {
    let default = ctx.fleet.servers().first().map(|it| it.name.as_str());
    let row = |server: &crate::hv::fleet::Server| {
        let status = server.host.status();
        Record::new()
            .text("host", &server.name)
            .text("kind", status.kind)
            .text("user", status.user)
            .flag("default", default == Some(server.name.as_str()))
            .flag("connected", status.connected)
            .maybe_text("version", status.version)
            .text("address", status.address)
            .maybe_text("trouble", status.trouble)
    };
    let rows: Vec<Record> = ctx.servers().map(row).collect();
    Ok(Reply::Rows(Rows::whole(
        "servers",
        &["kind", "user", "default", "connected", "version", "trouble"],
        rows,
    )))
}

fn metrics(ctx: &Ctx<'_>, _: &Args) -> Result<Reply> {
    let now = ctx.metrics.read();
    let tool = |it: &crate::metrics::ToolCount| {
        Record::new()
            .text("tool", it.tool)
            .int("calls", it.calls as i64)
            .int("errors", it.errors as i64)
            .int("mean_ms", it.mean_ms as i64)
            .int("max_ms", it.max_ms as i64)
    };
    let server = |server: &crate::hv::fleet::Server| {
        let status = server.host.status();
        Record::new()
            .text("host", &server.name)
            .flag("connected", status.connected)
            .int("requests", status.requests as i64)
            .int("logins", status.logins as i64)
            .int("bytes_received", status.bytes_received as i64)
            .int("bytes_sent", status.bytes_sent as i64)
    };
    let sessions = ctx.servers().filter(|it| it.host.status().connected).count();
    Ok(Reply::record(
        Record::new()
            .int("uptime_seconds", now.uptime_seconds as i64)
            .maybe_int("memory_bytes", now.memory_bytes)
            .int("sessions", sessions as i64)
            .records("tools", now.tools.iter().map(tool).collect())
            .records("servers", ctx.servers().map(server).collect()),
    ))
}
