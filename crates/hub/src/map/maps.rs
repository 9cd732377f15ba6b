//! All maps of a node.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::{
    change::{Change, MapChanged, MapCondition, MapSuppression},
    entries::{Entry, MapEntries, Page, cost},
    key_channel,
    limits::{EXPIRED_MAX, MapLimits},
};
use crate::{
    Broker, BrokerError, ClientInfo, Clock, Epoch, HistoryQuery, MapChange, MemoryMeter,
    Publication, PublishOptions, StreamPosition,
    broker::{epochs::Epochs, usage::Usage},
    namespace::{ChannelOptions, SubscriptionType},
};

/// The maps of a node.
///
/// Locks are taken in this order: that of a map, then one of the tables.
pub(crate) struct Maps {
    /// The maps that have entries, or are in use.
    by_name: Mutex<HashMap<Arc<str>, SharedMap>>,
    /// The maps in which an entry expires, by when the first one does.
    due: Mutex<BTreeSet<(Duration, Arc<str>)>>,
    /// The keys that the broker has kept of each map that was not needed yet. `None`: the broker keeps nothing over a restart.
    kept: OnceLock<Option<Mutex<KeptKeys>>>,
    /// Bytes. The entries of all maps.
    usage: Usage,
    /// Entries of all maps.
    entries: AtomicUsize,
    limits: MapLimits,
    meter: Arc<dyn MemoryMeter>,
    pub(super) clock: Arc<dyn Clock>,
    /// That of all maps without a stream, as long as the process lives.
    ephemeral_epoch: Epoch,
}

type SharedMap = Arc<AsyncMutex<Map>>;

pub(super) type KeptKeys = HashMap<Box<str>, Vec<Arc<str>>>;

/// One map.
#[derive(Default)]
pub(super) struct Map {
    pub(super) entries: MapEntries,
    is_loaded: bool,
    /// The map is not in the table any more: its lock orders nothing.
    is_removed: bool,
    /// As `due` has it.
    due: Option<Duration>,
    /// Its entries, as the sum of all maps has them.
    counted: usize,
}

/// A map that is locked, and what it is.
pub(super) struct Locked<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) options: &'a ChannelOptions,
    pub(super) map: OwnedMutexGuard<Map>,
}

/// Which entries of a map are wanted.
#[derive(Clone, Debug, Default)]
pub struct MapStateQuery {
    /// Those behind this key; `None`: from the first on.
    pub after: Option<String>,
    /// At most so many. 0 (the default): only the position is wanted.
    pub limit: usize,
    /// The entry with this key alone, whatever the other fields say.
    pub key: Option<String>,
}

impl Maps {
    /// Creates the maps of a node, and asks the broker which it has kept. `seed` tells the epochs of nodes apart.
    pub(crate) fn new(
        limits: MapLimits,
        meter: Arc<dyn MemoryMeter>,
        clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        Self {
            by_name: Mutex::default(),
            due: Mutex::default(),
            kept: OnceLock::new(),
            usage: Usage::new(limits.bytes_max),
            entries: AtomicUsize::new(0),
            limits,
            meter,
            clock,
            ephemeral_epoch: Epochs::new(seed).make(),
        }
    }

    /// Asks the broker which entries it has kept. To be called once, before the maps are used.
    pub(crate) fn start(&self, broker: &dyn Broker) {
        let names = broker.kept_channels(key_channel::PREFIX);
        let by_map = names.map(|names| {
            let mut by_map = KeptKeys::new();
            for name in &names {
                if let Some((map, key)) = key_channel::parse(name) {
                    by_map.entry(map.into()).or_default().push(key.into());
                }
            }
            Mutex::new(by_map)
        });
        let is_first = self.kept.set(by_map).is_ok();
        debug_assert!(is_first, "start is called once");
    }

    /// Changes an entry: delivers the change, and keeps it. The position is that of the change.
    ///
    /// # Cancel safety
    ///
    /// It must not be dropped before it ends: the change may have been delivered and the entry not set.
    pub(crate) async fn change(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
        change: Change,
    ) -> Result<MapChanged, BrokerError> {
        let mut locked = self.lock(broker, name, options).await?;
        let result = self.carry_out(broker, &mut locked, change).await;
        self.unlock(locked);
        result
    }

    /// Removes all entries, each by a change.
    ///
    /// # Cancel safety
    ///
    /// As [`Maps::change`].
    pub(crate) async fn clear(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
    ) -> Result<(), BrokerError> {
        let mut locked = self.lock(broker, name, options).await?;
        let keys: Vec<Arc<str>> = locked.map.entries.keys().cloned().collect();
        let mut result = Ok(());
        for key in keys {
            let removed = self.remove(broker, &mut locked, key).await;
            if let Err(error) = removed {
                result = Err(error);
                break;
            }
        }
        self.unlock(locked);
        result
    }

    /// Sets an entry for a subscription, unless it is there, and lets the subscription hold it: it doesn't expire until
    /// [`Maps::leave`].
    ///
    /// # Cancel safety
    ///
    /// As [`Maps::change`].
    pub(crate) async fn enter(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
        key: &Arc<str>,
        info: Option<Arc<ClientInfo>>,
    ) -> Result<(), BrokerError> {
        let mut locked = self.lock(broker, name, options).await?;
        let change = Change {
            key: Arc::clone(key),
            data: Some(Bytes::new()),
            info,
            time: self.clock.now(),
            condition: MapCondition::IfNew,
            ..Change::default()
        };
        let result = self.carry_out(broker, &mut locked, change).await;
        let entries = &mut locked.map.entries;
        entries.set_expiry(key, None);
        if let Some(entry) = entries.entry_mut(key) {
            entry.holders += 1;
        }
        self.unlock(locked);
        result.map(drop)
    }

    /// Ends the hold of a subscription. The last one removes the entry of a client; that of a user expires then.
    ///
    /// # Cancel safety
    ///
    /// As [`Maps::change`].
    pub(crate) async fn leave(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
        key: &Arc<str>,
    ) -> Result<(), BrokerError> {
        let mut locked = self.lock(broker, name, options).await?;
        let mut result = Ok(());
        if let Some(entry) = locked.map.entries.entry_mut(key) {
            entry.holders = entry.holders.saturating_sub(1);
            if entry.holders == 0 {
                if options.subscription_type == SubscriptionType::MapClients {
                    result = self.remove(broker, &mut locked, Arc::clone(key)).await;
                } else {
                    let expires_at = self.clock.elapsed() + options.map.key_ttl;
                    locked.map.entries.set_expiry(key, Some(expires_at));
                }
            }
        }
        self.unlock(locked);
        result
    }

    /// Returns entries, and the position up to which they are.
    pub(crate) async fn state(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
        query: &MapStateQuery,
    ) -> Result<(Page, StreamPosition), BrokerError> {
        let locked = self.lock(broker, name, options).await?;
        let entries = &locked.map.entries;
        let page = match &query.key {
            Some(key) => Page {
                entries: entries
                    .get(key)
                    .map(|entry| Arc::clone(&entry.publication))
                    .into_iter()
                    .collect(),
                next: None,
            },
            None => entries.page(query.after.as_deref(), query.limit),
        };
        let position = entries.position.clone();
        self.unlock(locked);
        Ok((page, position))
    }

    /// Returns the number of entries.
    pub(crate) async fn len(
        &self,
        broker: &dyn Broker,
        name: &Arc<str>,
        options: &ChannelOptions,
    ) -> Result<usize, BrokerError> {
        let locked = self.lock(broker, name, options).await?;
        let len = locked.map.entries.len();
        self.unlock(locked);
        Ok(len)
    }

    /// Returns the maps in which an entry's time is over. To each of them something has to be done: any of the other methods
    /// removes what has expired.
    pub(crate) fn take_due(&self) -> Vec<Arc<str>> {
        let now = self.clock.elapsed();
        let mut due = self.due.lock();
        let mut names = Vec::new();
        while let Some((time, _)) = due.first()
            && *time <= now
            && let Some((_, name)) = due.pop_first()
        {
            names.push(name);
        }
        names
    }

    /// Returns how many maps there are in memory.
    pub(crate) fn count(&self) -> usize {
        self.by_name.lock().len()
    }

    /// Returns how many entries they have.
    pub(crate) fn entries(&self) -> usize {
        self.entries.load(Ordering::Relaxed)
    }

    /// Bytes, about. What the entries of all maps take.
    pub(crate) fn bytes(&self) -> usize {
        self.usage.used()
    }

    /// Locks a map, with its position as the broker has it, and nothing expired in it.
    async fn lock<'a>(
        &self,
        broker: &dyn Broker,
        name: &'a Arc<str>,
        options: &'a ChannelOptions,
    ) -> Result<Locked<'a>, BrokerError> {
        let map = loop {
            let shared = self
                .by_name
                .lock()
                .entry(Arc::clone(name))
                .or_default()
                .clone();
            let map = shared.lock_owned().await;
            if !map.is_removed {
                break map;
            }
        };
        let mut locked = Locked { name, options, map };
        if let Some(due) = locked.map.due.take() {
            self.due.lock().remove(&(due, Arc::clone(name)));
        }
        match self.prepare(broker, &mut locked).await {
            Ok(()) => Ok(locked),
            Err(error) => {
                self.unlock(locked);
                Err(error)
            }
        }
    }

    async fn prepare(
        &self,
        broker: &dyn Broker,
        locked: &mut Locked<'_>,
    ) -> Result<(), BrokerError> {
        locked
            .follow_position(broker, &self.ephemeral_epoch)
            .await?;
        if !locked.map.is_loaded {
            self.load(broker, locked).await?;
            locked.map.is_loaded = true;
        }
        let now = self.clock.elapsed();
        for _ in 0..EXPIRED_MAX {
            let Some(key) = locked.map.entries.expired(now) else {
                break;
            };
            self.remove(broker, locked, key).await?;
        }
        Ok(())
    }

    /// Notes when the map has to be looked at again, or drops it if it has no entries.
    fn unlock(&self, mut locked: Locked<'_>) {
        let map = &mut *locked.map;
        let (before, now) = (map.counted, map.entries.len());
        map.counted = now;
        // It wraps around to subtract.
        self.entries
            .fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        if map.entries.len() == 0 {
            map.is_removed = true;
            self.by_name.lock().remove(locked.name);
            return;
        }
        if let Some(deadline) = map.entries.deadline() {
            map.due = Some(deadline);
            let entry = (deadline, Arc::clone(locked.name));
            self.due.lock().insert(entry);
        }
    }

    pub(super) async fn remove(
        &self,
        broker: &dyn Broker,
        locked: &mut Locked<'_>,
        key: Arc<str>,
    ) -> Result<(), BrokerError> {
        let change = Change {
            key,
            time: self.clock.now(),
            ..Change::default()
        };
        self.carry_out(broker, locked, change).await.map(drop)
    }

    async fn carry_out(
        &self,
        broker: &dyn Broker,
        locked: &mut Locked<'_>,
        change: Change,
    ) -> Result<MapChanged, BrokerError> {
        let entries = &locked.map.entries;
        if let Some(suppressed) = entries.suppression(&change) {
            return Ok(MapChanged {
                position: entries.position.clone(),
                suppressed: Some(suppressed),
            });
        }
        let key = Arc::clone(&change.key);
        let before = entries
            .get(&key)
            .map(|entry| Arc::clone(&entry.publication));
        let is_set = change.data.is_some();
        let publication = publication(&change, before.as_ref());
        let bytes = if is_set { cost(&key, &publication) } else { 0 };
        if is_set && before.is_none() && entries.len() >= self.limits.keys_max {
            let keys_max = self.limits.keys_max;
            return Err(BrokerError::TooManyKeys { keys_max });
        }
        if let Err(reached) = self.usage.try_add(bytes) {
            return Err(BrokerError::MapsFull {
                bytes_max: reached.max,
            });
        }
        self.meter.charge(bytes);
        let options = publish_options(locked.options, &change);
        let published = broker
            .publish(locked.name, publication.clone(), options)
            .await;
        let position = match published {
            Ok(published) if published.suppressed.is_none() => published.position,
            refused => {
                self.count_removed(bytes);
                return refused.map(|published| MapChanged {
                    position: (published.position)
                        .unwrap_or_else(|| locked.map.entries.position.clone()),
                    suppressed: Some(MapSuppression::Idempotency),
                });
            }
        };
        locked.move_to(position.as_ref());
        let entry = is_set.then(|| {
            let offset = position.map_or(0, |position| position.offset);
            let mut entry = self.entry(
                locked.options,
                Publication {
                    offset,
                    ..publication
                },
            );
            entry.version = change.version;
            entry.version_epoch = change.version_epoch;
            entry
        });
        if let Some(before) = &before {
            self.count_removed(cost(&key, before));
        }
        match entry {
            Some(entry) => locked.map.entries.set(&key, entry),
            None => drop(locked.map.entries.take(&key)),
        }
        let kept = self.store(broker, locked, &key).await;
        if let Err(error) = kept {
            tracing::error!(map = &**locked.name, %error, "an entry of a map is not kept over a restart");
        }
        Ok(MapChanged {
            position: locked.map.entries.position.clone(),
            suppressed: None,
        })
    }

    /// Returns the entry that a publication sets, which lives from now on.
    pub(super) fn entry(&self, options: &ChannelOptions, mut publication: Publication) -> Entry {
        if let Some(change) = &mut publication.change {
            // Only for the delivery. Even a weak reference would hold some of the memory.
            change.previous = Weak::new();
        }
        let key_ttl = options.map.key_ttl;
        Entry {
            publication: Arc::new(publication),
            expires_at: (!key_ttl.is_zero()).then(|| self.clock.elapsed() + key_ttl),
            version: 0,
            version_epoch: Epoch::default(),
            holders: 0,
        }
    }

    /// Removes an entry without a change. Returns whether it was there.
    pub(super) fn take(&self, locked: &mut Locked<'_>, key: &str) -> bool {
        let taken = locked.map.entries.take(key);
        if let Some(entry) = &taken {
            self.count_removed(cost(key, &entry.publication));
        }
        taken.is_some()
    }

    /// Whether entries are kept over a restart.
    pub(super) fn is_kept(&self, options: &ChannelOptions) -> bool {
        options.map.has_stream() && self.kept().is_some()
    }

    pub(super) fn kept(&self) -> Option<&Mutex<KeptKeys>> {
        self.kept.get()?.as_ref()
    }

    /// Counts an entry that was there before the limit was known.
    pub(super) fn count_added(&self, bytes: usize) {
        self.usage.add(bytes);
        self.meter.charge(bytes);
    }

    fn count_removed(&self, bytes: usize) {
        self.usage.subtract(bytes);
        self.meter.release(bytes);
    }
}

impl Locked<'_> {
    /// Takes over the position of the broker's stream. Another epoch means that it has begun anew.
    async fn follow_position(
        &mut self,
        broker: &dyn Broker,
        ephemeral_epoch: &Epoch,
    ) -> Result<(), BrokerError> {
        if !self.options.map.has_stream() {
            self.map.entries.position = StreamPosition {
                offset: 0,
                epoch: ephemeral_epoch.clone(),
            };
            return Ok(());
        }
        let query = HistoryQuery {
            meta_ttl: self.options.map.meta_ttl(),
            ..HistoryQuery::default()
        };
        let top = broker.history(self.name, query).await?.position;
        self.move_to(Some(&top));
        Ok(())
    }

    fn move_to(&mut self, position: Option<&StreamPosition>) {
        let Some(position) = position else { return };
        let entries = &mut self.map.entries;
        if entries.position.epoch != position.epoch {
            entries.set_epoch(&position.epoch);
        }
        entries.position.offset = position.offset;
    }
}

/// Returns the publication of a change. Its payloads are its own.
fn publication(change: &Change, before: Option<&Arc<Publication>>) -> Publication {
    let data = change.data.as_ref();
    let is_set = data.is_some();
    let tags = match (is_set, before) {
        (false, Some(before)) if change.tags.is_empty() => before.tags.clone(),
        _ => change.tags.clone(),
    };
    Publication {
        data: data.map_or_else(Bytes::new, |data| Bytes::copy_from_slice(data)),
        info: change.info.clone(),
        tags,
        offset: 0,
        time: change.time,
        change: Some(Box::new(MapChange {
            key: Arc::clone(&change.key),
            removed: !is_set,
            previous: before
                .filter(|_| is_set)
                .map_or_else(Weak::new, Arc::downgrade),
        })),
    }
}

fn publish_options(options: &ChannelOptions, change: &Change) -> PublishOptions {
    let map = &options.map;
    let kept = PublishOptions {
        idempotency_key: change.idempotency_key.clone(),
        ..PublishOptions::default()
    };
    match map.has_stream() {
        false => kept,
        true => PublishOptions {
            history_size: map.stream_size,
            history_ttl: map.stream_ttl,
            history_meta_ttl: map.meta_ttl(),
            ..kept
        },
    }
}
