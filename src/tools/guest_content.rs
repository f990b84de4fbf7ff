//! What files inside the guest system hold: read and write, or from and to files of this machine.
//!
//! It must not know how a file gets in or out. Surprising: an existing file keeps its permissions
//! and its owner when it is written anew and none are given, because a default of 0644 would open a
//! secret.

use std::io::Write;

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::files::Target;
use crate::hv::guest::{FileKind, Found, GuestFile, Inside, Outgoing};
use crate::text::base64;
use crate::text::hex::hex;
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::guest::{CREDENTIAL, PASSWORD, PATH, USERNAME, enter, look, of, path, shown};
use crate::tools::guest_text;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "read_guest_file",
        title: "Read a file of a guest",
        about: "A file of a VM as text (base64 where it is none), in ranges; or `save_to` a file on this machine.",
        level: Level::Admin,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PATH, READ_FROM, MAX_BYTES, SAVE_TO, REPLACE],
        run: Run::Read(read),
    },
    Tool {
        name: "write_guest_file",
        title: "Write a file in a guest",
        about: "Write a text, or a file of this machine, to a file in a VM.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[
            VM,
            USERNAME,
            PASSWORD,
            CREDENTIAL,
            PATH,
            CONTENT,
            ENCODING,
            LOCAL_PATH,
            OVERWRITE,
            PERMISSIONS,
        ],
        run: change!(plan_write, write),
    },
];

const READ_FROM: Arg = Arg::int("offset", "first byte to show", 0, i64::MAX).or(Default::Int(0));
const MAX_BYTES: Arg =
    Arg::int("max_bytes", "most bytes to show", 4, 1 << 20).or(Default::Int(65_536));
const SAVE_TO: Arg =
    Arg::text("save_to", "file on this machine to save all of it to, instead of showing it")
        .writes_here();
const REPLACE: Arg =
    Arg::flag("overwrite", "replace an existing file at `save_to`").or(Default::Flag(false));
const CONTENT: Arg = Arg::text("content", "up to 1 MB").measured();
const ENCODING: Arg =
    Arg::choice("encoding", "of `content`", &["text", "base64"]).or(Default::Text("text"));
const LOCAL_PATH: Arg = Arg::text("local_path", "file on this machine, instead of `content`");
const OVERWRITE: Arg = Arg::flag("overwrite", "replace an existing file").or(Default::Flag(true));
const PERMISSIONS: Arg =
    Arg::text("permissions", "octal, not for Windows; default: as they are, 0644 for a new file");

/// Bytes of a `content`.
const MOST_CONTENT: usize = 1 << 20;

/// Reads a file, to be shown or to be saved.
fn read(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
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
    let sum = hex(digest.finish().as_ref());
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

/// What [`write()`] needs.
struct Writing {
    at: Inside,
    path: String,
    file: Outgoing,
}

/// Says what a file becomes.
fn plan_write(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Writing>> {
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
                let size = source.size().unwrap_or(0);
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
    let mut owner = (None, None);
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
            // Else it becomes the writer's, and only root may say whose it is.
            if at.login.user == "root" {
                owner = (old.owner, old.group);
            }
            losses.push(format!("the {} bytes that `{path}` has now", old.size));
            ("is overwritten", format!("{} {}", old.size, old.modified.unwrap_or_default()))
        }
    };
    let step = format!("`{path}` in {name} {what} with {from}, {size} bytes");
    let seen = format!("{} {seen}", at.machine.id);
    let file = Outgoing { size, body, overwrite, permissions, owner };
    let data = Writing { path: path.to_owned(), at, file };
    Ok(Plan::new(vec![step], seen, data).losing(losses))
}

/// Writes it.
fn write(ctx: &Ctx<'_>, it: Writing) -> Result<Reply> {
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
