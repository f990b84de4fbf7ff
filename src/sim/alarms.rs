//! Alarms of a vCenter: what is watched, what is triggered, who acknowledged it.
//!
//! Surprising: nothing triggers an alarm here; one is triggered at the start, and stays.

use crate::sim::clock::stamp;
use crate::sim::fault::{Fault, Result};
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

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "AlarmManager", name: "GetAlarm", run: get },
        Method { on: "AlarmManager", name: "GetAlarmState", run: state },
        Method { on: "AlarmManager", name: "AcknowledgeAlarm", run: acknowledge },
    ],
    properties: &[
        Property { on: "ManagedEntity", name: "triggeredAlarmState", get: triggered },
        Property { on: "ManagedEntity", name: "declaredAlarmState", get: states },
    ],
};
