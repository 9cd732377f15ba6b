//! Everything that a peer could make grow, with its bound.

use core::time::Duration;

/// Everything that a peer could make grow, with its bound.
///
/// Going over a limit of the handshake is answered with an HTTP status, over a limit of the
/// open connection with close code 1009.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the request or response head, start line and final blank line included. Default 16 KiB.
    pub head_bytes_max: usize,
    /// Header fields in the head. Default 100.
    pub headers_max: usize,
    /// Payload bytes of one frame, as on the wire. Default `None`: as many as a message of
    /// [`Limits::message_bytes_max`] takes, also if compression makes it a little larger.
    pub frame_bytes_max: Option<usize>,
    /// Payload bytes of one message, after reassembly and inflation. Default 16 MiB.
    pub message_bytes_max: usize,
    /// Continuation frames of one message, so one less than its frames. Default `None`: one for each
    /// 256 bytes of [`Limits::message_bytes_max`], and at least 65,536, which is enough for 4 MiB in
    /// fragments of 64 bytes and for the empty frame with which some senders end.
    pub fragments_max: Option<u32>,
    /// From the first byte (of TCP, or of TLS) to the end of the handshake. Default 10 s.
    pub handshake_timeout: Duration,
    /// From our Close frame to the peer's, and from both to the end of TCP. Default 5 s.
    pub close_timeout: Duration,
}

impl Limits {
    /// Returns the most payload bytes of one frame.
    #[inline]
    pub(crate) fn frame_bytes(&self) -> usize {
        self.frame_bytes_max.unwrap_or_else(|| {
            let growth = self.message_bytes_max / 256 + DEFLATE_GROWTH_BYTES;
            self.message_bytes_max.saturating_add(growth)
        })
    }

    /// Returns the most payload bytes of a message that is one frame and not compressed.
    #[inline]
    pub(crate) fn single_frame_message_bytes(&self) -> usize {
        match self.frame_bytes_max {
            Some(frame_bytes_max) => self.message_bytes_max.min(frame_bytes_max),
            None => self.message_bytes_max,
        }
    }

    /// Returns the most continuation frames of one message.
    pub(crate) fn fragments(&self) -> u32 {
        self.fragments_max.unwrap_or_else(|| {
            let small = self.message_bytes_max / FRAGMENT_BYTES_AVERAGE_MIN;
            u32::try_from(small).unwrap_or(u32::MAX).max(FRAGMENTS_MIN)
        })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            headers_max: 100,
            frame_bytes_max: None,
            message_bytes_max: 16 << 20,
            fragments_max: None,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes. Text that doesn't shrink grows, by five for each stored block: that is within a 256th part but for small
/// messages that are flushed often.
const DEFLATE_GROWTH_BYTES: usize = 64 << 10;

/// Bytes. A sender that cuts a large message into smaller fragments than this, on average, costs more for
/// their headers than for their payload.
const FRAGMENT_BYTES_AVERAGE_MIN: usize = 256;

/// Continuation frames that a message of any size may have.
const FRAGMENTS_MIN: u32 = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_frames_and_fragments_follow_from_the_message_limit_unless_they_are_set() {
        let mut limits = Limits::default();
        for (message_bytes_max, fragments) in [
            (1 << 10, 65_536),
            (16 << 20, 65_536),
            (100 << 20, 409_600),
            (1 << 30, 4_194_304),
        ] {
            limits.message_bytes_max = message_bytes_max;
            assert_eq!(limits.single_frame_message_bytes(), message_bytes_max);
            let growth = limits.frame_bytes() - message_bytes_max;
            assert_eq!(growth, (64 << 10) + message_bytes_max / 256);
            assert_eq!(limits.fragments(), fragments);
        }
        limits.message_bytes_max = usize::MAX;
        assert_eq!(limits.fragments(), u32::MAX);
        assert_eq!(limits.frame_bytes(), usize::MAX);
        limits.frame_bytes_max = Some(7);
        limits.fragments_max = Some(3);
        assert_eq!((limits.frame_bytes(), limits.fragments()), (7, 3));
        assert_eq!(limits.single_frame_message_bytes(), 7);
    }
}
