//! What a tool answers: rows or one record, shown as text and as structured content.
//!
//! Tools fill [`Record`]s with every field they know; how much of it is shown, as what text, and
//! where the answer is cut is decided here, once. Surprising: text and structured content together
//! stay under one cap, because a client may hand both to a model.

use crate::text::json;
use crate::text::json::{Array, Object, Value};
use crate::text::words::counted;

/// Named values in the order to show them; what is unknown is left out.
#[derive(Clone, Default)]
pub struct Record(Vec<(&'static str, Value)>);

impl Record {
    pub fn new() -> Record {
        Record::default()
    }

    /// Adds any value.
    pub fn value(mut self, name: &'static str, value: Value) -> Record {
        self.0.push((name, value));
        self
    }

    pub fn text(self, name: &'static str, text: impl Into<String>) -> Record {
        self.value(name, json::text(text))
    }

    pub fn maybe_text<S: Into<String>>(self, name: &'static str, text: Option<S>) -> Record {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    pub fn int(self, name: &'static str, number: i64) -> Record {
        self.value(name, json::int(number))
    }

    pub fn maybe_int(self, name: &'static str, number: Option<i64>) -> Record {
        match number {
            Some(number) => self.int(name, number),
            None => self,
        }
    }

    pub fn flag(self, name: &'static str, flag: bool) -> Record {
        self.value(name, Value::Bool(flag))
    }

    pub fn maybe_flag(self, name: &'static str, flag: Option<bool>) -> Record {
        match flag {
            Some(flag) => self.flag(name, flag),
            None => self,
        }
    }

    pub fn texts<S: AsRef<str>>(self, name: &'static str, texts: &[S]) -> Record {
        self.value(name, json::texts(texts))
    }

    pub fn records(self, name: &'static str, records: Vec<Record>) -> Record {
        let all: Array = records.into_iter().map(|it| Value::Object(it.object())).collect();
        self.value(name, Value::Array(all))
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// This field first, for what the engine adds to a row.
    pub fn led_by(mut self, name: &'static str, text: impl Into<String>) -> Record {
        self.0.insert(0, (name, json::text(text)));
        self
    }

    fn only(mut self, names: &[&str]) -> Record {
        self.0.retain(|(name, _)| names.contains(name) || matches!(*name, "host" | "error"));
        self
    }

    /// As JSON.
    pub fn object(self) -> Object {
        let mut object = Object::new();
        for (name, value) in self.0 {
            object.insert(name.to_owned(), value);
        }
        object
    }

    fn lines(&self, indent: &str, out: &mut Vec<String>) {
        for (name, value) in &self.0 {
            lines_of(name, value, indent, out);
        }
    }
}

fn lines_of(name: &str, value: &Value, indent: &str, out: &mut Vec<String>) {
    match value {
        Value::Array(items) if items.iter().any(|it| matches!(it, Value::Object(_))) => {
            out.push(format!("{indent}{name}:"));
            for item in items {
                out.push(format!("{indent}- {}", cell(item)));
            }
        }
        Value::Object(inner) => {
            out.push(format!("{indent}{name}:"));
            for (name, value) in inner {
                lines_of(name, value, &format!("{indent}  "), out);
            }
        }
        value => out.push(format!("{indent}{name}: {}", cell(value))),
    }
}

/// One value on one line.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.replace(['\n', '\r'], " "),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(inner) => {
            let parts: Vec<String> =
                inner.iter().map(|(name, value)| format!("{name} {}", cell(value))).collect();
            parts.join(", ")
        }
        value => json::write(value),
    }
}

/// Rows of a list.
pub struct Rows {
    /// The member of the structured content that holds them, such as `vms`.
    pub key: &'static str,
    /// This page's rows.
    pub rows: Vec<Record>,
    /// The fields of a concise answer, which are also the columns of the text.
    pub concise: &'static [&'static str],
    /// How many rows there are without the page.
    pub total: usize,
    /// Where this page starts; `None` for rows that come as a whole and cannot be paged.
    pub offset: Option<usize>,
    /// How many of a batch failed; their rows come first.
    pub failed: usize,
    /// Rows of servers that could not be asked: shown on every page and never counted.
    pub unasked: Vec<Record>,
    /// There are more than `total`, and nobody knows how many.
    pub more: bool,
}

impl Rows {
    /// Rows that come as a whole.
    pub fn whole(key: &'static str, concise: &'static [&'static str], rows: Vec<Record>) -> Rows {
        let total = rows.len();
        let (offset, failed, unasked, more) = (None, 0, Vec::new(), false);
        Rows { key, rows, concise, total, offset, failed, unasked, more }
    }
}

/// What a tool answers.
pub enum Reply {
    Rows(Rows),
    /// A sentence, if one says it best, and the fields.
    One {
        said: Option<String>,
        record: Record,
    },
    /// A picture beside a sentence and the fields; it has a bound of its own.
    Picture {
        said: String,
        record: Record,
        picture: Picture,
    },
}

/// A picture as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Such as `image/png`.
    pub mime: &'static str,
    pub bytes: Vec<u8>,
}

/// An answer ready for a caller.
pub struct Shown {
    pub text: String,
    pub data: Object,
    /// Header and cells where the text is a table, for a terminal to align.
    pub table: Option<(Vec<&'static str>, Vec<Vec<String>>)>,
    /// What follows the table.
    pub note: Option<String>,
    /// Part of a batch failed.
    pub some_failed: bool,
    /// All of it did.
    pub all_failed: bool,
    /// Shown beside the text where the client can.
    pub picture: Option<Picture>,
}

impl Reply {
    /// One record, shown field by field.
    pub fn record(record: Record) -> Reply {
        Reply::One { said: None, record }
    }

    /// A sentence for the person, the record for the program.
    pub fn said(said: impl Into<String>, record: Record) -> Reply {
        Reply::One { said: Some(said.into()), record }
    }

    /// Shows it, with at most `cap` bytes of text and structured content together.
    pub fn shown(self, detailed: bool, cap: usize) -> Shown {
        match self {
            Reply::Rows(rows) => show_rows(rows, detailed, cap),
            Reply::One { said, record } => show_one(said, record, cap),
            Reply::Picture { said, record, picture } => {
                Shown { picture: Some(picture), ..show_one(Some(said), record, cap) }
            }
        }
    }
}

fn show_rows(list: Rows, detailed: bool, cap: usize) -> Shown {
    let (asked, failed, unasked) = (list.rows.len(), list.failed, list.unasked.len());
    let mut columns: Vec<&'static str> = Vec::new();
    let all = || list.unasked.iter().chain(&list.rows);
    if all().any(|row| row.get("host").is_some()) {
        columns.push("host");
    }
    columns.extend(list.concise);
    if all().any(|row| row.get("error").is_some()) && !columns.contains(&"error") {
        columns.push("error");
    }
    let mut room = cap.saturating_sub(400 + columns.join(" | ").len());
    let (mut cells, mut kept) = (Vec::new(), Array::new());
    for row in list.unasked.into_iter().chain(list.rows) {
        let line: Vec<String> =
            columns.iter().map(|name| row.get(name).map_or("-".into(), cell)).collect();
        let object = if detailed { row.object() } else { row.only(list.concise).object() };
        let bytes = line.iter().map(|it| it.len() + 3).sum::<usize>()
            + json::write_object(&object).len()
            + 1;
        if bytes > room {
            break;
        }
        room -= bytes;
        cells.push(line);
        kept.push(Value::Object(object));
    }
    let shown = kept.len().saturating_sub(unasked);
    let (offset, total, more) = (list.offset, list.total, list.more);
    let part = Part { shown, asked, failed, unasked, offset, total, more };
    let mut data = json::object([("total", json::int(list.total as i64))]);
    if let Some(next) = part.next() {
        data.insert("next_offset".to_owned(), json::int(next as i64));
    }
    for (name, count) in [("failed", failed), ("left_out", part.left_out())] {
        if count > 0 {
            data.insert(name.to_owned(), json::int(count as i64));
        }
    }
    if more {
        data.insert("more".to_owned(), Value::Bool(true));
    }
    data.insert(list.key.to_owned(), Value::Array(kept));
    let mut text = String::new();
    if !cells.is_empty() {
        text.push_str(&columns.join(" | "));
        text.push('\n');
        for line in &cells {
            text.push_str(&line.join(" | "));
            text.push('\n');
        }
    }
    let note = part.note();
    text.push_str(&note);
    Shown {
        text,
        data,
        table: Some((columns, cells)),
        note: Some(note),
        some_failed: failed > 0 || unasked > 0,
        all_failed: (failed > 0 && failed == asked) || (unasked > 0 && asked == 0),
        picture: None,
    }
}

/// How much of a list an answer holds.
struct Part {
    shown: usize,
    asked: usize,
    failed: usize,
    unasked: usize,
    offset: Option<usize>,
    total: usize,
    more: bool,
}

impl Part {
    /// Where the next page begins.
    fn next(&self) -> Option<usize> {
        let next = self.offset? + self.shown;
        (next < self.total && self.shown > 0).then_some(next)
    }

    /// Rows that no page can bring.
    fn left_out(&self) -> usize {
        if self.offset.is_none() { self.asked - self.shown } else { 0 }
    }

    fn note(&self) -> String {
        let (shown, total) = (self.shown, self.total);
        let mut note = match self.offset {
            _ if total == 0 => "none".to_owned(),
            _ if self.more => format!("{shown} shown; there are more"),
            _ if shown == total => format!("{total} in all"),
            Some(offset) if offset >= total => {
                format!("offset {offset} is past the end of {total}")
            }
            Some(offset) => format!("{} to {} of {total}", offset + 1, offset + shown),
            None => format!("{shown} of {total}"),
        };
        if self.failed > 0 {
            note.push_str(&format!("; {} failed", self.failed));
        }
        if self.unasked > 0 {
            note.push_str(&format!("; {} could not be asked", counted(self.unasked, "server")));
        }
        if shown < self.asked {
            note.push_str("; cut at the size limit of one answer");
        }
        if let Some(next) = self.next() {
            note.push_str(&format!("; go on with offset={next}"));
        }
        note
    }
}

fn show_one(said: Option<String>, record: Record, cap: usize) -> Shown {
    let mut record = record;
    let mut dropped = Vec::new();
    loop {
        let text = said.clone().unwrap_or_else(|| {
            let mut lines = Vec::new();
            record.lines("", &mut lines);
            lines.join("\n")
        });
        let data = record.clone().object();
        if text.len() + json::write_object(&data).len() + 200 <= cap || record.0.is_empty() {
            return finish_one(text, data, dropped, cap);
        }
        let size = |value: &Value| json::write(value).len();
        let largest = (0..record.0.len()).max_by_key(|at| size(&record.0[*at].1)).unwrap_or(0);
        dropped.push(record.0.remove(largest).0);
    }
}

fn finish_one(text: String, mut data: Object, dropped: Vec<&str>, cap: usize) -> Shown {
    let mut text = text;
    if text.len() > cap {
        let cut = (0..=cap.saturating_sub(200)).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        text.push('…');
    }
    if !dropped.is_empty() {
        text.push_str(&format!("\nleft out for size: {}", dropped.join(", ")));
        data.insert("left_out".to_owned(), json::texts(&dropped));
    }
    Shown {
        text,
        data,
        table: None,
        note: None,
        some_failed: false,
        all_failed: false,
        picture: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize) -> Reply {
        let row =
            |at| Record::new().text("name", format!("vm{at:04}")).int("cpu", 2).flag("x", true);
        Reply::Rows(Rows {
            key: "vms",
            rows: (0..count).map(row).collect(),
            concise: &["name", "cpu"],
            total: count,
            offset: Some(0),
            failed: 0,
            unasked: Vec::new(),
            more: false,
        })
    }

    #[test]
    fn a_list_is_a_table_and_concise_unless_asked() {
        let shown = rows(2).shown(false, 60_000);
        assert_eq!(shown.text, "name | cpu\nvm0000 | 2\nvm0001 | 2\n2 in all");
        let data = json::write_object(&shown.data);
        assert_eq!(
            data,
            r#"{"total":2,"vms":[{"cpu":2,"name":"vm0000"},{"cpu":2,"name":"vm0001"}]}"#
        );
        assert!(json::write_object(&rows(1).shown(true, 60_000).data).contains("\"x\":true"));
        assert_eq!(rows(0).shown(false, 60_000).text, "none");
    }

    #[test]
    fn no_answer_is_longer_than_the_cap_and_it_says_how_to_go_on() {
        for cap in [2_000, 10_000, 60_000] {
            let shown = rows(5_000).shown(false, cap);
            let size = shown.text.len() + json::write_object(&shown.data).len();
            assert!(size <= cap && size > cap / 2, "{size} of {cap}");
            let next = shown.data.get("next_offset").and_then(json::as_int).unwrap();
            assert!(shown.text.ends_with(&format!(
                "1 to {next} of 5000; cut at the size limit of one answer; go on with offset={next}"
            )));
        }
    }

    #[test]
    fn rows_that_cannot_be_paged_name_no_next_page() {
        let row = |at| Record::new().text("name", format!("vm{at:04}"));
        let mut list = Rows::whole("results", &["name"], (0..900).map(row).collect());
        list.failed = 3;
        let shown = Reply::Rows(list).shown(false, 2_000);
        let left_out = shown.data.get("left_out").and_then(json::as_int).unwrap();
        assert!(left_out > 800 && shown.data.get("next_offset").is_none());
        assert!(shown.text.ends_with("of 900; 3 failed; cut at the size limit of one answer"));
    }

    #[test]
    fn a_server_that_could_not_be_asked_is_on_every_page_and_counts_nowhere() {
        let Reply::Rows(mut list) = rows(2) else { panic!("rows") };
        list.unasked = vec![Record::new().text("host", "b").text("error", "away")];
        let shown = Reply::Rows(list).shown(false, 60_000);
        assert!(
            shown.text.starts_with("host | name | cpu | error\nb | - | - | away\n"),
            "{}",
            shown.text
        );
        assert!(shown.text.ends_with("2 in all; 1 server could not be asked"));
        assert_eq!(shown.data.get("total").and_then(json::as_int), Some(2));
    }

    #[test]
    fn a_record_loses_its_largest_fields_first_and_says_so() {
        let record = Record::new().text("name", "web").text("notes", "x".repeat(90_000));
        let shown = Reply::record(record).shown(false, 60_000);
        assert_eq!(shown.text, "name: web\nleft out for size: notes");
    }
}
