//! The managed servers, and this program itself.

use crate::error::Result;
use crate::tools::args::Args;
use crate::tools::counts::gauges;
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
    let read = ctx.metrics.read();
    let now = gauges(&mut ctx.servers(), ctx.consoles, ctx.audit);
    // Counts of servers that the caller may not know are not for him either.
    let known = |it: &&crate::metrics::ToolCount| {
        matches!(it.server.as_str(), "" | "all") || now.servers.iter().any(|s| s.name == it.server)
    };
    let tool = |it: &crate::metrics::ToolCount| {
        let kind = |(kind, count): &(&str, u64)| format!("{count} {kind}");
        let kinds: Vec<String> = it.errors.iter().map(kind).collect();
        Record::new()
            .text("tool", it.tool)
            .maybe_text("host", Some(it.server.clone()).filter(|it| !it.is_empty()))
            .int("calls", it.calls as i64)
            .int("errors", it.errors.iter().map(|it| it.1 as i64).sum())
            .maybe_text("error_kinds", Some(kinds.join(" and ")).filter(|it| !it.is_empty()))
            .int("mean_ms", it.mean_ms as i64)
            .int("max_ms", it.max_ms as i64)
    };
    let server = |it: &crate::metrics::ServerNow| {
        Record::new()
            .text("host", &it.name)
            .flag("connected", it.connected)
            .int("requests", it.requests as i64)
            .int("logins", it.logins as i64)
            .int("leases", it.leases as i64)
            .int("bytes_received", it.received as i64)
            .int("bytes_sent", it.sent as i64)
    };
    let mut record = Record::new()
        .int("uptime_seconds", read.uptime_seconds as i64)
        .maybe_int("memory_bytes", read.memory_bytes)
        .int("calls_running", read.running as i64)
        .int("sessions", now.servers.iter().filter(|it| it.connected).count() as i64)
        .int("audit_lines_lost", now.audit_lost.iter().map(|it| it.1 as i64).sum())
        .maybe_text("audit_trouble", ctx.audit.trouble());
    // What nobody uses is left out.
    let consoles = now.consoles.iter().filter(|it| it.1 > 0);
    let consoles: Vec<Record> = consoles
        .map(|(state, count)| Record::new().text("state", *state).int("consoles", *count as i64))
        .collect();
    if !consoles.is_empty() {
        record = record.int("people", now.people as i64).records("consoles", consoles);
    }
    if read.answers.iter().any(|it| *it > 0) {
        let names = ["http_1xx", "http_2xx", "http_3xx", "http_4xx", "http_5xx"];
        for (name, count) in names.into_iter().zip(read.answers) {
            record = record.int(name, count as i64);
        }
        record = record.int("rate_limited", read.limited as i64);
    }
    Ok(Reply::record(
        record
            .records("tools", read.tools.iter().filter(known).map(tool).collect())
            .records("servers", now.servers.iter().map(server).collect()),
    ))
}
