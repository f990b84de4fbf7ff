//! The body of an answer on its way to the reader: failures in words, compression undone. What
//! files have been packed with is undone here too ([`Gunzip`]).
//!
//! It knows nothing of sockets and keeps no more than one buffer, so that a small answer which
//! swells to gigabytes stops at the reader's own limit. Surprising: the end of the compressed data is
//! not the end of the body; reading on is what frees the connection for the next request. The gzip
//! around the data is read here, because flate2's own reader sums with a crate of 21 KB.

use std::io;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::bufread::DeflateDecoder;

use crate::text::crc;
use crate::web::exchange::{into_io, is_carried};
use crate::web::failure::{Part, Peer};

/// Compressed bytes that are kept.
const BUFFER: usize = 32 << 10;
/// The longest name or comment in a header.
const LONGEST_NAME: usize = 65_535;

/// The bytes as the peer sends them, with its failures in our words.
pub(crate) struct Raw {
    pub reader: ureq::BodyReader<'static>,
    pub peer: Arc<Peer>,
    pub silence: Duration,
    pub ended: Arc<AtomicBool>,
}

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            // A body without a length looks complete when a shutdown closes its connection.
            Ok(0) if !buffer.is_empty() && self.ended.load(Ordering::Acquire) => {
                Err(into_io(self.peer.shut_down()))
            }
            Err(_) if self.ended.load(Ordering::Acquire) => Err(into_io(self.peer.shut_down())),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                Err(into_io(self.peer.explain(error.into(), Part::Body, self.silence)))
            }
            read => read,
        }
    }

    crate::text::reading::shared!();
}

/// What gzip has packed, unpacked; one member may follow another.
pub struct Gunzip<R> {
    data: DeflateDecoder<BufReader<R>>,
    stage: Stage,
    /// Of the member at hand: the CRC and the length, which wraps.
    sum: u32,
    length: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before a member, or at the end.
    Between,
    Data,
    Done,
}

impl<R: Read> Gunzip<R> {
    /// Unpacks from where `packed` stands to its end.
    pub fn new(packed: R) -> Gunzip<R> {
        let data = DeflateDecoder::new(BufReader::with_capacity(BUFFER, packed));
        Gunzip { data, stage: Stage::Between, sum: 0, length: 0 }
    }

    /// The packed bytes' reader.
    pub fn get_ref(&self) -> &R {
        self.data.get_ref().get_ref()
    }

    /// The packed bytes' reader; those that it gave and that were not unpacked yet are lost.
    pub fn into_inner(self) -> R {
        self.data.into_inner().into_inner()
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            match self.stage {
                Stage::Between if self.data.get_mut().fill_buf()?.is_empty() => {
                    self.stage = Stage::Done;
                }
                Stage::Between => {
                    header(self.data.get_mut())?;
                    self.data.reset_data();
                    (self.stage, self.sum, self.length) = (Stage::Data, 0, 0);
                }
                Stage::Data => {
                    let count = self.data.read(buffer)?;
                    if count > 0 {
                        let fresh = buffer.get(..count).unwrap_or_default();
                        self.sum = crc::add(self.sum, fresh);
                        let count = u32::try_from(count).unwrap_or(0);
                        self.length = self.length.wrapping_add(count);
                        return Ok(fresh.len());
                    }
                    let mut wanted = [0; 8];
                    self.data.get_mut().read_exact(&mut wanted)?;
                    let found = u64::from(self.length) << 32 | u64::from(self.sum);
                    if u64::from_le_bytes(wanted) != found {
                        return Err(damaged());
                    }
                    self.stage = Stage::Between;
                }
                Stage::Done => break,
            }
        }
        Ok(0)
    }

    crate::text::reading::shared!();
}

/// The bytes of an answer with gzip undone.
pub(crate) struct Inflated<R> {
    data: Gunzip<R>,
    peer: Arc<Peer>,
}

impl<R: Read> Inflated<R> {
    pub(crate) fn new(raw: R, peer: Arc<Peer>) -> Inflated<R> {
        Inflated { data: Gunzip::new(raw), peer }
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "corrupt gzip stream")
}

/// Reads a member's header, up to its data.
fn header(raw: &mut dyn Read) -> io::Result<()> {
    let mut sum = 0;
    let mut byte = || -> io::Result<u8> {
        let mut one = [0];
        raw.read_exact(&mut one)?;
        sum = crc::add(sum, &one);
        Ok(one[0])
    };
    let mut fixed = [0; 10];
    for it in &mut fixed {
        *it = byte()?;
    }
    let [0x1f, 0x8b, 8, flags, ..] = fixed else { return Err(damaged()) };
    if flags & 0b1110_0000 != 0 {
        return Err(damaged());
    }
    if flags & 4 != 0 {
        let length = u16::from_le_bytes([byte()?, byte()?]);
        for _ in 0..length {
            byte()?;
        }
    }
    // A name and a comment, each up to a zero.
    for flag in [8, 16] {
        let mut left = LONGEST_NAME;
        while flags & flag != 0 && byte()? != 0 {
            left -= 1;
            if left == 0 {
                return Err(damaged());
            }
        }
    }
    if flags & 2 != 0 {
        let mut wanted = [0; 2];
        raw.read_exact(&mut wanted)?;
        if sum.to_le_bytes()[..2] != wanted {
            return Err(damaged());
        }
    }
    Ok(())
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.data.read(buffer).map_err(|error| {
            let known = is_carried(&error) || error.kind() == io::ErrorKind::Interrupted;
            if known { error } else { into_io(self.peer.not_inflated(&error)) }
        })
    }

    crate::text::reading::shared!();
}
