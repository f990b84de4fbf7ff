//! Arguments: how a row declares them, how a call's are checked, how a handler reads them.
//!
//! A handler reads by the same constant that the row lists, so the two cannot drift apart; reading
//! one that the row lacks fails in tests. Surprising: numbers and booleans may come as strings,
//! and a list as a single string, because models and command lines send them so; an explicit null
//! counts as left out.

use crate::error::{Error, Result};
use crate::text::json;
use crate::text::json::{Number, Object, Value};
use crate::text::nearest::nearest;
use crate::text::secret::{names_secret, without_secrets};

/// What an argument holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Choice(&'static [&'static str]),
    Flag,
    Int {
        min: i64,
        max: i64,
    },
    /// Any JSON object.
    Object,
    Text,
    Texts,
}

/// What stands for an argument that is left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    Flag(bool),
    Int(i64),
    None,
    Text(&'static str),
}

/// One argument of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    pub name: &'static str,
    /// For a model and for a person; empty where the name says all.
    pub about: &'static str,
    pub kind: Kind,
    pub default: Default,
    pub required: bool,
    /// Never written to the audit log.
    pub secret: bool,
    /// Written to the audit log as its length only.
    pub measured: bool,
    /// Makes the tool write a file on this machine: absent where nothing may be changed.
    pub writes_here: bool,
}

impl Arg {
    const fn new(name: &'static str, about: &'static str, kind: Kind) -> Arg {
        let (default, required, secret) = (Default::None, false, false);
        let (measured, writes_here) = (false, false);
        Arg { name, about, kind, default, required, secret, measured, writes_here }
    }

    pub const fn text(name: &'static str, about: &'static str) -> Arg {
        Arg::new(name, about, Kind::Text)
    }

    pub const fn texts(name: &'static str, about: &'static str) -> Arg {
        Arg::new(name, about, Kind::Texts)
    }

    pub const fn flag(name: &'static str, about: &'static str) -> Arg {
        Arg::new(name, about, Kind::Flag)
    }

    pub const fn object(name: &'static str, about: &'static str) -> Arg {
        Arg::new(name, about, Kind::Object)
    }

    pub const fn int(name: &'static str, about: &'static str, min: i64, max: i64) -> Arg {
        Arg::new(name, about, Kind::Int { min, max })
    }

    pub const fn choice(
        name: &'static str,
        about: &'static str,
        words: &'static [&'static str],
    ) -> Arg {
        Arg::new(name, about, Kind::Choice(words))
    }

    pub const fn required(self) -> Arg {
        Arg { required: true, ..self }
    }

    pub const fn or(self, default: Default) -> Arg {
        Arg { default, ..self }
    }

    pub const fn secret(self) -> Arg {
        Arg { secret: true, ..self }
    }

    /// Text that a person types into a guest or a console, which may be a password.
    pub const fn measured(self) -> Arg {
        Arg { measured: true, ..self }
    }

    /// The path of a file on this machine that is written.
    pub const fn writes_here(self) -> Arg {
        Arg { writes_here: true, ..self }
    }
}

/// Which server; accepted by every tool, told once in the instructions.
pub const HOST: Arg = Arg::text("host", "which server, as list_servers shows it; `all` for lists");
/// How much to tell.
pub const RESPONSE_FORMAT: Arg =
    Arg::choice("response_format", "how much to tell", &["concise", "detailed"])
        .or(Default::Text("concise"));
/// Say what would happen, and do nothing.
pub const DRY_RUN: Arg =
    Arg::flag("dry_run", "only say what would happen").or(Default::Flag(false));
/// How long to wait for long work.
pub const TIMEOUT: Arg = Arg::int("timeout_seconds", "how long to wait for long work", 1, 86_400);

/// What an approved plan is carried out with.
pub const APPROVAL_TOKEN: Arg =
    Arg::text("approval_token", "of a plan that was approved, where changes need that").secret();

/// What the gate adds to every row.
pub const COMMON: &[Arg] = &[HOST, RESPONSE_FORMAT, DRY_RUN, TIMEOUT, APPROVAL_TOKEN];

/// A call's arguments, checked against their row.
pub struct Args {
    row: &'static [Arg],
    given: Object,
}

impl Args {
    /// Checks every argument; the error names the argument and what would be right.
    pub fn check(row: &'static [Arg], given: Object) -> Result<Args> {
        let mut checked = Object::new();
        for (name, value) in given {
            let arg = known(row, &name).ok_or_else(|| unknown(row, &name))?;
            if !matches!(value, Value::Null) {
                checked.insert(name, convert(arg, value)?);
            }
        }
        match row.iter().find(|arg| arg.required && !checked.contains_key(arg.name)) {
            None => Ok(Args { row, given: checked }),
            Some(arg) => Err(Error::usage(format!("`{}` is missing", arg.name))
                .hint(format!("It is required: {}", described(arg)))),
        }
    }

    /// The given arguments for the audit log: secrets left out, what was typed as its length.
    pub fn for_audit(&self) -> Object {
        let mut shown = Object::new();
        for (name, value) in &self.given {
            let value = match known(self.row, name) {
                Some(arg) if arg.secret => continue,
                Some(arg) if arg.measured => json::text(format!("<{} bytes>", bytes_in(value))),
                Some(_) => masked(value),
                None => continue,
            };
            shown.insert(name.clone(), value);
        }
        shown
    }

    /// The given arguments that an approval is for: all but those that change nothing about the deed.
    pub fn for_approval(&self) -> Object {
        let mut bound = self.given.clone();
        for arg in [APPROVAL_TOKEN, DRY_RUN, RESPONSE_FORMAT] {
            bound.remove(arg.name);
        }
        bound
    }

    /// A given argument that makes the tool write on this machine.
    pub fn written_here(&self) -> Option<&'static str> {
        let given = |arg: &&Arg| arg.writes_here && self.given.contains_key(arg.name);
        self.row.iter().find(given).map(|arg| arg.name)
    }

    fn get(&self, arg: Arg) -> Option<&Value> {
        debug_assert!(known(self.row, arg.name).is_some(), "`{}` is not in the row", arg.name);
        self.given.get(arg.name)
    }

    /// A text that is given or has a default.
    pub fn opt_text(&self, arg: Arg) -> Option<&str> {
        match (self.get(arg), arg.default) {
            (Some(Value::String(text)), _) => Some(text),
            (_, Default::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A text that is required or has a default.
    pub fn text(&self, arg: Arg) -> Result<&str> {
        self.opt_text(arg).ok_or_else(|| missing(arg))
    }

    /// A number that is given or has a default.
    pub fn opt_int(&self, arg: Arg) -> Option<i64> {
        match (self.get(arg).and_then(json::as_int), arg.default) {
            (Some(number), _) => Some(number),
            (None, Default::Int(number)) => Some(number),
            _ => None,
        }
    }

    /// A number that is required or has a default.
    pub fn int(&self, arg: Arg) -> Result<i64> {
        self.opt_int(arg).ok_or_else(|| missing(arg))
    }

    /// A switch that is given or has a default.
    pub fn opt_flag(&self, arg: Arg) -> Option<bool> {
        match (self.get(arg), arg.default) {
            (Some(Value::Bool(flag)), _) => Some(*flag),
            (_, Default::Flag(flag)) => Some(flag),
            _ => None,
        }
    }

    /// A switch; off when it is left out and has no default.
    pub fn flag(&self, arg: Arg) -> bool {
        self.opt_flag(arg).unwrap_or(false)
    }

    /// An object that is given.
    pub fn opt_object(&self, arg: Arg) -> Option<&Object> {
        match self.get(arg) {
            Some(Value::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// A list; empty when it is left out.
    pub fn texts(&self, arg: Arg) -> Vec<String> {
        let Some(Value::Array(items)) = self.get(arg) else { return Vec::new() };
        let text = |item: &Value| match item {
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        items.iter().filter_map(text).collect()
    }
}

/// The same value without the secrets that members of that name hold, at any depth, and without
/// those of URLs.
pub fn masked(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return match value {
            Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
            Value::String(text) => json::text(without_secrets(text)),
            other => other.clone(),
        };
    };
    // `{"key": "guestinfo.password", "value": ...}`: the secret is beside its name.
    let key = json::get_text(members, "key").unwrap_or_default();
    let paired = names_secret(key) || key.starts_with("guestinfo.");
    let mut shown = Object::new();
    for (name, value) in members {
        let hide = names_secret(name) || (paired && name == "value");
        let value = if hide { json::text("***") } else { masked(value) };
        shown.insert(name.clone(), value);
    }
    Value::Object(shown)
}

fn known(row: &'static [Arg], name: &str) -> Option<&'static Arg> {
    row.iter().chain(COMMON).find(|arg| arg.name == name)
}

fn missing(arg: Arg) -> Error {
    Error::usage(format!("`{}` is missing", arg.name))
}

fn unknown(row: &'static [Arg], name: &str) -> Error {
    let names: Vec<&str> = row.iter().chain(COMMON).map(|arg| arg.name).collect();
    let error = Error::usage(format!("unknown argument `{}`", crate::error::quoted(name)));
    match nearest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint(format!("Known: {}", names.join(", "))),
    }
}

fn described(arg: &Arg) -> &str {
    if arg.about.is_empty() { arg.name } else { arg.about }
}

fn convert(arg: &Arg, value: Value) -> Result<Value> {
    let wrong = |want: String, value: &Value| {
        Err(Error::usage(format!("`{}` must be {want}, not {}", arg.name, shown(value))))
    };
    match (arg.kind, value) {
        (Kind::Text, value @ Value::String(_)) => Ok(value),
        (Kind::Text, Value::Number(number)) => Ok(json::text(number.to_string())),
        (Kind::Text, value) => wrong("a text".into(), &value),
        (Kind::Flag, value @ Value::Bool(_)) => Ok(value),
        (Kind::Flag, value) => match &value {
            Value::String(text) if text == "true" => Ok(Value::Bool(true)),
            Value::String(text) if text == "false" => Ok(Value::Bool(false)),
            _ => wrong("true or false".into(), &value),
        },
        (Kind::Int { min, max }, value) => match whole(&value) {
            Some(number) if (min..=max).contains(&number) => Ok(json::int(number)),
            _ => wrong(format!("a whole number from {min} to {max}"), &value),
        },
        (Kind::Choice(words), value) => match &value {
            Value::String(text) if words.contains(&text.as_str()) => Ok(value),
            _ => wrong(format!("one of {}", words.join(", ")), &value),
        },
        (Kind::Object, value @ Value::Object(_)) => Ok(value),
        // A command line, and some models, send it as text.
        (Kind::Object, value) => match &value {
            Value::String(text) => match json::parse(text) {
                Ok(parsed @ Value::Object(_)) => Ok(parsed),
                Ok(other) => wrong("a JSON object".into(), &other),
                Err(_) if is_pairs(text) => Ok(Value::Object(pairs(text))),
                Err(error) => wrong(format!("a JSON object ({error})"), &value),
            },
            _ => wrong("a JSON object".into(), &value),
        },
        // Some models send the list as text.
        (Kind::Texts, Value::String(one)) => match json::parse(&one) {
            Ok(Value::Array(items)) if items.iter().all(is_text) => Ok(Value::Array(items)),
            _ => Ok(json::texts(&[one])),
        },
        (Kind::Texts, Value::Array(items)) => match items.iter().find(|item| !is_text(item)) {
            None => Ok(Value::Array(items)),
            Some(odd) => wrong("a list of texts".into(), odd),
        },
        (Kind::Texts, value) => wrong("a list of texts".into(), &value),
    }
}

/// Whether a text is `name=value,name=value`, as it is easily typed.
fn is_pairs(text: &str) -> bool {
    !text.trim_start().starts_with('{') && text.contains('=')
}

/// Its members; a part without `=` belongs to the value before it, which had a comma.
fn pairs(text: &str) -> Object {
    let mut members: Vec<(&str, String)> = Vec::new();
    for part in text.split(',') {
        match (part.split_once('='), members.last_mut()) {
            (Some((name, value)), _) => members.push((name.trim(), value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value},{part}"),
            (None, None) => {}
        }
    }
    let mut object = Object::new();
    for (name, value) in members {
        object.insert(name.to_owned(), json::text(value));
    }
    object
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::String(_))
}

/// Bytes of a text, or of all texts of a list.
fn bytes_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes_in).sum(),
        value => json::write(value).len(),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => json::as_int(value),
    }
}

/// A short form of the offending value, never a whole document.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= 40 => format!("`{text}`"),
        Value::String(text) => format!("`{}…`", text.chars().take(40).collect::<String>()),
        Value::Number(Number::F64(number)) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        value => json::sort(value).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Arg = Arg::text("name", "the machine").required();
    const CPU: Arg = Arg::int("cpu", "", 1, 128).or(Default::Int(2));
    const MODE: Arg = Arg::choice("mode", "", &["thin", "thick"]);
    const NAMES: Arg = Arg::texts("names", "");
    const ON: Arg = Arg::flag("on", "");
    static ROW: &[Arg] = &[NAME, CPU, MODE, NAMES, ON];

    fn check(text: &str) -> Result<Args> {
        match json::parse(text) {
            Ok(Value::Object(given)) => Args::check(ROW, given),
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn reads_what_was_given_and_defaults_for_the_rest() {
        let args = check(r#"{"name":"web","names":"db*","on":"true","mode":null}"#).unwrap();
        assert_eq!((args.text(NAME).unwrap(), args.int(CPU).unwrap()), ("web", 2));
        assert_eq!((args.texts(NAMES), args.flag(ON)), (vec!["db*".to_owned()], true));
        let names = |text: &str| check(text).unwrap().texts(NAMES);
        assert_eq!(names(r#"{"name":"web","names":"[\"a\",\"b*\"]"}"#), ["a", "b*"]);
        assert_eq!(names(r#"{"name":"web","names":"[ab]*"}"#), ["[ab]*"]);
        assert_eq!(args.opt_text(MODE), None);
        assert_eq!(check(r#"{"name":"a","cpu":"16"}"#).unwrap().int(CPU).unwrap(), 16);
    }

    #[test]
    fn an_object_is_json_or_typed_as_pairs() {
        const MAP: Arg = Arg::object("map", "");
        static MAPPED: &[Arg] = &[MAP];
        let read = |text: &str| {
            let given = json::object([("map", json::text(text))]);
            Args::check(MAPPED, given).map(|it| json::write_object(it.opt_object(MAP).unwrap()))
        };
        assert_eq!(read("VM Network=LAN, b=c=d").unwrap(), r#"{"VM Network":"LAN","b":"c=d"}"#);
        assert_eq!(read("dns=1.1.1.1,9.9.9.9,x=").unwrap(), r#"{"dns":"1.1.1.1,9.9.9.9","x":""}"#);
        assert_eq!(read(r#" {"a":"b=c"}"#).unwrap(), r#"{"a":"b=c"}"#);
        assert!(read("lost").is_err() && read(r#"["a=b"]"#).is_err());
    }

    #[test]
    fn secrets_within_objects_are_not_for_the_audit() {
        let url = masked(&json::text("https://u:p@x/a.ova?sig=1"));
        assert_eq!(json::write(&url), r#""https://***@x/a.ova?***""#);
        let value = json::parse(
            r#"{"spec":{"password":"a","auth":[{"chapSecret":"b","user":"c"}],
            "extraConfig":[{"key":"guestinfo.userdata","value":"d"},{"key":"n","value":"e"}]}}"#,
        );
        assert_eq!(
            json::write(&masked(&value.unwrap())),
            r#"{"spec":{"auth":[{"chapSecret":"***","user":"c"}],"extraConfig":[{"key":"guestinfo.userdata","value":"***"},{"key":"n","value":"e"}],"password":"***"}}"#
        );
    }

    #[test]
    fn says_what_would_be_right() {
        for (given, said) in [
            ("{}", "`name` is missing. It is required: the machine"),
            (
                r#"{"name":"a","memroy":1}"#,
                "unknown argument `memroy`. Known: name, cpu, mode, names, on, host, response_format, dry_run, timeout_seconds, approval_token",
            ),
            (r#"{"name":"a","cpus":1}"#, "unknown argument `cpus`. Did you mean `cpu`?"),
            (r#"{"name":"a","cpu":0}"#, "`cpu` must be a whole number from 1 to 128, not 0"),
            (
                r#"{"name":"a","cpu":"two"}"#,
                "`cpu` must be a whole number from 1 to 128, not `two`",
            ),
            (r#"{"name":"a","mode":"Thin"}"#, "`mode` must be one of thin, thick, not `Thin`"),
            (r#"{"name":["a"]}"#, "`name` must be a text, not an array"),
            (r#"{"name":"a","names":[1]}"#, "`names` must be a list of texts, not 1"),
            (r#"{"name":"a","on":"maybe"}"#, "`on` must be true or false, not `maybe`"),
        ] {
            assert_eq!(check(given).err().unwrap().to_string(), said, "{given}");
        }
    }

    #[test]
    fn the_audit_log_sees_no_secret_and_only_the_length_of_what_is_typed() {
        static TYPED: &[Arg] = &[
            NAME,
            Arg::text("password", "").secret(),
            Arg::text("command", "").measured(),
            Arg::texts("arguments", "").measured(),
        ];
        let given = r#"{"name":"a","password":"p","command":"höh","arguments":["ab","c"]}"#;
        let Ok(Value::Object(given)) = json::parse(given) else { panic!("{given}") };
        let shown = Args::check(TYPED, given).unwrap().for_audit();
        assert_eq!(
            json::write_object(&shown),
            r#"{"arguments":"<3 bytes>","command":"<4 bytes>","name":"a"}"#
        );
    }

    #[test]
    #[should_panic(expected = "not in the row")]
    fn reading_an_argument_that_the_row_lacks_fails_in_tests() {
        const OTHER: Arg = Arg::text("other", "");
        let _ = check(r#"{"name":"a"}"#).unwrap().opt_text(OTHER);
    }
}
