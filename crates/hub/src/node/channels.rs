//! The shards of a node with their locks, and what carries out their effects.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{lossy::LossyReceivers, push, waiting::WaitingTotal};
use crate::{
    ClientInfo, MemoryMeter, Publication, StreamPosition,
    metrics::{FrameKind, Recorder, TransportLabel},
    node::client::Client,
    shard::{
        Begun, ClientKey, Effect, Form, Generation, Item, ListId, NewSubscription, Removed, Room,
        Shard, Variant,
    },
    transport::{Receivers, SendError},
    wire::Encoding,
};

/// The channels of a node.
pub(crate) struct Channels {
    shards: Box<[Mutex<LockedShard>]>,
    hasher: RandomState,
    meter: Arc<dyn MemoryMeter>,
    /// What waits for slow readers that lose publications.
    waiting: Arc<WaitingTotal>,
    recorder: Arc<Recorder>,
}

/// A shard and the lists that its effects speak of.
#[derive(Default)]
struct LockedShard {
    shard: Shard<Arc<Client>>,
    lists: Vec<Option<List>>,
    /// Kept for its memory.
    effects: Vec<Effect<Arc<Client>>>,
}

/// The transports of a list's subscribers.
struct List {
    receivers: Box<dyn Receivers>,
    /// The subscribers, if they lose publications rather than their connection. `receivers` is empty then.
    lossy: Option<LossyReceivers>,
    /// How many subscribers have which transport. Nearly all lists have one.
    first: (TransportLabel, u32),
    others: Vec<(TransportLabel, u32)>,
}

/// A subscription whose client has missed something. It is ended by the client, which has to be locked, so after the
/// shard's lock is released.
pub(crate) struct Insufficient {
    client: Arc<Client>,
    channel: Arc<str>,
    generation: Generation,
}

/// What is left to do after a shard's lock is released.
#[must_use = "the subscriptions that have missed something must be ended"]
#[derive(Default)]
pub(crate) struct Aftermath(Vec<Insufficient>);

/// Enough that two cores seldom want the same one. A power of two.
const SHARDS: usize = 64;

impl Channels {
    /// `waiting_bytes_max`: most that waits for slow readers that lose publications.
    pub(crate) fn new(
        meter: Arc<dyn MemoryMeter>,
        waiting_bytes_max: usize,
        recorder: Arc<Recorder>,
    ) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            meter,
            waiting: Arc::new(WaitingTotal::new(waiting_bytes_max)),
            recorder,
        }
    }

    pub(crate) fn begin(
        &self,
        channel: &Arc<str>,
        key: ClientKey,
        subscription: NewSubscription<Arc<Client>>,
    ) -> Begun {
        let mut shard = self.shard(channel).lock();
        shard.shard.begin(channel, key, subscription)
    }

    pub(crate) fn set_delivered(&self, channel: &str, key: ClientKey, generation: Generation) {
        let mut shard = self.shard(channel).lock();
        shard.shard.set_delivered(channel, key, generation);
    }

    pub(crate) fn has_subscribers(&self, channel: &str) -> bool {
        self.shard(channel).lock().shard.has_subscribers(channel)
    }

    pub(crate) fn release(
        &self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
        position: Option<StreamPosition>,
    ) -> Aftermath {
        self.with(channel, |shard, effects| {
            shard.release(channel, key, generation, position, effects);
        })
    }

    /// Removes a subscription. Nothing is sent for it afterwards.
    pub(crate) fn remove(
        &self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
    ) -> Option<Removed> {
        let mut removed = None;
        let aftermath = self.with(channel, |shard, effects| {
            removed = shard.remove(channel, key, generation, effects);
        });
        debug_assert!(aftermath.0.is_empty(), "nobody misses anything by it");
        removed
    }

    pub(crate) fn publish(
        &self,
        channel: &str,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) -> Aftermath {
        self.with(channel, |shard, effects| {
            let room = || match self.meter.is_exhausted() {
                true => Room::None,
                false => Room::Enough,
            };
            shard.publish(channel, publication, position, room, effects);
        })
    }

    pub(crate) fn announce(&self, channel: &str, item: &Item) -> Aftermath {
        self.with(channel, |shard, effects| {
            shard.announce(channel, item, effects);
        })
    }

    pub(crate) fn check(&self, channel: &str, top: &StreamPosition) -> Aftermath {
        self.with(channel, |shard, effects| shard.check(channel, top, effects))
    }

    pub(crate) fn set_info(
        &self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
        info: Arc<ClientInfo>,
    ) {
        let mut shard = self.shard(channel).lock();
        shard.shard.set_info(channel, key, generation, info);
    }

    pub(crate) fn presence(&self, channel: &str) -> Vec<Arc<ClientInfo>> {
        let shard = self.shard(channel).lock();
        shard.shard.presence(channel).cloned().collect()
    }

    /// Returns the channels that have subscribers, and how many.
    pub(crate) fn list(&self) -> Vec<(Arc<str>, usize)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let channels = shard.shard.channels();
            all.extend(channels.map(|(name, subscribers)| (Arc::clone(name), subscribers)));
        }
        all
    }

    /// Returns how many channels have subscribers.
    pub(crate) fn count(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().shard.channel_count()).sum()
    }

    /// Returns the channels whose position the broker has to confirm.
    pub(crate) fn positioned(&self) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            all.extend(shard.shard.positioned().cloned());
        }
        all
    }

    fn shard(&self, channel: &str) -> &Mutex<LockedShard> {
        let hash = self.hasher.hash_one(channel);
        &self.shards[hash as usize % self.shards.len()]
    }

    fn with(
        &self,
        channel: &str,
        change: impl FnOnce(&mut Shard<Arc<Client>>, &mut Vec<Effect<Arc<Client>>>),
    ) -> Aftermath {
        let mut shard = self.shard(channel).lock();
        let shard = &mut *shard;
        let kept_before = shard.shard.kept_bytes();
        change(&mut shard.shard, &mut shard.effects);
        let kept = shard.shard.kept_bytes();
        if kept > kept_before {
            self.meter.charge(kept - kept_before);
        } else if kept < kept_before {
            self.meter.release(kept_before - kept);
        }
        if shard.effects.is_empty() {
            return Aftermath::default();
        }
        let mut effects = std::mem::take(&mut shard.effects);
        let mut frames = Frames::default();
        let mut aftermath = Aftermath::default();
        for effect in effects.drain(..) {
            shard.carry_out(effect, &mut frames, &mut aftermath, self);
        }
        shard.effects = effects;
        aftermath
    }
}

impl LockedShard {
    fn carry_out(
        &mut self,
        effect: Effect<Arc<Client>>,
        frames: &mut Frames,
        aftermath: &mut Aftermath,
        channels: &Channels,
    ) {
        let recorder = &channels.recorder;
        match effect {
            Effect::OpenList {
                list,
                first,
                slow_reader,
            } => {
                let at = list.0 as usize;
                if self.lists.len() <= at {
                    self.lists.resize_with(at + 1, || None);
                }
                self.lists[at] = Some(List {
                    receivers: first.transport().new_receivers(),
                    lossy: LossyReceivers::new(slow_reader, &channels.meter, &channels.waiting),
                    first: (first.transport_label(), 0),
                    others: Vec::new(),
                });
            }
            Effect::CloseList { list } => self.lists[list.0 as usize] = None,
            Effect::Join { list, client } => {
                if let Some(list) = self.list(list) {
                    list.add(&client);
                }
            }
            Effect::Leave { list, client } => {
                if let Some(list) = self.list(list) {
                    list.remove(&client);
                }
            }
            Effect::SendToList {
                list,
                variant,
                channel,
                item,
            } => {
                if let Some(list) = self.list(list) {
                    match frames.encode(&variant, &channel, &item) {
                        Ok(frame) => list.send(recorder, &item, &frame),
                        Err(error) => list.disconnect(&error.disconnect()),
                    }
                }
            }
            Effect::SendTo {
                client,
                channel,
                item,
            } => send_to(&client, &channel, &item, recorder),
            Effect::Insufficient {
                client,
                channel,
                generation,
                ..
            } => aftermath.0.push(Insufficient {
                client,
                channel,
                generation,
            }),
        }
    }

    fn list(&mut self, list: ListId) -> Option<&mut List> {
        self.lists.get_mut(list.0 as usize)?.as_mut()
    }
}

impl List {
    fn add(&mut self, client: &Arc<Client>) {
        match &mut self.lossy {
            Some(lossy) => lossy.add(client),
            None => self.receivers.add(client.transport()),
        }
        *self.count(client.transport_label()) += 1;
    }

    fn remove(&mut self, client: &Arc<Client>) {
        match &mut self.lossy {
            Some(lossy) => lossy.remove(client),
            None => self.receivers.remove(client.transport()),
        }
        *self.count(client.transport_label()) -= 1;
    }

    fn count(&mut self, transport: TransportLabel) -> &mut u32 {
        if self.first.0 == transport {
            return &mut self.first.1;
        }
        let at = self
            .others
            .iter()
            .position(|(other, _)| *other == transport);
        let at = at.unwrap_or_else(|| {
            self.others.push((transport, 0));
            self.others.len() - 1
        });
        &mut self.others[at].1
    }

    fn send(&self, recorder: &Arc<Recorder>, item: &Item, frame: &Bytes) {
        let kind = FrameKind::of_item(item);
        if let Some(lossy) = &self.lossy {
            return lossy.send(kind, frame, recorder);
        }
        self.receivers.send(frame);
        for (transport, count) in [self.first].iter().chain(&self.others) {
            recorder.sent(*transport, kind, frame.len(), *count);
        }
    }

    fn disconnect(&self, disconnect: &crate::Disconnect) {
        match &self.lossy {
            Some(lossy) => lossy.disconnect(disconnect),
            None => self.receivers.disconnect(disconnect),
        }
    }
}

fn send_to(client: &Arc<Client>, channel: &str, item: &Item, recorder: &Recorder) {
    let transport = client.transport();
    let frame = push::frame(
        transport.encoding(),
        transport.is_unidirectional(),
        channel,
        item,
        // A subscriber that is served alone has nothing to differ from.
        None,
    );
    match frame {
        Ok(frame) => {
            let bytes = frame.len();
            match transport.send(frame) {
                Ok(()) => {
                    let kind = FrameKind::of_item(item);
                    recorder.sent(client.transport_label(), kind, bytes, 1);
                }
                Err(SendError::Full) => transport.disconnect(&crate::Disconnect::SLOW),
                Err(SendError::Closed) => {}
            }
        }
        Err(error) => transport.disconnect(&error.disconnect()),
    }
}

/// The frames of one item, encoded once for all lists that need the same bytes.
#[derive(Default)]
struct Frames {
    encoded: Vec<(FrameKey, Bytes)>,
    /// What the item is sent as to lists with delta compression, once that was computed.
    difference: Option<Option<Bytes>>,
}

/// What two receivers of an item have in common that get the same frame.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FrameKey {
    encoding: Encoding,
    is_bare: bool,
    form: FrameForm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FrameForm {
    Plain,
    FossilWhole,
    FossilDifference,
}

impl Frames {
    fn encode(
        &mut self,
        variant: &Variant,
        channel: &str,
        item: &Item,
    ) -> Result<Bytes, crate::wire::EncodeError> {
        let key = FrameKey {
            encoding: variant.encoding,
            is_bare: variant.is_unidirectional,
            form: FrameForm::of(item),
        };
        if let Some((_, frame)) = self.encoded.iter().find(|(known, _)| *known == key) {
            return Ok(frame.clone());
        }
        let difference = match key.form {
            FrameForm::FossilDifference => {
                let known = self
                    .difference
                    .get_or_insert_with(|| push::difference(item));
                known.clone()
            }
            FrameForm::Plain | FrameForm::FossilWhole => None,
        };
        let frame = push::frame(key.encoding, key.is_bare, channel, item, difference)?;
        self.encoded.push((key, frame.clone()));
        Ok(frame)
    }
}

impl FrameForm {
    fn of(item: &Item) -> Self {
        match item {
            Item::Publication {
                form: Form::Fossil(Some(_)),
                ..
            } => Self::FossilDifference,
            Item::Publication {
                form: Form::Fossil(None),
                ..
            } => Self::FossilWhole,
            _ => Self::Plain,
        }
    }
}

impl Aftermath {
    /// Ends the subscriptions that have missed something, in a task: the caller may hold locks.
    pub(crate) fn settle(self) {
        if self.0.is_empty() {
            return;
        }
        tokio::spawn(async move {
            for Insufficient {
                client,
                channel,
                generation,
            } in self.0
            {
                client.lose(&channel, generation).await;
            }
        });
    }
}
