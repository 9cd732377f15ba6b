//! The echo endpoint: sends every message back unchanged.

use sockeye::{Endpoint, Message, Reply, Session};

#[derive(Debug)]
pub(crate) struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }
}
