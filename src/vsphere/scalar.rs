//! Texts, numbers, truth values and bytes as they stand in XML, and how `anyType` names its types.
//!
//! Surprising: a text that is not what the schema promises (`abc` for an `int`) is kept as text,
//! since one odd value must not cost the whole answer.

use crate::text::base64;
use crate::vim::table::{Type, TypeKind};
use crate::vim::value::Value;

/// The text of a primitive, or nothing if the value does not fit the type of this name.
pub(crate) fn write(declared: &str, value: &Value) -> Option<String> {
    match (declared, value) {
        ("boolean", Value::Bool(flag)) => Some(flag.to_string()),
        ("byte", Value::Int(it)) => i8::try_from(*it).ok().map(|it| it.to_string()),
        ("short", Value::Int(it)) => i16::try_from(*it).ok().map(|it| it.to_string()),
        ("int", Value::Int(it)) => i32::try_from(*it).ok().map(|it| it.to_string()),
        ("long", Value::Int(it)) => Some(it.to_string()),
        ("float" | "double", Value::Int(it)) => Some(it.to_string()),
        ("float" | "double", Value::Float(it)) => Some(fraction(*it)),
        ("string" | "anyURI", Value::Text(text)) => Some(text.clone()),
        ("dateTime", Value::Text(text)) => is_time(text).then(|| text.clone()),
        ("base64Binary", Value::Binary(bytes)) => Some(base64::encode(bytes)),
        _ => None,
    }
}

fn fraction(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        _ => number.to_string(),
    }
}

/// `2024-01-31T10:20:30`, then a fraction, a zone, or nothing.
fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let (head, tail) = text.as_bytes().split_at(SHAPE.len().min(text.len()));
    let fits = |(have, want): (&u8, &u8)| match want {
        b'0' => have.is_ascii_digit(),
        _ => have == want,
    };
    head.len() == SHAPE.len()
        && head.iter().zip(SHAPE).all(fits)
        && tail.iter().all(|it| it.is_ascii_digit() || b".:+-Z".contains(it))
}

/// The value of a text that is declared to be of this type.
pub(crate) fn read(declared: Type, text: String) -> Value {
    let trimmed = text.trim();
    let found = match (declared.kind(), declared.name()) {
        (TypeKind::Enum, _) if !declared.values().any(|it| it == text) => {
            return Value::Typed(declared, Box::new(Value::Text(text)));
        }
        (_, "boolean") => match trimmed {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        (_, "byte" | "short" | "int" | "long") => trimmed.parse().ok().map(Value::Int),
        (_, "float" | "double") => trimmed.parse().ok().map(Value::Float),
        (_, "base64Binary") => base64::decode(trimmed).map(Value::Binary),
        _ => None,
    };
    found.unwrap_or(Value::Text(text))
}

/// Whether values of this type are one text without structure.
pub(crate) fn is_plain(ty: Type) -> bool {
    match ty.kind() {
        TypeKind::Enum => true,
        TypeKind::Primitive => !ty.is_named("anyType"),
        TypeKind::Data | TypeKind::Managed => false,
    }
}

/// A value out of `anyType`, with its type kept where writing it again would not restore it.
pub(crate) fn read_any(ty: Type, text: String) -> Value {
    match read(ty, text) {
        value @ Value::Typed(..) => value,
        value if own_type(&value) == Some(ty) => value,
        value => Value::Typed(ty, Box::new(value)),
    }
}

/// The type as which a bare value is written in `anyType`.
pub(crate) fn own_type(value: &Value) -> Option<Type> {
    let name = match value {
        Value::Typed(ty, _) => return Some(*ty),
        Value::Object(object) => return object.ty(),
        Value::Bool(_) => "boolean",
        Value::Int(number) if i32::try_from(*number).is_ok() => "int",
        Value::Int(_) => "long",
        Value::Float(_) => "double",
        Value::Text(_) => "string",
        Value::Binary(_) => "base64Binary",
        Value::Ref(_) => "ManagedObject",
        Value::Null | Value::List(_) => return None,
    };
    Type::find(name)
}

/// The nearest type that all items are of; of no items, `anyType`.
pub(crate) fn common_type(items: &[Value]) -> Option<Type> {
    let mut all = items.iter().map(own_type);
    let Some(first) = all.next() else {
        return Type::find("anyType");
    };
    all.try_fold(first?, |common, next| join(common, next?))
}

fn join(one: Type, other: Type) -> Option<Type> {
    let wider = |it: Type| it.is_named("int") || it.is_named("long");
    match wider(one) && wider(other) && one != other {
        true => Type::find("long"),
        false => one.classes().into_iter().rev().find(|it| other.is_a(*it)),
    }
}

/// The wrapper's type and the element for a list inside `anyType`.
pub(crate) fn array_names(item: Type) -> (String, &'static str) {
    let element = match item.kind() {
        TypeKind::Managed => "ManagedObjectReference",
        _ => item.name(),
    };
    let (first, rest) = element.split_at(1);
    (format!("ArrayOf{}{rest}", first.to_ascii_uppercase()), element)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::arrays::array_item;

    fn ty(name: &str) -> Type {
        Type::find(name).unwrap()
    }

    #[test]
    fn widths_and_times_are_checked() {
        assert_eq!(write("int", &Value::Int(1 << 31)), None);
        assert_eq!(write("byte", &Value::Int(-128)).as_deref(), Some("-128"));
        assert_eq!(write("long", &Value::Int(1 << 31)).as_deref(), Some("2147483648"));
        let time = |text: &str| write("dateTime", &text.into()).is_some();
        assert!(time("2024-01-31T10:20:30.123456Z") && time("2024-01-31T10:20:30+02:00"));
        assert!(!time("yesterday") && !time("2024-01-31") && !time("2024-01-31T10:20:30 é"));
        assert_eq!(write("float", &Value::Float(f64::INFINITY)).as_deref(), Some("INF"));
    }

    #[test]
    fn odd_texts_are_kept() {
        let of = |name, text: &str| read(ty(name), text.into());
        assert_eq!(of("int", "abc"), "abc".into());
        assert_eq!(of("long", "99999999999999999999"), "99999999999999999999".into());
        assert_eq!((of("boolean", "1"), of("boolean", " false ")), (true.into(), false.into()));
        assert_eq!(of("boolean", "yes"), "yes".into());
        assert_eq!(of("double", "INF"), Value::Float(f64::INFINITY));
        assert_eq!(of("VirtualMachinePowerState", "poweredOn"), "poweredOn".into());
        assert_eq!(of("VirtualMachinePowerState", "").as_text(), Some(""));
    }

    #[test]
    fn arrays_in_any_type() {
        assert_eq!(array_names(ty("string")), ("ArrayOfString".into(), "string"));
        let refs = ("ArrayOfManagedObjectReference".into(), "ManagedObjectReference");
        assert_eq!(array_names(ty("HostSystem")), refs);
        assert_eq!(array_item("ArrayOfString"), Some(ty("string")));
        assert_eq!(array_item("ArrayOfVirtualDevice"), Some(ty("VirtualDevice")));
        assert_eq!(
            (array_item("ArrayOf"), array_item("ArrayOfé"), array_item("X")),
            (None, None, None)
        );
        let common = |items: Value| common_type(items.items());
        assert_eq!(common([1i64, 1 << 40].into()), Some(ty("long")));
        assert_eq!(common(Value::List(vec![1.into(), "a".into()])), None);
    }
}
