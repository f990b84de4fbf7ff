//! Bytes as base64 text and back, in the one alphabet that XML uses.
//!
//! Surprising: white space is dropped when reading, because XML allows it anywhere in such a text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The text of these bytes, padded.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of this text, or nothing if it is no base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_matter() {
        assert_eq!(decode(&encode(b"\0\xffab")).as_deref(), Some(&b"\0\xffab"[..]));
        assert_eq!(decode(" YW \n I= ").as_deref(), Some(&b"ab"[..]));
        assert_eq!(decode("a!"), None);
    }
}
