//! Reads requests as strictly as a host does: names, order, types and versions by the schema.
//!
//! It must not know our client, which writes such requests: what they share is the schema alone.
//! Surprising: the same reader reads inventory templates and state files, so that what the
//! simulator tells is right by the schema as well.

use roxmltree::Node;

use crate::error::Error;
use crate::error::Result;
use crate::sim::elements::Read;
use crate::sim::elements::VIM;
use crate::sim::elements::add;
use crate::sim::elements::is_text;
use crate::sim::elements::leaf;
use crate::sim::elements::members;
use crate::sim::elements::missing;
use crate::sim::elements::plain;
use crate::sim::elements::same_space;
use crate::sim::elements::shown;
use crate::sim::elements::unexpected;
use crate::sim::elements::value;
use crate::sim::elements::within;
use crate::sim::fault;
use crate::sim::fault::Fault;
use crate::text::xml;
use crate::text::xml::XSD;
use crate::text::xml::XSI;
use crate::vim::table;
use crate::vim::table::Field;
use crate::vim::table::Method;
use crate::vim::table::Type;
use crate::vim::table::TypeKind;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;
use crate::vim::version::Version;

const ENVELOPE: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A call that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The object, with its real type.
    pub this: Ref,
    /// Its method's name.
    pub method: &'static str,
    /// The method as the schema has it.
    pub declared: Method,
    /// The arguments by parameter name.
    pub args: Object,
    /// What the client calls the operation, for logs.
    pub operation: Option<String>,
}

// ---- requests ----

/// Reads the body of a `POST /sdk`; `kind_of` tells the real type of the object with an id.
pub fn request<'w>(
    body: &str,
    version: Version,
    kind_of: &dyn Fn(&str) -> Option<&'w str>,
) -> fault::Result<Asked> {
    let doc = xml::parse(body).map_err(|e| {
        // unverified: what a host says to text that is no XML.
        let at = "while parsing HTTP request before method was determined";
        Fault::invalid_request(format!("{e}\n\n{at}\nat line 1, column 0"))
    })?;
    let envelope = doc.root_element();
    // What was being read when the call's element was not known yet.
    let vague = |why: String, body: Option<Node>| {
        let why = body.iter().fold(why, |why, it| within(why, "SOAP body", *it));
        let why = within(why, "SOAP envelope", envelope);
        let last = "while parsing HTTP request before method was determined";
        Fault::invalid_request(format!("{why}\n\n{last}\nat line 1, column 0"))
    };
    let (header, body) = parts(envelope).map_err(|why| vague(why, None))?;
    let call = only(body).map_err(|why| vague(why, Some(body)))?;
    let name = call.tag_name().name();
    if !is_method(call, version) {
        let space = call.tag_name().namespace().unwrap_or_default();
        let space = shown(space);
        let why = format!("Unable to resolve WSDL method name {name} for namespace name {space}");
        return Err(vague(why, Some(body)));
    }
    let clear = |why: String, kind: &str| {
        let why = within(why, &format!("call information for method {name}"), call);
        let why = within(within(why, "SOAP body", body), "SOAP envelope", envelope);
        // unverified: a host calls methods and types by other names here, such as `reconfigure`
        // for `ReconfigVM_Task`, which the schema does not have.
        let last = format!("while parsing HTTP request for method {name} on object of type");
        Fault::invalid_request(format!("{why}\n\n{last} vim.{kind}\nat line 1, column 0"))
    };
    let mut children = call.children();
    // A client may say anything here; only what is a managed type may come back in a fault.
    let managed = |name: &&str| Type::find(name).is_some_and(|it| it.kind() == TypeKind::Managed);
    let stated = |it: Node| plain(it, "type").filter(managed).unwrap_or("ManagedObject").to_owned();
    let (this, stated) = match children.find(|it| it.is_element() || is_text(*it)) {
        Some(first) if first.tag_name().name() == "_this" && same_space(first, call) => {
            let id = leaf(first).map_err(|why| clear(why, &stated(first)))?;
            (id, stated(first))
        }
        Some(first) => return Err(clear(unexpected(first), "ManagedObject")),
        None => return Err(clear(missing("parameter _this", "call"), "ManagedObject")),
    };
    if this.trim().is_empty() {
        return Err(clear("The object reference _this has no text".to_owned(), &stated));
    }
    let Some(kind) = kind_of(&this) else {
        return Err(Fault::gone(&Ref::new(stated, this)));
    };
    let this = Ref::new(Type::find(kind).map_or("ManagedObject", Type::name), this);
    let found = Method::find(kind, name).filter(|it| it.since() <= version);
    let Some(declared) = found else {
        // unverified: the sentence; the type is what the API's documentation names.
        let text = format!("The method {name} is not found on {this}");
        return Err(Fault::new("MethodNotFound", text).with("receiver", this).with("method", name));
    };
    let params: Vec<Field> = declared.params().collect();
    let args = members(Object::args(), call, children, &params, version)
        .map_err(|why| clear(why, kind))?;
    let operation = header.and_then(|it| xml::child(it, "operationID")).map(xml::text_of);
    Ok(Asked { this, method: declared.name(), declared, args, operation })
}

/// Header and body of an envelope.
fn parts<'a, 'i>(envelope: Node<'a, 'i>) -> Read<(Option<Node<'a, 'i>>, Node<'a, 'i>)> {
    let named = |it: &Node, name: &str| it.has_tag_name((ENVELOPE, name));
    if !named(&envelope, "Envelope") {
        return Err(unexpected(envelope));
    }
    let mut children = xml::elements(envelope).peekable();
    let header = children.next_if(|it| named(it, "Header"));
    match (children.next(), children.next()) {
        (Some(body), None) if named(&body, "Body") => Ok((header, body)),
        (Some(first), None) => Err(unexpected(first)),
        (_, Some(second)) => Err(unexpected(second)),
        (None, None) => Err("The SOAP envelope has no body".to_owned()),
    }
}

/// The one element of the body.
fn only<'a, 'i>(body: Node<'a, 'i>) -> Read<Node<'a, 'i>> {
    if let Some(text) = body.children().find(|it| is_text(*it)) {
        return Err(unexpected(text));
    }
    let mut children = xml::elements(body);
    match (children.next(), children.next()) {
        (Some(call), None) => Ok(call),
        (_, Some(second)) => Err(unexpected(second)),
        (None, None) => Err("The SOAP body is empty".to_owned()),
    }
}

/// True if any object has this method at this version.
fn is_method(call: Node, version: Version) -> bool {
    let known = |it: Method| it.name() == call.tag_name().name() && it.since() <= version;
    call.tag_name().namespace() == Some(VIM) && table::methods().any(known)
}

// ---- what the simulator keeps ----

/// Reads `<world><object type="HostSystem" id="ha-host"><name>..</name> ...</object> ...</world>`.
///
/// The children of an object are its properties, in any order.
pub fn template(text: &str) -> Result<Vec<(Ref, Object)>> {
    let doc = xml::parse(text)?;
    let mut all = Vec::new();
    for node in xml::elements(doc.root_element()) {
        let told = (plain(node, "type"), plain(node, "id"));
        let (kind, id) = (told.0.unwrap_or_default(), told.1.unwrap_or_default());
        let found = Type::find(kind).filter(|it| it.kind() == TypeKind::Managed);
        let read = match found {
            _ if !node.has_tag_name("object") => Err(unexpected(node)),
            Some(kind) if !id.is_empty() => properties(node, kind).map(|it| (kind, it)),
            _ => Err("An object needs a managed type and an id".to_owned()),
        };
        let (kind, object) = read.map_err(|why| wrong(&why).during(format!("{kind} `{id}`")))?;
        all.push((Ref::new(kind.name(), id), object));
    }
    Ok(all)
}

/// The properties of one object.
fn properties(node: Node, kind: Type) -> Read<Object> {
    let mut object = Object::new(kind.name());
    for child in node.children().filter(|it| it.is_element() || is_text(*it)) {
        let field = kind.field(child.tag_name().name()).filter(|_| child.is_element());
        let again = |field: &Field| !field.array && object.fields().any(|it| it.0 == field.name);
        match field {
            Some(field) if !again(&field) => add(&mut object, &field, child, Version::newest())?,
            _ => return Err(within(unexpected(child), "object", node)),
        }
    }
    Ok(object)
}

/// Reads what `crate::sim::writer::fragment` wrote: one value, or the items of a list.
pub fn fragment(text: &str, declared: Type, array: bool) -> Result<Value> {
    let whole = format!("<world xmlns:xsi=\"{XSI}\" xmlns:xsd=\"{XSD}\">{text}</world>");
    let doc = xml::parse(&whole)?;
    let items: Read<Vec<Value>> = xml::elements(doc.root_element())
        .map(|it| value(it, declared, Version::newest()))
        .collect();
    let mut items = items.map_err(|why| wrong(&why))?;
    Ok(match array {
        true => Value::List(items),
        false => items.pop().unwrap_or(Value::Null),
    })
}

/// What is wrong, on one line.
fn wrong(why: &str) -> Error {
    Error::usage(why.replace("\n\n", ", ").replace('\n', " "))
}

#[cfg(test)]
mod tests;
