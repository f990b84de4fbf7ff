//! One connection from its first byte to its end: requests in their order, an answer to each.
//!
//! Surprising: what a service left unread of a body is read before the answer goes out, because
//! many clients send all of a body before they look at the answer, and both would wait.

use std::io;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Instant;

use crate::sim::deflate;
use crate::sim::http::Answer;
use crate::sim::http::Body;
use crate::sim::http::Request;
use crate::sim::http::Service;
use crate::sim::serve::Limits;
use crate::sim::serve::wire::Wire;
use crate::web::codec::Framing;
use crate::web::codec::Refused;
use crate::web::codec::body::Decoder;
use crate::web::codec::head::Head;
use crate::web::codec::head::Parser;
use crate::web::codec::reply;

/// Bytes that are read or sent at once.
const PIECE: usize = 32 << 10;

/// SOAP answers that are shorter go out as they are.
const WORTH_GZIP: usize = 1024;

/// A whole answer up to this size goes out in one write with its head.
const ONE_WRITE: usize = 64 << 10;

/// How it goes on with a connection.
enum End {
    /// It ends at once, whatever is under way.
    Cut,
    /// It ends, and the client is given time to read.
    Gently,
    /// It does not end.
    Open,
}

/// Serves until the client leaves, or `open` says that it is over. Without a service everything is
/// answered with 503.
pub fn run(wire: Wire, service: Option<&dyn Service>, limits: &Limits, open: &dyn Fn() -> bool) {
    let room = limits.codec.head + PIECE;
    let bytes = vec![0; room];
    let mut connection = Connection { wire, limits, bytes, from: 0, until: 0, met: false };
    loop {
        let end = match connection.turn(service) {
            Ok(End::Open) if open() => continue,
            Ok(end) => end,
            Err(why) => {
                crate::logging::debug!("a connection to the simulated host ended: {why}");
                End::Cut
            }
        };
        if let (End::Gently, true) = (end, open()) {
            connection.wire.linger(limits.linger, limits.discard);
        }
        return;
    }
}

struct Connection<'a> {
    wire: Wire,
    limits: &'a Limits,
    /// What was received and not yet understood lies from `from` to `until`.
    bytes: Vec<u8>,
    from: usize,
    until: usize,
    /// It has sent a request; who has not is given less time.
    met: bool,
}

impl Connection<'_> {
    /// One request and its answer.
    fn turn(&mut self, service: Option<&dyn Service>) -> io::Result<End> {
        let head = match self.head()? {
            Ok(Some(head)) => head,
            Ok(None) => return Ok(End::Gently),
            Err(refused) => {
                let text = format!("{}\n", refused.why).into_bytes();
                let answer = Answer::of(refused.status, "text/plain", text);
                return self.reply(None, answer, false);
            }
        };
        let Some(service) = service else {
            let text = b"too many connections\n".to_vec();
            return self.reply(Some(&head), Answer::of(503, "text/plain", text), false);
        };
        // A client that expects `100 Continue` does not get it; ESXi does not send it either, and
        // clients go on without it after a second or so.
        let decoder = Decoder::new(head.body, self.limits.codec.body);
        let mut body = Incoming { connection: self, decoder, refused: None };
        let answered = catch_unwind(AssertUnwindSafe(|| {
            service.answer(&mut Request {
                method: &head.method,
                target: &head.target,
                headers: &head.headers,
                body: &mut body,
            })
        }));
        let (mut answer, sound) = match answered {
            Ok(answer) => (answer, true),
            Err(_) => (Answer::empty(500), false),
        };
        let mut keep = head.keep_alive && sound;
        if answer.cut.is_none() {
            keep = body.discard() && keep;
            if let Some(refused) = body.refused {
                let text = format!("{}\n", refused.why).into_bytes();
                answer = Answer::of(refused.status, "text/plain", text);
            }
        }
        self.reply(Some(&head), answer, keep)
    }

    /// The next head; `None` if the client left, or said nothing for too long.
    fn head(&mut self) -> io::Result<Result<Option<Head>, Refused>> {
        let mut parser = Parser::default();
        let mut begun = false;
        let patience = if self.met { self.limits.idle } else { self.limits.head };
        self.wire.until(Instant::now() + patience);
        loop {
            let so_far = self.bytes.get(self.from..self.until).unwrap_or_default();
            match parser.feed(so_far, &self.limits.codec) {
                Ok(None) => {}
                Ok(Some(head)) => {
                    self.from += head.consumed;
                    self.met = true;
                    return Ok(Ok(Some(head)));
                }
                Err(refused) => return Ok(Err(refused)),
            }
            if !begun && !so_far.is_empty() {
                begun = true;
                self.wire.until(Instant::now() + self.limits.head);
            }
            match self.fill() {
                Ok(0) => return Ok(Ok(None)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && begun => {
                    let why = "the head of the request took too long";
                    return Ok(Err(Refused { status: 408, why }));
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(Ok(None)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives more behind what is there.
    fn fill(&mut self) -> io::Result<usize> {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.until, 0);
            self.until -= self.from;
            self.from = 0;
        }
        // The parser refuses a head before it can fill all of this.
        let room = self.bytes.get_mut(self.until..).unwrap_or_default();
        let count = self.wire.receive(room)?;
        self.until += count;
        Ok(count)
    }

    /// Sends an answer as the client can take it.
    fn reply(
        &mut self,
        head: Option<&Head>,
        mut answer: Answer,
        keep_alive: bool,
    ) -> io::Result<End> {
        if answer.cut == Some(0) {
            return Ok(End::Cut);
        }
        let bodiless = head.is_some_and(|it| it.method == "HEAD") || reply::is_bare(answer.status);
        pack(head, &mut answer);
        let framing = match &answer.body {
            Body::Whole(bytes) => Framing::Length(u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            Body::Stream(_, Some(length)) => Framing::Length(*length),
            Body::Stream(_, None) if head.is_some_and(|it| it.minor > 0) => Framing::Chunked,
            Body::Stream(_, None) => Framing::None,
        };
        let mut out = Vec::new();
        let sound = reply::head(&mut out, answer.status, &answer.headers, framing, keep_alive);
        if let Err(why) = sound {
            log::warn!("a service of the simulated host: {why}");
            return self.reply(head, Answer::empty(500), false);
        }
        let left = answer.cut.unwrap_or(u64::MAX);
        match answer.body {
            _ if bodiless => self.wire.send(&out)?,
            Body::Whole(bytes) => {
                let part = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let part = bytes.get(..part).unwrap_or_default();
                if part.len() <= ONE_WRITE {
                    out.extend_from_slice(part);
                    self.wire.send(&out)?;
                } else {
                    self.wire.send(&out)?;
                    self.wire.send(part)?;
                }
            }
            Body::Stream(mut stream, _) => {
                self.wire.send(&out)?;
                self.stream(&mut *stream, framing, left)?;
            }
        }
        Ok(match (answer.cut, keep_alive) {
            (Some(_), _) => End::Cut,
            (None, true) => End::Open,
            (None, false) => End::Gently,
        })
    }

    /// Sends a stream, of which no more than `left` bytes.
    fn stream(&mut self, body: &mut dyn Read, framing: Framing, mut left: u64) -> io::Result<()> {
        let cut = left != u64::MAX;
        let mut promised = match framing {
            Framing::Length(length) => length,
            _ => u64::MAX,
        };
        let mut piece = vec![0; PIECE];
        let mut out = Vec::new();
        while promised > 0 {
            let room = usize::try_from(promised).unwrap_or(PIECE).min(PIECE);
            let got = match body.read(piece.get_mut(..room).unwrap_or_default()) {
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if got == 0 {
                break;
            }
            let count = u64::try_from(got).unwrap_or(u64::MAX);
            let data = piece.get(..got).unwrap_or_default();
            out.clear();
            match framing {
                Framing::Chunked => reply::chunk(&mut out, data),
                _ => out.extend_from_slice(data),
            }
            if count > left {
                let unsent = usize::try_from(count - left).unwrap_or(got);
                let behind = if framing == Framing::Chunked { b"\r\n".len() } else { 0 };
                out.truncate(out.len().saturating_sub(unsent + behind));
                return self.wire.send(&out);
            }
            self.wire.send(&out)?;
            promised -= count;
            left -= count;
        }
        match framing {
            // It is over, and the client must not believe that it was all.
            _ if cut => Ok(()),
            Framing::Chunked => self.wire.send(reply::LAST_CHUNK),
            Framing::Length(_) if promised > 0 => {
                Err(io::Error::other("a stream is shorter than its length"))
            }
            _ => Ok(()),
        }
    }
}

/// Compresses a SOAP answer that is worth it, for a client that takes that. One that is to be cut
/// stays as it is: where it breaks should be where the rule says.
fn pack(head: Option<&Head>, answer: &mut Answer) {
    let Body::Whole(body) = &mut answer.body else { return };
    let kind = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
    let soap = kind.is_some_and(|(_, kind)| kind.starts_with("text/xml"));
    if !soap || answer.cut.is_some() || body.len() <= WORTH_GZIP {
        return;
    }
    let mut accepted = head.map_or(&[][..], |it| it.headers.as_slice()).iter();
    if accepted.any(|(name, list)| name.eq_ignore_ascii_case("Accept-Encoding") && takes_gzip(list))
    {
        *body = deflate::gzip(body);
        answer.headers.push(("Content-Encoding", "gzip".to_owned()));
    }
    answer.headers.push(("Vary", "Accept-Encoding".to_owned()));
}

/// `gzip` is on the list and not with a weight of nothing.
fn takes_gzip(list: &str) -> bool {
    list.split(',').any(|it| {
        let (coding, weight) = it.split_once(';').unwrap_or((it, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        let refused = weight.trim_end_matches('0').trim_end_matches('.').trim_end_matches('0');
        coding.trim().eq_ignore_ascii_case("gzip") && !refused.is_empty()
    })
}

/// The body of a request for the service.
struct Incoming<'c, 'a> {
    connection: &'c mut Connection<'a>,
    decoder: Decoder,
    refused: Option<Refused>,
}

impl Incoming<'_, '_> {
    /// Reads the rest of the body; false if that was too much, too slow or damaged.
    fn discard(&mut self) -> bool {
        let ends = Instant::now() + self.connection.limits.silence;
        let mut bin = vec![0; if self.decoder.done() { 0 } else { PIECE }];
        let mut left = self.connection.limits.discard;
        while !self.decoder.done() {
            let Ok(got @ 1..) = self.read(&mut bin) else { return false };
            let got = u64::try_from(got).unwrap_or(u64::MAX);
            left = left.saturating_sub(got);
            if left == 0 || Instant::now() > ends {
                return false;
            }
        }
        true
    }
}

impl Read for Incoming<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.decoder.done() && !buffer.is_empty() {
            let connection = &mut *self.connection;
            let room = connection.until.min(connection.from + buffer.len());
            let waiting = connection.bytes.get(connection.from..room).unwrap_or_default();
            if waiting.is_empty() {
                connection.wire.until(Instant::now() + connection.limits.silence);
                if connection.fill()? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            let step = match (self.refused, self.decoder.step(waiting)) {
                (None, Ok(step)) => step,
                (before, now) => {
                    let refused = before.or(now.err());
                    self.refused = refused;
                    let why = refused.map_or("the body is damaged", |it| it.why);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
            };
            let data = waiting.get(step.skip..step.skip + step.data).unwrap_or_default();
            if let Some(to) = buffer.get_mut(..data.len()) {
                to.copy_from_slice(data);
            }
            connection.from += step.skip + step.data;
            if step.data > 0 {
                return Ok(step.data);
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for list in ["gzip", "deflate, GZIP", "gzip;q=0.5, br", "gzip;q=1.0", "br;q=0, gzip ; q=1"]
        {
            assert!(takes_gzip(list), "{list}");
        }
        for list in ["", "identity", "gzip;q=0", "gzip; q=0.000", "x-gzip-not"] {
            assert!(!takes_gzip(list), "{list}");
        }
    }
}
