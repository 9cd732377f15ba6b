//! Messages that come back: round trips.

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

/// What all connections of an echo run share.
pub(crate) struct Echoes {
    pub(crate) run: Arc<Run>,
    pub(crate) payload: Payload,
    /// 0 in an open loop: nothing waits for an answer.
    in_flight: usize,
    expect: Expect,
    pub(crate) times: Tally,
    lanes: Vec<Arc<Lane>>,
}

/// What is on its way on one connection. `answered + waiting.len()` is the number of the next message.
#[derive(Default)]
struct Flight {
    answered: u64,
    /// Messages that wait for an answer, the oldest first; with [`Expect::None`] there are none.
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

    /// The endpoint of the connection with this number.
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

    /// Sends until enough is on its way.
    fn fill(&self, lane: &Lane, flight: &mut Flight, session: &Session, now: Instant) {
        while flight.waiting.len() < self.in_flight && self.run.is_sending() {
            let number = flight.next();
            let message = self.payload.message(lane.number, number);
            // The outbox has room for all of them, so this fails only where the connection ends.
            if session.try_send(message).is_err() {
                return;
            }
            flight.waiting.push_back(Departure::now(now));
        }
    }

    /// Sends one message of an open loop, on the first of these connections that stands. Says whether its outbox
    /// took it; otherwise the message is lost.
    pub(crate) fn send<'a>(
        &self,
        sessions: impl IntoIterator<Item = &'a (usize, Session)>,
        departure: Departure,
    ) -> bool {
        for (number, session) in sessions {
            let lane = &self.lanes[*number];
            // Not locked while it is handed over: the connection may be about to lock it with an answer.
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
        self.run.trouble(format!("not sent: {why}"));
        false
    }

    /// Messages whose answer hasn't come.
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

    /// Counts a message that is about to be sent, and returns its number; none if too many wait already.
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

    /// Takes back the last message: it was not sent.
    fn stay(&mut self, expect: Expect) {
        match expect {
            Expect::None => self.answered -= 1,
            Expect::Echo | Expect::Any => drop(self.waiting.pop_back()),
        }
    }

    /// Takes the oldest message that waits.
    fn answer_oldest(&mut self) -> Option<Departure> {
        let oldest = self.waiting.pop_front()?;
        self.answered += 1;
        Some(oldest)
    }
}

/// One connection.
pub(crate) struct EchoClient {
    echoes: Arc<Echoes>,
    lane: Arc<Lane>,
    ending: Ending,
}

impl EchoClient {
    /// Finds out which message this answers.
    fn answer(&self, flight: &mut Flight, message: &Message<'_>) -> Option<Departure> {
        match self.echoes.expect {
            Expect::Echo => self.answer_equal(flight, message),
            // What comes unasked is no answer, and nothing is wrong with it.
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
            // It stands for the oldest, if it stands for anything.
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
