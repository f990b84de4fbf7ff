//! Groups to rights: five groups that are built in, or those of `RBAC_GROUPS`.
//!
//! It knows names and levels only. Nobody has a right that no entry gives: a caller without a known
//! group gets nothing at all, and an entry that cannot be read refuses the whole policy. Surprising:
//! several entries of one caller do not replace each other; on each server the highest counts.

use crate::auth::level::Level;
use crate::auth::principal::{Grant, How, Principal};
use crate::error::{Error, Kind, Result, quoted};
use crate::text::nearest::nearest;
use crate::text::order;

/// Most entries of a policy.
const MAX_ENTRIES: usize = 1_000;

/// Groups that an error names.
const SHOWN: usize = 5;

/// What holds while `RBAC_GROUPS` is not set.
const BUILT_IN: [(&str, Level); 5] = [
    ("vsphere-readers", Level::Read),
    ("vsphere-operators", Level::Power),
    ("vsphere-admins", Level::Vm),
    ("vsphere-host-admins", Level::Host),
    ("vsphere-super-admins", Level::Admin),
];

/// What each group may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    entries: Vec<(String, Grant)>,
}

/// A caller who is recognised, and whose rights are not yet looked up.
#[derive(Clone, Copy, Debug)]
pub struct Claimant<'a> {
    pub name: &'a str,
    /// Nobody else's, among those that are recognised in the same way.
    pub id: &'a str,
    pub groups: &'a [String],
    pub how: How,
    /// Seconds since 1970.
    pub expires: Option<u64>,
}

impl Policy {
    /// The five groups.
    pub fn built_in() -> Policy {
        let entry =
            |(group, level): (&str, Level)| (group.to_owned(), Grant { level, hosts: None });
        Policy { entries: BUILT_IN.into_iter().map(entry).collect() }
    }

    /// Reads entries of the form `group=level` or `group=level@host|host`; a group may stand in
    /// several of them. What is wrong is said at once, up to a bound.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Policy> {
        let (mut read, mut wrong) = (Vec::new(), Vec::new());
        for text in entries.into_iter().map(str::trim).filter(|it| !it.is_empty()) {
            match entry(text) {
                Ok(it) if read.len() < MAX_ENTRIES => read.push(it),
                Ok(_) => {
                    let said = format!("there are more than {MAX_ENTRIES} groups");
                    return Err(Error::usage(said).hint("Give rights to fewer, larger groups"));
                }
                Err(why) => wrong.push(format!("`{}`: {why}", quoted(text))),
            }
            if wrong.len() == SHOWN {
                break;
            }
        }
        if !wrong.is_empty() {
            return Err(Error::usage("groups that cannot be read").listing(wrong).hint(
                "An entry is `group=level` or `group=level@server|server`, such as \
                 `lab-team=vm@esx1|esx2`",
            ));
        }
        match read.is_empty() {
            true => Err(Error::usage("no group has a right, so nobody could do anything")
                .hint("Name a group, or leave the built-in ones")),
            false => Ok(Policy { entries: read }),
        }
    }

    /// Names of servers that entries restrict somebody to: a name that no server bears is a typing
    /// error, which whoever knows the servers can tell.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        let hosts = self.entries.iter().filter_map(|it| it.1.hosts.as_ref());
        hosts.flatten().map(String::as_str)
    }

    /// Whether a group has any right.
    pub fn knows(&self, group: &str) -> bool {
        self.entries.iter().any(|it| it.0 == group)
    }

    /// The caller with the rights of all known groups; without one, nobody.
    pub fn admit(&self, who: &Claimant<'_>) -> Result<Principal> {
        let mine = |group: &str| who.groups.iter().any(|it| it == group);
        let grants: Vec<Grant> =
            self.entries.iter().filter(|it| mine(&it.0)).map(|it| it.1.clone()).collect();
        if grants.is_empty() {
            let name = quoted(who.name);
            let said = match who.groups {
                [] => format!("`{name}` is in no group"),
                all => {
                    let some: Vec<String> = all.iter().take(SHOWN).map(|it| quoted(it)).collect();
                    let more = if all.len() > SHOWN { " and others" } else { "" };
                    format!("no group of `{name}` has a right here: {}{more}", some.join(", "))
                }
            };
            let hint = "Ask who runs this server to be put into a group that has";
            return Err(Error::new(Kind::Denied, said).hint(hint));
        }
        let mut principal = Principal::new(who.name, who.id, who.how, grants);
        let known = who.groups.iter().filter(|it| self.knows(it));
        principal.groups = order::unique(known.map(|it| quoted(it)).collect());
        principal.expires = who.expires;
        Ok(principal)
    }
}

/// One entry; the error is the reason alone.
fn entry(text: &str) -> std::result::Result<(String, Grant), String> {
    // A group may hold `=` itself, as those of a directory do.
    let Some((group, rest)) = text.rsplit_once('=') else {
        return Err("it has no `=`".to_owned());
    };
    let (word, hosts) = match rest.split_once('@') {
        Some((word, hosts)) => (word.trim(), Some(hosts)),
        None => (rest.trim(), None),
    };
    let group = group.trim();
    if group.is_empty() {
        return Err("no group is named before the `=`".to_owned());
    }
    let Some(level) = Level::find(word) else {
        let words = Level::ALL.map(Level::short);
        let meant =
            nearest(word, words).map_or(String::new(), |it| format!(", did you mean `{it}`?"));
        return Err(format!("`{}` is not one of {}{meant}", quoted(word), words.join(", ")));
    };
    let hosts = match hosts {
        None => None,
        Some(hosts) => {
            let all: Vec<String> = hosts.split('|').map(|it| it.trim().to_owned()).collect();
            if all.iter().any(String::is_empty) {
                return Err("a server's name is missing after the `@`".to_owned());
            }
            Some(all)
        }
    };
    Ok((group.to_owned(), Grant { level, hosts }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(policy: &Policy, groups: &[&str]) -> Result<Principal> {
        let groups: Vec<String> = groups.iter().map(|it| (*it).to_owned()).collect();
        let expires = Some(7);
        policy.admit(&Claimant {
            name: "ryan",
            id: "u1",
            groups: &groups,
            how: How::Oauth,
            expires,
        })
    }

    #[test]
    fn built_in_groups() {
        let policy = Policy::built_in();
        for (group, level) in BUILT_IN {
            assert_eq!(admit(&policy, &[group]).unwrap().level_on("any"), Some(level));
        }
        let two = admit(&policy, &["vsphere-admins", "staff", "vsphere-readers"]).unwrap();
        assert_eq!((two.highest(), two.expires), (Some(Level::Vm), Some(7)));
        assert_eq!(two.groups, ["vsphere-admins", "vsphere-readers"]);
    }

    #[test]
    fn nobody_without_a_known_group() {
        let policy = Policy::built_in();
        for groups in
            [&[][..], &["staff"], &["VSPHERE-ADMINS"], &["vsphere-admins "], &["*"], &[""]]
        {
            let error = admit(&policy, groups).unwrap_err();
            assert_eq!(error.kind(), Kind::Denied, "{groups:?}");
        }
        let many = ["a", "b", "c", "d", "e", "f"];
        let error = admit(&policy, &many).unwrap_err().to_string();
        assert!(error.contains("has a right here: a, b, c, d, e and others. Ask who"), "{error}");
    }

    #[test]
    fn groups_of_the_configuration_replace_the_built_in_ones() {
        let policy = Policy::parse([
            "all=read",
            " lab = vm @ esx1 | esx2",
            "cn=x,ou=y=full_admin@vc",
            "lab=Power",
            "",
        ])
        .unwrap();
        assert!(admit(&policy, &["vsphere-admins"]).is_err());
        let who = admit(&policy, &["lab", "all"]).unwrap();
        assert_eq!(
            ["esx1", "esx2", "esx3"].map(|it| who.level_on(it)),
            [Some(Level::Vm), Some(Level::Vm), Some(Level::Power)]
        );
        let one = admit(&policy, &["cn=x,ou=y"]).unwrap();
        assert_eq!((one.level_on("vc"), one.level_on("esx1")), (Some(Level::Admin), None));
        assert_eq!(policy.hosts().collect::<Vec<_>>(), ["esx1", "esx2", "vc"]);
    }

    #[test]
    fn mistakes_name_the_entry_and_what_is_allowed() {
        for (text, said) in [
            ("lab", "`lab`: it has no `=`"),
            ("=read", "`=read`: no group"),
            ("lab=", "`` is not one of read, power, vm, host, admin"),
            ("lab=raed", "`raed` is not one of read, power, vm, host, admin, did you mean `read`?"),
            ("lab=root", "`root` is not one of"),
            ("lab=vm@", "a server's name is missing"),
            ("lab=vm@a||b", "a server's name is missing"),
            ("lab=@a", "`` is not one of"),
            ("", "no group has a right"),
        ] {
            let error = Policy::parse([text]).unwrap_err();
            assert!(error.to_string().contains(said), "{text}: {error}");
            assert_eq!(error.kind(), Kind::Usage);
        }
        let both = Policy::parse(["a=read", "b=x", "c"]).unwrap_err().to_string();
        assert!(
            both.contains("`b=x`") && both.contains("`c`") && !both.contains("a=read"),
            "{both}"
        );
        let many: Vec<String> = (0..2000).map(|it| format!("g{it}=read")).collect();
        assert!(Policy::parse(many.iter().map(String::as_str)).is_err());
    }
}
