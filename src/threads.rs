//! Threads, work side by side, and a word from one thread to another.
//!
//! It knows nothing of what is done there. Surprising: work comes in a box or behind `dyn`. Each sort
//! of work that the standard library is given by its own type brings 2 KB of the same code with it,
//! and each sort of word in its channels 6 KB.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Begins a thread of this name; fails where the system has no room for one more.
pub fn begin(name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    begin_with(Builder::new(), name, work)
}

/// The same with a stack of so many bytes, for threads that live long and do little.
pub fn begin_small(
    name: &str,
    stack: usize,
    work: Box<dyn FnOnce() + Send>,
) -> io::Result<JoinHandle<()>> {
    begin_with(Builder::new().stack_size(stack), name, work)
}

fn begin_with(
    builder: Builder,
    name: &str,
    work: Box<dyn FnOnce() + Send>,
) -> io::Result<JoinHandle<()>> {
    builder.name(name.to_owned()).spawn(work)
}

/// Does the work for each number below `count`, all at the same time, and returns when all is done.
/// What the system has no room for is done here. A defect in one of them is passed on, after the
/// others are done.
pub fn side_by_side(count: usize, work: &(dyn Fn(usize) + Sync)) {
    std::thread::scope(|scope| {
        for at in 0..count {
            if Builder::new().spawn_scoped(scope, move || work(at)).is_err() {
                work(at);
            }
        }
    });
}

/// Words that wait for their reader; who says more waits until one of them is taken.
const MOST_WORDS: usize = 16;

/// Words for one reader, from whoever holds a clone.
pub struct Words<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T> Clone for Words<T> {
    fn clone(&self) -> Words<T> {
        Words(Arc::clone(&self.0))
    }
}

impl<T> Default for Words<T> {
    fn default() -> Words<T> {
        Words(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }
}

impl<T> Words<T> {
    /// Says one; waits for the reader where many are unread.
    pub fn say(&self, word: T) {
        let words = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let many = |words: &mut Vec<T>| words.len() >= MOST_WORDS;
        let room = self.0.1.wait_while(words, many);
        room.unwrap_or_else(PoisonError::into_inner).push(word);
        self.0.1.notify_all();
    }

    /// The next one, waited for as long as that, or for as long as it takes.
    pub fn next(&self, within: Option<Duration>) -> Option<T> {
        let words = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |words: &mut Vec<T>| words.is_empty();
        let mut words = match within {
            Some(within) => {
                let waited = self.0.1.wait_timeout_while(words, within, silent);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.0.1.wait_while(words, silent).unwrap_or_else(PoisonError::into_inner),
        };
        let next = (!words.is_empty()).then(|| words.remove(0));
        self.0.1.notify_all();
        next
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_numbers_are_worked_on_once() {
        let sum = AtomicUsize::new(0);
        side_by_side(5, &|at| {
            sum.fetch_add(1 << at, Ordering::SeqCst);
        });
        assert_eq!(sum.into_inner(), 0b11111);
    }

    #[test]
    fn words_come_in_order_and_silence_ends() {
        let words = Words::default();
        let theirs = words.clone();
        let thread = begin_small(
            "talker",
            64 << 10,
            Box::new(move || [1, 2].map(|it| theirs.say(it)).into_iter().collect()),
        )
        .unwrap();
        assert_eq!(
            (words.next(None), words.next(Some(Duration::from_secs(60)))),
            (Some(1), Some(2))
        );
        thread.join().unwrap();
        assert_eq!(words.next(Some(Duration::ZERO)), None);
    }
}
