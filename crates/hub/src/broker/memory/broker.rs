//! The memory broker.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;

use super::{
    channel::ChannelState,
    limits::{MemoryLimits, MemoryUsage},
    stream::{self, Stream},
    table::Table,
};
use crate::{
    Answer, ClientInfo, Clock, Epoch, Publication, StreamPosition,
    broker::{
        Broker, BrokerError, BrokerEvents, History, HistoryQuery, PublishOptions, Published,
        Suppression, epochs::UnpublishedEpochs, keys, refusal_log::BrokerRefusalLog, usage::Usage,
    },
};

/// The broker of a single node. Each answer is known at once.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use sockeye_hub::{Publication, SystemClock};
/// use sockeye_hub::broker::{Broker, HistoryQuery, Limit, Memory, MemoryLimits, PublishOptions};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let broker = Memory::new(Arc::new(SystemClock), MemoryLimits::default());
/// let news: Arc<str> = "news".into();
/// let publication = Publication { data: "hello".into(), ..Publication::default() };
/// let options = PublishOptions {
///     history_size: 10,
///     history_ttl: Duration::from_secs(60),
///     ..PublishOptions::default()
/// };
/// let published = broker.publish(&news, publication, options).await?;
/// assert_eq!(published.position.unwrap().offset, 1);
///
/// let query = HistoryQuery { limit: Limit::AtMost(5), ..HistoryQuery::default() };
/// let history = broker.history(&news, query).await?;
/// assert_eq!(history.publications[0].data, "hello");
/// # Ok::<(), sockeye_hub::broker::BrokerError>(())
/// # }).unwrap();
/// ```
pub struct Memory {
    /// Times are since its origin, so that a jump of the time of day expires nothing.
    clock: Arc<dyn Clock>,
    limits: MemoryLimits,
    epochs: UnpublishedEpochs,
    events: OnceLock<Arc<dyn BrokerEvents>>,
    table: Table,
    /// Bytes. The publications in all histories.
    history: Usage,
    /// Bytes. The idempotency keys of all channels.
    idempotency: Usage,
    refusals: BrokerRefusalLog,
}

impl Memory {
    /// Creates a broker that knows no channel.
    ///
    /// # Panics
    ///
    /// Panics if the system has no random numbers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: MemoryLimits) -> Self {
        let seed = getrandom::u64().expect("the system has random numbers");
        Self::with_epoch_seed(clock, limits, seed)
    }

    /// Creates a broker whose epochs follow from `seed`, for tests that must repeat. Two brokers that channels move between
    /// need different seeds: epochs tell their histories apart.
    #[must_use]
    pub fn with_epoch_seed(clock: Arc<dyn Clock>, limits: MemoryLimits, seed: u64) -> Self {
        Self {
            clock,
            limits,
            epochs: UnpublishedEpochs::new(seed),
            events: OnceLock::new(),
            table: Table::new(limits.channels_max),
            history: Usage::new(limits.history_bytes_max),
            idempotency: Usage::new(limits.idempotency_bytes_max),
            refusals: BrokerRefusalLog::default(),
        }
    }

    /// Returns how much the broker holds.
    #[must_use]
    pub fn usage(&self) -> MemoryUsage {
        MemoryUsage {
            channels: self.table.channels(),
            channel_bytes: self.table.bytes(),
            history_bytes: self.history.used(),
            history_dropped: self.history.dropped(),
            idempotency_bytes: self.idempotency.used(),
            idempotency_dropped: self.idempotency.dropped(),
        }
    }

    /// Returns about how many bytes the broker holds: channels, publications and idempotency keys.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let usage = self.usage();
        usage.channel_bytes + usage.history_bytes + usage.idempotency_bytes
    }

    /// Returns the entries of the schedule.
    #[cfg(test)]
    pub(super) fn scheduled(&self) -> usize {
        self.table.scheduled()
    }

    /// Calls `operate` with the channel locked and nothing in it expired. Creates the channel if need be.
    fn with<R>(
        &self,
        channel: &Arc<str>,
        now: Duration,
        operate: impl FnOnce(&mut ChannelState) -> R,
    ) -> Result<R, BrokerError> {
        let channels_max = if self.table.has_room() {
            SWEEP_CHANNELS_PER_OPERATION
        } else {
            SWEEP_CHANNELS_MAX
        };
        self.free_expired(now, channels_max);
        let operate = |state: &mut ChannelState| {
            self.expire(channel, state, now);
            operate(state)
        };
        let result = self.table.with(channel, operate);
        result.map_err(|reached| {
            let error = BrokerError::TooManyChannels {
                channels_max: reached.max,
            };
            self.refusals.write(&error, now);
            error
        })
    }

    fn free_expired(&self, now: Duration, channels_max: usize) {
        let expire = |channel: &str, state: &mut ChannelState| self.expire(channel, state, now);
        self.table.with_expired(now, channels_max, expire);
    }

    fn expire(&self, channel: &str, state: &mut ChannelState, now: Duration) {
        state.expire(now, &self.history, &self.idempotency, || {
            self.epochs.forget(channel);
        });
    }

    fn publish_now(
        &self,
        channel: &Arc<str>,
        mut publication: Publication,
        options: PublishOptions,
    ) -> Result<Published, BrokerError> {
        let is_kept = options.keeps_history();
        if !is_kept && options.idempotency_key.is_none() {
            publication.offset = 0;
            let publication = Arc::new(publication);
            self.deliver(channel, |events| {
                events.publication(channel, &publication, None);
            });
            return Ok(Published {
                position: None,
                suppressed: None,
            });
        }
        if is_kept {
            // A slice of a larger buffer would hold all of it for as long as the history is kept.
            publication.data = Bytes::copy_from_slice(&publication.data);
        }
        let now = self.clock.elapsed();
        let key = options.idempotency_key.as_deref();
        let has_room = self
            .idempotency
            .has_room(key.map_or(0, keys::cost_of_first))
            && (!is_kept || self.history.has_room(stream::cost(&publication)));
        if !has_room {
            self.free_expired(now, SWEEP_CHANNELS_MAX);
        }
        self.with(channel, now, |state| {
            self.publish_to(state, channel, publication, options, now)
        })?
    }

    /// Publishes to a channel that is locked: suppresses, keeps, remembers the key, delivers.
    fn publish_to(
        &self,
        state: &mut ChannelState,
        channel: &Arc<str>,
        mut publication: Publication,
        options: PublishOptions,
        now: Duration,
    ) -> Result<Published, BrokerError> {
        if let Some(suppressed) = suppress(state, &options, now) {
            return Ok(suppressed);
        }
        let key = options.idempotency_key.as_ref();
        let key = key.filter(|_| !options.idempotency_ttl.is_zero());
        if let Some(key) = key {
            let keys = state.keys.get_or_insert_default();
            let reserved = keys.reserve(key, self.limits.idempotency_keys_max, &self.idempotency);
            if let Err(reached) = reserved {
                state.keys = None;
                let error = BrokerError::TooManyIdempotencyKeys {
                    idempotency_bytes_max: reached.max,
                };
                self.refusals.write(&error, now);
                return Err(error);
            }
        }
        let mut position = None;
        let publication = if options.keeps_history() {
            let stream = self.stream(state, channel, options.history_meta_ttl, now);
            let expires_at = now.saturating_add(options.history_ttl);
            let publication = stream.push(publication, &options, expires_at, &self.history);
            stream.set_version(options.version, options.version_epoch);
            position = Some(stream.position());
            publication
        } else {
            publication.offset = 0;
            Arc::new(publication)
        };
        if let (Some(keys), Some(key)) = (&mut state.keys, key) {
            let until = now.saturating_add(options.idempotency_ttl);
            keys.remember(key.clone(), position.clone(), until, &self.idempotency);
        }
        if state.is_subscribed
            && let Some(events) = self.events.get()
        {
            events.publication(channel, &publication, position.as_ref());
        }
        Ok(Published {
            position,
            suppressed: None,
        })
    }

    /// Returns the channel's stream, a new one if it has none, and remembers its position for `meta_ttl` from now on.
    fn stream<'s>(
        &self,
        state: &'s mut ChannelState,
        channel: &str,
        meta_ttl: Duration,
        now: Duration,
    ) -> &'s mut Stream {
        let stream = state.stream.get_or_insert_with(|| {
            Box::new(Stream::new(
                self.epoch(channel),
                self.limits.history_meta_ttl,
            ))
        });
        stream.remember(meta_ttl, now);
        stream
    }

    /// Returns the epoch of a channel that has no stream.
    fn epoch(&self, channel: &str) -> Epoch {
        self.epochs.of(channel)
    }

    /// Calls `deliver` under the lock of the channel, if it is subscribed.
    fn deliver(&self, channel: &Arc<str>, deliver: impl FnOnce(&dyn BrokerEvents)) {
        let Some(events) = self.events.get() else {
            return;
        };
        self.table.with_existing(channel, |state| {
            if state.is_subscribed {
                deliver(&**events);
            }
        });
    }
}

impl Broker for Memory {
    fn start(&self, events: Arc<dyn BrokerEvents>) {
        let result = self.events.set(events);
        debug_assert!(result.is_ok(), "start is called once");
    }

    fn subscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        let now = self.clock.elapsed();
        Answer::now(self.with(channel, now, |state| state.is_subscribed = true))
    }

    fn unsubscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        self.table
            .with_existing(channel, |state| state.is_subscribed = false);
        Answer::now(Ok(()))
    }

    fn publish(
        &self,
        channel: &Arc<str>,
        publication: Publication,
        options: PublishOptions,
    ) -> Answer<'_, Result<Published, BrokerError>> {
        Answer::now(self.publish_now(channel, publication, options))
    }

    fn publish_join(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.deliver(channel, |events| events.join(channel, &info));
        Answer::now(Ok(()))
    }

    fn publish_leave(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.deliver(channel, |events| events.leave(channel, &info));
        Answer::now(Ok(()))
    }

    fn history(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
    ) -> Answer<'_, Result<History, BrokerError>> {
        let now = self.clock.elapsed();
        self.free_expired(now, SWEEP_CHANNELS_PER_OPERATION);
        let history = self.table.with_existing(channel, |state| {
            self.expire(channel, state, now);
            let stream = self.stream(state, channel, query.meta_ttl, now);
            History {
                publications: stream.read(&query, self.limits.answer_publications_max),
                position: stream.position(),
            }
        });
        // Otherwise questions alone could fill the table.
        let unpublished = || History {
            publications: Vec::new(),
            position: StreamPosition {
                offset: 0,
                epoch: self.epoch(channel),
            },
        };
        Answer::now(Ok(history.unwrap_or_else(unpublished)))
    }

    fn remove_history(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        self.table.with_existing(channel, |state| {
            if let Some(stream) = &mut state.stream {
                stream.clear(&self.history);
            }
        });
        Answer::now(Ok(()))
    }

    fn sweep(&self) {
        self.free_expired(self.clock.elapsed(), SWEEP_CHANNELS_MAX);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("limits", &self.limits)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// Returns the answer to a publication that the channel needn't have, if it is one.
fn suppress(state: &ChannelState, options: &PublishOptions, now: Duration) -> Option<Published> {
    if let (Some(keys), Some(key)) = (&state.keys, &options.idempotency_key)
        && let Some(position) = keys.seen(key, now)
    {
        return Some(Published {
            position: position.clone(),
            suppressed: Some(Suppression::Idempotency),
        });
    }
    if options.keeps_history()
        && let Some(stream) = &state.stream
        && stream.has_version(options.version, &options.version_epoch)
    {
        return Some(Published {
            position: Some(stream.position()),
            suppressed: Some(Suppression::Version),
        });
    }
    None
}

/// Channels that an operation looks at. Two for at most one that it creates: what has expired doesn't pile up.
const SWEEP_CHANNELS_PER_OPERATION: usize = 2;

/// Channels that one sweep looks at: about a millisecond's work.
const SWEEP_CHANNELS_MAX: usize = 4096;
