//! A Windows guest's text console: locked, then a command prompt, as on a Server Core.
//!
//! It knows the terminal, not the system behind it. Surprising: only Ctrl-Alt-Del unlocks, which a
//! keyboard cannot type as a character, so it comes as [`ATTENTION`].

use crate::sim::console::Program;
use crate::sim::console::editor::Editor;
use crate::sim::console::editor::Heard;
use crate::sim::console::linux::Shell;
use crate::sim::console::say;

/// What Ctrl-Alt-Del is fed as.
pub const ATTENTION: &[u8] = b"\x1b[3;7~";

/// Who is asked for a password.
const USER: &str = "Administrator";
const CLEAR: &[u8] = b"\x1b[H\x1b[2J";

#[derive(PartialEq)]
enum Mode {
    Locked,
    Password,
    Shell,
}

/// The console.
pub struct Windows {
    shell: Box<dyn Shell>,
    mode: Mode,
    editor: Editor,
}

impl Windows {
    /// A console of this system.
    pub fn new(shell: Box<dyn Shell>) -> Windows {
        Windows { shell, mode: Mode::Locked, editor: Editor::default() }
    }

    fn lock(&mut self) -> Vec<u8> {
        (self.mode, self.editor) = (Mode::Locked, Editor::default());
        let mut out = CLEAR.to_vec();
        let name = self.shell.hostname();
        say(&mut out, &format!("\n{name}\n\nPress Ctrl+Alt+Del to unlock."));
        out
    }

    fn line(&mut self, line: &str, out: &mut Vec<u8>) {
        match self.mode {
            Mode::Locked => return,
            Mode::Password if self.shell.login(USER, line) => {
                self.mode = Mode::Shell;
                out.extend(CLEAR);
                say(out, "Microsoft Windows [Version 10.0.20348.2227]\n\n");
            }
            Mode::Password => {
                out.extend(self.lock());
                return say(out, "\n\nThe password is incorrect. Try again.");
            }
            Mode::Shell => match line.trim() {
                "exit" | "logoff" => return out.extend(self.lock()),
                "cls" => out.extend(CLEAR),
                "" => {}
                line => {
                    let shown = self.shell.run(USER, line);
                    say(out, &shown);
                    say(out, "\n");
                }
            },
        }
        say(out, &self.shell.prompt(USER));
    }
}

impl Program for Windows {
    fn boot(&mut self, _: u64) -> Vec<u8> {
        self.lock()
    }

    fn feed(&mut self, input: &[u8], _: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if input == ATTENTION {
            out = self.lock();
            self.mode = Mode::Password;
            say(&mut out, &format!("\n\n{USER}\nPassword: "));
            return out;
        }
        for byte in input {
            let Some(byte) = self.editor.newline(*byte) else { continue };
            if self.mode == Mode::Locked {
                continue;
            }
            let echo = self.mode == Mode::Shell;
            if let Heard::Line(line) = self.editor.hear(byte, echo, &mut out) {
                self.line(&line, &mut out);
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
            (user, password) == ("Administrator", "secret")
        }
        fn run(&mut self, _: &str, line: &str) -> String {
            format!("ran {line}\n")
        }
        fn hostname(&self) -> String {
            "dc01".to_owned()
        }
        fn prompt(&self, _: &str) -> String {
            "C:\\>".to_owned()
        }
    }

    #[test]
    fn it_unlocks_and_locks() {
        let mut windows = Windows::new(Box::new(Toy));
        let mut shown = |keys: &[u8]| String::from_utf8(windows.feed(keys, 0)).unwrap();
        assert_eq!(shown(b"secret\r"), "", "locked");
        assert!(shown(ATTENTION).ends_with("Administrator\r\nPassword: "));
        assert!(shown(b"wrong\r").contains("incorrect"));
        assert_eq!(shown(b"x\r"), "");
        shown(ATTENTION);
        assert!(shown(b"secret\r").ends_with("C:\\>"));
        assert_eq!(shown(b"ver\r"), "ver\r\nran ver\r\n\r\nC:\\>");
        assert!(shown(b"exit\r").ends_with("unlock."));
    }
}
