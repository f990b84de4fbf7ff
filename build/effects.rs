//! Reads `src/vim/effects.txt`, the reviewed list of what each method does to a server.
//!
//! It knows methods by name only. Surprising: a method that the list forgets stops the build, so
//! that a new schema cannot bring in one that nobody has judged.

use std::collections::BTreeMap;

/// Marks by what they stand for in the table, strictest first; `src/vim/effect.rs` reads them.
const MARKS: [&str; 4] = ["never", "change", "admin", "read"];

/// The mark of each of `methods` (owner and name), in their order.
pub fn read<'a>(
    text: &str,
    methods: impl Iterator<Item = &'a (String, String)>,
) -> Result<Vec<u8>, String> {
    let mut listed: BTreeMap<(&str, &str), u8> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let mut words = line.split(' ');
        let mark = words.next().and_then(|word| MARKS.iter().position(|mark| *mark == word));
        let (Some(mark), Some(owner)) = (mark, words.next()) else {
            return Err(format!("line {}: not `mark type methods`", number + 1));
        };
        for name in words {
            if listed.insert((owner, name), mark as u8).is_some() {
                return Err(format!("line {}: `{owner}.{name}` is listed twice", number + 1));
            }
        }
    }
    let mut marks = Vec::new();
    for (owner, name) in methods {
        match listed.remove(&(owner.as_str(), name.as_str())) {
            Some(mark) => marks.push(mark),
            None => return Err(format!("`{owner}.{name}` is on no line: judge what it does")),
        }
    }
    match listed.keys().next() {
        None => Ok(marks),
        Some((owner, name)) => Err(format!("`{owner}.{name}` is no method of the schema")),
    }
}
