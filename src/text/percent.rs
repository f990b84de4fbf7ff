//! Percent escapes of paths and queries, undone.
//!
//! It knows no URLs as a whole and no paths: `..` is the caller's to judge, after this. Surprising:
//! `+` is a space in a query and a plus in a path.

use crate::error::Error;
use crate::error::Result;

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
