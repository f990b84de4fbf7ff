//! The world: everything that the simulated server has, and how one asks it.
//!
//! Entities and managers that hardly change are [`Plain`]: properties out of the inventory files.
//! Machines, tasks and sessions have types of their own. A property is looked for among the rows of
//! the families first (computed), then among the stored ones. It must not know SOAP. Surprising:
//! `generation` counts what a watcher could see, and nobody is told more than that.

use std::borrow::Cow;

use crate::sim::clock::Moment;
use crate::sim::custom::Custom;
use crate::sim::fault::{Fault, Result};
use crate::sim::files::Files;
use crate::sim::guests::Guests;
use crate::sim::history::History;
use crate::sim::machine::Machine;
use crate::sim::nfc::Nfc;
use crate::sim::rest::Session;
use crate::sim::rows;
use crate::sim::sessions::Sessions;
use crate::sim::tags::Tags;
use crate::sim::task::Tasks;
use crate::text::sorted::Sorted;
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;

/// A managed object that is no more than its properties.
#[derive(Clone, Debug)]
pub struct Plain {
    /// Its managed type.
    pub kind: &'static str,
    /// Its properties, by name.
    pub props: Object,
}

/// One simulated server.
pub struct World {
    /// A vCenter, else an ESXi host.
    pub vcenter: bool,
    /// The newest API version that it speaks.
    pub version: Version,
    /// The time at which the present request is answered.
    pub now: Moment,
    /// By id.
    pub plain: Sorted<String, Plain>,
    /// By number, which is in the id too.
    pub machines: Sorted<u64, Machine>,
    /// What works, and what has.
    pub tasks: Tasks,
    /// Who is logged in.
    pub sessions: Sessions,
    /// What is on the datastores.
    pub files: Files,
    /// What is being imported and exported.
    pub nfc: Nfc,
    /// What happened.
    pub history: History,
    /// What runs inside the machines.
    pub guests: Guests,
    /// What the next task ends with, because a rule says so.
    pub doom: Option<Fault>,
    /// When each host was booted, by its id; the others were up for two weeks at the start.
    pub boots: Sorted<String, Moment>,
    /// The free licence: every change is refused.
    pub free_licence: bool,
    /// Custom fields and customization specifications of a vCenter.
    pub custom: Custom,
    /// Tags of a vCenter.
    pub tags: Tags,
    /// Logins over REST.
    pub rest: Vec<Session>,
    /// Grows with every change that somebody may wait for.
    pub generation: u64,
    last_number: u64,
}

impl World {
    /// A server without anything in it.
    pub fn empty(vcenter: bool, version: Version, now: Moment) -> World {
        World {
            vcenter,
            version,
            now,
            plain: Sorted::new(),
            machines: Sorted::new(),
            tasks: Tasks::default(),
            sessions: Sessions::default(),
            files: Files::default(),
            nfc: Nfc::default(),
            history: History::default(),
            guests: Guests::default(),
            doom: None,
            boots: [(String::new(), now - 14 * 24 * 3_600_000)].into_iter().collect(),
            free_licence: false,
            custom: Custom::default(),
            tags: Tags::default(),
            rest: Vec::new(),
            generation: 1,
            last_number: 0,
        }
    }

    /// A number that nothing has had yet.
    pub fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Something changed that a watcher could see.
    pub fn touch(&mut self) {
        self.generation += 1;
    }

    /// The type of the object with this id, if there is one; those of a session are not here.
    pub fn kind_of(&self, id: &str) -> Option<&'static str> {
        if let Some(plain) = self.plain.get(id) {
            return Some(plain.kind);
        }
        if self.machine(id).is_some() {
            return Some("VirtualMachine");
        }
        if self.tasks.get(id).is_some() {
            return Some("Task");
        }
        if self.nfc.leases.contains_key(id) {
            return Some("HttpNfcLease");
        }
        self.snapshot(id).map(|_| "VirtualMachineSnapshot")
    }

    /// A reference to the object with this id, with the type that it has.
    pub fn reference(&self, id: &str) -> Option<Ref> {
        self.kind_of(id).map(|kind| Ref::new(kind, id))
    }

    /// A machine by id.
    pub fn machine(&self, id: &str) -> Option<&Machine> {
        self.machines.get(&number_of(id)?).filter(|it| it.id == id)
    }

    /// A machine to be changed; whoever asks for one is taken to change it.
    pub fn machine_mut(&mut self, id: &str) -> Result<&mut Machine> {
        self.generation += 1;
        let found = number_of(id).and_then(|it| self.machines.get_mut(&it));
        found.filter(|it| it.id == id).ok_or_else(|| Fault::gone(&Ref::new("VirtualMachine", id)))
    }

    /// The machine that a snapshot belongs to, and the snapshot's place in it.
    pub fn snapshot(&self, id: &str) -> Option<(&Machine, usize)> {
        let (owner, _) = id.split_once("-snapshot-")?;
        let machine = self.machine(owner)?;
        machine.snapshots.iter().position(|it| it.id == id).map(|at| (machine, at))
    }

    /// An object of the inventory to be changed.
    pub fn plain_mut(&mut self, id: &str) -> Option<&mut Object> {
        self.generation += 1;
        self.plain.get_mut(id).map(|it| &mut it.props)
    }

    /// The first object of this type, by id.
    pub fn first(&self, kind: &str) -> Option<Ref> {
        let found = self.plain.iter().find(|(_, it)| it.kind == kind);
        found.map(|(id, it)| Ref::new(it.kind, id.clone()))
    }

    /// Every plain object of this type or one that extends it.
    pub fn all<'a>(&'a self, kind: &str) -> std::vec::IntoIter<(&'a str, &'a Object)> {
        let base = Type::find(kind);
        let is = |own: &str| {
            own == kind || Type::find(own).zip(base).is_some_and(|(own, base)| own.is_a(base))
        };
        let mut found = Vec::new();
        for (id, it) in &self.plain {
            if is(it.kind) {
                found.push((id.as_str(), &it.props));
            }
        }
        found.into_iter()
    }

    /// The name of an entity.
    pub fn name(&self, id: &str) -> Option<&str> {
        match self.machine(id) {
            Some(machine) => Some(&machine.name),
            None => self.plain.get(id)?.props.text("name"),
        }
    }

    /// A property by its first part, such as `config`; `None` where it has no value.
    pub fn property(&self, object: &Ref, root: &str) -> Option<Cow<'_, Value>> {
        if let Some(row) = rows::property(&object.kind, root) {
            return (row.get)(self, &object.id).map(Cow::Owned);
        }
        self.plain.get(&object.id)?.props.get(root).map(Cow::Borrowed)
    }

    /// What stands directly below an entity in the inventory.
    pub fn children(&self, id: &str) -> Vec<Ref> {
        let below = |props: &Object| props.reference("parent").is_some_and(|it| it.id == id);
        let plain = self.plain.iter().filter(|(_, it)| below(&it.props));
        let plain = plain.map(|(id, it)| Ref::new(it.kind, id.clone()));
        let machines = self.machines.values().filter(|it| it.parent == id);
        plain.chain(machines.map(Machine::reference)).collect()
    }

    /// Everything above an entity, the nearest first; of a machine also its host and pool.
    pub fn above(&self, object: &Ref) -> Vec<String> {
        let mut all: Vec<String> = match self.machine(&object.id) {
            Some(it) => vec![it.parent.clone(), it.host.clone(), it.pool.clone()],
            None => self.parent(&object.id).into_iter().collect(),
        };
        let mut at = 0;
        while let Some(id) = all.get(at).cloned() {
            at += 1;
            all.extend(self.parent(&id).filter(|it| !all.contains(it)));
        }
        all
    }

    fn parent(&self, id: &str) -> Option<String> {
        Some(self.plain.get(id)?.props.reference("parent")?.id.clone())
    }
}

/// The number at the end of the id of a machine or a task: `12`, `vm-12`.
pub fn number_of(id: &str) -> Option<u64> {
    id.rsplit('-').next()?.parse().ok()
}
