//! Events as clients see them: the right type, with everything that the type demands.
//!
//! An event is noted as kind, subject and sentence; its other fields follow from where the subject
//! stood and from the schema. Surprising: a kind that the schema does not have becomes an `EventEx`,
//! and one whose demands cannot be met a `GeneralEvent`, so nobody who notes one can be wrong.

use crate::sim::clock::stamp;
use crate::sim::collectors;
use crate::sim::fault::{Fault, Result};
use crate::sim::history::Event;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::vim::table::{Field, Type, TypeKind};
use crate::vim::value::{Object, Ref, Value};

/// Kind, category, and the sentence of kinds that happen here; `{vm.name}` is the machine's name.
#[rustfmt::skip]
pub const KINDS: &[(&str, &str, &str)] = &[
    ("VmPoweredOnEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is powered on"),
    ("VmPoweredOffEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is powered off"),
    ("VmSuspendedEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is suspended"),
    ("VmResettingEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is reset"),
    ("VmStartingEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is starting"),
    ("VmStoppingEvent", "info", "{vm.name} on {host.name} in {datacenter.name} is stopping"),
    ("VmGuestShutdownEvent", "info", "Guest OS shut down for {vm.name} on {host.name} in {datacenter.name}"),
    ("VmGuestRebootEvent", "info", "Guest OS reboot for {vm.name} on {host.name} in {datacenter.name}"),
    ("VmBeingCreatedEvent", "info", "Creating {vm.name} on host {host.name} in {datacenter.name}"),
    ("VmCreatedEvent", "info", "Created virtual machine {vm.name} on {host.name} in {datacenter.name}"),
    ("VmRegisteredEvent", "info", "Registered {vm.name} on {host.name} in {datacenter.name}"),
    ("VmReconfiguredEvent", "info", "Reconfigured {vm.name} on {host.name} in {datacenter.name}"),
    ("VmRenamedEvent", "info", "Renamed {vm.name} from {oldName} to {newName} in {datacenter.name}"),
    ("VmRemovedEvent", "info", "Removed {vm.name} on {host.name} from {datacenter.name}"),
    ("VmClonedEvent", "info", "{sourceVm.name} cloned to {vm.name} on {host.name} in {datacenter.name}"),
    ("VmMessageEvent", "info", "Message on {vm.name} on {host.name} in {datacenter.name}: {message}"),
    ("VmAcquiredTicketEvent", "info", "A ticket for {vm.name} of type {ticketType} on {host.name} in {datacenter.name} has been acquired"),
    ("VmMigratedEvent", "info", "Migration of virtual machine {vm.name} from {sourceHost.name} to {host.name} completed"),
    ("DrsVmMigratedEvent", "info", "DRS migrated {vm.name} from {sourceHost.name} to {host.name} in cluster {computeResource.name}"),
    ("VmResourcePoolMovedEvent", "info", "Moved {vm.name} from resource pool {oldParent.name} to {newParent.name} in {datacenter.name}"),
    ("ResourcePoolCreatedEvent", "info", "Created resource pool {resourcePool.name} in compute-resource {computeResource.name}"),
    ("ResourcePoolDestroyedEvent", "info", "Removed resource pool {resourcePool.name} on {computeResource.name}"),
    ("UserLoginSessionEvent", "info", "User {userName}@{ipAddress} logged in as {userAgent}"),
    ("UserLogoutSessionEvent", "info", "User {userName}@{ipAddress} logged out (login time: {loginTime}, number of API invocations: {callCount}, user agent: {userAgent})"),
    ("BadUsernameSessionEvent", "error", "Cannot login {userName}@{ipAddress}"),
    ("AlarmStatusChangedEvent", "info", "Alarm '{alarm.name}' on {entity.name} changed from {from.@enum.ManagedEntity.Status} to {to.@enum.ManagedEntity.Status}"),
    ("GeneralUserEvent", "user", "User logged event: {message}"),
    ("GeneralEvent", "info", "{message}"),
    ("EventEx", "info", "{message}"),
];

/// The category of a kind.
fn category(kind: &str) -> &'static str {
    let failed = kind.contains("Fail") || kind.contains("Error");
    let known = KINDS.iter().find(|it| it.0 == kind).map(|it| it.1);
    known.unwrap_or(if failed { "error" } else { "info" })
}

/// What an event's required fields are taken from.
struct Maker<'a> {
    world: &'a World,
    event: &'a Event,
}

impl Maker<'_> {
    /// The nearest object of this type: the subject or what stood above it.
    fn near(&self, kind: &str) -> Option<(Ref, String)> {
        let wanted = Type::find(kind)?;
        let fits = |it: &str| Type::find(it).is_some_and(|own| own.is_a(wanted));
        if let Some(subject) = self.event.subject.as_ref().filter(|it| fits(&it.kind)) {
            return Some((subject.clone(), self.event.name.clone()));
        }
        let above = self.event.above.iter().filter_map(|it| self.world.reference(it));
        let root = self.world.first("Folder").filter(|_| kind == "ManagedEntity");
        let found = above.chain(root).find(|it| fits(&it.kind));
        let found = found.or_else(|| self.sibling(kind))?;
        let name = self.world.name(&found.id).or_else(|| self.alarm(&found.id));
        let name = name.unwrap_or_default().to_owned();
        Some((found, name))
    }

    /// The name of an alarm.
    fn alarm(&self, id: &str) -> Option<&str> {
        self.world.plain.get(id)?.props.text("info.name")
    }

    /// A machine has datastores and networks that do not stand above it; an alarm is known by the
    /// sentence.
    fn sibling(&self, kind: &str) -> Option<Ref> {
        if kind == "Alarm" {
            let told = |id: &str| self.alarm(id).is_some_and(|it| self.event.text.contains(it));
            let id = self.world.all(kind).find(|(id, _)| told(id))?.0;
            return self.world.reference(id);
        }
        let property = match kind {
            "Datastore" => "datastore",
            "Network" => "network",
            _ => return None,
        };
        let value = self.world.property(self.event.subject.as_ref()?, property)?;
        value.items().first()?.as_reference().cloned()
    }

    /// `vm`, `host` and the like, where there is one.
    fn argument(&self, ty: Type) -> Option<Value> {
        let own = ty.own_fields().find(|it| it.ty.kind() == TypeKind::Managed)?;
        let (object, name) = self.near(own.ty.name())?;
        let name = if name.is_empty() { object.id.clone() } else { name };
        Some(Object::new(ty.name()).with("name", name).with(own.name, object).into())
    }

    /// A value for a field that the type demands.
    fn needed(&self, field: &Field, depth: u8) -> Option<Value> {
        let text = || match field.name {
            "message" => self.event.text.clone(),
            "ipAddress" => "127.0.0.1".to_owned(),
            "locale" => "en".to_owned(),
            "eventTypeId" => self.event.kind.to_owned(),
            "newName" => self.event.name.clone(),
            "from" | "to" => "gray".to_owned(),
            _ => String::new(),
        };
        Some(match (field.ty.kind(), field.ty.name()) {
            (_, "string") => text().into(),
            (_, "boolean") => false.into(),
            (_, "int" | "long" | "short" | "byte") => 0.into(),
            (_, "dateTime") => stamp(self.event.at).into(),
            (TypeKind::Managed, kind) => self.near(kind)?.0.into(),
            (TypeKind::Enum, _) => field.ty.values().next()?.into(),
            (TypeKind::Data, _) if field.ty.is_a(Type::find("EntityEventArgument")?) => {
                self.argument(field.ty)?
            }
            (TypeKind::Data, kind) if depth < 4 => {
                self.filled(Object::new(kind), field.ty, depth + 1)?.into()
            }
            _ => return None,
        })
    }

    /// The object with every field that its type demands.
    fn filled(&self, mut object: Object, ty: Type, depth: u8) -> Option<Object> {
        for field in ty.fields().filter(|it| !it.optional && !it.array) {
            if object.get(field.name).is_none() {
                object.set(field.name, self.needed(&field, depth)?);
            }
        }
        Some(object)
    }

    fn made(&self, kind: &'static str) -> Option<Object> {
        let base = Type::find("Event")?;
        let ty = Type::find(kind).filter(|it| it.is_a(base))?;
        let event = self.event;
        let mut object = Object::new(kind)
            .with("key", event.key)
            .with("chainId", event.key)
            .with("createdTime", stamp(event.at))
            .with("userName", event.user.as_str())
            .with("fullFormattedMessage", event.text.as_str());
        for name in ["datacenter", "computeResource", "host", "vm", "ds", "net"] {
            let field = ty.field(name);
            let subject = event.subject.as_ref().is_some_and(|it| it.kind != "VirtualMachine");
            let wanted = !matches!(name, "ds" | "net") || subject;
            if let Some(value) = field.filter(|_| wanted).and_then(|it| self.argument(it.ty)) {
                object.set(name, value);
            }
        }
        if kind == "EventEx" {
            object.set("message", event.text.as_str());
        }
        self.filled(object, ty, 0)
    }
}

/// An event as the API has it.
pub fn shown(world: &World, event: &Event) -> Object {
    let maker = Maker { world, event };
    let unknown = Type::find(event.kind).is_none();
    let made = maker.made(event.kind).filter(|_| !unknown);
    let other = || maker.made(if unknown { "EventEx" } else { "GeneralEvent" });
    made.or_else(other).unwrap_or_else(|| Object::new("GeneralEvent"))
}

/// True when the filter lets this event through.
pub fn passes(filter: &Object, event: &Event) -> bool {
    let kinds = |name| filter.texts(name).map(|it| it.strip_prefix("vim.event.").unwrap_or(it));
    let of = |wanted: &str| {
        let own = Type::find(event.kind).zip(Type::find(wanted));
        event.kind == wanted || own.is_some_and(|(own, base)| own.is_a(base))
    };
    let among = |name| kinds(name).next().is_none() || kinds(name).any(of);
    let mut categories = filter.texts("category").peekable();
    collectors::concerns(filter, event.subject.as_ref(), &event.above)
        && collectors::within(filter, event.at)
        && collectors::by(filter, &event.user)
        && filter.int("eventChainId").is_none_or(|it| it == event.key.cast_signed())
        && (categories.peek().is_none() || categories.any(|it| it == category(event.kind)))
        && among("type")
        && among("eventTypeId")
}

fn query(world: &mut World, call: &Call) -> Result<Value> {
    let empty = Object::args();
    let filter = call.args.object("filter").unwrap_or(&empty);
    collectors::check(world, filter)?;
    let most = match filter.int("maxCount") {
        None => 1000,
        Some(count) => usize::try_from(count).unwrap_or(0),
    };
    let newest = world.history.events.iter().rev().filter(|it| passes(filter, it)).take(most);
    let mut found: Vec<Object> = newest.map(|it| shown(world, it)).collect();
    // unverified: that the oldest comes first.
    found.reverse();
    Ok(found.into())
}

fn log_user(world: &mut World, call: &Call) -> Result<Value> {
    let entity = call.args.reference("entity").ok_or_else(|| Fault::invalid_argument("entity"))?;
    let known = world.reference(&entity.id).ok_or_else(|| Fault::gone(entity))?;
    let text = call.args.text("msg").unwrap_or_default();
    world.event("GeneralUserEvent", call.user, Some(&known), text);
    Ok(Value::Null)
}

fn described(key: &str) -> Object {
    let label = key.get(..1).map(str::to_uppercase).unwrap_or_default();
    let label = label + key.get(1..).unwrap_or_default();
    collectors::element(key, &label)
}

fn description(_: &World, _: &str) -> Option<Value> {
    let categories: Value = ["info", "warning", "error", "user"].map(described).into();
    let infos = KINDS.iter().map(|(kind, category, format)| {
        Object::new("EventDescriptionEventDetail")
            .with("key", *kind)
            .with("description", kind.trim_end_matches("Event"))
            .with("category", *category)
            .with("formatOnDatacenter", *format)
            .with("formatOnComputeResource", *format)
            .with("formatOnHost", *format)
            .with("formatOnVm", *format)
            .with("fullFormat", *format)
    });
    let infos: Value = infos.collect();
    Some(
        Object::new("EventDescription")
            .with("category", categories)
            .with("eventInfo", infos)
            .into(),
    )
}

fn latest(world: &World, _: &str) -> Option<Value> {
    world.history.events.back().map(|it| shown(world, it).into())
}

/// Minutes before the start, the kind, the machine (or nothing), who, and the sentence behind its
/// name.
#[rustfmt::skip]
const PAST: &[(i64, &str, &str, &str, &str)] = &[
    (1430, "UserLoginSessionEvent", "", "root", "User root@10.20.0.50 logged in as VMware-client/8.0.3"),
    (1428, "VmPoweredOffEvent", "files01", "root", " is powered off"),
    (1425, "VmReconfiguredEvent", "files01", "root", ""),
    (1380, "UserLogoutSessionEvent", "", "root", "User root@10.20.0.50 logged out"),
    (1210, "VmGuestRebootEvent", "web01", "", ""),
    (1209, "VmMessageEvent", "web01", "", ""),
    (1020, "UserLoginSessionEvent", "", "root", "User root@10.20.0.51 logged in as pyvmomi Python/3.12"),
    (1018, "VmReconfiguredEvent", "web02", "root", ""),
    (1017, "VmResettingEvent", "web02", "root", " is reset"),
    (1010, "UserLogoutSessionEvent", "", "root", "User root@10.20.0.51 logged out"),
    (890, "BadUsernameSessionEvent", "", "admin", "Cannot login admin@10.20.0.77"),
    (889, "BadUsernameSessionEvent", "", "admin", "Cannot login admin@10.20.0.77"),
    (888, "BadUsernameSessionEvent", "", "admin", "Cannot login admin@10.20.0.77"),
    (700, "UserLoginSessionEvent", "", "root", "User root@10.20.0.50 logged in as VMware-client/8.0.3"),
    (698, "VmBeingCreatedEvent", "test01", "root", ""),
    (697, "VmCreatedEvent", "test01", "root", ""),
    (690, "VmStartingEvent", "test01", "root", " is starting"),
    (689, "VmPoweredOnEvent", "test01", "root", " is powered on"),
    (612, "VmAcquiredTicketEvent", "test01", "root", ""),
    (598, "VmGuestShutdownEvent", "test01", "root", ""),
    (597, "VmPoweredOffEvent", "test01", "", " is powered off"),
    (590, "UserLogoutSessionEvent", "", "root", "User root@10.20.0.50 logged out"),
    (480, "VmReconfiguredEvent", "db01", "root", ""),
    (365, "VmSuspendedEvent", "build01", "root", " is suspended"),
    (240, "VmPoweredOffEvent", "fw-lab", "root", " is powered off"),
    (185, "VmRegisteredEvent", "legacy-erp", "root", ""),
    (120, "UserLoginSessionEvent", "", "root", "User root@10.20.0.50 logged in as VMware-client/8.0.3"),
    (95, "VmStartingEvent", "kiosk01", "root", " is starting"),
    (94, "VmPoweredOnEvent", "kiosk01", "root", " is powered on"),
    (61, "VmMessageEvent", "kiosk01", "", ""),
    (58, "UserLogoutSessionEvent", "", "root", "User root@10.20.0.50 logged out"),
];

/// A past for a server that has just been started.
pub fn seed(world: &mut World) {
    for (minutes, kind, name, user, text) in PAST {
        let found = world.machines.values().find(|it| it.name == *name);
        let subject = found.map(crate::sim::machine::Machine::reference);
        if subject.is_none() && !name.is_empty() {
            continue;
        }
        let question = found.and_then(|it| Some(it.question.as_ref()?.text.clone()));
        let format = KINDS.iter().find(|it| it.0 == *kind).map_or("", |it| it.2);
        let above = subject.as_ref().map(|it| world.above(it)).unwrap_or_default();
        let named = |kind: &str| {
            let id = above.iter().find(|it| world.kind_of(it) == Some(kind));
            id.and_then(|it| world.name(it)).unwrap_or_default()
        };
        let text = match (name.is_empty(), text.is_empty()) {
            (true, _) => (*text).to_owned(),
            (_, false) => format!("{name}{text}"),
            _ => format
                .replace("{vm.name}", name)
                .replace("{host.name}", named("HostSystem"))
                .replace("{datacenter.name}", named("Datacenter"))
                .replace("{ticketType}", "webmks")
                .replace("{message}", question.as_deref().unwrap_or("Install VMware Tools.")),
        };
        world.happened(world.now - minutes * 60_000, kind, user, subject.as_ref(), &text);
    }
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "EventManager", name: "QueryEvents", run: query },
        Method { on: "EventManager", name: "LogUserEvent", run: log_user },
    ],
    properties: &[
        Property { on: "EventManager", name: "description", get: description },
        Property { on: "EventManager", name: "latestEvent", get: latest },
        Property { on: "EventManager", name: "maxCollector", get: |_, _| Some(1000.into()) },
    ],
};
