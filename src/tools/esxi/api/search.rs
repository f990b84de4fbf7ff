//! Finding parts of the API by words.

use crate::error::{Error, Result};
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::api::{declared, type_of, typed};
use crate::tools::esxi::client;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::OFFSET;
use crate::vim::search::{Found, find};
use crate::vim::table::{Method, Type, TypeKind};
use crate::vim::version::Version;

/// The words.
pub const QUERY: Arg = Arg::text("query", "words of a name, such as: power on vm").required();
/// What sort of thing.
pub const KIND: Arg = Arg::choice("kind", "only these", &["method", "type", "property", "value"]);
/// Rows of one answer; fewer than elsewhere, since the best come first.
pub const LIMIT: Arg = Arg::int("limit", "", 1, 1000).or(Default::Int(30));

const COLUMNS: &[&str] = &["kind", "name", "summary", "effect", "privilege"];

/// `search_api`.
pub fn run(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    client(ctx)?;
    let query = args.text(QUERY)?;
    let wanted = args.opt_text(KIND);
    let mut found = find(query);
    found.retain(|it| wanted.is_none_or(|wanted| sort(it) == wanted));
    let offset = usize::try_from(args.int(OFFSET)?).unwrap_or(0);
    let limit = usize::try_from(args.int(LIMIT)?).unwrap_or(30);
    if found.is_empty() && !query.chars().any(char::is_alphanumeric) {
        return Err(Error::usage("the query has no words").hint("As in: query=\"power on\""));
    }
    let rows = found.iter().skip(offset).take(limit).map(row).collect();
    let (total, offset) = (found.len(), Some(offset));
    Ok(Reply::Rows(Rows { total, offset, ..Rows::whole("found", COLUMNS, rows) }))
}

/// The word of [`KIND`].
fn sort(found: &Found) -> &'static str {
    match found {
        Found::Method(_) => "method",
        Found::Type(_) => "type",
        Found::Field(_) => "property",
        Found::Word(..) => "value",
    }
}

fn row(found: &Found) -> Record {
    let row = |kind: &'static str, summary: String| {
        Record::new().text("kind", kind).text("name", found.name()).text("summary", summary)
    };
    match found {
        Found::Method(it) => row("method", signature(*it))
            .text("effect", it.effect().word())
            .text("privilege", it.privilege())
            .text("since", it.since().name()),
        Found::Type(it) => since(row(kind_of(*it), summary(*it)), it.since()),
        Found::Field(it) if it.owner.kind() == TypeKind::Managed => {
            since(row("property", type_of(it)), it.since)
        }
        Found::Field(it) => since(row("field", type_of(it)), it.since),
        Found::Word(of, _) => row("value", format!("a value of {}", of.name())),
    }
}

/// The schema states no version for enums and managed types.
fn since(row: Record, version: Version) -> Record {
    match Version::all().next() {
        Some(first) if first == version => row,
        _ => row.text("since", version.name()),
    }
}

/// What sort of type it is, for a person.
pub fn kind_of(ty: Type) -> &'static str {
    match ty.kind() {
        TypeKind::Primitive => "primitive",
        TypeKind::Data => "data",
        TypeKind::Enum => "enum",
        TypeKind::Managed => "managed",
    }
}

/// `(spec: VirtualMachineConfigSpec) -> task`.
pub fn signature(method: Method) -> String {
    let params: Vec<String> = method.params().map(|it| declared(&it)).collect();
    let result = method.result().map(|(ty, array)| format!(" -> {}", typed(ty, array)));
    let task = if method.is_task() { ", as a task" } else { "" };
    format!("({}){}{task}", params.join(", "), result.unwrap_or_default())
}

fn summary(ty: Type) -> String {
    let some = |names: Vec<&str>| match names.len() {
        0..=4 => names.join(", "),
        many => format!("{} and {} more", names[..4].join(", "), many - 4),
    };
    match ty.kind() {
        TypeKind::Enum => some(ty.values().collect()),
        _ => {
            let parent =
                ty.parent().filter(|it| !matches!(it.name(), "DynamicData" | "ManagedObject"));
            let mut said: Vec<String> =
                parent.iter().map(|it| format!("extends {}", it.name())).collect();
            said.push(some(ty.own_fields().map(|it| it.name).collect()));
            said.retain(|it| !it.is_empty());
            said.join(": ")
        }
    }
}
