//! Power: on, off, suspend, reset, and what the guest is asked to do.

use crate::sim::fault::{Fault, Result};
use crate::sim::guests;
use crate::sim::machine::Power;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::task::Plan;
use crate::sim::world::World;
use crate::vim::value::Value;

/// Milliseconds that a guest takes to shut down.
const SHUTDOWN: i64 = 2000;

/// Gives a machine another state; to a state that it has already, it starts anew (a reset).
///
/// Every change of power comes through here, so what hangs on it (connections of its devices,
/// consoles) follows here too.
pub fn enter(world: &mut World, id: &str, to: Power, user: &str) {
    let now = world.now;
    let Ok(machine) = world.machine_mut(id) else { return };
    let from = machine.power;
    let (kind, verb) = match (from, to) {
        (Power::On, Power::On) => ("VmResettingEvent", "reset"),
        (_, Power::On) => ("VmPoweredOnEvent", "powered on"),
        (_, Power::Off) => ("VmPoweredOffEvent", "powered off"),
        (_, Power::Suspended) => ("VmSuspendedEvent", "suspended"),
    };
    if to == Power::On {
        machine.booted = now;
    }
    machine.power = to;
    let (subject, text) = (machine.reference(), format!("{} is {verb}", machine.name));
    world.event(kind, user, Some(&subject), &text);
    guests::power(world, id, from, to);
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
            enter(world, &id, to, &user);
            Ok(Value::Null)
        }),
    )
}

fn on(world: &mut World, call: &Call) -> Result<Value> {
    change(world, call, 800, &[Power::Off, Power::Suspended], Power::On)
}

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
