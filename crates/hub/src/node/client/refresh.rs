//! New tokens for a connection and for a subscription.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Client, Failure,
    connect::seconds_until,
    state::{Connected, info_in},
    subscriptions::{Origin, Progress, RefreshBy, Subscription, Subscriptions},
};
use crate::{
    ClientInfo, Disconnect, ErrorCode, UnixMillis,
    node::TokenFailure,
    shard::Generation,
    token::SubscriptionOptions,
    wire::{RefreshRequest, RefreshResult, Reply, SubRefreshRequest, SubRefreshResult},
};

impl Client {
    pub(super) async fn refresh(
        self: &Arc<Self>,
        request: &RefreshRequest,
    ) -> Result<Reply, Failure> {
        // With a refresh handler it is the server that refreshes.
        if request.token.is_empty() || self.node.handlers.refresh.is_some() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let claims = match self.node.verify_connection(&request.token).await {
            Ok(claims) => claims,
            // An error would end some SDKs for good; with this close they ask for a new token.
            Err(TokenFailure::Expired) => return Err(Disconnect::EXPIRED.into()),
            Err(failure) => return Err(failure.into()),
        };
        let now = self.node.now();
        if claims.expire_at.is_some_and(|expire_at| expire_at <= now) {
            return Err(Disconnect::EXPIRED.into());
        }
        let mut state = self.state.lock();
        let connected = state.connected()?;
        if claims.user != *connected.info.user {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        if is_changed(&connected.subscriptions, &claims.subs) {
            return Err(Disconnect::INSUFFICIENT_STATE.into());
        }
        connected.expiry = claims.expire_at.into();
        connected.set_meta(claims.meta.unwrap_or_default());
        self.set_info(connected, claims.info.unwrap_or_default());
        let ttl = claims
            .expire_at
            .map(|expire_at| seconds_until(expire_at, now));
        self.set_alarm(&mut state);
        Ok(Reply {
            refresh: Some(RefreshResult {
                expires: ttl.is_some(),
                ttl: ttl.unwrap_or(0),
                ..RefreshResult::default()
            }),
            ..Reply::default()
        })
    }

    /// Sets what others may know about the client, in all its channels.
    pub(super) fn set_info(&self, connected: &mut Connected, conn_info: Bytes) {
        if *conn_info == *connected.info.conn_info {
            return;
        }
        connected.info = Arc::new(ClientInfo {
            conn_info: conn_info.into(),
            ..ClientInfo::clone(&connected.info)
        });
        let info = Arc::clone(&connected.info);
        self.node.clients.set_info(&info);
        for subscription in connected.subscriptions.iter_mut() {
            if let Progress::Active(generation) = subscription.progress() {
                let info = info_in(&info, &subscription.chan_info());
                self.show(subscription, generation, info);
            }
        }
    }

    /// Sets what others in a channel may know about the client.
    pub(super) fn show(
        &self,
        subscription: &mut Subscription,
        generation: Generation,
        info: Arc<ClientInfo>,
    ) {
        if let Some(presence) = &self.node.channel_presence
            && subscription.is_present()
        {
            // The new entry comes first, so that the client is never away.
            let entered = presence.enter(&subscription.channel, &info);
            subscription.set_presence(entered);
        }
        self.node
            .channels
            .set_info(&subscription.channel, self.key, generation, info);
    }

    pub(super) async fn sub_refresh(
        self: &Arc<Self>,
        request: &SubRefreshRequest,
    ) -> Result<Reply, Failure> {
        if request.channel.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let (generation, refresh) = self.active(&request.channel)?;
        if refresh == RefreshBy::Server {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        if request.token.is_empty() {
            return Err(ErrorCode::BadRequest.into());
        }
        let view = self.view()?;
        let verified = self
            .node
            .verify_subscription(&request.token, &request.channel, &view)
            .await;
        let claims = match verified {
            Ok(claims) => claims,
            Err(TokenFailure::Expired) => return Err(Disconnect::SUBSCRIPTION_EXPIRED.into()),
            Err(_) => return Err(Disconnect::INVALID_TOKEN.into()),
        };
        let now = self.node.now();
        if claims.expire_at.is_some_and(|expire_at| expire_at <= now) {
            return Err(Disconnect::SUBSCRIPTION_EXPIRED.into());
        }
        let mut state = self.state.lock();
        let subscription = state
            .connected()?
            .subscriptions
            .find_mut(&request.channel)
            .filter(|subscription| subscription.progress() == generation)
            .ok_or_else(|| Failure::from(ErrorCode::PermissionDenied))?;
        subscription.expiry = claims.expire_at.into();
        self.set_alarm(&mut state);
        let ttl = claims
            .expire_at
            .map(|expire_at: UnixMillis| seconds_until(expire_at, now));
        Ok(Reply {
            sub_refresh: Some(SubRefreshResult {
                expires: ttl.is_some(),
                ttl: ttl.unwrap_or(0),
                ..SubRefreshResult::default()
            }),
            ..Reply::default()
        })
    }

    fn active(&self, channel: &str) -> Result<(Progress, RefreshBy), Failure> {
        let mut state = self.state.lock();
        let subscription = state.connected()?.subscriptions.find(channel);
        match subscription {
            Some(subscription) if matches!(subscription.progress(), Progress::Active(_)) => {
                Ok((subscription.progress(), subscription.refresh))
            }
            _ => Err(ErrorCode::PermissionDenied.into()),
        }
    }
}

/// Returns whether a new token names other channels than those that the client has because of the old one.
fn is_changed(subscriptions: &Subscriptions, named: &[(String, SubscriptionOptions)]) -> bool {
    // An empty name means nothing, as in the token of a connect.
    let is_missing = |channel: &str| !channel.is_empty() && !subscriptions.is_active(channel);
    let is_named = |channel: &str| named.iter().any(|(name, _)| name == channel);
    named.iter().any(|(channel, _)| is_missing(channel))
        || subscriptions
            .iter()
            .any(|own| own.origin == Origin::Token && !is_named(&own.channel))
}
