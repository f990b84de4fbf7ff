//! Work whose turn has come on the pool, whatever carries its answer.
//!
//! Surprising: it also runs where there was no room for it, because only it knows how to refuse.

use crate::error::{Error, Kind};
use crate::mcp::link::Deed;
use crate::mcp::pool::Fate;
use crate::mcp::progress;
use crate::mcp::rpc::Answer;
use crate::mcp::work::Work;
use crate::tools::run::Caller;

/// Runs it, or refuses it where it found no room or was cancelled before it began. `begins` hears what
/// it is; `tell` gets its reports, as text without newline.
pub fn take(
    work: Work,
    fate: Fate,
    caller: Caller,
    begins: impl FnOnce(Deed),
    tell: impl Fn(&str) + Send + Sync + 'static,
) -> Answer {
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
    begins(work.deed());
    let watcher = work.progress_token().cloned().map(|token| progress::watcher(token, tell));
    work.run(caller.watched_by(watcher))
}
