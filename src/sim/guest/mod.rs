//! A small operating system in memory, with which the simulated host answers guest operations.
//!
//! It knows no clock, socket or inventory: [`Guest::at`] tells it the time, and everything that was
//! to happen until then has happened. `files` and `programs` answer in the words of the schema;
//! `shell` runs what is started; `state` keeps it all as text. Surprising: nothing runs by itself. A
//! program makes its changes when it is started, and those behind a `sleep` once their time has come.

mod commands;
mod dos;
mod expand;
mod files;
mod lists;
mod pattern;
mod programs;
mod run;
mod seed;
mod shell;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod words;

use std::time::Duration;
use std::time::UNIX_EPOCH;

use crate::sim::fault::Fault;
use crate::sim::fault::Result;
use crate::sim::guest::programs::Process;
pub use crate::sim::guest::seed::User;
pub use crate::sim::guest::shell::Session;
use crate::sim::guest::tree::Body;
use crate::sim::guest::tree::Node;
use crate::sim::guest::tree::Tree;
use crate::vim::value::Object;

/// When the guests were installed: 2026-01-05 06:00 UTC.
const INSTALLED: u64 = 1_767_592_800;

/// One guest operating system.
#[derive(Clone, Debug, PartialEq)]
pub struct Guest {
    tree: Tree,
    processes: Vec<Process>,
    hostname: String,
    address: String,
    now: u64,
    booted: u64,
    /// Counts pids and names of temporary files.
    serial: u32,
}

impl Guest {
    /// A Debian with users root/secret and ops/ops, a web server and its logs.
    pub fn linux(hostname: &str) -> Guest {
        Guest::installed(hostname, false)
    }

    /// A Windows Server with users Administrator/secret and ops/ops.
    pub fn windows(hostname: &str) -> Guest {
        Guest::installed(hostname, true)
    }

    fn installed(hostname: &str, windows: bool) -> Guest {
        let mut guest = Guest {
            tree: Tree::new(windows),
            processes: Vec::new(),
            hostname: hostname.to_owned(),
            address: "192.0.2.10".to_owned(),
            now: INSTALLED,
            booted: INSTALLED,
            serial: 0,
        };
        let files = if windows { seed::WINDOWS_FILES } else { seed::LINUX_FILES };
        for (path, mode, owner, content) in files {
            let body = match content {
                None => Body::Directory,
                Some(text) => match text.strip_prefix("-> ") {
                    Some(target) => Body::Link(target.to_owned()),
                    None => Body::File(text.replace("{host}", hostname).into_bytes()),
                },
            };
            guest.put((*path).to_owned(), *mode, *owner, body);
        }
        for name in shell::programs(windows) {
            let path = match windows {
                true => format!("/C:/Windows/System32/{name}.exe"),
                false => format!("/usr/bin/{name}"),
            };
            guest.put(path, 0o755, 0, Body::File(shell::PROGRAM.into()));
        }
        guest.boot(INSTALLED);
        guest
    }

    fn put(&mut self, path: String, mode: u32, owner: u32, body: Body) {
        let node = Node { path, owner, mode, changed: INSTALLED, body };
        // The seed is far below the bounds; a test counts it.
        let _ = self.tree.insert(node);
    }

    /// Starts anew: only the services run, under their old pids.
    pub fn boot(&mut self, now: u64) {
        let windows = self.is_windows();
        let services = if windows { seed::WINDOWS_SERVICES } else { seed::LINUX_SERVICES };
        self.processes = services.iter().map(|it| Process::service(it, now)).collect();
        (self.now, self.booted, self.serial) = (now, now, self.serial.max(1_000));
    }

    /// The same guest at this moment (seconds since 1970): programs that were to end have ended.
    /// Every other call works at the moment that was last told; time never goes back.
    pub fn at(&mut self, now: u64) -> &mut Guest {
        self.now = self.now.max(now);
        self.settle();
        self
    }

    /// Its host name.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The address that `ip` and `ipconfig` show.
    pub fn set_address(&mut self, address: &str) {
        address.clone_into(&mut self.address);
    }

    pub fn is_windows(&self) -> bool {
        self.tree.is_windows()
    }

    fn users(&self) -> &'static [User] {
        if self.is_windows() { seed::WINDOWS_USERS } else { seed::LINUX_USERS }
    }

    /// True if this is the user's password.
    pub fn login(&self, name: &str, password: &str) -> bool {
        self.user(name).is_some_and(|it| it.password == password)
    }

    /// A user by name; for Windows also as `HOST\name`, in any case.
    pub fn user(&self, name: &str) -> Option<&'static User> {
        let bare = name.rsplit('\\').next().unwrap_or(name);
        self.users().iter().find(|it| match self.is_windows() {
            true => it.name.eq_ignore_ascii_case(bare),
            false => it.name == name,
        })
    }

    /// The user behind the `auth` parameter of a guest operation.
    pub fn authenticate(&self, auth: &Object) -> Result<&'static User> {
        if auth.flag("interactiveSession") == Some(true) {
            // unverified: that this is what a guest without a session at its desktop gives.
            return Err(Fault::new(
                "GuestOperationsUnavailable",
                "The guest operations agent could not be contacted.",
            ));
        }
        if !auth.is("NamePasswordAuthentication") {
            // unverified: hosts take tickets and tokens only where an SSO is set up.
            return Err(Fault::new(
                "OperationNotSupportedByGuest",
                "The operation is not supported by the guest operating system.",
            ));
        }
        let text = |field: &str| auth.text(field).unwrap_or_default();
        let user = self.user(text("username"));
        user.filter(|it| it.password == text("password")).ok_or_else(|| {
            Fault::new(
                "InvalidGuestLogin",
                "Failed to authenticate with the guest operating system using the supplied credentials.",
            )
        })
    }

    /// The name that belongs to an id, as `ls -l` shows it.
    fn name_of(&self, id: u32) -> String {
        let user = self.users().iter().find(|it| it.id == id).map(|it| it.name);
        let service = || seed::SERVICES.iter().find(|it| it.0 == id).map(|it| it.1);
        user.or_else(service).map_or_else(|| id.to_string(), str::to_owned)
    }

    fn serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(if self.is_windows() { 4 } else { 1 });
        self.serial
    }
}

/// A moment as the schema writes it.
fn stamp(seconds: u64) -> String {
    let latest = Duration::from_secs(seconds.min(253_402_300_799));
    let mut text = crate::text::time::rfc3339(UNIX_EPOCH + latest);
    text.truncate(19);
    text + "Z"
}
