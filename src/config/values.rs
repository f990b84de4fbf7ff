//! Checked values, one option at a time, as the fields of a configuration take them.
//!
//! It knows no option by what it is for. A value that is not set is its default; one that could not
//! be read was told before anybody asks here.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Audit;
use crate::config::options;
use crate::config::problem::Problems;
use crate::config::sources::Settings;
use crate::config::value;
use crate::config::value::Value;
use crate::text::secret::Secret;

/// Reads checked values of options that have one setting at most.
pub(in crate::config) struct Values<'a>(pub &'a Settings);

impl Values<'_> {
    /// What is set, or else the default.
    pub fn get(&self, name: &str) -> Option<Value> {
        let option = options::row(name)?;
        match self.0.winner(name) {
            Some(entry) => value::check(option.kind, entry.value.reveal()).ok(),
            None => value::check(option.kind, option.default?).ok(),
        }
    }

    /// Tells of a mistake where the option is set.
    pub fn complain(&self, name: &str, text: String, problems: &mut Problems) {
        if let Some(entry) = self.0.winner(name) {
            problems.add(self.0.problem(entry, text));
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Value::Flag(true)))
    }

    pub fn time(&self, name: &str) -> Duration {
        match self.get(name) {
            Some(Value::Time(time)) => time,
            _ => Duration::ZERO,
        }
    }

    pub fn count(&self, name: &str) -> usize {
        match self.get(name) {
            Some(Value::Count(count)) => usize::try_from(count).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    pub fn hidden(&self, name: &str) -> Option<Secret> {
        match self.get(name) {
            Some(Value::Hidden(secret)) => Some(secret),
            _ => None,
        }
    }

    pub fn audit(&self) -> Vec<Audit> {
        let text = self.text("AUDIT_LOG").unwrap_or_default();
        let sink = |text: &str| match text {
            "stderr" => Audit::Stderr,
            "journal" => Audit::Journal,
            path => Audit::File(PathBuf::from(path)),
        };
        value::sinks(&text).map(sink).collect()
    }

    pub fn log_level(&self) -> log::LevelFilter {
        match self.text("LOG_LEVEL").as_deref() {
            Some("DEBUG") => log::LevelFilter::Debug,
            Some("WARNING") => log::LevelFilter::Warn,
            Some("ERROR") => log::LevelFilter::Error,
            _ => log::LevelFilter::Info,
        }
    }
}
