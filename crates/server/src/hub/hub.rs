//! The hub with the configured channels, and how clients reach it.

use std::sync::Arc;

use parking_lot::Mutex;
use sockeye::{EngineIo, MemoryAccount, MemoryBudget, MemoryPressure, Route, Settings};
use sockeye_hub::{
    MemoryMeter, Node, NodeSettings, SystemClock,
    broker::{LogBroker, LogError, LogReport, Memory},
    presence::ChannelPresence,
};

use super::hooks::Hooks;
use crate::{
    config::{HubConfig, SOCKETIO, SOCKJS_HUB, WebSocketPath},
    data::DataDir,
    transport::{
        CloseCodes, HttpTransportSettings, HttpTransports, SocketIoTransportSettings,
        WebSocketSettings, socketio_mount, uni_websocket_route, websocket_route,
    },
};

/// The hub, and how clients reach it.
pub(crate) struct Hub {
    pub(crate) node: Node,
    /// The WebSockets.
    pub(crate) routes: Vec<Route>,
    /// What clients reach by SockJS, which the older SDK for JavaScript can use.
    pub(crate) sockjs_route: Route,
    /// What clients reach by Socket.IO, if it is on.
    pub(crate) socketio: Option<EngineIo>,
    /// The ways without WebSocket.
    pub(crate) transports: HttpTransports,
    /// Where history is kept, with a data directory.
    pub(crate) log: Option<LogBroker>,
    /// How its WebSockets were closed.
    pub(crate) close_codes: CloseCodes,
}

/// Starts the hub. Its WebSockets have `settings`, but for the limits that the configuration of the hub has. With a data
/// directory its histories are kept there.
///
/// # Errors
///
/// The log in the data directory can't be opened. One line.
pub(crate) fn start(
    config: HubConfig,
    settings: Settings,
    budget: &MemoryBudget,
    channel_presence: Option<ChannelPresence>,
    data: Option<&DataDir>,
) -> Result<Hub, String> {
    let log = data.map(|data| open_log(&config, data)).transpose()?;
    let mut builder = Node::builder(config.namespaces)
        .settings(within(config.settings, budget))
        .memory_meter(BudgetMeter::new(budget));
    builder = match &log {
        Some(log) => builder.broker(log.clone()),
        None => builder.broker(Memory::new(Arc::new(SystemClock), config.memory)),
    };
    if let Some(verifier) = config.verifier {
        builder = builder.verifier(verifier);
    }
    if let Some(verifier) = config.subscription_verifier {
        builder = builder.subscription_verifier(verifier);
    }
    if let Some(presence) = channel_presence {
        builder = builder.channel_presence(presence);
    }
    let node = Hooks::new(config.hooks).install(builder).start();
    let close_codes = CloseCodes::default();
    let websocket = |path: &WebSocketPath| WebSocketSettings {
        settings: settings.clone(),
        message_size_limit: path.message_size_limit,
        queue_max_size: config.queue_max_size,
        origins: config.origins.clone(),
        close_codes: close_codes.clone(),
    };
    let mut routes = Vec::new();
    if let Some(path) = &config.websocket {
        routes
            .push(websocket_route(&node, &path.path, websocket(path)).origin_advice(ORIGIN_ADVICE));
    }
    if let Some(path) = &config.uni_websocket {
        let route = uni_websocket_route(&node, &path.path, websocket(path));
        routes.push(route.origin_advice(ORIGIN_ADVICE));
    }
    // SockJS sends the messages of a WebSocket by requests, if need be.
    let behind_sockjs = WebSocketPath {
        path: SOCKJS_HUB.to_owned(),
        message_size_limit: config.message_size_limit,
    };
    let sockjs_route = websocket_route(&node, &behind_sockjs.path, websocket(&behind_sockjs))
        .origin_advice(ORIGIN_ADVICE);
    let socketio = config.socketio.map(|socketio| {
        let settings = SocketIoTransportSettings {
            settings: settings.clone(),
            socketio,
            queue_max_size: config.queue_max_size,
            recovery: config.socketio_recovery,
            origins: config.origins.clone(),
        };
        socketio_mount(&node, SOCKETIO, settings)
    });
    let http = HttpTransportSettings {
        origins: config.origins.clone(),
        queue_max_size: config.queue_max_size,
        memory_budget: budget.clone(),
        http_stream: config.http_stream,
        sse: config.sse,
        uni_sse: config.uni_sse,
        emulation: config.emulation,
        ..HttpTransportSettings::default()
    };
    Ok(Hub {
        routes,
        sockjs_route,
        socketio,
        transports: HttpTransports::new(&node, http),
        close_codes,
        node,
        log,
    })
}

/// How an operator lets pages of other origins use the hub.
const ORIGIN_ADVICE: &str = "add {origin} to client.allowed_origins";

fn open_log(config: &HubConfig, data: &DataDir) -> Result<LogBroker, String> {
    let path = data.path().join(LOG_DIRECTORY);
    let opened = LogBroker::open(&path, Arc::new(SystemClock), config.log);
    let (log, report) = opened.map_err(|error| {
        let directory = data.path().display();
        let damage = match &error {
            LogError::Damaged {
                file,
                position,
                reason,
            } => Some(format!("{file} at byte {position}: {reason}")),
            LogError::Missing { file } => Some(format!("{file} is missing")),
            _ => None,
        };
        if let Some(damage) = damage {
            return format!(
                "the log in {directory} is damaged: {damage}; see `sockeye log check {directory}`, `sockeye log repair \
                 {directory}`"
            );
        }
        let cause = std::error::Error::source(&error);
        let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
        format!("--data {directory}: {error}{cause}")
    })?;
    show(&path.display(), &report);
    Ok(log)
}

/// Logs what was found in the log.
fn show(directory: &dyn std::fmt::Display, report: &LogReport) {
    tracing::info!(%directory, channels = report.channels, "the log of channels is open");
    if let Some(reason) = &report.full_scan
        && report.channels > 0
    {
        tracing::info!(reason, "the whole log of channels was read");
    }
    if let Some((file, position, bytes)) = &report.cut {
        tracing::warn!(
            file,
            position,
            bytes,
            "the log of channels ended in the midst of a record, which was cut off; it was not accepted, or not synced \
             before power was cut"
        );
    }
    if report.new_epochs > 0 {
        tracing::warn!(
            channels = report.new_epochs,
            "publications may be lost, because power was cut or the log was repaired: channels have new epochs"
        );
    }
}

/// Returns the settings of a node that keeps to `budget`.
fn within(mut settings: NodeSettings, budget: &MemoryBudget) -> NodeSettings {
    settings.waiting_bytes_max = budget.bytes_max() / WAITING_PART;
    settings
}

/// Charges what clients make the hub hold to the memory budget.
struct BudgetMeter(Mutex<MemoryAccount>);

impl BudgetMeter {
    fn new(budget: &MemoryBudget) -> Self {
        Self(Mutex::new(budget.account()))
    }
}

impl MemoryMeter for BudgetMeter {
    fn charge(&self, bytes: usize) {
        self.0.lock().charge(bytes);
    }

    /// A large answer needs room below the soft limit, so that answers alone never have others closed.
    fn try_charge(&self, bytes: usize) -> bool {
        let mut account = self.0.lock();
        let budget = account.budget();
        let bytes_max = match bytes < LARGE_ANSWER_BYTES_MIN {
            true => budget.bytes_max(),
            false => budget.soft_bytes_max(),
        };
        account.try_charge(bytes, bytes_max)
    }

    fn reclaim(&self, bytes: usize) {
        let budget = self.0.lock().budget().clone();
        budget.reclaim(bytes);
    }

    fn release(&self, bytes: usize) {
        self.0.lock().release(bytes);
    }

    fn is_exhausted(&self) -> bool {
        self.0.lock().budget().pressure() == MemoryPressure::Hard
    }
}

/// What waits for slow readers that lose publications may take this part of the budget, so that they never bring it to its limits.
const WAITING_PART: usize = 8;

/// Bytes. A smaller answer may have room up to the hard limit.
const LARGE_ANSWER_BYTES_MIN: usize = 64 << 10;

/// The directory of the log in the data directory.
pub(crate) const LOG_DIRECTORY: &str = "channels";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_answer_has_room_up_to_the_soft_limit_and_a_small_one_up_to_the_hard_one() {
        let budget = MemoryBudget::new(1_000_000);
        let meter = BudgetMeter::new(&budget);
        let mut others = budget.account();
        others.set(650_000);
        assert!(meter.try_charge(100_000));
        assert!(!meter.try_charge(100_000));
        assert!(meter.try_charge(60_000));
        meter.release(160_000);
        others.set(960_000);
        assert!(!meter.try_charge(60_000));
        assert_eq!(budget.used_bytes(), 960_000);
    }

    #[test]
    fn what_the_hub_holds_counts_towards_the_budget() {
        let budget = MemoryBudget::new(10_000);
        let meter = BudgetMeter::new(&budget);
        meter.charge(8_000);
        assert!(!meter.is_exhausted());
        assert_eq!(budget.used_bytes(), 8_000);
        let mut other = budget.account();
        other.set(2_001);
        assert_eq!(budget.used_bytes(), 10_001);
        assert!(meter.is_exhausted());
        meter.release(8_000);
        assert_eq!(budget.used_bytes(), 2_001);
        assert!(!meter.is_exhausted());
    }
}
