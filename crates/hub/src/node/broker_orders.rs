//! What the node tells its broker about a channel, in the order in which it happened, when the broker takes time.
//!
//! A broker on another machine answers later. Were each order sent by itself, a leave could overtake its join, and the end
//! of a subscription the beginning of the next one. So a channel has one order under way at a time. A broker that answers
//! at once never makes anything wait.

use std::{
    collections::{HashMap, VecDeque},
    future::Future as _,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::NodeShared;
use crate::{BrokerError, ClientInfo};

/// Something that the broker is told about a channel.
pub(crate) enum BrokerOrder {
    /// Deliver the channel to this node. The result goes to the client that waits for it.
    Subscribe(oneshot::Sender<Result<(), BrokerError>>),
    /// Deliver it no longer, if it has no subscriber any more.
    Unsubscribe,
    Join(Arc<ClientInfo>),
    Leave(Arc<ClientInfo>),
    /// The channel is a map of subscribers, and one more is there.
    Enter {
        key: Arc<str>,
        info: Option<Arc<ClientInfo>>,
    },
    /// A subscriber is there no longer.
    Exit(Arc<str>),
    /// Remove the entry of a client that is not subscribed any more from a map.
    Remove(Arc<str>),
}

/// The orders that wait, by channel. A channel has an entry while one of its orders is under way.
pub(crate) struct BrokerOrders {
    parts: Box<[Mutex<Part>]>,
    hasher: RandomState,
}

type Part = HashMap<Arc<str>, VecDeque<BrokerOrder>>;

/// Orders about one channel that wait for the broker. Beyond it joins and leaves are dropped, and subscriptions fail.
pub(crate) const BROKER_ORDERS_MAX: usize = 4_096;

/// Orders about one map of subscribers that wait for the broker. Beyond it no subscription begins that the map would follow.
/// Those that have begun can still end, so there are at most as many more orders as subscriptions that the map follows.
pub(crate) const MAP_ORDERS_MAX: usize = 65_536;

/// Enough that two cores seldom want the same one.
const PARTS: usize = 64;

impl BrokerOrders {
    pub(crate) fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the order if it can be carried out now; [`BrokerOrders::next`] has to be called afterwards.
    fn begin(&self, channel: &Arc<str>, order: BrokerOrder) -> Option<BrokerOrder> {
        let mut part = self.part(channel).lock();
        let Some(waiting) = part.get_mut(channel) else {
            part.insert(Arc::clone(channel), VecDeque::new());
            return Some(order);
        };
        let is_full = waiting.len() >= BROKER_ORDERS_MAX;
        match (order, waiting.back()) {
            (BrokerOrder::Unsubscribe, Some(BrokerOrder::Unsubscribe)) => {}
            // What would stay in a map forever is not dropped: `MAP_ORDERS_MAX` refuses the subscriptions that cause it.
            (
                order @ (BrokerOrder::Unsubscribe
                | BrokerOrder::Enter { .. }
                | BrokerOrder::Exit(_)
                | BrokerOrder::Remove(_)),
                _,
            ) => waiting.push_back(order),
            (BrokerOrder::Subscribe(answer), _) if is_full => {
                let message =
                    format!("{BROKER_ORDERS_MAX} orders about a channel wait for the broker");
                let _ = answer.send(Err(BrokerError::Unavailable { message }));
            }
            (BrokerOrder::Join(_) | BrokerOrder::Leave(_), _) if is_full => {
                tracing::warn!(%channel, "the broker is so slow that a join or a leave is not told");
            }
            (order, _) => waiting.push_back(order),
        }
        None
    }

    /// Returns the next order about a channel, whose last one was carried out.
    fn next(&self, channel: &Arc<str>) -> Option<BrokerOrder> {
        let mut part = self.part(channel).lock();
        let next = part.get_mut(channel)?.pop_front();
        if next.is_none() {
            part.remove(channel);
        }
        next
    }

    /// Returns how many orders about a channel wait.
    pub(crate) fn waiting(&self, channel: &str) -> usize {
        let part = self.part(channel).lock();
        part.get(channel).map_or(0, VecDeque::len)
    }

    fn part(&self, channel: &str) -> &Mutex<Part> {
        let hash = self.hasher.hash_one(channel);
        &self.parts[hash as usize % self.parts.len()]
    }
}

impl NodeShared {
    /// Tells the broker something about a channel: now if it can be, after the earlier orders otherwise. What the broker
    /// doesn't answer at once goes on in a task.
    pub(crate) fn tell_broker(self: &Arc<Self>, channel: &Arc<str>, order: BrokerOrder) {
        let mut next = self.broker_orders.begin(channel, order);
        while let Some(order) = next {
            let mut told = Box::pin(Arc::clone(self).carry_out(Arc::clone(channel), order));
            let mut context = Context::from_waker(Waker::noop());
            if told.as_mut().poll(&mut context) == Poll::Pending {
                let node = Arc::clone(self);
                let channel = Arc::clone(channel);
                tokio::spawn(async move {
                    told.await;
                    while let Some(order) = node.broker_orders.next(&channel) {
                        Arc::clone(&node)
                            .carry_out(Arc::clone(&channel), order)
                            .await;
                    }
                });
                return;
            }
            next = self.broker_orders.next(channel);
        }
    }

    async fn carry_out(self: Arc<Self>, channel: Arc<str>, order: BrokerOrder) {
        let (told, what) = match order {
            BrokerOrder::Subscribe(answer) => {
                // Nobody waits for it if the client is gone: then its end has ordered the opposite.
                let _ = answer.send(self.broker.subscribe(&channel).await);
                return;
            }
            BrokerOrder::Unsubscribe if self.channels.has_subscribers(&channel) => return,
            BrokerOrder::Unsubscribe => (
                self.broker.unsubscribe(&channel).await,
                "the end of a subscription",
            ),
            BrokerOrder::Join(info) => (self.broker.publish_join(&channel, info).await, "a join"),
            BrokerOrder::Leave(info) => {
                (self.broker.publish_leave(&channel, info).await, "a leave")
            }
            BrokerOrder::Enter { key, info } => {
                (self.enter_map(&channel, &key, info).await, "an entry")
            }
            BrokerOrder::Exit(key) => (self.leave_map(&channel, &key).await, "an entry's end"),
            BrokerOrder::Remove(key) => (self.remove_from_map(&channel, key).await, "a removal"),
        };
        if let Err(error) = told {
            tracing::warn!(%error, what, "the broker was not told");
        }
    }
}
