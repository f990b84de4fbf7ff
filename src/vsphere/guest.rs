//! Inside the guest system: which guest, whether it can be asked, and each verb of its agent.
//!
//! The calls themselves are in `guest_ops`, running a program in `guest_run`, the way of a file in
//! `transfer`. Surprising: `toolsRunningStatus` says yes some seconds before guest operations
//! work, so `guestOperationsReady` is asked too, which may be absent.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::guest::{
    FileKind, Found, Guest, GuestFile, Inside, Listing, Login, Outgoing, Process, Program, Ran,
    Take,
};
use crate::hv::model::PowerState;
use crate::vim::value::{Object, Value};
use crate::vsphere::guest_ops::Managers;
use crate::vsphere::machines::{machine, reference};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::{Vsphere, guest_ops, guest_run, props, transfer};

/// Everything that decides whether a guest can be asked.
const PATHS: &[&str] = &[
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.question",
    "summary.config.template",
    "summary.config.guestId",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.guestOperationsReady",
    "guest.guestFamily",
];

impl Guest for Vsphere {
    fn enter(&self, call: &Call, wanted: &str, login: Login) -> Result<Inside> {
        let at = self.locate(call, wanted)?;
        let vm = reference(&at);
        let operations = self.session.live(call)?.manager("guestOperationsManager")?;
        let selects = [
            Select { kind: "VirtualMachine", paths: PATHS },
            Select { kind: "GuestOperationsManager", paths: guest_ops::MANAGERS },
        ];
        // One query for the machine and, since it costs nothing, for whom to ask.
        let rows = props::of(&self.session, call, &[vm.clone(), operations], &selects)?;
        if let Some(row) = rows.iter().find(|row| &*row.at.kind == "GuestOperationsManager") {
            let live = self.session.live(call)?;
            let _ = Managers::of(row).map(|it| live.guest_managers.set(it));
        }
        let row = rows.iter().find(|row| row.at == vm).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("`{}` is gone", at.name))
                .hint("It was deleted or registered anew; list again")
        })?;
        must_answer(row, &at.name)?;
        Ok(Inside {
            windows: is_windows(row),
            place: row.reference("runtime.host").map(|it| it.id.clone()),
            machine: at,
            login,
        })
    }

    fn check(&self, at: &Inside, program: &Program) -> Result<()> {
        guest_run::command_line(at.windows, program, None).map(drop)
    }

    fn run(&self, call: &Call, at: &Inside, program: &Program) -> Result<Ran> {
        guest_run::run(self, call, at, program)
    }

    fn processes(&self, call: &Call, at: &Inside, pids: &[i64]) -> Result<Vec<Process>> {
        let pids: Vec<Value> = pids.iter().map(|pid| Value::from(*pid)).collect();
        let args = Object::args().with_some("pids", Some(pids).filter(|it| !it.is_empty()));
        let found = guest_ops::process(self, call, at, "ListProcessesInGuest", args)?;
        let all = found.as_ref().map_or(&[][..], Value::items);
        Ok(all.iter().filter_map(Value::as_object).map(process).collect())
    }

    fn kill(&self, call: &Call, at: &Inside, pid: i64) -> Result<()> {
        let args = Object::args().with("pid", pid);
        guest_ops::process(self, call, at, "TerminateProcessInGuest", args).map(drop)
    }

    fn list(
        &self,
        call: &Call,
        at: &Inside,
        path: &str,
        glob: Option<&str>,
        (offset, limit): (usize, usize),
    ) -> Result<Listing> {
        let pattern = glob.map(expression);
        let page =
            |index, most| guest_ops::page(self, call, at, path, (index, most), pattern.as_deref());
        // `.` and `..` come first, where they come at all; nobody wants them in a list.
        let (mut files, remaining) = page(0, if offset > 0 { 2 } else { limit + 2 })?;
        let dots = dots(&files);
        let total = (files.len() + remaining).saturating_sub(dots);
        match offset {
            0 => files.retain(|it| !is_dots(&it.name)),
            _ if offset >= total => files.clear(),
            _ => files = page(offset + dots, limit)?.0,
        }
        files.truncate(limit);
        Ok(Listing { files, total })
    }

    fn look(&self, call: &Call, at: &Inside, path: &str) -> Result<Found> {
        let (files, remaining) = match guest_ops::page(self, call, at, path, (0, 2), None) {
            Err(error) if error.fault_name() == Some("FileNotFound") => return Ok(Found::Nothing),
            result => result?,
        };
        let last = |path: &str| {
            let separators: &[char] = if at.windows { &['\\', '/'] } else { &['/'] };
            path.trim_end_matches(separators).rsplit(separators).next().map(str::to_owned)
        };
        match &files[..] {
            [one] if one.kind != FileKind::Directory && last(&one.name) == last(path) => {
                Ok(Found::One(one.clone()))
            }
            _ => Ok(Found::Directory((files.len() + remaining).saturating_sub(dots(&files)))),
        }
    }

    fn make_directory(&self, call: &Call, at: &Inside, path: &str, parents: bool) -> Result<bool> {
        let args =
            Object::args().with("directoryPath", path).with("createParentDirectories", parents);
        match guest_ops::file(self, call, at, "MakeDirectoryInGuest", args) {
            Err(error) if error.fault_name() == Some("FileAlreadyExists") => Ok(false),
            result => result.map(|_| true),
        }
    }

    fn delete(
        &self,
        call: &Call,
        at: &Inside,
        path: &str,
        directory: bool,
        recursive: bool,
    ) -> Result<()> {
        if directory {
            let args = Object::args().with("directoryPath", path).with("recursive", recursive);
            match guest_ops::file(self, call, at, "DeleteDirectoryInGuest", args) {
                // A link to a directory: it is listed as one and deleted as a file.
                Err(error) if error.fault_name() == Some("NotADirectory") => {}
                result => return result.map(drop),
            }
        }
        let args = Object::args().with("filePath", path);
        guest_ops::file(self, call, at, "DeleteFileInGuest", args).map(drop)
    }

    fn fetch(&self, call: &Call, at: &Inside, path: &str, take: Take<'_>) -> Result<u64> {
        let offered = transfer::offered(self, call, at, path)?;
        transfer::fetch(self, call, at, path, &offered, take)
    }

    fn store(&self, call: &Call, at: &Inside, path: &str, file: Outgoing) -> Result<()> {
        transfer::store(self, call, at, path, file)
    }
}

fn is_dots(name: &str) -> bool {
    matches!(name, "." | "..")
}

fn dots(files: &[GuestFile]) -> usize {
    files.iter().filter(|it| is_dots(&it.name)).count()
}

/// Refuses a guest that cannot be asked, in the order in which a person would look.
fn must_answer(row: &Row, name: &str) -> Result<()> {
    let refused = |said: String, hint: String| Err(Error::new(Kind::Conflict, said).hint(hint));
    let seen = machine(row);
    if row.flag("summary.config.template") == Some(true) {
        let said = format!("`{name}` is a template and never runs");
        return refused(said, "clone_vm makes a VM of it".into());
    }
    if let Some(trouble) = seen.trouble {
        return refused(format!("`{name}` is {trouble}"), "Look at its host first".into());
    }
    if seen.power != PowerState::On {
        let said = format!("`{name}` is {}, so nothing runs in it", seen.power.word());
        return refused(said, "Switch it on with power_on, then wait_for_vm_tools".into());
    }
    if let Some(question) = seen.question {
        let said = format!("`{name}` waits for an answer to `{}`", question.text);
        let hint = format!("Answer with answer_vm_question, choices: {}", question.offered());
        return refused(said, hint);
    }
    match row.text("guest.toolsRunningStatus") {
        Some("guestToolsRunning") => {}
        Some("guestToolsExecutingScripts") => {
            let said = format!("VMware Tools in `{name}` are still starting");
            return refused(said, "wait_for_vm_tools waits for them".into());
        }
        _ if row.text("guest.toolsVersionStatus2") == Some("guestToolsNotInstalled") => {
            let said = format!("VMware Tools are not installed in `{name}`");
            let hint = "Install open-vm-tools or VMware Tools in it; until then there are \
                        send_keys, vm_screenshot and the serial port";
            return refused(said, hint.into());
        }
        _ => {
            let said = format!("VMware Tools do not run in `{name}`");
            let hint = "wait_for_vm_tools waits for them while it boots; else look at it with \
                        vm_screenshot";
            return refused(said, hint.into());
        }
    }
    if row.flag("guest.guestOperationsReady") == Some(false) {
        let said = format!("`{name}` takes no guest operations yet");
        let hint = "They begin some seconds after VMware Tools; if not, its tools.conf or the \
                    host forbids them";
        return refused(said, hint.into());
    }
    Ok(())
}

/// Right after boot the family is not known; the configured system is the next best.
fn is_windows(row: &Row) -> bool {
    match row.text("guest.guestFamily") {
        Some(family) => family == "windowsGuest",
        None => row.text("summary.config.guestId").is_some_and(|it| it.starts_with("win")),
    }
}

fn process(it: &Object) -> Process {
    let text = |field: &str| it.text(field).unwrap_or_default().to_owned();
    Process {
        pid: it.int("pid").unwrap_or(-1),
        name: text("name"),
        owner: text("owner"),
        command: text("cmdLine"),
        started: text("startTime"),
        ended: it.text("endTime").map(str::to_owned),
        exit_code: it.int("exitCode"),
    }
}

/// The regular expression of a glob, which is what agents match names with.
fn expression(pattern: &str) -> String {
    let mut out = String::from("^");
    let (mut class, mut before) = (false, ' ');
    for (at, c) in pattern.char_indices() {
        match c {
            ']' if class => class = false,
            '!' if class && before == '[' => {
                out.push('^');
                before = c;
                continue;
            }
            _ if class => {}
            '[' if pattern[at..].contains(']') => class = true,
            '*' => out.push('.'),
            '?' => {
                out.push('.');
                continue;
            }
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => out.push('\\'),
            _ => {}
        }
        out.push(c);
        before = c;
    }
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_becomes_a_whole_expression() {
        for (glob, wanted) in [
            ("*.log", r"^.*\.log$"),
            ("a?c [x", r"^a.c\ \[x$"),
            ("[!a-c]*", r"^[^a-c].*$"),
            ("(1)+ä", r"^\(1\)\+ä$"),
        ] {
            assert_eq!(expression(glob), wanted);
        }
    }
}
