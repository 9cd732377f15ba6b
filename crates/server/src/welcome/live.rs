//! The welcome page's own WebSocket: the server's figures every second, and QR codes of the page's address.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sockeye::{
    CloseCode, Closed, Endpoint, Group, Limits, Message, Origins, Refusal, Reply, Request, Route,
    ServerHandle, Session,
};
use sockeye_hub::Node;
use tokio::time::MissedTickBehavior;

use crate::{connection_log::ConnectionLog, event::event, qr_code::QrCode, received::Received};

/// Tells welcome pages about the server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    pages: Group,
    started: Instant,
    /// Counts what the endpoints receive, but for those of the hub.
    received: Received,
    /// Counts what the hub receives.
    node: Node,
    /// The address of this server for phones. `None`: that under which the page was loaded.
    public_origin: Option<Arc<str>>,
}

impl Live {
    pub(crate) fn new(public_origin: Option<&str>, node: Node) -> Self {
        Self {
            pages: Group::new(),
            started: Instant::now(),
            received: Received::default(),
            node,
            public_origin: public_origin.map(Arc::from),
        }
    }

    /// Returns the count to which the endpoints add.
    pub(crate) fn received(&self) -> &Received {
        &self.received
    }

    /// Returns the route of `/welcome/ws`. It has the server's limits except for the size of a message.
    pub(crate) fn route(
        &self,
        connections: &ConnectionLog,
        origins: Origins,
        mut limits: Limits,
    ) -> Route {
        let live = self.clone();
        limits.message_bytes_max = MESSAGE_BYTES_MAX;
        connections
            .route("/welcome/ws", move |request| {
                LiveEndpoint::new(live.clone(), request)
            })
            .origins(origins)
            .origin_advice("set public_url to {origin}")
            .limits(limits)
    }

    /// Sends the server's figures to all pages, every second, for ever.
    ///
    /// Cancel safe: a dropped future sends nothing more.
    pub(crate) async fn report(&self, server: &ServerHandle) -> Infallible {
        let mut ticks = tokio::time::interval(INTERVAL);
        // After a late second comes a whole one.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before: Option<(Instant, u64)> = None;
        loop {
            ticks.tick().await;
            if self.pages.is_empty() {
                before = None;
                continue;
            }
            let now = (Instant::now(), self.messages());
            let rate = before.map(|before| per_second(now.1 - before.1, now.0 - before.0));
            before = Some(now);
            let response = json!({
                "sessions": server.sessions(),
                "messages_per_s": rate,
                "uptime_s": self.started.elapsed().as_secs(),
            });
            self.pages.send(event("FIGURES", response));
        }
    }

    /// Returns how many messages the server has received: commands at the hub, and messages at all other endpoints.
    fn messages(&self) -> u64 {
        let frames = self.node.metrics().received;
        let of_hub: u64 = frames.iter().map(|frames| frames.messages).sum();
        self.received.total() + of_hub
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64()).round() as u64
}

/// The endpoint of one page.
struct LiveEndpoint {
    live: Live,
    /// The page's address, such as `https://example.com`.
    origin: String,
    codes: u32,
}

impl LiveEndpoint {
    /// # Errors
    ///
    /// The request has no origin, neither by `Origin` nor by `Host`; or one that is too long for a QR code.
    fn new(live: Live, request: &Request) -> Result<Self, Refusal> {
        let origin = request.headers().get("origin");
        let origin = origin
            .and_then(|value| value.to_str().ok().map(str::to_owned))
            .or_else(|| request.info().origin())
            .filter(|origin| origin.len() <= ORIGIN_BYTES_MAX);
        let Some(origin) = origin else {
            let refusal = Refusal::new(axum::http::StatusCode::BAD_REQUEST);
            return Err(refusal.body("the origin is missing or too long\n"));
        };
        Ok(Self {
            live,
            origin,
            codes: 0,
        })
    }

    /// Returns the QR code of the page's address with this fragment.
    fn code(&mut self, fragment: &str) -> Reply {
        self.codes += 1;
        if self.codes > CODES_MAX {
            return Reply::Close(CloseCode::POLICY_VIOLATION, "too many codes".into());
        }
        let origin = self.live.public_origin.as_deref().unwrap_or(&self.origin);
        let url = format!("{origin}/#{fragment}");
        let Some(picture) = QrCode::of(&url) else {
            return Reply::Close(
                CloseCode::POLICY_VIOLATION,
                "the address is too long".into(),
            );
        };
        let response = json!({ "url": url, "picture": picture });
        Reply::Message(event("QR_CODE", response).into())
    }
}

impl Endpoint for LiveEndpoint {
    fn on_open(&mut self, session: &Session) {
        self.live.pages.join(session);
    }

    fn on_message(&mut self, _session: &Session, message: Message<'_>) -> Reply {
        let said: Option<Value> = message
            .as_text()
            .and_then(|text| serde_json::from_str(text).ok());
        let said = said.unwrap_or_default();
        match (said["url"].as_str(), said["fragment"].as_str()) {
            (Some("/welcome/qr-code"), Some(fragment)) => self.code(fragment),
            _ => Reply::None,
        }
    }

    fn on_close(&mut self, session: &Session, _closed: &Closed) {
        self.live.pages.leave(session);
    }
}

/// Often enough to look alive, and seldom enough to read.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes: a channel of 255 that is percent-encoded, and its envelope.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Bytes: a scheme, a name of 253 (RFC 1035 section 2.3.4), a port, and some spare.
const ORIGIN_BYTES_MAX: usize = 280;

/// QR codes of one connection, each some 100 µs of work. Then the page must be reloaded.
const CODES_MAX: u32 = 200;
