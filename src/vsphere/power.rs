//! The power switches: one method each, waited for where it is a task.

use crate::error::Result;
use crate::hv::call::Call;
use crate::hv::model::MachineRef;
use crate::hv::power::{Power, Switched, Verb};
use crate::vim::value::Object;
use crate::vsphere::machines::{power, reference};
use crate::vsphere::{Vsphere, props, task};

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
            Err(error) if error.fault_name() == Some("InvalidPowerState") => {
                // Somebody else may have done the same between our look and our act.
                let row = props::one(
                    &self.session,
                    call,
                    &vm,
                    "VirtualMachine",
                    &["runtime.powerState"],
                )?;
                let state = power(row.text("runtime.powerState").unwrap_or_default());
                if verb.goal() == Some(state) { Ok(Switched::Already) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}
