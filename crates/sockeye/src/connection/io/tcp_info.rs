//! What the kernel knows of the bytes that a TCP socket has sent.

use std::{os::fd::BorrowedFd, time::Duration};

/// The state of the bytes that a TCP socket was given. Positions count its bytes, and wrap around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    /// The position up to which the peer's kernel has acknowledged them.
    pub(crate) acked: u32,
    /// The position of the next byte written. It equals `acked` if nothing waits and nothing is in flight;
    /// otherwise it may be one byte too small.
    pub(crate) written: u32,
    /// Whether any bytes are in flight, or lost there.
    pub(crate) is_in_flight: bool,
    /// Bytes of the receive window, as the peer said last.
    pub(crate) window: u32,
    /// The time since the peer's kernel last acknowledged anything, even if it had no room.
    pub(crate) since_ack: Duration,
}

/// What is known of the bytes that a socket or stream has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// All that the kernel tells.
    Tcp(TcpInfo),
    /// How many bytes it has taken; wraps around.
    Counted(u32),
    /// Nothing: a Unix socket, or a TCP socket of a kernel that doesn't tell.
    Unknown,
}

impl TcpInfo {
    /// Asks the kernel. `None` if the socket isn't TCP, or the kernel doesn't tell.
    pub(crate) fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        kernel::info(socket)
    }

    /// Returns whether the peer's kernel has acknowledged all bytes before `position`.
    pub(crate) fn has_acked(&self, position: u32) -> bool {
        self.acked.wrapping_sub(position).cast_signed() >= 0
    }

    /// Returns whether the peer's kernel has acknowledged all bytes written.
    pub(crate) fn has_acked_all(&self) -> bool {
        self.has_acked(self.written)
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::{os::fd::BorrowedFd, sync::LazyLock, time::Duration};

    use nix::{
        getsockopt_impl, libc, sockopt_impl,
        sys::socket::{GetSockOpt as _, sockopt::GetStruct},
    };

    use crate::connection::io::tcp_info::TcpInfo;

    sockopt_impl!(
        /// The socket option that reads the state of a TCP connection.
        TcpInfoOption,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        KernelTcpInfo,
        GetStruct<KernelTcpInfo>
    );

    /// The beginning of the kernel's `struct tcp_info` (`linux/tcp.h`), as of Linux 5.4. The struct grows
    /// only at its end, and the kernel fills as much as there is room for.
    #[repr(C)]
    #[expect(unreachable_pub, reason = "the macro names it in an interface")]
    pub struct KernelTcpInfo {
        _states: [u8; 8],
        _segment_sizes: [u32; 4],
        /// Segments.
        unacked: u32,
        _segments: [u32; 4],
        _last_sent: [u32; 2],
        _last_data_recv: u32,
        /// Milliseconds.
        last_ack_recv: u32,
        _metrics: [u32; 11],
        _pacing_rates: [u64; 2],
        bytes_acked: u64,
        _bytes_received: u64,
        _segments_out_in: [u32; 2],
        notsent_bytes: u32,
        _min_rtt: u32,
        _data_segments: [u32; 2],
        _delivery_rate: u64,
        _times: [u64; 3],
        _delivered: [u32; 2],
        bytes_sent: u64,
        /// The part of `bytes_sent` that was sent again.
        bytes_retrans: u64,
        _reordering: [u32; 3],
        snd_wnd: u32,
    }

    pub(super) fn info(socket: BorrowedFd<'_>) -> Option<TcpInfo> {
        if !*TELLS {
            return None;
        }
        let answer = TcpInfoOption.get(&socket).ok()?;
        let acked = answer.bytes_acked;
        let sent = answer.bytes_sent.wrapping_sub(answer.bytes_retrans);
        let written = sent.wrapping_add(answer.notsent_bytes.into()).max(acked);
        Some(TcpInfo {
            acked: acked as u32,
            written: match (answer.unacked, answer.notsent_bytes) {
                // The acknowledged bytes include SYN and FIN.
                (0, 0) => acked as u32,
                _ => written as u32,
            },
            is_in_flight: answer.unacked > 0,
            window: answer.snd_wnd,
            since_ack: Duration::from_millis(answer.last_ack_recv.into()),
        })
    }

    /// Whether the kernel fills all of [`KernelTcpInfo`], as Linux does since 5.4. An older one fills less,
    /// and so do some kernels that imitate Linux; those report an older version.
    static TELLS: LazyLock<bool> = LazyLock::new(|| {
        let name = nix::sys::utsname::uname();
        name.is_ok_and(|name| name.release().to_str().is_some_and(knows_all))
    });

    fn knows_all(release: &str) -> bool {
        let mut numbers = release.split(|char: char| !char.is_ascii_digit());
        let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
        (next(), next()) >= (Some(5), Some(4))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_layout_is_the_one_of_the_kernel() {
            assert_eq!(std::mem::offset_of!(KernelTcpInfo, last_ack_recv), 56);
            assert_eq!(std::mem::offset_of!(KernelTcpInfo, bytes_acked), 120);
            assert_eq!(std::mem::offset_of!(KernelTcpInfo, bytes_sent), 200);
            assert_eq!(std::mem::offset_of!(KernelTcpInfo, snd_wnd), 228);
            assert_eq!(size_of::<KernelTcpInfo>(), 232);
        }

        #[test]
        fn kernels_before_5_4_are_not_asked() {
            for release in ["5.4.0", "5.10.0-rc1", "6.18.44-generic", "10.0"] {
                assert!(knows_all(release), "{release}");
            }
            for release in ["4.4.0", "4.19.0-gvisor", "5.3.18", "2.6.32", "", "x"] {
                assert!(!knows_all(release), "{release}");
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::os::fd::BorrowedFd;

    use crate::connection::io::tcp_info::TcpInfo;

    pub(super) fn info(_: BorrowedFd<'_>) -> Option<TcpInfo> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        os::fd::AsFd as _,
        time::Instant,
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    /// Waits for a state that only a failure would never reach.
    fn wait_until(socket: &TcpStream, wanted: impl Fn(&TcpInfo) -> bool) -> TcpInfo {
        let limit = Instant::now() + Duration::from_secs(30);
        loop {
            let info = TcpInfo::of(socket.as_fd()).expect("the kernel tells");
            if wanted(&info) {
                return info;
            }
            assert!(Instant::now() < limit, "{info:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_the_peer_reads_is_acknowledged_and_what_it_leaves_is_not() {
        let (mut near, mut far) = pair();
        let begin = TcpInfo::of(near.as_fd()).unwrap();
        assert!(begin.has_acked_all() && !begin.is_in_flight);
        near.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(len) = near.write(&[7; 64 << 10]) {
            written += len;
        }
        let full = wait_until(&near, |info| !info.is_in_flight && info.window == 0);
        // The SYN counts as acknowledged, and not as sent.
        let queued = full.written.wrapping_sub(begin.acked) as usize;
        assert!([written, written - 1].contains(&queued), "{queued}");
        assert!(!full.has_acked_all() && full.has_acked(begin.written));
        let mut buffer = vec![0; 1 << 20];
        let mut read = 0;
        while read < written {
            read += far.read(&mut buffer).unwrap();
        }
        let clear = wait_until(&near, TcpInfo::has_acked_all);
        assert!(clear.has_acked(full.written));
        assert!(clear.window > 0);
    }

    #[test]
    fn what_is_no_tcp_has_no_answer() {
        let (near, _far) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(TcpInfo::of(near.as_fd()), None);
    }
}
