//! What is done to URLs and links of strangers; `tests/fuzz` does it too.

use jumpvisor::files::url::{Url, scheme};

/// A URL, and behind the first line break a link that is found there.
pub fn url(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, link) = text.split_once('\n').unwrap_or((&text, "../disk-1.vmdk"));
    scheme(text);
    let Ok(url) = Url::parse(text) else { return };
    sound(&url);
    if let Ok(to) = url.join(link) {
        sound(&to);
        let kept = to.has_login() && !link.contains('@');
        assert!(!kept || to.same_origin(&url), "a login went to {to}");
        assert!(to.tls || !url.tls, "{to} is plain");
    }
}

/// It is read again as the same, and each of its parts can be sent as it is.
fn sound(url: &Url) {
    let whole = url.whole();
    let again = Url::parse(whole.reveal()).unwrap();
    assert_eq!(again.whole().reveal(), whole.reveal());
    assert!(again.is_same(url));
    assert!(whole.reveal().bytes().all(|it| it.is_ascii_graphic()), "{}", whole.reveal());
    assert!(url.target().starts_with('/') && !url.target().contains('#'));
    assert!(!url.path().contains("/../") && !url.path().contains("/./"));
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_.:".contains(&it);
    assert!(!url.host.is_empty() && url.host.bytes().all(fits), "{}", url.host);
    let shown = url.to_string();
    assert!(!shown.split("://").nth(1).unwrap().trim_start_matches("***@").contains("***@"));
    assert_eq!(shown.contains("?***"), url.target().contains('?'), "{shown}");
    if let Some(login) = url.authorization() {
        assert!(login.reveal().bytes().all(|it| it.is_ascii_graphic() || it == b' '));
    }
}
