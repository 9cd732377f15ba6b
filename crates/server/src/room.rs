//! The broadcast room: each message goes to all clients, including its sender.

use sockeye::{Closed, Endpoint, Group, Message, Reply, Session};

/// The endpoint of one client in the room.
#[derive(Debug)]
pub(crate) struct RoomMember(pub(crate) Group);

impl Endpoint for RoomMember {
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
