//! Engine.IO on one path: what a program says of it, and what the server makes of that.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::HeaderValue;

use super::{
    lifecycle::Carrier,
    query::{EngineError, EngineQuery, Transport, is_own_param},
    session::{EngineSession, EngineSessions, HeartbeatTimes, Receiver},
    settings::{EngineIoSettings, EngineIoUpgrade},
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
            CredentialHasher, Found, FoundMount, MountExtent, Opener, PathMounts, RelayStream,
            SessionTable, TableSession as _, Uncounted, with_path,
        },
        registry::Registration,
        route::{Authorization, CompiledRoute, Handler, Route, RouteAdapter, Routes},
    },
    settings::Settings,
};

/// A route that clients reach by Engine.IO 4, the protocol below Socket.IO: by plain HTTP requests first, and by WebSocket as soon as
/// one is open. For [`crate::Server::mount_engineio`].
///
/// The endpoint is the one of the [`Route`], whose checks and settings apply. It doesn't notice what carries a session, nor that this
/// changes. Messages are text or binary, as by WebSocket. The server pings; a client that doesn't answer in time is gone, and the
/// endpoint hears 1006.
///
/// A session belongs to the client that has opened it: requests and WebSockets of another [`crate::ClientId`] are answered as if there
/// were no such session. So are, where [`Route::authorize`] leaves no `ClientId`, those with other credentials.
///
/// ```no_run
/// use sockeye::{EngineIo, EngineIoSettings, Endpoint, Message, Origins, Reply, Route, Server, Session};
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
/// let route = Route::new("/engine.io", |_request| Ok(Echo))
///     .origins(Origins::List(vec!["https://example.com".into()]));
/// let settings = EngineIoSettings::default().with_payload_bytes_max(64 << 10);
/// Server::bind("127.0.0.1:8080").mount_engineio(EngineIo::new(route).settings(settings)).serve().await
/// # }
/// ```
#[derive(Debug)]
pub struct EngineIo {
    route: Route,
    settings: EngineIoSettings,
}

impl EngineIo {
    /// Serves `route` by Engine.IO, at the route's path with or without a final slash.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self {
            route,
            settings: EngineIoSettings::default(),
        }
    }

    /// Serves endpoints by Engine.IO: short for [`EngineIo::new`] of [`Route::new`].
    pub fn endpoint<F, E>(path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        Self::new(Route::new(path, factory))
    }

    /// Sets how Engine.IO is served. Default: [`EngineIoSettings::default`].
    #[must_use]
    pub fn settings(mut self, settings: EngineIoSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Charges what its connections hold to `budget`, whatever its settings say.
    pub(crate) fn charge_to(&mut self, budget: &MemoryBudget) {
        self.route.charge_to(budget);
    }
}

/// Engine.IO on one path.
pub(crate) struct EngineIoMount {
    pub(super) route: Arc<CompiledRoute>,
    pub(super) settings: EngineIoSettings,
    /// The settings of the sessions' connections, which have no socket.
    negotiated: Arc<Negotiated>,
    pub(super) sessions: Arc<EngineSessions>,
    hasher: CredentialHasher,
    uncounted: Uncounted,
}

/// The part of Engine.IO that a WebSocket asks for.
struct EngineIoWebSocket(Arc<EngineIoMount>);

/// The session that a WebSocket takes over.
#[derive(Clone)]
struct JoinedSession {
    session: Arc<EngineSession>,
    credentials: u64,
}

impl EngineIoMount {
    fn new(mut route: CompiledRoute, settings: EngineIoSettings) -> Result<Self, Error> {
        if let Some(name) = &settings.cookie_name
            && http::HeaderName::from_bytes(name.as_bytes()).is_err()
        {
            let message = format!("Engine.IO: {name:?} is not the name of a cookie");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut connection = route.negotiated.settings.clone();
        // Nothing there can answer a ping of RFC 6455. The protocol's own heartbeat shows that a client is gone.
        connection.heartbeat = None;
        let mut carrier = connection.clone();
        connection.deflate = None;
        // A text packet has a byte before the message.
        carrier.limits.message_bytes_max = settings.payload_bytes_max.saturating_add(1);
        let keeps_request = route.negotiated.keeps_request;
        let negotiated = |settings: Settings| {
            Arc::new(Negotiated {
                settings,
                keeps_request,
                ..Negotiated::default()
            })
        };
        route.negotiated = negotiated(carrier);
        Ok(Self {
            route: Arc::new(route),
            negotiated: negotiated(connection),
            sessions: Arc::new(SessionTable::new(
                // As long as a client may take to ask again.
                settings.ping_interval.saturating_add(settings.ping_timeout),
                settings.sessions_max,
                settings.sessions_per_client_max,
            )),
            settings,
            hasher: CredentialHasher::default(),
            uncounted: Uncounted::default(),
        })
    }

    /// Returns a keyed hash of all by which a route may tell who sends `request`.
    pub(super) fn credentials(&self, request: &Request) -> u64 {
        self.hasher.hash(request, is_own_param)
    }

    /// Asks the route who sends `request`, and whether it may connect.
    pub(super) async fn authorize(&self, request: Request) -> Result<Arc<Request>, Refusal> {
        match self.route.authorize(request) {
            Authorization::Now(request) => Ok(request),
            Authorization::Later(authorized) => authorized.await,
        }
    }

    pub(super) fn heartbeat(&self) -> HeartbeatTimes {
        HeartbeatTimes {
            interval: self.settings.ping_interval,
            timeout: self.settings.ping_timeout,
        }
    }

    /// Returns the packet that opens a session.
    pub(super) fn open_packet(&self, id: &str, carrier: Carrier) -> String {
        let settings = &self.settings;
        let upgrades = match (carrier, settings.upgrade) {
            (Carrier::Polling, EngineIoUpgrade::Offered) => "\"websocket\"",
            _ => "",
        };
        format!(
            "0{{\"sid\":\"{id}\",\"upgrades\":[{upgrades}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{}}}",
            settings.ping_interval.as_millis(),
            settings.ping_timeout.as_millis(),
            settings.payload_bytes_max,
        )
    }

    /// Begins the endpoint of `session` in a task of its own.
    ///
    /// # Errors
    ///
    /// The operating system returns no random numbers.
    pub(super) fn begin(
        &self,
        session: &Arc<EngineSession>,
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

    /// Begins a session that a WebSocket carries from the beginning.
    fn begin_uncounted(
        &self,
        handler: Handler,
        request: Arc<Request>,
    ) -> Result<(Receiver, String), Error> {
        let opener = Opener {
            credentials: 0,
            client: None,
        };
        let id = new_id()?;
        let session = Arc::new(EngineSession::new(
            Arc::clone(&id),
            opener,
            (self.heartbeat(), Carrier::WebSocket),
            self.settings.response_bytes_max,
            None,
        ));
        let receiver = Receiver::attached(Arc::clone(&session));
        let registration = self.uncounted.registration()?;
        self.begin(&session, handler, request, registration)?;
        Ok((receiver, self.open_packet(&id, Carrier::WebSocket)))
    }
}

/// Returns a new id of a session: 120 random bits.
///
/// # Errors
///
/// The operating system returns no random numbers.
pub(super) fn new_id() -> Result<Arc<str>, Error> {
    let mut bytes = [0; 15];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "no random numbers").with_source(std::io::Error::from(error))
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes).into())
}

impl RouteAdapter for EngineIoWebSocket {
    /// Finds the session that the WebSocket takes over, if it names one.
    ///
    /// # Errors
    ///
    /// The query isn't the protocol's, or there is no such session.
    fn strip(&self, request: &mut Request) -> Result<(), Refusal> {
        let query = EngineQuery::parse(request).map_err(EngineError::handshake_refusal)?;
        if query.transport != Transport::WebSocket {
            return Err(EngineError::BadRequest.handshake_refusal());
        }
        let own_bytes = request.path().trim_end_matches('/').len();
        request.uri = with_path(&request.uri, own_bytes);
        let Some(id) = query.session else {
            return match query.is_supported {
                true => Ok(()),
                false => Err(EngineError::UnsupportedVersion.handshake_refusal()),
            };
        };
        match self.0.sessions.find(&id) {
            Found::Live(session) if session.is_live() => {
                if !query.is_supported {
                    return Err(EngineError::BadRequest.handshake_refusal());
                }
                let credentials = self.0.credentials(request);
                request.extensions.insert(JoinedSession {
                    session,
                    credentials,
                });
                Ok(())
            }
            _ => Err(EngineError::UnknownSession.handshake_refusal()),
        }
    }

    fn join(&self, request: &Arc<Request>) -> Option<Result<Handler, Refusal>> {
        let JoinedSession {
            session,
            credentials,
        } = request.extensions.get()?;
        let opener = session.opener();
        if opener.credentials != *credentials && !opener.has_sent(request, &self.0.route) {
            return Some(Err(EngineError::UnknownSession.handshake_refusal()));
        }
        let (session, time) = (Arc::clone(session), self.0.settings.upgrade_timeout);
        Some(Ok(Handler::conversation(move |websocket| {
            websocket::take_over(websocket, session, time)
        })))
    }

    fn wrap(&self, handler: Handler, request: &Arc<Request>) -> Handler {
        let mount = Arc::clone(&self.0);
        let request = Arc::clone(request);
        Handler::conversation(move |websocket| async move {
            match mount.begin_uncounted(handler, request) {
                Ok((receiver, open)) => websocket::carry_new(websocket, receiver, open).await,
                Err(error) => {
                    tracing::error!(error = %error.report(), "a session could not begin");
                }
            }
        })
    }
}

/// All paths with Engine.IO.
#[derive(Default)]
pub(crate) struct EngineIoMounts(PathMounts<EngineIoMount>);

impl EngineIoMounts {
    /// Mounts all, and adds their WebSockets to `routes`.
    ///
    /// # Errors
    ///
    /// Kind `Config` if a path is malformed or there already, or if the settings can't be.
    pub(crate) fn new(
        all: Vec<EngineIo>,
        defaults: &Settings,
        routes: &mut Routes,
    ) -> Result<Self, Error> {
        let mut mounts = Self::default();
        for EngineIo { route, settings } in all {
            let path = route.path().trim_end_matches('/').to_owned();
            if path.is_empty() {
                let message = "Engine.IO needs a path other than /";
                return Err(Error::new(ErrorKind::Config, message));
            }
            let mount = Arc::new(EngineIoMount::new(route.compile(defaults)?, settings)?);
            for path in [path.clone(), format!("{path}/")] {
                let adapter = Arc::new(EngineIoWebSocket(Arc::clone(&mount)));
                routes.add(&path, &mount.route, Some(adapter))?;
            }
            mounts
                .0
                .add(&path, MountExtent::Path, &mount, "Engine.IO")?;
        }
        Ok(mounts)
    }

    /// Returns the mount that matches `path`.
    pub(crate) fn find(&self, path: &str) -> Option<FoundMount<EngineIoMount>> {
        self.0.find(path)
    }
}

/// Returns the cookie that has a session's id.
pub(super) fn session_cookie(name: &str, id: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{name}={id}; Path=/; HttpOnly; SameSite=Lax")).ok()
}

impl fmt::Debug for EngineIoMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineIoMount")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
