//! Opens many connections, with a limit of handshakes at once.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sockeye::{CloseCode, Endpoint, Error, ErrorKind, Session};
use tokio::{task::JoinSet, time};

use super::{
    link::{Phase, Run},
    quantity,
    tally::{Tally, lock},
    tokens::Dials,
    watch::Watch,
};
use crate::dial::reason;

/// The connections to open: where, how many, how fast.
pub(crate) struct Opening {
    pub(crate) dials: Arc<Dials>,
    /// Time limit for one connection, from DNS to the 101 response.
    pub(crate) timeout: Duration,
    pub(crate) wanted: usize,
    pub(crate) at_once: usize,
}

/// The open connections.
pub(crate) struct Opened {
    /// The connections with their numbers.
    pub(crate) sessions: Vec<(usize, Session)>,
    pub(crate) took: Duration,
    /// The time that each took to open.
    pub(crate) times: Tally,
}

/// The first connection failed.
#[derive(Debug)]
pub(crate) enum NoConnection {
    /// The options are wrong.
    Usage(String),
    Unreachable(String),
}

impl Opening {
    /// The first connection is opened alone: if that fails, so would the others.
    ///
    /// Further failures are counted in `run`. If it is interrupted, it returns the connections so far.
    pub(crate) async fn open<E: Endpoint>(
        self,
        run: &Arc<Run>,
        watch: &mut Watch,
        make: impl Fn(usize) -> E + Send + Sync + 'static,
    ) -> Result<Opened, NoConnection> {
        let wanted = self.wanted;
        let shared = Arc::new(Shared {
            opening: self,
            make,
            next: AtomicUsize::new(1),
            sessions: Mutex::default(),
            times: Tally::new(1),
        });
        let begun = Instant::now();
        let first = watch
            .during(shared.dial(0), || "connecting".to_owned())
            .await;
        match first {
            Some(first) => {
                let first = first.map_err(|error| no_connection(&shared.opening.dials, &error))?;
                lock(&shared.sessions).push((0, first));
            }
            None => return Err(NoConnection::Unreachable("interrupted".to_owned())),
        }
        let mut tasks = JoinSet::new();
        for _ in 0..shared.opening.at_once.min(wanted) {
            let (shared, run) = (Arc::clone(&shared), Arc::clone(run));
            tasks.spawn(async move { shared.dial_all(&run).await });
        }
        let opening = async { while tasks.join_next().await.is_some() {} };
        let _ = watch
            .during(opening, || {
                format!(
                    "opening: {} of {}",
                    quantity::count(lock(&shared.sessions).len() as u64),
                    quantity::count(wanted as u64)
                )
            })
            .await;
        let took = begun.elapsed();
        // After an interruption some tasks still connect, and share the results.
        tasks.shutdown().await;
        let sessions = std::mem::take(&mut *lock(&shared.sessions));
        let times = match Arc::try_unwrap(shared) {
            Ok(shared) => shared.times,
            Err(shared) => shared.times.copied(),
        };
        Ok(Opened {
            sessions,
            took,
            times,
        })
    }
}

/// The state that the connecting tasks share.
struct Shared<M> {
    opening: Opening,
    make: M,
    /// The number of the next connection.
    next: AtomicUsize,
    sessions: Mutex<Vec<(usize, Session)>>,
    times: Tally,
}

impl<E: Endpoint, M: Fn(usize) -> E> Shared<M> {
    async fn dial_all(&self, run: &Run) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.opening.wanted {
                return;
            }
            match self.dial(number).await {
                Ok(session) => lock(&self.sessions).push((number, session)),
                Err(error) => count_refusal(run, &self.opening.dials, number, &error),
            }
        }
    }

    async fn dial(&self, number: usize) -> Result<Session, Error> {
        let begun = Instant::now();
        let connect = self.opening.dials.connect(number);
        let dialling = connect.endpoint((self.make)(number));
        let session = within(self.opening.timeout, dialling).await?;
        self.times.record(number, begun.elapsed());
        Ok(session)
    }
}

/// Connects with one time limit for all phases.
pub(crate) async fn within(
    limit: Duration,
    dialling: impl Future<Output = Result<Session, Error>>,
) -> Result<Session, Error> {
    time::timeout(limit, dialling).await.unwrap_or_else(|_| {
        let message = format!("no connection within {limit:?} (--timeout)");
        Err(Error::new(ErrorKind::Timeout, message))
    })
}

/// Counts the connection with this number as failed.
pub(crate) fn count_refusal(run: &Run, dials: &Dials, number: usize, error: &Error) {
    run.refused.fetch_add(1, Ordering::Relaxed);
    let reason = dials.without_token(number, reason(error));
    run.count_error(format!("not connected: {reason}"));
}

/// Returns why the first connection failed.
fn no_connection(dials: &Dials, error: &Error) -> NoConnection {
    let reason = dials.without_token(0, reason(error));
    match error.kind() {
        ErrorKind::Url | ErrorKind::Config => NoConnection::Usage(reason),
        _ => NoConnection::Unreachable(reason),
    }
}

/// Closes all connections, and waits at most `patience` for the peers.
pub(crate) async fn close(
    sessions: &[(usize, Session)],
    run: &Run,
    watch: &mut Watch,
    patience: Duration,
) {
    run.enter(Phase::Close);
    for (_, session) in sessions {
        session.close(CloseCode::NORMAL, "");
    }
    let closing = async {
        for (_, session) in sessions {
            session.closed().await;
        }
    };
    let _ = watch
        .during(time::timeout(patience, closing), || "closing".to_owned())
        .await;
}

/// Waits until `is_over` returns true. Checks a hundred times a second, since the condition has no notification.
pub(crate) async fn until(mut is_over: impl FnMut() -> bool) {
    let mut beat = time::interval(Duration::from_millis(10));
    while !is_over() {
        beat.tick().await;
    }
}
