//! The commands of a Linux guest that change something or decide something, and the table of all.
//!
//! Options that are not known are passed over: a client that gives `-v` means no harm.

use crate::sim::guest::lists;
use crate::sim::guest::shell::Row;
use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;
use crate::sim::guest::shell::is_name;
use crate::sim::guest::text;
use crate::sim::guest::tree::Act;
use crate::sim::guest::tree::Trouble;

/// Every command of a Linux guest.
pub const TABLE: &[Row] = &[
    (":", 0, |_, _, _| 0),
    ("[", 1, test),
    ("bash", 1, sub),
    ("cat", 1, text::cat),
    ("cd", 0, cd),
    ("cp", 1, copy),
    ("date", 1, lists::date),
    ("df", 1, lists::df),
    ("echo", 1, text::echo),
    ("env", 1, lists::env),
    ("exit", 0, exit),
    ("export", 0, export),
    ("false", 1, |_, _, _| 1),
    ("grep", 1, text::grep),
    ("head", 1, text::ends),
    ("hostname", 1, lists::hostname),
    ("id", 1, lists::id),
    ("ip", 1, lists::ip),
    ("kill", 1, kill),
    ("ls", 1, lists::ls),
    ("mkdir", 1, make),
    ("mv", 1, copy),
    ("printenv", 1, lists::env),
    ("ps", 1, lists::ps),
    ("pwd", 1, lists::pwd),
    ("rm", 1, remove),
    ("rmdir", 1, remove),
    ("set", 0, |_, _, _| 0),
    ("sh", 1, sub),
    ("sleep", 1, sleep),
    ("tail", 1, text::ends),
    ("test", 1, test),
    ("touch", 1, make),
    ("true", 1, |_, _, _| 0),
    ("uname", 1, lists::uname),
    ("wc", 1, text::wc),
    ("whoami", 1, lists::whoami),
];

/// True if one of the words is an option with this letter.
pub fn flag(args: &[String], letter: char) -> bool {
    let options = args.iter().skip(1).filter(|it| it.starts_with('-') && !it.starts_with("--"));
    options.into_iter().any(|it| it.contains(letter))
}

/// The words behind the name that are no options.
pub fn plain(args: &[String]) -> Vec<&str> {
    let all = args.iter().skip(1).map(String::as_str);
    all.filter(|it| !it.starts_with('-') || *it == "-").collect()
}

/// Says what was wrong with one file.
pub fn trouble(args: &[String], file: &str, trouble: Trouble, io: &mut Streams) -> i32 {
    let name = args.first().map_or("", String::as_str).rsplit('/').next().unwrap_or_default();
    let what = match name {
        "mkdir" => "cannot create directory ",
        "rm" => "cannot remove ",
        "rmdir" => "failed to remove ",
        "touch" => "cannot touch ",
        "ls" => "cannot access ",
        _ => return say(io, &format!("{name}: {file}: {}\n", trouble.words())),
    };
    say(io, &format!("{name}: {what}'{file}': {}\n", trouble.words()))
}

fn say(io: &mut Streams, text: &str) -> i32 {
    io.complain(text);
    1
}

fn cd(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let home = sh.tree().shown(sh.user.home);
    let target = plain(args).first().map_or(home, |it| (*it).to_owned());
    let inner = sh.path(&target);
    let found = match sh.tree().find(sh.user.id, &inner, true) {
        Ok(node) if !node.is_directory() => Err(Trouble::NotDirectory),
        Ok(node) if !node.allows(sh.user.id, 1) => Err(Trouble::Denied),
        Ok(node) => Ok(node.path.clone()),
        Err(trouble) => Err(trouble),
    };
    match found {
        Ok(path) => {
            sh.cwd = path;
            0
        }
        Err(trouble) => {
            sh.complain(&format!("cd: {target}: {}", trouble.words()), io);
            1
        }
    }
}

fn exit(sh: &mut Shell<'_>, args: &[String], _: &mut Streams) -> i32 {
    sh.ended = true;
    let code = args.get(1).and_then(|it| it.parse::<i64>().ok()).unwrap_or(sh.status.into());
    i32::try_from(code.rem_euclid(256)).unwrap_or_default()
}

fn export(sh: &mut Shell<'_>, args: &[String], _: &mut Streams) -> i32 {
    for word in plain(args) {
        if let Some((name, value)) = word.split_once('=').filter(|it| is_name(it.0)) {
            sh.vars.insert(name.to_owned(), value.to_owned());
        }
    }
    0
}

fn sub(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let name = if args.first().is_some_and(|it| it.ends_with("bash")) { "bash" } else { "sh" };
    let command = args
        .iter()
        .skip(1)
        .position(|it| it.starts_with('-') && !it.starts_with("--") && it.ends_with('c'));
    if let Some(at) = command {
        let script = args.get(at + 2).cloned().unwrap_or_default();
        return sh.inner(&script, args.get(at + 3..).unwrap_or_default(), name, io);
    }
    let files: Vec<String> =
        args.iter().skip(1).skip_while(|it| it.starts_with('-')).cloned().collect();
    match files.first() {
        None => {
            let script = String::from_utf8_lossy(&std::mem::take(&mut io.input)).into_owned();
            sh.inner(&script, &[], name, io)
        }
        Some(file) => match sh.tree().read(sh.user.id, &sh.path(file)) {
            Ok(content) => {
                let script = String::from_utf8_lossy(content).into_owned();
                sh.inner(&script, &files, name, io)
            }
            Err(trouble) => {
                io.complain(&format!("{name}: 0: cannot open {file}: {}\n", trouble.words()));
                if trouble == Trouble::NotFound { 127 } else { 126 }
            }
        },
    }
}

/// `sleep`, with `s`, `m`, `h` or nothing behind the number; parts of a second are left out.
pub fn sleep(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let Some(word) = args.get(1) else { return say(io, "sleep: missing operand\n") };
    let (number, factor) = match word.as_bytes().last() {
        Some(b's') => (&word[..word.len() - 1], 1),
        Some(b'm') => (&word[..word.len() - 1], 60),
        Some(b'h') => (&word[..word.len() - 1], 3_600),
        _ => (word.as_str(), 1),
    };
    let whole = number.split('.').next().unwrap_or_default();
    match whole.parse::<u64>() {
        Ok(seconds) => {
            sh.sleep(seconds.saturating_mul(factor));
            0
        }
        Err(_) if number == "infinity" => {
            sh.sleep(u64::MAX);
            0
        }
        Err(_) => say(io, &format!("sleep: invalid time interval '{word}'\n")),
    }
}

fn make(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let touch = args.first().is_some_and(|it| it.ends_with("touch"));
    let parents = !touch && flag(args, 'p');
    let mut status = 0;
    for file in plain(args) {
        let mut done = Ok(());
        if parents {
            let ends = file.match_indices('/').map(|it| it.0).filter(|it| *it > 0);
            for end in ends.chain([file.len()]) {
                done = match sh.change(Act::MakeDirectory, &file[..end], b"") {
                    Err(Trouble::Exists) => Ok(()),
                    other => other,
                };
            }
        } else if touch && sh.tree().find(sh.user.id, &sh.path(file), true).is_ok() {
            let now = sh.at.to_string();
            done = sh.change(Act::Time, file, now.as_bytes());
        } else {
            done = sh.change(if touch { Act::Create } else { Act::MakeDirectory }, file, b"");
        }
        if let Err(found) = done {
            status = trouble(args, file, found, io);
        }
    }
    status
}

fn remove(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let folder = args.first().is_some_and(|it| it.ends_with("rmdir"));
    let all = !folder && (flag(args, 'r') || flag(args, 'R'));
    let force = !folder && flag(args, 'f');
    let mut status = 0;
    for file in plain(args) {
        let inner = sh.path(file);
        let done = match sh.tree().find(sh.user.id, &inner, false) {
            Ok(node) if node.path.is_empty() => Err(Trouble::Denied),
            Ok(node) if folder && !node.is_directory() => Err(Trouble::NotDirectory),
            Ok(node) if !folder && !all && node.is_directory() => Err(Trouble::NotFile),
            Ok(_) => sh.change(if all { Act::RemoveAll } else { Act::Remove }, file, b""),
            Err(Trouble::NotFound) if force => Ok(()),
            Err(found) => Err(found),
        };
        if let Err(found) = done {
            status = trouble(args, file, found, io);
        }
    }
    status
}

/// `cp`, `mv`: one or more into a directory, or one to a name.
fn copy(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let name = args.first().map_or("", String::as_str).rsplit('/').next().unwrap_or_default();
    let files = plain(args);
    let Some((target, sources)) = files.split_last().filter(|it| !it.1.is_empty()) else {
        return say(io, &format!("{name}: missing file operand\n"));
    };
    let into = sh.tree().find(sh.user.id, &sh.path(target), true).is_ok_and(|it| it.is_directory());
    let mut status = 0;
    for source in sources {
        let last = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
        let to = if into { format!("{target}/{last}") } else { (*target).to_owned() };
        if let Err(found) = sh.carry(source, &to, name == "mv") {
            status = trouble(args, source, found, io);
        }
    }
    status
}

fn kill(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let mut status = 0;
    for word in plain(args) {
        let user = sh.user;
        let done = match word.parse() {
            Ok(pid) => sh.guest.kill(user, pid),
            Err(_) => Err(Trouble::Invalid),
        };
        if let Err(found) = done {
            let text = match found {
                Trouble::NotFound => "No such process",
                Trouble::Denied => "Operation not permitted",
                _ => "arguments must be process or job IDs",
            };
            sh.complain(&format!("kill: ({word}) - {text}"), io);
            status = 1;
        }
    }
    status
}

/// `test` and `[`: one check, with `!` before it.
fn test(sh: &mut Shell<'_>, args: &[String], _: &mut Streams) -> i32 {
    let mut words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    if words.last() == Some(&"]") {
        words.pop();
    }
    let not = words.first() == Some(&"!");
    let words = words.get(usize::from(not)..).unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().unwrap_or_default();
    let node = |file: &str| sh.tree().find(sh.user.id, &sh.path(file), true);
    let holds = match words {
        [one] => !one.is_empty(),
        ["-z", text] => text.is_empty(),
        ["-n", text] => !text.is_empty(),
        ["-e", file] => node(file).is_ok(),
        ["-f", file] => node(file).is_ok_and(|it| !it.is_directory()),
        ["-d", file] => node(file).is_ok_and(|it| it.is_directory()),
        ["-s", file] => node(file).is_ok_and(|it| it.size() > 0),
        [left, "=" | "==", right] => left == right,
        [left, "!=", right] => left != right,
        [left, "-eq", right] => number(left) == number(right),
        _ => false,
    };
    i32::from(holds == not)
}
