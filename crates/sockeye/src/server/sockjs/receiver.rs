//! The request that receives the messages of a session.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    form::{HEARTBEAT, end_frame, message_frame},
    session::SockJsSession,
};
use crate::server::polling::{AlreadyReceiving, Received, RelayHolder as _};

/// The one request that receives the messages of a session. If it is dropped before it has left, the client may have lost
/// messages, and the session ends.
pub(super) struct Receiver {
    session: Arc<SockJsSession>,
    has_left: bool,
}

impl Receiver {
    /// Begins to receive. If another request does, that may have been torn off just now, which its connection tells a little
    /// later than the client's next one is there. So this waits for a moment.
    ///
    /// # Errors
    ///
    /// Another request receives.
    pub(super) async fn attach(session: Arc<SockJsSession>) -> Result<Self, AlreadyReceiving> {
        let relay = session.relay();
        if relay.attach().is_err() {
            let _ = timeout(TORN_OFF_WAIT, poll_fn(|cx| relay.poll_detached(cx))).await;
            relay.attach()?;
        }
        Ok(Self::attached(session))
    }

    /// Creates the receiver of a session that has just been opened for it.
    pub(super) fn attached(session: Arc<SockJsSession>) -> Self {
        session.handle_attached();
        Self {
            session,
            has_left: false,
        }
    }

    pub(super) fn session(&self) -> &Arc<SockJsSession> {
        &self.session
    }

    /// Waits for what the session has sent.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is lost.
    pub(super) async fn receive(&self) -> Received<String> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Received<String>> {
        self.session.relay().poll_receive(cx)
    }

    /// Leaves: the client has got all that was received, and asks again.
    pub(super) fn leave(mut self) {
        self.has_left = true;
        self.session.relay().detach();
        self.session.handle_detached();
    }

    /// Ends the session with the close of a client that can say it.
    pub(super) fn close(mut self, code: u16, reason: &str) {
        self.has_left = true;
        self.session.relay().close(code, reason);
    }

    /// Waits for one frame, of messages, of the close, or a heartbeat, and leaves.
    pub(super) async fn poll_once(self, heartbeat_interval: Duration) -> String {
        let received = timeout(heartbeat_interval, self.receive()).await;
        self.leave();
        match received {
            Ok(received) => frame_of(received),
            Err(_) => HEARTBEAT.to_owned(),
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.has_left {
            self.session.relay().break_off();
        }
    }
}

/// Long enough for a FIN that has left the client before its next request, and short enough for a client that is told to wait.
const TORN_OFF_WAIT: Duration = Duration::from_millis(100);

/// Returns the frame that brings `received` to the client.
pub(super) fn frame_of(received: Received<String>) -> String {
    match received {
        Received::Messages(messages) => message_frame(&messages),
        Received::End(end) => end_frame(&end),
    }
}
