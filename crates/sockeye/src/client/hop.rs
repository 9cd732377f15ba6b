//! One target on the way from a URL to a WebSocket, and what is said there.

use http::HeaderMap;
use sockeye_proto::handshake::{ClientHandshake, FieldError, RequestHead};

use crate::{
    Limits,
    client::{connect::Connect, exchange::header_map, redirect::is_for_any_origin, target::Target},
    error::{Error, ErrorKind},
    tls::ClientTls,
};

/// One target on the way, and what is said there. Made before anything is dialled, so that
/// mistakes of the program cost no network.
pub(crate) struct Hop {
    pub(crate) target: Target,
    /// The value of `Host`, over HTTP/2 of `:authority`.
    pub(crate) host: String,
    pub(crate) tls: ClientTls,
    pub(crate) handshake: ClientHandshake,
    /// Over HTTP/1.1, with its last empty line.
    pub(crate) request: Vec<u8>,
    /// The program's, as far as this origin may see them.
    own_headers: Vec<(String, String)>,
    /// The program's, as far as this origin may see them.
    pub(crate) subprotocols: Vec<String>,
    /// All fields, for HTTP/2.
    pub(crate) http2_headers: Vec<(String, String)>,
}

impl Hop {
    pub(crate) fn new(connect: &Connect, target: Target) -> Result<Self, Error> {
        Self::with(
            connect,
            target,
            connect.headers.clone(),
            connect.subprotocols.clone(),
            connect.tls.clone(),
        )
    }

    /// The hop after a redirect. What was kept back from one origin stays back, even if the way
    /// leads home again.
    pub(crate) fn after(self, connect: &Connect, target: Target) -> Result<Self, Error> {
        let (mut headers, mut subprotocols) = (self.own_headers, self.subprotocols);
        let mut tls = self.tls;
        if !self.target.same_origin(&target) {
            headers.retain(|(name, _)| is_for_any_origin(name));
            // Browsers can't set header fields, so many a server takes its token as a subprotocol.
            subprotocols.clear();
            tls = tls.anonymous();
        }
        Self::with(connect, target, headers, subprotocols, tls)
    }

    /// The header fields of the request over HTTP/1.1.
    pub(crate) fn sent(&self) -> HeaderMap {
        let mut limits = Limits::default();
        limits.head_bytes_max = self.request.len();
        limits.headers_max = self.request.iter().filter(|byte| **byte == b'\n').count();
        let head = RequestHead::parse(&self.request, &limits).ok().flatten();
        head.map_or_else(HeaderMap::new, |(head, _)| header_map(&head.headers))
    }

    fn with(
        connect: &Connect,
        target: Target,
        own_headers: Vec<(String, String)>,
        subprotocols: Vec<String>,
        tls: ClientTls,
    ) -> Result<Self, Error> {
        let has = |name: &str| {
            own_headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        let host = match own_host(&own_headers)? {
            Some(host) => host,
            None => target.host_header(),
        };
        let mut all_headers = own_headers.clone();
        all_headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Host"));
        if let Some(value) = &target.authorization
            && !has("Authorization")
        {
            all_headers.push(("Authorization".to_owned(), value.clone()));
        }
        // Some firewalls in front of servers turn away who doesn't say what they are.
        if !has("User-Agent") {
            all_headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
        }
        let mut handshake = ClientHandshake::new(nonce()?);
        let request = handshake
            .request(
                target.request_target(),
                &host,
                &subprotocols,
                connect.settings.deflate.as_ref(),
                &all_headers,
            )
            .map_err(bad_field)?;
        let offer = handshake
            .connect_headers(&subprotocols, connect.settings.deflate.as_ref())
            .map_err(bad_field)?;
        let offer = offer
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let http2_headers = offer.chain(all_headers).collect();
        Ok(Self {
            target,
            host,
            tls,
            handshake,
            request,
            own_headers,
            subprotocols,
            http2_headers,
        })
    }
}

/// The `Host` that the program wants instead of the URL's.
fn own_host(headers: &[(String, String)]) -> Result<Option<String>, Error> {
    let mut hosts = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("Host"));
    let host = hosts.next().map(|(_, value)| value.clone());
    match hosts.next() {
        None => Ok(host),
        // RFC 9112 section 3.2: servers must refuse a request with two.
        Some(_) => Err(Error::new(
            ErrorKind::Config,
            "a request has one header field `Host`",
        )),
    }
}

/// RFC 6455 section 4.1 item 7: randomly selected for each connection.
fn nonce() -> Result<[u8; 16], Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| {
        Error::new(ErrorKind::Io, "the operating system has no random numbers").with_source(error)
    })?;
    Ok(nonce)
}

fn bad_field(error: FieldError) -> Error {
    Error::new(ErrorKind::Config, "the request can't be written").with_source(error)
}

const USER_AGENT: &str = concat!("sockeye/", env!("CARGO_PKG_VERSION"));
