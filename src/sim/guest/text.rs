//! Commands of a Linux guest that pass text on: `echo`, `cat`, `grep`, `head`, `sort` and the like.

use crate::sim::guest::commands::flag;
use crate::sim::guest::commands::plain;
use crate::sim::guest::commands::trouble;
use crate::sim::guest::pattern;
use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;
use crate::text::order;

/// `echo`, with `-n`.
pub fn echo(_: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let bare = args.get(1).is_some_and(|it| it == "-n");
    io.say(&args.get(1 + usize::from(bare)..).unwrap_or_default().join(" "));
    if !bare {
        io.say("\n");
    }
    0
}

/// `printf`, with `%s`, `%d`, `%%`, `\n`, `\t` and `\\`; the format is used once.
pub fn printf(_: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let mut values = args.iter().skip(2);
    let format = args.get(1).map_or("", String::as_str);
    let mut chars = format.chars();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next() {
                Some('s' | 'd') => out.push_str(values.next().map_or("", String::as_str)),
                Some(other) => out.push(other),
                None => out.push('%'),
            },
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    io.say(&out);
    0
}

/// The contents of these files one behind the other, or what comes in.
fn gather(sh: &Shell<'_>, args: &[String], files: &[&str], io: &mut Streams) -> (Vec<u8>, i32) {
    if files.is_empty() {
        return (std::mem::take(&mut io.input), 0);
    }
    let mut all = Streams::default();
    let mut status = 0;
    for file in files {
        match sh.tree().read(sh.user.id, &sh.path(file)) {
            _ if *file == "-" => all.put(1, &io.input),
            Ok(bytes) => all.put(1, bytes),
            Err(found) => status = trouble(args, file, found, io),
        }
    }
    (all.out, status)
}

/// `cat`.
pub fn cat(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let (bytes, status) = gather(sh, args, &plain(args), io);
    io.put(1, &bytes);
    status
}

/// `grep`, with `-v`, `-i`, `-c`, `-q`; file names are not shown.
pub fn grep(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let words = plain(args);
    let Some((wanted, files)) = words.split_first() else {
        io.complain("Usage: grep [OPTION]... PATTERNS [FILE]...\n");
        return 2;
    };
    let (bytes, status) = gather(sh, args, files, io);
    let folded = flag(args, 'i');
    let fold = |text: &str| if folded { text.to_lowercase() } else { text.to_owned() };
    let (text, wanted) = (String::from_utf8_lossy(&bytes), fold(wanted));
    let outside = flag(args, 'v');
    let lines = text.lines().filter(|it| pattern::found(&wanted, &fold(it)) != outside);
    let found: Vec<&str> = lines.collect();
    if flag(args, 'c') {
        io.say(&format!("{}\n", found.len()));
    } else if !flag(args, 'q') {
        say_lines(&found, io);
    }
    match (found.is_empty(), status) {
        (_, 1..) => 2,
        (empty, _) => i32::from(empty),
    }
}

fn say_lines(lines: &[&str], io: &mut Streams) {
    for line in lines {
        io.say(line);
        io.say("\n");
    }
}

/// `head` and `tail`, with `-n N` and `-N`.
pub fn ends(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let (mut count, mut files) = (10, Vec::new());
    let mut words = args.iter().skip(1);
    while let Some(word) = words.next() {
        let number = match word.strip_prefix('-') {
            Some("n") => words.next().map(String::as_str),
            Some(other) => Some(other.trim_start_matches('n')),
            None => {
                files.push(word.as_str());
                continue;
            }
        };
        count = number.and_then(|it| it.parse().ok()).unwrap_or(count);
    }
    let (bytes, status) = gather(sh, args, &files, io);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let from = match args.first().is_some_and(|it| it.ends_with("tail")) {
        true => lines.len().saturating_sub(count),
        false => 0,
    };
    let until = from.saturating_add(count).min(lines.len());
    say_lines(lines.get(from..until).unwrap_or_default(), io);
    status
}

/// `sort`, with `-r`, `-n`, `-u`.
pub fn sort(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let (bytes, status) = gather(sh, args, &plain(args), io);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let number = |it: &str| it.trim().parse::<i64>().unwrap_or_default();
    let numeric = flag(args, 'n');
    let turn = |a: &&str, b: &&str| if numeric { number(a).cmp(&number(b)) } else { a.cmp(b) };
    let mut lines = order::by(lines, &turn);
    if flag(args, 'u') {
        lines.dedup();
    }
    if flag(args, 'r') {
        lines.reverse();
    }
    say_lines(&lines, io);
    status
}

/// `wc`, with `-l`, `-w`, `-c`.
pub fn wc(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let files = plain(args);
    let (bytes, status) = gather(sh, args, &files, io);
    let text = String::from_utf8_lossy(&bytes);
    let counts = [text.matches('\n').count(), text.split_whitespace().count(), bytes.len()];
    let all = !"lwc".chars().any(|it| flag(args, it));
    let letters = "lwc".chars().zip(counts).filter(|it| all || flag(args, it.0));
    let mut shown: Vec<String> = letters.map(|it| it.1.to_string()).collect();
    shown.extend(files.iter().map(|it| (*it).to_owned()));
    io.say(&(shown.join(" ") + "\n"));
    status
}

/// `basename` and `dirname`.
pub fn basename(_: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let path = args.get(1).map_or("", String::as_str).trim_end_matches('/');
    let (folder, last) = path.rsplit_once('/').unwrap_or((".", path));
    let folder = if folder.is_empty() { "/" } else { folder };
    let directory = args.first().is_some_and(|it| it.ends_with("dirname"));
    io.say(if directory { folder } else { last });
    io.say("\n");
    0
}
