//! The key that is not for the console but for us, and what follows it.

use crate::error::{Error, Result};

/// What a person at a console wants.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    Send(Vec<u8>),
    Break,
    Help,
    Leave,
}

/// Keys in, wishes out; how the keys are cut changes nothing.
pub struct Escape {
    key: Option<u8>,
    armed: bool,
}

impl Escape {
    /// From `^]`, a single character, or `none`.
    pub fn parse(word: &str) -> Result<Escape> {
        let key = match word.as_bytes() {
            b"none" => None,
            [b'^', b'?'] => Some(0x7f),
            [b'^', key @ b'@'..=b'_'] => Some(key & 0x1f),
            [b'^', key @ b'a'..=b'z'] => Some(key & 0x1f),
            [key @ 0x21..=0x7e] => Some(*key),
            _ => {
                return Err(Error::usage("`--escape` is no key")
                    .hint("Such as ^] for Control and ], ^a, ~, or none"));
            }
        };
        Ok(Escape { key, armed: false })
    }

    /// The key, for a person.
    pub fn shown(&self) -> Option<String> {
        let key = self.key?;
        let letter = char::from(key ^ 0x40);
        Some(match key {
            0..0x20 | 0x7f => format!("Ctrl-{letter}"),
            _ => char::from(key).to_string(),
        })
    }

    /// What typed bytes mean.
    pub fn feed(&mut self, typed: &[u8]) -> Vec<Wish> {
        let (mut wishes, mut plain) = (Vec::new(), Vec::new());
        for byte in typed {
            if !self.armed {
                match self.key == Some(*byte) {
                    true => self.armed = true,
                    false => plain.push(*byte),
                }
                continue;
            }
            self.armed = false;
            let wish = match byte {
                b'.' | b'q' => Wish::Leave,
                b'b' => Wish::Break,
                // Twice it is itself.
                _ if self.key == Some(*byte) => {
                    plain.push(*byte);
                    continue;
                }
                _ => Wish::Help,
            };
            if !plain.is_empty() {
                wishes.push(Wish::Send(std::mem::take(&mut plain)));
            }
            wishes.push(wish);
        }
        if !plain.is_empty() {
            wishes.push(Wish::Send(plain));
        }
        wishes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_us_are_not_sent() {
        let send = |bytes: &[u8]| Wish::Send(bytes.to_vec());
        for (typed, wishes) in [
            (&b"ls\r"[..], vec![send(b"ls\r")]),
            (b"a\x1d.", vec![send(b"a"), Wish::Leave]),
            (b"\x1dq", vec![Wish::Leave]),
            (b"a\x1dbc\x1d?", vec![send(b"a"), Wish::Break, send(b"c"), Wish::Help]),
            (b"a\x1d\x1db", vec![send(b"a\x1db")]),
            (b"\x1dx\xff\0", vec![Wish::Help, send(b"\xff\0")]),
            (b"a\x1d", vec![send(b"a")]),
        ] {
            assert_eq!(Escape::parse("^]").unwrap().feed(typed), wishes);
            let mut escape = Escape::parse("^]").unwrap();
            let cut =
                typed.chunks(1).flat_map(|it| escape.feed(it)).fold(Vec::new(), |mut all, it| {
                    match (all.last_mut(), it) {
                        (Some(Wish::Send(before)), Wish::Send(more)) => before.extend(more),
                        (_, it) => all.push(it),
                    }
                    all
                });
            assert_eq!(cut, wishes);
        }
        assert_eq!(Escape::parse("none").unwrap().feed(b"\x1d."), [send(b"\x1d.")]);
    }

    #[test]
    fn a_key_is_written_as_people_write_it() {
        for (word, shown) in [("^]", "Ctrl-]"), ("^a", "Ctrl-A"), ("^A", "Ctrl-A"), ("~", "~")] {
            assert_eq!(Escape::parse(word).unwrap().shown().unwrap(), shown);
        }
        for bad in ["", "ab", "^]x", " ", "\u{fc}", "^1"] {
            assert!(Escape::parse(bad).is_err(), "{bad}");
        }
    }
}
