//! What passes through is counted and hashed, so that it need not be kept.
//!
//! It knows no lock and no file: the caller says after each piece whether to go on.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use ring::digest::Context;
use ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
use ring::digest::SHA256;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// How many bytes.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha1: String,
    /// In hexadecimal.
    pub sha256: String,
}

/// Sees every piece, and how many bytes there were with it; may end it with an HTTP status.
pub type Each<'a> = &'a mut dyn FnMut(&[u8], u64) -> Result<(), u16>;

/// Where sums are left once there are any.
pub type Slip = Arc<Mutex<Option<Sums>>>;

/// Counts and hashes what it is shown.
struct Meter {
    bytes: u64,
    sha1: Context,
    sha256: Context,
}

impl Meter {
    fn new() -> Meter {
        let (sha1, sha256) = (Context::new(&SHA1_FOR_LEGACY_USE_ONLY), Context::new(&SHA256));
        Meter { bytes: 0, sha1, sha256 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.sha1.update(bytes);
        self.sha256.update(bytes);
    }

    fn finish(self) -> Sums {
        Sums { bytes: self.bytes, sha1: hex(self.sha1), sha256: hex(self.sha256) }
    }
}

fn hex(context: Context) -> String {
    let digit = |it: u8| char::from_digit(u32::from(it), 16).unwrap_or('0');
    let digest = context.finish();
    digest.as_ref().iter().flat_map(|it| [digit(it >> 4), digit(it & 15)]).collect()
}

/// Reads a body to its end; one that breaks off is 400.
pub fn drain(body: &mut dyn Read, each: Each) -> Result<Sums, u16> {
    let (mut meter, mut piece) = (Meter::new(), vec![0; PIECE]);
    loop {
        let got = match body.read(&mut piece) {
            Ok(0) => return Ok(meter.finish()),
            Ok(got) => piece.get(..got).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(400),
        };
        meter.add(got);
        each(got, meter.bytes)?;
    }
}

/// A stream whose sums are left on a slip when it has been read to its end.
pub struct Told {
    inner: Box<dyn Read + Send>,
    meter: Option<Meter>,
    slip: Slip,
}

impl Told {
    /// The same stream, counted.
    pub fn new(inner: Box<dyn Read + Send>, slip: Slip) -> Told {
        Told { inner, meter: Some(Meter::new()), slip }
    }
}

impl Read for Told {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(out)?;
        if got > 0 {
            if let Some(meter) = &mut self.meter {
                meter.add(out.get(..got).unwrap_or_default());
            }
        } else if !out.is_empty()
            && let Some(meter) = self.meter.take()
        {
            *self.slip.lock().unwrap_or_else(PoisonError::into_inner) = Some(meter.finish());
        }
        Ok(got)
    }
}
