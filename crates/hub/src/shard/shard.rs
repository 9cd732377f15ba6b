//! The channels of one shard.

use std::{collections::HashMap, sync::Arc};

use super::{
    Begun, ClientKey, Effect, Generation, Item, NewSubscription, Removed, Room,
    channel::{Channel, ListIds},
    member::{Member, MemberState},
};
use crate::{ClientInfo, Publication, StreamPosition};

/// A part of the channels of a node. Each channel is in one shard.
///
/// Call [`Shard::begin`], read the history, [`Shard::release`]; then [`Shard::publish`] for what comes, and
/// [`Shard::remove`] in the end. Whatever fills `effects` is to be carried out in that order before the shard is used
/// again.
pub(crate) struct Shard<A> {
    channels: HashMap<Arc<str>, Channel<A>>,
    ids: ListIds,
    generations: u64,
    /// Bytes. What all channels keep.
    kept_bytes: usize,
}

impl<A: Clone> Default for Shard<A> {
    fn default() -> Self {
        Self {
            channels: HashMap::new(),
            ids: ListIds::default(),
            generations: 0,
            kept_bytes: 0,
        }
    }
}

impl<A: Clone> Shard<A> {
    /// Adds a subscriber, for whom publications are kept until [`Shard::release`]. A client has one subscription to a
    /// channel: the caller sees to it.
    pub(crate) fn begin(
        &mut self,
        channel: &Arc<str>,
        key: ClientKey,
        subscription: NewSubscription<A>,
    ) -> Begun {
        self.generations += 1;
        let generation = Generation(self.generations);
        let NewSubscription {
            client,
            variant,
            info,
            is_present,
            announces,
        } = subscription;
        let channel = self
            .channels
            .entry(Arc::clone(channel))
            .or_insert_with_key(Channel::new);
        let begun = Begun {
            channel: Arc::clone(&channel.name),
            generation,
            is_delivered: channel.is_delivered,
            position: channel.position().cloned(),
        };
        let state = channel.hold(variant);
        let member = Member {
            client,
            generation,
            info,
            is_present,
            announces,
            state,
        };
        channel.insert(key, member);
        begun
    }

    /// Notes that the broker delivers a channel, as a subscriber has asked it to. Another one that has the place of this
    /// subscriber asks by itself.
    pub(crate) fn set_delivered(&mut self, channel: &str, key: ClientKey, generation: Generation) {
        if let Some(channel) = self.channels.get_mut(channel)
            && (channel.members.get(&key)).is_some_and(|member| member.generation == generation)
        {
            channel.is_delivered = true;
        }
    }

    /// Returns the bytes of what is kept: publications for subscribers whose history is being read, and the last one for
    /// those with delta compression.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Returns whether a channel has subscribers.
    pub(crate) fn has_subscribers(&self, channel: &str) -> bool {
        self.channels.contains_key(channel)
    }

    /// Begins to deliver to a subscriber, after it has been told that it is subscribed: what was kept, as far as it lies
    /// beyond `position`, then what comes.
    pub(crate) fn release(
        &mut self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
        position: Option<StreamPosition>,
        effects: &mut Vec<Effect<A>>,
    ) {
        if let Some(channel) = self.channels.get_mut(channel)
            && (channel.members.get(&key)).is_some_and(|member| member.generation == generation)
        {
            let before = channel.kept_bytes();
            channel.release(key, position, &mut self.ids, effects);
            self.kept_bytes = self.kept_bytes - before + channel.kept_bytes();
        }
    }

    /// Removes a subscriber, if it is still the one of `generation`.
    pub(crate) fn remove(
        &mut self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
        effects: &mut Vec<Effect<A>>,
    ) -> Option<Removed> {
        let entry = self.channels.get_mut(channel)?;
        if entry.members.get(&key)?.generation != generation {
            return None;
        }
        let before = entry.kept_bytes();
        let member = entry.remove(key, &mut self.ids, effects)?;
        self.kept_bytes = self.kept_bytes - before + entry.kept_bytes();
        let was_last = entry.is_empty();
        if was_last {
            self.channels.remove(channel);
        }
        Some(Removed {
            was_released: !matches!(member.state, MemberState::Held(_)),
            info: member.info,
            announces: member.announces,
            was_last,
        })
    }

    /// Hands a publication to the subscribers. To be called in the order of the offsets. `room` tells whether the program has
    /// memory left to keep it for those that need it later; it is called only if there are some.
    pub(crate) fn publish(
        &mut self,
        channel: &str,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
        room: impl Fn() -> Room,
        effects: &mut Vec<Effect<A>>,
    ) {
        if let Some(channel) = self.channels.get_mut(channel) {
            let before = channel.kept_bytes();
            channel.publish(publication, position, room, &mut self.ids, effects);
            self.kept_bytes = self.kept_bytes - before + channel.kept_bytes();
        }
    }

    /// Tells the subscribers that a client has joined or left.
    pub(crate) fn announce(&self, channel: &str, item: &Item, effects: &mut Vec<Effect<A>>) {
        if let Some(channel) = self.channels.get(channel) {
            channel.announce(item, effects);
        }
    }

    /// Compares a channel with the broker's position. Who is found behind at the same offset
    /// [`CHECKS_BEHIND_MAX`](super::lag::CHECKS_BEHIND_MAX) times has lost a publication.
    pub(crate) fn check(
        &mut self,
        channel: &str,
        top: &StreamPosition,
        effects: &mut Vec<Effect<A>>,
    ) {
        if let Some(channel) = self.channels.get_mut(channel) {
            let before = channel.kept_bytes();
            channel.check(top, &mut self.ids, effects);
            self.kept_bytes = self.kept_bytes - before + channel.kept_bytes();
        }
    }

    /// Replaces what others may know about a subscriber.
    pub(crate) fn set_info(
        &mut self,
        channel: &str,
        key: ClientKey,
        generation: Generation,
        info: Arc<ClientInfo>,
    ) {
        if let Some(channel) = self.channels.get_mut(channel)
            && let Some(member) = channel.members.get_mut(&key)
            && member.generation == generation
        {
            member.info = info;
        }
    }

    /// Returns the clients in a channel's presence.
    pub(crate) fn presence(&self, channel: &str) -> impl Iterator<Item = &Arc<ClientInfo>> {
        let members = self
            .channels
            .get(channel)
            .into_iter()
            .flat_map(|channel| channel.members.values());
        members
            .filter(|member| member.is_present && !matches!(member.state, MemberState::Held(_)))
            .map(|member| &member.info)
    }

    /// Returns the channels with subscribers, and how many.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let channels = self.channels.iter();
        channels.map(|(name, channel)| (name, channel.members.len()))
    }

    /// Returns how many channels have subscribers.
    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    /// Returns the channels whose position the broker has to confirm now and then.
    pub(crate) fn positioned(&self) -> impl Iterator<Item = &Arc<str>> {
        let channels = self.channels.iter();
        channels
            .filter(|(_, channel)| channel.has_positioned())
            .map(|(name, _)| name)
    }
}
