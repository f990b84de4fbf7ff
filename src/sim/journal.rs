//! `--state FILE`: every change that was made, as the requests that made it, one JSON line each.
//!
//! At the next start they are made again, each at its time, and the world is as it was: its ids come
//! from a counter and its clock is its own. It must not know what a request means. Surprising: of a
//! large upload only the beginning is kept, as the world itself keeps no more; and passwords typed to
//! simulated guests stand here, so the file is for its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;

use crate::error::{Error, Result};
use crate::sim::clock::Moment;
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Object, Value};

/// What a file may hold.
const MOST: u64 = 16 << 20;
/// What is kept of one body.
pub const BODY: usize = 1 << 20;
/// Headers without which a request means something else.
const HEADERS: &[&str] =
    &["authorization", "content-type", "overwrite", "soapaction", "vmware-api-session-id"];

/// Which world the changes were made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// When it began.
    pub start: Moment,
    /// A vCenter.
    pub vcenter: bool,
    /// Plain machines instead of the dozen.
    pub machines: Option<u32>,
}

/// Something that changed the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub at: Moment,
    /// What came.
    pub input: Input,
}

/// What changed the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A request of this user; empty without a session.
    Request {
        /// Who sent it.
        user: String,
        /// `POST` and so on.
        method: String,
        /// Path and query.
        target: String,
        /// Those that matter.
        headers: Vec<(String, String)>,
        /// The beginning of its body.
        body: Vec<u8>,
        /// Bytes behind that, which were not kept.
        more: u64,
    },
    /// Characters at a serial port: the machine, the device's key.
    Typed(u64, i64, Vec<u8>),
}

/// The file, open for what comes.
pub struct Journal {
    file: Mutex<Option<File>>,
}

impl Journal {
    /// Reads what was kept, or begins a file for a world of this origin. A change that was not
    /// written to its end is left out.
    pub fn open(path: &Path, origin: Origin) -> Result<(Journal, Origin, Vec<Change>)> {
        let wrong = |why: &str| {
            Error::usage(format!("the state file `{}` {why}", path.display()))
                .hint("Name another file, or delete this one to begin anew")
        };
        let unable = |error: std::io::Error| wrong(&format!("cannot be used: {error}"));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path).map_err(unable)?;
        if file.try_lock().is_err() {
            return Err(wrong("is used by another process"));
        }
        if file.metadata().map_err(unable)?.len() > MOST {
            return Err(wrong("is larger than the 16 MB that a state may have"));
        }
        let mut text = String::new();
        (&mut file).take(MOST).read_to_string(&mut text).map_err(unable)?;
        if text.is_empty() {
            file.write_all(head(origin).as_bytes()).map_err(unable)?;
            return Ok((Journal { file: Mutex::new(Some(file)) }, origin, Vec::new()));
        }
        let parts = text.split_once('\n');
        let read = parts.and_then(|(head, rest)| Some((head, rest, read_head(head)?)));
        let (head, rest, known) = read.ok_or_else(|| wrong("was not written by this program"))?;
        if known.vcenter != origin.vcenter {
            let kind = |vcenter| if vcenter { "a vCenter" } else { "an ESXi host" };
            let why = format!("is of {}, not of {}", kind(known.vcenter), kind(origin.vcenter));
            return Err(wrong(&why));
        }
        let mut changes = Vec::new();
        let mut whole = head.len() + 1;
        for line in rest.split_inclusive('\n') {
            match (line.ends_with('\n'), change(line.trim_end())) {
                (true, Some(it)) => changes.push(it),
                // The last line may have been cut by the end of the process.
                (false, _) => break,
                (true, None) => {
                    return Err(wrong(&format!("is broken in line {}", changes.len() + 2)));
                }
            }
            whole += line.len();
        }
        file.set_len(u64::try_from(whole).unwrap_or(0)).map_err(unable)?;
        Ok((Journal { file: Mutex::new(Some(file)) }, known, changes))
    }

    /// Adds a change; where it cannot be kept it says so once, and keeps no more.
    pub fn keep(&self, change: &Change) {
        let mut held = self.file.lock().unwrap_or_else(|broken| broken.into_inner());
        let Some(file) = held.as_mut() else { return };
        let size = file.metadata().map_or(MOST, |it| it.len());
        let line = line(change);
        let full = size + u64::try_from(line.len()).unwrap_or(MOST) > MOST;
        let failed = match full {
            true => Some("it is full (16 MB)".to_owned()),
            false => file.write_all(line.as_bytes()).err().map(|error| error.to_string()),
        };
        if let Some(why) = failed {
            log::warn!("further changes are not kept in the state file: {why}");
            *held = None;
        }
    }
}

/// The headers that are kept.
pub fn kept(headers: &[(String, String)]) -> Vec<(String, String)> {
    let wanted = |name: &str| HEADERS.iter().any(|it| it.eq_ignore_ascii_case(name));
    headers.iter().filter(|(name, _)| wanted(name)).cloned().collect()
}

/// A body that is read by somebody, with its beginning kept.
pub struct Tee<'a> {
    inner: &'a mut dyn Read,
    /// What was kept.
    pub kept: Vec<u8>,
    /// Bytes that were not.
    pub more: u64,
}

impl<'a> Tee<'a> {
    /// A body of which nothing has been read.
    pub fn new(inner: &'a mut dyn Read) -> Tee<'a> {
        Tee { inner, kept: Vec::new(), more: 0 }
    }
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let room = read.min(BODY - self.kept.len().min(BODY));
        self.kept.extend_from_slice(&buffer[..room]);
        self.more += u64::try_from(read - room).unwrap_or(0);
        Ok(read)
    }
}

/// The body again: its beginning, and zeros for the rest.
pub fn again(body: &[u8], more: u64) -> impl Read + '_ {
    Cursor::new(body).chain(std::io::repeat(0).take(more))
}

fn number(value: impl TryInto<i64>) -> Value {
    json::int(value.try_into().unwrap_or(i64::MAX))
}

fn head(origin: Origin) -> String {
    let mut all = json::object([
        ("jumpvisor", json::text("state")),
        ("start", number(origin.start)),
        ("vcenter", Value::Bool(origin.vcenter)),
    ]);
    if let Some(machines) = origin.machines {
        all.insert("vms".to_owned(), number(machines));
    }
    json::write_object(&all) + "\n"
}

fn int(object: &Object, name: &str) -> Option<i64> {
    object.get(name).and_then(json::as_int)
}

fn read_head(line: &str) -> Option<Origin> {
    let Ok(Value::Object(object)) = json::parse(line) else { return None };
    (json::get_text(&object, "jumpvisor")? == "state").then_some(())?;
    let vcenter = matches!(object.get("vcenter"), Some(Value::Bool(true)));
    let machines = int(&object, "vms").and_then(|it| it.try_into().ok());
    // From 1970 on, and no further than dates are written.
    let start = int(&object, "start").filter(|it| (0..=253_402_300_000_000).contains(it))?;
    Some(Origin { start, vcenter, machines })
}

fn line(change: &Change) -> String {
    let mut all = json::object([("at", number(change.at))]);
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    match &change.input {
        Input::Typed(machine, port, bytes) => {
            put("machine", number(*machine));
            put("port", number(*port));
            put("typed", json::text(base64::encode(bytes)));
        }
        Input::Request { user, method, target, headers, body, more } => {
            put("user", json::text(user.as_str()));
            put("method", json::text(method.as_str()));
            put("target", json::text(target.as_str()));
            let pairs = headers.iter().flat_map(|(name, value)| [name, value]);
            put("headers", json::texts(&pairs.collect::<Vec<_>>()));
            match std::str::from_utf8(body) {
                Ok(text) => put("body", json::text(text)),
                Err(_) => put("bytes", json::text(base64::encode(body))),
            }
            put("more", number(*more));
        }
    }
    json::write_object(&all) + "\n"
}

fn change(line: &str) -> Option<Change> {
    let Ok(Value::Object(object)) = json::parse(line) else { return None };
    let text = |name: &str| json::get_text(&object, name).map(str::to_owned);
    let count = |name: &str| int(&object, name).and_then(|it| u64::try_from(it).ok());
    let input = match text("typed") {
        Some(typed) => {
            Input::Typed(count("machine")?, int(&object, "port")?, base64::decode(&typed)?)
        }
        None => {
            let Some(Value::Array(all)) = object.get("headers") else { return None };
            let words: Option<Vec<String>> = all
                .iter()
                .map(|it| if let Value::String(word) = it { Some(word.clone()) } else { None })
                .collect();
            let pairs = words?.chunks_exact(2).map(|it| (it[0].clone(), it[1].clone())).collect();
            let body = match text("body") {
                Some(text) => text.into_bytes(),
                None => base64::decode(&text("bytes")?)?,
            };
            Input::Request {
                user: text("user")?,
                method: text("method")?,
                target: text("target")?,
                headers: pairs,
                body,
                more: count("more").filter(|it| *it <= 1 << 40)?,
            }
        }
    };
    Some(Change { at: int(&object, "at")?, input })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> Change {
        let input = Input::Request {
            user: "root".into(),
            method: "PUT".into(),
            target: "/folder/a?dsName=b".into(),
            headers: vec![("Overwrite".into(), "t".into())],
            body: body.to_vec(),
            more: 5,
        };
        Change { at: 7, input }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let typed = Change { at: 1, input: Input::Typed(3, 9000, b"\xff\r".to_vec()) };
        for it in [request(b"<a>\n</a>"), request(b"\xff\x00"), typed] {
            assert_eq!(change(line(&it).trim_end()), Some(it));
        }
        let origin = Origin { start: 5, vcenter: true, machines: Some(3) };
        assert_eq!(read_head(head(origin).trim_end()), Some(origin));
    }

    #[test]
    fn a_file_is_continued_and_a_cut_line_left_out() {
        let path = std::env::temp_dir().join(format!("jumpvisor-state-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let origin = Origin { start: 5, vcenter: false, machines: None };
        let (journal, ..) = Journal::open(&path, origin).unwrap();
        journal.keep(&request(b"one"));
        journal.keep(&request(b"two"));
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 4]).unwrap();
        let other = Origin { start: 77, ..origin };
        let (journal, known, changes) = Journal::open(&path, other).unwrap();
        assert_eq!((known, changes), (origin, vec![request(b"one")]));
        journal.keep(&request(b"three"));
        let error = Journal::open(&path, origin).err().unwrap();
        assert!(error.to_string().contains("is used by another process"), "{error}");
        drop(journal);
        let (_, _, changes) = Journal::open(&path, origin).unwrap();
        assert_eq!(changes.len(), 2);
        let error = Journal::open(&path, Origin { vcenter: true, ..origin }).err().unwrap();
        assert!(error.to_string().contains("is of an ESXi host, not of a vCenter"), "{error}");
        std::fs::write(&path, "something else\n").unwrap();
        assert!(Journal::open(&path, origin).is_err());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_body_is_kept_up_to_its_bound() {
        let mut long = std::io::repeat(1).take(BODY as u64 + 10);
        let mut tee = Tee::new(&mut long);
        std::io::copy(&mut tee, &mut std::io::sink()).unwrap();
        assert_eq!((tee.kept.len(), tee.more), (BODY, 10));
        let mut bytes = Vec::new();
        again(&[1, 2], 3).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 2, 0, 0, 0]);
    }
}
