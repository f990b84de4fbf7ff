//! Tags of machines, which a vCenter serves over REST only.
//!
//! Surprising: a list is ids and nothing else, so each name costs a request of its own. They go
//! side by side, and there is a bound to how many tags are looked at. A name is unique within its
//! category only.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::hv::prepared::Prepared;
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::text::nearest::nearest;
use crate::text::order;
use crate::threads::side_by_side;
use crate::vsphere::Vsphere;
use crate::vsphere::rest::Ask;
use crate::vsphere::session::Session;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// Tags, or categories, that one call looks at.
const MOST: usize = 2_000;

/// A tag with what counts of its category.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    pub id: String,
    pub name: String,
    pub description: String,
    pub category: String,
    pub category_id: String,
    /// A machine may have one tag of the category only.
    pub single: bool,
    /// What the category's tags are for; empty for everything.
    pub types: Vec<String>,
}

impl Tag {
    fn is_for_machines(&self) -> bool {
        self.types.is_empty() || self.types.iter().any(|it| it.ends_with("VirtualMachine"))
    }

    fn told(&self) -> String {
        format!("`{}` of category `{}`", self.name, self.category)
    }
}

impl Vsphere {
    /// Every tag, or those of a category, by category and name.
    pub fn tags(&self, call: &Call, category: Option<&str>) -> Result<Vec<Tag>> {
        self.needs_tags(call)?;
        let session = &self.session;
        let ids = list(session, call, &ask("category", None, ""))?;
        let mut categories = fetch(session, call, "category", &ids)?;
        if let Some(wanted) = category {
            let names: Vec<String> = categories.iter().map(|it| text(it, "name")).collect();
            categories.retain(|it| text(it, "name") == wanted || text(it, "id") == wanted);
            if categories.is_empty() {
                return Err(missing("category", wanted, &names));
            }
        }
        let ids = match (category, &categories[..]) {
            (Some(_), [one]) => {
                let id = text(one, "id");
                list(session, call, &ask("tag", Some(&id), "list-tags-for-category"))?
            }
            _ => list(session, call, &ask("tag", None, ""))?,
        };
        let tags = fetch(session, call, "tag", &ids)?;
        Ok(joined(&tags, &categories))
    }

    /// The tags of a machine, by category and name.
    pub fn tags_of(&self, call: &Call, at: &MachineRef) -> Result<Vec<Tag>> {
        self.needs_tags(call)?;
        let body = json::object([("object_id", object_id(at))]);
        let action = "list-attached-tags";
        let asked = Ask { part: "tag-association", id: None, action, body };
        let tags = fetch(&self.session, call, "tag", &list(&self.session, call, &asked)?)?;
        let ids: Vec<String> = tags.iter().map(|it| text(it, "category_id")).collect();
        let ids = order::unique(ids);
        Ok(joined(&tags, &fetch(&self.session, call, "category", &ids)?))
    }

    /// Prepares to put a tag on a machine.
    pub fn apply_tag<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        tag: &str,
        category: Option<&str>,
    ) -> Result<Prepared<'a>> {
        self.needs_tags(call)?;
        let at = self.locate(call, machine)?;
        let own = self.tags_of(call, &at)?;
        let tag = choose(self.tags(call, category)?, tag).map_err(|it| within(it, category))?;
        if own.iter().any(|it| it.id == tag.id) {
            return Ok(Prepared::already(format!("already has {}", tag.told())));
        }
        if !tag.is_for_machines() {
            let said = format!("the category `{}` is not for VMs", tag.category);
            return Err(Error::new(Kind::Conflict, said)
                .hint(format!("Its tags are for: {}", tag.types.join(", "))));
        }
        if let Some(other) = own.iter().find(|it| tag.single && it.category_id == tag.category_id) {
            let said = format!(
                "`{}` has `{}` of category `{}`, which allows one tag on a VM",
                at.name, other.name, other.category
            );
            let hint = format!("Take `{}` off first with remove_tag_from_vm", other.name);
            return Err(Error::new(Kind::Conflict, said).hint(hint));
        }
        let step = format!("`{}` ({}) gets the tag {}", at.name, at.id, tag.told());
        Ok(self.associated(at, tag, "attach", step))
    }

    /// Prepares to take a tag off a machine.
    pub fn remove_tag<'a>(
        &'a self,
        call: &Call,
        machine: &str,
        tag: &str,
        category: Option<&str>,
    ) -> Result<Prepared<'a>> {
        self.needs_tags(call)?;
        let at = self.locate(call, machine)?;
        let mut own = self.tags_of(call, &at)?;
        own.retain(|it| category.is_none_or(|one| it.category == one || it.category_id == one));
        let tag = match choose(own, tag) {
            // Whether there is such a tag at all tells a wrong name from a state that holds.
            Err(error) if error.kind() == Kind::NotFound => {
                let tags = self.tags(call, category)?;
                if !tags.iter().any(|it| it.id == tag || it.name == tag) {
                    choose(tags, tag).map_err(|it| within(it, category))?;
                }
                return Ok(Prepared::already(format!("already without the tag `{tag}`")));
            }
            chosen => chosen?,
        };
        let step = format!("`{}` ({}) loses the tag {}", at.name, at.id, tag.told());
        Ok(self.associated(at, tag, "detach", step))
    }

    fn associated(
        &self,
        at: MachineRef,
        tag: Tag,
        action: &'static str,
        step: String,
    ) -> Prepared<'_> {
        let seen = format!("{} {} {action}", at.id, tag.id);
        Prepared::new(vec![step], seen, move |call| {
            let body = json::object([("object_id", object_id(&at))]);
            let asked = Ask { part: "tag-association", id: Some(&tag.id), action, body };
            self.session.rest(call, &asked)?;
            Ok(vec![match action {
                "attach" => format!("has {} now", tag.told()),
                _ => format!("{} taken off", tag.told()),
            }])
        })
    }

    /// Refuses a server that has no tags.
    pub fn needs_tags(&self, call: &Call) -> Result<()> {
        self.needs_vcenter(
            call,
            "has no tags",
            "on an ESXi, reconfigure_vm can keep a word in the annotation",
        )
    }
}

fn ask<'a>(part: &'static str, id: Option<&'a str>, action: &'static str) -> Ask<'a> {
    Ask { part, id, action, body: Object::new() }
}

fn object_id(at: &MachineRef) -> Value {
    Value::Object(json::object([
        ("type", json::text("VirtualMachine")),
        ("id", json::text(at.id.as_str())),
    ]))
}

fn text(of: &Object, name: &str) -> String {
    json::get_text(of, name).unwrap_or_default().to_owned()
}

fn texts(of: &Object, name: &str) -> Vec<String> {
    match of.get(name) {
        Some(Value::Array(all)) => all.iter().filter_map(string).collect(),
        _ => Vec::new(),
    }
}

fn string(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// The ids of a list.
fn list(session: &Arc<Session>, call: &Call, asked: &Ask<'_>) -> Result<Vec<String>> {
    match session.rest(call, asked)? {
        Value::Array(all) => Ok(all.iter().filter_map(string).collect()),
        Value::Null => Ok(Vec::new()),
        other => {
            let said = format!("the server gave {} instead of ids", json::sort(&other));
            Err(Error::new(Kind::Remote, said))
        }
    }
}

/// The objects of these ids, side by side; one that is gone meanwhile is left out.
fn fetch(
    session: &Arc<Session>,
    call: &Call,
    part: &'static str,
    ids: &[String],
) -> Result<Vec<Object>> {
    if ids.len() > MOST {
        let said = format!("there are {} of `{part}`, and {MOST} are looked at", ids.len());
        return Err(Error::new(Kind::Conflict, said).hint("Pass `category` to look at fewer"));
    }
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Mutex<Vec<(usize, Result<Value>)>> = Mutex::default();
    let work = |_: usize| {
        while !failed.load(Ordering::SeqCst) {
            let at = next.fetch_add(1, Ordering::SeqCst);
            let Some(id) = ids.get(at) else { return };
            let result = session.rest(call, &ask(part, Some(id), ""));
            let gone = result.as_ref().is_err_and(|it| it.kind() == Kind::NotFound);
            if gone {
                continue;
            }
            failed.fetch_or(result.is_err(), Ordering::SeqCst);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    match ids.len() {
        0..=1 => work(0),
        count => side_by_side(AT_ONCE.min(count), &work),
    }
    let mut found = Vec::new();
    for (_, result) in
        order::by_number(results.into_inner().unwrap_or_else(PoisonError::into_inner), &|it| {
            i64::try_from(it.0).unwrap_or(i64::MAX)
        })
    {
        if let Value::Object(object) = result? {
            found.push(object);
        }
    }
    Ok(found)
}

/// Tags with their categories, by category and name; those of other categories are left out.
fn joined(tags: &[Object], categories: &[Object]) -> Vec<Tag> {
    let tag = |it: &Object| {
        let id = text(it, "category_id");
        let category = categories.iter().find(|it| text(it, "id") == id)?;
        Some(Tag {
            id: text(it, "id"),
            name: text(it, "name"),
            description: text(it, "description"),
            category: text(category, "name"),
            category_id: id,
            single: json::get_text(category, "cardinality") == Some("SINGLE"),
            types: texts(category, "associable_types"),
        })
    };
    let tags: Vec<Tag> = tags.iter().filter_map(tag).collect();
    order::by_key(tags, |it| format!("{}\0{}", it.category, it.name))
}

/// The one tag that a word means: an id or a name.
fn choose(tags: Vec<Tag>, wanted: &str) -> Result<Tag> {
    let names: Vec<String> = tags.iter().map(|it| it.name.clone()).collect();
    let mut hits: Vec<Tag> =
        tags.into_iter().filter(|it| it.id == wanted || it.name == wanted).collect();
    match (hits.pop(), &hits[..]) {
        (Some(one), []) => Ok(one),
        (None, _) => Err(missing("tag", wanted, &names)),
        (Some(last), others) => {
            let all = others.iter().chain([&last]).take(20);
            let shown: Vec<String> = all.map(|it| format!("`{}`", it.category)).collect();
            let said = format!("a tag `{}` is in more than one category", quoted(wanted));
            Err(Error::new(Kind::Conflict, said)
                .hint(format!("Pass `category`, one of: {}", shown.join(", "))))
        }
    }
}

/// The error with the category that was looked through.
fn within(error: Error, category: Option<&str>) -> Error {
    match category {
        Some(category) => error.during(format!("category `{}`", quoted(category))),
        None => error,
    }
}

fn missing(what: &str, wanted: &str, names: &[String]) -> Error {
    let wanted = quoted(wanted);
    let error = Error::new(Kind::NotFound, format!("no {what} `{wanted}`"));
    match nearest(&wanted, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("Did you mean `{near}`? list_tags shows them all")),
        None => error.hint("list_tags shows what there is, with the categories"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Object {
        match json::parse(text) {
            Ok(Value::Object(object)) => object,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn a_name_means_one_tag_or_the_error_names_the_categories() {
        let categories = [
            parsed(
                r#"{"id":"c1","name":"Env","cardinality":"SINGLE","associable_types":["VirtualMachine"]}"#,
            ),
            parsed(
                r#"{"id":"c2","name":"Old","cardinality":"MULTIPLE","associable_types":["HostSystem",7]}"#,
            ),
        ];
        let tags = [
            parsed(r#"{"id":"t1","name":"lab","category_id":"c2"}"#),
            parsed(r#"{"id":"t2","name":"lab","category_id":"c1","description":null}"#),
            parsed(r#"{"id":"t3","name":"prod","category_id":"c1"}"#),
            parsed(r#"{"id":"t4","name":"astray","category_id":"c9"}"#),
            parsed("{}"),
        ];
        let all = joined(&tags, &categories);
        let ids: Vec<&str> = all.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["t2", "t3", "t1"]);
        assert!(all[0].single && all[0].is_for_machines() && !all[2].is_for_machines());
        assert_eq!(choose(all.clone(), "prod").unwrap().id, "t3");
        assert_eq!(choose(all.clone(), "t1").unwrap().id, "t1");
        assert_eq!(
            choose(all.clone(), "lab").unwrap_err().to_string(),
            "a tag `lab` is in more than one category. Pass `category`, one of: `Env`, `Old`"
        );
        assert!(choose(all, "pord").unwrap_err().to_string().contains("Did you mean `prod`?"));
    }
}
