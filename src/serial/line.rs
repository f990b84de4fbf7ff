//! Carries bytes between one line and its console, both ways at once.
//!
//! It must not know how the line came to be. Surprising: answers to what the other end asks for come
//! before what people type, and while they pile up the line is not read, so that who asks without
//! end and never reads costs no memory.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use crate::serial::console::Console;
use crate::serial::now::Typed;
use crate::serial::telnet::{BREAK, Telnet};
use crate::web::serve::wire::Socket;
use crate::web::serve::wire::Wire;

/// Bytes that are read at once.
const READ: usize = 4096;

/// Bytes that may wait to be sent before nothing more is read.
const AHEAD: usize = 64 << 10;

/// Rounds in a row, before others have their turn.
const ROUNDS: usize = 16;

/// What a line speaks.
pub(crate) trait Speech: Send {
    /// What came: adds what was said to `data` and what is to be answered to `wire`.
    fn hear(&mut self, bytes: &[u8], data: &mut Vec<u8>, wire: &mut Vec<u8>);
    /// Spells what is typed.
    fn spell(&mut self, typed: Typed, wire: &mut Vec<u8>);
    /// Why it should end, asked before each round.
    fn over(&mut self) -> Option<String>;
}

/// A line without VMware's extension: as it is, or in telnet.
pub(crate) struct Plain(pub Option<Telnet>);

impl Speech for Plain {
    fn hear(&mut self, bytes: &[u8], data: &mut Vec<u8>, wire: &mut Vec<u8>) {
        let Some(telnet) = &mut self.0 else { return data.extend_from_slice(bytes) };
        let mut got = telnet.feed(bytes);
        data.append(&mut got.data);
        wire.append(&mut got.wire);
    }

    fn spell(&mut self, typed: Typed, wire: &mut Vec<u8>) {
        match (typed, &self.0) {
            (Typed::Bytes(bytes), Some(telnet)) => wire.extend(telnet.send(&bytes)),
            (Typed::Bytes(bytes), None) => wire.extend(bytes),
            (Typed::Break, Some(_)) => wire.extend(BREAK),
            (Typed::Break, None) => {}
        }
    }

    fn over(&mut self) -> Option<String> {
        None
    }
}

/// A connection and what waits to be sent on it.
pub(crate) struct Pump {
    pub wire: Wire,
    out: Vec<u8>,
    sent: usize,
}

impl Pump {
    pub fn new(socket: Socket) -> Pump {
        Pump { wire: Wire::new(socket), out: Vec::new(), sent: 0 }
    }

    /// Adds to what is sent next.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Nothing more should be read before some of it is sent.
    pub fn is_full(&self) -> bool {
        self.out.len() - self.sent.min(self.out.len()) >= AHEAD
    }

    /// Sends what waits; ready when all of it is on its way.
    pub fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = self.out.get(self.sent..).unwrap_or_default();
            let count = ready!(self.wire.poll_send(context, rest))?;
            if rest.len() == count {
                // One burst does not keep its memory.
                if self.out.capacity() > READ {
                    self.out = Vec::new();
                }
                self.out.clear();
                self.sent = 0;
                if count == 0 {
                    return Poll::Ready(Ok(()));
                }
            } else {
                self.sent += count;
            }
        }
    }

    /// Reads some of what has come.
    pub fn poll_read<'a>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &'a mut [u8; READ],
    ) -> Poll<io::Result<&'a [u8]>> {
        let count = ready!(self.wire.poll_read(context, buffer))?;
        Poll::Ready(Ok(buffer.get(..count).unwrap_or_default()))
    }

    /// A buffer for [`Pump::poll_read`], on the stack: one of its own for each line would be most
    /// of what a line costs.
    pub fn buffer() -> [u8; READ] {
        [0; READ]
    }
}

/// Carries until one of both is over; why.
pub(crate) async fn carry(
    pump: &mut Pump,
    speech: &mut dyn Speech,
    console: &Console,
    owner: u64,
) -> String {
    let mut data = Vec::new();
    poll_fn(|context| {
        let mut buffer = Pump::buffer();
        for _ in 0..ROUNDS {
            let over = speech.over();
            let mut moved = false;
            match pump.poll_flush(context) {
                Poll::Ready(Err(error)) => return Poll::Ready(told(&error)),
                Poll::Ready(Ok(())) if over.is_none() => {
                    if let Poll::Ready(typed) = console.poll_typed(owner, context) {
                        speech.spell(typed, pump.out());
                        moved = true;
                    }
                }
                _ => {}
            }
            if !pump.is_full()
                && let Poll::Ready(read) = pump.poll_read(context, &mut buffer)
            {
                match read {
                    Ok([]) => {
                        return Poll::Ready(over.unwrap_or("the other end hung up".to_owned()));
                    }
                    Ok(bytes) => speech.hear(bytes, &mut data, pump.out()),
                    Err(error) => return Poll::Ready(over.unwrap_or(told(&error))),
                }
                console.push(&data);
                data.clear();
                moved = true;
            }
            // What has come before the end is not lost.
            match over {
                Some(why) if !moved => return Poll::Ready(why),
                _ if !moved => return Poll::Pending,
                _ => {}
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Why a connection is no more, in words.
pub(crate) fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the other end cut the line".to_owned()
        }
        io::ErrorKind::TimedOut => "the other end is silent for too long".to_owned(),
        _ => error.to_string(),
    }
}
