//! Property queries: which objects, which of their properties, and how many at a time.
//!
//! Surprising: the first token is the string `0`, as on real servers, and a token works only with
//! the collector and the session that it was given to.

use crate::scripted::State;
use crate::scripted::answer::{Answer, escaped};
use crate::scripted::asked::{Asked, at, text};
use crate::scripted::methods::not_found;
use crate::scripted::world::{Thing, is_a};

/// `RetrievePropertiesEx` and its continuation.
pub fn retrieve(state: &mut State, session: &str, asked: &Asked) -> Answer {
    if let Some(token) = asked.arg("token") {
        let key = format!("{session} {}", asked.this);
        return match state.rest.remove(&token) {
            Some((owner, rest)) if owner == key => page(state, &key, rest),
            _ => Answer::fault("InvalidArgument", "A specified parameter was not correct: token"),
        };
    }
    let sets: Vec<(String, Vec<String>)> = asked.with(|call| {
        let set = |set| {
            let kind = at(set, "type").into_iter().map(text).next().unwrap();
            (kind, at(set, "pathSet").into_iter().map(text).collect())
        };
        at(call, "specSet.propSet").into_iter().map(set).collect()
    });
    let wanted = asked.args("specSet.objectSet.obj");
    let mut objects = Vec::new();
    for id in wanted {
        let Some(kinds) = state.sessions.get(session).and_then(|it| it.views.get(&id)) else {
            if id.contains("]view-") {
                return not_found("ContainerView", &id);
            }
            // With reportMissingObjectsInResults one that is gone is left out.
            objects.extend(state.things.iter().filter(|thing| thing.id == id));
            continue;
        };
        let in_view = |thing: &&Thing| {
            thing.id != "ha-folder-root" && kinds.iter().any(|kind| is_a(thing.kind, kind))
        };
        objects.extend(state.things.iter().filter(in_view));
    }
    let mut rows: Vec<String> = objects.into_iter().filter_map(|thing| row(thing, &sets)).collect();
    if asked.arg("specSet.objectSet.obj").as_deref() == Some("ha-sessionmgr") {
        rows.extend(session_manager("ha-sessionmgr", session));
    }
    page(state, &format!("{session} {}", asked.this), rows)
}

fn session_manager(id: &str, session: &str) -> Option<String> {
    (id == "ha-sessionmgr").then(|| {
        format!(
            "<objects><obj type=\"SessionManager\">ha-sessionmgr</obj><propSet>\
             <name>currentSession</name><val xsi:type=\"UserSession\"><key>52-{session}</key>\
             <userName>root</userName></val></propSet></objects>"
        )
    })
}

/// An `ObjectContent`, if the query names its type.
fn row(thing: &Thing, sets: &[(String, Vec<String>)]) -> Option<String> {
    let mut paths: Vec<&String> = Vec::new();
    let mut named = false;
    for (kind, wanted) in sets.iter().filter(|(kind, _)| is_a(thing.kind, kind)) {
        named = !kind.is_empty();
        paths.extend(wanted);
    }
    let prop = |path: &&String| {
        let val = thing.props.get(*path)?;
        Some(format!("<propSet><name>{path}</name>{val}</propSet>"))
    };
    let props: String = paths.iter().filter_map(prop).collect();
    named.then(|| {
        let obj = format!("<obj type=\"{}\">{}</obj>", thing.kind, escaped(&thing.id));
        format!("<objects>{obj}{props}</objects>")
    })
}

fn page(state: &mut State, owner: &str, mut rows: Vec<String>) -> Answer {
    if rows.is_empty() {
        return Answer::Result(String::new());
    }
    let mut token = String::new();
    if state.page > 0 && rows.len() > state.page {
        let rest = rows.split_off(state.page);
        let name = (0..).map(|it: u32| it.to_string()).find(|it| !state.rest.contains_key(it));
        let name = name.unwrap();
        token = format!("<token>{name}</token>");
        state.rest.insert(name, (owner.to_owned(), rest));
    }
    Answer::Result(format!("<returnval>{token}{}</returnval>", rows.concat()))
}
