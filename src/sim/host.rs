//! The host itself: its state as it is told, maintenance, restart, and what starts with it.
//!
//! What a manager of the host keeps is stored once, at the manager; `config`, `runtime` and
//! `summary` of the host are put together from there when they are read. Surprising: a host that
//! was shut down comes back after a minute, because nobody is there to press the button.

use crate::sim::clock::{Moment, stamp};
use crate::sim::fault::{Fault, Result};
use crate::sim::machine::Power;
use crate::sim::power;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::task::Plan;
use crate::sim::world::World;
use crate::text::order;
use crate::vim::value::{Object, Ref, Value};

/// How long a host is away when it restarts, and when it was shut down.
const AWAY: [Moment; 2] = [5_000, 60_000];
/// Instead of no limit at all.
const FOREVER: Moment = 365 * 24 * 3_600_000;
/// Megabytes and megahertz that the kernel takes.
const KERNEL: (i64, i64) = (3072, 180);

/// What stands for the certificate of a host behind a vCenter; nobody ever connects to it.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

/// Field of `configManager`, property of that manager, field of `config`.
const TOLD: &[(&str, &str, &str)] = &[
    ("storageSystem", "storageDeviceInfo", "storageDevice"),
    ("storageSystem", "fileSystemVolumeInfo", "fileSystemVolume"),
    ("networkSystem", "networkInfo", "network"),
    ("networkSystem", "capabilities", "capabilities"),
    ("networkSystem", "offloadCapabilities", "offloadCapabilities"),
    ("virtualNicManager", "info", "virtualNicManagerInfo"),
    ("datastoreSystem", "capabilities", "datastoreCapabilities"),
    ("serviceSystem", "serviceInfo", "service"),
    ("firewallSystem", "firewallInfo", "firewall"),
    ("autoStartManager", "config", "autoStart"),
    ("advancedOption", "setting", "option"),
    ("dateTimeSystem", "dateTimeInfo", "dateTimeInfo"),
];

// ---- for all families of the host ----

/// Something of that name is there.
pub fn already_exists(name: &str) -> Fault {
    let text = format!("The specified key, name, or identifier '{name}' already exists.");
    Fault::new("AlreadyExists", text).with("name", name)
}

/// Somebody needs it.
pub fn in_use(name: &str) -> Fault {
    Fault::new("ResourceInUse", format!("The resource '{name}' is in use.")).with("name", name)
}

/// What a method does that only has to be there.
pub fn nothing(_: &mut World, _: &Call) -> Result<Value> {
    Ok(Value::Null)
}

/// A stored data object inside a stored property, to be changed.
pub fn inside<'a>(world: &'a mut World, id: &str, path: &[&str]) -> Result<&'a mut Object> {
    let gone = || Fault::gone(&Ref::new("ManagedObject", id));
    let mut at = world.plain_mut(id).ok_or_else(gone)?;
    for name in path {
        match at.field_mut(name) {
            Some(Value::Object(next)) => at = next,
            _ => return Err(gone()),
        }
    }
    Ok(at)
}

/// The list in a field, to be changed; made where there is none.
pub fn list<'a>(object: &'a mut Object, name: &'static str) -> Result<&'a mut Vec<Value>> {
    if !matches!(object.field_mut(name), Some(Value::List(_))) {
        let single = object.remove(name);
        object.set(name, Value::List(single.into_iter().collect()));
    }
    match object.field_mut(name) {
        Some(Value::List(items)) => Ok(items),
        _ => Err(Fault::not_found()),
    }
}

/// The object of a list whose text at `path` is this.
pub fn item<'a>(items: &'a mut [Value], path: &str, wanted: &str) -> Option<&'a mut Object> {
    items.iter_mut().find_map(|it| match it {
        Value::Object(object) if object.text(path) == Some(wanted) => Some(object),
        _ => None,
    })
}

/// What is stored in a property.
pub fn stored(world: &World, id: &str, name: &str) -> Option<Value> {
    world.plain.get(id)?.props.get(name).cloned()
}

/// A manager of a host.
pub fn manager<'a>(world: &'a World, host: &str, field: &str) -> Option<&'a Ref> {
    world.plain.get(host)?.props.object("configManager")?.reference(field)
}

/// The host that this manager belongs to.
pub fn host_of(world: &World, manager: &str) -> Option<String> {
    let owns = |props: &Object| {
        let all = props.object("configManager");
        all.is_some_and(|it| {
            it.fields().any(|(_, value)| value.as_reference().is_some_and(|it| it.id == manager))
        })
    };
    world.all("HostSystem").find(|(_, props)| owns(props)).map(|(id, _)| id.to_owned())
}

/// In maintenance mode no machine may run.
pub fn in_maintenance(world: &World, host: &str) -> bool {
    let props = world.plain.get(host).map(|it| &it.props);
    props.and_then(|it| it.flag("runtime.inMaintenanceMode")) == Some(true)
}

// ---- what is told ----

fn booted(world: &World, id: &str) -> Moment {
    world.boots.get(id).or_else(|| world.boots.get("")).copied().unwrap_or_default()
}

fn config(world: &World, id: &str) -> Option<Value> {
    let props = &world.plain.get(id)?.props;
    let mut config = props.object("config")?.clone();
    if let Some(product) = props.get("summary.config.product") {
        config.set("product", product);
    }
    for (field, property, name) in TOLD {
        let value = manager(world, id, field).and_then(|it| world.property(it, property));
        if let Some(value) = value {
            config.set(name, value.into_owned());
        }
    }
    let bytes = CERTIFICATE.iter().map(|it| Value::from(i64::from(*it)));
    config.set("certificate", bytes.collect::<Vec<_>>());
    Some(config.into())
}

fn runtime(world: &World, id: &str) -> Option<Value> {
    let mut runtime = stored(world, id, "runtime")?.into_object()?;
    if runtime.text("connectionState") == Some("connected") {
        runtime.set("bootTime", stamp(booted(world, id)));
    }
    let health = manager(world, id, "healthStatusSystem")?.id.as_str();
    if let Some(health) = stored(world, health, "runtime") {
        runtime.set("healthSystemRuntime", health);
    }
    Some(runtime.into())
}

/// Megahertz and megabytes that some machines use now.
pub fn usage(world: &World, mhz: i64, of: impl Fn(&str, &str) -> bool) -> (i64, i64) {
    let mut used = (0, 0);
    let on = |it: &&crate::sim::machine::Machine| it.power == Power::On && of(&it.host, &it.pool);
    for machine in world.machines.values().filter(on) {
        let load = machine.load(world.now);
        used.0 += machine.config.int("hardware.numCPU").unwrap_or(1) * mhz * load / 100;
        used.1 += machine.config.int("hardware.memoryMB").unwrap_or(0) * (50 + load) / 100;
    }
    used
}

fn summary(world: &World, id: &str) -> Option<Value> {
    let mut summary = stored(world, id, "summary")?.into_object()?;
    let mhz = summary.int("hardware.cpuMhz").unwrap_or(2600);
    let most = (
        mhz * summary.int("hardware.numCpuCores").unwrap_or(1),
        summary.int("hardware.memorySize").unwrap_or(0) >> 20,
    );
    let (cpu, memory) = usage(world, mhz, |host, _| host == id);
    let stats = Object::new("HostListSummaryQuickStats")
        .with("overallCpuUsage", (cpu + KERNEL.1).min(most.0))
        .with("overallMemoryUsage", (memory + KERNEL.0).min(most.1))
        .with("distributedCpuFairness", 0)
        .with("distributedMemoryFairness", 0)
        .with("uptime", (world.now - booted(world, id)) / 1000);
    summary.set("quickStats", stats);
    summary.set("runtime", runtime(world, id)?);
    Some(summary.into())
}

// ---- maintenance ----

fn enter(world: &mut World, call: &Call) -> Result<Value> {
    if in_maintenance(world, &call.this.id) {
        return Err(Fault::invalid_state());
    }
    let (host, user) = (call.this.clone(), call.user.to_owned());
    let seconds = call.args.int("timeout").unwrap_or(0);
    let lasts = if seconds > 0 { seconds.saturating_mul(1000).min(FOREVER) } else { FOREVER };
    world.event("EnteringMaintenanceModeEvent", &user, Some(&host), "Entering maintenance mode");
    let work = Box::new(move |world: &mut World| {
        if running(world, &host.id) {
            return Err(Fault::new("Timedout", "Operation timed out."));
        }
        inside(world, &host.id, &["runtime"])?.set("inMaintenanceMode", true);
        world.event("EnteredMaintenanceModeEvent", &user, Some(&host), "Entered maintenance mode");
        Ok(Value::Null)
    });
    let task = world.begin(call, Plan { lasts, cancelable: true }, work)?;
    let id = task.as_reference().map(|it| it.id.clone()).unwrap_or_default();
    await_empty(world, call.this.id.clone(), id);
    Ok(task)
}

fn running(world: &World, host: &str) -> bool {
    world.machines.values().any(|it| it.host == host && it.power == Power::On)
}

/// Looks each second whether the last machine of a host stopped, as long as the task waits.
fn await_empty(world: &mut World, host: String, task: String) {
    world.later(
        1000,
        Box::new(move |world| match running(world, &host) {
            _ if !world.tasks.runs(&task) => {}
            true => await_empty(world, host, task),
            false => {
                let now = world.now;
                world.tasks.hasten(&task, now);
            }
        }),
    );
}

fn leave(world: &mut World, call: &Call) -> Result<Value> {
    if !in_maintenance(world, &call.this.id) {
        return Err(Fault::invalid_state());
    }
    let (host, user) = (call.this.clone(), call.user.to_owned());
    world.begin(
        call,
        Plan { lasts: 500, cancelable: false },
        Box::new(move |world| {
            inside(world, &host.id, &["runtime"])?.set("inMaintenanceMode", false);
            world.event("ExitMaintenanceModeEvent", &user, Some(&host), "Exited maintenance mode");
            Ok(Value::Null)
        }),
    )
}

// ---- restart ----

fn restart(world: &mut World, call: &Call, away: Moment) -> Result<Value> {
    if !in_maintenance(world, &call.this.id) && call.args.flag("force") != Some(true) {
        return Err(Fault::invalid_state());
    }
    let (host, user) = (call.this.id.clone(), call.user.to_owned());
    world.begin(
        call,
        Plan { lasts: 500, cancelable: false },
        Box::new(move |world| {
            // The task succeeds first: a client must have a chance to hear of it.
            world.later(3000, Box::new(move |world| go_down(world, host, &user, away)));
            Ok(Value::Null)
        }),
    )
}

fn go_down(world: &mut World, host: String, user: &str, away: Moment) {
    let on = world.machines.values().filter(|it| it.host == host && it.power == Power::On);
    let on: Vec<String> = on.map(|it| it.id.clone()).collect();
    for id in on {
        power::enter(world, &id, Power::Off, user);
    }
    connection(world, &host, "notResponding");
    if !world.vcenter {
        world.sessions.all.clear();
    }
    world.later(away, Box::new(move |world| come_up(world, &host)));
}

fn connection(world: &mut World, host: &str, state: &str) {
    if let Ok(runtime) = inside(world, host, &["runtime"]) {
        runtime.set("connectionState", state);
        runtime.set("powerState", if state == "connected" { "poweredOn" } else { "unknown" });
    }
}

fn come_up(world: &mut World, host: &str) {
    let now = world.now;
    world.boots.insert(host.to_owned(), now);
    connection(world, host, "connected");
    if let Some(id) = manager(world, host, "autoStartManager").map(|it| it.id.clone())
        && !in_maintenance(world, host)
    {
        start_all(world, &id);
    }
}

// ---- what starts with the host ----

fn start_all(world: &mut World, manager: &str) {
    let Some(config) = stored(world, manager, "config") else { return };
    if config.flag("defaults.enabled") != Some(true) {
        return;
    }
    let starts = |it: &&Object| matches!(it.text("startAction"), Some(action) if action.eq_ignore_ascii_case("powerOn"));
    let all: Vec<&Object> = config.objects("powerInfo").filter(starts).collect();
    // Those without a place of their own come last.
    let turn = |it: &&Object| it.int("startOrder").filter(|it| *it > 0).unwrap_or(i64::MAX);
    let all = order::by_number(all, &turn);
    for id in all.iter().filter_map(|it| Some(it.reference("key")?.id.as_str())) {
        if world.machine(id).is_some_and(|it| it.power != Power::On) {
            power::enter(world, id, Power::On, "");
        }
    }
}

fn reconfigure_autostart(world: &mut World, call: &Call) -> Result<Value> {
    const ACTIONS: &[&str] =
        &["none", "systemDefault", "powerOn", "powerOff", "guestShutdown", "suspend"];
    for info in call.args.objects("spec.powerInfo") {
        let key = info.reference("key").map_or("", |it| it.id.as_str());
        if world.machine(key).is_none() {
            return Err(Fault::invalid_argument("spec.powerInfo.key"));
        }
        for field in ["startAction", "stopAction"] {
            let action = info.text(field).unwrap_or_default();
            // Clients write `PowerOn` as well, which hosts take.
            if !ACTIONS.iter().any(|it| it.eq_ignore_ascii_case(action)) {
                return Err(Fault::invalid_argument(&format!("spec.powerInfo.{field}")));
            }
        }
        if info.int("startOrder").is_some_and(|it| it < -1 || it == 0) {
            return Err(Fault::invalid_argument("spec.powerInfo.startOrder"));
        }
    }
    let config = inside(world, &call.this.id, &["config"])?;
    if let Some(Value::Object(defaults)) = config.field_mut("defaults") {
        for (name, value) in call.args.object("spec.defaults").iter().flat_map(|it| it.fields()) {
            defaults.set(name, value);
        }
    }
    let kept = list(config, "powerInfo")?;
    for info in call.args.objects("spec.powerInfo") {
        kept.retain(|it| it.reference("key") != info.reference("key"));
        // unverified: a host forgets a machine whose action is `none`.
        if !info.text("startAction").is_some_and(|it| it.eq_ignore_ascii_case("none")) {
            kept.push(info.into());
        }
    }
    Ok(Value::Null)
}

/// A method of the host.
const fn on_host(name: &'static str, run: crate::sim::rows::Run) -> Method {
    Method { on: "HostSystem", name, run }
}

/// A method of what starts with it.
const fn on_start(name: &'static str, run: crate::sim::rows::Run) -> Method {
    Method { on: "HostAutoStartManager", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on_host("EnterMaintenanceMode_Task", enter),
        on_host("ExitMaintenanceMode_Task", leave),
        on_host("RebootHost_Task", |world, call| restart(world, call, AWAY[0])),
        on_host("ShutdownHost_Task", |world, call| restart(world, call, AWAY[1])),
        on_start("ReconfigureAutostart", reconfigure_autostart),
    ],
    properties: &[
        Property { on: "HostSystem", name: "config", get: config },
        Property { on: "HostSystem", name: "runtime", get: runtime },
        Property { on: "HostSystem", name: "summary", get: summary },
        Property {
            on: "ManagedEntity",
            name: "configStatus",
            get: |world, id| stored(world, id, "configStatus").or_else(|| Some("green".into())),
        },
    ],
};
