//! A bounded pool of workers: threads made on demand and ended when idle, and a bounded queue.
//!
//! It knows jobs only. Surprising: a job that finds the queue full is not returned but run at once
//! on the caller's thread with [`Fate::Full`], so that only the job needs to know how to refuse.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// Workers and their queue; dropping it lets the workers end once the queue is empty.
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    size: Size,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(u64, Job)>,
    next: u64,
    threads: usize,
    /// Threads that are at a job.
    working: usize,
    /// Threads that wait for one; to wake costs something even where nobody does.
    asleep: usize,
    closed: bool,
}

impl Pool {
    /// No thread is made before the first job.
    pub fn new(size: Size) -> Pool {
        Pool { shared: Arc::new(Shared { size, state: Mutex::default(), wake: Condvar::new() }) }
    }

    /// Runs `job` on a worker when its turn comes.
    pub fn submit(&self, job: impl FnOnce(Fate) + Send + 'static) -> Ticket {
        self.take(Box::new(job))
    }

    fn take(&self, job: Job) -> Ticket {
        let size = self.shared.size;
        let mut state = self.shared.lock();
        let ticket = Ticket(state.next);
        state.next += 1;
        let full = state.queue.len() + state.working >= size.threads + size.queue;
        let served = !full && (self.has_hands(&mut state) || state.threads > 0);
        if !served {
            drop(state);
            job(Fate::Full);
            return ticket;
        }
        state.queue.push_back((ticket.0, job));
        let asleep = state.asleep > 0;
        drop(state);
        if asleep {
            self.shared.wake.notify_one();
        }
        ticket
    }

    /// True once some thread is free for one more job; makes one if it may.
    fn has_hands(&self, state: &mut State) -> bool {
        if state.threads > state.working + state.queue.len() {
            return true;
        }
        if state.threads >= self.shared.size.threads {
            return false;
        }
        let shared = self.shared.clone();
        match std::thread::Builder::new().name("call".to_owned()).spawn(move || shared.work()) {
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

    /// Drops a job that has not begun; true if there was one.
    pub fn forget(&self, ticket: Ticket) -> bool {
        let mut state = self.shared.lock();
        let at = state.queue.iter().position(|(id, _)| *id == ticket.0);
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

    fn work(&self) {
        let mut worked = false;
        while let Some(job) = self.next(worked) {
            if catch_unwind(AssertUnwindSafe(|| job(Fate::Turn))).is_err() {
                log::error!("a defect ended a job of the pool");
            }
            worked = true;
        }
    }

    /// The next job, for a thread that may have `worked` before; `None` when it is to end, which is
    /// then counted already.
    fn next(&self, worked: bool) -> Option<Job> {
        let mut state = self.lock();
        state.working -= usize::from(worked);
        let until = Instant::now() + self.size.idle;
        loop {
            if let Some((_, job)) = state.queue.pop_front() {
                state.working += 1;
                return Some(job);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.closed {
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
        let (begun, seen) = mpsc::channel();
        let (go, wait) = mpsc::channel();
        let ticket = pool.submit(move |fate| {
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

    #[test]
    fn idle_threads_end_and_a_panicking_job_costs_none() {
        let pool = Pool::new(size(4, 4));
        for _ in 0..4 {
            pool.submit(|_| panic!("on purpose"));
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
}
