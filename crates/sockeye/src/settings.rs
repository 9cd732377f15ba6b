//! The settings of a connection.

use std::{borrow::Cow, time::Duration};

use sockeye_proto::{CloseCode, HeartbeatConfig, Message};

use crate::{Deflate, Limits, memory::MemoryBudget};

/// The settings of a connection: its limits, its queues, its compression.
///
/// ```
/// use std::time::Duration;
///
/// use sockeye::{Limits, Settings};
///
/// let settings = Settings::default()
///     .with_limits(Limits::default().with_message_bytes_max(64 << 10))
///     .with_idle_timeout(Duration::from_secs(300))
///     .with_heartbeat(None);
/// assert_eq!(settings.limits.message_bytes_max, 64 << 10);
/// assert_eq!(settings.idle_timeout, Some(Duration::from_secs(300)));
/// assert!(settings.heartbeat.is_none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Limits on what the peer can make grow.
    pub limits: Limits,
    /// permessage-deflate: offered by a client, agreed to by a server. Default `None`.
    pub deflate: Option<Deflate>,
    /// Bytes that may wait to be written, frames and headers included. A message is admitted if it fits, or
    /// if nothing waits. Default 1 MiB.
    ///
    /// An endpoint's answers are always taken. Reading pauses while more waits than this, and while an answer
    /// of 64 KiB or more to a large message waits, such as its echo.
    pub outbox_bytes_max: usize,
    /// Bytes of whole messages received and not yet taken by `recv`; beyond it, reading pauses. Default 1
    /// MiB. For the loop style only: callbacks take each message as it comes.
    pub inbox_bytes_max: usize,
    /// The pings that detect a vanished peer and measure [`crate::Session::latency`]; `None` sends none.
    /// Default: one every 25 s, and 10 s for any byte of the peer to arrive.
    ///
    /// A peer that gives no sign of life is gone within interval + timeout. Then `on_error` gets an error of
    /// kind [`crate::ErrorKind::Heartbeat`], and the ending is by [`crate::Side::Network`] with 1006, without
    /// a wait for the peer's Close frame.
    ///
    /// A peer is never late while reading is paused because the inbox or the outbox is full. A peer is also
    /// not late while bytes wait ahead of the ping, be it in this kernel or on the way, as long as the peer's
    /// kernel takes some of them, which Linux can tell. See `docs/howto/keep-connections-alive.md`.
    pub heartbeat: Option<HeartbeatConfig>,
    /// A text message that is answered with another as soon as it comes, ahead of messages that wait, and is
    /// not handed to the program. It is for peers that can't send pings of RFC 6455, such as scripts in
    /// browsers. It counts as a message for `idle_timeout`. Default `None`: the program gets every message.
    pub app_heartbeat: Option<AppHeartbeat>,
    /// How long the peer may send no message, nor a byte of one, before it is closed with 1001 and the reason
    /// `idle`. Pings and pongs don't count. The close may come a quarter of this time late. Default `None`:
    /// for ever.
    pub idle_timeout: Option<Duration>,
    /// How long the connection may last before it is closed with 1001 and the reason `lifetime`. Default
    /// `None`: for ever.
    pub lifetime: Option<Lifetime>,
    /// How long bytes may wait in the outbox while the system takes none of them, because the peer doesn't
    /// read. Then the connection is cut, after at most twice this time. A peer that reads slowly stays: on
    /// Linux the peer's kernel is watched too, which acknowledges what it has room for. `None` waits as long
    /// as the system does. Default 30 s.
    ///
    /// `on_error` gets an error of kind [`crate::ErrorKind::Timeout`]. The ending is by [`crate::Side::Us`]
    /// with 1006, since no Close frame could be sent.
    pub progress_timeout: Option<Duration>,
    /// The code and the reason with which a server that ends closes the connection, in place of those of
    /// [`crate::Drain`]: for a protocol above WebSocket whose clients come back by a code of their own. Default `None`.
    pub drain_close: Option<(CloseCode, &'static str)>,
    /// How long a thread without work polls before it sleeps, if work has come promptly so far; zero: it
    /// sleeps at once. Default 30 µs.
    ///
    /// Falling asleep and waking up can take several times as long as the answer to a message. Polling keeps
    /// the core busy, so a thread doesn't poll where little comes or where it comes later. A server's workers
    /// poll by the settings of the server, and leave the core to any other thread with work for it. Tasks in
    /// [`crate::WebSocket::recv`] poll too, one of a thread at a time, and leave the thread to its other
    /// tasks.
    pub busy_poll: Duration,
    /// The budget to which the connection charges what it holds for its peer, and which bounds all its
    /// connections together. Default [`MemoryBudget::of_process`]. A server may have one for all its routes:
    /// [`crate::Server::memory_budget`].
    pub memory_budget: MemoryBudget,
}

/// How long a connection may last.
///
/// Connections that began together don't end together: each lasts a little less than the maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The longest.
    pub max: Duration,
    /// How much shorter it may be: the ends are spread evenly over this time before the maximum.
    pub spread: Duration,
}

sockeye_proto::setters!(Settings {
    with_limits: limits: Limits,
    with_deflate: deflate: impl Into<Option<Deflate>>,
    with_outbox_bytes_max: outbox_bytes_max: usize,
    with_inbox_bytes_max: inbox_bytes_max: usize,
    with_heartbeat: heartbeat: impl Into<Option<HeartbeatConfig>>,
    with_app_heartbeat: app_heartbeat: impl Into<Option<AppHeartbeat>>,
    with_idle_timeout: idle_timeout: impl Into<Option<Duration>>,
    with_lifetime: lifetime: impl Into<Option<Lifetime>>,
    with_progress_timeout: progress_timeout: impl Into<Option<Duration>>,
    with_drain_close: drain_close: impl Into<Option<(CloseCode, &'static str)>>,
    with_busy_poll: busy_poll: Duration,
    with_memory_budget: memory_budget: MemoryBudget,
});

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
            drain_close: None,
            busy_poll: Duration::from_micros(30),
            memory_budget: MemoryBudget::of_process(),
        }
    }
}

/// A heartbeat of the application: a text message that is answered with another, and not handed to the
/// program.
///
/// Scripts in browsers can't send the ping of RFC 6455. Many chat clients send a text message instead, to see
/// whether the server still answers. See [`crate::Settings::app_heartbeat`].
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
        is_ping.then(|| Message::from(self.pong.clone()))
    }
}
