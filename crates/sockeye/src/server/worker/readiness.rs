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
        Backlog, Carrier, Established, Mailbox, Note, ShortRead, Turn, fan_out::backlog, lend,
    },
    handshake::Refusal,
    server::{
        admit::{Accepted, Admission, Admitted, Standing},
        farewell::Farewell,
        first_request::Stranger,
        handoff::{Adoption, Orders},
        shared::{Phase, Shared},
        worker::{
            alarm_clock::AlarmClock,
            alarms::Alarms,
            deliveries::Deliveries,
            entrance::{Arrival, Entrance},
            lobby::{Lobby, Waiting},
            numbers::{
                ALARM_CLOCK, LOBBY_ALARM, MAILBOX, alarm_of_entrance, entrance_number,
                entrance_of_alarm, entrance_token,
            },
            opening::{Opening, Step},
            served::Served,
            slab::Slab,
            sleeper::Sleeper,
        },
    },
    time::later,
};

/// A worker that doesn't work yet: it can get notes already.
pub(crate) struct Rest {
    poll: mio::Poll,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
}

/// The loop of one worker: waits until a socket is ready, a note comes or a deadline passes, and does
/// what follows from it.
pub(crate) struct ReadinessLoop {
    poll: mio::Poll,
    sleeper: Sleeper,
    mailbox: Arc<Mailbox>,
    orders: Arc<Orders>,
    shared: Arc<Shared>,
    /// The server's, as it was told last.
    phase: Phase,
    /// For what isn't a worker's business.
    runtime: Handle,
    entrances: Vec<Entrance>,
    guests: Slab<Guest>,
    lobby: Lobby,
    alarms: Alarms,
    alarm_clock: AlarmClock,
    /// Places where there is more to do, though no event may tell of it.
    unfinished: Vec<u32>,
    /// The same of the round before, worked off: empty, kept for its memory.
    going_on: Vec<u32>,
    deliveries: Deliveries,
    lent: lend::Reading,
    /// Said to whoever opens from now on.
    farewell: Option<Box<Farewell>>,
}

/// Who is at a place.
enum Guest {
    Opening(Box<Opening>),
    Served(Served),
}

/// Events taken from the system at once: a round over all of them lasts some milliseconds at most.
const EVENTS_MAX: usize = 1024;

/// Connections accepted before others get their turn.
const ACCEPTS_PER_TURN: usize = 64;

/// While the server drains, how often it is looked whether all have gone.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

impl Rest {
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
        rest: Rest,
        mut entrances: Vec<Entrance>,
        shared: Arc<Shared>,
        runtime: Handle,
    ) -> io::Result<Self> {
        for (number, entrance) in entrances.iter_mut().enumerate() {
            entrance.register(rest.poll.registry(), entrance_token(number))?;
        }
        let alarm_clock = AlarmClock::new(rest.poll.registry(), ALARM_CLOCK)?;
        Ok(Self {
            poll: rest.poll,
            sleeper: Sleeper::new(shared.settings.busy_poll),
            mailbox: rest.mailbox,
            orders: rest.orders,
            phase: shared.phase(),
            shared,
            runtime,
            entrances,
            guests: Slab::new(),
            lobby: Lobby::default(),
            alarms: Alarms::new(Instant::now()),
            alarm_clock,
            unfinished: Vec::new(),
            going_on: Vec::new(),
            deliveries: Deliveries::default(),
            lent: lend::Reading::new(),
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
            let wait_max = self.alarm_clock.set(self.alarms.due());
            let timeout = match may_wait {
                true => self.patience(wait_max),
                false => Some(Duration::ZERO),
            };
            let polled = self.sleeper.wait(&mut self.poll, &mut events, timeout);
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
            if self.alarm_clock.may_be_due() {
                let now = Instant::now();
                if self.alarms.due().is_some_and(|due| due <= now) {
                    self.alarms.expired(now, &mut fired);
                }
                for place in fired.drain(..) {
                    self.handle_alarm(place, now);
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
            match entrance_of_alarm(place) {
                Some(entrance) => self.accept(entrance),
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
        let Some(Guest::Served(served)) = self.guests.at_mut(place) else {
            return;
        };
        match backlog::take() {
            None => {}
            Some(Backlog::Turn) => self.unfinished.push(place),
            Some(Backlog::Slice(slice)) => {
                self.deliveries.hold(place, &slice);
                served.hold(slice);
            }
        }
    }

    fn is_over(&self) -> bool {
        match self.phase {
            Phase::Serving => false,
            // Whoever is still on the way here is counted as a connection.
            Phase::Draining => self.guests.len() == 0 && self.shared.connections.count() == 0,
            Phase::Ended => self.guests.len() == 0,
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
            Err(_) if event.token() == ALARM_CLOCK => self.alarm_clock.handle_ring(),
            Err(_) => self.accept(entrance_number(event.token())),
        }
    }

    fn handle_note(&mut self, note: Note) {
        match note {
            Note::Look(place) => self.look(place, ShortRead::ReadOn),
            Note::Deliver(slice) => self.deliveries.add(slice),
        }
    }

    fn handle_alarm(&mut self, place: u32, now: Instant) {
        if let Some(number) = entrance_of_alarm(place) {
            if let Some(entrance) = self.entrances.get_mut(number) {
                entrance.end_pause();
            }
            return self.accept(number);
        }
        if place == LOBBY_ALARM {
            return self.handle_lobby();
        }
        if let Some(Guest::Served(_)) = self.guests.at_mut(place) {
            // First what has come is read: nobody is late whose bytes are here.
            self.look(place, ShortRead::ReadOn);
            self.keep_vigil(place, now);
        }
    }

    /// Looks at what no event tells of, and arms the timer for the next look.
    fn keep_vigil(&mut self, place: u32, now: Instant) {
        let Some(Guest::Served(served)) = self.guests.at_mut(place) else {
            return;
        };
        let turn = served.keep_vigil(now, self.shared.registry.tally());
        let due = served.vigil_due(now);
        self.settle(place, turn);
        if turn.is_pending()
            && let Some(due) = due
        {
            self.alarms.arm_place(place, due);
        }
    }

    /// Those whose request hasn't come in time are sent away.
    fn handle_lobby(&mut self) {
        let now = Instant::now();
        while let Some(waiting) = self.first_waiting()
            && waiting.deadline <= now
        {
            self.lobby.forget_first();
            self.hand_over(waiting.place, Stranger::Refused(Refusal::too_late()));
        }
        if let Some(deadline) = self.lobby.handle_timer() {
            self.watch_lobby(deadline);
        }
    }

    /// The first whose request is awaited still.
    fn first_waiting(&mut self) -> Option<Waiting> {
        loop {
            let waiting = self.lobby.first()?;
            match self.guests.at_mut(waiting.place) {
                Some(Guest::Opening(opening)) if opening.deadline == waiting.deadline => {
                    return Some(waiting);
                }
                _ => self.lobby.forget_first(),
            }
        }
    }

    fn watch_lobby(&mut self, deadline: Instant) {
        self.alarms.arm(LOBBY_ALARM, deadline);
    }

    /// Does what there is to do at a place.
    #[inline]
    fn look(&mut self, place: u32, short_read: ShortRead) {
        match self.guests.at_mut(place) {
            Some(Guest::Served(served)) => {
                let turn = served.drive(&mut self.lent, short_read, self.shared.registry.tally());
                if backlog::is_behind() {
                    self.hold(place);
                    return self.settle(place, turn);
                }
                if turn.is_pending() && !served.has_alarm() {
                    return;
                }
                self.settle(place, turn);
            }
            Some(Guest::Opening(_)) => self.read_request(place, short_read),
            None => {}
        }
    }

    /// After a session was driven: goes on, arms its timer, or lets it go.
    fn settle(&mut self, place: u32, turn: Poll<Turn>) {
        match turn {
            Poll::Ready(Turn::Over) => self.unfinished.push(place),
            Poll::Ready(Turn::Done) => {
                let_go(self.guests.remove(place));
                return;
            }
            Poll::Pending => {}
        }
        if let Some(Guest::Served(served)) = self.guests.at_mut(place)
            && let Some(alarm) = served.alarm()
        {
            self.alarms.arm_place(place, alarm);
        }
    }

    fn accept(&mut self, number: usize) {
        let timeout = self.shared.settings.limits.handshake_timeout;
        let deadline = later(Instant::now(), timeout);
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(entrance) = self.entrances.get_mut(number) else {
                return;
            };
            let is_serving = || self.shared.is_serving();
            match entrance.accept(self.shared.tcp_keepalive, is_serving) {
                Arrival::Guest(socket, peer_addr) => {
                    if let Some(standing) = Standing::new(&self.shared, Some(peer_addr)) {
                        self.welcome(socket, peer_addr, standing, deadline);
                    }
                }
                Arrival::Nobody => return,
                Arrival::Pause(until) => {
                    return self.alarms.arm(alarm_of_entrance(number), until);
                }
            }
        }
        // There may be more, of which no event will tell.
        self.unfinished.push(alarm_of_entrance(number));
    }

    fn welcome(
        &mut self,
        socket: mio::net::TcpStream,
        peer_addr: std::net::SocketAddr,
        standing: Standing,
        deadline: Instant,
    ) {
        let opening = Opening {
            socket,
            peer_addr,
            standing,
            deadline,
            bytes: Vec::new(),
            account: self.shared.settings.memory_budget.account(),
        };
        let place = self.guests.insert(Guest::Opening(Box::new(opening)));
        let Some(Guest::Opening(opening)) = self.guests.at_mut(place) else {
            return;
        };
        if let Err(error) = watch(&self.poll, &mut opening.socket, place) {
            tracing::error!(%error, "a worker can't watch a socket");
            self.guests.remove(place);
            return;
        }
        // So that it holds little more than those who wait.
        self.first_waiting();
        if let Some(deadline) = self.lobby.enter(Waiting { place, deadline }) {
            self.watch_lobby(deadline);
        }
    }

    fn read_request(&mut self, place: u32, short_read: ShortRead) {
        let Some(Guest::Opening(opening)) = self.guests.at_mut(place) else {
            return;
        };
        let limits = &self.shared.settings.limits;
        match opening.read(&mut self.lent.buffer, limits) {
            Step::Wait => {}
            Step::Gone => {
                self.guests.remove(place);
            }
            Step::Asked(incoming, leftover) => {
                if let Some(refusal) = opening.standing.refusal_of_websocket(&self.shared) {
                    return self.hand_over(place, Stranger::Refused(refusal));
                }
                match self.shared.admit(*incoming, opening.standing.key()) {
                    Admission::Now(Ok(admitted)) if admitted.is_for_worker() => {
                        self.serve(place, admitted, leftover, short_read);
                    }
                    admission => self.hand_over(place, Stranger::Asked(admission, leftover)),
                }
            }
            Step::Other(first, bytes) => self.hand_over(place, Stranger::Other(first, bytes)),
        }
    }

    /// The request is granted: a session begins.
    fn serve(&mut self, place: u32, admitted: Admitted, leftover: Vec<u8>, short_read: ShortRead) {
        let Some(Guest::Opening(opening)) = self.guests.remove(place) else {
            return;
        };
        let Standing::Welcome(permit) = opening.standing else {
            return;
        };
        let carrier = Carrier::Socket(opening.socket);
        let Some(adoption) = admitted.adoption(carrier, leftover, permit) else {
            return;
        };
        // The place that was freed last is taken: the socket is watched under its number already.
        self.begin(adoption, short_read);
    }

    /// Begins the session of a connection that was accepted elsewhere.
    fn adopt(&mut self, mut adoption: Adoption) {
        // Whoever comes now has missed the cut.
        if self.phase == Phase::Ended {
            return let_go(adoption);
        }
        let place = self.guests.next();
        let Established { carrier, .. } = &mut adoption.established;
        let watched = match carrier {
            Carrier::Socket(socket) => watch(&self.poll, socket, place),
            Carrier::Tls(tls) => watch(&self.poll, &mut tls.socket, place),
            Carrier::None | Carrier::Stream(_) => return let_go(adoption),
        };
        match watched {
            Ok(()) => self.begin(adoption, ShortRead::ReadOn),
            Err(error) => {
                tracing::error!(%error, "a worker can't watch a socket");
                let_go(adoption);
            }
        }
    }

    /// `short_read`: of its request.
    fn begin(&mut self, adoption: Adoption, short_read: ShortRead) {
        let place = self.guests.next();
        let mailbox = Arc::clone(&self.mailbox);
        let tally = self.shared.registry.tally();
        let Some(mut served) = Served::begin(adoption, mailbox, place, tally) else {
            return;
        };
        if let Some(farewell) = &self.farewell {
            farewell.say_to(served.session());
        }
        let opened = served.open(tally);
        let is_done = opened == Poll::Ready(Turn::Done);
        // Whatever comes behind the request makes an event of its own.
        let is_calm = short_read == ShortRead::Last && !is_done && served.say_first();
        let due = served.vigil_due(Instant::now());
        self.guests.insert(Guest::Served(served));
        if let Some(due) = due {
            self.alarms.arm_place(place, due);
        }
        match () {
            () if is_done => self.settle(place, opened),
            () if is_calm => {}
            () => self.look(place, ShortRead::ReadOn),
        }
    }

    /// What isn't a worker's business goes to tokio.
    fn hand_over(&mut self, place: u32, stranger: Stranger) {
        let Some(Guest::Opening(mut opening)) = self.guests.remove(place) else {
            return;
        };
        // Otherwise tokio could not watch it.
        if let Err(error) = self.poll.registry().deregister(&mut opening.socket) {
            tracing::debug!(%error, "a socket was not watched");
        }
        let Opening {
            socket,
            peer_addr,
            standing,
            deadline,
            ..
        } = *opening;
        let accepted = Accepted {
            peer_addr: Some(peer_addr),
            standing,
            shared: Arc::clone(&self.shared),
        };
        self.runtime
            .spawn(stranger.take_in(socket.into(), deadline, accepted));
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
