//! What is known of all channels, and where their publications stand.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::Arc,
    time::Duration,
};

use hashbrown::HashTable;

use super::{
    channel::Channel,
    disk::DiskFile,
    record::{EpochText, Location, StreamState},
};
use crate::{
    Epoch, StreamPosition,
    broker::{
        HistoryQuery,
        epochs::UnpublishedEpochs,
        usage::{LimitReached, Usage},
    },
};

/// The channels by name, and which segments they need.
///
/// Only the log's thread changes it, but for [`Index::history`], which moves the time at which a position is forgotten.
pub(crate) struct Index {
    /// By number.
    channels: Vec<Option<Channel>>,
    /// Numbers that are free.
    free: Vec<u32>,
    /// Numbers, by the hash of the names.
    names: HashTable<u32>,
    hasher: RandomState,
    channels_max: usize,
    /// Bytes. The idempotency keys of all channels.
    idempotency: Usage,
    idempotency_keys_max: usize,
    /// The segments from `oldest` on, without a gap.
    segments: VecDeque<SegmentUse>,
    oldest: u32,
    /// Where the next sweep begins.
    sweep_next: usize,
    /// Those of channels that have no history.
    unpublished: UnpublishedEpochs,
    /// A history was forgotten: after a restart the seed of `unpublished` would make its epoch again.
    has_forgotten: bool,
}

/// A segment file, and how much of it is needed.
pub(super) struct SegmentUse {
    pub(super) file: Arc<dyn DiskFile>,
    /// Bytes.
    pub(super) bytes: u64,
    /// Publications, all that were written.
    pub(super) records: u32,
    /// Publications that are kept.
    pub(super) live: u32,
    /// Channels whose last state it has.
    pub(super) anchors: u32,
    /// Until when its last idempotency key is remembered.
    pub(super) keys_until: u64,
}

/// What the index knows of a channel.
pub(crate) enum Presence {
    /// The channel has a history.
    Known(Found),
    /// It has none, or it was forgotten. Its next one has this epoch.
    Unknown(Epoch),
}

/// The answer to a question, but for the publications themselves.
pub(crate) struct Found {
    pub(crate) position: StreamPosition,
    /// The offsets and where their publications stand, in the order of the answer.
    pub(super) places: Vec<(u64, Location)>,
    /// The files that `places` speaks of.
    pub(super) files: Vec<(u32, Arc<dyn DiskFile>)>,
    /// See [`HistoryQuery::bytes_max`].
    pub(super) bytes_max: Option<usize>,
}

impl Index {
    pub(super) fn new(limits: &super::LogLimits, oldest: u32) -> Self {
        Self {
            channels: vec![],
            free: vec![],
            names: HashTable::new(),
            hasher: RandomState::new(),
            channels_max: limits.channels_max,
            idempotency: Usage::new(limits.idempotency_bytes_max),
            idempotency_keys_max: limits.idempotency_keys_max,
            segments: VecDeque::new(),
            oldest,
            sweep_next: 0,
            unpublished: UnpublishedEpochs::new(0),
            has_forgotten: false,
        }
    }

    /// Sets what the epochs of channels without a history are made from.
    pub(super) fn set_epoch_seed(&mut self, seed: u64) {
        self.unpublished = UnpublishedEpochs::new(seed);
        self.has_forgotten = false;
    }

    pub(super) fn epoch_seed(&self) -> u64 {
        self.unpublished.seed()
    }

    /// Returns whether the seed must not be used by another process.
    pub(super) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Returns the epoch of a history that begins.
    pub(super) fn new_epoch(&self, name: &str) -> EpochText {
        EpochText::new(&self.unpublished.of(name))
    }

    /// Makes room for so many channels.
    pub(super) fn make_room(&mut self, count: usize) {
        self.channels.reserve_exact(count);
        // There is nothing to move yet.
        self.names.reserve(count, |_| 0);
    }

    /// Returns how many channels are known.
    pub(crate) fn len(&self) -> usize {
        self.channels.len() - self.free.len()
    }

    /// Returns the channels with a history at `now` whose names begin with `prefix`.
    pub(crate) fn names(&self, prefix: &str, now: u64) -> Vec<Arc<str>> {
        let channels = self.channels.iter().flatten();
        let kept = channels.filter(|it| it.name.starts_with(prefix) && it.has_stream(now));
        kept.map(|channel| Arc::from(&*channel.name)).collect()
    }

    /// Answers a question, and remembers the channel's position for longer.
    pub(crate) fn history(
        &mut self,
        name: &str,
        query: &HistoryQuery,
        now: u64,
        count_max: usize,
    ) -> Presence {
        let Some(number) = self.number(name) else {
            return Presence::Unknown(self.unpublished.of(name));
        };
        let channel = self.channel(number);
        if !channel.has_stream(now) {
            // The log's thread forgets it, perhaps later.
            return Presence::Unknown(match channel.epoch.is_none() {
                true => self.unpublished.of(name),
                false => self.unpublished.after_forgetting(name),
            });
        }
        let channel = self.channel_mut(number);
        if !query.meta_ttl.is_zero() {
            channel.meta_ttl = millis(query.meta_ttl);
        }
        channel.forgotten_at = now.saturating_add(channel.meta_ttl);
        let channel = self.channel(number);
        let epoch = channel.epoch.epoch();
        let first = match channel.expires_at() > now {
            true => channel.first(),
            false => channel.top + 1,
        };
        let offsets = query.offsets(first, channel.top, &epoch, count_max);
        let place = |offset| Some((offset, channel.location(offset)?));
        let mut places: Vec<(u64, Location)> = offsets.filter_map(place).collect();
        if query.reverse {
            places.reverse();
        }
        let mut files: Vec<(u32, Arc<dyn DiskFile>)> = vec![];
        for (_, location) in &places {
            if !files
                .iter()
                .any(|(segment, _)| *segment == location.segment)
                && let Some(segment) = self.segment(location.segment)
            {
                files.push((location.segment, segment.file.clone()));
            }
        }
        let offset = channel.top;
        Presence::Known(Found {
            position: StreamPosition { offset, epoch },
            places,
            files,
            bytes_max: query.bytes_max,
        })
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let is_same = |number: &u32| *self.channel(*number).name == *name;
        self.names.find(hash, is_same).copied()
    }

    /// Returns the number of a channel, a new one if it has none.
    pub(super) fn reserve(&mut self, name: &str) -> Result<u32, LimitReached> {
        if let Some(number) = self.number(name) {
            return Ok(number);
        }
        if self.len() >= self.channels_max {
            return Err(LimitReached {
                max: self.channels_max,
            });
        }
        Ok(self.insert(Channel::new(name)))
    }

    /// Returns the number of a channel, also beyond the limit: it was within when the channel was written.
    pub(super) fn number_of_written(&mut self, name: &str) -> u32 {
        let known = self.number(name);
        known.unwrap_or_else(|| self.insert(Channel::new(name)))
    }

    /// Adds a channel whose name isn't known, or replaces the one with that name.
    pub(super) fn insert(&mut self, channel: Channel) -> u32 {
        if let Some(number) = self.number(&channel.name) {
            self.clear(number);
            let usage = &self.idempotency;
            if let Some(old) = self.channels[number as usize].replace(channel)
                && old.keys().is_some()
            {
                old.into_keys().clear(usage);
            }
            return number;
        }
        let hash = self.hasher.hash_one(&*channel.name);
        let number = self.free.pop().unwrap_or(self.channels.len() as u32);
        match self.channels.get_mut(number as usize) {
            Some(place) => *place = Some(channel),
            None => {
                if self.channels.len() == self.channels.capacity() {
                    // Not doubled, as the list would by itself: an idle channel has its limit of bytes.
                    let more = (self.channels.len() / 16).max(64);
                    self.channels.reserve_exact(more);
                }
                self.channels.push(Some(channel));
            }
        }
        let (channels, hasher) = (&self.channels, &self.hasher);
        let rehash = |number: &u32| {
            let name = channels[*number as usize].as_ref().map(|it| &*it.name);
            hasher.hash_one(name.unwrap_or_default())
        };
        self.names.insert_unique(hash, number, rehash);
        number
    }

    pub(super) fn channel(&self, number: u32) -> &Channel {
        let channel = self.channels[number as usize].as_ref();
        channel.expect("the number of a channel")
    }

    pub(super) fn channel_mut(&mut self, number: u32) -> &mut Channel {
        let channel = self.channels[number as usize].as_mut();
        channel.expect("the number of a channel")
    }

    /// Returns the channels with the numbers in `range`.
    pub(super) fn channels(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = &Channel> {
        let end = range.end.min(self.channels.len());
        self.channels[range.start.min(end)..end].iter().flatten()
    }

    /// Returns the end of the numbers of channels.
    pub(super) fn numbers_end(&self) -> usize {
        self.channels.len()
    }

    /// Sets the history of a channel, as the record in `segment` says. An older state than the one that is known is ignored.
    pub(super) fn set_state(
        &mut self,
        number: u32,
        state: &StreamState,
        segment: u32,
        keeps_records: bool,
    ) {
        if self.channel(number).epoch == state.epoch && state.top < self.channel(number).top {
            return;
        }
        if self.channel(number).epoch != state.epoch && !keeps_records {
            self.clear(number);
        }
        self.set_range(number, state.first, state.top);
        let channel = self.channel_mut(number);
        channel.set_state(state);
        let before = std::mem::replace(&mut channel.anchor, segment);
        if let Some(segment) = self.segment_mut(before) {
            segment.anchors -= 1;
        }
        if let Some(segment) = self.segment_mut(segment) {
            segment.anchors += 1;
        }
    }

    /// Sets where a publication stands. It is a channel's newest, or a copy of an older one.
    /// `content` is how large it is, where the state says that this is counted.
    pub(super) fn set_publication(
        &mut self,
        number: u32,
        state: &StreamState,
        location: Location,
        content: u32,
    ) {
        if let Some(segment) = self.segment_mut(location.segment) {
            segment.records += 1;
        }
        self.set_state(number, state, location.segment, false);
        if self.channel(number).epoch != state.epoch {
            return;
        }
        let before = self.channel_mut(number).set_location(state.top, location);
        if let Some(before) = before {
            self.release(before);
            if let Some(segment) = self.segment_mut(location.segment) {
                segment.live += 1;
            }
            if state.counts_bytes {
                self.channel_mut(number).set_content(state.top, content);
            }
        }
    }

    /// Keeps the publications from `first` to `top`.
    pub(super) fn set_range(&mut self, number: u32, first: u64, top: u64) {
        let mut dropped = vec![];
        let channel = self.channel_mut(number);
        channel.set_range(first, top, |location| dropped.push(location));
        for location in dropped {
            self.release(location);
        }
    }

    /// Remembers an idempotency key, whose record stands in `segment`. Forgets others of the channel if there is no room.
    pub(super) fn remember_key(
        &mut self,
        number: u32,
        key: &Arc<str>,
        position: Option<StreamPosition>,
        until: u64,
        segment: u32,
    ) {
        if let Some(segment) = self.segment_mut(segment) {
            segment.keys_until = segment.keys_until.max(until);
        }
        let (usage, keys_max) = (&self.idempotency, self.idempotency_keys_max);
        let channel = self.channels[number as usize].as_mut();
        let channel = channel.expect("the number of a channel");
        channel.with_keys(|keys| {
            if keys.reserve(key, keys_max, usage).is_ok() {
                let until = Duration::from_millis(until);
                keys.remember(key.clone(), position, until, usage);
            }
        });
    }

    /// Returns whether there is room for so many bytes of keys.
    pub(super) fn has_room_for_key(&self, bytes: usize) -> Result<(), LimitReached> {
        match self.idempotency.has_room(bytes) {
            true => Ok(()),
            false => Err(self.idempotency.limit()),
        }
    }

    /// Drops what has expired of a channel.
    pub(super) fn expire(&mut self, number: u32, now: u64) {
        let channel = self.channel(number);
        let (top, is_expired) = (channel.top, channel.expires_at() <= now);
        if is_expired && channel.count() > 0 {
            self.set_range(number, top + 1, top);
        }
        let channel = self.channel(number);
        if !channel.epoch.is_none() && !channel.has_stream(now) {
            self.clear(number);
        }
        let usage = &self.idempotency;
        let channel = self.channels[number as usize].as_mut();
        let channel = channel.expect("the number of a channel");
        if channel.keys().is_some() {
            channel.with_keys(|keys| keys.expire(Duration::from_millis(now), usage));
        }
    }

    /// Drops what has expired of up to `count_max` channels, and channels of which nothing is known.
    pub(super) fn sweep(&mut self, now: u64, count_max: usize) {
        for _ in 0..count_max.min(self.channels.len()) {
            self.sweep_next = (self.sweep_next + 1) % self.channels.len();
            let number = self.sweep_next as u32;
            if self.channels[number as usize].is_some() {
                self.expire(number, now);
                self.remove_if_idle(number);
            }
        }
    }

    pub(super) fn remove_if_idle(&mut self, number: u32) {
        if !self.channel(number).is_idle() {
            return;
        }
        let hash = self.hasher.hash_one(&*self.channel(number).name);
        if let Ok(entry) = self.names.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.channels[number as usize] = None;
        self.free.push(number);
    }

    /// Forgets the history of a channel.
    pub(super) fn clear(&mut self, number: u32) {
        let channel = self.channel(number);
        let top = channel.top;
        if !channel.epoch.is_none() && top > 0 {
            self.unpublished.forget(&channel.name);
            self.has_forgotten = true;
        }
        self.set_range(number, top + 1, top);
        let anchor = self.channel(number).anchor;
        if let Some(segment) = self.segment_mut(anchor) {
            segment.anchors -= 1;
        }
        self.channel_mut(number).forget_stream();
    }

    /// Adds the segment that follows the last one.
    pub(super) fn push_segment(&mut self, file: Arc<dyn DiskFile>, bytes: u64) {
        self.segments.push_back(SegmentUse {
            file,
            bytes,
            records: 0,
            live: 0,
            anchors: 0,
            keys_until: 0,
        });
    }

    /// Remembers positions at least for as long from `now` on as after a question: questions since the last checkpoint are
    /// not known.
    pub(super) fn remember_positions(&mut self, now: u64) {
        for channel in self.channels.iter_mut().flatten() {
            let until = now.saturating_add(channel.meta_ttl);
            channel.forgotten_at = channel.forgotten_at.max(until);
        }
    }

    /// Removes the oldest segment, which is not needed.
    pub(super) fn pop_segment(&mut self) {
        self.segments.pop_front();
        self.oldest += 1;
    }

    pub(super) fn oldest(&self) -> u32 {
        self.oldest
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = (u32, &SegmentUse)> {
        (self.oldest..).zip(&self.segments)
    }

    pub(super) fn segment(&self, id: u32) -> Option<&SegmentUse> {
        let at = id.checked_sub(self.oldest)?;
        self.segments.get(at as usize)
    }

    pub(super) fn segment_mut(&mut self, id: u32) -> Option<&mut SegmentUse> {
        let at = id.checked_sub(self.oldest)?;
        self.segments.get_mut(at as usize)
    }

    /// Counts what the channels of a checkpoint need of the segments.
    pub(super) fn count_uses(&mut self) {
        let Self {
            channels,
            segments,
            oldest,
            ..
        } = self;
        let mut count = |id: u32, operate: fn(&mut SegmentUse)| {
            let at = id.checked_sub(*oldest);
            let segment = at.and_then(|at| segments.get_mut(at as usize));
            segment.into_iter().for_each(operate);
        };
        for channel in channels.iter().flatten() {
            count(channel.anchor, |segment| segment.anchors += 1);
            for location in channel.locations() {
                count(location.segment, |segment| segment.live += 1);
            }
        }
    }

    /// Drops the publications whose places are unknown or older than the oldest segment, and those before them, and
    /// channels whose last record is older. Returns how many publications were dropped whose places are unknown.
    pub(super) fn drop_unknown(&mut self) -> u64 {
        let mut unknown = 0;
        for number in 0..self.channels.len() as u32 {
            let Some(channel) = &self.channels[number as usize] else {
                continue;
            };
            let (top, count, anchor) = (channel.top, channel.count(), channel.anchor);
            let is_known = |it: &Location| it.segment >= self.oldest;
            let known = channel.locations().rev().take_while(is_known).count();
            let holes = channel.locations().take(count - known);
            unknown += holes.filter(|it| *it == Location::NONE).count() as u64;
            if known < count {
                self.set_range(number, top + 1 - known as u64, top);
            }
            let has_stream = !self.channel(number).epoch.is_none();
            if has_stream && anchor < self.oldest {
                self.clear(number);
            }
            self.remove_if_idle(number);
        }
        unknown
    }

    /// Returns the epochs of all channels that have one, with their numbers.
    pub(super) fn streams(&self) -> Vec<(u32, EpochText)> {
        let channels = (0..).zip(&self.channels);
        let streams = channels.filter_map(|(number, it)| Some((number, it.as_ref()?.epoch)));
        streams.filter(|(_, epoch)| !epoch.is_none()).collect()
    }

    fn release(&mut self, location: Location) {
        if let Some(segment) = self.segment_mut(location.segment) {
            segment.live -= 1;
        }
    }
}

/// Returns a time span as milliseconds of the log's clock.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
