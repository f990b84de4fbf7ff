//! Machines come and go: created, registered, renamed, reconfigured, removed; questions answered.

use crate::sim::devices;
use crate::sim::disks;
use crate::sim::fault::{Fault, Result};
use crate::sim::machine::{Machine, Power, Question};
use crate::sim::rows::{Call, Family, Method};
use crate::sim::snapshots;
use crate::sim::spec;
use crate::sim::spec::{Draft, Place};
use crate::sim::task::Plan;
use crate::sim::vmx;
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// The newest virtual hardware.
pub const NEWEST: &str = "vmx-21";

/// A task that cannot be cancelled.
pub fn plan(lasts: i64) -> Plan {
    Plan { lasts, cancelable: false }
}

/// Refuses what only a vCenter does.
pub fn vcenter_only(world: &World) -> Result<()> {
    if world.vcenter { Ok(()) } else { Err(Fault::not_supported()) }
}

/// Refuses a machine that is not powered off.
pub fn must_be_off(machine: &Machine) -> Result<()> {
    match machine.power {
        Power::Off => Ok(()),
        other => Err(Fault::power_state("poweredOff", other.name())),
    }
}

/// The object of a reference in a request, if it is there and of that type.
pub fn known(world: &World, given: Option<&Ref>) -> Result<Option<String>> {
    match given {
        Some(it) if world.kind_of(&it.id).is_none() => Err(Fault::gone(it)),
        given => Ok(given.map(|it| it.id.clone())),
    }
}

/// Where a request puts a machine; a host that is not named is the first one of all.
pub fn place(world: &World, folder: &str, pool: Option<&Ref>, host: Option<&Ref>) -> Result<Place> {
    let first = |kind: &str| world.first(kind).map_or_else(String::new, |it| it.id);
    Ok(Place {
        folder: folder.to_owned(),
        pool: known(world, pool)?.unwrap_or_default(),
        host: known(world, host)?.unwrap_or_else(|| first("HostSystem")),
    })
}

fn create(world: &mut World, call: &Call) -> Result<Value> {
    let (pool, host) = (call.args.reference("pool"), call.args.reference("host"));
    let place = place(world, &call.this.id, pool, host)?;
    holds_machines(world, &call.this.id)?;
    let config = call.args.object("config").cloned().unwrap_or_else(Object::args);
    let user = call.user.to_owned();
    world.begin(
        call,
        plan(700),
        Box::new(move |world| {
            let id = spec::create_machine(world, &config, place)?;
            Ok(told(world, &id, "VmCreatedEvent", &user, "Created virtual machine"))
        }),
    )
}

/// Refuses a folder that is for something else.
pub fn holds_machines(world: &World, folder: &str) -> Result<()> {
    let kinds = world.plain.get(folder).map(|it| &it.props);
    match kinds.is_some_and(|it| it.texts("childType").any(|it| it == "VirtualMachine")) {
        true => Ok(()),
        false => Err(Fault::not_supported()),
    }
}

/// Notes what happened to a machine; answers its reference.
pub fn told(world: &mut World, id: &str, kind: &'static str, user: &str, what: &str) -> Value {
    let this = Ref::new("VirtualMachine", id);
    let text = format!("{what} {}", world.name(id).unwrap_or_default());
    world.event(kind, user, Some(&this), &text);
    this.into()
}

fn register(world: &mut World, call: &Call) -> Result<Value> {
    let (pool, host) = (call.args.reference("pool"), call.args.reference("host"));
    let mut place = place(world, &call.this.id, pool, host)?;
    holds_machines(world, &call.this.id)?;
    let template = call.args.flag("asTemplate") == Some(true);
    if template {
        place.pool = String::new();
    } else if place.pool.is_empty() {
        return Err(Fault::invalid_argument("pool"));
    }
    let path = call.args.text("path").unwrap_or_default().to_owned();
    let name = call.args.text("name").filter(|it| !it.is_empty()).map(str::to_owned);
    let user = call.user.to_owned();
    world.begin(
        call,
        plan(600),
        Box::new(move |world| {
            let (store, rest) = disks::checked(world, &path)?;
            let path = format!("[{store}] {rest}");
            disks::must_exist(world, &path)?;
            if !path.ends_with(".vmx") {
                // unverified: which fault a file that is no `.vmx` gives.
                return Err(Fault::invalid_argument("path"));
            }
            if world.machines.values().any(|it| it.path == path) {
                let text = "The specified key, name, or identifier already exists.";
                return Err(Fault::new("AlreadyExists", text).with("name", path));
            }
            let content = world.files.all.get(&path).and_then(|it| it.content.clone());
            let text = content.map(|it| String::from_utf8_lossy(&it).into_owned());
            let vmx::Read { mut spec, moved, hostname } =
                vmx::read(&text.unwrap_or_default(), &path);
            let stem = path.rsplit('/').next().unwrap_or(&path).trim_end_matches(".vmx").to_owned();
            let known = spec.text("name").map(str::to_owned);
            let name = name.or(known).unwrap_or(stem);
            spec.set("name", name.as_str());
            let mut machine = spec::unplaced(world, &name, place)?;
            machine.path = path;
            machine.moved = moved;
            if let Some(hostname) = hostname {
                machine.tools = true;
                machine.hostname = hostname;
            }
            let id = machine.id.clone();
            let mut draft = Draft::new(world, machine);
            draft.apply(&spec)?;
            draft.machine.own().set("template", template);
            let Draft { machine, made, gone, .. } = draft;
            spec::commit(world, machine, made, gone);
            Ok(told(world, &id, "VmRegisteredEvent", &user, "Registered virtual machine"))
        }),
    )
}

fn unregister(world: &mut World, call: &Call) -> Result<Value> {
    world.leased(&call.this.id)?;
    must_be_off(world.machine_mut(&call.this.id)?)?;
    told(world, &call.this.id, "VmRemovedEvent", call.user, "Removed from inventory:");
    spec::delete_machine(world, &call.this.id, false);
    Ok(Value::Null)
}

fn destroy(world: &mut World, call: &Call) -> Result<Value> {
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    world.begin(
        call,
        plan(500),
        Box::new(move |world| {
            must_be_off(world.machine_mut(&id)?)?;
            told(world, &id, "VmRemovedEvent", &user, "Removed");
            spec::delete_machine(world, &id, true);
            Ok(Value::Null)
        }),
    )
}

/// Any entity with a plain name may be renamed, but for those that a host made for itself.
fn rename(world: &mut World, call: &Call) -> Result<Value> {
    let (this, user) = (call.this.clone(), call.user.to_owned());
    let asked = call.args.text("newName").unwrap_or_default().to_owned();
    world.begin(
        call,
        plan(300),
        Box::new(move |world| {
            let name = spec::checked_name(&asked)?;
            let above = world.above(&this).first().cloned().unwrap_or_default();
            spec::must_be_free(world, &above, &name, &this.id)?;
            let old = world.name(&this.id).unwrap_or_default().to_owned();
            if world.machine(&this.id).is_some() {
                let change = Object::new("VirtualMachineConfigSpec").with("name", name.as_str());
                spec::apply(world, &this.id, &change)?;
                let text = format!("Renamed {old} from {old} to {name}");
                world.event("VmRenamedEvent", &user, Some(&this), &text);
                return Ok(Value::Null);
            }
            let fixed = !world.vcenter && !matches!(&*this.kind, "Datastore" | "ResourcePool");
            let Some(props) = world.plain_mut(&this.id).filter(|_| !fixed) else {
                return Err(Fault::not_supported());
            };
            props.set("name", name.as_str());
            for field in ["summary", "info"] {
                if let Some(Value::Object(it)) = props.field_mut(field)
                    && it.get("name").is_some()
                {
                    it.set("name", name.as_str());
                }
            }
            if &*this.kind == "Datastore" {
                moved_store(world, &old, &name);
            }
            Ok(Value::Null)
        }),
    )
}

/// Every path on a datastore names it.
fn moved_store(world: &mut World, old: &str, new: &str) {
    let (old, new) = (format!("[{old}]"), format!("[{new}]"));
    let fresh = |path: &str| path.strip_prefix(&old).map(|rest| format!("{new}{rest}"));
    let moved: Vec<String> =
        world.files.all.keys().filter(|it| it.starts_with(&old)).cloned().collect();
    for path in moved {
        if let (Some(file), Some(path)) = (world.files.all.remove(&path), fresh(&path)) {
            world.files.all.insert(path, file);
        }
    }
    for machine in world.machines.values_mut() {
        if let Some(path) = fresh(&machine.path) {
            machine.path = path;
        }
        // Those of a bulk have their names from the path alone.
        if !machine.shared {
            snapshots::each_path(machine, &fresh);
        }
    }
}

fn reconfigure(world: &mut World, call: &Call) -> Result<Value> {
    let (id, user) = (call.this.id.clone(), call.user.to_owned());
    let change = call.args.object("spec").cloned().unwrap_or_else(Object::args);
    world.begin(
        call,
        plan(400),
        Box::new(move |world| {
            if world.machine_mut(&id)?.question.is_some() {
                return Err(pending(world, &id));
            }
            spec::apply(world, &id, &change)?;
            told(world, &id, "VmReconfiguredEvent", &user, "Reconfigured");
            Ok(Value::Null)
        }),
    )
}

/// The machine waits for an answer.
fn pending(world: &World, id: &str) -> Fault {
    let question = world.machine(id).and_then(|it| it.question.as_ref());
    let text = question.map_or("", |it| &it.text);
    Fault::new(
        "QuestionPending",
        "The operation cannot be performed because a question is pending.",
    )
    .with("text", text)
}

/// What a machine asks at power-on when its files stand elsewhere than before.
pub fn moved_or_copied() -> Question {
    Question {
        id: "_vmx1".to_owned(),
        text: "msg.uuid.altered:This virtual machine might have been moved or copied. In order to \
               configure certain management and networking features, VMware ESX needs to know if \
               this virtual machine was moved or copied. If you don't know, answer \"button.uuid.copiedTheVM\"."
            .to_owned(),
        choices: vec![
            ["0", "button.uuid.cancel", "Cancel"],
            ["1", "button.uuid.movedTheVM", "I Moved It"],
            ["2", "button.uuid.copiedTheVM", "I Copied It"],
        ],
        default: 2,
    }
}

fn answer(world: &mut World, call: &Call) -> Result<Value> {
    let now = world.now;
    let machine = world.machine_mut(&call.this.id)?;
    let id = call.args.text("questionId").unwrap_or_default();
    let choice = call.args.text("answerChoice").unwrap_or_default();
    let Some(question) = machine.question.as_ref().filter(|it| it.id == id) else {
        return Err(Fault::invalid_argument("questionId"));
    };
    let Some(chosen) = question.choices.iter().find(|it| it[0] == choice) else {
        return Err(Fault::invalid_argument("answerChoice"));
    };
    machine.answer = Some(chosen[1].to_owned());
    let media = question.text.starts_with("msg.cdromdisconnect");
    if media {
        machine.answer = None;
    }
    machine.question = None;
    world.tasks.hasten_on(call.this, now + 500);
    Ok(Value::Null)
}

fn upgrade(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.this.id.clone();
    let asked = call.args.text("version").unwrap_or(NEWEST).to_owned();
    world.begin(
        call,
        plan(300),
        Box::new(move |world| {
            let machine = world.machine_mut(&id)?;
            must_be_off(machine)?;
            let number = |it: &str| it.strip_prefix("vmx-").and_then(|it| it.parse::<u32>().ok());
            let own = machine.config.text("version").and_then(number);
            if number(&asked).is_none_or(|it| it > 21) {
                return Err(Fault::invalid_argument("version"));
            }
            if number(&asked) <= own {
                let text = "The virtual machine has already been upgraded.";
                return Err(Fault::new("AlreadyUpgraded", text));
            }
            machine.own().set("version", asked.as_str());
            Ok(Value::Null)
        }),
    )
}

fn tools_disc(world: &mut World, call: &Call, mount: bool) -> Result<Value> {
    let machine = world.machine_mut(&call.this.id)?;
    if machine.power != Power::On {
        return Err(Fault::power_state("poweredOn", machine.power.name()));
    }
    if mount && machine.count("VirtualCdrom") == 0 {
        let text = "There is no virtual CD drive to mount the VMware Tools installer.";
        return Err(Fault::new("InvalidState", text));
    }
    machine.mounted = mount;
    Ok(Value::Null)
}

fn nothing(world: &mut World, call: &Call) -> Result<Value> {
    match world.kind_of(&call.this.id) {
        Some(_) => Ok(Value::Null),
        None => Err(Fault::gone(call.this)),
    }
}

/// Plugs in what is to be connected when the machine starts, and pulls it out when it stops.
pub fn plug(machine: &mut Machine, on: bool) {
    // The devices of a bulk follow their machine when they are read.
    if machine.shared {
        return;
    }
    let Some(Value::Object(hardware)) = machine.own().field_mut("hardware") else { return };
    let mut list: Vec<Object> = hardware.objects("device").cloned().collect();
    for device in &mut list {
        let Some(start) = device.flag("connectable.startConnected") else { continue };
        if let Some(Value::Object(it)) = device.field_mut("connectable") {
            it.set("connected", on && start);
            it.set("status", if on && start { "ok" } else { "untried" });
        }
    }
    devices::settle(&mut list);
    hardware.set("device", list);
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "Folder", name: "CreateVM_Task", run: create },
        Method { on: "Folder", name: "RegisterVM_Task", run: register },
        Method { on: "VirtualMachine", name: "UnregisterVM", run: unregister },
        Method { on: "VirtualMachine", name: "Destroy_Task", run: destroy },
        Method { on: "ManagedEntity", name: "Rename_Task", run: rename },
        Method { on: "VirtualMachine", name: "ReconfigVM_Task", run: reconfigure },
        Method { on: "VirtualMachine", name: "AnswerVM", run: answer },
        Method { on: "VirtualMachine", name: "UpgradeVM_Task", run: upgrade },
        Method {
            on: "VirtualMachine",
            name: "MountToolsInstaller",
            run: |world, call| tools_disc(world, call, true),
        },
        Method {
            on: "VirtualMachine",
            name: "UnmountToolsInstaller",
            run: |world, call| tools_disc(world, call, false),
        },
        Method { on: "VirtualMachine", name: "RefreshStorageInfo", run: nothing },
        Method { on: "ManagedEntity", name: "Reload", run: nothing },
    ],
    properties: &[],
};
