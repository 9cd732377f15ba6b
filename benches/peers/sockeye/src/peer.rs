//! The server: an echo in both styles, and a room.

use bench_door::{Asked, Deflate};
use sockeye::{
    Endpoint, Error, Group, Message, Reply, Route, Server, ServerTls, Session, WebSocket,
};

/// Serves for ever.
pub(crate) async fn serve() -> Result<(), Error> {
    let asked = Asked::read();
    let mut settings = sockeye::Settings::default();
    settings.deflate = deflate(asked.deflate);
    // The load generator knows data frames alone, and a measurement is one of what it sends.
    settings.heartbeat = None;
    let server = Server::unbound().settings(settings).workers(asked.workers);
    let server = match &asked.tls {
        Some((cert, key)) => server.listen_tls("127.0.0.1:0", ServerTls::from_files(cert, key)?),
        None => server.listen("127.0.0.1:0"),
    };
    let room = Group::new();
    let publish = room.clone();
    let echo = match asked.style.as_deref() {
        None | Some("endpoint") => Route::new("/", |_| Ok(Echo)),
        Some("loop") => Route::conversation("/", |_, websocket| async move {
            // A peer that breaks off is the load generator at its end.
            let _ = echo(websocket).await;
        }),
        Some(other) => {
            eprintln!("no such style: {other}");
            std::process::exit(2);
        }
    };
    let handle = server
        .mount(echo)
        .route("/room", move |_| Ok(Receiver(room.clone())))
        .route("/publish", move |_| Ok(Publisher(publish.clone())))
        .start()
        .await?;
    bench_door::listening(handle.local_addrs()[0]);
    std::future::pending().await
}

struct Echo;

impl Endpoint for Echo {
    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::Echo
    }
}

async fn echo(mut websocket: WebSocket) -> Result<(), Error> {
    while let Some(message) = websocket.recv().await? {
        websocket.send(message).await?;
    }
    Ok(())
}

struct Receiver(Group);

impl Endpoint for Receiver {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}

struct Publisher(Group);

impl Endpoint for Publisher {
    fn on_message(&mut self, _: &Session, message: Message<'_>) -> Reply {
        self.0.send(message);
        Reply::None
    }
}

fn deflate(asked: Deflate) -> Option<sockeye::Deflate> {
    let no_takeover = match asked {
        Deflate::Off => return None,
        Deflate::Shared => true,
        Deflate::Own => false,
    };
    let mut deflate = sockeye::Deflate::default();
    deflate.server_no_context_takeover = no_takeover;
    deflate.client_no_context_takeover = no_takeover;
    // The other peers compress everything, too.
    deflate.threshold_bytes = 0;
    Some(deflate)
}
