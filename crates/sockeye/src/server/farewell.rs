//! What sessions are told that are sent away.

use std::time::Duration;

use sockeye_proto::{CloseCode, CloseFrame};

use crate::{connection::Session, time::fraction};

/// What is said to those who are sent away.
#[derive(Clone, Debug)]
pub(crate) struct Farewell {
    code: CloseCode,
    reason: String,
    retry: Option<Retry>,
}

impl Farewell {
    /// Without a reason.
    pub(crate) fn new(code: CloseCode) -> Self {
        Self {
            code,
            reason: String::new(),
            retry: None,
        }
    }

    pub(crate) fn with(mut self, reason: &str, retry: Option<Retry>) -> Self {
        self.reason = reason.to_owned();
        self.retry = retry;
        self
    }

    /// Says it, unless the session is closing already.
    pub(crate) fn say_to(&self, session: &Session) {
        session.close(self.code, &self.reason_for(session.id()));
    }

    fn reason_for(&self, id: u64) -> String {
        let Some(retry) = self.retry else {
            return self.reason.clone();
        };
        let time = retry.after + retry.spread.mul_f64(fraction(id));
        let hint = format!("retry_ms={}", time.as_millis());
        match self.reason.as_str() {
            "" => hint,
            // The hint is for programs, and must not be cut off.
            reason => {
                let reason = CloseFrame::fitting_reason(reason, hint.len() + 1);
                format!("{reason} {hint}")
            }
        }
    }
}

/// When those who were sent away may come back: each is told a time of its own.
///
/// It stands at the end of the reason as `retry_ms=1234`, milliseconds from the Close frame on; so
/// clients that know it, [`crate::Connect::reconnect`] among them, come back spread over that time
/// although they may have been told in the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The least: how long it takes until somebody answers again.
    pub after: Duration,
    /// How much more it may be, spread evenly over all who are told.
    pub spread: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farewell(reason: &str) -> Farewell {
        Farewell {
            code: CloseCode::SERVICE_RESTART,
            reason: reason.to_owned(),
            retry: Some(Retry {
                after: Duration::from_secs(1),
                spread: Duration::from_secs(4),
            }),
        }
    }

    #[test]
    fn each_is_told_a_time_of_its_own_to_come_back() {
        let farewell = farewell("");
        let time = |id| -> u64 {
            let reason = farewell.reason_for(id);
            let (name, time) = reason.split_once('=').unwrap();
            assert_eq!(name, "retry_ms");
            time.parse().unwrap()
        };
        let mut times: Vec<u64> = (1..=1000).map(time).collect();
        times.sort_unstable();
        assert!(times[0] >= 1000 && times[999] <= 5000);
        let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(gap <= Some(10), "{gap:?}");
    }

    #[test]
    fn the_hint_is_never_cut_off() {
        assert!(
            farewell("restart")
                .reason_for(1)
                .starts_with("restart retry_ms=")
        );
        let reason = farewell(&"\u{9c7c}".repeat(60)).reason_for(1);
        assert!(reason.len() <= CloseFrame::REASON_BYTES_MAX);
        let (_, time) = reason.split_once(" retry_ms=").unwrap();
        assert!(time.parse::<u64>().is_ok(), "{reason}");
    }
}
