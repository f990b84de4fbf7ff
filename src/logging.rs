//! The log: lines on standard error, ours from the chosen level on, libraries' from warnings on.
//!
//! Standard output belongs to answers. What a layer logs holds no secret, and the level below
//! debug, at which the HTTP client would print every byte, is compiled out.

use std::io::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("jumpvisor") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let now = crate::text::time::now();
            let line = format!("{now} {} {}\n", record.level(), record.args());
            // Where even standard error is gone there is nobody left to tell.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Starts the log; a second start only changes the level.
pub fn start(level: LevelFilter) {
    static SINK: Stderr = Stderr;
    let _ = log::set_logger(&SINK);
    log::set_max_level(level);
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
        log::error!("a defect at {place}: {}", crate::error::quoted(&info.to_string()));
    }));
}
