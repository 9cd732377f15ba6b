//! The opening request to one target.

use http::HeaderMap;
use sockeye_proto::handshake::{ClientHandshake, FieldError, RequestHead};

use crate::{
    Deflate, Limits,
    client::{exchange::header_map, redirect::is_for_any_origin, target::Target},
    error::{Error, ErrorKind},
    tls::ClientTls,
};

/// The opening request to one target. Made before anything is dialled, so that a mistake of the program is an error
/// without any network traffic.
pub(crate) struct UpgradeRequest {
    pub(crate) target: Target,
    /// The value of `Host`, and over HTTP/2 of `:authority`.
    pub(crate) host: String,
    pub(crate) handshake: ClientHandshake,
    /// The request over HTTP/1.1, with its last empty line.
    pub(crate) http1_bytes: Vec<u8>,
    /// The header fields over HTTP/2.
    pub(crate) http2_headers: Vec<(String, String)>,
    pub(crate) options: RequestOptions,
}

/// The program's options that only the origin of its URL may see.
#[derive(Clone)]
pub(crate) struct RequestOptions {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) subprotocols: Vec<String>,
    pub(crate) tls: ClientTls,
}

impl RequestOptions {
    /// Removes what may be a secret.
    fn for_other_origin(mut self) -> Self {
        self.headers.retain(|(name, _)| is_for_any_origin(name));
        // Scripts in a browser can't set header fields, so many servers take a token as a subprotocol.
        self.subprotocols.clear();
        self.tls = self.tls.anonymous();
        self
    }
}

impl UpgradeRequest {
    /// Makes the request to `target`. Offers `deflate` if there is one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if an option can't stand in a request, [`ErrorKind::Io`] if the operating system has no
    /// random numbers.
    pub(crate) fn new(
        target: Target,
        options: RequestOptions,
        deflate: Option<&Deflate>,
    ) -> Result<Self, Error> {
        let has = |name: &str| {
            options
                .headers
                .iter()
                .any(|(own, _)| own.eq_ignore_ascii_case(name))
        };
        let host = match own_host(&options.headers)? {
            Some(host) => host,
            None => target.host_header(),
        };
        let mut headers = options.headers.clone();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Host"));
        if let Some(value) = &target.authorization
            && !has("Authorization")
        {
            headers.push(("Authorization".to_owned(), value.clone()));
        }
        // Some firewalls refuse requests without a `User-Agent`.
        if !has("User-Agent") {
            headers.push(("User-Agent".to_owned(), USER_AGENT.to_owned()));
        }
        let mut handshake = ClientHandshake::new(nonce()?);
        let http1_bytes = handshake
            .request(
                target.request_target(),
                &host,
                &options.subprotocols,
                deflate,
                &headers,
            )
            .map_err(bad_field)?;
        let offer = handshake
            .connect_headers(&options.subprotocols, deflate)
            .map_err(bad_field)?;
        let offer = offer
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let http2_headers = offer.chain(headers).collect();
        Ok(Self {
            target,
            host,
            handshake,
            http1_bytes,
            http2_headers,
            options,
        })
    }

    /// Makes the request that follows a redirect to `target`. Another origin doesn't see the program's secrets, and
    /// neither does the first origin if a later redirect leads back to it.
    pub(crate) fn redirected(
        self,
        target: Target,
        deflate: Option<&Deflate>,
    ) -> Result<Self, Error> {
        let options = match self.target.same_origin(&target) {
            true => self.options,
            false => self.options.for_other_origin(),
        };
        Self::new(target, options, deflate)
    }

    /// Returns the header fields of the request over HTTP/1.1.
    pub(crate) fn http1_headers(&self) -> HeaderMap {
        let mut limits = Limits::default();
        limits.head_bytes_max = self.http1_bytes.len();
        limits.headers_max = self
            .http1_bytes
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let head = RequestHead::parse(&self.http1_bytes, &limits)
            .ok()
            .flatten();
        head.map_or_else(HeaderMap::new, |(head, _)| header_map(&head.headers))
    }
}

/// Returns the `Host` that the program sets in place of the URL's.
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

/// Returns the random value of the request: RFC 6455 section 4.1 item 7 demands a new one for each connection.
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
