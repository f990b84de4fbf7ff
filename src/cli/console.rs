//! `jumpvisor console`: a person, or a pipe, at the serial console of a VM.
//!
//! Surprising: on a terminal every key goes to the guest, Ctrl-C too; a pipe is relayed byte by byte,
//! and its end is not the end before the guest has been silent for a moment.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use argh::FromArgs;

use crate::audit::Entry;
use crate::cli::escape::{Escape, Wish};
use crate::cli::print;
use crate::cli::terminal::Raw;
use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::{Call, Cancel, Rights};
use crate::serial::hub::Console;
use crate::text::json;
use crate::threads::{Words, begin};
use crate::tools::run::{Gate, correlation_id};
use crate::tools::serial_line::{DIAL, Desk, Found, SCREEN, screenful, state};

/// Between two looks at whether it is to end.
const TURN: Duration = Duration::from_millis(100);
/// Silence after which a console is drained, and how long that is waited for.
const QUIET: Duration = Duration::from_secs(1);
const DRAIN: Duration = Duration::from_secs(10);
/// Bytes that are read or shown at once.
const PIECE: usize = 16 << 10;

/// Attach to the serial console of a VM.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "console",
    note = "Every key goes to the guest but the escape key, Ctrl-] unless chosen otherwise, and what follows it: . or q leaves, b sends a break, ? shows this, Ctrl-] sends itself.\nWith a pipe on standard input bytes go both ways as they are; Enter is \\r:\n  printf 'show version\\r' | jumpvisor console edge01\nWith --listen nothing is typed here: telnet, minicom and the like attach."
)]
pub struct ConsoleCommand {
    /// the VM, by name, id or path
    #[argh(positional, arg_name = "vm")]
    vm: String,
    /// which server, as list_servers shows it
    #[argh(option, arg_name = "name")]
    host: Option<String>,
    /// which one of several ports, such as "Serial port 2"
    #[argh(option, arg_name = "label")]
    port: Option<String>,
    /// the escape key, such as ^] (default), ^a, ~ or none
    #[argh(option, arg_name = "key", default = "\"^]\".to_owned()")]
    escape: String,
    /// lend the console to telnet at this address of this machine until interrupted: address:port or
    /// port; port 0 takes a free one
    #[argh(option, arg_name = "address")]
    listen: Option<String>,
}

/// Attaches until the person leaves, the input or the output ends, or a signal comes.
pub fn run(gate: Arc<Gate>, command: &ConsoleCommand) -> Result<u8> {
    let status = attach(&gate, command);
    crate::cli::serve::end_sessions(gate);
    status
}

fn attach(gate: &Arc<Gate>, command: &ConsoleCommand) -> Result<u8> {
    let escape = Escape::parse(&command.escape)?;
    let lends = command.listen.as_deref().map(lends).transpose()?;
    if lends.is_some() && gate.offer.is_read_only() {
        return Err(Error::new(
            Kind::Denied,
            "this server is read-only (READ_ONLY), and who comes by telnet could type",
        ));
    }
    let (cancel, raw) = (Cancel::default(), Arc::new(std::sync::OnceLock::<Raw>::new()));
    let (ended, terminal) = (cancel.clone(), raw.clone());
    crate::app::signals::on_signal(move |_| {
        ended.cancel();
        if let Some(raw) = terminal.get() {
            raw.end();
        }
    })?;
    let call = Call::new(Rights::ReadOnly).cancelled_by(cancel.clone()).within(gate.call_timeout);
    let server = gate.fleet.server(command.host.as_deref())?;
    let desk = Desk { server, consoles: &gate.consoles, call: &call };
    let found = desk.find(&command.vm, command.port.as_deref())?;
    let mut entry = Entry::new(&correlation_id(), &crate::app::user(), "console");
    let (vm, port) = (json::text(&command.vm), json::text(&found.port.label));
    entry.about(Some(&server.name), json::object([("name", vm), ("port_label", port)]));
    gate.audit.begin(&entry)?;
    let begun = Instant::now();
    let result = desk.connected(&found).and_then(|console| {
        if let Some(address) = lends {
            return lend(gate, &console, address, &found, &cancel);
        }
        let mut session = Session {
            console,
            escape,
            user: crate::app::user(),
            // Who may only read may look on.
            mute: gate.offer.is_read_only(),
            cancel,
            done: Arc::default(),
            raw: false,
            told: None,
        };
        if let Some(it) = Raw::begin() {
            session.raw = raw.set(it).is_ok();
        }
        session.welcome(&found);
        let status = session.relay();
        if let Some(raw) = raw.get() {
            raw.end();
        }
        Ok(status)
    });
    gate.audit.write(entry.ended(begun.elapsed(), result.as_ref().err().map(Error::to_string)));
    result
}

/// The address of this machine that `--listen` names.
fn lends(text: &str) -> Result<SocketAddr> {
    match (text.parse::<u16>(), text.parse()) {
        (Ok(port), _) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        (_, Ok(address)) => Ok(address),
        _ => Err(Error::usage(format!("--listen `{}` is no address and port", quoted(text)))
            .hint("Write it as 127.0.0.1:2001, [::1]:2001 or 2001")),
    }
}

/// Lends the console to whoever comes by telnet, until a signal comes.
fn lend(
    gate: &Gate,
    console: &Console,
    address: SocketAddr,
    found: &Found,
    cancel: &Cancel,
) -> Result<u8> {
    let address = gate.consoles.lend(console, address)?;
    let (ip, port) = (address.ip(), address.port());
    note(false, &format!("{}: telnet {ip} {port} attaches; Ctrl-C ends it", found.shown()));
    print::line(&address.to_string())?;
    let _ = std::io::stdout().flush();
    let mut last = state(&console.status());
    while !cancel.is_cancelled() {
        std::thread::sleep(TURN);
        let now = state(&console.status());
        if now != last {
            note(false, &now);
            last = now;
        }
    }
    Ok(0)
}

struct Session {
    console: Console,
    escape: Escape,
    user: String,
    mute: bool,
    cancel: Cancel,
    /// Set by either side when it is over.
    done: Arc<AtomicBool>,
    raw: bool,
    /// When it was last told that keys are lost.
    told: Option<Instant>,
}

enum Input {
    Bytes(Vec<u8>),
    End,
}

impl Session {
    fn note(&self, text: &str) {
        note(self.raw, text);
    }

    fn welcome(&self, found: &Found) {
        let leave = match self.escape.shown().filter(|_| self.raw) {
            Some(key) => format!("; {key} then . leaves, {key} then ? helps"),
            None => String::new(),
        };
        let mute = if self.mute { "; read-only, keys are not sent" } else { "" };
        self.note(&format!("{} at {}{mute}{leave}", found.shown(), found.port.address));
    }

    /// Moves bytes both ways; the exit status.
    fn relay(&mut self) -> u8 {
        let input = typed();
        let shown = self.show();
        let status = self.listen(&input);
        self.done.store(true, Ordering::SeqCst);
        if let Ok(shown) = shown {
            let _ = shown.join();
        }
        status
    }

    /// Prints what the console says, from the last screenful on, on a thread.
    fn show(&self) -> std::io::Result<std::thread::JoinHandle<()>> {
        let (console, done, raw) = (self.console.clone(), self.done.clone(), self.raw);
        let work = move || {
            let mut output = std::io::stdout();
            let (mut at, mut last) = (screenful(&console, SCREEN), state(&console.status()));
            loop {
                let over = done.load(Ordering::SeqCst);
                let wait = if over { Duration::ZERO } else { 5 * TURN };
                let piece = console.read(Some(at), PIECE, wait, &|| done.load(Ordering::SeqCst));
                if piece.dropped > 0 {
                    note(raw, &format!("{} bytes skipped", piece.dropped));
                }
                at = piece.next;
                let written = output.write_all(&piece.bytes).and_then(|()| output.flush());
                if written.is_err() || over {
                    return done.store(true, Ordering::SeqCst);
                }
                let now = state(&console.status());
                if now != last {
                    note(raw, &now);
                    last = now;
                }
            }
        };
        begin("output", Box::new(work))
    }

    fn listen(&mut self, input: &Words<Input>) -> u8 {
        loop {
            if self.cancel.is_cancelled() {
                return Kind::Cancelled.exit_code();
            }
            if self.done.load(Ordering::SeqCst) {
                return 0;
            }
            let typed = match input.next(Some(TURN)) {
                Some(Input::Bytes(typed)) => typed,
                None => continue,
                Some(Input::End) => {
                    self.drain();
                    return 0;
                }
            };
            let wishes = match self.raw {
                true => self.escape.feed(&typed),
                false => vec![Wish::Send(typed)],
            };
            for wish in wishes {
                let sent = match wish {
                    Wish::Leave => {
                        self.note("left");
                        return 0;
                    }
                    Wish::Help => {
                        let key = self.escape.shown().unwrap_or_default();
                        let help = format!(
                            "{key} then: . or q leaves, b sends a break, {key} sends itself"
                        );
                        self.note(&help);
                        continue;
                    }
                    Wish::Break | Wish::Send(_) if self.mute => {
                        Err(Error::new(Kind::Denied, "this server is read-only (READ_ONLY)"))
                    }
                    Wish::Break => self.console.send_break(&self.user),
                    Wish::Send(bytes) => self.console.write(&self.user, &bytes, DIAL),
                };
                if let Err(error) = sent {
                    self.lost(&error);
                }
            }
        }
    }

    /// Tells that keys were not sent, and not for each of them.
    fn lost(&mut self, error: &Error) {
        if self.told.is_none_or(|it| it.elapsed() > QUIET) {
            self.note(&format!("not sent: {error}"));
        }
        self.told = Some(Instant::now());
    }

    /// Waits until the console has been silent for a while.
    fn drain(&self) {
        let begun = Instant::now();
        let (mut last, mut since) = (self.console.status().position, Instant::now());
        while begun.elapsed() < DRAIN && since.elapsed() < QUIET && !self.cancel.is_cancelled() {
            std::thread::sleep(TURN);
            let now = self.console.status().position;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }
}

fn note(raw: bool, text: &str) {
    // A raw terminal does not go back to the first column by itself.
    let around = if raw { "\r" } else { "" };
    print::note(&format!("{around}[jumpvisor] {text}{around}"));
}

/// What is typed. The reader is left behind in its read when all is over: nothing can interrupt it.
fn typed() -> Words<Input> {
    let typed = Words::default();
    let words = typed.clone();
    let read = move || {
        let mut buffer = vec![0; PIECE];
        loop {
            let piece = match std::io::stdin().read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => Input::End,
                Ok(count) => Input::Bytes(buffer.get(..count).unwrap_or_default().to_vec()),
            };
            let over = matches!(piece, Input::End);
            words.say(piece);
            if over {
                return;
            }
        }
    };
    if begin("input", Box::new(read)).is_err() {
        typed.say(Input::End);
    }
    typed
}
