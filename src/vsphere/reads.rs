//! The methods that only read: all that a caller without the right to change may have sent.
//!
//! The second gate. A method that is on no list here writes, whatever its privilege says: the
//! schema marks methods that delete disks as `System.View`.

/// Sorted, so that a look is a binary search.
static READS: &[&str] = &[
    "CancelRetrievePropertiesEx",
    "CancelWaitForUpdates",
    "ContinueRetrievePropertiesEx",
    "CreateCollectorForEvents",
    "CreateContainerView",
    "CreateFilter",
    "CreatePropertyCollector",
    "CurrentTime",
    "DestroyCollector",
    "DestroyPropertyCollector",
    "DestroyPropertyFilter",
    "DestroyView",
    "GetCustomizationSpec",
    "HasPrivilegeOnEntities",
    "InitiateFileTransferFromGuest",
    "ListFilesInGuest",
    "ListProcessesInGuest",
    "Login",
    "Logout",
    "QueryAssignedLicenses",
    "QueryDateTime",
    "QueryPerf",
    "QueryPerfProviderSummary",
    "RetrievePropertiesEx",
    "RetrieveServiceContent",
    "SearchDatastoreSubFolders_Task",
    "SearchDatastore_Task",
    "SetCollectorPageSize",
    "WaitForUpdatesEx",
];

/// Those among them that look into a guest or elsewhere where only an administrator may.
static ADMIN_ONLY: &[&str] =
    &["InitiateFileTransferFromGuest", "ListFilesInGuest", "ListProcessesInGuest"];

/// Whether a reading method is for administrators alone, though it changes nothing.
pub fn is_admin_only(method: &str) -> bool {
    ADMIN_ONLY.binary_search(&method).is_ok()
}

/// Whether this method changes nothing that belongs to a user.
pub fn is_read(method: &str) -> bool {
    READS.binary_search(&method).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_method_and_in_order() {
        assert!(READS.is_sorted() && ADMIN_ONLY.is_sorted());
        assert!(ADMIN_ONLY.iter().all(|it| is_read(it) && is_admin_only(it)));
        for name in READS {
            assert!(crate::vim::table::methods().any(|method| method.name() == *name), "{name}");
        }
        assert!(!is_read("PowerOffVM_Task") && !is_read("DeleteVirtualDisk_Task"));
    }
}
