//! Patterns for names: `*`, `?`, `[abc]`, `[a-z]`, `[!0-9]`, and everything else as it stands.
//!
//! There is no escape character; `[*]` is a star. It knows nothing of paths: `*` crosses `/`.
//! Surprising: only the last `*` is ever tried again, which is enough, so that the time is at
//! most the product of both lengths and a pattern like `*a*a*a*a*b` costs nothing.

/// A pattern that is ready to be compared with many texts.
#[derive(Clone, Debug)]
pub struct Glob {
    parts: Vec<Part>,
    any_case: bool,
}

#[derive(Clone, Debug)]
enum Part {
    /// `*`: any number of characters, none included.
    Many,
    /// `?`: one character.
    One,
    /// A character that stands for itself.
    This(char),
    /// `[a-c]`: one character out of (or with `!` outside) inclusive ranges.
    Among { ranges: Vec<(char, char)>, outside: bool },
}

impl Glob {
    /// Reads a pattern; every text is one, since a `[` that is never closed stands for itself.
    /// `any_case` makes capital and small letters equal.
    pub fn new(pattern: &str, any_case: bool) -> Glob {
        let chars: Vec<char> = pattern.chars().collect();
        let last_close = chars.iter().rposition(|&c| c == ']').unwrap_or(0);
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&c) = chars.get(at) {
            at += 1;
            match c {
                '*' if matches!(parts.last(), Some(Part::Many)) => {}
                '*' => parts.push(Part::Many),
                '?' => parts.push(Part::One),
                '[' if at < last_close => match class(&chars, at) {
                    Some((part, next)) => {
                        parts.push(part);
                        at = next;
                    }
                    None => parts.push(Part::This(c)),
                },
                _ => parts.push(Part::This(c)),
            }
        }
        Glob { parts, any_case }
    }

    /// True if the pattern covers the whole text.
    pub fn matches(&self, text: &str) -> bool {
        let mut part = 0;
        let mut rest = text.chars();
        // The part behind the last star, and the text that it was last tried on.
        let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
        loop {
            if let Some(Part::Many) = self.parts.get(part) {
                part += 1;
                retry = Some((part, rest.clone()));
                continue;
            }
            let mut ahead = rest.clone();
            match (self.parts.get(part), ahead.next()) {
                (None, None) => return true,
                (Some(wanted), Some(c)) if self.fits(wanted, c) => {
                    part += 1;
                    rest = ahead;
                    continue;
                }
                (Some(_), None) => return false,
                _ => {}
            }
            let Some((from, mut tried)) = retry else { return false };
            if tried.next().is_none() {
                return false;
            }
            part = from;
            rest = tried.clone();
            retry = Some((from, tried));
        }
    }

    fn fits(&self, part: &Part, c: char) -> bool {
        match part {
            Part::Many | Part::One => true,
            Part::This(wanted) => {
                *wanted == c || (self.any_case && wanted.to_lowercase().eq(c.to_lowercase()))
            }
            Part::Among { ranges, outside } => {
                let within = |c: char| ranges.iter().any(|&(low, high)| (low..=high).contains(&c));
                let found = within(c)
                    || (self.any_case
                        && (c.to_lowercase().any(within) || c.to_uppercase().any(within)));
                found != *outside
            }
        }
    }
}

/// Reads a class whose `[` is just before `at`; gives the index behind its `]`. A `]` that
/// comes first is a member.
fn class(chars: &[char], at: usize) -> Option<(Part, usize)> {
    let outside = matches!(chars.get(at), Some('!' | '^'));
    let first = at + usize::from(outside);
    let close = first + 1 + chars.get(first + 1..)?.iter().position(|&c| c == ']')?;
    let members = chars.get(first..close)?;
    let mut ranges = Vec::new();
    let mut i = 0;
    while let Some(&low) = members.get(i) {
        match (members.get(i + 1), members.get(i + 2)) {
            (Some('-'), Some(&high)) => {
                ranges.push((low, high));
                i += 3;
            }
            _ => {
                ranges.push((low, low));
                i += 1;
            }
        }
    }
    Some((Part::Among { ranges, outside }, close + 1))
}

/// The pattern that covers this text alone.
pub fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' | '?' | '[' => out.extend(['[', c, ']']),
            c => out.push(c),
        }
    }
    out
}

/// True if `pattern` covers the whole of `text`, capital and small letters being different.
pub fn matches(pattern: &str, text: &str) -> bool {
    Glob::new(pattern, false).matches(text)
}

/// As [`matches()`], capital and small letters being equal.
pub fn matches_any_case(pattern: &str, text: &str) -> bool {
    Glob::new(pattern, true).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [
            ("*", ""),
            ("", ""),
            ("web*", "web01"),
            ("*01", "web01"),
            ("w?b*1", "web01"),
            ("**b**", "abc"),
            ("*ab*abc", "ababababc"),
            ("?", "ß"),
            ("a/*", "a/b/c"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a*b", "abc"), ("web", "WEB"), ("*a", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn classes() {
        for (pattern, text) in [
            ("[abc]", "b"),
            ("[!a-z]x", "1x"),
            ("[a-c]*[0-9]", "b and 7"),
            ("[]]", "]"),
            ("[!]]", "a"),
            ("[*]", "*"),
            ("[a-]", "-"),
            ("[", "["),
            ("[abc", "[abc"),
            ("[]", "[]"),
            ("a[!b", "a[!b"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        assert!(!matches("[!a-z]", "k"));
        assert!(!matches("[z-a]", "k"));
        assert!(!matches("[abc]", "B"));
    }

    #[test]
    fn case_can_be_ignored() {
        assert!(matches_any_case("WEB*[A-C]", "web-b"));
        assert!(matches_any_case("[a-c]ÄX", "Bäx"));
        assert!(!matches_any_case("[!a-c]", "B"));
    }

    #[test]
    fn a_text_as_a_pattern_covers_itself_alone() {
        for text in ["a*b", "[x]", "?", "plain]", "[["] {
            assert!(matches(&literal(text), text), "{text}");
        }
        assert!(!matches(&literal("a*b"), "axb") && !matches(&literal("[x]"), "x"));
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let text = "a".repeat(20_000);
        assert!(!matches(&format!("{}b", "*a".repeat(500)), &text));
        assert!(!matches(&format!("{}b", "*".repeat(50_000)), &text));
        assert!(!matches(&format!("*{}", "[".repeat(2_000)), &"[".repeat(1_999)));
        assert!(!matches_any_case(&format!("*{}b", "?".repeat(500)), &text));
    }
}
