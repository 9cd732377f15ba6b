//! The path that Prometheus asks.

use std::sync::{Arc, OnceLock, Weak};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing,
};
use prometheus::{Encoder as _, TextEncoder};
use sockeye::{MemoryBudget, RequestInfo, ServerHandle};
use sockeye_hub::{Node, broker::LogBroker};

use super::{families::Families, node_families, process, server_families};
use crate::{
    address_rates::{AddressRates, too_many},
    api::{ApiMetrics, Key, Orders},
    config::{Config, Switch},
    hub::Hub,
    transport::CloseCodes,
};

/// What the server counts. Clones share it.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Shared>);

struct Shared {
    /// What all names begin with.
    prefix: String,
    node: Node,
    /// `None`: histories are in memory.
    log: Option<LogBroker>,
    budget: MemoryBudget,
    close_codes: CloseCodes,
    api: ApiMetrics,
    /// Set once the server has started, which needs the paths first.
    server: OnceLock<Weak<ServerHandle>>,
}

/// Who may see the metrics: those who show this key, or all.
#[derive(Clone)]
struct Door {
    metrics: Metrics,
    key: Option<Key>,
    rates: AddressRates,
}

impl Metrics {
    pub(crate) fn new(config: &Config, hub: &Hub, budget: &MemoryBudget) -> Self {
        let prefix = config.prometheus.name_prefix.0.clone();
        Self(Arc::new(Shared {
            node: hub.node.clone(),
            log: hub.log.clone(),
            budget: budget.clone(),
            close_codes: hub.close_codes.clone(),
            api: ApiMetrics::new(&prefix),
            prefix,
            server: OnceLock::new(),
        }))
    }

    /// Returns what carries out orders of back ends, and counts them here.
    pub(crate) fn orders(&self, node: Node) -> Orders {
        Orders {
            node,
            metrics: self.0.api.clone(),
            budget: self.0.budget.clone(),
        }
    }

    /// Names the server that is counted too.
    pub(crate) fn watch(&self, server: &Arc<ServerHandle>) {
        let _ = self.0.server.set(Arc::downgrade(server));
    }

    /// Returns the path of the metrics; none if they aren't served.
    pub(crate) fn router(&self, config: &Config, key: Key, rates: &AddressRates) -> Router {
        let keys = &config.prometheus;
        if keys.enabled == Switch::Off {
            return Router::new();
        }
        let methods = routing::get(answer).with_state(Door {
            metrics: self.clone(),
            key: (keys.require_key == Switch::On).then_some(key),
            rates: rates.clone(),
        });
        Router::new().route(&keys.handler_prefix.0, methods)
    }

    /// Returns all metrics in Prometheus' text format.
    fn text(&self) -> Vec<u8> {
        let Shared {
            prefix,
            node,
            log,
            budget,
            close_codes,
            api,
            server,
        } = &*self.0;
        let mut families = Families::new(prefix);
        node_families::add(&mut families, &node.metrics());
        if let Some(log) = log {
            node_families::add_log(&mut families, log);
        }
        families.extend(api.families());
        if let Some(server) = server.get().and_then(Weak::upgrade) {
            server_families::add(&mut families, &server);
        }
        server_families::add_close_codes(&mut families, close_codes);
        server_families::add_budget(&mut families, budget);
        process::add(&mut families);
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&families.into_vec(), &mut text)
            .expect("every family has a name and a metric");
        text
    }
}

async fn answer(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    if let Some(key) = &door.key {
        // Before the key is compared, so that it can't be found by trying.
        if let Err(error) = door.rates.wrong_keys.check(&info) {
            return too_many(error, |status| {
                (status, format!("{error}\n")).into_response()
            });
        }
        let query = request.uri().query().unwrap_or_default();
        if !key.is_shown(request.headers(), query) {
            let _ = door.rates.wrong_keys.count(&info);
            let text = "show the key of the server API, as in Authorization: apikey KEY\n";
            return (StatusCode::UNAUTHORIZED, text).into_response();
        }
    }
    let fields = [
        (header::CONTENT_TYPE, prometheus::TEXT_FORMAT),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (fields, door.metrics.text()).into_response()
}
