//! The server, before it runs.

use std::{fmt, num::NonZero, sync::Arc, thread::available_parallelism, time::Duration};

use tokio::sync::watch;

use crate::{
    connection::Connections,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    handshake::{Refusal, Request},
    memory::MemoryBudget,
    server::{
        failure::Failure,
        first_request::{Preface, Ways},
        handle::ServerHandle,
        http_settings::HttpSettings,
        listen::{Bound, Listen, Listener},
        listening::Listening,
        registry::Registry,
        route::{AddressLimits, Addresses, Route, Routes, TrustedProxies},
        shared::{LogLimits, Phase, ServerShared},
        worker::{self, Acceptor},
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
    fallback: Option<axum::Router>,
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
    /// A server that will listen on `addr`: an address or name with a port, such as
    /// `127.0.0.1:8080`. Of a name that has several addresses, such as `localhost`, all are taken.
    /// Port 0 means any free one; [`ServerHandle::local_addrs`] tells which.
    pub fn bind(addr: impl ToString) -> Self {
        Self::unbound().listen(addr)
    }

    /// A server that has no address yet.
    pub fn unbound() -> Self {
        Self {
            listens: Vec::new(),
            routes: Vec::new(),
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

    /// One more address, without TLS.
    pub fn listen(mut self, addr: impl ToString) -> Self {
        self.listens.push(Listen {
            addr: addr.to_string(),
            tls: None,
            preface: Preface::Nothing,
        });
        self
    }

    /// One more address, with TLS. HTTP/2 is offered there.
    pub fn listen_tls(mut self, addr: impl ToString, tls: ServerTls) -> Self {
        self.listens.push(Listen {
            addr: addr.to_string(),
            tls: Some(tls),
            preface: Preface::Nothing,
        });
        self
    }

    /// One more address, to which a proxy connects that says first for whom: the PROXY protocol, version 1 or
    /// 2, with TLS behind it if there is `tls`. [`Request::peer_addr`] is then the address that the proxy
    /// names, or the proxy's own when it speaks for itself.
    ///
    /// A connection that doesn't begin so is closed: nobody else may reach this address, since whoever does
    /// can name any address.
    pub fn listen_behind_proxy(mut self, addr: impl ToString, tls: Option<ServerTls>) -> Self {
        self.listens.push(Listen {
            addr: addr.to_string(),
            tls,
            preface: Preface::ProxyHead,
        });
        self
    }

    /// Networks whose word about others is taken: addresses (`127.0.0.1`) or ranges (`10.0.0.0/8`, `fd00::/8`).
    /// Default none.
    ///
    /// What comes from there may say by `Forwarded` (RFC 7239) or `X-Forwarded-For` for whom it comes:
    /// [`Request::client_addr`]. Several proxies in a row are followed back to the first address that isn't
    /// in these networks. By `proto` and `host`, or `X-Forwarded-Proto` and `X-Forwarded-Host`, they say what
    /// a browser has asked for, which [`crate::Origins::Same`] compares. All of it is in [`crate::RequestInfo`],
    /// of plain requests too.
    ///
    /// The proxy must set or remove these fields itself, or its peers can write there what they like. If
    /// `Forwarded` and the others disagree, or one of them is malformed where a proxy's word should stand,
    /// none of them is believed: the client's address is the proxy's own then, and a warning is logged.
    pub fn trusted_proxies<I>(mut self, cidrs: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.trusted_proxies = cidrs.into_iter().map(Into::into).collect();
        self
    }

    /// One more route to endpoints: short for [`Server::mount`] of [`Route::new`].
    pub fn route<F, E>(self, path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        self.mount(Route::new(path, factory))
    }

    /// One more route.
    pub fn mount(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// What answers requests that are not a WebSocket's. Default: 404.
    ///
    /// Handlers take [`crate::RequestInfo`] for the client's address and for the scheme and host that it has asked for.
    /// The peer's own address is there as axum's `ConnectInfo<SocketAddr>`.
    pub fn fallback(mut self, router: axum::Router) -> Self {
        self.fallback = Some(router);
        self
    }

    /// How connections are run, unless their route says otherwise. The limits of the handshake are
    /// always taken from here.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What all that peers can make grow is charged to: connections of every route, whatever its own settings say.
    /// Default: as the settings say, [`MemoryBudget::of_process`].
    pub fn memory_budget(mut self, budget: MemoryBudget) -> Self {
        self.memory_budget = Some(budget);
        self
    }

    /// Connections, of whatever kind, at the same time. Beyond that WebSockets are answered with 503, and
    /// plain requests out of the [reserve](Self::connections_reserve). Over HTTP/2 each WebSocket of a
    /// connection counts but the first, which the connection stands for. Default 65,536.
    pub fn connections_max(mut self, connections_max: usize) -> Self {
        self.connections_max = connections_max;
        self
    }

    /// Connections beyond [`Server::connections_max`] in which plain requests are answered still, so that a
    /// full server can be told from a dead one; each is closed after its answer, or
    /// after [`crate::Limits::handshake_timeout`] over HTTP/2. A WebSocket gets 503 there,
    /// with `Retry-After`. Beyond that connections are closed without a word. Default 64.
    pub fn connections_reserve(mut self, connections_reserve: usize) -> Self {
        self.connections_reserve = connections_reserve;
        self
    }

    /// How long plain HTTP may take, and how much it may send.
    pub fn http(mut self, http: HttpSettings) -> Self {
        self.http = http;
        self
    }

    /// What one client address may take. Default: see [`AddressLimits`].
    pub fn address_limits(mut self, limits: AddressLimits) -> Self {
        self.address_limits = limits;
        self
    }

    /// How long a connection may be silent before the kernel asks whether the peer's is still there,
    /// and how long between two such questions. `None` never asks. Default 60 s.
    pub fn tcp_keepalive(mut self, time: Option<Duration>) -> Self {
        self.tcp_keepalive = time;
        self
    }

    /// Threads that carry the WebSockets of endpoints, one readiness loop each; at least 1. Default:
    /// one for each core that this process may use.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = NonZero::new(workers).unwrap_or(NonZero::<usize>::MIN);
        self
    }

    /// Binds all addresses and begins to serve, in tasks of the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// `Config` for a route that is malformed or there twice, `Resolve` or `Io` for an address that
    /// can't be listened on. Nothing is served then.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O and time.
    pub async fn start(mut self) -> Result<ServerHandle, Error> {
        if let Some(budget) = self.memory_budget {
            self.routes
                .iter_mut()
                .for_each(|route| route.charge_to(&budget));
            self.settings.memory_budget = budget;
        }
        let routes = Routes::new(self.routes, &self.settings)?;
        let trusted_proxies = TrustedProxies::parse(&self.trusted_proxies)?;
        let addresses = Addresses::new(self.address_limits)?;
        let (workers, idle_workers) = worker::prepare(self.workers).map_err(|error| {
            Error::new(ErrorKind::Io, "cannot set up the workers").with_source(error)
        })?;
        let listening = Listening::default();
        let mut listeners = Vec::new();
        let mut acceptors = Vec::new();
        acceptors.resize_with(self.workers.get(), Vec::new);
        let mut local_addrs = Vec::with_capacity(self.listens.len());
        for listen in self.listens {
            let is_for_workers = listen.is_for_workers();
            for bound in listen.bind(self.workers).await? {
                local_addrs.push(bound.local_addr);
                listening.add(&bound.sockets).map_err(|error| {
                    let message = format!("cannot listen on {}", bound.local_addr);
                    Error::new(ErrorKind::Io, message).with_source(error)
                })?;
                match is_for_workers {
                    true => deal_out(bound, self.tcp_keepalive, &mut acceptors)?,
                    false => listeners.extend(listeners_of(bound)?),
                }
            }
        }
        let shared = Arc::new(ServerShared {
            routes,
            trusted_proxies,
            log_limits: LogLimits::default(),
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
        // From here on the workers end when nobody holds the server any more.
        let handle = ServerHandle::new(Arc::clone(&shared), local_addrs);
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

    /// Starts, and serves until the future is dropped.
    ///
    /// # Errors
    ///
    /// As [`Server::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is the way to end it; see [`ServerHandle`] for what that does. To drain,
    /// use [`Server::start`].
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

/// A socket for each worker, as far as there are sockets.
fn deal_out(
    bound: Bound,
    keepalive: Option<Duration>,
    acceptors: &mut [Vec<Acceptor>],
) -> Result<(), Error> {
    let local_addr = bound.local_addr;
    for (socket, acceptors) in bound.sockets.into_iter().zip(acceptors) {
        let acceptor = Acceptor::new(socket, local_addr, keepalive).map_err(|error| {
            let message = format!("cannot listen on {local_addr}");
            Error::new(ErrorKind::Io, message).with_source(error)
        })?;
        acceptors.push(acceptor);
    }
    Ok(())
}

/// An accept loop for each socket.
fn listeners_of(bound: Bound) -> Result<Vec<Listener>, Error> {
    let Bound {
        local_addr,
        tls,
        preface,
        sockets,
    } = bound;
    let ways = Ways { preface, tls };
    sockets
        .into_iter()
        .map(|socket| {
            Listener::new(socket, ways.clone(), local_addr).map_err(|error| {
                let message = format!("cannot listen on {local_addr}");
                Error::new(ErrorKind::Io, message).with_source(error)
            })
        })
        .collect()
}

/// Well below the two hours of the kernel's own default, after which every NAT has forgotten.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// More than the descriptors that a process usually gets, so that it is the machine's limit that
/// counts unless somebody chooses; and yet a number.
const CONNECTIONS_MAX: usize = 65_536;

/// Enough for probes and whoever looks after a full server, and not worth an attack.
const CONNECTIONS_RESERVE: usize = 64;
