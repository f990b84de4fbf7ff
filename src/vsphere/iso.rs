//! ISO images on datastores: how a caller names one, and whether it is there.
//!
//! `iso/x.iso` beside a datastore's name, `[datastore] iso/x.iso`, or as a host mounts it.
//! Surprising: a server takes a path to nothing without a word, and the machine then starts with an
//! empty drive; so the folder is looked into first, where the account may look.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::disks::Image;
use crate::text::nearest::nearest;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::near::{Near, Use, name};
use crate::vsphere::{Vsphere, task};

/// The datastore that is named, if any, and the path on it.
pub fn parse<'a>(path: &'a str, beside: Option<&'a str>) -> Result<(Option<&'a str>, &'a str)> {
    if !path.trim_end().to_lowercase().ends_with(".iso") {
        return Err(Error::usage(format!("`{}` is not an .iso file", quoted(path)))
            .hint("Name the image itself, such as [datastore1] iso/install.iso"));
    }
    let path = path.trim();
    // As a host's own shell writes it: /vmfs/volumes/datastore1/iso/install.iso.
    let mounted = path.strip_prefix("/vmfs/volumes/").and_then(|rest| rest.split_once('/'));
    let (on, file) = match (mounted, path.strip_prefix('[')) {
        (None, None) => (beside, path),
        (mounted, bracketed) => {
            let bracketed = bracketed.and_then(|rest| rest.split_once(']'));
            let (on, file) = mounted.or(bracketed).ok_or_else(|| {
                Error::usage(format!("`{}` is no datastore path", quoted(path)))
                    .hint("Such as [datastore1] iso/install.iso")
            })?;
            if let Some(other) = beside.filter(|other| *other != on) {
                let said = format!("the path is on `{on}`, and `{other}` is given beside it");
                return Err(Error::usage(said).hint("Name one datastore"));
            }
            (Some(on), file)
        }
    };
    Ok((on, file.trim_start().trim_start_matches('/')))
}

/// The datastore of a `[datastore] path`.
pub fn store_of(path: &str) -> Option<&str> {
    path.strip_prefix('[')?.split_once(']').map(|(store, _)| store)
}

/// The image as `[datastore] path`, on a datastore that the host can read; the machine's own where
/// none is named. A second text says what could not be looked into.
pub fn find(
    it: &Vsphere,
    call: &Call,
    image: &Image,
    host: Option<&Ref>,
    home: Option<&str>,
) -> Result<(String, Option<String>)> {
    let (on, file) = parse(&image.path, image.datastore.as_deref())?;
    let on = on.or(home).ok_or_else(|| {
        Error::usage("the datastore of the ISO is not named")
            .hint("Pass it beside the path, or as in [datastore1] iso/install.iso")
    })?;
    let near = Near::stores(it, call, host)?;
    let store = near.store(on, host, Use::Read)?;
    let on = name(store);
    let path = format!("[{on}] {file}");
    let Some(browser) = store.reference("browser") else { return Ok((path, None)) };
    match look(it, call, browser, &on, file) {
        Ok(()) => Ok((path, None)),
        Err(error) if matches!(error.kind(), Kind::Denied | Kind::Unsupported) => {
            crate::logging::info!("{path} is taken unseen: {error}");
            let unseen = format!("whether {path} exists was not looked up: no right to browse");
            Ok((path, Some(unseen)))
        }
        Err(error) => Err(error),
    }
}

/// Looks for the file in its folder; what is there instead is told.
fn look(it: &Vsphere, call: &Call, browser: &Ref, on: &str, file: &str) -> Result<()> {
    let (folder, own) = file.rsplit_once('/').unwrap_or(("", file));
    let exact = own.replace(['*', '?', '[', ']'], "?");
    let patterns = [exact.as_str(), "*.iso", "*.ISO"].map(Value::from).to_vec();
    let spec = Object::new("HostDatastoreBrowserSearchSpec").with("matchPattern", patterns);
    let args =
        Object::args().with("datastorePath", format!("[{on}] {folder}")).with("searchSpec", spec);
    let (session, method) = (&it.session, "SearchDatastore_Task");
    let found = match task::run(session, call, browser, method, &args, None, "looking for the ISO")
    {
        Err(error) if error.fault_name() == Some("FileNotFound") => {
            let said = format!("there is no folder `{}` on `{on}`", quoted(folder));
            return Err(Error::new(Kind::NotFound, said).hint("Check path and datastore"));
        }
        found => found?,
    };
    let names: Vec<&str> =
        found.iter().flat_map(|it| it.objects("file")).filter_map(|it| it.text("path")).collect();
    if names.contains(&own) {
        return Ok(());
    }
    let place = if folder.is_empty() { "at its top".to_owned() } else { format!("in `{folder}`") };
    let said = format!("there is no `{}` on `{on}` {place}", quoted(own));
    let error = Error::new(Kind::NotFound, said);
    let shown: Vec<&str> = names.iter().take(20).copied().collect();
    Err(match nearest(own, names.iter().copied()) {
        _ if names.is_empty() => error.hint("There is no ISO; check path and datastore"),
        Some(near) => error.hint(format!("Did you mean `{near}`? There are: {}", shown.join(", "))),
        None => error.hint(format!("There are: {}", shown.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_image() {
        for (path, beside, on, file) in [
            ("iso/x.iso", None, None, "iso/x.iso"),
            ("/iso/X.ISO", Some("ds"), Some("ds"), "iso/X.ISO"),
            ("[ds] iso/x.iso", None, Some("ds"), "iso/x.iso"),
            ("[ds 1]x [1].iso", Some("ds 1"), Some("ds 1"), "x [1].iso"),
            (" /vmfs/volumes/ds 1/iso/x.iso ", None, Some("ds 1"), "iso/x.iso"),
            ("/vmfs/volumes/x.iso", Some("ds"), Some("ds"), "vmfs/volumes/x.iso"),
        ] {
            assert_eq!(parse(path, beside).unwrap(), (on, file), "{path}");
        }
        let said = |path, beside| parse(path, beside).unwrap_err().to_string();
        assert!(said("x.img", None).starts_with("`x.img` is not an .iso file. Name the image"));
        assert!(said("[ds x.iso", None).starts_with("`[ds x.iso` is no datastore path"));
        assert!(said("[a] x.iso", Some("b")).starts_with("the path is on `a`, and `b`"));
        assert_eq!(store_of("[a b] c/d.vmdk"), Some("a b"));
    }
}
