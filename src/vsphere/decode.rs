//! Answers as values: read by the schema, forgiving towards newer servers and other writers.
//!
//! It takes elements in any order, keeps what the schema does not know as XML in its place, and
//! finds concrete types by the namespace of `xsi:type`, whatever prefix the server writes.
//! Surprising: a value that does not fit its type becomes a text; only broken XML is an error.

use roxmltree::{Document, Node};

use crate::error::{Error, Kind, Result};
use crate::text::xml::{self, XSI};
use crate::vim::arrays::array_item;
use crate::vim::table::{Field, Method, Type, TypeKind};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::scalar;

/// Objects within objects.
const DEPTH: usize = 100;

/// The value of one element that is declared to be of this type.
pub fn element(node: Node<'_, '_>, declared: Type) -> Result<Value> {
    value(node, declared, 0)
}

/// What a call answered: nothing for a method without a result or with an empty one.
///
/// A method that answers an array always gives a list, which may be empty.
pub fn response(method: Method, doc: &Document<'_>) -> Result<Option<Value>> {
    let body = body(doc)?;
    let wanted = format!("{}Response", method.name());
    if body.tag_name().name() != wanted {
        let found = crate::error::quoted(body.tag_name().name());
        let text = format!("the answer is a `{found}`, not a `{wanted}`");
        return Err(Error::new(Kind::Remote, text));
    }
    let Some((ty, array)) = method.returns() else {
        return Ok(None);
    };
    let mut values = xml::elements(body)
        .filter(|it| it.tag_name().name() == "returnval")
        .map(|it| value(it, ty, 0));
    match array {
        true => Ok(Some(Value::List(values.collect::<Result<_>>()?))),
        false => values.next().transpose(),
    }
}

/// The element inside the SOAP body.
pub fn body<'a, 'i>(doc: &'a Document<'i>) -> Result<Node<'a, 'i>> {
    let content = xml::child(doc.root_element(), "Body").and_then(|it| it.first_element_child());
    content.ok_or_else(|| Error::new(Kind::Remote, "the answer is not a SOAP envelope"))
}

// ---- faults ----

/// The hypervisor's own failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Its type, such as `InvalidPowerState`; without details the SOAP code.
    pub name: String,
    /// Its message; may be empty.
    pub text: String,
    /// Its fields, if any were sent.
    pub detail: Option<Object>,
}

impl Fault {
    /// True when the fault is of this class or one below it.
    pub fn is(&self, class: &str) -> bool {
        let own = Type::find(&self.name).zip(Type::find(class)).is_some_and(|(a, b)| a.is_a(b));
        own || self.name == class || self.detail.as_ref().is_some_and(|it| it.is(class))
    }
}

/// The fault that an answer consists of, if it is one.
pub fn fault(doc: &Document<'_>) -> Option<Fault> {
    let fault = body(doc).ok().filter(|it| it.tag_name().name() == "Fault")?;
    let text = |name| xml::child(fault, name).map(xml::text_of).unwrap_or_default();
    let detail = xml::child(fault, "detail").and_then(|it| it.first_element_child());
    let name = match detail {
        Some(node) => fault_name(node),
        None => local(&text("faultcode")).to_owned(),
    };
    let detail = detail.and_then(|node| fault_detail(node, &name));
    Some(Fault { name, text: text("faultstring").trim().to_owned(), detail })
}

/// A fault that came as data: in a task, a lease, a list of warnings.
pub fn localized_fault(object: &Object) -> Fault {
    let detail = object.object("fault").cloned();
    Fault {
        name: detail.as_ref().map(|it| it.kind().to_owned()).unwrap_or_default(),
        text: object.text("localizedMessage").unwrap_or_default().to_owned(),
        detail,
    }
}

/// The same, whether or not the server's words are around the fault.
pub fn fault_of(object: &Object) -> Fault {
    match object.kind() {
        "LocalizedMethodFault" => localized_fault(object),
        name => Fault { name: name.to_owned(), text: String::new(), detail: Some(object.clone()) },
    }
}

/// The truth is `xsi:type`; the element is called like the type with `Fault` behind it.
fn fault_name(node: Node<'_, '_>) -> String {
    if let Some(name) = concrete(node) {
        return name.to_owned();
    }
    let element = node.tag_name().name();
    let stripped = element.strip_suffix("Fault").filter(|it| !it.is_empty());
    match stripped {
        Some(name) if Type::find(name).is_some() || Type::find(element).is_none() => name,
        _ => element,
    }
    .to_owned()
}

fn fault_detail(node: Node<'_, '_>, name: &str) -> Option<Object> {
    match Type::find(name).filter(|it| it.kind() == TypeKind::Data) {
        Some(ty) => object(node, Object::new(ty.name()), ty, 0).ok(),
        None => {
            let base = Type::find("MethodFault")?;
            object(node, Object::foreign(name.to_owned(), base), base, 0).ok()
        }
    }
}

// ---- values ----

/// The name in `xsi:type`, without its prefix.
fn concrete<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.attribute((XSI, "type")).map(local).filter(|it| !it.is_empty())
}

fn local(name: &str) -> &str {
    let name = name.trim();
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

fn value(node: Node<'_, '_>, declared: Type, depth: usize) -> Result<Value> {
    if depth > DEPTH {
        return Err(Error::new(Kind::Remote, format!("objects are nested deeper than {DEPTH}")));
    }
    if node.attribute((XSI, "nil")).is_some_and(|it| matches!(it, "true" | "1")) {
        return Ok(Value::Null);
    }
    match declared.kind() {
        TypeKind::Managed => Ok(reference(node, declared)),
        TypeKind::Data => data(node, declared, depth),
        TypeKind::Primitive if declared.is_named("anyType") => any(node, depth),
        TypeKind::Primitive | TypeKind::Enum => Ok(scalar::read(declared, xml::text_of(node))),
    }
}

fn reference(node: Node<'_, '_>, declared: Type) -> Value {
    let id = xml::text_of(node).trim().to_owned();
    // By hand: the parser's own search ignores namespaces and may find `xsi:type`.
    let own = node.attributes().find(|it| it.namespace().is_none() && it.name() == "type");
    let kind = own.map(|it| local(it.value()));
    let found = match kind.map(|kind| (kind, Type::find(kind))) {
        None => Ref::new(declared.name(), id),
        Some((_, Some(known))) => Ref::new(known.name(), id),
        Some((kind, None)) => Ref::new(kind.to_owned(), id),
    };
    found.into()
}

/// An object of the concrete type that it names, or of the declared one.
fn data(node: Node<'_, '_>, declared: Type, depth: usize) -> Result<Value> {
    let name = concrete(node).unwrap_or(declared.name());
    let (empty, ty) = match Type::find(name).filter(|it| it.kind() == TypeKind::Data) {
        Some(ty) => (Object::new(ty.name()), ty),
        None => (Object::foreign(name.to_owned(), declared), declared),
    };
    object(node, empty, ty, depth).map(Value::Object)
}

/// Fills an object from the child elements.
fn object(node: Node<'_, '_>, mut to: Object, ty: Type, depth: usize) -> Result<Object> {
    let fields: Vec<Field> = ty.fields().collect();
    // Elements mostly come in wire order: the search goes on where the last one ended.
    let mut last = 0;
    for child in xml::elements(node) {
        let name = child.tag_name().name();
        let order = (last..fields.len()).chain(0..last);
        let Some(at) = order.into_iter().find(|at| fields[*at].name == name) else {
            to.keep_raw(xml::standalone(child)?);
            continue;
        };
        last = at;
        let field = fields[at];
        let found = value(child, field.ty, depth + 1)?;
        match to.field_mut(field.name) {
            None if field.array => to.keep(field.name, Value::List(vec![found])),
            None => to.keep(field.name, found),
            Some(Value::List(items)) if field.array => items.push(found),
            // A second value where our schema has one: a newer server's list.
            Some(_) => to.keep_raw(xml::standalone(child)?),
        }
    }
    Ok(to)
}

/// An `ObjectContent`: an object, its properties by path, and what of it could not be read.
pub struct Content {
    pub at: Ref,
    pub properties: Vec<(String, Value)>,
    /// Each a `MissingProperty`.
    pub missing: Vec<Value>,
}

/// Reads one element by element instead of by its schema: lists are made of thousands.
pub fn content(node: Node<'_, '_>) -> Result<Content> {
    let (mut at, mut properties, mut missing) = (None, Vec::new(), Vec::new());
    for child in xml::elements(node) {
        match child.tag_name().name() {
            "obj" => at = value(child, known("ManagedObject")?, 0)?.into_reference(),
            "propSet" => {
                let name = xml::child(child, "name").map(xml::text_of);
                if let (Some(name), Some(found)) = (name, xml::child(child, "val")) {
                    properties.push((name, any(found, 0)?));
                }
            }
            "missingSet" => missing.push(value(child, known("MissingProperty")?, 0)?),
            _ => {}
        }
    }
    let at =
        at.ok_or_else(|| Error::new(Kind::Remote, "the server sent properties of no object"))?;
    Ok(Content { at, properties, missing })
}

fn known(name: &str) -> Result<Type> {
    Type::find(name).ok_or_else(|| Error::bug(format!("the schema lacks `{name}`")))
}

/// A value that says itself what it is.
fn any(node: Node<'_, '_>, depth: usize) -> Result<Value> {
    let is_leaf = node.first_element_child().is_none();
    let Some(name) = concrete(node) else {
        return match is_leaf {
            true => Ok(Value::Text(xml::text_of(node))),
            false => unknown(node, "anyType", depth),
        };
    };
    if name == "string" && is_leaf {
        return Ok(Value::Text(xml::text_of(node)));
    }
    if name == "ManagedObjectReference" {
        return Ok(reference(node, known("ManagedObject")?));
    }
    if name.starts_with("ArrayOf") && Type::find(name).is_none() {
        return list(node, name, depth);
    }
    match Type::find(name) {
        Some(ty) if ty.is_named("anyType") => Ok(Value::Text(xml::text_of(node))),
        Some(ty) => match ty.kind() {
            TypeKind::Data | TypeKind::Managed => value(node, ty, depth),
            _ => Ok(scalar::read_any(ty, xml::text_of(node))),
        },
        None if is_leaf => Ok(Value::Text(xml::text_of(node))),
        None => unknown(node, name, depth),
    }
}

/// An object of which the schema knows nothing: all of it is kept as XML.
fn unknown(node: Node<'_, '_>, name: &str, depth: usize) -> Result<Value> {
    let base = known("DynamicData")?;
    object(node, Object::foreign(name.to_owned(), base), base, depth).map(Value::Object)
}

/// `ArrayOfX`: each child element is an item, whatever its name.
fn list(node: Node<'_, '_>, wrapper: &str, depth: usize) -> Result<Value> {
    let item = array_item(wrapper);
    let read = |child| match item {
        Some(ty) => value(child, ty, depth + 1),
        None => any(child, depth + 1),
    };
    let items = Value::List(xml::elements(node).map(read).collect::<Result<_>>()?);
    Ok(match item {
        Some(ty) => Value::Typed(ty, Box::new(items)),
        None => items,
    })
}
