//! Where the files of an appliance lie: in an archive, or beside the descriptor.
//!
//! An archive is read front to back; one that can be read from any byte is walked from header to
//! header in small reads, which finds every file of 100 GB in a moment. Surprising: two files of one
//! name are refused, because unpackers do not agree which of them counts.

use std::io;
use std::io::Read;

use crate::error::{Error, Result, quoted};
use crate::ova::header::Member;
use crate::ova::input::{Input, Seeks};
use crate::ova::tar::Tar;
use crate::text::percent;
use crate::web::exchange::{from_io, into_io};

/// Files of one archive; an appliance has a handful.
const MAX_MEMBERS: usize = 4096;

/// Bytes that are read over where going elsewhere costs a request.
const NEAR: u64 = 256 * 1024;

/// Bytes behind the end of an archive; writers fill up a record, of 10 KB as a rule.
const MAX_FILL: u64 = 16 << 20;

/// A file that can be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// Bytes, where that is known.
    pub size: Option<u64>,
}

/// A file of an archive and where its data begins.
struct Place {
    member: Member,
    at: u64,
}

/// Opens a file beside the descriptor by its name there; `None` where there is no such file.
pub type Opener<'a> = Box<dyn FnMut(&str) -> Result<Option<Box<dyn Input + 'a>>> + Send + 'a>;

/// An archive that is being read.
pub struct Archive<'a> {
    tar: Tar<Box<dyn Input + 'a>>,
    seeks: Seeks,
    /// Those that were met.
    places: Vec<Place>,
    /// All of them were.
    complete: bool,
    /// Which of them is next, once all are known.
    next: usize,
}

/// The files of a folder.
pub struct Folder<'a> {
    open: Opener<'a>,
    present: Option<Box<dyn Input + 'a>>,
}

/// Where the files lie.
pub enum Parts<'a> {
    Archive(Box<Archive<'a>>),
    Folder(Folder<'a>),
}

/// Whether a file of this name is what a descriptor means by `href`, which may be escaped as in a
/// URL and begin with `./`.
pub fn is_meant(name: &str, href: &str) -> bool {
    let plain = |it: &str| it.strip_prefix("./").unwrap_or(it) == name;
    plain(href) || percent::decode(href).is_ok_and(|it| plain(&it))
}

impl<'a> Archive<'a> {
    pub fn new(input: Box<dyn Input + 'a>) -> Archive<'a> {
        let seeks = input.seeks();
        Archive { tar: Tar::new(input), seeks, places: Vec::new(), complete: false, next: 0 }
    }

    /// What reading elsewhere costs.
    pub fn seeks(&self) -> Seeks {
        self.seeks
    }

    /// Whether all files are known.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The files that are known, in their order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.places.iter().map(|it| &it.member)
    }

    /// Goes to the next file; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Part>> {
        if self.complete {
            let Some(place) = self.places.get(self.next) else { return Ok(None) };
            self.next += 1;
            let (at, member) = (place.at, place.member.clone());
            return self.go(at, member).map(Some);
        }
        let left = self.tar.left();
        if self.seeks != Seeks::Never && left > NEAR {
            let at = self.tar.position();
            // Not beyond the end: what is missing there must be found.
            let over =
                self.tar.input().size().map_or(left, |size| left.min(size.saturating_sub(at)));
            self.tar.input().seek(at + over)?;
            self.tar.skipped(over);
        }
        let Some(member) = self.tar.advance()? else {
            (self.complete, self.next) = (true, self.places.len());
            return Ok(None);
        };
        if self.members().any(|it| it.name == member.name) {
            let said = format!("the OVA holds two files of the name `{}`", quoted(&member.name));
            return Err(Error::usage(said).hint("Ask the vendor which one is meant, and repack it"));
        }
        if self.places.len() == MAX_MEMBERS {
            return Err(Error::usage(format!("the OVA holds more than {MAX_MEMBERS} files")));
        }
        let part = Part { name: member.name.clone(), size: Some(member.size) };
        self.places.push(Place { member, at: self.tar.position() });
        Ok(Some(part))
    }

    /// Goes on to the end by headers alone; the files come from the first on after that.
    pub fn walk(&mut self) -> Result<()> {
        while self.advance()?.is_some() {}
        self.rewind();
        Ok(())
    }

    /// Reads what fills a pipe up behind the end, so that whoever writes it is not cut off.
    pub fn drain(&mut self) -> Result<()> {
        let mut rest = self.tar.input().take(MAX_FILL);
        io::copy(&mut rest, &mut io::sink()).map_err(from_io)?;
        Ok(())
    }

    /// The first file is the next again.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Goes to where a file's data begins.
    fn go(&mut self, at: u64, member: Member) -> Result<Part> {
        let part = Part { name: member.name.clone(), size: Some(member.size) };
        let from = self.tar.position();
        if self.seeks == Seeks::Slowly && at >= from && at - from <= NEAR {
            let mut gap = self.tar.input().take(at - from);
            io::copy(&mut gap, &mut io::sink()).map_err(from_io)?;
        } else {
            self.tar.input().seek(at)?;
        }
        self.tar.place(at, member);
        Ok(part)
    }

    /// Goes to the file that a descriptor means by `href`.
    pub fn open(&mut self, href: &str) -> Result<Option<Part>> {
        if !self.complete {
            self.walk()?;
        }
        let found = self.places.iter().position(|it| is_meant(&it.member.name, href));
        let Some((at, place)) = found.and_then(|at| Some((at, self.places.get(at)?))) else {
            return Ok(None);
        };
        let (from, member) = (place.at, place.member.clone());
        if self.complete {
            self.next = at + 1;
        }
        self.go(from, member).map(Some)
    }
}

impl<'a> Folder<'a> {
    pub fn new(open: Opener<'a>) -> Folder<'a> {
        Folder { open, present: None }
    }

    fn open(&mut self, href: &str) -> Result<Option<Part>> {
        self.present = None;
        self.present = (self.open)(href)?;
        Ok(self.present.as_ref().map(|it| Part { name: name_of(href), size: it.size() }))
    }
}

/// A file's name as a manifest writes it.
fn name_of(href: &str) -> String {
    let name = percent::decode(href).unwrap_or_else(|_| href.to_owned());
    name.strip_prefix("./").unwrap_or(&name).to_owned()
}

impl Parts<'_> {
    /// Goes to the next file; `None` at the end, and always where files have no order.
    pub fn advance(&mut self) -> Result<Option<Part>> {
        match self {
            Parts::Archive(archive) => archive.advance(),
            Parts::Folder(_) => Ok(None),
        }
    }

    /// Goes to the file that a descriptor means by `href`.
    pub fn open(&mut self, href: &str) -> Result<Option<Part>> {
        match self {
            Parts::Archive(archive) => archive.open(href),
            Parts::Folder(folder) => folder.open(href),
        }
    }

    /// Reads what follows the last file of what comes only once.
    pub fn drain(&mut self) -> Result<()> {
        match self {
            Parts::Archive(archive) if archive.seeks == Seeks::Never => archive.drain(),
            _ => Ok(()),
        }
    }

    /// Whether any file can be gone to, again and in any order.
    pub fn can_open(&self) -> bool {
        match self {
            Parts::Archive(archive) => archive.seeks != Seeks::Never,
            Parts::Folder(_) => true,
        }
    }

    /// Files in their order.
    pub fn has_order(&self) -> bool {
        matches!(self, Parts::Archive(_))
    }

    /// The files of an archive in their order, where all of them are known.
    pub fn known(&self) -> Option<impl Iterator<Item = &Member>> {
        match self {
            Parts::Archive(archive) if archive.complete => Some(archive.members()),
            _ => None,
        }
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.tar.read(into)
    }

    crate::text::reading::shared!();
}

/// The present file's data.
impl Read for Parts<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Parts::Archive(archive) => archive.read(into),
            Parts::Folder(Folder { present: Some(present), .. }) => {
                present.check().map_err(into_io)?;
                present.read(into)
            }
            Parts::Folder(_) => Err(into_io(Error::bug("no file is open"))),
        }
    }

    crate::text::reading::shared!();
}
