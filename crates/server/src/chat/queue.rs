//! The processor's queue: bounded, and filled by callers that must not wait.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use sockeye::{MemoryAccount, MemoryPressure};

/// A bounded queue of jobs.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    /// Most jobs that [`Queue::push`] accepts.
    max: usize,
    /// Most bytes of those jobs.
    bytes_max: usize,
}

#[derive(Debug)]
struct State<J> {
    /// The jobs with the bytes of each.
    jobs: VecDeque<(J, usize)>,
    /// The bytes of all jobs, charged to the memory budget.
    held: MemoryAccount,
    is_closed: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new(max: usize, bytes_max: usize, held: MemoryAccount) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                held,
                is_closed: false,
            }),
            filled: Condvar::new(),
            max,
            bytes_max,
        }
    }

    /// Adds a job. Returns it if the queue is full or closed.
    pub(crate) fn push(&self, job: J, bytes: usize) -> Result<(), J> {
        let mut state = self.lock();
        let is_full = state.jobs.len() >= self.max
            || state.held.bytes() + bytes > self.bytes_max
            || state.held.budget().pressure() == MemoryPressure::Hard;
        if state.is_closed || is_full {
            return Err(job);
        }
        state.held.charge(bytes);
        state.jobs.push_back((job, bytes));
        self.filled.notify_one();
        Ok(())
    }

    /// Adds a job even if the queue is full, for jobs that must not be lost and have their own bound: one for each session
    /// that ends.
    pub(crate) fn push_past_the_limit(&self, job: J) {
        let mut state = self.lock();
        if !state.is_closed {
            state.jobs.push_back((job, 0));
            self.filled.notify_one();
        }
    }

    /// Waits for jobs and takes up to `batch_max` of them. Returns none once the queue is closed and empty.
    pub(crate) fn take(&self, batch_max: usize) -> Vec<J> {
        let state = self.lock();
        let mut state = self
            .filled
            .wait_while(state, |state| state.jobs.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(batch_max);
        let taken: Vec<(J, usize)> = state.jobs.drain(..count).collect();
        let bytes = taken.iter().map(|(_, bytes)| bytes).sum();
        state.held.release(bytes);
        drop(state);
        taken.into_iter().map(|(job, _)| job).collect()
    }

    /// Refuses further jobs. Those in the queue can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sockeye::MemoryBudget;

    use super::*;

    fn queue(max: usize) -> Queue<u32> {
        Queue::new(max, 100, MemoryBudget::new(1 << 20).account())
    }

    #[test]
    fn a_full_queue_returns_a_job_unless_it_must_not_be_lost() {
        let queue = queue(2);
        assert_eq!((queue.push(1, 0), queue.push(2, 0)), (Ok(()), Ok(())));
        assert_eq!(queue.push(3, 0), Err(3));
        queue.push_past_the_limit(4);
        assert_eq!(queue.take(2), [1, 2]);
        queue.close();
        assert_eq!(queue.push(5, 0), Err(5));
        assert_eq!(queue.take(2), [4]);
        assert!(queue.take(2).is_empty());
    }

    #[test]
    fn a_few_large_jobs_fill_the_queue_until_they_are_taken() {
        let queue = queue(9);
        assert_eq!((queue.push(1, 60), queue.push(2, 60)), (Ok(()), Err(2)));
        assert_eq!(queue.push(3, 40), Ok(()));
        assert_eq!(queue.take(1), [1]);
        assert_eq!((queue.push(4, 60), queue.push(5, 1)), (Ok(()), Err(5)));
    }

    #[test]
    fn the_queue_is_full_when_the_memory_budget_is_used_up() {
        let budget = MemoryBudget::new(1000 << 10);
        let queue = Queue::new(9, 2000 << 10, budget.account());
        assert_eq!(queue.push(1, 600 << 10), Ok(()));
        let mut other = budget.account();
        other.set(500 << 10);
        assert_eq!(queue.push(2, 1), Err(2));
        drop(other);
        assert_eq!(queue.push(2, 1), Ok(()));
        queue.take(9);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_waiting_processor_wakes_when_a_job_is_pushed() {
        let queue = queue(2);
        std::thread::scope(|scope| {
            let processor = scope.spawn(|| queue.take(2));
            queue.push(1, 0).unwrap();
            assert_eq!(processor.join().unwrap(), [1]);
        });
    }
}
