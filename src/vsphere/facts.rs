//! What an object tells, by tables: name of the fact, path of the property, how it is read.
//!
//! One reader serves every table, so that a fact costs a line of data and no code. It knows no
//! type of object. Surprising: what is absent is left out, because an older or a disconnected
//! server tells less, and zero would be a lie.

use crate::hv::places::Fact;
use crate::vim::value::{Object, Value};

/// How a value is read.
#[derive(Clone, Copy)]
pub enum Read {
    Text,
    Number,
    Flag,
    /// A number, or `unlimited` for the -1 that the API writes.
    Limit,
    /// Bytes to whole MB.
    Megabytes,
    /// Bytes to whole GB.
    Gigabytes,
    /// How many there are of a list.
    Count,
    Texts,
    /// Keys such as `key-vim.host.PhysicalNic-vmnic0`, without what stands before the name.
    Keys,
    /// A list of objects, each by a table of its own.
    Rows(&'static [Field]),
}

/// Name of the fact, path of the property, how it is read.
pub type Field = (&'static str, &'static str, Read);

/// What a fact says.
pub enum Told {
    Plain(Fact),
    Texts(Vec<String>),
    Rows(Vec<Facts>),
}

/// Facts in the order to show them.
pub type Facts = Vec<(&'static str, Told)>;

/// A text as a fact.
pub fn text(text: impl Into<String>) -> Told {
    Told::Plain(Fact::Text(text.into()))
}

/// A number as a fact.
pub fn number(number: i64) -> Told {
    Told::Plain(Fact::Number(number))
}

/// The facts of a table; `get` finds the value at a path.
pub fn facts<'a>(fields: &[Field], get: &dyn Fn(&str) -> Option<&'a Value>) -> Facts {
    let told = |(name, path, read): &Field| Some((*name, told(get(path)?, *read)?));
    fields.iter().filter_map(told).collect()
}

/// The facts of each object of a list.
pub fn rows(fields: &[Field], items: &[Value]) -> Vec<Facts> {
    let facts = |it: &Object| facts(fields, &|path| it.get(path));
    items.iter().filter_map(Value::as_object).map(facts).collect()
}

/// What one value tells.
pub fn told(value: &Value, read: Read) -> Option<Told> {
    let texts = || value.items().iter().filter_map(Value::as_text);
    Some(match read {
        Read::Text => text(value.as_text().filter(|it| !it.is_empty())?),
        Read::Limit if value.as_int()? < 0 => text("unlimited"),
        Read::Limit | Read::Number => number(value.as_int()?),
        Read::Flag => Told::Plain(Fact::Flag(value.as_bool()?)),
        Read::Megabytes => number(value.as_int()? >> 20),
        Read::Gigabytes => number(value.as_int()? >> 30),
        Read::Count => number(i64::try_from(value.items().len()).unwrap_or(i64::MAX)),
        Read::Texts => Told::Texts(texts().map(str::to_owned).collect()),
        Read::Keys => Told::Texts(texts().map(|it| name_of_key(it).to_owned()).collect()),
        Read::Rows(fields) => Told::Rows(rows(fields, value.items())),
    })
}

/// `vmnic0` of `key-vim.host.PhysicalNic-vmnic0`, whatever stands before it.
pub fn name_of_key(key: &str) -> &str {
    let rest = key.split_once("key-vim.host.").and_then(|(_, rest)| rest.split_once('-'));
    rest.map_or(key, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_by_the_name_in_them() {
        for (key, name) in [
            ("key-vim.host.PhysicalNic-vmnic0", "vmnic0"),
            ("management.key-vim.host.VirtualNic-vmk0", "vmk0"),
            ("something else", "something else"),
        ] {
            assert_eq!(name_of_key(key), name);
        }
    }

    #[test]
    fn values_are_told_in_the_units_of_their_names() {
        let said = |value: Value, read| match told(&value, read) {
            Some(Told::Plain(fact)) => Some(fact),
            _ => None,
        };
        assert_eq!(said(Value::Int(-1), Read::Limit), Some(Fact::Text("unlimited".to_owned())));
        assert_eq!(said(Value::Int(0), Read::Limit), Some(Fact::Number(0)));
        assert_eq!(said(Value::Int(5 << 20), Read::Megabytes), Some(Fact::Number(5)));
        assert_eq!(said(Value::from("x"), Read::Number), None);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let object = Object::new("HostDnsConfig").with("hostName", "a").with("domainName", "");
        let fields: &[Field] = &[
            ("name", "hostName", Read::Text),
            ("domain", "domainName", Read::Text),
            ("dhcp", "dhcp", Read::Flag),
        ];
        let names: Vec<&str> =
            facts(fields, &|path| object.get(path)).into_iter().map(|it| it.0).collect();
        assert_eq!(names, ["name"]);
    }
}
