//! Sessions, for clients of the `initialize` era that can be asked something.
//!
//! A session is where their answers come in, and what they subscribe to; nothing else needs one.
//! Surprising: its id is not enough. It belongs to whoever began it, and for everybody else there is
//! no such session.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::auth;
use crate::error::{Error, Kind, Result};
use crate::mcp::http::call::{ALIVE, event};
use crate::mcp::rpc::{Id, Response};
use crate::mcp::watch;
use crate::mcp::watch::Seen;
use crate::text::hex::hex;
use crate::text::json;
use crate::text::json::Object;
use crate::threads::Words;
use crate::web::serve::handler::Stream;

/// Questions of one session that are open at a time.
const QUESTIONS: usize = 8;

/// Bytes of an id.
const ID: usize = 24;

/// How many there may be, and how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub all: usize,
    /// Of one caller; where there are so many, the one that rested longest ends.
    pub each: usize,
    /// How long one may rest: nothing asked, no stream open.
    pub idle: Duration,
}

/// One session.
pub struct Session {
    pub id: String,
    /// Whose it is.
    pub owner: String,
    next: AtomicU64,
    state: Mutex<State>,
}

struct State {
    last: Instant,
    /// Calls that are being worked on.
    running: usize,
    ended: bool,
    asked: Vec<(Id, Words<Told>)>,
    /// What it subscribed to.
    seen: Vec<Seen>,
    /// Where it hears of that, and when it last did.
    stream: Option<(Stream, Instant)>,
}

/// A question that is open for as long as this lives.
pub struct Asked<'a> {
    session: &'a Session,
    pub id: Id,
    /// One word comes.
    pub answer: Words<Told>,
}

/// What became of a question.
pub enum Told {
    Result(Object),
    /// The client answered by an error.
    Refused,
    /// The session has ended.
    Ended,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.session.state().asked.retain(|it| it.0 != self.id);
    }
}

/// A call in a session, which so does not rest.
pub struct Used(Arc<Session>);

impl Drop for Used {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = state.running.saturating_sub(1);
        state.last = Instant::now();
    }
}

impl Session {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something is done in it.
    pub fn used(self: &Arc<Session>) -> Used {
        self.state().running += 1;
        Used(self.clone())
    }

    /// Since when nothing is done in it; none while something is.
    fn rests(&self) -> Option<Instant> {
        let state = self.state();
        let busy = state.running > 0 || state.stream.as_ref().is_some_and(|it| !gone(&it.0));
        (!busy).then_some(state.last)
    }

    /// Room for one more question.
    pub fn ask(&self) -> Result<Asked<'_>> {
        let answer = Words::default();
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let id = Id::of(&json::text(format!("ask-{number}")))
            .ok_or_else(|| Error::bug("a text is no id"))?;
        let mut state = self.state();
        if state.ended || state.asked.len() >= QUESTIONS {
            let said = format!("more than {QUESTIONS} questions are open with this client");
            return Err(Error::new(Kind::Busy, said).hint("Answer some of them first"));
        }
        state.asked.push((id.clone(), answer.clone()));
        Ok(Asked { session: self, id, answer })
    }

    /// Passes an answer on; one to nothing that is open is dropped.
    pub fn answered(&self, response: Response) {
        let mut state = self.state();
        state.last = Instant::now();
        let at = state.asked.iter().position(|it| Some(&it.0) == response.id.as_ref());
        if let Some(at) = at {
            let told = response.result.map_or(Told::Refused, Told::Result);
            state.asked.swap_remove(at).1.say(told);
        }
    }

    /// Whether a URI is subscribed to.
    pub fn watches(&self, uri: &str) -> bool {
        self.state().seen.iter().any(|it| it.is_of(uri))
    }

    /// Subscribes; false if there are too many subscriptions.
    pub fn subscribe(&self, uri: &str, seen: Seen) -> bool {
        let mut state = self.state();
        let room = state.seen.len() < watch::MOST;
        if room && !state.ended {
            state.seen.retain(|it| !it.is_of(uri));
            state.seen.push(seen);
        }
        room
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, uri: &str) {
        self.state().seen.retain(|it| !it.is_of(uri));
    }

    /// Tells what there is to tell on this stream from now on; the one before it ends, since whoever
    /// opened it may have lost it without our noticing.
    pub fn listen(&self, stream: Stream) {
        let mut state = self.state();
        let before = match state.ended {
            true => Some(stream),
            false => state.stream.replace((stream, Instant::now())).map(|it| it.0),
        };
        drop(state);
        before.into_iter().for_each(Stream::finish);
    }

    /// Looks at what is subscribed to; true while there is somebody to tell.
    pub fn tick(&self, now: Instant, pause: Duration) -> bool {
        let state = &mut *self.state();
        if state.stream.as_ref().is_some_and(|it| gone(&it.0)) {
            state.stream = None;
            state.last = now;
        }
        let Some((stream, spoke)) = &mut state.stream else { return false };
        *spoke = tell(stream, &mut state.seen, None, *spoke, (now, pause));
        true
    }

    /// Its stream ends; with `for_good`, it ends itself.
    fn end(&self, for_good: bool) {
        let mut state = self.state();
        state.ended |= for_good;
        let stream = state.stream.take();
        if for_good {
            state.asked.drain(..).for_each(|(_, answer)| answer.say(Told::Ended));
            state.seen.clear();
        }
        drop(state);
        stream.into_iter().for_each(|it| it.0.finish());
    }
}

fn gone(stream: &Stream) -> bool {
    stream.watch().is_gone()
}

/// Tells of changes on a stream without waiting, or that it is alive; when it last spoke.
pub fn tell(
    stream: &Stream,
    seen: &mut Vec<Seen>,
    id: Option<&Id>,
    spoke: Instant,
    (now, pause): (Instant, Duration),
) -> Instant {
    let told = std::cell::Cell::new(now.saturating_duration_since(spoke) >= pause);
    if told.get() {
        let _ = stream.offer(ALIVE);
    }
    // What a slow client has no room for is not even made.
    seen.retain_mut(|it| {
        !stream.has_room()
            || it.look(id, &|news| {
                let sent = stream.offer(event(news).as_bytes()) == Ok(true);
                told.set(told.get() || sent);
                sent
            })
    });
    if told.get() { now } else { spoke }
}

/// All sessions.
pub struct Sessions {
    bounds: Bounds,
    all: Mutex<Vec<Arc<Session>>>,
}

impl Sessions {
    /// None yet.
    pub fn new(bounds: Bounds) -> Sessions {
        Sessions { bounds, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Session>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one for this caller; fails where there is no room.
    pub fn open(&self, owner: &str, now: Instant) -> Result<Arc<Session>> {
        let id = hex(&auth::random::<ID>()?);
        let mut all = self.all();
        self.expire(&mut all, now);
        let of_owner = || all.iter().filter(|it| it.owner == owner);
        let mut oldest = None;
        if of_owner().count() >= self.bounds.each {
            let resting = of_owner().filter_map(|it| Some((it.rests()?, it.clone())));
            oldest = resting.min_by_key(|it| it.0).map(|it| it.1);
            if oldest.is_none() {
                return Err(full(self.bounds.each, "of this caller"));
            }
        }
        if oldest.is_none() && all.len() >= self.bounds.all {
            return Err(full(self.bounds.all, "in all"));
        }
        if let Some(oldest) = &oldest {
            all.retain(|it| !Arc::ptr_eq(it, oldest));
            oldest.end(true);
        }
        let state = State {
            last: now,
            running: 0,
            ended: false,
            asked: Vec::new(),
            seen: Vec::new(),
            stream: None,
        };
        let (owner, next, state) = (owner.to_owned(), AtomicU64::new(1), Mutex::new(state));
        let session = Arc::new(Session { id, owner, next, state });
        all.push(session.clone());
        Ok(session)
    }

    /// The session of this id, if it is this caller's and has not ended.
    pub fn find(&self, id: &str, owner: &str, now: Instant) -> Option<Arc<Session>> {
        let mut all = self.all();
        self.expire(&mut all, now);
        let session = all.iter().find(|it| it.id == id && it.owner == owner).cloned()?;
        session.state().last = now;
        Some(session)
    }

    /// Ends a session: nobody finds it any more, then its calls are `told`, and then its questions end,
    /// which so are not answered.
    pub fn end(&self, session: &Arc<Session>, told: impl FnOnce()) {
        self.all().retain(|it| !Arc::ptr_eq(it, session));
        told();
        session.end(true);
    }

    /// All of them, for one look.
    pub fn each(&self) -> Vec<Arc<Session>> {
        self.all().clone()
    }

    /// Ends the streams of all.
    pub fn hush(&self) {
        self.each().iter().for_each(|it| it.end(false));
    }

    fn expire(&self, all: &mut Vec<Arc<Session>>, now: Instant) {
        let idle = self.bounds.idle;
        let old = |it: Instant| now.saturating_duration_since(it) >= idle;
        all.retain(|it| {
            let over = it.rests().is_some_and(old);
            if over {
                it.end(true);
            }
            !over
        });
    }
}

fn full(most: usize, whose: &str) -> Error {
    Error::new(Kind::Busy, format!("there are {most} sessions {whose}, as many as there may be"))
        .hint("End one with DELETE, or begin without declaring elicitation, which needs no session")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(all: usize, each: usize) -> Sessions {
        Sessions::new(Bounds { all, each, idle: Duration::from_secs(60) })
    }

    #[test]
    fn a_session_is_its_owners_alone_and_ends_when_it_rests() {
        let (it, start) = (sessions(9, 9), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let id = it.open("alice", start).unwrap().id.clone();
        assert!(id.len() == 48 && id.bytes().all(|it| it.is_ascii_hexdigit()));
        assert!(it.find(&id, "bob", start).is_none() && it.find("", "alice", start).is_none());
        assert!(it.find(&id, "alice", after(59)).is_some());
        let used = it.find(&id, "alice", after(118)).unwrap().used();
        assert!(it.find(&id, "alice", after(999)).is_some());
        drop(used);
        assert!(it.find(&id, "alice", Instant::now() + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_a_callers_own_makes_room_for_his_next() {
        let (it, start) = (sessions(3, 2), Instant::now());
        let open = |owner: &str, after| it.open(owner, start + Duration::from_secs(after));
        let first = open("alice", 0).unwrap();
        let second = open("alice", 1).unwrap();
        assert!(open("alice", 2).is_ok());
        assert!(it.find(&first.id, "alice", start).is_none() && first.ask().is_err());
        assert!(open("bob", 3).is_ok());
        let error = open("carol", 3).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("3 sessions in all"), "{error}");
        let busy: Vec<Used> = it.each().iter().map(Session::used).collect();
        let error = open("alice", 4).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("2 sessions of this caller"), "{error}");
        drop(busy);
        it.end(&second, || ());
        assert!(open("carol", 5).is_ok());
    }

    #[test]
    fn answers_find_their_question_and_no_other() {
        let it = sessions(1, 1).open("alice", Instant::now()).unwrap();
        let (one, two) = (it.ask().unwrap(), it.ask().unwrap());
        let answer = |id: Option<Id>| it.answered(Response { id, result: Some(Object::new()) });
        answer(None);
        answer(Id::of(&json::text("ask-9")));
        answer(Some(two.id.clone()));
        let now = Some(Duration::ZERO);
        assert!(one.answer.next(now).is_none());
        assert!(matches!(two.answer.next(now), Some(Told::Result(_))));
        answer(Some(two.id.clone()));
        let more: Vec<_> = (0..QUESTIONS - 1).map(|_| it.ask().unwrap()).collect();
        assert!(it.ask().is_err());
        drop(more);
        assert!(it.ask().is_ok());
        it.end(true);
        assert!(matches!(one.answer.next(now), Some(Told::Ended)));
    }
}
