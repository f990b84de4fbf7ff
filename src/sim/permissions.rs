//! Who may do what: roles, and permissions on entities.
//!
//! The privileges that there are come from the schema, where each method names its own. Surprising:
//! nobody but administrators may change anything by itself; others need a role that says so.

use crate::sim::accounts::{Accounts, known_user};
use crate::sim::fault::{Fault, Result};
use crate::sim::host::{already_exists, not_found};
use crate::sim::rows::{Call, Family, Method, Property, Run};
use crate::sim::world::World;
use crate::text::order;
use crate::vim::table;
use crate::vim::value::{Object, Ref, Value};

/// Roles and permissions that are kept.
const MOST: usize = 1000;
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

/// A role that somebody made.
struct Role {
    id: i64,
    name: String,
    privileges: Vec<String>,
}

/// A role of somebody on an entity.
struct Grant {
    entity: Ref,
    principal: String,
    group: bool,
    role: i64,
    propagate: bool,
}

/// Accounts, roles and permissions.
#[derive(Default)]
pub struct Access {
    /// Accounts of the host itself.
    pub accounts: Accounts,
    roles: Vec<Role>,
    grants: Vec<Grant>,
}

impl Access {
    /// Forgets the permissions of a user who is no more.
    pub fn forget(&mut self, user: &str) {
        self.grants.retain(|it| it.group || it.principal != user);
    }
}

// ---- roles ----

/// All privileges, in order.
fn privileges() -> Vec<&'static str> {
    let named = table::methods().map(|it| it.privilege()).filter(|it| !it.is_empty());
    once_each(named.chain(LOOK).collect())
}

fn once_each(names: Vec<&str>) -> Vec<&str> {
    let mut names = order::by(names, &|a, b| a.cmp(b));
    names.dedup();
    names
}

/// Whether a role has a privilege.
fn holds(world: &World, role: i64, privilege: &str) -> bool {
    match role {
        ADMIN => true,
        READ_ONLY => LOOK.contains(&privilege),
        -3 => LOOK.contains(&privilege) && privilege != "System.Read",
        -4 => privilege == "System.Anonymous",
        NO_ACCESS => false,
        made => {
            let role = world.access.roles.iter().find(|it| it.id == made);
            role.is_some_and(|it| {
                LOOK.contains(&privilege) || it.privileges.iter().any(|it| it == privilege)
            })
        }
    }
}

fn roles(world: &World, _: &str) -> Option<Value> {
    let known = privileges();
    let shown = |id: i64, name: &str, label: &str| {
        let held: Value = known.iter().filter(|it| holds(world, id, it)).copied().collect();
        Object::new("AuthorizationRole")
            .with("roleId", id)
            .with("system", id < 0)
            .with("name", name)
            .with("info", Object::new("Description").with("label", label).with("summary", label))
            .with("privilege", held)
    };
    let built_in = ROLES.iter().map(|(id, name, label)| shown(*id, name, label));
    let made = world.access.roles.iter().map(|it| shown(it.id, &it.name, &it.name));
    Some(built_in.chain(made).collect())
}

/// The privileges of a call, all known.
fn asked(call: &Call) -> Result<Vec<String>> {
    let known = privileges();
    let all: Vec<String> = call.args.texts("privIds").map(str::to_owned).collect();
    match all.iter().all(|it| known.contains(&it.as_str())) {
        true => Ok(all),
        false => Err(Fault::invalid_argument("privIds")),
    }
}

fn role_name(world: &World, name: &str, own: i64) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Fault::new("InvalidName", "The name '' is invalid.").with("name", name));
    }
    let made = world.access.roles.iter().any(|it| it.name == name && it.id != own);
    match made || ROLES.iter().any(|it| it.1 == name) {
        true => Err(already_exists(name)),
        false => Ok(()),
    }
}

fn add_role(world: &mut World, call: &Call) -> Result<Value> {
    let name = call.args.text("name").unwrap_or_default();
    role_name(world, name, 0)?;
    let privileges = asked(call)?;
    if world.access.roles.len() >= MOST {
        return Err(Fault::new("LimitExceeded", "Too many roles."));
    }
    let id = world.access.roles.last().map_or(10, |it| it.id + 1);
    world.access.roles.push(Role { id, name: name.to_owned(), privileges });
    world.touch();
    Ok(id.into())
}

fn update_role(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.args.int("roleId").unwrap_or(0);
    let name = call.args.text("newName").unwrap_or_default();
    let privileges = asked(call)?;
    if id < 0 {
        return Err(Fault::invalid_argument("roleId"));
    }
    role_name(world, name, id)?;
    let role = world.access.roles.iter_mut().find(|it| it.id == id).ok_or_else(not_found)?;
    (role.name, role.privileges) = (name.to_owned(), privileges);
    world.touch();
    Ok(Value::Null)
}

fn remove_role(world: &mut World, call: &Call) -> Result<Value> {
    let id = call.args.int("roleId").unwrap_or(0);
    if id < 0 {
        return Err(Fault::invalid_argument("roleId"));
    }
    if !world.access.roles.iter().any(|it| it.id == id) {
        return Err(not_found());
    }
    let used = world.access.grants.iter().any(|it| it.role == id);
    if used && call.args.flag("failIfUsed") == Some(true) {
        return Err(Fault::new("RemoveFailed", "The role is in use."));
    }
    world.access.roles.retain(|it| it.id != id);
    world.access.grants.retain(|it| it.role != id);
    world.touch();
    Ok(Value::Null)
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
    let groups = all.iter().filter_map(|it| Some(it.rsplit_once('.')?.0)).collect();
    let groups = once_each(groups);
    Some(
        Object::new("AuthorizationDescription")
            .with("privilege", all.iter().map(|it| told(it)).collect::<Value>())
            .with("privilegeGroup", groups.iter().map(|it| told(it)).collect::<Value>())
            .into(),
    )
}

// ---- who has what ----

/// The role of a user on an entity: the nearest permission counts, then what the user is.
fn role_of(world: &World, user: &str, entity: &Ref) -> i64 {
    let above = world.above(entity);
    let own = |it: &&Grant| !it.group && it.principal == user;
    let on = |id: &str, below: bool| {
        let grants = world.access.grants.iter().filter(own);
        let mut fits = grants.filter(|it| it.entity.id == id && (it.propagate || !below));
        fits.next().map(|it| it.role)
    };
    let granted = on(&entity.id, false).or_else(|| above.iter().find_map(|id| on(id, true)));
    granted.unwrap_or(match user {
        "root" | "dcui" | "vpxuser" | "administrator@vsphere.local" => ADMIN,
        "viewer" => READ_ONLY,
        _ => NO_ACCESS,
    })
}

/// Whether a user has a privilege on an object; one that is no entity counts as the root.
pub fn granted(world: &World, user: &str, on: &Ref, privilege: &str) -> bool {
    let known = world.plain.get(&on.id).is_some_and(|it| it.props.get("parent").is_some());
    let root = world.all("Folder").find(|(_, it)| it.get("parent").is_none());
    let root = root.map(|(id, _)| Ref::new("Folder", id));
    let on = match known || world.machine(&on.id).is_some() {
        true => Some(on.clone()),
        false => root,
    };
    on.is_some_and(|it| holds(world, role_of(world, user, &it), privilege))
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
        let role = role_of(world, user, entity);
        let told = call.args.texts("privId").map(|it| {
            Object::new("PrivilegeAvailability")
                .with("privId", it)
                .with("isGranted", holds(world, role, it))
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
    let role = entity.first().map_or(NO_ACCESS, |it| role_of(world, user, it));
    Ok(call.args.texts("privId").map(|it| holds(world, role, it)).collect())
}

fn has_user(world: &mut World, call: &Call) -> Result<Value> {
    let user = known_user(world, call.args.text("userName").unwrap_or_default())?;
    answer(world, call, &user, "entities")
}

fn fetch(world: &mut World, call: &Call) -> Result<Value> {
    let user = known_user(world, call.args.text("userName").unwrap_or_default())?;
    let known = privileges();
    let all = entities(world, call, "entities")?.into_iter().map(|entity| {
        let role = role_of(world, &user, entity);
        let held: Value = known.iter().filter(|it| holds(world, role, it)).copied().collect();
        Object::new("UserPrivilegeResult").with("entity", entity).with("privileges", held)
    });
    Ok(all.collect())
}

// ---- permissions ----

fn shown(grant: &Grant) -> Object {
    Object::new("Permission")
        .with("entity", &grant.entity)
        .with("principal", grant.principal.as_str())
        .with("group", grant.group)
        .with("roleId", grant.role)
        .with("propagate", grant.propagate)
}

/// Permissions that stand on the root by themselves, unless somebody set others.
fn standing(world: &World, id: &str) -> Vec<Object> {
    let root = world
        .plain
        .get(id)
        .is_some_and(|it| it.kind == "Folder" && it.props.get("parent").is_none());
    let users: &[(&str, i64)] = match (root, world.vcenter) {
        (false, _) => &[],
        (true, true) => &[("administrator@vsphere.local", ADMIN), ("viewer", READ_ONLY)],
        (true, false) => {
            &[("vpxuser", ADMIN), ("dcui", ADMIN), ("root", ADMIN), ("viewer", READ_ONLY)]
        }
    };
    let set = |name: &str| {
        world.access.grants.iter().any(|it| it.entity.id == id && it.principal == name)
    };
    let own = users.iter().filter(|(name, _)| !set(name));
    own.map(|(name, role)| {
        shown(&Grant {
            entity: Ref::new("Folder", id),
            principal: (*name).to_owned(),
            group: false,
            role: *role,
            propagate: true,
        })
    })
    .collect()
}

fn on_entity(world: &World, id: &str) -> Vec<Object> {
    let made = world.access.grants.iter().filter(|it| it.entity.id == id).map(shown);
    standing(world, id).into_iter().chain(made).collect()
}

fn of_entity(world: &mut World, call: &Call) -> Result<Value> {
    let Some(entity) = entities(world, call, "entity")?.into_iter().next() else {
        return Err(not_found());
    };
    let mut all = on_entity(world, &entity.id);
    if call.args.flag("inherited") == Some(true) {
        for id in world.above(entity) {
            all.extend(
                on_entity(world, &id).into_iter().filter(|it| it.flag("propagate") == Some(true)),
            );
        }
    }
    Ok(all.into())
}

fn every(world: &mut World, call: &Call) -> Result<Value> {
    let wanted = call.args.int("roleId");
    let roots = world.all("Folder").flat_map(|(id, _)| standing(world, id));
    let all = roots.chain(world.access.grants.iter().map(shown));
    Ok(all.filter(|it| wanted.is_none() || it.int("roleId") == wanted).collect())
}

fn set(world: &mut World, call: &Call, alone: bool) -> Result<Value> {
    let Some(entity) = entities(world, call, "entity")?.into_iter().next() else {
        return Err(not_found());
    };
    let mut fresh = Vec::new();
    for it in call.args.objects("permission") {
        let role = it.int("roleId").unwrap_or(0);
        let group = it.flag("group").unwrap_or(false);
        let known = ROLES.iter().any(|it| it.0 == role)
            || world.access.roles.iter().any(|it| it.id == role);
        if !known {
            return Err(not_found());
        }
        let principal = it.text("principal").unwrap_or_default();
        if !group {
            known_user(world, principal)?;
        }
        // The last administrator must not lock itself out.
        if principal == "root" && role != ADMIN && entity.kind == "Folder" {
            let text = "The permission would leave the system with no administrator.";
            return Err(Fault::new("AuthMinimumAdminPermission", text));
        }
        let (principal, entity) = (principal.to_owned(), entity.clone());
        let propagate = it.flag("propagate").unwrap_or(true);
        fresh.push(Grant { entity, principal, group, role, propagate });
    }
    let all = &mut world.access.grants;
    let replaced = |old: &Grant| {
        old.entity == *entity
            && (alone
                || fresh.iter().any(|it| it.principal == old.principal && it.group == old.group))
    };
    all.retain(|it| !replaced(it));
    if all.len() + fresh.len() > MOST {
        return Err(Fault::new("LimitExceeded", "Too many permissions."));
    }
    all.extend(fresh);
    world.touch();
    Ok(Value::Null)
}

fn remove(world: &mut World, call: &Call) -> Result<Value> {
    let Some(entity) = entities(world, call, "entity")?.into_iter().next() else {
        return Err(not_found());
    };
    let user = call.args.text("user").unwrap_or_default();
    let group = call.args.flag("isGroup").unwrap_or(false);
    let before = world.access.grants.len();
    world
        .access
        .grants
        .retain(|it| it.entity != *entity || it.principal != user || it.group != group);
    match world.access.grants.len() == before {
        true => Err(not_found()),
        false => Ok(Value::Null),
    }
}

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "AuthorizationManager", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("AddAuthorizationRole", add_role),
        on("UpdateAuthorizationRole", update_role),
        on("RemoveAuthorizationRole", remove_role),
        on("HasPrivilegeOnEntity", has_one),
        on("HasPrivilegeOnEntities", has_many),
        on("HasUserPrivilegeOnEntities", has_user),
        on("FetchUserPrivilegeOnEntities", fetch),
        on("RetrieveEntityPermissions", of_entity),
        on("RetrieveAllPermissions", every),
        on("RetrieveRolePermissions", every),
        on("SetEntityPermissions", |world, call| set(world, call, false)),
        on("ResetEntityPermissions", |world, call| set(world, call, true)),
        on("RemoveEntityPermission", remove),
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
