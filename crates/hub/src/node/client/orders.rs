//! What a back end orders for a client.

use std::sync::Arc;

use super::{
    Client, Failure,
    connect::seconds_until,
    state::Phase,
    subscribe::{Request, pending},
    subscriptions::{Origin, Progress, Subscription},
};
use crate::{
    Disconnect, ErrorCode, StreamPosition, UnixMillis,
    node::Refreshing,
    token::SubscriptionOptions,
    wire::{Push, RefreshPush, SubscribePush, SubscribeRequest},
};

impl Client {
    /// Subscribes the client. Does nothing if it is subscribed already.
    pub(crate) async fn subscribe_by_server(
        self: &Arc<Self>,
        channel: &str,
        options: SubscriptionOptions,
        recover_since: Option<&StreamPosition>,
        expire_at: Option<UnixMillis>,
    ) -> Result<(), Failure> {
        let attempt = self.node.next_number();
        let user = {
            let mut state = self.state.lock();
            let connected = state.connected()?;
            if connected.subscriptions.len() >= self.node.settings.channel_limit {
                return Err(ErrorCode::LimitExceeded.into());
            }
            let progress = Progress::Pending(attempt);
            let mut subscription = Subscription::new(channel.into(), progress, Origin::Server);
            subscription.expiry = expire_at.into();
            subscription.set_chan_info(options.info.clone().unwrap_or_default().into());
            if !connected.subscriptions.insert(subscription) {
                return Ok(());
            }
            Arc::clone(&connected.info.user)
        };
        let opened = self
            .open_by_server(&user, channel, options, recover_since, expire_at, attempt)
            .await;
        if opened.is_err() {
            self.give_up(channel, attempt);
        }
        opened
    }

    async fn open_by_server(
        self: &Arc<Self>,
        user: &str,
        channel: &str,
        options: SubscriptionOptions,
        recover_since: Option<&StreamPosition>,
        expire_at: Option<UnixMillis>,
        attempt: u64,
    ) -> Result<(), Failure> {
        let mut plan = self.plan_trusted(user, channel, options, expire_at)?;
        let request =
            recover_since.map_or_else(SubscribeRequest::default, |since| SubscribeRequest {
                recover: true,
                offset: since.offset,
                epoch: since.epoch.as_str().to_owned(),
                ..SubscribeRequest::default()
            });
        let mut request = Request::new(&request, self.node.settings.answer_bytes_max);
        let info = self.state.lock().connected()?.info_in(&plan.chan_info);
        let holding = self.hold(&mut plan, info).await?;
        let generation = holding.generation;
        let result = match self.read(&mut plan, &mut request, &holding).await {
            Ok(result) => result,
            Err(failure) => {
                self.drop_held(&plan.channel, generation);
                return Err(failure);
            }
        };
        let mut state = self.state.lock();
        let Some(subscription) = pending(&mut state, channel, attempt) else {
            drop(state);
            self.drop_held(&plan.channel, generation);
            return Err(Failure::Closed);
        };
        subscription.set_progress(Progress::Active(generation));
        subscription.channel = Arc::clone(&plan.channel);
        subscription.refresh = plan.refresh;
        let mut told = self.push(Push {
            channel: channel.to_owned(),
            subscribe: Some(SubscribePush {
                recoverable: result.recoverable,
                epoch: result.epoch,
                offset: result.offset,
                positioned: result.positioned,
                data: result.data,
            }),
            ..Push::default()
        });
        for publication in result.publications {
            let push = Push {
                channel: channel.to_owned(),
                r#pub: Some(publication),
                ..Push::default()
            };
            told = told.and_then(|()| self.push_answer(push));
        }
        self.release(&plan.channel, generation, request.position);
        self.set_alarm(&mut state);
        self.appear(state.connected()?, &plan);
        drop(state);
        told.map_err(Failure::Disconnect)
    }

    /// Gives the connection another time to live, and tells the client.
    pub(crate) fn refresh_by_server(self: &Arc<Self>, how: &Refreshing) {
        let now = self.node.now();
        let expire_at = how.expire_at;
        if expire_at.is_some_and(|expire_at| expire_at <= now) {
            return self.disconnect(Disconnect::EXPIRED);
        }
        self.extend(expire_at);
        // As the real server does it, which keeps the information of a connection that doesn't expire.
        if expire_at.is_some()
            && !how.info.is_empty()
            && let Phase::Connected(connected) = &mut self.state.lock().phase
        {
            self.set_info(connected, how.info.clone());
        }
        let ttl = expire_at.map(|expire_at| seconds_until(expire_at, now));
        let push = Push {
            refresh: Some(RefreshPush {
                expires: ttl.is_some(),
                ttl: ttl.unwrap_or(0),
            }),
            ..Push::default()
        };
        if let Err(disconnect) = self.push(push) {
            self.disconnect(disconnect);
        }
    }

    /// Returns the channels that the client is subscribed to.
    pub(crate) fn channels(&self) -> Vec<Arc<str>> {
        let mut state = self.state.lock();
        let Ok(connected) = state.connected() else {
            return Vec::new();
        };
        let subscriptions = connected.subscriptions.iter();
        subscriptions
            .map(|subscription| Arc::clone(&subscription.channel))
            .collect()
    }
}
