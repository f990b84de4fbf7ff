//! Transcripts: what goes over standard input and output, line by line, with the real program.
//!
//! `tests/cases/*.txt`: `> line` is sent, `< line` must come back; what is volatile is hidden as
//! `common/volatile.rs` says. A file begins with `# server: none`, `esx` or `vpx` and flags of the
//! public simulator; `# flags:` and `# env:` are for jumpvisor; other `#` lines are for people.
//! `! lose sessions` and `! forget counts` are done to the simulator, `! count METHOD` asks it,
//! `! bytes HEX` and `! long NUMBER` send a line that is no text, or too much of it, `! end` ends
//! the input. UPDATE=1 writes the answers into the files: read the difference before a commit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "common/simulator.rs"]
mod simulator;
#[path = "common/volatile.rs"]
mod volatile;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use jumpvisor::text::json;
use jumpvisor::text::json::{Object, Value};

use crate::simulator::{PASSWORD, Simulator};
use crate::volatile::Volatile;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases");

/// Tools that the public simulator cannot play the good way, and why.
const ONLY_BAD: &[(&str, &str)] = &[
    ("reboot_guest", "it has no RebootGuest"),
    ("rename_snapshot", "it has no RenameSnapshot"),
    ("standby_guest", "it has no StandbyGuest"),
];

/// How long an answer may take.
const SOON: Duration = Duration::from_secs(30);

fn cases() -> Vec<PathBuf> {
    let files = std::fs::read_dir(CASES).expect("no tests/cases").map(|it| it.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|it| it.extension().is_some()).collect();
    files.sort();
    assert!(files.len() > 5, "tests/cases holds almost nothing");
    files
}

/// The program under test, and all that belongs to one case.
struct Session {
    process: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: PathBuf,
    simulator: Option<Simulator>,
    volatile: Volatile,
    syncs: usize,
}

impl Session {
    fn start(name: &str, text: &str) -> Session {
        let heads = |key: &str| {
            let key = format!("# {key}:");
            let values = text.lines().filter_map(|line| line.strip_prefix(&key));
            values.map(|it| it.trim().to_owned()).collect::<Vec<_>>()
        };
        let server = heads("server").concat();
        let words: Vec<&str> = server.split_whitespace().collect();
        let (model, rest) =
            words.split_first().expect("the first line is `# server: none|esx|vpx`");
        let simulator = (*model != "none").then(|| Simulator::start(model, rest));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let errors = folder.join("stderr");
        let settings = folder.join("env");
        // An empty file, so that none of this machine is read.
        std::fs::write(&settings, "").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jumpvisor"));
        command.env_clear().current_dir(&folder).arg("--config").arg(&settings);
        command.args(heads("flags").iter().flat_map(|it| it.split_whitespace()));
        if let Some(simulator) = &simulator {
            let (prefix, pass) = match *model {
                "esx" => ("ESXI", "ESXI_PASS"),
                _ => ("VCENTER", "VCENTER_PASSWORD"),
            };
            command.env(format!("{prefix}_HOST"), format!("http://{}", simulator.address));
            command.env(format!("{prefix}_USER"), "root").env(pass, PASSWORD);
            if *model == "esx" {
                command.env("ESXI_NAME", "lab");
            }
        }
        for setting in heads("env") {
            let (name, value) = setting.split_once('=').expect("`# env: NAME=VALUE`");
            command.env(name, value);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(&errors).unwrap());
        let mut process = command.spawn().expect("jumpvisor cannot be run");
        let (input, stdout) = (process.stdin.take(), process.stdout.take().unwrap());
        let (sender, output) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let (volatile, syncs) = (Volatile::default(), 0);
        Session { process, input, output, errors, simulator, volatile, syncs }
    }

    fn send(&mut self, line: &[u8]) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("the input has ended")?;
        let sent = input.write_all(line).and_then(|()| input.write_all(b"\n"));
        sent.map_err(|error| format!("it reads no more: {error}"))
    }

    /// Lines up to the one that ends the wait, that one included.
    fn until(&mut self, last: impl Fn(&Object) -> bool) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let line = self.output.recv_timeout(SOON).map_err(|_| {
                let said = std::fs::read_to_string(&self.errors).unwrap_or_default();
                format!("no answer; before that: {lines:?}; standard error: {said}")
            })?;
            let leak =
                line.contains(PASSWORD) || line.contains(json::quote(PASSWORD).trim_matches('"'));
            if leak {
                return Err(format!("the password is in an answer: {line}"));
            }
            let Ok(Value::Object(message)) = json::parse(&line) else {
                return Err(format!("not a message: {line}"));
            };
            lines.push(line);
            if last(&message) {
                return Ok(lines);
            }
        }
    }

    /// Sends a line; what is said to it.
    fn exchange(&mut self, line: &[u8]) -> Result<Vec<String>, String> {
        self.send(line)?;
        let request = std::str::from_utf8(line).ok().and_then(|line| json::parse(line).ok());
        let id = match request {
            Some(Value::Object(it)) if it.contains_key("method") => it.get("id").map(json::write),
            _ => None,
        };
        if let Some(id) = id {
            // An answer to null is one to a request whose id could not be read.
            return self.until(|it| {
                let to = it.get("id").map(json::write);
                to.as_deref() == Some(&id) || to.as_deref() == Some("null")
            });
        }
        // Nothing may come: a ping of our own shows that all before it was seen to.
        self.syncs += 1;
        let sync = format!("\"sync {}\"", self.syncs);
        self.send(format!(r#"{{"jsonrpc":"2.0","id":{sync},"method":"ping"}}"#).as_bytes())?;
        let mut lines = self.until(|it| it.get("id").map(json::write) == Some(sync.clone()))?;
        lines.pop();
        Ok(lines)
    }

    /// Does a directive; what is to be written below it.
    fn direct(&mut self, directive: &str) -> Result<Vec<String>, String> {
        let (verb, object) = directive.split_once(' ').unwrap_or((directive, ""));
        let simulator = self.simulator.as_ref().ok_or("there is no simulator");
        match (verb, object) {
            ("lose", "sessions") => simulator?.control("DELETE", "/sessions"),
            ("forget", "counts") => simulator?.control("DELETE", "/count"),
            ("count", method) => return Ok(vec![simulator?.count(method).to_string()]),
            ("bytes", hex) => {
                let byte = |it: &str| u8::from_str_radix(it, 16).map_err(|bad| bad.to_string());
                let bytes: Result<Vec<u8>, String> = hex.split(' ').map(byte).collect();
                return self.exchange(&bytes?);
            }
            ("long", number) => {
                let number = number.parse().map_err(|_| "`! long NUMBER`")?;
                return self.exchange(&vec![b' '; number]);
            }
            ("end", "") => {
                self.input = None;
                let mut lines: Vec<String> = Vec::new();
                while let Ok(line) = self.output.recv_timeout(SOON) {
                    lines.push(line);
                }
                lines.push(self.process.wait().unwrap().to_string());
                return Ok(lines);
            }
            _ => return Err(format!("no directive `{directive}`")),
        };
        Ok(Vec::new())
    }

    /// The case as it went: the file's lines, with the answers that came.
    fn run(&mut self, text: &str) -> Result<String, String> {
        let mut went = String::new();
        for line in text.lines().filter(|line| !line.starts_with('<')) {
            went.push_str(line);
            went.push('\n');
            let said = match line.split_at_checked(2) {
                Some(("> ", request)) => self.exchange(self.volatile.show(request).as_bytes()),
                Some(("! ", directive)) => self.direct(directive),
                _ => Ok(Vec::new()),
            };
            for answer in said.map_err(|why| format!("`{line}`: {why}"))? {
                went.push_str(&format!("< {}\n", self.volatile.hide(&answer)));
            }
        }
        Ok(went)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input = None;
        for _ in 0..300 {
            match self.process.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a case; what is wrong, if something is.
fn judge(file: &Path) -> Option<String> {
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap();
    let went = match Session::start(&name, &text).run(&text) {
        Ok(went) => went,
        Err(why) => return Some(format!("{name}: {why}")),
    };
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, went).unwrap();
        return None;
    }
    if went == text {
        return None;
    }
    let pairs = text.lines().zip(went.lines()).enumerate();
    let odd = pairs.into_iter().find(|(_, (wanted, came))| wanted != came);
    Some(match odd {
        Some((at, (wanted, came))) => {
            format!("{name}, line {}:\n  wanted: {wanted}\n  came:   {came}", at + 1)
        }
        None => format!("{name}: one has more lines than the other"),
    })
}

#[test]
fn every_case_goes_as_written() {
    let (queue, failures) = (Mutex::new(cases()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(file) = queue.lock().unwrap().pop() else { return };
                    let failure = judge(&file);
                    failures.lock().unwrap().extend(failure);
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    let failures = failures.join("\n");
    assert!(failures.is_empty(), "\n{failures}\n(UPDATE=1 writes what came)");
}

/// For each tool that is called: whether once it went well, and whether once it failed. A dry run
/// that goes well says nothing of the deed.
fn calls() -> BTreeMap<String, (bool, bool)> {
    let mut seen = BTreeMap::new();
    for file in cases() {
        let text = std::fs::read_to_string(file).unwrap();
        let mut call = None;
        for line in text.lines() {
            if let Some(request) = line.strip_prefix("> ") {
                call = called(request);
            } else if let (Some(answer), Some((tool, dry))) = (line.strip_prefix("< "), &call) {
                let (good, bad): &mut (bool, bool) = seen.entry(tool.clone()).or_default();
                let failed =
                    answer.contains(r#""isError":true"#) || answer.contains(r#""error":{"#);
                *bad |= failed;
                *good |= !failed && !dry;
            }
        }
    }
    seen
}

/// The tool that a request calls, and whether it is a dry run.
fn called(request: &str) -> Option<(String, bool)> {
    let dry = request.contains(r#""dry_run":true"#);
    let Ok(Value::Object(request)) = json::parse(request) else { return None };
    let method = json::get_text(&request, "method")?;
    let tool = json::get_text(json::get_object(&request, "params")?, "name")?;
    (method == "tools/call").then(|| (tool.to_owned(), dry))
}

#[test]
fn every_tool_is_called_the_good_way_and_a_bad_way() {
    let seen = calls();
    for (_, tool) in jumpvisor::tools::all() {
        let (good, bad) = seen.get(tool.name).copied().unwrap_or_default();
        let excused = ONLY_BAD.iter().any(|(name, _)| *name == tool.name);
        assert!(good || excused, "no case calls `{}` the good way", tool.name);
        assert!(!good || !excused, "`{}` is called the good way: ONLY_BAD is wrong", tool.name);
        assert!(bad, "no case calls `{}` a bad way", tool.name);
    }
}
