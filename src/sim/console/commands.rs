//! The words that the simulated appliance understands, and how a typed line finds its row.
//!
//! Nothing is carried out here. Surprising: the same rows serve abbreviations, `?`, Tab and the
//! caret under a wrong word, so a row added here has all four.

use crate::text::order;

/// May be typed before `enable`.
pub const USER: u8 = 1;
/// May be typed after `enable`.
pub const PRIVILEGED: u8 = 2;
/// May be typed after `configure terminal`.
pub const CONFIG: u8 = 4;
/// May be typed below `interface`.
pub const INTERFACE: u8 = 8;

const EXEC: u8 = USER | PRIVILEGED;
const ANY_CONFIG: u8 = CONFIG | INTERFACE;

/// What a row does.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Act {
    Enable,
    Disable,
    Exit,
    Logout,
    Ping,
    ShowVersion,
    ShowClock,
    ShowInterfaces,
    ShowBrief,
    ShowRoutes,
    ShowUsers,
    ShowRunning,
    ShowStartup,
    TerminalLength,
    TerminalWidth,
    Configure,
    Copy,
    Write,
    Erase,
    Reload,
    End,
    Hostname,
    Interface,
    Banner,
    Username,
    Secret,
    Route,
    NameServer,
    Address,
    Description,
    Shutdown,
}

/// Where, which words (`<one>` word or the `<rest..>` of the line), what.
type Row = (u8, &'static str, Act);

const ROWS: &[Row] = &[
    (EXEC, "enable", Act::Enable),
    (PRIVILEGED, "disable", Act::Disable),
    (EXEC | ANY_CONFIG, "exit", Act::Exit),
    (EXEC, "logout", Act::Logout),
    (EXEC, "ping <host>", Act::Ping),
    (EXEC, "show clock", Act::ShowClock),
    (EXEC, "show interfaces", Act::ShowInterfaces),
    (EXEC, "show interfaces <interface..>", Act::ShowInterfaces),
    (EXEC, "show ip interface brief", Act::ShowBrief),
    (EXEC, "show ip route", Act::ShowRoutes),
    (PRIVILEGED, "show running-config", Act::ShowRunning),
    (PRIVILEGED, "show startup-config", Act::ShowStartup),
    (EXEC, "show users", Act::ShowUsers),
    (EXEC, "show version", Act::ShowVersion),
    (EXEC, "terminal length <number>", Act::TerminalLength),
    (EXEC, "terminal width <number>", Act::TerminalWidth),
    (PRIVILEGED, "configure terminal", Act::Configure),
    (PRIVILEGED, "copy running-config startup-config", Act::Copy),
    (PRIVILEGED, "erase startup-config", Act::Erase),
    (PRIVILEGED, "reload", Act::Reload),
    (PRIVILEGED, "write", Act::Write),
    (PRIVILEGED, "write memory", Act::Write),
    (ANY_CONFIG, "banner motd <text..>", Act::Banner),
    (INTERFACE, "description <text..>", Act::Description),
    (ANY_CONFIG, "enable secret <word>", Act::Secret),
    (ANY_CONFIG, "end", Act::End),
    (ANY_CONFIG, "hostname <word>", Act::Hostname),
    (ANY_CONFIG, "interface <interface..>", Act::Interface),
    (INTERFACE, "ip address <address> <mask>", Act::Address),
    (ANY_CONFIG, "ip name-server <address>", Act::NameServer),
    (ANY_CONFIG, "ip route <address> <mask> <gateway>", Act::Route),
    (INTERFACE, "shutdown", Act::Shutdown),
    (ANY_CONFIG, "username <word> password <word>", Act::Username),
];

/// What `?` says about a word.
const WORDS: &[(&str, &str)] = &[
    ("address", "Address of the interface"),
    ("banner", "Define a login banner"),
    ("brief", "One line for each interface"),
    ("clock", "Display the system clock"),
    ("configure", "Enter configuration mode"),
    ("copy", "Copy from one file to another"),
    ("description", "Text that describes this interface"),
    ("disable", "Turn off privileged commands"),
    ("do", "Run an exec command from configuration mode"),
    ("enable", "Turn on privileged commands, or their password"),
    ("end", "Leave configuration mode"),
    ("erase", "Erase a configuration"),
    ("exit", "Leave this mode"),
    ("hostname", "Set the system's name"),
    ("interface", "An interface"),
    ("interfaces", "Status and counters of interfaces"),
    ("ip", "Internet protocol"),
    ("length", "Lines on a screen, 0 for no pausing"),
    ("logout", "Leave the console"),
    ("memory", "Write to non-volatile memory"),
    ("motd", "Message of the day"),
    ("name-server", "Address of a name server"),
    ("no", "Negate a command or set its default"),
    ("password", "Password of the user"),
    ("ping", "Send echo messages"),
    ("reload", "Halt and restart"),
    ("route", "Static routes, the routing table"),
    ("running-config", "Current operating configuration"),
    ("secret", "Password for privileged commands"),
    ("show", "Show running system information"),
    ("shutdown", "Shut the interface down"),
    ("startup-config", "Configuration used at the next start"),
    ("terminal", "Settings of this terminal"),
    ("username", "A local user"),
    ("users", "Who is logged in"),
    ("version", "Hardware and software"),
    ("width", "Columns of a screen"),
    ("write", "Write the running configuration"),
    ("<address>", "A.B.C.D"),
    ("<gateway>", "A.B.C.D of the next hop"),
    ("<host>", "Name or address"),
    ("<interface..>", "Such as GigabitEthernet 0/0"),
    ("<mask>", "A.B.C.D of the mask"),
    ("<number>", "0-512"),
    ("<text..>", "The rest of the line"),
    ("<word>", "A word"),
];

/// What a line was found to be.
#[derive(Debug, PartialEq)]
pub enum Found<'a> {
    /// Nothing is typed, or a comment.
    Nothing,
    /// This, with its arguments.
    Do(Act, Vec<&'a str>),
    /// Words are missing.
    Incomplete,
    /// An abbreviation of several words.
    Ambiguous,
    /// Wrong from this offset on.
    Invalid(usize),
}

/// Each word and where it begins.
fn tokens(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = line.as_ptr().addr();
    line.split_ascii_whitespace().map(move |it| (it.as_ptr().addr() - start, it))
}

fn word(row: &Row, at: usize) -> Option<&'static str> {
    row.1.split(' ').nth(at)
}

fn is_argument(word: &str) -> bool {
    word.starts_with('<')
}

/// Keywords at a position that a typed word may mean; a whole word means itself alone.
fn meant(rows: &[&Row], at: usize, typed: &str) -> Vec<&'static str> {
    let typed = typed.to_ascii_lowercase();
    let mut found: Vec<&'static str> = Vec::new();
    for word in rows.iter().filter_map(|it| word(it, at)) {
        if !is_argument(word) && word.starts_with(&typed) && !found.contains(&word) {
            found.push(word);
        }
    }
    match found.iter().find(|it| **it == typed) {
        Some(whole) => vec![whole],
        None => found,
    }
}

/// The rows that a line leaves possible, how many of their words it has, and its arguments.
type Narrowed<'a> = (Vec<&'static Row>, usize, Vec<&'a str>);

fn narrow<'a>(mode: u8, line: &'a str) -> Result<Narrowed<'a>, Found<'a>> {
    let mut rows: Vec<&Row> = ROWS.iter().filter(|it| it.0 & mode != 0).collect();
    let (mut at, mut arguments) = (0, Vec::new());
    for (offset, typed) in tokens(line) {
        match meant(&rows, at, typed).as_slice() {
            [one] => rows.retain(|it| word(it, at) == Some(one)),
            [] => {
                rows.retain(|it| word(it, at).is_some_and(is_argument));
                let Some(first) = rows.first().and_then(|it| word(it, at)) else {
                    return Err(Found::Invalid(offset));
                };
                if first.ends_with("..>") {
                    arguments.push(line[offset..].trim_end());
                    return Ok((rows, at + 1, arguments));
                }
                arguments.push(typed);
            }
            _ => return Err(Found::Ambiguous),
        }
        at += 1;
    }
    Ok((rows, at, arguments))
}

/// What the line asks for in this mode; behind `no`, arguments may be left out.
pub fn find(mode: u8, line: &str, no: bool) -> Found<'_> {
    if line.trim().is_empty() || line.trim_start().starts_with('!') {
        return Found::Nothing;
    }
    let (rows, at, arguments) = match narrow(mode, line) {
        Ok(found) => found,
        Err(wrong) => return wrong,
    };
    let ends = |row: &&&Row| match word(row, at) {
        None => true,
        Some(next) => no && is_argument(next),
    };
    match rows.iter().find(ends) {
        Some(row) => Found::Do(row.2, arguments),
        None => Found::Incomplete,
    }
}

/// What may follow, as `?` lists it.
pub fn help(mode: u8, line: &str) -> String {
    let open = line.is_empty() || line.ends_with(' ');
    let (before, last) = match line.rfind(' ') {
        Some(at) if !open => line.split_at(at + 1),
        None if !open => ("", line),
        _ => (line, ""),
    };
    let Ok((rows, at, _)) = narrow(mode, before) else {
        return "% Unrecognized command\n".to_owned();
    };
    let mut next: Vec<&str> = rows.iter().map(|it| word(it, at).unwrap_or("<cr>")).collect();
    if at == 0 && mode & ANY_CONFIG != 0 {
        next.extend(["do", "no"]);
    }
    next.retain(|it| last.is_empty() || it.starts_with(&last.to_ascii_lowercase()));
    let mut next = order::by(next, &|a, b| a.cmp(b));
    next.dedup();
    let mut text = String::new();
    for word in next {
        let about = WORDS.iter().find(|it| it.0 == word).map_or("", |it| it.1);
        text.push_str(format!("  {word:16} {about}").trim_end());
        text.push('\n');
    }
    match text.is_empty() {
        true => "% Unrecognized command\n".to_owned(),
        false => text,
    }
}

/// What Tab adds to the line, if only one word can be meant.
pub fn complete(mode: u8, line: &str) -> String {
    let (before, last) = line.split_at(line.rfind(' ').map_or(0, |it| it + 1));
    if let (false, Ok((rows, at, _))) = (last.is_empty(), narrow(mode, before))
        && let [one] = meant(&rows, at, last).as_slice()
    {
        return format!("{} ", &one[last.len()..]);
    }
    String::new()
}

/// What is said about a line that nothing was found for; the caret stands under the wrong word, which
/// a prompt of this width pushes to the right.
pub fn complaint(wrong: &Found, line: &str, width: usize) -> String {
    match wrong {
        Found::Invalid(at) => {
            let room = width + at;
            format!("{:room$}^\n% Invalid input detected at '^' marker.\n\n", "")
        }
        Found::Ambiguous => format!("% Ambiguous command:  \"{}\"\n", line.trim()),
        _ => "% Incomplete command.\n\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_find_their_row() {
        for (mode, line, act, arguments) in [
            (USER, "sh ver", Act::ShowVersion, vec![]),
            (PRIVILEGED, "SH RUN", Act::ShowRunning, vec![]),
            (PRIVILEGED, "conf t", Act::Configure, vec![]),
            (PRIVILEGED, "wr", Act::Write, vec![]),
            (PRIVILEGED, "copy run start", Act::Copy, vec![]),
            (USER, "sh ip int br", Act::ShowBrief, vec![]),
            (CONFIG, "int gi 0/1", Act::Interface, vec!["gi 0/1"]),
            (INTERFACE, "ip addr 10.0.0.1 255.0.0.0", Act::Address, vec!["10.0.0.1", "255.0.0.0"]),
            (INTERFACE, " desc  to the  lab ", Act::Description, vec!["to the  lab"]),
        ] {
            assert_eq!(find(mode, line, false), Found::Do(act, arguments), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        assert_eq!(find(USER, "show bogus", false), Found::Invalid(5));
        assert_eq!(find(USER, "show running-config", false), Found::Invalid(5));
        assert_eq!(find(USER, "show version now", false), Found::Invalid(13));
        assert_eq!(find(USER, "show", false), Found::Incomplete);
        assert_eq!(find(PRIVILEGED, "e", false), Found::Ambiguous);
        assert_eq!(find(INTERFACE, "ip address", false), Found::Incomplete);
        assert_eq!(find(INTERFACE, "ip address", true), Found::Do(Act::Address, vec![]));
        assert_eq!(find(USER, " ! a comment", false), Found::Nothing);
    }

    #[test]
    fn help_lists_what_may_follow() {
        assert!(help(USER, "show ").contains("  version          Hardware and software\n"));
        assert_eq!(help(USER, "show v"), "  version          Hardware and software\n");
        assert!(help(USER, "show version ").contains("<cr>"));
        assert!(!help(USER, "").contains("configure"));
        assert!(help(USER, "bogus ").starts_with("% Unrecognized"));
        assert_eq!(complete(USER, "sh"), "ow ");
        assert_eq!(complete(USER, "show ver"), "sion ");
        assert_eq!(complete(USER, "zz"), "");
    }

    #[test]
    fn every_word_is_explained() {
        for row in ROWS {
            for word in row.1.split(' ') {
                assert!(WORDS.iter().any(|it| it.0 == word), "{word}");
            }
        }
    }
}
