//! Commands that tell about the guest: files, processes, users, system. Both systems are in here.

use crate::sim::guest::commands::flag;
use crate::sim::guest::commands::plain;
use crate::sim::guest::commands::trouble;
use crate::sim::guest::programs::Process;
use crate::sim::guest::shell::Shell;
use crate::sim::guest::shell::Streams;
use crate::sim::guest::stamp;
use crate::sim::guest::tree::Body;
use crate::sim::guest::tree::MOST_BYTES;
use crate::sim::guest::tree::Node;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One line of text.
fn line(io: &mut Streams, text: &str) -> i32 {
    io.say(text);
    io.say("\n");
    0
}

fn month(time: &str) -> &'static str {
    let number = time.get(5..7).and_then(|it| it.parse::<usize>().ok()).unwrap_or(1);
    MONTHS.get(number.saturating_sub(1)).copied().unwrap_or("Jan")
}

/// `date`, with a format of `%Y %m %d %H %M %S %F %T %s`.
pub fn date(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let time = stamp(sh.at);
    let part = |from: usize, until: usize| time.get(from..until).unwrap_or_default();
    let Some(format) = args.get(1).and_then(|it| it.strip_prefix('+')) else {
        let day = usize::try_from(sh.at / 86_400 % 7).unwrap_or_default();
        let day = DAYS.get(day).copied().unwrap_or("Thu");
        let (number, clock, year) = (part(8, 10).trim_start_matches('0'), part(11, 19), part(0, 4));
        return line(io, &format!("{day} {} {number:>2} {clock} UTC {year}", month(&time)));
    };
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '%' { chars.next() } else { None }) {
            ('%', Some('Y')) => out.push_str(part(0, 4)),
            ('%', Some('m')) => out.push_str(part(5, 7)),
            ('%', Some('d')) => out.push_str(part(8, 10)),
            ('%', Some('H')) => out.push_str(part(11, 13)),
            ('%', Some('M')) => out.push_str(part(14, 16)),
            ('%', Some('S')) => out.push_str(part(17, 19)),
            ('%', Some('F')) => out.push_str(part(0, 10)),
            ('%', Some('T')) => out.push_str(part(11, 19)),
            ('%', Some('s')) => out.push_str(&sh.at.to_string()),
            ('%', Some(other)) => out.push(other),
            _ => out.push(c),
        }
    }
    line(io, &out)
}

/// `df`: the one disk, with what the files take.
pub fn df(sh: &mut Shell<'_>, _: &[String], io: &mut Streams) -> i32 {
    let total = MOST_BYTES >> 10;
    let files = sh.tree().nodes().filter(|it| !it.is_directory());
    let used = files.map(Node::size).sum::<usize>().div_ceil(1_024);
    let (free, share) = (total.saturating_sub(used), used * 100 / total);
    io.say("Filesystem     1K-blocks  Used Available Use% Mounted on\n");
    line(io, &format!("/dev/sda1      {total:>9} {used:>5} {free:>9} {share:>3}% /"))
}

/// `env` and `printenv NAME`.
pub fn env(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    if let (true, Some(name)) =
        (args.first().is_some_and(|it| it.ends_with("printenv")), args.get(1))
    {
        return match sh.vars.get(name) {
            Some(value) => line(io, value),
            None => 1,
        };
    }
    for (name, value) in &sh.vars {
        line(io, &format!("{name}={value}"));
    }
    0
}

/// `hostname`.
pub fn hostname(sh: &mut Shell<'_>, _: &[String], io: &mut Streams) -> i32 {
    line(io, &sh.guest.hostname)
}

/// `whoami`.
pub fn whoami(sh: &mut Shell<'_>, _: &[String], io: &mut Streams) -> i32 {
    if sh.is_dos() {
        let host = sh.guest.hostname.to_lowercase();
        return line(io, &format!("{host}\\{}\r", sh.user.name.to_lowercase()));
    }
    line(io, sh.user.name)
}

/// `id`, with `-u` and `-n`.
pub fn id(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let wanted = plain(args).first().copied().unwrap_or(sh.user.name);
    let Some(user) = sh.guest.user(wanted) else {
        io.complain(&format!("id: '{wanted}': no such user\n"));
        return 1;
    };
    let (id, name) = (user.id, user.name);
    match (flag(args, 'u') || flag(args, 'g'), flag(args, 'n')) {
        (true, true) => line(io, name),
        (true, false) => line(io, &id.to_string()),
        _ => line(io, &format!("uid={id}({name}) gid={id}({name}) groups={id}({name})")),
    }
}

/// `ip addr`, `ip route`.
pub fn ip(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let address = &sh.guest.address;
    if plain(args).first().is_some_and(|it| it.starts_with('r')) {
        let gateway = address.rsplit_once('.').map_or("192.0.2", |it| it.0);
        return line(io, &format!("default via {gateway}.1 dev ens192 onlink"));
    }
    io.say("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n");
    io.say("2: ens192: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP\n");
    line(io, &format!("    inet {address}/24 brd + scope global ens192"))
}

/// `pwd`.
pub fn pwd(sh: &mut Shell<'_>, _: &[String], io: &mut Streams) -> i32 {
    line(io, &sh.tree().shown(&sh.cwd))
}

/// `uname`, with `-a`, `-r`, `-n`, `-m`.
pub fn uname(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let parts = [
        ('s', "Linux"),
        ('n', sh.guest.hostname.as_str()),
        ('r', "6.1.0-18-amd64"),
        ('v', "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1"),
        ('m', "x86_64"),
        ('o', "GNU/Linux"),
    ];
    let none = args.len() < 2;
    let wanted = |it: &&(char, &str)| flag(args, 'a') || flag(args, it.0) || (none && it.0 == 's');
    let shown: Vec<&str> = parts.iter().filter(wanted).map(|it| it.1).collect();
    line(io, &shown.join(" "))
}

/// `ps`: all processes whatever is asked, the shell itself left out.
pub fn ps(sh: &mut Shell<'_>, _: &[String], io: &mut Streams) -> i32 {
    io.say("USER         PID STARTED              COMMAND\n");
    let now = sh.guest.now;
    let shown = |it: &Process| {
        format!("{:<10} {:>5} {} {}\n", it.owner, it.pid, stamp(it.started), it.line)
    };
    let all: String = sh.guest.processes.iter().filter(|it| it.runs(now)).map(shown).collect();
    io.say(&all);
    0
}

/// `ls`, with `-l`, `-a`, `-d` and `-1`; one name a line.
pub fn ls(sh: &mut Shell<'_>, args: &[String], io: &mut Streams) -> i32 {
    let (long, all) = (flag(args, 'l'), flag(args, 'a'));
    let (mut files, mut status) = (plain(args), 0);
    if files.is_empty() {
        files.push(".");
    }
    let many = files.len() > 1;
    for file in files {
        let inner = sh.path(file);
        let node = match sh.tree().find(sh.user.id, &inner, !long || file.ends_with('/')) {
            Ok(node) => node,
            Err(found) => {
                trouble(args, file, found, io);
                status = 2;
                continue;
            }
        };
        if !node.is_directory() || flag(args, 'd') {
            entry(sh, file, node, long, io);
            continue;
        }
        match sh.tree().children(sh.user.id, &node.path) {
            Ok(inside) => {
                if many {
                    line(io, &format!("{file}:"));
                }
                if long {
                    line(io, &format!("total {}", inside.len() * 4));
                }
                for child in inside.into_iter().filter(|it| all || !it.name().starts_with('.')) {
                    entry(sh, child.name(), child, long, io);
                }
            }
            Err(found) => {
                trouble(args, file, found, io);
                status = 2;
            }
        }
    }
    status
}

fn entry(sh: &Shell<'_>, name: &str, node: &Node, long: bool, io: &mut Streams) {
    if !long {
        line(io, name);
        return;
    }
    let (kind, target) = match &node.body {
        Body::Directory => ('d', String::new()),
        Body::File(_) => ('-', String::new()),
        Body::Link(target) => ('l', format!(" -> {target}")),
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    let mut rights: String =
        bits.map(|(at, c)| if node.mode & (0o400 >> at) != 0 { c } else { '-' }).collect();
    if node.mode & 0o1000 != 0 {
        rights.replace_range(8.., "t");
    }
    let (owner, time) = (sh.guest.name_of(node.owner), stamp(node.changed));
    let clock = time.get(11..16).unwrap_or_default();
    let day = time.get(8..10).unwrap_or_default();
    let (size, month) = (node.size(), month(&time));
    line(
        io,
        &format!(
            "{kind}{rights} 1 {owner:<8} {owner:<8} {size:>8} {month} {day} {clock} {name}{target}"
        ),
    );
}
