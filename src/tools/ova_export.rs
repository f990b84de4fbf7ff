//! Machines out of a hypervisor, as OVA or as a folder of OVF.
//!
//! It must not know how a machine's disks are read, nor where they are written: the one is behind
//! [`crate::hv::appliances`], the other in [`crate::tools::ova_collect`]. Surprising: a machine's name
//! becomes names of files, and in those a descriptor would read `%41` as `A`.

use crate::change;
use crate::error::{Error, Result};
use crate::files::Files;
use crate::hv::appliances::{Collect, Export};
use crate::hv::meter::amount;
use crate::hv::prepared::Prepared;
use crate::hv::stores::Slot;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::disk::VM;
use crate::tools::ova_collect::{Archive, Pieces, Remote, Saved, Sheet};
use crate::tools::ova_source::is_url;
use crate::tools::plan::Plan;
use crate::tools::reply::{Record, Reply};
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[Tool {
    name: "export_vm_ovf",
    title: "Export a VM as OVA or OVF",
    about: "Write a VM to an OVA file or a folder, here or on a datastore. One that is not off is exported from a temporary snapshot.",
    level: Level::Vm,
    effect: Effect::Changes,
    idempotent: false,
    args: &[VM, TARGET, DATASTORE, FORMAT, OVERWRITE, VERIFY, QUIESCE],
    run: change!(plan, act),
}];

const TARGET: Arg =
    Arg::text("target_path", "file or folder on this machine; with `datastore` a folder there")
        .required()
        .writes_here();
const DATASTORE: Arg = Arg::text("datastore", "write to this datastore instead; OVF only");
const FORMAT: Arg = Arg::choice(
    "format",
    "ova is one file, ovf a folder of files; default: ova, on a datastore ovf",
    &["ova", "ovf"],
);
const OVERWRITE: Arg = Arg::flag("overwrite", "replace existing files").or(Default::Flag(false));
const VERIFY: Arg = Arg::flag("verify", "read back what was written here").or(Default::Flag(true));
const QUIESCE: Arg =
    Arg::flag("quiesce", "let VMware Tools settle the file systems of a running VM first")
        .or(Default::Flag(false));

/// Bytes of a name without its end: with `-disk256.vmdk` it must fit into an archive's header.
const LONGEST_STEM: usize = 80;

/// An export that waits, and what will be told of it.
struct Deed<'a> {
    name: String,
    target: String,
    format: &'static str,
    sheet: Sheet,
    prepared: Prepared<'a>,
}

/// Where an export goes.
struct Place<'a> {
    into: Box<dyn Collect + 'a>,
    target: String,
    step: String,
    losses: Vec<String>,
}

/// Says what is exported and where to.
fn plan<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let appliances = ctx.appliances()?;
    let (wanted, target) = (args.text(VM)?, args.text(TARGET)?);
    let store = args.opt_text(DATASTORE);
    let remote = store.is_some() || ctx.stores().is_ok_and(|it| it.is_path(target));
    let ova = match args.opt_text(FORMAT) {
        Some(format) => format == "ova",
        None => !remote,
    };
    let ends = |end: &str| target.to_ascii_lowercase().ends_with(end);
    match target {
        "" => return Err(Error::usage("`target_path` is empty")),
        "-" => {
            return Err(Error::usage("an export cannot be written to a pipe").hint(
                "How large a disk becomes is known at its end only; name a file or a folder",
            ));
        }
        _ if is_url(target) => {
            return Err(Error::usage("an export cannot be written to a URL")
                .hint("Name a file or a folder of this machine, or a folder on a datastore"));
        }
        _ if remote && ova => {
            return Err(Error::usage("an OVA cannot be written to a datastore")
                .hint("Pass format=ovf; or export to this machine and upload it"));
        }
        _ if ova && ends(".ovf") => {
            return Err(Error::usage(format!("`{target}` would be an OVA and is called .ovf"))
                .hint("Name it .ova; or pass format=ovf and a folder"));
        }
        _ if !ova && (ends(".ovf") || ends(".ova")) => {
            return Err(Error::usage(format!("`{target}` would be a folder of files"))
                .hint("Name a folder; or pass format=ova for one file"));
        }
        _ => {}
    }
    let machine = ctx.machines()?.find(&ctx.call, wanted)?;
    let name = machine.at.name;
    let stem = stem(&name);
    let sheet = Sheet::default();
    let how = (args.flag(OVERWRITE), args.flag(VERIFY), sheet.clone());
    let place = match (remote, ova) {
        (true, _) => on_store(ctx, store, target, &stem, how)?,
        (_, true) => archive(ctx.files, target, &stem, how)?,
        (_, false) => pieces(ctx.files, target, &stem, how)?,
    };
    let what = Export { machine: wanted, stem: &stem, quiesce: args.flag(QUIESCE) };
    let mut prepared = appliances.export(&ctx.call, &what, place.into)?;
    let mut steps = std::mem::take(&mut prepared.steps);
    steps.push(place.step);
    let losses = [std::mem::take(&mut prepared.losses), place.losses].concat();
    let seen = std::mem::take(&mut prepared.seen);
    let format = if ova { "ova" } else { "ovf" };
    let deed = Deed { name, target: place.target, format, sheet, prepared };
    Ok(Plan::new(steps, seen, deed).losing(losses))
}

/// Overwrite, verify, and where to note what was written.
type How = (bool, bool, Sheet);

fn archive<'a>(files: &'a Files, target: &str, stem: &str, how: How) -> Result<Place<'a>> {
    let (overwrite, verify, sheet) = how;
    let path = match target.ends_with('/') || files.is_folder(target)? {
        true => format!("{}/{stem}.ova", target.trim_end_matches('/')),
        false => target.to_owned(),
    };
    let replaces = files.may_create(&path, overwrite)?;
    let step = format!("an OVA with descriptor and manifest is written to `{path}`");
    let losses = replaces.map(|bytes| format!("the {bytes} bytes that `{path}` has now"));
    let into = Archive { files, path: path.clone(), overwrite, verify, sheet, open: None };
    Ok(Place { into: Box::new(into), target: path, step, losses: losses.into_iter().collect() })
}

fn pieces<'a>(files: &'a Files, target: &str, stem: &str, how: How) -> Result<Place<'a>> {
    let (overwrite, verify, sheet) = how;
    let folder = match target.trim_end_matches('/') {
        "" => "/".to_owned(),
        folder => folder.to_owned(),
    };
    let there = files.is_folder(&folder)?;
    let mut losses = Vec::new();
    if there {
        for end in [".ovf", ".mf", "-disk1.vmdk"] {
            let path = format!("{}/{stem}{end}", folder.trim_end_matches('/'));
            let replaces = files.may_create(&path, overwrite)?;
            losses.extend(replaces.map(|it| format!("the {it} bytes that `{path}` has now")));
        }
    } else {
        files.may_create(&folder, false)?;
    }
    let made = if there { "" } else { ", which is made" };
    let step = format!("all files, descriptor and manifest too, go to the folder `{folder}`{made}");
    let target = folder.clone();
    let into = Pieces { files, folder, overwrite, verify, sheet, open: None };
    Ok(Place { into: Box::new(into), target, step, losses })
}

fn on_store<'a>(
    ctx: &Ctx<'a>,
    store: Option<&str>,
    target: &str,
    stem: &str,
    (overwrite, _, sheet): How,
) -> Result<Place<'a>> {
    let stores = ctx.stores()?;
    let mut losses = Vec::new();
    let mut slot = |end: &str| -> Result<Slot> {
        let path = Remote::path(target, &format!("{stem}{end}"));
        let slot = stores.slot(&ctx.call, store, &path, overwrite)?;
        losses
            .extend(slot.replaces.map(|it| format!("the {it} bytes that {} has now", slot.shown)));
        Ok(slot)
    };
    // A disk of before is not replaced, and that is known now and not once the VM is held.
    let [slot, ..] = [slot(".ovf")?, slot(".mf")?, slot("-disk1.vmdk")?];
    let made = slot.makes.map_or(String::new(), |it| format!("; the folder `{it}` is made"));
    let step = format!("all files are written beside the descriptor {}{made}", slot.shown);
    let (store, folder) = (store.map(str::to_owned), target.to_owned());
    let sent = std::default::Default::default();
    let into = Remote { stores, store, folder, overwrite, sheet, sent };
    Ok(Place { into: Box::new(into), target: slot.shown, step, losses })
}

/// Exports it.
fn act(ctx: &Ctx<'_>, deed: Deed<'_>) -> Result<Reply> {
    let name = deed.name;
    let done = deed.prepared.run(&ctx.call).map_err(|error| error.during(format!("`{name}`")))?;
    let files = deed.sheet.all();
    let total: u64 = files.iter().map(|it| it.size).sum();
    let int = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let row = |it: &Saved| {
        let row = Record::new().text("name", &it.name).int("size_bytes", int(it.size));
        row.text("sha256", &it.sha256)
    };
    let mut said = format!("{name}: exported {}, {}", amount(total), done.join("; "));
    for it in files.iter() {
        said.push_str(&format!("\n{} {} bytes SHA-256 {}", it.name, it.size, it.sha256));
    }
    let record = Record::new()
        .text("vm", &name)
        .text("format", deed.format)
        .text("target", &deed.target)
        .int("total_bytes", int(total))
        .records("files", files.iter().map(row).collect())
        .texts("done", &done);
    Ok(Reply::said(said, record))
}

/// A machine's name as the beginning of files' names, on any system and in any descriptor.
fn stem(name: &str) -> String {
    let plain = |it: char| match it {
        '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' | '#' => '-',
        it if it.is_control() => '-',
        it => it,
    };
    let stem: String = name.chars().map(plain).collect();
    let mut stem = stem.trim_start_matches(['.', ' ', '-']).to_owned();
    let fits = |it: &usize| stem.is_char_boundary(*it);
    let end = (0..=LONGEST_STEM.min(stem.len())).rev().find(fits).unwrap_or(0);
    stem.truncate(end);
    match stem.trim_end_matches(['.', ' ']) {
        "" => "vm".to_owned(),
        stem => stem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_machine_is_a_name_of_files() {
        let long = "ä".repeat(60);
        for (name, wanted) in [
            ("web01", "web01"),
            ("a/b\\c", "a-b-c"),
            ("../../etc/passwd", "etc-passwd"),
            (" My VM (1) ", "My VM (1)"),
            ("50% + #1 & é [x]", "50- + -1 & é [x]"),
            ("a\nb\0", "a-b-"),
            ("...", "vm"),
            ("-x", "x"),
            ("", "vm"),
            (&long, &"ä".repeat(40)),
        ] {
            assert_eq!(stem(name), wanted, "{name}");
        }
    }
}
