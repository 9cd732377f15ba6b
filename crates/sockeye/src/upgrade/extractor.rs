//! The upgrade that a handler of axum or hyper gets.

use std::{fmt, future::Future, sync::Arc};

use axum::{
    body::Body,
    extract::FromRequestParts,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, Version, request};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use sockeye_proto::Role;

use crate::{
    Deflate, Limits,
    connection::{Established, Io},
    endpoint::{self, Endpoint},
    error::{Error, ErrorKind},
    handshake::{
        Agreement, Incoming, Negotiated, Refusal, Request, RequestInfo, SharedNegotiated, Tls,
    },
    log_limit::LogLimit,
    server::{Handler, ORIGIN_ADVICE, Origins, Registration, refuse_origin},
    settings::Settings,
    upgrade::{
        small_writes::SmallWrites,
        upgrades::{Joined, Upgrades, peer_addr_of},
    },
    websocket::WebSocket,
};

/// A checked request of an axum or hyper server, which will become a WebSocket.
///
/// In axum it is an extractor. Use `any` for the route, not `get`: over HTTP/2 the method is CONNECT.
///
/// ```no_run
/// use axum::{Router, response::Response, routing::any};
/// use sockeye::{Error, WebSocket, upgrade::WebSocketUpgrade};
///
/// async fn echo(mut websocket: WebSocket) -> Result<(), Error> {
///     while let Some(message) = websocket.recv().await? {
///         websocket.send(message).await?;
///     }
///     Ok(())
/// }
///
/// async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|websocket| async {
///         if let Err(error) = echo(websocket).await {
///             eprintln!("{}", error.report());
///         }
///     })
/// }
///
/// let app: Router = Router::new().route("/echo", any(upgrade));
/// ```
///
/// With hyper, [`upgrade`] makes one. The origin of a browser's page is checked in both cases:
/// see [`WebSocketUpgrade::origins`].
#[must_use = "the request is not upgraded before `on_upgrade` or `endpoint` makes the response"]
pub struct WebSocketUpgrade {
    incoming: Incoming,
    version: Version,
    stream: OnUpgrade,
    origins: Origins,
    subprotocols: Vec<String>,
    settings: Settings,
    /// `None` unless it has joined [`Upgrades`].
    registration: Option<Registration>,
    failed: Option<Box<dyn FnOnce(Error) + Send>>,
}

/// Checks a request that hyper has parsed, and takes over its connection.
///
/// ```no_run
/// # use std::convert::Infallible;
/// use axum::{body::Body, response::{IntoResponse, Response}};
/// use hyper::{Request, body::Incoming};
///
/// async fn serve(mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
///     Ok(match sockeye::upgrade::upgrade(&mut request) {
///         Ok(upgrade) => upgrade.on_upgrade(|websocket| async move {
///             if let Err(error) = websocket.send("hello").await {
///                 eprintln!("{}", error.report());
///             }
///         }),
///         Err(refusal) => refusal.into_response(),
///     })
/// }
/// ```
///
/// # Errors
///
/// Returns the response for a request that isn't a valid handshake, or whose connection the HTTP server can't hand over.
/// If hyper serves HTTP/1.1 without `with_upgrades`, the failure shows only after the response:
/// see [`WebSocketUpgrade::on_failed_upgrade`].
pub fn upgrade<B>(request: &mut http::Request<B>) -> Result<WebSocketUpgrade, Refusal> {
    let stream = request.extensions_mut().remove::<OnUpgrade>();
    let peer_addr = peer_addr_of(request.extensions());
    // Only the HTTP server knows whether there is TLS.
    let mut incoming = Incoming::from_http(request, peer_addr, Tls::No)?;
    incoming.request.info =
        RequestInfo::of_foreign(request.extensions(), request.uri(), request.headers());
    let stream = stream.ok_or_else(|| {
        let text = "this connection cannot be upgraded\n";
        Refusal::text(StatusCode::UPGRADE_REQUIRED, text).header("upgrade", "websocket")
    })?;
    Ok(WebSocketUpgrade {
        incoming,
        version: request.version(),
        stream,
        origins: Origins::default(),
        subprotocols: Vec::new(),
        settings: Settings::default(),
        registration: None,
        failed: None,
    })
}

impl WebSocketUpgrade {
    /// Returns the request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.incoming.request
    }

    /// Counts the WebSocket among `upgrades`, whose drain closes it. The client's address is the one that the server's
    /// trusted proxies name, and the settings are the server's: call [`WebSocketUpgrade::settings`] after it. If the
    /// WebSocket has joined already, it leaves those.
    ///
    /// As an extractor it has joined the [`Upgrades`] in an `Extension` layer of axum.
    ///
    /// ```no_run
    /// # use std::convert::Infallible;
    /// use axum::{body::Body, response::{IntoResponse, Response}};
    /// use hyper::{Request, body::Incoming};
    /// use sockeye::upgrade::{Upgrades, upgrade};
    ///
    /// async fn serve(mut request: Request<Incoming>, upgrades: Upgrades) -> Result<Response<Body>, Infallible> {
    ///     let joined = upgrade(&mut request).and_then(|upgrade| upgrade.join(&upgrades));
    ///     Ok(match joined {
    ///         Ok(upgrade) => upgrade.on_upgrade(|websocket| async move {
    ///             if let Err(error) = websocket.send("hello").await {
    ///                 eprintln!("{error}");
    ///             }
    ///         }),
    ///         Err(refusal) => refusal.into_response(),
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns 503 if the server is being drained, has [`crate::Server::connections_max`] connections or has no memory
    /// left, and 429 if the client's address has reached its limits.
    pub fn join(mut self, upgrades: &Upgrades) -> Result<Self, Refusal> {
        self.registration = None;
        let Joined {
            registration,
            settings,
        } = upgrades.admit(&mut self.incoming)?;
        self.registration = Some(registration);
        self.settings = settings;
        Ok(self)
    }

    /// Sets which web pages may open the WebSocket. Default [`Origins::Same`].
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the subprotocols that the server speaks, best first. Default none.
    pub fn subprotocols(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how the connection is run. Limits of the handshake have no effect: the HTTP server applies its own.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the limits of the settings.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Accepts permessage-deflate (RFC 7692) if the client offers it. Default: what the settings say, which is no.
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// Calls `failed` if the HTTP server doesn't hand the connection over after the response, so that neither a
    /// conversation nor an endpoint begins. The kind of the error is [`ErrorKind::Io`] if the peer was gone, and
    /// [`ErrorKind::Config`] if hyper serves without `with_upgrades`, which is also logged as an error. Default: nothing
    /// is called.
    pub fn on_failed_upgrade(mut self, failed: impl FnOnce(Error) + Send + 'static) -> Self {
        self.failed = Some(Box::new(failed));
        self
    }

    /// Returns the response, and runs the conversation `talk` in a task of its own: loop style.
    ///
    /// If the origin is refused, returns 403 and drops `talk`.
    pub fn on_upgrade<F, T>(self, talk: F) -> Response
    where
        F: FnOnce(WebSocket) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        self.answer(|established, registration| async move {
            let Some(registration) = registration else {
                return match WebSocket::new(established) {
                    Ok(websocket) => talk(websocket).await,
                    Err(error) => report(&error),
                };
            };
            let handler = Handler::conversation(talk);
            if let Err(error) = handler.spawn(established, registration) {
                report(&error);
            }
        })
    }

    /// Returns the response, and runs `endpoint` in a task of its own: callback style.
    ///
    /// If the origin is refused, returns 403 and drops `endpoint`.
    pub fn endpoint<E: Endpoint>(self, endpoint: E) -> Response {
        self.answer(|established, registration| async move {
            let endpoint = Box::new(endpoint);
            let begun = match registration {
                Some(registration) => Handler::Endpoint(endpoint).spawn(established, registration),
                None => endpoint::spawn(established, endpoint).map(drop),
            };
            if let Err(error) = begun {
                report(&error);
            }
        })
    }

    fn answer<F, T>(self, open: F) -> Response
    where
        F: FnOnce(Established, Option<Registration>) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let Incoming { request, handshake } = self.incoming;
        if !self.origins.admit(&request.fields, &request.info) {
            return refuse_origin(&request, &ORIGIN_LOG, ORIGIN_ADVICE).into_response();
        }
        let plain = Negotiated {
            settings: self.settings,
            keeps_request: true,
            ..Negotiated::default()
        };
        let agreement = Agreement::new(
            &handshake,
            &Arc::new(plain),
            &SharedNegotiated::default(),
            &self.subprotocols,
        );
        let (status, headers) = agreement.response_parts(&handshake, self.version);
        let (stream, version, failed) = (self.stream, self.version, self.failed);
        let registration = self.registration;
        tokio::spawn(async move {
            let stream = match stream.await {
                Ok(stream) => stream,
                Err(error) => {
                    let error = upgrade_error(error);
                    if let Some(failed) = failed {
                        failed(error);
                    }
                    return;
                }
            };
            let stream = TokioIo::new(stream);
            let established = Established {
                io: match version {
                    Version::HTTP_2 => Io::from_stream(SmallWrites(stream)),
                    _ => Io::from_stream(stream),
                },
                leftover: Vec::new(),
                role: Role::Server,
                negotiated: agreement.negotiated(),
                request: Arc::new(request),
            };
            open(established, registration).await;
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

fn report(error: &Error) {
    tracing::error!(error = %error.report(), "a WebSocket could not begin");
}

/// Makes the error for a connection that wasn't handed over.
fn upgrade_error(error: hyper::Error) -> Error {
    match error.is_user() {
        true => {
            let message = "the HTTP server doesn't hand connections over: with hyper, serve the connection \
                           `.with_upgrades()`";
            tracing::error!(%error, "{message}");
            Error::new(ErrorKind::Config, message)
        }
        false => {
            tracing::debug!(%error, "the peer was gone before its upgrade");
            Error::new(ErrorKind::Io, "the peer was gone before its upgrade")
        }
    }
    .with_source(error)
}

/// Global, because axum's and hyper's servers have no place for it.
static ORIGIN_LOG: LogLimit = LogLimit::new();

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut request::Parts,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        let stream = parts.extensions.remove::<OnUpgrade>();
        let mut request = http::Request::from_parts(parts.clone(), ());
        if let Some(stream) = stream {
            request.extensions_mut().insert(stream);
        }
        let upgrade = upgrade(&mut request)?;
        match parts.extensions.get::<Upgrades>() {
            Some(upgrades) => upgrade.join(upgrades),
            None => Ok(upgrade),
        }
    }
}

impl fmt::Debug for WebSocketUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketUpgrade")
            .field("request", &self.incoming.request)
            .field("origins", &self.origins)
            .field("subprotocols", &self.subprotocols)
            .finish_non_exhaustive()
    }
}
