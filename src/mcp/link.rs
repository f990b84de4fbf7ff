//! One connection's outgoing side: whole lines under one lock, and which requests are still owed
//! an answer.
//!
//! It knows no method. An answer, and progress before it, is written only while its request is
//! open, so that nothing follows a cancellation. Surprising: a request that was cancelled is
//! forgotten at once but still counted as running until its work has really ended, because the
//! hypervisor is told to stop meanwhile and the process should not end before that.
//!
//! Locks: whoever holds `out` may take `state`, never the other way round.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::hv::call::Cancel;
use crate::mcp::pool::Ticket;
use crate::mcp::rpc;
use crate::mcp::rpc::{Answer, Id, Response};
use crate::mcp::tasks::Task;
use crate::text::json;

/// A request that was taken on and not answered yet.
pub struct Owed {
    id: Id,
    /// Ends the work.
    pub cancel: Cancel,
    /// Its place in the queue, once it has one.
    pub ticket: OnceLock<Ticket>,
    /// What its work is, once that has begun.
    pub deed: OnceLock<Deed>,
    /// What it becomes if it takes long.
    pub task: Option<Arc<Task>>,
    /// Somebody waits for the answer.
    open: AtomicBool,
}

/// Work that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// The tool or the method.
    pub name: &'static str,
    /// It may leave something half done when it is cut off.
    pub changes: bool,
}

/// How much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Work of any sort, begun or queued.
    pub all: usize,
    /// Of that, what the client still waits for.
    pub wanted: usize,
    /// What was begun and may change something.
    pub changing: usize,
}

/// What has happened to a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// No more messages will come.
    pub input_ended: bool,
    /// Somebody asked us to end.
    pub stopping: bool,
    /// The client does not read any more.
    pub broken: bool,
}

impl Phase {
    /// True when no new work is to be begun.
    pub fn closing(self) -> bool {
        self.stopping || self.broken
    }
}

#[derive(Default)]
struct State {
    owed: HashMap<Id, Arc<Owed>>,
    running: Vec<Arc<Owed>>,
    phase: Phase,
    /// Requests of ours, each with the client's answer once it is there.
    asked: HashMap<Id, Option<Response>>,
    questions: u64,
}

impl State {
    fn busy(&self) -> Busy {
        let count = |fits: fn(&Owed) -> bool| self.running.iter().filter(|it| fits(it)).count();
        Busy {
            all: self.running.len(),
            wanted: count(|it| it.open.load(Ordering::SeqCst)),
            changing: count(|it| it.deed.get().is_some_and(|deed| deed.changes)),
        }
    }
}

/// How a request of ours ended.
#[derive(Debug)]
pub enum Asked {
    /// With the client's result, if it is one.
    Answer(Option<json::Object>),
    /// The client took back what it was for.
    Cancelled,
    /// The patience was at its end.
    Late,
    /// The connection ended.
    Nobody,
}

/// A connection, as seen by all who work for it.
pub struct Link {
    out: Mutex<Option<Box<dyn Write + Send>>>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Counts as running work for as long as it lives.
pub struct Running(Arc<Link>, Arc<Owed>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().running.retain(|it| !Arc::ptr_eq(it, &self.1));
        self.0.changed.notify_all();
    }
}

impl Link {
    /// A connection whose messages go to `output`.
    pub fn new(output: impl Write + Send + 'static) -> Link {
        Link {
            out: Mutex::new(Some(Box::new(output))),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn out(&self) -> MutexGuard<'_, Option<Box<dyn Write + Send>>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while a request of this id is being worked on.
    pub fn owes(&self, id: &Id) -> bool {
        self.state().owed.contains_key(id)
    }

    /// Takes a request on, and what it becomes if it takes long; `None` when it is too late for that.
    pub fn begin(
        self: &Arc<Link>,
        id: &Id,
        task: Option<Arc<Task>>,
    ) -> Option<(Arc<Owed>, Running)> {
        let mut state = self.state();
        if state.phase.closing() {
            return None;
        }
        let owed = Arc::new(Owed {
            id: id.clone(),
            cancel: task.as_ref().map_or_else(Cancel::default, |it| it.cancel.clone()),
            ticket: OnceLock::new(),
            deed: OnceLock::new(),
            task,
            open: AtomicBool::new(true),
        });
        state.owed.insert(id.clone(), owed.clone());
        state.running.push(owed.clone());
        Some((owed.clone(), Running(self.clone(), owed)))
    }

    /// Answers a request that was never taken on.
    pub fn answer(&self, id: Option<&Id>, answer: &Answer) {
        self.write(&mut self.out(), &rpc::response(id, answer));
    }

    /// Answers a request that was taken on, unless it was cancelled; the answer of a task is kept for who
    /// asks for it.
    pub fn settle(&self, owed: &Arc<Owed>, answer: &Answer) {
        let mut out = self.out();
        if owed.task.as_ref().is_some_and(|it| it.end(answer)) {
            return;
        }
        self.close_with(&mut out, owed, answer);
    }

    /// Makes tasks of the requests for which it is time: each is answered by its handle, and its work goes
    /// on. False where there is none that could become one, which is so once nobody could ask for it.
    pub fn publish(&self) -> bool {
        let phase = self.phase();
        if phase.input_ended || phase.closing() {
            return false;
        }
        let of_tasks = |it: &&Arc<Owed>| it.task.is_some() && it.open.load(Ordering::SeqCst);
        let all: Vec<Arc<Owed>> = self.state().running.iter().filter(of_tasks).cloned().collect();
        for owed in &all {
            let mut out = self.out();
            let task = owed.task.as_ref().filter(|_| owed.open.load(Ordering::SeqCst));
            if let Some(answer) = task.filter(|it| it.is_due()).and_then(Task::publish) {
                self.close_with(&mut out, owed, &answer);
            }
        }
        !all.is_empty()
    }

    fn close_with(
        &self,
        out: &mut Option<Box<dyn Write + Send>>,
        owed: &Arc<Owed>,
        answer: &Answer,
    ) {
        if owed.open.swap(false, Ordering::SeqCst) {
            // Before the answer is out: its id may be used again as soon as it is read.
            self.forget(owed);
            self.write(out, &rpc::response(Some(&owed.id), answer));
        }
    }

    /// Takes this very request off the table, not a later one that was given its id.
    fn forget(&self, owed: &Arc<Owed>) {
        let mut state = self.state();
        if state.owed.get(&owed.id).is_some_and(|there| Arc::ptr_eq(there, owed)) {
            state.owed.remove(&owed.id);
        }
    }

    /// Sends what belongs to no request.
    pub fn say(&self, line: &str) {
        self.write(&mut self.out(), line);
    }

    /// Sends what belongs to a request that is not answered yet.
    pub fn tell(&self, owed: &Owed, line: &str) {
        let mut out = self.out();
        if owed.open.load(Ordering::SeqCst) {
            self.write(&mut out, line);
        }
    }

    /// The client takes a request back: its work is told to stop, and nothing is sent for it any
    /// more. Without effect if it was answered meanwhile.
    pub fn cancel(&self, id: &Id) -> Option<Arc<Owed>> {
        let owed = self.state().owed.remove(id)?;
        owed.open.store(false, Ordering::SeqCst);
        owed.cancel.cancel();
        // Under the lock, so that nobody is just between looking and waiting.
        self.note(|_| {});
        Some(owed)
    }

    /// Tells all work to stop; what it answers is still sent.
    pub fn cancel_all(&self) {
        // What has become a task is owed to nobody, and must stop too.
        let all = self.state().running.clone();
        all.iter().for_each(|owed| owed.cancel.cancel());
        self.note(|_| {});
    }

    /// Sends a request of ours for one that is not answered yet, and waits for the client's answer: no
    /// longer than `patience`, and no longer than anybody wants to know. `request` and `withdrawn` make
    /// the messages of an id.
    pub fn ask(
        &self,
        owed: &Owed,
        patience: Duration,
        request: &dyn Fn(&Id) -> String,
        withdrawn: &dyn Fn(&Id) -> String,
    ) -> Asked {
        let until = Instant::now() + patience;
        let id = {
            let mut state = self.state();
            state.questions += 1;
            let id = Id::of(&json::text(format!("ask-{}", state.questions)));
            let Some(id) = id else { return Asked::Nobody };
            state.asked.insert(id.clone(), None);
            id
        };
        self.tell(owed, &request(&id));
        let mut state = self.state();
        let end = loop {
            if let Some(Some(response)) = state.asked.get_mut(&id).map(Option::take) {
                break Asked::Answer(response.result);
            }
            let left = until.saturating_duration_since(Instant::now());
            if owed.cancel.is_cancelled() {
                break Asked::Cancelled;
            }
            if state.phase.closing() || state.phase.input_ended {
                break Asked::Nobody;
            }
            if left.is_zero() {
                break Asked::Late;
            }
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.asked.remove(&id);
        drop(state);
        if matches!(end, Asked::Late | Asked::Cancelled) {
            // Also after a cancellation, of which the person at the form knows nothing.
            self.say(&withdrawn(&id));
        }
        end
    }

    /// Takes the client's answer to a request of ours; any other is nobody's.
    pub fn answered(&self, response: Response) {
        let mut state = self.state();
        let waits = response.id.as_ref().and_then(|id| state.asked.get_mut(id));
        if let Some(slot) = waits {
            slot.get_or_insert(response);
            self.changed.notify_all();
        }
    }

    /// Notes what has happened, and wakes who waits for it.
    pub fn note(&self, change: impl FnOnce(&mut Phase)) {
        change(&mut self.state().phase);
        self.changed.notify_all();
    }

    /// What has happened so far.
    pub fn phase(&self) -> Phase {
        self.state().phase
    }

    /// What has begun and not ended, for the log.
    pub fn unfinished(&self) -> Vec<&'static str> {
        self.state().running.iter().filter_map(|it| Some(it.deed.get()?.name)).collect()
    }

    /// Waits until `enough` holds of the phase and the running work; false if that took longer
    /// than `patience`.
    pub fn wait(&self, patience: Option<Duration>, enough: impl Fn(Phase, Busy) -> bool) -> bool {
        let until = patience.map(|it| Instant::now() + it);
        let mut state = self.state();
        while !enough(state.phase, state.busy()) {
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        true
    }

    /// Nothing is written after this, except by one who is stuck in writing just now.
    pub fn close(&self) {
        if let Ok(mut out) = self.out.try_lock() {
            *out = None;
        }
    }

    fn write(&self, out: &mut Option<Box<dyn Write + Send>>, line: &str) {
        let Some(output) = out.as_mut() else { return };
        debug_assert!(!line.contains('\n'), "{line}");
        let written =
            output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush());
        if let Err(why) = written {
            crate::logging::info!("the client does not read any more: {why}");
            *out = None;
            self.note(|phase| phase.broken = true);
            self.cancel_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sheet(Arc<Mutex<Vec<u8>>>);

    impl Write for Sheet {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Sheet {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn id(number: i64) -> Id {
        Id::of(&json::int(number)).unwrap()
    }

    #[test]
    fn nothing_follows_an_answer_or_a_cancellation() {
        let sheet = Sheet::default();
        let link = Arc::new(Link::new(sheet.clone()));
        let (first, _running) = link.begin(&id(1), None).unwrap();
        link.tell(&first, "progress");
        link.settle(&first, &Ok("{}".to_owned()));
        link.tell(&first, "late");
        link.settle(&first, &Ok("{}".to_owned()));
        let (second, _running) = link.begin(&id(2), None).unwrap();
        assert!(link.cancel(&id(2)).is_some() && link.cancel(&id(2)).is_none());
        assert!(second.cancel.is_cancelled() && !link.owes(&id(2)));
        link.tell(&second, "late");
        link.settle(&second, &Ok("{}".to_owned()));
        assert_eq!(sheet.text(), "progress\n{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    }

    #[test]
    fn cancelled_work_is_waited_for_until_it_ends() {
        let link = Arc::new(Link::new(Sheet::default()));
        let (owed, running) = link.begin(&id(1), None).unwrap();
        assert!(owed.deed.set(Deed { name: "delete_vm", changes: true }).is_ok());
        let busy = |all, wanted, changing| Busy { all, wanted, changing };
        let moment = Some(Duration::from_millis(10));
        assert!(link.wait(moment, |_, now| now == busy(1, 1, 1)));
        link.cancel(&id(1));
        assert!(link.wait(moment, |_, now| now == busy(1, 0, 1)));
        assert!(!link.wait(moment, |_, now| now.all == 0));
        assert_eq!(link.unfinished(), ["delete_vm"]);
        drop(running);
        assert!(link.wait(moment, |_, now| now == Busy::default()));
    }

    #[test]
    fn a_broken_pipe_cancels_everything_at_once() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let link = Arc::new(Link::new(Broken));
        let (owed, _running) = link.begin(&id(1), None).unwrap();
        link.answer(None, &Ok("{}".to_owned()));
        assert!(
            owed.cancel.is_cancelled() && link.phase().broken && link.begin(&id(2), None).is_none()
        );
    }
}
