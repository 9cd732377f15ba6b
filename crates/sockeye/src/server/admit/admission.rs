//! Whom a server lets in: route, origin, credentials, factory, in that order.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, Version, header};
use sockeye_proto::{Role, handshake::ServerHandshake};

use crate::{
    address::{AddressPermit, Key},
    connection::{Established, Io, Permit, Stream},
    handshake::{Agreement, Incoming, Refusal, Request, RequestInfo, Shown, Tls},
    server::{
        handoff::Handoff,
        registry::Registration,
        route::{BoxFuture, CompiledRoute, Found, Handler, Verdict, refuse_origin},
        shared::ServerShared,
    },
};

/// Whether a request becomes a WebSocket.
pub(crate) enum Admission {
    /// Decided.
    Now(Result<Admitted, Refusal>),
    /// The route's `authorize` takes its time. Owns what it needs, so that anybody can wait for it.
    Later(BoxFuture<Result<Admitted, Refusal>>),
}

/// A request that will be answered with 101, and what comes after.
pub(crate) struct Admitted {
    handshake: ServerHandshake,
    pub(crate) agreement: Agreement,
    pub(crate) request: Arc<Request>,
    pub(crate) handler: Handler,
    /// Of the client's address, if the connection doesn't count for it.
    address: Option<AddressPermit>,
}

impl ServerShared {
    /// Whether `incoming` becomes a WebSocket. Nothing was sent yet, so that a refusal is a whole
    /// HTTP answer.
    ///
    /// `counted` is the address for which the connection counts, if this is its first request: a proxy's
    /// connection, and one that carries many requests, pays for each of them.
    pub(crate) fn admit(&self, incoming: Incoming, counted: Option<Key>) -> Admission {
        let Incoming {
            mut request,
            handshake,
        } = incoming;
        request.info = self.info_of(&request);
        let address = match self.enter_again(&request.info, counted) {
            Ok(address) => address,
            Err(refusal) => return Admission::Now(Err(refusal)),
        };
        let leg = match self.leg_for(&mut request) {
            Ok(leg) => leg,
            Err(refusal) => return Admission::Now(Err(refusal)),
        };
        let admitted = move |leg: &CompiledRoute, request| {
            let mut admitted = Admitted::new(leg, handshake, request)?;
            admitted.address = address;
            Ok(admitted)
        };
        match leg.authorize(request) {
            Verdict::Now(request) => Admission::Now(admitted(&leg, request)),
            Verdict::Later(verdict) => {
                Admission::Later(Box::pin(async move { admitted(&leg, verdict.await?) }))
            }
        }
    }

    /// Counts a request for its client's address, unless its connection did.
    fn enter_again(
        &self,
        info: &RequestInfo,
        counted: Option<Key>,
    ) -> Result<Option<AddressPermit>, Refusal> {
        let key = info.key();
        if key == counted {
            return Ok(None);
        }
        Ok(self.enter_for(key, info.client_addr())?)
    }

    /// The route of a request that may take it, as far as that can be seen from the request.
    fn leg_for(&self, request: &mut Request) -> Result<Arc<CompiledRoute>, Refusal> {
        if !self.is_serving() {
            return Err(Refusal::going_away());
        }
        let Found { leg, params } = self.routes.find(request.path())?;
        request.params = params;
        if !leg.origins.admit(&request.fields, &request.info) {
            return Err(refuse_origin(request, &self.log_limits.origin));
        }
        Ok(leg)
    }

    /// What the client has asked for, whatever stands between it and us.
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

    /// The count of one session, and its place in the registry.
    pub(crate) fn registration(&self, permit: Arc<Permit>) -> Registration {
        Registration::new(Arc::clone(&self.registry), permit)
    }
}

impl Admission {
    /// Waits for the decision.
    pub(crate) async fn settled(self) -> Result<Admitted, Refusal> {
        match self {
            Self::Now(decision) => decision,
            Self::Later(decision) => decision.await,
        }
    }
}

impl Admitted {
    fn new(
        leg: &CompiledRoute,
        handshake: ServerHandshake,
        request: Arc<Request>,
    ) -> Result<Self, Refusal> {
        let handler = leg.open(&request)?;
        Ok(Self {
            agreement: Agreement::new(&handshake, &leg.negotiated, &leg.subprotocols),
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

    /// Whether a worker can carry it: callbacks can be called from anywhere, a conversation is a task.
    pub(crate) fn is_for_worker(&self) -> bool {
        matches!(self.handler, Handler::Endpoint(_))
    }

    /// What a worker begins with; nothing for a conversation.
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

    /// Begins in a task, after the response was sent. `leftover` are bytes that came behind the head.
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
            tracing::error!(%error, "a WebSocket could not begin");
        }
    }
}
