//! Bytes on their way, shown piece by piece to whoever counts, checks or writes them.
//!
//! It must not know what they are. Surprising: the end is shown too, as an empty piece, so that
//! whoever looks can still say no before a file gets its name.

use std::io;
use std::io::{ErrorKind, Read};

use crate::error::Result;
use crate::web::exchange::{from_io, into_io};

/// Bytes that are held at once.
const PIECE: usize = 64 << 10;

/// Sees each piece, and an empty one at the end; its error ends the reading.
pub type Look<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// A reader whose pieces are looked at.
pub struct Shown<'a> {
    body: &'a mut dyn Read,
    look: Look<'a>,
}

impl<'a> Shown<'a> {
    pub fn new(body: &'a mut dyn Read, look: Look<'a>) -> Shown<'a> {
        Shown { body, look }
    }
}

impl Read for Shown<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.body.read(into)?;
        if !into.is_empty() {
            (self.look)(&into[..got]).map_err(into_io)?;
        }
        Ok(got)
    }

    crate::text::reading::shared!();
}

/// Reads to the end.
pub fn pour(body: &mut dyn Read, look: Look<'_>) -> Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let got = match body.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result.map_err(from_io)?,
        };
        look(&piece[..got])?;
        if got == 0 {
            return Ok(());
        }
    }
}

/// Reads the first bytes, fewer where there are no more.
pub fn beginning(body: &mut dyn Read, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(most).read_to_end(&mut bytes).map_err(from_io)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn who_looks_sees_all_of_it_and_may_refuse_at_the_end() {
        let mut seen = Vec::new();
        let mut look = |piece: &[u8]| {
            seen.extend_from_slice(piece);
            match piece.is_empty() {
                true => Err(Error::new(Kind::Conflict, "not what it should be")),
                false => Ok(()),
            }
        };
        let mut body: &[u8] = b"0123456789";
        assert_eq!(beginning(&mut body, 4).unwrap(), b"0123");
        let mut all = Vec::new();
        let refused = Shown::new(&mut body, &mut look).read_to_end(&mut all).unwrap_err();
        assert_eq!(from_io(refused).kind(), Kind::Conflict);
        assert!(pour(&mut &b"ab"[..], &mut look).is_err());
        assert_eq!((seen.as_slice(), all.as_slice()), (&b"456789ab"[..], &b"456789"[..]));
        assert_eq!(beginning(&mut &b"ab"[..], 4).unwrap(), b"ab");
    }
}
