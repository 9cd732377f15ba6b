//! An endpoint whose client is online while the session is open.

use sockeye::{Closed, Endpoint, Message, Reply, Session};
use sockeye_hub::presence::{DeviceGuard, Presence};

/// An endpoint whose client, if the request names one, is online while the session is open.
#[derive(Debug)]
pub(crate) struct Tracked<E> {
    endpoint: E,
    presence: Presence,
    /// The name of the client's device.
    device: &'static str,
    /// Set from `on_open` to `on_close`, if there is a client.
    guard: Option<DeviceGuard>,
}

impl<E: Endpoint> Tracked<E> {
    /// Wraps an endpoint. Its route must identify clients by [`sockeye::Route::identify`].
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

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        self.guard = None;
        self.endpoint.on_close(session, closed);
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut self.endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sockeye::ClientId;
    use sockeye_hub::{SystemClock, presence::Limits};

    use super::*;

    /// Neither crate knows the other, so each has the rule for names of clients.
    #[test]
    fn a_name_is_tracked_if_and_only_if_a_request_can_carry_it() {
        let presence = Presence::in_memory(Limits::default(), Arc::new(SystemClock));
        let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
        let expected = [
            ("a", true),
            ("\u{7528}\u{6237} 7", true),
            (&longest, true),
            ("", false),
            ("a\nb", false),
            ("\u{85}", false),
            (&too_long, false),
        ];
        for (name, is_valid) in expected {
            assert_eq!(name.parse::<ClientId>().is_ok(), is_valid, "{name:?}");
            assert_eq!(
                presence.join(name, "web").is_tracked(),
                is_valid,
                "{name:?}"
            );
        }
    }
}
