//! Tasks as scripts: each answer to a wait is one round.
//!
//! Surprising: a wait on a task that is at [`Round::Hang`] holds the connection like a real server,
//! until the task is cancelled, its question answered, the wait called off, or time is up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::scripted::answer::{Answer, escaped, returns_ref};
use crate::scripted::asked::Asked;
use crate::scripted::methods::not_found;
use crate::scripted::world::{machine, question, text, typed};
use crate::scripted::{Peer, State};

/// One answer to a wait.
#[derive(Clone)]
pub enum Round {
    /// The task runs, with or without a percentage.
    Progress(Option<i64>),
    /// Nothing new, earlier than asked for.
    Quiet,
    /// An update that says nothing of the task and is not complete.
    Truncated,
    /// The task's object disappears.
    Gone,
    /// The machine asks; the task goes on with the next round once somebody answers.
    Ask,
    /// Nothing until somebody cancels.
    Hang,
    /// The task fails with a fault of this class, fields and text.
    Fail(&'static str, &'static str, &'static str),
    Done,
}

/// How the tasks of a method run.
#[derive(Clone)]
pub struct Script {
    pub rounds: Vec<Round>,
    pub cancelable: bool,
}

impl Script {
    pub fn new(rounds: &[Round]) -> Script {
        Script { rounds: rounds.to_vec(), cancelable: true }
    }

    pub fn not_cancelable(rounds: &[Round]) -> Script {
        Script { rounds: rounds.to_vec(), cancelable: false }
    }
}

/// A task under way.
pub struct Task {
    pub method: String,
    pub entity: String,
    pub new_name: Option<String>,
    pub rounds: VecDeque<Round>,
    pub cancelable: bool,
    pub cancelled: bool,
    pub answered: bool,
    pub asking: bool,
    /// How it ended.
    pub end: Option<String>,
}

/// Starts the task of a `_Task` method.
pub fn start(state: &mut State, asked: &Asked) -> Answer {
    let id = format!("haTask-{}-vim.{}-{}", asked.this, asked.method, state.number());
    let script = state.scripts.get(&asked.method).cloned();
    let script = script.unwrap_or_else(|| Script::new(&[Round::Done]));
    let task = Task {
        method: asked.method.clone(),
        entity: asked.this.clone(),
        new_name: asked.arg("config.name").or(asked.arg("newName")).or(asked.arg("name")),
        rounds: script.rounds.into(),
        cancelable: script.cancelable,
        cancelled: false,
        answered: false,
        asking: false,
        end: None,
    };
    state.tasks.insert(id.clone(), task);
    returns_ref("Task", &id)
}

/// `CancelTask`.
pub fn cancel(state: &mut State, id: &str) -> Answer {
    match state.tasks.get_mut(id) {
        None => not_found("Task", id),
        Some(task) if task.end.is_some() => {
            Answer::fault("InvalidState", "The operation is not allowed in the current state.")
        }
        Some(task) if !task.cancelable => {
            Answer::fault("NotSupported", "The operation is not supported on the object.")
        }
        Some(task) => {
            task.cancelled = true;
            Answer::Result(String::new())
        }
    }
}

/// `AnswerVM`.
pub fn answer_question(state: &mut State, asked: &Asked) -> Answer {
    let pending = state.vm(&asked.this).props.get("runtime.question").cloned().unwrap_or_default();
    let id = asked.arg("questionId").unwrap();
    if !pending.contains(&format!("<id>{id}</id>")) {
        return Answer::fault(
            "InvalidArgument",
            "A specified parameter was not correct: questionId",
        );
    }
    state.vm(&asked.this).props.remove("runtime.question");
    for task in state.tasks.values_mut().filter(|task| task.entity == asked.this) {
        task.answered = true;
    }
    Answer::Result(String::new())
}

/// `WaitForUpdatesEx`.
pub fn wait_for_updates(peer: &Peer, session: &str, asked: &Asked) -> Answer {
    let longest = asked.arg("options.maxWaitSeconds").and_then(|it| it.parse().ok());
    let until = Instant::now() + Duration::from_secs(longest.unwrap_or(600));
    let mut state = peer.lock();
    loop {
        let Some(open) = state.sessions.get_mut(session) else {
            return Answer::fault("NotAuthenticated", "The session is not authenticated.");
        };
        let Some(collector) = open.collectors.get_mut(&asked.this) else {
            return not_found("PropertyCollector", &asked.this);
        };
        if std::mem::take(&mut collector.called_off) {
            return Answer::fault("RequestCanceled", "The request was canceled.");
        }
        collector.version += 1;
        let (watched, version) = (collector.watched.clone(), collector.version);
        let first = asked.arg("version").as_deref() == Some("");
        if let Some(answer) = advance(&mut state, &watched, version, first) {
            drop(state);
            peer.notify();
            return answer;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Answer::Result(String::new());
        }
        state = peer.wait(state, left.min(Duration::from_secs(1)));
    }
}

/// The next round of the watched task; `None` to go on waiting.
fn advance(state: &mut State, watched: &[String], version: u64, first: bool) -> Option<Answer> {
    let id = watched.iter().find(|id| state.tasks.contains_key(*id))?.clone();
    let vm = watched.iter().find(|other| **other != id).cloned();
    let task = state.tasks.get_mut(&id)?;
    if task.cancelled && task.end.is_none() {
        task.end = Some(
            "<state>error</state><cancelled>true</cancelled><cancelable>false</cancelable><error>\
             <fault xsi:type=\"RequestCanceled\"></fault><localizedMessage>The task was canceled by \
             a user.</localizedMessage></error>"
                .into(),
        );
    }
    let mut tail = String::new();
    let running = |progress: Option<i64>| {
        let progress = progress.map(|it| format!("<progress>{it}</progress>")).unwrap_or_default();
        format!(
            "<state>running</state><cancelled>false</cancelled><cancelable>true</cancelable>\
             {progress}"
        )
    };
    let round = match &task.end {
        Some(_) => Round::Done,
        None => task.rounds.front().cloned().unwrap_or(Round::Hang),
    };
    let seen = match round {
        Round::Hang if first => running(None),
        Round::Hang => return None,
        Round::Ask if !task.asking => {
            task.asking = true;
            task.answered = false;
            let entity = task.entity.clone();
            state.vm(&entity).set("runtime.question", question());
            running(Some(0))
        }
        Round::Ask if !task.answered && first => running(Some(0)),
        Round::Ask if !task.answered => return None,
        Round::Ask => {
            task.rounds.pop_front();
            return advance(state, watched, version, first);
        }
        Round::Progress(at) => {
            task.rounds.pop_front();
            running(at)
        }
        Round::Quiet => {
            task.rounds.pop_front();
            return Some(Answer::Result(String::new()));
        }
        Round::Truncated => {
            task.rounds.pop_front();
            tail = "<truncated>true</truncated>".into();
            running(None)
        }
        Round::Gone => {
            let update = update("leave", "Task", &id, "");
            return Some(set(version, &update, ""));
        }
        Round::Fail(class, fields, said) => {
            let error = format!(
                "<state>error</state><cancelled>false</cancelled><cancelable>false</cancelable>\
                 <error><fault xsi:type=\"{class}\">{fields}</fault><localizedMessage>{}\
                 </localizedMessage></error>",
                escaped(said)
            );
            task.end.get_or_insert(error).clone()
        }
        Round::Done => finish(state, &id),
    };
    let task = state.tasks.get(&id)?;
    let info = format!(
        "<key>{id}</key><task type=\"Task\">{id}</task><name>{0}</name>\
         <descriptionId>{0}</descriptionId>{seen}<reason xsi:type=\"TaskReasonUser\">\
         <userName>root</userName></reason><queueTime>2024-01-31T10:20:30Z</queueTime>\
         <eventChainId>1</eventChainId>",
        task.method
    );
    let mut updates = update("modify", "Task", &id, &change("info", &typed("TaskInfo", &info)));
    if let Some(vm) = vm {
        let asked = state.thing(&vm).and_then(|it| it.props.get("runtime.question").cloned());
        let asked = change("runtime.question", &asked.unwrap_or_default());
        updates.push_str(&update("modify", "VirtualMachine", &vm, &asked));
    }
    Some(set(version, &updates, &tail))
}

/// The end of a task, with what it did.
fn finish(state: &mut State, id: &str) -> String {
    let number = state.number();
    let task = &state.tasks[id];
    if let Some(end) = &task.end {
        return end.clone();
    }
    let (method, entity, name) =
        (task.method.clone(), task.entity.clone(), task.new_name.clone().unwrap_or_default());
    let power = |state: &mut State, word: &str| {
        let value = typed("VirtualMachinePowerState", word);
        if let Some(vm) = state.thing(&entity) {
            vm.set("runtime.powerState", value);
        }
    };
    let made = |kind: &str, id: &str| {
        format!("<result type=\"{kind}\" xsi:type=\"ManagedObjectReference\">{id}</result>")
    };
    let mut result = String::new();
    match method.as_str() {
        "PowerOnVM_Task" | "ResetVM_Task" => power(state, "poweredOn"),
        "PowerOffVM_Task" => power(state, "poweredOff"),
        "SuspendVM_Task" => power(state, "suspended"),
        "Rename_Task" => state.vm(&entity).set("name", text(&name)),
        "Destroy_Task" => state.things.retain(|thing| thing.id != entity),
        "CreateVM_Task" | "CloneVM_Task" | "RegisterVM_Task" => {
            let vm = format!("{}", 100 + number);
            state.things.push(machine(&vm, &name, "poweredOff", false));
            result = made("VirtualMachine", &vm);
        }
        "CreateSnapshot_Task" => {
            result = made("VirtualMachineSnapshot", &format!("{entity}-snapshot-{number}"));
        }
        _ => {}
    }
    let end = format!(
        "<state>success</state><cancelled>false</cancelled><cancelable>false</cancelable>{result}"
    );
    state.tasks.get_mut(id).unwrap().end = Some(end.clone());
    end
}

fn change(name: &str, val: &str) -> String {
    format!("<changeSet><name>{name}</name><op>assign</op>{val}</changeSet>")
}

fn update(kind: &str, of: &str, id: &str, changes: &str) -> String {
    format!(
        "<objectSet><kind>{kind}</kind><obj type=\"{of}\">{}</obj>{changes}</objectSet>",
        escaped(id)
    )
}

fn set(version: u64, updates: &str, tail: &str) -> Answer {
    Answer::Result(format!(
        "<returnval><version>{version}</version><filterSet>\
         <filter type=\"PropertyFilter\">f</filter>{updates}</filterSet>{tail}</returnval>"
    ))
}
