//! Waits for a text in what a console says, as it is written.
//!
//! Patterns are plain text, and several may be waited for. It must not know how long to wait.
//! Surprising: a text is found the moment its last character is written, even where the line is
//! overwritten later; bytes behind it are left for the next reader.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::serial::escape::Machine;
use crate::serial::text::{Change, Line};

/// Characters of a pattern.
pub const LONGEST: usize = 1000;

/// Patterns at once.
pub const MOST: usize = 16;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which of the patterns; of two that end together the first that was named.
    pub which: usize,
    /// The raw position behind it.
    pub end: u64,
}

/// Bytes in, until one of the patterns is there.
pub struct Finder {
    patterns: Vec<Vec<char>>,
    machine: Machine,
    line: Line,
    /// The end of the lines before, as far as a pattern may reach.
    before: VecDeque<char>,
    reach: usize,
    at: u64,
}

impl Finder {
    /// Begins at this raw position. A newline in a pattern stands for the end of a line, however the
    /// console ends it.
    pub fn new(patterns: &[&str], at: u64) -> Result<Finder> {
        if patterns.is_empty() || patterns.len() > MOST {
            return Err(Error::usage(format!("from 1 to {MOST} texts can be waited for at once")));
        }
        let mut all = Vec::new();
        for pattern in patterns {
            let characters: Vec<char> = pattern
                .replace("\r\n", "\n")
                .replace('\r', "\n")
                .chars()
                .take(LONGEST + 1)
                .collect();
            if characters.is_empty() || characters.len() > LONGEST {
                return Err(Error::usage(format!(
                    "a text that is waited for has from 1 to {LONGEST} characters"
                )));
            }
            all.push(characters);
        }
        let reach = all.iter().map(Vec::len).max().unwrap_or(0);
        let (machine, line, before) = (Machine::new(), Line::default(), VecDeque::new());
        Ok(Finder { patterns: all, machine, line, before, reach, at })
    }

    /// Takes bytes up to the end of the first text that is found; none are left when nothing is.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Found> {
        for byte in bytes {
            self.at += 1;
            let (line, before, reach) = (&mut self.line, &mut self.before, self.reach);
            let (patterns, mut which) = (&self.patterns, None);
            self.machine.take(*byte, &mut |deed| {
                let change = line.apply(deed);
                if let Change::Over(newline) = change {
                    before.extend(line.take().chars());
                    if newline {
                        before.push_back('\n');
                    }
                    let surplus = before.len().saturating_sub(reach);
                    drop(before.drain(..surplus));
                }
                if change != Change::None && which.is_none() {
                    which = patterns.iter().position(|it| ends(before, line.written(), it));
                }
            });
            if let Some(which) = which {
                return Some(Found { which, end: self.at });
            }
        }
        None
    }

    /// Goes on elsewhere, because what is between was not kept: nothing is found across the gap.
    pub fn skip_to(&mut self, at: u64) {
        (self.machine, self.line, self.at) = (Machine::new(), Line::default(), at);
        self.before.clear();
    }

    /// Raw position behind the last byte that was taken.
    pub fn position(&self) -> u64 {
        self.at
    }
}

/// Whether what was written ends so.
fn ends(before: &VecDeque<char>, line: &[char], pattern: &[char]) -> bool {
    let written = line.iter().rev().chain(before.iter().rev());
    let mut matched = 0;
    for (wanted, there) in pattern.iter().rev().zip(written) {
        if wanted != there {
            return false;
        }
        matched += 1;
    }
    matched == pattern.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[&str], bytes: &[u8]) -> Option<(usize, u64)> {
        let mut whole = Finder::new(patterns, 100).unwrap();
        let found = whole.feed(bytes);
        let mut cut = Finder::new(patterns, 100).unwrap();
        assert_eq!(bytes.chunks(1).find_map(|it| cut.feed(it)), found, "byte by byte");
        found.map(|it| (it.which, it.end - 100))
    }

    #[test]
    fn text_as_it_is_written() {
        assert_eq!(found(&["login: "], b"Debian\r\n\r\nhost login: x"), Some((0, 22)));
        assert_eq!(found(&["x"], b"abc"), None);
        // Colours within, a newline of any kind, a character of several bytes.
        assert_eq!(found(&["[ OK ] A"], b"[\x1b[32m OK \x1b[0m] \x1b]0;t\x07A"), Some((0, 23)));
        assert_eq!(found(&["a\r\nb"], b"a\r\nb"), Some((0, 4)));
        assert_eq!(found(&["a\nb"], b"a\nb"), Some((0, 3)));
        assert_eq!(found(&["\n"], b"a\r\nb"), Some((0, 3)));
        assert_eq!(found(&["f\u{fc}r"], "f\u{fc}r".as_bytes()), Some((0, 4)));
        // The first that is there, and the first named of two that end together.
        assert_eq!(found(&["# ", "login: ", "assword: "], b"Password: "), Some((2, 10)));
        assert_eq!(found(&["b", "ab"], b"ab"), Some((0, 2)));
        // A bar that is overwritten, and what was taken back before it was written again.
        assert_eq!(found(&["50%"], b"10%\r50%\r90%\r"), Some((0, 7)));
        assert_eq!(found(&["abc"], b"abx\x08c"), Some((0, 5)));
        assert_eq!(found(&["aab"], b"aaab"), Some((0, 4)));
        // A text over the end of a line that is too long for one.
        let long = [&[b'x'; 5000][..], b"yz"].concat();
        assert_eq!(found(&["xxyz"], &long), Some((0, 5002)));
        assert_eq!(found(&[&"x".repeat(1000)], &long), Some((0, 1000)));
        assert_eq!(found(&["a", "|"], b"b|a"), Some((1, 2)), "plain text, not an expression");
    }

    #[test]
    fn bounds() {
        assert!(Finder::new(&[], 0).is_err() && Finder::new(&["a"; 17], 0).is_err());
        assert!(Finder::new(&[""], 0).is_err());
        assert!(Finder::new(&[&"\u{fc}".repeat(1001)], 0).is_err());
        let mut finder = Finder::new(&["abc"], 0).unwrap();
        assert_eq!(finder.feed(&[b'\n'; 100_000]), None);
        assert!(finder.before.len() <= 3 && finder.before.capacity() < 10_000);
        assert_eq!(finder.feed(b"ab"), None);
        finder.skip_to(500_000);
        assert_eq!(finder.feed(b"c"), None);
        assert_eq!(finder.feed(b"abcdef"), Some(Found { which: 0, end: 500_004 }));
        assert_eq!(finder.position(), 500_004);
    }
}
