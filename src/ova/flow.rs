//! The files of an appliance as they flow by: found, checked and unpacked, one after another.
//!
//! Whoever wants them says which are waited for; those that nobody wants are read over, and digested
//! if a manifest may list them. Surprising: front to back is also the best way through an archive
//! that could be read from anywhere, as long as the order does not matter; and the manifest speaks
//! of the bytes as they are stored, before anything is unpacked.

use std::io;
use std::io::Read;
use std::mem;

use crate::error::{Error, Kind, Result, quoted};
use crate::ova::input::not_unpacked;
use crate::ova::manifest::{Checker, Hashing};
use crate::ova::ovf;
use crate::ova::package;
use crate::ova::package::{Package, Sort};
use crate::ova::parts::{Part, Parts, is_meant};
use crate::text::words::counted;
use crate::web::exchange::{from_io, into_io};
use crate::web::inflate::Gunzip;

/// Bytes that are read over at once.
const PIECE: usize = 64 * 1024;

/// A file that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Which of those that were wanted.
    pub at: usize,
    /// Bytes that will be read, where that is known.
    pub size: Option<u64>,
}

/// The files to come; reading gives the present one's bytes, unpacked.
pub struct Flow<'a>(Way<'a>);

enum Way<'a> {
    Plain(Box<Stored<'a>>),
    Gzip(Gunzip<Box<Stored<'a>>>),
    /// Only while one becomes the other.
    Gone,
}

/// What becomes of digests.
enum Check {
    On(Checker),
    /// Nobody wants them, or there is nothing to compare them with: why.
    Off(&'static str),
}

/// The file that is read now.
struct Present {
    name: String,
    /// Bytes as stored that were read, of all its pieces.
    read: u64,
    /// Bytes as stored of the piece at hand, and where it began.
    piece: (Option<u64>, u64),
    hashing: Option<Hashing>,
    chunks: Option<Chunks>,
    /// Bytes that somebody counts on.
    promised: Option<u64>,
}

/// A file that is stored in pieces.
struct Chunks {
    href: String,
    /// Bytes of each piece but the last.
    each: u64,
    /// The one at hand.
    number: u32,
}

/// The files as they are stored.
struct Stored<'a> {
    parts: Parts<'a>,
    pending: Option<Part>,
    files: Vec<ovf::File>,
    descriptor: String,
    listing: Option<String>,
    check: Check,
    /// Files of disks that must come in the order in which they are wanted.
    ordered: Vec<String>,
    /// Each is gone to by its name.
    by_name: bool,
    present: Option<Present>,
    notes: Vec<String>,
}

impl<'a> Flow<'a> {
    /// The files of an appliance; with `verify` they are compared with its manifest.
    pub fn new(package: Package<'a>, verify: bool) -> Result<Flow<'a>> {
        let by_name =
            package.parts.can_open() && (!package.parts.has_order() || package.needs_order());
        let files = package.descriptor.disks.iter().filter(|_| package.is_layered());
        let files = files.filter_map(|it| package.descriptor.file(it.file.as_deref()?));
        let ordered = files.map(|it| it.href.clone()).collect();
        // Of an archive from a pipe nobody knows what its end holds.
        let settled = package.is_settled();
        let Package { parts, pending, descriptor, listing, raw, name, .. } = package;
        let check = match (verify, &listing) {
            (false, _) => Check::Off("not compared with a manifest, as verify=false says"),
            (true, None) if settled => {
                Check::Off("there is no manifest, so nothing was compared with it")
            }
            (true, _) => {
                let mut checker = Checker::default();
                if let Some(listing) = &listing {
                    checker.learn(listing.manifest.clone())?;
                }
                let mut hashing = checker.begin(&name);
                hashing.update(&raw);
                checker.end(hashing)?;
                Check::On(checker)
            }
        };
        let stored = Stored {
            parts,
            pending,
            files: descriptor.files,
            descriptor: name,
            listing: listing.map(|it| it.name),
            check,
            ordered,
            by_name,
            present: None,
            notes: Vec::new(),
        };
        Ok(Flow(Way::Plain(Box::new(stored))))
    }

    /// Whether each file comes once, in an order of its own.
    pub fn is_one_pass(&self) -> bool {
        match &self.0 {
            Way::Plain(stored) => !stored.parts.can_open(),
            Way::Gzip(_) | Way::Gone => false,
        }
    }

    /// Goes to the next file that is waited for, by the names that the descriptor gives them.
    pub fn next(&mut self, wanted: &[&str]) -> Result<Option<Arrival>> {
        let mut stored = self.plain()?;
        let result = stored.next(wanted);
        let packed = matches!(result, Ok(Some((_, true))));
        self.0 = match packed {
            true => Way::Gzip(Gunzip::new(stored)),
            false => Way::Plain(stored),
        };
        Ok(result?.map(|(arrival, _)| arrival))
    }

    /// Reads what is left and compares with the manifest; what was checked, one sentence each.
    pub fn finish(&mut self) -> Result<Vec<String>> {
        let mut stored = self.plain()?;
        let result = stored.finish();
        self.0 = Way::Plain(stored);
        result
    }

    fn plain(&mut self) -> Result<Box<Stored<'a>>> {
        match mem::replace(&mut self.0, Way::Gone) {
            Way::Plain(stored) => Ok(stored),
            Way::Gzip(packed) => Ok(packed.into_inner()),
            Way::Gone => Err(Error::bug("the files of an appliance are lost")),
        }
    }
}

impl Read for Flow<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::Plain(stored) => stored.read(into),
            Way::Gzip(packed) => packed.read(into).map_err(|it| not_unpacked("a disk", it)),
            Way::Gone => Ok(0),
        }
    }

    crate::text::reading::shared!();
}

impl Stored<'_> {
    /// The file and whether it is packed.
    fn next(&mut self, wanted: &[&str]) -> Result<Option<(Arrival, bool)>> {
        self.close()?;
        let Some(first) = wanted.first() else { return Ok(None) };
        while !self.by_name
            && let Some(part) = self.advance()?
        {
            let piece = |href: &str| is_meant(&part.name, &chunk(href, 0));
            let meant = |href: &&str| is_meant(&part.name, href) || piece(href);
            let found = wanted.iter().position(meant);
            // Who sends them in order may wait for one at a time.
            if found != Some(0) && self.ordered.iter().any(|it| meant(&it.as_str())) {
                return Err(out_of_order(&part.name, first));
            }
            let Some(at) = found else {
                self.pass(part)?;
                continue;
            };
            let href = wanted.get(at).copied().unwrap_or_default();
            let chunked = !is_meant(&part.name, href);
            return self.begin(part, href, at, chunked).map(Some);
        }
        if !self.parts.can_open() {
            return Ok(None);
        }
        if let Some(part) = self.parts.open(first)? {
            return self.begin(part, first, 0, false).map(Some);
        }
        if self.file(first).is_some_and(|it| it.chunk_size.is_some())
            && let Some(part) = self.parts.open(&chunk(first, 0))?
        {
            return self.begin(part, first, 0, true).map(Some);
        }
        Ok(None)
    }

    fn advance(&mut self) -> Result<Option<Part>> {
        match self.pending.take() {
            Some(part) => Ok(Some(part)),
            None => self.parts.advance(),
        }
    }

    fn file(&self, href: &str) -> Option<&ovf::File> {
        self.files.iter().find(|it| it.href == href)
    }

    fn begin(
        &mut self,
        part: Part,
        href: &str,
        at: usize,
        chunked: bool,
    ) -> Result<(Arrival, bool)> {
        let file = self.file(href).cloned();
        let packed = file.as_ref().and_then(|it| it.compression.as_deref());
        let packed = match packed {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("gzip") => true,
            Some(word) => return Err(unknown_packing(href, word)),
        };
        let told = file.as_ref().and_then(|it| it.size).filter(|_| !packed);
        let each = file.and_then(|it| it.chunk_size).filter(|it| chunked && *it > 0);
        let chunks = match (chunked, each) {
            (false, _) => None,
            (true, Some(each)) => Some(Chunks { href: href.to_owned(), each, number: 0 }),
            (true, None) => {
                let said = format!(
                    "`{href}` is stored in pieces, and the descriptor says no size of them"
                );
                return Err(Error::usage(said).hint("Join them: cat X.0* > X"));
            }
        };
        let whole = match chunked {
            false => part.size,
            true => self.joined(href).or(told),
        };
        // What the descriptor tells may be wrong; what the archive tells is what will come.
        if let (Some(whole), Some(told)) = (whole, told)
            && whole != told
        {
            let name = quoted(href);
            self.notes.push(format!("`{name}` has {whole} bytes, the descriptor says {told}"));
        }
        let hashing =
            self.hashing(&part.name, &if chunked { chunk(href, 0) } else { href.to_owned() });
        self.present = Some(Present {
            name: part.name,
            read: 0,
            piece: (part.size, 0),
            hashing,
            chunks,
            promised: whole,
        });
        Ok((Arrival { at, size: whole.filter(|_| !packed) }, packed))
    }

    /// Bytes of all pieces of a file, where all of them are known.
    fn joined(&self, href: &str) -> Option<u64> {
        let sizes: Vec<(&str, u64)> =
            self.parts.known()?.map(|it| (it.name.as_str(), it.size)).collect();
        let piece = |number| {
            let href = chunk(href, number);
            sizes.iter().find(|(name, _)| is_meant(name, &href)).map(|(_, size)| *size)
        };
        Some((0..).map_while(piece).sum())
    }

    /// Begins a digest; a manifest may write the name as it lies there, or as the descriptor does.
    fn hashing(&mut self, name: &str, href: &str) -> Option<Hashing> {
        let Check::On(checker) = &self.check else { return None };
        let known = [name, href].into_iter().find(|it| checker.may_list(it));
        let hashing = checker.begin(known.unwrap_or(name));
        if known.is_none() {
            self.notes.push(format!("`{}` is not listed in the manifest", quoted(name)));
        }
        Some(hashing)
    }

    fn hashed(&mut self, hashing: Option<Hashing>) -> Result<()> {
        match (&mut self.check, hashing) {
            (Check::On(checker), Some(hashing)) => checker.end(hashing),
            _ => Ok(()),
        }
    }

    /// Reads over a file that nobody waits for; takes the manifest where it is one.
    fn pass(&mut self, part: Part) -> Result<()> {
        // Its digest was made when it was read.
        if part.name == self.descriptor || Some(&part.name) == self.listing.as_ref() {
            return Ok(());
        }
        let Check::On(checker) = &mut self.check else { return Ok(()) };
        if Sort::of(&part.name) == Sort::Manifest && self.listing.is_none() {
            checker.learn(package::manifest(&mut self.parts, &part.name)?)?;
            self.listing = Some(part.name);
            return Ok(());
        }
        let mut hashing = checker.begin(&part.name);
        if hashing.is_needed() {
            let mut buffer = vec![0; PIECE];
            loop {
                match self.parts.read(&mut buffer).map_err(from_io)? {
                    0 => break,
                    got => hashing.update(&buffer[..got]),
                }
            }
        }
        checker.end(hashing)
    }

    /// Reads the present file to its end, so that its digest is whole.
    fn close(&mut self) -> Result<()> {
        if self.present.is_some() {
            let needed = matches!(&self.check, Check::On(_));
            let mut buffer = vec![0; PIECE];
            while needed && self.read(&mut buffer).map_err(from_io)? > 0 {}
        }
        self.present = None;
        Ok(())
    }

    /// The piece at hand has ended; whether another follows.
    fn another(&mut self) -> Result<bool> {
        let Some(mut present) = self.present.take() else { return Ok(false) };
        let (size, begun) = present.piece;
        let had = present.read - begun;
        if let Some(size) = size.filter(|it| *it != had) {
            let name = quoted(&present.name);
            let said = format!("`{name}` ends too early: after {had} of its {size} bytes");
            return Err(Error::new(Kind::Network, said)
                .hint("It changed while it was read, or its transfer broke off"));
        }
        self.hashed(present.hashing.take())?;
        let full = |it: &&mut Chunks| had == it.each;
        if let Some(chunks) = present.chunks.as_mut().filter(full) {
            let name = chunk(&chunks.href, chunks.number.saturating_add(1));
            let next = match self.by_name {
                true => self.parts.open(&name)?,
                false => {
                    self.pending = self.advance()?;
                    self.pending.take_if(|it| is_meant(&it.name, &name))
                }
            };
            if let Some(part) = next {
                chunks.number = chunks.number.saturating_add(1);
                present.piece = (part.size, present.read);
                present.hashing = self.hashing(&part.name, &name);
                present.name = part.name;
                self.present = Some(present);
                return Ok(true);
            }
        }
        match present.promised {
            Some(promised) if promised != present.read => {
                let name = present.chunks.map_or(present.name, |it| it.href);
                let said = format!(
                    "`{}` has {} bytes and should have {promised}",
                    quoted(&name),
                    present.read
                );
                Err(Error::usage(said).hint("Pieces of it are missing; fetch the appliance again"))
            }
            _ => Ok(false),
        }
    }

    fn finish(&mut self) -> Result<Vec<String>> {
        self.close()?;
        // Who writes a pipe is not cut off, even where nobody cares for the rest.
        let on = matches!(self.check, Check::On(_)) || !self.parts.can_open();
        while on
            && !self.by_name
            && let Some(part) = self.advance()?
        {
            self.pass(part)?;
        }
        self.parts.drain()?;
        let mut said = mem::take(&mut self.notes);
        if let Check::Off(why) = &self.check {
            said.push((*why).to_owned());
        }
        let Check::On(checker) = &mut self.check else { return Ok(said) };
        if self.by_name {
            // Nobody needed them, so nobody read them.
            match self.parts.known() {
                Some(known) => known.for_each(|it| checker.present(&it.name)),
                None => checker.all_present(),
            }
        }
        said.push(match (checker.finish()?, &self.listing) {
            (true, Some(name)) => {
                let files = counted(checker.compared(), "file");
                format!("{files} compared with the manifest `{}`", quoted(name))
            }
            _ => "there is no manifest, so nothing was compared with it".to_owned(),
        });
        Ok(said)
    }
}

impl Read for Stored<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(present) = self.present.as_mut().filter(|_| !into.is_empty()) {
            let got = self.parts.read(into)?;
            if got > 0 {
                present.read += got as u64;
                if let Some(hashing) = &mut present.hashing {
                    hashing.update(&into[..got]);
                }
                return Ok(got);
            }
            if !self.another().map_err(into_io)? {
                break;
            }
        }
        Ok(0)
    }

    crate::text::reading::shared!();
}

/// The name of a piece of a file.
fn chunk(href: &str, number: u32) -> String {
    format!("{href}.{number:09}")
}

fn out_of_order(href: &str, first: &str) -> Error {
    let said = format!(
        "`{}` comes before `{}`, which it builds on, and the OVA can be read only once",
        quoted(href),
        quoted(first)
    );
    Error::usage(said)
        .hint("Pass a file or URL, or repack it with the disks in the descriptor's order")
}

fn unknown_packing(href: &str, word: &str) -> Error {
    let said = format!("`{}` is packed with `{}`", quoted(href), quoted(word));
    Error::new(Kind::Unsupported, said)
        .hint("Only gzip is unpacked on the way; unpack it and its descriptor with ovftool")
}
