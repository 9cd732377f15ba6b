//! Whether a position that is behind the broker's has only not been told yet, or has lost something.

use crate::StreamPosition;

/// Checks in a row that find a position behind the broker's, at the same offset, before a publication counts as lost. A
/// publication may be on its way while one check is made; by the next one, it has come.
pub(crate) const CHECKS_BEHIND_MAX: u8 = 2;

/// The checks of one position that have found it behind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lag {
    offset: u64,
    /// Checks in a row. 0 <= times < CHECKS_BEHIND_MAX
    times: u8,
}

impl Lag {
    /// Takes in a check of `own` against the broker's position. Returns whether a publication is lost.
    ///
    /// A broker whose answer is older than `own` says nothing: its answer came from a replica that lags.
    pub(crate) fn judge(&mut self, own: &StreamPosition, top: &StreamPosition) -> bool {
        let is_other_history = own.epoch != top.epoch && !own.is_unknown();
        if !is_other_history && own.offset >= top.offset {
            self.times = 0;
            return false;
        }
        if self.times > 0 && self.offset != own.offset {
            self.times = 0;
        }
        self.offset = own.offset;
        self.times += 1;
        let is_lost = self.times >= CHECKS_BEHIND_MAX;
        if is_lost {
            self.times = 0;
        }
        is_lost
    }
}
