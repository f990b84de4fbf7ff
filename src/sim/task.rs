//! Tasks: work that takes time, tells how far it is, and can be cancelled.
//!
//! A method that starts one checks what a host checks before it answers, and puts the rest into the
//! task's work, which runs when the task's time is over. Surprising: nothing happens between; a
//! cancelled task has done nothing.

use crate::sim::clock::{Moment, stamp};
use crate::sim::fault::{Fault, Result};
use crate::sim::rows::{Call, Family, Method, Property};
use crate::sim::world::{World, number_of};
use crate::text::sorted::Sorted;
use crate::vim::value::{Object, Ref, Value};

/// What a task does at its end; its value is the task's result.
pub type Work = Box<dyn FnOnce(&mut World) -> Result<Value> + Send>;

/// Something that happens by itself, such as a guest that shuts down.
pub type Later = Box<dyn FnOnce(&mut World) + Send>;

/// How long a task is remembered after its end, and how many are.
const KEPT: Moment = 10 * 60 * 1000;
const MOST: usize = 1000;

/// One task.
pub struct Task {
    /// Its id.
    pub id: String,
    /// `PowerOnVM_Task`.
    pub method: &'static str,
    /// What it works on.
    pub entity: Ref,
    /// The name of that.
    pub entity_name: String,
    /// Who started it.
    pub user: String,
    /// When it was started, and when it ends or ended.
    pub started: Moment,
    /// When it will end, or did.
    pub ends: Moment,
    cancelable: bool,
    work: Option<Work>,
    outcome: Option<Result<Value>>,
    cancelled: bool,
    number: u64,
}

/// All tasks, in the order in which they were started.
#[derive(Default)]
pub struct Tasks {
    all: Sorted<u64, Task>,
    later: Vec<(Moment, Later)>,
}

/// How a task is to be run.
pub struct Plan {
    /// Milliseconds.
    pub lasts: Moment,
    /// Whether it can be cancelled.
    pub cancelable: bool,
}

impl Tasks {
    /// A task by id.
    pub fn get(&self, id: &str) -> Option<&Task> {
        let number = number_of(id)?;
        self.all.get(&number).filter(|it| it.id == id)
    }

    /// Every task that is remembered, the newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Task> {
        self.all.values().rev()
    }

    /// Whether a task has not ended yet.
    pub fn runs(&self, id: &str) -> bool {
        self.get(id).is_some_and(|it| it.outcome.is_none())
    }

    /// Lets a running task end now, because what it waits for has come true.
    pub fn hasten(&mut self, id: &str, now: Moment) {
        let number = self.get(id).map(|it| it.number);
        if let Some(task) = number.and_then(|it| self.all.get_mut(&it)) {
            task.ends = task.ends.min(now);
        }
    }

    /// Lets the running task on an entity end at that time, if it would end later.
    pub fn hasten_on(&mut self, entity: &Ref, ends: Moment) {
        let own = |it: &&mut Task| it.outcome.is_none() && it.entity == *entity;
        for task in self.all.values_mut().filter(own) {
            task.ends = task.ends.min(ends);
        }
    }

    /// When a watcher could next see a running task move.
    pub fn next_due(&self, now: Moment) -> Option<Moment> {
        let running = self.all.values().filter(|it| it.outcome.is_none());
        running.map(|it| it.next_step(now)).chain(self.later.iter().map(|it| it.0)).min()
    }
}

impl Task {
    /// Progress is told in tenths.
    fn next_step(&self, now: Moment) -> Moment {
        let tenth = ((self.ends - self.started) / 10).max(1);
        let next = self.started + ((now - self.started) / tenth + 1) * tenth;
        next.min(self.ends)
    }

    fn progress(&self, now: Moment) -> Moment {
        let whole = (self.ends - self.started).max(1);
        ((now - self.started) * 10 / whole).clamp(0, 9) * 10
    }

    fn info(&self, now: Moment) -> Object {
        let state = match &self.outcome {
            None => "running",
            Some(Ok(_)) => "success",
            Some(Err(_)) => "error",
        };
        let error = self.outcome.as_ref().and_then(|it| it.as_ref().err());
        let result = self.outcome.as_ref().and_then(|it| it.as_ref().ok());
        Object::new("TaskInfo")
            .with("key", self.id.as_str())
            .with("task", Ref::new("Task", self.id.as_str()))
            .with("name", self.method)
            .with("descriptionId", description(&self.entity.kind, self.method))
            .with("entity", &self.entity)
            .with("entityName", self.entity_name.as_str())
            .with("state", state)
            .with("cancelled", self.cancelled)
            .with("cancelable", self.cancelable)
            .with_some("error", error.map(|it| it.clone().localized()))
            .with_some("result", result.filter(|it| **it != Value::Null))
            .with_some("progress", self.outcome.is_none().then(|| self.progress(now)))
            .with("reason", Object::new("TaskReasonUser").with("userName", self.user.as_str()))
            .with("queueTime", stamp(self.started))
            .with("startTime", stamp(self.started))
            .with_some("completeTime", self.outcome.is_some().then(|| stamp(self.ends)))
            .with("eventChainId", self.number)
    }
}

/// `VirtualMachine.powerOn`.
fn description(kind: &str, method: &str) -> String {
    let verb =
        method.trim_end_matches("_Task").replace("VM", if kind == "Folder" { "Vm" } else { "" });
    let mut letters = verb.chars();
    let first = letters.next().map(|it| it.to_ascii_lowercase());
    format!("{kind}.{}{}", first.unwrap_or_default(), letters.as_str())
}

impl World {
    /// Starts a task on the object of a call; answers its reference.
    pub fn begin(&mut self, call: &Call, plan: Plan, work: Work) -> Result<Value> {
        let entity = call.this.clone();
        self.begin_on(entity, call, plan, work)
    }

    /// Starts a task on another object than that of the call.
    pub fn begin_on(&mut self, entity: Ref, call: &Call, plan: Plan, work: Work) -> Result<Value> {
        let running = |it: &Task| it.outcome.is_none();
        self.leased(&entity.id)?;
        if entity.kind == "VirtualMachine"
            && let Some(other) =
                self.tasks.all.values().find(|it| running(it) && it.entity == entity)
        {
            let text = "The operation is not allowed in the current state because another task is in progress.";
            let task = Ref::new("Task", other.id.clone());
            return Err(Fault::new("TaskInProgress", text).with("task", task));
        }
        if self.tasks.all.values().filter(|it| running(it)).count() >= MOST {
            return Err(Fault::new("LimitExceeded", "Too many tasks are running."));
        }
        let doomed = |fault| -> Work { Box::new(move |_| Err(fault)) };
        let work = self.doom.take().map_or(work, doomed);
        let number = self.number();
        let id = match self.vcenter {
            true => format!("task-{number}"),
            false => format!(
                "haTask-{}-vim.{}-{number}",
                entity.id,
                description(&entity.kind, call.method)
            ),
        };
        let task = Task {
            id: id.clone(),
            method: call.method,
            entity_name: self.name(&entity.id).unwrap_or_default().to_owned(),
            entity,
            user: call.user.to_owned(),
            started: self.now,
            ends: self.now + plan.lasts,
            cancelable: plan.cancelable,
            work: Some(work),
            outcome: None,
            cancelled: false,
            number,
        };
        self.tasks.all.insert(number, task);
        self.touch();
        self.run_due();
        Ok(Ref::new("Task", id).into())
    }

    /// Lets something happen after so many milliseconds.
    pub fn later(&mut self, lasts: Moment, what: Later) {
        self.tasks.later.push((self.now + lasts, what));
    }

    /// Ends the tasks whose time is over, and forgets old ones.
    pub fn run_due(&mut self) {
        let now = self.now;
        let first = |all: &[(Moment, Later)]| {
            let due = all.iter().enumerate().filter(|(_, it)| it.0 <= now);
            due.min_by_key(|(_, it)| it.0).map(|(at, _)| at)
        };
        while let Some(at) = first(&self.tasks.later) {
            let (_, what) = self.tasks.later.swap_remove(at);
            what(self);
            self.touch();
        }
        let due = |it: &Task| it.outcome.is_none() && it.ends <= now;
        loop {
            let next =
                self.tasks.all.values().filter(|it| due(it)).min_by_key(|it| (it.ends, it.number));
            let Some(number) = next.map(|it| it.number) else { break };
            let Some(work) = self.tasks.all.get_mut(&number).and_then(|it| it.work.take()) else {
                break;
            };
            let outcome = work(self);
            if let Some(task) = self.tasks.all.get_mut(&number) {
                task.outcome = Some(outcome);
            }
            self.touch();
        }
        let over = self.tasks.all.len().saturating_sub(MOST);
        let mut left = over;
        self.tasks.all.retain(|_, it| {
            let old = it.outcome.is_some() && (it.ends + KEPT < now || left > 0);
            left = left.saturating_sub(usize::from(old));
            !old
        });
    }
}

fn info(world: &World, id: &str) -> Option<Value> {
    world.tasks.get(id).map(|it| it.info(world.now).into())
}

fn recent(world: &World, _: &str) -> Option<Value> {
    let refs = world.tasks.newest().take(200).map(|it| Ref::new("Task", it.id.as_str()));
    Some(refs.collect())
}

fn recent_of(world: &World, id: &str) -> Option<Value> {
    let own = world.tasks.newest().filter(|it| it.entity.id == id).take(20);
    Some(own.map(|it| Ref::new("Task", it.id.as_str())).collect())
}

fn cancel(world: &mut World, call: &Call) -> Result<Value> {
    let now = world.now;
    world.touch();
    let number = world.tasks.get(&call.this.id).map(|it| it.number);
    let Some(task) = number.and_then(|it| world.tasks.all.get_mut(&it)) else {
        return Err(Fault::gone(call.this));
    };
    if task.outcome.is_some() {
        return Err(Fault::invalid_state());
    }
    if !task.cancelable {
        return Err(Fault::not_supported());
    }
    task.work = None;
    task.ends = now;
    task.cancelled = true;
    let text = "The task was canceled by a user.";
    task.outcome = Some(Err(Fault::new("RequestCanceled", text)));
    Ok(Value::Null)
}

/// What this file plays.
pub const FAMILY: Family = Family {
    methods: &[Method { on: "Task", name: "CancelTask", run: cancel }],
    properties: &[
        Property { on: "Task", name: "info", get: info },
        Property { on: "TaskManager", name: "recentTask", get: recent },
        Property { on: "ManagedEntity", name: "recentTask", get: recent_of },
    ],
};
