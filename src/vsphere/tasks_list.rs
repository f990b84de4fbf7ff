//! The tasks that a server remembers, and ending one of them.
//!
//! Two round trips whatever their number: the references, and what they are. Surprising: a standalone
//! host forgets a task ten minutes after its end, and a task that was ended may need a while to undo
//! what it did.

use crate::error::{Error, Kind, Result};
use crate::hv::call::Call;
use crate::text::{glob, order, time};
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::props::Select;
use crate::vsphere::tree::unescaped;
use crate::vsphere::{Vsphere, decode, props};

const SELECT: Select<'static> = Select { kind: "Task", paths: &["info"] };

/// A task as a person wants to know it.
pub struct Task {
    pub id: String,
    /// Such as `PowerOnVM`.
    pub name: String,
    pub entity: Option<String>,
    pub entity_id: Option<String>,
    /// The server's word: queued, running, success, error.
    pub state: String,
    pub progress: Option<i64>,
    pub queued: Option<String>,
    pub started: Option<String>,
    pub completed: Option<String>,
    pub seconds: Option<i64>,
    pub user: Option<String>,
    pub error: Option<String>,
    pub cancelable: bool,
    pub cancelled: bool,
}

impl Task {
    /// Whether it has ended, one way or the other.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "success" | "error")
    }

    /// How it ended.
    pub fn end(&self) -> String {
        match (self.state.as_str(), self.cancelled, &self.error) {
            ("success", ..) => "it succeeded".to_owned(),
            (_, true, _) => "it was cancelled".to_owned(),
            (_, _, Some(error)) => format!("it failed: {error}"),
            _ => "it failed".to_owned(),
        }
    }

    /// `PowerOnVM` on `web01`.
    pub fn told(&self) -> String {
        match &self.entity {
            Some(entity) => format!("`{}` on `{entity}`", self.name),
            None => format!("`{}`", self.name),
        }
    }
}

/// The newest first; `entity` is a name, a glob or an id.
pub fn recent(it: &Vsphere, call: &Call, entity: Option<&str>) -> Result<Vec<Task>> {
    let manager = it.session.live(call)?.manager("taskManager")?;
    let row = props::one(&it.session, call, &manager, "TaskManager", &["recentTask"])?;
    let refs: Vec<Ref> =
        row.items("recentTask").iter().filter_map(Value::as_reference).cloned().collect();
    let rows = props::of(&it.session, call, &refs, &[SELECT])?;
    let tasks = rows.iter().filter_map(|row| Some(task(&row.at, row.object("info")?)));
    let meant = |task: &Task| {
        let Some(wanted) = entity else { return true };
        let id = wanted.strip_prefix("moid:").unwrap_or(wanted);
        task.entity_id.as_deref() == Some(id)
            || task
                .entity
                .as_deref()
                .is_some_and(|name| name == wanted || glob::matches(wanted, name))
    };
    let tasks: Vec<Task> = tasks.filter(meant).collect();
    let at = |task: &Task| task.queued.as_deref().and_then(time::unix_millis).unwrap_or(0);
    Ok(order::by_number(tasks, &|task| -at(task)))
}

/// The task of this id.
pub fn one(it: &Vsphere, call: &Call, id: &str) -> Result<Task> {
    let at = Ref::new("Task", id.trim());
    let rows = props::of(&it.session, call, std::slice::from_ref(&at), &[SELECT])?;
    let found = rows.first().and_then(|row| Some(task(&row.at, row.object("info")?)));
    found.ok_or_else(|| {
        let said = format!("no task `{}` is remembered", crate::error::quoted(id));
        Error::new(Kind::NotFound, said)
            .hint("list_recent_tasks shows ids; servers forget tasks some time after their end")
    })
}

/// Asks the server to end it. A task that has ended by now is no error.
pub fn cancel(it: &Vsphere, call: &Call, id: &str) -> Result<Task> {
    let at = Ref::new("Task", id.trim());
    match it.session.call(call, &at, "CancelTask", &Object::args()) {
        Ok(_) => {}
        Err(error) if error.fault_name() == Some("InvalidState") => {}
        Err(error) if error.fault_name() == Some("NotSupported") => {
            return Err(Error::new(Kind::Conflict, format!("task `{id}` cannot be cancelled"))
                .fault("NotSupported")
                .hint("Wait for its end; list_recent_tasks shows how far it is"));
        }
        Err(error) => return Err(error),
    }
    one(it, call, id)
}

fn task(at: &Ref, info: &Object) -> Task {
    let text = |path: &str| info.text(path).filter(|it| !it.is_empty()).map(str::to_owned);
    let name = info.text("name").filter(|it| !it.is_empty()).or(info.text("descriptionId"));
    let moment = |path: &str| info.text(path).and_then(time::unix_millis);
    let seconds = match (moment("startTime"), moment("completeTime")) {
        (Some(from), Some(to)) => Some((to - from).max(0) / 1000),
        _ => None,
    };
    Task {
        id: at.id.clone(),
        name: name.unwrap_or("task").trim_end_matches("_Task").to_owned(),
        entity: text("entityName").map(|it| unescaped(&it)),
        entity_id: info.reference("entity").map(|it| it.id.clone()),
        state: text("state").unwrap_or_else(|| "unknown".to_owned()),
        progress: info.int("progress"),
        queued: text("queueTime"),
        started: text("startTime"),
        completed: text("completeTime"),
        seconds,
        user: info.object("reason").and_then(reason),
        error: info.object("error").map(said),
        cancelable: info.flag("cancelable") == Some(true),
        cancelled: info.flag("cancelled") == Some(true),
    }
}

/// Who or what started it.
fn reason(reason: &Object) -> Option<String> {
    let name = |path: &str| reason.text(path).unwrap_or_default().to_owned();
    Some(match reason.kind() {
        "TaskReasonUser" => name("userName"),
        "TaskReasonSystem" => "the system".to_owned(),
        "TaskReasonAlarm" => format!("alarm {}", name("alarmName")),
        "TaskReasonSchedule" => format!("schedule {}", name("name")),
        _ => return None,
    })
}

fn said(error: &Object) -> String {
    let fault = decode::localized_fault(error);
    match crate::error::quoted(&fault.text) {
        text if text.is_empty() => fault.name,
        text => format!("{text} ({})", fault.name),
    }
}
