//! A console's bytes as lines of text, for who reads and does not look at a terminal.
//!
//! It must not know where the bytes come from. Surprising: a line is what stands on it when it ends,
//! so a progress bar that was drawn a hundred times is one line, and what was typed and taken back is
//! gone; every line knows its place in the raw stream.

use crate::serial::escape::{Deed, Machine};

/// Characters of a line; a longer one goes on in the next.
pub const LONGEST: usize = 4096;

/// Lines by [`Cleaner::feed`]: the text with its newline, and the raw position behind it.
pub type Sink<'a> = &'a mut dyn FnMut(&str, u64);

/// The line that is being written.
#[derive(Default)]
pub struct Line {
    characters: Vec<char>,
    cursor: usize,
}

/// What a deed did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing new is on it.
    None,
    /// Something was written at the cursor.
    Written,
    /// It is over: [`Line::take`] it. True with a newline, false because it is too long.
    Over(bool),
}

impl Line {
    /// What stands in front of the cursor.
    pub fn written(&self) -> &[char] {
        self.characters.get(..self.cursor).unwrap_or(&self.characters)
    }

    /// All of it, without blanks behind the cursor: they are what was taken back.
    pub fn text(&self) -> String {
        self.until(self.cursor)
    }

    /// The same without blanks at its end, and begins the next one.
    pub fn take(&mut self) -> String {
        let text = self.until(0);
        self.characters.clear();
        self.cursor = 0;
        text
    }

    /// Without blanks at the end that stand at this column or behind it.
    fn until(&self, column: usize) -> String {
        let blanks = self.characters.iter().rev().take_while(|it| **it == ' ').count();
        let end = (self.characters.len() - blanks).max(column);
        self.characters.iter().take(end).collect()
    }

    /// Lets a deed happen.
    pub fn apply(&mut self, deed: Deed) -> Change {
        match deed {
            Deed::Put(it) => self.put(it),
            Deed::Shown(byte) => {
                self.put('^');
                // ^@ for NUL up to ^_; ^? for DEL.
                self.put(char::from(byte ^ 0x40));
            }
            Deed::Line => return Change::Over(true),
            Deed::FreshLine if self.characters.is_empty() => return Change::None,
            Deed::FreshLine => return Change::Over(true),
            Deed::Column(at) => self.go(at),
            Deed::Back(by) => self.cursor = self.cursor.saturating_sub(by),
            Deed::On(by) => self.go(self.cursor.saturating_add(by)),
            Deed::EraseAfter => self.characters.truncate(self.cursor),
            Deed::EraseBefore => {
                self.characters.iter_mut().take(self.cursor + 1).for_each(|it| *it = ' ');
            }
            Deed::EraseLine => self.characters.clear(),
            Deed::Delete(count) => {
                let from = self.cursor.min(self.characters.len());
                let until = from.saturating_add(count).min(self.characters.len());
                drop(self.characters.drain(from..until));
            }
            Deed::Insert(count) => {
                let room = LONGEST.saturating_sub(self.characters.len());
                if self.cursor < self.characters.len() {
                    let blanks = std::iter::repeat_n(' ', count.min(room));
                    self.characters.splice(self.cursor..self.cursor, blanks).for_each(drop);
                }
            }
        }
        match deed {
            _ if self.characters.len() >= LONGEST => Change::Over(false),
            Deed::Put(_) | Deed::Shown(_) => Change::Written,
            _ => Change::None,
        }
    }

    fn put(&mut self, it: char) {
        // Blanks for what was jumped over, and not for what nothing is written behind.
        while self.characters.len() < self.cursor {
            self.characters.push(' ');
        }
        match self.characters.get_mut(self.cursor) {
            Some(place) => *place = it,
            None => self.characters.push(it),
        }
        self.cursor += 1;
    }

    fn go(&mut self, column: usize) {
        self.cursor = column.min(LONGEST - 1);
    }
}

/// Bytes in, lines out; how the bytes are cut changes nothing.
pub struct Cleaner {
    machine: Machine,
    line: Line,
    /// Raw bytes taken, from the first of the console.
    at: u64,
    /// The last position at which nothing was only half there.
    whole: u64,
}

impl Cleaner {
    /// Begins at this raw position, on a fresh line.
    pub fn new(at: u64) -> Cleaner {
        Cleaner { machine: Machine::new(), line: Line::default(), at, whole: at }
    }

    /// Takes the next bytes; each line that is over goes to the sink.
    pub fn feed(&mut self, bytes: &[u8], sink: Sink<'_>) {
        for byte in bytes {
            self.at += 1;
            let (line, at) = (&mut self.line, self.at);
            self.machine.take(*byte, &mut |deed| {
                if let Change::Over(newline) = line.apply(deed) {
                    let mut text = line.take();
                    if newline {
                        text.push('\n');
                    }
                    sink(&text, at);
                }
            });
            if self.machine.is_whole() {
                self.whole = self.at;
            }
        }
    }

    /// The line that is not over: a prompt, or half of something.
    pub fn rest(&self) -> String {
        self.line.text()
    }

    /// The raw position up to which all is told by the lines and the rest: no character and no
    /// sequence is cut there, so a fresh reader may go on from it.
    pub fn position(&self) -> u64 {
        self.whole
    }
}

/// All of these bytes, which begin at a raw position, as text; and where a reader goes on.
pub fn clean(bytes: &[u8], from: u64) -> (String, u64) {
    let mut cleaner = Cleaner::new(from);
    let mut text = String::new();
    cleaner.feed(bytes, &mut |line, _| text.push_str(line));
    text.push_str(&cleaner.rest());
    (text, cleaner.position())
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
