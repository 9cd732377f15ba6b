//! How a node is made.

use std::{
    future::Future,
    sync::{Arc, atomic::AtomicU64},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{
    ConnectEvent, Credentials, DisconnectEvent, MapChangeEvent, MapChangeGrant, MessageEvent, Node,
    NodeSettings, NodeShared, PublishEvent, PublishGrant, RefreshEvent, Refreshed, Rejection,
    RpcEvent, SubRefreshEvent, SubRefreshed, SubscribeEvent, SubscriptionGrant,
    broker_orders::BrokerOrders,
    catch_ups::CatchUps,
    channels::Channels,
    clients::Clients,
    deadlines::Deadlines,
    handlers::{Handlers, boxed},
    refusal_log::RefusalLog,
    shared::Deliveries,
    upkeep,
};
use crate::{
    Broker, Clock, MemoryMeter, SystemClock,
    broker::{Memory, MemoryLimits},
    map::Maps,
    memory::Unmetered,
    metrics::Recorder,
    namespace::Namespaces,
    presence::ChannelPresence,
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
    meter: Arc<dyn MemoryMeter>,
    clock: Arc<dyn Clock>,
    jitter_seed: Option<u64>,
    channel_presence: Option<ChannelPresence>,
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
            meter: Arc::new(Unmetered),
            clock: Arc::new(SystemClock),
            jitter_seed: None,
            channel_presence: None,
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

    /// Sets what knows who is in a channel's presence on all nodes. Without it a node knows its own clients alone.
    pub fn channel_presence(mut self, presence: ChannelPresence) -> Self {
        self.channel_presence = Some(presence);
        self
    }

    /// Sets what is told how many bytes clients make the node hold. Default: nothing is told.
    pub fn memory_meter(mut self, meter: impl MemoryMeter) -> Self {
        self.meter = Arc::new(meter);
        self
    }

    /// Sets the clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the times of first pings follow from `seed`, for tests that must repeat. Default: from the system's random
    /// numbers.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
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

    /// Decides whether a client may set or remove an entry of a map, and how. What clients may by the options of the channel
    /// doesn't count where it decides.
    pub fn on_map_change<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(MapChangeEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<MapChangeGrant>, Rejection>> + Send + 'static,
    {
        self.handlers.map_change = Some(boxed(handler));
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

    /// Decides whether a client whose time is over may stay. With it clients don't refresh themselves: they aren't told
    /// when they expire, and one that sends a refresh command is ended with 3501.
    ///
    /// While the function is asked, and after an error of it, the connection stays for
    /// [`NodeSettings::expired_close_delay`]; then it is asked again.
    pub fn on_refresh<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(RefreshEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Refreshed, Rejection>> + Send + 'static,
    {
        self.handlers.refresh = Some(boxed(handler));
        self
    }

    /// Decides whether a subscription whose time is over may stay, in the channels whose options have
    /// [`refresh_by_server`](crate::namespace::ChannelOptions::refresh_by_server).
    ///
    /// While the function is asked, and after an error of it, the subscription stays for
    /// [`NodeSettings::expired_sub_close_delay`]; then it is asked again.
    pub fn on_sub_refresh<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(SubRefreshEvent) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SubRefreshed, Rejection>> + Send + 'static,
    {
        self.handlers.sub_refresh = Some(boxed(handler));
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
        // Without random numbers pings are only less well spread.
        let jitter_seed = self.jitter_seed;
        let jitter_seed = jitter_seed.unwrap_or_else(|| getrandom::u64().unwrap_or_default());
        let maps = Maps::new(
            self.settings.map_limits,
            Arc::clone(&self.meter),
            Arc::clone(&self.clock),
            jitter_seed,
        );
        let recorder = Arc::new(Recorder::new(&self.settings.registered_client_names));
        let shared = Arc::new(NodeShared {
            id: uuid::Uuid::new_v4().to_string(),
            anonymous: Arc::from(""),
            started: self.clock.now(),
            namespaces: self.namespaces,
            handlers: self.handlers,
            verifier: self.verifier,
            subscription_verifier: self.subscription_verifier,
            broker,
            broker_orders: BrokerOrders::new(),
            maps,
            catch_ups: CatchUps::default(),
            calls: Semaphore::new(self.settings.handlers_max.clamp(1, Semaphore::MAX_PERMITS)),
            channels: Channels::new(
                Arc::clone(&self.meter),
                self.settings.waiting_bytes_max,
                Arc::clone(&recorder),
            ),
            meter: self.meter,
            channel_presence: self.channel_presence,
            clients: Clients::new(),
            deadlines: Deadlines::default(),
            recorder,
            refusals: RefusalLog::default(),
            settings: self.settings,
            clock: self.clock,
            next_number: AtomicU64::new(1),
            jitter: AtomicU64::new(jitter_seed),
        });
        let deliveries = Deliveries(Arc::downgrade(&shared));
        shared.broker.start(Arc::new(deliveries));
        shared.maps.start(&*shared.broker);
        tokio::spawn(upkeep::run(Arc::downgrade(&shared)));
        Node::new(shared)
    }
}
