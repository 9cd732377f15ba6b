//! A TCP relay before the server: a wire that can be cut, and an address that stays while servers come and go.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// A relay on a port of its own. Its threads end with the test's process.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// What servers have sent, in bytes.
    delivered: Arc<AtomicU64>,
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
        let delivered = Arc::new(AtomicU64::new(0));
        let relay = Self {
            address,
            state,
            delivered,
        };
        let (state, delivered) = (Arc::clone(&relay.state), Arc::clone(&relay.delivered));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // An error is a connection that ends; the client sees it.
                let _ = carry(client, &state, &delivered);
            }
        });
        relay
    }

    /// Returns how many bytes clients were sent.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
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

fn carry(client: TcpStream, state: &Mutex<State>, delivered: &Arc<AtomicU64>) -> io::Result<()> {
    // Locked over the dial, so that a cut leaves no connection out.
    let mut state = state.lock().unwrap();
    let Some(target) = state.target else {
        return Ok(());
    };
    let server = TcpStream::connect(target)?;
    let sent = Arc::new(AtomicU64::new(0));
    for (from, to, bytes) in [(&client, &server, &sent), (&server, &client, delivered)] {
        let (from, to, bytes) = (from.try_clone()?, to.try_clone()?, Arc::clone(bytes));
        thread::spawn(move || {
            let _ = copy(&from, &to, &bytes);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
    state.streams.extend([client, server]);
    Ok(())
}

/// Copies until the end. The bytes are counted before they are passed on.
fn copy(mut from: &TcpStream, mut to: &TcpStream, bytes: &AtomicU64) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        bytes.fetch_add(count as u64, Ordering::Relaxed);
        to.write_all(&buffer[..count])?;
    }
}
