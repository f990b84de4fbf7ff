//! What a person at the machine's own screen and keyboard does: `/screen`, screenshots, keys.
//!
//! It must not know what runs inside. Surprising: keys that come while a machine is off are refused,
//! those at an appliance are taken and lost, because its console is its serial port.

use std::sync::Arc;

use crate::sim::console::png;
use crate::sim::console::png::View;
use crate::sim::console::scancodes;
use crate::sim::console::scancodes::Modifiers;
use crate::sim::fault::{Fault, Result};
use crate::sim::files::File;
use crate::sim::guest_ops::permitted;
use crate::sim::guests;
use crate::sim::http::{Answer, Request};
use crate::sim::machine::Power;
use crate::sim::power;
use crate::sim::rows::{Call, Family, Method};
use crate::sim::service::{Simulator, refuse};
use crate::sim::task::Plan;
use crate::sim::web_auth;
use crate::sim::world::World;
use crate::text::percent;
use crate::vim::value::{Object, Value};

/// Keys of one call, and screenshots of one machine.
const MOST_KEYS: usize = 1000;
const MOST_SHOTS: usize = 1000;

const CONSOLE: &str = "VirtualMachine.Interact.ConsoleInteract";

/// Answers `/screen?id=12`, with a part and a size if they are given.
pub fn answer(simulator: &Simulator, request: &mut Request) -> Answer {
    let mut world = simulator.world();
    let Some(caller) = web_auth::auth(&mut world, request) else {
        return web_auth::unauthorized();
    };
    let asked = percent::query(request.query()).unwrap_or_default();
    let id = asked.iter().find(|it| it.0 == "id").map_or("", |it| it.1.as_str());
    // unverified: the statuses for a machine that is not there or not on, and for who may only look.
    let status = match world.machine(id) {
        _ if request.method != "GET" => 405,
        None => 404,
        Some(_) if caller.viewer => 403,
        Some(it) if it.power != Power::On => 500,
        Some(_) => 200,
    };
    if status != 200 {
        return refuse(status);
    }
    let Ok(inside) = guests::inside(&mut world, id) else { return refuse(404) };
    drop(world);
    let screen = guests::locked(&inside).screen().clone();
    match View::read(request.query()).and_then(|it| png::render(&screen, &it)) {
        Ok(picture) => Answer::of(200, "image/png", picture),
        Err(why) => Answer::of(400, "text/plain", why.into_bytes()),
    }
}

/// Refuses for a machine that is not on.
fn on(world: &World, id: &str) -> Result<()> {
    match world.machine(id) {
        Some(it) if it.power != Power::On => Err(Fault::power_state("poweredOn", it.power.name())),
        _ => Ok(()),
    }
}

fn screenshot(world: &mut World, call: &Call) -> Result<Value> {
    on(world, &call.this.id)?;
    let id = call.this.id.clone();
    let work = move |world: &mut World| {
        on(world, &id)?;
        let inside = guests::inside(world, &id)?;
        let picture = png::render(guests::locked(&inside).screen(), &View::default());
        let picture = picture.map_err(|why| Fault::new("GenericVmConfigFault", why))?;
        let stem = world.machine(&id).map(|it| it.path.trim_end_matches(".vmx").to_owned());
        let stem = stem.unwrap_or_default();
        let mut names = (1..=MOST_SHOTS).map(|number| format!("{stem}-{number}.png"));
        let free = names.find(|it| !world.files.all.contains_key(it));
        let path =
            free.ok_or_else(|| Fault::new("NoDiskSpace", "There are too many screenshots."))?;
        let file = File {
            size: u64::try_from(picture.len()).unwrap_or(0),
            modified: world.now,
            folder: false,
            content: Some(Arc::new(picture)),
        };
        world.files.all.insert(path.clone(), file);
        Ok(path.into())
    };
    world.begin(call, Plan { lasts: 300, cancelable: false }, Box::new(work))
}

fn keys(world: &mut World, call: &Call) -> Result<Value> {
    let id = &call.this.id;
    on(world, id)?;
    let events: Vec<&Object> = call.args.objects("spec.keyEvents").collect();
    let mut pressed = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let code = event.int("usbHidCode").and_then(|it| i32::try_from(it).ok());
        let held = |key: &str| {
            let side = |side: &str| event.flag(&format!("modifiers.{side}{key}")) == Some(true);
            side("left") || side("right")
        };
        match code.and_then(scancodes::usage).filter(|_| at < MOST_KEYS) {
            None => {
                let path = format!("spec.keyEvents[{at}].usbHidCode");
                return Err(Fault::invalid_argument(&path));
            }
            Some(usage) => pressed.push((
                usage,
                Modifiers {
                    control: held("Control"),
                    shift: held("Shift"),
                    alt: held("Alt"),
                    gui: held("Gui"),
                },
            )),
        }
    }
    for (usage, held) in &pressed {
        let inside = guests::inside(world, id)?;
        let resets = guests::locked(&inside).press(*usage, *held);
        if resets {
            power::enter(world, id, Power::On, call.user);
        }
    }
    Ok(pressed.len().into())
}

/// What `AcquireTicket` and the older `AcquireMksTicket` have in common.
fn ticket(world: &mut World, call: &Call, kind: &'static str) -> Result<Object> {
    permitted(world, call, CONSOLE, &call.this.id)?;
    on(world, &call.this.id)?;
    let number = world.number();
    let cookie = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let machine = world.machine(&call.this.id).ok_or_else(|| Fault::gone(call.this))?;
    let host = world.name(&machine.host).unwrap_or_default();
    let volume = machine.path.replacen('[', "/vmfs/volumes/", 1).replacen("] ", "/", 1);
    Ok(Object::new(kind)
        .with("ticket", format!("{cookie:016x}"))
        .with("cfgFile", volume)
        .with("host", host))
}

fn any_ticket(world: &mut World, call: &Call) -> Result<Value> {
    let web = match call.args.text("ticketType") {
        Some("webmks") => true,
        Some("mks") => false,
        Some("device" | "guestControl" | "dnd" | "guestIntegrity" | "webRemoteDevice") => {
            return Err(Fault::not_supported());
        }
        _ => return Err(Fault::invalid_argument("ticketType")),
    };
    let ticket =
        ticket(world, call, "VirtualMachineTicket")?.with("port", if web { 443 } else { 902 });
    let url = web.then(|| {
        let part = |name: &str| ticket.text(name).unwrap_or_default();
        format!("wss://{}:443/ticket/{}", part("host"), part("ticket"))
    });
    Ok(match url {
        Some(url) => ticket.offer("url", url),
        None => ticket,
    }
    .into())
}

fn mks_ticket(world: &mut World, call: &Call) -> Result<Value> {
    Ok(ticket(world, call, "VirtualMachineMksTicket")?.with("port", 902).into())
}

/// No guest of ours does anything about it.
fn interrupt(world: &mut World, call: &Call) -> Result<Value> {
    on(world, &call.this.id).map(|()| Value::Null)
}

/// Rows of methods of machines.
macro_rules! rows {
    ($($name:literal: $run:ident,)+) => {
        &[$(Method { on: "VirtualMachine", name: $name, run: $run },)+]
    };
}

const METHODS: &[Method] = rows! {
    "CreateScreenshot_Task": screenshot,
    "PutUsbScanCodes": keys,
    "AcquireTicket": any_ticket,
    "AcquireMksTicket": mks_ticket,
    "SendNMI": interrupt,
};

/// What this file plays.
pub const FAMILY: Family = Family { methods: METHODS, properties: &[] };
