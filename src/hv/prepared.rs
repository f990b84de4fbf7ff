//! A change that is understood but not done: what will happen, what would be lost, and the deed.
//!
//! Preparing reads and never changes, so that a dry run or a person's consent can stand between.

use crate::error::Result;
use crate::hv::call::Call;

type Deed<'a> = Box<dyn FnOnce(&Call) -> Result<Vec<String>> + Send + 'a>;

/// A change that waits to be run.
pub struct Prepared<'a> {
    /// What will happen, in order, one plain sentence each.
    pub steps: Vec<String>,
    /// What would be lost for good.
    pub losses: Vec<String>,
    /// The state that this was planned on; a different one makes the plan void.
    pub seen: String,
    deed: Deed<'a>,
}

impl<'a> Prepared<'a> {
    /// `deed` returns what was done, one sentence each.
    pub fn new(
        steps: Vec<String>,
        seen: impl Into<String>,
        deed: impl FnOnce(&Call) -> Result<Vec<String>> + Send + 'a,
    ) -> Prepared<'a> {
        Prepared { steps, losses: Vec::new(), seen: seen.into(), deed: Box::new(deed) }
    }

    /// A change that already holds: running it does nothing and says so.
    pub fn already(what: impl Into<String>) -> Prepared<'a> {
        let what: String = what.into();
        let said = what.clone();
        Prepared::new(vec![what], "", move |_| Ok(vec![said]))
    }

    /// The same change, with what it would lose.
    pub fn losing(mut self, losses: Vec<String>) -> Prepared<'a> {
        self.losses = losses;
        self
    }

    /// The same change, whose outcome `then` looks at: it may go on, add a word or explain.
    pub fn then(
        self,
        then: impl FnOnce(&Call, Result<Vec<String>>) -> Result<Vec<String>> + Send + 'a,
    ) -> Prepared<'a> {
        let Prepared { steps, losses, seen, deed } = self;
        let deed = Box::new(move |call: &Call| then(call, deed(call)));
        Prepared { steps, losses, seen, deed }
    }

    /// Does it.
    pub fn run(self, call: &Call) -> Result<Vec<String>> {
        (self.deed)(call)
    }
}
