//! The shell of a guest: lists, pipes, groups and redirections, run on the spot.
//!
//! No `if`, no loops, no functions, no arithmetic, no jobs: `&` waits like `;`. Surprising:
//! `sleep` takes no time here. It moves the shell's own clock, and from then on changes go to a copy
//! of the files and are noted, so that the guest makes them when their time has come.

use crate::sim::guest::Guest;
use crate::sim::guest::commands;
use crate::sim::guest::dos;
use crate::sim::guest::seed::User;
use crate::sim::guest::tree::Act;
use crate::sim::guest::tree::Change;
use crate::sim::guest::tree::MOST_BYTES;
use crate::sim::guest::tree::MOST_FILE;
use crate::sim::guest::tree::Tree;
use crate::sim::guest::tree::Trouble;
use crate::sim::guest::words;
use crate::text::sorted::Sorted;

/// What a program's file holds; a file with another content is a script.
pub const PROGRAM: &str = "\u{7f}ELF";
/// Most commands of one program.
const MOST_STEPS: u32 = 10_000;
/// Deepest group, script in script, or substitution.
pub const MOST_DEPTH: u32 = 16;
/// Longest that a program may run.
const MOST_SLEEP: u64 = 86_400;

/// Runs a command with its words (the first is its name): its exit code.
pub type Run = fn(&mut Shell<'_>, &[String], &mut Streams) -> i32;
/// Name, 1 if it is a file too (0 for what only a shell knows), what it does.
pub type Row = (&'static str, u8, Run);

/// The names of the programs that are files.
pub fn programs(windows: bool) -> impl Iterator<Item = &'static str> {
    table(windows).iter().filter(|it| it.1 == 1).map(|it| it.0)
}

fn table(windows: bool) -> &'static [Row] {
    if windows { dos::TABLE } else { commands::TABLE }
}

/// What a person at a console keeps from line to line.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub user: &'static User,
    /// In the tree's inner form.
    pub(in crate::sim::guest) cwd: String,
    pub(in crate::sim::guest) vars: Sorted<String, String>,
    status: i32,
    /// True once `exit` was typed.
    pub ended: bool,
}

impl Session {
    /// A fresh login, at home.
    pub fn new(user: &'static User) -> Session {
        let (cwd, vars) = (user.home.to_owned(), Sorted::new());
        Session { user, cwd, vars, status: 0, ended: false }
    }
}

/// What goes in and out of a command.
#[derive(Default)]
pub struct Streams {
    pub input: Vec<u8>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    /// A console: both go one way.
    pub merged: bool,
}

impl Streams {
    pub fn say(&mut self, text: &str) {
        self.put(1, text.as_bytes());
    }

    pub fn complain(&mut self, text: &str) {
        self.put(2, text.as_bytes());
    }

    pub fn put(&mut self, to: u8, bytes: &[u8]) {
        let stream = if to == 2 && !self.merged { &mut self.err } else { &mut self.out };
        let room = MOST_FILE.saturating_sub(stream.len()).min(bytes.len());
        stream.extend_from_slice(bytes.get(..room).unwrap_or_default());
    }
}

/// What became of a program.
pub struct Ran {
    pub code: i32,
    pub ends: u64,
    pub pending: Vec<Change>,
}

/// A running shell.
pub struct Shell<'a> {
    pub guest: &'a mut Guest,
    pub user: &'static User,
    pub cwd: String,
    pub vars: Sorted<String, String>,
    pub status: i32,
    pub at: u64,
    pub ended: bool,
    pub depth: u32,
    pub name: &'static str,
    args: Vec<String>,
    copy: Option<Tree>,
    pending: Vec<Change>,
    noted: usize,
    pub steps: u32,
}

/// The environment of a user.
pub fn environment(guest: &Guest, user: &'static User) -> Sorted<String, String> {
    let home = guest.tree.shown(user.home);
    let list: &[(&str, &str)] = match guest.is_windows() {
        false => &[
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", &home),
            ("USER", user.name),
            ("LOGNAME", user.name),
            ("SHELL", "/bin/bash"),
            ("LANG", "C.UTF-8"),
        ],
        true => &[
            ("COMPUTERNAME", &guest.hostname),
            ("OS", "Windows_NT"),
            ("PATH", "C:\\Windows\\system32;C:\\Windows"),
            ("SYSTEMROOT", "C:\\Windows"),
            ("TEMP", &format!("{home}\\AppData\\Local\\Temp")),
            ("USERNAME", user.name),
            ("USERPROFILE", &home),
        ],
    };
    list.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned())).collect()
}

/// Runs a program with its arguments, as a guest operation starts it.
pub fn start(
    guest: &mut Guest,
    user: &'static User,
    session: &mut Session,
    path: &str,
    arguments: &str,
) -> Ran {
    if session.vars.is_empty() {
        session.vars = environment(guest, user);
    }
    let windows = guest.is_windows();
    let mut shell = Shell::new(guest, session);
    let mut io = Streams::default();
    match windows {
        true => dos::start(&mut shell, path, arguments, &mut io),
        false => shell.script(&format!("\"{path}\" {arguments}"), &mut io),
    }
    Ran { code: shell.status, ends: shell.at, pending: shell.pending }
}

impl Guest {
    /// One line typed at a console: what it prints. A `sleep` is over at once.
    pub fn run_line(&mut self, session: &mut Session, line: &str) -> String {
        if session.vars.is_empty() {
            session.vars = environment(self, session.user);
        }
        let mut shell = Shell::new(self, session);
        let mut io = Streams { merged: true, ..Streams::default() };
        shell.script(line, &mut io);
        let (status, ended) = (shell.status, shell.ended);
        let (cwd, vars, copy) = (shell.cwd, shell.vars, shell.copy);
        if let Some(copy) = copy {
            self.tree = copy;
        }
        (session.cwd, session.vars) = (cwd, vars);
        (session.status, session.ended) = (status, ended);
        String::from_utf8_lossy(&io.out).into_owned()
    }

    /// What stands before the next line at a console.
    pub fn prompt(&self, session: &Session) -> String {
        let (user, folder) = (session.user, self.tree.shown(&session.cwd));
        if self.is_windows() {
            return format!("{folder}>");
        }
        let folder = if session.cwd == user.home { "~" } else { &folder };
        let sign = if user.id == 0 { '#' } else { '$' };
        format!("{}@{}:{folder}{sign} ", user.name, self.hostname)
    }
}

impl<'a> Shell<'a> {
    fn new(guest: &'a mut Guest, session: &Session) -> Shell<'a> {
        let at = guest.now;
        Shell {
            guest,
            user: session.user,
            cwd: session.cwd.clone(),
            vars: session.vars.clone(),
            status: session.status,
            at,
            ended: false,
            depth: 0,
            name: "bash",
            args: Vec::new(),
            copy: None,
            pending: Vec::new(),
            noted: 0,
            steps: MOST_STEPS,
        }
    }

    pub fn is_dos(&self) -> bool {
        self.guest.is_windows()
    }

    /// The files as this program sees them.
    pub fn tree(&self) -> &Tree {
        self.copy.as_ref().unwrap_or(&self.guest.tree)
    }

    /// A path as it was typed, in the tree's inner form.
    pub fn path(&self, typed: &str) -> String {
        self.tree().inner(&self.cwd, typed)
    }

    /// Changes a file, now or when its time has come.
    pub fn change(&mut self, act: Act, path: &str, data: &[u8]) -> Result<(), Trouble> {
        let path = self.path(path);
        let change = Change { at: self.at, user: self.user.id, act, path, data: data.to_vec() };
        let Some(copy) = &mut self.copy else { return self.guest.tree.apply(&change) };
        copy.apply(&change)?;
        self.noted += change.path.len() + data.len();
        if self.noted > MOST_BYTES {
            return Err(Trouble::Full);
        }
        self.pending.push(change);
        Ok(())
    }

    /// Copies a file, or moves it.
    pub fn carry(&mut self, from: &str, to: &str, moves: bool) -> Result<(), Trouble> {
        if moves {
            let inner = self.path(to);
            return self.change(Act::MoveOver, from, inner.as_bytes());
        }
        let content = self.tree().read(self.user.id, &self.path(from))?.to_vec();
        self.change(Act::Write, to, &content)
    }

    /// Lets time pass for this program.
    pub fn sleep(&mut self, seconds: u64) {
        if seconds > 0 && self.copy.is_none() {
            self.copy = Some(self.guest.tree.clone());
        }
        self.at = self.at.saturating_add(seconds).min(self.guest.now.saturating_add(MOST_SLEEP));
    }

    /// Runs a script in this shell.
    pub fn script(&mut self, text: &str, io: &mut Streams) {
        if self.depth >= MOST_DEPTH {
            io.complain(&format!("{}: too deep\n", self.name));
            self.status = 2;
            return;
        }
        self.depth += 1;
        match words::cut(text, self.is_dos()) {
            Ok(tokens) => {
                let mut at = 0;
                self.list(&tokens, &mut at, io, true);
                if at < tokens.len() && !self.ended {
                    self.wrong("Syntax error", io);
                }
            }
            Err(what) => self.wrong(&format!("Syntax error: {what}"), io),
        }
        self.depth -= 1;
    }

    /// Runs a script in a shell of its own: what it does to folder and variables stays there.
    pub fn inner(
        &mut self,
        text: &str,
        args: &[String],
        name: &'static str,
        io: &mut Streams,
    ) -> i32 {
        let kept = (self.cwd.clone(), self.vars.clone(), self.name);
        let args = std::mem::replace(&mut self.args, args.to_vec());
        self.name = name;
        self.status = 0;
        self.script(text, io);
        self.ended = false;
        (self.cwd, self.vars, self.name) = kept;
        self.args = args;
        self.status
    }

    /// The script itself is wrong.
    pub fn wrong(&mut self, what: &str, io: &mut Streams) {
        let text = if self.is_dos() { "The syntax of the command is incorrect." } else { what };
        self.complain(text, io);
        self.status = 2;
    }

    /// A complaint of the shell itself.
    pub fn complain(&self, text: &str, io: &mut Streams) {
        match (self.is_dos(), self.name) {
            (true, _) => io.complain(&format!("{text}\r\n")),
            (_, "bash") => io.complain(&format!("bash: line 1: {text}\n")),
            (_, name) => io.complain(&format!("{name}: 1: {text}\n")),
        }
    }

    /// Runs one command by its name or path.
    pub fn call(&mut self, all: &[String], io: &mut Streams) -> i32 {
        let Some(first) = all.first() else { return 0 };
        let typed = dos::bare(first, self.is_dos());
        let has_path = typed.contains('/') || (self.is_dos() && typed.contains('\\'));
        if !has_path && let Some(row) = self.known(&typed) {
            return row.2(self, all, io);
        }
        let path = if has_path { self.path(&typed) } else { format!("/usr/local/bin/{typed}") };
        let user = self.user.id;
        let trouble = match self.tree().find(user, &path, true) {
            Ok(node) if node.is_directory() => Trouble::NotFile,
            Ok(node) if !node.allows(user, 1) => Trouble::Denied,
            Ok(_) => {
                let content = self.tree().read(user, &path).unwrap_or_default().to_vec();
                if content.starts_with(PROGRAM.as_bytes()) {
                    let name =
                        dos::bare(path.rsplit('/').next().unwrap_or_default(), self.is_dos());
                    return self.known(&name).map_or(0, |row| row.2(self, all, io));
                }
                let name = if content.starts_with(b"#!/bin/bash") { "bash" } else { "sh" };
                return self.inner(&String::from_utf8_lossy(&content), all, name, io);
            }
            Err(trouble) => trouble,
        };
        let missing = trouble == Trouble::NotFound;
        let text = match (missing && !has_path, self.name) {
            _ if self.is_dos() => format!(
                "'{typed}' is not recognized as an internal or external command,\r\noperable program or batch file."
            ),
            (true, "bash") => format!("{first}: command not found"),
            (true, _) => format!("{first}: not found"),
            (false, "sh") if missing => format!("{first}: not found"),
            _ => format!("{first}: {}", trouble.words()),
        };
        self.complain(&text, io);
        match missing {
            _ if self.is_dos() => 1,
            true => 127,
            false => 126,
        }
    }

    fn known(&self, name: &str) -> Option<&'static Row> {
        table(self.is_dos()).iter().find(|it| it.0 == name)
    }

    /// The arguments of the script that runs, its name first.
    pub fn args(&self) -> &[String] {
        &self.args
    }
}

/// True for the name of a variable.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|it| it.is_ascii_alphabetic() || it == '_')
        && chars.all(|it| it.is_ascii_alphanumeric() || it == '_')
}
