//! What waits for the desk: bounded, and filled by people who must not wait themselves.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// What waits for the desk.
#[derive(Debug)]
pub(crate) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
    /// Jobs that [`Queue::push`] lets wait.
    max: usize,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    is_closed: bool,
}

impl<J> Queue<J> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                is_closed: false,
            }),
            filled: Condvar::new(),
            max,
        }
    }

    /// Gives the job back if the queue is full or closed.
    pub(crate) fn push(&self, job: J) -> Result<(), J> {
        let mut state = self.lock();
        if state.is_closed || state.jobs.len() >= self.max {
            return Err(job);
        }
        state.jobs.push_back(job);
        self.filled.notify_one();
        Ok(())
    }

    /// For what must not be lost and has a bound of its own: one for each session, when it ends.
    pub(crate) fn push_past_the_limit(&self, job: J) {
        let mut state = self.lock();
        if !state.is_closed {
            state.jobs.push_back(job);
            self.filled.notify_one();
        }
    }

    /// Waits for jobs and takes up to `batch_max` of them. Empty once the queue is closed and everything was taken.
    pub(crate) fn take(&self, batch_max: usize) -> Vec<J> {
        let state = self.lock();
        let mut state = self
            .filled
            .wait_while(state, |state| state.jobs.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let count = state.jobs.len().min(batch_max);
        state.jobs.drain(..count).collect()
    }

    /// Takes nothing more. What waits is still worked off.
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
    use super::*;

    #[test]
    fn a_full_queue_gives_back_and_takes_what_must_not_be_lost() {
        let queue = Queue::new(2);
        assert_eq!((queue.push(1), queue.push(2)), (Ok(()), Ok(())));
        assert_eq!(queue.push(3), Err(3));
        queue.push_past_the_limit(4);
        assert_eq!(queue.take(2), [1, 2]);
        queue.close();
        assert_eq!(queue.push(5), Err(5));
        assert_eq!(queue.take(2), [4]);
        assert!(queue.take(2).is_empty());
    }

    #[test]
    fn a_waiting_desk_wakes_when_there_is_work() {
        let queue = Queue::new(2);
        std::thread::scope(|scope| {
            let desk = scope.spawn(|| queue.take(2));
            queue.push(1).unwrap();
            assert_eq!(desk.join().unwrap(), [1]);
        });
    }
}
