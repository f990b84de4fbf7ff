//! Guest operations over SOAP: whom to ask, as whom, and what came back.
//!
//! It knows no tool and no file's content. Surprising: none of these is ever tried again with the
//! same password once a guest refused it, since guests lock accounts as well.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::guest::{FileKind, GuestFile, Inside};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::machines::reference;
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, props};

/// The properties of the manager of managers.
pub const MANAGERS: &[&str] = &["fileManager", "processManager"];

/// Whom guest operations are asked of; the same for as long as a session lasts.
pub struct Managers {
    file: Ref,
    process: Ref,
}

impl Managers {
    /// Out of a row with [`MANAGERS`].
    pub fn of(row: &Row) -> Option<Managers> {
        Some(Managers {
            file: row.reference("fileManager")?.clone(),
            process: row.reference("processManager")?.clone(),
        })
    }
}

/// An operation on files.
pub fn file(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    method: &str,
    args: Object,
) -> Result<Option<Value>> {
    operate(it, call, at, |managers| &managers.file, method, args)
}

/// An operation on processes.
pub fn process(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    method: &str,
    args: Object,
) -> Result<Option<Value>> {
    operate(it, call, at, |managers| &managers.process, method, args)
}

fn operate(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    whom: fn(&Managers) -> &Ref,
    method: &str,
    args: Object,
) -> Result<Option<Value>> {
    let args = args.with("vm", reference(&at.machine)).with("auth", auth(at));
    let done = it.session.with(call, |live| {
        if live.guest_managers.get().is_none() {
            // The session is a new one since the guest was entered.
            let operations = live.manager("guestOperationsManager")?;
            let row =
                props::one(&it.session, call, &operations, "GuestOperationsManager", MANAGERS)?;
            let _ = Managers::of(&row).map(|found| live.guest_managers.set(found));
        }
        let managers = live
            .guest_managers
            .get()
            .ok_or_else(|| Error::new(Kind::Unsupported, "this server has no guest operations"))?;
        it.session.invoke(call, live, whom(managers), method, &args)
    });
    done.map_err(|error| match error.fault_name() {
        // Else it would be about a datastore.
        Some("NoDiskSpace") => {
            error.hint_instead("Make room in the guest, or use another disk of it")
        }
        Some("FileNotFound") => error.hint(match method {
            "MakeDirectoryInGuest" => "With create_parents=true what is above it is made too",
            "InitiateFileTransferToGuest" => "create_guest_directory makes the directory for it",
            _ => "list_guest_directory shows what is in the directory above it",
        }),
        _ => error,
    })
}

fn auth(at: &Inside) -> Object {
    Object::new("NamePasswordAuthentication")
        .with("interactiveSession", false)
        .with("username", at.login.user.as_str())
        .with("password", at.login.password.reveal())
}

/// `ListFilesInGuest`: at most `most` files from `index` on, and how many follow.
pub fn page(
    it: &Vsphere,
    call: &Call,
    at: &Inside,
    path: &str,
    (index, most): (usize, usize),
    pattern: Option<&str>,
) -> Result<(Vec<GuestFile>, usize)> {
    let args = Object::args()
        .with("filePath", path)
        .with("index", index)
        .with("maxResults", most)
        .with_some("matchPattern", pattern);
    let found = file(it, call, at, "ListFilesInGuest", args)?;
    let Some(found) = found else { return Ok((Vec::new(), 0)) };
    // The peer decides how much comes; it is not to decide how much is kept.
    let files = found.objects("files").take(most).map(listed).collect();
    let remaining = found.int("remaining").and_then(|it| usize::try_from(it).ok());
    Ok((files, remaining.unwrap_or(0)))
}

fn listed(it: &Object) -> GuestFile {
    let attribute = |name: &str| it.get("attributes").and_then(|all| all.get(name));
    let text = |name: &str| attribute(name).and_then(Value::as_text).map(str::to_owned);
    let int = |name: &str| attribute(name).and_then(Value::as_int);
    let flag = |name: &str| attribute(name).and_then(Value::as_bool);
    GuestFile {
        name: it.text("path").unwrap_or_default().to_owned(),
        kind: match it.text("type") {
            Some("directory") => FileKind::Directory,
            Some("symlink") => FileKind::Link,
            _ => FileKind::File,
        },
        size: it.int("size").unwrap_or(0),
        modified: text("modificationTime"),
        target: text("symlinkTarget").filter(|it| !it.is_empty()),
        owner: int("ownerId"),
        group: int("groupId"),
        permissions: int("permissions").map(|it| it & 0o7777),
        hidden: flag("hidden"),
        read_only: flag("readOnly"),
    }
}
