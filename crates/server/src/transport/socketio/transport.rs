//! Socket.IO as a transport of the hub.

use std::{any::Any, sync::Arc};

use axum::body::Bytes;
use parking_lot::RwLock;
use sockeye_hub::{Disconnect, Receivers, SendError, Transport, wire::Encoding};

use super::{
    link::{ENCODING, Link, Outgoing},
    output,
};

/// The transport of one socket.
pub(super) struct SocketIoTransport(pub(super) Arc<Link>);

impl Transport for SocketIoTransport {
    fn name(&self) -> &'static str {
        "socketio"
    }

    fn encoding(&self) -> Encoding {
        ENCODING
    }

    /// Engine.IO has pings of its own.
    fn needs_pings(&self) -> bool {
        false
    }

    fn is_crowded(&self) -> bool {
        self.0.is_crowded()
    }

    fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.0.send(frame)
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        self.0.end(disconnect);
    }

    fn new_receivers(&self) -> Box<dyn Receivers> {
        Box::new(SocketIoReceivers::default())
    }
}

/// Sockets that receive the same events: each is made into a packet once.
#[derive(Default)]
struct SocketIoReceivers(RwLock<Vec<Arc<Link>>>);

impl Receivers for SocketIoReceivers {
    fn add(&self, transport: &dyn Transport) {
        if let Some(link) = link_of(transport) {
            self.0.write().push(Arc::clone(link));
        }
    }

    fn remove(&self, transport: &dyn Transport) {
        if let Some(link) = link_of(transport) {
            let mut links = self.0.write();
            if let Some(at) = links.iter().position(|other| Arc::ptr_eq(other, link)) {
                links.swap_remove(at);
            }
        }
    }

    fn send(&self, frame: &Bytes) {
        let replies = ENCODING.decode_replies(frame.clone()).flatten();
        for push in replies.filter_map(|reply| reply.push) {
            let Some(event) = output::event(push).and_then(Outgoing::new) else {
                continue;
            };
            for link in &*self.0.read() {
                if link.emit(&event) == Err(SendError::Full) {
                    link.end(&Disconnect::SLOW);
                }
            }
        }
    }

    fn disconnect(&self, disconnect: &Disconnect) {
        for link in &*self.0.read() {
            link.end(disconnect);
        }
    }
}

fn link_of(transport: &dyn Transport) -> Option<&Arc<Link>> {
    let transport: &dyn Any = transport;
    transport.downcast_ref().map(|SocketIoTransport(link)| link)
}
