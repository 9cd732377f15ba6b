//! Where a driver hands out what has come.

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

/// Where events go.
pub(crate) trait Sink {
    /// What answers it may go to `replies`, if they take it and nobody has touched the wire meanwhile.
    fn handle_message(
        &mut self,
        session: &Session,
        message: Message<'_>,
        replies: &mut ReplyBatch<'_>,
    ) -> Room;

    /// The same for a large message that lies where it is until the turn ends. Whoever needs it longer may have memory
    /// of `pool` for it.
    fn handle_lasting<'b>(
        &mut self,
        session: &Session,
        message: Message<'b>,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'b>,
    ) -> Room;

    /// Whatever isn't a whole message. Pings are answered already.
    fn handle_event(&mut self, session: &Session, event: Event<'_>) -> Room;

    /// The same for a message that came in memory of its own, which may go back to `pool`.
    fn handle_large<'b>(
        &mut self,
        session: &Session,
        message: Message<'static>,
        pool: &mut Pool,
        replies: &mut ReplyBatch<'b>,
    ) -> Room;

    fn handle_error(&mut self, session: &Session, error: Error);

    fn handle_closed(&mut self, session: &Session, closed: &Closed);

    /// The program has panicked in one of the calls above: from now on it hears of the end alone.
    fn handle_panic(&mut self);

    /// Whether another event can be taken.
    fn has_room(&self) -> bool;

    /// Bytes that were received and that the program has not taken.
    fn held_bytes(&self) -> usize;

    /// Lets go of them: memory is short.
    fn shed(&mut self);

    /// Whether the program has answered all that it was given, or could have.
    fn is_idle(&self) -> bool;

    /// How sends are corked after a batch.
    fn cork(&self) -> Cork;
}
