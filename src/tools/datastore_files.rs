//! Contents of files on datastores: upload from here or from a URL, download to here.
//!
//! How a file gets there and back lives behind [`crate::hv::stores`]; this file must not know.
//! Surprising: what a digest refuses at the very end has been sent already, and still gets no name.

use std::io::Cursor;

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::files::flow::{Shown, beginning, pour};
use crate::files::source::Source;
use crate::files::url::scheme;
use crate::hv::meter::{Meter, amount};
use crate::hv::stores::Slot;
use crate::text::percent::decode;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::content;
use crate::tools::content::{MAX_BYTES, Part, REPLACE, SAVE_TO, Saving, Sum};
use crate::tools::ctx::Ctx;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "download_from_datastore",
        title: "Read or download a datastore's file",
        about: "A file of a datastore as text (base64 where it is none), in ranges; or `save_to` a file on this machine.",
        level: Level::Vm,
        effect: Effect::Reads,
        idempotent: true,
        args: &[DATASTORE, PATH, SAVE_TO, MAX_MEMORY, OFFSET, MAX_BYTES, REPLACE, SHA256],
        run: Run::Read(download),
    },
    Tool {
        name: "upload_to_datastore",
        title: "Upload a file to a datastore",
        about: "Put a file of this machine, of a URL or a given content on a datastore. Missing folders are made.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[DATASTORE, REMOTE, LOCAL, CONTENT, URL, OVERWRITE, SHA256],
        run: change!(plan_upload, upload),
    },
];

const DATASTORE: Arg = Arg::text("datastore", "name, id or path").required();
const PATH: Arg = Arg::text("path", "file on the datastore").required();
const MAX_MEMORY: Arg =
    Arg::int("max_memory_mb", "most MB to hold for an answer without `save_to`", 1, 200)
        .or(Default::Int(50));
const OFFSET: Arg =
    Arg::int("offset", "first byte to show; below 0 from the end", -i64::MAX, i64::MAX)
        .or(Default::Int(0));
const REMOTE: Arg =
    Arg::text("remote_path", "on the datastore; with `/` at the end, under its own name")
        .required();
const LOCAL: Arg = Arg::text("local_path", "file on this machine, or - for standard input");
const CONTENT: Arg = Arg::text("content_base64", "instead, up to 1 MB").measured();
// A URL may hold a password.
const URL: Arg = Arg::text("url", "instead, http or https").measured();
const OVERWRITE: Arg = Arg::flag("overwrite", "replace an existing file").or(Default::Flag(true));
const SHA256: Arg = Arg::text("sha256", "that it must have, in hex; else nothing is kept");

/// Reads a file, to be shown or to be saved.
fn download(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let wanted = args.opt_text(SHA256).map(content::digest).transpose()?;
    let offset = args.int(OFFSET)?;
    let (store, path) = (args.text(DATASTORE)?, args.text(PATH)?);
    let Some(to) = args.opt_text(SAVE_TO) else {
        if wanted.is_some() {
            return Err(Error::usage("a part of a file has no `sha256`")
                .hint("Pass save_to to read all of it"));
        }
        return show(ctx, args, store, path, offset);
    };
    if offset != 0 {
        return Err(Error::usage("`save_to` saves the whole file and takes no `offset`"));
    }
    // Before the server is asked: a file that is there already is the commonest mistake.
    let mut saving = Saving::begin(ctx, to, args.flag(REPLACE))?;
    // A transfer takes as long as it takes, unless the caller said otherwise.
    let call = match args.opt_int(args::TIMEOUT) {
        Some(_) => ctx.call.clone(),
        None => ctx.call.clone().unbounded(),
    };
    let stored = ctx.stores()?.read(&call, Some(store), path)?;
    let mut meter = Meter::new(&call, &stored.shown, Some(stored.size));
    let mut source = Source::fetched(&stored.shown, Some(stored.size), None, stored.open);
    pour(&mut source, &mut |piece| {
        meter.add(piece.len())?;
        saving.take(piece)
    })?;
    let record = Record::new().text("path", &stored.shown);
    saving.done(record, &format!("saved {}", stored.shown), wanted.as_deref())
}

fn show(ctx: &Ctx<'_>, args: &Args, store: &str, path: &str, offset: i64) -> Result<Reply> {
    let memory = args.int(MAX_MEMORY)?.unsigned_abs() << 20;
    // No answer has room for more than its own size.
    let most = args.int(MAX_BYTES)?.unsigned_abs().min(memory).min(ctx.cap as u64);
    let stored = ctx.stores()?.read(&ctx.call, Some(store), path)?;
    let (size, shown) = (stored.size, stored.shown);
    let mut from = match offset {
        0.. => offset.unsigned_abs(),
        _ => size.saturating_sub(offset.unsigned_abs()),
    };
    if from > size {
        return Err(Error::usage(format!("{shown} has {size} bytes, and none at {from}"))
            .hint("Pass a smaller offset"));
    }
    let mut source = Source::fetched(&shown, Some(size), None, stored.open);
    source.seek(from)?;
    let bytes = beginning(&mut source, most)?;
    let more = from + (bytes.len() as u64) < size;
    // Counted from the end, the first byte may be in the middle of a character.
    let inside = bytes.iter().take(3).take_while(|it| **it & 0xc0 == 0x80).count();
    let skip = if offset < 0 { inside } else { 0 };
    from += skip as u64;
    let part = Part { bytes: &bytes[skip..], offset: from, more, size };
    Ok(part.reply(Record::new().text("path", &shown), &shown, ctx.cap))
}

/// What [`upload`] needs.
struct Uploading {
    source: Source<'static>,
    /// As messages name it.
    from: String,
    slot: Slot,
    wanted: Option<String>,
}

/// What is uploaded, and what messages call it.
fn opened(ctx: &Ctx<'_>, args: &Args) -> Result<(Source<'static>, String)> {
    let given = [args.opt_text(LOCAL), args.opt_text(CONTENT), args.opt_text(URL)];
    match given {
        [Some("-"), None, None] => Ok((ctx.source("-")?, "standard input".to_owned())),
        [Some(path), None, None] => {
            Ok((ctx.files.open(path)?, format!("`{path}` of this machine")))
        }
        [None, Some(coded), None] => {
            let bytes = content::given(CONTENT.name, coded, true)?;
            let size = bytes.len() as u64;
            let open = move |from: u64| {
                let mut rest = Cursor::new(bytes.clone());
                rest.set_position(from);
                Ok(Box::new(rest) as Box<dyn std::io::Read + Send>)
            };
            let source = Source::fetched("the given content", Some(size), None, Box::new(open));
            Ok((source, "the given content".to_owned()))
        }
        [None, None, Some(url)] => {
            if scheme(url).is_none() {
                return Err(Error::usage("`url` is no http or https URL")
                    .hint("A file of this machine is a local_path"));
            }
            let source = ctx.source(url)?;
            let shown = source.shown().to_owned();
            Ok((source, shown))
        }
        [None, None, None] => {
            Err(Error::usage("nothing to upload").hint("Pass local_path, content_base64 or url"))
        }
        _ => Err(Error::usage("more than one of local_path, content_base64, url is given")
            .hint("Pass one of them")),
    }
}

/// The path, with the file's own name where it ends in a slash.
fn remote(args: &Args) -> Result<String> {
    let path = args.text(REMOTE)?;
    if !path.ends_with('/') {
        return Ok(path.to_owned());
    }
    let url = args.opt_text(URL).map(|it| it.split(['?', '#']).next().unwrap_or_default());
    let own = match (args.opt_text(LOCAL), url) {
        (Some(local), _) => local.rsplit('/').next().map(str::to_owned),
        (None, Some(url)) => {
            let path = url.split_once("://").and_then(|it| it.1.split_once('/'));
            path.and_then(|it| decode(it.1.rsplit('/').next()?).ok())
        }
        _ => None,
    };
    match own.filter(|it| !matches!(it.as_str(), "" | "-" | "." | "..") && !it.contains('/')) {
        Some(own) => Ok(format!("{path}{own}")),
        None => Err(Error::usage(format!(
            "`{}` names a folder, and what is uploaded has no name",
            quoted(path)
        ))
        .hint("Name the file in it, such as iso/install.iso")),
    }
}

/// Says what a file becomes.
fn plan_upload(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Uploading>> {
    let wanted = args.opt_text(SHA256).map(content::digest).transpose()?;
    let path = remote(args)?;
    let (source, from) = opened(ctx, args)?;
    let store = args.text(DATASTORE)?;
    let slot = ctx.stores()?.slot(&ctx.call, Some(store), &path, args.flag(OVERWRITE))?;
    let size = source.size().and_then(|it| i64::try_from(it).ok());
    if let (Some(size), Some(free)) = (size, slot.free_bytes)
        && size > free
    {
        let (size, free) = (amount(size.unsigned_abs()), amount(free.unsigned_abs()));
        let said =
            format!("`{}` is too large: it has {size}, and {free} are free there", slot.shown);
        return Err(
            Error::new(Kind::Conflict, said).hint("Make room on the datastore, or use another one")
        );
    }
    let mut steps = Vec::new();
    if let Some(folder) = &slot.makes {
        steps.push(format!("the folder `{folder}` is made, with those above it"));
    }
    let size = size.map_or_else(|| "as long as it is".to_owned(), |it| format!("{it} bytes"));
    let verb = if slot.replaces.is_some() { "is replaced by" } else { "is written with" };
    steps.push(format!("{} {verb} {from}, {size}", slot.shown));
    steps.extend(slot.warning.clone());
    let losses = slot
        .replaces
        .filter(|it| *it > 0)
        .map(|it| format!("the {it} bytes that {} has now", slot.shown));
    let seen = format!("{} {:?} {size}", slot.shown, slot.replaces);
    let data = Uploading { source, from, slot, wanted };
    Ok(Plan::new(steps, seen, data).losing(losses.into_iter().collect()))
}

/// Sends it.
fn upload(ctx: &Ctx<'_>, it: Uploading) -> Result<Reply> {
    let Uploading { mut source, from, slot, wanted } = it;
    let (mut sum, size) = (Sum::begin(), source.size());
    let mut meter = Meter::new(&ctx.call, &slot.shown, size);
    let mut look = |piece: &[u8]| {
        sum.add(piece);
        match piece.is_empty() {
            // Whoever fills the pipe may have failed, and his file would be replaced by nothing.
            true if size.is_none() && sum.bytes == 0 => {
                Err(Error::new(Kind::Conflict, format!("nothing came from {from}"))
                    .hint("Look whether what sends it has failed"))
            }
            true => sum.agreed(wanted.as_deref()).map(drop),
            false => meter.add(piece.len()),
        }
    };
    let mut body = Shown::new(&mut source, &mut look);
    let left = ctx
        .stores()?
        .write(&ctx.call, &slot, size, &mut body)
        .map_err(|error| error.during(&slot.shown))?;
    let hex = sum.agreed(None)?;
    let mut said =
        format!("{}: uploaded from {from}, {} bytes, SHA-256 {hex}", slot.shown, sum.bytes);
    let mut record = Record::new()
        .text("path", &slot.shown)
        .int("size_bytes", i64::try_from(sum.bytes).unwrap_or(i64::MAX))
        .text("sha256", hex)
        .flag("replaced", slot.replaces.is_some());
    if let Some(left) = left {
        said.push_str(&format!("; {left}"));
        record = record.text("left", left);
    }
    Ok(Reply::said(said, record))
}
