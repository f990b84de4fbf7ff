//! Where and why a text is not JSON.
//!
//! Runs only after the parser said no, whose error is empty. Linear and without recursion: the
//! text may be hostile.

use miniserde::json::{Number, from_str};

#[derive(Clone, Copy, PartialEq)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    open: Vec<u8>,
}

/// Line, column and what was expected there.
pub fn json_error(text: &str) -> String {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0, open: Vec::new() };
    match scan.run() {
        Err((at, what)) => {
            let before = &scan.bytes[..at.min(scan.bytes.len())];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            format!("line {line} column {}: {what}", before.len() - start + 1)
        }
        Ok(()) => "a number is out of range".to_owned(),
    }
}

type Step<T> = Result<T, (usize, &'static str)>;

impl Scan<'_> {
    fn run(&mut self) -> Step<()> {
        let mut expect = Expect::Value;
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                self.at += 1;
            }
            let Some(byte) = self.peek() else {
                return match expect {
                    Expect::Nothing => Ok(()),
                    _ => Err((self.at, "unexpected end of text")),
                };
            };
            expect = self.step(expect, byte)?;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self, expect: Expect, byte: u8) -> Step<Expect> {
        match (expect, byte) {
            (Expect::Nothing, _) => Err((self.at, "unexpected text after the JSON value")),
            (Expect::ValueOrEnd, b']') | (Expect::KeyOrEnd, b'}') => Ok(self.close()),
            (Expect::CommaOrEnd, _) => self.comma(byte),
            (Expect::Colon, b':') => {
                self.at += 1;
                Ok(Expect::Value)
            }
            (Expect::Colon, _) => Err((self.at, "expected ':'")),
            (Expect::Key | Expect::KeyOrEnd, b'"') => {
                self.string()?;
                Ok(Expect::Colon)
            }
            (Expect::Key | Expect::KeyOrEnd, _) => {
                Err((self.at, "expected a string as object key"))
            }
            (Expect::Value | Expect::ValueOrEnd, _) => self.value(byte),
        }
    }

    fn comma(&mut self, byte: u8) -> Step<Expect> {
        match (byte, self.open.last()) {
            (b',', Some(b'[')) => {
                self.at += 1;
                Ok(Expect::Value)
            }
            (b',', Some(_)) => {
                self.at += 1;
                Ok(Expect::Key)
            }
            (b']', Some(b'[')) | (b'}', Some(b'{')) => Ok(self.close()),
            (_, Some(b'[')) => Err((self.at, "expected ',' or ']'")),
            _ => Err((self.at, "expected ',' or '}'")),
        }
    }

    fn close(&mut self) -> Expect {
        self.open.pop();
        self.at += 1;
        self.after_value()
    }

    fn after_value(&self) -> Expect {
        if self.open.is_empty() { Expect::Nothing } else { Expect::CommaOrEnd }
    }

    fn value(&mut self, byte: u8) -> Step<Expect> {
        match byte {
            b'{' | b'[' => {
                self.open.push(byte);
                self.at += 1;
                return Ok(if byte == b'{' { Expect::KeyOrEnd } else { Expect::ValueOrEnd });
            }
            b'"' => self.string()?,
            b't' | b'f' | b'n' => self.word(byte)?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return Err((self.at, "expected a value")),
        }
        Ok(self.after_value())
    }

    fn word(&mut self, byte: u8) -> Step<()> {
        let word = match byte {
            b't' => "true",
            b'f' => "false",
            _ => "null",
        };
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err((self.at, "expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Step<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        match from_str::<Number>(&self.text[start..self.at]) {
            Ok(_) => Ok(()),
            Err(_) => Err((start, "bad number")),
        }
    }

    fn string(&mut self) -> Step<()> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err((start, "unterminated string")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(0..=0x1f) => {
                    return Err((self.at, "control character in string must be escaped"));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Step<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.hex(self.at + 2) {
                None => return Err((self.at, "bad \\u escape")),
                Some(0xdc00..=0xdfff) => return Err((self.at, "lone low surrogate")),
                Some(0xd800..=0xdbff) => {
                    let low = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u");
                    if !low || !matches!(self.hex(self.at + 8), Some(0xdc00..=0xdfff)) {
                        return Err((self.at, "lone high surrogate"));
                    }
                    self.at += 12;
                }
                Some(_) => self.at += 6,
            },
            _ => return Err((self.at, "bad escape")),
        }
        Ok(())
    }

    fn hex(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u16::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_and_what() {
        for (text, said) in [
            ("{\"a\":1,}", "line 1 column 8: expected a string as object key"),
            ("{\"a\" 1}", "line 1 column 6: expected ':'"),
            ("[1 2]", "line 1 column 4: expected ',' or ']'"),
            ("{\n\"a\": tru}", "line 2 column 6: expected a value"),
            ("\"abc", "line 1 column 1: unterminated string"),
            ("\"\\ud800\"", "line 1 column 2: lone high surrogate"),
            ("{} {}", "line 1 column 4: unexpected text after the JSON value"),
            ("", "line 1 column 1: unexpected end of text"),
            ("1e400", "line 1 column 1: bad number"),
        ] {
            assert_eq!(json_error(text), said, "{text}");
        }
    }
}
