//! The resources: inventories as JSON, by URI, rows of one table as the tools are.
//!
//! `esxi://vms` is of the default server, `esxi://{host}/vms` of a named one. Surprising: a
//! resource runs with the right to read only, through the same session as the tools.

use crate::error::{Error, Kind, Result};
use crate::hv::Host;
use crate::hv::call::{Call, Rights};
use crate::hv::fleet::Fleet;
use crate::hv::machines::Depth;
use crate::hv::places::{Fact, PlaceKind};
use crate::text::json;
use crate::text::json::{Array, Object, Value};
use crate::tools::vm;

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

/// The URI template of a resource of a named server.
pub fn template(resource: &Resource) -> String {
    format!("{SCHEME}{{host}}/{}", resource.path)
}

/// The text of a resource; NotFound for a URI that means none.
pub fn read(fleet: &Fleet, call: &Call, uri: &str, cap: usize) -> Result<String> {
    let (server, resource) = parse(uri)?;
    let server = fleet.server(server.as_deref())?;
    let call = call.clone().with_rights(Rights::ReadOnly);
    let rows = (resource.read)(server.host.as_ref(), &call)?;
    Ok(capped(resource.path, rows, cap))
}

fn parse(uri: &str) -> Result<(Option<String>, &'static Resource)> {
    let unknown = || {
        let known: Vec<String> = RESOURCES.iter().map(self::uri).collect();
        Error::new(Kind::NotFound, format!("no resource `{}`", crate::error::quoted(uri)))
            .hint(format!("Known: {}; esxi://{{host}}/... for a named server", known.join(", ")))
    };
    let rest = uri.strip_prefix(SCHEME).ok_or_else(unknown)?;
    let (server, path) = match rest.rsplit_once('/') {
        Some((server, path)) => (Some(decoded(server).ok_or_else(unknown)?), path),
        None => (None, rest),
    };
    let found = RESOURCES.iter().find(|resource| resource.path == path);
    found.map(|resource| (server, resource)).ok_or_else(unknown)
}

/// Percent escapes undone; `None` where they are broken.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
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

    #[test]
    fn uris_of_default_and_named_servers() {
        let (server, resource) = parse("esxi://vms").unwrap();
        assert_eq!((server, resource.path), (None, "vms"));
        let (server, resource) = parse("esxi://lab%20esx/resource-pools").unwrap();
        assert_eq!((server.as_deref(), resource.path), (Some("lab esx"), "resource-pools"));
        for bad in ["esxi://", "esxi://nope", "http://vms", "esxi://%zz/vms", "esxi:///"] {
            assert_eq!(parse(bad).err().unwrap().kind(), Kind::NotFound, "{bad}");
        }
    }
}
