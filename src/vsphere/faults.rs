//! The server's faults as our errors: what sort, in which words, and what to do next.
//!
//! Matched by the fault's class hierarchy, nearest class first, so that a fault that is newer than
//! this table still lands on its base. Surprising: `NotAuthenticated` is a `NoPermission`, and a
//! free licence shows as `RestrictedVersion` on every write while reads work.

use crate::error::{Error, Kind, quoted};
use crate::vim::table::Type;
use crate::vim::value::{Object, Value};
use crate::vsphere::decode::Fault;

/// A class of faults: what sort of error it is and what its reader can do.
struct Row(&'static str, Kind, &'static str);

/// Every class that we know more of than that the server refused.
static TABLE: &[Row] = &[
    Row("AlreadyExists", Kind::Conflict, "Choose another name, or use the one that is there"),
    Row("CannotAccessFile", Kind::Conflict, "It may be in use, damaged or out of reach"),
    Row("CannotDeleteFile", Kind::Conflict, "It, or something in it, may be in use"),
    Row("ConcurrentAccess", Kind::Busy, "Somebody else changed it meanwhile; try again"),
    Row(
        "CustomizationFault",
        Kind::Conflict,
        "Look at the customization specification and at the template's guest system and VMware Tools",
    ),
    Row("DeviceHotPlugNotSupported", Kind::Conflict, "Power the VM off first"),
    Row("DirectoryNotEmpty", Kind::Conflict, "Empty it first, or delete it with recursive=true"),
    Row("DuplicateName", Kind::Conflict, "Choose another name"),
    Row("FileAlreadyExists", Kind::Conflict, "Choose another name, or remove the file first"),
    Row("FileFault", Kind::Conflict, "Look at the path, and at the room and the rights there"),
    Row("FileLocked", Kind::Busy, "Another VM or task uses the file; try again when it is done"),
    Row("FileNotFound", Kind::NotFound, ""),
    Row(
        "GuestComponentsOutOfDate",
        Kind::Unsupported,
        "Update VMware Tools in the guest, they are too old for it",
    ),
    Row(
        "GuestOperationsUnavailable",
        Kind::Conflict,
        "VMware Tools must run in the guest; wait_for_vm_tools waits for them",
    ),
    Row(
        "GuestPermissionDenied",
        Kind::Denied,
        "This user of the guest may not do that there; look at the rights, or use another user",
    ),
    Row("GuestProcessNotFound", Kind::NotFound, "list_guest_processes shows what runs"),
    Row("HostCommunication", Kind::Network, "vCenter cannot reach the host; look at the host"),
    Row("HostConfigFault", Kind::Remote, "The host's events and its hostd.log say more"),
    Row("HostNotConnected", Kind::Network, "The host is disconnected from vCenter; reconnect it"),
    Row(
        "InsufficientResourcesFault",
        Kind::Conflict,
        "Free resources on the host, or ask for less",
    ),
    Row("InvalidArgument", Kind::Remote, ""),
    Row("InvalidDatastore", Kind::NotFound, "Check the datastore and the path on it"),
    Row(
        "InvalidGuestLogin",
        Kind::Denied,
        "These are the guest's own user and password, not ESXi's",
    ),
    Row(
        "InvalidHostState",
        Kind::Conflict,
        "The host may be in maintenance mode, or not connected; list_hosts shows it",
    ),
    Row(
        "InvalidLogin",
        Kind::Denied,
        "Correct the user or the password in the configuration; it is not tried again, because hosts lock accounts",
    ),
    Row("InvalidName", Kind::Usage, ""),
    Row(
        "InvalidPowerState",
        Kind::Conflict,
        "Look at the power state; it may have changed meanwhile",
    ),
    Row("InvalidState", Kind::Conflict, ""),
    Row("LimitExceeded", Kind::Busy, ""),
    Row("ManagedObjectNotFound", Kind::NotFound, "It was deleted or registered anew; list again"),
    Row(
        "MethodNotFound",
        Kind::Unsupported,
        "This server does not know the operation; it may be too old for it, or need vCenter",
    ),
    Row(
        "MigrationFault",
        Kind::Conflict,
        "Something holds the VM where it is, such as a device or a network of its host",
    ),
    Row("NoDiskSpace", Kind::Conflict, "Make room on the datastore, or use another one"),
    Row("NoPermission", Kind::Denied, "Ask the server's administrator for the privilege"),
    Row("NotADirectory", Kind::Usage, "It is there, but it is no directory"),
    Row("NotAFile", Kind::Usage, "A directory or a link is there; name a plain file"),
    Row("NotAuthenticated", Kind::Denied, "The account may lack the right for this operation"),
    Row("NotFound", Kind::NotFound, ""),
    Row("NotSupported", Kind::Unsupported, "This server cannot do it"),
    Row(
        "OperationDisabledByGuest",
        Kind::Denied,
        "The guest forbids it in the configuration of its VMware Tools (tools.conf)",
    ),
    Row(
        "OperationNotSupportedByGuest",
        Kind::Unsupported,
        "The guest's system, or its VMware Tools, cannot do it",
    ),
    Row("OvfConstraint", Kind::Conflict, "The server cannot place it as the descriptor demands"),
    Row(
        "OvfDiskMappingNotFound",
        Kind::Conflict,
        "The descriptor names a disk that it does not describe; the appliance is damaged",
    ),
    Row("OvfFault", Kind::Conflict, "inspect_ova shows what the appliance asks for"),
    Row(
        "OvfHardwareCheck",
        Kind::Unsupported,
        "The host has not the hardware that the appliance asks for; another host may have it",
    ),
    Row(
        "OvfInvalidPackage",
        Kind::Conflict,
        "The descriptor is wrong there; its maker must correct it",
    ),
    Row("OvfInvalidVmName", Kind::Usage, "Choose another vm_name"),
    Row(
        "OvfMissingHardware",
        Kind::Unsupported,
        "The host cannot give the VM such a device; another host may",
    ),
    Row(
        "OvfNoHostNic",
        Kind::Conflict,
        "Say which network of the server is meant, by network or network_map",
    ),
    Row(
        "OvfNoSupportedHardwareFamily",
        Kind::Unsupported,
        "The appliance needs a newer ESXi; update the host, or get the appliance for older hardware",
    ),
    Row(
        "OvfProperty",
        Kind::Usage,
        "Correct the setting; inspect_ova shows what each of them takes",
    ),
    Row(
        "OvfPropertyNetwork",
        Kind::Unsupported,
        "The appliance wants its addresses of an IP pool of vCenter; give them as settings",
    ),
    Row(
        "OvfUnsupportedDeviceBackingInfo",
        Kind::Unsupported,
        "The host takes no such device (serial port, USB ...) by an appliance; add it later",
    ),
    Row("OvfUnsupportedDiskProvisioning", Kind::Unsupported, "Choose another disk_provisioning"),
    Row(
        "OvfUnsupportedPackage",
        Kind::Unsupported,
        "The server does not know what the appliance asks for there; a newer one may",
    ),
    Row("QuestionPending", Kind::Conflict, "Answer with answer_vm_question"),
    Row("RequestCanceled", Kind::Cancelled, ""),
    Row(
        "RestrictedByAdministrator",
        Kind::Conflict,
        "The server's administrator has limited it; ask for less at once",
    ),
    Row(
        "RestrictedVersion",
        Kind::Denied,
        "No right is missing: with the free licence, ESXi's API is read-only. get_host_info tells the licence; a paid or evaluation one lifts that",
    ),
    Row("TaskInProgress", Kind::Busy, "Another task holds it; try again when that is done"),
    Row("Timedout", Kind::Busy, "The server gave up waiting; try again"),
    Row("TooManyDevices", Kind::Conflict, "Remove one first"),
    Row("TooManyGuestLogons", Kind::Busy, "Too many are logged in to the guest; try again later"),
    Row(
        "ToolsUnavailable",
        Kind::Conflict,
        "VMware Tools must run in the guest; get_vm_info shows their state",
    ),
    Row(
        "VmConfigFault",
        Kind::Conflict,
        "The host does not take the VM's hardware or setting as it would be; get_vm_info shows what it has",
    ),
];

/// Needs vCenter: what a standalone host says to operations that it lacks.
const NEEDS_VCENTER: &str = "A standalone ESXi cannot do it; it needs vCenter";

/// The error for a fault that `method` got.
pub fn error(method: &str, fault: &Fault, vcenter: bool) -> Error {
    let unknown_method = fault.text.contains("Unable to resolve WSDL method");
    let row = if unknown_method { row("MethodNotFound") } else { nearest(&fault.name) };
    let (kind, hint) = row.map_or((Kind::Remote, ""), |row| (row.1, row.2));
    let error = Error::new(kind, sentence(method, fault)).fault(&fault.name);
    match row.map(|row| row.0) {
        Some("NotSupported") if !vcenter => error.hint(NEEDS_VCENTER),
        _ if hint.is_empty() => error,
        _ => error.hint(hint),
    }
}

fn row(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0 == name)
}

/// The row of the fault's own class or of its nearest base.
fn nearest(name: &str) -> Option<&'static Row> {
    let mut class = Type::find(name);
    while let Some(known) = class {
        if let Some(row) = row(known.name()) {
            return Some(row);
        }
        class = known.parent();
    }
    None
}

fn sentence(method: &str, fault: &Fault) -> String {
    format!("{method}: the server refused: {}", words(fault))
}

/// What the server said: its words, the fault's name and fields, and what lies below.
pub fn words(fault: &Fault) -> String {
    let mut parts = vec![fault.name.clone()];
    if let Some(detail) = &fault.detail {
        parts.extend(facts(detail));
    }
    let text = quoted(&fault.text);
    let inner = fault.detail.iter().flat_map(nested).collect::<Vec<_>>().join("; ");
    let mut said = String::new();
    if !text.is_empty() {
        said.push_str(text.trim_end_matches('.'));
        said.push_str(&format!(" ({})", parts.join(", ")));
    } else {
        said.push_str(&parts.join(", "));
    }
    if !inner.is_empty() {
        said.push_str(&format!(": {inner}"));
    }
    said
}

/// The plain fields of a fault, such as `existingState poweredOn`; at most five.
fn facts(detail: &Object) -> Vec<String> {
    let plain = |(name, value): (&'static str, &Value)| {
        let shown = match value.plain() {
            Value::Text(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Ref(reference) => reference.to_string(),
            _ => return None,
        };
        (!shown.is_empty()).then(|| format!("{name} {}", quoted(&shown)))
    };
    detail.fields().filter_map(plain).take(5).collect()
}

/// The nested messages, which often hold the real reason.
fn nested(detail: &Object) -> Vec<String> {
    detail
        .objects("faultMessage")
        .filter_map(|message| message.text("message"))
        .map(|text| quoted(text).trim_end_matches('.').to_owned())
        .take(3)
        .collect()
}

/// True when the session that the call used has ended.
pub fn is_expired(error: &Error) -> bool {
    error.fault_name() == Some("NotAuthenticated")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, text: &str, detail: Option<Object>) -> Fault {
        Fault { name: name.to_owned(), text: text.to_owned(), detail }
    }

    #[test]
    fn every_row_is_a_class_of_the_schema() {
        for Row(name, ..) in TABLE {
            assert!(Type::find(name).is_some(), "{name}");
        }
        assert!(TABLE.is_sorted_by_key(|row| row.0));
    }

    #[test]
    fn a_fault_says_its_words_its_name_its_fields_and_what_to_do() {
        let detail = Object::new("InvalidPowerState")
            .with("requestedState", "poweredOn")
            .with("existingState", "poweredOn");
        let it = error(
            "PowerOnVM_Task",
            &fault(
                "InvalidPowerState",
                "The attempted operation cannot be performed in the current state (Powered on).",
                Some(detail),
            ),
            false,
        );
        assert_eq!(it.kind(), Kind::Conflict);
        assert!(it.to_string().starts_with(
            "PowerOnVM_Task: the server refused: The attempted operation cannot be performed in the \
             current state (Powered on) (InvalidPowerState, requestedState poweredOn, \
             existingState poweredOn). Look at the power state"
        ), "{it}");
    }

    #[test]
    fn bases_and_server_kinds_matter() {
        let kind = |name, vcenter| error("X", &fault(name, "", None), vcenter);
        assert_eq!(kind("NotEnoughCpus", true).kind(), Kind::Conflict);
        assert_eq!(kind("InsufficientHostCapacityFault", true).kind(), Kind::Conflict);
        assert_eq!(kind("RestrictedVersion", false).kind(), Kind::Denied);
        assert!(kind("NotSupported", false).to_string().contains("needs vCenter"));
        assert!(!kind("NotSupported", true).to_string().contains("needs vCenter"));
        assert_eq!(kind("SomethingNewer", true).kind(), Kind::Remote);
        let wsdl =
            fault("InvalidRequest", "Unable to resolve WSDL method name PutUsbScanCodes", None);
        assert_eq!(error("PutUsbScanCodes", &wsdl, true).kind(), Kind::Unsupported);
    }
}
