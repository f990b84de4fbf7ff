//! What a vCenter keeps for its users: custom fields of entities, and customization specifications.

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method, Property, is};
use crate::sim::world::World;
use crate::vim::value::{Object, Ref, Value};

/// Fields that there may be.
const MOST: usize = 1000;

/// Values of custom fields, and customization specifications.
#[derive(Clone, Debug, Default)]
pub struct Custom {
    /// Entity, field, value.
    values: Vec<(String, i64, String)>,
    /// `CustomizationSpecItem`s.
    specs: Vec<Object>,
}

/// A specification that is there from the start.
pub fn seed(world: &mut World) {
    let adapter = Object::new("CustomizationIPSettings")
        .with("ip", Object::new("CustomizationDhcpIpGenerator"));
    let identity = Object::new("CustomizationLinuxPrep")
        .with("hostName", Object::new("CustomizationVirtualMachineName"))
        .with("domain", "lab.example")
        .with("timeZone", "Europe/Berlin")
        .with("hwClockUTC", true);
    let global = Object::new("CustomizationGlobalIPSettings")
        .with("dnsSuffixList", ["lab.example"])
        .with("dnsServerList", ["10.20.0.2"]);
    let spec = Object::new("CustomizationSpec")
        .with("options", Object::new("CustomizationLinuxOptions"))
        .with("identity", identity)
        .with("globalIPSettings", global)
        .with(
            "nicSettingMap",
            vec![Object::new("CustomizationAdapterMapping").with("adapter", adapter)],
        );
    let info = Object::new("CustomizationSpecInfo")
        .with("name", "linux-dhcp")
        .with("description", "Linux, name of the machine, DHCP")
        .with("type", "Linux")
        .with("changeVersion", "1762160477")
        .with("lastUpdateTime", stamp(world.now - 90 * 24 * 3_600_000));
    let item = Object::new("CustomizationSpecItem").with("info", info).with("spec", spec);
    world.custom.specs.push(item);
}

/// The specification of this name.
pub fn spec<'a>(world: &'a World, name: &str) -> Option<&'a Object> {
    world.custom.specs.iter().find(|it| it.text("info.name") == Some(name))
}

fn infos(world: &World, _: &str) -> Option<Value> {
    Some(world.custom.specs.iter().filter_map(|it| it.get("info")).collect())
}

fn exists(world: &mut World, call: &Call) -> Result<Value> {
    Ok(spec(world, call.args.text("name").unwrap_or_default()).is_some().into())
}

fn get(world: &mut World, call: &Call) -> Result<Value> {
    let found = spec(world, call.args.text("name").unwrap_or_default());
    found.map(Value::from).ok_or_else(Fault::not_found)
}

const MANAGER: &str = "CustomFieldsManager";

fn fields(world: &World) -> Vec<Object> {
    let manager = world.plain.get(MANAGER);
    manager.map_or(Vec::new(), |it| it.props.objects("field").cloned().collect())
}

fn keep(world: &mut World, fields: Vec<Object>) {
    if let Some(props) = world.plain_mut(MANAGER) {
        props.set("field", fields);
    }
}

fn add_field(world: &mut World, call: &Call) -> Result<Value> {
    let name = call.args.text("name").unwrap_or_default();
    let mut all = fields(world);
    if all.iter().any(|it| it.text("name") == Some(name)) {
        return Err(Fault::duplicate_name(name, &Ref::new(MANAGER, MANAGER)));
    }
    if all.len() >= MOST {
        return Err(Fault::new("LimitExceeded", "There are too many fields."));
    }
    let key = all.iter().filter_map(|it| it.int("key")).max().unwrap_or(100) + 1;
    let field = Object::new("CustomFieldDef")
        .with("key", key)
        .with("name", name)
        .with("type", "string")
        .with_some("managedObjectType", call.args.get("moType"));
    all.push(field.clone());
    keep(world, all);
    Ok(field.into())
}

/// Whether a field is for objects of this type.
fn fits(field: &Object, kind: &str) -> bool {
    let wanted = field.text("managedObjectType");
    wanted.is_none_or(|base| is(kind, base))
}

fn put(world: &mut World, entity: &Ref, key: i64, value: &str) -> Result<Value> {
    let object = world.reference(&entity.id).ok_or_else(|| Fault::gone(entity))?;
    let known = fields(world);
    let field = known.iter().find(|it| it.int("key") == Some(key) && fits(it, &object.kind));
    field.ok_or_else(|| Fault::invalid_argument("key"))?;
    world.custom.values.retain(|it| it.0 != object.id || it.1 != key);
    if world.custom.values.len() >= MOST * 100 {
        return Err(Fault::new("LimitExceeded", "There are too many values."));
    }
    world.custom.values.push((object.id, key, value.to_owned()));
    world.touch();
    Ok(Value::Null)
}

fn set_field(world: &mut World, call: &Call) -> Result<Value> {
    let entity = call.args.reference("entity").ok_or_else(|| Fault::invalid_argument("entity"))?;
    let value = call.args.text("value").unwrap_or_default();
    put(world, entity, call.args.int("key").unwrap_or(0), value)
}

fn set_by_name(world: &mut World, call: &Call) -> Result<Value> {
    if !world.vcenter {
        return Err(Fault::not_supported());
    }
    let name = call.args.text("key");
    let known = fields(world);
    let key = known.iter().find(|it| it.text("name") == name).and_then(|it| it.int("key"));
    let key = key.ok_or_else(|| Fault::invalid_argument("key"))?;
    put(world, call.this, key, call.args.text("value").unwrap_or_default())
}

fn values(world: &World, id: &str) -> Option<Value> {
    let own = world.custom.values.iter().filter(|it| it.0 == id);
    let value = |(_, key, value): &(String, i64, String)| {
        Object::new("CustomFieldStringValue").with("key", *key).with("value", value)
    };
    Some(own.map(value).collect())
}

fn available(world: &World, id: &str) -> Option<Value> {
    let kind = world.kind_of(id)?;
    Some(fields(world).into_iter().filter(|it| fits(it, kind)).collect())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "CustomFieldsManager", name: "AddCustomFieldDef", run: add_field },
        Method { on: "CustomFieldsManager", name: "SetField", run: set_field },
        Method { on: "ExtensibleManagedObject", name: "setCustomValue", run: set_by_name },
        Method { on: "CustomizationSpecManager", name: "DoesCustomizationSpecExist", run: exists },
        Method { on: "CustomizationSpecManager", name: "GetCustomizationSpec", run: get },
    ],
    properties: &[
        Property { on: "CustomizationSpecManager", name: "info", get: infos },
        Property { on: "ManagedEntity", name: "customValue", get: values },
        Property { on: "ExtensibleManagedObject", name: "value", get: values },
        Property { on: "ExtensibleManagedObject", name: "availableField", get: available },
    ],
};
