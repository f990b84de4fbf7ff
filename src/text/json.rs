//! JSON in and out: guarded parsing that says what is wrong and where, and small builders.
//!
//! miniserde does the parsing; it neither recurses nor explains. Its `Value`, though, overflows the
//! stack when a deep one is cloned or printed, so nothing deeper than [`MAX_DEPTH`] gets in.
//! Surprising: an object's keys come out sorted, and `{:?}` of a value is never used.

use miniserde::json;
pub use miniserde::json::{Array, Number, Object, Value};

/// Deepest nesting that is accepted.
pub const MAX_DEPTH: u32 = 64;

/// Reads one JSON value; the error says line, column and what was expected there.
pub fn parse(text: &str) -> Result<Value, String> {
    if too_deep(text) {
        return Err(format!("nested deeper than {MAX_DEPTH} levels"));
    }
    json::from_str(text).map_err(|_| crate::text::explain::json_error(text))
}

/// The same where a name may stand only once in an object, for what is signed: two readers that
/// take one the first and one the last of two members would not see the same document.
pub fn parse_once(text: &str) -> Result<Value, String> {
    let value = parse(text)?;
    // Each colon outside of strings is a member; those that were written over are missing.
    match colons(text) == members(&value) {
        true => Ok(value),
        false => Err("a name stands twice in an object".to_owned()),
    }
}

fn members(value: &Value) -> usize {
    match value {
        Value::Array(all) => all.iter().map(members).sum(),
        Value::Object(all) => all.values().map(|it| 1 + members(it)).sum(),
        _ => 0,
    }
}

/// The compact text of a value.
pub fn write(value: &Value) -> String {
    json::to_string(value)
}

/// The compact text of an object.
pub fn write_object(object: &Object) -> String {
    json::to_string(object)
}

/// A JSON string with its quotes.
pub fn quote(text: &str) -> String {
    json::to_string(text)
}

/// An object of these members.
pub fn object<const N: usize>(members: [(&str, Value); N]) -> Object {
    let mut object = Object::new();
    for (name, value) in members {
        object.insert(name.to_owned(), value);
    }
    object
}

/// A string value.
pub fn text(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

/// A whole number.
pub fn int(number: i64) -> Value {
    Value::Number(match u64::try_from(number) {
        Ok(natural) => Number::U64(natural),
        Err(_) => Number::I64(number),
    })
}

/// An array of strings.
pub fn texts<S: AsRef<str>>(all: &[S]) -> Value {
    Value::Array(all.iter().map(|it| text(it.as_ref())).collect())
}

/// The string member `name`.
pub fn get_text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    match object.get(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

/// The object member `name`.
pub fn get_object<'a>(object: &'a Object, name: &str) -> Option<&'a Object> {
    match object.get(name) {
        Some(Value::Object(inner)) => Some(inner),
        _ => None,
    }
}

/// A whole number as JSON Schema means it: 3, 3.0 and 3e0 all count.
pub fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(Number::U64(n)) => i64::try_from(*n).ok(),
        Value::Number(Number::I64(n)) => Some(*n),
        Value::Number(Number::F64(f)) if f.fract() == 0.0 && f.abs() < 9.0e15 => Some(*f as i64),
        _ => None,
    }
}

/// What sort of value this is, with its article, for messages.
pub fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The bytes outside of strings, which need not be JSON yet.
fn unquoted(text: &str) -> impl Iterator<Item = u8> {
    let (mut quoted, mut escaped) = (false, false);
    text.bytes().filter(move |byte| {
        let inside = quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !inside
    })
}

fn colons(text: &str) -> usize {
    unquoted(text).filter(|byte| *byte == b':').count()
}

/// Counts brackets outside strings, before anything is built.
fn too_deep(text: &str) -> bool {
    let mut depth = 0u32;
    unquoted(text).any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded_before_anything_is_built() {
        assert!(parse(&"[".repeat(1_000_000)).unwrap_err().contains("deeper"));
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        assert!(parse("\"[[[[[[\\\"[[\"").is_ok());
    }

    #[test]
    fn a_name_stands_once_however_it_is_spelt() {
        for text in ["{}", "[1,\":\",{\"a\":{\"a\":\"\\\":\"},\"b\":[{\"a\":1},{\"a\":1}]}]"] {
            assert!(parse_once(text).is_ok(), "{text}");
        }
        for text in ["{\"a\":1,\"a\":1}", "[{\"x\":{\"iss\":1,\"i\\u0073s\":2}}]", "{\"a\":1"] {
            assert!(parse_once(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whole_numbers_in_any_spelling() {
        let read = |text: &str| as_int(&parse(text).unwrap());
        assert_eq!(
            (read("3"), read("3.0"), read("3e0"), read("-7")),
            (Some(3), Some(3), Some(3), Some(-7))
        );
        assert_eq!((read("3.5"), read("18446744073709551615"), read("\"3\"")), (None, None, None));
    }
}
