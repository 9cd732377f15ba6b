//! A port that stays the test's own while servers come and go on it.

use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};

/// A port that nobody else gets while this lives. Connecting to it is refused until a server listens there,
/// and is refused again when that has ended.
pub struct Port(Socket);

impl Port {
    /// Takes a free one of 127.0.0.1.
    ///
    /// # Panics
    /// If there is none.
    pub fn reserve() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // A server that allows it too can listen beside it; the kernel gives a port that is bound to nobody
        // who asks for any.
        socket.set_reuse_address(true).expect("an option");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a free port");
        Self(socket)
    }

    /// `127.0.0.1:PORT`.
    ///
    /// # Panics
    /// Never: it is bound.
    pub fn addr(&self) -> SocketAddr {
        let addr = self.0.local_addr().expect("an address");
        addr.as_socket().expect("an address of IPv4")
    }
}
