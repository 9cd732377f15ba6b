//! An endpoint whose client is here while the session is open.

use sockeye::{Closed, Endpoint, Error, Message, Reply, Session};
use sockeye_hub::presence::{DeviceGuard, Presence};

/// An endpoint whose client, if the request names one, is here while the session is open.
#[derive(Debug)]
pub(crate) struct Tracked<E> {
    endpoint: E,
    presence: Presence,
    /// What the client's device is called.
    device: &'static str,
    /// From `on_open` to `on_close`, if there is a client.
    guard: Option<DeviceGuard>,
}

impl<E: Endpoint> Tracked<E> {
    /// The route has to say by [`sockeye::Route::identify`] who comes.
    pub(crate) fn new(endpoint: E, presence: &Presence, device: &'static str) -> Self {
        Self {
            endpoint,
            presence: presence.clone(),
            device,
            guard: None,
        }
    }
}

impl<E: Endpoint> Endpoint for Tracked<E> {
    fn on_open(&mut self, session: &Session) {
        let request = session.request();
        if let Some(client) = request.as_ref().and_then(|request| request.client_id()) {
            self.guard = Some(self.presence.join(client, self.device));
        }
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.endpoint.on_message(session, message)
    }

    fn on_ping(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_ping(session, payload);
    }

    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        self.endpoint.on_pong(session, payload);
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.guard = None;
        self.endpoint.on_close(session, closed);
    }

    fn on_error(&mut self, session: &Session, error: &Error) {
        self.endpoint.on_error(session, error);
    }
}
