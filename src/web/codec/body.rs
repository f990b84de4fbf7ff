//! Takes the framing off a request's body, in whatever pieces it comes.
//!
//! Nothing is buffered here: of each piece it says how much is framing and how much is body.
//! Extensions of chunks and trailers are passed over, within one bound for the whole body.

use crate::web::codec::Framing;
use crate::web::codec::Refused;
use crate::web::codec::is_text;

/// Bytes of extensions and trailers that a whole body may have.
const SPARE: usize = 16 << 10;

/// Digits of a chunk's size; more could only be zeros.
const DIGITS: u8 = 16;

/// What the next bytes are.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// Digits of a chunk's size, so many of them already seen.
    Size(u8),
    /// Blanks behind the digits.
    Blank,
    /// An extension.
    Extension,
    /// The LF behind a chunk's size.
    SizeEnd,
    /// Bytes of the body, as many as are left.
    Data,
    /// CR and LF behind a chunk.
    DataCr,
    DataLf,
    /// The first byte of a trailer, or the CR of the end.
    Line,
    /// Within a trailer, and the LF behind it.
    Trailer,
    TrailerLf,
    /// The last LF.
    LastLf,
    Done,
}

/// Where a body stands.
pub struct Decoder {
    at: At,
    chunked: bool,
    /// Bytes left of the body or of the chunk.
    left: u64,
    /// Bytes that may still come in all.
    room: u64,
    spare: usize,
}

/// What a piece of input was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// So many bytes of framing come first ...
    pub skip: usize,
    /// ... then so many of the body; whatever follows them was not looked at.
    pub data: usize,
}

impl Decoder {
    /// Begins a body; one of more than `limit` bytes is refused.
    pub fn new(framing: Framing, limit: Option<u64>) -> Decoder {
        let (at, left) = match framing {
            Framing::Chunked => (At::Size(0), 0),
            Framing::Length(0) | Framing::None => (At::Done, 0),
            Framing::Length(length) => (At::Data, length),
        };
        let chunked = framing == Framing::Chunked;
        Decoder { at, chunked, left, room: limit.unwrap_or(u64::MAX), spare: SPARE }
    }

    /// True once the body is complete; what follows is the next request.
    pub fn done(&self) -> bool {
        self.at == At::Done
    }

    /// Looks at the next bytes; takes at least one of them while the body is not done.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, Refused> {
        let mut skip = 0;
        for byte in input {
            if matches!(self.at, At::Data | At::Done) {
                break;
            }
            self.frame(*byte)?;
            skip += 1;
        }
        let rest = input.len() - skip;
        if self.at != At::Data || rest == 0 {
            return Ok(Step { skip, data: 0 });
        }
        let data = usize::try_from(self.left).map_or(rest, |left| left.min(rest));
        let count = u64::try_from(data).unwrap_or(u64::MAX);
        if !self.chunked && self.left > self.room {
            return Err(Refused::new(413, "the body is too large"));
        }
        self.left -= count;
        self.room -= count;
        if self.left == 0 {
            self.at = if self.chunked { At::DataCr } else { At::Done };
        }
        Ok(Step { skip, data })
    }

    /// One byte of a chunked body's framing.
    fn frame(&mut self, byte: u8) -> Result<(), Refused> {
        let digit = char::from(byte).to_digit(16);
        self.at = match (self.at, byte) {
            (At::Size(seen), _) if digit.is_some() => {
                if seen >= DIGITS {
                    return Err(Refused::bad("a chunk's size has too many digits"));
                }
                self.left = self.left << 4 | u64::from(digit.unwrap_or_default());
                At::Size(seen + 1)
            }
            (At::Size(1..) | At::Blank | At::Extension, b'\r') => At::SizeEnd,
            (At::Size(1..) | At::Blank, b' ' | b'\t') => self.spend(At::Blank, 400)?,
            (At::Size(1..) | At::Blank, b';') => self.spend(At::Extension, 400)?,
            (At::Extension, byte) if is_text(byte) => self.spend(At::Extension, 400)?,
            (At::SizeEnd, b'\n') if self.left > self.room => {
                return Err(Refused::new(413, "the body is too large"));
            }
            (At::SizeEnd, b'\n') if self.left == 0 => At::Line,
            (At::SizeEnd, b'\n') => At::Data,
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(0),
            (At::Line, b'\r') => At::LastLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::Line | At::Trailer, byte) if is_text(byte) => self.spend(At::Trailer, 431)?,
            (At::TrailerLf, b'\n') => At::Line,
            (At::LastLf, b'\n') => At::Done,
            _ => return Err(Refused::bad("the chunks of the body are damaged")),
        };
        Ok(())
    }

    /// One more byte that is only passed over.
    fn spend(&mut self, at: At, status: u16) -> Result<At, Refused> {
        let short = Refused::new(status, "the body has too many extensions or trailers");
        self.spare = self.spare.checked_sub(1).ok_or(short)?;
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and what is left of the input when it is done.
    fn decode(framing: Framing, limit: Option<u64>, pieces: &[&[u8]]) -> Result<Vec<u8>, Refused> {
        let mut decoder = Decoder::new(framing, limit);
        let mut body = Vec::new();
        for piece in pieces {
            let mut rest = *piece;
            while !decoder.done() && !rest.is_empty() {
                let step = decoder.step(rest)?;
                assert!(step.skip + step.data > 0, "no step forward");
                body.extend(&rest[step.skip..step.skip + step.data]);
                rest = &rest[step.skip + step.data..];
            }
        }
        assert!(decoder.done(), "not done");
        Ok(body)
    }

    fn chunked(text: &str) -> Result<Vec<u8>, Refused> {
        decode(Framing::Chunked, None, &[text.as_bytes()])
    }

    #[test]
    fn with_a_length() {
        assert_eq!(decode(Framing::Length(3), None, &[b"a", b"bcd"]).unwrap(), b"abc");
        assert_eq!(decode(Framing::Length(0), None, &[b"a"]).unwrap(), b"");
        assert_eq!(decode(Framing::None, None, &[]).unwrap(), b"");
        assert_eq!(decode(Framing::Length(9), Some(8), &[b"a"]).unwrap_err().status, 413);
    }

    #[test]
    fn in_chunks_wherever_they_are_cut() {
        let text = "3\r\nabc\r\n0A ; x=\"y\"\r\n0123456789\r\n0\r\nT: 1\r\nU: 2\r\n\r\nGET";
        let whole = chunked(text).unwrap();
        assert_eq!(whole, b"abc0123456789");
        for at in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            assert_eq!(decode(Framing::Chunked, None, &[left, right]).unwrap(), whole, "{at}");
        }
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(decode(Framing::Chunked, Some(13), &single).unwrap(), whole);
        assert_eq!(decode(Framing::Chunked, Some(12), &single).unwrap_err().status, 413);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        for text in [
            "\r\n",
            "-1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "1\na",
            "1\r\nab",
            "1\r\na\n0",
            "1 2\r\n",
            "1;a\nb\r\n",
            "1;\0\r\n",
            "00000000000000000\r\n",
            "fffffffffffffffff\r\n",
            "0\r\n\n",
            "0\r\na\n\r\n",
            "0\r\n\ra",
        ] {
            assert_eq!(chunked(text).unwrap_err().status, 400, "{text:?}");
        }
        assert_eq!(
            decode(Framing::Chunked, Some(9), &[b"ffffffffffffffff\r\n"]).unwrap_err().status,
            413
        );
    }

    #[test]
    fn what_is_passed_over_has_an_end() {
        assert_eq!(chunked(&format!("1;{}", "x".repeat(SPARE))).unwrap_err().status, 400);
        assert_eq!(chunked(&"1;xxxxxxx\r\na\r\n".repeat(SPARE / 8 + 1)).unwrap_err().status, 400);
        let trailers = "a: b\r\n".repeat(SPARE);
        assert_eq!(chunked(&format!("0\r\n{trailers}")).unwrap_err().status, 431);
    }
}
