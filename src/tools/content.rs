//! What a file of a guest or a datastore holds, as an answer: a part of it shown, or all of it saved
//! on this machine; and what goes there from a call's arguments.
//!
//! It must not know where the file is. Surprising: a part that is shown ends where the answer is
//! full, which is counted in text and in structured content, and the answer says where to go on.

use std::io::Write;

use crate::error::{Error, Kind, Result, quoted};
use crate::files::target::Target;
use crate::text::base64;
use crate::text::hex::hex;
use crate::tools::args::{Arg, Default};
use crate::tools::ctx::Ctx;
use crate::tools::guest_text;
use crate::tools::reply::{Record, Reply};

/// Of a part that is shown.
pub const MAX_BYTES: Arg =
    Arg::int("max_bytes", "most bytes to show", 4, 1 << 20).or(Default::Int(65_536));
/// All of it, to this machine.
pub const SAVE_TO: Arg =
    Arg::text("save_to", "file on this machine to save all of it to, instead of showing it")
        .writes_here();
/// Whether a local file may go.
pub const REPLACE: Arg =
    Arg::flag("overwrite", "replace an existing file at `save_to`").or(Default::Flag(false));

/// Bytes of a file that an argument holds.
pub const MOST_CONTENT: usize = 1 << 20;

/// Characters of an answer beside the content.
const AROUND: usize = 1_500;

/// The bytes that an argument holds.
pub fn given(name: &str, content: &str, coded: bool) -> Result<Vec<u8>> {
    let bytes = match coded {
        true => {
            base64::decode(content).ok_or_else(|| Error::usage(format!("`{name}` is no base64")))?
        }
        false => content.as_bytes().to_vec(),
    };
    if bytes.len() > MOST_CONTENT {
        return Err(Error::usage(format!("`{name}` has {} bytes", bytes.len()))
            .hint("1 MB is the most; pass larger files by local_path"));
    }
    Ok(bytes)
}

/// A part of a file.
pub struct Part<'a> {
    pub bytes: &'a [u8],
    /// Of the first of them.
    pub offset: u64,
    /// The file goes on behind them.
    pub more: bool,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Part<'_> {
    /// As much of it as the answer holds, behind what `said` and `record` say of the file.
    pub fn reply(&self, record: Record, said: &str, cap: usize) -> Reply {
        let Part { bytes, offset, more, size } = *self;
        let room = cap.saturating_sub(AROUND);
        let (content, encoding, used) =
            match guest_text::exact(bytes, !more).filter(|it| !it.is_empty() || bytes.is_empty()) {
                Some(text) => {
                    let text = guest_text::fitting(text, room);
                    (text.to_owned(), "text", text.len())
                }
                // Each three bytes are four characters, twice.
                None => {
                    let fits = (room / 8 * 3).min(bytes.len());
                    (base64::encode(&bytes[..fits]), "base64", fits)
                }
            };
        let end = offset + used as u64;
        // Some files, such as those of /proc, tell a size of 0 and have content.
        let size = size.max(end);
        let next = (more || used < bytes.len()).then_some(int(end));
        let mut said = format!("{said}, bytes {offset} to {end} of {size}");
        if encoding == "base64" {
            said.push_str(" as base64, since it is no text");
        }
        if let Some(next) = next {
            said.push_str(&format!("; go on with offset={next}"));
        }
        said.push_str(&format!("\n{content}"));
        let record = record
            .int("size_bytes", int(size))
            .int("offset", int(offset))
            .maybe_int("next_offset", next)
            .text("encoding", encoding)
            .text("content", content);
        Reply::said(said, record)
    }
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// SHA-256 of bytes on their way, and how many they are.
pub struct Sum {
    digest: ring::digest::Context,
    pub bytes: u64,
}

impl Sum {
    /// Of nothing yet.
    pub fn begin() -> Sum {
        Sum { digest: ring::digest::Context::new(&ring::digest::SHA256), bytes: 0 }
    }

    pub fn add(&mut self, piece: &[u8]) {
        self.digest.update(piece);
        self.bytes += piece.len() as u64;
    }

    /// In hex; refused where it is not the one that is wanted.
    pub fn agreed(&self, wanted: Option<&str>) -> Result<String> {
        let sum = hex(self.digest.clone().finish().as_ref());
        match wanted {
            Some(wanted) if wanted != sum => {
                let said = format!("its SHA-256 is {sum} and not {wanted}; nothing of it is kept");
                Err(Error::new(Kind::Conflict, said)
                    .hint("The file is another one or damaged; look where it comes from"))
            }
            _ => Ok(sum),
        }
    }
}

/// A digest that a caller gave, as [`Sum`] writes it.
pub fn digest(given: &str) -> Result<String> {
    let sum = given.trim().to_ascii_lowercase();
    match sum.len() == 64 && sum.bytes().all(|it| it.is_ascii_hexdigit()) {
        true => Ok(sum),
        false => Err(Error::usage(format!("`{}` is no SHA-256", quoted(given)))
            .hint("It has 64 hexadecimal digits")),
    }
}

/// A file on its way to this machine.
pub struct Saving {
    target: Target,
    to: String,
    sum: Sum,
}

impl Saving {
    /// Begins it; one that is there is refused unless `overwrite`.
    pub fn begin(ctx: &Ctx<'_>, to: &str, overwrite: bool) -> Result<Saving> {
        let target = ctx.files.create(to, overwrite)?;
        Ok(Saving { target, to: to.to_owned(), sum: Sum::begin() })
    }

    pub fn take(&mut self, piece: &[u8]) -> Result<()> {
        self.target.write_all(piece).map_err(|error| self.target.failed(&error))?;
        self.sum.add(piece);
        Ok(())
    }

    /// Gives it its name, if it is the one that is wanted.
    pub fn done(self, record: Record, said: &str, wanted: Option<&str>) -> Result<Reply> {
        let Saving { target, to, sum } = self;
        let hex = sum.agreed(wanted)?;
        target.commit()?;
        let said = format!("{said} to `{to}`, {} bytes, SHA-256 {hex}", sum.bytes);
        let record =
            record.text("saved_to", to).int("size_bytes", int(sum.bytes)).text("sha256", hex);
        Ok(Reply::said(said, record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_taken_in_any_case_and_compared() {
        let mut sum = Sum::begin();
        sum.add(b"a");
        sum.add(b"bc");
        let abc = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
        let wanted = digest(&format!(" {abc}\n")).unwrap();
        assert_eq!(sum.agreed(Some(&wanted)).unwrap(), abc.to_ascii_lowercase());
        assert_eq!(Sum::begin().agreed(Some(&wanted)).unwrap_err().kind(), Kind::Conflict);
        for bad in ["", "abc", &abc[1..], &format!("g{}", &abc[1..])] {
            assert_eq!(digest(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }
}
