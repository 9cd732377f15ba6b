//! The task that keeps a connection: dials, waits, dials again.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time;

use crate::{
    client::{
        connect::Connect,
        reconnect::{outage::Outage, policy::Policy, schedule::Schedule, shared::ReconnectShared},
    },
    connection::Session,
    websocket::WebSocket,
};

/// The task that keeps a connection. One loop; what it decides is [`Schedule`]'s and [`Policy`]'s.
pub(super) struct Supervisor {
    pub(super) dial: Dial,
    pub(super) policy: Policy,
    pub(super) shared: Arc<ReconnectShared>,
}

/// One attempt.
pub(super) struct Dial(Box<dyn FnMut() -> Dialling + Send + Sync>);
type Dialling = Pin<Box<dyn Future<Output = Result<WebSocket, Outage>> + Send>>;

impl Dial {
    #[cfg(test)]
    pub(super) fn new<F>(mut dial: impl FnMut() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<WebSocket, crate::Error>> + Send + 'static,
    {
        Self(Box::new(move || {
            let dialling = dial();
            Box::pin(async move { dialling.await.map_err(Outage::failed) })
        }))
    }

    /// Makes a fresh request of `connect` each time.
    pub(super) fn again(connect: Connect, policy: &Policy) -> Self {
        let policy = policy.clone();
        Self(Box::new(move || {
            let (connect, policy) = (connect.clone(), policy.clone());
            Box::pin(async move {
                let fresh = policy.fresh(connect).await;
                fresh
                    .map_err(Outage::without_request)?
                    .await
                    .map_err(Outage::failed)
            })
        }))
    }
}

impl Supervisor {
    /// Ends when the policy gives up, or when the line is closed.
    pub(super) async fn keep(mut self) {
        let shared = Arc::clone(&self.shared);
        // Whoever waits hears of the end also if a closure of the policy's panics, or the runtime goes down.
        let _end = EndOnDrop(Arc::clone(&shared));
        let mut schedule = Schedule::new(self.policy.terms(), shared.now());
        while let Some(dialled) = shared.unless_closing((self.dial.0)()).await {
            let outage = match dialled {
                Ok(websocket) => {
                    schedule.handle_opened(shared.now());
                    self.serve(websocket).await
                }
                Err(outage) => outage,
            };
            let retry_in = self.verdict(&outage, &mut schedule);
            let retry_in_s = retry_in.map(|delay| delay.as_secs_f64());
            tracing::debug!(%outage, retry_in_s, "no connection");
            shared.lose(outage, retry_in);
            match retry_in {
                Some(delay) if self.wait(delay).await => {}
                _ => break,
            }
        }
    }

    /// From the moment that the connection is open until it has ended.
    async fn serve(&self, websocket: WebSocket) -> Outage {
        let session = websocket.session().clone();
        self.shared.open(websocket);
        self.catch_up(&session).await;
        let closed = session.closed().await;
        self.shared.leave(&session);
        Outage::lost(closed)
    }

    /// Sends what has waited. What the connection didn't take before its end waits on.
    async fn catch_up(&self, session: &Session) {
        while let Some(message) = self.shared.catch_up() {
            if session.send(&message).await.is_err() {
                self.shared.put_back(message);
                return;
            }
        }
    }

    /// In how long to try again; `None` for never.
    fn verdict(&self, outage: &Outage, schedule: &mut Schedule) -> Option<Duration> {
        if self.shared.is_closing() || self.policy.gives_up(outage) {
            return None;
        }
        let hint = outage.retry_hint(SystemTime::now());
        schedule.handle_lost(self.shared.now(), hint, random())
    }

    /// Waits, less if somebody hurries; false if the line was closed meanwhile.
    async fn wait(&self, delay: Duration) -> bool {
        let waited = async {
            tokio::select! {
                () = time::sleep(delay) => {}
                () = self.shared.hurried() => {}
            }
            self.shared.seen().await;
        };
        self.shared.unless_closing(waited).await.is_some()
    }
}

/// Tells everybody that there will be no connection any more.
struct EndOnDrop(Arc<ReconnectShared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Uniform over all values. A system without entropy opens no connection either: its clients needn't be
/// spread.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
