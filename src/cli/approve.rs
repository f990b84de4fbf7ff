//! Asking the person at the terminal whether a change may be made.
//!
//! The plan goes to standard error and the answer comes from the terminal itself, so that both
//! standard output and standard input may be files. Surprising: a terminal that could be opened is
//! not asked if neither end of this process is one: a script in the background has nobody behind it.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::time::Duration;

use crate::auth::approval::LIFETIME;
use crate::cli::call::harmless;
use crate::cli::print;
use crate::error::{Error, Kind, Result};
use crate::hv::call::Cancel;
use crate::threads::{Words, begin};

/// Longest answer that is read, in bytes.
const LONGEST: u64 = 100;

/// Shows the plan and waits for y or n; anything but a yes is a no.
pub fn ask(question: &str, cancel: &Cancel) -> Result<bool> {
    let denied = |said: &str| {
        Error::new(Kind::Denied, said.to_owned())
            .hint("Look at it with dry_run=true, then add --yes to approve it")
    };
    let seen = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    let terminal = seen.then(|| File::open("/dev/tty").ok()).flatten();
    let Some(terminal) = terminal else {
        return Err(denied("it needs an approval (APPROVAL), and there is no terminal to ask on"));
    };
    print::end_bar();
    let shown = format!("{}\nDo it? [y/N] ", harmless(question));
    let mut errors = std::io::stderr();
    if errors.write_all(shown.as_bytes()).and_then(|()| errors.flush()).is_err() {
        return Err(denied("the plan cannot be shown on standard error"));
    }
    let answer = Words::default();
    let (said, stopped) = (answer.clone(), answer.clone());
    let _hooked = cancel.on_cancel(move || stopped.say(None));
    // Left behind in its read when the call is cancelled; the process ends then.
    let reader = move || {
        let mut line = String::new();
        let _ = BufReader::new(terminal.take(LONGEST)).read_line(&mut line);
        if !line.ends_with('\n') {
            let _ = std::io::stderr().write_all(b"\n");
        }
        said.say(Some(line));
    };
    begin("answer", Box::new(reader))
        .map_err(|why| denied(&format!("nobody can be asked: {why}")))?;
    match answer.next(Some(Duration::from_secs(LIFETIME))) {
        Some(Some(line)) => Ok(is_yes(&line)),
        Some(None) => Err(Error::new(Kind::Cancelled, "cancelled before it was approved")),
        None => Err(denied("nobody has answered whether this may be done")),
    }
}

fn is_yes(line: &str) -> bool {
    ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for (line, yes) in [
            ("y\n", true),
            (" YES \r\n", true),
            ("\n", false),
            ("", false),
            ("yep\n", false),
            ("n\n", false),
        ] {
            assert_eq!(is_yes(line), yes, "{line:?}");
        }
    }
}
