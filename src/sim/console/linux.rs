//! A Linux guest's text console: boot lines, login, and a shell that somebody else provides.
//!
//! It knows the terminal, not the system behind it. Surprising: `reboot` is played here, as far as
//! the console shows it; what `poweroff` does is for the shell.

use crate::sim::console::Program;
use crate::sim::console::editor::Editor;
use crate::sim::console::editor::Heard;
use crate::sim::console::say;

/// The system behind the console.
pub trait Shell: Send {
    /// Whether this user may enter.
    fn login(&mut self, user: &str, password: &str) -> bool;

    /// Runs one line; what it prints, lines ending in `\n`.
    fn run(&mut self, user: &str, line: &str) -> String;

    /// The name before the login.
    fn hostname(&self) -> String;

    /// What stands before the line that is typed.
    fn prompt(&self, user: &str) -> String {
        let mark = if user == "root" { '#' } else { '$' };
        format!("{user}@{}:~{mark} ", self.hostname())
    }
}

const BOOT: &str = "\
[    0.000000] Linux version 6.1.0-18-amd64 (gcc 12.2.0) #1 SMP PREEMPT_DYNAMIC
[    0.000000] Command line: BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro console=tty0 console=ttyS0
[    0.004012] DMI: VMware, Inc. VMware Virtual Platform/440BX Desktop Reference Platform
[    0.512044] Freeing unused kernel image (initmem) memory: 2796K
[    0.931870] vmxnet3 0000:0b:00.0 ens192: NIC Link is Up 10000 Mbps
[    1.204411] EXT4-fs (sda1): mounted filesystem with ordered data mode.
[  OK  ] Started Journal Service.
[  OK  ] Reached target Network.
[  OK  ] Started OpenSSH server.
[  OK  ] Reached target Multi-User System.
";

/// After so many wrong passwords the login begins anew, with its greeting.
const FAILURES: u32 = 3;

enum Mode {
    Login,
    Password(String),
    Shell(String),
}

/// The console.
pub struct Linux {
    shell: Box<dyn Shell>,
    tty: &'static str,
    mode: Mode,
    editor: Editor,
    failures: u32,
}

impl Linux {
    /// A console on `tty1` or `ttyS0`.
    pub fn new(shell: Box<dyn Shell>, tty: &'static str) -> Linux {
        Linux { shell, tty, mode: Mode::Login, editor: Editor::default(), failures: 0 }
    }

    fn greet(&mut self, out: &mut Vec<u8>) {
        self.mode = Mode::Login;
        self.failures = 0;
        self.editor.forget();
        say(out, &format!("\nDebian GNU/Linux 12 {} {}\n\n", self.shell.hostname(), self.tty));
    }

    fn prompt(&self) -> String {
        match &self.mode {
            Mode::Login => format!("{} login: ", self.shell.hostname()),
            Mode::Password(_) => "Password: ".to_owned(),
            Mode::Shell(user) => self.shell.prompt(user),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        say(out, BOOT);
        self.greet(out);
    }

    fn line(&mut self, line: &str, out: &mut Vec<u8>) {
        let text = line.trim();
        match std::mem::replace(&mut self.mode, Mode::Login) {
            Mode::Login if text.is_empty() => {}
            Mode::Login => self.mode = Mode::Password(text.to_owned()),
            Mode::Password(user) => {
                if self.shell.login(&user, line) {
                    self.failures = 0;
                    self.editor.forget();
                    self.mode = Mode::Shell(user);
                    return;
                }
                say(out, "\nLogin incorrect\n");
                self.failures += 1;
                if self.failures >= FAILURES {
                    self.greet(out);
                }
            }
            Mode::Shell(user) => {
                match (text, user.as_str()) {
                    ("exit" | "logout", _) => return self.greet(out),
                    ("clear", _) => out.extend(b"\x1b[H\x1b[2J"),
                    ("reboot", "root") | ("sudo reboot", _) => {
                        say(out, "[  OK  ] Reached target System Reboot.\n");
                        say(out, "[ 9041.118231] reboot: Restarting system\n\n");
                        return self.start(out);
                    }
                    ("", _) => {}
                    _ => {
                        let shown = self.shell.run(&user, text);
                        say(out, &shown);
                        if !shown.is_empty() && !shown.ends_with('\n') {
                            say(out, "\n");
                        }
                    }
                }
                self.mode = Mode::Shell(user);
            }
        }
    }

    fn hear(&mut self, byte: u8, out: &mut Vec<u8>) {
        let echo = !matches!(self.mode, Mode::Password(_));
        match self.editor.hear(byte, echo, out) {
            Heard::Line(line) => self.line(&line, out),
            Heard::Control(3) => {
                self.editor.clear();
                say(out, "^C\n");
                if !matches!(self.mode, Mode::Shell(_)) {
                    self.greet(out);
                }
            }
            // Ctrl-D at the beginning of a line.
            Heard::Control(4) if self.editor.line().is_empty() => {
                say(out, "\n");
                self.greet(out);
            }
            Heard::Control(0x0c) if echo => {
                out.extend(b"\x1b[H\x1b[2J");
                say(out, &self.prompt());
                return say(out, &self.editor.line());
            }
            _ => return,
        }
        say(out, &self.prompt());
    }
}

impl Program for Linux {
    fn boot(&mut self, _: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.start(&mut out);
        say(&mut out, &self.prompt());
        out
    }

    fn feed(&mut self, input: &[u8], _: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in input {
            if let Some(byte) = self.editor.newline(*byte) {
                self.hear(byte, &mut out);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Toy;

    impl Shell for Toy {
        fn login(&mut self, user: &str, password: &str) -> bool {
            (user, password) == ("ann", "pw d")
        }
        fn run(&mut self, user: &str, line: &str) -> String {
            format!("{user} ran\n{line}")
        }
        fn hostname(&self) -> String {
            "web01".to_owned()
        }
    }

    fn type_in(linux: &mut Linux, keys: &str) -> String {
        String::from_utf8(linux.feed(keys.as_bytes(), 0)).unwrap()
    }

    #[test]
    fn a_session_from_boot_to_logout() {
        let mut linux = Linux::new(Box::new(Toy), "ttyS0");
        let boot = String::from_utf8(linux.boot(0)).unwrap();
        assert!(boot.contains("Linux version"));
        assert!(boot.ends_with("Debian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: "), "{boot}");
        assert_eq!(type_in(&mut linux, "ann\n"), "ann\r\nPassword: ");
        assert_eq!(type_in(&mut linux, "pw d\r"), "\r\nann@web01:~$ ");
        let ran = type_in(&mut linux, "  ls -x\x7fl \r");
        assert!(ran.ends_with("\r\nann ran\r\nls -l\r\nann@web01:~$ "), "{ran:?}");
        assert_eq!(type_in(&mut linux, "nonsense\x03"), "nonsense^C\r\nann@web01:~$ ");
        assert!(type_in(&mut linux, "\x04").ends_with("web01 login: "));
    }

    #[test]
    fn wrong_passwords_and_a_reboot() {
        let mut linux = Linux::new(Box::new(Toy), "tty1");
        linux.boot(0);
        let shown = type_in(&mut linux, "ann\r~\rann\r~\rann\r~\r");
        assert_eq!(shown.matches("Login incorrect").count(), 3);
        assert_eq!(shown.matches("Debian").count(), 1);
        assert!(!shown.replace(":~$", "").contains('~'));
        let shown = type_in(&mut linux, "ann\rpw d\rsudo reboot\r");
        assert!(shown.contains("Restarting system") && shown.ends_with("web01 login: "));
    }
}
