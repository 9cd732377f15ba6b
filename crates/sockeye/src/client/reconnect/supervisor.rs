//! The task that dials, waits and dials again.

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

/// The task that dials, waits and dials again, in one loop. [`Schedule`] and [`Policy`] make its decisions.
///
/// ```text
///   dial ── failed ───────────────────────┐
///    ^ └─── opened ──> serve ── ended ──> decide ── give up, or closing ──> end
///    │                                    │
///    └──────────────── wait <─────────────┘
/// ```
pub(super) struct Supervisor {
    pub(super) dial: Dial,
    pub(super) policy: Policy,
    pub(super) shared: Arc<ReconnectShared>,
}

/// Makes the attempts.
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

    /// Dials `connect` each time, with the request that `policy` makes of it.
    pub(super) fn from_policy(connect: Connect, policy: &Policy) -> Self {
        let policy = policy.clone();
        Self(Box::new(move || {
            let (connect, policy) = (connect.clone(), policy.clone());
            Box::pin(async move {
                let request = policy.make_request(connect).await;
                request
                    .map_err(Outage::without_request)?
                    .await
                    .map_err(Outage::failed)
            })
        }))
    }
}

impl Supervisor {
    /// Runs until the policy gives up or the program closes.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        // Ends also if a closure of the policy panics or the runtime shuts down, so that no task waits for ever.
        let _end = EndOnDrop(Arc::clone(&shared));
        let mut schedule = Schedule::new(self.policy.schedule(), shared.now());
        while let Some(dialled) = shared.unless_closing((self.dial.0)()).await {
            let outage = match dialled {
                Ok(websocket) => {
                    schedule.handle_opened(shared.now());
                    self.serve(websocket).await
                }
                Err(outage) => outage,
            };
            let retry_in = self.decide(&outage, &mut schedule);
            let retry_in_s = retry_in.map(|delay| delay.as_secs_f64());
            tracing::debug!(%outage, retry_in_s, "no connection");
            shared.lose(outage, retry_in);
            match retry_in {
                Some(delay) if self.wait(delay).await => {}
                _ => break,
            }
        }
    }

    /// Reports the connection to the handle, sends the queue, and waits for the end of the connection.
    async fn serve(&self, websocket: WebSocket) -> Outage {
        let session = websocket.session().clone();
        self.shared.open(websocket);
        self.catch_up(&session).await;
        let closed = session.closed().await;
        self.shared.leave(&session);
        Outage::lost(closed)
    }

    /// Sends the queue. What the connection doesn't take stays in it.
    async fn catch_up(&self, session: &Session) {
        while let Some(message) = self.shared.catch_up() {
            if session.send(&message).await.is_err() {
                self.shared.put_back(message);
                return;
            }
        }
    }

    /// Returns the wait before the next attempt; `None` to give up.
    fn decide(&self, outage: &Outage, schedule: &mut Schedule) -> Option<Duration> {
        if self.shared.is_closing() || self.policy.gives_up(outage) {
            return None;
        }
        let hint = outage.retry_hint(SystemTime::now());
        schedule.handle_lost(self.shared.now(), hint, random())
    }

    /// Waits for `delay`, or until the program asks for an attempt at once, and until the handle has room for events.
    /// Returns whether to go on: false if the program closes.
    async fn wait(&self, delay: Duration) -> bool {
        let waited = async {
            tokio::select! {
                () = time::sleep(delay) => {}
                () = self.shared.asked_to_retry() => {}
            }
            self.shared.has_room_for_events().await;
        };
        self.shared.unless_closing(waited).await.is_some()
    }
}

/// Reports to the handle and to all senders that there will be no connection any more.
struct EndOnDrop(Arc<ReconnectShared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Returns a uniform random number. A system without random numbers opens no connection, so its clients need no
/// spread.
fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}
