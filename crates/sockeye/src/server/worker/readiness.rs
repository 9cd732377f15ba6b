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
        DriveOutcome, Established, Io, Mailbox, Note, SenderBacklog, ShortRead, buffers,
        fan_out::backlog,
    },
    handshake::Refusal,
    server::{
        admit::{Accepted, Admission, Admitted, Capacity},
        farewell::Farewell,
        first_request::ToTokio,
        handoff::{Handoff, Orders},
        shared::{Phase, ServerShared},
        worker::{
            acceptor::{Acceptor, Arrival},
            active_session::ActiveSession,
            deliveries::Deliveries,
            handshake_deadlines::{HandshakeDeadlines, Waiting},
            pending_handshake::{PendingHandshake, Step},
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

/// A worker that doesn't work yet: it can get notes already.
pub(crate) struct IdleWorker {
    poll: mio::Poll,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
}

/// The loop of one worker: waits until a socket is ready, a note comes or a deadline passes, and does
/// what follows from it.
pub(crate) struct ReadinessLoop {
    poll: mio::Poll,
    poller: Poller,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
    shared: Arc<ServerShared>,
    /// The server's, as it was told last.
    phase: Phase,
    /// For what isn't a worker's business.
    runtime: Handle,
    acceptors: Vec<Acceptor>,
    slots: Slab<Slot>,
    handshake_deadlines: HandshakeDeadlines,
    timers: Timers,
    timer_fd: TimerFd,
    /// Places where there is more to do, though no event may tell of it.
    unfinished: Vec<u32>,
    /// The same of the round before, worked off: empty, kept for its memory.
    going_on: Vec<u32>,
    deliveries: Deliveries,
    lent: buffers::ReadBuffers,
    /// Said to whoever opens from now on.
    farewell: Option<Box<Farewell>>,
}

/// Who is at a place.
enum Slot {
    PendingHandshake(Box<PendingHandshake>),
    ActiveSession(ActiveSession),
}

/// Events taken from the system at once: a round over all of them lasts some milliseconds at most.
const EVENTS_MAX: usize = 1024;

/// Connections accepted before others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// While the server drains, how often it is looked whether all have gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

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
        rest: IdleWorker,
        mut acceptors: Vec<Acceptor>,
        shared: Arc<ServerShared>,
        runtime: Handle,
    ) -> io::Result<Self> {
        for (number, acceptor) in acceptors.iter_mut().enumerate() {
            acceptor.register(rest.poll.registry(), acceptor_token(number))?;
        }
        let timer_fd = TimerFd::new(rest.poll.registry(), TIMER_FD)?;
        Ok(Self {
            poll: rest.poll,
            poller: Poller::new(shared.settings.busy_poll),
            mailbox: rest.mailbox,
            orders: rest.orders,
            phase: shared.phase(),
            shared,
            runtime,
            acceptors,
            slots: Slab::new(),
            handshake_deadlines: HandshakeDeadlines::default(),
            timers: Timers::new(Instant::now()),
            timer_fd,
            unfinished: Vec::new(),
            going_on: Vec::new(),
            deliveries: Deliveries::default(),
            lent: buffers::ReadBuffers::new(),
            farewell: None,
        })
    }

    /// Works until the server has ended and nobody is left.
    pub(crate) fn run(&mut self) {
        // Endpoints may start tasks.
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
                true => self.patience(wait_max),
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
            // What was sent without anybody's turn holds nobody up.
            backlog::take();
            if self.mailbox.take(&mut notes) {
                for note in notes.drain(..) {
                    self.handle_note(note);
                }
                for order in self.orders.take() {
                    self.handle_order(order);
                }
            }
            if self.timer_fd.may_be_due() {
                let now = Instant::now();
                if self.timers.due().is_some_and(|due| due <= now) {
                    self.timers.expired(now, &mut fired);
                }
                for place in fired.drain(..) {
                    self.handle_timer(place, now);
                }
            }
            self.go_on();
        }
    }

    /// Goes on where there is more to do: once at each place, however often it was noted. Otherwise one
    /// who sends without end, and is noted for each event as well, would get ever more turns.
    fn go_on(&mut self) {
        if self.unfinished.is_empty() && self.deliveries.is_empty() {
            return;
        }
        std::mem::swap(&mut self.unfinished, &mut self.going_on);
        let mut places = std::mem::take(&mut self.going_on);
        places.sort_unstable();
        places.dedup();
        for place in places.drain(..) {
            match acceptor_of_timer(place) {
                Some(acceptor) => self.accept(acceptor),
                None => self.look(place, ShortRead::ReadOn),
            }
        }
        self.going_on = places;
        // Last: what endpoints have sent to groups in this round goes out together.
        self.deliveries.deliver(&mut self.unfinished);
    }

    /// The session at `place` has sent to groups: whether it has to wait.
    #[cold]
    fn hold(&mut self, place: u32) {
        let Some(Slot::ActiveSession(active)) = self.slots.at_mut(place) else {
            return;
        };
        match backlog::take() {
            None => {}
            Some(SenderBacklog::OtherConnections) => self.unfinished.push(place),
            Some(SenderBacklog::Slice(slice)) => {
                self.deliveries.hold(place, &slice);
                active.hold(slice);
            }
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving => false,
            // Whoever is still on the way here is counted as a connection.
            Phase::Draining => self.slots.len() == 0 && self.shared.connections.count() == 0,
            Phase::Ended => self.slots.len() == 0,
        }
    }

    /// How long it may wait, if not for ever, where its next deadline allows `wait_max`.
    fn patience(&self, wait_max: Option<Duration>) -> Option<Duration> {
        match self.phase {
            Phase::Serving => wait_max,
            _ => Some(wait_max.map_or(DRAIN_LOOK, |wait| wait.min(DRAIN_LOOK))),
        }
    }

    #[inline]
    fn handle_event(&mut self, event: &Event) {
        let Token(number) = event.token();
        match u32::try_from(number) {
            Ok(place) => {
                let short_read = match event.is_read_closed() || event.is_error() {
                    true => ShortRead::ReadOn,
                    false => ShortRead::Last,
                };
                self.look(place, short_read);
            }
            Err(_) if event.token() == MAILBOX => {}
            Err(_) if event.token() == TIMER_FD => self.timer_fd.handle_ring(),
            Err(_) => self.accept(acceptor_number(event.token())),
        }
    }

    fn handle_note(&mut self, note: Note) {
        match note {
            Note::Look(place) => self.look(place, ShortRead::ReadOn),
            Note::Deliver(slice) => self.deliveries.add(slice),
        }
    }

    fn handle_timer(&mut self, place: u32, now: Instant) {
        if let Some(number) = acceptor_of_timer(place) {
            if let Some(acceptor) = self.acceptors.get_mut(number) {
                acceptor.end_pause();
            }
            return self.accept(number);
        }
        if place == HANDSHAKE_TIMER {
            return self.handle_lobby();
        }
        if let Some(Slot::ActiveSession(_)) = self.slots.at_mut(place) {
            // First what has come is read: nobody is late whose bytes are here.
            self.look(place, ShortRead::ReadOn);
            self.keep_vigil(place, now);
        }
    }

    /// Looks at what no event tells of, and arms the timer for the next look.
    fn keep_vigil(&mut self, place: u32, now: Instant) {
        let Some(Slot::ActiveSession(active)) = self.slots.at_mut(place) else {
            return;
        };
        let turn = active.keep_vigil(now, self.shared.registry.stats());
        let due = active.vigil_due(now);
        self.settle(place, turn);
        if turn.is_pending()
            && let Some(due) = due
        {
            self.timers.arm_place(place, due);
        }
    }

    /// Those whose request hasn't come in time are sent away.
    fn handle_lobby(&mut self) {
        let now = Instant::now();
        while let Some(waiting) = self.first_waiting()
            && waiting.deadline <= now
        {
            self.handshake_deadlines.forget_first();
            self.hand_over(waiting.place, ToTokio::OutboxError(Refusal::too_late()));
        }
        if let Some(deadline) = self.handshake_deadlines.handle_timer() {
            self.watch_lobby(deadline);
        }
    }

    /// The first whose request is awaited still.
    fn first_waiting(&mut self) -> Option<Waiting> {
        loop {
            let waiting = self.handshake_deadlines.first()?;
            match self.slots.at_mut(waiting.place) {
                Some(Slot::PendingHandshake(pending)) if pending.deadline == waiting.deadline => {
                    return Some(waiting);
                }
                _ => self.handshake_deadlines.forget_first(),
            }
        }
    }

    fn watch_lobby(&mut self, deadline: Instant) {
        self.timers.arm(HANDSHAKE_TIMER, deadline);
    }

    /// Does what there is to do at a place.
    #[inline]
    fn look(&mut self, place: u32, short_read: ShortRead) {
        match self.slots.at_mut(place) {
            Some(Slot::ActiveSession(active)) => {
                let turn = active.drive(&mut self.lent, short_read, self.shared.registry.stats());
                if backlog::is_behind() {
                    self.hold(place);
                    return self.settle(place, turn);
                }
                if turn.is_pending() && !active.has_alarm() {
                    return;
                }
                self.settle(place, turn);
            }
            Some(Slot::PendingHandshake(_)) => self.read_request(place, short_read),
            None => {}
        }
    }

    /// After a session was driven: goes on, arms its timer, or lets it go.
    fn settle(&mut self, place: u32, turn: Poll<DriveOutcome>) {
        match turn {
            Poll::Ready(DriveOutcome::Over) => self.unfinished.push(place),
            Poll::Ready(DriveOutcome::Done) => {
                let_go(self.slots.remove(place));
                return;
            }
            Poll::Pending => {}
        }
        if let Some(Slot::ActiveSession(active)) = self.slots.at_mut(place)
            && let Some(timer) = active.timer()
        {
            self.timers.arm_place(place, timer);
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
                Arrival::Slot(socket, peer_addr) => {
                    if let Some(capacity) = Capacity::new(&self.shared, Some(peer_addr)) {
                        self.welcome(socket, peer_addr, capacity, deadline);
                    }
                }
                Arrival::Nobody => return,
                Arrival::Pause(until) => {
                    return self.timers.arm(timer_of_acceptor(number), until);
                }
            }
        }
        // There may be more, of which no event will tell.
        self.unfinished.push(timer_of_acceptor(number));
    }

    fn welcome(
        &mut self,
        socket: mio::net::TcpStream,
        peer_addr: std::net::SocketAddr,
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
        let place = self.slots.insert(Slot::PendingHandshake(Box::new(pending)));
        let Some(Slot::PendingHandshake(pending)) = self.slots.at_mut(place) else {
            return;
        };
        if let Err(error) = watch(&self.poll, &mut pending.socket, place) {
            tracing::error!(%error, "a worker can't watch a socket");
            self.slots.remove(place);
            return;
        }
        // So that it holds little more than those who wait.
        self.first_waiting();
        if let Some(deadline) = self.handshake_deadlines.enter(Waiting { place, deadline }) {
            self.watch_lobby(deadline);
        }
    }

    fn read_request(&mut self, place: u32, short_read: ShortRead) {
        let Some(Slot::PendingHandshake(pending)) = self.slots.at_mut(place) else {
            return;
        };
        let limits = &self.shared.settings.limits;
        match pending.read(&mut self.lent.buffer, limits) {
            Step::Wait => {}
            Step::Gone => {
                self.slots.remove(place);
            }
            Step::Asked(incoming, leftover) => {
                if let Some(refusal) = pending.capacity.refusal_of_websocket(&self.shared) {
                    return self.hand_over(place, ToTokio::OutboxError(refusal));
                }
                match self.shared.admit(*incoming, pending.capacity.key()) {
                    Admission::Now(Ok(admitted)) if admitted.is_for_worker() => {
                        self.serve(place, admitted, leftover, short_read);
                    }
                    admission => self.hand_over(place, ToTokio::Asked(admission, leftover)),
                }
            }
            Step::Other(first, bytes) => self.hand_over(place, ToTokio::Other(first, bytes)),
        }
    }

    /// The request is granted: a session begins.
    fn serve(&mut self, place: u32, admitted: Admitted, leftover: Vec<u8>, short_read: ShortRead) {
        let Some(Slot::PendingHandshake(pending)) = self.slots.remove(place) else {
            return;
        };
        let Capacity::Welcome(permit) = pending.capacity else {
            return;
        };
        let io = Io::Socket(pending.socket);
        let Some(handoff) = admitted.handoff(io, leftover, permit) else {
            return;
        };
        // The place that was freed last is taken: the socket is watched under its number already.
        self.begin(handoff, short_read);
    }

    /// Begins the session of a connection that was accepted elsewhere.
    fn take_over(&mut self, mut handoff: Handoff) {
        // Whoever comes now has missed the cut.
        if self.phase == Phase::Ended {
            return let_go(handoff);
        }
        let place = self.slots.next();
        let Established { io, .. } = &mut handoff.established;
        let watched = match io {
            Io::Socket(socket) => watch(&self.poll, socket, place),
            Io::Tls(tls) => watch(&self.poll, &mut tls.socket, place),
            Io::None | Io::Stream(_) => return let_go(handoff),
        };
        match watched {
            Ok(()) => self.begin(handoff, ShortRead::ReadOn),
            Err(error) => {
                tracing::error!(%error, "a worker can't watch a socket");
                let_go(handoff);
            }
        }
    }

    /// `short_read`: of its request.
    fn begin(&mut self, handoff: Handoff, short_read: ShortRead) {
        let place = self.slots.next();
        let mailbox = Arc::clone(&self.mailbox);
        let stats = self.shared.registry.stats();
        let Some(mut active) = ActiveSession::begin(handoff, mailbox, place, stats) else {
            return;
        };
        if let Some(farewell) = &self.farewell {
            farewell.say_to(active.session());
        }
        let opened = active.open(stats);
        let is_done = opened == Poll::Ready(DriveOutcome::Done);
        // Whatever comes behind the request makes an event of its own.
        let is_calm = short_read == ShortRead::Last && !is_done && active.say_first();
        let due = active.vigil_due(Instant::now());
        self.slots.insert(Slot::ActiveSession(active));
        if let Some(due) = due {
            self.timers.arm_place(place, due);
        }
        match () {
            () if is_done => self.settle(place, opened),
            () if is_calm => {}
            () => self.look(place, ShortRead::ReadOn),
        }
    }

    /// What isn't a worker's business goes to tokio.
    fn hand_over(&mut self, place: u32, to_tokio: ToTokio) {
        let Some(Slot::PendingHandshake(mut pending)) = self.slots.remove(place) else {
            return;
        };
        // Otherwise tokio could not watch it.
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
            peer_addr: Some(peer_addr),
            capacity,
            shared: Arc::clone(&self.shared),
        };
        self.runtime
            .spawn(to_tokio.take_in(socket.into(), deadline, accepted));
    }
}

impl Drop for ReadinessLoop {
    /// Also if it has panicked: whoever waits for an answer to a note must not wait for ever.
    fn drop(&mut self) {
        self.mailbox.close();
        self.orders.close();
    }
}

/// Drops what belongs to a program, whose panic in it is no other session's affair.
fn let_go<T>(owned: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(owned)));
    if dropped.is_err() {
        tracing::error!("an endpoint panicked when it was dropped");
    }
}

fn watch(poll: &mio::Poll, socket: &mut mio::net::TcpStream, place: u32) -> io::Result<()> {
    // Both from the beginning: events come on edges, so that being writable costs nothing.
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry()
        .register(socket, Token(place as usize), interest)
}
