//! A broker, what it has delivered, and short ways to use it.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use sockeye_hub::{
    Answer, ClientInfo, Epoch, Publication, RareBytes, StreamPosition, Tags, UnixMillis,
    broker::{
        Broker, BrokerError, BrokerEvents, History, HistoryQuery, Limit, PublishOptions, Published,
    },
};
use tokio::runtime::Builder;

use crate::fixture::Fixture;

/// One node with a broker.
pub(crate) struct World<F> {
    pub(crate) broker: Arc<dyn Broker>,
    fixture: F,
    recorder: Arc<Recorder>,
}

/// What a broker delivered, in the order of delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    Publication {
        channel: String,
        data: String,
        /// The offset in the publication; 0 if it has no position.
        offset: u64,
    },
    Join {
        channel: String,
        client: String,
    },
    Leave {
        channel: String,
        client: String,
    },
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Delivered>>);

impl<F: Fixture> World<F> {
    pub(crate) fn new() -> Self {
        let recorder = Arc::new(Recorder::default());
        Self::start(recorder.clone(), recorder)
    }

    /// Creates a world whose deliveries go to `events`.
    pub(crate) fn with_events(events: Arc<dyn BrokerEvents>) -> Self {
        Self::start(events, Arc::default())
    }

    fn start(events: Arc<dyn BrokerEvents>, recorder: Arc<Recorder>) -> Self {
        let fixture = F::new();
        let broker = fixture.broker();
        broker.start(events);
        Self {
            broker,
            fixture,
            recorder,
        }
    }

    /// Returns what an answer gives. Any thread may call it.
    pub(crate) fn wait<T: Unpin>(&self, answer: Answer<'_, T>) -> T {
        answer.try_now().unwrap_or_else(|later| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(later)
        })
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.fixture.pass(time);
    }

    pub(crate) fn subscribe(&self, channel: &str) {
        let channel = channel.into();
        self.wait(self.broker.subscribe(&channel)).unwrap();
    }

    pub(crate) fn unsubscribe(&self, channel: &str) {
        let channel = channel.into();
        self.wait(self.broker.unsubscribe(&channel)).unwrap();
    }

    pub(crate) fn try_publish(
        &self,
        channel: &str,
        data: &str,
        options: PublishOptions,
    ) -> Result<Published, BrokerError> {
        let publication = publication(data);
        let channel = channel.into();
        self.wait(self.broker.publish(&channel, publication, options))
    }

    pub(crate) fn publish(&self, channel: &str, data: &str, options: PublishOptions) -> Published {
        self.try_publish(channel, data, options).unwrap()
    }

    /// Publishes into a history of 100 for a minute, and returns the position.
    pub(crate) fn keep(&self, channel: &str, data: &str) -> StreamPosition {
        let published = self.publish(channel, data, kept());
        published.position.expect("it was for the history")
    }

    pub(crate) fn history(&self, channel: &str, query: HistoryQuery) -> History {
        let channel = channel.into();
        self.wait(self.broker.history(&channel, query)).unwrap()
    }

    /// Returns the offsets in the answer.
    pub(crate) fn offsets(&self, channel: &str, query: HistoryQuery) -> Vec<u64> {
        let history = self.history(channel, query);
        history.publications.iter().map(|it| it.offset).collect()
    }

    pub(crate) fn position(&self, channel: &str) -> StreamPosition {
        self.history(channel, HistoryQuery::default()).position
    }

    pub(crate) fn remove_history(&self, channel: &str) {
        let channel = channel.into();
        self.wait(self.broker.remove_history(&channel)).unwrap();
    }

    pub(crate) fn join(&self, channel: &str, info: Arc<ClientInfo>) {
        let channel = channel.into();
        self.wait(self.broker.publish_join(&channel, info)).unwrap();
    }

    pub(crate) fn leave(&self, channel: &str, info: Arc<ClientInfo>) {
        let channel = channel.into();
        self.wait(self.broker.publish_leave(&channel, info))
            .unwrap();
    }

    /// Takes what was delivered since the last call.
    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        mem::take(&mut *self.recorder.0.lock().unwrap())
    }
}

impl BrokerEvents for Recorder {
    fn publication(
        &self,
        channel: &Arc<str>,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) {
        let offset = position.map_or(0, |position| position.offset);
        assert_eq!(publication.offset, offset, "they name the same place");
        self.0.lock().unwrap().push(Delivered::Publication {
            channel: channel.to_string(),
            data: text(publication),
            offset,
        });
    }

    fn join(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        self.0.lock().unwrap().push(Delivered::Join {
            channel: channel.to_string(),
            client: info.client.to_string(),
        });
    }

    fn leave(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        self.0.lock().unwrap().push(Delivered::Leave {
            channel: channel.to_string(),
            client: info.client.to_string(),
        });
    }
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A history of 100 for a minute, its position for an hour.
pub(crate) fn kept() -> PublishOptions {
    PublishOptions {
        history_size: 100,
        history_ttl: MINUTE,
        history_meta_ttl: 60 * MINUTE,
        ..PublishOptions::default()
    }
}

/// All of the history, or all since a position.
pub(crate) fn all(since: Option<StreamPosition>) -> HistoryQuery {
    HistoryQuery {
        limit: Limit::All,
        since,
        meta_ttl: 60 * MINUTE,
        ..HistoryQuery::default()
    }
}

pub(crate) fn at(offset: u64, epoch: &Epoch) -> StreamPosition {
    let epoch = epoch.clone();
    StreamPosition { offset, epoch }
}

/// Bytes. What a limit of bytes counts of a [`publication`]: data, tags and client.
pub(crate) fn content_bytes(data: &str) -> usize {
    let publication = publication(data);
    let info = publication.info.unwrap();
    let info = info.user.len() + info.client.len() + info.conn_info.len() + info.chan_info.len();
    data.len() + "room".len() + "7".len() + info
}

/// A publication with everything in it.
pub(crate) fn publication(data: &str) -> Publication {
    Publication {
        data: Bytes::copy_from_slice(data.as_bytes()),
        info: Some(client("publisher")),
        tags: [("room", "7")].into_iter().collect::<Tags>(),
        time: UnixMillis(1_800_000_000_123),
        ..Publication::default()
    }
}

pub(crate) fn client(client: &str) -> Arc<ClientInfo> {
    Arc::new(ClientInfo {
        user: "ann".into(),
        client: client.into(),
        conn_info: Bytes::from_static(br#"{"name":"Ann"}"#).into(),
        chan_info: RareBytes::default(),
    })
}

pub(crate) fn text(publication: &Publication) -> String {
    String::from_utf8(publication.data.to_vec()).unwrap()
}

pub(crate) fn delivery(channel: &str, data: &str, offset: u64) -> Delivered {
    Delivered::Publication {
        channel: channel.to_owned(),
        data: data.to_owned(),
        offset,
    }
}
