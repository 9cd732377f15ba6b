//! Whether a request becomes a WebSocket: route, origin, credentials, factory, in that order.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, Version, header};
use sockeye_proto::{Role, handshake::ServerHandshake};

#[cfg(any(feature = "sockjs", feature = "engineio"))]
use crate::server::{admit::accepted::Capacity, polling::SessionHost};
use crate::{
    address::{AddressPermit, Key},
    connection::{Established, Io, Permit, Stream},
    handshake::{Agreement, Incoming, Refusal, Request, RequestInfo, Shown, Tls},
    server::{
        handoff::Handoff,
        registry::Registration,
        route::{
            Authorization, BoxFuture, CompiledRoute, Handler, RouteAdapter, RouteMatch,
            refuse_origin,
        },
        shared::ServerShared,
    },
};

/// Whether a request becomes a WebSocket.
pub(crate) enum Admission {
    /// The decision is made.
    Now(Result<Admitted, Refusal>),
    /// The route's `authorize` takes time. The future owns all it needs, so that it can run in any task.
    Later(BoxFuture<Result<Admitted, Refusal>>),
}

/// A request that the server answers with 101, and the handler that follows.
pub(crate) struct Admitted {
    handshake: ServerHandshake,
    pub(crate) agreement: Agreement,
    pub(crate) request: Arc<Request>,
    pub(crate) handler: Handler,
    /// The count for the client's address, if the connection doesn't count for it.
    address: Option<AddressPermit>,
}

impl ServerShared {
    /// Decides whether `incoming` becomes a WebSocket. Nothing has been sent yet, so a refusal is a whole HTTP
    /// answer.
    ///
    /// `counted` is the address for which the connection counts, if this is its first request. On a connection from a
    /// proxy, or with many requests, each request counts for its own client.
    pub(crate) fn admit(&self, incoming: Incoming, counted: Option<Key>) -> Admission {
        let Incoming {
            mut request,
            handshake,
        } = incoming;
        request.info = self.info_of(&request);
        let address = match self.count_request(&request.info, counted) {
            Ok(address) => address,
            Err(refusal) => return Admission::Now(Err(refusal)),
        };
        let RouteMatch { route, adapter, .. } = match self.route_for(&mut request) {
            Ok(found) => found,
            Err(refusal) => return Admission::Now(Err(refusal)),
        };
        let admitted = move |route: &CompiledRoute, request| {
            let mut admitted = Admitted::new(route, adapter.as_deref(), handshake, request)?;
            admitted.address = address;
            Ok(admitted)
        };
        match route.authorize(request) {
            Authorization::Now(request) => Admission::Now(admitted(&route, request)),
            Authorization::Later(authorized) => {
                Admission::Later(Box::pin(async move { admitted(&route, authorized.await?) }))
            }
        }
    }

    /// Counts a request for its client's address, unless its connection counts for it.
    fn count_request(
        &self,
        info: &RequestInfo,
        counted: Option<Key>,
    ) -> Result<Option<AddressPermit>, Refusal> {
        let key = info.key();
        if key == counted {
            return Ok(None);
        }
        Ok(self.count_for_key(key, info.client_addr())?)
    }

    /// Returns the route of the request, if the server accepts new WebSockets and the route accepts the origin.
    fn route_for(&self, request: &mut Request) -> Result<RouteMatch, Refusal> {
        if !self.is_serving() {
            return Err(Refusal::going_away());
        }
        let mut found = self.routes.find(request.path())?;
        request.params = std::mem::take(&mut found.params);
        if let Some(adapter) = &found.adapter {
            adapter.strip(request)?;
        }
        if !found.route.origins.admit(&request.fields, &request.info) {
            let advice = found.route.origin_advice;
            return Err(refuse_origin(request, &self.log_limits.origin, advice));
        }
        Ok(found)
    }

    /// Returns what the client has asked for, seen through the trusted proxies.
    fn info_of(&self, request: &Request) -> RequestInfo {
        let host = request.fields.values(&header::HOST).next();
        let shown = Shown {
            peer_addr: request.peer_addr,
            tls: match request.is_tls() {
                true => Tls::Yes,
                false => Tls::No,
            },
            host: host.and_then(|host| str::from_utf8(host).ok()),
        };
        self.info(shown, || request.headers())
    }

    /// Returns the registration of one session: its count and its entry in the registry.
    pub(crate) fn registration(&self, permit: Arc<Permit>) -> Registration {
        Registration::new(Arc::clone(&self.registry), permit)
    }
}

#[cfg(any(feature = "sockjs", feature = "engineio"))]
impl SessionHost for ServerShared {
    fn count_session(&self, info: &RequestInfo) -> Result<Registration, Refusal> {
        if !self.is_serving() {
            return Err(Refusal::going_away());
        }
        let address = self.count_for_key(info.key(), info.client_addr())?;
        let permit = Capacity::permit(self).ok_or_else(Refusal::too_many)?;
        Ok(self.registration(Arc::new(permit)).counting_for(address))
    }

    fn refuse_origin(&self, request: &Request, advice: &str) -> Refusal {
        refuse_origin(request, &self.log_limits.origin, advice)
    }
}

impl Admission {
    /// Waits for the decision.
    pub(crate) async fn decided(self) -> Result<Admitted, Refusal> {
        match self {
            Self::Now(decision) => decision,
            Self::Later(decision) => decision.await,
        }
    }
}

impl Admitted {
    fn new(
        route: &CompiledRoute,
        adapter: Option<&dyn RouteAdapter>,
        handshake: ServerHandshake,
        request: Arc<Request>,
    ) -> Result<Self, Refusal> {
        let joined = adapter.and_then(|adapter| adapter.join(&request));
        let handler = match (joined, adapter) {
            (Some(joined), _) => joined?,
            (None, Some(adapter)) => adapter.wrap(route.open(&request)?, &request),
            (None, None) => route.open(&request)?,
        };
        Ok(Self {
            agreement: Agreement::new(
                &handshake,
                &route.negotiated,
                &route.shared_negotiated,
                &route.subprotocols,
            ),
            handshake,
            request,
            handler,
            address: None,
        })
    }

    pub(crate) fn response_bytes(&self) -> Vec<u8> {
        self.agreement.response_bytes(&self.handshake)
    }

    pub(crate) fn response_parts(&self, version: Version) -> (StatusCode, HeaderMap) {
        self.agreement.response_parts(&self.handshake, version)
    }

    /// Returns whether a worker can carry the session: callbacks run on any thread, a conversation needs a task.
    pub(crate) fn is_for_worker(&self) -> bool {
        matches!(self.handler, Handler::Endpoint(_))
    }

    /// Returns what a worker needs to begin the session; `None` for a conversation.
    pub(crate) fn handoff(self, io: Io, leftover: Vec<u8>, permit: Permit) -> Option<Handoff> {
        let response = self.response_bytes();
        let Handler::Endpoint(endpoint) = self.handler else {
            return None;
        };
        let established = Established {
            io,
            leftover,
            role: Role::Server,
            negotiated: self.agreement.negotiated(),
            request: self.request,
        };
        Some(Handoff {
            established,
            response,
            endpoint,
            permit: permit.counting_for(self.address),
        })
    }

    /// Begins the session in a task, after the response was sent. `leftover` are bytes that came after the head.
    pub(crate) fn open(
        self,
        stream: Box<dyn Stream>,
        leftover: Vec<u8>,
        registration: Registration,
    ) {
        let registration = registration.counting_for(self.address);
        let established = Established {
            io: Io::from_boxed(stream),
            leftover,
            role: Role::Server,
            negotiated: self.agreement.negotiated(),
            request: self.request,
        };
        if let Err(error) = self.handler.spawn(established, registration) {
            tracing::error!(error = %error.report(), "a WebSocket could not begin");
        }
    }
}
