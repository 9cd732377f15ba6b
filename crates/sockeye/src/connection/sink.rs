//! The receiver of a driver's events.

use sockeye_proto::{Event, Message, extension::Pool};

use crate::{
    closed::Closed,
    connection::{
        session::Session,
        write::{Cork, ReplyBatch, Writer},
    },
    error::Error,
};

/// Whether another event can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Left,
    None,
}

impl Room {
    #[inline]
    pub(crate) fn of(writer: &Writer) -> Self {
        match writer.has_room() {
            true => Self::Left,
            false => Self::None,
        }
    }
}

/// A whole message of the peer, by how long its payload stays where it is. `'m` is one call of
/// [`Sink::handle_message`], and `'b` the turn.
pub(crate) enum InputMessage<'m, 'b> {
    /// Until the call returns. Such a message is short, or compressed.
    Brief(Message<'m>),
    /// Until the turn ends: a large message in the read buffer. A sink that needs it longer may take memory from
    /// the pool.
    Lasting(Message<'b>, &'m mut Pool),
    /// As long as the sink wants: a large message that owns its memory, which may go back to the pool.
    Owned(Message<'static>, &'m mut Pool),
}

/// The receiver of a driver's events: an endpoint, or an inbox.
pub(crate) trait Sink {
    /// Handles a message. The answer may go to `replies`, if the batch takes it and
    /// [`crate::connection::session::SessionShared::was_locked`] is false.
    fn handle_message<'b>(
        &mut self,
        session: &Session,
        message: InputMessage<'_, 'b>,
        replies: &mut ReplyBatch<'b>,
    ) -> Room;

    /// Handles any other event. Pings are answered already.
    fn handle_event(&mut self, session: &Session, event: Event<'_>) -> Room;

    fn handle_error(&mut self, session: &Session, error: Error);

    fn handle_closed(&mut self, session: &Session, closed: &Closed);

    /// Handles a panic of the program in one of the calls above. From now on the program is told of the end
    /// only.
    fn handle_panic(&mut self);

    /// Returns whether another event can be taken.
    fn has_room(&self) -> bool;

    /// Returns how many received bytes the program has not taken.
    fn held_bytes(&self) -> usize;

    /// Drops the messages that the program has not taken, because memory is short.
    fn shed(&mut self);

    /// Returns whether the program has answered all messages that it was given, or could have.
    fn is_idle(&self) -> bool;

    /// Returns the cork for sends after a batch.
    fn cork(&self) -> Cork;
}
