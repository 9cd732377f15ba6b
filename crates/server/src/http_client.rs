//! HTTP requests to servers that the configuration names: those of the application, and those that publish keys.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Response, body::Incoming};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use sockeye::{ClientTls, rustls::pki_types::ServerName};
use tokio::sync::OnceCell;
use url::Url;

/// A client for one URL. It speaks HTTP/1.1, keeps connections open for the next request, and follows no redirect.
pub(crate) struct HttpClient {
    url: Url,
    tls: ClientTls,
    /// The name that the server's certificate must have, if it isn't that of the URL.
    server_name: Option<String>,
    authorization: Option<HeaderValue>,
    /// Bytes. The longest answer.
    response_bytes_max: usize,
    /// Made at the first request, since it reads the system's roots.
    connections: OnceCell<Connections>,
}

enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Idle connections kept to one server.
const IDLE_CONNECTIONS_MAX: usize = 255;

/// How long an idle connection is kept. Shorter than the five seconds of Node's server, so that few requests meet a
/// connection that the server is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// TLS can't be used at all.
    Tls(sockeye::Error),
    /// No connection, or it ended too early.
    Exchange(hyper_util::client::legacy::Error),
    /// The body didn't come whole.
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The body has more bytes than allowed.
    TooLong(usize),
    Status(StatusCode),
}

impl HttpClient {
    pub(crate) fn new(
        mut url: Url,
        tls: ClientTls,
        server_name: Option<String>,
        response_bytes_max: usize,
    ) -> Self {
        let authorization = basic(&url);
        // Neither fails for a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        Self {
            url,
            tls,
            server_name,
            authorization,
            response_bytes_max,
            connections: OnceCell::new(),
        }
    }

    /// Returns the body of the answer, whose status is 200. The target of `request` is set here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; the server may have the request.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Bytes, HttpError> {
        *request.uri_mut() = self.url.as_str().parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers
            .entry(header::USER_AGENT)
            .or_insert(HeaderValue::from_static(USER_AGENT));
        if let Some(authorization) = &self.authorization {
            headers
                .entry(header::AUTHORIZATION)
                .or_insert_with(|| authorization.clone());
        }
        let response = self.exchange(request).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), self.response_bytes_max);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(HttpError::TooLong(self.response_bytes_max))
            }
            Err(error) => Err(HttpError::Body(error)),
        }
    }

    async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, HttpError> {
        let connections = self.connections.get_or_try_init(|| self.connections());
        match connections.await? {
            Connections::Plain(client) => client.request(request).await,
            Connections::Tls(client) => client.request(request).await,
        }
        .map_err(HttpError::Exchange)
    }

    async fn connections(&self) -> Result<Connections, HttpError> {
        let mut client = Client::builder(TokioExecutor::new());
        client
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        if self.url.scheme() != "https" {
            return Ok(Connections::Plain(client.build(connector)));
        }
        connector.enforce_http(false);
        let config = self.tls.to_rustls().await.map_err(HttpError::Tls)?;
        let mut builder = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only();
        let name = self.server_name.as_deref();
        if let Some(name) = name.and_then(|name| ServerName::try_from(name.to_owned()).ok()) {
            builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
        }
        let connector = builder.enable_http1().wrap_connector(connector);
        Ok(Connections::Tls(client.build(connector)))
    }
}

/// Returns the credentials of the URL as a header field (RFC 7617).
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let plain = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let mut pair = plain(url.username());
    pair.push(b':');
    pair.extend(plain(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

const USER_AGENT: &str = concat!("sockeye/", env!("CARGO_PKG_VERSION"));

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => write!(f, "{}", error.report()),
            Self::Exchange(error) => write_chain(f, error),
            Self::Body(error) => write_chain(f, &**error),
            Self::TooLong(bytes_max) => write!(f, "the answer is longer than {bytes_max} bytes"),
            Self::Status(status) if status.is_redirection() => {
                write!(f, "the status is {status}, and redirects are not followed")
            }
            Self::Status(status) => write!(f, "the status is {status}"),
        }
    }
}

/// Writes an error and its causes.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn std::error::Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(f, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_a_url_are_a_header_field() {
        let url = |text: &str| Url::parse(text).unwrap();
        let value = basic(&url("http://ann:p%40ss@app.example/")).unwrap();
        // printf 'ann:p@ss' | base64
        assert_eq!(value.as_bytes(), b"Basic YW5uOnBAc3M=");
        assert!(value.is_sensitive());
        assert_eq!(basic(&url("http://app.example/")), None);
    }
}
