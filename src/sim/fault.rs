//! Faults as a host gives them: the data object, and the sentence that goes with it.
//!
//! Sentences are those that clients know from hosts, because people search for them; where one was
//! not seen in a public source, the type alone is what counts.

use std::ops::{Deref, DerefMut};

use crate::vim::value::{Object, Ref, Value};

/// The answer of a method that was refused. Boxed, because every `?` on the way carries it along.
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

/// What a method of the simulated host answers.
pub type Result<T> = std::result::Result<T, Fault>;

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

impl Fault {
    /// A fault of this schema type.
    pub fn new(kind: &'static str, text: impl Into<String>) -> Fault {
        Fault(Box::new(Told { detail: Object::new(kind), text: text.into() }))
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

    /// As data: in a task, a lease, a missing set.
    pub fn localized(self) -> Object {
        Object::new("LocalizedMethodFault")
            .with("fault", self.0.detail)
            .with("localizedMessage", self.0.text)
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
