//! A peer that is late with its sign of life: whether it is busy with what it was sent before.

use std::time::Duration;

use tokio::time::Instant;

use crate::tcp_info::TcpInfo;

/// What is known of the bytes that a transport has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// All that the kernel knows.
    Tcp(TcpInfo),
    /// How many it has taken since something came from the peer.
    Counted(u64),
    /// Nothing: TCP of a kernel that doesn't tell.
    Unknown,
}

/// What to do about a late peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has more time: our ping may not have reached it yet.
    Busy,
    /// It is gone.
    Silent,
    /// It is there, and takes nothing of what waits for it.
    Stalled,
}

/// A peer that is late with its sign of life, and what was known of the way to it when that was looked at last.
///
/// A ping waits behind all that was sent before it: in our kernel's memory, on the way, and in the memory of the
/// peer's kernel until the peer reads it. So nobody is gone whose kernel acknowledges more and more of what was
/// sent before the ping, nor who has more and more room in his kernel, for he reads. Who is only acknowledged, and
/// reads nothing, isn't there: for a program that has stopped, its kernel answers.
pub(crate) struct Doubt {
    before: Outbound,
    /// Whether all that was sent before our ping, and the ping, are with the peer's kernel since `before`.
    is_delivered: bool,
    /// When it was found last that the peer's kernel had taken anything.
    moved_at: Instant,
}

impl Doubt {
    pub(crate) fn new(outbound: Outbound, now: Instant) -> Self {
        Self {
            before: outbound,
            is_delivered: matches!(outbound, Outbound::Tcp(info) if info.has_acked_all()),
            moved_at: now,
        }
    }

    /// The timeout is over. `owed_for`: since the ping.
    pub(crate) fn judge(
        &mut self,
        outbound: Outbound,
        now: Instant,
        owed_for: Duration,
        timeout: Duration,
        progress_timeout: Option<Duration>,
    ) -> Verdict {
        let before = std::mem::replace(&mut self.before, outbound);
        let (before, info) = match (before, outbound) {
            (Outbound::Tcp(before), Outbound::Tcp(info)) => (before, info),
            (_, Outbound::Counted(bytes)) => {
                let slowest = Duration::from_secs(bytes / SLOWEST_BYTES_PER_SECOND);
                return busy_if(owed_for < timeout.saturating_add(slowest));
            }
            _ => return busy_if(owed_for < timeout.saturating_mul(UNKNOWN_TIMEOUTS)),
        };
        if info.acked != before.acked {
            self.moved_at = now;
        }
        if self.is_delivered {
            return busy_if(info.window > before.window);
        }
        if info.has_acked(before.written) {
            // It may have come only now.
            self.is_delivered = true;
            return Verdict::Busy;
        }
        if info.acked != before.acked {
            return Verdict::Busy;
        }
        // Nothing is taken. A kernel that has room is asked ever more rarely whether it has: that it keeps silent
        // meanwhile says nothing.
        let is_heard = !info.is_in_flight || info.since_ack < timeout;
        match progress_timeout {
            _ if !is_heard => Verdict::Silent,
            Some(limit) if now - self.moved_at >= limit => Verdict::Stalled,
            _ => Verdict::Busy,
        }
    }
}

fn busy_if(is_busy: bool) -> Verdict {
    match is_busy {
        true => Verdict::Busy,
        false => Verdict::Silent,
    }
}

/// Where only the bytes are known that a transport has taken, they are thought to be on their way for as long as
/// on a line that is as slow as any in use.
const SLOWEST_BYTES_PER_SECOND: u64 = 16 << 10;

/// Where nothing is known: so many timeouts in all. Seven of the default are 70 s, in which a mebibyte comes
/// through so slow a line.
const UNKNOWN_TIMEOUTS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const PROGRESS: Duration = Duration::from_secs(30);

    /// All that was written is acknowledged, and the peer has room for 64 KiB.
    fn clear(acked: u32) -> TcpInfo {
        TcpInfo {
            acked,
            written: acked,
            is_in_flight: false,
            window: 64 << 10,
            since_ack: Duration::from_millis(100),
        }
    }

    /// Looks every ten seconds, beginning after five.
    struct Looks {
        doubt: Doubt,
        began: Instant,
        seconds: u64,
    }

    impl Looks {
        fn begin(info: TcpInfo) -> Self {
            let began = Instant::now();
            Self {
                doubt: Doubt::new(Outbound::Tcp(info), began),
                began,
                seconds: 5,
            }
        }

        fn next(&mut self, info: TcpInfo) -> Verdict {
            self.next_of(Outbound::Tcp(info))
        }

        fn next_of(&mut self, outbound: Outbound) -> Verdict {
            self.seconds += 10;
            let since = Duration::from_secs(self.seconds);
            let now = self.began + since;
            self.doubt
                .judge(outbound, now, since, TIMEOUT, Some(PROGRESS))
        }
    }

    #[test]
    fn who_has_got_all_and_says_nothing_is_gone() {
        // The pings of the meantime were acknowledged by its kernel; that says nothing of the program.
        let mut looks = Looks::begin(clear(1000));
        assert_eq!(looks.next(clear(1010)), Verdict::Silent);
    }

    #[test]
    fn who_acknowledges_more_and_more_of_what_was_before_the_ping_is_not() {
        // The position wraps around on the way.
        let end = 500_000_u32;
        let sending = |left: u32| TcpInfo {
            acked: end.wrapping_sub(left),
            written: end,
            is_in_flight: true,
            ..clear(0)
        };
        let mut looks = Looks::begin(sending(1_000_000));
        for left in (0..1_000_000).rev().step_by(100_000).skip(1) {
            assert_eq!(looks.next(sending(left)), Verdict::Busy, "{left}");
        }
        // All has come just now: it has the timeout to answer, and no more.
        assert_eq!(looks.next(clear(end)), Verdict::Busy);
        assert_eq!(looks.next(clear(end + 10)), Verdict::Silent);
    }

    #[test]
    fn what_is_sent_after_the_ping_keeps_nobody_alive() {
        // Its kernel acknowledges all, and something is always on its way.
        let trickle = |acked: u32| TcpInfo {
            written: acked + 100,
            is_in_flight: true,
            ..clear(acked)
        };
        let mut looks = Looks::begin(trickle(1000));
        assert_eq!(looks.next(trickle(2000)), Verdict::Busy);
        assert_eq!(looks.next(trickle(3000)), Verdict::Silent);
    }

    #[test]
    fn who_makes_room_in_its_kernel_reads_and_is_not_gone() {
        let room = |window| TcpInfo {
            window,
            ..clear(1000)
        };
        let mut looks = Looks::begin(room(1000));
        assert_eq!(looks.next(room(3000)), Verdict::Busy);
        assert_eq!(looks.next(room(5000)), Verdict::Busy);
        assert_eq!(looks.next(room(5000)), Verdict::Silent);
    }

    #[test]
    fn whose_kernel_is_silent_while_bytes_are_on_their_way_is_gone() {
        let lost = |seconds| TcpInfo {
            acked: 1000,
            written: 90_000,
            is_in_flight: true,
            since_ack: Duration::from_secs(seconds),
            ..clear(0)
        };
        // Before that an acknowledgement of something else may have come.
        let mut looks = Looks::begin(lost(1));
        assert_eq!(looks.next(lost(3)), Verdict::Busy);
        assert_eq!(looks.next(lost(13)), Verdict::Silent);
    }

    #[test]
    fn who_has_no_room_is_not_gone_but_cut_in_the_time_for_that() {
        let full = TcpInfo {
            acked: 1000,
            written: 90_000,
            window: 0,
            // Asked more and more rarely.
            since_ack: Duration::from_secs(20),
            ..clear(0)
        };
        let mut looks = Looks::begin(full);
        let verdicts = [(); 3].map(|()| looks.next(full));
        assert_eq!(verdicts, [Verdict::Busy, Verdict::Busy, Verdict::Stalled]);
    }

    #[test]
    fn where_only_the_sent_bytes_are_known_they_may_be_on_a_slow_line() {
        let mut looks = Looks::begin(clear(0));
        let mebibyte = Outbound::Counted(1 << 20);
        // Ten seconds, and 64 for the bytes.
        for second in (15..74).step_by(10) {
            assert_eq!(looks.next_of(mebibyte), Verdict::Busy, "{second}");
        }
        assert_eq!(looks.next_of(mebibyte), Verdict::Silent);
        let mut looks = Looks::begin(clear(0));
        assert_eq!(looks.next_of(Outbound::Counted(20)), Verdict::Silent);
    }

    #[test]
    fn where_nothing_is_known_it_takes_longer() {
        let mut looks = Looks::begin(clear(0));
        for second in (15..70).step_by(10) {
            assert_eq!(looks.next_of(Outbound::Unknown), Verdict::Busy, "{second}");
        }
        assert_eq!(looks.next_of(Outbound::Unknown), Verdict::Silent);
    }
}
