//! Making and unmaking machines: where each verb is prepared.

use crate::error::{Error, Result};
use crate::hv::call::Call;
use crate::hv::lifecycle::{BootDevice, Changes, Lifecycle, NewClone, NewMachine};
use crate::hv::machines::{Depth, Machines};
use crate::hv::model::{Machine, MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::devices::disks;
use crate::vsphere::machines::{machine, reference};
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, boot, clone, copy, create, props, reconfigure, site, task};

impl Lifecycle for Vsphere {
    fn create<'a>(&'a self, call: &Call, new: &NewMachine) -> Result<Prepared<'a>> {
        create::prepare(self, call, new)
    }

    fn copy<'a>(&'a self, call: &Call, source: &str, new: &NewClone) -> Result<Prepared<'a>> {
        match self.session.live(call)?.is_vcenter() {
            true => clone::prepare(self, call, source, new, None),
            false => copy::prepare(self, call, source, new),
        }
    }

    fn delete<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>> {
        let at = self.locate(call, wanted)?;
        let paths = ["name", "runtime.powerState", "config.hardware.device", "snapshot"];
        let row = props::one(&self.session, call, &reference(&at), "VirtualMachine", &paths)?;
        let (state, name) = (machine(&row).power, at.name.clone());
        let running = state != PowerState::Off;
        let mut steps = Vec::new();
        if running {
            steps.push(format!("`{name}` ({}) is {} and is powered off hard", at.id, state.word()));
        }
        steps.push(format!("`{name}` at {} is deleted with its files", at.path));
        let mut losses: Vec<String> = disks(row.items("config.hardware.device"))
            .into_iter()
            .map(|it| {
                let gb = it.size_bytes >> 30;
                format!("{} of {gb} GB ({})", it.label, it.file.unwrap_or_default())
            })
            .collect();
        if row.object("snapshot").is_some() {
            losses.push("all of its snapshots".to_owned());
        }
        let seen = format!("{} {}", at.id, state.word());
        let deed = move |call: &Call| {
            let vm = reference(&at);
            let none = Object::args();
            let mut done = Vec::new();
            if running {
                let doing = format!("powering off {}", at.name);
                task::run(&self.session, call, &vm, "PowerOffVM_Task", &none, Some(&vm), &doing)?;
                done.push("powered off".to_owned());
            }
            let doing = format!("deleting {}", at.name);
            task::run(&self.session, call, &vm, "Destroy_Task", &none, None, &doing).map_err(
                |error| match running {
                    true => error.during("powered off, but not deleted"),
                    false => error,
                },
            )?;
            done.push("deleted with its files".to_owned());
            Ok(done)
        };
        Ok(Prepared::new(steps, seen, deed).losing(losses))
    }

    fn reconfigure<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        changes: &Changes,
    ) -> Result<Prepared<'a>> {
        reconfigure::prepare(self, call, wanted, changes)
    }

    fn rename<'a>(&'a self, call: &Call, machine: &MachineRef, name: &str) -> Result<Prepared<'a>> {
        if machine.name == name {
            return Ok(Prepared::already(format!("already called `{name}`")));
        }
        let folder = |at: &MachineRef| at.path.rsplit_once('/').map(|it| it.0.to_owned());
        let beside = |it: &Machine| it.at.name == name && folder(&it.at) == folder(machine);
        if let Some(other) = self.list(call, Depth::Names)?.into_iter().find(beside) {
            return Err(site::duplicate(name, &other.at.id));
        }
        let (vm, old, name) = (reference(machine), machine.name.clone(), name.to_owned());
        let step = format!("name: `{old}` -> `{name}`");
        let seen = format!("{} {old}", machine.id);
        Ok(Prepared::new(vec![step.clone()], seen, move |call| {
            let args = Object::args().with("newName", escaped(&name));
            let doing = format!("renaming {old}");
            task::run(&self.session, call, &vm, "Rename_Task", &args, None, &doing)?;
            Ok(vec![step])
        }))
    }

    fn set_boot_order<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        order: &[BootDevice],
    ) -> Result<Prepared<'a>> {
        if order.iter().enumerate().any(|(at, it)| order[..at].contains(it)) {
            return Err(Error::usage("a device stands twice in `order`"));
        }
        let at = self.locate(call, wanted)?;
        let vm = reference(&at);
        let paths = ["config.hardware.device", "config.bootOptions", "config.changeVersion"];
        let row = props::one(&self.session, call, &vm, "VirtualMachine", &paths)?;
        let hardware = row.items("config.hardware.device");
        let list = boot::list(order, hardware)?;
        let now = row.object("config.bootOptions").map(|it| boot::words(it, hardware));
        let own = now.filter(|it| !it.is_empty());
        let loss = own.as_ref().map(|it| format!("the boot order {}", it.join(", ")));
        let now = own.unwrap_or_else(|| vec!["default".to_owned()]);
        let options = Object::new("VirtualMachineBootOptions").with("bootOrder", list);
        let then = boot::words(&options, hardware);
        if now == then {
            return Ok(Prepared::already(format!("the boot order is already {}", then.join(", "))));
        }
        let step = format!("boot order: {} -> {}", now.join(", "), then.join(", "));
        let spec = Object::new("VirtualMachineConfigSpec")
            .with_some("changeVersion", row.string("config.changeVersion"))
            .with("bootOptions", options);
        let seen = format!("{} {}", at.id, now.join(","));
        Ok(Prepared::new(vec![step.clone()], seen, move |call| {
            reconfigure::apply(self, call, &at, spec)?;
            Ok(vec![step])
        })
        .losing(loss.into_iter().collect()))
    }
}
