//! Requests as XML: checked against the schema and the server's version before anything is sent.
//!
//! It knows no session and no socket. The server reads fields in one order only, so they are
//! written as the schema lists them, whatever the order in which they were set. Surprising: what an
//! older server lacks is dropped silently if it was our own default (`offer`), and refused if the
//! caller asked for it (`with`).

use crate::error::{Error, Kind, Result};
use crate::text::xml::{Writer, XSD, XSI};
use crate::vim::table::{Field, Method, Type, TypeKind};
use crate::vim::value::{Entry, Object, Raw, Ref, Value};
use crate::vim::version::Version;
use crate::vsphere::scalar;

/// Fields and items on the way down; what the decoder lets in fits.
const DEPTH: usize = 200;

/// A request's body element: `_this`, then the arguments in declared order.
pub fn call(method: Method, this: &Ref, args: &Object, version: Version) -> Result<String> {
    let mut encoder = Encoder { writer: Writer::new(), path: Vec::new(), version };
    encoder.call(method, this, args).map_err(|e| e.during(method.name()))?;
    Ok(encoder.writer.finish())
}

/// The envelope around a body element, ready to be posted.
pub fn envelope(body: &str) -> String {
    const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"{SOAP}\" xmlns:xsd=\"{XSD}\" xmlns:xsi=\"{XSI}\">\
         <soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    )
}

/// Where the encoder stands, for messages.
enum Step {
    Field(&'static str),
    Item(usize),
}

struct Encoder {
    writer: Writer,
    path: Vec<Step>,
    version: Version,
}

impl Encoder {
    fn call(&mut self, method: Method, this: &Ref, args: &Object) -> Result<()> {
        self.check_version("the method", method.since())?;
        self.writer.open(method.name(), &[("xmlns", "urn:vim25")])?;
        self.enter(Step::Field("_this"))?;
        self.check_reference(this, method.owner())?;
        self.path.pop();
        self.writer.open("_this", &[("type", &this.kind)])?;
        self.writer.text(&this.id)?;
        self.writer.close("_this");
        let params: Vec<Field> = method.params().collect();
        self.refuse_unknown(args, &params, method.name())?;
        for param in params {
            self.member(args, param)?;
        }
        self.writer.close(method.name());
        Ok(())
    }

    fn enter(&mut self, step: Step) -> Result<()> {
        if self.path.len() == DEPTH {
            return Err(Error::usage("the request is nested too deeply"));
        }
        self.path.push(step);
        Ok(())
    }

    fn check_version(&self, what: impl std::fmt::Display, since: Version) -> Result<()> {
        if since <= self.version {
            return Ok(());
        }
        let (since, own) = (since.name(), self.version.name());
        let text = format!("{what} came with version {since}, the server speaks {own}");
        Err(Error::new(Kind::Unsupported, self.at(text)))
    }

    /// The path so far, such as `spec.deviceChange[1].device`, in front of what is wrong there.
    fn wrong(&self, text: impl std::fmt::Display) -> Error {
        Error::usage(self.at(text))
    }

    fn at(&self, text: impl std::fmt::Display) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Item(at) => path.push_str(&format!("[{at}]")),
            }
        }
        if path.is_empty() { text.to_string() } else { format!("{path}: {text}") }
    }

    fn refuse_unknown(&self, object: &Object, known: &[Field], of: &str) -> Result<()> {
        match object.fields().find(|(name, _)| known.iter().all(|it| it.name != *name)) {
            Some((name, _)) => Err(self.wrong(format!("unknown field `{name}` of {of}"))),
            None => Ok(()),
        }
    }

    /// One field or parameter, if the object has it.
    fn member(&mut self, object: &Object, field: Field) -> Result<()> {
        let entry = object.entries().iter().find_map(|it| match it {
            Entry::Field { name, value, soft } if *name == field.name => Some((value, *soft)),
            _ => None,
        });
        match entry {
            None | Some((Value::Null, _)) => self.absent(field),
            Some((value, true)) if self.newest_needed(field, value) > self.version => Ok(()),
            Some((value, _)) => self.present(field, value),
        }
    }

    /// A required list may be empty, which looks like absence; so only single values are missed.
    fn absent(&self, field: Field) -> Result<()> {
        if field.optional || field.array || field.since > self.version {
            return Ok(());
        }
        Err(self.wrong(format!("the required field `{}` is missing", field.name)))
    }

    /// The version that a field and the concrete type in it need.
    fn newest_needed(&self, field: Field, value: &Value) -> Version {
        let of = value.as_object().and_then(Object::ty).map_or(field.since, Type::since);
        field.since.max(of)
    }

    fn present(&mut self, field: Field, value: &Value) -> Result<()> {
        let what = format_args!("the field `{}` of {}", field.name, field.owner.name());
        self.check_version(what, field.since)?;
        self.enter(Step::Field(field.name))?;
        if field.array {
            self.items(field.name, field.ty, value)?;
        } else {
            self.element(field.name, field.ty, value)?;
        }
        self.path.pop();
        Ok(())
    }

    /// An array is its element, repeated.
    fn items(&mut self, name: &str, of: Type, value: &Value) -> Result<()> {
        for (at, item) in value.items().iter().enumerate() {
            self.enter(Step::Item(at))?;
            self.element(name, of, item)?;
            self.path.pop();
        }
        Ok(())
    }

    /// One element of a declared type.
    fn element(&mut self, name: &str, declared: Type, value: &Value) -> Result<()> {
        match declared.kind() {
            TypeKind::Data => self.data(name, Some(declared), declared, value),
            TypeKind::Managed => self.reference(name, declared, value, false),
            TypeKind::Primitive if declared.is_named("anyType") => self.any(name, value),
            _ => {
                let text = self.simple(declared, value)?;
                self.leaf(name, &[], &text)
            }
        }
    }

    fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], text: &str) -> Result<()> {
        self.writer.open(name, attributes).map_err(|e| self.located(e))?;
        self.writer.text(text).map_err(|e| self.located(e))?;
        self.writer.close(name);
        Ok(())
    }

    /// The same error, with the path in front.
    fn located(&self, error: Error) -> Error {
        let place = self.at("");
        error.during(place.trim_end_matches(": ").to_owned())
    }

    // ---- references ----

    fn reference(&mut self, name: &str, declared: Type, value: &Value, any: bool) -> Result<()> {
        let Some(reference) = value.as_reference() else {
            return Err(self.mismatch(declared, value));
        };
        self.check_reference(reference, declared)?;
        let kind = ("type", &*reference.kind);
        match any {
            true => {
                let own = ("xsi:type", "ManagedObjectReference");
                self.leaf(name, &[kind, own], &reference.id)
            }
            false => self.leaf(name, &[kind], &reference.id),
        }
    }

    /// Where any managed object may stand, so may one of a type that only the server knows.
    fn check_reference(&self, reference: &Ref, declared: Type) -> Result<()> {
        let found = Type::find(&reference.kind).filter(|it| it.kind() == TypeKind::Managed);
        let fits = match found {
            Some(own) => own.is_a(declared),
            None => declared.is_named("ManagedObject"),
        };
        match fits && !reference.id.is_empty() {
            true => Ok(()),
            false => {
                let wanted = declared.name();
                Err(self.wrong(format!("a reference to a {wanted} is wanted, not `{reference}`")))
            }
        }
    }

    // ---- data objects ----

    /// An object of a type that is `wanted`; it names its own where that differs from `declared`.
    fn data(
        &mut self,
        name: &str,
        declared: Option<Type>,
        wanted: Type,
        value: &Value,
    ) -> Result<()> {
        let Some(object) = value.as_object() else {
            return Err(self.mismatch(wanted, value));
        };
        let Some(ty) = object.ty().filter(|it| it.kind() == TypeKind::Data) else {
            return Err(self.wrong(format!("`{}` is no type of the API", object.kind())));
        };
        if !ty.is_a(wanted) {
            let (is, wanted) = (object.kind(), wanted.name());
            return Err(self.wrong(format!("`{is}` stands where {wanted} is wanted")));
        }
        self.check_version(format_args!("the type {}", ty.name()), ty.since())?;
        match declared.is_some_and(|it| it.name() == object.kind()) {
            true => self.writer.open(name, &[])?,
            false => self.writer.open(name, &[("xsi:type", object.kind())])?,
        }
        self.members(ty, object)?;
        self.writer.close(name);
        Ok(())
    }

    /// All fields, class by class, base first; unknown elements between them.
    fn members(&mut self, ty: Type, object: &Object) -> Result<()> {
        let all: Vec<Field> = ty.fields().collect();
        self.refuse_unknown(object, &all, ty.name())?;
        let raws: Vec<(Slot, &Raw)> = object
            .entries()
            .iter()
            .filter_map(|it| match it {
                Entry::Raw(raw) => Some((slot(raw, ty, object), raw)),
                Entry::Field { .. } => None,
            })
            .collect();
        for class in ty.classes() {
            for field in class.own_fields() {
                self.raws(&raws, Slot::Before(field.name));
                self.member(object, field)?;
            }
            self.raws(&raws, Slot::EndOf(class));
        }
        Ok(())
    }

    fn raws(&mut self, all: &[(Slot, &Raw)], here: Slot) {
        for (_, raw) in all.iter().filter(|(slot, _)| *slot == here) {
            self.writer.raw(&raw.xml);
        }
    }

    // ---- texts and numbers ----

    fn simple(&self, declared: Type, value: &Value) -> Result<String> {
        if let Value::Typed(own, inner) = value
            && *own == declared
        {
            // A server's own value: it may be newer than our enum.
            return match (declared.kind(), &**inner) {
                (TypeKind::Enum, Value::Text(text)) => Ok(text.clone()),
                _ => self.simple(declared, inner),
            };
        }
        let text = match (declared.kind(), value.plain()) {
            (TypeKind::Enum, Value::Text(text)) => return self.enumerated(declared, text),
            (_, plain) => scalar::write(declared.name(), plain),
        };
        text.ok_or_else(|| self.mismatch(declared, value))
    }

    fn enumerated(&self, declared: Type, text: &str) -> Result<String> {
        if declared.values().any(|it| it == text) {
            return Ok(text.to_owned());
        }
        let known: Vec<&str> = declared.values().take(12).collect();
        let error = self.wrong(format!("`{text}` is no {}", declared.name()));
        Err(error.hint(format!("Known: {}", known.join(", "))))
    }

    fn mismatch(&self, declared: Type, value: &Value) -> Error {
        let found = match value.plain() {
            Value::Null => "nothing".to_owned(),
            Value::Bool(flag) => format!("`{flag}`"),
            Value::Int(number) => format!("`{number}`"),
            Value::Float(number) => format!("`{number}`"),
            // Not the text itself: it may be a password in the wrong place.
            Value::Text(_) => "a text".to_owned(),
            Value::Binary(_) => "bytes".to_owned(),
            Value::Ref(reference) => format!("a reference to a {}", reference.kind),
            Value::List(_) => "a list".to_owned(),
            Value::Object(object) => format!("a {}", object.kind()),
            Value::Typed(ty, _) => format!("a {}", ty.name()),
        };
        self.wrong(format!("{} is wanted, not {found}", declared.name()))
    }

    // ---- anyType ----

    /// A value whose declared type says nothing, so that each carries its own.
    fn any(&mut self, name: &str, value: &Value) -> Result<()> {
        match value {
            Value::Typed(item, inner) => match &**inner {
                Value::List(items) => self.any_list(name, *item, items),
                single => self.any_typed(name, *item, single),
            },
            Value::Null => Err(self.wrong("a value is wanted")),
            Value::List(items) => {
                let item = scalar::common_type(items)
                    .ok_or_else(|| self.wrong("the items of the list have nothing in common"))?;
                self.any_list(name, item, items)
            }
            Value::Object(object) => match object.ty() {
                Some(ty) => self.any_typed(name, ty, value),
                None => Err(self.wrong(format!("`{}` is no type of the API", object.kind()))),
            },
            other => match scalar::own_type(other) {
                Some(ty) => self.any_typed(name, ty, other),
                None => Err(self.wrong("the value has no type")),
            },
        }
    }

    fn any_typed(&mut self, name: &str, ty: Type, value: &Value) -> Result<()> {
        match ty.kind() {
            TypeKind::Managed => self.reference(name, ty, value, true),
            TypeKind::Data => self.data(name, None, ty, value),
            TypeKind::Enum => {
                let text = self.simple(ty, &Value::Typed(ty, Box::new(value.clone())))?;
                self.leaf(name, &[("xsi:type", ty.name())], &text)
            }
            TypeKind::Primitive => {
                let text = self.simple(ty, value)?;
                self.leaf(name, &[("xsi:type", &format!("xsd:{}", ty.name()))], &text)
            }
        }
    }

    fn any_list(&mut self, name: &str, item: Type, items: &[Value]) -> Result<()> {
        let (wrapper, element) = scalar::array_names(item);
        self.writer.open(name, &[("xsi:type", &wrapper)])?;
        for (at, value) in items.iter().enumerate() {
            self.enter(Step::Item(at))?;
            match item.kind() {
                TypeKind::Primitive if !item.is_named("anyType") => {
                    self.any_typed(element, item, value)?;
                }
                _ => self.element(element, item, value)?,
            }
            self.path.pop();
        }
        self.writer.close(name);
        Ok(())
    }
}

/// Where an element that the schema does not know belongs among those that it knows.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Before(&'static str),
    EndOf(Type),
}

/// Before its next neighbour if both are of one class, else at the end of the class before it:
/// that is where newer versions add fields.
fn slot(raw: &Raw, ty: Type, object: &Object) -> Slot {
    let class = |name: Option<&'static str>| Some(ty.field(name?)?.owner);
    let still_there = |name: &str| object.fields().any(|(own, _)| own == name);
    match (raw.before, class(raw.after)) {
        (Some(next), None) if still_there(next) => Slot::Before(next),
        (Some(next), Some(here)) if class(raw.before) == Some(here) && still_there(next) => {
            Slot::Before(next)
        }
        (_, Some(here)) => Slot::EndOf(here),
        (_, None) => Slot::EndOf(ty),
    }
}
