//! All orders of a socket, a task in `recv` and the drive queue, tried by loom: no message stays behind.
//!
//! The model does around [`DriveState`] what `background_driver` does, in the same order and under the same two locks. A lost
//! wake-up leaves a thread waiting for ever, which loom reports as a deadlock.

use std::{
    mem,
    sync::Arc as StdArc,
    task::{Wake, Waker},
};

use loom::{
    model::Builder,
    sync::{Arc, Mutex, MutexGuard, Notify, atomic::AtomicBool},
    thread::{self, JoinHandle},
};
use std::sync::atomic::Ordering;

use super::{DriveAction, DriveState, WaitKind};

/// One connection, in which messages are only counted.
struct Model {
    /// Messages that the socket holds.
    socket: Mutex<u32>,
    /// Messages that `recv` may take; locked as the receiving side is.
    inbox: Mutex<u32>,
    drive_state: Mutex<DriveState>,
    /// Notified when the connection joins the drive queue.
    queue: Notify,
    /// Whether the drive queue's task ends at its next turn.
    is_over: AtomicBool,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            socket: Mutex::default(),
            inbox: Mutex::default(),
            drive_state: Mutex::default(),
            queue: Notify::new(),
            is_over: AtomicBool::new(false),
        })
    }

    fn drive_state(&self) -> MutexGuard<'_, DriveState> {
        self.drive_state.lock().unwrap()
    }

    fn act(&self, action: DriveAction) {
        match action {
            DriveAction::None => {}
            DriveAction::WakeTask(waker) => waker.wake(),
            DriveAction::Queue => self.queue.notify(),
        }
    }

    /// Has a message arrive, of which the socket wakes the connection.
    fn arrive(&self) {
        *self.socket.lock().unwrap() += 1;
        let action = self.drive_state().handle_wake();
        self.act(action);
    }

    fn drive(&self, inbox: &mut u32) {
        *inbox += mem::take(&mut *self.socket.lock().unwrap());
    }

    /// Polls as `RecvShared::poll_until` does. Returns whether it has taken a message.
    fn poll_recv(&self, waker: &Waker, kind: WaitKind) -> bool {
        let mut inbox = self.inbox.lock().unwrap();
        if *inbox == 0 {
            let mut drive_state = self.drive_state();
            drive_state.register(waker, kind);
            let was_woken = drive_state.take_wake();
            drop(drive_state);
            if !was_woken {
                return false;
            }
            self.drive(&mut inbox);
            if *inbox == 0 {
                return false;
            }
            self.unregister();
        }
        *inbox -= 1;
        true
    }

    fn unregister(&self) {
        let action = self.drive_state().unregister();
        self.act(action);
    }

    /// Takes one message in a loop-style task that waits for it.
    fn recv(&self, kind: WaitKind) {
        let task = StdArc::new(Task(Notify::new()));
        let waker = Waker::from(StdArc::clone(&task));
        while !self.poll_recv(&waker, kind) {
            task.0.wait();
        }
        // A `poll_` method stays registered; a future is dropped.
        if kind == WaitKind::Future {
            self.unregister();
        }
    }

    /// Does as `BackgroundDriver::drive_once`.
    fn drive_once(&self) {
        if !self.drive_state().handle_turn() {
            return;
        }
        let mut inbox = self.inbox.lock().unwrap();
        let was_woken = self.drive_state().take_wake();
        if was_woken {
            self.drive(&mut inbox);
        }
        drop(inbox);
        if was_woken {
            let action = self.drive_state().handle_driven();
            self.act(action);
        }
    }

    fn end_queue(&self, queue: JoinHandle<()>) {
        self.is_over.store(true, Ordering::SeqCst);
        self.queue.notify();
        queue.join().unwrap();
    }
}

/// The waker of a task that waits in `recv`.
struct Task(Notify);

impl Wake for Task {
    fn wake(self: StdArc<Self>) {
        self.0.notify();
    }
}

/// Runs the task of the drive queue until `is_done`.
fn run_queue(model: &Arc<Model>, is_done: fn(&Model) -> bool) -> JoinHandle<()> {
    let model = Arc::clone(model);
    thread::spawn(move || {
        while !is_done(&model) {
            model.queue.wait();
            if !is_done(&model) {
                model.drive_once();
            }
        }
    })
}

fn check(run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    // Threads change places at most twice outside their waits; more orders take minutes.
    builder.preemption_bound = Some(2);
    builder.check(run);
}

fn each_message_is_received(kind: WaitKind) {
    check(move || {
        let model = Model::new();
        let queue = run_queue(&model, |model| model.is_over.load(Ordering::SeqCst));
        let socket = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.arrive();
                model.arrive();
            })
        };
        model.recv(kind);
        model.recv(kind);
        socket.join().unwrap();
        model.end_queue(queue);
    });
}

#[test]
fn a_future_receives_each_message() {
    each_message_is_received(WaitKind::Future);
}

#[test]
fn a_task_in_a_poll_method_receives_each_message() {
    each_message_is_received(WaitKind::Poll);
}

#[test]
fn a_message_is_read_though_the_future_that_waited_for_it_is_dropped() {
    check(|| {
        let model = Model::new();
        let queue = run_queue(&model, |model| {
            model.is_over.load(Ordering::SeqCst) || *model.inbox.lock().unwrap() > 0
        });
        let socket = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.arrive())
        };
        if model.poll_recv(Waker::noop(), WaitKind::Future) {
            model.end_queue(queue);
        } else {
            model.unregister();
            queue.join().unwrap();
        }
        socket.join().unwrap();
    });
}
