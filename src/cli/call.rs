//! `jumpvisor call`: one tool, from a shell.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{CallCommand, approve, print};
use crate::error::{Error, Kind, Result};
use crate::hv::call::Cancel;
use crate::text::json;
use crate::text::json::{Object, Value};
use crate::threads::{Words, begin};
use crate::tools::args;
use crate::tools::reply::Shown;
use crate::tools::run::{Asks, Caller, Gate, Outcome, error_object};
use crate::tools::{Effect, Tool, find};

/// How long a stopped call that only reads may still take to end by itself.
const GRACE: Duration = Duration::from_secs(1);

/// Calls the tool and prints its answer; the exit status says how it ended.
pub fn run(gate: Arc<Gate>, command: &CallCommand) -> Result<u8> {
    let arguments = arguments(&command.tool, &command.args)?;
    let cancel = Cancel::default();
    let ended = Words::default();
    let (on_end, stopped, done) = (cancel.clone(), ended.clone(), ended.clone());
    crate::app::signals::on_signal(move |_| {
        on_end.cancel();
        stopped.say(None);
    })?;
    let watcher = (!command.json).then(|| {
        let watcher: Arc<dyn Fn(&_) + Send + Sync> = Arc::new(print::bar);
        watcher
    });
    let asks: Asks = match command.yes {
        true => Arc::new(|_, _| Ok(true)),
        false => Arc::new(approve::ask),
    };
    let caller = Caller::local(&crate::app::user()).cancelled_by(cancel).watched_by(watcher);
    let caller = caller.asked_by(Some(asks));
    let may_hang = |it: &Tool| {
        let writes = it.args.iter().any(|arg| arg.writes_here && arguments.contains_key(arg.name));
        it.effect == Effect::Reads && !writes
    };
    let hangs = find(&command.tool).is_none_or(|(_, tool)| may_hang(tool));
    let (worker, tool) = (gate.clone(), command.tool.clone());
    let work = move || {
        let called = catch_unwind(AssertUnwindSafe(|| worker.call(&tool, arguments, caller)));
        done.say(Some(called.unwrap_or_else(|_| Outcome::Failed {
            error: Error::bug("a defect of jumpvisor ended this call"),
            correlation: String::new(),
        })));
    };
    begin("call", Box::new(work))
        .map_err(|why| Error::new(Kind::Busy, format!("no thread for the call: {why}")))?;
    let outcome = outcome(&command.tool, hangs, &ended);
    print::end_bar();
    let status = told(outcome, command.json);
    // Also when nobody could be told: a full disk behind `>` must not leak a session.
    crate::cli::serve::end_sessions(gate);
    status
}

fn told(outcome: Outcome, as_json: bool) -> Result<u8> {
    match outcome {
        Outcome::Answer(shown) => {
            let status = if shown.some_failed { 8 } else { 0 };
            print::line(&answer(shown, as_json)).map(|_| status)
        }
        Outcome::Failed { error, correlation } => failed(&error, &correlation, as_json),
        Outcome::Unknown(error) => failed(&error, "", as_json),
        // Only for callers that answer by calling again.
        Outcome::Asks { question, .. } => failed(&Error::bug(question), "", as_json),
    }
}

/// How the call ends. After a signal a call that changes something is seen to its end, because it
/// stops its tasks and cleans up, as does one that writes a file here; one that only reads may be left
/// where it `hangs`.
fn outcome(tool: &str, hangs: bool, ended: &Words<Option<Outcome>>) -> Outcome {
    let mut next = ended.next(None);
    if matches!(next, Some(None)) {
        next = ended.next(hangs.then_some(GRACE));
    }
    next.flatten().unwrap_or_else(|| {
        let error = Error::new(Kind::Cancelled, "stopped before the server answered");
        Outcome::Failed { error: error.during(tool.to_owned()), correlation: String::new() }
    })
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
        _ if std::io::stdout().is_terminal() => harmless(&shown.text),
        _ => shown.text,
    }
}

/// Text as a terminal may have it: what a guest says is not to move the cursor, or worse.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// `key=value` words as arguments; a list is split at its commas.
pub fn arguments(tool: &str, words: &[String]) -> Result<Object> {
    let row = find(tool).map_or(&[][..], |(_, tool)| tool.args);
    let mut given = Object::new();
    for word in words {
        let (key, text) = word.split_once('=').ok_or_else(|| {
            Error::usage(format!("`{word}` is not key=value"))
                .hint(format!("`jumpvisor tools {tool}` shows the arguments"))
        })?;
        let list = row.iter().any(|arg| arg.name == key && arg.kind == args::Kind::Texts);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_steered() {
        assert_eq!(harmless("a\tb\r\n\u{1b}[31m\u{9b}m\rä"), "a\tb\n[31mmä");
    }
}
