//! The broker of a run: the truth about each channel, and what the nodes are given of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use sockeye_hub::{
    Answer, Broker, BrokerError, BrokerEvents, ClientInfo, Epoch, History, HistoryQuery, Limit,
    Publication, PublishOptions, Published, StreamPosition,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::{random::Random, simulation};

pub(crate) const HISTORY_SIZE: usize = 12;

/// What goes wrong, per mille.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) failed: u64,
    pub(crate) lagging: u64,
    /// Milliseconds. The longest wait for an answer or a delivery.
    pub(crate) delay_max: u64,
}

/// All nodes' broker.
pub(crate) struct Backbone {
    state: Mutex<State>,
}

struct State {
    weather: Weather,
    seed: u64,
    channels: BTreeMap<Arc<str>, Channel>,
    nodes: Vec<Arc<Link>>,
}

struct Channel {
    /// One for each channel: nodes ask about different channels in no certain order.
    random: Random,
    /// New histories so far.
    histories: u64,
    epoch: Epoch,
    top: u64,
    kept: VecDeque<Arc<Publication>>,
    /// Every publication that there ever was.
    all: HashMap<(Epoch, u64), Arc<Publication>>,
}

/// A node, as the broker sees it.
pub(crate) struct Link {
    events: OnceLock<Arc<dyn BrokerEvents>>,
    /// Channels, with the number of the subscription: what is on its way for an earlier one does not come any more.
    subscribed: Mutex<BTreeMap<Arc<str>, u64>>,
    subscriptions: AtomicU64,
    /// Whether the node was killed: nothing that it still tries happens.
    is_dead: AtomicBool,
    /// Deliveries on their way, in order for each channel.
    queues: Mutex<HashMap<Arc<str>, UnboundedSender<Queued>>>,
}

enum Delivery {
    Publication(Arc<Publication>, Option<StreamPosition>),
    Join(Arc<ClientInfo>),
    Leave(Arc<ClientInfo>),
}

/// A delivery for the subscription with this number.
struct Queued(u64, Delivery);

/// One node's broker.
pub(crate) struct NodeBroker {
    backbone: Arc<Backbone>,
    link: Arc<Link>,
}

/// What the truth says about a channel at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Truth {
    pub(crate) position: StreamPosition,
    /// Offset of the oldest publication that is kept; `top + 1` if none is.
    pub(crate) first: u64,
}

impl Backbone {
    pub(crate) fn new(seed: u64, weather: Weather) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                weather,
                seed,
                channels: BTreeMap::new(),
                nodes: Vec::new(),
            }),
        })
    }

    /// Makes the broker of one more node.
    pub(crate) fn connect(self: &Arc<Self>) -> (NodeBroker, Arc<Link>) {
        let link = Arc::new(Link {
            events: OnceLock::new(),
            subscribed: Mutex::default(),
            subscriptions: AtomicU64::new(0),
            is_dead: AtomicBool::new(false),
            queues: Mutex::default(),
        });
        self.state.lock().unwrap().nodes.push(Arc::clone(&link));
        let broker = NodeBroker {
            backbone: Arc::clone(self),
            link: Arc::clone(&link),
        };
        (broker, link)
    }

    /// A node is gone.
    pub(crate) fn disconnect(&self, link: &Arc<Link>) {
        let mut state = self.state.lock().unwrap();
        state.nodes.retain(|other| !Arc::ptr_eq(other, link));
        link.is_dead.store(true, Ordering::Relaxed);
        link.queues.lock().unwrap().clear();
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.state.lock().unwrap().weather = weather;
    }

    pub(crate) fn truth(&self, channel: &str) -> Truth {
        let mut state = self.state.lock().unwrap();
        let channel = state.channel(&channel.into());
        Truth {
            position: channel.position(),
            first: channel.top + 1 - channel.kept.len() as u64,
        }
    }

    pub(crate) fn publication(
        &self,
        channel: &str,
        epoch: &str,
        offset: u64,
    ) -> Option<Arc<Publication>> {
        let mut state = self.state.lock().unwrap();
        let channel = state.channel(&channel.into());
        channel.all.get(&(Epoch::new(epoch), offset)).cloned()
    }

    /// Begins a new history, as a broker without a disk does after a crash.
    pub(crate) fn lose_history(&self, channel: &str) {
        let mut state = self.state.lock().unwrap();
        let name = channel;
        let channel = state.channel(&channel.into());
        channel.histories += 1;
        channel.epoch = Epoch::new(&format!("{name}{}", channel.histories));
        channel.top = 0;
        channel.kept.clear();
    }

    /// Drops publications, as their time is over.
    pub(crate) fn expire(&self, channel: &str) {
        let mut state = self.state.lock().unwrap();
        state.channel(&channel.into()).kept.clear();
    }

    fn pause(&self, channel: &Arc<str>) -> impl Future<Output = ()> + use<> {
        let delay = {
            let mut state = self.state.lock().unwrap();
            let delay_max = state.weather.delay_max;
            let random = &mut state.channel(channel).random;
            match random.below(3) {
                _ if delay_max == 0 => 0,
                0 => random.below(delay_max),
                _ => 0,
            }
        };
        async move {
            if delay > 0 {
                simulation::wait(delay).await;
            }
        }
    }

    fn fails(&self, channel: &Arc<str>) -> Result<(), BrokerError> {
        let mut state = self.state.lock().unwrap();
        let failed = state.weather.failed;
        match state.channel(channel).random.below(1_000) < failed {
            true => Err(BrokerError::Unavailable {
                message: "the weather".to_owned(),
            }),
            false => Ok(()),
        }
    }

    /// Sends something to all nodes that have subscribed.
    fn send(
        self: &Arc<Self>,
        state: &mut State,
        channel: &Arc<str>,
        delivery: impl Fn() -> Delivery,
    ) {
        let weather = state.weather;
        for link in state.nodes.clone() {
            let Some(subscription) = link.subscription(channel) else {
                continue;
            };
            let random = &mut state.channel(channel).random;
            let times = match delivery() {
                Delivery::Publication(..) if random.below(1_000) < weather.lost => 0,
                Delivery::Publication(..) if random.below(1_000) < weather.repeated => 2,
                _ => 1,
            };
            for _ in 0..times {
                self.queue(&link, channel, Queued(subscription, delivery()));
            }
        }
    }

    fn queue(self: &Arc<Self>, link: &Arc<Link>, channel: &Arc<str>, delivery: Queued) {
        let mut queues = link.queues.lock().unwrap();
        let queue = queues.entry(Arc::clone(channel)).or_insert_with(|| {
            let (sender, mut queue) = unbounded_channel();
            let (backbone, channel) = (Arc::clone(self), Arc::clone(channel));
            let link = Arc::downgrade(link);
            tokio::spawn(async move {
                while let Some(Queued(subscription, delivery)) = queue.recv().await {
                    backbone.pause(&channel).await;
                    let Some(link) = link.upgrade() else { return };
                    if link.subscription(&channel) == Some(subscription) {
                        link.deliver(&channel, &delivery);
                    }
                }
            });
            sender
        });
        let _ = queue.send(delivery);
    }
}

impl State {
    fn channel(&mut self, name: &Arc<str>) -> &mut Channel {
        let seed = self.seed;
        self.channels.entry(Arc::clone(name)).or_insert_with(|| {
            let number = name
                .bytes()
                .fold(seed, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
            Channel {
                random: Random(number),
                histories: 0,
                epoch: Epoch::new(&format!("{name}0")),
                top: 0,
                kept: VecDeque::new(),
                all: HashMap::new(),
            }
        })
    }
}

impl Channel {
    fn position(&self) -> StreamPosition {
        StreamPosition {
            offset: self.top,
            epoch: self.epoch.clone(),
        }
    }

    fn push(&mut self, mut publication: Publication) -> Arc<Publication> {
        self.top += 1;
        publication.offset = self.top;
        let publication = Arc::new(publication);
        self.all
            .insert((self.epoch.clone(), self.top), Arc::clone(&publication));
        self.kept.push_back(Arc::clone(&publication));
        if self.kept.len() > HISTORY_SIZE {
            self.kept.pop_front();
        }
        publication
    }

    /// Answers as if the newest `missing` publications had not come yet.
    fn read(&self, query: &HistoryQuery, missing: u64) -> History {
        let top = self.top.saturating_sub(missing);
        let since = query.since.as_ref().map_or(0, |since| since.offset);
        let limit = match query.limit {
            Limit::PositionOnly => 0,
            Limit::AtMost(limit) => limit,
            Limit::All => usize::MAX,
        };
        let kept = self.kept.iter();
        let wanted = kept.filter(|publication| (since + 1..=top).contains(&publication.offset));
        let publications = match query.reverse {
            true => wanted.rev().take(limit).cloned().collect(),
            false => wanted.take(limit).cloned().collect(),
        };
        History {
            publications,
            position: match top {
                // The replica doesn't know the channel yet.
                0 if missing > 0 => StreamPosition::default(),
                _ => StreamPosition {
                    offset: top,
                    epoch: self.epoch.clone(),
                },
            },
        }
    }
}

impl Link {
    fn deliver(&self, channel: &Arc<str>, delivery: &Delivery) {
        let Some(events) = self.events.get() else {
            return;
        };
        match delivery {
            Delivery::Publication(publication, position) => {
                events.publication(channel, publication, position.as_ref());
            }
            Delivery::Join(info) => events.join(channel, info),
            Delivery::Leave(info) => events.leave(channel, info),
        }
    }

    pub(crate) fn subscribed(&self) -> BTreeSet<Arc<str>> {
        self.subscribed.lock().unwrap().keys().cloned().collect()
    }

    fn subscription(&self, channel: &str) -> Option<u64> {
        self.subscribed.lock().unwrap().get(channel).copied()
    }
}

impl NodeBroker {
    fn lives(&self) -> Result<(), BrokerError> {
        match self.link.is_dead.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(BrokerError::Unavailable {
                message: "the node is dead".to_owned(),
            }),
        }
    }

    /// Tells the nodes that a client has come or gone.
    fn announce<'a>(
        &'a self,
        channel: &Arc<str>,
        delivery: impl Fn() -> Delivery + Send + 'a,
    ) -> Answer<'a, Result<(), BrokerError>> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.backbone.pause(&channel).await;
            self.lives()?;
            let mut state = self.backbone.state.lock().unwrap();
            self.backbone.send(&mut state, &channel, delivery);
            Ok(())
        })
    }
}

impl Broker for NodeBroker {
    fn start(&self, events: Arc<dyn BrokerEvents>) {
        assert!(self.link.events.set(events).is_ok());
    }

    fn subscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.backbone.pause(&channel).await;
            self.backbone.fails(&channel)?;
            let number = self.link.subscriptions.fetch_add(1, Ordering::Relaxed);
            self.link
                .subscribed
                .lock()
                .unwrap()
                .entry(Arc::clone(&channel))
                .or_insert(number);
            self.backbone.pause(&channel).await;
            Ok(())
        })
    }

    fn unsubscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.backbone.pause(&channel).await;
            self.link.subscribed.lock().unwrap().remove(&channel);
            Ok(())
        })
    }

    fn publish(
        &self,
        channel: &Arc<str>,
        publication: Publication,
        options: PublishOptions,
    ) -> Answer<'_, Result<Published, BrokerError>> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.backbone.pause(&channel).await;
            self.backbone.fails(&channel)?;
            self.lives()?;
            let mut state = self.backbone.state.lock().unwrap();
            let state = &mut *state;
            assert!(options.keeps_history());
            let entry = state.channel(&channel);
            let publication = entry.push(publication);
            let position = entry.position();
            self.backbone.send(state, &channel, || {
                Delivery::Publication(Arc::clone(&publication), Some(position.clone()))
            });
            Ok(Published {
                position: Some(position),
                suppressed: None,
            })
        })
    }

    fn publish_join(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.announce(channel, move || Delivery::Join(Arc::clone(&info)))
    }

    fn publish_leave(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.announce(channel, move || Delivery::Leave(Arc::clone(&info)))
    }

    fn history(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
    ) -> Answer<'_, Result<History, BrokerError>> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.backbone.pause(&channel).await;
            self.backbone.fails(&channel)?;
            let history = {
                let mut state = self.backbone.state.lock().unwrap();
                let state = &mut *state;
                let lagging = state.weather.lagging;
                let channel = state.channel(&channel);
                let missing = match channel.random.below(1_000) < lagging {
                    true => channel.random.below(4),
                    false => 0,
                };
                channel.read(&query, missing)
            };
            self.backbone.pause(&channel).await;
            Ok(history)
        })
    }

    fn remove_history(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        self.backbone.expire(channel);
        Answer::now(Ok(()))
    }
}
