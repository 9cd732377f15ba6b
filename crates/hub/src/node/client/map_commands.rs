//! Commands by which clients set and remove the entries of maps.

use std::sync::Arc;

use super::{Client, Failure, subscribe::unresolved, subscriptions::Subscription};
use crate::{
    ClientInfo, ErrorCode,
    namespace::{ClientKeySource, MapOptions, Membership},
    node::{ClientView, MapChangeEvent, MapPublishing},
    wire::{PublishRequest, PublishResult, Reply},
};

/// The client that asks for a change, when it asks.
struct Author {
    view: ClientView,
    info: Arc<ClientInfo>,
    membership: Membership,
}

impl Client {
    pub(super) async fn change_map(
        self: &Arc<Self>,
        request: PublishRequest,
    ) -> Result<Reply, Failure> {
        let channel = &request.channel;
        let resolved = self.node.namespaces.resolve(channel).map_err(unresolved)?;
        if !resolved.options.subscription_type.is_map() {
            return Err(ErrorCode::PermissionDenied.into());
        }
        let options = &resolved.options.map;
        let Author {
            view,
            info,
            membership,
        } = self.author_in(channel)?;
        let data = (!request.removed).then(|| request.data.clone());
        let granted = match &self.node.handlers.map_change {
            Some(handler) => {
                let event = MapChangeEvent {
                    client: view,
                    channel: channel.clone(),
                    namespace: resolved.namespace.to_owned(),
                    key: request.key.clone(),
                    data: data.clone(),
                };
                self.node.call(handler, event).await?
            }
            None => None,
        };
        let (key, data, how) = match granted {
            Some(grant) => {
                let data = data.map(|data| grant.data.unwrap_or(data));
                (
                    grant.key.unwrap_or_else(|| request.key.clone()),
                    data,
                    grant.how,
                )
            }
            None => {
                self.demand_change(&request, &info.user, options, membership)?;
                let key = own_key(options, &info, &request.key)?;
                (key.to_owned(), data, MapPublishing::default())
            }
        };
        let how = match data {
            Some(_) => how,
            None => MapPublishing {
                tags: how.tags,
                idempotency_key: how.idempotency_key,
                ..MapPublishing::default()
            },
        };
        let change = self.node.change_of(&resolved, &key, data, how);
        let mut change = change.map_err(|_| Failure::from(ErrorCode::BadRequest))?;
        change.info = change.data.is_some().then(|| Arc::clone(&info));
        self.node.change_map(channel, change).await?;
        if options.remove_client_on_unsubscribe && *key == *info.client {
            self.remove_if_gone(channel, membership);
        }
        Ok(Reply {
            publish: Some(PublishResult::default()),
            ..Reply::default()
        })
    }

    /// Returns who the client is in a map.
    fn author_in(&self, channel: &str) -> Result<Author, Failure> {
        let mut state = self.state.lock();
        let connected = state.connected()?;
        let subscription = connected.subscriptions.find(channel);
        let chan_info = subscription.map_or_else(Default::default, Subscription::chan_info);
        Ok(Author {
            view: connected.view(&*self.transport),
            info: connected.info_in(&chan_info),
            membership: match connected.subscriptions.is_active(channel) {
                true => Membership::Subscriber,
                false => Membership::Outsider,
            },
        })
    }

    /// Returns error 103 if the client may not change the map.
    fn demand_change(
        &self,
        request: &PublishRequest,
        user: &str,
        options: &MapOptions,
        membership: Membership,
    ) -> Result<(), Failure> {
        let is_allowed = match request.removed {
            true => options.allows_remove(user, membership),
            false => options.allows_publish(user, membership),
        };
        match is_allowed || self.node.settings.insecure {
            true => Ok(()),
            false => Err(ErrorCode::PermissionDenied.into()),
        }
    }

    /// Removes the client's own entry if it has left the map while the entry was set: the end of its subscription may have
    /// come first.
    fn remove_if_gone(self: &Arc<Self>, channel: &str, before: Membership) {
        let mut state = self.state.lock();
        let has_left = match state.connected() {
            Err(_) => true,
            Ok(connected) => {
                before == Membership::Subscriber && !connected.subscriptions.is_active(channel)
            }
        };
        if has_left {
            self.node.remove_own_entry(&channel.into(), &self.id);
        }
    }
}

/// Returns the key of the entry that a client changes.
fn own_key<'a>(
    options: &MapOptions,
    info: &'a ClientInfo,
    key: &'a str,
) -> Result<&'a str, Failure> {
    match options.client_key {
        None => Ok(key),
        Some(ClientKeySource::ClientId) => Ok(&info.client),
        // An anonymous client must not choose the key.
        Some(ClientKeySource::UserId) if info.user.is_empty() => {
            Err(ErrorCode::PermissionDenied.into())
        }
        Some(ClientKeySource::UserId) => Ok(&info.user),
    }
}
