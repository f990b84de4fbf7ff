//! The whole vSphere API by its schema: find, describe, read and call what no other tool knows.
//!
//! Descriptions come from the packed schema; nothing is written here for any method. Surprising:
//! `call_api` is open to everybody for methods on the reviewed list of reads, and asks for an
//! admin within for all others.

mod call;
mod describe;
mod object;
mod search;

use crate::change;
use crate::text::json;
use crate::text::json::Value as Json;
use crate::tools::vm::OFFSET;
use crate::tools::{Effect, Level, Run, Tool};
use crate::vim::table::{Field, Type};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "search_api",
        title: "Search the vSphere API",
        about: "Methods, types and properties whose names have the words of the query, or most of them. Start here when no other tool does it.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[search::QUERY, search::KIND, search::LIMIT, OFFSET],
        run: Run::Read(search::run),
    },
    Tool {
        name: "describe_api",
        title: "Describe a part of the vSphere API",
        about: "Arguments of a method, or fields of a type, as JSON Schema, one level deep; ask again for the types that it names.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[describe::NAME],
        run: Run::Read(describe::run),
    },
    Tool {
        name: "get_object",
        title: "Read a managed object",
        about: "Any property of any managed object, as JSON. Without `properties` it says which there are.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[object::TYPE, object::ID, object::PATH, object::PROPERTIES],
        run: Run::Read(object::run),
    },
    Tool {
        name: "call_api",
        title: "Call a vSphere method",
        about: "Call any method of the API; tasks are waited for. What only reads is open to all, the rest to admins; dry_run checks everything.",
        level: Level::Read,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[call::OBJECT, call::METHOD, call::ARGUMENTS],
        run: change!(call::plan, call::act),
    },
];

/// Bytes of JSON of one answer, which stands in its text and in its structured content.
const ROOM: usize = 24_000;

/// The type of a field as a person writes it: `HostSystem[]`.
fn type_of(field: &Field) -> String {
    typed(field.ty, field.array)
}

fn typed(ty: Type, array: bool) -> String {
    format!("{}{}", ty.name(), if array { "[]" } else { "" })
}

/// A name with the mark of what may be left out: `host?: HostSystem`.
fn declared(field: &Field) -> String {
    let mark = if field.optional { "?" } else { "" };
    format!("{}{mark}: {}", field.name, type_of(field))
}

/// As much of a value as has room, and what of it was left out.
fn fitted(value: Json, room: usize) -> (Json, Option<String>) {
    let size = json::write(&value).len();
    match value {
        whole if size <= room => (whole, None),
        Json::Array(items) => {
            let (all, mut left, mut kept) = (items.len(), room, json::Array::new());
            for item in items {
                let size = json::write(&item).len() + 1;
                if size > left {
                    break;
                }
                left -= size;
                kept.push(item);
            }
            let note = format!("the first {} of {all} items", kept.len());
            (Json::Array(kept), Some(note))
        }
        Json::Object(mut members) => {
            let (mut size, mut lost) = (size, Vec::new());
            while size > room {
                let bytes = |value: &Json| json::write(value).len();
                let largest = members.iter().max_by_key(|(_, value)| bytes(value));
                let Some(name) = largest.map(|(name, _)| name.clone()) else { break };
                let gone = members.remove(&name).map_or(0, |value| bytes(&value));
                size -= gone.min(size);
                lost.push(name);
            }
            (Json::Object(members), Some(format!("all but {}", lost.join(", "))))
        }
        text => (Json::Null, Some(format!("nothing of {size} bytes ({})", json::sort(&text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_told() {
        let parse = |text: &str| json::parse(text).unwrap();
        let cut = |text: &str, room: usize| {
            let (value, note) = fitted(parse(text), room);
            (json::write(&value), note.unwrap_or_default())
        };
        assert_eq!(cut("[1,2,3]", 100), ("[1,2,3]".into(), String::new()));
        assert_eq!(
            cut("[1111,2222,3333]", 10),
            ("[1111,2222]".into(), "the first 2 of 3 items".into())
        );
        let object = r#"{"a":1,"b":"xxxxxxxxxxxxxxxxxxxx","c":[1,2,3,4,5,6]}"#;
        assert_eq!(cut(object, 20), (r#"{"a":1}"#.into(), "all but b, c".into()));
        assert_eq!(cut(r#""xxxxxxxxxxxx""#, 5).0, "null");
    }
}
