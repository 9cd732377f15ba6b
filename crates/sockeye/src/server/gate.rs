//! Whom a server lets in: route, origin, credentials, factory, in that order.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, Version};
use sockeye_proto::{Role, handshake::ServerHandshake};

use super::{
    Refusal, Shared,
    connections::Permit,
    origin::Tls,
    registry::Stay,
    route::{Found, Opener},
};
use crate::{
    Request, Stream,
    established::Established,
    upgrade::{Agreement, Incoming},
};

/// A request that will be answered with 101, and what comes after.
pub(crate) struct Admitted {
    handshake: ServerHandshake,
    agreement: Agreement,
    request: Arc<Request>,
    opener: Opener,
}

impl Shared {
    /// Whether `incoming` becomes a WebSocket. Nothing was sent yet, so that a refusal is a whole
    /// HTTP answer.
    pub(crate) async fn admit(&self, incoming: Incoming) -> Result<Admitted, Refusal> {
        let Incoming {
            mut request,
            handshake,
        } = incoming;
        if !self.is_serving() {
            return Err(Refusal::unavailable("the server is going away\n"));
        }
        let Found { leg, params } = self.routes.find(request.path())?;
        request.params = params;
        let tls = match request.is_tls() {
            true => Tls::Yes,
            false => Tls::No,
        };
        if !leg.origins.admit(request.headers(), tls) {
            return Err(Refusal::text(
                StatusCode::FORBIDDEN,
                "pages of this origin may not connect here\n",
            ));
        }
        let request = leg.authorize(request).await?;
        let opener = leg.open(&request)?;
        Ok(Admitted {
            agreement: Agreement::new(&handshake, leg.settings.clone(), &leg.subprotocols),
            handshake,
            request,
            opener,
        })
    }

    /// The count of one session, and its place in the registry.
    pub(crate) fn stay(&self, permit: Permit) -> Stay {
        Stay::new(Arc::clone(&self.registry), permit)
    }
}

impl Admitted {
    pub(crate) fn response_bytes(&self) -> Vec<u8> {
        self.agreement.response_bytes(&self.handshake)
    }

    pub(crate) fn response_parts(&self, version: Version) -> (StatusCode, HeaderMap) {
        self.agreement.response_parts(&self.handshake, version)
    }

    /// Begins, after the response was sent. `leftover` are bytes that came behind the head.
    pub(crate) fn open(self, stream: Box<dyn Stream>, leftover: Vec<u8>, stay: Stay) {
        let established = Established {
            stream,
            leftover,
            role: Role::Server,
            settings: self.agreement.settings,
            deflate: self.agreement.deflate,
            subprotocol: self.agreement.subprotocol,
            request: self.request,
            response_headers: HeaderMap::new(),
        };
        if let Err(error) = (self.opener)(established, stay) {
            tracing::error!(%error, "a WebSocket could not begin");
        }
    }
}
