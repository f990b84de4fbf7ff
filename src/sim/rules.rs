//! Rules for what goes wrong, as data: which call, which time, and what happens.
//!
//! A file is a JSON list of rules. `method` and `object` (id or name) or `path` say which requests,
//! with `*` as in globs; `nth`, `every` or `chance` say when, without them always; one more key
//! says what. It must not know the world. Surprising: chance is repeatable, because its numbers
//! come from a counter.
//!
//! | key | what happens |
//! |---|---|
//! | `fault` (`text`) | the method answers this fault; with `in_task` the task ends with it |
//! | `delay_ms` | the answer is late |
//! | `drop` | the connection is cut after so many bytes of the answer |
//! | `truncate` | the upload is cut after so many bytes |
//! | `expire_session` | the caller's session is ended first |
//! | `answer_bytes` | the answer is padded to this size |
//! | `status` | an HTTP status without a body |

use crate::error::{Error, Result};
use crate::sim::fault::Fault;
use crate::text::glob;
use crate::text::json;
use crate::text::nearest::nearest;
use crate::vim::table;
use crate::vim::table::{Type, TypeKind};

const KEYS: &[&str] = &[
    "method",
    "object",
    "path",
    "nth",
    "every",
    "chance",
    "fault",
    "text",
    "in_task",
    "delay_ms",
    "drop",
    "truncate",
    "expire_session",
    "answer_bytes",
    "status",
];
const EFFECTS: &[&str] =
    &["fault", "delay_ms", "drop", "truncate", "expire_session", "answer_bytes", "status"];
/// Rules of a file.
const MOST: usize = 1000;
/// An answer is padded to 1 GB at most, and late by an hour.
const LARGEST: i64 = 1 << 30;
const LATEST: i64 = 3_600_000;

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The method is refused.
    Fault(Fault),
    /// The task that it starts fails.
    InTask(Fault),
    /// Milliseconds.
    Delay(u64),
    /// Cut after so many bytes of the answer.
    Drop(u64),
    /// Cut after so many bytes of the request's body.
    Truncate(u64),
    /// The session ends.
    Expire,
    /// Bytes that the answer has at least.
    Pad(u64),
    /// An HTTP status.
    Status(u16),
}

#[derive(Clone, Debug)]
enum When {
    Always,
    Nth(u64),
    Every(u64),
    Chance(f64),
}

#[derive(Clone, Debug)]
struct Rule {
    method: Option<String>,
    object: Option<String>,
    path: Option<String>,
    when: When,
    effect: Effect,
    seen: u64,
}

/// All rules, in the order of the file.
#[derive(Debug, Default)]
pub struct Rules {
    all: Vec<Rule>,
}

/// A request, as rules see it.
pub struct Seen<'a> {
    /// The path, without its query.
    pub path: &'a str,
    /// The method; empty where the request is no call.
    pub method: &'a str,
    /// Id and name of the object.
    pub object: (&'a str, &'a str),
}

impl Rules {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Rules> {
        let wrong = |why: String| {
            Error::usage(why).hint("A rule reads {\"method\": \"PowerOnVM_Task\", \"nth\": 1, \"fault\": \"NotEnoughLicenses\"}")
        };
        let list = match json::parse(text) {
            Ok(json::Value::Array(list)) => list,
            Ok(other) => {
                return Err(wrong(format!("the rules must be a list, not {}", json::sort(&other))));
            }
            Err(why) => return Err(wrong(why)),
        };
        if list.len() > MOST {
            return Err(wrong(format!("{} rules, {MOST} are allowed", list.len())));
        }
        let numbered = list.iter().enumerate();
        let all = numbered
            .map(|(at, it)| rule(it).map_err(|why| wrong(format!("rule {}: {why}", at + 1))));
        Ok(Rules { all: all.collect::<Result<_>>()? })
    }

    /// What happens to this request; every rule that fits counts it.
    pub fn effects(&mut self, seen: &Seen) -> Vec<Effect> {
        let fitting = self.all.iter_mut().filter(|it| it.fits(seen));
        fitting.filter_map(|it| it.strike().then(|| it.effect.clone())).collect()
    }
}

impl Rule {
    fn fits(&self, seen: &Seen) -> bool {
        let fits = |pattern: &Option<String>, text: &str| {
            pattern.as_ref().is_none_or(|it| glob::matches(it, text))
        };
        match &self.path {
            // A call is met once, when its method is known; other requests by their path.
            Some(path) => seen.method.is_empty() && glob::matches(path, seen.path),
            None => {
                !seen.method.is_empty()
                    && fits(&self.method, seen.method)
                    && (fits(&self.object, seen.object.0) || fits(&self.object, seen.object.1))
            }
        }
    }

    fn strike(&mut self) -> bool {
        self.seen += 1;
        match self.when {
            When::Always => true,
            When::Nth(number) => self.seen == number,
            When::Every(number) => self.seen.is_multiple_of(number),
            When::Chance(chance) => {
                let mut mixed = self.seen.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                ((mixed >> 40) as f64) < chance * f64::from(1u32 << 24)
            }
        }
    }
}

fn rule(value: &json::Value) -> std::result::Result<Rule, String> {
    let json::Value::Object(object) = value else {
        return Err(format!("it is {}, not an object", json::sort(value)));
    };
    for key in object.keys() {
        if !KEYS.contains(&key.as_str()) {
            let meant = nearest(key, KEYS.iter().copied());
            let meant = meant.map_or(String::new(), |it| format!(", did you mean `{it}`?"));
            return Err(format!("unknown key `{key}`{meant}"));
        }
    }
    let text = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(json::Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{name}` is {}, not a string", json::sort(other))),
    };
    let number = |name: &str, most: i64| match object.get(name).map(json::as_int) {
        None => Ok(None),
        Some(Some(number)) if (0..=most).contains(&number) => Ok(u64::try_from(number).ok()),
        Some(_) => Err(format!("`{name}` must be a whole number from 0 to {most}")),
    };
    let flag = |name: &str| match object.get(name) {
        None | Some(json::Value::Bool(false)) => Ok(false),
        Some(json::Value::Bool(true)) => Ok(true),
        Some(other) => Err(format!("`{name}` is {}, not a boolean", json::sort(other))),
    };
    let effects: Vec<&str> =
        EFFECTS.iter().copied().filter(|it| object.contains_key(*it)).collect();
    let &[effect] = effects.as_slice() else {
        return Err(format!("it needs exactly one of {}", EFFECTS.join(", ")));
    };
    let needed = |number: Option<u64>| number.unwrap_or_default();
    let effect = match effect {
        "fault" => {
            let fault = fault(&text("fault")?.unwrap_or_default(), text("text")?)?;
            if flag("in_task")? { Effect::InTask(fault) } else { Effect::Fault(fault) }
        }
        "delay_ms" => Effect::Delay(needed(number("delay_ms", LATEST)?)),
        "drop" => Effect::Drop(needed(number("drop", LARGEST)?)),
        "truncate" => Effect::Truncate(needed(number("truncate", i64::MAX)?)),
        "answer_bytes" => Effect::Pad(needed(number("answer_bytes", LARGEST)?)),
        "status" => Effect::Status(u16::try_from(needed(number("status", 599)?)).unwrap_or(500)),
        _ if flag("expire_session")? => Effect::Expire,
        _ => return Err("`expire_session` is true or left out".to_owned()),
    };
    if !matches!(effect, Effect::Fault(_) | Effect::InTask(_))
        && let Some(word) = ["in_task", "text"].into_iter().find(|it| object.contains_key(*it))
    {
        return Err(format!("`{word}` goes with `fault` only"));
    }
    if matches!(effect, Effect::Status(status) if status < 100) {
        return Err("`status` is an HTTP status, 100 to 599".to_owned());
    }
    let counted = |name: &str| match number(name, i64::MAX)? {
        Some(0) => Err(format!("`{name}` counts from 1")),
        other => Ok(other),
    };
    let whens = [
        counted("nth")?.map(When::Nth),
        counted("every")?.map(When::Every),
        chance(object.get("chance"))?,
    ];
    let mut whens = whens.into_iter().flatten();
    let when = whens.next().unwrap_or(When::Always);
    if whens.next().is_some() {
        return Err("only one of nth, every, chance".to_owned());
    }
    let (method, object, path) = (text("method")?, text("object")?, text("path")?);
    if let Some(name) = method.as_deref().filter(|it| !it.contains(['*', '?', '[']))
        && !table::methods().any(|it| it.name() == name)
    {
        return Err(format!("`{name}` is no method of the API"));
    }
    match (&path, &effect) {
        (Some(path), _) if path.starts_with("/sdk") => {
            Err("`path` is for requests beside /sdk; name calls by `method`".to_owned())
        }
        (Some(_), _) if method.is_some() || object.is_some() => {
            Err("`path` stands alone, without `method` and `object`".to_owned())
        }
        (Some(_), Effect::Fault(_) | Effect::InTask(_) | Effect::Pad(_) | Effect::Expire) => {
            Err("with `path` only delay_ms, drop, truncate and status can happen".to_owned())
        }
        (None, Effect::Truncate(_)) => {
            Err("`truncate` needs a `path` that is uploaded to".to_owned())
        }
        _ => Ok(Rule { method, object, path, when, effect, seen: 0 }),
    }
}

fn chance(value: Option<&json::Value>) -> std::result::Result<Option<When>, String> {
    let chance = match value {
        None => return Ok(None),
        Some(json::Value::Number(json::Number::F64(chance))) => *chance,
        Some(other) => match json::as_int(other) {
            Some(0) => 0.0,
            Some(1) => 1.0,
            _ => -1.0,
        },
    };
    match (0.0..=1.0).contains(&chance) {
        true => Ok(Some(When::Chance(chance))),
        false => Err("`chance` must be a number from 0 to 1".to_owned()),
    }
}

/// A fault by the name of its type.
fn fault(name: &str, text: Option<String>) -> std::result::Result<Fault, String> {
    let base = Type::find("MethodFault");
    let known = Type::find(name).filter(|it| it.kind() == TypeKind::Data);
    match known.filter(|it| base.is_some_and(|base| it.is_a(base))) {
        Some(ty) => {
            let text =
                text.unwrap_or_else(|| format!("The simulated host was told to answer {name}."));
            Ok(Fault::new(ty.name(), text))
        }
        None => Err(format!("`{name}` is no fault of the API")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Rules::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_rule_strikes_when_it_says() {
        let mut rules = Rules::parse(
            r#"[{"method": "PowerOn*", "object": "web*", "nth": 2, "fault": "NotEnoughLicenses"},
                {"path": "/nfc/*", "truncate": 10}, {"method": "*", "every": 3, "drop": 5},
                {"method": "Login", "chance": 0.5, "delay_ms": 1}]"#,
        )
        .unwrap();
        let mut call = |method: &str, object| {
            let seen = Seen { path: "/sdk", method, object };
            rules.effects(&seen).len()
        };
        assert_eq!(call("PowerOnVM_Task", ("12", "web01")), 0);
        assert_eq!(call("PowerOnVM_Task", ("12", "db01")), 0);
        assert_eq!(call("PowerOnVM_Task", ("12", "web01")), 2);
        let late = (0..3000).filter(|_| call("Login", ("x", "")) > 0).count();
        assert!((1900..2100).contains(&late), "{late}");
        let seen = Seen { path: "/nfc/1/disk-0.vmdk", method: "", object: ("", "") };
        assert_eq!(rules.effects(&seen), [Effect::Truncate(10)]);
    }

    #[test]
    fn mistakes_are_told() {
        assert!(refused("{}").contains("must be a list"));
        assert!(
            refused("[{\"metod\": \"x\", \"drop\": 1}]")
                .contains("rule 1: unknown key `metod`, did you mean `method`?")
        );
        assert!(refused("[{\"method\": \"x\"}]").contains("exactly one of"));
        assert!(refused("[{\"fault\": \"Task\"}]").contains("no fault of the API"));
        assert!(refused("[{\"drop\": -1}]").contains("whole number"));
        assert!(
            refused("[{\"path\": \"/x\", \"fault\": \"NotFound\"}]").contains("with `path` only")
        );
        assert!(refused("[{\"drop\": 1, \"chance\": 2}]").contains("from 0 to 1"));
    }
}
