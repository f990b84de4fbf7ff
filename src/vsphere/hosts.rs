//! Hosts within a server: which one a word means, and the way to a host's managers.
//!
//! One query of names decides. Who reads may leave the host out and gets all of them; who changes
//! may not where there are several: the first of a list is never what a person means. Surprising:
//! a vCenter lists hosts that it has lost, and their managers then answer nothing.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::text::nearest::nearest;
use crate::text::order;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props, tree};

const KINDS: &[&str] = &["HostSystem", "ComputeResource", "Folder", "Datacenter"];

/// What decides which host is meant, and whether it can be spoken to.
const PATHS: &[&str] = &["name", "parent", "summary.hardware.uuid", "runtime.connectionState"];

/// Names in one error.
const SHOWN: usize = 30;

/// One host of the server.
pub struct HostAt {
    pub at: Ref,
    pub name: String,
    pub path: String,
    /// The properties that were asked for besides.
    pub row: Row,
}

impl HostAt {
    /// `connected`, `disconnected` or `notResponding`.
    pub fn state(&self) -> &str {
        self.row.text("runtime.connectionState").unwrap_or("unknown")
    }

    /// Refuses a host that the vCenter has lost.
    pub fn must_answer(&self) -> Result<()> {
        match self.state() {
            "connected" | "unknown" => Ok(()),
            "notResponding" => {
                Err(Error::new(Kind::Network, format!("the host `{}` does not respond", self.name))
                    .hint(
                        "Look at its power and its management network; list_hosts shows the state",
                    ))
            }
            state => Err(Error::new(Kind::Network, format!("the host `{}` is {state}", self.name))
                .hint("Connect it to its vCenter again first")),
        }
    }

    /// A manager of the host by its field, such as `configManager.serviceSystem`, which must be
    /// among the properties that were asked for.
    pub fn manager(&self, field: &str) -> Result<&Ref> {
        self.must_answer()?;
        self.row.reference(field).ok_or_else(|| {
            let what = field.rsplit('.').next().unwrap_or(field);
            Error::new(Kind::Denied, format!("the host `{}` shows no {what}", self.name))
                .hint("The account may lack the right to see it")
        })
    }
}

/// Every host that the account sees, with `more` properties, by name.
pub fn all(it: &Vsphere, call: &Call, more: &[&'static str]) -> Result<Vec<HostAt>> {
    let paths = [PATHS, more].concat();
    let mut selects = vec![
        Select { kind: "HostSystem", paths: &paths },
        Select { kind: "ComputeResource", paths: &["name", "parent"] },
    ];
    selects.extend(tree::PLACES);
    let (mut tree, mut found) = (Tree::default(), Vec::new());
    props::all(&it.session, call, KINDS, &selects, |row| match &*row.at.kind {
        "HostSystem" => found.push(row),
        _ => tree.add(&row),
    })?;
    let hosts = found.into_iter().map(|row| {
        let name = row.text("name").unwrap_or(&row.at.id);
        let (path, name) = (tree.path(name, row.reference("parent")), unescaped(name));
        HostAt { at: row.at.clone(), name, path, row }
    });
    let hosts: Vec<HostAt> = hosts.collect();
    if hosts.is_empty() {
        return Err(Error::new(Kind::NotFound, "the server shows no host")
            .hint("The account may lack the right to see hosts"));
    }
    Ok(order::by_key(hosts, |it| format!("{}\0{}", it.name, it.path)))
}

/// For tools that read: the host that `wanted` means, or all of them.
pub fn meant(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
    more: &[&'static str],
) -> Result<Vec<HostAt>> {
    let hosts = all(it, call, more)?;
    match wanted {
        None => Ok(hosts),
        Some(word) => Ok(vec![choose(hosts, word)?]),
    }
}

/// For tools that change: the host that `wanted` means, which may only be left out where there is
/// one. A host that does not answer is refused.
pub fn find(
    it: &Vsphere,
    call: &Call,
    wanted: Option<&str>,
    more: &[&'static str],
) -> Result<HostAt> {
    let mut hosts = all(it, call, more)?;
    let host = match (wanted, hosts.len()) {
        (Some(word), _) => choose(hosts, word)?,
        (None, 1) => hosts.swap_remove(0),
        (None, count) => {
            return Err(Error::usage(format!("`host_name` is missing: there are {count} hosts"))
                .hint(format!("Pass one of these: {}", names(&hosts))));
        }
    };
    host.must_answer()?;
    Ok(host)
}

/// The host that a word means: by name, id, path or UUID, or by one of them as its prefix says.
fn choose(hosts: Vec<HostAt>, wanted: &str) -> Result<HostAt> {
    let (by, word) = match wanted.split_once(':') {
        Some((by @ ("moid" | "path" | "uuid"), word)) => (by, word),
        _ => ("", wanted),
    };
    let path = word.trim_matches('/');
    let meant = |it: &HostAt| {
        let has_uuid = || {
            let uuid = it.row.text("summary.hardware.uuid");
            uuid.is_some_and(|it| it.eq_ignore_ascii_case(word))
        };
        match by {
            "moid" => it.at.id == word,
            "path" => it.path == path,
            "uuid" => has_uuid(),
            _ => {
                it.name.eq_ignore_ascii_case(word)
                    || it.at.id == word
                    || (word.contains('/') && it.path == path)
                    || has_uuid()
            }
        }
    };
    let (mut hits, others): (Vec<HostAt>, Vec<HostAt>) = hosts.into_iter().partition(meant);
    if hits.len() > 1 {
        let shown: Vec<String> = hits
            .iter()
            .take(SHOWN)
            .map(|it| format!("`moid:{}` ({})", it.at.id, it.path))
            .collect();
        let said = format!("`{}` means more than one host", quoted(word));
        return Err(Error::new(Kind::Conflict, said)
            .hint(format!("Pass one of these: {}", shown.join(", "))));
    }
    hits.pop().ok_or_else(|| {
        let error = Error::new(Kind::NotFound, format!("no host `{}`", quoted(word)));
        let names_of = || others.iter().map(|it| it.name.as_str());
        let domain = |it: &&str| it.strip_prefix(word).is_some_and(|rest| rest.starts_with('.'));
        match names_of().find(domain).or(nearest(word, names_of())) {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => error.hint(format!("There are: {}", names(&others))),
        }
    })
}

fn names(hosts: &[HostAt]) -> String {
    let shown: Vec<&str> = hosts.iter().take(SHOWN).map(|it| it.name.as_str()).collect();
    let more = if hosts.len() > SHOWN { ", ..." } else { "" };
    shown.join(", ") + more
}

/// A manager of a host: its field, such as `configManager.serviceSystem`, and what to read of it.
pub type Manager = (&'static str, Select<'static>);

/// A host with its manager and, where one was asked for and can be read, another one.
pub type Managed = (HostAt, Result<(Row, Option<Row>)>);

/// The managers of each host, in one query; the host's own error where there is none. Their
/// fields must be among the properties that were asked for.
pub fn managers(
    it: &Vsphere,
    call: &Call,
    hosts: Vec<HostAt>,
    manager: Manager,
    other: Option<Manager>,
) -> Result<Vec<Managed>> {
    let (mut refs, mut selects): (Vec<Ref>, Vec<Select<'_>>) = (Vec::new(), Vec::new());
    for (field, select) in std::iter::once(manager).chain(other) {
        let before = refs.len();
        refs.extend(hosts.iter().filter_map(|host| host.manager(field).ok().cloned()));
        selects.extend((refs.len() > before).then_some(select));
    }
    let mut rows = props::of(&it.session, call, &refs, &selects)?;
    let mut take = |at: &Ref| {
        let place = rows.iter().position(|row| row.at.id == at.id)?;
        Some(rows.swap_remove(place))
    };
    let mut all = Vec::new();
    for host in hosts {
        let row = host.manager(manager.0).cloned().and_then(|at| {
            take(&at).ok_or_else(|| {
                let said = format!("{} of the host `{}` cannot be read", at.kind, host.name);
                Error::new(Kind::Remote, said)
                    .hint("The server may not have it, or the account may not see it")
            })
        });
        let second = other.and_then(|(field, _)| take(host.manager(field).ok()?));
        all.push((host, row.map(|row| (row, second))));
    }
    Ok(all)
}

/// The same of one host, which must have the first of them.
pub fn managers_of(
    it: &Vsphere,
    call: &Call,
    host: HostAt,
    manager: Manager,
    other: Option<Manager>,
) -> Result<(HostAt, Row, Option<Row>)> {
    let found = managers(it, call, vec![host], manager, other)?.pop();
    let (host, rows) = found.ok_or_else(|| Error::bug("a host was lost on the way"))?;
    rows.map(|(row, other)| (host, row, other))
}

/// The object of a list that a person means by key or label, whatever the case; the error of
/// `what` suggests others and names the tool that lists them.
pub fn keyed<'a>(
    items: impl Iterator<Item = &'a Object> + Clone,
    what: &str,
    wanted: &str,
    lister: &str,
) -> Result<&'a Object> {
    let word = wanted.trim();
    let is = |it: &&Object, field: &str| {
        it.text(field).is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    let mut all = items.clone();
    if let Some(found) = all.find(|it| is(it, "key")).or(items.clone().find(|it| is(it, "label"))) {
        return Ok(found);
    }
    let said = format!("the host has no {what} `{}`", quoted(word));
    let error = Error::new(Kind::NotFound, said);
    let small = word.to_lowercase();
    let has = |it: &&Object| {
        let near = |field| it.text(field).is_some_and(|text| text.to_lowercase().contains(&small));
        small.len() > 1 && (near("key") || near("label"))
    };
    let keys = |it: &'a Object| it.text("key");
    let mut near: Vec<&str> = items.clone().filter(has).filter_map(keys).take(5).collect();
    near.extend(nearest(word, items.filter_map(keys)).filter(|_| near.is_empty()));
    Err(match near.len() {
        0 => error.hint(format!("{lister} shows what there is")),
        _ => error.hint(format!("Did you mean {}? {lister} shows all", near.join(" or "))),
    })
}

/// The running machines among these objects, by name; two of one name are two.
pub fn running(rows: &[Row]) -> Vec<String> {
    let on = |row: &&Row| row.text("runtime.powerState") == Some("poweredOn");
    let name = |row: &Row| unescaped(row.text("name").unwrap_or(&row.at.id));
    order::by(rows.iter().filter(on).map(name).collect(), &String::cmp)
}

/// References in a property.
pub fn references(row: &Row, path: &str) -> Vec<Ref> {
    row.items(path).iter().filter_map(Value::as_reference).cloned().collect()
}
