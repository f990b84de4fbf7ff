//! JSON from a caller as values of the API, checked member by member against the schema.
//!
//! It takes VI-JSON: `_typeName` where an object is not of the declared type, references as
//! `{type, value}` or as text `VirtualMachine:vm-12`, bytes in base64. What is left to judge when
//! the request is written (required members, words of enums, widths, versions) is judged there.
//! Surprising: the schema does not say which types are abstract, so the few are listed here.

use crate::error::{Error, Result, quoted};
use crate::text::base64;
use crate::text::json;
use crate::text::json::{Number, Value as Json};
use crate::text::nearest::nearest;
use crate::vim::arrays::array_item;
use crate::vim::table::{Field, Method, Type, TypeKind, types};
use crate::vim::value::{Object, Ref, Value};

/// The member that names an object's own type.
pub const TYPE_NAME: &str = "_typeName";

/// The member that holds a text or a number whose type is named beside it.
const VALUE: &str = "_value";

/// Values of one call; the largest specifications of people have hundreds.
const MOST: usize = 20_000;

/// Types that have fields and stand for those below them only. One without any field, that others
/// extend, is always taken for such.
static ABSTRACT: &[&str] = &[
    "AlarmTriggeringAction",
    "GuestAuthentication",
    "RecurrentTaskScheduler",
    "VirtualController",
    "VirtualDevice",
    "VirtualEthernetCard",
    "VirtualSCSIController",
];

/// What is wrong, and where; the place grows on the way out.
struct Wrong {
    path: String,
    said: String,
    hint: Option<String>,
}

type Read<T> = std::result::Result<T, Box<Wrong>>;

impl Wrong {
    fn new(said: impl Into<String>) -> Box<Wrong> {
        Box::new(Wrong { path: String::new(), said: said.into(), hint: None })
    }

    fn hint(mut self: Box<Wrong>, hint: impl Into<String>) -> Box<Wrong> {
        self.hint = Some(hint.into());
        self
    }

    fn in_member(mut self: Box<Wrong>, name: &str) -> Box<Wrong> {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }

    fn in_item(mut self: Box<Wrong>, at: usize) -> Box<Wrong> {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.path = format!("[{at}]{dot}{}", self.path);
        self
    }
}

/// The arguments of a method, by the names of its parameters.
pub fn arguments(method: Method, given: &json::Object) -> Result<Object> {
    if given.values().map(count).sum::<usize>() > MOST {
        return Err(Error::usage(format!("the arguments hold more than {MOST} values")));
    }
    let params: Vec<Field> = method.params().collect();
    members(Object::args(), &params, None, method.name(), given).map_err(|wrong| {
        let said = match wrong.path.is_empty() {
            true => wrong.said,
            false => format!("{}: {}", wrong.path, wrong.said),
        };
        let error = Error::usage(said);
        match wrong.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// JSON is nested 64 deep at most when it gets here.
fn count(value: &Json) -> usize {
    match value {
        Json::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Json::Object(members) => 1 + members.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn members(
    mut to: Object,
    fields: &[Field],
    ty: Option<Type>,
    of: &str,
    given: &json::Object,
) -> Read<Object> {
    for (name, value) in given {
        if name == TYPE_NAME && ty.is_some() {
            continue;
        }
        let Some(field) = fields.iter().find(|it| it.name == name) else {
            return Err(unknown(name, fields, ty, of));
        };
        if !matches!(value, Json::Null) {
            to.set(field.name, member(field, value).map_err(|it| it.in_member(field.name))?);
        }
    }
    Ok(to)
}

fn unknown(name: &str, fields: &[Field], ty: Option<Type>, of: &str) -> Box<Wrong> {
    let wrong = Wrong::new(format!("unknown field `{}` of {of}", quoted(name)));
    let owners: Vec<&str> = ty.map_or(Vec::new(), |ty| {
        let has = |it: &Type| it.own_fields().any(|field| field.name == name);
        below(ty).filter(has).map(Type::name).take(6).collect()
    });
    if !owners.is_empty() {
        return wrong.hint(format!("{} has it: say so with {TYPE_NAME}", owners.join(" or ")));
    }
    if let Some(near) = nearest(name, fields.iter().map(|it| it.name)) {
        return wrong.hint(format!("Did you mean `{near}`?"));
    }
    let known: Vec<&str> = fields.iter().map(|it| it.name).take(30).collect();
    match known.is_empty() {
        true => wrong.hint(format!("{of} takes nothing")),
        false => wrong.hint(format!("Known: {}", known.join(", "))),
    }
}

/// What extends a type, at any depth.
fn below(ty: Type) -> impl Iterator<Item = Type> {
    types().filter(move |it| *it != ty && it.is_a(ty))
}

fn member(field: &Field, given: &Json) -> Read<Value> {
    match given {
        Json::Array(items) if field.array => list(items, &|item| element(field.ty, item)),
        // One where a list may stand is a list of it.
        single if field.array => Ok(Value::List(vec![element(field.ty, single)?])),
        single => element(field.ty, single),
    }
}

fn list(items: &json::Array, read: &dyn Fn(&Json) -> Read<Value>) -> Read<Value> {
    let mut all = Vec::new();
    for (at, item) in items.iter().enumerate() {
        all.push(read(item).map_err(|wrong| wrong.in_item(at))?);
    }
    Ok(Value::List(all))
}

fn element(ty: Type, given: &Json) -> Read<Value> {
    let wanted = |what: &str| Err(Wrong::new(format!("{what} is wanted, not {}", shown(given))));
    match (ty.kind(), ty.name(), given) {
        (TypeKind::Data, ..) => data(ty, given),
        (TypeKind::Managed, ..) => reference(ty, given),
        (_, "anyType", _) => any(given),
        (_, "boolean", Json::Bool(flag)) => Ok(Value::Bool(*flag)),
        (_, "boolean", _) => wanted("true or false"),
        (_, "byte" | "short" | "int" | "long", _) => match json::as_int(given) {
            Some(number) => Ok(Value::Int(number)),
            None => wanted("a whole number"),
        },
        (_, "float" | "double", Json::Number(number)) => Ok(fraction(number)),
        (_, "float" | "double", _) => wanted("a number"),
        (_, "base64Binary", Json::String(text)) => match base64::decode(text) {
            Some(bytes) => Ok(Value::Binary(bytes)),
            None => Err(Wrong::new("this text is no base64")),
        },
        (_, "base64Binary", _) => wanted("a text in base64"),
        (_, _, Json::String(text)) => Ok(Value::Text(text.clone())),
        (TypeKind::Enum, name, _) => wanted(&format!("a word of {name}")),
        (_, "dateTime", _) => wanted("a time such as 2024-01-31T10:20:30Z"),
        _ => wanted("a text"),
    }
}

fn fraction(number: &Number) -> Value {
    match number {
        Number::U64(it) => Value::from(*it),
        Number::I64(it) => Value::Int(*it),
        Number::F64(it) => Value::Float(*it),
    }
}

/// Never the text itself: it may be a password in the wrong place.
fn shown(given: &Json) -> String {
    match given {
        Json::Number(_) | Json::Bool(_) => json::write(given),
        other => json::sort(other).to_owned(),
    }
}

// ---- references ----

fn reference(declared: Type, given: &Json) -> Read<Value> {
    let parts = match given {
        Json::String(text) => text.split_once(':'),
        Json::Object(members) => {
            let known = |name: &str| matches!(name, "type" | "value" | TYPE_NAME | "serverGuid");
            if let Some(name) = members.keys().find(|name| !known(name)) {
                let said = format!("unknown field `{}` of a reference", quoted(name));
                return Err(Wrong::new(said).hint("Known: type, value"));
            }
            json::get_text(members, "type").zip(json::get_text(members, "value"))
        }
        _ => None,
    };
    match parts {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(match Type::find(kind) {
            Some(known) => Ref::new(known.name(), id),
            None => Ref::new(kind.to_owned(), id),
        }
        .into()),
        _ => {
            let name = declared.name();
            let said = format!("a reference to a {name} is wanted, not {}", shown(given));
            // What stands for many types names none that the reference could have.
            let own = match name {
                "ManagedObject" | "ManagedEntity" => "VirtualMachine",
                name => name,
            };
            Err(Wrong::new(said)
                .hint(format!("Write {{\"type\":\"{own}\",\"value\":\"ID\"}} or \"{own}:ID\"")))
        }
    }
}

// ---- data objects ----

fn data(declared: Type, given: &Json) -> Read<Value> {
    let Json::Object(members) = given else {
        let said = format!("an object of {} is wanted, not {}", declared.name(), shown(given));
        return Err(Wrong::new(said));
    };
    let ty = match members.get(TYPE_NAME) {
        Some(Json::String(name)) => concrete(declared, name)?,
        Some(other) => {
            return Err(Wrong::new(format!("{TYPE_NAME} is a text, not {}", shown(other))));
        }
        None if is_abstract(declared) => {
            let said = format!("{TYPE_NAME} is missing: a {} is of many types", declared.name());
            return Err(Wrong::new(said).hint(some_below(declared)));
        }
        None => declared,
    };
    object(ty, members).map(Value::Object)
}

fn object(ty: Type, given: &json::Object) -> Read<Object> {
    let fields: Vec<Field> = ty.fields().collect();
    members(Object::new(ty.name()), &fields, Some(ty), ty.name(), given)
}

/// True for a type that only those below it are ever sent as.
pub fn is_abstract(ty: Type) -> bool {
    ABSTRACT.contains(&ty.name()) || (ty.fields().next().is_none() && below(ty).next().is_some())
}

fn concrete(declared: Type, name: &str) -> Read<Type> {
    match Type::find(name).filter(|it| it.kind() == TypeKind::Data) {
        Some(own) if own.is_a(declared) => Ok(own),
        Some(own) => {
            let said = format!("{} stands where {} is wanted", own.name(), declared.name());
            Err(Wrong::new(said).hint(some_below(declared)))
        }
        None => {
            let wrong = Wrong::new(format!("`{}` is no type of the API", quoted(name)));
            Err(match nearest(name, below(declared).map(Type::name)) {
                Some(near) => wrong.hint(format!("Did you mean `{near}`?")),
                None => wrong.hint(some_below(declared)),
            })
        }
    }
}

fn some_below(ty: Type) -> String {
    let names: Vec<&str> = below(ty).map(Type::name).take(13).collect();
    match names.len() {
        0 => format!("Nothing extends {}", ty.name()),
        1..=12 => format!("Types: {}", names.join(", ")),
        _ => format!("Types: {} and more; describe_api shows them", names[..12].join(", ")),
    }
}

// ---- anyType ----

fn any(given: &Json) -> Read<Value> {
    match given {
        Json::Null => Err(Wrong::new("a value is wanted, not null")),
        Json::Bool(flag) => Ok(Value::Bool(*flag)),
        Json::Number(number) => Ok(fraction(number)),
        Json::String(text) => Ok(Value::Text(text.clone())),
        Json::Array(items) => list(items, &any),
        Json::Object(members) => match (json::get_text(members, TYPE_NAME), members.get(VALUE)) {
            (Some("ManagedObjectReference"), _) => managed(given),
            (Some(name), Some(value)) => boxed(name, value),
            (Some(name), None) => match Type::find(name).filter(|it| it.kind() == TypeKind::Data) {
                Some(ty) => object(ty, members).map(Value::Object),
                None => Err(Wrong::new(format!("`{}` is no type of the API", quoted(name)))),
            },
            (None, _) if members.contains_key("type") && members.contains_key("value") => {
                managed(given)
            }
            (None, _) => {
                Err(Wrong::new(format!("{TYPE_NAME} is missing: any type may stand here")))
            }
        },
    }
}

fn managed(given: &Json) -> Read<Value> {
    let root = Type::find("ManagedObject").ok_or_else(|| Wrong::new("no references here"))?;
    reference(root, given)
}

/// `{"_typeName": "long", "_value": 5}`, and `ArrayOfLong` with a list.
fn boxed(name: &str, value: &Json) -> Read<Value> {
    let typed = |ty, inner| Ok(Value::Typed(ty, Box::new(inner)));
    match (Type::find(name), array_item(name), value) {
        (Some(ty), _, _) => typed(ty, element(ty, value)?),
        (None, Some(item), Json::Array(items)) => {
            typed(item, list(items, &|it| element(item, it))?)
        }
        (None, Some(_), _) => Err(Wrong::new(format!("{VALUE} of {name} is a list"))),
        (None, None, _) => Err(Wrong::new(format!("`{}` is no type of the API", quoted(name)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reconfigure(text: &str) -> Result<Object> {
        let method = Method::find("VirtualMachine", "ReconfigVM_Task").unwrap();
        match json::parse(text) {
            Ok(Json::Object(given)) => arguments(method, &given),
            other => panic!("{other:?}", other = other.is_ok()),
        }
    }

    #[test]
    fn a_specification_becomes_what_it_says() {
        let args = reconfigure(
            r#"{"spec":{"numCPUs":4,"annotation":null,"deviceChange":[{"operation":"edit","device":
            {"_typeName":"VirtualDisk","key":2000,"capacityInKB":5,"backing":
            {"_typeName":"VirtualDiskFlatVer2BackingInfo","fileName":"[a] b.vmdk","diskMode":"persistent",
            "datastore":"Datastore:datastore-1"}}}],
            "extraConfig":{"key":"a","value":{"_typeName":"long","_value":7}}}}"#,
        )
        .unwrap();
        let spec = args.object("spec").unwrap();
        assert_eq!((spec.int("numCPUs"), spec.get("annotation")), (Some(4), None));
        let change = spec.objects("deviceChange").next().unwrap();
        assert_eq!(change.text("device.backing.fileName"), Some("[a] b.vmdk"));
        let store = change.reference("device.backing.datastore").unwrap();
        assert_eq!(store.to_string(), "Datastore:datastore-1");
        // One where a list is wanted, and a number of a type that its form does not tell.
        let option = spec.objects("extraConfig").next().unwrap();
        assert!(matches!(option.get("value"), Some(Value::Typed(ty, _)) if ty.is_named("long")));
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_the_way_out() {
        let device =
            |inner: &str| format!(r#"{{"spec":{{"deviceChange":[{{}},{{"device":{inner}}}]}}}}"#);
        for (given, said) in [
            (
                r#"{"spce":{}}"#.to_owned(),
                "unknown field `spce` of ReconfigVM_Task. Did you mean `spec`?",
            ),
            (
                r#"{"spec":{"numCpus":2.5}}"#.to_owned(),
                "spec: unknown field `numCpus` of VirtualMachineConfigSpec. Did you mean `numCPUs`?",
            ),
            (
                r#"{"spec":{"numCPUs":"2"}}"#.to_owned(),
                "spec.numCPUs: a whole number is wanted, not a string",
            ),
            (
                r#"{"spec":[1]}"#.to_owned(),
                "spec: an object of VirtualMachineConfigSpec is wanted, not an array",
            ),
            (
                device(r#"{"_typeName":"VirtualDisk","backing":{"x":1}}"#),
                "spec.deviceChange[1].device.backing: _typeName is missing: a \
                 VirtualDeviceBackingInfo is of many types",
            ),
            (
                device(r#"{"_typeName":"VirtualDisc"}"#),
                "spec.deviceChange[1].device: `VirtualDisc` is no type of the API. \
                 Did you mean `VirtualDisk`?",
            ),
            (
                device(r#"{"_typeName":"OptionValue"}"#),
                "spec.deviceChange[1].device: OptionValue stands where VirtualDevice is wanted. Types: ",
            ),
            (device(r#"{"key":1}"#), "spec.deviceChange[1].device: _typeName is missing"),
            (
                device(r#"{"_typeName":"VirtualDisk","wakeOnLanEnabled":true}"#),
                "spec.deviceChange[1].device: unknown field `wakeOnLanEnabled` of VirtualDisk. Known: ",
            ),
            (
                r#"{"spec":{"vmProfile":[{"profileId":"a"}]}}"#.to_owned(),
                "spec.vmProfile[0]: _typeName is missing: a VirtualMachineProfileSpec is of many",
            ),
            (
                r#"{"spec":{"extraConfig":[{"key":"a","value":{"x":1}}]}}"#.to_owned(),
                "spec.extraConfig[0].value: _typeName is missing: any type may stand here",
            ),
        ] {
            let error = reconfigure(&given).unwrap_err().to_string();
            assert!(error.starts_with(said), "{given}\n{error}");
        }
        let many = format!(r#"{{"spec":{{"deviceChange":[{}1]}}}}"#, "1,".repeat(30_000));
        assert!(reconfigure(&many).unwrap_err().to_string().contains("more than 20000 values"));
    }

    #[test]
    fn references_have_two_forms() {
        let method = Method::find("VirtualMachine", "CloneVM_Task").unwrap();
        let read = |folder: &str| {
            let text = format!(r#"{{"folder":{folder}}}"#);
            let Ok(Json::Object(given)) = json::parse(&text) else { panic!("{text}") };
            let at = |it: Object| it.reference("folder").map(Ref::to_string);
            arguments(method, &given).map(at).map_err(|it| it.to_string())
        };
        let folder = || Ok(Some("Folder:group-v3".to_owned()));
        assert_eq!(read(r#""Folder:group-v3""#), folder());
        assert_eq!(read(r#"{"type":"Folder","value":"group-v3"}"#), folder());
        let typed = r#"{"_typeName":"ManagedObjectReference","type":"Folder","value":"group-v3"}"#;
        assert_eq!(read(typed), folder());
        assert!(read(r#""group-v3""#).unwrap_err().contains("or \"Folder:ID\""));
        assert!(read(r#"{"type":"Folder","id":"x"}"#).unwrap_err().contains("unknown field `id`"));
        assert!(read("7").unwrap_err().contains("not 7"));
    }
}
