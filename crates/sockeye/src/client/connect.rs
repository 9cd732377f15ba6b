//! The builder of a client connection, and the steps from it to an open WebSocket.

use std::{
    fmt,
    future::{Future, IntoFuture},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use sockeye_proto::{Role, handshake::Agreed};

use crate::{
    Deflate, Limits,
    client::{
        address_overrides::AddressOverrides,
        dial::{DialedStream, Dialer, HttpVersion},
        http1::{self, Http1Answer},
        own_headers::OwnHeaders,
        phase::Timeouts,
        proxy::Proxy,
        redirect::{next_target, refusal},
        target::{Target, shown},
        upgrade_request::{RequestOptions, UpgradeRequest},
    },
    connection::{Established, Io, Session, Stream},
    endpoint::{self, Endpoint},
    error::{Error, Rejection},
    handshake::{Negotiated, Request, RequestInfo, Shown, Tls},
    settings::Settings,
    tls::{Alpn, ClientTls},
    websocket::WebSocket,
};

/// Dials a WebSocket server: `ws://…` or `wss://…`, or `ws+unix:…` for a Unix socket ([`Connect::unix_socket`]).
///
/// Nothing is dialled before the result is awaited. Errors in the URL and in the options are returned then.
/// A user and a password in the URL are sent as `Basic` credentials (RFC 7617).
///
/// ```no_run
/// # async fn example() -> Result<(), sockeye::Error> {
/// let mut websocket = sockeye::connect("wss://example.com/feed")
///     .subprotocols(["v2"])
///     .header("Authorization", "Bearer abc")
///     .await?;
/// websocket.send("hello").await?;
/// # Ok(()) }
/// ```
pub fn connect(url: impl Into<String>) -> Connect {
    Connect {
        url: url.into(),
        headers: OwnHeaders::default(),
        addresses: AddressOverrides::default(),
        unix_socket: None,
        subprotocols: Vec::new(),
        settings: Settings::default(),
        tls: ClientTls::new(),
        proxy: None,
        redirects_max: 0,
        timeouts: Timeouts::default(),
        http2: Http2::default(),
    }
}

/// A client connection to be dialled, with its options. [`connect`] makes it; await it for a [`WebSocket`], or finish it
/// with [`endpoint`](Self::endpoint), [`over`](Self::over) or [`reconnect`](Self::reconnect).
///
/// A clone dials the same again. TLS sessions are resumed across clones.
///
/// # Errors
///
/// Awaiting it returns an error of kind
/// - [`ErrorKind::Url`] or [`ErrorKind::Config`] if the URL or an option is wrong, before anything is dialled;
/// - [`ErrorKind::Resolve`], [`ErrorKind::Io`], [`ErrorKind::Proxy`] or [`ErrorKind::Tls`] if the server can't be
///   reached;
/// - [`ErrorKind::Timeout`] with the phase and the peer that took too long;
/// - [`ErrorKind::Refused`] if the server answers with another status than 101: [`Error::rejection`] has the response;
/// - [`ErrorKind::Handshake`] if the server breaks the opening handshake;
/// - [`ErrorKind::Limit`] if the response is too long.
///
/// [`ErrorKind::Url`]: crate::ErrorKind::Url
/// [`ErrorKind::Config`]: crate::ErrorKind::Config
/// [`ErrorKind::Resolve`]: crate::ErrorKind::Resolve
/// [`ErrorKind::Io`]: crate::ErrorKind::Io
/// [`ErrorKind::Proxy`]: crate::ErrorKind::Proxy
/// [`ErrorKind::Tls`]: crate::ErrorKind::Tls
/// [`ErrorKind::Timeout`]: crate::ErrorKind::Timeout
/// [`ErrorKind::Refused`]: crate::ErrorKind::Refused
/// [`ErrorKind::Handshake`]: crate::ErrorKind::Handshake
/// [`ErrorKind::Limit`]: crate::ErrorKind::Limit
///
/// # Panics
///
/// Panics if it is awaited outside a tokio runtime.
///
/// # Cancel safety
///
/// Dropping the future at any point ends the dialling and closes what is open.
#[derive(Clone)]
#[must_use = "nothing is dialled before this is awaited"]
pub struct Connect {
    pub(super) url: String,
    pub(super) headers: OwnHeaders,
    pub(super) addresses: AddressOverrides,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) subprotocols: Vec<String>,
    pub(super) settings: Settings,
    pub(super) tls: ClientTls,
    pub(super) proxy: Option<Proxy>,
    pub(super) redirects_max: u32,
    pub(super) timeouts: Timeouts,
    pub(super) http2: Http2,
}

/// Whether a client offers HTTP/2 for its WebSocket (RFC 8441).
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// Offers HTTP/1.1 only. The default, as in a browser's new connections. A WebSocket that is alone in its connection
    /// gains nothing from HTTP/2, and a server that speaks HTTP/2 without RFC 8441 has to be dialled twice.
    #[default]
    Off,
    /// Offers HTTP/2 and HTTP/1.1 for `wss:`. Uses HTTP/2 if the server picks it and supports RFC 8441, otherwise dials
    /// again with HTTP/1.1. `ws:` always uses HTTP/1.1.
    #[cfg(feature = "http2")]
    Auto,
}

impl Connect {
    /// Replaces the URL.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Adds a header field to the request. A name may be added several times. Names and values are strings, or
    /// the types of crate `http`; over HTTP/1.1 a name is written in title case.
    ///
    /// These are errors of kind [`ErrorKind::Config`](crate::ErrorKind::Config): fields of the handshake (`Connection`,
    /// `Upgrade`, `Sec-WebSocket-…`), fields of a body, and values with a line break. `Authorization` replaces the one
    /// from the user and password of the URL, and `User-Agent` replaces `sockeye/VERSION`. `Host` replaces the host of
    /// the URL, over HTTP/2 in `:authority`; for TLS the name stays that of the URL, see [`ClientTls::server_name`].
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.headers.add(name, value);
        self
    }

    /// Offers these subprotocols, best first. They must be different tokens. The server picks one or none:
    /// see [`WebSocket::subprotocol`]. Default none.
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets how the connection is run: limits, queues, compression.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Offers permessage-deflate (RFC 7692). Default: not offered.
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// Sets the limits of the settings: what the server can make this end hold and wait for.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets which servers to trust and which certificate to show. Default: the roots of the operating system, and no
    /// certificate.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// Connects through this proxy, unless it excludes the host of the URL. Default: no proxy, whatever the
    /// environment says; [`Proxy::from_env`] reads the environment.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Sets how many redirects (301, 302, 303, 307, 308) to follow. Default 0, as in browsers: a
    /// server that redirects decides which server gets the messages.
    ///
    /// A redirect from `wss:` to `ws:` is never followed. A server of another origin (scheme, host or port) doesn't get
    /// what may be a secret. Of the header fields set here it gets `User-Agent`, `Accept-Language` and `Origin`. It gets
    /// no subprotocols, since many servers take a token as one, and neither the user and password of the URL nor the
    /// client certificate. To offer a subprotocol to that server, dial it directly.
    pub fn redirects_max(mut self, redirects: u32) -> Self {
        self.redirects_max = redirects;
        self
    }

    /// Sets the addresses of a host and a port, in place of the resolver's: for a server that isn't in DNS yet, or for
    /// one of several servers with one name. May be called for several hosts. A later call for the same
    /// host and port replaces the earlier one. Default none.
    ///
    /// The request, SNI and the check of the certificate keep the name of the URL. The addresses are used for targets of
    /// redirects and for the host of a proxy, too. They aren't used for a host that the proxy resolves: every target
    /// behind an HTTP proxy or `socks5h`.
    ///
    /// A `host` that no URL can have is an error of kind [`ErrorKind::Config`](crate::ErrorKind::Config), and an empty
    /// list one of kind [`ErrorKind::Resolve`](crate::ErrorKind::Resolve).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// let canary = std::net::IpAddr::from([10, 0, 0, 7]);
    /// let websocket = sockeye::connect("wss://example.com/feed")
    ///     .resolve("example.com", 443, [canary])
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn resolve(
        mut self,
        host: impl Into<String>,
        port: u16,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        self.addresses
            .add(host.into(), port, addresses.into_iter().collect());
        self
    }

    /// Limits the time for resolving the host's name. Default 10 s.
    pub fn resolve_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.resolve = limit;
        self
    }

    /// Limits the time for a TCP connection, for each address. Default 7 s.
    ///
    /// The addresses of a name are tried 250 ms apart, IPv6 and IPv4 alternately (RFC 8305).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.connect = limit;
        self
    }

    /// Limits the time in which a proxy must connect to the server, for each connection to the proxy. Default 20 s.
    pub fn proxy_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.proxy = limit;
        self
    }

    /// Limits the time for each TLS handshake. Default 10 s.
    pub fn tls_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.tls = limit;
        self
    }

    /// Limits the time from the request to the end of the response: [`Limits::handshake_timeout`]. Default 10 s.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.handshake_timeout = limit;
        self
    }

    /// Sets whether to offer HTTP/2. Default [`Http2::Off`].
    #[cfg(feature = "http2")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
    pub fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    /// Dials, and runs `endpoint` on the connection in a task of its own: callback style.
    ///
    /// # Errors
    ///
    /// The errors of awaiting `self`: see [`Connect`].
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the dialling, closes what is open and drops `endpoint` without a call.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// use sockeye::{Endpoint, Message, Reply, Session};
    ///
    /// struct Mirror;
    /// impl Endpoint for Mirror {
    ///     fn on_message(&mut self, _session: &Session, _message: Message<'_>) -> Reply {
    ///         Reply::Echo
    ///     }
    /// }
    /// let session = sockeye::connect("ws://127.0.0.1:9001/").endpoint(Mirror).await?;
    /// # Ok(()) }
    /// ```
    pub async fn endpoint<E: Endpoint>(self, endpoint: E) -> Result<Session, Error> {
        let established = Box::pin(self.establish()).await?;
        endpoint::spawn(established, Box::new(endpoint))
    }

    /// Opens a WebSocket over a stream that is connected to the server: a tunnel, a serial line, one end of a pipe in a
    /// test.
    ///
    /// Nothing is dialled, no TLS and no proxy is used, and redirects aren't followed. `Host` and the request target
    /// come from the URL.
    ///
    /// # Errors
    ///
    /// The errors of awaiting `self` that concern the URL, the options and the opening handshake: see [`Connect`].
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let (near, far) = tokio::io::duplex(64 << 10);
    /// let server = sockeye::Server::unbound().start().await?;
    /// server.accept(far, None);
    /// let refused = sockeye::connect("ws://localhost/feed").over(near).await;
    /// assert!(refused.is_err(), "the server has no route");
    /// # Ok(()) }
    /// ```
    pub async fn over<S: Stream>(self, stream: S) -> Result<WebSocket, Error> {
        let (url, _) = self.location()?;
        let request = self.upgrade_request(&url)?;
        let dialed = DialedStream {
            stream: Box::new(stream),
            peer_addr: None,
            http: HttpVersion::Http1,
        };
        match Box::pin(self.open_http1(&request, dialed)).await? {
            Outcome::Established(established) => WebSocket::new(*established),
            Outcome::Rejection(rejection) => {
                Err(with_request(refusal(&request.target, rejection), &request))
            }
        }
    }

    /// Dials, and follows redirects.
    ///
    /// RFC 6455 section 4.1 item 2 allows one handshake at a time to one address, so that a page can't flood the server
    /// of a third party. We don't: this client runs in a program whose owner decides how often it dials, for example
    /// to put load on a server.
    async fn establish(&self) -> Result<Established, Error> {
        let (url, unix_socket) = self.location()?;
        let mut request = self.upgrade_request(&url)?;
        self.addresses.check()?;
        let mut redirects_left = self.redirects_max;
        loop {
            let rejection = match self.open(&request, unix_socket.as_deref()).await? {
                Outcome::Established(established) => return Ok(*established),
                Outcome::Rejection(rejection) => rejection,
            };
            let next = next_target(&request.target, rejection, redirects_left)
                .map_err(|error| with_request(error, &request))?;
            redirects_left -= 1;
            tracing::debug!(from = %request.target, to = %next, "following a redirect");
            request = request.redirected(next, self.settings.deflate.as_ref())?;
        }
    }

    /// Makes the first request.
    fn upgrade_request(&self, url: &str) -> Result<UpgradeRequest, Error> {
        let options = RequestOptions {
            headers: self.headers.fields()?.to_vec(),
            subprotocols: self.subprotocols.clone(),
            tls: self.tls.clone(),
        };
        let target = Target::parse(url)?;
        UpgradeRequest::new(target, options, self.settings.deflate.as_ref())
    }

    /// Dials the target of `request`, and sends it.
    async fn open(
        &self,
        request: &UpgradeRequest,
        unix_socket: Option<&Path>,
    ) -> Result<Outcome, Error> {
        let target = &request.target;
        let dialer = Dialer {
            timeouts: &self.timeouts,
            addresses: &self.addresses,
            unix_socket,
            proxy: self.proxy.as_ref(),
            tls: &request.options.tls,
            limits: &self.settings.limits,
        };
        let alpn = match self.http2 {
            Http2::Off => Alpn::Http1,
            #[cfg(feature = "http2")]
            Http2::Auto => Alpn::Http1AndHttp2,
        };
        #[cfg_attr(
            not(feature = "http2"),
            expect(unused_mut, reason = "only HTTP/2 dials a second time")
        )]
        let mut dialed = dialer.dial(target, alpn).await?;
        #[cfg(feature = "http2")]
        if dialed.http == HttpVersion::Http2 {
            if let Some(outcome) = self.open_http2(request, dialed).await? {
                return Ok(outcome);
            }
            tracing::debug!(%target, "the server doesn't support WebSocket over HTTP/2");
            dialed = dialer.dial(target, Alpn::Http1).await?;
        }
        self.open_http1(request, dialed).await
    }

    async fn open_http1(
        &self,
        request: &UpgradeRequest,
        mut dialed: DialedStream,
    ) -> Result<Outcome, Error> {
        let limits = &self.settings.limits;
        let server = request.target.authority();
        let answer = http1::upgrade(
            &mut dialed.stream,
            &request.http1_bytes,
            &request.handshake,
            limits,
            &server,
        );
        match answer.await.map_err(|error| with_request(error, request))? {
            Http1Answer::Opened {
                agreed,
                headers,
                leftover,
            } => {
                let sent = request.http1_headers();
                Ok(Outcome::Established(Box::new(Established {
                    io: Io::from_stream(dialed.stream),
                    leftover,
                    role: Role::Client,
                    negotiated: self.negotiated(agreed, headers),
                    request: Arc::new(sent_request(request, sent, dialed.peer_addr)),
                })))
            }
            Http1Answer::Rejection(rejection) => Ok(Outcome::Rejection(rejection)),
        }
    }

    /// Opens the WebSocket over HTTP/2. Returns `None` if the server doesn't support it.
    #[cfg(feature = "http2")]
    async fn open_http2(
        &self,
        request: &UpgradeRequest,
        dialed: DialedStream,
    ) -> Result<Option<Outcome>, Error> {
        use crate::client::http2;

        let limits = &self.settings.limits;
        let peer_addr = dialed.peer_addr;
        let answer = http2::upgrade(dialed.stream, request, limits);
        Ok(Some(match answer.await? {
            http2::Http2Answer::Opened {
                stream,
                agreed,
                request_headers,
                headers,
            } => Outcome::Established(Box::new(Established {
                io: Io::from_stream(stream),
                leftover: Vec::new(),
                role: Role::Client,
                negotiated: self.negotiated(agreed, headers),
                request: Arc::new(sent_request(request, request_headers, peer_addr)),
            })),
            http2::Http2Answer::Rejection(rejection) => Outcome::Rejection(rejection),
            http2::Http2Answer::Unsupported => return Ok(None),
        }))
    }

    fn negotiated(&self, agreed: Agreed, response_headers: HeaderMap) -> Arc<Negotiated> {
        Arc::new(Negotiated {
            settings: self.settings.clone(),
            deflate: agreed.deflate,
            subprotocol: agreed.subprotocol,
            response_headers,
            keeps_request: true,
        })
    }
}

/// Returns the request as the program sees it.
fn sent_request(
    request: &UpgradeRequest,
    headers: HeaderMap,
    peer_addr: Option<SocketAddr>,
) -> Request {
    let target = &request.target;
    let info = RequestInfo::shown(Shown {
        peer_addr,
        tls: match target.is_tls() {
            true => Tls::Yes,
            false => Tls::No,
        },
        host: headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    });
    Request {
        uri: target.request_target().parse::<Uri>().unwrap_or_default(),
        fields: headers.into(),
        peer_addr,
        info,
        tls: target.is_tls(),
        subprotocols: request.options.subprotocols.clone(),
        ..Request::default()
    }
}

/// Adds the request over HTTP/1.1 to the error of its handshake.
fn with_request(error: Error, request: &UpgradeRequest) -> Error {
    error.with_request(sent_request(request, request.http1_headers(), None))
}

impl IntoFuture for Connect {
    type Output = Result<WebSocket, Error>;
    type IntoFuture = Connecting;

    fn into_future(self) -> Connecting {
        Connecting(Box::pin(async move {
            let established = self.establish().await?;
            WebSocket::new(established)
        }))
    }
}

/// Shows only the names of header fields, since values may be secrets.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("url", &shown(&self.url))
            .field("headers", &self.headers)
            .field("addresses", &self.addresses)
            .field("unix_socket", &self.unix_socket)
            .field("subprotocols", &self.subprotocols)
            .field("settings", &self.settings)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy)
            .field("redirects_max", &self.redirects_max)
            .field("timeouts", &self.timeouts)
            .field("http2", &self.http2)
            .finish()
    }
}

/// The future of a [`Connect`] that is awaited.
#[must_use = "nothing is dialled before this is awaited"]
pub struct Connecting(Pin<Box<dyn Future<Output = Result<WebSocket, Error>> + Send>>);

impl Future for Connecting {
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connecting")
    }
}

/// The answer of one target.
enum Outcome {
    Established(Box<Established>),
    Rejection(Rejection),
}
