//! The channels that a client is subscribed to.

use std::{mem, slice, sync::Arc};

use crate::{RareBytes, node::compact_time::Expiry, presence::DeviceGuard, shard::Generation};

/// The subscriptions of one client, of which there are few: sorted by channel, each once. One alone needs no allocation.
#[derive(Default)]
pub(crate) enum Subscriptions {
    #[default]
    None,
    One(Subscription),
    Many(Vec<Subscription>),
}

pub(crate) struct Subscription {
    /// The name that all subscriptions to the channel share, once it is active.
    pub(crate) channel: Arc<str>,
    number: u64,
    /// Only a subscription with a token or an answer of the application expires.
    pub(crate) expiry: Expiry,
    /// `None` if there is nothing of it, as for most subscriptions.
    rare: Option<Box<RareParts>>,
    /// Whether `number` is that of an attempt or of a generation.
    is_active: bool,
    pub(crate) origin: Origin,
    pub(crate) refresh: RefreshBy,
}

/// What most subscriptions don't have.
#[derive(Default)]
struct RareParts {
    chan_info: RareBytes,
    /// Keeps the client in the channel's presence on all nodes, if that is kept.
    presence: Option<DeviceGuard>,
}

/// Who gives a subscription a new time when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshBy {
    /// The client, with a new token.
    Client,
    /// The application, which the server asks.
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Being decided. The number tells it from another attempt for the same channel.
    Pending(u64),
    Active(Generation),
}

/// Who asked for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    /// The connection's token, or the application when the client connected. A new token must name it again.
    Token,
    /// A back end, or the hub itself.
    Server,
}

impl Subscription {
    pub(crate) fn new(channel: Arc<str>, progress: Progress, origin: Origin) -> Self {
        let mut subscription = Self {
            channel,
            number: 0,
            expiry: Expiry::default(),
            rare: None,
            is_active: false,
            origin,
            refresh: RefreshBy::Client,
        };
        subscription.set_progress(progress);
        subscription
    }

    pub(crate) fn progress(&self) -> Progress {
        match self.is_active {
            true => Progress::Active(Generation(self.number)),
            false => Progress::Pending(self.number),
        }
    }

    /// Returns what others in the channel may know of the client, beside what they know in all channels.
    pub(crate) fn chan_info(&self) -> RareBytes {
        let rare = self.rare.as_ref();
        rare.map_or_else(RareBytes::default, |rare| rare.chan_info.clone())
    }

    pub(crate) fn set_chan_info(&mut self, chan_info: RareBytes) {
        if self.rare.is_some() || !chan_info.is_empty() {
            self.rare.get_or_insert_default().chan_info = chan_info;
        }
    }

    /// Whether the client is in the channel's presence on all nodes.
    pub(crate) fn is_present(&self) -> bool {
        (self.rare.as_ref()).is_some_and(|rare| rare.presence.is_some())
    }

    pub(crate) fn set_presence(&mut self, presence: DeviceGuard) {
        self.rare.get_or_insert_default().presence = Some(presence);
    }

    pub(crate) fn set_progress(&mut self, progress: Progress) {
        (self.is_active, self.number) = match progress {
            Progress::Pending(attempt) => (false, attempt),
            Progress::Active(generation) => (true, generation.0),
        };
    }
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn find(&self, channel: &str) -> Option<&Subscription> {
        self.place(channel).ok().map(|at| &self.as_slice()[at])
    }

    pub(crate) fn find_mut(&mut self, channel: &str) -> Option<&mut Subscription> {
        let at = self.place(channel).ok()?;
        Some(&mut self.as_mut_slice()[at])
    }

    /// Whether the client has been told that it is subscribed.
    pub(crate) fn is_active(&self, channel: &str) -> bool {
        self.find(channel)
            .is_some_and(|subscription| subscription.is_active)
    }

    /// Adds a subscription, unless there is one.
    pub(crate) fn insert(&mut self, subscription: Subscription) -> bool {
        let Err(at) = self.place(&subscription.channel) else {
            return false;
        };
        match mem::take(self) {
            Self::None => *self = Self::One(subscription),
            Self::One(other) => {
                let mut all = vec![other];
                all.insert(at, subscription);
                *self = Self::Many(all);
            }
            Self::Many(mut all) => {
                all.insert(at, subscription);
                *self = Self::Many(all);
            }
        }
        true
    }

    pub(crate) fn remove(&mut self, channel: &str) -> Option<Subscription> {
        let at = self.place(channel).ok()?;
        if let Self::Many(all) = self {
            return Some(all.remove(at));
        }
        match mem::take(self) {
            Self::One(only) => Some(only),
            _ => None,
        }
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, Subscription> {
        self.as_slice().iter()
    }

    pub(crate) fn iter_mut(&mut self) -> slice::IterMut<'_, Subscription> {
        self.as_mut_slice().iter_mut()
    }

    fn as_slice(&self) -> &[Subscription] {
        match self {
            Self::None => &[],
            Self::One(only) => slice::from_ref(only),
            Self::Many(all) => all,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Subscription] {
        match self {
            Self::None => &mut [],
            Self::One(only) => slice::from_mut(only),
            Self::Many(all) => all,
        }
    }

    fn place(&self, channel: &str) -> Result<usize, usize> {
        self.as_slice()
            .binary_search_by(|subscription| (*subscription.channel).cmp(channel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(channel: &str) -> Subscription {
        Subscription::new(channel.into(), Progress::Pending(7), Origin::Client)
    }

    fn names(subscriptions: &Subscriptions) -> String {
        let names = subscriptions.iter();
        names.map(|subscription| &*subscription.channel).collect()
    }

    #[test]
    fn each_channel_is_there_once_and_in_order() {
        let mut subscriptions = Subscriptions::default();
        assert!(subscriptions.remove("b").is_none());
        for (channel, is_new) in [("b", true), ("b", false), ("c", true), ("a", true)] {
            assert_eq!(subscriptions.insert(subscription(channel)), is_new);
        }
        assert_eq!(names(&subscriptions), "abc");
        assert!(subscriptions.find("d").is_none());
        for (channel, left) in [("b", "ac"), ("a", "c"), ("c", "")] {
            assert_eq!(&*subscriptions.remove(channel).unwrap().channel, channel);
            assert_eq!(names(&subscriptions), left);
        }
        assert!(subscriptions.insert(subscription("a")));
        assert_eq!(names(&subscriptions), "a");
    }

    #[test]
    fn a_number_is_an_attempt_until_the_subscription_is_active() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(subscription("a"));
        let found = subscriptions.find_mut("a").unwrap();
        assert_eq!(found.progress(), Progress::Pending(7));
        found.set_progress(Progress::Active(Generation(7)));
        assert_eq!(found.progress(), Progress::Active(Generation(7)));
        assert!(subscriptions.is_active("a"));
    }

    #[test]
    fn one_subscription_takes_48_bytes() {
        assert_eq!(size_of::<Subscriptions>(), 48);
    }
}
