//! Bytes of a guest as text that an answer has room for.
//!
//! An answer holds a text twice, once to be read and once as structured content, and both count.

use crate::text::json;

/// What a text takes of an answer.
pub fn cost(text: &str) -> usize {
    text.len() + json::quote(text).len()
}

/// The longest beginning of a text that costs no more than `room`.
pub fn fitting(text: &str, room: usize) -> &str {
    let mut left = room;
    for (at, c) in text.char_indices() {
        let quoted = match c {
            '"' | '\\' | '\n' | '\r' | '\t' => 2,
            c if c.is_control() => 6,
            c => c.len_utf8(),
        };
        match left.checked_sub(c.len_utf8() + quoted) {
            Some(rest) => left = rest,
            None => return &text[..at],
        }
    }
    text
}

/// The bytes as text, and whether something in them was none. Where they are not the whole of it, a
/// character that was cut in two is left out.
pub fn lossy(bytes: &[u8], whole: bool) -> (String, bool) {
    let bytes = if whole { bytes } else { &bytes[..complete(bytes)] };
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), true),
    }
}

/// The text that bytes are; nothing where they are none, or hold a NUL as no text does.
pub fn exact(bytes: &[u8], whole: bool) -> Option<&str> {
    let bytes = if whole { bytes } else { &bytes[..complete(bytes)] };
    std::str::from_utf8(bytes).ok().filter(|it| !it.contains('\0'))
}

/// How many bytes there are without a beginning of a character at their end.
fn complete(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_where_the_room_ends_and_never_in_a_character() {
        assert_eq!(fitting("abc", 100), "abc");
        assert_eq!(fitting("abc", 5), "ab");
        assert_eq!(fitting("äöü", 9), "äö");
        assert_eq!(fitting("\n\n\n", 6), "\n\n");
        let text = "a\"ä\n\u{1}".repeat(50);
        assert!(cost(fitting(&text, 300)) <= 302);
    }

    #[test]
    fn bytes_are_text_or_flagged() {
        assert_eq!(lossy(b"ab\xff", true), ("ab\u{fffd}".to_owned(), true));
        assert_eq!(lossy("aä".as_bytes().split_at(2).0, false), ("a".to_owned(), false));
        assert_eq!(exact("aä".as_bytes().split_at(2).0, false), Some("a"));
        assert_eq!(exact("aä".as_bytes().split_at(2).0, true), None);
        assert_eq!(exact(b"a\0", true), None);
    }
}
