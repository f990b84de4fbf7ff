//! Values of the API: what a request is built from and what an answer is read from.
//!
//! A tool builds with [`Object::new`] and [`Object::with`], and reads by path, as in
//! `vm.text("runtime.powerState")`. Nothing is checked here; `crate::vsphere::encode` checks a
//! request against the schema when it is sent. Surprising: an object that came from a server keeps
//! the elements that our schema does not know, in their place, so that sending it back loses
//! nothing. Depth is bounded by whoever builds from foreign input (the decoder stops at 100).

use std::borrow::Cow;

use crate::vim::table::Type;

/// One value of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing; an entry that holds it is not sent.
    Null,
    /// `boolean`.
    Bool(bool),
    /// `byte`, `short`, `int`, `long`: the schema knows the width.
    Int(i64),
    /// `float`, `double`.
    Float(f64),
    /// `string`, `dateTime`, `anyURI`, and the values of enums.
    Text(String),
    /// `base64Binary`.
    Binary(Vec<u8>),
    /// A managed object; boxed, so that a value is no larger than a string.
    Ref(Box<Ref>),
    /// An array.
    List(Vec<Value>),
    /// A data object.
    Object(Object),
    /// A value with its exact type, where its form does not tell: an `xsd:long` or an enum inside
    /// `anyType`, the type of a list's items, a value that our schema's enum lacks. Readers such as
    /// [`Value::as_int`] look through it.
    Typed(Type, Box<Value>),
}

/// A reference to a managed object: the server's type name and its opaque id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ref {
    /// The managed type, such as `VirtualMachine`.
    pub kind: Cow<'static, str>,
    /// The id, as the server gave it.
    pub id: String,
}

impl Ref {
    /// A reference of this type and id.
    pub fn new(kind: impl Into<Cow<'static, str>>, id: impl Into<String>) -> Ref {
        Ref { kind: kind.into(), id: id.into() }
    }
}

impl std::fmt::Display for Ref {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}

/// A data object, or the arguments of a method.
///
/// Behind a pointer: hundreds of functions hand objects on, and moving one word is less code.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Box<Body>);

#[derive(Clone, Debug, PartialEq)]
struct Body {
    kind: Cow<'static, str>,
    /// Of a type that the schema does not know: the known one that stood in its place.
    base: Option<Type>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// A soft one is our own default: left out where the server is too old for it.
    Field {
        name: &'static str,
        value: Value,
        soft: bool,
    },
    Raw(Raw),
}

/// An element that the schema does not know, as text that stands for itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Raw {
    pub(crate) xml: String,
    /// The known neighbours that the server sent around it.
    pub(crate) after: Option<&'static str>,
    pub(crate) before: Option<&'static str>,
}

impl Object {
    #[inline(never)]
    fn of(kind: Cow<'static, str>, base: Option<Type>) -> Object {
        Object(Box::new(Body { kind, base, entries: Vec::new() }))
    }

    /// An empty object of this type.
    pub fn new(kind: &'static str) -> Object {
        Object::of(Cow::Borrowed(kind), None)
    }

    /// The arguments of a method, by parameter name.
    pub fn args() -> Object {
        Object::new("")
    }

    /// An object of a type that only the server knows, read by the fields of a known one.
    pub(crate) fn foreign(kind: String, base: Type) -> Object {
        Object::of(Cow::Owned(kind), Some(base))
    }

    /// The same with this field; a field newer than the server makes the request fail.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Object {
        self.put(name, value.into(), false);
        self
    }

    /// The same with this field, if there is a value.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Object {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same with a default of our own: left out where the server is older than the field.
    pub fn offer(mut self, name: &'static str, value: impl Into<Value>) -> Object {
        self.put(name, value.into(), true);
        self
    }

    /// Gives a field a value, in its old place if it had one.
    pub fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.put(name, value.into(), false);
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let named = |it: &Entry| matches!(it, Entry::Field { name: own, .. } if *own == name);
        match self.0.entries.remove(self.0.entries.iter().position(named)?) {
            Entry::Field { value, .. } => Some(value),
            Entry::Raw(_) => None,
        }
    }

    /// A field to be changed in place.
    pub fn field_mut(&mut self, wanted: &str) -> Option<&mut Value> {
        self.0.entries.iter_mut().find_map(|it| match it {
            Entry::Field { name, value, .. } if *name == wanted => Some(value),
            _ => None,
        })
    }

    fn put(&mut self, name: &'static str, value: Value, soft: bool) {
        let named = |it: &&mut Entry| matches!(it, Entry::Field { name: own, .. } if *own == name);
        let fresh = Entry::Field { name, value, soft };
        match self.0.entries.iter_mut().find(named) {
            Some(place) => *place = fresh,
            None => self.0.entries.push(fresh),
        }
    }

    /// Keeps an element that the schema does not know, behind what has been read so far.
    pub(crate) fn keep_raw(&mut self, xml: String) {
        let after = self.fields().last().map(|(name, _)| name);
        self.0.entries.push(Entry::Raw(Raw { xml, after, before: None }));
    }

    /// Adds a field that the server sent, and remembers it as neighbour of unknown ones before it.
    pub(crate) fn keep(&mut self, name: &'static str, value: Value) {
        for entry in self.0.entries.iter_mut().rev() {
            match entry {
                Entry::Raw(raw) => raw.before = Some(name),
                Entry::Field { .. } => break,
            }
        }
        self.0.entries.push(Entry::Field { name, value, soft: false });
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.0.entries
    }

    /// The concrete type's name, also one that the schema does not know.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The type by whose fields it is read and written: its own, or the nearest that is known.
    pub fn ty(&self) -> Option<Type> {
        self.0.base.or_else(|| Type::find(&self.0.kind))
    }

    /// True for a type that only the server knows.
    pub fn is_foreign(&self) -> bool {
        self.0.base.is_some()
    }

    /// True when it is of this type or one that extends it; false where the schema cannot tell.
    pub fn is(&self, kind: &str) -> bool {
        match (self.ty(), Type::find(kind)) {
            (Some(own), Some(base)) => own.is_a(base),
            _ => false,
        }
    }

    /// The known fields, in the order in which they were set or read.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = (&'static str, &Value)> {
        self.0.entries.iter().filter_map(|it| match it {
            Entry::Field { name, value, .. } => Some((*name, value)),
            Entry::Raw(_) => None,
        })
    }

    /// The elements that the schema does not know, as XML.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.0.entries.iter().filter_map(|it| match it {
            Entry::Raw(raw) => Some(raw.xml.as_str()),
            Entry::Field { .. } => None,
        })
    }

    /// The value at a path such as `runtime.powerState`; lists end a path.
    ///
    /// A field of exactly that name comes first: answers of the property collector are flat, and
    /// their names have dots.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let own = |wanted: &str| self.fields().find(|(name, _)| *name == wanted);
        let found = match own(path) {
            Some((_, value)) => value,
            None => {
                let (head, rest) = path.split_once('.')?;
                own(head)?.1.plain().get(rest)?
            }
        };
        (*found != Value::Null).then_some(found)
    }
}

impl Value {
    /// The value at a path below this one.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.as_object()?.get(path)
    }

    /// The value itself, without the wrapper that names its type.
    pub fn plain(&self) -> &Value {
        match self {
            Value::Typed(_, inner) => inner.plain(),
            other => other,
        }
    }

    /// The text of a string, an enum or a time.
    pub fn as_text(&self) -> Option<&str> {
        match self.plain() {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn as_int(&self) -> Option<i64> {
        match self.plain() {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A number with or without a fraction.
    pub fn as_float(&self) -> Option<f64> {
        match self.plain() {
            Value::Float(number) => Some(*number),
            Value::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain() {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// Bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self.plain() {
            Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A reference to a managed object.
    pub fn as_reference(&self) -> Option<&Ref> {
        match self.plain() {
            Value::Ref(reference) => Some(reference),
            _ => None,
        }
    }

    /// A data object.
    pub fn as_object(&self) -> Option<&Object> {
        match self.plain() {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The items of a list; a value that is none counts as a list of itself.
    pub fn items(&self) -> &[Value] {
        match self.plain() {
            Value::List(items) => items,
            Value::Null => &[],
            single => std::slice::from_ref(single),
        }
    }

    /// The object itself, if it is one.
    pub fn into_reference(self) -> Option<Ref> {
        match self {
            Value::Ref(reference) => Some(*reference),
            Value::Typed(_, inner) => inner.into_reference(),
            _ => None,
        }
    }

    /// The object that this is.
    pub fn into_object(self) -> Option<Object> {
        match self {
            Value::Object(object) => Some(object),
            Value::Typed(_, inner) => inner.into_object(),
            _ => None,
        }
    }

    /// The items themselves, as [`Value::items`].
    pub fn into_items(self) -> Vec<Value> {
        match self {
            Value::List(items) => items,
            Value::Typed(_, inner) => inner.into_items(),
            Value::Null => Vec::new(),
            single => vec![single],
        }
    }
}

/// Reading by path, the same for an object and for a value that may be one.
macro_rules! readers {
    ($($on:ty),*) => {$(
        impl $on {
            /// The text at a path.
            pub fn text(&self, path: &str) -> Option<&str> {
                self.get(path)?.as_text()
            }

            /// The whole number at a path.
            pub fn int(&self, path: &str) -> Option<i64> {
                self.get(path)?.as_int()
            }

            /// The number at a path.
            pub fn float(&self, path: &str) -> Option<f64> {
                self.get(path)?.as_float()
            }

            /// The truth value at a path.
            pub fn flag(&self, path: &str) -> Option<bool> {
                self.get(path)?.as_bool()
            }

            /// The reference at a path.
            pub fn reference(&self, path: &str) -> Option<&Ref> {
                self.get(path)?.as_reference()
            }

            /// The object at a path.
            pub fn object(&self, path: &str) -> Option<&Object> {
                self.get(path)?.as_object()
            }

            /// The items at a path; none where there is nothing.
            pub fn list(&self, path: &str) -> &[Value] {
                self.get(path).map_or(&[], Value::items)
            }

            /// The objects of the list at a path.
            pub fn objects(&self, path: &str) -> impl Iterator<Item = &Object> {
                self.list(path).iter().filter_map(Value::as_object)
            }

            /// The references of the list at a path.
            pub fn references(&self, path: &str) -> impl Iterator<Item = &Ref> {
                self.list(path).iter().filter_map(Value::as_reference)
            }

            /// The texts of the list at a path.
            pub fn texts(&self, path: &str) -> impl Iterator<Item = &str> {
                self.list(path).iter().filter_map(Value::as_text)
            }
        }
    )*};
}

readers!(Object, Value);

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Object {
        Object::new("VirtualDisk")
            .with("key", -101)
            .with("backing", Object::new("VirtualDiskFlatVer2BackingInfo").with("fileName", "[ds]"))
            .with_some("unitNumber", None::<i32>)
            .with("capacityInKB", 5u64)
    }

    #[test]
    fn paths_reach_into_objects_and_stop_at_lists() {
        let spec = Object::new("VirtualMachineConfigSpec")
            .with("name", "web01")
            .with(
                "deviceChange",
                vec![Object::new("VirtualDeviceConfigSpec").with("device", disk())],
            )
            .with("cpuHotAddEnabled", true);
        assert_eq!(spec.text("name"), Some("web01"));
        assert_eq!(spec.flag("cpuHotAddEnabled"), Some(true));
        assert_eq!(spec.objects("deviceChange").count(), 1);
        let change = spec.objects("deviceChange").next().unwrap();
        assert_eq!(change.text("device.backing.fileName"), Some("[ds]"));
        assert_eq!(change.int("device.capacityInKB"), Some(5));
        assert_eq!(spec.get("deviceChange.device"), None);
        assert!(spec.list("nothing.at.all").is_empty());
        assert_eq!(spec.list("name").len(), 1);
    }

    #[test]
    fn flat_names_with_dots_are_found_first() {
        let row = Object::new("X").with("runtime.powerState", "poweredOn");
        assert_eq!(row.text("runtime.powerState"), Some("poweredOn"));
    }

    #[test]
    fn hierarchy_and_change() {
        let mut disk = disk();
        assert!(
            disk.is("VirtualDisk") && disk.is("VirtualDevice") && !disk.is("VirtualController")
        );
        assert!(!Object::new("Nonsense").is("VirtualDevice") && !disk.is("Nonsense"));
        disk.set("key", 2000);
        assert_eq!(
            (disk.int("key"), disk.fields().next().map(|it| it.0)),
            (Some(2000), Some("key"))
        );
        assert_eq!(disk.remove("key"), Some(Value::Int(2000)));
        assert_eq!((disk.remove("key"), disk.get("key")), (None, None));
        *disk.field_mut("capacityInKB").unwrap() = 7.into();
        assert_eq!(disk.float("capacityInKB"), Some(7.0));
    }

    #[test]
    fn a_typed_value_reads_like_a_plain_one() {
        let long = Value::Typed(Type::find("long").unwrap(), Box::new(Value::Int(5)));
        assert_eq!(long.as_int(), Some(5));
        assert_eq!(Value::from(u64::MAX).as_int(), None);
    }
}
