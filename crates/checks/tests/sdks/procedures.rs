//! A program that embeds the hub and answers procedures.

use bytes::Bytes;
use serde_json::{Value, json};
use sockeye::{Origins, Server, ServerHandle};
use sockeye_hub::{
    ErrorCode, Node,
    namespace::{ChannelConfig, Namespaces},
    token::{Verifier, VerifierConfig},
};
use sockeye_server::transport::{
    HttpTransportSettings, HttpTransports, WebSocketSettings, websocket_route,
};
use tokio::runtime::Runtime;

use crate::back_end::SECRET;

pub(crate) struct Procedures {
    // Dropped before the runtime that it needs.
    server: ServerHandle,
    _runtime: Runtime,
}

impl Procedures {
    /// Starts it for pages of an origin.
    pub(crate) fn start(origin: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(serve(Origins::List(vec![origin.to_owned()])));
        Self {
            server,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.local_addrs()[0])
    }
}

async fn serve(origins: Origins) -> ServerHandle {
    let channels = Namespaces::new(ChannelConfig::default()).unwrap();
    let config = VerifierConfig {
        hmac_secret_key: Some(SECRET.to_owned()),
        ..VerifierConfig::default()
    };
    let node = Node::builder(channels)
        .verifier(Verifier::new(config).unwrap())
        .on_rpc(|event| async move {
            if event.method != "repeat" {
                return Err(ErrorCode::MethodNotFound.into());
            }
            let argument: Value = serde_json::from_slice(&event.data).unwrap();
            let answer = json!({ "method": event.method, "argument": argument });
            Ok(Bytes::from(answer.to_string()))
        })
        .start();
    let mut websocket = WebSocketSettings::default();
    websocket.origins = origins.clone();
    let mut http = HttpTransportSettings::default();
    http.origins = origins;
    Server::bind("127.0.0.1:0")
        .mount(websocket_route(&node, "/connection/websocket", websocket))
        .fallback(HttpTransports::new(&node, http).router())
        .start()
        .await
        .unwrap()
}
