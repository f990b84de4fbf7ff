//! A person's consent to a change: which changes need it, what is put to them, what their answer is
//! worth.
//!
//! It stands between `plan` and `act`, in the gate alone; how somebody is asked is the caller's
//! ([`Asks`](crate::tools::run::Asks)). Surprising: what a person agreed to is the plan as it was
//! told, so the plan is made anew after the answer and compared, and a plan that has become another
//! one is put to them again.

use crate::auth::Clock;
use crate::auth::approval::{Approvals, LIFETIME, Plan, Worth};
use crate::auth::principal::Principal;
use crate::error::{Error, Kind, Result};
use crate::text::json;
use crate::text::json::Object;
use crate::text::json::Value;
use crate::tools::plan::Ready;
use crate::tools::reply::{Record, Reply};
use crate::tools::run::Brought;
use crate::tools::{Effect, Tool};

/// Which changes need consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Off,
    /// Those that can lose data or stop a service.
    Destructive,
    All,
}

impl Mode {
    /// The mode of this name in the configuration.
    pub fn find(word: &str) -> Option<Mode> {
        match word {
            "off" => Some(Mode::Off),
            "destructive" => Some(Mode::Destructive),
            "all" => Some(Mode::All),
            _ => None,
        }
    }
}

/// How a process deals with consent.
pub struct Approval {
    mode: Mode,
    /// Who cannot be asked gets a token.
    by_token: bool,
    /// None where nothing needs consent.
    tokens: Option<Approvals>,
    clock: fn() -> Clock,
}

/// What is to be consented to.
pub struct Case<'a, 'r> {
    pub who: &'a Principal,
    pub tool: &'a Tool,
    pub server: &'a str,
    /// Of the call, without those that change nothing about the deed.
    pub arguments: Object,
    pub ready: &'a Ready<'r>,
}

/// What follows for a call.
pub enum Step {
    Approved,
    Declined,
    /// The person is to be asked; the state comes back with the answer.
    Ask {
        question: String,
        state: String,
    },
    /// The plan, with a token.
    Told(Reply),
    /// What came with the call was not given by us for it.
    Forged(Error),
}

impl Approval {
    /// Nothing needs consent.
    pub fn off() -> Approval {
        Approval { mode: Mode::Off, by_token: false, tokens: None, clock: Clock::now }
    }

    /// `key` for tokens that other instances accept too; without one it ends with the process.
    pub fn new(mode: Mode, by_token: bool, key: Option<&[u8]>) -> Result<Approval> {
        let tokens = match mode {
            Mode::Off => None,
            _ => Some(Approvals::new(key)?),
        };
        Ok(Approval { mode, by_token, tokens, clock: Clock::now })
    }

    /// The same by another clock.
    pub fn clocked(self, clock: fn() -> Clock) -> Approval {
        Approval { clock, ..self }
    }

    /// Whether this plan needs consent.
    pub fn wants(&self, effect: Effect, ready: &Ready<'_>) -> bool {
        let mode = match self.mode {
            Mode::Off => false,
            Mode::Destructive => effect == Effect::Destroys,
            Mode::All => effect != Effect::Reads,
        };
        mode && !ready.harmless
    }

    /// For one who answers by calling again.
    pub fn by_answer(&self, case: &Case<'_, '_>, brought: &Brought) -> Result<Step> {
        let (tokens, clock) = (self.tokens()?, (self.clock)());
        let worth = brought.state.as_deref().map(|state| {
            case.bound(|plan| match brought.answer {
                Some(_) => tokens.redeem(state, plan, &clock),
                None => tokens.look(state, plan, &clock),
            })
        });
        match (worth, brought.answer) {
            (Some(Err(error)), _) if error.kind() == Kind::Usage => Ok(Step::Forged(error)),
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(_)), Some(false)) => Ok(Step::Declined),
            (Some(Ok(Worth::Approved)), Some(true)) => Ok(Step::Approved),
            (worth, _) => {
                let state = case.bound(|plan| tokens.issue(plan, &clock))?;
                Ok(Step::Ask { question: case.question(stale(&worth)), state })
            }
        }
    }

    /// For one who cannot be asked.
    pub fn by_token(&self, case: &Case<'_, '_>, token: Option<&str>) -> Result<Step> {
        if !self.by_token {
            let said = "it needs a person's approval, and this client cannot ask for one";
            return Err(Error::new(Kind::Denied, said).hint(
                "Look at it with dry_run=true; a client that lets its user answer (MCP \
                 elicitation) or the command line can do it",
            ));
        }
        let (tokens, clock) = (self.tokens()?, (self.clock)());
        let worth = token.map(|it| case.bound(|plan| tokens.redeem(it, plan, &clock)));
        let worth = worth.transpose()?.map(Ok);
        if matches!(worth, Some(Ok(Worth::Approved))) {
            return Ok(Step::Approved);
        }
        let token = case.bound(|plan| tokens.issue(plan, &clock))?;
        let head = match stale(&worth) {
            Some(why) => format!("Nothing was changed: {why}. This would happen now:"),
            None => "Nothing was changed: this needs an approval. This would happen:".to_owned(),
        };
        let said = format!(
            "{}\nShow this to the user. If they agree, call {} again with the same arguments and \
             approval_token={token} within {} minutes; it works once.",
            case.ready.said(&head),
            case.tool.name,
            LIFETIME / 60
        );
        let record = Record::new()
            .value("approval_required", Value::Bool(true))
            .text("approval_token", token)
            .value("expires_in_seconds", json::int(LIFETIME as i64));
        Ok(Step::Told(Reply::said(said, case.ready.listed(record))))
    }

    fn tokens(&self) -> Result<&Approvals> {
        self.tokens.as_ref().ok_or_else(|| Error::bug("approvals are off"))
    }
}

fn stale(worth: &Option<Result<Worth>>) -> Option<&'static str> {
    match worth {
        Some(Ok(Worth::Stale(why))) => Some(why),
        _ => None,
    }
}

impl Case<'_, '_> {
    /// The plan in plain words, as it is put to a person.
    pub fn question(&self, stale: Option<&str>) -> String {
        let why = stale.map(|it| format!("Once more, because {it}. ")).unwrap_or_default();
        let (tool, server) = (self.tool.name, self.server);
        self.ready.said(&format!("{why}{tool} on {server} needs your approval. This would happen:"))
    }

    /// What the plan was made on and what it says, but for figures that never stand still.
    pub fn state(&self) -> String {
        let mut state = self.ready.seen.clone();
        for sentence in self.ready.steps.iter().chain(&self.ready.losses) {
            state.push('\n');
            state.push_str(&settled(sentence));
        }
        state
    }

    fn bound<T>(&self, then: impl FnOnce(&Plan<'_>) -> Result<T>) -> Result<T> {
        then(&Plan {
            caller: &self.who.id,
            tool: self.tool.name,
            arguments: &self.arguments,
            targets: &[self.server.to_owned()],
            state: &self.state(),
        })
    }
}

/// A sentence without its free space and its estimates: they differ from one minute to the next.
fn settled(sentence: &str) -> String {
    let words: Vec<&str> = sentence.split(' ').collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let moves = |at: usize| {
        // `708.4 GB free` and `about 258 GB`.
        word(at + 2).starts_with("free") || (at > 0 && word(at - 1) == "about")
    };
    let kept = (0..words.len()).filter(|at| !(moves(*at) || *at > 0 && moves(*at - 1)));
    kept.map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_never_stand_still_are_no_part_of_a_plan() {
        for (sentence, kept) in [
            ("a disk of 20 GB on `d` (708.4 GB free)", "a disk of 20 GB on `d` free)"),
            ("on `d` (7 TB free, so it fits)", "on `d` free, so it fits)"),
            ("fetched, about 258 GB or less", "fetched, about or less"),
            ("a b", "a b"),
            ("", ""),
        ] {
            assert_eq!(settled(sentence), kept);
        }
    }
}
