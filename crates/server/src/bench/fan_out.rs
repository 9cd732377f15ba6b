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
    publisher::Publisher,
    schedule::{Departure, UNANSWERED_MAX},
    tally::{Tally, lock},
};

/// The state that publisher and receivers share.
pub(crate) struct FanOut {
    pub(crate) run: Arc<Run>,
    pub(crate) stamp: Arc<Stamp>,
    /// Channels, to which publications go in turns; 1 in a room.
    channels: usize,
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
    publisher: Option<Box<dyn Publisher>>,
    /// Receivers of each channel at the start.
    seated: Vec<u64>,
    /// Receivers of each channel whose connection has ended.
    gone: Vec<u64>,
    /// The number of the oldest publication in `flights`.
    first: u64,
    flights: VecDeque<Flight>,
}

struct Flight {
    departure: Departure,
    /// Receivers that may still get it. `<= receivers_of(its channel)`.
    missing: u64,
    /// Whether all deliveries were unchanged.
    is_whole: bool,
}

impl FanOut {
    pub(crate) fn new(
        run: Arc<Run>,
        stamp: Arc<Stamp>,
        channels: usize,
        in_flight: usize,
        patience: Duration,
        shards: usize,
    ) -> Arc<Self> {
        let board = Board {
            seated: vec![0; channels],
            gone: vec![0; channels],
            ..Board::default()
        };
        Arc::new(Self {
            run,
            stamp,
            channels,
            in_flight,
            patience,
            deliveries: Tally::new(shards),
            lasts: Tally::new(1),
            joined: AtomicU64::new(0),
            board: Mutex::new(board),
        })
    }

    /// Creates the endpoint of the connection with this number. The first one publishes.
    pub(crate) fn endpoint(self: &Arc<Self>, number: usize) -> FanOutClient {
        FanOutClient {
            fan_out: Arc::clone(self),
            number,
            seats: Seats::new([0]),
            joined: false,
            ending: Ending::default(),
        }
    }

    /// Sets the publisher and the number of receivers of each channel.
    pub(crate) fn seat(&self, publisher: Box<dyn Publisher>, receivers: Vec<u64>) {
        let mut board = lock(&self.board);
        board.publisher = Some(publisher);
        board.seated = receivers;
    }

    /// Publishes a message that isn't counted. A server may add a receiver to its room shortly after the handshake, so the
    /// measurement starts when all receivers have received one of these.
    pub(crate) fn call(&self) {
        if let Some(publisher) = &lock(&self.board).publisher {
            publisher.publish(CALL);
        }
    }

    /// Counts a receiver that gets what is published.
    pub(crate) fn join(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
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
        board.receivers() == 0 || !board.publisher.as_ref().is_some_and(|it| it.is_open())
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

    /// Records that a receiver got this publication, and missed those of the channel before it that it had not got. Returns
    /// false if it is none that the receiver should get now: it came before, or is of a channel that the receiver has not.
    pub(crate) fn receive(&self, receiver: usize, seats: &mut Seats, number: u64) -> bool {
        let channel = number % self.channels as u64;
        let Some(next) = seats.next_mut(channel).filter(|next| number >= **next) else {
            return false;
        };
        self.deliver(receiver, *next, number);
        *next = number + self.channels as u64;
        true
    }

    fn deliver(&self, receiver: usize, next: u64, number: u64) {
        let now = Instant::now();
        let mut board = lock(&self.board);
        for skipped in (next..number).step_by(self.channels) {
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
        self.lose(board.receivers_of(board.next_number()));
        self.run.count_error(
            "not sent: the server takes nothing more, or delivers too little".to_owned(),
        );
        false
    }

    /// Publishes under the lock, so that numbers are sent in order.
    fn publish(&self, board: &mut Board, departure: Departure) -> bool {
        let number = board.next_number();
        let missing = board.receivers_of(number);
        let Some(publisher) = &board.publisher else {
            return false;
        };
        if !publisher.publish(number) {
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
    /// Returns the number of connected receivers, of all channels.
    fn receivers(&self) -> u64 {
        (0..self.seated.len() as u64)
            .map(|channel| self.receivers_of(channel))
            .sum()
    }

    /// Returns the number of connected receivers of a publication, by its number.
    fn receivers_of(&self, number: u64) -> u64 {
        let channel = (number % self.seated.len().max(1) as u64) as usize;
        let seated = self.seated.get(channel).copied().unwrap_or(0);
        seated.saturating_sub(self.gone.get(channel).copied().unwrap_or(0))
    }

    fn next_number(&self) -> u64 {
        self.first + self.flights.len() as u64
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

/// The channels of one receiver.
pub(crate) struct Seats(Vec<Seat>);

struct Seat {
    channel: u64,
    /// The next publication of the channel that this receiver should get.
    next: u64,
}

impl Seats {
    pub(crate) fn new(channels: impl IntoIterator<Item = usize>) -> Self {
        let seat = |channel| Seat {
            channel: channel as u64,
            next: channel as u64,
        };
        Self(channels.into_iter().map(seat).collect())
    }

    fn next_mut(&mut self, channel: u64) -> Option<&mut u64> {
        let seat = self.0.iter_mut().find(|seat| seat.channel == channel);
        seat.map(|seat| &mut seat.next)
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|seat| seat.channel as usize)
    }
}

/// The endpoint of one connection.
pub(crate) struct FanOutClient {
    fan_out: Arc<FanOut>,
    number: usize,
    seats: Seats,
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
                    self.fan_out.join();
                }
            }
            Read::Number(number) => {
                if !self.fan_out.receive(self.number, &mut self.seats, number) {
                    self.wrong();
                }
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
        if self.ending.handle_close(&fan_out.run, closed) && !self.is_publisher() {
            fan_out.leave(&self.seats);
        }
    }
}

impl FanOut {
    /// Counts a receiver whose connection has ended.
    pub(crate) fn leave(&self, seats: &Seats) {
        let mut board = lock(&self.board);
        let channels = self.channels as u64;
        let mut lost = 0;
        for Seat { channel, next } in &seats.0 {
            board.gone[*channel as usize] += 1;
            let first = board.first;
            for (number, flight) in (first..).zip(&mut board.flights) {
                if number % channels == *channel && number >= *next && flight.missing > 0 {
                    flight.forgo();
                    lost += 1;
                }
            }
        }
        self.lose(lost);
        self.settle(&mut board, Instant::now());
    }
}

/// The number of publications before the measurement.
const CALL: u64 = u64::MAX;
