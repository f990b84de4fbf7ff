//! The properties of a machine that few clients read, and what can be chosen for a new one.

use crate::sim::clock::stamp;
use crate::sim::disks;
use crate::sim::fault::{Fault, Result};
use crate::sim::lifecycle::NEWEST;
use crate::sim::machine::{Machine, Power};
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};

/// What a machine can do: all that the schema names but for a few.
fn capability(_: &World, _: &str) -> Option<Value> {
    const CANNOT: &[&str] = &[
        "disableSnapshotsSupported",
        "lockSnapshotsSupported",
        "recordReplaySupported",
        "vmNpivWwnSupported",
        "npivWwnOnNonRdmVmSupported",
        "vmNpivWwnDisableSupported",
        "vmNpivWwnUpdateSupported",
        "sevSupported",
        "pmemFailoverSupported",
        "poweredOnMonitorTypeChangeSupported",
    ];
    let kind = Type::find("VirtualMachineCapability")?;
    let mut all = Object::new(kind.name());
    for field in kind.fields().filter(|it| it.ty.is_named("boolean")) {
        all.set(field.name, !CANNOT.contains(&field.name));
    }
    Some(all.into())
}

fn resources(machine: &Machine) -> Object {
    Object::new("ResourceConfigSpec")
        .with("entity", machine.reference())
        .with_some("cpuAllocation", machine.config.get("cpuAllocation"))
        .with_some("memoryAllocation", machine.config.get("memoryAllocation"))
}

fn storage(world: &World, machine: &Machine) -> Object {
    let stores: Vec<Ref> =
        machine.stores().iter().filter_map(|it| disks::store(world, it)).collect();
    let shares = i64::try_from(stores.len()).unwrap_or(1).max(1);
    let (committed, uncommitted) = disks::storage(world, machine);
    let usage = stores.into_iter().map(|store| {
        Object::new("VirtualMachineUsageOnDatastore")
            .with("datastore", store)
            .with("committed", committed / shares)
            .with("uncommitted", uncommitted / shares)
            .with("unshared", committed / shares)
    });
    let usage: Vec<Object> = usage.collect();
    Object::new("VirtualMachineStorageInfo")
        .with("perDatastoreUsage", usage)
        .with("timestamp", stamp(world.now))
}

/// What a client greys out.
fn disabled(world: &World, machine: &Machine) -> Value {
    let by_power: &[&str] = match machine.power {
        Power::On => &["PowerOnVM_Task", "Destroy_Task", "UnregisterVM", "UpgradeVM_Task"],
        Power::Off => &[
            "PowerOffVM_Task",
            "SuspendVM_Task",
            "ResetVM_Task",
            "RebootGuest",
            "ShutdownGuest",
            "StandbyGuest",
            "MountToolsInstaller",
            "UnmountToolsInstaller",
            "AcquireMksTicket",
        ],
        Power::Suspended => &["SuspendVM_Task", "ResetVM_Task", "Destroy_Task", "UnregisterVM"],
    };
    let asks = (machine.question.is_none()).then_some("AnswerVM");
    let none = machine.snapshots.is_empty();
    let bare = none.then_some(["RevertToCurrentSnapshot_Task", "RemoveAllSnapshots_Task"]);
    let alone = (!world.vcenter).then_some(["CloneVM_Task", "MigrateVM_Task", "RelocateVM_Task"]);
    let all = by_power.iter().copied().chain(asks).chain(bare.into_iter().flatten());
    all.chain(alone.into_iter().flatten()).collect()
}

fn roots(machine: &Machine) -> Value {
    let roots = machine.snapshots.iter().filter(|it| it.parent.is_none());
    roots.map(|it| Ref::new("VirtualMachineSnapshot", it.id.as_str())).collect()
}

/// Versions of virtual hardware, and the hosts that they came with.
const VERSIONS: &[(&str, &str)] = &[
    ("vmx-13", "ESXi 6.5 virtual machine"),
    ("vmx-14", "ESXi 6.7 virtual machine"),
    ("vmx-15", "ESXi 6.7 U2 virtual machine"),
    ("vmx-17", "ESXi 7.0 virtual machine"),
    ("vmx-18", "ESXi 7.0 U1 virtual machine"),
    ("vmx-19", "ESXi 7.0 U2 virtual machine"),
    ("vmx-20", "ESXi 8.0 virtual machine"),
    (NEWEST, "ESXi 8.0 U2 virtual machine"),
];

fn versions(world: &mut World, _: &Call) -> Result<Value> {
    let hosts: Vec<Ref> =
        world.all("HostSystem").map(|(id, _)| Ref::new("HostSystem", id)).collect();
    let each = VERSIONS.iter().map(|(key, text)| {
        Object::new("VirtualMachineConfigOptionDescriptor")
            .with("key", *key)
            .with("description", *text)
            .with("host", hosts.clone())
            .with("createSupported", true)
            .with("defaultConfigOption", *key == NEWEST)
            .with("runSupported", true)
            .with("upgradeSupported", *key != NEWEST)
    });
    Ok(each.collect())
}

fn options(_: &mut World, _: &Call) -> Result<Value> {
    Err(Fault::not_played("the options of virtual hardware"))
}

/// The id of the browser of a machine; every machine is shown the same.
pub const BROWSER: &str = "ha-vm-environment";

/// A property of machines.
macro_rules! of_machine {
    ($name:literal, |$machine:ident, $world:ident| $value:expr) => {
        Property {
            on: "VirtualMachine",
            name: $name,
            get: |$world, id| {
                let $machine = $world.machine(id)?;
                Some(Value::from($value))
            },
        }
    };
}

/// A property that has nothing in it.
const fn empty(name: &'static str) -> Property {
    Property { on: "VirtualMachine", name, get: |_, _| Some(Value::List(Vec::new())) }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "EnvironmentBrowser", name: "QueryConfigOptionDescriptor", run: versions },
        Method { on: "EnvironmentBrowser", name: "QueryConfigOption", run: options },
    ],
    properties: &[
        Property { on: "VirtualMachine", name: "capability", get: capability },
        of_machine!("environmentBrowser", |_it, _world| Ref::new("EnvironmentBrowser", BROWSER)),
        of_machine!("resourceConfig", |it, _world| resources(it)),
        of_machine!("storage", |it, world| storage(world, it)),
        of_machine!("rootSnapshot", |it, _world| roots(it)),
        of_machine!("disabledMethod", |it, world| disabled(world, it)),
        of_machine!("effectiveRole", |_it, _world| vec![-1]),
        empty("permission"),
        empty("configIssue"),
        empty("tag"),
    ],
};
