//! What happened: events, the newest last.
//!
//! An event remembers where its subject stood, because machines move and go.

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
    /// What stood above it at the time, the nearest first.
    pub above: Vec<String>,
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
        let at = self.now;
        self.happened(at, kind, user, subject, text);
    }

    /// Notes that something happened at another time than now; the newest must come last.
    pub fn happened(
        &mut self,
        at: Moment,
        kind: &'static str,
        user: &str,
        subject: Option<&Ref>,
        text: &str,
    ) {
        let name = subject.and_then(|it| self.name(&it.id)).unwrap_or_default().to_owned();
        let above = subject.map(|it| self.above(it)).unwrap_or_default();
        self.history.made += 1;
        let key = self.history.made;
        let text = self.placed(&name, &above, text);
        if self.history.events.len() >= MOST {
            self.history.events.pop_front();
        }
        let (user, subject) = (user.to_owned(), subject.cloned());
        let event = Event { key, kind, at, user, subject, name, above, text };
        self.history.events.push_back(event);
        self.touch();
    }

    /// `web01 is powered on`, as servers say it: `web01 on esxi01 in DC0 is powered on`.
    fn placed(&self, name: &str, above: &[String], text: &str) -> String {
        let named = |kind: &str| {
            let id = above.iter().find(|it| self.kind_of(it) == Some(kind))?;
            self.name(id)
        };
        let rest = text.strip_prefix(name).filter(|it| !name.is_empty() && it.starts_with(" is "));
        match (rest, named("HostSystem"), named("Datacenter")) {
            (Some(rest), Some(host), Some(datacenter)) => {
                format!("{name} on {host} in {datacenter}{rest}")
            }
            _ => text.to_owned(),
        }
    }
}
