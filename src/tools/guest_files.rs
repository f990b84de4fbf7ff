//! Directories inside the guest system, and what is in them: list, make and delete.
//!
//! It must not know how a guest is asked. Surprising: a link to a directory is listed as one, so
//! deleting looks from above first, lest what is behind the link go with it.

use crate::change;
use crate::error::{Error, Kind, Result};
use crate::hv::guest::{FileKind, Found, GuestFile, Inside};
use crate::text::glob;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::guest::{CREDENTIAL, PASSWORD, PATH, USERNAME, enter, look, of, path, shown};
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm::{LIMIT, OFFSET, VM};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_guest_directory",
        title: "List a directory of a guest",
        about: "The files of a directory in a VM: name, type, size, time, owner, permissions.",
        level: Level::Admin,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PATH, PATTERN, LIMIT, OFFSET],
        run: Run::Read(list),
    },
    Tool {
        name: "create_guest_directory",
        title: "Make a directory in a guest",
        about: "Make a directory in a VM; one that is there is a success.",
        level: Level::Admin,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PATH, PARENTS],
        run: change!(plan_make, make),
    },
    Tool {
        name: "delete_guest_file",
        title: "Delete a file of a guest",
        about: "Delete a file, link or directory in a VM for good.",
        level: Level::Admin,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM, USERNAME, PASSWORD, CREDENTIAL, PATH, RECURSIVE],
        run: change!(plan_delete, delete),
    },
];

const PATTERN: Arg = Arg::text("pattern", "glob over names, such as *.log");
const PARENTS: Arg =
    Arg::flag("create_parents", "make what is missing above it too").or(Default::Flag(true));
const RECURSIVE: Arg =
    Arg::flag("recursive", "a directory with all that is in it").or(Default::Flag(false));

/// Lists a directory.
fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let at = enter(ctx, args)?;
    let path = path(&at, args)?;
    let offset = usize::try_from(args.int(OFFSET)?).unwrap_or(0);
    let limit = usize::try_from(args.int(LIMIT)?).unwrap_or(100);
    let pattern = args.opt_text(PATTERN);
    let page = (offset, limit);
    let found = ctx.guest()?.list(&ctx.call, &at, path, pattern, page).map_err(of(&at))?;
    let columns = &["name", "type", "size_bytes", "modified", "owner", "permissions"];
    let rows = found.files.iter().map(row).collect();
    let (total, offset) = (found.total, Some(offset));
    Ok(Reply::Rows(Rows { total, offset, ..Rows::whole("files", columns, rows) }))
}

fn row(it: &GuestFile) -> Record {
    Record::new()
        .text("name", &it.name)
        .text("type", it.kind.word())
        .int("size_bytes", it.size)
        .maybe_text("modified", it.modified.clone())
        .maybe_int("owner", it.owner)
        .maybe_int("group", it.group)
        .maybe_text("permissions", it.permissions.map(|mode| format!("{mode:04o}")))
        .maybe_text("target", it.target.clone())
        .maybe_flag("hidden", it.hidden)
        .maybe_flag("read_only", it.read_only)
}

/// What [`make`] needs: where, and whether something is to be done at all.
struct Making {
    at: Inside,
    path: String,
    parents: bool,
    there: bool,
}

/// Says what directory is made.
fn plan_make(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Making>> {
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
fn make(ctx: &Ctx<'_>, it: Making) -> Result<Reply> {
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
struct Deleting {
    at: Inside,
    path: String,
    directory: bool,
    recursive: bool,
}

/// Says what is lost.
fn plan_delete(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Deleting>> {
    let at = enter(ctx, args)?;
    let path = path(&at, args)?.to_owned();
    let recursive = args.flag(RECURSIVE);
    let path = deletable(&at, &path)?.to_owned();
    let name = shown(&at);
    let found = match look(ctx, &at, &path)? {
        // Listing follows links; what is behind one must never go with it.
        found @ Found::Directory(_) => link(ctx, &at, &path)?.map_or(found, Found::One),
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

fn separators(at: &Inside) -> &'static [char] {
    if at.windows { &['\\', '/'] } else { &['/'] }
}

/// The path as it is looked at and deleted: a separator at its end would lead through a link, and
/// what goes up again may end anywhere, also at the root.
fn deletable<'a>(at: &Inside, path: &'a str) -> Result<&'a str> {
    let whole = path.trim_end_matches(separators(at));
    let parts: Vec<&str> = whole.split(separators(at)).collect();
    // Windows drops dots and spaces at the end of a name.
    let turns = parts.iter().any(|it| match at.windows {
        true => !it.is_empty() && it.trim_end_matches(['.', ' ']).is_empty(),
        false => matches!(*it, "." | ".."),
    });
    if turns {
        return Err(Error::usage(format!("`{path}` has a part of dots"))
            .hint("Write the path as it is from the root, without `.` and `..`"));
    }
    // A share is a disk too: `\\server\share` has four parts.
    let share = whole.starts_with(r"\\") && parts.len() < 5;
    if whole.is_empty() || (at.windows && (whole.ends_with(':') || share)) {
        return Err(Error::usage(format!("`{path}` is the whole disk of the guest"))
            .hint("Name what is to be deleted in it"));
    }
    Ok(whole)
}

/// The link that a path is, seen from the directory that holds it.
fn link(ctx: &Ctx<'_>, at: &Inside, path: &str) -> Result<Option<GuestFile>> {
    let cut = path.rfind(separators(at)).map_or(0, |it| it + 1);
    let (folder, name) = path.split_at(cut);
    let exact = glob::literal(name);
    let listed = ctx.guest()?.list(&ctx.call, at, folder, Some(&exact), (0, 10)).map_err(of(at))?;
    Ok(listed.files.into_iter().find(|it| it.name == name && it.kind == FileKind::Link))
}

fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".to_owned(),
        _ => format!("{count} entries"),
    }
}

/// Deletes it.
fn delete(ctx: &Ctx<'_>, it: Deleting) -> Result<Reply> {
    let (at, path) = (&it.at, &it.path);
    ctx.guest()?.delete(&ctx.call, at, path, it.directory, it.recursive).map_err(of(at))?;
    let name = &at.machine.name;
    let record =
        Record::new().text("vm", name).text("guest_path", path).flag("directory", it.directory);
    Ok(Reply::said(format!("{name}: deleted `{path}`"), record))
}
