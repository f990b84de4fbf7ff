//! Accounts of the host itself, and the directory that finds them. They are not changed here.

use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method};
use crate::sim::world::World;
use crate::vim::value::{Object, Value};

/// Accounts that are there from the start; the password is that of the sessions.
const BUILT_IN: &[(&str, &str)] = &[
    ("root", "Administrator"),
    ("dcui", "DCUI User"),
    ("viewer", "May only look"),
    ("vpxuser", "VMware VirtualCenter administration account"),
];

fn no_user(name: &str) -> Fault {
    Fault::new("UserNotFound", format!("The user or group named '{name}' does not exist."))
        .with("principal", name)
        .with("unresolved", false)
}

/// A user that this server knows.
pub fn known_user(world: &World, name: &str) -> Result<String> {
    let own = world.vcenter && name == "administrator@vsphere.local";
    match own || BUILT_IN.iter().any(|it| it.0 == name) {
        true => Ok(name.to_owned()),
        false => Err(no_user(name)),
    }
}

fn find_users(_: &mut World, call: &Call) -> Result<Value> {
    let wanted = call.args.text("searchStr").unwrap_or_default().to_lowercase();
    let exact = call.args.flag("exactMatch") == Some(true);
    let found = |name: &str| match exact {
        true => name.to_lowercase() == wanted,
        false => name.to_lowercase().contains(&wanted),
    };
    let (user, group) = (call.args.flag("findUsers"), call.args.flag("findGroups"));
    let groups: &[(&str, &str)] =
        if group == Some(true) { &[("root", ""), ("users", "")] } else { &[] };
    let result = |(name, about): (&str, &str), group: bool| {
        Object::new("UserSearchResult")
            .with("principal", name)
            .with("fullName", about)
            .with("group", group)
    };
    let own = BUILT_IN.iter().filter(|it| user == Some(true) && found(it.0));
    let own = own.map(|it| result(*it, false));
    let groups = groups.iter().filter(|it| found(it.0)).map(|it| result(*it, true));
    Ok(own.chain(groups).collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[Method { on: "UserDirectory", name: "RetrieveUserGroups", run: find_users }],
    properties: &[],
};
