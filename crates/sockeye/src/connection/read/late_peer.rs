//! Whether a peer that is late with its sign of life is gone, or busy with what it was sent before.

use std::time::Duration;

use tokio::time::Instant;

use crate::connection::io::Outbound;

/// An estimate of what the peer may still have to read, in four bytes for each connection: what was sent to
/// it, minus what the slowest line in use would carry.
#[derive(Default)]
pub(crate) struct Unread {
    /// The position in the stream at the last ping.
    position: u16,
    /// Pages that may have been unread then.
    pages: u16,
}

impl Unread {
    /// Updates the estimate at a ping, an interval after the last.
    pub(crate) fn handle_ping(&mut self, outbound: Outbound, interval: Duration) {
        let read = interval.as_secs_f64() * f64::from(SLOWEST_PAGES_PER_SECOND);
        self.pages = self.pages_now(outbound).saturating_sub(read as u16);
        self.position = outbound.position();
    }

    /// Returns how long it may take to read what may be unread.
    fn time(&self, outbound: Outbound) -> Duration {
        Duration::from_secs((self.pages_now(outbound) / SLOWEST_PAGES_PER_SECOND).into())
    }

    fn pages_now(&self, outbound: Outbound) -> u16 {
        let come = outbound.position().wrapping_sub(self.position);
        self.pages.saturating_add(come).min(UNREAD_PAGES_MAX)
    }
}

impl Outbound {
    /// Returns whether bytes are in flight, and the peer's kernel has acknowledged nothing for `time`.
    pub(crate) fn is_unanswered(self, time: Duration) -> bool {
        matches!(self, Self::Tcp(info) if info.is_in_flight && info.since_ack >= time)
    }

    /// Returns the position in the stream, in pages, as far as it is known; wraps around.
    fn position(self) -> u16 {
        let bytes = match self {
            Self::Tcp(info) => info.acked,
            Self::Counted(taken) => taken,
            Self::Unknown => 0,
        };
        (bytes / PAGE_BYTES) as u16
    }
}

/// The verdict on a late peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LateVerdict {
    /// It gets more time, because our ping may not have reached it yet.
    Busy,
    /// It is gone.
    Silent,
    /// It is there, and takes none of the bytes that wait for it.
    Stalled,
}

/// A peer that is late with its sign of life, and what was known of the network at the last check.
///
/// A ping waits behind all bytes sent before it: in this kernel, in flight, and in the peer's kernel until
/// the peer reads them. So a peer is not gone while its kernel acknowledges more of what was sent before the
/// ping, while its receive window grows, because then it reads, or while it may need time to read what it has
/// got. Acknowledgements alone don't show that the program lives, since the kernel of a stopped program
/// acknowledges too.
pub(crate) struct LatePeer {
    before: Outbound,
    /// Whether the peer's kernel has acknowledged all bytes sent before our ping, and the ping, since
    /// `before`.
    is_delivered: bool,
    /// When a check last found that the peer's kernel had taken anything.
    moved_at: Instant,
}

impl LatePeer {
    pub(crate) fn new(outbound: Outbound, now: Instant) -> Self {
        Self {
            before: outbound,
            is_delivered: matches!(outbound, Outbound::Tcp(info) if info.has_acked_all()),
            moved_at: now,
        }
    }

    /// Decides about the peer after its timeout. `owed_for` is the time since the ping.
    pub(crate) fn judge(
        &mut self,
        outbound: Outbound,
        unread: &Unread,
        now: Instant,
        owed_for: Duration,
        timeout: Duration,
        progress_timeout: Option<Duration>,
    ) -> LateVerdict {
        let before = std::mem::replace(&mut self.before, outbound);
        let is_reading = owed_for < timeout.saturating_add(unread.time(outbound));
        let (before, info) = match (before, outbound) {
            (Outbound::Tcp(before), Outbound::Tcp(info)) => (before, info),
            (_, Outbound::Counted(_)) => return busy_if(is_reading),
            _ => return busy_if(owed_for < timeout.saturating_mul(UNKNOWN_TIMEOUTS)),
        };
        if info.acked != before.acked {
            self.moved_at = now;
        }
        if self.is_delivered {
            return busy_if(is_reading || info.window > before.window);
        }
        if info.has_acked(before.written) {
            // The ping may have arrived only now.
            self.is_delivered = true;
            return LateVerdict::Busy;
        }
        if info.acked != before.acked {
            return LateVerdict::Busy;
        }
        // The peer's kernel takes nothing. A kernel without room is probed ever more rarely, so that its
        // silence between the probes says nothing.
        let is_heard = !info.is_in_flight || info.since_ack < timeout;
        match progress_timeout {
            _ if !is_heard => LateVerdict::Silent,
            Some(limit) if now - self.moved_at >= limit => LateVerdict::Stalled,
            _ => LateVerdict::Busy,
        }
    }
}

fn busy_if(is_busy: bool) -> LateVerdict {
    match is_busy {
        true => LateVerdict::Busy,
        false => LateVerdict::Silent,
    }
}

/// The unit of positions: so coarse that two bytes hold what any peer gets between two pings.
const PAGE_BYTES: u32 = 4 << 10;

/// The slowest line in use, or a program that reads as slowly: 16 KiB a second.
const SLOWEST_PAGES_PER_SECOND: u16 = 4;

/// The most that may be unread, or in flight where that isn't known: a mebibyte, 64 s at that rate. More
/// would keep vanished peers for too long, and beyond it a queue is full and tells.
const UNREAD_PAGES_MAX: u16 = 256;

/// The number of timeouts a peer gets where nothing is known. Seven of the default are 70 s, in which the
/// slowest line carries a mebibyte.
const UNKNOWN_TIMEOUTS: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::io::tcp_info::TcpInfo;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const PROGRESS: Duration = Duration::from_secs(30);

    /// Returns all written bytes are acknowledged, and the receive window is 64 KiB.
    fn clear(acked: u32) -> TcpInfo {
        TcpInfo {
            acked,
            written: acked,
            is_in_flight: false,
            window: 64 << 10,
            since_ack: Duration::from_millis(100),
        }
    }

    fn none_unread(outbound: Outbound) -> Unread {
        Unread {
            position: outbound.position(),
            pages: 0,
        }
    }

    /// Checks every ten seconds, the first after five.
    struct Looks {
        late_peer: LatePeer,
        unread: Unread,
        began: Instant,
        seconds: u64,
    }

    impl Looks {
        fn begin(info: TcpInfo) -> Self {
            let began = Instant::now();
            let unread = none_unread(Outbound::Tcp(info));
            Self {
                late_peer: LatePeer::new(Outbound::Tcp(info), began),
                unread,
                began,
                seconds: 5,
            }
        }

        fn next(&mut self, info: TcpInfo) -> LateVerdict {
            self.next_of(Outbound::Tcp(info))
        }

        fn next_of(&mut self, outbound: Outbound) -> LateVerdict {
            self.seconds += 10;
            let since = Duration::from_secs(self.seconds);
            let now = self.began + since;
            self.late_peer
                .judge(outbound, &self.unread, now, since, TIMEOUT, Some(PROGRESS))
        }
    }

    #[test]
    fn who_has_got_all_and_says_nothing_is_gone() {
        // The peer's kernel acknowledged the pings since; that says nothing of the program.
        let mut looks = Looks::begin(clear(1000));
        assert_eq!(looks.next(clear(1010)), LateVerdict::Silent);
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
            assert_eq!(looks.next(sending(left)), LateVerdict::Busy, "{left}");
        }
        // All has arrived just now. The peer has the timeout to answer, and the time that reading takes.
        looks.unread = none_unread(Outbound::Tcp(clear(end)));
        assert_eq!(looks.next(clear(end)), LateVerdict::Busy);
        assert_eq!(looks.next(clear(end + 10)), LateVerdict::Silent);
    }

    #[test]
    fn what_is_sent_after_the_ping_keeps_nobody_alive() {
        // Its kernel acknowledges all, and some bytes are always in flight.
        let trickle = |acked: u32| TcpInfo {
            written: acked + 100,
            is_in_flight: true,
            ..clear(acked)
        };
        let mut looks = Looks::begin(trickle(1000));
        assert_eq!(looks.next(trickle(2000)), LateVerdict::Busy);
        assert_eq!(looks.next(trickle(3000)), LateVerdict::Silent);
    }

    #[test]
    fn who_makes_room_in_its_kernel_reads_and_is_not_gone() {
        let room = |window| TcpInfo {
            window,
            ..clear(1000)
        };
        let mut looks = Looks::begin(room(1000));
        assert_eq!(looks.next(room(3000)), LateVerdict::Busy);
        assert_eq!(looks.next(room(5000)), LateVerdict::Busy);
        assert_eq!(looks.next(room(5000)), LateVerdict::Silent);
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
        // An earlier acknowledgement may have been for other bytes.
        let mut looks = Looks::begin(lost(1));
        assert_eq!(looks.next(lost(3)), LateVerdict::Busy);
        assert_eq!(looks.next(lost(13)), LateVerdict::Silent);
    }

    #[test]
    fn who_has_no_room_is_not_gone_but_cut_in_the_time_for_that() {
        let full = TcpInfo {
            acked: 1000,
            written: 90_000,
            window: 0,
            // The kernel probes more and more rarely.
            since_ack: Duration::from_secs(20),
            ..clear(0)
        };
        let mut looks = Looks::begin(full);
        let verdicts = [(); 3].map(|()| looks.next(full));
        assert_eq!(
            verdicts,
            [LateVerdict::Busy, LateVerdict::Busy, LateVerdict::Stalled]
        );
    }

    #[test]
    fn who_has_got_much_has_time_to_read_it() {
        for outbound in [Outbound::Tcp(clear(1 << 20)), Outbound::Counted(1 << 20)] {
            let mut looks = Looks::begin(clear(1 << 20));
            looks.unread = Unread::default();
            // The timeout of 10 s, and 64 s for the bytes.
            for second in (15..74).step_by(10) {
                assert_eq!(looks.next_of(outbound), LateVerdict::Busy, "{second}");
            }
            assert_eq!(looks.next_of(outbound), LateVerdict::Silent);
        }
        let mut looks = Looks::begin(clear(0));
        assert_eq!(looks.next_of(Outbound::Counted(20)), LateVerdict::Silent);
    }

    #[test]
    fn what_has_come_is_read_in_time() {
        let mut unread = Unread::default();
        let minute = Duration::from_secs(60);
        // More than the estimate's maximum.
        unread.handle_ping(Outbound::Counted(3_000_000_000), minute);
        assert_eq!(unread.pages, 256 - 60 * 4);
        // The positions wrap around.
        let on = Outbound::Counted(3_000_000_000_u32.wrapping_add(2_000_000_000));
        assert_eq!(unread.time(on), Duration::from_secs(64));
        let same = Outbound::Counted(3_000_000_000);
        assert_eq!(unread.time(same), Duration::from_secs(4));
        unread.handle_ping(same, minute);
        assert_eq!(unread.time(same), Duration::ZERO);
    }

    #[test]
    fn where_nothing_is_known_it_takes_longer() {
        let mut looks = Looks::begin(clear(0));
        for second in (15..70).step_by(10) {
            assert_eq!(
                looks.next_of(Outbound::Unknown),
                LateVerdict::Busy,
                "{second}"
            );
        }
        assert_eq!(looks.next_of(Outbound::Unknown), LateVerdict::Silent);
    }
}
