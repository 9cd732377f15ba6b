//! SockJS on one path: what a program says of it, and what the server makes of that.

use std::{fmt, sync::Arc};

use http::StatusCode;
use tokio::time::Instant;

use super::{
    pages::IframePage,
    receiver::Receiver,
    session::{SockJsSession, SockJsSessions},
    settings::{SockJsSettings, SockJsWebSocket},
    target::is_id,
    websocket,
};
use crate::{
    connection::{Established, Io},
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    handshake::{Negotiated, Refusal, Request},
    memory::MemoryBudget,
    server::{
        polling::{
            CredentialHasher, FoundMount, MountExtent, Opener, PathMounts, RelayHolder as _,
            RelayStream, SessionTable, Uncounted, with_path,
        },
        registry::Registration,
        route::{Authorization, CompiledRoute, Handler, Route, RouteAdapter, Routes},
    },
    settings::Settings,
};

/// A route that clients reach by SockJS: by WebSocket where they can, and by plain HTTP requests where they can't. For
/// [`crate::Server::mount_sockjs`].
///
/// The endpoint is the one of the [`Route`], whose checks and settings apply. It doesn't notice the difference, except that
/// there are no binary messages, and that a client has no close message: it is gone when no request of it receives. The
/// request that it sees has the path of the route.
///
/// A session belongs to the client that has opened it. Other requests for it get 404: those of another [`crate::ClientId`], and,
/// where [`Route::authorize`] leaves none, those with other credentials than the requests before.
///
/// Each transport that a client tries is a session of its own. Behind a proxy that delays responses the endpoint sees one open and
/// close for each try.
///
/// ```no_run
/// use sockeye::{Endpoint, Message, Origins, Reply, Route, Server, Session, SockJs, SockJsSettings};
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
/// let route = Route::new("/echo", |_request| Ok(Echo))
///     .origins(Origins::List(vec!["https://example.com".into()]));
/// let settings = SockJsSettings::default().with_response_bytes_max(64 << 10);
/// Server::bind("127.0.0.1:8080").mount_sockjs(SockJs::new(route).settings(settings)).serve().await
/// # }
/// ```
#[derive(Debug)]
pub struct SockJs {
    route: Route,
    settings: SockJsSettings,
}

impl SockJs {
    /// Serves `route` by SockJS, below the route's path.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self {
            route,
            settings: SockJsSettings::default(),
        }
    }

    /// Serves endpoints by SockJS: short for [`SockJs::new`] of [`Route::new`].
    pub fn endpoint<F, E>(path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        Self::new(Route::new(path, factory))
    }

    /// Sets how SockJS is served. Default: [`SockJsSettings::default`].
    #[must_use]
    pub fn settings(mut self, settings: SockJsSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Charges what its connections hold to `budget`, whatever its settings say.
    pub(crate) fn charge_to(&mut self, budget: &MemoryBudget) {
        self.route.charge_to(budget);
    }
}

/// SockJS on one path.
pub(crate) struct SockJsMount {
    pub(super) route: Arc<CompiledRoute>,
    pub(super) settings: SockJsSettings,
    /// The settings of the sessions' connections, which have no socket.
    negotiated: Arc<Negotiated>,
    pub(super) sessions: Arc<SockJsSessions>,
    pub(super) iframe_page: Option<IframePage>,
    hasher: CredentialHasher,
    /// Where the times of rate limits begin.
    pub(super) origin: Instant,
    uncounted: Uncounted,
}

/// The part of SockJS that a WebSocket asks for.
struct SockJsWebSocketRoute {
    mount: Arc<SockJsMount>,
    kind: WebSocketKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WebSocketKind {
    /// With the protocol's frames.
    Framed,
    /// Without any.
    Raw,
}

impl SockJsMount {
    /// # Errors
    ///
    /// Kind `Config` if the script's URL can't stand in a page.
    fn new(route: Arc<CompiledRoute>, settings: SockJsSettings) -> Result<Self, Error> {
        let script_url = settings.iframe_script_url.as_deref();
        let iframe_page = script_url
            .map(|url| IframePage::new(url, &route.origins))
            .transpose()?;
        let mut connection = route.negotiated.settings.clone();
        // Nothing here can answer a ping. A client that vanishes leaves no receiver.
        connection.heartbeat = None;
        connection.deflate = None;
        Ok(Self {
            negotiated: Arc::new(Negotiated {
                settings: connection,
                keeps_request: route.negotiated.keeps_request,
                ..Negotiated::default()
            }),
            sessions: Arc::new(SessionTable::new(
                settings.disconnect_delay,
                settings.sessions_max,
                settings.sessions_per_client_max,
            )),
            iframe_page,
            route,
            settings,
            hasher: CredentialHasher::default(),
            origin: Instant::now(),
            uncounted: Uncounted::default(),
        })
    }

    /// Returns the paths below `path` at which WebSockets come, for the server's routes.
    fn websocket_routes(self: &Arc<Self>, path: &str) -> Vec<(String, Arc<dyn RouteAdapter>)> {
        if self.settings.websocket == SockJsWebSocket::Absent {
            return Vec::new();
        }
        let route = |kind| -> Arc<dyn RouteAdapter> {
            Arc::new(SockJsWebSocketRoute {
                mount: Arc::clone(self),
                kind,
            })
        };
        vec![
            (format!("{path}/websocket"), route(WebSocketKind::Raw)),
            (
                format!("{path}/{{{SERVER_PARAM}}}/{{{SESSION_PARAM}}}/websocket"),
                route(WebSocketKind::Framed),
            ),
        ]
    }

    /// Returns a keyed hash of all by which a route may tell who sends `request`.
    pub(super) fn credentials(&self, request: &Request) -> u64 {
        self.hasher.hash(request, |_| false)
    }

    /// Asks the route who sends `request`, and whether it may connect.
    pub(super) async fn authorize(&self, request: Request) -> Result<Arc<Request>, Refusal> {
        match self.route.authorize(request) {
            Authorization::Now(request) => Ok(request),
            Authorization::Later(authorized) => authorized.await,
        }
    }

    /// Begins the endpoint of `session` in a task of its own.
    ///
    /// # Errors
    ///
    /// The operating system returns no random numbers.
    pub(super) fn begin(
        &self,
        session: &Arc<SockJsSession>,
        handler: Handler,
        request: Arc<Request>,
        registration: Registration,
    ) -> Result<(), Error> {
        let established = Established {
            io: Io::from_stream(RelayStream(Arc::clone(session))),
            leftover: Vec::new(),
            role: sockeye_proto::Role::Server,
            negotiated: Arc::clone(&self.negotiated),
            request,
        };
        handler.spawn(established, registration)
    }

    /// Begins a session that a WebSocket carries.
    fn begin_uncounted(&self, handler: Handler, request: Arc<Request>) -> Result<Receiver, Error> {
        let opener = Opener {
            credentials: 0,
            client: None,
        };
        // Ids of WebSockets may repeat, and nobody looks them up.
        let (batch_bytes_max, delay) = (
            self.settings.response_bytes_max,
            self.settings.disconnect_delay,
        );
        let session = SockJsSession::new("".into(), opener, batch_bytes_max, delay, None);
        let session = Arc::new(session);
        // Nobody else knows of the session yet.
        let _ = session.relay().attach();
        let receiver = Receiver::attached(Arc::clone(&session));
        let registration = self.uncounted.registration()?;
        self.begin(&session, handler, request, registration)?;
        Ok(receiver)
    }
}

impl RouteAdapter for SockJsWebSocketRoute {
    /// Removes from `request` what is SockJS's own: an endpoint sees the route's path, and no id of a session, which is a secret
    /// of the client.
    ///
    /// # Errors
    ///
    /// There can't be such a session.
    fn strip(&self, request: &mut Request) -> Result<(), Refusal> {
        let segments = match self.kind {
            WebSocketKind::Raw => 1,
            WebSocketKind::Framed => {
                let ids = [SERVER_PARAM, SESSION_PARAM].map(|name| request.param(name));
                if !ids.iter().all(|id| id.is_some_and(is_id)) {
                    return Err(Refusal::text(
                        StatusCode::NOT_FOUND,
                        "there is no such session\n",
                    ));
                }
                3
            }
        };
        let own = request.path().rsplitn(segments + 1, '/').last();
        let own_bytes = own.unwrap_or_default().len();
        request.uri = with_path(&request.uri, own_bytes);
        let is_ours = |name: &str| [SERVER_PARAM, SESSION_PARAM].contains(&name);
        request.params.retain(|(name, _)| !is_ours(name));
        Ok(())
    }

    fn wrap(&self, handler: Handler, request: &Arc<Request>) -> Handler {
        if self.kind == WebSocketKind::Raw {
            return handler;
        }
        let mount = Arc::clone(&self.mount);
        let request = Arc::clone(request);
        Handler::conversation(move |websocket| async move {
            match mount.begin_uncounted(handler, request) {
                Ok(receiver) => {
                    websocket::carry(websocket, receiver, mount.settings.heartbeat_interval).await;
                }
                Err(error) => {
                    tracing::error!(error = %error.report(), "a session could not begin");
                }
            }
        })
    }
}

/// All paths with SockJS.
#[derive(Default)]
pub(crate) struct SockJsMounts(PathMounts<SockJsMount>);

impl SockJsMounts {
    /// Mounts all, and adds their WebSockets to `routes`.
    ///
    /// # Errors
    ///
    /// Those of [`SockJsMounts::add`].
    pub(crate) fn new(
        all: Vec<SockJs>,
        defaults: &Settings,
        routes: &mut Routes,
    ) -> Result<Self, Error> {
        let mut mounts = Self::default();
        for sockjs in all {
            mounts.add(sockjs, defaults, routes)?;
        }
        Ok(mounts)
    }

    /// Adds SockJS on a route's path, and its WebSockets to `routes`.
    ///
    /// # Errors
    ///
    /// Kind `Config` if the path ends in a slash, is malformed or there already, or if the settings can't be.
    fn add(
        &mut self,
        sockjs: SockJs,
        defaults: &Settings,
        routes: &mut Routes,
    ) -> Result<(), Error> {
        let SockJs { route, settings } = sockjs;
        let path = route.path().to_owned();
        if path.ends_with('/') {
            let message = format!("SockJS on {path:?}: the path ends in a slash");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mount = Arc::new(SockJsMount::new(
            Arc::new(route.compile(defaults)?),
            settings,
        )?);
        for (path, adapter) in mount.websocket_routes(&path) {
            routes.add(&path, &mount.route, Some(adapter))?;
        }
        self.0.add(&path, MountExtent::Below, &mount, "SockJS")
    }

    /// Returns the mount that matches `path`.
    pub(crate) fn find(&self, path: &str) -> Option<FoundMount<SockJsMount>> {
        self.0.find(path)
    }
}

impl fmt::Debug for SockJsMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SockJsMount")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The names of the parts of a session's URL in the server's routes. A route's own parameters have other names.
const SERVER_PARAM: &str = "sockjs-server";
const SESSION_PARAM: &str = "sockjs-session";
