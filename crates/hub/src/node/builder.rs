//! How a node is made.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;

use super::{
    ConnectEvent, Credentials, DisconnectEvent, MessageEvent, Node, NodeSettings, NodeShared,
    PublishEvent, PublishGrant, RefreshEvent, Refreshed, Rejection, RpcEvent, SubscribeEvent,
    SubscriptionGrant,
    channels::Channels,
    clients::Clients,
    deadlines::Deadlines,
    handlers::{Handlers, boxed},
    shared::{Counts, Deliveries},
    upkeep,
};
use crate::{
    Broker, Clock, SystemClock,
    broker::{Memory, MemoryLimits},
    namespace::Namespaces,
    token::Verifier,
};

/// Makes a [`Node`].
///
/// Functions of the application are asynchronous and may take their time: a client's other commands go on meanwhile, but
/// those about the same channel wait. `Ok(None)` leaves the decision to the options of the channel.
#[must_use = "nothing runs before `start`"]
pub struct NodeBuilder {
    settings: NodeSettings,
    namespaces: Namespaces,
    handlers: Handlers,
    verifier: Option<Verifier>,
    subscription_verifier: Option<Verifier>,
    broker: Option<Box<dyn Broker>>,
    clock: Arc<dyn Clock>,
}

impl NodeBuilder {
    pub(crate) fn new(namespaces: Namespaces) -> Self {
        Self {
            settings: NodeSettings::default(),
            namespaces,
            handlers: Handlers::default(),
            verifier: None,
            subscription_verifier: None,
            broker: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets how the node treats its clients.
    pub fn settings(mut self, settings: NodeSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets what carries publications and keeps history. The default keeps it in this process's memory.
    pub fn broker(mut self, broker: impl Broker) -> Self {
        self.broker = Some(Box::new(broker));
        self
    }

    /// Sets what checks tokens. Without it no token is accepted.
    pub fn verifier(mut self, verifier: Verifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// Sets what checks tokens of subscriptions, if that isn't the same.
    pub fn subscription_verifier(mut self, verifier: Verifier) -> Self {
        self.subscription_verifier = Some(verifier);
        self
    }

    /// Sets the clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Decides who a client without a token is.
    pub fn on_connect<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(ConnectEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Credentials>, Rejection>> + Send + 'static,
    {
        self.handlers.connect = Some(boxed(handler));
        self
    }

    /// Decides whether a client without a token may subscribe. Private channels and those that list users are not asked
    /// about.
    pub fn on_subscribe<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(SubscribeEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<SubscriptionGrant>, Rejection>> + Send + 'static,
    {
        self.handlers.subscribe = Some(boxed(handler));
        self
    }

    /// Decides whether a client may publish, and what.
    pub fn on_publish<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(PublishEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<PublishGrant>, Rejection>> + Send + 'static,
    {
        self.handlers.publish = Some(boxed(handler));
        self
    }

    /// Answers procedure calls of clients. Without it they fail with error 108.
    pub fn on_rpc<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(RpcEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, Rejection>> + Send + 'static,
    {
        self.handlers.rpc = Some(boxed(handler));
        self
    }

    /// Receives messages of clients that have no answer. Without it such a client is ended with 3508.
    pub fn on_message<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(MessageEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.handlers.message = Some(boxed(handler));
        self
    }

    /// Decides whether a client whose time is over may stay.
    pub fn on_refresh<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(RefreshEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Refreshed, Rejection>> + Send + 'static,
    {
        self.handlers.refresh = Some(boxed(handler));
        self
    }

    /// Hears of clients that have gone. It must not block.
    pub fn on_disconnect(
        mut self,
        handler: impl Fn(DisconnectEvent) + Send + Sync + 'static,
    ) -> Self {
        self.handlers.disconnect = Some(Box::new(handler));
        self
    }

    /// Starts the node.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, in which the node's upkeep runs.
    #[must_use]
    pub fn start(self) -> Node {
        let broker = self.broker.unwrap_or_else(|| {
            Box::new(Memory::new(
                Arc::clone(&self.clock),
                MemoryLimits::default(),
            ))
        });
        let shared = Arc::new(NodeShared {
            id: uuid::Uuid::new_v4().to_string(),
            started: self.clock.now(),
            settings: self.settings,
            namespaces: self.namespaces,
            handlers: self.handlers,
            verifier: self.verifier,
            subscription_verifier: self.subscription_verifier,
            broker,
            channels: Channels::new(),
            clients: Clients::new(),
            deadlines: Deadlines::default(),
            counts: Counts::default(),
            clock: self.clock,
            next_number: AtomicU64::new(1),
        });
        let deliveries = Deliveries(Arc::downgrade(&shared));
        shared.broker.start(Arc::new(deliveries));
        tokio::spawn(upkeep::run(Arc::downgrade(&shared)));
        Node::new(shared)
    }
}
