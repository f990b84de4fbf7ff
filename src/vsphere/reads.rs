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
    "HasPrivilegeOnEntities",
    "Login",
    "Logout",
    "QueryPerf",
    "QueryPerfProviderSummary",
    "RetrievePropertiesEx",
    "RetrieveServiceContent",
    "SetCollectorPageSize",
    "WaitForUpdatesEx",
];

/// Whether this method changes nothing that belongs to a user.
pub fn is_read(method: &str) -> bool {
    READS.binary_search(&method).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_method_and_in_order() {
        assert!(READS.is_sorted());
        for name in READS {
            assert!(crate::vim::table::methods().any(|method| method.name() == *name), "{name}");
        }
        assert!(!is_read("PowerOffVM_Task") && !is_read("DeleteVirtualDisk_Task"));
    }
}
