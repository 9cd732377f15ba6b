//! Sends and closes from other threads, while a worker drives: in any order each session ends once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye::{CloseCode, Closed, Endpoint, Message, Reply, Server, Session, Settings};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
};

use crate::support::{connect, open, recv_text, request, soon, upgraded};

/// Gives its session to other threads.
struct Shared {
    sessions: Arc<Mutex<Vec<Session>>>,
    ends: Arc<AtomicUsize>,
    ended: bool,
}

impl Endpoint for Shared {
    fn on_open(&mut self, session: &Session) {
        self.sessions.lock().unwrap().push(session.clone());
    }

    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::Echo
    }

    fn on_close(&mut self, _session: &Session, _closed: &Closed) {
        assert!(!self.ended, "ended twice");
        self.ended = true;
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

struct Fixture {
    server: sockeye::ServerHandle,
    sessions: Arc<Mutex<Vec<Session>>>,
    ends: Arc<AtomicUsize>,
}

impl Fixture {
    async fn start(workers: usize) -> Self {
        let mut settings = Settings::default();
        settings.limits.close_timeout = Duration::from_millis(200);
        settings.outbox_bytes_max = 64 << 10;
        let (sessions, ends) = (Arc::<Mutex<Vec<Session>>>::default(), Arc::default());
        let (kept, counted) = (Arc::clone(&sessions), Arc::clone(&ends));
        let factory = move |_request: &sockeye::Request| {
            Ok(Shared {
                sessions: Arc::clone(&kept),
                ends: Arc::clone(&counted),
                ended: false,
            })
        };
        let server = Server::bind("127.0.0.1:0")
            .workers(workers)
            .route("/", factory)
            .settings(settings)
            .start()
            .await
            .unwrap();
        Self {
            server,
            sessions,
            ends,
        }
    }

    async fn is_empty(&self) {
        soon(async {
            while (self.server.sessions(), self.server.connections()) != (0, 0) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// No byte from the peer wakes the worker, so its timer must.
#[tokio::test]
async fn a_session_closed_elsewhere_ends_though_its_peer_is_silent() {
    let fixture = Fixture::start(1).await;
    for round in 1..=3 {
        let mut peers = Vec::new();
        for _ in 0..3 {
            let peer = upgraded(fixture.server.local_addrs()[0]).await;
            peers.push(peer);
        }
        for session in fixture.sessions.lock().unwrap().drain(..) {
            session.close(CloseCode::NORMAL, "");
        }
        fixture.is_empty().await;
        assert_eq!(fixture.ends.load(Ordering::Relaxed), 3 * round);
        for peer in &mut peers {
            let mut rest = Vec::new();
            soon(peer.read_to_end(&mut rest)).await.unwrap();
            assert_eq!(rest, b"\x88\x02\x03\xe8");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_closes_and_resets_may_meet_in_any_order() {
    const PEERS: usize = 8;
    const ROUNDS: usize = 60;
    let fixture = Arc::new(Fixture::start(2).await);
    let addr = fixture.server.local_addrs()[0];
    let mut peers = JoinSet::new();
    for number in 0..PEERS {
        let meddler = Arc::clone(&fixture);
        // This thread sends to and closes each session that it finds, whatever the session does.
        peers.spawn(async move {
            let large = vec![7; 40_000];
            for round in 0..ROUNDS {
                let sessions = meddler.sessions.lock().unwrap().clone();
                for (place, session) in sessions.iter().enumerate() {
                    let _ = session.try_send(&large[..]);
                    let _ = session.ping(b"");
                    if (place + round + number) % 3 == 0 {
                        session.close(CloseCode::GOING_AWAY, "meddled");
                    }
                }
                meddler.sessions.lock().unwrap().retain(Session::is_open);
                tokio::task::yield_now().await;
            }
        });
        peers.spawn(async move {
            let frame = [&[0x82, 0xfe, 0x10, 0, 0, 0, 0, 0][..], &[7; 0x1000]].concat();
            for round in 0..ROUNDS {
                let mut peer = connect(addr).await;
                let bytes = [request("/", &[]).into_bytes(), frame.repeat(round % 5 * 8)].concat();
                if peer.write_all(&bytes).await.is_err() {
                    continue;
                }
                match (number + round) % 4 {
                    // The client hangs up at once, with or without a reset.
                    0 => peer.set_zero_linger().unwrap(),
                    1 => {}
                    // The client sends a Close frame or ends its direction, and reads until the end.
                    2 => {
                        let _ = peer.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await;
                        let _ = soon(peer.read_to_end(&mut Vec::new())).await;
                    }
                    _ => {
                        let _ = peer.shutdown().await;
                        let _ = soon(peer.read_to_end(&mut Vec::new())).await;
                    }
                }
            }
        });
    }
    while let Some(peer) = peers.join_next().await {
        peer.unwrap();
    }
    for session in fixture.sessions.lock().unwrap().drain(..) {
        session.close(CloseCode::GOING_AWAY, "");
    }
    fixture.is_empty().await;
}

/// What `authorize` has returned is dropped after `on_open`, and its drop may use the session.
#[tokio::test]
async fn what_authorize_returned_may_use_the_session_in_its_drop() {
    #[derive(Clone)]
    struct Found(Arc<Farewell>);
    #[derive(Default)]
    struct Farewell(Mutex<Option<Session>>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            if let Some(session) = self.0.lock().unwrap().take() {
                let _ = session.try_send("let go");
            }
        }
    }
    struct Opens;
    impl Endpoint for Opens {
        fn on_open(&mut self, session: &Session) {
            let request = session.request().expect("kept until now");
            let Found(farewell) = request.extensions().get().expect("left by authorize");
            *farewell.0.lock().unwrap() = Some(session.clone());
        }
        fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
            Reply::Echo
        }
    }
    let route = sockeye::Route::new("/", |_request| Ok(Opens))
        .authorize(|_request| async { Ok(Found(Arc::default())) });
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .start()
        .await
        .unwrap();
    let (mut websocket, _) = open(server.local_addrs()[0], "/", &[]).await;
    assert_eq!(recv_text(&mut websocket).await, "let go");
}
