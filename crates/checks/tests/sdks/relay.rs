//! A TCP relay before the server: a wire that can be cut, and an address that stays while servers come and go.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// A relay on a port of its own. Its threads end with the test's process.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `None` while the wire is cut: who connects is hung up on.
    target: Option<SocketAddr>,
    /// Both ends of each connection.
    streams: Vec<TcpStream>,
}

impl Relay {
    pub(crate) fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            target: Some(target),
            streams: Vec::new(),
        }));
        let relay = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // An error is a connection that ends; the client sees it.
                let _ = carry(client, &relay);
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections without a word of the protocol, and every new one too.
    pub(crate) fn cut(&self) {
        let mut state = self.state.lock().unwrap();
        state.target = None;
        for stream in state.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Connects clients again, from now on to this server.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.lock().unwrap().target = Some(target);
    }
}

fn carry(client: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    // Locked over the dial, so that a cut leaves no connection out.
    let mut state = state.lock().unwrap();
    let Some(target) = state.target else {
        return Ok(());
    };
    let server = TcpStream::connect(target)?;
    for (from, to) in [(&client, &server), (&server, &client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    state.streams.extend([client, server]);
    Ok(())
}
