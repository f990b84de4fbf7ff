//! Who has dialled in, who moves, and what becomes of their consoles.
//!
//! It must not know sockets. Surprising: who has a console is written in the console, as the number
//! of a line; here only stands what that line said about itself.

use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::Task;

use crate::serial::console::Console;
use crate::serial::console::State;
use crate::serial::hub::{Inner, Outside};
use crate::serial::moves::{Moved, Moves};
use crate::serial::now::millis;
use crate::serial::proxy::Identity;

/// Who is on the line, and who moves.
#[derive(Default)]
pub(crate) struct Desk {
    pub moves: Moves,
    pub lines: Vec<Line>,
    pub unknown: usize,
    /// Refusals are told once a second.
    told: Option<Instant>,
    untold: usize,
    pub tasks: Vec<Task<()>>,
}

/// A machine that has a console, or takes it over.
pub(crate) struct Line {
    pub number: u64,
    pub console: Console,
    pub identity: Identity,
    pub since: Instant,
    /// Set when it is of no use any more.
    pub dismissed: Arc<AtomicBool>,
}

impl Desk {
    pub fn find(&self, number: u64) -> Option<&Line> {
        self.lines.iter().find(|it| it.number == number)
    }

    pub fn moved(&mut self, moved: Moved) {
        let Some(line) = self.find(moved.new) else { return };
        let mut now = line.console.now();
        now.owner = moved.new;
        now.state = State::Connected;
        now.why = None;
        now.held = false;
        now.note("moved to another host".to_owned());
        line.console.tell(now, true);
    }

    /// Tells the log and the audit log of somebody who is not let in.
    pub fn complain(&mut self, outside: &dyn Outside, from: IpAddr, text: &str) {
        if self.told.is_some_and(|it| it.elapsed() < Duration::from_secs(1)) {
            self.untold += 1;
            return;
        }
        self.told = Some(Instant::now());
        let told = match std::mem::take(&mut self.untold) {
            0 => format!("{from} {text}"),
            more => format!("{from} {text} ({more} others before)"),
        };
        log::warn!("serial: {told}");
        outside.refused(from, &told);
    }
}

impl Inner {
    pub fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A console goes on where it is when nothing comes of a move.
    pub fn sweep(&self) {
        let expired = self.desk().moves.expired(millis());
        for number in expired {
            self.stays(number);
        }
    }

    pub fn stays(&self, number: u64) {
        if let Some(console) = self.owned_by(number) {
            let mut now = console.now();
            now.note("the move was given up".to_owned());
            now.unheld();
            console.tell(now, true);
        }
    }
}
