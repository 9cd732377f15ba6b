//! A broker that takes time, lags and loses, as a test says.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye_hub::{
    Answer, Broker, BrokerError, BrokerEvents, ClientInfo, History, HistoryQuery, ManualClock,
    Publication, PublishOptions, Published, StreamPosition, UnixMillis,
    broker::{Memory, MemoryLimits},
};

type Told = Result<(), BrokerError>;

/// What the broker does, which a test changes while it runs.
pub(crate) struct Script {
    memory: Memory,
    delay: Mutex<Duration>,
    /// Histories end here.
    lags_at: Mutex<Option<StreamPosition>>,
    loses: Arc<AtomicBool>,
    /// What it was told, in the order in which that was done.
    told: Mutex<Vec<&'static str>>,
    /// Questions about histories that it hasn't answered.
    pub(crate) asked: AtomicUsize,
    /// Questions so far.
    pub(crate) questions: AtomicUsize,
}

pub(crate) struct ScriptedBroker(pub(crate) Arc<Script>);

struct LossyEvents {
    events: Arc<dyn BrokerEvents>,
    loses: Arc<AtomicBool>,
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        let clock = ManualClock::at(UnixMillis(0));
        Arc::new(Self {
            memory: Memory::with_epoch_seed(Arc::new(clock), MemoryLimits::default(), 7),
            delay: Mutex::default(),
            lags_at: Mutex::default(),
            loses: Arc::default(),
            told: Mutex::default(),
            asked: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
        })
    }

    /// Each answer takes so long from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Histories are those of a replica that has come so far.
    pub(crate) fn lag_at(&self, position: Option<(u64, &str)>) {
        *self.lags_at.lock().unwrap() = position.map(|(offset, epoch)| StreamPosition {
            offset,
            epoch: epoch.into(),
        });
    }

    /// Whether deliveries are lost from now on.
    pub(crate) fn lose(&self, loses: bool) {
        self.loses.store(loses, Ordering::Relaxed);
    }

    /// Returns what it was told, and forgets it.
    pub(crate) fn take_told(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    async fn pause(&self) {
        let delay = *self.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    fn note(&self, what: &'static str) {
        self.told.lock().unwrap().push(what);
    }
}

impl Broker for ScriptedBroker {
    fn start(&self, events: Arc<dyn BrokerEvents>) {
        self.0.memory.start(Arc::new(LossyEvents {
            events,
            loses: Arc::clone(&self.0.loses),
        }));
    }

    fn subscribe(&self, channel: &Arc<str>) -> Answer<'_, Told> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.0.pause().await;
            self.0.note("subscribe");
            self.0.memory.subscribe(&channel).await
        })
    }

    fn unsubscribe(&self, channel: &Arc<str>) -> Answer<'_, Told> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.0.pause().await;
            self.0.note("unsubscribe");
            self.0.memory.unsubscribe(&channel).await
        })
    }

    fn publish(
        &self,
        channel: &Arc<str>,
        publication: Publication,
        options: PublishOptions,
    ) -> Answer<'_, Result<Published, BrokerError>> {
        self.0.memory.publish(channel, publication, options)
    }

    fn publish_join(&self, channel: &Arc<str>, info: Arc<ClientInfo>) -> Answer<'_, Told> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            self.0.pause().await;
            self.0.note("join");
            self.0.memory.publish_join(&channel, info).await
        })
    }

    fn publish_leave(&self, channel: &Arc<str>, info: Arc<ClientInfo>) -> Answer<'_, Told> {
        let channel = Arc::clone(channel);
        Answer::later(async move {
            // Faster than joins, so that it would overtake them.
            self.0.note("leave");
            self.0.memory.publish_leave(&channel, info).await
        })
    }

    fn history(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
    ) -> Answer<'_, Result<History, BrokerError>> {
        let channel = Arc::clone(channel);
        self.0.questions.fetch_add(1, Ordering::Relaxed);
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        Answer::later(async move {
            self.0.pause().await;
            self.0.asked.fetch_sub(1, Ordering::Relaxed);
            let mut history = self.0.memory.history(&channel, query).await?;
            if let Some(position) = self.0.lags_at.lock().unwrap().clone() {
                history
                    .publications
                    .retain(|publication| publication.offset <= position.offset);
                history.position = position;
            }
            Ok(history)
        })
    }

    fn remove_history(&self, channel: &Arc<str>) -> Answer<'_, Told> {
        self.0.memory.remove_history(channel)
    }
}

impl BrokerEvents for LossyEvents {
    fn publication(
        &self,
        channel: &Arc<str>,
        publication: &Arc<Publication>,
        position: Option<&StreamPosition>,
    ) {
        if !self.loses.load(Ordering::Relaxed) {
            self.events.publication(channel, publication, position);
        }
    }

    fn join(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        self.events.join(channel, info);
    }

    fn leave(&self, channel: &Arc<str>, info: &Arc<ClientInfo>) {
        self.events.leave(channel, info);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_as_long_as_the_script_says() {
    let script = Script::new();
    let broker = ScriptedBroker(Arc::clone(&script));
    let news: Arc<str> = "news".into();
    assert!(broker.history(&news, HistoryQuery::default()).await.is_ok());
    script.delay(Duration::from_secs(1));
    let answer = broker.history(&news, HistoryQuery::default());
    assert!(
        tokio::time::timeout(Duration::from_millis(999), answer)
            .await
            .is_err()
    );
}
