//! Room for answers: in memory, and among what waits for the client.

use std::time::Duration;

use super::{Client, Failure, state::Phase};
use crate::{ErrorCode, memory::Charge};

/// Room for one answer, kept until the transport has it.
pub(super) struct AnswerRoom {
    /// Bytes. The size of the answer, about.
    pub(super) bytes: usize,
    /// `None`: the answer is too small to be counted.
    _charge: Option<Charge>,
}

/// Why there is no room for an answer now.
pub(super) enum NoRoom {
    /// The client has to read more of what it has asked for.
    AtTransport,
    InMemory {
        bytes: usize,
    },
}

/// The wait of one answer for room.
pub(super) struct RoomWait {
    next_pause: Duration,
    /// How long the answer has waited for memory, and for the client to read.
    for_memory: Duration,
    for_reader: Duration,
}

/// Bytes. A smaller answer isn't counted: it is gone, or the transport counts it, before it matters.
const COUNTED_BYTES_MIN: usize = 16 << 10;

/// The pauses between two attempts. Each is twice as long as the one before.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// After so long a command fails with error 100, which is temporary: without memory, and with a client that doesn't read
/// what it has asked for. A transport ends the latter about then.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(5);
const READER_WAIT_MAX: Duration = Duration::from_secs(30);

/// After so long without memory, those who have held much for long have to give it back.
const RECLAIM_WAIT: Duration = Duration::from_secs(1);

impl Client {
    /// Makes room for an answer of about `bytes` bytes, which isn't made before that.
    pub(super) fn try_make_room(&self, bytes: usize) -> Result<AnswerRoom, NoRoom> {
        if !self.transport.has_room(bytes) {
            return Err(NoRoom::AtTransport);
        }
        let charge = match bytes < COUNTED_BYTES_MIN {
            true => None,
            false => {
                let charge = Charge::try_new(&self.node.meter, bytes);
                Some(charge.ok_or(NoRoom::InMemory { bytes })?)
            }
        };
        Ok(AnswerRoom {
            bytes,
            _charge: charge,
        })
    }

    /// Makes room for an answer of about `bytes` bytes as soon as there is.
    pub(super) async fn make_room(&self, bytes: usize) -> Result<AnswerRoom, Failure> {
        let mut wait = RoomWait::default();
        loop {
            match self.try_make_room(bytes) {
                Ok(room) => return Ok(room),
                Err(no_room) => wait.pause(no_room, self).await?,
            }
        }
    }
}

impl RoomWait {
    /// Waits before the next attempt. The caller holds nothing meanwhile.
    pub(super) async fn pause(&mut self, no_room: NoRoom, client: &Client) -> Result<(), Failure> {
        let (waited, waited_max) = match no_room {
            NoRoom::InMemory { bytes } => {
                if self.for_memory >= RECLAIM_WAIT {
                    client.node.meter.reclaim(bytes);
                }
                (&mut self.for_memory, MEMORY_WAIT_MAX)
            }
            NoRoom::AtTransport => (&mut self.for_reader, READER_WAIT_MAX),
        };
        if *waited >= waited_max {
            return Err(ErrorCode::Internal.into());
        }
        *waited += self.next_pause;
        tokio::time::sleep(self.next_pause).await;
        self.next_pause = (self.next_pause * 2).min(PAUSE_MAX);
        match client.state.lock().phase {
            Phase::Closed => Err(Failure::Closed),
            _ => Ok(()),
        }
    }
}

impl Default for RoomWait {
    fn default() -> Self {
        Self {
            next_pause: PAUSE_MIN,
            for_memory: Duration::ZERO,
            for_reader: Duration::ZERO,
        }
    }
}
