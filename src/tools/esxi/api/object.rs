//! Properties of any managed object as JSON.
//!
//! Surprising: what only an admin may see is refused where it is asked for by its path, and left
//! out, with a word of it, where it is part of something larger.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::text::json;
use crate::text::json::{Object, Value as Json};
use crate::tools::Level;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::api::{ROOM, fitted, type_of};
use crate::tools::esxi::client;
use crate::tools::reply::{Record, Reply};
use crate::vim::table::{Type, walk};
use crate::vim::to_json::{MESSAGE, Writer, is_withheld};
use crate::vim::value::{Ref, Value};
use crate::vsphere::{Vsphere, generic};

/// Which managed type.
pub const TYPE: Arg = Arg::text("type", "such as VirtualMachine or PerformanceManager").required();
/// Which one, by its id.
pub const ID: Arg = Arg::text("id", "such as vm-12; not needed for what a server has once");
/// Which one, by its place.
pub const PATH: Arg = Arg::text("path", "inventory path instead of id: DC0/vm/prod/web01");
/// What of it.
pub const PROPERTIES: Arg =
    Arg::texts("properties", "paths such as runtime.powerState, config.hardware.device[4000]");

/// Paths of one call.
const MOST_PATHS: usize = 50;

/// What is read where nothing is asked for, of the objects that have it.
const CHEAP: &[&str] = &["name", "parent", "overallStatus"];

/// `get_object`.
pub fn run(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let it = client(ctx)?;
    let kind = generic::managed(args.text(TYPE)?.trim())?;
    let asked = args.texts(PROPERTIES);
    let admin = ctx.level >= Level::Admin;
    check(kind, &asked, admin)?;
    let at = target(it, &ctx.call, kind, args)?;
    let chosen: Vec<&str> = match asked.is_empty() {
        true => CHEAP.iter().copied().filter(|name| kind.field(name).is_some()).collect(),
        false => asked.iter().map(String::as_str).collect(),
    };
    let record = Record::new().text("type", &*at.kind).text("id", &at.id);
    let mut answer = Answer::new(record, at.to_string());
    if !chosen.is_empty() {
        let row = generic::properties(it, &ctx.call, &at, kind, &chosen)?;
        answer.fill(&chosen, |path| row.get(path), admin);
    }
    if asked.is_empty() {
        answer.offer(kind);
    }
    Ok(answer.reply())
}

fn check(kind: Type, asked: &[String], admin: bool) -> Result<()> {
    if asked.len() > MOST_PATHS {
        return Err(Error::usage(format!("more than {MOST_PATHS} properties"))
            .hint("Ask for what holds them, such as runtime or config.hardware, or in parts"));
    }
    for path in asked {
        let mut closed = false;
        walk(kind, path, &mut |it| closed |= is_withheld(it) || it.name == MESSAGE)?;
        if closed && !admin {
            return Err(Error::new(
                Kind::Denied,
                format!("`{}` needs {}", quoted(path), Level::Admin.word()),
            )
            .hint("It can show secrets; other properties of the object are open"));
        }
    }
    Ok(())
}

/// The object by its id, by its path, or as the only one of its type.
fn target(it: &Vsphere, call: &Call, kind: Type, args: &Args) -> Result<Ref> {
    match (args.opt_text(ID), args.opt_text(PATH)) {
        (Some(_), Some(_)) => Err(Error::usage("`id` and `path` exclude each other")),
        (None, Some(path)) => generic::at_path(it, call, kind, path),
        (None, None) => generic::singleton(it, call, kind),
        (Some(id), None) => {
            let id = id.trim();
            let (own, id) = match id.split_once(':') {
                Some(("moid", id)) => (kind, id),
                Some((named, id)) if Type::find(named).is_some() => (generic::managed(named)?, id),
                _ => (kind, id),
            };
            if !own.is_a(kind) {
                let said = format!("`{}` is no {}", quoted(id), kind.name());
                return Err(Error::usage(said).hint(format!("Pass type={}", own.name())));
            }
            match id.is_empty() {
                true => Err(Error::usage("`id` is empty")),
                false => Ok(Ref::new(own.name(), id)),
            }
        }
    }
}

/// What is answered, in JSON and as lines.
struct Answer {
    record: Record,
    lines: Vec<String>,
    writer: Writer,
}

impl Answer {
    fn new(record: Record, title: String) -> Answer {
        Answer { record, lines: vec![title], writer: Writer::new(false) }
    }

    fn keep(&mut self, name: &'static str, value: Json) {
        self.record = std::mem::take(&mut self.record).value(name, value);
    }

    fn fill<'a>(&mut self, paths: &[&str], get: impl Fn(&str) -> Option<&'a Value>, admin: bool) {
        self.writer.all = admin;
        let (mut shown, mut unset, mut cut) = (Object::new(), Vec::new(), Object::new());
        let mut room = ROOM;
        for path in paths {
            let Some(value) = get(path).filter(|it| **it != Value::Null) else {
                unset.push(*path);
                continue;
            };
            let whole = self.writer.write(value);
            let advice = advice(path, &whole);
            let (part, note) = fitted(whole, room);
            if let Some(note) = note {
                cut.insert((*path).to_owned(), json::text(format!("{note} shown; {advice}")));
            }
            let text = json::write(&part);
            room = room.saturating_sub(text.len());
            self.lines.push(format!("{path}: {text}"));
            shown.insert((*path).to_owned(), part);
        }
        self.keep("properties", Json::Object(shown));
        for (path, note) in &cut {
            if let Json::String(note) = note {
                self.lines.push(format!("too large: {path}: {note}"));
            }
        }
        if !cut.is_empty() {
            self.keep("too_large", Json::Object(cut));
        }
        let withheld = std::mem::take(&mut self.writer.withheld);
        let told: [(&'static str, &str, Vec<&str>); 2] = [
            ("not_set", "not set, or not readable by the account", unset),
            ("withheld", "withheld, as only an admin may see it", withheld),
        ];
        for (name, said, paths) in told {
            if !paths.is_empty() {
                self.lines.push(format!("{said}: {}", paths.join(", ")));
                self.keep(name, json::texts(&paths));
            }
        }
    }

    /// The properties that there are to ask for.
    fn offer(&mut self, kind: Type) {
        let all: Vec<String> =
            kind.fields().map(|it| format!("{}: {}", it.name, type_of(&it))).collect();
        let said = match all.is_empty() {
            true => format!("{} has no properties, only methods", kind.name()),
            false => format!("properties to ask for: {}", all.join(", ")),
        };
        self.lines.push(said);
        self.keep("available", json::texts(&all));
    }

    fn reply(self) -> Reply {
        Reply::said(self.lines.join("\n"), self.record)
    }
}

/// What to ask for instead of a value that is too large.
fn advice(path: &str, value: &Json) -> String {
    let has_key = |item: &Json| matches!(item, Json::Object(it) if it.contains_key("key"));
    match value {
        Json::Object(members) => {
            let parts = members.keys().filter(|name| !name.starts_with('_'));
            let parts: Vec<String> = parts.take(40).map(|name| format!("{path}.{name}")).collect();
            format!("ask for {}", parts.join(", "))
        }
        Json::Array(items) if items.iter().any(has_key) => {
            format!("one item can be asked for by its key: {path}[KEY]")
        }
        _ => "ask for it alone".to_owned(),
    }
}
