//! What files inside the guest system hold: read and write, or from and to files of this machine.
//!
//! It must not know how a file gets in or out. Surprising: an existing file keeps its permissions
//! and its owner when it is written anew and none are given, because a default of 0644 would open a
//! secret.

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::hv::guest::{FileKind, Found, GuestFile, Inside, Outgoing};
use crate::tools::args;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::content;
use crate::tools::content::{MAX_BYTES, MOST_CONTENT, Part, REPLACE, SAVE_TO, Saving};
use crate::tools::ctx::Ctx;
use crate::tools::guest::{CREDENTIAL, PASSWORD, PATH, USERNAME, enter, look, of, path, shown};
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
const CONTENT: Arg = Arg::text("content", "up to 1 MB").measured();
const ENCODING: Arg =
    Arg::choice("encoding", "of `content`", &["text", "base64"]).or(Default::Text("text"));
const LOCAL_PATH: Arg = Arg::text("local_path", "file on this machine, instead of `content`");
const OVERWRITE: Arg = Arg::flag("overwrite", "replace an existing file").or(Default::Flag(true));
const PERMISSIONS: Arg =
    Arg::text("permissions", "octal, not for Windows; default: as they are, 0644 for a new file");

/// Reads a file, to be shown or to be saved.
fn read(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let offset = args.int(READ_FROM)?.unsigned_abs();
    let target = match args.opt_text(SAVE_TO) {
        None => None,
        Some(_) if offset > 0 => {
            return Err(Error::usage("`save_to` saves the whole file and takes no `offset`"));
        }
        // Before the guest is asked: a file that is there already is the commonest mistake.
        Some(to) => Some(Saving::begin(ctx, to, args.flag(REPLACE))?),
    };
    let at = enter(ctx, args)?;
    let path = path(&at, args)?;
    match target {
        Some(saving) => save(ctx, args, &at, path, saving),
        None => show(ctx, &at, path, offset, args.int(MAX_BYTES)?),
    }
}

fn save(ctx: &Ctx<'_>, args: &Args, at: &Inside, path: &str, mut saving: Saving) -> Result<Reply> {
    // A transfer takes as long as it takes, unless the caller said otherwise.
    let call = match args.opt_int(args::TIMEOUT) {
        Some(_) => ctx.call.clone(),
        None => ctx.call.clone().unbounded(),
    };
    let mut take = |piece: &[u8]| saving.take(piece).map(|()| true);
    ctx.guest()?.fetch(&call, at, path, &mut take).map_err(of(at))?;
    let name = &at.machine.name;
    let record = Record::new().text("vm", name).text("guest_path", path);
    saving.done(record, &format!("{name}: saved `{path}`"), None)
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
    let name = &at.machine.name;
    let record = Record::new().text("vm", name).text("guest_path", path);
    let part = Part { bytes: &bytes, offset, more, size };
    Ok(part.reply(record, &format!("{name}: `{path}`"), ctx.cap))
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
                let coded = args.opt_text(ENCODING) == Some("base64");
                let bytes = content::given("content", content, coded)?;
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
