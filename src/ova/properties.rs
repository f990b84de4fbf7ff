//! The settings of an appliance: what was given, held against what the descriptor asks for.
//!
//! A wrong setting shows only when the guest has started, on a console that nobody watches; so each
//! is checked before. Source: DSP0243 section 9.5, and the types that VMware added. Surprising: a
//! boolean must be `True` or `False`; and a value that may be a password is never repeated.

use crate::error::{Error, Kind, Result, quoted};
use crate::ova::ovf::{Descriptor, Property};
use crate::text::nearest::nearest;
use crate::text::secret::names_secret;

/// Keys that an error lists.
const MOST_SHOWN: usize = 12;

/// What the guest will see of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// `class.key.instance`, with the parts that there are.
    pub key: String,
    pub value: String,
    /// The caller chose it; else it is the descriptor's default.
    pub given: bool,
}

/// Every property that has a value with this deployment option, in the descriptor's order.
pub fn settle(
    descriptor: &Descriptor,
    option: Option<&str>,
    given: &[(String, String)],
) -> Result<Vec<Chosen>> {
    let all = &descriptor.properties;
    let mut values: Vec<Option<&str>> = vec![None; all.len()];
    for (key, value) in given {
        let at = find(all, key)?;
        let (Some(property), Some(place)) = (all.get(at), values.get_mut(at)) else { continue };
        if !property.user_configurable {
            let said = format!("the property `{}` is not for users to set", quoted(&property.key));
            return Err(Error::usage(said).hint("inspect_ova shows which are"));
        }
        if place.is_some() {
            let said = format!("the property `{}` is given twice", quoted(&property.key));
            return Err(Error::usage(said).hint("Once by its full key, once by a part of it?"));
        }
        *place = Some(value);
    }
    let (mut chosen, mut missing) = (Vec::new(), Vec::new());
    for (property, given) in all.iter().zip(values) {
        let value = given.or_else(|| property.default_in(option));
        if is_required(property) && value.is_none_or(str::is_empty) {
            missing.push(property.key.as_str());
            continue;
        }
        let Some(value) = value else { continue };
        let value = match given {
            Some(value) => checked(property, value)?,
            None => boolean(property, value).unwrap_or(value).to_owned(),
        };
        chosen.push(Chosen { key: property.key.clone(), value, given: given.is_some() });
    }
    match missing.is_empty() {
        true => Ok(chosen),
        false => Err(Error::usage(format!("the appliance needs properties: {}", some(&missing)))
            .hint("Pass properties={\"KEY\":\"VALUE\"}; inspect_ova says what they mean")),
    }
}

/// Whether it must have a value and the descriptor has none.
pub fn is_required(property: &Property) -> bool {
    let least = qualifier(property, "MinLen").is_some_and(|it| it >= 1.0);
    property.user_configurable && least && property.default.as_deref().is_none_or(str::is_empty)
}

/// Whether its value is nobody's business.
pub fn is_secret(property: &Property) -> bool {
    property.password || property.kind.starts_with("password") || names_secret(&property.key)
}

/// The values to choose from; none where any will do.
pub fn choices(property: &Property) -> Vec<&str> {
    let qualifiers = property.qualifiers.as_deref().unwrap_or_default();
    // VMware writes them into the type as well: `string["a", "b"]`.
    for (text, open, close) in [(qualifiers, "ValueMap{", '}'), (&property.kind, "[", ']')] {
        let inner = text.split_once(open).and_then(|(_, rest)| rest.rsplit_once(close));
        if let Some((inner, _)) = inner {
            return inner.split('"').skip(1).step_by(2).collect();
        }
    }
    Vec::new()
}

/// The property of this key, or of this part of one.
fn find(all: &[Property], key: &str) -> Result<usize> {
    if let Some(at) = all.iter().position(|it| it.key == key) {
        return Ok(at);
    }
    let part = |it: &Property| {
        let rest = it.key.match_indices(key);
        rest.into_iter().any(|(at, _)| {
            let before = it.key[..at].ends_with('.') || at == 0;
            let behind = &it.key[at + key.len()..];
            before && (behind.is_empty() || behind.starts_with('.'))
        })
    };
    let found: Vec<usize> = match key.is_empty() {
        true => Vec::new(),
        false => all.iter().enumerate().filter(|(_, it)| part(it)).map(|(at, _)| at).collect(),
    };
    match found[..] {
        [at] => Ok(at),
        [] => Err(unknown(all, key)),
        _ => {
            let keys: Vec<&str> =
                found.iter().filter_map(|at| all.get(*at)).map(|it| it.key.as_str()).collect();
            let said = format!("`{}` may be several properties", quoted(key));
            Err(Error::new(Kind::Conflict, said).hint(format!("Say which: {}", some(&keys))))
        }
    }
}

fn unknown(all: &[Property], key: &str) -> Error {
    let error = Error::usage(format!("the appliance has no property `{}`", quoted(key)));
    let keys: Vec<&str> =
        all.iter().filter(|it| it.user_configurable).map(|it| it.key.as_str()).collect();
    let last = |it: &&str| it.rsplit('.').next().is_some_and(|it| nearest(key, [it]).is_some());
    let near = nearest(key, keys.iter().copied()).or(keys.iter().copied().find(last));
    match (near, keys.is_empty()) {
        (Some(near), _) => error.hint(format!("Did you mean `{}`?", quoted(near))),
        (None, true) => error.hint("It has none that can be set"),
        (None, false) => error.hint(format!("It has {}", some(&keys))),
    }
}

fn some(keys: &[&str]) -> String {
    let mut shown: Vec<String> =
        keys.iter().take(MOST_SHOWN).map(|it| quoted(it).to_string()).collect();
    if let Some(more @ 1..) = keys.len().checked_sub(MOST_SHOWN) {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// A number that a qualifier such as `MinLen(1)` holds.
fn qualifier(property: &Property, name: &str) -> Option<f64> {
    let (_, rest) = property.qualifiers.as_deref()?.split_once(name)?;
    let (number, _) = rest.trim_start().strip_prefix('(')?.split_once(')')?;
    number.trim().parse().ok()
}

/// The word of a boolean.
fn boolean(property: &Property, value: &str) -> Option<&'static str> {
    if property.kind != "boolean" {
        return None;
    }
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some("True"),
        "false" | "0" | "no" | "off" => Some("False"),
        _ => None,
    }
}

/// The value as the guest wants it.
fn checked(property: &Property, value: &str) -> Result<String> {
    let wrong = |want: String| {
        let found = match is_secret(property) {
            true => "what was given".to_owned(),
            false => format!("`{}`", quoted(value)),
        };
        let key = quoted(&property.key);
        Err(Error::usage(format!("the property `{key}` must be {want}, not {found}")))
    };
    // XML has no way to write the others.
    if value.chars().any(|it| it.is_control() && !"\t\r\n".contains(it)) {
        return wrong("without control characters".to_owned());
    }
    if let Some(word) = boolean(property, value) {
        return Ok(word.to_owned());
    }
    let choices = choices(property);
    if !choices.is_empty() && !choices.contains(&value) {
        return wrong(format!("one of {}", some(&choices)));
    }
    // `string(1..20)`, `int(0..10)`, `ip:network` and so on.
    let end = property.kind.find(['(', '[', ':']).unwrap_or(property.kind.len());
    let kind = &property.kind[..end];
    let (low, high) = range(kind, &property.kind[end..], property);
    let is_text = matches!(kind, "string" | "password");
    if value.is_empty() && !is_text {
        return Ok(String::new());
    }
    let measure = match kind {
        "boolean" => return wrong("True or False".to_owned()),
        "ip" if value.parse::<std::net::IpAddr>().is_err() => {
            return wrong("an IP address".to_owned());
        }
        "string" if has_word(property, "Ip") && !value.is_empty() => {
            match value.parse::<std::net::IpAddr>() {
                Ok(_) => return Ok(value.to_owned()),
                Err(_) => return wrong("an IP address".to_owned()),
            }
        }
        "real" | "real32" | "real64" => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => return wrong("a number".to_owned()),
        },
        "int" | "uint8" | "uint16" | "uint32" | "uint64" | "sint8" | "sint16" | "sint32"
        | "sint64" => match value.parse::<i128>() {
            Ok(number) => number as f64,
            Err(_) => return wrong("a whole number".to_owned()),
        },
        _ if is_text => value.chars().count() as f64,
        _ => return Ok(value.to_owned()),
    };
    let unit = if is_text { " characters long" } else { "" };
    if measure < low || measure > high {
        return wrong(match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("from {low} to {high}{unit}"),
            (true, false) => format!("at least {low}{unit}"),
            _ => format!("at most {high}{unit}"),
        });
    }
    Ok(value.to_owned())
}

fn has_word(property: &Property, word: &str) -> bool {
    let words = property.qualifiers.as_deref().unwrap_or_default();
    words.split([' ', ',']).any(|it| it == word)
}

/// The least and the most: of the type, of what stands behind it, and of the qualifiers.
fn range(kind: &str, behind: &str, property: &Property) -> (f64, f64) {
    let bits = kind.trim_start_matches(|it: char| it.is_ascii_alphabetic()).parse::<i32>().ok();
    let (mut low, mut high) = match (kind.as_bytes().first(), bits) {
        (Some(b'u'), Some(bits)) => (0.0, 2_f64.powi(bits) - 1.0),
        (Some(b's'), Some(bits)) => (-(2_f64.powi(bits - 1)), 2_f64.powi(bits - 1) - 1.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let inner = behind.strip_prefix('(').and_then(|it| it.split_once(')')).map(|it| it.0);
    let (from, to) = inner.and_then(|it| it.split_once("..")).unwrap_or_default();
    let text = matches!(kind, "string" | "password");
    let (least, most) = if text { ("MinLen", "MaxLen") } else { ("MinValue", "MaxValue") };
    for number in [from.trim().parse().ok(), qualifier(property, least)].into_iter().flatten() {
        low = low.max(number);
    }
    for number in [to.trim().parse().ok(), qualifier(property, most)].into_iter().flatten() {
        high = high.min(number);
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn property(key: &str, kind: &str, default: Option<&str>, qualifiers: &str) -> Property {
        Property {
            key: key.to_owned(),
            kind: kind.to_owned(),
            default: default.map(str::to_owned),
            defaults: Vec::new(),
            category: None,
            label: None,
            description: None,
            user_configurable: true,
            password: key.contains("pw"),
            qualifiers: Some(qualifiers.to_owned()),
        }
    }

    fn all() -> Descriptor {
        let mut fixed = property("a.fixed", "string", Some("x"), "");
        fixed.user_configurable = false;
        let mut size = property("a.size.1", "uint8", Some("1"), "");
        size.defaults = vec![("large".to_owned(), "9".to_owned())];
        let properties = vec![
            property("guestinfo.hostname", "string", Some(""), "MinLen(1) MaxLen(8)"),
            property("guestinfo.ip0", "string", Some(""), "Ip"),
            property("b.ssh", "boolean", Some("false"), ""),
            property("b.mode", "string", Some("a"), r#"ValueMap{"a","b, c"}"#),
            property("b.old", r#"string["x", "y"]"#, Some("x"), ""),
            property("b.pw", "string", None, "MinLen(8)"),
            property("c.hostname", "int(2..5)", None, ""),
            fixed,
            size,
        ];
        Descriptor { properties, ..Descriptor::default() }
    }

    fn settled(option: Option<&str>, given: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let given: Vec<_> = given.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let chosen = settle(&all(), option, &given)?;
        Ok(chosen.into_iter().map(|it| (it.key, it.value)).collect())
    }

    const GOOD: [(&str, &str); 2] = [("guestinfo.hostname", "web"), ("pw", "longenough")];

    #[test]
    fn what_is_given_and_the_defaults_of_the_option_in_the_descriptors_order() {
        let found = settled(None, &[&GOOD[..], &[("ssh", "yes"), ("mode", "b, c")]].concat());
        let found = found.unwrap();
        let wanted = [
            ("guestinfo.hostname", "web"),
            ("guestinfo.ip0", ""),
            ("b.ssh", "True"),
            ("b.mode", "b, c"),
            ("b.old", "x"),
            ("b.pw", "longenough"),
            ("a.fixed", "x"),
            ("a.size.1", "1"),
        ];
        assert_eq!(found, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let found = settled(Some("large"), &GOOD).unwrap();
        assert_eq!(found[7].1, "9");
        assert_eq!(found[2].1, "False");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_repeated() {
        for (key, value, said) in [
            (
                "hostname",
                "x",
                "`hostname` may be several properties. Say which: guestinfo.hostname, c.hostname",
            ),
            (
                "guestinfo.hostnam",
                "x",
                "no property `guestinfo.hostnam`. Did you mean `guestinfo.hostname`?",
            ),
            ("moed", "x", "no property `moed`. Did you mean `b.mode`?"),
            ("zzz", "x", "It has guestinfo.hostname, guestinfo.ip0"),
            ("", "x", "no property ``"),
            ("fixed", "x", "`a.fixed` is not for users to set"),
            ("guestinfo.hostname", "too-long-a-name", "from 1 to 8 characters long"),
            ("ip0", "10.0.0.256", "`guestinfo.ip0` must be an IP address, not `10.0.0.256`"),
            ("ssh", "maybe", "must be True or False, not `maybe`"),
            ("mode", "c", "must be one of a, b, c, not `c`"),
            ("old", "z", "must be one of x, y, not `z`"),
            ("pw", "short", "`b.pw` must be at least 8 characters long, not what was given"),
            ("c.hostname", "6", "must be from 2 to 5, not `6`"),
            ("c.hostname", "x", "must be a whole number, not `x`"),
            ("size", "256", "must be from 0 to 255, not `256`"),
        ] {
            let given = [&GOOD[1..], &[(key, value)]].concat();
            let given = if key == "pw" { vec![GOOD[0], (key, value)] } else { given };
            let given = match key {
                "guestinfo.hostname" => given,
                _ => [
                    &GOOD[..1],
                    &given.iter().filter(|it| it.0 != GOOD[0].0).copied().collect::<Vec<_>>(),
                ]
                .concat(),
            };
            let found = settled(None, &given).unwrap_err().to_string();
            assert!(found.contains(said), "{found} instead of {said}");
            assert!(!found.contains("short") || key != "pw", "{found}");
        }
        let found = settled(None, &[]).unwrap_err().to_string();
        assert!(
            found.starts_with("the appliance needs properties: guestinfo.hostname, b.pw. "),
            "{found}"
        );
        let twice = [GOOD[0], GOOD[1], ("size", "1"), ("a.size", "2")];
        assert!(
            settled(None, &twice).unwrap_err().to_string().contains("`a.size.1` is given twice")
        );
        // An address that may be left empty.
        assert!(settled(None, &[GOOD[0], GOOD[1], ("ip0", "")]).is_ok());
    }
}
