//! Properties of a server's objects as fields of an answer, by tables.
//!
//! It knows no tool and no type. Surprising: the API writes "no limit" as -1, which no reader
//! should have to know.

use crate::text::json;
use crate::tools::reply::Record;
use crate::vim::value::Value;
use crate::vsphere::inventory::deep;
use crate::vsphere::props::Row;

/// How a property is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    Flag,
    /// A number, or `unlimited` for -1.
    Limit,
    /// Bytes to whole MB.
    Megabytes,
    Number,
    Text,
}

/// A field's name, the property's path, and how it is shown.
pub type Fact = (&'static str, &'static str, As);

/// Adds what the row has of these; what could not be read is left out.
pub fn add(record: Record, row: &Row, facts: &[Fact]) -> Record {
    facts.iter().fold(record, |record, (name, path, how)| {
        match deep(row, path).and_then(|value| shown(value, *how)) {
            Some(value) => record.value(name, value),
            None => record,
        }
    })
}

fn shown(value: &Value, how: As) -> Option<json::Value> {
    Some(match how {
        As::Flag => json::Value::Bool(value.as_bool()?),
        As::Limit if value.as_int()? < 0 => json::text("unlimited"),
        As::Limit | As::Number => json::int(value.as_int()?),
        As::Megabytes => json::int(value.as_int()? >> 20),
        As::Text => json::text(value.as_text()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_the_units_of_their_names() {
        let told = |value: Value, how| shown(&value, how).map(|it| json::write(&it));
        assert_eq!(told(Value::Int(-1), As::Limit).as_deref(), Some("\"unlimited\""));
        assert_eq!(told(Value::Int(0), As::Limit).as_deref(), Some("0"));
        assert_eq!(told(Value::Int(5 << 20), As::Megabytes).as_deref(), Some("5"));
        assert_eq!(told(Value::from("x"), As::Number), None);
    }
}
