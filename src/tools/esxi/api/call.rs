//! Calling any method.
//!
//! Surprising: the row lets everybody in, and what a caller may call is decided here by the
//! reviewed list of effects; the session's second gate goes by the same list.

use crate::error::{Error, Kind, Result, quoted};
use crate::text::json;
use crate::text::json::Value as Json;
use crate::tools::Level;
use crate::tools::args::{Arg, Args, masked};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::api::describe::near_method;
use crate::tools::esxi::api::{ROOM, fitted, typed};
use crate::tools::esxi::client;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::vim::effect::Effect;
use crate::vim::table::{Method, Type};
use crate::vim::to_json::Writer;
use crate::vim::value::Ref;
use crate::vsphere::generic;
use crate::vsphere::generic::Request;

/// On what.
pub const OBJECT: Arg =
    Arg::text("object", "VirtualMachine:vm-12, or a type that a server has once").required();
/// Which method.
pub const METHOD: Arg = Arg::text("method", "such as ReconfigVM_Task").required();
/// With what.
pub const ARGUMENTS: Arg =
    Arg::object("arguments", "by name, as describe_api shows them; _typeName for subtypes");

/// Characters of the arguments that a plan shows.
const SHOWN: usize = 600;

/// What to do instead of what nobody may call.
static INSTEAD: &[(&str, &str)] = &[
    ("AcquireCredentialsInGuest", "The guest tools take username and password with each call"),
    ("AcquireMksTicket", "Use get_console_url"),
    ("AcquireTicket", "Use get_console_url"),
    ("ChangePassword", "Change it on the host itself, then in the configuration"),
];

const NOT_YOURS: &str = "The session is this program's own: it logs in and out by itself";

/// Checks everything that can be checked before the call.
pub fn plan(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Request>> {
    let it = client(ctx)?;
    let object = args.text(OBJECT)?.trim();
    let named = object.split_once(':');
    let kind = generic::managed(named.map_or(object, |(kind, _)| kind))?;
    let method = method(kind, args.text(METHOD)?.trim())?;
    permitted(ctx.level, method)?;
    let at = match named {
        Some((_, "")) => return Err(Error::usage("`object` has no id behind the colon")),
        Some((_, id)) => Ref::new(kind.name(), id.trim()),
        None => generic::singleton(it, &ctx.call, kind)?,
    };
    let none = json::Object::new();
    let given = args.opt_object(ARGUMENTS).unwrap_or(&none);
    let request =
        generic::prepare(it, &ctx.call, at, method, given).map_err(|error| match error.kind() {
            Kind::Usage => error.hint(format!("describe_api name={method:?} shows the arguments")),
            _ => error,
        })?;
    let seen = request.at.to_string();
    let losses = match method.effect() {
        Effect::Changes => vec![format!("what {method:?} loses is not looked at beforehand")],
        _ => Vec::new(),
    };
    let reads = method.effect() == Effect::Reads;
    Ok(Plan::new(steps(&request, given), seen, request).losing(losses).harmless_if(reads))
}

/// The method of this name that objects of the type have.
fn method(kind: Type, name: &str) -> Result<Method> {
    Method::find(kind.name(), name).ok_or_else(|| {
        let said = format!("{} has no method `{}`", kind.name(), quoted(name));
        let error = Error::new(Kind::NotFound, said);
        match near_method(kind, name) {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => error.hint(format!("describe_api name={} lists its methods", kind.name())),
        }
    })
}

fn permitted(level: Level, method: Method) -> Result<()> {
    let name = method.name();
    let why = match method.effect() {
        Effect::Reads => return Ok(()),
        Effect::Never => {
            let hint = INSTEAD.iter().find(|(it, _)| *it == name).map_or(NOT_YOURS, |it| it.1);
            let said = format!("{name} is never called on request");
            return Err(Error::new(Kind::Denied, said).hint(hint));
        }
        _ if level >= Level::Admin => return Ok(()),
        Effect::Changes => "changes things",
        Effect::Guarded => "can show secrets or disturb others",
    };
    let (needs, has) = (Level::Admin.word(), level.word());
    Err(Error::new(Kind::Denied, format!("{name} {why} and needs {needs}; you have {has}"))
        .hint("search_api shows in `effect` what only reads; other tools change single things"))
}

fn steps(request: &Request, given: &json::Object) -> Vec<String> {
    let Request { at, method, name, .. } = request;
    let object = match name {
        Some(name) => format!("`{name}` ({at})"),
        None => at.to_string(),
    };
    let does = match method.effect() {
        Effect::Changes => "is called and changes things",
        _ => "is called and only reads",
    };
    let task = if method.is_task() { ", as a task that is waited for" } else { "" };
    let privilege = match method.privilege() {
        "" => String::new(),
        privilege => format!("; it needs the privilege {privilege}"),
    };
    let mut steps = vec![format!("{object}: {} {does}{task}{privilege}", method.name())];
    if !given.is_empty() {
        let text = json::write(&masked(&Json::Object(given.clone())));
        let shown: String = text.chars().take(SHOWN).collect();
        let more = if shown.len() < text.len() { "…" } else { "" };
        steps.push(format!("with {shown}{more}"));
    }
    steps
}

/// Makes the call and shows what it answers.
pub fn act(ctx: &Ctx<'_>, request: Request) -> Result<Reply> {
    let result = generic::run(client(ctx)?, &ctx.call, &request)?;
    let Request { at, method, .. } = &request;
    let record = Record::new().text("object", at.to_string()).text("method", method.name());
    let said = format!("{at}: {}", method.name());
    let Some(value) = result else {
        let done = if method.result().is_some() { "answers nothing" } else { "done" };
        return Ok(Reply::said(format!("{said}: {done}"), record.value("result", Json::Null)));
    };
    let mut writer = Writer::new(ctx.level >= Level::Admin);
    let (json, note) = fitted(writer.write(&value), ROOM);
    let mut text = format!("{said}: {}", json::write(&json));
    let mut record = record.value("result", json);
    if let Some((ty, array)) = method.result() {
        record = record.text("result_type", typed(ty, array));
    }
    if let Some(note) = note {
        text.push_str(&format!("\ntoo large for one answer, shown: {note}"));
        record = record.text("shown", note);
    }
    if !writer.withheld.is_empty() {
        let names = writer.withheld.join(", ");
        text.push_str(&format!("\nwithheld, as only an admin may see it: {names}"));
        record = record.texts("withheld", &writer.withheld);
    }
    Ok(Reply::said(text, record))
}
