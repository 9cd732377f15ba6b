//! Connections and subscriptions whose time is over.

use std::{sync::Arc, time::Duration};

use super::{
    Client, Failure,
    state::{Phase, State},
    subscriptions::Origin,
};
use crate::{
    Disconnect, UnixMillis, UnsubscribeCode,
    node::{RefreshEvent, Refreshed},
};

/// What is over.
pub(super) enum Expired {
    Nothing,
    /// The application is asked for a new time.
    ConnectionAsks(Box<RefreshEvent>),
    Connection,
    Subscriptions(Vec<(Arc<str>, Origin)>),
}

impl Client {
    /// Returns the time of the node's clock that does not jump, at which something is over.
    pub(super) fn expiry(&self, state: &State) -> Option<Duration> {
        let Phase::Connected(connected) = &state.phase else {
            return None;
        };
        let settings = &self.node.settings;
        let delay = match self.node.handlers.refresh {
            Some(_) => Duration::ZERO,
            None => settings.expired_close_delay,
        };
        let connection = connected.expire_at.map(|at| after(at, delay));
        let subscriptions = connected.subscriptions.iter();
        let subscriptions = subscriptions
            .filter_map(|subscription| subscription.expire_at)
            .map(|at| after(at, settings.expired_sub_close_delay));
        let first = subscriptions.chain(connection).min()?;
        // One millisecond more, since both clocks round down.
        let left = first.since(self.node.now()) + Duration::from_millis(1);
        Some(self.node.elapsed() + left)
    }

    pub(super) fn expired(&self, state: &State) -> Expired {
        let Phase::Connected(connected) = &state.phase else {
            return Expired::Nothing;
        };
        let settings = &self.node.settings;
        let now = self.node.now();
        if let Some(at) = connected.expire_at {
            if self.node.handlers.refresh.is_some() {
                if at <= now {
                    return Expired::ConnectionAsks(Box::new(RefreshEvent {
                        client: connected.view(self.transport.name()),
                        channel: None,
                    }));
                }
            } else if after(at, settings.expired_close_delay) <= now {
                return Expired::Connection;
            }
        }
        let over: Vec<_> = connected
            .subscriptions
            .iter()
            .filter(|subscription| {
                subscription
                    .expire_at
                    .is_some_and(|at| after(at, settings.expired_sub_close_delay) <= now)
            })
            .map(|subscription| (Arc::clone(&subscription.channel), subscription.origin))
            .collect();
        match over.is_empty() {
            true => Expired::Nothing,
            false => Expired::Subscriptions(over),
        }
    }

    pub(super) fn end_expired(self: &Arc<Self>, expired: Expired) {
        match expired {
            Expired::Nothing => {}
            Expired::Connection => self.disconnect(Disconnect::EXPIRED),
            Expired::Subscriptions(channels) => {
                for (channel, origin) in channels {
                    match origin {
                        Origin::Client => self.end_subscription(&channel, UnsubscribeCode::Expired),
                        Origin::Server => return self.disconnect(Disconnect::SUBSCRIPTION_EXPIRED),
                    }
                }
            }
            Expired::ConnectionAsks(event) => {
                let client = Arc::clone(self);
                tokio::spawn(async move { client.ask_to_go_on(*event).await });
            }
        }
    }

    /// Asks the application whether the client may stay.
    async fn ask_to_go_on(self: Arc<Self>, event: RefreshEvent) {
        let Some(handler) = &self.node.handlers.refresh else {
            return;
        };
        // Until it has answered the connection counts as valid, for as long as clients have.
        let delay = self.node.settings.expired_close_delay;
        self.extend(Some(after(self.node.now(), delay)));
        match self.node.call(handler, event).await.map_err(Failure::from) {
            Ok(Refreshed { expire_at, .. }) if expire_at.is_none_or(|at| at > self.node.now()) => {
                self.extend(expire_at);
            }
            Ok(_) => self.disconnect(Disconnect::EXPIRED),
            Err(Failure::Disconnect(disconnect)) => self.disconnect(disconnect),
            Err(_) => {}
        }
    }

    pub(crate) fn extend(self: &Arc<Self>, expire_at: Option<UnixMillis>) {
        let mut state = self.state.lock();
        if let Phase::Connected(connected) = &mut state.phase {
            connected.expire_at = expire_at;
            self.set_alarm(&mut state);
        }
    }
}

fn after(at: UnixMillis, delay: Duration) -> UnixMillis {
    let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    UnixMillis(at.0.saturating_add(delay))
}
