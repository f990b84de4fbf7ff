//! Texts of primitives and enums, strictly: what a host would not take is not read, and what it
//! would not say is not written.
//!
//! It knows nothing of elements. Surprising: a time stays the text that it came as, because its
//! zone and its fraction are the client's.

use crate::error::Error;
use crate::error::Result;
use crate::text::base64;
use crate::text::xml;
use crate::vim::table::Type;
use crate::vim::table::TypeKind;
use crate::vim::value::Value;

/// The numbers that a whole-number type holds; nothing for other types.
fn range(ty: Type) -> Option<(i64, i64)> {
    Some(match ty.name() {
        "byte" => (i8::MIN.into(), i8::MAX.into()),
        "short" => (i16::MIN.into(), i16::MAX.into()),
        "int" => (i32::MIN.into(), i32::MAX.into()),
        "long" => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// The value that a text stands for; nothing where the type has no such value.
pub fn read(ty: Type, text: &str) -> Option<Value> {
    let bare = text.trim_matches([' ', '\t', '\n', '\r']);
    if ty.kind() == TypeKind::Enum {
        return ty.values().any(|it| it == text).then(|| Value::Text(text.to_owned()));
    }
    if let Some((least, most)) = range(ty) {
        let number: i64 = bare.parse().ok()?;
        return (least <= number && number <= most).then_some(Value::Int(number));
    }
    match ty.name() {
        "boolean" => match bare {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        "float" | "double" => float(bare).map(Value::Float),
        "base64Binary" => base64::decode(text).map(Value::Binary),
        "dateTime" => is_time(bare).then(|| Value::Text(bare.to_owned())),
        "string" | "anyURI" => Some(Value::Text(text.to_owned())),
        _ => None,
    }
}

/// XML names the endless ones its own way and knows no other words.
fn float(text: &str) -> Option<f64> {
    match text {
        "INF" => Some(f64::INFINITY),
        "-INF" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ if text.bytes().any(|it| it.is_ascii_alphabetic() && !matches!(it, b'e' | b'E')) => None,
        _ => text.parse().ok(),
    }
}

/// `2026-01-31T10:20:30`, with any fraction, and `Z` or `+02:00` or no zone.
pub fn is_time(text: &str) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let Some((head, tail)) = bytes.split_at_checked(SHAPE.len()) else { return false };
    if !shaped(head, SHAPE) {
        return false;
    }
    let number = |from: usize, upto: usize| {
        head[from..upto].iter().fold(0, |sum, it| sum * 10 + u32::from(it - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    let clock = number(11, 13) < 24 && number(14, 16) < 60 && number(17, 19) < 60;
    let zone = match tail.strip_prefix(b".") {
        None => tail,
        Some(rest) => {
            let digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &rest[digits..]
        }
    };
    let zoned = match zone {
        b"" | b"Z" => true,
        [b'+' | b'-', offset @ ..] => {
            shaped(offset, b"dd:dd") && offset <= b"14:00".as_slice() && offset[3] < b'6'
        }
        _ => false,
    };
    (1..=days).contains(&day) && clock && zoned
}

fn shaped(text: &[u8], shape: &[u8]) -> bool {
    let fits = |(it, like): (&u8, &u8)| it == like || (*like == b'd' && it.is_ascii_digit());
    text.len() == shape.len() && text.iter().zip(shape).all(fits) && !text.contains(&b'd')
}

/// Adds the text of a value; an error says that the type has no such value.
pub fn write(out: &mut String, ty: Type, value: &Value) -> Result<()> {
    let wrong = || Error::bug(format!("{value:.80?} is no {}", ty.name()));
    let text = match (ty.kind(), value) {
        (TypeKind::Enum, Value::Text(text)) if ty.values().any(|it| it == text) => text,
        (TypeKind::Primitive, Value::Text(text)) => match ty.name() {
            "string" | "anyURI" => text,
            "dateTime" if is_time(text) => text,
            _ => return Err(wrong()),
        },
        (TypeKind::Primitive, Value::Bool(flag)) if ty.is_named("boolean") => {
            out.push_str(if *flag { "true" } else { "false" });
            return Ok(());
        }
        (TypeKind::Primitive, Value::Int(number)) => {
            let fits = range(ty).is_some_and(|(least, most)| least <= *number && *number <= most);
            if !fits && !matches!(ty.name(), "float" | "double") {
                return Err(wrong());
            }
            out.push_str(&number.to_string());
            return Ok(());
        }
        (TypeKind::Primitive, Value::Float(number)) if matches!(ty.name(), "float" | "double") => {
            match number.is_infinite() {
                true => out.push_str(if *number > 0.0 { "INF" } else { "-INF" }),
                false => out.push_str(&number.to_string()),
            }
            return Ok(());
        }
        (TypeKind::Primitive, Value::Binary(bytes)) if ty.is_named("base64Binary") => {
            out.push_str(&base64::encode(bytes));
            return Ok(());
        }
        _ => return Err(wrong()),
    };
    escape(out, text)
}

/// Adds a text; most have nothing to escape.
pub fn escape(out: &mut String, text: &str) -> Result<()> {
    if text.bytes().all(|it| (b' '..0x7f).contains(&it) && !matches!(it, b'&' | b'<' | b'>')) {
        out.push_str(text);
        return Ok(());
    }
    xml::escape(out, text, false)
}
