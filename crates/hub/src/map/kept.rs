//! Entries over a restart: what the broker has kept of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    entries::{Entry, cost},
    key_channel,
    maps::{Locked, Maps},
    record::EntryRecord,
};
use crate::{
    Broker, BrokerError, Epoch, History, HistoryQuery, Limit, MapChange, Publication,
    PublishOptions, UnixMillis, namespace::SubscriptionType,
};

impl Maps {
    /// Reads the entries that the broker has kept, and those of the stream that were not written any more.
    pub(super) async fn load(
        &self,
        broker: &dyn Broker,
        locked: &mut Locked<'_>,
    ) -> Result<(), BrokerError> {
        if !self.is_kept(locked.options) {
            return Ok(());
        }
        let keys = self
            .kept()
            .and_then(|kept| kept.lock().get(&**locked.name).cloned());
        for key in keys.into_iter().flatten() {
            let query = HistoryQuery {
                limit: Limit::AtMost(1),
                reverse: true,
                ..HistoryQuery::default()
            };
            let channel = key_channel::name(locked.name, &key);
            let History { publications, .. } = broker.history(&channel, query).await?;
            if let Some(publication) = publications.first() {
                self.restore(locked, &key, publication);
            }
        }
        let query = HistoryQuery {
            limit: Limit::All,
            ..HistoryQuery::default()
        };
        let stream = broker.history(locked.name, query).await?;
        // The last change of each key.
        let mut last: BTreeMap<&str, &Arc<Publication>> = BTreeMap::new();
        for publication in &stream.publications {
            if let Some(change) = &publication.change {
                last.insert(&change.key, publication);
            }
        }
        for publication in last.into_values() {
            self.repeat(broker, locked, publication).await?;
        }
        // Who was subscribed before the restart isn't any more.
        if locked.options.subscription_type != SubscriptionType::Map {
            let keys: Vec<Arc<str>> = locked.map.entries.keys().cloned().collect();
            for key in keys {
                self.remove(broker, locked, key).await?;
            }
        }
        if let Some(kept) = self.kept() {
            kept.lock().remove(&**locked.name);
        }
        Ok(())
    }

    /// Sets an entry that the broker has kept.
    fn restore(&self, locked: &mut Locked<'_>, key: &Arc<str>, kept: &Publication) {
        let Ok(record) = <EntryRecord as prost::Message>::decode(kept.data.clone()) else {
            tracing::error!(map = &**locked.name, "an entry of a map can't be read");
            return;
        };
        if record.epoch.is_empty() {
            // It was removed just before the process ended.
            return;
        }
        let is_of_stream = record.epoch == locked.map.entries.position.epoch.as_str();
        let expires_at = match record.expires_at {
            0 => None,
            time => Some(self.clock.elapsed() + UnixMillis(time).since(self.clock.now())),
        };
        let publication = Publication {
            data: Bytes::copy_from_slice(&record.data),
            offset: if is_of_stream { record.offset } else { 0 },
            change: Some(Box::new(MapChange::set(key))),
            ..kept.clone()
        };
        // There is one if it was begun to load the map before.
        self.take(locked, key);
        self.count_added(cost(key, &publication));
        let entry = Entry {
            publication: Arc::new(publication),
            expires_at,
            version: record.version,
            version_epoch: Epoch::new(&record.version_epoch),
            holders: 0,
        };
        locked.map.entries.set(key, entry);
    }

    /// Carries out a change of the stream once more, unless the entries have it.
    async fn repeat(
        &self,
        broker: &dyn Broker,
        locked: &mut Locked<'_>,
        publication: &Arc<Publication>,
    ) -> Result<(), BrokerError> {
        let Some(change) = &publication.change else {
            return Ok(());
        };
        let known = locked.map.entries.get(&change.key);
        if known.is_some_and(|entry| entry.publication.offset >= publication.offset) {
            return Ok(());
        }
        if change.removed {
            return match self.take(locked, &change.key) {
                true => self.store(broker, locked, &change.key).await,
                false => Ok(()),
            };
        }
        let mut entry = self.entry(locked.options, Publication::clone(publication));
        let age = self.clock.now().since(publication.time);
        entry.expires_at = entry.expires_at.map(|time| time.saturating_sub(age));
        self.count_added(cost(&change.key, publication));
        self.take(locked, &change.key);
        locked.map.entries.set(&change.key, entry);
        self.store(broker, locked, &change.key).await
    }

    /// Lets the broker keep an entry as it is now, or forget one that is removed.
    pub(super) async fn store(
        &self,
        broker: &dyn Broker,
        locked: &Locked<'_>,
        key: &Arc<str>,
    ) -> Result<(), BrokerError> {
        if !self.is_kept(locked.options) {
            return Ok(());
        }
        let channel = key_channel::name(locked.name, key);
        let entries = &locked.map.entries;
        let (publication, ttl) = match entries.get(key) {
            Some(entry) => {
                let expires_at = entry.expires_at.map(|time| {
                    let left = time.saturating_sub(self.clock.elapsed());
                    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                    UnixMillis(self.clock.now().0.saturating_add(millis))
                });
                let record = EntryRecord::of(entry, &entries.position.epoch, expires_at);
                // Longer than the entry lives: its end is a change, also after a restart.
                let ttl = locked.options.map.meta_ttl();
                (record.publication(&entry.publication), ttl)
            }
            // Nothing, and only for a moment: then the broker has forgotten the channel.
            None => (Publication::default(), SHORTEST),
        };
        let options = PublishOptions {
            history_size: 1,
            history_ttl: ttl,
            history_meta_ttl: ttl,
            ..PublishOptions::default()
        };
        broker
            .publish(&channel, publication, options)
            .await
            .map(drop)
    }
}

/// The shortest time for which something is kept.
const SHORTEST: Duration = Duration::from_millis(1);
