//! Opening and closing, again and again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sockeye::{CloseCode, Endpoint, Message, Reply, Session};
use tokio::{task::JoinSet, time};

use super::{
    link::{Phase, Run},
    opening::{count_refusal, within},
    tally::Tally,
    tokens::Dials,
};

/// The tasks that connect.
pub(crate) struct Handshakes {
    pub(crate) run: Arc<Run>,
    pub(crate) dials: Arc<Dials>,
    /// The number of the next connection.
    pub(crate) next: AtomicUsize,
    pub(crate) timeout: Duration,
    /// Times from DNS to the 101 response, without closing.
    pub(crate) times: Tally,
}

impl Handshakes {
    /// The tasks. Dropping the set ends them.
    pub(crate) fn start(self: &Arc<Self>, at_once: usize) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for number in 0..at_once {
            let handshakes = Arc::clone(self);
            tasks.spawn(async move {
                while handshakes.run.is_sending() {
                    handshakes.dial_and_close(number).await;
                }
            });
        }
        tasks
    }

    async fn dial_and_close(&self, number: usize) {
        let begun = Instant::now();
        let dialled = self.next.fetch_add(1, Ordering::Relaxed);
        let dialling = self.dials.connect(dialled).endpoint(Silent);
        let session = match within(self.timeout, dialling).await {
            Ok(session) => session,
            Err(error) => {
                count_refusal(&self.run, &self.dials, dialled, &error);
                // A pause, so that a server that refuses at once isn't asked a hundred thousand times a second.
                return time::sleep(REFUSED_PAUSE).await;
            }
        };
        if self.run.phase() == Phase::Measure {
            self.times.record(number, begun.elapsed());
        }
        session.close(CloseCode::NORMAL, "");
        let closed = session.closed().await;
        if !closed.is_clean() {
            self.run.dropped.fetch_add(1, Ordering::Relaxed);
            self.run
                .count_error(format!("not closed cleanly: {closed}"));
        }
    }
}

struct Silent;

impl Endpoint for Silent {
    fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
        Reply::None
    }
}

const REFUSED_PAUSE: Duration = Duration::from_millis(10);
