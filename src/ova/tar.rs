//! A tar archive out of a stream: one pass, front to back, in constant memory.
//!
//! [`Tar::advance`] goes to the next file, reading over what was not read of the one before; between,
//! the archive itself is a reader of the present file's data. It never seeks. Surprising: an archive
//! may end without its two empty blocks, which every reader takes; one that ends inside a file is
//! truncated, and that is told with how far it came.

use std::io;
use std::io::Read;

use crate::error::{Error, Kind, Result};
use crate::ova::header::{BLOCK, Headers, Member, Step, padding};
use crate::web::exchange::{from_io, into_io};

/// Bytes that are read over at once.
const SKIP: usize = 32 * 1024;

/// An archive that is being read.
pub struct Tar<R> {
    input: R,
    headers: Headers,
    /// Bytes of the stream that were read.
    at: u64,
    /// Bytes of the present file that were not read yet, and of its padding.
    left: u64,
    padding: u64,
    member: Option<Member>,
    ended: bool,
}

impl<R: Read> Tar<R> {
    /// An archive that begins where `input` stands.
    pub fn new(input: R) -> Tar<R> {
        let headers = Headers::default();
        Tar { input, headers, at: 0, left: 0, padding: 0, member: None, ended: false }
    }

    /// Bytes of the stream that were read so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// What it is read from, for who puts it elsewhere and says so with [`skipped`](Tar::skipped) or
    /// [`place`](Tar::place).
    pub fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// Bytes up to the next header: of the present file what was not read, and its padding.
    pub fn left(&self) -> u64 {
        self.left + self.padding
    }

    /// The input was put so many of the [`left`](Tar::left) bytes further.
    pub fn skipped(&mut self, bytes: u64) {
        let data = bytes.min(self.left);
        self.left -= data;
        self.padding -= (bytes - data).min(self.padding);
        self.at += bytes;
    }

    /// The input was put to where a file's data begins.
    pub fn place(&mut self, at: u64, member: Member) {
        (self.at, self.left, self.padding) = (at, member.size, padding(member.size));
        self.member = Some(member);
    }

    /// The next file, or `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Member>> {
        self.skip(self.left)?;
        self.skip(self.padding)?;
        (self.left, self.padding, self.member) = (0, 0, None);
        while !self.ended {
            let mut block = [0; BLOCK];
            if !self.fill(&mut block)? {
                if self.at == 0 {
                    return Err(Error::usage("the OVA is empty"));
                }
                self.ended = true;
                break;
            }
            match self.headers.block(&block)? {
                Step::End => self.ended = true,
                Step::Skip(size) => {
                    self.skip(size)?;
                    self.skip(padding(size))?;
                }
                Step::Meta(size) => {
                    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
                    if !bytes.is_empty() && !self.fill(&mut bytes)? {
                        return Err(self.truncated());
                    }
                    self.skip(padding(size))?;
                    self.headers.meta(&bytes)?;
                }
                Step::File(member) => {
                    (self.left, self.padding) = (member.size, padding(member.size));
                    self.member = Some(member.clone());
                    return Ok(Some(member));
                }
            }
        }
        Ok(None)
    }

    /// Fills all of `into`; false where the stream ends before its first byte.
    fn fill(&mut self, into: &mut [u8]) -> Result<bool> {
        let mut filled = 0;
        while filled < into.len() {
            match read(&mut self.input, &mut into[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(self.truncated()),
                got => {
                    filled += got;
                    self.at += got as u64;
                }
            }
        }
        Ok(true)
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let mut left = bytes;
        let mut buffer = [0; SKIP];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(SKIP).min(SKIP);
            match read(&mut self.input, &mut buffer[..most])? {
                0 => return Err(self.truncated()),
                got => {
                    left -= got as u64;
                    self.at += got as u64;
                }
            }
        }
        Ok(())
    }

    fn truncated(&self) -> Error {
        let place = match &self.member {
            Some(member) => {
                let had = member.size.saturating_sub(self.left);
                format!("inside `{}`, after {had} of its {} bytes", member.name, member.size)
            }
            None => "between two files".to_owned(),
        };
        Error::new(Kind::Usage, format!("the OVA ends too early: after {} bytes, {place}", self.at))
            .hint("Its transfer broke off; fetch it again")
    }
}

/// The present file's data.
impl<R: Read> Read for Tar<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if most == 0 {
            return Ok(0);
        }
        match read(&mut self.input, &mut into[..most]) {
            Ok(0) => Err(into_io(self.truncated())),
            Ok(got) => {
                self.left -= got as u64;
                self.at += got as u64;
                Ok(got)
            }
            Err(error) => Err(into_io(error)),
        }
    }

    crate::text::reading::shared!();
}

fn read(input: &mut impl Read, into: &mut [u8]) -> Result<usize> {
    loop {
        match input.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map_err(from_io),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with its sum.
    fn header(name: &str, size: &[u8], kind: u8, magic: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[124..124 + size.len()].copy_from_slice(size);
        block[156] = kind;
        block[257..257 + magic.len()].copy_from_slice(magic);
        summed(block)
    }

    fn summed(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    fn file(name: &str, data: &[u8]) -> Vec<u8> {
        let size = format!("{:011o}\0", data.len());
        let mut all = header(name, size.as_bytes(), b'0', b"ustar\x0000").to_vec();
        all.extend(data);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
        all
    }

    fn record(kind: u8, data: &[u8]) -> Vec<u8> {
        let mut all = file("././@LongLink", data);
        let mut block = [0; BLOCK];
        block.copy_from_slice(&all[..BLOCK]);
        block[156] = kind;
        all[..BLOCK].copy_from_slice(&summed(block));
        all
    }

    /// Names and data of all files.
    fn all(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut tar = Tar::new(bytes);
        let mut found = Vec::new();
        while let Some(member) = tar.advance()? {
            let mut data = Vec::new();
            tar.read_to_end(&mut data).map_err(from_io)?;
            assert_eq!(data.len() as u64, member.size);
            found.push((member.name, data));
        }
        Ok(found)
    }

    fn refused(bytes: &[u8]) -> String {
        all(bytes).err().map(|it| it.to_string()).expect("it was taken")
    }

    #[test]
    fn files_come_in_order_with_or_without_an_end() {
        let mut bytes = [file("./a.ovf", b"<Envelope/>"), file("disk.vmdk", &[7; 1500])].concat();
        let wanted = vec![
            ("a.ovf".to_owned(), b"<Envelope/>".to_vec()),
            ("disk.vmdk".into(), vec![7; 1500]),
        ];
        assert_eq!(all(&bytes).unwrap(), wanted);
        bytes.extend([0; 10_240]);
        bytes.extend(b"what follows the end is nobody's");
        assert_eq!(all(&bytes).unwrap(), wanted);
        // What is not read is read over.
        let mut tar = Tar::new(&bytes[..]);
        assert_eq!(tar.advance().unwrap().unwrap().name, "a.ovf");
        assert_eq!(tar.advance().unwrap().unwrap().name, "disk.vmdk");
        assert_eq!(tar.position(), 3 * 512);
        assert_eq!(tar.advance().unwrap(), None);
        assert_eq!(tar.advance().unwrap(), None);
    }

    #[test]
    fn names_and_sizes_that_a_header_has_no_room_for() {
        let long = format!("{}/x.vmdk", "f".repeat(300));
        let gnu = [record(b'L', format!("{long}\0").as_bytes()), file("cut", b"1")].concat();
        assert_eq!(all(&gnu).unwrap()[0].0, long);
        let value = format!("path={long}\n");
        let pax = format!("{} {value}", value.len() + 4);
        let pax = [record(b'x', pax.as_bytes()), file("cut", b"12")].concat();
        assert_eq!(all(&pax).unwrap(), [(long, b"12".to_vec())]);
        // 9 GiB in base 256, and the same by PAX.
        let mut size = [0; 12];
        size[0] = 0x80;
        size[4..].copy_from_slice(&(9_u64 << 30).to_be_bytes());
        let big = header("big", &size, b'0', b"ustar  \0");
        assert_eq!(Tar::new(&big[..]).advance().unwrap().unwrap().size, 9 << 30);
        let pax = [record(b'x', b"19 size=9663676416\n"), file("big", b"")].concat();
        assert_eq!(Tar::new(&pax[..]).advance().unwrap().unwrap().size, 9 << 30);
        let mut prefixed = header("name", b"00000000000\0", b'0', b"ustar\x0000");
        prefixed[345..351].copy_from_slice(b"folder");
        assert_eq!(Tar::new(&summed(prefixed)[..]).advance().unwrap().unwrap().name, "folder/name");
    }

    #[test]
    fn what_is_damaged_or_unfit_is_told() {
        let good = file("disk.vmdk", &[7; 1500]);
        for (bytes, said) in [
            (&b""[..], "the OVA is empty"),
            (&[0; 1024], "the archive is empty"),
            (&good[..300], "ends too early: after 300 bytes, between two files"),
            (&good[..1000], "after 1000 bytes, inside `disk.vmdk`, after 488 of its 1500 bytes"),
            (&good[..2012], "after 2012 bytes, inside `disk.vmdk`, after 1500 of its 1500 bytes"),
            (&[&good[..], &[1; 512]].concat(), "what follows is no header"),
            (&[&[0x1f, 0x8b][..], &[1; 510]].concat(), "compressed with gzip. Unpack it first"),
            (&[&b"<?xml "[..], &[b' '; 506]].concat(), "descriptor. Pass it to deploy_ovf"),
            (&file("../x", b""), "bears the name `../x`"),
            (&file("/etc/passwd", b""), "bears the name `/etc/passwd`"),
            (&record(b'S', b""), "stored as a sparse file"),
            (
                &[record(b'x', b"22 GNU.sparse.major=1\n"), good.clone()].concat(),
                "`disk.vmdk` in the OVA is stored as a sparse file",
            ),
            (&record(b'x', b"99 path=x\n"), "a PAX record is damaged"),
            (&record(b'x', b"5\n"), "a PAX record is damaged"),
            (&record(b'2', b""), "is a link"),
            (&header("x", b"77777777777\0", b'L', b""), "a record about a member has 8589934591"),
            (&header("x", b"12x\0", b'0', b""), "size is no number"),
            (&header("x", &[0xff; 12], b'0', b""), "size is no number"),
        ] {
            let found = refused(bytes);
            assert!(found.contains(said), "{found} instead of {said}");
        }
    }

    #[test]
    fn folders_and_signed_sums_are_taken() {
        let mut old = header("a.ovf", b"       0 \0", 0, b"");
        old[0] = 0xc3;
        old[148..156].copy_from_slice(b"        ");
        let sum: i32 = old.iter().map(|it| i32::from(i8::from_ne_bytes([*it]))).sum();
        old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let bytes = [record(b'5', b"")[..512].to_vec(), file("old/", b""), old.to_vec()].concat();
        assert_eq!(all(&bytes).unwrap().len(), 1);
    }
}
