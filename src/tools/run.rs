//! The only way into a tool, in fixed order: find, offered?, arguments, rights, plan, consent, act,
//! audit.
//!
//! The command line and every transport call [`Gate::call`]; `tools/list` asks the same [`Offer`].
//! Surprising: a plan, like every reading tool, runs with the right to read only, which the
//! session checks again, so a wrong row still cannot change a host.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::audit::{Audit, Entry};
use crate::auth::principal::Principal;
use crate::auth::random;
use crate::error::{Error, Kind, Result};
use crate::files::Files;
use crate::hv::call::{Cancel, Progress};
use crate::hv::fleet::Fleet;
use crate::metrics::Metrics;
use crate::serial::hub::Hub;
use crate::text::hex::hex;
use crate::text::json;
use crate::text::json::Object;
use crate::tools::approval::Approval;
use crate::tools::args;
use crate::tools::args::Args;
use crate::tools::job::{Done, Job};
use crate::tools::offer::{Offer, unknown_tool};
use crate::tools::reply::Shown;
use crate::tools::rights;
use crate::tools::{Effect, Level, Tool, find};

/// Everything that a call needs, made once.
pub struct Gate {
    pub fleet: Fleet,
    pub files: Files,
    pub offer: Offer,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
    /// Serial consoles that this process holds.
    pub consoles: Hub,
    /// Bound of a call that only reads.
    pub call_timeout: Duration,
    /// Which changes a person approves first.
    pub approval: Approval,
    /// Bytes of one answer, text and structured content together.
    pub cap: usize,
}

/// Hears how far a call has come.
pub type Watcher = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Puts a question to the person behind a caller and waits for the answer: true is consent. It comes
/// back when the call is cancelled.
pub type Asks = Arc<dyn Fn(&str, &Cancel) -> Result<bool> + Send + Sync>;

/// What a call brings from an earlier one that asked for consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brought {
    /// What the question came with.
    pub state: Option<String>,
    /// None where it was not answered, or in a way that is neither yes nor no.
    pub answer: Option<bool>,
}

/// Who calls, and how the call is watched.
#[derive(Clone)]
pub struct Caller {
    pub who: Principal,
    pub cancel: Cancel,
    pub watcher: Option<Watcher>,
    /// None for one who cannot be asked while a call waits.
    pub asks: Option<Asks>,
    /// Given for one who is asked by an answer of its own, and then calls again.
    pub brought: Option<Brought>,
    /// Hears that nobody will be asked any more: what is to be read or done begins now.
    pub goes: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Caller {
    /// Somebody whom nobody watches, and who cannot be asked.
    pub fn new(who: Principal) -> Caller {
        let cancel = Cancel::default();
        Caller { who, cancel, watcher: None, asks: None, brought: None, goes: None }
    }

    /// Whoever may start the program itself.
    pub fn local(user: &str) -> Caller {
        Caller::new(Principal::local(user))
    }

    /// The same, who may cancel the call by this.
    pub fn cancelled_by(self, cancel: Cancel) -> Caller {
        Caller { cancel, ..self }
    }

    /// The same, who hears how far the call has come.
    pub fn watched_by(self, watcher: Option<Watcher>) -> Caller {
        Caller { watcher, ..self }
    }

    /// The same, who can be asked while the call waits.
    pub fn asked_by(self, asks: Option<Asks>) -> Caller {
        Caller { asks, ..self }
    }

    /// The same, who answers by calling again.
    pub fn bringing(self, brought: Option<Brought>) -> Caller {
        Caller { brought, ..self }
    }

    /// The most that the caller may do somewhere.
    pub fn level(&self) -> Level {
        self.who.highest().unwrap_or(Level::Read)
    }
}

/// How a call ended.
pub enum Outcome {
    /// There is no such tool, or it is not offered: the caller's protocol error.
    Unknown(Error),
    Answer(Shown),
    /// A person is to be asked; the call is to come again with their answer and this state. Only for
    /// callers that bring something.
    Asks {
        question: String,
        state: String,
    },
    Failed {
        error: Error,
        correlation: String,
    },
}

impl Gate {
    /// Runs one tool.
    pub fn call(&self, name: &str, arguments: Object, caller: Caller) -> Outcome {
        let tool = match find(name) {
            Some((family, tool)) => match self.offer.refusal(family, tool) {
                None => tool,
                Some(why) => return Outcome::Unknown(not_offered(tool, why)),
            },
            None => return Outcome::Unknown(unknown_tool(name)),
        };
        let (started, correlation) = (Instant::now(), correlation_id());
        let mut entry = Entry::new(&correlation, &caller.who.name, tool.name);
        entry.of_groups(&caller.who.groups);
        let (_running, mut server) = (self.metrics.running(), "");
        let checked = Args::check(tool.args, arguments);
        if let Ok(args) = &checked {
            let used = self.used(tool, args.opt_text(args::HOST));
            server = self.counted_as(used);
            entry.about(used, args.for_audit());
        }
        let level = self.level(tool, &checked, &caller.who);
        let refused = level.as_ref().is_err_and(|error| error.kind() == Kind::Denied);
        let result = level.and_then(|level| {
            let args = checked?;
            if tool.effect != Effect::Reads {
                self.audit.begin(&entry)?;
            }
            self.offer.allow_here(&args)?;
            let detailed = args.opt_text(args::RESPONSE_FORMAT) == Some("detailed");
            let job = Job { gate: self, tool, args: &args, caller: &caller, level };
            Ok(match job.guarded(&mut entry, &correlation)? {
                Done::Reply(reply) => Outcome::Answer(reply.shown(detailed, self.cap)),
                Done::Asks { question, state } => Outcome::Asks { question, state },
                Done::Forged(error) => Outcome::Unknown(error.during(tool.name)),
            })
        });
        let took = started.elapsed();
        let kind = result.as_ref().err().map(|it| it.kind().word());
        self.metrics.called(tool.name, server, took, kind);
        // A machine that was powered on may be at its boot loader in some seconds; typing changes no
        // port.
        if tool.effect != Effect::Reads && !tool.name.ends_with("_serial") {
            self.consoles.touch(server);
        }
        let failure = match &result {
            Ok(Outcome::Answer(shown)) => part_failed(shown),
            Ok(Outcome::Unknown(error)) | Err(error) => Some(error.to_string()),
            Ok(_) => None,
        };
        if refused {
            self.audit.write(entry.denied(tool.level.word()));
        } else if !matches!(result, Ok(Outcome::Asks { .. })) {
            // What was put to a person has its line already, and has not been done.
            self.audit.write(entry.ended(took, failure));
        }
        result
            .unwrap_or_else(|error| Outcome::Failed { error: error.during(tool.name), correlation })
    }

    /// The caller's level where the tool would be run, if it is enough.
    fn level(&self, tool: &Tool, checked: &Result<Args>, who: &Principal) -> Result<Level> {
        let wanted = checked.as_ref().ok().and_then(|args| args.opt_text(args::HOST));
        match rights::level(&self.fleet, who, tool.name, tool.level, wanted) {
            // Who may do it somewhere is better told what is wrong with the arguments.
            Err(_) if checked.is_err() && who.highest() >= Some(tool.level) => Ok(tool.level),
            level => level,
        }
    }

    /// Why [`Gate::call`] would deny this to the caller, if it is for want of rights.
    pub fn lacks(&self, name: &str, arguments: &Object, who: &Principal) -> Option<Error> {
        let (family, tool) = find(name)?;
        let checked = Args::check(tool.args, arguments.clone());
        let error = self.level(tool, &checked, who).err()?;
        let lacks = error.kind() == Kind::Denied && self.offer.refusal(family, tool).is_none();
        lacks.then(|| error.during(tool.name))
    }

    /// The server that a call uses, for the audit log: the one it names, or else the default one.
    fn used<'a>(&'a self, tool: &Tool, wanted: Option<&'a str>) -> Option<&'a str> {
        if rights::of_no_server(tool.name) {
            return None;
        }
        wanted.or_else(|| self.fleet.server(None).ok().map(|server| server.name.as_str()))
    }
}

/// How much of a batch failed, if some of it did.
fn part_failed(shown: &Shown) -> Option<String> {
    let number = |name: &str| shown.data.get(name).and_then(json::as_int).unwrap_or(0);
    match number("failed") {
        0 => shown.some_failed.then(|| "a server could not be asked".to_owned()),
        failed => Some(format!("{failed} of {} failed", number("total"))),
    }
}

fn not_offered(tool: &Tool, why: &str) -> Error {
    Error::new(Kind::Denied, format!("`{}` is not offered here", tool.name)).hint(why)
}

/// An error as an object, the same in `_meta` and in `--json` output.
pub fn error_object(error: &Error, correlation: &str) -> Object {
    let mut object = json::object([
        ("kind", json::text(error.kind().word())),
        ("message", json::text(error.sentence())),
    ]);
    let more = [
        ("fault", error.fault_name()),
        ("hint", error.next_step()),
        ("correlation_id", Some(correlation).filter(|it| !it.is_empty())),
    ];
    for (name, text) in more {
        if let Some(text) = text {
            object.insert(name.to_owned(), json::text(text));
        }
    }
    object
}

/// 16 hex digits that tie an answer to its lines in the log.
pub fn correlation_id() -> String {
    // The system is asked for many at once, since they are no secrets.
    static AHEAD: Mutex<Vec<[u8; 8]>> = Mutex::new(Vec::new());
    let mut ahead = AHEAD.lock().unwrap_or_else(PoisonError::into_inner);
    if ahead.is_empty()
        && let Ok(bytes) = random::<512>()
    {
        ahead.extend(bytes.as_chunks().0);
    }
    hex(&ahead.pop().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_calls_have_one_id() {
        let mut all: Vec<String> = (0..200).map(|_| correlation_id()).collect();
        assert!(all.iter().all(|it| it.len() == 16 && it.bytes().all(|b| b.is_ascii_hexdigit())));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    }
}
