//! Faults as a host gives them: the data object, and the sentence that goes with it.
//!
//! Sentences are those that clients know from hosts, because people search for them; where one was
//! not seen in a public source, the type alone is what counts.

use std::ops::{Deref, DerefMut};

use crate::vim::table::{Type, TypeKind};
use crate::vim::value::{Object, Ref, Value};

/// The answer of a method that was refused.
///
/// Behind a pointer: every function that can fail hands it on.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault(Box<Told>);

/// What a fault says.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The fault itself, such as `InvalidPowerState` with its fields.
    pub detail: Object,
    /// `faultstring`, `localizedMessage`.
    pub text: String,
}

impl Deref for Fault {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl DerefMut for Fault {
    fn deref_mut(&mut self) -> &mut Told {
        &mut self.0
    }
}

/// What a method of the simulated host answers.
pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A fault of this schema type.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Fault {
        Fault::of(Object::new(kind), text.into())
    }

    #[inline(never)]
    fn of(detail: Object, text: String) -> Fault {
        Fault(Box::new(Told { detail, text }))
    }

    /// The same with a field of its type.
    pub fn with(mut self, field: &'static str, value: impl Into<Value>) -> Fault {
        self.detail.set(field, value);
        self
    }

    /// No room for another session: told by the status 503 alone, without an envelope.
    pub fn overload() -> Fault {
        Fault::new("", "")
    }

    /// Whether it is told by a status alone.
    pub fn is_overload(&self) -> bool {
        self.kind().is_empty()
    }

    /// The name of its type.
    pub fn kind(&self) -> &str {
        self.detail.kind()
    }

    /// With every field that it must have: those that nobody set say nothing, or name `object`.
    pub fn completed(mut self, object: &Ref) -> Fault {
        if let Some(ty) = Type::find(self.detail.kind()) {
            complete(&mut self.detail, ty, object, 0);
        }
        self
    }

    /// As data: in a task, a lease, a missing set.
    pub fn localized(self) -> Object {
        let Told { detail, text } = *self.0;
        Object::new("LocalizedMethodFault").with("fault", detail).with("localizedMessage", text)
    }

    /// The request itself is wrong.
    pub fn invalid_request(text: impl Into<String>) -> Fault {
        Fault::new("InvalidRequest", text)
    }

    /// A parameter has a value that cannot be; `path` such as `spec.deviceChange[0].operation`.
    pub fn invalid_argument(path: &str) -> Fault {
        Fault::new("InvalidArgument", format!("A specified parameter was not correct: {path}"))
            .with("invalidProperty", path)
    }

    /// The object is not there, or no more.
    pub fn gone(object: &Ref) -> Fault {
        let text = "The object has already been deleted or has not been completely created";
        Fault::new("ManagedObjectNotFound", text).with("obj", object.clone())
    }

    /// No session, or one that ended.
    pub fn not_authenticated(object: &Ref, privilege: &str) -> Fault {
        Fault::new("NotAuthenticated", "The session is not authenticated.")
            .with("object", object.clone())
            .with("privilegeId", privilege)
    }

    /// Nothing of that name is there.
    pub fn not_found() -> Fault {
        Fault::new("NotFound", "The object or item referred to could not be found.")
    }

    /// Not now.
    pub fn invalid_state() -> Fault {
        Fault::new("InvalidState", "The operation is not allowed in the current state.")
    }

    /// What this kind of server never does.
    pub fn not_supported() -> Fault {
        Fault::new("NotSupported", "The operation is not supported on the object.")
    }

    /// What a real host does and this one does not play.
    pub fn not_played(what: &str) -> Fault {
        Fault::new("NotImplemented", format!("The simulated host does not play {what}."))
    }

    /// Something of that name is there already.
    pub fn duplicate_name(name: &str, object: &Ref) -> Fault {
        Fault::new("DuplicateName", format!("The name '{name}' already exists."))
            .with("name", name)
            .with("object", object.clone())
    }

    /// The machine is not in a state for this.
    pub fn power_state(requested: &str, existing: &str) -> Fault {
        let shown = match existing {
            "poweredOn" => "Powered on",
            "poweredOff" => "Powered off",
            _ => "Suspended",
        };
        Fault::new(
            "InvalidPowerState",
            format!("The attempted operation cannot be performed in the current state ({shown})."),
        )
        .with("requestedState", requested)
        .with("existingState", existing)
    }
}

/// Gives a data object the fields that it lacks; what holds itself ends at some depth.
fn complete(data: &mut Object, ty: Type, object: &Ref, depth: usize) {
    for field in ty.fields().filter(|it| !it.optional && !it.array) {
        if data.get(field.name).is_some() || depth > 3 {
            continue;
        }
        let value = match (field.ty.kind(), field.ty.name()) {
            (TypeKind::Managed, name) => {
                let fits = Type::find(&object.kind).is_some_and(|it| it.is_a(field.ty));
                let kind = if fits { object.kind.to_string() } else { name.to_owned() };
                Ref::new(kind, object.id.clone()).into()
            }
            (TypeKind::Enum, _) => field.ty.values().next().unwrap_or_default().into(),
            (TypeKind::Data, name) => {
                let mut inner = Object::new(name);
                complete(&mut inner, field.ty, object, depth + 1);
                inner.into()
            }
            (_, "boolean") => false.into(),
            (_, "byte" | "short" | "int" | "long") => 0.into(),
            (_, "float" | "double") => Value::Float(0.0),
            (_, "dateTime") => "1970-01-01T00:00:00Z".into(),
            _ => "".into(),
        };
        data.set(field.name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::writer;
    use crate::vim::table;
    use crate::vim::version::Version;

    #[test]
    fn every_fault_of_the_api_can_be_answered_by_a_rule() {
        let newest = Version::all().last().unwrap();
        let base = Type::find("MethodFault").unwrap();
        let object = Ref::new("VirtualMachine", "12");
        let mut count = 0;
        for ty in table::types().filter(|it| it.kind() == TypeKind::Data && it.is_a(base)) {
            let fault = Fault::new(ty.name(), "told to").completed(&object);
            let text = writer::fault(&fault, newest);
            assert!(text.contains(&format!("<{}Fault ", ty.name())), "{text}");
            count += 1;
        }
        assert!(count > 500, "{count}");
    }
}
