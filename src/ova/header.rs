//! Headers of a tar archive, block by block: ustar, GNU and PAX, and what preceded them.
//!
//! A state machine over blocks of 512 bytes that never sees a member's data, so that the same code
//! reads a stream ([`tar`](crate::ova::tar)) and walks an archive by ranges. Sources: POSIX.1-2017
//! `pax`, GNU tar's manual, vSphere spec 5.1. Surprising: one member may have several headers before
//! its own, which carry a name or a size that its own has no room for; and sums are checked both as
//! signed and as unsigned bytes, because both have been written.

use crate::error::{Error, Kind, Result, quoted};

/// Headers and data are padded to this.
pub const BLOCK: usize = 512;

/// Longest name or PAX record of one member; real ones have some hundred bytes.
pub const MAX_META: u64 = 1 << 20;

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Without a leading `./`.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What a header block says of what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes about the next member follow, padded; [`Headers::meta`] wants them.
    Meta(u64),
    /// A file's data follows, padded.
    File(Member),
    /// So many bytes that nobody needs follow, padded.
    Skip(u64),
    /// The archive ends here.
    End,
}

/// What a kind of header carries for the next member.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carries {
    LongName,
    Pax,
    /// For all members that follow.
    Global,
    LongLink,
}

/// Reads headers in the order of the archive.
#[derive(Default)]
pub struct Headers {
    /// The kind of record whose bytes are due.
    due: Option<Carries>,
    name: Option<String>,
    size: Option<u64>,
    seen: bool,
    sparse: bool,
}

impl Headers {
    /// Reads a header.
    pub fn block(&mut self, block: &[u8; BLOCK]) -> Result<Step> {
        if block.iter().all(|byte| *byte == 0) {
            return match self.seen {
                true => Ok(Step::End),
                false => Err(broken("the archive is empty")),
            };
        }
        if !sums_match(block) {
            return Err(self.no_header(block));
        }
        self.seen = true;
        let size =
            number(&block[124..136]).ok_or_else(|| broken("a member's size is no number"))?;
        let kind = block[156];
        let carries = match kind {
            b'L' => Some(Carries::LongName),
            b'K' => Some(Carries::LongLink),
            b'x' | b'X' => Some(Carries::Pax),
            b'g' => Some(Carries::Global),
            _ => None,
        };
        if carries.is_some() {
            if size > MAX_META {
                return Err(broken(format!("a record about a member has {size} bytes")));
            }
            self.due = carries;
            return Ok(Step::Meta(size));
        }
        let name = self.name.take().unwrap_or_else(|| own_name(block));
        let size = self.size.take().unwrap_or(size);
        match kind {
            _ if kind == b'S' || self.sparse => Err(unfit(&name, "is stored as a sparse file")),
            // An old archive marks a folder by its name alone.
            b'0' | 0 | b'7' if name.ends_with('/') => Ok(Step::Skip(size)),
            b'0' | 0 | b'7' => Ok(Step::File(Member { name: plain(&name)?, size })),
            // A folder may tell the size of what is in it, and no data follows.
            b'5' => Ok(Step::Skip(0)),
            b'V' => Ok(Step::Skip(size)),
            b'1' | b'2' => Err(unfit(&name, "is a link")),
            b'M' => Err(unfit(&name, "goes on from another volume")),
            other => Err(unfit(
                &name,
                &format!("is of the kind `{}`", char::from(other).escape_default()),
            )),
        }
    }

    /// Takes the bytes that [`Step::Meta`] asked for.
    pub fn meta(&mut self, bytes: &[u8]) -> Result<()> {
        match self.due.take() {
            Some(Carries::LongName) => {
                self.name = Some(text(until_nul(bytes)));
                Ok(())
            }
            Some(Carries::Pax) => self.pax(bytes, false),
            Some(Carries::Global) => self.pax(bytes, true),
            Some(Carries::LongLink) | None => Ok(()),
        }
    }

    /// Records of the form `LENGTH KEY=VALUE\n`, the length in bytes with itself.
    fn pax(&mut self, bytes: &[u8], global: bool) -> Result<()> {
        let mut rest = bytes;
        // Some writers pad with zeros.
        while !until_nul(rest).is_empty() {
            let wrong = || broken("a PAX record is damaged");
            let space = rest.iter().take(20).position(|it| *it == b' ').ok_or_else(wrong)?;
            let length: usize =
                text(&rest[..space]).parse().ok().filter(|it| *it > space + 1).ok_or_else(wrong)?;
            let record = rest.get(space + 1..length).ok_or_else(wrong)?;
            let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|it| *it == b'=').ok_or_else(wrong)?;
            let (key, value) = (text(&record[..equals]), text(&record[equals + 1..]));
            match key.as_str() {
                // Told with the member's name, which comes last.
                key if key.starts_with("GNU.sparse.") => self.sparse = true,
                // A global path would name every member alike; it is nowhere written.
                "path" if !global => self.name = Some(value),
                "size" if !global => {
                    self.size = Some(value.parse().ok().filter(|it| *it <= MAX).ok_or_else(wrong)?);
                }
                _ => {}
            }
            rest = rest.get(length..).ok_or_else(wrong)?;
        }
        Ok(())
    }

    /// The error for a block that is no header, with what it may be instead.
    fn no_header(&self, block: &[u8; BLOCK]) -> Error {
        if self.seen {
            return broken("what follows is no header of a member");
        }
        let other = [
            (&[0x1f, 0x8b][..], "it is compressed with gzip", "Unpack it first: gunzip FILE"),
            (b"BZh", "it is compressed with bzip2", "Unpack it first: bunzip2 FILE"),
            (b"\xfd7zXZ", "it is compressed with xz", "Unpack it first: unxz FILE"),
            (b"PK", "it is a ZIP archive", "Unpack it, and deploy the .ovf file in it"),
            (b"KDMV", "it is a disk (VMDK), not an appliance", "Pass the .ova or .ovf file"),
            (b"<", "it looks like a descriptor", "Pass it to deploy_ovf"),
            (b"\xef\xbb\xbf<", "it looks like a descriptor", "Pass it to deploy_ovf"),
        ];
        let found = other.iter().find(|(start, ..)| block.starts_with(start));
        let (what, hint) = found.map_or(
            ("its first block is no header", "An OVA is an uncompressed tar archive"),
            |(_, what, hint)| (*what, *hint),
        );
        Error::usage(format!("this is no OVA: {what}")).hint(hint)
    }
}

/// Largest size: an offset must stay a number of the platform's files.
const MAX: u64 = i64::MAX as u64;

/// Bytes of padding behind so many bytes of data.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The two sums that writers have made of a header, with the sum's own field as blanks.
fn sums_match(block: &[u8; BLOCK]) -> bool {
    let Some(written) = number(&block[148..156]) else { return false };
    let byte = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { b' ' } else { *byte };
    let unsigned: u64 = block.iter().enumerate().map(|it| u64::from(byte(it))).sum();
    let signed: i64 =
        block.iter().enumerate().map(|it| i64::from(i8::from_ne_bytes([byte(it)]))).sum();
    written == unsigned || i64::try_from(written) == Ok(signed)
}

/// A number: octal digits with blanks and NUL around them, or base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // 0xff would begin a negative number.
        let begin = u64::from(first & 0x7f);
        let add = |sum: u64, byte: &u8| sum.checked_mul(256)?.checked_add(u64::from(*byte));
        return rest.iter().try_fold(begin, add).filter(|it| *first != 0xff && *it <= MAX);
    }
    let digits = until_nul(field).trim_ascii();
    let digit = |sum: u64, byte: &u8| match byte {
        b'0'..=b'7' => sum.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    };
    digits.iter().try_fold(0, digit)
}

/// The name in the header itself; only POSIX archives keep its beginning in a second field.
fn own_name(block: &[u8; BLOCK]) -> String {
    let (name, prefix) = (until_nul(&block[..100]), until_nul(&block[345..500]));
    match block[257..263] == *b"ustar\0" && !prefix.is_empty() {
        true => format!("{}/{}", text(prefix), text(name)),
        false => text(name),
    }
}

/// The name as a descriptor writes it; one that leads out of the archive is refused.
fn plain(name: &str) -> Result<String> {
    let mut short = name;
    while let Some(rest) = short.strip_prefix("./") {
        short = rest.trim_start_matches('/');
    }
    let leads_out = short.starts_with('/') || short.split('/').any(|part| part == "..");
    match short.is_empty() || leads_out || short.contains('\0') {
        true => Err(broken(format!("a member bears the name `{}`", quoted(name)))),
        false => Ok(short.to_owned()),
    }
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn broken(what: impl Into<String>) -> Error {
    Error::new(Kind::Usage, format!("the OVA is damaged: {}", what.into()))
        .hint("Compare its size and checksum with the vendor's, and fetch it again")
}

fn unfit(name: &str, what: &str) -> Error {
    Error::usage(format!("`{}` in the OVA {what}, which no OVA may hold", quoted(name)))
        .hint("Pack it anew: tar --format=ustar -cf NEW.ova X.ovf X.mf disks")
}
