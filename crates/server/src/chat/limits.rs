//! What the chat lets grow, and how far.

use std::time::Duration;

/// What the chat lets grow, and how far. Each limit that a page can reach is answered with an `ERROR` of its own.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of one WebSocket message; a longer one ends the connection with 1009. Default 32 KiB: the longest text,
    /// every character of it escaped, and what stands around it.
    pub(crate) message_bytes_max: usize,
    /// Characters of what is said in one message. Default 2,000.
    pub(crate) text_chars_max: usize,
    /// Characters of a person's name, and of a room's. Default 40: fits on a phone.
    pub(crate) name_chars_max: usize,
    /// Characters of the id that a page gives its message. Default 64: a UUID, with something before it.
    pub(crate) id_chars_max: usize,
    /// Rooms that one connection is in. Default 20.
    pub(crate) rooms_per_visitor_max: usize,
    /// Rooms that are remembered. One more takes the place of the empty one that was silent longest. Default 1,000.
    pub(crate) rooms_max: usize,
    /// Messages of a room that are kept. Default 200.
    pub(crate) history_max: usize,
    /// Private messages of a person that are kept, those that wait among them. The oldest goes, and who should have got
    /// it is told how many went. Default 100.
    pub(crate) letters_max: usize,
    /// Messages kept in all. The oldest goes. Default 100,000: some 100 MiB.
    pub(crate) kept_max: u64,
    /// People who are remembered. One more takes the place of who was away longest. Default 10,000.
    pub(crate) people_max: usize,
    /// People named in one answer; the answer says how many there are. Default 200.
    pub(crate) listed_max: usize,
    /// People in a room up to which everybody hears who comes and goes. Default 200: beyond it that would be most of
    /// what is sent.
    pub(crate) announced_max: usize,
    /// Identities given out and not yet used. The oldest goes, and its page asks again. Default 65,536.
    pub(crate) issued_max: usize,
    /// Messages that a connection may send at once, after it was silent. Default 40.
    pub(crate) burst: u32,
    /// Messages per second that a connection may send for good. Default 10.
    pub(crate) per_second: u32,
    /// Messages in a row that came too fast, after which the connection is closed. Default 200.
    pub(crate) rate_strikes_max: u32,
    /// Jobs that wait for the desk. One more is refused. Default 4,096.
    pub(crate) queue_max: usize,
    /// Jobs that share a commit. Default 256.
    pub(crate) batch_max: usize,
    /// How long an answer of `/socket/get-msg` may be on its way before the same browser can ask for it again.
    /// Default 10 s.
    pub(crate) lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 32 << 10,
            text_chars_max: 2000,
            name_chars_max: 40,
            id_chars_max: 64,
            rooms_per_visitor_max: 20,
            rooms_max: 1000,
            history_max: 200,
            letters_max: 100,
            kept_max: 100_000,
            people_max: 10_000,
            listed_max: 200,
            announced_max: 200,
            issued_max: 65_536,
            burst: 40,
            per_second: 10,
            rate_strikes_max: 200,
            queue_max: 4096,
            batch_max: 256,
            lease: Duration::from_secs(10),
        }
    }
}
