//! When to come back, as whom, and when not any more.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use sockeye_proto::Backoff;

use crate::{
    client::{
        connect::Connect,
        reconnect::{outage::Outage, queue::Queue, schedule::Terms},
    },
    error::Error,
};

/// When to come back, as whom, and when not any more.
///
/// By default: for as long as it takes, after a random time below 0.5 s, 1 s, 2 s … 30 s, unless the
/// answer would stay the same ([`Outage::is_final`]).
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
    terms: Terms,
    pub(super) queue: Queue,
    give_up: Arc<dyn Fn(&Outage) -> bool + Send + Sync>,
    request: Option<Request>,
}

/// What makes the request of each attempt.
type Request = Arc<dyn Fn(Connect) -> FreshRequest + Send + Sync>;
type FreshRequest = Pin<Box<dyn Future<Output = Result<Connect, Error>> + Send>>;

impl Policy {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            terms: Terms {
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

    /// Between what ends the random delays lie. Default below 500 ms first, below 30 s at most.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.terms.backoff = backoff;
        self
    }

    /// How long a connection must last to count as one: an earlier end is a failure like an attempt that
    /// fails, and the delays go on growing. Default 10 s.
    pub fn uptime_min(mut self, uptime: Duration) -> Self {
        self.terms.uptime_min = uptime;
        self
    }

    /// How many attempts may fail in a row. Default: any number.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.terms.attempts_max = Some(attempts);
        self
    }

    /// How long it may go on without a connection that lasts; an attempt that would be later isn't made.
    /// Default: for ever.
    pub fn elapsed_max(mut self, elapsed: Duration) -> Self {
        self.terms.elapsed_max = Some(elapsed);
        self
    }

    /// The longest that a server can ask us to stay away: a longer wish counts as this. Default 1 h.
    pub fn retry_hint_max(mut self, hint: Duration) -> Self {
        self.terms.hint_max = hint;
        self
    }

    /// What becomes of messages that are sent while there is no connection. Default:
    /// [`Queue::reject_when_full`].
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// Whether an outage is the end, instead of [`Outage::is_final`], which the closure can ask.
    pub fn give_up(mut self, rule: impl Fn(&Outage) -> bool + Send + Sync + 'static) -> Self {
        self.give_up = Arc::new(rule);
        self
    }

    /// Makes the request before each attempt, the first one too: it gets what [`crate::connect`] was told,
    /// and adds a token, changes the URL ([`Connect::url`]), whatever may be another one by now. It has no
    /// time limit but its own.
    ///
    /// An error of its is an attempt that has failed.
    pub fn request<F, Fresh>(mut self, request: F) -> Self
    where
        F: Fn(Connect) -> Fresh + Send + Sync + 'static,
        Fresh: Future<Output = Result<Connect, Error>> + Send + 'static,
    {
        self.request = Some(Arc::new(move |connect| Box::pin(request(connect))));
        self
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    pub(super) fn gives_up(&self, outage: &Outage) -> bool {
        (self.give_up)(outage)
    }

    pub(super) async fn fresh(&self, connect: Connect) -> Result<Connect, Error> {
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
            .field("terms", &self.terms)
            .field("queue", &self.queue)
            .finish_non_exhaustive()
    }
}
