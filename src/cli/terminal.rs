//! A terminal that hands on every key as it is typed, and is put back whatever happens.

use std::io::IsTerminal;
use std::sync::Mutex;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The terminal of standard input, raw until it is dropped or [`Raw::end`] is called.
pub struct Raw(Mutex<Option<Termios>>);

impl Raw {
    /// None where standard input is no terminal.
    pub fn begin() -> Option<Raw> {
        let input = std::io::stdin();
        let before = tcgetattr(&input).ok().filter(|_| input.is_terminal())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&input, OptionalActions::Now, &raw).ok()?;
        Some(Raw(Mutex::new(Some(before))))
    }

    /// Puts it back, from any thread and once.
    pub fn end(&self) {
        let before = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(before) = before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.end();
    }
}
