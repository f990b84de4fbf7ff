//! ESXi hosts: what they are and how they do.
//!
//! Each tool takes `host_name`, a host within the server. Surprising: a vCenter's hosts are many,
//! so without it the answer is a short row for each; all there is to know comes for a single one.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::places::{Fact, Place, PlaceKind};
use crate::hv::prepared::Prepared;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::esxi::client;
use crate::tools::esxi::facts::{plain, with_facts};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::{LIMIT, OFFSET, page};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::Vsphere;
use crate::vsphere::facts::Facts;
use crate::vsphere::host_facts;
use crate::vsphere::hosts::HostAt;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_hosts",
        title: "List ESXi hosts",
        about: "All ESXi hosts with state, version, size, use and id, in one query.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[LIMIT, OFFSET],
        run: Run::Read(list),
    },
    reading(
        "get_host_info",
        "Host details",
        "Version, state, uptime, time zone; of one host also VMs, addresses, vCenter, licence, alarms.",
        Run::Read(|ctx, args| told(ctx, args, INFO, host_facts::info)),
    ),
    reading(
        "get_host_hardware",
        "Host hardware",
        "Vendor, model, serial, BIOS, CPU, memory; of one host also NICs, storage adapters and sensors.",
        Run::Read(|ctx, args| told(ctx, args, HARDWARE, host_facts::hardware)),
    ),
    reading(
        "get_host_networking",
        "Host networking",
        "DNS and gateway; of one host also NICs with link, switches, port groups with VLAN, vmkernel NICs.",
        Run::Read(|ctx, args| told(ctx, args, NETWORKING, host_facts::networking)),
    ),
    reading(
        "get_host_stats",
        "Host usage",
        "CPU and memory in use now, uptime; of one host also how full its datastores are.",
        Run::Read(|ctx, args| told(ctx, args, STATS, host_facts::stats)),
    ),
];

/// The host within the server, for tools that read.
pub const ANY_HOST: Arg = Arg::text("host_name", "ESXi host of the server; default: all");
/// The same for tools that change.
pub const ONE_HOST: Arg = Arg::text("host_name", "ESXi host; required if the server has several");

const fn reading(name: &'static str, title: &'static str, about: &'static str, run: Run) -> Tool {
    Tool {
        name,
        title,
        about,
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[ANY_HOST],
        run,
    }
}

const COLUMNS: &[&str] = &[
    "name",
    "connection_state",
    "maintenance_mode",
    "overall_status",
    "product",
    "cpu_cores",
    "cpu_usage_mhz",
    "memory_mb",
    "memory_usage_mb",
    "path",
    "id",
];
const INFO: &[&str] = &[
    "name",
    "connection_state",
    "maintenance_mode",
    "lockdown_mode",
    "overall_status",
    "version",
    "build",
    "vms",
    "uptime_seconds",
    "id",
];
const HARDWARE: &[&str] =
    &["name", "vendor", "model", "serial_number", "cpu_model", "cpu_cores", "memory_mb", "id"];
const NETWORKING: &[&str] = &["name", "dns_name", "domain", "dns_servers", "default_gateway", "id"];
const STATS: &[&str] = &[
    "name",
    "connection_state",
    "cpu_usage_mhz",
    "cpu_usage_percent",
    "memory_usage_mb",
    "memory_usage_percent",
    "vms",
    "uptime_seconds",
    "id",
];

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let gathered: Gathered<'_, Place> =
        ctx.gather(&|host, call| host.places().list(call, PlaceKind::Host))?;
    page("hosts", COLUMNS, gathered, place, args)
}

fn place(it: &Place) -> Record {
    let fact = |record: Record, (name, fact): &(&'static str, Fact)| plain(record, name, fact);
    let record = it.facts.iter().fold(Record::new().text("name", &it.name), fact);
    record.text("path", &it.path).text("id", &it.id)
}

type Teller = fn(&Vsphere, &Call, Option<&str>) -> Result<Vec<Facts>>;

/// All there is of a single host, or a row for each of several.
fn told(
    ctx: &Ctx<'_>,
    args: &Args,
    columns: &'static [&'static str],
    teller: Teller,
) -> Result<Reply> {
    let all = teller(client(ctx)?, &ctx.call, args.opt_text(ANY_HOST))?;
    let mut records = all.into_iter().map(|facts| with_facts(Record::new(), facts));
    Ok(match records.len() {
        1 => Reply::record(records.next().unwrap_or_default()),
        _ => Reply::Rows(Rows::whole("hosts", columns, records.collect())),
    })
}

/// What is told of each host, with its name before it; the failure of a single host is that of the
/// call, and one of several a row.
pub fn of_each<T>(
    all: Vec<(HostAt, Result<T>)>,
    tell: impl Fn(&dyn Fn() -> Record, T) -> Vec<Record>,
) -> Result<(Vec<Record>, Vec<Record>)> {
    let alone = all.len() == 1;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (host, found) in all {
        let named = || Record::new().text("host_name", &host.name);
        match found {
            Ok(found) => good.extend(tell(&named, found)),
            Err(error) if alone => return Err(error),
            Err(error) => bad.push(named().text("error", error.to_string())),
        }
    }
    Ok((good, bad))
}

/// A change of a host that is prepared, with the host's name.
pub fn planned<'a>((name, prepared): (String, Prepared<'a>)) -> Result<Plan<Deed<'a>>> {
    Ok(plan::about("host_name", &name, prepared))
}
