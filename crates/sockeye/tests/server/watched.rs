//! A server that reports to the test which sessions open on it, and how they end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use sockeye::{
    Closed, Endings, Endpoint, Error, ErrorKind, Message, Reply, Route, Server, ServerHandle,
    Session, Settings,
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};

use crate::support::soon;

/// A server whose one route, `/`, reports to the test.
pub(crate) struct Watched {
    pub(crate) server: ServerHandle,
    pub(crate) sessions: UnboundedReceiver<Session>,
    pub(crate) ends: UnboundedReceiver<Ended>,
    /// The payloads of all pongs that endpoints were told of.
    pub(crate) pongs: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// What an endpoint has learned about the end.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) at: Instant,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) closed: Closed,
}

/// Starts `server` with an endpoint of `endpoint` for each connection.
pub(crate) async fn watched<E: Endpoint>(
    server: Server,
    settings: Settings,
    endpoint: impl Fn() -> E + Send + Sync + 'static,
) -> Watched {
    let (sessions, session_receiver) = unbounded_channel();
    let (ends, end_receiver) = unbounded_channel();
    let pongs = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&pongs);
    let route = Route::new("/", move |_| {
        Ok(Reporter {
            endpoint: endpoint(),
            sessions: sessions.clone(),
            ends: ends.clone(),
            error: None,
            pongs: Arc::clone(&heard),
        })
    });
    let server = server.settings(settings).mount(route);
    Watched {
        server: server.start().await.unwrap(),
        sessions: session_receiver,
        ends: end_receiver,
        pongs,
    }
}

impl Watched {
    pub(crate) fn addr(&self) -> SocketAddr {
        self.server.local_addrs()[0]
    }

    pub(crate) async fn ended(&mut self) -> Ended {
        soon(self.ends.recv()).await.unwrap()
    }

    /// Returns how the sessions have ended, once none is open.
    pub(crate) async fn endings(&self) -> Endings {
        soon(async {
            while self.server.sessions() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.server.endings()
    }
}

/// An endpoint that sends its session, its pongs and its end to the test.
struct Reporter<E> {
    endpoint: E,
    sessions: UnboundedSender<Session>,
    ends: UnboundedSender<Ended>,
    error: Option<ErrorKind>,
    pongs: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl<E: Endpoint> Endpoint for Reporter<E> {
    fn on_open(&mut self, session: &Session) {
        let _ = self.sessions.send(session.clone());
        self.endpoint.on_open(session);
    }

    fn on_message(&mut self, session: &Session, message: Message<'_>) -> Reply {
        self.endpoint.on_message(session, message)
    }

    fn on_pong(&mut self, session: &Session, payload: &[u8]) {
        self.pongs.lock().unwrap().push(payload.to_vec());
        self.endpoint.on_pong(session, payload);
    }

    fn on_error(&mut self, session: &Session, error: &Error) {
        self.error = Some(error.kind());
        self.endpoint.on_error(session, error);
    }

    fn on_close(&mut self, session: &Session, closed: &Closed) {
        let _ = self.ends.send(Ended {
            at: Instant::now(),
            error: self.error,
            closed: closed.clone(),
        });
        self.endpoint.on_close(session, closed);
    }

    fn wrapped(&mut self) -> Option<&mut dyn Endpoint> {
        Some(&mut self.endpoint)
    }
}
