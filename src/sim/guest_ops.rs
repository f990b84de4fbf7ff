//! Guest operations over SOAP: who may, whether the tools answer, and the guest does the rest.
//!
//! File transfers get a number and a token here and are carried by `guest_http`. It must not know
//! HTTP. Surprising: tokens are repeatable, as all here is; they only look as if nobody could guess.

use crate::sim::clock::Moment;
use crate::sim::fault::{Fault, Result};
use crate::sim::guest::Guest;
use crate::sim::guests;
use crate::sim::guests::{Inside, Shared};
use crate::sim::host::stored;
use crate::sim::machine::Power;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Value};

/// How long a URL is good, and how many there are; the oldest gives way.
const GOOD: Moment = 10 * 60 * 1000;
const MOST: usize = 256;

/// A file that may be fetched or sent once.
pub struct Transfer {
    /// Id of the machine.
    pub machine: String,
    /// Whose right it is.
    pub user: String,
    /// The file in the guest.
    pub path: String,
    /// Of a file that comes: its size and attributes.
    pub new: Option<(u64, Object)>,
    token: String,
    until: Moment,
}

/// All of them, by number.
#[derive(Default)]
pub struct Transfers {
    all: Sorted<u64, Transfer>,
    made: u64,
}

impl Transfers {
    /// Keeps one; its URL at this host.
    fn add(&mut self, mut it: Transfer, host: &str) -> String {
        self.made += 1;
        let mut state = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5be0_cd19_137e_2179;
        let mut word = || {
            state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 32;
            state
        };
        it.token = format!("52{:014x}{:016x}", word() >> 8, word());
        // unverified: that the port is left out.
        let url = format!("https://{host}/guestFile?id={}&token={}", self.made, it.token);
        self.all.insert(self.made, it);
        while self.all.len() > MOST {
            self.all.pop_first();
        }
        url
    }

    /// Takes the transfer of a URL out; the status where there is none.
    ///
    /// unverified: which statuses a host gives.
    pub fn take(
        &mut self,
        number: u64,
        token: &str,
        sends: bool,
        now: Moment,
    ) -> std::result::Result<Transfer, u16> {
        self.all.retain(|_, it| it.until > now);
        let found = self.all.get(&number).ok_or(404_u16)?;
        if found.token != token {
            return Err(403);
        }
        if found.new.is_some() != sends {
            return Err(405);
        }
        self.all.remove(&number).ok_or(404)
    }

    /// Puts one back that came to nothing, so that the client can try again.
    pub fn put_back(&mut self, number: u64, it: Transfer) {
        self.all.insert(number, it);
    }
}

/// Refuses one who may only look, for methods that the schema gives no privilege.
pub fn permitted(world: &World, call: &Call, privilege: &str, object: &str) -> Result<()> {
    if !world.sessions.all.get(call.session).is_some_and(|it| it.viewer) {
        return Ok(());
    }
    let held = world.reference(object).unwrap_or_else(|| call.this.clone());
    let text = "Permission to perform this operation was denied.";
    Err(Fault::new("NoPermission", text).with("object", held).with("privilegeId", privilege))
}

/// The inside of a machine whose tools answer.
pub fn reach(world: &mut World, id: &str) -> Result<Shared> {
    let now = world.now;
    if let Some(machine) = world.machine(id) {
        if machine.power != Power::On {
            return Err(Fault::power_state("poweredOn", machine.power.name()));
        }
        if !machine.tools_run(now) {
            return Err(unavailable());
        }
    }
    guests::inside(world, id)
}

/// The fault of a guest whose tools do not answer.
pub fn unavailable() -> Fault {
    let text = "The guest operations agent could not be contacted.";
    Fault::new("GuestOperationsUnavailable", text)
}

/// Every guest operation.
fn operate(world: &mut World, call: &Call) -> Result<Value> {
    let privilege = match call.method {
        "ValidateCredentialsInGuest"
        | "AcquireCredentialsInGuest"
        | "ListProcessesInGuest"
        | "ReadEnvironmentVariableInGuest"
        | "ListFilesInGuest"
        | "InitiateFileTransferFromGuest" => "VirtualMachine.GuestOperations.Query",
        "StartProgramInGuest" | "TerminateProcessInGuest" => {
            "VirtualMachine.GuestOperations.Execute"
        }
        _ => "VirtualMachine.GuestOperations.Modify",
    };
    let id = call.args.reference("vm").map(|it| it.id.clone()).unwrap_or_default();
    permitted(world, call, privilege, &id)?;
    let shared = reach(world, &id)?;
    let inside = guests::locked(&shared);
    if call.method.starts_with("Initiate") {
        return transfer(world, call, &id, &inside);
    }
    let mut guest = inside.guest().ok_or_else(unavailable)?;
    played(&mut guest, call)
}

/// What the guest does by itself.
fn played(guest: &mut Guest, call: &Call) -> Result<Value> {
    let args = call.args;
    let auth = args.object("auth").or_else(|| args.object("requestedAuth"));
    let none = Object::new("GuestAuthentication");
    let user = guest.authenticate(auth.unwrap_or(&none))?;
    let text = |name: &str| args.text(name).unwrap_or_default();
    let flag = |name: &str| args.flag(name).unwrap_or_default();
    let done = match call.method {
        "ValidateCredentialsInGuest" | "ReleaseCredentialsInGuest" => Ok(()),
        // unverified: what a host says to one who asks for a ticket with a password.
        "AcquireCredentialsInGuest" => Err(Fault::new(
            "OperationNotSupportedByGuest",
            "The operation is not supported by the guest operating system.",
        )),
        "StartProgramInGuest" => {
            let spec = args.object("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
            return guest.start_program(user, spec).map(Value::from);
        }
        "ListProcessesInGuest" => {
            let pids: Vec<i64> = args.list("pids").iter().filter_map(Value::as_int).collect();
            return Ok(guest.list_processes(&pids).into());
        }
        "TerminateProcessInGuest" => guest.terminate(user, args.int("pid").unwrap_or(-1)),
        "ReadEnvironmentVariableInGuest" => {
            let names: Vec<&str> = args.texts("names").collect();
            return Ok(guest.environment(user, &names).into_iter().map(Value::from).collect());
        }
        "MakeDirectoryInGuest" => {
            guest.make_directory(user, text("directoryPath"), flag("createParentDirectories"))
        }
        "DeleteFileInGuest" => guest.delete_file(user, text("filePath")),
        "DeleteDirectoryInGuest" => {
            guest.delete_directory(user, text("directoryPath"), flag("recursive"))
        }
        "MoveFileInGuest" => {
            let (from, to) = (text("srcFilePath"), text("dstFilePath"));
            guest.move_file(user, from, to, flag("overwrite"))
        }
        "MoveDirectoryInGuest" => {
            guest.move_directory(user, text("srcDirectoryPath"), text("dstDirectoryPath"))
        }
        "CreateTemporaryFileInGuest" | "CreateTemporaryDirectoryInGuest" => {
            let directory = call.method == "CreateTemporaryDirectoryInGuest";
            let folder = args.text("directoryPath");
            let made =
                guest.make_temporary(user, text("prefix"), text("suffix"), folder, directory);
            return made.map(Value::from);
        }
        "ListFilesInGuest" => {
            let (index, most) = (args.int("index"), args.int("maxResults"));
            let pattern = args.text("matchPattern");
            return guest.list_files(user, text("filePath"), index, most, pattern).map(Value::from);
        }
        "ChangeFileAttributesInGuest" => {
            guest.change_attributes(user, text("guestFilePath"), attributes(call)?)
        }
        method => Err(Fault::not_played(method)),
    };
    done.map(|()| Value::Null)
}

fn attributes<'a>(call: &'a Call) -> Result<&'a Object> {
    call.args.object("fileAttributes").ok_or_else(|| Fault::invalid_argument("fileAttributes"))
}

/// A URL for a file that goes or comes.
fn transfer(world: &mut World, call: &Call, id: &str, inside: &Inside) -> Result<Value> {
    let args = call.args;
    let path = args.text("guestFilePath").unwrap_or_default();
    let guest = inside.guest().ok_or_else(unavailable)?;
    let auth = args.object("auth").ok_or_else(|| Fault::invalid_argument("auth"))?;
    let user = guest.authenticate(auth)?;
    let sends = call.method == "InitiateFileTransferToGuest";
    let mut new = None;
    if sends {
        let size = args.int("fileSize").unwrap_or(-1);
        guest.transfer_to(user, path, size, args.flag("overwrite").unwrap_or_default())?;
        new = Some((u64::try_from(size).unwrap_or(0), attributes(call)?.clone()));
    } else {
        guest.read_file(user, path)?;
    }
    // A vCenter puts the host's name for the star, or where the whole simulation listens.
    let host = world.machine(id).map(|it| it.host.clone()).unwrap_or_default();
    let host = stored(world, &host, "name").filter(|_| world.vcenter);
    let host = match (host.as_ref().and_then(Value::as_text), world.nfc.host.clone()) {
        (Some(_), told) if !told.is_empty() => told,
        (named, _) => named.unwrap_or("*").to_owned(),
    };
    let transfer = Transfer {
        machine: id.to_owned(),
        user: user.name.to_owned(),
        path: path.to_owned(),
        new,
        token: String::new(),
        until: world.now + GOOD,
    };
    let url = world.guests.transfers.add(transfer, &host);
    if sends {
        return Ok(url.into());
    }
    guest.transfer_from(user, path, &url).map(Value::from)
}

/// Rows of methods, by the type that they are on.
macro_rules! rows {
    ($($on:literal: $($name:literal)+;)+) => {
        &[$($(Method { on: $on, name: $name, run: operate },)+)+]
    };
}

const METHODS: &[Method] = rows! {
    "GuestAuthManager": "ValidateCredentialsInGuest" "AcquireCredentialsInGuest"
        "ReleaseCredentialsInGuest";
    "GuestProcessManager": "StartProgramInGuest" "ListProcessesInGuest"
        "TerminateProcessInGuest" "ReadEnvironmentVariableInGuest";
    "GuestFileManager": "MakeDirectoryInGuest" "DeleteFileInGuest" "DeleteDirectoryInGuest"
        "MoveFileInGuest" "MoveDirectoryInGuest" "CreateTemporaryFileInGuest"
        "CreateTemporaryDirectoryInGuest" "ListFilesInGuest" "ChangeFileAttributesInGuest"
        "InitiateFileTransferFromGuest" "InitiateFileTransferToGuest";
};

/// What this file plays.
pub const FAMILY: Family = Family { methods: METHODS, properties: &[] };
