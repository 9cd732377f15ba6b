//! Who answers the requests of one connection, whatever version of HTTP it speaks.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::ConnectInfo,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Version, header, uri::Authority};
use parking_lot::Mutex;
use tower_service::Service as _;

use crate::{
    address::RetryAfter,
    connection::Permit,
    handshake::{Incoming, Refusal, RequestInfo, Shown, Tls, host_of},
    server::{
        admit::{Accepted, Admitted, Capacity},
        http::body::LimitedBody,
        registry::Registration,
        shared::ServerShared,
    },
};

/// Who answers the requests of one connection.
pub(crate) struct HttpService {
    peer_addr: Option<SocketAddr>,
    tls: Tls,
    /// Of the connection itself. Lent to its first WebSocket, so that one in a connection of its own counts
    /// once; whether it is lent can be seen from the number of those who hold it.
    permit: Mutex<Arc<Permit>>,
    place: Place,
    /// Why the connection is there only to be refused: its address has too many.
    excess: Option<RetryAfter>,
    shared: Arc<ServerShared>,
}

/// Where a connection is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Among those that may do all.
    Regular,
    /// In the reserve: there was no room, and it is there for a few plain requests.
    Reserve,
}

impl HttpService {
    pub(crate) fn new(tls: Tls, accepted: Accepted) -> Self {
        let (permit, place, excess) = match accepted.capacity {
            Capacity::Welcome(permit) => (permit, Place::Regular, None),
            Capacity::Reserve(permit) => (permit, Place::Reserve, None),
            Capacity::Excess(permit, error) => (permit, Place::Reserve, Some(error)),
        };
        Self {
            peer_addr: accepted.peer_addr,
            tls,
            permit: Mutex::new(Arc::new(permit)),
            place,
            excess,
            shared: accepted.shared,
        }
    }

    pub(crate) fn shared(&self) -> &Arc<ServerShared> {
        &self.shared
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether the connection must not be used again after this answer: those in the reserve make room for
    /// the next, and after a body that came too slowly or is too large there is no next request.
    pub(crate) fn is_last_answer(&self, response: &Response) -> bool {
        self.place == Place::Reserve || response.extensions().get::<BodyUnread>().is_some()
    }

    /// Whether `incoming` becomes a WebSocket; if so, it counts from now on.
    pub(crate) async fn admit(
        &self,
        incoming: Incoming,
    ) -> Result<(Admitted, Registration), Refusal> {
        self.check_address()?;
        let permit = self.permit_for_websocket()?;
        let admitted = self.shared.admit(incoming, None).settled().await?;
        Ok((admitted, self.shared.registration(permit)))
    }

    /// The same for a request that an HTTP library read.
    pub(crate) async fn admit_http<B>(
        &self,
        request: &Request<B>,
    ) -> Result<(Admitted, Registration), Refusal> {
        let incoming = Incoming::from_http(request, self.peer_addr, self.tls)?;
        self.admit(incoming).await
    }

    fn check_address(&self) -> Result<(), Refusal> {
        match self.excess {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn permit_for_websocket(&self) -> Result<Arc<Permit>, Refusal> {
        let own = self.permit.lock();
        if self.place == Place::Regular && Arc::strong_count(&own) == 1 {
            return Ok(Arc::clone(&own));
        }
        let one_more = self.shared.connections.admit(self.shared.connections_max);
        one_more.map(Arc::new).ok_or_else(Refusal::too_many)
    }

    /// Answers a request that is no WebSocket's.
    pub(crate) async fn plain<B>(&self, mut request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(refusal) = self.check_address() {
            return refusal.into_response();
        }
        let Some(fallback) = &self.shared.fallback else {
            return Refusal::text(StatusCode::NOT_FOUND, "not found\n").into_response();
        };
        replace_host(&mut request);
        let budget = &self.shared.settings.memory_budget;
        let (request, fate) = match LimitedBody::limit(request, &self.shared.http, budget) {
            Ok(limited) => limited,
            Err(refusal) => return unread(refusal),
        };
        let mut request = request.map(Body::new);
        if let Some(peer_addr) = self.peer_addr {
            request.extensions_mut().insert(ConnectInfo(peer_addr));
        }
        let info = self.info_of(&request);
        request.extensions_mut().insert(info);
        let response = match fallback.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        // Whatever the handler makes of a body that breaks off, the peer is told why.
        match fate.and_then(|fate| fate.refusal()) {
            Some(refusal) => unread(refusal),
            None => response,
        }
    }

    fn info_of<B>(&self, request: &Request<B>) -> RequestInfo {
        let shown = Shown {
            peer_addr: self.peer_addr,
            tls: self.tls,
            host: host_of(request.uri(), request.headers()),
        };
        self.shared.info(shown, || request.headers())
    }
}

/// Marks an answer to a request whose body wasn't read.
#[derive(Clone, Copy, Debug)]
struct BodyUnread;

fn unread(refusal: Refusal) -> Response {
    let mut response = refusal.into_response();
    response.extensions_mut().insert(BodyUnread);
    response
}

/// RFC 9112 section 3.2.2: the authority of an absolute target stands in place of `Host`, which may be another
/// one. Over HTTP/2 it is `:authority`, and often there is no `Host` at all.
fn replace_host<B>(request: &mut Request<B>) {
    if request.version() == Version::HTTP_2 && !request.headers().contains_key(header::HOST) {
        return;
    }
    let authority = request.uri().authority().map(Authority::as_str);
    if let Some(Ok(host)) = authority.map(HeaderValue::from_str) {
        request.headers_mut().insert(header::HOST, host);
    }
}
