//! Bytes as base64 text and back, in the alphabet that XML uses and in the one of URLs and tokens.
//!
//! Surprising: white space is dropped when reading the first, because XML allows it anywhere in such
//! a text. The second is strict: one text for the same bytes, or a token could be spelt in two ways.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The text of these bytes, padded.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of this text, or nothing if it is no base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let dense: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(dense).ok()
}

/// The text of these bytes in the alphabet of URLs, without padding.
pub fn encode_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of such a text; padding, white space and loose last bits make it none.
pub fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
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

    #[test]
    fn in_urls_the_same_bytes_have_one_text() {
        assert_eq!(encode_url(&[0xff, 0xef]), "_-8");
        assert_eq!(decode_url("_-8").as_deref(), Some(&[0xff, 0xef][..]));
        for other in ["_-9", "_-8=", "_- 8", "/+8", "_-8\n", "_"] {
            assert_eq!(decode_url(other), None, "{other}");
        }
    }
}
