//! Keys that issuers publish, kept by (URL, key id), and when to ask for them.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{JwksEndpoint, TokenError, jwk::JwkSet};
use crate::UnixMillis;

/// What fetches a key set: the program's HTTP client.
///
/// Any `Fn(String) -> impl Future<Output = Result<Bytes, String>>` is one.
pub trait JwksSource: Send + Sync + 'static {
    /// Fetches the document at `url`, one of the configured ones. The source must stop reading at
    /// [`KeyCacheLimits::response_bytes_max`], and must not follow a redirect to another host.
    ///
    /// The future runs in a task of its own, for [`KeyCacheLimits::fetch_timeout`] at most. It may be dropped at any time.
    ///
    /// # Errors
    ///
    /// One line for the log: what went wrong.
    fn fetch(&self, url: String) -> BoxFuture<'static, Result<Bytes, String>>;
}

impl<F, Fut> JwksSource for F
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Bytes, String>> + Send + 'static,
{
    fn fetch(&self, url: String) -> BoxFuture<'static, Result<Bytes, String>> {
        self(url).boxed()
    }
}

/// Limits of the keys that come from an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyCacheLimits {
    /// How long keys are used before the endpoint is asked again. A key that the issuer withdraws is accepted this long;
    /// twice this long while the endpoint fails. Default one hour.
    pub time_to_live: Duration,
    /// The shortest time between two requests to one endpoint, whatever keys the tokens name, and after a failure too.
    /// At most `time_to_live`. Default ten seconds.
    pub interval_min: Duration,
    /// How long one request may take. Default five seconds.
    pub fetch_timeout: Duration,
    /// Most keys in one set; a longer one is refused. Default 64.
    pub keys_max: usize,
    /// Bytes. The longest answer; a longer one is refused. Default 262,144.
    pub response_bytes_max: usize,
}

impl Default for KeyCacheLimits {
    fn default() -> Self {
        Self {
            time_to_live: Duration::from_secs(3600),
            interval_min: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(5),
            keys_max: 64,
            response_bytes_max: 262_144,
        }
    }
}

/// The key sets of all endpoints.
///
/// ```text
///              kid is there: use it
///            ┌──────┐                  answer: a new set
///   empty ── │ ──> fresh <──────────────────────────────── asking ──> failed ──┐
///     │              │  └─── kid isn't there,           ──> ^  ^         │     │ interval is over
///     │              │       interval is over               │  └──────── │ <───┘
///     │              └────── time to live is over ────────> │            └─> the old set, once more as long
///     └──────────────────────────────────────────────────── ┘
/// ```
pub(crate) struct KeyCache {
    endpoints: Vec<Arc<Endpoint>>,
    source: Arc<dyn JwksSource>,
}

impl KeyCache {
    pub(crate) fn new(
        endpoints: Vec<JwksEndpoint>,
        limits: KeyCacheLimits,
        source: Arc<dyn JwksSource>,
    ) -> Self {
        let endpoint = |JwksEndpoint { url, issuer }| {
            Arc::new(Endpoint {
                url,
                issuer,
                limits,
                state: Mutex::default(),
            })
        };
        Self {
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            source,
        }
    }

    /// Returns whether the endpoint to ask depends on the token's issuer.
    pub(crate) fn depends_on_issuer(&self) -> bool {
        self.endpoints
            .iter()
            .any(|endpoint| endpoint.issuer.is_some())
    }

    /// Returns the sets whose keys may have signed for this issuer.
    pub(crate) fn sets(&self, issuer: Option<&str>, now: UnixMillis) -> Vec<Arc<JwkSet>> {
        self.candidates(issuer)
            .filter_map(|endpoint| endpoint.state().usable(endpoint.limits, now))
            .collect()
    }

    /// Asks the endpoints for a key that isn't there, unless they were asked a moment ago. Afterwards what is in
    /// [`KeyCache::sets`] is final.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeysUnavailable`]: the key may exist, and can't be had now.
    pub(crate) async fn fetch(
        &self,
        key_id: &str,
        issuer: Option<&str>,
        now: UnixMillis,
    ) -> Result<(), TokenError> {
        let mut failure = None;
        for endpoint in self.candidates(issuer) {
            match endpoint.ask(&*self.source, key_id, now).await {
                Ok(Presence::Present) => return Ok(()),
                Ok(Presence::Absent) => {}
                Err(reason) => failure = Some(reason),
            }
        }
        match failure {
            Some(reason) => Err(TokenError::KeysUnavailable(reason.into())),
            None => Ok(()),
        }
    }

    /// Returns the endpoints whose keys may have signed for this issuer. The issuer isn't verified yet: it chooses among
    /// configured endpoints, and whose key verifies the token is that issuer.
    fn candidates(&self, issuer: Option<&str>) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.endpoints.iter().filter(move |endpoint| {
            endpoint.issuer.is_none() || endpoint.issuer.as_deref() == issuer
        })
    }
}

/// Whether an endpoint has a key, by its newest answer.
enum Presence {
    Present,
    Absent,
}

struct Endpoint {
    url: String,
    issuer: Option<String>,
    limits: KeyCacheLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Arc<JwkSet>,
    /// When `keys` was asked for. `None`: never successfully.
    fetched_at: Option<UnixMillis>,
    asked_at: Option<UnixMillis>,
    /// Why the last request failed. `None`: it didn't, or there was none.
    failure: Option<String>,
    /// The request that is under way. Its result is stored when somebody polls it, at the latest the next who asks.
    request: Option<Shared<BoxFuture<'static, ()>>>,
}

impl Endpoint {
    async fn ask(
        self: &Arc<Self>,
        source: &dyn JwksSource,
        key_id: &str,
        now: UnixMillis,
    ) -> Result<Presence, String> {
        let request = {
            let mut state = self.state();
            if state.is_fresh(self.limits, now) && state.keys.has(key_id) {
                return Ok(Presence::Present);
            }
            match &state.request {
                Some(request) => request.clone(),
                None if state.was_asked_lately(self.limits, now) => {
                    return state.old_answer(self.limits, key_id, now);
                }
                None => {
                    let request = self.request(source, now);
                    state.asked_at = Some(now);
                    state.request = Some(request.clone());
                    request
                }
            }
        };
        request.await;
        self.state().new_answer(self.limits, key_id, now)
    }

    /// Starts a request. It runs in a task of its own, so that a client that goes away doesn't stop what others wait for.
    fn request(
        self: &Arc<Self>,
        source: &dyn JwksSource,
        now: UnixMillis,
    ) -> Shared<BoxFuture<'static, ()>> {
        let fetch = tokio::time::timeout(self.limits.fetch_timeout, source.fetch(self.url.clone()));
        let task = tokio::spawn(fetch);
        // Weak, because the endpoint holds the request.
        let endpoint: Weak<Self> = Arc::downgrade(self);
        async move {
            let answer = match task.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_elapsed)) => Err("no answer in time".to_owned()),
                Err(_panic) => Err("the request was given up".to_owned()),
            };
            if let Some(endpoint) = endpoint.upgrade() {
                endpoint.handle_answer(answer, now);
            }
        }
        .boxed()
        .shared()
    }

    fn handle_answer(&self, answer: Result<Bytes, String>, asked_at: UnixMillis) {
        let limits = self.limits;
        let keys = answer.and_then(|json| {
            if json.len() > limits.response_bytes_max {
                return Err(format!(
                    "the answer is longer than {} bytes",
                    limits.response_bytes_max
                ));
            }
            JwkSet::parse(&json, limits.keys_max)
        });
        let mut state = self.state();
        state.request = None;
        match keys {
            Ok(keys) => {
                tracing::debug!(
                    url = self.url,
                    usable = keys.usable_count(),
                    unusable = keys.unusable_count(),
                    "keys fetched"
                );
                state.keys = Arc::new(keys);
                state.fetched_at = Some(asked_at);
                state.failure = None;
            }
            Err(reason) => {
                tracing::warn!(url = self.url, reason, "keys can't be fetched");
                state.failure = Some(reason);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is changed half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_fresh(&self, limits: KeyCacheLimits, now: UnixMillis) -> bool {
        is_within(limits.time_to_live, self.fetched_at, now)
    }

    fn was_asked_lately(&self, limits: KeyCacheLimits, now: UnixMillis) -> bool {
        is_within(limits.interval_min, self.asked_at, now)
    }

    /// Returns the keys that may be used: fresh ones, or older ones while the endpoint fails.
    fn usable(&self, limits: KeyCacheLimits, now: UnixMillis) -> Option<Arc<JwkSet>> {
        let is_usable = self.is_fresh(limits, now)
            || self.failure.is_some() && is_within(limits.time_to_live * 2, self.fetched_at, now);
        is_usable.then(|| Arc::clone(&self.keys))
    }

    fn new_answer(
        &self,
        limits: KeyCacheLimits,
        key_id: &str,
        now: UnixMillis,
    ) -> Result<Presence, String> {
        let usable = self.usable(limits, now);
        match &self.failure {
            _ if usable.is_some_and(|keys| keys.has(key_id)) => Ok(Presence::Present),
            Some(reason) => Err(reason.clone()),
            None => Ok(Presence::Absent),
        }
    }

    /// Answers without a request. An unknown key may have been published since the last one.
    fn old_answer(
        &self,
        limits: KeyCacheLimits,
        key_id: &str,
        now: UnixMillis,
    ) -> Result<Presence, String> {
        match self.new_answer(limits, key_id, now)? {
            Presence::Present => Ok(Presence::Present),
            Presence::Absent => Err(format!(
                "the key is unknown, and the endpoint was asked less than {} s ago",
                limits.interval_min.as_secs()
            )),
        }
    }
}

/// Returns whether `then` is at most `limit` ago. False if it is in the future: the clock was set back, and how long ago
/// it was can't be said.
fn is_within(limit: Duration, then: Option<UnixMillis>, now: UnixMillis) -> bool {
    then.is_some_and(|then| then <= now && now.since(then) < limit)
}
