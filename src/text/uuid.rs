//! UUIDs, for comparing what two sides call the same machine.
//!
//! Surprising: hosts write dashes, a serial port says pairs of digits with spaces and one dash in the
//! middle, and all zeros stand for none.

/// A UUID as 32 digits in lower case, however it was spelled; none for what is none, or all zeros.
pub fn plain(text: &str) -> Option<String> {
    let digits = text.bytes().filter(|it| !matches!(it, b' ' | b'-' | b'{' | b'}' | 0));
    let digits: String = digits.map(|it| char::from(it.to_ascii_lowercase())).collect();
    let whole = digits.len() == 32 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    (whole && digits.bytes().any(|it| it != b'0')).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_they_are_spelled() {
        let digits = Some("0123456789abcdeffedcba9876543210".to_owned());
        for text in [
            "01 23 45 67 89 ab cd ef-fe dc ba 98 76 54 32 10",
            "01234567-89AB-CDEF-FEDC-BA9876543210",
            "{01234567-89ab-cdef-fedc-ba9876543210}\0",
        ] {
            assert_eq!(plain(text), digits);
        }
        for text in ["", "00 00", "00000000-0000-0000-0000-000000000000", &"ü".repeat(16)] {
            assert_eq!(plain(text), None);
        }
        assert_eq!(plain(&"0123456789abcdef".repeat(3)), None);
    }
}
