//! Advanced options of the host: a table of what there is, and what was changed of it.
//!
//! Surprising: an option takes a value of its own type only, as hosts do: `xsd:int` for an
//! `xsd:long` is refused. Two options have an effect here: idle time and number of sessions.

use crate::sim::fault::{Fault, Result};
use crate::sim::host;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Object, Value};

/// What an option is.
enum Kind {
    /// Least, most, default.
    Long(i64, i64, i64),
    /// Default.
    Flag(bool),
    /// Default.
    Text(&'static str),
    /// A value that nobody may change.
    Fixed(&'static str),
}

use Kind::{Fixed, Flag, Long, Text};

const IDLE: &str = "Config.HostAgent.vmacore.soap.sessionTimeout";
const COUNT: &str = "Config.HostAgent.vmacore.soap.maxSessionCount";

/// Key, what it is for, and what it is.
const OPTIONS: &[(&str, &str, Kind)] = &[
    ("Annotations.WelcomeMessage", "Welcome message of the console", Text("")),
    ("Config.Defaults.security.host.ruissl", "Require SSL to be used", Flag(true)),
    ("Config.HostAgent.log.level", "Log level", Text("info")),
    (
        "Config.HostAgent.plugins.hostsvc.esxAdminsGroup",
        "Directory group of administrators",
        Text("ESX Admins"),
    ),
    ("Config.HostAgent.plugins.solo.enableMob", "Managed object browser", Flag(false)),
    (COUNT, "Most SOAP sessions", Long(0, 1_000_000, 500)),
    (IDLE, "Minutes until an idle SOAP session ends", Long(0, 1_000_000, 30)),
    ("DCUI.Access", "Users of the console in lockdown mode", Text("root")),
    ("Disk.DiskMaxIOSize", "Largest disk I/O in KB", Long(32, 32767, 32767)),
    ("Mem.AllocGuestLargePage", "Large pages for guests", Long(0, 1, 1)),
    ("Mem.ShareForceSalting", "Salting of page sharing", Long(0, 2, 2)),
    ("Misc.APDTimeout", "Seconds until all paths are given up", Long(20, 99999, 140)),
    ("NFS.HeartbeatFrequency", "Seconds between heartbeats", Long(1, 2_147_483_647, 12)),
    ("NFS.MaxVolumes", "Most NFS volumes", Long(8, 256, 32)),
    ("Net.BlockGuestBPDU", "Block BPDUs of guests", Long(0, 1, 0)),
    ("Net.TcpipHeapMax", "Most MB of the TCP/IP heap", Long(32, 2048, 1536)),
    ("Net.TcpipHeapSize", "MB of the TCP/IP heap at the start", Long(0, 32, 0)),
    ("Power.CpuPolicy", "Power policy", Text("Balanced")),
    (
        "ScratchConfig.CurrentScratchLocation",
        "Scratch at present",
        Fixed("/vmfs/volumes/66a1c0de-0001/.locker"),
    ),
    ("ScratchConfig.ConfiguredScratchLocation", "Scratch after a restart", Text("")),
    ("Security.AccountLockFailures", "Failed logins until a lock", Long(0, 100, 5)),
    ("Security.AccountUnlockTime", "Seconds until a lock ends", Long(1, 3600, 900)),
    (
        "Security.PasswordQualityControl",
        "Quality of passwords",
        Text("retry=3 min=disabled,disabled,disabled,7,7"),
    ),
    ("Syslog.global.defaultRotate", "Kept log files", Long(1, 100, 8)),
    ("Syslog.global.defaultSize", "KB of a log file", Long(1, 10240, 1024)),
    ("Syslog.global.logDir", "Directory of logs", Text("[] /scratch/log")),
    ("Syslog.global.logHost", "Where logs are sent", Text("")),
    ("UserVars.DcuiTimeOut", "Seconds until the console locks", Long(0, 86400, 600)),
    ("UserVars.ESXiShellInteractiveTimeOut", "Seconds until an idle shell ends", Long(0, 86400, 0)),
    ("UserVars.ESXiShellTimeOut", "Seconds until the shell is disabled", Long(0, 86400, 0)),
    ("UserVars.HostClientSessionTimeout", "Seconds of the web client", Long(0, 7200, 900)),
    ("UserVars.SuppressHyperthreadWarning", "No warning of hyperthreads", Long(0, 1, 0)),
    ("UserVars.SuppressShellWarning", "No warning of the shell", Long(0, 1, 0)),
    ("VMkernel.Boot.hyperthreading", "Use hyperthreads", Flag(true)),
    ("Vpx.Vpxa.config.log.level", "Log level of the vCenter agent", Text("info")),
];

/// The agent's own manager shows a part of the host's.
const AGENT: &str = "HostAgentSettings";

/// Options that this manager has by itself; a vCenter's has what is stored only.
fn table(id: &str) -> impl Iterator<Item = &'static (&'static str, &'static str, Kind)> {
    let agent = id == AGENT;
    let host = agent || id.starts_with("ha-adv-options");
    let shows =
        move |key: &str| host && (!agent || key.starts_with("Config.") || key.starts_with("Vpx."));
    OPTIONS.iter().filter(move |it| shows(it.0))
}

/// Where the values of this manager are kept.
fn keeper(world: &World, id: &str) -> String {
    let host = (id == AGENT).then(|| world.first("HostSystem")).flatten();
    let kept = host.and_then(|it| host::manager(world, &it.id, "advancedOption").cloned());
    kept.map_or_else(|| id.to_owned(), |it| it.id)
}

fn long(number: i64) -> Value {
    match Type::find("long") {
        Some(ty) => Value::Typed(ty, Box::new(Value::Int(number))),
        None => Value::Int(number),
    }
}

fn option(key: &str, value: Value) -> Value {
    Object::new("OptionValue").with("key", key).with("value", value).into()
}

fn settings(world: &World, id: &str) -> Vec<Value> {
    let kept = host::stored(world, &keeper(world, id), "setting").unwrap_or(Value::Null);
    let mut all: Vec<Value> = Vec::new();
    let mut known = 0;
    for (key, _, kind) in table(id) {
        known += 1;
        let changed = kept.items().iter().find(|it| it.text("key") == Some(key));
        let changed = changed.and_then(|it| it.get("value"));
        let value = match kind {
            Long(_, _, number) => long(*number),
            Flag(flag) => (*flag).into(),
            Text(text) | Fixed(text) => (*text).into(),
        };
        all.push(option(key, changed.cloned().unwrap_or(value)));
    }
    if known == 0 { kept.into_items() } else { all }
}

fn definitions(_: &World, id: &str) -> Option<Value> {
    let all = table(id).map(|(key, label, kind)| {
        let (kind, fixed) = match kind {
            Long(least, most, number) => (
                Object::new("LongOption")
                    .with("min", *least)
                    .with("max", *most)
                    .with("defaultValue", *number),
                false,
            ),
            Flag(flag) => {
                let kind = Object::new("BoolOption");
                (kind.with("supported", true).with("defaultValue", *flag), false)
            }
            Text(text) => (Object::new("StringOption").with("defaultValue", *text), false),
            Fixed(text) => (Object::new("StringOption").with("defaultValue", *text), true),
        };
        Object::new("OptionDef")
            .with("label", *label)
            .with("summary", *label)
            .with("key", *key)
            .with("optionType", kind.with("valueIsReadonly", fixed))
    });
    Some(all.collect())
}

fn invalid_name(name: &str) -> Fault {
    Fault::new("InvalidName", format!("The name '{name}' is invalid.")).with("name", name)
}

fn query(world: &mut World, call: &Call) -> Result<Value> {
    let all = settings(world, &call.this.id);
    let Some(name) = call.args.text("name").filter(|it| !it.is_empty()) else {
        return Ok(Value::List(all));
    };
    let fits = |key: &str| key == name || (name.ends_with('.') && key.starts_with(name));
    let found: Vec<Value> = all.into_iter().filter(|it| it.text("key").is_some_and(fits)).collect();
    match found.is_empty() {
        true => Err(invalid_name(name)),
        false => Ok(Value::List(found)),
    }
}

/// Whether an option can have this value.
fn fits(id: &str, key: &str, old: &Value, value: &Value) -> bool {
    let same = match (old, value) {
        (Value::Typed(old, _), Value::Typed(new, _)) => old == new,
        (Value::Bool(_), Value::Bool(_))
        | (Value::Int(_), Value::Int(_))
        | (Value::Float(_), Value::Float(_))
        | (Value::Text(_), Value::Text(_)) => true,
        _ => false,
    };
    same && match table(id).find(|it| it.0 == key) {
        Some((_, _, Long(least, most, _))) => {
            value.as_int().is_some_and(|it| (*least..=*most).contains(&it))
        }
        Some((_, _, Fixed(_))) => false,
        _ => true,
    }
}

fn update(world: &mut World, call: &Call) -> Result<Value> {
    let id = &call.this.id;
    let all = settings(world, id);
    for (at, change) in call.args.objects("changedValue").enumerate() {
        let key = change.text("key").unwrap_or_default();
        let old = all.iter().find(|it| it.text("key") == Some(key));
        let old = old.and_then(|it| it.get("value")).ok_or_else(|| invalid_name(key))?;
        if !change.get("value").is_some_and(|it| fits(id, key, old, it)) {
            return Err(Fault::invalid_argument(&format!("changedValue[{at}].value")));
        }
    }
    let keeper = keeper(world, id);
    let props = world.plain_mut(&keeper).ok_or_else(|| Fault::gone(call.this))?;
    let kept = host::list(props, "setting")?;
    for change in call.args.objects("changedValue") {
        match host::item(kept, "key", change.text("key").unwrap_or_default()) {
            Some(known) => *known = change.clone(),
            None => kept.push(change.into()),
        }
    }
    for change in call.args.objects("changedValue") {
        let number = change.int("value").unwrap_or(0);
        match change.text("key") {
            // 0 is no limit.
            Some(IDLE) if number == 0 => world.sessions.idle = i64::MAX / 4,
            Some(IDLE) => world.sessions.idle = number * 60_000,
            Some(COUNT) => {
                let limit = usize::try_from(number).unwrap_or(0);
                world.sessions.limit = if limit == 0 { usize::MAX } else { limit };
            }
            _ => {}
        }
    }
    Ok(Value::Null)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "OptionManager", name: "QueryOptions", run: query },
        Method { on: "OptionManager", name: "UpdateOptions", run: update },
    ],
    properties: &[
        Property {
            on: "OptionManager",
            name: "setting",
            get: |world, id| Some(Value::List(settings(world, id))),
        },
        Property { on: "OptionManager", name: "supportedOption", get: definitions },
    ],
};
