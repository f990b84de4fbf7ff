//! Screen, keyboard and the guest agent.
//!
//! It must not know how a hypervisor takes pictures or keys. Surprising: a picture leaves as an
//! image beside the text, which a command line cannot show; there it is saved to a file.

use std::io::Write;
use std::time::Duration;

use crate::change;
use crate::error::{Error, Kind, Result};
use crate::hv::console::{Agent, Screen, Typing};
use crate::text::words::counted;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::keyboard::{DELETE, LAYOUTS, layout};
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Picture, Record, Reply};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "vm_screenshot",
        title: "Screenshot",
        about: "A picture of the screen of a running VM. Look at it after send_keys, or when a guest hangs.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, WIDTH, HEIGHT, SAVE_TO, OVERWRITE],
        run: Run::Read(screenshot),
    },
    Tool {
        name: "send_keys",
        title: "Type on the keyboard",
        about: "Type text, then press keys, at the console of a running VM; needs no tools in the guest.",
        level: Level::Admin,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, TEXT, KEYS, LAYOUT, DELAY],
        run: change!(plan_keys, plan::act),
    },
    Tool {
        name: "wait_for_vm_tools",
        title: "Wait for VMware Tools",
        about: "Wait until VMware Tools run in the guest, such as after power_on.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, TIMEOUT, INTERVAL],
        run: Run::Read(wait),
    },
    Tool {
        name: "get_vm_tools_status",
        title: "State of VMware Tools",
        about: "Whether VMware Tools run, their version and whether it is current, and what to do next.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM],
        run: Run::Read(status),
    },
];

const WIDTH: Arg = Arg::int("width", "pixels; default 1024, or by height", 16, 8192);
const HEIGHT: Arg = Arg::int("height", "pixels; default by width", 16, 8192);
const SAVE_TO: Arg = Arg::text("save_to", "also write the picture to this file (.png)");
const OVERWRITE: Arg =
    Arg::flag("overwrite", "replace a file that is there").or(Default::Flag(false));
const TEXT: Arg = Arg::text("text", "typed first; a line break is Enter").measured();
const KEYS: Arg =
    Arg::texts("keys", "pressed next, such as enter, f2, ctrl-c, ctrl-alt-del").measured();
const LAYOUT: Arg =
    Arg::choice("layout", "the keyboard that the guest expects", LAYOUTS).or(Default::Text("us"));
const DELAY: Arg = Arg::int("delay_ms", "rest after each key, for slow guests", 0, 5_000);
const TIMEOUT: Arg = Arg::int("timeout", "seconds", 1, 86_400).or(Default::Int(120));
const INTERVAL: Arg =
    Arg::int("poll_interval", "seconds between reports of progress", 1, 300).or(Default::Int(5));

/// The most keys of one call; at the usual speed they take half a minute.
const MOST_KEYS: usize = 4_000;

fn screenshot(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let console = ctx.console()?;
    let save_to = args.opt_text(SAVE_TO);
    if save_to.is_some() && ctx.level < Level::Vm {
        let (needs, has) = (Level::Vm.word(), ctx.level.word());
        return Err(Error::new(Kind::Denied, format!("save_to needs {needs}, and you have {has}"))
            .hint("Leave it out: the picture comes with the answer"));
    }
    // Before the host is asked: a name that is taken costs no picture.
    let target = match save_to {
        Some(path) => Some((path, ctx.files.create(path, args.flag(OVERWRITE))?)),
        None => None,
    };
    let (width, height) = (args.opt_int(WIDTH), args.opt_int(HEIGHT));
    let Screen { machine, bytes, unscaled } =
        console.screen(&ctx.call, args.text(VM)?, width, height)?;
    let (width, height) = size(&bytes).ok_or_else(|| {
        Error::new(Kind::Remote, format!("the picture of `{}` is broken", machine.name))
            .hint("Try again")
    })?;
    let mut said = format!("{}: {width} x {height} pixels, {} bytes", machine.name, bytes.len());
    let mut record = Record::new()
        .text("vm", &machine.name)
        .text("id", &machine.id)
        .int("width", width)
        .int("height", height)
        .int("bytes", i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    if unscaled {
        said.push_str("; this host cannot scale pictures");
    }
    match target {
        Some((path, mut target)) => {
            target.write_all(&bytes).map_err(|error| target.failed(&error))?;
            target.commit()?;
            said.push_str(&format!("; saved to {path}"));
            record = record.text("saved_to", path);
        }
        None => said.push_str("; where no picture shows, pass save_to=FILE.png"),
    }
    let picture = Picture { mime: "image/png", bytes };
    Ok(Reply::Picture { said, record, picture })
}

/// Width and height out of a PNG's first chunk.
fn size(png: &[u8]) -> Option<(i64, i64)> {
    let number = |from: usize| {
        let bytes: [u8; 4] = png.get(from..from + 4)?.try_into().ok()?;
        Some(i64::from(u32::from_be_bytes(bytes)))
    };
    let (width, height) = (number(16)?, number(20)?);
    let header = png.get(..8)? == b"\x89PNG\r\n\x1a\n" && png.get(12..16)? == b"IHDR";
    (header && width > 0 && height > 0).then_some((width, height))
}

fn plan_keys<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let console = ctx.console()?;
    let keyboard = layout(args.text(LAYOUT)?);
    let (text, keys) = (args.opt_text(TEXT).unwrap_or_default(), args.texts(KEYS));
    let mut strokes = keyboard.text(text)?;
    for (at, word) in keys.iter().enumerate() {
        strokes.extend(keyboard.key(word, at)?);
    }
    if strokes.is_empty() {
        return Err(Error::usage("there is nothing to type").hint("Pass text, keys or both"));
    }
    if strokes.len() > MOST_KEYS {
        let said = format!("{} at once are too many", counted(strokes.len(), "key"));
        return Err(Error::usage(said).hint(format!("Send {MOST_KEYS} at most")));
    }
    let told = [(text.chars().count(), "character"), (keys.len(), "key")];
    let told: Vec<String> =
        told.iter().filter(|it| it.0 > 0).map(|(count, word)| counted(*count, word)).collect();
    let told = format!("{} ({} layout)", told.join(" and "), keyboard.name);
    let pause = args.opt_int(DELAY).and_then(|it| u64::try_from(it).ok());
    let typing = Typing { strokes, pause: pause.map(Duration::from_millis), told };
    let name = args.text(VM)?;
    let resets = typing.strokes.iter().any(|it| it.control && it.alt && it.usage == DELETE);
    let loss = "what the guest has not saved: many restart on ctrl-alt-del";
    let losses = resets.then(|| loss.to_owned());
    let prepared = console.keys(&ctx.call, name, typing)?;
    Ok(plan::prepared(name, prepared.losing(losses.into_iter().collect())))
}

fn wait(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let seconds = |number: i64| Duration::from_secs(u64::try_from(number).unwrap_or(1));
    // The bound of reading calls is for short ones; this one has its own.
    let timeout = args.opt_int(args::TIMEOUT).map_or_else(|| args.int(TIMEOUT), Ok)?;
    let call = ctx.call.clone().within(seconds(timeout));
    let interval = seconds(args.int(INTERVAL)?);
    Ok(told(&ctx.console()?.await_agent(&call, args.text(VM)?, interval)?))
}

fn status(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    Ok(told(&ctx.console()?.agent(&ctx.call, args.text(VM)?)?))
}

fn told(it: &Agent) -> Reply {
    let machine = &it.machine;
    Reply::record(
        Record::new()
            .text("vm", &machine.at.name)
            .text("id", &machine.at.id)
            .text("power_state", machine.power.word())
            .flag("running", it.running)
            .maybe_text("state", machine.agent.clone())
            .maybe_text("version", it.version.clone())
            .maybe_text("version_status", it.standing.clone())
            .maybe_flag("upgrade_advised", it.upgrade_advised)
            .maybe_text("install_type", it.install_type.clone())
            .maybe_text("guest_family", it.guest_family.clone())
            .maybe_text("guest_os", it.guest_name.clone().or(machine.guest_os.clone()))
            .maybe_text("hostname", it.hostname.clone())
            .texts("ip_addresses", &machine.ip_addresses)
            .text("next", &it.next),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_tells_its_size_and_nothing_else_passes_for_one() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x04\0\0\0\x03\0".to_vec();
        assert_eq!(size(&png), Some((1024, 768)));
        assert_eq!(size(&png[..23]), None);
        png[12] = b'i';
        assert_eq!((size(&png), size(b"GIF89a"), size(b"")), (None, None, None));
    }
}
