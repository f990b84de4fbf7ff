//! Work whose turn has come on the pool, whatever carries its answer.
//!
//! Surprising: it also runs where there was no room for it, because only it knows how to refuse.

use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::mcp::link::Deed;
use crate::mcp::pool::Fate;
use crate::mcp::progress;
use crate::mcp::rpc::Answer;
use crate::mcp::tasks::Task;
use crate::mcp::work::Work;
use crate::tools::run::Caller;

/// The request that work is done for.
pub trait Open: Send + Sync + 'static {
    /// Hears what the work is, as it begins.
    fn begins(&self, deed: Deed);
    /// Sends a report to the client, a message without newline, if the request is still open.
    fn report(&self, message: &str);
    /// What it becomes if it takes long.
    fn task(&self) -> Option<&Arc<Task>>;
}

/// Runs it for `open`, or refuses it where it found no room or was cancelled before it began.
pub fn take(work: Work, fate: Fate, mut caller: Caller, open: &Arc<impl Open>) -> Answer {
    if fate == Fate::Full {
        return work.refuse(
            &Error::new(Kind::Busy, "too many calls at once")
                .hint("Wait for some of them to end, then try again"),
        );
    }
    if caller.cancel.is_cancelled() {
        return work
            .refuse(&Error::new(Kind::Cancelled, "jumpvisor is ending; this was not begun"));
    }
    open.begins(work.deed());
    let token = work.progress_token().cloned();
    if let Some(task) = open.task().cloned() {
        caller.goes = Some(Arc::new(move || task.agreed()));
    }
    if token.is_some() || open.task().is_some() {
        let open = open.clone();
        caller = caller.watched_by(Some(progress::watcher(move |it| {
            if let Some(task) = open.task() {
                task.note(it.percent, it.note);
            }
            if let Some(token) = token.as_ref().filter(|_| it.rises) {
                open.report(&progress::notification(token, it.percent, it.note));
            }
        })));
    }
    work.run(caller)
}
