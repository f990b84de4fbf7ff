//! The names that lists have inside `anyType`: `ArrayOfString`, `ArrayOfManagedObjectReference`.

use std::borrow::Cow;

use crate::vim::table::Type;

/// The item's type of `ArrayOfX`, if the schema has it.
pub(crate) fn array_item(wrapper: &str) -> Option<Type> {
    let item = wrapper.strip_prefix("ArrayOf")?;
    if item == "ManagedObjectReference" {
        return Type::find("ManagedObject");
    }
    let lower: Cow<str> = match item.chars().next() {
        Some(first) => {
            format!("{}{}", first.to_ascii_lowercase(), &item[first.len_utf8()..]).into()
        }
        None => item.into(),
    };
    Type::find(item).or_else(|| Type::find(&lower))
}
