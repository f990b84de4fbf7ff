//! One connection from its first byte to its end: requests in their order, an answer to each.
//!
//! Requests that come ahead of their turn wait in the buffer; when that is full nothing more is read
//! until the answer is out. Surprising: while a request is being answered the connection is read,
//! because that is the only way to notice that the client has left.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::web::codec::Framing;
use crate::web::codec::Refused;
use crate::web::codec::body::Decoder;
use crate::web::codec::head::Head;
use crate::web::codec::head::Parser;
use crate::web::codec::reply;
use crate::web::serve::core::Core;
use crate::web::serve::core::Held;
use crate::web::serve::handler::Answer;
use crate::web::serve::handler::Exchange;
use crate::web::serve::handler::Peer;
use crate::web::serve::handler::Piece;
use crate::web::serve::handler::Request;
use crate::web::serve::handler::Start;
use crate::web::serve::wire::Paced;
use crate::web::serve::wire::Wire;

/// A whole answer up to this size goes out in one write with its head.
const ONE_WRITE: usize = 64 << 10;

/// How it goes on with a connection.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It ends at once.
    Cut,
    /// It ends, and the client is given time to read.
    Gently,
    /// It does not end.
    Open,
}

/// A connection that is being served.
pub(crate) struct Connection {
    pub wire: Wire,
    pub core: Rc<Core>,
    pub peer: Peer,
    pub listener: Arc<str>,
    /// There is a request, however little of it; whoever ends the server waits for it.
    pub busy: Rc<Cell<bool>>,
    /// What was received and not yet understood.
    pub bytes: Vec<u8>,
    /// The client has ended its side.
    pub ended: bool,
}

impl Connection {
    /// Serves until the client leaves or the server ends.
    pub async fn run(mut self) {
        let mut met = false;
        loop {
            let head = match self.head(met).await {
                Ok(Ok(Some(head))) => Ok(head),
                Ok(Ok(None)) | Err(_) => return,
                Ok(Err(refused)) => Err(refused),
            };
            met = true;
            // In a box, since what it needs would otherwise be part of every idle connection.
            let end = Box::pin(self.turn(head)).await;
            match end {
                Ok(End::Open) if self.goes_on() => {}
                Ok(End::Open | End::Gently) => {
                    self.busy.set(false);
                    let limits = &self.core.limits;
                    let (patience, most) = (limits.linger, limits.discard);
                    return self.wire.linger(&self.core.scratch, patience, most).await;
                }
                Ok(End::Cut) => return,
                Err(why) => return crate::logging::debug!("a connection ended: {why}"),
            }
            // An idle connection has no buffer.
            self.bytes.shrink_to_fit();
            self.busy.set(!self.bytes.is_empty());
            // Nobody who sends without pause keeps the others waiting.
            smol::future::yield_now().await;
        }
    }

    /// One more request may be answered, be it one that came before the client ended its side.
    fn goes_on(&self) -> bool {
        let over = self.ended && self.bytes.is_empty();
        !over && !self.core.stopping.get()
    }

    /// The next head; `None` if the client left, or said nothing for too long.
    async fn head(&mut self, met: bool) -> io::Result<Result<Option<Head>, Refused>> {
        let limits = self.core.limits;
        let mut parser = Parser::default();
        let patience = if met { limits.idle } else { limits.head };
        let mut until = Instant::now() + patience;
        let mut begun = false;
        loop {
            if !begun && !self.bytes.is_empty() {
                begun = true;
                self.busy.set(true);
                until = Instant::now() + limits.head;
            }
            match parser.feed(&self.bytes, &limits.codec) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    self.bytes.drain(..head.consumed.min(self.bytes.len()));
                    return Ok(Ok(Some(head)));
                }
                Err(refused) => return Ok(Err(refused)),
            }
            match self.wire.read(&mut self.bytes, &self.core.scratch, until).await {
                Ok(0) => return Ok(Ok(None)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && parser.begun() => {
                    let why = "the head of the request took too long";
                    return Ok(Err(Refused { status: 408, why }));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request and its answer.
    async fn turn(&mut self, head: Result<Head, Refused>) -> io::Result<End> {
        let head = match head {
            Ok(head) => head,
            Err(refused) => return self.refuse(refused, None).await,
        };
        let as_asked = As::of(&head);
        let (framing, expects) = (head.body, head.expect_continue);
        let mut request = Request {
            method: head.method,
            target: head.target,
            headers: head.headers,
            body: Vec::new(),
            peer: self.peer,
            tls: self.wire.is_tls(),
            listener: Arc::clone(&self.listener),
        };
        let core = Rc::clone(&self.core);
        let admitted = catch_unwind(AssertUnwindSafe(|| core.handler.admit(&request)));
        let admitted = admitted.unwrap_or_else(|_| Err(Answer::line(500, "the request failed")));
        let limit = match admitted {
            Ok(limit) => limit,
            Err(answer) => {
                let keep = self.discard(framing, expects).await;
                return self.whole(answer, As { keep: as_asked.keep && keep, ..as_asked }).await;
            }
        };
        let mut held = Held::new(&core);
        match self.body(framing, expects, limit, &mut held).await? {
            Ok(body) => request.body = body,
            Err(refused) => return self.refuse(refused, Some(as_asked)).await,
        }
        let (mut exchange, responder) = Exchange::new();
        let handled = catch_unwind(AssertUnwindSafe(|| core.handler.handle(request, responder)));
        if handled.is_err() {
            log::error!("a defect ended the handling of a request");
        }
        let start = poll_fn(|context| match exchange.poll_start(context) {
            Poll::Ready(start) => Poll::Ready(Ok(start)),
            Poll::Pending => self.poll_leaving(&exchange, context),
        });
        let end = match start.await? {
            Start::Whole(answer) => self.whole(answer, as_asked).await,
            Start::Stream(answer) => self.stream(answer, &exchange, as_asked).await,
        }?;
        exchange.over = end != End::Cut;
        Ok(end)
    }

    /// Takes what comes while an answer is being made, and tells it when the client ends.
    fn poll_leaving<T>(
        &mut self,
        exchange: &Exchange,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        while !self.ended && self.bytes.len() < self.core.limits.ahead {
            match self.wire.poll_read_into(context, &mut self.bytes, &self.core.scratch) {
                Poll::Ready(Ok(0)) => {
                    self.ended = true;
                    exchange.gone();
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    }

    /// Reads a body; the request is refused if it is damaged, too large or too slow.
    async fn body(
        &mut self,
        framing: Framing,
        expects: bool,
        limit: u64,
        held: &mut Held<'_>,
    ) -> io::Result<Result<Vec<u8>, Refused>> {
        const LARGE: Refused = Refused { status: 413, why: "the body is too large" };
        const BUSY: Refused = Refused { status: 503, why: "too much is being sent at once" };
        const SLOW: Refused = Refused { status: 408, why: "the body of the request is too slow" };
        let mut body = Vec::new();
        if let Framing::Length(length) = framing {
            if length > limit {
                return Ok(Err(LARGE));
            }
            body.reserve_exact(usize::try_from(length).unwrap_or(0).min(ONE_WRITE));
        }
        let mut decoder = Decoder::new(framing, Some(limit));
        if expects && !decoder.done() && self.bytes.is_empty() {
            self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", self.core.limits.send).await?;
        }
        let mut paced = Paced::new(self.core.limits.receive);
        loop {
            let mut at = 0;
            while !decoder.done() && at < self.bytes.len() {
                let rest = self.bytes.get(at..).unwrap_or_default();
                let step = match decoder.step(rest) {
                    Ok(step) => step,
                    Err(refused) => return Ok(Err(refused)),
                };
                let data = rest.get(step.skip..step.skip + step.data).unwrap_or_default();
                if !held.more(data.len()) {
                    return Ok(Err(BUSY));
                }
                body.extend_from_slice(data);
                at += step.skip + step.data;
            }
            self.bytes.drain(..at);
            if decoder.done() {
                return Ok(Ok(body));
            }
            match self.wire.read(&mut self.bytes, &self.core.scratch, paced.until()).await {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => paced.passed(count),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Err(SLOW)),
                Err(error) => return Err(error),
            }
            smol::future::yield_now().await;
        }
    }

    /// Passes over a body that nobody wants; false if the connection is of no more use, because that
    /// would be too much, or because the client may rightly not send it.
    async fn discard(&mut self, framing: Framing, expects: bool) -> bool {
        let core = Rc::clone(&self.core);
        let limit = u64::try_from(core.limits.discard).unwrap_or(u64::MAX);
        let none = matches!(framing, Framing::None | Framing::Length(0));
        let waits = expects && !none && self.bytes.is_empty();
        let mut held = Held::new(&core);
        !waits && matches!(self.body(framing, false, limit, &mut held).await, Ok(Ok(_)))
    }

    /// Says why, and ends the connection: what follows cannot be understood.
    async fn refuse(&mut self, refused: Refused, as_asked: Option<As>) -> io::Result<End> {
        let unknown = As { bare: false, chunks: false, keep: false };
        let answer = Answer::line(refused.status, refused.why);
        self.whole(answer, As { keep: false, ..as_asked.unwrap_or(unknown) }).await
    }

    /// The head of an answer, and whether the connection stays open after it.
    fn start(&self, answer: &mut Answer, framing: Framing, keep: bool) -> (Vec<u8>, bool) {
        let begun = self.begun(answer, framing, keep);
        self.core.handler.answered(answer.status);
        begun
    }

    fn begun(&self, answer: &mut Answer, framing: Framing, keep: bool) -> (Vec<u8>, bool) {
        let keep = keep && self.goes_on();
        answer.headers.push(("Date", self.core.date()));
        let mut out = self.core.out.take();
        let sound = reply::head(&mut out, answer.status, &answer.headers, framing, keep);
        if sound.is_ok() {
            return (out, keep);
        }
        log::error!("an answer has a head that cannot be sent");
        *answer = Answer::line(500, "the answer cannot be sent");
        let length = Framing::Length(u64::try_from(answer.body.len()).unwrap_or(u64::MAX));
        let _ = reply::head(&mut out, answer.status, &answer.headers, length, false);
        (out, false)
    }

    async fn whole(&mut self, mut answer: Answer, how: As) -> io::Result<End> {
        let length = Framing::Length(u64::try_from(answer.body.len()).unwrap_or(u64::MAX));
        let (mut out, keep) = self.start(&mut answer, length, how.keep);
        let body = match how.bare || reply::is_bare(answer.status) {
            true => &[][..],
            false => &answer.body,
        };
        let first = ONE_WRITE.saturating_sub(out.len()).min(body.len());
        let (first, rest) = body.split_at(first);
        out.extend_from_slice(first);
        self.wire.send(&out, self.core.limits.send).await?;
        if out.capacity() <= ONE_WRITE {
            out.clear();
            self.core.out.replace(out);
        }
        if !rest.is_empty() {
            self.wire.send(rest, self.core.limits.send).await?;
        }
        Ok(if keep { End::Open } else { End::Gently })
    }

    /// Sends a stream as it comes; each piece is a chunk.
    async fn stream(
        &mut self,
        mut answer: Answer,
        exchange: &Exchange,
        how: As,
    ) -> io::Result<End> {
        if how.bare || reply::is_bare(answer.status) {
            let framing = if how.chunks { Framing::Chunked } else { Framing::None };
            let (out, keep) = self.start(&mut answer, framing, how.keep && how.chunks);
            self.wire.send(&out, self.core.limits.send).await?;
            // A stream that nobody hears; who makes it should stop.
            exchange.gone();
            return Ok(if keep { End::Open } else { End::Gently });
        }
        let framing = if how.chunks { Framing::Chunked } else { Framing::None };
        let status = answer.status;
        let (mut out, keep) = self.start(&mut answer, framing, how.keep && how.chunks);
        if answer.status != status {
            out.extend_from_slice(&answer.body);
            self.wire.send(&out, self.core.limits.send).await?;
            exchange.gone();
            return Ok(End::Gently);
        }
        let mut first = std::mem::take(&mut answer.body);
        loop {
            // What is there already goes out in one write with what is before it.
            let next = poll_fn(|context| match exchange.poll_piece(context) {
                Poll::Ready(piece) => Poll::Ready(Ok(Some(piece))),
                Poll::Pending if out.is_empty() && first.is_empty() => {
                    match self.poll_leaving(exchange, context) {
                        Poll::Pending if self.ended => Poll::Ready(Ok(Some(Piece::End(false)))),
                        other => other,
                    }
                }
                Poll::Pending => Poll::Ready(Ok(None)),
            });
            let (piece, end) = match next.await? {
                Some(Piece::Data(data)) => (data, None),
                Some(Piece::End(well)) => (Vec::new(), Some(well)),
                None => (Vec::new(), None),
            };
            for data in [&std::mem::take(&mut first), &piece] {
                match how.chunks {
                    true => reply::chunk(&mut out, data),
                    false => out.extend_from_slice(data),
                }
            }
            if how.chunks && end == Some(true) {
                out.extend_from_slice(reply::LAST_CHUNK);
            }
            self.wire.send(&out, self.core.limits.send).await?;
            out = Vec::new();
            match end {
                None => {}
                Some(true) if keep => return Ok(End::Open),
                Some(true) => return Ok(End::Gently),
                // The client must not believe that it was all.
                Some(false) => return Ok(End::Cut),
            }
        }
    }
}

/// How a client must be answered.
#[derive(Clone, Copy)]
struct As {
    /// Without a body, since it asked with HEAD.
    bare: bool,
    /// It knows chunks.
    chunks: bool,
    /// It would like to go on.
    keep: bool,
}

impl As {
    fn of(head: &Head) -> As {
        As { bare: head.method == "HEAD", chunks: head.minor > 0, keep: head.keep_alive }
    }
}
