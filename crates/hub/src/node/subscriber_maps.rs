//! The maps that follow who is subscribed: those of a channel's clients and users, and entries that end with a subscription.

use std::sync::Arc;

use super::{
    NodeShared,
    broker_orders::{BrokerOrder, MAP_ORDERS_MAX},
};
use crate::{BrokerError, ClientInfo, namespace::ChannelOptions};

impl NodeShared {
    /// Returns an error if the broker is so far behind with a map that follows `channel` that no subscription may begin.
    pub(crate) fn check_maps_of(&self, channel: &Arc<str>) -> Result<(), BrokerError> {
        let Some(options) = self.following(channel) else {
            return Ok(());
        };
        let own = options.map.remove_client_on_unsubscribe;
        let followers = [
            named(&options.map_clients_presence_channel_prefix, channel),
            named(&options.map_users_presence_channel_prefix, channel),
            own.then(|| Arc::clone(channel)),
        ];
        let mut followers = followers.into_iter().flatten();
        match followers.any(|map| self.broker_orders.waiting(&map) >= MAP_ORDERS_MAX) {
            false => Ok(()),
            true => Err(BrokerError::Unavailable {
                message: format!("{MAP_ORDERS_MAX} orders about a map wait for the broker"),
            }),
        }
    }

    /// Sets the entries that say that a client is subscribed to `channel`.
    ///
    /// To be called with the client's state locked, which shows that it is subscribed: its end comes later then.
    pub(crate) fn enter_maps_of(self: &Arc<Self>, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        let Some(options) = self.following(channel) else {
            return;
        };
        if let Some(clients) = named(&options.map_clients_presence_channel_prefix, channel) {
            let order = BrokerOrder::Enter {
                key: Arc::clone(&info.client),
                info: Some(Arc::clone(info)),
            };
            self.tell_broker(&clients, order);
        }
        // An anonymous client has no user whose entry it could be.
        if let Some(users) = named(&options.map_users_presence_channel_prefix, channel)
            && !info.user.is_empty()
        {
            let order = BrokerOrder::Enter {
                key: Arc::clone(&info.user),
                info: None,
            };
            self.tell_broker(&users, order);
        }
    }

    /// Ends the entries that say so, and the client's own in a map whose options ask for it.
    pub(crate) fn leave_maps_of(self: &Arc<Self>, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        let Some(options) = self.following(channel) else {
            return;
        };
        if let Some(clients) = named(&options.map_clients_presence_channel_prefix, channel) {
            self.tell_broker(&clients, BrokerOrder::Exit(Arc::clone(&info.client)));
        }
        if let Some(users) = named(&options.map_users_presence_channel_prefix, channel)
            && !info.user.is_empty()
        {
            self.tell_broker(&users, BrokerOrder::Exit(Arc::clone(&info.user)));
        }
        if options.map.remove_client_on_unsubscribe {
            self.tell_broker(channel, BrokerOrder::Remove(Arc::clone(&info.client)));
        }
    }

    /// Removes the entry of a client that has gone from a map.
    pub(crate) fn remove_own_entry(self: &Arc<Self>, channel: &Arc<str>, client: &Arc<str>) {
        self.tell_broker(channel, BrokerOrder::Remove(Arc::clone(client)));
    }

    /// Returns the options of a channel if a map may follow its subscriptions.
    fn following<'a>(&'a self, channel: &'a str) -> Option<&'a ChannelOptions> {
        if !self.namespaces.has_following_maps() {
            return None;
        }
        let resolved = self.namespaces.resolve_trusted(channel).ok()?;
        Some(resolved.options)
    }
}

/// Returns the channel of a map that follows `channel`, if there is one.
fn named(prefix: &str, channel: &str) -> Option<Arc<str>> {
    (!prefix.is_empty()).then(|| format!("{prefix}{channel}").into())
}
