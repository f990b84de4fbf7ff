//! "Did you mean": the one known word that a mistyped word was most likely meant to be.
//!
//! It knows nothing of options or arguments. Surprising: a word of fewer than six letters may
//! differ in one place only, because two changes turn most short words into any other.

/// Longer words are not compared: nobody's typing error is this long.
const LONGEST: usize = 80;

/// The candidate that is fewest edits from `wanted` (two at most, one for short words, letters
/// compared without case), the first of several; none if nothing is near.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = folded(wanted)?;
    let allowed = if wanted.len() < 6 { 1 } else { 2 };
    let mut best = None;
    for candidate in candidates {
        let Some(known) = folded(candidate) else { continue };
        if known.len().abs_diff(wanted.len()) > allowed {
            continue;
        }
        let distance = distance(&wanted, &known);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The characters without case, or none for a word that is empty or too long to compare.
fn folded(word: &str) -> Option<Vec<char>> {
    let chars: Vec<char> = word.chars().take(LONGEST + 1).map(|c| c.to_ascii_lowercase()).collect();
    (1..=LONGEST).contains(&chars.len()).then_some(chars)
}

/// Insertions, deletions, replacements and swaps of two neighbours that lead from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut cost = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                cost = cost.min(before_last[j - 1] + 1);
            }
            row.push(cost);
        }
        before_last = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let known = ["memory", "name", "vm", "ESXI_INSECURE"];
        assert_eq!(nearest("memroy", known), Some("memory"));
        assert_eq!(nearest("nmae", known), Some("name"));
        assert_eq!(nearest("vmm", known), Some("vm"));
        assert_eq!(nearest("esxi_insecur", known), Some("ESXI_INSECURE"));
    }

    #[test]
    fn does_not_guess_wildly() {
        assert_eq!(nearest("cpu", ["vm", "name"]), None);
        assert_eq!(nearest("", ["vm"]), None);
        assert_eq!(nearest("memory_size", ["memory"]), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), ["x"]), None);
    }

    #[test]
    fn prefers_the_nearer_and_then_the_first() {
        assert_eq!(nearest("ESXI_HOST_", ["ESXI_HOST_1", "ESXI_HOST"]), Some("ESXI_HOST_1"));
        assert_eq!(nearest("ESXI_HOST", ["ESXI_HOSTS", "ESXI_HOST"]), Some("ESXI_HOST"));
    }

    #[test]
    fn counts_edits() {
        let count = |a: &str, b: &str| {
            distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
        };
        assert_eq!(count("kitten", "sitting"), 3);
        assert_eq!(count("ab", "ba"), 1);
        assert_eq!(count("", "abc"), 3);
        assert_eq!(count("same", "same"), 0);
    }
}
