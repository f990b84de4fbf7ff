//! Accounts of the host itself, and the directory that finds them.
//!
//! Those that are there from the start stay a table until somebody changes them; then what is kept
//! here counts. Surprising: an account without a permission cannot log in, as on a host.

use crate::sim::fault::{Fault, Result};
use crate::sim::host::{already_exists, not_found};
use crate::sim::rows::{Call, Family, Method, Run};
use crate::sim::world::World;
use crate::vim::value::{Object, Value};

/// Accounts that are kept.
const MOST: usize = 1000;

/// An account of the host itself.
struct Account {
    name: String,
    password: String,
    about: String,
}

/// What was made, changed and removed.
#[derive(Default)]
pub struct Accounts {
    own: Vec<Account>,
    removed: Vec<&'static str>,
}

/// Accounts that are there from the start; the password is that of the sessions.
const BUILT_IN: &[(&str, &str)] = &[
    ("root", "Administrator"),
    ("dcui", "DCUI User"),
    ("viewer", "May only look"),
    ("vpxuser", "VMware VirtualCenter administration account"),
];

fn accounts(world: &World) -> impl Iterator<Item = (&str, &str)> {
    let removed = &world.access.accounts.removed;
    let made = world.access.accounts.own.iter().map(|it| (it.name.as_str(), it.about.as_str()));
    let changed = |name: &str| world.access.accounts.own.iter().any(|it| it.name == name);
    let built_in = BUILT_IN.iter().filter(move |it| !removed.contains(&it.0) && !changed(it.0));
    built_in.copied().chain(made)
}

fn no_user(name: &str) -> Fault {
    Fault::new("UserNotFound", format!("The user or group named '{name}' does not exist."))
        .with("principal", name)
        .with("unresolved", false)
}

/// A user that this server knows.
pub fn known_user(world: &World, name: &str) -> Result<String> {
    let own = world.vcenter && name == "administrator@vsphere.local";
    match own || accounts(world).any(|it| it.0 == name) {
        true => Ok(name.to_owned()),
        false => Err(no_user(name)),
    }
}

/// What is known here of a login: whether the password is right; nothing of untouched accounts.
pub fn login(world: &World, name: &str, password: &str) -> Option<bool> {
    if world.access.accounts.removed.contains(&name) {
        return Some(false);
    }
    let own = world.access.accounts.own.iter().find(|it| it.name == name);
    own.map(|it| it.password == password)
}

fn create_user(world: &mut World, call: &Call) -> Result<Value> {
    let user = call.args.object("user").ok_or_else(not_found)?;
    let name = user.text("id").unwrap_or_default();
    let fine = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
    if name.is_empty() || name.len() > 32 || !name.bytes().all(fine) {
        return Err(Fault::invalid_argument("user.id"));
    }
    if accounts(world).any(|it| it.0 == name) {
        return Err(already_exists(name));
    }
    let password = password(user.text("password").unwrap_or_default(), "user.password")?;
    if world.access.accounts.own.len() >= MOST {
        return Err(Fault::new("LimitExceeded", "Too many accounts."));
    }
    let about = user.text("description").unwrap_or_default().to_owned();
    world.access.accounts.own.push(Account { name: name.to_owned(), password, about });
    Ok(Value::Null)
}

/// A password that the host's rules allow.
fn password(text: &str, parameter: &str) -> Result<String> {
    // unverified: a host tells its rule of quality in a `SystemError`.
    match text.len() < 7 {
        true => Err(Fault::invalid_argument(parameter)),
        false => Ok(text.to_owned()),
    }
}

/// An account to be changed; one that was there from the start is kept as one's own then.
fn account<'a>(world: &'a mut World, name: &str) -> Result<&'a mut Account> {
    let about = accounts(world).find(|it| it.0 == name).ok_or_else(|| no_user(name))?.1.to_owned();
    let all = &mut world.access.accounts.own;
    let at = match all.iter().position(|it| it.name == name) {
        Some(at) => at,
        None => {
            all.push(Account { name: name.to_owned(), password: "secret".to_owned(), about });
            all.len() - 1
        }
    };
    all.get_mut(at).ok_or_else(|| no_user(name))
}

fn update_user(world: &mut World, call: &Call) -> Result<Value> {
    let user = call.args.object("user").ok_or_else(not_found)?;
    let fresh = user.text("password").map(|it| password(it, "user.password")).transpose()?;
    let account = account(world, user.text("id").unwrap_or_default())?;
    if let Some(fresh) = fresh {
        account.password = fresh;
    }
    if let Some(about) = user.text("description") {
        account.about = about.to_owned();
    }
    Ok(Value::Null)
}

fn remove_user(world: &mut World, call: &Call) -> Result<Value> {
    let name = call.args.text("userName").unwrap_or_default();
    if !accounts(world).any(|it| it.0 == name) {
        return Err(no_user(name));
    }
    // unverified: which fault protects the accounts of the system.
    if matches!(name, "root" | "dcui" | "vpxuser") {
        return Err(Fault::new("SecurityError", "The account belongs to the system."));
    }
    world.access.accounts.own.retain(|it| it.name != name);
    world.access.accounts.removed.extend(BUILT_IN.iter().map(|it| it.0).filter(|it| *it == name));
    world.access.forget(name);
    Ok(Value::Null)
}

fn change_password(world: &mut World, call: &Call) -> Result<Value> {
    let text = |name: &str| call.args.text(name).unwrap_or_default();
    let fresh = password(text("newPassword"), "newPassword")?;
    let account = account(world, text("user"))?;
    if account.password != text("oldPassword") {
        let why = "Cannot complete login due to an incorrect user name or password.";
        return Err(Fault::new("InvalidLogin", why));
    }
    account.password = fresh;
    Ok(Value::Null)
}

fn find_users(world: &mut World, call: &Call) -> Result<Value> {
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
    let own = accounts(world).filter(|it| user == Some(true) && found(it.0));
    let own = own.map(|it| result(it, false));
    let groups = groups.iter().filter(|it| found(it.0)).map(|it| result(*it, true));
    Ok(own.chain(groups).collect())
}

const fn on(name: &'static str, run: Run) -> Method {
    Method { on: "HostLocalAccountManager", name, run }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        on("CreateUser", create_user),
        on("UpdateUser", update_user),
        on("RemoveUser", remove_user),
        on("ChangePassword", change_password),
        Method { on: "UserDirectory", name: "RetrieveUserGroups", run: find_users },
    ],
    properties: &[],
};
