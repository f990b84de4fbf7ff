//! Alarms of a vCenter: what is watched, what is triggered, who acknowledged it.
//!
//! Surprising: nothing triggers an alarm here; one is triggered at the start, and stays.

use crate::sim::clock::stamp;
use crate::sim::collectors::element;
use crate::sim::fault::{Fault, Result};
use crate::sim::folders;
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::World;
use crate::vim::table::Type;
use crate::vim::value::{Object, Ref, Value};

/// The alarms that were triggered on this object itself.
fn own<'a>(world: &'a World, id: &str) -> impl Iterator<Item = &'a Object> {
    let list = world.plain.get(id).map_or(&[][..], |it| it.props.list("triggeredAlarmState"));
    list.iter().filter_map(Value::as_object)
}

/// Those of an entity and of everything below it.
fn triggered(world: &World, id: &str) -> Option<Value> {
    if !world.vcenter {
        return Some(Value::List(Vec::new()));
    }
    let marked = world.plain.iter().filter(|(_, it)| it.props.get("triggeredAlarmState").is_some());
    let below = marked.filter(|(other, it)| {
        *other == id || world.above(&Ref::new(it.kind, other.as_str())).iter().any(|up| up == id)
    });
    Some(below.flat_map(|(other, _)| own(world, other)).collect())
}

/// Types that the expression of an alarm is about.
fn about(expression: &Object) -> Vec<&str> {
    let nested = expression.objects("expression").flat_map(about);
    let own = expression.text("type").or(expression.text("objectType"));
    own.into_iter().chain(nested).collect()
}

/// Every alarm that watches this entity, and how it stands.
fn declared(world: &World, entity: &Ref) -> Vec<Object> {
    let own_type = Type::find(&entity.kind);
    let above = world.above(entity);
    let watches = |info: &Object| {
        let place =
            info.reference("entity").is_some_and(|it| it.id == entity.id || above.contains(&it.id));
        let is =
            |kind: &str| own_type.zip(Type::find(kind)).is_some_and(|(own, base)| own.is_a(base));
        place && info.object("expression").is_some_and(|it| about(it).into_iter().any(is))
    };
    let alarms = world.all("Alarm").filter(|(_, props)| props.object("info").is_some_and(watches));
    let state = |(id, _): (&str, &Object)| {
        let known =
            own(world, &entity.id).find(|it| it.reference("alarm").is_some_and(|it| it.id == id));
        known.cloned().unwrap_or_else(|| {
            let number = entity.id.rsplit('-').next().unwrap_or_default();
            Object::new("AlarmState")
                .with("key", format!("{id}.{number}"))
                .with("entity", entity)
                .with("alarm", Ref::new("Alarm", id))
                .with("overallStatus", "green")
                .with("time", stamp(world.now))
                .with("acknowledged", false)
        })
    };
    alarms.map(state).collect()
}

fn states(world: &World, id: &str) -> Option<Value> {
    Some(declared(world, &world.reference(id)?).into())
}

fn entity(world: &World, call: &Call) -> Result<Ref> {
    let asked = call.args.reference("entity").ok_or_else(|| Fault::invalid_argument("entity"))?;
    world.reference(&asked.id).ok_or_else(|| Fault::gone(asked))
}

fn get(world: &mut World, call: &Call) -> Result<Value> {
    let wanted = match call.args.reference("entity") {
        Some(_) => Some(entity(world, call)?),
        None => None,
    };
    let on = |props: &Object| {
        let place = props.reference("info.entity");
        wanted.as_ref().is_none_or(|it| place.is_some_and(|place| place.id == it.id))
    };
    let found = world.all("Alarm").filter(|(_, props)| on(props));
    Ok(found.map(|(id, _)| Ref::new("Alarm", id)).collect())
}

fn state(world: &mut World, call: &Call) -> Result<Value> {
    let entity = entity(world, call)?;
    Ok(declared(world, &entity).into())
}

fn acknowledge(world: &mut World, call: &Call) -> Result<Value> {
    let entity = entity(world, call)?;
    let alarm = call.args.reference("alarm").ok_or_else(|| Fault::invalid_argument("alarm"))?;
    if world.kind_of(&alarm.id) != Some("Alarm") {
        return Err(Fault::gone(alarm));
    }
    let now = stamp(world.now);
    let mut all: Vec<Object> = own(world, &entity.id).cloned().collect();
    for state in all.iter_mut().filter(|it| it.reference("alarm") == Some(alarm)) {
        state.set("acknowledged", true);
        state.set("acknowledgedByUser", call.user);
        state.set("acknowledgedTime", now.as_str());
    }
    let name = world.property(alarm, "info").and_then(|it| it.text("name").map(str::to_owned));
    // An alarm that was not triggered has nothing to be acknowledged; nobody is told so.
    if let Some(props) = world.plain_mut(&entity.id).filter(|_| !all.is_empty()) {
        props.set("triggeredAlarmState", all);
    }
    let place = world.name(&entity.id).unwrap_or_default();
    let text = format!("Acknowledged alarm '{}' on {place}", name.unwrap_or_default());
    world.event("AlarmAcknowledgedEvent", call.user, Some(&entity), &text);
    Ok(Value::Null)
}

/// An alarm's description, from what a client says and what the server adds.
fn info(world: &World, call: &Call, alarm: &str, entity: &Ref) -> Option<Object> {
    let mut info = Object::new("AlarmInfo");
    for (name, value) in call.args.object("spec")?.fields() {
        info.set(name, value);
    }
    let alarm = Ref::new("Alarm", alarm);
    Some(
        info.with("key", alarm.id.as_str())
            .with("alarm", alarm)
            .with("entity", entity)
            .with("lastModifiedTime", stamp(world.now))
            .with("lastModifiedUser", call.user)
            .with("creationEventId", 0),
    )
}

fn named(world: &World, name: &str, own: &str) -> Result<()> {
    let mut all = world.all("Alarm");
    match all.find(|(id, props)| *id != own && props.text("info.name") == Some(name)) {
        Some((id, _)) => Err(Fault::duplicate_name(name, &Ref::new("Alarm", id))),
        None => Ok(()),
    }
}

fn create(world: &mut World, call: &Call) -> Result<Value> {
    let entity = entity(world, call)?;
    named(world, call.args.text("spec.name").unwrap_or_default(), "")?;
    let alarm = folders::add(world, "Alarm", "alarm-", Object::new("Alarm"));
    let info = info(world, call, &alarm.id, &entity);
    if let (Some(props), Some(info)) = (world.plain_mut(&alarm.id), info) {
        props.set("info", info);
    }
    Ok(alarm.into())
}

fn reconfigure(world: &mut World, call: &Call) -> Result<Value> {
    named(world, call.args.text("spec.name").unwrap_or_default(), &call.this.id)?;
    let place = world.property(call.this, "info").and_then(|it| it.reference("entity").cloned());
    let info = place.and_then(|it| info(world, call, &call.this.id, &it));
    if let (Some(props), Some(info)) = (world.plain_mut(&call.this.id), info) {
        props.set("info", info);
    }
    Ok(Value::Null)
}

fn remove(world: &mut World, call: &Call) -> Result<Value> {
    world.plain.remove(&call.this.id);
    world.touch();
    for plain in world.plain.values_mut() {
        let all: Vec<Object> = plain.props.objects("triggeredAlarmState").cloned().collect();
        if !all.is_empty() {
            let left = all.into_iter().filter(|it| it.reference("alarm") != Some(call.this));
            plain.props.set("triggeredAlarmState", left.collect::<Vec<_>>());
        }
    }
    Ok(Value::Null)
}

fn description(_: &World, _: &str) -> Option<Value> {
    let words = |all: &[&str]| -> Value { all.iter().map(|it| element(it, it)).collect() };
    let types = |all: &[&str]| -> Value {
        let of = |it: &&str| {
            Object::new("TypeDescription").with("label", *it).with("summary", *it).with("key", *it)
        };
        all.iter().map(of).collect()
    };
    let power = words(&["poweredOn", "poweredOff", "suspended"]);
    let description = Object::new("AlarmDescription")
        .with(
            "expr",
            types(&["StateAlarmExpression", "MetricAlarmExpression", "EventAlarmExpression"]),
        )
        .with("stateOperator", words(&["isEqual", "isUnequal"]))
        .with("metricOperator", words(&["isAbove", "isBelow"]))
        .with("hostSystemConnectionState", words(&["connected", "notResponding", "disconnected"]))
        .with("virtualMachinePowerState", power)
        .with("entityStatus", words(&["gray", "green", "yellow", "red"]))
        .with("action", types(&["SendEmailAction", "SendSNMPAction", "RunScriptAction"]));
    Some(description.into())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "AlarmManager", name: "GetAlarm", run: get },
        Method { on: "AlarmManager", name: "GetAlarmState", run: state },
        Method { on: "AlarmManager", name: "AcknowledgeAlarm", run: acknowledge },
        Method { on: "AlarmManager", name: "CreateAlarm", run: create },
        Method { on: "Alarm", name: "ReconfigureAlarm", run: reconfigure },
        Method { on: "Alarm", name: "RemoveAlarm", run: remove },
    ],
    properties: &[
        Property { on: "AlarmManager", name: "description", get: description },
        Property { on: "ManagedEntity", name: "triggeredAlarmState", get: triggered },
        Property { on: "ManagedEntity", name: "declaredAlarmState", get: states },
    ],
};
