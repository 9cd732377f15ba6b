//! The implementations, made for a test.

use std::{sync::Arc, time::Duration};

use sockeye_hub::{
    Clock, ManualClock, UnixMillis,
    broker::{Broker, Memory, MemoryLimits},
};

/// A broker of its own for one test, and its time.
pub(crate) trait Fixture: Sync {
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
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let broker = Memory::new(clock.clone() as Arc<dyn Clock>, MemoryLimits::default());
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
