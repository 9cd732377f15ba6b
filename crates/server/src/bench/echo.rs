//! Messages that come back: round trips.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Instant,
};

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};

use super::{
    link::{Ending, Phase, Run},
    payload::Payload,
    tally::{Tally, lock},
};

/// What all connections of an echo run share.
pub(crate) struct Echoes {
    pub(crate) run: Arc<Run>,
    pub(crate) payload: Payload,
    pub(crate) in_flight: usize,
    pub(crate) times: Tally,
    lanes: Vec<Arc<Lane>>,
}

/// What is on its way on one connection. `answered + times.len()` is the number of the next message.
#[derive(Default)]
struct Flight {
    answered: u64,
    /// When each was sent, the oldest first.
    times: VecDeque<Instant>,
}

struct Lane {
    number: usize,
    flight: Mutex<Flight>,
}

impl Echoes {
    pub(crate) fn new(
        run: Arc<Run>,
        payload: Payload,
        connections: usize,
        in_flight: usize,
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
            in_flight,
            times: Tally::new(shards),
            lanes: (0..connections).map(lane).collect(),
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
        while flight.times.len() < self.in_flight && self.run.is_sending() {
            let number = flight.answered + flight.times.len() as u64;
            let message = self.payload.message(lane.number, number);
            // The outbox has room for all of them, so this fails only where the connection ends.
            if session.try_send(message).is_err() {
                return;
            }
            flight.times.push_back(now);
        }
    }

    /// Messages whose answer hasn't come.
    pub(crate) fn outstanding(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lock(&lane.flight).times.len())
            .sum()
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
    fn answer(&self, flight: &mut Flight, message: &Message<'_>) -> Option<Instant> {
        let run = &self.echoes.run;
        let is_at = |skipped: &usize| {
            let number = flight.answered + *skipped as u64;
            *message == self.echoes.payload.message(self.lane.number, number)
        };
        let Some(skipped) = (0..flight.times.len()).find(is_at) else {
            // It stands for the oldest, if it stands for anything.
            run.wrong.fetch_add(1, Ordering::Relaxed);
            if flight.times.pop_front().is_some() {
                flight.answered += 1;
            }
            return None;
        };
        run.lost.fetch_add(skipped as u64, Ordering::Relaxed);
        flight.answered += skipped as u64 + 1;
        flight.times.drain(..skipped);
        flight.times.pop_front()
    }
}

impl Endpoint for EchoClient {
    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        let now = Instant::now();
        let mut flight = lock(&self.lane.flight);
        let sent = self.answer(&mut flight, &message);
        if let Some(sent) = sent
            && self.echoes.run.phase() == Phase::Measure
        {
            self.echoes.times.record(self.lane.number, now - sent);
        }
        self.echoes.fill(&self.lane, &mut flight, session, now);
        Reply::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        if self.ending.handle_close(&self.echoes.run, closed) {
            let lost = std::mem::take(&mut lock(&self.lane.flight).times).len();
            self.echoes
                .run
                .lost
                .fetch_add(lost as u64, Ordering::Relaxed);
        }
    }
}
