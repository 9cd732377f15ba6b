//! Clients that were away come back all at once, and get what they have missed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use sockeye::{Closed, Endpoint, Error, Message, Reply as Answer, Session};
use sockeye_hub::wire::{Reply, SubscribeResult};

use super::{
    hub_client::{CONNECT_ID, Hub, Incoming, Position, error_text},
    link::Ending,
    payload::Read,
    tally::{Tally, lock},
};

/// The state that the clients of all storms share.
pub(crate) struct Recovery {
    pub(crate) hub: Arc<Hub>,
    /// Publications that each client misses of each channel.
    pub(crate) missed: u64,
    /// The position of each channel when clients left.
    positions: Mutex<Vec<Position>>,
    /// Clients that have all replies.
    ready: AtomicU64,
    /// Times from the dial to the last reply.
    pub(crate) times: Tally,
}

/// Whether the clients have been there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visit {
    First,
    Return,
}

impl Recovery {
    pub(crate) fn new(hub: &Arc<Hub>, missed: u64, shards: usize) -> Arc<Self> {
        Arc::new(Self {
            hub: Arc::clone(hub),
            missed,
            positions: Mutex::new(vec![Position::default(); hub.names.len()]),
            ready: AtomicU64::new(0),
            times: Tally::new(shards),
        })
    }

    /// Creates the endpoint of the client with this number, which is dialled now.
    pub(crate) fn endpoint(self: &Arc<Self>, number: usize, visit: Visit) -> RecoveryClient {
        let channels: Vec<usize> = self.hub.channels(number).collect();
        RecoveryClient {
            recovery: Arc::clone(self),
            number,
            visit,
            begun: Instant::now(),
            awaited: 1 + channels.len(),
            channels,
            ending: Ending::default(),
        }
    }

    /// Returns how many clients have all replies, since the last call of [`Recovery::rest`].
    pub(crate) fn ready(&self) -> u64 {
        self.ready.load(Ordering::Relaxed)
    }

    /// Begins to count clients anew.
    pub(crate) fn rest(&self) {
        self.ready.store(0, Ordering::Relaxed);
    }

    /// Moves the positions to what clients have when they have recovered.
    pub(crate) fn advance(&self) {
        for position in &mut *lock(&self.positions) {
            position.offset += self.missed;
        }
    }
}

/// The endpoint of one client in one storm.
pub(crate) struct RecoveryClient {
    recovery: Arc<Recovery>,
    number: usize,
    visit: Visit,
    begun: Instant,
    channels: Vec<usize>,
    /// Replies that have not come.
    awaited: usize,
    ending: Ending,
}

impl RecoveryClient {
    fn handle_reply(&mut self, reply: &Reply) {
        let hub = &self.recovery.hub;
        if reply.id == 0 {
            return hub.count_push(reply);
        }
        if let Some(error) = error_text(reply) {
            let what = match reply.id {
                CONNECT_ID => "not connected",
                _ => "not subscribed",
            };
            return hub.run.count_error(format!("{what}: {error}"));
        }
        if let Some(result) = &reply.subscribe {
            let slot = (reply.id - CONNECT_ID - 1) as usize;
            if let Err(what) = self.check(slot, result) {
                hub.run.wrong.fetch_add(1, Ordering::Relaxed);
                hub.run.count_error(what);
            }
        }
        self.awaited = self.awaited.saturating_sub(1);
        if self.awaited == 0 {
            if self.visit == Visit::Return {
                self.recovery
                    .times
                    .record(self.number, self.begun.elapsed());
            }
            self.recovery.ready.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Checks an answer, or keeps its position at the first visit.
    fn check(&self, slot: usize, result: &SubscribeResult) -> Result<(), String> {
        let Some(channel) = self.channels.get(slot) else {
            return Err("a reply to no command".to_owned());
        };
        let mut positions = lock(&self.recovery.positions);
        let position = &mut positions[*channel];
        if self.visit == Visit::First {
            *position = Position {
                epoch: result.epoch.clone(),
                offset: result.offset,
            };
            return match result.recoverable {
                true => Ok(()),
                false => Err(
                    "not recoverable: the channel needs history and force_recovery (or allow_history_for_client)"
                        .to_owned(),
                ),
            };
        }
        if !result.recovered {
            return Err("not recovered".to_owned());
        }
        let offsets = result.publications.iter().map(|it| it.offset);
        let expected = position.offset + 1..=position.offset + self.recovery.missed;
        if !offsets.eq(expected) {
            return Err("recovered other publications than were missed".to_owned());
        }
        let stamp = &self.recovery.hub.stamp;
        let is_whole = |data: &[u8]| matches!(stamp.find(data), Read::Number(_));
        match result.publications.iter().all(|it| is_whole(&it.data)) {
            true => Ok(()),
            false => Err("a recovered publication was changed".to_owned()),
        }
    }
}

impl Endpoint for RecoveryClient {
    fn on_open(&mut self, session: &Session) {
        let recovery = &self.recovery;
        let positions = match self.visit {
            Visit::First => vec![],
            Visit::Return => {
                let all = lock(&recovery.positions);
                self.channels.iter().map(|it| all[*it].clone()).collect()
            }
        };
        let hub = &recovery.hub;
        hub.begin(session, self.number, &self.channels, positions);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Answer {
        let hub = Arc::clone(&self.recovery.hub);
        hub.read(&message, |incoming| match incoming {
            Incoming::Ping => hub.pong(session),
            Incoming::Reply(reply) => self.handle_reply(&reply),
            // Nobody publishes while clients are there.
            Incoming::Publication(_) => {
                hub.run.wrong.fetch_add(1, Ordering::Relaxed);
            }
            Incoming::Unknown(what) => {
                hub.run.wrong.fetch_add(1, Ordering::Relaxed);
                hub.run.count_error(format!("not understood: {what}"));
            }
        });
        Answer::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        self.ending.handle_close(&self.recovery.hub.run, closed);
    }
}
