//! Who asked for what, and how it ended: one JSON line a call.
//!
//! Arguments come here without their secrets already; nothing here looks into them. A line that
//! cannot be written is reported in the log, and where the configuration demands it, changes stop.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::text::json;
use crate::text::json::{Number, Object, Value};
use crate::text::time;

/// Where the lines go.
pub enum Sink {
    /// Nowhere: a person at the command line sees what happens.
    Nowhere,
    Stderr,
    /// Appended to; made with mode 0600 if it is not there.
    File(PathBuf),
}

/// The trail of one process.
pub struct Audit {
    sink: Sink,
    open: Mutex<Option<File>>,
    required: bool,
}

impl Audit {
    /// With `required`, changes are refused while lines cannot be written.
    pub fn new(sink: Sink, required: bool) -> Audit {
        Audit { sink, open: Mutex::new(None), required }
    }

    /// Asked before every change: where the log is required, the beginning is written too, and
    /// without that line the change does not happen.
    pub fn begin(&self, entry: &Entry) -> Result<()> {
        if !self.required {
            return Ok(());
        }
        let mut started = entry.0.clone();
        started.insert("event".to_owned(), json::text("STARTED"));
        self.append(&format!("{}\n", json::write_object(&started))).map_err(|why| {
            Error::new(
                Kind::Unsupported,
                format!("the audit log cannot be written ({why}), and changes need it"),
            )
            .hint("Make room or mend AUDIT_LOG, or set AUDIT_REQUIRED=false")
        })
    }

    /// Writes one line.
    pub fn write(&self, entry: Entry) {
        let line = format!("{}\n", json::write_object(&entry.0));
        if let Err(why) = self.append(&line) {
            log::error!("an audit line could not be written: {why}; it was: {}", line.trim_end());
        }
    }

    fn append(&self, line: &str) -> std::io::Result<()> {
        match &self.sink {
            Sink::Nowhere => Ok(()),
            Sink::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Sink::File(path) => {
                let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
                if open.is_none() {
                    *open = Some(open_private(path)?);
                }
                let result = match open.as_mut() {
                    Some(file) => file.write_all(line.as_bytes()),
                    None => Ok(()),
                };
                if result.is_err() {
                    // A log that was moved or a disk that was full may be well the next time.
                    *open = None;
                }
                result
            }
        }
    }
}

fn open_private(path: &PathBuf) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// One line in the making.
pub struct Entry(Object);

impl Entry {
    /// A call that begins now.
    pub fn new(correlation: &str, user: &str, tool: &str) -> Entry {
        Entry(json::object([
            ("timestamp", json::text(time::now())),
            ("correlation_id", json::text(correlation)),
            ("user", json::text(user)),
            ("groups", Value::Array(json::Array::new())),
            ("tool", json::text(tool)),
        ]))
    }

    /// The groups by which the caller has his rights.
    pub fn of_groups(&mut self, groups: &[String]) {
        self.0.insert("groups".to_owned(), json::texts(groups));
    }

    /// Marks the line with what befell the call, and with a further field.
    pub fn event(&mut self, event: &str, field: &str, value: &str) {
        self.0.insert("event".to_owned(), json::text(event));
        self.0.insert(field.to_owned(), json::text(value));
    }

    /// The same line so far, for something that befalls the call on its way.
    pub fn meanwhile(&self, event: &str) -> Entry {
        let mut line = self.0.clone();
        line.insert("timestamp".to_owned(), json::text(time::now()));
        line.insert("event".to_owned(), json::text(event));
        Entry(line)
    }

    /// Which server, and the arguments without their secrets.
    pub fn about(&mut self, host: Option<&str>, args: Object) {
        if let Some(host) = host {
            self.0.insert("host".to_owned(), json::text(host));
        }
        self.0.insert("args".to_owned(), Value::Object(args));
    }

    /// How it ended, now; `error` also where only part of it failed.
    pub fn ended(mut self, took: Duration, error: Option<String>) -> Entry {
        self.0.insert("timestamp".to_owned(), json::text(time::now()));
        let millis = (took.as_secs_f64() * 100_000.0).round() / 100.0;
        self.0.insert("duration_ms".to_owned(), Value::Number(Number::F64(millis)));
        let result = if error.is_some() { "error" } else { "success" };
        self.0.insert("result".to_owned(), json::text(result));
        if let Some(error) = error {
            self.0.insert("error".to_owned(), json::text(error));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        let mut entry = Entry::new("0123", "ryan", "power_on");
        entry.about(Some("esx1"), json::object([("name", json::text("web"))]));
        entry.ended(Duration::from_micros(1_234_560), None)
    }

    #[test]
    fn a_line_has_the_promised_fields() {
        let line = json::write_object(&entry().0);
        for part in [
            r#""correlation_id":"0123""#,
            r#""user":"ryan""#,
            r#""host":"esx1""#,
            r#""args":{"name":"web"}"#,
            r#""duration_ms":1234.56"#,
            r#""result":"success""#,
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn the_end_has_its_own_time() {
        let mut entry = Entry::new("0123", "ryan", "power_on");
        entry.0.insert("timestamp".to_owned(), json::text("then"));
        let ended = entry.ended(Duration::ZERO, Some("2 of 4 failed".to_owned()));
        let line = json::write_object(&ended.0);
        assert!(line.contains(r#""error":"2 of 4 failed""#) && !line.contains("then"), "{line}");
    }

    #[test]
    fn a_full_disk_stops_changes_only_where_the_log_is_required() {
        let full = |required| Audit::new(Sink::File("/dev/full".into()), required);
        assert!(full(false).begin(&entry()).is_ok());
        assert!(full(false).append("x").is_err());
        let said = full(true).begin(&entry()).unwrap_err().to_string();
        assert!(said.contains("cannot be written") && said.contains("AUDIT_REQUIRED"), "{said}");
    }
}
