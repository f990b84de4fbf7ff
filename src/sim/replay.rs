//! Keeping what changed, and making it happen again (see [`crate::sim::journal`]).
//!
//! A change is kept while the world is locked, so that the order is that of the world. Surprising:
//! while the past is played, nobody listens at serial ports and no rule makes trouble.

use std::sync::Arc;

use crate::sim::clock::{Clock, Moment};
use crate::sim::fault::Fault;
use crate::sim::guests;
use crate::sim::http::{Answer, Request, Service};
use crate::sim::journal;
use crate::sim::journal::{Change, Input, Journal, Tee};
use crate::sim::routes::Handler;
use crate::sim::rules::Rules;
use crate::sim::service::{Simulator, cookie};
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::Ref;

/// The cookie of whoever makes the past happen again.
const COOKIE: &str = "replay";
/// The fault that a rule gave to the task, as a header of the kept call.
const DOOM: &str = "x-doom";

/// Keeps a call that changed something.
pub fn keep_call(
    journal: &Journal,
    world: &World,
    user: &str,
    text: &str,
    version: &str,
    doomed: Option<String>,
) {
    let input = Input::Request {
        user: user.to_owned(),
        method: "POST".to_owned(),
        target: "/sdk".to_owned(),
        headers: [
            Some(("SOAPAction", format!("urn:vim25/{version}"))),
            doomed.map(|it| (DOOM, it)),
        ]
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        body: text.as_bytes().to_vec(),
        more: 0,
    };
    journal.keep(&Change { at: world.now, input });
}

/// Keeps what was typed at a serial port; the world is not at hand, so its time is not told.
pub fn keep_typed(journal: &Journal, machine: u64, port: i64, bytes: &[u8]) {
    let input = Input::Typed(machine, port, bytes.to_vec());
    journal.keep(&Change { at: 0, input });
}

/// Answers a request beside `/sdk`, and keeps it if it changed something.
pub fn watched(simulator: &Simulator, handler: Handler, request: &mut Request) -> Answer {
    let changes = matches!(request.method, "POST" | "PUT" | "DELETE");
    let Some(journal) = simulator.journal().filter(|_| changes) else {
        return handler(simulator, request);
    };
    let (at, user) = {
        let world = simulator.world();
        let held = cookie(request).unwrap_or_default();
        let user = world.sessions.all.get(&held).map(|it| it.user.clone());
        (world.now, user.unwrap_or_default())
    };
    let (method, target, headers) = (request.method, request.target, request.headers);
    let mut tee = Tee::new(request.body);
    let answer = handler(simulator, &mut Request { method, target, headers, body: &mut tee });
    if (200..300).contains(&answer.status) {
        let input = Input::Request {
            user,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: journal::kept(headers),
            body: tee.kept,
            more: tee.more,
        };
        journal.keep(&Change { at, input });
    }
    answer
}

impl Simulator {
    /// Makes a past happen again, and goes on from there by this clock and with these rules.
    pub fn replay(&self, changes: Vec<Change>, clock: Clock, rules: Rules, journal: Journal) {
        let listen = self.world().guests.listen.take();
        for change in changes {
            self.again(change);
        }
        self.go_on(clock, rules);
        let mut world = self.world();
        world.sessions.all.remove(COOKIE);
        world.guests.listen = listen;
        drop(world);
        self.keep_in(Arc::new(journal));
    }

    fn again(&self, change: Change) {
        self.at(change.at);
        let mut world = self.world();
        match change.input {
            Input::Typed(machine, port, bytes) => {
                let id = world.machines.get(&machine).map(|it| it.id.clone());
                let inside = id.and_then(|id| guests::inside(&mut world, &id).ok());
                drop(world);
                if let Some(inside) = inside {
                    guests::locked(&inside).typed(port, &bytes);
                }
            }
            Input::Request { user, method, target, mut headers, body, more } => {
                let doom = headers.iter().find(|(name, _)| name == DOOM);
                world.doom = doom.and_then(|(_, kind)| Type::find(kind)).map(|it| {
                    Fault::new(it.name(), "A rule said so.").completed(&Ref::new("Folder", ""))
                });
                if !user.is_empty() {
                    world.stand_in(COOKIE, &user);
                    headers
                        .push(("Cookie".to_owned(), format!("vmware_soap_session=\"{COOKIE}\"")));
                }
                drop(world);
                let mut body = journal::again(&body, more);
                let mut request = Request {
                    method: &method,
                    target: &target,
                    headers: &headers,
                    body: &mut body,
                };
                let status = self.answer(&mut request).status;
                if status >= 400 {
                    log::warn!("a kept change was refused this time: {status}, {method} {target}");
                }
            }
        }
    }
}

/// No earlier than the last change that was kept.
pub fn latest(changes: &[Change]) -> Moment {
    changes.iter().map(|it| it.at).max().unwrap_or(0)
}
