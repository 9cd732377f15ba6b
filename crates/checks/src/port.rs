//! A port that stays reserved for a test while servers start and end on it.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// A port that no other program gets until this is dropped. Connecting to it is refused until a server listens there,
/// and is refused again when that has ended.
pub struct Port(Socket);

impl Port {
    /// Reserves a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If there is none.
    pub fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // A server that sets the option too can listen on the same port. The kernel gives a bound port to no socket
        // that asks for any port.
        socket.set_reuse_address(true).expect("an option");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        Self(socket)
    }

    /// Returns the address, `127.0.0.1:PORT`.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn addr(&self) -> SocketAddr {
        let addr = self.0.local_addr().expect("an address");
        addr.as_socket().expect("an address of IPv4")
    }
}
