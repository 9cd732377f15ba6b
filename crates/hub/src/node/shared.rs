//! What the handles of a node share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};

use super::{
    NodeSettings, Publishing, Rejection,
    broker_orders::{BrokerOrder, BrokerOrders},
    catch_ups::CatchUps,
    channels::Channels,
    clients::Clients,
    deadlines::Deadlines,
    handlers::{Handler, Handlers},
    refusal_log::RefusalLog,
};
use crate::{
    Broker, BrokerError, BrokerEvents, ClientInfo, Clock, Epoch, ErrorCode, History, HistoryQuery,
    MemoryMeter, Publication, PublishOptions, Published, StreamPosition, UnixMillis,
    map::Maps,
    metrics::{ItemKind, Recorder, RecoveryOutcome},
    namespace::{Namespaces, PublicationDataFormat, ResolvedChannel},
    node::client::Failure,
    presence::ChannelPresence,
    random::mix,
    shard::{Item, Recovery, Removed},
    token::Verifier,
};

pub(crate) struct NodeShared {
    pub(crate) id: String,
    /// The name of all clients without a user.
    pub(crate) anonymous: Arc<str>,
    pub(crate) settings: NodeSettings,
    pub(crate) namespaces: Namespaces,
    pub(crate) handlers: Handlers,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) subscription_verifier: Option<Verifier>,
    pub(crate) broker: Box<dyn Broker>,
    pub(crate) broker_orders: BrokerOrders,
    pub(crate) maps: Maps,
    pub(crate) catch_ups: CatchUps,
    pub(crate) meter: Arc<dyn MemoryMeter>,
    /// `None` if this node knows its own clients alone.
    pub(crate) channel_presence: Option<ChannelPresence>,
    /// One permit for each call of a handler.
    pub(crate) calls: Semaphore,
    pub(crate) channels: Channels,
    pub(crate) clients: Clients,
    pub(crate) deadlines: Deadlines,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) refusals: RefusalLog,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started: UnixMillis,
    pub(crate) next_number: AtomicU64,
    /// What the next number for spreading things in time follows from.
    pub(crate) jitter: AtomicU64,
}

/// What the broker delivers goes to the node, unless that is gone.
pub(crate) struct Deliveries(pub(crate) std::sync::Weak<NodeShared>);

impl NodeShared {
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Returns the time since some moment, by a clock that does not jump.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Returns a number for spreading things in time. It is no secret.
    pub(crate) fn jitter(&self) -> u32 {
        let number = self.jitter.fetch_add(1, Ordering::Relaxed);
        (mix(number) >> 32) as u32
    }

    /// Returns a number that was not used before.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new_client_id(&self) -> Arc<str> {
        uuid::Uuid::new_v4().to_string().into()
    }

    pub(crate) fn count_recovery(&self, recovery: &Recovery) {
        self.recorder.recovery(RecoveryOutcome::from(recovery));
    }

    /// Publishes for a client, which is told why not.
    pub(crate) async fn publish_of_client(
        &self,
        channel: &str,
        resolved: &ResolvedChannel<'_>,
        data: Bytes,
        info: Arc<ClientInfo>,
        how: Publishing,
    ) -> Result<Published, Failure> {
        if !accepts(resolved.publication_data_format, &data) {
            return Err(ErrorCode::BadRequest.into());
        }
        let options = publish_options(resolved, &how);
        let publication = Publication {
            // A slice of the client's frame, perhaps: a broker that keeps it copies it.
            data,
            info: Some(info),
            tags: how.tags,
            time: self.now(),
            ..Publication::default()
        };
        self.recorder.to_broker(ItemKind::Publication);
        Ok(self
            .broker
            .publish(&channel.into(), publication, options)
            .await?)
    }

    /// Tells the subscribers of a channel that a client has joined.
    ///
    /// To be called with the client's state locked, which shows that it is subscribed: its leave comes later then.
    pub(crate) fn announce_join(self: &Arc<Self>, channel: &Arc<str>, info: Arc<ClientInfo>) {
        self.recorder.to_broker(ItemKind::Join);
        self.tell_broker(channel, BrokerOrder::Join(info));
    }

    /// Does what follows when a subscription was removed from its shard.
    pub(crate) fn after_removal(self: &Arc<Self>, channel: &Arc<str>, removed: Removed) {
        let Removed {
            info,
            was_released,
            announces,
            was_last,
        } = removed;
        if was_released {
            self.leave_maps_of(channel, &info);
        }
        if was_released && announces {
            self.recorder.to_broker(ItemKind::Leave);
            self.tell_broker(channel, BrokerOrder::Leave(info));
        }
        if was_last {
            self.tell_broker(channel, BrokerOrder::Unsubscribe);
        }
    }

    /// Asks the broker to deliver a channel to this node.
    pub(crate) async fn subscribe_at_broker(
        self: &Arc<Self>,
        channel: &Arc<str>,
    ) -> Result<(), BrokerError> {
        let (answer, mut answered) = oneshot::channel();
        self.tell_broker(channel, BrokerOrder::Subscribe(answer));
        // A broker that answers at once has done so by now: no need to give way to other tasks.
        if let Ok(answer) = answered.try_recv() {
            return answer;
        }
        answered.await.unwrap_or_else(|_| {
            Err(BrokerError::Unavailable {
                message: "the node ends".to_owned(),
            })
        })
    }

    /// Reads the history of a channel for a subscription. `known` is what this node had been given of the channel before:
    /// an answer that ends earlier comes from a replica that lags. Then it is read again, a few times.
    pub(crate) async fn history_since(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
        known: Option<&StreamPosition>,
    ) -> Result<History, BrokerError> {
        let mut pause = LAGGING_READ_PAUSE;
        let mut reads = 1;
        loop {
            let history = self.broker.history(channel, query.clone()).await?;
            let top = &history.position;
            let is_same_history = known.is_none_or(|known| known.epoch == top.epoch);
            if is_same_history && known.is_none_or(|known| known.offset <= top.offset) {
                return Ok(history);
            }
            if reads == LAGGING_READS_MAX {
                // Another epoch may be the newer one. It can't be told, so the last answer is believed.
                return match is_same_history {
                    false => Ok(history),
                    true => Err(BrokerError::Unavailable {
                        message: "its history ends before what it has delivered".to_owned(),
                    }),
                };
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            reads += 1;
        }
    }

    /// Returns the clients in a channel's presence.
    pub(crate) fn presence(&self, channel: &str) -> Vec<Arc<ClientInfo>> {
        match &self.channel_presence {
            Some(presence) => presence.clients(channel),
            None => self.channels.presence(channel),
        }
    }

    /// Calls a function of the application, once there is room for another call.
    pub(crate) async fn call<Event, Answer>(
        &self,
        handler: &Handler<Event, Answer>,
        event: Event,
    ) -> Result<Answer, Rejection> {
        let _permit = match self.calls.try_acquire() {
            Ok(permit) => Some(permit),
            // The semaphore is never closed.
            Err(_) => self.calls.acquire().await.ok(),
        };
        handler(event).await
    }
}

/// Reads of a history that ends before what the broker has delivered. After them a subscription fails with error 100, which
/// is temporary: SDKs come back after a growing delay.
const LAGGING_READS_MAX: u32 = 5;

/// The pause before the second read. Each further one is twice as long: 750 ms in all.
const LAGGING_READ_PAUSE: Duration = Duration::from_millis(50);

/// Returns how a publication to a channel is kept.
pub(crate) fn publish_options(resolved: &ResolvedChannel<'_>, how: &Publishing) -> PublishOptions {
    let options = resolved.options;
    let mut kept = match how.skip_history {
        true => PublishOptions::default(),
        false => PublishOptions {
            history_size: options.history_size,
            history_bytes_max: options.history_bytes_max,
            history_ttl: options.history_ttl,
            history_meta_ttl: resolved.history_meta_ttl,
            ..PublishOptions::default()
        },
    };
    kept.idempotency_key = how.idempotency_key.as_deref().map(Into::into);
    kept.version = how.version;
    kept.version_epoch = Epoch::new(&how.version_epoch);
    kept
}

/// Whether a channel takes this payload.
pub(crate) fn accepts(format: PublicationDataFormat, data: &[u8]) -> bool {
    match format {
        PublicationDataFormat::NotEmpty => !data.is_empty(),
        PublicationDataFormat::Binary => true,
        PublicationDataFormat::Json => {
            serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
        }
        PublicationDataFormat::JsonObject => {
            let first = data.iter().find(|byte| !byte.is_ascii_whitespace());
            first == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok()
        }
    }
}

impl BrokerEvents for Deliveries {
    fn publication(
        &self,
        channel: &Arc<str>,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) {
        if let Some(node) = self.0.upgrade() {
            node.recorder.got_from_broker(ItemKind::Publication);
            let lag = node.now().since(publication.time);
            let begun = node.elapsed();
            let aftermath = node.channels.publish(channel, publication, position);
            let broadcast = node.elapsed().saturating_sub(begun);
            node.recorder.delivered(lag, broadcast);
            aftermath.settle();
        }
    }

    fn join(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        if let Some(node) = self.0.upgrade() {
            node.recorder.got_from_broker(ItemKind::Join);
            node.channels
                .announce(channel, &Item::Join(Arc::clone(info)))
                .settle();
        }
    }

    fn leave(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        if let Some(node) = self.0.upgrade() {
            node.recorder.got_from_broker(ItemKind::Leave);
            node.channels
                .announce(channel, &Item::Leave(Arc::clone(info)))
                .settle();
        }
    }
}
