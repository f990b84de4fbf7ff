//! The only way into a tool, in fixed order: find, offered?, arguments, plan, act, audit.
//!
//! The command line and every transport call [`Gate::call`]; `tools/list` asks the same [`Offer`].
//! Surprising: a plan, like every reading tool, runs with the right to read only, which the
//! session checks again, so a wrong row still cannot change a host.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::{Audit, Entry};
use crate::auth::principal::Principal;
use crate::error::{Error, Kind, Result};
use crate::files::Files;
use crate::hv::call::{Call, Cancel, Progress, Rights};
use crate::hv::fleet::Fleet;
use crate::metrics::Metrics;
use crate::serial::hub::Hub;
use crate::text::hex::hex;
use crate::text::json;
use crate::text::json::Object;
use crate::tools::args;
use crate::tools::args::Args;
use crate::tools::ctx::Ctx;
use crate::tools::offer::{Offer, unknown_tool};
use crate::tools::reply::{Reply, Shown};
use crate::tools::{Effect, Level, Run, Tool, find};

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
    /// Bytes of one answer, text and structured content together.
    pub cap: usize,
}

/// Hears how far a call has come.
pub type Watcher = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Puts a question to the person behind a caller and waits for the answer: true is consent. It comes
/// back when the call is cancelled.
pub type Asks = Arc<dyn Fn(&str, &Cancel) -> Result<bool> + Send + Sync>;

/// Who calls, and how the call is watched.
#[derive(Clone)]
pub struct Caller {
    pub who: Principal,
    pub cancel: Cancel,
    pub watcher: Option<Watcher>,
    /// None for one who cannot be asked while a call waits.
    pub asks: Option<Asks>,
}

impl Caller {
    /// Somebody whom nobody watches, and who cannot be asked.
    pub fn new(who: Principal) -> Caller {
        Caller { who, cancel: Cancel::default(), watcher: None, asks: None }
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
        let checked = permitted(tool, &caller).and_then(|()| Args::check(tool.args, arguments));
        let result = checked.and_then(|args| {
            let used = self.used(tool, args.opt_text(args::HOST));
            server = self.counted_as(used);
            entry.about(used, args.for_audit());
            if tool.effect != Effect::Reads {
                self.audit.begin(&entry)?;
            }
            self.offer.allow_here(&args)?;
            let detailed = args.opt_text(args::RESPONSE_FORMAT) == Some("detailed");
            Ok(self.guarded(tool, &args, &caller, &correlation)?.shown(detailed, self.cap))
        });
        let took = started.elapsed();
        let kind = result.as_ref().err().map(|it| it.kind().word());
        self.metrics.called(tool.name, server, took, kind);
        let failure = match &result {
            Ok(shown) => part_failed(shown),
            Err(error) => Some(error.to_string()),
        };
        self.audit.write(entry.ended(took, failure));
        match result {
            Ok(shown) => Outcome::Answer(shown),
            Err(error) => Outcome::Failed { error: error.during(tool.name), correlation },
        }
    }

    /// The server that a call uses, for the audit log: the one it names, or else the default one.
    fn used<'a>(&'a self, tool: &Tool, wanted: Option<&'a str>) -> Option<&'a str> {
        if matches!(tool.name, "get_metrics" | "list_servers") {
            return None;
        }
        wanted.or_else(|| self.fleet.server(None).ok().map(|server| server.name.as_str()))
    }

    /// A defect in a handler ends this call only.
    fn guarded(
        &self,
        tool: &Tool,
        args: &Args,
        caller: &Caller,
        correlation: &str,
    ) -> Result<Reply> {
        catch_unwind(AssertUnwindSafe(|| self.run(tool, args, caller))).unwrap_or_else(|_| {
            log::error!("{}: a defect ended call {correlation}", tool.name);
            Err(Error::bug("a defect of jumpvisor ended this call")
                .hint(format!("Please report it with the log lines around {correlation}")))
        })
    }

    fn run(&self, tool: &Tool, args: &Args, caller: &Caller) -> Result<Reply> {
        let timeout = args.opt_int(args::TIMEOUT).and_then(|it| u64::try_from(it).ok());
        let mut call = Call::new(Rights::ReadOnly).cancelled_by(caller.cancel.clone());
        if let Some(watcher) = caller.watcher.clone() {
            call = call.watched_by(move |progress| watcher(progress));
        }
        let reading = call.clone().within(timeout.map_or(self.call_timeout, Duration::from_secs));
        let ctx = Ctx {
            fleet: &self.fleet,
            files: &self.files,
            metrics: &self.metrics,
            audit: &self.audit,
            consoles: &self.consoles,
            user: caller.who.name.clone(),
            call: reading,
            level: caller.level(),
            wanted: args.opt_text(args::HOST).map(str::to_owned),
            cap: self.cap,
        };
        match tool.run {
            Run::Read(read) => read(&ctx, args),
            Run::Change(plan) => {
                let ready = plan(&ctx, args)?;
                if args.flag(args::DRY_RUN) {
                    return Ok(ready.told());
                }
                ctx.call.check()?;
                let mut deed = call.with_rights(Rights::Change);
                if let Some(seconds) = timeout {
                    deed = deed.within(Duration::from_secs(seconds));
                }
                (ready.act)(&ctx.with(deed))
            }
        }
    }
}

fn permitted(tool: &Tool, caller: &Caller) -> Result<()> {
    if caller.who.highest().is_some_and(|it| it >= tool.level) {
        return Ok(());
    }
    let (has, needs) = (caller.level().word(), tool.level.word());
    Err(Error::new(Kind::Denied, format!("it needs {needs}, and you have {has}"))
        .hint("Ask who runs this server for more rights"))
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
    let mut bytes = [0u8; 8];
    let random = ring::rand::SystemRandom::new();
    match ring::rand::SecureRandom::fill(&random, &mut bytes) {
        Ok(()) => hex(&bytes),
        Err(_) => "0000000000000000".to_owned(),
    }
}
