//! What the index knows of one channel.

use super::{
    contents::Contents,
    places::Places,
    record::{EpochText, Location, StreamState},
};
use crate::{Epoch, broker::keys::Keys};

/// One channel. Times are milliseconds of the log's clock.
pub(super) struct Channel {
    pub(super) name: Box<str>,
    /// None: the channel has no history. The other fields up to `anchor` mean nothing then.
    pub(super) epoch: EpochText,
    /// The newest offset that was assigned.
    pub(super) top: u64,
    pub(super) forgotten_at: u64,
    pub(super) meta_ttl: u64,
    /// Where the publications with the offsets up to `top` stand, and until when they are kept. `None` rather than empty.
    records: Option<Places>,
    /// `None` rather than empty.
    rare: Option<Box<Rare>>,
    /// The segment with the last record that says all this. 0: none does.
    pub(super) anchor: u32,
    /// When a `Name` record was written last; see [`Log::era`](super::Log).
    pub(super) named_in: u32,
}

/// What few channels have.
#[derive(Default)]
struct Rare {
    version: u64,
    version_epoch: Epoch,
    keys: Option<Keys>,
    /// `None` rather than empty.
    contents: Option<Contents>,
}

impl Channel {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            epoch: EpochText::default(),
            top: 0,
            forgotten_at: 0,
            meta_ttl: 0,
            records: None,
            rare: None,
            anchor: 0,
            named_in: 0,
        }
    }

    /// Returns whether nothing is known of the channel.
    pub(super) fn is_idle(&self) -> bool {
        self.epoch.is_none() && self.keys().is_none()
    }

    /// Returns whether the channel has a history at `now`.
    pub(super) fn has_stream(&self, now: u64) -> bool {
        !self.epoch.is_none() && self.forgotten_at > now
    }

    /// Returns the oldest offset that is kept, or the next one to be assigned.
    pub(super) fn first(&self) -> u64 {
        self.top + 1 - self.count() as u64
    }

    /// Returns how many publications are kept.
    pub(super) fn count(&self) -> usize {
        self.records.as_ref().map_or(0, Places::len)
    }

    /// Returns until when publications are kept; 0 if none is.
    pub(super) fn expires_at(&self) -> u64 {
        self.records.as_ref().map_or(0, Places::until)
    }

    pub(super) fn state(&self) -> StreamState {
        StreamState {
            epoch: self.epoch,
            top: self.top,
            first: self.first(),
            expires_at: self.expires_at(),
            forgotten_at: self.forgotten_at,
            meta_ttl: self.meta_ttl,
            counts_bytes: self.contents().is_some(),
            version: self.rare.as_ref().map_or(0, |rare| rare.version),
            version_epoch: self
                .rare
                .as_ref()
                .map(|rare| rare.version_epoch.clone())
                .unwrap_or_default(),
        }
    }

    /// Sets everything but the records. Until when those are kept is set, too: set them first.
    pub(super) fn set_state(&mut self, state: &StreamState) {
        self.epoch = state.epoch;
        if let Some(records) = &mut self.records {
            records.set_until(state.expires_at);
        }
        self.forgotten_at = state.forgotten_at;
        self.meta_ttl = state.meta_ttl;
        if state.version > 0 || self.rare.is_some() {
            let rare = self.rare.get_or_insert_default();
            rare.version = state.version;
            rare.version_epoch = state.version_epoch.clone();
            if !state.counts_bytes {
                rare.contents = None;
            }
            self.drop_rare();
        }
    }

    /// Returns how large the publications are that are kept, if that is counted.
    pub(super) fn contents(&self) -> Option<&Contents> {
        self.rare.as_ref()?.contents.as_ref()
    }

    /// Sets how large a publication is, if it is kept.
    pub(super) fn set_content(&mut self, offset: u64, bytes: u32) {
        if (self.first()..=self.top).contains(&offset) {
            let rare = self.rare.get_or_insert_default();
            let contents = rare.contents.get_or_insert_default();
            contents.set(offset, bytes);
        }
    }

    /// Returns where the publication with `offset` stands; [`Location::NONE`] if it is kept and that isn't known yet.
    pub(super) fn location(&self, offset: u64) -> Option<Location> {
        let at = offset.checked_sub(self.first())?;
        self.records.as_ref()?.at(usize::try_from(at).ok()?)
    }

    /// Sets where a publication that is kept stands. Returns where it stood.
    pub(super) fn set_location(&mut self, offset: u64, location: Location) -> Option<Location> {
        let at = offset.checked_sub(self.first())?;
        let records = self.records.as_mut()?;
        records.replace(usize::try_from(at).ok()?, location)
    }

    /// Returns where all publications stand, the oldest first.
    pub(super) fn locations(&self) -> impl DoubleEndedIterator<Item = Location> + '_ {
        self.records.iter().flat_map(Places::iter)
    }

    /// Keeps the publications from `first` to `top`: drops others, and adds places that aren't known yet. Calls `dropped`
    /// with where the others stood.
    pub(super) fn set_range(&mut self, first: u64, top: u64, mut dropped: impl FnMut(Location)) {
        let mut begin = self.first();
        let records = self.records.get_or_insert_with(|| Places::new(0));
        if first > self.top + 1 || top + 1 < begin {
            while let Some(location) = records.pop_front() {
                dropped(location);
            }
            begin = first;
            self.top = first - 1;
        }
        while begin < first {
            records.pop_front().into_iter().for_each(&mut dropped);
            begin += 1;
        }
        let more = begin.saturating_sub(first) + top.saturating_sub(self.top);
        records.make_room(usize::try_from(more).unwrap_or(usize::MAX));
        while first < begin {
            records.push_front(Location::NONE);
            begin -= 1;
        }
        while top < self.top {
            records.pop_back().into_iter().for_each(&mut dropped);
            self.top -= 1;
        }
        while self.top < top {
            records.push_back(Location::NONE);
            self.top += 1;
        }
        match records.len() {
            0 => self.records = None,
            _ => records.shrink(),
        }
        if let Some(rare) = &mut self.rare
            && let Some(contents) = &mut rare.contents
        {
            contents.keep(first, top);
            rare.contents.take_if(|contents| contents.is_empty());
            self.drop_rare();
        }
    }

    pub(super) fn keys(&self) -> Option<&Keys> {
        self.rare.as_ref()?.keys.as_ref()
    }

    /// Takes the keys of a channel that is dropped.
    pub(super) fn into_keys(self) -> Keys {
        let rare = self.rare.unwrap_or_default();
        rare.keys.unwrap_or_default()
    }

    /// Calls `operate` with the keys, and drops them if there are none after it.
    pub(super) fn with_keys<R>(&mut self, operate: impl FnOnce(&mut Keys) -> R) -> R {
        let rare = self.rare.get_or_insert_default();
        let result = operate(rare.keys.get_or_insert_default());
        rare.keys.take_if(|keys| keys.is_empty());
        self.drop_rare();
        result
    }

    /// Forgets the history, of which no publication is kept any more.
    pub(super) fn forget_stream(&mut self) {
        self.epoch = EpochText::default();
        self.top = 0;
        self.anchor = 0;
        if let Some(rare) = &mut self.rare {
            rare.version = 0;
            rare.version_epoch = Epoch::default();
        }
        self.drop_rare();
    }

    fn drop_rare(&mut self) {
        self.rare
            .take_if(|rare| rare.version == 0 && rare.keys.is_none() && rare.contents.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_small() {
        // With its places in the list of channels (which has no spare ones) and in the table of names (4 B and a byte of
        // control, half full at worst): at most 96 B for an idle channel, without the letters of its name.
        assert!(size_of::<Option<Channel>>() + 10 <= 96);
        assert_eq!(size_of::<Location>(), 8);
    }

    #[test]
    fn a_range_is_moved_in_any_direction() {
        let mut channel = Channel::new("a");
        let at = |position| Location {
            segment: 1,
            position,
        };
        channel.set_range(1, 3, |_| panic!("nothing was there"));
        for offset in 1..=3 {
            channel.set_location(offset, at(offset as u32));
        }
        let mut dropped = vec![];
        channel.set_range(2, 4, |location| dropped.push(location));
        assert_eq!(dropped, [at(1)]);
        let now: Vec<_> = channel.locations().collect();
        assert_eq!(now, [at(2), at(3), Location::NONE]);
        channel.set_range(1, 4, |_| panic!("nothing is dropped"));
        assert_eq!((channel.first(), channel.top), (1, 4));
        channel.set_range(9, 10, |location| dropped.push(location));
        assert_eq!((channel.first(), channel.top, channel.count()), (9, 10, 2));
        channel.set_range(11, 10, |_| {});
        assert_eq!((channel.first(), channel.count()), (11, 0));
        assert_eq!(channel.location(10), None);
    }
}
