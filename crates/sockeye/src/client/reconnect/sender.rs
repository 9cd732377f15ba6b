//! Sends from any task, with or without a connection.

use std::{fmt, sync::Arc};

use sockeye_proto::{CloseCode, Message};

use crate::{
    client::reconnect::shared::{Link, ReconnectShared, SendRoute},
    connection::{Session, TrySendError},
};

/// The handle that sends from any task, with or without a connection. Cheap to clone.
///
/// Without a connection a message waits in the [`super::Queue`]. A new connection first sends what has waited, in order,
/// and then what was sent meanwhile.
#[derive(Clone)]
pub struct Sender(Arc<ReconnectShared>);

impl Sender {
    pub(super) fn new(shared: Arc<ReconnectShared>) -> Self {
        Self(shared)
    }

    /// Sends a message, or queues it for the next connection. With an open connection it waits for room in the outbox.
    ///
    /// `Ok` doesn't mean that the message has arrived. A message that a connection has taken is lost if the connection
    /// fails, and the client doesn't send it again. Only an answer of the peer shows that it has arrived.
    ///
    /// # Errors
    ///
    /// Returns the message in [`TrySendError::Full`] if there is no connection and the queue refuses it, in
    /// [`TrySendError::Closed`] if there will be no connection any more.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it is ready has sent nothing of the message.
    pub async fn send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        let mut message = message.into();
        let shared = &self.0;
        loop {
            // Made before `admit`: a notice between the two would otherwise be missed.
            let notified = shared.senders.notified();
            let (route, unsent) = shared.admit(message)?;
            message = unsent;
            match route {
                SendRoute::Queued => return Ok(()),
                SendRoute::Direct(session) => match session.send(&message).await {
                    Ok(()) => return Ok(()),
                    // The connection has ended, and nothing of the message was sent.
                    Err(_) => shared.leave(&session),
                },
                SendRoute::Later => notified.await,
            }
        }
    }

    /// Sends or queues a message without waiting.
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::send`], and [`TrySendError::Full`] also if the outbox of the open connection is full.
    pub fn try_send<'m>(
        &self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError<Message<'m>>> {
        let mut message = message.into();
        loop {
            let (route, unsent) = self.0.admit(message)?;
            match route {
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

    /// Returns the session of the open connection; `None` without one. What is sent through it overtakes the queue, and
    /// fails after this connection has ended.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        match &self.0.state().link {
            Link::Draining(session) | Link::Open(session) => Some(session.clone()),
            Link::Down | Link::Ended => None,
        }
    }

    /// Waits until a connection is open and returns its session; returns `None` if there will be no connection any more.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has no effect.
    pub async fn connected(&self) -> Option<Session> {
        self.0.connected().await
    }

    /// Returns the number of messages that wait for a connection.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.state().queue.len()
    }

    /// Ends the wait before the next attempt, for example when the operating system reports that the network is back.
    /// Has no effect during an attempt or with an open connection.
    pub fn retry_now(&self) {
        self.0.retry_now();
    }

    /// Closes the connection, and makes no other. Has no effect if it is closing already.
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
