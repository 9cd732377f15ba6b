//! One measurement: so many clients, so many updates, one method.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time};

use crate::{
    child::ServerProcess,
    counted::Counts,
    results::Outcome,
    visitor::{Method, Visit},
};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) method: Method,
    pub(crate) clients: usize,
    pub(crate) updates: usize,
    /// The updates are spread over it.
    pub(crate) span: Duration,
}

impl Cell {
    /// Begins with a server that has nothing to tell, and ends when every client has every update, but not before the
    /// span is over. Bytes count from the first one of the first client on, its handshake included.
    pub(crate) async fn measure(self) -> io::Result<Outcome> {
        let mut server = ServerProcess::start().await?;
        let visit = Arc::new(Visit {
            addr: server.addr.clone(),
            method: self.method,
            counts: Arc::new(Counts::default()),
            requests: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            delays: Mutex::default(),
        });
        let processor = server.processor_ns().await?;
        let mut clients = JoinSet::new();
        for index in 0..self.clients {
            let visit = Arc::clone(&visit);
            let share = index as f64 / self.clients as f64;
            clients.spawn(async move { visit.stay(share).await });
        }
        let told_all = async {
            until(|| visit.ready.load(Ordering::Relaxed) == self.clients).await;
            server.publish(self.updates, self.span.as_millis()).await?;
            time::sleep(self.span).await;
            until(|| received(&visit) >= self.clients * self.updates).await;
            Ok(())
        };
        tokio::select! {
            told = time::timeout(self.span + PATIENCE, told_all) => {
                told.unwrap_or_else(|_| Err(io::Error::other(format!("{self:?}: updates are missing"))))?;
            }
            Some(ended) = clients.join_next() => {
                ended.map_err(io::Error::other)??;
                return Err(io::Error::other("a client ended before its time"));
            }
        }
        let bytes = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let outcome = Outcome {
            cell: self,
            requests: bytes(&visit.requests),
            bytes_up: bytes(&visit.counts.up),
            bytes_down: bytes(&visit.counts.down),
            segments: server.segments()?,
            processor_ns: server.processor_ns().await?.saturating_sub(processor),
            delays: std::mem::take(
                &mut *visit.delays.lock().unwrap_or_else(PoisonError::into_inner),
            ),
        };
        Ok(outcome.sorted())
    }
}

fn received(visit: &Visit) -> usize {
    visit
        .delays
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .len()
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        time::sleep(LOOK_INTERVAL).await;
    }
}

/// Often enough that the end is not late, seldom enough to be no load.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Beyond the span. Only a failure reaches it, or Ajax polling with a longer interval.
const PATIENCE: Duration = Duration::from_secs(60);
