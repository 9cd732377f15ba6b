//! The echo measurement: round trips.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Instant,
};

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session, TrySendError};

use super::{
    args::{BenchArgs, Expect},
    link::{Ending, Run},
    payload::Payload,
    schedule::{Departure, UNANSWERED_MAX},
    tally::{Tally, lock},
};

/// The state that all connections of an echo run share.
pub(crate) struct Echoes {
    pub(crate) run: Arc<Run>,
    pub(crate) payload: Payload,
    /// Messages in flight on each connection; 0 in an open loop.
    in_flight: usize,
    expect: Expect,
    pub(crate) times: Tally,
    lanes: Vec<Arc<Lane>>,
}

/// The messages in flight on one connection. `answered + waiting.len()` is the number of the next message.
#[derive(Default)]
struct Flight {
    answered: u64,
    /// Messages without an answer, the oldest first; none with [`Expect::None`].
    waiting: VecDeque<Departure>,
}

struct Lane {
    number: usize,
    flight: Mutex<Flight>,
}

impl Echoes {
    pub(crate) fn new(
        run: Arc<Run>,
        payload: Payload,
        args: &BenchArgs,
        shards: usize,
    ) -> Arc<Self> {
        let lane = |number| {
            Arc::new(Lane {
                number,
                flight: Mutex::default(),
            })
        };
        Arc::new(Self {
            run,
            payload,
            in_flight: args.closed_loop(),
            expect: args.expect,
            times: Tally::new(shards),
            lanes: (0..args.connections()).map(lane).collect(),
        })
    }

    /// Creates the endpoint of the connection with this number.
    pub(crate) fn endpoint(self: &Arc<Self>, number: usize) -> EchoClient {
        EchoClient {
            echoes: Arc::clone(self),
            lane: Arc::clone(&self.lanes[number]),
            ending: Ending::default(),
        }
    }

    /// Sends the first messages.
    pub(crate) fn start(&self, sessions: &[(usize, Session)]) {
        for (number, session) in sessions {
            let lane = &self.lanes[*number];
            self.fill(lane, &mut lock(&lane.flight), session, Instant::now());
        }
    }

    /// Sends until enough messages are in flight.
    fn fill(&self, lane: &Lane, flight: &mut Flight, session: &Session, now: Instant) {
        while flight.waiting.len() < self.in_flight && self.run.is_sending() {
            let number = flight.next();
            let message = self.payload.message(lane.number, number);
            // The outbox has room for all of them, so this fails only if the connection ends.
            if session.try_send(message).is_err() {
                return;
            }
            flight.waiting.push_back(Departure::now(now));
        }
    }

    /// Sends one message of an open loop, on the first of these connections that is open. Returns whether its outbox
    /// accepted it; otherwise the message is lost.
    pub(crate) fn send<'a>(
        &self,
        sessions: impl IntoIterator<Item = &'a (usize, Session)>,
        departure: Departure,
    ) -> bool {
        for (number, session) in sessions {
            let lane = &self.lanes[*number];
            // The lock is released before sending, since the connection may lock it for an answer.
            let message = match lock(&lane.flight).depart(self.expect, departure) {
                Some(message) => self.payload.message(lane.number, message),
                None => return self.not_sent("so many messages wait for an answer"),
            };
            match session.try_send(message) {
                Ok(()) => return true,
                Err(refused) => {
                    lock(&lane.flight).stay(self.expect);
                    if matches!(refused, TrySendError::Full(_)) {
                        return self.not_sent("the server takes nothing more");
                    }
                }
            }
        }
        self.not_sent("no connection is left")
    }

    fn not_sent(&self, why: &str) -> bool {
        self.run.lost.fetch_add(1, Ordering::Relaxed);
        self.run.count_error(format!("not sent: {why}"));
        false
    }

    /// Returns the number of messages without an answer.
    pub(crate) fn outstanding(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lock(&lane.flight).waiting.len())
            .sum()
    }
}

impl Flight {
    /// Returns the number of the next message.
    fn next(&self) -> u64 {
        self.answered + self.waiting.len() as u64
    }

    /// Counts a message that is about to be sent, and returns its number; `None` if too many are without an answer.
    fn depart(&mut self, expect: Expect, departure: Departure) -> Option<u64> {
        let number = self.next();
        match expect {
            Expect::None => self.answered += 1,
            Expect::Echo | Expect::Any if self.waiting.len() < UNANSWERED_MAX => {
                self.waiting.push_back(departure);
            }
            Expect::Echo | Expect::Any => return None,
        }
        Some(number)
    }

    /// Uncounts the last message, which was not sent.
    fn stay(&mut self, expect: Expect) {
        match expect {
            Expect::None => self.answered -= 1,
            Expect::Echo | Expect::Any => drop(self.waiting.pop_back()),
        }
    }

    /// Removes the oldest message without an answer.
    fn answer_oldest(&mut self) -> Option<Departure> {
        let oldest = self.waiting.pop_front()?;
        self.answered += 1;
        Some(oldest)
    }
}

/// The endpoint of one connection.
pub(crate) struct EchoClient {
    echoes: Arc<Echoes>,
    lane: Arc<Lane>,
    ending: Ending,
}

impl EchoClient {
    /// Returns the message that this one answers.
    fn answer(&self, flight: &mut Flight, message: &Message<'_>) -> Option<Departure> {
        match self.echoes.expect {
            Expect::Echo => self.answer_equal(flight, message),
            // An unexpected message is no answer and no error.
            Expect::Any => flight.answer_oldest(),
            Expect::None => None,
        }
    }

    fn answer_equal(&self, flight: &mut Flight, message: &Message<'_>) -> Option<Departure> {
        let run = &self.echoes.run;
        let is_at = |skipped: &usize| {
            let number = flight.answered + *skipped as u64;
            *message == self.echoes.payload.message(self.lane.number, number)
        };
        let Some(skipped) = (0..flight.waiting.len()).find(is_at) else {
            // It answers the oldest message, if there is one.
            run.wrong.fetch_add(1, Ordering::Relaxed);
            flight.answer_oldest();
            return None;
        };
        run.lost.fetch_add(skipped as u64, Ordering::Relaxed);
        flight.answered += skipped as u64;
        flight.waiting.drain(..skipped);
        flight.answer_oldest()
    }
}

impl Endpoint for EchoClient {
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let now = Instant::now();
        let mut flight = lock(&self.lane.flight);
        let sent = self.answer(&mut flight, &message);
        if let Some(sent) = sent
            && sent.is_counted(&self.echoes.run)
        {
            self.echoes.times.record(self.lane.number, now - sent.at);
        }
        self.echoes.fill(&self.lane, &mut flight, session, now);
        Reply::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        if self.ending.handle_close(&self.echoes.run, closed) {
            let lost = std::mem::take(&mut lock(&self.lane.flight).waiting).len();
            self.echoes
                .run
                .lost
                .fetch_add(lost as u64, Ordering::Relaxed);
        }
    }
}
