//! People at a console: whoever connects to its socket sees it and types.
//!
//! It must not know the line. Surprising: a person who reads too slowly loses what the transcript no
//! longer keeps, and is told so, and nobody else notices; and on a Unix socket everything is as it
//! is, for `socat`, while on TCP a `telnet` is expected.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use smol::Timer;

use crate::serial::console::Console;
use crate::serial::console::State;
use crate::serial::hub::Inner;
use crate::serial::hub::Sitting;
use crate::serial::line::Pump;
use crate::serial::telnet::{Event, Role, Telnet};
use crate::web::serve::core;
use crate::web::serve::handler::Peer;
use crate::web::serve::listen::Listener;
use crate::web::serve::listen::Sockets;
use crate::web::serve::wire::Socket;

/// People at one console.
const PEOPLE: usize = 16;

/// Bytes of the transcript that are on their way to a person at once.
const PIECE: usize = 16 << 10;

/// Lines that a person sees first.
const SCREEN: usize = 24;

/// How long a person who types no more still reads.
const LINGER: Duration = Duration::from_secs(2);

/// Who leaves so soon and types nothing only looked whether somebody is here.
const LOOK: Duration = Duration::from_millis(100);

/// Between two words about typing that goes nowhere.
const QUIET: Duration = Duration::from_secs(5);

/// How long accepting rests when the system has no more sockets.
const REST: Duration = Duration::from_millis(100);

/// Rounds in a row, before others have their turn.
const ROUNDS: usize = 16;

/// Takes people as long as it is polled.
pub(crate) async fn serve(hub: Weak<Inner>, console: Console, listener: Listener) {
    for number in 1_u64.. {
        let accepted = match &listener.sockets {
            Sockets::Tcp(it) => it.accept().await.and_then(core::tcp),
            Sockets::Unix(it) => it.accept().await.map(|(socket, _)| core::unix(socket)),
        };
        let Some(hub) = hub.upgrade() else { return };
        match accepted {
            Ok((socket, peer)) => {
                let who = match peer {
                    Peer::Net(from) => from.to_string(),
                    Peer::Local(Some(it)) => format!("user {} at the socket ({number})", it.uid),
                    Peer::Local(None) => format!("somebody at the socket ({number})"),
                };
                let person = Person::new(console.clone(), who, socket, hub.settings.mute);
                hub.spawn(person.stay(Weak::clone(&hub.weak))).detach();
            }
            Err(why) => {
                log::warn!("the socket of a console cannot accept a connection: {why}");
                drop(hub);
                Timer::after(REST).await;
            }
        }
    }
}

struct Person {
    console: Console,
    who: String,
    pump: Pump,
    telnet: Option<Telnet>,
    /// Position up to which the transcript was shown.
    at: u64,
    /// Typed, and no room for it yet.
    typed: Vec<u8>,
    count: u64,
    breaks: usize,
    /// What is typed goes nowhere.
    mute: bool,
    /// The change of the writer that was told.
    writers: u64,
    told: Option<Instant>,
    /// Types no more; leaves when it rings.
    ended: Option<Timer>,
}

impl Person {
    fn new(console: Console, who: String, socket: Socket, mute: bool) -> Person {
        let telnet = matches!(socket, Socket::Tcp(_)).then(|| Telnet::new(Role::Person));
        Person {
            console,
            who,
            pump: Pump::new(socket),
            telnet,
            at: 0,
            typed: Vec::new(),
            count: 0,
            breaks: 0,
            mute,
            writers: 0,
            told: None,
            ended: None,
        }
    }

    async fn stay(mut self, hub: Weak<Inner>) {
        let (fits, seat) = self.arrive();
        if !fits {
            self.notice("too many are attached to this console");
            let _ = poll_fn(|context| self.pump.poll_flush(context)).await;
            return;
        }
        let Some(outside) = hub.upgrade().map(|it| Arc::clone(&it.outside)) else { return };
        let mut look = Timer::after(LOOK);
        let looked = poll_fn(|context| {
            let polled = self.poll(context);
            let stays = self.count > 0 || Pin::new(&mut look).poll(context).is_ready();
            if polled.is_pending() && !stays { Poll::Pending } else { Poll::Ready(polled) }
        });
        if looked.await.is_ready() && self.count == 0 {
            return drop(seat);
        }
        let mut sitting = Sitting::begin(&outside, &self.console, &self.who, false);
        let why = poll_fn(|context| {
            let polled = self.poll(context);
            sitting.typed = self.count;
            polled
        });
        sitting.why = why.await;
        drop(seat);
    }

    /// Takes a place, if there is one, and shows what there is.
    fn arrive(&mut self) -> (bool, Seat) {
        let mut now = self.console.now();
        let fits = now.readers < PEOPLE;
        let screen = now.ring.screen(SCREEN, PIECE);
        self.at = screen.next;
        self.writers = now.writers;
        now.readers += 1;
        let state = (now.state != State::Connected).then(|| now.missing());
        drop(now);
        if let Some(telnet) = &mut self.telnet {
            self.pump.out().extend(telnet.start());
        }
        if fits {
            self.show(&screen.bytes);
            if let Some(why) = state {
                self.notice(&why);
            }
        }
        (fits, Seat(self.console.clone(), self.who.clone()))
    }

    fn show(&mut self, bytes: &[u8]) {
        match &self.telnet {
            Some(telnet) => self.pump.out().extend(telnet.send(bytes)),
            None => self.pump.out().extend_from_slice(bytes),
        }
    }

    fn notice(&mut self, text: &str) {
        self.show(format!("\r\n[jumpvisor] {text}\r\n").as_bytes());
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let mut buffer = Pump::buffer();
        for _ in 0..ROUNDS {
            let flushed = match self.pump.poll_flush(context) {
                Poll::Ready(Err(_)) => return Poll::Ready("left".to_owned()),
                ready => ready.is_ready(),
            };
            let mut moved = false;
            if let Some(timer) = &mut self.ended
                && Pin::new(timer).poll(context).is_ready()
            {
                return Poll::Ready("left".to_owned());
            }
            // A key that finds no room holds up only the one who typed it.
            if self.typed.is_empty()
                && self.ended.is_none()
                && !self.pump.is_full()
                && let Poll::Ready(read) = self.pump.poll_read(context, &mut buffer)
            {
                match read {
                    Err(_) => return Poll::Ready("left".to_owned()),
                    Ok([]) if self.pump.wire.is_gone() => return Poll::Ready("left".to_owned()),
                    Ok([]) => self.ended = Some(Timer::after(LINGER)),
                    Ok(bytes) => self.hear(bytes),
                }
                moved = true;
            }
            match self.kept(context) {
                Some(it) => moved |= it,
                None => return Poll::Ready("the console was closed".to_owned()),
            }
            if flushed && let Poll::Ready(piece) = self.console.poll_piece(self.at, PIECE, context)
            {
                if piece.dropped > 0 {
                    self.notice(&format!("{} bytes skipped", piece.dropped));
                }
                self.at = piece.next;
                self.show(&piece.bytes);
                moved = true;
            }
            if !moved {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn hear(&mut self, bytes: &[u8]) {
        match &mut self.telnet {
            None => self.typed.extend_from_slice(bytes),
            Some(telnet) => {
                let got = telnet.feed(bytes);
                self.typed = got.data;
                self.pump.out().extend(got.wire);
                // From the end, since each makes room for itself.
                for (at, event) in got.events.into_iter().rev() {
                    match event {
                        Event::Break => self.breaks += 1,
                        // What a terminal sends for it.
                        Event::Interrupt => self.typed.insert(at.min(self.typed.len()), 3),
                        _ => {}
                    }
                }
            }
        }
        if self.mute && (self.breaks > 0 || !self.typed.is_empty()) {
            (self.typed, self.breaks) = (Vec::new(), 0);
            if self.told.is_none_or(|it| it.elapsed() > QUIET) {
                self.told = Some(Instant::now());
                self.notice("read-only (READ_ONLY); keys are not sent");
            }
        }
    }

    /// Passes on what was typed, and tells who else types. Whether anything moved; none when the
    /// console is no more.
    fn kept(&mut self, context: &Context<'_>) -> Option<bool> {
        let mut now = self.console.now();
        if now.closed {
            return None;
        }
        let mut word = None;
        if now.writers != self.writers {
            self.writers = now.writers;
            word = now.writer().filter(|it| *it != self.who).map(|it| format!("{it} is writing"));
        }
        let mut moved = false;
        if !self.typed.is_empty() {
            match now.put(&self.who, &self.typed) {
                Ok(0) => now.await_shown(context),
                Ok(count) => {
                    self.writers = now.writers;
                    self.count += count as u64;
                    drop(self.typed.drain(..count));
                    moved = true;
                }
                Err(_) => {
                    self.typed.clear();
                    if word.is_none() && self.told.is_none_or(|it| it.elapsed() > QUIET) {
                        self.told = Some(Instant::now());
                        word = Some(match now.writer().filter(|it| *it != self.who) {
                            Some(it) => format!("{it} is writing"),
                            None => now.missing(),
                        });
                    }
                }
            }
        }
        match moved {
            true => self.console.tell(now, true),
            false => drop(now),
        }
        for _ in 0..std::mem::take(&mut self.breaks).min(1) {
            if let Err(error) = self.console.send_break(&self.who) {
                word = Some(error.to_string());
            }
        }
        if let Some(word) = word {
            self.notice(&word);
            moved = true;
        }
        Some(moved)
    }
}

/// A place at a console, given back whatever happens.
struct Seat(Console, String);

impl Drop for Seat {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.readers = now.readers.saturating_sub(1);
        now.leave(&self.1);
    }
}
