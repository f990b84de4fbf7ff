//! The body of an answer on its way to the reader: failures in words, compression undone.
//!
//! It knows nothing of sockets and keeps no more than one buffer, so that a small answer which
//! swells to gigabytes stops at the reader's own limit. Surprising: the end of the compressed data is
//! not the end of the body; reading on is what frees the connection for the next request.

use std::io;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::web::exchange::{into_io, is_carried};
use crate::web::failure::{Part, Peer};

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
}

/// The bytes with gzip undone.
pub(crate) struct Inflated<R> {
    decoder: MultiGzDecoder<R>,
    peer: Arc<Peer>,
}

impl<R: Read> Inflated<R> {
    pub(crate) fn new(raw: R, peer: Arc<Peer>) -> Inflated<R> {
        Inflated { decoder: MultiGzDecoder::new(raw), peer }
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer).map_err(|error| {
            let known = is_carried(&error) || error.kind() == io::ErrorKind::Interrupted;
            if known { error } else { into_io(self.peer.not_inflated(&error)) }
        })
    }
}
