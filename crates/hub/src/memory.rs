//! What clients make the hub hold, told to the program.

use std::{fmt, sync::Arc};

/// Is told how many bytes clients make the hub hold: commands that wait for a handler or a broker, publications that are
/// kept while the history of a subscription is read, what waits for slow readers that lose publications, the last
/// publication of each channel with subscribers that get differences from it, and answers until the transport has them. A program that has a
/// bound on its memory implements it, so that
/// these bytes count towards the bound. What a broker or a transport holds is theirs to count.
///
/// The methods are called from any thread, also while the hub holds locks: they must not block, and must not call the hub.
pub trait MemoryMeter: Send + Sync + 'static {
    /// Adds to what is held.
    fn charge(&self, bytes: usize);

    /// Adds to what is held, if there is room for it. Returns whether there was. An answer for which there is no room is made
    /// when there is; after 5 s without it the command fails with error 100.
    fn try_charge(&self, bytes: usize) -> bool {
        let has_room = !self.is_exhausted();
        if has_room {
            self.charge(bytes);
        }
        has_room
    }

    /// Makes room for `bytes` bytes if possible: an answer has waited for them for a second. Called again and again while it waits,
    /// without any lock of the hub. The default does nothing.
    fn reclaim(&self, bytes: usize) {
        let _ = bytes;
    }

    /// Subtracts from what is held.
    fn release(&self, bytes: usize);

    /// Returns whether nothing more may be held. A client whose command would have to wait is then ended with 3013, a
    /// subscriber whose history is being read is told that it has missed something, only the newest publication waits for a
    /// slow reader that loses them, and publications are sent whole instead of differences.
    fn is_exhausted(&self) -> bool;
}

/// The meter of a node that has been given none.
pub(crate) struct Unmetered;

impl MemoryMeter for Unmetered {
    fn charge(&self, _bytes: usize) {}

    fn release(&self, _bytes: usize) {}

    fn is_exhausted(&self) -> bool {
        false
    }
}

/// The bytes of one holder, which are given back when it is dropped.
pub(crate) struct Charge {
    meter: Arc<dyn MemoryMeter>,
    bytes: usize,
}

impl Charge {
    pub(crate) fn new(meter: &Arc<dyn MemoryMeter>, bytes: usize) -> Self {
        let mut charge = Self {
            meter: Arc::clone(meter),
            bytes: 0,
        };
        charge.set(bytes);
        charge
    }

    /// Charges `bytes`, if there is room for them.
    pub(crate) fn try_new(meter: &Arc<dyn MemoryMeter>, bytes: usize) -> Option<Self> {
        meter.try_charge(bytes).then(|| Self {
            meter: Arc::clone(meter),
            bytes,
        })
    }

    /// Sets how many bytes the holder holds now.
    pub(crate) fn set(&mut self, bytes: usize) {
        match bytes.checked_sub(self.bytes) {
            Some(0) => {}
            Some(more) => self.meter.charge(more),
            None => self.meter.release(self.bytes - bytes),
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.bytes).finish()
    }
}
