//! The loop of one worker.

mod orders;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use mio::{Events, Interest, Token, event::Event};
use tokio::{runtime::Handle, time::Instant};

use crate::{
    connection::{
        DriveOutcome, Established, Io, Mailbox, Note, SenderBacklog, ShortRead, Socket, buffers,
        fan_out::backlog,
    },
    handshake::Refusal,
    server::{
        admit::{Accepted, Admission, Admitted, Capacity},
        closing_notice::ClosingNotice,
        first_request::ToTokio,
        handoff::{Handoff, Orders},
        shared::{Phase, ServerShared},
        worker::{
            acceptor::{AcceptOutcome, Acceptor},
            active_session::ActiveSession,
            deliveries::Deliveries,
            handshake_deadlines::{HandshakeDeadline, HandshakeDeadlines},
            pending_handshake::{HandshakeProgress, PendingHandshake},
            poller::Poller,
            slab::Slab,
            timer_fd::TimerFd,
            timers::Timers,
            tokens::{
                HANDSHAKE_TIMER, MAILBOX, TIMER_FD, acceptor_number, acceptor_of_timer,
                acceptor_token, timer_of_acceptor,
            },
        },
    },
    time::later,
};

/// A worker whose thread has not started: it can receive notes and orders already.
pub(crate) struct IdleWorker {
    poll: mio::Poll,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
}

/// The loop of one worker: waits until a socket is ready, a note comes or a deadline passes, and handles it.
///
/// ```text
///   wait ──> socket events ──> notes and orders ──> timers ──> unfinished slots ──> deliveries to groups ──> wait
/// ```
pub(crate) struct ReadinessLoop {
    poll: mio::Poll,
    poller: Poller,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
    shared: Arc<ServerShared>,
    /// The server's phase, as of the last order.
    phase: Phase,
    /// Runs the connections that a worker doesn't carry.
    runtime: Handle,
    acceptors: Vec<Acceptor>,
    slots: Slab<Slot>,
    handshake_deadlines: HandshakeDeadlines,
    timers: Timers,
    timer_fd: TimerFd,
    /// Slots with more work, of which no event may tell.
    unfinished: Vec<u32>,
    /// The unfinished slots of the last round. Empty between rounds; kept for its memory.
    resumed: Vec<u32>,
    deliveries: Deliveries,
    read_buffers: buffers::ReadBuffers,
    /// Sent to every session that opens from now on.
    closing_notice: Option<Box<ClosingNotice>>,
}

/// The connection in a slot.
enum Slot {
    PendingHandshake(Box<PendingHandshake>),
    ActiveSession(ActiveSession),
}

/// Events that one wait returns at most. A round over all of them takes some milliseconds.
const EVENTS_MAX: usize = 1024;

/// Connections that an acceptor accepts before the other slots get their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// How often a draining worker checks whether all connections have ended.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(20);

impl IdleWorker {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(poll.registry(), MAILBOX)?);
        let orders = Arc::new(Orders::new(Arc::clone(&mailbox)));
        Ok(Self {
            poll,
            mailbox,
            orders,
        })
    }

    pub(crate) fn orders(&self) -> &Arc<Orders> {
        &self.orders
    }
}

impl ReadinessLoop {
    pub(crate) fn new(
        idle: IdleWorker,
        mut acceptors: Vec<Acceptor>,
        shared: Arc<ServerShared>,
        runtime: Handle,
    ) -> io::Result<Self> {
        for (number, acceptor) in acceptors.iter_mut().enumerate() {
            acceptor.register(idle.poll.registry(), acceptor_token(number))?;
        }
        let timer_fd = TimerFd::new(idle.poll.registry(), TIMER_FD)?;
        Ok(Self {
            poll: idle.poll,
            poller: Poller::new(shared.settings.busy_poll),
            mailbox: idle.mailbox,
            orders: idle.orders,
            phase: shared.phase(),
            shared,
            runtime,
            acceptors,
            slots: Slab::new(),
            handshake_deadlines: HandshakeDeadlines::default(),
            timers: Timers::new(Instant::now()),
            timer_fd,
            unfinished: Vec::new(),
            resumed: Vec::new(),
            deliveries: Deliveries::default(),
            read_buffers: buffers::ReadBuffers::new(),
            closing_notice: None,
        })
    }

    /// Runs until the server has ended and no connection is left.
    pub(crate) fn run(&mut self) {
        // Endpoints may spawn tasks.
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        backlog::begin_work();
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut notes = Vec::new();
        let mut fired = Vec::new();
        while !self.is_over() {
            let is_idle = self.unfinished.is_empty() && self.deliveries.is_empty();
            let may_wait = self.mailbox.begin_wait() && is_idle;
            let wait_max = self.timer_fd.set(self.timers.due());
            let timeout = match may_wait {
                true => self.wait_limit(wait_max),
                false => Some(Duration::ZERO),
            };
            let polled = self.poller.wait(&mut self.poll, &mut events, timeout);
            self.mailbox.end_wait();
            if let Err(error) = polled
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a worker can't wait for its sockets");
            }
            for event in &events {
                self.handle_event(event);
            }
            // No session was driven, so what was sent to groups here holds up no sender.
            backlog::take();
            self.mailbox.take(&mut notes);
            for note in notes.drain(..) {
                self.handle_note(note);
            }
            if self.timer_fd.may_be_due() {
                let now = Instant::now();
                if self.timers.due().is_some_and(|due| due <= now) {
                    self.timers.expired(now, &mut fired);
                }
                for slot in fired.drain(..) {
                    self.handle_timer(slot, now);
                }
            }
            self.resume_unfinished();
        }
    }

    /// Drives the unfinished slots: each once, however often it was noted. Otherwise a peer that sends without a
    /// pause, and is noted for each event as well, would get more and more turns.
    fn resume_unfinished(&mut self) {
        if self.unfinished.is_empty() && self.deliveries.is_empty() {
            return;
        }
        std::mem::swap(&mut self.unfinished, &mut self.resumed);
        let mut pending_slots = std::mem::take(&mut self.resumed);
        pending_slots.sort_unstable();
        pending_slots.dedup();
        for slot in pending_slots.drain(..) {
            match acceptor_of_timer(slot) {
                Some(acceptor) => self.accept(acceptor),
                None => self.drive_slot(slot, ShortRead::ReadOn),
            }
        }
        self.resumed = pending_slots;
        // Last, so that what endpoints have sent to groups in this round goes out together.
        self.deliveries.deliver(&mut self.unfinished);
    }

    /// Stops reading from the session in `slot` if it has sent more to groups than they have delivered.
    #[cold]
    fn hold(&mut self, slot: u32) {
        let Some(Slot::ActiveSession(active)) = self.slots.at_mut(slot) else {
            return;
        };
        match backlog::take() {
            None => {}
            Some(SenderBacklog::OtherConnections) => self.unfinished.push(slot),
            Some(SenderBacklog::Slice(slice)) => {
                self.deliveries.hold(slot, &slice);
                active.hold(slice);
            }
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving => false,
            // A connection that is on its way to this worker counts as a connection.
            Phase::Draining => self.slots.len() == 0 && self.shared.connections.count() == 0,
            Phase::Ended => self.slots.len() == 0,
        }
    }

    /// Returns how long the loop may wait; `None` means without a limit. `wait_max` is what its next deadline allows.
    fn wait_limit(&self, wait_max: Option<Duration>) -> Option<Duration> {
        match self.phase {
            Phase::Serving => wait_max,
            _ => Some(wait_max.map_or(DRAIN_CHECK_INTERVAL, |wait| wait.min(DRAIN_CHECK_INTERVAL))),
        }
    }

    #[inline]
    fn handle_event(&mut self, event: &Event) {
        let Token(number) = event.token();
        match u32::try_from(number) {
            Ok(slot) => {
                let short_read = match event.is_read_closed() || event.is_error() {
                    true => ShortRead::ReadOn,
                    false => ShortRead::Last,
                };
                self.drive_slot(slot, short_read);
            }
            Err(_) if event.token() == MAILBOX => {}
            Err(_) if event.token() == TIMER_FD => self.timer_fd.handle_event(),
            Err(_) => self.accept(acceptor_number(event.token())),
        }
    }

    fn handle_note(&mut self, note: Note) {
        match note {
            Note::Look(slot) => self.drive_slot(slot, ShortRead::ReadOn),
            Note::Deliver(slice) => self.deliveries.add(slice),
            Note::Orders => self.handle_orders(),
        }
    }

    fn handle_timer(&mut self, slot: u32, now: Instant) {
        if let Some(number) = acceptor_of_timer(slot) {
            if let Some(acceptor) = self.acceptors.get_mut(number) {
                acceptor.end_pause();
            }
            return self.accept(number);
        }
        if slot == HANDSHAKE_TIMER {
            return self.handle_handshake_timer();
        }
        if let Some(Slot::ActiveSession(_)) = self.slots.at_mut(slot) {
            // What has come is read first: a peer whose bytes are here is not late.
            self.drive_slot(slot, ShortRead::ReadOn);
            self.check_watchdog(slot, now);
        }
    }

    /// Checks the session's deadlines, of which no event tells, and arms the timer for the next check.
    fn check_watchdog(&mut self, slot: u32, now: Instant) {
        let Some(Slot::ActiveSession(active)) = self.slots.at_mut(slot) else {
            return;
        };
        let outcome = active.check_watchdog(now, self.shared.registry.stats());
        let due = active.watchdog_due(now);
        self.handle_outcome(slot, outcome);
        if outcome.is_pending()
            && let Some(due) = due
        {
            self.timers.arm_slot(slot, due);
        }
    }

    /// Refuses the connections whose request has not come in time.
    fn handle_handshake_timer(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.first_pending()
            && first.deadline <= now
        {
            self.handshake_deadlines.pop_first();
            self.pass_to_tokio(first.slot, ToTokio::Refused(Refusal::too_late()));
        }
        if let Some(deadline) = self.handshake_deadlines.handle_timer() {
            self.arm_handshake_timer(deadline);
        }
    }

    /// Returns the earliest deadline of a request that has not come yet.
    fn first_pending(&mut self) -> Option<HandshakeDeadline> {
        loop {
            let first = self.handshake_deadlines.first()?;
            match self.slots.at_mut(first.slot) {
                Some(Slot::PendingHandshake(pending)) if pending.deadline == first.deadline => {
                    return Some(first);
                }
                _ => self.handshake_deadlines.pop_first(),
            }
        }
    }

    fn arm_handshake_timer(&mut self, deadline: Instant) {
        self.timers.arm(HANDSHAKE_TIMER, deadline);
    }

    /// Drives the connection in a slot.
    #[inline]
    fn drive_slot(&mut self, slot: u32, short_read: ShortRead) {
        match self.slots.at_mut(slot) {
            Some(Slot::ActiveSession(active)) => {
                let outcome = active.drive(
                    &mut self.read_buffers,
                    short_read,
                    self.shared.registry.stats(),
                );
                if backlog::is_behind() {
                    self.hold(slot);
                    return self.handle_outcome(slot, outcome);
                }
                if outcome.is_pending() && !active.may_need_timer() {
                    return;
                }
                self.handle_outcome(slot, outcome);
            }
            Some(Slot::PendingHandshake(_)) => self.read_request(slot, short_read),
            None => {}
        }
    }

    /// Handles the result of driving a session: schedules more work, arms its timer, or removes it.
    fn handle_outcome(&mut self, slot: u32, outcome: Poll<DriveOutcome>) {
        match outcome {
            Poll::Ready(DriveOutcome::Over) => self.unfinished.push(slot),
            Poll::Ready(DriveOutcome::Done) => {
                drop_catching_panic(self.slots.remove(slot));
                return;
            }
            Poll::Pending => {}
        }
        if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(slot)
            && let Some(timer) = active.timer()
        {
            self.timers.arm_slot(slot, timer);
        }
    }

    fn accept(&mut self, number: usize) {
        let timeout = self.shared.settings.limits.handshake_timeout;
        let deadline = later(Instant::now(), timeout);
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(acceptor) = self.acceptors.get_mut(number) else {
                return;
            };
            let is_serving = || self.shared.is_serving();
            match acceptor.accept(self.shared.tcp_keepalive, is_serving) {
                AcceptOutcome::Accepted(socket, peer_addr) => {
                    if let Some(capacity) = Capacity::new(&self.shared, peer_addr) {
                        self.add_connection(socket, peer_addr, capacity, deadline);
                    }
                }
                AcceptOutcome::Empty => return,
                AcceptOutcome::Pause(until) => {
                    return self.timers.arm(timer_of_acceptor(number), until);
                }
            }
        }
        // There may be more connections, of which no event will tell.
        self.unfinished.push(timer_of_acceptor(number));
    }

    fn add_connection(
        &mut self,
        socket: Socket,
        peer_addr: Option<std::net::SocketAddr>,
        capacity: Capacity,
        deadline: Instant,
    ) {
        let pending = PendingHandshake {
            socket,
            peer_addr,
            capacity,
            deadline,
            bytes: Vec::new(),
            account: self.shared.settings.memory_budget.account(),
        };
        let slot = self.slots.insert(Slot::PendingHandshake(Box::new(pending)));
        let Some(Slot::PendingHandshake(pending)) = self.slots.at_mut(slot) else {
            return;
        };
        if let Err(error) = register(&self.poll, &mut pending.socket, slot) {
            tracing::error!(%error, "a worker can't register a socket");
            self.slots.remove(slot);
            return;
        }
        // Removes the deadlines of finished handshakes, so that the queue holds little more than those in
        // progress.
        self.first_pending();
        if let Some(deadline) = self
            .handshake_deadlines
            .push(HandshakeDeadline { slot, deadline })
        {
            self.arm_handshake_timer(deadline);
        }
    }

    fn read_request(&mut self, slot: u32, short_read: ShortRead) {
        let Some(Slot::PendingHandshake(pending)) = self.slots.at_mut(slot) else {
            return;
        };
        let limits = &self.shared.settings.limits;
        match pending.read(&mut self.read_buffers.buffer, limits) {
            HandshakeProgress::Wait => {}
            HandshakeProgress::Closed => {
                self.slots.remove(slot);
            }
            HandshakeProgress::Upgrade(incoming, leftover) => {
                if let Some(refusal) = pending.capacity.refusal_of_websocket(&self.shared) {
                    return self.pass_to_tokio(slot, ToTokio::Refused(refusal));
                }
                match self.shared.admit(*incoming, pending.capacity.key()) {
                    Admission::Now(Ok(admitted)) if admitted.is_for_worker() => {
                        self.begin_session(slot, admitted, leftover, short_read);
                    }
                    admission => self.pass_to_tokio(slot, ToTokio::Upgrade(admission, leftover)),
                }
            }
            HandshakeProgress::Other(first, bytes) => {
                self.pass_to_tokio(slot, ToTokio::Other(first, bytes));
            }
        }
    }

    /// Begins the session of an admitted request.
    fn begin_session(
        &mut self,
        slot: u32,
        admitted: Admitted,
        leftover: Vec<u8>,
        short_read: ShortRead,
    ) {
        let Some(Slot::PendingHandshake(pending)) = self.slots.remove(slot) else {
            return;
        };
        let Capacity::Regular(permit) = pending.capacity else {
            return;
        };
        let io = Io::Socket(pending.socket);
        let Some(handoff) = admitted.handoff(io, leftover, permit) else {
            return;
        };
        // The new session takes the slot that was freed last, under whose number the socket is registered.
        self.insert_session(handoff, short_read);
    }

    /// Begins the session of a connection that tokio has accepted.
    fn handle_handoff(&mut self, mut handoff: Handoff) {
        // The sessions of this worker were aborted already.
        if self.phase == Phase::Ended {
            return drop_catching_panic(handoff);
        }
        let slot = self.slots.next();
        let Established { io, .. } = &mut handoff.established;
        let registered = match io {
            Io::Socket(socket) => register(&self.poll, socket, slot),
            Io::Tls(tls) => register(&self.poll, tls.socket_mut(), slot),
            Io::None | Io::Stream(_) => return drop_catching_panic(handoff),
        };
        match registered {
            Ok(()) => self.insert_session(handoff, ShortRead::ReadOn),
            Err(error) => {
                tracing::error!(%error, "a worker can't register a socket");
                drop_catching_panic(handoff);
            }
        }
    }

    /// Puts a session into the next slot and opens it. `short_read` says whether the read of its request has emptied
    /// the socket.
    fn insert_session(&mut self, handoff: Handoff, short_read: ShortRead) {
        let slot = self.slots.next();
        let mailbox = Arc::clone(&self.mailbox);
        let stats = self.shared.registry.stats();
        let Some(mut active) = ActiveSession::begin(handoff, mailbox, slot, stats) else {
            return;
        };
        if let Some(closing_notice) = &self.closing_notice {
            closing_notice.send_to(active.session());
        }
        let opened = active.open(stats);
        let is_done = opened == Poll::Ready(DriveOutcome::Done);
        // Bytes after the request make an event of their own.
        let is_calm = short_read == ShortRead::Last && !is_done && active.flush_opening();
        let due = active.watchdog_due(Instant::now());
        self.slots.insert(Slot::ActiveSession(active));
        if let Some(due) = due {
            self.timers.arm_slot(slot, due);
        }
        match () {
            () if is_done => self.handle_outcome(slot, opened),
            () if is_calm => {}
            () => self.drive_slot(slot, ShortRead::ReadOn),
        }
    }

    /// Passes a connection that a worker doesn't carry to tokio.
    fn pass_to_tokio(&mut self, slot: u32, to_tokio: ToTokio) {
        let Some(Slot::PendingHandshake(mut pending)) = self.slots.remove(slot) else {
            return;
        };
        // tokio can't register a socket that is registered here.
        if let Err(error) = self.poll.registry().deregister(&mut pending.socket) {
            tracing::debug!(%error, "a socket was not watched");
        }
        let PendingHandshake {
            socket,
            peer_addr,
            capacity,
            deadline,
            ..
        } = *pending;
        let accepted = Accepted {
            peer_addr,
            peer_certificates: None,
            capacity,
            shared: Arc::clone(&self.shared),
        };
        self.runtime.spawn(to_tokio.run(socket, deadline, accepted));
    }
}

impl Drop for ReadinessLoop {
    /// Closes the mailbox and the orders, after a panic too, so that no thread waits for ever for an answer.
    fn drop(&mut self) {
        self.mailbox.close();
        self.orders.close();
    }
}

/// Drops a value of the program, and keeps a panic in its drop from ending other sessions.
fn drop_catching_panic<T>(owned: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    if dropped.is_err() {
        tracing::error!("an endpoint panicked when it was dropped");
    }
}

fn register(poll: &mio::Poll, socket: &mut Socket, slot: u32) -> io::Result<()> {
    // Both from the start: events are edge-triggered, so the interest in writability costs nothing.
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(socket, Token(slot as usize), interest)
}
