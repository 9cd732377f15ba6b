//! The broker with a log.

use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    thread::JoinHandle,
};

use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use super::{
    LogSettings,
    queue::{Queue, closed},
    subscriptions::Subscriptions,
    thread::{self, LogTime, Receiver, Shared},
};
use crate::{
    Answer, ClientInfo, Clock, Publication, StreamPosition,
    broker::{
        Broker, BrokerError, BrokerEvents, History, HistoryQuery, PublishOptions, Published,
        epochs::Epochs,
    },
    log::{
        BootId, Directory, Disk, Health, Index, Log, LogError, LogReport, Order, Outcome, Presence,
        Reader,
    },
};

/// The broker of a single node that keeps histories in a log on the disk.
///
/// What is kept, positions and idempotency keys survive the process, however it ends. What survives a power cut is set by
/// [`LogSettings::sync`].
///
/// A clone is another handle of the same broker. When the last handle is dropped, or after [`LogBroker::close`], the log is
/// closed.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use sockeye_hub::{Publication, SystemClock};
/// use sockeye_hub::broker::{Broker, HistoryQuery, Limit, LogBroker, LogSettings, PublishOptions};
///
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("log");
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let news: Arc<str> = "news".into();
/// let options = PublishOptions {
///     history_size: 10,
///     history_ttl: Duration::from_secs(60),
///     ..PublishOptions::default()
/// };
/// let (broker, _) = LogBroker::open(&path, Arc::new(SystemClock), LogSettings::default())?;
/// let publication = Publication { data: "hello".into(), ..Publication::default() };
/// let published = broker.publish(&news, publication, options).await?;
/// broker.close();
///
/// let (broker, report) = LogBroker::open(&path, Arc::new(SystemClock), LogSettings::default())?;
/// assert_eq!(report.channels, 1);
/// let query = HistoryQuery { limit: Limit::All, ..HistoryQuery::default() };
/// let history = broker.history(&news, query).await?;
/// assert_eq!(history.publications[0].data, "hello");
/// assert_eq!(Some(history.position), published.position);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct LogBroker {
    handle: Arc<BrokerHandle>,
}

/// What the handles share. The thread doesn't hold it, so that the last handle closes the log.
struct BrokerHandle {
    shared: Arc<Shared>,
    index: Arc<Mutex<Index>>,
    health: Arc<Health>,
    settings: LogSettings,
    reads: Semaphore,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogBroker {
    /// Opens the log in `directory`, which is created if it is missing, and starts its thread. Reports what was found.
    ///
    /// # Errors
    ///
    /// Another process has the log, it is damaged, or the system refuses. Nothing has changed then.
    pub fn open(
        directory: &Path,
        clock: Arc<dyn Clock>,
        settings: LogSettings,
    ) -> Result<(Self, LogReport), LogError> {
        let disk = Arc::new(Directory::open(directory)?);
        Self::open_on(disk, clock, settings)
    }

    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        settings: LogSettings,
    ) -> Result<(Self, LogReport), LogError> {
        let seed = getrandom::u64().map_err(|error| LogError::Io {
            what: "cannot get random numbers".to_owned(),
            source: std::io::Error::other(error),
        })?;
        let (boot, epochs) = (BootId::current(), Epochs::new(seed));
        let (log, report) = Log::open(disk, settings.limits(), boot, epochs, clock.now().0)?;
        let (index, health) = (log.index().clone(), log.health().clone());
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.waiting_max, settings.waiting_bytes_max),
            subscriptions: Subscriptions::new(),
            receiver: OnceLock::new(),
            time: LogTime::new(clock, log.newest()),
        });
        let of_thread = shared.clone();
        let run = move || thread::run(&of_thread, log, settings.sync, settings.sync_interval);
        let builder = std::thread::Builder::new().name("hub-log".to_owned());
        let thread = builder.spawn(run).map_err(|source| LogError::Io {
            what: "cannot start the thread of the log".to_owned(),
            source,
        })?;
        let handle = BrokerHandle {
            shared,
            index,
            health,
            settings,
            reads: Semaphore::new(settings.reads_max.max(1)),
            thread: Mutex::new(Some(thread)),
        };
        let handle = Arc::new(handle);
        Ok((Self { handle }, report))
    }

    /// Closes the log after what waits already, and waits until it is closed. What comes later is refused. A start after it
    /// needn't read the log again.
    ///
    /// It blocks the thread while the disk is busy.
    pub fn close(&self) {
        self.handle.shared.queue.close();
        let thread = self.handle.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of the log has panicked");
        }
    }

    /// Returns why publications are refused that have to be written: the last write has failed, as on a full disk. It is over
    /// as soon as a write succeeds. The broker tries every second, so nobody has to publish for that.
    pub fn failure(&self) -> Option<BrokerError> {
        self.handle.health.failure()
    }

    /// Returns how many writes have failed since the start. One write may be that of several publications.
    pub fn failures(&self) -> u64 {
        self.handle.health.failures()
    }

    /// Returns whether the log's thread has ended by a panic. The broker refuses all that has to be written, for good.
    pub fn has_ended(&self) -> bool {
        self.handle.health.has_ended()
    }

    /// Hands an order to the log's thread.
    fn order(
        &self,
        order: Order,
    ) -> Result<impl Future<Output = Result<Outcome, BrokerError>> + Send + use<>, BrokerError>
    {
        let outcome: oneshot::Receiver<Outcome> = self.handle.shared.queue.push(order)?;
        Ok(async move {
            match outcome.await {
                Ok(Outcome::Refused(error)) => Err(error),
                Ok(outcome) => Ok(outcome),
                Err(_) => Err(closed()),
            }
        })
    }

    fn look_up(&self, channel: &str, query: &HistoryQuery) -> Presence {
        let now = self.handle.shared.time.now();
        let count_max = self.handle.settings.answer_publications_max;
        let mut index = self.handle.index.lock();
        index.history(channel, query, now, count_max)
    }

    /// Reads an answer from the disk, on a thread that may block.
    async fn read(&self, reader: Reader) -> Result<History, BrokerError> {
        let Ok(_permit) = self.handle.reads.acquire().await else {
            return Err(closed());
        };
        let bytes_max = self.handle.settings.answer_bytes_max;
        let read = match Handle::try_current() {
            Ok(runtime) => {
                let read = runtime.spawn_blocking(move || reader.read(bytes_max));
                read.await.map_err(|_| closed())?
            }
            Err(_) => reader.read(bytes_max),
        };
        read.map_err(|error| {
            tracing::error!(%error, "a history can't be read");
            BrokerError::Unavailable {
                message: error.to_string(),
            }
        })
    }

    /// Calls `deliver` under the lock of the channel, if it is subscribed.
    fn deliver(&self, channel: &Arc<str>, deliver: impl FnOnce(&dyn BrokerEvents)) {
        let shared = &self.handle.shared;
        if let Some(receiver) = shared.receiver.get() {
            let deliver = || deliver(&*receiver.events);
            shared.subscriptions.deliver(channel, deliver);
        }
    }
}

impl Broker for LogBroker {
    fn start(&self, events: Arc<dyn BrokerEvents>) {
        let runtime = Handle::try_current().ok();
        let receiver = Receiver { events, runtime };
        let result = self.handle.shared.receiver.set(receiver);
        debug_assert!(result.is_ok(), "start is called once");
    }

    fn subscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        let channels_max = self.handle.settings.channels_max;
        let is_added = self.handle.shared.subscriptions.add(channel, channels_max);
        Answer::now(match is_added {
            true => Ok(()),
            false => Err(BrokerError::TooManyChannels { channels_max }),
        })
    }

    fn unsubscribe(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        self.handle.shared.subscriptions.remove(channel);
        Answer::now(Ok(()))
    }

    fn publish(
        &self,
        channel: &Arc<str>,
        mut publication: Publication,
        options: PublishOptions,
    ) -> Answer<'_, Result<Published, BrokerError>> {
        if !options.keeps_history() && options.idempotency_key.is_none() {
            publication.offset = 0;
            self.deliver(channel, |events| {
                events.publication(channel, &Arc::new(publication), None);
            });
            return Answer::now(Ok(Published {
                position: None,
                suppressed: None,
            }));
        }
        let order = self.order(Order::Publish {
            channel: channel.clone(),
            publication,
            options,
        });
        match order {
            Err(error) => Answer::now(Err(error)),
            Ok(outcome) => Answer::later(async move {
                match outcome.await? {
                    Outcome::Published(published) => Ok(published),
                    Outcome::Done | Outcome::Refused(_) => Err(closed()),
                }
            }),
        }
    }

    fn publish_join(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.deliver(channel, |events| events.join(channel, &info));
        Answer::now(Ok(()))
    }

    fn publish_leave(
        &self,
        channel: &Arc<str>,
        info: Arc<ClientInfo>,
    ) -> Answer<'_, Result<(), BrokerError>> {
        self.deliver(channel, |events| events.leave(channel, &info));
        Answer::now(Ok(()))
    }

    fn history(
        &self,
        channel: &Arc<str>,
        query: HistoryQuery,
    ) -> Answer<'_, Result<History, BrokerError>> {
        match self.look_up(channel, &query) {
            Presence::Known(found) => {
                let reader = Reader::new(found);
                match reader.is_empty() {
                    // Nothing is read, so nothing blocks.
                    true => Answer::now(reader.read(0).map_err(|_| closed())),
                    false => Answer::later(self.read(reader)),
                }
            }
            Presence::Unknown(epoch) => Answer::now(Ok(History {
                publications: Vec::new(),
                position: StreamPosition { offset: 0, epoch },
            })),
        }
    }

    fn remove_history(&self, channel: &Arc<str>) -> Answer<'_, Result<(), BrokerError>> {
        let channel = channel.clone();
        match self.order(Order::Remove { channel }) {
            Err(error) => Answer::now(Err(error)),
            Ok(outcome) => Answer::later(async move { outcome.await.map(drop) }),
        }
    }

    fn kept_channels(&self, prefix: &str) -> Option<Vec<Arc<str>>> {
        let now = self.handle.shared.time.now();
        Some(self.handle.index.lock().names(prefix, now))
    }

    fn sweep(&self) {
        self.handle.shared.queue.sweep();
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl fmt::Debug for LogBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBroker")
            .field("settings", &self.handle.settings)
            .finish_non_exhaustive()
    }
}
