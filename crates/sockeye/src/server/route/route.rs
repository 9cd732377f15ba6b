//! Where a WebSocket leads: a path, who may take it, and what waits at its end.

use std::{
    fmt,
    future::{Future, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use http::StatusCode;
use percent_encoding::percent_decode_str;

use crate::{
    Deflate, Limits,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    handshake::{Negotiated, Refusal, Request},
    memory::MemoryBudget,
    server::route::{handler::Handler, identity::Identify, origin::Origins, path},
    settings::{AppHeartbeat, Settings},
    websocket::WebSocket,
};

/// Where a WebSocket leads: a path, who may take it, and what waits at its end.
///
/// A path has parameters in braces, `/rooms/{room}`, each for one segment; `{*rest}` at the end takes
/// all that is left. [`Request::param`] gives them, percent-decoded. The path is for WebSockets alone:
/// a plain `GET` of the same path goes to the server's fallback.
///
/// ```no_run
/// # use sockeye::{Endpoint, Message, Reply, Session};
/// # struct Room;
/// # impl Endpoint for Room {
/// #     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply { Reply::Echo }
/// # }
/// # async fn look_up(token: Option<String>) -> Option<u64> { None }
/// use http::StatusCode;
/// use sockeye::{Origins, Refusal, Route};
///
/// struct User(u64);
///
/// let route = Route::new("/rooms/{room}", |request| Ok(Room))
///     .origins(Origins::List(vec!["https://example.com".into()]))
///     .subprotocols(["v2", "v1"])
///     .authorize(|request| async move {
///         let token = request.cookie("session").map(Into::into);
///         match look_up(token).await {
///             Some(id) => Ok(id),
///             None => Err(Refusal::new(StatusCode::UNAUTHORIZED).body("log in first\n")),
///         }
///     });
/// ```
pub struct Route {
    path: String,
    identify: Option<Box<dyn Identify>>,
    authorize: Option<Authorize>,
    origins: Origins,
    subprotocols: Vec<String>,
    settings: Option<Settings>,
    limits: Option<Limits>,
    deflate: Option<Deflate>,
    app_heartbeat: Option<AppHeartbeat>,
    keeps_request: bool,
    factory: Factory,
}

type Authorize = Box<dyn Fn(Request) -> BoxFuture<Result<Arc<Request>, Refusal>> + Send + Sync>;

type Factory = Box<dyn Fn(&Arc<Request>) -> Result<Handler, Refusal> + Send + Sync>;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Route {
    /// A route to endpoints, callback style. `factory` makes one for each connection, before 101;
    /// its error is the HTTP answer instead.
    pub fn new<F, E>(path: impl Into<String>, factory: F) -> Self
    where
        F: Fn(&Request) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        Self::with_factory(
            path.into(),
            Box::new(move |request| Ok(Handler::Endpoint(Box::new(factory(request)?)))),
        )
    }

    /// A route to conversations, loop style. `talk` runs in a task of its own for each connection,
    /// after 101; the connection ends when it does.
    pub fn conversation<F, T>(path: impl Into<String>, talk: F) -> Self
    where
        F: Fn(Arc<Request>, WebSocket) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let talk = Arc::new(talk);
        Self::with_factory(
            path.into(),
            Box::new(move |request| {
                let talk = Arc::clone(&talk);
                let request = Arc::clone(request);
                Ok(Handler::conversation(move |websocket| {
                    talk(request, websocket)
                }))
            }),
        )
    }

    /// Who comes in: asked before 101, after the origin and before [`Route::authorize`]. What it finds is in
    /// [`Request::client_id`]; its error is the HTTP answer instead. Default: nobody asks.
    #[must_use]
    pub fn identify(mut self, identify: impl Identify) -> Self {
        self.identify = Some(Box::new(identify));
        self
    }

    /// Who may come in: asked before 101, after the origin. What it returns is left in
    /// [`Request::extensions`] for the endpoint; its error is the HTTP answer instead. Default: all.
    ///
    /// There is no time limit on it but what it sets itself.
    #[must_use]
    pub fn authorize<F, T, U>(mut self, authorize: F) -> Self
    where
        F: Fn(Arc<Request>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<U, Refusal>> + Send + 'static,
        U: Clone + Send + Sync + 'static,
    {
        self.authorize = Some(Box::new(move |request| {
            let request = Arc::new(request);
            let verdict = authorize(Arc::clone(&request));
            Box::pin(async move {
                let found = verdict.await?;
                let mut request = request;
                Arc::make_mut(&mut request).extensions.insert(found);
                Ok(request)
            })
        }));
        self
    }

    /// From which web pages it may be opened. Default [`Origins::Same`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Which subprotocols are spoken here, best first. A client that offers none of them is let in
    /// without one. Default: none.
    #[must_use]
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// How connections of this route are run. Default: as the server says.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Limits for this route. Those of the handshake count for the whole server, since the route is
    /// not known before it. Default: those of the settings.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Agrees to permessage-deflate. Default: as the settings say, which is no.
    #[must_use]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.deflate = Some(deflate);
        self
    }

    /// Answers heartbeats of the application's own: see [`Settings::app_heartbeat`]. Default: as the settings
    /// say, which is no.
    #[must_use]
    pub fn app_heartbeat(mut self, heartbeat: AppHeartbeat) -> Self {
        self.app_heartbeat = Some(heartbeat);
        self
    }

    /// Lets [`crate::Session::request`] give the request as long as the session lives. Default: until
    /// the endpoint's `on_open` has returned, and not at all in a conversation, so that idle connections
    /// don't hold header fields that nobody reads; the factory, `on_open` and the conversation, which gets
    /// it as its argument, take what they need.
    #[must_use]
    pub fn keep_request(mut self) -> Self {
        self.keeps_request = true;
        self
    }

    /// Charges what its connections hold to `budget`, whatever its settings say.
    pub(crate) fn charge_to(&mut self, budget: &MemoryBudget) {
        if let Some(settings) = &mut self.settings {
            settings.memory_budget = budget.clone();
        }
    }

    fn with_factory(path: String, factory: Factory) -> Self {
        Self {
            path,
            identify: None,
            authorize: None,
            origins: Origins::default(),
            subprotocols: Vec::new(),
            settings: None,
            limits: None,
            deflate: None,
            app_heartbeat: None,
            keeps_request: false,
            factory,
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("path", &self.path)
            .field("origins", &self.origins)
            .field("subprotocols", &self.subprotocols)
            .finish_non_exhaustive()
    }
}

/// All routes of a server, by path.
#[derive(Default)]
pub(crate) struct Routes(matchit::Router<Arc<CompiledRoute>>);

/// A route whose settings are settled.
pub(crate) struct CompiledRoute {
    pub(crate) origins: Origins,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) negotiated: Arc<Negotiated>,
    identify: Option<Box<dyn Identify>>,
    authorize: Option<Authorize>,
    factory: Factory,
}

/// The route of a path.
pub(crate) struct Found {
    pub(crate) leg: Arc<CompiledRoute>,
    /// Names and percent-decoded values, in the path's order.
    pub(crate) params: Vec<(String, String)>,
}

/// What a route says of a request.
pub(crate) enum Verdict {
    /// It asks nothing.
    Now(Arc<Request>),
    /// It asks, and the answer takes its time.
    Later(BoxFuture<Result<Arc<Request>, Refusal>>),
}

impl Routes {
    /// # Errors
    ///
    /// Kind `Config`: a path is malformed or there twice, a subprotocol is not a token, or a listed
    /// origin is none.
    pub(crate) fn new(routes: Vec<Route>, defaults: &Settings) -> Result<Self, Error> {
        let mut router = matchit::Router::new();
        for route in routes {
            if let Some(name) = route.subprotocols.iter().find(|name| !is_token(name)) {
                let message = format!("route {}: {name:?} is not a subprotocol", route.path);
                return Err(Error::new(ErrorKind::Config, message));
            }
            if let Some(origin) = route.origins.first_invalid() {
                let message = format!("route {}: {origin:?} is not an origin", route.path);
                return Err(Error::new(ErrorKind::Config, message));
            }
            let mut settings = route.settings.unwrap_or_else(|| defaults.clone());
            if let Some(limits) = route.limits {
                settings.limits = limits;
            }
            if let Some(deflate) = route.deflate {
                settings.deflate = Some(deflate);
            }
            if let Some(heartbeat) = route.app_heartbeat {
                settings.app_heartbeat = Some(heartbeat);
            }
            let leg = CompiledRoute {
                origins: route.origins,
                subprotocols: route.subprotocols,
                negotiated: Arc::new(Negotiated {
                    settings,
                    keeps_request: route.keeps_request,
                    ..Negotiated::default()
                }),
                identify: route.identify,
                authorize: route.authorize,
                factory: route.factory,
            };
            if let Err(why) = path::check(&route.path) {
                let message = format!("route {:?}: {why}", route.path);
                return Err(Error::new(ErrorKind::Config, message));
            }
            router.insert(&route.path, Arc::new(leg)).map_err(|error| {
                Error::new(ErrorKind::Config, format!("route {}", route.path)).with_source(error)
            })?;
        }
        Ok(Self(router))
    }

    /// The route of `path`.
    pub(crate) fn find(&self, path: &str) -> Result<Found, Refusal> {
        let found = self.0.at(path).map_err(|_| {
            Refusal::text(
                StatusCode::NOT_FOUND,
                "there is no WebSocket on this path\n",
            )
        })?;
        let mut params = Vec::with_capacity(found.params.len());
        for (name, value) in found.params.iter() {
            // Decoded after the match, so that an encoded slash stays within its segment.
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| Refusal::text(StatusCode::BAD_REQUEST, "the path is not UTF-8\n"))?;
            params.push((name.to_owned(), value.into_owned()));
        }
        Ok(Found {
            leg: Arc::clone(found.value),
            params,
        })
    }
}

impl CompiledRoute {
    pub(crate) fn authorize(&self, mut request: Request) -> Verdict {
        if let Some(identify) = &self.identify {
            match catch_panic(|| identify.identify(&request)) {
                Ok(Some(client)) => _ = request.extensions.insert(client),
                Ok(None) => {}
                Err(refusal) => return Verdict::Later(Box::pin(ready(Err(refusal)))),
            }
        }
        let Some(authorize) = &self.authorize else {
            return Verdict::Now(Arc::new(request));
        };
        let verdict = catch_panic(|| Ok(authorize(request)));
        Verdict::Later(Box::pin(async move {
            let mut verdict = verdict?;
            poll_fn(|cx| match catch_panic(|| Ok(verdict.as_mut().poll(cx))) {
                Ok(polled) => polled,
                Err(refusal) => Poll::Ready(Err(refusal)),
            })
            .await
        }))
    }

    pub(crate) fn open(&self, request: &Arc<Request>) -> Result<Handler, Refusal> {
        catch_panic(|| (self.factory)(request))
    }
}

/// Calls the program. Its panic is the answer to one request and harms nobody else, a worker that calls
/// it above all.
fn catch_panic<T>(call: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        let answer = "the program behind this path has failed\n";
        Err(Refusal::text(StatusCode::INTERNAL_SERVER_ERROR, answer))
    })
}

/// A subprotocol is a token (RFC 6455 section 4.1 item 10), as a field name is.
fn is_token(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}
