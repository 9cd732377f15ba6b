//! The list of open WebSockets that upgrades of an axum or hyper server join.

use std::{fmt, net::SocketAddr, sync::Arc};

use axum::extract::ConnectInfo;
use http::Extensions;

use crate::{
    connection::Permit,
    handshake::{Incoming, Refusal, Request, RequestInfo, Shown, Tls},
    server::{Capacity, Registration, ServerHandle, ServerShared},
    settings::Settings,
};

/// What the WebSockets of an axum or hyper server have in common with those of a [`crate::Server`]: its limits, its
/// trusted proxies, its settings, its drain and its counts. It is cheap to clone.
///
/// The [`ServerHandle`] tells how many are open ([`ServerHandle::sessions`]), how they ended
/// ([`ServerHandle::endings`]), and drains them ([`ServerHandle::drain`]). A program without an own server starts one
/// that listens nowhere: [`crate::Server::unbound`]. Dropping the handle closes all of them with 1001.
///
/// In axum, put it into an `Extension` layer: [`crate::upgrade::WebSocketUpgrade`] joins it as an extractor. With hyper,
/// or from axum's `State`, call [`crate::upgrade::WebSocketUpgrade::join`].
///
/// ```no_run
/// use axum::{Extension, Router, response::Response, routing::any};
/// use sockeye::{Drain, Server, upgrade::{Upgrades, WebSocketUpgrade}};
/// use tokio::net::TcpListener;
///
/// async fn greet(upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|websocket| async move {
///         if let Err(error) = websocket.send("hello").await {
///             eprintln!("{error}");
///         }
///     })
/// }
///
/// # async fn example(shutdown: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let websockets = Server::unbound()
///     .workers(1)
///     .connections_max(10_000)
///     .trusted_proxies(["10.0.0.0/8"])
///     .start()
///     .await?;
/// let app = Router::new()
///     .route("/greet", any(greet))
///     .layer(Extension(Upgrades::of(&websockets)));
/// let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
/// let listener = TcpListener::bind("127.0.0.1:9000").await?;
/// tokio::select! {
///     served = axum::serve(listener, app) => served?,
///     () = shutdown => {
///         let report = websockets.drain(Drain::default()).await;
///         println!("{report:?}, all endings: {:?}", websockets.endings());
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Limits
///
/// Each WebSocket counts as one connection, against [`crate::Server::connections_max`] and the
/// [`crate::AddressLimits`] of its client. What the HTTP server does before is not limited here.
#[derive(Clone)]
pub struct Upgrades(Arc<ServerShared>);

/// How one upgrade counts.
pub(super) struct Joined {
    pub(super) registration: Registration,
    pub(super) settings: Settings,
}

impl Upgrades {
    /// Returns the upgrades of this server.
    #[must_use]
    pub fn of(server: &ServerHandle) -> Self {
        Self(Arc::clone(server.shared()))
    }

    /// Returns scheme, host and client address of a request as [`crate::Server::trusted_proxies`] tell them, for
    /// handlers of other requests.
    ///
    /// The peer's address comes from axum's `ConnectInfo<SocketAddr>` in the request's extensions.
    #[must_use]
    pub fn info<B>(&self, request: &http::Request<B>) -> RequestInfo {
        let info = RequestInfo::of_foreign(request.extensions(), request.uri(), request.headers());
        let peer_addr = peer_addr_of(request.extensions());
        self.0.info(shown(&info, peer_addr), || request.headers())
    }

    /// Counts one more WebSocket, and derives the client's address from what trusted proxies say.
    ///
    /// # Errors
    ///
    /// Those of [`crate::upgrade::WebSocketUpgrade::join`].
    pub(super) fn admit(&self, incoming: &mut Incoming) -> Result<Joined, Refusal> {
        let shared = &self.0;
        if !shared.is_serving() {
            return Err(Refusal::going_away());
        }
        let request: &mut Request = &mut incoming.request;
        let info = shared.info(shown(&request.info, request.peer_addr), || {
            request.headers()
        });
        request.info = info;
        let info = &request.info;
        let address = shared.count_for_key(info.key(), info.client_addr())?;
        let permit: Permit = Capacity::permit(shared).ok_or_else(Refusal::too_many)?;
        let registration = shared.registration(Arc::new(permit)).counting_for(address);
        Ok(Joined {
            registration,
            settings: shared.settings.clone(),
        })
    }
}

/// Returns the address of the TCP peer, if the HTTP server has stored it as axum does.
pub(super) fn peer_addr_of(extensions: &Extensions) -> Option<SocketAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map(|ConnectInfo(addr)| *addr)
}

fn shown(info: &RequestInfo, peer_addr: Option<SocketAddr>) -> Shown<'_> {
    Shown {
        peer_addr,
        tls: match info.is_secure() {
            true => Tls::Yes,
            false => Tls::No,
        },
        host: info.host(),
    }
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrades")
            .field("sessions", &self.0.registry.len())
            .finish_non_exhaustive()
    }
}
