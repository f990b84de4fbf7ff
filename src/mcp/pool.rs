//! A bounded pool of workers: threads made on demand and ended when idle, and a bounded queue.
//!
//! It knows jobs and whose they are. Surprising: a job that finds the queue full is not returned but run
//! at once on the caller's thread with [`Fate::Full`], so that only the job needs to know how to refuse. A
//! job that waits for a person is no work, so its place goes to others meanwhile ([`Leave`]).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::threads::begin;

/// Jobs that may wait for people at a time, in all and of one caller. Each keeps its thread.
const WAITING: usize = 64;
const WAITING_EACH: usize = 16;

/// Why a job is being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// There is no room for it: refuse, quickly.
    Full,
    /// Its turn has come.
    Turn,
}

type Job = Box<dyn FnOnce(Fate) + Send>;

/// The means to take a queued job back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// How large a pool is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub threads: usize,
    /// Jobs that may wait while all threads work.
    pub queue: usize,
    /// How long a thread waits for a job before it ends.
    pub idle: Duration,
}

/// The means of a job to wait for a person without keeping a worker from others.
#[derive(Clone)]
pub struct Leave(Arc<Shared>);

/// A job waits for a person for as long as this lives.
pub struct Waiting<'a>(&'a Shared, String);

/// Workers and their queue; dropping it lets the workers end once the queue is empty.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Queued {
    ticket: Ticket,
    whose: String,
    job: Job,
}

struct Shared {
    size: Size,
    /// No caller takes all places.
    fair: bool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    next: u64,
    threads: usize,
    /// Whose jobs threads are at.
    working: Vec<String>,
    /// Whose jobs wait for people; their threads count neither as threads nor as working.
    waiting: Vec<String>,
    /// Threads that wait for one; to wake costs something even where nobody does.
    asleep: usize,
    closed: bool,
}

impl Pool {
    /// No thread is made before the first job.
    pub fn new(size: Size) -> Pool {
        Pool::of(size, false)
    }

    /// The same where callers are told apart, and each has three quarters of all places at most.
    pub fn fair(size: Size) -> Pool {
        Pool::of(size, true)
    }

    fn of(size: Size, fair: bool) -> Pool {
        let (state, wake) = (Mutex::default(), Condvar::new());
        Pool { shared: Arc::new(Shared { size, fair, state, wake }) }
    }

    /// Runs `job` on a worker when its turn comes.
    pub fn submit(&self, whose: &str, job: impl FnOnce(Fate) + Send + 'static) -> Ticket {
        self.take(whose, Box::new(job))
    }

    fn take(&self, whose: &str, job: Job) -> Ticket {
        let size = self.shared.size;
        let mut state = self.shared.lock();
        let ticket = Ticket(state.next);
        state.next += 1;
        let places = size.threads + size.queue;
        let his = state.queue.iter().filter(|it| it.whose == whose).count() + state.at_work(whose);
        let full =
            state.queue.len() + state.working.len() >= places || his >= self.shared.share(places);
        let served = !full && (self.shared.has_hands(&mut state) || state.threads > 0);
        if !served {
            drop(state);
            job(Fate::Full);
            return ticket;
        }
        state.queue.push_back(Queued { ticket, whose: whose.to_owned(), job });
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.shared.wake.notify_one();
        }
        ticket
    }

    /// For jobs that may wait for people.
    pub fn leave(&self) -> Leave {
        Leave(self.shared.clone())
    }

    /// Drops a job that has not begun; true if there was one.
    pub fn forget(&self, ticket: Ticket) -> bool {
        let mut state = self.shared.lock();
        let at = state.queue.iter().position(|it| it.ticket == ticket);
        let job = at.and_then(|at| state.queue.remove(at));
        drop(state);
        // The job is dropped outside the lock: what it holds may run code of its own.
        job.is_some()
    }

    /// Threads that exist now.
    pub fn threads(&self) -> usize {
        self.shared.lock().threads
    }
}

impl Leave {
    /// Leaves the place of the job that runs on this thread to another one; fails where too many wait
    /// already. Only for jobs of this pool whose turn has come.
    pub fn take(&self, whose: &str) -> Result<Waiting<'_>> {
        let mut state = self.0.lock();
        let own = state.waiting.iter().filter(|it| *it == whose).count();
        if own >= WAITING_EACH || state.waiting.len() >= WAITING {
            let said = format!("{} calls wait for people's answers already", state.waiting.len());
            return Err(Error::new(Kind::Busy, said)
                .hint("Nothing was changed; try again when some of them are answered"));
        }
        state.waiting.push(whose.to_owned());
        state.threads -= 1;
        state.rests(whose);
        if !state.queue.is_empty() {
            self.0.has_hands(&mut state);
            // What is queued may have waited for this caller's share, and others for nothing.
            self.0.wake.notify_one();
        }
        Ok(Waiting(&self.0, whose.to_owned()))
    }
}

impl Drop for Waiting<'_> {
    /// The job goes on at once, though its place may be taken; the next thread that is done ends then.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(at) = state.waiting.iter().position(|it| *it == self.1) {
            state.waiting.swap_remove(at);
        }
        state.threads += 1;
        state.working.push(self.1.clone());
    }
}

impl State {
    fn at_work(&self, whose: &str) -> usize {
        self.working.iter().filter(|it| *it == whose).count()
    }

    fn rests(&mut self, whose: &str) {
        if let Some(at) = self.working.iter().position(|it| it == whose) {
            self.working.swap_remove(at);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many of these one caller may have.
    fn share(&self, of: usize) -> usize {
        if self.fair { (of * 3 / 4).max(1) } else { of }
    }

    /// True once some thread is free for one more job; makes one if it may.
    fn has_hands(self: &Arc<Shared>, state: &mut State) -> bool {
        if state.threads > state.working.len() + state.queue.len() {
            return true;
        }
        if state.threads >= self.size.threads {
            return false;
        }
        let shared = self.clone();
        match begin("call", Box::new(move || shared.work())) {
            Ok(_) => {
                state.threads += 1;
                true
            }
            Err(why) => {
                log::warn!("no thread for another call: {why}");
                false
            }
        }
    }

    fn work(&self) {
        let mut worked = None;
        while let Some((whose, job)) = self.next(worked.as_deref()) {
            if catch_unwind(AssertUnwindSafe(|| job(Fate::Turn))).is_err() {
                log::error!("a defect ended a job of the pool");
            }
            worked = Some(whose);
        }
    }

    /// The next job and whose it is, for a thread that may have `worked` for somebody before; `None` when
    /// it is to end, which is then counted already.
    fn next(&self, worked: Option<&str>) -> Option<(String, Job)> {
        let mut state = self.lock();
        worked.inspect(|it| state.rests(it));
        let share = self.share(self.size.threads);
        let until = Instant::now() + self.size.idle;
        loop {
            // So many are at work without this one only where some came back from people.
            let surplus = state.working.len() >= self.size.threads;
            let fits = |it: &Queued| !surplus && state.at_work(&it.whose) < share;
            let at = state.queue.iter().position(fits);
            if let Some(Queued { whose, job, .. }) = at.and_then(|at| state.queue.remove(at)) {
                state.working.push(whose.clone());
                return Some((whose, job));
            }
            let left = until.saturating_duration_since(Instant::now());
            if surplus || left.is_zero() || state.closed {
                state.threads -= 1;
                return None;
            }
            state.asleep += 1;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            state.asleep -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn size(threads: usize, queue: usize) -> Size {
        Size { threads, queue, idle: Duration::from_millis(30) }
    }

    /// A job that says that it began and ends when it is told to.
    fn blocking(pool: &Pool) -> (Ticket, mpsc::Receiver<Fate>, mpsc::Sender<()>) {
        blocking_of(pool, "ann")
    }

    fn blocking_of(pool: &Pool, whose: &str) -> (Ticket, mpsc::Receiver<Fate>, mpsc::Sender<()>) {
        let (begun, seen) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let ticket = pool.submit(whose, move |fate| {
            begun.send(fate).unwrap();
            if fate == Fate::Turn {
                let _ = wait.recv();
            }
        });
        (ticket, seen, go)
    }

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn so_many_run_so_many_wait_and_the_next_is_refused() {
        let pool = Pool::new(size(2, 1));
        let running = [blocking(&pool), blocking(&pool)];
        for (_, seen, _) in &running {
            assert_eq!(seen.recv_timeout(SOON).unwrap(), Fate::Turn);
        }
        let (queued, seen, go) = blocking(&pool);
        let (_, full, _go) = blocking(&pool);
        assert_eq!(full.recv_timeout(SOON).unwrap(), Fate::Full);
        assert!(seen.try_recv().is_err() && pool.threads() == 2);
        drop(running);
        assert_eq!(seen.recv_timeout(SOON).unwrap(), Fate::Turn);
        assert!(!pool.forget(queued));
        drop(go);
    }

    #[test]
    fn a_queued_job_can_be_taken_back_and_frees_its_place() {
        let pool = Pool::new(size(1, 1));
        let (_, seen, go) = blocking(&pool);
        seen.recv_timeout(SOON).unwrap();
        let (queued, never, _go) = blocking(&pool);
        assert!(pool.forget(queued) && !pool.forget(queued));
        let (_, next, _go) = blocking(&pool);
        assert!(next.try_recv().is_err());
        go.send(()).unwrap();
        assert_eq!(next.recv_timeout(SOON).unwrap(), Fate::Turn);
        assert!(never.try_recv().is_err());
    }

    /// A job that waits for a person until it is told to go on, then ends when it is told to.
    fn asking(pool: &Pool, whose: &'static str) -> (mpsc::Receiver<bool>, [mpsc::Sender<()>; 2]) {
        let (leave, (says, seen)) = (pool.leave(), mpsc::channel());
        let ((answer, answered), (go, wait)) = (mpsc::channel(), mpsc::channel());
        pool.submit(whose, move |fate| {
            assert_eq!(fate, Fate::Turn);
            let waiting = leave.take(whose);
            says.send(waiting.is_ok()).unwrap();
            if waiting.is_ok() {
                let _ = answered.recv();
            }
            drop(waiting);
            let _ = (says.send(true), wait.recv());
        });
        (seen, [answer, go])
    }

    #[test]
    fn who_waits_for_a_person_keeps_no_worker_from_others_and_counts_again_after_that() {
        let pool = Pool::new(size(1, 1));
        let (seen, [answer, go]) = asking(&pool, "ann");
        assert!(seen.recv_timeout(SOON).unwrap());
        // One runs and one waits, as if the first were not there.
        let (_, begun, end) = blocking(&pool);
        assert_eq!(begun.recv_timeout(SOON).unwrap(), Fate::Turn);
        let (_, queued, _end) = blocking(&pool);
        let (_, full, _go) = blocking(&pool);
        assert_eq!(full.recv_timeout(SOON).unwrap(), Fate::Full);
        // The answered one goes on beside the other, and what ends then makes no room.
        answer.send(()).unwrap();
        assert!(seen.recv_timeout(SOON).unwrap());
        let (_, full, _go) = blocking(&pool);
        assert_eq!((full.recv_timeout(SOON).unwrap(), pool.threads()), (Fate::Full, 2));
        end.send(()).unwrap();
        let start = Instant::now();
        while pool.threads() > 1 && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(pool.threads() == 1 && queued.try_recv().is_err());
        go.send(()).unwrap();
        assert_eq!(queued.recv_timeout(SOON).unwrap(), Fate::Turn);
    }

    #[test]
    fn what_is_queued_begins_when_somebody_is_asked() {
        let pool = Pool::new(size(1, 2));
        let (_, begun, end) = blocking(&pool);
        begun.recv_timeout(SOON).unwrap();
        let (seen, _going) = asking(&pool, "ann");
        let (_, queued, _end) = blocking(&pool);
        end.send(()).unwrap();
        assert!(seen.recv_timeout(SOON).unwrap());
        assert_eq!(queued.recv_timeout(SOON).unwrap(), Fate::Turn);
    }

    #[test]
    fn so_many_may_wait_for_people_and_fewer_of_one_caller() {
        let pool = Pool::new(size(1, 0));
        let mut waiting = Vec::new();
        for whose in ["ann", "bob", "cem", "dan"] {
            for _ in 0..WAITING_EACH {
                waiting.push(asking(&pool, whose));
                assert!(waiting.last().unwrap().0.recv_timeout(SOON).unwrap(), "{whose}");
            }
            let (seen, [_, go]) = asking(&pool, whose);
            assert!(!seen.recv_timeout(SOON).unwrap(), "{whose}");
            drop(go);
            let start = Instant::now();
            while !pool.shared.lock().working.is_empty() && start.elapsed() < SOON {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(pool.shared.lock().waiting.len(), WAITING);
        let (seen, _go) = asking(&pool, "eve");
        assert!(!seen.recv_timeout(SOON).unwrap());
    }

    #[test]
    fn idle_threads_end_and_a_panicking_job_costs_none() {
        let pool = Pool::new(size(4, 4));
        for _ in 0..4 {
            pool.submit("ann", |_| panic!("on purpose"));
        }
        let start = Instant::now();
        while pool.threads() > 0 && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(pool.threads(), 0);
        let (_, seen, go) = blocking(&pool);
        assert_eq!(seen.recv_timeout(SOON).unwrap(), Fate::Turn);
        drop(go);
    }

    #[test]
    fn one_of_many_callers_leaves_room_for_others() {
        let pool = Pool::fair(size(4, 4));
        let begins = |it: &(Ticket, mpsc::Receiver<Fate>, mpsc::Sender<()>)| {
            assert_eq!(it.1.recv_timeout(SOON).unwrap(), Fate::Turn);
        };
        let mut running: Vec<_> = (0..3).map(|_| blocking(&pool)).collect();
        running.iter().for_each(begins);
        let queued: Vec<_> = (0..3).map(|_| blocking(&pool)).collect();
        let (_, full, _go) = blocking(&pool);
        assert_eq!(full.recv_timeout(SOON).unwrap(), Fate::Full);
        // There are two places left, and one of them is a thread's.
        let bob = blocking_of(&pool, "bob");
        begins(&bob);
        assert!(queued.iter().all(|it| it.1.try_recv().is_err()));
        let (_, waits, go) = blocking_of(&pool, "bob");
        let (_, full, _go) = blocking_of(&pool, "cem");
        assert_eq!(full.recv_timeout(SOON).unwrap(), Fate::Full);
        // His end is not her turn, but her own is.
        drop(bob);
        assert_eq!(waits.recv_timeout(SOON).unwrap(), Fate::Turn);
        drop(go);
        assert!(queued.iter().all(|it| it.1.try_recv().is_err()));
        drop(running.pop());
        begins(&queued[0]);
        assert!(queued[1].1.try_recv().is_err());
    }

    #[test]
    fn who_waits_for_a_person_uses_up_no_share() {
        let pool = Pool::fair(size(4, 4));
        let (seen, [answer, go]) = asking(&pool, "ann");
        assert!(seen.recv_timeout(SOON).unwrap());
        let running: Vec<_> = (0..3).map(|_| blocking(&pool)).collect();
        running.iter().for_each(|it| assert_eq!(it.1.recv_timeout(SOON).unwrap(), Fate::Turn));
        let (_, queued, _end) = blocking(&pool);
        assert!(queued.recv_timeout(Duration::from_millis(50)).is_err());
        let (asks, [reply, end]) = asking(&pool, "bob");
        assert!(asks.recv_timeout(SOON).unwrap());
        drop((reply, end, answer, go, running));
        assert_eq!(queued.recv_timeout(SOON).unwrap(), Fate::Turn);
    }
}
