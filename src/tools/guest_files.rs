//! Files inside the guest system: read, write, list, make and delete.
//!
//! It must not know how a file gets in or out. Surprising: an existing file keeps its permissions
//! when it is written anew and none are given, because a default of 0644 would open a secret.

use std::io::Write;

use crate::error::{Error, Kind, Result, quoted};
use crate::files::Target;
use crate::hv::guest::{FileKind, Found, GuestFile, Inside, Outgoing};
use crate::text::base64;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::guest::{enter, of, shown};
use crate::tools::guest_text;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::{LIMIT, OFFSET};

pub const PATH: Arg = Arg::text("guest_path", "absolute path in the guest").required();
pub const READ_FROM: Arg =
    Arg::int("offset", "first byte to show", 0, i64::MAX).or(Default::Int(0));
pub const MAX_BYTES: Arg =
    Arg::int("max_bytes", "most bytes to show", 4, 1 << 20).or(Default::Int(65_536));
pub const SAVE_TO: Arg =
    Arg::text("save_to", "file on this machine to save all of it to, instead of showing it")
        .writes_here();
pub const REPLACE: Arg =
    Arg::flag("overwrite", "replace an existing file at `save_to`").or(Default::Flag(false));
pub const CONTENT: Arg = Arg::text("content", "up to 1 MB").measured();
pub const ENCODING: Arg =
    Arg::choice("encoding", "of `content`", &["text", "base64"]).or(Default::Text("text"));
pub const LOCAL_PATH: Arg = Arg::text("local_path", "file on this machine, instead of `content`");
pub const OVERWRITE: Arg = Arg::flag("overwrite", "").or(Default::Flag(true));
pub const PERMISSIONS: Arg =
    Arg::text("permissions", "octal, not for Windows; default: as they are, 0644 for a new file");
pub const PATTERN: Arg = Arg::text("pattern", "glob over names, such as *.log");
pub const PARENTS: Arg =
    Arg::flag("create_parents", "make what is missing above it too").or(Default::Flag(true));
pub const RECURSIVE: Arg =
    Arg::flag("recursive", "a directory with all that is in it").or(Default::Flag(false));

/// Bytes of a `content`.
const MOST_CONTENT: usize = 1 << 20;

/// An absolute path as this guest has them.
fn path<'a>(at: &Inside, args: &'a Args) -> Result<&'a str> {
    let path = args.text(PATH)?;
    let bytes = path.as_bytes();
    let (absolute, such) = match at.windows {
        true => {
            let drive =
                matches!(bytes, [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
            (drive || path.starts_with(r"\\"), r"C:\Temp\a.txt")
        }
        false => (path.starts_with('/'), "/tmp/a.txt"),
    };
    if absolute && !path.contains('\0') {
        return Ok(path);
    }
    Err(Error::usage(format!("`{}` is no absolute path of the guest", quoted(path)))
        .hint(format!("Write it like {such}")))
}

/// Reads a file, to be shown or to be saved.
pub fn read(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let offset = args.int(READ_FROM)?.unsigned_abs();
    let target = match args.opt_text(SAVE_TO) {
        None => None,
        Some(_) if offset > 0 => {
            return Err(Error::usage("`save_to` saves the whole file and takes no `offset`"));
        }
        // Before the guest is asked: a file that is there already is the commonest mistake.
        Some(to) => Some((to, ctx.files.create(to, args.flag(REPLACE))?)),
    };
    let at = enter(ctx, args)?;
    let path = path(&at, args)?;
    match target {
        Some((to, target)) => save(ctx, args, &at, path, to, target),
        None => show(ctx, &at, path, offset, args.int(MAX_BYTES)?),
    }
}

fn save(
    ctx: &Ctx<'_>,
    args: &Args,
    at: &Inside,
    path: &str,
    to: &str,
    mut target: Target,
) -> Result<Reply> {
    // A transfer takes as long as it takes, unless the caller said otherwise.
    let call = match args.opt_int(args::TIMEOUT) {
        Some(_) => ctx.call.clone(),
        None => ctx.call.clone().unbounded(),
    };
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut size: i64 = 0;
    let mut take = |piece: &[u8]| {
        target.write_all(piece).map_err(|error| target.failed(&error))?;
        digest.update(piece);
        size = size.saturating_add(i64::try_from(piece.len()).unwrap_or(i64::MAX));
        Ok(true)
    };
    ctx.guest()?.fetch(&call, at, path, &mut take).map_err(of(at))?;
    target.commit()?;
    let sum: String = digest.finish().as_ref().iter().map(|it| format!("{it:02x}")).collect();
    let name = &at.machine.name;
    let said = format!("{name}: saved `{path}` to `{to}`, {size} bytes, SHA-256 {sum}");
    let record = Record::new()
        .text("vm", name)
        .text("guest_path", path)
        .text("saved_to", to)
        .int("size_bytes", size)
        .text("sha256", sum);
    Ok(Reply::said(said, record))
}

fn show(ctx: &Ctx<'_>, at: &Inside, path: &str, offset: u64, most: i64) -> Result<Reply> {
    let most = usize::try_from(most).unwrap_or(MOST_CONTENT);
    let (mut skip, mut bytes) = (offset, Vec::new());
    let mut more = false;
    let mut take = |piece: &[u8]| {
        let past = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        skip -= u64::try_from(past).unwrap_or(0);
        let rest = &piece[past..];
        let room = (most - bytes.len()).min(rest.len());
        bytes.extend_from_slice(&rest[..room]);
        more = rest.len() > room;
        Ok(!more)
    };
    let size = ctx.guest()?.fetch(&ctx.call, at, path, &mut take).map_err(of(at))?;
    if skip > 0 {
        let said = format!("`{path}` has {} bytes, and none at {offset}", offset - skip);
        return Err(Error::usage(said).hint("Pass a smaller offset"));
    }
    let room = ctx.cap.saturating_sub(1_500);
    let (content, encoding, used) =
        match guest_text::exact(&bytes, !more).filter(|it| !it.is_empty() || bytes.is_empty()) {
            Some(text) => {
                let text = guest_text::fitting(text, room);
                (text.to_owned(), "text", text.len())
            }
            // Each three bytes are four characters, twice.
            None => {
                let fits = (room / 8 * 3).min(bytes.len());
                (base64::encode(&bytes[..fits]), "base64", fits)
            }
        };
    let end = offset + u64::try_from(used).unwrap_or(0);
    // Some files, such as those of /proc, tell a size of 0 and have content.
    let size = size.max(end);
    let int = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let next = (more || used < bytes.len()).then_some(int(end));
    let name = &at.machine.name;
    let mut said = format!("{name}: `{path}`, bytes {offset} to {end} of {size}");
    if encoding == "base64" {
        said.push_str(" as base64, since it is no text");
    }
    if let Some(next) = next {
        said.push_str(&format!("; go on with offset={next}"));
    }
    said.push_str(&format!("\n{content}"));
    let record = Record::new()
        .text("vm", name)
        .text("guest_path", path)
        .int("size_bytes", int(size))
        .int("offset", int(offset))
        .maybe_int("next_offset", next)
        .text("encoding", encoding)
        .text("content", content);
    Ok(Reply::said(said, record))
}

/// What [`write`] needs.
pub struct Writing {
    at: Inside,
    path: String,
    file: Outgoing,
}

/// Says what a file becomes.
pub fn plan_write(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Writing>> {
    let given = args.opt_text(PERMISSIONS).map(octal).transpose()?;
    let (body, size, from): (Box<dyn std::io::Read + Send>, u64, String) =
        match (args.opt_text(CONTENT), args.opt_text(LOCAL_PATH)) {
            (Some(content), None) => {
                let bytes = match args.opt_text(ENCODING) {
                    Some("base64") => base64::decode(content)
                        .ok_or_else(|| Error::usage("`content` is no base64"))?,
                    _ => content.as_bytes().to_vec(),
                };
                if bytes.len() > MOST_CONTENT {
                    return Err(Error::usage(format!("`content` has {} bytes", bytes.len()))
                        .hint("1 MB is the most; pass larger files by local_path"));
                }
                let size = u64::try_from(bytes.len()).unwrap_or(0);
                (Box::new(std::io::Cursor::new(bytes)), size, "the given content".to_owned())
            }
            (None, Some(local)) => {
                let source = ctx.files.open(local)?;
                let size = source.size;
                (Box::new(source), size, format!("`{local}` of this machine"))
            }
            (None, None) => {
                return Err(Error::usage("nothing to write").hint("Pass `content` or `local_path`"));
            }
            _ => {
                return Err(Error::usage("both `content` and `local_path` are given")
                    .hint("Pass one of them"));
            }
        };
    let at = enter(ctx, args)?;
    let path = path(&at, args)?;
    if at.windows && given.is_some() {
        return Err(Error::usage("a Windows guest has no such `permissions`")
            .hint("Leave it out; icacls sets rights there"));
    }
    let overwrite = args.flag(OVERWRITE);
    let name = shown(&at);
    let mut losses = Vec::new();
    let mut permissions = given.or((!at.windows).then_some(0o644));
    let (what, seen) = match look(ctx, &at, path)? {
        Found::Nothing => ("is made", "new".to_owned()),
        Found::Directory(_) => {
            return Err(Error::new(Kind::Conflict, format!("`{path}` is a directory"))
                .hint("Name the file in it"));
        }
        Found::One(GuestFile { kind: FileKind::Link, target, .. }) => {
            let to = target.map_or(String::new(), |it| format!(" to `{it}`"));
            return Err(Error::new(Kind::Conflict, format!("`{path}` is a link{to}"))
                .hint("Name the file itself"));
        }
        Found::One(_) if !overwrite => {
            return Err(Error::new(Kind::Conflict, format!("`{path}` is there already"))
                .hint("Choose another name, or pass overwrite=true"));
        }
        Found::One(old) => {
            permissions = given.or(old.permissions).or(permissions);
            losses.push(format!("the {} bytes that `{path}` has now", old.size));
            ("is overwritten", format!("{} {}", old.size, old.modified.unwrap_or_default()))
        }
    };
    let step = format!("`{path}` in {name} {what} with {from}, {size} bytes");
    let seen = format!("{} {seen}", at.machine.id);
    let file = Outgoing { size, body, overwrite, permissions };
    let data = Writing { path: path.to_owned(), at, file };
    Ok(Plan::new(vec![step], seen, data).losing(losses))
}

/// Writes it.
pub fn write(ctx: &Ctx<'_>, it: Writing) -> Result<Reply> {
    let (at, path, size) = (it.at, it.path, it.file.size);
    ctx.guest()?.store(&ctx.call, &at, &path, it.file).map_err(of(&at))?;
    let name = &at.machine.name;
    let record = Record::new()
        .text("vm", name)
        .text("guest_path", &path)
        .int("size_bytes", i64::try_from(size).unwrap_or(i64::MAX));
    Ok(Reply::said(format!("{name}: wrote {size} bytes to `{path}`"), record))
}

fn octal(text: &str) -> Result<i64> {
    let digits = text.trim().trim_start_matches("0o");
    match i64::from_str_radix(digits, 8) {
        Ok(mode) if (0..=0o7777).contains(&mode) => Ok(mode),
        _ => Err(Error::usage(format!("`permissions` is `{}`", quoted(text)))
            .hint("Write it in octal, such as 0644")),
    }
}

fn look(ctx: &Ctx<'_>, at: &Inside, path: &str) -> Result<Found> {
    ctx.guest()?.look(&ctx.call, at, path).map_err(of(at))
}

/// Lists a directory.
pub fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let at = enter(ctx, args)?;
    let path = path(&at, args)?;
    let offset = usize::try_from(args.int(OFFSET)?).unwrap_or(0);
    let limit = usize::try_from(args.int(LIMIT)?).unwrap_or(100);
    let pattern = args.opt_text(PATTERN);
    let page = (offset, limit);
    let found = ctx.guest()?.list(&ctx.call, &at, path, pattern, page).map_err(of(&at))?;
    Ok(Reply::Rows(Rows {
        key: "files",
        rows: found.files.iter().map(row).collect(),
        concise: &["name", "type", "size", "modified", "owner", "permissions"],
        total: found.total,
        offset: Some(offset),
        failed: 0,
        unasked: Vec::new(),
    }))
}

fn row(it: &GuestFile) -> Record {
    Record::new()
        .text("name", &it.name)
        .text("type", it.kind.word())
        .int("size", it.size)
        .maybe_text("modified", it.modified.clone())
        .maybe_int("owner", it.owner)
        .maybe_int("group", it.group)
        .maybe_text("permissions", it.permissions.map(|mode| format!("{mode:04o}")))
        .maybe_text("target", it.target.clone())
        .maybe_flag("hidden", it.hidden)
        .maybe_flag("read_only", it.read_only)
}

/// What [`make`] needs: where, and whether something is to be done at all.
pub struct Making {
    at: Inside,
    path: String,
    parents: bool,
    there: bool,
}

/// Says what directory is made.
pub fn plan_make(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Making>> {
    let at = enter(ctx, args)?;
    let path = path(&at, args)?.to_owned();
    let parents = args.flag(PARENTS);
    let name = shown(&at);
    let (step, there) = match look(ctx, &at, &path)? {
        Found::Directory(_) => (format!("`{path}` in {name} is there already"), true),
        Found::One(_) => {
            return Err(Error::new(Kind::Conflict, format!("`{path}` is there, but no directory"))
                .hint("Choose another name, or delete_guest_file first"));
        }
        Found::Nothing if parents => {
            (format!("`{path}` is made in {name}, with what is missing above it"), false)
        }
        Found::Nothing => (format!("`{path}` is made in {name}"), false),
    };
    let seen = format!("{} {there}", at.machine.id);
    Ok(Plan::new(vec![step], seen, Making { at, path, parents, there }))
}

/// Makes it.
pub fn make(ctx: &Ctx<'_>, it: Making) -> Result<Reply> {
    let (at, path) = (&it.at, &it.path);
    let made = !it.there
        && ctx.guest()?.make_directory(&ctx.call, at, path, it.parents).map_err(of(at))?;
    let name = &at.machine.name;
    let said = match made {
        true => format!("{name}: made `{path}`"),
        false => format!("{name}: `{path}` is there already"),
    };
    let record = Record::new().text("vm", name).text("guest_path", path).flag("made", made);
    Ok(Reply::said(said, record))
}

/// What [`delete`] needs.
pub struct Deleting {
    at: Inside,
    path: String,
    directory: bool,
    recursive: bool,
}

/// Says what is lost.
pub fn plan_delete(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Deleting>> {
    let at = enter(ctx, args)?;
    let path = path(&at, args)?.to_owned();
    let recursive = args.flag(RECURSIVE);
    let bare = path.trim_matches(['/', '\\', '.']);
    if bare.is_empty() || (at.windows && bare.ends_with(':')) {
        return Err(Error::usage(format!("`{path}` is the whole disk of the guest"))
            .hint("Name what is to be deleted in it"));
    }
    let name = shown(&at);
    let found = match look(ctx, &at, &path)? {
        // Listing follows links; what is behind one must never go with it.
        found @ Found::Directory(_) => link(ctx, &at, &path).map_or(found, Found::One),
        found => found,
    };
    let (what, directory) =
        match found {
            Found::Nothing => {
                let said = format!("`{}` has no `{path}`", at.machine.name);
                return Err(Error::new(Kind::NotFound, said)
                    .hint("list_guest_directory shows what is there"));
            }
            Found::One(file) => match file.target {
                Some(target) => (format!("the link `{path}` to `{target}`"), false),
                None if file.kind == FileKind::Link => (format!("the link `{path}`"), false),
                None => (format!("`{path}` of {} bytes", file.size), false),
            },
            Found::Directory(count) if count > 0 && !recursive => {
                let said = format!("`{path}` is a directory with {}", entries(count));
                return Err(Error::new(Kind::Conflict, said)
                    .hint("Pass recursive=true to delete all of it"));
            }
            Found::Directory(count) => {
                (format!("the directory `{path}` with {} and all below", entries(count)), true)
            }
        };
    let step = format!("{what} is deleted in {name}");
    let seen = format!("{} {what}", at.machine.id);
    let data = Deleting { at, path, directory, recursive };
    Ok(Plan::new(vec![step], seen, data).losing(vec![what]))
}

/// The link that a path is, seen from the directory that holds it.
fn link(ctx: &Ctx<'_>, at: &Inside, path: &str) -> Option<GuestFile> {
    let separators: &[char] = if at.windows { &['\\', '/'] } else { &['/'] };
    let (folder, name) = path.split_at(path.rfind(separators)? + 1);
    // As a glob that fits this name alone.
    let mut exact = String::new();
    for c in name.chars() {
        match c {
            '*' | '?' | '[' => exact.extend(['[', c, ']']),
            c => exact.push(c),
        }
    }
    let listed = ctx.guest().ok()?.list(&ctx.call, at, folder, Some(&exact), (0, 10)).ok()?;
    listed.files.into_iter().find(|it| it.name == name && it.kind == FileKind::Link)
}

fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".to_owned(),
        _ => format!("{count} entries"),
    }
}

/// Deletes it.
pub fn delete(ctx: &Ctx<'_>, it: Deleting) -> Result<Reply> {
    let (at, path) = (&it.at, &it.path);
    ctx.guest()?.delete(&ctx.call, at, path, it.directory, it.recursive).map_err(of(at))?;
    let name = &at.machine.name;
    let record =
        Record::new().text("vm", name).text("guest_path", path).flag("directory", it.directory);
    Ok(Reply::said(format!("{name}: deleted `{path}`"), record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_octal() {
        assert_eq!(octal("0644").unwrap(), 0o644);
        assert_eq!(octal("0o1777").unwrap(), 0o1777);
        for bad in ["", "888", "-1", "17777", "rw"] {
            assert_eq!(octal(bad).err().unwrap().kind(), Kind::Usage, "{bad}");
        }
    }
}
