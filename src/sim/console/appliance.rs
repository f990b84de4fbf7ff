//! A network appliance at its serial console: login, show and configure commands, paging, reload.
//!
//! It belongs to no vendor, but speaks the dialect that most router and switch consoles share, so
//! that scripts for these find their prompts. Surprising: `reload` forgets what was not written,
//! as there; and `save` keeps the unwritten part, because the process that ends is not a reload.

use crate::sim::console::Program;
use crate::sim::console::commands;
use crate::sim::console::commands::Act;
use crate::sim::console::commands::Found;
use crate::sim::console::editor::Editor;
use crate::sim::console::editor::Heard;
use crate::sim::console::say;
use crate::sim::console::settings::Place;
use crate::sim::console::settings::Settings;
use crate::sim::console::shows;

const MORE: &str = " --More-- ";
/// Failed logins in a row, and the seconds of silence after them.
const FAILURES: u32 = 3;
const PAUSE: u64 = 5;
/// Between the configurations in what is saved; no line of a configuration looks so.
const STARTUP: &str = "\u{c}startup\n";

const FACTORY: &str = "username admin password admin\ninterface gi0/0\ndescription uplink\n\
ip address 192.0.2.2 255.255.255.0\ninterface gi0/1\ndescription servers\n\
ip address 10.0.10.1 255.255.255.0\ninterface gi0/2\nshutdown\ninterface gi0/3\nshutdown\n\
ip route 0.0.0.0 0.0.0.0 192.0.2.1\nip name-server 192.0.2.53\n\
banner motd ^\nAuthorized access only. Everything that you do here is a rehearsal.\n^\n";

/// What the next characters are.
enum Mode {
    /// Nobody is there: Enter brings the login.
    Idle,
    Username,
    Password(String),
    /// Deaf until this second.
    Paused(u64),
    Ready,
    EnablePassword(u32),
    /// Lines that did not fit.
    More(std::vec::IntoIter<String>),
    SaveFirst,
    Confirm,
    Destination,
}

/// The appliance.
pub struct Appliance {
    running: Settings,
    startup: String,
    mode: Mode,
    editor: Editor,
    user: String,
    privileged: bool,
    /// Set while `configure terminal` lasts.
    place: Option<Place>,
    /// Lines of the screen; 0 does not page.
    length: usize,
    failures: u32,
    booted: u64,
}

impl Appliance {
    /// As it comes: admin/admin, two networks, a default route.
    pub fn new(hostname: &str) -> Appliance {
        let mut running = Settings::parse(FACTORY);
        running.hostname = hostname.to_owned();
        let startup = running.text();
        Appliance {
            running,
            startup,
            mode: Mode::Idle,
            editor: Editor::default(),
            user: String::new(),
            privileged: false,
            place: None,
            length: 24,
            failures: 0,
            booted: 0,
        }
    }

    fn rows(&self) -> u8 {
        match (&self.place, self.privileged) {
            (Some(place), _) => place.mode(),
            (None, true) => commands::PRIVILEGED,
            (None, false) => commands::USER,
        }
    }

    fn prompt(&self) -> String {
        match &self.mode {
            Mode::Username => return "Username: ".to_owned(),
            Mode::Password(_) | Mode::EnablePassword(_) => return "Password: ".to_owned(),
            Mode::Ready => {}
            _ => return String::new(),
        }
        let mark = match &self.place {
            Some(place) if place.banner.is_some() => return String::new(),
            Some(place) if place.interface.is_some() => "(config-if)#",
            Some(_) => "(config)#",
            None if self.privileged => "#",
            None => ">",
        };
        format!("{}{mark}", self.running.hostname)
    }

    fn end_session(&mut self, out: &mut Vec<u8>) {
        self.place = None;
        self.privileged = false;
        self.user.clear();
        self.length = 24;
        self.failures = 0;
        self.editor.forget();
        self.mode = Mode::Idle;
        say(out, &format!("\n{} con0 is now available\n", self.running.hostname));
        say(out, "\n\nPress RETURN to get started.\n\n");
    }

    /// A character, and the prompt if it is due.
    fn hear(&mut self, byte: u8, now: u64, out: &mut Vec<u8>) {
        match &mut self.mode {
            Mode::Paused(until) if now < *until => return,
            Mode::Paused(_) => self.mode = Mode::Username,
            Mode::Idle if byte != b'\r' => return,
            Mode::Idle => {
                if let Some((_, text)) = &self.running.banner {
                    say(out, &format!("\n{text}\n"));
                }
                say(out, "\nUser Access Verification\n\n");
                self.mode = Mode::Username;
            }
            Mode::More(lines) => {
                out.extend(MORE.bytes().map(|_| 8).chain(MORE.bytes().map(|_| b' ')));
                out.extend(MORE.bytes().map(|_| 8));
                let count = match byte {
                    b' ' => self.length.saturating_sub(1).max(1),
                    b'\r' => 1,
                    _ => 0,
                };
                lines.by_ref().take(count).for_each(|it| say(out, &it));
                if count > 0 && lines.len() > 0 {
                    return say(out, MORE);
                }
                self.mode = Mode::Ready;
            }
            Mode::Confirm => {
                self.mode = Mode::Ready;
                say(out, "\n");
                if matches!(byte, b'\r' | b'y' | b'Y') {
                    out.extend(self.boot(now));
                    return;
                }
            }
            _ => {
                if !self.edit(byte, now, out) {
                    return;
                }
            }
        }
        say(out, &self.prompt());
    }

    /// A character of a line; whether a prompt is due.
    fn edit(&mut self, byte: u8, now: u64, out: &mut Vec<u8>) -> bool {
        let echo = !matches!(self.mode, Mode::Password(_) | Mode::EnablePassword(_));
        let ready = matches!(self.mode, Mode::Ready);
        let in_banner = self.place.as_ref().is_some_and(|it| it.banner.is_some());
        if byte == b'?' && ready && !in_banner {
            let line = self.editor.line();
            say(out, "?\n");
            let text = commands::help(self.rows(), &line);
            // The list is short, so it does not page.
            say(out, &text);
            say(out, &format!("{}{line}", self.prompt()));
            return false;
        }
        match self.editor.hear(byte, echo, out) {
            Heard::Nothing => return false,
            Heard::Line(line) => self.line(&line, now, out),
            Heard::Control(b'\t') if ready => {
                let rest = commands::complete(self.rows(), &self.editor.line());
                self.editor.insert(&rest, out);
                return false;
            }
            // Ctrl-C and Ctrl-Z leave whatever it is.
            Heard::Control(3 | 0x1a) => {
                say(out, if byte == 3 { "^C\n" } else { "^Z\n" });
                self.editor.clear();
                if self.place.take().is_some() {
                    self.configured(out);
                }
                if !matches!(self.mode, Mode::Username | Mode::Password(_)) {
                    self.mode = Mode::Ready;
                }
            }
            // Ctrl-L and Ctrl-R show the line again.
            Heard::Control(0x0c | 0x12) => {
                say(out, &format!("\n{}", self.prompt()));
                if echo {
                    say(out, &self.editor.line());
                }
                return false;
            }
            Heard::Control(_) => return false,
        }
        true
    }

    fn configured(&self, out: &mut Vec<u8>) {
        say(out, &format!("%SYS-5-CONFIG_I: Configured from console by {}\n", self.user));
    }

    fn line(&mut self, line: &str, now: u64, out: &mut Vec<u8>) {
        let text = line.trim();
        match std::mem::replace(&mut self.mode, Mode::Ready) {
            Mode::Username if text.is_empty() => self.mode = Mode::Username,
            Mode::Username => self.mode = Mode::Password(text.to_owned()),
            Mode::Password(user) => {
                if self.running.users.iter().any(|it| it.0 == user && it.1 == line) {
                    self.user = user;
                    self.failures = 0;
                    self.editor.forget();
                    return say(out, "\n");
                }
                self.failures += 1;
                self.mode = Mode::Username;
                say(out, "% Login invalid\n\n");
                if self.failures >= FAILURES {
                    self.failures = 0;
                    self.mode = Mode::Paused(now.saturating_add(PAUSE));
                    say(out, &format!("% Too many failed logins, wait {PAUSE} seconds\n\n"));
                }
            }
            Mode::EnablePassword(_) if line == self.running.secret => self.privileged = true,
            Mode::EnablePassword(failed) if failed + 1 < FAILURES => {
                self.mode = Mode::EnablePassword(failed + 1);
            }
            Mode::EnablePassword(_) => say(out, "% Bad secrets\n\n"),
            Mode::SaveFirst => {
                let answer = text.to_ascii_lowercase();
                if !answer.is_empty() && "yes".starts_with(&answer) {
                    self.write(out);
                } else if answer.is_empty() || !"no".starts_with(&answer) {
                    self.mode = Mode::SaveFirst;
                    return say(out, "% Please answer 'yes' or 'no'.\nSave? [yes/no]: ");
                }
                self.mode = Mode::Confirm;
                say(out, "Proceed with reload? [confirm]");
            }
            Mode::Destination if text.is_empty() || text == "startup-config" => self.write(out),
            Mode::Destination => say(out, "%Error opening the destination (No such file)\n"),
            _ => self.command(line, now, out),
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        self.startup = self.running.text();
        say(out, "Building configuration...\n[OK]\n");
    }

    fn command(&mut self, line: &str, now: u64, out: &mut Vec<u8>) {
        let width = self.prompt().len();
        if let Some(mut place) = self.place.take() {
            let exec = line.trim_start().strip_prefix("do ").filter(|_| place.banner.is_none());
            if let Some(exec) = exec {
                let skipped = line.len() - exec.len();
                self.execute(exec, width + skipped, now, out);
                if !matches!(self.mode, Mode::Idle) {
                    self.place = Some(place);
                }
                return;
            }
            let understood = self.running.understand(&mut place, line);
            match understood {
                Ok(None) => {}
                Ok(Some((_, Act::End, _))) => return self.configured(out),
                Ok(Some((_, Act::Exit, _))) if place.interface.take().is_none() => {
                    return self.configured(out);
                }
                Ok(Some((_, Act::Exit, _))) => {}
                Ok(Some((no, act, arguments))) => {
                    if let Err(text) = self.running.change(&mut place, act, no, &arguments) {
                        say(out, text);
                        say(out, "\n");
                    } else if act == Act::Shutdown
                        && let Some(at) = place.interface
                        && let Some(interface) = self.running.interfaces.get(at)
                    {
                        let state = if no { "up" } else { "administratively down" };
                        let name = &interface.name;
                        let text =
                            format!("%LINK-3-UPDOWN: Interface {name}, changed state to {state}\n");
                        say(out, &text);
                    }
                }
                Err(wrong) => say(out, &commands::complaint(&wrong, line, width)),
            }
            self.place = Some(place);
            return;
        }
        self.execute(line, width, now, out);
    }

    /// A command that is not configuration.
    fn execute(&mut self, line: &str, width: usize, now: u64, out: &mut Vec<u8>) {
        let rows = if self.privileged { commands::PRIVILEGED } else { commands::USER };
        let (asked, filter) = line.split_once('|').map_or((line, None), |it| (it.0, Some(it.1)));
        let (act, arguments) = match commands::find(rows, asked, false) {
            Found::Nothing => return,
            Found::Do(act, arguments) => (act, arguments),
            wrong => return say(out, &commands::complaint(&wrong, line, width)),
        };
        let first = arguments.first().copied().unwrap_or_default();
        let up = now.saturating_sub(self.booted).min(3_000_000_000);
        let text = match act {
            Act::ShowVersion => shows::version(&self.running, up),
            Act::ShowClock => shows::clock(now),
            Act::ShowInterfaces if first.is_empty() => {
                shows::interfaces(&self.running.interfaces.iter().collect::<Vec<_>>(), up)
            }
            Act::ShowInterfaces => match self.running.interface(first) {
                Some(one) => shows::interfaces(&[one], up),
                None => "% Invalid interface type and number\n".to_owned(),
            },
            Act::ShowBrief => shows::brief(&self.running),
            Act::ShowRoutes => shows::routes(&self.running),
            Act::ShowUsers => {
                format!(
                    "    Line       User       Idle\n*   0 con 0    {:10} 00:00:00\n",
                    self.user
                )
            }
            Act::ShowRunning => {
                let text = self.running.text();
                format!(
                    "Building configuration...\n\nCurrent configuration : {} bytes\n{text}",
                    text.len()
                )
            }
            Act::ShowStartup if self.startup.is_empty() => {
                "startup-config is not present\n".to_owned()
            }
            Act::ShowStartup => format!("Using {} bytes\n{}", self.startup.len(), self.startup),
            Act::Ping => shows::ping(&self.running, first),
            _ => return self.act(act, first, out),
        };
        self.page(&shows::filtered(&text, filter), out);
    }

    /// What changes the session or the machine.
    fn act(&mut self, act: Act, first: &str, out: &mut Vec<u8>) {
        match act {
            Act::Enable if self.privileged || self.running.secret.is_empty() => {
                self.privileged = true
            }
            Act::Enable => self.mode = Mode::EnablePassword(0),
            Act::Disable => self.privileged = false,
            Act::TerminalLength => match first.parse() {
                Ok(length) if length <= 512 => self.length = length,
                _ => say(out, "% Invalid length, 0 to 512\n"),
            },
            Act::Configure => {
                self.place = Some(Place::default());
                say(out, "Enter configuration commands, one per line.  End with CNTL/Z.\n");
            }
            Act::Write => self.write(out),
            Act::Copy => {
                self.mode = Mode::Destination;
                say(out, "Destination filename [startup-config]? ");
            }
            Act::Erase => {
                self.startup.clear();
                say(out, "[OK]\n");
            }
            Act::Reload if self.startup == self.running.text() => {
                self.mode = Mode::Confirm;
                say(out, "Proceed with reload? [confirm]");
            }
            Act::Reload => {
                self.mode = Mode::SaveFirst;
                say(out, "\nSystem configuration has been modified. Save? [yes/no]: ");
            }
            Act::Exit | Act::Logout => self.end_session(out),
            _ => {}
        }
    }

    fn page(&mut self, text: &str, out: &mut Vec<u8>) {
        let lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        let first = match self.length {
            0 => lines.len(),
            length => length.saturating_sub(1).max(1),
        };
        let mut lines = lines.into_iter();
        lines.by_ref().take(first).for_each(|it| say(out, &it));
        if lines.len() > 0 {
            self.mode = Mode::More(lines);
            say(out, MORE);
        }
    }
}

impl Program for Appliance {
    fn boot(&mut self, now: u64) -> Vec<u8> {
        let mut out = Vec::new();
        say(&mut out, shows::BOOT);
        // Erased: as it left the factory.
        let text = if self.startup.is_empty() { FACTORY } else { self.startup.as_str() };
        self.running = Settings::parse(text);
        self.booted = now;
        self.end_session(&mut out);
        out
    }

    fn feed(&mut self, input: &[u8], now: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in input {
            if let Some(byte) = self.editor.newline(*byte) {
                self.hear(byte, now, &mut out);
            }
        }
        out
    }

    fn save(&self) -> String {
        format!("{}\n{}{STARTUP}{}", self.booted, self.running.text(), self.startup)
    }

    fn load(&mut self, saved: &str) {
        let Some((running, startup)) = saved.split_once(STARTUP) else { return };
        let Some((booted, running)) = running.split_once('\n') else { return };
        self.booted = booted.parse().unwrap_or(0);
        self.running = Settings::parse(running);
        // Read and written, so that it is bounded like everything that is typed.
        self.startup = match startup.is_empty() {
            true => String::new(),
            false => Settings::parse(startup).text(),
        };
        self.end_session(&mut Vec::new());
    }
}

#[cfg(test)]
#[path = "appliance_tests.rs"]
mod tests;
