//! Reads elements by the schema, as strictly as a host does: requests and what the simulator keeps.
//!
//! It knows nothing of envelopes. Surprising: a refusal is told in the host's own words, innermost
//! first, with line and column of every element around, because people search for those sentences.

use roxmltree::Node;

use crate::sim::scalar;
use crate::text::xml;
use crate::text::xml::XSD;
use crate::text::xml::XSI;
use crate::vim::table::Field;
use crate::vim::table::Type;
use crate::vim::table::TypeKind;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;
use crate::vim::version::Version;

/// The namespace of everything of the API.
pub const VIM: &str = "urn:vim25";
/// How a reference calls its type.
const REFERENCE: &str = "ManagedObjectReference";

/// Why something is refused, innermost first.
pub type Read<T> = std::result::Result<T, String>;

/// Fields or parameters, forward only: an element that is out of its place has no place.
pub fn members<'a, 'i: 'a>(
    mut object: Object,
    parent: Node<'a, 'i>,
    children: impl Iterator<Item = Node<'a, 'i>>,
    fields: &[Field],
    version: Version,
) -> Read<Object> {
    let mut at = 0;
    for child in children {
        if is_text(child) {
            return Err(unexpected(child));
        }
        if !child.is_element() {
            continue;
        }
        let name = child.tag_name().name();
        let fits = |it: &&Field| it.name == name && it.since <= version;
        let found = fields.iter().skip(at).find(fits).filter(|_| same_space(child, parent));
        let Some(field) = found else { return Err(unexpected(child)) };
        // An array's element may come again, another one may not.
        at = fields.iter().position(|it| it.name == name).unwrap_or(at);
        at += usize::from(!field.array);
        add(&mut object, field, child, version)?;
    }
    let absent = |it: &&Field| {
        let needed = !it.optional && !it.array && it.since <= version;
        needed && object.fields().all(|(name, _)| name != it.name)
    };
    match fields.iter().find(absent) {
        None => Ok(object),
        Some(field) if object.kind().is_empty() => {
            Err(missing(&format!("parameter {}", field.name), "call"))
        }
        Some(field) => {
            let owner = format!("data object of type {}", object.kind());
            Err(missing(&format!("property {}", field.name), &owner))
        }
    }
}

/// Adds one element's value to the object.
pub fn add(object: &mut Object, field: &Field, node: Node, version: Version) -> Read<()> {
    let value = value(node, field.ty, version).map_err(|why| {
        let many = if field.array { "ArrayOf" } else { "" };
        let (name, ty) = (field.name, wire_name(field.ty));
        format!("{why}\n\nwhile parsing property \"{name}\" of static type {many}{ty}")
    })?;
    match object.field_mut(field.name) {
        Some(Value::List(items)) if field.array => items.push(value),
        _ if field.array => object.set(field.name, vec![value]),
        _ => object.set(field.name, value),
    }
    Ok(())
}

/// The value of one element whose declared type is known; of an array, one item.
pub fn value(node: Node, declared: Type, version: Version) -> Read<Value> {
    let stated = stated(node, version)?;
    if declared.is_named("anyType") {
        return match stated {
            None => Err(typed("An element of type anyType has no xsi:type".to_owned(), "", node)),
            Some(Stated::One(ty)) => one(node, ty, version).map(|it| exact(ty, it)),
            Some(Stated::Many(ty)) => many(node, ty, version),
        };
    }
    let concrete = match stated {
        None => declared,
        Some(Stated::One(ty)) if ty.is_a(declared) => ty,
        // All that is said is that it is a reference.
        Some(Stated::One(ty)) if ty.kind() == TypeKind::Managed && declared.is_a(ty) => declared,
        Some(_) => {
            let told = shown(node.attribute((XSI, "type")).unwrap_or_default());
            let why = format!("The type \"{told}\" is not derived from {}", wire_name(declared));
            return Err(typed(why, wire_name(declared), node));
        }
    };
    one(node, concrete, version)
}

/// A value of exactly this type.
fn one(node: Node, ty: Type, version: Version) -> Read<Value> {
    match ty.kind() {
        TypeKind::Data => {
            let fields: Vec<Field> = ty.fields().collect();
            // unverified: a host says `vim.vm.device.VirtualDisk`; the schema has wire names only.
            members(Object::new(ty.name()), node, node.children(), &fields, version)
                .map(Value::Object)
                .map_err(|why| {
                    within(why, &format!("serialized DataObject of type vim.{}", ty.name()), node)
                })
        }
        TypeKind::Managed => reference(node, ty).map_err(|why| typed(why, REFERENCE, node)),
        TypeKind::Primitive | TypeKind::Enum => {
            let read = leaf(node).and_then(|text| {
                scalar::read(ty, &text).ok_or_else(|| {
                    format!("Cannot parse \"{}\" as an {} value", shown(&text), ty.name())
                })
            });
            read.map_err(|why| typed(why, ty.name(), node))
        }
    }
}

/// A list inside `anyType`: items in elements of their type's name.
fn many(node: Node, ty: Type, version: Version) -> Read<Value> {
    let mut items = Vec::new();
    for child in node.children().filter(|it| it.is_element() || is_text(*it)) {
        let named = child.is_element() && child.tag_name().name() == wire_name(ty);
        if !named || !same_space(child, node) {
            return Err(typed(unexpected(child), &array_name(ty), node));
        }
        let item = value(child, ty, version).map_err(|why| typed(why, &array_name(ty), node))?;
        items.push(item);
    }
    Ok(Value::Typed(ty, Box::new(Value::List(items))))
}

/// A managed object by type and id.
fn reference(node: Node, declared: Type) -> Read<Value> {
    let id = leaf(node)?;
    if id.trim().is_empty() {
        return Err("The object reference has no text".to_owned());
    }
    let kind = match plain(node, "type") {
        None => declared,
        Some(told) => Type::find(told)
            .filter(|it| it.kind() == TypeKind::Managed && it.is_a(declared))
            .ok_or_else(|| {
                format!("The type \"{}\" is not derived from {}", shown(told), declared.name())
            })?,
    };
    Ok(Ref::new(kind.name(), id).into())
}

/// What `xsi:type` says; any reference is one to a `ManagedObject`.
enum Stated {
    One(Type),
    Many(Type),
}

/// The type that an element states, its prefix resolved.
fn stated(node: Node, version: Version) -> Read<Option<Stated>> {
    let Some(told) = node.attribute((XSI, "type")) else { return Ok(None) };
    let (prefix, local) = told.split_once(':').map_or((None, told), |(it, rest)| (Some(it), rest));
    let basic = match node.lookup_namespace_uri(prefix) {
        Some(XSD) => true,
        // govmomi writes `xsd:` without a declaration, and hosts take it.
        None if prefix == Some("xsd") => true,
        Some(VIM) => false,
        _ if prefix.is_none() => false,
        _ => return Err(typed(format!("Unknown type \"{}\"", shown(told)), "", node)),
    };
    let basic_type = |name: &str| Type::find(name).filter(|it| it.kind() == TypeKind::Primitive);
    let own = |name: &str| match name {
        REFERENCE => Type::find("ManagedObject"),
        _ => Type::find(name).filter(|it| {
            matches!(it.kind(), TypeKind::Data | TypeKind::Enum) && it.since() <= version
        }),
    };
    let found = match local.strip_prefix("ArrayOf") {
        _ if basic => basic_type(local).filter(|it| !it.is_named("anyType")).map(Stated::One),
        None => own(local).map(Stated::One),
        Some(item) => {
            let small = item.get(..1).map(str::to_lowercase).unwrap_or_default();
            let small = format!("{small}{}", item.get(1..).unwrap_or_default());
            own(item).or_else(|| basic_type(&small)).map(Stated::Many)
        }
    };
    match found {
        Some(found) => Ok(Some(found)),
        None => Err(typed(format!("Unknown type \"{}\"", shown(told)), "", node)),
    }
}

/// Keeps the stated type where the value's form does not tell it.
fn exact(ty: Type, value: Value) -> Value {
    let told = matches!(ty.name(), "boolean" | "int" | "double" | "string" | "base64Binary");
    match ty.kind() {
        TypeKind::Primitive | TypeKind::Enum if !told => Value::Typed(ty, Box::new(value)),
        _ => value,
    }
}

/// How values of a type are called where they stand alone.
pub fn wire_name(ty: Type) -> &'static str {
    if ty.kind() == TypeKind::Managed { REFERENCE } else { ty.name() }
}

/// `ArrayOfString`, `ArrayOfVirtualDevice`.
pub fn array_name(ty: Type) -> String {
    let name = wire_name(ty);
    let (first, rest) = name.split_at(1.min(name.len()));
    format!("ArrayOf{}{rest}", first.to_uppercase())
}

// ---- words ----

/// The text of an element that has no elements.
pub fn leaf(node: Node) -> Read<String> {
    match xml::elements(node).next() {
        Some(child) => Err(unexpected(child)),
        None => Ok(xml::text_of(node)),
    }
}

/// An attribute without a namespace; the parser's own look-up would also find `xsi:type`.
pub fn plain<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|it| it.namespace().is_none() && it.name() == name).map(|it| it.value())
}

/// True for text that is more than white space.
pub fn is_text(node: Node) -> bool {
    node.is_text() && node.text().is_some_and(|it| !it.trim().is_empty())
}

/// True for an element in the namespace of the one around it.
pub fn same_space(node: Node, parent: Node) -> bool {
    node.tag_name().namespace() == parent.tag_name().namespace()
}

/// As much of a client's text as a refusal repeats.
pub fn shown(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(at, _)| &text[..at])
}

/// What is said of an element or a text that has no place.
pub fn unexpected(node: Node) -> String {
    match node.is_element() {
        true => format!("Unexpected element tag \"{}\" seen", node.tag_name().name()),
        false => "Unexpected text seen where elements belong".to_owned(),
    }
}

/// What is said of something that is not there.
pub fn missing(what: &str, from: &str) -> String {
    format!("Required {what} is missing from {from}")
}

fn typed(why: String, ty: &str, node: Node) -> String {
    within(why, format!("serialized value of type {ty}").trim_end_matches(" of type "), node)
}

/// Adds what was being read, and where.
pub fn within(why: String, what: &str, node: Node) -> String {
    let at = node.document().text_pos_at(node.range().start);
    format!("{why}\n\nwhile parsing {what}\nat line {}, column {}", at.row, at.col - 1)
}
