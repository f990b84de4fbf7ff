//! Changing a machine: each change as old -> new, and what its power state forbids.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::lifecycle::Changes;
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::machines::{power, reference};
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, props, task};

const PATHS: &[&str] = &[
    "runtime.powerState",
    "summary.config.template",
    "config.changeVersion",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.annotation",
    "config.nestedHVEnabled",
    "config.cpuHotAddEnabled",
    "config.cpuHotRemoveEnabled",
    "config.memoryHotAddEnabled",
];

/// Reads the machine and checks the changes against it.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    changes: &Changes,
) -> Result<Prepared<'a>> {
    let at = it.locate(call, wanted)?;
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", PATHS)?;
    if row.get("config.hardware.numCPU").is_none() {
        return Err(Error::new(
            Kind::Conflict,
            format!("the configuration of `{}` cannot be read", at.name),
        )
        .hint("The VM may be inaccessible or just being made; get_vm_info shows its state"));
    }
    let mut draft =
        Draft { row: &row, steps: Vec::new(), spec: Object::new("VirtualMachineConfigSpec") };
    draft.cpus(changes)?;
    draft.memory(changes)?;
    draft.flags(changes)?;
    if let Some(text) = &changes.annotation {
        let old = row.text("config.annotation").unwrap_or_default();
        if old != text {
            draft.steps.push(format!("annotation: `{}` -> `{text}`", crate::error::quoted(old)));
            draft.spec.set("annotation", text.as_str());
        }
    }
    let Draft { steps, mut spec, .. } = draft;
    if steps.is_empty() {
        return Ok(Prepared::already("already as asked"));
    }
    let version = row.text("config.changeVersion").unwrap_or_default().to_owned();
    let seen = format!("{} {version}", at.id);
    if !version.is_empty() {
        spec.set("changeVersion", version);
    }
    let done = steps.clone();
    Ok(Prepared::new(steps, seen, move |call| {
        apply(it, call, &at, spec)?;
        Ok(done)
    }))
}

/// Sends a `VirtualMachineConfigSpec`; its `changeVersion` refuses it if somebody was faster.
pub fn apply(it: &Vsphere, call: &Call, at: &MachineRef, spec: Object) -> Result<()> {
    let vm = reference(at);
    let args = Object::args().with("spec", spec);
    let doing = format!("changing {}", at.name);
    task::run(&it.session, call, &vm, "ReconfigVM_Task", &args, Some(&vm), &doing).map(|_| ())
}

struct Draft<'a> {
    row: &'a Row,
    steps: Vec<String>,
    spec: Object,
}

impl Draft<'_> {
    fn is_off(&self) -> bool {
        power(self.row.text("runtime.powerState").unwrap_or_default()) == PowerState::Off
    }

    fn is_on(&self) -> bool {
        power(self.row.text("runtime.powerState").unwrap_or_default()) == PowerState::On
    }

    fn refuse(&self, what: &str, why: &str) -> Result<()> {
        let (why, hint) = match self.is_on() {
            true => (format!(": {why}"), "Power it off first (shutdown_guest or power_off)"),
            // No switch would help: what is on disk has the hardware that it had.
            false => (String::new(), "Power it on, then off (shutdown_guest or power_off)"),
        };
        let state = power(self.row.text("runtime.powerState").unwrap_or_default()).word();
        Err(Error::new(Kind::Conflict, format!("{what} cannot change while it is {state}{why}"))
            .hint(hint))
    }

    fn cpus(&mut self, changes: &Changes) -> Result<()> {
        let Some(new) = changes.cpus else { return Ok(()) };
        let old = self.row.int("config.hardware.numCPU").unwrap_or(0);
        if old == new {
            return Ok(());
        }
        let cores = self.row.int("config.hardware.numCoresPerSocket").unwrap_or(1).max(1);
        if new % cores != 0 {
            return Err(Error::usage(format!("{new} CPUs do not fill sockets of {cores} cores"))
                .hint(format!("Choose a multiple of {cores}")));
        }
        let hot = if new > old { "config.cpuHotAddEnabled" } else { "config.cpuHotRemoveEnabled" };
        let hot = self.is_on() && self.row.flag(hot) == Some(true);
        if !self.is_off() && !hot {
            let verb = if new > old { "hot add" } else { "hot remove" };
            self.refuse("cpu", &format!("CPU {verb} is off"))?;
        }
        self.steps.push(format!("cpu: {old} -> {new}"));
        self.spec.set("numCPUs", new);
        Ok(())
    }

    fn memory(&mut self, changes: &Changes) -> Result<()> {
        let Some(new) = changes.memory_mb else { return Ok(()) };
        let old = self.row.int("config.hardware.memoryMB").unwrap_or(0);
        if old == new {
            return Ok(());
        }
        if new % 4 != 0 {
            return Err(Error::usage(format!("{new} MB of memory is not a multiple of 4")));
        }
        if !self.is_off() && new < old {
            self.refuse("memory_mb", "memory cannot shrink in a running VM")?;
        }
        let hot = self.is_on() && self.row.flag("config.memoryHotAddEnabled") == Some(true);
        if !self.is_off() && !hot {
            self.refuse("memory_mb", "memory hot add is off")?;
        }
        self.steps.push(format!("memory_mb: {old} -> {new}"));
        self.spec.set("memoryMB", new);
        Ok(())
    }

    fn flags(&mut self, changes: &Changes) -> Result<()> {
        let all = [
            (
                "nested_virtualization",
                changes.nested_virtualization,
                "config.nestedHVEnabled",
                "nestedHVEnabled",
            ),
            ("cpu_hot_add", changes.cpu_hot_add, "config.cpuHotAddEnabled", "cpuHotAddEnabled"),
            (
                "memory_hot_add",
                changes.memory_hot_add,
                "config.memoryHotAddEnabled",
                "memoryHotAddEnabled",
            ),
        ];
        for (name, new, path, field) in all {
            let old = self.row.flag(path).unwrap_or(false);
            let Some(new) = new.filter(|new| *new != old) else { continue };
            if !self.is_off() {
                self.refuse(name, "it is fixed at power-on")?;
            }
            self.steps.push(format!("{name}: {old} -> {new}"));
            self.spec.set(field, new);
        }
        Ok(())
    }
}
