//! A machine's devices as they are, and a change to them in one request.
//!
//! One query reads everything that decides whether a device may come, go or change: power state,
//! snapshots, the devices themselves and the `changeVersion` that refuses the change when somebody
//! was faster. It knows no kind of device; `disks`, `nics` and `serial` do. Surprising: a machine
//! may be there without its configuration, while it is being made or cannot be reached.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Value};
use crate::vsphere::devices::{connectable, edit, label, of_kind};
use crate::vsphere::machines::{power, reference};
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, props, reconfigure};

/// What every change of devices wants to know; a family adds its own.
pub const PATHS: &[&str] = &[
    "runtime.powerState",
    "runtime.host",
    "summary.config.template",
    "summary.config.vmPathName",
    "config.changeVersion",
    "config.hardware.device",
    "snapshot",
];

/// One machine's hardware.
pub struct Hardware<'a> {
    it: &'a Vsphere,
    pub at: MachineRef,
    pub row: Row,
}

impl<'a> Hardware<'a> {
    /// The hardware of the machine that `wanted` means, with [`PATHS`] and `more` properties.
    pub fn read(
        it: &'a Vsphere,
        call: &Call,
        wanted: &str,
        more: &[&'static str],
    ) -> Result<Hardware<'a>> {
        let at = it.locate(call, wanted)?;
        let paths = [PATHS, more].concat();
        let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", &paths)?;
        if row.get("config.hardware.device").is_none() {
            let said = format!("the configuration of `{}` cannot be read", at.name);
            return Err(Error::new(Kind::Conflict, said).hint(
                "The VM may be inaccessible or just being made; get_vm_info shows its state",
            ));
        }
        Ok(Hardware { it, at, row })
    }

    /// `config.hardware.device`.
    pub fn devices(&self) -> &[Value] {
        self.row.items("config.hardware.device")
    }

    pub fn power(&self) -> PowerState {
        power(self.row.text("runtime.powerState").unwrap_or_default())
    }

    pub fn is_on(&self) -> bool {
        self.power() == PowerState::On
    }

    pub fn is_off(&self) -> bool {
        self.power() == PowerState::Off
    }

    pub fn has_snapshots(&self) -> bool {
        self.row.get("snapshot").is_some()
    }

    /// The device of this kind (`VirtualDisk`, `VirtualEthernetCard` ...) and label, whatever the
    /// case, or of this key. `what` is the word for the error, such as `disk`.
    pub fn device<'s>(&'s self, kind: &'s str, what: &str, wanted: &str) -> Result<&'s Object> {
        let word = wanted.trim();
        let meant = |it: &&Object| {
            label(it).eq_ignore_ascii_case(word)
                || it.int("key").is_some_and(|key| key.to_string() == word)
        };
        of_kind(self.devices(), kind).find(meant).ok_or_else(|| {
            let labels: Vec<&str> = of_kind(self.devices(), kind).map(label).collect();
            let said = format!("`{}` has no {what} `{}`", self.at.name, quoted(wanted));
            Error::new(Kind::NotFound, said).hint(match labels.len() {
                0 => format!("It has no {what} at all"),
                _ => format!("There are: {}", labels.join(", ")),
            })
        })
    }

    /// Refuses a template, whose devices nobody may change, and a suspended machine, whose memory
    /// knows the devices that it had.
    pub fn must_be_changeable(&self) -> Result<()> {
        let name = &self.at.name;
        if self.row.flag("summary.config.template") == Some(true) {
            return Err(Error::new(Kind::Conflict, format!("`{name}` is a template"))
                .hint("convert_to_vm makes a VM of it"));
        }
        match self.power() {
            PowerState::On | PowerState::Off => Ok(()),
            state => Err(Error::new(
                Kind::Conflict,
                format!("`{name}` is {} and keeps its devices", state.word()),
            )
            .hint("Power it on, or off for good, first")),
        }
    }

    /// Refuses what only a machine that is off can do; `what` completes "cannot ...".
    pub fn must_be_off(&self, what: &str) -> Result<()> {
        if self.is_off() {
            return Ok(());
        }
        let said = format!("`{}` is {} and cannot {what}", self.at.name, self.power().word());
        Err(Error::new(Kind::Conflict, said)
            .hint("Power it off first (shutdown_guest or power_off)"))
    }

    /// The state that a plan was made on.
    pub fn seen(&self) -> String {
        format!(
            "{} {} {}",
            self.at.id,
            self.row.text("runtime.powerState").unwrap_or_default(),
            self.row.text("config.changeVersion").unwrap_or_default()
        )
    }

    /// A change of devices, each a `VirtualDeviceConfigSpec`; `steps` say what will happen and,
    /// once it has, what was done.
    pub fn change(self, steps: Vec<String>, changes: Vec<Object>) -> Prepared<'a> {
        self.reconfigure(
            steps,
            Object::new("VirtualMachineConfigSpec").with("deviceChange", changes),
        )
    }

    /// Plugs a device in or out: now and at power-on, or of a machine that is off at power-on only.
    /// What is so already changes nothing.
    pub fn connect(self, device: &Object, connected: bool) -> Prepared<'a> {
        let name = label(device);
        let now = device.flag("connectable.connected") == Some(true);
        let start = device.flag("connectable.startConnected") == Some(true);
        let word = if connected { "connected" } else { "disconnected" };
        let (on, vm) = (self.is_on(), &self.at.name);
        let when = match (on && now != connected, start != connected) {
            (true, true) => format!("now and when `{vm}` is powered on"),
            (true, false) => "now".to_owned(),
            (false, _) => format!("when `{vm}` is powered on"),
        };
        let mut steps = vec![format!("{name} is {word} {when}")];
        if start == connected && (now == connected || !on) {
            return Prepared::already(match on {
                true => format!("{name} is already {word}, also at power-on"),
                false => format!("{name} is already {word} at power-on; `{vm}` is off"),
            });
        }
        if !on {
            steps.push(format!("`{vm}` is off, so nothing changes now"));
        }
        let mut device = device.clone();
        // All of it: of what is left out here a host would take the default.
        let mut way =
            device.object("connectable").cloned().unwrap_or_else(|| connectable(connected));
        way.set("startConnected", connected);
        way.set("connected", on && connected);
        device.set("connectable", way);
        self.change(steps, vec![edit(device)])
    }

    /// A change by this `VirtualMachineConfigSpec`, which must not carry a `changeVersion`.
    pub fn reconfigure(self, steps: Vec<String>, mut spec: Object) -> Prepared<'a> {
        let seen = self.seen();
        if let Some(version) = self.row.text("config.changeVersion").filter(|it| !it.is_empty()) {
            spec.set("changeVersion", version);
        }
        let (it, at, done) = (self.it, self.at, steps.clone());
        Prepared::new(steps, seen, move |call| {
            reconfigure::apply(it, call, &at, spec)?;
            Ok(done)
        })
    }
}
