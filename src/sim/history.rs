//! What happened: events, the newest last.

use std::collections::VecDeque;

use crate::sim::clock::Moment;
use crate::sim::world::World;
use crate::vim::value::Ref;

/// Events that are remembered.
const MOST: usize = 1000;

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub key: u64,
    /// The type, such as `VmPoweredOnEvent`.
    pub kind: &'static str,
    /// When.
    pub at: Moment,
    /// Who did it; empty where nobody did.
    pub user: String,
    /// The machine or host that it is about.
    pub subject: Option<Ref>,
    /// The name of that at the time.
    pub name: String,
    /// The sentence for people.
    pub text: String,
}

/// All that is remembered.
#[derive(Default)]
pub struct History {
    /// The newest last.
    pub events: VecDeque<Event>,
    made: u64,
}

impl World {
    /// Notes that something happened to `subject`.
    pub fn event(&mut self, kind: &'static str, user: &str, subject: Option<&Ref>, text: &str) {
        let name = subject.and_then(|it| self.name(&it.id)).unwrap_or_default().to_owned();
        self.history.made += 1;
        let key = self.history.made;
        let (at, user, text) = (self.now, user.to_owned(), text.to_owned());
        if self.history.events.len() >= MOST {
            self.history.events.pop_front();
        }
        let event = Event { key, kind, at, user, subject: subject.cloned(), name, text };
        self.history.events.push_back(event);
    }
}
