//! Subscribers that lose publications rather than their connection.
//!
//! ```text
//!   publication ──> the transport has room? ── yes ──> sent
//!                        │ no                                      while something waits, all that comes waits behind it
//!                        v
//!                     waiting: the newest one, or the newest few ── a task looks whether there is room ──> sent
//! ```
//!
//! They are served one by one, since each loses something else.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Disconnect,
    metrics::{FrameKind, Recorder},
    namespace::SlowReader,
    node::client::Client,
    shard::ClientKey,
    transport::SendError,
};

/// The subscribers of one list.
pub(crate) struct LossyReceivers {
    /// What is kept for each that has no room.
    limits: WaitingLimits,
    members: HashMap<ClientKey, Arc<LossyMember>>,
}

#[derive(Clone, Copy)]
struct WaitingLimits {
    frames: usize,
    bytes: usize,
}

struct LossyMember {
    client: Arc<Client>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<(FrameKind, Bytes)>,
    /// Bytes of `frames`.
    bytes: usize,
    /// Whether a task looks for room.
    has_task: bool,
    is_removed: bool,
}

/// Frames that wait for one subscriber with `drop-oldest`. Subscribers share the bytes of a frame.
const FRAMES_MAX: usize = 128;

/// Bytes of the frames that wait for one subscriber with `drop-oldest`.
const BYTES_MAX: usize = 256 << 10;

/// Time to the first look for room, which doubles with each that finds none.
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// Longest time between two looks.
const LONGEST_WAIT: Duration = Duration::from_millis(320);

impl LossyReceivers {
    /// Makes an empty list; `None` if its subscribers are to be disconnected.
    pub(crate) fn new(policy: SlowReader) -> Option<Self> {
        let limits = match policy {
            SlowReader::Disconnect => return None,
            SlowReader::DropOldest => WaitingLimits {
                frames: FRAMES_MAX,
                bytes: BYTES_MAX,
            },
            SlowReader::LatestOnly => WaitingLimits {
                frames: 1,
                bytes: usize::MAX,
            },
        };
        Some(Self {
            limits,
            members: HashMap::new(),
        })
    }

    pub(crate) fn add(&mut self, client: &Arc<Client>) {
        let member = LossyMember {
            client: Arc::clone(client),
            waiting: Mutex::default(),
        };
        self.members.insert(client.key(), Arc::new(member));
    }

    /// Removes a subscriber. What waits for it is dropped.
    pub(crate) fn remove(&mut self, client: &Arc<Client>) {
        if let Some(member) = self.members.remove(&client.key()) {
            let mut waiting = member.waiting.lock();
            waiting.is_removed = true;
            waiting.frames.clear();
            waiting.bytes = 0;
        }
    }

    pub(crate) fn send(&self, kind: FrameKind, frame: &Bytes, recorder: &Arc<Recorder>) {
        for member in self.members.values() {
            member.send(kind, frame, self.limits, recorder);
        }
    }

    pub(crate) fn disconnect(&self, disconnect: &Disconnect) {
        for member in self.members.values() {
            member.client.transport().disconnect(disconnect);
        }
    }
}

impl LossyMember {
    fn send(
        self: &Arc<Self>,
        kind: FrameKind,
        frame: &Bytes,
        limits: WaitingLimits,
        recorder: &Arc<Recorder>,
    ) {
        let mut waiting = self.waiting.lock();
        if waiting.frames.is_empty() && self.try_send(kind, frame, recorder) != Sent::NoRoom {
            return;
        }
        waiting.bytes += frame.len();
        waiting.frames.push_back((kind, frame.clone()));
        // A frame that is larger than the limit waits alone.
        while waiting.frames.len() > limits.frames
            || waiting.bytes > limits.bytes && waiting.frames.len() > 1
        {
            let dropped = waiting.frames.pop_front();
            waiting.bytes -= dropped.map_or(0, |(_, frame)| frame.len());
            recorder.dropped();
        }
        if !waiting.has_task {
            waiting.has_task = true;
            tokio::spawn(Arc::clone(self).send_waiting(Arc::clone(recorder)));
        }
    }

    fn try_send(&self, kind: FrameKind, frame: &Bytes, recorder: &Recorder) -> Sent {
        let transport = self.client.transport();
        if transport.is_crowded() {
            return Sent::NoRoom;
        }
        match transport.send(frame.clone()) {
            Ok(()) => {
                let label = self.client.transport_label();
                recorder.sent(label, kind, frame.len(), 1);
                Sent::Done
            }
            Err(SendError::Full) => Sent::NoRoom,
            Err(SendError::Closed) => Sent::Done,
        }
    }

    /// Sends what waits as soon as there is room. Ends when nothing waits, or the subscription has ended.
    async fn send_waiting(self: Arc<Self>, recorder: Arc<Recorder>) {
        let mut wait = FIRST_LOOK;
        loop {
            tokio::time::sleep(wait).await;
            let mut waiting = self.waiting.lock();
            let before = waiting.frames.len();
            while let Some((kind, frame)) = waiting.frames.pop_front() {
                if self.try_send(kind, &frame, &recorder) == Sent::NoRoom {
                    waiting.frames.push_front((kind, frame));
                    break;
                }
                waiting.bytes -= frame.len();
            }
            if waiting.frames.is_empty() || waiting.is_removed {
                waiting.has_task = false;
                return;
            }
            wait = match waiting.frames.len() < before {
                true => FIRST_LOOK,
                false => (wait * 2).min(LONGEST_WAIT),
            };
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Done,
    NoRoom,
}
