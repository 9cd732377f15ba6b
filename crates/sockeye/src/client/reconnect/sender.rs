//! Sends from any task, whether there is a connection or not.

use std::{fmt, sync::Arc};

use sockeye_proto::{CloseCode, Message};

use crate::{
    client::reconnect::shared::{Link, ReconnectShared, SendRoute},
    connection::{Session, TrySendError},
};

/// Sends from any task, whether there is a connection or not. Cheap to clone.
///
/// While there is none, a message waits in the [`super::Queue`]. A new connection gets first what has
/// waited, in order; what is sent meanwhile comes behind it.
#[derive(Clone)]
pub struct Sender(Arc<ReconnectShared>);

impl Sender {
    pub(super) fn new(shared: Arc<ReconnectShared>) -> Self {
        Self(shared)
    }

    /// Sends a message, or lets it wait for a connection. Waits itself for room in the outbox of an open
    /// connection.
    ///
    /// Taken is not delivered: a message that was handed to a connection is lost with it, and isn't sent
    /// again by itself. Only an answer of the peer says that it has come.
    ///
    /// # Errors
    ///
    /// The message, given back: [`TrySendError::Full`] if there is no connection and the queue doesn't take
    /// it, [`TrySendError::Closed`] if there will be no connection any more.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing of the message was sent.
    pub async fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        let mut message = message.into();
        let shared = &self.0;
        loop {
            // Before the look, or a notice between the two would be missed.
            let noticed = shared.senders.notified();
            let (way, unsent) = shared.admit(message)?;
            message = unsent;
            match way {
                SendRoute::Queued => return Ok(()),
                SendRoute::Direct(session) => match session.send(&message).await {
                    Ok(()) => return Ok(()),
                    // Nothing of it was sent.
                    Err(_) => shared.leave(&session),
                },
                SendRoute::Later => noticed.await,
            }
        }
    }

    /// Sends a message now, or lets it wait for a connection, or gives it back.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`], and [`TrySendError::Full`] also if the outbox of the open connection is full.
    pub fn try_send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        let mut message = message.into();
        loop {
            let (way, unsent) = self.0.admit(message)?;
            match way {
                SendRoute::Queued => return Ok(()),
                SendRoute::Direct(session) => match session.try_send(unsent) {
                    Err(TrySendError::Closed(unsent)) => {
                        self.0.leave(&session);
                        message = unsent;
                    }
                    done => return done,
                },
                SendRoute::Later => return Err(TrySendError::Full(unsent)),
            }
        }
    }

    /// The open connection, if there is one. What is sent by it overtakes the queue, and fails when this
    /// connection is gone.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        match &self.0.state().link {
            Link::Catching(session) | Link::Open(session) => Some(session.clone()),
            Link::Away | Link::Ended => None,
        }
    }

    /// Waits until there is a connection; `None` when there will be none any more.
    ///
    /// # Cancel safety
    ///
    /// Cancelling it has no effect.
    pub async fn connected(&self) -> Option<Session> {
        self.0.connected().await
    }

    /// Messages that wait for a connection.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.state().backlog.len()
    }

    /// Ends the wait before the next attempt: the network is said to be back, or somebody pressed a button.
    /// Without effect while there is a connection or an attempt.
    pub fn retry_now(&self) {
        self.0.hurry();
    }

    /// Ends it: closes the connection, and makes no other. Without effect if it is ending already.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.0.close(code, reason);
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
