//! Disks, CD/DVD drives and what is in them.
//!
//! The hypervisor prepares; these rows only read arguments and tell what it says. Disks are meant
//! by the label that list_disks shows.

use crate::change;
use crate::error::{Error, Kind, Result, quoted};
use crate::hv::disks::{DiskDetail, Image, NewDisk};
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::vm;
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_disks",
        title: "List disks",
        about: "A VM's disks with label, size, format, place and file. Other disk tools take the label.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM, ONE],
        run: Run::Read(list),
    },
    Tool {
        name: "add_disk",
        title: "Add a disk",
        about: "Give a VM a new empty disk. A running VM takes it on SCSI or NVMe.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, SIZE, THIN, DATASTORE],
        run: change!(plan_add, plan::act),
    },
    Tool {
        name: "remove_disk",
        title: "Remove a disk",
        about: "Take a disk from a VM; its file stays unless delete_file is set.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM, LABEL, DELETE],
        run: change!(plan_remove, plan::act),
    },
    Tool {
        name: "extend_disk",
        title: "Extend a disk",
        about: "Make a disk larger; it never shrinks. Refused while the VM has snapshots.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, LABEL, NEW_SIZE],
        run: change!(plan_extend, plan::act),
    },
    Tool {
        name: "add_cdrom",
        title: "Add a CD/DVD drive",
        about: "Give a powered-off VM another CD/DVD drive, empty or with an ISO.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, NEW_ISO, ISO_STORE, BOOT],
        run: change!(plan_add_cdrom, plan::act),
    },
    Tool {
        name: "attach_iso",
        title: "Insert an ISO",
        about: "Put an ISO from a datastore into a CD/DVD drive; what was in it comes out.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, ISO, DATASTORE_ISO, INDEX],
        run: change!(plan_attach, plan::act),
    },
    Tool {
        name: "detach_iso",
        title: "Eject ISOs",
        about: "Empty every CD/DVD drive of a VM that holds an ISO.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM],
        run: change!(plan_detach, plan::act),
    },
];

/// One machine, as the tools for its parts call it.
pub const VM: Arg = Arg::text("vm_name", "VM name, id or path").required();
/// One disk.
pub const LABEL: Arg = Arg::text("disk_label", "such as Hard disk 1").required();
const ONE: Arg = Arg::text("disk_label", "only this one");
const SIZE: Arg = Arg::int("size_gb", "", 1, LARGEST_GB).required();
const NEW_SIZE: Arg =
    Arg::int("new_size_gb", "the whole size, not the growth", 1, LARGEST_GB).required();
const THIN: Arg = Arg::flag("thin_provisioned", "").or(Default::Flag(true));
const DATASTORE: Arg = Arg::text("datastore", "default: the VM's own");
const DELETE: Arg = Arg::flag("delete_file", "delete its data for good").or(Default::Flag(false));
const ISO: Arg = Arg::text("iso_path", "on a datastore, such as iso/install.iso").required();
const NEW_ISO: Arg = Arg::text("iso_path", "on a datastore, such as iso/install.iso");
const DATASTORE_ISO: Arg = Arg::text("datastore", "of the ISO; default: the VM's own");
const ISO_STORE: Arg = Arg::text("iso_datastore", "default: the VM's own");
const BOOT: Arg = Arg::flag("boot_from_iso", "").or(Default::Flag(false));
const INDEX: Arg = Arg::int("cdrom_index", "0 is the first drive", 0, 127).or(Default::Int(0));

/// 62 TB, the largest that a virtual disk can be.
const LARGEST_GB: i64 = 63_488;

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let mut all = ctx.disks()?.list(&ctx.call, args.text(VM)?)?;
    if let Some(wanted) = args.opt_text(ONE) {
        let labels: Vec<String> = all.iter().map(|it| it.disk.label.clone()).collect();
        let word = wanted.trim();
        all.retain(|it| it.disk.label.eq_ignore_ascii_case(word) || it.key.to_string() == word);
        if all.is_empty() {
            let said = format!("`{}` has no disk `{}`", quoted(args.text(VM)?), quoted(wanted));
            return Err(Error::new(Kind::NotFound, said).hint(match labels.len() {
                0 => "It has no disk at all".to_owned(),
                _ => format!("There are: {}", labels.join(", ")),
            }));
        }
    }
    let columns = &["label", "size_gb", "format", "place", "file"];
    Ok(Reply::Rows(Rows::whole("disks", columns, all.iter().map(row).collect())))
}

fn row(it: &DiskDetail) -> Record {
    vm::disk(&it.disk)
        .text("format", &it.format)
        .maybe_text("place", it.place.clone())
        .maybe_text("datastore", it.datastore.clone())
        .maybe_text("mode", it.mode.clone())
        .maybe_text("uuid", it.uuid.clone())
        .int("parents", it.parents)
        .int("key", it.key)
}

fn plan_add<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let new = NewDisk {
        size_gb: args.int(SIZE)?,
        thin: args.flag(THIN),
        datastore: args.opt_text(DATASTORE).map(str::to_owned),
    };
    let name = args.text(VM)?;
    Ok(plan::prepared(name, ctx.disks()?.add(&ctx.call, name, &new)?))
}

fn plan_remove<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, label) = (args.text(VM)?, args.text(LABEL)?);
    let prepared = ctx.disks()?.remove(&ctx.call, name, label, args.flag(DELETE))?;
    Ok(plan::prepared(name, prepared))
}

fn plan_extend<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let (name, label) = (args.text(VM)?, args.text(LABEL)?);
    let prepared = ctx.disks()?.extend(&ctx.call, name, label, args.int(NEW_SIZE)?)?;
    Ok(plan::prepared(name, prepared))
}

fn image(args: &Args, path: Arg, datastore: Arg) -> Option<Image> {
    let path = args.opt_text(path)?.to_owned();
    Some(Image { path, datastore: args.opt_text(datastore).map(str::to_owned) })
}

fn plan_add_cdrom<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let image = image(args, NEW_ISO, ISO_STORE);
    let boot = args.flag(BOOT);
    if image.is_none() && (boot || args.opt_text(ISO_STORE).is_some()) {
        return Err(Error::usage("there is no ISO without `iso_path`")
            .hint("Pass the ISO's path too, or neither boot_from_iso nor iso_datastore"));
    }
    let name = args.text(VM)?;
    let prepared = ctx.disks()?.add_drive(&ctx.call, name, image.as_ref(), boot)?;
    Ok(plan::prepared(name, prepared))
}

fn plan_attach<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    let datastore = args.opt_text(DATASTORE_ISO).map(str::to_owned);
    let image = Image { path: args.text(ISO)?.to_owned(), datastore };
    let index = usize::try_from(args.int(INDEX)?).unwrap_or(0);
    Ok(plan::prepared(name, ctx.disks()?.insert(&ctx.call, name, index, &image)?))
}

fn plan_detach<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    Ok(plan::prepared(name, ctx.disks()?.eject(&ctx.call, name)?))
}
