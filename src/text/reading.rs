//! What `Read` gives for nothing, made once for all readers of ours.
//!
//! Behind a `dyn Read` each kind of reader carries the standard library's whole `read_to_end` and
//! its kin, 1.4 KB a kind, used or not. A reader whose `impl` ends with `shared!()` has them here.

use std::io;
use std::io::Read;

/// Knows nothing but `read`, so that everything else is the standard library's, once.
struct Plain<'a>(&'a mut dyn Read);

impl Read for Plain<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// `read_to_end` by `read` alone.
pub fn to_end(from: &mut dyn Read, into: &mut Vec<u8>) -> io::Result<usize> {
    Plain(from).read_to_end(into)
}

/// `read_to_string` by `read` alone.
pub fn to_string(from: &mut dyn Read, into: &mut String) -> io::Result<usize> {
    Plain(from).read_to_string(into)
}

/// `read_exact` by `read` alone.
pub fn exact(from: &mut dyn Read, into: &mut [u8]) -> io::Result<()> {
    Plain(from).read_exact(into)
}

/// Stands behind `read` in an `impl Read`.
macro_rules! shared {
    () => {
        fn read_to_end(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize> {
            $crate::text::reading::to_end(self, into)
        }

        fn read_to_string(&mut self, into: &mut String) -> std::io::Result<usize> {
            $crate::text::reading::to_string(self, into)
        }

        fn read_exact(&mut self, into: &mut [u8]) -> std::io::Result<()> {
            $crate::text::reading::exact(self, into)
        }
    };
}

pub(crate) use shared;

#[cfg(test)]
mod tests {
    use super::*;

    /// One byte at a time, then an end.
    struct Slow(&'static [u8]);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(into.len()).min(1));
            into[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }

        shared!();
    }

    #[test]
    fn a_reader_keeps_what_the_standard_library_promises() {
        let mut all = b"a".to_vec();
        assert_eq!((Slow(b"bcd").read_to_end(&mut all).unwrap(), &all[..]), (3, &b"abcd"[..]));
        let mut text = "a".to_owned();
        assert_eq!(Slow("ü".as_bytes()).read_to_string(&mut text).unwrap(), 2);
        assert!(Slow(b"\xff").read_to_string(&mut text).is_err());
        assert_eq!(text, "aü");
        let mut two = [0; 2];
        Slow(b"xyz").read_exact(&mut two).unwrap();
        assert_eq!(&two, b"xy");
        let short = Slow(b"x").read_exact(&mut two).unwrap_err();
        assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
    }
}
