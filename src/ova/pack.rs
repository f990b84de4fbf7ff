//! Where what stands in an archive that is written before its sizes are known.
//!
//! An OVA begins with its descriptor and its manifest, and both are known last: so room is kept for
//! them, of which the manifest fills all and the descriptor fills what is left with blanks, which
//! XML allows behind its last tag. It must not know where the archive is written, only that one can
//! go back there. Surprising: no header moves when a size becomes known, since headers have one
//! length for all sizes.

use std::io::Read;

use crate::error::{Error, Kind, Result, quoted};
use crate::ova::header::{BLOCK, padding};
use crate::ova::manifest::{Checker, Manifest};
use crate::ova::tar::Tar;
use crate::ova::write::{END, header};
use crate::web::exchange::from_io;

/// Read at once.
const CHUNK: usize = 128 << 10;

/// Bytes by which a descriptor may grow after its draft, beside a part of its own length.
const SLACK: u64 = 4096;

/// Bytes that a file adds to a descriptor, beside its name: its reference, its size in two places.
const FOR_EACH: u64 = 512;

/// How often a name may stand there, each byte of it as an entity such as `&#xE4;`.
const FOR_NAMES: u64 = 16;

/// The beginning of an archive that is being written.
pub struct Pack {
    descriptor: (String, u64),
    manifest: (String, u64),
    /// Seconds since 1970, of every file.
    modified: u64,
}

impl Pack {
    /// Keeps room for a descriptor like `draft` with `files` in it and for a manifest of so many
    /// bytes.
    pub fn new(
        descriptor: (&str, &str),
        manifest: (&str, u64),
        files: &[String],
        modified: u64,
    ) -> Result<Pack> {
        let ((name, draft), (manifest, manifest_size)) = (descriptor, manifest);
        for it in files.iter().map(String::as_str).chain([name, manifest]) {
            header(it, 0, 0)?;
        }
        let draft = draft.len() as u64;
        let each: u64 = files.iter().map(|it| FOR_EACH + FOR_NAMES * it.len() as u64).sum();
        let room = (draft + draft / 4 + SLACK + each).next_multiple_of(BLOCK as u64);
        Ok(Pack {
            descriptor: (name.to_owned(), room),
            manifest: (manifest.to_owned(), manifest_size),
            modified,
        })
    }

    /// Where the header of the first other file stands.
    pub fn files_at(&self) -> u64 {
        let (descriptor, manifest) = (self.descriptor.1, self.manifest.1);
        2 * BLOCK as u64 + descriptor + manifest + padding(manifest)
    }

    /// The descriptor in all of its room.
    pub fn descriptor(&self, text: &str) -> Result<Vec<u8>> {
        let (name, room) = (&self.descriptor.0, usize::try_from(self.descriptor.1).unwrap_or(0));
        let mut bytes = text.as_bytes().to_vec();
        if bytes.len() > room {
            let said = format!(
                "`{}` has become {} bytes, and room was kept for {room}",
                quoted(name),
                bytes.len()
            );
            return Err(Error::new(Kind::Remote, said)
                .hint("The VM was changed meanwhile; try again, or use format=ovf"));
        }
        bytes.resize(room, b'\n');
        Ok(bytes)
    }

    /// All that stands before the other files; `descriptor` in all of its room.
    pub fn head(&self, descriptor: &[u8], manifest: &[u8]) -> Result<Vec<u8>> {
        let parts = [(&self.descriptor, descriptor), (&self.manifest, manifest)];
        let mut all = Vec::new();
        for ((name, room), bytes) in parts {
            if bytes.len() as u64 != *room {
                let said = format!("{} bytes of `{name}` instead of {room}", bytes.len());
                return Err(Error::bug(said));
            }
            all.extend_from_slice(&header(name, *room, self.modified)?);
            all.extend_from_slice(bytes);
            all.resize(all.len().next_multiple_of(BLOCK), 0);
        }
        Ok(all)
    }

    /// The header of a file, once its size is known.
    pub fn header(&self, name: &str, size: u64) -> Result<[u8; BLOCK]> {
        header(name, size, self.modified)
    }
}

/// Where a file's data begin, by where its header stands.
pub fn data_at(header_at: u64) -> u64 {
    header_at + BLOCK as u64
}

/// Where the next header stands, or the end of the archive.
pub fn next_at(header_at: u64, size: u64) -> u64 {
    data_at(header_at) + size + padding(size)
}

/// What stands behind the last file.
pub fn end() -> &'static [u8] {
    &END
}

/// Reads a written archive as whoever deploys it will: so many files, as its manifest says. `each`
/// is told how many bytes went by.
pub fn check(
    archive: &mut dyn Read,
    count: usize,
    each: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<()> {
    let mut tar = Tar::new(archive);
    let (mut checker, mut seen, mut chunk) = (Checker::default(), 0, vec![0; CHUNK]);
    while let Some(member) = tar.advance()? {
        seen += 1;
        let mut digests = checker.begin(&member.name);
        let mut text = member.name.ends_with(".mf").then(Vec::new);
        loop {
            let got = tar.read(&mut chunk).map_err(from_io)?;
            if got == 0 {
                break;
            }
            each(got)?;
            digests.update(&chunk[..got]);
            text.iter_mut().for_each(|it| it.extend_from_slice(&chunk[..got]));
        }
        match text {
            None => checker.end(digests)?,
            Some(text) => checker.learn(Manifest::parse(&text)?)?,
        }
    }
    match checker.finish()? && seen == count {
        true => Ok(()),
        false => Err(Error::new(Kind::Conflict, format!("{seen} of {count} files are in it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(files: &[&str]) -> Pack {
        let files: Vec<String> = files.iter().map(|it| (*it).to_owned()).collect();
        Pack::new(("vm.ovf", "<Envelope/>"), ("vm.mf", 600), &files, 1_790_000_000).unwrap()
    }

    #[test]
    fn what_is_packed_out_of_order_is_read_in_order() {
        let pack = pack(&["vm-disk1.vmdk", "vm-disk2.vmdk"]);
        let (mut at, mut archive) = (pack.files_at(), Vec::new());
        for (name, size) in [("vm-disk1.vmdk", 1000), ("vm-disk2.vmdk", 1024)] {
            let end = usize::try_from(next_at(at, size)).unwrap();
            archive.resize(end, 0);
            let data = usize::try_from(data_at(at)).unwrap();
            archive[data..data + usize::try_from(size).unwrap()].fill(7);
            archive[data - BLOCK..data].copy_from_slice(&pack.header(name, size).unwrap());
            at = next_at(at, size);
        }
        archive.extend_from_slice(end());
        let descriptor = pack.descriptor("<Envelope>more</Envelope>").unwrap();
        let head = pack.head(&descriptor, &[b'm'; 600]).unwrap();
        assert_eq!(head.len() as u64, pack.files_at());
        archive[..head.len()].copy_from_slice(&head);
        let mut tar = Tar::new(&archive[..]);
        let mut found = Vec::new();
        while let Some(member) = tar.advance().unwrap() {
            let mut data = Vec::new();
            tar.read_to_end(&mut data).unwrap();
            found.push((member.name, data.len(), data.last().copied()));
        }
        assert_eq!(found[0].0, "vm.ovf");
        assert_eq!(found[0].2, Some(b'\n'));
        let rest: Vec<(&str, usize)> = found[1..].iter().map(|it| (&*it.0, it.1)).collect();
        assert_eq!(rest, [("vm.mf", 600), ("vm-disk1.vmdk", 1000), ("vm-disk2.vmdk", 1024)]);
    }

    #[test]
    fn a_size_that_becomes_known_late_moves_nothing() {
        let pack = pack(&["vm-disk1.vmdk"]);
        let at = pack.files_at();
        for size in [0, 1, 512, (8 << 30) - 1, 8 << 30, 40 << 40] {
            let block = pack.header("vm-disk1.vmdk", size).unwrap();
            let member = Tar::new(&block[..]).advance().unwrap().unwrap();
            assert_eq!((member.name.as_str(), member.size), ("vm-disk1.vmdk", size));
            assert_eq!(next_at(at, size), at + 512 + size.next_multiple_of(512));
        }
    }

    #[test]
    fn there_is_room_for_names_of_any_kind_and_an_end_of_it() {
        let name = "ä&<".repeat(20);
        let pack = pack(&[&name]);
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('ä', "&#xE4;");
        assert!(pack.descriptor(&format!("<Envelope>{escaped}{escaped}</Envelope>")).is_ok());
        let error = pack.descriptor(&"x".repeat(20_000)).unwrap_err();
        assert!(error.to_string().contains("`vm.ovf` has become 20000 bytes"), "{error}");
        let long = Pack::new(("vm.ovf", ""), ("vm.mf", 0), &["x".repeat(101)], 0);
        assert!(long.is_err());
    }
}
