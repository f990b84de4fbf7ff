//! An appliance that the host fetches by itself: it is told where the files are, and watched.
//!
//! Surprising: a host has no list of authorities, so that it believes an https server only by the
//! digest of its certificate; and not every host that knows the call has it switched on, which only
//! a lease tells.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::appliances::Pull;
use crate::hv::call::Call;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vsphere::import_send::target;
use crate::vsphere::import_spec::Item;
use crate::vsphere::lease::Lease;
use crate::vsphere::{Vsphere, props, task};
use crate::web::exchange::bare;
use crate::web::tls::fingerprint_text;

const HINT: &str = "Pass mode=push, which sends the files from here";

fn unsupported(said: impl Into<String>) -> Error {
    Error::new(Kind::Unsupported, said).hint(HINT)
}

/// Refuses what cannot be fetched so, as far as that is known before.
pub fn check(it: &Vsphere, call: &Call, items: &[Item], pull: &Pull) -> Result<()> {
    let version = it.session.live(call)?.version;
    if let Some(kind) = Type::find("HttpNfcLeaseSourceFile").filter(|it| it.since() > version) {
        return Err(unsupported(format!(
            "hosts fetch files by themselves since {}, and this server speaks {}",
            kind.since().name(),
            version.name()
        )));
    }
    if let Some(item) = items.iter().find(|it| it.packed) {
        let path = quoted(&item.path);
        return Err(unsupported(format!(
            "`{path}` is compressed or in pieces, which no host reads"
        )));
    }
    if pull.url.starts_with("https:") && pull.thumbprint.is_none() {
        return Err(unsupported("the host needs the digest of that server's certificate"));
    }
    Ok(())
}

/// Has the host fetch them all; what was done.
pub fn all(
    it: &Vsphere,
    call: &Call,
    lease: &Lease,
    items: &[Item],
    pull: &Pull,
) -> Result<Vec<String>> {
    const ABLE: &str = "capabilities";
    let row = props::one(&it.session, call, lease.at(), "HttpNfcLease", &[ABLE])?;
    let able = row.object(ABLE).and_then(|it| it.flag("pullModeSupported"));
    if able != Some(true) {
        return Err(unsupported("this host does not fetch files by itself"));
    }
    let urls: Vec<&Object> = lease.files().collect();
    let thumbprint = pull.thumbprint.map(|it| fingerprint_text(&it));
    let mut files = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let own = target(&urls, items, at)?.text("importKey").filter(|it| !it.is_empty());
        let (url, member) = match pull.archive {
            true => (pull.url.clone(), Some(item.path.as_str())),
            false => (beside(&pull.url, &item.path), None),
        };
        files.push(
            Object::new("HttpNfcLeaseSourceFile")
                .with("targetDeviceId", own.unwrap_or(&item.device))
                .with("url", url)
                .with_some("memberName", member)
                .with("create", item.create)
                .with_some("sslThumbprint", thumbprint.as_deref()),
        );
    }
    let said = format!("the host has fetched the files from {}", shown(&pull.url));
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let (method, args) = ("HttpNfcLeasePullFromUrls_Task", Object::args().with("files", files));
    let doing = "the host fetches the appliance";
    let fetched = task::run(&it.session, call, lease.at(), method, &args, None, doing);
    let pulled = |error: Error| {
        error.during("the host could not fetch the files").hint_instead(format!(
            "The host must reach that server, with ranges and lengths. {HINT}"
        ))
    };
    match fetched {
        Ok(_) => Ok(vec![said]),
        Err(error) if error.kind() == Kind::Cancelled || task::goes_on(&error) => Err(error),
        Err(error) => Err(lease.trouble(call).map_or_else(|| pulled(error), pulled)),
    }
}

/// The URL of a file in the folder of a URL; a query of that one is meant for all.
fn beside(folder: &str, path: &str) -> String {
    let (folder, query) = match folder.split_once('?') {
        Some((folder, query)) => (folder, Some(query)),
        None => (folder, None),
    };
    let mut url = folder.trim_end_matches('/').to_owned();
    url.push('/');
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                url.push(char::from(byte));
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    if let Some(query) = query {
        url.push('?');
        url.push_str(query);
    }
    url
}

/// A URL without what may be secret in it.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = bare(path).split('#').next().unwrap_or_default();
    quoted(&format!("{scheme}://{host}{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_files_are_escaped_and_shown_without_secrets() {
        let at = "https://u:p@h/a%20b/";
        assert_eq!(beside(at, "disk 1+#é.vmdk"), "https://u:p@h/a%20b/disk%201%2B%23%C3%A9.vmdk");
        assert_eq!(beside("http://h/a?t=1", "x/d.vmdk"), "http://h/a/x/d.vmdk?t=1");
        assert_eq!(shown("https://u:p@h:8/a/x.ova?token=1#y"), "https://h:8/a/x.ova");
        assert_eq!(shown("http://u@h?x=a@b"), "http://h");
    }
}
