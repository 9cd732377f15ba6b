//! Times in 8 bytes: each client has several.

use std::{num::NonZeroU64, time::Duration};

use crate::UnixMillis;

/// A time of the node's clock that does not jump, to the nanosecond. The last one is 584 years after the clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(
    /// Nanoseconds since the origin, plus one.
    NonZeroU64,
);

/// When a connection or a subscription expires, if it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expiry(
    /// Milliseconds since 1970. An expiry in its first millisecond is taken for one in the second.
    Option<NonZeroU64>,
);

impl Moment {
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

impl From<Duration> for Moment {
    fn from(elapsed: Duration) -> Self {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }
}

impl Expiry {
    /// Returns the time; `None` if there is none.
    pub(crate) fn at(self) -> Option<UnixMillis> {
        self.0.map(|millis| UnixMillis(millis.get()))
    }
}

impl From<Option<UnixMillis>> for Expiry {
    fn from(at: Option<UnixMillis>) -> Self {
        Self(at.map(|at| NonZeroU64::new(at.0).unwrap_or(NonZeroU64::MIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_time_that_it_was_made_of() {
        for nanos in [0, 1, 999_999_999, 1_000_000_000, 1 << 60] {
            let elapsed = Duration::from_nanos(nanos);
            assert_eq!(Moment::from(elapsed).elapsed(), elapsed);
        }
        assert!(Moment::from(Duration::from_nanos(1)) < Moment::from(Duration::from_nanos(2)));
    }

    #[test]
    fn an_expiry_in_the_distant_past_is_still_one() {
        assert_eq!(Expiry::from(None).at(), None);
        assert_eq!(Expiry::from(Some(UnixMillis(7))).at(), Some(UnixMillis(7)));
        assert_eq!(Expiry::from(Some(UnixMillis(0))).at(), Some(UnixMillis(1)));
    }

    #[test]
    fn an_optional_time_takes_eight_bytes() {
        assert_eq!((size_of::<Option<Moment>>(), size_of::<Expiry>()), (8, 8));
    }
}
