//! Hardware addresses of network cards, as people write them.

use std::fmt;

use crate::error::{Error, Result, quoted};

/// Six bytes; shown as `00:50:56:01:02:03`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac([u8; 6]);

impl Mac {
    /// Reads `00:50:56:..`, `00-50-56-..` or `0050.56..`. An address that no card can have, of a
    /// group or of nothing but zeros, is refused.
    pub fn parse(text: &str) -> Result<Mac> {
        let wrong = |why: &str| {
            Error::usage(format!("`{}` {why}", quoted(text)))
                .hint("Write it as 00:50:56:01:02:03, with an even first byte")
        };
        let word = text.trim();
        let parts = |by: char, length: usize, count: usize| {
            let parts: Vec<&str> = word.split(by).collect();
            parts.len() == count && parts.iter().all(|it| it.len() == length)
        };
        let digits: String = word.chars().filter(char::is_ascii_hexdigit).collect();
        let fits = parts(':', 2, 6) || parts('-', 2, 6) || parts('.', 4, 3);
        let value = u64::from_str_radix(&digits, 16).ok().filter(|_| fits && digits.len() == 12);
        let Some(value) = value else { return Err(wrong("is no MAC address")) };
        let [_, _, bytes @ ..] = value.to_be_bytes();
        match bytes {
            [0, 0, 0, 0, 0, 0] => Err(wrong("is no card's address")),
            [255, 255, 255, 255, 255, 255] => Err(wrong("is the broadcast address")),
            [first, ..] if first & 1 == 1 => Err(wrong("is a multicast address")),
            bytes => Ok(Mac(bytes)),
        }
    }

    pub fn bytes(&self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&parts.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_of_writing_are_one_address() {
        for text in ["00:50:56:3F:0a:ff", " 00-50-56-3f-0A-FF ", "0050.563f.0aff"] {
            assert_eq!(Mac::parse(text).unwrap().to_string(), "00:50:56:3f:0a:ff", "{text}");
        }
    }

    #[test]
    fn what_no_card_can_have_is_refused() {
        for (text, why) in [
            ("", "no MAC"),
            ("005056010203", "no MAC"),
            ("00:50:56:01:02", "no MAC"),
            ("00:50:56:01:02:0g", "no MAC"),
            ("00:50:56-01:02:03", "no MAC"),
            ("+0:50:56:01:02:03", "no MAC"),
            ("0:050:56:01:02:03", "no MAC"),
            ("ää:50:56:01:02:03", "no MAC"),
            ("00:00:00:00:00:00", "no card"),
            ("ff:ff:ff:ff:ff:ff", "broadcast"),
            ("01:00:5e:00:00:01", "multicast"),
        ] {
            assert!(Mac::parse(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
