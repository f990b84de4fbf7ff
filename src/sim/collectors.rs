//! Collectors of events and of tasks: a page of the newest, and a view to be read through.
//!
//! A collector belongs to its session. It holds a filter and a place, nothing more: what it shows
//! is looked up each time. Surprising: reading back from the end gives what was just read.

use crate::sim::clock::Moment;
use crate::sim::events;
use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::sessions::Scoped;
use crate::sim::world::{World, number_of};
use crate::vim::value::{Object, Ref, Value};

/// Items of a page where the client names no number, and at most.
const PAGE: usize = 10;
const MOST: usize = 1000;

/// A collector of events or of tasks.
pub struct Gatherer {
    /// `EventHistoryCollector` or `TaskHistoryCollector`.
    pub kind: &'static str,
    filter: Object,
    page: usize,
    /// The number of the last item that was read going forward.
    place: u64,
}

impl Gatherer {
    /// What passes the filter, the oldest first: number and item.
    fn items(&self, world: &World) -> Vec<(u64, Object)> {
        let most = self.filter.int("maxCount").and_then(|it| usize::try_from(it).ok());
        let most = most.unwrap_or(usize::MAX);
        let mut found: Vec<(u64, Object)> = match self.kind {
            "EventHistoryCollector" => {
                let all = world.history.events.iter().rev();
                let passing = all.filter(|it| events::passes(&self.filter, it)).take(most);
                passing.map(|it| (it.key, events::shown(world, it))).collect()
            }
            _ => tasks(world, &self.filter).take(most).collect(),
        };
        found.reverse();
        found
    }

    /// A property of the collector itself.
    pub fn property(&self, world: &World, name: &str) -> Option<Value> {
        match name {
            "filter" => Some(self.filter.clone().into()),
            "initialized" => Some(true.into()),
            "latestPage" => {
                let newest = self.items(world).into_iter().rev().take(self.page);
                Some(newest.map(|(_, item)| item).collect())
            }
            _ => None,
        }
    }

    /// The next page, newer or older.
    fn read(&self, world: &World, count: usize, newer: bool) -> (u64, Value) {
        let mut place = self.place;
        let mut items = self.items(world);
        items.retain(|(number, _)| (*number > self.place) == newer);
        if !newer {
            items.reverse();
        }
        items.truncate(count);
        if let Some((number, _)) = items.last() {
            place = if newer { *number } else { number - 1 };
        }
        (place, items.into_iter().map(|(_, item)| item).collect())
    }

    /// The number before the page of the newest.
    fn before_latest(&self, world: &World) -> u64 {
        let items = self.items(world);
        let first = items.len().saturating_sub(self.page);
        items.get(first).map_or(0, |(number, _)| number - 1)
    }
}

/// Tasks that pass, the newest first.
fn tasks<'a>(world: &'a World, filter: &'a Object) -> impl Iterator<Item = (u64, Object)> + 'a {
    world.tasks.newest().filter_map(move |task| {
        let number = number_of(&task.id)?;
        let this = Ref::new("Task", task.id.as_str());
        let info = world.property(&this, "info")?.as_object()?.clone();
        let at = match filter.text("time.timeType") {
            Some("completedTime") => info.text("completeTime").map(|_| task.ends),
            _ => Some(task.started),
        };
        let state = info.text("state").unwrap_or_default();
        let mut states = filter.texts("state").peekable();
        let mut chains = filter.list("eventChainId").iter().peekable();
        let passes = at.is_some_and(|at| within(filter, at))
            && concerns(filter, Some(&task.entity), &world.above(&task.entity))
            && by(filter, &task.user)
            && (states.peek().is_none() || states.any(|it| it == state))
            && (chains.peek().is_none()
                || chains.any(|it| it.as_int() == info.int("eventChainId")));
        passes.then_some((number, info))
    })
}

/// Whether something about this object, which stood below those, is wanted.
pub fn concerns(filter: &Object, subject: Option<&Ref>, above: &[String]) -> bool {
    let Some(wanted) = filter.reference("entity.entity") else { return true };
    let own = match subject {
        Some(subject) => subject.id == wanted.id,
        // What has no subject belongs to the whole.
        None => matches!(&*wanted.id, "ha-folder-root" | "group-d1"),
    };
    let below = above.contains(&wanted.id);
    match filter.text("entity.recursion") {
        Some("self") => own,
        Some("children") => below,
        _ => own || below,
    }
}

/// Whether the filter's time has this moment in it.
pub fn within(filter: &Object, at: Moment) -> bool {
    let of = |name| filter.text(name).and_then(moment);
    of("time.beginTime").is_none_or(|it| it <= at) && of("time.endTime").is_none_or(|it| at <= it)
}

/// Whether the filter lets through what this user did.
pub fn by(filter: &Object, user: &str) -> bool {
    let Some(wanted) = filter.object("userName") else { return true };
    let mut users = wanted.texts("userList").peekable();
    let system = wanted.flag("systemUser") == Some(true);
    match user {
        "" => system,
        _ if users.peek().is_none() => !system,
        user => users.any(|it| it == user),
    }
}

/// Refuses a filter that names what is not there.
pub fn check(world: &World, filter: &Object) -> Result<()> {
    if let Some(entity) = filter.reference("entity.entity")
        && world.kind_of(&entity.id).is_none()
    {
        return Err(Fault::gone(entity));
    }
    match filter.int("maxCount") {
        Some(count) if count < 1 => Err(Fault::invalid_argument("filter.maxCount")),
        _ => Ok(()),
    }
}

/// The moment that a `dateTime` names; without a zone it is UTC.
pub fn moment(text: &str) -> Option<Moment> {
    let number = |from: usize, upto: usize| text.get(from..upto)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    // Days since 1970 of a date, by months that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let days = days + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
    let rest = text.get(19..)?;
    let digits = rest
        .strip_prefix('.')
        .map_or("", |it| it.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    let millis = format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?;
    let zone = rest.trim_start_matches('.').trim_start_matches(|c: char| c.is_ascii_digit());
    let minutes = match zone.get(..1) {
        Some(sign @ ("+" | "-")) => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let all = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if sign == "+" { all } else { -all }
        }
        _ => 0,
    };
    Some((seconds - minutes * 60) * 1000 + millis)
}

/// A word with a label that is its summary too.
pub fn element(key: &str, label: &str) -> Object {
    Object::new("ElementDescription").with("label", label).with("summary", label).with("key", key)
}

fn create(world: &mut World, call: &Call, kind: &'static str) -> Result<Value> {
    let filter = call.args.object("filter").cloned().unwrap_or_else(Object::args);
    check(world, &filter)?;
    let gatherer = Gatherer { kind, filter, page: PAGE, place: 0 };
    world.keep(call, Scoped::Gatherer(gatherer))
}

fn create_tasks(world: &mut World, call: &Call) -> Result<Value> {
    if !world.vcenter {
        // unverified: that a host refuses it.
        return Err(Fault::not_supported());
    }
    create(world, call, "TaskHistoryCollector")
}

/// The collector that is called.
fn own<'a>(world: &'a mut World, call: &Call) -> Result<&'a mut Gatherer> {
    match world.session(call)?.scoped.get_mut(&call.this.id) {
        Some(Scoped::Gatherer(it)) => Ok(it),
        _ => Err(Fault::gone(call.this)),
    }
}

/// How many the client wants.
fn count(call: &Call) -> Result<usize> {
    let count = call.args.int("maxCount").and_then(|it| usize::try_from(it).ok());
    count.filter(|it| (1..=MOST).contains(it)).ok_or_else(|| Fault::invalid_argument("maxCount"))
}

/// Lets the collector that is called look at the world.
fn looking<T>(world: &World, call: &Call, look: impl Fn(&Gatherer) -> T) -> Result<T> {
    match world.sessions.all.get(call.session).and_then(|it| it.scoped.get(&call.this.id)) {
        Some(Scoped::Gatherer(it)) => Ok(look(it)),
        _ => Err(Fault::gone(call.this)),
    }
}

fn read(world: &mut World, call: &Call) -> Result<Value> {
    let (count, newer) = (count(call)?, call.method.starts_with("ReadNext"));
    let (place, items) = looking(world, call, |it| it.read(world, count, newer))?;
    own(world, call)?.place = place;
    Ok(items)
}

fn size(world: &mut World, call: &Call) -> Result<Value> {
    own(world, call)?.page = count(call)?;
    world.touch();
    Ok(Value::Null)
}

fn rewind(world: &mut World, call: &Call) -> Result<Value> {
    own(world, call)?.place = 0;
    Ok(Value::Null)
}

fn reset(world: &mut World, call: &Call) -> Result<Value> {
    let place = looking(world, call, |it| it.before_latest(world))?;
    own(world, call)?.place = place;
    Ok(Value::Null)
}

fn destroy(world: &mut World, call: &Call) -> Result<Value> {
    world.session(call)?.scoped.remove(&call.this.id);
    Ok(Value::Null)
}

/// Methods whose tasks a client may see, for `TaskManager.description`.
const TASKS: &[&str] = &[
    "PowerOnVM_Task",
    "PowerOffVM_Task",
    "SuspendVM_Task",
    "ResetVM_Task",
    "CreateVM_Task",
    "ReconfigVM_Task",
    "CreateSnapshot_Task",
    "Rename_Task",
    "Destroy_Task",
    "CloneVM_Task",
    "RelocateVM_Task",
    "MoveIntoFolder_Task",
];

fn task_description(_: &World, _: &str) -> Option<Value> {
    let methods = TASKS.iter().map(|it| element(it, it.trim_end_matches("_Task")));
    let methods: Value = methods.collect();
    let states = [
        ("queued", "Queued"),
        ("running", "Running"),
        ("success", "Completed"),
        ("error", "Error"),
    ];
    let states: Value = states.map(|(key, label)| element(key, label)).into();
    let reasons = [("TaskReasonUser", "User task"), ("TaskReasonSystem", "System task")];
    let reasons = reasons.map(|(key, label)| {
        Object::new("TypeDescription").with("label", label).with("summary", label).with("key", key)
    });
    let all = Object::new("TaskDescription").with("methodInfo", methods).with("state", states);
    Some(all.with("reason", Value::from(reasons)).into())
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[
        Method {
            on: "EventManager",
            name: "CreateCollectorForEvents",
            run: |world, call| create(world, call, "EventHistoryCollector"),
        },
        Method { on: "TaskManager", name: "CreateCollectorForTasks", run: create_tasks },
        Method { on: "EventHistoryCollector", name: "ReadNextEvents", run: read },
        Method { on: "EventHistoryCollector", name: "ReadPreviousEvents", run: read },
        Method { on: "TaskHistoryCollector", name: "ReadNextTasks", run: read },
        Method { on: "TaskHistoryCollector", name: "ReadPreviousTasks", run: read },
        Method { on: "HistoryCollector", name: "SetCollectorPageSize", run: size },
        Method { on: "HistoryCollector", name: "RewindCollector", run: rewind },
        Method { on: "HistoryCollector", name: "ResetCollector", run: reset },
        Method { on: "HistoryCollector", name: "DestroyCollector", run: destroy },
    ],
    properties: &[
        Property { on: "TaskManager", name: "description", get: task_description },
        Property { on: "TaskManager", name: "maxCollector", get: |_, _| Some(1000.into()) },
    ],
};
