//! Starting long work and waiting for it.
//!
//! A wait is one long poll after another on a collector of its own, which no other wait can
//! disturb; nothing is asked at intervals. Surprising: a task can hang for ever on a question that
//! the machine asks, so the machine's question is watched in the same wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::hv::call::{Call, Rights};
use crate::hv::model::Question;
use crate::vim::value::{Object, Ref, Value};
use crate::vsphere::collector::Collector;
use crate::vsphere::session::Session;
use crate::vsphere::{decode, faults};

/// One long poll; the server answers earlier when something changes.
const POLL_SECONDS: u64 = 20;

/// The mark of an error whose task was not stopped and still runs.
const GOES_ON: &str = "TaskGoesOn";

/// True when the task behind this error still runs, so that nothing of its may be touched.
pub fn goes_on(error: &Error) -> bool {
    error.fault_name() == Some(GOES_ON)
}

/// Starts a `_Task` method and waits for its end; `info.result`. `machine` is watched for
/// questions, `doing` tells a person what is going on.
pub fn run(
    session: &Arc<Session>,
    call: &Call,
    this: &Ref,
    method: &str,
    args: &Object,
    machine: Option<&Ref>,
    doing: &str,
) -> Result<Option<Value>> {
    let started = session.call(call, this, method, args)?;
    let task =
        started.as_ref().and_then(Value::as_reference).cloned().ok_or_else(|| {
            Error::new(Kind::Remote, format!("{method}: the server gave no task"))
        })?;
    wait(session, call, &task, method, machine, doing)
}

/// Waits for a task's end. Cancelling the call cancels the task; so does running out of time.
fn wait(
    session: &Arc<Session>,
    call: &Call,
    task: &Ref,
    method: &str,
    machine: Option<&Ref>,
    doing: &str,
) -> Result<Option<Value>> {
    let stop =
        Arc::new(Stop { session: session.clone(), task: task.clone(), left: Mutex::default() });
    let stopper = stop.clone();
    let _hook = call.cancel().on_cancel(move || stopper.cancel());
    // The wait itself goes on after a cancel, to see how the task ends.
    let patient = Call::new(call.rights());
    let result = session.with(&patient, |live| {
        let collector = Collector::new(session, &patient, live).map_err(started)?;
        let mut watched = vec![(task, "info")];
        watched.extend(machine.map(|it| (it, "runtime.question")));
        collector.filter(&watched).map_err(started)?;
        stop.waits_on(&collector.at);
        Watch { collector: &collector, stop: &stop, call, task, machine, method, doing }
            .to_the_end()
    });
    match result {
        Err(error) if error.kind() == Kind::Cancelled && !call.cancel().is_cancelled() => {
            Err(Error::new(Kind::Conflict, format!("{method}: somebody cancelled the task"))
                .fault("RequestCanceled"))
        }
        // A fault of this kind is how the task ended: the server has lost a host, not we the server.
        Err(error) if error.kind() == Kind::Network && error.fault_name().is_none() => {
            Err(lost(method, &error))
        }
        result => result,
    }
}

/// The task was started, and only the wait for it failed.
fn started(error: Error) -> Error {
    error.hint("The task was started and goes on; list_recent_tasks shows it")
}

/// The task was started; what became of it nobody knows.
fn lost(method: &str, error: &Error) -> Error {
    let said =
        format!("{method}: the task was started, then the server was lost: {}", error.sentence());
    Error::new(Kind::Network, said)
        .fault(GOES_ON)
        .hint("It may go on or be done; look at the state before repeating it")
}

/// The means to end a wait from outside: by ending its task, or the wait alone where the server
/// does not end the task.
struct Stop {
    session: Arc<Session>,
    task: Ref,
    left: Mutex<Left>,
}

/// Whether the task is left to itself, and the collector that is waited on.
#[derive(Default)]
struct Left {
    refused: bool,
    collector: Option<Ref>,
}

impl Stop {
    fn waits_on(&self, collector: &Ref) {
        self.left().collector = Some(collector.clone());
    }

    /// True once the server refused to end the task.
    fn was_refused(&self) -> bool {
        self.left().refused
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the server to end the task. A task that has ended by now is seen by the wait.
    fn cancel(&self) {
        let call = Call::new(Rights::Change).within(Duration::from_secs(30));
        let none = Object::args();
        let Err(error) = self.session.call(&call, &self.task, "CancelTask", &none) else { return };
        crate::logging::info!("{} was not cancelled: {error}", self.task);
        if error.fault_name() == Some("InvalidState") {
            return;
        }
        let collector = {
            let mut left = self.left();
            left.refused = true;
            left.collector.clone()
        };
        collector.inspect(|it| Collector::end_wait(&self.session, it));
    }
}

struct Watch<'a> {
    collector: &'a Collector<'a>,
    stop: &'a Stop,
    call: &'a Call,
    task: &'a Ref,
    machine: Option<&'a Ref>,
    method: &'a str,
    doing: &'a str,
}

/// What a wait has seen so far.
#[derive(Default)]
struct Seen {
    info: Option<Object>,
    question: Option<Question>,
    gone: bool,
    /// The furthest so far; servers leave the percentage out now and then.
    percent: i64,
}

impl Watch<'_> {
    fn to_the_end(&self) -> Result<Option<Value>> {
        let (mut version, mut seen) = (String::new(), Seen::default());
        let mut given_up: Option<Instant> = None;
        loop {
            let seconds = match self.call.time_left() {
                Some(left) if given_up.is_none() => left.as_secs().clamp(1, POLL_SECONDS),
                _ => POLL_SECONDS,
            };
            if let Some(updates) = self.updates(&version, seconds)? {
                version = updates.text("version").unwrap_or_default().to_owned();
                self.apply(&updates, &mut seen)?;
                if let Some(ended) = self.ended(&mut seen) {
                    return ended;
                }
                if updates.flag("truncated") == Some(true) {
                    continue;
                }
            }
            let cancelled = self.call.cancel().is_cancelled();
            let out_of_time = self.call.time_left().is_some_and(|left| left.is_zero());
            if out_of_time && !cancelled && given_up.is_none() {
                self.stop.cancel();
            }
            if cancelled || out_of_time {
                // A task needs a while to undo what it did; its end is worth waiting for.
                let since = given_up.get_or_insert_with(Instant::now);
                if self.stop.was_refused() || since.elapsed().as_secs() >= POLL_SECONDS {
                    return Err(self.given_up(cancelled));
                }
            }
        }
    }

    /// The next updates; none where the wait was called off.
    fn updates(&self, version: &str, seconds: u64) -> Result<Option<Object>> {
        match self.collector.updates(version, seconds) {
            Err(error) if error.kind() == Kind::Cancelled && self.stop.was_refused() => Ok(None),
            result => result,
        }
    }

    fn apply(&self, updates: &Object, seen: &mut Seen) -> Result<()> {
        for filter in updates.objects("filterSet") {
            for update in filter.objects("objectSet") {
                let Some(at) = update.reference("obj") else { continue };
                let is_task = at.id == self.task.id;
                if is_task && update.text("kind") == Some("leave") {
                    seen.gone = true;
                }
                for change in update.objects("changeSet") {
                    let value = change.get("val");
                    if is_task {
                        seen.info = value.and_then(Value::as_object).cloned().or(seen.info.take());
                    } else if change.text("name").is_some_and(|it| it.starts_with("runtime")) {
                        seen.question = value.and_then(Value::as_object).map(question);
                    }
                }
            }
        }
        Ok(())
    }

    /// How the wait ends, if it does.
    fn ended(&self, seen: &mut Seen) -> Option<Result<Option<Value>>> {
        let info = seen.info.as_ref();
        match info.and_then(|info| info.text("state")) {
            Some("success") => {
                return Some(Ok(seen.info.take().and_then(|mut it| it.remove("result"))));
            }
            Some("error") => return Some(Err(self.failed(info))),
            _ => {}
        }
        if let (Some(question), Some(_)) = (&seen.question, self.machine) {
            return Some(Err(asked(self.method, question)));
        }
        if seen.gone {
            return Some(Err(Error::new(
                Kind::Remote,
                format!("{}: the server forgot the task before it told how it ended", self.method),
            )
            .hint("Look at the machine's state")));
        }
        if let Some(info) = info {
            seen.percent = info.int("progress").unwrap_or(0).clamp(seen.percent, 100);
            self.call.progress(seen.percent as f64, self.doing);
        }
        None
    }

    fn failed(&self, info: Option<&Object>) -> Error {
        let fault = info.and_then(|info| info.object("error")).map(decode::localized_fault);
        let cancelled = fault.as_ref().is_some_and(|it| it.name == "RequestCanceled");
        if cancelled && self.call.time_left().is_some_and(|left| left.is_zero()) {
            return self.out_of_time("was cancelled");
        }
        match fault {
            Some(fault) => {
                let vcenter = self.collector.is_vcenter();
                faults::error(self.method, &fault, vcenter)
            }
            None => Error::new(
                Kind::Remote,
                format!("{}: the task failed without a reason", self.method),
            ),
        }
    }

    /// The task outlives the wait.
    fn given_up(&self, cancelled: bool) -> Error {
        let error = match cancelled {
            true => Error::new(
                Kind::Cancelled,
                format!("{}: cancelled by the caller; the task goes on on the server", self.method),
            )
            .hint("Look at the state before trying again"),
            false => self.out_of_time("goes on on the server"),
        };
        error.fault(GOES_ON)
    }

    fn out_of_time(&self, end: &str) -> Error {
        Error::new(Kind::Busy, format!("{}: not done in time; the task {end}", self.method))
            .hint("Pass a larger timeout_seconds, and look at the state before trying again")
    }
}

/// The error for a task that waits for an answer; the task itself goes on when it is given.
fn asked(method: &str, question: &Question) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "{method}: the machine asks before it goes on: {}",
            crate::error::quoted(&question.text)
        ),
    )
    .fault("QuestionPending")
    .hint(format!(
        "Answer with answer_vm_question, choices: {}; the task then goes on",
        question.offered()
    ))
}

/// A question without the id of its message: servers put `msg.uuid.altered:` before it.
fn words(text: &str) -> &str {
    let id = |it: &str| it.starts_with("msg.") && !it.contains(char::is_whitespace);
    match text.split_once(':') {
        Some((before, words)) if id(before) && !words.trim().is_empty() => words.trim(),
        _ => text,
    }
}

/// A `VirtualMachineQuestionInfo` in our words.
pub fn question(info: &Object) -> Question {
    let choice = |it: &Object| {
        let key = it.text("key").unwrap_or_default().to_owned();
        let label = it.text("label").or(it.text("summary")).unwrap_or(&key).to_owned();
        (key, label)
    };
    let choices: Vec<(String, String)> = info.objects("choice.choiceInfo").map(choice).collect();
    let default = info.int("choice.defaultIndex").and_then(|at| usize::try_from(at).ok());
    Question {
        id: info.text("id").unwrap_or_default().to_owned(),
        text: words(info.text("text").unwrap_or_default()).to_owned(),
        default: default.and_then(|at| choices.get(at)).map(|(key, _)| key.clone()),
        choices,
    }
}
