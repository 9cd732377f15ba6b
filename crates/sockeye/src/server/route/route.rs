//! A route: a path, who may connect, and the handler.

use std::{
    fmt,
    future::{Future, poll_fn, ready},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::StatusCode;
use tokio::time::timeout;

use crate::{
    Deflate, Limits,
    endpoint::Endpoint,
    error::{Error, ErrorKind},
    handshake::{ClientId, Negotiated, Refusal, Request, SharedNegotiated},
    memory::MemoryBudget,
    server::route::{
        handler::Handler,
        identity::Identify,
        origin::{ORIGIN_ADVICE, Origins},
    },
    settings::{AppHeartbeat, Settings},
    websocket::WebSocket,
};

/// A route: a path, who may connect to it, and the handler of its connections.
///
/// A path has parameters in braces, `/rooms/{room}`, each for one segment; `{*rest}` at the end takes all remaining
/// segments. [`Request::param`] returns their values, percent-decoded. The route is for WebSockets alone: a plain
/// `GET` of the same path goes to the server's fallback.
///
/// A request passes the origin, [`Route::identify`], [`Route::identify_async`], [`Route::authorize`] and the factory in this
/// order, all of them before 101, so that each of them can refuse it with an HTTP answer.
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
    identify_async: Option<IdentifyAsync>,
    identify_timeout: Duration,
    authorize: Option<Authorize>,
    origins: Origins,
    origin_advice: &'static str,
    subprotocols: Vec<String>,
    settings: Option<Settings>,
    limits: Option<Limits>,
    deflate: Option<Deflate>,
    app_heartbeat: Option<AppHeartbeat>,
    keeps_request: bool,
    factory: Factory,
}

type Authorize = Box<dyn Fn(Request) -> BoxFuture<Result<Arc<Request>, Refusal>> + Send + Sync>;

type IdentifyAsync =
    Box<dyn Fn(Arc<Request>) -> BoxFuture<Result<Option<ClientId>, Refusal>> + Send + Sync>;

type Factory = Box<dyn Fn(&Arc<Request>) -> Result<Handler, Refusal> + Send + Sync>;

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Route {
    /// Creates a route to endpoints, the callback style. `factory` makes one endpoint for each connection, before
    /// 101, and must not block; its error is the HTTP answer.
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

    /// Creates a route to conversations, the loop style. The server runs `talk` in a task of its own for each
    /// connection, after 101. When it returns, the connection is closed.
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

    /// Makes a route to endpoints for those whom `authorize` lets in, callback style. `factory` gets what `authorize`
    /// has found out, with its type: short for [`Route::new`] with [`Route::authorize`], which must not be called again.
    ///
    /// ```
    /// use http::StatusCode;
    /// use sockeye::{Endpoint, Message, Refusal, Reply, Route, Session};
    ///
    /// #[derive(Clone)]
    /// struct User {
    ///     name: String,
    /// }
    ///
    /// struct Greeter(User);
    ///
    /// impl Endpoint for Greeter {
    ///     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply {
    ///         Reply::Message(format!("hello {}", self.0.name).into())
    ///     }
    /// }
    ///
    /// async fn user_of(token: Option<String>) -> Option<User> {
    ///     token.map(|name| User { name })
    /// }
    ///
    /// let route = Route::authorized(
    ///     "/greeter",
    ///     |request| async move {
    ///         let user = user_of(request.bearer_token().map(Into::into)).await;
    ///         user.ok_or(Refusal::new(StatusCode::UNAUTHORIZED))
    ///     },
    ///     |_request, user| Ok(Greeter(user)),
    /// );
    /// ```
    pub fn authorized<A, T, U, F, E>(path: impl Into<String>, authorize: A, factory: F) -> Self
    where
        A: Fn(Arc<Request>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<U, Refusal>> + Send + 'static,
        U: Clone + Send + Sync + 'static,
        F: Fn(&Request, U) -> Result<E, Refusal> + Send + Sync + 'static,
        E: Endpoint,
    {
        let factory = move |request: &Request| factory(request, left_by_authorize(request)?);
        Self::new(path, factory).authorize(authorize)
    }

    /// Makes a route to conversations with those whom `authorize` lets in, loop style. It is to
    /// [`Route::conversation`] what [`Route::authorized`] is to [`Route::new`].
    pub fn authorized_conversation<A, T, U, F, C>(
        path: impl Into<String>,
        authorize: A,
        talk: F,
    ) -> Self
    where
        A: Fn(Arc<Request>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<U, Refusal>> + Send + 'static,
        U: Clone + Send + Sync + 'static,
        F: Fn(U, WebSocket) -> C + Send + Sync + 'static,
        C: Future<Output = ()> + Send + 'static,
    {
        let talk = Arc::new(talk);
        let factory = move |request: &Arc<Request>| {
            let found: U = left_by_authorize(request)?;
            let talk = Arc::clone(&talk);
            Ok(Handler::conversation(move |websocket| {
                talk(found, websocket)
            }))
        };
        Self::with_factory(path.into(), Box::new(factory)).authorize(authorize)
    }

    /// Sets how the route finds out which client a request comes from, after the origin and before
    /// [`Route::authorize`]. The result is in [`Request::client_id`]; an error is the HTTP answer. Default: no client
    /// is identified.
    #[must_use]
    pub fn identify(mut self, identify: impl Identify) -> Self {
        self.identify = Some(Box::new(identify));
        self
    }

    /// Sets how the route looks up which client a request comes from, where that takes time: in a database, or at another
    /// server. It is asked if [`Route::identify`] finds no client, and runs in a task, so no worker waits for it. The result
    /// is in [`Request::client_id`]; an error is the HTTP answer. Default: nothing is looked up.
    ///
    /// The server drops the future if the client closes the connection or resets its stream, when
    /// [`Route::identify_timeout`] is over, and at the end of a drain. So the lookup must be cancel safe: what it has
    /// begun may end at any await.
    ///
    /// ```no_run
    /// # use sockeye::{Endpoint, Message, Reply, Session};
    /// # struct Room;
    /// # impl Endpoint for Room {
    /// #     fn on_message(&mut self, _: &Session, _: Message<'_>) -> Reply { Reply::Echo }
    /// # }
    /// # async fn user_of(session: &str) -> std::io::Result<Option<String>> { Ok(None) }
    /// use http::StatusCode;
    /// use sockeye::{Refusal, Route};
    ///
    /// let route = Route::new("/room", |request| {
    ///     println!("{:?} connects", request.client_id());
    ///     Ok(Room)
    /// })
    /// .identify_async(|request| async move {
    ///     let Some(session) = request.cookie("session") else {
    ///         return Ok(None);
    ///     };
    ///     let user = user_of(&session).await;
    ///     let user = user.map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE))?;
    ///     Ok(user.and_then(|user| user.parse().ok()))
    /// });
    /// ```
    #[must_use]
    pub fn identify_async<F, T>(mut self, identify: F) -> Self
    where
        F: Fn(Arc<Request>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Option<ClientId>, Refusal>> + Send + 'static,
    {
        self.identify_async = Some(Box::new(move |request| Box::pin(identify(request))));
        self
    }

    /// Limits the time of [`Route::identify_async`]. After it the answer is 503. Default 10 s.
    #[must_use]
    pub fn identify_timeout(mut self, limit: Duration) -> Self {
        self.identify_timeout = limit;
        self
    }

    /// Sets the check that decides whether a request may connect, after the origin and [`Route::identify`]. What it
    /// returns is in [`Request::extensions`] for the factory and the endpoint; an error is the HTTP answer. Default:
    /// every request may connect.
    ///
    /// The server sets no time limit for it; the check has to limit itself. The future is dropped if the client closes the
    /// connection or resets its stream, and at the end of a drain.
    ///
    /// A [`ClientId`](crate::ClientId) that it returns is then [`Request::client_id`].
    #[must_use]
    pub fn authorize<F, T, U>(mut self, authorize: F) -> Self
    where
        F: Fn(Arc<Request>) -> T + Send + Sync + 'static,
        T: Future<Output = Result<U, Refusal>> + Send + 'static,
        U: Clone + Send + Sync + 'static,
    {
        self.authorize = Some(Box::new(move |request| {
            let request = Arc::new(request);
            let authorized = authorize(Arc::clone(&request));
            Box::pin(async move {
                let found = authorized.await?;
                let mut request = request;
                Arc::make_mut(&mut request).extensions.insert(found);
                Ok(request)
            })
        }));
        self
    }

    /// Sets from which web pages a WebSocket may be opened. Default [`Origins::Same`].
    #[must_use]
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets what the log line about a refused page says to an operator who wants the page let in, such as `add {origin} to
    /// allowed_origins`. `{origin}` in it is the refused origin, in quotes. Default: `allow it with Route::origins`.
    #[must_use]
    pub fn origin_advice(mut self, advice: &'static str) -> Self {
        self.origin_advice = advice;
        self
    }

    /// Sets the subprotocols of this route, the preferred one first. A client that offers none of them connects
    /// without one. Default: none.
    ///
    /// [`crate::Server::start`] fails with kind `Config` if a name is not a token.
    #[must_use]
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how connections of this route are run. Default: the server's settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// Sets the limits of this route. The limits of the handshake have no effect here, because the route is not known
    /// before it. Default: the limits in the settings.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Lets this route agree to permessage-deflate. Default: the value in the settings, which is not to.
    #[must_use]
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.deflate = Some(deflate);
        self
    }

    /// Answers the application's own heartbeats on this route: see [`Settings::app_heartbeat`]. Default: the value in
    /// the settings, which is not to.
    #[must_use]
    pub fn app_heartbeat(mut self, heartbeat: AppHeartbeat) -> Self {
        self.app_heartbeat = Some(heartbeat);
        self
    }

    /// Keeps the request as long as the session lives, so that [`crate::Session::request`] returns it. Default: an
    /// endpoint's request is dropped when its `on_open` has returned, and a conversation's at once, so that idle
    /// connections don't hold header fields that nobody reads. The factory, `on_open` and the conversation, whose
    /// argument it is, can copy what they need.
    #[must_use]
    pub fn keep_request(mut self) -> Self {
        self.keeps_request = true;
        self
    }

    /// Charges what connections of this route hold to `budget`, whatever its settings say.
    pub(crate) fn charge_to(&mut self, budget: &MemoryBudget) {
        if let Some(settings) = &mut self.settings {
            settings.memory_budget = budget.clone();
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Fills in all defaults.
    ///
    /// # Errors
    ///
    /// Kind `Config` if a subprotocol is not a token, or a listed origin is not one.
    pub(crate) fn compile(self, defaults: &Settings) -> Result<CompiledRoute, Error> {
        if let Some(name) = self.subprotocols.iter().find(|name| !is_token(name)) {
            let message = format!("route {}: {name:?} is not a subprotocol", self.path);
            return Err(Error::new(ErrorKind::Config, message));
        }
        if let Some(origin) = self.origins.first_invalid() {
            let message = format!("route {}: {origin:?} is not an origin", self.path);
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut settings = self.settings.unwrap_or_else(|| defaults.clone());
        if let Some(limits) = self.limits {
            settings.limits = limits;
        }
        if let Some(deflate) = self.deflate {
            settings.deflate = Some(deflate);
        }
        if let Some(heartbeat) = self.app_heartbeat {
            settings.app_heartbeat = Some(heartbeat);
        }
        Ok(CompiledRoute {
            origins: self.origins,
            origin_advice: self.origin_advice,
            subprotocols: self.subprotocols,
            negotiated: Arc::new(Negotiated {
                settings,
                keeps_request: self.keeps_request,
                ..Negotiated::default()
            }),
            shared_negotiated: SharedNegotiated::default(),
            identify: self.identify,
            identify_async: self.identify_async,
            identify_timeout: self.identify_timeout,
            authorize: self.authorize,
            factory: self.factory,
        })
    }

    fn with_factory(path: String, factory: Factory) -> Self {
        Self {
            path,
            identify: None,
            identify_async: None,
            identify_timeout: IDENTIFY_TIMEOUT,
            authorize: None,
            origins: Origins::default(),
            origin_advice: ORIGIN_ADVICE,
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

/// A route with all defaults filled in.
pub(crate) struct CompiledRoute {
    pub(crate) origins: Origins,
    pub(crate) origin_advice: &'static str,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) negotiated: Arc<Negotiated>,
    pub(crate) shared_negotiated: SharedNegotiated,
    identify: Option<Box<dyn Identify>>,
    identify_async: Option<IdentifyAsync>,
    identify_timeout: Duration,
    authorize: Option<Authorize>,
    factory: Factory,
}

/// Whether a route lets a request connect.
pub(crate) enum Authorization {
    /// The route has no check.
    Now(Arc<Request>),
    /// The route's lookup or check takes time, or `identify` has refused the request.
    Later(BoxFuture<Result<Arc<Request>, Refusal>>),
}

impl CompiledRoute {
    /// Identifies the client, and asks whether it may connect.
    pub(crate) fn authorize(self: &Arc<Self>, mut request: Request) -> Authorization {
        let mut is_known = false;
        if let Some(identify) = &self.identify {
            match catch_panic(|| identify.identify(&request)) {
                Ok(Some(client)) => {
                    request.extensions.insert(client);
                    is_known = true;
                }
                Ok(None) => {}
                Err(refusal) => return Authorization::Later(Box::pin(ready(Err(refusal)))),
            }
        }
        if let Some(identify) = self.identify_async.as_ref().filter(|_| !is_known) {
            let request = Arc::new(request);
            let found = catch_panic(|| Ok(identify(Arc::clone(&request))));
            let route = Arc::clone(self);
            return Authorization::Later(Box::pin(async move {
                let found = timeout(route.identify_timeout, caught(found?));
                let found = found.await.unwrap_or_else(|_| Err(identified_too_late()))?;
                let mut request = Arc::unwrap_or_clone(request);
                if let Some(client) = found {
                    request.extensions.insert(client);
                }
                match &route.authorize {
                    Some(authorize) => caught(catch_panic(|| Ok(authorize(request)))?).await,
                    None => Ok(Arc::new(request)),
                }
            }));
        }
        let Some(authorize) = &self.authorize else {
            return Authorization::Now(Arc::new(request));
        };
        let authorized = catch_panic(|| Ok(authorize(request)));
        Authorization::Later(Box::pin(async move { caught(authorized?).await }))
    }

    /// Returns whether the route has a check of its own.
    #[cfg(any(feature = "sockjs", feature = "engineio"))]
    pub(crate) fn has_authorize(&self) -> bool {
        self.authorize.is_some()
    }

    pub(crate) fn open(&self, request: &Arc<Request>) -> Result<Handler, Refusal> {
        catch_panic(|| (self.factory)(request))
    }
}

/// Awaits a future of the program. A panic in it becomes the answer to one request.
async fn caught<T>(mut future: BoxFuture<Result<T, Refusal>>) -> Result<T, Refusal> {
    poll_fn(|cx| match catch_panic(|| Ok(future.as_mut().poll(cx))) {
        Ok(polled) => polled,
        Err(refusal) => Poll::Ready(Err(refusal)),
    })
    .await
}

fn identified_too_late() -> Refusal {
    let text = "it takes too long to find out who you are, try again later\n";
    Refusal::text(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// Calls a function of the program. A panic in it becomes the answer to one request; the worker that calls it lives
/// on.
fn catch_panic<T>(call: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        let answer = "the program behind this path has failed\n";
        Err(Refusal::text(StatusCode::INTERNAL_SERVER_ERROR, answer))
    })
}

/// Returns what `authorize` has found out.
fn left_by_authorize<U: Clone + Send + Sync + 'static>(request: &Request) -> Result<U, Refusal> {
    request.extensions().get().cloned().ok_or_else(|| {
        // Only if the program has replaced the route's `authorize` by one that finds out something else.
        Refusal::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "this path has another authorization than its program expects\n",
        )
    })
}

/// Returns whether a subprotocol is a token (RFC 6455 section 4.1 item 10). Field names have the same syntax.
fn is_token(name: &str) -> bool {
    http::HeaderName::from_bytes(name.as_bytes()).is_ok()
}

/// As long as the whole opening handshake may take by default. A client that waits longer has given up.
const IDENTIFY_TIMEOUT: Duration = Duration::from_secs(10);
