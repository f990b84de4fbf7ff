//! Running a program in a guest: its command line, the wait for its end, what it said.
//!
//! Agents tell neither output nor the end of children, so a shell writes both outputs to files in a
//! folder that the guest makes for us, which goes again whatever happens. Surprising: a Linux agent
//! hands its command line to a shell, a Windows agent does not; both get a shell of ours here, so
//! that names need no path and redirections work the same.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::hv::guest::{Guest, Inside, Output, Process, Program, Ran};
use crate::text::xml::Writer;
use crate::vim::value::{Object, Value};
use crate::vsphere::{Vsphere, guest_ops, transfer};

/// The first and the longest wait between two looks at a program.
const POLL: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long cleaning up may take, whatever became of the call.
const AFTERCARE: Duration = Duration::from_secs(30);

/// Unverified: that no Windows is installed elsewhere; agents search no path.
const CMD: &str = r"C:\Windows\System32\cmd.exe";
const TASKKILL: &str = r"C:\Windows\System32\taskkill.exe";

/// What cmd.exe takes as one line.
const LONGEST_CMD: usize = 8_000;

/// Runs a program as asked.
pub fn run(it: &Vsphere, call: &Call, at: &Inside, program: &Program) -> Result<Ran> {
    // Its own patience runs below, so that the output can still be read when it is over.
    let call = &call.clone().unbounded();
    let capture = program.capture.filter(|_| program.wait.is_some());
    let folder = match capture {
        Some(_) => Some(folder(it, call, at)?),
        None => None,
    };
    let folder = folder.as_deref();
    let spec = command_line(at.windows, program, folder);
    let pid = match spec.and_then(|spec| start(it, call, at, spec)) {
        Ok(pid) => pid,
        Err(error) => {
            tidy(it, at, folder);
            return Err(error);
        }
    };
    let Some(wait) = program.wait else {
        return Ok(Ran { pid, running: true, ..Ran::default() });
    };
    let ended = match wait_for(it, call, at, pid, wait) {
        Ok(ended) => ended,
        Err(error) if error.kind() == Kind::Cancelled => {
            let what = match stop(it, at, pid) {
                Ok(()) => "was ended; what it had started may run on",
                Err(_) => "may run on",
            };
            tidy(it, at, folder);
            return Err(error.during(format!("the program (pid {pid}) {what}")));
        }
        Err(error) => return Err(unknown(error, pid, folder)),
    };
    let running = ended.is_none();
    let exit_code = ended.and_then(|process| process.exit_code);
    let mut ran = Ran { pid, running, exit_code, ..Ran::default() };
    if let (Some(most), Some(path)) = (capture, folder) {
        ran.outputs = Some(outputs(it, at, path, most).map_err(|error| {
            let end = match exit_code {
                Some(code) => format!("ended with exit code {code}"),
                None if running => "still runs".to_owned(),
                None => "has ended".to_owned(),
            };
            error.during(format!(
                "the program (pid {pid}) {end}, but its output in `{path}` could not be fetched"
            ))
        })?);
        // What still runs goes on writing there.
        if running || !tidy(it, at, folder) {
            ran.left = folder.map(str::to_owned);
        }
    }
    Ok(ran)
}

/// The error where nobody knows any more what became of a program.
fn unknown(error: Error, pid: i64, folder: Option<&str>) -> Error {
    let output = folder.map_or(String::new(), |it| format!(", its output in `{it}`"));
    error
        .during(format!("the program (pid {pid}) was started and its result is unknown{output}"))
        .hint("Look at the guest before running it again; list_guest_processes shows what runs")
}

/// A call of its own: what is cleaned up must go also where the caller has gone.
fn aftercare() -> Call {
    Call::new(Rights::Change).within(AFTERCARE)
}

fn folder(it: &Vsphere, call: &Call, at: &Inside) -> Result<String> {
    let args = Object::args().with("prefix", "jumpvisor-").with("suffix", "");
    let made = guest_ops::file(it, call, at, "CreateTemporaryDirectoryInGuest", args)?;
    match made.as_ref().and_then(Value::as_text) {
        Some(path) if !path.is_empty() => Ok(path.to_owned()),
        _ => Err(Error::new(Kind::Remote, "the guest made a folder and did not say where")),
    }
}

/// Removes the folder; false if it is still there.
fn tidy(it: &Vsphere, at: &Inside, folder: Option<&str>) -> bool {
    let Some(path) = folder else { return true };
    let done = it.delete(&aftercare(), at, path, true, true);
    if let Err(error) = &done {
        log::warn!("`{path}` in `{}` could not be removed: {error}", at.machine.name);
    }
    done.is_ok()
}

fn start(it: &Vsphere, call: &Call, at: &Inside, spec: Object) -> Result<i64> {
    let args = Object::args().with("spec", spec);
    let pid = guest_ops::process(it, call, at, "StartProgramInGuest", args)?;
    pid.as_ref().and_then(Value::as_int).ok_or_else(|| {
        Error::new(Kind::Remote, "the guest started the program and did not say its pid")
    })
}

/// Waits for the end; `None` if the program outlives the wait.
fn wait_for(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    pid: i64,
    wait: Duration,
) -> Result<Option<Process>> {
    let begun = Instant::now();
    let mut pause = POLL.0;
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        rest(call, pause.min(left))?;
        let found = it.processes(call, at, &[pid])?.into_iter().find(|it| it.pid == pid);
        let Some(process) = found else {
            let said = format!("the guest no longer knows pid {pid}");
            return Err(
                Error::new(Kind::Remote, said).during("it, or its VMware Tools, was started anew")
            );
        };
        if process.ended.is_some() {
            return Ok(Some(process));
        }
        if begun.elapsed() >= wait {
            return Ok(None);
        }
        let seconds = begun.elapsed().as_secs();
        let percent = begun.elapsed().as_secs_f64() / wait.as_secs_f64().max(1.0) * 100.0;
        call.progress(percent.min(99.0), format!("pid {pid} runs for {seconds} s"));
        pause = (pause * 3 / 2).min(POLL.1);
    }
}

/// Waits, and looks often whether the call was cancelled.
fn rest(call: &Call, pause: Duration) -> Result<()> {
    let until = Instant::now() + pause;
    loop {
        call.check()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

/// Ends a program for a caller who has gone; on Windows with all that it started.
fn stop(it: &Vsphere, at: &Inside, pid: i64) -> Result<()> {
    let call = aftercare();
    if at.windows {
        let spec = Object::new("GuestProgramSpec")
            .with("programPath", TASKKILL)
            .with("arguments", format!("/F /T /PID {pid}"));
        if start(it, &call, at, spec).is_ok() {
            return Ok(());
        }
    }
    it.kill(&call, at, pid)
}

fn outputs(it: &Vsphere, at: &Inside, folder: &str, most: usize) -> Result<[Output; 2]> {
    // The caller's time may be up; the peer's silence bounds each read.
    let call = Call::new(Rights::Change).within(AFTERCARE * 2);
    let one = |name: &str| -> Result<Output> {
        let path = join(at.windows, folder, name);
        let offered = match transfer::offered(it, &call, at, &path) {
            // The shell that was to make it had not come so far.
            Err(error) if error.fault_name() == Some("FileNotFound") => {
                return Ok(Output::default());
            }
            result => result?,
        };
        let mut bytes = Vec::new();
        if offered.size > 0 {
            let mut keep = |piece: &[u8]| {
                let room = most.saturating_sub(bytes.len()).min(piece.len());
                bytes.extend_from_slice(&piece[..room]);
                Ok(bytes.len() < most)
            };
            transfer::fetch(it, &call, at, &path, &offered, &mut keep)?;
        }
        Ok(Output { bytes, total: offered.size })
    };
    Ok([one("out")?, one("err")?])
}

fn join(windows: bool, folder: &str, name: &str) -> String {
    let separator = if windows { '\\' } else { '/' };
    format!("{}{separator}{name}", folder.trim_end_matches(separator))
}

/// The `GuestProgramSpec` of a program whose outputs go to files in a folder, or nowhere.
pub fn command_line(windows: bool, program: &Program, folder: Option<&str>) -> Result<Object> {
    let command = program.command.as_str();
    if command.trim().is_empty() {
        return Err(Error::usage("`command` is empty"));
    }
    let file = |name: &str, nowhere: &str| match folder {
        Some(folder) => join(windows, folder, name),
        None => nowhere.to_owned(),
    };
    let (path, arguments) = match windows {
        false => {
            let line = match &program.arguments {
                Some(arguments) => format!("{} {arguments}", quote(command)),
                None => command.to_owned(),
            };
            let [out, err] = ["out", "err"].map(|name| quote(&file(name, "/dev/null")));
            ("/bin/sh", format!("-c {} > {out} 2> {err} < /dev/null", quote(&line)))
        }
        true => {
            let line = match &program.arguments {
                Some(arguments) => format!("\"{command}\" {arguments}"),
                None => command.to_owned(),
            };
            if line.contains(['\n', '\r']) {
                return Err(Error::usage("a line for cmd.exe holds no line break")
                    .hint("Join commands with `&`, or write a .cmd file and run that"));
            }
            let [out, err] = ["out", "err"].map(|name| file(name, "NUL"));
            // The outer shell redirects, the inner one runs: a `&` or a bracket in the line cannot
            // end what the redirection is for.
            let inner = escape(&format!("\"{line}\""));
            let arguments = format!("/s /c \"{CMD} /s /c {inner} > \"{out}\" 2> \"{err}\" < NUL\"");
            if arguments.len() > LONGEST_CMD {
                return Err(Error::usage(format!(
                    "the line is too long for cmd.exe, which takes {LONGEST_CMD} bytes"
                ))
                .hint("Write a .cmd file with write_guest_file and run that"));
            }
            (CMD, arguments)
        }
    };
    // What cannot be sent is said before anything is promised.
    for text in [arguments.as_str(), program.folder.as_deref().unwrap_or_default()] {
        Writer::new().text(text)?;
    }
    Ok(Object::new("GuestProgramSpec")
        .with("programPath", path)
        .with("arguments", arguments)
        .with_some("workingDirectory", program.folder.as_deref()))
}

/// One word for a POSIX shell.
fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Text that one pass of cmd.exe gives back as it is; only `%NAME%` cannot be kept from it.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if matches!(c, '^' | '&' | '|' | '<' | '>' | '(' | ')' | '"') {
            out.push('^');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(windows: bool, command: &str, arguments: Option<&str>, at: Option<&str>) -> String {
        let program = Program {
            command: command.to_owned(),
            arguments: arguments.map(str::to_owned),
            folder: None,
            wait: None,
            capture: None,
        };
        match command_line(windows, &program, at) {
            Ok(spec) => spec.text("arguments").unwrap().to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_posix_line_stays_one_word_whatever_is_in_it() {
        for (command, arguments, wanted) in [
            ("ls", None, "-c 'ls' > '/t/out' 2> '/t/err' < /dev/null"),
            ("echo 'a'; b", None, r"-c 'echo '\''a'\''; b' > '/t/out' 2> '/t/err' < /dev/null"),
            (
                "/opt/my prog",
                Some("-x \"$HOME\""),
                "-c ''\\''/opt/my prog'\\'' -x \"$HOME\"' > '/t/out' 2> '/t/err' < /dev/null",
            ),
        ] {
            assert_eq!(line(false, command, arguments, Some("/t/")), wanted);
        }
        assert_eq!(
            line(false, "ls", None, None),
            "-c 'ls' > '/dev/null' 2> '/dev/null' < /dev/null"
        );
        assert!(line(false, " ", None, None).contains("is empty"));
        assert!(line(false, "a", Some("\0"), None).contains("U+0000"));
    }

    #[test]
    fn a_windows_line_passes_the_outer_shell_unharmed() {
        let wanted = r#"/s /c "C:\Windows\System32\cmd.exe /s /c ^"echo ^(a^) ^& ^"b^"^" > "C:\t\out" 2> "C:\t\err" < NUL""#;
        assert_eq!(line(true, r#"echo (a) & "b""#, None, Some(r"C:\t")), wanted);
        let wanted = r#"/s /c "C:\Windows\System32\cmd.exe /s /c ^"^"C:\a b.exe^" /q^" > "NUL" 2> "NUL" < NUL""#;
        assert_eq!(line(true, r"C:\a b.exe", Some("/q"), None), wanted);
        assert!(line(true, "a\nb", None, None).contains("no line break"));
        assert!(line(true, &"a".repeat(9_000), None, None).contains("too long"));
    }
}
