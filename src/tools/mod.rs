//! The tools: one row each, from which all else derives.
//!
//! A row holds name, help, arguments, level and effect; schema, checks, hints, listing, docs and
//! the command line are made from it. What a verb is on a hypervisor lives behind `hv`; this layer
//! must not know. Surprising: a changing tool is two functions. `plan` runs with the right to read
//! only, so it cannot change anything even by mistake; `act` takes what it planned.

pub mod approval;
pub mod args;
pub mod batch;
pub mod completions;
pub mod console;
pub mod content;
pub mod counts;
pub mod ctx;
pub mod datastore;
pub mod datastore_files;
pub mod disk;
pub mod docs;
pub mod esxi;
pub mod guest;
pub mod guest_content;
pub mod guest_files;
pub mod guest_text;
pub mod job;
pub mod keyboard;
pub mod nic;
pub mod offer;
pub mod ova;
pub mod ova_collect;
pub mod ova_deploy;
pub mod ova_export;
pub mod ova_source;
pub mod plan;
pub mod power;
pub mod prompts;
pub mod reply;
pub mod resources;
pub mod rights;
pub mod run;
pub mod schema;
pub mod serial;
pub mod serial_line;
pub mod server;
pub mod snapshot;
pub mod vm;
pub mod vm_change;

pub use crate::auth::level::Level;

use crate::error::Result;
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::plan::Ready;
use crate::tools::reply::Reply;

/// What a tool does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Reads,
    Changes,
    /// Can lose data or stop a service.
    Destroys,
}

/// How a tool is run.
pub enum Run {
    Read(fn(&Ctx<'_>, &Args) -> Result<Reply>),
    /// Made by [`change!`](crate::change) out of `plan` and `act`.
    Change(for<'a> fn(&Ctx<'a>, &Args) -> Result<Ready<'a>>),
}

/// One tool.
pub struct Tool {
    pub name: &'static str,
    pub title: &'static str,
    /// First sentence: what it does; second: when to use it or what to know.
    pub about: &'static str,
    pub level: Level,
    pub effect: Effect,
    /// Calling it again with the same arguments changes nothing more.
    pub idempotent: bool,
    pub args: &'static [Arg],
    pub run: Run,
}

/// Tools that belong together and are offered together.
pub struct Family {
    pub name: &'static str,
    pub about: &'static str,
    /// Offered when the configuration names no toolsets.
    pub default: bool,
    /// The rows: those that span hypervisors, then those of one product.
    pub shelves: &'static [&'static [Tool]],
}

/// Every family, in the order of listing.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "vm",
        about: "Find, make, change and delete machines",
        default: true,
        shelves: &[vm::TOOLS, vm_change::TOOLS, esxi::vm::TOOLS],
    },
    Family {
        name: "power",
        about: "Switch machines on and off",
        default: true,
        shelves: &[power::TOOLS],
    },
    Family {
        name: "snapshot",
        about: "Save, restore and delete machine states",
        default: true,
        shelves: &[snapshot::TOOLS],
    },
    Family {
        name: "guest",
        about: "Run programs and move files inside guests; needs VMware Tools",
        default: false,
        shelves: &[guest::TOOLS, guest_content::TOOLS, guest_files::TOOLS],
    },
    Family {
        name: "console",
        about: "See a screen, type on a keyboard, wait for VMware Tools",
        default: true,
        shelves: &[console::TOOLS, esxi::console::TOOLS],
    },
    Family {
        name: "serial",
        about: "Serial ports and consoles of machines",
        default: false,
        shelves: &[esxi::serial::TOOLS, serial::TOOLS],
    },
    Family {
        name: "disk",
        about: "Disks and CD/DVD drives",
        default: false,
        shelves: &[disk::TOOLS],
    },
    Family { name: "nic", about: "Network cards", default: false, shelves: &[nic::TOOLS] },
    Family {
        name: "ova",
        about: "Appliances: look into OVA and OVF, deploy and export them",
        default: true,
        shelves: &[ova::TOOLS, ova_deploy::TOOLS, ova_export::TOOLS],
    },
    Family {
        name: "datastore",
        about: "Files on datastores",
        default: false,
        shelves: &[datastore::TOOLS, datastore_files::TOOLS],
    },
    Family {
        name: "host",
        about: "ESXi hosts: hardware, services, firewall, clock, maintenance",
        default: false,
        shelves: &[esxi::host::TOOLS, esxi::service::TOOLS, esxi::maintenance::TOOLS],
    },
    Family {
        name: "monitor",
        about: "Counters, tasks, events and alarms",
        default: false,
        shelves: &[esxi::monitor::TOOLS],
    },
    Family {
        name: "vcenter",
        about: "Folders, pools, clusters, templates, tags, migration",
        default: false,
        shelves: &[
            esxi::inventory::TOOLS,
            esxi::cluster::TOOLS,
            esxi::folder::TOOLS,
            esxi::pool::TOOLS,
            esxi::template::TOOLS,
            esxi::tag::TOOLS,
            esxi::move_vm::TOOLS,
        ],
    },
    Family {
        name: "api",
        about: "The whole vSphere API, checked by its schema",
        default: false,
        shelves: &[esxi::api::TOOLS],
    },
    Family {
        name: "server",
        about: "The managed servers and this program itself",
        default: true,
        shelves: &[server::TOOLS],
    },
];

/// Names that scripts of earlier servers use; answered, never listed.
pub static OLDER_NAMES: &[(&str, &str)] = &[
    ("connect_serial_console", "read_serial"),
    ("export_ovf", "export_vm_ovf"),
    ("get_disk_info", "list_disks"),
    ("get_nic_info", "list_nics"),
    ("get_recent_events", "list_recent_events"),
    ("get_recent_tasks", "list_recent_tasks"),
    ("power_off_vm", "power_off"),
    ("power_on_vm", "power_on"),
    ("resize_disk", "extend_disk"),
];

/// Every tool with its family, in the order of listing.
pub fn all() -> impl Iterator<Item = (&'static Family, &'static Tool)> {
    FAMILIES.iter().flat_map(|family| {
        family.shelves.iter().flat_map(move |shelf| shelf.iter().map(move |tool| (family, tool)))
    })
}

/// The tool of this name, or of this older name.
pub fn find(name: &str) -> Option<(&'static Family, &'static Tool)> {
    let name = OLDER_NAMES.iter().find(|(older, _)| *older == name).map_or(name, |(_, now)| now);
    all().find(|(_, tool)| tool.name == name)
}
