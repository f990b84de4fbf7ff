//! The simple part of regular expressions: `.`, `*`, `+`, `?`, `^`, `$`, `[a-z]`, `\d`, `\w`, `\s`,
//! a backslash before any other character, and `|` between whole patterns.
//!
//! A `matchPattern` of a guest and `grep` use it. No groups and no counts: `(`, `)`, `{` and `}`
//! stand for themselves. Surprising: it gives up, and says no, after a bounded number of steps, so
//! that `.*.*.*.*x` costs nothing.

/// Most comparisons of one search.
const MOST_STEPS: u32 = 100_000;

/// True if the pattern is found anywhere in the text.
pub fn found(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut steps = MOST_STEPS;
    split(pattern).iter().any(|one| {
        let (anchored, rest) = match one.split_first() {
            Some(('^', rest)) => (true, rest),
            _ => (false, one.as_slice()),
        };
        let last = if anchored { 0 } else { text.len() };
        (0..=last).any(|from| here(rest, text.get(from..).unwrap_or_default(), &mut steps))
    })
}

/// The alternatives between bars that are neither escaped nor in a class.
fn split(pattern: &str) -> Vec<Vec<char>> {
    let (mut all, mut one) = (Vec::new(), Vec::new());
    let (mut escaped, mut class) = (false, false);
    for c in pattern.chars().take(512) {
        if c == '|' && !escaped && !class {
            all.push(std::mem::take(&mut one));
            continue;
        }
        class = !escaped && (c == '[' || (class && c != ']'));
        escaped = c == '\\' && !escaped;
        one.push(c);
    }
    all.push(one);
    all
}

/// How many characters the first unit of the pattern takes.
fn unit(pattern: &[char]) -> usize {
    match pattern.first() {
        Some('\\') if pattern.len() > 1 => 2,
        Some('[') => {
            let close = pattern.iter().skip(2).position(|c| *c == ']');
            close.map_or(1, |at| at + 3)
        }
        _ => 1,
    }
}

fn fits(unit: &[char], c: char) -> bool {
    match unit {
        ['.'] => true,
        ['\\', 'd'] => c.is_ascii_digit(),
        ['\\', 'w'] => c.is_alphanumeric() || c == '_',
        ['\\', 's'] => c.is_whitespace(),
        ['\\', other] => *other == c,
        ['[', inner @ .., ']'] => {
            let (outside, mut rest) = match inner.split_first() {
                Some(('^', rest)) => (true, rest),
                _ => (false, inner),
            };
            let mut within = false;
            while let Some((low, tail)) = rest.split_first() {
                (within, rest) = match tail {
                    ['-', high, tail @ ..] => (within || (*low..=*high).contains(&c), tail),
                    tail => (within || *low == c, tail),
                };
            }
            within != outside
        }
        [own] => *own == c,
        _ => false,
    }
}

fn here(pattern: &[char], text: &[char], steps: &mut u32) -> bool {
    let Some(left) = steps.checked_sub(1) else { return false };
    *steps = left;
    if pattern.is_empty() {
        return true;
    }
    if pattern == ['$'] {
        return text.is_empty();
    }
    let (one, rest) = pattern.split_at(unit(pattern));
    let (least, most, rest) = match rest.split_first() {
        Some(('*', rest)) => (0, text.len(), rest),
        Some(('+', rest)) => (1, text.len(), rest),
        Some(('?', rest)) => (0, 1, rest),
        _ => (1, 1, rest),
    };
    let run = text.iter().take(most).take_while(|c| fits(one, **c)).count();
    (least..=run).rev().any(|count| here(rest, text.get(count..).unwrap_or_default(), steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_clients_ask_for() {
        for (pattern, yes, no) in [
            (".*", "anything", ""),
            ("^sys.*\\.log$", "syslog.log", "my-syslog.log"),
            ("log", "syslog.1", "messages"),
            ("[0-9]+$", "syslog.12", "syslog.x"),
            ("^[^.]", "visible", ".hidden"),
            ("a|b$", "cab", "c"),
            ("colou?r", "color", "colr"),
        ] {
            assert!(found(pattern, yes), "{pattern} in {yes}");
            assert!(no.is_empty() || !found(pattern, no), "{pattern} in {no}");
        }
    }

    #[test]
    fn a_malicious_pattern_ends() {
        assert!(!found(&(".*".repeat(60) + "x"), &"a".repeat(200)));
        assert!(!found("[", "a") && !found("[a", "a") && !found("\\", "a"));
    }
}
