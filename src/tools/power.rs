//! Power: switch machines on and off, one or many.

use crate::change;
use crate::error::{Error, Kind, Result};
use crate::hv::model::{Machine, PowerState};
use crate::hv::power::{Switched, Verb};
use crate::tools::args::Args;
use crate::tools::batch;
use crate::tools::batch::{NAME, NAMES, Targets};
use crate::tools::ctx::Ctx;
use crate::tools::plan::Plan;
use crate::tools::reply::Reply;
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "power_on",
        title: "Power on",
        about: "Start VMs. Already running is a success.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: true,
        args: &[NAME, NAMES],
        run: change!(plan_on, act),
    },
    Tool {
        name: "power_off",
        title: "Power off hard",
        about: "Cut the power of VMs, like pulling the plug. Prefer shutdown_guest where tools run.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[NAME, NAMES],
        run: change!(plan_off, act),
    },
    Tool {
        name: "shutdown_guest",
        title: "Shut down the guest",
        about: "Ask the guest OS to shut down; needs VMware Tools. Returns once the guest was told.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: true,
        args: &[NAME, NAMES],
        run: change!(plan_shutdown, act),
    },
    Tool {
        name: "reboot_guest",
        title: "Reboot the guest",
        about: "Ask the guest OS to reboot; needs VMware Tools. reset_vm is the hard way.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[NAME, NAMES],
        run: change!(plan_reboot, act),
    },
    Tool {
        name: "standby_guest",
        title: "Send the guest to standby",
        about: "Ask the guest OS to sleep; needs VMware Tools.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: true,
        args: &[NAME, NAMES],
        run: change!(plan_standby, act),
    },
    Tool {
        name: "reset_vm",
        title: "Reset hard",
        about: "Reset running VMs, like the reset button; unsaved data is lost.",
        level: Level::Power,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[NAME, NAMES],
        run: change!(plan_reset, act),
    },
    Tool {
        name: "suspend_vm",
        title: "Suspend",
        about: "Save running VMs to disk and stop them; power_on goes on where they were.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: true,
        args: &[NAME, NAMES],
        run: change!(plan_suspend, act),
    },
];

/// What `act` needs: the verb and whom it hits.
struct Switch {
    verb: Verb,
    targets: Targets,
}

fn plan_on(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::On)
}

fn plan_off(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::Off)
}

fn plan_shutdown(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::ShutdownGuest)
}

fn plan_reboot(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::RebootGuest)
}

fn plan_standby(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::StandbyGuest)
}

fn plan_reset(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::Reset)
}

fn plan_suspend(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Switch>> {
    plan(ctx, args, Verb::Suspend)
}

fn plan(ctx: &Ctx<'_>, args: &Args, verb: Verb) -> Result<Plan<Switch>> {
    ctx.power()?;
    let targets = batch::targets(ctx, args)?;
    let mut steps: Vec<String> = targets.unknown_steps().collect();
    let (mut losses, mut seen) = (Vec::new(), String::new());
    for machine in &targets.machines {
        let (name, state) = (&machine.at.name, machine.power.word());
        seen.push_str(&format!("{} {};", machine.at.id, machine.native_state));
        if already(machine, verb) {
            steps.push(format!("`{name}` is already {state}: nothing is done"));
            continue;
        }
        if let Err(error) = ready(machine, verb) {
            steps.push(format!("`{name}` ({}) would be refused: {error}", machine.at.id));
            continue;
        }
        steps.push(format!("`{name}` ({}) is {state} and will be {}", machine.at.id, told(verb)));
        if matches!(verb, Verb::Off | Verb::Reset) {
            losses.push(format!("what `{name}` has not written to its disks"));
        }
    }
    Ok(Plan::new(steps, seen, Switch { verb, targets }).losing(losses))
}

fn act(ctx: &Ctx<'_>, switch: Switch) -> Result<Reply> {
    let (power, verb) = (ctx.power()?, switch.verb);
    batch::each(ctx, &switch.targets, &|call, machine| {
        if already(machine, verb) {
            return Ok(format!("already {}", state_words(machine)));
        }
        ready(machine, verb)?;
        Ok(match power.switch(call, &machine.at, verb)? {
            Switched::Done => done(verb).to_owned(),
            Switched::Already => format!("already {}", done(verb)),
        })
    })
}

fn already(machine: &Machine, verb: Verb) -> bool {
    verb.goal() == Some(machine.power)
}

/// Refuses what would only fail or hang on the hypervisor.
fn ready(machine: &Machine, verb: Verb) -> Result<()> {
    if machine.template {
        return Err(Error::new(Kind::Conflict, "it is a template and never runs")
            .hint("clone_vm makes a VM of it"));
    }
    if let Some(question) = &machine.question {
        let said = format!("it waits for an answer to `{}`", question.text);
        return Err(Error::new(Kind::Conflict, said)
            .hint(format!("Answer with answer_vm_question, choices: {}", question.offered())));
    }
    let running = machine.power == PowerState::On;
    if verb != Verb::On && verb != Verb::Off && !running {
        return Err(Error::new(
            Kind::Conflict,
            format!("it is {} and cannot be {}", machine.power.word(), told(verb)),
        )
        .hint("Power it on first"));
    }
    match (&machine.agent, verb.needs_agent()) {
        (Some(agent), true) if agent != "running" => Err(Error::new(
            Kind::Conflict,
            format!("VMware Tools are {agent}, so the guest cannot be asked"),
        )
        .hint("Wait for them, or use power_off, reset_vm or suspend_vm")),
        _ => Ok(()),
    }
}

fn state_words(machine: &Machine) -> &'static str {
    match machine.power {
        PowerState::On => "powered on",
        PowerState::Off => "powered off",
        state => state.word(),
    }
}

fn told(verb: Verb) -> &'static str {
    match verb {
        Verb::On => "powered on",
        Verb::Off => "powered off hard",
        Verb::ShutdownGuest => "shut down by its guest",
        Verb::RebootGuest => "rebooted by its guest",
        Verb::StandbyGuest => "sent to standby by its guest",
        Verb::Reset => "reset hard",
        Verb::Suspend => "suspended to disk",
    }
}

fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::On => "powered on",
        Verb::Off => "powered off",
        Verb::ShutdownGuest => "guest asked to shut down",
        Verb::RebootGuest => "guest asked to reboot",
        Verb::StandbyGuest => "guest asked to stand by",
        Verb::Reset => "reset",
        Verb::Suspend => "suspended",
    }
}
