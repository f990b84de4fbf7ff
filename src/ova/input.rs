//! What an appliance is read from, and what it begins with.
//!
//! Whoever opens it knows whether it is a file, a pipe or something far away; here it only matters
//! what going to another byte of it costs. Surprising: the first block is read once and given again,
//! because a pipe cannot be asked twice.

use std::io;
use std::io::Read;

use crate::error::{Error, Kind, Result};
use crate::ova::header::BLOCK;
use crate::web::exchange::{from_io, into_io, is_carried};
use crate::web::inflate::Gunzip;

/// What it costs to go on from another byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeks {
    /// It comes once, front to back.
    Never,
    /// A request to a server.
    Slowly,
    /// Nothing.
    Freely,
}

/// Something that is read.
pub trait Input: Read + Send {
    /// As messages name it, without what is secret.
    fn shown(&self) -> &str;

    /// Bytes of all of it, where that is known.
    fn size(&self) -> Option<u64>;

    fn seeks(&self) -> Seeks;

    /// Goes on from another byte.
    fn seek(&mut self, to: u64) -> Result<()>;

    /// Fails when nobody waits for it any more.
    fn check(&self) -> Result<()>;
}

/// What something looks like by its first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Archive,
    Descriptor,
    Gzip,
    /// What a browser would show, such as a login.
    Page,
    /// Nothing that is known here; whoever reads on will say what is wrong.
    Other,
}

/// How web pages begin.
const PAGES: [&[u8]; 2] = [b"<!doctype html", b"<html"];

fn starts(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word))
}

/// Something whose first block has been looked at.
pub struct Begun<'a> {
    head: Vec<u8>,
    /// Bytes of the head that were given again.
    given: usize,
    input: Box<dyn Input + 'a>,
}

impl<'a> Begun<'a> {
    /// Reads the first block.
    pub fn new(mut input: Box<dyn Input + 'a>) -> Result<Begun<'a>> {
        let mut head = Vec::with_capacity(BLOCK);
        (&mut input).take(BLOCK as u64).read_to_end(&mut head).map_err(from_io)?;
        Ok(Begun { head, given: 0, input })
    }

    /// What it looks like.
    pub fn look(&self) -> Look {
        let text = self.head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.head).trim_ascii_start();
        match &self.head[..] {
            _ if PAGES.iter().any(|it| starts(text, it)) => Look::Page,
            _ if text.starts_with(b"<") => Look::Descriptor,
            [0x1f, 0x8b, ..] => Look::Gzip,
            head if head.get(257..262) == Some(b"ustar") => Look::Archive,
            _ => Look::Other,
        }
    }

    /// The same with gzip undone.
    pub fn unpacked(self) -> Unpacked<'a> {
        let shown = self.shown().to_owned();
        Unpacked { data: Gunzip::new(self), shown }
    }
}

impl Read for Begun<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let rest = self.head.get(self.given..).unwrap_or_default();
        if rest.is_empty() {
            self.check().map_err(into_io)?;
            return self.input.read(into);
        }
        let most = rest.len().min(into.len());
        into[..most].copy_from_slice(&rest[..most]);
        self.given += most;
        Ok(most)
    }

    crate::text::reading::shared!();
}

impl Input for Begun<'_> {
    fn shown(&self) -> &str {
        self.input.shown()
    }

    fn size(&self) -> Option<u64> {
        self.input.size()
    }

    fn seeks(&self) -> Seeks {
        self.input.seeks()
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        self.head.clear();
        self.input.seek(to)
    }

    fn check(&self) -> Result<()> {
        self.input.check()
    }
}

/// An archive that was packed once more, as some vendors do (`.ova.gz`).
pub struct Unpacked<'a> {
    data: Gunzip<Begun<'a>>,
    shown: String,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.data.read(into).map_err(|error| not_unpacked(&self.shown, error))
    }

    crate::text::reading::shared!();
}

impl Input for Unpacked<'_> {
    fn shown(&self) -> &str {
        &self.shown
    }

    fn size(&self) -> Option<u64> {
        None
    }

    fn seeks(&self) -> Seeks {
        Seeks::Never
    }

    fn seek(&mut self, _: u64) -> Result<()> {
        Err(Error::bug("a packed archive was asked to go back"))
    }

    fn check(&self) -> Result<()> {
        self.data.get_ref().check()
    }
}

/// The failure of unpacking, or the one of reading that was behind it.
pub fn not_unpacked(name: &str, error: io::Error) -> io::Error {
    if is_carried(&error) || error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    let said = match error.kind() {
        io::ErrorKind::UnexpectedEof => "its gzip data ends too early",
        _ => "its gzip data is damaged",
    };
    let error = Error::new(Kind::Usage, format!("`{name}` cannot be unpacked: {said}"));
    into_io(error.hint("Compare its checksum with the vendor's, and fetch it again"))
}
