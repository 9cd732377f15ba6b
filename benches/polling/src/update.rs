//! One update: what the server has to tell everybody.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// As it travels, in JSON.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Update {
    /// From 1, without gaps.
    pub(crate) id: u64,
    /// When the server published it: nanoseconds of the machine's monotonic clock, which all of its processes share.
    pub(crate) at: u64,
    pub(crate) text: String,
}

impl Update {
    /// The JSON is 125 bytes or a little less: a short chat message, a price, a score.
    pub(crate) fn publish(id: u64) -> String {
        let update = Self {
            id,
            at: now_ns(),
            text: "the salmon have passed the second weir, nine hundred so far today".to_owned(),
        };
        serde_json::to_string(&update).expect("a struct of numbers and text is JSON")
    }
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_about_as_long_as_it_says() {
        let text = Update::publish(17);
        assert!((100..=125).contains(&text.len()), "{}", text.len());
        let update: Update = serde_json::from_str(&text).unwrap();
        assert_eq!(update.id, 17);
        assert!(update.at <= now_ns());
    }
}
