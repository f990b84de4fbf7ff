//! The resources: inventories as JSON, by URI, rows of one table as the tools are.
//!
//! `esxi://vms` is of the default server, `esxi://{host}/vms` of a named one; folders of datastores
//! are known by template only. Surprising: a resource runs with the right to read only, through the
//! same session as the tools; and a path may come with its slashes escaped or not.

use crate::auth::principal::Principal;
use crate::error::{Error, Kind, Result};
use crate::hv::Host;
use crate::hv::call::{Call, Rights};
use crate::hv::fleet::Server;
use crate::hv::machines::Depth;
use crate::hv::places::{Fact, PlaceKind};
use crate::hv::stores::Browse;
use crate::serial::hub::Console;
use crate::text::json;
use crate::text::json::{Array, Object, Value};
use crate::text::percent::decode;
use crate::tools::counts::Noted;
use crate::tools::offer::Offer;
use crate::tools::rights;
use crate::tools::run::Gate;
use crate::tools::serial_line::{Desk, Found, SCREEN, cleaned, screenful, state};
use crate::tools::{Level, datastore, find, vm};

/// One resource.
pub struct Resource {
    /// What follows `esxi://`.
    pub path: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    read: fn(&dyn Host, &Call) -> Result<Vec<Object>>,
}

/// Every resource, in the order of listing.
pub static RESOURCES: &[Resource] = &[
    Resource {
        path: "vms",
        title: "VMs",
        about: "All VMs with state, size and address",
        read: machines,
    },
    Resource {
        path: "hosts",
        title: "Hosts",
        about: "ESXi hosts with version, size and usage",
        read: |host, call| places(host, call, PlaceKind::Host),
    },
    Resource {
        path: "datastores",
        title: "Datastores",
        about: "Datastores with type, size and free space",
        read: |host, call| places(host, call, PlaceKind::Datastore),
    },
    Resource {
        path: "networks",
        title: "Networks",
        about: "Networks and port groups",
        read: |host, call| places(host, call, PlaceKind::Network),
    },
    Resource {
        path: "clusters",
        title: "Clusters",
        about: "Clusters with their size; none on a standalone ESXi",
        read: |host, call| places(host, call, PlaceKind::Cluster),
    },
    Resource {
        path: "resource-pools",
        title: "Resource pools",
        about: "Resource pools with reservations and limits",
        read: |host, call| places(host, call, PlaceKind::ResourcePool),
    },
];

const SCHEME: &str = "esxi://";

/// The URI of a resource of the default server.
pub fn uri(resource: &Resource) -> String {
    format!("{SCHEME}{}", resource.path)
}

/// A family of resources, one for each value of its arguments.
pub struct Template {
    pub uri: String,
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    pub args: &'static [&'static str],
}

/// Whether consoles are resources: where the tool that reads them is offered.
pub fn has_consoles(offer: &Offer) -> bool {
    find(CONSOLES).is_some_and(|(family, tool)| offer.has(family, tool))
}

/// Every template that is offered, in the order of listing.
pub fn offered(offer: &Offer) -> Vec<Template> {
    let mut all = templates();
    if !has_consoles(offer) {
        all.retain(|it| !it.name.starts_with("serial"));
    }
    all
}

/// Every template, in the order of listing.
pub fn templates() -> Vec<Template> {
    let console = |uri: &str, name, about, args| {
        let uri = uri.to_owned();
        Template { uri, name, title: "Serial console", about, args }
    };
    let folder = |uri: &str, name, about, args| {
        let uri = uri.to_owned();
        Template { uri, name, title: "Files on a datastore", about, args }
    };
    let of_server = |it: &Resource| Template {
        uri: format!("{SCHEME}{{host}}/{}", it.path),
        name: it.path,
        title: it.title,
        about: it.about,
        args: &["host"],
    };
    RESOURCES
        .iter()
        .map(of_server)
        .chain([
            folder(
                "datastore://{datastore}/{path}",
                "files",
                "Files and folders in a folder; an empty path is the root",
                &["datastore", "path"],
            ),
            folder(
                "esxi://{host}/datastore/{ds}/{+path}",
                "files-of-host",
                "The same on a named server",
                &["host", "ds", "path"],
            ),
            console(
                "serial://{vm}",
                "serial",
                "What a VM's serial console said last; can be subscribed to",
                &["vm"],
            ),
            console(
                "esxi://{host}/serial/{vm}",
                "serial-of-host",
                "The same on a named server",
                &["host", "vm"],
            ),
        ])
        .collect()
}

/// The tool that reads what the resources of consoles show, with its level.
const CONSOLES: &str = "read_serial";

/// The text of a resource; NotFound for a URI that means none.
pub fn read(
    gate: &Gate,
    call: &Call,
    who: &Principal,
    uri: &str,
    noted: &mut Noted<'_>,
) -> Result<String> {
    let (server, what) = meant(gate, who, uri, noted)?;
    let call = call.clone().with_rights(Rights::ReadOnly);
    let host = server.host.as_ref();
    let (key, rows) = match &what {
        What::Table(resource) => (resource.path, (resource.read)(host, &call)?),
        What::Folder { store, path } => ("files", files(host, &call, store, path)?),
        What::Console { vm, port } => {
            let desk = Desk { server, consoles: &gate.consoles, call: &call };
            let found = desk.find(vm, port.as_deref())?;
            let console = desk.readable(&found)?;
            return Ok(said(&found, &console, gate.cap));
        }
    };
    Ok(capped(key, rows, gate.cap))
}

/// The console that a URI means, to be watched; NotFound for one that means none.
pub fn console(
    gate: &Gate,
    call: &Call,
    who: &Principal,
    uri: &str,
    noted: &mut Noted<'_>,
) -> Result<Console> {
    match meant(gate, who, uri, noted)? {
        (server, What::Console { vm, port }) => {
            let call = call.clone().with_rights(Rights::ReadOnly);
            let desk = Desk { server, consoles: &gate.consoles, call: &call };
            desk.readable(&desk.find(&vm, port.as_deref())?)
        }
        _ => {
            let said = format!("`{}` cannot be subscribed to", crate::error::quoted(uri));
            Err(Error::usage(said).hint("serial://{vm} can"))
        }
    }
}

/// What a URI means, and on which server.
fn meant<'a>(
    gate: &'a Gate,
    who: &Principal,
    uri: &str,
    noted: &mut Noted<'_>,
) -> Result<(&'a Server, What)> {
    let unknown = || {
        let known: Vec<String> = RESOURCES.iter().map(self::uri).collect();
        Error::new(Kind::NotFound, format!("no resource `{}`", crate::error::quoted(uri)))
            .hint(format!("Known: {}; esxi://{{host}}/... for a named server", known.join(", ")))
    };
    let (server, what) = parse(uri).ok_or_else(unknown)?;
    let mut denied = |error: Error, needs: Level| {
        if error.kind() == Kind::Denied {
            noted.denied(needs);
        }
        error
    };
    let server = rights::server(&gate.fleet, who, server.as_deref())
        .map_err(|error| denied(error, Level::Read))?;
    if let What::Console { .. } = what {
        let (_, tool) = find(CONSOLES).filter(|_| has_consoles(&gate.offer)).ok_or_else(unknown)?;
        if who.level_on(&server.name) < Some(tool.level) {
            let error = rights::denied(&gate.fleet, who, tool.level, Some(server));
            return Err(denied(error, tool.level));
        }
    }
    Ok((server, what))
}

/// The last of what a console said.
fn said(found: &Found, console: &Console, cap: usize) -> String {
    let now = console.status();
    let since = screenful(console, SCREEN);
    let most = usize::try_from(now.position.saturating_sub(since)).unwrap_or(0);
    let piece = console.read(Some(since), most, std::time::Duration::ZERO, &|| true);
    // Escaped, a character may be six.
    let said = cleaned(&piece.bytes, piece.from, piece.dropped, cap / 6);
    let int = |it: u64| json::int(i64::try_from(it).unwrap_or(i64::MAX));
    json::write_object(&json::object([
        ("vm", json::text(found.port.machine.name.as_str())),
        ("port", json::text(found.port.label.as_str())),
        ("state", json::text(state(&now))),
        ("text", json::text(said.text)),
        ("from", int(said.from)),
        ("next", int(said.next)),
    ]))
}

/// What a URI means.
enum What {
    Table(&'static Resource),
    Folder {
        store: String,
        path: String,
    },
    /// One of several ports by its label.
    Console {
        vm: String,
        port: Option<String>,
    },
}

/// The server that is named, if one is, and what is meant of it.
fn parse(uri: &str) -> Option<(Option<String>, What)> {
    if let Some(rest) = uri.strip_prefix("datastore://") {
        return Some((None, folder(rest)?));
    }
    if let Some(rest) = uri.strip_prefix("serial://") {
        return Some((None, console_of(rest)?));
    }
    let rest = uri.strip_prefix(SCHEME)?;
    let (server, path) = match rest.split_once('/') {
        Some((server, path)) => (Some(decode(server).ok()?), path),
        None => (None, rest),
    };
    if let (Some(_), Some(rest)) = (&server, path.strip_prefix("datastore/")) {
        return Some((server, folder(rest)?));
    }
    if let (Some(_), Some(rest)) = (&server, path.strip_prefix("serial/")) {
        return Some((server, console_of(rest)?));
    }
    let found = RESOURCES.iter().find(|resource| resource.path == path);
    found.map(|resource| (server, What::Table(resource)))
}

/// A datastore and a path, which may be left out.
fn folder(rest: &str) -> Option<What> {
    let (store, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (store, path) = (decode(store).ok()?, decode(path).ok()?);
    let leaves = path.split('/').any(|it| it == "..");
    // A path here is one from the root, whatever it begins with.
    let path = format!("/{path}");
    (!store.is_empty() && !leaves).then_some(What::Folder { store, path })
}

/// A machine, and perhaps the label of one of its ports.
fn console_of(rest: &str) -> Option<What> {
    let (vm, port) = match rest.split_once('/') {
        Some((vm, port)) => (vm, Some(decode(port).ok()?).filter(|it| !it.is_empty())),
        None => (rest, None),
    };
    let vm = decode(vm).ok().filter(|it| !it.is_empty())?;
    Some(What::Console { vm, port })
}

fn files(host: &dyn Host, call: &Call, store: &str, path: &str) -> Result<Vec<Object>> {
    let stores = host.stores().ok_or_else(|| {
        Error::new(Kind::NotFound, "this server has no files on datastores")
            .hint("list_servers shows the kind of each")
    })?;
    let what = Browse { store, path, recursive: false, pattern: None, disks: false };
    Ok(stores.browse(call, &what)?.iter().map(|it| datastore::row(it).object()).collect())
}

fn machines(host: &dyn Host, call: &Call) -> Result<Vec<Object>> {
    let machines = host.machines().list(call, Depth::Rows)?;
    Ok(machines.iter().map(|machine| vm::row(machine).object()).collect())
}

fn places(host: &dyn Host, call: &Call, kind: PlaceKind) -> Result<Vec<Object>> {
    let object = |place: crate::hv::places::Place| {
        let mut object = json::object([
            ("name", json::text(place.name)),
            ("id", json::text(place.id)),
            ("path", json::text(place.path)),
        ]);
        for (name, fact) in place.facts {
            let value = match fact {
                Fact::Flag(flag) => Value::Bool(flag),
                Fact::Number(number) => json::int(number),
                Fact::Text(text) => json::text(text),
            };
            object.insert(name.to_owned(), value);
        }
        object
    };
    Ok(host.places().list(call, kind)?.into_iter().map(object).collect())
}

/// Whole rows up to the cap; what is left out is counted.
fn capped(key: &str, rows: Vec<Object>, cap: usize) -> String {
    let total = rows.len();
    let (mut kept, mut size) = (Array::new(), 200);
    for row in rows {
        size += json::write_object(&row).len() + 1;
        if size > cap {
            break;
        }
        kept.push(Value::Object(row));
    }
    let left_out = total - kept.len();
    let mut object = json::object([("total", json::int(total as i64))]);
    if left_out > 0 {
        object.insert("left_out".to_owned(), json::int(left_out as i64));
        let note = "cut at the size limit of one answer; the list tools page with offset";
        object.insert("note".to_owned(), json::text(note));
    }
    object.insert(key.replace('-', "_"), Value::Array(kept));
    json::write_object(&object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(uri: &str) -> Option<(Option<String>, &'static str)> {
        match parse(uri)? {
            (server, What::Table(resource)) => Some((server, resource.path)),
            _ => None,
        }
    }

    #[test]
    fn uris_of_default_and_named_servers() {
        assert_eq!(table("esxi://vms"), Some((None, "vms")));
        let named = Some("lab esx".to_owned());
        assert_eq!(table("esxi://lab%20esx/resource-pools"), Some((named, "resource-pools")));
        for bad in ["esxi://", "esxi://nope", "http://vms", "esxi://%zz/vms", "esxi:///"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn uris_of_folders() {
        for (uri, server, store, path) in [
            ("datastore://nas01", None, "nas01", "/"),
            ("datastore://nas01/", None, "nas01", "/"),
            ("datastore://my%20ds/a/b%20c/50%25+%23", None, "my ds", "/a/b c/50%+#"),
            ("datastore://ds/a%2Fb%2F", None, "ds", "/a/b/"),
            ("datastore://ds/[x]", None, "ds", "/[x]"),
            ("esxi://lab/datastore/ds/iso/d.iso", Some("lab"), "ds", "/iso/d.iso"),
            ("esxi://lab/datastore/DC0%2Fdatastore%2Fds", Some("lab"), "DC0/datastore/ds", "/"),
            ("esxi://datastore/datastore/ds", Some("datastore"), "ds", "/"),
        ] {
            let Some((of, What::Folder { store: on, path: at })) = parse(uri) else {
                panic!("{uri}")
            };
            assert_eq!((of.as_deref(), &*on, &*at), (server, store, path), "{uri}");
        }
        for bad in [
            "datastore://",
            "datastore:///a",
            "datastore://a/%2e%2e/b",
            "datastore://a/%",
            "esxi://lab/datastore/",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn uris_of_consoles() {
        for (uri, server, name, label) in [
            ("serial://edge01", None, "edge01", None),
            ("serial://my%20vm%2F%25/", None, "my vm/%", None),
            ("serial://a/Serial%20port%202", None, "a", Some("Serial port 2")),
            ("esxi://lab/serial/b%C3%BCro", Some("lab"), "b\u{fc}ro", None),
        ] {
            let Some((of, What::Console { vm, port })) = parse(uri) else { panic!("{uri}") };
            assert_eq!((of.as_deref(), &*vm, port.as_deref()), (server, name, label), "{uri}");
        }
        for bad in ["serial://", "serial:///x", "serial://%zz", "esxi://lab/serial/"] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_template_names_its_arguments() {
        for it in templates() {
            let named = it.uri.matches('{').count();
            assert_eq!(named, it.args.len(), "{}", it.uri);
            for arg in it.args {
                assert!(it.uri.contains(&format!("{arg}}}")), "{}", it.uri);
            }
        }
    }
}
