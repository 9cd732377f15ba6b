//! When to reconnect, with which request, and when to give up.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use sockeye_proto::Backoff;

use crate::{
    client::{
        connect::Connect,
        reconnect::{outage::Outage, queue::Queue, schedule::ScheduleConfig},
    },
    error::Error,
};

/// When to reconnect, with which request, and when to give up.
///
/// By default the client reconnects for ever, after a random time below 0.5 s, 1 s, 2 s … 30 s. It gives up if another
/// attempt would end in the same way ([`Outage::is_final`]).
///
/// ```
/// use std::time::Duration;
/// use sockeye::reconnect::{Policy, Queue};
///
/// let policy = Policy::new()
///     .elapsed_max(Duration::from_secs(3600))
///     .queue(Queue::drop_oldest().time_to_live(Duration::from_secs(60)))
///     .request(|connect| async {
///         let token = "from wherever tokens come";
///         Ok(connect.header("Authorization", format!("Bearer {token}")))
///     })
///     .give_up(|outage| outage.is_final() || outage.status().is_some_and(|status| status == 404));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Policy {
    schedule: ScheduleConfig,
    pub(super) queue: Queue,
    give_up: Arc<dyn Fn(&Outage) -> bool + Send + Sync>,
    request: Option<MakeRequest>,
}

/// The program's closure that makes the request of each attempt.
type MakeRequest = Arc<dyn Fn(Connect) -> MadeRequest + Send + Sync>;
type MadeRequest = Pin<Box<dyn Future<Output = Result<Connect, Error>> + Send>>;

impl Policy {
    /// Makes a policy of the defaults.
    pub fn new() -> Self {
        Self {
            schedule: ScheduleConfig {
                backoff: Backoff::default(),
                uptime_min: Duration::from_secs(10),
                attempts_max: None,
                elapsed_max: None,
                hint_max: Duration::from_secs(3600),
            },
            queue: Queue::default(),
            give_up: Arc::new(Outage::is_final),
            request: None,
        }
    }

    /// Sets the limits of the random delays. Default: below 500 ms at first, below 30 s at most.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.schedule.backoff = backoff;
        self
    }

    /// Sets how long a connection must last to count as a success. After an earlier end the delays go on growing, as
    /// after a failed attempt. Default 10 s.
    pub fn uptime_min(mut self, uptime: Duration) -> Self {
        self.schedule.uptime_min = uptime;
        self
    }

    /// Sets how many attempts may fail in a row before the client gives up. Default: no limit.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.schedule.attempts_max = Some(attempts);
        self
    }

    /// Sets for how long the client reconnects without a connection that lasts. It gives up if the next attempt would be
    /// later. Default: no limit.
    pub fn elapsed_max(mut self, elapsed: Duration) -> Self {
        self.schedule.elapsed_max = Some(elapsed);
        self
    }

    /// Sets the longest wait that a server can ask for; a longer one counts as this. Default 1 h.
    pub fn retry_hint_max(mut self, hint: Duration) -> Self {
        self.schedule.hint_max = hint;
        self
    }

    /// Sets what happens to messages that are sent without a connection. Default: [`Queue::reject_when_full`].
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// Sets after which outages the client gives up. Default: [`Outage::is_final`].
    pub fn give_up(mut self, rule: impl Fn(&Outage) -> bool + Send + Sync + 'static) -> Self {
        self.give_up = Arc::new(rule);
        self
    }

    /// Sets a closure that makes the request before each attempt, also the first one. It gets the [`Connect`] on which
    /// [`Connect::reconnect`] was called, and can add a token or change the URL ([`Connect::url`]). The client sets no
    /// time limit for it.
    ///
    /// An error of the closure counts as a failed attempt.
    pub fn request<F, Fresh>(mut self, request: F) -> Self
    where
        F: Fn(Connect) -> Fresh + Send + Sync + 'static,
        Fresh: Future<Output = Result<Connect, Error>> + Send + 'static,
    {
        self.request = Some(Arc::new(move |connect| Box::pin(request(connect))));
        self
    }

    pub(super) fn schedule(&self) -> ScheduleConfig {
        self.schedule
    }

    pub(super) fn gives_up(&self, outage: &Outage) -> bool {
        (self.give_up)(outage)
    }

    pub(super) async fn make_request(&self, connect: Connect) -> Result<Connect, Error> {
        match &self.request {
            Some(request) => request(connect).await,
            None => Ok(connect),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("schedule", &self.schedule)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
