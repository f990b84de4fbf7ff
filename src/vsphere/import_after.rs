//! What an imported machine gets before its first start, and the start.
//!
//! One reconfiguration: an image in a drive, the boot order, and on a standalone host the settings.
//! Surprising: the machine is whole by then, and would start without its settings; so if this fails,
//! it goes again.

use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::hv::appliances::Setting;
use crate::hv::call::{Call, Rights};
use crate::hv::model::MachineRef;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::devices::{add, label, of_kind};
use crate::vsphere::drives::{filled, first_in_order, holding, plug};
use crate::vsphere::{Vsphere, ovf_env, props, reconfigure, slots, task};

/// What taking a machine away again may cost.
const PARTING: Duration = Duration::from_secs(120);

/// What is still to be done.
pub struct After {
    /// As `[datastore] path`.
    pub image: Option<String>,
    /// Drives come first in the boot order.
    pub boot: bool,
    /// All settings, where the server does not bring them to the guest.
    pub settings: Option<Vec<Setting>>,
    pub power_on: bool,
}

impl After {
    /// Does it to the machine that was made, adding what was done to `done`.
    pub fn run(
        &self,
        it: &Vsphere,
        call: &Call,
        vm: &Ref,
        name: &str,
        done: &mut Vec<String>,
    ) -> Result<()> {
        if (self.image.is_some() || self.settings.is_some())
            && let Err(error) = self.change(it, call, vm, name, done)
        {
            return Err(undone(it, vm, name, error));
        }
        if !self.power_on {
            return Ok(());
        }
        let method = match &*vm.kind {
            "VirtualApp" => "PowerOnVApp_Task",
            _ => "PowerOnVM_Task",
        };
        let (args, doing) = (Object::args(), format!("powering on {name}"));
        let machine = Some(vm).filter(|it| it.kind == "VirtualMachine");
        task::run(&it.session, call, vm, method, &args, machine, &doing).map_err(|error| {
            error
                .during(format!("`{name}` ({}) is made and stays, but is not powered on", vm.id))
                .hint("Mend the cause and power it on; delete_vm removes it")
        })?;
        done.push("powered on".to_owned());
        Ok(())
    }

    fn change(
        &self,
        it: &Vsphere,
        call: &Call,
        vm: &Ref,
        name: &str,
        done: &mut Vec<String>,
    ) -> Result<()> {
        let paths = ["config.hardware.device", "config.bootOptions", "config.changeVersion"];
        let row = props::one(&it.session, call, vm, "VirtualMachine", &paths)?;
        let mut spec = Object::new("VirtualMachineConfigSpec");
        if let Some(version) = row.text("config.changeVersion").filter(|it| !it.is_empty()) {
            spec.set("changeVersion", version);
        }
        let mut said = Vec::new();
        if let Some(path) = &self.image {
            let (changes, drive) = inserted(row.items("config.hardware.device"), path)?;
            spec.set("deviceChange", changes);
            said.push(format!("{drive} holds {path}"));
            if self.boot
                && let Some(options) = first_in_order(row.object("config.bootOptions"))
            {
                spec.set("bootOptions", options);
                said.push("CD/DVD drives come first in the boot order".to_owned());
            }
        }
        if let Some(settings) = &self.settings {
            let live = it.session.live(call)?;
            let text = ovf_env::text(live.content.object("about"), settings, &vm.id)?;
            let option = Object::new("OptionValue").with("key", ovf_env::KEY).with("value", text);
            spec.set("extraConfig", vec![option]);
            said.push("the settings are in the guest's OVF environment".to_owned());
        }
        let at = MachineRef { id: vm.id.clone(), name: name.to_owned(), path: String::new() };
        reconfigure::apply(it, call, &at, spec)?;
        done.append(&mut said);
        Ok(())
    }
}

/// The image in a drive that is empty, else in another one; the changes and the drive's name.
fn inserted(devices: &[Value], path: &str) -> Result<(Vec<Object>, String)> {
    const CDROM: &str = "VirtualCdrom";
    let empty = |it: &&Object| it.text("backing.fileName").is_none_or(str::is_empty);
    if let Some(drive) = of_kind(devices, CDROM).find(empty) {
        let change = filled(drive, holding(path.to_owned()), true, false);
        return Ok((vec![change], label(drive).to_owned()));
    }
    let slot = slots::for_drive(devices)?;
    let drive = Object::new(CDROM)
        .with("key", -1)
        .with("connectable", plug(true, false))
        .with("backing", holding(path.to_owned()))
        .with("controllerKey", slot.controller)
        .with("unitNumber", slot.unit);
    let mut changes: Vec<Object> = slot.added.into_iter().map(add).collect();
    changes.push(add(drive));
    Ok((changes, format!("a new CD/DVD drive at {}", slot.shown)))
}

/// Takes the machine away again, whose change failed.
fn undone(it: &Vsphere, vm: &Ref, name: &str, error: Error) -> Error {
    let stays = |why: &str| format!("`{name}` ({}) is made, {why}", vm.id);
    if task::goes_on(&error) {
        return error.during(stays("and its first change goes on"));
    }
    let call = Call::new(Rights::Change).within(PARTING);
    let (args, doing) = (Object::args(), format!("removing {name}"));
    match task::run(&it.session, &call, vm, "Destroy_Task", &args, None, &doing) {
        Ok(_) => error.during(format!("`{name}` was made, could not be set up and is gone again")),
        Err(gone) if gone.kind() == Kind::NotFound => {
            error.during(format!("`{name}` was made and is gone"))
        }
        Err(second) => {
            log::warn!("`{name}` could not be removed: {second}");
            error
                .during(stays("could not be set up and not be removed either"))
                .hint("delete_vm removes it")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controller(kind: &'static str, key: i64) -> Value {
        Object::new(kind).with("key", key).with("busNumber", 0).into()
    }

    fn drive(key: i64, unit: i64, file: Option<&str>) -> Value {
        let backing = match file {
            Some(file) => holding(file.to_owned()),
            None => Object::new("VirtualCdromRemotePassthroughBackingInfo").with("deviceName", ""),
        };
        let shown = Object::new("Description").with("label", format!("CD/DVD drive {key}"));
        Object::new("VirtualCdrom")
            .with("key", key)
            .with("deviceInfo", shown)
            .with("backing", backing)
            .with("controllerKey", 200)
            .with("unitNumber", unit)
            .into()
    }

    #[test]
    fn an_image_goes_into_an_empty_drive_and_never_in_place_of_another() {
        let ide = controller("VirtualIDEController", 200);
        let devices = [ide.clone(), drive(1, 0, Some("[ds] own.iso")), drive(2, 1, None)];
        let (changes, into) = inserted(&devices, "[ds] x.iso").unwrap();
        assert_eq!((changes.len(), into.as_str()), (1, "CD/DVD drive 2"));
        assert_eq!(changes[0].text("operation"), Some("edit"));
        assert_eq!(changes[0].flag("device.connectable.startConnected"), Some(true));
        let (changes, into) = inserted(&devices[..2], "[ds] x.iso").unwrap();
        assert_eq!((changes.len(), changes[0].text("operation")), (1, Some("add")));
        assert!(into.contains("IDE 0:1"), "{into}");
        let (changes, _) = inserted(&[], "[ds] x.iso").unwrap();
        assert_eq!(changes.len(), 2);
    }
}
