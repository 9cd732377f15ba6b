//! The state of a `Sink` over a session.

use std::task::{Context, Poll, ready};

use sockeye_proto::{CloseCode, Message};

use crate::{
    connection::{
        buffers,
        session::{Session, WaiterTicket},
        write::{OutboxError, Writer},
    },
    error::Error,
};

/// The state of a `Sink` whose messages a session sends. One word wide, for every WebSocket has one.
#[derive(Default)]
pub(crate) struct MessageSink(Option<Box<Waiting>>);

/// What waits for room in the outbox.
struct Waiting {
    /// Taken by [`MessageSink::start_send`], and not yet by the outbox.
    message: Option<Message<'static>>,
    place: WaiterTicket,
}

impl Waiting {
    fn new(message: Option<Message<'static>>) -> Box<Self> {
        let place = WaiterTicket::new(Writer::waiting);
        Box::new(Self { message, place })
    }
}

impl MessageSink {
    /// Waits until the outbox has taken all messages. Then one more may be given.
    pub(crate) fn poll_ready(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_flush(session, cx))?;
        match session.is_open() {
            true => Poll::Ready(Ok(())),
            false => Poll::Ready(Err(Error::not_open(session.closed_now()))),
        }
    }

    /// Sends a message, or keeps it if there is no room.
    ///
    /// # Panics
    ///
    /// Called without a [`MessageSink::poll_ready`] before it, while a message is kept.
    pub(crate) fn start_send(
        &mut self,
        session: &Session,
        mut message: Message<'static>,
    ) -> Result<(), Error> {
        let is_ready = self.0.is_none();
        assert!(
            is_ready,
            "start_send was called before poll_ready was ready"
        );
        let sent = session
            .shared()
            .lock_in_order()
            .try_send_owned(&mut message);
        match sent {
            Ok(()) => buffers::recycle(message),
            Err(OutboxError::Full) => self.0 = Some(Waiting::new(Some(message))),
            Err(OutboxError::Closed) => return Err(Error::not_open(session.closed_now())),
        }
        Ok(())
    }

    /// Waits until the outbox has taken all messages. The connection writes what is in the outbox without being asked.
    pub(crate) fn poll_flush(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let Some(waiting) = &mut self.0 else {
            return Poll::Ready(Ok(()));
        };
        let Waiting { message, place } = &mut **waiting;
        let sent = ready!(session.poll_admitted(cx, place, |writer| match message {
            Some(message) => writer.try_send_owned(message),
            None => Ok(()),
        }));
        self.0 = None;
        Poll::Ready(sent)
    }

    /// Closes with 1000. Ready once the socket has taken the Close frame, or the connection has ended.
    pub(crate) fn poll_close(
        &mut self,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if self
            .0
            .as_ref()
            .is_some_and(|waiting| waiting.message.is_some())
        {
            ready!(self.poll_flush(session, cx))?;
        }
        session.close(CloseCode::NORMAL, "");
        let waiting = self.0.get_or_insert_with(|| Waiting::new(None));
        let sent = ready!(session.poll_admitted(cx, &mut waiting.place, |writer| {
            match writer.buffered_bytes() {
                0 => Ok(()),
                _ => Err(OutboxError::Full),
            }
        }));
        self.0 = None;
        Poll::Ready(sent)
    }
}
