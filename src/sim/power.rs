//! Power: on, off, suspend, reset, and what the guest is asked to do.

use crate::sim::disks;
use crate::sim::fault::{Fault, Result};
use crate::sim::guests;
use crate::sim::host;
use crate::sim::inventory;
use crate::sim::lifecycle;
use crate::sim::machine::{Machine, Power, TOOLS_START, number_in};
use crate::sim::rows::{Call, Family, Method};
use crate::sim::task::Plan;
use crate::sim::world::World;
use crate::vim::value::{Ref, Value};

/// Milliseconds that a guest takes to shut down.
const SHUTDOWN: i64 = 2000;

/// Gives a machine another state; to a state that it has already, it starts anew (a reset).
///
/// Every change of power comes through here, so what hangs on it (connections of its devices,
/// consoles) follows here too.
pub fn enter(world: &mut World, id: &str, to: Power, user: &str) {
    let now = world.now;
    let Ok(machine) = world.machine_mut(id) else { return };
    let before = machine.clone();
    let from = before.power;
    let (kind, verb) = match (from, to) {
        (Power::On, Power::On) => ("VmResettingEvent", "reset"),
        (_, Power::On) => ("VmPoweredOnEvent", "powered on"),
        (_, Power::Off) => ("VmPoweredOffEvent", "powered off"),
        (_, Power::Suspended) => ("VmSuspendedEvent", "suspended"),
    };
    if to == Power::On {
        machine.booted = now;
        // The guest asks for an address.
        if machine.tools && machine.ip.is_empty() && machine.count("VirtualEthernetCard") > 0 {
            let number = number_in(id);
            machine.ip = format!("10.20.{}.{}", 1 + number / 150 % 250, 100 + number % 150);
        }
    }
    machine.power = to;
    machine.mounted = false;
    lifecycle::plug(machine, to == Power::On);
    let after = machine.clone();
    if !after.shared {
        disks::settle(world, Some(&before), &after);
    }
    let (subject, text) = (after.reference(), format!("{} is {verb}", after.name));
    world.event(kind, user, Some(&subject), &text);
    guests::power(world, id, from, to);
    if after.tools && to == Power::On {
        // Nothing else happens when its tools start, and who watches for them must hear of it.
        world.later(TOOLS_START, Box::new(|_| {}));
    }
}

/// A task that takes a machine from one of some states to another.
fn change(
    world: &mut World,
    call: &Call,
    lasts: i64,
    from: &'static [Power],
    to: Power,
) -> Result<Value> {
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let plan = Plan { lasts, cancelable: to == Power::Suspended };
    world.begin(
        call,
        plan,
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            if !from.contains(&machine.power) {
                return Err(Fault::power_state(to.name(), machine.power.name()));
            }
            if machine.config.flag("template") == Some(true) {
                return Err(Fault::not_supported());
            }
            if to == Power::On {
                may_start(world, &id)?;
            }
            enter(world, &id, to, &user);
            Ok(Value::Null)
        }),
    )
}

/// Refuses a machine on a host in maintenance mode, or whose disks are gone, or in use by another
/// one that runs.
fn may_start(world: &World, id: &str) -> Result<()> {
    let Some(machine) = world.machine(id) else { return Ok(()) };
    if host::in_maintenance(world, &machine.host) {
        let text = "The operation is not allowed in the current state of the host.";
        let at = Ref::new("HostSystem", machine.host.clone());
        return Err(Fault::new("InvalidHostState", text).with("host", at));
    }
    if machine.shared {
        return Ok(());
    }
    for path in disks::disk_files(machine).keys() {
        // unverified: the faults; a host wraps them into its own words.
        disks::must_exist(world, path)?;
        let own = |it: &Machine| {
            disks::disks(&it.config).any(|it| it.text("backing.fileName") == Some(path))
        };
        let others = || world.machines.values().filter(|it| !it.shared && it.id != id);
        if own(machine) && others().any(|it| it.power == Power::On && own(it)) {
            return Err(disks::file_fault("FileLocked", path, "is locked by another machine"));
        }
    }
    Ok(())
}

/// Long enough for somebody to answer.
const UNTIL_ANSWERED: i64 = 10 * 365 * 24 * 3_600_000;

/// A machine whose files were moved asks first; its power-on waits for the answer.
fn on(world: &mut World, call: &Call) -> Result<Value> {
    let machine = world.machine_mut(&call.this.id)?;
    let asks = machine.power == Power::Off && machine.moved && machine.question.is_none();
    if !asks {
        return change(world, call, 800, &[Power::Off, Power::Suspended], Power::On);
    }
    let option = |key: &str| {
        let mut all = machine.config.objects("extraConfig");
        all.find(|it| it.text("key") == Some(key)).and_then(|it| it.text("value"))
    };
    let known = match option("uuid.action") {
        Some("create") => Some(COPIED.to_owned()),
        Some("keep" | "change") => Some("button.uuid.movedTheVM".to_owned()),
        _ => option("answer.msg.uuid.altered").map(str::to_owned),
    };
    let lasts = if known.is_some() { 800 } else { UNTIL_ANSWERED };
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let begun = world.begin(
        call,
        Plan { lasts, cancelable: true },
        Box::new(move |world| {
            let fresh = inventory::uuid(world.number() + 900_000);
            let machine = world.machine_mut(&id)?;
            match machine.answer.take().or(known).unwrap_or_default().as_str() {
                "" | "button.uuid.cancel" => {
                    let text = "The operation was canceled: the question was not answered.";
                    return Err(Fault::new("GenericVmConfigFault", text).with("reason", text));
                }
                COPIED => machine.uuid = fresh,
                _ => {}
            }
            machine.moved = false;
            may_start(world, &id)?;
            enter(world, &id, Power::On, &user);
            Ok(Value::Null)
        }),
    )?;
    if lasts == UNTIL_ANSWERED {
        world.machine_mut(&call.this.id)?.question = Some(lifecycle::moved_or_copied());
    }
    Ok(begun)
}

const COPIED: &str = "button.uuid.copiedTheVM";

fn off(world: &mut World, call: &Call) -> Result<Value> {
    change(world, call, 500, &[Power::On, Power::Suspended], Power::Off)
}

fn suspend(world: &mut World, call: &Call) -> Result<Value> {
    change(world, call, 1500, &[Power::On], Power::Suspended)
}

fn reset(world: &mut World, call: &Call) -> Result<Value> {
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    world.begin(
        call,
        Plan { lasts: 500, cancelable: false },
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            if machine.power != Power::On {
                return Err(Fault::power_state("poweredOn", machine.power.name()));
            }
            enter(world, &id, Power::On, &user);
            Ok(Value::Null)
        }),
    )
}

/// What the guest does by itself once it was asked; nobody gets a task for it.
fn ask_guest(world: &mut World, call: &Call, to: Power) -> Result<Value> {
    let now = world.now;
    let machine = world.machine_mut(&call.this.id)?;
    if machine.power != Power::On {
        return Err(Fault::power_state(to.name(), machine.power.name()));
    }
    if !machine.tools_run(now) {
        let text = "Cannot complete operation because VMware Tools is not running in this virtual machine.";
        return Err(Fault::new("ToolsUnavailable", text));
    }
    let id = call.this.id.clone();
    world.later(
        SHUTDOWN,
        Box::new(move |world| {
            if world.machine(&id).is_some_and(|it| it.power == Power::On) {
                enter(world, &id, to, "");
            }
        }),
    );
    Ok(Value::Null)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "VirtualMachine", name: "PowerOnVM_Task", run: on },
        Method { on: "VirtualMachine", name: "PowerOffVM_Task", run: off },
        Method { on: "VirtualMachine", name: "SuspendVM_Task", run: suspend },
        Method { on: "VirtualMachine", name: "ResetVM_Task", run: reset },
        Method {
            on: "VirtualMachine",
            name: "ShutdownGuest",
            run: |world, call| ask_guest(world, call, Power::Off),
        },
        Method {
            on: "VirtualMachine",
            name: "RebootGuest",
            run: |world, call| ask_guest(world, call, Power::On),
        },
        Method {
            on: "VirtualMachine",
            name: "StandbyGuest",
            run: |world, call| ask_guest(world, call, Power::Suspended),
        },
    ],
    properties: &[],
};
