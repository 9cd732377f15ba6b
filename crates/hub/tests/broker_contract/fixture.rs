//! The implementations, made for a test.

use std::{sync::Arc, time::Duration};

use sockeye_hub::{
    Clock, ManualClock, UnixMillis,
    broker::{Broker, LogBroker, LogSettings, LogSync, Memory, MemoryLimits},
};
use tempfile::TempDir;

/// A broker of its own for one test, and its time.
pub(crate) trait Fixture: Sync {
    /// Whether the broker remembers what was said about a channel without publications, while it has subscribers or keys.
    const REMEMBERS_UNPUBLISHED: bool = false;

    fn new() -> Self;

    /// Returns the broker, which hasn't started yet.
    fn broker(&self) -> Arc<dyn Broker>;

    /// Lets time pass for the broker.
    fn pass(&self, time: Duration);
}

pub(crate) struct MemoryFixture {
    broker: Arc<Memory>,
    clock: Arc<ManualClock>,
}

impl Fixture for MemoryFixture {
    const REMEMBERS_UNPUBLISHED: bool = true;

    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let as_clock = clock.clone() as Arc<dyn Clock>;
        let broker = Memory::with_epoch_seed(as_clock, MemoryLimits::default(), 7);
        Self {
            broker: Arc::new(broker),
            clock,
        }
    }

    fn broker(&self) -> Arc<dyn Broker> {
        self.broker.clone()
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

/// A log that syncs at intervals.
pub(crate) struct LogFixture {
    broker: LogBroker,
    clock: Arc<ManualClock>,
    _directory: TempDir,
}

/// A log that syncs each publication.
pub(crate) struct SyncedLogFixture(LogFixture);

impl LogFixture {
    fn with_sync(sync: LogSync) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let directory = tempfile::tempdir().unwrap();
        let mut settings = LogSettings::default();
        settings.sync = sync;
        let path = directory.path().join("log");
        let (broker, _) = LogBroker::open(&path, clock.clone(), settings).unwrap();
        Self {
            broker,
            clock,
            _directory: directory,
        }
    }
}

impl Fixture for LogFixture {
    fn new() -> Self {
        Self::with_sync(LogSync::Interval)
    }

    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.clone())
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

impl Fixture for SyncedLogFixture {
    fn new() -> Self {
        Self(LogFixture::with_sync(LogSync::Each))
    }

    fn broker(&self) -> Arc<dyn Broker> {
        self.0.broker()
    }

    fn pass(&self, time: Duration) {
        self.0.pass(time);
    }
}
