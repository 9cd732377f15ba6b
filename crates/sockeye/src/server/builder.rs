//! The builder of a server.

use std::{fmt, num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

#[cfg(feature = "axum")]
use axum::{body::Body, response::IntoResponse};
use tokio::sync::watch;
#[cfg(feature = "axum")]
use tower_service::Service;

#[cfg(feature = "engineio")]
use crate::server::engineio::{EngineIo, EngineIoMounts};
#[cfg(feature = "axum")]
use crate::server::fallback::Fallback;
#[cfg(feature = "socketio")]
use crate::server::socketio::SocketIo;
#[cfg(feature = "sockjs")]
use crate::server::sockjs::{SockJs, SockJsMounts};
use crate::{
    connection::Connections,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    handshake::{Refusal, Request},
    memory::MemoryBudget,
    server::{
        bindings::Bindings,
        bodies::Bodies,
        failure::Failure,
        first_request::Preface,
        handle::ServerHandle,
        http_settings::HttpSettings,
        listen::{Listen, ListenPlace, UnixListen},
        listening::ListeningSocket,
        registry::Registry,
        route::{AddressLimits, Addresses, Route, Routes, TrustedProxies},
        shared::{LogLimits, Phase, ServerShared},
        worker,
    },
    settings::Settings,
    tls::ServerTls,
};

/// A WebSocket server: where it listens, which routes it has, and what answers plain HTTP.
///
/// ```no_run
/// use sockeye::{Endpoint, Message, Reply, Server, Session};
///
/// struct Echo;
///
/// impl Endpoint for Echo {
///     fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
///         Reply::Echo
///     }
/// }
///
/// # async fn example() -> Result<(), sockeye::Error> {
/// Server::bind("127.0.0.1:8080").route("/echo", |_request| Ok(Echo)).serve().await
/// # }
/// ```
#[must_use = "a server does nothing until it is started"]
pub struct Server {
    listens: Vec<Listen>,
    routes: Vec<Route>,
    #[cfg(feature = "sockjs")]
    sockjs: Vec<SockJs>,
    #[cfg(feature = "engineio")]
    engineio: Vec<EngineIo>,
    #[cfg(feature = "axum")]
    fallback: Option<Fallback>,
    settings: Settings,
    memory_budget: Option<MemoryBudget>,
    tcp_keepalive: Option<Duration>,
    connections_max: usize,
    connections_reserve: usize,
    http: HttpSettings,
    workers: NonZero<usize>,
    trusted_proxies: Vec<String>,
    address_limits: AddressLimits,
}

impl Server {
    /// Creates a server that listens on `addr`: an address or a name with a port, such as `127.0.0.1:8080`. A name
    /// that has several addresses, such as `localhost`, stands for all of them. Port 0 takes a free port;
    /// [`ServerHandle::local_addrs`] returns it.
    ///
    /// Nothing is bound before [`Server::start`].
    pub fn bind(addr: impl ToString) -> Self {
        Self::unbound().listen(addr)
    }

    /// Creates a server that listens on a Unix socket: a path, or a [`UnixListen`] with its options.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// # struct Echo;
    /// # impl sockeye::Endpoint for Echo {
    /// #     fn on_message(&mut self, _: &sockeye::Session, _: sockeye::Message<'_>) -> sockeye::Reply {
    /// #         sockeye::Reply::Echo
    /// #     }
    /// # }
    /// use sockeye::Server;
    ///
    /// Server::bind_unix("/run/feed.sock").route("/echo", |_request| Ok(Echo)).serve().await
    /// # }
    /// ```
    pub fn bind_unix(socket: impl Into<UnixListen>) -> Self {
        Self::unbound().listen_unix(socket)
    }

    /// Creates a server without an address. It gets its connections from [`ServerHandle::accept`], or from the
    /// addresses that [`Server::listen`] and its siblings add.
    pub fn unbound() -> Self {
        Self {
            listens: Vec::new(),
            routes: Vec::new(),
            #[cfg(feature = "sockjs")]
            sockjs: Vec::new(),
            #[cfg(feature = "engineio")]
            engineio: Vec::new(),
            #[cfg(feature = "axum")]
            fallback: None,
            settings: Settings::default(),
            memory_budget: None,
            tcp_keepalive: Some(TCP_KEEPALIVE),
            connections_max: CONNECTIONS_MAX,
            connections_reserve: CONNECTIONS_RESERVE,
            http: HttpSettings::default(),
            workers: available_parallelism().unwrap_or(NonZero::<usize>::MIN),
            trusted_proxies: Vec::new(),
            address_limits: AddressLimits::default(),
        }
    }

    /// Adds an address without TLS. HTTP/2 is served there by prior knowledge (RFC 9113 section 3.3).
    pub fn listen(mut self, addr: impl ToString) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Address(addr.to_string()),
            tls: None,
            preface: Preface::Nothing,
        });
        self
    }

    /// Adds a Unix socket: a path, a socket that listens already, or a [`UnixListen`] with its options. Workers accept on
    /// it as on TCP.
    pub fn listen_unix(mut self, socket: impl Into<UnixListen>) -> Self {
        self.listens.push(socket.into().into_listen());
        self
    }

    /// Adds a socket that listens already, without TLS: one from the service manager (socket activation), one that was
    /// bound before the process gave up its privileges, or one with options of the program's own.
    ///
    /// When the server stops accepting it closes its descriptors of the socket, but doesn't shut the socket down, because
    /// somebody else may go on to listen on it. An error of the socket is reported by [`Server::start`], of kind `Io`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = std::net::TcpListener::bind("127.0.0.1:8080")?;
    /// let server = sockeye::Server::unbound().listener(listener).start().await?;
    /// # Ok(()) }
    /// ```
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Socket(Arc::new(ListeningSocket::Tcp(listener))),
            tls: None,
            preface: Preface::Nothing,
        });
        self
    }

    /// Adds a socket that listens already, with TLS: see [`Server::listener`]. HTTP/2 is offered there by ALPN.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn listener_tls(mut self, listener: std::net::TcpListener, tls: ServerTls) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Socket(Arc::new(ListeningSocket::Tcp(listener))),
            tls: Some(tls),
            preface: Preface::Nothing,
        });
        self
    }

    /// Adds a socket that listens already, where each connection begins with the header of the PROXY protocol: see
    /// [`Server::listener`] and [`Server::listen_behind_proxy`].
    pub fn listener_behind_proxy(
        mut self,
        listener: std::net::TcpListener,
        tls: Option<ServerTls>,
    ) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Socket(Arc::new(ListeningSocket::Tcp(listener))),
            tls,
            preface: Preface::ProxyHead,
        });
        self
    }

    /// Adds an address with TLS. HTTP/2 is offered there by ALPN, with the feature `http2`.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn listen_tls(mut self, addr: impl ToString, tls: ServerTls) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Address(addr.to_string()),
            tls: Some(tls),
            preface: Preface::Nothing,
        });
        self
    }

    /// Adds an address to which only a proxy connects, which sends the head of the PROXY protocol first, version 1 or
    /// 2. With `tls`, TLS follows that head. [`Request::peer_addr`] is then the address that the proxy names, or the
    /// proxy's own if the proxy connects for itself.
    ///
    /// The server closes a connection that begins with anything else. Only the proxy may be able to reach this
    /// address: any other peer that reaches it could claim any address.
    pub fn listen_behind_proxy(mut self, addr: impl ToString, tls: Option<ServerTls>) -> Self {
        self.listens.push(Listen {
            place: ListenPlace::Address(addr.to_string()),
            tls,
            preface: Preface::ProxyHead,
        });
        self
    }

    /// Sets the addresses (`127.0.0.1`) and ranges (`10.0.0.0/8`, `fd00::/8`) of proxies whose forwarding fields the
    /// server believes. `unix:` stands for every peer without an address: those of Unix sockets, and the streams that are
    /// passed to [`ServerHandle::accept`] without one. Default: none.
    ///
    /// A request from such a proxy may name its client in `Forwarded` (RFC 7239) or `X-Forwarded-For`; the result is
    /// [`Request::client_addr`]. The server follows a chain of proxies back to the first address outside these
    /// networks. `proto` and `host`, or `X-Forwarded-Proto` and `X-Forwarded-Host`, say what the browser has asked
    /// for, which [`crate::Origins::Same`] compares. All of it is in [`crate::RequestInfo`], for plain requests too.
    ///
    /// The proxy must set or remove these fields itself; otherwise its clients can write there what they like. If
    /// `Forwarded` and the `X-Forwarded-…` fields disagree, or the part that a trusted proxy has written is
    /// malformed, the server believes none of them: the client's address is then the proxy's own, and the server logs
    /// a warning.
    ///
    /// # Errors
    ///
    /// [`Server::start`] fails with kind `Config` if an entry is neither an address, nor a range, nor `unix:`.
    pub fn trusted_proxies<I>(mut self, cidrs: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.trusted_proxies = cidrs.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a route to endpoints. This is short for [`Server::mount`] of [`Route::new`].
    pub fn route<F, E>(self, path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        self.mount(Route::new(path, factory))
    }

    /// Adds a route.
    pub fn mount(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Adds endpoints that clients reach by SockJS, also where WebSocket is missing. This is short for
    /// [`Server::mount_sockjs`] of [`SockJs::endpoint`].
    #[cfg(feature = "sockjs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sockjs")))]
    pub fn sockjs<F, E>(self, path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        self.mount_sockjs(SockJs::endpoint(path, factory))
    }

    /// Adds a route that clients reach by SockJS. All paths below the route's own belong to it, and no request there gets
    /// to the fallback.
    #[cfg(feature = "sockjs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sockjs")))]
    pub fn mount_sockjs(mut self, sockjs: SockJs) -> Self {
        self.sockjs.push(sockjs);
        self
    }

    /// Adds endpoints that clients reach by Engine.IO 4. This is short for [`Server::mount_engineio`] of [`EngineIo::endpoint`].
    #[cfg(feature = "engineio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "engineio")))]
    pub fn engineio<F, E>(self, path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        self.mount_engineio(EngineIo::endpoint(path, factory))
    }

    /// Adds a route that clients reach by Engine.IO 4. Plain requests and WebSockets on its path belong to it, with and without a
    /// final slash.
    #[cfg(feature = "engineio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "engineio")))]
    pub fn mount_engineio(mut self, engineio: EngineIo) -> Self {
        self.engineio.push(engineio);
        self
    }

    /// Adds namespaces that clients reach by Socket.IO 5, from pages of the same origin. This is short for
    /// [`Server::mount_engineio`] of [`SocketIo::mount`], which also says who may connect.
    #[cfg(feature = "socketio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "socketio")))]
    pub fn socketio(self, path: impl Into<String>, socketio: SocketIo) -> Self {
        self.mount_engineio(socketio.mount(path, |route| route))
    }

    /// Sets the service that answers requests which don't ask for a WebSocket: an [`axum::Router`], or any tower service,
    /// with its layers. Default: the server answers them with 404.
    ///
    /// Each request gets a clone of the service, once that is ready. If the service fails, the answer is 500 and the error
    /// is logged. A handler can extract [`crate::RequestInfo`], which has the client's address and the scheme and host that
    /// the client has asked for. The peer's own address is available as axum's `ConnectInfo<SocketAddr>`.
    ///
    /// Layers don't see the requests of WebSockets: those are read and answered by the workers without a task, and most
    /// without memory of their own. What a layer would do there, [`Route::identify`] and [`Route::authorize`] do. For
    /// WebSockets behind layers, serve the router with axum itself: [`crate::upgrade`].
    ///
    /// ```no_run
    /// use axum::{Router, routing::get};
    ///
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// let pages = Router::new().route("/", get(|| async { "hello" }));
    /// sockeye::Server::bind("127.0.0.1:8080").fallback(pages).serve().await
    /// # }
    /// ```
    #[cfg(feature = "axum")]
    #[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
    pub fn fallback<S>(mut self, service: S) -> Self
    where
        S: Service<http::Request<Body>> + Clone + Send + Sync + 'static,
        S::Response: IntoResponse,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send,
    {
        self.fallback = Some(Fallback::new(service));
        self
    }

    /// Sets how WebSockets are run, unless their route has settings of its own. The limits of the handshake are
    /// always taken from here, because the route is not known before it. Default: [`Settings::default`].
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Charges everything that peers can make grow to `budget`: the connections of every route, whatever its own
    /// settings say. Default: the budget in the settings, which is [`MemoryBudget::of_process`].
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.memory_budget = Some(budget);
        self
    }

    /// Sets how many connections of any kind may be open at the same time. Beyond that the server answers WebSockets
    /// with 503, and plain requests out of the [reserve](Self::connections_reserve). Each WebSocket on an HTTP/2
    /// connection counts, except the first, which the connection itself stands for. Default 65,536.
    pub fn connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Sets how many connections beyond [`Server::connections_max`] the server still accepts for plain requests, so
    /// that a health check can tell a full server from a dead one. The server closes each of them after its answer,
    /// or over HTTP/2 after [`crate::Limits::handshake_timeout`]. A WebSocket gets 503 with `Retry-After` there. The
    /// server closes further connections without an answer. Default 64.
    pub fn connections_reserve(mut self, connections_reserve: usize) -> Self {
        self.connections_reserve = connections_reserve;
        self
    }

    /// Sets how long plain HTTP may take and how much it may send. Default: see [`HttpSettings`].
    pub fn http(mut self, http: HttpSettings) -> Self {
        self.http = http;
        self
    }

    /// Sets what one client address may take of the server. Default: see [`AddressLimits`].
    pub fn address_limits(mut self, limits: AddressLimits) -> Self {
        self.address_limits = limits;
        self
    }

    /// Sets after how long a silence the kernel probes a TCP connection, and the time between two probes. `None`
    /// turns probes off. Default 60 s.
    pub fn tcp_keepalive(mut self, time: Option<Duration>) -> Self {
        self.tcp_keepalive = time;
        self
    }

    /// Sets the number of worker threads. Each runs one readiness loop, which carries the WebSockets of endpoints. 0
    /// counts as 1. Default: one for each core that this process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = NonZero::new(workers).unwrap_or(NonZero::<usize>::MIN);
        self
    }

    /// Binds all addresses and begins to serve. Workers are threads of their own; everything else runs in tasks of
    /// the runtime in which the caller is.
    ///
    /// # Errors
    ///
    /// Kind `Config` for a malformed or duplicate route, a malformed address range, a subprotocol that is not a token
    /// and an origin that is not one; kind `Resolve` or `Io` for an address on which the server can't listen. After
    /// an error nothing is served.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with I/O and time enabled.
    pub async fn start(mut self) -> Result<ServerHandle, Error> {
        self.charge_to_budget();
        #[cfg_attr(
            not(any(feature = "sockjs", feature = "engineio")),
            expect(unused_mut, reason = "SockJS and Engine.IO add some")
        )]
        let mut routes = Routes::new(self.routes, &self.settings)?;
        #[cfg(feature = "sockjs")]
        let sockjs = SockJsMounts::new(self.sockjs, &self.settings, &mut routes)?;
        #[cfg(feature = "engineio")]
        let engineio = EngineIoMounts::new(self.engineio, &self.settings, &mut routes)?;
        let trusted_proxies = TrustedProxies::parse(&self.trusted_proxies)?;
        let addresses = Addresses::new(self.address_limits)?;
        let (workers, idle_workers) = worker::prepare(self.workers).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot set up the workers").with_source(error)
        })?;
        let Bindings {
            listening,
            listeners,
            acceptors,
            local_addrs,
            unix_paths,
        } = Bindings::bind(self.listens, self.workers, self.tcp_keepalive).await?;
        let bodies = Bodies::of_budget(&self.settings.memory_budget);
        let shared = Arc::new(ServerShared {
            bodies,
            routes,
            trusted_proxies,
            log_limits: LogLimits::default(),
            #[cfg(feature = "sockjs")]
            sockjs,
            #[cfg(feature = "engineio")]
            engineio,
            #[cfg(feature = "axum")]
            fallback: self.fallback,
            settings: self.settings,
            tcp_keepalive: self.tcp_keepalive,
            connections_max: self.connections_max,
            connections: Connections::new(addresses.table()),
            addresses,
            overflow: Connections::default(),
            reserve: Connections::default(),
            reserve_max: self.connections_reserve,
            http: self.http,
            registry: Arc::new(Registry::default()),
            phase: watch::Sender::new(Phase::Serving),
            listening,
            workers,
            failure: Failure::default(),
        });
        // From here on the workers end once every handle of the server is dropped.
        let handle = ServerHandle::new(Arc::clone(&shared), local_addrs, unix_paths);
        worker::begin(idle_workers, acceptors, &shared).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot start the workers").with_source(error)
        })?;
        for listener in listeners {
            let accepting = tokio::spawn(listener.run(Arc::clone(&shared)));
            let watched = Arc::clone(&shared);
            tokio::spawn(async move {
                if accepting.await.is_err_and(|error| error.is_panic()) {
                    watched.failure.report("a listener has panicked");
                }
            });
        }
        Ok(handle)
    }

    /// Charges the connections of all routes to the server's own budget, if it has one.
    fn charge_to_budget(&mut self) {
        let Some(budget) = self.memory_budget.take() else {
            return;
        };
        for route in &mut self.routes {
            route.charge_to(&budget);
        }
        #[cfg(feature = "sockjs")]
        for sockjs in &mut self.sockjs {
            sockjs.charge_to(&budget);
        }
        #[cfg(feature = "engineio")]
        for engineio in &mut self.engineio {
            engineio.charge_to(&budget);
        }
        self.settings.memory_budget = budget;
    }

    /// Starts the server and serves until the future is dropped.
    ///
    /// # Errors
    ///
    /// The errors of [`Server::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the server; [`ServerHandle`] says how. To drain a server, use [`Server::start`] and
    /// [`ServerHandle::drain`].
    pub async fn serve(self) -> Result<(), Error> {
        let handle = self.start().await?;
        handle.ended().await;
        Ok(())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listens", &self.listens)
            .field("routes", &self.routes)
            .field("settings", &self.settings)
            .field("connections_max", &self.connections_max)
            .field("connections_reserve", &self.connections_reserve)
            .field("http", &self.http)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

/// The kernel's own default is two hours, by which time every NAT has forgotten the connection.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// More than the descriptors that a process usually gets. So the machine's limit counts unless the program chooses
/// one, and there is a number all the same.
const CONNECTIONS_MAX: usize = 65_536;

/// Connections. Enough for health checks and for the operator of a full server, and too few to be worth an attack.
const CONNECTIONS_RESERVE: usize = 64;
