//! Reading machines: the list and the details.

use crate::error::{Error, Result};
use crate::hv::machines::Depth;
use crate::hv::model::{Disk, Machine, MachineDetail, Nic, PowerState};
use crate::text::glob;
use crate::tools::args::{Arg, Args, Default};
use crate::tools::ctx::{Ctx, Gathered};
use crate::tools::reply::{Record, Reply, Rows};
use crate::tools::{Effect, Level, Run, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "list_vms",
        title: "List VMs",
        about: "All VMs with state, size, guest OS, address and id, in one query. Start here to find a VM.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[GLOB, STATE, FOLDER, LIMIT, OFFSET, NO_CACHE],
        run: Run::Read(list),
    },
    Tool {
        name: "get_vm_info",
        title: "VM details",
        about: "Everything about one VM: hardware, disks, NICs with MAC and IP, tools, storage, uptime, uuid, boot order, place.",
        level: Level::Read,
        effect: Effect::Reads,
        idempotent: true,
        args: &[VM],
        run: Run::Read(info),
    },
];

/// One machine, required.
pub const VM: Arg = Arg::text("name", "VM name, id or path").required();
const GLOB: Arg = Arg::text("name", "glob, such as web*");
const STATE: Arg = Arg::text("power_state", "on, off, suspended, or the native word");
const FOLDER: Arg = Arg::text("folder", "only below this folder (name or path)");
/// Rows of one answer.
pub const LIMIT: Arg = Arg::int("limit", "", 1, 1000).or(Default::Int(100));
/// First row of the answer.
pub const OFFSET: Arg = Arg::int("offset", "", 0, 1_000_000).or(Default::Int(0));
const NO_CACHE: Arg =
    Arg::flag("no_cache", "lists are always fresh; for older scripts").or(Default::Flag(false));

const COLUMNS: &[&str] =
    &["name", "power_state", "cpu", "memory_mb", "guest_os", "ip_addresses", "path", "id"];

fn list(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let detailed = args.opt_text(crate::tools::args::RESPONSE_FORMAT) == Some("detailed");
    let depth = if detailed { Depth::Full } else { Depth::Rows };
    let _always_fresh = args.flag(NO_CACHE);
    let wanted = Wanted::read(args)?;
    let gathered = ctx.gather(&|host, call| {
        let mut machines = host.machines().list(call, depth)?;
        machines.retain(|machine| wanted.takes(machine));
        Ok(machines)
    })?;
    page("vms", COLUMNS, gathered, row, args)
}

/// One page of a list by `limit` and `offset`; rows are made of what is on it only.
pub fn page<T>(
    key: &'static str,
    concise: &'static [&'static str],
    gathered: Gathered<'_, T>,
    row: impl Fn(&T) -> Record,
    args: &Args,
) -> Result<Reply> {
    let offset = usize::try_from(args.int(OFFSET)?).unwrap_or(0);
    let limit = usize::try_from(args.int(LIMIT)?).unwrap_or(100);
    let total = gathered.found.len();
    let shown = gathered.found.iter().skip(offset).take(limit);
    let rows = shown
        .map(|(server, it)| match server {
            Some(server) => row(it).led_by("host", *server),
            None => row(it),
        })
        .collect();
    let unasked = gathered.unasked;
    let offset = Some(offset);
    Ok(Reply::Rows(Rows { total, offset, unasked, ..Rows::whole(key, concise, rows) }))
}

struct Wanted<'a> {
    name: Option<&'a str>,
    state: Option<&'a str>,
    folder: Option<&'a str>,
}

impl Wanted<'_> {
    fn read(args: &Args) -> Result<Wanted<'_>> {
        let state = args.opt_text(STATE);
        if state.is_some_and(|it| !is_state(it)) {
            let word = crate::error::quoted(state.unwrap_or_default());
            return Err(Error::usage(format!("no VM is ever `{word}`"))
                .hint(format!("States are {}", PowerState::WORDS.join(", "))));
        }
        Ok(Wanted { name: args.opt_text(GLOB), state, folder: args.opt_text(FOLDER) })
    }

    fn takes(&self, machine: &Machine) -> bool {
        let at = &machine.at;
        let folder = at.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.name.is_none_or(|name| glob::matches(name, &at.name))
            && self.state.is_none_or(|state| has_state(machine, state))
            && self.folder.is_none_or(|wanted| below(folder, wanted))
    }
}

fn has_state(machine: &Machine, state: &str) -> bool {
    machine.power.word().eq_ignore_ascii_case(state)
        || machine.native_state.eq_ignore_ascii_case(state)
}

/// Our words, and what hypervisors call the same.
fn is_state(word: &str) -> bool {
    const NATIVE: [&str; 2] = ["poweredOn", "poweredOff"];
    PowerState::WORDS.iter().chain(&NATIVE).any(|known| known.eq_ignore_ascii_case(word))
}

/// A folder by its path, or by the name of any folder on the way.
fn below(folder: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_matches('/');
    let folder = folder.trim_matches('/');
    folder == wanted
        || folder.starts_with(&format!("{wanted}/"))
        || (!wanted.contains('/') && folder.split('/').any(|part| part == wanted))
}

/// A machine as a list shows it.
pub fn row(machine: &Machine) -> Record {
    Record::new()
        .text("name", &machine.at.name)
        .text("power_state", machine.power.word())
        .maybe_int("cpu", machine.cpus)
        .maybe_int("memory_mb", machine.memory_mb)
        .maybe_text("guest_os", machine.guest_os.clone())
        .texts("ip_addresses", &machine.ip_addresses)
        .text("path", &machine.at.path)
        .text("id", &machine.at.id)
        .text("native_state", &machine.native_state)
        .maybe_text("trouble", machine.trouble.clone())
        .flag("template", machine.template)
        .maybe_text("tools", machine.agent.clone())
        .maybe_int("cpu_usage_mhz", machine.cpu_usage_mhz)
        .maybe_int("memory_usage_mb", machine.memory_usage_mb)
        .maybe_int("storage_used_bytes", machine.storage_used_bytes)
        .maybe_text("question", machine.question.as_ref().map(|it| it.text.clone()))
}

fn info(ctx: &Ctx<'_>, args: &Args) -> Result<Reply> {
    let detail = ctx.machines()?.detail(&ctx.call, args.text(VM)?)?;
    Ok(Reply::record(detailed(&detail)))
}

fn detailed(it: &MachineDetail) -> Record {
    let mut record = row(&it.machine)
        .maybe_text("uuid", it.uuid.clone())
        .maybe_text("instance_uuid", it.instance_uuid.clone())
        .maybe_text("hardware_version", it.hardware_version.clone())
        .maybe_text("firmware", it.firmware.clone())
        .maybe_flag("secure_boot", it.secure_boot)
        .maybe_int("cores_per_socket", it.cores_per_socket)
        .maybe_flag("cpu_hot_add", it.cpu_hot_add)
        .maybe_flag("memory_hot_add", it.memory_hot_add)
        .maybe_flag("nested_virtualization", it.nested_virtualization)
        .records("disks", it.disks.iter().map(disk).collect())
        .records("nics", it.nics.iter().map(nic).collect());
    let media =
        |(label, what): &(String, String)| Record::new().text("label", label).text("medium", what);
    record = record
        .records("media", it.media.iter().map(media).collect())
        .int("snapshots", it.snapshots)
        .maybe_text("tools_version", it.agent_version.clone())
        .maybe_text("guest_hostname", it.guest_hostname.clone())
        .maybe_int("uptime_seconds", it.uptime_seconds)
        .maybe_text("booted_at", it.booted_at.clone())
        .maybe_text("annotation", it.annotation.clone())
        .texts("boot_order", &it.boot_order)
        .maybe_text("runs_on", it.host.clone())
        .maybe_text("folder", it.folder.clone())
        .maybe_text("resource_pool", it.resource_pool.clone())
        .texts("datastores", &it.datastores)
        .maybe_text("config_path", it.config_path.clone());
    record
}

/// A disk as every answer shows it.
pub fn disk(disk: &Disk) -> Record {
    Record::new()
        .text("label", &disk.label)
        .value("size_gb", gigabytes(disk.size_bytes))
        .maybe_text("file", disk.file.clone())
        .maybe_flag("thin", disk.thin)
        .maybe_text("controller", disk.controller.clone())
}

/// GiB with at most two decimals, whole where it is.
pub fn gigabytes(bytes: i64) -> crate::text::json::Value {
    use crate::text::json::{Number, Value, int};
    const GIB: i64 = 1 << 30;
    match bytes % GIB {
        0 => int(bytes / GIB),
        _ => Value::Number(Number::F64((bytes as f64 / GIB as f64 * 100.0).round() / 100.0)),
    }
}

fn nic(nic: &Nic) -> Record {
    Record::new()
        .text("label", &nic.label)
        .text("model", &nic.model)
        .maybe_text("mac_address", nic.mac_address.clone())
        .maybe_text("network", nic.network.clone())
        .flag("connected", nic.connected)
        .texts("ip_addresses", &nic.ip_addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_meant_by_path_or_by_name() {
        assert!(below("DC0/vm/prod/web", "prod") && below("DC0/vm/prod/web", "/DC0/vm/prod"));
        assert!(!below("DC0/vm/production", "prod") && !below("DC0/vm", "DC0/vm/prod"));
    }

    #[test]
    fn sizes_are_whole_where_they_are() {
        let shown = |bytes| crate::text::json::write(&gigabytes(bytes));
        assert_eq!((shown(20 << 30), shown((1 << 30) * 3 / 2)), ("20".into(), "1.5".into()));
    }
}
