//! The power switches: one method each, waited for where it is a task.

use crate::error::{Error, Result};
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::hv::power::{Power, Switched, Verb};
use crate::vim::value::Object;
use crate::vsphere::machines::reference;
use crate::vsphere::{Vsphere, task};

impl Power for Vsphere {
    fn switch(&self, call: &Call, machine: &MachineRef, verb: Verb) -> Result<Switched> {
        let (vm, none) = (reference(machine), Object::args());
        let asked = |method| self.session.call(call, &vm, method, &none).map(|_| ());
        let done = |method, doing: &str| {
            let doing = format!("{doing} {}", machine.name);
            task::run(&self.session, call, &vm, method, &none, Some(&vm), &doing).map(|_| ())
        };
        let result = match verb {
            Verb::On => done("PowerOnVM_Task", "powering on"),
            Verb::Off => done("PowerOffVM_Task", "powering off"),
            Verb::Suspend => done("SuspendVM_Task", "suspending"),
            Verb::Reset => done("ResetVM_Task", "resetting"),
            Verb::ShutdownGuest => asked("ShutdownGuest"),
            Verb::RebootGuest => asked("RebootGuest"),
            Verb::StandbyGuest => asked("StandbyGuest"),
        };
        match result {
            Ok(()) => Ok(Switched::Done),
            Err(error) if is_there(&error, verb) => Ok(Switched::Already),
            Err(error) => Err(error),
        }
    }
}

/// The server refused only because the machine is in the wanted state by now.
fn is_there(error: &Error, verb: Verb) -> bool {
    let state = match verb {
        Verb::On => "existingState poweredOn",
        Verb::Off | Verb::ShutdownGuest => "existingState poweredOff",
        Verb::Suspend | Verb::StandbyGuest => "existingState suspended",
        Verb::Reset | Verb::RebootGuest => return false,
    };
    error.fault_name() == Some("InvalidPowerState") && error.sentence().contains(state)
}
