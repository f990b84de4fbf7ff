//! Typing: USB scan codes, a few at a time.
//!
//! It must not know layouts or the names of keys. Surprising: hosts lose or double keys when many
//! come at once, so ten go in one call and a short rest follows; and what was typed before an error
//! stays typed, so every error says how far it came.

use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::hv::console::{Stroke, Typing};
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::text::words::counted;
use crate::vim::value::{Object, Value};
use crate::vsphere::machines::{power, reference};
use crate::vsphere::props::Row;
use crate::vsphere::{Vsphere, props};

/// Keys of one call, and the rest after it.
const AT_ONCE: usize = 10;
const REST: Duration = Duration::from_millis(60);

/// The keyboard's page of the USB tables, which the lower half of a code names.
const PAGE: i64 = 7;

/// What [`runs`] looks at.
pub const STATE: &[&str] =
    &["runtime.powerState", "runtime.connectionState", "runtime.host", "summary.config.template"];

/// Refuses a machine that does not run; `so` says what that means.
pub fn runs(row: &Row, at: &MachineRef, so: &str) -> Result<()> {
    let (name, state) = (&at.name, power(row.text("runtime.powerState").unwrap_or_default()));
    if row.flag("summary.config.template") == Some(true) {
        return Err(Error::new(Kind::Conflict, format!("`{name}` is a template: {so}"))
            .hint("clone_vm makes a VM of it"));
    }
    if let Some(lost) = row.text("runtime.connectionState").filter(|it| *it != "connected") {
        return Err(Error::new(Kind::Conflict, format!("`{name}` is {lost}: {so}")).hint(
            "Its host or its files cannot be reached; list_hosts and get_vm_info show more",
        ));
    }
    match state {
        PowerState::On => Ok(()),
        state => Err(Error::new(Kind::Conflict, format!("`{name}` is {}: {so}", state.word()))
            .hint("power_on starts it")),
    }
}

/// Looks whether the machine can be typed at.
pub fn prepare<'a>(
    it: &'a Vsphere,
    call: &Call,
    wanted: &str,
    typing: Typing,
) -> Result<Prepared<'a>> {
    let at = it.locate(call, wanted)?;
    let row = props::one(&it.session, call, &reference(&at), "VirtualMachine", STATE)?;
    runs(&row, &at, "nobody hears its keyboard")?;
    let seen = format!("{} poweredOn", at.id);
    let step = format!("`{}` ({}) gets {}", at.name, at.id, typing.told);
    Ok(Prepared::new(vec![step], seen, move |call| {
        press(it, call, &at, &typing)?;
        Ok(vec![format!("typed {}", typing.told)])
    }))
}

fn press(it: &Vsphere, call: &Call, at: &MachineRef, typing: &Typing) -> Result<()> {
    let all = typing.strokes.len();
    let (size, rest) = match typing.pause {
        Some(pause) => (1, pause),
        None => (AT_ONCE, REST),
    };
    let mut done = 0;
    for part in typing.strokes.chunks(size) {
        if done > 0 {
            sleep(call, rest);
        }
        let sent = call.check().and_then(|()| send(it, call, at, part));
        let taken = sent.map_err(|error| stopped(error, done, all))?;
        done += taken;
        if taken != part.len() {
            let said = format!("the host took only {} of {all}", counted(done, "key"));
            return Err(Error::new(Kind::Remote, said)
                .hint("vm_screenshot shows what came through; send the rest alone"));
        }
        call.progress(done as f64 * 100.0 / all as f64, format!("typing on {}", at.name));
    }
    Ok(())
}

/// Waits, and no longer once the call is cancelled or its time is up.
fn sleep(call: &Call, rest: Duration) {
    let until = Instant::now() + rest;
    while call.check().is_ok() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(100)));
    }
}

/// Sends one part; how many keys of it the host took.
fn send(it: &Vsphere, call: &Call, at: &MachineRef, part: &[Stroke]) -> Result<usize> {
    let events: Vec<Object> = part.iter().map(event).collect();
    let spec = Object::new("UsbScanCodeSpec").with("keyEvents", events);
    let args = Object::args().with("spec", spec);
    let method = "PutUsbScanCodes";
    let taken =
        it.session.call(call, &reference(at), method, &args).map_err(|error| {
            match error.fault_name() {
                Some("InvalidRequest") => error
                    .hint("The ESXi host of the VM may be older than 6.5, which knows no typing"),
                _ => error,
            }
        })?;
    let taken = taken.as_ref().and_then(Value::as_int).and_then(|it| usize::try_from(it).ok());
    Ok(taken.unwrap_or(part.len()).min(part.len()))
}

fn event(stroke: &Stroke) -> Object {
    let mut held = Object::new("UsbScanCodeSpecModifierType");
    let keys = [
        ("leftControl", stroke.control),
        ("leftShift", stroke.shift),
        ("leftAlt", stroke.alt),
        ("leftGui", stroke.gui),
        ("rightAlt", stroke.alt_graph),
    ];
    for (name, _) in keys.iter().filter(|(_, down)| *down) {
        held.set(name, true);
    }
    let any = keys.iter().any(|(_, down)| *down);
    Object::new("UsbScanCodeSpecKeyEvent")
        .with("usbHidCode", (i64::from(stroke.usage) << 16) | PAGE)
        .with_some("modifiers", any.then_some(held))
}

/// The same error, with how much was typed before it.
fn stopped(error: Error, done: usize, all: usize) -> Error {
    if done == 0 {
        return error;
    }
    error.during(format!("after {done} of {}", counted(all, "key")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_as_they_travel() {
        let plain = event(&Stroke { usage: 4, ..Stroke::default() });
        assert_eq!((plain.int("usbHidCode"), plain.object("modifiers")), (Some(262_151), None));
        let delete = Stroke { usage: 0x4c, control: true, alt: true, ..Stroke::default() };
        let held = event(&delete);
        let names: Vec<&str> = held.object("modifiers").unwrap().fields().map(|it| it.0).collect();
        assert_eq!(names, ["leftControl", "leftAlt"]);
    }
}
