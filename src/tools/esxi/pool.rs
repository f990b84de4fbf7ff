//! Resource pools: what they have and use, made, deleted and filled with VMs; on an ESXi too.

use crate::change;
use crate::error::{Error, Result, quoted};
use crate::text::order;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::folder::VM;
use crate::tools::esxi::inventory::{GLOB, count, fits};
use crate::tools::esxi::{client, facts, of};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET};
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::facts::{Field, Read};
use crate::vsphere::inventory::{name, names_of, references};
use crate::vsphere::pools;
use crate::vsphere::pools::{Allotment, NewPool, Shares};
use crate::vsphere::props::Row;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_resource_pools",
        title: "List resource pools",
        about: "Resource pools with VMs, shares, reservations and limits; each cluster and host has a root pool.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "get_resource_pool_info",
        title: "Resource pool details",
        about: "A pool's shares, reservations, limits, use, VMs and child pools.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[WHICH],
        run: Run::Read(info),
    },
    Tool {
        name: "create_resource_pool",
        title: "Create a resource pool",
        about: "Make a resource pool; without limits and with normal shares unless told otherwise.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[
            NEW,
            PARENT,
            CPU_SHARES,
            CPU_RESERVATION,
            CPU_LIMIT,
            MEMORY_SHARES,
            MEMORY_RESERVATION,
            MEMORY_LIMIT,
        ],
        run: change!(plan_create, plan::act),
    },
    Tool {
        name: "delete_resource_pool",
        title: "Delete a resource pool",
        about: "Delete a resource pool; its VMs and pools move to the pool above it and run on.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[POOL_NAME],
        run: change!(plan_delete, plan::act),
    },
    Tool {
        name: "move_vm_to_resource_pool",
        title: "Move a VM to a resource pool",
        about: "Put a VM into another resource pool of its cluster or host; it keeps running.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, POOL],
        run: change!(plan_move, plan::act),
    },
];

const WHICH: Arg = Arg::text("name", "pool, or its cluster or host; default: where new VMs go");
const NEW: Arg = Arg::text("name", "").required();
const POOL_NAME: Arg = Arg::text("name", "pool name, id or path").required();
const POOL: Arg =
    Arg::text("pool", "name, id or path; a cluster or host means its root").required();
const PARENT: Arg = Arg::text("parent", "pool, cluster or host; default: where new VMs go");
const CPU_SHARES: Arg = Arg::text("cpu_shares", "low, normal, high or a number");
const CPU_RESERVATION: Arg = Arg::int("cpu_reservation_mhz", "", 0, MOST);
const CPU_LIMIT: Arg = Arg::int("cpu_limit_mhz", "", 0, MOST);
const MEMORY_SHARES: Arg = Arg::text("memory_shares", "low, normal, high or a number");
const MEMORY_RESERVATION: Arg = Arg::int("memory_reservation_mb", "", 0, MOST);
const MEMORY_LIMIT: Arg = Arg::int("memory_limit_mb", "", 0, MOST);

const MOST: i64 = 1_000_000_000;

/// Most shares that a server takes.
const MOST_SHARES: i32 = 4_000_000;

const FACTS: &[Field] = &[
    ("cpu_shares", "config.cpuAllocation.shares.shares", Read::Number),
    ("cpu_shares_level", "config.cpuAllocation.shares.level", Read::Text),
    ("cpu_reservation_mhz", "config.cpuAllocation.reservation", Read::Number),
    ("cpu_reservation_expandable", "config.cpuAllocation.expandableReservation", Read::Flag),
    ("cpu_limit_mhz", "config.cpuAllocation.limit", Read::Limit),
    ("memory_shares", "config.memoryAllocation.shares.shares", Read::Number),
    ("memory_shares_level", "config.memoryAllocation.shares.level", Read::Text),
    ("memory_reservation_mb", "config.memoryAllocation.reservation", Read::Number),
    ("memory_reservation_expandable", "config.memoryAllocation.expandableReservation", Read::Flag),
    ("memory_limit_mb", "config.memoryAllocation.limit", Read::Limit),
];

/// The memory of `runtime` is in bytes, that of everything else in MB.
const USE: &[Field] = &[
    ("cpu_usage_mhz", "runtime.cpu.overallUsage", Read::Number),
    ("cpu_max_usage_mhz", "runtime.cpu.maxUsage", Read::Number),
    ("cpu_reservation_used_mhz", "runtime.cpu.reservationUsed", Read::Number),
    ("cpu_unreserved_mhz", "runtime.cpu.unreservedForPool", Read::Number),
    ("memory_usage_mb", "runtime.memory.overallUsage", Read::Megabytes),
    ("memory_max_usage_mb", "runtime.memory.maxUsage", Read::Megabytes),
    ("memory_reservation_used_mb", "runtime.memory.reservationUsed", Read::Megabytes),
    ("memory_unreserved_mb", "runtime.memory.unreservedForPool", Read::Megabytes),
    ("memory_guest_usage_mb", "summary.quickStats.guestMemoryUsage", Read::Number),
    ("memory_host_usage_mb", "summary.quickStats.hostMemoryUsage", Read::Number),
    ("memory_ballooned_mb", "summary.quickStats.balloonedMemory", Read::Number),
    ("memory_swapped_mb", "summary.quickStats.swappedMemory", Read::Number),
    ("configured_memory_mb", "summary.configuredMemoryMB", Read::Number),
    ("overall_status", "runtime.overallStatus", Read::Text),
];

fn start(row: &Row, path: &str) -> Record {
    let kind = if &*row.at.kind == "VirtualApp" { "vapp" } else { "pool" };
    let record = Record::new().text("name", name(row)).text("path", path).text("type", kind);
    facts::add(record.int("vms", count(row.items("vm"))), row, FACTS).text("id", &row.at.id)
}

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    const COLUMNS: &[&str] = &[
        "path",
        "vms",
        "cpu_shares_level",
        "cpu_reservation_mhz",
        "cpu_limit_mhz",
        "memory_shares_level",
        "memory_reservation_mb",
        "memory_limit_mb",
        "id",
    ];
    let gathered = ctx.gather(&|host, call| {
        let all = pools::read(of(host)?, call, &["config", "vm"])?;
        let fitting = all.of("ResourcePool").filter(|row| fits(args, &name(row)));
        let found: Vec<(String, Record)> = fitting
            .map(|row| {
                let path = all.path(row);
                let record = start(row, &path);
                (path, record)
            })
            .collect();
        Ok(order::by_key(found, |it| it.0.clone()))
    })?;
    vm::page("resource_pools", COLUMNS, gathered, |it| it.1.clone(), args)
}

fn info(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let it = client(ctx)?;
    let paths = ["config", "vm", "runtime", "summary.quickStats", "summary.configuredMemoryMB"];
    let all = pools::read(it, &ctx.call, &paths)?;
    let known = pools::candidates(&all);
    let chosen = pools::pick_or_own(it, &ctx.call, &known, args.opt_text(WHICH))?;
    let row = chosen.row;
    let record = facts::add(start(row, &chosen.path), row, USE);
    let machines = names_of(it, &ctx.call, &references(row.items("vm")))?;
    let children = all
        .of("ResourcePool")
        .filter(|it| it.reference("parent").is_some_and(|parent| parent.id == row.at.id));
    let children: Vec<String> = children.map(name).collect();
    Ok(Reply::record(
        record
            .maybe_text("owner", row.reference("owner").map(|it| all.name(it)))
            .texts("children", &order::unique(children))
            .texts("vm_names", &order::by(machines, &String::cmp)),
    ))
}

fn shares(args: &Args, arg: Arg) -> Result<Option<Shares>> {
    let Some(text) = args.opt_text(arg) else { return Ok(None) };
    Ok(Some(match text.trim() {
        "low" => Shares::Low,
        "normal" => Shares::Normal,
        "high" => Shares::High,
        number => match number.parse() {
            Ok(number) if (1..=MOST_SHARES).contains(&number) => Shares::Number(number),
            _ => {
                let said = format!("`{}` is no shares for `{}`", quoted(text), arg.name);
                return Err(Error::usage(said)
                    .hint(format!("Pass low, normal, high or a number from 1 to {MOST_SHARES}")));
            }
        },
    }))
}

fn plan_create<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let allotment = |share, reservation, limit| -> Result<Allotment> {
        Ok(Allotment {
            shares: shares(args, share)?,
            reservation: args.opt_int(reservation),
            limit: args.opt_int(limit),
        })
    };
    let name = args.text(NEW)?;
    let new = NewPool {
        name,
        parent: args.opt_text(PARENT),
        cpu: allotment(CPU_SHARES, CPU_RESERVATION, CPU_LIMIT)?,
        memory: allotment(MEMORY_SHARES, MEMORY_RESERVATION, MEMORY_LIMIT)?,
    };
    Ok(plan::about("pool", name, client(ctx)?.create_pool(&ctx.call, &new)?))
}

fn plan_delete<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(POOL_NAME)?;
    Ok(plan::about("pool", name, client(ctx)?.delete_pool(&ctx.call, name)?))
}

fn plan_move<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (machine, pool) = (args.text(VM)?, args.text(POOL)?);
    Ok(plan::prepared(machine, client(ctx)?.move_to_pool(&ctx.call, machine, pool)?))
}
