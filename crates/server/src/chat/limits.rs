//! Limits of the chat.

use std::time::Duration;

/// Limits of everything in the chat that grows. Each limit that a page can reach has its own `ERROR`.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of one WebSocket message; a longer one ends the connection with 1009. Default 32 KiB: the longest text,
    /// every character of it escaped, and the fields around it.
    pub(crate) message_bytes_max: usize,
    /// Characters of the text of one message. Default 2,000.
    pub(crate) text_chars_max: usize,
    /// Characters of a person's name, and of a room's. Default 40: fits on a phone.
    pub(crate) name_chars_max: usize,
    /// Characters of the id that a page gives its message. Default 64: a UUID with a prefix.
    pub(crate) id_chars_max: usize,
    /// Rooms that one connection can be in. Default 20.
    pub(crate) rooms_per_visitor_max: usize,
    /// Rooms that are stored. One more replaces an empty one: first one without messages, then the one with the oldest
    /// last message. Default 1,000.
    pub(crate) rooms_max: usize,
    /// Stored rooms that were created from one network. One more replaces one of them. Default 250.
    pub(crate) rooms_per_origin_max: usize,
    /// Tombstones of forgotten rooms that had messages. Default 10,000.
    pub(crate) tombstones_max: usize,
    /// Stored messages of one room. Default 200.
    pub(crate) history_max: usize,
    /// Stored private messages of one person, beside those that wait. Default 100.
    pub(crate) queued_max: usize,
    /// Bytes of the history of one room or person. Beyond it the oldest message is removed. Default 256 KiB: a page that
    /// joins receives all of it.
    pub(crate) history_log_bytes_max: u64,
    /// Bytes of all history. Beyond it the oldest message of the largest room or person is removed. Default 4 MiB in memory,
    /// where it takes twice that, 64 MiB on disk.
    pub(crate) history_bytes_max: u64,
    /// Bytes of the private messages that wait for one person. One sender can use a quarter of it, one network half. One more
    /// message is refused. Default 256 KiB.
    pub(crate) queued_receiver_bytes_max: u64,
    /// Bytes of all private messages that wait. One network can use an eighth of it, one sender a 32nd. One more message is
    /// refused. Default 4 MiB in memory, 32 MiB on disk.
    pub(crate) queued_bytes_max: u64,
    /// How long a private message waits. Then it is removed, and the recipient is told that one is lost. Default 30 days.
    pub(crate) queued_age_max: Duration,
    /// Bytes of one answer of `/socket/get-msg`. The rest follows in the next one. Default 256 KiB.
    pub(crate) handed_bytes_max: u64,
    /// Bytes for one person in answers that are larger than their requests: history, lists of people. Default 1 MiB at
    /// once, 128 KiB per second.
    pub(crate) answers: ByteRate,
    /// Bytes for all people of one network in such answers. Default 16 MiB at once, 4 MiB per second.
    pub(crate) answers_origin: ByteRate,
    /// Bytes of the answers in one batch before it is committed and sent. Default 1 MiB.
    pub(crate) turn_bytes_max: usize,
    /// Known people. One more replaces a person who is offline and has no queued messages: first one who never sent a message, then
    /// the one who was online longest ago. Default 10,000.
    pub(crate) people_max: usize,
    /// People listed in one answer, which also has the total. Default 200.
    pub(crate) listed_max: usize,
    /// People in a room up to which joining and leaving is announced. Default 200: beyond it, announcements would be most of
    /// the traffic.
    pub(crate) announced_max: usize,
    /// Identities that were given out and not yet used. Beyond it the oldest is forgotten, and its page asks again.
    /// Default 65,536.
    pub(crate) issued_max: usize,
    /// Messages that a connection may send at once after a pause. Default 40.
    pub(crate) burst: u32,
    /// Messages per second that a connection may send in the long run. Default 10.
    pub(crate) per_second: u32,
    /// Consecutive messages above the rate after which the connection is closed. Default 200.
    pub(crate) rate_strikes_max: u32,
    /// Jobs in the processor's queue. One more is refused. Default 4,096.
    pub(crate) queue_max: usize,
    /// Bytes of the jobs in the processor's queue. Default 8 MiB.
    pub(crate) queue_bytes_max: usize,
    /// Jobs in one commit. Default 256.
    pub(crate) batch_max: usize,
}

/// A limit of bytes: a burst, and a rate in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRate {
    /// Bytes at once after a pause.
    pub(crate) burst: u64,
    /// Bytes per second.
    pub(crate) per_second: u64,
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
            rooms_per_origin_max: 250,
            tombstones_max: 10_000,
            history_max: 200,
            queued_max: 100,
            history_log_bytes_max: 256 << 10,
            history_bytes_max: 4 << 20,
            queued_receiver_bytes_max: 256 << 10,
            queued_bytes_max: 4 << 20,
            queued_age_max: Duration::from_secs(30 * 24 * 3600),
            handed_bytes_max: 256 << 10,
            answers: ByteRate {
                burst: 1 << 20,
                per_second: 128 << 10,
            },
            answers_origin: ByteRate {
                burst: 16 << 20,
                per_second: 4 << 20,
            },
            turn_bytes_max: 1 << 20,
            people_max: 10_000,
            listed_max: 200,
            announced_max: 200,
            issued_max: 65_536,
            burst: 40,
            per_second: 10,
            rate_strikes_max: 200,
            queue_max: 4096,
            queue_bytes_max: 8 << 20,
            batch_max: 256,
        }
    }
}
