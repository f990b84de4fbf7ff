//! The only type that may hold a password, a token or a session cookie.
//!
//! It prints as `***`, is wiped on drop, and has no comparison or serialisation: whoever needs the
//! text says so with [`Secret::reveal`], which is easy to search for.

use std::fmt;

use zeroize::Zeroizing;

/// A text that must never reach a log, an error, an audit line or a result.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True for a secret of no characters.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Parts of names of what holds secrets.
static PARTS: &[&str] = &["communit", "password", "passphrase", "privatekey", "secret", "token"];

/// Whether a member of this name holds a secret, such as `password` or `chapSecret`.
pub fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

/// A web URL without user, password, query and fragment, where secrets stand; any other text as it is.
pub fn without_secrets(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return text.to_owned();
    }
    let (place, asked) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
    let (login, host) = match host.rsplit_once('@') {
        Some((_, host)) => ("***@", host),
        None => ("", host),
    };
    let asked = if asked.is_empty() { "" } else { "?***" };
    format!("{scheme}://{login}{host}{path}{asked}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        assert!(["Password", "adminPassword", "chapSecret", "token"].into_iter().all(names_secret));
        assert!(!["name", "key", "userName"].into_iter().any(names_secret));
    }

    #[test]
    fn urls_are_shown_without_what_is_secret() {
        for (url, shown) in [
            ("https://u:p@x:8443/a@b.ova?sig=1#c", "https://***@x:8443/a@b.ova?***"),
            ("HTTP://x/a#c", "HTTP://x/a?***"),
            ("http://u:p@x", "http://***@x"),
            ("https://x/a.ova", "https://x/a.ova"),
            ("a/b?c", "a/b?c"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[test]
    fn never_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
