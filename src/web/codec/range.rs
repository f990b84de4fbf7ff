//! Which part of a file a `Range` header asks for.
//!
//! Surprising: what cannot be read, or names several parts, asks for all of it; that is what the
//! standard allows, and no client of a datastore needs more.

/// The part of a file that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it: 200.
    Full,
    /// This part: 206 with [`content_range`].
    Part { start: u64, length: u64 },
    /// Nothing that exists: 416 with [`content_range`] of no part.
    Unsatisfiable,
}

/// Reads the header for a file of `size` bytes.
pub fn range(header: Option<&str>, size: u64) -> Range {
    asked(header, size).unwrap_or(Range::Full)
}

fn asked(header: Option<&str>, size: u64) -> Option<Range> {
    let (unit, set) = header?.split_once('=')?;
    let (first, last) = set.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (start, end) = match (first, last) {
        ("", suffix) => match number(suffix)? {
            0 => return Some(Range::Unsatisfiable),
            // All that an empty file has is nothing, which is no part.
            _ if size == 0 => return None,
            length => (size.saturating_sub(length), size),
        },
        (first, "") => (number(first)?, size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(size))
        }
    };
    if start >= size {
        return Some(Range::Unsatisfiable);
    }
    Some(Range::Part { start, length: end - start })
}

/// Digits only; as large as can be for one that is larger.
fn number(digits: &str) -> Option<u64> {
    let sound = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    sound.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The value of `Content-Range` for this part of a file; `None` beside a 416.
pub fn content_range(part: Option<(u64, u64)>, size: u64) -> String {
    match part {
        Some((start, length)) => {
            let last = start.saturating_add(length).saturating_sub(1);
            format!("bytes {start}-{last}/{size}")
        }
        None => format!("bytes */{size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_ten_bytes() {
        let part = |start, length| Range::Part { start, length };
        for (header, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-5", part(2, 4)),
            ("Bytes = 2-5 ", part(2, 4)),
            ("bytes=9-", part(9, 1)),
            ("bytes=2-99999999999999999999999", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=10-", Range::Unsatisfiable),
            ("bytes=10-12", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", Range::Unsatisfiable),
            ("bytes=5-2", Range::Full),
            ("bytes=-", Range::Full),
            ("bytes=", Range::Full),
            ("bytes=+1-2", Range::Full),
            ("bytes=1-2-3", Range::Full),
            ("bytes=0-1,4-5", Range::Full),
            ("lines=0-1", Range::Full),
            ("0-1", Range::Full),
        ] {
            assert_eq!(range(Some(header), 10), expected, "{header}");
        }
        assert_eq!(range(None, 10), Range::Full);
        assert_eq!(range(Some("bytes=0-"), 0), Range::Unsatisfiable);
        assert_eq!(range(Some("bytes=-1"), 0), Range::Full);
    }

    #[test]
    fn what_is_told() {
        assert_eq!(content_range(Some((2, 4)), 10), "bytes 2-5/10");
        assert_eq!(content_range(None, 10), "bytes */10");
    }
}
