//! Requests that are kept open to hear of changes, of clients of the newest era.
//!
//! One thread looks for all of them (see [`crate::mcp::http`]), so that a thousand cost what one
//! does. Surprising: a place is taken before it is known what can be heard, since to find that out
//! may take a while, and strangers could ask for it without end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::mcp::http::call::{Reply, event};
use crate::mcp::http::sessions::tell;
use crate::mcp::rpc;
use crate::mcp::rpc::Id;
use crate::mcp::watch;
use crate::mcp::watch::Seen;
use crate::web::serve::handler::Stream;

/// All open requests.
#[derive(Default)]
pub struct Listens(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    closed: bool,
    places: Vec<(u64, String)>,
    open: Vec<Open>,
}

struct Open {
    place: Place,
    id: Id,
    stream: Stream,
    seen: Vec<Seen>,
    spoke: Instant,
}

/// Room for one, given back when this is dropped.
pub struct Place {
    all: Arc<Listens>,
    key: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.state().places.retain(|it| it.0 != self.key);
    }
}

impl Listens {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place; none if there are `most` in all, or `each` of this caller.
    pub fn reserve(self: &Arc<Listens>, owner: &str, most: usize, each: usize) -> Option<Place> {
        let mut state = self.state();
        let his = state.places.iter().filter(|it| it.1 == owner).count();
        if state.places.len() >= most || his >= each {
            return None;
        }
        let key = state.next;
        state.next += 1;
        state.places.push((key, owner.to_owned()));
        Some(Place { all: self.clone(), key })
    }

    /// Begins: says what is honoured, and tells of changes until the client leaves.
    pub fn open(&self, place: Place, id: Id, reply: Reply, seen: Vec<Seen>) {
        let stream = reply.stream(&event(&watch::acknowledged(&id, &seen)));
        let open = Open { place, id, stream, seen, spoke: Instant::now() };
        let mut state = self.state();
        if state.closed {
            drop(state);
            return open.end();
        }
        state.open.push(open);
    }

    /// One look; true while there is anybody to tell.
    pub fn tick(&self, now: Instant, pause: Duration) -> bool {
        let mut state = self.state();
        let (gone, here): (Vec<Open>, Vec<Open>) =
            state.open.drain(..).partition(|it| it.stream.watch().is_gone());
        state.open = here;
        for it in &mut state.open {
            it.spoke = tell(&it.stream, &mut it.seen, Some(&it.id), it.spoke, (now, pause));
        }
        let some = !state.open.is_empty();
        drop(state);
        // Outside the lock, which their places take.
        drop(gone);
        some
    }

    /// Ends all, and every later one at once.
    pub fn close(&self) {
        self.state().closed = true;
        self.end();
    }

    /// Ends all.
    pub fn end(&self) {
        let open = std::mem::take(&mut self.state().open);
        open.into_iter().for_each(Open::end);
    }
}

impl Open {
    fn end(self) {
        let last = event(&rpc::response(Some(&self.id), &watch::over(&self.id)));
        if self.stream.offer(last.as_bytes()) == Ok(true) {
            self.stream.finish();
        }
        drop(self.place);
    }
}
