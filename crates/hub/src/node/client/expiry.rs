//! Connections and subscriptions whose time is over.

use std::{sync::Arc, time::Duration};

use super::{
    Client, Failure,
    state::{Phase, State, info_in},
    subscriptions::{Origin, Progress, RefreshBy, Subscription},
};
use crate::{
    Disconnect, UnixMillis, UnsubscribeCode,
    node::{NodeShared, RefreshEvent, Refreshed, SubRefreshEvent, SubRefreshed},
};

/// What is over.
pub(super) enum Expired {
    Nothing,
    /// The application is asked for a new time.
    ConnectionAsks(Box<RefreshEvent>),
    Connection,
    Subscriptions {
        over: Vec<(Arc<str>, Origin)>,
        /// The application is asked for a new time of these.
        asks: Vec<(Progress, SubRefreshEvent)>,
    },
}

impl Client {
    /// Returns the time of the node's clock that does not jump, at which something is over.
    pub(super) fn expiry(&self, state: &State) -> Option<Duration> {
        let Phase::Connected(connected) = &state.phase else {
            return None;
        };
        let delay = connection_delay(&self.node);
        let connection = connected.expiry.at().map(|at| after(at, delay));
        let subscriptions = connected.subscriptions.iter();
        let subscriptions =
            subscriptions.filter_map(|subscription| ends_at(&self.node, subscription));
        let first = subscriptions.chain(connection).min()?;
        // One millisecond more, since both clocks round down.
        let left = first.since(self.node.now()) + Duration::from_millis(1);
        Some(self.node.elapsed() + left)
    }

    /// Returns what is over now. What the application is asked about counts as valid meanwhile, for as long as clients have
    /// to refresh themselves.
    pub(super) fn expired(&self, state: &mut State) -> Expired {
        let Phase::Connected(connected) = &mut state.phase else {
            return Expired::Nothing;
        };
        let settings = &self.node.settings;
        let now = self.node.now();
        let delay = connection_delay(&self.node);
        if connected
            .expiry
            .at()
            .is_some_and(|at| after(at, delay) <= now)
        {
            if self.node.handlers.refresh.is_none() {
                return Expired::Connection;
            }
            connected.expiry = Some(after(now, settings.expired_close_delay)).into();
            return Expired::ConnectionAsks(Box::new(RefreshEvent {
                client: connected.view(&*self.transport),
            }));
        }
        let subscriptions = connected.subscriptions.iter();
        let ended = subscriptions.filter(|subscription| {
            ends_at(&self.node, subscription).is_some_and(|ends_at| ends_at <= now)
        });
        let (mut over, mut asked) = (Vec::new(), Vec::new());
        for subscription in ended {
            let channel = Arc::clone(&subscription.channel);
            match subscription.refresh {
                RefreshBy::Client => over.push((channel, subscription.origin)),
                RefreshBy::Server => asked.push((channel, subscription.progress())),
            }
        }
        if over.is_empty() && asked.is_empty() {
            return Expired::Nothing;
        }
        let asks = asked.into_iter().map(|(channel, progress)| {
            if let Some(subscription) = connected.subscriptions.find_mut(&channel) {
                let until = after(now, settings.expired_sub_close_delay);
                subscription.expiry = Some(until).into();
            }
            let resolved = self.node.namespaces.resolve_trusted(&channel);
            let event = SubRefreshEvent {
                client: connected.view(&*self.transport),
                namespace: resolved
                    .map_or_else(|_| String::new(), |resolved| resolved.namespace.to_owned()),
                channel: channel.to_string(),
            };
            (progress, event)
        });
        let asks = asks.collect();
        Expired::Subscriptions { over, asks }
    }

    pub(super) fn end_expired(self: &Arc<Self>, expired: Expired) {
        match expired {
            Expired::Nothing => {}
            Expired::Connection => self.disconnect(Disconnect::EXPIRED),
            Expired::Subscriptions { over, asks } => {
                for (progress, event) in asks {
                    let client = Arc::clone(self);
                    tokio::spawn(
                        async move { client.ask_to_stay_subscribed(progress, event).await },
                    );
                }
                for (channel, origin) in over {
                    self.end_expired_subscription(&channel, origin);
                }
            }
            Expired::ConnectionAsks(event) => {
                let client = Arc::clone(self);
                tokio::spawn(async move { client.ask_to_go_on(*event).await });
            }
        }
    }

    fn end_expired_subscription(self: &Arc<Self>, channel: &str, origin: Origin) {
        match origin {
            Origin::Client => self.end_subscription(channel, UnsubscribeCode::Expired),
            Origin::Server | Origin::Token => self.disconnect(Disconnect::SUBSCRIPTION_EXPIRED),
        }
    }

    /// Asks the application whether the client may stay.
    async fn ask_to_go_on(self: Arc<Self>, event: RefreshEvent) {
        let Some(handler) = &self.node.handlers.refresh else {
            return;
        };
        match self.node.call(handler, event).await.map_err(Failure::from) {
            Ok(refreshed) if is_ahead(refreshed.expire_at, self.node.now()) => {
                self.go_on(refreshed);
            }
            Ok(_) => self.disconnect(Disconnect::EXPIRED),
            Err(Failure::Disconnect(disconnect)) => self.disconnect(disconnect),
            Err(failure) => tracing::debug!(client = &*self.id, %failure, "not refreshed yet"),
        }
    }

    fn go_on(self: &Arc<Self>, refreshed: Refreshed) {
        let mut state = self.state.lock();
        let Phase::Connected(connected) = &mut state.phase else {
            return;
        };
        connected.expiry = refreshed.expire_at.into();
        if let Some(meta) = refreshed.meta {
            connected.set_meta(meta);
        }
        if let Some(info) = refreshed.info {
            self.set_info(connected, info);
        }
        self.set_alarm(&mut state);
    }

    /// Asks the application whether a subscription may stay. Does nothing to one that has ended meanwhile.
    async fn ask_to_stay_subscribed(self: Arc<Self>, progress: Progress, event: SubRefreshEvent) {
        let Some(handler) = &self.node.handlers.sub_refresh else {
            return;
        };
        let channel = event.channel.clone();
        let ended_origin = match self.node.call(handler, event).await.map_err(Failure::from) {
            Ok(refreshed) => self.stay_subscribed(&channel, progress, refreshed),
            Err(Failure::Disconnect(disconnect)) => return self.disconnect(disconnect),
            Err(failure) => {
                tracing::debug!(client = &*self.id, %failure, "a subscription is not refreshed yet");
                None
            }
        };
        if let Some(origin) = ended_origin {
            self.end_expired_subscription(&channel, origin);
        }
    }

    /// Gives a subscription its new time. Returns its origin if that time is over already.
    fn stay_subscribed(
        self: &Arc<Self>,
        channel: &str,
        progress: Progress,
        refreshed: SubRefreshed,
    ) -> Option<Origin> {
        let mut state = self.state.lock();
        let connected = state.connected().ok()?;
        let subscription = connected.subscriptions.find_mut(channel);
        let subscription =
            subscription.filter(|subscription| subscription.progress() == progress)?;
        if !is_ahead(refreshed.expire_at, self.node.now()) {
            return Some(subscription.origin);
        }
        subscription.expiry = refreshed.expire_at.into();
        if let Some(info) = refreshed.info {
            subscription.set_chan_info(info.into());
            if let Progress::Active(generation) = progress {
                let info = info_in(&connected.info, &subscription.chan_info());
                self.show(subscription, generation, info);
            }
        }
        self.set_alarm(&mut state);
        None
    }

    pub(crate) fn extend(self: &Arc<Self>, expire_at: Option<UnixMillis>) {
        let mut state = self.state.lock();
        if let Phase::Connected(connected) = &mut state.phase {
            connected.expiry = expire_at.into();
            self.set_alarm(&mut state);
        }
    }
}

/// Returns the time after the expiry of a connection in which its client can still refresh it.
fn connection_delay(node: &NodeShared) -> Duration {
    match node.handlers.refresh {
        Some(_) => Duration::ZERO,
        None => node.settings.expired_close_delay,
    }
}

/// Returns when a subscription ends, or when the application is asked about it.
fn ends_at(node: &NodeShared, subscription: &Subscription) -> Option<UnixMillis> {
    let delay = match subscription.refresh {
        RefreshBy::Client => node.settings.expired_sub_close_delay,
        RefreshBy::Server => Duration::ZERO,
    };
    subscription.expiry.at().map(|at| after(at, delay))
}

fn is_ahead(expire_at: Option<UnixMillis>, now: UnixMillis) -> bool {
    expire_at.is_none_or(|at| at > now)
}

fn after(at: UnixMillis, delay: Duration) -> UnixMillis {
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    UnixMillis(at.0.saturating_add(delay))
}
