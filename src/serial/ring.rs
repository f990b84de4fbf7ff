//! What a console said: the last so many bytes of it, by position and by time.
//!
//! It must not know what the bytes mean. Surprising: positions count from a console's first byte and
//! never go back, so a reader that was too slow learns how much it missed; and times are of whole
//! chunks, and of several together when there are many.

use std::collections::VecDeque;

/// Bytes that are kept unless said otherwise.
pub const BYTES: usize = 256 << 10;

/// Chunks whose time is known apart; beyond, those nearest in time are taken together.
const MARKS: usize = 512;

/// Allocated at first.
const FIRST: usize = 1024;

/// A run of chunks.
struct Mark {
    /// Position of its first byte.
    at: u64,
    /// When its first and its last chunk came, in milliseconds since 1970.
    first: i64,
    last: i64,
}

/// A piece of what was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// Position of the first of them.
    pub from: u64,
    /// Where to go on reading.
    pub next: u64,
    /// Bytes between what was asked for and `from` that are kept no more.
    pub dropped: u64,
}

/// One console's transcript.
pub struct Ring {
    bytes: VecDeque<u8>,
    most: usize,
    /// Position of the first byte that is kept.
    start: u64,
    marks: VecDeque<Mark>,
}

impl Ring {
    /// An empty one that keeps so many bytes and takes memory as they come.
    pub fn new(most: usize) -> Ring {
        Ring { bytes: VecDeque::new(), most, start: 0, marks: VecDeque::new() }
    }

    /// Position of the first byte that is kept.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Position behind the last byte.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Bytes that are allocated, for who counts them.
    pub fn allocated(&self) -> usize {
        self.bytes.capacity() + self.marks.capacity() * size_of::<Mark>()
    }

    /// Adds what came at this moment, in milliseconds since 1970.
    pub fn push(&mut self, chunk: &[u8], now: i64) {
        if chunk.is_empty() {
            return;
        }
        let end = self.end();
        // Of more than fits only the end is ever seen.
        let skip = chunk.len().saturating_sub(self.most);
        let kept = chunk.get(skip..).unwrap_or_default();
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(self.most);
        drop(self.bytes.drain(..surplus.min(self.bytes.len())));
        self.grow(kept.len());
        self.bytes.extend(kept);
        self.start = end + chunk.len() as u64 - self.bytes.len() as u64;
        match self.marks.back_mut() {
            Some(last) if last.last == now => {}
            _ => self.mark(Mark { at: end, first: now, last: now }),
        }
        while self.marks.get(1).is_some_and(|second| second.at <= self.start) {
            self.marks.pop_front();
        }
    }

    /// Makes room by doubling, and never for more than the bound.
    fn grow(&mut self, more: usize) {
        let (len, now) = (self.bytes.len(), self.bytes.capacity());
        if len + more > now {
            let wanted = (2 * now).max(len + more).max(FIRST).min(self.most);
            self.bytes.reserve_exact(wanted - len);
        }
    }

    fn mark(&mut self, mark: Mark) {
        self.marks.push_back(mark);
        if self.marks.len() < MARKS {
            return;
        }
        // The two neighbours that are nearest in time become one.
        let span = |at: &usize| match (self.marks.get(*at), self.marks.get(at + 1)) {
            (Some(one), Some(two)) => two.last.saturating_sub(one.first).saturating_abs(),
            _ => i64::MAX,
        };
        let nearest = (0..self.marks.len() - 1).min_by_key(span).unwrap_or(0);
        if let Some(gone) = self.marks.remove(nearest + 1)
            && let Some(one) = self.marks.get_mut(nearest)
        {
            one.last = one.last.max(gone.last);
        }
    }

    /// At most so many bytes from a position on. One that lies ahead of all that was said is of
    /// another transcript, before a restart: it begins at what there is, so that nothing is missed.
    pub fn read(&self, since: u64, most: usize) -> Piece {
        let from = if since > self.end() { self.start } else { since.max(self.start) };
        let bytes: Vec<u8> = self.bytes.range(self.index(from)..).take(most).copied().collect();
        let next = from + bytes.len() as u64;
        Piece { bytes, from, next, dropped: from.saturating_sub(since) }
    }

    /// The last lines, of at most so many bytes, for a person who attaches. A line that is not ended
    /// counts as one: it is the prompt.
    pub fn screen(&self, lines: usize, most: usize) -> Piece {
        let most = most.min(self.bytes.len());
        let mut newlines = 0;
        let (mut wanted, mut line) = (most, 0);
        for (count, byte) in self.bytes.iter().rev().take(most).enumerate() {
            // The newline at the very end ends the last line and begins none.
            if *byte == b'\n' && count > 0 {
                (newlines, line) = (newlines + 1, count);
                if newlines >= lines {
                    wanted = count;
                    break;
                }
            }
        }
        // No half of a line first, unless there is nothing else.
        if wanted == most && most < self.bytes.len() && line > 0 {
            wanted = line;
        }
        self.read(self.end() - wanted as u64, most)
    }

    /// The position at which to read what came at this moment or later; something that came before
    /// may be in front of it.
    pub fn since(&self, moment: i64) -> u64 {
        let found = self.marks.iter().find(|it| it.last >= moment);
        found.map_or(self.end(), |it| it.at.max(self.start))
    }

    /// When the byte at this position came; of several chunks taken together, the first one's time.
    pub fn when(&self, at: u64) -> Option<i64> {
        if at < self.start || at >= self.end() {
            return None;
        }
        let behind = self.marks.partition_point(|it| it.at <= at);
        self.marks.get(behind.checked_sub(1)?).map(|it| it.first)
    }

    fn index(&self, at: u64) -> usize {
        usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_learns_what_it_missed() {
        let mut ring = Ring::new(10);
        assert_eq!(ring.read(0, 100), Piece::default());
        ring.push(b"0123456", 1000);
        assert_eq!(ring.read(2, 3), Piece { bytes: b"234".to_vec(), from: 2, next: 5, dropped: 0 });
        ring.push(b"789abcdef", 2000);
        assert_eq!((ring.start(), ring.end()), (6, 16));
        let piece = ring.read(5, 100);
        assert_eq!(piece, Piece { bytes: b"6789abcdef".to_vec(), from: 6, next: 16, dropped: 1 });
        assert_eq!(ring.read(16, 100), Piece { from: 16, next: 16, ..Piece::default() });
        // Of another life of this console.
        assert_eq!((ring.read(17, 2).from, ring.read(u64::MAX, 2).dropped), (6, 0));
        // More than fits at once, and positions go on.
        ring.push(&[b'x'; 1000], 3000);
        assert_eq!((ring.start(), ring.end(), ring.read(0, 1).dropped), (1006, 1016, 1006));
        let mut none = Ring::new(0);
        none.push(b"abc", 1);
        assert_eq!((none.start(), none.end(), none.read(0, 9).dropped), (3, 3, 3));
    }

    #[test]
    fn memory_follows_what_was_said_up_to_the_bound() {
        let most = 300_000;
        let mut ring = Ring::new(most);
        assert_eq!(ring.allocated(), 0);
        ring.push(b"login: ", 0);
        assert!(ring.allocated() < 2 * FIRST);
        for at in 0..20_000 {
            ring.push(&[b'x'; 100], at);
        }
        assert_eq!(ring.end(), 2_000_007);
        assert!(ring.allocated() <= most + MARKS * size_of::<Mark>(), "{}", ring.allocated());
        assert!(ring.marks.len() <= MARKS && ring.bytes.len() == most);
    }

    #[test]
    fn times_of_many_chunks_are_coarse_but_miss_nothing() {
        let mut ring = Ring::new(1 << 20);
        assert_eq!((ring.since(0), ring.when(0)), (0, None));
        for at in 0..5_000_i64 {
            ring.push(b"0123456789", at * 100);
        }
        for moment in [0, 1, 99, 100, 250_000, 499_000, 499_899] {
            let (at, exact) = (ring.since(moment), (moment as u64).div_ceil(100) * 10);
            assert!(at <= exact && exact - at < 1_000, "{moment}: {at} for {exact}");
            let when = ring.when(exact).unwrap();
            assert!(when <= moment + 99 && moment - when < 10_000, "{moment}: {when}");
        }
        assert_eq!(ring.since(499_901), 50_000);
        // A clock that is set back.
        ring.push(b"back", 5);
        assert_eq!(ring.when(50_001), Some(5));
        // What is kept no more has no time.
        let mut ring = Ring::new(4);
        ring.push(b"abcd", 1);
        ring.push(b"ef", 2);
        assert_eq!(
            (ring.when(1), ring.when(2), ring.when(4), ring.when(6)),
            (None, Some(1), Some(2), None)
        );
        assert_eq!((ring.since(1), ring.since(2)), (2, 4));
    }

    #[test]
    fn the_last_screenful() {
        let mut ring = Ring::new(100);
        let screen = |ring: &Ring, lines| String::from_utf8(ring.screen(lines, 20).bytes).unwrap();
        assert_eq!(screen(&ring, 2), "");
        ring.push(b"one\r\ntwo\r\nthree\r\nlogin: ", 0);
        assert_eq!(screen(&ring, 1), "login: ");
        assert_eq!(screen(&ring, 2), "three\r\nlogin: ");
        assert_eq!(screen(&ring, 99), "two\r\nthree\r\nlogin: ", "no half of a line");
        assert_eq!(ring.screen(99, 100).from, 0);
        ring.push(b"x\r\n", 0);
        assert_eq!(screen(&ring, 2), "three\r\nlogin: x\r\n");
        assert_eq!(ring.screen(1, 100).next, ring.end());
        ring.push(&[b'x'; 50], 0);
        assert_eq!(screen(&ring, 3), "x".repeat(20));
        // Exactly as many lines as there are.
        let mut ring = Ring::new(100);
        ring.push(b"a\nb", 0);
        assert_eq!((screen(&ring, 1), screen(&ring, 2)), ("b".to_owned(), "a\nb".to_owned()));
    }
}
