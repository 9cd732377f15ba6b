//! The trait of a broker, and the trait by which it delivers.

use std::sync::Arc;

use super::{BrokerError, History, HistoryQuery, PublishOptions, Published};
use crate::{Answer, ClientInfo, Publication, StreamPosition};

/// Carries publications to the nodes whose clients have subscribed, and keeps the history of channels.
///
/// Every implementation passes the contract test in `tests/broker_contract`.
///
/// # Errors
///
/// Each method says with [`BrokerError`] which limit was reached, or that the broker is unavailable.
pub trait Broker: Send + Sync + 'static {
    /// Sets what receives deliveries. Called once, before any other method.
    fn start(&self, events: Arc<dyn BrokerEvents>);

    /// Begins to deliver what is published to `channel`. Called for its first subscriber on this node. What is published
    /// after the answer is delivered. To subscribe twice is the same as once.
    fn subscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>>;

    /// Ends deliveries of `channel`. Called after its last subscriber on this node has gone. A delivery that has begun
    /// may still end after the answer. The history stays.
    fn unsubscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>>;

    /// Publishes to `channel`: keeps the publication in the history, if the options say so, and delivers it to each node
    /// that has subscribed. Both happen as one: nobody sees an offset whose publication isn't kept or delivered.
    /// Sets [`Publication::offset`].
    fn publish(
        &self,
        channel: &Arc<str>,
        publication: Publication,
        options: PublishOptions,
    ) -> Answer<'_, Result<Published, BrokerError>>;

    /// Tells each node that has subscribed to `channel` that a client has subscribed.
    fn publish_join(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>>;

    /// Tells each node that has subscribed to `channel` that a client's subscription has ended.
    fn publish_leave(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>>;

    /// Returns publications of `channel` and its position. A channel without a history gets an epoch in which nothing
    /// was published. The broker remembers it as long as [`HistoryQuery::meta_ttl`] says, or gives the same one again.
    fn history(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
    ) -> Answer<'_, Result<History, BrokerError>>;

    /// Drops the publications of `channel`. Offset, epoch and version stay.
    fn remove_history(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>>;

    /// Returns the channels with a history whose names begin with `prefix`, if histories survive the process. The node asks
    /// once, when it starts. A broker whose histories don't survive answers `None`, as the default does.
    fn kept_channels(&self, prefix: &str) -> Option<Vec<Arc<str>>> {
        let _ = prefix;
        None
    }

    /// Does a bounded amount of upkeep, such as freeing what has expired. The node calls it about once a second. Nothing
    /// that has expired is ever answered, whether or not it has been freed.
    fn sweep(&self) {}
}

/// Receives what a [`Broker`] delivers to this node.
///
/// The broker may hold the lock of the channel meanwhile: an implementation returns soon, and calls no method of the
/// broker.
pub trait BrokerEvents: Send + Sync {
    /// Receives a publication. In the order of offsets in each channel, and never two at once for one channel. `position`
    /// is `None` for a publication that isn't for the history.
    fn publication(
        &self,
        channel: &Arc<str>,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    );

    /// Receives that a client has subscribed to `channel`.
    fn join(&self, channel: &Arc<str>, info: &Arc<ClientInfo>);

    /// Receives that a client's subscription to `channel` has ended.
    fn leave(&self, channel: &Arc<str>, info: &Arc<ClientInfo>);
}
