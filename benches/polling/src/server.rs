//! The server: one process, one list of updates, three ways to get them.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    http::{StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing,
};
use rustix::time::{ClockId, clock_gettime};
use sockeye::{Endpoint, Group, Message, Origins, Reply, Route, Server, Session};
use tokio::{io::AsyncReadExt as _, sync::watch, time};

use crate::update::Update;

/// Serves until stdin ends, which it does when the program that started this one is gone. Prints its address first.
pub(crate) async fn serve() -> io::Result<()> {
    let feed = Arc::new(Feed::default());
    let heard = Arc::clone(&feed);
    let route = Route::new("/ws", move |_| Ok(Listener(Arc::clone(&heard)))).origins(Origins::Any);
    let server = Server::bind("127.0.0.1:0")
        .mount(route)
        .fallback(http(feed))
        .start()
        .await
        .map_err(io::Error::other)?;
    println!("{}", server.local_addrs()[0]);
    let mut ignored = Vec::new();
    tokio::io::stdin().read_to_end(&mut ignored).await?;
    Ok(())
}

/// What there is to tell.
#[derive(Default)]
struct Feed {
    /// In JSON, the first one is number 1.
    updates: Mutex<Vec<String>>,
    /// How many there are.
    count: watch::Sender<usize>,
    /// Everybody on `/ws`.
    group: Group,
}

impl Feed {
    fn publish(&self, text: String) {
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        self.group.send(text.as_str());
        updates.push(text);
        self.count.send_replace(updates.len());
    }

    /// Takes a listener in. Under the lock, so that it misses nothing: what there is already, it gets now.
    fn join(&self, session: &Session) {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        for text in &*updates {
            // A listener that has no room for a few updates is gone.
            let _ = session.try_send(text.as_str());
        }
        self.group.join(session);
    }

    /// Those after the first `seen`, as a JSON list.
    fn since(&self, seen: usize) -> Response {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let news = updates.get(seen..).unwrap_or_default().join(",");
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (headers, format!("[{news}]")).into_response()
    }
}

fn http(feed: Arc<Feed>) -> Router {
    let (ajax, long, script) = (Arc::clone(&feed), Arc::clone(&feed), feed);
    Router::new()
        // Ajax polling: whatever there is, at once.
        .route(
            "/updates",
            routing::get(move |uri: Uri| async move { ajax.since(number(&uri, "since")) }),
        )
        // Long polling: as soon as there is something.
        .route(
            "/wait",
            routing::get(move |uri: Uri| async move {
                let seen = number(&uri, "since");
                let mut count = long.count.subscribe();
                // Nothing for so long is an empty answer.
                let _ = time::timeout(HOLD_TIME, count.wait_for(|count| *count > seen)).await;
                long.since(seen)
            }),
        )
        .route(
            "/start",
            routing::post(move |uri: Uri| async move {
                let count = number(&uri, "updates");
                let over = Duration::from_millis(number(&uri, "ms") as u64);
                tokio::spawn(publish(script, count, over));
                StatusCode::NO_CONTENT
            }),
        )
        .route("/processor", routing::get(|| async { processor_ns().to_string() }))
}

/// So many updates in this time, evenly, half a gap after the start and before the end.
async fn publish(feed: Arc<Feed>, count: usize, over: Duration) {
    let begun = time::Instant::now();
    for index in 0..count {
        let at = over.mul_f64((index as f64 + 0.5) / count as f64);
        time::sleep_until(begun + at).await;
        feed.publish(Update::publish(index as u64 + 1));
    }
}

/// Processor time of this process so far, user and system.
fn processor_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// The number that the query gives this name; 0 without it.
fn number(uri: &Uri, name: &str) -> usize {
    uri.query()
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

struct Listener(Arc<Feed>);

impl Endpoint for Listener {
    fn on_open(&mut self, session: &Session) {
        self.0.join(session);
    }

    fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
        Reply::None
    }
}

/// Below the 30 s after which some proxies give up.
const HOLD_TIME: Duration = Duration::from_secs(25);
