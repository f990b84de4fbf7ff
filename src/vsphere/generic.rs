//! Any object and any method of the API, for whom no tool of ours does what he needs.
//!
//! Names, types and versions are checked against the schema before anything is sent. Surprising:
//! managers and other objects that a server has once are found by their type in the service
//! content, so that nobody has to know their ids.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::{Call, Rights};
use crate::text::json;
use crate::text::nearest::nearest;
use crate::vim::effect::Effect;
use crate::vim::from_json;
use crate::vim::table::{Method, Type, TypeKind, property_path, types};
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;
use crate::vsphere::props::{Row, Select};
use crate::vsphere::{Vsphere, encode, props, task};

/// The managed type of this name.
pub fn managed(name: &str) -> Result<Type> {
    let all = || types().filter(|it| it.kind() == TypeKind::Managed).map(Type::name);
    Type::find(name).filter(|it| it.kind() == TypeKind::Managed).ok_or_else(|| {
        let error = Error::usage(format!("`{}` is no type of managed objects", quoted(name)));
        match nearest(name, all()) {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => {
                error.hint("search_api finds types by words; an object is VirtualMachine:vm-12")
            }
        }
    })
}

/// The one object of this type that a server has, such as its PerformanceManager.
pub fn singleton(it: &Vsphere, call: &Call, kind: Type) -> Result<Ref> {
    if kind.is_named("ServiceInstance") {
        return Ok(Ref::new("ServiceInstance", "ServiceInstance"));
    }
    let live = it.session.live(call)?;
    let is = |at: &&Ref| Type::find(&at.kind).is_some_and(|own| own.is_a(kind));
    let found = live.content.fields().find_map(|(_, value)| value.as_reference().filter(is));
    found.cloned().ok_or_else(|| {
        let name = kind.name();
        match declared_once(kind) {
            true => Error::new(Kind::Unsupported, format!("this server has no {name}"))
                .hint("It may need vCenter, or a newer version"),
            false => {
                let said = format!("a server can have more than one {name}: name one by its id");
                let entity = Type::find("ManagedEntity").is_some_and(|it| kind.is_a(it));
                let place = holder(kind).filter(|_| !entity);
                Error::usage(said).hint(match place {
                    Some(place) => format!("As in {name}:ID; get_object shows {place}"),
                    None => format!("As in {name}:ID; lists and get_object show ids"),
                })
            }
        }
    })
}

/// Where the id of an object of this type stands: `HostSystem.configManager.networkSystem`.
fn holder(kind: Type) -> Option<String> {
    for it in types().filter(|it| it.kind() == TypeKind::Managed).flat_map(Type::own_fields) {
        let path = || format!("{}.{}", it.owner.name(), it.name);
        match it.ty.fields().find(|part| part.ty == kind) {
            _ if it.array => {}
            _ if it.ty == kind => return Some(path()),
            Some(part) if it.ty.kind() == TypeKind::Data => {
                return Some(format!("{}.{}", path(), part.name));
            }
            _ => {}
        }
    }
    None
}

/// Whether some server has one in its service content.
fn declared_once(kind: Type) -> bool {
    Type::find("ServiceContent").is_some_and(|it| it.fields().any(|field| field.ty == kind))
}

/// The object at an inventory path, such as `DC0/vm/web01`.
pub fn at_path(it: &Vsphere, call: &Call, kind: Type, path: &str) -> Result<Ref> {
    let index = it.session.live(call)?.manager("searchIndex")?;
    let args = Object::args().with("inventoryPath", path.trim_matches('/'));
    let found = it.session.call(call, &index, "FindByInventoryPath", &args)?;
    let shown = quoted(path);
    let at = found.as_ref().and_then(Value::as_reference).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("nothing is at `{shown}`")).hint(
            "A path is datacenter, vm/host/datastore/network, folders, name: DC0/vm/prod/web01; \
             slashes within a name are %2f",
        )
    })?;
    let fits = Type::find(&at.kind).is_some_and(|own| own.is_a(kind));
    match fits {
        true => Ok(at.clone()),
        false => Err(Error::usage(format!("`{shown}` is {at}, not a {}", kind.name()))
            .hint(format!("Pass type={}", at.kind))),
    }
}

/// Properties of one object; a path that the schema or the server's version lacks is an error.
pub fn properties(it: &Vsphere, call: &Call, at: &Ref, kind: Type, paths: &[&str]) -> Result<Row> {
    let own = it.session.live(call)?.version;
    for path in paths {
        let (.., since) = property_path(kind, path)?;
        too_new(path, since, own)?;
    }
    let selects = [Select { kind: kind.name(), paths }];
    let rows = props::of(&it.session, call, std::slice::from_ref(at), &selects)?;
    rows.into_iter().next().ok_or_else(|| gone(at))
}

fn gone(at: &Ref) -> Error {
    Error::new(Kind::NotFound, format!("there is no {at} here"))
        .hint("It was deleted or registered anew, or the id is of another server; list again")
}

fn too_new(what: &str, since: Version, own: Version) -> Result<()> {
    if since <= own {
        return Ok(());
    }
    let said = format!("`{what}` came with {}, the server speaks {}", since.name(), own.name());
    Err(Error::new(Kind::Unsupported, said))
}

/// A call that was checked and not made.
pub struct Request {
    pub at: Ref,
    pub method: Method,
    pub args: Object,
    /// The object's name, where it has one.
    pub name: Option<String>,
}

/// Checks arguments against the schema and the server's version; nothing is called by that.
pub fn prepare(
    it: &Vsphere,
    call: &Call,
    at: Ref,
    method: Method,
    given: &json::Object,
) -> Result<Request> {
    let args = from_json::arguments(method, given)?;
    let own = it.session.live(call)?.version;
    encode::call(method, &at, &args, own)?;
    let named = Type::find(&at.kind).filter(|kind| kind.field("name").is_some());
    let name = match named {
        // That it exists and what it is called is worth a look before it is changed.
        Some(kind) if method.effect() == Effect::Changes => {
            properties(it, call, &at, kind, &["name"])?.string("name")
        }
        _ => None,
    };
    Ok(Request { at, method, args, name })
}

/// Makes the call, and waits for its task where it starts one; what it ends with.
pub fn run(it: &Vsphere, call: &Call, request: &Request) -> Result<Option<Value>> {
    let Request { at, method, args, .. } = request;
    let call = match method.effect() {
        Effect::Changes => call.clone(),
        _ => call.clone().with_rights(Rights::ReadOnly),
    };
    if !method.is_task() {
        return it.session.call(&call, at, method.name(), args);
    }
    let machine = Some(at).filter(|at| &*at.kind == "VirtualMachine");
    task::run(&it.session, &call, at, method.name(), args, machine, method.name())
}
