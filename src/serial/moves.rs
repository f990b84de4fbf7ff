//! Moves of machines between hosts that are under way: which new connection belongs to which old.
//!
//! It must not know what a connection is: they are numbers of the caller. Surprising: that a move is
//! over may be said on the old connection or on the new one, and even before the new one has shown
//! itself; a move is done when both are known.

/// Moves that may be under way at once; a vCenter moves some 8 a host.
const MOST: usize = 256;

// unverified: when in the copying a real host opens the new connection.
/// How long a new host may take to show itself once the move was allowed, in milliseconds. The
/// machine's memory is copied in between, so this is long.
pub const PATIENCE: i64 = 3_600_000;

struct Move {
    old: u64,
    new: Option<u64>,
    token: Vec<u8>,
    done: bool,
    /// Milliseconds of the caller's clock.
    since: i64,
}

/// All that are under way.
#[derive(Default)]
pub struct Moves(Vec<Move>);

/// A line that goes on elsewhere: flush what was kept to `new`, and let `old` go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Moved {
    pub old: u64,
    pub new: u64,
}

impl Moves {
    /// Notes a move that is allowed, by the token that the new host will show. False when there are
    /// too many: say not now. A second one on the same connection replaces the first.
    pub fn begin(&mut self, old: u64, token: Vec<u8>, now: i64) -> bool {
        self.0.retain(|it| it.old != old);
        let fits = self.0.len() < MOST && self.0.iter().all(|it| it.token != token);
        if fits {
            self.0.push(Move { old, new: None, token, done: false, since: now });
        }
        fits
    }

    /// Whether what people type must be kept for later.
    pub fn is_moving(&self, old: u64) -> bool {
        self.0.iter().any(|it| it.old == old)
    }

    /// A new host shows a token: the connection that it continues, and whether the move is thereby
    /// over. None for a token that is not ours, or is in use.
    pub fn peer(&mut self, new: u64, token: &[u8]) -> Option<(u64, Option<Moved>)> {
        let found = self.0.iter_mut().find(|it| it.token == token && it.new.is_none())?;
        found.new = Some(new);
        let old = found.old;
        Some((old, self.over(old)))
    }

    /// A move is said to be over, on either of its connections.
    pub fn complete(&mut self, on: u64, sequence: &[u8]) -> Option<Moved> {
        let is =
            |it: &&mut Move| (it.old == on || it.new == Some(on)) && it.token.starts_with(sequence);
        let found = self.0.iter_mut().find(is)?;
        found.done = true;
        let old = found.old;
        self.over(old)
    }

    /// The machine stays, said on either connection: the old one, which goes on, and the new one,
    /// which is of no use.
    pub fn abort(&mut self, on: u64) -> Option<(u64, Option<u64>)> {
        let at = self.0.iter().position(|it| it.old == on || it.new == Some(on))?;
        let it = self.0.swap_remove(at);
        Some((it.old, it.new))
    }

    /// A connection is gone. The old host may hang up without a word once the new one is there; a
    /// new one that hangs up may come again.
    pub fn closed(&mut self, gone: u64) -> Option<Moved> {
        if let Some(found) = self.0.iter_mut().find(|it| it.new == Some(gone)) {
            found.new = None;
        }
        let found = self.0.iter_mut().find(|it| it.old == gone)?;
        found.done = true;
        self.over(gone)
    }

    /// Forgets moves of which nothing came; the old connections, which go on if they are there.
    pub fn expired(&mut self, now: i64) -> Vec<u64> {
        let late = |it: &Move| now.saturating_sub(it.since) > PATIENCE;
        let gone = self.0.iter().filter(|it| late(it)).map(|it| it.old).collect();
        self.0.retain(|it| !late(it));
        gone
    }

    fn over(&mut self, old: u64) -> Option<Moved> {
        let at = self.0.iter().position(|it| it.old == old && it.done && it.new.is_some())?;
        let it = self.0.swap_remove(at);
        Some(Moved { old, new: it.new? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_used_once_and_moves_end() {
        let mut moves = Moves::default();
        assert!(moves.begin(1, b"seqsecret".to_vec(), 0));
        assert!(!moves.begin(9, b"seqsecret".to_vec(), 0), "two of one token");
        assert_eq!(moves.peer(2, b"seqother!"), None);
        assert_eq!(moves.peer(2, b"seq"), None, "a token is compared as a whole");
        assert_eq!(moves.peer(2, b"seqsecret"), Some((1, None)));
        assert_eq!(moves.peer(3, b"seqsecret"), None, "in use");
        assert_eq!(moves.complete(3, b"seq"), None, "a stranger ends nothing");
        assert_eq!(moves.complete(1, b"other"), None, "an earlier move");
        // The new host comes a second time, then the old one hangs up without a word.
        assert_eq!(moves.closed(2), None);
        assert_eq!(moves.peer(4, b"seqsecret"), Some((1, None)));
        assert_eq!(moves.closed(1), Some(Moved { old: 1, new: 4 }));
        assert!(!moves.is_moving(1));
    }

    #[test]
    fn nothing_is_kept_for_ever() {
        let mut moves = Moves::default();
        for old in 0..1000 {
            assert_eq!(moves.begin(old, old.to_be_bytes().to_vec(), 0), old < MOST as u64);
        }
        assert!(moves.expired(PATIENCE).is_empty());
        assert_eq!(moves.expired(PATIENCE + 1).len(), MOST);
        // Hung up before the new one came: it is waited for, and then done.
        assert!(moves.begin(1, b"a".to_vec(), 0));
        assert_eq!(moves.closed(1), None);
        assert_eq!(moves.peer(2, b"a"), Some((1, Some(Moved { old: 1, new: 2 }))));
        assert!(moves.begin(1, b"b".to_vec(), 0));
        moves.peer(3, b"b");
        assert_eq!(moves.abort(3), Some((1, Some(3))));
        assert_eq!(moves.abort(3), None);
    }
}
