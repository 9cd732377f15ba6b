//! The wiring: the one place that joins configuration, endpoints, pages and signals.

use std::{ffi::OsString, process::ExitCode, sync::Arc, time::Duration};

use axum::{Router, http::HeaderMap, middleware, routing};
use serde_json::json;
use sockeye::{
    AppHeartbeat, CloseCode, Deflate, Drain, DrainReport, Group, HeartbeatConfig, HttpSettings,
    Lifetime, Limits, MemoryBudget, Origins, RequestInfo, Retry, Route, Server, ServerHandle,
    Settings,
};
use sockeye_hub::broker::LogBroker;

use crate::{
    activation::PassedSockets,
    address_rates::{self, AddressRates, limit_posts},
    api,
    banner::{chat_paths, print_served, switched_off},
    certificate,
    chat::{self, Chat, Tokens},
    config::{
        self, Config, HubConfig, Loaded, MemoryMax, SOCKJS_CHAT, SOCKJS_ECHO, SOCKJS_ROOM, Switch,
    },
    connection_log::ConnectionLog,
    data::{self, DataDir},
    echo::{Echo, upgrade_required},
    hsts,
    hub::{self, Hub},
    listen::add_listeners,
    log::{Log, Notices},
    login::Login,
    metrics::Metrics,
    not_found::NotFound,
    notify::{self, Notifier},
    presence::{self, Presence, Tracked},
    readiness::Readiness,
    reload::Reloader,
    room::RoomMember,
    signal::{HangUps, Signals},
    socketio, sockjs,
    welcome::{self, HubAccess},
};

/// Serves until a signal comes, then drains. The command line `args` gave `loaded`.
#[expect(
    clippy::too_many_lines,
    reason = "a flat list: the parts are opened one after the other, and each can fail in its own way"
)]
pub(crate) fn serve(loaded: Loaded, args: Vec<OsString>) -> ExitCode {
    let config = &loaded.config.clone();
    // Before any thread starts: see `PassedSockets::from_env`.
    let passed = PassedSockets::from_env();
    let log = Log::start(&config.log_filter, config.log_format);
    let notices = log.notices();
    let refuse = |message: &str| {
        notices.fail(message);
        ExitCode::from(2)
    };
    let (passed, notifier) = match passed.and_then(|passed| Ok((passed, Notifier::from_env()?))) {
        Ok((passed, notifier)) => (passed, Arc::new(notifier)),
        Err(message) => return refuse(&message),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return refuse(&format!("cannot start threads: {error}")),
    };
    runtime.block_on(async {
        // Before anything is printed, since a program that reads the addresses may send a signal at once.
        let mut signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => return refuse(&format!("cannot catch signals: {error}")),
        };
        let hang_ups = match HangUps::catch() {
            Ok(hang_ups) => hang_ups,
            Err(error) => return refuse(&format!("cannot catch signals: {error}")),
        };
        let tls = match certificate::read(config) {
            Ok(tls) => tls,
            Err(message) => return refuse(&message),
        };
        let chosen = match config.http_api_insecure {
            Switch::On => Ok(api::Key::none()),
            Switch::Off => api::Key::chosen(config.http_api_key.as_ref()),
        };
        let key = match chosen {
            Ok(key) => key,
            Err(message) => return refuse(&message),
        };
        // First, since a directory that can't be used ends the start.
        let data = match data::open(config.data.as_deref()) {
            Ok(data) => data,
            Err(message) => return refuse(&message),
        };
        let presence = match presence::open(config, data.as_ref()).await {
            Ok(presence) => presence,
            Err(message) => return refuse(&message),
        };
        let budget = memory_budget(config);
        let chat = match chat(config, data.as_ref(), &presence, &budget) {
            Ok(chat) => chat,
            Err(message) => return refuse(&message),
        };
        let hub = match HubConfig::new(config) {
            Ok(hub) => hub,
            Err(message) => return refuse(&message),
        };
        for warning in config::warnings(config) {
            tracing::warn!("{warning}");
        }
        let channel_presence = match presence::open_channels(config).await {
            Ok(presence) => presence,
            Err(message) => return refuse(&message),
        };
        let presence_of_hub = channel_presence.clone();
        let hub = hub::start(
            hub,
            settings(config),
            &budget,
            presence_of_hub,
            data.as_ref(),
        );
        let hub = match hub {
            Ok(hub) => hub,
            Err(message) => return refuse(&message),
        };
        let channel_log = hub.log.clone();
        let readiness = readiness(&chat, &presence, channel_log.as_ref());
        let transports = hub.transports.clone();
        let node = hub.node.clone();
        let metrics = Metrics::new(config, &hub, &budget);
        let parts = Parts {
            key: key.clone(),
            chat,
            presence: presence.clone(),
            hub,
            readiness: readiness.clone(),
            budget,
            metrics: metrics.clone(),
        };
        let server = match add_listeners(Server::unbound(), &loaded, passed, tls.as_ref()) {
            Ok(server) => server,
            Err(message) => return refuse(&message),
        };
        let live = welcome::Live::new(public_origin(config), node);
        let started = start(server, config, parts, &live);
        let server = match started.await {
            Ok(server) => Arc::new(server),
            Err(message) => return refuse(&message),
        };
        metrics.watch(&server);
        let status = notify::serving_status(&server);
        let file = loaded.file.clone();
        let reloader = Reloader::new(
            args,
            loaded,
            tls,
            log,
            Arc::clone(&notifier),
            status.clone(),
        );
        tokio::spawn(reloader.run(hang_ups));
        print_served(config, file.as_deref(), &key, &server);
        notifier.ready(&status);
        tokio::spawn(notify::feed_watchdog(
            Arc::clone(&notifier),
            readiness.clone(),
        ));
        let failure = tokio::select! {
            () = signals.recv() => None,
            failure = server.failed() => Some(failure),
            never = live.report(&server) => match never {},
        };
        readiness.end();
        notifier.stopping("stopping");
        if let Some(failure) = &failure {
            // A supervisor such as systemd restarts the process, which is better than half a server.
            notices.fail(&format!("{failure}, stopping"));
        }
        if notice(config, &server, notices, &mut signals).await == Patience::Left {
            // Clients that follow the changes would delay the drain.
            presence.end_changes();
            transports.shut_down();
            drain(config, &server, notices, &notifier, &mut signals).await;
        }
        presence.close().await;
        if let Some(channel_presence) = channel_presence {
            channel_presence.close().await;
        }
        if let Some(log) = channel_log {
            log.close();
        }
        match failure {
            None => ExitCode::SUCCESS,
            Some(_) => ExitCode::FAILURE,
        }
    })
}

/// Creates the readiness check of the chat, of presence, and of the channels' log.
fn readiness(chat: &Chat, presence: &Presence, log: Option<&LogBroker>) -> Readiness {
    let (chat, presence) = (chat.clone(), presence.clone());
    let readiness = Readiness::default()
        .with(move || chat.failure())
        .with(move || presence.failure());
    match log {
        Some(log) => readiness.with_log(log),
        None => readiness,
    }
}

/// What a server is made of, beside its configuration.
struct Parts {
    key: api::Key,
    chat: Chat,
    presence: Presence,
    hub: Hub,
    readiness: Readiness,
    budget: MemoryBudget,
    metrics: Metrics,
}

/// Mounts the routes on `server`, and starts it.
async fn start(
    server: Server,
    config: &Config,
    parts: Parts,
    live: &welcome::Live,
) -> Result<ServerHandle, String> {
    let Parts {
        key,
        chat,
        presence,
        hub,
        readiness,
        budget,
        metrics,
    } = parts;
    let trusted = config.trusted_proxies.iter();
    let mut server = server.trusted_proxies(trusted.map(|proxy| &proxy.0));
    let connections = ConnectionLog::new(config.log_connections, live.received());
    let chat_paths = chat_paths(config);
    let rates = AddressRates::new(config);
    for path in &chat_paths {
        let limits = settings(config).limits;
        server = server.mount(chat.route(&connections, path, limits, rates.clone()));
    }
    let login = Login::new(
        Arc::new(chat.clone()),
        chat.limits().name_chars_max,
        config.login_lifetime.0,
        rates.clone(),
        public_origin(config),
    );
    server = server.mount(login.route(&connections, config.own_origins(), settings(config).limits));
    server = server.mount(live.route(&connections, config.own_origins(), settings(config).limits));
    server = hub.routes.into_iter().fold(server, Server::mount);
    let limits = settings(config).limits;
    let sockjs_chat = chat.route(&connections, SOCKJS_CHAT, limits, rates.clone());
    let room = Group::new();
    let sockjs_routes = sockjs_endpoints(config, &connections, &presence, &room);
    for route in sockjs_routes
        .into_iter()
        .chain([sockjs_chat, hub.sockjs_route])
    {
        server = server.mount_sockjs(sockjs::mount(config, route));
    }
    server = socketio::mount(server, hub.socketio);
    for (path, route) in endpoints(config, &connections, &presence, &room) {
        // A path that was given to the chat takes precedence.
        if !chat_paths.contains(&path) {
            server = server.mount(open_to_all_pages(config, route));
        }
    }
    let others = api::router(
        key.clone(),
        rates.clone(),
        &presence,
        metrics.orders(hub.node),
    )
    .merge(chat.router(rates.clone()))
    .merge(login.router())
    .merge(hub.transports.router())
    .merge(metrics.router(config, key, &rates))
    .route("/health/ready", readiness.route());
    let workers = config.workers.map(|workers| workers.0 as usize);
    server = workers.into_iter().fold(server, Server::workers);
    server
        .settings(settings(config))
        .memory_budget(budget)
        .connections_max(config.connections_max.0 as usize)
        .connections_reserve(config.connections_reserve.0 as usize)
        .http(http_settings(config))
        .address_limits(address_rates::limits(config))
        .fallback(pages(config, others).layer(middleware::from_fn_with_state(rates, limit_posts)))
        .start()
        .await
        .map_err(|error| error.report().to_string())
}

/// Has pages of any origin use an endpoint that trusts any name and protects nothing.
fn open_to_all_pages(config: &Config, route: Route) -> Route {
    let route = route.origins(Origins::Any);
    match config.app_heartbeat {
        Switch::On => route.app_heartbeat(AppHeartbeat::default()),
        Switch::Off => route,
    }
}

/// Returns the endpoints that are open to all. A client that the request names is online while its session is open.
fn endpoints(
    config: &Config,
    connections: &ConnectionLog,
    presence: &Presence,
    room: &Group,
) -> [(&'static str, Route); 3] {
    let root = connections.route("/", move |_| Ok(Echo));
    // Conformance suites use /echo, and send larger messages than other endpoints allow.
    let mut limits = settings(config).limits;
    limits.message_bytes_max = config.echo_message_bytes_max.0;
    let echo = echo_route(connections, "/echo", presence).limits(limits);
    let room = room_route(connections, "/websocket/ws", presence, room);
    [("/", root), ("/echo", echo), ("/websocket/ws", room)]
}

/// Returns those that clients reach by SockJS.
fn sockjs_endpoints(
    config: &Config,
    connections: &ConnectionLog,
    presence: &Presence,
    room: &Group,
) -> [Route; 2] {
    [
        echo_route(connections, SOCKJS_ECHO, presence),
        room_route(connections, SOCKJS_ROOM, presence, room),
    ]
    .map(|route| open_to_all_pages(config, route))
}

fn echo_route(connections: &ConnectionLog, path: &str, presence: &Presence) -> Route {
    let presence = presence.clone();
    let route = connections.route(path, move |_| Ok(Tracked::new(Echo, &presence, "echo")));
    route.identify(presence::by_name())
}

fn room_route(connections: &ConnectionLog, path: &str, presence: &Presence, room: &Group) -> Route {
    let (presence, room) = (presence.clone(), room.clone());
    let route = connections.route(path, move |_| {
        Ok(Tracked::new(RoomMember(room.clone()), &presence, "room"))
    });
    route.identify(presence::by_name())
}

/// Starts the chat. It stores messages below `data`, or in memory.
fn chat(
    config: &Config,
    data: Option<&DataDir>,
    presence: &Presence,
    budget: &MemoryBudget,
) -> Result<Chat, String> {
    let tokens = match &config.chat_token {
        Some(token) => Tokens::exactly(&token.0),
        None => Tokens::any(),
    };
    Chat::start(
        data.map(DataDir::path),
        chat_limits(config, data),
        tokens,
        presence.clone(),
        budget,
    )
}

/// Returns the chat's limits. They are higher with a data directory, since a disk has more room than memory.
fn chat_limits(config: &Config, data: Option<&DataDir>) -> chat::Limits {
    let mut limits = chat::Limits::default();
    if data.is_some() {
        limits.history_bytes_max = 64 << 20;
        limits.queued_bytes_max = 32 << 20;
    }
    if let Some(bytes) = &config.chat_history_bytes_max {
        limits.history_bytes_max = bytes.0 as u64;
    }
    if let Some(bytes) = &config.chat_queued_bytes_max {
        limits.queued_bytes_max = bytes.0 as u64;
    }
    limits
}

/// Returns the router of plain HTTP, with the routes of `others`.
fn pages(config: &Config, others: Router) -> Router {
    let page = welcome::page(
        config.echo_message_bytes_max.0,
        &config.transports.websocket.handler_prefix.0,
        hub_access(config),
    );
    let chat_page = chat::page(chat_path(config));
    let not_found = NotFound::new(&["/chat", "/login", "/login/confirm"], switched_off(config));
    let pages = Router::new()
        .route(
            "/",
            routing::get(move |info: RequestInfo, headers: HeaderMap| async move {
                welcome::respond(&page, &info, &headers)
            }),
        )
        .route("/favicon.ico", routing::get(welcome::icon))
        .route(
            "/chat",
            routing::get(move |headers: HeaderMap| async move { chat_page.respond(&headers) }),
        )
        .route("/health/live", routing::get(|| async { "live\n" }))
        .route("/echo", routing::get(upgrade_required))
        .route("/websocket/ws", routing::get(upgrade_required))
        .merge(others)
        .fallback(
            move |request: axum::extract::Request| async move { not_found.respond(&request) },
        );
    match config.hsts {
        Switch::On => hsts::protect(pages),
        Switch::Off => pages,
    }
}

/// Returns what the welcome page can do at the hub.
fn hub_access(config: &Config) -> HubAccess {
    let is_on = |switch: Switch| switch == Switch::On;
    if is_on(config.dev) || is_on(config.client.insecure) {
        HubAccess::Everybody
    } else if is_on(config.client.allow_anonymous_connect_without_token) {
        HubAccess::Anonymous
    } else {
        HubAccess::Token
    }
}

/// Returns the address of this server for phones, if it is configured.
fn public_origin(config: &Config) -> Option<&str> {
    config.public_url.as_ref().map(|url| url.0.as_str())
}

/// Returns the path that the chat's own page uses: `/chat` if it is among the chat's paths, else the first.
fn chat_path(config: &Config) -> &str {
    let paths = chat_paths(config);
    let own = paths.iter().find(|path| **path == "/chat");
    own.or(paths.first()).copied().unwrap_or("/chat")
}

fn http_settings(config: &Config) -> HttpSettings {
    let mut http = HttpSettings::default();
    http.body_bytes_max = config.http.body_bytes_max.0 as u64;
    http.body_timeout = config.http.body_timeout.0;
    http.body_time_max = config.http.body_time_max.0;
    http.keepalive_timeout = config.http.keepalive_timeout.0;
    let send_timeout = config.http.send_timeout.map(|period| period.0);
    http.send_timeout = send_timeout
        .or(config.progress_timeout.0)
        .unwrap_or(http.send_timeout);
    http
}

fn settings(config: &Config) -> Settings {
    let mut limits = Limits::default();
    limits.head_bytes_max = config.head_bytes_max.0;
    limits.message_bytes_max = config.message_bytes_max.0;
    limits.fragments_max = config.fragments_max.map(|count| count.0);
    limits.message_timeout = config.message_timeout.0.unwrap_or(Duration::MAX);
    limits.message_rate_min = u32::try_from(config.message_rate_min.0).unwrap_or(u32::MAX);
    limits.handshake_timeout = config.handshake_timeout.0;
    limits.close_timeout = config.close_timeout.0;
    let mut settings = Settings::default();
    settings.limits = limits;
    settings.outbox_bytes_max = config.outbox_bytes_max.0;
    settings.deflate = (config.deflate == Switch::On).then(Deflate::default);
    settings.heartbeat = config.heartbeat_interval.0.map(|interval| {
        let timeout = config.heartbeat_timeout.0.unwrap_or(Duration::MAX);
        HeartbeatConfig::new(interval, timeout)
    });
    if config.busy_poll == Switch::Off {
        settings.busy_poll = Duration::ZERO;
    }
    settings.idle_timeout = config.idle_timeout.0;
    settings.progress_timeout = config.progress_timeout.0;
    settings.lifetime = config.lifetime_max.0.map(|max| Lifetime {
        max,
        spread: config.lifetime_spread.0.unwrap_or_default(),
    });
    settings
}

fn memory_budget(config: &Config) -> MemoryBudget {
    let budget = match config.memory_max {
        MemoryMax::Auto => MemoryBudget::of_process(),
        MemoryMax::Bytes(bytes_max) => MemoryBudget::new(bytes_max),
    };
    tracing::debug!(
        bytes_max = budget.bytes_max(),
        "memory for what clients make grow"
    );
    budget
}

/// Whether the server ends with a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Left,
    Lost,
}

/// Keeps serving for `drain.notice`, while `/health/ready` answers 503.
async fn notice(
    config: &Config,
    server: &ServerHandle,
    notices: Notices,
    signals: &mut Signals,
) -> Patience {
    if config.drain.notice.0.is_zero() {
        return Patience::Left;
    }
    let delay = config.drain.notice.0;
    notices.say(
        &format!("not ready any more, draining in {delay:?}"),
        "not ready any more",
        json!({ "draining_in_ms": delay.as_millis() as u64 }),
    );
    tokio::select! {
        () = tokio::time::sleep(config.drain.notice.0) => Patience::Left,
        () = signals.recv() => {
            stopped_at_once(notices, server);
            Patience::Lost
        }
    }
}

/// Drains the server, prints how many sessions remain, and reports the result. A second signal ends the drain at once.
async fn drain(
    config: &Config,
    server: &ServerHandle,
    notices: Notices,
    notifier: &Notifier,
    signals: &mut Signals,
) {
    let mut drain = Drain::default();
    drain.per_second = config.drain.rate.0;
    drain.timeout = config.drain.timeout.0;
    drain.code = CloseCode::SERVICE_RESTART;
    drain.reason = "restart".to_owned();
    drain.retry = Some(Retry {
        after: config.drain.retry_after.0,
        spread: config.drain.retry_spread.0,
    });
    let open = server.sessions();
    notifier.status(&format!("draining, {open} open"));
    notices.say(
        &format!("draining, {open} open"),
        "draining",
        json!({ "open": open }),
    );
    let mut progress = tokio::time::interval(PROGRESS_INTERVAL);
    progress.tick().await;
    let mut drained = std::pin::pin!(server.drain(drain));
    loop {
        tokio::select! {
            report = &mut drained => return say_drained(notices, &report),
            _ = progress.tick() => {
                let open = server.sessions();
                let text = format!("draining, {open} remain");
                notifier.status(&text);
                notices.say(&text, "draining", json!({ "open": open }));
            }
            () = signals.recv() => return stopped_at_once(notices, server),
        }
    }
}

fn stopped_at_once(notices: Notices, server: &ServerHandle) {
    let open = server.sessions();
    notices.say(
        &format!("stopped at once, {open} cut off"),
        "stopped at once",
        json!({ "cut_off": open }),
    );
}

fn say_drained(notices: Notices, report: &DrainReport) {
    let (closed, timed_out, aborted) = (report.closed, report.timed_out, report.aborted);
    notices.say(
        &format!("drained, {closed} closed, {timed_out} timed out, {aborted} aborted"),
        "drained",
        json!({ "closed": closed, "timed_out": timed_out, "aborted": aborted }),
    );
}

/// Time between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
