//! Transcripts: what goes over standard input and output, line by line, with the real program.
//!
//! `tests/cases/*.txt`: `> line` is sent, `< line` must come back; what is volatile is hidden as
//! `common/volatile.rs` says. A file begins with `# server: none`, with `demo` (the simulated
//! servers of the program itself at a fixed time; `demo now` at this computer's), or with `esx` or
//! `vpx` and flags of the public simulator. `# flags:` and `# env:` are for jumpvisor, `# faults:`
//! is a list of rules for what goes wrong in the demo; other `#` lines are for people.
//! `! lose sessions` and `! forget counts` are done to the simulator, `! count METHOD` asks it,
//! `! bytes HEX` and `! long NUMBER` send a line that is no text, or too much of it, `! send LINE`
//! waits for no answer, `! until TEXT` for a line with that text, `! end` ends the input. UPDATE=1
//! writes the answers into the files: read the difference before a commit.

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

/// Where the clock of the demo starts, so that its answers need no masks.
const CLOCK: &str = "2026-01-15T08:00:00Z";

/// How long an answer may take.
const SOON: Duration = Duration::from_secs(30);

/// The cases against the demo, or all others, which need the public simulator.
fn cases(demo: bool) -> Vec<PathBuf> {
    let files = std::fs::read_dir(CASES).expect("no tests/cases").map(|it| it.unwrap().path());
    let of_demo = |file: &PathBuf| {
        std::fs::read_to_string(file).is_ok_and(|it| it.starts_with("# server: demo"))
    };
    let mut files: Vec<PathBuf> =
        files.filter(|it| it.extension().is_some() && of_demo(it) == demo).collect();
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
    /// How many reports of progress each token had.
    reports: BTreeMap<String, usize>,
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
            words.split_first().expect("the first line is `# server: none|demo|esx|vpx`");
        let demo = *model == "demo";
        let fixed = demo && rest.is_empty();
        let simulator = (*model != "none" && !demo).then(|| Simulator::start(model, rest));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let errors = folder.join("stderr");
        let settings = folder.join("env");
        // An empty file, so that none of this machine is read.
        std::fs::write(&settings, "").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jumpvisor"));
        command.env_clear().current_dir(&folder).arg("--config").arg(&settings);
        command.args(heads("flags").iter().flat_map(|it| it.split_whitespace()));
        if demo {
            command.arg("--demo");
        }
        if fixed {
            command.args(["--clock", CLOCK]);
        }
        let faults = heads("faults").concat();
        if !faults.is_empty() {
            std::fs::write(folder.join("faults"), faults).unwrap();
            command.args(["--faults", "faults"]);
        }
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
        let (volatile, syncs, reports) = (Volatile::new(fixed), 0, BTreeMap::new());
        Session { process, input, output, errors, simulator, volatile, syncs, reports }
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
            if self.is_steady(&message) {
                lines.push(line);
            }
            if last(&message) {
                return Ok(lines);
            }
        }
    }

    /// False for what comes or not, as fast as this computer is: reports of progress from the third
    /// on, or from the second on where the clock does not jump.
    fn is_steady(&mut self, message: &Object) -> bool {
        if json::get_text(message, "method") != Some("notifications/progress") {
            return true;
        }
        let params = json::get_object(message, "params");
        let token = params.and_then(|it| it.get("progressToken")).map(json::write);
        let count = self.reports.entry(token.unwrap_or_default()).or_default();
        *count += 1;
        *count <= if self.volatile.is_fixed() { 2 } else { 1 }
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
            ("lose", "sessions") => drop(simulator?.control("DELETE", "/sessions")),
            ("forget", "counts") => drop(simulator?.control("DELETE", "/count")),
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
            ("send", line) => {
                let line = self.volatile.show(line);
                self.send(line.as_bytes())?;
            }
            ("until", text) => {
                let wanted = |it: &Object| json::write_object(it).contains(text);
                return self.until(wanted);
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

/// Runs cases side by side; all that is wrong.
fn judge_all(files: Vec<PathBuf>) {
    let (queue, failures) = (Mutex::new(files), Mutex::new(Vec::new()));
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

#[test]
fn every_case_goes_as_written() {
    judge_all(cases(false));
}

#[test]
fn every_case_of_the_demo_goes_as_written() {
    judge_all(cases(true));
}

/// For each tool that is called on the demo: whether once it went well, and whether once it
/// failed. A dry run that goes well says nothing of the deed.
fn calls() -> BTreeMap<String, (bool, bool)> {
    let mut seen = BTreeMap::new();
    for file in cases(true) {
        let text = std::fs::read_to_string(file).unwrap();
        // What was asked and not answered yet, by id: answers may overtake each other.
        let mut asked = BTreeMap::new();
        for line in text.lines() {
            if let Some(request) = ["> ", "! send "].iter().find_map(|it| line.strip_prefix(it)) {
                asked.extend(called(request));
            } else if let Some(answer) = line.strip_prefix("< ") {
                // What was measured is hidden, and so no number any more.
                let answer = answer.replace("\":N", "\":0");
                let Ok(Value::Object(message)) = json::parse(&answer) else { continue };
                let id = message.get("id").map(json::write).unwrap_or_default();
                let Some((tool, dry)) = asked.remove(&id) else { continue };
                let (good, bad): &mut (bool, bool) = seen.entry(tool).or_default();
                let failed = answer.contains(r#""isError":true"#) || message.contains_key("error");
                *bad |= failed;
                *good |= !failed && !dry;
            }
        }
    }
    seen
}

/// The id of a call, its tool, and whether it is a dry run.
fn called(request: &str) -> Option<(String, (String, bool))> {
    let dry = request.contains(r#""dry_run":true"#);
    let Ok(Value::Object(request)) = json::parse(request) else { return None };
    let method = json::get_text(&request, "method")?;
    let tool = json::get_text(json::get_object(&request, "params")?, "name")?;
    let id = json::write(request.get("id")?);
    (method == "tools/call").then(|| (id, (tool.to_owned(), dry)))
}

#[test]
fn every_tool_is_called_on_the_demo_the_good_way_and_a_bad_way() {
    let seen = calls();
    for (_, tool) in jumpvisor::tools::all() {
        let (good, bad) = seen.get(tool.name).copied().unwrap_or_default();
        assert!(good, "no case calls `{}` on the demo the good way", tool.name);
        assert!(bad, "no case calls `{}` on the demo a bad way", tool.name);
    }
}
