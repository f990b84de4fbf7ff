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

fn number(value: impl TryInto<i64>) -> Value {
    json::int(value.try_into().unwrap_or(i64::MAX))
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

    fn int<T: TryFrom<i64>>(&mut self) -> Option<T> {
        T::try_from(json::as_int(self.0.next()?)?).ok()
    }

    fn rows(&mut self) -> Option<Row<'a>> {
        Row::of(self.0.next()?)
    }
}

fn array(items: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(items.into_iter().collect::<Array>())
}

fn node(it: &Node) -> Value {
    let (kind, content) = match &it.body {
        Body::Directory => (0, json::text("t")),
        Body::File(bytes) => (1, packed(bytes)),
        Body::Link(target) => (2, packed(target.as_bytes())),
    };
    let path = json::text(&it.path);
    array([path, json::int(kind), number(it.owner), number(it.mode), number(it.changed), content])
}

fn read_node(row: &mut Row<'_>) -> Option<Node> {
    let (path, kind) = (row.text()?.to_owned(), row.int::<u8>()?);
    let (owner, mode, changed) = (row.int()?, row.int()?, row.int()?);
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
    let (path, data) = (json::text(&it.path), packed(&it.data));
    array([number(it.at), number(it.user), number(act), path, data])
}

fn read_change(row: &mut Row<'_>) -> Option<Change> {
    let (at, user, act) = (row.int()?, row.int()?, *ACTS.get(row.int::<usize>()?)?);
    Some(Change { at, user, act, path: row.text()?.to_owned(), data: unpacked(row.text()?)? })
}

fn process(it: &Process) -> Value {
    let ends = it.ends.map_or(json::int(-1), number);
    let texts = [&it.owner, &it.name, &it.line].map(json::text);
    let numbers =
        [number(it.pid), number(it.started), ends, number(it.code), number(u8::from(it.ours))];
    let pending = array(it.pending.iter().map(change));
    array(texts.into_iter().chain(numbers).chain([pending]))
}

fn read_process(row: &mut Row<'_>) -> Option<Process> {
    Some(Process {
        owner: row.text()?.to_owned(),
        name: row.text()?.to_owned(),
        line: row.text()?.to_owned(),
        pid: row.int()?,
        started: row.int()?,
        ends: u64::try_from(row.int::<i64>()?).ok(),
        code: row.int()?,
        ours: row.int::<u8>()? == 1,
        pending: row.rows()?.0.map(|it| read_change(&mut Row::of(it)?)).collect::<Option<_>>()?,
    })
}

impl Guest {
    /// All that is to be kept, as one JSON object.
    pub fn save(&self) -> json::Object {
        let fresh = Guest::installed(&self.hostname, self.is_windows());
        let kept = |own: &Guest, it: &Node| own.tree.find(0, &it.path, false) == Ok(it);
        let changed = self.tree.nodes().filter(|it| !kept(&fresh, it));
        let there = |it: &Node| self.tree.find(0, &it.path, false).is_ok();
        let gone = fresh.tree.nodes().filter(|it| !there(it));
        let counts = [number(self.now), number(self.booted), number(self.serial)];
        json::object([
            ("hostname", json::text(&self.hostname)),
            ("address", json::text(&self.address)),
            ("windows", Value::Bool(self.is_windows())),
            ("counts", array(counts)),
            ("gone", array(gone.map(|it| json::text(&it.path)))),
            ("files", array(changed.map(node))),
            ("processes", array(self.processes.iter().map(process))),
        ])
    }

    /// The guest that was kept; nothing if the text is not one of ours or beyond the bounds.
    pub fn load(kept: &json::Object) -> Option<Guest> {
        let windows = matches!(kept.get("windows"), Some(Value::Bool(true)));
        let mut guest = Guest::installed(json::get_text(kept, "hostname")?, windows);
        guest.set_address(json::get_text(kept, "address")?);
        let mut counts = Row::of(kept.get("counts")?)?;
        (guest.now, guest.booted, guest.serial) = (counts.int()?, counts.int()?, counts.int()?);
        let mut gone = Row::of(kept.get("gone")?)?;
        while let Some(path) = gone.text() {
            guest.tree.forget(path);
        }
        for row in Row::of(kept.get("files")?)?.0 {
            guest.tree.insert(read_node(&mut Row::of(row)?)?).ok()?;
        }
        let processes = Row::of(kept.get("processes")?)?.0;
        guest.processes =
            processes.map(|it| read_process(&mut Row::of(it)?)).collect::<Option<_>>()?;
        guest.processes.truncate(crate::sim::guest::programs::MOST_PROCESSES);
        Some(guest)
    }
}
