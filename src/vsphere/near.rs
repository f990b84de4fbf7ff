//! What a machine that exists can reach or move to: datastores, hosts and pools.
//!
//! Unlike `site`, which chooses places for new machines, this starts from the host that a machine
//! is on. Surprising: a datastore of the cluster need not be mounted on every host of it, or may be
//! mounted to be read only, and the same name may stand for another one in another datacenter.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::site::missing;
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props, tree};

const ALL: &[&str] =
    &["Datastore", "HostSystem", "ComputeResource", "ResourcePool", "Folder", "Datacenter"];

const SELECTS: &[Select<'static>] = &[
    Select {
        kind: "Datastore",
        paths: &[
            "name",
            "parent",
            "host",
            "browser",
            "summary.freeSpace",
            "summary.accessible",
            "summary.maintenanceMode",
        ],
    },
    Select {
        kind: "HostSystem",
        paths: &[
            "name",
            "parent",
            "datastore",
            "runtime.connectionState",
            "runtime.inMaintenanceMode",
        ],
    },
    Select { kind: "ComputeResource", paths: &["name", "parent", "resourcePool"] },
    Select { kind: "ResourcePool", paths: &["name", "parent", "owner"] },
    tree::PLACES[0],
    tree::PLACES[1],
];

/// The places around a machine.
pub struct Near {
    tree: Tree,
    rows: Vec<Row>,
}

/// What is asked of a datastore.
#[derive(Clone, Copy, PartialEq)]
pub enum Use {
    Read,
    Write,
}

impl Near {
    /// The datastores of a host only, in two small requests; those of all where it is not known or
    /// the account may not see it.
    pub fn stores(it: &Vsphere, call: &Call, host: Option<&Ref>) -> Result<Near> {
        let Some(host) = host else { return Near::all(it, call) };
        let row = match props::one(&it.session, call, host, "HostSystem", &["name", "datastore"]) {
            Err(error) if matches!(error.kind(), Kind::Denied | Kind::NotFound) => {
                return Near::all(it, call);
            }
            row => row?,
        };
        let objects: Vec<Ref> =
            row.items("datastore").iter().filter_map(Value::as_reference).cloned().collect();
        if objects.is_empty() {
            return Near::all(it, call);
        }
        let mut rows = props::of(&it.session, call, &objects, &SELECTS[..1])?;
        rows.push(row);
        Ok(Near { tree: Tree::default(), rows })
    }

    /// Everything, in one query.
    pub fn all(it: &Vsphere, call: &Call) -> Result<Near> {
        let (mut tree, mut rows) = (Tree::default(), Vec::new());
        props::all(&it.session, call, ALL, SELECTS, |row| {
            tree.add(&row);
            rows.push(row);
        })?;
        Ok(Near { tree, rows })
    }

    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| &*row.at.kind == kind)
    }

    pub fn row(&self, at: &Ref) -> Option<&Row> {
        self.rows.iter().find(|row| row.at.id == at.id)
    }

    /// The datastore of this name or id that the host can use.
    pub fn store(&self, wanted: &str, host: Option<&Ref>, to: Use) -> Result<&Row> {
        let fit = |row: &&Row| self.unfit(row, host, to).is_none();
        let found = self.pick("datastore", wanted, self.of("Datastore").filter(fit).collect());
        if !matches!(&found, Err(error) if error.kind() == Kind::NotFound) {
            return found;
        }
        // One that is there and of no use is not to be looked for.
        let there = |row: &&Row| name(row) == wanted || row.at.id == wanted;
        let why = |row: &Row| Some((name(row), self.unfit(row, host, to)?));
        match self.of("Datastore").filter(there).find_map(why) {
            Some((store, why)) => {
                let said = format!("datastore `{store}` {why}");
                let usable: Vec<String> =
                    self.of("Datastore").filter(fit).take(30).map(name).collect();
                Err(Error::new(Kind::Conflict, said).hint(match usable.len() {
                    0 => "No other one can be used there".to_owned(),
                    _ => format!("Usable are: {}", usable.join(", ")),
                }))
            }
            None => found,
        }
    }

    /// Why a datastore cannot be used, if so.
    fn unfit(&self, store: &Row, host: Option<&Ref>, to: Use) -> Option<String> {
        let on = |host: &Ref| self.row(host).map_or(host.id.clone(), name);
        match store.text("summary.maintenanceMode").unwrap_or("normal") {
            _ if store.flag("summary.accessible") == Some(false) => {
                Some("cannot be reached by any host".to_owned())
            }
            "normal" => {
                let host = host.filter(|host| !self.sees(store, host, to))?;
                Some(match self.sees(store, host, Use::Read) {
                    true => format!("is mounted read-only on host `{}`", on(host)),
                    false => format!("cannot be reached by host `{}`", on(host)),
                })
            }
            _ => Some("is in maintenance mode or about to be".to_owned()),
        }
    }

    /// Whether the host can use this datastore.
    pub fn reaches(&self, host: &Ref, store: &Ref) -> bool {
        self.row(store).is_none_or(|row| self.sees(row, host, Use::Write))
    }

    /// Mounted on this host, and to be written to where that is asked; true where it cannot be
    /// read.
    fn sees(&self, store: &Row, host: &Ref, to: Use) -> bool {
        let listed = self.row(host).map_or(&[][..], |row| row.items("datastore"));
        let is = |it: &Value| it.as_reference().is_some_and(|it| it.id == store.at.id);
        if !listed.is_empty() && !listed.iter().any(is) {
            return false;
        }
        let here = |it: &&Object| it.reference("key").is_some_and(|key| key.id == host.id);
        let mounts = store.items("host").iter().filter_map(Value::as_object);
        mounts.filter(here).filter_map(|it| it.object("mountInfo")).all(|info| {
            info.flag("accessible") != Some(false)
                && info.flag("mounted") != Some(false)
                && (to == Use::Read || info.text("accessMode") != Some("readOnly"))
        })
    }

    /// A host that can take a machine of the datacenter that `from` is in.
    pub fn host(&self, wanted: &str, from: Option<&Ref>) -> Result<&Row> {
        let home = from.and_then(|it| self.datacenter(it));
        let near = |row: &&Row| home.is_none_or(|home| self.datacenter(&row.at) == Some(home));
        let row = self.pick("host", wanted, self.of("HostSystem").filter(near).collect())?;
        let state = row.text("runtime.connectionState").unwrap_or("connected");
        let trouble = match row.flag("runtime.inMaintenanceMode") {
            _ if state == "notResponding" => "not responding",
            _ if state != "connected" => state,
            Some(true) => "in maintenance mode",
            _ => return Ok(row),
        };
        let said = format!("host `{}` is {trouble} and takes no VM", name(row));
        Err(Error::new(Kind::Conflict, said).hint("Choose another host, or make it ready first"))
    }

    /// A resource pool by its name, id or path; `/`-less names also mean a cluster's own pool.
    pub fn pool(&self, wanted: &str) -> Result<&Row> {
        let pools: Vec<&Row> = self.rows.iter().filter(|row| row.get("owner").is_some()).collect();
        let owner = |row: &Row| {
            let owner = row.reference("owner").filter(|it| self.is_root(row, it));
            owner.and_then(|it| self.row(it)).map(name)
        };
        let roots: Vec<&Row> =
            pools.iter().filter(|row| owner(row).as_deref() == Some(wanted)).copied().collect();
        match roots[..] {
            [one] => Ok(one),
            _ => self.pick("resource pool", wanted, pools),
        }
    }

    /// The pool that belongs to the whole of a host or its cluster, and that thing's id.
    pub fn own_pool(&self, host: &Ref) -> Option<(&Ref, &str)> {
        let compute = self.row(host)?.reference("parent")?;
        Some((self.row(compute)?.reference("resourcePool")?, compute.id.as_str()))
    }

    /// The inventory path of a place.
    pub fn path(&self, row: &Row) -> String {
        self.tree.path(row.text("name").unwrap_or_default(), row.reference("parent"))
    }

    fn is_root(&self, pool: &Row, owner: &Ref) -> bool {
        pool.reference("parent").is_some_and(|it| it.id == owner.id)
    }

    fn datacenter(&self, at: &Ref) -> Option<&str> {
        let parent = self.row(at)?.reference("parent");
        let center = |id: &&str| self.of("Datacenter").any(|row| row.at.id == *id);
        self.tree.above(parent).find(center)
    }

    /// The one that a word means: by name, id or path.
    fn pick<'a>(&'a self, what: &str, wanted: &str, all: Vec<&'a Row>) -> Result<&'a Row> {
        let path = |row: &Row| self.path(row);
        let meant = |row: &&Row| {
            name(row) == wanted
                || row.text("name") == Some(wanted)
                || row.at.id == wanted
                || (wanted.contains('/') && path(row) == wanted.trim_matches('/'))
        };
        let hits: Vec<&Row> = all.iter().filter(|row| meant(row)).copied().collect();
        match hits[..] {
            [one] => Ok(one),
            [] => {
                let names: Vec<String> = all.iter().map(|row| name(row)).collect();
                Err(missing(what, wanted, &names))
            }
            _ => {
                let shown: Vec<String> = hits
                    .iter()
                    .take(20)
                    .map(|row| format!("`{}` ({})", row.at.id, path(row)))
                    .collect();
                let said = format!("`{}` means more than one {what}", quoted(wanted));
                Err(Error::new(Kind::Conflict, said)
                    .hint(format!("Pass one of these: {}", shown.join(", "))))
            }
        }
    }
}

/// The name of a place as a person writes it.
pub fn name(row: &Row) -> String {
    unescaped(row.text("name").unwrap_or(&row.at.id))
}

/// Free bytes of a datastore.
pub fn free(store: &Row) -> i64 {
    store.int("summary.freeSpace").unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &'static str, id: &str, values: &[(&str, Value)]) -> Row {
        Row::of(Ref::new(kind, id), values)
    }

    fn text(text: &str) -> Value {
        Value::from(text)
    }

    fn mount(host: &str, mode: &str, accessible: bool) -> Value {
        let info = Object::new("HostMountInfo")
            .with("accessMode", mode)
            .with("mounted", true)
            .with("accessible", accessible);
        let mount = Object::new("DatastoreHostMount").with("key", Ref::new("HostSystem", host));
        mount.with("mountInfo", info).into()
    }

    fn store(id: &str, name: &str, mounts: Vec<Value>) -> Row {
        let mounts: Value = mounts.into_iter().collect();
        row("Datastore", id, &[("name", text(name)), ("host", mounts)])
    }

    fn host(id: &str, stores: &[&str], state: &str, maintenance: bool) -> Row {
        let stores: Value = stores.iter().map(|id| Ref::new("Datastore", *id)).collect();
        let values = [
            ("name", text(&format!("{id}.lab"))),
            ("datastore", stores),
            ("runtime.connectionState", text(state)),
            ("runtime.inMaintenanceMode", Value::Bool(maintenance)),
        ];
        row("HostSystem", id, &values)
    }

    fn near() -> Near {
        let rows = vec![
            host("h1", &["d1", "d2", "d3", "d4"], "connected", false),
            host("h2", &["d1"], "connected", true),
            host("h3", &["d1"], "notResponding", true),
            store("d1", "nas", vec![mount("h1", "readWrite", true), mount("h2", "readOnly", true)]),
            store("d2", "isos", vec![mount("h1", "readOnly", true)]),
            store("d3", "lost", vec![mount("h1", "readWrite", false)]),
            row(
                "Datastore",
                "d4",
                &[("name", text("old")), ("summary.maintenanceMode", text("enteringMaintenance"))],
            ),
            store("d5", "far", vec![mount("h2", "readWrite", true)]),
            row(
                "Datastore",
                "d6",
                &[("name", text("dead")), ("summary.accessible", Value::Bool(false))],
            ),
        ];
        Near { tree: Tree::default(), rows }
    }

    #[test]
    fn a_datastore_that_is_of_no_use_says_why() {
        let near = near();
        let at = |id: &str| Ref::new("HostSystem", id);
        let said = |wanted: &str, host: &str, to: Use| match near.store(wanted, Some(&at(host)), to)
        {
            Ok(row) => row.at.id.clone(),
            Err(error) => error.sentence(),
        };
        assert_eq!(said("nas", "h1", Use::Write), "d1");
        assert_eq!(said("isos", "h1", Use::Read), "d2");
        for (wanted, host, why) in [
            ("isos", "h1", "datastore `isos` is mounted read-only on host `h1.lab`"),
            ("d2", "h1", "datastore `isos` is mounted read-only on host `h1.lab`"),
            ("nas", "h2", "datastore `nas` is mounted read-only on host `h2.lab`"),
            ("lost", "h1", "datastore `lost` cannot be reached by host `h1.lab`"),
            ("far", "h1", "datastore `far` cannot be reached by host `h1.lab`"),
            ("old", "h1", "datastore `old` is in maintenance mode or about to be"),
            ("dead", "h1", "datastore `dead` cannot be reached by any host"),
            ("none", "h1", "no usable datastore `none`"),
        ] {
            assert_eq!(said(wanted, host, Use::Write), why);
        }
        let d1 = Ref::new("Datastore", "d1");
        assert!(near.reaches(&at("h1"), &d1) && !near.reaches(&at("h2"), &d1));
    }

    #[test]
    fn a_host_in_maintenance_or_out_of_reach_takes_no_machine() {
        let near = near();
        let said = |wanted: &str| near.host(wanted, None).map_err(|it| it.sentence());
        assert_eq!(said("h1.lab").unwrap().at.id, "h1");
        let trouble = |wanted: &str| said(wanted).err().unwrap();
        assert_eq!(trouble("h2"), "host `h2.lab` is in maintenance mode and takes no VM");
        assert_eq!(trouble("h3"), "host `h3.lab` is not responding and takes no VM");
        assert_eq!(trouble("h4"), "no usable host `h4`");
    }
}
