//! The methods that only read: all that a caller without the right to change may have sent.
//!
//! The second gate. What a method does is on the reviewed list of `crate::vim::effect`; only what
//! that list forbids to everybody, and this client does by itself, is named here. Surprising: reads
//! that only an admin may ask for count as reads; the first gate has looked at who asks.

use crate::vim::effect::{Effect, of_name};

/// What nobody may ask for and the session does for itself.
static OWN: &[&str] = &["Login", "Logout"];

/// Whether this method changes nothing that belongs to a user.
pub fn is_read(method: &str) -> bool {
    OWN.contains(&method) || of_name(method) >= Some(Effect::Guarded)
}

/// What moves a place in the session, whose old place is gone then, or counts wrong passwords.
static ONCE: &[&str] = &[
    "ContinueRetrievePropertiesEx",
    "QueryNext",
    "ReadNextEvents",
    "ReadNextTasks",
    "ReadPreviousEvents",
    "ReadPreviousTasks",
    "ValidateCredentialsInGuest",
];

/// Whether asking again after a lost answer is as good as asking once.
pub fn is_repeatable(method: &str) -> bool {
    is_read(method) && !ONCE.contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_needs_passes_and_no_change_does() {
        for name in OWN {
            assert_eq!(of_name(name), Some(Effect::Never), "{name}");
        }
        for name in [
            "CancelWaitForUpdates",
            "ContinueRetrievePropertiesEx",
            "CreateContainerView",
            "CreateFilter",
            "CreatePropertyCollector",
            "DestroyPropertyCollector",
            "DestroyView",
            "CreateCollectorForEvents",
            "DestroyCollector",
            "GetCustomizationSpec",
            "HasPrivilegeOnEntities",
            "InitiateFileTransferFromGuest",
            "ListFilesInGuest",
            "ListProcessesInGuest",
            "QueryAssignedLicenses",
            "QueryDateTime",
            "QueryPerf",
            "QueryPerfProviderSummary",
            "SearchDatastoreSubFolders_Task",
            "SearchDatastore_Task",
            "SetCollectorPageSize",
            "RetrievePropertiesEx",
            "WaitForUpdatesEx",
        ] {
            assert!(is_read(name), "{name}");
        }
        for name in ["PowerOffVM_Task", "DeleteVirtualDisk_Task", "AcquireTicket", "NoSuchMethod"] {
            assert!(!is_read(name), "{name}");
        }
    }
}
