//! A connection that was accepted, and how it counts against the server's limits.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    address::{Key, RetryAfter},
    connection::Permit,
    handshake::{PeerCertificates, Refusal},
    memory::MemoryPressure,
    server::shared::ServerShared,
};

/// What the server knows of a connection before its first byte.
pub(crate) struct Accepted {
    /// `None` if the stream has no such address.
    pub(crate) peer_addr: Option<SocketAddr>,
    /// `None` without TLS, and if the client has shown none.
    pub(crate) peer_certificates: Option<PeerCertificates>,
    pub(crate) capacity: Capacity,
    pub(crate) shared: Arc<ServerShared>,
}

/// How a connection counts against the limits, which says what it may ask for.
#[derive(Debug)]
pub(crate) enum Capacity {
    /// One of `connections_max`. It may ask for anything.
    Regular(Permit),
    /// One of `connections_reserve`. A plain request is answered; a WebSocket opens only if a regular permit is free
    /// by then.
    Reserve(Permit),
    /// One of `OVERFLOW_MAX`: its address has too many connections or opens too many in a short time. Every request
    /// is refused.
    AddressLimited(Permit, RetryAfter),
}

impl Capacity {
    /// Counts one more connection, and counts it for `peer_addr` if there is one. `None` if the server can't even
    /// answer with a refusal.
    pub(crate) fn new(shared: &ServerShared, peer_addr: Option<SocketAddr>) -> Option<Self> {
        match Self::permit(shared) {
            Some(permit) => Self::Regular(permit).counting_for(shared, peer_addr),
            None => shared.reserve.admit(shared.reserve_max).map(Self::Reserve),
        }
    }

    /// Counts the connection for the address, too. One in the reserve counts for it when it leaves the reserve.
    pub(crate) fn counting_for(
        self,
        shared: &ServerShared,
        peer_addr: Option<SocketAddr>,
    ) -> Option<Self> {
        match (self, peer_addr) {
            (Self::Regular(permit), Some(peer_addr)) => {
                match shared.count_connection(peer_addr.ip()) {
                    Ok(address) => Some(Self::Regular(permit.counting_for(address))),
                    Err(error) => {
                        let permit = shared.overflow.admit(OVERFLOW_MAX)?;
                        Some(Self::AddressLimited(permit, error))
                    }
                }
            }
            (capacity, _) => Some(capacity),
        }
    }

    /// Returns the address for which the connection counts.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Self::Regular(permit) => permit.key(),
            Self::Reserve(_) | Self::AddressLimited(..) => None,
        }
    }

    /// Returns the answer to every request, if the address has reached its limits.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Regular(_) | Self::Reserve(_) => None,
            Self::AddressLimited(_, error) => Some((*error).into()),
        }
    }

    /// Returns why the connection can't carry a WebSocket. One in the reserve first takes a regular permit, if one is
    /// free.
    pub(crate) fn refusal_of_websocket(&mut self, shared: &ServerShared) -> Option<Refusal> {
        match self.move_from_reserve(shared) {
            true => self.refusal(),
            false => Some(Refusal::too_many()),
        }
    }

    /// Takes a regular permit, if one is free and memory is left for what the connection will hold.
    pub(crate) fn permit(shared: &ServerShared) -> Option<Permit> {
        match shared.settings.memory_budget.pressure() {
            MemoryPressure::Hard => None,
            _ => shared.connections.admit(shared.connections_max),
        }
    }

    /// Takes a regular permit for a connection in the reserve. Returns whether it has one.
    pub(crate) fn move_from_reserve(&mut self, shared: &ServerShared) -> bool {
        if let Self::Reserve(_) = self {
            match Self::permit(shared) {
                Some(permit) => *self = Self::Regular(permit),
                None => return false,
            }
        }
        true
    }
}

/// Connections of addresses beyond their limits that get an answer at the same time. Further ones are closed without
/// an answer, because an answer costs a task and a descriptor.
const OVERFLOW_MAX: usize = 64;
