//! A room where everybody gets what one sends: deliveries.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};

use super::{
    link::{Ending, Run},
    payload::{Read, Stamp},
    schedule::{Departure, UNANSWERED_MAX},
    tally::{Tally, lock},
};

/// What publisher and receivers share.
pub(crate) struct FanOut {
    pub(crate) run: Arc<Run>,
    pub(crate) stamp: Stamp,
    /// Publications on their way at once; 0 in an open loop, where none waits for another.
    pub(crate) in_flight: usize,
    /// How long a publication may be on its way.
    pub(crate) patience: Duration,
    /// From publishing to each delivery.
    pub(crate) deliveries: Tally,
    /// From publishing to the last delivery.
    pub(crate) lasts: Tally,
    /// Receivers that have heard the publisher at least once.
    joined: AtomicU64,
    board: Mutex<Board>,
}

/// What is on its way. One lock for all: who publishes next must know what everybody has got.
#[derive(Default)]
struct Board {
    publisher: Option<Session>,
    /// Receivers that were there at the start.
    seated: u64,
    /// Receivers whose connection has ended.
    gone: u64,
    /// The number of the oldest publication in `flights`.
    first: u64,
    flights: VecDeque<Flight>,
}

struct Flight {
    departure: Departure,
    /// Receivers that haven't got it and may yet. `<= receivers()`.
    missing: u64,
    /// Everybody got it as it was sent.
    is_whole: bool,
}

impl FanOut {
    pub(crate) fn new(
        run: Arc<Run>,
        stamp: Stamp,
        in_flight: usize,
        patience: Duration,
        shards: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            run,
            stamp,
            in_flight,
            patience,
            deliveries: Tally::new(shards),
            lasts: Tally::new(1),
            joined: AtomicU64::new(0),
            board: Mutex::default(),
        })
    }

    /// The endpoint of the connection with this number. The first one publishes.
    pub(crate) fn endpoint(self: &Arc<Self>, number: usize) -> FanOutClient {
        FanOutClient {
            fan_out: Arc::clone(self),
            number,
            next: 0,
            joined: false,
            ending: Ending::default(),
        }
    }

    /// Who publishes, to how many.
    pub(crate) fn seat(&self, publisher: Session, receivers: u64) {
        let mut board = lock(&self.board);
        board.publisher = Some(publisher);
        board.seated = receivers;
    }

    /// Publishes something that isn't counted. A server may take a receiver into its room a moment after it has
    /// opened the connection, so nothing is counted before everybody has heard one of these.
    pub(crate) fn call(&self) {
        if let Some(publisher) = &lock(&self.board).publisher {
            let _ = publisher.try_send(self.stamp.message(CALL));
        }
    }

    pub(crate) fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    /// Publishes the first ones.
    pub(crate) fn start(&self) {
        self.fill(&mut lock(&self.board), Instant::now());
    }

    pub(crate) fn outstanding(&self) -> usize {
        lock(&self.board).flights.len()
    }

    /// Whether nobody is left who could send or receive.
    pub(crate) fn is_over(&self) -> bool {
        let board = lock(&self.board);
        board.receivers() == 0 || !board.publisher.as_ref().is_some_and(Session::is_open)
    }

    /// Gives up what has been on its way for too long, and goes on without it.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut board = lock(&self.board);
        for flight in &mut board.flights {
            if now.saturating_duration_since(flight.departure.at) > self.patience {
                self.lose(std::mem::take(&mut flight.missing));
                flight.is_whole = false;
            }
        }
        self.settle(&mut board, now);
    }

    /// Gives up everything.
    pub(crate) fn abandon(&self) {
        let flights = std::mem::take(&mut lock(&self.board).flights);
        self.lose(flights.iter().map(|flight| flight.missing).sum());
    }

    fn lose(&self, count: u64) {
        self.run.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// One receiver got this publication, and none of those from `next` up to it.
    fn deliver(&self, receiver: usize, next: u64, number: u64) {
        let now = Instant::now();
        let mut board = lock(&self.board);
        for skipped in next..number {
            if let Some(flight) = board.flight(skipped) {
                flight.forgo();
                self.lose(1);
            }
        }
        if let Some(flight) = board.flight(number)
            && flight.missing > 0
        {
            flight.missing -= 1;
            let departure = flight.departure;
            if departure.is_counted(&self.run) {
                self.deliveries.record(receiver, now - departure.at);
            }
        }
        self.settle(&mut board, now);
    }

    /// Strikes off what everybody has, and publishes in its place.
    fn settle(&self, board: &mut Board, now: Instant) {
        while let Some(flight) = board.flights.front()
            && flight.missing == 0
        {
            if flight.is_whole && flight.departure.is_counted(&self.run) {
                self.lasts.record(0, now - flight.departure.at);
            }
            board.flights.pop_front();
            board.first += 1;
        }
        self.fill(board, now);
    }

    /// Publishes until enough is on its way.
    fn fill(&self, board: &mut Board, now: Instant) {
        while board.flights.len() < self.in_flight && board.receivers() > 0 && self.run.is_sending()
        {
            if !self.publish(board, Departure::now(now)) {
                return;
            }
        }
    }

    /// Publishes once in an open loop. Says whether the outbox took it; otherwise it is lost for all receivers.
    pub(crate) fn send(&self, departure: Departure) -> bool {
        let mut board = lock(&self.board);
        if board.flights.len() < UNANSWERED_MAX && self.publish(&mut board, departure) {
            return true;
        }
        self.lose(board.receivers());
        self.run
            .trouble("not sent: the server takes nothing more, or delivers too little".to_owned());
        false
    }

    /// Under the lock, so that numbers go out in their order.
    fn publish(&self, board: &mut Board, departure: Departure) -> bool {
        let number = board.first + board.flights.len() as u64;
        let missing = board.receivers();
        let Some(publisher) = &board.publisher else {
            return false;
        };
        if publisher.try_send(self.stamp.message(number)).is_err() {
            return false;
        }
        board.flights.push_back(Flight {
            departure,
            missing,
            is_whole: true,
        });
        true
    }
}

impl Board {
    /// Receivers whose connection stands.
    fn receivers(&self) -> u64 {
        self.seated.saturating_sub(self.gone)
    }

    fn flight(&mut self, number: u64) -> Option<&mut Flight> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.flights.get_mut(index)
    }
}

impl Flight {
    /// One receiver won't get it.
    fn forgo(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        self.is_whole = false;
    }
}

/// One connection.
pub(crate) struct FanOutClient {
    fan_out: Arc<FanOut>,
    number: usize,
    /// The next publication that this one should get.
    next: u64,
    joined: bool,
    ending: Ending,
}

impl FanOutClient {
    fn is_publisher(&self) -> bool {
        self.number == 0
    }

    fn wrong(&self) {
        self.fan_out.run.wrong.fetch_add(1, Ordering::Relaxed);
    }
}

impl Endpoint for FanOutClient {
    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        if self.is_publisher() {
            return Reply::None;
        }
        match self.fan_out.stamp.read(&message) {
            Read::Number(CALL) => {
                if !self.joined {
                    self.joined = true;
                    self.fan_out.joined.fetch_add(1, Ordering::Relaxed);
                }
            }
            // It came already.
            Read::Number(number) if number < self.next => self.wrong(),
            Read::Number(number) => {
                self.fan_out.deliver(self.number, self.next, number);
                self.next = number + 1;
            }
            Read::Damaged => self.wrong(),
            Read::Foreign => {
                let run = &self.fan_out.run;
                run.trouble("somebody else's message in the room, ignored".to_owned());
            }
        }
        Reply::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        let fan_out = &self.fan_out;
        if !self.ending.handle_close(&fan_out.run, closed) || self.is_publisher() {
            return;
        }
        let mut board = lock(&fan_out.board);
        board.gone += 1;
        let mut lost = 0;
        let first = board.first;
        for (index, flight) in board.flights.iter_mut().enumerate() {
            if first + index as u64 >= self.next && flight.missing > 0 {
                flight.forgo();
                lost += 1;
            }
        }
        fan_out.lose(lost);
        fan_out.settle(&mut board, Instant::now());
    }
}

/// The number of what is published before the measurement.
const CALL: u64 = u64::MAX;
