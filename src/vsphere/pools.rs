//! Resource pools: made, deleted, and machines put into them; on a standalone ESXi too.
//!
//! Surprising: each cluster and each host has a root pool that is called `Resources`, so the name
//! of the cluster or host means its root pool. A deleted pool gives what it holds to the pool above
//! it, but a vApp, which is a pool too, takes its machines with it: it is never deleted here.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::folders::new_name;
use crate::vsphere::inventory::{
    Candidate, Inventory, choose, name, names_of, references, some_names,
};
use crate::vsphere::machines::reference;
use crate::vsphere::props::{Row, Select};
use crate::vsphere::site::Site;
use crate::vsphere::{Vsphere, props, task};

const KINDS: &[&str] = &["ResourcePool", "ComputeResource", "Folder", "Datacenter"];

/// What a new pool gets of one resource; what is `None` is the server's usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allotment {
    pub shares: Option<Shares>,
    pub reservation: Option<i64>,
    /// `None` is without limit.
    pub limit: Option<i64>,
}

/// How much a pool counts where resources are short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shares {
    Low,
    Normal,
    High,
    Number(i32),
}

/// A pool to be made.
pub struct NewPool<'a> {
    pub name: &'a str,
    pub parent: Option<&'a str>,
    /// In MHz.
    pub cpu: Allotment,
    /// In MB.
    pub memory: Allotment,
}

/// Every pool with these properties beside its name, parent and owner.
pub fn read(it: &Vsphere, call: &Call, more: &[&'static str]) -> Result<Inventory> {
    let paths = [&["name", "parent", "owner"], more].concat();
    let named = |kind| Select { kind, paths: &["name", "parent"] };
    let pool = Select { kind: "ResourcePool", paths: &paths };
    let above = ["ComputeResource", "Folder", "Datacenter"].map(named);
    Inventory::read(it, call, KINDS, &[&[pool], &above[..]].concat())
}

/// True for the pool that a cluster or host has by itself.
pub fn is_root(all: &Inventory, pool: &Row) -> bool {
    let parent = pool.reference("parent").and_then(|it| all.get(&it.id));
    parent.is_none_or(|it| !crate::vsphere::inventory::is_a(it, "ResourcePool"))
}

/// The pools by name, id and path; a root pool by its cluster or host too.
pub fn candidates(all: &Inventory) -> Vec<Candidate<'_>> {
    let owner = |row: &Row| {
        let owner = row.reference("owner").filter(|_| is_root(all, row));
        owner.map(|it| all.name(it))
    };
    let pools = all.of("ResourcePool");
    pools.map(|row| Candidate::new(row, all.path(row)).also(owner(row))).collect()
}

/// The one pool that a word means.
pub fn pick<'a, 'b>(all: &'b [Candidate<'a>], wanted: &str) -> Result<&'b Candidate<'a>> {
    choose(all, "resource pool", "list_resource_pools", wanted)
}

/// The pool that a word means, or that new machines go to.
pub fn pick_or_own<'a, 'b>(
    it: &Vsphere,
    call: &Call,
    all: &'b [Candidate<'a>],
    wanted: Option<&str>,
) -> Result<&'b Candidate<'a>> {
    match wanted {
        Some(wanted) => pick(all, wanted),
        None => pick(all, &format!("moid:{}", Site::read(it, call)?.pool().id)),
    }
}

impl Shares {
    /// As the API writes it, with what `normal` is of this resource.
    fn info(self, normal: i32) -> Object {
        let (level, shares) = match self {
            Shares::Low => ("low", normal / 2),
            Shares::Normal => ("normal", normal),
            Shares::High => ("high", normal * 2),
            Shares::Number(number) => ("custom", number),
        };
        Object::new("SharesInfo").with("shares", shares).with("level", level)
    }
}

impl Allotment {
    /// Every field: a new pool is refused without them.
    fn info(&self, normal: i32) -> Object {
        Object::new("ResourceAllocationInfo")
            .with("reservation", self.reservation.unwrap_or(0))
            .with("expandableReservation", true)
            .with("limit", self.limit.unwrap_or(-1))
            .with("shares", self.shares.unwrap_or(Shares::Normal).info(normal))
    }

    fn check(&self, what: &str) -> Result<()> {
        match (self.reservation, self.limit) {
            (Some(least), Some(most)) if least > most => Err(Error::usage(format!(
                "the {what} reservation {least} is more than the limit {most}"
            ))),
            _ => Ok(()),
        }
    }

    fn told(&self, what: &str, unit: &str) -> String {
        let shares = match self.shares.unwrap_or(Shares::Normal) {
            Shares::Low => "low shares".to_owned(),
            Shares::Normal => "normal shares".to_owned(),
            Shares::High => "high shares".to_owned(),
            Shares::Number(number) => format!("{number} shares"),
        };
        let limit = self.limit.map_or("no limit".to_owned(), |it| format!("limit {it} {unit}"));
        let reserved = self.reservation.unwrap_or(0);
        format!(
            "{what}: {shares}, {reserved} {unit} reserved and more if the parent has it, {limit}"
        )
    }
}

impl Vsphere {
    /// Prepares to make a pool in another; in the one of new machines if none is named.
    pub fn create_pool<'a>(&'a self, call: &Call, new: &NewPool<'_>) -> Result<Prepared<'a>> {
        let pool = new_name("resource pool", new.name)?;
        new.cpu.check("CPU")?;
        new.memory.check("memory")?;
        let all = read(self, call, &[])?;
        let known = candidates(&all);
        let parent = pick_or_own(self, call, &known, new.parent)?;
        let at = &parent.row.at;
        let under = |row: &Row| row.reference("parent").is_some_and(|it| it.id == at.id);
        if let Some(row) = all.of("ResourcePool").find(|row| under(row) && name(row) == pool) {
            let said = format!("`{}` has a pool `{pool}` already ({})", parent.path, row.at.id);
            return Err(Error::new(Kind::Conflict, said).hint("Use it, or choose another name"));
        }
        let steps = vec![
            format!("a resource pool `{pool}` is made in `{}`", parent.path),
            new.cpu.told("CPU", "MHz"),
            new.memory.told("memory", "MB"),
        ];
        let spec = Object::new("ResourceConfigSpec")
            .with("cpuAllocation", new.cpu.info(4_000))
            .with("memoryAllocation", new.memory.info(163_840));
        let kept = crate::vsphere::tree::escaped(&pool);
        let path = format!("{}/{kept}", parent.path);
        let args = Object::args().with("name", kept).with("spec", spec);
        let (seen, at) = (at.id.clone(), at.clone());
        Ok(Prepared::new(steps, seen, move |call| {
            let made = self.session.call(call, &at, "CreateResourcePool", &args);
            // Unverified: what a cluster without DRS says.
            let made = made.map_err(|it| {
                it.hint("A cluster takes pools only with DRS on; get_cluster_info shows it")
            })?;
            let id = made.as_ref().and_then(Value::as_reference).map_or("unknown", |it| &it.id);
            Ok(vec![format!("made as {path}, id {id}")])
        }))
    }

    /// Prepares to delete a pool; what it holds moves to the pool above it.
    pub fn delete_pool<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>> {
        let all = read(self, call, &[])?;
        let known = candidates(&all);
        let chosen = pick(&known, wanted)?;
        let (path, at) = (chosen.path.clone(), chosen.row.at.clone());
        if is_root(&all, chosen.row) {
            let said = format!("`{path}` is the root pool of its cluster or host and stays");
            return Err(Error::new(Kind::Conflict, said).hint("Name a pool below it"));
        }
        if &*at.kind == "VirtualApp" {
            let said = format!("`{path}` is a vApp: with it its VMs would be deleted");
            return Err(Error::new(Kind::Conflict, said)
                .hint("Move its VMs out with move_vm_to_resource_pool, and delete it by hand"));
        }
        let paths = ["vm", "resourcePool"];
        let row = props::one(&self.session, call, &at, "ResourcePool", &paths)?;
        let (machines, pools) =
            (references(row.items("vm")), references(row.items("resourcePool")));
        let parent = chosen.row.reference("parent").and_then(|it| all.get(&it.id));
        let parent = parent.map_or("its parent".to_owned(), |it| format!("`{}`", all.path(it)));
        let mut steps = Vec::new();
        for (inside, word) in [(&machines, "VM"), (&pools, "pool")] {
            if !inside.is_empty() {
                let names = some_names(&names_of(self, call, inside)?, inside.len());
                let count = counted(inside.len(), word);
                steps.push(format!("up to {parent}, without a stop: {count}: {names}"));
            }
        }
        steps.push(format!("the resource pool `{path}` ({}) is deleted", at.id));
        let seen = format!("{} {} {}", at.id, machines.len(), pools.len());
        let losses = vec![format!("the shares, reservations and limits of `{path}`")];
        let (moved, inside) = (parent, machines.len() + pools.len());
        Ok(Prepared::new(steps, seen, move |call| {
            let none = Object::args();
            task::run(&self.session, call, &at, "Destroy_Task", &none, None, "deleting the pool")?;
            Ok(vec![match inside {
                0 => "deleted".to_owned(),
                _ => format!("deleted; what it held is in {moved}"),
            }])
        })
        .losing(losses))
    }

    /// Prepares to put a machine into a pool of its own cluster or host.
    pub fn move_to_pool<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        pool: &str,
    ) -> Result<Prepared<'a>> {
        let at = self.locate(call, machine)?;
        let machine = reference(&at);
        let paths = ["resourcePool", "summary.config.template"];
        let row = props::one(&self.session, call, &machine, "VirtualMachine", &paths)?;
        if row.flag("summary.config.template") == Some(true) {
            let said = format!("`{}` is a template, which is in no resource pool", at.name);
            return Err(
                Error::new(Kind::Conflict, said).hint("convert_to_vm makes a VM of it in a pool")
            );
        }
        let all = read(self, call, &[])?;
        let known = candidates(&all);
        let from = row.reference("resourcePool").and_then(|it| all.get(&it.id));
        let owner = from.and_then(|it| it.reference("owner"));
        // `Lab` is the one beside the machine, where other clusters have one too.
        let mut own = candidates(&all);
        own.retain(|it| owner.is_some() && it.row.reference("owner") == owner);
        let to = match pick(&own, pool) {
            Err(error) if error.kind() == Kind::NotFound => pick(&known, pool)?,
            chosen => chosen?,
        };
        let (to, path) = (to.row, to.path.clone());
        if from.is_some_and(|it| it.at.id == to.at.id) {
            return Ok(Prepared::already(format!("already in `{path}`")));
        }
        if let (Some(own), Some(other)) = (owner, to.reference("owner"))
            && own.id != other.id
        {
            let said = format!(
                "`{}` runs on `{}`, and `{path}` is a pool of `{}`",
                at.name,
                all.name(own),
                all.name(other)
            );
            return Err(Error::new(Kind::Conflict, said)
                .hint("Move it there first with migrate_vm, or name a pool of its own cluster"));
        }
        let from = from.map_or("-".to_owned(), |it| all.path(it));
        let step = format!("`{}` ({}) moves from `{from}` to `{path}`", at.name, at.id);
        let seen = format!("{} {from} {}", at.id, to.at.id);
        let target: Ref = to.at.clone();
        Ok(Prepared::new(vec![step], seen, move |call| {
            let args = Object::args().with("list", vec![Value::from(&machine)]);
            self.session.call(call, &target, "MoveIntoResourcePool", &args)?;
            Ok(vec![format!("moved to {path}")])
        }))
    }
}
