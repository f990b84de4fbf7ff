//! Datastore files over HTTP: `/folder/web01/vmware.log?dcPath=ha-datacenter&dsName=datastore1`.
//!
//! Bodies stream without the world's lock; what is uploaded is there once all of it has come.
//! Surprising: a plus is a plus in the query too, and a folder is an HTML page.

use crate::sim::clock::stamp;
use crate::sim::files;
use crate::sim::files::File;
use crate::sim::http::Answer;
use crate::sim::http::Request;
use crate::sim::nfc::Upload;
use crate::sim::permissions;
use crate::sim::service;
use crate::sim::service::Simulator;
use crate::sim::sessions;
use crate::sim::sums;
use crate::sim::world::World;
use crate::text::base64;
use crate::text::percent;
use crate::text::xml;
use crate::vim::value::Ref;
use crate::web::codec::range::Range;
use crate::web::codec::range::content_range;
use crate::web::codec::range::range;

/// Where files of datastores are.
pub const FOLDER: &str = "/folder";
const HTML: &str = "text/html; charset=utf-8";

/// What is asked for.
struct Asked {
    datacenter: String,
    store: String,
    /// `[datastore1] web01/vmware.log`; empty where no datastore is named.
    path: String,
    /// The path ends in a slash.
    slash: bool,
}

/// Answers a request for a file or folder.
pub fn answer(simulator: &Simulator, request: &mut Request) -> Answer {
    let reads = matches!(request.method, "GET" | "HEAD");
    match may(&mut simulator.world(), request) {
        None => {
            return Answer::empty(401)
                .header("WWW-Authenticate", "Basic realm=\"VMware HTTP server\"");
        }
        // unverified: 401 or 403 for a user who lacks the privilege.
        Some(false) if !reads => return Answer::empty(403),
        Some(_) => {}
    }
    let Some(asked) = asked(&simulator.world(), request) else { return Answer::empty(404) };
    match request.method {
        "GET" | "HEAD" => get(&simulator.world(), &asked, request.header("range")),
        "PUT" => put(simulator, &asked, request),
        "DELETE" => delete(&mut simulator.world(), &asked),
        _ => Answer::empty(405).header("Allow", "GET, HEAD, PUT, DELETE"),
    }
}

/// Whether the caller may change files too; nothing for somebody unknown.
fn may(world: &mut World, request: &Request) -> Option<bool> {
    let now = world.now;
    let agent = request.header("user-agent").unwrap_or_default();
    let cookie = service::cookie(request).unwrap_or_default();
    let user = match world.sessions.used(&cookie, now, agent) {
        Some(session) => session.user.clone(),
        None => {
            let (scheme, encoded) = request.header("authorization")?.split_once(' ')?;
            let pair = base64::decode(encoded).and_then(|it| String::from_utf8(it).ok())?;
            let (name, password) = pair.split_once(':')?;
            let basic = scheme.eq_ignore_ascii_case("basic");
            (basic && sessions::known(world, name, password)).then(|| name.to_owned())?
        }
    };
    let files = "Datastore.FileManagement";
    let granted = |on: Ref| permissions::granted(world, &user, &on, files);
    let own = !sessions::only_looks(world, &user);
    Some(own || world.first("Datacenter").is_some_and(granted))
}

/// Reads path and query; nothing where there is no such datacenter or datastore.
fn asked(world: &World, request: &Request) -> Option<Asked> {
    let raw = request.path().strip_prefix(FOLDER)?;
    if !raw.is_empty() && !raw.starts_with('/') {
        return None;
    }
    let parameter = |name: &str| {
        let mut pairs = request.query().split('&').filter_map(|it| it.split_once('='));
        pairs.find(|it| it.0 == name).map_or(Some(String::new()), |it| percent::decode(it.1).ok())
    };
    let (datacenter, store) = (parameter("dcPath")?, parameter("dsName")?);
    let wanted = datacenter.trim_matches('/');
    let mut all = world.all("Datacenter");
    let own = match wanted {
        "" if !world.vcenter => all.next(),
        // All folders above it are named. An `&` comes escaped twice, as vCenter undoes it twice.
        wanted => all.find(|(id, _)| {
            place(world, id).replace('&', "%26") == wanted || (*id == wanted && !world.vcenter)
        }),
    };
    let datacenter = own?.1.text("name").unwrap_or_default().to_owned();
    let decoded = percent::decode(raw).ok()?;
    let path = match store.is_empty() {
        true if decoded.trim_matches('/').is_empty() => String::new(),
        true => return None,
        false => world.place(&format!("[{store}] {decoded}")).ok()?.path,
    };
    Some(Asked { datacenter, store, path, slash: decoded.ends_with('/') })
}

/// The names of an object and of what it stands in, without the root.
fn place(world: &World, id: &str) -> String {
    let mut ids = world.above(&Ref::new("Datacenter", id));
    ids.pop();
    ids.insert(0, id.to_owned());
    let name = |id: &String| world.plain.get(id).and_then(|it| it.props.text("name"));
    let mut names: Vec<&str> = ids.iter().filter_map(name).collect();
    names.reverse();
    names.join("/")
}

fn get(world: &World, asked: &Asked, wanted: Option<&str>) -> Answer {
    let path = &asked.path;
    if path.is_empty() || world.files.is_folder(path) {
        return Answer::of(200, HTML, listing(world, asked).into_bytes());
    }
    let Some(file) = world.files.file(path).filter(|_| !asked.slash) else {
        return Answer::empty(404);
    };
    // The data of a running machine's disks and memory is locked, its texts are not.
    let data = path.ends_with(".vmdk") && file.content.is_none() || path.ends_with(".vswp");
    if data && world.holder(path).is_some() {
        return Answer::empty(500);
    }
    let (status, start, length) = match range(wanted, file.size) {
        Range::Full => (200, 0, file.size),
        Range::Part { start, length } => (206, start, length),
        Range::Unsatisfiable => {
            return Answer::empty(416).header("Content-Range", content_range(None, file.size));
        }
    };
    let answer = Answer::stream(status, Box::new(file.read(start, length)), Some(length))
        .header("Content-Type", "application/octet-stream")
        .header("Accept-Ranges", "bytes");
    match status {
        206 => {
            let part = content_range(Some((start, length)), file.size);
            answer.header("Content-Range", part)
        }
        _ => answer,
    }
}

/// The page that shows a folder, or the datastores.
fn listing(world: &World, asked: &Asked) -> String {
    let Asked { datacenter, store, path, .. } = asked;
    let mut page = String::from(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\">\n<html>\n<head>\n<title>Index of ",
    );
    let shown = if path.is_empty() { datacenter } else { path };
    escape(&mut page, shown);
    page.push_str("</title></head>\n<body>\n<h1>Index of ");
    escape(&mut page, shown);
    page.push_str("</h1>\n<table>\n<tr><th>Name</th><th>Last modified</th><th>Size</th></tr>\n");
    let within = path.split_once("] ").map_or("", |it| it.1);
    let mut row = |folder: &str, store: &str, name: &str, modified: &str, size: Option<u64>| {
        page.push_str("<tr><td><a href=\"/folder");
        page.push_str(&escaped(folder, true));
        page.push_str("?dcPath=");
        page.push_str(&escaped(datacenter, false));
        if !store.is_empty() {
            page.push_str("&amp;dsName=");
            page.push_str(&escaped(store, false));
        }
        page.push_str("\">");
        escape(&mut page, name);
        page.push_str("</a></td><td align=\"right\">");
        page.push_str(modified);
        page.push_str("</td><td align=\"right\">");
        page.push_str(&size.map_or_else(|| "  - ".to_owned(), |it| it.to_string()));
        page.push_str("</td></tr>\n");
    };
    if path.is_empty() {
        for (_, props) in world.all("Datastore") {
            let name = props.text("name").unwrap_or_default();
            row("", name, name, "&nbsp;", None);
        }
    } else {
        let above = within.rsplit_once('/').map_or("", |it| it.0);
        let upper = if within.is_empty() { "" } else { store };
        row(&slashed(above), upper, "Parent Directory", "&nbsp;", None);
        let inside = files::inside(path);
        for (name, folder) in world.files.children(path) {
            let file = world.files.all.get(&format!("{inside}{name}"));
            let modified = file.map_or_else(String::new, |it| stamp(it.modified));
            let own = format!("{}/{name}", slashed(within));
            match folder {
                true => row(&(own + "/"), store, &format!("{name}/"), &modified, None),
                false => row(&own, store, name, &modified, file.map(|it| it.size)),
            }
        }
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

fn slashed(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// Text in HTML; what XML cannot hold is left out.
fn escape(page: &mut String, text: &str) {
    let mut part = String::new();
    if xml::escape(&mut part, text, true).is_ok() {
        page.push_str(&part);
    }
}

/// Text in a URL.
fn escaped(text: &str, slashes: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if slashes => out.push('/'),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

fn put(simulator: &Simulator, asked: &Asked, request: &mut Request) -> Answer {
    let path = &asked.path;
    let claimed = request.header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0u64);
    let (free, fresh) = {
        let world = simulator.world();
        if asked.slash || path.is_empty() || world.files.is_folder(path) {
            return Answer::empty(405);
        }
        // unverified: real vCenters make some folders.
        if !world.files.is_folder(files::parent(path)) {
            return Answer::empty(404);
        }
        if world.holder(path).is_some() {
            return Answer::empty(500);
        }
        let old = world.files.size(path);
        (world.free(path).saturating_add(old), !world.files.exists(path))
    };
    // unverified: what a host answers when the datastore is full.
    if claimed > free {
        return Answer::empty(500);
    }
    let mut kept: Vec<u8> = Vec::new();
    let drained = sums::drain(request.body, &mut |piece, bytes| {
        // One byte more than is kept of a file that is kept whole tells that it is not.
        let room = (files::KEPT + 1).saturating_sub(kept.len()).min(piece.len());
        kept.extend_from_slice(piece.get(..room).unwrap_or_default());
        if bytes > free { Err(500) } else { Ok(()) }
    });
    // unverified: a host keeps what came before the connection broke.
    let sums = match drained {
        Ok(sums) => sums,
        Err(status) => return Answer::empty(status),
    };
    let mut world = simulator.world();
    let mut file = File::text(kept, world.now);
    file.size = sums.bytes;
    let gone = !world.files.is_folder(files::parent(path)) || world.files.is_folder(path);
    if gone || world.store(path, file).is_err() {
        return Answer::empty(500);
    }
    world.nfc.note(Upload { path: path.clone(), sums });
    drop(world);
    simulator.wake();
    Answer::empty(if fresh { 201 } else { 200 })
}

fn delete(world: &mut World, asked: &Asked) -> Answer {
    let path = &asked.path;
    // unverified: that folders are not deleted so.
    if asked.slash || path.is_empty() || world.files.is_folder(path) {
        return Answer::empty(405);
    }
    if !world.files.exists(path) {
        return Answer::empty(404);
    }
    if world.holder(path).is_some() {
        return Answer::empty(500);
    }
    world.files.remove(path);
    world.touch();
    Answer::empty(204)
}
