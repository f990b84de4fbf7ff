//! What differs from run to run, made the same: the patterns of the transcripts.
//!
//! | What                                                          | Becomes               |
//! |---------------------------------------------------------------|-----------------------|
//! | 16 hex digits (a correlation id)                              | `CORRELATION`         |
//! | an ISO time                                                   | `TIME`                |
//! | 8-4-4-4-12 hex digits                                         | `UUID`                |
//! | six pairs of hex digits with colons                           | `MAC`                 |
//! | a port of 127.0.0.1, from 1024 on                             | `PORT`                |
//! | `vm-12`, `snapshot-7` and other ids of [`KINDS`]              | `vm-#1`, by first use |
//! | a temporary folder of the simulator                           | `FOLDER`              |
//! | a number of nine digits or more (sizes in bytes, addresses)   | `BIG`                 |
//! | the number behind a name of [`MEASURED`], or before `GB free` | `N`                   |
//! | an approval token, or the state of a question                 | `token-#1`, by first use |
//! | our own version, and the text of the instructions             | `VERSION`, `...`      |
//! | the rows of `tools/list`                                      | their names           |
//!
//! Of the demo at a fixed time everything repeats but the correlation ids and what `get_metrics`
//! measures: only these are hidden, and our version, instructions and rows.

use jumpvisor::text::json;
use jumpvisor::text::json::{Array, Value};

/// Kinds of objects whose ids are numbered anew.
const KINDS: &[&str] = &[
    "datacenter",
    "datastore",
    "domain",
    "dvportgroup",
    "dvs",
    "folder",
    "group",
    "host",
    "network",
    "pool",
    "resgroup",
    "session",
    "snapshot",
    "task",
    "vm",
];

/// Names whose values are measured.
const MEASURED: &[&str] =
    &["bytes_received", "bytes_sent", "max_ms", "mean_ms", "memory_bytes", "uptime_seconds"];

/// Makes a case's answers comparable; remembers which id it called by which number.
#[derive(Default)]
pub struct Volatile {
    ids: Vec<(String, String)>,
    fixed: bool,
}

impl Volatile {
    /// For answers of any server, or for those of the demo at a `fixed` time.
    pub fn new(fixed: bool) -> Volatile {
        Volatile { fixed, ..Volatile::default() }
    }

    /// Whether times repeat, too.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// An answer without what is volatile.
    pub fn hide(&mut self, line: &str) -> String {
        let line = names_of_tools(line).unwrap_or_else(|| line.to_owned());
        let version = format!(r#""version":"{}""#, env!("CARGO_PKG_VERSION"));
        let line = without_instructions(&line).replace(&version, r#""version":"VERSION""#);
        // `get_vm_info` tells an uptime, too, but one that repeats.
        let measures = line.contains("mean_ms");
        let (mut out, mut rest) = (String::new(), line.as_str());
        while let Some(first) = rest.chars().next() {
            let word = |it: char| it.is_alphanumeric() || it == '_';
            let inside = out.ends_with(word) && !out.ends_with(r"\n");
            let found = if inside { None } else { self.pattern(rest, measures) };
            let (shown, length) = found.unwrap_or((first.to_string(), first.len_utf8()));
            out.push_str(&shown);
            rest = &rest[length..];
        }
        out
    }

    /// A request with the ids that `vm-#1` and its kin stand for.
    pub fn show(&self, line: &str) -> String {
        let known = self.ids.iter().rev();
        known.fold(line.to_owned(), |line, (real, shown)| line.replace(shown, real))
    }

    /// The pattern that the text begins with: what it becomes, and how long it is.
    fn pattern(&mut self, text: &str, measures: bool) -> Option<(String, usize)> {
        let plain = |shown: &str, length| Some((shown.to_owned(), length));
        let token = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        // Its end as seconds since 1970 comes first.
        if text.starts_with("AAAAAG") && text.find(|it| !token(it)).unwrap_or(text.len()) == 75 {
            return Some((self.number("token", &text[..75]), 75));
        }
        if self.fixed {
            return match bounded(text, "hhhhhhhhhhhhhhhh") {
                Some(length) => plain("CORRELATION", length),
                None if measures => measured(text),
                None => None,
            };
        }
        if let Some(length) = shaped(text, "dddd-dd-ddTdd:dd:dd") {
            let more = text[length..].find(|it: char| !it.is_ascii_digit() && it != '.');
            let length = length + more.unwrap_or(text.len() - length);
            let zone = text[length..].starts_with('Z') as usize;
            return plain("TIME", length + zone);
        }
        if let Some(length) = bounded(text, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") {
            return plain("UUID", length);
        }
        if let Some(length) = bounded(text, "hhhhhhhhhhhhhhhh") {
            return plain("CORRELATION", length);
        }
        if let Some(length) = bounded(text, "hh:hh:hh:hh:hh:hh") {
            return plain("MAC", length);
        }
        if let Some(folder) = text.strip_prefix("govcsim-") {
            return plain("FOLDER", 8 + folder.find(['"', '\\', '@', '/']).unwrap_or(folder.len()));
        }
        if let Some(port) = text.strip_prefix("127.0.0.1:") {
            let digits = digits(port);
            return if digits > 3 { plain("127.0.0.1:PORT", 10 + digits) } else { None };
        }
        let length = digits(text);
        if length > 8 && !text[length..].starts_with(char::is_alphanumeric) {
            return plain("BIG", length);
        }
        if length > 0 && text[length..].starts_with(" GB free") {
            return plain("N", length);
        }
        let word = text.find(|it: char| !it.is_ascii_lowercase() && it != '_')?;
        let (name, behind) = text.split_at(word);
        if let (true, Some(number)) = (KINDS.contains(&name), behind.strip_prefix('-')) {
            let length = word + 1 + digits(number);
            let whole = !number[digits(number)..].starts_with(char::is_alphanumeric);
            return match digits(number) {
                1.. if whole => Some((self.number(name, &text[..length]), length)),
                _ => None,
            };
        }
        measured(text)
    }

    fn number(&mut self, kind: &str, id: &str) -> String {
        if let Some((_, shown)) = self.ids.iter().find(|(real, _)| real == id) {
            return shown.clone();
        }
        let before = self
            .ids
            .iter()
            .filter(|(_, shown)| shown.rsplit_once("-#").is_some_and(|(it, _)| it == kind));
        let shown = format!("{kind}-#{}", before.count() + 1);
        self.ids.push((id.to_owned(), shown.clone()));
        shown
    }
}

/// A measured value with its name, which the text begins with.
fn measured(text: &str) -> Option<(String, usize)> {
    let word = text.find(|it: char| !it.is_ascii_lowercase() && it != '_')?;
    let (name, behind) = text.split_at(word);
    let gap = ["\":", ": ", " "].iter().find(|gap| behind.starts_with(**gap))?.len();
    match digits(&behind[gap..]) {
        0 => None,
        _ if !MEASURED.contains(&name) => None,
        length => Some((format!("{}N", &text[..word + gap]), word + gap + length)),
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The length of a shape (`d` a digit, `h` a lower hex digit) that the text begins with.
fn shaped(text: &str, shape: &str) -> Option<usize> {
    let fits = |(have, want): (u8, u8)| match want {
        b'd' => have.is_ascii_digit(),
        b'h' => have.is_ascii_digit() || (b'a'..=b'f').contains(&have),
        want => have == want,
    };
    let long = text.len() >= shape.len();
    (long && text.bytes().zip(shape.bytes()).all(fits)).then_some(shape.len())
}

/// The same, and nothing more of a word follows.
fn bounded(text: &str, shape: &str) -> Option<usize> {
    let length = shaped(text, shape)?;
    let more = text[length..].starts_with(|it: char| it.is_alphanumeric() || it == '-');
    (!more).then_some(length)
}

/// An answer to `tools/list` with names in the place of rows.
fn names_of_tools(line: &str) -> Option<String> {
    let Ok(Value::Object(mut answer)) = json::parse(line) else { return None };
    let Some(Value::Object(result)) = answer.get_mut("result") else { return None };
    let Some(Value::Array(tools)) = result.get("tools") else { return None };
    let name = |tool: &Value| match tool {
        Value::Object(tool) => json::get_text(tool, "name").map(json::text),
        _ => None,
    };
    let names: Option<Array> = tools.iter().map(name).collect();
    result.insert("tools".to_owned(), Value::Array(names?));
    Some(json::write_object(&answer))
}

fn without_instructions(line: &str) -> String {
    const START: &str = r#""instructions":""#;
    let Some(start) = line.find(START).map(|at| at + START.len()) else { return line.to_owned() };
    let mut escaped = false;
    let end = line[start..].find(|it: char| {
        let end = it == '"' && !escaped;
        escaped = it == '\\' && !escaped;
        end
    });
    format!("{}...{}", &line[..start], &line[start + end.unwrap_or(0)..])
}

#[test]
fn only_what_is_volatile_is_hidden() {
    let mut it = Volatile::default();
    for (given, hidden) in [
        ("vm-12 vm-3 vm-12 host_vm-4 vm-x", "vm-#1 vm-#2 vm-#1 host_vm-4 vm-x"),
        ("ha-host_VM0 esxi:vm-9a snapshot-7", "ha-host_VM0 esxi:vm-9a snapshot-#1"),
        ("at 2026-01-02T03:04:05.678Z.", "at TIME."),
        ("near 0123456789abcdef, not 0123456789abcdef0", "near CORRELATION, not 0123456789abcdef0"),
        ("b03b24de-847f-5b0d-85f4-221b300038a8", "UUID"),
        ("00:0c:29:38:61:38 127.0.0.1:40000 127.0.0.1:9", "MAC 127.0.0.1:PORT 127.0.0.1:9"),
        ("/tmp/govcsim-DC0-Local_0-12@x", "/tmp/FOLDER@x"),
        ("4194304 824637976608 (22 GB free)", "4194304 BIG (N GB free)"),
        (
            r#""mean_ms":3,"calls":4 mean_ms 5\nuptime_seconds: 6"#,
            r#""mean_ms":N,"calls":4 mean_ms N\nuptime_seconds: N"#,
        ),
        (r#"{"instructions":"a \"b\" c","x":1}"#, r#"{"instructions":"...","x":1}"#),
    ] {
        assert_eq!(it.hide(given), hidden);
    }
    assert_eq!(it.show("vm-#2 and vm-#1"), "vm-3 and vm-12");
}
