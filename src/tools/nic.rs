//! Network cards and where they are plugged in.
//!
//! The hypervisor prepares; these rows only read arguments and tell what it says.

use crate::change;
use crate::error::Result;
use crate::hv::mac::Mac;
use crate::hv::model::Nic;
use crate::hv::nics::NicModel;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_nics",
        title: "List network cards",
        about: "A VM's network cards with model, MAC, network, connection and the guest's addresses.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, SOME_LABEL],
        run: Run::Read(list),
    },
    Tool {
        name: "add_nic",
        title: "Add a network card",
        about: "Add a network card to a VM, also to one that runs; its MAC address is generated.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, NETWORK, MODEL, START],
        run: change!(plan_add, plan::act),
    },
    Tool {
        name: "remove_nic",
        title: "Remove a network card",
        about: "Take a network card away, also from a VM that runs; its MAC address is lost.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, LABEL],
        run: change!(plan_remove, plan::act),
    },
    Tool {
        name: "change_nic_network",
        title: "Change a card's network",
        about: "Put a network card on another network, standard or distributed; MAC and connection stay.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, LABEL, NEW_NETWORK],
        run: change!(plan_network, plan::act),
    },
    Tool {
        name: "connect_nic",
        title: "Plug a card in or out",
        about: "Connect or disconnect a network card, now and at power-on. Already so is a success.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, LABEL, CONNECTED],
        run: change!(plan_connect, plan::act),
    },
    Tool {
        name: "set_nic_mac",
        title: "Set a card's MAC address",
        about: "Give a network card of a powered-off VM a MAC address of your choice.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, LABEL, MAC],
        run: change!(plan_mac, plan::act),
    },
];

const VM: Arg = Arg::text("vm_name", "VM name, id or path").required();
const SOME_LABEL: Arg = Arg::text("nic_label", "only this card, such as Network adapter 1");
const LABEL: Arg = Arg::text("nic_label", "such as Network adapter 1").required();
const NETWORK: Arg = Arg::text("network", "name or id").required();
const NEW_NETWORK: Arg = Arg::text("new_network", "name or id").required();
const MODEL: Arg =
    Arg::choice("nic_type", "", &["vmxnet3", "e1000", "e1000e"]).or(Default::Text("vmxnet3"));
const START: Arg = Arg::flag("start_connected", "").or(Default::Flag(true));
const CONNECTED: Arg = Arg::flag("connected", "").or(Default::Flag(true));
const MAC: Arg =
    Arg::text("mac_address", "best of 00:50:56:00:00:00 to 00:50:56:3f:ff:ff").required();

const COLUMNS: &[&str] =
    &["label", "model", "mac_address", "network", "connected", "start_connected", "ip_addresses"];

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let nics = ctx.nics()?.list(&ctx.call, args.text(VM)?, args.opt_text(SOME_LABEL))?;
    Ok(Reply::Rows(Rows::whole("nics", COLUMNS, nics.iter().map(row).collect())))
}

fn row(it: &Nic) -> Record {
    Record::new()
        .text("label", &it.label)
        .text("model", &it.model)
        .maybe_text("mac_address", it.mac_address.clone())
        .maybe_text("network", it.network.clone())
        .flag("connected", it.connected)
        .flag("start_connected", it.start_connected)
        .texts("ip_addresses", &it.ip_addresses)
        .maybe_text("network_kind", it.network_kind)
        .maybe_text("address_type", it.address_type.clone())
        .int("key", it.key)
}

fn plan_add<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let model = match args.text(MODEL)? {
        "e1000" => NicModel::E1000,
        "e1000e" => NicModel::E1000e,
        _ => NicModel::Vmxnet3,
    };
    let (vm, network) = (args.text(VM)?, args.text(NETWORK)?);
    Ok(plan::prepared(vm, ctx.nics()?.add(&ctx.call, vm, network, model, args.flag(START))?))
}

fn plan_remove<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let vm = args.text(VM)?;
    Ok(plan::prepared(vm, ctx.nics()?.remove(&ctx.call, vm, args.text(LABEL)?)?))
}

fn plan_network<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (vm, label) = (args.text(VM)?, args.text(LABEL)?);
    let prepared = ctx.nics()?.set_network(&ctx.call, vm, label, args.text(NEW_NETWORK)?)?;
    Ok(plan::prepared(vm, prepared))
}

fn plan_connect<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (vm, label) = (args.text(VM)?, args.text(LABEL)?);
    Ok(plan::prepared(vm, ctx.nics()?.connect(&ctx.call, vm, label, args.flag(CONNECTED))?))
}

fn plan_mac<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let vm = args.text(VM)?;
    let mac = Mac::parse(args.text(MAC)?)?;
    Ok(plan::prepared(vm, ctx.nics()?.set_mac(&ctx.call, vm, args.text(LABEL)?, mac)?))
}
