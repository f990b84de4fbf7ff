//! What the system asks of the process: to end, and to end at once.
//!
//! Surprising: a thread waits for signals and nothing is done in a handler, so that what they lead to
//! may take locks and time.

use async_signal::{Signal, Signals};
use smol::stream::StreamExt as _;

use crate::error::{Error, Kind, Result};
use crate::threads;

/// Runs `then` on a thread of its own when the system asks this process to end. Asked once more,
/// the process ends at once: whoever insists must not have to reach for SIGKILL.
pub fn on_signal(then: impl FnOnce(i32) + Send + 'static) -> Result<()> {
    on_signals(None, Box::new(then))
}

/// The same; where there is something to do for SIGHUP, that does not end anything.
pub fn on_signals(
    mut hangup: Option<Box<dyn FnMut() + Send>>,
    then: Box<dyn FnOnce(i32) + Send>,
) -> Result<()> {
    let unable = |error: std::io::Error| {
        Error::new(Kind::Bug, format!("signals cannot be watched: {error}"))
    };
    let wanted = [Signal::Term, Signal::Int, Signal::Hup];
    let mut signals = Signals::new(wanted).map_err(unable)?;
    let watch = Box::new(move || {
        let mut then = Some(then);
        while let Some(Ok(signal)) = smol::block_on(signals.next()) {
            match (&mut hangup, then.take()) {
                (Some(hangup), again) if matches!(signal, Signal::Hup) => {
                    hangup();
                    then = again;
                }
                (_, Some(then)) => then(signal as i32),
                (_, None) => {
                    let note = "jumpvisor: ended at once, without logging out; what was begun may go on on the server\n";
                    let _ = std::io::Write::write_all(&mut std::io::stderr(), note.as_bytes());
                    #[allow(
                        clippy::exit,
                        reason = "threads that hang cannot be ended in any other way"
                    )]
                    std::process::exit(128 + signal as i32);
                }
            }
        }
    });
    threads::begin("signals", watch).map_err(unable)?;
    Ok(())
}
