//! Tags of a vCenter: categories, tags, and what they are attached to.
//!
//! Only the REST interface (`crate::sim::rest`) knows them; nothing here knows HTTP but for the
//! status that a refusal has. Surprising: an object that is gone keeps its tags, unseen.

use std::collections::BTreeSet;

use crate::sim::world::World;
use crate::text::json;
use crate::text::json::{Object, Value};

/// Categories and tags that there may be, and ten times as many attachments.
const MOST: usize = 10_000;

/// A category or a tag.
#[derive(Clone, Debug)]
struct Entry {
    id: String,
    name: String,
    description: String,
    /// Of a tag its category; of a category empty.
    category: String,
    /// A category of which an object takes but one tag.
    single: bool,
    /// The types that a category's tags are for; empty for all.
    types: Vec<String>,
}

/// All categories, tags and what they are attached to.
#[derive(Clone, Debug, Default)]
pub struct Tags {
    entries: Vec<Entry>,
    /// Tag and object.
    attached: BTreeSet<(String, String)>,
}

/// A refusal: its status, the word for it, and a sentence.
pub type Refusal = (u16, &'static str, String);
/// What an operation answers.
pub type Result<T> = std::result::Result<T, Refusal>;

/// The request is wrong.
pub fn invalid(text: impl Into<String>) -> Refusal {
    (400, "invalid_argument", text.into())
}

/// Something is not there.
pub fn missing(id: &str) -> Refusal {
    (404, "not_found", format!("The object {id} was not found."))
}

/// What a request says.
pub struct Asked<'a> {
    /// `category`, `tag`, `tag-association`.
    pub part: &'a str,
    /// Of a category or a tag; empty for all of them.
    pub id: String,
    /// `attach`; empty for the plain one of the method.
    pub action: String,
    /// `GET`, `POST` ...
    pub method: &'a str,
    /// Its JSON.
    pub body: Object,
}

impl Tags {
    fn entry(&self, id: &str, tag: bool) -> Result<&Entry> {
        let found = self.entries.iter().find(|it| it.id == id && it.category.is_empty() != tag);
        found.ok_or_else(|| missing(id))
    }

    fn ids(&self, of: &dyn Fn(&Entry) -> bool) -> Value {
        Value::Array(
            self.entries.iter().filter(|it| of(it)).map(|it| json::text(&*it.id)).collect(),
        )
    }

    fn tags_of(&self, object: &str) -> Value {
        let own = self.attached.iter().filter(|it| it.1 == object);
        Value::Array(own.map(|it| json::text(&*it.0)).collect())
    }

    fn add(&mut self, number: u64, entry: Entry) -> String {
        let word = if entry.category.is_empty() { "Category" } else { "Tag" };
        let id = format!(
            "urn:vmomi:InventoryService{word}:5d3e{number:04x}-8a1b-4c2d-9e3f-{number:012x}:GLOBAL"
        );
        self.entries.push(Entry { id: id.clone(), ..entry });
        id
    }
}

impl Entry {
    fn shown(&self) -> Value {
        let mut object = json::object([
            ("id", json::text(&*self.id)),
            ("name", json::text(&*self.name)),
            ("description", json::text(&*self.description)),
            ("used_by", Value::Array(json::Array::new())),
        ]);
        if self.category.is_empty() {
            let single = if self.single { "SINGLE" } else { "MULTIPLE" };
            object.insert("cardinality".to_owned(), json::text(single));
            object.insert("associable_types".to_owned(), json::texts(&self.types));
        } else {
            object.insert("category_id".to_owned(), json::text(&*self.category));
        }
        Value::Object(object)
    }
}

/// Categories, tags, and what they mark at the start.
pub fn seed(world: &mut World) {
    let mut add = |name: &str, description: &str, category: &str, single: bool| {
        let number = world.number();
        let types = vec!["VirtualMachine".to_owned()];
        let [name, description, category] = [name, description, category].map(str::to_owned);
        let entry = Entry { id: String::new(), name, description, category, single, types };
        world.tags.add(number, entry)
    };
    let environment = add("Environment", "Where it belongs", "", true);
    let backup = add("Backup", "", "", false);
    let production = add("Production", "", &environment, false);
    let lab = add("Lab", "", &environment, false);
    let daily = add("daily", "Every night at 1:00", &backup, false);
    for machine in world.machines.values() {
        let tags: &[&String] = match &*machine.parent {
            "group-v30" if machine.name == "db01" => &[&production, &daily],
            "group-v30" => &[&production],
            "group-v31" => &[&lab],
            _ => &[],
        };
        let own = tags.iter().map(|it| ((*it).clone(), machine.id.clone()));
        world.tags.attached.extend(own);
    }
}

/// Categories and tags: the status of a success, and what is answered.
pub fn kept(world: &mut World, asked: &Asked) -> Result<(u16, Option<Value>)> {
    let tag = asked.part == "tag";
    if asked.action == "list-tags-for-category" {
        let named = json::get_text(&asked.body, "category_id").unwrap_or(&asked.id);
        let category = world.tags.entry(named, false)?.id.clone();
        return Ok((200, Some(world.tags.ids(&|it| it.category == category))));
    }
    match (asked.method, &*asked.id) {
        ("GET", "") => Ok((200, Some(world.tags.ids(&|it| it.category.is_empty() != tag)))),
        ("GET", id) => Ok((200, Some(world.tags.entry(id, tag)?.shown()))),
        _ => Err((405, "operation_not_found", "There is no such operation.".to_owned())),
    }
}

/// The object that a body names: type and id.
fn object(world: &World, value: Option<&Value>) -> Result<(String, String)> {
    let Some(Value::Object(named)) = value else { return Err(invalid("object_id is missing.")) };
    let id = json::get_text(named, "id").unwrap_or_default();
    let kind = world.kind_of(id).ok_or_else(|| missing(id))?;
    Ok((kind.to_owned(), id.to_owned()))
}

fn attach(world: &mut World, tag: &str, (kind, id): &(String, String)) -> Result<()> {
    let category = world.tags.entry(tag, true)?.category.clone();
    let category = world.tags.entry(&category, false)?;
    if !category.types.is_empty() && !category.types.iter().any(|it| it == kind) {
        return Err(invalid(format!("The tag is not for objects of type {kind}.")));
    }
    let other = |it: &(String, String)| {
        it.1 == *id
            && it.0 != tag
            && world.tags.entry(&it.0, true).is_ok_and(|it| it.category == category.id)
    };
    if category.single && world.tags.attached.iter().any(other) {
        return Err(invalid("The category allows one tag of it on an object."));
    }
    if world.tags.attached.len() >= MOST * 10 {
        return Err(invalid("There are too many attachments."));
    }
    world.tags.attached.insert((tag.to_owned(), id.clone()));
    Ok(())
}

/// The objects that a tag is attached to and that are still there.
fn objects(world: &World, tag: &str) -> Result<Value> {
    world.tags.entry(tag, true)?;
    let own = world.tags.attached.iter().filter(|it| it.0 == tag);
    let shown = own.filter_map(|(_, id)| {
        let kind = world.kind_of(id)?;
        Some(Value::Object(json::object([("type", json::text(kind)), ("id", json::text(&**id))])))
    });
    Ok(Value::Array(shown.collect()))
}

/// What is attached to what.
pub fn associated(world: &mut World, asked: &Asked) -> Result<(u16, Option<Value>)> {
    let body = &asked.body;
    let one = || object(world, body.get("object_id"));
    Ok(match &*asked.action {
        "attach" => {
            let object = one()?;
            attach(world, &asked.id, &object)?;
            (204, None)
        }
        "detach" => {
            let (_, id) = one()?;
            world.tags.entry(&asked.id, true)?;
            world.tags.attached.remove(&(asked.id.clone(), id));
            (204, None)
        }
        "list-attached-tags" => (200, Some(world.tags.tags_of(&one()?.1))),
        "list-attached-objects" => (200, Some(objects(world, &asked.id)?)),
        "list-attached-tags-on-objects" => {
            let mut rows = json::Array::new();
            if let Some(Value::Array(all)) = body.get("object_ids") {
                for it in all {
                    let (kind, id) = object(world, Some(it))?;
                    let tags = world.tags.tags_of(&id);
                    let object = json::object([("type", json::text(kind)), ("id", json::text(id))]);
                    rows.push(Value::Object(json::object([
                        ("object_id", Value::Object(object)),
                        ("tag_ids", tags),
                    ])));
                }
            }
            (200, Some(Value::Array(rows)))
        }
        _ => return Err(missing(&asked.action)),
    })
}
