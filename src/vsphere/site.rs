//! Where new machines go: datacenter, folder, pool, datastore and network, out of one query.
//!
//! A call's own words come first, then the configuration, then what the server has: the first
//! datacenter and cluster, the datastore with most free space, the network named `VM Network` or
//! the first.

use std::collections::HashSet;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::text::nearest::nearest;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, folders, props};

/// Everything that a new machine can refer to.
const KINDS: &[&str] = &[
    "Folder",
    "Datacenter",
    "ComputeResource",
    "Datastore",
    "Network",
    "DistributedVirtualSwitch",
    "VirtualMachine",
];

const SELECTS: &[Select<'static>] = &[
    Select { kind: "Folder", paths: &["name", "parent"] },
    Select { kind: "Datacenter", paths: &["name", "parent", "vmFolder"] },
    Select {
        kind: "ComputeResource",
        paths: &["name", "parent", "resourcePool", "host", "datastore", "network"],
    },
    Select {
        kind: "Datastore",
        paths: &["name", "summary.freeSpace", "summary.accessible", "summary.maintenanceMode"],
    },
    Select { kind: "Network", paths: &["name"] },
    Select {
        kind: "DistributedVirtualPortgroup",
        paths: &["name", "key", "config.distributedVirtualSwitch", "tag"],
    },
    Select { kind: "DistributedVirtualSwitch", paths: &["uuid"] },
    Select { kind: "OpaqueNetwork", paths: &["name", "summary"] },
    Select { kind: "VirtualMachine", paths: &["name", "parent"] },
];

/// The places of a server, read in one query.
pub struct Site {
    tree: Tree,
    rows: Vec<Row>,
    compute: Compute,
}

/// Where machines run, in the datacenter that counts.
struct Compute {
    name: String,
    pool: Ref,
    datacenter: Ref,
    folder: Ref,
    hosts: HashSet<String>,
    datastores: HashSet<String>,
    networks: HashSet<String>,
}

/// A datastore that was chosen.
pub struct Store {
    pub at: Ref,
    pub name: String,
    pub free_bytes: i64,
}

impl Site {
    /// Reads the places; the cluster is the configured one or the first.
    pub fn read(it: &Vsphere, call: &Call) -> Result<Site> {
        Site::near(it, call, None)
    }

    /// The same around a host: its own cluster and datacenter, whatever is configured.
    pub fn near(it: &Vsphere, call: &Call, host: Option<&Ref>) -> Result<Site> {
        let (mut tree, mut rows) = (Tree::default(), Vec::new());
        props::all(&it.session, call, KINDS, SELECTS, |row| {
            if row.get("parent").is_some() && &*row.at.kind != "VirtualMachine" {
                tree.add(&row);
            }
            rows.push(row);
        })?;
        let defaults = &it.defaults;
        let wanted = Wanted {
            host,
            datacenter: defaults.datacenter.as_deref().filter(|_| host.is_none()),
            cluster: defaults.cluster.as_deref().filter(|_| host.is_none()),
        };
        let compute = compute(&tree, &rows, &wanted)?;
        Ok(Site { tree, rows, compute })
    }

    /// The pool that new machines take their resources from.
    pub fn pool(&self) -> &Ref {
        &self.compute.pool
    }

    /// The cluster's or host's name.
    pub fn compute_name(&self) -> &str {
        &self.compute.name
    }

    pub fn datacenter(&self) -> &Ref {
        &self.compute.datacenter
    }

    /// The folder of machines: the datacenter's own, or the one of this name or path.
    pub fn folder(&self, wanted: Option<&str>) -> Result<Ref> {
        let Some(wanted) = wanted else { return Ok(self.compute.folder.clone()) };
        let known = folders::candidates(&self.tree, &self.rows, Some(&self.compute.folder));
        Ok(folders::pick(&known, wanted)?.row.at.clone())
    }

    /// Refuses a name that a machine in this folder has.
    pub fn refuse_duplicate(&self, name: &str, folder: &Ref) -> Result<()> {
        let same = |row: &&Row| {
            &*row.at.kind == "VirtualMachine"
                && row.reference("parent").is_some_and(|it| it.id == folder.id)
                && row.text("name").is_some_and(|it| unescaped(it) == name)
        };
        match self.rows.iter().find(same) {
            None => Ok(()),
            Some(row) => Err(duplicate(name, &row.at.id)),
        }
    }

    /// The datastore of this name; else the configured one; else the one with most free space.
    pub fn datastore(&self, wanted: Option<&str>, configured: Option<&str>) -> Result<Store> {
        let usable = self.rows.iter().filter_map(|row| self.store(row));
        let Some(name) = wanted.or(configured) else {
            return usable.max_by_key(|store| store.free_bytes).ok_or_else(|| {
                Error::new(
                    Kind::NotFound,
                    format!("`{}` has no usable datastore", self.compute.name),
                )
            });
        };
        let usable: Vec<Store> = usable.collect();
        let names: Vec<String> = usable.iter().map(|store| store.name.clone()).collect();
        let found = usable.into_iter().find(|store| store.name == name || store.at.id == name);
        found.ok_or_else(|| missing("datastore", name, &names))
    }

    fn store(&self, row: &Row) -> Option<Store> {
        let fit = &*row.at.kind == "Datastore"
            && self.compute.datastores.contains(&row.at.id)
            && row.flag("summary.accessible") != Some(false)
            && matches!(row.text("summary.maintenanceMode"), None | Some("normal"));
        fit.then(|| Store {
            at: row.at.clone(),
            name: unescaped(row.text("name").unwrap_or_default()),
            free_bytes: row.int("summary.freeSpace").unwrap_or(0),
        })
    }

    /// Whether the cluster has more than one host.
    pub fn has_other_hosts(&self) -> bool {
        self.compute.hosts.len() > 1
    }

    /// Leaves of the cluster's networks those that one of its hosts has, if any are told.
    pub fn narrow_networks(&mut self, of_host: &[Value]) {
        let ids: HashSet<&str> =
            of_host.iter().filter_map(Value::as_reference).map(|it| it.id.as_str()).collect();
        if !ids.is_empty() {
            self.compute.networks.retain(|id| ids.contains(id.as_str()));
        }
    }

    /// The backing for a card on the network of this name; else the configured one; else
    /// `VM Network` or the first. With the name that was chosen.
    pub fn network(
        &self,
        wanted: Option<&str>,
        configured: Option<&str>,
    ) -> Result<(String, Object)> {
        let chosen = self.chosen(wanted.or(configured))?;
        Ok((own_name(chosen), self.backing(chosen)?))
    }

    /// The same network itself.
    pub fn network_at(
        &self,
        wanted: Option<&str>,
        configured: Option<&str>,
    ) -> Result<(String, Ref)> {
        let chosen = self.chosen(wanted.or(configured))?;
        Ok((own_name(chosen), chosen.at.clone()))
    }

    /// The names of all networks that a card could be in.
    pub fn network_names(&self) -> Vec<String> {
        self.networks().map(own_name).collect()
    }

    /// The cluster's hosts.
    pub fn hosts(&self) -> Vec<Ref> {
        self.compute.hosts.iter().map(|id| Ref::new("HostSystem", id.as_str())).collect()
    }

    fn networks(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| self.compute.networks.contains(&row.at.id))
            .filter(|row| row.text("name").is_some() && !is_uplink(row))
    }

    fn chosen(&self, wanted: Option<&str>) -> Result<&Row> {
        match wanted {
            Some(word) => {
                let meant = |row: &&Row| own_name(row) == word || row.at.id == word;
                let hits: Vec<&Row> = self.networks().filter(meant).collect();
                match hits[..] {
                    [one] => Ok(one),
                    [] => Err(missing("network", word, &self.network_names())),
                    _ => Err(ambiguous_network(word, &hits)),
                }
            }
            None => self
                .networks()
                .find(|row| own_name(row) == "VM Network")
                .or_else(|| self.networks().next())
                .ok_or_else(|| {
                    Error::new(Kind::NotFound, format!("`{}` has no network", self.compute.name))
                }),
        }
    }

    fn backing(&self, network: &Row) -> Result<Object> {
        if let Some(summary) = network.object("summary") {
            // Unverified: no NSX was at hand.
            return Ok(Object::new("VirtualEthernetCardOpaqueNetworkBackingInfo")
                .with_some("opaqueNetworkId", summary.text("opaqueNetworkId"))
                .with_some("opaqueNetworkType", summary.text("opaqueNetworkType")));
        }
        let Some(key) = network.text("key") else {
            return Ok(Object::new("VirtualEthernetCardNetworkBackingInfo")
                .with("deviceName", network.text("name").unwrap_or_default())
                .with("network", &network.at));
        };
        let switch = network
            .reference("config.distributedVirtualSwitch")
            .and_then(|switch| self.rows.iter().find(|row| row.at.id == switch.id))
            .and_then(|row| row.text("uuid"))
            .ok_or_else(|| {
                Error::new(Kind::Denied, "the distributed switch of this network cannot be read")
            })?;
        let port = Object::new("DistributedVirtualSwitchPortConnection")
            .with("switchUuid", switch)
            .with("portgroupKey", key);
        Ok(Object::new("VirtualEthernetCardDistributedVirtualPortBackingInfo").with("port", port))
    }
}

fn own_name(row: &Row) -> String {
    unescaped(row.text("name").unwrap_or_default())
}

/// A port group of a host and one of a distributed switch may have the same name.
fn ambiguous_network(word: &str, hits: &[&Row]) -> Error {
    let ids: Vec<String> =
        hits.iter().take(20).map(|it| format!("`{}` ({})", it.at.id, it.at.kind)).collect();
    Error::new(Kind::Conflict, format!("`{word}` means more than one network"))
        .hint(format!("Pass the id of one: {}", ids.join(", ")))
}

/// Port groups of physical cards are marked by a tag; `config.uplink` came later (7.0).
pub fn is_uplink(row: &Row) -> bool {
    row.items("tag").iter().any(|tag| tag.text("key") == Some("SYSTEM/DVS.UPLINKPG"))
}

/// The error for a name that another machine of the folder has.
pub fn duplicate(name: &str, id: &str) -> Error {
    Error::new(Kind::Conflict, format!("there is a VM `{name}` already (`{id}`)"))
        .fault("DuplicateName")
        .hint("Choose another name")
}

/// The error for a name that nothing usable has.
pub fn missing(what: &str, wanted: &str, names: &[String]) -> Error {
    let shown: Vec<&str> = names.iter().take(30).map(String::as_str).collect();
    let wanted = crate::error::quoted(wanted);
    let error = Error::new(Kind::NotFound, format!("no usable {what} `{wanted}`"));
    match nearest(&wanted, names.iter().map(String::as_str)) {
        _ if shown.is_empty() => error.hint("There is none that a VM here could use"),
        Some(near) if near != wanted => {
            error.hint(format!("Did you mean `{near}`? There are: {}", shown.join(", ")))
        }
        _ => error.hint(format!("There are: {}", shown.join(", "))),
    }
}

/// Which datacenter and cluster are meant.
struct Wanted<'a> {
    host: Option<&'a Ref>,
    datacenter: Option<&'a str>,
    cluster: Option<&'a str>,
}

fn compute(tree: &Tree, rows: &[Row], wanted: &Wanted<'_>) -> Result<Compute> {
    let of = |kind: &'static str| rows.iter().filter(move |row| &*row.at.kind == kind);
    let named = |row: &Row, wanted: &str| {
        row.text("name").is_some_and(|name| unescaped(name) == wanted) || row.at.id == wanted
    };
    let in_wanted = |row: &&Row| wanted.datacenter.is_none_or(|wanted| named(row, wanted));
    let datacenters: Vec<&Row> = of("Datacenter").filter(in_wanted).collect();
    if let (Some(wanted), true) = (wanted.datacenter, datacenters.is_empty()) {
        let names: Vec<String> = of("Datacenter").filter_map(|row| row.string("name")).collect();
        return Err(missing("datacenter", wanted, &names));
    }
    let mut names = Vec::new();
    // Clusters before hosts that stand alone.
    for row in of("ClusterComputeResource").chain(of("ComputeResource")) {
        let home = datacenters
            .iter()
            .find(|center| tree.above(row.reference("parent")).any(|id| id == center.at.id));
        let (Some(home), Some(pool)) = (home, row.reference("resourcePool")) else { continue };
        let Some(folder) = home.reference("vmFolder") else { continue };
        names.extend(row.string("name"));
        let ids = |path: &str| -> HashSet<String> {
            let refs = row.items(path).iter().filter_map(Value::as_reference);
            refs.map(|it| it.id.clone()).collect()
        };
        if wanted.cluster.is_none_or(|wanted| named(row, wanted))
            && wanted.host.is_none_or(|host| ids("host").contains(&host.id))
        {
            return Ok(Compute {
                name: unescaped(row.text("name").unwrap_or_default()),
                pool: pool.clone(),
                datacenter: home.at.clone(),
                folder: folder.clone(),
                hosts: ids("host"),
                datastores: ids("datastore"),
                networks: ids("network"),
            });
        }
    }
    match wanted.cluster {
        Some(wanted) => Err(missing("cluster", wanted, &names)),
        None => Err(Error::new(Kind::NotFound, "the server has no host that a VM could run on")
            .hint("The account may not see it; check its rights")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &'static str, id: &str, name: &str, more: &[(&str, Value)]) -> Row {
        let mut values = vec![("name", Value::from(name))];
        values.extend(more.iter().cloned());
        Row::of(Ref::new(kind, id), &values)
    }

    fn site() -> Site {
        let opaque = Object::new("OpaqueNetworkSummary")
            .with("opaqueNetworkId", "seg-1")
            .with("opaqueNetworkType", "nsx.LogicalSwitch");
        let switch: Value = Ref::new("VmwareDistributedVirtualSwitch", "dvs-1").into();
        let uplink = [Value::from(Object::new("Tag").with("key", "SYSTEM/DVS.UPLINKPG"))];
        let group = |key: &str| {
            let switch = switch.clone();
            vec![("key", Value::from(key)), ("config.distributedVirtualSwitch", switch)]
        };
        let mut up = group("up-1");
        up.push(("tag", uplink.into_iter().collect()));
        let mut lost = group("pg-9");
        lost[1].1 = Ref::new("VmwareDistributedVirtualSwitch", "dvs-9").into();
        let rows = vec![
            row("Network", "net-1", "Lab", &[]),
            row("DistributedVirtualPortgroup", "pg-1", "Lab", &group("pg-1")),
            row("Network", "net-2", "a%2fb", &[]),
            row("Network", "net-3", "Elsewhere", &[]),
            row("OpaqueNetwork", "op-1", "Segment", &[("summary", opaque.into())]),
            row("DistributedVirtualPortgroup", "up-1", "Uplinks", &up),
            row("DistributedVirtualPortgroup", "pg-9", "Hidden", &lost),
            row(
                "VmwareDistributedVirtualSwitch",
                "dvs-1",
                "switch",
                &[("uuid", Value::from("50 01"))],
            ),
        ];
        let ids = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<HashSet<_>>();
        let compute = Compute {
            name: "c".to_owned(),
            pool: Ref::new("ResourcePool", "p"),
            datacenter: Ref::new("Datacenter", "d"),
            folder: Ref::new("Folder", "f"),
            hosts: ids(&["h1", "h2"]),
            datastores: HashSet::new(),
            networks: ids(&["net-1", "net-2", "pg-1", "op-1", "up-1", "pg-9"]),
        };
        Site { tree: Tree::default(), rows, compute }
    }

    fn said(site: &Site, wanted: &str) -> String {
        site.network(Some(wanted), None).err().unwrap().to_string()
    }

    #[test]
    fn two_networks_of_one_name_are_told_apart_by_their_ids() {
        let mut site = site();
        let told = said(&site, "Lab");
        assert!(told.starts_with("`Lab` means more than one network"), "{told}");
        assert!(told.contains("`net-1` (Network), `pg-1` (DistributedVirtualPortgroup)"), "{told}");
        let (name, plain) = site.network(Some("net-1"), None).unwrap();
        assert_eq!((name.as_str(), plain.text("deviceName")), ("Lab", Some("Lab")));
        let (_, port) = site.network(Some("pg-1"), None).unwrap();
        assert_eq!(port.text("port.switchUuid"), Some("50 01"));
        assert_eq!(port.text("port.portgroupKey"), Some("pg-1"));
        assert_eq!(port.get("port.portKey"), None);
        // Where the host has but one of them, that one is meant.
        let of_host: Value = [Ref::new("Network", "net-1")].into_iter().collect();
        site.narrow_networks(&[]);
        assert!(said(&site, "Lab").contains("more than one"));
        site.narrow_networks(of_host.items());
        let (_, plain) = site.network(Some("Lab"), None).unwrap();
        assert_eq!(plain.kind(), "VirtualEthernetCardNetworkBackingInfo");
    }

    #[test]
    fn an_opaque_network_is_backed_by_its_id_and_type() {
        let (name, backing) = site().network(Some("Segment"), None).unwrap();
        assert_eq!(name, "Segment");
        assert_eq!(backing.kind(), "VirtualEthernetCardOpaqueNetworkBackingInfo");
        assert_eq!(backing.text("opaqueNetworkId"), Some("seg-1"));
        assert_eq!(backing.text("opaqueNetworkType"), Some("nsx.LogicalSwitch"));
    }

    #[test]
    fn odd_names_uplinks_and_switches_that_cannot_be_read_are_told() {
        let site = site();
        let (name, plain) = site.network(Some("a/b"), None).unwrap();
        assert_eq!(
            (name.as_str(), plain.reference("network").unwrap().id.as_str()),
            ("a/b", "net-2")
        );
        for (wanted, told) in [
            ("Uplinks", "no usable network `Uplinks`"),
            ("Elsewhere", "no usable network `Elsewhere`"),
            ("Hidden", "the distributed switch of this network cannot be read"),
        ] {
            assert!(said(&site, wanted).starts_with(told), "{wanted}");
        }
    }
}
