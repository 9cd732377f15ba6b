//! The broadcast room: what one client sends, every client gets, the sender too.

use sockeye::{Closed, Endpoint, Group, Message, Reply, Session};

/// One client's place in the room that all of them share.
#[derive(Debug)]
pub(crate) struct Place(pub(crate) Group);

impl Endpoint for Place {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        self.0.send(message);
        Reply::None
    }

    fn on_close(&mut self, session: &Session, _closed: &Closed) {
        self.0.leave(session);
    }
}
