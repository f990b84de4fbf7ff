//! Percent escapes of paths and queries, made and undone.
//!
//! It knows no URLs as a whole and no paths: `..` is the caller's to judge, after this. Surprising:
//! `+` is a space in a query and a plus in a path.

use crate::error::Error;
use crate::error::Result;
use crate::text::hex::hex;

/// A text as part of a path or a query: all but letters, digits and `-_.~` is escaped, and but what
/// stands in `kept`.
pub fn encode(text: &str, kept: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || kept.as_bytes().contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex(&[byte]).to_ascii_uppercase());
        }
    }
    out
}

/// The text of an escaped path or part of one; a broken escape, a NUL, or what is no UTF-8 is an
/// error.
pub fn decode(text: &str) -> Result<String> {
    unescape(text, false)
}

/// The parameters of a query in their order, both names and values decoded.
pub fn query(query: &str) -> Result<Vec<(String, String)>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((unescape(name, true)?, unescape(value, true)?))
        })
        .collect()
}

fn unescape(text: &str, plus_is_space: bool) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let pair = (rest.next().and_then(digit), rest.next().and_then(digit));
                let (Some(high), Some(low)) = pair else {
                    return Err(Error::usage("a `%` is not followed by two hexadecimal digits"));
                };
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Error::usage("an escaped text is not UTF-8, or has a NUL")),
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        assert_eq!(decode("/folder/a%20b+c/%C3%A9%2f%25").unwrap(), "/folder/a b+c/é/%");
        assert_eq!(decode("").unwrap(), "");
        for text in ["%", "%2", "a%2g", "%+1", "%%20", "%ff", "%00"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_escaped_reads_back() {
        let odd = "50% + #1 & é/[x]?.iso";
        assert_eq!(encode(odd, "/"), "50%25%20%2B%20%231%20%26%20%C3%A9/%5Bx%5D%3F.iso");
        assert_eq!(encode(odd, ""), encode(odd, "/").replace('/', "%2F"));
        assert_eq!(decode(&encode(odd, "")).unwrap(), odd);
    }

    #[test]
    fn queries() {
        let all = query("dcPath=ha-datacenter&dsName=my+store%2B1&&flag&a=b=c").unwrap();
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected =
            [("dcPath", "ha-datacenter"), ("dsName", "my store+1"), ("flag", ""), ("a", "b=c")];
        assert_eq!(all, expected);
        assert!(query("").unwrap().is_empty());
        assert!(query("a=%zz").is_err());
    }
}
