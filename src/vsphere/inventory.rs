//! Everything of some types with its place in the inventory, and the one object that a word means.
//!
//! One query reads it, whatever the types. It knows no type by itself. Surprising: names are no
//! keys. A vCenter has one `Resources` for each cluster and may have one `Lab` for each datacenter,
//! so a word that means several is refused with their paths and ids.

use std::collections::HashMap;

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::text::nearest::nearest;
use crate::vim::table::Type;
use crate::vim::value::{Ref, Value};
use crate::vsphere::props::{Row, Select};
use crate::vsphere::tree::{Tree, unescaped};
use crate::vsphere::{Vsphere, props};

/// The rows of one query.
pub struct Inventory {
    pub rows: Vec<Row>,
    pub tree: Tree,
    places: HashMap<String, usize>,
}

impl Inventory {
    /// Reads every object of these types.
    pub fn read(
        it: &Vsphere,
        call: &Call,
        kinds: &'static [&'static str],
        selects: &[Select<'_>],
    ) -> Result<Inventory> {
        let (mut rows, mut tree, mut places) = (Vec::new(), Tree::default(), HashMap::new());
        props::all(&it.session, call, kinds, selects, |row| {
            tree.add(&row);
            places.insert(row.at.id.clone(), rows.len());
            rows.push(row);
        })?;
        Ok(Inventory { rows, tree, places })
    }

    /// The object of this id.
    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.get(*self.places.get(id)?)
    }

    /// The objects of a type and of those below it.
    pub fn of(&self, kind: &'static str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| is_a(row, kind))
    }

    /// The path of an object.
    pub fn path(&self, row: &Row) -> String {
        self.tree.path(row.text("name").unwrap_or(&row.at.id), row.reference("parent"))
    }

    /// The name of what is referred to, or its id where it was not read.
    pub fn name(&self, at: &Ref) -> String {
        self.get(&at.id).map_or_else(|| at.id.clone(), name)
    }

    /// The nearest object of a type above this one.
    pub fn above(&self, row: &Row, kind: &str) -> Option<&Row> {
        self.tree.above(row.reference("parent")).find_map(|id| {
            let row = self.get(id)?;
            is_a(row, kind).then_some(row)
        })
    }

    /// What a word may mean among the objects of a type.
    pub fn candidates(&self, kind: &'static str) -> Vec<Candidate<'_>> {
        self.of(kind).map(|row| Candidate::new(row, self.path(row))).collect()
    }
}

/// Of the type itself or of a more special one, such as a port group among networks.
pub fn is_a(row: &Row, kind: &str) -> bool {
    matches!((Type::find(&row.at.kind), Type::find(kind)), (Some(it), Some(base)) if it.is_a(base))
}

/// An object's name as a person writes it.
pub fn name(row: &Row) -> String {
    unescaped(row.text("name").unwrap_or(&row.at.id))
}

/// The value at a path, also within a property that was read as a whole.
pub fn deep<'a>(row: &'a Row, path: &str) -> Option<&'a Value> {
    row.get(path).or_else(|| {
        path.match_indices('.')
            .find_map(|(at, _)| row.get(path.get(..at)?)?.get(path.get(at + 1..)?))
    })
}

/// An object that a word may mean.
pub struct Candidate<'a> {
    pub row: &'a Row,
    pub path: String,
    name: String,
    by_name: bool,
    /// Another word for it, such as its cluster for a root pool.
    also: Option<String>,
}

impl<'a> Candidate<'a> {
    /// By its own name, id and path.
    pub fn new(row: &'a Row, path: String) -> Candidate<'a> {
        Candidate { row, path, name: name(row), by_name: true, also: None }
    }

    /// The same, meant by its name or, where there is a nearer one, only by its path.
    pub fn named(mut self, by_name: bool) -> Candidate<'a> {
        self.by_name = by_name;
        self
    }

    /// The same, meant by another word too.
    pub fn also(mut self, word: Option<String>) -> Candidate<'a> {
        self.also = word;
        self
    }
}

/// The one that `wanted` means: by name, id or path, or by one of them as its prefix says. `what`
/// is the word for the error, `list` the tool that shows them all.
pub fn choose<'a, 'b>(
    all: &'b [Candidate<'a>],
    what: &str,
    list: &str,
    wanted: &str,
) -> Result<&'b Candidate<'a>> {
    let (by, word) = match wanted.split_once(':') {
        Some((by @ ("moid" | "path"), word)) => (by, word),
        _ => ("", wanted),
    };
    let path = word.trim_matches('/');
    let meant = |it: &&Candidate<'_>| match by {
        "moid" => it.row.at.id == word,
        "path" => it.path == path,
        _ => {
            (it.by_name && it.name == word)
                || it.row.at.id == word
                || it.path == path
                || it.also.as_deref() == Some(path)
        }
    };
    let hits: Vec<&Candidate<'_>> = all.iter().filter(meant).collect();
    let shown = quoted(word);
    match hits[..] {
        [one] => Ok(one),
        [] => {
            let error = Error::new(Kind::NotFound, format!("no {what} `{shown}`"));
            let see = format!("{list} shows what there is");
            Err(match nearest(word, all.iter().map(|it| it.name.as_str())) {
                Some(near) => error.hint(format!("Did you mean `{near}`? {see}")),
                None => error.hint(see),
            })
        }
        _ => {
            let hits = hits.iter().take(20);
            let shown_hits: Vec<String> =
                hits.map(|it| format!("`moid:{}` ({})", it.row.at.id, it.path)).collect();
            Err(Error::new(Kind::Conflict, format!("`{shown}` means more than one {what}"))
                .hint(format!("Pass one of these: {}", shown_hits.join(", "))))
        }
    }
}

/// Twenty names in backticks, and how many more there are.
pub fn some_names(names: &[String], total: usize) -> String {
    let mut shown: Vec<String> = names.iter().take(20).map(|it| format!("`{it}`")).collect();
    let more = total.saturating_sub(shown.len());
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// The names of these objects, which must be entities; two hundred at most are asked for.
pub fn names_of(it: &Vsphere, call: &Call, objects: &[Ref]) -> Result<Vec<String>> {
    let some = objects.get(..200).unwrap_or(objects);
    let select = Select { kind: "ManagedEntity", paths: &["name"] };
    Ok(props::of(&it.session, call, some, &[select])?.iter().map(name).collect())
}

/// The references of a list.
pub fn references(values: &[Value]) -> Vec<Ref> {
    values.iter().filter_map(Value::as_reference).cloned().collect()
}

impl Vsphere {
    /// Refuses a standalone ESXi: what it lacks, and what to use instead.
    pub fn needs_vcenter(&self, call: &Call, lacks: &str, instead: &str) -> Result<()> {
        if self.session.live(call)?.is_vcenter() {
            return Ok(());
        }
        Err(Error::new(Kind::Unsupported, format!("a standalone ESXi {lacks}"))
            .hint(format!("This needs vCenter; {instead}")))
    }
}
