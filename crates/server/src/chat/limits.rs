//! What the chat lets grow, and how far.

use std::time::Duration;

use super::answers::Allowed;

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
    /// Rooms that are remembered. One more takes the place of an empty one: first of those in which nobody has spoken,
    /// then of the one that was silent longest. Default 1,000.
    pub(crate) rooms_max: usize,
    /// Rooms that are remembered of those begun from one network address. One more takes the place of one of them.
    /// Default 250.
    pub(crate) rooms_per_origin_max: usize,
    /// Rooms that were forgotten with what was in them, and of which that is still known. Default 10,000.
    pub(crate) tombstones_max: usize,
    /// Messages of a room that are kept. Default 200.
    pub(crate) history_max: usize,
    /// Private messages of a person that are kept, beside those that wait. Default 100.
    pub(crate) letters_max: usize,
    /// Bytes of the history of one room, or of one person. The oldest message goes. Default 256 KiB: so much is the answer
    /// to who joins.
    pub(crate) history_log_bytes_max: u64,
    /// Bytes of all history. The oldest message of the room or person that has most goes. Default 4 MiB in memory, where
    /// it takes twice that, 64 MiB on disk.
    pub(crate) history_bytes_max: u64,
    /// Bytes of the private messages that wait for one person. A quarter for one sender at most, half of it for one network
    /// address. One more is refused. Default 256 KiB.
    pub(crate) letters_receiver_bytes_max: u64,
    /// Bytes of all private messages that wait. An eighth for one network address at most, a 32nd for one sender.
    /// One more is refused. Default 4 MiB in memory, 32 MiB on disk.
    pub(crate) letters_bytes_max: u64,
    /// How long a private message waits; who should have got it is told that one is lost. Default 30 days.
    pub(crate) letters_age_max: Duration,
    /// Bytes of one answer of `/socket/get-msg`; the rest is in the next. Default 256 KiB.
    pub(crate) handed_bytes_max: u64,
    /// What one person is given in answers that are longer than their questions: history, lists of people. Default 1 MiB
    /// at once, 128 KiB per second.
    pub(crate) answers: Allowed,
    /// What all people of one network address are given in such answers. Default 16 MiB at once, 4 MiB per second.
    pub(crate) answers_origin: Allowed,
    /// Bytes said in one turn of the desk before it is committed and sent. Default 1 MiB.
    pub(crate) turn_bytes_max: usize,
    /// People who are remembered. One more takes the place of somebody who is away and has no mail: first of those who
    /// never spoke, then of who was away longest. Default 10,000.
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
    /// Bytes of the jobs that wait for the desk. Default 8 MiB.
    pub(crate) queue_bytes_max: usize,
    /// Jobs that share a commit. Default 256.
    pub(crate) batch_max: usize,
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
            letters_max: 100,
            history_log_bytes_max: 256 << 10,
            history_bytes_max: 4 << 20,
            letters_receiver_bytes_max: 256 << 10,
            letters_bytes_max: 4 << 20,
            letters_age_max: Duration::from_secs(30 * 24 * 3600),
            handed_bytes_max: 256 << 10,
            answers: Allowed {
                burst: 1 << 20,
                per_second: 128 << 10,
            },
            answers_origin: Allowed {
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
