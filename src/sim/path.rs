//! Property paths: `config.hardware.device[2000].backing`, walked through values.
//!
//! Whether a path is valid is the schema's affair; here only what is there counts.

use crate::vim::value::Value;

/// The first part and the rest; a key belongs to the rest.
pub fn root(path: &str) -> (&str, &str) {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (root, rest) = path.split_at(end);
    (root, rest.strip_prefix('.').unwrap_or(rest))
}

/// The value at the rest of a path; the value itself where nothing is left.
pub fn walk(value: &Value, path: &str) -> Option<Value> {
    find(value, path).cloned()
}

fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if path.is_empty() {
        return (*value != Value::Null).then_some(value);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (key, rest) = rest.split_once(']')?;
        let key = key.trim_matches('"');
        let item = value.items().iter().find(|it| has_key(it, key))?;
        return find(item, rest.strip_prefix('.').unwrap_or(rest));
    }
    let (word, rest) = root(path);
    find(value.get(word)?, rest)
}

/// Items are found by their key; managed objects by their id.
fn has_key(item: &Value, key: &str) -> bool {
    match item.get("key").map(Value::plain) {
        Some(Value::Int(number)) => key.parse() == Ok(*number),
        Some(Value::Text(text)) => text == key,
        _ => item.as_reference().is_some_and(|it| it.id == key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::value::Object;

    #[test]
    fn keys_and_parts_are_walked() {
        let disk = Object::new("VirtualDisk").with("key", 2000).with("capacityInKB", 5);
        let hardware = Object::new("VirtualHardware").with("device", vec![disk]);
        let value: Value =
            Object::new("VirtualMachineConfigInfo").with("hardware", hardware).into();
        assert_eq!(root("config.hardware"), ("config", "hardware"));
        assert_eq!(root("device[2000].key"), ("device", "[2000].key"));
        assert_eq!(walk(&value, "hardware.device[2000].capacityInKB"), Some(Value::Int(5)));
        assert_eq!(walk(&value, "hardware.device[2001]"), None);
        assert_eq!(walk(&value, "hardware.nothing"), None);
    }
}
