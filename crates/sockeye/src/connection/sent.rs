//! What a session has sent.

/// Messages that a session has sent, and the bytes of their payloads, since [`crate::Session::count_sent`].
///
/// A message counts when it is framed for this session, be it an endpoint's reply, a send or a publication of a
/// [`crate::Group`]. So messages count that still wait in the outbox, and those that the peer never got because the
/// connection ended first. Bytes count before compression. Frame headers, pings, pongs and Close frames don't count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Whole messages; one in parts counts with its last part.
    pub messages: u64,
    /// Bytes of payload; those of a message in parts count part by part.
    pub bytes: u64,
}

impl Sent {
    pub(crate) fn add(&mut self, messages: usize, bytes: usize) {
        self.messages += messages as u64;
        self.bytes += bytes as u64;
    }
}
