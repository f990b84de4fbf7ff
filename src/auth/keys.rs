//! Keys of machines and small sites: who may come with which, and new ones.
//!
//! The file holds SHA-256 digests, never a key; whoever reads it looks at its permissions. It takes
//! the text alone. Surprising: a plain digest is enough, because the keys that are made here are 256
//! random bits; one that a person thought up could be guessed by whoever reads the file.

use ring::digest::{SHA256, digest};

use crate::auth::jwt::MAX_TOKEN;
use crate::auth::random;
use crate::error::{Error, Result, quoted};
use crate::text::base64;
use crate::text::hex::hex;
use crate::text::secret::Secret;

/// Most keys of a file.
pub const MAX_KEYS: usize = 1_000;

/// Mistakes that are told at once.
const SHOWN: usize = 5;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub groups: Vec<String>,
    digest: [u8; 32],
}

/// All keys that are known.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    entries: Vec<Entry>,
}

impl Keys {
    /// Reads lines `name:group,group:sha256-of-key`; `#` begins a comment line. All that is wrong is
    /// said at once, by line; a digest is never repeated in an error.
    pub fn parse(text: &str) -> Result<Keys> {
        let (mut entries, mut wrong) = (Vec::<Entry>::new(), Vec::new());
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        for (at, line) in lines.map(|(at, it)| (at + 1, it.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if wrong.len() == SHOWN || entries.len() == MAX_KEYS {
                wrong.push(format!("line {at}: what follows was not read, it is too much"));
                break;
            }
            match entry(line) {
                Ok(new) => match entries.iter().find(|it| it.clashes(&new)) {
                    None => entries.push(new),
                    Some(old) => {
                        let name = quoted(&old.name);
                        wrong.push(format!(
                            "line {at}: its name or key is that of `{name}` already"
                        ));
                    }
                },
                Err(why) => wrong.push(format!("line {at}: {why}")),
            }
        }
        match wrong.is_empty() {
            true => Ok(Keys { entries }),
            false => Err(Error::usage("keys that cannot be read").listing(wrong).hint(
                "A line is `name:group,group:sha256-of-key`; `jumpvisor key NAME GROUP` makes one",
            )),
        }
    }

    /// All lines: for a warning of groups without rights, and for the number of keys.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whose key this is. All keys are compared, to their last byte, whether one was found or not.
    pub fn find(&self, presented: &str) -> Option<&Entry> {
        if presented.is_empty() || presented.len() > MAX_TOKEN {
            return None;
        }
        let presented_digest = digest(&SHA256, presented.as_bytes());
        let mut found = usize::MAX;
        for (at, entry) in self.entries.iter().enumerate() {
            let pairs = entry.digest.iter().zip(presented_digest.as_ref());
            let differs = pairs.fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
            let differs = usize::from(differs);
            // 1 where they differ, 0 where they are the same, without asking.
            let differs = (differs | differs.wrapping_neg()) >> (usize::BITS - 1);
            found &= at | differs.wrapping_neg();
        }
        self.entries.get(found)
    }
}

impl Entry {
    fn clashes(&self, other: &Entry) -> bool {
        self.name == other.name || self.digest == other.digest
    }
}

/// A new key and its line of the file.
pub fn new(name: &str, groups: &[&str]) -> Result<(Secret, String)> {
    let key = Secret::new(base64::encode_url(&random::<32>()?));
    let digest = hex(digest(&SHA256, key.reveal().as_bytes()).as_ref());
    let line = format!("{}:{}:{digest}", name.trim(), groups.join(","));
    match entry(&line) {
        Ok(_) => Ok((key, line)),
        Err(why) => Err(Error::usage(format!("no key can be made: {why}"))
            .hint("A name holds no colon and a group no comma or colon")),
    }
}

/// One line; the error is the reason alone.
fn entry(line: &str) -> std::result::Result<Entry, String> {
    let parts: Vec<&str> = line.split(':').map(str::trim).collect();
    let [name, groups, digest] = parts[..] else {
        return Err(format!("it has {} parts between colons, three are needed", parts.len()));
    };
    if name.is_empty() || name.starts_with('#') || line.contains(char::is_control) {
        return Err("the name is missing, or no name".to_owned());
    }
    let groups: Vec<String> =
        groups.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    if groups.is_empty() {
        return Err(format!("`{}` is in no group, and so may do nothing", quoted(name)));
    }
    let bytes = digest_bytes(digest).ok_or_else(|| {
        format!(
            "the digest of `{}` is not 64 hexadecimal digits, as sha256sum gives them",
            quoted(name)
        )
    })?;
    if bytes == ring::digest::digest(&SHA256, b"").as_ref() {
        return Err(format!("the digest of `{}` is that of an empty key", quoted(name)));
    }
    Ok(Entry { name: name.to_owned(), groups, digest: bytes })
}

fn digest_bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha(key: &str) -> String {
        hex(digest(&SHA256, key.as_bytes()).as_ref())
    }

    #[test]
    fn a_key_is_found_by_its_digest() {
        let text = format!(
            "\u{feff}# machines\n\n backup : vsphere-readers, nightly :{}\r\nci:lab:{}\n  # no\nlast:x:{}",
            sha("first key, long enough"),
            sha("second").to_uppercase(),
            sha("Ünïcode"),
        );
        let keys = Keys::parse(&text).unwrap();
        let name = |key: &str| keys.find(key).map(|it| it.name.as_str());
        assert_eq!(name("first key, long enough"), Some("backup"));
        assert_eq!((name("second"), name("Ünïcode")), (Some("ci"), Some("last")));
        assert_eq!(keys.entries()[0].groups, ["vsphere-readers", "nightly"]);
        for wrong in ["", "Second", "second ", "backup", &sha("second"), &"x".repeat(100_000)] {
            assert_eq!(name(wrong), None);
        }
        assert!(Keys::default().find("second").is_none() && Keys::parse("").is_ok());
    }

    #[test]
    fn a_new_key_works_and_no_two_are_the_same() {
        let (key, line) = new(" backup", &["vsphere-readers", "b"]).unwrap();
        assert_eq!((key.reveal().len(), line.contains(key.reveal())), (43, false));
        let keys = Keys::parse(&line).unwrap();
        assert_eq!(keys.find(key.reveal()).map(|it| it.groups.len()), Some(2));
        assert_ne!(new("a", &["b"]).unwrap().0.reveal(), key.reveal());
        for (name, groups) in
            [("", &["a"][..]), ("a:b", &["a"]), ("a", &[]), ("a", &[","]), ("a\nb", &["c"])]
        {
            assert!(new(name, groups).is_err(), "{name} {groups:?}");
        }
    }

    #[test]
    fn mistakes_are_told_by_line_and_without_the_digest() {
        let digest = sha("key");
        for (text, said) in [
            (
                format!("a:b:{digest}\na:c:{}", sha("other")),
                "line 2: its name or key is that of `a`",
            ),
            (format!("a:b:{digest}\nc:b:{digest}"), "line 2: its name or key is that of `a`"),
            (format!("a:{digest}"), "line 1: it has 2 parts"),
            (format!("a:b:c:{digest}"), "line 1: it has 4 parts"),
            (format!(":b:{digest}"), "the name is missing"),
            (format!("a: ,:{digest}"), "`a` is in no group"),
            (format!("a:b:{}", &digest[1..]), "`a` is not 64 hexadecimal"),
            (format!("a:b:{}ü", &digest[2..]), "`a` is not 64 hexadecimal"),
            (format!("a:b:{}", digest.replace(|c: char| c.is_ascii_digit(), "g")), "not 64"),
            (format!("a:b:{}", sha("")), "that of an empty key"),
            ("x\n".repeat(50_000), "line 6: what follows was not read"),
        ] {
            let error = Keys::parse(&text).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains(&digest[2..60]), "{error}");
        }
    }
}
