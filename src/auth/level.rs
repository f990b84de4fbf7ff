//! The five levels of rights, each including those before it.
//!
//! It knows no tool and no group. Surprising: a level has two words, the short one of the
//! configuration and the long one of the audit log; both are understood.

/// The least permission that may call a tool; each includes those above it in this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Power,
    Vm,
    Host,
    Admin,
}

impl Level {
    /// Lowest first.
    pub const ALL: [Level; 5] = [Level::Read, Level::Power, Level::Vm, Level::Host, Level::Admin];

    /// The word in answers, tokens and the audit log.
    pub fn word(self) -> &'static str {
        match self {
            Level::Read => "read_only",
            Level::Power => "power_ops",
            Level::Vm => "vm_lifecycle",
            Level::Host => "host_admin",
            Level::Admin => "full_admin",
        }
    }

    /// The word in `RBAC_GROUPS`: `read`, `power`, `vm`, `host`, `admin`.
    pub fn short(self) -> &'static str {
        match self {
            Level::Admin => "admin",
            other => other.word().split('_').next().unwrap_or_default(),
        }
    }

    /// The level of either word.
    pub fn find(word: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|it| {
            it.short().eq_ignore_ascii_case(word) || it.word().eq_ignore_ascii_case(word)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_found_by_both_words() {
        assert_eq!(Level::ALL.map(Level::short), ["read", "power", "vm", "host", "admin"]);
        for level in Level::ALL {
            assert_eq!(Level::find(level.word()), Some(level));
            assert_eq!(Level::find(&level.short().to_uppercase()), Some(level));
        }
        assert_eq!((Level::find(""), Level::find("full")), (None, None));
        assert!(Level::ALL.is_sorted());
    }
}
