//! What is wrong with a configuration, collected so that all of it can be told at once.
//!
//! A problem is text that may be shown to anyone: whoever makes one never puts a secret, or a
//! line that could be half of one, into it. Surprising: the collection is bounded, because a
//! hostile file can hold a mistake in each of 100,000 lines.

use std::fmt;

use crate::error::Error;

/// Further problems are counted only.
const MOST: usize = 100;

/// One mistake: where it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `.env line 4`, `ESXI_HOST`, `.env line 4: ESXI_HOST`, `--log-level`; empty if nowhere.
    pub place: String,
    /// What is wrong and what would be right; lower case, no full stop, names in backticks.
    pub text: String,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(place: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.text)
    }
}

/// Problems in the order of their discovery, each once, 100 at most.
#[derive(Debug, Default)]
pub struct Problems {
    all: Vec<Problem>,
    more: usize,
}

impl Problems {
    /// Adds one, unless the same is known.
    pub fn add(&mut self, problem: Problem) {
        self.add_with(|| problem);
    }

    /// As [`Problems::add`]; the text is not even made once there are too many.
    pub fn add_with(&mut self, make: impl FnOnce() -> Problem) {
        if self.all.len() >= MOST {
            self.more += 1;
            return;
        }
        let problem = make();
        if !self.all.contains(&problem) {
            self.all.push(problem);
        }
    }

    /// The problems; a last one says how many were not kept.
    pub fn into_vec(mut self) -> Vec<Problem> {
        if self.more > 0 {
            self.all.push(Problem::new("", format!("and {} more", self.more)));
        }
        self.all
    }
}

/// The error that lists all problems: `configuration: 2 problems: ...; ...`.
pub fn refusal(problems: &[Problem]) -> Error {
    let noun = if problems.len() == 1 { "problem" } else { "problems" };
    Error::usage(format!("{} {noun}", problems.len()))
        .listing(problems.iter().map(Problem::to_string))
        .during("configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_at_once() {
        let mut problems = Problems::default();
        problems.add(Problem::new(".env line 4", "`X` is not an option"));
        problems.add(Problem::new(".env line 4", "`X` is not an option"));
        problems.add(Problem::new("Y", "`a` is not a number"));
        assert_eq!(
            refusal(&problems.into_vec()).to_string(),
            "configuration: 2 problems: .env line 4: `X` is not an option; Y: `a` is not a number"
        );
    }

    #[test]
    fn the_collection_is_bounded() {
        let mut problems = Problems::default();
        (0..10_000).for_each(|i| problems.add(Problem::new("", i.to_string())));
        let all = problems.into_vec();
        assert_eq!(all.len(), 101);
        assert_eq!(all[100].to_string(), "and 9900 more");
    }
}
