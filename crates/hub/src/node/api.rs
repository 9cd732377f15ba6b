//! What a back end can do: publish, and look after channels and clients.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Node, NodeShared,
    shared::{accepts, publish_options},
};
use crate::{
    BrokerError, ClientInfo, Disconnect, ErrorCode, History, HistoryQuery, Publication, Published,
    StreamPosition, Tags, UnixMillis, UnsubscribeCode,
    metrics::{ItemKind, NodeMetrics},
    namespace::{ResolvedChannel, UnresolvedChannel},
    node::client::Client,
    token::SubscriptionOptions,
};

/// Why an order of a back end isn't carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiError {
    /// The order makes no sense, for this reason.
    BadRequest(&'static str),
    /// The channel's namespace isn't configured.
    UnknownChannel,
    /// The channel has no presence, or no history.
    NotAvailable,
    /// The position to read on from is of another epoch.
    UnrecoverablePosition,
    /// The broker failed.
    Broker(BrokerError),
}

/// How a back end publishes. The default is a plain publication.
#[derive(Clone, Debug, Default)]
pub struct Publishing {
    /// Leaves it out of the channel's history.
    pub skip_history: bool,
    /// What filters look at.
    pub tags: Tags,
    /// A publication with a key that the channel has seen within five minutes is answered as the first was, and not
    /// published again.
    pub idempotency_key: Option<String>,
    /// A publication whose version isn't above the last one's is not published. 0: no version.
    pub version: u64,
    /// Names the counter of `version`. At most [`VERSION_EPOCH_BYTES_MAX`] bytes, since the channel keeps it.
    pub version_epoch: String,
}

/// Bytes. The name of a version's counter, which a channel keeps: as long as a channel's own may be by default.
pub const VERSION_EPOCH_BYTES_MAX: usize = 255;

/// How a back end subscribes clients.
#[derive(Clone, Debug, Default)]
pub struct Subscribing {
    /// Information about the clients in this channel, payload for them, options that differ from the channel's.
    pub options: SubscriptionOptions,
    /// Gives them what was published after this position.
    pub recover_since: Option<StreamPosition>,
    /// When the subscriptions expire.
    pub expire_at: Option<UnixMillis>,
}

/// How a back end refreshes connections. The default lets them live for ever.
#[derive(Clone, Debug, Default)]
pub struct Refreshing {
    /// When the connections expire. A time that has passed ends them.
    pub expire_at: Option<UnixMillis>,
    /// What others may know about the clients from now on. Empty, or without `expire_at`: what they know already.
    pub info: Bytes,
}

/// Which clients of a user are meant. The default means all.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// The connection with this id alone.
    pub client: Option<String>,
    /// The connection with this session alone, of a transport that has sessions.
    pub session: Option<String>,
    /// Not the connections with these ids.
    pub except: Vec<String>,
}

/// How many are in a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Connections.
    pub num_clients: u32,
    /// Different users.
    pub num_users: u32,
}

/// A node at a glance.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeInfo {
    /// Id of the node.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Connected clients.
    pub num_clients: usize,
    /// Different users among them.
    pub num_users: usize,
    /// Subscriptions.
    pub num_subs: usize,
    /// Channels with subscribers.
    pub num_channels: usize,
    /// Time since its start.
    pub uptime: Duration,
    /// Recoveries that gave the client all that it had missed.
    pub recovered: u64,
    /// Recoveries that were refused.
    pub unrecovered: u64,
}

impl Node {
    /// Publishes to a channel. The answer comes after the history has it and all subscribers on this node have been
    /// given it.
    ///
    /// # Errors
    ///
    /// The channel is unknown, it doesn't take this payload, or the broker failed.
    ///
    /// # Cancel safety
    ///
    /// A publication that was begun may happen.
    pub async fn publish(
        &self,
        channel: &str,
        data: impl Into<Bytes>,
        how: Publishing,
    ) -> Result<Published, ApiError> {
        let node = self.shared();
        let resolved = node.resolve(channel)?;
        if resolved.options.subscription_type.is_map() {
            return Err(ApiError::BadRequest("the channel is a map"));
        }
        let data = data.into();
        if !accepts(resolved.publication_data_format, &data) {
            return Err(ApiError::BadRequest(
                "the channel does not take this payload",
            ));
        }
        if how.version_epoch.len() > VERSION_EPOCH_BYTES_MAX {
            return Err(ApiError::BadRequest("the version's epoch is too long"));
        }
        let options = publish_options(&resolved, &how);
        let publication = Publication {
            data,
            tags: how.tags,
            time: node.now(),
            ..Publication::default()
        };
        node.recorder.to_broker(ItemKind::Publication);
        Ok(node
            .broker
            .publish(&channel.into(), publication, options)
            .await?)
    }

    /// Subscribes all clients of a user that are connected now.
    ///
    /// # Errors
    ///
    /// The channel is unknown.
    pub async fn subscribe(
        &self,
        user: &str,
        channel: &str,
        filter: &UserFilter,
        how: Subscribing,
    ) -> Result<(), ApiError> {
        self.shared().resolve(channel)?;
        for client in self.clients(user, filter) {
            let subscribed = client.subscribe_by_server(
                channel,
                how.options.clone(),
                how.recover_since.as_ref(),
                how.expire_at,
            );
            // A client that goes meanwhile, or has too many channels, doesn't keep the others from it.
            if let Err(failure) = subscribed.await {
                tracing::debug!(client = &**client.id(), %failure, "not subscribed");
            }
        }
        Ok(())
    }

    /// Unsubscribes the clients of a user from a channel; from all of theirs, if it is empty. They don't come back by
    /// themselves.
    ///
    /// # Errors
    ///
    /// The channel is unknown.
    pub fn unsubscribe(
        &self,
        user: &str,
        channel: &str,
        filter: &UserFilter,
    ) -> Result<(), ApiError> {
        if !channel.is_empty() {
            self.shared().resolve(channel)?;
        }
        for client in self.clients(user, filter) {
            match channel {
                "" => {
                    for channel in client.channels() {
                        client.end_subscription(&channel, UnsubscribeCode::Server);
                    }
                }
                channel => client.end_subscription(channel, UnsubscribeCode::Server),
            }
        }
        Ok(())
    }

    /// Ends the connections of a user. Those that are still connecting are not among them; a handler that wants to be sure
    /// that one is left says so with [`OtherConnections::End`](crate::OtherConnections::End).
    pub fn disconnect(&self, user: &str, filter: &UserFilter, disconnect: &Disconnect) {
        for client in self.clients(user, filter) {
            client.disconnect(disconnect.clone());
        }
    }

    /// Ends all clients, for instance with [`Disconnect::SHUTDOWN`] before a restart.
    pub fn disconnect_all(&self, disconnect: &Disconnect) {
        for client in self.shared().clients.all() {
            client.disconnect(disconnect.clone());
        }
    }

    /// Sets when the connections of a user expire.
    pub fn refresh(&self, user: &str, filter: &UserFilter, how: &Refreshing) {
        for client in self.clients(user, filter) {
            client.refresh_by_server(how);
        }
    }

    /// Returns the clients in a channel's presence: those of all nodes, if the node has been given what tells
    /// ([`NodeBuilder::channel_presence`](crate::NodeBuilder::channel_presence)), and of this node otherwise.
    ///
    /// # Errors
    ///
    /// The channel is unknown or has no presence.
    pub fn presence(&self, channel: &str) -> Result<Vec<Arc<ClientInfo>>, ApiError> {
        let resolved = self.shared().resolve(channel)?;
        match resolved.options.presence {
            true => Ok(self.shared().presence(channel)),
            false => Err(ApiError::NotAvailable),
        }
    }

    /// Returns how many clients and users are in a channel's presence.
    ///
    /// # Errors
    ///
    /// As [`Node::presence`].
    pub fn presence_stats(&self, channel: &str) -> Result<PresenceStats, ApiError> {
        Ok(PresenceStats::of(&self.presence(channel)?))
    }

    /// Returns publications of a channel, and its position.
    ///
    /// # Errors
    ///
    /// The channel is unknown or has no history, the epoch is another one, or the broker failed.
    pub async fn history(
        &self,
        channel: &str,
        mut query: HistoryQuery,
    ) -> Result<History, ApiError> {
        let node = self.shared();
        let resolved = node.resolve(channel)?;
        if !resolved.options.has_history() {
            return Err(ApiError::NotAvailable);
        }
        query.meta_ttl = resolved.history_meta_ttl;
        let epoch = query.since.as_ref().map(|since| since.epoch.clone());
        let history = node.broker.history(&channel.into(), query).await?;
        match epoch {
            Some(epoch) if !epoch.is_empty() && epoch != history.position.epoch => {
                Err(ApiError::UnrecoverablePosition)
            }
            _ => Ok(history),
        }
    }

    /// Drops the publications of a channel. Its position stays.
    ///
    /// # Errors
    ///
    /// As [`Node::history`].
    pub async fn remove_history(&self, channel: &str) -> Result<(), ApiError> {
        let node = self.shared();
        if !node.resolve(channel)?.options.has_history() {
            return Err(ApiError::NotAvailable);
        }
        Ok(node.broker.remove_history(&channel.into()).await?)
    }

    /// Returns the channels that have subscribers on this node, and how many.
    #[must_use]
    pub fn channels(&self) -> Vec<(Arc<str>, usize)> {
        self.shared().channels.list()
    }

    /// Returns what the node has counted since its start, and what it holds now.
    ///
    /// It takes each lock of the node for a moment, and none for the sums.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use sockeye_hub::{Node, Publishing, namespace::{ChannelConfig, Namespaces}};
    ///
    /// let node = Node::builder(Namespaces::new(ChannelConfig::default())?).start();
    /// node.publish("news", "{}", Publishing::default()).await?;
    /// assert_eq!(node.metrics().to_broker[0].count, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn metrics(&self) -> NodeMetrics {
        let node = self.shared();
        let (num_clients, num_users) = node.clients.count();
        NodeMetrics {
            version: node.settings.version.clone(),
            num_clients,
            num_users,
            num_channels: node.channels.count(),
            num_maps: node.maps.count(),
            num_map_entries: node.maps.entries(),
            map_bytes: node.maps.bytes(),
            ..node.recorder.snapshot()
        }
    }

    /// Returns what there is to know about the node.
    #[must_use]
    pub fn info(&self) -> NodeInfo {
        let node = self.shared();
        let (num_clients, num_users) = node.clients.count();
        let channels = node.channels.list();
        let (recovered, unrecovered) = node.recorder.recoveries();
        NodeInfo {
            uid: node.id.clone(),
            name: node.settings.name.clone(),
            version: node.settings.version.clone(),
            num_clients,
            num_users,
            num_subs: channels.iter().map(|(_, subscribers)| subscribers).sum(),
            num_channels: channels.len(),
            uptime: node.now().since(node.started),
            recovered,
            unrecovered,
        }
    }

    fn clients(&self, user: &str, filter: &UserFilter) -> Vec<Arc<Client>> {
        let mut clients = self.shared().clients.of(user);
        clients.retain(|client| filter.means(client));
        clients
    }
}

impl UserFilter {
    fn means(&self, client: &Client) -> bool {
        let id = &**client.id();
        self.client.as_deref().is_none_or(|wanted| wanted == id)
            && self
                .session
                .as_deref()
                .is_none_or(|wanted| client.transport().session() == Some(wanted))
            && self.except.iter().all(|other| other != id)
    }
}

impl PresenceStats {
    pub(crate) fn of(clients: &[Arc<ClientInfo>]) -> Self {
        let users: BTreeSet<&str> = clients.iter().map(|info| &*info.user).collect();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            num_clients: count(clients.len()),
            num_users: count(users.len()),
        }
    }
}

impl NodeShared {
    fn resolve<'a>(&'a self, channel: &'a str) -> Result<ResolvedChannel<'a>, ApiError> {
        Ok(self.namespaces.resolve_trusted(channel)?)
    }
}

impl ApiError {
    /// Returns the code by which the server API tells it.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::UnknownChannel => ErrorCode::UnknownChannel,
            Self::NotAvailable => ErrorCode::NotAvailable,
            Self::UnrecoverablePosition => ErrorCode::UnrecoverablePosition,
            Self::Broker(_) => ErrorCode::Internal,
        }
    }
}

impl From<UnresolvedChannel> for ApiError {
    fn from(error: UnresolvedChannel) -> Self {
        match error {
            UnresolvedChannel::UnknownNamespace => Self::UnknownChannel,
            UnresolvedChannel::Empty => Self::BadRequest("the channel is empty"),
            UnresolvedChannel::TooLong => Self::BadRequest("the channel's name is too long"),
            _ => Self::BadRequest("the channel's name is not allowed"),
        }
    }
}

impl From<BrokerError> for ApiError {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadRequest(reason) => f.write_str(reason),
            Self::UnknownChannel => f.write_str("the channel's namespace is unknown"),
            Self::NotAvailable => f.write_str("the channel has no such thing"),
            Self::UnrecoverablePosition => f.write_str("the position is of another epoch"),
            Self::Broker(_) => f.write_str("the broker failed"),
        }
    }
}

impl std::error::Error for ApiError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broker(error) => Some(error),
            _ => None,
        }
    }
}
