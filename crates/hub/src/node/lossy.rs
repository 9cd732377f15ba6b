//! Subscribers that lose publications rather than their connection.
//!
//! ```text
//!   publication ──> the transport has room? ── yes ──> sent
//!                        │ no                                      while something waits, all that comes waits behind it
//!                        v
//!                     waiting: the newest one, or the newest few ── a task looks whether there is room ──> sent
//! ```
//!
//! They are served one by one, since each loses something else. What waits counts towards the program's memory, a frame once
//! for all that it waits for. While there is none left, only the newest frame waits for each. What waits in all channels has a
//! limit of its own: see [`WaitingTotal`].

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Disconnect, MemoryMeter,
    memory::Charge,
    metrics::{FrameKind, Recorder},
    namespace::SlowReader,
    node::{client::Client, waiting::WaitingTotal},
    shard::ClientKey,
    transport::SendError,
};

/// The subscribers of one list.
pub(crate) struct LossyReceivers {
    /// What is kept for each that has no room.
    limits: WaitingLimits,
    members: HashMap<ClientKey, Arc<LossyMember>>,
    meter: Arc<dyn MemoryMeter>,
    total: Arc<WaitingTotal>,
}

#[derive(Clone, Copy)]
struct WaitingLimits {
    frames: usize,
    bytes: usize,
}

struct LossyMember {
    client: Arc<Client>,
    waiting: Mutex<Waiting>,
    total: Arc<WaitingTotal>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Arc<WaitingFrame>>,
    /// Bytes of `frames`.
    bytes: usize,
    /// Whether a task looks for room.
    has_task: bool,
    is_removed: bool,
}

/// A frame that waits for one subscriber or several.
struct WaitingFrame {
    kind: FrameKind,
    bytes: Bytes,
    #[expect(dead_code, reason = "held for its drop")]
    charge: Charge,
    total: Arc<WaitingTotal>,
}

impl Drop for WaitingFrame {
    fn drop(&mut self) {
        self.total.remove_frame(self.bytes.len());
    }
}

/// A frame that is being sent to all subscribers, and what it becomes when the first of them has no room.
struct Sending<'a> {
    kind: FrameKind,
    bytes: &'a Bytes,
    limits: WaitingLimits,
    meter: &'a Arc<dyn MemoryMeter>,
    total: &'a Arc<WaitingTotal>,
    waiting: Option<Arc<WaitingFrame>>,
}

/// Frames that wait for one subscriber with `drop-oldest`. Subscribers share the bytes of a frame.
const FRAMES_MAX: usize = 128;

/// Bytes of the frames that wait for one subscriber with `drop-oldest`.
const BYTES_MAX: usize = 256 << 10;

/// Bytes. What a frame that waits costs beside its own.
const FRAME_BYTES: usize = 64;

/// Time to the first look for room, which doubles with each that finds none.
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// Longest time between two looks.
const LONGEST_WAIT: Duration = Duration::from_millis(320);

impl LossyReceivers {
    /// Makes an empty list; `None` if its subscribers are to be disconnected.
    pub(crate) fn new(
        policy: SlowReader,
        meter: &Arc<dyn MemoryMeter>,
        total: &Arc<WaitingTotal>,
    ) -> Option<Self> {
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
            meter: Arc::clone(meter),
            total: Arc::clone(total),
        })
    }

    pub(crate) fn add(&mut self, client: &Arc<Client>) {
        let member = LossyMember {
            client: Arc::clone(client),
            waiting: Mutex::default(),
            total: Arc::clone(&self.total),
        };
        self.members.insert(client.key(), Arc::new(member));
    }

    /// Removes a subscriber. What waits for it is dropped.
    pub(crate) fn remove(&mut self, client: &Arc<Client>) {
        if let Some(member) = self.members.remove(&client.key()) {
            let mut waiting = member.waiting.lock();
            waiting.is_removed = true;
            waiting.frames.clear();
            let before = std::mem::take(&mut waiting.bytes);
            self.total.set_waiting(client, before, 0);
        }
    }

    pub(crate) fn send(&self, kind: FrameKind, frame: &Bytes, recorder: &Arc<Recorder>) {
        let mut sending = Sending {
            kind,
            bytes: frame,
            limits: self.limits,
            meter: &self.meter,
            total: &self.total,
            waiting: None,
        };
        for member in self.members.values() {
            member.send(&mut sending, recorder);
        }
    }

    pub(crate) fn disconnect(&self, disconnect: &Disconnect) {
        for member in self.members.values() {
            member.client.transport().disconnect(disconnect);
        }
    }
}

impl Sending<'_> {
    /// Returns what is kept for one subscriber.
    fn limits(&mut self) -> WaitingLimits {
        if self.waiting.is_none() && self.meter.is_exhausted() {
            self.limits.frames = 1;
        }
        self.limits
    }

    /// Returns the frame as one that waits.
    fn waiting_frame(&mut self) -> Arc<WaitingFrame> {
        let Self {
            kind,
            bytes,
            meter,
            total,
            waiting,
            ..
        } = self;
        let waiting = waiting.get_or_insert_with(|| {
            for client in total.add_frame(bytes.len()) {
                client.transport().disconnect(&Disconnect::SLOW);
            }
            Arc::new(WaitingFrame {
                kind: *kind,
                bytes: bytes.clone(),
                charge: Charge::new(meter, bytes.len() + FRAME_BYTES),
                total: Arc::clone(total),
            })
        });
        Arc::clone(waiting)
    }
}

impl LossyMember {
    fn send(self: &Arc<Self>, sending: &mut Sending<'_>, recorder: &Arc<Recorder>) {
        let mut waiting = self.waiting.lock();
        if waiting.frames.is_empty()
            && self.try_send(sending.kind, sending.bytes, recorder) != Sent::NoRoom
        {
            return;
        }
        // It may take a while to go.
        if self.total.must_end(self.client.key()) {
            return recorder.dropped();
        }
        let before = waiting.bytes;
        let limits = sending.limits();
        // First, so that a frame never counts beside the one that it replaces. One that is larger than the limit waits alone.
        while waiting.frames.len() >= limits.frames
            || waiting.bytes + sending.bytes.len() > limits.bytes
        {
            let Some(dropped) = waiting.frames.pop_front() else {
                break;
            };
            waiting.bytes -= dropped.bytes.len();
            recorder.dropped();
        }
        waiting.bytes += sending.bytes.len();
        waiting.frames.push_back(sending.waiting_frame());
        self.total.set_waiting(&self.client, before, waiting.bytes);
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
            let (before, bytes_before) = (waiting.frames.len(), waiting.bytes);
            while let Some(frame) = waiting.frames.pop_front() {
                if self.try_send(frame.kind, &frame.bytes, &recorder) == Sent::NoRoom {
                    waiting.frames.push_front(frame);
                    break;
                }
                waiting.bytes -= frame.bytes.len();
            }
            let bytes = waiting.bytes;
            self.total.set_waiting(&self.client, bytes_before, bytes);
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
