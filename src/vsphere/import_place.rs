//! Where the machine of an appliance goes: datastore, networks, and a host where one must be named.
//!
//! Surprising: in a cluster whose scheduler is off the server chooses no host by itself, so the one
//! with most free memory that sees datastore and networks is chosen here.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::appliances::Import;
use crate::hv::call::Call;
use crate::text::nearest::nearest;
use crate::vim::value::{Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::site::{Site, Store};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props};

/// Names that an error lists.
const SHOWN: usize = 30;

/// A network of the descriptor and the server's network for it.
pub struct Mapped {
    pub wanted: String,
    pub name: String,
    pub at: Ref,
}

/// All that was chosen.
pub struct Place {
    pub pool: Ref,
    pub folder: Ref,
    pub compute: String,
    pub store: Store,
    pub networks: Vec<Mapped>,
    /// Where the server does not choose it.
    pub host: Option<(String, Ref)>,
}

/// Chooses it.
pub fn choose(it: &Vsphere, call: &Call, what: &Import<'_>) -> Result<Place> {
    let site = Site::read(it, call)?;
    let folder = site.folder(None)?;
    site.refuse_duplicate(what.name, &folder)?;
    let store = site.datastore(what.datastore, it.defaults.datastore.as_deref())?;
    let networks = networks(it, &site, what)?;
    let host = host(it, call, &site, &store, &networks)?;
    let compute = site.compute_name().to_owned();
    Ok(Place { pool: site.pool().clone(), folder, compute, store, networks, host })
}

/// A network of the server for each that the descriptor names.
fn networks(it: &Vsphere, site: &Site, what: &Import<'_>) -> Result<Vec<Mapped>> {
    let list = |names: &[String]| {
        names.iter().take(SHOWN).map(|it| quoted(it)).collect::<Vec<_>>().join(", ")
    };
    if let Some((unknown, _)) = what.networks.iter().find(|it| !what.wants.contains(&it.0)) {
        let said = format!("the appliance names no network `{}`", quoted(unknown));
        return Err(Error::usage(said).hint(match what.wants {
            [] => "It names none at all; leave the mapping out".to_owned(),
            wants => match nearest(unknown, wants.iter().map(String::as_str)) {
                Some(near) => format!("Did you mean `{near}`? It names: {}", list(wants)),
                None => format!("It names: {}", list(wants)),
            },
        }));
    }
    let own = site.network_names();
    let (mut found, mut lost) = (Vec::<Mapped>::new(), Vec::new());
    for wanted in what.wants {
        if found.iter().any(|it| it.wanted == *wanted) {
            continue;
        }
        let named = what.networks.iter().find(|(name, _)| name == wanted);
        let chosen = match named.map(|(_, to)| to.as_str()).or(what.network) {
            Some(to) => site.network_at(Some(to), None)?,
            None if own.contains(wanted) => site.network_at(Some(wanted), None)?,
            None if what.wants.len() == 1 => {
                site.network_at(None, it.defaults.network.as_deref())?
            }
            None => {
                lost.push(wanted.clone());
                continue;
            }
        };
        found.push(Mapped { wanted: wanted.clone(), name: chosen.0, at: chosen.1 });
    }
    if lost.is_empty() {
        return Ok(found);
    }
    let said = format!("no network is named for {} of the appliance", list(&lost));
    Err(Error::usage(said).hint(format!(
        "Name one for all by network, or for each by network_map; there are: {}",
        list(&own)
    )))
}

const HOST: &[&str] = &[
    "name",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "datastore",
    "network",
    "summary.hardware.memorySize",
    "summary.quickStats.overallMemoryUsage",
];

/// The host, in a cluster that does not choose by itself.
fn host(
    it: &Vsphere,
    call: &Call,
    site: &Site,
    store: &Store,
    networks: &[Mapped],
) -> Result<Option<(String, Ref)>> {
    let hosts = site.hosts();
    if hosts.len() < 2 {
        return Ok(None);
    }
    const SCHEDULER: &str = "configuration.drsConfig.enabled";
    let pool = props::one(&it.session, call, site.pool(), "ResourcePool", &["owner"])?;
    if let Some(owner) = pool.reference("owner").filter(|it| it.kind == "ClusterComputeResource") {
        let kind = "ClusterComputeResource";
        let row = props::one(&it.session, call, owner, kind, &[SCHEDULER])?;
        if row.flag(SCHEDULER) == Some(true) {
            return Ok(None);
        }
    }
    let select = Select { kind: "HostSystem", paths: HOST };
    let rows = props::of(&it.session, call, &hosts, &[select])?;
    let sees = |row: &Row, path: &str, at: &Ref| {
        row.items(path).iter().filter_map(Value::as_reference).any(|it| it.id == at.id)
    };
    let fit = |row: &&Row| {
        row.text("runtime.connectionState") == Some("connected")
            && row.flag("runtime.inMaintenanceMode") != Some(true)
            && sees(row, "datastore", &store.at)
            && networks.iter().all(|it| sees(row, "network", &it.at))
    };
    let free = |row: &&Row| {
        row.int("summary.hardware.memorySize").unwrap_or(0)
            - (row.int("summary.quickStats.overallMemoryUsage").unwrap_or(0) << 20)
    };
    let best = rows.iter().filter(fit).max_by_key(free).ok_or_else(|| {
        let said = format!(
            "no host of `{}` that could run it sees `{}` and all the networks",
            site.compute_name(),
            store.name
        );
        Error::new(Kind::Conflict, said).hint("Choose another datastore or other networks")
    })?;
    Ok(Some((unescaped(best.text("name").unwrap_or(&best.at.id)), best.at.clone())))
}
