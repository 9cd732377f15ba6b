//! One log line for each WebSocket that has ended, and the count of what they receive.

use std::{net::IpAddr, time::Instant};

use sockeye::{Closed, Endpoint, Message, Refusal, Reply, Request, Route, Session, Side};

use crate::{config::Switch, received::Received};

/// Makes routes, whose messages are counted, and whose connections are logged if that is switched on.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLog {
    switch: Switch,
    received: Received,
}

impl ConnectionLog {
    pub(crate) fn new(switch: Switch, received: &Received) -> Self {
        Self {
            switch,
            received: received.clone(),
        }
    }

    /// As [`Route::new`].
    pub(crate) fn route<F, E>(&self, path: &str, factory: F) -> Route
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        let received = self.received.clone();
        let factory = move |request: &Request| Ok(received.counted(factory(request)?));
        match self.switch {
            Switch::Off => Route::new(path, factory),
            Switch::On => Route::new(path, move |request| {
                let endpoint = factory(request)?;
                Ok(Logged::new(endpoint, request))
            }),
        }
    }
}

/// An endpoint whose end is logged.
struct Logged<E> {
    endpoint: E,
    path: Box<str>,
    client_addr: Option<IpAddr>,
    opened: Instant,
    received_messages: u64,
    /// Of their payloads, inflated.
    received_bytes: u64,
}

impl<E> Logged<E> {
    fn new(endpoint: E, request: &Request) -> Self {
        Self {
            endpoint,
            path: request.path().into(),
            client_addr: request.client_addr(),
            opened: Instant::now(),
            received_messages: 0,
            received_bytes: 0,
        }
    }
}

impl<E: Endpoint> Endpoint for Logged<E> {
    fn on_open(&mut self, session: &Session) {
        session.count_sent();
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.received_messages += 1;
        self.received_bytes += message.len() as u64;
        self.endpoint.on_message(session, message)
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let by = match closed.by {
            Side::Us => "server",
            Side::Peer => "client",
            _ => "network",
        };
        let sent = session.sent().unwrap_or_default();
        tracing::info!(
            session = session.id(),
            path = &*self.path,
            client_addr = self.client_addr.map(tracing::field::display),
            duration_ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX),
            received_messages = self.received_messages,
            received_bytes = self.received_bytes,
            sent_messages = sent.messages,
            sent_bytes = sent.bytes,
            closed_by = by,
            code = u16::from(closed.code),
            reason = (!closed.reason.is_empty()).then_some(closed.reason.as_str()),
            "connection ended"
        );
        self.endpoint.on_close(session, closed);
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut self.endpoint)
    }
}
