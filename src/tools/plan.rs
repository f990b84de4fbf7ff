//! What a changing tool is about to do, before it does it.
//!
//! `plan` makes a [`Plan`] of what will happen; `act` takes its data. [`change!`](crate::change)
//! joins the two into one row entry, so that neither can be forgotten and their types must agree.

use crate::error::Result;
use crate::hv::prepared::Prepared;
use crate::text::json;
use crate::text::json::Value;
use crate::tools::ctx::Ctx;
use crate::tools::reply::{Record, Reply};

/// A change understood: what will happen, what would be lost, on what it was planned.
pub struct Plan<T> {
    /// What will happen, in order, one plain sentence each.
    pub steps: Vec<String>,
    /// What would be lost for good.
    pub losses: Vec<String>,
    /// Ids and states that this was planned on; different ones make it void.
    pub seen: String,
    /// It will change nothing after all, so nobody has to approve it.
    pub harmless: bool,
    /// What `act` needs.
    pub data: T,
}

type Act<'a> = Box<dyn FnOnce(&Ctx<'a>) -> Result<Reply> + 'a>;

/// A plan with its deed attached.
pub struct Ready<'a> {
    pub steps: Vec<String>,
    pub losses: Vec<String>,
    pub seen: String,
    pub harmless: bool,
    pub act: Act<'a>,
}

impl<T> Plan<T> {
    /// A plan that loses nothing.
    pub fn new(steps: Vec<String>, seen: impl Into<String>, data: T) -> Plan<T> {
        Plan { steps, losses: Vec::new(), seen: seen.into(), harmless: false, data }
    }

    /// The same plan, with what it would lose.
    pub fn losing(mut self, losses: Vec<String>) -> Plan<T> {
        self.losses = losses;
        self
    }

    /// The same plan, of what may only read.
    pub fn harmless_if(mut self, harmless: bool) -> Plan<T> {
        self.harmless = harmless;
        self
    }

    /// Attaches the deed.
    pub fn ready<'a>(self, act: fn(&Ctx<'a>, T) -> Result<Reply>) -> Ready<'a>
    where
        T: 'a,
    {
        let data = self.data;
        Ready {
            steps: self.steps,
            losses: self.losses,
            seen: self.seen,
            harmless: self.harmless,
            act: Box::new(move |ctx| act(ctx, data)),
        }
    }
}

impl Ready<'_> {
    /// The answer of a dry run.
    pub fn told(&self) -> Reply {
        let record = self.listed(Record::new().value("dry_run", Value::Bool(true)));
        Reply::said(self.said("Nothing was changed. This would happen:"), record)
    }

    /// All sentences below a first line. Whatever a name in one holds, none of its lines looks like
    /// the beginning of another.
    pub fn said(&self, head: &str) -> String {
        let mut said = head.to_owned();
        let parts = [("", &self.steps), ("\nThis would be lost:", &self.losses)];
        for (head, sentences) in parts.iter().filter(|it| !it.1.is_empty()) {
            said.push_str(head);
            for sentence in sentences.iter() {
                let mut start = "\n- ";
                for line in sentence.split('\n') {
                    said.push_str(start);
                    let line = if start == "\n- " { line } else { line.trim_start() };
                    said.extend(line.chars().map(|c| if unseen(c) { ' ' } else { c }));
                    start = "\n  ";
                }
            }
        }
        said
    }

    /// The same as fields.
    pub fn listed(&self, record: Record) -> Record {
        record.value("steps", json::texts(&self.steps)).value("losses", json::texts(&self.losses))
    }
}

/// Whether a character could make a sentence look like another one.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A change that the hypervisor has prepared, and what it is about.
pub struct Deed<'a> {
    /// The field of the answer that holds the name.
    what: &'static str,
    name: String,
    prepared: Prepared<'a>,
}

/// The plan of a change of a machine that the hypervisor has prepared; [`act`] does it.
pub fn prepared<'a>(name: &str, prepared: Prepared<'a>) -> Plan<Deed<'a>> {
    about("vm", name, prepared)
}

/// The same of something else, such as a `folder`.
pub fn about<'a>(what: &'static str, name: &str, mut prepared: Prepared<'a>) -> Plan<Deed<'a>> {
    let steps = std::mem::take(&mut prepared.steps);
    let losses = std::mem::take(&mut prepared.losses);
    let seen = std::mem::take(&mut prepared.seen);
    Plan::new(steps, seen, Deed { what, name: name.to_owned(), prepared }).losing(losses)
}

/// Does what the hypervisor has prepared.
pub fn act<'a>(ctx: &Ctx<'a>, deed: Deed<'a>) -> Result<Reply> {
    let name = deed.name;
    let done = deed.prepared.run(&ctx.call).map_err(|error| error.during(format!("`{name}`")))?;
    let record = Record::new().text(deed.what, &name).texts("done", &done);
    Ok(Reply::said(format!("{name}: {}", done.join("; ")), record))
}

/// `change!(plan, act)`: the two functions of a changing tool as one row entry.
#[macro_export]
macro_rules! change {
    ($plan:path, $act:path) => {
        $crate::tools::Run::Change(|ctx, args| $plan(ctx, args).map(|plan| plan.ready($act)))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_can_begin_a_line_of_a_plan() {
        let step = "`a\nThis would be lost:\r- \u{202e}gnihton` is deleted".to_owned();
        let plan = Plan::new(vec![step], "", ()).losing(vec!["`b\u{2028}c`".to_owned()]);
        let said = plan.ready(|_, ()| Err(crate::error::Error::bug("not done"))).said("Look:");
        let shown = "Look:\n- `a\n  This would be lost: -  gnihton` is deleted\nThis would be lost:\n- `b c`";
        assert_eq!(said, shown);
    }
}
