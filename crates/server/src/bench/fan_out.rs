//! The fan-out measurement: deliveries to all receivers.

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

/// The state that publisher and receivers share.
pub(crate) struct FanOut {
    pub(crate) run: Arc<Run>,
    pub(crate) stamp: Stamp,
    /// Publications in flight at once; 0 in an open loop.
    pub(crate) in_flight: usize,
    /// Time limit for the deliveries of a publication.
    pub(crate) patience: Duration,
    /// Times from publishing to each delivery.
    pub(crate) deliveries: Tally,
    /// Times from publishing to the last delivery.
    pub(crate) lasts: Tally,
    /// Receivers that have received a publication.
    joined: AtomicU64,
    board: Mutex<Board>,
}

/// The publications in flight. One lock for all, since the next publication depends on all deliveries.
#[derive(Default)]
struct Board {
    publisher: Option<Session>,
    /// Receivers at the start.
    seated: u64,
    /// Receivers whose connection has ended.
    gone: u64,
    /// The number of the oldest publication in `flights`.
    first: u64,
    flights: VecDeque<Flight>,
}

struct Flight {
    departure: Departure,
    /// Receivers that may still get it. `<= receivers()`.
    missing: u64,
    /// Whether all deliveries were unchanged.
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

    /// Creates the endpoint of the connection with this number. The first one publishes.
    pub(crate) fn endpoint(self: &Arc<Self>, number: usize) -> FanOutClient {
        FanOutClient {
            fan_out: Arc::clone(self),
            number,
            next: 0,
            joined: false,
            ending: Ending::default(),
        }
    }

    /// Sets the publisher and the number of receivers.
    pub(crate) fn seat(&self, publisher: Session, receivers: u64) {
        let mut board = lock(&self.board);
        board.publisher = Some(publisher);
        board.seated = receivers;
    }

    /// Publishes a message that isn't counted. A server may add a receiver to its room shortly after the handshake, so the
    /// measurement starts when all receivers have received one of these.
    pub(crate) fn call(&self) {
        if let Some(publisher) = &lock(&self.board).publisher {
            let _ = publisher.try_send(self.stamp.message(CALL));
        }
    }

    pub(crate) fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }

    /// Publishes the first messages.
    pub(crate) fn start(&self) {
        self.fill(&mut lock(&self.board), Instant::now());
    }

    pub(crate) fn outstanding(&self) -> usize {
        lock(&self.board).flights.len()
    }

    /// Returns whether the publisher or all receivers have disconnected.
    pub(crate) fn is_over(&self) -> bool {
        let board = lock(&self.board);
        board.receivers() == 0 || !board.publisher.as_ref().is_some_and(Session::is_open)
    }

    /// Gives up publications that exceed the time limit, and continues without them.
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

    /// Gives up all publications.
    pub(crate) fn abandon(&self) {
        let flights = std::mem::take(&mut lock(&self.board).flights);
        self.lose(flights.iter().map(|flight| flight.missing).sum());
    }

    fn lose(&self, count: u64) {
        self.run.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// Records that a receiver got this publication, and missed those from `next` up to it.
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

    /// Removes completed publications, and publishes new ones.
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

    /// Publishes until enough publications are in flight.
    fn fill(&self, board: &mut Board, now: Instant) {
        while board.flights.len() < self.in_flight && board.receivers() > 0 && self.run.is_sending()
        {
            if !self.publish(board, Departure::now(now)) {
                return;
            }
        }
    }

    /// Publishes once in an open loop. Returns whether the outbox accepted it; otherwise it is lost for all receivers.
    pub(crate) fn send(&self, departure: Departure) -> bool {
        let mut board = lock(&self.board);
        if board.flights.len() < UNANSWERED_MAX && self.publish(&mut board, departure) {
            return true;
        }
        self.lose(board.receivers());
        self.run.count_error(
            "not sent: the server takes nothing more, or delivers too little".to_owned(),
        );
        false
    }

    /// Publishes under the lock, so that numbers are sent in order.
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
    /// Returns the number of connected receivers.
    fn receivers(&self) -> u64 {
        self.seated.saturating_sub(self.gone)
    }

    fn flight(&mut self, number: u64) -> Option<&mut Flight> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.flights.get_mut(index)
    }
}

impl Flight {
    /// Records that one receiver won't get it.
    fn forgo(&mut self) {
        self.missing = self.missing.saturating_sub(1);
        self.is_whole = false;
    }
}

/// The endpoint of one connection.
pub(crate) struct FanOutClient {
    fan_out: Arc<FanOut>,
    number: usize,
    /// The next publication that this receiver should get.
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
            // It was received before.
            Read::Number(number) if number < self.next => self.wrong(),
            Read::Number(number) => {
                self.fan_out.deliver(self.number, self.next, number);
                self.next = number + 1;
            }
            Read::Damaged => self.wrong(),
            Read::Foreign => {
                let run = &self.fan_out.run;
                run.count_error("somebody else's message in the room, ignored".to_owned());
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

/// The number of publications before the measurement.
const CALL: u64 = u64::MAX;
