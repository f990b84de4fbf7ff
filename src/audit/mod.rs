//! Who asked for what, and how it ended: one JSON line a call, to one sink or several.
//!
//! Arguments come here without their secrets already; nothing here looks into them. A line that
//! cannot be written is counted and reported in the log, and where the configuration demands it,
//! changes stop.

mod file;
mod journal;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::audit::file::Trail;
use crate::audit::journal::Journal;
use crate::error::{Error, Kind, Result};
use crate::text::json;
use crate::text::json::{Number, Object, Value};
use crate::text::time;

pub use crate::audit::file::{KEPT, LARGEST};

/// Where the journal listens.
pub const JOURNAL: &str = "/run/systemd/journal/socket";

/// Between two reports of lines that cannot be written.
const QUIET: Duration = Duration::from_secs(10);

/// Where the lines go.
pub enum Sink {
    /// Nowhere: a person at the command line sees what happens.
    Nowhere,
    Stderr,
    /// Appended to; made with mode 0600 if it is not there.
    File(PathBuf),
    /// The journal, at its socket: [`JOURNAL`] anywhere but in tests.
    Journal(PathBuf),
    /// Each line to each of them.
    Several(Vec<Sink>),
}

/// The trail of one process.
pub struct Audit {
    places: Vec<Place>,
    required: bool,
}

/// One sink, and how well it does.
struct Place {
    way: Way,
    lost: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why the last line was not written, if it was not.
    trouble: Option<String>,
    told: Option<Instant>,
}

enum Way {
    Stderr,
    File(Trail),
    Journal(Journal),
}

impl Audit {
    /// With `required`, changes are refused while a line cannot be written to each sink.
    pub fn new(sink: Sink, required: bool) -> Audit {
        let mut places = Vec::new();
        add(&mut places, sink, LARGEST);
        Audit { places, required }
    }

    /// A file that is put aside at another size, for tests.
    pub fn rotated_at(path: PathBuf, bytes: u64) -> Audit {
        let mut places = Vec::new();
        add(&mut places, Sink::File(path), bytes);
        Audit { places, required: false }
    }

    /// Asked before every change: where the log is required, the beginning is written too, and
    /// without that line the change does not happen.
    pub fn begin(&self, entry: &Entry) -> Result<()> {
        if !self.required {
            return Ok(());
        }
        let mut started = entry.0.clone();
        started.insert("event".to_owned(), json::text("STARTED"));
        match self.append(&started) {
            None => Ok(()),
            Some(why) => Err(Error::new(
                Kind::Unsupported,
                format!("the audit log cannot be written ({why}), and changes need it"),
            )
            .hint("Make room or mend AUDIT_LOG, or set AUDIT_REQUIRED=false")),
        }
    }

    /// Writes one line.
    pub fn write(&self, entry: Entry) {
        self.append(&entry.0);
    }

    /// Lets go of open files: they were moved.
    pub fn reopen(&self) {
        for place in &self.places {
            if let Way::File(trail) = &place.way {
                trail.reopen();
            }
        }
    }

    /// Lines that were not written, by the sort of the sink.
    pub fn lost(&self) -> Vec<(&'static str, u64)> {
        let mut all: Vec<(&'static str, u64)> = Vec::new();
        for place in &self.places {
            let lost = place.lost.load(Ordering::Relaxed);
            match all.iter_mut().find(|it| it.0 == place.word()) {
                Some(known) => known.1 += lost,
                None => all.push((place.word(), lost)),
            }
        }
        all
    }

    /// Why lines are not written now, if they are not.
    pub fn trouble(&self) -> Option<String> {
        self.places.iter().find_map(|it| it.state().trouble.clone())
    }

    /// Whether a line is written without waiting for anybody, as far as that is known.
    pub fn is_quick(&self) -> bool {
        self.places.iter().all(|it| it.is_quick())
    }

    /// Tries every sink without writing a line or making a file; each with what is wrong with it.
    pub fn tried(&self) -> Vec<(String, Option<String>)> {
        let tried = |it: &Place| {
            let result = match &it.way {
                Way::Stderr => Ok(()),
                Way::File(trail) => trail.tried(),
                Way::Journal(journal) => journal.tried(),
            };
            (it.shown(), result.err().map(|why| why.to_string()))
        };
        self.places.iter().map(tried).collect()
    }

    /// Writes a line to each sink; why one of them did not take it.
    fn append(&self, line: &Object) -> Option<String> {
        if self.places.is_empty() {
            return None;
        }
        let text = format!("{}\n", json::write_object(line));
        self.places.iter().fold(None, |failed, it| it.append(line, &text).or(failed))
    }
}

fn add(to: &mut Vec<Place>, sink: Sink, largest: u64) {
    let way = match sink {
        Sink::Nowhere => return,
        Sink::Several(all) => return all.into_iter().for_each(|it| add(to, it, largest)),
        Sink::Stderr => Way::Stderr,
        Sink::File(path) => Way::File(Trail::new(path, largest)),
        Sink::Journal(socket) => Way::Journal(Journal::new(socket)),
    };
    to.push(Place { way, lost: AtomicU64::new(0), state: Mutex::default() });
}

impl Place {
    fn word(&self) -> &'static str {
        match &self.way {
            Way::Stderr => "stderr",
            Way::File(_) => "file",
            Way::Journal(_) => "journal",
        }
    }

    fn shown(&self) -> String {
        match &self.way {
            Way::File(trail) => shown(trail.path()),
            _ => self.word().to_owned(),
        }
    }

    fn is_quick(&self) -> bool {
        match &self.way {
            // Others hold its lock for one write.
            Way::File(_) => true,
            Way::Journal(_) => false,
            // It may be a pipe that nobody reads.
            Way::Stderr => {
                let stderr = std::io::stderr();
                let mut wanted = [PollFd::new(&stderr, PollFlags::OUT)];
                matches!(poll(&mut wanted, Some(&Timespec::default())), Ok(1))
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, line: &Object, text: &str) -> Option<String> {
        let result = match &self.way {
            Way::Stderr => std::io::stderr().write_all(text.as_bytes()),
            Way::File(trail) => trail.append(text.as_bytes()),
            Way::Journal(journal) => journal.send(line, text.trim_end()),
        };
        let mut state = self.state();
        let Err(why) = result else {
            if state.trouble.take().is_some() {
                let lost = self.lost.load(Ordering::Relaxed);
                log::warn!("audit lines go to {} again; {lost} were lost", self.shown());
                state.told = None;
            }
            return None;
        };
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        let why = format!("{}: {why}", self.shown());
        state.trouble = Some(why.clone());
        if state.told.is_none_or(|it| it.elapsed() >= QUIET) {
            state.told = Some(Instant::now());
            log::error!(
                "an audit line could not be written to {why}; it was: {}; {lost} lost so far",
                text.trim_end()
            );
        }
        Some(why)
    }
}

fn shown(path: &Path) -> String {
    crate::error::quoted(&path.to_string_lossy())
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

    /// Which server, and the arguments without their secrets.
    pub fn about(&mut self, host: Option<&str>, args: Object) {
        if let Some(host) = host {
            self.0.insert("host".to_owned(), json::text(host));
        }
        self.0.insert("args".to_owned(), Value::Object(args));
    }

    /// It was not allowed, now; `level` is the permission that it takes.
    pub fn denied(mut self, level: &str) -> Entry {
        self.0.insert("timestamp".to_owned(), json::text(time::now()));
        self.0.insert("required_permission".to_owned(), json::text(level));
        self.0.insert("event".to_owned(), json::text("PERMISSION_DENIED"));
        self
    }

    /// The same line so far, for something that befalls the call on its way.
    pub fn meanwhile(&self, event: &str) -> Entry {
        let mut line = Entry(self.0.clone());
        line.add("timestamp", json::text(time::now()));
        line.add("event", json::text(event));
        line
    }

    /// One more field.
    pub fn add(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
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
        entry.of_groups(&["ops".to_owned()]);
        entry.about(Some("esx1"), json::object([("name", json::text("web"))]));
        entry.ended(Duration::from_micros(1_234_560), None)
    }

    #[test]
    fn a_line_has_the_promised_fields() {
        let line = json::write_object(&entry().0);
        for part in [
            r#""correlation_id":"0123""#,
            r#""user":"ryan""#,
            r#""groups":["ops"]"#,
            r#""host":"esx1""#,
            r#""args":{"name":"web"}"#,
            r#""duration_ms":1234.56"#,
            r#""result":"success""#,
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }

    #[test]
    fn a_denial_names_what_it_takes_and_has_no_result() {
        let mut entry = Entry::new("1", "guest", "delete_vm");
        entry.event("PERMISSION_DENIED", "required_permission", "full_admin");
        let line = json::write_object(&entry.0);
        for part in
            [r#""event":"PERMISSION_DENIED""#, r#""required_permission":"full_admin""#, "delete_vm"]
        {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("result") && !line.contains("duration"), "{line}");
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
        let (lax, strict) = (full(false), full(true));
        assert!(lax.begin(&entry()).is_ok());
        lax.write(entry());
        lax.write(entry());
        assert_eq!(lax.lost(), [("file", 2)]);
        assert!(lax.trouble().is_some_and(|it| it.contains("/dev/full: No space")));
        let said = strict.begin(&entry()).unwrap_err().to_string();
        assert!(said.contains("cannot be written") && said.contains("AUDIT_REQUIRED"), "{said}");
    }

    #[test]
    fn one_sink_that_fails_is_enough_to_stop_changes_and_no_other_misses_a_line() {
        let folder = std::env::temp_dir().join(format!("jv-audit-two-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.jsonl");
        let sinks = vec![Sink::File("/dev/full".into()), Sink::File(path.clone())];
        let audit = Audit::new(Sink::Several(sinks), true);
        assert!(audit.begin(&entry()).is_err());
        audit.write(entry());
        assert_eq!(audit.lost(), [("file", 2)]);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!((text.lines().count(), text.contains("STARTED")), (2, true));
    }
}
