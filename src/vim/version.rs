//! The chain of API versions, oldest first, and which one to speak with a server.
//!
//! Surprising: a server may call its newest version by an internal id such as `uA046D008`. Such ids
//! are ignored; the highest version that both sides know is used.

use crate::vim::table;

/// A place in the chain of versions; newer is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u8);

/// The oldest version that this program serves.
const OLDEST_SERVED: &str = "6.5";

impl Version {
    /// The version of exactly this name, such as `8.0.3.0`.
    pub fn parse(name: &str) -> Option<Version> {
        Version::all().find(|it| it.name() == name)
    }

    /// The name as it stands in the `SOAPAction` header, behind `urn:vim25/`.
    pub fn name(self) -> &'static str {
        table::version_name(self.0)
    }

    /// The oldest version that this program serves: 6.5.
    pub fn oldest_served() -> Version {
        Version::parse(OLDEST_SERVED).unwrap_or(Version(0))
    }

    /// The newest version that the schema knows.
    pub fn newest() -> Version {
        Version(table::version_count().saturating_sub(1))
    }

    /// The highest version of ours among those that a server lists.
    pub fn negotiate<'a>(offered: impl Iterator<Item = &'a str>) -> Option<Version> {
        offered.filter_map(|name| Version::parse(name.trim())).max()
    }

    /// Every version, oldest first.
    pub fn all() -> impl Iterator<Item = Version> {
        (0..table::version_count()).map(Version)
    }

    /// From the number that the table stores.
    pub(crate) fn stored(number: u8) -> Version {
        Version(number)
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_in_order() {
        let of = |name| Version::parse(name).unwrap();
        assert!(
            of("6.5") < of("6.7") && of("6.9.1") < of("7.0.0.0") && of("8.0.3.1") < of("9.0.0.0")
        );
        assert_eq!(Version::oldest_served().name(), "6.5");
        assert_eq!(Version::newest().name(), "9.1.1.0");
        assert_eq!(Version::parse("8"), None);
    }

    #[test]
    fn internal_and_future_ids_are_ignored() {
        let offered = ["uA046D008", "12.0.0.0", "8.0.2.0", "8.0.1.0", "6.5"];
        assert_eq!(Version::negotiate(offered.into_iter()), Version::parse("8.0.2.0"));
        assert_eq!(Version::negotiate(["uA046D008"].into_iter()), None);
    }
}
