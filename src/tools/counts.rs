//! What is counted and noted of calls, beside the tools' own: requests that are no tool's, and what
//! stands at this moment on the servers and consoles.
//!
//! It asks nobody over the network.

use std::time::{Duration, Instant};

use crate::audit::{Audit, Entry};
use crate::auth::principal::Principal;
use crate::error::{Error, Kind};
use crate::hv::fleet::Server;
use crate::metrics::{Gauges, Running, ServerNow};
use crate::serial::hub::{Hub, State};
use crate::text::json::Object;
use crate::tools::Level;
use crate::tools::run::{Gate, correlation_id};

/// A request that is no tool's call, on its way; its line is written when it ends, however it does.
pub struct Noted<'a> {
    gate: &'a Gate,
    method: &'static str,
    /// Ties an answer to its lines in the log.
    pub correlation: String,
    began: Instant,
    _running: Running<'a>,
    entry: Option<Entry>,
}

impl Noted<'_> {
    /// It ended, well or with this error, unless it was denied before.
    pub fn end(&mut self, error: Option<&Error>) {
        let Some(entry) = self.entry.take() else { return };
        let took = self.counted(error.map(Error::kind));
        self.gate.audit.write(entry.ended(took, error.map(Error::to_string)));
    }

    /// The caller lacks the right to it.
    pub fn denied(&mut self, needs: Level) {
        let Some(entry) = self.entry.take() else { return };
        self.counted(Some(Kind::Denied));
        self.gate.audit.write(entry.denied(needs.word()));
    }

    fn counted(&self, kind: Option<Kind>) -> Duration {
        let took = self.began.elapsed();
        self.gate.metrics.called(self.method, "", took, kind.map(Kind::word));
        took
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if self.entry.is_some() {
            self.end(Some(&Error::bug("a defect of jumpvisor ended it")));
        }
    }
}

impl Gate {
    /// A request begins whose tool is its method.
    pub fn noted(&self, who: &Principal, method: &'static str, args: Object) -> Noted<'_> {
        let correlation = correlation_id();
        let mut entry = Entry::new(&correlation, &who.name, method);
        entry.of_groups(&who.groups);
        entry.about(None, args);
        let (began, running) = (Instant::now(), self.metrics.running());
        Noted { gate: self, method, correlation, began, _running: running, entry: Some(entry) }
    }

    /// What calls of this server are counted as; those of unknown ones as of none, since callers may
    /// think of any number of names.
    pub(crate) fn counted_as(&self, server: Option<&str>) -> &str {
        let name = server.unwrap_or_default();
        match self.fleet.servers().iter().find(|it| it.name == name) {
            Some(server) => &server.name,
            None if name == "all" => "all",
            None => "",
        }
    }

    /// All counts in Prometheus' text format, with the HTTP connections that are open if there may
    /// be any.
    pub fn prometheus(&self, connections: Option<u64>) -> String {
        let now = gauges(&mut self.fleet.servers().iter(), &self.consoles, &self.audit);
        self.metrics.prometheus(&Gauges { connections, ..now })
    }
}

/// What stands at this moment, of these servers, without asking them.
pub fn gauges(servers: &mut dyn Iterator<Item = &Server>, consoles: &Hub, audit: &Audit) -> Gauges {
    let server = |it: &Server| {
        let status = it.host.status();
        ServerNow {
            name: it.name.clone(),
            connected: status.connected,
            requests: status.requests,
            logins: status.logins,
            received: status.bytes_received,
            sent: status.bytes_sent,
            leases: status.leases,
        }
    };
    let all = consoles.all();
    let states = [State::Connected, State::Dialling, State::Waiting, State::Lost];
    Gauges {
        servers: servers.map(server).collect(),
        consoles: states
            .map(|state| (state.word(), all.iter().filter(|it| it.state == state).count() as u64))
            .to_vec(),
        people: all.iter().map(|it| it.readers as u64).sum(),
        audit_lost: audit.lost(),
        connections: None,
    }
}
