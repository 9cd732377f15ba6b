//! A stream whose opening handshake another library has done.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use sockeye_proto::{
    Role,
    extension::{Deflate, DeflateParams},
};

use crate::{
    connection::{
        established::Established,
        io::{Io, Stream},
    },
    error::{Error, ErrorKind},
    handshake::{Negotiated, Request, RequestInfo, Shown, Tls, host_of},
    settings::Settings,
};

/// A stream whose opening handshake another library has done, and what the two ends have agreed on.
///
/// The library has checked the request (or the response), and with it the origin of a browser's page. What it has
/// agreed on must be told here, or the connection fails at the first frame that needs it: the subprotocol, the
/// parameters of permessage-deflate, and the bytes that it has read behind the head.
///
/// [`crate::WebSocket::from_upgraded`] makes a WebSocket of it (loop style), [`crate::Session::from_upgraded`] runs an
/// endpoint on it (callback style). Both check what was told.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sockeye::Error> {
/// use sockeye::{Deflate, Message, Role, Settings, UpgradedStream, WebSocket};
/// use tokio::io::AsyncWriteExt;
///
/// // A library has answered 101 on this stream. With the head it has read the first half of a frame.
/// let (stream, mut peer) = tokio::io::duplex(1024);
/// let leftover = b"\x81\x82\0\0";
/// let mut response = http::HeaderMap::new();
/// response.insert("sec-websocket-protocol", "chat.v1".parse().unwrap());
/// response.insert("sec-websocket-extensions", "permessage-deflate".parse().unwrap());
///
/// let upgraded = UpgradedStream::new(stream, Role::Server)
///     .leftover(leftover)
///     .response_headers(response)
///     .settings(Settings::default().with_deflate(Deflate::default()));
/// let mut websocket = WebSocket::from_upgraded(upgraded)?;
///
/// assert_eq!(websocket.session().subprotocol(), Some("chat.v1"));
/// peer.write_all(b"\0\0hi").await.unwrap();
/// assert_eq!(websocket.recv().await?, Some(Message::from("hi")));
/// # Ok(()) }
/// ```
#[must_use = "nothing is read before a WebSocket or a session is made of it"]
pub struct UpgradedStream {
    io: Io,
    role: Role,
    leftover: Vec<u8>,
    settings: Settings,
    subprotocol: Option<String>,
    deflate: Option<DeflateParams>,
    request: Request,
    /// Whether `request` is the program's.
    has_request: bool,
    response_headers: HeaderMap,
}

impl UpgradedStream {
    /// Takes a stream on which both ends have finished the opening handshake. `role` is that of this end.
    pub fn new(stream: impl Stream, role: Role) -> Self {
        Self {
            io: Io::from_stream(stream),
            role,
            leftover: Vec::new(),
            settings: Settings::default(),
            subprotocol: None,
            deflate: None,
            request: Request::default(),
            has_request: false,
            response_headers: HeaderMap::new(),
        }
    }

    /// Sets the bytes that were read behind the peer's head. They are handled before anything is read. Default none.
    ///
    /// hyper calls them `read_buf`, in what `Upgraded::downcast` returns.
    pub fn leftover(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.leftover = bytes.into();
        self
    }

    /// Sets how the connection is run. Default [`Settings::default`].
    ///
    /// If permessage-deflate was agreed on, [`Settings::deflate`] must be set. In a client it must be what was offered.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the subprotocol that was agreed on. Default that of [`UpgradedStream::response_headers`], or none.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocol = Some(name.into());
        self
    }

    /// Sets the parameters of permessage-deflate that were agreed on. Default those of
    /// [`UpgradedStream::response_headers`], or no compression.
    pub fn deflate(mut self, params: DeflateParams) -> Self {
        self.deflate = Some(params);
        self
    }

    /// Takes the subprotocol and the extensions from the header fields of the response (101, or 200 over HTTP/2), sent or
    /// received. In a client [`crate::Session::response_headers`] returns them.
    pub fn response_headers(mut self, headers: HeaderMap) -> Self {
        self.response_headers = headers;
        self
    }

    /// Sets the request that opened the connection, which [`crate::Session::request`] returns. In a server it keeps its
    /// extensions. Default an empty request.
    pub fn request<B>(mut self, request: &http::Request<B>) -> Self {
        let headers = request.headers();
        self.request = Request {
            method: request.method().clone(),
            uri: origin_form(request.uri()),
            fields: headers.clone().into(),
            tls: matches!(request.uri().scheme_str(), Some("https" | "wss")),
            subprotocols: offered_subprotocols(headers),
            extensions: request.extensions().clone(),
            peer_addr: self.request.peer_addr,
            info: self.request.info,
            ..Request::default()
        };
        self.has_request = true;
        self.tell_info(host_of(request.uri(), headers));
        self
    }

    /// Sets the address of the TCP peer. Default none.
    pub fn peer_addr(mut self, addr: SocketAddr) -> Self {
        self.request.peer_addr = Some(addr);
        let host = self.request.info.host().map(str::to_owned);
        self.tell_info(host.as_deref());
        self
    }

    fn tell_info(&mut self, host: Option<&str>) {
        self.request.info = RequestInfo::shown(Shown {
            peer_addr: self.request.peer_addr,
            tls: match self.request.tls {
                true => Tls::Yes,
                false => Tls::No,
            },
            host,
        });
    }

    /// Checks what was told.
    ///
    /// # Errors
    ///
    /// Those of [`crate::WebSocket::from_upgraded`].
    pub(crate) fn establish(self) -> Result<Established, Error> {
        let deflate = self.agreed_deflate()?;
        let subprotocol = self.agreed_subprotocol()?;
        let negotiated = Negotiated {
            settings: self.settings,
            deflate,
            subprotocol,
            response_headers: match self.role {
                Role::Client => self.response_headers,
                Role::Server => HeaderMap::new(),
            },
            keeps_request: true,
        };
        Ok(Established {
            io: self.io,
            leftover: self.leftover,
            role: self.role,
            negotiated: Arc::new(negotiated),
            request: Arc::new(self.request),
        })
    }

    fn agreed_deflate(&self) -> Result<Option<DeflateParams>, Error> {
        let fields = self
            .response_headers
            .get_all(header::SEC_WEBSOCKET_EXTENSIONS);
        let fields = || fields.iter().map(HeaderValue::as_bytes);
        // A client that restricted itself is bound by its offer. A server has written what it agreed to.
        let offered = match (self.role, &self.settings.deflate) {
            (Role::Client, Some(offered)) => offered.clone(),
            _ => Deflate::default(),
        };
        let answered = offered.accept(fields()).map_err(|error| {
            config("the response agrees to extensions that can't be used").with_source(error)
        })?;
        let params = match (self.deflate, answered) {
            (Some(told), Some(answered)) if told != answered => {
                return Err(config(
                    "the parameters of permessage-deflate are not those of the response",
                ));
            }
            (Some(_), None) if !self.response_headers.is_empty() => {
                return Err(config("the response doesn't agree to permessage-deflate"));
            }
            (told, answered) => told.or(answered),
        };
        if let Some(params) = params {
            if !params.is_valid() {
                return Err(config("window bits of permessage-deflate are 8 to 15"));
            }
            if self.settings.deflate.is_none() {
                return Err(config(
                    "permessage-deflate was agreed on, and Settings::deflate is None",
                ));
            }
        }
        Ok(params)
    }

    fn agreed_subprotocol(&self) -> Result<Option<String>, Error> {
        let mut fields = self
            .response_headers
            .get_all(header::SEC_WEBSOCKET_PROTOCOL)
            .iter();
        let answered = fields.next().map(HeaderValue::to_str).transpose();
        let answered =
            answered.map_err(|_| config("the subprotocol of the response is no token"))?;
        if fields.next().is_some() {
            return Err(config("the response names two subprotocols"));
        }
        let told = self.subprotocol.as_deref();
        if told.is_some() && !self.response_headers.is_empty() && told != answered {
            return Err(config("the subprotocol is not that of the response"));
        }
        let Some(name) = told.or(answered) else {
            return Ok(None);
        };
        // RFC 6455 section 4.1: a token, as the name of a header field is.
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(config("the name of a subprotocol is a token"));
        }
        // Section 4.2.2: the server chooses from the client's list.
        if self.has_request
            && !self
                .request
                .subprotocols
                .iter()
                .any(|offered| offered == name)
        {
            return Err(config("the request doesn't offer this subprotocol"));
        }
        Ok(Some(name.to_owned()))
    }
}

fn config(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Returns path and query.
fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query()
        .map_or_else(Uri::default, |target| target.clone().into())
}

fn offered_subprotocols(headers: &HeaderMap) -> Vec<String> {
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let names = fields.filter_map(|value| value.to_str().ok());
    let names = names.flat_map(|value| value.split(',')).map(str::trim);
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

impl fmt::Debug for UpgradedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradedStream")
            .field("role", &self.role)
            .field("leftover", &self.leftover.len())
            .field("subprotocol", &self.subprotocol)
            .field("deflate", &self.deflate)
            .finish_non_exhaustive()
    }
}
