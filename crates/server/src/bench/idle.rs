//! Connections that say nothing.

use std::sync::Arc;

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};

use super::link::{Ending, Run};

/// The endpoint of one connection. Answers pings of the server and ignores its messages.
pub(crate) struct IdleClient {
    run: Arc<Run>,
    ending: Ending,
}

impl IdleClient {
    pub(crate) fn new(run: &Arc<Run>) -> Self {
        Self {
            run: Arc::clone(run),
            ending: Ending::default(),
        }
    }
}

impl Endpoint for IdleClient {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }

    fn on_error(&mut self, _session: &Session, error: &Error) {
        self.ending.handle_error(error);
    }

    fn on_close(&mut self, _session: &Session, closed: &Closed) {
        self.ending.handle_close(&self.run, closed);
    }
}
