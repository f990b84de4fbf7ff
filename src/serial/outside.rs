//! What consoles ask of the rest of the program, and tell it.
//!
//! It must not know who answers. Surprising: a session is told of as ended when it is dropped, so
//! that none is left open in the audit log, however it ends.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::error::{Error, Kind, Result};
use crate::serial::console::Console;
use crate::serial::hub::About;
use crate::serial::proxy::Identity;

/// A machine that dials in, as far as it tells about itself.
#[derive(Clone, Debug)]
pub struct Caller {
    pub identity: Identity,
    /// The port's service URI: a label, and what tells two ports of a machine apart.
    pub uri: String,
    pub from: IpAddr,
}

/// The life of one line or one person at a console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Session<'a> {
    Begins,
    /// Why, how many bytes went towards the machine, and how long it was.
    Ends {
        why: &'a str,
        typed: u64,
        lasted: Duration,
    },
}

/// What consoles ask of the rest of the program. The defaults allow nothing.
pub trait Outside: Send + Sync {
    /// How the certificate of a host of this server is checked where its ports speak TLS. May wait.
    fn client_tls(&self, server: &str, _host: &str) -> Result<Arc<ClientConfig>> {
        Err(Error::new(Kind::Unsupported, format!("no TLS is set up for `{server}`")))
    }

    /// Whether this is the address of a configured host. Must not wait.
    fn may_dial_in(&self, _from: IpAddr) -> bool {
        false
    }

    /// Which console a caller is; none for a machine that nobody knows. May wait.
    fn whose(&self, _caller: &Caller) -> Result<Option<About>> {
        Ok(None)
    }

    /// A session of this number begins or ends, for the audit log: of a person, or of a line. Must be
    /// quick.
    fn session(&self, _number: u64, _about: &About, _who: &str, _what: Session<'_>) {}

    /// Somebody dialled in and was not let in; once a second at most. Must be quick.
    fn refused(&self, _from: IpAddr, _why: &str) {}
}

/// Without anything outside: consoles that are dialled without TLS.
pub(crate) struct Alone;

impl Outside for Alone {}

/// A session that is told of; its end too, however it ends.
pub(crate) struct Sitting {
    outside: Arc<dyn Outside>,
    console: Console,
    number: u64,
    since: Instant,
    who: String,
    /// What the console had sent when a line began; none for a person.
    begun: Option<u64>,
    /// Bytes that a person typed.
    pub typed: u64,
    pub why: String,
}

impl Sitting {
    pub fn begin(outside: &Arc<dyn Outside>, console: &Console, who: &str, line: bool) -> Sitting {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = console.status();
        let sitting = Sitting {
            outside: Arc::clone(outside),
            console: console.clone(),
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            since: Instant::now(),
            who: who.to_owned(),
            begun: line.then_some(now.bytes_out),
            typed: 0,
            why: "closed".to_owned(),
        };
        outside.session(sitting.number, &now.about, who, Session::Begins);
        sitting
    }
}

impl Drop for Sitting {
    fn drop(&mut self) {
        let now = self.console.status();
        let sent = self.begun.map(|it| now.bytes_out.saturating_sub(it));
        let (typed, lasted) = (sent.unwrap_or(self.typed), self.since.elapsed());
        let what = Session::Ends { why: &self.why, typed, lasted };
        self.outside.session(self.number, &now.about, &self.who, what);
    }
}
