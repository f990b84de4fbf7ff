//! The log: lines on standard error, ours from the chosen level on, libraries' from warnings on.
//!
//! Standard output belongs to answers. What a layer logs holds no secret. Surprising: the facade is
//! compiled out below warnings, for libraries' words there are never shown but weigh much, and the
//! HTTP client would print every byte. So our own go past it, by `info!` and `debug!` of this file.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::text::json;

static AS_JSON: AtomicBool = AtomicBool::new(false);

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("jumpvisor") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            write(record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

fn write(level: Level, target: &str, text: &fmt::Arguments<'_>) {
    let now = crate::text::time::now();
    let line = match is_json() {
        true => {
            let mut line = json::object([
                ("timestamp", json::text(now)),
                ("level", json::text(level.as_str())),
                ("message", json::text(text.to_string())),
            ]);
            if !target.is_empty() {
                line.insert("target".to_owned(), json::text(target));
            }
            format!("{}\n", json::write_object(&line))
        }
        false => format!("{now} {level} {text}\n"),
    };
    // Where even standard error is gone there is nobody left to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Writes a line if the log has been started with this level; what the macros below say.
pub fn tell(level: Level, text: fmt::Arguments<'_>) {
    if level <= log::max_level() {
        write(level, "", &text);
    }
}

/// What an admin may want to know of a day that went well.
macro_rules! info {
    ($($it:tt)*) => { $crate::logging::tell(log::Level::Info, format_args!($($it)*)) };
}

/// What helps when something is looked for.
macro_rules! debug {
    ($($it:tt)*) => { $crate::logging::tell(log::Level::Debug, format_args!($($it)*)) };
}

pub(crate) use debug;
pub(crate) use info;

/// From now on each line is a JSON object: timestamp, level, message, and the target of what comes
/// by the facade.
pub fn as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// Whether it is.
pub fn is_json() -> bool {
    AS_JSON.load(Ordering::Relaxed)
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
