//! A machine that dialled in and has its console: what it says beside data, moves above all.
//!
//! Surprising: that a move is over may be heard on either of its two connections, and the old one may
//! simply hang up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::serial::console::Console;
use crate::serial::hub::Inner;
use crate::serial::line::Speech;
use crate::serial::now::Typed;
use crate::serial::now::millis;
use crate::serial::proxy::{Event, Proxy};
use crate::serial::telnet::BREAK;

/// Bytes of a secret, which are 4 to 8.
const SECRET: usize = 8;

/// Takes a connection off the desk, whatever ends it.
pub(crate) struct Gone {
    pub hub: Weak<Inner>,
    pub number: u64,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        let mut desk = hub.desk();
        if let Some(moved) = desk.moves.closed(self.number) {
            desk.moved(moved);
        }
        desk.lines.retain(|it| it.number != self.number);
    }
}

/// A machine that is being served.
pub(crate) struct Served {
    pub hub: Weak<Inner>,
    pub number: u64,
    pub proxy: Proxy,
    /// Heard, and nothing was done about it yet.
    pub events: VecDeque<Event>,
    pub console: Console,
    pub dismissed: Arc<AtomicBool>,
    /// It has had the console.
    pub owned: bool,
}

impl Served {
    fn happen(&mut self, event: Event, wire: &mut Vec<u8>) {
        let Some(hub) = self.hub.upgrade() else { return };
        let mut desk = hub.desk();
        let number = self.number;
        match event {
            Event::MoveBegins { sequence } => {
                let mut secret = [0; SECRET];
                let random = SystemRandom::new().fill(&mut secret).is_ok();
                let (yes, token) = Proxy::go_ahead(&sequence, &secret);
                let owner = self.console.now().owner == number;
                if !random || !owner || !desk.moves.begin(number, token, millis()) {
                    return wire.extend(Proxy::not_now(&sequence));
                }
                wire.extend(yes);
                let mut now = self.console.now();
                now.held = true;
                now.note("moves to another host".to_owned());
            }
            Event::MoveDone { sequence } => {
                if let Some(moved) = desk.moves.complete(number, &sequence) {
                    desk.moved(moved);
                }
            }
            Event::MoveAborted => {
                let Some((old, new)) = desk.moves.abort(number) else { return };
                if let Some(new) = new.and_then(|it| desk.find(it)) {
                    new.dismissed.store(true, Ordering::Relaxed);
                }
                drop(desk);
                hub.stays(old);
                self.console.stir();
            }
            Event::Identified(identity) => {
                if let Some(line) = desk.lines.iter_mut().find(|it| it.number == number) {
                    line.identity = identity;
                }
            }
            Event::Peer { .. } => wire.extend(Proxy::refuse_peer()),
            Event::Wanted { .. } | Event::Plain => {}
        }
    }
}

impl Speech for Served {
    fn hear(&mut self, bytes: &[u8], data: &mut Vec<u8>, wire: &mut Vec<u8>) {
        let mut got = self.proxy.feed(bytes);
        data.append(&mut got.data);
        wire.append(&mut got.wire);
        self.events.extend(got.events.into_iter().map(|it| it.1));
        while let Some(event) = self.events.pop_front() {
            self.happen(event, wire);
        }
    }

    fn spell(&mut self, typed: Typed, wire: &mut Vec<u8>) {
        match typed {
            Typed::Bytes(bytes) => wire.extend(self.proxy.send(&bytes)),
            Typed::Break => wire.extend(BREAK),
        }
    }

    fn over(&mut self) -> Option<String> {
        if self.dismissed.load(Ordering::Relaxed) {
            return Some("the move was given up".to_owned());
        }
        let owns = self.console.now().owner == self.number;
        self.owned |= owns;
        (self.owned && !owns).then(|| "another line has the console".to_owned())
    }
}
