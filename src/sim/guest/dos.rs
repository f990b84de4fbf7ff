//! `cmd.exe` for a Windows guest: what prints and says who and where one is.
//!
//! Batch files, labels and `for` are not played, nor is PowerShell.

use crate::sim::guest::lists;
use crate::sim::guest::shell::Row;
use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;

/// Every command of a Windows guest; the files among them are `.exe` in System32.
pub const TABLE: &[Row] = &[
    ("cd", 0, folder),
    ("cmd", 1, inner),
    ("echo", 0, echo),
    ("exit", 0, exit),
    ("hostname", 1, lists::hostname),
    ("rem", 0, |_, _, _| 0),
    ("type", 0, show),
    ("ver", 0, |_, _, io| {
        io.say("\r\nMicrosoft Windows [Version 10.0.20348.2227]\r\n");
        0
    }),
    ("whoami", 1, lists::whoami),
];

/// The name of a command without its quotes, and for Windows without `.exe` and capitals.
pub fn bare(word: &str, dos: bool) -> String {
    if !dos {
        return word.to_owned();
    }
    let word = word.replace('"', "");
    let short = word.len().checked_sub(4).filter(|at| word.is_char_boundary(*at));
    match short.map(|at| word.split_at(at)) {
        Some((name, end)) if end.eq_ignore_ascii_case(".exe") && !name.contains(['\\', '/']) => {
            name.to_lowercase()
        }
        _ if word.contains(['\\', '/']) => word,
        _ => word.to_lowercase(),
    }
}

/// A file's name without the quotes that only `cmd.exe` leaves on it.
pub fn bare_path(word: &str, dos: bool) -> String {
    if dos { word.replace('"', "") } else { word.to_owned() }
}

/// Runs a program of a Windows guest, which gets its arguments as one text.
pub fn start(sh: &mut Shell<'_>, path: &str, arguments: &str, io: &mut Streams) {
    let name = bare(path.rsplit(['\\', '/']).next().unwrap_or(path), true);
    match name.as_str() {
        "cmd" => sh.script(behind_c(arguments), io),
        _ => sh.script(&format!("\"{path}\" {arguments}"), io),
    }
}

/// What `/c` is to run. No `/c`: a prompt that nobody types at.
fn behind_c(arguments: &str) -> &str {
    let at = arguments.to_ascii_lowercase().find("/c");
    unquoted(at.and_then(|it| arguments.get(it + 2..)).unwrap_or_default())
}

/// `cmd.exe` out of `cmd.exe`.
fn inner(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let arguments = args.get(1..).unwrap_or_default().join(" ");
    sh.inner(behind_c(&arguments), &[], "cmd", io)
}

/// Without one pair of quotes around the whole, as `cmd /c` takes them off.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text)
}

/// The words behind the name that are no switches, without quotes.
fn files(args: &[String]) -> Vec<String> {
    let words = args.iter().skip(1).filter(|it| !it.starts_with('/'));
    words.map(|it| it.replace('"', "")).collect()
}

fn echo(_: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    io.say(&args.get(1..).unwrap_or_default().join(" "));
    io.say("\r\n");
    0
}

fn exit(sh: &mut Shell<'_>, args: &[String], _: &mut Streams) -> i32 {
    sh.ended = true;
    files(args).first().and_then(|it| it.parse().ok()).unwrap_or(sh.status)
}

fn folder(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let Some(target) = files(args).into_iter().next() else {
        io.say(&(sh.tree().shown(&sh.cwd) + "\r\n"));
        return 0;
    };
    let inner = sh.path(&target);
    let found = sh.tree().find(sh.user.id, &inner, true).ok().filter(|it| it.is_directory());
    let Some(path) = found.map(|it| it.path.clone()) else { return missing(io) };
    sh.cwd = path;
    0
}

fn missing(io: &mut Streams) -> i32 {
    io.complain("The system cannot find the file specified.\r\n");
    1
}

fn show(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let files = files(args);
    let found = files.first().map(|it| sh.tree().read(sh.user.id, &sh.path(it)));
    match found {
        Some(Ok(bytes)) => {
            io.put(1, bytes);
            0
        }
        _ => missing(io),
    }
}
