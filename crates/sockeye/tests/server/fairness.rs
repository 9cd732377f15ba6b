//! Who is busy takes nothing from those beside it on the same worker.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use sockeye::{Drain, Endpoint, Message, Reply, Server, Session};
use tokio::io::AsyncWriteExt as _;

use crate::support::{assert_echoes, connect, open, read_head, request, soon};

/// Looks at each byte and answers nothing: slower than any sender, so that there is always more.
struct Sink(Arc<AtomicUsize>);

impl Endpoint for Sink {
    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        // A chain of products, some 10 us: no sender is as slow.
        let bytes = message.as_bytes().iter();
        let sum = bytes.fold(1_u64, |sum, byte| {
            let sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
            sum.wrapping_mul(sum | 1)
        });
        std::hint::black_box(sum);
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::None
    }
}

/// Echoes, and notes how far the sinks have come.
struct Beside {
    sunk: Arc<AtomicUsize>,
    noted: mpsc::Sender<usize>,
}

impl Endpoint for Beside {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        self.noted.send(self.sunk.load(Ordering::Relaxed)).unwrap();
        Reply::Echo
    }
}

/// Bytes of one message of those who send without end.
const FLOOD_BYTES: usize = 4 << 10;

/// Messages. What a worker takes from one connection before others get their turn: 4 reads of 256 KiB.
const TURN_MESSAGES: usize = (1 << 20) / FLOOD_BYTES;

#[tokio::test]
async fn those_who_send_without_end_do_not_starve_the_others() {
    const FLOODS: usize = 2;
    // Messages: 600 MB.
    const FLOOD_MESSAGES: usize = 150_000;
    // A message that comes while a round is under way waits for its end, and its answer for the client.
    const ROUNDS_MAX: usize = 4;
    let sunk = Arc::new(AtomicUsize::new(0));
    let (noted, notes) = mpsc::channel();
    let (sink, beside) = (Arc::clone(&sunk), Arc::clone(&sunk));
    let server = Server::bind("127.0.0.1:0")
        .workers(1)
        .route("/sink", move |_request| Ok(Sink(Arc::clone(&sink))))
        .route("/beside", move |_request| {
            Ok(Beside {
                sunk: Arc::clone(&beside),
                noted: noted.clone(),
            })
        })
        .start()
        .await
        .unwrap();
    let addr = server.local_addrs()[0];
    let (mut websocket, _) = open(addr, "/beside", &[]).await;
    let mut floods = Vec::new();
    for _ in 0..FLOODS {
        let mut stream = connect(addr).await;
        stream
            .write_all(request("/sink", &[]).as_bytes())
            .await
            .unwrap();
        read_head(&mut stream).await;
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        let mut frame = vec![0x82, 0xfe];
        frame.extend((FLOOD_BYTES as u16).to_be_bytes());
        frame.extend([0; 4 + FLOOD_BYTES]);
        let frames = frame.repeat(64);
        // Until the server hangs up.
        floods.push(std::thread::spawn(move || {
            while stream.write_all(&frames).is_ok() {}
        }));
    }
    while sunk.load(Ordering::Relaxed) < FLOOD_MESSAGES {
        assert_echoes(&mut websocket, "and me?").await;
    }
    let notes: Vec<usize> = notes.try_iter().collect();
    // Those before the flood has begun don't count.
    let notes: Vec<usize> = notes.into_iter().filter(|sunk| *sunk > 0).collect();
    let mut between: Vec<usize> = notes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_unstable();
    // Half of the time, since the echoing client, too, is run when the system pleases.
    let usual = between[between.len() / 2];
    // In each round a busy connection has its turn at most twice: for an event, and because there is more.
    let rounds = usual.div_ceil(2 * FLOODS * TURN_MESSAGES);
    assert!(
        rounds <= ROUNDS_MAX,
        "{usual} messages of others between two echoes"
    );
    let mut drain = Drain::default();
    drain.timeout = Duration::ZERO;
    soon(server.drain(drain)).await;
    for flood in floods {
        soon(tokio::task::spawn_blocking(|| flood.join().unwrap()))
            .await
            .unwrap();
    }
}
