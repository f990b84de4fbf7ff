//! Making, copying, changing and deleting machines.
//!
//! The hypervisor prepares; these rows only read arguments and tell what it says.

use crate::change;
use crate::error::{Error, Result};
use crate::hv::lifecycle::{BootDevice, Changes, Firmware, NewClone, NewMachine};
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::Ctx;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "create_vm",
        title: "Create a VM",
        about: "Make a VM with a disk, a NIC and a CD/DVD drive, with an ISO mounted if given. It stays powered off.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[
            NEW,
            CPU,
            MEMORY,
            DISK,
            DATASTORE,
            NETWORK,
            GUEST,
            ISO,
            ISO_STORE,
            BOOT_ISO,
            FIRMWARE,
            SECURE_BOOT,
            TPM,
        ],
        run: change!(plan_create, plan::act),
    },
    Tool {
        name: "clone_vm",
        title: "Clone a VM",
        about: "Copy a VM or template. On a standalone ESXi the disks are copied and a VM of the same configuration is registered.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[SOURCE, NEW_NAME, POWER_ON, DATASTORE, FOLDER, LINKED],
        run: change!(plan_clone, plan::act),
    },
    Tool {
        name: "delete_vm",
        title: "Delete a VM",
        about: "Delete a VM with its disks and snapshots, powering it off first if it runs. unregister_vm keeps the files.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM],
        run: change!(plan_delete, plan::act),
    },
    Tool {
        name: "reconfigure_vm",
        title: "Reconfigure a VM",
        about: "Change CPUs, memory, notes, hot-add or nested virtualization; says each change old -> new.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, NEW_CPU, NEW_MEMORY, ANNOTATION, NESTED, CPU_HOT, MEMORY_HOT],
        run: change!(plan_reconfigure, plan::act),
    },
    Tool {
        name: "rename_vm",
        title: "Rename a VM",
        about: "Give a VM another name in the inventory; its files keep theirs.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: true,
        args: &[VM, NEW_NAME],
        run: change!(plan_rename, plan::act),
    },
    Tool {
        name: "set_boot_order",
        title: "Set the boot order",
        about: "Which devices a VM tries at start, first to last.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[VM, ORDER],
        run: change!(plan_boot_order, plan::act),
    },
];

const NEW: Arg = Arg::text("name", "").required();
const CPU: Arg = Arg::int("cpu", "", 1, 768).or(Default::Int(2));
const MEMORY: Arg = Arg::int("memory_mb", "", 4, 25_165_824).or(Default::Int(4096));
const DISK: Arg = Arg::int("disk_gb", "", 1, 63_488).or(Default::Int(20));
const DATASTORE: Arg = Arg::text("datastore", "default: the one with most free space");
const NETWORK: Arg = Arg::text("network", "default: VM Network or the first");
const GUEST: Arg = Arg::text("guest_id", "such as ubuntu64Guest").or(Default::Text("otherGuest64"));
const ISO: Arg = Arg::text("iso_path", "on a datastore, such as iso/install.iso");
const ISO_STORE: Arg = Arg::text("iso_datastore", "");
const BOOT_ISO: Arg = Arg::flag("boot_from_iso", "").or(Default::Flag(true));
const FIRMWARE: Arg = Arg::choice("firmware", "", &["bios", "efi"]).or(Default::Text("bios"));
const SECURE_BOOT: Arg = Arg::flag("secure_boot", "needs efi");
const TPM: Arg = Arg::flag("tpm", "virtual TPM; needs efi and a key provider");
const SOURCE: Arg = Arg::text("template_name", "VM or template to copy").required();
const NEW_NAME: Arg = Arg::text("new_name", "").required();
const POWER_ON: Arg = Arg::flag("power_on", "").or(Default::Flag(false));
const FOLDER: Arg = Arg::text("folder", "default: where the source is");
const LINKED: Arg = Arg::flag("linked", "share the source's disks from its current snapshot")
    .or(Default::Flag(false));
const NEW_CPU: Arg = Arg::int("cpu", "", 1, 768);
const NEW_MEMORY: Arg = Arg::int("memory_mb", "", 4, 25_165_824);
const ANNOTATION: Arg = Arg::text("annotation", "");
const NESTED: Arg = Arg::flag("nested_virtualization", "");
const CPU_HOT: Arg = Arg::flag("cpu_hot_add", "");
const MEMORY_HOT: Arg = Arg::flag("memory_hot_add", "");
const ORDER: Arg =
    Arg::texts("order", "of cdrom, disk, network (ethernet, pxe), floppy").required();

fn plan_create<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let firmware = match args.text(FIRMWARE)? {
        "efi" => Firmware::Efi,
        _ => Firmware::Bios,
    };
    let new = NewMachine {
        name: new_name(args.text(NEW)?)?,
        cpus: args.int(CPU)?,
        memory_mb: args.int(MEMORY)?,
        disk_gb: args.int(DISK)?,
        datastore: args.opt_text(DATASTORE).map(str::to_owned),
        network: args.opt_text(NETWORK).map(str::to_owned),
        guest_id: args.text(GUEST)?.to_owned(),
        iso_path: args.opt_text(ISO).map(str::to_owned),
        iso_datastore: args.opt_text(ISO_STORE).map(str::to_owned),
        boot_from_iso: args.flag(BOOT_ISO),
        firmware,
        secure_boot: args.flag(SECURE_BOOT),
        tpm: args.flag(TPM),
    };
    if firmware == Firmware::Bios && (new.secure_boot || new.tpm) {
        return Err(Error::usage("secure_boot and tpm need EFI firmware").hint("Pass firmware=efi"));
    }
    if new.iso_path.is_none() && new.iso_datastore.is_some() {
        return Err(Error::usage("`iso_datastore` is given without `iso_path`")
            .hint("Pass the ISO's path on it too"));
    }
    let prepared = ctx.lifecycle()?.create(&ctx.call, &new)?;
    Ok(plan::prepared(&new.name, prepared))
}

/// A name that a hypervisor and a person can both live with.
pub fn new_name(name: &str) -> Result<String> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(Error::usage("a VM's name has 1 to 80 characters and no control characters"));
    }
    Ok(name.to_owned())
}

fn plan_clone<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let new = NewClone {
        name: new_name(args.text(NEW_NAME)?)?,
        power_on: args.flag(POWER_ON),
        datastore: args.opt_text(DATASTORE).map(str::to_owned),
        folder: args.opt_text(FOLDER).map(str::to_owned),
        linked: args.flag(LINKED),
    };
    let prepared = ctx.lifecycle()?.copy(&ctx.call, args.text(SOURCE)?, &new)?;
    Ok(plan::prepared(&new.name, prepared))
}

fn plan_delete<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    Ok(plan::prepared(name, ctx.lifecycle()?.delete(&ctx.call, name)?))
}

fn plan_reconfigure<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let changes = Changes {
        cpus: args.opt_int(NEW_CPU),
        memory_mb: args.opt_int(NEW_MEMORY),
        annotation: args.opt_text(ANNOTATION).map(str::to_owned),
        nested_virtualization: args.opt_flag(NESTED),
        cpu_hot_add: args.opt_flag(CPU_HOT),
        memory_hot_add: args.opt_flag(MEMORY_HOT),
    };
    if changes == Changes::default() {
        return Err(Error::usage("nothing to change").hint(
            "Pass cpu, memory_mb, annotation, nested_virtualization, cpu_hot_add or memory_hot_add",
        ));
    }
    let name = args.text(VM)?;
    Ok(plan::prepared(name, ctx.lifecycle()?.reconfigure(&ctx.call, name, &changes)?))
}

fn plan_rename<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let machine = ctx.machines()?.find(&ctx.call, args.text(VM)?)?;
    let name = new_name(args.text(NEW_NAME)?)?;
    let prepared = ctx.lifecycle()?.rename(&ctx.call, &machine.at, &name)?;
    Ok(plan::prepared(&machine.at.name, prepared))
}

fn plan_boot_order<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let device = |word: &String| match word.as_str() {
        "cdrom" => Ok(BootDevice::Cdrom),
        "disk" => Ok(BootDevice::Disk),
        "ethernet" | "network" | "pxe" => Ok(BootDevice::Network),
        "floppy" => Ok(BootDevice::Floppy),
        word => Err(Error::usage(format!("nothing boots from `{word}`"))
            .hint("Devices are cdrom, disk, network and floppy")),
    };
    let order: Vec<BootDevice> = args.texts(ORDER).iter().map(device).collect::<Result<_>>()?;
    if order.is_empty() {
        return Err(Error::usage("`order` is empty").hint("For instance order=cdrom,disk"));
    }
    let name = args.text(VM)?;
    Ok(plan::prepared(name, ctx.lifecycle()?.set_boot_order(&ctx.call, name, &order)?))
}
