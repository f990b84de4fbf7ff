//! What the edge gives to whoever answers, and how he answers from any thread.
//!
//! A handler gets the whole request and a [`Responder`]; it may answer at once, or pass the responder
//! to a worker and return. It knows nothing of sockets. Surprising: a responder that is dropped has
//! answered too, with 500, so that no defect leaves a client waiting; and a stream that is dropped
//! before its end is cut, so that nobody takes a part for the whole.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Bytes of a stream that wait for the client; whoever sends more waits too.
pub const STREAM_AHEAD: usize = 256 << 10;

/// Bytes of a request's body, unless the handler says otherwise.
pub const BODY: u64 = 4 << 20;

/// Whoever answers requests. Everything here runs on the one thread that serves all connections: it
/// must come back quickly, and long work belongs to a thread of its own.
pub trait Handler: Send + Sync {
    /// Looks at a head before its body is taken: how many bytes of body may follow, or an answer
    /// that refuses the request.
    fn admit(&self, _head: &Request) -> Result<u64, Answer> {
        Ok(BODY)
    }

    /// Answers, now or later, by `respond`.
    fn handle(&self, request: Request, respond: Responder);

    /// An answer of this status is on its way, also where nobody asked the handler.
    fn answered(&self, _status: u16) {}

    /// The server begins to end; streams without an end of their own should come to one.
    fn stopping(&self) {}
}

/// One request. No `Debug`: tokens and cookies stand in it.
pub struct Request {
    /// As it was sent; nothing is known of what methods there are.
    pub method: String,
    /// Path and query, still escaped; `*` for an OPTIONS of the whole server.
    pub target: String,
    /// Names and values in their order.
    pub headers: Vec<(String, String)>,
    /// Empty for [`Handler::admit`].
    pub body: Vec<u8>,
    /// Who asks.
    pub peer: Peer,
    /// It came encrypted.
    pub tls: bool,
    /// The name of the listener that it came by.
    pub listener: Arc<str>,
}

impl Request {
    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An address; IPv4 that came through a socket of IPv6 is IPv4 again.
    Net(SocketAddr),
    /// A process on this machine, as the kernel names it; none where it does not.
    Local(Option<Process>),
}

/// Who connected to a Unix socket, as it was when he did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    pub uid: u32,
    pub gid: u32,
}

/// A whole answer. For a stream, the part before the stream.
#[derive(Default)]
pub struct Answer {
    pub status: u16,
    /// Without those that the edge adds: length and coding of the body, `Connection`, `Date`.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a body of this type.
    pub fn of(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer { status, headers: vec![("Content-Type", kind.to_owned())], body: body.into() }
    }

    /// One line of text; for refusals.
    pub fn line(status: u16, text: &str) -> Answer {
        Answer::of(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// The same answer with one more header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}

/// The client is not there any more, or the server ends: nobody will read an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The right to answer one request, once.
pub struct Responder(Option<Arc<Shared>>);

/// An answer that is still being made.
pub struct Stream(Option<Arc<Shared>>);

/// Tells whether the client still waits. May be kept beside the responder and after it.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is room in a stream, or its client is gone.
    room: Condvar,
}

#[derive(Default)]
struct State {
    start: Option<Start>,
    pending: Vec<u8>,
    /// No more comes; true if that is as it should be.
    end: Option<bool>,
    gone: bool,
    hooks: Vec<Box<dyn FnOnce() + Send>>,
    waker: Option<Waker>,
}

/// How an answer begins.
pub(crate) enum Start {
    /// With all of it.
    Whole(Answer),
    /// With what comes before a stream.
    Stream(Answer),
}

impl Responder {
    /// Answers with all of it.
    pub fn answer(mut self, answer: Answer) {
        if let Some(shared) = self.0.take() {
            shared.start(Start::Whole(answer));
        }
    }

    /// Answers with this head and body, to which more is added until the stream is finished.
    pub fn stream(mut self, answer: Answer) -> Stream {
        let shared = self.0.take();
        if let Some(shared) = &shared {
            shared.start(Start::Stream(answer));
        }
        Stream(shared)
    }

    /// The means to notice that the client left.
    pub fn watch(&self) -> Watch {
        Watch(self.0.clone().unwrap_or_default())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.start(Start::Whole(Answer::line(500, "this request was not answered")));
        }
    }
}

impl Stream {
    /// Adds to the answer; waits while more than [`STREAM_AHEAD`] bytes are on their way. Not for
    /// the thread that runs [`Handler::handle`], which is the one that would make room.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Gone> {
        let shared = self.0.as_ref().ok_or(Gone)?;
        let mut state = shared.lock();
        while !state.gone && state.pending.len() >= STREAM_AHEAD {
            state = shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        shared.add(state, bytes)
    }

    /// Adds to the answer if that is possible without waiting; false if it was left out. For what a
    /// slow client may miss.
    pub fn offer(&self, bytes: &[u8]) -> Result<bool, Gone> {
        let shared = self.0.as_ref().ok_or(Gone)?;
        let state = shared.lock();
        if !state.gone && state.pending.len() >= STREAM_AHEAD {
            return Ok(false);
        }
        shared.add(state, bytes).map(|()| true)
    }

    /// Whether there is room for more without waiting.
    pub fn has_room(&self) -> bool {
        self.0.as_ref().is_none_or(|it| it.lock().pending.len() < STREAM_AHEAD)
    }

    /// The means to notice that the client left.
    pub fn watch(&self) -> Watch {
        Watch(self.0.clone().unwrap_or_default())
    }

    /// That was all.
    pub fn finish(mut self) {
        if let Some(shared) = self.0.take() {
            shared.end(true);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.end(false);
        }
    }
}

impl Watch {
    /// True once nobody will read the answer. A client that ends its half of the connection counts
    /// as gone, since nothing tells the two apart; a whole answer is sent all the same.
    pub fn is_gone(&self) -> bool {
        self.0.lock().gone
    }

    /// Runs `hook` when the client leaves before it has all of the answer, at once if it has left.
    /// It runs on the thread that serves all connections and must not wait for anything.
    pub fn on_gone(&self, hook: impl FnOnce() + Send + 'static) {
        let mut state = self.0.lock();
        if state.gone {
            drop(state);
            return hook();
        }
        state.hooks.push(Box::new(hook));
    }
}

impl Default for Shared {
    fn default() -> Shared {
        Shared { state: Mutex::default(), room: Condvar::new() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, start: Start) {
        let mut state = self.lock();
        state.start = Some(start);
        wake(state);
    }

    fn add(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) -> Result<(), Gone> {
        if state.gone {
            return Err(Gone);
        }
        state.pending.extend_from_slice(bytes);
        wake(state);
        Ok(())
    }

    fn end(&self, well: bool) {
        let mut state = self.lock();
        state.end = Some(well);
        wake(state);
    }
}

/// Outside the lock: what is woken may run at once.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The edge's end of one request.
pub(crate) struct Exchange {
    shared: Arc<Shared>,
    /// The client has all of the answer; its leaving is no news any more.
    pub over: bool,
}

/// What a stream has next.
pub(crate) enum Piece {
    Data(Vec<u8>),
    /// All has been sent, or all that ever will be, which is told by false.
    End(bool),
}

impl Exchange {
    /// Both ends.
    pub fn new() -> (Exchange, Responder) {
        let shared = Arc::new(Shared::default());
        (Exchange { shared: Arc::clone(&shared), over: false }, Responder(Some(shared)))
    }

    /// The beginning of the answer.
    pub fn poll_start(&self, context: &mut Context<'_>) -> Poll<Start> {
        let mut state = self.shared.lock();
        match state.start.take() {
            Some(start) => Poll::Ready(start),
            None => wait(&mut state, context),
        }
    }

    /// What there is of a stream by now; everything that waits is one piece.
    pub fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Piece> {
        let mut state = self.shared.lock();
        if !state.pending.is_empty() {
            let pending = std::mem::take(&mut state.pending);
            drop(state);
            self.shared.room.notify_all();
            return Poll::Ready(Piece::Data(pending));
        }
        match state.end {
            Some(well) => Poll::Ready(Piece::End(well)),
            None => wait(&mut state, context),
        }
    }

    /// The client left.
    pub fn gone(&self) {
        let mut state = self.shared.lock();
        state.gone = true;
        let hooks = std::mem::take(&mut state.hooks);
        drop(state);
        self.shared.room.notify_all();
        hooks.into_iter().for_each(|hook| hook());
    }
}

fn wait<T>(state: &mut State, context: &mut Context<'_>) -> Poll<T> {
    match &mut state.waker {
        Some(waker) => waker.clone_from(context.waker()),
        none => *none = Some(context.waker().clone()),
    }
    Poll::Pending
}

impl Drop for Exchange {
    fn drop(&mut self) {
        match self.over {
            true => self.shared.lock().hooks.clear(),
            false => self.gone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn status(exchange: &Exchange) -> Option<u16> {
        let mut context = Context::from_waker(Waker::noop());
        match exchange.poll_start(&mut context) {
            Poll::Ready(Start::Whole(answer) | Start::Stream(answer)) => Some(answer.status),
            Poll::Pending => None,
        }
    }

    fn piece(exchange: &Exchange) -> Option<Piece> {
        match exchange.poll_piece(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(piece) => Some(piece),
            Poll::Pending => None,
        }
    }

    #[test]
    fn whoever_forgets_to_answer_has_answered() {
        let (exchange, responder) = Exchange::new();
        assert_eq!(status(&exchange), None);
        drop(responder);
        assert_eq!(status(&exchange), Some(500));
    }

    #[test]
    fn a_stream_is_taken_in_pieces_and_has_an_end_or_is_cut() {
        for well in [true, false] {
            let (exchange, responder) = Exchange::new();
            let stream = responder.stream(Answer::line(200, "a"));
            assert_eq!(status(&exchange), Some(200));
            stream.send(b"b").unwrap();
            stream.send(b"c").unwrap();
            let Some(Piece::Data(data)) = piece(&exchange) else { panic!() };
            assert_eq!(data, b"bc");
            assert!(piece(&exchange).is_none());
            if well {
                stream.finish();
            } else {
                drop(stream);
            }
            assert!(matches!(piece(&exchange), Some(Piece::End(how)) if how == well));
        }
    }

    #[test]
    fn a_full_stream_makes_its_sender_wait_until_the_client_takes_or_leaves() {
        let (exchange, responder) = Exchange::new();
        let stream = responder.stream(Answer::default());
        stream.send(&[0; STREAM_AHEAD]).unwrap();
        assert_eq!(stream.offer(b"left out"), Ok(false));
        let sender = std::thread::spawn(move || {
            let first = stream.send(&[1; STREAM_AHEAD]);
            (first, stream.send(b"never"))
        });
        while !matches!(piece(&exchange), Some(Piece::Data(data)) if data[0] == 0) {}
        drop(exchange);
        let (first, second) = sender.join().unwrap();
        assert!(first.is_ok() || first == Err(Gone));
        assert_eq!(second, Err(Gone));
    }

    #[test]
    fn leaving_is_told_once_and_not_after_the_answer() {
        let count = Arc::new(AtomicUsize::new(0));
        let told = || {
            let count = Arc::clone(&count);
            move || _ = count.fetch_add(1, Ordering::SeqCst)
        };
        let (mut exchange, responder) = Exchange::new();
        responder.watch().on_gone(told());
        exchange.over = true;
        drop(exchange);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        let (exchange, responder) = Exchange::new();
        let watch = responder.watch();
        watch.on_gone(told());
        exchange.gone();
        drop(exchange);
        assert!(watch.is_gone() && count.load(Ordering::SeqCst) == 1);
        watch.on_gone(told());
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
