//! A guest as JSON and back, for the state file.
//!
//! Only what differs from a fresh install is written: a guest nobody touched is a few hundred bytes.
//! Content that is no UTF-8 is base64. Reading trusts nothing and has the bounds of running.

use crate::sim::guest::Guest;
use crate::sim::guest::programs::Process;
use crate::sim::guest::tree::ACTS;
use crate::sim::guest::tree::Body;
use crate::sim::guest::tree::Change;
use crate::sim::guest::tree::Node;
use crate::text::base64;
use crate::text::json;
use crate::text::json::Array;
use crate::text::json::Value;

/// Bytes as a text, with a letter before it that tells how.
fn packed(bytes: &[u8]) -> Value {
    json::text(match std::str::from_utf8(bytes) {
        Ok(text) => format!("t{text}"),
        Err(_) => format!("b{}", base64::encode(bytes)),
    })
}

fn unpacked(text: &str) -> Option<Vec<u8>> {
    match text.split_at_checked(1)? {
        ("t", text) => Some(text.as_bytes().to_vec()),
        ("b", text) => base64::decode(text),
        _ => None,
    }
}

fn number(value: u64) -> Value {
    json::int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The items of a row, read one after the other.
struct Row<'a>(std::slice::Iter<'a, Value>);

impl<'a> Row<'a> {
    fn of(value: &'a Value) -> Option<Row<'a>> {
        match value {
            Value::Array(items) => Some(Row(items.iter())),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        match self.0.next()? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn int(&mut self) -> Option<i64> {
        json::as_int(self.0.next()?)
    }

    fn large(&mut self) -> Option<u64> {
        u64::try_from(self.int()?).ok()
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.int()?).ok()
    }

    fn rows(&mut self) -> Option<Row<'a>> {
        Row::of(self.0.next()?)
    }
}

/// A row of texts and of numbers behind them.
fn row(texts: &[&str], numbers: &[u64]) -> Array {
    let mut all = Array::new();
    for text in texts {
        all.push(json::text(*text));
    }
    for it in numbers {
        all.push(number(*it));
    }
    all
}

fn node(it: &Node) -> Value {
    let (kind, content) = match &it.body {
        Body::Directory => (0, json::text("t")),
        Body::File(bytes) => (1, packed(bytes)),
        Body::Link(target) => (2, packed(target.as_bytes())),
    };
    let mut all = row(&[&it.path], &[kind, it.owner.into(), it.mode.into(), it.changed]);
    all.push(content);
    Value::Array(all)
}

fn read_node(row: &mut Row<'_>) -> Option<Node> {
    let (path, kind) = (row.text()?.to_owned(), row.int()?);
    let (owner, mode, changed) = (row.small()?, row.small()?, row.large()?);
    let content = unpacked(row.text()?)?;
    let body = match kind {
        0 => Body::Directory,
        1 => Body::File(content),
        _ => Body::Link(String::from_utf8(content).ok()?),
    };
    Some(Node { path, owner, mode, changed, body })
}

fn change(it: &Change) -> Value {
    let act = ACTS.iter().position(|act| *act == it.act).unwrap_or_default();
    let mut all = row(&[], &[it.at, it.user.into(), u64::try_from(act).unwrap_or(0)]);
    all.push(json::text(&it.path));
    all.push(packed(&it.data));
    Value::Array(all)
}

fn read_change(row: &mut Row<'_>) -> Option<Change> {
    let (at, user) = (row.large()?, row.small()?);
    let act = *ACTS.get(usize::try_from(row.int()?).ok()?)?;
    Some(Change { at, user, act, path: row.text()?.to_owned(), data: unpacked(row.text()?)? })
}

fn process(it: &Process) -> Value {
    let mut all = row(&[&it.owner, &it.name, &it.line], &[]);
    let ends = it.ends.map_or(-1, |it| i64::try_from(it).unwrap_or(i64::MAX));
    let started = i64::try_from(it.started).unwrap_or(i64::MAX);
    for number in [it.pid, started, ends, it.code.into(), it.ours.into()] {
        all.push(json::int(number));
    }
    let mut pending = Array::new();
    it.pending.iter().for_each(|it| pending.push(change(it)));
    all.push(Value::Array(pending));
    Value::Array(all)
}

fn read_process(row: &mut Row<'_>) -> Option<Process> {
    let mut it = Process {
        owner: row.text()?.to_owned(),
        name: row.text()?.to_owned(),
        line: row.text()?.to_owned(),
        pid: row.int()?,
        started: row.large()?,
        ends: u64::try_from(row.int()?).ok(),
        code: i32::try_from(row.int()?).ok()?,
        ours: row.int()? == 1,
        pending: Vec::new(),
    };
    for change in row.rows()?.0 {
        it.pending.push(read_change(&mut Row::of(change)?)?);
    }
    Some(it)
}

impl Guest {
    /// All that is to be kept, as one JSON object.
    pub fn save(&self) -> json::Object {
        let fresh = Guest::installed(&self.hostname, self.is_windows());
        let kept = |own: &Guest, it: &Node| own.tree.find(0, &it.path, false) == Ok(it);
        let (mut gone, mut files, mut processes) = (Array::new(), Array::new(), Array::new());
        for it in self.tree.nodes().filter(|it| !kept(&fresh, it)) {
            files.push(node(it));
        }
        let there = |it: &Node| self.tree.find(0, &it.path, false).is_ok();
        for it in fresh.tree.nodes().filter(|it| !there(it)) {
            gone.push(json::text(&it.path));
        }
        self.processes.iter().for_each(|it| processes.push(process(it)));
        let counts = row(&[], &[self.now, self.booted, self.serial.into()]);
        json::object([
            ("hostname", json::text(&self.hostname)),
            ("address", json::text(&self.address)),
            ("windows", Value::Bool(self.is_windows())),
            ("counts", Value::Array(counts)),
            ("gone", Value::Array(gone)),
            ("files", Value::Array(files)),
            ("processes", Value::Array(processes)),
        ])
    }

    /// The guest that was kept; nothing if the text is not one of ours or beyond the bounds.
    pub fn load(kept: &json::Object) -> Option<Guest> {
        let windows = matches!(kept.get("windows"), Some(Value::Bool(true)));
        let mut guest = Guest::installed(json::get_text(kept, "hostname")?, windows);
        guest.set_address(json::get_text(kept, "address")?);
        let mut counts = Row::of(kept.get("counts")?)?;
        (guest.now, guest.booted, guest.serial) =
            (counts.large()?, counts.large()?, counts.small()?);
        let mut gone = Row::of(kept.get("gone")?)?;
        while let Some(path) = gone.text() {
            guest.tree.forget(path);
        }
        for row in Row::of(kept.get("files")?)?.0 {
            guest.tree.insert(read_node(&mut Row::of(row)?)?).ok()?;
        }
        guest.processes.clear();
        for row in Row::of(kept.get("processes")?)?.0 {
            guest.processes.push(read_process(&mut Row::of(row)?)?);
        }
        guest.processes.truncate(crate::sim::guest::programs::MOST_PROCESSES);
        Some(guest)
    }
}
