//! The REST interface of a vCenter: `/rest/com/vmware/cis` and `/api`, sessions and tags.
//!
//! Both faces are the same service; the older one wraps what it answers in `value`. Sessions are
//! its own. It must not know SOAP. Surprising: an ESXi host has none of it, and says so oddly.

use std::io::Read;

use crate::sim::clock::{Moment, stamp};
use crate::sim::http::{Answer, Request};
use crate::sim::service::Simulator;
use crate::sim::tags;
use crate::sim::tags::{Asked, Refusal, Result, invalid, missing};
use crate::sim::web_auth;
use crate::sim::world::World;
use crate::text::json;
use crate::text::json::{Object, Value};

/// Bytes of a request.
const MOST_BYTES: u64 = 1 << 20;
/// Sessions that there may be.
const MOST_SESSIONS: usize = 550;
/// A session that is idle for so long is over.
const IDLE: Moment = 5 * 60 * 1000;

/// One login over REST.
#[derive(Clone, Debug)]
pub struct Session {
    id: String,
    user: String,
    viewer: bool,
    login: Moment,
    last: Moment,
}

/// Text of a path or query, without its escapes.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let byte = digits.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| *first == b'%');
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { behind.get(2..).unwrap_or_default() } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Everything below `/rest/` and `/api/`.
pub fn answer(simulator: &Simulator, request: &mut Request) -> Answer {
    let path = request.path().to_owned();
    let old = path.starts_with("/rest/");
    let vcenter = simulator.world().vcenter;
    if !vcenter {
        // A host knows `/api` only as something else.
        return match old {
            true => Answer::empty(404),
            false => Answer::of(
                400,
                "application/json",
                br#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"Unsupported content type"}}"#
                    .to_vec(),
            ),
        };
    }
    let mut body = Vec::new();
    let read = (&mut request.body).take(MOST_BYTES).read_to_end(&mut body);
    let body = match (read, std::str::from_utf8(&body)) {
        (Ok(_), Ok("")) => Some(Object::new()),
        (Ok(_), Ok(text)) => match json::parse(text) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        },
        _ => None,
    };
    let query = unescaped(request.query());
    let mut actions =
        query.split('&').filter_map(|it| it.trim_start_matches('~').strip_prefix("action="));
    let action = actions.next_back().unwrap_or_default().to_owned();
    let outcome = match body {
        None => Err(invalid("The body is no JSON object.")),
        Some(body) => {
            let mut world = simulator.world();
            let rest = path
                .strip_prefix("/rest/com/vmware/cis/")
                .or_else(|| path.strip_prefix("/api/cis/"))
                .or_else(|| path.strip_prefix("/api/").filter(|it| *it == "session"))
                .unwrap_or_default();
            routed(&mut world, request, rest, action, body)
        }
    };
    simulator.wake();
    written(outcome, old)
}

fn written(outcome: Result<(u16, Option<Value>)>, old: bool) -> Answer {
    let (status, value) = match outcome {
        Ok((status, Some(value))) => {
            let value = match old {
                true => Value::Object(json::object([("value", value)])),
                false => value,
            };
            (if old { 200 } else { status }, json::write(&value))
        }
        Ok((_, None)) => return Answer::empty(if old { 200 } else { 204 }),
        Err((status, kind, text)) => {
            let message = json::object([
                ("id", json::text(format!("com.vmware.vapi.std.errors.{kind}"))),
                ("default_message", json::text(text)),
                ("args", Value::Array(json::Array::new())),
            ]);
            let messages = Value::Array([Value::Object(message)].into_iter().collect());
            let mut error = json::object([
                ("messages", messages),
                ("error_type", json::text(kind.to_uppercase())),
            ]);
            if old {
                let kind = json::text(format!("com.vmware.vapi.std.errors.{kind}"));
                error = json::object([("type", kind), ("value", Value::Object(error))]);
            }
            (status, json::write_object(&error))
        }
    };
    Answer::of(status, "application/json", value.into_bytes())
}

fn unauthenticated() -> Refusal {
    (401, "unauthenticated", "Authentication required.".to_owned())
}

/// The place of the session that a request names.
fn session(world: &mut World, request: &Request) -> Result<usize> {
    let now = world.now;
    world.rest.retain(|it| it.last + IDLE > now);
    let cookie = request.header("cookie").and_then(|all| {
        let mut pairs = all.split(';').filter_map(|it| it.trim().split_once('='));
        pairs.find(|(name, _)| *name == "vmware-api-session-id").map(|(_, value)| value)
    });
    let id = request.header("vmware-api-session-id").or(cookie);
    let found = world.rest.iter().position(|it| Some(&*it.id) == id);
    let at = found.ok_or_else(unauthenticated)?;
    if let Some(session) = world.rest.get_mut(at) {
        session.last = now;
    }
    Ok(at)
}

fn routed(
    world: &mut World,
    request: &Request,
    rest: &str,
    action: String,
    body: Object,
) -> Result<(u16, Option<Value>)> {
    if rest == "session" && request.method == "POST" && action.is_empty() {
        let caller = web_auth::basic(world, request).ok_or_else(unauthenticated)?;
        let web_auth::Caller { user, viewer } = caller;
        if world.rest.len() >= MOST_SESSIONS {
            return Err((503, "service_unavailable", "Too many sessions.".to_owned()));
        }
        let number = world.number();
        let id = format!("{:016x}{number:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (login, last) = (world.now, world.now);
        world.rest.push(Session { id: id.clone(), user, viewer, login, last });
        return Ok((201, Some(json::text(id))));
    }
    let at = session(world, request)?;
    let own = world.rest.get(at).ok_or_else(unauthenticated)?;
    if rest == "session" {
        if request.method == "DELETE" {
            world.rest.remove(at);
            return Ok((204, None));
        }
        let shown = json::object([
            ("user", json::text(own.user.as_str())),
            ("created_time", json::text(stamp(own.login))),
            ("last_accessed_time", json::text(stamp(own.last))),
        ]);
        return Ok((200, Some(Value::Object(shown))));
    }
    let (part, id) =
        match rest.strip_prefix("tagging/").map(|it| it.split_once('/').unwrap_or((it, ""))) {
            Some((part @ ("category" | "tag" | "tag-association"), id)) => (part, id),
            _ => return Err(missing(rest)),
        };
    let id = unescaped(id.strip_prefix("id:").unwrap_or(id));
    let reads = request.method == "GET" || action.starts_with("list");
    if own.viewer && !reads {
        return Err((
            403,
            "unauthorized",
            "Permission to perform this operation was denied.".to_owned(),
        ));
    }
    let asked = Asked { part, id, action, method: request.method, body };
    match part {
        "tag-association" => tags::associated(world, &asked),
        _ => tags::kept(world, &asked),
    }
}
