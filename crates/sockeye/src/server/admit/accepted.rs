//! A connection that was accepted, and whether there is room for it.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    address::{Key, RetryAfter},
    connection::Permit,
    handshake::Refusal,
    memory::MemoryPressure,
    server::shared::ServerShared,
};

/// What is known of a connection before its first byte.
pub(crate) struct Accepted {
    /// None if the transport has no such address.
    pub(crate) peer_addr: Option<SocketAddr>,
    pub(crate) capacity: Capacity,
    pub(crate) shared: Arc<ServerShared>,
}

/// Whether there is room for a connection.
#[derive(Debug)]
pub(crate) enum Capacity {
    /// There is, while the permit lives.
    Welcome(Permit),
    /// There is none but in the reserve: a plain request is answered, a WebSocket is only if there is
    /// room by then.
    Reserve(Permit),
    /// Its address has too many, or makes too many in a short time: whatever it asks, it is refused.
    Excess(Permit, RetryAfter),
}

impl Capacity {
    /// Counts one more connection, from an address if there is one. `None` if there is no room even for
    /// telling it so.
    pub(crate) fn new(shared: &ServerShared, peer_addr: Option<SocketAddr>) -> Option<Self> {
        match Self::admit(shared) {
            Some(permit) => Self::Welcome(permit).of(shared, peer_addr),
            None => shared.reserve.admit(shared.reserve_max).map(Self::Reserve),
        }
    }

    /// Counts it for the address too. In the reserve it counts when it leaves it.
    pub(crate) fn of(self, shared: &ServerShared, peer_addr: Option<SocketAddr>) -> Option<Self> {
        match (self, peer_addr) {
            (Self::Welcome(permit), Some(peer_addr)) => match shared.enter(peer_addr.ip()) {
                Ok(address) => Some(Self::Welcome(permit.counting_for(address))),
                Err(error) => {
                    let permit = shared.overflow.admit(OVERFLOW_MAX)?;
                    Some(Self::Excess(permit, error))
                }
            },
            (capacity, _) => Some(capacity),
        }
    }

    /// The address for which it counts.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Self::Welcome(permit) => permit.key(),
            Self::Reserve(_) | Self::Excess(..) => None,
        }
    }

    /// The answer to whatever it asks, if its address has too many.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Welcome(_) | Self::Reserve(_) => None,
            Self::Excess(_, error) => Some((*error).into()),
        }
    }

    /// Why it can't become a WebSocket, if it can't: it moves to those who may do all, if there is room.
    pub(crate) fn refusal_of_websocket(&mut self, shared: &ServerShared) -> Option<Refusal> {
        match self.leave_reserve(shared) {
            true => self.refusal(),
            false => Some(Refusal::too_many()),
        }
    }

    /// Counts one who may do all, if there is room: for the connection, and in memory for what it will hold.
    fn admit(shared: &ServerShared) -> Option<Permit> {
        match shared.settings.memory_budget.pressure() {
            MemoryPressure::Hard => None,
            _ => shared.connections.admit(shared.connections_max),
        }
    }

    /// Moves to those who may do all, where a WebSocket must be. Whether there is room.
    pub(crate) fn leave_reserve(&mut self, shared: &ServerShared) -> bool {
        if let Self::Reserve(_) = self {
            match Self::admit(shared) {
                Some(permit) => *self = Self::Welcome(permit),
                None => return false,
            }
        }
        true
    }
}

/// Connections of addresses with too many that are told so at the same time. Beyond that they are just
/// closed, because who is told costs a task and a descriptor as well.
const OVERFLOW_MAX: usize = 64;
