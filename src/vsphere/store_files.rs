//! The contents of files on datastores: `/folder/iso/a.iso?dcPath=DC0&dsName=nas01`.
//!
//! It must not know what a file is for. A file is sent under a name of its own and renamed when all
//! of it is there. Surprising: a folder is answered with a page that lists it, as if that were a
//! file; and an `&` in a datacenter's name is escaped twice. On a vCenter all bytes go through it:
//! a ticket for the ESXi itself would save that way, and asks for a route from here to there.

use std::io;
use std::io::{Cursor, Read};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::{Call, Rights};
use crate::hv::stores::{Browse, Slot, Stored};
use crate::text::nearest::nearest;
use crate::text::percent::encode;
use crate::vsphere::browse::{Look, list, look, sized};
use crate::vsphere::live::Live;
use crate::vsphere::session::InUse;
use crate::vsphere::store_change::{delete, made, make_folder_at, refuse_extent, refuse_owned};
use crate::vsphere::store_move::{Work, room_aside};
use crate::vsphere::store_path::{StorePath, is_disk, join, split};
use crate::vsphere::stores::{At, all, missing_file, usable};
use crate::vsphere::{Vsphere, task};
use crate::web::exchange::{Request, Response, Upload, from_io, into_io};

/// What a disk begins with that only an import makes usable: streamOptimized, or of another product.
const SPARSE: &[u8] = b"KDMV";

/// Bytes of a name that its temporary one keeps; file systems allow 255.
const KEPT: usize = 200;

/// Before each try to delete what is left: a host may not have seen yet that nobody sends any more.
const AGAIN: &[Duration] =
    &[Duration::ZERO, Duration::from_millis(300), Duration::from_millis(1_500)];

/// How long the deleting takes at most, each try.
const PARTING: Duration = Duration::from_secs(30);

/// Whether a text names a file on a datastore, datastore included.
pub fn is_path(text: &str) -> bool {
    text.starts_with('[') && StorePath::read(text).is_ok_and(|it| it.store.is_some())
}

/// Finds a file and how large it is; nothing of it is read yet.
pub fn read<'a>(
    it: &'a Vsphere,
    call: &Call,
    store: Option<&str>,
    path: &str,
) -> Result<Stored<'a>> {
    let at = file(it, call, store, path)?;
    let head = it.session.with(call, |live| {
        let response = ask(it, call, live, Request::new("HEAD", address(&at, live), b""))?;
        match response.status {
            401 | 403 => Err(refused(live, &at, response.status, "read")),
            _ => Ok(response),
        }
    })?;
    let page = head.header("Content-Type").is_some_and(|it| it.starts_with("text/html"));
    let length = head.header("Content-Length").and_then(|it| it.parse().ok());
    let size = match (head.status, length) {
        (200, Some(length)) if !page || !is_folder(it, call, &at)? => length,
        (status, _) => return Err(unreadable(it, call, &at, status)),
    };
    let (shown, call) = (at.full(), call.clone());
    let mut version: Option<String> = None;
    let open = move |from: u64| {
        let response = it.session.with(&call, |live| get(it, &call, live, &at, from))?;
        let mark = response.header("ETag").or(response.header("Last-Modified")).map(str::to_owned);
        if version.is_some() && mark.is_some() && version != mark {
            let said = format!("`{}` was changed while it was read", quoted(&at.path));
            return Err(Error::new(Kind::Conflict, said).hint("Read it again from the beginning"));
        }
        version = version.take().or(mark);
        let body = Held { body: response.body, _in_use: it.session.in_use() };
        Ok(Box::new(body) as Box<dyn Read + Send>)
    };
    Ok(Stored { shown, size, open: Box::new(open) })
}

/// The body of an answer, while which the session is in use.
struct Held {
    body: Box<dyn Read + Send>,
    _in_use: InUse,
}

impl Read for Held {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.body.read(into)
    }

    crate::text::reading::shared!();
}

/// The place that a file's name and path mean.
fn file(it: &Vsphere, call: &Call, store: Option<&str>, path: &str) -> Result<At> {
    let read = StorePath::read(path)?;
    if read.folder || read.path.is_empty() {
        return Err(Error::usage(format!("`{}` names a folder", quoted(path)))
            .hint("Name the file in it, such as iso/install.iso"));
    }
    Ok(At { store: usable(&all(it, call)?, read.on(store)?)?, path: read.path })
}

/// Path and query of a file.
fn address(at: &At, live: &Live) -> String {
    let center = at.store.datacenter_path.as_deref().filter(|_| live.is_vcenter());
    written(&at.path, center, &at.store.name)
}

fn written(path: &str, center: Option<&str>, store: &str) -> String {
    let mut out = format!("/folder/{}?", encode(path, "/"));
    if let Some(center) = center {
        // Unverified: whether there are more letters that a vCenter unescapes once too often.
        out.push_str(&format!("dcPath={}&", encode(&center.replace('&', "%26"), "")));
    }
    out.push_str(&format!("dsName={}", encode(store, "")));
    out
}

/// Sends a request about a file; its status is the caller's to judge.
fn ask(it: &Vsphere, call: &Call, live: &Live, mut request: Request<'_>) -> Result<Response> {
    call.check()?;
    if call.rights() == Rights::ReadOnly && !matches!(request.method, "GET" | "HEAD") {
        return Err(Error::new(
            Kind::Denied,
            format!("{} changes files, and this call may only read", request.method),
        ));
    }
    // A part of a packed file is of no use.
    request = request.header("Accept-Encoding", "identity");
    if let Some(cookie) = &live.cookie {
        request = request.header("Cookie", cookie.reveal());
    }
    request.silence = Some(it.session.patience(call, None));
    it.session.wire.send(&request)
}

/// Asks for a file from a byte on.
fn get(it: &Vsphere, call: &Call, live: &Live, at: &At, from: u64) -> Result<Response> {
    let mut request = Request::new("GET", address(at, live), b"");
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
    }
    let response = ask(it, call, live, request)?;
    let shown = quoted(&at.path);
    match response.status {
        200 if from == 0 => Ok(response),
        206 if first_byte(&response) == Some(from) => Ok(response),
        200 | 206 => {
            let said =
                format!("the server gave another part of `{shown}` than from byte {from} on");
            Err(Error::new(Kind::Remote, said)
                .hint("A proxy on the way may do so; set NO_PROXY for this host"))
        }
        416 => Err(Error::new(Kind::Conflict, format!("`{shown}` has no byte {from} any more"))
            .hint("It became shorter meanwhile; read it again")),
        status => Err(refused(live, at, status, "read")),
    }
}

/// Where a part begins: `bytes 5-9/100`.
fn first_byte(response: &Response) -> Option<u64> {
    let range = response.header("Content-Range")?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

fn is_folder(it: &Vsphere, call: &Call, at: &At) -> Result<bool> {
    Ok(matches!(look(it, call, &at.store, &at.path)?, Look::There(entry) if entry.folder))
}

/// The error for a file whose size is not told.
fn unreadable(it: &Vsphere, call: &Call, at: &At, status: u16) -> Error {
    match look(it, call, &at.store, &at.path) {
        Err(error) => error,
        Ok(Look::There(entry)) if entry.folder => folder_there(at),
        Ok(Look::There(_)) if status == 200 => {
            let said = format!("the server does not tell the size of `{}`", quoted(&at.path));
            Error::new(Kind::Remote, said).hint("A proxy on the way may hide it")
        }
        Ok(Look::There(_)) => match it.session.live(call) {
            Ok(live) => refused(&live, at, status, "read"),
            Err(error) => error,
        },
        Ok(_) => missing(it, call, at),
    }
}

fn folder_there(at: &At) -> Error {
    let said = format!("`{}` on `{}` is a folder", quoted(&at.path), at.store.name);
    Error::new(Kind::Conflict, said).hint("Name a file in it; browse_datastore shows them")
}

/// The error for a file that is not there, with the name that may be meant.
fn missing(it: &Vsphere, call: &Call, at: &At) -> Error {
    let (folder, name) = split(&at.path);
    let folder = format!("/{folder}");
    let what = Browse {
        store: &at.store.at.id,
        path: &folder,
        recursive: false,
        pattern: None,
        disks: false,
    };
    let found = list(it, &call.unwatched(), &what).unwrap_or_default();
    let names = found.iter().map(|it| split(it.path.trim_end_matches('/')).1);
    let error = missing_file(at);
    match nearest(name, names) {
        Some(near) => error.hint_instead(format!("Did you mean `{}`?", quoted(near))),
        None => error,
    }
}

/// The error for a status; `verb` is what was to be done.
fn refused(live: &Live, at: &At, status: u16, verb: &str) -> Error {
    let what = format!("`{}` on `{}`", quoted(&at.path), at.store.name);
    let rights = match live.is_vcenter() {
        true => {
            "The account needs Datastore.Browse to read files and Datastore.FileManagement to write \
             them, on the datacenter too and not only on the datastore"
        }
        false => {
            "The account needs Datastore.Browse to read files and Datastore.FileManagement to write \
             them"
        }
    };
    // Unverified: which of them a host gives when; 500 is known of files that are locked.
    let (kind, said, hint) = match status {
        401 => (Kind::Denied, format!("the server wants a login for {what} (HTTP 401)"), rights),
        403 => (Kind::Denied, format!("the account may not {verb} {what} (HTTP 403)"), rights),
        404 => (
            Kind::NotFound,
            format!("the server finds no place for {what} (HTTP 404)"),
            "It, or its folder, may have been deleted meanwhile; browse_datastore shows what there is",
        ),
        405 => (
            Kind::Conflict,
            format!("the server does not {verb} {what} (HTTP 405)"),
            "A folder may stand there; browse_datastore shows it",
        ),
        500 => (
            Kind::Busy,
            format!("the server could not {verb} {what} (HTTP 500)"),
            match verb {
                "read" => "It may be locked, as the disks of a running VM are",
                _ => "It may be locked, or the datastore may be full; get_datastore_info shows it",
            },
        ),
        503 => (
            Kind::Busy,
            format!("the server has no time for {what} (HTTP 503)"),
            "Too many transfers may be under way; try again in a minute",
        ),
        status => (
            Kind::Remote,
            format!("the server did not {verb} {what} (HTTP {status})"),
            "A proxy on the way may answer in its place; the host's hostd.log says more",
        ),
    };
    let error = Error::new(kind, said).hint(hint);
    // A session that has expired looks the same.
    if status == 401 { error.fault("NotAuthenticated") } else { error }
}

/// Where a file would go, and what stands there.
pub fn slot(
    it: &Vsphere,
    call: &Call,
    store: Option<&str>,
    path: &str,
    overwrite: bool,
) -> Result<Slot> {
    let at = file(it, call, store, path)?;
    let folder = split(&at.path).0;
    let (mut replaces, mut makes) = (None, None);
    match look(it, call, &at.store, &at.path)? {
        Look::There(entry) if entry.folder => return Err(folder_there(&at)),
        Look::There(entry) => {
            let size = entry.size_bytes.unwrap_or(0);
            may_go(it, call, &at, size, overwrite)?;
            replaces = Some(size);
        }
        Look::Missing if folder.is_empty() && !at.store.makes_folders => {
            let said = format!("`{}` keeps no files at its root, as a vSAN", at.store.name);
            return Err(Error::new(Kind::Unsupported, said)
                .hint("Name a folder that is there, such as that of a VM"));
        }
        Look::Missing => {}
        Look::NoFolder => {
            make_folder_at(it, call, at.beside(folder.to_owned()))?;
            makes = Some(folder.to_owned());
        }
    }
    let warning = at.path.to_ascii_lowercase().ends_with(".vmdk").then(|| {
        "it is stored as a plain file, which no VM can use as a disk unless it is one of ESXi's own \
         files; deploy_ova and deploy_ovf import other disks"
            .to_owned()
    });
    Ok(Slot {
        shown: at.full(),
        store: at.store.at.id.clone(),
        free_bytes: at.store.free_bytes,
        path: at.path,
        replaces,
        makes,
        warning,
    })
}

/// Refuses to replace what must stay.
fn may_go(it: &Vsphere, call: &Call, at: &At, size: i64, overwrite: bool) -> Result<()> {
    let (shown, on) = (quoted(&at.path), &at.store.name);
    if !overwrite {
        let said = format!("there is a file `{shown}` ({}) on `{on}` already", sized(size));
        return Err(Error::new(Kind::Conflict, said)
            .hint("Choose another path, or pass overwrite=true to replace it"));
    }
    refuse_owned(it, call, at, false, |_| "Choose another path".to_owned())?;
    refuse_extent(it, call, at, "Delete")?;
    if is_disk(&at.path) {
        // Its data are files of their own, which would be left alone or lost.
        let said = format!("`{shown}` on `{on}` is a disk, and no file takes its place");
        return Err(Error::new(Kind::Conflict, said)
            .hint("delete_datastore_file deletes it with its data; or choose another path"));
    }
    room_aside(it, call, at).map(drop)
}

/// Sends a file and gives it its name.
pub fn write(
    it: &Vsphere,
    call: &Call,
    to: &Slot,
    size: Option<u64>,
    body: &mut dyn Read,
) -> Result<Option<String>> {
    // These calls also find out that the session has expired, while nothing of the body is sent that
    // could not be sent again.
    let at = At::read(it, call, Some(&to.store), &format!("/{}", to.path))?;
    let mut first = Vec::new();
    body.take(SPARSE.len() as u64).read_to_end(&mut first).map_err(from_io)?;
    if to.warning.is_some() && first == SPARSE {
        let said = format!("`{}` would be no disk that a VM can use", quoted(&to.path));
        return Err(Error::new(Kind::Unsupported, said).hint(
            "It is packed as in appliances (streamOptimized) or of another product; deploy_ova and \
             deploy_ovf import such disks, and a name without .vmdk stores it as a plain file",
        ));
    }
    let aside = to.replaces.map(|_| room_aside(it, call, &at)).transpose()?;
    if let Some(folder) = &to.makes {
        made(it, call, &at.beside(folder.clone()))?;
    }
    let part = at.beside(temporary(&at.path));
    let mut body = Sent { body: Cursor::new(first).chain(body), call, bytes: 0, failed: false };
    let sent = send(it, call, (&part, &at), size, &mut body);
    let whole = sent.is_ok();
    let placed = sent.and_then(|()| {
        let work = Work::naming(it, part.clone(), at, aside);
        // The progress that a caller sees is that of the bytes.
        work.place(&call.unwatched())
    });
    let unclear = |error: &Error| task::goes_on(error) || error.kind() == Kind::Network;
    placed.map_err(|error| match whole && unclear(&error) {
        true => error.during(format!("all of it is there as {}", part.full())),
        false => match removed(it, &part) {
            // What may have taken effect is taken back; who gives the bytes has advice of his own.
            Ok(()) if error.kind() == Kind::Network && !body.failed => {
                error.hint_instead("Nothing of it is kept; try again")
            }
            Ok(()) => error,
            Err(second) => {
                log::error!("{} was left behind: {second}", part.full());
                error.during(format!("a part may be left as {}: {second}", part.full()))
            }
        },
    })
}

/// What is sent, with how much of it was.
struct Sent<'a, R> {
    body: R,
    call: &'a Call,
    bytes: u64,
    /// It could not be read to its end.
    failed: bool,
}

impl<R: Read> Read for Sent<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.call.check().map_err(into_io)?;
        let got = self.body.read(into).inspect_err(|_| self.failed = true)?;
        self.bytes += got as u64;
        Ok(got)
    }

    crate::text::reading::shared!();
}

/// Sends all of it to the first place, which messages call the second, and sees that all of it came.
fn send<R: Read>(
    it: &Vsphere,
    call: &Call,
    (at, named): (&At, &At),
    size: Option<u64>,
    body: &mut Sent<'_, R>,
) -> Result<()> {
    let _in_use = it.session.in_use();
    let live = it.session.live(call)?;
    let request = Request::new("PUT", address(at, &live), b"")
        .header("Content-Type", "application/octet-stream")
        // Unverified: that a host takes what comes in chunks, without a length.
        .sending(Upload::new(&mut *body, size));
    let response = ask(it, call, &live, request)?;
    if !matches!(response.status, 200 | 201 | 204) {
        return Err(refused(&live, named, response.status, "write"));
    }
    let sent = body.bytes;
    // Whoever looks at the bytes may still refuse at their end; and there must be no more of them.
    let more = body.read(&mut [0]).map_err(from_io)?;
    if more > 0 || size.is_some_and(|size| size != sent) {
        let said = format!("{sent} bytes were sent, and that is not all of it");
        return Err(Error::new(Kind::Conflict, said)
            .hint("It was changed while it was read, or the server did not wait for its end"));
    }
    let head = it
        .session
        .with(call, |live| ask(it, call, live, Request::new("HEAD", address(at, live), b"")))?;
    let kept = match head.status {
        200 => head.header("Content-Length").and_then(|it| it.parse::<u64>().ok()),
        404 => Some(0),
        _ => None,
    };
    match kept.filter(|kept| *kept != sent) {
        None => Ok(()),
        Some(kept) => {
            let said = format!("{sent} bytes were sent, and the server has {kept} of them");
            Err(Error::new(Kind::Remote, said).hint("The datastore may be full; try again"))
        }
    }
}

/// The name of a file that is on its way, which no other has.
fn temporary(path: &str) -> String {
    let (folder, name) = split(path);
    let cut = (0..=name.len().min(KEPT)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let own = now ^ std::process::id();
    join(folder, &format!("{}.{own:08x}.part", &name[..cut]))
}

/// Deletes what was sent, whatever became of the call.
fn removed(it: &Vsphere, part: &At) -> Result<()> {
    let mut result = Ok(());
    for wait in AGAIN {
        sleep(*wait);
        let call = Call::new(Rights::Change).within(PARTING);
        match delete(it, &call, part, false) {
            Err(error) if error.fault_name() != Some("FileNotFound") => result = Err(error),
            _ => return Ok(()),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_once_and_an_ampersand_of_a_datacenter_twice() {
        let odd = "a b/50% + #1 & é[x]?.iso";
        let path = "/folder/a%20b/50%25%20%2B%20%231%20%26%20%C3%A9%5Bx%5D%3F.iso";
        assert_eq!(written(odd, None, "my ds+1"), format!("{path}?dsName=my%20ds%2B1"));
        // A slash in a name is one that the server has escaped.
        let center = Some("Europe/R&D/DC%2f1");
        assert_eq!(
            written("x", center, "a&b"),
            "/folder/x?dcPath=Europe%2FR%2526D%2FDC%252f1&dsName=a%26b"
        );
    }

    #[test]
    fn a_part_has_a_name_of_its_own_beside_the_file() {
        let part = temporary("iso/ä b.iso");
        assert!(part.starts_with("iso/ä b.iso.") && part.ends_with(".part"), "{part}");
        assert!(!is_disk(&temporary("x.vmdk")));
        let long = temporary(&"ä".repeat(125));
        assert!(long.len() < 255 && long.starts_with(&"ä".repeat(KEPT / 2)), "{long}");
    }

    #[test]
    fn what_names_its_datastore_is_a_path() {
        assert!(is_path("[nas01] iso/a.iso") && is_path("[a b]x"));
        for other in ["iso/a.iso", "[x", "[] a", "/[x] a", "https://[::1]/a"] {
            assert!(!is_path(other), "{other}");
        }
    }
}
