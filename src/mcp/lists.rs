//! The listings, page by page: tools, resources, their templates, prompts; and one prompt's text.
//!
//! All are made from the rows of `tools`, asking the same offer as a call does. Surprising: a
//! cursor holds the name of its list, so that one of another list is refused, not misread.

use crate::mcp::body::Body;
use crate::mcp::rpc::Failure;
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::text::nearest::nearest;
use crate::tools::offer::Offer;
use crate::tools::prompts;
use crate::tools::prompts::Prompt;
use crate::tools::resources;
use crate::tools::resources::{Resource, Template};
use crate::tools::schema;

/// A page of the offered tools.
pub fn tools(offer: &Offer, params: &Object, size: usize) -> Result<Body, Failure> {
    page(
        "tools",
        offer.list().map(|it| schema::offered(it, offer.is_read_only())).collect(),
        params,
        size,
    )
}

/// A page of the default server's resources, if that is the caller's to see.
pub fn resources(seen: bool, params: &Object, size: usize) -> Result<Body, Failure> {
    let entry = |it: &Resource| {
        described(Body::new().text("uri", &resources::uri(it)), it.path, it.title, it.about)
    };
    page(
        "resources",
        resources::RESOURCES.iter().filter(|_| seen).map(entry).collect(),
        params,
        size,
    )
}

/// A page of the templates: what a named server has, folders of datastores, consoles.
pub fn templates(offer: &Offer, params: &Object, size: usize) -> Result<Body, Failure> {
    let entry = |it: &Template| {
        described(Body::new().text("uriTemplate", &it.uri), it.name, it.title, it.about)
    };
    page("resourceTemplates", resources::offered(offer).iter().map(entry).collect(), params, size)
}

fn described(head: Body, name: &str, title: &str, about: &str) -> String {
    head.text("name", name)
        .text("title", title)
        .text("description", about)
        .text("mimeType", "application/json")
        .json()
}

/// A page of the offered prompts.
pub fn prompts(offer: &Offer, params: &Object, size: usize) -> Result<Body, Failure> {
    page("prompts", prompts::offered(offer).map(prompt).collect(), params, size)
}

fn prompt(prompt: &Prompt) -> String {
    let args: Vec<String> = prompt
        .args
        .iter()
        .map(|arg| {
            let it = Body::new().text("name", arg.name).text("description", arg.about);
            it.flag("required", arg.required).json()
        })
        .collect();
    Body::new()
        .text("name", prompt.name)
        .text("title", prompt.title)
        .text("description", prompt.about)
        .array("arguments", &args)
        .json()
}

/// The text of the prompt that the parameters name.
pub fn filled(offer: &Offer, params: &Object) -> Result<Body, Failure> {
    let prompt = prompt_named(offer, named(params, "name")?)?;
    let text = prompts::fill(prompt, &object(params, "arguments")?)
        .map_err(|error| Failure::params(error.during(prompt.name).to_string()))?;
    let content = Body::new().text("type", "text").text("text", &text);
    let message = Body::new().text("role", "user").object("content", content);
    Ok(Body::new().text("description", prompt.about).array("messages", &[message.json()]))
}

/// The offered prompt of this name.
pub fn prompt_named(offer: &Offer, name: &str) -> Result<&'static Prompt, Failure> {
    prompts::offered(offer).find(|it| it.name == name).ok_or_else(|| {
        let said = format!("no prompt is called `{}`", crate::error::quoted(name));
        let names: Vec<&str> = prompts::offered(offer).map(|it| it.name).collect();
        Failure::params(match nearest(name, names.iter().copied()) {
            Some(near) => format!("{said}. Did you mean `{near}`?"),
            None => format!("{said}. Known: {}", names.join(", ")),
        })
    })
}

/// A text that the parameters must have.
pub fn named<'a>(params: &'a Object, name: &str) -> Result<&'a str, Failure> {
    match params.get(name) {
        Some(Value::String(text)) => Ok(text),
        None => Err(Failure::params(format!("`{name}` is missing"))),
        Some(other) => {
            Err(Failure::params(format!("`{name}` must be a string, not {}", json::sort(other))))
        }
    }
}

/// An object that the parameters may have; empty where it is left out or null.
pub fn object(params: &Object, name: &str) -> Result<Object, Failure> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(Object::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(other) => {
            Err(Failure::params(format!("`{name}` must be an object, not {}", json::sort(other))))
        }
    }
}

fn page(list: &str, items: Vec<String>, params: &Object, size: usize) -> Result<Body, Failure> {
    let start = start(list, items.len(), params)?;
    let end = items.len().min(start.saturating_add(size.max(1)));
    let body = Body::new().array(list, items.get(start..end).unwrap_or_default());
    Ok(match end < items.len() {
        true => body.text("nextCursor", &base64::encode(format!("{list} {end}").as_bytes())),
        false => body,
    })
}

/// Where the page of this cursor starts; the empty cursor is the first page.
fn start(list: &str, total: usize, params: &Object) -> Result<usize, Failure> {
    let cursor = match params.get("cursor") {
        None | Some(Value::Null) => return Ok(0),
        Some(Value::String(cursor)) if cursor.is_empty() => return Ok(0),
        Some(Value::String(cursor)) => cursor,
        Some(other) => {
            return Err(Failure::params(format!(
                "`cursor` must be a string, not {}",
                json::sort(other)
            )));
        }
    };
    let text = base64::decode(cursor).and_then(|bytes| String::from_utf8(bytes).ok());
    let start = text
        .as_deref()
        .and_then(|text| text.strip_prefix(list)?.strip_prefix(' ')?.parse::<usize>().ok())
        .filter(|start| (1..total).contains(start));
    start.ok_or_else(|| {
        Failure::params("`cursor` is not one of this list; leave it out to start at the beginning")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(size: usize) -> Vec<String> {
        let (mut names, mut params) = (Vec::new(), Object::new());
        loop {
            let text = resources(true, &params, size).unwrap().json();
            let Ok(Value::Object(page)) = json::parse(&text) else { panic!("{text}") };
            let Some(Value::Array(items)) = page.get("resources") else { panic!("{text}") };
            assert!(items.len() <= size);
            for item in items {
                let Value::Object(item) = item else { panic!("{text}") };
                names.push(json::get_text(item, "name").unwrap().to_owned());
            }
            match json::get_text(&page, "nextCursor") {
                Some(next) => params = json::object([("cursor", json::text(next))]),
                None => return names,
            }
        }
    }

    #[test]
    fn pages_add_up_to_the_list() {
        let all = walk(100);
        assert_eq!(all.len(), resources::RESOURCES.len());
        for size in [1, 2, 4, all.len()] {
            assert_eq!(walk(size), all);
        }
    }

    #[test]
    fn a_cursor_is_ours_and_of_this_list_or_refused() {
        let with = |cursor: Value| {
            resources(true, &json::object([("cursor", cursor)]), 2).map(|it| it.json())
        };
        let first = with(json::text("")).unwrap();
        assert_eq!(first, resources(true, &Object::new(), 2).unwrap().json());
        let forged = |text: &str| json::text(base64::encode(text.as_bytes()));
        for bad in [
            json::text("nonsense!"),
            json::int(2),
            forged("tools 2"),
            forged("resources 0"),
            forged("resources 99999"),
            forged("resources 99999999999999999999999"),
            forged("resources -2"),
        ] {
            assert_eq!(with(bad).unwrap_err().code, -32602);
        }
        assert!(with(forged("resources 2")).is_ok());
    }

    #[test]
    fn a_prompt_is_filled_or_its_fault_is_named() {
        let offer = Offer::everything();
        let get = |text: &str| match json::parse(text) {
            Ok(Value::Object(params)) => filled(&offer, &params).map(|it| it.json()),
            _ => panic!("{text}"),
        };
        let text = get(r#"{"name":"diagnose_vm","arguments":{"vm":"web"}}"#).unwrap();
        assert!(text.contains(r#""messages":[{"role":"user","content":{"type":"text","text":"Something is wrong with the VM web."#), "{text}");
        for (params, said) in [
            ("{}", "`name` is missing"),
            (r#"{"name":5}"#, "must be a string"),
            (r#"{"name":"nope"}"#, "Known: make_vm, diagnose_vm"),
            (r#"{"name":"diagnose_vm","arguments":[]}"#, "must be an object"),
            (r#"{"name":"diagnose_vm"}"#, "diagnose_vm: `vm` is missing"),
            (r#"{"name":"diagnose_vm","arguments":{"vm":1}}"#, "`vm` must be a text"),
        ] {
            let failure = get(params).unwrap_err();
            assert_eq!(failure.code, -32602);
            assert!(failure.message.contains(said), "{}", failure.message);
        }
    }
}
