//! Codes of Close frames.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sockeye::CloseCode;

/// How many Close frames the server has sent, by code. Clones share the counts. A WebSocket counts once, when it has ended,
/// so no message passes through here.
#[derive(Clone, Debug)]
pub struct CloseCodes(Arc<[AtomicU64; CODES.len() + 1]>);

/// The codes that are told apart: those of RFC 6455 that a server sends, and the hub's. Those of applications are one.
const CODES: [u16; 32] = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 3001, 3004, 3005, 3006, 3008,
    3009, 3010, 3011, 3012, 3013, 3014, 3500, 3501, 3502, 3503, 3504, 3505, 3506, 3507, 3508, 3509,
];

impl CloseCodes {
    /// Counts a Close frame.
    pub(crate) fn count(&self, code: CloseCode) {
        let at = CODES
            .iter()
            .position(|known| CloseCode::new(*known) == code);
        self.0[at.unwrap_or(CODES.len())].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the codes that were sent, and how often.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let codes = CODES.iter().map(u16::to_string).chain(["other".to_owned()]);
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        codes.zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

impl Default for CloseCodes {
    /// Begins with none.
    fn default() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_applications_are_one() {
        let codes = CloseCodes::default();
        for code in [3008, 4001, 4999, 3008] {
            codes.clone().count(CloseCode::new(code));
        }
        let expected = [("3008".to_owned(), 2), ("other".to_owned(), 2)];
        assert_eq!(codes.counts(), expected);
    }
}
