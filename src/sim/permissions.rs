//! Who may do what: roles, and permissions on entities.
//!
//! The privileges that there are come from the schema, where each method names its own. Surprising:
//! roles and permissions are those of the start, on the root alone; they can only be read.

use std::collections::BTreeSet;

use crate::sim::accounts::known_user;
use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method, Property, Run};
use crate::sim::world::World;
use crate::vim::table;
use crate::vim::value::{Object, Ref, Value};

const ADMIN: i64 = -1;
const READ_ONLY: i64 = -2;
const NO_ACCESS: i64 = -5;
/// What everybody who may look has.
const LOOK: [&str; 3] = ["System.Anonymous", "System.Read", "System.View"];

/// Id, name, label.
const ROLES: &[(i64, &str, &str)] = &[
    (NO_ACCESS, "NoAccess", "No access"),
    (-4, "Anonymous", "Anonymous"),
    (-3, "View", "View"),
    (READ_ONLY, "ReadOnly", "Read-only"),
    (ADMIN, "Admin", "Administrator"),
];

// ---- roles ----

fn privileges() -> BTreeSet<&'static str> {
    let named = table::methods().map(|it| it.privilege()).filter(|it| !it.is_empty());
    named.chain(LOOK).collect()
}

/// Whether a role has a privilege.
fn holds(role: i64, privilege: &str) -> bool {
    match role {
        ADMIN => true,
        READ_ONLY => LOOK.contains(&privilege),
        -3 => LOOK.contains(&privilege) && privilege != "System.Read",
        -4 => privilege == "System.Anonymous",
        _ => false,
    }
}

fn roles(_: &World, _: &str) -> Option<Value> {
    let known = privileges();
    let shown = |(id, name, label): &(i64, &str, &str)| {
        let held: Value = known.iter().filter(|it| holds(*id, it)).copied().collect();
        Object::new("AuthorizationRole")
            .with("roleId", *id)
            .with("system", true)
            .with("name", *name)
            .with("info", Object::new("Description").with("label", *label).with("summary", *label))
            .with("privilege", held)
    };
    Some(ROLES.iter().map(shown).collect())
}

fn privilege_list(_: &World, _: &str) -> Option<Value> {
    let all = privileges().into_iter().map(|it| {
        let (group, name) = it.rsplit_once('.').unwrap_or(("", it));
        Object::new("AuthorizationPrivilege")
            .with("privId", it)
            .with("onParent", false)
            .with("name", name)
            .with("privGroupName", group)
    });
    Some(all.collect())
}

fn description(_: &World, _: &str) -> Option<Value> {
    let told = |key: &str| {
        let label = key.rsplit('.').next().unwrap_or(key);
        Object::new("ElementDescription")
            .with("label", label)
            .with("summary", label)
            .with("key", key)
    };
    let all = privileges();
    let groups: BTreeSet<&str> = all.iter().filter_map(|it| Some(it.rsplit_once('.')?.0)).collect();
    Some(
        Object::new("AuthorizationDescription")
            .with("privilege", all.iter().map(|it| told(it)).collect::<Value>())
            .with("privilegeGroup", groups.iter().map(|it| told(it)).collect::<Value>())
            .into(),
    )
}

// ---- who has what ----

/// The role of a user, the same everywhere.
fn role_of(user: &str) -> i64 {
    match user {
        "root" | "dcui" | "vpxuser" | "administrator@vsphere.local" => ADMIN,
        "viewer" => READ_ONLY,
        _ => NO_ACCESS,
    }
}

/// Whether a user has a privilege on an object.
pub fn granted(_: &World, user: &str, _: &Ref, privilege: &str) -> bool {
    holds(role_of(user), privilege)
}

fn user_of_session<'a>(world: &'a World, call: &Call) -> Result<&'a str> {
    let key = call.args.text("sessionId").unwrap_or_default();
    let found = world.sessions.all.values().find(|it| it.key == key);
    // unverified: what a host says of a session that it does not have.
    found.map(|it| it.user.as_str()).ok_or_else(|| Fault::invalid_argument("sessionId"))
}

/// The entities of a call, all there.
fn entities<'a>(world: &World, call: &'a Call, name: &str) -> Result<Vec<&'a Ref>> {
    let all: Vec<&Ref> = call.args.references(name).collect();
    match all.iter().find(|it| world.kind_of(&it.id).is_none()) {
        Some(missing) => Err(Fault::gone(missing)),
        None => Ok(all),
    }
}

fn answer(world: &World, call: &Call, user: &str, name: &str) -> Result<Value> {
    let all = entities(world, call, name)?.into_iter().map(|entity| {
        let role = role_of(user);
        let told = call.args.texts("privId").map(|it| {
            Object::new("PrivilegeAvailability")
                .with("privId", it)
                .with("isGranted", holds(role, it))
        });
        Object::new("EntityPrivilege")
            .with("entity", entity)
            .with("privAvailability", told.collect::<Value>())
    });
    Ok(all.collect())
}

fn has_many(world: &mut World, call: &Call) -> Result<Value> {
    let user = user_of_session(world, call)?;
    answer(world, call, user, "entity")
}

fn has_one(world: &mut World, call: &Call) -> Result<Value> {
    let user = user_of_session(world, call)?;
    let entity = entities(world, call, "entity")?;
    let role = if entity.is_empty() { NO_ACCESS } else { role_of(user) };
    Ok(call.args.texts("privId").map(|it| holds(role, it)).collect())
}

fn has_user(world: &mut World, call: &Call) -> Result<Value> {
    let user = known_user(world, call.args.text("userName").unwrap_or_default())?;
    answer(world, call, &user, "entities")
}

fn fetch(world: &mut World, call: &Call) -> Result<Value> {
    let user = known_user(world, call.args.text("userName").unwrap_or_default())?;
    let known = privileges();
    let all = entities(world, call, "entities")?.into_iter().map(|entity| {
        let role = role_of(&user);
        let held: Value = known.iter().filter(|it| holds(role, it)).copied().collect();
        Object::new("UserPrivilegeResult").with("entity", entity).with("privileges", held)
    });
    Ok(all.collect())
}

// ---- permissions ----

/// Permissions that stand on the root.
fn on_entity(world: &World, id: &str) -> Vec<Object> {
    let root = world
        .plain
        .get(id)
        .is_some_and(|it| it.kind == "Folder" && it.props.get("parent").is_none());
    let users: &[&str] = match (root, world.vcenter) {
        (false, _) => &[],
        (true, true) => &["administrator@vsphere.local", "viewer"],
        (true, false) => &["vpxuser", "dcui", "root", "viewer"],
    };
    let shown = |name: &&str| {
        Object::new("Permission")
            .with("entity", Ref::new("Folder", id))
            .with("principal", *name)
            .with("group", false)
            .with("roleId", role_of(name))
            .with("propagate", true)
    };
    users.iter().map(shown).collect()
}

fn of_entity(world: &mut World, call: &Call) -> Result<Value> {
    let Some(entity) = entities(world, call, "entity")?.into_iter().next() else {
        return Err(Fault::not_found());
    };
    let mut all = on_entity(world, &entity.id);
    if call.args.flag("inherited") == Some(true) {
        for id in world.above(entity) {
            all.extend(on_entity(world, &id));
        }
    }
    Ok(all.into())
}

fn every(world: &mut World, call: &Call) -> Result<Value> {
    let wanted = call.args.int("roleId");
    let all = world.all("Folder").flat_map(|(id, _)| on_entity(world, id));
    Ok(all.filter(|it| wanted.is_none() || it.int("roleId") == wanted).collect())
}

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "AuthorizationManager", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("HasPrivilegeOnEntity", has_one),
        on("HasPrivilegeOnEntities", has_many),
        on("HasUserPrivilegeOnEntities", has_user),
        on("FetchUserPrivilegeOnEntities", fetch),
        on("RetrieveEntityPermissions", of_entity),
        on("RetrieveAllPermissions", every),
        on("RetrieveRolePermissions", every),
    ],
    properties: &[
        Property { on: "AuthorizationManager", name: "roleList", get: roles },
        Property { on: "AuthorizationManager", name: "privilegeList", get: privilege_list },
        Property { on: "AuthorizationManager", name: "description", get: description },
        Property {
            on: "ManagedEntity",
            name: "permission",
            get: |world, id| Some(on_entity(world, id).into()),
        },
        Property {
            on: "ManagedEntity",
            name: "effectiveRole",
            get: |_, _| Some(Value::List(vec![ADMIN.into()])),
        },
    ],
};
