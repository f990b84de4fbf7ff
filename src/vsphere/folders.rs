//! Folders of machines: made, deleted when they are empty, and machines put into them.
//!
//! It knows only the folders below a datacenter's `vm`; those of hosts, datastores and networks are
//! not machines' business. Surprising: deleting a folder deletes the files of every machine in it,
//! so what is not empty is refused, and even then the method is the one that leaves files alone.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::inventory::{
    Candidate, Inventory, choose, name, names_of, references, some_names,
};
use crate::vsphere::machines::reference;
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::{Tree, escaped};
use crate::vsphere::{Vsphere, props, task};

const KINDS: &[&str] = &["Folder", "Datacenter"];

/// The longest name that a server keeps.
const LONGEST: usize = 80;

/// What an ESXi can do instead.
const INSTEAD: &str = "on an ESXi, create_resource_pool can group VMs";

/// Every folder, with these properties beside name, parent and the types that it takes.
pub fn read(it: &Vsphere, call: &Call, more: &[&'static str]) -> Result<Inventory> {
    let paths = [&["name", "parent", "childType"], more].concat();
    let folder = Select { kind: "Folder", paths: &paths };
    let datacenter = Select { kind: "Datacenter", paths: &["name", "parent", "vmFolder"] };
    Inventory::read(it, call, KINDS, &[folder, datacenter])
}

/// The folders of machines: by name and by the path below `vm` in the datacenter whose folder
/// `home` is, or in any, and by whole path or id everywhere.
pub fn candidates<'a>(tree: &Tree, rows: &'a [Row], home: Option<&Ref>) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    let centers = rows.iter().filter(|row| &*row.at.kind == "Datacenter");
    for (center, root) in centers.filter_map(|it| Some((it, it.reference("vmFolder")?))) {
        let at = |row: &Row| tree.path(row.text("name").unwrap_or("?"), row.reference("parent"));
        let center = at(center);
        let near = home.is_none_or(|home| home.id == root.id);
        for row in rows.iter().filter(|row| &*row.at.kind == "Folder") {
            let own = row.at.id == root.id;
            if !own && !tree.above(row.reference("parent")).any(|id| id == root.id) {
                continue;
            }
            let path = at(row);
            let below = path.strip_prefix(&center).and_then(|it| it.strip_prefix('/'));
            // `DC0` is its folder `vm`; `prod/web` is `DC0/vm/prod/web`.
            let short = match own {
                true => Some(center.clone()),
                false => below.and_then(|it| it.split_once('/')).map(|(_, it)| it.to_owned()),
            };
            found.push(Candidate::new(row, path).also(short.filter(|_| near)).named(near));
        }
    }
    found
}

/// The one folder of machines that a word means.
pub fn pick<'a, 'b>(all: &'b [Candidate<'a>], wanted: &str) -> Result<&'b Candidate<'a>> {
    choose(all, "VM folder", "list_folders", wanted)
}

impl Vsphere {
    /// Prepares to make a folder in another; the datacenter's own if none is named.
    pub fn create_folder<'a>(
        &'a self,
        call: &Call,
        name: &str,
        parent: Option<&str>,
    ) -> Result<Prepared<'a>> {
        self.needs_vcenter(call, "has no folders of its own", INSTEAD)?;
        let name = new_name("folder", name)?;
        let all = read(self, call, &[])?;
        let known = candidates(&all.tree, &all.rows, None);
        let parent = match parent {
            Some(wanted) => pick(&known, wanted)?,
            None => {
                let center = self.own_datacenter(&all)?;
                let root = center.reference("vmFolder").map_or("", |it| it.id.as_str());
                pick(&known, &format!("moid:{root}"))?
            }
        };
        let at = &parent.row.at;
        let same = |row: &&Row| {
            row.reference("parent").is_some_and(|it| it.id == at.id)
                && crate::vsphere::inventory::name(row) == name
        };
        if let Some(row) = all.of("Folder").find(same) {
            let said = format!("`{}` has a folder `{name}` already ({})", parent.path, row.at.id);
            return Err(Error::new(Kind::Conflict, said).hint("Use it, or choose another name"));
        }
        let slash = if name.contains('/') { "; the slash is part of its name" } else { "" };
        let step = format!("a folder `{name}` is made in `{}`{slash}", parent.path);
        let (seen, at) = (at.id.clone(), at.clone());
        let path = format!("{}/{}", parent.path, escaped(&name));
        Ok(Prepared::new(vec![step], seen, move |call| {
            let args = Object::args().with("name", escaped(&name));
            let made = self.session.call(call, &at, "CreateFolder", &args)?;
            let id = made.as_ref().and_then(Value::as_reference).map_or("unknown", |it| &it.id);
            Ok(vec![format!("made as {path}, id {id}")])
        }))
    }

    /// The configured datacenter, or the first.
    fn own_datacenter<'a>(&self, all: &'a Inventory) -> Result<&'a Row> {
        let wanted = self.defaults.datacenter.as_deref();
        let mut centers = all.of("Datacenter");
        let is = |row: &Row| wanted.is_none_or(|it| name(row) == it || row.at.id == it);
        centers.find(|row| is(row)).ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no datacenter `{}`", wanted.unwrap_or("at all")))
                .hint("Pass parent_path, as list_folders shows it")
        })
    }

    /// Prepares to delete a folder that is empty.
    pub fn delete_folder<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>> {
        self.needs_vcenter(call, "has no folders of its own", INSTEAD)?;
        let all = read(self, call, &[])?;
        let known = candidates(&all.tree, &all.rows, None);
        let chosen = pick(&known, wanted)?;
        let (at, path) = (chosen.row.at.clone(), chosen.path.clone());
        let parent = chosen.row.reference("parent").and_then(|it| all.get(&it.id));
        if parent.is_none_or(|it| &*it.at.kind != "Folder") {
            let said = format!("`{path}` is the datacenter's own folder and stays");
            return Err(Error::new(Kind::Conflict, said).hint("Name a folder below it"));
        }
        self.must_be_empty(call, &at, &path)?;
        let step = format!("the empty folder `{path}` ({}) is deleted", at.id);
        Ok(Prepared::new(vec![step], at.id.clone(), move |call| {
            // Somebody may have put a machine into it meanwhile. Unverified: that a real vCenter
            // wants no more for this method than the right to delete the folder.
            self.must_be_empty(call, &at, &path)?;
            let (method, none) = ("UnregisterAndDestroy_Task", Object::args());
            task::run(&self.session, call, &at, method, &none, None, "deleting the folder")?;
            Ok(vec!["deleted".to_owned()])
        }))
    }

    fn must_be_empty(&self, call: &Call, at: &Ref, path: &str) -> Result<()> {
        let row = props::one(&self.session, call, at, "Folder", &["childEntity"])?;
        let inside = references(row.items("childEntity"));
        if inside.is_empty() {
            return Ok(());
        }
        let folders = inside.iter().filter(|it| &*it.kind == "Folder").count();
        let (others, names) = (inside.len() - folders, names_of(self, call, &inside)?);
        let parts = [(others, "VM"), (folders, "folder")];
        let parts: Vec<String> =
            parts.iter().filter(|it| it.0 > 0).map(|it| counted(it.0, it.1)).collect();
        let said = format!(
            "`{path}` is not empty: it holds {}: {}",
            parts.join(" and "),
            some_names(&names, inside.len())
        );
        Err(Error::new(Kind::Conflict, said)
            .hint("Move its VMs away with move_vm_to_folder and delete its folders first"))
    }

    /// Prepares to put a machine into a folder of its datacenter.
    pub fn move_to_folder<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        folder: &str,
    ) -> Result<Prepared<'a>> {
        self.needs_vcenter(call, "has no folders of its own", INSTEAD)?;
        let at = self.locate(call, machine)?;
        let machine = reference(&at);
        let row = props::one(&self.session, call, &machine, "VirtualMachine", &["parent"])?;
        let all = read(self, call, &[])?;
        let parent = row.reference("parent");
        let home = all.above(&row, "Datacenter");
        let near = home.and_then(|it| it.reference("vmFolder"));
        let known = candidates(&all.tree, &all.rows, near);
        let to = pick(&known, folder)?;
        let path = &to.path;
        if parent.is_some_and(|it| it.id == to.row.at.id) {
            return Ok(Prepared::already(format!("already in `{path}`")));
        }
        if let (Some(home), Some(there)) = (home, all.above(to.row, "Datacenter"))
            && home.at.id != there.at.id
        {
            let said = format!(
                "`{}` is in datacenter `{}` and `{path}` in `{}`",
                at.name,
                name(home),
                name(there)
            );
            return Err(Error::new(Kind::Conflict, said).hint(
                "A folder of the same datacenter is needed; migrate_vm moves to other hosts",
            ));
        }
        let from = parent.and_then(|it| all.get(&it.id)).map_or("-".to_owned(), |it| all.path(it));
        let step = format!("`{}` ({}) moves from `{from}` to `{path}`", at.name, at.id);
        let seen = format!("{} {from} {}", at.id, to.row.at.id);
        let (target, path) = (to.row.at.clone(), path.clone());
        Ok(Prepared::new(vec![step], seen, move |call| {
            let args = Object::args().with("list", vec![Value::from(&machine)]);
            let method = "MoveIntoFolder_Task";
            task::run(&self.session, call, &target, method, &args, None, "moving")?;
            Ok(vec![format!("moved to {path}")])
        }))
    }
}

/// A name for a new object, as a person writes it.
pub fn new_name(what: &str, name: &str) -> Result<String> {
    let name = name.trim();
    let kept = escaped(name).chars().count();
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Error::usage(format!("a {what} needs a name without control characters")));
    }
    if kept > LONGEST {
        let said = format!("`{}` is too long for a {what}: {kept} of {LONGEST}", quoted(name));
        return Err(Error::usage(said).hint("Each of `/`, `\\` and `%` counts as three"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two datacenters in a folder of the root, each with `vm/prod`, the second with `vm/a%2fb` too.
    fn rows() -> (Tree, Vec<Row>) {
        type At<'a> = (&'static str, &'a str);
        let row = |kind: &'static str, id: &str, name: &str, (above, parent): At<'_>| {
            let mut values = vec![("name", Value::from(name))];
            values.push(("parent", Value::from(Ref::new(above, parent))));
            if kind == "Datacenter" {
                values.push(("vmFolder", Ref::new("Folder", format!("{id}-vm")).into()));
            }
            Row::made(kind, id, &values)
        };
        let mut rows = vec![row("Folder", "f0", "EU", ("Folder", "root"))];
        for (id, name) in [("d1", "DC1"), ("d2", "DC2")] {
            let (vm, host) = (format!("{id}-vm"), format!("{id}-host"));
            rows.push(row("Datacenter", id, name, ("Folder", "f0")));
            rows.push(row("Folder", &vm, "vm", ("Datacenter", id)));
            rows.push(row("Folder", &host, "host", ("Datacenter", id)));
            rows.push(row("Folder", &format!("{id}-prod"), "prod", ("Folder", &vm)));
            rows.push(row("Folder", &format!("{id}-racks"), "racks", ("Folder", &host)));
        }
        rows.push(row("Folder", "odd", "a%2fb", ("Folder", "d2-vm")));
        // What lies in a loop, or below nothing that was read, is no folder of machines.
        rows.push(row("Folder", "loop", "loop", ("Folder", "loop")));
        rows.push(row("Folder", "lost", "lost", ("Folder", "nowhere")));
        let mut tree = Tree::default();
        rows.iter().for_each(|row| tree.add(row));
        (tree, rows)
    }

    #[test]
    fn a_word_means_one_folder_of_machines_near_or_anywhere() {
        let (tree, rows) = rows();
        let home = Ref::new("Folder", "d2-vm");
        let meant = |home: Option<&Ref>, wanted: &str| {
            let all = candidates(&tree, &rows, home);
            pick(&all, wanted).map(|it| it.row.at.id.clone())
        };
        for (wanted, id) in [
            ("EU/DC1/vm/prod", "d1-prod"),
            ("/EU/DC1/vm/", "d1-vm"),
            ("EU/DC2", "d2-vm"),
            ("a/b", "odd"),
            ("a%2fb", "odd"),
            ("d1-prod", "d1-prod"),
            ("path:EU/DC2/vm/a%2fb", "odd"),
        ] {
            assert_eq!(meant(None, wanted).unwrap(), id, "{wanted}");
        }
        assert_eq!(meant(Some(&home), "prod").unwrap(), "d2-prod");
        assert_eq!(meant(Some(&home), "EU/DC1/vm/prod").unwrap(), "d1-prod");
        let error = meant(None, "prod").unwrap_err();
        assert!(error.to_string().contains("`moid:d2-prod` (EU/DC2/vm/prod)"), "{error}");
        for wanted in ["racks", "EU", "host", "EU/DC1/host", "loop", "lost", "moid:prod", ""] {
            assert_eq!(meant(None, wanted).unwrap_err().kind(), Kind::NotFound, "{wanted}");
        }
    }

    #[test]
    fn names_are_bounded_as_they_are_kept() {
        assert_eq!(new_name("folder", " a/b ").unwrap(), "a/b");
        assert!(new_name("folder", &"x".repeat(80)).is_ok());
        for name in ["", "  ", "a\nb", &"x".repeat(81), &"/".repeat(27)] {
            assert_eq!(new_name("folder", name).unwrap_err().kind(), Kind::Usage, "{name}");
        }
    }
}
