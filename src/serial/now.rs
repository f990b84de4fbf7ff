//! What is known of a console at a moment, behind its lock: its line, its queue, who types.
//!
//! It must not wait, nor wake anybody: that is for who holds the lock.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::task::{Context, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smol::Task;

use crate::error::{Error, Kind, Result};
use crate::serial::hub::About;
use crate::serial::hub::Way;
use crate::serial::ring::Ring;

/// Bytes that wait to be typed.
pub const QUEUE: usize = 64 << 10;

/// How long the writer keeps a console that he does not write to.
pub const HELD: Duration = Duration::from_secs(30);

/// Notes that are kept.
const NOTES: usize = 64;

/// How a console's line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    Dialling,
    Connected,
    /// For the machine to dial in.
    Waiting,
    /// The next dial comes by itself.
    Lost,
}

impl State {
    /// For a person.
    pub fn word(self) -> &'static str {
        match self {
            State::Dialling => "dialling",
            State::Connected => "connected",
            State::Waiting => "waiting",
            State::Lost => "lost",
        }
    }
}

/// Something that happened to a console, which its bytes do not tell.
#[derive(Clone, Debug)]
pub struct Note {
    /// Position in the transcript.
    pub at: u64,
    /// In milliseconds since 1970.
    pub when: i64,
    pub text: String,
}

/// What waits to be typed.
pub(crate) enum Typed {
    Bytes(Vec<u8>),
    Break,
}

/// What the lock is for; it is held for no longer than it takes to copy some bytes.
pub(crate) struct Now {
    pub about: About,
    pub way: Option<Way>,
    pub ring: Ring,
    pub state: State,
    pub why: Option<String>,
    pub since: i64,
    pub bytes_out: u64,
    pub readers: usize,
    writer: Option<(String, Instant)>,
    /// Counts the changes of the writer.
    pub writers: u64,
    pub queue: VecDeque<Typed>,
    pub queued: usize,
    /// The number of the line that fetches what is typed.
    pub owner: u64,
    /// That line carries breaks.
    pub breaks: bool,
    /// The machine moves: what is typed waits.
    pub held: bool,
    pub notes: VecDeque<Note>,
    /// Tasks that wait for something to show, and for something to do.
    pub shown: Vec<Waker>,
    pub lines: Vec<Waker>,
    /// Threads that wait.
    pub waiting: usize,
    /// Dial at once.
    pub hurry: bool,
    pub line: Option<Task<()>>,
    /// Who takes people at the socket.
    pub door: Option<Task<()>>,
    /// Other listeners and the log.
    pub tasks: Vec<Task<()>>,
    pub socket: Option<PathBuf>,
    pub tcp: Option<SocketAddr>,
    pub closed: bool,
}

/// Milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Wakes this task next time; one entry a task.
pub(crate) fn enlist(list: &mut Vec<Waker>, context: &Context<'_>) {
    if !list.iter().any(|it| it.will_wake(context.waker())) {
        list.push(context.waker().clone());
    }
}

impl Now {
    pub fn new(about: About, ring_bytes: usize) -> Now {
        Now {
            about,
            way: None,
            ring: Ring::new(ring_bytes),
            state: State::Waiting,
            why: None,
            since: millis(),
            bytes_out: 0,
            readers: 0,
            writer: None,
            writers: 0,
            queue: VecDeque::new(),
            queued: 0,
            owner: 0,
            breaks: false,
            held: false,
            notes: VecDeque::new(),
            shown: Vec::new(),
            lines: Vec::new(),
            waiting: 0,
            hurry: false,
            line: None,
            door: None,
            tasks: Vec::new(),
            socket: None,
            tcp: None,
            closed: false,
        }
    }

    pub fn turn(&mut self, state: State, why: Option<String>) {
        if self.state != state {
            self.since = millis();
        }
        (self.state, self.why) = (state, why);
    }

    pub fn note(&mut self, text: String) {
        if self.notes.len() >= NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { at: self.ring.end(), when: millis(), text });
    }

    /// Who holds the right to type.
    pub fn writer(&self) -> Option<&str> {
        let (who, last) = self.writer.as_ref()?;
        (last.elapsed() < HELD).then_some(who)
    }

    /// Gives the right back.
    pub fn leave(&mut self, who: &str) {
        if self.writer.as_ref().is_some_and(|(it, _)| it == who) {
            self.writer = None;
        }
    }

    pub fn may_write(&mut self, who: &str) -> Result<()> {
        let name = &self.about.name;
        if let Some(other) = self.writer().filter(|it| *it != who) {
            let text = format!("`{other}` is writing to the console of `{name}`");
            return Err(Error::new(Kind::Busy, text)
                .hint("Reading goes on; try again once that was quiet for 30 seconds"));
        }
        if self.state != State::Connected && !self.held {
            let text = format!("the console of `{name}` is {}", self.missing());
            return Err(
                Error::new(Kind::Network, text).hint("list_serial_consoles shows its state")
            );
        }
        if self.writer.as_ref().is_none_or(|(it, _)| it != who) {
            self.writers += 1;
        }
        self.writer = Some((who.to_owned(), Instant::now()));
        Ok(())
    }

    /// That it is not connected, and why.
    pub fn missing(&self) -> String {
        format!("not connected: {}", self.why.as_deref().unwrap_or(self.state.word()))
    }

    /// Queues as much as fits; how much that is.
    pub fn put(&mut self, who: &str, bytes: &[u8]) -> Result<usize> {
        self.may_write(who)?;
        let count = bytes.len().min(QUEUE.saturating_sub(self.queued));
        let part = bytes.get(..count).unwrap_or_default();
        if !part.is_empty() {
            self.queued += count;
            match self.queue.back_mut() {
                // Single keys share a piece.
                Some(Typed::Bytes(last)) if last.len() < 4096 => last.extend_from_slice(part),
                _ => self.queue.push_back(Typed::Bytes(part.to_vec())),
            }
        }
        Ok(count)
    }

    /// The task is woken when there is room, or something to show.
    pub fn await_shown(&mut self, context: &Context<'_>) {
        enlist(&mut self.shown, context);
    }

    /// A move is over; what nobody fetches any more is forgotten.
    pub fn unheld(&mut self) {
        self.held = false;
        if self.state != State::Connected {
            self.drop_typed();
        }
    }

    pub fn drop_typed(&mut self) {
        if self.queued > 0 {
            self.note(format!("{} typed bytes were not sent", self.queued));
        }
        self.queue.clear();
        self.queued = 0;
    }
}
