//! Machines: the list in one query, finding one by whatever a person calls it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::machines::{Depth, Machines, Unknown};
use crate::hv::model::{Machine, MachineDetail, MachineRef, PowerState};
use crate::text::glob;
use crate::text::nearest::nearest;
use crate::text::order;
use crate::vim::value::{Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::session::Session;
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, detail, props, task, tree};

/// The types of the view behind every list of machines.
const KINDS: &[&str] = &["VirtualMachine", "Folder", "Datacenter"];

const NAMES: &[&str] = &["name", "parent"];
const UUIDS: &[&str] = &["name", "parent", "summary.config.uuid", "summary.config.instanceUuid"];
const ROWS: &[&str] = &[
    "name",
    "parent",
    "runtime.powerState",
    "runtime.connectionState",
    "summary.config.numCpu",
    "summary.config.memorySizeMB",
    "summary.config.guestFullName",
    "summary.config.template",
    "guest.ipAddress",
];
const FULL: &[&str] = &[
    "name",
    "parent",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.question",
    "summary.config.numCpu",
    "summary.config.memorySizeMB",
    "summary.config.guestFullName",
    "summary.config.template",
    "summary.quickStats.overallCpuUsage",
    "summary.quickStats.guestMemoryUsage",
    "summary.storage.committed",
    "guest.ipAddress",
    "guest.net",
    "guest.toolsRunningStatus",
];

impl Machines for Vsphere {
    fn list(&self, call: &Call, depth: Depth) -> Result<Vec<Machine>> {
        let paths = match depth {
            Depth::Names => NAMES,
            Depth::Rows => ROWS,
            Depth::Full => FULL,
        };
        let found = scan(&self.session, call, paths)?;
        let machines = found.into_iter().map(|(machine, _)| machine).collect();
        Ok(order::by_key(machines, |it: &Machine| format!("{}\0{}", it.at.name, it.at.path)))
    }

    fn find(&self, call: &Call, wanted: &str) -> Result<Machine> {
        let at = self.locate(call, wanted)?;
        let rows = props::of(
            &self.session,
            call,
            std::slice::from_ref(&reference(&at)),
            &[Select { kind: "VirtualMachine", paths: FULL }],
        )?;
        let row = rows.first().ok_or_else(|| nobody(wanted))?;
        Ok(Machine { at, ..machine(row) })
    }

    fn find_all(&self, call: &Call, wanted: &[String]) -> Result<(Vec<Machine>, Unknown)> {
        let named = self.list(call, Depth::Names)?;
        let (mut chosen, mut unknown): (Vec<MachineRef>, Unknown) = (Vec::new(), Vec::new());
        let mut known = HashSet::new();
        for word in wanted {
            let matching: Vec<MachineRef> = match is_glob(word) {
                true => {
                    let fits = named.iter().filter(|it| glob::matches(word, &it.at.name));
                    fits.map(|it| it.at.clone()).collect()
                }
                false => match choose(&named, word) {
                    Ok(at) => vec![at],
                    Err(error) => {
                        unknown.push((word.clone(), error));
                        continue;
                    }
                },
            };
            if matching.is_empty() {
                unknown.push((word.clone(), nobody(word)));
            }
            chosen.extend(matching.into_iter().filter(|at| known.insert(at.id.clone())));
        }
        let objects: Vec<Ref> = chosen.iter().map(reference).collect();
        let select = Select { kind: "VirtualMachine", paths: FULL };
        let rows = props::of(&self.session, call, &objects, &[select])?;
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.at.id.as_str(), row)).collect();
        let mut machines = Vec::new();
        for at in chosen {
            match rows.get(at.id.as_str()) {
                Some(row) => machines.push(Machine { at, ..machine(row) }),
                None => unknown.push((at.name.clone(), nobody(&at.name))),
            }
        }
        Ok((machines, unknown))
    }

    fn detail(&self, call: &Call, wanted: &str) -> Result<MachineDetail> {
        detail::read(self, call, wanted)
    }
}

impl Vsphere {
    /// Which machine is meant, by one query of names.
    pub(crate) fn locate(&self, call: &Call, wanted: &str) -> Result<MachineRef> {
        if let Some(uuid) =
            wanted.strip_prefix("uuid:").or(looks_like_uuid(wanted).then_some(wanted))
        {
            return self.locate_uuid(call, uuid, wanted);
        }
        choose(&self.list(call, Depth::Names)?, wanted)
    }

    fn locate_uuid(&self, call: &Call, uuid: &str, wanted: &str) -> Result<MachineRef> {
        let named = scan(&self.session, call, UUIDS)?;
        let same = |text: Option<&str>| text.is_some_and(|it| it.eq_ignore_ascii_case(uuid));
        let bears = |row: &[Option<String>]| row.iter().any(|it| same(it.as_deref()));
        let by_uuid: Vec<&MachineRef> = named
            .iter()
            .filter(|(machine, uuids)| {
                bears(uuids) || (machine.at.name == wanted && !wanted.starts_with("uuid:"))
            })
            .map(|(machine, _)| &machine.at)
            .collect();
        match by_uuid[..] {
            [one] => Ok(one.clone()),
            [] => Err(nobody(wanted)),
            _ => Err(ambiguous(wanted, by_uuid.into_iter())),
        }
    }
}

/// The two UUIDs of a machine, where they were asked for.
type Uuids = [Option<String>; 2];

/// Every machine with its path, and its UUIDs where they were asked for.
fn scan(
    session: &Arc<Session>,
    call: &Call,
    paths: &[&'static str],
) -> Result<Vec<(Machine, Uuids)>> {
    let mut selects = vec![Select { kind: "VirtualMachine", paths }];
    selects.extend(tree::PLACES);
    let (mut places, mut found) = (Tree::default(), Vec::new());
    props::all(session, call, KINDS, &selects, |row| {
        if &*row.at.kind != "VirtualMachine" {
            return places.add(&row);
        }
        let (name, parent) =
            (row.string("name").unwrap_or_default(), row.reference("parent").cloned());
        let uuids = ["summary.config.uuid", "summary.config.instanceUuid"].map(|it| row.string(it));
        found.push((machine(&row), uuids, name, parent));
    })?;
    let placed = |(mut machine, uuids, name, parent): (Machine, _, String, Option<Ref>)| {
        machine.at.path = places.path(&name, parent.as_ref());
        (machine, uuids)
    };
    Ok(found.into_iter().map(placed).collect())
}

/// The reference of a machine.
pub(crate) fn reference(at: &MachineRef) -> Ref {
    Ref::new("VirtualMachine", at.id.clone())
}

/// The one machine that a word means: by name, id or path, or by one of them as its prefix says.
fn choose(named: &[Machine], wanted: &str) -> Result<MachineRef> {
    let (by, word) = match wanted.split_once(':') {
        Some((by @ ("moid" | "path"), word)) => (by, word),
        _ => ("", wanted),
    };
    let path = word.trim_matches('/');
    let meant = |it: &&Machine| match by {
        "moid" => it.at.id == word,
        "path" => it.at.path == path,
        _ => it.at.name == word || it.at.id == word || (word.contains('/') && it.at.path == path),
    };
    let hits: Vec<&MachineRef> = named.iter().filter(meant).map(|it| &it.at).collect();
    match hits[..] {
        [one] => Ok(one.clone()),
        [] => Err(not_found(named, word)),
        _ => Err(ambiguous(word, hits.into_iter())),
    }
}

fn nobody(wanted: &str) -> Error {
    Error::new(Kind::NotFound, format!("no VM `{}`", crate::error::quoted(wanted)))
        .hint("list_vms shows what there is")
}

fn not_found(named: &[Machine], word: &str) -> Error {
    let error = Error::new(Kind::NotFound, format!("no VM `{}`", crate::error::quoted(word)));
    match nearest(word, named.iter().map(|it| it.at.name.as_str())) {
        Some(near) => error.hint(format!("Did you mean `{near}`? list_vms shows what there is")),
        None => error.hint("list_vms shows what there is"),
    }
}

fn ambiguous<'a>(wanted: &str, hits: impl Iterator<Item = &'a MachineRef>) -> Error {
    let shown: Vec<String> =
        hits.take(20).map(|at| format!("`moid:{}` ({})", at.id, at.path)).collect();
    Error::new(Kind::Conflict, format!("`{wanted}` means more than one VM"))
        .hint(format!("Pass one of these: {}", shown.join(", ")))
}

fn is_glob(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

/// 8-4-4-4-12 hex digits.
fn looks_like_uuid(word: &str) -> bool {
    let lengths: Vec<usize> = word.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && word.bytes().all(|it| it == b'-' || it.is_ascii_hexdigit())
}

/// A machine out of its properties; the path is added by whoever knows the tree.
pub(crate) fn machine(row: &Row) -> Machine {
    let native = row.text("runtime.powerState").unwrap_or("unknown");
    Machine {
        at: MachineRef {
            id: row.at.id.clone(),
            name: unescaped(row.text("name").unwrap_or(&row.at.id)),
            path: String::new(),
        },
        power: power(native),
        native_state: native.to_owned(),
        trouble: match row.text("runtime.connectionState") {
            None | Some("connected") => None,
            Some(state) => Some(state.to_owned()),
        },
        cpus: row.int("summary.config.numCpu"),
        memory_mb: row.int("summary.config.memorySizeMB"),
        guest_os: row.string("summary.config.guestFullName"),
        ip_addresses: addresses(row),
        template: row.flag("summary.config.template") == Some(true),
        agent: row.text("guest.toolsRunningStatus").map(agent).map(str::to_owned),
        cpu_usage_mhz: row.int("summary.quickStats.overallCpuUsage"),
        memory_usage_mb: row.int("summary.quickStats.guestMemoryUsage"),
        storage_used_bytes: row.int("summary.storage.committed"),
        question: row.object("runtime.question").map(task::question),
    }
}

/// A `VirtualMachinePowerState` in our words.
pub(crate) fn power(native: &str) -> PowerState {
    match native {
        "poweredOn" => PowerState::On,
        "poweredOff" => PowerState::Off,
        "suspended" => PowerState::Suspended,
        _ => PowerState::Unknown,
    }
}

/// A `toolsRunningStatus` in our words.
pub(crate) fn agent(native: &str) -> &str {
    match native {
        "guestToolsRunning" => "running",
        "guestToolsNotRunning" => "not running",
        "guestToolsExecutingScripts" => "starting",
        other => other,
    }
}

fn addresses(row: &Row) -> Vec<String> {
    let mut all: Vec<String> = row.string("guest.ipAddress").into_iter().collect();
    let cards = row.items("guest.net").iter().filter_map(Value::as_object);
    for address in cards.flat_map(|card| card.texts("ipAddress")) {
        if !all.iter().any(|known| known == address) {
            all.push(address.to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: &str, path: &str) -> Machine {
        let row = |name: &str| MachineRef { id: id.into(), name: name.into(), path: path.into() };
        Machine {
            at: row(path.rsplit('/').next().unwrap_or(path)),
            power: PowerState::Off,
            native_state: String::new(),
            trouble: None,
            cpus: None,
            memory_mb: None,
            guest_os: None,
            ip_addresses: Vec::new(),
            template: false,
            agent: None,
            cpu_usage_mhz: None,
            memory_usage_mb: None,
            storage_used_bytes: None,
            question: None,
        }
    }

    #[test]
    fn a_word_means_one_machine_or_an_error_says_why_not() {
        let all = [
            named("vm-1", "DC/vm/web"),
            named("vm-2", "DC/vm/prod/db"),
            named("vm-3", "DC/vm/test/db"),
            named("vm-4", "DC/vm/vm-1"),
        ];
        let id = |word: &str| choose(&all, word).map(|at| at.id);
        assert_eq!(id("web").unwrap(), "vm-1");
        assert_eq!(id("vm-2").unwrap(), "vm-2");
        assert_eq!(id("DC/vm/test/db").unwrap(), "vm-3");
        assert_eq!(id("path:/DC/vm/prod/db").unwrap(), "vm-2");
        assert_eq!(id("moid:vm-1").unwrap(), "vm-1");
        assert_eq!(
            id("db").unwrap_err().to_string(),
            "`db` means more than one VM. Pass one of these: `moid:vm-2` (DC/vm/prod/db), `moid:vm-3` (DC/vm/test/db)"
        );
        assert!(id("vm-1").unwrap_err().to_string().contains("more than one"));
        assert!(id("wep").unwrap_err().to_string().contains("Did you mean `web`?"));
    }

    #[test]
    fn uuids_are_told_from_names() {
        assert!(looks_like_uuid("4210e6f5-1b5c-a7c4-0c0f-2b0f3c1f0a9e"));
        assert!(
            !looks_like_uuid("web-01") && !looks_like_uuid("4210e6f5-1b5c-a7c4-0c0f-2b0f3c1f0azz")
        );
    }
}
