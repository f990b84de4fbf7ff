//! The table of what the simulated server does: methods and computed properties, by family.
//!
//! A method is a row and a function, a property too. What has no row is a fault that says whether
//! a real server of this kind would lack it or only this one does.

use crate::sim;
use crate::sim::fault::Result;
use crate::sim::world::World;

use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};
use crate::vim::version::Version;

/// One call of a method, already checked against the schema.
pub struct Call<'a> {
    /// The object.
    pub this: &'a Ref,
    /// The method's name.
    pub method: &'static str,
    /// Its arguments by name.
    pub args: &'a Object,
    /// The cookie of the caller's session; empty without one.
    pub session: &'a str,
    /// Who calls; empty without a session.
    pub user: &'a str,
    /// The version in which the client speaks.
    pub version: Version,
}

/// What runs a method; `Value::Null` where it answers nothing.
pub type Run = fn(&mut World, &Call) -> Result<Value>;

/// A method that is played.
pub struct Method {
    /// The managed type, or one that it extends.
    pub on: &'static str,
    /// The name on the wire.
    pub name: &'static str,
    /// Its body.
    pub run: Run,
}

/// A property that is computed.
pub struct Property {
    /// The managed type, or one that it extends.
    pub on: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its value for the object of this id.
    pub get: fn(&World, &str) -> Option<Value>,
}

/// What one family plays.
pub struct Family {
    /// Methods.
    pub methods: &'static [Method],
    /// Computed properties.
    pub properties: &'static [Property],
}

const FAMILIES: &[Family] = &[
    sim::sessions::FAMILY,
    sim::props::FAMILY,
    sim::watch::FAMILY,
    sim::views::FAMILY,
    sim::task::FAMILY,
    sim::entity::FAMILY,
    sim::machine_view::FAMILY,
    sim::power::FAMILY,
    sim::host::FAMILY,
    sim::host_services::FAMILY,
    sim::host_network::FAMILY,
    sim::host_storage::FAMILY,
    sim::options::FAMILY,
    sim::licence::FAMILY,
    sim::permissions::FAMILY,
    sim::accounts::FAMILY,
    sim::guest_ops::FAMILY,
    sim::screen_http::FAMILY,
    sim::machine_more::FAMILY,
    sim::lifecycle::FAMILY,
    sim::snapshots::FAMILY,
    sim::search::FAMILY,
    sim::clone::FAMILY,
    sim::datastore::FAMILY,
    sim::datastore::BROWSER,
    sim::datastore::DISKS,
    sim::datastore::MANAGER,
    sim::nfc::FAMILY,
    sim::ovf_manager::FAMILY,
    sim::events::FAMILY,
    sim::collectors::FAMILY,
    sim::perf::FAMILY,
    sim::vcenter::FAMILY,
    sim::folders::FAMILY,
    sim::pools::FAMILY,
    sim::alarms::FAMILY,
    sim::custom::FAMILY,
];

/// The row of a method for objects of this type.
pub fn method(kind: &str, name: &str) -> Option<&'static Method> {
    let mut named = FAMILIES.iter().flat_map(|it| it.methods).filter(|it| it.name == name);
    named.find(|it| is(kind, it.on))
}

/// The row of a property for objects of this type.
pub fn property(kind: &str, name: &str) -> Option<&'static Property> {
    let mut named = FAMILIES.iter().flat_map(|it| it.properties).filter(|it| it.name == name);
    named.find(|it| is(kind, it.on))
}

/// Whether a type is another one or extends it.
pub fn is(kind: &str, base: &str) -> bool {
    kind == base || Type::find(kind).zip(Type::find(base)).is_some_and(|(own, base)| own.is_a(base))
}
