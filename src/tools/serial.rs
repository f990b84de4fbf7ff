//! Serial consoles: which there are, what they say, and typing into them.
//!
//! It must not know how a line is dialled. Surprising: nothing is remembered of a reader, who is told
//! a position and passes it again; and what was typed is in the log as its length, though a console
//! may echo it.

use std::time::{Duration, Instant};

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::hv::serials::Port;
use crate::serial::find::Finder;
use crate::serial::hub::Console;
use crate::serial::keys;
use crate::serial::keys::{Enter, Stroke};
use crate::text::base64;
use crate::text::words::counted;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::serial_line::{DIAL, SCREEN};
use crate::tools::serial_line::{Found, Said, about, cleaned, screenful, state};
use crate::tools::vm;
use crate::tools::vm::{LIMIT, OFFSET, VM};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_serial_consoles",
        title: "List serial consoles",
        about: "Every VM with a serial port on the network: state, address, and where a person attaches.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "read_serial",
        title: "Read a serial console",
        about: "What a VM's serial console says, as text. Pass the `next` of an answer as `since` to miss nothing.",
        level: Level::Power,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, SINCE, MAX_BYTES, WAIT, RAW, LABEL],
        run: Run::Read(read),
    },
    Tool {
        name: "write_serial",
        title: "Type on a serial console",
        about: "Type text and keys such as <ctrl-c> into a VM's serial console. expect_serial also waits for an answer.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, TEXT, NEWLINE, ENTER, LABEL],
        run: change!(plan_write, write),
    },
    Tool {
        name: "expect_serial",
        title: "Type and wait for a text",
        about: "Type into a VM's serial console and wait until a text comes; what came is the answer either way.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, PATTERN, SEND, NEWLINE, ENTER, FROM, LABEL],
        run: change!(plan_expect, expect),
    },
];

const SINCE: Arg =
    Arg::int("since", "position to read from; default: the last screenful", 0, i64::MAX);
const MAX_BYTES: Arg =
    Arg::int("max_bytes", "most raw bytes to read", 1, 1 << 20).or(Default::Int(65_536));
const WAIT: Arg =
    Arg::int("wait_seconds", "wait so long for something new", 0, 600).or(Default::Int(0));
const RAW: Arg = Arg::flag("raw", "base64 of the bytes as they came").or(Default::Flag(false));
const LABEL: Arg = Arg::text("port_label", "which one of several, such as Serial port 2");
const TEXT: Arg =
    Arg::text("text", "may hold <enter>, <tab>, <up>, <ctrl-c>, <break> ...; <lt> is a bracket")
        .measured()
        .required();
const NEWLINE: Arg = Arg::flag("newline", "Enter comes last").or(Default::Flag(true));
const ENTER: Arg = Arg::choice("enter", "what Enter sends", Enter::WORDS).or(Default::Text("cr"));
const PATTERN: Arg = Arg::text("pattern", "plain text to wait for, such as login:").required();
const SEND: Arg = Arg::text("send", "typed first, as write_serial types it").measured();
const FROM: Arg = Arg::int(
    "since",
    "position to look from; default: behind `send`, or without it the line that stands there",
    0,
    i64::MAX,
);

/// Characters of one text.
const MOST: usize = 65_536;
/// Bytes that are handed to the line at once, so that cancelling is seen.
const CHUNK: usize = 1024;
/// Bytes of one look for a pattern.
const LOOK: usize = 16 << 10;
/// How long is waited for a pattern unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer beside the text.
const AROUND: usize = 1_500;

const COLUMNS: &[&str] =
    &["vm", "port", "power", "state", "address", "attach", "bytes", "position", "writer"];

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    // Without servers to tell apart a row does not name its own.
    let one = if ctx.all_servers() { None } else { Some(ctx.server()?.name.as_str()) };
    let gathered = ctx.gather(&|host, call| {
        let mut ports = match host.serials() {
            Some(serials) => serials.ports(call, None)?,
            None => Vec::new(),
        };
        ports.retain(|it| it.network);
        Ok(ports)
    })?;
    let found = gathered
        .found
        .into_iter()
        .map(|(server, port)| (server, (server.or(one).unwrap_or_default(), port)))
        .collect();
    let gathered = Gathered { found, unasked: gathered.unasked };
    vm::page("consoles", COLUMNS, gathered, |(server, port)| row(ctx, server, port), args)
}

fn row(ctx: &Ctx<'_>, server: &str, port: &Port) -> Record {
    let about = about(server, port);
    let now = ctx.consoles.find(&about.place).map(|it| it.status());
    let held = if now.is_none() { ctx.consoles.holder(&about) } else { None };
    let shown = match (&now, &port.trouble) {
        (Some(now), None) => state(now),
        (Some(now), Some(trouble)) => format!("{}; {trouble}", state(now)),
        (None, Some(trouble)) => trouble.clone(),
        (None, None) if held.is_some() => "open in another process".to_owned(),
        (None, None) => "not open here".to_owned(),
    };
    let default = ctx.fleet.server(None).is_ok_and(|it| it.name == server);
    let mut attach = format!("jumpvisor console {}", word(&port.machine.name));
    if !default {
        attach.push_str(&format!(" --host {}", word(server)));
    }
    let socket = now.as_ref().and_then(|it| it.socket.clone()).or(held);
    let socket = socket.map(|it| it.display().to_string());
    let tcp = now.as_ref().and_then(|it| it.tcp).map(|it| it.to_string());
    let ways = [socket.clone(), tcp.clone(), (!port.closed).then_some(attach)];
    let ways: Vec<String> = ways.into_iter().flatten().collect();
    let int = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    Record::new()
        .text("vm", &port.machine.name)
        .text("port", &port.label)
        .text("power", if port.powered { "on" } else { "off" })
        .text("state", shown)
        .text("address", &port.address)
        .maybe_text("attach", (!ways.is_empty()).then(|| ways.join(" or ")))
        .maybe_int("bytes", now.as_ref().map(|it| int(it.position - it.start)))
        .maybe_int("position", now.as_ref().map(|it| int(it.position)))
        .maybe_text("writer", now.as_ref().and_then(|it| it.writer.clone()))
        .maybe_text("socket", socket)
        .maybe_text("tcp", tcp)
        .maybe_int("bytes_out", now.as_ref().map(|it| int(it.bytes_out)))
        .text("id", &port.machine.id)
}

/// A name as a shell takes it.
fn word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
    match !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', "'\\''")),
    }
}

fn read(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let desk = ctx.desk()?;
    let found = desk.find(args.text(VM)?, args.opt_text(LABEL))?;
    let console = desk.readable(&found)?;
    let most = usize::try_from(args.int(MAX_BYTES)?).unwrap_or(LOOK);
    let since = match args.opt_int(SINCE) {
        Some(since) => since.unsigned_abs(),
        None => screenful(&console, SCREEN),
    };
    let wait = Duration::from_secs(args.int(WAIT)?.unsigned_abs());
    let until = Instant::now() + wait.min(ctx.call.time_left().unwrap_or(wait));
    let (mut at, room) = (since, (ctx.cap.saturating_sub(AROUND)) / 2);
    let (piece, said) = loop {
        let left = until.saturating_duration_since(Instant::now());
        console.read(Some(at), 1, left, &|| ctx.call.cancel().is_cancelled());
        let piece = console.read(Some(since), most, Duration::ZERO, &|| true);
        let said = cleaned(&piece.bytes, piece.from, piece.dropped, room);
        // Half of a sequence is nothing to be told yet.
        let half = said.text.is_empty() && !args.flag(RAW) && piece.bytes.len() < most;
        if !half || Instant::now() >= until || ctx.call.cancel().is_cancelled() {
            break (piece, said);
        }
        at = piece.next;
    };
    if ctx.call.cancel().is_cancelled() {
        ctx.call.check()?;
    }
    if args.flag(RAW) {
        // Each three bytes are four characters, twice.
        let fits = (room / 4 * 3).min(piece.bytes.len());
        let bytes = piece.bytes.get(..fits).unwrap_or_default();
        let next = piece.from + fits as u64;
        let said =
            Said { text: base64::encode(bytes), from: piece.from, next, dropped: piece.dropped };
        return Ok(told(&found, &console, said, "base64"));
    }
    Ok(told(&found, &console, said, "text"))
}

/// The answer with what was said, and where it stands.
fn told(found: &Found, console: &Console, said: Said, as_what: &'static str) -> Reply {
    let line = format!("{} ({})", found.shown(), state(&console.status()));
    Reply::said(
        format!("{line}: {}\n{}", said.place(), said.text),
        record(found, console, &said).text(as_what, &said.text),
    )
}

impl Said {
    fn place(&self) -> String {
        let Said { from, next, dropped, .. } = self;
        let lost = match *dropped {
            0 => String::new(),
            _ => format!(" ({dropped} bytes before are not kept any more)"),
        };
        match from == next {
            true if *next == 0 => {
                "nothing was said yet; write_serial with an empty text sends Enter".to_owned()
            }
            true => format!("nothing from {from} on{lost}"),
            false => format!("bytes {from} to {next}{lost}; go on with since={next}"),
        }
    }
}

fn record(found: &Found, console: &Console, said: &Said) -> Record {
    let int = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    Record::new()
        .text("vm", &found.port.machine.name)
        .text("port", &found.port.label)
        .text("state", state(&console.status()))
        .maybe_text("trouble", found.port.trouble.as_deref())
        .int("from", int(said.from))
        .int("next", int(said.next))
        .int("dropped", int(said.dropped))
}

/// What is to be typed where, and then perhaps waited for.
struct Typing {
    found: Found,
    strokes: Vec<Stroke>,
    bytes: usize,
    /// And the position to look from.
    pattern: Option<(String, Option<u64>)>,
}

/// What is typed, for a person: its length, because it may be a password.
fn typing(ctx: &Ctx<'_>, args: &Args, text: Option<&str>) -> Result<(Typing, Vec<String>)> {
    let desk = ctx.desk()?;
    if text.is_some_and(|it| it.chars().count() > MOST) {
        return Err(Error::usage(format!("more than {MOST} characters at once"))
            .hint("Send it in parts; a serial line takes about 11 KB a second at best"));
    }
    let enter = Enter::named(args.text(ENTER)?);
    let strokes = match text {
        Some(text) => keys::strokes(text, args.flag(NEWLINE), enter)?,
        None => Vec::new(),
    };
    let found = desk.find(args.text(VM)?, args.opt_text(LABEL))?;
    found.must_be_open()?;
    let bytes =
        strokes.iter().map(|it| if let Stroke::Bytes(it) = it { it.len() } else { 0 }).sum();
    let breaks = strokes.iter().filter(|it| **it == Stroke::Break).count();
    let mut steps = Vec::new();
    if !strokes.is_empty() {
        let mut what = counted(bytes, "byte");
        if breaks > 0 {
            what.push_str(&format!(" and {}", counted(breaks, "break")));
        }
        steps.push(format!("types {what} into {}", found.shown()));
    }
    Ok((Typing { found, strokes, bytes, pattern: None }, steps))
}

fn plan_write(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Typing>> {
    let (typing, steps) = typing(ctx, args, Some(args.text(TEXT)?))?;
    if typing.strokes.is_empty() {
        return Err(Error::usage("`text` is empty").hint("With newline=true it is Enter alone"));
    }
    let seen = typing.found.about.place.machine.clone();
    Ok(Plan::new(steps, seen, typing))
}

fn write(ctx: &Ctx<'_>, typing: Typing) -> Result<Reply> {
    let desk = ctx.desk()?;
    let console = desk.connected(&typing.found)?;
    let at = console.status().position;
    type_in(ctx, &console, &typing.strokes)?;
    let what = counted(typing.bytes, "byte");
    let said = format!(
        "{}: {what} typed; read_serial with since={at} shows what comes",
        typing.found.shown()
    );
    let int = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let record = Record::new()
        .text("vm", &typing.found.port.machine.name)
        .text("port", &typing.found.port.label)
        .int("bytes", int(typing.bytes as u64))
        .int("since", int(at));
    Ok(Reply::said(said, record))
}

fn type_in(ctx: &Ctx<'_>, console: &Console, strokes: &[Stroke]) -> Result<()> {
    for stroke in strokes {
        match stroke {
            Stroke::Break => console.send_break(&ctx.who.name)?,
            Stroke::Bytes(bytes) => {
                for chunk in bytes.chunks(CHUNK) {
                    ctx.call.check()?;
                    console.write(&ctx.who.name, chunk, DIAL)?;
                }
            }
        }
    }
    Ok(())
}

fn plan_expect(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Typing>> {
    let pattern = args.text(PATTERN)?;
    Finder::new(&[pattern], 0)?;
    let (mut typing, mut steps) = typing(ctx, args, args.opt_text(SEND))?;
    let seconds = args.opt_int(crate::tools::args::TIMEOUT).unwrap_or(30);
    steps.push(format!(
        "waits up to {} for `{}` on {}",
        counted(usize::try_from(seconds).unwrap_or(0), "second"),
        quoted(pattern),
        typing.found.shown()
    ));
    typing.pattern = Some((pattern.to_owned(), args.opt_int(FROM).map(i64::unsigned_abs)));
    let seen = typing.found.about.place.machine.clone();
    Ok(Plan::new(steps, seen, typing))
}

fn expect(ctx: &Ctx<'_>, typing: Typing) -> Result<Reply> {
    let (found, Some((pattern, since))) = (typing.found, typing.pattern) else {
        return Err(Error::bug("nothing to wait for"));
    };
    let (begun, patience) = (Instant::now(), ctx.call.time_left().unwrap_or(PATIENCE));
    let desk = ctx.desk()?;
    let fresh = ctx.consoles.find(&found.about.place).is_none();
    let console = desk.connected(&found)?;
    let from = match since {
        Some(since) => since,
        // All that it said since it was opened for this.
        None if fresh => 0,
        None if typing.strokes.is_empty() => screenful(&console, 1),
        None => console.status().position,
    };
    let mut finder = Finder::new(&[&pattern], from)?;
    type_in(ctx, &console, &typing.strokes)?;
    let cancelled = || ctx.call.cancel().is_cancelled();
    let end = loop {
        let left = patience.saturating_sub(begun.elapsed());
        let piece = console.read(Some(finder.position()), LOOK, left, &cancelled);
        if cancelled() {
            return Err(Error::new(Kind::Cancelled, "cancelled by the caller")
                .hint(format!("read_serial with since={from} shows what came")));
        }
        if piece.from != finder.position() {
            finder.skip_to(piece.from);
        }
        if let Some(it) = finder.feed(&piece.bytes) {
            break Some(it.end);
        }
        // One that prints for ever must not hold us longer than was asked.
        if left.is_zero() {
            break None;
        }
    };
    // Of much that came the end is what matters.
    let (last, room) = (end.unwrap_or(finder.position()), (ctx.cap.saturating_sub(AROUND)) / 2);
    let first = from.max(last.saturating_sub(room as u64 / 3));
    let most = usize::try_from(last.saturating_sub(first)).unwrap_or(0);
    let piece = console.read(Some(first), most, Duration::ZERO, &|| true);
    let mut said = cleaned(&piece.bytes, piece.from, piece.from.saturating_sub(from), room);
    said.next = last;
    let text = quoted(&pattern);
    let seconds =
        counted(usize::try_from(patience.as_secs_f64().round() as u64).unwrap_or(0), "second");
    let outcome = match end {
        Some(_) => format!("`{text}` came"),
        None => format!("`{text}` did not come within {seconds}"),
    };
    let skipped = match said.dropped {
        0 => String::new(),
        count => format!("; {count} bytes before are left out"),
    };
    let next = said.next;
    let shown =
        format!("{}: {outcome}{skipped}; go on with since={next}\n{}", found.shown(), said.text);
    let record = record(&found, &console, &said).flag("matched", end.is_some());
    Ok(Reply::said(shown, record.text("text", &said.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_a_shell() {
        for (name, shown) in [
            ("web01", "web01"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'-x'"),
            ("", "''"),
        ] {
            assert_eq!(word(name), shown);
        }
    }

    #[test]
    fn an_answer_never_skips_what_it_has_no_room_for() {
        let bytes = [0xff; 1000];
        let said = cleaned(&bytes, 50, 0, 300);
        assert!(said.text.len() <= 300 && said.next > 50 && said.next < 1050, "{}", said.next);
        assert_eq!(said.text.chars().count() as u64, said.next - said.from);
        let said = Said { text: String::new(), from: 7, next: 7, dropped: 3 };
        assert_eq!(said.place(), "nothing from 7 on (3 bytes before are not kept any more)");
    }
}
