//! Snapshots: the tree of a machine, and what can be done to one.

use std::collections::HashSet;

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, Snapshot};
use crate::hv::snapshots::{NewSnapshot, Snapshots};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::machines::{power, reference};
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, props, task};

/// Deepest tree that is shown; the server's own limit is 32.
const DEEPEST: usize = 64;

impl Snapshots for Vsphere {
    fn list(&self, call: &Call, machine: &MachineRef) -> Result<Vec<Snapshot>> {
        let paths = ["snapshot", "layoutEx"];
        let vm = reference(machine);
        let row = props::one(&self.session, call, &vm, "VirtualMachine", &paths)?;
        let Some(info) = row.object("snapshot") else { return Ok(Vec::new()) };
        let current = info.reference("currentSnapshot").map(|it| it.id.as_str());
        let mut walk = Walk { current, layout: row.object("layoutEx"), found: Vec::new() };
        for root in info.objects("rootSnapshotList") {
            walk.down(root, "", None, 0);
        }
        Ok(walk.found)
    }

    fn create(&self, call: &Call, machine: &MachineRef, new: &NewSnapshot) -> Result<String> {
        let vm = reference(machine);
        let args = Object::args()
            .with("name", new.name.as_str())
            .with("description", new.description.as_str())
            .with("memory", new.memory)
            .with("quiesce", new.quiesce);
        let doing = format!("saving {}", machine.name);
        let made =
            task::run(&self.session, call, &vm, "CreateSnapshot_Task", &args, Some(&vm), &doing)?;
        let id = made.as_ref().and_then(Value::as_reference).map(|it| it.id.clone());
        id.ok_or_else(|| {
            Error::new(Kind::Remote, "the server made a snapshot but did not say which")
                .hint("list_snapshots shows it")
        })
    }

    fn revert(&self, call: &Call, machine: &MachineRef, snapshot: &Snapshot) -> Result<()> {
        let doing = format!("reverting {}", machine.name);
        self.on(call, machine, snapshot, "RevertToSnapshot_Task", Object::args(), &doing)
    }

    fn remove(
        &self,
        call: &Call,
        machine: &MachineRef,
        snapshot: &Snapshot,
        with_children: bool,
    ) -> Result<()> {
        let args = Object::args().with("removeChildren", with_children).with("consolidate", true);
        let doing = format!("deleting `{}`", snapshot.name);
        self.on(call, machine, snapshot, "RemoveSnapshot_Task", args, &doing)
    }

    fn remove_all(&self, call: &Call, machine: &MachineRef) -> Result<()> {
        let vm = reference(machine);
        let args = Object::args().with("consolidate", true);
        let doing = format!("deleting the snapshots of {}", machine.name);
        let method = "RemoveAllSnapshots_Task";
        task::run(&self.session, call, &vm, method, &args, Some(&vm), &doing).map(|_| ())
    }

    fn rename(
        &self,
        call: &Call,
        _: &MachineRef,
        snapshot: &Snapshot,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<()> {
        let args = Object::args().with_some("name", name).with_some("description", description);
        self.session.call(call, &saved(snapshot), "RenameSnapshot", &args).map(|_| ())
    }
}

impl Vsphere {
    fn on(
        &self,
        call: &Call,
        machine: &MachineRef,
        snapshot: &Snapshot,
        method: &str,
        args: Object,
        doing: &str,
    ) -> Result<()> {
        let (vm, at) = (reference(machine), saved(snapshot));
        task::run(&self.session, call, &at, method, &args, Some(&vm), doing).map(|_| ())
    }
}

fn saved(snapshot: &Snapshot) -> Ref {
    Ref::new("VirtualMachineSnapshot", snapshot.id.clone())
}

struct Walk<'a> {
    current: Option<&'a str>,
    layout: Option<&'a Object>,
    found: Vec<Snapshot>,
}

impl Walk<'_> {
    fn down(&mut self, node: &Object, above: &str, parent: Option<&str>, depth: usize) {
        let Some(at) = node.reference("snapshot") else { return };
        let name = unescaped(node.text("name").unwrap_or_default());
        let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        let children: Vec<&Object> = node.objects("childSnapshotList").collect();
        self.found.push(Snapshot {
            id: at.id.clone(),
            name,
            path: path.clone(),
            description: node.text("description").unwrap_or_default().to_owned(),
            created: node.text("createTime").map(str::to_owned),
            state: power(node.text("state").unwrap_or_default()),
            size_bytes: self.layout.and_then(|layout| own_bytes(layout, &at.id, parent)),
            current: self.current == Some(at.id.as_str()),
            children: children.len(),
        });
        if depth < DEEPEST {
            children.iter().for_each(|child| self.down(child, &path, Some(&at.id), depth + 1));
        }
    }
}

/// Bytes of the files that a snapshot has and its parent has not: its memory, its state, and what
/// was written between the two. Sums `VirtualMachineFileLayoutEx`.
fn own_bytes(layout: &Object, id: &str, parent: Option<&str>) -> Option<i64> {
    let files = |wanted: &str| -> Option<HashSet<i64>> {
        let of = |it: &&Object| it.reference("key").is_some_and(|key| key.id == wanted);
        let saved = layout.objects("snapshot").find(of)?;
        let mut keys: HashSet<i64> =
            ["dataKey", "memoryKey"].iter().filter_map(|key| saved.int(key)).collect();
        let units = saved.objects("disk").flat_map(|disk| disk.objects("chain"));
        keys.extend(units.flat_map(|unit| unit.list("fileKey")).filter_map(Value::as_int));
        Some(keys)
    };
    let own = files(id)?;
    // A root has the machine's base disks in its chain; they are not the snapshot's.
    let base: HashSet<i64> = match parent {
        Some(parent) => files(parent)?,
        None => {
            let of = |it: &&Object| it.reference("key").is_some_and(|key| key.id == id);
            let saved = layout.objects("snapshot").find(of)?;
            let units = saved.objects("disk").flat_map(|disk| disk.objects("chain"));
            units.flat_map(|unit| unit.list("fileKey")).filter_map(Value::as_int).collect()
        }
    };
    let size = |key: &i64| {
        let file = layout.objects("file").find(|file| file.int("key") == Some(*key));
        file.and_then(|file| file.int("size")).unwrap_or(0)
    };
    Some(own.difference(&base).map(size).sum())
}
