//! The grammar of env files, as systemd reads them: bytes in, numbered settings out.
//!
//! It knows no option. A line is `NAME=value`; `#` and `;` begin comments; values may stand in
//! quotes, escape with a backslash, and go on behind a backslash at the end of a line. `export `
//! before a name is tolerated. Surprising: as in systemd, a `#` behind a value is part of it, and
//! a quote in the middle of a value stands for itself.

use zeroize::Zeroizing;

use crate::text::secret::Secret;

/// Longest value, in bytes.
const LONGEST_VALUE: usize = 64 * 1024;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The line it begins in, from 1.
    pub line: usize,
    /// Letters, digits and `_`.
    pub name: String,
    /// Its value, or what is wrong with it.
    pub value: Result<Secret, &'static str>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Its settings in their order.
    pub settings: Vec<Setting>,
    /// Lines that are no setting, and why; never with their text, which may be half a secret.
    pub faults: Vec<(usize, &'static str)>,
}

/// Reads a whole file.
pub fn parse(bytes: &[u8]) -> Parsed {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader { bytes, at: 0, line: 1 };
    let mut parsed = Parsed::default();
    while let Some(byte) = reader.peek() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                reader.next();
            }
            b'#' | b';' => reader.skip_line(),
            _ => reader.setting(&mut parsed),
        }
    }
    parsed
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| !is_newline(byte)) {
            self.next();
        }
    }

    fn setting(&mut self, parsed: &mut Parsed) {
        let (line, start) = (self.line, self.at);
        while self.peek().is_some_and(|byte| byte != b'=' && !is_newline(byte)) {
            self.next();
        }
        let name = name(&self.bytes[start..self.at]);
        if self.peek() != Some(b'=') {
            parsed.faults.push((line, "no `=` in it, a line is NAME=value"));
            return;
        }
        self.next();
        let value = self.value();
        match name {
            Some(name) => parsed.settings.push(Setting { line, name, value }),
            None => {
                parsed.faults.push((line, "a name before `=` holds only letters, digits and `_`"))
            }
        }
    }

    /// Reads what stands behind `=`, through the end of its line.
    fn value(&mut self) -> Result<Secret, &'static str> {
        let rest = &self.bytes[self.at..];
        let room = rest.iter().position(|&b| is_newline(b)).unwrap_or(rest.len());
        let mut out = Zeroizing::new(Vec::with_capacity(room));
        // Blanks behind this length are dropped; quotes begin only where no plain text has.
        let (mut kept, mut plain) = (0, false);
        while let Some(byte) = self.next() {
            match byte {
                byte if is_newline(byte) => break,
                b'\'' | b'"' if !plain => {
                    self.quoted(byte, &mut out)?;
                    kept = out.len();
                }
                b'\\' => {
                    plain = true;
                    out.extend(self.escaped());
                    kept = out.len();
                }
                b' ' | b'\t' if !plain => {}
                _ => {
                    plain = true;
                    out.push(byte);
                    if !matches!(byte, b' ' | b'\t') {
                        kept = out.len();
                    }
                }
            }
        }
        out.truncate(kept);
        finish(out)
    }

    /// The byte behind a backslash; none for the end of a line, which is swallowed.
    fn escaped(&mut self) -> Option<u8> {
        let byte = self.next()?;
        if byte == b'\r' && self.peek() == Some(b'\n') {
            self.next();
        }
        (!is_newline(byte)).then_some(byte)
    }

    /// Reads up to the closing quote.
    fn quoted(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<(), &'static str> {
        while let Some(byte) = self.next() {
            match byte {
                _ if byte == quote => return Ok(()),
                b'\\' if quote == b'"' => match self.escaped() {
                    Some(special @ (b'"' | b'\\' | b'`' | b'$')) => out.push(special),
                    Some(other) => out.extend([b'\\', other]),
                    None => {}
                },
                _ => out.push(byte),
            }
        }
        Err("the quote that opens here is never closed")
    }
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn name(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let name = match text.split_once([' ', '\t']) {
        Some(("export", rest)) => rest.trim(),
        _ => text,
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&name.len()).then_some(())?;
    (name.bytes().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit()))
        .then(|| name.to_owned())
}

fn finish(mut bytes: Zeroizing<Vec<u8>>) -> Result<Secret, &'static str> {
    if bytes.len() > LONGEST_VALUE {
        return Err("longer than 64 KiB");
    }
    if bytes.contains(&0) {
        return Err("holds a NUL byte");
    }
    if std::str::from_utf8(&bytes).is_err() {
        return Err("not UTF-8");
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Secret::new).map_err(|_| "not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line name=value` or `line name!fault` of each setting, then the faults.
    fn shown(bytes: &[u8]) -> Vec<String> {
        let parsed = parse(bytes);
        let settings = parsed.settings.iter().map(|it| match &it.value {
            Ok(value) => format!("{} {}={}", it.line, it.name, value.reveal()),
            Err(fault) => format!("{} {}!{fault}", it.line, it.name),
        });
        settings
            .chain(parsed.faults.iter().map(|(line, fault)| format!("{line} {fault}")))
            .collect()
    }

    #[test]
    fn reads_what_systemd_reads() {
        let text = br#"
# a comment \
; another
A=plain text with blanks   
  B = 'single $x \n "q"'
C="double \"q\" \$x \\ \n"
D=one\
two\
  three
E="a"'b'c"d
F=
export G=x # not a comment
H=\ lead and trail\ 
I="two
lines"
J=done"#;
        assert_eq!(
            shown(text),
            [
                "4 A=plain text with blanks",
                "5 B=single $x \\n \"q\"",
                "6 C=double \"q\" $x \\ \\n",
                "7 D=onetwo  three",
                "10 E=abc\"d",
                "11 F=",
                "12 G=x # not a comment",
                "13 H= lead and trail ",
                "14 I=two\nlines",
                "16 J=done",
            ]
        );
    }

    #[test]
    fn lines_may_end_as_on_windows() {
        let text = b"\xef\xbb\xbfA=1\r\nB=\"2\"\r\nC=3\\\r\n4\r\n";
        assert_eq!(shown(text), ["1 A=1", "2 B=2", "3 C=34"]);
    }

    #[test]
    fn faults_name_the_line_and_never_the_text() {
        let text = b"A=1\nhunter2\nB C=hunter2\n9D=1\nE=\xff\xfe\nF=a\0b\nG='open\nH=1";
        assert_eq!(
            shown(text),
            [
                "1 A=1",
                "5 E!not UTF-8",
                "6 F!holds a NUL byte",
                "7 G!the quote that opens here is never closed",
                "2 no `=` in it, a line is NAME=value",
                "3 a name before `=` holds only letters, digits and `_`",
                "4 a name before `=` holds only letters, digits and `_`",
            ]
        );
    }

    #[test]
    fn endless_continuations_and_values_end() {
        let endless = format!("A={}", "x\\\n".repeat(100_000));
        assert_eq!(shown(endless.as_bytes()), ["1 A!longer than 64 KiB"]);
        assert_eq!(shown(b"A=\\\n"), ["1 A="]);
        assert_eq!(parse("A=1\n".repeat(10_000).as_bytes()).settings.len(), 10_000);
        assert_eq!(shown(b"A=\\"), ["1 A="]);
    }

    #[test]
    fn any_bytes_end_in_an_answer() {
        let mut seed = 7_u32;
        for length in 0..400 {
            let bytes: Vec<u8> = std::iter::repeat_with(|| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"A=\\\"' \n\r#\0\xff;"[(seed >> 24) as usize % 12]
            })
            .take(length)
            .collect();
            parse(&bytes);
        }
    }
}
