//! Lines of bounded length from any reader.
//!
//! It knows nothing of messages. Surprising: a line that is too long is read to its end without
//! being kept, so that the next one is found and memory stays bounded.

use std::io::{BufRead, ErrorKind, Result};

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Its bytes, without the newline.
    Whole(Vec<u8>),
    /// More bytes than are allowed; they are gone.
    TooLong,
}

/// Reads one line of at most `limit` bytes; `None` at the end. A last line needs no newline.
pub fn next(input: &mut impl BufRead, limit: usize) -> Result<Option<Line>> {
    let (mut kept, mut too_long, mut any) = (Vec::new(), false, false);
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(why) if why.kind() == ErrorKind::Interrupted => continue,
            Err(why) => return Err(why),
        };
        if chunk.is_empty() {
            return Ok(any.then(|| line(kept, too_long)));
        }
        any = true;
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..newline.unwrap_or(chunk.len())).unwrap_or_default();
        too_long = too_long || kept.len() + part.len() > limit;
        match too_long {
            true => kept = Vec::new(),
            false => kept.extend_from_slice(part),
        }
        let used = part.len() + usize::from(newline.is_some());
        input.consume(used);
        if newline.is_some() {
            return Ok(Some(line(kept, too_long)));
        }
    }
}

fn line(kept: Vec<u8>, too_long: bool) -> Line {
    if too_long { Line::TooLong } else { Line::Whole(kept) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn all(text: &str, buffer: usize) -> Vec<Line> {
        let mut input = BufReader::with_capacity(buffer, text.as_bytes());
        std::iter::from_fn(|| next(&mut input, 5).unwrap()).collect()
    }

    #[test]
    fn lines_whatever_the_size_of_the_buffer() {
        let whole = |text: &str| Line::Whole(text.as_bytes().to_vec());
        for buffer in [1, 2, 3, 7, 100] {
            assert_eq!(all("", buffer), []);
            assert_eq!(all("a\n\nbcdef\n", buffer), [whole("a"), whole(""), whole("bcdef")]);
            assert_eq!(all("abcdef\nx", buffer), [Line::TooLong, whole("x")]);
            assert_eq!(all("a\nabcdefghijkl", buffer), [whole("a"), Line::TooLong]);
        }
    }
}
