//! Where an appliance comes from: a file of this machine, a URL, a pipe, a datastore.
//!
//! The only place that joins the sources with the formats; it must not know what is made of them.
//! Surprising: what is opened while a change is planned is read while it is done, so it lives as long
//! as the transfer and not as long as a call that only reads.

use std::io;
use std::io::Read;

use crate::error::{Error, Kind, Result, quoted};
use crate::files::source::Source;
use crate::files::url;
use crate::files::url::Url;
use crate::hv::call::Call;
use crate::ova::input::{Begun, Input, Look, Seeks};
use crate::ova::package::{Depth, Package};
use crate::ova::parts::Opener;
use crate::text::percent;
use crate::tools::ctx::Ctx;

/// What is expected of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Archive,
    Descriptor,
    /// Whichever it is.
    Either,
}

/// A source with what it costs to seek in it, which fails once its call is to end.
struct Opened<'a> {
    source: Source<'a>,
    seeks: Seeks,
    call: Call,
}

impl Read for Opened<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.source.read(into)
    }

    crate::text::reading::shared!();
}

impl Input for Opened<'_> {
    fn shown(&self) -> &str {
        self.source.shown()
    }

    fn size(&self) -> Option<u64> {
        self.source.size()
    }

    fn seeks(&self) -> Seeks {
        self.seeks
    }

    fn seek(&mut self, to: u64) -> Result<()> {
        self.source.seek(to)
    }

    fn check(&self) -> Result<()> {
        self.call.check()
    }
}

/// Gives a source as what an appliance is read from; `local` says that seeking costs nothing.
pub fn input<'a>(source: Source<'a>, local: bool, call: &Call) -> Box<dyn Input + 'a> {
    let seeks = match (source.can_seek(), local) {
        (false, _) => Seeks::Never,
        (true, true) => Seeks::Freely,
        (true, false) => Seeks::Slowly,
    };
    Box::new(Opened { source, seeks, call: call.clone() })
}

/// Whether a text is a URL.
pub fn is_url(text: &str) -> bool {
    url::scheme(text).is_some()
}

/// Whether a text is standard input.
pub fn is_pipe(text: &str) -> bool {
    text == "-"
}

/// Opens what a text names; `store` is the datastore where a path on one does not name it itself.
fn open<'a>(
    ctx: &Ctx<'a>,
    call: &Call,
    store: Option<&str>,
    text: &str,
) -> Result<Box<dyn Input + 'a>> {
    if on_store(ctx, store, text) {
        let stored = ctx.stores()?.read(call, store, text)?;
        let source = Source::fetched(stored.shown, Some(stored.size), None, stored.open);
        return Ok(input(source, false, call));
    }
    Ok(input(ctx.source(text)?, !is_url(text), call))
}

/// Whether a path lies on a datastore.
fn on_store(ctx: &Ctx<'_>, store: Option<&str>, text: &str) -> bool {
    // Without a server there are no datastores, and a local file needs none.
    let stores = ctx.host().ok().and_then(|host| host.stores());
    stores.is_some_and(|stores| store.is_some() || stores.is_path(text))
}

/// A call that reads for as long as the transfer takes.
fn lasting(ctx: &Ctx<'_>, bounded: bool) -> Call {
    match bounded {
        true => ctx.call.clone(),
        false => ctx.call.clone().unbounded(),
    }
}

/// What is opened, and how.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub text: &'a str,
    /// The datastore that the path is on, where it does not name it itself.
    pub store: Option<&'a str>,
    pub form: Form,
    pub depth: Depth,
    /// The caller bounds the call, transfers included.
    pub bounded: bool,
}

/// Opens an appliance, as far as its descriptor and what stands beside it.
pub fn package<'a>(ctx: &Ctx<'a>, wanted: &Wanted<'_>) -> Result<Package<'a>> {
    let Wanted { text, store, form, depth, bounded } = *wanted;
    let call = lasting(ctx, bounded);
    let begun = Begun::new(open(ctx, &call, store, text)?)?;
    let of_name = text.to_ascii_lowercase().ends_with(".ovf");
    let is_descriptor = match begun.look() {
        Look::Descriptor => true,
        Look::Archive | Look::Gzip | Look::Page => false,
        Look::Other => form == Form::Descriptor || (form == Form::Either && of_name),
    };
    let shown = begun.shown().to_owned();
    if begun.look() == Look::Page {
        return Err(Error::usage(format!("`{shown}` is a web page, not an appliance"))
            .hint("Check the path or URL; its server may want a login first"));
    }
    match (form, is_descriptor) {
        (Form::Archive, true) => {
            return Err(Error::usage(format!("`{shown}` is a descriptor (.ovf), not an OVA"))
                .hint("deploy_ovf deploys it with the files beside it"));
        }
        (Form::Descriptor, true) if is_pipe(text) => {
            let said = "a descriptor from standard input has no files beside it";
            return Err(Error::usage(said)
                .hint("Send the whole OVA to deploy_ova, or pass the descriptor's path"));
        }
        (Form::Descriptor, false) => {
            return Err(Error::usage(format!("`{shown}` is an archive, not a descriptor (.ovf)"))
                .hint("deploy_ova deploys it"));
        }
        _ => {}
    }
    let package = match is_descriptor {
        false => Package::archive(begun, depth),
        true => Package::folder(begun, name_of(text), beside(ctx, call, store, text)),
    };
    package.map_err(|error| match error.sentence().contains(&shown) {
        true => error,
        false => error.during(format!("`{shown}`")),
    })
}

/// The last part of a path or URL.
fn name_of(text: &str) -> &str {
    let path = if is_url(text) { bare(text) } else { text };
    path.rsplit('/').next().unwrap_or(path)
}

/// A URL without query and fragment.
fn bare(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

/// Opens files beside a descriptor.
fn beside<'a>(ctx: &Ctx<'a>, call: Call, store: Option<&str>, text: &str) -> Opener<'a> {
    let ctx = ctx.with(call.clone());
    let (store, text) = (store.map(str::to_owned), text.to_owned());
    Box::new(move |href| {
        let mut failure = None;
        for path in places(&ctx, store.as_deref(), &text, href)? {
            let store = store.as_deref().filter(|_| !is_url(&path));
            match open(&ctx, &call, store, &path) {
                Ok(input) => return Ok(Some(input)),
                // Some servers deny what they do not have; a link elsewhere is not looked for.
                Err(error)
                    if !is_url(href) && matches!(error.kind(), Kind::NotFound | Kind::Denied) =>
                {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = failure {
            crate::logging::debug!("a file beside a descriptor is not there: {error}");
        }
        Ok(None)
    })
}

/// Where a file of this name may lie: as it is written, and without its escapes.
fn places(ctx: &Ctx<'_>, store: Option<&str>, text: &str, href: &str) -> Result<Vec<String>> {
    if is_pipe(text) {
        return Ok(Vec::new());
    }
    if is_url(href) {
        let to = if is_url(text) { Url::parse(text)?.join(href)? } else { Url::parse(href)? };
        return Ok(vec![to.whole().reveal().to_owned()]);
    }
    let plain = percent::decode(href).unwrap_or_else(|_| href.to_owned());
    for name in [href, &plain] {
        let leads_out = name.starts_with(['/', '\\'])
            || name.split(['/', '\\']).any(|it| it == "..")
            || name.contains(char::is_control);
        if leads_out || name.is_empty() {
            let said = format!("the descriptor names a file `{}`", quoted(href));
            return Err(Error::usage(said).hint("Its files must lie beside it or below"));
        }
    }
    if is_url(text) {
        let to = Url::parse(text)?.join(&percent::encode(&plain, "/"))?;
        return Ok(vec![to.whole().reveal().to_owned()]);
    }
    let join = |name: &str| match on_store(ctx, store, text) {
        true => ctx.stores()?.beside(text, name),
        false => Ok(match text.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }),
    };
    let mut places = vec![join(href)?];
    if plain != href {
        places.push(join(&plain)?);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_urls() {
        assert!(is_url("https://x/a.ova") && is_url("http://x"));
        assert!(!is_url("://x") && !is_url("C:\\a") && !is_url("a/b c://d"));
        assert_eq!(name_of("https://x/a/b.ovf?sig=1/2#c"), "b.ovf");
        assert_eq!(name_of("/srv/b.ovf"), "b.ovf");
    }
}
