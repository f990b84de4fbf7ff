//! Serial ports of machines, as only vSphere configures them.

use crate::change;
use crate::error::Result;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Run, Tool};
use crate::vsphere::serial;
use crate::vsphere::serial::{NewLine, SerialPort};
use crate::vsphere::serial_line::Words;

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "get_serial_port",
        title: "Show serial ports",
        about: "A VM's serial ports: address, state in plain words, and where to dial.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM],
        run: Run::Read(get),
    },
    Tool {
        name: "setup_serial_port",
        title: "Set up a serial port",
        about: "Give a powered-off VM a serial port on the network, or change the one it has; opens the host's firewall for it.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, PROTOCOL, PORT, DIRECTION, YIELD, VIA, ADDRESS, PROXY, LABEL_OR_NEW],
        run: change!(plan_setup, plan::act),
    },
    Tool {
        name: "connect_serial_port",
        title: "Plug a serial port in or out",
        about: "Connect or disconnect a serial port, now and at power-on. Already so is a success.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, CONNECTED, LABEL],
        run: change!(plan_connect, plan::act),
    },
    Tool {
        name: "clear_serial_port",
        title: "Clear a serial port",
        about: "Disconnect a serial port and let it lead nowhere; the port stays.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, LABEL],
        run: change!(plan_clear, plan::act),
    },
    Tool {
        name: "remove_serial_port",
        title: "Remove a serial port",
        about: "Take a serial port away from a powered-off VM. clear_serial_port keeps it.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM, LABEL],
        run: change!(plan_remove, plan::act),
    },
];

const PROTOCOL: Arg = Arg::choice("protocol", "", &["telnet", "telnets", "tcp", "tcp+ssl"])
    .or(Default::Text("telnet"));
const PORT: Arg =
    Arg::int("port", "23 or from 1024; default: one that is free on the host", 1, 65_535);
const DIRECTION: Arg =
    Arg::choice("direction", "server: the host listens; client: it dials", &["server", "client"])
        .or(Default::Text("server"));
const YIELD: Arg =
    Arg::flag("yield_on_poll", "spare the CPU when the guest polls").or(Default::Flag(true));
const VIA: Arg =
    Arg::choice("via", "concentrator: lines go to the one at `proxy`", &["direct", "concentrator"])
        .or(Default::Text("direct"));
const ADDRESS: Arg = Arg::text("address", "host:port that a client dials");
const PROXY: Arg = Arg::text(
    "proxy",
    "the concentrator, such as telnet://10.0.0.5:13370; default: SERIAL_ADVERTISE",
);
const CONNECTED: Arg = Arg::flag("connected", "").or(Default::Flag(true));
const LABEL: Arg = Arg::text("port_label", "which one of several, such as Serial port 2");
const LABEL_OR_NEW: Arg = Arg::text("port_label", "which one of several; new adds one");

const COLUMNS: &[&str] = &[
    "label",
    "backing",
    "target",
    "direction",
    "dial",
    "connected",
    "start_connected",
    "diagnosis",
];

fn get(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let (at, ports) = serial::list(client(ctx)?, &ctx.call, args.text(VM)?)?;
    if ports.is_empty() {
        let said = format!("{} has no serial port; setup_serial_port adds one", at.name);
        let record = Record::new().text("vm", at.name).int("total", 0);
        return Ok(Reply::said(said, record.records("serial_ports", Vec::new())));
    }
    Ok(Reply::Rows(Rows::whole("serial_ports", COLUMNS, ports.iter().map(row).collect())))
}

fn row(it: &SerialPort) -> Record {
    let line = it.line.as_ref();
    Record::new()
        .text("label", &it.label)
        .text("backing", it.backing)
        .maybe_text("target", it.target.clone())
        .maybe_text("direction", line.map(|it| it.direction()))
        .maybe_text("dial", it.dial.clone())
        .flag("connected", it.connected)
        .flag("start_connected", it.start_connected)
        .text("diagnosis", &it.diagnosis)
        .maybe_text("status", it.status.clone())
        .maybe_text("protocol", line.filter(|it| it.proxy.is_none()).map(|it| it.protocol()))
        .maybe_int("port", line.filter(|it| it.proxy.is_none()).and_then(|it| it.port()))
        .maybe_text("proxy", line.and_then(|it| it.proxy.clone()))
        .flag("yield_on_poll", it.yield_on_poll)
        .int("key", it.key)
}

fn plan_setup<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let concentrator = args.text(VIA)? == "concentrator";
    let ours = ctx.consoles.advertised().filter(|_| concentrator);
    let words = Words {
        port: args.opt_int(PORT),
        server: args.text(DIRECTION)? == "server",
        concentrator,
        address: args.opt_text(ADDRESS),
        proxy: args.opt_text(PROXY).or(ours),
    };
    let new = NewLine {
        label: args.opt_text(LABEL_OR_NEW),
        protocol: args.text(PROTOCOL)?,
        target: words.target()?,
        yield_on_poll: args.flag(YIELD),
    };
    let name = args.text(VM)?;
    Ok(plan::prepared(name, serial::setup(client(ctx)?, &ctx.call, name, &new)?))
}

fn plan_connect<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, port) = (args.text(VM)?, args.opt_text(LABEL));
    let prepared = serial::connect(client(ctx)?, &ctx.call, name, port, args.flag(CONNECTED))?;
    Ok(plan::prepared(name, prepared))
}

fn plan_clear<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    let port = args.opt_text(LABEL);
    Ok(plan::prepared(name, serial::clear(client(ctx)?, &ctx.call, name, port)?))
}

fn plan_remove<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    let port = args.opt_text(LABEL);
    Ok(plan::prepared(name, serial::take_away(client(ctx)?, &ctx.call, name, port)?))
}
