//! Messages that a client of Socket.IO sends, and how its connection ends.

use std::cell::RefCell;

use sockeye::socketio::{AnyArgs, InMemory, Namespace, SocketIo};
use tokio::runtime::{Builder, Runtime};

/// Sends the pieces of `data` between zero bytes, after a client has connected: text, or binary after the byte 1.
///
/// # Panics
/// If the server says what is no packet, or if it takes a message that is none.
pub fn socketio_packets(data: &[u8]) {
    thread_local! {
        static WORLD: RefCell<World> = RefCell::new(World::new());
    }
    WORLD.with_borrow_mut(|world| world.send(data));
}

/// A server in memory, and a clock that stands still.
struct World {
    runtime: Runtime,
    server: InMemory,
}

impl World {
    fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let namespace = || {
            Namespace::dynamic(|name| name.len() < 8, |_| async { Ok(()) })
                .on("a", |_, args: AnyArgs| async move { args })
        };
        let server = SocketIo::new().namespace(namespace()).in_memory();
        Self { runtime, server }
    }

    fn send(&mut self, data: &[u8]) {
        let server = &self.server;
        self.runtime.block_on(async {
            let mut client = server.connect().expect("random numbers");
            let answer = client.join("/", "").await.expect("open");
            assert!(answer.expect("a packet").starts_with("0{\"sid\":\""));
            for piece in data.split(|byte| *byte == 0).take(32) {
                // It fails once the server has closed.
                let _ = match piece {
                    [1, attachment @ ..] => client.send_attachment(attachment).await,
                    text => client.send(&String::from_utf8_lossy(text)).await,
                };
            }
            let _ = client.send("no packet").await;
            while let Ok(Some(packet)) = client.next().await {
                // Of acks, errors, connections and attachments.
                assert!(
                    packet.starts_with(['0', '1', '3', '4', '6', 'b']),
                    "{packet}"
                );
            }
            let code = client.closed().expect("an end").code;
            assert_eq!(u16::from(code), 1002);
        });
    }
}
