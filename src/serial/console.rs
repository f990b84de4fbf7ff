//! One console: what it said, what waits to be typed, who reads and who writes.
//!
//! It must not know what a line is: tasks bring bytes and fetch them. Surprising: its transcript
//! outlives its lines, and what was typed but not sent does not, because an Enter that arrives a
//! minute later, in a machine that starts again, does harm.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::serial::hub::About;
use crate::serial::hub::Place;
use crate::serial::hub::Way;
use crate::serial::now::Now;
use crate::serial::now::QUEUE;
use crate::serial::now::Typed;
use crate::serial::now::enlist;
use crate::serial::now::millis;

/// Bytes of the last screenful at most.
const SCREEN: usize = 8 << 10;

/// Longest turn of a wait, so that who asks to stop is heard.
const TURN: Duration = Duration::from_millis(100);

pub use crate::serial::now::{Note, State};

/// A piece of a transcript.
pub use crate::serial::ring::Piece as Read;

/// A console as it stands.
#[derive(Clone, Debug)]
pub struct Status {
    pub about: About,
    pub state: State,
    /// Why it is not connected, as far as that is known.
    pub why: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// People who are attached.
    pub readers: usize,
    pub writer: Option<String>,
    /// Position behind the last byte.
    pub position: u64,
    /// Position of the oldest byte that is kept.
    pub start: u64,
    /// Where people attach: a socket, an address of this machine.
    pub socket: Option<PathBuf>,
    pub tcp: Option<SocketAddr>,
    /// Connects, losses and moves, the oldest first.
    pub notes: Vec<Note>,
}

/// One console; cheap to clone.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

struct Shared {
    place: Place,
    now: Mutex<Now>,
    /// For threads that wait; tasks leave a waker.
    changed: Condvar,
}

impl Console {
    pub(crate) fn new(about: About, ring_bytes: usize) -> Console {
        let place = about.place.clone();
        let now = Now::new(about, ring_bytes);
        Console(Arc::new(Shared { place, now: Mutex::new(now), changed: Condvar::new() }))
    }

    /// Which one it is.
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    pub(crate) fn now(&self) -> MutexGuard<'_, Now> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the lock go and wakes who waits for something to show; with `lines` these too.
    pub(crate) fn tell(&self, mut now: MutexGuard<'_, Now>, lines: bool) {
        let shown = std::mem::take(&mut now.shown);
        let more = if lines { std::mem::take(&mut now.lines) } else { Vec::new() };
        let waiting = now.waiting > 0;
        drop(now);
        if waiting {
            self.0.changed.notify_all();
        }
        shown.into_iter().chain(more).for_each(Waker::wake);
    }

    /// As it stands.
    pub fn status(&self) -> Status {
        let now = self.now();
        Status {
            about: now.about.clone(),
            state: now.state,
            why: now.why.clone(),
            since: now.since,
            bytes_in: now.ring.end(),
            bytes_out: now.bytes_out,
            readers: now.readers,
            writer: now.writer().map(str::to_owned),
            position: now.ring.end(),
            start: now.ring.start(),
            socket: match &now.way {
                Some(Way::Socket(path)) => Some(path.clone()),
                _ => now.socket.clone(),
            },
            tcp: now.tcp,
            notes: now.notes.iter().cloned().collect(),
        }
    }

    /// What was said from a position on, or from the oldest byte that is kept, at most so much.
    /// Waits until something is there.
    pub fn read(
        &self,
        since: Option<u64>,
        max: usize,
        wait: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Read {
        let until = Instant::now() + wait;
        let mut now = self.now();
        let since = since.unwrap_or(now.ring.start());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if now.ring.end() != since || left.is_zero() || now.closed || stop() {
                return now.ring.read(since, max);
            }
            now = self.wait(now, left);
        }
    }

    fn wait<'a>(&'a self, mut now: MutexGuard<'a, Now>, left: Duration) -> MutexGuard<'a, Now> {
        now.waiting += 1;
        let turn = self.0.changed.wait_timeout(now, left.min(TURN));
        let mut now = turn.unwrap_or_else(PoisonError::into_inner).0;
        now.waiting -= 1;
        now
    }

    /// Types for somebody. One at a time types, and others are told who; what does not fit into
    /// the queue of 64 KiB waits so long.
    pub fn write(&self, who: &str, bytes: &[u8], patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        let (mut rest, mut now) = (bytes, self.now());
        loop {
            let count = now.put(who, rest)?;
            rest = rest.get(count..).unwrap_or_default();
            let left = until.saturating_duration_since(Instant::now());
            if rest.is_empty() || left.is_zero() {
                let name = now.about.name.clone();
                self.tell(now, true);
                if rest.is_empty() {
                    return Ok(());
                }
                let taken = bytes.len() - rest.len();
                let text = format!(
                    "the console of `{name}` does not take what is typed: {taken} of {} bytes were \
                     accepted",
                    bytes.len()
                );
                return Err(Error::new(Kind::Busy, text)
                    .hint("The machine may have stopped; read before you write the rest"));
            }
            let lines = std::mem::take(&mut now.lines);
            lines.into_iter().for_each(Waker::wake);
            now = self.wait(now, left);
        }
    }

    /// Sends a break.
    pub fn send_break(&self, who: &str) -> Result<()> {
        let mut now = self.now();
        now.may_write(who)?;
        if !now.breaks {
            return Err(Error::new(Kind::Unsupported, "this line carries no break")
                .hint("A break needs a telnet line; setup_serial_port sets one up"));
        }
        if now.queued < QUEUE {
            now.queued += 1;
            now.queue.push_back(Typed::Break);
        }
        self.tell(now, true);
        Ok(())
    }

    /// The last lines.
    pub fn screen(&self, lines: usize) -> Vec<u8> {
        self.now().ring.screen(lines, SCREEN).bytes
    }

    /// What is new from this position on; the task is woken when something is.
    pub(crate) fn poll_piece(&self, from: u64, most: usize, context: &Context<'_>) -> Poll<Read> {
        let mut now = self.now();
        if now.ring.end() == from {
            enlist(&mut now.shown, context);
            return Poll::Pending;
        }
        Poll::Ready(now.ring.read(from, most))
    }

    /// Something was said.
    pub(crate) fn push(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut now = self.now();
        now.ring.push(bytes, millis());
        self.tell(now, false);
    }

    /// Fetches what is to be typed, for the line of this number.
    pub(crate) fn poll_typed(&self, owner: u64, context: &Context<'_>) -> Poll<Typed> {
        let mut now = self.now();
        let next = match now.owner == owner && !now.held {
            true => now.queue.pop_front(),
            false => None,
        };
        let Some(typed) = next else {
            enlist(&mut now.lines, context);
            return Poll::Pending;
        };
        let count = if let Typed::Bytes(bytes) = &typed { bytes.len() } else { 1 };
        let full = now.queued >= QUEUE;
        now.queued -= count.min(now.queued);
        now.bytes_out += count as u64;
        if full {
            // There is room again.
            self.tell(now, false);
        }
        Poll::Ready(typed)
    }

    /// Another line has the console from now on; tasks of an earlier one see that they are over.
    pub(crate) fn owned_by(&self, owner: u64, way: Option<Way>, state: State, why: Option<String>) {
        let mut now = self.now();
        now.line = None;
        (now.owner, now.way, now.breaks) = (owner, way, false);
        now.turn(state, why);
        now.unheld();
        self.tell(now, true);
    }

    /// The line of this number stands.
    pub(crate) fn connected(&self, owner: u64, breaks: bool, note: &str) {
        let mut now = self.now();
        if now.owner == owner {
            now.breaks = breaks;
            now.turn(State::Connected, None);
            now.note(note.to_owned());
            self.tell(now, true);
        }
    }

    /// The line of this number is no more, or did not come to be.
    pub(crate) fn lost(&self, owner: u64, state: State, why: &str) {
        let mut now = self.now();
        if now.owner != owner {
            return;
        }
        if now.state == State::Connected || now.why.as_deref() != Some(why) {
            now.note(why.to_owned());
        }
        now.turn(state, Some(why.to_owned()));
        if !now.held {
            now.drop_typed();
        }
        self.tell(now, true);
    }

    /// Wakes the tasks that move bytes, so that they look around.
    pub(crate) fn stir(&self) {
        self.tell(self.now(), true);
    }

    /// Until somebody calls for a dial now, or something else stirs the line.
    pub(crate) fn poll_hurry(&self, context: &Context<'_>) -> Poll<()> {
        let mut now = self.now();
        if std::mem::take(&mut now.hurry) {
            return Poll::Ready(());
        }
        enlist(&mut now.lines, context);
        Poll::Pending
    }

    /// Ends its tasks. Who waits is let go.
    pub(crate) fn end(&self) {
        let mut now = self.now();
        now.closed = true;
        let gone = (now.line.take(), now.door.take(), std::mem::take(&mut now.tasks));
        now.owner = u64::MAX;
        now.turn(State::Lost, Some("the console was closed".to_owned()));
        self.tell(now, true);
        // Behind the lock: what they hold may ask for it.
        drop(gone);
    }
}
