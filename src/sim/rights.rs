//! Who may call what: sessions, accounts that may only look, the free licence, and what no row plays.
//!
//! The schema names the privilege of a method; where it names none, what a host would ask for is
//! known here. It must not know how a call came.

use crate::sim::fault::{Fault, Result};
use crate::sim::permissions;
use crate::sim::rows::Call;
use crate::sim::world::World;

/// Whether this caller may call at all.
pub fn allowed(world: &World, call: &Call, privilege: &str, viewer: bool) -> Result<()> {
    let anonymous = privilege == "System.Anonymous" || (call.method == "Fetch" && open(call));
    if call.user.is_empty() && !anonymous {
        return Err(Fault::not_authenticated(call.this, "System.View"));
    }
    let changes = changes(&call.this.kind, call.method, privilege);
    let needed = match privilege.is_empty() || privilege.starts_with("System.") {
        true => usual(&call.this.kind, call.method),
        false => privilege,
    };
    if viewer && changes && !permissions::granted(world, call.user, call.this, needed) {
        let held = world.reference(&call.this.id).unwrap_or_else(|| call.this.clone());
        return Err(Fault::new("NoPermission", "Permission to perform this operation was denied.")
            .with("object", held)
            .with("privilegeId", needed));
    }
    // A new licence must find its way in.
    if world.free_licence && changes && !asks(call.method) && call.this.kind != "LicenseManager" {
        let text =
            "Current license or ESXi version prohibits execution of the requested operation.";
        return Err(Fault::new("RestrictedVersion", text));
    }
    Ok(())
}

/// What everybody may fetch.
fn open(call: &Call) -> bool {
    matches!(&*call.this.kind, "ServiceInstance" | "SessionManager")
}

/// Whether a method changes more than its own session. The schema marks many that do as if everybody
/// might call them: what they need depends on what they are told.
pub fn changes(kind: &str, method: &str, privilege: &str) -> bool {
    const OWN: &[&str] = &[
        "PropertyCollector",
        "PropertyFilter",
        "ContainerView",
        "ListView",
        "EventHistoryCollector",
        "TaskHistoryCollector",
        "SessionManager",
        // Whoever has a lease was allowed to.
        "HttpNfcLease",
    ];
    const VERBS: &[&str] =
        &["Add", "Apply", "Cancel", "Delete", "Move", "Remove", "ResetEntity", "Set", "Update"];
    match privilege {
        "" => kind.starts_with("Guest") || !(OWN.contains(&kind) || asks(method)),
        _ if !privilege.starts_with("System.") => true,
        _ if OWN.contains(&kind) => false,
        _ => method.ends_with("_Task") || VERBS.iter().any(|it| method.starts_with(it)),
    }
}

/// The privilege that a change needs where the schema names none.
fn usual(kind: &str, method: &str) -> &'static str {
    match (kind, method) {
        ("VirtualMachine", "Rename_Task") => "VirtualMachine.Config.Rename",
        ("VirtualMachine", "ReconfigVM_Task") => "VirtualMachine.Config.Settings",
        ("VirtualMachine", "Destroy_Task") => "VirtualMachine.Inventory.Delete",
        ("VirtualMachine", "CloneVM_Task") => "VirtualMachine.Provisioning.Clone",
        ("VirtualMachine", "AcquireTicket") => "VirtualMachine.Interact.ConsoleInteract",
        ("Task", _) => "Global.CancelTask",
        ("FileManager" | "VirtualDiskManager", _) => "Datastore.FileManagement",
        _ if kind.starts_with("Guest") => "VirtualMachine.GuestOperations.Modify",
        _ => "System.Modify",
    }
}

/// Methods that change nothing, whatever they need.
fn asks(method: &str) -> bool {
    const VERBS: &[&str] = &[
        "Are", "Check", "Estimate", "Fetch", "Find", "Is", "List", "Query", "Read", "Retrieve",
        "Search",
    ];
    VERBS.iter().any(|it| method.starts_with(it))
}

/// What is said of a method that has no row.
pub fn unknown(world: &World, method: &str) -> Fault {
    const VCENTER_ONLY: &[&str] = &[
        "CloneVM_Task",
        "MarkAsTemplate",
        "MarkAsVirtualMachine",
        "RelocateVM_Task",
        "MigrateVM_Task",
        "CreateFolder",
        "MoveIntoFolder_Task",
        "SessionIsActive",
    ];
    match !world.vcenter && VCENTER_ONLY.contains(&method) {
        true => Fault::not_supported(),
        false => Fault::not_played(method),
    }
}
