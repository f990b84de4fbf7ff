//! The property collector's waiting half: filters, versions, updates.
//!
//! What a filter selects is read anew whenever the world changed, and compared with what was told
//! before, by hash. Surprising: a change is always told as the whole property, which the protocol
//! allows even where the client asked for partial updates.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::sim::fault::{Fault, Result};
use crate::sim::props;
use crate::sim::props::{Chosen, Pages};
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::sessions::Scoped;
use crate::sim::world::World;
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// What is told at once where the client sets no bound.
const MOST: usize = 10_000;

/// A property collector.
#[derive(Default)]
pub struct Collector {
    /// Pages that wait.
    pub pages: Pages,
    version: u64,
    /// The version that the last answer was for, and that answer: a client may ask again.
    last: Option<(String, Value)>,
    /// The world as it was when nothing more was to be told.
    told: u64,
    /// Ends the wait that runs.
    pub cancelled: bool,
    /// Waits that run.
    pub waits: usize,
}

/// What a filter has told of one object: a hash for each path.
type Told = Sorted<String, u64>;

/// The same of all its objects, by what [`name`] gives.
type All = Sorted<String, (Ref, Told)>;

/// A filter of a collector.
pub struct Filter {
    collector: String,
    spec: Object,
    told: All,
}

fn hashed(value: &Value, to: &mut DefaultHasher) {
    std::mem::discriminant(value).hash(to);
    match value {
        Value::Null => {}
        Value::Bool(it) => it.hash(to),
        Value::Int(it) => it.hash(to),
        Value::Float(it) => it.to_bits().hash(to),
        Value::Text(it) => it.hash(to),
        Value::Binary(it) => it.hash(to),
        Value::Ref(it) => it.hash(to),
        Value::List(all) => {
            all.len().hash(to);
            all.iter().for_each(|it| hashed(it, to));
        }
        Value::Object(it) => {
            it.kind().hash(to);
            for (name, value) in it.fields() {
                name.hash(to);
                hashed(value, to);
            }
        }
        Value::Typed(_, inner) => hashed(inner, to),
    }
}

fn hash(value: &Value) -> u64 {
    let mut to = DefaultHasher::new();
    hashed(value, &mut to);
    to.finish()
}

fn create_collector(world: &mut World, call: &Call) -> Result<Value> {
    world.keep(call, Scoped::Collector(Collector::default()))
}

fn destroy_collector(world: &mut World, call: &Call) -> Result<Value> {
    let id = &call.this.id;
    let scoped = &mut world.session(call)?.scoped;
    scoped.retain(|_, it| !matches!(it, Scoped::Filter(filter) if filter.collector == *id));
    scoped.remove(id);
    world.touch();
    Ok(Value::Null)
}

fn create_filter(world: &mut World, call: &Call) -> Result<Value> {
    let spec = call.args.object("spec").cloned().ok_or_else(|| Fault::invalid_argument("spec"))?;
    props::select(world, call, &[&spec])?;
    let filter = Filter { collector: call.this.id.clone(), spec, told: Sorted::new() };
    world.touch();
    world.keep(call, Scoped::Filter(filter))
}

fn destroy_filter(world: &mut World, call: &Call) -> Result<Value> {
    world.session(call)?.scoped.remove(&call.this.id);
    Ok(Value::Null)
}

fn cancel(world: &mut World, call: &Call) -> Result<Value> {
    let own = collector(world, call)?;
    own.cancelled = own.waits > 0;
    world.touch();
    Ok(Value::Null)
}

/// Notes that somebody begins or ends a wait.
pub fn waits_for(world: &mut World, call: &Call, begins: bool) {
    if let Ok(own) = collector(world, call) {
        own.waits = if begins { own.waits + 1 } else { own.waits.saturating_sub(1) };
    }
}

fn collector<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Collector> {
    match world.session(call)?.scoped.get_mut(&call.this.id) {
        Some(Scoped::Collector(it)) => Ok(it),
        _ => Err(Fault::gone(call.this)),
    }
}

/// What is new since the version that the client names; `None` as long as nothing is.
pub fn poll(world: &mut World, call: &Call) -> Result<Option<Value>> {
    let asked = call.args.text("version").unwrap_or_default().to_owned();
    let now = world.generation;
    let own = collector(world, call)?;
    if std::mem::take(&mut own.cancelled) {
        return Err(Fault::new("RequestCanceled", "The request was canceled."));
    }
    if let Some((version, answer)) = &own.last
        && *version == asked
        && !asked.is_empty()
    {
        return Ok(Some(answer.clone()));
    }
    if !asked.is_empty() && asked != own.version.to_string() {
        return Err(Fault::new("InvalidCollectorVersion", "The collector version is invalid."));
    }
    if !asked.is_empty() && own.told == now {
        return Ok(None);
    }
    let room = call.args.int("options.maxObjectUpdates").and_then(|it| usize::try_from(it).ok());
    let mut room = room.filter(|it| *it > 0).unwrap_or(MOST);
    let (mut sets, mut truncated) = (Vec::new(), false);
    for id in filters(world, call, asked.is_empty())? {
        let Some((spec, told)) = take(world, call, &id) else { continue };
        let chosen = props::select(world, call, &[&spec]);
        let (updates, told, more) = match chosen {
            Ok(chosen) => compare(world, call, chosen, told, &mut room),
            // Its root is gone: everything leaves.
            Err(_) => compare(world, call, Vec::new(), told, &mut room),
        };
        truncated |= more;
        if let Some(Scoped::Filter(filter)) = world.session(call)?.scoped.get_mut(&id) {
            filter.told = told;
        }
        if !updates.is_empty() {
            let filter = Ref::new("PropertyFilter", id);
            sets.push(
                Object::new("PropertyFilterUpdate")
                    .with("filter", filter)
                    .with("objectSet", updates),
            );
        }
    }
    let own = collector(world, call)?;
    own.told = if truncated { 0 } else { now };
    if sets.is_empty() {
        return Ok(None);
    }
    own.version += 1;
    let answer = Object::new("UpdateSet")
        .with("version", own.version.to_string())
        .with("filterSet", sets)
        .with_some("truncated", truncated.then_some(true));
    own.last = Some((asked, answer.clone().into()));
    Ok(Some(answer.into()))
}

/// The filters of the collector; `anew` makes them forget what they told.
fn filters(world: &mut World, call: &Call, anew: bool) -> Result<Vec<String>> {
    let id = &call.this.id;
    let mut found = Vec::new();
    for (own, scoped) in &mut world.session(call)?.scoped {
        if let Scoped::Filter(filter) = scoped
            && filter.collector == *id
        {
            if anew {
                filter.told.clear();
            }
            found.push(own.clone());
        }
    }
    Ok(found)
}

fn take(world: &mut World, call: &Call, id: &str) -> Option<(Object, All)> {
    match world.session(call).ok()?.scoped.get_mut(id)? {
        Scoped::Filter(it) => Some((it.spec.clone(), std::mem::take(&mut it.told))),
        _ => None,
    }
}

fn compare(
    world: &World,
    call: &Call,
    chosen: Vec<Chosen>,
    before: All,
    room: &mut usize,
) -> (Vec<Object>, All, bool) {
    // Put in order at the end, all at once.
    let (mut updates, mut told) = (Vec::new(), Vec::new());
    let objects: HashSet<String> = chosen.iter().map(|it| name(&it.object)).collect();
    let mut truncated = false;
    for one in chosen {
        let key = name(&one.object);
        let old = before.get(&key).map(|it| &it.1);
        let content = world.read(call, &one);
        let mut now = Told::new();
        let mut changes: Vec<Object> = Vec::new();
        for property in content.objects("propSet") {
            let (Some(name), Some(value)) = (property.text("name"), property.get("val")) else {
                continue;
            };
            let fresh = hash(value);
            now.insert(name.to_owned(), fresh);
            if old.and_then(|it| it.get(name)) != Some(&fresh) {
                changes.push(change(name, "assign").with("val", value));
            }
        }
        for name in old.into_iter().flat_map(|it| it.keys()).filter(|it| !now.contains_key(*it)) {
            changes.push(change(name, "remove"));
        }
        if old.is_some() && changes.is_empty() {
            told.push((key, (one.object, now)));
            continue;
        }
        if *room == 0 {
            truncated = true;
            if let Some(old) = old {
                told.push((key, (one.object, old.clone())));
            }
            continue;
        }
        *room -= 1;
        let kind = if old.is_some() { "modify" } else { "enter" };
        let mut update = Object::new("ObjectUpdate").with("kind", kind).with("obj", &one.object);
        if !changes.is_empty() {
            update.set("changeSet", changes);
        }
        if let Some(missing) = content.get("missingSet") {
            update.set("missingSet", missing);
        }
        updates.push(update);
        told.push((key, (one.object, now)));
    }
    for (key, (object, old)) in before {
        if objects.contains(&key) {
            continue;
        }
        if *room == 0 {
            truncated = true;
            told.push((key, (object, old)));
            continue;
        }
        *room -= 1;
        updates.push(Object::new("ObjectUpdate").with("kind", "leave").with("obj", object));
    }
    (updates, told.into_iter().collect(), truncated)
}

fn name(object: &Ref) -> String {
    format!("{} {}", object.kind, object.id)
}

fn change(name: &str, op: &str) -> Object {
    Object::new("PropertyChange").with("name", name).with("op", op)
}

/// `WaitForUpdates` and `CheckForUpdates` look once; the service repeats what waits.
fn once(world: &mut World, call: &Call) -> Result<Value> {
    poll(world, call).map(|it| it.unwrap_or(Value::Null))
}

/// The methods for which the service waits until there is something to tell.
pub fn waits(method: &str) -> bool {
    matches!(method, "WaitForUpdatesEx" | "WaitForUpdates")
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method { on: "PropertyCollector", name: "CreatePropertyCollector", run: create_collector },
        Method {
            on: "PropertyCollector",
            name: "DestroyPropertyCollector",
            run: destroy_collector,
        },
        Method { on: "PropertyCollector", name: "CreateFilter", run: create_filter },
        Method { on: "PropertyCollector", name: "WaitForUpdatesEx", run: once },
        Method { on: "PropertyCollector", name: "WaitForUpdates", run: once },
        Method { on: "PropertyCollector", name: "CheckForUpdates", run: once },
        Method { on: "PropertyCollector", name: "CancelWaitForUpdates", run: cancel },
        Method { on: "PropertyFilter", name: "DestroyPropertyFilter", run: destroy_filter },
    ],
    properties: &[Property { on: "PropertyCollector", name: "filter", get: |_, _| None }],
};
