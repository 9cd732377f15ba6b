//! Ends of subscriptions.

use std::sync::Arc;

use super::{
    Client, Failure,
    subscriptions::{Origin, Progress},
};
use crate::{
    Disconnect, UnsubscribeCode,
    shard::Generation,
    wire::{Push, Reply, UnsubscribePush, UnsubscribeRequest, UnsubscribeResult},
};

impl Client {
    pub(super) fn unsubscribe(&self, request: &UnsubscribeRequest) -> Result<Reply, Failure> {
        if request.channel.is_empty() {
            return Err(Disconnect::BAD_REQUEST.into());
        }
        let removed = {
            let mut state = self.state.lock();
            let subscriptions = &mut state.connected()?.subscriptions;
            subscriptions.remove(&request.channel)
        };
        if let Some(subscription) = removed {
            self.abandon(&subscription);
        }
        self.drop_catch_up(&request.channel);
        Ok(Reply {
            unsubscribe: Some(UnsubscribeResult::default()),
            ..Reply::default()
        })
    }

    /// Ends a subscription and tells the client. Does nothing if there is none.
    pub(crate) fn end_subscription(self: &Arc<Self>, channel: &str, code: UnsubscribeCode) {
        let removed = {
            let mut state = self.state.lock();
            let Ok(connected) = state.connected() else {
                return;
            };
            connected.subscriptions.remove(channel)
        };
        let was_reading = self.drop_catch_up(channel);
        if let Some(subscription) = &removed {
            self.abandon(subscription);
        }
        if removed.is_some() || was_reading {
            self.tell_unsubscribed(channel, code);
        }
    }

    /// Ends a subscription that has missed something, so that the client recovers: it subscribes again, or connects again
    /// if the server has subscribed it.
    pub(crate) async fn lose(self: Arc<Self>, channel: &str, generation: Generation) {
        let removed = {
            let mut state = self.state.lock();
            let Ok(connected) = state.connected() else {
                return;
            };
            let found = connected.subscriptions.find(channel);
            match found.map(|found| (found.progress(), found.origin)) {
                Some((progress, _)) if progress != Progress::Active(generation) => return,
                Some((_, Origin::Client)) => connected.subscriptions.remove(channel),
                Some((_, Origin::Server | Origin::Token)) => None,
                None => return,
            }
        };
        match removed {
            Some(subscription) => {
                self.abandon(&subscription);
                self.tell_unsubscribed(channel, UnsubscribeCode::Insufficient);
            }
            None => self.disconnect(Disconnect::INSUFFICIENT_STATE),
        }
    }

    fn tell_unsubscribed(self: &Arc<Self>, channel: &str, code: UnsubscribeCode) {
        self.node.recorder.unsubscribed_by_server(code);
        let push = Push {
            channel: channel.to_owned(),
            unsubscribe: Some(UnsubscribePush::from(code)),
            ..Push::default()
        };
        if let Err(disconnect) = self.push(push) {
            self.disconnect(disconnect);
        }
    }
}
