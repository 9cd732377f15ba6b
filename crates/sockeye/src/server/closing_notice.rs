//! The Close frame that a server sends to its sessions when it ends.

use std::time::Duration;

use sockeye_proto::{CloseCode, CloseFrame};

use crate::{connection::Session, time::fraction};

/// The Close frame that a server sends to its sessions when it ends.
#[derive(Clone, Debug)]
pub(crate) struct ClosingNotice {
    code: CloseCode,
    reason: String,
    retry: Option<Retry>,
}

impl ClosingNotice {
    /// Creates a notice with an empty reason.
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

    /// Closes the session with this notice, or with the one that its settings have, unless it is closing already.
    pub(crate) fn send_to(&self, session: &Session) {
        if let Some((code, reason)) = session.shared().negotiated().settings.drain_close {
            return session.close(code, reason);
        }
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
            // Programs read the hint, so the text before it is cut and not the hint.
            reason => {
                let reason = CloseFrame::fitting_reason(reason, hint.len() + 1);
                format!("{reason} {hint}")
            }
        }
    }
}

/// When clients of a drained server may reconnect. The server tells each session a time of its own.
///
/// The hint stands at the end of the reason as `retry_ms=1234`, in milliseconds from the Close frame on. Clients that
/// read it, [`crate::Connect::reconnect`] among them, reconnect spread over that time although their sessions were
/// closed in one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The shortest time: how long it takes until a server answers again.
    pub after: Duration,
    /// How much longer the time may be, spread evenly over all sessions.
    pub spread: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing_notice(reason: &str) -> ClosingNotice {
        ClosingNotice {
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
        let closing_notice = closing_notice("");
        let time = |id| -> u64 {
            let reason = closing_notice.reason_for(id);
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
            closing_notice("restart")
                .reason_for(1)
                .starts_with("restart retry_ms=")
        );
        let reason = closing_notice(&"\u{9c7c}".repeat(60)).reason_for(1);
        assert!(reason.len() <= CloseFrame::REASON_BYTES_MAX);
        let (_, time) = reason.split_once(" retry_ms=").unwrap();
        assert!(time.parse::<u64>().is_ok(), "{reason}");
    }
}
