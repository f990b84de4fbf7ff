//! What a caller types, as bytes for a serial line.
//!
//! The words for keys are those of the keyboard's tools, in angle brackets; what is no such word
//! stays as it is, and `<lt>` is a bracket where one must be told apart. It must not know who listens.
//! Surprising: Enter is one CR, because that is what a terminal sends; a guest that wants LF is told
//! so by who asks.

use crate::error::{Error, Result, quoted};

/// What Enter and a newline in the text send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Enter {
    #[default]
    Cr,
    Lf,
    CrLf,
}

impl Enter {
    /// The words for an argument.
    pub const WORDS: &'static [&'static str] = &["cr", "lf", "crlf"];

    /// The one of this name; CR for any other.
    pub fn named(word: &str) -> Enter {
        match word {
            "lf" => Enter::Lf,
            "crlf" => Enter::CrLf,
            _ => Enter::Cr,
        }
    }

    fn bytes(self) -> &'static [u8] {
        match self {
            Enter::Cr => b"\r",
            Enter::Lf => b"\n",
            Enter::CrLf => b"\r\n",
        }
    }
}

/// What is sent, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stroke {
    Bytes(Vec<u8>),
    /// A break on the line, which is no byte.
    Break,
}

/// Keys by name, without blanks, hyphens and underscores, as a VT220 sends them.
#[rustfmt::skip]
static KEYS: &[(&str, &[u8])] = &[
    ("esc", b"\x1b"), ("escape", b"\x1b"), ("backspace", b"\x7f"), ("tab", b"\t"),
    ("space", b" "), ("lt", b"<"), ("gt", b">"), ("minus", b"-"),
    ("insert", b"\x1b[2~"), ("ins", b"\x1b[2~"), ("delete", b"\x1b[3~"), ("del", b"\x1b[3~"),
    ("home", b"\x1b[1~"), ("end", b"\x1b[4~"),
    ("pageup", b"\x1b[5~"), ("pgup", b"\x1b[5~"), ("pagedown", b"\x1b[6~"), ("pgdn", b"\x1b[6~"),
    ("up", b"\x1b[A"), ("down", b"\x1b[B"), ("right", b"\x1b[C"), ("left", b"\x1b[D"),
    ("f1", b"\x1bOP"), ("f2", b"\x1bOQ"), ("f3", b"\x1bOR"), ("f4", b"\x1bOS"),
    ("f5", b"\x1b[15~"), ("f6", b"\x1b[17~"), ("f7", b"\x1b[18~"), ("f8", b"\x1b[19~"),
    ("f9", b"\x1b[20~"), ("f10", b"\x1b[21~"), ("f11", b"\x1b[23~"), ("f12", b"\x1b[24~"),
];

/// Longest word between brackets.
const LONGEST: usize = 24;

/// The text as it is typed; with `newline`, Enter comes last.
pub fn strokes(text: &str, newline: bool, enter: Enter) -> Result<Vec<Stroke>> {
    let mut all = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (_, behind) = rest.split_at(character.len_utf8());
        rest = behind;
        match character {
            '\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                bytes.extend(enter.bytes());
            }
            '\n' => bytes.extend(enter.bytes()),
            '<' => match bracketed(behind, enter)? {
                Some((key, length)) => {
                    rest = behind.get(length..).unwrap_or_default();
                    match key {
                        Stroke::Bytes(key) => bytes.extend(key),
                        Stroke::Break => {
                            if !bytes.is_empty() {
                                all.push(Stroke::Bytes(std::mem::take(&mut bytes)));
                            }
                            all.push(Stroke::Break);
                        }
                    }
                }
                None => bytes.push(b'<'),
            },
            _ => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    if newline {
        bytes.extend(enter.bytes());
    }
    if !bytes.is_empty() {
        all.push(Stroke::Bytes(bytes));
    }
    Ok(all)
}

/// The key behind a bracket and the length of its word with the closing bracket; none where it is
/// text, such as markup.
fn bracketed(behind: &str, enter: Enter) -> Result<Option<(Stroke, usize)>> {
    // `<ctrl->>` would be no control character anyway.
    let Some(end) = behind.bytes().take(LONGEST).position(|it| it == b'>') else { return Ok(None) };
    let Some(word) = behind.get(..end) else { return Ok(None) };
    let found = match word.find(['-', '+']) {
        Some(at) if at > 0 && at + 1 < word.len() => held(word, at)?,
        _ => None,
    };
    let found = found.or_else(|| named(word, enter));
    Ok(found.map(|it| (it, end + 1)))
}

fn named(word: &str, enter: Enter) -> Option<Stroke> {
    let name: String = word
        .chars()
        .filter(|it| !matches!(it, '-' | '_' | ' '))
        .map(|it| it.to_ascii_lowercase())
        .collect();
    match name.as_str() {
        "break" => Some(Stroke::Break),
        "enter" | "return" => Some(Stroke::Bytes(enter.bytes().to_vec())),
        name => {
            let found = KEYS.iter().find(|it| it.0 == name)?;
            Some(Stroke::Bytes(found.1.to_vec()))
        }
    }
}

/// A key with Control or Alt; an error where it clearly was meant as one and no line carries it.
fn held(word: &str, at: usize) -> Result<Option<Stroke>> {
    let (modifier, key) =
        (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default());
    let mut characters = key.chars();
    let one = characters.next().filter(|_| characters.next().is_none());
    let bytes = match modifier.to_ascii_lowercase().as_str() {
        "ctrl" | "control" => match one {
            Some(it)
                if it.is_ascii_alphabetic() || matches!(it, '@' | '[' | '\\' | ']' | '^' | '_') =>
            {
                u8::try_from(it).ok().map(|it| vec![it & 0x1f])
            }
            Some('?') => Some(vec![0x7f]),
            None if key.eq_ignore_ascii_case("space") => Some(vec![0]),
            _ => None,
        },
        // Alt is an escape in front.
        "alt" | "meta" => match (one, named(key, Enter::Cr)) {
            (Some(it), _) if it.is_ascii() => u8::try_from(it).ok().map(|it| vec![0x1b, it]),
            (None, Some(Stroke::Bytes(key))) => Some([b"\x1b", key.as_slice()].concat()),
            _ => None,
        },
        "shift" | "altgr" | "win" => None,
        _ => return Ok(None),
    };
    match bytes {
        Some(bytes) => Ok(Some(Stroke::Bytes(bytes))),
        None => Err(Error::usage(format!("no serial line carries `<{}>`", quoted(word))).hint(
            "Keys are <enter>, <tab>, <esc>, <up>, <f1> to <f12>, <ctrl-c> and so on, <alt-x>, <break>; \
             <lt> is a bracket",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<u8> {
        match &strokes(text, false, Enter::Cr).unwrap()[..] {
            [] => Vec::new(),
            [Stroke::Bytes(bytes)] => bytes.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_and_keys() {
        for (text, bytes) in [
            ("ls -l", &b"ls -l"[..]),
            ("a\nb\r\nc\rd", b"a\rb\rc\rd"),
            ("<ctrl-c><CTRL+D><control-Z>", b"\x03\x04\x1a"),
            ("<ctrl-[><ctrl-\\><ctrl-]><ctrl-^><ctrl-_><ctrl-@><ctrl-space><ctrl-?>", b"\x1b\x1c\x1d\x1e\x1f\0\0\x7f"),
            ("<esc>:wq<enter>", b"\x1b:wq\r"),
            ("<up><Page-Down><page_up><f12><alt-x><alt-f1>", b"\x1b[A\x1b[6~\x1b[5~\x1b[24~\x1bx\x1b\x1bOP"),
            // What is no key is text.
            ("<html>a < b && c > d</html>", b"<html>a < b && c > d</html>"),
            ("<lt>esc><", b"<esc><"),
            ("cat <<EOF >x", b"cat <<EOF >x"),
            ("<key-name><-><>", b"<key-name><-><>"),
            ("gr\u{fc}n <\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}>", "gr\u{fc}n <\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}>".as_bytes()),
        ] {
            assert_eq!(typed(text), bytes, "{text}");
        }
        assert_eq!(strokes("", true, Enter::Cr).unwrap(), [Stroke::Bytes(b"\r".to_vec())]);
        assert_eq!(strokes("", false, Enter::Cr).unwrap(), []);
        assert_eq!(
            strokes("a\n<enter>", true, Enter::named("crlf")).unwrap(),
            [Stroke::Bytes(b"a\r\n\r\n\r\n".to_vec())]
        );
        assert_eq!(
            strokes("\n", false, Enter::named("lf")).unwrap(),
            [Stroke::Bytes(b"\n".to_vec())]
        );
        assert_eq!(
            strokes("a<break>b<BREAK>", true, Enter::Cr).unwrap(),
            [
                Stroke::Bytes(b"a".to_vec()),
                Stroke::Break,
                Stroke::Bytes(b"b".to_vec()),
                Stroke::Break,
                Stroke::Bytes(b"\r".to_vec()),
            ]
        );
    }

    #[test]
    fn keys_that_no_line_carries() {
        for text in ["<ctrl-alt-del>", "<ctrl-f1>", "<shift-tab>", "<win-r>", "<ctrl-1>"] {
            let error = strokes(text, true, Enter::Cr).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("no serial line carries `{text}`. Keys are")),
                "{error}"
            );
        }
    }
}
