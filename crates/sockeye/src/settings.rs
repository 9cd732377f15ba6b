//! How a connection is run.

use std::{borrow::Cow, time::Duration};

use sockeye_proto::{HeartbeatConfig, Message};

use crate::{Deflate, Limits, memory::MemoryBudget};

/// How a connection is run: its limits, its queues, its compression.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// What the peer can make grow.
    pub limits: Limits,
    /// permessage-deflate: offered by a client, agreed to by a server. Default `None`.
    pub deflate: Option<Deflate>,
    /// Bytes waiting to be written, frames and headers as on the wire. A message is admitted if it
    /// fits, or if nothing waits. Default 1 MiB.
    ///
    /// An endpoint's answers are always taken: reading pauses over it, and while one of 64 KiB or more
    /// waits that is a large message's, such as its echo.
    pub outbox_bytes_max: usize,
    /// Bytes of whole messages received and not yet taken by `recv`; over it, reading pauses.
    /// Default 1 MiB. Loop style only: callbacks take a message as it comes.
    pub inbox_bytes_max: usize,
    /// Pings of ours, by which a peer that vanishes is noticed and [`crate::Session::latency`] is
    /// measured; `None` sends none. Default one every 25 s, and 10 s for any byte of the peer's.
    ///
    /// A peer that gives no sign of life is gone within interval + timeout: `on_error` tells of an
    /// error of kind [`crate::ErrorKind::Heartbeat`], the ending is by [`crate::Side::Network`]
    /// with 1006, and nobody waits for its Close frame. While reading is paused because the inbox or the
    /// outbox is full, and while bytes wait before the ping, nobody is late: also in the kernel and on the way, as
    /// long as the peer's kernel takes some of them, which Linux knows. See `docs/howto/keep-connections-alive.md`.
    pub heartbeat: Option<HeartbeatConfig>,
    /// A text message that is answered with another as soon as it comes, before messages that wait, and is
    /// handed to nobody: for peers that can't send pings of RFC 6455, as the programs of browsers. It counts
    /// as a message for `idle_timeout`. Default `None`: the program hears every message.
    pub app_heartbeat: Option<AppHeartbeat>,
    /// How long the peer may send no message, nor a byte of one, before it is closed with 1001 and the reason
    /// `idle`; pings and pongs don't count. It may take a quarter longer. Default `None`: for ever.
    pub idle_timeout: Option<Duration>,
    /// How long it may last before it is closed with 1001 and the reason `lifetime`. Default `None`: for
    /// ever.
    pub lifetime: Option<Lifetime>,
    /// How long bytes may wait in the outbox of which the system takes none, because the peer doesn't
    /// read: then it is cut, at twice this time at the latest. A peer that reads slowly, but reads,
    /// stays: on Linux the peer's kernel is watched too, which acknowledges what it has room for. `None` waits for as long as the system does. Default 30 s.
    ///
    /// `on_error` tells of an error of kind [`crate::ErrorKind::Timeout`], the ending is by
    /// [`crate::Side::Us`] with 1006, for no Close frame could be sent.
    pub progress_timeout: Option<Duration>,
    /// How long a thread that has nothing to do looks for what comes next before it sleeps, where that has come as
    /// promptly so far; zero: it sleeps at once. Default 30 µs.
    ///
    /// To sleep and to be woken can take several times as long as the answer to a message. Who looks keeps the core
    /// busy; where little comes, or comes later, nobody looks. A server's workers do it, with the settings of the server,
    /// and leave the core to any other thread that has work for it; and tasks in [`crate::WebSocket::recv`], one of a
    /// thread at a time, which leave the thread to its other tasks.
    pub busy_poll: Duration,
    /// What a connection holds for its peer is charged to this budget, and is bounded by it together with what all
    /// others hold. Default [`MemoryBudget::of_process`]; a server may have one for all its routes:
    /// [`crate::Server::memory_budget`].
    pub memory_budget: MemoryBudget,
}

/// How long a connection may last.
///
/// Those who came together don't end together: each lasts a little less than the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The most.
    pub max: Duration,
    /// How much less it may be: the ends are spread evenly over this time before the maximum.
    pub spread: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            deflate: None,
            outbox_bytes_max: 1 << 20,
            inbox_bytes_max: 1 << 20,
            heartbeat: Some(HeartbeatConfig::default()),
            app_heartbeat: None,
            idle_timeout: None,
            lifetime: None,
            progress_timeout: Some(Duration::from_secs(30)),
            busy_poll: Duration::from_micros(30),
            memory_budget: MemoryBudget::of_process(),
        }
    }
}

/// A heartbeat of the application's own: a text message that is answered with another, and handed to nobody.
///
/// The programs of browsers can't send the ping of RFC 6455, so that they send one of their own to see whether
/// the server still answers; the clients of many chats do. See [`crate::Settings::app_heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppHeartbeat {
    /// The whole text of the question, below 4 KiB. Default `ping`.
    pub ping: Cow<'static, str>,
    /// The whole text of the answer. Default `pong`.
    pub pong: Cow<'static, str>,
}

impl Default for AppHeartbeat {
    fn default() -> Self {
        Self {
            ping: Cow::Borrowed("ping"),
            pong: Cow::Borrowed("pong"),
        }
    }
}

impl AppHeartbeat {
    /// Returns the answer, if `message` is the question.
    pub(crate) fn answer(&self, message: &Message<'_>) -> Option<Message<'static>> {
        let is_ping = message.as_text() == Some(&*self.ping);
        is_ping.then(|| Message::Text(self.pong.clone()))
    }
}
