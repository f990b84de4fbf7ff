//! What a name as written means: which option, which server, and which way to its value.
//!
//! It never sees a value. Surprising: `ESXI_PASS_1_FILE` and `ESXI_CA_FILE_1` are both right,
//! because the second `_FILE` belongs to the option's own name.

use crate::config::options::{Kind, MOST_SERVERS, OPTIONS, Opt, row};
use crate::text::nearest::nearest;

/// How the value is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The value itself.
    Value,
    /// `X_FILE`: the path of a file that holds it.
    File,
    /// `X_SECRET_PATH`: the same.
    SecretPath,
    /// A systemd credential.
    Credential,
}

/// Suffixes that turn the name of a secret into the name of its file.
const WAYS: [(&str, Way); 2] = [("_FILE", Way::File), ("_SECRET_PATH", Way::SecretPath)];

const GUEST: &str = "GUEST_CRED_";

/// What a name means.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its row.
    pub option: &'static Opt,
    /// The option's own name with the number, without alias and way: `ESXI_PASS_1`.
    pub canonical: String,
    /// 0 for the first server and for everything that is not numbered.
    pub number: u16,
    /// How the value is given.
    pub way: Way,
}

/// What `name` means; none if it is not ours.
pub fn find(name: &str) -> Option<Named> {
    if let Some((option, canonical, number)) = plain(name) {
        return Some(Named { option, canonical, number, way: Way::Value });
    }
    WAYS.iter().find_map(|&(suffix, way)| {
        let (option, canonical, number) = plain(name.strip_suffix(suffix)?)?;
        (option.kind == Kind::Secret).then_some(Named { option, canonical, number, way })
    })
}

/// Resolves a name without a way.
fn plain(name: &str) -> Option<(&'static Opt, String, u16)> {
    if name.contains('*') {
        return None;
    }
    if let Some(option) = row(name) {
        return Some((option, option.name.to_owned(), 0));
    }
    if let Some(option) = guest(name) {
        return Some((option, name.to_owned(), 0));
    }
    let (stem, digits) = name.rsplit_once('_')?;
    let number = server_number(digits)?;
    let option = row(stem).filter(|option| option.numbered)?;
    Some((option, numbered(option.name, number), number))
}

/// `GUEST_CRED_web_USER` and `GUEST_CRED_web_PASSWORD`.
fn guest(name: &str) -> Option<&'static Opt> {
    let rest = name.strip_prefix(GUEST)?;
    let (chosen, part) = rest.rsplit_once('_')?;
    if chosen.is_empty() {
        return None;
    }
    OPTIONS.iter().find(|row| {
        row.name.strip_prefix(GUEST).and_then(|rest| rest.strip_prefix("*_")) == Some(part)
    })
}

/// `1` to `256`, written as people count.
fn server_number(digits: &str) -> Option<u16> {
    if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| (1..=MOST_SERVERS).contains(number))
}

/// True for `ESXI_HOST_0`, `ESXI_HOST_01` and `ESXI_HOST_257`.
pub fn is_misnumbered(name: &str) -> bool {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    name.rsplit_once('_').is_some_and(|(stem, digits)| {
        number(digits)
            && server_number(digits).is_none()
            && row(stem).is_some_and(|option| option.numbered)
    })
}

/// `ESXI_HOST` and 0 give `ESXI_HOST`, 2 gives `ESXI_HOST_2`.
pub fn numbered(name: &str, number: u16) -> String {
    if number == 0 { name.to_owned() } else { format!("{name}_{number}") }
}

/// True for names that are so clearly meant for us that an unknown one is a mistake.
pub fn is_claimed(name: &str) -> bool {
    is_server(name) || name.starts_with(GUEST)
}

/// True for names of a server's settings.
pub fn is_server(name: &str) -> bool {
    ["ESXI_", "VCENTER_"].iter().any(|prefix| name.starts_with(prefix))
}

/// True for names that say nothing about whose file they stand in: other programs use them too.
pub fn is_common(option: &Opt) -> bool {
    let known = ["LOG_LEVEL", "LOG_FORMAT", "METRICS", "HTTPS_PROXY", "NO_PROXY"];
    known.contains(&option.name)
        || ["OAUTH_", "MCP_"].iter().any(|prefix| option.name.starts_with(prefix))
}

/// The name that an unknown one was most likely meant to be.
pub fn suggestion(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    if find(&upper).is_some() {
        return Some(upper);
    }
    let (stem, digits) = without_number(&upper);
    let known = spellings(digits.is_some());
    let near =
        nearest(&stem, known.iter().map(String::as_str)).or_else(|| longer(&stem, &known))?;
    Some(with_number(near, digits.as_deref()))
}

/// Takes the first part that is a number out of a name.
fn without_number(name: &str) -> (String, Option<String>) {
    let is_number = |part: &&str| server_number(part).is_some();
    let parts: Vec<&str> = name.split('_').collect();
    match parts.iter().position(is_number) {
        Some(at) => {
            let (head, tail) = (parts[..at].join("_"), parts[at + 1..].join("_"));
            let stem = if tail.is_empty() { head } else { format!("{head}_{tail}") };
            (stem, Some(parts[at].to_owned()))
        }
        None => (name.to_owned(), None),
    }
}

/// Puts a number where it belongs: last, but before the way of a secret.
fn with_number(name: &str, digits: Option<&str>) -> String {
    let Some(digits) = digits else { return name.to_owned() };
    for (suffix, _) in WAYS {
        if let Some(stem) = name.strip_suffix(suffix).filter(|_| row(name).is_none()) {
            return format!("{stem}_{digits}{suffix}");
        }
    }
    format!("{name}_{digits}")
}

/// Every name that may be written, numbers apart; only those that take a number if `numbered`.
fn spellings(numbered: bool) -> Vec<String> {
    let mut all = Vec::new();
    for row in OPTIONS.iter().filter(|row| row.numbered || !numbered) {
        for name in std::iter::once(&row.name).chain(row.aliases) {
            all.push((*name).to_owned());
            if row.kind == Kind::Secret {
                all.extend(WAYS.iter().map(|(suffix, _)| format!("{name}{suffix}")));
            }
        }
    }
    all
}

/// `ESXI_PASSWORD` for `ESXI_PASS`, `VCENTER_PASS` for `VCENTER_PASSWORD`: one begins the other.
fn longer<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let near = |known: &&String| {
        known.len().abs_diff(name.len()) <= 4
            && name.len().min(known.len()) >= 8
            && (known.starts_with(name) || name.starts_with(known.as_str()))
    };
    known.iter().find(near).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        match find(name) {
            Some(it) => format!("{} {} {:?}", it.canonical, it.number, it.way),
            None => "-".to_owned(),
        }
    }

    #[test]
    fn reads_numbers_ways_and_aliases() {
        for (name, wanted) in [
            ("ESXI_HOST", "ESXI_HOST 0 Value"),
            ("ESXI_HOST_12", "ESXI_HOST_12 12 Value"),
            ("ESXI_CA_FILE_3", "ESXI_CA_FILE_3 3 Value"),
            ("ESXI_PASS_FILE", "ESXI_PASS 0 File"),
            ("ESXI_PASS_1_SECRET_PATH", "ESXI_PASS_1 1 SecretPath"),
            ("VCENTER_IGNORE_SSL", "VCENTER_INSECURE 0 Value"),
            ("AUTHENTIK_CLIENT_SECRET_FILE", "OAUTH_CLIENT_SECRET 0 File"),
            ("https_proxy", "HTTPS_PROXY 0 Value"),
            ("GUEST_CRED_web_1_USER", "GUEST_CRED_web_1_USER 0 Value"),
            ("GUEST_CRED_web_PASSWORD_FILE", "GUEST_CRED_web_PASSWORD 0 File"),
            ("ESXI_HOST_0", "-"),
            ("ESXI_HOST_01", "-"),
            ("ESXI_HOST_257", "-"),
            ("ESXI_HOST_99999999999999999999", "-"),
            ("ESXI_USER_FILE", "-"),
            ("ESXI_PASS_FILE_1", "-"),
            ("VCENTER_HOST_1", "-"),
            ("GUEST_CRED__USER", "-"),
            ("GUEST_CRED_*_USER", "-"),
            ("", "-"),
        ] {
            assert_eq!(shown(name), wanted, "{name}");
        }
    }

    #[test]
    fn suggests_what_was_meant() {
        for (name, wanted) in [
            ("ESXI_INSECUR", Some("ESXI_INSECURE")),
            ("ESXI_HSOT_2", Some("ESXI_HOST_2")),
            ("ESXI_PASS_FILE_1", Some("ESXI_PASS_1_FILE")),
            ("ESXI_2_PASS", Some("ESXI_PASS_2")),
            ("ESXI_CAFILE_2", Some("ESXI_CA_FILE_2")),
            ("ESXI_PASSWORD", Some("ESXI_PASS")),
            ("VCENTER_PASS", Some("VCENTER_PASSWORD")),
            ("esxi_host", Some("ESXI_HOST")),
            ("READONLY", Some("READ_ONLY")),
            ("DATABASE_URL", None),
            ("ESXI_FLAVOUR", None),
        ] {
            assert_eq!(suggestion(name).as_deref(), wanted, "{name}");
        }
    }
}
