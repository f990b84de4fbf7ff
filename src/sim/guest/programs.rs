//! Programs and processes of a guest, as `GuestProcessManager` asks for them.
//!
//! A Linux guest hands `"program" arguments` to bash, as VMware Tools do, so redirections in the
//! arguments work; Windows runs the program itself. Exit codes are kept for five minutes.

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::guest::Guest;
use crate::sim::guest::seed::Service;
use crate::sim::guest::seed::User;
use crate::sim::guest::shell;
use crate::sim::guest::shell::Session;
use crate::sim::guest::stamp;
use crate::sim::guest::tree::Change;
use crate::sim::guest::tree::Trouble;
use crate::text::order;
use crate::vim::value::Object;

/// How long VMware Tools tell of a program that ended.
const KEPT: u64 = 300;
/// Most processes at a time.
pub const MOST_PROCESSES: usize = 512;
/// Longest command line, environment included.
const MOST_LINE: usize = 64 << 10;
/// unverified: as a shell tells SIGTERM; the published source of the Tools would make it 0.
const KILLED: i32 = 143;

/// One process, running or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i64,
    pub owner: String,
    pub name: String,
    pub line: String,
    pub started: u64,
    /// When it ends or ended; a service never does.
    pub ends: Option<u64>,
    pub code: i32,
    /// What it will change until then.
    pub pending: Vec<Change>,
    /// Started by a guest operation, so its exit code is kept.
    pub ours: bool,
}

impl Process {
    /// What runs since boot.
    pub fn service(&(pid, owner, line): &Service, now: u64) -> Process {
        let name = match line {
            "/sbin/init" => "systemd",
            _ => {
                let path = line.split([' ', ':']).next().unwrap_or(line);
                let path = if line.starts_with("C:") { line } else { path };
                path.rsplit(['/', '\\']).next().unwrap_or(path).trim_matches(['[', ']'])
            }
        };
        Process {
            pid,
            owner: owner.to_owned(),
            name: name.split(' ').next().unwrap_or(name).to_owned(),
            line: line.to_owned(),
            started: now,
            ends: None,
            code: 0,
            pending: Vec::new(),
            ours: false,
        }
    }

    /// True if it has not ended at this moment.
    pub fn runs(&self, now: u64) -> bool {
        self.ends.is_none_or(|it| it > now)
    }

    fn shown(&self, now: u64) -> Object {
        let ended = self.ends.filter(|it| *it <= now);
        Object::new("GuestProcessInfo")
            .with("name", self.name.as_str())
            .with("pid", self.pid)
            .with("owner", self.owner.as_str())
            .with("cmdLine", self.line.as_str())
            .with("startTime", stamp(self.started))
            .with_some("endTime", ended.map(stamp))
            .with_some("exitCode", ended.map(|_| self.code))
    }
}

impl Guest {
    /// Lets happen what running programs do until now, and forgets those that ended long ago.
    pub(in crate::sim::guest) fn settle(&mut self) {
        let now = self.now;
        let mut due = Vec::new();
        for process in &mut self.processes {
            let count = process.pending.iter().take_while(|it| it.at <= now).count();
            due.extend(process.pending.drain(..count));
        }
        for change in order::by(due, &|a, b| a.at.cmp(&b.at)) {
            // It went well on the program's own copy; what others changed since may forbid it.
            let _ = self.tree.apply(&change);
        }
        self.processes.retain(|it| match it.ends {
            Some(end) => it.runs(now) || (it.ours && end.saturating_add(KEPT) > now),
            None => true,
        });
    }

    /// `StartProgramInGuest`: the pid.
    pub fn start_program(&mut self, user: &'static User, spec: &Object) -> Result<i64> {
        let path = spec.text("programPath").unwrap_or_default();
        let arguments = spec.text("arguments").unwrap_or_default();
        let env: Vec<&str> = spec.texts("envVariables").collect();
        let length = env.iter().map(|it| it.len()).sum::<usize>() + path.len() + arguments.len();
        if path.is_empty() || length > MOST_LINE {
            return Err(Fault::invalid_argument("spec.programPath"));
        }
        let inner = self.tree.inner("", path);
        let node = self.tree.find(user.id, &inner, true).map_err(|it| it.fault(path))?;
        if node.is_directory() {
            return Err(Trouble::NotFile.fault(path));
        }
        if !node.allows(user.id, 1) {
            return Err(Trouble::Denied.fault(path));
        }
        let mut session = Session::new(user);
        if let Some(folder) = spec.text("workingDirectory").filter(|it| !it.is_empty()) {
            let inner = self.tree.inner("", folder);
            let found = self.tree.find(user.id, &inner, true).map_err(|it| it.fault(folder))?;
            if !found.is_directory() {
                return Err(Trouble::NotDirectory.fault(folder));
            }
            session.cwd = found.path.clone();
        }
        if !env.is_empty() {
            let pairs = env.iter().filter_map(|it| it.split_once('='));
            session.vars = pairs.map(|(name, it)| (name.to_owned(), it.to_owned())).collect();
        }
        if self.processes.len() >= MOST_PROCESSES {
            return Err(Fault::new("GuestOperationsFault", "The guest has too many processes."));
        }
        let line = format!("\"{path}\" {arguments}");
        let pid = i64::from(self.serial());
        let ran = shell::start(self, user, &mut session, path, arguments);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        self.processes.push(Process {
            pid,
            owner: user.name.to_owned(),
            name: name.to_owned(),
            line: line.trim_end().to_owned(),
            started: self.now,
            ends: Some(ran.ends),
            code: ran.code,
            pending: ran.pending,
            ours: true,
        });
        Ok(pid)
    }

    /// `ListProcessesInGuest`: `GuestProcessInfo` of these pids, or of all without any.
    pub fn list_processes(&self, pids: &[i64]) -> Vec<Object> {
        let wanted = |it: &&Process| pids.is_empty() || pids.contains(&it.pid);
        self.processes.iter().filter(wanted).map(|it| it.shown(self.now)).collect()
    }

    /// `TerminateProcessInGuest`.
    pub fn terminate(&mut self, user: &User, pid: i64) -> Result<()> {
        match self.kill(user, pid) {
            Ok(()) => Ok(()),
            Err(Trouble::Denied) => Err(Trouble::Denied.fault("")),
            Err(_) => {
                let text = format!("The process with pid {pid} does not exist.");
                Err(Fault::new("GuestProcessNotFound", text).with("pid", pid))
            }
        }
    }

    /// Ends a process that the user may end; what it would still have done is not done.
    pub(in crate::sim::guest) fn kill(
        &mut self,
        user: &User,
        pid: i64,
    ) -> std::result::Result<(), Trouble> {
        let now = self.now;
        let found = self.processes.iter_mut().find(|it| it.pid == pid && it.runs(now));
        let process = found.ok_or(Trouble::NotFound)?;
        if user.id != 0 && process.owner != user.name {
            return Err(Trouble::Denied);
        }
        // Nobody ends pid 1, nor what Windows itself is.
        if process.pid <= 4 {
            return Err(Trouble::Denied);
        }
        process.pending.clear();
        (process.ends, process.code) = (Some(now), KILLED);
        self.settle();
        Ok(())
    }

    /// `ReadEnvironmentVariableInGuest`: `NAME=value` of these, or of all without any.
    pub fn environment(&self, user: &'static User, names: &[&str]) -> Vec<String> {
        let same = |a: &str, b: &str| match self.is_windows() {
            true => a.eq_ignore_ascii_case(b),
            false => a == b,
        };
        let all = shell::environment(self, user);
        let wanted = |name: &str| names.is_empty() || names.iter().any(|it| same(it, name));
        all.iter().filter(|it| wanted(it.0)).map(|(name, it)| format!("{name}={it}")).collect()
    }
}
