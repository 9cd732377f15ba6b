//! Which task drives a loop-style connection next: a pure state machine.

use std::task::Waker;

/// Which task drives a connection next: a task in `recv`, or that of the drive queue.
///
/// Each `handle_` method is an event. It returns what the caller does after it has released the lock around the state.
/// [`take_wake`](Self::take_wake) returns whether driving would find anything.
///
/// ```text
///                  register                        wake, kind `Future`: WakeTask
///        ┌────────────────────────> Waiting ────────────────────────────────────> Woken
///        │                           │ ^  │ wake, kind `Poll`: Queue               │ │
///      None <── unregister ──────────┤ │  └────> Waiting                           │ │
///        │ ^ <─ driven: WakeTask ────┘ └────────────── register ───────────────────┘ │
///        │ └─────────────── unregister: Queue, unless the wake-up was taken ─────────┘
///        └── wake: Queue ──> None
///
///   Queue puts the connection into the drive queue, unless it is there (`is_queued`). At its turn:
///
///      handle_turn ──┬── Woken: nothing, the woken task drives
///                    └── otherwise: drives if `take_wake`, flushes, then handle_driven
/// ```
#[derive(Debug, Default)]
pub(crate) struct DriveState {
    recv: RecvTask,
    /// Whether the connection is in the drive queue and its turn has not come.
    is_queued: bool,
    /// Whether the socket has woken the connection since driving began last.
    has_wake: bool,
}

/// The task in `recv`.
#[derive(Debug, Default)]
enum RecvTask {
    /// No task waits.
    #[default]
    None,
    /// It waits for what is received.
    Waiting(Waker, WaitKind),
    /// A wake-up went to it. It drives.
    Woken,
}

/// How a task waits, which decides whether it drives for certain after a wake-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitKind {
    /// In a future of this crate. The task polls it again or drops it, so it drives or unregisters.
    Future,
    /// In a `poll_` method. The task may never call it again, as after a read that timed out.
    Poll,
}

/// What follows from an event.
#[derive(Debug)]
#[must_use]
pub(crate) enum DriveAction {
    None,
    /// Wake the task in `recv`.
    WakeTask(Waker),
    /// Put the connection into the drive queue, where it is not.
    Queue,
}

impl DriveState {
    /// Handles a wake-up from the socket.
    pub(crate) fn handle_wake(&mut self) -> DriveAction {
        self.has_wake = true;
        match std::mem::take(&mut self.recv) {
            RecvTask::Waiting(waker, WaitKind::Future) => {
                self.recv = RecvTask::Woken;
                DriveAction::WakeTask(waker)
            }
            RecvTask::Woken => {
                self.recv = RecvTask::Woken;
                DriveAction::None
            }
            // `handle_driven` wakes a task of kind `Poll`.
            recv => {
                self.recv = recv;
                self.queue()
            }
        }
    }

    /// Handles a task that waits in `recv`. From now on wake-ups go to it.
    pub(crate) fn register(&mut self, waker: &Waker, kind: WaitKind) {
        match &mut self.recv {
            RecvTask::Waiting(known, known_kind) => {
                known.clone_from(waker);
                *known_kind = kind;
            }
            recv => *recv = RecvTask::Waiting(waker.clone(), kind),
        }
    }

    /// Handles a registered task that turns to something else. If a wake-up went to it and it hasn't driven since, the
    /// drive queue does.
    pub(crate) fn unregister(&mut self) -> DriveAction {
        match std::mem::take(&mut self.recv) {
            RecvTask::None | RecvTask::Woken if self.has_wake => self.queue(),
            _ => DriveAction::None,
        }
    }

    /// Handles the turn of the connection in the drive queue. Returns whether to drive and to flush: not if a woken task
    /// drives. That task flushed when it began to wait, and what it sends next gathers better if it drives itself.
    pub(crate) fn handle_turn(&mut self) -> bool {
        self.is_queued = false;
        !matches!(self.recv, RecvTask::Woken)
    }

    /// Handles the end of driving by the drive queue. A task that waits in `recv` may find in the inbox what was read.
    pub(crate) fn handle_driven(&mut self) -> DriveAction {
        match std::mem::take(&mut self.recv) {
            RecvTask::Waiting(waker, _) => DriveAction::WakeTask(waker),
            RecvTask::None | RecvTask::Woken => DriveAction::None,
        }
    }

    /// Takes the wake-up. Called before driving begins: a wake-up that comes later counts for the next time.
    pub(crate) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.has_wake)
    }

    /// Orders a turn in the drive queue.
    pub(crate) fn queue(&mut self) -> DriveAction {
        match std::mem::replace(&mut self.is_queued, true) {
            true => DriveAction::None,
            false => DriveAction::Queue,
        }
    }
}

#[cfg(test)]
mod loom_model;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(action: &DriveAction) -> &'static str {
        match action {
            DriveAction::None => "none",
            DriveAction::WakeTask(_) => "wake the task",
            DriveAction::Queue => "queue",
        }
    }

    fn waiting(kind: WaitKind) -> DriveState {
        let mut state = DriveState::default();
        state.register(Waker::noop(), kind);
        state
    }

    #[test]
    fn a_wake_up_without_a_task_queues_once_until_the_turn() {
        let mut state = DriveState::default();
        assert_eq!(name(&state.handle_wake()), "queue");
        assert_eq!(name(&state.handle_wake()), "none");
        assert!(state.handle_turn());
        assert!(state.take_wake());
        assert_eq!(name(&state.handle_wake()), "queue");
    }

    #[test]
    fn a_wake_up_goes_to_a_future_and_the_drive_queue_leaves_it_the_driving() {
        let mut state = waiting(WaitKind::Future);
        assert_eq!(name(&state.queue()), "queue");
        assert_eq!(name(&state.handle_wake()), "wake the task");
        assert_eq!(name(&state.handle_wake()), "none");
        assert!(!state.handle_turn());
        state.register(Waker::noop(), WaitKind::Future);
        assert!(state.take_wake());
        assert_eq!(name(&state.unregister()), "none");
    }

    #[test]
    fn a_woken_future_that_is_dropped_queues_the_wake_up_that_it_leaves() {
        let mut state = waiting(WaitKind::Future);
        assert_eq!(name(&state.handle_wake()), "wake the task");
        assert_eq!(name(&state.unregister()), "queue");
        assert!(state.handle_turn());
        assert!(state.take_wake());
    }

    #[test]
    fn a_wake_up_while_the_task_drives_is_queued_when_it_returns() {
        let mut state = waiting(WaitKind::Future);
        assert!(!state.take_wake());
        assert_eq!(name(&state.handle_wake()), "wake the task");
        assert_eq!(name(&state.unregister()), "queue");
    }

    #[test]
    fn a_polling_task_is_woken_after_the_drive_queue_has_driven() {
        let mut state = waiting(WaitKind::Poll);
        assert_eq!(name(&state.handle_wake()), "queue");
        assert!(state.handle_turn());
        assert!(state.take_wake());
        assert_eq!(name(&state.handle_driven()), "wake the task");
        assert_eq!(name(&state.handle_driven()), "none");
    }

    #[test]
    fn a_future_takes_the_place_of_a_polling_task() {
        let mut state = waiting(WaitKind::Poll);
        state.register(Waker::noop(), WaitKind::Future);
        assert_eq!(name(&state.handle_wake()), "wake the task");
    }
}
