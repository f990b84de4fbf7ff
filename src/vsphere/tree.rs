//! Inventory paths out of names and parents, as read in the same query as the objects themselves.
//!
//! `DC0/vm/prod/web01`: without the root folder, and with `/` inside a name left escaped as
//! `%2f`, so that a path can be read back.

use std::collections::HashMap;

use crate::vim::value::Ref;
use crate::vsphere::props::{Row, Select};

/// The types that stand between a machine and the root.
pub const PLACES: &[Select<'static>] = &[
    Select { kind: "Folder", paths: &["name", "parent"] },
    Select { kind: "Datacenter", paths: &["name", "parent"] },
];

/// Deepest inventory that is followed; a loop ends here too.
const DEEPEST: usize = 64;

/// Names and parents of all places, by id.
#[derive(Default)]
pub struct Tree(HashMap<String, (String, Option<String>)>);

impl Tree {
    /// Remembers a place.
    pub fn add(&mut self, row: &Row) {
        let parent = row.reference("parent").map(|it| it.id.clone());
        let name = row.text("name").unwrap_or("?").to_owned();
        self.0.insert(row.at.id.clone(), (name, parent));
    }

    /// The ids from an object's parent up to the root.
    pub fn above<'a>(&'a self, parent: Option<&'a Ref>) -> impl Iterator<Item = &'a str> {
        let first = parent.map(|it| it.id.as_str());
        std::iter::successors(first, |id| self.0.get(*id).and_then(|it| it.1.as_deref()))
            .take(DEEPEST)
    }

    /// The path of a place.
    pub fn place(&self, id: &str) -> Option<String> {
        let (name, parent) = self.0.get(id)?;
        let parent = parent.as_ref().map(|id| Ref::new("Folder", id.as_str()));
        Some(self.path(name, parent.as_ref()))
    }

    /// The path of an object of this name below this parent.
    pub fn path(&self, name: &str, parent: Option<&Ref>) -> String {
        let names = self.above(parent).filter_map(|id| self.0.get(id)).map(|it| it.0.as_str());
        let mut parts: Vec<&str> = std::iter::once(name).chain(names).collect();
        parts.reverse();
        parts.join("/")
    }
}

/// A name as a person writes it: the server escapes `/`, `\` and `%`.
pub fn unescaped(name: &str) -> String {
    let mut out = name.to_owned();
    for (escape, plain) in [("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%5C", "\\"), ("%25", "%")]
    {
        out = out.replace(escape, plain);
    }
    out
}

/// A name as the server wants it.
pub fn escaped(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in ["a/b", "50%", "a\\b", "plain", "%2f"] {
            assert_eq!(unescaped(&escaped(name)), name);
        }
    }
}
