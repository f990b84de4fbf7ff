//! `jumpvisor call`: one tool, from a shell.

use std::sync::Arc;

use crate::cli::{CallCommand, print};
use crate::error::{Error, Result};
use crate::hv::call::Cancel;
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::tools::args::Kind;
use crate::tools::find;
use crate::tools::reply::Shown;
use crate::tools::run::{Caller, Gate, Outcome, error_object};

/// Calls the tool and prints its answer; the exit status says how it ended.
pub fn run(gate: Arc<Gate>, command: &CallCommand) -> Result<u8> {
    let arguments = arguments(&command.tool, &command.args)?;
    let cancel = Cancel::default();
    let on_end = cancel.clone();
    crate::app::on_signal(move |_| on_end.cancel())?;
    let watcher = (!command.json).then(|| {
        let watcher: Arc<dyn Fn(&_) + Send + Sync> = Arc::new(print::bar);
        watcher
    });
    let caller = Caller { user: crate::app::user(), cancel, watcher };
    let outcome = gate.call(&command.tool, arguments, caller);
    print::end_bar();
    let status = match outcome {
        Outcome::Answer(shown) => {
            let status = if shown.some_failed { 8 } else { 0 };
            print::line(&answer(shown, command.json))?;
            status
        }
        Outcome::Failed { error, correlation } => failed(&error, &correlation, command.json)?,
        Outcome::Unknown(error) => failed(&error, "", command.json)?,
    };
    crate::cli::serve::end_sessions(gate);
    Ok(status)
}

fn failed(error: &Error, correlation: &str, as_json: bool) -> Result<u8> {
    if as_json {
        let object = json::object([("error", Value::Object(error_object(error, correlation)))]);
        print::line(&json::write_object(&object))?;
    } else {
        print::error(error);
    }
    Ok(error.kind().exit_code())
}

fn answer(shown: Shown, as_json: bool) -> String {
    if as_json {
        return json::write_object(&shown.data);
    }
    match (shown.table, shown.note) {
        (Some((header, rows)), note) if !rows.is_empty() => {
            let table = print::table(&header, &rows);
            match note {
                Some(note) => format!("{table}\n{note}"),
                None => table,
            }
        }
        _ => shown.text,
    }
}

/// `key=value` words as arguments; a list is split at its commas.
fn arguments(tool: &str, words: &[String]) -> Result<Object> {
    let row = find(tool).map_or(&[][..], |(_, tool)| tool.args);
    let mut given = Object::new();
    for word in words {
        let (key, text) = word.split_once('=').ok_or_else(|| {
            Error::usage(format!("`{word}` is not key=value"))
                .hint(format!("`jumpvisor tools {tool}` shows the arguments"))
        })?;
        let list = row.iter().any(|arg| arg.name == key && arg.kind == Kind::Texts);
        let value = match list {
            true => {
                let items: Vec<&str> = text.split(',').filter(|it| !it.is_empty()).collect();
                json::texts(&items)
            }
            false => json::text(text),
        };
        if given.insert(key.to_owned(), value).is_some() {
            return Err(Error::usage(format!("`{key}` is given twice")));
        }
    }
    Ok(given)
}
