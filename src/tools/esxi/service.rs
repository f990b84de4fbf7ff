//! Services, firewall and clock of ESXi hosts.

use crate::change;
use crate::error::Result;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::esxi::client;
use crate::tools::esxi::facts::with_facts;
use crate::tools::esxi::host::{ANY_HOST, ONE_HOST, of_each, planned};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::{LIMIT, OFFSET, page};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::facts::Facts;
use crate::vsphere::host_services::Verb;
use crate::vsphere::hosts::HostAt;
use crate::vsphere::{host_clock, host_firewall, host_services};

pub static TOOLS: &[Tool] = &[
    reading(
        "list_services",
        "List services",
        "The services of an ESXi host, such as SSH (TSM-SSH): running or not, start policy.",
        &[ANY_HOST, LIMIT, OFFSET],
        Run::Read(list_services),
    ),
    reading(
        "get_service_status",
        "Service status",
        "Whether a service of an ESXi host runs, and whether it starts with the host.",
        &[KEY, ANY_HOST],
        Run::Read(service_status),
    ),
    changing(
        "start_service",
        "Start a service",
        "Start a service of an ESXi host. Already running is a success.",
        Level::Admin,
        &[KEY, ONE_HOST],
        change!(plan_start, plan::act),
    ),
    changing(
        "stop_service",
        "Stop a service",
        "Stop a service of an ESXi host. What carries the connection itself is refused.",
        Level::Admin,
        &[KEY, ONE_HOST],
        change!(plan_stop, plan::act),
    ),
    changing(
        "restart_service",
        "Restart a service",
        "Stop and start a service of an ESXi host; one that does not run is started.",
        Level::Admin,
        &[KEY, ONE_HOST],
        change!(plan_restart, plan::act),
    ),
    changing(
        "set_service_policy",
        "Set a service's start policy",
        "Whether a service starts with the host (on), by hand only (off) or with its ports (automatic).",
        Level::Host,
        &[KEY, POLICY, ONE_HOST],
        change!(plan_policy, plan::act),
    ),
    reading(
        "list_firewall_rules",
        "List firewall rule sets",
        "The firewall rule sets of an ESXi host: open or closed, ports, direction, allowed addresses.",
        &[ANY_HOST, LIMIT, OFFSET],
        Run::Read(list_rules),
    ),
    Tool {
        name: "set_firewall_rule",
        title: "Open or close a rule set",
        about: "Open or close a firewall rule set of an ESXi host, such as sshServer.",
        level: Level::Host,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[RULESET, ENABLED, ONE_HOST],
        run: change!(plan_rule, plan::act),
    },
    reading(
        "get_ntp_config",
        "NTP configuration",
        "NTP servers, time zone and NTP service of a host; of one host also how far its clock is off.",
        &[ANY_HOST],
        Run::Read(ntp),
    ),
    changing(
        "configure_ntp",
        "Configure NTP",
        "Replace a host's NTP servers, and have its NTP service run now and start with the host.",
        Level::Host,
        &[SERVERS, START, ONE_HOST],
        change!(plan_ntp, plan::act),
    ),
];

const KEY: Arg = Arg::text("service_key", "key or label, such as TSM-SSH, ntpd").required();
const POLICY: Arg = Arg::text("policy", "on, off or automatic").required();
const RULESET: Arg = Arg::text("ruleset", "key or label, such as sshServer").required();
const ENABLED: Arg = Arg::flag("enabled", "true opens, false closes").required();
const SERVERS: Arg = Arg::texts("ntp_servers", "1 to 10 names or addresses").required();
const START: Arg =
    Arg::flag("start_service", "start or restart the NTP service").or(Default::Flag(true));

const SERVICES: &[&str] = &["service_key", "label", "running", "policy"];
const SERVICES_OF: &[&str] = &["host_name", "service_key", "label", "running", "policy"];
const RULES: &[&str] = &["ruleset", "label", "enabled", "ports", "allowed"];
const RULES_OF: &[&str] = &["host_name", "ruleset", "label", "enabled", "ports", "allowed"];
const CLOCKS: &[&str] = &["host_name", "ntp_servers", "time_zone", "service", "service_policy"];

const fn reading(
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
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args,
        run,
    }
}

const fn changing(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    level: Level,
    args: &'static [Arg],
    run: Run,
) -> Tool {
    Tool { name, title, about, level, effect: Effect::Destroys, idempotent: false, args, run }
}

fn list_services(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let all = host_services::list(client(ctx)?, &ctx.call, args.opt_text(ANY_HOST))?;
    listed("services", [SERVICES, SERVICES_OF], all, args)
}

fn list_rules(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let all = host_firewall::list(client(ctx)?, &ctx.call, args.opt_text(ANY_HOST))?;
    listed("rulesets", [RULES, RULES_OF], all, args)
}

/// One page of what hosts list; hosts that could not be asked come first, as rows.
fn listed(
    key: &'static str,
    [of_one, of_several]: [&'static [&'static str]; 2],
    all: Vec<(HostAt, Result<Vec<Facts>>)>,
    args: &Args,
) -> Result<Reply> {
    let columns = if all.len() == 1 { of_one } else { of_several };
    let (good, bad) = of_each(all, |named, rows| {
        rows.into_iter().map(|facts| with_facts(named(), facts)).collect()
    })?;
    let found = bad.into_iter().chain(good).map(|it| (None, it)).collect();
    page(key, columns, Gathered { found, unasked: Vec::new() }, Record::clone, args)
}

/// All that is told of a single host, or a row for each.
fn each(
    key: &'static str,
    columns: &'static [&'static str],
    all: Vec<(HostAt, Result<Facts>)>,
) -> Result<Reply> {
    let alone = all.len() == 1;
    let (mut good, mut bad) = of_each(all, |named, facts| vec![with_facts(named(), facts)])?;
    if alone {
        return Ok(Reply::record(good.pop().unwrap_or_default()));
    }
    let failed = bad.len();
    bad.append(&mut good);
    let mut rows = Rows::whole(key, columns, bad);
    rows.failed = failed;
    Ok(Reply::Rows(rows))
}

fn service_status(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let (wanted, key) = (args.opt_text(ANY_HOST), args.text(KEY)?);
    each("services", SERVICES_OF, host_services::status(client(ctx)?, &ctx.call, wanted, key)?)
}

fn ntp(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    each("hosts", CLOCKS, host_clock::read(client(ctx)?, &ctx.call, args.opt_text(ANY_HOST))?)
}

fn plan_start<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    switch(ctx, args, Verb::Start)
}

fn plan_stop<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    switch(ctx, args, Verb::Stop)
}

fn plan_restart<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    switch(ctx, args, Verb::Restart)
}

fn switch<'a>(ctx: &Ctx<'a>, args: &Args, verb: Verb) -> Result<Plan<Deed<'a>>> {
    let (host, key) = (args.opt_text(ONE_HOST), args.text(KEY)?);
    planned(host_services::switch(client(ctx)?, &ctx.call, host, key, verb)?)
}

fn plan_policy<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (host, key) = (args.opt_text(ONE_HOST), args.text(KEY)?);
    planned(host_services::set_policy(client(ctx)?, &ctx.call, host, key, args.text(POLICY)?)?)
}

fn plan_rule<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (host, ruleset) = (args.opt_text(ONE_HOST), args.text(RULESET)?);
    planned(host_firewall::set(client(ctx)?, &ctx.call, host, ruleset, args.flag(ENABLED))?)
}

fn plan_ntp<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (host, servers) = (args.opt_text(ONE_HOST), args.texts(SERVERS));
    let start = args.flag(START);
    planned(host_clock::configure(client(ctx)?, &ctx.call, host, &servers, start)?)
}
