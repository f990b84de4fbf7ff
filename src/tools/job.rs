//! One call behind the gate: its plan, a person's consent where that is wanted, its deed.
//!
//! Only the gate makes it, after arguments and rights were checked. Surprising: a person may take
//! minutes, so what they agreed to is planned once more, and done only if it is still the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::audit::Entry;
use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::tools::approval::{Case, Step};
use crate::tools::args;
use crate::tools::args::Args;
use crate::tools::ctx::Ctx;
use crate::tools::plan::Ready;
use crate::tools::reply::Reply;
use crate::tools::rights;
use crate::tools::run::{Caller, Gate};
use crate::tools::{Level, Run, Tool};

/// Plans of one call that are put to a person before it is given up.
const MOST_QUESTIONS: usize = 3;

/// How a tool that was run ended.
pub enum Done {
    Reply(Reply),
    Asks { question: String, state: String },
    Forged(Error),
}

/// What a person said so far.
#[derive(Default)]
struct Agreed {
    questions: usize,
    /// The state of the plan that was agreed to.
    to: Option<String>,
}

/// One call that may be made.
pub struct Job<'a> {
    pub gate: &'a Gate,
    pub tool: &'a Tool,
    pub args: &'a Args,
    pub caller: &'a Caller,
    /// The caller's, on the server that is meant.
    pub level: Level,
}

impl<'a> Job<'a> {
    /// A defect in a handler ends this call only.
    pub fn guarded(&self, entry: &mut Entry, correlation: &str) -> Result<Done> {
        catch_unwind(AssertUnwindSafe(|| self.run(entry))).unwrap_or_else(|_| {
            log::error!("{}: a defect ended call {correlation}", self.tool.name);
            Err(Error::bug("a defect of jumpvisor ended this call")
                .hint(format!("Please report it with the log lines around {correlation}")))
        })
    }

    /// A call with the right to read, and one with all that the caller may: the session checks both.
    fn calls(&self) -> (Call, Call) {
        let timeout = self.args.opt_int(args::TIMEOUT).and_then(|it| u64::try_from(it).ok());
        let timeout = timeout.map(Duration::from_secs);
        let mut call = Call::new(Rights::ReadOnly).cancelled_by(self.caller.cancel.clone());
        if let Some(watcher) = self.caller.watcher.clone() {
            call = call.watched_by(move |progress| watcher(progress));
        }
        let reading = call.clone().within(timeout.unwrap_or(self.gate.call_timeout));
        let mut deed = match self.level {
            Level::Read => call,
            _ => call.with_rights(Rights::Change),
        };
        if let Some(timeout) = timeout {
            deed = deed.within(timeout);
        }
        (reading, deed)
    }

    fn ctx(&self, call: Call) -> Ctx<'a> {
        let gate = self.gate;
        Ctx {
            fleet: &gate.fleet,
            files: &gate.files,
            metrics: &gate.metrics,
            audit: &gate.audit,
            consoles: &gate.consoles,
            who: &self.caller.who,
            call,
            level: self.level,
            needs: self.tool.level,
            wanted: self.args.opt_text(args::HOST).map(str::to_owned),
            cap: gate.cap,
        }
    }

    /// Says that it goes on without another word of a person.
    fn goes(&self) {
        if let Some(goes) = &self.caller.goes {
            goes();
        }
    }

    fn run(&self, entry: &mut Entry) -> Result<Done> {
        let plan = match self.tool.run {
            Run::Read(read) => {
                self.goes();
                return read(&self.ctx(self.calls().0), self.args).map(Done::Reply);
            }
            Run::Change(plan) => plan,
        };
        let mut agreed = Agreed::default();
        loop {
            let had_input = self.gate.files.has_stdin();
            let ctx = self.ctx(self.calls().0);
            let ready = plan(&ctx, self.args)?;
            if self.args.flag(args::DRY_RUN) {
                return Ok(Done::Reply(ready.told()));
            }
            ctx.call.check()?;
            // Standard input cannot be read twice, so its plan stands.
            let once = had_input && !self.gate.files.has_stdin();
            match self.consent(&ready, &mut agreed, entry)? {
                Some(Step::Approved) if agreed.to.is_some() && !once => continue,
                None | Some(Step::Approved) => {}
                Some(step) => return self.put_off(step, entry),
            }
            self.goes();
            // The time that a person took is not the deed's.
            return (ready.act)(&ctx.with(self.calls().1)).map(Done::Reply);
        }
    }

    /// What a person says to a plan; None where nobody has to be asked any more.
    fn consent(
        &self,
        ready: &Ready<'_>,
        agreed: &mut Agreed,
        entry: &mut Entry,
    ) -> Result<Option<Step>> {
        let Job { gate, tool, args, caller, .. } = self;
        if !gate.approval.wants(tool.effect, ready) {
            return Ok(None);
        }
        let server = rights::server(&gate.fleet, &caller.who, args.opt_text(args::HOST))?;
        let arguments = args.for_approval();
        let case = Case { who: &caller.who, tool, server: &server.name, arguments, ready };
        let question = case.question(None);
        // An answer holds it twice, and nothing of it may be left out.
        if question.len() > gate.cap / 3 {
            let said = format!("the plan has {} bytes, too many to be approved", question.len());
            return Err(Error::usage(said).hint("Change fewer things in one call"));
        }
        let approver = &caller.who.name;
        if let Some(asks) = &caller.asks {
            let state = case.state();
            if agreed.to.as_ref() == Some(&state) {
                return Ok(None);
            }
            if agreed.questions == MOST_QUESTIONS {
                return Err(Error::new(
                    Kind::Conflict,
                    "the plan was another one after each approval",
                )
                .hint("Look with dry_run=true at what changes meanwhile"));
            }
            agreed.questions += 1;
            gate.audit.write(entry.meanwhile("APPROVAL_ASKED"));
            let stale = agreed.to.is_some().then_some("things have changed meanwhile");
            let agrees = asks(&case.question(stale), &caller.cancel)?;
            agreed.to = Some(state);
            return Ok(Some(match agrees {
                true => {
                    entry.event("APPROVED", "approved_by", approver);
                    Step::Approved
                }
                false => Step::Declined,
            }));
        }
        let step = match &caller.brought {
            Some(brought) => gate.approval.by_answer(&case, brought)?,
            None => gate.approval.by_token(&case, args.opt_text(args::APPROVAL_TOKEN))?,
        };
        if let Step::Approved = step {
            entry.event("APPROVED", "approved_by", approver);
        }
        Ok(Some(step))
    }

    /// The end of a call that is not approved, or not yet.
    fn put_off(&self, step: Step, entry: &mut Entry) -> Result<Done> {
        match step {
            Step::Ask { question, state } => {
                self.gate.audit.write(entry.meanwhile("APPROVAL_ASKED"));
                Ok(Done::Asks { question, state })
            }
            Step::Told(reply) => {
                entry.event("APPROVAL_ASKED", "approval", "token");
                Ok(Done::Reply(reply))
            }
            Step::Forged(error) => Ok(Done::Forged(error)),
            Step::Approved | Step::Declined => {
                entry.event("DECLINED", "declined_by", &self.caller.who.name);
                Err(Error::new(
                    Kind::Denied,
                    "declined by the person who was asked; nothing was changed",
                )
                .hint("Try it again only if they ask for it"))
            }
        }
    }
}
