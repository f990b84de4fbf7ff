//! Writes answers and faults as a host does: by the schema, in its order, for the client's version.
//!
//! It must not know our client, which reads such answers. Surprising: what a handler set wrongly is
//! an error here and never sent, so that a test notices; and a type that is newer than the client
//! travels as its nearest older base.

use std::rc::Rc;

use crate::error::Error;
use crate::error::Result;
use crate::sim::elements;
use crate::sim::fault::Fault;
use crate::sim::scalar;
use crate::text::order;
use crate::text::xml;
use crate::vim::table::Field;
use crate::vim::table::Method;
use crate::vim::table::Type;
use crate::vim::table::TypeKind;
use crate::vim::value::Object;
use crate::vim::value::Ref;
use crate::vim::value::Value;
use crate::vim::version::Version;

const OPEN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n \
    xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n \
    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n \
    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n";
const CLOSE: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

/// The root of templates and state files; [`object`]s stand in it.
pub const WORLD: &str = "<world xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">";

/// The whole answer of a method; nothing stands for `void` and for a result that is not there.
pub fn response(method: Method, version: Version, result: Option<&Value>) -> Result<String> {
    let mut pen = Pen::new(version);
    pen.raw(OPEN);
    pen.raw("<");
    pen.raw(method.name());
    pen.raw("Response xmlns=\"urn:vim25\">");
    match (method.returns(), result) {
        (Some((ty, array)), Some(value)) => pen.values("returnval", ty, array, value)?,
        (None, Some(value)) if *value != Value::Null => {
            return Err(Error::bug(format!("{} answers nothing", method.name())));
        }
        _ => {}
    }
    pen.raw("</");
    pen.raw(method.name());
    pen.raw("Response>");
    pen.raw(CLOSE);
    Ok(pen.finish())
}

/// The whole answer that is a fault.
pub fn fault(fault: &Fault, version: Version) -> String {
    let mut pen = Pen::new(version);
    pen.raw(OPEN);
    pen.raw("<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>");
    // A control character cannot be sent at all.
    let sendable = |c: &char| match c {
        '\n' | '\r' | '\t' => true,
        c => !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'),
    };
    let text: String = fault.text.chars().filter(sendable).collect();
    let written = scalar::escape(&mut pen.text, &text);
    debug_assert!(written.is_ok(), "{:?}", fault.text);
    pen.raw("</faultstring><detail>");
    let before = pen.text.len();
    if let Err(e) = pen.fault(&fault.detail) {
        debug_assert!(false, "{e}");
        log::error!("a fault of the simulated host is wrong: {e}");
        pen.text.truncate(before);
    }
    pen.raw("</detail></soapenv:Fault>");
    pen.raw(CLOSE);
    pen.finish()
}

/// A value as an element, or as several; `crate::sim::reader::fragment` reads it back.
///
/// It stands below a root that declares the prefixes `xsi` and `xsd`.
pub fn fragment(name: &str, declared: Type, value: &Value) -> Result<String> {
    let mut pen = Pen::new(Version::newest());
    let list = !declared.is_named("anyType") && matches!(value.plain(), Value::List(_));
    pen.values(name, declared, list, value)?;
    Ok(pen.finish())
}

/// A managed object with its properties, as `crate::sim::reader::template` reads it.
pub fn object(this: &Ref, properties: &Object) -> Result<String> {
    let mut pen = Pen::new(Version::newest());
    let class = pen.named(&this.kind)?;
    pen.raw("<object type=\"");
    pen.raw(class.ty.name());
    pen.raw("\" id=\"");
    xml::escape(&mut pen.text, &this.id, true)?;
    pen.raw("\">");
    pen.fields(&class, properties)?;
    pen.raw("</object>\n");
    Ok(pen.finish())
}

/// The value as it goes into an `anyType`: with the type that its own form would not tell.
pub fn any(declared: Type, array: bool, value: Value) -> Value {
    let told = |value: &Value| match value {
        Value::Int(_) => declared.is_named("int"),
        Value::Float(_) => declared.is_named("double"),
        Value::Text(_) => declared.is_named("string"),
        _ => true,
    };
    match value {
        Value::Null | Value::Typed(..) => value,
        Value::List(_) => Value::Typed(declared, Box::new(value)),
        one if array => Value::Typed(declared, Box::new(Value::List(vec![one]))),
        one if declared.is_named("anyType") || told(&one) => one,
        one => Value::Typed(declared, Box::new(one)),
    }
}

/// A type with its fields; looked up once for each answer, not once for each of its objects.
struct Class {
    ty: Type,
    fields: Vec<Field>,
}

/// Writes values into one text.
pub struct Pen {
    text: String,
    version: Version,
    classes: Vec<Rc<Class>>,
}

impl Pen {
    /// For a client of this version.
    pub fn new(version: Version) -> Pen {
        Pen { text: String::new(), version, classes: Vec::new() }
    }

    /// Markup as it is.
    pub fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }

    /// A value of a declared type: an element, for an array one for each item.
    pub fn values(&mut self, name: &str, ty: Type, array: bool, value: &Value) -> Result<()> {
        match array {
            true => value.items().iter().try_for_each(|it| self.element(name, ty, it)),
            false if *value == Value::Null => Ok(()),
            false => self.element(name, ty, value),
        }
        .map_err(|e| e.during(format!("`{name}`")))
    }

    fn element(&mut self, name: &str, declared: Type, value: &Value) -> Result<()> {
        if declared.is_named("anyType") {
            return self.any(name, value);
        }
        match (declared.kind(), value.plain()) {
            (TypeKind::Managed, Value::Ref(reference)) => {
                if !Type::find(&reference.kind).is_some_and(|it| it.is_a(declared)) {
                    return Err(Error::bug(format!("{reference} is no {}", declared.name())));
                }
                self.reference(name, reference, "")
            }
            (TypeKind::Data, Value::Object(object)) => self.object(name, Some(declared), object),
            (TypeKind::Data | TypeKind::Managed, other) => {
                Err(Error::bug(format!("{other:.80?} is no {}", declared.name())))
            }
            (TypeKind::Primitive | TypeKind::Enum, plain) => {
                self.scalar(name, false, declared, plain)
            }
        }
    }

    /// An element that tells its type.
    fn any(&mut self, name: &str, value: &Value) -> Result<()> {
        let (told, plain) = match value {
            Value::Typed(ty, inner) => (Some(*ty), inner.plain()),
            other => (None, other),
        };
        let basic = match plain {
            Value::Bool(_) => "boolean",
            Value::Int(number) if i32::try_from(*number).is_ok() => "int",
            Value::Int(_) => "long",
            Value::Float(_) => "double",
            Value::Text(_) => "string",
            Value::Binary(_) => "base64Binary",
            Value::Ref(reference) => {
                return self.reference(name, reference, " xsi:type=\"ManagedObjectReference\"");
            }
            Value::Object(object) => return self.object(name, None, object),
            Value::List(items) => return self.list(name, told, items),
            Value::Null | Value::Typed(..) => return Err(Error::bug("nothing has no type")),
        };
        let ty = match told {
            Some(ty) => ty,
            None => self.named(basic)?.ty,
        };
        self.scalar(name, true, ty, plain)
    }

    /// A list inside `anyType`.
    fn list(&mut self, name: &str, told: Option<Type>, items: &[Value]) -> Result<()> {
        let Some(ty) = told else { return Err(Error::bug("a list does not tell its type")) };
        self.start(name, Some(("", &elements::array_name(ty))));
        let item = elements::wire_name(ty);
        for value in items {
            match value.plain() {
                // References and primitives tell their type even here.
                Value::Ref(_) => self.any(item, value)?,
                plain if ty.kind() == TypeKind::Primitive && !ty.is_named("anyType") => {
                    self.scalar(item, true, ty, plain)?;
                }
                _ => self.element(item, ty, value)?,
            }
        }
        self.end(name);
        Ok(())
    }

    fn scalar(&mut self, name: &str, told: bool, ty: Type, value: &Value) -> Result<()> {
        let prefix = if ty.kind() == TypeKind::Primitive { "xsd:" } else { "" };
        self.start(name, told.then_some((prefix, ty.name())));
        scalar::write(&mut self.text, ty, value)?;
        self.end(name);
        Ok(())
    }

    fn reference(&mut self, name: &str, reference: &Ref, attributes: &str) -> Result<()> {
        if reference.id.is_empty() {
            return Err(Error::bug(format!("a reference to a {} is empty", reference.kind)));
        }
        self.raw("<");
        self.raw(name);
        self.raw(" type=\"");
        xml::escape(&mut self.text, &reference.kind, true)?;
        self.raw("\"");
        self.raw(attributes);
        self.raw(">");
        scalar::escape(&mut self.text, &reference.id)?;
        self.end(name);
        Ok(())
    }

    /// A data object; it tells its type where the declared one, if there is one, does not.
    fn object(&mut self, name: &str, declared: Option<Type>, object: &Object) -> Result<()> {
        let mut class = match declared {
            Some(base) if object.kind() == base.name() => self.class(base),
            _ => self.named(object.kind())?,
        };
        if let Some(base) = declared.filter(|it| !class.ty.is_a(*it)) {
            return Err(Error::bug(format!("{} is no {}", object.kind(), base.name())));
        }
        let shown = |class: &Class| declared != Some(class.ty);
        // unverified: what a host says of a type that is newer than the client.
        while shown(&class) && class.ty.since() > self.version {
            let Some(parent) = class.ty.parent() else { break };
            class = self.class(parent);
        }
        self.start(name, shown(&class).then_some(("", class.ty.name())));
        let done = match object.kind() == class.ty.name() {
            true => self.fields(&class, object),
            false => self.older(&class, object),
        };
        done.map_err(|e| e.during(class.ty.name()))?;
        self.end(name);
        Ok(())
    }

    /// What an older class knows of an object.
    fn older(&mut self, class: &Class, object: &Object) -> Result<()> {
        let mut rest = object.clone();
        for (name, _) in object.fields() {
            if class.fields.iter().all(|it| it.name != name) {
                rest.remove(name);
            }
        }
        self.fields(class, &rest)
    }

    /// The detail of a fault: its element is called after its type.
    fn fault(&mut self, detail: &Object) -> Result<()> {
        let class = self.named(detail.kind())?;
        let name = format!("{}Fault", class.ty.name());
        // The namespace stands before the type.
        self.start(&format!("{name} xmlns=\"urn:vim25\""), Some(("", class.ty.name())));
        self.fields(&class, detail)?;
        self.end(&name);
        Ok(())
    }

    /// All fields in the schema's order.
    fn fields(&mut self, class: &Class, object: &Object) -> Result<()> {
        let fields = &class.fields;
        // Nearly always they were set in order, and each is found behind the one before.
        let (mut found, mut at, mut sorted) = (Vec::with_capacity(16), 0, true);
        for (name, value) in object.fields() {
            let mut ahead = (at..fields.len()).chain(0..at.min(fields.len()));
            let Some(place) = ahead.find(|it| fields[*it].name == name) else {
                return Err(Error::bug(format!("{} has no field `{name}`", class.ty.name())));
            };
            sorted &= place >= at;
            at = place + 1;
            if *value != Value::Null {
                found.push((place, value));
            }
        }
        if !sorted {
            found = order::by(found, &|a, b| a.0.cmp(&b.0));
        }
        let mut given = found.iter().peekable();
        for (place, field) in fields.iter().enumerate() {
            let value = given.next_if(|it| it.0 == place).map(|it| it.1);
            match value {
                _ if field.since > self.version => {}
                Some(value) => self.values(field.name, field.ty, field.array, value)?,
                // A managed object's properties are stored as far as there are any.
                None if field.optional || field.array || class.ty.kind() != TypeKind::Data => {}
                None => {
                    let (ty, name) = (class.ty.name(), field.name);
                    return Err(Error::bug(format!("{ty} lacks its field `{name}`")));
                }
            }
        }
        Ok(())
    }

    fn class(&mut self, ty: Type) -> Rc<Class> {
        if let Some(known) = self.classes.iter().find(|it| it.ty == ty) {
            return known.clone();
        }
        let class = Rc::new(Class { ty, fields: ty.fields().collect() });
        self.classes.push(class.clone());
        class
    }

    fn named(&mut self, kind: &str) -> Result<Rc<Class>> {
        if let Some(known) = self.classes.iter().find(|it| it.ty.name() == kind) {
            return Ok(known.clone());
        }
        let found = Type::find(kind);
        found.map(|it| self.class(it)).ok_or_else(|| unknown(kind))
    }

    /// A start tag; prefix and name of the type that it tells.
    fn start(&mut self, name: &str, told: Option<(&str, &str)>) {
        self.raw("<");
        self.raw(name);
        if let Some((prefix, ty)) = told {
            self.raw(" xsi:type=\"");
            self.raw(prefix);
            self.raw(ty);
            self.raw("\"");
        }
        self.raw(">");
    }

    fn end(&mut self, name: &str) {
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }
}

fn unknown(kind: &str) -> Error {
    Error::bug(format!("the schema has no type `{kind}`"))
}

#[cfg(test)]
mod tests;
