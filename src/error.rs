//! The one error of the program: what sort, what happened, what to do next.
//!
//! It knows nothing of any layer: each layer adds only what it alone knows (`during`), nobody
//! repeats a lower one, and nobody logs an error that is also returned. Text that came from a peer
//! goes through [`quoted`] first, because a model reads it; what a caller sent is echoed only up to
//! a bound. Surprising: the type is one pointer
//! wide, so that `Result` stays small everywhere.

use std::fmt;

/// What sort of failure this is. Callers branch on this, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A defect of this program; its correlation id is in the log.
    Bug,
    /// Too much at once, or the object is busy with something else; may be tried again.
    Busy,
    /// The caller took the request back.
    Cancelled,
    /// The state of things, or an ambiguous name, forbids it.
    Conflict,
    /// The caller, or the account that is used, may not.
    Denied,
    /// The peer could not be reached or fell silent.
    Network,
    /// There is no such thing.
    NotFound,
    /// The peer was reached and refused.
    Remote,
    /// This hypervisor cannot do it.
    Unsupported,
    /// The request itself is wrong: an argument, a flag, a setting.
    Usage,
}

impl Kind {
    /// The word in `_meta.kind`, in `--json` output and in metrics.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Bug => "bug",
            Kind::Busy => "busy",
            Kind::Cancelled => "cancelled",
            Kind::Conflict => "conflict",
            Kind::Denied => "denied",
            Kind::Network => "network",
            Kind::NotFound => "not_found",
            Kind::Remote => "remote",
            Kind::Unsupported => "unsupported",
            Kind::Usage => "usage",
        }
    }

    /// The exit status of the command line: 2 to 8 by kind, 70 for a defect, 130 when cancelled.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Denied => 4,
            Kind::Conflict => 5,
            Kind::Unsupported => 6,
            Kind::Busy | Kind::Network => 7,
            Kind::Remote => 8,
            Kind::Bug => 70,
            Kind::Cancelled => 130,
        }
    }
}

/// A failure: one sentence that names the thing, and one that says what to do next.
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    text: String,
    items: Vec<String>,
    during: Vec<String>,
    hint: Option<String>,
    fault: Option<String>,
}

/// What every fallible function here returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// `text` is lower case, without a full stop, names in backticks.
    pub fn new(kind: Kind, text: impl Into<String>) -> Error {
        Error::made(kind, text.into())
    }

    /// Apart, so that it is in the program once and not once a sort of text.
    fn made(kind: Kind, text: String) -> Error {
        let (items, during) = (Vec::new(), Vec::new());
        let text = bounded(text);
        Error(Box::new(Inner { kind, text, items, during, hint: None, fault: None }))
    }

    /// A request that is wrong in itself.
    pub fn usage(text: impl Into<String>) -> Error {
        Error::new(Kind::Usage, text)
    }

    /// A broken assumption of ours; never the answer to bad input.
    pub fn bug(text: impl Into<String>) -> Error {
        Error::new(Kind::Bug, text)
    }

    /// Adds what was being attempted; the outermost attempt is printed first.
    pub fn during(self, doing: impl Into<String>) -> Error {
        self.within(doing.into())
    }

    fn within(mut self, doing: String) -> Error {
        self.0.during.push(bounded(doing));
        self
    }

    /// Says what the reader can do next; a hint that a lower layer gave is kept.
    pub fn hint(self, next: impl Into<String>) -> Error {
        self.advised(next.into())
    }

    /// The same where what a lower layer advised would mislead.
    pub fn hint_instead(mut self, next: impl Into<String>) -> Error {
        self.0.hint = None;
        self.advised(next.into())
    }

    fn advised(mut self, next: String) -> Error {
        self.0.hint.get_or_insert_with(|| bounded(next));
        self
    }

    /// Adds the parts of what is wrong, which a terminal shows on lines of their own.
    pub fn listing(mut self, items: impl IntoIterator<Item = String>) -> Error {
        self.0.items.extend(items.into_iter().map(bounded));
        self
    }

    /// Keeps the name of the hypervisor's own fault, such as `InvalidPowerState`.
    pub fn fault(mut self, name: impl Into<String>) -> Error {
        self.0.fault = Some(name.into());
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The name of the hypervisor's own fault, if one caused this.
    pub fn fault_name(&self) -> Option<&str> {
        self.0.fault.as_deref()
    }

    /// What the reader can do next, if anything is known.
    pub fn next_step(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The attempts and the failure, outermost first, without the hint.
    pub fn sentence(&self) -> String {
        self.told(" ", "; ")
    }

    /// The same with each part of a listing on a line of its own, and the hint.
    pub fn in_lines(&self) -> String {
        match self.0.items.len() {
            0 | 1 => self.to_string(),
            _ => self.told("\n  ", "\n  ") + &self.hinted(),
        }
    }

    fn told(&self, before: &str, between: &str) -> String {
        let mut all: Vec<&str> = self.0.during.iter().rev().map(String::as_str).collect();
        all.push(&self.0.text);
        let text = all.join(": ");
        match self.0.items.is_empty() {
            true => text,
            false => format!("{text}:{before}{}", self.0.items.join(between)),
        }
    }

    fn hinted(&self) -> String {
        self.next_step().map_or(String::new(), |hint| format!(". {hint}"))
    }
}

impl Clone for Error {
    fn clone(&self) -> Error {
        Error(self.0.clone())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.sentence() + &self.hinted()))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.word())
    }
}

/// Text of a peer made fit for an error: control characters dropped, cut at 300 characters.
pub fn quoted(text: &str) -> String {
    cut(text, 300).trim().to_owned()
}

/// The most that one part of an error may hold; it echoes what a caller sent.
const LONGEST: usize = 4_000;

/// A part of an error without control characters, cut at [`LONGEST`] characters.
fn bounded(text: String) -> String {
    let fits = text.len() <= LONGEST && !text.chars().any(char::is_control);
    if fits { text } else { cut(&text, LONGEST) }
}

fn cut(text: &str, most: usize) -> String {
    let mut clean = String::new();
    let fit = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    for (count, c) in fit.filter(|c| !c.is_control()).enumerate() {
        if count == most {
            clean.pop();
            clean.push('…');
            break;
        }
        clean.push(c);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outermost_attempt_comes_first_and_the_hint_last() {
        let error = Error::new(Kind::Remote, "the host refused")
            .during("PowerOnVM_Task")
            .during("`web01` on `esx7`")
            .hint("Look at its events")
            .hint("a later hint does not replace it");
        assert_eq!(
            error.to_string(),
            "`web01` on `esx7`: PowerOnVM_Task: the host refused. Look at its events"
        );
        assert_eq!(std::mem::size_of::<Error>(), std::mem::size_of::<usize>());
    }

    #[test]
    fn no_part_is_longer_than_its_bound_or_holds_control_characters() {
        let long = format!("\u{1b}[31m`{}`\n", "ü".repeat(100_000));
        let error = Error::usage(&long).during(&long).hint(&long).listing([long.clone()]);
        assert!(error.to_string().chars().count() < 4 * LONGEST + 20);
        assert!(!error.to_string().contains(char::is_control));
        assert!(error.sentence().starts_with("[31m`ü") && error.sentence().ends_with("ü…"));
        assert_eq!(Error::usage("a\nb").to_string(), "a b");
    }

    #[test]
    fn a_listing_has_lines_of_its_own_on_a_terminal() {
        let error = |count: usize| {
            Error::usage("problems").listing((0..count).map(|it| it.to_string())).hint("Mend them")
        };
        assert_eq!(error(2).to_string(), "problems: 0; 1. Mend them");
        assert_eq!(error(2).in_lines(), "problems:\n  0\n  1. Mend them");
        assert_eq!(error(1).in_lines(), "problems: 0. Mend them");
    }

    #[test]
    fn peer_text_is_cut_and_loses_control_characters() {
        assert_eq!(quoted("a\u{1b}[31m\nb\0"), "a[31m b");
        assert_eq!(quoted(&"x".repeat(5000)).chars().count(), 300);
    }
}
