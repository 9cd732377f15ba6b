//! What the handles of a node share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    NodeSettings, channels::Channels, clients::Clients, deadlines::Deadlines, handlers::Handlers,
};
use crate::{
    Broker, BrokerError, BrokerEvents, ClientInfo, Clock, ErrorCode, Publication, PublishOptions,
    Published, StreamPosition, UnixMillis,
    namespace::{Namespaces, PublicationDataFormat, ResolvedChannel},
    node::client::Failure,
    shard::{Item, Recovery, Removed},
    token::Verifier,
};

pub(crate) struct NodeShared {
    pub(crate) id: String,
    pub(crate) settings: NodeSettings,
    pub(crate) namespaces: Namespaces,
    pub(crate) handlers: Handlers,
    pub(crate) verifier: Option<Verifier>,
    pub(crate) subscription_verifier: Option<Verifier>,
    pub(crate) broker: Box<dyn Broker>,
    pub(crate) channels: Channels,
    pub(crate) clients: Clients,
    pub(crate) deadlines: Deadlines,
    pub(crate) counts: Counts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started: UnixMillis,
    pub(crate) next_number: AtomicU64,
}

/// What a node counts since its start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) recovered: AtomicU64,
    pub(crate) unrecovered: AtomicU64,
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

    pub(crate) fn random(&self) -> u32 {
        getrandom::u32().unwrap_or_default()
    }

    /// Returns a number that was not used before.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new_client_id(&self) -> Arc<str> {
        uuid::Uuid::new_v4().to_string().into()
    }

    pub(crate) fn count_recovery(&self, recovery: &Recovery) {
        let count = match recovery.is_recovered {
            true => &self.counts.recovered,
            false => &self.counts.unrecovered,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Publishes for a client, which is told why not.
    pub(crate) async fn publish_of_client(
        &self,
        channel: &str,
        resolved: &ResolvedChannel<'_>,
        data: Bytes,
        info: Arc<ClientInfo>,
        skip_history: bool,
    ) -> Result<Published, Failure> {
        if !accepts(resolved.publication_data_format, &data) {
            return Err(ErrorCode::BadRequest.into());
        }
        let publication = Publication {
            // A slice of the client's frame, perhaps: a broker that keeps it copies it.
            data,
            info: Some(info),
            time: self.now(),
            ..Publication::default()
        };
        let options = publish_options(resolved, skip_history);
        Ok(self
            .broker
            .publish(&channel.into(), publication, options)
            .await?)
    }

    /// Tells the subscribers of a channel that a client has joined.
    pub(crate) fn announce_join(&self, channel: &Arc<str>, info: Arc<ClientInfo>) {
        let told = self.broker.publish_join(channel, info);
        in_background(told.try_now(), "a join");
    }

    /// Does what follows when a subscription was removed from its shard.
    pub(crate) fn after_removal(&self, channel: &Arc<str>, removed: Removed) {
        let Removed {
            info,
            was_released,
            announces,
            was_last,
        } = removed;
        if was_released && announces {
            in_background(
                self.broker.publish_leave(channel, info).try_now(),
                "a leave",
            );
        }
        if was_last {
            in_background(
                self.broker.unsubscribe(channel).try_now(),
                "the end of a subscription",
            );
        }
    }
}

/// Logs the failure of something that nobody waits for.
fn in_background<'a>(
    told: Result<Result<(), BrokerError>, crate::Answer<'a, Result<(), BrokerError>>>,
    what: &'static str,
) {
    match told {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, what, "the broker was not told"),
        Err(_) => tracing::warn!(what, "the broker was not told"),
    }
}

/// Returns how a publication to a channel is kept.
pub(crate) fn publish_options(
    resolved: &ResolvedChannel<'_>,
    skip_history: bool,
) -> PublishOptions {
    let options = resolved.options;
    match skip_history {
        true => PublishOptions::default(),
        false => PublishOptions {
            history_size: options.history_size,
            history_ttl: options.history_ttl,
            history_meta_ttl: resolved.history_meta_ttl,
            ..PublishOptions::default()
        },
    }
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
            node.channels
                .publish(channel, publication, position)
                .settle();
        }
    }

    fn join(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        if let Some(node) = self.0.upgrade() {
            node.channels
                .announce(channel, &Item::Join(Arc::clone(info)))
                .settle();
        }
    }

    fn leave(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        if let Some(node) = self.0.upgrade() {
            node.channels
                .announce(channel, &Item::Leave(Arc::clone(info)))
                .settle();
        }
    }
}
