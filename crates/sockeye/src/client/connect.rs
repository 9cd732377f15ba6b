//! What a program says before it dials.

use std::{
    fmt,
    future::{Future, IntoFuture},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Uri, header};
use sockeye_proto::{Role, handshake::Agreed};

use crate::{
    Deflate, Limits,
    client::{
        address_overrides::AddressOverrides,
        dial::{Dialer, HttpVersion, Transport},
        hop::Hop,
        http1::{self, Answer},
        phase::Timeouts,
        proxy::Proxy,
        redirect::{next_target, refusal},
        target::Target,
    },
    connection::{Established, Io, Session, Stream},
    endpoint::{self, Endpoint},
    error::{Error, Rejection},
    handshake::{Negotiated, Request, RequestInfo, Shown, Tls},
    settings::Settings,
    tls::{Alpn, ClientTls},
    websocket::WebSocket,
};

/// Dials a WebSocket: `ws://…` or `wss://…`.
///
/// Nothing happens before the result is awaited, and errors in what it's told are reported then.
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
        headers: Vec::new(),
        addresses: AddressOverrides::default(),
        subprotocols: Vec::new(),
        settings: Settings::default(),
        tls: ClientTls::new(),
        proxy: None,
        redirects_max: 0,
        timeouts: Timeouts::default(),
        http2: Http2::default(),
    }
}

/// What to dial, and how. Made by [`connect`]; await it, or end it with
/// [`endpoint`](Self::endpoint) or [`over`](Self::over).
///
/// A clone dials the same again; TLS sessions resume across clones.
///
/// # Errors
///
/// Awaiting yields an error of kind
/// - `Url` or `Config` for what was said wrong here, before anything is dialled;
/// - `Resolve`, `Io`, `Proxy` or `Tls` for what went wrong on the way to the server;
/// - `Timeout`, with the phase and the peer that took too long;
/// - `Refused` if the server answers with an HTTP status: [`Error::rejection`] has the answer;
/// - `Handshake` if its answer is no right answer;
/// - `Limit` if its answer is too long.
///
/// # Panics
///
/// Awaited outside a tokio runtime.
///
/// # Cancel safety
///
/// Dropping the future at any point ends the dialling and closes what was open.
#[derive(Clone)]
#[must_use = "nothing is dialled before this is awaited"]
pub struct Connect {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) addresses: AddressOverrides,
    pub(super) subprotocols: Vec<String>,
    pub(super) settings: Settings,
    pub(super) tls: ClientTls,
    pub(super) proxy: Option<Proxy>,
    pub(super) redirects_max: u32,
    pub(super) timeouts: Timeouts,
    pub(super) http2: Http2,
}

/// Whether a WebSocket may travel in a stream of HTTP/2 (RFC 8441).
#[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Http2 {
    /// Only HTTP/1.1. The default, as in browsers' new connections: alone in its connection a
    /// WebSocket gains nothing from HTTP/2, and a server that speaks HTTP/2 but not RFC 8441 costs a second dialling.
    #[default]
    Off,
    /// Offers HTTP/2 and HTTP/1.1 on TLS and takes HTTP/2 if the server picks it and can carry a
    /// WebSocket in it; dials again with HTTP/1.1 if it can't. Plain `ws:` is HTTP/1.1.
    #[cfg(feature = "http2")]
    Auto,
}

impl Connect {
    /// Dials this URL instead.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Adds a header field to the request. The same name may be given several times.
    ///
    /// Fields of the handshake itself (`Connection`, `Upgrade`, `Sec-WebSocket-…`) and of
    /// a body, and values that would end their line, are errors of kind `Config`. An
    /// `Authorization` goes before the one of the URL's user and password; a `User-Agent` replaces ours,
    /// a `Host` the one of the URL (over HTTP/2 in `:authority`; TLS still asks for the URL's name, see
    /// [`ClientTls::server_name`]).
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers these subprotocols, best first: tokens, none twice. The server picks one or none:
    /// see [`WebSocket::subprotocol`]. Default none.
    pub fn subprotocols<I>(mut self, names: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// How the connection is run: limits, queues, compression.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Offers permessage-deflate (RFC 7692). Default: not offered.
    pub fn deflate(mut self, deflate: Deflate) -> Self {
        self.settings.deflate = Some(deflate);
        self
    }

    /// What the server can make grow.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Whom to trust, who we are. Default: the roots of the operating system, nobody.
    #[cfg(feature = "rustls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = tls;
        self
    }

    /// The proxy to go through, if it holds for the URL. Default: directly, whatever the
    /// environment says; [`Proxy::from_env`] asks it.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// How many redirects (301, 302, 303, 307, 308) to follow. Default 0, as in browsers: a
    /// server that says "elsewhere" chooses who gets the messages.
    ///
    /// Never from `wss:` to `ws:`. Another origin (scheme, host or port) is not told what may be a secret: of the
    /// header fields set here only `User-Agent`, `Accept-Language` and `Origin`, no subprotocol (many servers take a
    /// token as one), neither the URL's user and password nor the client certificate. So the server there
    /// can't choose a subprotocol; dial it directly to offer some.
    pub fn redirects_max(mut self, redirects: u32) -> Self {
        self.redirects_max = redirects;
        self
    }

    /// Connects to these addresses for a host and a port, and doesn't ask the resolver: for a server that DNS
    /// doesn't name yet, or for one of several behind a name. May be called for many hosts; a later call for the same
    /// host and port replaces the earlier one. Default none.
    ///
    /// The request, SNI and the check of the certificate keep the name of the URL. The addresses hold for targets of
    /// redirects too, and for a proxy's own host. They don't hold for a host that the proxy itself resolves: that
    /// is every target behind an HTTP proxy or `socks5h`.
    ///
    /// A `host` that no URL can have is an error of kind `Config`; no address at all is one of kind `Resolve`.
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

    /// For resolving the host's name. Default 10 s.
    pub fn resolve_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.resolve = limit;
        self
    }

    /// For TCP to answer, per address. Default 7 s.
    ///
    /// A name's addresses are tried 250 ms after each other, the families in turns (RFC 8305).
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.connect = limit;
        self
    }

    /// For a proxy to lead on to the server, per connection to it. Default 20 s.
    pub fn proxy_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.proxy = limit;
        self
    }

    /// For each TLS handshake. Default 10 s.
    pub fn tls_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.tls = limit;
        self
    }

    /// From our request to the server's whole answer: [`Limits::handshake_timeout`]. Default 10 s.
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.handshake_timeout = limit;
        self
    }

    /// Whether to use HTTP/2 where the server can. Default [`Http2::Off`].
    #[cfg(feature = "http2")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http2")))]
    pub fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    /// Dials and runs `endpoint` on the connection, in a task of its own: callback style.
    ///
    /// # Errors
    /// As for awaiting `self`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// As for awaiting `self`; `endpoint` is then dropped without a call.
    ///
    /// # Example
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

    /// Opens a WebSocket over a stream that leads to the server already: a Unix socket, a tunnel,
    /// one end of a pipe in a test.
    ///
    /// The stream is taken as it is: nothing is dialled, no TLS and no proxy is added, redirects
    /// aren't followed. The URL gives `Host` and the request target.
    ///
    /// # Errors
    /// As for awaiting `self`, as far as they concern the opening handshake.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let socket = tokio::net::UnixStream::connect("/run/feed.sock").await?;
    /// let websocket = sockeye::connect("ws://localhost/feed").over(socket).await?;
    /// # Ok(()) }
    /// ```
    pub async fn over<S: Stream>(self, stream: S) -> Result<WebSocket, Error> {
        let target = Target::parse(&self.url)?;
        let transport = Transport {
            stream: Box::new(stream),
            peer_addr: None,
            http: HttpVersion::Http1,
        };
        let hop = Hop::new(&self, target)?;
        match Box::pin(self.open_http1(&hop, transport)).await? {
            Outcome::Established(established) => WebSocket::new(*established),
            Outcome::Rejection(refused) => Err(self.explained(refusal(&hop.target, refused), &hop)),
        }
    }

    /// Dials, through all redirects.
    ///
    /// RFC 6455 section 4.1 item 2 lets only one handshake at a time go to one address, so that a page
    /// can't flood a stranger's server. Here it's a program that dials, which knows what it does,
    /// and which may be there to load a server of its own.
    async fn establish(&self) -> Result<Established, Error> {
        let mut hop = Hop::new(self, Target::parse(&self.url)?)?;
        self.addresses.check()?;
        let mut redirects_left = self.redirects_max;
        loop {
            let refused = match self.open(&hop).await? {
                Outcome::Established(established) => return Ok(*established),
                Outcome::Rejection(refused) => refused,
            };
            let next = next_target(&hop.target, refused, redirects_left)
                .map_err(|error| self.explained(error, &hop))?;
            redirects_left -= 1;
            tracing::debug!(from = %hop.target, to = %next, "following a redirect");
            hop = hop.after(self, next)?;
        }
    }

    /// Dials one target.
    async fn open(&self, hop: &Hop) -> Result<Outcome, Error> {
        let dialer = Dialer {
            timeouts: &self.timeouts,
            addresses: &self.addresses,
            proxy: self.proxy.as_ref(),
            tls: &hop.tls,
            limits: &self.settings.limits,
        };
        let alpn = match self.http2 {
            Http2::Off => Alpn::Http1,
            #[cfg(feature = "http2")]
            Http2::Auto => Alpn::Http1AndHttp2,
        };
        #[cfg_attr(
            not(feature = "http2"),
            expect(unused_mut, reason = "there is no second dialling")
        )]
        let mut transport = dialer.dial(&hop.target, alpn).await?;
        #[cfg(feature = "http2")]
        if transport.http == HttpVersion::Http2 {
            if let Some(outcome) = self.open_http2(hop, transport).await? {
                return Ok(outcome);
            }
            tracing::debug!(target = %hop.target, "no WebSocket over HTTP/2 here");
            transport = dialer.dial(&hop.target, Alpn::Http1).await?;
        }
        self.open_http1(hop, transport).await
    }

    async fn open_http1(&self, hop: &Hop, mut transport: Transport) -> Result<Outcome, Error> {
        let limits = &self.settings.limits;
        let server = hop.target.authority();
        let stream = &mut transport.stream;
        let answer = http1::upgrade(stream, &hop.request, &hop.handshake, limits, &server).await;
        match answer.map_err(|error| self.explained(error, hop))? {
            Answer::Opened {
                agreed,
                headers,
                leftover,
            } => {
                let sent = hop.sent();
                Ok(Outcome::Established(Box::new(Established {
                    io: Io::from_stream(transport.stream),
                    leftover,
                    role: Role::Client,
                    negotiated: self.negotiated(agreed, headers),
                    request: Arc::new(self.request(hop, sent, transport.peer_addr)),
                })))
            }
            Answer::Rejection(refused) => Ok(Outcome::Rejection(refused)),
        }
    }

    /// None if the server can't.
    #[cfg(feature = "http2")]
    async fn open_http2(&self, hop: &Hop, transport: Transport) -> Result<Option<Outcome>, Error> {
        use crate::client::http2;

        let limits = &self.settings.limits;
        let peer_addr = transport.peer_addr;
        let answer = http2::upgrade(transport.stream, hop, limits);
        Ok(Some(match answer.await? {
            http2::Http2Answer::Opened {
                stream,
                agreed,
                request,
                headers,
            } => Outcome::Established(Box::new(Established {
                io: Io::from_stream(stream),
                leftover: Vec::new(),
                role: Role::Client,
                negotiated: self.negotiated(agreed, headers),
                request: Arc::new(self.request(hop, request, peer_addr)),
            })),
            http2::Http2Answer::Rejection(refused) => Outcome::Rejection(refused),
            http2::Http2Answer::Unable => return Ok(None),
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

    /// The request, as the program sees it.
    fn request(
        &self,
        hop: &Hop,
        headers: HeaderMap,
        peer_addr: Option<std::net::SocketAddr>,
    ) -> Request {
        let target = &hop.target;
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
            subprotocols: hop.subprotocols.clone(),
            ..Request::default()
        }
    }

    /// The error of a handshake, with the request that it answers.
    fn explained(&self, error: Error, hop: &Hop) -> Error {
        error.with_request(self.request(hop, hop.sent(), None))
    }
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

/// Header fields may hold secrets: names only.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Connect")
            .field("url", &crate::client::target::shown(&self.url))
            .field("headers", &headers)
            .field("addresses", &self.addresses)
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

/// A dialling under way: what awaiting a [`Connect`] polls.
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

/// What one target answered.
enum Outcome {
    Established(Box<Established>),
    Rejection(Rejection),
}
