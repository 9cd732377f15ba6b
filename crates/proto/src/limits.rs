//! The limits on everything that a peer could make grow.

use core::time::Duration;

/// The limits on everything that a peer could make grow.
///
/// A peer that exceeds a limit of the handshake is answered with an HTTP status, a peer that exceeds a limit of the open
/// connection with close code 1009.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the request's or response's head, with its start line and its final blank line. Default 16 KiB.
    pub head_bytes_max: usize,
    /// Header fields in the head. Default 100.
    pub headers_max: usize,
    /// Payload bytes of one frame, as sent. Default `None`: as many as a message of [`Limits::message_bytes_max`] needs,
    /// even if compression makes it a little larger.
    pub frame_bytes_max: Option<usize>,
    /// Payload bytes of one message, after reassembly and inflation. Default 1 MiB.
    pub message_bytes_max: usize,
    /// Continuation frames of one message: the number of its frames less one. Default `None`: one for each 256 bytes of
    /// [`Limits::message_bytes_max`], but at least 65,536. These suffice for 4 MiB in fragments of 64 bytes and for the
    /// empty last frame of some senders.
    pub fragments_max: Option<u32>,
    /// The period in which an unfinished message must end or must bring [`Limits::message_rate_min`] for each second.
    /// Default 60 s; [`Duration::MAX`] waits for ever.
    ///
    /// A deadline for the whole message would refuse 16 MiB over a link of 50 KiB/s, which take five and a half minutes.
    /// A deadline for the next byte would let a peer send one byte a minute for ever. A message in parts
    /// ([`crate::Delivery::Parts`]) has no such limit, because the connection keeps none of it.
    pub message_timeout: Duration,
    /// Payload bytes per second, as sent, that an unfinished message must bring; 0 turns the rule off. Default 1 KiB.
    pub message_rate_min: u32,
    /// The time from the first byte (of TCP or of TLS) to the end of the handshake. Default 10 s. The driver enforces it.
    pub handshake_timeout: Duration,
    /// The time from our Close frame to the peer's, and from both to the end of TCP. Default 5 s. The driver enforces it.
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

    /// Returns the payload bytes, as sent, that an unfinished message must bring in
    /// [`Limits::message_timeout`].
    pub(crate) fn message_bytes_due(&self) -> u64 {
        let millis = self.message_timeout.as_millis() * u128::from(self.message_rate_min);
        u64::try_from(millis / 1000).unwrap_or(u64::MAX)
    }

    /// Returns the most continuation frames of one message.
    pub(crate) fn fragments(&self) -> u32 {
        self.fragments_max.unwrap_or_else(|| {
            let small = self.message_bytes_max / FRAGMENT_BYTES_AVERAGE_MIN;
            u32::try_from(small).unwrap_or(u32::MAX).max(FRAGMENTS_MIN)
        })
    }
}

crate::setters!(Limits {
    with_head_bytes_max: head_bytes_max: usize,
    with_headers_max: headers_max: usize,
    with_frame_bytes_max: frame_bytes_max: Option<usize>,
    with_message_bytes_max: message_bytes_max: usize,
    with_fragments_max: fragments_max: Option<u32>,
    with_message_timeout: message_timeout: Duration,
    with_message_rate_min: message_rate_min: u32,
    with_handshake_timeout: handshake_timeout: Duration,
    with_close_timeout: close_timeout: Duration,
});

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            headers_max: 100,
            frame_bytes_max: None,
            message_bytes_max: 1 << 20,
            fragments_max: None,
            message_timeout: Duration::from_secs(60),
            message_rate_min: 1 << 10,
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// Bytes. Compression adds five bytes for each stored block to text that doesn't shrink: less than a 256th of the
/// message, except for small messages that are flushed often.
const DEFLATE_GROWTH_BYTES: usize = 64 << 10;

/// Bytes. In smaller fragments, on average, a large message costs more for its headers than for its payload.
const FRAGMENT_BYTES_AVERAGE_MIN: usize = 256;

/// Continuation frames. A message of any size may have so many.
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
