//! The history of one channel.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    Epoch, Publication, StreamPosition,
    broker::{AnswerBytes, HistoryQuery, PublishOptions, usage::Usage},
};

/// The history of one channel: an epoch, the offsets of that epoch, and the newest publications.
pub(super) struct Stream {
    epoch: Epoch,
    /// The newest offset that was assigned; 0 before the first.
    top: u64,
    /// The version of the newest publication that had one; 0 if none had.
    version: u64,
    version_epoch: Epoch,
    /// Offsets without a gap; the last is `top`.
    publications: VecDeque<Arc<Publication>>,
    /// The sum of [`cost`] of the publications, which are added to the usage of the broker.
    bytes: usize,
    /// The sum of [`Publication::content_bytes`] of them.
    content_bytes: usize,
    /// When the publications expire.
    expires_at: Duration,
    /// When offset and epoch are forgotten, and the publications with them.
    forgotten_at: Duration,
    /// How long after a publication or question that is.
    meta_ttl: Duration,
}

impl Stream {
    pub(super) fn new(epoch: Epoch, meta_ttl: Duration) -> Self {
        Self {
            epoch,
            top: 0,
            version: 0,
            version_epoch: Epoch::default(),
            publications: VecDeque::new(),
            bytes: 0,
            content_bytes: 0,
            expires_at: Duration::ZERO,
            forgotten_at: Duration::MAX,
            meta_ttl,
        }
    }

    pub(super) fn position(&self) -> StreamPosition {
        StreamPosition {
            offset: self.top,
            epoch: self.epoch.clone(),
        }
    }

    /// Returns whether nothing has been published in this epoch.
    pub(super) fn is_unpublished(&self) -> bool {
        self.top == 0
    }

    pub(super) fn is_forgotten(&self, now: Duration) -> bool {
        self.forgotten_at <= now
    }

    /// Remembers offset and epoch for `meta_ttl` from now on; if it is 0, for as long as the last time.
    pub(super) fn remember(&mut self, meta_ttl: Duration, now: Duration) {
        if !meta_ttl.is_zero() {
            self.meta_ttl = meta_ttl;
        }
        self.forgotten_at = now.saturating_add(self.meta_ttl);
    }

    /// Drops the publications if their time is over.
    pub(super) fn expire(&mut self, now: Duration, usage: &Usage) {
        if self.expires_at <= now {
            self.clear(usage);
        }
    }

    /// Returns when something expires next.
    pub(super) fn deadline(&self) -> Duration {
        if self.publications.is_empty() {
            return self.forgotten_at;
        }
        self.expires_at.min(self.forgotten_at)
    }

    /// Returns whether a publication with this version is out of date.
    pub(super) fn has_version(&self, version: u64, version_epoch: &Epoch) -> bool {
        let is_same_counter = version_epoch.is_empty() || *version_epoch == self.version_epoch;
        version > 0 && is_same_counter && version <= self.version
    }

    pub(super) fn set_version(&mut self, version: u64, version_epoch: Epoch) {
        if version > 0 {
            self.version = version;
            self.version_epoch = version_epoch;
        }
    }

    /// Assigns the next offset and keeps the publication with as many before it as `options` say. Drops older ones when `usage`
    /// has reached its limit, and if that isn't enough doesn't keep the new one either.
    pub(super) fn push(
        &mut self,
        mut publication: Publication,
        options: &PublishOptions,
        expires_at: Duration,
        usage: &Usage,
    ) -> Arc<Publication> {
        self.top += 1;
        publication.offset = self.top;
        let cost = cost(&publication);
        let publication = Arc::new(publication);
        self.expires_at = expires_at;
        let content = publication.content_bytes();
        let bytes_max = match options.history_bytes_max {
            0 => usize::MAX,
            bytes_max => bytes_max,
        };
        while !self.publications.is_empty()
            && (self.publications.len() >= options.history_size
                || self.content_bytes.saturating_add(content) > bytes_max)
        {
            self.drop_oldest(usage);
        }
        while usage.try_add(cost).is_err() {
            usage.count_dropped();
            if self.publications.is_empty() {
                return publication;
            }
            self.drop_oldest(usage);
        }
        self.bytes += cost;
        self.content_bytes += content;
        self.publications.push_back(publication.clone());
        publication
    }

    /// Drops all publications. Offset, epoch and version stay.
    pub(super) fn clear(&mut self, usage: &Usage) {
        usage.subtract(self.bytes);
        self.bytes = 0;
        self.content_bytes = 0;
        // A new one, because `clear` would keep the memory.
        self.publications = VecDeque::new();
    }

    /// Returns what `query` asks for, but at most `publications_max`. See [`HistoryQuery`].
    pub(super) fn read(
        &self,
        query: &HistoryQuery,
        publications_max: usize,
    ) -> Vec<Arc<Publication>> {
        let offsets = query.offsets(self.oldest(), self.top, &self.epoch, publications_max);
        let found = self
            .publications
            .range(self.index(offsets.start)..self.index(offsets.end));
        let mut bytes = AnswerBytes::new(query.bytes_max);
        let has_room = |publication: &&Arc<Publication>| bytes.admit(publication);
        match query.reverse {
            true => found.rev().take_while(has_room).cloned().collect(),
            false => found.take_while(has_room).cloned().collect(),
        }
    }

    /// Returns the offset of the oldest publication that is kept, or the next one to be assigned.
    fn oldest(&self) -> u64 {
        self.top + 1 - self.publications.len() as u64
    }

    /// Returns where the publication with `offset` is. `oldest <= offset <= top + 1`
    fn index(&self, offset: u64) -> usize {
        (offset - self.oldest()) as usize
    }

    fn drop_oldest(&mut self, usage: &Usage) {
        if let Some(oldest) = self.publications.pop_front() {
            let cost = cost(&oldest);
            self.bytes -= cost;
            self.content_bytes -= oldest.content_bytes();
            usage.subtract(cost);
        }
    }
}

/// Bytes. What keeping the publication takes, about.
pub(super) fn cost(publication: &Publication) -> usize {
    let tags = publication.tags.iter();
    let tags: usize = tags
        .map(|(name, value)| TAG_BYTES + name.len() + value.len())
        .sum();
    let info = publication.info.as_ref().map_or(0, |info| {
        INFO_BYTES
            + info.user.len()
            + info.client.len()
            + info.conn_info.len()
            + info.chan_info.len()
    });
    let change = publication.change.as_ref();
    let change = change.map_or(0, |change| CHANGE_BYTES + change.key.len());
    PUBLICATION_BYTES + publication.data.len() + tags + info + change
}

/// Bytes. The publication, the counts of its `Arc`, two places in the list (which doubles when it grows), the data's
/// allocation.
const PUBLICATION_BYTES: usize = size_of::<Publication>() + 16 + 2 * 8 + 16;

/// Bytes. Two boxes, and the allocations behind them.
const TAG_BYTES: usize = 2 * 16 + 2 * 16;

/// Bytes. The change, the key's counts, and the allocations behind both.
const CHANGE_BYTES: usize = size_of::<crate::MapChange>() + 16 + 2 * 16;

/// Bytes. Clients share it among their publications; it is counted for each, because any may be the last to hold it.
const INFO_BYTES: usize = size_of::<crate::ClientInfo>() + 16 + 4 * 32;
