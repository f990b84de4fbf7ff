//! A console's log: a file that takes what is said.
//!
//! It must not hold anybody up: it is one more reader, which loses what the transcript no longer
//! keeps. Surprising: it writes once a second and not at each byte, on a thread that may wait.

use std::fs;
use std::fs::OpenOptions;
use std::future::poll_fn;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use smol::Timer;

use crate::serial::console::Console;
use crate::serial::console::Read;

/// A longer file becomes the older one, and the one before that is gone.
const LONGEST: u64 = 10_000_000;

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// Between two writes, unless there is much.
const REST: Duration = Duration::from_secs(1);

/// Where one console is logged, and up to which position.
pub(crate) struct Record {
    path: PathBuf,
    at: Mutex<u64>,
    failed: Mutex<bool>,
}

impl Record {
    pub fn new(path: PathBuf) -> Arc<Record> {
        Arc::new(Record { path, at: Mutex::new(0), failed: Mutex::new(false) })
    }

    fn append(&self, piece: &Read) -> io::Result<()> {
        if fs::symlink_metadata(&self.path).is_ok_and(|it| it.len() >= LONGEST) {
            let mut older = self.path.clone().into_os_string();
            older.push(".1");
            fs::rename(&self.path, older)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        if piece.dropped > 0 {
            write!(file, "\r\n[jumpvisor] {} bytes skipped\r\n", piece.dropped)?;
        }
        file.write_all(&piece.bytes)
    }

    /// Writes what is new, a piece at most; how much that was.
    pub fn catch_up(&self, console: &Console) -> usize {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let piece = console.now().ring.read(*at, PIECE);
        if piece.bytes.is_empty() {
            return 0;
        }
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match self.append(&piece) {
            Ok(()) => {
                *failed = false;
                *at = piece.next;
                piece.bytes.len()
            }
            Err(why) => {
                if !std::mem::replace(&mut *failed, true) {
                    log::error!("the log {} cannot be written: {why}", self.path.display());
                }
                0
            }
        }
    }

    /// Writes as long as it is polled.
    pub async fn keep(self: Arc<Record>, console: Console) {
        loop {
            let at = *self.at.lock().unwrap_or_else(PoisonError::into_inner);
            poll_fn(|context| match console.poll_piece(at, 0, context) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            })
            .await;
            let (record, from) = (Arc::clone(&self), console.clone());
            if smol::unblock(move || record.catch_up(&from)).await < PIECE {
                Timer::after(REST).await;
            }
        }
    }
}
