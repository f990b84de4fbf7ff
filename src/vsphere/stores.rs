//! Datastores: which one is meant, and what it is.
//!
//! Names are unique within a datacenter only, so that on a vCenter two can be of one name; and a
//! path means a file only together with its datacenter. Unverified: how a path names a datastore
//! whose own name has a `%`.

use std::io::Read;

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::places::{Fact, Place};
use crate::hv::prepared::Prepared;
use crate::hv::stores::{Browse, Entry, Mount, Slot, StoreDetail, Stored, Stores, Transfer};
use crate::text::nearest::nearest;
use crate::text::order;
use crate::vim::value::{Object, Ref};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::store_path::{StorePath, bare, full};
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{
    Vsphere, browse, props, store_change, store_files, store_move, store_path, tree,
};

const KINDS: &[&str] = &["Datastore", "Folder", "Datacenter"];

const PATHS: &[&str] = &[
    "name",
    "parent",
    "browser",
    "summary.accessible",
    "summary.freeSpace",
    "capability.topLevelDirectoryCreateSupported",
];

const DETAIL: &[&str] =
    &["summary", "info", "capability.perFileThinProvisioningSupported", "host", "vm"];

/// One datastore, ready to be worked on.
#[derive(Clone, Debug)]
pub struct Store {
    pub at: Ref,
    /// As in paths of files.
    pub name: String,
    /// Where it stands in the inventory.
    pub path: String,
    /// Without it a vCenter knows no path; a host has one only.
    pub datacenter: Option<Ref>,
    /// Where that stands in the inventory.
    pub datacenter_path: Option<String>,
    pub browser: Ref,
    pub accessible: bool,
    pub free_bytes: Option<i64>,
    /// Folders can be made at its root, unlike on a vSAN.
    pub makes_folders: bool,
}

/// A place on a datastore.
#[derive(Clone, Debug)]
pub struct At {
    pub store: Store,
    pub path: String,
}

impl At {
    /// The place that a datastore's name and a path mean.
    pub fn read(it: &Vsphere, call: &Call, store: Option<&str>, path: &str) -> Result<At> {
        let path = StorePath::read(path)?;
        let store = usable(&all(it, call)?, path.on(store)?)?;
        Ok(At { store, path: path.path })
    }

    /// As servers write it.
    pub fn full(&self) -> String {
        full(&self.store.name, &self.path)
    }

    /// Another place on the same datastore.
    pub fn beside(&self, path: String) -> At {
        At { store: self.store.clone(), path }
    }
}

/// Every datastore that the account may see.
pub fn all(it: &Vsphere, call: &Call) -> Result<Vec<Store>> {
    let mut selects = vec![Select { kind: "Datastore", paths: PATHS }];
    selects.extend(tree::PLACES);
    let (mut tree, mut rows, mut centers) = (Tree::default(), Vec::new(), Vec::new());
    props::all(&it.session, call, KINDS, &selects, |row| match &*row.at.kind {
        "Datastore" => rows.push(row),
        kind => {
            if kind == "Datacenter" {
                centers.push(row.at.clone());
            }
            tree.add(&row);
        }
    })?;
    let store = |row: &Row| {
        let name = row.text("name").unwrap_or(&row.at.id);
        let parent = row.reference("parent");
        let center = tree.above(parent).find_map(|id| centers.iter().find(|it| it.id == id));
        Some(Store {
            at: row.at.clone(),
            name: unescaped(name),
            path: tree.path(name, parent),
            datacenter: center.cloned(),
            datacenter_path: center.and_then(|it| tree.place(&it.id)),
            browser: row.reference("browser")?.clone(),
            accessible: row.flag("summary.accessible") != Some(false),
            free_bytes: row.int("summary.freeSpace"),
            makes_folders: row.flag("capability.topLevelDirectoryCreateSupported") != Some(false),
        })
    };
    let found = rows.iter().filter_map(store).collect();
    Ok(order::by_key(found, |it: &Store| format!("{}\0{}", it.name, it.path)))
}

/// The one datastore that a word means, by name, id or inventory path.
pub fn pick<'a>(all: &'a [Store], wanted: &str) -> Result<&'a Store> {
    let word = bare(wanted);
    let path = word.trim_matches('/');
    let meant = |it: &&Store| {
        it.name == word || it.at.id == word || (word.contains('/') && it.path == path)
    };
    let hits: Vec<&Store> = all.iter().filter(meant).collect();
    let shown = quoted(word);
    match hits[..] {
        [one] => Ok(one),
        [] => {
            let error = Error::new(Kind::NotFound, format!("no datastore `{shown}`"));
            let names: Vec<&str> = all.iter().map(|it| it.name.as_str()).take(30).collect();
            Err(match nearest(word, all.iter().map(|it| it.name.as_str())) {
                _ if names.is_empty() => error.hint("The account sees no datastore at all"),
                Some(near) => {
                    error.hint(format!("Did you mean `{near}`? There are: {}", names.join(", ")))
                }
                None => error.hint(format!("There are: {}", names.join(", "))),
            })
        }
        _ => {
            let paths: Vec<&str> = hits.iter().map(|it| it.path.as_str()).take(20).collect();
            Err(Error::new(Kind::Conflict, format!("`{shown}` means more than one datastore"))
                .hint(format!("Pass one of these: {}", paths.join(", "))))
        }
    }
}

/// The same, if its files can be reached.
pub fn usable(all: &[Store], wanted: &str) -> Result<Store> {
    let store = pick(all, wanted)?;
    match store.accessible {
        true => Ok(store.clone()),
        false => Err(Error::new(Kind::Conflict, format!("`{}` is not accessible now", store.name))
            .hint("get_datastore_info shows which hosts reach it")),
    }
}

/// The error for a path that leads nowhere.
pub fn missing_file(at: &At) -> Error {
    let said = format!("no `{}` on `{}`", quoted(&at.path), at.store.name);
    Error::new(Kind::NotFound, said)
        .hint("browse_datastore shows what there is; capital and small letters differ")
}

impl Stores for Vsphere {
    fn detail(&self, call: &Call, wanted: &str, names: bool) -> Result<StoreDetail> {
        let stores = all(self, call)?;
        let store = pick(&stores, wanted)?;
        let row = props::one(&self.session, call, &store.at, "Datastore", DETAIL)?;
        let machines: Vec<Ref> =
            row.items("vm").iter().filter_map(|it| it.as_reference().cloned()).collect();
        let mounts: Vec<&Object> =
            row.items("host").iter().filter_map(|it| it.as_object()).collect();
        let mut named: Vec<Ref> =
            mounts.iter().filter_map(|it| it.reference("key").cloned()).collect();
        if names {
            named.extend(machines.iter().cloned());
        }
        let selects = [
            Select { kind: "HostSystem", paths: &["name"] },
            Select { kind: "VirtualMachine", paths: &["name"] },
        ];
        let rows = props::of(&self.session, call, &named, &selects)?;
        let name = |id: &str| {
            let row = rows.iter().find(|row| row.at.id == id);
            unescaped(row.and_then(|row| row.text("name")).unwrap_or(id))
        };
        let mount = |it: &&Object| Mount {
            host: it.reference("key").map_or_else(String::new, |at| name(&at.id)),
            access: it.text("mountInfo.accessMode").map(str::to_owned),
            mounted: it.flag("mountInfo.mounted"),
            accessible: it.flag("mountInfo.accessible"),
            trouble: it.text("mountInfo.inaccessibleReason").map(str::to_owned),
        };
        let on = rows.iter().filter(|row| &*row.at.kind == "VirtualMachine");
        let on: Vec<String> =
            on.map(|row| unescaped(row.text("name").unwrap_or(&row.at.id))).collect();
        Ok(StoreDetail {
            place: Place {
                id: store.at.id.clone(),
                name: store.name.clone(),
                path: store.path.clone(),
                facts: facts(&row),
            },
            mounts: order::by_key(mounts.iter().map(mount).collect(), |it: &Mount| it.host.clone()),
            machines: machines.len(),
            names: order::by_key(on, |it| it.clone()),
        })
    }

    fn browse(&self, call: &Call, what: &Browse<'_>) -> Result<Vec<Entry>> {
        browse::list(self, call, what)
    }

    fn remove<'a>(&'a self, call: &Call, store: &str, path: &str) -> Result<Prepared<'a>> {
        store_change::remove(self, call, store, path)
    }

    fn make_folder<'a>(&'a self, call: &Call, store: &str, path: &str) -> Result<Prepared<'a>> {
        store_change::make_folder(self, call, store, path)
    }

    fn transfer<'a>(&'a self, call: &Call, what: &Transfer<'_>) -> Result<Prepared<'a>> {
        store_move::prepare(self, call, what)
    }

    fn is_path(&self, text: &str) -> bool {
        store_files::is_path(text)
    }

    fn beside(&self, path: &str, name: &str) -> Result<String> {
        store_path::beside(path, name)
    }

    fn read<'a>(&'a self, call: &Call, store: Option<&str>, path: &str) -> Result<Stored<'a>> {
        store_files::read(self, call, store, path)
    }

    fn slot(&self, call: &Call, store: Option<&str>, path: &str, overwrite: bool) -> Result<Slot> {
        store_files::slot(self, call, store, path, overwrite)
    }

    fn write(
        &self,
        call: &Call,
        to: &Slot,
        size: Option<u64>,
        body: &mut dyn Read,
    ) -> Result<Option<String>> {
        store_files::write(self, call, to, size, body)
    }
}

/// What the properties say, in the order to show it; what a kind of datastore lacks is left out.
fn facts(row: &Row) -> Vec<(&'static str, Fact)> {
    const TEXTS: &[(&str, &str, &str)] = &[
        ("type", "summary", "type"),
        ("maintenance_mode", "summary", "maintenanceMode"),
        ("url", "summary", "url"),
        ("vmfs_version", "info", "vmfs.version"),
        ("vmfs_uuid", "info", "vmfs.uuid"),
        ("nfs_server", "info", "nas.remoteHost"),
        ("nfs_path", "info", "nas.remotePath"),
        ("nfs_type", "info", "nas.type"),
    ];
    const NUMBERS: &[(&str, &str, &str)] = &[
        ("capacity_bytes", "summary", "capacity"),
        ("free_bytes", "summary", "freeSpace"),
        ("uncommitted_bytes", "summary", "uncommitted"),
        ("largest_file_bytes", "info", "maxFileSize"),
        ("block_size_mb", "info", "vmfs.blockSizeMb"),
    ];
    const FLAGS: &[(&str, &str, &str)] = &[
        ("accessible", "summary", "accessible"),
        ("shared", "summary", "multipleHostAccess"),
        ("ssd", "info", "vmfs.ssd"),
        ("local", "info", "vmfs.local"),
    ];
    let mut facts = Vec::new();
    for (name, of, path) in TEXTS {
        let text = row.object(of).and_then(|it| it.text(path)).filter(|it| !it.is_empty());
        facts.extend(text.map(|it| (*name, Fact::Text(it.to_owned()))));
    }
    for (name, of, path) in NUMBERS {
        facts
            .extend(row.object(of).and_then(|it| it.int(path)).map(|it| (*name, Fact::Number(it))));
    }
    for (name, of, path) in FLAGS {
        facts.extend(row.object(of).and_then(|it| it.flag(path)).map(|it| (*name, Fact::Flag(it))));
    }
    let thin = row.flag("capability.perFileThinProvisioningSupported");
    facts.extend(thin.map(|it| ("thin_provisioning", Fact::Flag(it))));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str, id: &str, path: &str) -> Store {
        Store {
            at: Ref::new("Datastore", id),
            name: name.into(),
            path: path.into(),
            datacenter: None,
            datacenter_path: None,
            browser: Ref::new("HostDatastoreBrowser", "b"),
            accessible: name != "dead",
            free_bytes: None,
            makes_folders: true,
        }
    }

    #[test]
    fn a_name_that_two_have_is_refused_with_their_paths() {
        let all = [
            store("dead", "d-4", "DC1/datastore/dead"),
            store("local", "d-1", "DC1/datastore/local"),
            store("local", "d-2", "DC2/datastore/local"),
            store("nas 1", "d-3", "DC1/datastore/nas 1"),
        ];
        let id = |word: &str| pick(&all, word).map(|it| it.at.id.clone());
        for (word, found) in [
            ("nas 1", "d-3"),
            ("[nas 1]", "d-3"),
            ("d-2", "d-2"),
            ("DC2/datastore/local", "d-2"),
            ("/DC1/datastore/local/", "d-1"),
        ] {
            assert_eq!(id(word).unwrap(), found, "{word}");
        }
        let two = id("local").unwrap_err();
        assert_eq!(two.kind(), Kind::Conflict);
        assert!(two.to_string().contains("DC1/datastore/local, DC2/datastore/local"), "{two}");
        let near = id("nas1").unwrap_err().to_string();
        assert!(near.contains("Did you mean `nas 1`?"), "{near}");
        assert_eq!(usable(&all, "dead").unwrap_err().kind(), Kind::Conflict);
    }
}
