//! What a method does to a server, by the reviewed list `effects.txt` that the build packs.
//!
//! The schema's privileges say nothing about it: `System.View` stands beside methods that delete
//! disks. Surprising: the list knows reads that are not for everybody, because they show secrets or
//! use what all callers share.

use crate::vim::table::{Method, methods};

/// What a method does; strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Not to be called on anybody's request: it logs in, hands out tickets, ends sessions.
    Never,
    /// Changes something.
    Changes,
    /// Changes nothing, but shows secrets or uses up what all callers share.
    Guarded,
    /// Only reads.
    Reads,
}

impl Effect {
    /// The word for a person and a model.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Never => "never",
            Effect::Changes => "changes",
            Effect::Guarded => "reads, admin only",
            Effect::Reads => "reads",
        }
    }
}

impl Method {
    /// What it does to the server.
    pub fn effect(self) -> Effect {
        match self.mark() {
            0 => Effect::Never,
            1 => Effect::Changes,
            2 => Effect::Guarded,
            _ => Effect::Reads,
        }
    }
}

/// What a method of this name does, the strictest of all types that have one; `None` for no method.
pub fn of_name(name: &str) -> Option<Effect> {
    methods().filter(|it| it.name() == name).map(Method::effect).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(owner: &str, name: &str) -> Effect {
        Method::find(owner, name).unwrap().effect()
    }

    #[test]
    fn privileges_do_not_deceive() {
        for (owner, name) in [
            ("VirtualDiskManager", "DeleteVirtualDisk_Task"),
            ("VcenterVStorageObjectManager", "DeleteVStorageObject_Task"),
            ("HostVStorageObjectManager", "HostSetVirtualDiskUuid_Task"),
            ("HostSpecificationManager", "DeleteHostSpecification"),
            ("VsanUpgradeSystem", "PerformVsanUpgrade_Task"),
            ("HostVsanInternalSystem", "RunVsanPhysicalDiskDiagnostics"),
            ("ClusterComputeResource", "CancelRecommendation"),
            ("ManagedEntity", "Reload"),
        ] {
            assert_eq!(of(owner, name), Effect::Changes, "{owner}.{name}");
        }
    }

    /// Whoever adds a read with such a name to the list must think here too.
    #[test]
    fn nothing_that_is_named_like_a_change_is_a_read() {
        const VERBS: &[&str] = &[
            "Add",
            "Apply",
            "Attach",
            "Cancel",
            "Change",
            "Clear",
            "Clone",
            "Configure",
            "Delete",
            "Destroy",
            "Detach",
            "Disable",
            "Enable",
            "Exit",
            "Enter",
            "Format",
            "Import",
            "Initiate",
            "Install",
            "Mark",
            "Merge",
            "Mount",
            "Move",
            "Power",
            "Reconfigure",
            "Refresh",
            "Register",
            "Release",
            "Reload",
            "Remove",
            "Rename",
            "Rescan",
            "Reset",
            "Restart",
            "Revert",
            "Set",
            "Start",
            "Stop",
            "Terminate",
            "Uninstall",
            "Unmount",
            "Unregister",
            "Update",
            "Upgrade",
        ];
        for it in methods().filter(|it| it.effect() == Effect::Reads) {
            assert!(!VERBS.iter().any(|verb| it.name().starts_with(verb)), "{it:?}");
        }
    }

    #[test]
    fn sessions_tickets_and_passwords_are_out_of_reach() {
        let closed = |name: &str| {
            let ticket = name.starts_with("Acquire") && !name.ends_with("Lease");
            let session = name.starts_with("Login") || name.starts_with("Impersonate");
            ticket || session || ["ChangePassword", "CloneSession", "Logout"].contains(&name)
        };
        for it in methods() {
            if closed(it.name()) {
                assert_eq!(it.effect(), Effect::Never, "{it:?}");
            }
        }
        assert_eq!(of("SessionManager", "TerminateSession"), Effect::Never);
    }

    #[test]
    fn what_goes_past_the_checks_of_single_properties_is_guarded() {
        for (owner, name) in [
            ("ManagedObject", "Fetch"),
            ("PropertyCollector", "RetrievePropertiesEx"),
            ("PropertyCollector", "RetrieveProperties"),
            ("SearchIndex", "Query"),
            ("OvfManager", "CreateDescriptor"),
            ("DiagnosticManager", "BrowseDiagnosticLog"),
            ("GuestProcessManager", "ReadEnvironmentVariableInGuest"),
            ("OptionManager", "QueryOptions"),
        ] {
            assert_eq!(of(owner, name), Effect::Guarded, "{owner}.{name}");
        }
        assert_eq!(of("ServiceInstance", "CurrentTime"), Effect::Reads);
    }

    #[test]
    fn methods_of_one_name_have_one_mark() {
        for it in methods() {
            // The second gate knows no types: what one passes and the other stops is a trap.
            assert_eq!(of_name(it.name()), Some(it.effect()), "{it:?}");
        }
        assert_eq!(of_name("NoSuchMethod"), None);
    }
}
