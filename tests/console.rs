//! `jumpvisor console` as a person and as a script has it: on a terminal and on a pipe.
//!
//! The terminal is one that `script` makes. What is typed into it goes in after what shows that the
//! program is ready for it.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/programs.rs"]
mod programs;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use programs::{PROGRAM, Program, simulate};

/// A simulated host whose `edge01` has a console.
struct Rig {
    _host: Program,
    url: String,
    folder: PathBuf,
}

impl Rig {
    fn start(port: u16) -> Rig {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("console-{port}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("env"), "").unwrap();
        let (host, url) = simulate(&folder);
        let rig = Rig { _host: host, url, folder };
        for call in [
            "call power_off name=edge01".to_owned(),
            format!("call setup_serial_port name=edge01 port={port}"),
            "call power_on name=edge01".to_owned(),
        ] {
            let mut command = rig.command(PROGRAM);
            assert!(command.args(call.split(' ')).output().unwrap().status.success(), "{call}");
        }
        rig
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ESXI_HOST", &self.url).env("ESXI_USER", "root").env("ESXI_PASS", "secret");
        command.current_dir(&self.folder);
        command
    }

    /// Words in a shell on a terminal of its own.
    fn terminal(&self, words: &str) -> Terminal {
        let mut command = self.command("script");
        command.args(["-q", "-e", "-c", words, "/dev/null"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("no `script` here");
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Terminal { child, input, output, seen: String::new() }
    }
}

struct Terminal {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    seen: String,
}

impl Terminal {
    fn keys(&mut self, keys: &[u8]) {
        self.input.write_all(keys).unwrap();
        self.input.flush().unwrap();
    }

    /// What is shown up to this text.
    fn until(&mut self, text: &str) -> String {
        while !self.seen.contains(text) {
            let mut piece = [0; 4096];
            let count = self.output.read(&mut piece).unwrap();
            assert!(count > 0, "`{text}` did not come: {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        let (before, behind) = self.seen.split_once(text).unwrap();
        let (before, behind) = (before.to_owned(), behind.to_owned());
        self.seen = behind;
        before
    }
}

#[test]
fn a_person_types_leaves_and_has_the_terminal_back() {
    let rig = Rig::start(47561);
    let words = format!("stty -g; {PROGRAM} console edge01; echo status=$?; stty -g; echo end");
    let mut terminal = rig.terminal(&words);
    let before = terminal.until("\r\n");
    terminal.until("Ctrl-] then . leaves");
    terminal.keys(b"\r");
    terminal.until("Username: ");
    terminal.keys(b"admin\radmin\r");
    terminal.until("edge01>");
    // Control-C is for the guest.
    terminal.keys(b"show x\x03");
    terminal.until("^C");
    terminal.keys(b"\x1d?");
    terminal.until("sends a break");
    terminal.keys(b"\x1d.");
    terminal.until("[jumpvisor] left");
    terminal.until("status=0\r\n");
    assert_eq!(terminal.until("\r\n"), before, "the terminal is as it was");
    terminal.until("end");
    terminal.child.wait().unwrap();
    // A signal gives the terminal back too.
    let run = format!("sh -c 'echo pid=$$; exec {PROGRAM} console edge01'");
    let mut terminal = rig.terminal(&format!("stty -g; {run}; echo status=$?; stty -g"));
    let before = terminal.until("\r\n");
    terminal.until("pid=");
    let pid = terminal.until("\r\n");
    terminal.until("then . leaves");
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    terminal.until("status=130\r\n");
    assert_eq!(terminal.until("\r\n"), before);
    terminal.child.wait().unwrap();
}

#[test]
fn a_pipe_is_relayed_and_ends_when_the_guest_is_silent() {
    let rig = Rig::start(47562);
    let run = |args: &[&str], typed: &[u8]| {
        let mut command = rig.command(PROGRAM);
        command.arg("console").args(args).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(typed).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (status, said, told) = run(&["edge01"], b"\radmin\radmin\rshow version\r");
    assert!(status == 0 && said.ends_with("\r\nedge01>"), "{status} {said} {told}");
    assert!(said.contains("System image file is") && !said.contains("[jumpvisor]"), "{said}");
    assert!(
        told.starts_with("[jumpvisor] Serial port 1 of `edge01` at telnet://127.0.0.1:47562\n")
    );
    // The escape key is no more than a byte here.
    let (status, said, _) = run(&["edge01"], b"\x1d.\x15sh ver\r");
    assert!(status == 0 && said.contains("System image file is"), "{said}");
    for (args, status, said) in [
        (&["nobody"][..], 3, "no VM `nobody`"),
        (&["web01"], 3, "has no serial port"),
        (&["edge01", "--port", "x"], 3, "There are: Serial port 1"),
        (&["edge01", "--escape", "xx"], 2, "is no key"),
        (&["edge01", "--host", "x"], 3, "no server is called `x`"),
    ] {
        let (code, _, told) = run(args, b"");
        assert!(code == status && told.contains(said), "{code} {told}");
    }
    let (status, said, told) = {
        let mut command = rig.command(PROGRAM);
        command.args(["--read-only", "console", "edge01"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"show clock\r").unwrap();
        let it = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (it.status.code().unwrap(), text(&it.stdout), text(&it.stderr))
    };
    assert!(status == 0 && told.contains("not sent: this server is read-only"), "{told}");
    assert!(!said.contains("show clock"), "{said}");
}
