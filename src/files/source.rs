//! Something that is read: a local file, standard input, or what is fetched from elsewhere.
//!
//! It must not know what it holds. Surprising: a source that is fetched may lose its connection while
//! nobody reads, as hosts take their time; it is then asked for again, from where it was, unless its
//! server gives files from their beginning only ([`Source::can_seek`] tells before).

use std::fs::File;
use std::io;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::files::stop::Stop;
use crate::web::exchange::{from_io, into_io};
use crate::web::failure::{was_not_sent, was_silent};

/// The waits before one place is asked for again; then it is given up.
const RETRIES: &[Duration] =
    &[Duration::ZERO, Duration::from_millis(300), Duration::from_millis(1500)];

/// Read at once.
const CHUNK: usize = 128 << 10;

/// Gives what is there from a byte on, to its end.
pub type Open<'a> = Box<dyn FnMut(u64) -> Result<Box<dyn Read + Send>> + Send + 'a>;

/// Something that is read front to back, and from elsewhere again where it can be.
pub struct Source<'a> {
    /// As messages name it, without what is secret.
    shown: String,
    size: Option<u64>,
    at: u64,
    way: Way<'a>,
    stop: Stop,
    /// What lives as long as the source.
    kept: Option<Box<dyn Send>>,
}

enum Way<'a> {
    File(File),
    Pipe(Box<dyn Read + Send + 'a>),
    Fetched {
        open: Open<'a>,
        body: Option<Box<dyn Read + Send>>,
        /// Failures since the last byte came.
        failed: usize,
        /// It can be had from any byte on.
        ranges: bool,
    },
}

impl<'a> Source<'a> {
    /// A file of this machine.
    pub fn file(shown: impl Into<String>, file: File, size: u64) -> Source<'a> {
        Source::new(shown.into(), Some(size), Way::File(file))
    }

    /// What can be read once.
    pub fn pipe(shown: impl Into<String>, body: impl Read + Send + 'a) -> Source<'a> {
        Source::new(shown.into(), None, Way::Pipe(Box::new(body)))
    }

    /// What is fetched from any byte on; `first` is its beginning, where that is open already.
    pub fn fetched(
        shown: impl Into<String>,
        size: Option<u64>,
        first: Option<Box<dyn Read + Send>>,
        open: Open<'a>,
    ) -> Source<'a> {
        let way = Way::Fetched { open, body: first, failed: 0, ranges: true };
        Source::new(shown.into(), size, way)
    }

    fn new(shown: String, size: Option<u64>, way: Way<'a>) -> Source<'a> {
        Source { shown, size, at: 0, way, stop: Stop::default(), kept: None }
    }

    /// The same where only the beginning can be asked for: read once, front to back.
    pub fn one_pass(mut self) -> Source<'a> {
        if let Way::Fetched { ranges, .. } = &mut self.way {
            *ranges = false;
        }
        self
    }

    /// The same, ended by `stop`.
    pub fn stopped_by(mut self, stop: Stop) -> Source<'a> {
        self.stop = stop;
        self
    }

    /// The same with something that lives as long as it, such as the hook that stops it.
    pub fn keeping(mut self, what: impl Send + 'static) -> Source<'a> {
        self.kept = Some(Box::new(what));
        self
    }

    /// What ends reading from another thread; who reads then sees [`Kind::Cancelled`].
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// What messages call it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Bytes of all of it, where that is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Whether it can be read from any place, and again.
    pub fn can_seek(&self) -> bool {
        match &self.way {
            Way::File(_) => true,
            Way::Pipe(_) => false,
            Way::Fetched { ranges, .. } => *ranges,
        }
    }

    /// The next byte that is read.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Goes on reading from another byte.
    pub fn seek(&mut self, to: u64) -> Result<()> {
        if to == self.at {
            return Ok(());
        }
        match &mut self.way {
            Way::Pipe(_) | Way::Fetched { ranges: false, .. } => {
                return Err(Error::bug("what is read once was asked to go elsewhere"));
            }
            Way::File(file) => {
                file.seek(SeekFrom::Start(to)).map_err(|error| failed(&self.shown, &error))?;
            }
            Way::Fetched { body, failed, .. } => (*body, *failed) = (None, 0),
        }
        self.at = to;
        Ok(())
    }
}

fn failed(shown: &str, error: &io::Error) -> Error {
    Error::new(Kind::Conflict, format!("`{shown}` cannot be read: {error}"))
}

/// How long to wait before it is tried once more, after so many failures before; `None` if that is of
/// no use.
fn pause(error: &Error, failed: usize) -> Option<Duration> {
    let passing = matches!(error.kind(), Kind::Network | Kind::Busy);
    // Each silence is a long wait by itself.
    let tired = was_silent(error) && failed > 0;
    RETRIES.get(failed).copied().filter(|_| passing && !tired)
}

fn gave_up(error: Error, shown: &str, at: u64, ranges: bool) -> Error {
    let passing = matches!(error.kind(), Kind::Network | Kind::Busy);
    let sent = passing && !was_not_sent(&error);
    let error = error.during(format!("`{shown}` after {at} bytes"));
    match (sent, ranges) {
        // What a lower layer says about requests that may have taken effect is not for reading.
        (true, true) => error.hint_instead("Try again"),
        (true, false) => error.hint_instead(
            "Try again; this server sends files from their beginning only, so a connection that \
             breaks cannot be gone on with",
        ),
        (false, _) => error,
    }
}

/// Reads all of it, piece by piece; its bytes.
pub fn pump(body: &mut dyn Read, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let (mut chunk, mut size) = (vec![0; CHUNK], 0);
    loop {
        match body.read(&mut chunk) {
            Ok(0) => return Ok(size),
            Ok(got) => {
                take(&chunk[..got])?;
                size += got as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(from_io(error)),
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let stopped = |error: Error| into_io(error.during(format!("`{}`", self.shown)));
        self.stop.check().map_err(stopped)?;
        let got = match &mut self.way {
            Way::File(file) => loop {
                match file.read(into) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    result => break result.map_err(|it| into_io(failed(&self.shown, &it)))?,
                }
            },
            Way::Pipe(pipe) => pipe.read(into)?,
            Way::Fetched { open, body, failed, ranges } => {
                // Who sends more than he said is not listened to.
                let left = self.size.map_or(u64::MAX, |size| size.saturating_sub(self.at));
                let most = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
                let into = &mut into[..most];
                loop {
                    if into.is_empty() {
                        break 0;
                    }
                    let result = match body {
                        Some(open) => open.read(into).map_err(from_io),
                        None => match open(self.at) {
                            Ok(opened) => {
                                *body = Some(opened);
                                continue;
                            }
                            Err(error) => Err(error),
                        },
                    };
                    let error = match result {
                        Ok(0) if self.size.is_some() => {
                            Error::new(Kind::Network, "it ended too early")
                        }
                        Ok(got) => {
                            *failed = 0;
                            break got;
                        }
                        Err(error) => error,
                    };
                    *body = None;
                    self.stop.check().map_err(stopped)?;
                    let again = pause(&error, *failed).filter(|_| *ranges || self.at == 0);
                    *failed += 1;
                    let Some(pause) = again else {
                        return Err(into_io(gave_up(error, &self.shown, self.at, *ranges)));
                    };
                    let (shown, at) = (&self.shown, self.at);
                    log::warn!("`{shown}` broke off after {at} bytes, going on: {error}");
                    self.stop.pause(pause);
                    self.stop.check().map_err(stopped)?;
                }
            }
        };
        self.at += got as u64;
        Ok(got)
    }

    crate::text::reading::shared!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_breaks_off_goes_on_where_it_was() {
        static DATA: &[u8] = b"0123456789";
        let opened = AtomicUsize::new(0);
        let open: Open<'_> = Box::new(|from| {
            opened.fetch_add(1, Ordering::SeqCst);
            let from = usize::try_from(from).unwrap();
            // Never more than four bytes a connection.
            Ok(Box::new(&DATA[from..DATA.len().min(from + 4)]))
        });
        let mut source = Source::fetched("x", Some(10), Some(Box::new(&DATA[..4])), open);
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        assert_eq!(all, DATA);
        assert_eq!(opened.load(Ordering::SeqCst), 2);
        source.seek(8).unwrap();
        all.clear();
        source.read_to_end(&mut all).unwrap();
        assert_eq!((all.as_slice(), source.position()), (&b"89"[..], 10));
    }

    #[test]
    fn what_does_not_come_back_is_told_with_how_far_it_came() {
        let open: Open<'_> = Box::new(|_| Err(Error::new(Kind::Network, "nobody answers")));
        let mut source =
            Source::fetched("http://x/a.ova", Some(10), Some(Box::new(&b"0123"[..])), open);
        let mut all = Vec::new();
        let error = from_io(source.read_to_end(&mut all).unwrap_err()).to_string();
        assert!(error.contains("`http://x/a.ova` after 4 bytes: nobody answers"), "{error}");
        let open: Open<'_> = Box::new(|_| Err(Error::new(Kind::NotFound, "gone")));
        let mut source = Source::fetched("x", None, None, open);
        assert_eq!(from_io(source.read(&mut [0]).unwrap_err()).kind(), Kind::NotFound);
    }
}
