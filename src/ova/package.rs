//! An appliance that was opened: its descriptor, what else was found with it, and its files to come.
//!
//! As little is read as can be: the descriptor, a manifest that follows at once, and headers where
//! reaching them costs nothing. Surprising: the descriptor need not come first; an archive that can
//! be read from any byte is searched for it, and one from a pipe is refused with how to repack it.

use std::io::Read;

use crate::error::{Error, Result, quoted};
use crate::ova::input::{Begun, Input, Look, Seeks};
use crate::ova::manifest::{Algorithm, Manifest};
use crate::ova::ovf;
use crate::ova::ovf::Descriptor;
use crate::ova::parts::{Archive, Folder, Opener, Part, Parts, is_meant};
use crate::text::words::counted;
use crate::web::exchange::from_io;

/// Largest manifest or certificate; real ones have some KB.
const MAX_SMALL: usize = 4 << 20;

/// Files beside a descriptor that are looked for before the first is sent.
const MAX_LOOKED_FOR: usize = 64;

/// How to make an archive that can be read front to back.
const REPACK: &str = "Repack it with the descriptor first: tar -xf OLD.ova && tar --format=ustar -cf NEW.ova X.ovf X.mf DISKS";

/// How much of an archive is looked at before its files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What tells what the appliance is.
    Front,
    /// Also what spares work when all of it is read: whether there is a manifest, and where.
    Deploy,
}

/// A manifest with its name.
pub struct Listing {
    pub name: String,
    pub manifest: Manifest,
}

impl Listing {
    /// The algorithm that it names; one for all in practice.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.manifest.entries.first().map(|it| it.algorithm)
    }
}

/// An appliance that was opened.
pub struct Package<'a> {
    /// As messages name it.
    pub shown: String,
    /// The descriptor's own name.
    pub name: String,
    /// The descriptor, without a mark of its byte order.
    pub text: String,
    pub descriptor: Descriptor,
    /// What was found so far; one at the end of a pipe comes later.
    pub listing: Option<Listing>,
    /// A certificate was found. Its signature is not looked at.
    pub signed: bool,
    /// What a person should know.
    pub notes: Vec<String>,
    pub parts: Parts<'a>,
    /// A file that was met and not read yet.
    pub pending: Option<Part>,
    /// The descriptor's bytes, for its digest.
    pub raw: Vec<u8>,
    packed: bool,
}

impl<'a> Package<'a> {
    /// Opens an archive.
    pub fn archive(begun: Begun<'a>, depth: Depth) -> Result<Package<'a>> {
        let shown = begun.shown().to_owned();
        let packed = begun.look() == Look::Gzip;
        let input: Box<dyn Input + 'a> = match packed {
            true => Box::new(begun.unpacked()),
            false => Box::new(begun),
        };
        let mut it = read_archive(Archive::new(input), shown, depth)?;
        it.packed = packed;
        if packed {
            it.notes.push("the archive is packed with gzip and unpacked on the way".to_owned());
        }
        Ok(it)
    }

    /// Opens a descriptor with its files beside it; `name` is the descriptor's own.
    pub fn folder(mut begun: Begun<'a>, name: &str, open: Opener<'a>) -> Result<Package<'a>> {
        let shown = begun.shown().to_owned();
        let raw = capped(&mut begun, ovf::MAX_BYTES, "descriptor", name)?;
        let parts = Parts::Folder(Folder::new(open));
        let mut it = Package::new(shown, name.to_owned(), raw, parts)?;
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let listing = format!("{stem}.mf");
        if it.parts.open(&listing)?.is_some() {
            it.learn(listing)?;
        }
        it.signed = it.parts.open(&format!("{stem}.cert"))?.is_some();
        Ok(it)
    }

    fn new(shown: String, name: String, raw: Vec<u8>, parts: Parts<'a>) -> Result<Package<'a>> {
        let descriptor = Descriptor::parse(&raw).map_err(|it| it.during(format!("`{name}`")))?;
        let text = String::from_utf8_lossy(&raw).trim_start_matches('\u{feff}').to_owned();
        let (listing, signed, notes, pending) = (None, false, Vec::new(), None);
        Ok(Package {
            shown,
            name,
            text,
            descriptor,
            listing,
            signed,
            notes,
            parts,
            pending,
            raw,
            packed: false,
        })
    }

    fn learn(&mut self, name: String) -> Result<()> {
        let manifest = manifest(&mut self.parts, &name)?;
        self.listing = Some(Listing { name, manifest });
        Ok(())
    }

    /// Whether disks patch others, which must be there before them.
    pub fn is_layered(&self) -> bool {
        self.descriptor.disks.iter().any(|it| it.parent.is_some())
    }

    /// Whether files must come in the order in which they are asked for, or twice: two disks may be
    /// filled by one file.
    pub fn needs_order(&self) -> bool {
        let disks = &self.descriptor.disks;
        let twice = |at: usize, file: &String| {
            disks.iter().take(at).any(|it| it.file.as_ref() == Some(file))
        };
        let again =
            |(at, it): (usize, &ovf::Disk)| it.file.as_ref().is_some_and(|it| twice(at, it));
        self.is_layered() || disks.iter().enumerate().any(again)
    }

    /// Whether nothing that is not known yet can follow.
    pub fn is_settled(&self) -> bool {
        self.parts.known().is_some() || !self.parts.has_order()
    }

    /// Whether the archive itself is packed once more.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// The files of the descriptor that are not in the archive; none where that is not known yet.
    pub fn missing_members(&self) -> Vec<&str> {
        let Some(known) = self.parts.known() else { return Vec::new() };
        let names: Vec<&str> = known.map(|it| it.name.as_str()).collect();
        let there = |href: &str| names.iter().any(|it| is_meant(it, href));
        let files = self.descriptor.files.iter();
        files
            .map(|it| it.href.as_str())
            .filter(|href| !there(href) && !there(&format!("{href}.000000000")))
            .collect()
    }

    /// The same, looking beside the descriptor too.
    pub fn missing(&mut self) -> Result<Vec<String>> {
        if self.parts.has_order() {
            return Ok(self.missing_members().into_iter().map(str::to_owned).collect());
        }
        let mut missing = Vec::new();
        for file in self.descriptor.files.iter().take(MAX_LOOKED_FOR) {
            let href = match file.chunk_size {
                Some(_) if self.parts.open(&file.href)?.is_none() => {
                    format!("{}.000000000", file.href)
                }
                _ => file.href.clone(),
            };
            if self.parts.open(&href)?.is_none() {
                missing.push(href);
            }
        }
        Ok(missing)
    }

    /// Bytes of a file of the descriptor as stored, where that is known.
    pub fn size_of(&self, file: &ovf::File) -> Option<u64> {
        let meant = |name: &str| is_meant(name, &file.href);
        let found = self.parts.known().and_then(|mut it| it.find(|it| meant(&it.name)));
        found.map(|it| it.size).or(file.size)
    }
}

fn read_archive<'a>(mut archive: Archive<'a>, shown: String, depth: Depth) -> Result<Package<'a>> {
    let seeks = archive.seeks();
    let mut before = None;
    let first = loop {
        let Some(part) = archive.advance()? else { break None };
        match Sort::of(&part.name) {
            Sort::Descriptor => break Some(part),
            Sort::Manifest if before.is_none() => {
                let manifest = manifest(&mut archive, &part.name)?;
                before = Some(Listing { name: part.name, manifest });
            }
            Sort::Manifest | Sort::Certificate | Sort::Nothing => {}
            Sort::Other if seeks == Seeks::Never => return Err(not_first(&shown, &part.name)),
            Sort::Other => {
                archive.walk()?;
                break None;
            }
        }
    };
    let met = first.is_some();
    let first = match first {
        Some(part) => part,
        None => {
            let found = archive.members().find(|it| Sort::of(&it.name) == Sort::Descriptor);
            let name = found.map(|it| it.name.clone()).ok_or_else(|| no_descriptor(&archive))?;
            archive.open(&name)?.ok_or_else(|| no_descriptor(&archive))?
        }
    };
    let mut parts = Parts::Archive(Box::new(archive));
    let raw = capped(&mut parts, ovf::MAX_BYTES, "descriptor", &first.name)?;
    let mut it = Package::new(shown, first.name, raw, parts)?;
    it.listing = before;
    if !met {
        it.notes.push(format!("`{}` does not come first in it, as it should", it.name));
    }
    while it.parts.known().is_none() {
        let Some(part) = it.parts.advance()? else { break };
        match Sort::of(&part.name) {
            Sort::Manifest if it.listing.is_none() => it.learn(part.name)?,
            Sort::Certificate => it.signed = true,
            Sort::Nothing => {}
            _ => {
                it.pending = Some(part);
                break;
            }
        }
    }
    let deep = depth == Depth::Deploy && (it.listing.is_none() || it.needs_order());
    let walk = match seeks {
        Seeks::Never => false,
        Seeks::Slowly => deep,
        Seeks::Freely => true,
    };
    if let (true, Parts::Archive(archive)) = (walk, &mut it.parts) {
        archive.walk()?;
        it.pending = None;
    }
    survey(&mut it)?;
    Ok(it)
}

/// What an archive whose files are all known has beside the descriptor.
fn survey(it: &mut Package<'_>) -> Result<()> {
    if !it.parts.can_open() {
        return Ok(());
    }
    let Some(known) = it.parts.known() else { return Ok(()) };
    let (mut descriptors, mut listings, mut signed) = (0, Vec::new(), false);
    for member in known {
        match Sort::of(&member.name) {
            Sort::Descriptor => descriptors += 1,
            Sort::Manifest => listings.push(member.name.clone()),
            Sort::Certificate => signed = true,
            _ => {}
        }
    }
    it.signed |= signed;
    if descriptors > 1 {
        let said = counted(descriptors, "descriptor");
        it.notes.push(format!("it holds {said}; `{}` is the one that is taken", it.name));
    }
    let own = it.name.rsplit_once('.').map_or("", |(stem, _)| stem);
    let own = listings.iter().find(|it| it.rsplit_once('.').is_some_and(|(stem, _)| stem == own));
    if let (None, Some(name)) = (&it.listing, own.or(listings.first()).cloned())
        && it.parts.open(&name)?.is_some()
    {
        it.learn(name)?;
    }
    if let Parts::Archive(archive) = &mut it.parts {
        archive.rewind();
    }
    Ok(())
}

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Descriptor,
    Manifest,
    Certificate,
    /// What a Mac adds to each file that it packs, under the same end of the name.
    Nothing,
    Other,
}

impl Sort {
    pub fn of(name: &str) -> Sort {
        let last = name.rsplit('/').next().unwrap_or(name);
        if last.starts_with("._") {
            return Sort::Nothing;
        }
        let end = last.rsplit_once('.').map_or("", |(_, end)| end);
        let sorts =
            [("ovf", Sort::Descriptor), ("mf", Sort::Manifest), ("cert", Sort::Certificate)];
        let found = sorts.iter().find(|(it, _)| it.eq_ignore_ascii_case(end));
        found.map_or(Sort::Other, |(_, sort)| *sort)
    }
}

/// All of a file that is small by its nature.
pub fn capped(from: &mut dyn Read, most: usize, what: &str, name: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most as u64 + 1).read_to_end(&mut bytes).map_err(from_io)?;
    if bytes.len() > most {
        let said = format!("the {what} `{}` has more than {} MB", quoted(name), most >> 20);
        return Err(Error::usage(said).hint("No appliance needs that; is it the right file?"));
    }
    Ok(bytes)
}

/// Reads a manifest.
pub fn manifest(from: &mut dyn Read, name: &str) -> Result<Manifest> {
    let bytes = capped(from, MAX_SMALL, "manifest", name)?;
    Manifest::parse(&bytes).map_err(|it| it.during(format!("`{name}`")))
}

fn not_first(shown: &str, name: &str) -> Error {
    let said = format!(
        "`{shown}` begins with `{}` and not with its descriptor (.ovf), and can be read only once",
        quoted(name)
    );
    Error::usage(said).hint(format!(
        "{REPACK}. A file would be searched for it, or a URL whose server gives parts"
    ))
}

fn no_descriptor(archive: &Archive<'_>) -> Error {
    let names: Vec<String> =
        archive.members().take(5).map(|it| format!("`{}`", quoted(&it.name))).collect();
    let held = match names.is_empty() {
        true => "no file".to_owned(),
        false => names.join(", "),
    };
    Error::usage(format!("there is no descriptor (.ovf) in the OVA; it holds {held}"))
        .hint("Pass the .ova file itself; one .ova inside of another is not looked into")
}
